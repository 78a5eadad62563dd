/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VMBus host: one bus for each child, channels that providers offer on it. What comes from a child is copied once and then checked. */
#ifndef GUESTS_ROOT_VMBUS_VMBUS_H
#define GUESTS_ROOT_VMBUS_VMBUS_H

#include "abi/hyperv/vmbus.h"
#include "guests/lib/packet_trace.h"
#include "guests/root/root.h"

#define BUS_CHANNELS 48u /* of a child; hv has 64 connections for it */
#define BUS_GPADLS 64u
#define BUS_QUEUE 128u   /* control messages that wait for the child */
#define GPADL_CHUNKS 16u
#define GPADL_CHUNK 512u
#define GPADL_PAGES (GPADL_CHUNKS * GPADL_CHUNK)
#define BUS_GPADL_PAGES 32768u /* of all GPADLs of a child: 128 MiB */
#define PACKET_BYTES 8192u
#define CHANNEL_TURN 64u /* packets before others have theirs */

struct bus;
struct channel;

/* Pages of the child's that it named; lent to us from when a ring or a buffer is made of them until that ends. */
struct gpadl {
    bool used, created;
    u32 id, relid;
    u32 pages, named; /* how many it will be, how many were named */
    u32 bytes, offset;
    struct gpadl_page {
        u32 gfn, pfn;
    } *chunk[GPADL_CHUNKS];
    u32 lendings;           /* ranges of it that are open */
    struct channel *buffer; /* whose provider uses it beside the ring */
};

struct ring {
    const struct gpadl *gpadl;
    u32 first, size; /* control page in the GPADL; bytes of data */
    u32 index;       /* ours: what is in the child's page is never read back */
};

struct packet {
    u16 type, flags;
    u64 transaction;
    const u8 *data; /* behind the descriptor: extra header, payload */
    u32 extra;      /* bytes between the descriptor and the payload */
    u32 bytes;      /* all of it */
};

/* What a provider is told. None of these may block. */
struct channel_ops {
    const char *name;
    bool (*opened)(struct channel *c); /* false: refused */
    void (*closed)(struct channel *c); /* the ring is about to go */
    /* False: nonsense that a driver does not send; the channel is dropped. */
    bool (*packet)(struct channel *c, const struct packet *p);
    bool (*ready)(struct channel *c); /* may a packet be taken now? NULL: always */
    void (*space)(struct channel *c); /* there is room in the ring to the child again; NULL */
    void (*torn)(struct channel *c, struct gpadl *g); /* a buffer of the provider's goes; NULL */
    void (*released)(struct channel *c); /* after a rescind: the channel is no more */
};

enum channel_state { CHANNEL_FREE, CHANNEL_OFFERED, CHANNEL_RESCINDED };

struct channel {
    enum channel_state state;
    struct bus *bus;
    const struct channel_ops *ops;
    void *owner; /* the provider's */
    struct vmbus_guid interface, instance;
    bool pipe;
    u16 subchannel;
    struct channel *primary;
    bool announced, open, dropped;
    bool again; /* more packets are there than its turn had */
    bool full;  /* a packet did not fit */
    u32 relid, vp;
    struct gpadl *gpadl;
    u32 downstream;
    struct ring in, out;
    u64 packets_in, packets_out, signals;
};

struct bus {
    bool used, connected, requested, noted;
    struct vm *vm;
    u8 vtl;
    u32 version, vp;
    u32 head, tail; /* of the queue */
    u8 sizes[BUS_QUEUE];
    u8 (*queue)[HV_MESSAGE_PAYLOAD];
    u32 gpadl_pages;
    struct gpadl gpadls[BUS_GPADLS];
    struct channel channels[BUS_CHANNELS];
    u64 nonsense; /* messages that were dropped */
};

extern struct bus buses[VM_MAX];

/* bus.c: a child's bus from before its start to its end */
bool bus_start(struct vm *vm);
void bus_stop(struct vm *vm);
struct bus *bus_of(const struct vm *vm); /* NULL: it has none */
/* Connections end, channels close, GPADLs go; offers stay. */
void bus_disconnect(struct bus *b);
void bus_send(struct bus *b, const void *message, u32 bytes);
/* False: nothing was done. */
bool bus_poll(void);
void bus_note(struct bus *b, const char *text);

/* control.c */
void bus_message(struct bus *b, u32 connection, const void *payload, u32 bytes);

/* channel.c: NULL: no room. Offered at once when the child has asked for offers. */
struct channel *channel_offer(struct bus *b, const struct vmbus_guid *interface, const struct vmbus_guid *instance,
                              const struct channel_ops *ops, void *owner, bool pipe, struct channel *primary, u16 subchannel);
