/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frontends of our own for one disk and one network adapter: orderly, each kind of request once, and what comes of it; then, with "attack N" in the
 * command line, N nonsenses in rings, grants, ports and the store, and orderly again. [Xen public/io/] */
#include "guests/xentest/xen.h"

#define REPORT_NAME "frontends"
#include "guests/xentest/report.h"

#define STORE_AT 0xd9000u
#define STORE_PORT 1u
#define STORE_RING 1024u
#define VBD 51712u
#define PATIENCE 4000u
#define TX_SLOTS 256u
#define BLK_SLOTS 32u
#define SECTOR 512u
#define GRANTS 512u
#define PERMIT 1u
#define READ_ONLY 4u
#define ADAPTER_GFN 0xc00u
#define OP_READ 0u
#define OP_WRITE 1u
#define OP_FLUSH 3u
#define OP_DISCARD 5u

enum { XS_READ = 2, XS_WRITE = 11, XS_ERROR = 16 };
enum { BLK_RING = 8, TX_RING, RX_RING, BLK_DATA = 16, TX_DATA = 40, RX_DATA = 48 }; /* grants */
enum { CLOSED = 6, CONNECTED = 4, INIT_WAIT = 2, INITIALISED = 3 };

static u8 table[4096] __attribute__((aligned(4096)));
static u8 blk_ring[4096] __attribute__((aligned(4096)));
static u8 tx_ring[4096] __attribute__((aligned(4096)));
static u8 rx_ring[4096] __attribute__((aligned(4096)));
static u8 data[8][4096] __attribute__((aligned(4096)));
static u8 frames[9][4096] __attribute__((aligned(4096)));
static u32 blk_port, net_port, connections, answers;
static char answer[4097];
static u64 seed = 88172645463325252ull;

void second_main(void);
void second_main(void) {}

static u32 any(u32 limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return limit == 0 ? (u32)(seed >> 16) : (u32)((seed >> 16) % limit);
}

static void yield(void) { (void)xen(SCHED, 0, 0, 0); }
static volatile u32 *word(u8 *ring, u32 offset) { return (volatile u32 *)(void *)(ring + offset); }

static i64 notify(u32 port) { return xen(EVENT, 4, at(&port), 0); }

/* ---- the store ---- */

static void store_put(const void *from, u32 size)
{
    volatile u8 *ring = at_address(STORE_AT);
    volatile u32 *index = at_address(STORE_AT + 2048);
    for (u32 i = 0; i < size; i++) {
        for (u32 n = 0; index[1] - index[0] == STORE_RING && n < PATIENCE; n++) {
            (void)notify(STORE_PORT);
        }
        ring[index[1] % STORE_RING] = ((const u8 *)from)[i];
        index[1]++;
    }
    (void)notify(STORE_PORT);
}

static bool store_get(void *to, u32 size)
{
    volatile u8 *ring = at_address(STORE_AT + STORE_RING);
    volatile u32 *index = at_address(STORE_AT + 2056);
    for (u32 i = 0; i < size; i++) {
        for (u32 n = 0; index[0] == index[1]; n++) {
            if (n == PATIENCE) {
                return false;
            }
            (void)notify(STORE_PORT);
        }
        ((u8 *)to)[i] = ring[index[0] % STORE_RING];
        index[0]++;
    }
    return true;
}

/* The answer's type; its payload in `answer`. What has another number is passed over: events of watches that junk asked for, answers that were
 * no longer waited for. */
static u32 store_ask(u32 type, u32 transaction, const char *payload, u32 size)
{
    static u32 number;
    u32 head[4] = {type, ++number, transaction, size};
    store_put(head, sizeof head);
    store_put(payload, size);
    do {
        if (!store_get(head, sizeof head) || head[3] > 4096 || !store_get(answer, head[3])) {
            return XS_ERROR;
        }
    } while (head[1] != number);
    answer[head[3]] = 0;
    return head[0];
}

static u32 join(char *to, u32 n, const char *text)
{
    while (*text != 0) {
        to[n++] = *text++;
    }
    to[n] = 0;
    return n;
}

static void write_node(const char *front, const char *name, const char *value)
{
    char payload[160];
    u32 n = join(payload, join(payload, 0, front), name);
    (void)store_ask(XS_WRITE, 0, payload, join(payload, n + 1, value));
}

