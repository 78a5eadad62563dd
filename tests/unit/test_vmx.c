/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checks of VM entry: from a good VMCS each row of entry_checks.def is broken alone, and the failure names
 * that row, its field and its value. [SDM3 "VM Entries"] Then VMfail, capabilities, the guest. */
#include "vmx_broken.h"
#include "unit.h"
#include "vmi_rom.h"

static const struct {
    const char *id, *title, *field;
    bool guest;
    unsigned qualification;
    u32 encoding, error;
} table[] = {
#define FAILS_CONTROLS false, 0
#define FAILS_HOST false, 0
#define FAILS_GUEST true, ENTRY_FAIL_DEFAULT
#define FAILS_GUEST_PDPTE true, ENTRY_FAIL_PDPTE
#define FAILS_GUEST_NMI true, ENTRY_FAIL_NMI
#define FAILS_GUEST_LINK true, ENTRY_FAIL_LINK
#define ERROR_CONTROL VM_ERROR_ENTRY_CONTROLS
#define ERROR_HOST VM_ERROR_ENTRY_HOST_STATE
#define ERROR_GUEST 0
#define CHECK(id, group, title, failure, field) \
    {#id, title, #field, FAILS_##failure, VMCS_##field, ERROR_##group},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
};

static unsigned find_row(const char *id)
{
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(table[i].id, id) == 0) {
            return i;
        }
    }
    ck_abort_msg("no row %s", id);
    return 0;
}

START_TEST(test_vmx__good_vmcs_enters)
{
    start((enum base)_i);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    stop();
}
END_TEST

START_TEST(test_vmx__each_check_names_itself)
{
    const struct broken *b = &vmx_broken[_i];
    unsigned row = find_row(b->id);
    start(b->base);
    for (unsigned i = 0; i < ARRAY_LEN(b->change) && b->change[i].op != 0; i++) {
        apply(&b->change[i]);
    }
    u64 value = get(table[row].encoding);
    (void)launch();
    const struct vmx_reason *why = &R.cpu.vmx_reason;
    ck_assert_msg(why->what != NULL && strcmp(why->what, "entry failure") == 0, "%s: entered", b->id);
    ck_assert_str_eq(why->id, b->id);
    ck_assert_str_eq(why->field, table[row].field);
    ck_assert_str_eq(why->title, table[row].title);
    ck_assert_uint_eq(why->value, value);
    ck_assert_msg(strstr(log_text, b->id) != NULL && strstr(log_text, table[row].title) != NULL, "%s", log_text);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(vmcs_header(CPU, AT_VMCS, VMCS_AT_LAUNCHED), 0);
    if (table[row].guest) {
        ck_assert_uint_eq(get(VMCS_EXIT_REASON), EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE);
        ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), table[row].qualification);
        ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    } else {
        ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), table[row].error);
        ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_ZF);
        ck_assert_uint_ne(R.cpu.arch.rip, AT_HANDLER);
    }
    stop();
}
END_TEST

/* [SDM3 "Checks on Guest RIP, RFLAGS, and SSP"]: neither RIP nor SSP need be canonical. */
START_TEST(test_vmx__rip_and_ssp_just_beyond)
{
    start(LONG);
    u64 beyond = BIT(model_linear_bits(&R.model) - 1);
    put(VMCS_GUEST_SSP, beyond);
    put(VMCS_GUEST_RIP, beyond);
    (void)launch();
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    stop();
}
END_TEST

START_TEST(test_vmx__no_check_is_untested)
{
    const char *id = table[_i].id;
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(vmx_broken); i++) {
        n += strcmp(vmx_broken[i].id, id) == 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(vmx_never); i++) {
        n += strcmp(vmx_never[i].id, id) == 0;
    }
    ck_assert_msg(n > 0, "nothing breaks %s", id);
}
END_TEST

/* ---- VMfail ---- */

/* [SDM3 "VM-Instruction Error Numbers"]: the error is in the current VMCS, the operand in what is kept. */
START_TEST(test_vmx__vmfail_says_why)
{
    struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5, .osz = 8,
                      .r = {RAX, RCX, OPR_NONE, OPR_NONE}};
    start(LONG);
    R.cpu.arch.gpr[RCX] = 0x7ffe;
    ck_assert_int_eq(exec_vmread(CPU, &in), CPU_OK);
    ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), VM_ERROR_UNSUPPORTED_FIELD);
    ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_ZF);
    ck_assert_str_eq(R.cpu.vmx_reason.what, "VMfail");
    ck_assert_str_eq(R.cpu.vmx_reason.id, "UNSUPPORTED_FIELD");
    ck_assert_uint_eq(R.cpu.vmx_reason.qualification, 0x7ffe);
    ck_assert_int_eq(exec_vmcall(CPU, &in), CPU_OK);
    ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), VM_ERROR_VMCALL_IN_ROOT);
    ck_assert_str_eq(R.cpu.vmx_reason.why, "no dual-monitor treatment of SMM");
    R.cpu.arch.vmx.current = VMX_NO_VMCS;
    ck_assert_int_eq(exec_vmread(CPU, &in), CPU_OK);
    ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_CF);
    ck_assert_str_eq(R.cpu.vmx_reason.id, "INVALID");
    stop();
}
END_TEST

