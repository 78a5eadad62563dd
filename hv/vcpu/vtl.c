/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hv/vcpu/vtl.h"

#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/intercept.h"

#define CALL_OFFSET 16u
#define RETURN_OFFSET 32u

/* mov rax, rcx; mov ecx, code; VMCALL or VMMCALL; ret */
static void put_stub(u8 *at, u8 code)
{
    static const u8 start[8] = {0x48, 0x89, 0xc8, 0xb9, 0, 0, 0, 0};
    memcpy(at, start, sizeof start);
    at[4] = code;
    memcpy(at + sizeof start, arch->hypercall_code, sizeof arch->hypercall_code);
}

void vtl_fill_hypercall_page(u8 *page)
{
    put_stub(page + CALL_OFFSET, HV_CALL_VTL_CALL);
    put_stub(page + RETURN_OFFSET, HV_CALL_VTL_RETURN);
}

u64 *vtl_slat(const struct vp *vp)
{
    struct partition *p = vp->partition;
    return vp->vtl == 0 && p->slat_low != NULL ? p->slat_low : p->slat;
}

static u8 *assist_page(const struct vp *vp) { return vp->assist.on ? vp->assist.page : NULL; }

/* Shared between levels: general registers but RSP, CR2, debug registers but DR7, XCR0; the FPU's page is the same. */
static void make_active(struct vp *from, struct vp *to)
{
    vp_fetch(from);
    if (from->cpu->last_vp == from) {
        debug_save(from);
    }
    u64 rsp = to->gpr[X86_RSP];
    memcpy(to->gpr, from->gpr, sizeof to->gpr);
    to->gpr[X86_RSP] = rsp;
    vp_modify(to);
    to->r.cr2 = from->r.cr2;
    memcpy(to->r.dr, from->r.dr, sizeof to->r.dr);
    to->r.dr6 = from->r.dr6;
    to->r.xcr0 = from->r.xcr0;
    from->suspend |= VP_SUSPEND_VTL;
    to->suspend &= ~(u32)VP_SUSPEND_VTL;
}

static void enter(struct vp *lower, u32 reason)
{
    struct vp *upper = lower->other;
    u8 *page = assist_page(upper);
    make_active(lower, upper);
    upper->suspend &= ~(u32)VP_SUSPEND_HALT;
    if (page != NULL) {
        memcpy(page + HV_ASSIST_ENTRY_REASON, &reason, sizeof reason);
        memcpy(page + HV_ASSIST_RETURN_RAX, &lower->gpr[X86_RAX], 8);
        memcpy(page + HV_ASSIST_RETURN_RCX, &lower->gpr[X86_RCX], 8);
    }
}

bool vtl_takes(const struct vp *vp, u32 type)
{
    const struct partition *p = vp->partition;
    if (vp->vtl != 0 || vp->other == NULL) {
        return false;
    }
    switch (type) {
    case HV_MESSAGE_IO_PORT:
        return p->vtl2_io;
    case HV_MESSAGE_MSR:
        return p->vtl2_msr;
    case HV_MESSAGE_HYPERCALL:
        return p->vtl2_hypercall;
    case HV_MESSAGE_CPUID:
        return (p->vsm_config & HV_VSM_CONFIG_CPUID) != 0;
    case HV_MESSAGE_GPA_INTERCEPT:
        return (p->vsm_config & HV_VSM_CONFIG_PROTECTION) != 0;
    case HV_MESSAGE_UNMAPPED_GPA:
        return (p->vsm_config & HV_VSM_CONFIG_UNMAPPED_GPA) != 0;
    default:
        return false;
    }
}

void vtl_intercept(struct vp *vp, u32 type, const void *payload, u8 size)
{
    struct hv_message m = {.type = type, .size = size, .sender = vp->partition->id};
    u8 *page = assist_page(vp->other);
    memcpy(m.payload, payload, size);
    if (page != NULL) {
        memcpy(page + HV_ASSIST_MESSAGE, &m, sizeof m);
    }
    enter(vp, HV_VTL_ENTRY_INTERCEPT);
}

/* A guest without privileges has no hypercalls of its own: every one is VTL 2's, at any privilege level of the processor. */
bool vtl_intercept_hypercall(struct vp *vp, const struct hv_exit *exit)
{
    if (!vtl_takes(vp, HV_MESSAGE_HYPERCALL)) {
        return false;
    }
    intercept_hypercall(vp, exit);
    return true;
}

