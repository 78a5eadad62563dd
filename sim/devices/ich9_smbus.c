/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ICH9 SMBus controller 8086:2930 at 1f.3 [ICH9 "SMBus Controller Registers"] with an empty bus:
 * every transaction ends at once with DEV_ERR, as when no slave acknowledges. Left out: the slave
 * function, SMBALERT#, I2C reads, SMI instead of an interrupt. */
#include "devices/q35.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

#define SMB_SIZE 32
#define SMB_HST_STS 0x00
#define SMB_HST_CNT 0x02
#define SMB_SLV_STS 0x10

#define HST_STS_DEV_ERR 0x04
#define HST_STS_INTERRUPTS 0x1e /* INTR, DEV_ERR, BUS_ERR, FAILED */
#define HST_STS_INUSE 0x40
#define HST_CNT_INTREN 0x01
#define HST_CNT_START 0x40

struct smbus {
    struct pci_function fn;
    u8 regs[SMB_SIZE];
};

static bool host_is_enabled(const struct smbus *s)
{
    return (s->fn.config[ICH9_SMB_HOSTC] & 1) != 0;
}

static void update_interrupt(struct smbus *s)
{
    pci_set_intx(&s->fn, (s->regs[SMB_HST_CNT] & HST_CNT_INTREN) != 0 &&
                             (s->regs[SMB_HST_STS] & HST_STS_INTERRUPTS) != 0);
}

static u32 port_read(void *self, u16 offset, unsigned size)
{
    struct smbus *s = self;
    UNUSED(size);
    if (!host_is_enabled(s)) {
        return 0xff;
    }
    u8 value = s->regs[offset];
    if (offset == SMB_HST_STS) {
        s->regs[SMB_HST_STS] |= HST_STS_INUSE; /* a semaphore: reading takes it */
    }
    return value;
}

static void port_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct smbus *s = self;
    UNUSED(size);
    if (!host_is_enabled(s)) {
        return;
    }
    if (offset == SMB_HST_STS) {
        s->regs[offset] &= (u8)~value;
    } else if (offset == SMB_HST_CNT) {
        s->regs[offset] = (u8)(value & ~(u32)HST_CNT_START); /* START reads as 0 */
        if ((value & HST_CNT_START) != 0) {
            s->regs[SMB_HST_STS] |= HST_STS_DEV_ERR;
        }
    } else if (offset != SMB_SLV_STS) {
        s->regs[offset] = (u8)value;
    }
    update_interrupt(s);
}

static const struct port_ops port_ops = {.read = port_read, .write = port_write, .max_size = 1};

static const struct pci_function_ops function_ops = {.config_written = NULL};

static void reset(void *self, enum reset_kind kind)
{
    struct smbus *s = self;
    UNUSED(kind);
    pci_function_reset(&s->fn);
    memset(s->regs, 0, sizeof s->regs);
}

static void state(void *self, struct state_io *io)
{
    struct smbus *s = self;
    state_section(io, "ich9-smbus", 1);
    pci_function_state(&s->fn, io);
    state_bytes(io, "regs", s->regs, sizeof s->regs);
}

static void destroy(void *self)
{
    struct smbus *s = self;
    pci_function_free(&s->fn);
    free(s);
}

static const struct device_ops ops = {
    .type = "ich9-smbus", .reset = reset, .state = state, .destroy = destroy};

void ich9_smbus_new(const struct device_env *env, struct pci_bus *bus)
{
    struct smbus *s = calloc(1, sizeof *s);
    sim_assert(s != NULL);
    const struct pci_ids ids = {
        .vendor = 0x8086, .device = 0x2930, .class_code = 0x0c0500, .revision = 2, .pin = 1};
    pci_add_function(bus, &s->fn, ICH9_SMBUS_DEVFN, &ids, &function_ops, s);
    pci_add_io_bar(&s->fn, 4, SMB_SIZE, &port_ops, s, "smbus");
    pci_set_writable(&s->fn, ICH9_SMB_HOSTC, 0x0f, 1);
    bus_add_device(env->bus, &ops, s, "ich9-smbus");
}
