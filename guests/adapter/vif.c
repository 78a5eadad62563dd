/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xen's network devices [Xen public/io/netif.h]: two rings. A frame is copied from granted pages and sent; one that comes is copied to a page
 * that was granted for it, or dropped. A checksum that the frontend left open is computed here. Left out: segmentation offloads, several
 * queues, split event ports, multicast control. */
#include "guests/adapter/netvsc.h"
#include "guests/adapter/xenbus.h"
#include "hv/core/trace_port.h"

#define VIFS 3u
#define SLOTS 256u
#define RING_ENTRIES 64u
#define TX_BYTES 12u
#define RX_BYTES 8u
#define CHAIN_MAX 18u
#define TX_CSUM_BLANK 1u
#define TX_MORE 4u
#define TX_EXTRA 8u
#define ETHERNET 14u
#define TX 16u /* operations, in the trace (beside those of blkif.h) */
#define RX 17u
#define RX_IDS 0x10000u /* in the trace: the other ring's, which begin at 0 too */
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

enum { RSP_NULL = 1, RSP_OKAY = 0, RSP_ERROR = -1, RSP_DROPPED = -2 };
enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };

struct vif {
    struct xenbus_device device; /* first */
    struct nic *nic;             /* NULL: free */
    struct xenbus_ring tx, rx;
    bool connected, starved;
    u32 tx_cons, tx_prod, rx_cons, rx_prod;
    u64 dropped;
};

struct tx_request {
    u32 ref;
    u16 offset, flags, id, size;
};

static struct vif vifs[VIFS];

static volatile u32 *word(const struct xenbus_ring *r, u32 offset) { return (volatile u32 *)(void *)(r->grant.frame + offset); }

static void publish(struct vif *v, struct xenbus_ring *r, u32 old, u32 prod)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *word(r, RSP_PROD) = prod;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (prod - *word(r, RSP_EVENT) < prod - old) {
        event_notify(v->tx.port, v);
    }
}

static void disconnect(struct xenbus_device *device)
{
    struct vif *v = (struct vif *)(void *)device;
    if (v->connected) {
        v->connected = false;
        event_unbind(v->tx.port, v);
        xenbus_unmap_ring(&v->tx);
        xenbus_unmap_ring(&v->rx);
    }
}

static void give_up(struct vif *v)
{
    adapter_log("adapter: vif %x: a ring that cannot be\n", v->device.number);
    disconnect(&v->device);
}

static void tx_respond(struct vif *v, u16 id, int status)
{
    const u16 answer[2] = {id, (u16)status};
    memcpy(v->tx.grant.frame + RING_ENTRIES + (v->tx_prod % SLOTS) * TX_BYTES, answer, sizeof answer);
    v->tx_prod++;
    publish(v, &v->tx, v->tx_prod - 1, v->tx_prod);
}

static u32 get16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }

static u32 add(u32 sum, const u8 *p, u32 n)
{
    for (u32 i = 0; i + 1 < n; i += 2) {
        sum += get16(p + i);
    }
    return n % 2 != 0 ? sum + ((u32)p[n - 1] << 8) : sum;
}

/* [RFC 793, 768] of TCP or UDP over IPv4: where it is kept holds part of the sum, which is left out. */
static void checksum(u8 *frame, u32 size)
{
    u8 *ip = frame + ETHERNET;
    if (size < ETHERNET + 20 || get16(frame + 12) != 0x0800 || ip[0] >> 4 != 4) {
        return;
    }
    u32 head = (ip[0] & 15u) * 4;
    u32 all = get16(ip + 2);
    u32 at = ip[9] == PROTOCOL_TCP ? 16 : 6;
    if ((ip[9] != PROTOCOL_TCP && ip[9] != PROTOCOL_UDP) || head < 20 || all > size - ETHERNET || all < head + at + 2) {
        return;
    }
    u8 *body = ip + head;
    body[at] = body[at + 1] = 0;
    u32 sum = add(add(ip[9] + all - head, ip + 12, 8), body, all - head);
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum = ~sum & 0xffff;
    sum = sum == 0 && ip[9] == PROTOCOL_UDP ? 0xffff : sum;
    body[at] = (u8)(sum >> 8);
    body[at + 1] = (u8)sum;
}

static bool copy_part(const struct tx_request *r, u8 *to, u32 size)
{
    struct grant g;
    if (r->offset + size > PAGE_SIZE || !grant_begin(&g, r->ref, false)) {
        return false;
    }
    memcpy(to, g.frame + r->offset, size);
    grant_end(&g);
    return true;
}

