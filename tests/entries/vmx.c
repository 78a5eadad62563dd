/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzed entries of VMX. [SDM3 "VM Entries"], [SDM3 "VM Exits"] */
#include "vmx_scenarios.h"

/* ---- What is to be reached ---- */

static const char CHECKS[] = "check", EXITS[] = "exit", ERRORS[] = "error", EXCEPTIONS[] = "exception", CRS[] = "cr",
                  TABLES[] = "table", TASKS[] = "task", ACCESSES_[] = "apic access", EPTS[] = "ept", INJECTS[] = "inject",
                  ABORTS_[] = "abort";
#define SMM "needs the dual-monitor treatment of SMM"
#define DUE(n) {EXCEPTIONS, #n, NULL, VEC_##n, 0, 0}

static struct hit hits[] = {
#define CHECK(id, group, title, failure, field) {CHECKS, #id, NULL, 0, 0, 0},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
#define EXIT_REASON(name, number, words) {EXITS, #name, NULL, number, 0, 0},
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
#define VM_ERROR(name, number, words) {ERRORS, #name, NULL, number, 0, 0},
#include "abi/x86/vm_errors.def"
#undef VM_ERROR
    DUE(DE), DUE(DB), DUE(BP), DUE(OF), DUE(BR), DUE(UD), DUE(NM), DUE(DF), DUE(TS), DUE(NP), DUE(SS), DUE(GP), DUE(PF),
    DUE(MF), DUE(AC), DUE(XM), DUE(VE), DUE(CP), {EXCEPTIONS, "NMI", NULL, VEC_NMI, 0, 0},
    {CRS, "MOV to CR0", NULL, 0x00, 0, 0},
    {CRS, "MOV to CR3", NULL, 0x03, 0, 0},
    {CRS, "MOV to CR4", NULL, 0x04, 0, 0},
    {CRS, "MOV to CR8", NULL, 0x08, 0, 0},
    {CRS, "MOV from CR3", NULL, 0x13, 0, 0},
    {CRS, "MOV from CR8", NULL, 0x18, 0, 0},
    {CRS, "CLTS", NULL, 0x20, 0, 0},
    {CRS, "LMSW", NULL, 0x30, 0, 0},
    {TABLES, "SGDT", NULL, 0, 0, 0},
    {TABLES, "SIDT", NULL, 1, 0, 0},
    {TABLES, "LGDT", NULL, 2, 0, 0},
    {TABLES, "LIDT", NULL, 3, 0, 0},
    {TABLES, "SLDT", NULL, 4, 0, 0},
    {TABLES, "STR", NULL, 5, 0, 0},
    {TABLES, "LLDT", NULL, 6, 0, 0},
    {TABLES, "LTR", NULL, 7, 0, 0},
    {TASKS, "CALL", NULL, 0, 0, 0},
    {TASKS, "IRET", NULL, 1, 0, 0},
    {TASKS, "JMP", NULL, 2, 0, 0},
    {TASKS, "task gate", NULL, 3, 0, 0},
    {ACCESSES_, "read", NULL, 0, 0, 0},
    {ACCESSES_, "write", NULL, 1, 0, 0},
    {ACCESSES_, "fetch", NULL, 2, 0, 0},
    {ACCESSES_, "event delivery", NULL, 3, 0, 0},
    {EPTS, "read", NULL, EPTQ_READ, 0, 0},
    {EPTS, "write", NULL, EPTQ_WRITE, 0, 0},
    {EPTS, "fetch", NULL, EPTQ_EXEC, 0, 0},
    {INJECTS, "external interrupt", NULL, INTR_EXTERNAL, 0, 0},
    {INJECTS, "NMI", NULL, INTR_NMI, 0, 0},
    {INJECTS, "hardware exception", NULL, INTR_HARD_EXCEPTION, 0, 0},
    {INJECTS, "software interrupt", NULL, INTR_SOFT_INT, 0, 0},
    {INJECTS, "INT1", NULL, INTR_PRIV_SOFT_EXCEPTION, 0, 0},
    {INJECTS, "software exception", NULL, INTR_SOFT_EXCEPTION, 0, 0},
    {INJECTS, "monitor trap", NULL, INTR_OTHER, 0, 0},
    {ABORTS_, "guest MSRs", NULL, VMX_ABORT_SAVE_GUEST_MSR, 0, 0},
    {ABORTS_, "host PDPTEs", NULL, VMX_ABORT_HOST_PDPTE, 0, 0},
    {ABORTS_, "host MSRs", NULL, VMX_ABORT_LOAD_HOST_MSR, 0, 0},
    {ABORTS_, "64-bit guest, 32-bit host", NULL, VMX_ABORT_HOST_64, 0, 0},
};

