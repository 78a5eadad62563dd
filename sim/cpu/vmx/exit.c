/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VM exits, in the manual's steps. [SDM3 "VM Exits"]
 *
 * Left out: last-branch state, processor trace, SGX and the SMM forms of exits. */
#include "cpu/control.h"
#include "cpu/flags.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/vmx/vmx_priv.h"

#include <string.h>

void vmx_exit_prepare(struct cpu *cpu, u32 reason, u64 qualification, const char *why)
{
    const struct insn *in = cpu_running_insn(cpu);
    cpu->exit = (struct vm_exit){.reason = reason,
                                 .qualification = qualification,
                                 .insn_len = in != NULL ? in->len : 0,
                                 .why = why};
}

cpu_rc vmx_exit_because(struct cpu *cpu, u32 reason, u64 qualification, const char *why)
{
    vmx_exit_prepare(cpu, reason, qualification, why);
    cpu->event = (struct event){.kind = EVENT_VMEXIT, .why = why};
    return CPU_EXIT;
}

void vmx_exit_now(struct cpu *cpu, u32 reason, u64 qualification, const char *why)
{
    vmx_exit_prepare(cpu, reason, qualification, why);
    cpu->d.left -= 1;
    vmx_exit(cpu);
}

/* ---- Recording VM-exit information ---- */

static void record_information(struct cpu *cpu, const struct vm_exit *e)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    vmcs_write(cpu, VMCS_EXIT_REASON, e->reason);
    vmcs_write(cpu, VMCS_EXIT_QUALIFICATION, e->qualification);
    vmcs_write(cpu, VMCS_GUEST_LINEAR_ADDRESS, e->linear);
    vmcs_write(cpu, VMCS_EXIT_INTERRUPTION_INFO, e->int_info);
    if ((e->int_info & INTR_ERROR_CODE) != 0) {
        vmcs_write(cpu, VMCS_EXIT_INTERRUPTION_ERROR, e->int_error);
    }
    u32 len = e->insn_len;
    u32 vectoring = v->delivering ? v->vectoring_info : 0;
    vmcs_write(cpu, VMCS_IDT_VECTORING_INFO, vectoring);
    if ((vectoring & INTR_VALID) != 0) {
        if ((vectoring & INTR_ERROR_CODE) != 0) {
            vmcs_write(cpu, VMCS_IDT_VECTORING_ERROR, v->vectoring_error);
        }
        unsigned type = (vectoring & INTR_TYPE) >> INTR_TYPE_SHIFT;
        if (type >= INTR_SOFT_INT && type <= INTR_SOFT_EXCEPTION) {
            len = v->vectoring_length;
        }
    }
    vmcs_write(cpu, VMCS_EXIT_INSTRUCTION_LENGTH, len);
    vmcs_write(cpu, VMCS_EXIT_INSTRUCTION_INFO, e->insn_info);
    if (e->reason == EXIT_EPT_VIOLATION || e->reason == EXIT_EPT_MISCONFIG || e->reason == EXIT_SPP) {
        vmcs_write(cpu, VMCS_GUEST_PHYSICAL_ADDRESS, e->gpa);
    }
    if (e->reason == EXIT_IO) {
        vmcs_write(cpu, VMCS_IO_RCX, cpu->arch.gpr[RCX]);
        vmcs_write(cpu, VMCS_IO_RSI, cpu->arch.gpr[RSI]);
        vmcs_write(cpu, VMCS_IO_RDI, cpu->arch.gpr[RDI]);
        vmcs_write(cpu, VMCS_IO_RIP, cpu->arch.rip);
    }
    /* The event to inject is used up. */
    u32 info = vmcs_read32(cpu, VMCS_ENTRY_INTERRUPTION_INFO);
    if ((info & INTR_VALID) != 0) {
        vmcs_write(cpu, VMCS_ENTRY_INTERRUPTION_INFO, info & ~INTR_VALID);
    }
    if ((v->c.proc2 & PROC2_EPT_VE) != 0) {
        vmcs_write(cpu, VMCS_EPTP_INDEX, vmcs_read(cpu, VMCS_EPTP_INDEX));
    }
}

/* ---- Saving guest state ---- */

