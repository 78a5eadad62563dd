/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks of type virtio [VIRTIO "Block Device"]. One queue; requests that find no room wait in order. Left out: topology, several
 * queues, changes of size. */
#include "guests/root/block/block.h"
#include "guests/root/block/driver.h"
#include "guests/root/virtio/virtio.h"

#define DISKS 8
#define SLOTS 32u /* requests with the device: three descriptors each */
#define SECTOR 512u

/* Header, discard range and status of one request, and what it is for. */
struct slot {
    struct {
        u32 type, zero;
        u64 sector;
    } header;
    struct {
        u64 sector;
        u32 sectors, flags;
    } range;
    volatile u8 status;
    bool busy, flushing; /* flushing: behind a write that asked for it */
    struct block_request *request;
};

struct disk {
    struct block block; /* first */
    struct virtio virtio;
    struct virtqueue queue;
    struct slot *slots;
    struct block_request *first, *last; /* waiting */
    u64 done, lost;
    char name[BLOCK_NAME];
};

static struct disk disks[DISKS];
static u32 disk_count;
static struct device_interrupt interrupt;

static void give(struct disk *d, struct slot *s)
{
    const struct block_request *r = s->request;
    struct virtio_part parts[3];
    u16 n = 0;
    bool flush = s->flushing || (r->flush && r->sectors == 0);
    u32 type = flush ? VIRTIO_BLK_T_FLUSH : (r->discard ? VIRTIO_BLK_T_DISCARD : (r->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN));
    s->header.type = type;
    s->header.zero = 0;
    s->header.sector = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT ? r->sector : 0;
    parts[n++] = (struct virtio_part){&s->header, VIRTIO_BLK_REQ_SIZE, false};
    if (type == VIRTIO_BLK_T_DISCARD) {
        s->range.sector = r->sector;
        s->range.sectors = r->sectors;
        s->range.flags = 0;
        parts[n++] = (struct virtio_part){&s->range, 16, false};
    } else if (type != VIRTIO_BLK_T_FLUSH) {
        parts[n++] = (struct virtio_part){r->data, r->sectors * SECTOR, type == VIRTIO_BLK_T_IN};
    }
    s->status = 0xff;
    parts[n++] = (struct virtio_part){&s->status, 1, true};
    (void)virtqueue_put(&d->queue, parts, n, s); /* there is a slot, so there is room */
    virtqueue_kick(&d->queue);
}

static struct slot *free_slot(struct disk *d)
{
    for (u32 i = 0; i < SLOTS && 3 * (i + 1) <= d->queue.size; i++) {
        if (!d->slots[i].busy) {
            return &d->slots[i];
        }
    }
    return NULL;
}

static void submit(struct block *b, struct block_request *r)
{
    struct disk *d = (struct disk *)(void *)b;
    if (!block_accepts(b, r)) {
        return;
    }
    if (r->flush && r->sectors == 0 && !virtio_has(&d->virtio, VIRTIO_BLK_F_FLUSH)) {
        r->done(r, BLOCK_OK); /* it has no cache */
        return;
    }
    struct slot *s = d->first == NULL ? free_slot(d) : NULL;
    if (s == NULL) {
        r->next = NULL;
        *(d->first != NULL ? &d->last->next : &d->first) = r;
        d->last = r;
        return;
    }
    s->busy = true;
    s->flushing = false;
    s->request = r;
    give(d, s);
}

static void end(struct disk *d, struct slot *s)
{
    struct block_request *r = s->request;
    int status = s->status == VIRTIO_BLK_S_OK ? BLOCK_OK : (s->status == VIRTIO_BLK_S_UNSUPP ? BLOCK_UNSUPPORTED : BLOCK_ERROR);
    if (status == BLOCK_OK && r->write && r->fua && !s->flushing && virtio_has(&d->virtio, VIRTIO_BLK_F_FLUSH)) {
        s->flushing = true;
        give(d, s);
        return;
    }
    d->done++;
    s->busy = false;
    if (d->first != NULL) {
        s->busy = true;
        s->flushing = false;
        s->request = d->first;
        d->first = d->first->next;
        give(d, s);
    }
    r->done(r, status);
}

static bool ready(void)
{
    for (u32 i = 0; i < disk_count; i++) {
        if (virtqueue_ready(&disks[i].queue)) {
            return true;
        }
    }
    return false;
}

bool virtio_blk_poll(void)
{
    bool any = false;
    enum interrupt_news news = pci_interrupt_news(&interrupt, ready);
    if (news == INTERRUPT_NONE) {
        return false;
    }
    for (u32 i = 0; i < disk_count; i++) {
        struct disk *d = &disks[i];
        u32 bytes;
        for (struct slot *s = virtqueue_take(&d->queue, &bytes); s != NULL; s = virtqueue_take(&d->queue, &bytes)) {
            d->lost += news == INTERRUPT_LOST ? 1 : 0;
            end(d, s);
            any = true;
        }
    }
    return any;
}

void virtio_blk_print(void)
{
    for (u32 i = 0; i < disk_count; i++) {
        print("  %s: %lu requests done, %lu without an interrupt; %lu interrupts\n", disks[i].name, disks[i].done, disks[i].lost,
              interrupt.count);
    }
}

static bool begin(struct disk *d, const struct pci_function *f)
{
    u64 wanted = 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD;
    d->slots = memory_take(SLOTS * sizeof *d->slots);
    if (d->slots == NULL || (interrupt.vector == 0 && !pci_vector(&interrupt)) || !virtio_begin(&d->virtio, f, wanted) ||
        !virtio_make_queue(&d->virtio, &d->queue, 0, VIRTQUEUE_MAX, interrupt.vector) || d->queue.size < 3) {
        return false;
    }
    memset(d->slots, 0, SLOTS * sizeof *d->slots);
    virtio_run(&d->virtio);
    return true;
}

bool virtio_blk_start(const struct pci_function *f)
{
    if (!virtio_is(f, VIRTIO_ID_BLOCK)) {
        return false;
    }
    if (disk_count == DISKS) {
        print("root: more virtio disks than %u are left alone\n", DISKS);
        return true;
    }
    struct disk *d = &disks[disk_count];
    if (!begin(d, f)) {
        print("root: a virtio disk that does not start\n");
        virtio_fail(&d->virtio);
        memset(d, 0, sizeof *d);
        return true;
    }
    memcpy(d->name, "virtio0", 8);
    d->name[6] = (char)('0' + disk_count);
    d->block = (struct block){
        .name = d->name,
        .sectors = load32(d->virtio.device) | (u64)load32(d->virtio.device + 4) << 32,
        .sector_size = SECTOR,
        .read_only = virtio_has(&d->virtio, VIRTIO_BLK_F_RO),
        .can_discard = virtio_has(&d->virtio, VIRTIO_BLK_F_DISCARD),
        .submit = submit,
    };
    disk_count++;
    block_add(&d->block);
    return true;
}
