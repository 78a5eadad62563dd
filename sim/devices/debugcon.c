/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The debug console of Bochs and QEMU: every byte written is printed, reading gives 0xe9. No state.
 */
#include "devices/debugcon.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

struct debugcon {
    char id[32];        /* configuration */
    struct chardev chr; /* configuration */
};

static u32 debugcon_read(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    return 0xe9;
}

static void debugcon_write(void *self, u16 offset, u32 value, unsigned size)
{
    const struct debugcon *d = self;
    UNUSED(offset);
    UNUSED(size);
    u8 byte = (u8)value;
    chardev_write(&d->chr, &byte, 1);
}

static const struct port_ops debugcon_ports = {
    .read = debugcon_read, .write = debugcon_write, .max_size = 1};

static void debugcon_reset(void *self, enum reset_kind kind)
{
    UNUSED(self);
    UNUSED(kind);
}

static void debugcon_state(void *self, struct state_io *io)
{
    struct debugcon *d = self;
    state_section(io, d->id, 1);
}

static const struct device_ops debugcon_ops = {
    .type = "debugcon", .reset = debugcon_reset, .state = debugcon_state, .destroy = free};

void debugcon_new(const struct device_env *env, const char *id, u16 port, struct chardev chr)
{
    struct debugcon *d = calloc(1, sizeof *d);
    sim_assert(d != NULL);
    (void)snprintf(d->id, sizeof d->id, "%s", id);
    d->chr = chr;
    bus_add_ports(env->bus, port, 1, &debugcon_ports, d, "debugcon");
    bus_add_device(env->bus, &debugcon_ops, d, id);
}
