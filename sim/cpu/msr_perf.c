/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time, performance counters and what the processor says of its frequencies (there is one: the
 * TSC's).
 *
 * TSC = clock_tsc + tsc_offset. IA32_TSC_ADJUST is what software added: writing either register
 * moves both. [SDM3 "Time-Stamp Counter Adjustment"] */
#include "cpu/apic.h"
#include "cpu/msr_priv.h"
#include "cpu/pmu.h"

#include <string.h>

#define BUS_HZ 100000000u
#define FIXED(i) (32 + (i))

static void move_tsc(struct cpu *cpu, u64 delta)
{
    cpu->arch.tsc_offset += delta;
    cpu->arch.tsc_adjust += delta;
    if (cpu->apic != NULL) {
        apic_tsc_moved(cpu->apic);
    }
}

MSR_READER(tsc)
{
    UNUSED(row);
    UNUSED(index);
    *value = cpu_rdtsc(cpu);
    return CPU_OK;
}

MSR_WRITER(tsc)
{
    UNUSED(row);
    UNUSED(index);
    /* A hypervisor's offset and scaling apply to reading only. */
    move_tsc(cpu, value - (clock_tsc(cpu->clock) + cpu->arch.tsc_offset));
    return CPU_OK;
}

MSR_WRITER(tsc_adjust)
{
    UNUSED(row);
    UNUSED(index);
    move_tsc(cpu, value - cpu->arch.tsc_adjust);
    return CPU_OK;
}

/* The upper half is reserved on Intel and ignored on AMD. */
MSR_WRITER(tsc_aux)
{
    UNUSED(row);
    UNUSED(index);
    if (value >> 32 != 0 && cpu_is_intel(cpu)) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits of IA32_TSC_AUX");
    }
    cpu->arch.tsc_aux = (u32)value;
    return CPU_OK;
}

/* ---- Counters ------------------------------------------------------------------------------- */

MSR_READER(pmc)
{
    *value = pmu_counter(cpu, index - row->first);
    return CPU_OK;
}

/* The old numbers take 32 bits and extend the sign; the new ones take the whole width. */
MSR_WRITER(pmc)
{
    pmu_set_counter(cpu, index - row->first, sign_extend((u32)value, 4));
    return CPU_OK;
}

MSR_WRITER(pmc_full)
{
    if (value >> PMU_WIDTH != 0) {
        return raise_gp(cpu, 0, "WRMSR: value wider than the counter");
    }
    pmu_set_counter(cpu, index - row->first, value);
    return CPU_OK;
}

MSR_READER(fixed)
{
    *value = pmu_counter(cpu, FIXED(index - row->first));
    return CPU_OK;
}

MSR_WRITER(fixed)
{
    pmu_set_counter(cpu, FIXED(index - row->first), value);
    return CPU_OK;
}

static cpu_rc write_control(struct cpu *cpu, const struct msr_row *row, u64 *field, u64 value)
{
    if ((value & ~row->writable) != 0) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits of a performance-monitoring control");
    }
    pmu_freeze(cpu);
    *field = value;
    pmu_thaw(cpu);
    return CPU_OK;
}

MSR_WRITER(evtsel)
{
    return write_control(cpu, row, msr_field(cpu, row, index), value);
}

MSR_WRITER(pmu_control)
{
    return write_control(cpu, row, msr_field(cpu, row, index), value);
}

MSR_READER(global_status)
{
    UNUSED(row);
    UNUSED(index);
    (void)pmu_counter(cpu, 0); /* notes overflows up to here */
    *value = cpu->arch.pmc_global_status;
    return CPU_OK;
}

MSR_WRITER(global_ovf)
{
    UNUSED(row);
    UNUSED(index);
    u64 counters = BIT(PMU_INTEL_GP) - 1;
    u64 fixed = (BIT(PMU_INTEL_FIXED) - 1) << 32;
    if ((value & ~(counters | fixed | BIT(62) | BIT(63))) != 0) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits of IA32_PERF_GLOBAL_OVF_CTRL");
    }
    (void)pmu_counter(cpu, 0);
    cpu->arch.pmc_global_status &= ~value;
    return CPU_OK;
}

MSR_READER(amd_pmc)
{
    *value = pmu_counter(cpu, index - row->first);
    return CPU_OK;
}

