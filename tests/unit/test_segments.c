/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segment loads in every mode, far returns' effect on data segments. [SDM2 "MOV-Move"],
 * [SDM3 "Privilege Level Checking When Accessing Data Segments"] */
#include "sys_rig.h"
#include "unit.h"

START_TEST(test_segments__real_mode_keeps_limit)
{
    R.cpu.arch.seg[SEG_DS].limit = 0xffffffff; /* big real mode */
    ck_assert_int_eq(seg_load(CPU, SEG_DS, 0x1234), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_DS].base, 0x12340);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_DS].limit, 0xffffffff);
}
END_TEST

/* A far transfer in real mode leaves code what protected mode loaded as code, and the reset's CS data. */
START_TEST(test_segments__real_mode_keeps_code)
{
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].attr & 0xff, 0x93);
    seg_store_cs_real(CPU, 0xc000);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].attr & 0xff, 0x93);
    R.cpu.arch.seg[SEG_CS].attr = 0x9b;
    seg_store_cs_real(CPU, 0xf000);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].attr, 0x9b);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_CS].base, 0xf0000);
}
END_TEST

START_TEST(test_segments__v86_is_64k_dpl3)
{
    go_protected(3);
    cpu_set_rflags(CPU, RFLAGS_VM);
    cpu_update_mode(CPU);
    ck_assert_int_eq(seg_load(CPU, SEG_ES, 0x8001), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_ES].base, 0x80010);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_ES].limit, 0xffff);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_ES].attr, 0xf3);
}
END_TEST

START_TEST(test_segments__data_checks)
{
    go_protected(3);
    ck_assert_int_eq(seg_load(CPU, SEG_DS, 0), CPU_OK);
    ck_assert_uint_ne(R.cpu.arch.seg[SEG_DS].attr & SEG_UNUSABLE, 0);
    expect_fault(seg_load(CPU, SEG_DS, KDATA), VEC_GP, KDATA);
    expect_fault(seg_load(CPU, SEG_DS, GDT_END), VEC_GP, GDT_END);
    expect_fault(seg_load(CPU, SEG_DS, TSS_SEL), VEC_GP, TSS_SEL);
    expect_fault(seg_load(CPU, SEG_DS, 0x0c), VEC_GP, 0x0c); /* no LDT */
    ck_assert_int_eq(seg_load(CPU, SEG_DS, UCODE), CPU_OK);  /* readable code */
    go_protected(0);
    expect_fault(seg_load(CPU, SEG_DS, ABSENT), VEC_NP, ABSENT);
    expect_fault(seg_load(CPU, SEG_DS, KDATA | 3), VEC_GP, KDATA);
}
END_TEST

START_TEST(test_segments__stack_checks)
{
    go_protected(0);
    expect_fault(seg_load(CPU, SEG_SS, 0), VEC_GP, 0);
    expect_fault(seg_load(CPU, SEG_SS, KDATA | 1), VEC_GP, KDATA);
    expect_fault(seg_load(CPU, SEG_SS, UDATA), VEC_GP, UDATA & 0xfffc);
    expect_fault(seg_load(CPU, SEG_SS, READONLY), VEC_GP, READONLY);
    expect_fault(seg_load(CPU, SEG_SS, KCODE), VEC_GP, KCODE);
    expect_fault(seg_load(CPU, SEG_SS, ABSENT), VEC_SS, ABSENT);
    ck_assert_int_eq(seg_load(CPU, SEG_SS, FRESH), CPU_OK);
}
END_TEST

START_TEST(test_segments__accessed_bit_is_set_in_memory)
{
    go_protected(0);
    ck_assert_int_eq(seg_load(CPU, SEG_ES, FRESH), CPU_OK);
    ck_assert_uint_eq(*ram(AT_GDT + FRESH + 5), 0x93);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_ES].attr & 0xff, 0x93);
}
END_TEST