static const struct {
    const char *group, *name, *because;
} never[] = {
    {EXITS, "IO_SMI", SMM},
    {EXITS, "OTHER_SMI", SMM},
    {EXITS, "RSM", "RSM outside SMM is #UD, and SMM is left without VMX's knowledge"},
    {EXITS, "GETSEC", "no model has SMX"},
    {EXITS, "ENTRY_FAIL_MCE", "nothing makes machine checks"},
    {EXITS, "LOADIWKEY", "no model has key locker"},
    {ERRORS, "VMRESUME_AFTER_VMXOFF", "VMXOFF leaves no current VMCS"},
    {ERRORS, "ENTRY_EXECUTIVE_POINTER", SMM},
    {ERRORS, "ENTRY_EXECUTIVE_NOT_LAUNCHED", SMM},
    {ERRORS, "ENTRY_EXECUTIVE_NOT_VMXON", SMM},
    {ERRORS, "VMCALL_NOT_CLEAR", SMM},
    {ERRORS, "VMCALL_EXIT_CONTROLS", SMM},
    {ERRORS, "VMCALL_MSEG_REVISION", SMM},
    {ERRORS, "VMXOFF_DUAL_MONITOR", SMM},
    {ERRORS, "VMCALL_MONITOR_FEATURES", SMM},
    {ERRORS, "ENTRY_EXECUTIVE_CONTROLS", SMM},
};

static unsigned hit_count(void)
{
    return ARRAY_LEN(hits);
}

static void name_the_impossible(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(hits); i++) {
        for (unsigned k = 0; k < ARRAY_LEN(never); k++) {
            if (hits[i].group == never[k].group && strcmp(hits[i].name, never[k].name) == 0) {
                hits[i].because = never[k].because;
            }
        }
        for (unsigned k = 0; k < ARRAY_LEN(vmx_never); k++) {
            if (hits[i].group == CHECKS && strcmp(hits[i].name, vmx_never[k].id) == 0) {
                hits[i].because = vmx_never[k].because;
            }
        }
    }
}

static void reached(const char *group, u64 code, enum guide how)
{
    for (unsigned i = 0; i < ARRAY_LEN(hits); i++) {
        if (hits[i].group == group && hits[i].code == code) {
            count_hit(&hits[i], how);
            return;
        }
    }
    if (group == EXITS || group == ERRORS || group == ABORTS_) {
        entries_fail("%s %llu has no row", group, (unsigned long long)code);
    }
}

/* The rule that refused the entry; its field and value are the VMCS's. */
static void reached_check(const struct vmx_reason *why, enum guide how)
{
    static const struct {
        const char *id;
        u32 field;
    } rows[] = {
#define CHECK(id, group, title, failure, field) {#id, VMCS_##field},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].id, why->id) == 0) {
            if (why->value != get(rows[i].field)) {
                entries_fail("%s names a value that is not the field's", why->id);
            }
            count_hit(&hits[i], how);
            return;
        }
    }
    if (strcmp(why->id, "ENTRY_MSR") != 0) {
        entries_fail("refused by %s, which is no row", why->id);
    }
}

/* ---- The good state ---- */

static u64 entered, refused, exited;
static enum base base;
static bool whole; /* the model has all its features */

static void put_gates(void)
{
    u64 sel = base == LONG ? KCODE64 : KCODE;
    for (unsigned v = 0; v < 256; v++) {
        u64 gate = (u64)(AT_GUEST_HANDLER & 0xffff) | sel << 16 | (u64)0xee << 40;
        if (base == LONG) {
            store_le64(ram(AT_GUEST_IDT + 16 * v), gate);
            store_le64(ram(AT_GUEST_IDT + 16 * v + 8), 0);
        } else {
            store_le64(ram(AT_GUEST_IDT + 8 * v), gate);
        }
    }
    put(VMCS_GUEST_IDTR_BASE, AT_GUEST_IDT);
    put(VMCS_GUEST_IDTR_LIMIT, base == LONG ? 0xfff : 0x7ff);
    put(VMCS_GUEST_GDTR_LIMIT, GDT_END - 1);
}

