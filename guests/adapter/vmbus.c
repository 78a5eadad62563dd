/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMBus from the client's side: version 5, offers, GPADLs, channels, rings. The root is trusted with what it is the parent for, not with
 * lengths. Everything happens on VP 0: SINT 7 is its own. Left out: subchannels, monitor pages, versions below 5. */
#include "guests/adapter/vmbus.h"

#include "abi/hyperv/msr.h"
#include "abi/hyperv/netvsp.h"
#include "abi/hyperv/storvsp.h"
#include "abi/hyperv/vmbus.h"
#include "guests/lib/packet_trace.h"

#define CONNECTION 4u
#define VERSIONS 2
#define TARGET_VTL 2
#define RING_BYTES (RING_PAGES << PAGE_SHIFT)
#define CHANNEL_PAGES (2 * (RING_PAGES + 1))
#define TRIES 1000
#define WAIT 20000000u /* 2 s, in 100 ns */
#define PFNS_FIRST 26u
#define PFNS_MORE 28u
#define SHARES 16

enum control {
    OFFER = 1,
    RESCIND = 2,
    REQUEST_OFFERS = 3,
    ALL_OFFERED = 4,
    OPEN = 5,
    OPEN_RESULT = 6,
    CLOSE = 7,
    GPADL_HEADER = 8,
    GPADL_BODY = 9,
    GPADL_CREATED = 10,
    GPADL_TEARDOWN = 11,
    GPADL_TORNDOWN = 12,
    RELID_RELEASED = 13,
    INITIATE_CONTACT = 14,
    VERSION_RESPONSE = 15,
};

/* Control page of a ring. */
enum { WRITE_INDEX = 0, READ_INDEX = 4, INTERRUPT_MASK = 8, PENDING_SIZE = 12, FEATURES = 64 };

static u8 rings[VMBUS_CHANNELS][CHANNEL_PAGES << PAGE_SHIFT] __attribute__((aligned(4096)));
static struct channel channels[VMBUS_CHANNELS];
static u32 connection = CONNECTION;
static u32 next_gpadl = 1;
static bool connected, answered, all_offered;
static u32 event_words[2048 / 32]; /* taken from the page */

/* GPADLs beside the rings', until they are answered. */
static struct {
    u32 gpadl;
    struct channel *channel;
    void (*created)(struct channel *c, u32 gpadl, bool ok);
} shares[SHARES];

/* The root's buffers are few. */
static u16 post(const void *message, u32 size)
{
    for (u32 i = 0;; i++) {
        u16 status = hv_post_to(connection, 1, message, size);
        if (status != HV_INSUFFICIENT_BUFFERS || i == TRIES) {
            return status;
        }
        hv_yield();
    }
}

static u16 contact(u32 version)
{
    struct {
        u32 type, zero, version, vp;
        u8 sint, vtl, padding[2];
        u32 flags;
        u64 monitor[2];
    } m = {.type = INITIATE_CONTACT, .version = version, .sint = VMBUS_SINT, .vtl = TARGET_VTL};
    return post(&m, sizeof m);
}

/* A GPADL of whole pages. */
static u32 create_gpadl(u32 relid, const void *start, u32 pages)
{
    u8 head[28 + 8 * PFNS_FIRST] = {GPADL_HEADER}; /* the list begins at 28, which is not aligned for it */
    struct {
        u32 type, zero, number, gpadl;
        u64 pfn[PFNS_MORE];
    } body = {.type = GPADL_BODY};
    u64 pfn = address_of(start) >> PAGE_SHIFT;
    u32 gpadl = next_gpadl++;
    u32 done = 0;
    u32 bytes = pages << PAGE_SHIFT;
    const u16 lengths[2] = {(u16)(8 + 8 * pages), 1};
    memcpy(head + 8, &relid, 4);
    memcpy(head + 12, &gpadl, 4);
    memcpy(head + 16, lengths, 4);
    memcpy(head + 20, &bytes, 4);
    while (done < pages && done < PFNS_FIRST) {
        u64 p = pfn + done;
        memcpy(head + 28 + 8ull * done++, &p, 8);
    }
    (void)post(head, 28 + 8 * done);
    while (done < pages) {
        u32 n = 0;
        body.gpadl = gpadl;
        while (done < pages && n < PFNS_MORE) {
            body.pfn[n++] = pfn + done++;
        }
        (void)post(&body, 16 + 8 * n);
        body.number++;
    }
    return gpadl;
}

