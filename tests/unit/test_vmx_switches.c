/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every VMX capability off: the control that goes with it is refused by the check of its field, and what else it stands
 * for behaves as on a part without it. [SDM3 "VMX Capability Reporting Facility"] */
#include "vmx_broken.h"
#include "unit.h"

#include "cpu/control.h"

static bool is_vmx(const struct feature_info *f)
{
    return f->implemented && f->leaf >= MSR_IA32_VMX_BASIC && f->leaf <= MSR_IA32_VMX_PROCBASED_CTLS3;
}

static void start_with(enum cpu_feature feature, bool on)
{
    char text[80];
    struct error err = {0};
    (void)snprintf(text, sizeof text, VMX_WHOLE ",%c%s", on ? '+' : '-', feature_table[feature].name);
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, text, &err), "%s", err.text);
    start_vmx(LONG);
    fit_controls();
    R.log.out = open_memstream(&log_text, &log_len);
}

/* The control that is this feature, and whether its bit is set by default (the feature lets it be 0). */
static bool control_of(enum cpu_feature f, u32 *field, u64 *bit, bool *default1)
{
    const struct feature_info *info = &feature_table[f];
    for (unsigned i = 0; i < ARRAY_LEN(vmx_controls_of); i++) {
        u32 msr = vmx_controls_of[i].msr;
        u32 plain = msr >= MSR_IA32_VMX_TRUE_PINBASED_CTLS && msr <= MSR_IA32_VMX_TRUE_ENTRY_CTLS
                        ? msr - MSR_IA32_VMX_TRUE_PINBASED_CTLS + MSR_IA32_VMX_PINBASED_CTLS
                        : msr;
        if (info->leaf == plain) {
            *field = vmx_controls_of[i].field;
            *bit = BIT(info->bit);
            *default1 = plain <= MSR_IA32_VMX_ENTRY_CTLS && ((vmx_capability(CPU, plain) >> info->bit) & 1) != 0;
            return true;
        }
    }
    return false;
}

START_TEST(test_vmx_switches__control_is_refused)
{
    enum cpu_feature f = (enum cpu_feature)_i;
    u32 field;
    u64 bit;
    bool default1;
    if (!is_vmx(&feature_table[f])) {
        return;
    }
    start_with(f, false);
    if (control_of(f, &field, &bit, &default1)) {
        ck_assert_int_eq(launch(), CPU_OK);
        const char *name = feature_table[f].name;
        bool host_64 = field == VMCS_EXIT_CONTROLS && bit == EXITC_HOST_64, guest_64 = field == VMCS_ENTRY_CONTROLS && bit == ENTRYC_GUEST_64;
        ck_assert_msg(R.cpu.arch.guest == GUEST_VMX || host_64 || guest_64, "%s: %s", name, R.cpu.vmx_reason.id);
        start_vmx(LONG);
        fit_controls();
        if (field == VMCS_SECONDARY_CONTROLS || field == VMCS_TERTIARY_CONTROLS) {
            put(VMCS_PRIMARY_CONTROLS, get(VMCS_PRIMARY_CONTROLS) | PROC_SECONDARY | PROC_TERTIARY);
        }
        put(field, default1 ? get(field) & ~bit : get(field) | bit);
        (void)launch();
        ck_assert_msg(R.cpu.arch.guest == GUEST_NONE, "%s", name);
        ck_assert_str_eq(R.cpu.vmx_reason.what, "entry failure");
        ck_assert_msg(strstr(R.cpu.vmx_reason.id, "_RESERVED") != NULL, "%s: %s", name, R.cpu.vmx_reason.id);
        ck_assert_uint_eq(R.cpu.vmx_reason.value, get(field));
    }
    stop();
}
END_TEST

