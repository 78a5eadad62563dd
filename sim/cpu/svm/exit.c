/* SPDX-License-Identifier: GPL-3.0-or-later */
/* #VMEXIT. [APM2 "#VMEXIT"] Its steps: guest state into the VMCB, reasons, GIF = 0, host state. */
#include "cpu/control.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/svm/svm_priv.h"

#include "mmu/walk.h"
#include "cpu/tlb.h"

#include <inttypes.h>

u64 svm_next_rip(const struct cpu *cpu, unsigned len)
{
    u64 rip = cpu->arch.rip + len;
    return cpu->d.code64 ? rip : (u32)rip;
}

cpu_rc svm_raise_exit(struct cpu *cpu, u64 code, u64 info1, u64 info2, unsigned len, const char *why)
{
    cpu->exit = (struct vm_exit){
        .reason = code, .qualification = info1, .info2 = info2, .insn_len = len, .why = why};
    cpu->event = (struct event){.kind = EVENT_VMEXIT, .why = why};
    return CPU_EXIT;
}

void svm_exit_now(struct cpu *cpu, u64 code, const char *why)
{
    cpu->exit = (struct vm_exit){.reason = code, .why = why};
    cpu->d.left -= 1;
    svm_exit(cpu);
}

/* Up to fifteen bytes at RIP, as far as they can be fetched. [APM2 "Instruction Bytes"] */
static unsigned fetch_bytes(struct cpu *cpu, u8 *bytes)
{
    unsigned got = 0;
    while (got < 15) {
        u64 offset = cpu->arch.rip + got;
        if (!cpu->d.code64 && (u32)offset > cpu->arch.seg[SEG_CS].limit) {
            break;
        }
        u64 lin = (cpu->d.seg_base[SEG_CS] + offset) & cpu->d.lin_mask;
        struct walk_root root;
        struct walk_result res;
        walk_root_of(cpu, &root);
        unsigned access = WALK_EXEC | WALK_PROBE | (cpu->d.cpl == 3 ? WALK_USER : 0u);
        if (!walk_linear(cpu->phys, &root, lin, access, &res)) {
            break;
        }
        unsigned room = (unsigned)(PAGE_SIZE - (lin & PAGE_MASK));
        unsigned n = room < 15 - got ? room : 15 - got;
        phys_read(cpu->phys, res.spa, bytes + got, n);
        got += n;
    }
    return got;
}

static void save_guest(struct cpu *cpu, struct vmcb *v)
{
    struct cpu_arch *a = &cpu->arch;
    a->rep_partial = false;
    const struct svm_arch *s = &a->svm;
    vmcb_put_core(cpu, v);
    vmcb_set(v, VMCB_dr6, 8, a->dr6);
    vmcb_set(v, VMCB_dr7, 8, a->dr7);
    vmcb_set(v, VMCB_cr2, 8, a->cr2);
    if (svm_nested_paging(cpu)) {
        vmcb_set(v, VMCB_g_pat, 8, s->g_pat);
    }
    if ((s->ctl.virt_ext & VIRT_EXT_LBR) != 0) {
        vmcb_set(v, VMCB_dbgctl, 8, a->debugctl);
        vmcb_set(v, VMCB_br_from, 8, a->last_branch_from);
        vmcb_set(v, VMCB_br_to, 8, a->last_branch_to);
        vmcb_set(v, VMCB_last_excp_from, 8, a->last_int_from);
        vmcb_set(v, VMCB_last_excp_to, 8, a->last_int_to);
    }
    u64 int_ctl = s->ctl.int_ctl;
    if ((int_ctl & V_NMI_ENABLE) != 0) {
        int_ctl = (int_ctl & ~(u64)V_NMI_MASK) | (a->nmi_blocked ? V_NMI_MASK : 0u);
    }
    vmcb_set(v, VMCB_int_ctl, 4, int_ctl);
    u64 state = vmcb_get(v, VMCB_int_state, 4) & ~(u64)INT_STATE_SHADOW;
    vmcb_set(v, VMCB_int_state, 4, state | (shadow_is_on(cpu) ? INT_STATE_SHADOW : 0u));
}

static void put_reasons(struct cpu *cpu, struct vmcb *v)
{
    const struct vm_exit *x = &cpu->exit;
    const struct svm_arch *s = &cpu->arch.svm;
    vmcb_set(v, VMCB_exitcode, 8, x->reason);
    vmcb_set(v, VMCB_exitinfo1, 8, x->qualification);
    vmcb_set(v, VMCB_exitinfo2, 8, x->info2);
    u64 info = s->delivering ? s->int_info | (u64)s->int_error << 32 : 0;
    vmcb_set(v, VMCB_exitintinfo, 8, info);
    vmcb_set(v, VMCB_eventinj, 4, vmcb_get(v, VMCB_eventinj, 4) & ~(u64)SVM_EVENT_V);
    if (cpu_has(cpu, CPU_FEATURE_NRIPS)) {
        vmcb_set(v, VMCB_nrip, 8, x->insn_len != 0 ? svm_next_rip(cpu, x->insn_len) : 0);
    }
    if (cpu_has(cpu, CPU_FEATURE_DECODEASSISTS)) {
        u8 bytes[15] = {0};
        unsigned n = 0;
        bool data_fault = (x->reason == SVM_EXIT_NPF || x->reason == SVM_EXIT_EXCP14) &&
                          (x->qualification & PF_I) == 0 && !s->delivering;
        n = data_fault ? fetch_bytes(cpu, bytes) : 0;
        vmcb_set(v, VMCB_insn_count, 1, n);
        memcpy(v->b + VMCB_INSN_BYTES, bytes, sizeof bytes);
    }
}