/* Tables that map the memory to itself, for guests and hosts of 32 bits. */
static void put_tables(void)
{
    store_le64(ram(AT_PDPT), (AT_TABLES + 0x2000) | 1);
    store_le32(ram(AT_PD32), 0x87);
    if (base == PAE) {
        put(VMCS_GUEST_PDPTE0, (AT_TABLES + 0x2000) | 1);
    } else if (base != LONG) {
        put(VMCS_GUEST_CR3, AT_PD32);
        put(VMCS_GUEST_CR4, get(VMCS_GUEST_CR4) | CR4_PSE);
    }
}

static void open_vmx(void)
{
    name_the_impossible();
    base = (enum base)below(BASE_COUNT);
    if (one_in(2)) {
        base = LONG;
    }
    rig_start();
    bool any_field = !one_in(6);
    whole = pick_model(any_field ? VMX_WHOLE : VMX_WHOLE ",-vmx-vmwrite-vmexit-fields", CPU_FEATURE_VMX_INS_OUTS, CPU_FEATURE_COUNT) &&
            any_field;
    start_vmx(base);
    fit_controls();
    put_gates();
    put_tables();
    put(VMCS_GUEST_RIP, base == V86 ? AT_GUEST - 0x1000 : AT_GUEST);
    u64 save = EXITC_SAVE_EFER | EXITC_SAVE_PAT | EXITC_SAVE_PERF | EXITC_SAVE_DEBUG;
    put(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | (save & vmx_capability(CPU, MSR_IA32_VMX_TRUE_EXIT_CTLS) >> 32));
    memcpy(ram(AT_CODE), "\x0f\x01\xc2\xeb\xfe", 5);
    memcpy(ram(AT_SMM), "\x0f\xaa", 2);
    memcpy(ram(AT_RESUME), "\x0f\x01\xc3\xeb\xfe", 5);
    memcpy(ram(AT_HANDLER), "\xeb\xfe", 2);
    memcpy(ram(AT_GUEST_HANDLER), "\x0f\xa2\xeb\xfc", 4);
    machine_watch();
    machine_save();
}

static void close_vmx(void)
{
    machine_drop();
    rig_stop();
}

/* ---- One entry ---- */

static const u32 fields[] = {
#define VMCS(name, encoding, width, type, title) encoding,
#include "abi/x86/vmcs_fields.def"
#undef VMCS
};

static void mutate(unsigned n)
{
    for (; n > 0; n--) {
        unsigned i = below(ARRAY_LEN(vmx_controls_of));
        u32 field = fields[below(ARRAY_LEN(fields))];
        if (one_in(2)) {
            u64 flips = one_in(16) ? ~(u64)0 : vmx_allowed(i);
            put(vmx_controls_of[i].field, get(vmx_controls_of[i].field) ^ (flips & BIT(below(64))));
        } else {
            put(field, odd_value(get(field)));
        }
    }
}

static void random_registers(void)
{
    static const u64 places[] = {AT_DATA, AT_APIC, AT_LISTS, AT_GUEST, AT_EPT, AT_GDT, 0x3ffff0, 0xc0000080, 0x830, 0};
    for (unsigned i = 0; i < 16; i++) {
        if (i != RSP) {
            u64 place = places[below(ARRAY_LEN(places))];
            R.cpu.arch.gpr[i] = one_in(4) ? rnd() : place + (u64)below(16) * 4;
        }
    }
}

/* Code of the guest: some scenarios', or anything. */
static void put_code(const struct scenario *s)
{
    u8 code[64];
    unsigned n = 0;
    if (s != NULL) {
        memcpy(code, s->code, s->len);
        n = s->len;
    } else {
        for (unsigned k = 1 + below(3); k > 0; k--) {
            const struct scenario *other = &scenarios[below(ARRAY_LEN(scenarios))];
            memcpy(code + n, other->code, n + other->len < 48 ? other->len : 0);
            n += n + other->len < 48 ? other->len : 0u;
        }
        if (one_in(4) && n > 0) {
            u8 byte = (u8)rnd();
            code[below(n)] = byte;
        }
    }
    memcpy(code + n, "\x0f\xa2\xeb\xfc", 4); /* CPUID always exits */
    ram_put(AT_GUEST, code, n + 4);
}

static void (*const happenings[])(void) = {interrupt, nmi, smi, init, sipi};

