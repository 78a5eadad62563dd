/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system-physical map. Regions may overlap and move (PCI BARs, PAM, SMRAM, the APIC page);
 * after each change they are cut into disjoint sorted spans, which lookups search. */
#include "mmu/phys.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "trace/events.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool phys_init(struct phys *phys, struct log *log, u64 ram_bytes)
{
    memset(phys, 0, sizeof *phys);
    phys->log = log;
    phys->a20_mask = ~(u64)0;
    phys->ram_bytes = align_up(ram_bytes, PAGE_SIZE);
    phys->page_count = phys->ram_bytes >> PAGE_SHIFT;
    void *ram = mmap(NULL, phys->ram_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) {
        return false;
    }
    phys->ram = ram;
    phys->pages = calloc(phys->page_count, sizeof *phys->pages);
    phys->dirty = calloc(phys->page_count, sizeof *phys->dirty);
    phys->spans = calloc(2 * PHYS_MAX_REGIONS + 1, sizeof *phys->spans);
    return phys->pages != NULL && phys->dirty != NULL && phys->spans != NULL;
}

void phys_free(struct phys *phys)
{
    if (phys->ram != NULL) {
        (void)munmap(phys->ram, phys->ram_bytes);
    }
    free(phys->pages);
    free(phys->dirty);
    free(phys->spans);
    memset(phys, 0, sizeof *phys);
}

static const struct region *winner_at(const struct phys *phys, u64 address)
{
    const struct region *best = NULL;
    for (unsigned i = 0; i < phys->region_count; i++) {
        const struct region *r = &phys->regions[i];
        if (r->enabled && address - r->base < r->size &&
            (best == NULL || r->priority >= best->priority)) {
            best = r;
        }
    }
    return best;
}

static int compare_u64(const void *a, const void *b)
{
    u64 x = load_le64(a);
    u64 y = load_le64(b);
    return (x > y) - (x < y);
}

static void rebuild(struct phys *phys)
{
    u64 cuts[2 * PHYS_MAX_REGIONS];
    unsigned n = 0;
    for (unsigned i = 0; i < phys->region_count; i++) {
        if (phys->regions[i].enabled) {
            cuts[n++] = phys->regions[i].base;
            cuts[n++] = phys->regions[i].base + phys->regions[i].size;
        }
    }
    qsort(cuts, n, sizeof cuts[0], compare_u64);
    phys->span_count = 0;
    for (unsigned i = 0; i + 1 < n; i++) {
        const struct region *r = cuts[i] < cuts[i + 1] ? winner_at(phys, cuts[i]) : NULL;
        if (r == NULL) {
            continue;
        }
        struct phys_span *last = phys->span_count > 0 ? &phys->spans[phys->span_count - 1] : NULL;
        if (last != NULL && last->region == r && last->last + 1 == cuts[i]) {
            last->last = cuts[i + 1] - 1;
        } else {
            phys->spans[phys->span_count++] =
                (struct phys_span){.first = cuts[i], .last = cuts[i + 1] - 1, .region = r};
        }
    }
    phys->main_span = 0;
    for (unsigned i = 0; i < phys->span_count; i++) {
        const struct phys_span *s = &phys->spans[i], *best = &phys->spans[phys->main_span];
        if (s->region->kind == REGION_RAM &&
            (best->region->kind != REGION_RAM || s->last - s->first > best->last - best->first)) {
            phys->main_span = i;
        }
    }
    if (phys->watch.map_changed != NULL) {
        phys->watch.map_changed(phys->watch.self);
    }
}

static unsigned add_region(struct phys *phys, struct region r)
{
    sim_assert(phys->region_count < PHYS_MAX_REGIONS);
    sim_assert(r.size != 0 && r.base + (r.size - 1) >= r.base);
    unsigned number = phys->region_count++;
    phys->regions[number] = r;
    rebuild(phys);
    return number;
}

unsigned phys_add_ram(struct phys *phys, enum region_kind kind, spa_t base, u64 size,
                      u64 ram_offset, int priority, const char *name)
{
    sim_assert(kind != REGION_MMIO && ram_offset + size <= phys->ram_bytes);
    return add_region(phys, (struct region){.kind = kind,
                                            .enabled = true,
                                            .priority = priority,
                                            .base = base.v,
                                            .size = size,
                                            .ram_offset = ram_offset,
                                            .name = name});
}