static void host_is_broken(struct cpu *cpu, const char *why)
{
    log_line(cpu->log, LOG_SVM, "cpu%u host state of #VMEXIT: %s: shutdown", cpu->index, why);
    log_guest_error(cpu->log, "cpu%u: host save area cannot be loaded: %s", cpu->index, why);
    cpu->event = (struct event){.kind = EVENT_SHUTDOWN, .why = why};
    cpu_deliver_event(cpu);
}

void svm_load_host(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    struct vmcb v;
    vmcb_read(cpu, a->vm_hsave_pa, &v);
    vmcb_get_segment(cpu, &v, VMCB_es, &a->seg[SEG_ES]);
    vmcb_get_segment(cpu, &v, VMCB_cs, &a->seg[SEG_CS]);
    vmcb_get_segment(cpu, &v, VMCB_ss, &a->seg[SEG_SS]);
    vmcb_get_segment(cpu, &v, VMCB_ds, &a->seg[SEG_DS]);
    a->seg[SEG_SS].attr &= ~(u32)SEG_DPL; /* CPL = 0 */
    vmcb_get_table(cpu, &v, VMCB_gdtr, &a->gdtr);
    vmcb_get_table(cpu, &v, VMCB_idtr, &a->idtr);
    a->efer = vmcb_get(&v, VMCB_efer, 8);
    a->cr0 = vmcb_get(&v, VMCB_cr0, 8) | CR0_PE;
    a->cr3 = vmcb_get(&v, VMCB_cr3, 8);
    a->cr4 = vmcb_get(&v, VMCB_cr4, 8);
    cpu_set_rflags(cpu, vmcb_get(&v, VMCB_rflags, 8) & ~(u64)RFLAGS_VM);
    a->rip = vmcb_get(&v, VMCB_rip, 8);
    a->gpr[RSP] = vmcb_get(&v, VMCB_rsp, 8);
    a->gpr[RAX] = vmcb_get(&v, VMCB_rax, 8);
    a->s_cet = vmcb_get(&v, VMCB_s_cet, 8);
    a->ssp = vmcb_get(&v, VMCB_ssp, 8);
    a->int_ssp_table = vmcb_get(&v, VMCB_isst_addr, 8);
    a->dr7 = DR7_FIXED;
    if ((a->svm.ctl.virt_ext & VIRT_EXT_LBR) != 0) {
        a->debugctl = vmcb_get(&v, VMCB_dbgctl, 8);
        a->last_branch_from = vmcb_get(&v, VMCB_br_from, 8);
        a->last_branch_to = vmcb_get(&v, VMCB_br_to, 8);
        a->last_int_from = vmcb_get(&v, VMCB_last_excp_from, 8);
        a->last_int_to = vmcb_get(&v, VMCB_last_excp_to, 8);
    }
    bool pae = (a->cr0 & CR0_PG) != 0 && (a->cr4 & CR4_PAE) != 0 && (a->efer & EFER_LMA) == 0;
    u64 pdpte[4] = {0};
    bool pdptes_ok = !pae || cr3_read_pdptes(cpu, a->cr3, pdpte) == CPU_OK;
    if (pae) {
        memcpy(a->pdpte, pdpte, sizeof pdpte);
    }
    cpu->event.kind = EVENT_NONE;
    cpu_update_mode(cpu);
    cpu_kick(cpu);
    if (!pdptes_ok) {
        host_is_broken(cpu, "reserved bits in a page-directory-pointer entry");
    } else if ((a->cr4 & ~cr4_supported(cpu)) != 0 || (a->cr0 >> 32) != 0) {
        host_is_broken(cpu, "reserved bits of CR0 or CR4");
    } else if ((a->rflags & RFLAGS_TF) != 0) {
        /* A single-stepped VMRUN traps once the host is back. */
        a->pending_db |= DR6_BS;
    }
}

void svm_exit(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    struct svm_arch *s = &a->svm;
    struct vmcb v;
    svm_say_exit(cpu, s->delivering ? s->int_info : 0);
    vmcb_read(cpu, s->vmcb, &v);
    save_guest(cpu, &v);
    put_reasons(cpu, &v);
    vmcb_write(cpu, s->vmcb, &v, VMCB_int_ctl, VMCB_avic_backing_page);
    vmcb_write(cpu, s->vmcb, &v, VMCB_es, VMCB_last_excp_to + 8);

    s->gif = false;
    if ((s->ctl.int_ctl & V_NMI_ENABLE) != 0) {
        a->nmi_blocked = s->host_nmi_blocked;
    }
    a->guest = GUEST_NONE;
    a->activity = ACTIVITY_RUNNING;
    a->int_shadow_sti = false;
    a->int_shadow_movss = false;
    a->pending_db = 0;
    s->delivering = false;
    s->injecting = false;
    svm_load_host(cpu);
}

void svm_exit_invalid(struct cpu *cpu, u64 vmcb)
{
    struct vmcb v;
    vmcb_read(cpu, vmcb, &v);
    vmcb_set(&v, VMCB_exitcode, 8, SVM_EXITCODE_INVALID);
    vmcb_set(&v, VMCB_exitinfo1, 8, 0);
    vmcb_set(&v, VMCB_exitinfo2, 8, 0);
    vmcb_set(&v, VMCB_exitintinfo, 8, 0);
    vmcb_write(cpu, vmcb, &v, VMCB_exitcode, VMCB_exitintinfo + 8);
    cpu->arch.svm.gif = false;
    cpu->arch.svm.ctl.virt_ext = 0;
    cpu->arch.int_shadow_sti = false;
    cpu->arch.int_shadow_movss = false;
    svm_load_host(cpu);
}