/* What an entry accepts with the capability and refuses, by this rule, without. */
static const struct {
    enum cpu_feature feature;
    const char *id;
    struct change change[4];
} entries[] = {
    {CPU_FEATURE_VMX_ANY_ERRCODE, "INJECT_ERROR_CODE", {INJECT(INTR_HARD_EXCEPTION, VEC_UD | INTR_ERROR_CODE)}},
    {CPU_FEATURE_VMX_ACTIVITY_HLT, "ACTIVITY_RESERVED", {SET(GUEST_ACTIVITY, VMCS_HLT)}},
    {CPU_FEATURE_VMX_ACTIVITY_SHUTDOWN, "ACTIVITY_RESERVED", {SET(GUEST_ACTIVITY, VMCS_SHUTDOWN)}},
    {CPU_FEATURE_VMX_ACTIVITY_WAIT_SIPI, "ACTIVITY_RESERVED", {SET(GUEST_ACTIVITY, VMCS_WAIT_SIPI)}},
    {CPU_FEATURE_VMX_ZERO_LEN_INJECT, "INJECT_LENGTH", {INJECT(INTR_SOFT_INT, 0x40), SET(ENTRY_INSTRUCTION_LENGTH, 0)}},
    {CPU_FEATURE_VMX_PAGE_WALK_4, "EPT_POINTER", {SET(EPT_POINTER, AT_EPT | 3 << 3 | 6)}},
    {CPU_FEATURE_VMX_PAGE_WALK_5, "EPT_POINTER", {SET(EPT_POINTER, AT_EPT | 4 << 3 | 6)}},
    {CPU_FEATURE_VMX_EPT_AD, "EPT_POINTER", {ADD(EPT_POINTER, EPTP_AD)}},
    {CPU_FEATURE_VMX_EPTP_SWITCHING, "VM_FUNCTIONS",
     {ADD(SECONDARY_CONTROLS, PROC2_VMFUNC), SET(VM_FUNCTION_CONTROLS, 1), SET(EPTP_LIST_ADDRESS, AT_LISTS)}},
    {CPU_FEATURE_VMX_MTF, "INJECT_TYPE", {INJECT(INTR_OTHER, 0)}},
};

START_TEST(test_vmx_switches__entry_is_refused)
{
    for (unsigned on = 0; on < 2; on++) {
        start_with(entries[_i].feature, on);
        for (unsigned i = 0; i < ARRAY_LEN(entries[_i].change) && entries[_i].change[i].op != 0; i++) {
            apply(&entries[_i].change[i]);
        }
        (void)launch();
        const char *id = R.cpu.vmx_reason.id != NULL ? R.cpu.vmx_reason.id : "";
        ck_assert_msg((strcmp(id, entries[_i].id) == 0) == (on == 0), "%s %u: %s",
                      feature_table[entries[_i].feature].name, on, id);
        stop();
    }
}
END_TEST

/* Instructions of the host: an error (or 0: #UD) without the capability, success with it. */
static const struct {
    enum cpu_feature feature;
    cpu_rc (*exec)(struct cpu *cpu, const struct insn *in);
    u64 type;
    u32 error;
} insns[] = {
    {CPU_FEATURE_VMX_INVEPT, exec_invept, 2, 0},
    {CPU_FEATURE_VMX_INVEPT_SINGLE, exec_invept, 1, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_INVEPT_ALL, exec_invept, 2, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_INVVPID, exec_invvpid, 2, 0},
    {CPU_FEATURE_VMX_INVVPID_ADDRESS, exec_invvpid, 0, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_INVVPID_SINGLE, exec_invvpid, 1, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_INVVPID_ALL, exec_invvpid, 2, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_INVVPID_GLOBALS, exec_invvpid, 3, VM_ERROR_INVALID_OPERAND},
    {CPU_FEATURE_VMX_VMWRITE_ANY, exec_vmwrite, VMCS_EXIT_REASON, VM_ERROR_READ_ONLY_FIELD},
};

START_TEST(test_vmx_switches__instruction_fails)
{
    const struct insn in = {.len = 3, .base = RAX, .index = REG_NONE, .sib = 2 << 5, .osz = 8,
                            .r = {RCX, OPR_MEM, OPR_NONE, OPR_NONE}};
    for (unsigned on = 0; on < 2; on++) {
        start_with(insns[_i].feature, on);
        R.cpu.arch.gpr[RAX] = AT_LISTS;
        R.cpu.arch.gpr[RCX] = insns[_i].type;
        store_le64(ram(AT_LISTS), insns[_i].exec == exec_invept ? AT_EPT | 3 << 3 | 6 : 1);
        cpu_rc rc = insns[_i].exec(CPU, &in);
        u64 flags = cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF);
        if (on != 0) {
            ck_assert_int_eq(rc, CPU_OK);
            ck_assert_uint_eq(flags, 0);
        } else if (insns[_i].error == 0) {
            expect_fault(rc, VEC_UD, 0);
        } else {
            ck_assert_uint_eq(flags, RFLAGS_ZF);
            ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), insns[_i].error);
        }
        stop();
    }
}
END_TEST

