/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --nic user: the card, the answers that need no host, and (live) libslirp behind the gate. */
#ifndef VITRINE_MACHINE_NETWORK_H
#define VITRINE_MACHINE_NETWORK_H

#include "base/status.h"
#include "devices/netdev.h"

struct machine;
struct net_user;

/* The card on the board. */
void network_build(struct machine *m);
/* The host's side; *forwards: it listens for connections to the guest. */
bool network_attach(struct machine *m, struct net_user **user, bool *forwards, struct error *err);
void network_detach(struct machine *m);
/* Are the options of --nic user good? "hostfwd=...[,hostfwd=...]" or NULL. */
bool network_check_options(const char *options, struct error *err);

#endif
