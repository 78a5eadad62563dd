/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's hyperv-testdev: what kvm-unit-tests' hyperv_synic and hyperv_connections drive a hypervisor's synthetic
 * interrupt controller with. One 32-bit port, 0x3000, write only:
 *
 *     bits 31:24 connection, 23:16 command, 15:8 virtual processor, 7:0 interrupt source (0-15)
 *     1 route create   2 route destroy   3 set the route's source
 *     4 message connection create   5 destroy   6 event connection create   7 destroy
 *
 * The bare machine has no such controller (those tests look for it in CPUID and skip): routes and connections
 * are kept by the rules that the interface has, signals go nowhere and are logged once. */
#include "devices/testdevs.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

#define PORT 0x3000
#define SINT_COUNT 16u

enum command {
    ROUTE_CREATE = 1,
    ROUTE_DESTROY,
    ROUTE_SET,
    MESSAGE_CREATE,
    MESSAGE_DESTROY,
    EVENT_CREATE,
    EVENT_DESTROY,
};

enum connection { CONNECTION_NONE, CONNECTION_MESSAGE, CONNECTION_EVENT };

struct hyperv_testdev {
    char id[32];      /* configuration */
    struct log *log;  /* configuration */
    u16 routes[256];  /* a bit per source, of each virtual processor */
    u8 connected[256]; /* enum connection */
};

static u32 read_port(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    return (u32)size_mask(size);
}

static void route(struct hyperv_testdev *h, u8 command, u8 vp, u8 sint)
{
    u16 bit = (u16)BIT(sint);
    bool there = (h->routes[vp] & bit) != 0;
    if (there == (command == ROUTE_CREATE)) {
        log_guest_error(h->log, "hyperv-testdev: route %u.%u %s", vp, sint, there ? "is there already" : "is not there");
        return;
    }
    if (command == ROUTE_SET) {
        log_unimp(h->log, "hyperv-testdev: there is no synthetic interrupt controller to signal");
        return;
    }
    h->routes[vp] ^= bit;
}

static void connect(struct hyperv_testdev *h, u8 number, enum connection from, enum connection to)
{
    if (h->connected[number] != (u8)from) {
        log_guest_error(h->log, "hyperv-testdev: connection %u is %s", number,
                        from == CONNECTION_NONE ? "there already" : "not there");
        return;
    }
    h->connected[number] = (u8)to;
}

static void write_port(void *self, u16 offset, u32 value, unsigned size)
{
    struct hyperv_testdev *h = self;
    u8 sint = (u8)value, vp = (u8)(value >> 8), command = (u8)(value >> 16), number = (u8)(value >> 24);
    if (size != 4 || offset != 0 || sint >= SINT_COUNT) {
        log_guest_error(h->log, "hyperv-testdev: write of %u bytes, %08x", size, value);
        return;
    }
    switch (command) {
    case ROUTE_CREATE:
    case ROUTE_DESTROY:
    case ROUTE_SET:
        route(h, command, vp, sint);
        break;
    case MESSAGE_CREATE:
        connect(h, number, CONNECTION_NONE, CONNECTION_MESSAGE);
        break;
    case MESSAGE_DESTROY:
        connect(h, number, CONNECTION_MESSAGE, CONNECTION_NONE);
        break;
    case EVENT_CREATE:
        connect(h, number, CONNECTION_NONE, CONNECTION_EVENT);
        break;
    case EVENT_DESTROY:
        connect(h, number, CONNECTION_EVENT, CONNECTION_NONE);
        break;
    default:
        log_guest_error(h->log, "hyperv-testdev: command %u", command);
        break;
    }
}

static const struct port_ops ports = {.read = read_port, .write = write_port};

static void reset(void *self, enum reset_kind kind)
{
    struct hyperv_testdev *h = self;
    UNUSED(kind);
    for (unsigned i = 0; i < 256; i++) {
        h->routes[i] = 0;
        h->connected[i] = CONNECTION_NONE;
    }
}

static void state(void *self, struct state_io *io)
{
    struct hyperv_testdev *h = self;
    state_section(io, h->id, 1);
    for (unsigned i = 0; i < 256; i++) {
        state_u16(io, "routes", &h->routes[i]);
        state_u8(io, "connected", &h->connected[i]);
    }
}

static const struct device_ops ops = {
    .type = "hyperv-testdev", .reset = reset, .state = state, .destroy = free};

void hyperv_testdev_new(const struct device_env *env, const char *id)
{
    struct hyperv_testdev *h = calloc(1, sizeof *h);
    sim_assert(h != NULL);
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    h->log = env->log;
    bus_add_ports(env->bus, PORT, 4, &ports, h, "hyperv-testdev");
    bus_add_device(env->bus, &ops, h, id);
}
