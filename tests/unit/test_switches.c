/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every switch of `vitrine cpu features`: with it off the processor behaves as one without it: #UD for instructions, #GP
 * for registers and their bits, BSR for LZCNT, a NOP for ENDBR, controls that have no effect. A switch without a row
 * fails. VMX's are in test_vmx_switches.c. [SDM2], [APM3], [SDM3 "VMX Capability Reporting Facility"] */
#include "svm_rig.h"
#include "unit.h"

#include "cpu/control.h"
#include "cpu/msr.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

#include "mmu/walk.h"

enum kind {
    END,
    INSN,   /* 32-bit code: raises this vector without the switch, and not with it */
    INSN64, /* the same in 64-bit mode */
    CR4,    /* MOV to CR4 of this bit: #GP without */
    READ,   /* RDMSR: #GP without */
    WRITE,  /* WRMSR of this value: #GP without */
    RESULT, /* code that leaves one value in EAX with, another without */
    WALK,   /* flag of page walks */
    GUEST,  /* bits of a VMCB's control that do nothing without */
    TOLD,   /* software is told, nothing else depends on it */
};

struct row {
    enum cpu_feature feature;
    enum kind kind;
    const char *code;
    unsigned len, vector;
    u64 index, value, without;
};

#define I(feature, bytes) {CPU_FEATURE_##feature, INSN, bytes, sizeof bytes - 1, VEC_UD, 0, 0, 0}
#define L(feature, bytes) {CPU_FEATURE_##feature, INSN64, bytes, sizeof bytes - 1, VEC_UD, 0, 0, 0}
#define V(feature, vector, bytes) {CPU_FEATURE_##feature, INSN, bytes, sizeof bytes - 1, vector, 0, 0, 0}
#define C(feature, bit) {CPU_FEATURE_##feature, CR4, NULL, 0, 0, 0, bit, 0}
#define RD(feature, msr) {CPU_FEATURE_##feature, READ, NULL, 0, 0, msr, 0, 0}
#define WR(feature, msr, value) {CPU_FEATURE_##feature, WRITE, NULL, 0, 0, msr, value, 0}
#define EAX(feature, bytes, with, without) {CPU_FEATURE_##feature, RESULT, bytes, sizeof bytes - 1, 0, 0, with, without}
#define W(feature, flag) {CPU_FEATURE_##feature, WALK, NULL, 0, 0, 0, flag, 0}
#define G(feature, field, bits) {CPU_FEATURE_##feature, GUEST, #field, 0, 0, VMCB_##field, bits, 0}
#define T(feature) {CPU_FEATURE_##feature, TOLD, NULL, 0, 0, 0, 0, 0}
#define AT "\x00\x00\x06\x00" /* [60000h] */