unsigned phys_add_mmio(struct phys *phys, spa_t base, u64 size, int priority,
                       const struct mmio_ops *ops, void *self, const char *name)
{
    return add_region(phys, (struct region){.kind = REGION_MMIO,
                                            .enabled = true,
                                            .priority = priority,
                                            .base = base.v,
                                            .size = size,
                                            .ops = ops,
                                            .self = self,
                                            .name = name});
}

void phys_set_region(struct phys *phys, unsigned region, spa_t base, bool enabled)
{
    struct region *r = &phys->regions[region];
    if (r->base == base.v && r->enabled == enabled) {
        return;
    }
    r->base = base.v;
    r->enabled = enabled;
    rebuild(phys);
}

void phys_set_region_kind(struct phys *phys, unsigned region, enum region_kind kind)
{
    struct region *r = &phys->regions[region];
    sim_assert(kind != REGION_MMIO && r->kind != REGION_MMIO);
    if (r->kind != kind) {
        r->kind = kind;
        rebuild(phys);
    }
}

void phys_set_a20(struct phys *phys, bool enabled)
{
    u64 mask = enabled ? ~(u64)0 : ~BIT(20);
    if (phys->a20_mask != mask) {
        phys->a20_mask = mask;
        if (phys->watch.map_changed != NULL) {
            phys->watch.map_changed(phys->watch.self);
        }
    }
}

static const struct phys_span *find_span(const struct phys *phys, u64 address)
{
    unsigned lo = 0;
    unsigned hi = phys->span_count;
    const struct phys_span *main = &phys->spans[phys->main_span];
    if (LIKELY(hi != 0 && address - main->first <= main->last - main->first)) {
        return main;
    }
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (phys->spans[mid].last < address) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < phys->span_count && phys->spans[lo].first <= address ? &phys->spans[lo] : NULL;
}

const struct region *phys_find(const struct phys *phys, spa_t spa)
{
    const struct phys_span *span = find_span(phys, spa.v & phys->a20_mask);
    return span != NULL ? span->region : NULL;
}

bool phys_page(const struct phys *phys, spa_t spa, u64 *frame, u8 **host, bool *writable)
{
    u64 page = spa.v & phys->a20_mask & ~PAGE_MASK;
    const struct phys_span *span = find_span(phys, page);
    if (span == NULL || span->region->kind == REGION_MMIO || span->last < page + PAGE_MASK) {
        return false;
    }
    u64 offset = page - span->region->base + span->region->ram_offset;
    if ((offset & PAGE_MASK) != 0) {
        return false;
    }
    *frame = offset >> PAGE_SHIFT;
    *host = phys->ram + offset;
    *writable = span->region->kind == REGION_RAM;
    return true;
}

u64 phys_spa_of_frame(const struct phys *phys, u64 frame)
{
    u64 offset = frame << PAGE_SHIFT;
    for (unsigned i = 0; i < phys->span_count; i++) {
        const struct phys_span *s = &phys->spans[i];
        const struct region *r = s->region;
        if (r->kind == REGION_MMIO || offset < r->ram_offset) {
            continue;
        }
        u64 address = offset - r->ram_offset + r->base;
        if (address >= s->first && address <= s->last) {
            return address;
        }
    }
    return ~(u64)0;
}

/* Bytes from `address`, which nothing decodes, to the next span, or to the end of the address space. */
static u64 hole_length(const struct phys *phys, u64 address)
{
    unsigned lo = 0;
    unsigned hi = phys->span_count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (phys->spans[mid].last < address) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < phys->span_count ? phys->spans[lo].first - address : ~(u64)0;
}

/* Bytes from `address` on, at most `size`, that one span (or one hole) covers. */
static u64 piece_length(const struct phys *phys, u64 address, u64 size,
                        const struct region **region)
{
    const struct phys_span *span = find_span(phys, address);
    *region = span != NULL ? span->region : NULL;
    u64 room = span != NULL ? span->last - address + 1 : hole_length(phys, address);
    if (phys->a20_mask != ~(u64)0) {
        u64 to_mib = MIB(1) - (address & (MIB(1) - 1));
        room = room < to_mib ? room : to_mib;
    }
    return room != 0 && room < size ? room : size;
}

