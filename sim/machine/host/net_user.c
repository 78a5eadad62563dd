/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libslirp behind a network card: TCP, UDP and names of the host, without privileges. IPv4 only;
 * DHCP and TFTP are off (net_local has the former).
 *
 * Nothing here is state: connections end with the process. What comes out goes to the input gate;
 * what goes in is a function of the guest. slirp's clock is the machine's. */
#include "machine/host/net.h"
#include "machine/host/net_frame.h"

#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TIMERS 8

struct slirp_timer {
    SlirpTimerCb fire;
    void *opaque;
    int64_t deadline_ms; /* -1: off */
    bool used;
};

struct net_user {
    struct net_user_options options;
    Slirp *slirp;
    struct slirp_timer timers[MAX_TIMERS];
    struct pollfd *fds;
    int fd_count, fd_cap;
    bool busy;
};

/* ---- what slirp calls ---- */

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
    struct net_user *user = opaque;
    const u8 *frame = buf;
    /* net_local has answered the guest's ARP requests; slirp's own requests go through. */
    bool arp_reply = len >= ARP_FRAME_SIZE && load_be16(frame + ETH_TYPE) == ETH_TYPE_ARP &&
                     load_be16(frame + ARP_OP) == ARP_REPLY;
    if (!arp_reply && len >= NET_FRAME_MIN && len <= NET_FRAME_MAX) {
        user->options.outside(user->options.owner, frame, (u32)len);
    }
    return (ssize_t)len;
}

static void cb_guest_error(const char *msg, void *opaque)
{
    UNUSED(msg); /* a guest's nonsense on the network is the network's business */
    UNUSED(opaque);
}

static int64_t cb_clock(void *opaque)
{
    struct net_user *user = opaque;
    return (int64_t)user->options.now_ns(user->options.owner);
}

static void *cb_timer_new(SlirpTimerCb fire, void *cb_opaque, void *opaque)
{
    struct net_user *user = opaque;
    for (unsigned i = 0; i < MAX_TIMERS; i++) {
        if (!user->timers[i].used) {
            user->timers[i] = (struct slirp_timer){
                .fire = fire, .opaque = cb_opaque, .deadline_ms = -1, .used = true};
            return &user->timers[i];
        }
    }
    return NULL;
}

static void cb_timer_free(void *timer, void *opaque)
{
    UNUSED(opaque);
    if (timer != NULL) {
        ((struct slirp_timer *)timer)->used = false;
    }
}

static void cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    UNUSED(opaque);
    if (timer != NULL) {
        ((struct slirp_timer *)timer)->deadline_ms = expire_ms;
    }
}

static void cb_poll_fd(int fd, void *opaque)
{
    UNUSED(fd);
    UNUSED(opaque);
}

static void cb_notify(void *opaque)
{
    UNUSED(opaque);
}

static const SlirpCb callbacks = {
    .send_packet = cb_send_packet,
    .guest_error = cb_guest_error,
    .clock_get_ns = cb_clock,
    .timer_new = cb_timer_new,
    .timer_free = cb_timer_free,
    .timer_mod = cb_timer_mod,
    .register_poll_fd = cb_poll_fd,
    .unregister_poll_fd = cb_poll_fd,
    .notify = cb_notify,
};

/* ---- polling ---- */

static int cb_add_poll(int fd, int events, void *opaque)
{
    struct net_user *user = opaque;
    if (user->fd_count == user->fd_cap) {
        int cap = user->fd_cap * 2 + 16;
        struct pollfd *grown = realloc(user->fds, (size_t)cap * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        user->fds = grown;
        user->fd_cap = cap;
    }
    short want = (short)(((events & SLIRP_POLL_IN) != 0 ? POLLIN : 0) |
                         ((events & SLIRP_POLL_OUT) != 0 ? POLLOUT : 0) |
                         ((events & SLIRP_POLL_PRI) != 0 ? POLLPRI : 0));
    user->fds[user->fd_count] = (struct pollfd){.fd = fd, .events = want};
    return user->fd_count++;
}

static int cb_get_revents(int index, void *opaque)
{
    struct net_user *user = opaque;
    if (index < 0 || index >= user->fd_count) {
        return 0;
    }
    short got = user->fds[index].revents;
    return ((got & POLLIN) != 0 ? SLIRP_POLL_IN : 0) | ((got & POLLOUT) != 0 ? SLIRP_POLL_OUT : 0) |
           ((got & POLLPRI) != 0 ? SLIRP_POLL_PRI : 0) |
           ((got & POLLERR) != 0 ? SLIRP_POLL_ERR : 0) |
           ((got & POLLHUP) != 0 ? SLIRP_POLL_HUP : 0);
}

static void fire_timers(struct net_user *user)
{
    int64_t now_ms = cb_clock(user) / 1000000;
    for (unsigned i = 0; i < MAX_TIMERS; i++) {
        struct slirp_timer *t = &user->timers[i];
        if (t->used && t->deadline_ms >= 0 && t->deadline_ms <= now_ms) {
            t->deadline_ms = -1;
            t->fire(t->opaque);
        }
    }
}

void net_user_poll(struct net_user *user, int timeout_ms)
{
    uint32_t timeout = timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
    user->fd_count = 0;
    slirp_pollfds_fill(user->slirp, &timeout, cb_add_poll, user);
    user->busy = user->fd_count > (int)user->options.forward_count;
    /* slirp shortens the wait for its timers, but those run by the machine's time. */
    int rc = poll(user->fds, (nfds_t)user->fd_count, (int)timeout);
    slirp_pollfds_poll(user->slirp, rc < 0, cb_get_revents, user);
    fire_timers(user);
}

bool net_user_is_busy(const struct net_user *user)
{
    return user->busy;
}

/* ---- the card's side ---- */

static void from_card(void *self, const u8 *frame, u32 len)
{
    struct net_user *user = self;
    slirp_input(user->slirp, frame, (int)len);
}

struct net_backend net_user_backend(struct net_user *user)
{
    return (struct net_backend){.send = from_card, .self = user};
}

/* ---- construction ---- */

static struct in_addr address(u32 ip)
{
    return (struct in_addr){.s_addr = htonl(ip)};
}

static bool add_forward(struct net_user *user, const struct net_hostfwd *f, struct error *err)
{
    if (slirp_add_hostfwd(user->slirp, f->udp ? 1 : 0, address(f->host_address), f->host_port,
                          address(f->guest_address), f->guest_port) != 0) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "hostfwd: cannot listen on port %u of the host: %s", f->host_port,
                         strerror(errno));
    }
    return true;
}

