/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ENCLS, ENCLU, PCONFIG: who may, when they exit, what they answer where there is no enclave memory and nothing to
 * configure. [SDM3 "SGX Instruction References"], [SDM2 "PCONFIG"], [SDM3 "ENCLS-Exiting Bitmap"] */
#include "vmx_rig.h"
#include "unit.h"

enum { AT_PAGE = 0x60000 };

#define ENCLS "\x0f\x01\xcf"
#define ENCLU "\x0f\x01\xd7"
#define PCONFIG "\x0f\x01\xc5"

static void start_model(const char *text)
{
    struct error err = {0};
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, text, &err), "%s", err.text);
    cpu_reset(CPU, CPU_RESET_POWER);
}

static void opt_in(void)
{
    ck_assert_int_eq(msr_write(CPU, MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_SGX), CPU_OK);
}

/* Execute what stands at RIP, without delivering what it raises. */
static cpu_rc step(const char *bytes, size_t n)
{
    struct insn in;
    memcpy(ram(R.cpu.arch.rip), bytes, n);
    struct decoder *d = decoder_new(&R.model);
    (void)decode_insn(d, R.cpu.d.mode_word, ram(R.cpu.arch.rip), 15, &in);
    decoder_free(d);
    R.cpu.event.kind = EVENT_NONE;
    return in.exec(CPU, &in);
}
#define STEP(bytes) step(bytes, sizeof bytes - 1)

static void leaf(u32 eax, u64 rbx, u64 rcx, u64 rdx)
{
    R.cpu.arch.gpr[RAX] = eax;
    R.cpu.arch.gpr[RBX] = rbx;
    R.cpu.arch.gpr[RCX] = rcx;
    R.cpu.arch.gpr[RDX] = rdx;
}

/* The order of the refusals: #UD by mode and level, then #GP(0) by opt-in, leaf, paging, DS. */
START_TEST(test_enclave__who_may)
{
    start_model("intel,+sgx,+pconfig");
    R.cpu.arch.rip = AT_CODE; /* real mode */
    set_flat(SEG_CS, KCODE);
    expect_fault(STEP(ENCLS), VEC_UD, 0);
    expect_fault(STEP(ENCLU), VEC_UD, 0);
    expect_fault(STEP(PCONFIG), VEC_GP, 0);
    go_long(3);
    expect_fault(STEP(ENCLS), VEC_UD, 0);
    expect_fault(STEP(PCONFIG), VEC_UD, 0);
    expect_fault(STEP(ENCLU), VEC_GP, 0); /* not opted in */
    opt_in();
    R.cpu.arch.cr0 |= CR0_TS;
    expect_fault(STEP(ENCLU), VEC_NM, 0);
    go_long(0);
    expect_fault(STEP(ENCLU), VEC_UD, 0);
    R.cpu.arch.in_smm = true;
    expect_fault(STEP(ENCLS), VEC_UD, 0);
    R.cpu.arch.in_smm = false;
    leaf(13, AT_PAGE, AT_PAGE, 0);
    expect_fault(STEP(ENCLS), VEC_GP, 0);
    ck_assert_str_eq(R.cpu.event.why, "ENCLS: no such leaf");
    leaf(0, AT_PAGE, AT_PAGE, 0);
    go_protected(0);
    expect_fault(STEP(ENCLS), VEC_GP, 0);
    expect_fault(STEP("\x66" ENCLS), VEC_UD, 0);
    expect_fault(STEP("\xf3" PCONFIG), VEC_UD, 0);
    rig_stop();
}
END_TEST

