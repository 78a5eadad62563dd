/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets of VMBus on the trace port, from either end of a channel. */
#ifndef GUESTS_LIB_PACKET_TRACE_H
#define GUESTS_LIB_PACKET_TRACE_H

#include "guests/lib/lib.h"
#include "hv/core/trace_port.h"

/* A channel, as it is called there: partition 0 is the writer's own. */
struct traced_channel {
    u64 partition;
    u32 relid;
    const u8 *interface; /* 16 bytes */
};

/* CLAIM_packet_put or CLAIM_packet_taken; `data`: the packet's payload. */
void trace_packet(enum trace_port_type claim, const struct traced_channel *c, u16 type, u64 transaction, const void *data, u32 bytes);
/* CLAIM_packet_signal: the next hypercall tells the other end of it; CLAIM_packet_work: those that follow are made for it, none for relid 0. */
static inline void trace_packet_calls(enum trace_port_type claim, u64 partition, u32 relid, u64 transaction)
{
    trace_claim(claim, partition, relid, transaction);
}
/* An RNDIS message that the packet carries elsewhere. */
void trace_packet_holds(u64 partition, u32 relid, u64 transaction, u32 rndis, u32 bytes);

#endif
