/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Synthetic interrupt controller and timers of a VP. */
#ifndef HV_SYNIC_SYNIC_H
#define HV_SYNIC_SYNIC_H

#include "abi/hyperv/synic.h"
#include "hv/mem/overlay.h"

struct vp;

/* A message and its place in a queue; it belongs to who sends: a port's buffer, a timer, a VP's intercept. */
struct message_node {
    struct message_node *next;
    bool busy; /* queued */
    struct hv_message message;
};

struct stimer {
    u64 config, count;
    u64 due; /* reference time of the partition, 0 none */
    struct message_node node;
};

struct synic {
    u64 control, event_msr, message_msr;
    struct overlay events, messages; /* their pages */
    u64 sint[HV_SINTS];
    struct message_node *queue[HV_SINTS];
    struct stimer timer[HV_STIMERS];
};

void synic_reset(struct vp *vp);
bool synic_read(struct vp *vp, u32 msr, u64 *value);
bool synic_write(struct vp *vp, u32 msr, u64 value);
/* Queues a message whose node is not busy, and delivers if the slot is free. */
void synic_post(struct vp *vp, unsigned sint, struct message_node *node);
/* Delivers what waits: after EOM and EOI. */
void synic_rescan(struct vp *vp);
/* A status of the hypercall interface; *fresh: the flag was not set before. */
u16 synic_signal(struct vp *vp, unsigned sint, unsigned flag, bool *fresh);
bool synic_accepts(const struct vp *vp);
/* The VP goes: its intercept is not to be delivered to the parent any more. */
void synic_forget(struct vp *vp);
u64 partition_time(const struct partition *p);
/* Delivers what is due; returns the TSC of the next expiry, 0 none. */
u64 stimer_poll(struct vp *vp);

#endif