static void write_number(const char *front, const char *name, u32 value)
{
    char digits[12];
    u32 n = sizeof digits;
    digits[--n] = 0;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    write_node(front, name, digits + n);
}

static u32 backend_state(const char *backend)
{
    char path[160];
    u32 n = join(path, join(path, 0, backend), "state");
    return store_ask(XS_READ, 0, path, n + 1) == XS_READ ? (u32)(answer[0] - '0') : 0;
}

static bool wait_state(const char *backend, u32 state)
{
    for (u32 i = 0; i < PATIENCE / 8; i++) {
        if (backend_state(backend) == state) {
            return true;
        }
        yield();
    }
    return false;
}

/* ---- grants, ports, connections ---- */

static void grant(u32 ref, u64 gfn, u32 flags)
{
    u32 *e = (u32 *)(void *)(table + 8 * ref);
    e[1] = (u32)gfn;
    __atomic_store_n(&e[0], flags, __ATOMIC_SEQ_CST);
}

static u64 gfn_of(const void *p) { return at(p) >> PAGE_SHIFT; }

static void grant_all(void)
{
    memset(table, 0, sizeof table);
    grant(BLK_RING, gfn_of(blk_ring), PERMIT);
    grant(TX_RING, gfn_of(tx_ring), PERMIT);
    grant(RX_RING, gfn_of(rx_ring), PERMIT);
    for (u32 i = 0; i < 8; i++) {
        grant(BLK_DATA + i, gfn_of(data[i]), PERMIT);
        grant(RX_DATA + i, gfn_of(frames[i]), PERMIT);
    }
    grant(TX_DATA, gfn_of(frames[8]), PERMIT | READ_ONLY);
}

static u32 new_port(u32 old)
{
    u32 close = old;
    u32 unbound[2] = {SELF, 0};
    if (old != 0) {
        (void)xen(EVENT, 3, at(&close), 0);
    }
    (void)xen(EVENT, 6, at(unbound), 0);
    return unbound[1];
}

static void ring_init(u8 *ring)
{
    memset(ring, 0, 4096);
    *word(ring, 4) = *word(ring, 12) = 1;
}

#define VBD_FRONT "device/vbd/51712/"
#define VBD_BACK "/local/domain/0/backend/vbd/1/51712/"
#define VIF_FRONT "device/vif/0/"
#define VIF_BACK "/local/domain/0/backend/vif/1/0/"

/* From whatever state it is in. */
static bool begin_anew(const char *front, const char *back)
{
    write_number(front, "state", CLOSED);
    bool closed = backend_state(back) == INIT_WAIT || wait_state(back, CLOSED);
    write_number(front, "state", 1);
    return closed && wait_state(back, INIT_WAIT);
}

static bool connect(const char *front, const char *back, u32 state)
{
    connections++;
    write_number(front, "state", state);
    bool ok = wait_state(back, CONNECTED);
    write_number(front, "state", CONNECTED);
    return ok;
}

static bool connect_disk(void)
{
    bool ok = begin_anew(VBD_FRONT, VBD_BACK);
    ring_init(blk_ring);
    blk_port = new_port(blk_port);
    write_number(VBD_FRONT, "ring-ref", BLK_RING);
    write_number(VBD_FRONT, "event-channel", blk_port);
    write_node(VBD_FRONT, "protocol", "x86_64-abi");
    return ok && connect(VBD_FRONT, VBD_BACK, INITIALISED);
}

static bool connect_network(void)
{
    bool ok = begin_anew(VIF_FRONT, VIF_BACK);
    ring_init(tx_ring);
    ring_init(rx_ring);
    net_port = new_port(net_port);
    write_number(VIF_FRONT, "tx-ring-ref", TX_RING);
    write_number(VIF_FRONT, "rx-ring-ref", RX_RING);
    write_number(VIF_FRONT, "event-channel", net_port);
    write_number(VIF_FRONT, "request-rx-copy", 1);
    return ok && connect(VIF_FRONT, VIF_BACK, CONNECTED);
}

/* ---- orderly ---- */

static void put_segment(u8 *request, u32 i, u32 ref, u8 first, u8 last)
{
    memcpy(request + 24 + 8 * i, &ref, 4);
    request[24 + 8 * i + 4] = first;
    request[24 + 8 * i + 5] = last;
}

