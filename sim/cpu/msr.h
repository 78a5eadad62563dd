/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Model-specific registers: what others need beside msr_read() and msr_write() (cpu/model.h). */
#ifndef VITRINE_CPU_MSR_H
#define VITRINE_CPU_MSR_H

#include "abi/x86/msr.h"
#include "base/state.h"
#include "cpu/cpu.h"

/* Set every MSR to its value after power-up or INIT. EFER, FS and GS bases, SMBASE and
 * IA32_APIC_BASE are reset by those who own them. [SDM3 "Processor State After Reset"] */
void msr_reset(struct cpu *cpu, bool init);

/* Visit every MSR that struct cpu_arch holds, `store` included; not EFER and segment bases. */
void msr_state(struct cpu *cpu, struct state_io *io);

/* The manual's name of an MSR of this processor, or NULL when it has none of that number. */
const char *msr_name(const struct cpu *cpu, u32 index);

/* Canonical for the widest addresses this processor can have, whatever CR4.LA57 says: what WRMSR
 * and the descriptor-table loads check. */
bool msr_is_canonical(const struct cpu *cpu, u64 v);

/* EFER's writable bits on this processor. */
u64 msr_efer_mask(const struct cpu *cpu);

/* The memory type of a physical address by the MTRRs: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB. */
unsigned mtrr_type(const struct cpu *cpu, u64 spa);

#endif
