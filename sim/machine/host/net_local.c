/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the network that needs no host: ARP for the gateway and the name server, DHCP with
 * one lease for each card, echo replies of both. Answers leave a fixed virtual time after the question, so they
 * are no outside input. ARP packets also go on: slirp learns the guest's address from them.
 *
 * What a name means is the host's to say (net_lookup.c), and comes through the input gate; but the answer
 * leaves here, at a fixed virtual time after the question as well: a place for it is kept.
 *
 * Left out: fragmented pings (they go on to slirp), DHCP options beyond address, mask, router, name
 * server and lease; questions to the name server for other things than addresses go on to slirp. */
#include "base/assert.h"
#include "machine/host/net.h"
#include "machine/host/net_dns.h"
#include "machine/host/net_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWERS 32u
#define LEASE_SECONDS 86400u
#define LEASES 128u /* of cards behind the machine's own */

struct answer {
    u64 deadline_ns;
    u32 len;  /* 0: not there yet */
    u32 name; /* kept for the answer to a question about a name: its port and ID, else 0 */
    u8 frame[NET_FRAME_MAX];
};

struct net_local {
    struct clock *clock;
    struct net_backend outside;
    struct net_port port;
    char id[32];
    struct timer timer;
    u32 first, count;
    struct answer answers[MAX_ANSWERS];
};

/* ---- answers under way ---- */

static void arm(struct net_local *local)
{
    if (local->count > 0) {
        timer_arm(&local->timer, (vtime_t){local->answers[local->first].deadline_ns});
    }
}

static void fire(void *self)
{
    struct net_local *local = self;
    while (local->count > 0 &&
           local->answers[local->first].deadline_ns <= clock_now(local->clock).ns) {
        const struct answer *a = &local->answers[local->first];
        local->first = (local->first + 1) % MAX_ANSWERS;
        local->count--;
        if (a->len > 0) {
            (void)netdev_deliver(&local->port, a->frame, a->len);
        }
    }
    arm(local);
}

/* A frame to fill, zeroed; NULL when too many are under way: it is lost, as on any network. */
static u8 *answer_begin(struct net_local *local, u32 len)
{
    if (local->count == MAX_ANSWERS) {
        return NULL;
    }
    struct answer *a = &local->answers[(local->first + local->count) % MAX_ANSWERS];
    memset(a, 0, sizeof *a);
    a->len = len;
    a->deadline_ns = clock_now(local->clock).ns + NET_LOCAL_DELAY_NS;
    return a->frame;
}

static void answer_end(struct net_local *local)
{
    if (local->count++ == 0) {
        arm(local);
    }
}

/* ---- who answers ---- */

static bool is_ours(u32 ip)
{
    return ip == NET_LOCAL_GATEWAY || ip == NET_LOCAL_DNS;
}

/* 52:55 and the address: what slirp calls itself, so that both give the same. */
static void mac_of(u32 ip, u8 mac[6])
{
    mac[0] = 0x52;
    mac[1] = 0x55;
    store_be32(mac + 2, ip);
}

static void put_ethernet(u8 *frame, const u8 *to, u32 from_ip, u16 type)
{
    memcpy(frame + ETH_DST, to, 6);
    mac_of(from_ip, frame + ETH_SRC);
    store_be16(frame + ETH_TYPE, type);
}

static void put_ip(u8 *ip, u32 total, u8 protocol, u32 from, u32 to)
{
    ip[IPV4_VERSION_LENGTH] = 0x45;
    store_be16(ip + IPV4_TOTAL_LENGTH, (u16)total);
    store_be16(ip + IPV4_FRAGMENT, 0x4000);
    ip[IPV4_TTL] = 64;
    ip[IPV4_PROTOCOL] = protocol;
    store_be32(ip + IPV4_SRC, from);
    store_be32(ip + IPV4_DST, to);
    store_be16(ip + IPV4_CHECKSUM, net_checksum(net_sum(0, ip, IPV4_SIZE)));
}

