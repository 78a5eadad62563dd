/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/host/net_dns.h"

#include "machine/host/net.h"
#include "machine/host/net_frame.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DNS_PORT 53
#define DNS_HEADER 12u
#define DNS_CLASS_IN 1u
#define DNS_TTL 60u

/* Payload of an unfragmented UDP packet; NULL: no such. */
static const u8 *udp_payload(const u8 *frame, u32 len, const u8 **udp, u32 *size)
{
    const u8 *ip = frame + ETH_SIZE;
    if (len < ETH_SIZE + IPV4_SIZE || load_be16(frame + ETH_TYPE) != ETH_TYPE_IPV4 ||
        ip[IPV4_VERSION_LENGTH] >> 4 != 4 || ip[IPV4_PROTOCOL] != IPV4_PROTOCOL_UDP ||
        (load_be16(ip + IPV4_FRAGMENT) & 0x3fff) != 0) {
        return NULL;
    }
    u32 header = (ip[IPV4_VERSION_LENGTH] & 15u) * 4;
    u32 total = load_be16(ip + IPV4_TOTAL_LENGTH);
    if (header < IPV4_SIZE || total > len - ETH_SIZE || total < header + UDP_SIZE) {
        return NULL;
    }
    *udp = ip + header;
    *size = total - header - UDP_SIZE;
    return *udp + UDP_SIZE;
}

/* The labels at `p`; bytes they take, 0: malformed. */
static u32 parse_name(const u8 *p, u32 len, char *name)
{
    u32 at = 0, used = 0;
    while (at < len && p[at] != 0) {
        u32 n = p[at++];
        if (n > 63 || n > len - at || used + n + 1 >= DNS_NAME_SIZE) {
            return 0;
        }
        if (used > 0) {
            name[used++] = '.';
        }
        for (u32 i = 0; i < n; i++) {
            name[used++] = isgraph(p[at + i]) != 0 ? (char)tolower(p[at + i]) : '?';
        }
        at += n;
    }
    name[used] = '\0';
    return at < len ? at + 1 : 0;
}

bool dns_parse(const u8 *frame, u32 len, struct dns_question *q)
{
    const u8 *udp;
    u32 size;
    const u8 *dns = udp_payload(frame, len, &udp, &size);
    memset(q, 0, sizeof *q);
    if (dns == NULL || load_be16(udp + UDP_DST) != DNS_PORT ||
        load_be32(frame + ETH_SIZE + IPV4_DST) != NET_LOCAL_DNS || size < DNS_HEADER ||
        (load_be16(dns + 2) & 0xf800) != 0 || load_be16(dns + 4) != 1) {
        return false;
    }
    u32 n = parse_name(dns + DNS_HEADER, size - DNS_HEADER, q->name);
    if (n == 0 || size - DNS_HEADER - n < 4) {
        return false;
    }
    const u8 *after = dns + DNS_HEADER + n;
    q->id = load_be16(dns);
    q->port = load_be16(udp + UDP_SRC);
    q->type = load_be16(after);
    q->question = (u32)(dns + DNS_HEADER - frame);
    q->question_len = n + 4;
    return load_be16(after + 2) == DNS_CLASS_IN &&
           (q->type == DNS_TYPE_A || q->type == DNS_TYPE_AAAA || q->type == DNS_TYPE_PTR);
}

bool dns_is_answer(const u8 *frame, u32 len, u16 *id, u16 *port)
{
    const u8 *udp;
    u32 size;
    const u8 *dns = udp_payload(frame, len, &udp, &size);
    if (dns == NULL || load_be16(udp + UDP_SRC) != DNS_PORT ||
        load_be32(frame + ETH_SIZE + IPV4_SRC) != NET_LOCAL_DNS || size < DNS_HEADER) {
        return false;
    }
    *id = load_be16(dns);
    *port = load_be16(udp + UDP_DST);
    return true;
}

/* ---- Answers ---- */

/* A record that is about the question's name. */
static u8 *put_record(u8 *p, u16 type, u16 size)
{
    store_be16(p, 0xc000 | DNS_HEADER);
    store_be16(p + 2, type);
    store_be16(p + 4, DNS_CLASS_IN);
    store_be32(p + 6, DNS_TTL);
    store_be16(p + 10, size);
    return p + 12;
}