/* The parts of one frame: the first says the size of all. */
static bool copy_frame(const struct tx_request *chain, u32 count, u8 *to, u32 size)
{
    u32 others = 0;
    for (u32 i = 1; i < count; i++) {
        others += chain[i].size;
    }
    if (size < ETHERNET || size > FRAME_MAX || others >= size) {
        return false;
    }
    u32 at = size - others;
    bool ok = copy_part(&chain[0], to, at);
    for (u32 i = 1; ok && i < count; i++) {
        ok = copy_part(&chain[i], to + at, chain[i].size);
        at += chain[i].size;
    }
    return ok;
}

static void fetch(const struct vif *v, u32 index, struct tx_request *r)
{
    memcpy(r, v->tx.grant.frame + RING_ENTRIES + (index % SLOTS) * TX_BYTES, sizeof *r);
}

/* One frame: how many slots; 0: not now, or not all of it is there yet. */
static u32 transmit(struct vif *v, u32 there)
{
    struct tx_request chain[CHAIN_MAX];
    u8 extra[CHAIN_MAX] = {0}; /* slots behind each that are no part */
    u32 parts = 0;
    u32 used = 0;
    bool more = true;
    while (more) {
        if (used == there || parts == CHAIN_MAX) {
            return parts == CHAIN_MAX ? ~0u : 0;
        }
        fetch(v, v->tx_cons + used++, &chain[parts]);
        bool has_extra = (chain[parts].flags & TX_EXTRA) != 0;
        while (has_extra) {
            u8 raw[TX_BYTES];
            if (used == there || extra[parts] == 8) {
                return extra[parts] == 8 ? ~0u : 0;
            }
            memcpy(raw, v->tx.grant.frame + RING_ENTRIES + ((v->tx_cons + used++) % SLOTS) * TX_BYTES, sizeof raw);
            extra[parts]++;
            has_extra = (raw[1] & 1) != 0;
        }
        more = (chain[parts++].flags & TX_MORE) != 0;
    }
    u8 *to = nic_take(v->nic);
    if (to == NULL) {
        v->starved = true;
        return 0;
    }
    trace_claim(CLAIM_request_begun, v->device.number, chain[0].id, TX, chain[0].size);
    bool ok = extra[0] == 0 && copy_frame(chain, parts, to, chain[0].size);
    if (ok) {
        if ((chain[0].flags & TX_CSUM_BLANK) != 0) {
            checksum(to, chain[0].size);
        }
        trace_claim(CLAIM_request_packet, v->device.number, chain[0].id, v->nic->channel->relid, nic_section(v->nic, to));
        nic_send(v->nic, to, chain[0].size);
    }
    trace_claim(CLAIM_request_ended, v->device.number, chain[0].id, (u16)(ok ? RSP_OKAY : RSP_ERROR));
    for (u32 i = 0; i < parts; i++) {
        tx_respond(v, chain[i].id, ok ? RSP_OKAY : RSP_ERROR);
        for (u32 n = 0; n < extra[i]; n++) {
            tx_respond(v, 0, RSP_NULL);
        }
    }
    return used;
}

static void work(struct vif *v)
{
    v->starved = false;
    for (;;) {
        u32 prod = *word(&v->tx, REQ_PROD);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (prod - v->tx_prod > SLOTS || prod - v->tx_cons > SLOTS) {
            give_up(v);
            return;
        }
        while (v->tx_cons != prod) {
            u32 used = transmit(v, prod - v->tx_cons);
            if (used > SLOTS) {
                give_up(v);
                return;
            }
            if (used == 0) {
                *word(&v->tx, REQ_EVENT) = prod + 1;
                return;
            }
            v->tx_cons += used;
        }
        *word(&v->tx, REQ_EVENT) = v->tx_cons + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (*word(&v->tx, REQ_PROD) == v->tx_cons) {
            return;
        }
    }
}

