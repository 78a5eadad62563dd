/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Branch records, single-stepping on branches, RF between repetitions, shadow stacks of task switches.
 * [SDM3 "Last Branch, Interrupt, and Exception Recording"], [SDM3 "Task Switching"] */
#include "sys_rig.h"
#include "unit.h"

#include "cpu/msr.h"

#define LBR_TOS 0x1c9u
#define LBR_SELECT 0x1c8u
#define LBR_FROM 0x680u
#define LBR_TO 0x6c0u
#define LBR_INFO 0xdc0u

static u64 rdmsr(u32 index)
{
    u64 v = 0;
    ck_assert_int_eq(msr_read(CPU, index, &v), CPU_OK);
    return v;
}

static void wrmsr(u32 index, u64 v)
{
    ck_assert_int_eq(msr_write(CPU, index, v), CPU_OK);
}

static void steps(unsigned n)
{
    (void)cpu_run(CPU, n);
}

static void as_amd(void)
{
    struct error err = {0};
    ck_assert(cpu_model_parse(&R.model, "amd", &err));
}

/* JMP +2; (2 bytes); JZ not taken; CALL +0; JMP to self */
static void branches(void)
{
    static const u8 bytes[] = {0xeb, 0x02, 0x0f, 0x0b, /* 00 jmp 04 */
                               0x74, 0x10,             /* 04 jz, ZF = 0 */
                               0xe8, 0x01, 0, 0, 0,    /* 06 call 0c */
                               0xf4,                   /* 0b hlt */
                               0xc3};                  /* 0c ret */
    go_long(0);
    code((const char *)bytes, sizeof bytes);
}

START_TEST(test_debug__intel_records_taken_branches)
{
    branches();
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR);
    steps(4);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 3);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 1), AT_CODE);
    ck_assert_uint_eq(rdmsr(LBR_TO + 1), AT_CODE + 4);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 2), AT_CODE + 6);
    ck_assert_uint_eq(rdmsr(LBR_TO + 2), AT_CODE + 12);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 3), AT_CODE + 12);
    ck_assert_uint_eq(rdmsr(LBR_TO + 3), AT_CODE + 11);
    ck_assert_uint_eq(rdmsr(LBR_INFO + 3), 2); /* one instruction, two cycles of the TSC */
    wrmsr(MSR_IA32_DEBUGCTL, 0);
    R.cpu.arch.rip = AT_CODE;
    steps(1);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 3);
}
END_TEST

START_TEST(test_debug__intel_filters)
{
    branches();
    wrmsr(LBR_SELECT, BIT(7)); /* no relative jumps */
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR);
    steps(3);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 1);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 1), AT_CODE + 6);
    R.cpu.arch.rip = AT_CODE;
    wrmsr(LBR_SELECT, BIT(0)); /* none that end at level 0 */
    steps(3);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 1);
    ck_assert_int_eq(msr_write(CPU, LBR_FROM, BIT(62)), CPU_EXIT); /* not canonical */
    R.cpu.event.kind = EVENT_NONE;
}
END_TEST

/* The call's record goes with its return. */
START_TEST(test_debug__intel_call_stack)
{
    branches();
    wrmsr(LBR_SELECT, BIT(9) | BIT(8) | BIT(7) | BIT(6) | BIT(2));
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR);
    steps(3);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 1);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 1), AT_CODE + 6);
    steps(1);
    ck_assert_uint_eq(rdmsr(LBR_TOS), 0);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 1), 0);
}
END_TEST

/* An interrupt is a branch; #DB switches recording off before it is one. */
START_TEST(test_debug__intel_events)
{
    branches();
    gate64(0x40, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    gate64(VEC_DB, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR);
    steps(1);
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x40});
    ck_assert_uint_eq(rdmsr(LBR_TOS), 2);
    ck_assert_uint_eq(rdmsr(LBR_FROM + 2), AT_CODE + 4);
    ck_assert_uint_eq(rdmsr(LBR_TO + 2), AT_HANDLER);
    ck_assert_uint_eq(rdmsr(0x1dd), AT_CODE); /* the branch before it */
    ck_assert_uint_eq(rdmsr(0x1de), AT_CODE + 4);
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_DB, .dr6 = BIT(14), .is_trap = true});
    ck_assert_uint_eq(rdmsr(LBR_TOS), 2);
    ck_assert_uint_eq(rdmsr(MSR_IA32_DEBUGCTL), 0);
}
END_TEST