static void save_segment(struct cpu *cpu, unsigned n, const struct segment *s)
{
    vmcs_write(cpu, VMCS_GUEST_ES_SELECTOR + 2 * n, s->sel);
    vmcs_write(cpu, VMCS_GUEST_ES_LIMIT + 2 * n, s->limit);
    vmcs_write(cpu, VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * n, s->attr & 0x1f0ffu);
    vmcs_write(cpu, VMCS_GUEST_ES_BASE + 2 * n, s->base);
}

static void save_registers(struct cpu *cpu)
{
    const struct cpu_arch *a = &cpu->arch;
    const struct vmx_controls *c = &a->vmx.c;
    vmcs_write(cpu, VMCS_GUEST_CR0, a->cr0);
    vmcs_write(cpu, VMCS_GUEST_CR3, a->cr3);
    vmcs_write(cpu, VMCS_GUEST_CR4, a->cr4);
    vmcs_write(cpu, VMCS_GUEST_SYSENTER_CS, a->sysenter_cs);
    vmcs_write(cpu, VMCS_GUEST_SYSENTER_ESP, a->sysenter_esp);
    vmcs_write(cpu, VMCS_GUEST_SYSENTER_EIP, a->sysenter_eip);
    if ((c->exit & EXITC_SAVE_DEBUG) != 0) {
        vmcs_write(cpu, VMCS_GUEST_DR7, a->dr7);
        vmcs_write(cpu, VMCS_GUEST_DEBUGCTL, a->debugctl);
    }
    if ((c->exit & EXITC_SAVE_PAT) != 0) {
        vmcs_write(cpu, VMCS_GUEST_PAT, a->pat);
    }
    if ((c->exit & EXITC_SAVE_EFER) != 0) {
        vmcs_write(cpu, VMCS_GUEST_EFER, a->efer);
    }
    if ((c->exit & EXITC_SAVE_PERF) != 0) {
        vmcs_write(cpu, VMCS_GUEST_PERF_GLOBAL_CTRL, a->pmc_global_ctrl);
    }
    if (cpu_has(cpu, CPU_FEATURE_VMX_ENTRY_LOAD_CET)) {
        vmcs_write(cpu, VMCS_GUEST_S_CET, a->s_cet);
        vmcs_write(cpu, VMCS_GUEST_SSP, a->ssp);
        vmcs_write(cpu, VMCS_GUEST_INTR_SSP_TABLE, a->int_ssp_table);
    }
    if (cpu_has(cpu, CPU_FEATURE_VMX_ENTRY_LOAD_BNDCFGS)) {
        vmcs_write(cpu, VMCS_GUEST_BNDCFGS, a->mpx.cfgs);
    }
    if (cpu_has(cpu, CPU_FEATURE_VMX_ENTRY_LOAD_PKRS)) {
        vmcs_write(cpu, VMCS_GUEST_PKRS, a->pkrs);
    }
    if (cpu_has(cpu, CPU_FEATURE_VMX_STORE_LMA)) {
        u32 entry = vmcs_read32(cpu, VMCS_ENTRY_CONTROLS) & ~ENTRYC_GUEST_64;
        vmcs_write(cpu, VMCS_ENTRY_CONTROLS, entry | ((a->efer & EFER_LMA) != 0 ? ENTRYC_GUEST_64 : 0u));
    }
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        save_segment(cpu, i, &a->seg[i]);
    }
    save_segment(cpu, 6, &a->ldtr);
    save_segment(cpu, 7, &a->tr);
    vmcs_write(cpu, VMCS_GUEST_GDTR_BASE, a->gdtr.base);
    vmcs_write(cpu, VMCS_GUEST_GDTR_LIMIT, a->gdtr.limit);
    vmcs_write(cpu, VMCS_GUEST_IDTR_BASE, a->idtr.base);
    vmcs_write(cpu, VMCS_GUEST_IDTR_LIMIT, a->idtr.limit);
}

/* [SDM3 "Saving RIP, RSP, RFLAGS, and SSP"]: RF as delivery would have pushed it. */
static bool sets_rf(const struct cpu *cpu, const struct vm_exit *e)
{
    const struct vmx_arch *v = &cpu->arch.vmx;
    if (cpu->arch.rep_partial) {
        return true;
    }
    if (e->reason == EXIT_EXCEPTION_NMI) {
        unsigned type = (e->int_info & INTR_TYPE) >> INTR_TYPE_SHIFT;
        unsigned vector = e->int_info & INTR_VECTOR;
        return type == INTR_HARD_EXCEPTION && vector != VEC_DB;
    }
    bool memory = e->reason == EXIT_EPT_VIOLATION || e->reason == EXIT_EPT_MISCONFIG ||
                  e->reason == EXIT_PML_FULL || e->reason == EXIT_SPP || e->reason == EXIT_APIC_ACCESS;
    return memory && !v->delivering;
}

