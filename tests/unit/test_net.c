/* SPDX-License-Identifier: GPL-3.0-or-later */
/* User networking: what net_local answers, when, and that it survives save and restore; hostfwd
 * texts; a TCP connection through slirp to a socket on loopback, and one the other way. */
#include "machine/host/net.h"
#include "machine/host/net_dns.h"
#include "machine/host/net_frame.h"
#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct net_rig {
    struct log log;
    struct clock clock;
    struct bus bus;
    struct device_env env;
    struct net_local *local;
    u8 got[NET_FRAME_MAX]; /* the last frame delivered */
    u32 got_len, got_count;
    u64 got_ns;
    u32 passed; /* frames that went on to the outside */
    /* Frames from slirp, in order. */
    u8 in[64][NET_FRAME_MAX];
    u32 in_len[64], in_count, in_taken;
};

static const u8 guest_mac[6] = {0x52, 0x54, 0, 1, 2, 3};
static const u8 gateway_mac[6] = {0x52, 0x55, 10, 0, 2, 2};

static bool on_deliver(void *self, const u8 *frame, u32 len)
{
    struct net_rig *rig = self;
    memcpy(rig->got, frame, len);
    rig->got_len = len;
    rig->got_count++;
    rig->got_ns = clock_now(&rig->clock).ns;
    return true;
}

static void on_pass(void *self, const u8 *frame, u32 len)
{
    struct net_rig *rig = self;
    UNUSED(frame);
    UNUSED(len);
    rig->passed++;
}

static struct net_rig *net_rig_new(struct net_backend outside)
{
    struct net_rig *rig = calloc(1, sizeof *rig);
    log_init(&rig->log);
    clock_init(&rig->clock, 1000000000, 1000000000);
    bus_init(&rig->bus, &rig->log);
    rig->env = (struct device_env){.clock = &rig->clock, .log = &rig->log, .bus = &rig->bus};
    if (outside.send == on_pass) {
        outside.self = rig;
    }
    rig->local = net_local_new(&rig->env, "net-local", outside);
    net_local_attach(rig->local, (struct net_port){.deliver = on_deliver, .self = rig});
    return rig;
}

static void net_rig_free(struct net_rig *rig)
{
    bus_free(&rig->bus);
    free(rig);
}

static void net_rig_run(struct net_rig *rig, u64 ns)
{
    u64 end = clock_now(&rig->clock).ns + ns;
    while (clock_next_deadline(&rig->clock).ns <= end) {
        clock_skip_to(&rig->clock, clock_next_deadline(&rig->clock));
        clock_fire_due(&rig->clock);
    }
    clock_skip_to(&rig->clock, (vtime_t){end});
}

static u64 net_rig_hash(struct net_rig *rig)
{
    struct state_io io;
    state_init_hash(&io);
    bus_state(&rig->bus, &io);
    return io.hash;
}

static void card_send(struct net_rig *rig, const u8 *frame, u32 len)
{
    struct net_backend b = net_local_backend(rig->local);
    netdev_send(&b, frame, len);
}

static u32 make_arp(u8 *f, u32 target)
{
    memset(f, 0xff, 6);
    memcpy(f + ETH_SRC, guest_mac, 6);
    store_be16(f + ETH_TYPE, ETH_TYPE_ARP);
    store_be16(f + 14, 1);
    store_be16(f + 16, ETH_TYPE_IPV4);
    f[18] = 6;
    f[19] = 4;
    store_be16(f + ARP_OP, ARP_REQUEST);
    memcpy(f + ARP_SENDER_MAC, guest_mac, 6);
    store_be32(f + ARP_SENDER_IP, NET_LOCAL_GUEST);
    memset(f + ARP_TARGET_MAC, 0, 6);
    store_be32(f + ARP_TARGET_IP, target);
    return ARP_FRAME_SIZE;
}

static u32 make_ip(u8 *f, u8 protocol, u32 from, u32 to, u32 payload)
{
    u8 *ip = f + ETH_SIZE;
    memcpy(f, gateway_mac, 6);
    memcpy(f + ETH_SRC, guest_mac, 6);
    store_be16(f + ETH_TYPE, ETH_TYPE_IPV4);
    memset(ip, 0, IPV4_SIZE);
    ip[0] = 0x45;
    store_be16(ip + IPV4_TOTAL_LENGTH, (u16)(IPV4_SIZE + payload));
    ip[IPV4_TTL] = 64;
    ip[IPV4_PROTOCOL] = protocol;
    store_be32(ip + IPV4_SRC, from);
    store_be32(ip + IPV4_DST, to);
    store_be16(ip + IPV4_CHECKSUM, net_checksum(net_sum(0, ip, IPV4_SIZE)));
    return ETH_SIZE + IPV4_SIZE + payload;
}

