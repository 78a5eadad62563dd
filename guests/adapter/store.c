/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xenstore's server end: a store of a few read-only nodes so far. [Xen public/io/xs_wire.h] Left out: what the guest writes is taken
 * and forgotten, watches fire once, directories are empty, transactions see nothing. */
#include "guests/adapter/adapter.h"

#define RING 1024u
#define REQUEST_CONS 2048u
#define REQUEST_PROD 2052u
#define RESPONSE_CONS 2056u
#define RESPONSE_PROD 2060u
#define PAYLOAD_MAX 4096u

enum type {
    XS_DIRECTORY = 1,
    XS_READ = 2,
    XS_WATCH = 4,
    XS_UNWATCH = 5,
    XS_TRANSACTION_START = 6,
    XS_TRANSACTION_END = 7,
    XS_GET_DOMAIN_PATH = 10,
    XS_WRITE = 11,
    XS_MKDIR = 12,
    XS_RM = 13,
    XS_SET_PERMS = 14,
    XS_WATCH_EVENT = 15,
    XS_ERROR = 16,
    XS_RESET_WATCHES = 21,
};

struct header {
    u32 type, request, transaction, length;
};

static struct header request;
static u8 payload[PAYLOAD_MAX + 1];
static u32 have; /* bytes of header and payload so far */

static volatile u32 *word(u32 offset) { return at_address(ADAPTER_STORE_AT + offset); }

/* What does not fit is lost: the guest does not read. */
static void put(const void *data, u32 size)
{
    const u8 *from = data;
    u32 prod = *word(RESPONSE_PROD);
    for (u32 i = 0; i < size && prod - *word(RESPONSE_CONS) < RING; i++) {
        *(volatile u8 *)at_address(ADAPTER_STORE_AT + RING + (prod++ & (RING - 1))) = from[i];
    }
    *word(RESPONSE_PROD) = prod;
}

static void reply(u32 type, const char *text, u32 size)
{
    const struct header h = {type, request.request, request.transaction, size};
    put(&h, sizeof h);
    put(text, size);
}

static void read_node(const char *path)
{
    static const struct {
        const char *path, *value;
    } nodes[] = {
        {"domid", "1"},
        {"name", "child"},
        {"control/platform-feature-xs_reset_watches", "1"},
    };
    for (u32 i = 0; i < ARRAY_LEN(nodes); i++) {
        if (text_equal(nodes[i].path, path)) {
            reply(XS_READ, nodes[i].value, (u32)strlen(nodes[i].value));
            return;
        }
    }
    reply(XS_ERROR, "ENOENT", 7);
}

static void serve(void)
{
    payload[request.length] = 0;
    switch (request.type) {
    case XS_READ:
        read_node((const char *)payload);
        break;
    case XS_WATCH: { /* fires once at once: path and token as given */
        reply(XS_WATCH, "OK", 3);
        const struct header h = {XS_WATCH_EVENT, 0, 0, request.length};
        put(&h, sizeof h);
        put(payload, request.length);
        break;
    }
    case XS_TRANSACTION_START:
        reply(XS_TRANSACTION_START, "1", 2);
        break;
    case XS_GET_DOMAIN_PATH:
        reply(XS_GET_DOMAIN_PATH, "/local/domain/1", 16);
        break;
    case XS_UNWATCH:
    case XS_TRANSACTION_END:
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
    case XS_RESET_WATCHES:
        reply(request.type, "OK", 3);
        break;
    case XS_DIRECTORY:
        reply(XS_ERROR, "ENOENT", 7);
        break;
    default:
        reply(XS_ERROR, "ENOSYS", 7);
        break;
    }
}

static void take(u8 c)
{
    if (have < sizeof request) {
        ((u8 *)&request)[have] = c;
    } else if (have - sizeof request < PAYLOAD_MAX) {
        payload[have - sizeof request] = c;
    }
    have++;
    if (have >= sizeof request && have - sizeof request >= min_u64(request.length, PAYLOAD_MAX)) {
        request.length = (u32)min_u64(request.length, PAYLOAD_MAX);
        have = 0;
        serve();
    }
}

void store_notify(void)
{
    u32 cons = *word(REQUEST_CONS);
    u32 prod = *word(REQUEST_PROD);
    bool any = cons != prod;
    for (u32 i = 0; cons != prod && i < RING; i++) {
        take(*(volatile u8 *)at_address(ADAPTER_STORE_AT + (cons++ & (RING - 1))));
    }
    *word(REQUEST_CONS) = prod;
    if (any) {
        event_raise(EVENT_STORE);
    }
}
