/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Storage channels: their protocol's beginning, which disks there are, commands. [reference: Linux storvsc] Each transfer is over bounce
 * pages of the adapter's, a pool for all controllers. Left out: subchannels, sense data, addresses beyond path 0. */
#include "guests/adapter/scsi.h"

#include "abi/x86/ahci.h"

#define CONTROLLERS 4u
#define DISKS 16u
#define SLOTS 48u
#define POOL 192u /* pages */
#define TARGETS 2u
#define LUNS 8u
#define SRB_BYTES 64u
#define SRB_LENGTH 52
#define STATUS_SUCCESS 1
#define DIRECTION_WRITE 0
#define DIRECTION_READ 1
#define DIRECTION_NONE 2
#define INQUIRY_BYTES 36u
#define CAPACITY_BYTES 32u
#define MODE_BYTES 32u
#define LUN_LIST_BYTES (8 + 8 * LUNS)
#define SERVICE_ACTION_IN 0x9e
#define READ_CAPACITY_16 0x10
#define REPORT_LUNS 0xa0
#define MODE_SENSE_6 0x1a
#define READ_16 0x88
#define WRITE_16 0x8a

enum operation {
    COMPLETE_IO = 1,
    REMOVE_DEVICE = 2,
    EXECUTE_SRB = 3,
    BEGIN_INITIALIZATION = 7,
    END_INITIALIZATION = 8,
    QUERY_VERSION = 9,
    QUERY_PROPERTIES = 10,
    ENUMERATE_BUS = 11,
};

/* One with a channel; what it is asked in turn. */
struct controller {
    struct channel *channel;
    u8 step; /* operation that waits for its answer; 0: ready */
    u8 version;
    u32 target, lun;
    u8 luns[TARGETS]; /* bits: that are there */
    bool scanning, again;
    struct scsi_io slots[SLOTS];
};

static struct controller controllers[CONTROLLERS];
static struct scsi_disk disks[DISKS];
static u8 pool[POOL][4096] __attribute__((aligned(4096)));
static u8 *free_pages[POOL];
static u32 free_count;
static bool pool_ready;

static u8 *page_take(void)
{
    for (u32 i = 0; !pool_ready && i < POOL; i++) {
        free_pages[free_count++] = pool[i];
    }
    pool_ready = true;
    return free_count > 0 ? free_pages[--free_count] : NULL;
}

