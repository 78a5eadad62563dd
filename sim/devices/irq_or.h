/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Wires that meet: several sources drive one line, and one line reaches several receivers.
 *
 * The PC shares its ISA lines (serial ports 1 and 3) and leads each of them to the 8259 pair and to
 * the I/O APIC; PCI's links share lines by design. Each source gets an irq_line of its own from
 * irq_or_source; the output is high while any source is, and changes only when that changes. */
#ifndef VITRINE_DEVICES_IRQ_OR_H
#define VITRINE_DEVICES_IRQ_OR_H

#include "devices/bus.h"
#include "devices/device.h"

#define IRQ_OR_MAX_SINKS 3

struct irq_or;

/* Outputs are copied; sinks with a NULL `set` are ignored. Owned by the bus. */
struct irq_or *irq_or_new(const struct device_env *env, const char *id,
                          const struct irq_line *sinks, unsigned sink_count);
/* A further source; up to 64. The order of calls is configuration. */
struct irq_line irq_or_source(struct irq_or *wire);

#endif
