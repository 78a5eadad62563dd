/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Delivery of exceptions and interrupts, their combination, IRET, boundaries, reset and state.
 * [SDM3 "Interrupt and Exception Handling"] */
#include "sys_rig.h"
#include "unit.h"

static u64 stack64(unsigned slot)
{
    return load_le64(ram(R.cpu.arch.gpr[RSP] + 8 * slot));
}

static u32 stack32(unsigned slot)
{
    return load_le32(ram(R.cpu.arch.gpr[RSP] + 4 * slot));
}

START_TEST(test_events__real_mode_frame)
{
    R.cpu.arch.seg[SEG_CS].sel = 0x800;
    R.cpu.arch.seg[SEG_CS].base = AT_CODE;
    R.cpu.arch.rip = 0x10;
    R.cpu.arch.gpr[RSP] = 0x7000;
    R.cpu.arch.idtr = (struct table_reg){0, 0x3ff};
    store_le32(ram(4 * 0x21), 0x12340056);
    cpu_set_rflags(CPU, RFLAGS_IF | RFLAGS_TF);
    cpu_update_mode(CPU);
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x21, .insn_len = 2});
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], 0x6ffa);
    ck_assert_uint_eq(load_le16(ram(0x6ffa)), 0x12);
    ck_assert_uint_eq(load_le16(ram(0x6ffc)), 0x800);
    ck_assert_uint_eq(load_le16(ram(0x6ffe)), RFLAGS_IF | RFLAGS_TF | RFLAGS_ONE);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].base, 0x12340);
    ck_assert_uint_eq(R.cpu.arch.rip, 0x56);
    ck_assert_uint_eq(cpu_rflags(CPU), RFLAGS_ONE);
}
END_TEST

/* An inner interrupt gate: stack of the TSS, SS:ESP EFLAGS CS:EIP and the error code; RF = 1 in the
 * image of a fault. */
START_TEST(test_events__protected_inner_frame)
{
    go_protected(3);
    gate32(VEC_GP, KCODE, AT_HANDLER, SYS_INT, 0);
    cpu_set_rflags(CPU, RFLAGS_IF);
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true, .error = 8});
    ck_assert_uint_eq(cpu_cpl(CPU), 0);
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK0 - 24);
    ck_assert_uint_eq(stack32(0), 8);
    ck_assert_uint_eq(stack32(1), AT_CODE);
    ck_assert_uint_eq(stack32(2), UCODE);
    ck_assert_uint_eq(stack32(3), RFLAGS_IF | RFLAGS_ONE | RFLAGS_RF);
    ck_assert_uint_eq(stack32(4), AT_STACK);
    ck_assert_uint_eq(stack32(5), UDATA);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_SS].sel, KDATA);
    ck_assert_uint_eq(cpu_rflags(CPU) & RFLAGS_IF, 0);
}
END_TEST

START_TEST(test_events__v86_frame_clears_data_segments)
{
    go_protected(3);
    gate32(VEC_UD, KCODE, AT_HANDLER, SYS_TRAP, 0);
    cpu_set_rflags(CPU, RFLAGS_VM | RFLAGS_IF);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        seg_store_v86(CPU, i, (u16)(0x800 + i));
    }
    R.cpu.arch.gpr[RSP] = 0x100;
    cpu_update_mode(CPU);
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_UD});
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK0 - 36);
    ck_assert_uint_eq(stack32(1), 0x801);
    ck_assert_uint_ne(stack32(2) & RFLAGS_VM, 0);
    ck_assert_uint_eq(stack32(4), 0x802);
    ck_assert_uint_eq(stack32(5), 0x800); /* ES DS FS GS */
    ck_assert_uint_eq(stack32(6), 0x803);
    ck_assert_uint_eq(stack32(8), 0x805);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_DS].sel, 0);
    ck_assert(!R.cpu.d.v86);
    ck_assert_uint_ne(cpu_rflags(CPU) & RFLAGS_IF, 0); /* trap gate */
}
END_TEST

