/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMBus: control messages, the rings of a channel, packets in them. Not in the TLFS; read from Linux (include/linux/hyperv.h, drivers/hv) and
 * OpenVMM (vm/devices/vmbus), which agree. Little endian, packed by nature. Left out: hv_sock, isolation, monitor pages' layout. */
#ifndef ABI_HYPERV_VMBUS_H
#define ABI_HYPERV_VMBUS_H

#include <stdint.h>

#define VMBUS_SINT 2u
#define VMBUS_CONNECTION 1u      /* before version 5.0 */
#define VMBUS_CONNECTION_MULTI 4u /* from 5.0 on */
#define VMBUS_MESSAGE_TYPE 1u

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define VMBUS_2_4 VMBUS_VERSION(2, 4)
#define VMBUS_3_0 VMBUS_VERSION(3, 0)
#define VMBUS_4_0 VMBUS_VERSION(4, 0)
#define VMBUS_4_1 VMBUS_VERSION(4, 1)
#define VMBUS_5_0 VMBUS_VERSION(5, 0)
#define VMBUS_5_1 VMBUS_VERSION(5, 1)
#define VMBUS_5_2 VMBUS_VERSION(5, 2)
#define VMBUS_5_3 VMBUS_VERSION(5, 3)

enum vmbus_message {
    VMBUS_OFFERCHANNEL = 1,
    VMBUS_RESCIND_OFFER = 2,
    VMBUS_REQUESTOFFERS = 3,
    VMBUS_ALLOFFERS_DELIVERED = 4,
    VMBUS_OPENCHANNEL = 5,
    VMBUS_OPENCHANNEL_RESULT = 6,
    VMBUS_CLOSECHANNEL = 7,
    VMBUS_GPADL_HEADER = 8,
    VMBUS_GPADL_BODY = 9,
    VMBUS_GPADL_CREATED = 10,
    VMBUS_GPADL_TEARDOWN = 11,
    VMBUS_GPADL_TORNDOWN = 12,
    VMBUS_RELID_RELEASED = 13,
    VMBUS_INITIATE_CONTACT = 14,
    VMBUS_VERSION_RESPONSE = 15,
    VMBUS_UNLOAD = 16,
    VMBUS_UNLOAD_RESPONSE = 17,
    VMBUS_MODIFYCHANNEL = 22,
    VMBUS_MODIFYCHANNEL_RESPONSE = 24,
};

struct vmbus_header {
    uint32_t type, zero;
};

struct vmbus_guid {
    uint8_t bytes[16];
};

struct vmbus_offer {
    struct vmbus_header header;
    struct vmbus_guid interface, instance;
    uint64_t reserved0[2];
    uint16_t flags, mmio_megabytes;
    uint8_t user[120];
    uint16_t subchannel, reserved1;
    uint32_t relid;
    uint8_t monitor, monitor_allocated;
    uint16_t dedicated; /* bit 0: the interrupt is this channel's alone */
    uint32_t connection;
};
_Static_assert(sizeof(struct vmbus_offer) == 200 && __builtin_offsetof(struct vmbus_offer, connection) == 192, "offer");
#define VMBUS_OFFER_BYTES 196u
#define VMBUS_OFFER_PIPE 0x10u /* user data: u32 mode, 4: messages */
#define VMBUS_PIPE_MESSAGES 4u

struct vmbus_relid { /* RESCIND_OFFER, CLOSECHANNEL, RELID_RELEASED */
    struct vmbus_header header;
    uint32_t relid;
};

struct vmbus_open {
    struct vmbus_header header;
    uint32_t relid, open_id, gpadl, vp, downstream;
    uint8_t user[120];
};
_Static_assert(sizeof(struct vmbus_open) == 148, "open");
#define VMBUS_VP_NONE 0xffffffffu

struct vmbus_result { /* OPENCHANNEL_RESULT, GPADL_CREATED: id is the open id, the GPADL */
    struct vmbus_header header;
    uint32_t relid, id, status;
};
#define VMBUS_FAILED 0xc0000001u

struct vmbus_gpadl_header {
    struct vmbus_header header;
    uint32_t relid, gpadl;
    uint16_t range_bytes, range_count;
    uint32_t byte_count, byte_offset; /* of the first range; PFNs follow, u64 each, 4 bytes off their alignment */
};
_Static_assert(sizeof(struct vmbus_gpadl_header) == 28, "GPADL header");

struct vmbus_gpadl_body {
    struct vmbus_header header;
    uint32_t number, gpadl; /* PFNs follow */
};

struct vmbus_gpadl_teardown {
    struct vmbus_header header;
    uint32_t relid, gpadl;
};

struct vmbus_gpadl_torndown {
    struct vmbus_header header;
    uint32_t gpadl;
};

struct vmbus_contact {
    struct vmbus_header header;
    uint32_t version, vp;
    uint64_t interrupt_page; /* from 5.0 on: byte 0 SINT, byte 1 VTL, 63:32 features */
    uint64_t monitor[2];
};
_Static_assert(sizeof(struct vmbus_contact) == 40, "initiate contact");

struct vmbus_version_response {
    struct vmbus_header header;
    uint8_t supported, state;
    uint16_t zero;
    uint32_t connection;
};

struct vmbus_modify {
    struct vmbus_header header;
    uint32_t relid, value; /* VP; in the response the status */
};

/* Control page of a ring; the data begin in the next page. */
struct vmbus_ring_control {
    uint32_t write, read, mask, pending;
    uint32_t reserved[12];
    uint32_t features;
    uint32_t reserved2;
    uint64_t interrupts;
};
_Static_assert(__builtin_offsetof(struct vmbus_ring_control, features) == 64, "ring's features");
#define VMBUS_RING_PENDING 1u /* the feature: `pending` is used */

enum vmbus_packet {
    VMBUS_PACKET_INBAND = 6,
    VMBUS_PACKET_TRANSFER_PAGES = 7,
    VMBUS_PACKET_GPADL = 8,
    VMBUS_PACKET_GPA_DIRECT = 9,
    VMBUS_PACKET_COMPLETION = 11,
};
#define VMBUS_PACKET_ASKS 1u /* a completion is wanted */

struct vmbus_descriptor {
    uint16_t type, offset, length, flags; /* offset of the payload and length of all: in units of 8 bytes */
    uint64_t transaction;
};

struct vmbus_gpa_direct { /* behind the descriptor; ranges follow: bytes u32, offset u32, PFN u64 each */
    uint32_t zero, count;
};

struct vmbus_transfer_pages { /* behind the descriptor; ranges follow: bytes u32, offset u32 */
    uint16_t set;
    uint8_t sender_owns, zero;
    uint32_t count;
};

#endif
