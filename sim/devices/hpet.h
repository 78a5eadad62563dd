/* SPDX-License-Identifier: GPL-3.0-or-later */
/* High precision event timer block. See hpet.c for what is modelled. */
#ifndef VITRINE_DEVICES_HPET_H
#define VITRINE_DEVICES_HPET_H

#include "devices/device.h"

#define HPET_HZ 100000000u
#define HPET_PERIOD_FS 10000000u
#define HPET_TIMERS 3
/* The register block's ID for the ACPI table: the low half of GCAP_ID. */
#define HPET_BLOCK_ID 0x8086a201u

struct hpet;

/* Legacy replacement puts the HPET between the timer and the clock chip and their lines, so both go
 * through here; pins are those of the I/O APIC, for routing without legacy replacement. */
struct hpet_outputs {
    struct irq_line irq0;
    struct irq_line irq8;
    struct irq_line pins[24];
};

/* Claims 1 KiB at `base`; owned by the bus. `requester`: the ID its MSIs carry. */
struct hpet *hpet_new(const struct device_env *env, const char *id, spa_t base, u16 requester,
                      const struct hpet_outputs *out);

/* Where the 8254's counter 0 and the RTC's interrupt go. */
struct irq_line hpet_pit_input(struct hpet *hpet);
struct irq_line hpet_rtc_input(struct hpet *hpet);

#endif
