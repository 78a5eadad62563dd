/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way into an SVM guest and back: exits, what they report, injected events. [APM2 "#VMEXIT"] */
#include "svm_rig.h"
#include "unit.h"
#include "vmi_rom.h"

#include "cpu/msr.h"
#include "traces/words.h"

START_TEST(test_svm__round_trip)
{
    start();
    good_vmcb();
    put_code(AT_HANDLER, "\x90\x0f\x01\xd9", 4); /* NOP, VMMCALL */
    put_code(AT_CODE + 3, "\xeb\xfe", 2);
    put(VMCB_rax, 8, 0x1234);
    vmrun();
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_SVM);
    ck_assert(R.cpu.arch.svm.gif);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 0x1234);
    (void)cpu_run(CPU, 10);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(get(VMCB_exitcode, 8), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 1);
    ck_assert_uint_eq(get(VMCB_nrip, 8), AT_HANDLER + 4);
    ck_assert_uint_eq(get(VMCB_rax, 8), 0x1234);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], AT_VMCB);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 3);
    ck_assert(!R.cpu.arch.svm.gif);
    stop();
}
END_TEST

/* The nested tables map 4 MiB: the page behind them is a nested page fault with the final address's bit. */
START_TEST(test_svm__nested_page_fault)
{
    start();
    good_vmcb();
    store_le64(ram(AT_TABLES + 0x2010), 0x400087);                /* the guest's own tables map it */
    store_le64(ram(0x60000), (0x60000 + 0x1000) | 7);             /* other tables for the second level */
    store_le64(ram(0x61000), (0x60000 + 0x2000) | 7);
    store_le64(ram(0x62000), 0x87);
    store_le64(ram(0x62008), 0x200087);
    put(VMCB_n_cr3, 8, 0x60000);
    memcpy(ram(AT_HANDLER), "\x8b\x04\x25\x10\x00\x40\x00", 7); /* MOV EAX, [400010h] */
    vmrun();
    (void)cpu_run(CPU, 10);
    ck_assert_uint_eq(get(VMCB_exitcode, 8), SVM_EXIT_NPF);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), SVM_NPF_FINAL | PF_U);
    ck_assert_uint_eq(get(VMCB_exitinfo2, 8), 0x400010);
    ck_assert_uint_eq(get(VMCB_insn_count, 1), 15);
    ck_assert_uint_eq(load_le32(ram(AT_VMCB + VMCB_INSN_BYTES)), 0x1025048b);
    stop();
}
END_TEST

/* ---- What an exit says ---- */

static const struct {
    const char *bytes;
    unsigned len, insn; /* the intercepted instruction is the last one */
    unsigned offset;
    u32 bit;
    u64 code;
} insns[] = {
    {"\x0f\x01\xf9", 3, 3, VMCB_intercept_2, SVM_EXIT_RDTSCP - 0x80, SVM_EXIT_RDTSCP},
    {"\x0f\x31", 2, 2, VMCB_intercept_1, SVM_EXIT_RDTSC - 0x60, SVM_EXIT_RDTSC},
    {"\x31\xc9\x0f\x01\xc8", 5, 3, VMCB_intercept_2, SVM_EXIT_MONITOR - 0x80, SVM_EXIT_MONITOR},
    {"\xb9\x01\x00\x00\x00\x0f\x01\xc9", 8, 3, VMCB_intercept_2, SVM_EXIT_MWAIT - 0x80, SVM_EXIT_MWAIT},
    {"\x0f\xa2", 2, 2, VMCB_intercept_1, SVM_EXIT_CPUID - 0x60, SVM_EXIT_CPUID},
    {"\xf4", 1, 1, VMCB_intercept_1, SVM_EXIT_HLT - 0x60, SVM_EXIT_HLT},
    {"\xf3\x90", 2, 2, VMCB_intercept_1, SVM_EXIT_PAUSE - 0x60, SVM_EXIT_PAUSE},
    {"\x0f\x08", 2, 2, VMCB_intercept_1, SVM_EXIT_INVD - 0x60, SVM_EXIT_INVD},
    {"\x0f\x09", 2, 2, VMCB_intercept_2, SVM_EXIT_WBINVD - 0x80, SVM_EXIT_WBINVD},
    {"\xf1", 1, 1, VMCB_intercept_2, SVM_EXIT_ICEBP - 0x80, SVM_EXIT_ICEBP},
    {"\xcd\x21", 2, 2, VMCB_intercept_1, SVM_EXIT_SWINT - 0x60, SVM_EXIT_SWINT},
    {"\x9c", 1, 1, VMCB_intercept_1, SVM_EXIT_PUSHF - 0x60, SVM_EXIT_PUSHF},
    {"\x0f\x01\xdc", 3, 3, VMCB_intercept_2, SVM_EXIT_STGI - 0x80, SVM_EXIT_STGI},
    {"\x0f\x01\xdd", 3, 3, VMCB_intercept_2, SVM_EXIT_CLGI - 0x80, SVM_EXIT_CLGI},
    {"\x0f\x01\xda", 3, 3, VMCB_intercept_2, SVM_EXIT_VMLOAD - 0x80, SVM_EXIT_VMLOAD},
    {"\x0f\x20\xd8", 3, 3, VMCB_intercept_cr, SVM_EXIT_CR3_READ, SVM_EXIT_CR3_READ},
    {"\x0f\x22\xd8", 3, 3, VMCB_intercept_cr, SVM_EXIT_CR3_WRITE, SVM_EXIT_CR3_WRITE},
    {"\x0f\x21\xf8", 3, 3, VMCB_intercept_dr, SVM_EXIT_DR7_READ - 0x20, SVM_EXIT_DR7_READ},
    {"\x0f\x0b", 2, 0, VMCB_intercept_exceptions, VEC_UD, SVM_EXIT_EXCP6},
};

