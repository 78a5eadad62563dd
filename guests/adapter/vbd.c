/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xen's block devices [Xen public/io/blkif.h]: a ring of requests whose pages are granted, done as SCSI commands over bounce pages. A request
 * is copied once, checked, and only the copy counts. A ring whose indices cannot be is left for good. A CD-ROM is a disk that cannot be
 * written: Linux has no other for such guests. Left out: indirect segments, persistent grants, several queues, barriers, flushes with data. */
#include "guests/adapter/scsi.h"
#include "guests/adapter/xenbus.h"
#include "hv/core/trace_port.h"

#define VBDS 12u
#define SLOTS 32u
#define SEGMENTS 11u
#define RING_ENTRIES 64u /* offset in the page */
#define SECTOR 512u
#define XVDA (202u << 8)
#define PER_DISK 16u
#define CDROM 1u
#define READ_ONLY 4u
#define UNMAP 0x42
#define UNMAP_BYTES 24u
#define SYNCHRONIZE_CACHE 0x35

enum { OP_READ, OP_WRITE, OP_BARRIER, OP_FLUSH, OP_DISCARD = 5 };
enum { RSP_OKAY = 0, RSP_ERROR = -1, RSP_UNSUPPORTED = -2 };
/* The shared ring's head. */
enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };

struct segment {
    u32 ref;
    u8 first, last, padding[2];
};

/* A request, copied. */
struct request {
    u8 op, segments;
    u64 id, sector, sectors; /* the last: of a discard */
    struct segment segment[SEGMENTS];
};

struct vbd;
/* One that the disk works on. */
struct work {
    struct vbd *vbd; /* NULL: free */
    bool orphan;     /* its ring is gone: nobody is answered */
    struct request request;
    struct grant grant[SEGMENTS];
};

struct vbd {
    struct xenbus_device device; /* first */
    struct scsi_disk *disk;      /* NULL: free */
    struct xenbus_ring ring;
    bool wide; /* layout of 64-bit frontends */
    bool connected, starved;
    u32 cons, prod; /* requests taken, answers given */
    struct work work[SLOTS];
};

static struct vbd vbds[VBDS];

static volatile u32 *word(const struct vbd *v, u32 offset) { return (volatile u32 *)(void *)(v->ring.grant.frame + offset); }

static void respond(struct vbd *v, const struct request *r, int status)
{
    u8 *at = v->ring.grant.frame + RING_ENTRIES + (v->prod % SLOTS) * (v->wide ? 112u : 108u);
    const u16 tail[2] = {r->op, (u16)status};
    trace_claim(CLAIM_request_ended, v->device.number, r->id, (u16)status);
    memcpy(at, &r->id, 8);
    memcpy(at + 8, tail, sizeof tail);
    u32 old = v->prod++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *word(v, RSP_PROD) = v->prod;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (v->prod - *word(v, RSP_EVENT) < v->prod - old) {
        event_notify(v->ring.port, v);
    }
}

static void end_grants(struct work *w)
{
    for (u32 i = 0; i < SEGMENTS; i++) {
        grant_end(&w->grant[i]);
    }
}

static u32 bytes_of(const struct segment *s) { return (s->last - s->first + 1u) * SECTOR; }

/* Between bounce pages and what was granted. */
static void move(struct work *w, struct scsi_io *io, bool out)
{
    u32 at = 0;
    for (u32 i = 0; i < w->request.segments; i++) {
        const struct segment *s = &w->request.segment[i];
        u8 *frame = w->grant[i].frame + s->first * SECTOR;
        u32 size = bytes_of(s);
        if (guest_frame(w->grant[i].gfn) == NULL) {
            continue; /* given up meanwhile */
        }
        if (out) {
            scsi_copy_out(io, at, frame, size);
        } else {
            scsi_copy_in(io, at, frame, size);
        }
        at += size;
    }
}

static void done(struct scsi_io *io, bool ok)
{
    struct work *w = io->owner;
    struct vbd *v = w->vbd;
    const struct request *r = &w->request;
    bool all = io->got == io->bytes || r->op != OP_READ;
    bool orphan = w->orphan || !v->connected;
    if (!orphan && ok && all && r->op == OP_READ) {
        move(w, io, true);
    }
    end_grants(w);
    scsi_put(io);
    w->vbd = NULL;
    if (!orphan) {
        respond(v, r, ok && all ? RSP_OKAY : RSP_ERROR);
    }
}

static struct work *take_work(struct vbd *v)
{
    for (u32 i = 0; i < SLOTS; i++) {
        if (v->work[i].vbd == NULL) {
            return &v->work[i];
        }
    }
    return NULL;
}