static const struct scenario *pick_scenario(void)
{
    for (;;) {
        const struct scenario *s = &scenarios[below(ARRAY_LEN(scenarios))];
        if (s->base == base) {
            return s;
        }
    }
}

static void break_a_rule(void)
{
    for (unsigned tries = 0; tries < 50; tries++) {
        const struct broken *b = &vmx_broken[below(ARRAY_LEN(vmx_broken))];
        if (b->base == base) {
            for (unsigned i = 0; i < ARRAY_LEN(b->change) && b->change[i].op != 0; i++) {
                apply(&b->change[i]);
            }
            return;
        }
    }
}

/* The host is one that VMX operation allows. */
static void check_host(void)
{
    const struct cpu_arch *a = &R.cpu.arch;
    const u64 need = CR0_PG | CR0_NE | CR0_PE;
    bool legacy = base == LEGACY_HOST && saved.arch.cr0 == a->cr0;
    if (!legacy && ((a->cr0 & need) != need || (a->cr4 & CR4_VMXE) == 0 || R.cpu.d.cpl != 0)) {
        entries_fail("after an exit: CR0 %llx, CR4 %llx, CPL %u", (unsigned long long)a->cr0, (unsigned long long)a->cr4,
                     R.cpu.d.cpl);
    }
}

static void count_details(u32 reason, enum guide how)
{
    u64 q = get(VMCS_EXIT_QUALIFICATION);
    u32 info = (u32)get(VMCS_EXIT_INTERRUPTION_INFO), insn = (u32)get(VMCS_EXIT_INSTRUCTION_INFO);
    switch (reason) {
    case EXIT_EXCEPTION_NMI: reached(EXCEPTIONS, info & INTR_VECTOR, how); break;
    case EXIT_CR_ACCESS: reached(CRS, (q & 0x30) | (q & 0xf), how); break;
    case EXIT_GDTR_IDTR: reached(TABLES, insn >> 28 & 3, how); break;
    case EXIT_LDTR_TR: reached(TABLES, 4 + (insn >> 28 & 3), how); break;
    case EXIT_TASK_SWITCH: reached(TASKS, q >> 30 & 3, how); break;
    case EXIT_APIC_ACCESS: reached(ACCESSES_, q >> 12 & 15, how); break;
    case EXIT_EPT_VIOLATION: reached(EPTS, q & 7, how); break;
    default: break;
    }
}

static void count_exit(enum guide how)
{
    u32 reason = (u32)get(VMCS_EXIT_REASON);
    exited++;
    note(reason);
    note(get(VMCS_EXIT_QUALIFICATION));
    reached(EXITS, reason & 0xffff, how);
    count_details(reason & 0xffff, how);
    u32 abort_code = vmcs_header(CPU, AT_VMCS, VMCS_AT_ABORT);
    if (abort_code != 0) {
        reached(ABORTS_, abort_code, how);
    }
    check_host();
}

/* Let the guest run until it leaves, or long enough. */
static void run_guest(enum guide how)
{
    for (unsigned i = 0; i < 24 && (R.cpu.arch.guest == GUEST_VMX || R.cpu.arch.in_smm); i++) {
        machine_run(1);
    }
    if (R.cpu.arch.guest == GUEST_VMX) {
        return;
    }
    if (R.cpu.arch.vmx.on && R.cpu.arch.vmx.current == AT_VMCS) {
        count_exit(how);
    }
}

/* What an exit saved enters again, but where the exit says that it does not. */
static void resume(const struct scenario *s)
{
    static const u32 saved_fields = EXITC_SAVE_EFER | EXITC_SAVE_PAT | EXITC_SAVE_PERF | EXITC_SAVE_DEBUG;
    u32 reason = (u32)get(VMCS_EXIT_REASON);
    u64 allowed = vmx_capability(CPU, MSR_IA32_VMX_TRUE_EXIT_CTLS) >> 32;
    if ((reason & EXIT_REASON_ENTRY_FAILURE) != 0 || vmcs_header(CPU, AT_VMCS, VMCS_AT_ABORT) != 0 ||
        (saved_fields & allowed & ~get(VMCS_EXIT_CONTROLS)) != 0 || R.shutdowns != 0 || R.cpu.arch.cr3 != AT_TABLES) {
        return;
    }
    R.cpu.arch.rip = AT_RESUME;
    R.cpu.arch.seg[SEG_CS].base = 0;
    R.cpu.vmx_reason = (struct vmx_reason){0};
    cpu_update_mode(CPU);
    machine_run(1);
    const struct vmx_reason *why = &R.cpu.vmx_reason;
    note(R.cpu.arch.rip);
    if (why->what != NULL && strcmp(why->what, "entry failure") == 0 && reason != EXIT_TPR_BELOW_THRESHOLD) {
        entries_fail("VMRESUME after scenario %u, exit reason %u, is refused by %s", (unsigned)(s - scenarios), reason, why->id);
    }
}

