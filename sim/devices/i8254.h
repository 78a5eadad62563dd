/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8254 interval timer and port 0x61. See i8254.c for what is modelled. */
#ifndef VITRINE_DEVICES_I8254_H
#define VITRINE_DEVICES_I8254_H

#include "devices/bus.h"
#include "devices/device.h"

#define I8254_HZ 1193182u

struct i8254;

/* Claims 0x40-0x43 and 0x61; owned by the bus. `irq0` follows the output of counter 0. */
struct i8254 *i8254_new(const struct device_env *env, const char *id, struct irq_line irq0);

#endif