/* Bit 18 of IA32_FEATURE_CONTROL is there with SGX, and held by the lock. */
START_TEST(test_enclave__opt_in)
{
    u64 value = 0;
    start_model("intel");
    expect_fault(msr_write(CPU, MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_SGX), VEC_GP, 0);
    expect_fault(msr_read(CPU, 0x500, &value), VEC_GP, 0);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0x12, 0).eax, 0);
    rig_stop();
    start_model("intel,+sgx");
    ck_assert_uint_eq(cpuid_lookup(CPU, 7, 0).ebx & BIT32(2), BIT32(2));
    ck_assert_uint_eq(cpuid_lookup(CPU, 0x12, 0).eax, 1);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0x12, 1).ecx, xsave_xcr0_mask(&R.model));
    for (u32 sub = 2; sub < 5; sub++) {
        struct cpuid_regs r = cpuid_lookup(CPU, 0x12, sub);
        ck_assert_uint_eq(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
    opt_in();
    expect_fault(msr_write(CPU, MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCK), VEC_GP, 0);
    ck_assert_int_eq(msr_read(CPU, 0x500, &value), CPU_OK);
    expect_fault(msr_read(CPU, 0x300, &value), VEC_GP, 0);
    ck_assert_int_eq(msr_write(CPU, 0x300, 5), CPU_OK);
    rig_stop();
}
END_TEST

/* Each leaf: operands aligned by the manual, then a page fault of SGX's own at the page of the enclave page cache. */
START_TEST(test_enclave__no_page_cache)
{
    static const struct {
        u32 leaf;
        u64 rbx, rcx, rdx; /* good; 1 below them is not */
        u32 error;
    } rows[] = {
        {0, AT_PAGE + 32, AT_PAGE, 0, PF_W},      {1, AT_PAGE + 32, AT_PAGE, 0, PF_W},
        {2, AT_PAGE, AT_PAGE, AT_PAGE + 512, PF_W}, {3, 0, AT_PAGE, 0, PF_W},
        {4, 0, AT_PAGE + 8, 0, 0},                {5, 0, AT_PAGE + 8, 0, PF_W},
        {6, 0, AT_PAGE + 256, 0, 0},              {7, AT_PAGE + 32, AT_PAGE, AT_PAGE + 8, PF_W},
        {8, AT_PAGE + 32, AT_PAGE, AT_PAGE + 8, PF_W}, {9, 0, AT_PAGE, 0, PF_W},
        {10, 3, AT_PAGE, 0, PF_W},                {11, AT_PAGE + 32, AT_PAGE, AT_PAGE + 8, PF_W},
        {12, 0, AT_PAGE, 0, PF_W},
    };
    start_model("intel,+sgx");
    opt_in();
    go_long(0);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        leaf(rows[i].leaf, rows[i].rbx, rows[i].rcx, rows[i].rdx);
        expect_fault(STEP(ENCLS), VEC_PF, PF_P | PF_SGX | rows[i].error);
        ck_assert_uint_eq(R.cpu.event.cr2, rows[i].rcx);
        leaf(rows[i].leaf, rows[i].rbx, rows[i].rcx - 1, rows[i].rdx);
        expect_fault(STEP(ENCLS), VEC_GP, 0);
        if (rows[i].rbx != 0) {
            leaf(rows[i].leaf, rows[i].rbx - 1, rows[i].rcx, rows[i].rdx);
            expect_fault(STEP(ENCLS), VEC_GP, 0);
        }
        if (rows[i].rdx != 0) {
            leaf(rows[i].leaf, rows[i].rbx, rows[i].rcx, rows[i].rdx - 1);
            expect_fault(STEP(ENCLS), VEC_GP, 0);
        }
    }
    leaf(3, 0, 0x40000000, 0); /* ordinary faults come first */
    expect_fault(STEP(ENCLS), VEC_PF, PF_W);
    leaf(3, 0, BIT(63), 0);
    expect_fault(STEP(ENCLS), VEC_GP, 0);
    go_long(3);
    for (u32 n = 0; n < 6; n++) {
        bool enters = n == 2 || n == 3;
        leaf(n, AT_PAGE, AT_CODE, 0);
        expect_fault(STEP(ENCLU), enters ? VEC_PF : VEC_GP, enters ? PF_P | PF_U | PF_W | PF_SGX : 0);
        leaf(n, AT_PAGE + 1, AT_CODE, 0);
        expect_fault(STEP(ENCLU), VEC_GP, 0);
    }
    rig_stop();
}
END_TEST

