/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Performance counters. [SDM3 "Architectural Performance Monitoring"], [APM2 "Performance
 * Monitoring Counters"]
 *
 * Instructions retired; unhalted cycles, which are instructions times TSC rate over instruction rate (a
 * halted processor retires nothing); branches retired and mispredicted, for which the processor goes
 * step by step (lbr.c) while a counter wants them. Other events count nothing.
 *
 * A running counter holds its value minus the source, so that counting costs nothing. Freeze turns
 * all into plain values, thaw back; controls change between the two. Overflows are noted whenever
 * counters are looked at; a timer aims at the earliest possible moment of the next one and aims
 * again when the processor was not running all the time.
 *
 * CMASK compares with what a single cycle brings: one cycle, at most one instruction.
 *
 * Left out: edge detect, INV with CMASK 1 on instructions (stalled cycles), AnyThread, guest/host filters, events of
 * caches (CPUID leaf 0Ah says so). */
#include "cpu/pmu.h"

#include "base/bits.h"
#include "cpu/apic.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"

#include <stdlib.h>

#define WIDTH_MASK (BIT(PMU_WIDTH) - 1)
#define FIXED_BASE 32u

#define EVTSEL_USR BIT(16)
#define EVTSEL_OS BIT(17)
#define EVTSEL_INT BIT(20)
#define EVTSEL_EN BIT(22)
#define EVTSEL_INV BIT(23)
#define FIXED_OS 1u
#define FIXED_USR 2u
#define FIXED_PMI 8u

enum source { SOURCE_NONE, SOURCE_INSTRUCTIONS, SOURCE_CYCLES, SOURCE_BRANCHES, SOURCE_MISPREDICTED };

struct pmu {
    struct cpu *cpu;
    struct timer overflow;
};

/* Retired before the current instruction: ist_count is brought up to date at the end of a block. */
static u64 retired(const struct cpu *cpu)
{
    u64 closed = (u64)((i64)cpu->d.slice_budget - cpu->d.left);
    u64 running =
        cpu->d.block_start != NULL ? cpu_slice_counts((void *)(uintptr_t)cpu) - closed : 0;
    return cpu->arch.ist_count + running;
}

u64 pmu_unhalted_cycles(const struct cpu *cpu)
{
    return mul_div(retired(cpu), cpu->clock->tsc_hz, cpu->clock->ips);
}

static u64 source_now(const struct cpu *cpu, enum source s)
{
    switch (s) {
    case SOURCE_INSTRUCTIONS:
        return retired(cpu);
    case SOURCE_CYCLES:
        return pmu_unhalted_cycles(cpu);
    case SOURCE_BRANCHES:
        return cpu->arch.store.branches[0];
    case SOURCE_MISPREDICTED:
        return cpu->arch.store.mispredicted[0];
    case SOURCE_NONE:
        break;
    }
    return 0;
}

static unsigned gp_count(const struct cpu *cpu)
{
    if (cpu_is_intel(cpu)) {
        return PMU_INTEL_GP;
    }
    return cpu_has(cpu, CPU_FEATURE_PERFCTR_CORE) ? PMU_AMD_GP : 4;
}

static unsigned fixed_count(const struct cpu *cpu)
{
    return cpu_is_intel(cpu) ? PMU_INTEL_FIXED : 0;
}

static enum source plain_event(const struct cpu *cpu, u64 evtsel)
{
    u64 event = evtsel & 0xff, umask = evtsel >> 8 & 0xff;
    if (event == 0xc0 && (umask == 0 || !cpu_is_intel(cpu))) {
        return SOURCE_INSTRUCTIONS;
    }
    if (cpu_is_intel(cpu)) {
        switch (event) {
        case 0x3c:
            return umask <= 1 ? SOURCE_CYCLES : SOURCE_NONE;
        case 0xc4:
            return umask == 0 ? SOURCE_BRANCHES : SOURCE_NONE;
        case 0xc5:
            return umask == 0 ? SOURCE_MISPREDICTED : SOURCE_NONE;
        default:
            return SOURCE_NONE;
        }
    }
    switch (event | (evtsel >> 24 & 0xf00)) {
    case 0x76:
        return SOURCE_CYCLES;
    case 0xc2:
        return SOURCE_BRANCHES;
    case 0xc3:
        return SOURCE_MISPREDICTED;
    default:
        return SOURCE_NONE;
    }
}

/* [SDM3 "IA32_PERFEVTSELx MSRs"] with a counter mask, cycles are counted in which the event happened at
 * least (INV: fewer than) that many times. */
static enum source event_source(const struct cpu *cpu, u64 evtsel)
{
    enum source s = plain_event(cpu, evtsel);
    u64 cmask = evtsel >> 24 & 0xff;
    bool inv = (evtsel & EVTSEL_INV) != 0;
    if (cmask == 0 || s == SOURCE_NONE) {
        return s;
    }
    if (cmask > 1) {
        return inv ? SOURCE_CYCLES : SOURCE_NONE;
    }
    return inv ? SOURCE_NONE : s;
}

struct control {
    enum source source; /* NONE: stands still */
    bool os, user, pmi;
};

static struct control control_of(const struct cpu *cpu, unsigned counter)
{
    const struct cpu_arch *a = &cpu->arch;
    struct control c = {0};
    if (counter >= FIXED_BASE) {
        unsigned i = counter - FIXED_BASE;
        unsigned bits = (unsigned)(a->pmc_fixed_ctrl >> (4 * i)) & 0xf;
        c.os = (bits & FIXED_OS) != 0;
        c.user = (bits & FIXED_USR) != 0;
        c.pmi = (bits & FIXED_PMI) != 0;
        c.source = i == 0 ? SOURCE_INSTRUCTIONS : SOURCE_CYCLES;
    } else if ((a->pmc_evtsel[counter] & EVTSEL_EN) != 0) {
        u64 sel = a->pmc_evtsel[counter];
        c.os = (sel & EVTSEL_OS) != 0;
        c.user = (sel & EVTSEL_USR) != 0;
        c.pmi = (sel & EVTSEL_INT) != 0;
        c.source = event_source(cpu, sel);
    }
    bool enabled = !cpu_is_intel(cpu) || (a->pmc_global_ctrl & BIT(counter)) != 0;
    if (!enabled || !cpu->model->pmu || (!c.os && !c.user)) {
        c.source = SOURCE_NONE;
    }
    return c;
}

/* What drives a counter since the last thaw. */
static enum source running_source(const struct cpu *cpu, const struct control *c)
{
    bool counts = cpu->arch.store.pmu_user[0] != 0 ? c->user : c->os;
    return counts ? c->source : SOURCE_NONE;
}

static u64 *counter_field(struct cpu *cpu, unsigned counter)
{
    return counter >= FIXED_BASE ? &cpu->arch.pmc_fixed[counter - FIXED_BASE]
                                 : &cpu->arch.pmc_gp[counter];
}

/* Counters in a row: general ones, then fixed ones. */
static unsigned nth_counter(const struct cpu *cpu, unsigned n)
{
    return n < gp_count(cpu) ? n : FIXED_BASE + n - gp_count(cpu);
}

static unsigned counters(const struct cpu *cpu)
{
    return gp_count(cpu) + fixed_count(cpu);
}

static void overflowed(struct cpu *cpu, unsigned counter, const struct control *c)
{
    if (cpu_is_intel(cpu)) {
        cpu->arch.pmc_global_status |= BIT(counter);
    }
    if (c->pmi && cpu->apic != NULL) {
        apic_local_event(cpu->apic, APIC_LVT_PERF);
    }
}

static bool asks_for_freeze(const struct cpu *cpu)
{
    return (cpu->arch.debugctl & (DEBUGCTL_FREEZE_LBRS_ON_PMI | DEBUGCTL_FREEZE_PERFMON_ON_PMI)) != 0 &&
           cpu_is_intel(cpu);
}

void pmu_freeze(struct cpu *cpu)
{
    bool pmi = false;
    for (unsigned n = 0; n < counters(cpu); n++) {
        unsigned counter = nth_counter(cpu, n);
        struct control c = control_of(cpu, counter);
        u64 *field = counter_field(cpu, counter);
        *field += source_now(cpu, running_source(cpu, &c));
        if (*field > WIDTH_MASK) {
            *field &= WIDTH_MASK;
            overflowed(cpu, counter, &c);
            pmi |= c.pmi;
        }
    }
    if (pmi && asks_for_freeze(cpu)) {
        debug_freeze_on_pmi(cpu);
    }
}

/* Where the virtual clock stands when the source has advanced by `events`, at the earliest. */
static u64 ns_until(const struct cpu *cpu, enum source s, u64 events)
{
    u64 hz = s == SOURCE_CYCLES ? cpu->clock->tsc_hz : cpu->clock->ips;
    u128 ns = ((u128)events * NS_PER_SEC + hz - 1) / hz;
    return ns > (u64)INT64_MAX ? (u64)INT64_MAX : (u64)ns;
}

void pmu_thaw(struct cpu *cpu)
{
    u64 nearest = ~(u64)0;
    bool filtered = false, branching = false;
    cpu->arch.store.pmu_user[0] = cpu_cpl(cpu) == 3;
    for (unsigned n = 0; n < counters(cpu); n++) {
        unsigned counter = nth_counter(cpu, n);
        struct control c = control_of(cpu, counter);
        filtered |= c.source != SOURCE_NONE && c.os != c.user;
        branching |= c.source == SOURCE_BRANCHES || c.source == SOURCE_MISPREDICTED;
        enum source s = running_source(cpu, &c);
        u64 *field = counter_field(cpu, counter);
        if (s != SOURCE_NONE && (c.pmi || cpu_is_intel(cpu))) {
            u64 ns = ns_until(cpu, s, WIDTH_MASK + 1 - *field);
            nearest = ns < nearest ? ns : nearest;
        }
        *field -= source_now(cpu, s);
    }
    cpu->arch.store.pmu_filtered[0] = filtered;
    if (debug_counts_branches(cpu) != branching) { /* no change of CPL comes here */
        cpu->arch.store.pmu_branching[0] = branching;
        cpu_update_mode(cpu);
    }
    if (cpu->pmu == NULL) {
        return;
    }
    u64 now = clock_now(cpu->clock).ns;
    if (nearest < (u64)INT64_MAX && now < (u64)INT64_MAX) {
        timer_arm(&cpu->pmu->overflow, (vtime_t){now + (nearest > 0 ? nearest : 1)});
    } else {
        timer_cancel(&cpu->pmu->overflow);
    }
}

void pmu_cpl_changed(struct cpu *cpu)
{
    if ((cpu->arch.store.pmu_user[0] != 0) != (cpu_cpl(cpu) == 3)) {
        pmu_freeze(cpu);
        pmu_thaw(cpu);
    }
}

u64 pmu_counter(struct cpu *cpu, unsigned counter)
{
    pmu_freeze(cpu);
    u64 value = *counter_field(cpu, counter);
    pmu_thaw(cpu);
    return value;
}

void pmu_set_counter(struct cpu *cpu, unsigned counter, u64 value)
{
    pmu_freeze(cpu);
    *counter_field(cpu, counter) = value & WIDTH_MASK;
    pmu_thaw(cpu);
}

cpu_rc pmu_rdpmc(struct cpu *cpu, u32 index, u64 *value)
{
    *value = 0;
    bool fixed = cpu_is_intel(cpu) && (index & BIT32(30)) != 0;
    u32 n = fixed ? index & ~BIT32(30) : index;
    if (!cpu->model->pmu || n >= (fixed ? fixed_count(cpu) : gp_count(cpu))) {
        return raise_gp(cpu, 0, "RDPMC: no such counter");
    }
    *value = pmu_counter(cpu, fixed ? FIXED_BASE + n : n);
    return CPU_OK;
}

static void on_overflow(void *self)
{
    struct pmu *pmu = self;
    pmu_freeze(pmu->cpu);
    pmu_thaw(pmu->cpu);
}

struct pmu *pmu_new(struct cpu *cpu)
{
    struct pmu *pmu = calloc(1, sizeof *pmu);
    if (pmu != NULL) {
        pmu->cpu = cpu;
        timer_init(&pmu->overflow, cpu->clock, "pmu", on_overflow, pmu);
    }
    return pmu;
}

void pmu_free(struct pmu *pmu)
{
    free(pmu);
}

void pmu_state(struct pmu *pmu, struct state_io *io)
{
    state_section(io, "pmu", 1);
    timer_state(&pmu->overflow, io, "overflow");
}
