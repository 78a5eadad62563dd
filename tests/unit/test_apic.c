/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local APIC: modes, priorities, IPIs, messages, timer, saved state. */
#include "tests/unit/cpu_rig.h"
#include "unit.h"

#include "base/bits.h"

#define APIC_ID 0x20
#define APIC_VERSION 0x30
#define APIC_TPR 0x80
#define APIC_PPR 0xa0
#define APIC_EOI 0xb0
#define APIC_LDR 0xd0
#define APIC_DFR 0xe0
#define APIC_SVR 0xf0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ESR 0x280
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
#define APIC_LVTT 0x320
#define APIC_LVT0 0x350
#define APIC_LVT1 0x360
#define APIC_LVTERR 0x370
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390
#define APIC_TDCR 0x3e0

#define TICK 40u /* instructions (ns) per tick of Intel's 25 MHz crystal */

static u32 rd(struct rig *r, unsigned cpu, u32 offset)
{
    return (u32)apic_mmio_read(r->cpu[cpu].apic, offset, 4);
}

static void wr(struct rig *r, unsigned cpu, u32 offset, u32 value)
{
    apic_mmio_write(r->cpu[cpu].apic, offset, value, 4);
}

static void start(struct rig *r, const char *model)
{
    rig_init(r, model, RIG_CPUS);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        wr(r, i, APIC_SVR, 0x1ff);
        wr(r, i, APIC_LDR, BIT32(24 + i));
    }
}

static int pending(struct rig *r, unsigned cpu)
{
    return apic_pending(r->cpu[cpu].apic);
}

static void take(struct rig *r, unsigned cpu, int vector)
{
    ck_assert_int_eq(pending(r, cpu), vector);
    apic_ack(r->cpu[cpu].apic, (u8)vector);
}

static void ipi(struct rig *r, unsigned from, u32 dest, u32 low)
{
    wr(r, from, APIC_ICR2, dest << 24);
    wr(r, from, APIC_ICR, low);
}

/* Who of the processors has `vector` pending; takes and answers it. */
static unsigned takers(struct rig *r, int vector)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        if (pending(r, i) == vector) {
            take(r, i, vector);
            wr(r, i, APIC_EOI, 0);
            mask |= 1u << i;
        }
    }
    return mask;
}