START_TEST(arp__answered_after_a_fixed_delay)
{
    struct net_rig *rig = net_rig_new((struct net_backend){.send = on_pass});
    u8 f[64];
    u32 len = make_arp(f, NET_LOCAL_GATEWAY);
    card_send(rig, f, len);
    ck_assert_uint_eq(rig->got_count, 0);
    ck_assert_uint_eq(rig->passed, 1); /* slirp learns the guest's address from it */
    net_rig_run(rig, 1000000);
    ck_assert_uint_eq(rig->got_count, 1);
    ck_assert_uint_eq(rig->got_ns, NET_LOCAL_DELAY_NS);
    ck_assert_int_eq(memcmp(rig->got, guest_mac, 6), 0);
    ck_assert_uint_eq(load_be16(rig->got + ARP_OP), ARP_REPLY);
    ck_assert_int_eq(memcmp(rig->got + ARP_SENDER_MAC, gateway_mac, 6), 0);
    ck_assert_uint_eq(load_be32(rig->got + ARP_SENDER_IP), NET_LOCAL_GATEWAY);
    len = make_arp(f, NET_LOCAL_GUEST); /* probe of its own address: nobody has it */
    card_send(rig, f, len);
    net_rig_run(rig, 1000000);
    ck_assert_uint_eq(rig->got_count, 1);
    net_rig_free(rig);
}
END_TEST

START_TEST(icmp__gateway_and_name_server_answer)
{
    struct net_rig *rig = net_rig_new((struct net_backend){.send = on_pass});
    u8 f[200];
    for (u32 to = NET_LOCAL_GATEWAY; to <= NET_LOCAL_DNS + 1; to++) {
        u32 len = make_ip(f, IPV4_PROTOCOL_ICMP, NET_LOCAL_GUEST, to, 64);
        u8 *icmp = f + ETH_SIZE + IPV4_SIZE;
        for (u8 i = 0; i < 64; i++) {
            icmp[i] = i;
        }
        icmp[0] = ICMP_ECHO_REQUEST;
        icmp[1] = 0;
        store_be16(icmp + ICMP_CHECKSUM, 0);
        store_be16(icmp + ICMP_CHECKSUM, net_checksum(net_sum(0, icmp, 64)));
        card_send(rig, f, len);
        net_rig_run(rig, 1000000);
    }
    ck_assert_uint_eq(rig->got_count, 2);
    ck_assert_uint_eq(rig->passed, 1); /* 10.0.2.4 is not ours */
    const u8 *ip = rig->got + ETH_SIZE;
    ck_assert_uint_eq(load_be32(ip + IPV4_SRC), NET_LOCAL_DNS);
    ck_assert_uint_eq(net_checksum(net_sum(0, ip, IPV4_SIZE)), 0);
    ck_assert_uint_eq(net_checksum(net_sum(0, ip + IPV4_SIZE, 64)), 0);
    ck_assert_uint_eq(ip[IPV4_SIZE], ICMP_ECHO_REPLY);
    ck_assert_uint_eq(ip[IPV4_SIZE + 63], 63);
    net_rig_free(rig);
}
END_TEST

static u32 make_dhcp(u8 *f, u8 type, u32 requested)
{
    u32 size = 300;
    u32 len = make_ip(f, IPV4_PROTOCOL_UDP, 0, ~(u32)0, UDP_SIZE + size);
    u8 *udp = f + ETH_SIZE + IPV4_SIZE, *d = udp + UDP_SIZE;
    memset(udp, 0, UDP_SIZE + size);
    store_be16(udp + UDP_SRC, DHCP_CLIENT_PORT);
    store_be16(udp + UDP_DST, DHCP_SERVER_PORT);
    store_be16(udp + UDP_LENGTH, (u16)(UDP_SIZE + size));
    d[0] = 1;
    d[1] = 1;
    d[2] = 6;
    store_be32(d + DHCP_XID, 0x12345678);
    memcpy(d + DHCP_CHADDR, guest_mac, 6);
    store_be32(d + DHCP_MAGIC, DHCP_MAGIC_VALUE);
    u8 *o = d + DHCP_OPTIONS;
    o[0] = 53;
    o[1] = 1;
    o[2] = type;
    o += 3;
    if (requested != 0) {
        o[0] = 50;
        o[1] = 4;
        store_be32(o + 2, requested);
        o += 6;
    }
    *o = 255;
    return len;
}

