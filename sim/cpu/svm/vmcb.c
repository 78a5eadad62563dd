/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VMCB in memory and registers in its layout. [APM2 "Layout of VMCB"]
 *
 * The host save area has the layout of a VMCB's save area: which fields a processor keeps there is its own
 * affair; ours keeps there all that #VMEXIT loads, hidden parts of segment registers included. */
#include "cpu/flags.h"
#include "cpu/svm/svm_priv.h"

void vmcb_read(struct cpu *cpu, u64 spa, struct vmcb *v)
{
    phys_read(cpu->phys, SPA(spa), v->b, sizeof v->b);
}

void vmcb_write(struct cpu *cpu, u64 spa, const struct vmcb *v, unsigned first, unsigned last)
{
    phys_write(cpu->phys, SPA(spa + first), v->b + first, last - first);
}

void vmcb_get_control(const struct vmcb *v, struct vmcb_control *c)
{
#define VMCB_CONTROL(offset, bytes, name, clean) c->name = vmcb_get(v, offset, bytes);
#include "abi/x86/vmcb_fields.def"
}

u64 svm_canonical(const struct cpu *cpu, u64 v)
{
    unsigned shift = 64 - model_linear_bits(cpu->model);
    return (u64)((i64)(v << shift) >> shift);
}

/* Attributes are packed to twelve bits; a register without a segment has P = 0. */
void vmcb_put_segment(struct vmcb *v, unsigned offset, const struct segment *s)
{
    u32 attr = (s->attr & SEG_UNUSABLE) != 0 ? s->attr & ~(u32)SEG_P : s->attr;
    vmcb_set(v, offset, 2, s->sel);
    vmcb_set(v, offset + 2, 2, (attr & 0xff) | ((attr >> 4) & 0xf00));
    vmcb_set(v, offset + 4, 4, s->limit);
    vmcb_set(v, offset + 8, 8, s->base);
}

void vmcb_get_segment(const struct cpu *cpu, const struct vmcb *v, unsigned offset, struct segment *s)
{
    u32 attr = (u32)vmcb_get(v, offset + 2, 2);
    s->sel = (u16)vmcb_get(v, offset, 2);
    s->attr = (attr & 0xff) | ((attr & 0xf00) << 4);
    if ((s->attr & SEG_P) == 0) {
        s->attr |= SEG_UNUSABLE;
    }
    s->limit = (u32)vmcb_get(v, offset + 4, 4);
    s->base = svm_canonical(cpu, vmcb_get(v, offset + 8, 8));
}

void vmcb_put_table(struct vmcb *v, unsigned offset, const struct table_reg *t)
{
    vmcb_set(v, offset + 4, 4, t->limit);
    vmcb_set(v, offset + 8, 8, t->base);
}

void vmcb_get_table(const struct cpu *cpu, const struct vmcb *v, unsigned offset, struct table_reg *t)
{
    t->limit = (u16)vmcb_get(v, offset + 4, 4);
    t->base = svm_canonical(cpu, vmcb_get(v, offset + 8, 8));
}

void vmcb_put_core(const struct cpu *cpu, struct vmcb *v)
{
    const struct cpu_arch *a = &cpu->arch;
    vmcb_put_segment(v, VMCB_es, &a->seg[SEG_ES]);
    vmcb_put_segment(v, VMCB_cs, &a->seg[SEG_CS]);
    vmcb_put_segment(v, VMCB_ss, &a->seg[SEG_SS]);
    vmcb_put_segment(v, VMCB_ds, &a->seg[SEG_DS]);
    vmcb_put_table(v, VMCB_gdtr, &a->gdtr);
    vmcb_put_table(v, VMCB_idtr, &a->idtr);
    vmcb_set(v, VMCB_cpl, 1, cpu->d.cpl);
    vmcb_set(v, VMCB_efer, 8, a->efer);
    vmcb_set(v, VMCB_cr4, 8, a->cr4);
    vmcb_set(v, VMCB_cr3, 8, a->cr3);
    vmcb_set(v, VMCB_cr0, 8, a->cr0);
    vmcb_set(v, VMCB_rflags, 8, cpu_rflags(cpu));
    vmcb_set(v, VMCB_rip, 8, a->rip);
    vmcb_set(v, VMCB_rsp, 8, a->gpr[RSP]);
    vmcb_set(v, VMCB_rax, 8, a->gpr[RAX]);
    vmcb_set(v, VMCB_s_cet, 8, a->s_cet);
    vmcb_set(v, VMCB_ssp, 8, a->ssp);
    vmcb_set(v, VMCB_isst_addr, 8, a->int_ssp_table);
}

void vmcb_put_extra(const struct cpu *cpu, struct vmcb *v)
{
    const struct cpu_arch *a = &cpu->arch;
    vmcb_put_segment(v, VMCB_fs, &a->seg[SEG_FS]);
    vmcb_put_segment(v, VMCB_gs, &a->seg[SEG_GS]);
    vmcb_put_segment(v, VMCB_ldtr, &a->ldtr);
    vmcb_put_segment(v, VMCB_tr, &a->tr);
    vmcb_set(v, VMCB_star, 8, a->star);
    vmcb_set(v, VMCB_lstar, 8, a->lstar);
    vmcb_set(v, VMCB_cstar, 8, a->cstar);
    vmcb_set(v, VMCB_sfmask, 8, a->sfmask);
    vmcb_set(v, VMCB_kernel_gs_base, 8, a->kernel_gs_base);
    vmcb_set(v, VMCB_sysenter_cs, 8, a->sysenter_cs);
    vmcb_set(v, VMCB_sysenter_esp, 8, a->sysenter_esp);
    vmcb_set(v, VMCB_sysenter_eip, 8, a->sysenter_eip);
}

void vmcb_get_extra(struct cpu *cpu, const struct vmcb *v)
{
    struct cpu_arch *a = &cpu->arch;
    vmcb_get_segment(cpu, v, VMCB_fs, &a->seg[SEG_FS]);
    vmcb_get_segment(cpu, v, VMCB_gs, &a->seg[SEG_GS]);
    vmcb_get_segment(cpu, v, VMCB_ldtr, &a->ldtr);
    vmcb_get_segment(cpu, v, VMCB_tr, &a->tr);
    a->star = vmcb_get(v, VMCB_star, 8);
    a->lstar = svm_canonical(cpu, vmcb_get(v, VMCB_lstar, 8));
    a->cstar = svm_canonical(cpu, vmcb_get(v, VMCB_cstar, 8));
    a->sfmask = (u32)vmcb_get(v, VMCB_sfmask, 8);
    a->kernel_gs_base = svm_canonical(cpu, vmcb_get(v, VMCB_kernel_gs_base, 8));
    a->sysenter_cs = (u32)vmcb_get(v, VMCB_sysenter_cs, 8);
    a->sysenter_esp = vmcb_get(v, VMCB_sysenter_esp, 8);
    a->sysenter_eip = vmcb_get(v, VMCB_sysenter_eip, 8);
    cpu_update_mode(cpu);
}
