/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules of the processor that hypervisors and their guests were seen to trip over in simulators. One rule, one
 * test. */
#include "sys_rig.h"
#include "unit.h"

#include "cpu/msr.h"

static void amd(void)
{
    struct error err = {0};
    ck_assert_msg(cpu_model_parse(&R.model, "amd", &err), "%s", err.text);
    cpu_reset(CPU, CPU_RESET_POWER);
}

/* Run n instructions (a delivered event counts as one). */
static void run(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)cpu_run(CPU, 1);
    }
}

/* A handler for each fault that the tests look for, at AT_HANDLER + 16 * vector. */
static void gates(void)
{
    for (unsigned v = 0; v < 32; v++) {
        gate64(v, KCODE64, AT_HANDLER + 16 * v, SYS_INT, 0, 0);
        memcpy(ram(AT_HANDLER + 16 * v), "\xeb\xfe", 2);
    }
}

static unsigned faulted(void)
{
    ck_assert_msg(R.cpu.arch.rip >= AT_HANDLER && R.cpu.arch.rip < AT_HANDLER + 512, "at %llx",
                  (unsigned long long)R.cpu.arch.rip);
    return (unsigned)(R.cpu.arch.rip - AT_HANDLER) / 16;
}

/* IRET reads its frame as the supervisor that it is, whatever level it returns to. [SDM3 "Access Rights"] */
START_TEST(test_rules__iret_to_user_with_smap)
{
    rig_start();
    amd();
    go_long(0);
    gates();
    store_le64(ram(AT_TABLES + 0x2000), 0x83); /* the first 2 MiB are the supervisor's, stack included */
    R.cpu.arch.cr4 |= CR4_SMAP | CR4_SMEP;
    cpu_update_mode(CPU);
    const u64 frame[] = {0x200000, UCODE64, 2, 0x210000, UDATA};
    memcpy(ram(AT_STACK), frame, sizeof frame);
    code("\x48\xcf", 2);
    memcpy(ram(0x200000), "\xeb\xfe", 2);
    run(2);
    ck_assert_uint_eq(cpu_cpl(CPU), 3);
    ck_assert_uint_eq(R.cpu.arch.rip, 0x200000);
    rig_stop();
}
END_TEST

/* ECX[0] of MWAIT: interrupts break the wait even while masked; it is no reserved bit. [APM3 "MWAIT"] */
START_TEST(test_rules__mwait_with_ecx_1)
{
    rig_start();
    amd();
    go_long(0);
    gates();
    R.cpu.arch.gpr[RAX] = 0x5000;
    code("\x31\xc9\x31\xd2\x0f\x01\xc8\xb1\x01\x31\xc0\x0f\x01\xc9\xeb\xfe", 16);
    run(6);
    ck_assert_int_eq(R.cpu.arch.activity, ACTIVITY_MWAIT);
    ck_assert(R.cpu.arch.mwait_irq_wakes);
    rig_stop();
}
END_TEST

/* EBX is what XCR0 asks for now, ECX what it could ask for: in 64-bit mode and as a PVH guest begins, in 32-bit mode
 * without paging. [APM3 "CPUID Fn0000_000D_EAX_x0"] */
START_TEST(test_rules__xsave_sizes)
{
    static const struct {
        u64 xcr0;
        u32 size;
    } rows[] = {{1, 0x240}, {3, 0x240}, {7, 0x340}};
    rig_start();
    amd();
    if (_i == 0) {
        go_long(0);
    } else {
        go_protected(0);
    }
    R.cpu.arch.cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        R.cpu.arch.rip = AT_CODE;
        R.cpu.arch.gpr[RAX] = rows[i].xcr0;
        cpu_update_mode(CPU);
        /* XOR ECX, ECX; XOR EDX, EDX; XSETBV; MOV EAX, 0Dh; CPUID */
        code("\x31\xc9\x31\xd2\x0f\x01\xd1\xb8\x0d\x00\x00\x00\x0f\xa2", 14);
        run(5);
        ck_assert_uint_eq(R.cpu.arch.xcr0, rows[i].xcr0);
        ck_assert_uint_eq(R.cpu.arch.gpr[RBX], rows[i].size);
        ck_assert_uint_ge(R.cpu.arch.gpr[RCX], 0x340);
    }
    rig_stop();
}
END_TEST

/* IA32_PERF_GLOBAL_CTRL is there wherever CPUID offers version 2 of the performance counters. [SDM3 "Architectural
 * Performance Monitoring Version 2"] */
START_TEST(test_rules__perf_global_ctrl_is_present)
{
    static const char *const models[] = {"intel", "max"};
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        struct error err = {0};
        u64 value = 0;
        rig_start();
        ck_assert(cpu_model_parse(&R.model, models[i], &err));
        cpu_reset(CPU, CPU_RESET_POWER);
        ck_assert_int_eq(msr_write(CPU, MSR_IA32_PERF_GLOBAL_CTRL, 3), CPU_OK);
        ck_assert_int_eq(msr_read(CPU, MSR_IA32_PERF_GLOBAL_CTRL, &value), CPU_OK);
        ck_assert_uint_eq(value, 3);
        rig_stop();
    }
}
END_TEST

/* MOV to CS does not exist, in real mode neither. [APM3 "MOV"] */
START_TEST(test_rules__mov_to_cs_in_real_mode)
{
    rig_start();
    amd();
    R.cpu.arch.seg[SEG_CS].sel = 0;
    R.cpu.arch.seg[SEG_CS].base = 0;
    R.cpu.arch.rip = AT_CODE;
    R.cpu.arch.gpr[RSP] = 0x7000;
    cpu_update_mode(CPU);
    store_le32(ram(VEC_UD * 4), 0x9000);
    code("\x8e\xc8", 2);
    run(1);
    ck_assert_uint_eq(R.cpu.arch.rip, 0x9000);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].sel, 0);
    ck_assert_uint_eq(load_le16(ram(R.cpu.arch.gpr[RSP])), AT_CODE);
    rig_stop();
}
END_TEST

