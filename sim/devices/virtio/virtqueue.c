/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Split virtqueues [VIRTIO "Split Virtqueues"]: descriptor chains with indirect tables, the used
 * ring, suppression of interrupts by flag and by index.
 *
 * Everything read here is a guest's and may be anything, and may change between two reads. So each
 * field is read once, every index is checked, a chain has at most VIRTIO_MAX_SEGS descriptors
 * (which ends loops), and what no driver may do breaks the device until it is reset. Memory that an
 * IOMMU refuses breaks it too. Packed rings are not modelled. */
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <string.h>

static bool read16(struct virtio *dev, u64 addr, u16 *v)
{
    u8 raw[2] = {0};
    bool ok = virtio_dma_read(dev, addr, raw, sizeof raw);
    *v = load_le16(raw);
    return ok;
}

static bool write16(struct virtio *dev, u64 addr, u16 v)
{
    u8 raw[2];
    store_le16(raw, v);
    return virtio_dma_write(dev, addr, raw, sizeof raw);
}

static u64 used_event_addr(const struct virtqueue *q)
{
    return q->driver + VIRTQ_AVAIL_RING + 2u * q->size;
}

static u64 avail_event_addr(const struct virtqueue *q)
{
    return q->device + VIRTQ_USED_RING + (u64)VIRTQ_USED_ELEM_SIZE * q->size;
}

bool virtqueue_is_ready(const struct virtio *dev, unsigned n)
{
    return !dev->broken && n < dev->model.queues && dev->queues[n].enabled &&
           dev->queues[n].size != 0;
}

/* ---- chains ---- */

struct walk {
    u64 table;
    u32 entries; /* of the table */
    bool indirect;
    u32 visited;
};

static bool add_segment(struct virtio *dev, struct virtio_chain *chain, u64 addr, u32 len,
                        bool write)
{
    u32 n = chain->out_segs + chain->in_segs;
    if (!write && chain->in_segs != 0) {
        virtio_break(dev, "device-readable descriptor after a device-writable one");
        return false;
    }
    if (len != 0 && addr + (len - 1) < addr) {
        virtio_break(dev, "descriptor wraps around the address space");
        return false;
    }
    chain->segs[n].addr = addr;
    chain->segs[n].len = len;
    if (write) {
        chain->in_segs++;
        chain->in_len += len;
    } else {
        chain->out_segs++;
        chain->out_len += len;
    }
    if (chain->in_len + chain->out_len > UINT32_MAX) {
        virtio_break(dev, "chain of more than 4 GiB");
        return false;
    }
    return true;
}

/* Enter an indirect table [VIRTIO "Indirect Descriptors"]. */
static bool enter_indirect(struct virtio *dev, struct walk *w, u64 addr, u32 len, u16 flags)
{
    if (!virtio_has(dev, VIRTIO_F_INDIRECT_DESC) || w->indirect ||
        (flags & VIRTQ_DESC_F_NEXT) != 0) {
        virtio_break(dev, "indirect descriptor where none may be");
        return false;
    }
    if (len == 0 || len % VIRTQ_DESC_SIZE != 0 || len / VIRTQ_DESC_SIZE > (u32)UINT16_MAX + 1) {
        virtio_break(dev, "size of an indirect table");
        return false;
    }
    w->table = addr;
    w->entries = len / VIRTQ_DESC_SIZE;
    w->indirect = true;
    return true;
}

/* Read descriptor i; *next is the following one's index, or -1. */
static bool walk_one(struct virtio *dev, struct walk *w, struct virtio_chain *chain, u32 i,
                     i32 *next)
{
    u8 raw[VIRTQ_DESC_SIZE];
    if (i >= w->entries) {
        virtio_break(dev, "descriptor index outside the table");
        return false;
    }
    if (++w->visited > VIRTIO_MAX_SEGS) {
        virtio_break(dev, "chain too long, or a loop");
        return false;
    }
    if (!virtio_dma_read(dev, w->table + (u64)i * VIRTQ_DESC_SIZE, raw, sizeof raw)) {
        return false;
    }
    u64 addr = load_le64(raw + VIRTQ_DESC_ADDR);
    u32 len = load_le32(raw + VIRTQ_DESC_LEN);
    u16 flags = load_le16(raw + VIRTQ_DESC_FLAGS);
    if ((flags & VIRTQ_DESC_F_INDIRECT) != 0) {
        *next = 0;
        return enter_indirect(dev, w, addr, len, flags);
    }
    *next = (flags & VIRTQ_DESC_F_NEXT) != 0 ? load_le16(raw + VIRTQ_DESC_NEXT) : -1;
    return add_segment(dev, chain, addr, len, (flags & VIRTQ_DESC_F_WRITE) != 0);
}

static bool walk_chain(struct virtio *dev, const struct virtqueue *q, struct virtio_chain *chain)
{
    struct walk w = {.table = q->desc, .entries = q->size};
    i32 next = chain->head;
    chain->out_segs = chain->in_segs = 0;
    chain->out_len = chain->in_len = 0;
    while (next >= 0) {
        if (!walk_one(dev, &w, chain, (u32)next, &next)) {
            return false;
        }
    }
    return true;
}