/* A guest exits by the bit of its leaf, after #UD and before everything else; leaves above 62 share the last bit. */
START_TEST(test_enclave__exits)
{
    static const struct {
        u32 leaf, bit;
    } rows[] = {{0, 0}, {12, 12}, {62, 62}, {63, 63}, {64, 63}, {0xffffffff, 63}};
    for (unsigned which = 0; which < 2; which++) {
        u32 control = which == 0 ? PROC2_ENCLS : PROC2_PCONFIG;
        u32 bitmap = which == 0 ? VMCS_ENCLS_EXITING_BITMAP : VMCS_PCONFIG_EXITING_BITMAP;
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
            start(LONG);
            put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) | control);
            put(bitmap, BIT(rows[i].bit));
            ck_assert_int_eq(launch(), CPU_OK);
            ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
            leaf(rows[i].leaf, 0, 0, 0);
            ck_assert_int_eq(which == 0 ? STEP(ENCLS) : STEP(PCONFIG), CPU_EXIT);
            ck_assert_int_eq(R.cpu.event.kind, EVENT_VMEXIT);
            ck_assert_uint_eq(R.cpu.exit.reason, which == 0 ? EXIT_ENCLS : EXIT_PCONFIG);
            ck_assert_uint_eq(R.cpu.exit.qualification, 0);
            leaf(rows[i].bit == 0 ? 1 : rows[i].bit - 1, 0, 0, 0);
            expect_fault(which == 0 ? STEP(ENCLS) : STEP(PCONFIG), VEC_GP, 0);
            ck_assert_int_ne(R.cpu.event.kind, EVENT_VMEXIT);
            stop();
        }
        start(LONG);
        put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) | control);
        put(bitmap, ~(u64)0);
        ck_assert_int_eq(launch(), CPU_OK);
        set_flat(SEG_CS, UCODE64);
        set_flat(SEG_SS, UDATA);
        cpu_update_mode(CPU);
        expect_fault(which == 0 ? STEP(ENCLS) : STEP(PCONFIG), VEC_UD, 0);
        stop();
    }
}
END_TEST

/* Switching SGX on brings its control; a guest may have been interrupted in an enclave only where there are some. */
START_TEST(test_enclave__vmx_follows)
{
    struct error err = {0};
    start(LONG);
    ck_assert(cpu_has(CPU, CPU_FEATURE_VMX_ENCLS_EXIT) && vmcs_field_exists(CPU, VMCS_ENCLS_EXITING_BITMAP));
    put(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_ENCLAVE);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    ck_assert(cpu_model_parse(&R.model, "intel", &err));
    vmcs_init(CPU);
    ck_assert(!cpu_has(CPU, CPU_FEATURE_VMX_ENCLS_EXIT) && !vmcs_field_exists(CPU, VMCS_ENCLS_EXITING_BITMAP));
    ck_assert(!vmcs_field_exists(CPU, VMCS_PCONFIG_EXITING_BITMAP));
    start_vmx(LONG);
    fit_controls();
    put(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_ENCLAVE);
    (void)launch();
    ck_assert_str_eq(R.cpu.vmx_reason.id, "BLOCKING_ENCLAVE");
    ck_assert(!cpu_model_parse(&R.model, "intel,+vmx-encls-exit", &err));
    ck_assert(!cpu_model_parse(&R.model, "amd,+sgx", &err));
    ck_assert(cpu_model_parse(&R.model, "intel,+sgx,-vmx-encls-exit", &err));
    ck_assert(!cpu_has(CPU, CPU_FEATURE_VMX_ENCLS_EXIT));
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enclave");
    TCase *tc = tcase_create("enclave");
    tcase_add_test(tc, test_enclave__who_may);
    tcase_add_test(tc, test_enclave__opt_in);
    tcase_add_test(tc, test_enclave__no_page_cache);
    tcase_add_test(tc, test_enclave__exits);
    tcase_add_test(tc, test_enclave__vmx_follows);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
