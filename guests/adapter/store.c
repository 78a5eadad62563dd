/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xenstore's server end of the ring: requests are put together, answered by the tree, and watches told. [Xen public/io/xs_wire.h]
 * Answers wait here when the ring is full; a guest that never reads is not listened to any more. The tree is store_tree.c.
 * Left out: other domains' nodes (SET_TARGET, INTRODUCE, RELEASE are refused), permissions beyond remembering none. */
#include "guests/adapter/store.h"

#define RING 1024u
#define REQUEST_CONS 2048u
#define REQUEST_PROD 2052u
#define RESPONSE_CONS 2056u
#define RESPONSE_PROD 2060u
#define OUT_MAX 32768u
#define OUT_RESERVE 8192u /* for one answer and its events */
#define WATCHES 64
#define SHUTDOWN STORE_HOME "/control/shutdown"
#define TRANSACTIONS 4

enum type {
    XS_DIRECTORY = 1,
    XS_READ = 2,
    XS_GET_PERMS = 3,
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
    XS_IS_DOMAIN_INTRODUCED = 17,
    XS_RESET_WATCHES = 21,
    XS_DIRECTORY_PART = 22,
};

struct header {
    u32 type, request, transaction, length;
};

static struct header request;
static char payload[STORE_PAYLOAD + 1];
static u32 have; /* bytes of header and payload so far */
static u8 out[OUT_MAX];
static u32 out_head, out_tail;

static struct {
    bool used;
    char path[STORE_PATH], token[STORE_PATH];
    bool relative;
} watches[WATCHES];

/* A transaction's writes are made at its end, if nothing that anybody wrote since is in its way. */
static struct {
    u32 id; /* 0: free */
    u32 begun;
    struct store_tree *tree;
} transactions[TRANSACTIONS];
static u32 next_transaction = 1;
static u32 changes; /* of the tree, by anybody */
static struct store_tree trees[TRANSACTIONS + 1];
#define MAIN (&trees[TRANSACTIONS])

static volatile u32 *word(u32 offset) { return at_address(ADAPTER_STORE_AT + offset); }

static void put(const void *data, u32 size)
{
    const u8 *from = data;
    for (u32 i = 0; i < size && out_head - out_tail < OUT_MAX; i++) {
        out[out_head++ % OUT_MAX] = from[i];
    }
}

/* True: the guest has something to read. */
static bool flush(void)
{
    u32 prod = *word(RESPONSE_PROD);
    u32 cons = *word(RESPONSE_CONS);
    bool any = false;
    while (out_tail != out_head && prod - cons < RING) {
        *(volatile u8 *)at_address(ADAPTER_STORE_AT + RING + (prod++ & (RING - 1))) = out[out_tail++ % OUT_MAX];
        any = true;
    }
    __asm__ volatile("" : : : "memory");
    *word(RESPONSE_PROD) = prod;
    return any;
}

static void reply(u32 type, const char *text, u32 size)
{
    const struct header h = {type, request.request, request.transaction, size};
    put(&h, sizeof h);
    put(text, size);
}

static void reply_error(const char *name) { reply(XS_ERROR, name, (u32)strlen(name) + 1); }
static void reply_done(void) { reply(request.type, "OK", 3); }

/* Relative paths are the domain's own. False: too long, or none. */
static bool absolute(const char *given, char *path)
{
    u32 n = 0;
    const char *home = given[0] == '/' ? "" : STORE_HOME "/";
    if (given[0] == 0 || strlen(given) + strlen(home) >= STORE_PATH) {
        return false;
    }
    for (const char *s = home; *s != 0; s++) {
        path[n++] = *s;
    }
    for (const char *s = given; *s != 0; s++) {
        path[n++] = *s;
    }
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    path[n] = 0;
    return true;
}

static void put_event(const char *path, const char *token)
{
    u32 a = (u32)strlen(path) + 1;
    u32 b = (u32)strlen(token) + 1;
    const struct header h = {XS_WATCH_EVENT, 0, 0, a + b};
    put(&h, sizeof h);
    put(path, a);
    put(token, b);
}

static bool is_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return memcmp(path, top, n < strlen(path) ? n : strlen(path)) == 0 && strlen(path) >= n &&
           (path[n] == 0 || path[n] == '/' || (n == 1 && top[0] == '/'));
}

static bool shutdown_asked;

/* The guest clears what it was told when it has taken it. */
static void see_control(const char *path)
{
    const struct store_node *node = store_find(MAIN, SHUTDOWN);
    if (shutdown_asked && text_equal(path, SHUTDOWN) && (node == NULL || node->length == 0)) {
        shutdown_asked = false;
        root_control_taken();
    }
}

