/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integration services: shutdown, heartbeat, time synchronization, key-value pairs. We ask, the child answers with the same packet. Left out: file
 * copy, snapshots of volumes (VSS), dynamic memory, keyboard, mouse and video. */
#include "guests/root/ic/ic.h"

#include "abi/hyperv/partition.h"

#define SERVICES 4u
#define HEARTBEAT_TICKS 200u /* 2 s */
#define SAMPLE_TICKS 1000u
#define MESSAGE_BYTES 3072u
#define TICK_MS 10u

struct kind {
    const char *name;
    struct vmbus_guid guid;
    u16 type;
    u16 versions;
    struct ic_version version[4];
};

enum { SHUTDOWN, HEARTBEAT, TIMESYNC, KVP };
static const struct kind kinds[SERVICES] = {
    [SHUTDOWN] = {"shutdown", IC_SHUTDOWN_GUID, IC_SHUTDOWN, 4, {{3, 2}, {3, 1}, {3, 0}, {1, 0}}},
    [HEARTBEAT] = {"heartbeat", IC_HEARTBEAT_GUID, IC_HEARTBEAT, 2, {{3, 0}, {1, 0}}},
    [TIMESYNC] = {"time", IC_TIMESYNC_GUID, IC_TIMESYNC, 3, {{4, 0}, {3, 0}, {1, 0}}},
    [KVP] = {"key-value", IC_KVP_GUID, IC_KVP, 3, {{4, 0}, {3, 0}, {1, 0}}},
};
static const struct ic_version frameworks[2] = {{3, 0}, {1, 0}};

struct service {
    const struct kind *kind;
    struct vm *vm;
    struct channel *channel; /* NULL: the child does not run */
    bool ready;
    struct ic_version framework, version;
    u8 transaction;
    bool waits;        /* an answer is due */
    u64 sequence, answered;
    u32 asked_tick, answered_tick, next_tick;
    u32 pair; /* the next to be asked for */
};

static struct service services[VM_MAX][SERVICES];
static u8 message[MESSAGE_BYTES] __attribute__((aligned(8)));

/* False: the ring is full. */
static bool ask(struct service *s, u16 type, const void *body, u32 bytes)
{
    struct ic_header h = {.pipe_flags = IC_PIPE_DATA,
                          .pipe_bytes = (u32)sizeof h - 8 + bytes,
                          .framework = s->framework,
                          .type = type,
                          .message = s->version,
                          .bytes = (u16)bytes,
                          .transaction = ++s->transaction,
                          .flags = IC_TRANSACTION | IC_REQUEST};
    memcpy(message, &h, sizeof h);
    memcpy(message + sizeof h, body, bytes);
    s->waits = channel_write(s->channel, VMBUS_PACKET_INBAND, 0, s->transaction, NULL, 0, message, (u32)sizeof h + bytes);
    s->asked_tick = tick_count;
    return s->waits;
}

static bool negotiate(struct service *s)
{
    u8 body[sizeof(struct ic_negotiate) + 6 * sizeof(struct ic_version)];
    const struct ic_negotiate n = {ARRAY_LEN(frameworks), s->kind->versions, 0};
    u32 list = s->kind->versions * (u32)sizeof(struct ic_version);
    memcpy(body, &n, sizeof n);
    memcpy(body + sizeof n, frameworks, sizeof frameworks);
    memcpy(body + sizeof n + sizeof frameworks, s->kind->version, list);
    s->framework = (struct ic_version){1, 0};
    s->version = (struct ic_version){1, 0};
    return ask(s, IC_NEGOTIATE, body, (u32)(sizeof n + sizeof frameworks) + list);
}

static bool opened(struct channel *c)
{
    struct service *s = c->owner;
    s->ready = s->waits = false;
    s->answered = s->sequence = 0;
    return negotiate(s);
}

static void closed(struct channel *c)
{
    struct service *s = c->owner;
    s->ready = false;
}

static void released(struct channel *c)
{
    struct service *s = c->owner;
    s->channel = NULL;
}

static bool is_offered(const struct ic_version *list, u32 count, const struct ic_version *v)
{
    for (u32 i = 0; i < count; i++) {
        if (list[i].major == v->major && list[i].minor == v->minor) {
            return true;
        }
    }
    return false;
}

