/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vCPUs: coming up and going down, their shared page, waiting. [Xen public/vcpu.h, hvm/hvm_vcpu.h, sched.h]
 * What a level has for itself only its own VP can set: others leave word and kick. */
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/adapter/adapter.h"

#define TYPE_NMI 4u
#define ACTIVITY_STARTUP 1u
#define ACTIVITY_HALT 2u
#define CONTEXT_32 0u
#define CONTEXT_64 1u

/* vcpu_hvm_context, mode 1: indexes of 8 bytes. */
enum { HC_MODE, HC_RAX, HC_RCX, HC_RDX, HC_RBX, HC_RSP, HC_RBP, HC_RSI, HC_RDI, HC_RIP, HC_RFLAGS, HC_CR0, HC_CR3, HC_CR4,
       HC_EFER, HC_COUNT };

/* Mode 0. Attributes: type to P in 7:0, AVL, L, D, G in 11:8. */
struct narrow_context {
    u32 mode, zero;
    u32 gpr[8], eip, eflags, cr0, cr3, cr4, zero1;
    u64 efer;
    u32 base[5], limit[5]; /* CS, DS, SS, ES, TR */
    u16 attributes[5], zero2[3];
};
union context {
    u64 words[16];
    struct narrow_context narrow;
};
_Static_assert(sizeof(union context) == 128, "vcpu_hvm_context");

#define CONTEXT_P 0x80u
#define CONTEXT_CODE 8u
#define CONTEXT_WRITE 2u

/* [Xen arch/x86/hvm/domain.c] */
static bool is_sane(const struct narrow_context *c)
{
    u16 cs = c->attributes[0], ss = c->attributes[2], tr = c->attributes[4];
    bool code = (cs & CONTEXT_P) != 0 && (cs & SEG_S) != 0 && (cs & CONTEXT_CODE) != 0;
    bool stack = (ss & CONTEXT_P) == 0 || (ss & (CONTEXT_CODE | CONTEXT_WRITE)) == CONTEXT_WRITE;
    bool task = (tr & CONTEXT_P) != 0 && (tr & SEG_S) == 0 && (tr & 0xf) >= 9;
    return c->zero == 0 && c->zero1 == 0 && (c->zero2[0] | c->zero2[1] | c->zero2[2]) == 0 && code && stack && task &&
           c->eip <= c->limit[0] && (c->efer & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) == 0;
}

i64 xen_vcpu_is_up(u64 a, u64 b)
{
    const struct vp *vp = vcpu_of(a);
    (void)b;
    return vp == NULL ? -XEN_ENOENT : (vp->online ? 1 : 0);
}

i64 xen_vcpu_initialise(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (vp->online) {
        return -XEN_EEXIST;
    }
    union context x;
    if (!guest_get(b, &x, sizeof x)) {
        return -XEN_EFAULT;
    }
    bool wide = x.words[HC_MODE] == CONTEXT_64 && (x.words[HC_EFER] & EFER_LMA) != 0;
    if (!wide && (x.words[HC_MODE] != CONTEXT_32 || !is_sane(&x.narrow))) {
        return -XEN_EINVAL;
    }
    memcpy(vp->context, &x, sizeof x);
    vp->initialised = true;
    return 0;
}

i64 xen_vcpu_up(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    (void)b;
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (vp->online) {
        return 0;
    }
    vp->wants_up = true;
    return hv_kick(vp->index) == HV_SUCCESS ? 0 : -XEN_EINVAL;
}

i64 xen_vcpu_down(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    (void)b;
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    vp->online = false;
    if (vp == self()) {
        (void)hv_set(HV_REG_INTERNAL_ACTIVITY, ACTIVITY_STARTUP);
    } else {
        vp->wants_down = true;
        (void)hv_kick(vp->index);
    }
    return 0;
}

static void take_narrow_context(struct vp *vp, const struct narrow_context *c)
{
    static const u32 names[5] = {HV_REG_CS, HV_REG_DS, HV_REG_SS, HV_REG_ES, HV_REG_TR};
    memset(vp->gpr, 0, sizeof vp->gpr);
    for (u32 i = 0; i < ARRAY_LEN(c->gpr); i++) {
        vp->gpr[i] = c->gpr[i];
    }
    (void)hv_set(HV_REG_RSP, c->gpr[GPR_SP]);
    (void)hv_set(HV_REG_RIP, c->eip);
    (void)hv_set(HV_REG_RFLAGS, (c->eflags & 0x3fffff) | RFLAGS_ONE);
    (void)hv_set(HV_REG_EFER, c->efer);
    (void)hv_set(HV_REG_CR3, c->cr3);
    (void)hv_set(HV_REG_CR4, c->cr4);
    (void)hv_set(HV_REG_CR0, c->cr0);
    for (u32 i = 0; i < ARRAY_LEN(names); i++) {
        u16 a = (u16)(c->attributes[i] | ((c->attributes[i] & CONTEXT_P) != 0 ? (names[i] == HV_REG_TR ? 2u : 1u) : 0u));
        const struct hv_segment s = {c->base[i], c->limit[i], 0, (u16)((a & 0xff) | (a & 0xf00) << 4)};
        (void)hv_set_segment(names[i], s);
    }
}