void channel_announce(struct channel *c);
/* The child is told that it goes; it is gone when it has said so, or the child ends: released() says it. */
void channel_rescind(struct channel *c);
u32 channel_open(struct channel *c, struct gpadl *g, u32 downstream, u32 vp);
void channel_close(struct channel *c);
void channel_free(struct channel *c); /* without a word to the child */
void channel_drop(struct channel *c, const char *why);
struct channel *channel_find(struct bus *b, u32 relid);
/* Takes packets. */
void channel_run(struct channel *c);
/* Two pieces, one behind the other. False: no room now; space() comes. */
bool channel_write(struct channel *c, u16 type, u16 flags, u64 transaction, const void *head, u32 head_bytes, const void *data,
                   u32 bytes);
static inline bool channel_complete(struct channel *c, u64 transaction, const void *data, u32 bytes)
{
    return channel_write(c, VMBUS_PACKET_COMPLETION, 0, transaction, NULL, 0, data, bytes);
}

/* For the trace port: the calls that follow are made for a packet of this channel; channel NULL: for none. */
static inline void packet_work(const struct bus *b, u32 relid, u64 transaction)
{
    trace_packet_calls(CLAIM_packet_work, b->vm->partition, relid, transaction);
}
static inline struct traced_channel channel_traced(const struct channel *c)
{
    return (struct traced_channel){c->bus->vm->partition, c->relid, c->interface.bytes};
}

/* ring.c */
bool ring_init(struct ring *r, const struct gpadl *g, u32 first, u32 pages);
enum ring_result { RING_EMPTY, RING_PACKET, RING_NONSENSE };
/* A whole packet, copied; the child sees that it was taken only after ring_taken. */
enum ring_result ring_read(struct ring *r, u8 *to, u32 room, struct packet *p);
/* True: the child waits for room and is to be told. */
bool ring_taken(struct ring *r, u32 before);
enum ring_result ring_write(struct ring *r, u16 type, u16 flags, u64 transaction, const void *head, u32 head_bytes, const void *data,
                            u32 bytes, bool *signal);

/* gpadl.c */
struct gpadl *gpadl_find(struct bus *b, u32 id);
struct gpadl *gpadl_new(struct bus *b, u32 id, u32 relid, u32 pages, u32 bytes, u32 offset);
/* False: a page that is none of the child's. */
bool gpadl_name(struct bus *b, struct gpadl *g, const u8 *pfns, u32 count);
/* Is each of them a page that hv would lend? */
bool gpadl_check(struct bus *b, const struct gpadl *g);
bool gpadl_lend(struct bus *b, struct gpadl *g, u32 first, u32 count, u8 rights);
void gpadl_return(struct bus *b, struct gpadl *g, u32 first, u32 count, u8 rights);
void gpadl_free(struct bus *b, struct gpadl *g);
static inline struct gpadl_page *gpadl_page(const struct gpadl *g, u32 i) { return &g->chunk[i / GPADL_CHUNK][i % GPADL_CHUNK]; }
/* Copy between its pages, which are lent, and here. Outside of it: nothing. */
void gpadl_read(const struct gpadl *g, u32 at, void *to, u32 bytes);
void gpadl_write(const struct gpadl *g, u32 at, const void *from, u32 bytes);

/* range.c: copies by pieces that lie in one page each; a piece of 0 bytes: the list ends before. */
typedef u32 (*page_piece)(const void *list, u32 at, u32 bytes, u8 **here);
void pages_read(page_piece piece, const void *list, u32 at, void *to, u32 bytes);
void pages_write(page_piece piece, const void *list, u32 at, const void *from, u32 bytes);

/* A packet's pages, for one I/O. */
#define RANGE_PAGES 66u
struct range {
    u32 bytes, offset, pages;
    u64 gfn[RANGE_PAGES];
    u32 pfn[RANGE_PAGES];
};
/* range.c: the ranges of a GPA-direct packet; *at begins at 0 and moves. False: no more, or nonsense (then *at is 0). */
bool range_next(const struct packet *p, u32 *at, struct range *r);
u32 range_count(const struct packet *p);
bool range_lend(struct bus *b, struct range *r, u8 rights, u32 channel);
void range_return(struct bus *b, const struct range *r, u8 rights, u32 channel);
void range_read(const struct range *r, u32 at, void *to, u32 bytes);
void range_write(const struct range *r, u32 at, const void *from, u32 bytes);

/* host.c: the hypercalls */
bool host_connect(struct bus *b);                      /* ports for control messages */
void host_disconnect(struct bus *b);
bool host_answer_to(struct bus *b, u32 vp, u32 sint);  /* where control messages go */
bool host_post(struct bus *b, const void *payload, u32 bytes); /* false: later */
bool host_open(struct channel *c);                     /* a port for its signals */
void host_close(struct channel *c);
u32 host_connection(const struct channel *c);          /* the child's, for signals */
void host_signal(struct channel *c);
/* False: nothing of it is lent. Rights 0: only asks. */
bool host_lend(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 *pfn, u32 count);
void host_return(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 count);
void host_events(void (*signalled)(struct channel *c));
void host_message(const struct hv_message *m);

#endif