static void expect_dhcp(const struct net_rig *rig, u8 type, u32 yours)
{
    const u8 *ip = rig->got + ETH_SIZE, *udp = ip + IPV4_SIZE, *d = udp + UDP_SIZE;
    u32 len = load_be16(udp + UDP_LENGTH);
    ck_assert_uint_eq(net_checksum(net_sum(net_pseudo_sum(ip, len), udp, len)), 0);
    ck_assert_uint_eq(load_be16(udp + UDP_DST), DHCP_CLIENT_PORT);
    ck_assert_uint_eq(load_be32(d + DHCP_XID), 0x12345678);
    ck_assert_uint_eq(load_be32(d + DHCP_YIADDR), yours);
    ck_assert_int_eq(memcmp(d + DHCP_CHADDR, guest_mac, 6), 0);
    ck_assert_uint_eq(d[DHCP_OPTIONS], 53);
    ck_assert_uint_eq(d[DHCP_OPTIONS + 2], type);
}

START_TEST(dhcp__lease_saved_and_restored)
{
    struct net_rig *rig = net_rig_new((struct net_backend){.send = on_pass});
    u8 f[512];
    card_send(rig, f, make_dhcp(f, 1, 0));
    net_rig_run(rig, 1000000);
    expect_dhcp(rig, 2, NET_LOCAL_GUEST);
    card_send(rig, f, make_dhcp(f, 3, 0x0a000263));
    net_rig_run(rig, 1000000);
    expect_dhcp(rig, 6, 0);
    card_send(rig, f, make_dhcp(f, 3, NET_LOCAL_GUEST));
    /* With the answer under way: */
    struct state_io save, load;
    state_init_save(&save);
    clock_state(&rig->clock, &save);
    bus_state(&rig->bus, &save);
    struct net_rig *other = net_rig_new((struct net_backend){.send = on_pass});
    state_init_load(&load, save.data, save.len);
    clock_state(&other->clock, &load);
    bus_state(&other->bus, &load);
    ck_assert(!load.failed);
    ck_assert_uint_eq(net_rig_hash(other), net_rig_hash(rig));
    net_rig_run(rig, 1000000);
    net_rig_run(other, 1000000);
    expect_dhcp(rig, 5, NET_LOCAL_GUEST);
    expect_dhcp(other, 5, NET_LOCAL_GUEST);
    ck_assert_uint_eq(rig->got_ns, other->got_ns);
    ck_assert_uint_eq(net_rig_hash(other), net_rig_hash(rig));
    ck_assert_uint_eq(rig->passed, 0); /* never a matter of the host */
    card_send(rig, f, make_dhcp(f, 7, 0));
    net_rig_run(rig, 1000000);
    ck_assert_uint_eq(rig->got_count, 3);
    state_free(&save);
    net_rig_free(other);
    net_rig_free(rig);
}
END_TEST

/* Frames cut anywhere and with any bytes. */
static u32 make_question(u8 *f, u16 id, u16 type, const char *name)
{
    u8 *udp = f + ETH_SIZE + IPV4_SIZE, *dns = udp + UDP_SIZE, *p = dns + 12;
    memset(udp, 0, 300);
    store_be16(dns, id);
    store_be16(dns + 2, 0x0100);
    store_be16(dns + 4, 1);
    while (*name != '\0') {
        size_t n = strcspn(name, ".");
        *p++ = (u8)n;
        memcpy(p, name, n);
        p += n;
        name += n + (name[n] == '.' ? 1 : 0);
    }
    store_be16(p + 1, type);
    store_be16(p + 3, 1);
    u32 size = (u32)(p + 5 - udp);
    store_be16(udp + UDP_SRC, 4000);
    store_be16(udp + UDP_DST, 53);
    store_be16(udp + UDP_LENGTH, (u16)size);
    return make_ip(f, IPV4_PROTOCOL_UDP, NET_LOCAL_GUEST, NET_LOCAL_DNS, size);
}