/* Long mode aligns the stack to 16 bytes and always pushes SS:RSP; the same level keeps SS. */
START_TEST(test_events__long_mode_alignment)
{
    go_long(0);
    gate64(0x40, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    R.cpu.arch.gpr[RSP] = AT_STACK - 3;
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x40});
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK - 16 - 40);
    ck_assert_uint_eq(stack64(0), AT_CODE);
    ck_assert_uint_eq(stack64(3), AT_STACK - 3);
    ck_assert_uint_eq(stack64(4), KDATA);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_SS].sel, KDATA);
}
END_TEST

START_TEST(test_events__long_mode_ist_and_inner_ss)
{
    go_long(3);
    gate64(0x41, KCODE64, AT_HANDLER, SYS_INT, 3, 1);
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x41, .insn_len = 2});
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_IST1 - 40);
    ck_assert_uint_eq(stack64(0), AT_CODE + 2);
    ck_assert_uint_eq(stack64(4), UDATA);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_SS].sel, 0);
    ck_assert_uint_ne(R.cpu.arch.seg[SEG_SS].attr & SEG_UNUSABLE, 0);
    ck_assert_uint_eq(cpu_cpl(CPU), 0);
}
END_TEST

/* INT n through an inner gate is #GP with the vector's IDT code and no EXT; RIP is the INT's. */
START_TEST(test_events__software_interrupt_checks_dpl)
{
    go_long(3);
    gate64(0x41, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    gate64(VEC_GP, KCODE64, AT_HANDLER + 16, SYS_INT, 0, 0);
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x41, .insn_len = 2});
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER + 16);
    ck_assert_uint_eq(stack64(0), 0x41 * 8 + 2);
    ck_assert_uint_eq(stack64(1), AT_CODE);
}
END_TEST

/* The same for an external interrupt whose gate is absent: #NP with EXT. */
START_TEST(test_events__ext_bit)
{
    go_long(0);
    gate64(0x41, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    *ram(AT_IDT + 16 * 0x41 + 5) &= 0x7f;
    gate64(VEC_NP, KCODE64, AT_HANDLER + 16, SYS_INT, 0, 0);
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x41});
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER + 16);
    ck_assert_uint_eq(stack64(0), 0x41 * 8 + 3);
}
END_TEST

START_TEST(test_events__double_fault)
{
    go_long(0);
    gate64(VEC_DF, KCODE64, AT_HANDLER, SYS_INT, 0, 1);
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_DE}); /* no gate: #GP */
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(stack64(0), 0);
    ck_assert_uint_eq(R.shutdowns, 0);
}
END_TEST

/* #DE (contributory), then #PF from the stack: handled serially, not a double fault. */
START_TEST(test_events__contributory_then_page_fault_is_serial)
{
    go_long(0);
    gate64(VEC_DE, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    gate64(VEC_PF, KCODE64, AT_HANDLER + 16, SYS_INT, 0, 1);
    R.cpu.arch.gpr[RSP] = 0x10000000; /* not mapped */
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_DE});
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER + 16);
    ck_assert_uint_eq(stack64(0), PF_W);
    ck_assert_uint_eq(R.cpu.arch.cr2, 0x10000000 - 40);
}
END_TEST

START_TEST(test_events__triple_fault_shuts_down)
{
    go_long(0);
    R.cpu.arch.idtr.limit = 0;
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_UD});
    ck_assert_int_eq(R.cpu.arch.activity, ACTIVITY_SHUTDOWN);
    ck_assert_uint_eq(R.shutdowns, 1);
}
END_TEST

/* Nothing of a failed delivery remains: registers as before, but CR2. */
START_TEST(test_events__failed_delivery_commits_nothing)
{
    go_long(3);
    gate64(VEC_DF, KCODE64, AT_HANDLER, SYS_INT, 0, 1);
    gate64(VEC_PF, KCODE64, 0x8000000000000000, SYS_INT, 0, 0); /* handler not canonical */
    deliver((struct event){.kind = EVENT_EXCEPTION,
                           .vector = VEC_PF,
                           .has_error = true,
                           .error = PF_U,
                           .cr2 = 0x123000});
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(stack64(1), AT_CODE);
    ck_assert_uint_eq(stack64(4), AT_STACK);
    ck_assert_uint_eq(R.cpu.arch.cr2, 0x123000);
}
END_TEST

