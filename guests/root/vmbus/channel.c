/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Channels: offered, opened, closed, rescinded; packets from them to providers and back. */
#include "guests/root/vmbus/vmbus.h"

#define RW (HV_LEND_READ | HV_LEND_WRITE)

struct channel *channel_find(struct bus *b, u32 relid)
{
    struct channel *c = relid >= 1 && relid <= BUS_CHANNELS ? &b->channels[relid - 1] : NULL;
    return c != NULL && c->state != CHANNEL_FREE && c->announced ? c : NULL;
}

void channel_announce(struct channel *c)
{
    struct vmbus_offer o;
    memset(&o, 0, sizeof o);
    o.header.type = VMBUS_OFFERCHANNEL;
    o.interface = c->interface;
    o.instance = c->instance;
    if (c->pipe) {
        const u32 mode = VMBUS_PIPE_MESSAGES;
        o.flags = VMBUS_OFFER_PIPE;
        memcpy(o.user, &mode, sizeof mode);
    }
    o.subchannel = c->subchannel;
    o.relid = c->relid;
    o.dedicated = 1;
    o.connection = host_connection(c);
    c->announced = true;
    bus_send(c->bus, &o, VMBUS_OFFER_BYTES);
}

struct channel *channel_offer(struct bus *b, const struct vmbus_guid *interface, const struct vmbus_guid *instance,
                              const struct channel_ops *ops, void *owner, bool pipe, struct channel *primary, u16 subchannel)
{
    u32 i = 0;
    while (i < BUS_CHANNELS && b->channels[i].state != CHANNEL_FREE) {
        i++;
    }
    if (i == BUS_CHANNELS) {
        return NULL;
    }
    struct channel *c = &b->channels[i];
    *c = (struct channel){.state = CHANNEL_OFFERED,
                          .bus = b,
                          .ops = ops,
                          .owner = owner,
                          .interface = *interface,
                          .instance = *instance,
                          .pipe = pipe,
                          .primary = primary,
                          .subchannel = subchannel,
                          .relid = i + 1};
    if (b->connected && b->requested) {
        channel_announce(c);
    }
    return c;
}

/* Also its GPADLs: a guest does not take those of a rescinded channel back (Linux, vmbus_teardown_gpadl). */
void channel_free(struct channel *c)
{
    const struct channel_ops *ops = c->ops;
    struct bus *b = c->bus;
    channel_close(c);
    for (u32 i = 0; i < BUS_GPADLS; i++) {
        if (b->gpadls[i].used && b->gpadls[i].relid == c->relid) {
            gpadl_free(b, &b->gpadls[i]);
        }
    }
    c->state = CHANNEL_FREE;
    c->announced = false;
    if (ops->released != NULL) {
        ops->released(c);
    }
}

void channel_rescind(struct channel *c)
{
    if (c->state != CHANNEL_OFFERED) {
        return;
    }
    if (!c->announced) {
        channel_free(c);
        return;
    }
    const struct vmbus_relid m = {{VMBUS_RESCIND_OFFER, 0}, c->relid};
    c->state = CHANNEL_RESCINDED;
    bus_send(c->bus, &m, sizeof m);
}

static bool lend_rings(struct channel *c)
{
    struct bus *b = c->bus;
    struct gpadl *g = c->gpadl;
    u32 down = c->downstream;
    if (!gpadl_lend(b, g, 0, 1, RW)) {
        return false;
    }
    if (gpadl_lend(b, g, 1, down - 1, HV_LEND_READ)) {
        if (gpadl_lend(b, g, down, g->pages - down, RW)) {
            return true;
        }
        gpadl_return(b, g, 1, down - 1, HV_LEND_READ);
    }
    gpadl_return(b, g, 0, 1, RW);
    return false;
}

static void return_rings(struct channel *c)
{
    struct gpadl *g = c->gpadl;
    gpadl_return(c->bus, g, 0, 1, RW);
    gpadl_return(c->bus, g, 1, c->downstream - 1, HV_LEND_READ);
    gpadl_return(c->bus, g, c->downstream, g->pages - c->downstream, RW);
}