static void answer_arp(struct net_local *local, const u8 *frame, u32 len)
{
    if (len < ARP_FRAME_SIZE || load_be16(frame + ARP_OP) != ARP_REQUEST) {
        return;
    }
    u32 target = load_be32(frame + ARP_TARGET_IP);
    u8 *a = is_ours(target) ? answer_begin(local, ARP_FRAME_SIZE) : NULL;
    if (a == NULL) {
        return;
    }
    memcpy(a + ETH_SIZE, frame + ETH_SIZE, 6); /* Ethernet and IPv4, lengths */
    put_ethernet(a, frame + ARP_SENDER_MAC, target, ETH_TYPE_ARP);
    store_be16(a + ARP_OP, ARP_REPLY);
    mac_of(target, a + ARP_SENDER_MAC);
    store_be32(a + ARP_SENDER_IP, target);
    memcpy(a + ARP_TARGET_MAC, frame + ARP_SENDER_MAC, 6);
    memcpy(a + ARP_TARGET_IP, frame + ARP_SENDER_IP, 4);
    answer_end(local);
}

/* ---- DHCP [RFC 2131] ---- */

enum {
    DHCP_DISCOVER = 1,
    DHCP_OFFER = 2,
    DHCP_REQUEST = 3,
    DHCP_ACK = 5,
    DHCP_NAK = 6,
    DHCP_INFORM = 8
};

struct dhcp_question {
    u8 type; /* 0: plain BOOTP */
    u32 requested, server;
};

static void parse_options(const u8 *p, u32 len, struct dhcp_question *q)
{
    for (u32 at = 0; at < len && p[at] != 255;) {
        if (p[at] == 0) {
            at++;
            continue;
        }
        if (at + 2 > len || p[at + 1] > len - at - 2) {
            return;
        }
        u8 n = p[at + 1];
        const u8 *value = p + at + 2;
        if (p[at] == 53 && n == 1) {
            q->type = value[0];
        } else if (p[at] == 50 && n == 4) {
            q->requested = load_be32(value);
        } else if (p[at] == 54 && n == 4) {
            q->server = load_be32(value);
        }
        at += 2u + n;
    }
}

static u8 *put_option32(u8 *p, u8 code, u32 value)
{
    p[0] = code;
    p[1] = 4;
    store_be32(p + 2, value);
    return p + 6;
}

static void put_options(u8 *p, u8 type)
{
    if (type != 0) {
        p[0] = 53;
        p[1] = 1;
        p[2] = type;
        p = put_option32(p + 3, 54, NET_LOCAL_GATEWAY);
    }
    if (type != DHCP_NAK) {
        p = put_option32(p, 1, NET_LOCAL_MASK);
        p = put_option32(p, 3, NET_LOCAL_GATEWAY);
        p = put_option32(p, 6, NET_LOCAL_DNS);
        p = put_option32(p, 51, LEASE_SECONDS);
    }
    *p = 255;
}

/* One address for the machine's own card. Cards of guests behind it, on a hypervisor's switch, have addresses in the range that Microsoft has for
 * such: theirs follow from the last two octets, so that nothing is to be remembered. */
static u32 lease_of(const u8 *dhcp)
{
    static const u8 virtual_cards[4] = {0x00, 0x15, 0x5d, 0x00};
    const u8 *mac = dhcp + DHCP_CHADDR;
    bool own = memcmp(mac, virtual_cards, sizeof virtual_cards) != 0;
    return own ? NET_LOCAL_GUEST : NET_LOCAL_GUEST + 1 + (mac[4] * 4u + mac[5]) % LEASES;
}

/* The type of the answer; false: none. */
static bool dhcp_answer_type(const struct dhcp_question *q, const u8 *dhcp, u8 *type)
{
    u32 wanted = q->requested != 0 ? q->requested : load_be32(dhcp + DHCP_CIADDR);
    switch (q->type) {
    case 0:
        *type = 0;
        return true;
    case DHCP_DISCOVER:
        *type = DHCP_OFFER;
        return true;
    case DHCP_REQUEST:
        *type = wanted == lease_of(dhcp) ? DHCP_ACK : DHCP_NAK;
        return q->server == 0 || q->server == NET_LOCAL_GATEWAY;
    case DHCP_INFORM:
        *type = DHCP_ACK;
        return true;
    default: /* a release or decline wants no answer */
        return false;
    }
}

#define DHCP_ANSWER_SIZE 300u /* what BOOTP clients expect at least */

