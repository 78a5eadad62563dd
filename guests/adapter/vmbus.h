/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adapter as a client of VMBus: channels that the root offers to VTL 2. Rings and bounce pages are the adapter's own. */
#ifndef GUESTS_ADAPTER_VMBUS_H
#define GUESTS_ADAPTER_VMBUS_H

#include "guests/adapter/adapter.h"

#define VMBUS_SINT 2u
#define VMBUS_CHANNELS 10u
#define RING_PAGES 8u   /* of data, each way */
#define PACKET_MAX 512u /* of what is received: nothing that the adapter asked for is longer */

enum packet_type { PACKET_IN_BAND = 6, PACKET_TRANSFER_PAGES = 7, PACKET_GPA_DIRECT = 9, PACKET_COMPLETION = 11 };
#define PACKET_WANTS_COMPLETION 1u

/* A packet that came, copied: what is behind its 16 bytes, and the payload. */
struct ring_packet {
    u16 type, flags;
    u64 transaction;
    const u8 *extra;
    u32 extra_size;
    const u8 *data;
    u32 size;
};

struct channel;
struct channel_driver {
    void (*opened)(struct channel *c);
    void (*packet)(struct channel *c, const struct ring_packet *p);
    void (*rest)(struct channel *c); /* behind the last packet there was */
    void (*gone)(struct channel *c); /* the offer is withdrawn */
    bool (*settled)(const struct channel *c);
};
extern const struct channel_driver storage_driver, network_driver;

enum channel_state { CHANNEL_FREE, CHANNEL_GPADL, CHANNEL_OPENING, CHANNEL_OPEN, CHANNEL_LEAVING, CHANNEL_FAILED };
struct channel {
    enum channel_state state;
    const struct channel_driver *driver;
    const u8 *interface;
    u32 relid, connection;
    u8 instance[16];
    u32 gpadl;                       /* of the ring */
    u32 shared[2], shared_count;     /* of other buffers */
    u32 left;                        /* that are still to be torn down */
    u8 *ring; /* both control pages and both rings */
    void *owner;
};

/* Asks the root for its bus, and waits, not long, until the devices that it offers are ready. */
void vmbus_init(void);
/* Messages and packets that wait. Under the lock, on VP 0. */
void vmbus_poll(void);
/* False: no room in the ring. Ranges: bytes from the start of `pages`, page numbers; none: in band. */
bool vmbus_send(struct channel *c, enum packet_type type, u16 flags, u64 transaction, const void *data, u32 size, const u64 *pages,
                u32 bytes);
/* Pages of the adapter's as a GPADL of this channel; its number. The answer calls `created`. */
u32 vmbus_share(struct channel *c, const void *start, u32 pages, void (*created)(struct channel *c, u32 gpadl, bool ok));

#endif
