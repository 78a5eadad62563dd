/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A way for Ethernet frames: the root's own network card, as the virtual switch and its ports see it. */
#ifndef GUESTS_ROOT_NET_LINK_H
#define GUESTS_ROOT_NET_LINK_H

#include "guests/root/root.h"

#define LINK_FRAME 1514u /* header and 1500 bytes, without checksum */

struct link {
    const char *name;
    u8 mac[6];
    u32 mtu;
    /* The frame is copied; one that does not fit into what is free is dropped and counted. */
    void (*send)(struct link *l, const void *frame, u32 size);
    /* Set by who uses it (the switch); NULL: frames are dropped. The frame is valid during the call. */
    void (*receive)(struct link *l, const void *frame, u32 size);
    void *owner; /* of who uses it */
    u64 sent, received, dropped;
    struct link *next;
};

/* "net0", ... NULL: none. */
struct link *link_find(const char *name);
/* All of them, NULL first. */
struct link *link_next(struct link *after);
void net_init(void);
/* What arrived; false: nothing. */
bool net_poll(void);

/* probe.c: for the console. */
void cmd_net_probe(char **words, u32 count);

/* For drivers. */
void link_add(struct link *l);

#endif
