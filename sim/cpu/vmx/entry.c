/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMLAUNCH and VMRESUME: checks, loading of guest state, event injection. [SDM3 "VM Entries"]
 *
 * The three kinds of failure stay apart: VMfail before anything is loaded (controls, host state), the
 * VM-entry failures with exit reasons 33 and 34, which end at the host's RIP. */
#include "cpu/control.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#undef TRY
#include "cpu/virt_trace.h"
#include "cpu/vmx/entry_checks.h"
#include "cpu/vmx/vmx_insn.h"
#include "trace/events.h"

#include <string.h>

static const struct check_row rows[] = {
#define CHECK(id, group, title, failure, field) \
    {#id, title, #field, check_##id, CHECK_##failure, VMCS_##field},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
};

static struct segment read_segment(struct cpu *cpu, unsigned n)
{
    return (struct segment){.sel = (u16)vmcs_read(cpu, VMCS_GUEST_ES_SELECTOR + 2 * n),
                            .limit = vmcs_read32(cpu, VMCS_GUEST_ES_LIMIT + 2 * n),
                            .attr = vmcs_read32(cpu, VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * n),
                            .base = vmcs_read(cpu, VMCS_GUEST_ES_BASE + 2 * n)};
}

static void decode_vmcs(struct cpu *cpu, struct vmx_check *c)
{
    *c = (struct vmx_check){.cpu = cpu};
    c->pin = vmcs_read32(cpu, VMCS_PIN_CONTROLS);
    c->proc = vmcs_read32(cpu, VMCS_PRIMARY_CONTROLS);
    c->proc2 = (c->proc & PROC_SECONDARY) != 0 ? vmcs_read32(cpu, VMCS_SECONDARY_CONTROLS) : 0;
    c->proc3 = (c->proc & PROC_TERTIARY) != 0 ? vmcs_read(cpu, VMCS_TERTIARY_CONTROLS) : 0;
    c->exit = vmcs_read32(cpu, VMCS_EXIT_CONTROLS);
    c->entry = vmcs_read32(cpu, VMCS_ENTRY_CONTROLS);
    c->inject = vmcs_read32(cpu, VMCS_ENTRY_INTERRUPTION_INFO);
    c->unrestricted = (c->proc2 & PROC2_UNRESTRICTED) != 0;
    c->wide = (c->entry & ENTRYC_GUEST_64) != 0;
    c->cr0 = vmcs_read(cpu, VMCS_GUEST_CR0);
    c->cr4 = vmcs_read(cpu, VMCS_GUEST_CR4);
    c->rflags = vmcs_read(cpu, VMCS_GUEST_RFLAGS);
    c->v86 = (c->rflags & RFLAGS_VM) != 0;
    c->activity = vmcs_read32(cpu, VMCS_GUEST_ACTIVITY);
    c->block = vmcs_read32(cpu, VMCS_GUEST_INTERRUPTIBILITY);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        c->seg[i] = read_segment(cpu, i);
    }
    c->ldtr = read_segment(cpu, 6);
    c->tr = read_segment(cpu, 7);
}

/* The rows about controls and host state come first. */
enum {
    GUEST_ROWS = 0
#define CHECK(id, group, title, failure, field) +(CHECK_##failure < CHECK_GUEST)
#include "cpu/vmx/entry_checks.def"
#undef CHECK
};

/* The first rule of rows[first] up to rows[end - 1] that does not hold, or NULL. */
static const struct check_row *run_checks(const struct vmx_check *c, size_t first, size_t end)
{
    for (const struct check_row *r = rows + first; r < rows + end; r++) {
        if (!r->holds(c)) {
            return r;
        }
    }
    return NULL;
}

static void say_failure(struct cpu *cpu, const struct check_row *row, u32 reason, u64 qualification)
{
    vmx_say_entry_failure(cpu, row->id, row->title, row->field_name, vmcs_read(cpu, row->field), reason,
                          qualification);
}

/* ---- Loading guest state ---- */