/* The bytes of a transfer; 0: it cannot be. */
static u32 check(const struct vbd *v, const struct request *r)
{
    u32 bytes = 0;
    u64 all = v->disk->sectors * (v->disk->sector_size / SECTOR);
    for (u32 i = 0; i < r->segments && r->segments <= SEGMENTS; i++) {
        if (r->segment[i].first > r->segment[i].last || r->segment[i].last > 7) {
            return 0;
        }
        bytes += bytes_of(&r->segment[i]);
    }
    u64 count = bytes / SECTOR;
    bool aligned = r->sector * SECTOR % v->disk->sector_size == 0 && bytes % v->disk->sector_size == 0;
    return r->segments <= SEGMENTS && aligned && r->sector <= all && count <= all - r->sector ? bytes : 0;
}

static bool grant_all(struct work *w, bool write)
{
    for (u32 i = 0; i < w->request.segments; i++) {
        if (!grant_begin(&w->grant[i], w->request.segment[i].ref, write)) {
            return false;
        }
    }
    return true;
}

/* What the command is. An answer at once, or 0: it was made. */
static int prepare(struct vbd *v, struct work *w, struct scsi_io *io)
{
    const struct request *r = &w->request;
    u64 unit = v->disk->sector_size / SECTOR;
    if (r->op == OP_FLUSH) {
        io->cdb[0] = SYNCHRONIZE_CACHE;
        io->cdb_size = 10;
    } else if (r->op == OP_DISCARD) {
        u8 list[UNMAP_BYTES] = {0, 22, 0, 16}; /* lengths behind themselves; one descriptor */
        for (u32 i = 0; i < 8; i++) {
            list[8 + i] = (u8)(r->sector / unit >> (56 - 8 * i));
        }
        for (u32 i = 0; i < 4; i++) {
            list[16 + i] = (u8)(r->sectors / unit >> (24 - 8 * i));
        }
        io->cdb[0] = UNMAP;
        io->cdb[8] = UNMAP_BYTES;
        io->cdb_size = 10;
        io->write = true;
        scsi_copy_in(io, 0, list, sizeof list);
    } else {
        if (!grant_all(w, r->op == OP_READ)) {
            return RSP_ERROR;
        }
        scsi_set_transfer(io, r->op == OP_WRITE, r->sector / unit, (u32)(io->bytes / v->disk->sector_size));
        if (r->op == OP_WRITE) {
            move(w, io, false);
            end_grants(w);
        }
    }
    return RSP_OKAY;
}

/* The size of its bounce pages, or an answer. */
static int size_up(const struct vbd *v, const struct request *r, u32 *bytes)
{
    *bytes = 0;
    if (r->op == OP_READ || r->op == OP_WRITE) {
        *bytes = check(v, r);
        return *bytes == 0 || (r->op == OP_WRITE && v->disk->read_only) ? RSP_ERROR : RSP_OKAY;
    }
    if (r->op == OP_FLUSH) {
        return r->segments == 0 ? RSP_OKAY : RSP_UNSUPPORTED;
    }
    if (r->op == OP_DISCARD && v->disk->can_discard && !v->disk->read_only) {
        u64 unit = v->disk->sector_size / SECTOR;
        u64 all = v->disk->sectors * unit;
        *bytes = UNMAP_BYTES;
        return r->sector > all || r->sectors > all - r->sector || r->sectors / unit >> 32 != 0 ? RSP_ERROR : RSP_OKAY;
    }
    return RSP_UNSUPPORTED;
}

/* False: not now. */
static bool serve(struct vbd *v, const struct request *r)
{
    u32 bytes;
    int status = size_up(v, r, &bytes);
    if (status != RSP_OKAY) {
        trace_claim(CLAIM_request_begun, v->device.number, r->id, r->op, r->sector);
        respond(v, r, status);
        return true;
    }
    struct work *w = take_work(v);
    struct scsi_io *io = w != NULL ? scsi_take(v->disk, bytes) : NULL;
    if (io == NULL) {
        return false;
    }
    trace_claim(CLAIM_request_begun, v->device.number, r->id, r->op, r->sector);
    w->vbd = v;
    w->orphan = false;
    w->request = *r;
    io->done = done;
    io->owner = w;
    status = prepare(v, w, io);
    trace_claim(CLAIM_request_packet, v->device.number, r->id, scsi_relid(io), scsi_transaction(io));
    if (status != RSP_OKAY || !scsi_start(io)) {
        end_grants(w);
        scsi_put(io);
        w->vbd = NULL;
        respond(v, r, RSP_ERROR);
    }
    return true;
}

static void fetch(const struct vbd *v, u32 index, struct request *r)
{
    u8 raw[112] = {0};
    u32 size = v->wide ? 112 : 108;
    u32 at = v->wide ? 8 : 4;
    memcpy(raw, v->ring.grant.frame + RING_ENTRIES + (index % SLOTS) * size, size);
    *r = (struct request){.op = raw[0], .segments = raw[1]};
    memcpy(&r->id, raw + at, 8);
    memcpy(&r->sector, raw + at + 8, 8);
    memcpy(&r->sectors, raw + at + 16, 8);
    memcpy(r->segment, raw + at + 16, sizeof r->segment);
}