/* A node changed: watches on it and above it fire; `removed`: those below it, too. */
static void fire(const char *path, bool removed)
{
    changes++;
    see_control(path);
    for (u32 i = 0; i < WATCHES; i++) {
        if (!watches[i].used) {
            continue;
        }
        const char *home = STORE_HOME "/";
        if (is_below(path, watches[i].path)) {
            bool relative = watches[i].relative && is_below(path, STORE_HOME) && strlen(path) > strlen(home);
            put_event(relative ? path + strlen(home) : path, watches[i].token);
        } else if (removed && is_below(watches[i].path, path)) {
            put_event(watches[i].relative ? watches[i].path + strlen(home) : watches[i].path, watches[i].token);
        }
    }
}

static struct store_tree *tree_of_request(void)
{
    for (u32 i = 0; i < TRANSACTIONS; i++) {
        if (request.transaction != 0 && transactions[i].id == request.transaction) {
            return transactions[i].tree;
        }
    }
    return request.transaction == 0 ? MAIN : NULL;
}

static void serve_watch(char *path)
{
    const char *token = payload + strlen(payload) + 1;
    if (token >= payload + request.length || strlen(token) >= STORE_PATH) {
        reply_error("EINVAL");
        return;
    }
    for (u32 i = 0; i < WATCHES; i++) {
        if (watches[i].used && text_equal(watches[i].path, path) && text_equal(watches[i].token, token)) {
            reply_error("EEXIST");
            return;
        }
    }
    for (u32 i = 0; i < WATCHES; i++) {
        if (!watches[i].used) {
            watches[i].used = true;
            watches[i].relative = payload[0] != '/' && payload[0] != '@';
            memcpy(watches[i].path, path, strlen(path) + 1);
            memcpy(watches[i].token, token, strlen(token) + 1);
            reply_done();
            put_event(payload, token); /* once at once, as it was given */
            return;
        }
    }
    reply_error("E2BIG");
}

static void serve_unwatch(const char *path)
{
    const char *token = payload + strlen(payload) + 1;
    for (u32 i = 0; token < payload + request.length && i < WATCHES; i++) {
        if (watches[i].used && text_equal(watches[i].path, path) && text_equal(watches[i].token, token)) {
            watches[i].used = false;
            reply_done();
            return;
        }
    }
    reply_error("ENOENT");
}

static void serve_begin(void)
{
    for (u32 i = 0; request.transaction == 0 && i < TRANSACTIONS; i++) {
        if (transactions[i].id == 0) {
            char digits[12];
            transactions[i].id = next_transaction++;
            transactions[i].begun = changes;
            transactions[i].tree = &trees[i];
            store_copy(&trees[i], MAIN);
            reply(XS_TRANSACTION_START, digits, store_decimal(transactions[i].id, digits) + 1);
            return;
        }
    }
    reply_error(request.transaction != 0 ? "EBUSY" : "ENOSPC");
}

static void serve_end(void)
{
    for (u32 i = 0; i < TRANSACTIONS; i++) {
        if (request.transaction == 0 || transactions[i].id != request.transaction) {
            continue;
        }
        transactions[i].id = 0;
        if (payload[0] != 'T') {
            reply_done();
        } else if (transactions[i].begun != changes) {
            reply_error("EAGAIN");
        } else {
            reply_done();
            store_commit(MAIN, &trees[i], fire);
        }
        return;
    }
    reply_error("ENOENT");
}

/* Where the guest may write: below its own home, but for what tells it who it is. */
static bool is_writable(const char *path)
{
    static const char *const fixed[] = {STORE_HOME "/domid", STORE_HOME "/vm", STORE_HOME "/name"};
    for (u32 i = 0; i < ARRAY_LEN(fixed); i++) {
        if (text_equal(path, fixed[i])) {
            return false;
        }
    }
    return is_below(path, STORE_HOME) && strlen(path) > strlen(STORE_HOME);
}

static void serve_change(struct store_tree *tree, const char *path)
{
    const char *error = NULL;
    if (!is_writable(path)) {
        error = "EACCES";
    } else if (request.type == XS_WRITE) {
        u32 at = (u32)strlen(payload) + 1;
        error = at > request.length ? "EINVAL" : store_write(tree, path, payload + at, request.length - at);
    } else if (request.type == XS_MKDIR) {
        error = store_find(tree, path) == NULL ? store_write(tree, path, "", 0) : NULL;
    } else {
        error = store_remove(tree, path);
    }
    if (error != NULL) {
        reply_error(error);
        return;
    }
    reply_done();
    if (tree == MAIN) {
        fire(path, request.type == XS_RM);
    }
}

static void serve_node(struct store_tree *tree, const char *path)
{
    const struct store_node *node = store_find(tree, path);
    static char list[STORE_PAYLOAD];
    if (node == NULL) {
        reply_error("ENOENT");
    } else if (request.type == XS_READ) {
        reply(XS_READ, node->value, node->length);
    } else if (request.type == XS_DIRECTORY) {
        reply(XS_DIRECTORY, list, store_list(tree, path, list));
    } else if (request.type == XS_GET_PERMS) {
        reply(XS_GET_PERMS, is_writable(path) ? "n1" : "n0\0r1", is_writable(path) ? 3 : 6);
    } else {
        reply_done(); /* SET_PERMS: there is nobody else */
    }
}

