/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Synthetic network over VMBus: NVSP messages and the RNDIS ones that they carry. Read from Linux (drivers/net/hyperv) and OpenVMM (netvsp). */
#ifndef ABI_HYPERV_NETVSP_H
#define ABI_HYPERV_NETVSP_H

#include <stdint.h>

/* f8615163-df3e-46c5-913f-f2d2f965ed0e */
#define NETVSP_INTERFACE                                                                                     \
    {{0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e}}

#define NVSP_1 2u
#define NVSP_2 0x30002u
#define NVSP_4 0x40000u
#define NVSP_5 0x50000u
#define NVSP_6 0x60000u
#define NVSP_6_1 0x60001u

enum nvsp_type {
    NVSP_INIT = 1,
    NVSP_INIT_COMPLETE = 2,
    NVSP_NDIS_VERSION = 100,
    NVSP_SEND_RECV_BUF = 101,
    NVSP_SEND_RECV_BUF_COMPLETE = 102,
    NVSP_REVOKE_RECV_BUF = 103,
    NVSP_SEND_SEND_BUF = 104,
    NVSP_SEND_SEND_BUF_COMPLETE = 105,
    NVSP_REVOKE_SEND_BUF = 106,
    NVSP_RNDIS_PACKET = 107,
    NVSP_RNDIS_PACKET_COMPLETE = 108,
    NVSP_NDIS_CONFIG = 125,
    NVSP_SUBCHANNEL = 133,
};

#define NVSP_STATUS_SUCCESS 1u
#define NVSP_STATUS_FAIL 2u
#define NVSP_CONTROL 1u
#define NVSP_DATA 0u
#define NVSP_NO_SECTION 0xffffffffu
#define NVSP_BYTES 40u

struct nvsp_message {
    uint32_t type;
    union {
        struct {
            uint32_t min, max;
        } init;
        struct {
            uint32_t version, max_mdl_chain, status;
        } init_complete;
        struct {
            uint32_t gpadl;
            uint16_t id;
        } buffer;
        struct {
            uint16_t id;
        } revoke;
        struct {
            uint32_t status, sections, offset, size, count, end;
        } receive_complete;
        struct {
            uint32_t status, section_size;
        } send_complete;
        struct {
            uint32_t channel, section, section_size;
        } packet;
        struct {
            uint32_t status;
        } packet_complete;
        struct {
            uint32_t status, count;
        } subchannel;
        uint32_t words[9];
    };
};
_Static_assert(sizeof(struct nvsp_message) == NVSP_BYTES, "NVSP message");

#define RNDIS_PACKET 1u
#define RNDIS_INITIALIZE 2u
#define RNDIS_HALT 3u
#define RNDIS_QUERY 4u
#define RNDIS_SET 5u
#define RNDIS_RESET 6u
#define RNDIS_INDICATE_STATUS 7u
#define RNDIS_KEEPALIVE 8u
#define RNDIS_ANSWER 0x80000000u
#define RNDIS_HEADER 8u /* type, bytes; offsets in bodies count from behind it */

#define RNDIS_STATUS_SUCCESS 0u
#define RNDIS_STATUS_CONNECT 0x4001000bu
#define RNDIS_STATUS_DISCONNECT 0x4001000cu
#define RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define RNDIS_STATUS_INVALID_DATA 0xc0010015u

struct rndis_packet {
    uint32_t type, bytes;
    uint32_t offset, length, oob_offset, oob_length, oob_count, info_offset, info_length, reserved[2];
};
_Static_assert(sizeof(struct rndis_packet) == 44, "RNDIS packet");

struct rndis_request { /* QUERY, SET; the answers begin with id and status */
    uint32_t type, bytes;
    uint32_t id, oid, length, offset, reserved;
};

#define OID_MAX_FRAME 0x00010106u
#define OID_LINK_SPEED 0x00010107u
#define OID_MEDIA_CONNECT 0x00010114u
#define OID_PACKET_FILTER 0x0001010eu
#define OID_RSS_CAPABILITIES 0x00010203u
#define OID_FRIENDLY_NAME 0x00020216u
#define OID_PERMANENT_ADDRESS 0x01010101u
#define OID_CURRENT_ADDRESS 0x01010102u
#define OID_OFFLOAD_PARAMETERS 0xfc01020cu
#define OID_OFFLOAD_CAPABILITIES 0xfc01020du
#define NDIS_OBJECT_OFFLOAD 0xa7u

#endif