/* Formats of EPT entries: a misconfiguration without the capability. */
static const struct {
    enum cpu_feature feature;
    u64 entry; /* at the level of a gigabyte */
} formats[] = {
    {CPU_FEATURE_VMX_EPT_1GB, EPT_LARGE | 6 << 3 | 7},
    {CPU_FEATURE_VMX_EPT_2MB, (AT_EPT + 0x2000) | 7},
};

START_TEST(test_vmx_switches__ept_format)
{
    for (unsigned on = 0; on < 2; on++) {
        u64 value;
        start_with(formats[_i].feature, on);
        store_le64(ram(AT_EPT + 0x1000), formats[_i].entry);
        store_le64(ram(AT_EPT + 0x2000), EPT_LARGE | 6 << 3 | 7);
        store_le64(ram(AT_EPT + 0x2008), 0x200000 | EPT_LARGE | 6 << 3 | 7);
        ck_assert_int_eq(launch(), CPU_OK);
        cpu_rc rc = mem_read(CPU, SEG_DS, AT_LISTS, 8, &value);
        ck_assert_int_eq(rc, on != 0 ? CPU_OK : CPU_EXIT);
        if (on == 0) {
            ck_assert_uint_eq(R.cpu.exit.reason, EXIT_EPT_MISCONFIG);
            R.cpu.event.kind = EVENT_NONE;
        }
        stop();
    }
}
END_TEST

/* Execute-only entries, advanced information, EFER.LMA stored, INS and OUTS information, TRUE registers. */
START_TEST(test_vmx_switches__rest)
{
    u64 value;
    for (unsigned on = 0; on < 2; on++) {
        start_with(CPU_FEATURE_VMX_EPT_EXECONLY, on);
        store_le64(ram(AT_EPT + 0x1000), EPT_LARGE | 6 << 3 | 4);
        ck_assert_int_eq(launch(), CPU_OK);
        ck_assert_int_eq(mem_read(CPU, SEG_DS, AT_LISTS, 8, &value), CPU_EXIT);
        ck_assert_uint_eq(R.cpu.exit.reason, on != 0 ? EXIT_EPT_VIOLATION : EXIT_EPT_MISCONFIG);
        R.cpu.event.kind = EVENT_NONE;
        stop();
        start_with(CPU_FEATURE_VMX_TRUE_CTLS, on);
        ck_assert_int_eq(msr_read(CPU, MSR_IA32_VMX_TRUE_PINBASED_CTLS, &value), on != 0 ? CPU_OK : CPU_EXIT);
        R.cpu.event.kind = EVENT_NONE;
        stop();
        start_with(CPU_FEATURE_VMX_STORE_LMA, on);
        ck_assert_int_eq(launch(), CPU_OK);
        put(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) & ~(u64)ENTRYC_GUEST_64);
        vmx_exit_now(CPU, EXIT_CPUID, 0, "test");
        ck_assert_uint_eq(get(VMCS_ENTRY_CONTROLS) & ENTRYC_GUEST_64, on != 0 ? ENTRYC_GUEST_64 : 0);
        stop();
    }
}
END_TEST

/* Random switches: allowed-0 is within allowed-1, the default registers allow no more than the TRUE ones, no capability
 * is there without the control it belongs to, and nothing of VMX without VMX. */