/* Each intercept ends the guest before its instruction, under its own code in all 64 bits, with the next RIP. */
START_TEST(test_svm__intercepts)
{
    start();
    good_vmcb();
    put(VMCB_rax, 8, AT_VMCB); /* an address for VMLOAD, MONITOR */
    put(insns[_i].offset, 4, get(insns[_i].offset, 4) | BIT32(insns[_i].bit));
    put(VMCB_exitcode, 8, ~(u64)0);
    u64 exit_code = run_guest(insns[_i].bytes, insns[_i].len);
    if (insns[_i].code == SVM_EXIT_CR3_WRITE) {
        ck_assert_uint_eq(R.cpu.arch.cr3, AT_TABLES);
    }
    ck_assert_uint_eq(exit_code, insns[_i].code);
    u64 rip = AT_HANDLER + insns[_i].len - (insns[_i].insn != 0 ? insns[_i].insn : insns[_i].len);
    ck_assert_uint_eq(get(VMCB_rip, 8), rip);
    ck_assert_uint_eq(get(VMCB_nrip, 8), insns[_i].insn != 0 ? rip + insns[_i].insn : 0);
    ck_assert_str_eq(R.cpu.svm_reason.what, "#VMEXIT");
    ck_assert_str_eq(R.cpu.svm_reason.id, svm_exit_name(insns[_i].code));
    stop();
}
END_TEST

/* An injected page fault delivers with the guest's CR2. */
START_TEST(test_svm__injected_page_fault_keeps_cr2)
{
    start();
    good_vmcb();
    gate64(VEC_PF, KCODE64, AT_HANDLER + 0x100, SYS_INT, 0, 0);
    put_code(AT_HANDLER + 0x100, "\x0f\x01\xd9", 3);
    put(VMCB_cr2, 8, 0x123456);
    put(VMCB_rsp, 8, AT_STACK);
    R.cpu.arch.cr2 = 0x777;
    put(VMCB_eventinj, 8,
        SVM_EVENT_V | SVM_EVENT_EV | SVM_EVENT_EXCEPTION << SVM_EVENT_TYPE_SHIFT | VEC_PF | (u64)PF_W << 32);
    ck_assert_uint_eq(run_guest("\x90", 1), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 0x100);
    ck_assert_uint_eq(get(VMCB_cr2, 8), 0x123456);
    ck_assert_uint_eq(load_le64(ram(get(VMCB_rsp, 8))), PF_W);
    stop();
}
END_TEST

/* What the processor does not offer does not happen. */
START_TEST(test_svm__features_gate)
{
    start();
    good_vmcb();
    R.model.features[CPU_FEATURE_NRIPS / 64] &= ~BIT(CPU_FEATURE_NRIPS % 64);
    put(VMCB_nrip, 8, 0x55);
    ck_assert_uint_eq(run_guest("\x0f\x01\xd9", 3), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(get(VMCB_nrip, 8), 0x55);
    stop();
}
END_TEST

/* A waiting x87 instruction with an exception pending and CR0.NE = 0. */
START_TEST(test_svm__ferr_freeze)
{
    start();
    good_vmcb();
    put(VMCB_cr0, 8, CR0_PE | CR0_PG | CR0_ET);
    put(VMCB_intercept_1, 4, BIT32(SVM_EXIT_FERR_FREEZE - 0x60));
    R.cpu.arch.fpu.fcw = 0x37e;
    R.cpu.arch.fpu.fsw = 0x8081; /* ES, IE */
    ck_assert_uint_eq(run_guest("\x9b", 1), SVM_EXIT_FERR_FREEZE);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER);
    stop();
}
END_TEST

