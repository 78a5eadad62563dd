/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Event channels of the 2-level kind. [Xen public/event_channel.h] The other end of an interdomain port is the adapter itself.
 * Left out: FIFO, ports between children, more than one vCPU. */
#include "guests/adapter/adapter.h"

#define PORTS 1024u
#define PENDING 2048
#define MASK 2560

enum kind { CLOSED, UNBOUND, INTERDOMAIN, PIRQ, VIRQ, IPI };
static struct {
    u8 kind;
    u32 virq;
} ports[PORTS];
static u32 timer_port;

static u64 *word(u32 offset, u32 port) { return (u64 *)(void *)(shared_info + offset) + port / 64; }

/* True: it was clear. */
static bool set_bit(u64 *at, u32 bit)
{
    u64 one = 1ull << (bit % 64);
    return (__atomic_fetch_or(at, one, __ATOMIC_SEQ_CST) & one) == 0;
}

static void upcall(u32 port)
{
    if (!set_bit((u64 *)(void *)(vcpu.info + 8), port / 64)) {
        return;
    }
    if (__atomic_exchange_n(&vcpu.info[0], 1, __ATOMIC_SEQ_CST) == 0 && vcpu.vector != 0) {
        (void)hv_interrupt(vcpu.vector);
    }
}

static bool is_masked(u32 port) { return (__atomic_load_n(word(MASK, port), __ATOMIC_SEQ_CST) >> (port % 64) & 1) != 0; }

void event_raise(u32 port)
{
    if (port != 0 && set_bit(word(PENDING, port), port) && !is_masked(port)) {
        upcall(port);
    }
}

void event_set_vector(u8 vector)
{
    vcpu.vector = vector;
    if (vcpu.info[0] != 0) {
        (void)hv_interrupt(vector);
    }
}

void event_timer(void) { event_raise(timer_port); }

void event_init(void)
{
    ports[EVENT_STORE].kind = INTERDOMAIN;
    ports[EVENT_CONSOLE].kind = INTERDOMAIN;
}

static u32 new_port(enum kind kind)
{
    for (u32 i = EVENT_CONSOLE + 1; i < PORTS; i++) {
        if (ports[i].kind == CLOSED) {
            ports[i].kind = (u8)kind;
            ports[i].virq = 0;
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
    if (in[1] != 0 || in[0] > 23) {
        return in[1] != 0 ? -XEN_ENOENT : -XEN_EINVAL;
    }
    if (in[0] == 0 && timer_port != 0) {
        return -XEN_EEXIST;
    }
    in[2] = new_port(VIRQ);
    if (in[2] == 0) {
        return -XEN_ENOSPC;
    }
    ports[in[2]].virq = in[0];
    timer_port = in[0] == 0 ? in[2] : timer_port;
    return guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT;
}

i64 xen_bind_ipi(u64 a, u64 b)
{
    u32 in[2];
    (void)b;
    if (!guest_get(a, in, sizeof in)) {
        return -XEN_EFAULT;
    }
    in[1] = in[0] == 0 ? new_port(IPI) : 0;
    if (in[1] == 0) {
        return in[0] != 0 ? -XEN_ENOENT : -XEN_ENOSPC;
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
    in[1] = new_port(UNBOUND);
    return in[1] == 0 ? -XEN_ENOSPC : (guest_put(a, in, sizeof in) ? 0 : -XEN_EFAULT);
}

i64 xen_event_close(u64 a, u64 b)
{
    u32 port;
    (void)b;
    if (!get_port(a, &port)) {
        return -XEN_EINVAL;
    }
    if (port > EVENT_CONSOLE) {
        ports[port].kind = CLOSED;
    }
    timer_port = port == timer_port ? 0 : timer_port;
    (void)__atomic_fetch_and(word(PENDING, port), ~(1ull << (port % 64)), __ATOMIC_SEQ_CST);
    return 0;
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
    in[3] = 0;
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
    return in[1] == 0 ? 0 : -XEN_ENOENT;
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
