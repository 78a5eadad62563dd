/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMRUN: host state saved, the VMCB checked and loaded, events injected. [APM2 "VMRUN Instruction"]
 *
 * TLB_CONTROL and ASIDs have nothing to do: translations always follow the tables. Left out: encrypted
 * guests, the machine-check intercept's redirections. */
#include "cpu/apic.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/msr.h"
#include "cpu/svm/svm_priv.h"
#include "cpu/svm/vmrun.h"
#include "cpu/tlb.h"
#include "cpu/virt_trace.h"
#include "mmu/nested.h"

#include <inttypes.h>

/* ---- Event injection ---- */

/* [APM2 "Event Injection"]: EVENTINJ, once it is checked and the guest is loaded. */
static void decode_eventinj(const struct cpu *cpu, u64 inj, struct event *ev)
{
    u8 vector = (u8)(inj & SVM_EVENT_VECTOR);
    *ev = (struct event){.vector = vector, .why = "EVENTINJ"};
    if ((inj & SVM_EVENT_V) == 0) {
        return;
    }
    switch ((inj & SVM_EVENT_TYPE) >> SVM_EVENT_TYPE_SHIFT) {
    case SVM_EVENT_INTR: ev->kind = EVENT_EXT_INT; break;
    case SVM_EVENT_NMI:
        ev->kind = EVENT_NMI;
        ev->vector = VEC_NMI;
        break;
    case SVM_EVENT_SOFT_INT:
        ev->kind = EVENT_SOFT_INT;
        ev->next_rip_given = true;
        break;
    default:
        ev->kind = vector == VEC_BP || vector == VEC_OF ? EVENT_INT3 : EVENT_EXCEPTION;
        ev->has_error = (inj & SVM_EVENT_EV) != 0;
        ev->error = (u32)(inj >> 32);
        ev->cr2 = cpu->arch.cr2;
        ev->next_rip_given = ev->kind == EVENT_INT3;
        break;
    }
}

/* ---- The steps of VMRUN ---- */

static void save_host(struct cpu *cpu, u64 next_rip)
{
    struct cpu_arch *a = &cpu->arch;
    struct vmcb h;
    u64 rip = a->rip;
    vmcb_read(cpu, a->vm_hsave_pa, &h);
    a->rip = next_rip;
    vmcb_put_core(cpu, &h);
    a->rip = rip;
    vmcb_set(&h, VMCB_dbgctl, 8, a->debugctl);
    vmcb_set(&h, VMCB_br_from, 8, a->last_branch_from);
    vmcb_set(&h, VMCB_br_to, 8, a->last_branch_to);
    vmcb_set(&h, VMCB_last_excp_from, 8, a->last_int_from);
    vmcb_set(&h, VMCB_last_excp_to, 8, a->last_int_to);
    vmcb_write(cpu, a->vm_hsave_pa, &h, VMCB_es, VMCB_last_excp_to + 8);
}

