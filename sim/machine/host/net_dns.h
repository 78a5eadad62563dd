/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names on the user network: questions to the name server 10.0.2.3 [RFC 1035]. The packets are taken apart and
 * built in net_dns.c, which knows no host; net_lookup.c asks the host. */
#ifndef VITRINE_MACHINE_HOST_NET_DNS_H
#define VITRINE_MACHINE_HOST_NET_DNS_H

#include "base/types.h"

#define DNS_TYPE_A 1u
#define DNS_TYPE_PTR 12u
#define DNS_TYPE_AAAA 28u

#define DNS_OK 0u
#define DNS_SERVER_FAILURE 2u
#define DNS_NO_SUCH_NAME 3u

#define DNS_MAX_ADDRESSES 8u
#define DNS_NAME_SIZE 256u

struct dns_question {
    u16 id, port; /* of the asker */
    u16 type;
    char name[DNS_NAME_SIZE]; /* with dots, small letters, none at the end */
    u32 question, question_len; /* its bytes in the frame */
};

struct dns_reply {
    unsigned code;
    u32 addresses[DNS_MAX_ADDRESSES];
    unsigned count;
    char name[DNS_NAME_SIZE]; /* of a PTR */
};

/* Is the frame a question that is answered here: one, for an address or the name of one, to the name server?
 * Others (mail, services) are slirp's. */
bool dns_parse(const u8 *frame, u32 len, struct dns_question *q);
/* The frame that answers; `out` has room for NET_FRAME_MAX. */
u32 dns_build(const u8 *frame, const struct dns_question *q, const struct dns_reply *reply, u8 *out);
/* Is it an answer of the name server; to which question? */
bool dns_is_answer(const u8 *frame, u32 len, u16 *id, u16 *port);

/* Names that need no host: host.vitrine, dns.vitrine, localhost, and back. False: ask the host. */
bool dns_fixed(const struct dns_question *q, struct dns_reply *reply);
/* What the host says: its hosts file, its name servers; its loopback addresses mean the gateway. Waits, at most
 * a quarter of a minute, or until *interrupted. */
void net_lookup(const struct dns_question *q, const volatile int *interrupted, struct dns_reply *reply);

#endif