static u64 reference_of(const struct vm *vm)
{
    *(struct hv_property_input *)(void *)hypercall_input = (struct hv_property_input){vm->partition, HV_PROPERTY_REFERENCE_TIME, 0, 0};
    return hypercall(HV_CALL_GetPartitionProperty) == HV_SUCCESS ? *(u64 *)(void *)hypercall_output : 0;
}

static void send_time(struct service *s, u8 flags)
{
    u64 now = clock_seconds() * 10000000 + IC_TIME_1970;
    if (s->version.major >= 4) {
        const struct ic_time t = {.parent = now, .reference = reference_of(s->vm), .flags = flags, .stratum = 1};
        (void)ask(s, IC_TIMESYNC, &t, sizeof t);
    } else {
        const struct ic_time_3 t = {.parent = now, .flags = flags};
        (void)ask(s, IC_TIMESYNC, &t, sizeof t);
    }
    s->next_tick = tick_count + SAMPLE_TICKS;
}

static void ask_pair(struct service *s)
{
    static struct ic_kvp k;
    memset(&k, 0, sizeof k);
    k.operation = IC_KVP_ENUMERATE;
    k.pool = IC_KVP_POOL_AUTO;
    k.index = s->pair;
    (void)ask(s, IC_KVP, &k, sizeof k);
}

static bool negotiated(struct service *s, const u8 *body, u32 bytes)
{
    struct ic_negotiate n;
    struct ic_version chosen[2];
    if (bytes < sizeof n + sizeof chosen) {
        return false;
    }
    memcpy(&n, body, sizeof n);
    memcpy(chosen, body + sizeof n, sizeof chosen);
    if (n.frameworks != 1 || n.messages != 1) {
        return true; /* none that it knows: never ready */
    }
    if (!is_offered(frameworks, ARRAY_LEN(frameworks), &chosen[0]) || !is_offered(s->kind->version, s->kind->versions, &chosen[1])) {
        return false;
    }
    s->framework = chosen[0];
    s->version = chosen[1];
    s->ready = true;
    s->next_tick = tick_count;
    if (s->kind->type == IC_TIMESYNC) {
        send_time(s, IC_TIME_SYNC);
    }
    return true;
}

/* UTF-16 as far as it is ASCII; what could drive a terminal is a dot. */
static void print_wide(const u8 *text, u32 bytes, u32 room)
{
    for (u32 i = 0; i + 1 < bytes && i + 1 < room && (text[i] != 0 || text[i + 1] != 0); i += 2) {
        print("%c", text[i + 1] == 0 && text[i] >= ' ' && text[i] < 0x7f ? text[i] : '.');
    }
}

/* What was asked: the next pair, or whether it keeps one. */
static bool pair_came(struct service *s, u32 status, const u8 *body, u32 bytes)
{
    static struct ic_kvp k;
    if (bytes > 0 && body[0] == IC_KVP_SET) {
        console_note(s->vm, status == 0 ? "the guest keeps the pair" : "the guest does not keep the pair");
        return true;
    }
    if (status != 0 || bytes < sizeof k) {
        print("\nroot: %s: %u pair(s)\n", s->vm->name, s->pair);
        return true;
    }
    memcpy(&k, body, sizeof k);
    print("\n  %s: ", s->vm->name);
    print_wide(k.pair.key, k.pair.key_bytes, sizeof k.pair.key);
    print(" = ");
    print_wide(k.pair.value, k.pair.value_bytes, sizeof k.pair.value);
    s->pair++;
    ask_pair(s);
    return true;
}

static bool packet(struct channel *c, const struct packet *p)
{
    struct service *s = c->owner;
    struct ic_header h;
    if (p->type != VMBUS_PACKET_INBAND || p->bytes - p->extra < sizeof h) {
        return false;
    }
    const u8 *from = p->data + p->extra;
    u32 bytes = p->bytes - p->extra - (u32)sizeof h;
    memcpy(&h, from, sizeof h);
    if ((h.flags & IC_RESPONSE) == 0 || !s->waits || h.transaction != s->transaction) {
        return true; /* late, or not to us */
    }
    s->waits = false;
    s->answered_tick = tick_count;
    if (h.type == IC_NEGOTIATE) {
        return s->ready || negotiated(s, from + sizeof h, bytes);
    }
    if (h.type != s->kind->type) {
        return false;
    }
    switch (h.type) {
    case IC_HEARTBEAT:
        s->answered++;
        return true;
    case IC_SHUTDOWN:
        console_note(s->vm, h.status == 0 ? "the guest shuts down" : "the guest refuses to shut down");
        return true;
    case IC_KVP:
        return pair_came(s, h.status, from + sizeof h, bytes);
    default:
        return true;
    }
}

