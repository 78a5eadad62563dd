/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guests/lib/packet_trace.h"

#include "abi/hyperv/netvsp.h"
#include "abi/hyperv/storvsp.h"
#include "abi/hyperv/vmbus.h"

/* Protocols of abi/hyperv/vmbus_what.def. */
enum { WHAT_SCSI = 1, WHAT_STORVSP, WHAT_NVSP, WHAT_RNDIS, WHAT_IC };
#define CDB_AT 28u
#define IC_TYPE_AT 12u

static u32 number_at(const u8 *data, u32 bytes, u32 at, u32 size)
{
    u32 v = 0;
    if (at + size <= bytes) {
        memcpy(&v, data + at, size);
    }
    return v;
}

static u64 what_of(const u8 *interface, const u8 *data, u32 bytes)
{
    static const struct vmbus_guid storage = STORVSP_INTERFACE, network = NETVSP_INTERFACE;
    u32 first = number_at(data, bytes, 0, 4);
    if (memcmp(interface, storage.bytes, 16) == 0) {
        return first == STORVSP_EXECUTE_SRB ? WHAT_SCSI << 16 | number_at(data, bytes, CDB_AT, 1) : WHAT_STORVSP << 16 | (first & 0xffff);
    }
    return memcmp(interface, network.bytes, 16) == 0 ? WHAT_NVSP << 16 | (first & 0xffff) : WHAT_IC << 16 | number_at(data, bytes, IC_TYPE_AT, 2);
}

void trace_packet(enum trace_port_type claim, const struct traced_channel *c, u16 type, u64 transaction, const void *data, u32 bytes)
{
    trace_claim(claim, c->partition, c->relid, transaction, type, what_of(c->interface, data, bytes), bytes);
}

void trace_packet_holds(u64 partition, u32 relid, u64 transaction, u32 rndis, u32 bytes)
{
    u64 what = WHAT_RNDIS << 16 | (rndis & 0x7fff) | (rndis >> 31) << 15;
    trace_claim(CLAIM_packet_holds, partition, relid, transaction, what, bytes);
}