void vif_receive(struct nic *nic, u64 transaction, const u8 *frame, u32 size)
{
    struct vif *v = nic->owner;
    if (v == NULL || !v->connected || size > FRAME_MAX) {
        return;
    }
    u32 prod = *word(&v->rx, REQ_PROD);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (prod - v->rx_prod > SLOTS || prod - v->rx_cons > SLOTS) {
        give_up(v);
        return;
    }
    if (prod == v->rx_cons) {
        v->dropped++;
        return;
    }
    u32 request[2];
    memcpy(request, v->rx.grant.frame + RING_ENTRIES + (v->rx_cons % SLOTS) * RX_BYTES, sizeof request);
    trace_claim(CLAIM_request_begun, v->device.number, RX_IDS | (u16)request[0], RX, size);
    trace_claim(CLAIM_request_packet, v->device.number, RX_IDS | (u16)request[0], nic->channel->relid, transaction);
    v->rx_cons++;
    struct grant g;
    bool ok = grant_begin(&g, request[1], true);
    if (ok) {
        memcpy(g.frame, frame, size);
        grant_end(&g);
    }
    const u16 answer[4] = {(u16)request[0], 0, 0, (u16)(ok ? (int)size : RSP_ERROR)};
    trace_claim(CLAIM_request_ended, v->device.number, RX_IDS | (u16)request[0], (u16)(ok ? RSP_OKAY : RSP_ERROR));
    memcpy(v->rx.grant.frame + RING_ENTRIES + (v->rx_prod % SLOTS) * RX_BYTES, answer, sizeof answer);
    v->rx_prod++;
    publish(v, &v->rx, v->rx_prod - 1, v->rx_prod);
}

void vif_rest(struct nic *nic)
{
    struct vif *v = nic->owner;
    if (v != NULL && v->connected && v->starved) {
        work(v);
    }
}

static void kicked(void *owner)
{
    struct vif *v = owner;
    if (v->connected) {
        work(v);
    }
}

static bool connect(struct xenbus_device *device)
{
    struct vif *v = (struct vif *)(void *)device;
    u64 tx, rx, port, copies;
    bool known = xenbus_front_number(device, "tx-ring-ref", &tx) && xenbus_front_number(device, "rx-ring-ref", &rx) &&
                 xenbus_front_number(device, "event-channel", &port) && xenbus_front_number(device, "request-rx-copy", &copies);
    if (!known || copies != 1 || port > 0xffffffff || !xenbus_map_ring(&v->tx, tx)) {
        adapter_log("adapter: vif %x: its frontend offers no rings\n", device->number);
        return false;
    }
    if (!xenbus_map_ring(&v->rx, rx) || !event_bind((u32)port, kicked, v)) {
        xenbus_unmap_ring(&v->tx);
        xenbus_unmap_ring(&v->rx);
        adapter_log("adapter: vif %x: its frontend offers no ring or port\n", device->number);
        return false;
    }
    v->tx.port = (u32)port;
    v->tx_cons = v->tx_prod = *word(&v->tx, RSP_PROD);
    v->rx_cons = v->rx_prod = *word(&v->rx, RSP_PROD);
    v->connected = true;
    work(v);
    return v->connected;
}

static void mac_text(const u8 *mac, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (u32 i = 0; i < 6; i++) {
        text[3 * i] = digits[mac[i] >> 4];
        text[3 * i + 1] = digits[mac[i] & 15];
        text[3 * i + 2] = i < 5 ? ':' : 0;
    }
}

void vif_add(struct nic *nic)
{
    u32 n = 0;
    while (n < VIFS && (vifs[n].nic != NULL || vifs[n].device.leaving)) {
        n++;
    }
    if (n == VIFS) {
        return;
    }
    struct vif *v = &vifs[n];
    char mac[18];
    const char handle[2] = {(char)('0' + n), 0};
    memset(v, 0, sizeof *v);
    nic->owner = v;
    v->nic = nic;
    v->device = (struct xenbus_device){.type = "vif", .number = n, .connect = connect, .disconnect = disconnect};
    mac_text(nic->mac, mac);
    xenbus_put(&v->device, "handle", handle);
    xenbus_put(&v->device, "mac", mac);
    xenbus_put(&v->device, "feature-rx-copy", "1");
    xenbus_put(&v->device, "feature-rx-flip", "0");
    xenbus_put_front(&v->device, "handle", handle);
    xenbus_put_front(&v->device, "mac", mac);
    if (!xenbus_add(&v->device)) {
        v->nic = NULL;
        nic->owner = NULL;
    } else {
        adapter_log("adapter: vif %x has the address %s\n", n, mac);
    }
}

void vif_remove(struct nic *nic)
{
    struct vif *v = nic->owner;
    if (v != NULL) {
        xenbus_remove(&v->device);
        v->nic = NULL;
        nic->owner = NULL;
    }
}