u32 vmbus_share(struct channel *c, const void *start, u32 pages, void (*created)(struct channel *c, u32 gpadl, bool ok))
{
    for (u32 i = 0; i < SHARES; i++) {
        if (shares[i].channel == NULL && c->shared_count < ARRAY_LEN(c->shared)) {
            shares[i].channel = c;
            shares[i].created = created;
            shares[i].gpadl = create_gpadl(c->relid, start, pages);
            c->shared[c->shared_count++] = shares[i].gpadl;
            return shares[i].gpadl;
        }
    }
    return 0;
}

static u8 *sending(struct channel *c) { return c->ring; }
static u8 *receiving(struct channel *c) { return c->ring + ((RING_PAGES + 1) << PAGE_SHIFT); }
static volatile u32 *field(u8 *ring, u32 offset) { return (volatile u32 *)(void *)(ring + offset); }

static void put_bytes(u8 *ring, u32 *at, const void *data, u32 size)
{
    const u8 *from = data;
    u32 first = (u32)min_u64(size, RING_BYTES - *at);
    memcpy(ring + PAGE_SIZE + *at, from, first);
    memcpy(ring + PAGE_SIZE, from + first, size - first);
    *at = (*at + size) % RING_BYTES;
}

static void get_bytes(const u8 *ring, u32 at, void *data, u32 size)
{
    u32 first = (u32)min_u64(size, RING_BYTES - at);
    memcpy(data, ring + PAGE_SIZE + at, first);
    memcpy((u8 *)data + first, ring + PAGE_SIZE, size - first);
}

/* An observer knows who says it once VTL 0 has called. */
static void tell(enum trace_port_type claim, const struct channel *c, u16 type, u64 transaction, const void *data, u32 size)
{
    const struct traced_channel traced = {0, c->relid, c->interface};
    if (vps[0].calls != 0) {
        trace_packet(claim, &traced, type, transaction, data, size);
    }
}