static void copy_controls(struct cpu *cpu, const struct vmx_check *c)
{
    struct vmx_controls *k = &cpu->arch.vmx.c;
    *k = (struct vmx_controls){.pin = c->pin,
                               .proc = c->proc,
                               .proc2 = c->proc2,
                               .proc3 = c->proc3,
                               .exit = c->exit,
                               .entry = c->entry};
    k->exception_bitmap = vmcs_read32(cpu, VMCS_EXCEPTION_BITMAP);
    k->pf_mask = vmcs_read32(cpu, VMCS_PF_ERROR_MASK);
    k->pf_match = vmcs_read32(cpu, VMCS_PF_ERROR_MATCH);
    k->cr0_mask = vmcs_read(cpu, VMCS_CR0_MASK);
    k->cr4_mask = vmcs_read(cpu, VMCS_CR4_MASK);
    k->cr0_shadow = vmcs_read(cpu, VMCS_CR0_READ_SHADOW);
    k->cr4_shadow = vmcs_read(cpu, VMCS_CR4_READ_SHADOW);
    k->eptp = vmcs_read(cpu, VMCS_EPT_POINTER);
    k->spp_table = vmcs_read(cpu, VMCS_SPP_TABLE_POINTER);
    k->apic_access = vmcs_read(cpu, VMCS_APIC_ACCESS_ADDRESS);
    k->virtual_apic = vmcs_read(cpu, VMCS_VIRTUAL_APIC_ADDRESS);
    k->msr_bitmaps = vmcs_read(cpu, VMCS_MSR_BITMAPS);
    k->tsc_offset = vmcs_read(cpu, VMCS_TSC_OFFSET);
    k->tsc_multiplier = vmcs_read(cpu, VMCS_TSC_MULTIPLIER);
    k->tpr_threshold = vmcs_read32(cpu, VMCS_TPR_THRESHOLD);
    k->ple_gap = vmcs_read32(cpu, VMCS_PLE_GAP);
    k->ple_window = vmcs_read32(cpu, VMCS_PLE_WINDOW);
}

static void load_control_registers(struct cpu *cpu, const struct vmx_check *c)
{
    struct cpu_arch *a = &cpu->arch;
    /* ET is fixed, CD, NW and the reserved bits keep their values. */
    const u64 kept = 0xffffffff1ffaffc0u | CR0_CD | CR0_NW | CR0_ET;
    a->cr0 = ((c->cr0 & ~kept) | (a->cr0 & kept)) & 0xffffffff;
    a->cr3 = vmcs_read(cpu, VMCS_GUEST_CR3);
    a->cr4 = c->cr4;
    if ((c->entry & ENTRYC_LOAD_DEBUG) != 0) {
        a->dr7 = (vmcs_read(cpu, VMCS_GUEST_DR7) & (0xffff03ff | DR7_GD)) | DR7_FIXED;
        a->debugctl = vmcs_read(cpu, VMCS_GUEST_DEBUGCTL);
    }
    a->sysenter_cs = vmcs_read(cpu, VMCS_GUEST_SYSENTER_CS);
    a->sysenter_esp = vmcs_read(cpu, VMCS_GUEST_SYSENTER_ESP);
    a->sysenter_eip = vmcs_read(cpu, VMCS_GUEST_SYSENTER_EIP);
    if ((c->entry & ENTRYC_LOAD_EFER) != 0) {
        a->efer = vmcs_read(cpu, VMCS_GUEST_EFER);
    } else {
        a->efer &= ~(u64)EFER_LMA;
        a->efer |= c->wide ? EFER_LMA : 0u;
        if ((c->cr0 & CR0_PG) != 0) { /* without paging LME is not modified */
            a->efer = (a->efer & ~(u64)EFER_LME) | (c->wide ? EFER_LME : 0u);
        }
    }
    if ((c->entry & ENTRYC_LOAD_PAT) != 0) {
        a->pat = vmcs_read(cpu, VMCS_GUEST_PAT);
    }
    if ((c->entry & ENTRYC_LOAD_PERF) != 0 &&
        msr_write(cpu, MSR_IA32_PERF_GLOBAL_CTRL, vmcs_read(cpu, VMCS_GUEST_PERF_GLOBAL_CTRL)) != CPU_OK) {
        cpu->event.kind = EVENT_NONE;
    }
    if ((c->entry & ENTRYC_LOAD_CET) != 0) {
        a->s_cet = vmcs_read(cpu, VMCS_GUEST_S_CET);
        a->int_ssp_table = vmcs_read(cpu, VMCS_GUEST_INTR_SSP_TABLE);
        a->ssp = vmcs_read(cpu, VMCS_GUEST_SSP);
    }
    if ((c->entry & ENTRYC_LOAD_BNDCFGS) != 0) {
        a->mpx.cfgs = vmcs_read(cpu, VMCS_GUEST_BNDCFGS);
    }
    if ((c->entry & ENTRYC_LOAD_PKRS) != 0) {
        a->pkrs = vmcs_read(cpu, VMCS_GUEST_PKRS);
    }
}