/* The answer leaves at a fixed time after the question, whenever it comes in before. */
START_TEST(dns__answered_after_a_fixed_delay)
{
    for (u64 early = 0; early < 2; early++) {
        struct net_rig *rig = net_rig_new((struct net_backend){.send = on_pass});
        u8 f[400], a[NET_FRAME_MAX];
        struct dns_question q;
        struct dns_reply reply;
        u32 len = make_question(f, 77, DNS_TYPE_A, "Host.Vitrine");
        ck_assert(dns_parse(f, len, &q));
        ck_assert_str_eq(q.name, "host.vitrine");
        ck_assert(dns_fixed(&q, &reply));
        card_send(rig, f, len);
        ck_assert_uint_eq(rig->passed, 1);
        u32 n = dns_build(f, &q, &reply, a);
        net_rig_run(rig, early * NET_LOCAL_DELAY_NS / 2);
        ck_assert(net_local_take(rig->local, a, n));
        ck_assert(!net_local_take(rig->local, a, n)); /* a second one is nobody's */
        ck_assert_uint_eq(rig->got_count, 0);
        net_rig_run(rig, 1000000);
        ck_assert_uint_eq(rig->got_count, 1);
        ck_assert_uint_eq(rig->got_ns, NET_LOCAL_DELAY_NS);
        ck_assert_uint_eq(rig->got_len, n);
        const u8 *dns = rig->got + ETH_SIZE + IPV4_SIZE + UDP_SIZE;
        ck_assert_uint_eq(load_be16(dns), 77);
        ck_assert_uint_eq(load_be16(dns + 2), 0x8180);
        ck_assert_uint_eq(load_be16(dns + 6), 1);
        ck_assert_uint_eq(load_be32(rig->got + n - 4), NET_LOCAL_GATEWAY);
        ck_assert_uint_eq(net_checksum(net_sum(0, rig->got + ETH_SIZE, IPV4_SIZE)), 0);
        net_rig_free(rig);
    }
}
END_TEST

START_TEST(dns__questions)
{
    u8 f[400], a[NET_FRAME_MAX];
    struct dns_question q;
    struct dns_reply reply;
    static const volatile int no_interrupt;
    u32 len = make_question(f, 1, 15, "vitrine"); /* mail: not ours */
    ck_assert(!dns_parse(f, len, &q));
    len = make_question(f, 1, DNS_TYPE_PTR, "2.2.0.10.in-addr.arpa");
    ck_assert(dns_parse(f, len, &q) && dns_fixed(&q, &reply));
    ck_assert_str_eq(reply.name, "host.vitrine");
    len = dns_build(f, &q, &reply, a);
    ck_assert_int_eq(memcmp(a + len - 14, "\4host\7vitrine", 14), 0);
    len = make_question(f, 1, DNS_TYPE_A, "nosuch.invalid");
    ck_assert(dns_parse(f, len, &q) && dns_fixed(&q, &reply));
    ck_assert_uint_eq(reply.code, DNS_NO_SUCH_NAME);
    len = make_question(f, 1, DNS_TYPE_A, "127.0.0.1"); /* the C library knows that without any server */
    ck_assert(dns_parse(f, len, &q) && !dns_fixed(&q, &reply));
    net_lookup(&q, &no_interrupt, &reply);
    ck_assert_uint_eq(reply.code, DNS_OK);
    ck_assert_uint_eq(reply.addresses[0], NET_LOCAL_GATEWAY);
    for (u32 cut = 0; cut < len; cut++) { /* a cut frame is no question */
        ck_assert(!dns_parse(f, cut, &q));
    }
    for (u32 i = 0; i < 20000; i++) { /* nonsense does no harm */
        len = make_question(f, 1, DNS_TYPE_A, "host.vitrine");
        f[ETH_SIZE + (u32)rand() % (len - ETH_SIZE)] = (u8)rand();
        f[ETH_SIZE + (u32)rand() % (len - ETH_SIZE)] = (u8)rand();
        if (dns_parse(f, len, &q)) {
            (void)dns_fixed(&q, &reply);
            ck_assert_uint_le(dns_build(f, &q, &reply, a), NET_FRAME_MAX);
        }
    }
}
END_TEST

