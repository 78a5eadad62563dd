/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Performance counters: instructions, unhalted cycles, branches. Part of the processor. */
#ifndef VITRINE_CPU_PMU_H
#define VITRINE_CPU_PMU_H

#include "base/state.h"
#include "cpu/cpu.h"

#define PMU_INTEL_VERSION 2u
#define PMU_INTEL_GP 8u
#define PMU_INTEL_FIXED 3u
#define PMU_AMD_GP 6u
#define PMU_WIDTH 48u

struct pmu; /* its overflow timer; the registers are in struct cpu_arch */

struct pmu *pmu_new(struct cpu *cpu);
void pmu_free(struct pmu *pmu);
void pmu_state(struct pmu *pmu, struct state_io *io);

/* Value of a counter: 0.. general, 32.. fixed. */
u64 pmu_counter(struct cpu *cpu, unsigned counter);
void pmu_set_counter(struct cpu *cpu, unsigned counter, u64 value);
/* Around every change of a control register: counters keep their values. */
void pmu_freeze(struct cpu *cpu);
void pmu_thaw(struct cpu *cpu);

/* After a change of CPL, when arch.store.pmu_filtered is not 0. */
void pmu_cpl_changed(struct cpu *cpu);

/* RDPMC, after its privilege check: #GP(0) for counters that do not exist. */
cpu_rc pmu_rdpmc(struct cpu *cpu, u32 index, u64 *value) MUST_USE;

/* Cycles in which this processor ran (not halted), at the TSC's rate. */
u64 pmu_unhalted_cycles(const struct cpu *cpu);

#endif