START_TEST(test_debug__amd_pair)
{
    as_amd();
    branches();
    gate64(0x40, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR);
    steps(3);
    ck_assert_uint_eq(rdmsr(0x1db), AT_CODE + 6);
    ck_assert_uint_eq(rdmsr(0x1dc), AT_CODE + 12);
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x40});
    ck_assert_uint_eq(rdmsr(0x1dd), AT_CODE + 6);
    ck_assert_uint_eq(rdmsr(0x1db), AT_CODE + 12);
    ck_assert_uint_eq(rdmsr(0x1dc), AT_HANDLER);
}
END_TEST

/* TF with BTF traps after a branch that was taken, and clears BTF. */
static void check_btf(void)
{
    static const u8 bytes[] = {0x90, 0x74, 0x10, 0xeb, 0x02};
    go_long(0);
    gate64(VEC_DB, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    code((const char *)bytes, sizeof bytes);
    cpu_set_rflags(CPU, RFLAGS_TF);
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_BTF);
    cpu_update_mode(CPU);
    steps(3);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 7);
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(R.cpu.arch.dr6 & DR6_BS, DR6_BS);
    ck_assert_uint_eq(rdmsr(MSR_IA32_DEBUGCTL), 0);
}

START_TEST(test_debug__btf)
{
    check_btf();
}
END_TEST

START_TEST(test_debug__btf_amd)
{
    as_amd();
    check_btf();
}
END_TEST

/* REP MOVSB over two pages: an interrupt between the chunks pushes RF = 1, one after the last does not. */
START_TEST(test_debug__rf_between_repetitions)
{
    static const u8 bytes[] = {0xf3, 0xa4, 0x90};
    go_long(0);
    gate64(0x40, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    code((const char *)bytes, sizeof bytes);
    R.cpu.arch.gpr[RCX] = 0x1800;
    R.cpu.arch.gpr[RSI] = 0x50000;
    R.cpu.arch.gpr[RDI] = 0x60000;
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    ck_assert_uint_eq(R.cpu.arch.gpr[RCX], 0x800);
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x40});
    ck_assert_uint_ne(load_le64(ram(R.cpu.arch.gpr[RSP] + 16)) & RFLAGS_RF, 0);
    R.cpu.arch.rip = AT_CODE;
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 2);
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x40});
    ck_assert_uint_eq(load_le64(ram(R.cpu.arch.gpr[RSP] + 16)) & RFLAGS_RF, 0);
}
END_TEST

/* An instruction breakpoint on a repeated instruction is one breakpoint: not before every repetition. */
START_TEST(test_debug__breakpoint_on_repetition)
{
    static const u8 bytes[] = {0xf3, 0xa4, 0x90};
    go_long(0);
    gate64(VEC_DB, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    code((const char *)bytes, sizeof bytes);
    R.cpu.arch.gpr[RCX] = 0x1800;
    R.cpu.arch.gpr[RSI] = 0x50000;
    R.cpu.arch.gpr[RDI] = 0x60000;
    R.cpu.arch.dr[0] = AT_CODE;
    R.cpu.arch.dr7 = 2;
    cpu_set_rflags(CPU, RFLAGS_RF);
    cpu_update_mode(CPU);
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.gpr[RCX], 0x800);
    ck_assert_uint_ne(cpu_rflags(CPU) & RFLAGS_RF, 0);
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 2);
    ck_assert_uint_eq(cpu_rflags(CPU) & RFLAGS_RF, 0);
}
END_TEST

