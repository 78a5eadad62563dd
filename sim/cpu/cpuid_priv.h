/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of CPUID. */
#ifndef VITRINE_CPU_CPUID_PRIV_H
#define VITRINE_CPU_CPUID_PRIV_H

#include "cpu/model.h"

/* Processors in the package, at least 1 (a processor under test may have no set). */
unsigned cpuid_processors(const struct cpu *cpu);
/* Bits that hold any processor number. */
unsigned cpuid_core_bits(const struct cpu *cpu);

struct cpuid_regs cpuid_intel_caches(const struct cpu *cpu, u32 subleaf); /* leaf 4 */
struct cpuid_regs cpuid_topology(const struct cpu *cpu, u32 subleaf);     /* leaves 0Bh, 1Fh */
struct cpuid_regs cpuid_amd_l1(void);                                     /* leaf 80000005h */
struct cpuid_regs cpuid_l2(const struct cpu *cpu);                        /* leaf 80000006h */
struct cpuid_regs cpuid_amd_caches(const struct cpu *cpu, u32 subleaf);   /* leaf 8000001Dh */
struct cpuid_regs cpuid_amd_topology(const struct cpu *cpu);              /* leaf 8000001Eh */

/* AMD's override registers: change what leaf 6 or 7 (sub-leaf 0), 1 or 80000001h says. */
void cpuid_override(const struct cpu *cpu, u32 leaf, struct cpuid_regs *r);

#endif