static struct scsi_io *take(struct controller *c, struct scsi_disk *disk, u32 bytes)
{
    u32 count = (u32)((bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    if (count > SCSI_PAGES || (pool_ready && count > free_count)) {
        return NULL;
    }
    for (u32 i = 0; i < SLOTS; i++) {
        struct scsi_io *io = &c->slots[i];
        if (!io->busy) {
            memset(io, 0, sizeof *io);
            io->busy = true;
            io->disk = disk;
            io->bytes = bytes;
            while (io->page_count < count) {
                io->pages[io->page_count++] = page_take();
            }
            return io;
        }
    }
    return NULL;
}

struct scsi_io *scsi_take(struct scsi_disk *disk, u32 bytes) { return take(disk->controller, disk, bytes); }

void scsi_put(struct scsi_io *io)
{
    while (io->page_count > 0) {
        free_pages[free_count++] = io->pages[--io->page_count];
    }
    io->busy = false;
}

static void send(struct controller *c, u8 operation)
{
    u32 m[SRB_BYTES / 4] = {operation, 1};
    static const u16 versions[] = {0x602, 0x600, 0x501};
    c->step = operation;
    if (operation == QUERY_VERSION) {
        m[3] = versions[c->version];
    }
    (void)vmbus_send(c->channel, PACKET_IN_BAND, PACKET_WANTS_COMPLETION, SLOTS, m, sizeof m, NULL, 0);
}

static struct controller *controller_of(const struct scsi_io *io)
{
    for (u32 i = 0; i < CONTROLLERS; i++) {
        if (io >= controllers[i].slots && io < controllers[i].slots + SLOTS) {
            return &controllers[i];
        }
    }
    return NULL;
}

u32 scsi_relid(const struct scsi_io *io)
{
    const struct controller *c = controller_of(io);
    return c != NULL && c->channel != NULL ? c->channel->relid : 0;
}

u64 scsi_transaction(const struct scsi_io *io)
{
    const struct controller *c = controller_of(io);
    return c != NULL ? (u64)(io - c->slots) : 0;
}

bool scsi_start(struct scsi_io *io)
{
    struct controller *c = controller_of(io);
    u8 m[SRB_BYTES] = {EXECUTE_SRB, 0, 0, 0, 1};
    u8 *srb = m + 12;
    u64 pfns[SCSI_PAGES];
    srb[0] = SRB_LENGTH;
    srb[6] = io->disk != NULL ? io->disk->target : io->target;
    srb[7] = io->disk != NULL ? io->disk->lun : io->lun;
    srb[8] = io->cdb_size;
    srb[9] = 20;
    srb[10] = io->bytes == 0 ? DIRECTION_NONE : (io->write ? DIRECTION_WRITE : DIRECTION_READ);
    memcpy(srb + 12, &io->bytes, 4);
    memcpy(srb + 16, io->cdb, 16);
    for (u32 i = 0; i < io->page_count; i++) {
        pfns[i] = address_of(io->pages[i]) >> PAGE_SHIFT;
    }
    if (c == NULL || c->channel == NULL) {
        return false;
    }
    return vmbus_send(c->channel, io->bytes != 0 ? PACKET_GPA_DIRECT : PACKET_IN_BAND, PACKET_WANTS_COMPLETION, (u64)(io - c->slots), m,
                      sizeof m, io->bytes != 0 ? pfns : NULL, io->bytes);
}

void scsi_set_transfer(struct scsi_io *io, bool write, u64 block, u32 count)
{
    io->write = write;
    io->cdb_size = 16;
    io->cdb[0] = write ? WRITE_16 : READ_16;
    for (u32 i = 0; i < 8; i++) {
        io->cdb[2 + i] = (u8)(block >> (56 - 8 * i));
    }
    for (u32 i = 0; i < 4; i++) {
        io->cdb[10 + i] = (u8)(count >> (24 - 8 * i));
    }
}

/* Piece by piece of the pages. */
static void copy(const struct scsi_io *io, u32 at, u8 *outside, u32 size, bool out)
{
    while (size > 0) {
        u32 n = (u32)min_u64(size, PAGE_SIZE - (at & PAGE_MASK));
        u8 *inside = io->pages[at >> PAGE_SHIFT] + (at & PAGE_MASK);
        memcpy(out ? outside : inside, out ? inside : outside, n);
        at += n;
        outside += n;
        size -= n;
    }
}

void scsi_copy_in(struct scsi_io *io, u32 at, const void *from, u32 size) { copy(io, at, (u8 *)(uintptr_t)from, size, false); }
void scsi_copy_out(const struct scsi_io *io, u32 at, void *to, u32 size) { copy(io, at, to, size, true); }

/* ---- which disks there are ---- */

static void scan(struct controller *c);

static struct scsi_disk *find(const struct controller *c, u32 target, u32 lun)
{
    for (u32 i = 0; i < DISKS; i++) {
        if (disks[i].used && disks[i].controller == c && disks[i].target == target && disks[i].lun == lun) {
            return &disks[i];
        }
    }
    return NULL;
}

static struct scsi_io *ask(struct controller *c, const u8 *cdb, u8 cdb_size, u32 bytes, void (*done)(struct scsi_io *io, bool ok))
{
    struct scsi_io *io = take(c, NULL, bytes);
    if (io != NULL) {
        memcpy(io->cdb, cdb, cdb_size);
        io->cdb_size = cdb_size;
        io->done = done;
        io->owner = c;
        io->target = (u8)c->target;
        io->lun = (u8)c->lun;
        if (!scsi_start(io)) {
            scsi_put(io);
            io = NULL;
        }
    }
    return io;
}

static void next_lun(struct controller *c)
{
    c->lun++;
    scan(c);
}

static void have_mode(struct scsi_io *io, bool ok)
{
    struct controller *c = io->owner;
    struct scsi_disk *d = find(c, c->target, c->lun);
    u8 mode[4] = {0};
    scsi_copy_out(io, 0, mode, sizeof mode);
    scsi_put(io);
    if (d != NULL) {
        d->read_only = d->is_cdrom || (ok && (mode[2] & 0x80) != 0);
        vbd_add(d);
    }
    next_lun(c);
}

static u64 big(const u8 *p, u32 n)
{
    u64 v = 0;
    for (u32 i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static void have_capacity(struct scsi_io *io, bool ok)
{
    struct controller *c = io->owner;
    struct scsi_disk *d = find(c, c->target, c->lun);
    u8 answer[16] = {0};
    scsi_copy_out(io, 0, answer, sizeof answer);
    scsi_put(io);
    const u8 mode[6] = {MODE_SENSE_6, 0, 0x3f, 0, MODE_BYTES, 0};
    if (d != NULL) {
        u64 size = big(answer + 8, 4);
        bool sane = size == 512 || size == 1024 || size == 2048 || size == 4096;
        d->sector_size = ok && sane ? (u32)size : 512;
        d->sectors = ok && sane && big(answer, 8) < 1ull << 40 ? big(answer, 8) + 1 : 0;
        d->can_discard = ok && (answer[14] & 0x80) != 0;
    }
    if (d == NULL || ask(c, mode, sizeof mode, MODE_BYTES, have_mode) == NULL) {
        next_lun(c);
    }
}

static void have_inquiry(struct scsi_io *io, bool ok)
{
    struct controller *c = io->owner;
    u8 type = 0x7f;
    scsi_copy_out(io, 0, &type, 1);
    scsi_put(io);
    struct scsi_disk *d = disks;
    while (d < disks + DISKS && d->used) {
        d++;
    }
    const u8 capacity[16] = {SERVICE_ACTION_IN, READ_CAPACITY_16, [13] = CAPACITY_BYTES};
    if (!ok || (type != 0 && type != 5) || d == disks + DISKS) {
        next_lun(c);
        return;
    }
    *d = (struct scsi_disk){.used = true, .controller = c, .target = (u8)c->target, .lun = (u8)c->lun, .is_cdrom = type == 5};
    if (ask(c, capacity, sizeof capacity, CAPACITY_BYTES, have_capacity) == NULL) {
        d->used = false;
        next_lun(c);
    }
}

static void have_luns(struct scsi_io *io, bool ok)
{
    struct controller *c = io->owner;
    u8 list[LUN_LIST_BYTES] = {0};
    scsi_copy_out(io, 0, list, sizeof list);
    scsi_put(io);
    u64 bytes = min_u64(big(list, 4), 8 * LUNS);
    u8 there = 0;
    for (u64 at = 0; ok && at + 8 <= bytes; at += 8) {
        u8 lun = list[8 + at + 1];
        there = (u8)(there | (lun < LUNS ? 1u << lun : 0));
    }
    c->luns[c->target] = there;
    for (u32 lun = 0; lun < LUNS; lun++) {
        struct scsi_disk *d = find(c, c->target, lun);
        if (d != NULL && (there >> lun & 1) == 0) {
            vbd_remove(d);
            d->used = false;
        }
    }
    c->lun = 0;
    scan(c);
}

/* What is next: a lun that is there and was not known, or the next target. */
static void scan(struct controller *c)
{
    const u8 inquiry[6] = {SCSI_INQUIRY, 0, 0, 0, INQUIRY_BYTES, 0};
    const u8 report[12] = {REPORT_LUNS, [9] = LUN_LIST_BYTES};
    while (c->lun < LUNS && ((c->luns[c->target] >> c->lun & 1) == 0 || find(c, c->target, c->lun) != NULL)) {
        c->lun++;
    }
    if (c->lun < LUNS && ask(c, inquiry, sizeof inquiry, INQUIRY_BYTES, have_inquiry) != NULL) {
        return;
    }
    if (c->target + 1 < TARGETS) {
        c->target++;
        c->lun = 0;
        c->luns[c->target] = 0;
        if (ask(c, report, sizeof report, LUN_LIST_BYTES, have_luns) != NULL) {
            return;
        }
    }
    c->scanning = false;
    if (c->again) {
        c->again = false;
        c->scanning = true;
        c->target = c->lun = 0;
        c->scanning = ask(c, report, sizeof report, LUN_LIST_BYTES, have_luns) != NULL;
    }
}

static void scan_begin(struct controller *c)
{
    c->again = true;
    if (!c->scanning) {
        c->target = TARGETS - 1;
        c->lun = LUNS;
        scan(c);
    }
}

/* ---- the channel ---- */

static void opened(struct channel *channel)
{
    for (u32 i = 0; i < CONTROLLERS; i++) {
        if (controllers[i].channel == NULL) {
            memset(&controllers[i], 0, sizeof controllers[i]);
            controllers[i].channel = channel;
            channel->owner = &controllers[i];
            send(&controllers[i], BEGIN_INITIALIZATION);
            return;
        }
    }
    adapter_log("adapter: one storage controller too many\n");
}

static void step(struct controller *c, bool ok)
{
    if (c->step == QUERY_VERSION && !ok && c->version < 2) {
        c->version++;
        send(c, QUERY_VERSION);
    } else if (!ok) {
        adapter_log("adapter: a storage controller refuses step %x\n", (u32)c->step);
        c->step = 0;
    } else if (c->step == BEGIN_INITIALIZATION) {
        send(c, QUERY_VERSION);
    } else if (c->step == QUERY_VERSION) {
        send(c, QUERY_PROPERTIES);
    } else if (c->step == QUERY_PROPERTIES) {
        send(c, END_INITIALIZATION);
    } else if (c->step == END_INITIALIZATION) {
        c->step = 0;
        scan_begin(c);
    }
}

static void completed(struct controller *c, const struct ring_packet *p)
{
    u32 head[3] = {0};
    if (p->size < SRB_BYTES - 20) {
        return;
    }
    memcpy(head, p->data, sizeof head);
    if (p->transaction == SLOTS) {
        step(c, head[2] == 0);
        return;
    }
    struct scsi_io *io = p->transaction < SLOTS ? &c->slots[p->transaction] : NULL;
    if (io == NULL || !io->busy || io->done == NULL) {
        return;
    }
    const u8 *srb = p->data + 12;
    memcpy(&io->got, srb + 12, 4);
    io->got = io->got <= io->bytes ? io->got : 0;
    io->done(io, head[2] == 0 && (srb[2] & 0x3f) == STATUS_SUCCESS && srb[3] == 0);
}

static void packet(struct channel *channel, const struct ring_packet *p)
{
    struct controller *c = channel->owner;
    u32 operation = 0;
    memcpy(&operation, p->data, p->size >= 4 ? 4 : 0);
    if (c == NULL) {
        return;
    }
    if (p->type == PACKET_COMPLETION) {
        completed(c, p);
    } else if (p->type == PACKET_IN_BAND && (operation == ENUMERATE_BUS || operation == REMOVE_DEVICE)) {
        scan_begin(c);
    }
}

static void rest(struct channel *channel)
{
    (void)channel;
    vbd_resume();
}

static void gone(struct channel *channel)
{
    struct controller *c = channel->owner;
    if (c == NULL) {
        return;
    }
    c->channel = NULL;
    for (u32 i = 0; i < SLOTS; i++) {
        if (c->slots[i].busy && c->slots[i].disk != NULL) {
            c->slots[i].done(&c->slots[i], false);
        } else if (c->slots[i].busy) {
            scsi_put(&c->slots[i]);
        }
    }
    for (u32 i = 0; i < DISKS; i++) {
        if (disks[i].used && disks[i].controller == c) {
            vbd_remove(&disks[i]);
            disks[i].used = false;
        }
    }
}

static bool settled(const struct channel *channel)
{
    const struct controller *c = channel->owner;
    return c == NULL || (c->step == 0 && !c->scanning);
}

const struct channel_driver storage_driver = {opened, packet, rest, gone, settled};
