/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is there somebody at the other end of a link? A DHCP exchange [RFC 2131] and an ARP question [RFC 826], with the link's own address.
 * Frames that are not the answer go where they went before. */
#include "guests/root/net/driver.h"
#include "guests/root/net/link.h"

#define PATIENCE 20000000u /* 2 s, in 100 ns */
#define TRANSACTION 0x56495452u
#define ETHERNET 14u
#define IPV4 20u
#define UDP 8u
#define BOOTP 240u /* with the cookie */
#define OPTION_ROUTER 3
#define OPTION_REQUESTED 50
#define OPTION_TYPE 53
#define OPTION_SERVER 54
#define OPTION_END 255
enum dhcp_type { DHCP_NONE, DHCP_DISCOVER, DHCP_OFFER, DHCP_REQUEST, DHCP_ACK = 5 };

struct probe {
    struct link *link;
    void (*receive)(struct link *l, const void *frame, u32 size);
    enum dhcp_type answer;
    u8 address[4], server[4], router[4], router_mac[6];
    bool has_router_mac;
};

static struct probe probe;

static void put16(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static u32 get16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }

static void take_options(const u8 *p, u32 size)
{
    for (u32 at = 0; at + 2 <= size && p[at] != OPTION_END;) {
        u32 n = p[at] != 0 ? p[at + 1] + 2u : 1;
        if (at + n > size) {
            return;
        }
        if (p[at] == OPTION_TYPE && n == 3) {
            probe.answer = (enum dhcp_type)p[at + 2];
        } else if (p[at] == OPTION_SERVER && n == 6) {
            memcpy(probe.server, p + at + 2, 4);
        } else if (p[at] == OPTION_ROUTER && n >= 6) {
            memcpy(probe.router, p + at + 2, 4);
        }
        at += n;
    }
}

static bool take(const u8 *f, u32 size)
{
    u32 type = size >= ETHERNET + 28 ? get16(f + 12) : 0;
    const u8 *arp = f + ETHERNET;
    if (type == 0x0806 && get16(arp + 6) == 2 && memcmp(arp + 14, probe.router, 4) == 0) {
        memcpy(probe.router_mac, arp + 8, 6);
        probe.has_router_mac = true;
        return true;
    }
    const u8 *bootp = f + ETHERNET + IPV4 + UDP;
    if (type != 0x0800 || size < ETHERNET + IPV4 + UDP + BOOTP || f[ETHERNET] != 0x45 || f[ETHERNET + 9] != 17 ||
        get16(f + ETHERNET + IPV4 + 2) != 68 || bootp[0] != 2 ||
        (get16(bootp + 4) << 16 | get16(bootp + 6)) != TRANSACTION) {
        return false;
    }
    memcpy(probe.address, bootp + 16, 4);
    take_options(bootp + BOOTP, size - (u32)(bootp + BOOTP - f));
    return true;
}

static void receive(struct link *l, const void *frame, u32 size)
{
    if (!take(frame, size) && probe.receive != NULL) {
        probe.receive(l, frame, size);
    }
}

static u32 sum(const u8 *p, u32 n)
{
    u32 s = 0;
    for (u32 i = 0; i < n; i += 2) {
        s += get16(p + i);
    }
    while (s >> 16 != 0) {
        s = (s & 0xffff) + (s >> 16);
    }
    return ~s & 0xffff;
}

