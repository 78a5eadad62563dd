/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AVIC: a guest's APIC in its backing page. The rig's "APIC page" is a page of its own RAM. [APM2 "Advanced Virtual
 * Interrupt Controller"] */
#include "svm_rig.h"
#include "unit.h"

enum { AT_BAR = 0x3ff000, AT_BACKING = 0x70000, AT_LOGICAL = 0x72000, AT_PHYSICAL = 0x73000, AT_OTHER = 0x74000 };

static void avic_vmcb(u32 more)
{
    good_vmcb();
    put(VMCB_int_ctl, 4, V_AVIC_ENABLE | V_INTR_MASKING | more);
    put(VMCB_avic_apic_bar, 8, AT_BAR);
    put(VMCB_avic_backing_page, 8, AT_BACKING);
    put(VMCB_avic_logical_table, 8, AT_LOGICAL);
    put(VMCB_avic_physical_table, 8, AT_PHYSICAL | 1);
    put(VMCB_rsp, 8, AT_STACK);
    store_le64(ram(AT_PHYSICAL), BIT(63) | BIT(62) | AT_BACKING);
    store_le64(ram(AT_PHYSICAL + 8), BIT(63) | AT_OTHER);
}

static u32 reg(u64 page, u32 offset)
{
    return load_le32(ram(page + offset));
}

/* MOV dword [AT_BAR + offset], value; then VMMCALL */
static u64 write_then_vmmcall(u32 offset, u32 value)
{
    u8 bytes[14] = {0xc7, 0x04, 0x25};
    store_le32(bytes + 3, AT_BAR + offset);
    store_le32(bytes + 7, value);
    memcpy(bytes + 11, "\x0f\x01\xd9", 3);
    return run_guest(bytes, sizeof bytes);
}

START_TEST(test_svm_avic__tpr_is_accelerated)
{
    start();
    avic_vmcb(0);
    ck_assert_uint_eq(write_then_vmmcall(0x80, 0x50), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(reg(AT_BACKING, 0x80), 0x50);
    ck_assert_uint_eq(get(VMCB_int_ctl, 4) & V_TPR, 5);
    ck_assert_uint_eq(reg(AT_BAR, 0x80), 0); /* the page behind is not touched */
    stop();
}
END_TEST

START_TEST(test_svm_avic__cr8_is_the_same_register)
{
    start();
    avic_vmcb(0);
    put(VMCB_rax, 8, 3);
    ck_assert_uint_eq(run_guest("\x44\x0f\x22\xc0\x0f\x01\xd9", 7), SVM_EXIT_VMMCALL); /* MOV CR8, RAX */
    ck_assert_uint_eq(reg(AT_BACKING, 0x80), 0x30);
    stop();
}
END_TEST

START_TEST(test_svm_avic__other_writes_trap)
{
    start();
    avic_vmcb(0);
    ck_assert_uint_eq(write_then_vmmcall(0xf0, 0x1ff), SVM_EXIT_AVIC_NOACCEL);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), BIT(32) | 0xf0);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 11);
    ck_assert_uint_eq(reg(AT_BACKING, 0xf0), 0x1ff);
    stop();
}
END_TEST

START_TEST(test_svm_avic__current_count_faults)
{
    start();
    avic_vmcb(0);
    ck_assert_uint_eq(run_guest("\x8b\x04\x25\x90\xf3\x3f\x00", 7), SVM_EXIT_AVIC_NOACCEL);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), 0x390);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER);
    stop();
}
END_TEST

/* An interrupt that waits in IRR is taken, is in service, and EOI ends it. */
START_TEST(test_svm_avic__interrupt_and_eoi)
{
    start();
    avic_vmcb(0);
    gate64(0x41, KCODE64, AT_HANDLER + 0x100, SYS_INT, 0, 0);
    put_code(AT_HANDLER + 0x100, "\x0f\x01\xd9", 3);
    store_le32(ram(AT_BACKING + 0x220), BIT32(1)); /* 41h */
    put(VMCB_rflags, 8, RFLAGS_IF | 2);
    ck_assert_uint_eq(run_guest("\xeb\xfe", 2), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 0x100);
    ck_assert_uint_eq(reg(AT_BACKING, 0x220), 0);
    ck_assert_uint_eq(reg(AT_BACKING, 0x120), BIT32(1));
    put(VMCB_rip, 8, AT_HANDLER);
    put(VMCB_rflags, 8, 2);
    R.cpu.arch.rip = AT_CODE;
    ck_assert_uint_eq(write_then_vmmcall(0xb0, 0), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(reg(AT_BACKING, 0x120), 0);
    stop();
}
END_TEST

START_TEST(test_svm_avic__level_eoi_traps)
{
    start();
    avic_vmcb(0);
    store_le32(ram(AT_BACKING + 0x120), BIT32(1));
    store_le32(ram(AT_BACKING + 0x1a0), BIT32(1));
    ck_assert_uint_eq(write_then_vmmcall(0xb0, 0), SVM_EXIT_AVIC_NOACCEL);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), BIT(32) | 0xb0);
    ck_assert_uint_eq(get(VMCB_exitinfo2, 8), 0x41);
    ck_assert_uint_eq(reg(AT_BACKING, 0x120), BIT32(1));
    stop();
}
END_TEST