/* #DB: DR6 collects, bits 0-3 are replaced, DR7.GD goes. */
START_TEST(test_events__debug_exception_registers)
{
    go_long(0);
    gate64(VEC_DB, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    R.cpu.arch.dr6 = DR6_FIXED | DR6_BS | 3;
    R.cpu.arch.dr7 = DR7_FIXED | DR7_GD;
    deliver((struct event){.kind = EVENT_EXCEPTION, .vector = VEC_DB, .dr6 = 4, .is_trap = true});
    ck_assert_uint_eq(R.cpu.arch.dr6, DR6_FIXED | DR6_BS | 4);
    ck_assert_uint_eq(R.cpu.arch.dr7, DR7_FIXED);
}
END_TEST

START_TEST(test_events__iretq_round_trip)
{
    go_long(3);
    gate64(0x41, KCODE64, AT_CODE, SYS_INT, 3, 0);
    code("\x48\xcf", 2);
    cpu_set_rflags(CPU, RFLAGS_IF | RFLAGS_CF | RFLAGS_IOPL);
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x41, .insn_len = 0});
    ck_assert_uint_eq(cpu_run(CPU, 1), 1);
    ck_assert_uint_eq(cpu_cpl(CPU), 3);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_SS].sel, UDATA);
    ck_assert_uint_eq(cpu_rflags(CPU), RFLAGS_IF | RFLAGS_CF | RFLAGS_IOPL | RFLAGS_ONE);
}
END_TEST

/* NMI blocks NMIs until IRET. */
START_TEST(test_events__nmi_blocking)
{
    go_long(0);
    gate64(VEC_NMI, KCODE64, AT_CODE, SYS_INT, 0, 0);
    code("\x90\x48\xcf", 3);
    R.cpu.arch.nmi_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    R.cpu.arch.nmi_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.arch.nmi_pending);
    (void)cpu_run(CPU, 1); /* IRETQ */
    ck_assert(!R.cpu.arch.nmi_blocked);
    (void)cpu_run(CPU, 1);
    ck_assert(!R.cpu.arch.nmi_pending);
}
END_TEST

/* STI; NOP; NOP with TF: traps after each, the shadow ends after the first NOP. */
START_TEST(test_events__sti_shadow_lasts_one_instruction)
{
    go_long(0);
    code("\xfb\x90\x90", 3);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.arch.int_shadow_sti);
    (void)cpu_run(CPU, 1);
    ck_assert(!R.cpu.arch.int_shadow_sti);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 2);
}
END_TEST

START_TEST(test_events__single_step)
{
    go_long(0);
    gate64(VEC_DB, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    code("\x90\x90", 2);
    cpu_set_rflags(CPU, RFLAGS_TF);
    cpu_update_mode(CPU);
    ck_assert_uint_eq(cpu_run(CPU, 2), 2);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(stack64(0), AT_CODE + 1);
    ck_assert_uint_eq(R.cpu.arch.dr6, DR6_FIXED | DR6_BS);
}
END_TEST

START_TEST(test_events__init_and_sipi)
{
    R.cpu.index = 1; /* an application processor */
    R.cpu.arch.cr0 |= CR0_NE;
    R.cpu.arch.init_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert_int_eq(R.cpu.arch.activity, ACTIVITY_WAIT_SIPI);
    ck_assert_uint_eq(R.cpu.arch.cr0, CR0_CD | CR0_NW | CR0_ET);
    R.cpu.arch.sipi_vector = 8;
    R.cpu.arch.sipi_pending = true;
    memset(ram(AT_CODE), 0x90, 16);
    cpu_kick(CPU);
    (void)cpu_run(CPU, 2);
    ck_assert_int_eq(R.cpu.arch.activity, ACTIVITY_RUNNING);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].sel, 0x800);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].base, AT_CODE);
    ck_assert_uint_eq(R.cpu.arch.rip, 1);
}
END_TEST