bool vmbus_send(struct channel *c, enum packet_type type, u16 flags, u64 transaction, const void *data, u32 size, const u64 *pages, u32 bytes)
{
    static const u64 zeros;
    u32 count = (u32)((bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    u32 head = 16 + (pages != NULL ? 16 + 8 * count : 0);
    u32 total = (u32)align_up(head + size, 8);
    u8 *ring = sending(c);
    u32 begin = *field(ring, WRITE_INDEX);
    u32 read = *field(ring, READ_INDEX);
    if (c->state != CHANNEL_OPEN || begin >= RING_BYTES || read >= RING_BYTES) {
        return false;
    }
    u32 room = read > begin ? read - begin : RING_BYTES - begin + read;
    if (room <= total + 8) {
        return false;
    }
    const u16 descriptor[4] = {(u16)type, (u16)(head / 8), (u16)(total / 8), flags};
    u32 at = begin;
    put_bytes(ring, &at, descriptor, sizeof descriptor);
    put_bytes(ring, &at, &transaction, 8);
    if (pages != NULL) {
        const u32 range[4] = {0, 1, bytes, 0};
        put_bytes(ring, &at, range, sizeof range);
        put_bytes(ring, &at, pages, 8 * count);
    }
    put_bytes(ring, &at, data, size);
    put_bytes(ring, &at, &zeros, total - head - size);
    const u64 trailer = (u64)begin << 32;
    put_bytes(ring, &at, &trailer, 8);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    tell(CLAIM_packet_put, c, (u16)type, transaction, data, size);
    *field(ring, WRITE_INDEX) = at;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (*field(ring, INTERRUPT_MASK) == 0 && *field(ring, READ_INDEX) == begin) {
        if (vps[0].calls != 0) {
            trace_packet_calls(CLAIM_packet_signal, 0, c->relid, transaction);
        }
        (void)hv_signal(c->connection);
    }
    return true;
}

/* False: no packet, or one that cannot be. */
static bool take_packet(struct channel *c)
{
    static u8 copy[PACKET_MAX];
    u8 *ring = receiving(c);
    u32 read = *field(ring, READ_INDEX);
    u32 write = *field(ring, WRITE_INDEX);
    u32 there = (write + RING_BYTES - read) % RING_BYTES;
    u16 d[4];
    if (read >= RING_BYTES || write >= RING_BYTES || there < 24) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    get_bytes(ring, read, d, sizeof d);
    u32 head = 8u * d[1];
    u32 total = 8u * d[2];
    if (head < 16 || head > total || total + 8 > there) {
        c->state = CHANNEL_FAILED;
        adapter_log("adapter: channel %x: a packet that cannot be\n", c->relid);
        return false;
    }
    u32 size = (u32)min_u64(total, PACKET_MAX);
    get_bytes(ring, read, copy, size);
    struct ring_packet p = {.type = d[0], .flags = d[3], .extra = copy + 16};
    memcpy(&p.transaction, copy + 8, 8);
    p.extra_size = (u32)min_u64(head, size) - 16;
    p.data = copy + min_u64(head, size);
    p.size = size - (u32)min_u64(head, size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *field(ring, READ_INDEX) = (read + total + 8) % RING_BYTES;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    u32 wanted = *field(ring, PENDING_SIZE);
    u32 free_before = RING_BYTES - there;
    if (wanted != 0 && free_before <= wanted && free_before + total + 8 > wanted) {
        (void)hv_signal(c->connection);
    }
    tell(CLAIM_packet_taken, c, p.type, p.transaction, p.data, p.size);
    c->driver->packet(c, &p);
    return true;
}

static void receive(struct channel *c)
{
    if (c->state != CHANNEL_OPEN) {
        return;
    }
    while (c->state == CHANNEL_OPEN && take_packet(c)) {
    }
    if (c->state == CHANNEL_OPEN) {
        c->driver->rest(c);
    }
}

static struct channel *by_relid(u32 relid)
{
    for (u32 i = 0; i < VMBUS_CHANNELS; i++) {
        if (channels[i].state != CHANNEL_FREE && channels[i].relid == relid) {
            return &channels[i];
        }
    }
    return NULL;
}

static u32 word(const u8 *m, u32 at)
{
    u32 v;
    memcpy(&v, m + at, 4);
    return v;
}

static void release(u32 relid)
{
    const u32 m[3] = {RELID_RELEASED, 0, relid};
    (void)post(m, sizeof m);
}

static void offered(const u8 *m)
{
    static const struct {
        struct vmbus_guid interface;
        const struct channel_driver *driver;
    } drivers[] = {{STORVSP_INTERFACE, &storage_driver}, {NETVSP_INTERFACE, &network_driver}};
    const struct channel_driver *driver = NULL;
    const u8 *interface = NULL;
    u16 subchannel;
    memcpy(&subchannel, m + 180, 2);
    for (u32 i = 0; i < ARRAY_LEN(drivers) && subchannel == 0; i++) {
        if (memcmp(drivers[i].interface.bytes, m + 8, 16) == 0) {
            driver = drivers[i].driver;
            interface = drivers[i].interface.bytes;
        }
    }
    struct channel *c = channels;
    while (c < channels + VMBUS_CHANNELS && c->state != CHANNEL_FREE) {
        c++;
    }
    if (driver == NULL || c == channels + VMBUS_CHANNELS || by_relid(word(m, 184)) != NULL) {
        return;
    }
    *c = (struct channel){.state = CHANNEL_GPADL, .driver = driver, .interface = interface, .relid = word(m, 184), .connection = word(m, 192)};
    memcpy(c->instance, m + 24, 16);
    c->ring = rings[c - channels];
    memset(c->ring, 0, PAGE_SIZE);
    memset(receiving(c), 0, PAGE_SIZE);
    *field(sending(c), FEATURES) = 1;
    *field(receiving(c), FEATURES) = 1;
    c->gpadl = create_gpadl(c->relid, c->ring, CHANNEL_PAGES);
}

static void gpadl_created(u32 relid, u32 gpadl, u32 status)
{
    struct channel *c = by_relid(relid);
    if (c != NULL && c->state == CHANNEL_GPADL && c->gpadl == gpadl) {
        u32 m[37] = {OPEN, 0, relid, relid, gpadl, 0, RING_PAGES + 1};
        c->state = status == 0 ? CHANNEL_OPENING : CHANNEL_FAILED;
        if (status == 0) {
            (void)post(m, sizeof m);
        }
        return;
    }
    for (u32 i = 0; i < SHARES; i++) {
        if (shares[i].channel != NULL && shares[i].channel == c && shares[i].gpadl == gpadl) {
            shares[i].channel = NULL;
            shares[i].created(c, gpadl, status == 0);
        }
    }
}

static void opened(u32 relid, u32 status)
{
    struct channel *c = by_relid(relid);
    if (c != NULL && c->state == CHANNEL_OPENING) {
        c->state = status == 0 ? CHANNEL_OPEN : CHANNEL_FAILED;
        if (status == 0) {
            c->driver->opened(c);
        }
    }
}

/* The offer is withdrawn: the channel is closed, its memory taken back, then the number is the root's again. */
static void rescinded(u32 relid)
{
    struct channel *c = by_relid(relid);
    if (c == NULL || c->state == CHANNEL_LEAVING) {
        if (c == NULL) {
            release(relid);
        }
        return;
    }
    enum channel_state was = c->state;
    const u32 close[3] = {CLOSE, 0, relid};
    u32 teardown[4] = {GPADL_TEARDOWN, 0, relid, c->gpadl};
    for (u32 i = 0; i < SHARES; i++) {
        shares[i].channel = shares[i].channel == c ? NULL : shares[i].channel;
    }
    c->state = CHANNEL_LEAVING;
    if (was == CHANNEL_OPEN || was == CHANNEL_OPENING) {
        c->driver->gone(c);
        (void)post(close, sizeof close);
    }
    (void)post(teardown, sizeof teardown);
    for (u32 i = 0; i < c->shared_count; i++) {
        teardown[3] = c->shared[i];
        (void)post(teardown, sizeof teardown);
    }
    c->left = 1 + c->shared_count;
}

static void torn_down(u32 gpadl)
{
    for (u32 i = 0; i < VMBUS_CHANNELS; i++) {
        struct channel *c = &channels[i];
        bool its = c->gpadl == gpadl;
        for (u32 n = 0; n < c->shared_count; n++) {
            its = its || c->shared[n] == gpadl;
        }
        if (c->state == CHANNEL_LEAVING && its && --c->left == 0) {
            c->state = CHANNEL_FREE;
            release(c->relid);
        }
    }
}

static void control(const u8 *m, u32 size)
{
    static const u8 sizes[] = {[OFFER] = 196, [RESCIND] = 12, [ALL_OFFERED] = 8, [OPEN_RESULT] = 20, [GPADL_CREATED] = 20, [GPADL_TORNDOWN] = 12, [VERSION_RESPONSE] = 16};
    u32 type = size >= 8 ? word(m, 0) : 0;
    if (type >= ARRAY_LEN(sizes) || sizes[type] == 0 || size < sizes[type]) {
        return;
    }
    switch (type) {
    case VERSION_RESPONSE:
        answered = true;
        connected = m[8] != 0 && m[9] == 0;
        connection = connected && word(m, 12) != 0 ? word(m, 12) : connection;
        break;
    case OFFER:
        offered(m);
        break;
    case ALL_OFFERED:
        all_offered = true;
        break;
    case RESCIND:
        rescinded(word(m, 8));
        break;
    case OPEN_RESULT:
        opened(word(m, 8), word(m, 16));
        break;
    case GPADL_CREATED:
        gpadl_created(word(m, 8), word(m, 12), word(m, 16));
        break;
    default:
        torn_down(word(m, 8));
        break;
    }
}

void vmbus_poll(void)
{
    static u8 message[256];
    u32 size;
    while (hv_receive_from(VMBUS_SINT, message, &size)) {
        control(message, size);
    }
    hv_take_events(VMBUS_SINT, event_words, ARRAY_LEN(event_words));
    for (u32 i = 0; i < VMBUS_CHANNELS; i++) {
        struct channel *c = &channels[i];
        if (c->state != CHANNEL_FREE && c->relid < 2048 && (event_words[c->relid / 32] >> (c->relid % 32) & 1) != 0) {
            receive(c);
        }
    }
    xenbus_work();
}

static bool settled(void)
{
    bool all = all_offered;
    for (u32 i = 0; i < VMBUS_CHANNELS; i++) {
        const struct channel *c = &channels[i];
        bool over = c->state == CHANNEL_FREE || c->state == CHANNEL_FAILED || c->state == CHANNEL_LEAVING;
        all = all && (over || (c->state == CHANNEL_OPEN && c->driver->settled(c)));
    }
    return all;
}

static bool is_answered(void) { return answered; }

static bool wait_for(bool (*what)(void))
{
    u64 end = hv_time() + WAIT;
    while (!what() && hv_time() < end) {
        hv_yield();
        vmbus_poll();
    }
    return what();
}

void vmbus_init(void)
{
    static const u32 versions[VERSIONS] = {0x50002, 0x50000};
    const u32 ask[2] = {REQUEST_OFFERS, 0};
    for (u32 i = 0; i < VERSIONS && !connected; i++) {
        answered = false;
        if (contact(versions[i]) != HV_SUCCESS || !wait_for(is_answered)) {
            return; /* the root has no bus */
        }
    }
    if (!connected || post(ask, sizeof ask) != HV_SUCCESS || !wait_for(settled)) {
        adapter_log("adapter: the root's bus does not answer, or not all of its devices\n");
    }
}