static const u32 base_msrs[] = {0xc0000100, 0xc0000101, 0xc0000102, 0xc0000082};

/* WRMSR of a base that is not canonical. [APM2 "Canonical Address Form"] */
START_TEST(test_rules__wrmsr_of_a_base_that_is_not_canonical)
{
    rig_start();
    amd();
    go_long(0);
    gates();
    R.cpu.arch.gpr[RCX] = base_msrs[_i];
    R.cpu.arch.gpr[RDX] = 0x00008000;
    code("\x0f\x30", 2);
    run(1);
    ck_assert_uint_eq(faulted(), VEC_GP);
    ck_assert_uint_eq(load_le64(ram(R.cpu.arch.gpr[RSP])), 0);
    rig_stop();
}
END_TEST

static const struct {
    const char *bytes;
    unsigned len, vector;
} strange[] = {
    {"\x48\x8b\x00", 3, VEC_GP},         /* MOV RAX, [RAX] */
    {"\x48\x8b\x45\x00", 4, VEC_SS},     /* [RBP] */
    {"\x48\x8b\x04\x24", 4, VEC_SS},     /* [RSP] */
    {"\x50", 1, VEC_SS},                 /* PUSH RAX */
    {"\x3e\x48\x8b\x45\x00", 5, VEC_SS}, /* DS: counts for nothing in 64-bit mode */
};

/* A reference through the stack's registers is the stack's. [APM2 "#SS-Stack Exception (Vector 12)"] */
START_TEST(test_rules__not_canonical_on_the_stack)
{
    rig_start();
    amd();
    go_long(0);
    gates();
    gate64(VEC_SS, KCODE64, AT_HANDLER + 16 * VEC_SS, SYS_INT, 0, 1); /* a stack of their own */
    gate64(VEC_GP, KCODE64, AT_HANDLER + 16 * VEC_GP, SYS_INT, 0, 1);
    R.cpu.arch.gpr[RAX] = R.cpu.arch.gpr[RBP] = R.cpu.arch.gpr[RSP] = 0x0000900000000000;
    code(strange[_i].bytes, strange[_i].len);
    run(1);
    ck_assert_uint_eq(faulted(), strange[_i].vector);
    ck_assert_uint_eq(load_le64(ram(R.cpu.arch.gpr[RSP])), 0);
    rig_stop();
}
END_TEST

/* Switched off and on again, the local APIC is as after reset. [SDM3 "Enabling or Disabling the Local APIC"] */
START_TEST(test_rules__apic_off_and_on)
{
    rig_start();
    amd();
    u64 base = R.cpu.arch.apic_base;
    apic_mmio_write(R.cpu.apic, 0xf0, 0x1ff, 4);
    apic_mmio_write(R.cpu.apic, 0x80, 0x20, 4);
    ck_assert_int_eq(apic_msr_write(R.cpu.apic, 0x1b, base & ~(u64)APIC_BASE_ENABLE), CPU_OK);
    ck_assert_uint_eq(apic_mmio_base(R.cpu.apic), ~(u64)0);
    ck_assert_int_eq(apic_msr_write(R.cpu.apic, 0x1b, base), CPU_OK);
    ck_assert_uint_eq(apic_mmio_base(R.cpu.apic), base & ~(u64)0xfff);
    ck_assert_uint_eq(apic_mmio_read(R.cpu.apic, 0xf0, 4), 0xff);
    ck_assert_uint_eq(apic_mmio_read(R.cpu.apic, 0x80, 4), 0x20); /* CR8 keeps it */
    rig_stop();
}
END_TEST

/* SFMASK clears TF as part of SYSCALL: nothing traps behind it. [APM2 "SYSCALL and SYSRET"] */
START_TEST(test_rules__syscall_with_tf)
{
    rig_start();
    amd();
    go_long(3);
    gates();
    R.cpu.arch.star = (u64)KCODE64 << 32;
    R.cpu.arch.lstar = 0xa000;
    R.cpu.arch.sfmask = RFLAGS_TF;
    cpu_set_rflags(CPU, RFLAGS_TF);
    cpu_update_mode(CPU);
    memcpy(ram(0xa000), "\x90\xeb\xfe", 3);
    code("\x0f\x05", 2);
    run(3);
    ck_assert_uint_eq(R.cpu.arch.rip, 0xa001);
    ck_assert_uint_eq(R.cpu.arch.pending_db, 0);
    ck_assert_uint_eq(R.cpu.arch.gpr[11] & RFLAGS_TF, RFLAGS_TF);
    rig_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *c = tcase_create("rules");
    tcase_add_test(c, test_rules__iret_to_user_with_smap);
    tcase_add_test(c, test_rules__mwait_with_ecx_1);
    tcase_add_loop_test(c, test_rules__xsave_sizes, 0, 2);
    tcase_add_test(c, test_rules__perf_global_ctrl_is_present);
    tcase_add_test(c, test_rules__mov_to_cs_in_real_mode);
    tcase_add_loop_test(c, test_rules__wrmsr_of_a_base_that_is_not_canonical, 0, (int)ARRAY_LEN(base_msrs));
    tcase_add_loop_test(c, test_rules__not_canonical_on_the_stack, 0, (int)ARRAY_LEN(strange));
    tcase_add_test(c, test_rules__apic_off_and_on);
    tcase_add_test(c, test_rules__syscall_with_tf);
    suite_add_tcase(s, c);
    return unit_run(s);
}