/* ---- Capabilities ---- */

/* A feature of the controls: both values are allowed. Of the other registers: a bit. */
static bool shows(const struct feature_info *f)
{
    if (f->leaf >= MSR_IA32_VMX_PINBASED_CTLS && f->leaf <= MSR_IA32_VMX_ENTRY_CTLS) {
        u64 v = vmx_capability(CPU, f->leaf - MSR_IA32_VMX_PINBASED_CTLS + MSR_IA32_VMX_TRUE_PINBASED_CTLS);
        return ((v >> (f->bit + 32)) & 1) != 0 && ((v >> f->bit) & 1) == 0;
    }
    unsigned at = f->bit + (f->leaf == MSR_IA32_VMX_PROCBASED_CTLS2 ? 32u : 0u);
    return ((vmx_capability(CPU, f->leaf) >> at) & 1) != 0;
}

/* Every capability that can be absent can be switched off: its control is fixed at its default then. */
START_TEST(test_vmx__capability_off)
{
    const struct feature_info *f = &feature_table[_i];
    struct error err = {0};
    char spec[80];
    if (!f->implemented || f->leaf < MSR_IA32_VMX_BASIC || f->leaf > MSR_IA32_VMX_PROCBASED_CTLS3) {
        return;
    }
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, VMX_WHOLE, &err), "%s", err.text);
    ck_assert_msg(shows(f), "%s is not in " VMX_WHOLE, f->name);
    (void)snprintf(spec, sizeof spec, VMX_WHOLE ",-%s", f->name);
    ck_assert_msg(cpu_model_parse(&R.model, spec, &err), "%s: %s", spec, err.text);
    ck_assert_msg(!shows(f), "%s", spec);
    rig_stop();
}
END_TEST

/* ---- In the guest ---- */

/* [SDM3 "TSC-Deadline Mode"]: the deadline is compared with the processor's TSC, not with the guest's. */
START_TEST(test_vmx__tsc_deadline_ignores_the_offset)
{
    u64 value = 0;
    start(LONG);
    apic_mmio_write(R.cpu.apic, 0xf0, 0x1ff, 4);
    apic_mmio_write(R.cpu.apic, 0x320, 2u << 17 | 0x40, 4);
    u64 deadline = clock_tsc(&R.clock) + 1000000;
    ck_assert_int_eq(msr_write(CPU, MSR_IA32_TSC_DEADLINE, deadline), CPU_OK);
    put(VMCS_PRIMARY_CONTROLS, get(VMCS_PRIMARY_CONTROLS) | PROC_TSC_OFFSET);
    put(VMCS_TSC_OFFSET, 0 - (u64)500000);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_VMX);
    clock_skip_to(&R.clock, clock_time_of_tsc(&R.clock, deadline - 10));
    clock_fire_due(&R.clock);
    ck_assert_int_eq(apic_pending(R.cpu.apic), -1);
    clock_skip_to(&R.clock, clock_time_of_tsc(&R.clock, deadline));
    clock_fire_due(&R.clock);
    ck_assert_int_eq(apic_pending(R.cpu.apic), 0x40);
    ck_assert_int_eq(msr_read(CPU, MSR_IA32_TSC, &value), CPU_OK);
    ck_assert_uint_eq(value, clock_tsc(&R.clock) - 500000);
    stop();
}
END_TEST

/* [SDM3 "Default Treatment of SMI Delivery"]: SMM is outside VMX operation; RSM goes back into the guest. */
START_TEST(test_vmx__smi_leaves_the_guest)
{
    start(LONG);
    memcpy(ram(0x38000), "\x0f\xa2\x0f\xaa", 4); /* CPUID, RSM */
    ck_assert_int_eq(launch(), CPU_OK);
    R.cpu.arch.smi_pending = true;
    cpu_kick(CPU);
    (void)cpu_run(CPU, 1);
    ck_assert(R.cpu.arch.in_smm && !R.cpu.arch.vmx.on);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(R.cpu.arch.cr4, 0);
    (void)cpu_run(CPU, 1);
    (void)cpu_run(CPU, 1);
    ck_assert(!R.cpu.arch.in_smm && R.cpu.arch.vmx.on);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_VMX);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    ck_assert_uint_eq(R.cpu.arch.cr4 & CR4_VMXE, CR4_VMXE);
    stop();
}
END_TEST

/* [SDM3 "Virtualizing APIC Accesses"]: a read-modify-write reads and writes the virtual register, or exits before
 * either; fetches always exit. */
