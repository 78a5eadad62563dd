/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/network.h"

#include "devices/pci.h"
#include "devices/virtio/virtio.h"
#include "machine/host/net.h"
#include "machine/host/net_dns.h"
#include "machine/machine.h"
#include "machine/travel.h"
#include "trace/events.h"

#include <stdio.h>
#include <string.h>

#define MAX_FORWARDS 16

/* A question about a name: the answer is outside input. */
static void answer_name(struct machine *m, const u8 *frame, const struct dns_question *q)
{
    struct dns_reply reply;
    u8 answer[NET_FRAME_MAX];
    if (!dns_fixed(q, &reply)) {
        net_lookup(q, &m->interrupted, &reply);
    }
    u32 len = dns_build(frame, q, &reply, answer);
    gate_offer(&m->gate, GATE_NET0, answer, len);
}

/* The frame leaves the board: to the host when it is there. In a replay, and in what has already run once,
 * nobody listens. */
static void to_outside(void *self, const u8 *frame, u32 len)
{
    struct machine *m = self;
    struct dns_question q;
    if (m->net_user == NULL || travel_is_in_past(m)) {
        return;
    }
    if (dns_parse(frame, len, &q)) {
        answer_name(m, frame, &q);
    } else {
        struct net_backend user = net_user_backend(m->net_user);
        netdev_send(&user, frame, len);
    }
}

/* The cable between card and network, where the trace looks. */
static void from_card(void *self, const u8 *frame, u32 len)
{
    struct machine *m = self;
    trace_net_frame(&m->trace, TRACE_NO_CPU, TRACE_NET_FROM_GUEST, len, frame, len);
    netdev_send(&m->net_cable, frame, len);
}

static bool to_card(void *self, const u8 *frame, u32 len)
{
    struct machine *m = self;
    trace_net_frame(&m->trace, TRACE_NO_CPU, TRACE_NET_TO_GUEST, len, frame, len);
    return netdev_deliver(&m->net_port, frame, len);
}

static void from_gate(void *self, const u8 *bytes, u32 size)
{
    struct machine *m = self;
    if (!net_local_take(m->net_local, bytes, size)) {
        (void)to_card(m, bytes, size);
    }
}

void network_build(struct machine *m)
{
    static const u8 mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    struct net_local *local =
        net_local_new(&m->env, "net-local", (struct net_backend){.send = to_outside, .self = m});
    struct virtio_options o = {.env = &m->env,
                               .pci = m->pci,
                               .devfn = PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0),
                               .id = "virtio-net",
                               .access_platform = m->config.virtio_access_platform};
    struct virtio_net *card = virtio_net_new(&o, mac, (struct net_backend){.send = from_card, .self = m});
    m->net_cable = net_local_backend(local);
    m->net_port = virtio_net_port(card);
    net_local_attach(local, (struct net_port){.deliver = to_card, .self = m});
    net_local_attach(local, m->net_port);
    m->net_local = local;
    gate_set_sink(&m->gate, GATE_NET0, (struct gate_sink){.deliver = from_gate, .self = m});
}

static u64 now_ns(void *owner)
{
    const struct machine *m = owner;
    return clock_now(&m->clock).ns;
}

static void offer(void *owner, const u8 *frame, u32 len)
{
    struct machine *m = owner;
    gate_offer(&m->gate, GATE_NET0, frame, len);
}

static bool parse_options(const char *options, struct net_hostfwd *forwards, unsigned *count,
                          struct error *err)
{
    *count = 0;
    while (options != NULL && *options != '\0') {
        char one[128];
        size_t len = strcspn(options, ",");
        (void)snprintf(one, sizeof one, "%.*s", (int)(len < sizeof one ? len : sizeof one - 1), options);
        options += len + (options[len] == ',' ? 1 : 0);
        if (strncmp(one, "hostfwd=", 8) == 0) {
            if (*count == MAX_FORWARDS) {
                return error_set(err, EXIT_STATUS_USAGE, "--nic: more than %d hostfwd=", MAX_FORWARDS);
            }
            if (!net_hostfwd_parse(one + 8, &forwards[*count], err)) {
                return false;
            }
            (*count)++;
        } else if (strncmp(one, "model=", 6) != 0 && strncmp(one, "id=", 3) != 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--nic user: %s is not known; hostfwd= is", one);
        }
    }
    return true;
}

bool network_check_options(const char *options, struct error *err)
{
    struct net_hostfwd forwards[MAX_FORWARDS];
    unsigned count;
    return parse_options(options, forwards, &count, err);
}

bool network_attach(struct machine *m, struct net_user **user, bool *forwards, struct error *err)
{
    struct net_hostfwd list[MAX_FORWARDS];
    struct net_user_options options = {
        .now_ns = now_ns, .outside = offer, .owner = m, .forwards = list};
    if (!parse_options(m->config.nic_options, list, &options.forward_count, err)) {
        return false;
    }
    m->net_user = net_user_new(&options, err);
    *user = m->net_user;
    *forwards = options.forward_count > 0;
    return m->net_user != NULL;
}

void network_detach(struct machine *m)
{
    net_user_free(m->net_user);
    m->net_user = NULL;
}