struct net_user *net_user_new(const struct net_user_options *options, struct error *err)
{
    struct net_user *user = calloc(1, sizeof *user);
    if (user == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    user->options = *options;
    user->options.forwards = NULL; /* the caller's, not kept */
    const SlirpConfig config = {
        .version = 4,
        .in_enabled = true,
        .vnetwork = address(NET_LOCAL_NETWORK),
        .vnetmask = address(NET_LOCAL_MASK),
        .vhost = address(NET_LOCAL_GATEWAY),
        .vdhcp_start = address(NET_LOCAL_GUEST),
        .vnameserver = address(NET_LOCAL_DNS),
        .disable_dhcp = true,
    };
    user->slirp = slirp_new(&config, &callbacks, user);
    if (user->slirp == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "user networking cannot start");
        net_user_free(user);
        return NULL;
    }
    for (unsigned i = 0; i < options->forward_count; i++) {
        if (!add_forward(user, &options->forwards[i], err)) {
            net_user_free(user);
            return NULL;
        }
    }
    return user;
}

void net_user_free(struct net_user *user)
{
    if (user != NULL) {
        if (user->slirp != NULL) {
            slirp_cleanup(user->slirp);
        }
        free(user->fds);
        free(user);
    }
}

/* ---- hostfwd= ---- */

static bool bad_forward(const char *text, struct error *err)
{
    return error_set(err, EXIT_STATUS_USAGE,
                     "hostfwd=%s: not of the form tcp:[HOSTADDR]:PORT-[GUESTADDR]:PORT", text);
}

/* "[ADDR]:PORT" up to `end`. An empty address leaves *ip. */
static bool parse_endpoint(const char *p, const char *end, u32 *ip, u16 *port)
{
    const char *colon = memchr(p, ':', (size_t)(end - p));
    char host[32] = {0};
    if (colon == NULL || (size_t)(colon - p) >= sizeof host) {
        return false;
    }
    memcpy(host, p, (size_t)(colon - p));
    if (host[0] != '\0') {
        struct in_addr a;
        if (inet_pton(AF_INET, host, &a) != 1) {
            return false;
        }
        *ip = ntohl(a.s_addr);
    }
    u32 n = 0;
    for (p = colon + 1; p < end; p++) {
        if (*p < '0' || *p > '9' || n > 65535) {
            return false;
        }
        n = n * 10 + (u32)(*p - '0');
    }
    *port = (u16)n;
    return n > 0 && n <= 65535;
}

bool net_hostfwd_parse(const char *text, struct net_hostfwd *forward, struct error *err)
{
    *forward =
        (struct net_hostfwd){.host_address = INADDR_LOOPBACK, .guest_address = NET_LOCAL_GUEST};
    const char *p = text;
    if (strncmp(p, "tcp:", 4) == 0 || strncmp(p, "udp:", 4) == 0) {
        forward->udp = p[0] == 'u';
        p += 4;
    } else if (*p == ':') {
        p++; /* as QEMU: TCP is what is meant */
    } else {
        return bad_forward(text, err);
    }
    const char *dash = strchr(p, '-');
    if (dash == NULL || !parse_endpoint(p, dash, &forward->host_address, &forward->host_port) ||
        !parse_endpoint(dash + 1, dash + 1 + strlen(dash + 1), &forward->guest_address,
                        &forward->guest_port)) {
        return bad_forward(text, err);
    }
    return true;
}
