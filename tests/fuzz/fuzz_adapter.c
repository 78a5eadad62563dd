/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hostile rings, grants, event channels and xenstore requests against the adapter's own code, run as a program of the host. The parent's bus
 * is a small one of this file: two disks on one controller, a network that echoes. Before anything hostile an orderly frontend of each kind
 * must work: what it writes is on the disk, what it reads is what was there, frames come back. Afterwards, whatever came, no entry of
 * the grant table is in use when the devices are closed, and an orderly frontend works again. */
#include "guests/adapter/store.h"
#include "guests/adapter/xenbus.h"
#include "tests/fuzz/adapter_bus.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define RAM_PAGES 512u
#define LONGEST 600u /* bytes of an input that are played */
#define ARGUMENT 0x3000u /* where the guest's arguments lie */
#define RING_GFN 16u     /* and the next two: the network's */
#define DATA_GFN 32u
#define GRANT_GFN 8u
#define VBD "/local/domain/1/device/vbd/51712"
#define VIF "/local/domain/1/device/vif/0"

static u8 ram[RAM_PAGES][4096] __attribute__((aligned(4096)));
static u8 *const argument = (u8 *)ram + ARGUMENT;
static struct adapter_boot block = {.magic = ADAPTER_MAGIC, .memory = (u64)RAM_PAGES << 12, .vps = 1, .domain = 1, .name = "fuzz"};
struct adapter_boot *boot = &block;
struct vp vps[VP_MAX];
bool call_is_narrow, domain_is_narrow;
static u8 shared[4096];
u8 *shared_info = shared;
static u8 info[64];

/* ---- what the rest of the adapter offers ---- */

void adapter_log(const char *format, ...) { (void)format; }
void root_control_taken(void) {}
void root_console(enum adapter_stream stream, const char *text, u32 count)
{
    (void)stream;
    (void)text;
    (void)count;
}
void console_notify(void) {}
u16 hv_interrupt(u32 vp, u32 type, u8 vector)
{
    (void)vp;
    (void)type;
    (void)vector;
    return 0;
}
void hv_yield(void) {}
static u64 now;
u64 hv_time(void) { return now += 1000; }
static u64 pins[64];
bool guest_is_ram(u64 gfn) { return gfn > 0 && gfn < RAM_PAGES; }
void *guest_frame(u64 gfn) { return guest_is_ram(gfn) ? ram[gfn] : NULL; }
bool guest_pin(u64 gfn)
{
    for (u32 i = 0; i < ARRAY_LEN(pins); i++) {
        if (pins[i] == 0) {
            pins[i] = gfn;
            return true;
        }
    }
    return false;
}
void guest_unpin(u64 gfn)
{
    for (u32 i = 0; i < ARRAY_LEN(pins); i++) {
        if (pins[i] == gfn) {
            pins[i] = 0;
            return;
        }
    }
    CHECK(false);
}
bool guest_get(u64 gva, void *to, u64 size)
{
    bool ok = gva < sizeof ram && size <= sizeof ram - gva;
    if (ok) {
        memcpy(to, (u8 *)ram + gva, size);
    }
    return ok;
}
bool guest_put(u64 gva, const void *from, u64 size)
{
    bool ok = gva < sizeof ram && size <= sizeof ram - gva;
    if (ok) {
        memcpy((u8 *)ram + gva, from, size);
    }
    return ok;
}

/* ---- the guest ---- */

static void put32(u32 gfn, u32 at, u32 v) { memcpy(ram[gfn] + at, &v, 4); }
static u32 get32(u32 gfn, u32 at)
{
    u32 v;
    memcpy(&v, ram[gfn] + at, 4);
    return v;
}

static void grant(u32 ref, u32 gfn, u32 entry_flags)
{
    put32(GRANT_GFN + ref / 512, ref % 512 * 8, entry_flags);
    put32(GRANT_GFN + ref / 512, ref % 512 * 8 + 4, gfn);
}

static void notify(u32 port)
{
    memcpy(argument, &port, 4);
    (void)xen_event_send(ARGUMENT, 0);
}

static u32 new_port(void)
{
    memset(argument, 0, 8);
    CHECK(xen_alloc_unbound(ARGUMENT, 0) == 0);
    u32 port;
    memcpy(&port, argument + 4, 4);
    return port;
}