static const struct channel_ops ops = {"integration", opened, closed, packet, NULL, NULL, NULL, released};

bool ic_start(struct vm *vm)
{
    struct bus *b = bus_of(vm);
    for (u32 i = 0; i < SERVICES; i++) {
        struct service *s = &services[vm - vms][i];
        struct vmbus_guid instance = kinds[i].guid;
        instance.bytes[15] ^= 1;
        *s = (struct service){.kind = &kinds[i], .vm = vm};
        s->channel = channel_offer(b, &kinds[i].guid, &instance, &ops, s, true, NULL, 0);
        if (s->channel == NULL) {
            return false;
        }
    }
    return true;
}

static void service_poll(struct service *s)
{
    if (s->channel == NULL || !s->ready || tick_count - s->next_tick > 0x7fffffffu) {
        return;
    }
    if (s->kind->type == IC_HEARTBEAT) {
        const struct ic_heartbeat h = {.sequence = ++s->sequence};
        (void)ask(s, IC_HEARTBEAT, &h, sizeof h);
        s->next_tick = tick_count + HEARTBEAT_TICKS;
    } else if (s->kind->type == IC_TIMESYNC) {
        send_time(s, IC_TIME_SAMPLE);
    }
}

void ic_poll(void)
{
    static u32 seen;
    if (seen == tick_count) {
        return;
    }
    seen = tick_count;
    for (u32 i = 0; i < VM_MAX * SERVICES; i++) {
        service_poll(&services[i / SERVICES][i % SERVICES]);
    }
}

bool ic_shutdown(struct vm *vm)
{
    static struct ic_shutdown m;
    struct service *s = &services[vm - vms][SHUTDOWN];
    if (s->channel == NULL || !s->ready) {
        return false;
    }
    memset(&m, 0, sizeof m);
    m.reason = IC_SHUTDOWN_PLANNED;
    m.flags = IC_SHUTDOWN_POWER_OFF;
    return ask(s, IC_SHUTDOWN, &m, sizeof m);
}

void ic_show_heartbeat(const struct vm *vm)
{
    const struct service *s = &services[vm - vms][HEARTBEAT];
    if (s->channel == NULL || !s->ready) {
        print("  %s: no heartbeat\n", vm->name);
    } else if (s->answered == 0 || tick_count - s->answered_tick > 2 * HEARTBEAT_TICKS) {
        print("  %s: the heart stands still, %lu of %lu were answered\n", vm->name, s->answered, s->sequence);
    } else {
        print("  %s: the heart beats, %lu of %lu were answered, the last %u ms ago\n", vm->name, s->answered, s->sequence,
              (tick_count - s->answered_tick) * TICK_MS);
    }
}

bool ic_show_pairs(struct vm *vm)
{
    struct service *s = &services[vm - vms][KVP];
    if (s->channel == NULL || !s->ready || s->waits) {
        return false;
    }
    s->pair = 0;
    ask_pair(s);
    return true;
}

/* As UTF-16 with its end; bytes, 0: too long. */
static u32 wide(u8 *to, u32 room, const char *text)
{
    u32 n = (u32)strlen(text) + 1;
    for (u32 i = 0; 2 * n <= room && i < n; i++) {
        to[2 * i] = (u8)text[i];
        to[2 * i + 1] = 0;
    }
    return 2 * n <= room ? 2 * n : 0;
}

bool ic_set_pair(struct vm *vm, const char *key, const char *value)
{
    static struct ic_kvp_set k;
    struct service *s = &services[vm - vms][KVP];
    memset(&k, 0, sizeof k);
    k.operation = IC_KVP_SET;
    k.pool = IC_KVP_POOL_EXTERNAL;
    k.pair.type = IC_KVP_TEXT;
    k.pair.key_bytes = wide(k.pair.key, sizeof k.pair.key, key);
    k.pair.value_bytes = wide(k.pair.value, sizeof k.pair.value, value);
    return s->channel != NULL && s->ready && !s->waits && k.pair.key_bytes != 0 && k.pair.value_bytes != 0 && ask(s, IC_KVP, &k, sizeof k);
}