static unsigned device_piece(const struct region *r, u64 offset, u64 size)
{
    u64 max = r->ops->max_size != 0 ? r->ops->max_size : 8;
    u64 n = 8;
    while (n > size || n > max || ((offset & (n - 1)) != 0 && n > 1)) {
        n >>= 1;
    }
    return (unsigned)n;
}

static u64 region_read(struct phys *phys, const struct region *r, u64 offset, unsigned size)
{
    u64 value = r->ops->read(r->self, offset, size);
    trace_mmio_read(phys->trace, trace_running(phys->trace), r->base + offset, size, value);
    return value;
}

static void region_write(struct phys *phys, const struct region *r, u64 offset, u64 value,
                         unsigned size)
{
    trace_mmio_write(phys->trace, trace_running(phys->trace), r->base + offset, size, value);
    r->ops->write(r->self, offset, value, size);
}

static void device_read(struct phys *phys, const struct region *r, u64 offset, u8 *out, u64 size)
{
    while (size > 0) {
        unsigned n = device_piece(r, offset, size);
        store_le(out, region_read(phys, r, offset, n), n);
        offset += n;
        out += n;
        size -= n;
    }
}

static void device_write(struct phys *phys, const struct region *r, u64 offset, const u8 *in, u64 size)
{
    while (size > 0) {
        unsigned n = device_piece(r, offset, size);
        region_write(phys, r, offset, load_le(in, n), n);
        offset += n;
        in += n;
        size -= n;
    }
}

void phys_read(struct phys *phys, spa_t spa, void *data, u64 size)
{
    u8 *out = data;
    u64 address = spa.v;
    while (size > 0) {
        const struct region *r;
        u64 n = piece_length(phys, address & phys->a20_mask, size, &r);
        u64 offset = r != NULL ? (address & phys->a20_mask) - r->base : 0;
        if (r == NULL) {
            memset(out, 0xff, n);
        } else if (r->kind == REGION_MMIO) {
            device_read(phys, r, offset, out, n);
        } else {
            memcpy(out, phys->ram + r->ram_offset + offset, n);
        }
        out += n;
        address += n;
        size -= n;
    }
}

static void ram_write(struct phys *phys, u64 ram_offset, const u8 *in, u64 size)
{
    while (size > 0) {
        u64 at = ram_offset & PAGE_MASK;
        u64 n = PAGE_SIZE - at < size ? PAGE_SIZE - at : size;
        u64 frame = ram_offset >> PAGE_SHIFT;
        struct page_desc *page = &phys->pages[frame];
        if ((page->flags & ~(u32)PAGE_DIRTY) != 0 && phys->watch.before_write != NULL) {
            phys->watch.before_write(phys->watch.self, frame, at, n);
        }
        phys_note_write(phys, frame);
        memcpy(phys->ram + ram_offset, in, n);
        ram_offset += n;
        in += n;
        size -= n;
    }
}

void phys_write(struct phys *phys, spa_t spa, const void *data, u64 size)
{
    const u8 *in = data;
    u64 address = spa.v;
    while (size > 0) {
        const struct region *r;
        u64 masked = address & phys->a20_mask;
        u64 n = piece_length(phys, masked, size, &r);
        if (r != NULL && r->kind == REGION_MMIO) {
            device_write(phys, r, masked - r->base, in, n);
        } else if (r != NULL && r->kind == REGION_RAM) {
            ram_write(phys, r->ram_offset + (masked - r->base), in, n);
        }
        in += n;
        address += n;
        size -= n;
    }
}

u64 phys_read_scalar(struct phys *phys, spa_t spa, unsigned size)
{
    u64 address = spa.v & phys->a20_mask;
    const struct phys_span *span = find_span(phys, address);
    if (LIKELY(span != NULL && span->region->kind == REGION_RAM && (address & PAGE_MASK) <= PAGE_SIZE - size &&
               span->last - address >= size - 1)) {
        return load_le(phys->ram + (address - span->region->base + span->region->ram_offset), size);
    }
    if (span != NULL && span->region->kind == REGION_MMIO && is_power_of_2(size) &&
        span->last - address >= size - 1) {
        const struct region *r = span->region;
        if (r->ops->max_size == 0 || size <= r->ops->max_size) {
            return region_read(phys, r, address - r->base, size) & size_mask(size);
        }
    }
    u64 v = 0;
    phys_read(phys, spa, &v, size);
    return v;
}