/* SMI and RSM restore everything; HLT is resumed. */
START_TEST(test_events__smm_round_trip)
{
    struct cpu_arch before;
    go_long(0);
    flags_sync(CPU);
    R.cpu.arch.activity = ACTIVITY_HLT;
    R.cpu.arch.smi_pending = true;
    before = R.cpu.arch;
    memcpy(ram(0x38000), "\x0f\xaa", 2);
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.arch.in_smm);
    ck_assert_uint_eq(R.cpu.arch.rip, 0x8000);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].base, 0x30000);
    (void)cpu_run(CPU, 1);
    ck_assert(!R.cpu.arch.in_smm);
    ck_assert_int_eq(R.cpu.arch.activity, ACTIVITY_HLT);
    ck_assert_uint_eq(R.cpu.arch.rip, before.rip);
    ck_assert_uint_eq(R.cpu.arch.cr0, before.cr0);
    ck_assert_uint_eq(R.cpu.arch.cr3, before.cr3);
    ck_assert_uint_eq(R.cpu.arch.efer, before.efer);
    ck_assert_mem_eq(R.cpu.arch.seg, before.seg, sizeof before.seg);
    ck_assert(R.cpu.d.code64);
}
END_TEST

/* A supervisor shadow stack is taken by an interrupt from level 3 and given back by IRET; from level 0
 * the interrupt pushes CS, LIP and SSP, and IRET compares them. */
START_TEST(test_events__shadow_stack)
{
    const u64 shadow = 0x600000, token = shadow + 0x100; /* read-only, dirty, supervisor: 2 MiB up */
    go_long(3);
    store_le64(ram(AT_TABLES + 0x2018), 0x2000e1);
    R.cpu.arch.cr0 |= CR0_WP;
    R.cpu.arch.cr4 |= CR4_CET;
    R.cpu.arch.s_cet = CET_SH_STK_EN;
    R.cpu.arch.pl_ssp[0] = token;
    store_le64(ram(0x200100), token);
    cpu_update_mode(CPU);
    gate64(0x41, KCODE64, AT_CODE, SYS_INT, 3, 0);
    code("\x48\xcf", 2);
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x41});
    ck_assert_uint_eq(R.cpu.arch.ssp, token);
    ck_assert_uint_eq(load_le64(ram(0x200100)), token | 1);

    gate64(0x42, KCODE64, AT_CODE, SYS_INT, 0, 0);
    u64 rip = R.cpu.arch.rip;
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x42});
    ck_assert_uint_eq(R.cpu.arch.ssp, token - 24);
    ck_assert_uint_eq(load_le64(ram(0x200100 - 8)), KCODE64);
    ck_assert_uint_eq(load_le64(ram(0x200100 - 16)), rip);
    ck_assert_uint_eq(load_le64(ram(0x200100 - 24)), token);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(R.cpu.arch.ssp, token);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(cpu_cpl(CPU), 3);
    ck_assert_uint_eq(load_le64(ram(0x200100)), token);

    /* A changed return address is #CP(FAR-RET/IRET). */
    deliver((struct event){.kind = EVENT_SOFT_INT, .vector = 0x41});
    deliver((struct event){.kind = EVENT_EXT_INT, .vector = 0x42});
    store_le64(ram(R.cpu.arch.gpr[RSP]), AT_CODE + 1);
    gate64(VEC_CP, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(stack64(0), CP_FAR_RET_IRET);
}
END_TEST

/* A 32-bit call gate to level 0 copies parameters; RETF n goes back and releases them. */
START_TEST(test_events__call_gate)
{
    go_protected(3);
    put_desc(FRESH, 0x0000ec0200000000 | (u64)KCODE << 16 | AT_HANDLER); /* two parameters, DPL 3 */
    memcpy(ram(AT_CODE), "\x9a\0\0\0\0\x5b\0", 7);                     /* CALL FRESH|3:0 */
    memcpy(ram(AT_HANDLER), "\xca\x08\0", 3);                           /* RETF 8 */
    store_le32(ram(AT_STACK - 8), 0x11);
    store_le32(ram(AT_STACK - 4), 0x22);
    R.cpu.arch.gpr[RSP] = AT_STACK - 8;
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(cpu_cpl(CPU), 0);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK0 - 24);
    ck_assert_uint_eq(stack32(0), AT_CODE + 7);
    ck_assert_uint_eq(stack32(1), UCODE);
    ck_assert_uint_eq(stack32(2), 0x11);
    ck_assert_uint_eq(stack32(3), 0x22);
    ck_assert_uint_eq(stack32(4), AT_STACK - 8);
    ck_assert_uint_eq(stack32(5), UDATA);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(cpu_cpl(CPU), 3);
    ck_assert_uint_eq(R.cpu.arch.gpr[RSP], AT_STACK);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 7);
}
END_TEST