MSR_WRITER(amd_pmc)
{
    pmu_set_counter(cpu, index - row->first, value);
    return CPU_OK;
}

/* Control and counter alternate. */
MSR_READER(amd_pmu)
{
    unsigned i = (index - row->first) / 2;
    *value = (index & 1) != 0 ? pmu_counter(cpu, i) : cpu->arch.pmc_evtsel[i];
    return CPU_OK;
}

MSR_WRITER(amd_pmu)
{
    unsigned i = (index - row->first) / 2;
    if ((index & 1) != 0) {
        pmu_set_counter(cpu, i, value);
        return CPU_OK;
    }
    struct msr_row control = *row;
    control.writable = 0x30fffd7ffff;
    return write_control(cpu, &control, &cpu->arch.pmc_evtsel[i], value);
}

/* MPERF counts at the TSC's rate while the processor runs; APERF at its actual rate, the same here.
 */
MSR_READER(aperfmperf)
{
    u64 base = index == row->first ? cpu->arch.store.mperf[0] : cpu->arch.store.aperf[0];
    *value = base + pmu_unhalted_cycles(cpu);
    return CPU_OK;
}

MSR_WRITER(aperfmperf)
{
    u64 *base = index == row->first ? cpu->arch.store.mperf : cpu->arch.store.aperf;
    *base = value - pmu_unhalted_cycles(cpu);
    return CPU_OK;
}

MSR_READER(amd_perf)
{
    if (index == row->first + 2) { /* IRPERF */
        bool on = (cpu->arch.hwcr & HWCR_IRPERF_ENABLE) != 0;
        *value = on ? cpu->arch.store.irperf[0] + cpu->arch.ist_count : 0;
        return CPU_OK;
    }
    u64 base = index == row->first ? cpu->arch.store.mperf[0] : cpu->arch.store.aperf[0];
    *value = base + pmu_unhalted_cycles(cpu);
    return CPU_OK;
}

MSR_WRITER(amd_perf)
{
    if (index != row->first + 2) {
        return raise_gp(cpu, 0, "WRMSR to a read-only register");
    }
    cpu->arch.store.irperf[0] = value - cpu->arch.ist_count;
    return CPU_OK;
}

/* ---- Frequencies ---------------------------------------------------------------------------- */

static u64 ratio(const struct cpu *cpu)
{
    u64 r = cpu->clock->tsc_hz / BUS_HZ;
    return r == 0 ? 1 : r > 0xff ? 0xff : r;
}

MSR_READER(platform_info)
{
    UNUSED(row);
    UNUSED(index);
    u64 r = ratio(cpu);
    *value = r << 8 | r << 40; /* base and most efficient ratio; no CPUID faulting */
    return CPU_OK;
}

MSR_READER(perf_status)
{
    UNUSED(row);
    UNUSED(index);
    *value = ratio(cpu) << 8;
    return CPU_OK;
}

/* 1ADh: the ratio with as many cores active as 1AEh says, by bytes. */
MSR_READER(turbo_limit)
{
    *value = index == row->first ? ratio(cpu) * 0x0101010101010101u : 0x1010101010101010u;
    return CPU_OK;
}

/* P0 alone: frequency = 25 MHz * FID / (DID / 8). */
MSR_READER(pstate_def)
{
    u64 fid = cpu->clock->tsc_hz / 25000000 & 0xff;
    *value = index == row->first ? BIT(63) | 8u << 8 | fid : 0;
    return CPU_OK;
}

void msr_perf_reset(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    a->tsc_offset = 0 - clock_tsc(cpu->clock);
    a->tsc_adjust = 0;
    memset(a->pmc_gp, 0, sizeof a->pmc_gp);
    memset(a->pmc_fixed, 0, sizeof a->pmc_fixed);
    memset(a->pmc_evtsel, 0, sizeof a->pmc_evtsel);
    a->pmc_global_status = 0;
    a->pmc_fixed_ctrl = 0;
    a->pmc_global_ctrl = cpu_is_intel(cpu) ? BIT(PMU_INTEL_GP) - 1 : 0;
    a->store.mperf[0] = 0 - pmu_unhalted_cycles(cpu);
    a->store.aperf[0] = a->store.mperf[0];
    a->store.irperf[0] = 0 - a->ist_count;
    pmu_thaw(cpu);
}