void phys_write_scalar(struct phys *phys, spa_t spa, u64 value, unsigned size)
{
    u64 address = spa.v & phys->a20_mask;
    const struct phys_span *span = find_span(phys, address);
    if (span != NULL && span->region->kind == REGION_MMIO && is_power_of_2(size) &&
        span->last - address >= size - 1) {
        const struct region *r = span->region;
        if (r->ops->max_size == 0 || size <= r->ops->max_size) {
            region_write(phys, r, address - r->base, value & size_mask(size), size);
            return;
        }
    }
    phys_write(phys, spa, &value, size);
}

bool phys_load(struct phys *phys, spa_t spa, const void *data, u64 size)
{
    const u8 *in = data;
    u64 address = spa.v;
    while (size > 0) {
        const struct region *r;
        u64 n = piece_length(phys, address, size, &r);
        if (r == NULL || r->kind == REGION_MMIO) {
            return false;
        }
        ram_write(phys, r->ram_offset + (address - r->base), in, n);
        in += n;
        address += n;
        size -= n;
    }
    return true;
}

void phys_update_hash(struct phys *phys)
{
    for (u64 i = 0; i < phys->dirty_count; i++) {
        u64 frame = phys->dirty[i];
        const u8 *host = phys_frame_host(phys, frame);
        u64 hash = page_is_zero(host) ? 0 : hash_bytes(frame, host, PAGE_SIZE);
        /* A sum does not depend on the order of the pages. */
        phys->ram_hash += hash - phys->pages[frame].hash;
        phys->pages[frame].hash = hash;
    }
}

void phys_start_epoch(struct phys *phys)
{
    phys_update_hash(phys);
    for (u64 i = 0; i < phys->dirty_count; i++) {
        phys->pages[phys->dirty[i]].flags &= ~(u32)PAGE_DIRTY;
    }
    phys->dirty_count = 0;
}

/* Without a look at memory that the host need not have yet. */
static bool is_known_zero(const struct phys *phys, u64 frame)
{
    const struct page_desc *page = &phys->pages[frame];
    return (page->flags & PAGE_DIRTY) == 0 && page->hash == 0;
}

static void ram_state(struct phys *phys, struct state_io *io)
{
    if (io->mode == STATE_HASH || io->mode == STATE_PRINT) {
        phys_update_hash(phys);
        u64 sum = phys->ram_hash;
        state_u64(io, "ram_hash", &sum);
        return;
    }
    if (io->without_ram) {
        return;
    }
    for (u64 f = 0; f < phys->page_count; f++) {
        u8 *host = phys_frame_host(phys, f);
        bool was_zero = is_known_zero(phys, f) || page_is_zero(host);
        bool present = io->mode == STATE_SAVE && !was_zero;
        state_bool(io, "present", &present);
        bool changes = state_is_load(io) && (present || !was_zero);
        if (changes) { /* else it stays untouched memory of the host's */
            phys_note_write(phys, f);
        }
        if (present) {
            state_bytes(io, "page", host, PAGE_SIZE);
        } else if (changes) {
            memset(host, 0, PAGE_SIZE);
        }
    }
}

void phys_state(void *self, struct state_io *io)
{
    struct phys *phys = self;
    state_section(io, "phys", 1);
    state_u64(io, "a20_mask", &phys->a20_mask);
    u32 n = phys->region_count;
    state_u32(io, "regions", &n);
    for (unsigned i = 0; i < phys->region_count; i++) {
        struct region *r = &phys->regions[i];
        state_enum(io, "kind", &r->kind);
        state_bool(io, "enabled", &r->enabled);
        state_u64(io, "base", &r->base);
    }
    ram_state(phys, io);
    if (state_is_load(io)) {
        rebuild(phys);
    }
}