static void save_rip(struct cpu *cpu, const struct vm_exit *e)
{
    u64 flags = cpu_rflags(cpu);
    if (sets_rf(cpu, e)) {
        flags |= RFLAGS_RF;
    }
    vmcs_write(cpu, VMCS_GUEST_RIP, cpu->arch.rip);
    vmcs_write(cpu, VMCS_GUEST_RSP, cpu->arch.gpr[RSP]);
    vmcs_write(cpu, VMCS_GUEST_RFLAGS, flags);
    cpu->arch.rep_partial = false;
}

static u32 activity_of(const struct cpu *cpu)
{
    switch (cpu->arch.activity) {
    case ACTIVITY_HLT: return VMCS_HLT;
    case ACTIVITY_SHUTDOWN: return VMCS_SHUTDOWN;
    case ACTIVITY_WAIT_SIPI: return VMCS_WAIT_SIPI;
    case ACTIVITY_RUNNING:
    case ACTIVITY_MWAIT: break;
    }
    return VMCS_ACTIVE;
}

static void save_non_registers(struct cpu *cpu, const struct vm_exit *e)
{
    struct cpu_arch *a = &cpu->arch;
    const struct vmx_controls *c = &a->vmx.c;
    vmcs_write(cpu, VMCS_GUEST_ACTIVITY, activity_of(cpu));
    u32 block = 0;
    block |= a->int_shadow_sti ? INTERRUPTIBILITY_STI : 0u;
    block |= a->int_shadow_movss ? INTERRUPTIBILITY_MOV_SS : 0u;
    block |= a->nmi_blocked ? INTERRUPTIBILITY_NMI : 0u;
    vmcs_write(cpu, VMCS_GUEST_INTERRUPTIBILITY, block);
    u64 pending = a->pending_db & (0xf | PENDING_DB_BS);
    if ((pending & 0xf) != 0) {
        pending |= PENDING_DB_ENABLED;
    }
    /* A #DB that exits by itself is described by the qualification. */
    bool debug = e->reason == EXIT_EXCEPTION_NMI && (e->int_info & INTR_VECTOR) == VEC_DB;
    vmcs_write(cpu, VMCS_GUEST_PENDING_DEBUG, debug ? 0 : pending);
    if (a->vmx.timer_on) {
        if ((c->exit & EXITC_SAVE_TIMER) != 0) {
            vmcs_write(cpu, VMCS_PREEMPTION_TIMER, vmx_timer_left(cpu));
        }
        vmx_timer_stop(cpu);
    }
    if ((c->proc2 & PROC2_EPT) != 0 && (a->cr0 & CR0_PG) != 0 && (a->cr4 & CR4_PAE) != 0 &&
        (a->efer & EFER_LMA) == 0) {
        for (u32 i = 0; i < 4; i++) {
            vmcs_write(cpu, VMCS_GUEST_PDPTE0 + 2 * i, a->pdpte[i]);
        }
    }
    if ((c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0) {
        vmcs_write(cpu, VMCS_GUEST_INTERRUPT_STATUS, a->vmx.rvi | (u64)a->vmx.svi << 8);
    }
}

/* ---- MSR areas ---- */

/* [SDM3 "Saving MSRs"]: 0 or the number of the entry that failed. */
static u32 store_msrs(struct cpu *cpu, u64 list, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u64 at = list + 16u * (u64)i;
        u32 index = (u32)phys_read_scalar(cpu->phys, SPA(at), 4);
        u32 reserved = (u32)phys_read_scalar(cpu->phys, SPA(at + 4), 4);
        u64 value;
        if (reserved != 0 || (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST) ||
            index == 0x9e /* IA32_SMBASE */ || msr_read(cpu, index, &value) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
            return i + 1;
        }
        phys_write_scalar(cpu->phys, SPA(at + 8), value, 8);
    }
    return 0;
}

/* ---- Loading host state ---- */