START_TEST(local__any_frame)
{
    struct net_rig *rig = net_rig_new((struct net_backend){.send = on_pass});
    u8 f[512];
    u64 x = 1;
    for (unsigned round = 0; round < 20000; round++) {
        u32 len = round % 2 == 0 ? make_dhcp(f, 1, 0) : make_arp(f, NET_LOCAL_DNS);
        for (unsigned i = 0; i < round % 5; i++) {
            x = x * 6364136223846793005u + 1;
            f[12 + (x >> 33) % (len - 12)] = (u8)(x >> 56);
        }
        card_send(rig, f, round % 7 == 0 ? (u32)((x >> 40) % len) : len);
        if (round % 3 == 0) {
            net_rig_run(rig, 300000);
        }
    }
    net_rig_free(rig);
}
END_TEST

START_TEST(hostfwd__texts)
{
    struct net_hostfwd f;
    struct error err = {0};
    ck_assert(net_hostfwd_parse("tcp::5555-:22", &f, &err));
    ck_assert(!f.udp && f.host_port == 5555 && f.guest_port == 22);
    ck_assert_uint_eq(f.host_address, INADDR_LOOPBACK);
    ck_assert_uint_eq(f.guest_address, NET_LOCAL_GUEST);
    ck_assert(net_hostfwd_parse("udp:0.0.0.0:53-10.0.2.99:5353", &f, &err));
    ck_assert(f.udp && f.host_address == 0 && f.guest_address == 0x0a000263);
    static const char *const bad[] = {"",           "tcp",        "tcp::1",
                                      "tcp::0-:1",  "tcp::1-:0",  "tcp::99999-:1",
                                      "tcp:x:1-:1", "sctp::1-:1", "tcp::1-:1x"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        err = (struct error){0};
        ck_assert_msg(!net_hostfwd_parse(bad[i], &f, &err), "%s", bad[i]);
        ck_assert_int_eq(err.status, EXIT_STATUS_USAGE);
    }
}
END_TEST

/* ---- through slirp ---- */

#define TCP_SEQ 4
#define TCP_ACK 8
#define TCP_FLAGS 13
#define TCP_SIZE 20u
#define TCP_SYN 2
#define TCP_PSH 8
#define TCP_ACKED 16

static void on_outside(void *self, const u8 *frame, u32 len)
{
    struct net_rig *rig = self;
    if (rig->in_count < ARRAY_LEN(rig->in)) {
        memcpy(rig->in[rig->in_count], frame, len);
        rig->in_len[rig->in_count++] = len;
    }
}

static u64 on_now(void *self)
{
    struct net_rig *rig = self;
    return clock_now(&rig->clock).ns;
}

static u32 make_tcp(u8 *f, u16 from, u16 to, u32 seq, u32 ack, u8 flags, const char *text)
{
    u32 n = (u32)strlen(text);
    u32 len = make_ip(f, IPV4_PROTOCOL_TCP, NET_LOCAL_GUEST, NET_LOCAL_GATEWAY, TCP_SIZE + n);
    u8 *ip = f + ETH_SIZE, *tcp = ip + IPV4_SIZE;
    memset(tcp, 0, TCP_SIZE);
    store_be16(tcp, from);
    store_be16(tcp + 2, to);
    store_be32(tcp + TCP_SEQ, seq);
    store_be32(tcp + TCP_ACK, ack);
    tcp[12] = 5 << 4;
    tcp[TCP_FLAGS] = flags;
    store_be16(tcp + 14, 8192);
    memcpy(tcp + TCP_SIZE, text, n);
    store_be16(tcp + 16,
               net_checksum(net_sum(net_pseudo_sum(ip, TCP_SIZE + n), tcp, TCP_SIZE + n)));
    return len;
}

/* The next TCP segment for the guest, or NULL after a while. */
static const u8 *next_tcp(struct net_rig *rig, struct net_user *user)
{
    for (unsigned i = 0; i < 200; i++) {
        while (rig->in_taken < rig->in_count) {
            const u8 *f = rig->in[rig->in_taken++];
            if (load_be16(f + ETH_TYPE) == ETH_TYPE_IPV4 &&
                f[ETH_SIZE + IPV4_PROTOCOL] == IPV4_PROTOCOL_TCP) {
                return f + ETH_SIZE + IPV4_SIZE;
            }
        }
        net_user_poll(user, 10);
        net_rig_run(rig, 10000000);
    }
    return NULL;
}

static int listener(u16 *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        return -1;
    }
    *port = ntohs(a.sin_port);
    return fd;
}

