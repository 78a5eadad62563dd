/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A few processors without memory or instructions: models, MSRs and APICs under test. Exceptions
 * are recorded in cpu->event. What the run loop and the memory side define is stubbed here. */
#ifndef VITRINE_TESTS_UNIT_CPU_RIG_H
#define VITRINE_TESTS_UNIT_CPU_RIG_H

#include "cpu/apic.h"
#include "cpu/mem.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/pmu.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG_CPUS 4
#define RIG_IPS 1000000000u
#define RIG_TSC_HZ 2000000000u

struct rig {
    struct clock clock;
    struct log log;
    struct cpu_model model;
    struct cpu cpu[RIG_CPUS];
    struct cpu_set set;
    u8 eoi[16];
    unsigned eoi_count;
};

cpu_rc raise_exception(struct cpu *cpu, unsigned vector, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION, .vector = (u8)vector, .why = why};
    return CPU_EXIT;
}

cpu_rc raise_error(struct cpu *cpu, unsigned vector, u32 error, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION,
                                .vector = (u8)vector,
                                .has_error = true,
                                .error = error,
                                .why = why};
    return CPU_EXIT;
}

void cpu_update_mode(struct cpu *cpu)
{
    UNUSED(cpu);
}

void tlb_drop_all(struct cpu *cpu)
{
    UNUSED(cpu);
}

u64 cpu_rdtsc(struct cpu *cpu)
{
    return clock_tsc(cpu->clock) + cpu->arch.tsc_offset;
}

u64 cpu_slice_counts(void *cpu)
{
    UNUSED(cpu);
    return 0;
}

static void rig_eoi(void *self, u8 vector)
{
    struct rig *r = self;
    r->eoi[r->eoi_count++ % 16] = vector;
}

static void rig_init(struct rig *r, const char *model, unsigned cpus)
{
    struct error err = {0};
    memset(r, 0, sizeof *r);
    log_init(&r->log);
    clock_init(&r->clock, RIG_IPS, RIG_TSC_HZ);
    ck_assert_msg(cpu_model_parse(&r->model, model, &err), "%s", err.text);
    for (unsigned i = 0; i < cpus; i++) {
        struct cpu *cpu = &r->cpu[i];
        cpu->index = i;
        cpu->set = &r->set;
        cpu->model = &r->model;
        cpu->clock = &r->clock;
        cpu->log = &r->log;
        cpu->ports.eoi_broadcast = rig_eoi;
        cpu->ports.self = r;
        r->set.cpu[i] = cpu;
        r->set.count = i + 1;
        cpu->apic = apic_new(cpu);
        cpu->pmu = pmu_new(cpu);
        ck_assert_ptr_nonnull(cpu->apic);
        ck_assert_ptr_nonnull(cpu->pmu);
        msr_reset(cpu, false);
        apic_reset(cpu->apic, false);
    }
}

static void rig_free(struct rig *r)
{
    for (unsigned i = 0; i < r->set.count; i++) {
        apic_free(r->cpu[i].apic);
        pmu_free(r->cpu[i].pmu);
    }
}

/* Let instructions pass on processor 0, firing what becomes due. */
static inline void rig_run(struct rig *r, u64 instructions)
{
    while (instructions > 0) {
        u64 step = clock_instructions_until(&r->clock, clock_next_deadline(&r->clock));
        step = step > instructions || step == 0 ? instructions : step;
        r->clock.position += step;
        r->cpu[0].arch.ist_count += step;
        instructions -= step;
        clock_fire_due(&r->clock);
    }
}

static inline u64 rig_rdmsr(struct cpu *cpu, u32 index)
{
    u64 v = 0;
    ck_assert_msg(msr_read(cpu, index, &v) == CPU_OK, "RDMSR %x faults", index);
    return v;
}

static inline void rig_wrmsr(struct cpu *cpu, u32 index, u64 v)
{
    ck_assert_msg(msr_write(cpu, index, v) == CPU_OK, "WRMSR %x, %llx faults", index,
                  (unsigned long long)v);
}

static inline void rig_wrmsr_gp(struct cpu *cpu, u32 index, u64 v)
{
    ck_assert_msg(msr_write(cpu, index, v) == CPU_EXIT, "WRMSR %x, %llx does not fault", index,
                  (unsigned long long)v);
    ck_assert_uint_eq(cpu->event.vector, VEC_GP);
}

static inline void rig_rdmsr_gp(struct cpu *cpu, u32 index)
{
    u64 v = 0;
    ck_assert_msg(msr_read(cpu, index, &v) == CPU_EXIT, "RDMSR %x does not fault", index);
}

#endif
