/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The overlay: what the guest has written, by blocks of 4 KiB, above an image that stays as it is.
 *
 * Each entry of the table has up to two stored copies. `now` is what the guest wrote; it is state:
 * saved, restored, hashed. `before` is the pre-image of what a commit overwrote in the file; it
 * belongs to the host side and is neither. A block reads as now, else before, else the file. So
 * what the guest sees does not depend on when, or whether, something was committed.
 *
 * Copies live in numbered slots: those below the memory bound in memory, the rest in an unnamed
 * temporary file. Which is which is invisible to the guest. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/hash.h"
#include "machine/host/block_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_SLOT (~(u32)0)
#define CHUNK_SLOTS 256u /* slots are allocated by the megabyte */

struct entry {
    u64 block;
    u32 now, before; /* slots or NO_SLOT */
    bool synced;     /* the file holds what the guest sees */
    bool hashed;     /* derived: hash is of `now` */
    u64 hash;
};

struct overlay {
    struct block_image *base;
    struct entry *entries; /* in order of creation */
    u32 count, cap;
    u32 *table; /* derived: open addressing, entry number + 1 */
    u32 table_size;
    u8 **chunks;
    u32 chunk_count;
    u32 slot_count, memory_slots;
    u32 *free_slots;
    u32 free_count, free_cap;
    FILE *spill;
};

struct overlay *overlay_new(struct block_image *base, u64 memory)
{
    struct overlay *ov = calloc(1, sizeof *ov);
    if (ov == NULL) {
        return NULL;
    }
    ov->base = base;
    u64 slots = memory / OVERLAY_BLOCK;
    ov->memory_slots = memory == 0 || slots >= NO_SLOT ? NO_SLOT : (u32)slots;
    ov->table_size = 1024;
    ov->table = calloc(ov->table_size, sizeof *ov->table);
    if (ov->table == NULL) {
        free(ov);
        return NULL;
    }
    return ov;
}

void overlay_free(struct overlay *ov)
{
    if (ov == NULL) {
        return;
    }
    for (u32 i = 0; i < ov->chunk_count; i++) {
        free(ov->chunks[i]);
    }
    if (ov->spill != NULL) {
        (void)fclose(ov->spill);
    }
    free(ov->chunks);
    free(ov->free_slots);
    free(ov->entries);
    free(ov->table);
    free(ov);
}

static bool host_short(const char *what, struct error *err)
{
    return error_set(err, EXIT_STATUS_BAD_FILE, "disk overlay: %s: %s", what, strerror(errno));
}

/* ---- slots ---- */

static bool slot_alloc(struct overlay *ov, u32 *slot, struct error *err)
{
    if (ov->free_count > 0) {
        *slot = ov->free_slots[--ov->free_count];
        return true;
    }
    u32 n = ov->slot_count;
    if (n < ov->memory_slots && n / CHUNK_SLOTS == ov->chunk_count) {
        u8 **chunks = realloc(ov->chunks, (ov->chunk_count + 1) * sizeof *chunks);
        if (chunks == NULL) {
            return host_short("no memory", err);
        }
        ov->chunks = chunks;
        u8 *chunk = malloc((size_t)CHUNK_SLOTS * OVERLAY_BLOCK);
        if (chunk == NULL) {
            return host_short("no memory", err);
        }
        ov->chunks[ov->chunk_count++] = chunk;
    }
    if (n >= ov->memory_slots && ov->spill == NULL) {
        ov->spill = tmpfile();
        if (ov->spill == NULL) {
            return host_short("no temporary file", err);
        }
    }
    if (n == NO_SLOT) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "disk overlay: too many blocks");
    }
    *slot = ov->slot_count++;
    return true;
}

static void slot_free(struct overlay *ov, u32 slot)
{
    if (ov->free_count == ov->free_cap) {
        u32 cap = ov->free_cap * 2 + 64;
        u32 *grown = realloc(ov->free_slots, cap * sizeof *grown);
        if (grown == NULL) {
            return; /* the slot is lost, nothing else */
        }
        ov->free_slots = grown;
        ov->free_cap = cap;
    }
    ov->free_slots[ov->free_count++] = slot;
}

static u8 *slot_memory(const struct overlay *ov, u32 slot)
{
    return slot < ov->memory_slots
               ? ov->chunks[slot / CHUNK_SLOTS] + (size_t)(slot % CHUNK_SLOTS) * OVERLAY_BLOCK
               : NULL;
}