bool vtl_return(struct vp *vp, const struct hv_exit *exit)
{
    if (vp->vtl != 2 || vp->gpr[X86_RCX] != HV_CALL_VTL_RETURN) {
        return false;
    }
    bool user = (vp->r.segment[SEG_SS].attributes & SEG_DPL) != 0;
    u64 input = vp->gpr[X86_RAX];
    const u8 *page = assist_page(vp);
    if (user || input > 1 || (input == 0 && page == NULL)) {
        vp_inject_exception(vp, 6, false, 0);
        return true;
    }
    vp_advance(vp, exit->length);
    make_active(vp, vp->other);
    if (input == 0) {
        memcpy(&vp->other->gpr[X86_RAX], page + HV_ASSIST_RETURN_RAX, 8);
        memcpy(&vp->other->gpr[X86_RCX], page + HV_ASSIST_RETURN_RCX, 8);
    }
    return true;
}

void vtl_poll(struct cpu *c)
{
    for (struct vp *vp = c->first_vp; vp != NULL; vp = vp->next_here) {
        /* While the parent answers an intercept of VTL 0, general registers are its to write. */
        bool waits = vp->vtl == 2 && (vp->suspend & VP_SUSPEND_VTL) != 0 && lapic_pending(vp) >= 0 &&
                     (vp->other->suspend & (VP_SUSPEND_INTERCEPT | VP_SUSPEND_EXPLICIT)) == 0;
        if (waits) {
            enter(vp->other, HV_VTL_ENTRY_INTERRUPT);
        }
    }
}

bool vtl_get_register(const struct vp *vp, u32 name, u64 *value)
{
    switch (name) {
    case HV_REG_VSM_CODE_PAGE_OFFSETS:
        *value = CALL_OFFSET | RETURN_OFFSET << 12;
        return true;
    case HV_REG_VSM_VP_STATUS:
        *value = 2 | 5u << 16;
        return true;
    case HV_REG_VSM_CAPABILITIES:
        *value = 1u << 27 | 1u << 30; /* intercept page, unmapped addresses */
        return true;
    case HV_REG_VSM_PARTITION_CONFIG:
        *value = vp->partition->vsm_config;
        return true;
    default:
        return false;
    }
}

u16 vtl_configure(struct partition *p, u64 value)
{
    if ((value & ~(u64)HV_VSM_CONFIG_KNOWN) != 0) {
        return HV_INVALID_REGISTER_VALUE;
    }
    p->vsm_config = value | (p->vsm_config & HV_VSM_CONFIG_PROTECTION);
    return HV_SUCCESS;
}

u16 vtl_install_intercept(struct partition *p, u32 type, u32 access)
{
    const u32 both = HV_INTERCEPT_READ | HV_INTERCEPT_WRITE;
    if (type == HV_INTERCEPT_IO && (access == both || access == 0)) {
        p->vtl2_io = access != 0;
    } else if (type == HV_INTERCEPT_MSR && (access == both || access == 0)) {
        p->vtl2_msr = access != 0;
    } else if (type == HV_INTERCEPT_HYPERCALL && (access == HV_INTERCEPT_EXECUTE || access == 0)) {
        p->vtl2_hypercall = access != 0;
    } else {
        return HV_INVALID_PARAMETER;
    }
    return HV_SUCCESS;
}

/* The level named is the one that imposes the mask, on those below it. */
u16 hc_protect(const struct hypercall *c)
{
    const struct hv_protection_input *in = c->input;
    struct partition *p = c->caller;
    if (c->vp->vtl != 2 || in->partition != HV_PARTITION_SELF || (p->vsm_config & HV_VSM_CONFIG_PROTECTION) == 0) {
        return HV_ACCESS_DENIED;
    }
    if ((in->vtl != 0 && in->vtl != (HV_INPUT_VTL_USE | 2)) || (in->flags & ~HV_MAP_ALL) != 0) {
        return HV_INVALID_PARAMETER;
    }
    enum slat_rights rights = (enum slat_rights)((in->flags & 3) | ((in->flags & HV_MAP_EXECUTE) != 0 ? SLAT_X : 0));
    if (rights != 0 && lend_is_open(p, *(const u64 *)c->element)) {
        return HV_OPERATION_DENIED; /* the parent uses it for VTL 2 */
    }
    return slat_protect_low(p, *(const u64 *)c->element, rights) ? HV_SUCCESS : HV_INVALID_PARAMETER;
}
