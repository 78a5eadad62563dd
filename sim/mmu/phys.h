/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system-physical address map: RAM, ROM and memory-mapped devices.
 *
 * This is the only header of the mmu that devices see. RAM pages have descriptors: what the
 * simulator knows of a page that the guest cannot see (holds decoded code, is a live page table,
 * changed since the last epoch). A page's descriptor decides whether a fast write entry for it may
 * exist; everything that tracks writes does it by withholding that entry. */
#ifndef VITRINE_MMU_PHYS_H
#define VITRINE_MMU_PHYS_H

#include "base/log.h"
#include "base/state.h"
#include "base/types.h"
#include "mmu/page_log.h"

#include <string.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE ((u64)4096)
#define PAGE_MASK (PAGE_SIZE - 1)

/* Why a page has no fast write entry. */
enum page_flag {
    PAGE_HAS_CODE = 1 << 0,  /* decoded blocks lie in it: a store may invalidate them */
    PAGE_IS_TABLE = 1 << 1,  /* page walks went through it: a store may change translations */
    PAGE_DIRTY = 1 << 2,     /* written in this epoch; set by phys_note_write alone */
    PAGE_MONITORED = 1 << 3, /* a processor's MONITOR line lies in it */
    PAGE_TRACKED = 1 << 4,   /* the isolation watch follows its tables: it is told before a store */
    PAGE_TRAPPED = 1 << 5,   /* somebody looks for a write to it: travel.h, stops.h */
    PAGE_READ_TRAPPED = 1 << 6, /* somebody looks for a processor's read of it: no fast read entries either */
};

struct page_desc {
    u32 flags;
    u32 uses;      /* PAGE_IS_TABLE: head of the list of walks that used it; 0 = none */
    u64 code_map;  /* PAGE_HAS_CODE: bit per 64-byte piece that holds decoded bytes */
    u64 hash;      /* of its contents, 0 for zeroes; as of the last look if PAGE_DIRTY */
    u32 code_head; /* PAGE_HAS_CODE: head of the list of blocks in this page; 0 = none */
};

/* A memory-mapped device. size is 1, 2, 4 or 8 (3, 5, 6, 7 are split); offset is from the region's
 * base; accesses never cross the region's end. max_size: wider accesses are split into pieces of
 * it, low address first; 0 means 8. An unaligned access arrives unaligned: the device decides. */
struct mmio_ops {
    u64 (*read)(void *self, u64 offset, unsigned size);
    void (*write)(void *self, u64 offset, u64 value, unsigned size);
    unsigned max_size;
};

enum region_kind { REGION_RAM, REGION_ROM, REGION_MMIO };

struct region {
    enum region_kind kind;
    bool enabled;
    int priority; /* the highest enabled one wins where regions overlap */
    u64 base, size;
    u64 ram_offset; /* RAM and ROM: offset in the machine's memory */
    const struct mmio_ops *ops;
    void *self;
    const char *name; /* static text */
};

/* What phys_write tells before it changes bytes of a page with flags other than PAGE_DIRTY
 * (processors' caches hang on this), and when regions move. */
struct phys_watch {
    void (*before_write)(void *self, u64 frame, u64 offset, u64 size);
    void (*map_changed)(void *self); /* drop every translation */
    void *self;
};

#define PHYS_MAX_REGIONS 192

struct trace;

struct phys {
    struct log *log;
    struct trace *trace; /* may be NULL */
    u8 *ram;       /* one host mapping: RAM, then ROMs; page aligned */
    u64 ram_bytes; /* RAM and ROM together */
    struct page_desc *pages; /* one per page of `ram` */
    u64 page_count;
    u32 *dirty; /* frames with PAGE_DIRTY, in the order of their first write */
    u64 dirty_count;
    struct page_log *page_log; /* where pre-images go; NULL: nowhere */
    u64 ram_hash; /* sum of all pages' hashes */
    struct region regions[PHYS_MAX_REGIONS];
    unsigned region_count;
    /* Derived from regions: the map cut into disjoint spans, sorted by first address. */
    struct phys_span {
        u64 first, last; /* inclusive */
        const struct region *region;
    } *spans;
    unsigned span_count;
    unsigned main_span; /* the largest of RAM: asked first */
    struct phys_watch watch;
    /* Told before bytes of a page with PAGE_TRAPPED change. */
    void (*trapped_write)(void *self, u64 frame, u64 offset, u64 size);
    void *trapped_self;
    /* Told after a processor has read bytes of a page with PAGE_READ_TRAPPED. */
    void (*trapped_read)(void *self, u64 frame, u64 offset, u64 size);
    void *read_self;
    u64 a20_mask; /* ~0, or bit 20 clear while A20 is masked */
};