/* A counter's PMI stops the records, and the counters. */
START_TEST(test_debug__freeze_on_pmi)
{
    branches();
    R.cpu.pmu = pmu_new(CPU);
    wrmsr(MSR_IA32_DEBUGCTL, DEBUGCTL_LBR | DEBUGCTL_FREEZE_LBRS_ON_PMI | DEBUGCTL_FREEZE_PERFMON_ON_PMI);
    wrmsr(MSR_IA32_FIXED_CTR0, BIT(48) - 2);
    wrmsr(MSR_IA32_FIXED_CTR_CTRL, 0xb);
    wrmsr(MSR_IA32_PERF_GLOBAL_CTRL, BIT(32));
    steps(3);
    ck_assert_uint_eq(rdmsr(MSR_IA32_PERF_GLOBAL_STATUS), BIT(32));
    ck_assert_uint_eq(rdmsr(MSR_IA32_DEBUGCTL), DEBUGCTL_FREEZE_LBRS_ON_PMI | DEBUGCTL_FREEZE_PERFMON_ON_PMI);
    ck_assert_uint_eq(rdmsr(MSR_IA32_PERF_GLOBAL_CTRL), 0);
    pmu_free(R.cpu.pmu);
    R.cpu.pmu = NULL;
}
END_TEST

/* Branches of every kind count, taken or not; a backward one that falls through was predicted wrong. */
START_TEST(test_debug__counts_branches)
{
    static const u8 loop[] = {0xb9, 2, 0, 0, 0, /* 00 mov ecx, 2 */
                              0xe2, 0xfe,       /* 05 loop 05 */
                              0x74, 0x10,       /* 07 jz, ZF = 0 */
                              0xeb, 0x00,       /* 09 jmp 0b */
                              0x90, 0x90};
    go_long(0);
    code((const char *)loop, sizeof loop);
    flags_sync(CPU);
    cpu_set_rflags(CPU, RFLAGS_IF);
    R.cpu.pmu = pmu_new(CPU);
    wrmsr(MSR_IA32_PERFEVTSEL0, 0x4300c4);
    wrmsr(MSR_IA32_PERFEVTSEL0 + 1, 0x4300c5);
    wrmsr(MSR_IA32_PERF_GLOBAL_CTRL, 3);
    steps(6);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 12);
    ck_assert_uint_eq(rdmsr(MSR_IA32_PMC0), 4);
    ck_assert_uint_eq(rdmsr(MSR_IA32_PMC0 + 1), 1);
    ck_assert(R.cpu.d.slow_step);
    wrmsr(MSR_IA32_PERF_GLOBAL_CTRL, 0);
    ck_assert(!R.cpu.d.slow_step);
    pmu_free(R.cpu.pmu);
    R.cpu.pmu = NULL;
}
END_TEST

/* ---- Task switches ---- */

enum { TSS2_SEL = FRESH, AT_TSS2 = 0x3200, AT_SHADOW = 0x10000, AT_SHADOW2 = 0x11000, AT_PAGES = 0x180000 };

/* 32-bit paging, identity; two pages are shadow stacks. A second task runs at AT_HANDLER. */
static void two_tasks(void)
{
    struct cpu_arch *a = &R.cpu.arch;
    go_protected(0);
    store_le32(ram(AT_PAGES), (AT_PAGES + 0x1000) | 7);
    for (u32 i = 0; i < 1024; i++) {
        bool shadow = i == AT_SHADOW >> 12 || i == AT_SHADOW2 >> 12;
        store_le32(ram(AT_PAGES + 0x1000 + 4 * i), i << 12 | (shadow ? 0x61u : 0x63u));
    }
    a->cr3 = AT_PAGES;
    a->cr0 |= CR0_PG | CR0_WP;
    a->cr4 = CR4_CET;
    a->s_cet = CET_SH_STK_EN;
    a->ssp = AT_SHADOW + 0x800;
    put_desc(TSS2_SEL, 0x000089000000006b | (u64)AT_TSS2 << 16);
    put_desc(TSS_SEL, 0x00008b000000006b | (u64)AT_TSS << 16);
    a->tr.limit = 0x6b;
    store_le32(ram(AT_TSS2 + 0x1c), AT_PAGES);
    store_le32(ram(AT_TSS2 + 0x20), AT_HANDLER);
    store_le32(ram(AT_TSS2 + 0x24), 2);
    store_le32(ram(AT_TSS2 + 0x38), AT_STACK0);
    for (u32 i = 0; i < 6; i++) {
        store_le16(ram(AT_TSS2 + 0x48 + 4 * i), i == 1 ? KCODE : KDATA);
    }
    store_le32(ram(AT_TSS2 + 0x68), AT_SHADOW2 + 0x400);
    store_le64(ram(AT_SHADOW2 + 0x400), AT_SHADOW2 + 0x400);
    store_le32(ram(AT_TSS + 0x1c), AT_PAGES);
    cpu_update_mode(CPU);
    tlb_drop_all(CPU);
}

