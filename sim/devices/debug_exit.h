/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isa-debug-exit: a guest ends the run by a write to a port. */
#ifndef VITRINE_DEVICES_DEBUG_EXIT_H
#define VITRINE_DEVICES_DEBUG_EXIT_H

#include "devices/bus.h"
#include "devices/device.h"

/* Claims iosize (1..4) ports at iobase; owned by the bus. `exit` is called in the middle of the
 * guest's access with what was written. QEMU's process would end with status value << 1 | 1. */
void debug_exit_new(const struct device_env *env, const char *id, u16 iobase, unsigned iosize,
                    void (*exit)(void *self, u32 value), void *self);

#endif