static void put_request(u8 op, u8 segments, u64 id, u64 sector, const u8 *rest)
{
    u32 prod = *word(blk_ring, 0);
    u8 *at_slot = blk_ring + 64 + (prod % BLK_SLOTS) * 112;
    memcpy(at_slot + 24, rest + 24, 88);
    at_slot[0] = op;
    at_slot[1] = segments;
    memcpy(at_slot + 8, &id, 8);
    memcpy(at_slot + 16, &sector, 8);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *word(blk_ring, 0) = prod + 1;
}

/* Its status; 99: none. */
static i64 request(u8 op, u64 id, u64 sector, u32 pages)
{
    u8 raw[112] = {0};
    u32 before = *word(blk_ring, 8);
    u64 sectors = 8;
    for (u32 i = 0; i < pages; i++) {
        put_segment(raw, i, BLK_DATA + i, 0, 7);
    }
    if (op == OP_DISCARD) {
        memcpy(raw + 24, &sectors, 8);
    }
    put_request(op, (u8)pages, id, sector, raw);
    (void)notify(blk_port);
    for (u32 i = 0; i < PATIENCE; i++) {
        if (*word(blk_ring, 8) != before) {
            const u8 *r = blk_ring + 64 + (before % BLK_SLOTS) * 112;
            return memcmp(r, &id, 8) == 0 ? (short)(r[10] | r[11] << 8) : 98;
        }
        yield();
    }
    return 99;
}

static void use_disk(void)
{
    u8 *bytes = &data[0][0];
    for (u32 i = 0; i < 2 * 4096; i++) {
        bytes[i] = (u8)(i * 7 + i / 512);
    }
    check("a write", request(OP_WRITE, 0x101, 16, 2), 0);
    check("a flush", request(OP_FLUSH, 0x102, 0, 0), 0);
    memset(data, 0, 2 * 4096);
    check("a read", request(OP_READ, 0x103, 16, 2), 0);
    u32 wrong = 0;
    for (u32 i = 0; i < 2 * 4096; i++) {
        wrong += bytes[i] != (u8)(i * 7 + i / 512) ? 1 : 0;
    }
    check("what was written, in bytes that differ", wrong, 0);
    check("a discard", request(OP_DISCARD, 0x107, 16, 0), 0);
    check("what is beside it", request(OP_READ, 0x108, 24, 1), 0);
    for (u32 i = 0; i < 4096; i++) {
        wrong += bytes[i] != (u8)((i + 4096) * 7 + (i + 4096) / 512) ? 1 : 0;
    }
    check("the same, in bytes that differ", wrong, 0);
    check("beyond the end", request(OP_READ, 0x104, 1ull << 40, 1), -1);
    check("what there is not", request(77, 0x105, 0, 0), -2);
}

static u32 hex(char c) { return (u32)(c <= '9' ? c - '0' : c - 'a' + 10); }

/* Who has 10.0.2.2? [RFC 826] */
static u8 question[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x15, 0x5d, 0x00, 0x01, 0x00, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1,
                                0x00, 0x15, 0x5d, 0x00, 0x01, 0x00, 10, 0, 2, 50, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2};

static bool router_answered(void)
{
    for (u32 i = 0; i < *word(rx_ring, 8) && i < 8; i++) {
        if (frames[i][12] == 8 && frames[i][13] == 6 && frames[i][21] == 2 && frames[i][31] == 2) {
            return true;
        }
    }
    return false;
}