START_TEST(test_svm_avic__ipi_to_who_does_not_run)
{
    start();
    avic_vmcb(0);
    store_le32(ram(AT_BACKING + 0x310), 1u << 24);
    ck_assert_uint_eq(write_then_vmmcall(0x300, 0x4041), SVM_EXIT_AVIC_INCOMPLETE_IPI);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), BIT(56) | 0x4041);
    ck_assert_uint_eq(get(VMCB_exitinfo2, 8), BIT(32) | 1);
    ck_assert_uint_eq(reg(AT_OTHER, 0x220), BIT32(1));
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 11);
    stop();
}
END_TEST

static const struct {
    u32 icr, dest;
    u64 info2; /* EXITINFO2, or ~0: no exit */
} ipis[] = {
    {0x00040041, 0, ~(u64)0},             /* to itself */
    {0x00004041, 0, ~(u64)0},             /* by its number */
    {0x00004441, 0, 0},                   /* NMI: type */
    {0x0000c041, 0, 0},                   /* level: type */
    {0x0000400f, 0, (u64)4 << 32},        /* vector */
    {0x00004041, 2, (u64)2 << 32 | 2},    /* beyond the table */
    {0x00004841, 2, (u64)2 << 32 | 1},    /* logical, no entry */
    {0x00004841, 1, ~(u64)0},             /* logical */
    {0x000c0041, 0, (u64)1 << 32 | 1},    /* all others: one does not run */
};

START_TEST(test_svm_avic__ipis)
{
    start();
    avic_vmcb(0);
    store_le32(ram(AT_BACKING + 0xe0), 0xffffffff);
    store_le32(ram(AT_LOGICAL), BIT32(31));
    store_le32(ram(AT_BACKING + 0x310), ipis[_i].dest << 24);
    u64 exit_code = write_then_vmmcall(0x300, ipis[_i].icr);
    if (ipis[_i].info2 == ~(u64)0) {
        ck_assert_uint_eq(exit_code, SVM_EXIT_VMMCALL);
        ck_assert_uint_eq(reg(AT_BACKING, 0x220), BIT32(1));
    } else {
        ck_assert_uint_eq(exit_code, SVM_EXIT_AVIC_INCOMPLETE_IPI);
        ck_assert_uint_eq(get(VMCB_exitinfo2, 8), ipis[_i].info2);
    }
    stop();
}
END_TEST

/* In x2AVIC mode the registers are MSRs, and the page is ordinary memory. */
START_TEST(test_svm_avic__x2avic)
{
    start();
    avic_vmcb(V_X2AVIC_ENABLE);
    static const char self[] = "\xb9\x3f\x08\x00\x00\xb8\x41\x00\x00\x00\x31\xd2\x0f\x30\x0f\x01\xd9"; /* WRMSR 83Fh */
    ck_assert_uint_eq(run_guest(self, sizeof self - 1), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(reg(AT_BACKING, 0x220), BIT32(1));
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("svm_avic");
    TCase *c = tcase_create("svm_avic");
    tcase_add_test(c, test_svm_avic__tpr_is_accelerated);
    tcase_add_test(c, test_svm_avic__cr8_is_the_same_register);
    tcase_add_test(c, test_svm_avic__other_writes_trap);
    tcase_add_test(c, test_svm_avic__current_count_faults);
    tcase_add_test(c, test_svm_avic__interrupt_and_eoi);
    tcase_add_test(c, test_svm_avic__level_eoi_traps);
    tcase_add_test(c, test_svm_avic__ipi_to_who_does_not_run);
    tcase_add_loop_test(c, test_svm_avic__ipis, 0, (int)ARRAY_LEN(ipis));
    tcase_add_test(c, test_svm_avic__x2avic);
    suite_add_tcase(s, c);
    return unit_run(s);
}