/* Flat segments are implied. */
static void take_wide_context(struct vp *vp)
{
    const u64 *x = vp->context;
    const struct hv_segment code = {0, 0xffffffff, 0, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0, 0xc093};
    static const u8 order[8] = {HC_RAX, HC_RCX, HC_RDX, HC_RBX, HC_RSP, HC_RBP, HC_RSI, HC_RDI};
    memset(vp->gpr, 0, sizeof vp->gpr);
    for (u32 i = 0; i < ARRAY_LEN(order); i++) {
        vp->gpr[i] = x[order[i]];
    }
    (void)hv_set(HV_REG_RSP, x[HC_RSP]);
    (void)hv_set(HV_REG_RIP, x[HC_RIP]);
    (void)hv_set(HV_REG_RFLAGS, (x[HC_RFLAGS] & 0x3fffff) | RFLAGS_ONE);
    (void)hv_set(HV_REG_EFER, x[HC_EFER]);
    (void)hv_set(HV_REG_CR3, x[HC_CR3]);
    (void)hv_set(HV_REG_CR4, x[HC_CR4]);
    (void)hv_set(HV_REG_CR0, x[HC_CR0]);
    (void)hv_set_segment(HV_REG_CS, code);
    for (u32 name = HV_REG_ES; name < HV_REG_ES + 6; name++) {
        if (name != HV_REG_CS) {
            (void)hv_set_segment(name, data);
        }
    }
}

static void take_context(struct vp *vp)
{
    union context x;
    memcpy(&x, vp->context, sizeof x);
    if (x.words[HC_MODE] == CONTEXT_64) {
        take_wide_context(vp);
    } else {
        take_narrow_context(vp, &x.narrow);
    }
    vp->initialised = false;
}

void vcpu_wanted(void)
{
    struct vp *vp = self();
    if (vp->wants_timer) {
        hv_timer(vp->timer_at);
        vp->wants_timer = false;
    }
    if (vp->wants_down) {
        (void)hv_set(HV_REG_INTERNAL_ACTIVITY, ACTIVITY_STARTUP);
        vp->wants_down = false;
    }
    if (vp->wants_up) {
        vp->wants_up = false;
        vp->online = true;
        if (vp->initialised) {
            take_context(vp);
        }
        (void)hv_set(HV_REG_INTERNAL_ACTIVITY, 0);
    }
}

i64 xen_register_vcpu_info(u64 a, u64 b)
{
    struct {
        u64 gfn;
        u32 offset, padding;
    } in;
    struct vp *vp = vcpu_of(a);
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (!guest_get(b, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    u8 *frame = guest_frame(in.gfn);
    if (vp->info_registered) {
        return -XEN_EBUSY;
    }
    if (frame == NULL || in.offset > PAGE_SIZE - 64 || (in.offset & 7) != 0 || (vp->online && vp != self())) {
        return -XEN_EINVAL;
    }
    memcpy(frame + in.offset, vp->info, 64);
    vp->info = frame + in.offset;
    vp->info_registered = true;
    time_write(vp);
    /* Nothing that was raised meanwhile is lost: look at every word. [Xen common/domain.c] */
    if (domain_is_narrow) {
        *(u32 *)(void *)(vp->info + 4) = ~0u;
    } else {
        *(u64 *)(void *)(vp->info + 8) = ~0ull;
    }
    vp->info[0] = 1;
    event_interrupt(vp);
    return 0;
}

i64 xen_send_nmi(u64 a, u64 b)
{
    (void)b;
    return vcpu_of(a) != NULL && hv_interrupt((u32)a, TYPE_NMI, 2) == HV_SUCCESS ? 0 : -XEN_ENOENT;
}

i64 xen_get_physid(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return -XEN_EPERM;
}

/* sched_op */
i64 xen_yield(u64 a, u64 b)
{
    (void)a;
    (void)b;
    unlock();
    hv_yield();
    lock();
    return 0;
}

/* VTL 0 halts with interrupts on, unless something waits; an interrupt that comes in between ends the halt. */
i64 xen_block(u64 a, u64 b)
{
    struct vp *vp = self();
    u64 flags;
    (void)a;
    (void)b;
    vp->info[1] = 0;
    if (event_any(vp) || hv_get(HV_REG_RFLAGS, &flags) != HV_SUCCESS) {
        return 0;
    }
    (void)hv_set(HV_REG_RFLAGS, flags | RFLAGS_IF);
    (void)hv_set(HV_REG_INTERNAL_ACTIVITY, ACTIVITY_HALT);
    return 0;
}

/* Returns when one of the ports is pending, or for no reason, as it may: others have had the processor then. */
i64 xen_poll(u64 a, u64 b)
{
    struct {
        u64 ports;
        u32 count, padding;
        u64 timeout;
    } in;
    u32 narrow[2];
    (void)b;
    if (call_is_narrow ? !guest_get(a, narrow, sizeof narrow) : !guest_get(a, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    if (call_is_narrow) {
        in.ports = narrow[0];
        in.count = narrow[1];
    }
    if (in.count > 128) {
        return -XEN_EINVAL;
    }
    for (u32 i = 0; i < in.count; i++) {
        u32 port;
        if (!guest_get(in.ports + 4ull * i, &port, 4)) {
            return -XEN_EFAULT;
        }
        if (event_is_pending(port)) {
            return 0;
        }
    }
    return xen_yield(0, 0);
}

i64 xen_shutdown(u64 a, u64 b)
{
    u32 reason;
    (void)b;
    if (!guest_get(a, &reason, 4)) {
        return -XEN_EFAULT;
    }
    root_power(reason);
    return 0;
}
