/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hostile child against the root's VMBus host, its storage and network providers and integration services, run as a program of the host:
 * control messages, rings and packets, pages that change, while the operator adds and removes devices and disks answer late. The child's memory is
 * mapped twice: the root's view has just the pages that are lent, so that a touch of any other is a crash. In the end nothing is lent. */
#define _GNU_SOURCE
#include "guests/root/ic/ic.h"
#include "guests/root/network/network.h"
#include "guests/root/storage/storage.h"

#include "fuzz_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PAGES 128u
#define BYTES (PAGES * PAGE_SIZE)
#define ROOT_VIEW 0x20000000ull /* page numbers of 32 bits */
#define POOL_AT 0x30000000ull
#define POOL_PAGES 512u
#define RING_PAGES 4u /* a control page and three of data, each way */

/* ---- what the rest of the root offers ---- */
struct vm vms[VM_MAX];
u8 hypercall_input[4096] __attribute__((aligned(4096)));
u8 hypercall_output[4096] __attribute__((aligned(4096)));
volatile u32 tick_count;
static u8 *guest; /* the child's own view */
static u32 readers[PAGES], writers[PAGES];
static bool pool_used[POOL_PAGES];
static u32 pool_count;

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

u64 page_take(void)
{
    for (u32 i = 0; i < POOL_PAGES; i++) {
        if (!pool_used[i]) {
            pool_used[i] = true;
            pool_count++;
            return POOL_AT / PAGE_SIZE + i;
        }
    }
    return 0;
}

void page_put(u64 pfn)
{
    u64 i = pfn - POOL_AT / PAGE_SIZE;
    must(i < POOL_PAGES && pool_used[i], "a page that was not taken");
    pool_used[i] = false;
    pool_count--;
}

void *memory_take(u64 bytes) { return calloc(1, bytes); }
void print(const char *format, ...) { (void)format; }
_Noreturn void die(const char *format, ...)
{
    (void)fprintf(stderr, "die: %s\n", format);
    abort();
}
void console_note(struct vm *vm, const char *text)
{
    (void)vm;
    (void)text;
}
u64 clock_seconds(void) { return 1767225600; }
u16 hypercall(enum hv_call_code code)
{
    (void)code;
    return HV_SUCCESS;
}
struct link *link_next(struct link *after)
{
    (void)after;
    return NULL;
}

/* ---- the hypervisor ---- */
static void protect(u32 i)
{
    int rights = writers[i] != 0 ? PROT_READ | PROT_WRITE : (readers[i] != 0 ? PROT_READ : PROT_NONE);
    must(mprotect((void *)(ROOT_VIEW + i * PAGE_SIZE), PAGE_SIZE, rights) == 0, "mprotect");
}

bool host_lend(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 *pfn, u32 count)
{
    (void)channel;
    for (u32 i = 0; i < count; i++) {
        if (gfn[i] >= PAGES) {
            if (rights != 0) {
                host_return(b, channel, rights, gfn, i);
            }
            return false;
        }
        if (rights == 0) {
            continue;
        }
        u32 *n = rights == HV_LEND_READ ? &readers[gfn[i]] : &writers[gfn[i]];
        (*n)++;
        protect((u32)gfn[i]);
        if (pfn != NULL) {
            pfn[i] = (u32)(ROOT_VIEW / PAGE_SIZE + gfn[i]);
        }
    }
    return true;
}

void host_return(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 count)
{
    (void)b;
    (void)channel;
    for (u32 i = 0; i < count; i++) {
        u32 *n = rights == HV_LEND_READ ? &readers[gfn[i]] : &writers[gfn[i]];
        must(*n > 0, "given back what was not lent");
        (*n)--;
        protect((u32)gfn[i]);
    }
}

static bool answers_pass = true;
bool host_connect(struct bus *b) { return b != NULL; }
void host_disconnect(struct bus *b) { (void)b; }
bool host_answer_to(struct bus *b, u32 vp, u32 sint) { return b != NULL && vp < 16 && sint < 16; }
bool host_post(struct bus *b, const void *payload, u32 bytes)
{
    u8 copy[HV_MESSAGE_PAYLOAD];
    (void)b;
    memcpy(copy, payload, bytes);
    return answers_pass;
}
bool host_open(struct channel *c) { return c != NULL; }
void host_close(struct channel *c) { (void)c; }
u32 host_connection(const struct channel *c) { return 0x2000 + c->relid; }
void host_signal(struct channel *c) { c->signals++; }
void host_events(void (*signalled)(struct channel *c)) { (void)signalled; }

