/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integration services of each child: what the console asks and tells. */
#ifndef GUESTS_ROOT_IC_IC_H
#define GUESTS_ROOT_IC_IC_H

#include "abi/hyperv/ic.h"
#include "guests/root/vmbus/vmbus.h"

bool ic_start(struct vm *vm);
/* Heartbeats and the time, when they are due. */
void ic_poll(void);
/* The child is asked to power off. False: it has no service for that. */
bool ic_shutdown(struct vm *vm);
void ic_show_heartbeat(const struct vm *vm);
/* Its pairs are asked for one by one, and printed as they come. */
bool ic_show_pairs(struct vm *vm);
/* A pair of ours for it to keep; it answers later. False: it has no such service, or is still asked. */
bool ic_set_pair(struct vm *vm, const char *key, const char *value);

#endif
