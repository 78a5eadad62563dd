/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VPs, their registers, intercepts and interrupts; flushes and IPIs that a partition asks for itself. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "abi/x86/msr.h"
#include "hv/core/apic.h"
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"
#include "hv/vcpu/vtl.h"

u16 hc_create_vp(const struct hypercall *c)
{
    const struct hv_create_vp_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (in->vp >= VP_MAX || p->vp[in->vp] != NULL) {
        return HV_INVALID_VP_INDEX;
    }
    if (in->flags != 0) {
        return HV_INVALID_PARAMETER;
    }
    /* Each processor is a domain of its own: so a VP can be pinned. */
    struct cpu *cpu = &cpus[in->vp % cpu_count];
    if ((in->proximity & HV_PROXIMITY_VALID) != 0 && (u32)in->proximity < cpu_count) {
        cpu = &cpus[(u32)in->proximity];
    } else if ((in->proximity & HV_PROXIMITY_VALID) != 0 && (in->proximity & HV_PROXIMITY_PREFERRED) == 0) {
        return HV_INVALID_PROXIMITY_DOMAIN;
    }
    return vp_create(p, in->vp, cpu) != NULL ? HV_SUCCESS : HV_INSUFFICIENT_MEMORY;
}

u16 hc_delete_vp(const struct hypercall *c)
{
    const struct hv_vp_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (in->vp >= VP_MAX || p->vp[in->vp] == NULL) {
        return HV_INVALID_VP_INDEX;
    }
    vp_destroy(p->vp[in->vp]);
    p->vp[in->vp] = NULL;
    return HV_SUCCESS;
}

/* Names that are one u64 of struct vp_registers. */
struct plain_register {
    u32 name;
    u32 offset;
};

#define PLAIN(name, field) {name, offsetof(struct vp_registers, field)}
static const struct plain_register plain_registers[] = {
    PLAIN(HV_REG_RIP, rip),
    PLAIN(HV_REG_RFLAGS, rflags),
    PLAIN(HV_REG_CR0, cr0),
    PLAIN(HV_REG_CR2, cr2),
    PLAIN(HV_REG_CR3, cr3),
    PLAIN(HV_REG_CR4, cr4),
    PLAIN(HV_REG_XFEM, xcr0),
    PLAIN(HV_REG_DR7, dr7),
    PLAIN(HV_REG_EFER, efer),
    PLAIN(HV_REG_KERNEL_GS_BASE, kernel_gs_base),
    PLAIN(HV_REG_PAT, pat),
    PLAIN(HV_REG_SYSENTER_CS, sysenter_cs),
    PLAIN(HV_REG_SYSENTER_EIP, sysenter_eip),
    PLAIN(HV_REG_SYSENTER_ESP, sysenter_esp),
    PLAIN(HV_REG_STAR, star),
    PLAIN(HV_REG_LSTAR, lstar),
    PLAIN(HV_REG_CSTAR, cstar),
    PLAIN(HV_REG_SFMASK, sfmask),
};

/* Where a register lies; NULL when it is not a plain one. */
static u64 *plain(struct vp *vp, u32 name)
{
    if (name >= HV_REG_RAX && name <= HV_REG_R15) {
        return &vp->gpr[name - HV_REG_RAX];
    }
    for (unsigned i = 0; i < ARRAY_LEN(plain_registers); i++) {
        if (plain_registers[i].name == name) {
            return (u64 *)(void *)((u8 *)&vp->r + plain_registers[i].offset);
        }
    }
    return NULL;
}

static struct segment *segment(struct vp *vp, u32 name)
{
    return name >= HV_REG_ES && name <= HV_REG_TR ? &vp->r.segment[name - HV_REG_ES] : NULL;
}

static struct segment *table(struct vp *vp, u32 name)
{
    return name == HV_REG_IDTR ? &vp->r.idtr : (name == HV_REG_GDTR ? &vp->r.gdtr : NULL);
}

/* The synthetic MSR that a name means, 0 none. */
static u32 synthetic_of(u32 name)
{
    if (name >= HV_REG_SINT0 && name < HV_REG_SINT0 + HV_SINTS) {
        return HV_MSR_SINT0 + (name - HV_REG_SINT0);
    }
    if (name >= HV_REG_SCONTROL && name <= HV_REG_EOM) {
        return HV_MSR_SCONTROL + (name - HV_REG_SCONTROL);
    }
    return name >= HV_REG_STIMER0_CONFIG && name <= HV_REG_STIMER3_COUNT ? HV_MSR_STIMER0_CONFIG + (name - HV_REG_STIMER0_CONFIG) : 0;
}