static void host_program(const struct scenario *s, enum guide how)
{
    ram_put(AT_CODE, s->code, s->len);
    machine_run(1);
    u32 error = (u32)get(VMCS_INSTRUCTION_ERROR);
    if (error != 0) {
        reached(ERRORS, error, how);
    } else if (whole && how == GUIDE_EXACT && s->reason != VM_ERROR_READ_ONLY_FIELD) {
        entries_fail("VM-instruction error %u did not come", s->reason);
    }
    note(error);
}

static void launch_guest(const struct scenario *s, enum guide how)
{
    u32 inject = (u32)get(VMCS_ENTRY_INTERRUPTION_INFO);
    machine_run(1);
    const struct vmx_reason *why = &R.cpu.vmx_reason;
    note(R.cpu.arch.rip);
    u32 error = (u32)get(VMCS_INSTRUCTION_ERROR);
    bool failed = why->what != NULL && strcmp(why->what, "entry failure") == 0;
    if (failed) {
        reached_check(why, how);
    }
    if (error != 0) {
        refused++;
        reached(ERRORS, error, how);
        return;
    }
    if (failed) {
        refused++;
        count_exit(how);
        return;
    }
    if (R.cpu.arch.guest != GUEST_VMX && (u32)get(VMCS_EXIT_REASON) == 0xffff) {
        entries_fail("VMLAUNCH neither entered nor failed: rip %llx", (unsigned long long)R.cpu.arch.rip);
    }
    entered++;
    if ((inject & INTR_VALID) != 0) {
        reached(INJECTS, (inject & INTR_TYPE) >> INTR_TYPE_SHIFT, how);
    }
    if (s != NULL && s->after != NULL) {
        s->after();
    } else if (s == NULL && one_in(3)) {
        happenings[below(ARRAY_LEN(happenings))]();
    }
    if (R.cpu.arch.guest == GUEST_VMX) {
        run_guest(how);
    } else {
        count_exit(how);
    }
    u32 reason = (u32)get(VMCS_EXIT_REASON) & 0xffff;
    if (how == GUIDE_EXACT && R.cpu.arch.guest == GUEST_NONE && reason != 0xffff) {
        resume(s);
    }
    if (whole && how == GUIDE_EXACT && s->where == IN_GUEST && reason != s->reason) {
        entries_fail("scenario %u ended by %u, not by exit reason %u", (unsigned)(s - scenarios), reason, s->reason);
    }
}

static void enter_vmx(enum guide how)
{
    const struct scenario *s = how >= GUIDE_SCENARIO ? pick_scenario() : NULL;
    machine_restore();
    if (how == GUIDE_BREAK) {
        break_a_rule();
    } else if (s != NULL) {
        for (unsigned i = 0; i < ARRAY_LEN(s->change) && s->change[i].op != 0; i++) {
            apply(&s->change[i]);
        }
    }
    if (how != GUIDE_EXACT) {
        random_registers();
        mutate(how == GUIDE_NONE ? below(6) : below(3));
    }
    if (s != NULL && s->before != NULL) {
        s->before();
    } else if (s == NULL && one_in(4)) {
        void (*before)(void) = scenarios[below(ARRAY_LEN(scenarios))].before;
        if (before != NULL) {
            before();
        }
    }
    put(VMCS_EXIT_REASON, 0xffff);
    put(VMCS_INSTRUCTION_ERROR, 0);
    vmcs_set_header(CPU, AT_VMCS, VMCS_AT_ABORT, 0);
    if (s != NULL && s->where == IN_HOST) {
        host_program(s, how);
        return;
    }
    put_code(s);
    launch_guest(s, how);
    if (one_in(2048)) {
        machine_check_state();
    }
}

const struct vendor vmx_entries = {
    .name = "vmx",
    .open = open_vmx,
    .close = close_vmx,
    .enter = enter_vmx,
    .hits = hits,
    .hit_count = hit_count,
    .entered = &entered,
    .refused = &refused,
    .exited = &exited,
    .digest = &saved.digest,
};