static void load_host_controls(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    u32 exit = a->vmx.c.exit;
    bool wide = (exit & EXITC_HOST_64) != 0;
    /* ET, CD, NW, reserved bits and the fixed ones keep their values. */
    const u64 kept = 0xffffffff1ffaffd0u | CR0_CD | CR0_NW | CR0_ET;
    u64 cr0 = vmcs_read(cpu, VMCS_HOST_CR0);
    a->cr0 = ((cr0 & ~kept) | (a->cr0 & kept) | CR0_PG | CR0_NE | CR0_PE) & 0xffffffff;
    a->cr3 = vmcs_read(cpu, VMCS_HOST_CR3) & ~cr3_reserved(cpu);
    a->cr4 = vmcs_read(cpu, VMCS_HOST_CR4) | CR4_VMXE | (wide ? CR4_PAE : 0u);
    if (!wide) {
        a->cr4 &= ~(u64)CR4_PCIDE;
    }
    a->dr7 = DR7_FIXED;
    a->debugctl = 0;
    a->sysenter_cs = vmcs_read(cpu, VMCS_HOST_SYSENTER_CS);
    a->sysenter_esp = vmcs_read(cpu, VMCS_HOST_SYSENTER_ESP);
    a->sysenter_eip = vmcs_read(cpu, VMCS_HOST_SYSENTER_EIP);
    if ((exit & EXITC_LOAD_EFER) != 0) {
        a->efer = vmcs_read(cpu, VMCS_HOST_EFER);
    }
    a->efer &= ~(u64)(EFER_LMA | EFER_LME);
    a->efer |= wide ? EFER_LMA | EFER_LME : 0u;
    if ((exit & EXITC_LOAD_PAT) != 0) {
        a->pat = vmcs_read(cpu, VMCS_HOST_PAT);
    }
    if ((exit & EXITC_LOAD_PERF) != 0) {
        u64 perf = vmcs_read(cpu, VMCS_HOST_PERF_GLOBAL_CTRL);
        if (msr_write(cpu, MSR_IA32_PERF_GLOBAL_CTRL, perf) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
        }
    }
    if ((exit & EXITC_LOAD_CET) != 0) {
        a->s_cet = vmcs_read(cpu, VMCS_HOST_S_CET);
        a->int_ssp_table = vmcs_read(cpu, VMCS_HOST_INTR_SSP_TABLE);
        a->ssp = vmcs_read(cpu, VMCS_HOST_SSP);
    }
    if ((exit & EXITC_CLEAR_BNDCFGS) != 0) {
        a->mpx.cfgs = 0;
    }
    if ((exit & EXITC_LOAD_PKRS) != 0) {
        a->pkrs = vmcs_read(cpu, VMCS_HOST_PKRS);
    }
}

static void load_host_segment(struct cpu *cpu, unsigned seg, u16 sel, u64 base, bool usable)
{
    cpu->arch.seg[seg] = (struct segment){
        .sel = sel,
        .base = base,
        .limit = 0xffffffff,
        .attr = SEG_P | SEG_S | SEG_DB | SEG_G | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED |
                (usable ? 0u : SEG_UNUSABLE)};
}

static void load_host_segments(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    bool wide = (a->vmx.c.exit & EXITC_HOST_64) != 0;
    a->seg[SEG_CS] = (struct segment){
        .sel = (u16)vmcs_read(cpu, VMCS_HOST_CS_SELECTOR),
        .limit = 0xffffffff,
        .attr = SEG_P | SEG_S | SEG_G | SEG_TYPE_CODE | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED |
                (wide ? SEG_L : SEG_DB)};
    static const u8 data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        unsigned s = data[i];
        u16 sel = (u16)vmcs_read(cpu, VMCS_HOST_ES_SELECTOR + 2 * s);
        u64 base = s == SEG_FS   ? vmcs_read(cpu, VMCS_HOST_FS_BASE)
                   : s == SEG_GS ? vmcs_read(cpu, VMCS_HOST_GS_BASE)
                                 : 0;
        load_host_segment(cpu, s, sel, base, sel != 0 || (s == SEG_SS && !wide));
    }
    a->tr = (struct segment){.sel = (u16)vmcs_read(cpu, VMCS_HOST_TR_SELECTOR),
                             .base = vmcs_read(cpu, VMCS_HOST_TR_BASE),
                             .limit = 0x67,
                             .attr = SEG_P | SYS_TSS_BUSY};
    a->ldtr = (struct segment){.attr = SEG_UNUSABLE | SYS_LDT};
    a->gdtr = (struct table_reg){.base = vmcs_read(cpu, VMCS_HOST_GDTR_BASE), .limit = 0xffff};
    a->idtr = (struct table_reg){.base = vmcs_read(cpu, VMCS_HOST_IDTR_BASE), .limit = 0xffff};
}