static void load_segments(struct cpu *cpu, const struct vmx_check *c)
{
    struct cpu_arch *a = &cpu->arch;
    memcpy(a->seg, c->seg, sizeof a->seg);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (i != SEG_CS && (a->seg[i].attr & SEG_UNUSABLE) != 0) {
            a->seg[i].attr = SEG_UNUSABLE | (a->seg[i].attr & 0xf0ffu);
        }
    }
    a->ldtr = c->ldtr;
    a->tr = c->tr;
    a->gdtr = (struct table_reg){.base = vmcs_read(cpu, VMCS_GUEST_GDTR_BASE),
                                 .limit = (u16)vmcs_read(cpu, VMCS_GUEST_GDTR_LIMIT)};
    a->idtr = (struct table_reg){.base = vmcs_read(cpu, VMCS_GUEST_IDTR_BASE),
                                 .limit = (u16)vmcs_read(cpu, VMCS_GUEST_IDTR_LIMIT)};
}

static void load_pdptes(struct cpu *cpu, const struct vmx_check *c)
{
    struct cpu_arch *a = &cpu->arch;
    if ((a->cr0 & CR0_PG) == 0 || (a->cr4 & CR4_PAE) == 0 || c->wide) {
        return;
    }
    for (u32 i = 0; i < 4; i++) {
        a->pdpte[i] = (c->proc2 & PROC2_EPT) != 0
                          ? vmcs_read(cpu, VMCS_GUEST_PDPTE0 + 2 * i)
                          : phys_read_scalar(cpu->phys, SPA((a->cr3 & 0xffffffe0) + 8u * i), 8);
    }
}

static void load_non_registers(struct cpu *cpu, const struct vmx_check *c)
{
    static const enum activity states[] = {[VMCS_ACTIVE] = ACTIVITY_RUNNING,
                                           [VMCS_HLT] = ACTIVITY_HLT,
                                           [VMCS_SHUTDOWN] = ACTIVITY_SHUTDOWN,
                                           [VMCS_WAIT_SIPI] = ACTIVITY_WAIT_SIPI};
    struct cpu_arch *a = &cpu->arch;
    a->activity = injects(c) ? ACTIVITY_RUNNING : states[c->activity];
    a->int_shadow_sti = (c->block & INTERRUPTIBILITY_STI) != 0;
    a->int_shadow_movss = (c->block & INTERRUPTIBILITY_MOV_SS) != 0;
    a->nmi_blocked = (c->block & INTERRUPTIBILITY_NMI) != 0;
    a->pending_db = vmcs_read(cpu, VMCS_GUEST_PENDING_DEBUG);
    if ((a->pending_db & (PENDING_DB_ENABLED | PENDING_DB_BS)) == 0) {
        a->pending_db = 0; /* breakpoints that matched without being enabled */
    }
    a->pending_db &= 0xf | PENDING_DB_BS;
    a->monitor_armed = false;
    a->sipi_pending = false;
    if ((c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0) {
        u64 status = vmcs_read(cpu, VMCS_GUEST_INTERRUPT_STATUS);
        a->vmx.rvi = (u8)status;
        a->vmx.svi = (u8)(status >> 8);
    }
}

static void load_guest(struct cpu *cpu, const struct vmx_check *c)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    copy_controls(cpu, c);
    load_control_registers(cpu, c);
    load_segments(cpu, c);
    cpu->arch.gpr[RSP] = vmcs_read(cpu, VMCS_GUEST_RSP);
    cpu_set_rflags(cpu, c->rflags);
    load_pdptes(cpu, c);
    load_non_registers(cpu, c);
    v->mtf_pending = false;
    v->tpr_below = false;
    v->apic_write = false;
    v->eoi_exit = false;
    v->delivering = false;
    v->injecting = false;
    v->ple_first = v->ple_last = 0;
}