START_TEST(slirp__tcp_to_loopback)
{
    u16 port = 0;
    int listening = listener(&port);
    if (listening < 0) {
        return; /* no loopback here */
    }
    struct net_rig *rig = net_rig_new((struct net_backend){0});
    struct net_user_options o = {.now_ns = on_now, .outside = on_outside, .owner = rig};
    struct error err = {0};
    struct net_user *user = net_user_new(&o, &err);
    ck_assert_msg(user != NULL, "%s", err.text);
    struct net_backend b = net_user_backend(user);
    u8 f[512];
    netdev_send(&b, f, make_arp(f, NET_LOCAL_GATEWAY));
    ck_assert_uint_eq(rig->in_count, 0); /* the answer is net_local's */
    netdev_send(&b, f, make_tcp(f, 1000, port, 100, 0, TCP_SYN, ""));
    const u8 *tcp = next_tcp(rig, user);
    ck_assert_ptr_nonnull(tcp);
    ck_assert_uint_eq(tcp[TCP_FLAGS] & (TCP_SYN | TCP_ACKED), TCP_SYN | TCP_ACKED);
    ck_assert(net_user_is_busy(user));
    u32 theirs = load_be32(tcp + TCP_SEQ) + 1;
    netdev_send(&b, f, make_tcp(f, 1000, port, 101, theirs, TCP_ACKED, ""));
    netdev_send(&b, f, make_tcp(f, 1000, port, 101, theirs, TCP_ACKED | TCP_PSH, "hello"));
    net_user_poll(user, 10);
    int fd = accept(listening, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    char text[8] = {0};
    ck_assert_int_eq(read(fd, text, 5), 5);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(write(fd, "world", 5), 5);
    do {
        tcp = next_tcp(rig, user);
        ck_assert_ptr_nonnull(tcp);
    } while ((tcp[TCP_FLAGS] & TCP_PSH) == 0);
    ck_assert_int_eq(memcmp(tcp + 4u * (tcp[12] >> 4), "world", 5), 0);
    (void)close(fd);
    (void)close(listening);
    net_user_free(user);
    net_rig_free(rig);
}
END_TEST

START_TEST(slirp__hostfwd_reaches_the_guest)
{
    u16 port = 0;
    int probe = listener(&port); /* a free port */
    if (probe < 0) {
        return;
    }
    struct net_rig *rig = net_rig_new((struct net_backend){0});
    struct net_hostfwd forward = {.host_address = INADDR_LOOPBACK,
                                  .guest_address = NET_LOCAL_GUEST,
                                  .host_port = port,
                                  .guest_port = 22};
    struct net_user_options o = {.now_ns = on_now,
                                 .outside = on_outside,
                                 .owner = rig,
                                 .forwards = &forward,
                                 .forward_count = 1};
    struct error err = {0};
    ck_assert_ptr_null(net_user_new(&o, &err)); /* still taken */
    ck_assert_int_eq(err.status, EXIT_STATUS_USAGE);
    (void)close(probe);
    err = (struct error){0};
    struct net_user *user = net_user_new(&o, &err);
    ck_assert_msg(user != NULL, "%s", err.text);
    struct net_backend b = net_user_backend(user);
    u8 f[512];
    netdev_send(&b, f, make_arp(f, NET_LOCAL_GATEWAY));
    net_user_poll(user, 0);
    ck_assert(!net_user_is_busy(user));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    (void)connect(fd, (struct sockaddr *)&a, sizeof a);
    const u8 *tcp = next_tcp(rig, user);
    ck_assert_ptr_nonnull(tcp);
    ck_assert_uint_eq(load_be16(tcp + 2), 22);
    ck_assert_uint_eq(tcp[TCP_FLAGS], TCP_SYN);
    (void)close(fd);
    net_user_free(user);
    net_rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("net");
    TCase *t = tcase_create("net");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, arp__answered_after_a_fixed_delay);
    tcase_add_test(t, icmp__gateway_and_name_server_answer);
    tcase_add_test(t, dhcp__lease_saved_and_restored);
    tcase_add_test(t, dns__answered_after_a_fixed_delay);
    tcase_add_test(t, dns__questions);
    tcase_add_test(t, local__any_frame);
    tcase_add_test(t, hostfwd__texts);
    tcase_add_test(t, slirp__tcp_to_loopback);
    tcase_add_test(t, slirp__hostfwd_reaches_the_guest);
    suite_add_tcase(s, t);
    return unit_run(s);
}