static void vmx_abort(struct cpu *cpu, enum vmx_abort why)
{
    vmcs_set_header(cpu, cpu->arch.vmx.current, VMCS_AT_ABORT, why);
    log_guest_error(cpu->log, "VMX abort %u", (unsigned)why);
    cpu->arch.activity = ACTIVITY_SHUTDOWN;
    if (cpu->ports.cpu_reset != NULL) {
        cpu->ports.cpu_reset(cpu->ports.self, cpu->index);
    }
}

static void load_host(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    bool was_long = (a->efer & EFER_LMA) != 0;
    load_host_controls(cpu);
    load_host_segments(cpu);
    a->gpr[RSP] = vmcs_read(cpu, VMCS_HOST_RSP);
    cpu_set_rflags(cpu, RFLAGS_ONE);
    a->activity = ACTIVITY_RUNNING;
    a->int_shadow_sti = false;
    a->int_shadow_movss = false;
    a->pending_db = 0;
    a->monitor_armed = false;
    a->guest = GUEST_NONE;
    a->vmx.delivering = false;
    a->vmx.injecting = false;
    a->vmx.mtf_pending = false;
    a->vmx.tpr_below = false;
    a->vmx.apic_write = false;
    a->vmx.eoi_exit = false;
    bool wide = (a->vmx.c.exit & EXITC_HOST_64) != 0;
    if (!wide && was_long) {
        vmx_abort(cpu, VMX_ABORT_HOST_64);
    }
    if (!wide && (a->cr4 & CR4_PAE) != 0) {
        u64 pdpte[4];
        if (cr3_read_pdptes(cpu, a->cr3, pdpte) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
            vmx_abort(cpu, VMX_ABORT_HOST_PDPTE);
        } else {
            memcpy(a->pdpte, pdpte, sizeof pdpte);
        }
    }
    cpu_update_mode(cpu);
    u32 count = vmcs_read32(cpu, VMCS_EXIT_MSR_LOAD_COUNT);
    if (vmx_load_msrs(cpu, vmcs_read(cpu, VMCS_EXIT_MSR_LOAD_ADDRESS), count) != 0) {
        vmx_abort(cpu, VMX_ABORT_LOAD_HOST_MSR);
    }
    a->rip = vmcs_read(cpu, VMCS_HOST_RIP); /* last: a failing VMLAUNCH's time hangs on RIP */
    cpu_update_mode(cpu);
    cpu->d.switched = true;
    cpu_kick(cpu);
}

void vmx_exit(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    const struct vm_exit e = cpu->exit;
    const struct vmx_controls *c = &a->vmx.c;
    vmx_say_exit(cpu, (u32)e.reason, e.qualification, e.why);
    record_information(cpu, &e);
    save_registers(cpu);
    save_rip(cpu, &e);
    save_non_registers(cpu, &e);
    a->guest = GUEST_NONE; /* IA32_TSC is stored without the guest's offset */
    u32 count = vmcs_read32(cpu, VMCS_EXIT_MSR_STORE_COUNT);
    if (store_msrs(cpu, vmcs_read(cpu, VMCS_EXIT_MSR_STORE_ADDRESS), count) != 0) {
        vmx_abort(cpu, VMX_ABORT_SAVE_GUEST_MSR);
    }
    bool nmi = e.reason == EXIT_EXCEPTION_NMI &&
               (e.int_info & INTR_TYPE) >> INTR_TYPE_SHIFT == INTR_NMI;
    if (nmi) {
        a->nmi_blocked = true;
    } else if ((c->pin & PIN_VIRTUAL_NMI) != 0) {
        a->nmi_blocked = false;
    }
    load_host(cpu);
}

void vmx_entry_failed(struct cpu *cpu, u32 reason, u64 qualification)
{
    vmcs_write(cpu, VMCS_EXIT_REASON, reason | EXIT_REASON_ENTRY_FAILURE);
    vmcs_write(cpu, VMCS_EXIT_QUALIFICATION, qualification);
    load_host(cpu);
}
