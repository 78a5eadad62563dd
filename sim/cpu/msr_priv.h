/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The handlers behind msr.def's names: msr.c and its companions. */
#ifndef VITRINE_CPU_MSR_PRIV_H
#define VITRINE_CPU_MSR_PRIV_H

#include "base/bits.h"
#include "cpu/cpu.h"
#include "cpu/model.h"
#include "cpu/msr.h"

enum msr_vendor { MSR_OF_ANY, MSR_OF_INTEL, MSR_OF_AMD };

struct msr_row;
typedef cpu_rc (*msr_read_fn)(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value);
typedef cpu_rc (*msr_write_fn)(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value);

struct msr_row {
    u32 first, last;
    const char *name;
    msr_read_fn read;
    msr_write_fn write;
    size_t offset; /* of the first register in struct cpu_arch; MSR_NOWHERE */
    u64 reset, writable;
    enum msr_vendor vendor;
    int gate; /* cpu_feature, or one of the special ones below */
};

#define MSR_NOWHERE ((size_t)-1)
enum msr_gate {
    MSR_GATE_ALWAYS = -1,
    MSR_GATE_PMU = -2,
    MSR_GATE_PMU_FULL = -3,
    MSR_GATE_CET = -4,
    MSR_GATE_EFER = -5,
    MSR_GATE_CET_SS_LM = -6,
};

/* The field behind a register of a row. */
static inline u64 *msr_field(struct cpu *cpu, const struct msr_row *row, u32 index)
{
    return (u64 *)(void *)((u8 *)&cpu->arch + row->offset) + (index - row->first);
}

/* One prototype for all handlers; definitions are written with the same words. */
#define MSR_READER(name) \
    MUST_USE cpu_rc rd_##name(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
#define MSR_WRITER(name) \
    MUST_USE cpu_rc wr_##name(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)

/* msr_mem.c: memory types and machine checks */
MSR_READER(mtrrcap);
MSR_READER(mtrr_var);
MSR_WRITER(mtrr_var);
MSR_READER(mtrr_fixed);
MSR_WRITER(mtrr_fixed);
MSR_WRITER(mtrr_def);
MSR_WRITER(pat);
MSR_READER(mcg_cap);
MSR_WRITER(mcg_ctl);
MSR_READER(mc_bank);
MSR_WRITER(mc_bank);

/* msr_perf.c: time, counters, frequency */
MSR_READER(tsc);
MSR_WRITER(tsc);
MSR_WRITER(tsc_adjust);
MSR_WRITER(tsc_aux);
MSR_READER(pmc);
MSR_WRITER(pmc);
MSR_WRITER(pmc_full);
MSR_READER(fixed);
MSR_WRITER(fixed);
MSR_WRITER(evtsel);
MSR_WRITER(pmu_control);
MSR_READER(global_status);
MSR_WRITER(global_ovf);
MSR_READER(amd_pmc);
MSR_WRITER(amd_pmc);
MSR_READER(amd_pmu);
MSR_WRITER(amd_pmu);
MSR_READER(aperfmperf);
MSR_WRITER(aperfmperf);
MSR_READER(amd_perf);
MSR_WRITER(amd_perf);
MSR_READER(platform_info);
MSR_READER(perf_status);
MSR_READER(turbo_limit);
MSR_READER(pstate_def);

/* cpuid_override.c */
MSR_READER(cpuid_override);
MSR_WRITER(cpuid_override);

/* vmx/caps.c */
MSR_READER(vmx_capability);

/* The power-up values of what msr_mem.c and msr_perf.c keep. */
void msr_perf_reset(struct cpu *cpu);

#endif