static void answer_dhcp(struct net_local *local, const u8 *dhcp, u32 len)
{
    static const u8 everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct dhcp_question q = {0};
    u8 type;
    if (len < DHCP_OPTIONS || dhcp[DHCP_OP] != 1 || dhcp[1] != 1 || dhcp[2] != 6) {
        return;
    }
    if (load_be32(dhcp + DHCP_MAGIC) == DHCP_MAGIC_VALUE) {
        parse_options(dhcp + DHCP_OPTIONS, len - DHCP_OPTIONS, &q);
    }
    u32 udp_len = UDP_SIZE + DHCP_ANSWER_SIZE;
    u8 *a = dhcp_answer_type(&q, dhcp, &type) ? answer_begin(local, ETH_SIZE + IPV4_SIZE + udp_len)
                                              : NULL;
    if (a == NULL) {
        return;
    }
    bool broadcast = type == DHCP_NAK || (load_be16(dhcp + DHCP_FLAGS) & DHCP_FLAG_BROADCAST) != 0;
    u8 *ip = a + ETH_SIZE, *udp = ip + IPV4_SIZE, *d = udp + UDP_SIZE;
    memcpy(d, dhcp, DHCP_CIADDR); /* htype, xid, flags */
    d[DHCP_OP] = 2;
    d[3] = 0;
    store_be16(d + 8, 0);
    memcpy(d + DHCP_CHADDR, dhcp + DHCP_CHADDR, 16);
    store_be32(d + DHCP_MAGIC, DHCP_MAGIC_VALUE);
    u32 yours = q.type == DHCP_INFORM || type == DHCP_NAK ? 0 : lease_of(dhcp);
    store_be32(d + DHCP_YIADDR, yours);
    store_be32(d + DHCP_SIADDR, NET_LOCAL_GATEWAY);
    put_options(d + DHCP_OPTIONS, type);
    store_be16(udp + UDP_SRC, DHCP_SERVER_PORT);
    store_be16(udp + UDP_DST, DHCP_CLIENT_PORT);
    store_be16(udp + UDP_LENGTH, (u16)udp_len);
    put_ethernet(a, broadcast ? everyone : dhcp + DHCP_CHADDR, NET_LOCAL_GATEWAY, ETH_TYPE_IPV4);
    u32 to = broadcast || yours == 0 ? ~(u32)0 : yours;
    put_ip(ip, IPV4_SIZE + udp_len, IPV4_PROTOCOL_UDP, NET_LOCAL_GATEWAY, to);
    u16 sum = net_checksum(net_sum(net_pseudo_sum(ip, udp_len), udp, udp_len));
    store_be16(udp + UDP_CHECKSUM, sum != 0 ? sum : 0xffff);
    answer_end(local);
}

/* ---- IPv4 ---- */

static void answer_echo(struct net_local *local, const u8 *frame, const u8 *icmp, u32 len)
{
    const u8 *question = frame + ETH_SIZE;
    if (net_checksum(net_sum(0, icmp, len)) != 0) {
        return;
    }
    u8 *a = answer_begin(local, ETH_SIZE + IPV4_SIZE + len);
    if (a == NULL) {
        return;
    }
    u32 from = load_be32(question + IPV4_DST);
    u8 *reply = a + ETH_SIZE + IPV4_SIZE;
    put_ethernet(a, frame + ETH_SRC, from, ETH_TYPE_IPV4);
    put_ip(a + ETH_SIZE, IPV4_SIZE + len, IPV4_PROTOCOL_ICMP, from, load_be32(question + IPV4_SRC));
    memcpy(reply, icmp, len);
    reply[ICMP_TYPE] = ICMP_ECHO_REPLY;
    store_be16(reply + ICMP_CHECKSUM, 0);
    store_be16(reply + ICMP_CHECKSUM, net_checksum(net_sum(0, reply, len)));
    answer_end(local);
}

/* True: answered, or ours to ignore. */
static bool take_ip(struct net_local *local, const u8 *frame, u32 len)
{
    const u8 *ip = frame + ETH_SIZE;
    u32 have = len - ETH_SIZE;
    if (have < IPV4_SIZE || ip[IPV4_VERSION_LENGTH] >> 4 != 4) {
        return false;
    }
    u32 header = (ip[IPV4_VERSION_LENGTH] & 15u) * 4;
    u32 total = load_be16(ip + IPV4_TOTAL_LENGTH);
    bool fragment = (load_be16(ip + IPV4_FRAGMENT) & 0x3fff) != 0;
    if (header < IPV4_SIZE || total > have || total < header || fragment) {
        return false;
    }
    const u8 *payload = ip + header;
    u32 n = total - header;
    if (ip[IPV4_PROTOCOL] == IPV4_PROTOCOL_UDP && n >= UDP_SIZE &&
        load_be16(payload + UDP_DST) == DHCP_SERVER_PORT) {
        answer_dhcp(local, payload + UDP_SIZE, n - UDP_SIZE);
        return true;
    }
    if (ip[IPV4_PROTOCOL] == IPV4_PROTOCOL_ICMP && n >= ICMP_SIZE &&
        payload[ICMP_TYPE] == ICMP_ECHO_REQUEST && is_ours(load_be32(ip + IPV4_DST)) &&
        n <= NET_FRAME_MAX - ETH_SIZE - IPV4_SIZE) {
        answer_echo(local, frame, payload, n);
        return true;
    }
    return false;
}