/* 0, or the status for the child. */
u32 channel_open(struct channel *c, struct gpadl *g, u32 downstream, u32 vp)
{
    bool vp_ok = vp == VMBUS_VP_NONE || vp < c->bus->vm->vps;
    if (c->open || c->state != CHANNEL_OFFERED || !g->created || g->relid != c->relid || g->lendings != 0 || g->offset != 0 ||
        downstream < 2 || g->pages < 4 || downstream > g->pages - 2 || !vp_ok) {
        return VMBUS_FAILED;
    }
    c->gpadl = g;
    c->downstream = downstream;
    c->vp = vp;
    c->dropped = c->again = c->full = false;
    if (!lend_rings(c)) {
        return VMBUS_FAILED;
    }
    if (!ring_init(&c->in, g, 0, downstream) || !ring_init(&c->out, g, downstream, g->pages - downstream) || !host_open(c)) {
        host_close(c);
        return_rings(c);
        return VMBUS_FAILED;
    }
    c->open = true;
    if (!c->ops->opened(c)) {
        channel_close(c);
        return VMBUS_FAILED;
    }
    return 0;
}

/* Sub-channels go with the first one. */
static void rescind_others(struct channel *primary)
{
    for (u32 i = 0; i < BUS_CHANNELS; i++) {
        struct channel *c = &primary->bus->channels[i];
        if (c->state == CHANNEL_OFFERED && c->primary == primary) {
            channel_rescind(c);
        }
    }
}

void channel_close(struct channel *c)
{
    if (!c->open) {
        return;
    }
    c->ops->closed(c);
    c->open = false;
    host_close(c);
    return_rings(c);
    c->gpadl = NULL;
    if (c->primary == NULL) {
        rescind_others(c);
    }
}

void channel_drop(struct channel *c, const char *why)
{
    print("\nroot: %s: VMBus channel %u (%s) is dropped: %s\n", c->bus->vm->name, c->relid, c->ops->name, why);
    channel_close(c);
    channel_rescind(c);
}

void channel_run(struct channel *c)
{
    static u8 data[PACKET_BYTES] __attribute__((aligned(8)));
    u32 before = c->in.index;
    enum ring_result result = RING_PACKET;
    struct packet p;
    bool nonsense = false;
    c->again = false;
    if (c->full && c->ops->space != NULL) {
        c->full = false;
        c->ops->space(c);
    }
    for (u32 i = 0; i < CHANNEL_TURN && c->open && !c->dropped && (c->ops->ready == NULL || c->ops->ready(c)); i++) {
        result = ring_read(&c->in, data, sizeof data, &p);
        if (result == RING_EMPTY && c->in.index != before) { /* it may have written more before it saw how far we are */
            if (ring_taken(&c->in, before)) {
                host_signal(c);
            }
            before = c->in.index;
            result = ring_read(&c->in, data, sizeof data, &p);
        }
        if (result != RING_PACKET) {
            break;
        }
        c->packets_in++;
        const struct traced_channel traced = channel_traced(c);
        trace_packet(CLAIM_packet_taken, &traced, p.type, p.transaction, p.data + p.extra, p.bytes - p.extra);
        packet_work(c->bus, traced.relid, p.transaction);
        nonsense = !c->ops->packet(c, &p);
        packet_work(c->bus, 0, 0);
        if (nonsense) {
            break;
        }
    }
    if (!c->open) {
        return;
    }
    if (nonsense || result == RING_NONSENSE || c->dropped) {
        channel_drop(c, result == RING_NONSENSE ? "its ring is nonsense" : "a packet is nonsense");
        return;
    }
    if (c->in.index != before && ring_taken(&c->in, before)) {
        host_signal(c);
    }
    c->again = result == RING_PACKET; /* its turn is over, or the provider has no room */
}

bool channel_write(struct channel *c, u16 type, u16 flags, u64 transaction, const void *head, u32 head_bytes, const void *data,
                   u32 bytes)
{
    bool signal = false;
    if (!c->open || c->dropped) {
        return true; /* nobody is there to read it */
    }
    enum ring_result result = ring_write(&c->out, type, flags, transaction, head, head_bytes, data, bytes, &signal);
    if (result == RING_NONSENSE) {
        c->dropped = c->again = true;
        return true;
    }
    c->full = result == RING_EMPTY;
    if (c->full) {
        return false;
    }
    c->packets_out++;
    const struct traced_channel traced = channel_traced(c);
    trace_packet(CLAIM_packet_put, &traced, type, transaction, data, bytes);
    if (signal) {
        trace_packet_calls(CLAIM_packet_signal, traced.partition, traced.relid, transaction);
        host_signal(c);
    }
    return true;
}