static off_t slot_offset(const struct overlay *ov, u32 slot)
{
    return (off_t)(slot - ov->memory_slots) * (off_t)OVERLAY_BLOCK;
}

static bool slot_read(const struct overlay *ov, u32 slot, u32 at, void *buf, u32 len,
                      struct error *err)
{
    const u8 *mem = slot_memory(ov, slot);
    if (mem != NULL) {
        memcpy(buf, mem + at, len);
        return true;
    }
    return pread(fileno(ov->spill), buf, len, slot_offset(ov, slot) + (off_t)at) == (ssize_t)len ||
           host_short("cannot read the temporary file", err);
}

static bool slot_write(struct overlay *ov, u32 slot, u32 at, const void *buf, u32 len,
                       struct error *err)
{
    u8 *mem = slot_memory(ov, slot);
    if (mem != NULL) {
        memcpy(mem + at, buf, len);
        return true;
    }
    return pwrite(fileno(ov->spill), buf, len, slot_offset(ov, slot) + (off_t)at) == (ssize_t)len ||
           host_short("cannot write the temporary file", err);
}

/* ---- the table ---- */

static u32 probe(const struct overlay *ov, u64 block)
{
    u32 i = (u32)hash_u64(0, block) & (ov->table_size - 1);
    while (ov->table[i] != 0 && ov->entries[ov->table[i] - 1].block != block) {
        i = (i + 1) & (ov->table_size - 1);
    }
    return i;
}

static struct entry *find(const struct overlay *ov, u64 block)
{
    u32 n = ov->table[probe(ov, block)];
    return n != 0 ? &ov->entries[n - 1] : NULL;
}

static void rebuild_table(struct overlay *ov)
{
    memset(ov->table, 0, ov->table_size * sizeof *ov->table);
    for (u32 i = 0; i < ov->count; i++) {
        ov->table[probe(ov, ov->entries[i].block)] = i + 1;
    }
}