/* What this processor does not have is as if its control bit were 0. */
static void mask_controls(const struct cpu *cpu, struct vmcb_control *c)
{
    static const struct {
        enum cpu_feature feature;
        u32 int_ctl, nested_ctl, virt_ext;
    } rows[] = {
        {CPU_FEATURE_NPT, 0, NESTED_CTL_NP, 0},
        {CPU_FEATURE_GMET, 0, NESTED_CTL_GMET, 0},
        {CPU_FEATURE_LBRV, 0, 0, VIRT_EXT_LBR},
        {CPU_FEATURE_V_VMSAVE_VMLOAD, 0, 0, VIRT_EXT_VMSAVE_VMLOAD},
        {CPU_FEATURE_VGIF, V_GIF_ENABLE, 0, 0},
        {CPU_FEATURE_VNMI, V_NMI_ENABLE, 0, 0},
        {CPU_FEATURE_AVIC, V_AVIC_ENABLE, 0, 0},
        {CPU_FEATURE_X2AVIC, V_X2AVIC_ENABLE, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (!cpu_has(cpu, rows[i].feature)) {
            c->int_ctl &= ~(u64)rows[i].int_ctl;
            c->nested_ctl &= ~(u64)rows[i].nested_ctl;
            c->virt_ext &= ~(u64)rows[i].virt_ext;
        }
    }
    if (!cpu_has(cpu, CPU_FEATURE_PAUSEFILTER)) {
        c->pause_filter_count = 0;
    }
    if (!cpu_has(cpu, CPU_FEATURE_PFTHRESHOLD)) {
        c->pause_filter_threshold = 0;
    }
    if ((c->nested_ctl & NESTED_CTL_NP) == 0) {
        c->virt_ext &= ~(u64)VIRT_EXT_VMSAVE_VMLOAD;
        c->nested_ctl &= ~(u64)NESTED_CTL_GMET;
    }
}

static void load_controls(struct cpu *cpu, const struct vmrun *r)
{
    struct cpu_arch *a = &cpu->arch;
    struct svm_arch *s = &a->svm;
    s->ctl = r->c;
    s->host_if = (a->rflags & RFLAGS_IF) != 0;
    s->host_nmi_blocked = a->nmi_blocked;
    if ((r->c.int_ctl & V_NMI_ENABLE) != 0) {
        a->nmi_blocked = (r->c.int_ctl & V_NMI_MASK) != 0;
    }
    s->pause_count = (u32)r->c.pause_filter_count;
    s->pause_tsc = clock_tsc(cpu->clock);
    s->trap_code = 0;
    s->g_pat = r->s.g_pat;
    struct walk_root host;
    walk_root_of(cpu, &host);
    s->nested_mode = host.mode;
    s->nested_flags = host.flags & (WALK_NXE | WALK_SMEP | WALK_PSE | WALK_PSE36 | WALK_1GB);
    if ((r->c.nested_ctl & NESTED_CTL_GMET) != 0) {
        s->nested_flags |= WALK_NPT_GMET;
    }
}

static void load_guest(struct cpu *cpu, const struct vmrun *r)
{
    struct cpu_arch *a = &cpu->arch;
    const struct vmcb_save *s = &r->s;
    vmcb_get_segment(cpu, &r->v, VMCB_es, &a->seg[SEG_ES]);
    vmcb_get_segment(cpu, &r->v, VMCB_cs, &a->seg[SEG_CS]);
    vmcb_get_segment(cpu, &r->v, VMCB_ss, &a->seg[SEG_SS]);
    vmcb_get_segment(cpu, &r->v, VMCB_ds, &a->seg[SEG_DS]);
    a->seg[SEG_SS].attr = (a->seg[SEG_SS].attr & ~(u32)SEG_DPL) | (u32)(s->cpl & 3) << SEG_DPL_SHIFT;
    vmcb_get_table(cpu, &r->v, VMCB_gdtr, &a->gdtr);
    vmcb_get_table(cpu, &r->v, VMCB_idtr, &a->idtr);
    a->efer = s->efer & ~(u64)EFER_LMA;
    if (vmrun_is_long(r)) {
        a->efer |= EFER_LMA;
    }
    a->cr0 = s->cr0 | CR0_ET;
    a->cr2 = s->cr2;
    a->cr3 = s->cr3;
    a->cr4 = s->cr4;
    memcpy(a->pdpte, r->pdpte, sizeof a->pdpte);
    cpu_set_rflags(cpu, s->rflags);
    a->gpr[RSP] = s->rsp;
    a->gpr[RAX] = s->rax;
    a->dr6 = (s->dr6 & (0xf | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED;
    a->dr7 = (s->dr7 & (0xffff03ff | DR7_GD)) | DR7_FIXED;
    if (cpu_has(cpu, CPU_FEATURE_CET_SS)) {
        a->s_cet = s->s_cet;
        a->ssp = s->ssp;
        a->int_ssp_table = s->isst_addr;
    }
    if ((r->c.virt_ext & VIRT_EXT_LBR) != 0) {
        a->debugctl = s->dbgctl;
        a->last_branch_from = s->br_from;
        a->last_branch_to = s->br_to;
        a->last_int_from = s->last_excp_from;
        a->last_int_to = s->last_excp_to;
    }
    a->int_shadow_sti = (r->c.int_state & INT_STATE_SHADOW) != 0;
    a->int_shadow_movss = false;
}

static cpu_rc enter(struct cpu *cpu, u64 vmcb, u64 next_rip)
{
    struct svm_arch *s = &cpu->arch.svm;
    struct vmrun r = {.cpu = cpu};
    s->vmcb = vmcb;
    save_host(cpu, next_rip);
    vmcb_read(cpu, vmcb, &r.v);
    vmcb_get_control(&r.v, &r.c);
    mask_controls(cpu, &r.c);
#define VMCB_SAVE(offset, bytes, name, clean) r.s.name = vmcb_get(&r.v, offset, bytes);
#include "abi/x86/vmcb_fields.def"
    r.cs_attr = vmcb_get(&r.v, VMCB_cs + 2, 2);
    cpu->d.switched = true; /* a single-step trap of VMRUN comes after #VMEXIT */
    if (!vmrun_check(&r)) {
        svm_exit_invalid(cpu, vmcb);
        return CPU_OK;
    }
    /* While RIP is still VMRUN's: the record's position depends on it. */
    bool injects = (r.c.eventinj & SVM_EVENT_V) != 0;
    virt_trace_entry(cpu, &(struct virt_entry){.vcpu = vmcb,
                                               .root = (r.c.nested_ctl & NESTED_CTL_NP) != 0 ? r.c.n_cr3 : 0,
                                               .rip = r.s.rip,
                                               .rax = r.s.rax,
                                               .inject = injects ? (u32)r.c.eventinj : 0,
                                               .inject_error = (u32)(r.c.eventinj >> 32)});
    load_controls(cpu, &r);
    load_guest(cpu, &r);
    decode_eventinj(cpu, r.c.eventinj, &r.event);
    cpu->arch.guest = GUEST_SVM;
    s->gif = true;
    s->delivering = false;
    s->injecting = r.event.kind != EVENT_NONE;
    log_line(cpu->log, LOG_SVM,
             "cpu%u vmcb %" PRIx64 " VMRUN asid %" PRIx64 " rip %04x:%" PRIx64 " cr0 %" PRIx64 " cr3 %" PRIx64
             " efer %" PRIx64 " flags %" PRIx64 " int_ctl %" PRIx64 " eventinj %" PRIx64,
             cpu->index, vmcb, r.c.guest_asid, cpu->arch.seg[SEG_CS].sel, r.s.rip, cpu->arch.cr0,
             cpu->arch.cr3, cpu->arch.efer, cpu_rflags(cpu), r.c.int_ctl, r.c.eventinj);
    cpu_update_mode(cpu);
    cpu->arch.rip = r.s.rip; /* last: until now the time is VMRUN's */
    cpu_kick(cpu);
    if (!s->injecting) {
        return CPU_OK;
    }
    cpu->event = r.event;
    if (r.event.next_rip_given) {
        cpu->event.next_rip_given = cpu_has(cpu, CPU_FEATURE_NRIPS);
        cpu->event.next_rip = r.c.nrip;
    }
    if (r.event.kind == EVENT_NMI && (r.c.int_ctl & V_NMI_ENABLE) != 0) {
        cpu->arch.nmi_blocked = true;
    }
    return CPU_EXIT;
}

/* ---- Instructions ---- */

/* [APM3 "VMRUN"] and its relatives: #UD without SVM or protected mode, then #GP outside level 0. */
static cpu_rc check_svm(struct cpu *cpu)
{
    if ((cpu->arch.efer & EFER_SVME) == 0 || !cpu->d.prot || cpu->d.v86) {
        return raise_ud(cpu, "SVM instruction without EFER.SVME or protected mode");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "SVM instruction outside level 0");
    }
    return CPU_OK;
}

static cpu_rc check_intercept(struct cpu *cpu, u64 code, const struct insn *in, const char *why)
{
    if (in_guest(cpu) && svm_intercepts(cpu, code)) {
        return svm_raise_exit(cpu, code, 0, 0, in->len, why);
    }
    return CPU_OK;
}

/* Which of the two comes first is a feature: [APM3 "CPUID Fn8000_000A_EDX"], SVME_ADDR_CHK. */
static cpu_rc check_vmcb_address(struct cpu *cpu, const struct insn *in, u64 code, const char *why, u64 *pa)
{
    bool intercept_first = cpu_has(cpu, CPU_FEATURE_SVME_ADDR_CHK);
    if (intercept_first) {
        TRY(check_intercept(cpu, code, in, why));
    }
    *pa = cpu->arch.gpr[RAX] & size_mask(insn_asize(in));
    if ((*pa & (PAGE_MASK | cpu_phys_reserved(cpu))) != 0) {
        return raise_gp(cpu, 0, "rAX is no aligned physical address");
    }
    return intercept_first ? CPU_OK : check_intercept(cpu, code, in, why);
}

cpu_rc exec_vmrun(struct cpu *cpu, const struct insn *in)
{
    u64 pa;
    TRY(check_svm(cpu));
    TRY(check_vmcb_address(cpu, in, SVM_EXIT_VMRUN, "VMRUN intercept", &pa));
    return enter(cpu, pa, svm_next_rip(cpu, in->len));
}

/* A guest's rAX is a guest-physical address when its loads and saves are virtualized. */
static cpu_rc state_address(struct cpu *cpu, bool write, u64 *pa)
{
    if (in_guest(cpu) && (cpu->arch.svm.ctl.virt_ext & VIRT_EXT_VMSAVE_VMLOAD) != 0) {
        return svm_translate_gpa(cpu, *pa, write, pa);
    }
    return CPU_OK;
}

cpu_rc exec_vmload(struct cpu *cpu, const struct insn *in)
{
    u64 pa;
    struct vmcb v;
    TRY(check_svm(cpu));
    TRY(check_vmcb_address(cpu, in, SVM_EXIT_VMLOAD, "VMLOAD intercept", &pa));
    TRY(state_address(cpu, false, &pa));
    vmcb_read(cpu, pa, &v);
    vmcb_get_extra(cpu, &v);
    return CPU_OK;
}

cpu_rc exec_vmsave(struct cpu *cpu, const struct insn *in)
{
    u64 pa;
    struct vmcb v;
    TRY(check_svm(cpu));
    TRY(check_vmcb_address(cpu, in, SVM_EXIT_VMSAVE, "VMSAVE intercept", &pa));
    TRY(state_address(cpu, true, &pa));
    vmcb_put_extra(cpu, &v); /* every byte of the ranges written below */
    vmcb_write(cpu, pa, &v, VMCB_fs, VMCB_gdtr);
    vmcb_write(cpu, pa, &v, VMCB_ldtr, VMCB_idtr);
    vmcb_write(cpu, pa, &v, VMCB_tr, VMCB_tr + 16);
    vmcb_write(cpu, pa, &v, VMCB_star, VMCB_cr2);
    return CPU_OK;
}

static cpu_rc set_gif(struct cpu *cpu, bool on)
{
    struct svm_arch *s = &cpu->arch.svm;
    if (in_guest(cpu) && (s->ctl.int_ctl & V_GIF_ENABLE) != 0) {
        s->ctl.int_ctl = on ? s->ctl.int_ctl | V_GIF : s->ctl.int_ctl & ~(u64)V_GIF;
    } else {
        s->gif = on;
    }
    cpu_kick(cpu);
    return CPU_OK;
}

cpu_rc exec_stgi(struct cpu *cpu, const struct insn *in)
{
    TRY(check_svm(cpu));
    TRY(check_intercept(cpu, SVM_EXIT_STGI, in, "STGI intercept"));
    return set_gif(cpu, true);
}

cpu_rc exec_clgi(struct cpu *cpu, const struct insn *in)
{
    TRY(check_svm(cpu));
    TRY(check_intercept(cpu, SVM_EXIT_CLGI, in, "CLGI intercept"));
    return set_gif(cpu, false);
}

/* Translations follow the tables: nothing to invalidate. */
cpu_rc exec_invlpga(struct cpu *cpu, const struct insn *in)
{
    TRY(check_svm(cpu));
    if (in_guest(cpu) && svm_intercepts(cpu, SVM_EXIT_INVLPGA)) {
        u64 lin = cpu->arch.gpr[RAX] & size_mask(insn_asize(in));
        u64 info = cpu_has(cpu, CPU_FEATURE_DECODEASSISTS) ? lin : 0;
        return svm_raise_exit(cpu, SVM_EXIT_INVLPGA, info, 0, in->len, "INVLPGA intercept");
    }
    trace_invalidate(cpu->trace, cpu->index, TRACE_INVLPGA, 0, (u32)cpu->arch.gpr[RCX],
                     cpu->arch.gpr[RAX] & size_mask(insn_asize(in)));
    cpu_leave_block(cpu);
    return CPU_OK;
}

/* No model has a secure loader: #UD as on a processor without SKINIT. */
cpu_rc exec_skinit(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_ud(cpu, "SKINIT is not offered (CPUID 80000001h ECX[12])");
}

/* Outside guest mode, and in a guest whose hypervisor does not want it, there is no such instruction. */
cpu_rc exec_vmmcall(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_ud(cpu, "VMMCALL without an intercept");
}