START_TEST(test_vmx_switches__capabilities_agree)
{
    u64 seed = 99;
    for (unsigned round = 0; round < 300; round++) {
        char text[400];
        struct error err = {0};
        int n = snprintf(text, sizeof text, "%s", round % 2 == 0 ? "max" : VMX_WHOLE);
        for (unsigned k = 0; k < 8; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            n += snprintf(text + n, sizeof text - (size_t)n, ",-%s", feature_table[(seed >> 33) % CPU_FEATURE_COUNT].name);
        }
        rig_start();
        if (!cpu_model_parse(&R.model, text, &err)) {
            ck_assert_int_eq(err.status, EXIT_STATUS_USAGE);
            ck_assert(strchr(err.text, '\n') == NULL);
            rig_stop();
            continue;
        }
        bool vmx = cpu_has(CPU, CPU_FEATURE_VMX);
        ck_assert_int_eq(msr_read(CPU, MSR_IA32_VMX_BASIC, &(u64){0}), vmx ? CPU_OK : CPU_EXIT);
        for (u32 msr = MSR_IA32_VMX_PINBASED_CTLS; vmx && msr <= MSR_IA32_VMX_ENTRY_CTLS; msr++) {
            u64 plain = vmx_capability(CPU, msr);
            u64 exact = vmx_capability(CPU, msr - MSR_IA32_VMX_PINBASED_CTLS + MSR_IA32_VMX_TRUE_PINBASED_CTLS);
            ck_assert_uint_eq((u32)plain & ~(u32)(plain >> 32), 0);
            ck_assert_uint_eq((u32)exact & ~(u32)(exact >> 32), 0);
            ck_assert_uint_eq((u32)exact & ~(u32)plain, 0);
            ck_assert_uint_eq(plain >> 32, exact >> 32);
        }
        if (vmx) {
            u32 proc = (u32)(vmx_capability(CPU, MSR_IA32_VMX_PROCBASED_CTLS) >> 32);
            u32 proc2 = (u32)(vmx_capability(CPU, MSR_IA32_VMX_PROCBASED_CTLS2) >> 32);
            ck_assert((proc & PROC_SECONDARY) != 0 || proc2 == 0);
            ck_assert((proc & PROC_TERTIARY) != 0 || vmx_capability(CPU, MSR_IA32_VMX_PROCBASED_CTLS3) == 0);
            ck_assert((proc2 & PROC2_VMFUNC) != 0 || vmx_capability(CPU, MSR_IA32_VMX_VMFUNC) == 0);
            ck_assert((proc2 & (PROC2_EPT | PROC2_VPID)) != 0 || vmx_capability(CPU, MSR_IA32_VMX_EPT_VPID_CAP) == 0);
            ck_assert((proc2 & PROC2_RDTSCP) == 0 || cpu_has(CPU, CPU_FEATURE_RDTSCP));
            ck_assert((proc2 & PROC2_INVPCID) == 0 || cpu_has(CPU, CPU_FEATURE_INVPCID));
            ck_assert((u32)(vmx_capability(CPU, MSR_IA32_VMX_ENTRY_CTLS) >> 32 & ENTRYC_LOAD_BNDCFGS) == 0 || cpu_has(CPU, CPU_FEATURE_MPX));
            ck_assert((u32)(vmx_capability(CPU, MSR_IA32_VMX_EXIT_CTLS) >> 32 & EXITC_CLEAR_BNDCFGS) == 0 || cpu_has(CPU, CPU_FEATURE_MPX));
            ck_assert((proc2 & PROC2_ENCLS) == 0 || cpu_has(CPU, CPU_FEATURE_SGX));
            ck_assert((proc2 & PROC2_PCONFIG) == 0 || cpu_has(CPU, CPU_FEATURE_PCONFIG));
            ck_assert((proc2 & PROC2_XSAVES) == 0 || cpu_has(CPU, CPU_FEATURE_XSAVES));
            ck_assert_uint_eq(vmx_capability(CPU, MSR_IA32_VMX_CR4_FIXED1), cr4_supported(CPU));
        }
        rig_stop();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx_switches");
    TCase *tc = tcase_create("switches");
    tcase_add_loop_test(tc, test_vmx_switches__control_is_refused, 0, CPU_FEATURE_COUNT);
    tcase_add_loop_test(tc, test_vmx_switches__entry_is_refused, 0, (int)ARRAY_LEN(entries));
    tcase_add_loop_test(tc, test_vmx_switches__instruction_fails, 0, (int)ARRAY_LEN(insns));
    tcase_add_loop_test(tc, test_vmx_switches__ept_format, 0, (int)ARRAY_LEN(formats));
    tcase_add_test(tc, test_vmx_switches__rest);
    tcase_add_test(tc, test_vmx_switches__capabilities_agree);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