static void send_dhcp(enum dhcp_type type)
{
    static const u8 cookie[4] = {99, 130, 83, 99};
    u8 f[ETHERNET + IPV4 + UDP + BOOTP + 32] = {0};
    u8 *ip = f + ETHERNET;
    u8 *udp = ip + IPV4;
    u8 *bootp = udp + UDP;
    u8 *o = bootp + BOOTP;
    memset(f, 0xff, 6);
    memcpy(f + 6, probe.link->mac, 6);
    put16(f + 12, 0x0800);
    bootp[0] = bootp[1] = 1;
    bootp[2] = 6;
    put16(bootp + 4, TRANSACTION >> 16);
    put16(bootp + 6, TRANSACTION & 0xffff);
    put16(bootp + 10, 0x8000); /* the answer by broadcast */
    memcpy(bootp + 28, probe.link->mac, 6);
    memcpy(bootp + 236, cookie, 4);
    *o++ = OPTION_TYPE;
    *o++ = 1;
    *o++ = (u8)type;
    if (type == DHCP_REQUEST) {
        *o++ = OPTION_REQUESTED;
        *o++ = 4;
        memcpy(o, probe.address, 4);
        o += 4;
        *o++ = OPTION_SERVER;
        *o++ = 4;
        memcpy(o, probe.server, 4);
        o += 4;
    }
    *o = OPTION_END;
    ip[0] = 0x45;
    put16(ip + 2, sizeof f - ETHERNET);
    ip[8] = 64;
    ip[9] = 17;
    memset(ip + 16, 0xff, 4);
    put16(ip + 10, sum(ip, IPV4));
    put16(udp, 68);
    put16(udp + 2, 67);
    put16(udp + 4, sizeof f - ETHERNET - IPV4);
    probe.answer = DHCP_NONE;
    probe.link->send(probe.link, f, sizeof f);
}

static void send_arp(void)
{
    u8 f[60] = {0};
    u8 *arp = f + ETHERNET;
    memset(f, 0xff, 6);
    memcpy(f + 6, probe.link->mac, 6);
    put16(f + 12, 0x0806);
    put16(arp, 1);
    put16(arp + 2, 0x0800);
    arp[4] = 6;
    arp[5] = 4;
    put16(arp + 6, 1);
    memcpy(arp + 8, probe.link->mac, 6);
    memcpy(arp + 14, probe.address, 4);
    memcpy(arp + 24, probe.router, 4);
    probe.link->send(probe.link, f, sizeof f);
}

static bool has_offer(void) { return probe.answer == DHCP_OFFER; }
static bool has_ack(void) { return probe.answer == DHCP_ACK; }
static bool has_mac(void) { return probe.has_router_mac; }

static bool wait_for(bool (*what)(void))
{
    u64 end = reference_time() + PATIENCE;
    while (!what() && reference_time() < end) {
        __asm__ volatile("cli");
        if (!net_poll()) {
            __asm__ volatile("sti; hlt");
        }
        __asm__ volatile("cli");
    }
    return what();
}

void cmd_net_probe(char **words, u32 count)
{
    struct link *l = count > 2 ? link_find(words[2]) : link_next(NULL);
    if (l == NULL) {
        print("root: net probe: there is no such network card\n");
        return;
    }
    probe = (struct probe){.link = l, .receive = l->receive};
    l->receive = receive;
    u64 begin = reference_time();
    send_dhcp(DHCP_DISCOVER);
    bool ok = wait_for(has_offer);
    if (ok) {
        send_dhcp(DHCP_REQUEST);
        ok = wait_for(has_ack);
    }
    const u8 *a = probe.address;
    const u8 *r = probe.router;
    print("  %s: DHCP: %s, %u.%u.%u.%u, router %u.%u.%u.%u, %lu us\n", l->name, ok ? "bound" : "no answer", (u32)a[0], (u32)a[1], (u32)a[2],
          (u32)a[3], (u32)r[0], (u32)r[1], (u32)r[2], (u32)r[3], (reference_time() - begin) / 10);
    if (ok) {
        send_arp();
        ok = wait_for(has_mac);
        const u8 *m = probe.router_mac;
        print("  %s: ARP: %s %02x:%02x:%02x:%02x:%02x:%02x\n", l->name, ok ? "the router is" : "no answer", (u32)m[0], (u32)m[1], (u32)m[2],
              (u32)m[3], (u32)m[4], (u32)m[5]);
    }
    l->receive = probe.receive;
    virtio_net_print();
}