START_TEST(test_vmx__apic_page_read_modify_write)
{
    enum { PAGE = 0x5b000 };
    u64 old = 0;
    struct mem_rmw rmw;
    start(LONG);
    put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) | PROC2_APIC_ACCESSES);
    put(VMCS_APIC_ACCESS_ADDRESS, PAGE);
    store_le32(ram(AT_MAPS + 0x3080), 0x30);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    ck_assert_int_eq(mem_rmw(CPU, SEG_DS, PAGE + 0x80, 4, &rmw, &old), CPU_OK);
    ck_assert_uint_eq(old, 0x30);
    mem_rmw_store(CPU, &rmw, 4, 0x50);
    ck_assert_uint_eq(load_le32(ram(AT_MAPS + 0x3080)), 0x50);
    ck_assert_uint_eq(load_le32(ram(PAGE + 0x80)), 0);
    ck_assert_int_eq(mem_rmw(CPU, SEG_DS, PAGE + 0x20, 4, &rmw, &old), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.exit.reason, EXIT_APIC_ACCESS);
    ck_assert_uint_eq(R.cpu.exit.qualification, 0x20 | 1 << 12);
    R.cpu.arch.rip = PAGE;
    ck_assert_ptr_null(block_find(CPU));
    ck_assert_uint_eq(R.cpu.exit.qualification, 2 << 12);
    R.cpu.event.kind = EVENT_NONE;
    stop();
}
END_TEST

/* [SDM3 "IPI Virtualization"]: a fixed IPI to one physical destination is posted; others exit after the write. */
/* A call by the code of a VMI ROM is VMI's; the same instruction behind the ROM is nobody's. */
START_TEST(test_vmx__vmi_rom_calls)
{
    static const u64 places[] = {AT_ROM_CALL, AT_BEHIND_ROM};
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        struct trace t;
        struct seen_call seen = {0};
        start(LONG);
        put(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
        put(VMCS_GUEST_RIP, places[i]);
        put_vmi_rom();
        memcpy(ram(places[i]), "\xb8\x30\x00\x00\x00\x0f\x01\xc1", 8); /* SetLinearMapping; VMCALL */
        look_at_calls(&t, &R.clock, &seen);
        ck_assert_int_eq(launch(), CPU_OK);
        ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
        for (unsigned k = 0; k < 100 && R.cpu.arch.guest == GUEST_VMX; k++) {
            (void)cpu_run(CPU, 1);
        }
        ck_assert_uint_eq(seen.count, 1);
        ck_assert_uint_eq(seen.interface, i == 0 ? TRACE_INTERFACE_VMI : TRACE_INTERFACE_UNKNOWN);
        ck_assert_uint_eq(seen.number, 48);
        CPU->trace = NULL;
        stop();
    }
}
END_TEST

START_TEST(test_vmx__virtual_ipi)
{
    enum { TABLE = 0x60000, DESC = 0x61000 };
    bool done = false;
    start(LONG);
    put(VMCS_SECONDARY_CONTROLS,
        get(VMCS_SECONDARY_CONTROLS) | PROC2_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRT_INT_DELIVERY);
    put(VMCS_TERTIARY_CONTROLS, PROC3_IPI_VIRT);
    put(VMCS_PID_POINTER_TABLE, TABLE);
    put(VMCS_LAST_PID_INDEX, 3);
    store_le64(ram(TABLE + 8 * 3), DESC | 1);
    store_le64(ram(DESC + 32), BIT(1)); /* suppressed: no notification */
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    u64 icr = (u64)3 << 32 | 0x4000 | 0x51;
    ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_OK);
    ck_assert(done && !R.cpu.arch.vmx.apic_write);
    ck_assert_uint_eq(load_le64(ram(DESC + 8)), BIT(0x51 - 64));
    ck_assert_uint_eq(load_le64(ram(DESC + 32)), BIT(1));
    static const u64 others[] = {(u64)3 << 32 | 0x851, (u64)3 << 32 | 0x451, 0x40051, (u64)3 << 32 | 0x1,
                                 (u64)2 << 32 | 0x51, (u64)9 << 32 | 0x51};
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        R.cpu.arch.vmx.apic_write = false;
        icr = others[i];
        ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_OK);
        ck_assert_msg(R.cpu.arch.vmx.apic_write && R.cpu.arch.vmx.apic_offset == 0x300, "%u", i);
    }
    ck_assert_uint_eq(load_le64(ram(DESC + 8)), BIT(0x51 - 64));
    icr = BIT(20) | 0x51;
    ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.event.vector, VEC_GP);
    R.cpu.event.kind = EVENT_NONE;
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx");
    TCase *tc = tcase_create("entry");
    tcase_add_loop_test(tc, test_vmx__good_vmcs_enters, 0, BASE_COUNT);
    tcase_add_loop_test(tc, test_vmx__each_check_names_itself, 0, ARRAY_LEN(vmx_broken));
    tcase_add_loop_test(tc, test_vmx__no_check_is_untested, 0, ARRAY_LEN(table));
    tcase_add_test(tc, test_vmx__rip_and_ssp_just_beyond);
    tcase_add_test(tc, test_vmx__vmfail_says_why);
    tcase_add_loop_test(tc, test_vmx__capability_off, 0, CPU_FEATURE_COUNT);
    tcase_add_test(tc, test_vmx__tsc_deadline_ignores_the_offset);
    tcase_add_test(tc, test_vmx__smi_leaves_the_guest);
    tcase_add_test(tc, test_vmx__apic_page_read_modify_write);
    tcase_add_test(tc, test_vmx__vmi_rom_calls);
    tcase_add_test(tc, test_vmx__virtual_ipi);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