/* [SDM3 "Loading MSRs"] */
static bool msr_may_load(const struct cpu *cpu, u32 index)
{
    bool x2apic = index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST;
    UNUSED(cpu);
    return !x2apic && index != MSR_IA32_FS_BASE && index != MSR_IA32_GS_BASE && index != 0x9e &&
           index != MSR_IA32_BIOS_SIGN_ID && index != 0x79;
}

u32 vmx_load_msrs(struct cpu *cpu, u64 list, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u64 at = list + 16u * (u64)i;
        u32 index = (u32)phys_read_scalar(cpu->phys, SPA(at), 4);
        u32 reserved = (u32)phys_read_scalar(cpu->phys, SPA(at + 4), 4);
        u64 value = phys_read_scalar(cpu->phys, SPA(at + 8), 8);
        u64 efer = cpu->arch.efer;
        if (index == MSR_IA32_EFER && ((value ^ efer) & EFER_LME) != 0 && (cpu->arch.cr0 & CR0_PG) != 0) {
            return i + 1;
        }
        if (reserved != 0 || !msr_may_load(cpu, index) || msr_write(cpu, index, value) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
            return i + 1;
        }
    }
    return 0;
}

/* ---- Event injection ---- */

/* [SDM3 "Event Injection"]: the event goes the way of all events, but for the exception bitmap. */
static cpu_rc inject(struct cpu *cpu, u32 info)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    unsigned type = (info & INTR_TYPE) >> INTR_TYPE_SHIFT;
    struct event ev = {.vector = (u8)(info & INTR_VECTOR), .why = "injected by VM entry"};
    u8 length = (u8)vmcs_read(cpu, VMCS_ENTRY_INSTRUCTION_LENGTH);
    switch ((enum intr_type)type) {
    case INTR_EXTERNAL:
        ev.kind = EVENT_EXT_INT;
        break;
    case INTR_NMI:
        ev.kind = EVENT_NMI;
        if ((v->c.pin & (PIN_VIRTUAL_NMI | PIN_NMI)) != PIN_NMI) {
            cpu->arch.nmi_blocked = true;
        }
        break;
    case INTR_HARD_EXCEPTION:
        ev.kind = EVENT_EXCEPTION;
        ev.has_error = (info & INTR_ERROR_CODE) != 0;
        ev.error = vmcs_read32(cpu, VMCS_ENTRY_EXCEPTION_ERROR);
        ev.cr2 = cpu->arch.cr2;
        ev.is_trap = true; /* RF is the VMCS's affair */
        break;
    case INTR_SOFT_INT:
        ev.kind = EVENT_SOFT_INT;
        ev.insn_len = length;
        break;
    case INTR_PRIV_SOFT_EXCEPTION:
        ev.kind = EVENT_ICEBP;
        ev.insn_len = length;
        break;
    case INTR_SOFT_EXCEPTION:
        ev.kind = EVENT_INT3;
        ev.insn_len = length;
        break;
    case INTR_OTHER:
        v->mtf_pending = true;
        return CPU_OK;
    }
    v->injecting = true;
    cpu->event = ev;
    return CPU_EXIT;
}

/* ---- The instructions ---- */

static cpu_rc fail_entry(struct cpu *cpu, const struct insn *in, u32 error, const char *why)
{
    vmx_fail(cpu, error, cpu->arch.vmx.current, why);
    cpu->arch.rip = next_rip(cpu, in);
    return CPU_OK;
}