/* VM_CR.R_INIT makes #SX of INIT; the lock opens to its key alone. */
START_TEST(test_svm__vm_cr)
{
    start();
    gate64(VEC_SX, KCODE64, AT_HANDLER, SYS_INT, 0, 0);
    ck_assert_int_eq(msr_write(CPU, 0xc0010118, 0x1234), CPU_OK);
    ck_assert_int_eq(msr_write(CPU, MSR_AMD_VM_CR, VM_CR_LOCK | VM_CR_R_INIT), CPU_OK);
    R.cpu.arch.init_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    ck_assert_uint_eq(load_le64(ram(R.cpu.arch.gpr[RSP])), 1);
    ck_assert_int_eq(msr_write(CPU, 0xc0010118, 0x1235), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.vm_cr & VM_CR_LOCK, VM_CR_LOCK);
    ck_assert_int_eq(msr_write(CPU, 0xc0010118, 0x1234), CPU_OK);
    ck_assert_uint_eq(R.cpu.arch.vm_cr & VM_CR_LOCK, 0);
    stop();
}
END_TEST

/* An SMI that is not intercepted: SMM is outside the guest, RSM goes back into it. [APM2 "SMM Support"] */
/* A call by the code of a VMI ROM is VMI's; the same instruction elsewhere, or without the ROM, is nobody's. */
START_TEST(test_svm__vmi_rom_calls)
{
    static const struct {
        bool rom, wide;
        u64 rip;
        enum trace_interface interface;
    } cases[] = {{true, false, AT_ROM_CALL, TRACE_INTERFACE_VMI},
                 {true, false, AT_BEHIND_ROM, TRACE_INTERFACE_UNKNOWN},
                 {true, true, AT_ROM_CALL, TRACE_INTERFACE_UNKNOWN},
                 {false, false, AT_ROM_CALL, TRACE_INTERFACE_UNKNOWN}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace t;
        struct seen_call seen = {0};
        start();
        good_vmcb();
        look_at_calls(&t, &R.clock, &seen);
        if (cases[i].rom) {
            put_vmi_rom();
        }
        put(VMCB_cs + 2, 2, cases[i].wide ? 0xa9b : 0xc9b);
        put_code(cases[i].rip, "\xb8\x11\x00\x00\x00\x0f\x01\xd9", 8); /* SetCR3; VMMCALL */
        put(VMCB_rip, 8, cases[i].rip);
        ck_assert_uint_eq(run_guest("", 0), SVM_EXIT_VMMCALL);
        ck_assert_uint_eq(seen.count, 1);
        ck_assert_uint_eq(seen.interface, cases[i].interface);
        ck_assert_uint_eq(seen.number, 17);
        CPU->trace = NULL;
        stop();
    }
    ck_assert_str_eq(trace_hypercall_name(TRACE_INTERFACE_VMI, 17), "SetCR3");
}
END_TEST

START_TEST(test_svm__smi_leaves_the_guest)
{
    start();
    good_vmcb();
    memcpy(ram(0x38000), "\x0f\xa2\x0f\xaa", 4); /* CPUID, RSM */
    put_code(AT_HANDLER, "\xeb\xfe", 2);
    vmrun();
    R.cpu.arch.smi_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.arch.in_smm);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    (void)cpu_run(CPU, 1);
    (void)cpu_run(CPU, 1);
    ck_assert(!R.cpu.arch.in_smm);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_SVM);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("svm");
    TCase *c = tcase_create("svm");
    tcase_add_test(c, test_svm__round_trip);
    tcase_add_loop_test(c, test_svm__intercepts, 0, (int)ARRAY_LEN(insns));
    tcase_add_test(c, test_svm__injected_page_fault_keeps_cr2);
    tcase_add_test(c, test_svm__features_gate);
    tcase_add_test(c, test_svm__ferr_freeze);
    tcase_add_test(c, test_svm__vm_cr);
    tcase_add_test(c, test_svm__nested_page_fault);
    tcase_add_test(c, test_svm__vmi_rom_calls);
    tcase_add_test(c, test_svm__smi_leaves_the_guest);
    suite_add_tcase(s, c);
    return unit_run(s);
}