#define STORE_RING ((u8 *)at_address(ADAPTER_STORE_AT))
static void store_send(u32 type, const void *text, u32 size)
{
    u32 *words = (u32 *)(void *)(STORE_RING + 2048);
    const u32 head[4] = {type, 1, 0, size};
    u32 prod = words[1];
    for (u32 i = 0; i < 16 + size; i++) {
        STORE_RING[prod++ & 1023] = i < 16 ? ((const u8 *)head)[i] : ((const u8 *)text)[i - 16];
    }
    words[1] = prod;
    words[2] = words[3]; /* answers are read */
    notify(EVENT_STORE);
    words[2] = words[3];
}

static void set(const char *path, const char *value)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s", path);
    memcpy(text + n + 1, value, strlen(value));
    store_send(11, text, (u32)n + 1 + (u32)strlen(value));
}

static void set_number(const char *device, const char *name, u32 value)
{
    char path[128], number[16];
    (void)snprintf(path, sizeof path, "%s/%s", device, name);
    (void)snprintf(number, sizeof number, "%u", value);
    set(path, number);
}

static u32 state_of(const char *type)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/local/domain/0/backend/%s/state", type);
    const char *s = store_get(path);
    return s != NULL ? (u32)atoi(s) : 0;
}

static u32 vbd_port, vif_port;

static void connect_vbd(void)
{
    memset(ram[RING_GFN], 0, 4096);
    grant(100, RING_GFN, 1);
    vbd_port = new_port();
    set_number(VBD, "ring-ref", 100);
    set_number(VBD, "event-channel", vbd_port);
    set(VBD "/protocol", "x86_64-abi");
    set_number(VBD, "state", 3);
}

static void connect_vif(void)
{
    memset(ram[RING_GFN + 1], 0, 8192);
    grant(101, RING_GFN + 1, 1);
    grant(102, RING_GFN + 2, 1);
    vif_port = new_port();
    set_number(VIF, "tx-ring-ref", 101);
    set_number(VIF, "rx-ring-ref", 102);
    set_number(VIF, "event-channel", vif_port);
    set_number(VIF, "request-rx-copy", 1);
    set_number(VIF, "state", 4);
}

static void close_all(void)
{
    static const char *const devices[] = {VBD, VIF, "/local/domain/1/device/vbd/51728"};
    for (u32 i = 0; i < ARRAY_LEN(devices); i++) {
        set_number(devices[i], "state", 5);
        set_number(devices[i], "state", 6);
    }
    settle();
    CHECK(!grant_any());
    for (u32 i = 0; i < ARRAY_LEN(pins); i++) {
        CHECK(pins[i] == 0);
    }
}

static void put_blk(u8 op, u8 segments, u64 id, u64 sector, const u32 *refs, u8 first, u8 last)
{
    u32 prod = get32(RING_GFN, 0);
    u8 *r = ram[RING_GFN] + 64 + prod % 32 * 112;
    memset(r, 0, 112);
    r[0] = op;
    r[1] = segments;
    memcpy(r + 8, &id, 8);
    memcpy(r + 16, &sector, 8);
    for (u32 i = 0; i < segments && i < 11; i++) {
        memcpy(r + 24 + 8 * i, &refs[i], 4);
        r[24 + 8 * i + 4] = first;
        r[24 + 8 * i + 5] = last;
    }
    put32(RING_GFN, 0, prod + 1);
    notify(vbd_port);
}

/* The answer to the last request. */
static void expect_blk(u64 id, int status)
{
    settle();
    u32 prod = get32(RING_GFN, 8);
    CHECK(prod == get32(RING_GFN, 0));
    const u8 *r = ram[RING_GFN] + 64 + (prod - 1) % 32 * 112;
    u64 got;
    i64 result = (i64)(int16_t)(r[10] | r[11] << 8);
    memcpy(&got, r, 8);
    CHECK(got == id && result == status);
    put32(RING_GFN, 12, prod + 1);
}