static void serve(void)
{
    char path[STORE_PATH];
    payload[request.length] = 0;
    struct store_tree *tree = tree_of_request();
    bool has_path = absolute(payload, path);
    if (tree == NULL) {
        reply_error("ENOENT");
        return;
    }
    switch (request.type) {
    case XS_TRANSACTION_START:
        serve_begin();
        return;
    case XS_TRANSACTION_END:
        serve_end();
        return;
    case XS_GET_DOMAIN_PATH:
        reply(XS_GET_DOMAIN_PATH, STORE_HOME, sizeof STORE_HOME);
        return;
    case XS_IS_DOMAIN_INTRODUCED:
        reply(request.type, "T", 2);
        return;
    case XS_RESET_WATCHES:
        memset(watches, 0, sizeof watches);
        reply_done();
        return;
    default:
        break;
    }
    if (!has_path) {
        reply_error("EINVAL");
        return;
    }
    switch (request.type) {
    case XS_WATCH:
        serve_watch(path);
        break;
    case XS_UNWATCH:
        serve_unwatch(path);
        break;
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
        serve_change(tree, path);
        break;
    case XS_READ:
    case XS_DIRECTORY:
    case XS_GET_PERMS:
    case XS_SET_PERMS:
        serve_node(tree, path);
        break;
    default:
        reply_error("ENOSYS");
        break;
    }
}

static void take(u8 c)
{
    if (have < sizeof request) {
        ((u8 *)&request)[have] = c;
    } else {
        payload[have - sizeof request] = (char)c;
    }
    have++;
    if (have == sizeof request && request.length > STORE_PAYLOAD) {
        *word(STORE_ERROR) = 1; /* no client sends this: the connection is over */
        have = 0;
        return;
    }
    if (have >= sizeof request && have - sizeof request == request.length) {
        have = 0;
        serve();
    }
}

void store_notify(void)
{
    u32 cons = *word(REQUEST_CONS);
    u32 prod = *word(REQUEST_PROD);
    bool any = cons != prod;
    if (prod - cons > RING) {
        *word(STORE_ERROR) = 2; /* indexes that cannot be */
        *word(REQUEST_CONS) = prod;
        have = 0;
        return;
    }
    while (cons != prod && OUT_MAX - (out_head - out_tail) >= OUT_RESERVE) {
        take(*(volatile u8 *)at_address(ADAPTER_STORE_AT + (cons++ & (RING - 1))));
    }
    *word(REQUEST_CONS) = cons;
    any = flush() || any;
    if (any) {
        event_raise(EVENT_STORE);
        xenbus_work();
    }
}

void store_set(const char *path, const char *value)
{
    (void)store_write(MAIN, path, value, (u32)strlen(value));
    fire(path, false);
    if (flush()) {
        event_raise(EVENT_STORE);
    }
}

const char *store_get(const char *path)
{
    const struct store_node *node = store_find(MAIN, path);
    return node != NULL ? node->value : NULL;
}

void store_delete(const char *path)
{
    if (store_remove(MAIN, path) == NULL) {
        fire(path, true);
        if (flush()) {
            event_raise(EVENT_STORE);
        }
    }
}

void store_shutdown(const char *how)
{
    store_set(SHUTDOWN, how);
    shutdown_asked = true;
}

void store_init(void)
{
    char number[24];
    static const char *const empty[] = {STORE_HOME "/control", STORE_HOME "/device", STORE_HOME "/data", SHUTDOWN};
    store_set(STORE_HOME "/domid", "1");
    store_set(STORE_HOME "/name", boot->name);
    store_set(STORE_HOME "/vm", "/vm/00000000-0000-0000-0000-000000000001");
    store_set("/vm/00000000-0000-0000-0000-000000000001/name", boot->name);
    for (u32 i = 0; i < ARRAY_LEN(empty); i++) {
        store_set(empty[i], "");
    }
    store_set(STORE_HOME "/control/platform-feature-xs_reset_watches", "1");
    store_set(STORE_HOME "/control/platform-feature-multiprocessor-suspend", "1");
    (void)store_decimal((boot->memory - ADAPTER_BYTES) >> 10, number);
    store_set(STORE_HOME "/memory/target", number);
    store_set(STORE_HOME "/memory/static-max", number);
    for (u32 i = 0; i < boot->vps; i++) {
        char path[] = STORE_HOME "/cpu/NN/availability";
        u32 n = sizeof STORE_HOME "/cpu/" - 1;
        n += store_decimal(i, path + n);
        memcpy(path + n, "/availability", sizeof "/availability");
        store_set(path, "online");
    }
}