static void disconnect(struct xenbus_device *device)
{
    struct vbd *v = (struct vbd *)(void *)device;
    if (v->connected) {
        v->connected = false;
        for (u32 i = 0; i < SLOTS; i++) {
            end_grants(&v->work[i]); /* nothing more is copied */
            v->work[i].orphan = true;
        }
        event_unbind(v->ring.port, v);
        xenbus_unmap_ring(&v->ring);
    }
}

static void work(struct vbd *v)
{
    v->starved = false;
    for (;;) {
        u32 prod = *word(v, REQ_PROD);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (prod - v->prod > SLOTS || prod - v->cons > SLOTS) {
            adapter_log("adapter: vbd %x: a ring that cannot be\n", v->device.number);
            disconnect(&v->device);
            return;
        }
        while (v->cons != prod) {
            struct request r;
            fetch(v, v->cons, &r);
            if (!serve(v, &r)) {
                v->starved = true;
                return;
            }
            v->cons++;
        }
        *word(v, REQ_EVENT) = v->cons + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (*word(v, REQ_PROD) == v->cons) {
            return;
        }
    }
}

static void kicked(void *owner)
{
    struct vbd *v = owner;
    if (v->connected) {
        work(v);
    }
}

void vbd_resume(void)
{
    for (u32 i = 0; i < VBDS; i++) {
        if (vbds[i].connected && vbds[i].starved) {
            work(&vbds[i]);
        }
    }
}

static bool connect(struct xenbus_device *device)
{
    struct vbd *v = (struct vbd *)(void *)device;
    const char *protocol = xenbus_front(device, "protocol");
    u64 ref, port;
    if (!xenbus_front_number(device, "ring-ref", &ref) || !xenbus_front_number(device, "event-channel", &port) ||
        !xenbus_map_ring(&v->ring, ref)) {
        adapter_log("adapter: vbd %x: its frontend offers no ring\n", device->number);
        return false;
    }
    if (port > 0xffffffff || !event_bind((u32)port, kicked, v)) {
        xenbus_unmap_ring(&v->ring);
        adapter_log("adapter: vbd %x: its frontend offers no port\n", device->number);
        return false;
    }
    v->ring.port = (u32)port;
    v->wide = protocol != NULL ? text_equal(protocol, "x86_64-abi") : !domain_is_narrow;
    v->cons = v->prod = *word(v, RSP_PROD);
    v->connected = true;
    xenbus_put_number(device, "sectors", v->disk->sectors * (v->disk->sector_size / SECTOR));
    xenbus_put_number(device, "info", v->disk->read_only ? READ_ONLY : 0);
    xenbus_put_number(device, "sector-size", v->disk->sector_size);
    xenbus_put_number(device, "physical-sector-size", v->disk->sector_size);
    work(v);
    return v->connected;
}

static bool is_busy(const struct vbd *v)
{
    bool busy = false;
    for (u32 i = 0; i < SLOTS; i++) {
        busy = busy || v->work[i].vbd != NULL;
    }
    return busy;
}

void vbd_add(struct scsi_disk *disk)
{
    u32 n = 0;
    while (n < VBDS && (vbds[n].disk != NULL || vbds[n].device.leaving || is_busy(&vbds[n]))) {
        n++;
    }
    if (n == VBDS || disk->sectors == 0) {
        return;
    }
    struct vbd *v = &vbds[n];
    memset(v, 0, sizeof *v);
    disk->owner = v;
    v->disk = disk;
    v->device = (struct xenbus_device){.type = "vbd", .number = XVDA + PER_DISK * n, .connect = connect, .disconnect = disconnect};
    const char letter[] = {'x', 'v', 'd', (char)('a' + n), 0};
    xenbus_put(&v->device, "dev", letter);
    xenbus_put(&v->device, "type", "phy");
    xenbus_put(&v->device, "mode", disk->read_only ? "r" : "w");
    xenbus_put(&v->device, "removable", "1");
    xenbus_put(&v->device, "feature-flush-cache", disk->read_only ? "0" : "1");
    xenbus_put(&v->device, "feature-discard", disk->can_discard && !disk->read_only ? "1" : "0");
    char number[24];
    u32 digits = 0;
    for (u32 v10 = 10000; v10 > 0; v10 /= 10) {
        number[digits++] = (char)('0' + v->device.number / v10 % 10);
    }
    number[digits] = 0;
    xenbus_put_front(&v->device, "virtual-device", number);
    xenbus_put_front(&v->device, "device-type", "disk");
    if (!xenbus_add(&v->device)) {
        v->disk = NULL;
        disk->owner = NULL;
    } else {
        adapter_log("adapter: %s is target %x, unit %x of a controller of the root's\n", letter, (u32)disk->target, (u32)disk->lun);
    }
}

void vbd_remove(struct scsi_disk *disk)
{
    struct vbd *v = disk->owner;
    if (v != NULL) {
        xenbus_remove(&v->device);
        v->disk = NULL;
        disk->owner = NULL;
    }
}
