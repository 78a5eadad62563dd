/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two rings of a channel, in pages of the child's, which may write anything at any time: indices are read once and checked, packets copied
 * before they are looked at, our own index is our own. */
#include "guests/root/vmbus/vmbus.h"

#define DESCRIPTOR (u32)sizeof(struct vmbus_descriptor)
#define TRAILER 8u

static volatile struct vmbus_ring_control *control_of(const struct ring *r)
{
    return at_address((u64)gpadl_page(r->gpadl, r->first)->pfn << PAGE_SHIFT);
}

static u32 load(const volatile u32 *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
static void store(volatile u32 *at, u32 v) { __atomic_store_n(at, v, __ATOMIC_SEQ_CST); }
static bool is_index(const struct ring *r, u32 i) { return i < r->size && i % 8 == 0; }

bool ring_init(struct ring *r, const struct gpadl *g, u32 first, u32 pages)
{
    *r = (struct ring){.gpadl = g, .first = first, .size = (pages - 1) * (u32)PAGE_SIZE};
    volatile struct vmbus_ring_control *c = control_of(r);
    r->index = load(&c->read);
    return is_index(r, r->index) && load(&c->write) == r->index; /* empty, wherever it begins */
}

static u32 data_at(const struct ring *r, u32 index) { return (r->first + 1) * (u32)PAGE_SIZE + index; }

static u32 copy_out(const struct ring *r, u32 at, void *to, u32 bytes)
{
    u32 n = (u32)min_u64(bytes, r->size - at);
    gpadl_read(r->gpadl, data_at(r, at), to, n);
    gpadl_read(r->gpadl, data_at(r, 0), (u8 *)to + n, bytes - n);
    return (at + bytes) % r->size;
}

static u32 copy_in(const struct ring *r, u32 at, const void *from, u32 bytes)
{
    u32 n = (u32)min_u64(bytes, r->size - at);
    if (bytes > 0) { /* else there need not be anything to copy from */
        gpadl_write(r->gpadl, data_at(r, at), from, n);
        gpadl_write(r->gpadl, data_at(r, 0), (const u8 *)from + n, bytes - n);
    }
    return (at + bytes) % r->size;
}

enum ring_result ring_read(struct ring *r, u8 *to, u32 room, struct packet *p)
{
    u32 end = load(&control_of(r)->write);
    if (end == r->index) {
        return RING_EMPTY;
    }
    u32 there = end > r->index ? end - r->index : r->size - r->index + end;
    struct vmbus_descriptor d;
    if (!is_index(r, end) || there < DESCRIPTOR + TRAILER) {
        return RING_NONSENSE;
    }
    (void)copy_out(r, r->index, &d, DESCRIPTOR);
    u32 bytes = d.length * 8u;
    u32 offset = d.offset * 8u;
    if (offset < DESCRIPTOR || offset > bytes || bytes + TRAILER > there || bytes - DESCRIPTOR > room) {
        return RING_NONSENSE;
    }
    (void)copy_out(r, (r->index + DESCRIPTOR) % r->size, to, bytes - DESCRIPTOR);
    r->index = (r->index + bytes + TRAILER) % r->size;
    *p = (struct packet){.type = d.type,
                         .flags = d.flags,
                         .transaction = d.transaction,
                         .data = to,
                         .extra = offset - DESCRIPTOR,
                         .bytes = bytes - DESCRIPTOR};
    return RING_PACKET;
}

static u32 free_for_child(const struct ring *r, u32 read, u32 write)
{
    return read > write ? read - write : r->size - (write - read);
}

bool ring_taken(struct ring *r, u32 before)
{
    volatile struct vmbus_ring_control *c = control_of(r);
    store(&c->read, r->index);
    u32 write = load(&c->write);
    u32 wants = load(&c->pending);
    if (wants == 0 || !is_index(r, write) || r->index == before) {
        return false;
    }
    return free_for_child(r, r->index, write) > wants && free_for_child(r, before, write) <= wants;
}

enum ring_result ring_write(struct ring *r, u16 type, u16 flags, u64 transaction, const void *head, u32 head_bytes, const void *data,
                            u32 bytes, bool *signal)
{
    static const u8 zeros[8];
    volatile struct vmbus_ring_control *c = control_of(r);
    u32 read = load(&c->read);
    u32 offset = (u32)align_up(DESCRIPTOR + head_bytes, 8);
    u32 length = (u32)align_up(offset + bytes, 8);
    if (!is_index(r, read) || length / 8 > 0xffff) {
        return RING_NONSENSE;
    }
    if (free_for_child(r, read, r->index) <= length + TRAILER) {
        store(&c->pending, length + TRAILER);
        read = load(&c->read); /* it may have made room before it saw that */
        if (!is_index(r, read) || free_for_child(r, read, r->index) <= length + TRAILER) {
            return RING_EMPTY;
        }
    }
    store(&c->pending, 0);
    const struct vmbus_descriptor d = {type, (u16)(offset / 8), (u16)(length / 8), flags, transaction};
    const u64 trailer = (u64)r->index << 32;
    u32 before = r->index;
    u32 at = copy_in(r, r->index, &d, DESCRIPTOR);
    at = copy_in(r, at, head, head_bytes);
    at = copy_in(r, at, zeros, offset - DESCRIPTOR - head_bytes);
    at = copy_in(r, at, data, bytes);
    at = copy_in(r, at, zeros, length - offset - bytes);
    r->index = copy_in(r, at, &trailer, TRAILER);
    store(&c->write, r->index);
    *signal = load(&c->mask) == 0 && load(&c->read) == before;
    return RING_PACKET;
}
