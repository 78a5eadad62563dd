/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 16550A serial port at eight I/O ports. See uart16550.c for what is modelled. */
#ifndef VITRINE_DEVICES_UART16550_H
#define VITRINE_DEVICES_UART16550_H

#include "devices/bus.h"
#include "devices/chardev.h"
#include "devices/device.h"

struct uart16550;

/* Claims ports base..base+7; owned by the bus. `irq` is level, active high. */
struct uart16550 *uart16550_new(const struct device_env *env, const char *id, u16 base,
                                struct irq_line irq, struct chardev chr);

/* Where the machine pushes received bytes. */
struct chardev_end uart16550_end(struct uart16550 *uart);

/* The guest has enabled the received-data interrupt: somebody waits for input. (A guest that polls
 * instead never shows it.) */
bool uart16550_is_listening(const struct uart16550 *uart);

#endif
