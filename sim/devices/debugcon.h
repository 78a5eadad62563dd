/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Debug console: one port that takes characters. */
#ifndef VITRINE_DEVICES_DEBUGCON_H
#define VITRINE_DEVICES_DEBUGCON_H

#include "devices/bus.h"
#include "devices/chardev.h"
#include "devices/device.h"

#define DEBUGCON_PORT 0xe9

/* Claims one port; owned by the bus. Reading gives 0xe9, by which software knows it is there. */
void debugcon_new(const struct device_env *env, const char *id, u16 port, struct chardev chr);

#endif
