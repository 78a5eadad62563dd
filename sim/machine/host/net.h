/* SPDX-License-Identifier: GPL-3.0-or-later */
/* User networking: the network behind a card with --nic user.
 *
 *     card --send--> net_local --what it does not answer--> net_user (libslirp) --> host
 *     card <-deliver-- net_local, from a timer       machine's input gate <-- net_user
 *
 * net_local knows no host: it answers ARP, DHCP and pings of the gateway at a fixed virtual delay,
 * so these are the same in every run, and there when nothing is behind it (a replay). What comes
 * from the host is outside input: net_user hands it to the machine, which stamps it and delivers it
 * to the card. */
#ifndef VITRINE_MACHINE_HOST_NET_H
#define VITRINE_MACHINE_HOST_NET_H

#include "base/status.h"
#include "devices/bus.h"
#include "devices/device.h"
#include "devices/netdev.h"

/* The network: 10.0.2.0/24. */
#define NET_LOCAL_NETWORK 0x0a000200u
#define NET_LOCAL_MASK 0xffffff00u
#define NET_LOCAL_GATEWAY 0x0a000202u
#define NET_LOCAL_DNS 0x0a000203u
#define NET_LOCAL_GUEST 0x0a00020fu
#define NET_LOCAL_DELAY_NS 200000u

struct net_local;

/* A device of env->bus, which owns it. `outside` gets every frame that is not answered here; its
 * send may be NULL. */
struct net_local *net_local_new(const struct device_env *env, const char *id,
                                struct net_backend outside);
/* What the card sends to. */
struct net_backend net_local_backend(struct net_local *local);
/* A frame from outside: the answer to a question about a name leaves at its own time. False: not for here, to
 * be delivered. */
bool net_local_take(struct net_local *local, const u8 *frame, u32 len);
/* The card; after it has been made. */
void net_local_attach(struct net_local *local, struct net_port port);

/* hostfwd=tcp:[HOSTADDR]:PORT-[GUESTADDR]:PORT. Without an address the host listens on loopback
 * only, and the guest is 10.0.2.15. */
struct net_hostfwd {
    bool udp;
    u32 host_address, guest_address; /* host order */
    u16 host_port, guest_port;
};

/* text without "hostfwd=". */
bool net_hostfwd_parse(const char *text, struct net_hostfwd *forward, struct error *err);

struct net_user_options {
    u64 (*now_ns)(void *owner); /* the machine's virtual time: slirp has no other */
    /* A frame from the host: to the input gate. Called from net_user_poll, and in the middle of a
     * guest's send. */
    void (*outside)(void *owner, const u8 *frame, u32 len);
    void *owner;
    const struct net_hostfwd *forwards;
    unsigned forward_count;
};

struct net_user;

struct net_user *net_user_new(const struct net_user_options *options, struct error *err);
void net_user_free(struct net_user *user);
struct net_backend net_user_backend(struct net_user *user);
/* Let the host's sockets and slirp's timers get on; waits at most timeout_ms, 0: not at all. */
void net_user_poll(struct net_user *user, int timeout_ms);
/* Connections were open at the last poll: an idle guest should wait for the host. */
bool net_user_is_busy(const struct net_user *user);

#endif
