/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's pc-testdev: what tests of virtual machines want of a board.
 *
 *   0x2000 + n   a byte written sets interrupt line n to whether it is not 0 (QEMU has lines 16 to
 * 23 too, the I/O APIC's other pins; left out) 0xe0         four ports that remember; read and
 * written in any width 0xe4         "flush page": the host is to drop its mapping of a guest page.
 * We have nothing that a guest could see dropped; accepted 0xe8         the same four bytes as
 * 0xe0, a byte at a time 0xff000000   64 KiB of memory that is a device (every access goes through
 * these functions) */
#include "devices/testdev.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_PORTS 24
#define IOMEM_BASE 0xff000000u
#define IOMEM_SIZE 0x10000u

struct testdev {
    char id[32];                          /* configuration */
    struct log *log;                      /* configuration */
    struct irq_line lines[TESTDEV_LINES]; /* configuration */
    u32 data;
    u8 iomem[IOMEM_SIZE];
};

static u32 ioport_read(void *self, u16 offset, unsigned size)
{
    const struct testdev *t = self;
    return (u32)((t->data >> (8 * offset)) & size_mask(size));
}

static void ioport_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct testdev *t = self;
    t->data = (u32)bits_set(t->data, 8u * offset, 8 * size, value);
}

static u32 write_only_read(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    return 0;
}

static void flush_write(void *self, u16 offset, u32 value, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(value);
    UNUSED(size);
}

static void line_write(void *self, u16 offset, u32 value, unsigned size)
{
    const struct testdev *t = self;
    UNUSED(size);
    if (offset < TESTDEV_LINES) {
        irq_set(&t->lines[offset], value != 0);
    } else {
        log_unimp(t->log, "testdev: interrupt line %u", (unsigned)offset);
    }
}

static u64 iomem_read(void *self, u64 offset, unsigned size)
{
    const struct testdev *t = self;
    return load_le(t->iomem + offset, size);
}

static void iomem_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct testdev *t = self;
    store_le(t->iomem + offset, value, size);
}

static const struct port_ops ioport_ops = {.read = ioport_read, .write = ioport_write};
static const struct port_ops ioport_byte_ops = {
    .read = ioport_read, .write = ioport_write, .max_size = 1};
static const struct port_ops flush_ops = {.read = write_only_read, .write = flush_write};
static const struct port_ops line_ops = {
    .read = write_only_read, .write = line_write, .max_size = 1};
static const struct mmio_ops iomem_ops = {.read = iomem_read, .write = iomem_write};

static void testdev_reset(void *self, enum reset_kind kind)
{
    struct testdev *t = self;
    if (kind == RESET_POWER) {
        t->data = 0;
        memset(t->iomem, 0, sizeof t->iomem);
    }
    for (unsigned i = 0; i < TESTDEV_LINES; i++) {
        irq_set(&t->lines[i], false);
    }
}

static void testdev_state(void *self, struct state_io *io)
{
    struct testdev *t = self;
    state_section(io, t->id, 1);
    state_u32(io, "data", &t->data);
    state_bytes(io, "iomem", t->iomem, sizeof t->iomem);
}

static const struct device_ops testdev_ops = {
    .type = "testdev", .reset = testdev_reset, .state = testdev_state, .destroy = free};

void testdev_new(const struct device_env *env, const char *id,
                 const struct irq_line lines[TESTDEV_LINES])
{
    struct testdev *t = calloc(1, sizeof *t);
    sim_assert(t != NULL);
    (void)snprintf(t->id, sizeof t->id, "%s", id);
    t->log = env->log;
    for (unsigned i = 0; i < TESTDEV_LINES; i++) {
        t->lines[i] = lines[i];
    }
    bus_add_ports(env->bus, 0xe0, 4, &ioport_ops, t, "testdev data");
    bus_add_ports(env->bus, 0xe4, 4, &flush_ops, t, "testdev flush page");
    bus_add_ports(env->bus, 0xe8, 4, &ioport_byte_ops, t, "testdev bytes");
    bus_add_ports(env->bus, 0x2000, LINE_PORTS, &line_ops, t, "testdev lines");
    phys_add_mmio(env->phys, SPA(IOMEM_BASE), IOMEM_SIZE, 0, &iomem_ops, t, "testdev memory");
    bus_add_device(env->bus, &testdev_ops, t, id);
}