static u32 put_name(u8 *p, const char *name)
{
    u32 used = 0;
    while (*name != '\0') {
        size_t n = strcspn(name, ".");
        if (n == 0 || n > 63) {
            break;
        }
        p[used++] = (u8)n;
        memcpy(p + used, name, n);
        used += (u32)n;
        name += n + (name[n] == '.' ? 1 : 0);
    }
    p[used++] = 0;
    return used;
}

static void put_headers(const u8 *frame, const struct dns_question *q, u32 dns_len, u8 *out)
{
    u8 *ip = out + ETH_SIZE, *udp = ip + IPV4_SIZE;
    u32 udp_len = UDP_SIZE + dns_len;
    memcpy(out + ETH_DST, frame + ETH_SRC, 6);
    memcpy(out + ETH_SRC, frame + ETH_DST, 6);
    store_be16(out + ETH_TYPE, ETH_TYPE_IPV4);
    ip[IPV4_VERSION_LENGTH] = 0x45;
    store_be16(ip + IPV4_TOTAL_LENGTH, (u16)(IPV4_SIZE + udp_len));
    store_be16(ip + IPV4_FRAGMENT, 0x4000);
    ip[IPV4_TTL] = 64;
    ip[IPV4_PROTOCOL] = IPV4_PROTOCOL_UDP;
    store_be32(ip + IPV4_SRC, NET_LOCAL_DNS);
    memcpy(ip + IPV4_DST, frame + ETH_SIZE + IPV4_SRC, 4);
    store_be16(ip + IPV4_CHECKSUM, net_checksum(net_sum(0, ip, IPV4_SIZE)));
    store_be16(udp + UDP_SRC, DNS_PORT);
    store_be16(udp + UDP_DST, q->port);
    store_be16(udp + UDP_LENGTH, (u16)udp_len);
    u16 sum = net_checksum(net_sum(net_pseudo_sum(ip, udp_len), udp, udp_len));
    store_be16(udp + UDP_CHECKSUM, sum != 0 ? sum : 0xffff);
}

u32 dns_build(const u8 *frame, const struct dns_question *q, const struct dns_reply *reply, u8 *out)
{
    u8 *dns = out + ETH_SIZE + IPV4_SIZE + UDP_SIZE;
    memset(out, 0, NET_FRAME_MAX);
    u8 *p = dns + DNS_HEADER;
    memcpy(p, frame + q->question, q->question_len);
    p += q->question_len;
    u16 records = 0;
    for (unsigned i = 0; q->type == DNS_TYPE_A && i < reply->count; i++, records++) {
        p = put_record(p, DNS_TYPE_A, 4);
        store_be32(p, reply->addresses[i]);
        p += 4;
    }
    if (q->type == DNS_TYPE_PTR && reply->name[0] != '\0') {
        u8 *data = put_record(p, DNS_TYPE_PTR, 0);
        u32 n = put_name(data, reply->name);
        store_be16(data - 2, (u16)n);
        p = data + n;
        records++;
    }
    store_be16(dns, q->id);
    store_be16(dns + 2, (u16)(0x8180 | reply->code)); /* an answer, recursion was there */
    store_be16(dns + 4, 1);
    store_be16(dns + 6, records);
    u32 dns_len = (u32)(p - dns);
    put_headers(frame, q, dns_len, out);
    return ETH_SIZE + IPV4_SIZE + UDP_SIZE + dns_len;
}

/* ---- Names of the network itself ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

bool dns_fixed(const struct dns_question *q, struct dns_reply *reply)
{
    static const struct {
        const char *name, *reverse;
        u32 address;
    } known[] = {{"host.vitrine", "2.2.0.10.in-addr.arpa", NET_LOCAL_GATEWAY},
                 {"dns.vitrine", "3.2.0.10.in-addr.arpa", NET_LOCAL_DNS},
                 {"localhost", "1.0.0.127.in-addr.arpa", 0x7f000001}};
    *reply = (struct dns_reply){.code = DNS_OK};
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(q->name, q->type == DNS_TYPE_PTR ? known[i].reverse : known[i].name) == 0) {
            reply->addresses[0] = known[i].address;
            reply->count = 1;
            (void)snprintf(reply->name, sizeof reply->name, "%s", known[i].name);
            return true;
        }
    }
    reply->code = DNS_NO_SUCH_NAME; /* [RFC 6761] */
    return ends_with(q->name, ".vitrine") || ends_with(q->name, ".invalid") || ends_with(q->name, ".2.0.10.in-addr.arpa");
}