/* INT n in virtual-8086 mode with CR4.VME and a clear bit in the redirection map stays there. */
START_TEST(test_events__vme_redirection)
{
    go_protected(3);
    R.cpu.arch.cr4 = CR4_VME;
    R.cpu.arch.tr.limit = 0x200;
    store_le16(ram(AT_TSS + 102), 0x88);
    memset(ram(AT_TSS + 0x68), 0, 32);
    store_le32(ram(4 * 0x21), 0x09000004);
    cpu_set_rflags(CPU, RFLAGS_VM | RFLAGS_VIF | RFLAGS_IF);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        seg_store_v86(CPU, i, 0x800);
    }
    R.cpu.arch.rip = 0;
    R.cpu.arch.gpr[RSP] = 0x100;
    cpu_update_mode(CPU);
    code("\xcd\x21", 2);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.d.v86);
    ck_assert_uint_eq(R.cpu.arch.rip, 4);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].sel, 0x900);
    ck_assert_uint_eq(load_le16(ram(0x80fe)), RFLAGS_IF | RFLAGS_IOPL | RFLAGS_ONE);
    ck_assert_uint_eq(load_le16(ram(0x80fa)), 2);
    ck_assert_uint_eq(cpu_rflags(CPU), RFLAGS_VM | RFLAGS_IF | RFLAGS_ONE);
}
END_TEST

/* Saved and loaded, a processor hashes the same, and another one does not. */
START_TEST(test_events__state_round_trip)
{
    struct state_io save, load, a, b;
    go_long(3);
    R.cpu.arch.gpr[RBX] = 0x1234;
    state_init_save(&save);
    cpu_state(CPU, &save);
    state_init_hash(&a);
    cpu_state(CPU, &a);
    cpu_reset(CPU, CPU_RESET_POWER);
    state_init_hash(&b);
    cpu_state(CPU, &b);
    ck_assert_uint_ne(a.hash, b.hash);
    state_init_load(&load, save.data, save.len);
    cpu_state(CPU, &load);
    ck_assert(!load.failed);
    state_init_hash(&b);
    cpu_state(CPU, &b);
    ck_assert_uint_eq(a.hash, b.hash);
    ck_assert(R.cpu.d.code64);
    ck_assert_uint_eq(cpu_cpl(CPU), 3);
    state_free(&save);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tc = tcase_create("events");
    tcase_add_checked_fixture(tc, rig_start, rig_stop);
    tcase_add_test(tc, test_events__real_mode_frame);
    tcase_add_test(tc, test_events__protected_inner_frame);
    tcase_add_test(tc, test_events__v86_frame_clears_data_segments);
    tcase_add_test(tc, test_events__long_mode_alignment);
    tcase_add_test(tc, test_events__long_mode_ist_and_inner_ss);
    tcase_add_test(tc, test_events__software_interrupt_checks_dpl);
    tcase_add_test(tc, test_events__ext_bit);
    tcase_add_test(tc, test_events__double_fault);
    tcase_add_test(tc, test_events__contributory_then_page_fault_is_serial);
    tcase_add_test(tc, test_events__triple_fault_shuts_down);
    tcase_add_test(tc, test_events__failed_delivery_commits_nothing);
    tcase_add_test(tc, test_events__debug_exception_registers);
    tcase_add_test(tc, test_events__iretq_round_trip);
    tcase_add_test(tc, test_events__nmi_blocking);
    tcase_add_test(tc, test_events__sti_shadow_lasts_one_instruction);
    tcase_add_test(tc, test_events__single_step);
    tcase_add_test(tc, test_events__init_and_sipi);
    tcase_add_test(tc, test_events__smm_round_trip);
    tcase_add_test(tc, test_events__shadow_stack);
    tcase_add_test(tc, test_events__call_gate);
    tcase_add_test(tc, test_events__vme_redirection);
    tcase_add_test(tc, test_events__state_round_trip);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
