/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The PC's pair of 8259A interrupt controllers with ELCR. See i8259.c for what is modelled. */
#ifndef VITRINE_DEVICES_I8259_H
#define VITRINE_DEVICES_I8259_H

#include "devices/bus.h"
#include "devices/device.h"

struct i8259;

/* Claims 0x20-0x21, 0xa0-0xa1, 0x4d0-0x4d1; owned by the bus. `intr` follows the master's INT pin:
 * it goes to the processors' LINT0 and to pin 0 of the I/O APIC if the board wires it so. */
struct i8259 *i8259_new(const struct device_env *env, const char *id, struct irq_line intr);

/* Input line IRQ0..IRQ15. Line 2 is the cascade: what is set there is ignored. */
struct irq_line i8259_input(struct i8259 *pic, unsigned irq);

/* Level of the INT pin. */
bool i8259_intr(const struct i8259 *pic);

/* The processor's interrupt acknowledge: returns the vector. Spurious when nothing requests any
 * more: IRQ7's or IRQ15's vector, without its in-service bit. */
u8 i8259_ack(struct i8259 *pic);

#endif