/* ---- Names ---- */

static u32 name_key(u16 id, u16 port)
{
    return (u32)port << 16 | id;
}

/* Keep a place; the answer comes through the gate. */
static void expect_name(struct net_local *local, const u8 *frame, u32 len)
{
    struct dns_question q;
    if (dns_parse(frame, len, &q) && answer_begin(local, 0) != NULL) {
        local->answers[(local->first + local->count) % MAX_ANSWERS].name = name_key(q.id, q.port);
        answer_end(local);
    }
}

bool net_local_take(struct net_local *local, const u8 *frame, u32 len)
{
    u16 id, port;
    if (len > NET_FRAME_MAX || !dns_is_answer(frame, len, &id, &port)) {
        return false;
    }
    for (u32 i = 0; i < local->count; i++) {
        struct answer *a = &local->answers[(local->first + i) % MAX_ANSWERS];
        if (a->name == name_key(id, port) && a->len == 0) {
            memcpy(a->frame, frame, len);
            a->len = len;
            return true;
        }
    }
    return false; /* nobody waits any more: it comes now */
}

/* ---- The card ---- */

static void from_card(void *self, const u8 *frame, u32 len)
{
    struct net_local *local = self;
    if (len < ETH_SIZE) {
        return;
    }
    u16 type = load_be16(frame + ETH_TYPE);
    if (type == ETH_TYPE_ARP) {
        answer_arp(local, frame, len);
    } else if (type == ETH_TYPE_IPV4 && take_ip(local, frame, len)) {
        return;
    } else if (type == ETH_TYPE_IPV4) {
        expect_name(local, frame, len);
    }
    netdev_send(&local->outside, frame, len);
}

/* ---- as a device ---- */

static void reset(void *self, enum reset_kind kind)
{
    UNUSED(self); /* a board's reset is nothing to its network */
    UNUSED(kind);
}

static void state(void *self, struct state_io *io)
{
    struct net_local *local = self;
    state_section(io, local->id, 1);
    timer_state(&local->timer, io, "timer");
    state_u32(io, "first", &local->first);
    state_u32(io, "count", &local->count);
    if (local->first >= MAX_ANSWERS || local->count > MAX_ANSWERS) {
        io->failed = true;
        local->first = local->count = 0;
    }
    for (u32 i = 0; i < local->count; i++) {
        struct answer *a = &local->answers[(local->first + i) % MAX_ANSWERS];
        state_u64(io, "deadline", &a->deadline_ns);
        state_u32(io, "len", &a->len);
        state_u32(io, "name", &a->name);
        if (a->len > NET_FRAME_MAX) {
            io->failed = true;
            a->len = 0;
        }
        state_bytes(io, "frame", a->frame, a->len);
    }
}

static void destroy(void *self)
{
    free(self);
}

static const struct device_ops local_ops = {
    .type = "net-local", .reset = reset, .state = state, .destroy = destroy};

struct net_local *net_local_new(const struct device_env *env, const char *id,
                                struct net_backend outside)
{
    struct net_local *local = calloc(1, sizeof *local);
    sim_assert(local != NULL);
    local->clock = env->clock;
    local->outside = outside;
    (void)snprintf(local->id, sizeof local->id, "%s", id);
    timer_init(&local->timer, env->clock, "net-local", fire, local);
    bus_add_device(env->bus, &local_ops, local, id);
    return local;
}

struct net_backend net_local_backend(struct net_local *local)
{
    return (struct net_backend){.send = from_card, .self = local};
}

void net_local_attach(struct net_local *local, struct net_port port)
{
    local->port = port;
}
