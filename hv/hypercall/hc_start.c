/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VPs that a partition starts by itself, and VTL 2 on them. [TLFS "Virtual Processor Management", "Virtual Secure Mode"] */
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "hv/hypercall/hypercall.h"

static struct segment segment_of(const struct hv_segment *s)
{
    return (struct segment){s->base, s->limit, s->selector, s->attributes};
}

static bool is_context_valid(const struct hv_vp_context *x)
{
    return hc_is_register_valid(HV_REG_RFLAGS, x->rflags) && hc_is_register_valid(HV_REG_EFER, x->efer) &&
           hc_is_register_valid(HV_REG_CR0, x->cr0) && hc_is_register_valid(HV_REG_CR4, x->cr4);
}

static void set_context(struct vp *vp, const struct hv_vp_context *x)
{
    vp_modify(vp);
    struct vp_registers *r = &vp->r;
    r->rip = x->rip;
    r->rflags = x->rflags;
    vp->gpr[X86_RSP] = x->rsp;
    r->segment[SEG_CS] = segment_of(&x->cs);
    r->segment[SEG_DS] = segment_of(&x->ds);
    r->segment[SEG_ES] = segment_of(&x->es);
    r->segment[SEG_FS] = segment_of(&x->fs);
    r->segment[SEG_GS] = segment_of(&x->gs);
    r->segment[SEG_SS] = segment_of(&x->ss);
    r->segment[SEG_TR] = segment_of(&x->tr);
    r->segment[SEG_LDTR] = segment_of(&x->ldtr);
    r->idtr.base = x->idtr.base;
    r->idtr.limit = x->idtr.limit;
    r->gdtr.base = x->gdtr.base;
    r->gdtr.limit = x->gdtr.limit;
    r->efer = x->efer;
    r->cr0 = x->cr0;
    r->cr3 = x->cr3;
    r->cr4 = x->cr4;
    r->pat = x->pat;
}

/* A VP of the caller's own partition. */
static u16 find_own(const struct hypercall *c, const struct hv_start_vp_input *in, struct vp **out)
{
    if (in->partition != HV_PARTITION_SELF && in->partition != c->caller->id) {
        return HV_ACCESS_DENIED;
    }
    *out = in->vp < VP_MAX ? c->caller->vp[in->vp] : NULL;
    return *out != NULL ? HV_SUCCESS : HV_INVALID_VP_INDEX;
}

u16 hc_enable_vp_vtl(const struct hypercall *c)
{
    const struct hv_start_vp_input *in = c->input;
    struct vp *vp;
    u16 status = find_own(c, in, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (c->vp->vtl != 2) {
        return HV_ACCESS_DENIED;
    }
    if (in->vtl != 2 || !is_context_valid(&in->context)) {
        return HV_INVALID_PARAMETER;
    }
    if (vp->other->vtl_enabled) {
        return HV_VTL_ALREADY_ENABLED;
    }
    vp->other->vtl_enabled = true;
    set_context(vp->other, &in->context);
    return HV_SUCCESS;
}

/* A VP that waits for SIPI begins with this context in this level instead. */
u16 hc_start_vp(const struct hypercall *c)
{
    const struct hv_start_vp_input *in = c->input;
    struct vp *vp;
    u16 status = find_own(c, in, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (in->vtl > c->vp->vtl) {
        return HV_ACCESS_DENIED;
    }
    if (in->vp == c->vp->index || (in->vtl != 0 && in->vtl != 2) || !is_context_valid(&in->context)) {
        return HV_INVALID_PARAMETER;
    }
    bool upper = in->vtl == 2;
    if ((vp->suspend & VP_SUSPEND_STARTUP) == 0 || !vp->saved ||
        (upper && (!vp->other->vtl_enabled || (vp->other->suspend & VP_SUSPEND_VTL) == 0))) {
        return HV_INVALID_VP_STATE;
    }
    struct vp *level = upper ? vp->other : vp;
    set_context(level, &in->context);
    if (upper) { /* VTL 0 goes on waiting, below */
        vp->suspend |= VP_SUSPEND_VTL;
        level->suspend &= ~(u32)VP_SUSPEND_VTL;
    } else {
        vp->suspend &= ~(u32)VP_SUSPEND_STARTUP;
    }
    vp_wake(level);
    return HV_SUCCESS;
}

/* Local APICs are numbered as VPs are. A VP has VTL 2 only once it is enabled there. */
u16 hc_vp_index(const struct hypercall *c)
{
    const struct hv_apic_id_input *in = c->input;
    u32 id = *(const u32 *)c->element;
    if (in->partition != HV_PARTITION_SELF && in->partition != c->caller->id) {
        return HV_ACCESS_DENIED;
    }
    const struct vp *vp = id < VP_MAX ? c->caller->vp[id] : NULL;
    if (vp == NULL || (in->vtl != 0 && (in->vtl != 2 || vp->other == NULL || !vp->other->vtl_enabled))) {
        return HV_INVALID_PARAMETER;
    }
    *(u32 *)c->output = id;
    return HV_SUCCESS;
}