/* ram_bytes: total of all RAM and ROM that will be added. False when the host has no memory. */
bool phys_init(struct phys *phys, struct log *log, u64 ram_bytes);
void phys_free(struct phys *phys);
/* Visits RAM contents (SAVE, LOAD: whole; HASH: by page, with cached hashes), then regions. */
void phys_state(void *phys, struct state_io *io);

/* Add a region; returns its number. Registration order is configuration. */
unsigned phys_add_ram(struct phys *phys, enum region_kind kind, spa_t base, u64 size,
                      u64 ram_offset, int priority, const char *name);
unsigned phys_add_mmio(struct phys *phys, spa_t base, u64 size, int priority,
                       const struct mmio_ops *ops, void *self, const char *name);
/* Move, switch on or off, or change what kind a region is (PAM: RAM <-> ROM). */
void phys_set_region(struct phys *phys, unsigned region, spa_t base, bool enabled);
void phys_set_region_kind(struct phys *phys, unsigned region, enum region_kind kind);
void phys_set_a20(struct phys *phys, bool enabled);

/* The region that decodes an address, or NULL (reads there give all ones, writes vanish). */
const struct region *phys_find(const struct phys *phys, spa_t spa);

/* The RAM or ROM page frame that backs a page: index into phys->pages and its host bytes. False for
 * MMIO and holes. *writable is false for ROM. */
bool phys_page(const struct phys *phys, spa_t spa, u64 *frame, u8 **host, bool *writable);

/* Access any range: RAM, ROM and devices, as a bus master or a slow processor access does. Holes read
 * as 0xff. Accesses to devices are split at natural alignment. */
void phys_read(struct phys *phys, spa_t spa, void *data, u64 size);
void phys_write(struct phys *phys, spa_t spa, const void *data, u64 size);
/* One aligned or unaligned scalar access of 1..8 bytes as the processor makes it: one transaction to a
 * device when it fits. */
u64 phys_read_scalar(struct phys *phys, spa_t spa, unsigned size);
void phys_write_scalar(struct phys *phys, spa_t spa, u64 value, unsigned size);

/* The system-physical address at which a frame is RAM or ROM now (the lowest, where it is aliased); ~0
 * when it is not mapped. */
u64 phys_spa_of_frame(const struct phys *phys, u64 frame);

/* Called by whoever is about to change a frame's bytes or hands out a way to (a fast write entry), each
 * time. */
static inline void phys_note_write(struct phys *phys, u64 frame)
{
    struct page_desc *page = &phys->pages[frame];
    if ((page->flags & PAGE_DIRTY) == 0) {
        page->flags |= PAGE_DIRTY;
        if (UNLIKELY(phys->page_log != NULL)) {
            page_log_add(phys->page_log, phys, (u32)frame);
        }
        phys->dirty[phys->dirty_count++] = (u32)frame;
    }
}

/* Bring the hashes of dirty pages up to date; costs what they are many. */
void phys_update_hash(struct phys *phys);
/* The same, then call every page clean. The caller has withdrawn all fast write entries. */
void phys_start_epoch(struct phys *phys);

/* Does a page of host memory hold nothing but zeroes? */
static inline bool page_is_zero(const u8 *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

/* Host bytes of a frame. */
static inline u8 *phys_frame_host(const struct phys *phys, u64 frame)
{
    return phys->ram + (frame << PAGE_SHIFT);
}

/* Copy into RAM or ROM at load time, ignoring ROM protection and firing no watch. False when the
 * range is not all RAM or ROM. */
bool phys_load(struct phys *phys, spa_t spa, const void *data, u64 size);

#endif