bool virtqueue_pop(struct virtio *dev, unsigned n, struct virtio_chain *chain)
{
    struct virtqueue *q = &dev->queues[n];
    u16 idx;
    if (!virtqueue_is_ready(dev, n) || !read16(dev, q->driver + VIRTQ_AVAIL_IDX, &idx)) {
        return false;
    }
    u16 waiting = (u16)(idx - q->last_avail);
    if (waiting > q->size) {
        virtio_break(dev, "available index moved by more than the queue's size");
        return false;
    }
    if (waiting == 0) {
        /* Ask for a notification of the next request. No need to look again after that: no
         * processor runs between our two accesses. */
        if (virtio_has(dev, VIRTIO_F_EVENT_IDX)) {
            (void)write16(dev, avail_event_addr(q), q->last_avail);
        }
        return false;
    }
    u16 head;
    u64 slot = q->driver + VIRTQ_AVAIL_RING + 2u * (q->last_avail % q->size);
    if (!read16(dev, slot, &head)) {
        return false;
    }
    chain->head = head;
    q->last_avail++;
    return walk_chain(dev, q, chain);
}

void virtqueue_unpop(struct virtio *dev, unsigned n, unsigned count)
{
    dev->queues[n].last_avail = (u16)(dev->queues[n].last_avail - count);
}

/* ---- used ring ---- */

void virtqueue_fill(struct virtio *dev, unsigned n, u16 head, u32 written, unsigned at)
{
    struct virtqueue *q = &dev->queues[n];
    u8 raw[VIRTQ_USED_ELEM_SIZE];
    if (!virtqueue_is_ready(dev, n)) {
        return;
    }
    u16 slot = (u16)(q->used_idx + at) % q->size;
    store_le32(raw, head);
    store_le32(raw + 4, written);
    (void)virtio_dma_write(dev, q->device + VIRTQ_USED_RING + (u64)slot * VIRTQ_USED_ELEM_SIZE, raw,
                           sizeof raw);
}

void virtqueue_publish(struct virtio *dev, unsigned n, unsigned count)
{
    struct virtqueue *q = &dev->queues[n];
    if (!virtqueue_is_ready(dev, n)) {
        return;
    }
    u16 old = q->used_idx;
    q->used_idx = (u16)(old + count);
    (void)write16(dev, q->device + VIRTQ_USED_IDX, q->used_idx);
    /* The index we last compared with may lie more than half a turn behind now. */
    if ((u16)(q->used_idx - q->signalled) < (u16)(q->used_idx - old)) {
        q->signalled_valid = false;
    }
}

void virtqueue_push(struct virtio *dev, unsigned n, u16 head, u32 written)
{
    virtqueue_fill(dev, n, head, written, 0);
    virtqueue_publish(dev, n, 1);
}

/* [VIRTIO "Used Buffer Notification Suppression"] */
static bool wants_interrupt(struct virtio *dev, struct virtqueue *q)
{
    if (!virtio_has(dev, VIRTIO_F_EVENT_IDX)) {
        u16 flags;
        return read16(dev, q->driver + VIRTQ_AVAIL_FLAGS, &flags) &&
               (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
    }
    u16 event;
    bool known = q->signalled_valid;
    u16 old = q->signalled;
    q->signalled = q->used_idx;
    q->signalled_valid = true;
    if (!read16(dev, used_event_addr(q), &event)) {
        return false;
    }
    return !known || (u16)(q->used_idx - event - 1) < (u16)(q->used_idx - old);
}

void virtqueue_notify(struct virtio *dev, unsigned n)
{
    struct virtqueue *q = &dev->queues[n];
    if (virtqueue_is_ready(dev, n) && wants_interrupt(dev, q)) {
        virtio_signal(dev, q->vector, VIRTIO_ISR_QUEUE);
    }
}

/* ---- data ---- */

static u64 copy(struct virtio *dev, const struct virtio_chain *chain, u32 first, u32 count,
                u64 offset, u8 *buf, u64 n, bool write)
{
    u64 done = 0;
    for (u32 i = first; i < first + count && done < n; i++) {
        u64 len = chain->segs[i].len;
        if (offset >= len) {
            offset -= len;
            continue;
        }
        u64 part = len - offset < n - done ? len - offset : n - done;
        u64 addr = chain->segs[i].addr + offset;
        bool ok = write ? virtio_dma_write(dev, addr, buf + done, part)
                        : virtio_dma_read(dev, addr, buf + done, part);
        if (!ok) {
            break;
        }
        done += part;
        offset = 0;
    }
    return done;
}

u64 virtio_chain_read(struct virtio *dev, const struct virtio_chain *chain, u64 offset, void *buf,
                      u64 n)
{
    return copy(dev, chain, 0, chain->out_segs, offset, buf, n, false);
}

u64 virtio_chain_write(struct virtio *dev, const struct virtio_chain *chain, u64 offset,
                       const void *buf, u64 n)
{
    return copy(dev, chain, chain->out_segs, chain->in_segs, offset, (u8 *)(uintptr_t)buf, n, true);
}