static bool grow(struct overlay *ov)
{
    u32 cap = ov->cap * 2 + 256;
    struct entry *entries = realloc(ov->entries, cap * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    ov->entries = entries;
    ov->cap = cap;
    u32 size = ov->table_size;
    while (size < cap * 2) {
        size *= 2;
    }
    u32 *table = calloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    free(ov->table);
    ov->table = table;
    ov->table_size = size;
    rebuild_table(ov);
    return true;
}

static struct entry *find_or_add(struct overlay *ov, u64 block, struct error *err)
{
    struct entry *e = find(ov, block);
    if (e != NULL) {
        return e;
    }
    if (ov->count == ov->cap && !grow(ov)) {
        (void)host_short("no memory", err);
        return NULL;
    }
    ov->entries[ov->count] =
        (struct entry){.block = block, .now = NO_SLOT, .before = NO_SLOT, .synced = true};
    ov->table[probe(ov, block)] = ++ov->count;
    return &ov->entries[ov->count - 1];
}

/* ---- access ---- */

static u32 block_length(const struct overlay *ov, u64 block)
{
    u64 left = ov->base->size - block * OVERLAY_BLOCK;
    return left < OVERLAY_BLOCK ? (u32)left : OVERLAY_BLOCK;
}

/* What the block was before the guest wrote to it. */
static bool read_before(struct overlay *ov, const struct entry *e, u64 block, u32 at, u8 *buf,
                        u32 len, struct error *err)
{
    return e != NULL && e->before != NO_SLOT
               ? slot_read(ov, e->before, at, buf, len, err)
               : ov->base->ops->read(ov->base, block * OVERLAY_BLOCK + at, buf, len, err);
}

bool overlay_read(struct overlay *ov, u64 offset, u8 *buf, u64 len, struct error *err)
{
    while (len > 0) {
        u64 block = offset / OVERLAY_BLOCK;
        u32 at = (u32)(offset % OVERLAY_BLOCK);
        const struct entry *e = find(ov, block);
        u64 n = OVERLAY_BLOCK - at;
        /* One request to the image for a run of blocks the overlay does not have. */
        while (e == NULL && n < len && find(ov, (offset + n) / OVERLAY_BLOCK) == NULL) {
            n += OVERLAY_BLOCK;
        }
        n = n < len ? n : len;
        bool ok = e != NULL && e->now != NO_SLOT ? slot_read(ov, e->now, at, buf, (u32)n, err)
                  : e != NULL                    ? read_before(ov, e, block, at, buf, (u32)n, err)
                              : ov->base->ops->read(ov->base, offset, buf, n, err);
        if (!ok) {
            return false;
        }
        offset += n;
        buf += n;
        len -= n;
    }
    return true;
}

static bool write_block(struct overlay *ov, u64 block, u32 at, const u8 *buf, u32 len,
                        struct error *err)
{
    struct entry *e = find_or_add(ov, block, err);
    if (e == NULL) {
        return false;
    }
    if (e->now == NO_SLOT) {
        u8 whole[OVERLAY_BLOCK] = {0};
        u32 length = block_length(ov, block);
        u32 slot;
        if ((len < length && !read_before(ov, e, block, 0, whole, length, err)) ||
            !slot_alloc(ov, &slot, err)) {
            return false;
        }
        memcpy(whole + at, buf, len);
        if (!slot_write(ov, slot, 0, whole, OVERLAY_BLOCK, err)) {
            slot_free(ov, slot);
            return false;
        }
        e->now = slot;
    } else if (!slot_write(ov, e->now, at, buf, len, err)) {
        return false;
    }
    e->synced = false;
    e->hashed = false;
    return true;
}

bool overlay_write(struct overlay *ov, u64 offset, const u8 *buf, u64 len, struct error *err)
{
    while (len > 0) {
        u32 at = (u32)(offset % OVERLAY_BLOCK);
        u64 n = OVERLAY_BLOCK - at < len ? OVERLAY_BLOCK - at : len;
        if (!write_block(ov, offset / OVERLAY_BLOCK, at, buf, (u32)n, err)) {
            return false;
        }
        offset += n;
        buf += n;
        len -= n;
    }
    return true;
}

/* ---- commit ---- */

static int by_block(const void *a, const void *b)
{
    u64 x = (*(struct entry *const *)a)->block, y = (*(struct entry *const *)b)->block;
    return x < y ? -1 : x > y;
}

/* Entries in order of block; the caller frees. */
static struct entry **sorted(const struct overlay *ov)
{
    struct entry **list = malloc((ov->count + 1u) * sizeof(struct entry *));
    sim_assert(list != NULL);
    for (u32 i = 0; i < ov->count; i++) {
        list[i] = &ov->entries[i];
    }
    qsort(list, ov->count, sizeof(struct entry *), by_block);
    return list;
}

static bool keep_before(struct overlay *ov, struct entry *e, struct error *err)
{
    u8 block[OVERLAY_BLOCK] = {0};
    u32 slot;
    if (e->before != NO_SLOT) {
        return true;
    }
    if (!read_before(ov, NULL, e->block, 0, block, block_length(ov, e->block), err) ||
        !slot_alloc(ov, &slot, err)) {
        return false;
    }
    if (!slot_write(ov, slot, 0, block, OVERLAY_BLOCK, err)) {
        slot_free(ov, slot);
        return false;
    }
    e->before = slot;
    return true;
}

#define RUN_BLOCKS 64u

/* Write list[0..n), adjacent blocks, in one request. */
static bool commit_run(struct overlay *ov, struct entry **list, u32 n, u8 *buf, struct error *err)
{
    u64 len = 0;
    for (u32 i = 0; i < n; i++) {
        if (!keep_before(ov, list[i], err)) {
            return false;
        }
        u32 slot = list[i]->now != NO_SLOT ? list[i]->now : list[i]->before;
        if (!slot_read(ov, slot, 0, buf + len, OVERLAY_BLOCK, err)) {
            return false;
        }
        len += block_length(ov, list[i]->block);
    }
    if (!ov->base->ops->write(ov->base, list[0]->block * OVERLAY_BLOCK, buf, len, err)) {
        return false;
    }
    for (u32 i = 0; i < n; i++) {
        list[i]->synced = true;
    }
    return true;
}

bool overlay_commit(struct overlay *ov, struct error *err)
{
    struct entry **list = sorted(ov);
    u8 *buf = malloc((size_t)RUN_BLOCKS * OVERLAY_BLOCK);
    sim_assert(buf != NULL);
    bool ok = true;
    bool wrote = false;
    for (u32 i = 0; i < ov->count && ok;) {
        u32 n = 0;
        while (i + n < ov->count && n < RUN_BLOCKS && !list[i + n]->synced &&
               list[i + n]->block == list[i]->block + n) {
            n++;
        }
        if (n > 0) {
            ok = commit_run(ov, list + i, n, buf, err);
            wrote = true;
        }
        i += n > 0 ? n : 1;
    }
    free(buf);
    free(list);
    return ok && (!wrote || ov->base->ops->flush(ov->base, err));
}

bool overlay_each_before(struct overlay *ov, bool commits, block_visit_fn *visit, void *self,
                         struct error *err)
{
    struct entry **list = sorted(ov);
    u8 data[OVERLAY_BLOCK];
    bool ok = true;
    for (u32 i = 0; i < ov->count && ok; i++) {
        const struct entry *e = list[i];
        if (e->before != NO_SLOT || (commits && !e->synced)) {
            u32 len = block_length(ov, e->block);
            ok = read_before(ov, e, e->block, 0, data, len, err) &&
                 visit(self, e->block * OVERLAY_BLOCK, data, len);
        }
    }
    free(list);
    return ok;
}

bool overlay_put_before(struct overlay *ov, u64 offset, const u8 *bytes, u32 len, struct error *err)
{
    u64 block = offset / OVERLAY_BLOCK;
    if (offset % OVERLAY_BLOCK != 0 || offset >= ov->base->size || len != block_length(ov, block)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "the recording is damaged: a block outside its disk");
    }
    u8 whole[OVERLAY_BLOCK] = {0};
    struct entry *e = find_or_add(ov, block, err);
    memcpy(whole, bytes, len);
    return e != NULL && (e->before != NO_SLOT || slot_alloc(ov, &e->before, err)) &&
           slot_write(ov, e->before, 0, whole, OVERLAY_BLOCK, err);
}

