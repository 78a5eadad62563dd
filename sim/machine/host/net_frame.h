/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Offsets in Ethernet, ARP, IPv4, UDP, ICMP and DHCP packets [RFC 826, 791, 768, 792, 2131]. */
#ifndef VITRINE_MACHINE_HOST_NET_FRAME_H
#define VITRINE_MACHINE_HOST_NET_FRAME_H

#include "base/bytes.h"
#include "base/types.h"

#define ETH_DST 0
#define ETH_SRC 6
#define ETH_TYPE 12
#define ETH_SIZE 14u
#define ETH_TYPE_IPV4 0x0800
#define ETH_TYPE_ARP 0x0806

/* From the frame's start. */
#define ARP_OP 20
#define ARP_SENDER_MAC 22
#define ARP_SENDER_IP 28
#define ARP_TARGET_MAC 32
#define ARP_TARGET_IP 38
#define ARP_FRAME_SIZE 42u
#define ARP_REQUEST 1
#define ARP_REPLY 2

/* From the IP header's start. (The C library has IP_TTL and its like for itself.) */
#define IPV4_VERSION_LENGTH 0
#define IPV4_TOTAL_LENGTH 2
#define IPV4_FRAGMENT 6
#define IPV4_TTL 8
#define IPV4_PROTOCOL 9
#define IPV4_CHECKSUM 10
#define IPV4_SRC 12
#define IPV4_DST 16
#define IPV4_SIZE 20u
#define IPV4_PROTOCOL_ICMP 1
#define IPV4_PROTOCOL_TCP 6
#define IPV4_PROTOCOL_UDP 17

#define UDP_SRC 0
#define UDP_DST 2
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6
#define UDP_SIZE 8u

#define ICMP_TYPE 0
#define ICMP_CHECKSUM 2
#define ICMP_SIZE 8u
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_OP 0
#define DHCP_XID 4
#define DHCP_FLAGS 10
#define DHCP_CIADDR 12
#define DHCP_YIADDR 16
#define DHCP_SIADDR 20
#define DHCP_GIADDR 24
#define DHCP_CHADDR 28
#define DHCP_MAGIC 236
#define DHCP_OPTIONS 240u
#define DHCP_MAGIC_VALUE 0x63825363u
#define DHCP_FLAG_BROADCAST 0x8000

/* One's complement sum of 16-bit words [RFC 1071], to be continued; start with 0. */
static inline u32 net_sum(u32 sum, const u8 *data, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += load_be16(data + i);
    }
    return (n & 1) != 0 ? sum + ((u32)data[n - 1] << 8) : sum;
}

static inline u16 net_checksum(u32 sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (u16)~sum;
}

/* The pseudo header of UDP and TCP. */
static inline u32 net_pseudo_sum(const u8 *ip, u32 length)
{
    return net_sum(ip[IPV4_PROTOCOL] + length, ip + IPV4_SRC, 8);
}

#endif