START_TEST(test_apic__reset)
{
    struct rig r;
    rig_init(&r, "intel", 2);
    ck_assert_uint_eq(rig_rdmsr(&r.cpu[0], MSR_IA32_APIC_BASE), 0xfee00900);
    ck_assert_uint_eq(rig_rdmsr(&r.cpu[1], MSR_IA32_APIC_BASE), 0xfee00800);
    ck_assert_uint_eq(apic_mmio_base(r.cpu[1].apic), 0xfee00000);
    ck_assert_uint_eq(rd(&r, 1, APIC_ID), 0x01000000);
    ck_assert_uint_eq(rd(&r, 0, APIC_VERSION), 0x01060015);
    ck_assert_uint_eq(rd(&r, 0, APIC_SVR), 0xff);
    ck_assert_uint_eq(rd(&r, 0, APIC_DFR), 0xffffffff);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVT0), 0x10000);
    /* Software-disabled: LVT entries cannot be unmasked. */
    wr(&r, 0, APIC_LVTT, 0x30);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVTT), 0x10030);
    wr(&r, 0, APIC_SVR, 0x1ff);
    wr(&r, 0, APIC_LVTT, 0x30);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVTT), 0x30);
    wr(&r, 0, APIC_SVR, 0xff);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVTT), 0x10030);
    rig_free(&r);
    rig_init(&r, "amd", 1);
    ck_assert_uint_eq(rd(&r, 0, APIC_VERSION), 0x00050010);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__priorities)
{
    struct rig r;
    start(&r, "intel");
    ipi(&r, 1, 0, 0x31);
    ipi(&r, 1, 0, 0x62);
    ipi(&r, 1, 0, 0x65);
    take(&r, 0, 0x65);
    ck_assert_uint_eq(rd(&r, 0, APIC_PPR), 0x60);
    ck_assert_int_eq(pending(&r, 0), -1); /* 62h is of the same class */
    ipi(&r, 1, 0, 0x71);
    take(&r, 0, 0x71);
    ck_assert_uint_eq(rd(&r, 0, APIC_ISR + 0x30), BIT32(5) | BIT32(17));
    wr(&r, 0, APIC_EOI, 0);
    ck_assert_int_eq(pending(&r, 0), -1);
    wr(&r, 0, APIC_EOI, 0);
    take(&r, 0, 0x62);
    wr(&r, 0, APIC_EOI, 0);
    apic_set_cr8(r.cpu[0].apic, 3);
    ck_assert_uint_eq(rd(&r, 0, APIC_TPR), 0x30);
    ck_assert_int_eq(pending(&r, 0), -1);
    wr(&r, 0, APIC_TPR, 0x2f);
    ck_assert_uint_eq(apic_get_cr8(r.cpu[0].apic), 2);
    ck_assert_uint_eq(rd(&r, 0, APIC_PPR), 0x2f);
    take(&r, 0, 0x31);
    ck_assert_uint_eq(r.eoi_count, 0); /* edge: nothing for the I/O APIC */
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__ipi_destinations)
{
    struct rig r;
    start(&r, "intel");
    ipi(&r, 0, 2, 0x40);
    ck_assert_uint_eq(takers(&r, 0x40), 0x4);
    ipi(&r, 0, 0xff, 0x41);
    ck_assert_uint_eq(takers(&r, 0x41), 0xf);
    ipi(&r, 1, 0, 0x40042); /* self */
    ck_assert_uint_eq(takers(&r, 0x42), 0x2);
    ipi(&r, 1, 0, 0x80043); /* all */
    ck_assert_uint_eq(takers(&r, 0x43), 0xf);
    ipi(&r, 1, 0, 0xc0044); /* others */
    ck_assert_uint_eq(takers(&r, 0x44), 0xd);
    ipi(&r, 0, 0x6, 0x845); /* logical, flat */
    ck_assert_uint_eq(takers(&r, 0x45), 0x6);
    for (unsigned i = 0; i < RIG_CPUS; i++) { /* two clusters of two */
        wr(&r, i, APIC_DFR, 0x0fffffff);
        wr(&r, i, APIC_LDR, (i / 2) << 28 | BIT32(24 + i % 2));
    }
    ipi(&r, 0, 0x12, 0x846);
    ck_assert_uint_eq(takers(&r, 0x46), 0x8);
    ipi(&r, 0, 0xf1, 0x847);
    ck_assert_uint_eq(takers(&r, 0x47), 0x5);
    /* Lowest priority: the lowest PPR, then the lowest number. */
    wr(&r, 0, APIC_TPR, 0x20);
    ipi(&r, 3, 0xff, 0x948);
    ck_assert_uint_eq(takers(&r, 0x48), 0x2);
    /* A new xAPIC ID is listened to. */
    wr(&r, 3, APIC_ID, 0x77000000);
    ipi(&r, 0, 0x77, 0x49);
    ck_assert_uint_eq(takers(&r, 0x49), 0x8);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__ipi_kinds)
{
    struct rig r;
    start(&r, "amd");
    ipi(&r, 0, 1, 0x400);
    ck_assert(r.cpu[1].arch.nmi_pending && r.cpu[1].d.pending);
    ipi(&r, 0, 1, 0x200);
    ck_assert(r.cpu[1].arch.smi_pending);
    ipi(&r, 0, 2, 0x8500); /* INIT, level de-assert */
    ck_assert(!r.cpu[2].arch.init_pending);
    ipi(&r, 0, 2, 0x699); /* start-up: not waited for */
    ck_assert(!r.cpu[2].arch.sipi_pending);
    ipi(&r, 0, 2, 0xc500);
    ck_assert(r.cpu[2].arch.init_pending);
    ipi(&r, 0, 2, 0x699);
    ck_assert(r.cpu[2].arch.sipi_pending);
    ck_assert_uint_eq(r.cpu[2].arch.sipi_vector, 0x99);
    /* Illegal vectors: noted by the sender, shown after a write to ESR. */
    wr(&r, 0, APIC_LVTERR, 0x35);
    ipi(&r, 0, 1, 0x0f);
    ck_assert_uint_eq(takers(&r, 0x35), 1);
    ck_assert_uint_eq(rd(&r, 0, APIC_ESR), 0);
    wr(&r, 0, APIC_ESR, 0);
    ck_assert_uint_eq(rd(&r, 0, APIC_ESR), 0x20);
    (void)rd(&r, 0, 0x40);
    wr(&r, 0, APIC_ESR, 0);
    ck_assert_uint_eq(rd(&r, 0, APIC_ESR), 0x80);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__messages)
{
    struct rig r;
    start(&r, "intel");
    apic_bus_msi(&r.set, 0xfee01000, 0x0051);
    ck_assert_uint_eq(takers(&r, 0x51), 0x2);
    apic_bus_msi(&r.set, 0xfee0f004, 0x0152); /* logical, lowest priority */
    ck_assert_uint_eq(takers(&r, 0x52), 0x1);
    apic_bus_msi(&r.set, 0xfee0c00c, 0x0053); /* redirection hint */
    ck_assert_uint_eq(takers(&r, 0x53), 0x4);
    /* Level: TMR, and EOI reaches the I/O APICs unless it is suppressed. */
    apic_bus_msi(&r.set, 0xfee00000, 0xc054);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMR + 0x20), BIT32(0x14));
    ck_assert_uint_eq(takers(&r, 0x54), 1);
    ck_assert_uint_eq(r.eoi_count, 1);
    ck_assert_uint_eq(r.eoi[0], 0x54);
    wr(&r, 0, APIC_SVR, 0x11ff);
    apic_bus_msi(&r.set, 0xfee00000, 0xc054);
    ck_assert_uint_eq(takers(&r, 0x54), 1);
    ck_assert_uint_eq(r.eoi_count, 1);
    apic_bus_msi(&r.set, 0xfee03000, 0x0700);
    ck_assert(apic_extint_pending(r.cpu[3].apic));
    apic_ack_extint(r.cpu[3].apic);
    ck_assert(!apic_extint_pending(r.cpu[3].apic));
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__lint)
{
    struct rig r;
    start(&r, "intel");
    struct apic *a = r.cpu[0].apic;
    apic_set_lint(a, 0, true);
    ck_assert(!apic_extint_pending(a)); /* masked */
    wr(&r, 0, APIC_LVT0, 0x8700);
    ck_assert(apic_extint_pending(a));
    apic_set_lint(a, 0, false);
    ck_assert(!apic_extint_pending(a));
    wr(&r, 0, APIC_LVT1, 0x400);
    apic_set_lint(a, 1, true);
    ck_assert(r.cpu[0].arch.nmi_pending);
    /* Fixed and level: again and again while the pin is asserted. */
    wr(&r, 0, APIC_LVT0, 0x8044);
    apic_set_lint(a, 0, true);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVT0), 0xc044);
    take(&r, 0, 0x44);
    ck_assert_int_eq(pending(&r, 0), -1);
    wr(&r, 0, APIC_EOI, 0);
    take(&r, 0, 0x44);
    apic_set_lint(a, 0, false);
    wr(&r, 0, APIC_EOI, 0);
    ck_assert_int_eq(pending(&r, 0), -1);
    ck_assert_uint_eq(rd(&r, 0, APIC_LVT0), 0x8044);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__timer_one_shot)
{
    struct rig r;
    start(&r, "intel");
    wr(&r, 0, APIC_TDCR, 0xb); /* by 1 */
    wr(&r, 0, APIC_LVTT, 0x60);
    wr(&r, 0, APIC_TMICT, 100);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 100);
    rig_run(&r, 40 * TICK);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 60);
    wr(&r, 0, APIC_TDCR, 0x0); /* by 2: the count stays */
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 60);
    rig_run(&r, 119 * TICK);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 1);
    ck_assert_int_eq(pending(&r, 0), -1);
    rig_run(&r, TICK);
    ck_assert_uint_eq(takers(&r, 0x60), 1);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 0);
    rig_run(&r, 1000 * TICK);
    ck_assert_int_eq(pending(&r, 0), -1);
    /* Switching to periodic after the end starts nothing. */
    wr(&r, 0, APIC_LVTT, 0x20060);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 0);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__timer_periodic)
{
    struct rig r;
    start(&r, "intel");
    wr(&r, 0, APIC_TDCR, 0xb);
    wr(&r, 0, APIC_LVTT, 0x60);
    wr(&r, 0, APIC_TMICT, 50);
    rig_run(&r, 30 * TICK);
    wr(&r, 0, APIC_LVTT, 0x20060); /* goes on from where it was */
    ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 20);
    ck_assert_uint_eq(rd(&r, 0, APIC_TMICT), 50);
    unsigned seen = 0;
    for (unsigned i = 0; i < 200; i++) {
        rig_run(&r, TICK);
        if (takers(&r, 0x60) != 0) {
            seen++;
            ck_assert_uint_eq(rd(&r, 0, APIC_TMCCT), 50);
        }
    }
    ck_assert_uint_eq(seen, 4);
    wr(&r, 0, APIC_TMICT, 0);
    rig_run(&r, 200 * TICK);
    ck_assert_int_eq(pending(&r, 0), -1);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__timer_deadline)
{
    struct rig r;
    start(&r, "intel");
    struct cpu *c = &r.cpu[0];
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 5000);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC_DEADLINE), 0); /* not in that mode */
    wr(&r, 0, APIC_LVTT, 0x40061);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 5000);
    rig_run(&r, 2499);
    ck_assert_int_eq(pending(&r, 0), -1);
    rig_run(&r, 3);
    ck_assert_uint_eq(takers(&r, 0x61), 1);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC_DEADLINE), 0);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 100); /* past: at once */
    ck_assert_uint_eq(takers(&r, 0x61), 1);
    /* The deadline follows the processor's own TSC. */
    rig_wrmsr(c, MSR_IA32_TSC, 1000000);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 1000200);
    rig_run(&r, 102);
    ck_assert_uint_eq(takers(&r, 0x61), 1);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 2000000);
    rig_wrmsr(c, MSR_IA32_TSC, 2000000);
    ck_assert_uint_eq(takers(&r, 0x61), 1);
    rig_wrmsr(c, MSR_IA32_TSC, 10);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 2010);
    rig_run(&r, 990);
    ck_assert_int_eq(pending(&r, 0), -1);
    rig_run(&r, 12);
    ck_assert_uint_eq(takers(&r, 0x61), 1);
    rig_wrmsr(c, MSR_IA32_TSC_DEADLINE, 1000000);
    wr(&r, 0, APIC_LVTT, 0x61); /* leaving the mode disarms */
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC_DEADLINE), 0);
    rig_free(&r);
}
END_TEST

