/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "devices/bus.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <string.h>

void bus_init(struct bus *bus, struct log *log)
{
    memset(bus, 0, sizeof *bus);
    bus->log = log;
}

void bus_free(struct bus *bus)
{
    while (bus->device_count > 0) {
        struct device *d = &bus->devices[--bus->device_count];
        if (d->ops->destroy != NULL) {
            d->ops->destroy(d->self);
        }
    }
}

void bus_add_device(struct bus *bus, const struct device_ops *ops, void *self, const char *id)
{
    sim_assert(bus->device_count < BUS_MAX_DEVICES);
    struct device *d = &bus->devices[bus->device_count++];
    d->ops = ops;
    d->self = self;
    (void)snprintf(d->id, sizeof d->id, "%s", id);
}

/* Where ranges overlap the narrower one decodes a port (0xcf9 inside the dword at 0xcf8), of equal ones
 * the later; so the order in which a board is built decides nothing. */
static void rebuild_owners(struct bus *bus)
{
    memset(bus->owner, 0, sizeof bus->owner);
    for (unsigned i = 0; i < bus->range_count; i++) {
        const struct port_range *r = &bus->ranges[i];
        for (u32 p = 0; r->enabled && p < r->count && r->first + p < 65536; p++) {
            u8 *owner = &bus->owner[r->first + p];
            if (*owner == 0 || r->count <= bus->ranges[*owner - 1].count) {
                *owner = (u8)(i + 1);
            }
        }
    }
}

unsigned bus_add_ports(struct bus *bus, u16 first, u32 count, const struct port_ops *ops,
                       void *self, const char *name)
{
    sim_assert(bus->range_count < BUS_MAX_RANGES);
    unsigned n = bus->range_count++;
    bus->ranges[n] = (struct port_range){
        .first = first, .count = count, .enabled = true, .ops = ops, .self = self, .name = name};
    rebuild_owners(bus);
    return n;
}

void bus_set_ports(struct bus *bus, unsigned range, u16 first, bool enabled)
{
    struct port_range *r = &bus->ranges[range];
    if (r->first != first || r->enabled != enabled) {
        r->first = first;
        r->enabled = enabled;
        rebuild_owners(bus);
    }
}

/* The largest piece at `port` that one device takes as a whole. Its first port decides: an access that
 * begins at an outer range and fits it stays whole. */
static unsigned piece(const struct bus *bus, u16 port, unsigned size,
                      const struct port_range **range)
{
    *range = bus->owner[port] != 0 ? &bus->ranges[bus->owner[port] - 1] : NULL;
    unsigned max = *range == NULL ? 1 : (*range)->ops->max_size != 0 ? (*range)->ops->max_size : 4;
    unsigned n = size < max ? size : max;
    /* The range that decodes the first port takes the access as far as it reaches, even where another
     * range lies over its middle: a dword at 0xcf8 is PCI's, the byte at 0xcf9 is not. */
    while (n > 1 && (!is_power_of_2(n) || port + n > (u32)(*range)->first + (*range)->count)) {
        n--;
    }
    return n;
}

u32 bus_port_read(struct bus *bus, u16 port, unsigned size)
{
    u32 value = 0;
    for (unsigned done = 0; done < size;) {
        const struct port_range *r;
        u16 p = (u16)(port + done);
        unsigned n = piece(bus, p, size - done, &r);
        u32 part = r != NULL ? r->ops->read(r->self, (u16)(p - r->first), n) : ~(u32)0;
        value |= (part & (u32)size_mask(n)) << (8 * done);
        done += n;
    }
    return value;
}

void bus_port_write(struct bus *bus, u16 port, u32 value, unsigned size)
{
    for (unsigned done = 0; done < size;) {
        const struct port_range *r;
        u16 p = (u16)(port + done);
        unsigned n = piece(bus, p, size - done, &r);
        if (r != NULL) {
            r->ops->write(r->self, (u16)(p - r->first), (value >> (8 * done)) & (u32)size_mask(n),
                          n);
        }
        done += n;
    }
}

void bus_reset(struct bus *bus, enum reset_kind kind)
{
    for (unsigned i = 0; i < bus->device_count; i++) {
        bus->devices[i].ops->reset(bus->devices[i].self, kind);
    }
}

void bus_state(struct bus *bus, struct state_io *io)
{
    for (unsigned i = 0; i < bus->device_count; i++) {
        bus->devices[i].ops->state(bus->devices[i].self, io);
    }
    if (state_is_load(io)) {
        rebuild_owners(bus);
    }
}
