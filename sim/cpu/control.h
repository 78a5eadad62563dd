/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control registers as MOV CR, LMSW, task switches, RSM and VM transitions write them. */
#ifndef VITRINE_CPU_CONTROL_H
#define VITRINE_CPU_CONTROL_H

#include "cpu/cpu.h"

/* With the checks of MOV: #GP(0) and nothing changed when one fails. */
cpu_rc cr0_write(struct cpu *cpu, u64 value) MUST_USE;
cpu_rc cr3_write(struct cpu *cpu, u64 value) MUST_USE;
cpu_rc cr4_write(struct cpu *cpu, u64 value) MUST_USE;

/* Bits of CR4 that this model has; bits of CR3 that must be 0 (bit 63 is no flush on MOV only). */
u64 cr4_supported(const struct cpu *cpu);
u64 cr3_reserved(const struct cpu *cpu);

/* PAE paging: read the four page-directory pointers that `cr3` names and check their reserved bits
 * (#GP(0)). [SDM3 "PDPTE Registers"] */
cpu_rc cr3_read_pdptes(struct cpu *cpu, u64 cr3, u64 pdpte[4]) MUST_USE;

#endif