START_TEST(test_apic__modes)
{
    struct rig r;
    start(&r, "intel");
    struct cpu *c = &r.cpu[1];
    const u64 base = 0xfee00000;
    rig_wrmsr_gp(c, MSR_IA32_APIC_BASE, base | 1);
    rig_wrmsr_gp(c, MSR_IA32_APIC_BASE, base | BIT(46) | APIC_BASE_ENABLE);
    rig_wrmsr_gp(c, MSR_IA32_APIC_BASE, base | APIC_BASE_X2APIC);
    rig_rdmsr_gp(c, 0x802);
    rig_wrmsr(c, MSR_IA32_APIC_BASE, 0xfed40000 | APIC_BASE_ENABLE);
    ck_assert_uint_eq(apic_mmio_base(c->apic), 0xfed40000);
    wr(&r, 1, APIC_ID, 0x55000000);
    rig_wrmsr(c, MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    ck_assert_uint_eq(apic_mmio_base(c->apic), ~(u64)0);
    ck_assert_uint_eq(rig_rdmsr(c, 0x802), 1);
    ck_assert_uint_eq(rig_rdmsr(c, 0x80d), 2);
    rig_wrmsr_gp(c, 0x802, 3);
    rig_wrmsr_gp(c, 0x80d, 3);
    rig_wrmsr_gp(c, 0x80e, 0);
    rig_rdmsr_gp(c, 0x80b);
    rig_wrmsr_gp(c, 0x80b, 1);
    rig_wrmsr(c, 0x80b, 0);
    rig_wrmsr_gp(c, 0x828, 1);
    rig_wrmsr_gp(c, 0x808, 0x100);
    rig_rdmsr_gp(c, 0x83f);
    rig_wrmsr_gp(c, 0x83f, 0x100);
    rig_wrmsr(c, 0x83f, 0x47);
    ck_assert_int_eq(pending(&r, 1), 0x47);
    ck_assert_uint_eq(rig_rdmsr(c, 0x822), BIT32(7));
    rig_wrmsr(c, 0x830, (u64)0xffffffff << 32 | 0x48);
    ck_assert_int_eq(pending(&r, 3), 0x48);
    rig_wrmsr(c, 0x830, (u64)0 << 32 | 0x49);
    ck_assert_int_eq(pending(&r, 0), 0x49);
    rig_wrmsr_gp(c, 0x830, BIT(20));
    /* x2APIC mode ends only by switching off, and begins only from xAPIC mode. */
    rig_wrmsr_gp(c, MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
    rig_wrmsr(c, MSR_IA32_APIC_BASE, base);
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).edx >> 9 & 1, 0);
    ck_assert_int_eq(pending(&r, 1), -1);
    rig_wrmsr_gp(c, MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    apic_set_lint(c->apic, 0, true);
    ck_assert(apic_extint_pending(c->apic));
    rig_wrmsr(c, MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
    ck_assert_uint_eq(rd(&r, 1, APIC_ID), 0x01000000);
    ck_assert_uint_eq(rd(&r, 1, APIC_SVR), 0xff);
    rig_free(&r);
    rig_init(&r, "intel,-x2apic", 1);
    rig_wrmsr_gp(&r.cpu[0], MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    rig_free(&r);
}
END_TEST

/* Registers of x2APIC logical mode: cluster and bit from the number. */
START_TEST(test_apic__x2apic_logical)
{
    struct rig r;
    start(&r, "amd");
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        rig_wrmsr(&r.cpu[i], MSR_IA32_APIC_BASE,
                  r.cpu[i].arch.apic_base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    }
    rig_wrmsr(&r.cpu[0], 0x830, (u64)0xa << 32 | 0x850);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        ck_assert_int_eq(pending(&r, i), (i & 1) != 0 ? 0x50 : -1);
    }
    rig_wrmsr(&r.cpu[0], 0x830, (u64)0x10001 << 32 | 0x851);
    ck_assert_int_eq(pending(&r, 0), -1);
    rig_wrmsr(&r.cpu[0], 0x830, (u64)0xffffffff << 32 | 0x852);
    ck_assert_int_eq(pending(&r, 0), 0x52);
    rig_free(&r);
}
END_TEST

static u64 hash_of(struct rig *r)
{
    struct state_io io;
    state_init_hash(&io);
    clock_state(&r->clock, &io);
    for (unsigned i = 0; i < r->set.count; i++) {
        msr_state(&r->cpu[i], &io);
        apic_state(r->cpu[i].apic, &io);
        pmu_state(r->cpu[i].pmu, &io);
    }
    return io.hash;
}

static void copy_state(struct rig *from, struct rig *to)
{
    struct state_io save, load;
    state_init_save(&save);
    clock_state(&from->clock, &save);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        msr_state(&from->cpu[i], &save);
        apic_state(from->cpu[i].apic, &save);
        pmu_state(from->cpu[i].pmu, &save);
    }
    state_init_load(&load, save.data, save.len);
    clock_state(&to->clock, &load);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        msr_state(&to->cpu[i], &load);
        apic_state(to->cpu[i].apic, &load);
        pmu_state(to->cpu[i].pmu, &load);
    }
    ck_assert(!load.failed && load.pos == load.len);
    state_free(&save);
}