/* ---- a disk that answers late ---- */
#define DISK_BYTES 65536u
static u8 disk_bytes[DISK_BYTES];
static struct block_request *late;
static bool is_late;

static void finish(struct block_request *r)
{
    u64 at = r->sector * SECTOR;
    u64 size = (u64)r->sectors * SECTOR;
    int status = BLOCK_OK;
    if (r->discard || r->flush) {
        status = r->sector * SECTOR > DISK_BYTES ? BLOCK_RANGE : BLOCK_OK;
    } else if (at > DISK_BYTES || size > DISK_BYTES - at) {
        status = BLOCK_RANGE;
    } else if (r->write) {
        memcpy(disk_bytes + at, r->data, size);
    } else {
        memcpy(r->data, disk_bytes + at, size);
    }
    r->done(r, status);
}

static void submit(struct block *b, struct block_request *r)
{
    (void)b;
    if (is_late) {
        r->next = late;
        late = r;
    } else {
        finish(r);
    }
}

bool block_poll(void)
{
    struct block_request *r = late;
    late = NULL;
    while (r != NULL) {
        struct block_request *next = r->next;
        finish(r);
        r = next;
    }
    return false;
}

static struct block disks[2] = {
    {.name = "disk", .sectors = DISK_BYTES / SECTOR, .sector_size = SECTOR, .can_discard = true, .submit = submit},
    {.name = "cd", .sectors = DISK_BYTES / SECTOR, .sector_size = SECTOR, .read_only = true, .submit = submit},
};

static u32 small(u32 limit)
{
    u64 pick = take(1);
    return (pick & 15) == 15 ? (u32)take(4) : (u32)(pick >> 4) % limit;
}

/* ---- the child ---- */
static void post(const void *message, u32 bytes)
{
    bus_message(&buses[0], (take(1) & 7) == 7 ? VMBUS_CONNECTION : VMBUS_CONNECTION_MULTI, message, bytes);
}

static void contact(void)
{
    static const u32 versions[] = {VMBUS_5_3, VMBUS_5_2, VMBUS_5_0, VMBUS_4_1, VMBUS_2_4, 0x60000};
    const struct vmbus_contact c = {.header = {VMBUS_INITIATE_CONTACT, 0},
                                    .version = versions[take(1) % ARRAY_LEN(versions)],
                                    .vp = small(2),
                                    .interrupt_page = (take(1) & 15) == 15 ? take(2) : VMBUS_SINT};
    post(&c, sizeof c);
    const struct vmbus_header offers = {VMBUS_REQUESTOFFERS, 0};
    post(&offers, sizeof offers);
}

/* Pages from here on; what the list says may be wrong. */
static void gpadl(u32 relid, u32 id, u32 first, u32 pages)
{
    struct {
        struct vmbus_gpadl_header h;
        u8 pfns[26 * 8];
    } m;
    memset(&m, 0, sizeof m);
    m.h = (struct vmbus_gpadl_header){.header = {VMBUS_GPADL_HEADER, 0},
                                      .relid = relid,
                                      .gpadl = id,
                                      .range_bytes = (u16)(8 + 8 * pages),
                                      .range_count = 1,
                                      .byte_count = pages * (u32)PAGE_SIZE};
    for (u32 i = 0; i < pages && i < 26; i++) {
        u64 gfn = first + i;
        memcpy(m.pfns + 8 * i, &gfn, 8);
    }
    post(&m, (u32)sizeof m.h + 8 * (pages < 26 ? pages : 26));
}

static u32 ring_at(u32 relid) { return 8 + (relid - 1) % 8 * 2 * RING_PAGES; }
static struct vmbus_ring_control *control_at(u32 relid) { return (void *)(guest + ring_at(relid) * PAGE_SIZE); }