u64 overlay_uncommitted(const struct overlay *ov)
{
    u64 n = 0;
    for (u32 i = 0; i < ov->count; i++) {
        n += ov->entries[i].synced ? 0 : OVERLAY_BLOCK;
    }
    return n;
}

/* ---- state ---- */

static void visit_entry(struct overlay *ov, struct entry *e, struct state_io *io)
{
    u8 data[OVERLAY_BLOCK];
    struct error err = {0};
    state_u64(io, "block", &e->block);
    if (io->mode != STATE_HASH || !e->hashed) {
        bool ok = slot_read(ov, e->now, 0, data, OVERLAY_BLOCK, &err);
        sim_assert(ok); /* our own temporary file has gone */
    }
    if (io->mode != STATE_HASH) {
        state_bytes(io, "data", data, OVERLAY_BLOCK);
        return;
    }
    if (!e->hashed) {
        e->hash = hash_bytes(0, data, OVERLAY_BLOCK);
        e->hashed = true;
    }
    state_u64(io, "hash", &e->hash);
}

static void visit_out(struct overlay *ov, struct state_io *io)
{
    struct entry **list = sorted(ov);
    u64 count = 0;
    for (u32 i = 0; i < ov->count; i++) {
        count += list[i]->now != NO_SLOT ? 1 : 0;
    }
    state_u64(io, "blocks", &count);
    for (u32 i = 0; i < ov->count; i++) {
        if (list[i]->now != NO_SLOT) {
            visit_entry(ov, list[i], io);
        }
    }
    free(list);
}

static void load(struct overlay *ov, struct state_io *io)
{
    struct error err = {0};
    for (u32 i = 0; i < ov->count; i++) {
        struct entry *e = &ov->entries[i];
        if (e->now != NO_SLOT) {
            slot_free(ov, e->now);
            e->now = NO_SLOT;
            e->hashed = false;
        }
        /* The file holds what was seen before this load; without a pre-image it is untouched. */
        e->synced = e->before == NO_SLOT;
    }
    u64 count = 0;
    u64 limit = ov->base->size / OVERLAY_BLOCK + 1;
    state_u64(io, "blocks", &count);
    for (u64 i = 0; i < count && !io->failed; i++) {
        u64 block = 0;
        u8 data[OVERLAY_BLOCK];
        state_u64(io, "block", &block);
        state_bytes(io, "data", data, OVERLAY_BLOCK);
        if (block >= limit || block * OVERLAY_BLOCK >= ov->base->size) {
            io->failed = true;
        }
        if (!io->failed && !write_block(ov, block, 0, data, block_length(ov, block), &err)) {
            io->failed = true;
        }
    }
}

void overlay_state(struct overlay *ov, struct state_io *io)
{
    if (state_is_load(io)) {
        load(ov, io);
    } else {
        visit_out(ov, io);
    }
}