static const struct row rows[] = {
    /* Instructions */
    I(CX8, "\x0f\xc7\x0d" AT), I(CMOV, "\x0f\x44\xc0"), I(CLFSH, "\x0f\xae\x3d" AT), I(MMX, "\x0f\x77"),
    I(FXSR, "\x0f\xae\x05" AT), I(SSE, "\x0f\x57\xc0"), I(SSE2, "\x66\x0f\x57\xc0"), I(SSE3, "\xf2\x0f\xd0\xc0"),
    I(PCLMULQDQ, "\x66\x0f\x3a\x44\xc0\x00"), I(MONITOR, "\x0f\x01\xc8"), I(SSSE3, "\x66\x0f\x38\x00\xc0"),
    I(FMA, "\xc4\xe2\x71\x98\xc0"), L(CX16, "\x48\x0f\xc7\x08"), I(SSE41, "\x66\x0f\x38\x17\xc0"),
    I(SSE42, "\x66\x0f\x38\x37\xc0"), I(MOVBE, "\x0f\x38\xf0\x05" AT), I(POPCNT, "\xf3\x0f\xb8\xc0"),
    I(AES, "\x66\x0f\x38\xdc\xc0"), I(XSAVE, "\x0f\xae\x25" AT), I(AVX, "\xc5\xf8\x57\xc0"), I(F16C, "\xc4\xe2\x79\x13\xc0"),
    I(RDRAND, "\x0f\xc7\xf0"), L(FSGSBASE, "\xf3\x0f\xae\xc0"), I(BMI1, "\xc4\xe2\x78\xf2\xc0"),
    I(AVX2, "\xc5\xfd\xfe\xc0"), I(BMI2, "\xc4\xe2\x7a\xf7\xc0"), I(INVPCID, "\x66\x0f\x38\x82\x1d" AT),
    I(RDSEED, "\x0f\xc7\xf8"), I(ADX, "\x66\x0f\x38\xf6\xc0"), I(SMAP, "\x0f\x01\xcb"), I(CLFLUSHOPT, "\x66\x0f\xae\x3d" AT),
    I(CLWB, "\x66\x0f\xae\x35" AT), I(SHA, "\x0f\x38\xc9\xc0"), I(WAITPKG, "\xf3\x0f\xae\xf0"), I(RDPID, "\xf3\x0f\xc7\xf8"),
    I(XSAVEOPT, "\x0f\xae\x35" AT), I(XSAVEC, "\x0f\xc7\x25" AT), I(XSAVES, "\x0f\xc7\x2d" AT),
    V(XGETBV1, VEC_GP, "\xb9\x01\x00\x00\x00\x0f\x01\xd0"), L(LAHF_LM, "\x9f"), I(CR8_LEGACY, "\xf0\x0f\x20\xc0"),
    I(SSE4A, "\xf2\x0f\x79\xc1"), V(MISALIGNSSE, VEC_GP, "\x0f\xae\x15" AT), I(RDTSCP, "\x0f\x01\xf9"), I(CLZERO, "\x0f\x01\xfc"),
    I(RDPRU, "\x0f\x01\xfd"), I(SGX, "\x0f\x01\xcf"), I(PCONFIG, "\x0f\x01\xc5"), I(TSC, "\x0f\x31"), I(SEP, "\x0f\x34"), I(MSR, "\x0f\x32"), I(FPU, "\xd9\xe8"),
    /* Encodings that mean something else without it */
    EAX(LZCNT, "\xb9\x10\x00\x00\x00\xf3\x0f\xbd\xc1", 27, 4), EAX(BMI1, "\x31\xc9\xb8\x07\x00\x00\x00\xf3\x0f\xbc\xc1", 32, 7),
    EAX(CET_IBT, "\xb8\x07\x00\x00\x00\xf3\x0f\x1e\xfb", 7, 7), EAX(CET_SS, "\xb8\x07\x00\x00\x00\xf3\x0f\x1e\xc8", 7, 7),
    EAX(PREFETCHW, "\xb8\x07\x00\x00\x00\x0f\x0d\x0d" AT, 7, 7), EAX(WBNOINVD, "\xb8\x07\x00\x00\x00\xf3\x0f\x09", 7, 7),
    /* CR4 */
    C(VME, CR4_VME), C(DE, CR4_DE), C(PSE, CR4_PSE), C(TSC, CR4_TSD), C(PAE, CR4_PAE), C(MCE, CR4_MCE), C(PGE, CR4_PGE),
    C(FXSR, CR4_OSFXSR), C(SSE, CR4_OSXMMEXCPT), C(VMX, CR4_VMXE), C(XSAVE, CR4_OSXSAVE), C(FSGSBASE, CR4_FSGSBASE),
    C(SMEP, CR4_SMEP), C(SMAP, CR4_SMAP), C(UMIP, CR4_UMIP), C(PKU, CR4_PKE), C(LA57, CR4_LA57), C(PKS, CR4_PKS),
    C(LAM, CR4_LAM_SUP), C(PCID, CR4_PCIDE),
    /* Registers and their bits */
    RD(APIC, 0x1b), RD(SEP, 0x174), RD(MTRR, 0xfe), RD(PAT, 0x277), RD(MCA, 0x179), RD(PDCM, 0x345), RD(TSC, 0x10),
    WR(X2APIC, 0x1b, 0xfee00d00), RD(TSC_DEADLINE, 0x6e0), RD(APERFMPERF, 0xe7), RD(TSC_ADJUST, 0x3b),
    RD(ARCH_CAPABILITIES, 0x10a), WR(FLUSH_L1D, 0x10b, 1), RD(SPEC_CTRL, 0x48), WR(SSBD, 0x48, 4),
    WR(IPRED_CTRL, 0x48, 8), WR(RRSBA_CTRL, 0x48, 0x20), WR(PSFD, 0x48, 0x80), WR(DDPD_U, 0x48, 0x100),
    WR(BHI_CTRL, 0x48, 0x400), WR(CET_SS, 0x6a2, 1), WR(CET_IBT, 0x6a2, 4), RD(WAITPKG, 0xe1), WR(SGX, 0x3a, FEATURE_CONTROL_SGX), RD(SGX, 0x500), WR(MPX, 0xd90, 0), RD(RDTSCP, 0xc0000103),
    RD(SYSCALL, 0xc0000081), WR(LM, 0xc0000080, 0x100), WR(NX, 0xc0000080, 0x800), WR(SVM, 0xc0000080, 0x1000),
    WR(FFXSR, 0xc0000080, 0x4000), WR(TCE, 0xc0000080, 0x8000), WR(AUTOIBRS, 0xc0000080, 0x200000), RD(OSVW, 0xc0010140),
    RD(PERFCTR_CORE, 0xc0010200), WR(AMD_IBPB, 0x49, 1), WR(SBPB, 0x49, 0x80), WR(AMD_IBRS, 0x48, 1), WR(AMD_STIBP, 0x48, 2),
    WR(AMD_SSBD, 0x48, 4), WR(AMD_PSFD, 0x48, 0x80), RD(TSC_SCALE, 0xc0000104), WR(SVM_LOCK, 0xc0010118, 0),
    /* Page walks */
    W(PSE36, WALK_PSE36), W(PDPE1GB, WALK_1GB),
    /* SVM: controls */
    G(NPT, nested_ctl, NESTED_CTL_NP), G(GMET, nested_ctl, NESTED_CTL_NP | NESTED_CTL_GMET), G(LBRV, virt_ext, VIRT_EXT_LBR),
    G(V_VMSAVE_VMLOAD, virt_ext, VIRT_EXT_VMSAVE_VMLOAD), G(VGIF, int_ctl, V_GIF_ENABLE), G(VNMI, int_ctl, V_NMI_ENABLE),
    G(AVIC, int_ctl, V_AVIC_ENABLE), G(X2AVIC, int_ctl, V_AVIC_ENABLE | V_X2AVIC_ENABLE),
    G(PAUSEFILTER, pause_filter_count, 3), G(PFTHRESHOLD, pause_filter_threshold, 3),
    /* Software is told and nothing changes: speed, bugs that are absent, counts; STIBP's bit is ignored, not reserved */
    T(SS), T(HTT), T(HYPERVISOR), T(ARAT), T(FDP_EXCPTN_ONLY), T(ERMS), T(ZERO_FCS_FDS), T(FSRM), T(MD_CLEAR), T(FZRM), T(FSRS),
    T(FSRC), T(MCDT_NO), T(STIBP), T(CMP_LEGACY), T(TOPOEXT), T(MMXEXT), T(OVERFLOW_RECOV), T(INVTSC), T(XSAVEERPTR),
    T(AMD_STIBP_ALWAYS), T(NO_EFER_LMSLE), T(AMD_SSB_NO), T(BTC_NO), T(VMCB_CLEAN), T(NO_NESTED_DATA_BP),
    T(LFENCE_SERIALIZING), T(NULL_SEL_CLR_BASE), T(IBPB_BRTYPE), T(SRSO_NO), T(TSA_SQ_NO), T(TSA_L1_NO), T(RDCL_NO), T(IBRS_ALL),
    T(RSBA), T(SKIP_L1DFL), T(SSB_NO), T(MDS_NO), T(PSCHANGE_MC_NO), T(TAA_NO), T(SBDR_SSDP_NO), T(FBSDP_NO), T(PSDP_NO),
    T(FB_CLEAR), T(RRSBA), T(BHI_NO), T(PBRSB_NO), T(GDS_NO), T(RFDS_NO), T(ITS_NO),
};