static void open_channel(u32 relid)
{
    u32 at = ring_at(relid);
    memset(guest + at * PAGE_SIZE, 0, 2 * RING_PAGES * PAGE_SIZE);
    gpadl(relid, relid, at, 2 * RING_PAGES);
    const struct vmbus_open o = {.header = {VMBUS_OPENCHANNEL, 0},
                                 .relid = relid,
                                 .gpadl = relid,
                                 .vp = small(2),
                                 .downstream = (take(1) & 15) == 15 ? (u32)take(1) : RING_PAGES};
    post(&o, sizeof o);
}

/* As a driver writes it. */
static void write_packet(u32 relid, const u8 *packet, u32 bytes)
{
    struct vmbus_ring_control *c = control_at(relid);
    u32 size = (RING_PAGES - 1) * (u32)PAGE_SIZE;
    u8 *data = (u8 *)c + PAGE_SIZE;
    u32 at = c->write % size & ~7u;
    for (u32 i = 0; i < bytes + 8; i++) {
        data[(at + i) % size] = i < bytes ? packet[i] : 0;
    }
    c->write = (at + bytes + 8) % size;
}

/* What it asks for lies behind the rings. */
static u32 put_head(u8 *packet, u32 payload, bool direct)
{
    struct vmbus_descriptor d = {.type = direct ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_INBAND, .offset = 2, .flags = VMBUS_PACKET_ASKS};
    u32 at = sizeof d;
    if (direct) {
        u32 pages = 1 + small(4);
        pages = pages > 20 ? 20 : pages;
        const u32 head[4] = {0, (take(1) & 15) == 15 ? (u32)take(1) : 1, (take(1) & 7) == 7 ? (u32)take(2) : pages * (u32)PAGE_SIZE,
                             (take(1) & 7) == 7 ? (u32)take(2) : 0};
        memcpy(packet + at, head, sizeof head);
        at += sizeof head;
        for (u32 i = 0; i < pages; i++) {
            u64 gfn = 80 + take(1) % 50;
            memcpy(packet + at, &gfn, 8);
            at += 8;
        }
        d.offset = (u16)(at / 8);
    }
    d.length = (u16)((at + payload + 7) / 8);
    d.transaction = take(1);
    d.type = (take(1) & 31) == 31 ? (u16)take(1) : d.type;
    d.length = (take(1) & 31) == 31 ? (u16)take(2) : d.length;
    d.offset = (take(1) & 31) == 31 ? (u16)take(2) : d.offset;
    memcpy(packet, &d, sizeof d);
    return at;
}

static void finish_packet(u32 relid, u8 *packet, u32 at, const void *payload, u32 bytes)
{
    memcpy(packet + at, payload, bytes);
    write_packet(relid, packet, (u32)align_up(at + bytes, 8));
}

static void storage_packet(u32 relid, u8 *packet)
{
    static const u8 codes[] = {0x00, 0x12, 0xa0, 0x25, 0x9e, 0x28, 0x2a, 0x88, 0x8a, 0x1a, 0x5a, 0x35, 0x42, 0x43, 0x51, 0x46, 0x4a, 0x08};
    static const u8 order[] = {STORVSP_BEGIN_INITIALIZATION, STORVSP_QUERY_PROTOCOL_VERSION, STORVSP_QUERY_PROPERTIES, STORVSP_END_INITIALIZATION,
                               STORVSP_CREATE_SUB_CHANNELS};
    struct storvsp_packet m;
    memset(&m, 0, sizeof m);
    u64 pick = take(1);
    m.operation = pick < 16 ? (u32)take(1) : (pick < 96 ? order[pick % ARRAY_LEN(order)] : STORVSP_EXECUTE_SRB);
    if (m.operation == STORVSP_QUERY_PROTOCOL_VERSION) {
        m.version.version = STORVSP_VERSION_WIN10;
    } else if (m.operation == STORVSP_CREATE_SUB_CHANNELS) {
        m.subchannels = (u16)small(2);
    } else {
        m.srb = (struct storvsp_srb){.length = 52, .lun = (u8)small(3), .path = (u8)((take(1) & 15) == 15), .cdb_length = 16, .bytes = small(9) * 4096 + 4096};
        m.srb.cdb[0] = (take(1) & 7) == 7 ? (u8)take(1) : codes[take(1) % sizeof codes];
        for (u32 i = 1; i < 16; i++) {
            m.srb.cdb[i] = (u8)((take(1) & 3) == 0 ? take(1) : 0);
        }
    }
    u32 at = put_head(packet, sizeof m, (take(1) & 3) != 0);
    finish_packet(relid, packet, at, &m, sizeof m);
}

