/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An SVM guest's memory, its time, and the state SVM adds. Where to start: vmrun.c (into the guest),
 * intercept.c and event.c (why it ends), exit.c (out of it). */
#include "cpu/svm/svm.h"

#include "cpu/svm/svm_priv.h"
#include "cpu/tlb.h"
#include "mmu/nested.h"

/* ---- Nested paging ---- */

void svm_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    const struct svm_arch *s = &cpu->arch.svm;
    if (!svm_nested_paging(cpu)) {
        return;
    }
    if (root->mode == PAGING_PAE) {
        /* The page-directory pointers are read as part of the walk [APM2 "Legacy PAE Mode"]. */
        root->flags |= WALK_PDPT_IN_MEMORY;
        root->table = cpu->arch.cr3 & 0xffffffe0u;
    }
    root->nested.kind = NESTED_NPT;
    root->nested.mode = (enum paging_mode)s->nested_mode;
    root->nested.flags = s->nested_flags;
    root->nested.reserved = cpu_phys_reserved(cpu);
    root->nested.table = s->nested_mode == PAGING_32    ? s->ctl.n_cr3 & 0xfffff000u
                         : s->nested_mode == PAGING_PAE ? s->ctl.n_cr3 & 0xffffffe0u
                                                        : s->ctl.n_cr3 & 0x000ffffffffff000u;
}

bool svm_walks_pdptes(const struct cpu *cpu)
{
    return svm_nested_paging(cpu);
}

static cpu_rc nested_page_fault(struct cpu *cpu, const struct walk_result *res)
{
    u64 info = res->error | (res->nested_on_table ? SVM_NPF_TABLE : SVM_NPF_FINAL);
    return svm_raise_exit(cpu, SVM_EXIT_NPF, info, res->gpa.v, 0, res->why);
}

cpu_rc svm_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res)
{
    UNUSED(lin);
    UNUSED(access);
    return nested_page_fault(cpu, res);
}

cpu_rc svm_translate_gpa(struct cpu *cpu, u64 gpa, bool write, u64 *spa)
{
    struct walk_root root;
    struct walk_result res = {.gpa = GPA(gpa)};
    u64 bytes;
    walk_root_of(cpu, &root);
    if (root.nested.kind == NESTED_NONE) {
        *spa = gpa;
        return CPU_OK;
    }
    if (!nested_translate(cpu->phys, &root.nested, gpa, write ? WALK_WRITE : WALK_READ, &res, spa, &bytes)) {
        return nested_page_fault(cpu, &res);
    }
    return CPU_OK;
}

/* ---- Time ---- */

/* [APM2 "TSC Ratio MSR"]: 8.32 fixed point, then the offset. */
u64 svm_tsc(const struct cpu *cpu, u64 tsc)
{
    const struct svm_arch *s = &cpu->arch.svm;
    if (cpu_has(cpu, CPU_FEATURE_TSC_SCALE) && s->tsc_ratio != TSC_RATIO_ONE) {
        tsc = (u64)(((u128)tsc * s->tsc_ratio) >> 32);
    }
    return tsc + s->ctl.tsc_offset;
}

/* ---- State ---- */

void svm_reset(struct cpu *cpu)
{
    u64 ratio = cpu->arch.svm.tsc_ratio; /* INIT keeps MSRs */
    cpu->arch.svm = (struct svm_arch){.gif = true, .tsc_ratio = ratio != 0 ? ratio : TSC_RATIO_ONE};
}

static void visit_control(struct vmcb_control *c, struct state_io *io)
{
#define VMCB_CONTROL(offset, bytes, name, clean) state_u64(io, "svm.ctl." #name, &c->name);
#include "abi/x86/vmcb_fields.def"
}

void svm_state(struct cpu *cpu, struct state_io *io)
{
    struct svm_arch *s = &cpu->arch.svm;
    state_bool(io, "svm.gif", &s->gif);
    state_u64(io, "svm.tsc_ratio", &s->tsc_ratio);
    state_u64(io, "svm.vmcb", &s->vmcb);
    visit_control(&s->ctl, io);
    state_u64(io, "svm.g_pat", &s->g_pat);
    state_bool(io, "svm.host_if", &s->host_if);
    state_bool(io, "svm.host_nmi_blocked", &s->host_nmi_blocked);
    state_u32(io, "svm.nested_mode", &s->nested_mode);
    state_u32(io, "svm.nested_flags", &s->nested_flags);
    state_bool(io, "svm.delivering", &s->delivering);
    state_bool(io, "svm.injecting", &s->injecting);
    state_u32(io, "svm.int_info", &s->int_info);
    state_u32(io, "svm.int_error", &s->int_error);
    state_u32(io, "svm.pause_count", &s->pause_count);
    state_u64(io, "svm.pause_tsc", &s->pause_tsc);
    state_u64(io, "svm.trap_code", &s->trap_code);
    state_u64(io, "svm.trap_info1", &s->trap_info1);
    state_u64(io, "svm.trap_info2", &s->trap_info2);
}
