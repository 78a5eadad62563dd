/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local APIC: part of the processor. xAPIC (MMIO), x2APIC (MSRs), timer, IPIs. */
#ifndef VITRINE_CPU_APIC_H
#define VITRINE_CPU_APIC_H

#include "base/state.h"
#include "base/types.h"
#include "cpu/cpu.h"

struct apic *apic_new(struct cpu *cpu);
void apic_free(struct apic *apic);
void apic_reset(struct apic *apic, bool init); /* init: keeps the ID and APIC base */
void apic_state(struct apic *apic, struct state_io *io);

/* Highest-priority fixed interrupt that beats PPR: vector, or -1. LINT0 ExtINT excluded. */
int apic_pending(struct apic *apic);
/* Is an ExtINT (8259) waiting and let through (LINT0 mode, APIC disabled)? */
bool apic_extint_pending(struct apic *apic);
/* Acknowledge: move IRR to ISR. The vector must be what apic_pending returned. */
void apic_ack(struct apic *apic, u8 vector);
/* The vector of an ExtINT was fetched from the 8259: forget a message that announced it. */
void apic_ack_extint(struct apic *apic);
/* LINT0/LINT1 wires from the board. */
void apic_set_lint(struct apic *apic, unsigned pin, bool level);

/* System-physical address of this processor's APIC page; ~0 while it is disabled or in x2APIC mode.
 */
u64 apic_mmio_base(const struct apic *apic);
enum apic_lvt {
    APIC_LVT_TIMER,
    APIC_LVT_THERMAL,
    APIC_LVT_PERF,
    APIC_LVT_LINT0,
    APIC_LVT_LINT1,
    APIC_LVT_ERROR,
    APIC_LVT_CMCI, /* Intel */
    APIC_LVT_COUNT
};
/* A source inside the processor raises its interrupt: performance counters, machine checks. */
void apic_local_event(struct apic *apic, enum apic_lvt lvt);

/* The processor's own page of APIC registers, or ~0 when it decodes none (off, x2APIC mode). */
u64 apic_mmio_base(const struct apic *apic);
/* MMIO page at APIC_BASE; offset 0..0xfff. */
u64 apic_mmio_read(struct apic *apic, u64 offset, unsigned size);
void apic_mmio_write(struct apic *apic, u64 offset, u64 value, unsigned size);
/* x2APIC MSRs 0x800-0x8ff and IA32_APIC_BASE, IA32_TSC_DEADLINE. */
cpu_rc apic_msr_read(struct apic *apic, u32 index, u64 *value) MUST_USE;
cpu_rc apic_msr_write(struct apic *apic, u32 index, u64 value) MUST_USE;

/* What the timer counts, before its divider: the core crystal of CPUID leaf 15h on Intel, the
 * reference clock on AMD. */
u64 apic_timer_hz(const struct cpu *cpu);
/* The TSC was written: the deadline timer follows. */
void apic_tsc_moved(struct apic *apic);

/* CR8: task priority. */
u64 apic_get_cr8(const struct apic *apic);
void apic_set_cr8(struct apic *apic, u64 tpr);

/* An MSI or I/O APIC message (address and data in the MSI format) arrives from the board, for all
 * processors of the set. */
void apic_bus_msi(struct cpu_set *set, u64 address, u32 data);

#endif
