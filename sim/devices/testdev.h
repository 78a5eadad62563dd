/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pc-testdev, as kvm-unit-tests uses it. See testdev.c. */
#ifndef VITRINE_DEVICES_TESTDEV_H
#define VITRINE_DEVICES_TESTDEV_H

#include "devices/bus.h"
#include "devices/device.h"

#define TESTDEV_LINES 16

/* Claims 0xe0-0xeb, 0x2000-0x2017 and 64 KiB at 0xff000000; owned by the bus. Line n is ISA
 * interrupt n. */
void testdev_new(const struct device_env *env, const char *id,
                 const struct irq_line lines[TESTDEV_LINES]);

#endif
