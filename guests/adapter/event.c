/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Event channels of the 2-level kind. [Xen public/event_channel.h] The other end of an interdomain port is the adapter itself.
 * Left out: FIFO, ports between children. */
#include "guests/adapter/adapter.h"

#define PORTS 1024u
#define PENDING 2048
#define MASK (domain_is_narrow ? 2176u : 2560u)

enum kind { CLOSED, UNBOUND, INTERDOMAIN, PIRQ, VIRQ, IPI };
static struct {
    u8 kind, vcpu;
    u32 virq;
    u16 remote;                    /* of an unbound port: who may bind it */
    void (*notify)(void *owner); /* the other end, of a backend */
    void *owner;
} ports[PORTS];

#define VIRQ_TIMER 0u
#define VIRQ_DEBUG 1u
#define VIRQS 24u

static u64 *word(u32 offset, u32 port) { return (u64 *)(void *)(shared_info + offset) + port / 64; }

/* True: it was clear. */
static bool set_bit(u64 *at, u32 bit)
{
    u64 one = 1ull << (bit % 64);
    return (__atomic_fetch_or(at, one, __ATOMIC_SEQ_CST) & one) == 0;
}

static bool set_bit_32(u32 *at, u32 bit)
{
    u32 one = 1u << (bit % 32);
    return (__atomic_fetch_or(at, one, __ATOMIC_SEQ_CST) & one) == 0;
}

static bool get_bit(u64 *at, u32 bit) { return (__atomic_load_n(at, __ATOMIC_SEQ_CST) >> (bit % 64) & 1) != 0; }

/* A vCPU whose local APIC is off takes none: owed until it does. */
void event_interrupt(struct vp *vp)
{
    vp->owed = vp->vector != 0 && hv_interrupt(vp->index, 0, vp->vector) != HV_SUCCESS;
}

static void upcall(u32 port)
{
    struct vp *vp = &vps[ports[port].vcpu];
    bool fresh = domain_is_narrow ? set_bit_32((u32 *)(void *)(vp->info + 4), port / 32)
                                  : set_bit((u64 *)(void *)(vp->info + 8), port / 64);
    if (!fresh) {
        return;
    }
    if (__atomic_exchange_n(&vp->info[0], 1, __ATOMIC_SEQ_CST) == 0) {
        event_interrupt(vp);
    }
}

bool event_is_pending(u32 port) { return port < PORTS && get_bit(word(PENDING, port), port); }

bool event_any(const struct vp *vp) { return __atomic_load_n(&vp->info[0], __ATOMIC_SEQ_CST) != 0; }

/* Pending, then mask, then selector, then upcall_pending, then the interrupt. */
void event_raise(u32 port)
{
    if (port != 0 && set_bit(word(PENDING, port), port) && !get_bit(word(MASK, port), port)) {
        upcall(port);
    }
}

void event_set_vector(struct vp *vp, u8 vector)
{
    vp->vector = vector;
    if (vp->info[0] != 0) {
        event_interrupt(vp);
    }
}

void event_mask_all(void) { memset(shared_info + MASK, 0xff, PORTS / 8 * (domain_is_narrow ? 1u : 4u)); }

void event_init(void)
{
    ports[EVENT_STORE].kind = INTERDOMAIN;
    ports[EVENT_CONSOLE].kind = INTERDOMAIN;
}

static u32 new_port(enum kind kind, const struct vp *vp)
{
    for (u32 i = EVENT_CONSOLE + 1; i < PORTS; i++) {
        if (ports[i].kind == CLOSED) {
            ports[i].kind = (u8)kind;
            ports[i].vcpu = (u8)vp->index;
            ports[i].virq = 0;
            ports[i].notify = NULL;
            (void)__atomic_fetch_and(word(PENDING, i), ~(1ull << (i % 64)), __ATOMIC_SEQ_CST);
            return i;
        }
    }
    return 0;
}

static bool get_port(u64 gva, u32 *port)
{
    return guest_get(gva, port, 4) && *port != 0 && *port < PORTS && ports[*port].kind != CLOSED;
}

i64 xen_bind_virq(u64 a, u64 b)
{
    u32 in[3];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    struct vp *vp = vcpu_of(in[1]);
    if (vp == NULL || in[0] >= VIRQS) {
        return vp == NULL ? -XEN_ENOENT : -XEN_EINVAL;
    }
    u32 *bound = in[0] == VIRQ_TIMER ? &vp->timer_port : (in[0] == VIRQ_DEBUG ? &vp->debug_port : NULL);
    if (bound != NULL && *bound != 0) {
        return -XEN_EEXIST;
    }
    in[2] = new_port(VIRQ, vp);
    if (in[2] == 0) {
        return -XEN_ENOSPC;
    }
    ports[in[2]].virq = in[0];
    if (bound != NULL) {
        *bound = in[2];
    }
    return guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT;
}

i64 xen_bind_ipi(u64 a, u64 b)
{
    u32 in[2];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    const struct vp *vp = vcpu_of(in[0]);
    in[1] = vp != NULL ? new_port(IPI, vp) : 0;
    if (in[1] == 0) {
        return vp == NULL ? -XEN_ENOENT : -XEN_ENOSPC;
    }
    return guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT;
}

