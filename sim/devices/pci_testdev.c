/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's pci-testdev 1b36:0005 (docs/specs/pci-testdev.rst): BAR 0 in memory, BAR 1 in I/O space,
 * each beginning with a header that describes the test selected by its first byte. A test counts
 * writes of a given width (and value) at a given offset. The host mechanisms behind QEMU's tests
 * (ioeventfd) do not exist here: all three tests count in the same way. */
#include "devices/testdevs.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEM_SIZE 4096
#define IO_SIZE 256
#define NO_TEST 0xff

#define REG_TEST 0
#define REG_WIDTH 1
#define REG_OFFSET 4
#define REG_DATA 8
#define REG_COUNT 12
#define REG_NAME 16

#define DATA_MATCH 0xfa
#define DATA_ANY 0xce

static const struct test {
    const char *name;
    bool port;      /* runs on BAR 1 */
    bool any_value; /* counts every write, not only `data` */
    u16 offset;
    u8 data;
} tests[] = {
    {"mmio-no-eventfd", false, false, 2048, DATA_MATCH},
    {"mmio-wildcard-eventfd", false, true, 2049, DATA_ANY},
    {"mmio-datamatch-eventfd", false, false, 2050, DATA_MATCH},
    {"portio-no-eventfd", true, false, 131, DATA_MATCH},
    {"portio-wildcard-eventfd", true, true, 132, DATA_ANY},
    {"portio-datamatch-eventfd", true, false, 133, DATA_MATCH},
};

#define TESTS_PER_BAR (ARRAY_LEN(tests) / 2)

struct testdev {
    struct pci_function fn;
    char id[32];
    u8 current; /* index into tests, or NO_TEST */
    u32 count;
};

static u8 header_byte(const struct testdev *d, unsigned offset)
{
    if (d->current >= ARRAY_LEN(tests)) {
        return 0;
    }
    const struct test *t = &tests[d->current];
    u8 header[REG_NAME] = {0};
    header[REG_TEST] = d->current;
    header[REG_WIDTH] = 1;
    store_le32(header + REG_OFFSET, t->offset);
    store_le32(header + REG_DATA, t->data);
    store_le32(header + REG_COUNT, d->count);
    if (offset < REG_NAME) {
        return header[offset];
    }
    return offset - REG_NAME < strlen(t->name) ? (u8)t->name[offset - REG_NAME] : 0;
}

static void write_byte(struct testdev *d, bool port, unsigned offset, u8 value)
{
    if (offset == REG_TEST) {
        d->count = 0;
        d->current = value < TESTS_PER_BAR ? (u8)(value + (port ? TESTS_PER_BAR : 0)) : NO_TEST;
        return;
    }
    if (d->current >= ARRAY_LEN(tests)) {
        return;
    }
    const struct test *t = &tests[d->current];
    if (t->port == port && offset == t->offset && (t->any_value || value == t->data)) {
        d->count++;
    }
}

static u64 mem_read(void *self, u64 offset, unsigned size)
{
    UNUSED(size);
    return header_byte(self, (unsigned)offset);
}

static void mem_write(void *self, u64 offset, u64 value, unsigned size)
{
    UNUSED(size);
    write_byte(self, false, (unsigned)offset, (u8)value);
}

static u32 port_read(void *self, u16 offset, unsigned size)
{
    UNUSED(size);
    return header_byte(self, offset);
}

static void port_write(void *self, u16 offset, u32 value, unsigned size)
{
    UNUSED(size);
    write_byte(self, true, offset, (u8)value);
}

static const struct mmio_ops mem_ops = {.read = mem_read, .write = mem_write, .max_size = 1};
static const struct port_ops port_ops = {.read = port_read, .write = port_write, .max_size = 1};
static const struct pci_function_ops function_ops = {.config_written = NULL};

static void reset(void *self, enum reset_kind kind)
{
    struct testdev *d = self;
    UNUSED(kind);
    pci_function_reset(&d->fn);
    d->current = NO_TEST;
    d->count = 0;
}

static void state(void *self, struct state_io *io)
{
    struct testdev *d = self;
    state_section(io, d->id, 1);
    pci_function_state(&d->fn, io);
    state_u8(io, "current", &d->current);
    state_u32(io, "count", &d->count);
}

static void destroy(void *self)
{
    struct testdev *d = self;
    pci_function_free(&d->fn);
    free(d);
}

static const struct device_ops ops = {
    .type = "pci-testdev", .reset = reset, .state = state, .destroy = destroy};

void pci_testdev_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, u64 membar,
                     const char *id)
{
    struct testdev *d = calloc(1, sizeof *d);
    sim_assert(d != NULL);
    (void)snprintf(d->id, sizeof d->id, "%s", id);
    d->current = NO_TEST;
    const struct pci_ids ids = {.vendor = 0x1b36,
                                .device = 0x0005,
                                .subsystem_vendor = 0x1af4,
                                .subsystem = 0x1100,
                                .class_code = 0x00ff00};
    pci_add_function(bus, &d->fn, devfn, &ids, &function_ops, d);
    pci_add_mem_bar(&d->fn, 0, PCI_BAR_MEM32, false, MEM_SIZE, &mem_ops, d, "pci-testdev-mem");
    pci_add_io_bar(&d->fn, 1, IO_SIZE, &port_ops, d, "pci-testdev-io");
    if (membar != 0) {
        pci_add_mem_bar(&d->fn, 2, PCI_BAR_MEM64, true, membar, NULL, d, "pci-testdev-membar");
    }
    bus_add_device(env->bus, &ops, d, id);
}
