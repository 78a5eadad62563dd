/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state machine of backends [Xen public/io/xenbus.h]: InitWait until the frontend has written what it has (Initialised, or Connected), then
 * Connected, Closing and Closed after the frontend; a frontend that begins anew finds InitWait again. */
#include "guests/adapter/xenbus.h"

#include "guests/adapter/store.h"

#define DEVICES 16
#define BACKEND "/local/domain/0/backend/"

static struct xenbus_device *devices[DEVICES];

static u32 append(char *path, u32 at, const char *text)
{
    while (*text != 0 && at + 1 < STORE_PATH) {
        path[at++] = *text++;
    }
    path[at] = 0;
    return at;
}

static void path_of(char *path, const struct xenbus_device *d, bool front, const char *name)
{
    char number[24];
    u32 at = append(path, 0, front ? STORE_HOME "/device/" : BACKEND);
    at = append(path, at, d->type);
    at = append(path, at, front ? "/" : "/1/");
    (void)store_decimal(d->number, number);
    at = append(path, at, number);
    if (name != NULL) {
        at = append(path, at, "/");
        (void)append(path, at, name);
    }
}

void xenbus_put(const struct xenbus_device *d, const char *name, const char *value)
{
    char path[STORE_PATH];
    path_of(path, d, false, name);
    store_set(path, value);
}

void xenbus_put_number(const struct xenbus_device *d, const char *name, u64 value)
{
    char text[24];
    (void)store_decimal(value, text);
    xenbus_put(d, name, text);
}

void xenbus_put_front(const struct xenbus_device *d, const char *name, const char *value)
{
    char path[STORE_PATH];
    path_of(path, d, true, name);
    store_set(path, value);
}

const char *xenbus_front(const struct xenbus_device *d, const char *name)
{
    char path[STORE_PATH];
    path_of(path, d, true, name);
    return store_get(path);
}

bool xenbus_front_number(const struct xenbus_device *d, const char *name, u64 *value)
{
    const char *s = xenbus_front(d, name);
    u64 v = 0;
    u32 n = 0;
    while (s != NULL && s[n] >= '0' && s[n] <= '9' && n < 12) {
        v = v * 10 + (u64)(s[n++] - '0');
    }
    *value = v;
    return n > 0 && s[n] == 0;
}

static void set_state(struct xenbus_device *d, enum xenbus_state state)
{
    d->state = state;
    xenbus_put_number(d, "state", state);
}

bool xenbus_add(struct xenbus_device *d)
{
    char path[STORE_PATH];
    u32 i = 0;
    while (i < DEVICES && devices[i] != NULL) {
        i++;
    }
    if (i == DEVICES) {
        return false;
    }
    devices[i] = d;
    d->leaving = false;
    d->seen = XENBUS_INITIALISING;
    path_of(path, d, true, NULL);
    xenbus_put(d, "frontend", path);
    xenbus_put_number(d, "frontend-id", boot->domain);
    xenbus_put(d, "online", "1");
    set_state(d, XENBUS_INIT_WAIT);
    path_of(path, d, false, NULL);
    xenbus_put_front(d, "backend", path);
    xenbus_put_front(d, "backend-id", "0");
    xenbus_put_front(d, "state", "1"); /* last: now it is looked at */
    return true;
}

static void forget(struct xenbus_device *d)
{
    char path[STORE_PATH];
    for (u32 i = 0; i < DEVICES; i++) {
        devices[i] = devices[i] == d ? NULL : devices[i];
    }
    d->leaving = false;
    adapter_log("adapter: %s %x is gone\n", d->type, d->number);
    path_of(path, d, true, NULL);
    store_delete(path);
    path_of(path, d, false, NULL);
    store_delete(path);
    d->state = XENBUS_UNKNOWN;
}

void xenbus_remove(struct xenbus_device *d)
{
    if (d->state == XENBUS_CONNECTED) {
        d->disconnect(d);
    }
    d->leaving = true;
    xenbus_put(d, "online", "0");
    if (d->seen == XENBUS_CLOSED || d->seen == XENBUS_UNKNOWN || d->seen == XENBUS_INITIALISING) {
        forget(d);
    } else {
        set_state(d, XENBUS_CLOSING);
    }
}

static void close(struct xenbus_device *d, enum xenbus_state state)
{
    if (d->state == XENBUS_CONNECTED) {
        d->disconnect(d);
    }
    if (d->state != state) {
        set_state(d, state);
    }
}

static void follow(struct xenbus_device *d, enum xenbus_state front)
{
    d->seen = front;
    switch (front) {
    case XENBUS_INITIALISING:
        if (d->state == XENBUS_CLOSED && !d->leaving) {
            set_state(d, XENBUS_INIT_WAIT);
        } else if (d->state == XENBUS_CONNECTED) { /* it has begun anew without closing */
            d->disconnect(d);
            set_state(d, XENBUS_INIT_WAIT);
        }
        break;
    case XENBUS_INITIALISED:
    case XENBUS_CONNECTED:
        if (d->state == XENBUS_INIT_WAIT) {
            set_state(d, d->connect(d) ? XENBUS_CONNECTED : XENBUS_CLOSING);
        }
        break;
    case XENBUS_CLOSING:
        close(d, XENBUS_CLOSING);
        break;
    case XENBUS_CLOSED:
    case XENBUS_UNKNOWN:
        close(d, XENBUS_CLOSED);
        if (d->leaving) {
            forget(d);
        }
        break;
    default:
        break;
    }
}

void xenbus_work(void)
{
    for (u32 i = 0; i < DEVICES; i++) {
        struct xenbus_device *d = devices[i];
        u64 state;
        if (d == NULL) {
            continue;
        }
        if (!xenbus_front_number(d, "state", &state) || state > XENBUS_CLOSED) {
            state = XENBUS_UNKNOWN;
        }
        if (state != d->seen) {
            follow(d, (enum xenbus_state)state);
        }
    }
}

bool xenbus_map_ring(struct xenbus_ring *r, u64 ref)
{
    if (ref > 0xffffffff || !grant_begin(&r->grant, (u32)ref, true)) {
        return false;
    }
    if (!guest_pin(r->grant.gfn)) {
        grant_end(&r->grant);
        return false;
    }
    return true;
}

void xenbus_unmap_ring(struct xenbus_ring *r)
{
    if (r->grant.frame != NULL) {
        guest_unpin(r->grant.gfn);
        grant_end(&r->grant);
    }
}
