/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network adapters behind network channels. */
#ifndef GUESTS_ADAPTER_NETVSC_H
#define GUESTS_ADAPTER_NETVSC_H

#include "guests/adapter/vmbus.h"

#define FRAME_MAX 1518u

struct nic {
    struct channel *channel; /* NULL: free */
    u8 mac[6];
    bool up; /* the link */
    void *owner;
};

/* Where a frame is to be put; NULL: not now. Then nic_send; the section is its transaction. */
u8 *nic_take(struct nic *nic);
u32 nic_section(const struct nic *nic, const u8 *frame);
void nic_send(struct nic *nic, u8 *frame, u32 size);

/* vif.c */
void vif_add(struct nic *nic);
void vif_remove(struct nic *nic);
void vif_receive(struct nic *nic, u64 transaction, const u8 *frame, u32 size);
void vif_rest(struct nic *nic); /* there is room again; what was received is over */

#endif
