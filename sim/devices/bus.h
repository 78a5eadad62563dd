/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The board's I/O port space and its list of devices. */
#ifndef VITRINE_DEVICES_BUS_H
#define VITRINE_DEVICES_BUS_H

#include "devices/device.h"

/* size is 1, 2 or 4; `offset` is from the range's first port. An access wider than max_size (0: 4)
 * is split into byte-wise ascending pieces of max_size; pieces outside the range go to their own
 * owners; an access that fits the range of its first port's owner stays whole. Unclaimed ports read
 * as all ones. */
struct port_ops {
    u32 (*read)(void *self, u16 offset, unsigned size);
    void (*write)(void *self, u16 offset, u32 value, unsigned size);
    unsigned max_size;
};

struct port_range {
    u16 first;
    u32 count;
    bool enabled;
    const struct port_ops *ops;
    void *self;
    const char *name;
};

#define BUS_MAX_RANGES 192
#define BUS_MAX_DEVICES 128

struct bus {
    struct log *log;
    struct port_range ranges[BUS_MAX_RANGES];
    unsigned range_count;
    u8 owner[65536]; /* derived: range number + 1, 0 unclaimed; later ranges win */
    struct device devices[BUS_MAX_DEVICES];
    unsigned device_count;
};

void bus_init(struct bus *bus, struct log *log);
/* Destroys all devices, last first. */
void bus_free(struct bus *bus);

/* Add a device to the list that reset, save and hash walk, in order. `id` is copied. */
void bus_add_device(struct bus *bus, const struct device_ops *ops, void *self, const char *id);
/* Claim ports; returns the range's number, for bus_set_ports. */
unsigned bus_add_ports(struct bus *bus, u16 first, u32 count, const struct port_ops *ops,
                       void *self, const char *name);
/* Move a claimed range or switch it on and off (PCI BARs, PM base). */
void bus_set_ports(struct bus *bus, unsigned range, u16 first, bool enabled);

u32 bus_port_read(struct bus *bus, u16 port, unsigned size);
void bus_port_write(struct bus *bus, u16 port, u32 value, unsigned size);

void bus_reset(struct bus *bus, enum reset_kind kind);
/* Visits every device in order. */
void bus_state(struct bus *bus, struct state_io *io);

#endif
