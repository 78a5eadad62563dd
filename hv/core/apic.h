/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The physical local APIC and the time. hv owns both. */
#ifndef HV_CORE_APIC_H
#define HV_CORE_APIC_H

#include "hv/core/types.h"

struct cpu;

/* First processor: measure TSC and APIC timer against the PIT. */
void time_calibrate(void);
/* Each processor. */
void apic_init(void);
u32 apic_id(void);
void apic_eoi(void);
void apic_send_init(u32 id);
void apic_send_sipi(u32 id, u8 page);
/* Makes a processor leave its guest, or its HLT, and look at what there is to do. */
void cpu_kick(struct cpu *c);
/* One interrupt at a TSC value; sooner replaces later. 0: none. */
void timer_set(u64 tsc);

extern u64 tsc_hz;
/* Of the physical APIC timer with divider 1. */
extern u64 apic_timer_hz;

/* Reference time, 100 ns since the TSC was 0: the upper half of TSC * time_scale. And the TSC of such a moment. */
extern u64 time_scale;
u64 time_reference(void);
u64 time_tsc_of(u64 reference);
void time_delay_us(u64 us);

#endif