static void orderly_vbd(void)
{
    const u32 refs[11] = {110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120};
    set_number(VBD, "state", 1);
    connect_vbd();
    settle();
    CHECK(state_of("vbd/1/51712") == 4);
    for (u32 i = 0; i < 11; i++) {
        grant(110 + i, DATA_GFN + i, 1);
        memset(ram[DATA_GFN + i], (int)(0x40 + i), 4096);
    }
    put_blk(1, 11, 7, 16, refs, 0, 7);
    expect_blk(7, 0);
    for (u32 i = 0; i < 11; i++) {
        CHECK(medium[0][(16 + 8 * i) * 512] == 0x40 + i && medium[0][(16 + 8 * i) * 512 + 4095] == 0x40 + i);
    }
    put_blk(0, 2, 8, 24, refs, 2, 5); /* parts of pages: 8 sectors from 24 */
    expect_blk(8, 0);
    CHECK(ram[DATA_GFN][1023] == 0x40 && ram[DATA_GFN][1024] == 0x41 && ram[DATA_GFN][3071] == 0x41 && ram[DATA_GFN][3072] == 0x40);
    put_blk(0, 1, 9, SECTORS - 4, refs, 0, 7); /* behind the end */
    expect_blk(9, -1);
    grant(110, DATA_GFN, 5); /* read-only: not for reading into */
    put_blk(0, 1, 10, 0, refs, 0, 7);
    expect_blk(10, -1);
    put_blk(1, 1, 11, 0, refs, 0, 7);
    expect_blk(11, 0);
    grant(110, 0, 1); /* no memory */
    put_blk(1, 1, 12, 0, refs, 0, 7);
    expect_blk(12, -1);
    put_blk(3, 0, 13, 0, refs, 0, 7);
    expect_blk(13, 0);
    put_blk(6, 0, 14, 0, refs, 0, 7);
    expect_blk(14, -2);
    grant(110, DATA_GFN, 1);
    fail_next = true;
    put_blk(0, 1, 15, 0, refs, 0, 7);
    expect_blk(15, -1);
    fail_next = false;
}

static void put_tx(u32 ref, u16 offset, u16 tx_flags, u16 size)
{
    u32 prod = get32(RING_GFN + 1, 0);
    u8 *r = ram[RING_GFN + 1] + 64 + prod % 256 * 12;
    const u16 rest[4] = {offset, tx_flags, 5, size};
    memcpy(r, &ref, 4);
    memcpy(r + 4, rest, 8);
    put32(RING_GFN + 1, 0, prod + 1);
}

static void orderly_vif(void)
{
    set_number(VIF, "state", 1);
    settle();
    connect_vif();
    settle();
    CHECK(state_of("vif/1/0") == 4);
    grant(130, DATA_GFN + 20, 5);
    grant(131, DATA_GFN + 21, 1);
    grant(132, DATA_GFN + 22, 5);
    memset(ram[DATA_GFN + 21], 0, 4096);
    for (u32 i = 0; i < 64; i++) {
        ram[DATA_GFN + 20][4000 + i % 96] = (u8)i;
        ram[DATA_GFN + 22][i] = (u8)(100 + i);
    }
    const u32 request[2] = {77, 131};
    memcpy(ram[RING_GFN + 2] + 64, request, 8);
    put32(RING_GFN + 2, 0, 1);
    put_tx(130, 4000, 4, 96 + 20); /* over a page's end: the first says the size of all */
    put_tx(132, 0, 0, 20);
    notify(vif_port);
    settle();
    CHECK(get32(RING_GFN + 1, 8) == 2 && get32(RING_GFN + 2, 8) == 1);
    const u8 *answer = ram[RING_GFN + 2] + 64;
    CHECK(answer[0] == 77 && answer[6] == 116 && answer[7] == 0);
    CHECK(memcmp(ram[DATA_GFN + 21], ram[DATA_GFN + 20] + 4000, 96) == 0 && memcmp(ram[DATA_GFN + 21] + 96, ram[DATA_GFN + 22], 20) == 0);
}

