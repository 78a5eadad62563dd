/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One Ethernet switch: it learns which address is behind which port, floods what it does not know, and keeps isolated ports apart. A child's port
 * sends with its own address only. Left out: VLANs, spanning tree, more than one uplink; nothing ages, the oldest entry makes room. */
#include "guests/root/network/network.h"

#define KNOWN 64u

static struct switch_port ports[SWITCH_PORTS];
static struct known {
    u8 mac[6];
    struct switch_port *port; /* NULL: free */
} known[KNOWN];
static u32 oldest;
static u64 flooded, unicast;

static bool same(const u8 *a, const u8 *b) { return memcmp(a, b, 6) == 0; }
static bool is_group(const u8 *mac) { return (mac[0] & 1) != 0; }

static struct switch_port *find(const u8 *mac)
{
    for (u32 i = 0; i < KNOWN; i++) {
        if (known[i].port != NULL && same(known[i].mac, mac)) {
            return known[i].port;
        }
    }
    return NULL;
}

static void learn(const u8 *mac, struct switch_port *port)
{
    for (u32 i = 0; i < KNOWN; i++) {
        if (known[i].port != NULL && same(known[i].mac, mac)) {
            /* a child's own address is behind its own port, whatever the network says */
            if (!port->uplink || known[i].port->uplink) {
                known[i].port = port;
            }
            return;
        }
    }
    memcpy(known[oldest].mac, mac, 6);
    known[oldest].port = port;
    oldest = (oldest + 1) % KNOWN;
}

struct switch_port *switch_add(const struct switch_port *model)
{
    for (u32 i = 0; i < SWITCH_PORTS; i++) {
        if (!ports[i].used) {
            ports[i] = *model;
            ports[i].used = true;
            return &ports[i];
        }
    }
    return NULL;
}

void switch_remove(struct switch_port *p)
{
    for (u32 i = 0; i < KNOWN; i++) {
        if (known[i].port == p) {
            known[i].port = NULL;
        }
    }
    p->used = false;
}

static void pass(struct switch_port *from, struct switch_port *to, const u8 *frame, u32 size)
{
    if (to != from && to->used && !(from->isolated && to->isolated)) {
        to->sent++;
        to->deliver(to, frame, size);
    }
}

void switch_frame(struct switch_port *from, const u8 *frame, u32 size)
{
    if (size < FRAME_MIN || size > LINK_FRAME) {
        return;
    }
    if (is_group(frame + 6) || (!from->uplink && !same(frame + 6, from->mac))) {
        from->forged++;
        return;
    }
    from->received++;
    learn(frame + 6, from);
    struct switch_port *to = is_group(frame) ? NULL : find(frame);
    if (to != NULL) {
        unicast++;
        pass(from, to, frame, size);
        return;
    }
    flooded++;
    for (u32 i = 0; i < SWITCH_PORTS; i++) {
        pass(from, &ports[i], frame, size);
    }
}

static void to_link(struct switch_port *p, const u8 *frame, u32 size)
{
    struct link *l = p->owner;
    l->send(l, frame, size);
}

static void from_link(struct link *l, const void *frame, u32 size) { switch_frame(l->owner, frame, size); }

void switch_uplink(void)
{
    struct link *l = link_next(NULL);
    if (l == NULL || l->receive != NULL) {
        return;
    }
    const struct switch_port model = {.uplink = true, .deliver = to_link, .owner = l, .name = l->name};
    struct switch_port *p = switch_add(&model);
    if (p != NULL) {
        l->owner = p;
        l->receive = from_link;
    }
}

void switch_show(void)
{
    print("  %lu frames to one port, %lu to all\n", unicast, flooded);
    for (u32 i = 0; i < SWITCH_PORTS; i++) {
        const struct switch_port *p = &ports[i];
        if (p->used) {
            print("  %-16s%s%s %lu from it, %lu to it, %lu with another's address\n", p->name, p->uplink ? " uplink" : "",
                  p->isolated ? " isolated" : "", p->received, p->sent, p->forged);
        }
    }
    for (u32 i = 0; i < KNOWN; i++) {
        const u8 *m = known[i].mac;
        if (known[i].port != NULL) {
            print("  %02x:%02x:%02x:%02x:%02x:%02x behind %s\n", (u32)m[0], (u32)m[1], (u32)m[2], (u32)m[3], (u32)m[4], (u32)m[5],
                  known[i].port->name);
        }
    }
}
