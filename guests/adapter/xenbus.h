/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backends in xenstore: a device's two directories, its states, and what the frontend says. */
#ifndef GUESTS_ADAPTER_XENBUS_H
#define GUESTS_ADAPTER_XENBUS_H

#include "guests/adapter/adapter.h"
#include "guests/adapter/grant.h"

enum xenbus_state {
    XENBUS_UNKNOWN,
    XENBUS_INITIALISING,
    XENBUS_INIT_WAIT,
    XENBUS_INITIALISED,
    XENBUS_CONNECTED,
    XENBUS_CLOSING,
    XENBUS_CLOSED,
};

struct xenbus_device {
    const char *type; /* "vbd", "vif" */
    u32 number;
    /* The frontend has said what it has. False: it cannot be; then the device is closed. */
    bool (*connect)(struct xenbus_device *d);
    void (*disconnect)(struct xenbus_device *d);
    enum xenbus_state state, seen; /* its own, the frontend's */
    bool leaving;
};

/* Writes the directories: the frontend finds the device. False: too many. */
bool xenbus_add(struct xenbus_device *d);
/* The device goes: at once as far as the adapter is concerned, the directories when the frontend has closed it. */
void xenbus_remove(struct xenbus_device *d);
/* Nodes of the backend's directory; before xenbus_add too. */
void xenbus_put(const struct xenbus_device *d, const char *name, const char *value);
void xenbus_put_number(const struct xenbus_device *d, const char *name, u64 value);
/* Node of the frontend's directory. */
const char *xenbus_front(const struct xenbus_device *d, const char *name);
bool xenbus_front_number(const struct xenbus_device *d, const char *name, u64 *value);
/* A node for the frontend. */
void xenbus_put_front(const struct xenbus_device *d, const char *name, const char *value);

/* A shared ring's page and its event port; both are checked. */
struct xenbus_ring {
    struct grant grant;
    u32 port;
};
bool xenbus_map_ring(struct xenbus_ring *r, u64 ref);
void xenbus_unmap_ring(struct xenbus_ring *r);

#endif