/* test_switches__of_svm */
static const enum cpu_feature own_tests[] = {CPU_FEATURE_NRIPS, CPU_FEATURE_DECODEASSISTS, CPU_FEATURE_FLUSHBYASID,
                                             CPU_FEATURE_SVME_ADDR_CHK};

static bool is_vmx(const struct feature_info *f)
{
    return f->leaf >= MSR_IA32_VMX_BASIC && f->leaf <= MSR_IA32_VMX_PROCBASED_CTLS3;
}

/* `max` of the feature's vendor, with the feature or without it. */
static void start_model(enum cpu_feature feature, bool on)
{
    char text[80];
    struct error err = {0};
    const struct feature_info *f = &feature_table[feature];
    (void)snprintf(text, sizeof text, "max%s,%c%s", f->vendor == FEATURE_OF_AMD ? ",vendor=amd" : "", on ? '+' : '-', f->name);
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, text, &err), "%s: %s", text, err.text);
    code_cache_free(&R.code);
    ck_assert(code_cache_init(&R.code, &R.model, MIB(1)));
    cpu_reset(CPU, CPU_RESET_POWER);
}

/* Run this code in 32-bit or 64-bit mode; the vector of the exception that ended it, or -1. */
static int run_code(const struct row *r, const char *bytes, unsigned len)
{
    if (r->kind == INSN64 || r->value == CR4_PCIDE) {
        go_long(0);
    } else {
        go_protected(0);
    }
    for (unsigned v = 0; v < 32; v++) {
        u64 to = AT_HANDLER + 16 * v;
        store_le16(ram(to), 0xfeeb);
        if (R.cpu.d.long_mode) {
            gate64(v, KCODE64, to, SYS_INT, 0, 0);
        } else {
            gate32(v, KCODE, (u32)to, SYS_INT, 0);
        }
    }
    struct cpu_arch *a = &R.cpu.arch;
    a->cr0 |= CR0_WP | CR0_MP;
    a->cr4 |= (CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE) & cr4_supported(CPU);
    if (cpu_has(CPU, CPU_FEATURE_FSGSBASE)) {
        a->cr4 |= CR4_FSGSBASE;
    }
    a->xcr0 = cpu_has(CPU, CPU_FEATURE_AVX) ? 7 : 3;
    a->sysenter_cs = KCODE;
    a->sysenter_eip = AT_CODE + len;
    a->sysenter_esp = AT_STACK;
    a->efer |= cpu_has(CPU, CPU_FEATURE_SYSCALL) ? EFER_SCE : 0u;
    a->lstar = AT_CODE + len;
    a->star = (u64)KCODE64 << 32;
    store_le32(ram(0x60000), 0x1f80 | 0x20000);
    cpu_update_mode(CPU);
    memcpy(ram(AT_CODE), bytes, len);
    store_le16(ram(AT_CODE + len), 0xfeeb);
    for (unsigned i = 0; i < 6 && a->rip != AT_CODE + len; i++) {
        (void)cpu_run(CPU, 1);
        if (a->rip >= AT_HANDLER && a->rip < AT_HANDLER + 512) {
            return (int)(a->rip - AT_HANDLER) / 16;
        }
    }
    ck_assert_uint_eq(a->rip, AT_CODE + len);
    return -1;
}