u16 hc_get_registers(const struct hypercall *c)
{
    const struct hv_vp_input *in = c->input;
    u32 name = *(const u32 *)c->element;
    union hv_register_value *out = c->output;
    struct vp *vp;
    u16 status = hc_find_vp(c, in->partition, in->vp, in->vtl, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    const u64 *p = plain(vp, name);
    const struct segment *s = segment(vp, name);
    const struct segment *t = table(vp, name);
    if (p != NULL) {
        out->low = *p;
    } else if (s != NULL) {
        out->segment = (struct hv_segment){s->base, s->limit, s->selector, s->attributes};
    } else if (t != NULL) {
        out->table.base = t->base;
        out->table.limit = (u16)t->limit;
    } else if (name == HV_REG_EXPLICIT_SUSPEND) {
        out->low = (vp->suspend & VP_SUSPEND_EXPLICIT) != 0;
    } else if (name == HV_REG_INTERCEPT_SUSPEND) {
        out->low = (vp->suspend & VP_SUSPEND_INTERCEPT) != 0;
    } else if (name == HV_REG_INTERNAL_ACTIVITY) {
        out->low = ((vp->suspend & VP_SUSPEND_STARTUP) != 0 ? 1 : 0) | ((vp->suspend & VP_SUSPEND_HALT) != 0 ? 2 : 0);
    } else if (name == HV_REG_CR8) {
        out->low = vp->lapic.tpr >> 4;
    } else if (c->vp->vtl == 2 && vtl_get_register(vp, name, &out->low)) {
        return HV_SUCCESS;
    } else if (name == HV_REG_VP_INDEX) {
        out->low = vp->index;
    } else if (synthetic_of(name) == 0 || !synic_read(vp, synthetic_of(name), &out->low)) {
        return HV_INVALID_PARAMETER;
    }
    return HV_SUCCESS;
}

static void set_suspend(struct vp *vp, u32 bit, bool on)
{
    vp->suspend = on ? vp->suspend | bit : vp->suspend & ~bit;
    if (bit == VP_SUSPEND_EXPLICIT && vp->other != NULL) {
        vp->other->suspend = on ? vp->other->suspend | bit : vp->other->suspend & ~bit;
    }
    if (!on) {
        cpu_kick(vp->cpu);
    }
}

/* Bits that no guest may have, lest the processor refuse the state or hv be touched. */
bool hc_is_register_valid(u32 name, u64 value)
{
    switch (name) {
    case HV_REG_CR0:
        return value >> 32 == 0 && ((value & CR0_PG) == 0 || (value & CR0_PE) != 0);
    case HV_REG_CR4:
        return (value & (CR4_VMXE | CR4_SMXE | CR4_LA57)) == 0 && value >> 32 == 0;
    case HV_REG_EFER:
        return (value & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) == 0;
    case HV_REG_XFEM:
        return (value & ~fpu_xcr0_allowed()) == 0 && (value & 1) != 0;
    case HV_REG_RFLAGS:
        return value >> 22 == 0 && (value & RFLAGS_ONE) != 0;
    default:
        return true;
    }
}

u16 hc_set_registers(const struct hypercall *c)
{
    const struct hv_vp_input *in = c->input;
    const struct hv_set_register *e = c->element;
    struct vp *vp;
    u16 status = hc_find_vp(c, in->partition, in->vp, in->vtl, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    u64 *p = plain(vp, e->name);
    struct segment *s = segment(vp, e->name);
    struct segment *t = table(vp, e->name);
    vp_modify(vp);
    if (p != NULL && hc_is_register_valid(e->name, e->value.low)) {
        *p = e->value.low;
    } else if (s != NULL) {
        *s = (struct segment){e->value.segment.base, e->value.segment.limit, e->value.segment.selector,
                              e->value.segment.attributes};
    } else if (t != NULL) {
        t->base = e->value.table.base;
        t->limit = e->value.table.limit;
    } else if (e->name == HV_REG_EXPLICIT_SUSPEND) {
        set_suspend(vp, VP_SUSPEND_EXPLICIT, (e->value.low & 1) != 0);
    } else if (e->name == HV_REG_INTERCEPT_SUSPEND && (e->value.low & 1) == 0) {
        vp->shadow = false;
        set_suspend(vp, VP_SUSPEND_INTERCEPT, false);
    } else if (e->name == HV_REG_INTERNAL_ACTIVITY && (e->value.low & ~3ull) == 0) {
        set_suspend(vp, VP_SUSPEND_STARTUP, (e->value.low & 1) != 0);
        set_suspend(vp, VP_SUSPEND_HALT, (e->value.low & 2) != 0 && !vp_has_event(vp));
    } else if (e->name == HV_REG_PENDING_EVENT0) {
        u64 v = e->value.low;
        if ((v & 0xf) != 1) {
            return HV_INVALID_PARAMETER; /* exceptions only */
        }
        if ((u8)(v >> 16) == 14) {
            vp->r.cr2 = e->value.words[1];
        }
        vp_inject_exception(vp, (u8)(v >> 16), (v & 0x100) != 0, (u32)(v >> 32));
    } else if (c->vp->vtl == 2 && e->name == HV_REG_VSM_PARTITION_CONFIG) {
        return vtl_configure(vp->partition, e->value.low);
    } else if (synthetic_of(e->name) == 0 || !synic_write(vp, synthetic_of(e->name), e->value.low)) {
        return HV_INVALID_PARAMETER;
    }
    return HV_SUCCESS;
}

u16 hc_install_intercept(const struct hypercall *c)
{
    const struct hv_intercept_input *in = c->input;
    struct partition *p;
    if (c->vp->vtl == 2) {
        return vtl_install_intercept(c->caller, in->type, in->access);
    }
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    const u32 both = HV_INTERCEPT_READ | HV_INTERCEPT_WRITE;
    u8 access = (u8)in->access;
    if (in->type == HV_INTERCEPT_IO && (in->access == both || in->access == 0)) {
        p->intercept_io = access; /* of all ports: hv knows none of its own */
    } else if (in->type == HV_INTERCEPT_MSR && (in->access == both || in->access == 0)) {
        p->intercept_msr = access;
    } else if (in->type == HV_INTERCEPT_CPUID && (in->access == HV_INTERCEPT_EXECUTE || in->access == 0)) {
        p->intercept_cpuid = access;
    } else if (in->type == HV_INTERCEPT_HYPERCALL && (in->access == HV_INTERCEPT_EXECUTE || in->access == 0)) {
        p->intercept_hypercall = access;
    } else if (in->type == HV_INTERCEPT_EXCEPTION && (in->access == HV_INTERCEPT_EXECUTE || in->access == 0) &&
               in->parameter < 32 && in->parameter != 2) {
        u32 bit = 1u << in->parameter; /* seen at the next entry of each VP */
        p->intercept_exceptions = access != 0 ? p->intercept_exceptions | bit : p->intercept_exceptions & ~bit;
    } else {
        return HV_INVALID_PARAMETER;
    }
    return HV_SUCCESS;
}

static u16 assert_interrupt(const struct hypercall *c, const struct hv_assert_input *in)
{
    struct partition *p = c->caller;
    bool own = c->vp->vtl == 2 && in->partition == HV_PARTITION_SELF && in->vtl == 0; /* VTL 2 interrupts its guest */
    u16 status = own ? (u16)HV_SUCCESS : hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    u32 type = (u32)in->control;
    if (type > LAPIC_EXTINT || type == LAPIC_REMOTE_READ || in->vector > 0xff ||
        (type <= LAPIC_LOWEST && in->vector < 16)) {
        return HV_INVALID_PARAMETER;
    }
    if (in->destination >= VP_MAX || p->vp[in->destination] == NULL) {
        return HV_INVALID_VP_INDEX;
    }
    if (own && type <= LAPIC_LOWEST && !lapic_is_enabled(p->vp[in->destination])) {
        return HV_INVALID_VP_STATE; /* it would be lost */
    }
    if (type == LAPIC_EXTINT && p->vp[in->destination]->lapic.extint_taken) {
        return HV_STATUS_ACKNOWLEDGED; /* the last one has to be cleared first */
    }
    lapic_deliver(p->vp[in->destination], (enum lapic_delivery)type, (u8)in->vector);
    return HV_SUCCESS;
}

u16 hc_assert_interrupt(const struct hypercall *c) { return assert_interrupt(c, c->input); }

u16 hc_assert_interrupt_v2(const struct hypercall *c)
{
    struct hv_assert_input in = *(const struct hv_assert_input *)c->input;
    in.vtl = 0; /* padding there */
    return assert_interrupt(c, &in);
}

u16 hc_clear_interrupt(const struct hypercall *c)
{
    const struct hv_partition_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (p->vp[0] == NULL || !p->vp[0]->lapic.extint_taken) {
        return HV_STATUS_NOT_ACKNOWLEDGED;
    }
    p->vp[0]->lapic.extint_taken = false;
    return HV_SUCCESS;
}

u16 hc_notify_spin(const struct hypercall *c)
{
    c->vp->cpu->slice_over = true; /* others first */
    return HV_SUCCESS;
}

/* Those of the set that a partition may have; the others it does not have. */
static u16 vps_of(const struct hypercall *c, const struct hv_vp_set *set, u64 *vps)
{
    u32 banks = 0;
    for (u64 left = set->valid; left != 0; left &= left - 1) {
        banks++;
    }
    if (set->format == HV_VP_SET_ALL) {
        *vps = ~0ull;
        return HV_SUCCESS;
    }
    if (set->format != HV_VP_SET_SPARSE) {
        return HV_INVALID_PARAMETER;
    }
    *vps = (set->valid & 1) != 0 && c->banks != 0 ? c->bank[0] : 0;
    return banks == c->banks ? HV_SUCCESS : HV_INVALID_HYPERCALL_INPUT;
}

static u16 send_ipi(const struct hypercall *c, u32 vector, u8 level, u64 vps)
{
    u8 vtl = (level & HV_INPUT_VTL_USE) != 0 ? level & 0xf : c->vp->vtl;
    if (vector < 16 || vector > 0xff || (level != 0 && (level & HV_INPUT_VTL_USE) == 0) || (vtl != 0 && vtl != 2)) {
        return HV_INVALID_PARAMETER;
    }
    if (vtl > c->vp->vtl) {
        return HV_ACCESS_DENIED;
    }
    for (u32 i = 0; i < VP_MAX; i++) {
        struct vp *vp = (vps & BIT(i)) != 0 ? c->caller->vp[i] : NULL;
        if (vp != NULL) {
            lapic_deliver(vtl != 0 ? vp->other : vp, LAPIC_FIXED, (u8)vector);
        }
    }
    return HV_SUCCESS;
}

u16 hc_send_ipi(const struct hypercall *c)
{
    const struct hv_ipi_input *in = c->input;
    return send_ipi(c, in->vector, in->vtl, in->vps);
}

u16 hc_send_ipi_set(const struct hypercall *c)
{
    const struct hv_ipi_set_input *in = c->input;
    u64 vps;
    u16 status = vps_of(c, &in->set, &vps);
    return status == HV_SUCCESS ? send_ipi(c, in->vector, in->vtl, vps) : status;
}

/* Everything of the partition is flushed: more than asked for, which is allowed. */
static u16 flush(const struct hypercall *c, u64 flags, u64 vps)
{
    if ((flags & ~HV_FLUSH_KNOWN) != 0) {
        return HV_INVALID_PARAMETER;
    }
    if ((flags & HV_FLUSH_ALL_VPS) != 0 || vps != 0) {
        c->caller->slat_stale = true; /* the dispatcher calls slat_flush */
    }
    return HV_SUCCESS;
}

u16 hc_flush_space(const struct hypercall *c)
{
    const struct hv_flush_input *in = c->input;
    return flush(c, in->flags, in->vps);
}

u16 hc_flush_set(const struct hypercall *c)
{
    const struct hv_flush_set_input *in = c->input;
    u64 vps;
    u16 status = vps_of(c, &in->set, &vps);
    return status == HV_SUCCESS ? flush(c, in->flags, vps) : status;
}

/* CR3, and what it maps is looked up anew. */
u16 hc_switch_space(const struct hypercall *c)
{
    const u64 *space = c->input;
    if (*space >> 52 != 0) {
        return HV_INVALID_PARAMETER;
    }
    vp_modify(c->vp);
    c->vp->r.cr3 = *space;
    c->caller->slat_stale = true;
    return HV_SUCCESS;
}