static cpu_rc call_task(void)
{
    struct task_args args = {.source = TASK_CALL, .rip = AT_CODE + 7, .flags = 2};
    return task_gate_switch(CPU, TSS2_SEL, &args);
}

START_TEST(test_debug__task_switch_takes_shadow_stack)
{
    static const u8 iret = 0xcf;
    two_tasks();
    ck_assert_int_eq(call_task(), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(R.cpu.arch.ssp, AT_SHADOW2 + 0x400 - 24);
    ck_assert_uint_eq(load_le64(ram(AT_SHADOW2 + 0x400)), (AT_SHADOW2 + 0x400) | 1);
    ck_assert_uint_eq(load_le64(ram(AT_SHADOW2 + 0x400 - 8)), KCODE);
    ck_assert_uint_eq(load_le64(ram(AT_SHADOW2 + 0x400 - 16)), AT_CODE + 7);
    ck_assert_uint_eq(load_le64(ram(AT_SHADOW2 + 0x400 - 24)), AT_SHADOW + 0x800);
    *ram(AT_HANDLER) = iret;
    steps(1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 7);
    ck_assert_uint_eq(R.cpu.arch.ssp, AT_SHADOW + 0x800);
    ck_assert_uint_eq(load_le64(ram(AT_SHADOW2 + 0x400)), AT_SHADOW2 + 0x400);
}
END_TEST

/* A return address that was changed is #CP in the old task's context. */
START_TEST(test_debug__task_return_is_compared)
{
    two_tasks();
    ck_assert_int_eq(call_task(), CPU_OK);
    store_le32(ram(AT_TSS + 0x20), AT_CODE + 9);
    struct task_args args = {.source = TASK_IRET, .rip = AT_HANDLER, .flags = 2};
    struct descriptor d;
    ck_assert_int_eq(desc_fetch(CPU, TSS_SEL, VEC_TS, &d), CPU_OK);
    expect_fault(task_switch(CPU, &d, &args), VEC_CP, CP_FAR_RET_IRET);
}
END_TEST

START_TEST(test_debug__task_switch_refuses)
{
    two_tasks();
    store_le64(ram(AT_SHADOW2 + 0x400), (AT_SHADOW2 + 0x400) | 1);
    expect_fault(call_task(), VEC_GP, 0);
    two_tasks();
    store_le32(ram(AT_TSS2 + 0x68), AT_SHADOW2 + 0x404);
    expect_fault(call_task(), VEC_TS, TSS2_SEL);
    two_tasks();
    put_desc(TSS2_SEL, 0x0000890000000067 | (u64)AT_TSS2 << 16);
    expect_fault(call_task(), VEC_TS, TSS2_SEL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("debug");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, rig_start, rig_stop);
    tcase_add_test(c, test_debug__intel_records_taken_branches);
    tcase_add_test(c, test_debug__intel_filters);
    tcase_add_test(c, test_debug__intel_call_stack);
    tcase_add_test(c, test_debug__intel_events);
    tcase_add_test(c, test_debug__amd_pair);
    tcase_add_test(c, test_debug__btf);
    tcase_add_test(c, test_debug__btf_amd);
    tcase_add_test(c, test_debug__rf_between_repetitions);
    tcase_add_test(c, test_debug__breakpoint_on_repetition);
    tcase_add_test(c, test_debug__freeze_on_pmi);
    tcase_add_test(c, test_debug__counts_branches);
    tcase_add_test(c, test_debug__task_switch_takes_shadow_stack);
    tcase_add_test(c, test_debug__task_return_is_compared);
    tcase_add_test(c, test_debug__task_switch_refuses);
    suite_add_tcase(s, c);
    return unit_run(s);
}