static void put_rndis(u8 *to)
{
    static const u8 types[] = {RNDIS_PACKET, RNDIS_INITIALIZE, RNDIS_QUERY, RNDIS_SET, RNDIS_KEEPALIVE, RNDIS_RESET};
    static const u32 oids[] = {OID_PACKET_FILTER, OID_PERMANENT_ADDRESS, OID_OFFLOAD_CAPABILITIES, OID_OFFLOAD_PARAMETERS, OID_LINK_SPEED};
    u32 words[16] = {types[take(1) % sizeof types], 64};
    if (words[0] == RNDIS_PACKET) {
        words[1] = 44 + 64;
        words[2] = (take(1) & 7) == 7 ? (u32)take(2) : 36;
        words[3] = (take(1) & 7) == 7 ? (u32)take(2) : 64;
    } else {
        words[3] = oids[take(1) % ARRAY_LEN(oids)];
        words[4] = small(9) * 16;
        words[5] = (take(1) & 7) == 7 ? (u32)take(4) : 20;
        words[7] = 0x0d;
    }
    words[1] = (take(1) & 15) == 15 ? (u32)take(4) : words[1];
    memcpy(to, words, sizeof words);
    const u8 ethernet[12] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x15, 0x5d, 0, 1, (u8)small(2)};
    if (words[0] == RNDIS_PACKET) {
        memcpy(to + 44, ethernet, sizeof ethernet);
    }
}

static void network_packet(u32 relid, u8 *packet)
{
    struct nvsp_message m;
    memset(&m, 0, sizeof m);
    u64 pick = take(1) & 7;
    if (pick == 0) {
        m.type = NVSP_INIT;
        m.init.min = m.init.max = NVSP_6_1;
    } else if (pick == 1 || pick == 2) {
        u32 id = 100 + 2 * relid + (u32)pick;
        gpadl(relid, id, 100, 8);
        m.type = pick == 1 ? NVSP_SEND_RECV_BUF : NVSP_SEND_SEND_BUF;
        m.buffer.gpadl = (take(1) & 15) == 15 ? relid : id;
        m.buffer.id = 0xcafe;
    } else if (pick == 3) {
        m.type = (u32)(take(1) & 1 ? take(1) : NVSP_REVOKE_RECV_BUF + 3 * (take(1) & 1));
    } else {
        m.type = NVSP_RNDIS_PACKET;
        m.packet.channel = (take(1) & 1) != 0 ? NVSP_CONTROL : NVSP_DATA;
        m.packet.section = (take(1) & 3) == 0 ? small(3) : NVSP_NO_SECTION;
        m.packet.section_size = 108;
        put_rndis(guest + (80 + take(1) % 28) * PAGE_SIZE);
    }
    u32 at = put_head(packet, sizeof m, m.type == NVSP_RNDIS_PACKET);
    if ((take(1) & 7) == 7) { /* it has taken what was in a section */
        struct vmbus_descriptor d = {VMBUS_PACKET_COMPLETION, 2, 2 + sizeof m / 8, 0, 1 + take(1)};
        memcpy(packet, &d, sizeof d);
        at = sizeof d;
    }
    finish_packet(relid, packet, at, &m, sizeof m);
}

static void service_packet(u32 relid, u8 *packet)
{
    struct {
        struct ic_header h;
        u8 body[64];
    } m;
    memset(&m, 0, sizeof m);
    m.h = (struct ic_header){.type = (u16)small(5), .transaction = (u8)(1 + small(4)), .flags = IC_RESPONSE | IC_TRANSACTION};
    const struct ic_negotiate n = {1, 1, 0};
    const struct ic_version v[2] = {{3, 0}, {(u16)(1 + small(4)), (u16)small(3)}};
    memcpy(m.body, &n, sizeof n);
    memcpy(m.body + sizeof n, v, sizeof v);
    u32 at = put_head(packet, sizeof m, false);
    finish_packet(relid, packet, at, &m, sizeof m);
}