START_TEST(test_segments__null_ss_in_64bit_mode)
{
    go_long(0);
    ck_assert_int_eq(seg_load(CPU, SEG_SS, 0), CPU_OK);
    ck_assert_uint_eq(cpu_cpl(CPU), 0);
    expect_fault(seg_load(CPU, SEG_SS, 1), VEC_GP, 0); /* RPL is not CPL */
    go_long(3);
    expect_fault(seg_load(CPU, SEG_SS, 3), VEC_GP, 0);
}
END_TEST

/* A null selector clears the hidden base of FS and GS on Intel, keeps it on AMD. */
START_TEST(test_segments__null_base_by_vendor)
{
    struct error err = {0};
    go_long(0);
    R.cpu.arch.seg[SEG_GS].base = 0xffff800000000000;
    ck_assert_int_eq(seg_load(CPU, SEG_GS, 0), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_GS].base, 0);
    ck_assert(cpu_model_parse(&R.model, "amd", &err));
    R.cpu.arch.seg[SEG_GS].base = 0xffff800000000000;
    ck_assert_int_eq(seg_load(CPU, SEG_GS, 0), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_GS].base, 0xffff800000000000);
}
END_TEST

START_TEST(test_segments__outer_return_drops_inner_segments)
{
    go_protected(0);
    ck_assert_int_eq(seg_load(CPU, SEG_FS, UDATA), CPU_OK);
    seg_drop_inner(CPU, 3);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_DS].sel, 0);
    ck_assert_uint_ne(R.cpu.arch.seg[SEG_DS].attr & SEG_UNUSABLE, 0);
    ck_assert_uint_eq(R.cpu.arch.seg[SEG_FS].sel, UDATA);
}
END_TEST

/* LTR marks the descriptor busy and refuses a busy one. */
START_TEST(test_segments__ltr_busy)
{
    struct insn in = {.r = {RAX, OPR_NONE, OPR_NONE, OPR_NONE}, .osz = 2};
    go_protected(0);
    R.cpu.arch.gpr[RAX] = TSS_SEL;
    ck_assert_int_eq(exec_ltr(CPU, &in), CPU_OK);
    ck_assert_uint_eq(*ram(AT_GDT + TSS_SEL + 5), 0x8b);
    expect_fault(exec_ltr(CPU, &in), VEC_GP, TSS_SEL);
}
END_TEST

START_TEST(test_segments__lar_lsl_say_zf)
{
    struct insn in = {.r = {RAX, RCX, OPR_NONE, OPR_NONE}, .osz = 4};
    go_protected(3);
    R.cpu.arch.gpr[RCX] = UDATA;
    ck_assert_int_eq(exec_lar(CPU, &in), CPU_OK);
    ck_assert(flag_zf(CPU));
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 0xc0f300);
    ck_assert_int_eq(exec_lsl(CPU, &in), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 0xffffffff);
    R.cpu.arch.gpr[RCX] = KDATA; /* not visible from level 3 */
    ck_assert_int_eq(exec_lar(CPU, &in), CPU_OK);
    ck_assert(!flag_zf(CPU));
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 0xffffffff);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segments");
    TCase *tc = tcase_create("segments");
    tcase_add_checked_fixture(tc, rig_start, rig_stop);
    tcase_add_test(tc, test_segments__real_mode_keeps_limit);
    tcase_add_test(tc, test_segments__real_mode_keeps_code);
    tcase_add_test(tc, test_segments__v86_is_64k_dpl3);
    tcase_add_test(tc, test_segments__data_checks);
    tcase_add_test(tc, test_segments__stack_checks);
    tcase_add_test(tc, test_segments__accessed_bit_is_set_in_memory);
    tcase_add_test(tc, test_segments__null_ss_in_64bit_mode);
    tcase_add_test(tc, test_segments__null_base_by_vendor);
    tcase_add_test(tc, test_segments__outer_return_drops_inner_segments);
    tcase_add_test(tc, test_segments__ltr_busy);
    tcase_add_test(tc, test_segments__lar_lsl_say_zf);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
