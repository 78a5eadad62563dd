/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's isa-debug-exit: any write is the end, reads give 0. No state. */
#include "devices/debug_exit.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

struct debug_exit {
    char id[32];                          /* configuration */
    void (*exit)(void *owner, u32 value); /* configuration */
    void *owner;                          /* configuration */
};

static u32 debug_exit_read(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    return 0;
}

static void debug_exit_write(void *self, u16 offset, u32 value, unsigned size)
{
    const struct debug_exit *d = self;
    UNUSED(offset);
    UNUSED(size);
    d->exit(d->owner, value);
}

static const struct port_ops debug_exit_ports = {.read = debug_exit_read,
                                                 .write = debug_exit_write};

static void debug_exit_reset(void *self, enum reset_kind kind)
{
    UNUSED(self);
    UNUSED(kind);
}

static void debug_exit_state(void *self, struct state_io *io)
{
    struct debug_exit *d = self;
    state_section(io, d->id, 1);
}

static const struct device_ops debug_exit_ops = {
    .type = "debug_exit", .reset = debug_exit_reset, .state = debug_exit_state, .destroy = free};

void debug_exit_new(const struct device_env *env, const char *id, u16 iobase, unsigned iosize,
                    void (*exit)(void *self, u32 value), void *self)
{
    struct debug_exit *d = calloc(1, sizeof *d);
    sim_assert(d != NULL && exit != NULL);
    (void)snprintf(d->id, sizeof d->id, "%s", id);
    d->exit = exit;
    d->owner = self;
    bus_add_ports(env->bus, iobase, iosize, &debug_exit_ports, d, "isa-debug-exit");
    bus_add_device(env->bus, &debug_exit_ops, d, id);
}
