/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two ends of a network cable: a card in the machine, and what the machine puts behind it.
 *
 * Guest to outside: the card calls netdev_send at a definite position; it never waits. Outside to
 * guest: only the machine calls netdev_deliver, at a position that is stamped in the input log, or
 * a responder of the machine's own from a timer. A backend that talks to the host never calls it.
 * Frames are Ethernet frames without preamble and checksum. */
#ifndef VITRINE_DEVICES_NETDEV_H
#define VITRINE_DEVICES_NETDEV_H

#include "base/types.h"

#define NET_FRAME_MIN 14u
#define NET_FRAME_MAX 1518u /* header, 1500 bytes, a VLAN tag */

/* The machine's end, given to a card's constructor. send may be NULL: the cable is not plugged. */
struct net_backend {
    void (*send)(void *self, const u8 *frame, u32 len);
    void *self;
};

/* The card's end, for the machine. False: the frame was dropped. */
struct net_port {
    bool (*deliver)(void *self, const u8 *frame, u32 len);
    void *self;
};

static inline void netdev_send(const struct net_backend *net, const u8 *frame, u32 len)
{
    if (net->send != NULL) {
        net->send(net->self, frame, len);
    }
}

static inline bool netdev_deliver(const struct net_port *port, const u8 *frame, u32 len)
{
    return port->deliver != NULL && port->deliver(port->self, frame, len);
}

#endif