i64 xen_alloc_unbound(u64 a, u64 b)
{
    u32 in[2];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    in[1] = new_port(UNBOUND, &vps[0]);
    ports[in[1]].remote = (u16)(in[0] >> 16);
    return in[1] == 0 ? -XEN_ENOSPC : (guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT);
}

/* A backend of the adapter's takes the other end. */
bool event_bind(u32 port, void (*notify)(void *owner), void *owner)
{
    if (port == 0 || port >= PORTS || ports[port].kind != UNBOUND || ports[port].remote != 0) {
        return false;
    }
    ports[port].kind = INTERDOMAIN;
    ports[port].notify = notify;
    ports[port].owner = owner;
    return true;
}

static bool is_bound(u32 port, const void *owner)
{
    return port < PORTS && ports[port].kind == INTERDOMAIN && ports[port].notify != NULL && ports[port].owner == owner;
}

void event_unbind(u32 port, const void *owner)
{
    if (is_bound(port, owner)) {
        ports[port].kind = UNBOUND;
        ports[port].notify = NULL;
    }
}

void event_notify(u32 port, const void *owner)
{
    if (is_bound(port, owner)) {
        event_raise(port);
    }
}

static void close(u32 port)
{
    if (port > EVENT_CONSOLE) {
        ports[port].kind = CLOSED;
        ports[port].notify = NULL;
    }
    for (u32 i = 0; i < boot->vps; i++) {
        vps[i].timer_port = vps[i].timer_port == port ? 0 : vps[i].timer_port;
        vps[i].debug_port = vps[i].debug_port == port ? 0 : vps[i].debug_port;
    }
    (void)__atomic_fetch_and(word(PENDING, port), ~(1ull << (port % 64)), __ATOMIC_SEQ_CST);
}

i64 xen_event_close(u64 a, u64 b)
{
    u32 port;
    (void)b;
    if (!get_port(a, &port)) {
        return -XEN_EINVAL;
    }
    close(port);
    return 0;
}

/* A kernel that another one starts finds all ports closed. */
i64 xen_event_reset(u64 a, u64 b)
{
    u16 domain;
    (void)b;
    if (!guest_get(a, &domain, sizeof domain)) {
        return -XEN_EFAULT;
    }
    if (domain != DOMID_SELF) {
        return -XEN_EPERM;
    }
    for (u32 i = EVENT_CONSOLE + 1; i < PORTS; i++) {
        if (ports[i].kind != CLOSED) {
            close(i);
        }
    }
    return 0;
}

/* Backends of this domain are the adapter, which offers no port of its own but binds the guest's; other children are not reached. */
i64 xen_bind_interdomain(u64 a, u64 b)
{
    u32 in[3];
    (void)b;
    return guest_get(a, in, sizeof in) ? -XEN_EINVAL : -XEN_EFAULT;
}

i64 xen_event_send(u64 a, u64 b)
{
    u32 port;
    (void)b;
    if (!get_port(a, &port)) {
        return -XEN_EINVAL;
    }
    if (port == EVENT_CONSOLE) {
        console_notify();
    } else if (port == EVENT_STORE) {
        store_notify();
    } else if (ports[port].notify != NULL && ports[port].kind == INTERDOMAIN) {
        ports[port].notify(ports[port].owner);
    } else if (ports[port].kind == IPI) {
        event_raise(port);
    } else if (ports[port].kind != UNBOUND) {
        return -XEN_EINVAL;
    }
    return 0;
}

i64 xen_event_status(u64 a, u64 b)
{
    u32 in[6];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    if (in[1] >= PORTS) {
        return -XEN_EINVAL;
    }
    in[2] = ports[in[1]].kind;
    in[3] = ports[in[1]].vcpu;
    in[4] = ports[in[1]].virq;
    in[5] = ports[in[1]].kind == INTERDOMAIN ? in[1] : 0;
    return guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT;
}

i64 xen_bind_vcpu(u64 a, u64 b)
{
    u32 in[2];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    const struct vp *vp = vcpu_of(in[1]);
    u32 port = in[0];
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (port == 0 || port >= PORTS || ports[port].kind == CLOSED || ports[port].kind == IPI ||
        (ports[port].kind == VIRQ && ports[port].virq <= VIRQ_DEBUG)) {
        return -XEN_EINVAL;
    }
    ports[port].vcpu = (u8)vp->index;
    if (event_is_pending(port) && !get_bit(word(MASK, port), port)) {
        upcall(port);
    }
    return 0;
}

i64 xen_event_unmask(u64 a, u64 b)
{
    u32 port;
    (void)b;
    if (!get_port(a, &port)) {
        return -XEN_EINVAL;
    }
    u64 one = 1ull << (port % 64);
    bool was = (__atomic_fetch_and(word(MASK, port), ~one, __ATOMIC_SEQ_CST) & one) != 0;
    if (was && (__atomic_load_n(word(PENDING, port), __ATOMIC_SEQ_CST) & one) != 0) {
        upcall(port);
    }
    return 0;
}

/* FIFO events are refused, but not before the frame was looked at: what is no memory is an error of another kind. */
i64 xen_init_control(u64 a, u64 b)
{
    struct {
        u64 frame;
        u32 offset, vcpu;
    } in;
    (void)b;
    if (!guest_get(a, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    return vcpu_of(in.vcpu) == NULL || guest_frame(in.frame) == NULL ? -XEN_EINVAL : -XEN_ENOSYS;
}
