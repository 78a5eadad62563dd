/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RNDIS: what a guest asks of its adapter, and frames. No offloads, one queue: the answers say so. */
#include "guests/root/network/network.h"

#define SPEED 100000000u /* 10 Gbit/s in units of 100 bit/s */
#define OFFLOAD_BYTES 112u
#define MAX_PACKETS 8u
#define MAX_TRANSFER 0x4000u
#define ALIGNMENT 3u /* 8 bytes */

static bool reply(struct nic *n, const void *head, u32 head_bytes, const void *data, u32 bytes)
{
    return netvsp_send(n, NVSP_CONTROL, head, head_bytes, data, bytes);
}

/* Null: not supported. */
static const void *value_of(const struct nic *n, u32 oid, u32 *bytes)
{
    static u8 buffer[OFFLOAD_BYTES];
    u32 word = 0;
    memset(buffer, 0, sizeof buffer);
    *bytes = 4;
    switch (oid) {
    case OID_MAX_FRAME:
        word = LINK_FRAME - FRAME_MIN;
        break;
    case OID_LINK_SPEED:
        word = SPEED;
        break;
    case OID_MEDIA_CONNECT: /* 0: it is */
        break;
    case OID_PERMANENT_ADDRESS:
    case OID_CURRENT_ADDRESS:
        memcpy(buffer, n->mac, 6);
        *bytes = 6;
        return buffer;
    case OID_FRIENDLY_NAME:
        *bytes = (u32)strlen(n->name);
        return n->name;
    case OID_OFFLOAD_CAPABILITIES:
        buffer[0] = NDIS_OBJECT_OFFLOAD;
        buffer[1] = 1;
        buffer[2] = OFFLOAD_BYTES;
        *bytes = OFFLOAD_BYTES;
        return buffer;
    default:
        return NULL;
    }
    memcpy(buffer, &word, sizeof word);
    return buffer;
}

static bool query(struct nic *n, const struct rndis_request *q)
{
    u32 bytes = 0;
    const void *value = value_of(n, q->oid, &bytes);
    bool ok = value != NULL && (bytes <= q->length || q->length == 0);
    bytes = ok ? bytes : 0;
    const u32 head[6] = {RNDIS_QUERY | RNDIS_ANSWER, (u32)sizeof head + bytes, q->id,
                         ok ? RNDIS_STATUS_SUCCESS : (value == NULL ? RNDIS_STATUS_NOT_SUPPORTED : RNDIS_STATUS_INVALID_DATA), bytes,
                         bytes != 0 ? 16 : 0};
    return reply(n, head, sizeof head, value, bytes);
}

static bool set(struct nic *n, const struct rndis_request *q, const u8 *message, u32 bytes)
{
    u32 status = RNDIS_STATUS_SUCCESS;
    u64 at = (u64)RNDIS_HEADER + q->offset;
    bool there = at + q->length <= bytes;
    if (q->oid == OID_PACKET_FILTER && there && q->length >= 4) {
        memcpy(&n->filter, message + at, 4);
    } else if (q->oid != OID_OFFLOAD_PARAMETERS || !there) {
        status = there ? RNDIS_STATUS_NOT_SUPPORTED : RNDIS_STATUS_INVALID_DATA;
    }
    const u32 answer[4] = {RNDIS_SET | RNDIS_ANSWER, sizeof answer, q->id, status};
    return reply(n, answer, sizeof answer, NULL, 0);
}

bool rndis_control(struct nic *n, const u8 *message, u32 bytes)
{
    struct rndis_request q;
    u32 size;
    if (bytes < RNDIS_HEADER + 4) {
        return false;
    }
    memset(&q, 0, sizeof q);
    memcpy(&q, message, min_u64(bytes, sizeof q));
    memcpy(&size, message + 4, 4);
    if (size > bytes || size < RNDIS_HEADER + 4) {
        return false;
    }
    switch (q.type) {
    case RNDIS_INITIALIZE: {
        const u32 answer[13] = {RNDIS_INITIALIZE | RNDIS_ANSWER, sizeof answer, q.id, RNDIS_STATUS_SUCCESS, 1, 0, 1, 0,
                                MAX_PACKETS, MAX_TRANSFER, ALIGNMENT, 0, 0};
        n->initialized = true;
        n->filter = 0;
        return reply(n, answer, sizeof answer, NULL, 0);
    }
    case RNDIS_HALT:
        n->initialized = false;
        n->filter = 0;
        return true;
    case RNDIS_QUERY:
        return size >= sizeof q && query(n, &q);
    case RNDIS_SET:
        return size >= sizeof q && set(n, &q, message, size);
    case RNDIS_RESET: {
        const u32 answer[4] = {RNDIS_RESET | RNDIS_ANSWER, sizeof answer, RNDIS_STATUS_SUCCESS, 0};
        return reply(n, answer, sizeof answer, NULL, 0);
    }
    case RNDIS_KEEPALIVE: {
        const u32 answer[4] = {RNDIS_KEEPALIVE | RNDIS_ANSWER, sizeof answer, q.id, RNDIS_STATUS_SUCCESS};
        return reply(n, answer, sizeof answer, NULL, 0);
    }
    default:
        return false;
    }
}

bool rndis_data(struct nic *n, const u8 *message, u32 bytes)
{
    for (u32 at = 0; at < bytes;) {
        struct rndis_packet p;
        if (bytes - at < sizeof p) {
            return false;
        }
        memcpy(&p, message + at, sizeof p);
        u64 from = (u64)RNDIS_HEADER + p.offset;
        if (p.type != RNDIS_PACKET || p.bytes < sizeof p || p.bytes > bytes - at || from + p.length > p.bytes) {
            return false;
        }
        n->frames_out++;
        if (n->initialized && n->port != NULL) {
            switch_frame(n->port, message + at + from, p.length);
        }
        at += (u32)align_up(p.bytes, 1u << ALIGNMENT);
    }
    return true;
}
