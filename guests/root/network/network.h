/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The virtual switch, and network adapters of children that are connected to it. */
#ifndef GUESTS_ROOT_NETWORK_NETWORK_H
#define GUESTS_ROOT_NETWORK_NETWORK_H

#include "abi/hyperv/netvsp.h"
#include "guests/root/net/link.h"
#include "guests/root/vmbus/vmbus.h"

#define NICS 4u /* of a child */
#define SWITCH_PORTS (NICS * VM_MAX + 1)
#define FRAME_MIN 14u

/* switch.c */
struct switch_port {
    bool used;
    bool uplink;   /* the machine's own network card: any source, isolated ports too */
    bool isolated; /* never to or from another isolated port */
    u8 mac[6];     /* the only source that frames from here may have; not the uplink's */
    void (*deliver)(struct switch_port *p, const u8 *frame, u32 size);
    void *owner;
    const char *name;
    u64 received, sent, forged; /* from it, to it, dropped because of their source */
};
struct switch_port *switch_add(const struct switch_port *model);
void switch_remove(struct switch_port *p);
/* A frame that came from this port. */
void switch_frame(struct switch_port *from, const u8 *frame, u32 size);
void switch_show(void);
/* The first link becomes the uplink, if there is one and it is not yet. */
void switch_uplink(void);

/* What could not be sent at once: the ring was full. */
struct unsent {
    u16 type, flags;
    u32 head_bytes, bytes;
    u64 transaction;
    u8 head[16], data[NVSP_BYTES];
};

#define SECTION 2048u      /* of the receive buffer: one frame each */
#define SECTIONS 512u
#define SEND_SECTION 6144u
#define UNSENT 8u

struct nic {
    bool used;
    struct vm *vm;
    u32 number;
    char name[VM_NAME + 4];
    struct channel *channel;
    struct switch_port *port;
    bool isolated;
    u8 mac[6];
    /* What the guest has set up, anew with each opening. */
    u32 version;
    bool initialized;
    u32 filter;
    struct gpadl *receive, *send;
    u32 receive_pages, send_pages; /* that are lent */
    u16 receive_id;
    u32 sections, next_section;
    u8 taken[SECTIONS]; /* section is the guest's */
    u32 unsent_count;
    struct unsent unsent[UNSENT];
    u64 frames_in, frames_out, dropped;
};

/* network.c */
bool network_start(struct vm *vm);
/* NULL, or why not. */
const char *network_add(struct vm *vm, bool isolated);
const char *network_remove(struct vm *vm, u32 number);
void network_list(const struct vm *vm);

/* netvsp.c */
extern const struct channel_ops netvsp_ops;
void netvsp_deliver(struct switch_port *p, const u8 *frame, u32 size);
/* An RNDIS message to the guest, in a section of the receive buffer. False: there is no room. */
bool netvsp_send(struct nic *n, u32 channel, const void *head, u32 head_bytes, const void *data, u32 bytes);

/* rndis.c: the guest's messages, in our memory. False: nonsense. */
bool rndis_control(struct nic *n, const u8 *message, u32 bytes);
bool rndis_data(struct nic *n, const u8 *message, u32 bytes);

#endif