static int access_register(const struct row *r)
{
    char code[32] = "\xb9....\xb8....\xba....\x0f\x30";
    if (r->kind == CR4) {
        u64 value = r->value | R.cpu.arch.cr4;
        memcpy(code, "\xb8....\x0f\x22\xe0", 8);
        store_le32((u8 *)code + 1, (u32)value | (r->value == CR4_PCIDE ? CR4_PAE : 0u));
        if (r->value > 0xffffffff) {
            return -2;
        }
        return run_code(r, code, 8);
    }
    store_le32((u8 *)code + 1, (u32)r->index);
    store_le32((u8 *)code + 6, (u32)r->value);
    store_le32((u8 *)code + 11, (u32)(r->value >> 32));
    code[16] = r->kind == READ ? '\x32' : '\x30';
    return run_code(r, code, 17);
}

/* Bits of a control that VMRUN lets through. */
static u64 let_through(const struct row *r)
{
    go_long(0);
    R.cpu.arch.efer |= EFER_SVME;
    R.cpu.arch.vm_hsave_pa = AT_HSAVE;
    good_vmcb();
    bool asks_np = r->index != VMCB_nested_ctl;
    put(VMCB_nested_ctl, 8, asks_np ? NESTED_CTL_NP : 0);
    put(VMCB_intercept_1, 4, BIT32(SVM_EXIT_NMI - 0x60));
    put((unsigned)r->index, r->index == VMCB_int_ctl ? 4 : r->index == VMCB_virt_ext || !asks_np ? 8 : 2, r->value);
    vmrun();
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_SVM);
    const struct vmcb_control *c = &R.cpu.arch.svm.ctl;
    u64 seen = r->index == VMCB_nested_ctl ? c->nested_ctl
               : r->index == VMCB_virt_ext ? c->virt_ext
               : r->index == VMCB_int_ctl  ? c->int_ctl
               : r->index == VMCB_pause_filter_count ? c->pause_filter_count
                                           : c->pause_filter_threshold;
    return seen & r->value;
}