static void use_network(void)
{
    for (u32 i = 0; i < 8; i++) {
        const u32 r[2] = {i, RX_DATA + i};
        memcpy(rx_ring + 64 + 8 * i, r, sizeof r);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *word(rx_ring, 0) = 8;
    if (store_ask(XS_READ, 0, VIF_FRONT "mac", sizeof VIF_FRONT "mac") == XS_READ) {
        for (u32 i = 0; i < 6; i++) { /* its own address, twice in the question */
            question[6 + i] = question[22 + i] = (u8)(hex(answer[3 * i]) << 4 | hex(answer[3 * i + 1]));
        }
    }
    memcpy(frames[8], question, sizeof question);
    const u16 send[6] = {TX_DATA, 0, 0, 0, 5, sizeof question};
    memcpy(tx_ring + 64, send, sizeof send);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *word(tx_ring, 0) = 1;
    (void)notify(net_port);
    for (u32 i = 0; i < PATIENCE && (*word(tx_ring, 8) == 0 || !router_answered()); i++) {
        yield(); /* answers to what was sent before may come first */
    }
    check("the frame's answer", *word(tx_ring, 8), 1);
    check("its id and status", tx_ring[64] | tx_ring[66] << 8, 5);
    check("10.0.2.2 answers", router_answered(), 1);
}

static void be_orderly(void)
{
    grant_all();
    check("the disk connects", connect_disk(), 1);
    check("the network connects", connect_network(), 1);
    use_disk();
    use_network();
}

/* ---- hostile ---- */

/* Of memory that is not the guest's, is nobody's, is a ring's, or its own. Not the store's: see ruin_store(). */
static u64 any_frame(void)
{
    const u64 places[] = {ADAPTER_GFN + any(1024), 0xffffffff, 0, 0x100000, any(0), gfn_of(blk_ring), gfn_of(table), gfn_of(data[1])};
    return places[any(ARRAY_LEN(places))];
}

static u32 any_ref(void)
{
    const u32 refs[] = {any(0), any(GRANTS), GRANTS * 32, 0, BLK_RING, BLK_DATA + any(8), TX_DATA, 0xffffffff};
    return refs[any(ARRAY_LEN(refs))];
}

static void attack_disk(void)
{
    u8 raw[112];
    u32 n = 1 + any(6);
    for (u32 k = 0; k < n; k++) {
        memset(raw, 0, sizeof raw);
        u32 wrong = any(8); /* one thing, or nothing */
        for (u32 i = 0; i < 11; i++) {
            bool bad = i == 1 && wrong == 0;
            put_segment(raw, i, bad ? any_ref() : BLK_DATA + i % 8, (u8)(wrong == 1 ? any(256) : any(8)), (u8)(wrong == 2 ? any(256) : 7));
        }
        put_request((u8)(wrong == 3 ? any(256) : any(4)), (u8)(wrong == 4 ? any(256) : any(12)), any(0), wrong == 5 ? (u64)any(0) << 20 : any(20), raw);
    }
    (void)notify(blk_port);
}

static void attack_grants(void)
{
    static const u32 flags[] = {PERMIT, PERMIT | READ_ONLY, 2, 3, PERMIT | 5 << 16, PERMIT | 0xfff0, 0};
    grant(BLK_DATA + any(8), any_frame(), flags[any(ARRAY_LEN(flags))]);
    grant(RX_DATA + any(8), any_frame(), flags[any(ARRAY_LEN(flags))]);
    grant(any(GRANTS), any_frame(), flags[any(ARRAY_LEN(flags))]);
}

static void attack_frames(void)
{
    u32 prod = *word(tx_ring, 0);
    u32 n = 1 + any(24);
    for (u32 i = 0; i < n; i++) {
        u16 slot[6] = {(u16)any_ref(), (u16)(any(4) == 0 ? any(0) : 0), (u16)(any(3) == 0 ? any(0) : any(5000)), (u16)any(16), (u16)any(0),
                       (u16)(any(3) == 0 ? any(0) : any(1600))};
        memcpy(tx_ring + 64 + ((prod + i) % TX_SLOTS) * 12, slot, sizeof slot);
    }
    *word(tx_ring, 0) = prod + n;
    for (u32 i = 0; i < TX_SLOTS; i++) {
        const u32 r[2] = {any(0), any_ref()};
        memcpy(rx_ring + 64 + 8 * i, r, any(2) * sizeof r);
    }
    *word(rx_ring, 0) += any(3);
    (void)notify(net_port);
}

/* Indices far apart; the ring's bytes, answers among them, written over while requests are under way. */
static void attack_rings(void)
{
    u8 *rings[] = {blk_ring, tx_ring, rx_ring};
    u8 *ring = rings[any(3)];
    if (any(2) == 0) {
        *word(ring, 4 * any(4)) = any(0);
    } else {
        for (u32 i = 0; i < 64; i++) {
            ring[64 + any(4032)] = (u8)any(256);
        }
    }
    (void)notify(ring == blk_ring ? blk_port : net_port);
}

static void attack_store(void)
{
    static const char *const states[] = {"999999999999999999999", "", "abc", "-1", "4", "0", "3", "5", "2"};
    static const char *const names[] = {"ring-ref", "tx-ring-ref", "rx-ring-ref", "event-channel", "state", "protocol", "request-rx-copy"};
    const char *front = any(2) == 0 ? VBD_FRONT : VIF_FRONT;
    char junk[256];
    switch (any(5)) {
    case 0:
        write_node(front, "state", states[any(ARRAY_LEN(states))]);
        break;
    case 1: /* what it offers, so that it is looked at */
        (void)begin_anew(front, text_equal(front, VBD_FRONT) ? VBD_BACK : VIF_BACK);
        write_number(front, names[any(ARRAY_LEN(names))], any(0));
        write_number(front, "state", any(2) == 0 ? INITIALISED : CONNECTED);
        break;
    case 2: /* another's */
        write_node(any(2) == 0 ? VBD_BACK : "/local/domain/7/", "state", "6");
        break;
    case 3:
        for (u32 i = 0; i < sizeof junk; i++) {
            junk[i] = (char)any(256);
        }
        (void)store_ask(any(40), any(3) == 0 ? any(0) : 0, junk, any(sizeof junk));
        break;
    default:
        write_node(front, "state", "6");
        break;
    }
}

static void attack_ports(void)
{
    u32 port = any(3) == 0 ? any(0) : any(64);
    u32 storm = any(64);
    for (u32 i = 0; i < storm; i++) {
        (void)notify(i % 2 == 0 ? blk_port : net_port);
        (void)notify(port + i);
    }
    if (any(4) == 0) {
        u32 close = any(2) == 0 ? blk_port : net_port;
        (void)xen(EVENT, 3, at(&close), 0);
    }
}

/* Pages that are rings or are granted are given up, and asked back. */
static void attack_memory(void)
{
    const void *const pages[] = {blk_ring, tx_ring, data[0], data[1], frames[0]};
    struct {
        u64 list, count;
        u32 order, flags;
        u16 domain;
    } r = {0, 1, 0, 0, SELF};
    u64 gfn = gfn_of(pages[any(ARRAY_LEN(pages))]);
    r.list = at(&gfn);
    (void)xen(MEMORY, 1, at(&r), 0);
    (void)notify(blk_port);
    yield();
    (void)xen(MEMORY, 6, at(&r), 0);
}

static void attack(u32 count)
{
    static void (*const kinds[])(void) = {attack_disk, attack_grants, attack_frames, attack_rings, attack_store, attack_ports, attack_memory};
    for (u32 i = 0; i < count; i++) {
        kinds[any(ARRAY_LEN(kinds))]();
        answers += *word(blk_ring, 8) != 0 ? 1 : 0;
        if (i % 16 == 15) { /* so that there is something to attack */
            grant_all();
            (void)connect_disk();
            (void)connect_network();
        }
    }
    say("frontends: ");
    say_number(count);
    say(" attacks made, ");
    say_number(connections);
    say(" connections, ");
    say_number(answers);
    say(" times an answer was there\n");
}

/* A disk's bytes over the page of the store's rings. Its connection is dead from then on, so nothing can come after. */
static void ruin_store(void)
{
    grant(BLK_DATA, STORE_AT >> PAGE_SHIFT, PERMIT);
    check("a read over the store's rings", request(OP_READ, 0x106, 16, 1), 0);
    for (u32 i = 0; i < 64; i++) {
        (void)notify(STORE_PORT);
        yield();
    }
}

void guest_main(u32 magic, u32 info)
{
    u64 commands;
    u64 count = 0;
    u64 added[3] = {(u64)SELF | 1ull << 32, 0, gfn_of(table)};
    (void)magic;
    memcpy(&commands, (u8 *)at_address(info) + 24, sizeof commands);
    const char *text = commands != 0 ? at_address(commands) : "";
    xen_find_vendor();
    check("the grant table", xen(MEMORY, 7, at(added), 0), 0);
    be_orderly();
    if (memcmp(text, "attack ", 7) == 0 && text_number(text + 7, &count)) {
        attack((u32)count);
        be_orderly();
        ruin_store();
    }
    report();
    power_off();
}
