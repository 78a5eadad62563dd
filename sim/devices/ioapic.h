/* SPDX-License-Identifier: GPL-3.0-or-later */
/* I/O APIC with 24 pins. See ioapic.c for what is modelled.
 *
 * Interrupts leave as MSI writes through device_env.msi, because that is what an I/O APIC does on a
 * board with interrupt remapping [VTD "Programming in I/OxAPIC Redirection Table Entry"]:
 *   address = 0xfee00000 | entry[63:48] << 4 | entry[11] << 2
 *   data    = entry[15] << 15 | level assert << 14 | entry[10:8] << 8 | entry[7:0]
 * In the compatibility format that reads as destination, mode, trigger, delivery mode and vector;
 * in the remappable format as the index. Nothing else needs to know which. */
#ifndef VITRINE_DEVICES_IOAPIC_H
#define VITRINE_DEVICES_IOAPIC_H

#include "devices/device.h"

#define IOAPIC_PINS 24

struct ioapic;

/* Claims 4 KiB at `base`; owned by the bus. `requester`: the ID its messages carry. */
struct ioapic *ioapic_new(const struct device_env *env, const char *id, spa_t base, u16 requester);

/* Input pin 0..23. High means "requesting", whatever the polarity bit says. */
struct irq_line ioapic_input(struct ioapic *apic, unsigned pin);

/* A processor broadcasts the end of a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *apic, u8 vector);

/* For the debugger and for what looks up a pin's routing. */
u64 ioapic_redirection(const struct ioapic *apic, unsigned pin);

#endif