static void check_row(const struct row *r, bool on)
{
    const char *name = feature_table[r->feature].name;
    struct walk_root root;
    int got = -1;
    start_model(r->feature, on);
    switch (r->kind) {
    case INSN:
    case INSN64:
        R.cpu.arch.gpr[RAX] = 0x60000;
        got = run_code(r, r->code, r->len);
        ck_assert_msg((got == (int)r->vector) == !on, "%s %s: vector %d", name, on ? "on" : "off", got);
        break;
    case CR4:
    case READ:
    case WRITE:
        got = access_register(r);
        ck_assert_msg(got == (on ? -1 : VEC_GP), "%s %s: vector %d of MSR %x or CR4 %llx", name, on ? "on" : "off", got,
                      (u32)r->index, (unsigned long long)r->value);
        break;
    case RESULT:
        got = run_code(r, r->code, r->len);
        ck_assert_msg(got == -1, "%s: vector %d", name, got);
        ck_assert_uint_eq(R.cpu.arch.gpr[RAX], on ? r->value : r->without);
        break;
    case WALK:
        go_long(0);
        walk_root_of(CPU, &root);
        ck_assert_msg(((root.flags & r->value) != 0) == on, "%s %s", name, on ? "on" : "off");
        break;
    case GUEST:
        ck_assert_msg((let_through(r) == r->value) == on, "%s %s", name, on ? "on" : "off");
        break;
    case TOLD:
    case END: break;
    }
    rig_stop();
}

START_TEST(test_switches__on_and_off)
{
    check_row(&rows[_i], true);
    check_row(&rows[_i], false);
}
END_TEST

START_TEST(test_switches__none_is_untested)
{
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        bool found = !feature_table[f].implemented || is_vmx(&feature_table[f]);
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
            found = found || rows[i].feature == f;
        }
        for (unsigned i = 0; i < ARRAY_LEN(own_tests); i++) {
            found = found || own_tests[i] == f;
        }
        ck_assert_msg(found, "%s has no row", feature_table[f].name);
    }
}
END_TEST

static void start_guest(enum cpu_feature feature, bool on)
{
    start_model(feature, on);
    start_svm();
    good_vmcb();
}

/* [APM2 "#VMEXIT"], [APM2 "Decode Assists"], [APM2 "TLB Flush"], [APM3 "CPUID Fn8000_000A_EDX"] */
START_TEST(test_switches__of_svm)
{
    for (unsigned on = 0; on < 2; on++) {
        start_guest(CPU_FEATURE_NRIPS, on);
        put(VMCB_nrip, 8, 0x55);
        ck_assert_uint_eq(run_guest("\x0f\x01\xd9", 3), SVM_EXIT_VMMCALL);
        ck_assert_uint_eq(get(VMCB_nrip, 8), on != 0 ? AT_HANDLER + 3 : 0x55);
        rig_stop();
        start_guest(CPU_FEATURE_DECODEASSISTS, on);
        put(VMCB_intercept_cr, 4, BIT32(SVM_EXIT_CR3_WRITE));
        ck_assert_uint_eq(run_guest("\x0f\x22\xdb", 3), SVM_EXIT_CR3_WRITE);
        ck_assert_uint_eq(get(VMCB_exitinfo1, 8), on != 0 ? SVM_CR_MOV | RBX : 0);
        rig_stop();
        start_guest(CPU_FEATURE_FLUSHBYASID, on);
        put(VMCB_tlb_control, 1, TLB_CONTROL_ASID);
        ck_assert_uint_eq(run_guest("\x0f\x01\xd9", 3), on != 0 ? SVM_EXIT_VMMCALL : SVM_EXITCODE_INVALID);
        rig_stop();
        start_guest(CPU_FEATURE_SVME_ADDR_CHK, on);
        put(VMCB_rax, 8, 1);
        put(VMCB_intercept_exceptions, 4, BIT32(VEC_GP));
        ck_assert_uint_eq(run_guest("\x0f\x01\xd8", 3), on != 0 ? SVM_EXIT_VMRUN : SVM_EXIT_EXCP13);
        rig_stop();
    }
}
END_TEST

/* What is switched off is not in CPUID or in IA32_ARCH_CAPABILITIES; with it goes only what needs it. */
START_TEST(test_switches__cpuid_agrees)
{
    enum cpu_feature f = (enum cpu_feature)_i;
    if (!feature_table[f].implemented) {
        return;
    }
    start_model(f, false);
    ck_assert(!cpu_has(CPU, f));
    rig_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("switches");
    TCase *tc = tcase_create("switches");
    tcase_add_loop_test(tc, test_switches__on_and_off, 0, (int)ARRAY_LEN(rows));
    tcase_add_test(tc, test_switches__none_is_untested);
    tcase_add_test(tc, test_switches__of_svm);
    tcase_add_loop_test(tc, test_switches__cpuid_agrees, 0, CPU_FEATURE_COUNT);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