static void begin(void)
{
    CHECK(mmap(at_address(ADAPTER_STORE_AT), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    vps[0].info = info;
    event_mask_all();
    event_init();
    store_init();
    for (u32 i = 0; i < 4; i++) {
        grant_place(i, ram[GRANT_GFN + i]);
    }
    vmbus_init();
    settle();
    CHECK(state_of("vbd/1/51712") == 2 && state_of("vbd/1/51728") == 2 && state_of("vif/1/0") == 2);
}

/* ---- hostile ---- */

static struct input {
    const u8 *p;
    size_t n;
} in;

static u32 take(unsigned bytes)
{
    u32 v = 0;
    for (unsigned i = 0; i < bytes && in.n > 0; i++, in.p++, in.n--) {
        v |= (u32)*in.p << (8 * i);
    }
    return v;
}

/* What a guest leaves below its home would fill its store: the names are remembered, and go. */
static char litter[64][STORE_PATH];
static u32 litter_count;

static void remember(const char *text, u32 size)
{
    u32 n = 0;
    char *path = litter[litter_count % 64];
    while (n < size && n < 64 && text[n] != 0 && text[n] != '/') {
        n++;
    }
    if (n > 0 && litter_count < 64) {
        (void)snprintf(path, STORE_PATH, "/local/domain/1/%.*s", (int)n, text);
        litter_count++;
    }
}

static void clean(void)
{
    static const char *const kept[] = {"/local/domain/1/device", "/local/domain/1/control", "/local/domain/1/memory", "/local/domain/1/cpu"};
    while (litter_count > 0) {
        const char *path = litter[--litter_count];
        bool keep = false;
        for (u32 i = 0; i < ARRAY_LEN(kept); i++) {
            keep = keep || text_equal(path, kept[i]);
        }
        if (!keep) {
            store_delete(path);
        }
    }
}

static void hostile_store(void)
{
    static const char *const names[] = {"state", "ring-ref", "event-channel", "tx-ring-ref", "rx-ring-ref", "request-rx-copy", "backend", ""};
    static const char *const devices[] = {VBD, VIF, "/local/domain/1/device/vbd/51728", "/local/domain/0/backend/vbd/1/51712"};
    char text[300];
    u32 how = take(1);
    if (how < 0xc0) {
        int n = snprintf(text, sizeof text, "%s/%s", devices[how % 4], names[take(1) % 8]);
        n += 1 + snprintf(text + n + 1, sizeof text - (size_t)n - 1, "%u", take(how & 1 ? 4 : 1) & (how & 2 ? 7 : ~0u));
        store_send(how < 0xb0 ? 11 : 13, text, (u32)n);
        return;
    }
    u32 size = take(1);
    for (u32 i = 0; i < size; i++) {
        text[i] = (char)take(1);
    }
    remember(text, size);
    store_send(take(1) % 24, text, size);
    if (how > 0xfc) { /* indices that cannot be */
        u32 *words = (u32 *)(void *)(STORE_RING + 2048);
        words[how & 3] = take(4);
        notify(EVENT_STORE);
    }
}

static void hostile_step(void)
{
    u32 refs[11];
    u32 what = take(1);
    for (u32 i = 0; i < 11; i++) {
        refs[i] = 100 + (what + i) % 40;
    }
    switch (what % 12) {
    case 0:
        hostile_store();
        break;
    case 1: {
        u32 gfn = RING_GFN + take(1) % 3;
        u32 at = take(1) < 0x80 ? take(1) % 4 * 4 : take(2) % 4092;
        put32(gfn, at, at < 16 && (what & 0x40) != 0 ? get32(gfn, at) + take(1) : take(4));
        break;
    }
    case 2:
        grant(take(1) % 2 != 0 ? 100 + take(1) % 40 : take(2) % 2048, take(1) % 2 != 0 ? take(2) % RAM_PAGES : take(4), take(1) % 32 & ~0x18u);
        break;
    case 3:
        notify(what & 0x40 ? vbd_port : (what & 0x20 ? vif_port : take(2)));
        break;
    case 4:
    case 5: {
        u8 op = (u8)take(1);
        put_blk(op < 0xe0 ? op % 6 : op, (u8)(take(1) % 13), take(1), op & 0x10 ? take(4) : take(1), refs, (u8)(take(1) % 10), (u8)(take(1) % 10));
        break;
    }
    case 6:
        put_tx(refs[0], (u16)take(2), (u16)take(1), (u16)(take(2) % 2000));
        break;
    case 7:
        connect_vbd();
        break;
    case 8:
        connect_vif();
        break;
    case 9: {
        u32 port = what & 0x40 ? vbd_port : take(1);
        memcpy(argument, &port, 4);
        (void)xen_event_close(ARGUMENT, 0);
        break;
    }
    case 10:
        fail_next = (what & 0x40) != 0;
        serve_host();
        break;
    default:
        vmbus_poll();
        break;
    }
}

/* The parent takes an offer back and makes it again. */
static void rescind(u32 relid)
{
    const u32 m[3] = {2, 0, relid};
    if (host[relid].offered) {
        say(m, sizeof m);
        settle();
        close_all();
        offer(relid);
        settle();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static bool begun;
    if (!begun) {
        begun = true;
        begin();
        orderly_vbd();
        orderly_vif();
        close_all();
    }
    in = (struct input){data, size < LONGEST ? size : LONGEST};
    u32 last = size > 0 ? data[size - 1] : 0;
    while (in.n > 0) {
        hostile_step();
    }
    settle();
    fail_next = false;
    /* The store's connection is begun anew, as a guest that starts does; devices are closed, and orderly ones work again. */
    memset(STORE_RING, 0, 4096);
    store_send(21, "", 1);
    memset(STORE_RING, 0, 4096);
    memset(argument, 0, 4);
    argument[0] = 0xf0;
    argument[1] = 0x7f;
    (void)xen_event_reset(ARGUMENT, 0);
    clean();
    close_all();
    if (last % 4 == 1) {
        rescind(STORAGE);
    } else if (last % 4 == 2) {
        rescind(NETWORK);
    }
    orderly_vbd();
    orderly_vif();
    close_all();
    return 0;
}