static cpu_rc enter(struct cpu *cpu, const struct vmx_check *c)
{
    static const u8 qualifications[] = {[CHECK_GUEST] = ENTRY_FAIL_DEFAULT,
                                        [CHECK_GUEST_PDPTE] = ENTRY_FAIL_PDPTE,
                                        [CHECK_GUEST_NMI] = ENTRY_FAIL_NMI,
                                        [CHECK_GUEST_LINK] = ENTRY_FAIL_LINK};
    const struct check_row *bad = run_checks(c, GUEST_ROWS, ARRAY_LEN(rows));
    if (bad != NULL) {
        u32 q = qualifications[bad->failure];
        say_failure(cpu, bad, EXIT_ENTRY_FAIL_GUEST, q);
        copy_controls(cpu, c); /* the exit controls say how the host is loaded */
        vmx_entry_failed(cpu, EXIT_ENTRY_FAIL_GUEST, q);
        return CPU_OK;
    }
    load_guest(cpu, c);
    cpu_update_mode(cpu);
    u32 failed = vmx_load_msrs(cpu, vmcs_read(cpu, VMCS_ENTRY_MSR_LOAD_ADDRESS),
                               vmcs_read32(cpu, VMCS_ENTRY_MSR_LOAD_COUNT));
    if (failed != 0) {
        vmx_say_entry_failure(cpu, "ENTRY_MSR", "Loading MSRs", "ENTRY_MSR_LOAD_ADDRESS", failed,
                              EXIT_ENTRY_FAIL_MSR, failed);
        vmx_entry_failed(cpu, EXIT_ENTRY_FAIL_MSR, failed);
        return CPU_OK;
    }
    cpu->arch.guest = GUEST_VMX;
    cpu_update_mode(cpu);
    vmx_timer_start(cpu);
    const struct vmx_controls *now = &cpu->arch.vmx.c;
    virt_trace_entry(cpu, &(struct virt_entry){.vcpu = cpu->arch.vmx.current,
                                               .root = (now->proc2 & PROC2_EPT) != 0 ? now->eptp : 0,
                                               .rip = vmcs_read(cpu, VMCS_GUEST_RIP),
                                               .rax = cpu->arch.gpr[RAX],
                                               .inject = injects(c) ? c->inject : 0,
                                               .inject_error = vmcs_read32(cpu, VMCS_ENTRY_EXCEPTION_ERROR)});
    cpu->arch.rip = vmcs_read(cpu, VMCS_GUEST_RIP); /* last: until now the time is VMLAUNCH's */
    log_line(cpu->log, LOG_VMX, "cpu%u entry vmcs %llx rip %llx inject %x", cpu->index,
             (unsigned long long)cpu->arch.vmx.current, (unsigned long long)cpu->arch.rip,
             injects(c) ? c->inject : 0);
    vmx_evaluate_interrupts(cpu);
    cpu->d.switched = true;
    cpu_kick(cpu);
    return injects(c) ? inject(cpu, c->inject) : CPU_OK;
}

static cpu_rc vm_entry(struct cpu *cpu, const struct insn *in, bool launch)
{
    TRY(vmx_insn_begin(cpu, in, launch ? EXIT_VMLAUNCH : EXIT_VMRESUME));
    u64 current = cpu->arch.vmx.current;
    if (current == VMX_NO_VMCS ||
        (vmcs_header(cpu, current, VMCS_AT_REVISION) & VMCS_SHADOW) != 0) {
        cpu->arch.rip = next_rip(cpu, in);
        flags_set_arith(cpu, RFLAGS_CF);
        vmx_say_vmfail(cpu, 0, current, "VM entry without a current ordinary VMCS");
        return CPU_OK;
    }
    if (cpu->arch.int_shadow_movss) {
        return fail_entry(cpu, in, VM_ERROR_ENTRY_MOV_SS, NULL);
    }
    bool launched = vmcs_header(cpu, current, VMCS_AT_LAUNCHED) != 0;
    if (launch && launched) {
        return fail_entry(cpu, in, VM_ERROR_VMLAUNCH_NOT_CLEAR, NULL);
    }
    if (!launch && !launched) {
        return fail_entry(cpu, in, VM_ERROR_VMRESUME_NOT_LAUNCHED, NULL);
    }
    struct vmx_check c;
    decode_vmcs(cpu, &c);
    const struct check_row *bad = run_checks(&c, 0, GUEST_ROWS);
    if (bad != NULL) {
        u32 error = bad->failure == CHECK_HOST ? VM_ERROR_ENTRY_HOST_STATE : VM_ERROR_ENTRY_CONTROLS;
        cpu_rc rc = fail_entry(cpu, in, error, NULL);
        say_failure(cpu, bad, error, 0);
        return rc;
    }
    cpu_rc rc = enter(cpu, &c);
    if (launch && cpu->arch.guest == GUEST_VMX) {
        vmcs_set_header(cpu, current, VMCS_AT_LAUNCHED, 1);
    }
    return rc;
}

cpu_rc exec_vmlaunch(struct cpu *cpu, const struct insn *in)
{
    return vm_entry(cpu, in, true);
}

cpu_rc exec_vmresume(struct cpu *cpu, const struct insn *in)
{
    return vm_entry(cpu, in, false);
}