static void packet(void)
{
    static u8 bytes[4096];
    u32 relid = 1 + take(1) % 8;
    struct channel *c = channel_find(&buses[0], relid);
    if (c == NULL || !c->open) {
        open_channel(relid);
        return;
    }
    memset(bytes, 0, sizeof bytes);
    if (c->ops == &storvsp_ops) {
        storage_packet(relid, bytes);
    } else if (c->ops == &netvsp_ops) {
        network_packet(relid, bytes);
    } else {
        service_packet(relid, bytes);
    }
    if ((take(1) & 1) != 0) {
        channel_run(c);
    }
    struct vmbus_ring_control *down = (void *)((u8 *)control_at(relid) + RING_PAGES * PAGE_SIZE);
    if ((take(1) & 3) != 0) {
        down->read = down->write; /* it reads what came */
    }
}

static void random_message(void)
{
    u8 m[HV_MESSAGE_PAYLOAD];
    u32 n = (u32)take(1) % (HV_MESSAGE_PAYLOAD + 1);
    const u32 type = (u32)take(1) % 26;
    for (u32 i = 0; i < sizeof m; i++) {
        m[i] = i < n && in.n > 0 ? (u8)((take(1) & 3) == 0 ? take(1) : 0) : 0;
    }
    memcpy(m, &type, sizeof type);
    u32 relid = small(9);
    memcpy(m + 8, &relid, sizeof relid);
    memcpy(m + 12, &relid, sizeof relid);
    post(m, n);
}

static void operator_acts(void)
{
    u32 lun = small(3);
    switch (take(1) & 15) {
    case 0:
        (void)storage_add(&vms[0], &disks[0], small(2) % 2, lun, false, false);
        break;
    case 1:
        (void)storage_add(&vms[0], &disks[1], 0, lun, true, true);
        break;
    case 2:
        (void)storage_remove(&vms[0], small(2) % 2, lun);
        break;
    case 3:
        (void)network_add(&vms[0], (take(1) & 1) != 0);
        break;
    case 4:
        (void)network_remove(&vms[0], small(4));
        break;
    case 5:
        (void)ic_shutdown(&vms[0]);
        break;
    case 6:
        (void)ic_show_pairs(&vms[0]);
        break;
    case 7:
        is_late = !is_late;
        break;
    case 8:
        answers_pass = !answers_pass;
        break;
    case 9:
        tick_count += 300;
        ic_poll();
        break;
    case 10: /* the child changes anything of its own */
        guest[take(3) % BYTES] = (u8)take(1);
        break;
    case 11: {
        struct vmbus_ring_control *c = control_at(1 + take(1) % 8);
        c->write = (u32)take(2);
        c->pending = (u32)take(2);
        break;
    }
    case 12:
        (void)block_poll();
        break;
    default:
        (void)bus_poll();
        break;
    }
}

static void init(void)
{
    if (guest != NULL) {
        return;
    }
    int f = memfd_create("child", 0);
    must(f >= 0 && ftruncate(f, BYTES) == 0, "memory");
    guest = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    must(guest != MAP_FAILED &&
             mmap((void *)ROOT_VIEW, BYTES, PROT_NONE, MAP_SHARED | MAP_FIXED_NOREPLACE, f, 0) == (void *)ROOT_VIEW &&
             mmap((void *)POOL_AT, POOL_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
                 (void *)POOL_AT,
         "mapping");
    vms[0] = (struct vm){.state = VM_RUNNING, .name = "a", .memory = BYTES, .vps = 2};
    (void)storage_add(&vms[0], &disks[0], 0, 0, false, false);
    (void)storage_add(&vms[0], &disks[1], 0, 1, true, true);
    (void)network_add(&vms[0], false);
    (void)network_add(&vms[0], true);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    in = (struct input){data, size};
    init();
    is_late = false;
    answers_pass = true;
    must(bus_start(&vms[0]) && storage_start(&vms[0]) && network_start(&vms[0]) && ic_start(&vms[0]), "start");
    contact();
    while (in.n > 0) {
        u64 what = take(1);
        if (what < 160) {
            packet();
        } else if (what < 176) {
            random_message();
        } else if (what < 180) {
            contact();
        } else {
            operator_acts();
        }
    }
    bus_stop(&vms[0]);
    storage_wait(&vms[0]);
    for (u32 i = 0; i < PAGES; i++) {
        must(readers[i] == 0 && writers[i] == 0, "a page is still lent");
    }
    must(pool_count == 0, "pages were not given back");
    return 0;
}