static u64 next_random(u64 *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Any writes, anywhere: nothing crashes, and a machine restored in the middle ends equal. */
START_TEST(test_apic__save_restore)
{
    struct rig a, b;
    start(&a, "intel");
    start(&b, "intel");
    u64 seed = 7;
    for (unsigned round = 0; round < 200; round++) {
        struct rig *both[2] = {&a, &b};
        if (round % 20 == 0) {
            copy_state(&a, &b);
            ck_assert_uint_eq(hash_of(&a), hash_of(&b));
        }
        u64 choice[4];
        for (unsigned k = 0; k < 4; k++) {
            choice[k] = next_random(&seed);
        }
        for (unsigned k = 0; k < 2; k++) {
            struct rig *r = both[k];
            unsigned cpu = (unsigned)choice[0] % RIG_CPUS;
            u32 value = (u32)choice[2] ^ (u32)choice[3] << 8;
            wr(r, cpu, (u32)(choice[1] % 0x40) << 4, value);
            if (choice[3] % 16 == 0) {
                wr(r, cpu, APIC_SVR, 0x1ff);
            }
            apic_set_lint(r->cpu[cpu].apic, (unsigned)choice[3] & 1, (choice[2] & 1) != 0);
            rig_run(r, choice[0] % 5000);
            int vector = pending(r, cpu);
            if (vector >= 0) {
                take(r, cpu, vector);
            }
        }
        a.cpu[0].arch.ist_count = b.cpu[0].arch.ist_count = a.clock.position;
        ck_assert_uint_eq(hash_of(&a), hash_of(&b));
    }
    rig_free(&a);
    rig_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apic");
    TCase *c = tcase_create("apic");
    tcase_add_test(c, test_apic__reset);
    tcase_add_test(c, test_apic__priorities);
    tcase_add_test(c, test_apic__ipi_destinations);
    tcase_add_test(c, test_apic__ipi_kinds);
    tcase_add_test(c, test_apic__messages);
    tcase_add_test(c, test_apic__lint);
    tcase_add_test(c, test_apic__timer_one_shot);
    tcase_add_test(c, test_apic__timer_periodic);
    tcase_add_test(c, test_apic__timer_deadline);
    tcase_add_test(c, test_apic__modes);
    tcase_add_test(c, test_apic__x2apic_logical);
    tcase_add_test(c, test_apic__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
