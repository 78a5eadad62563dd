/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who owns each page of memory: one table. EPT and NPT follow from it, never the other way round. */
#ifndef HV_MEM_PAGE_H
#define HV_MEM_PAGE_H

#include "hv/core/types.h"

struct partition;

enum page_state {
    PAGE_NOT_RAM,   /* devices and holes: the root's, by identity */
    PAGE_HV,        /* the hypervisor's */
    PAGE_ROOT,      /* the root's */
    PAGE_DEPOSITED, /* given by the root for the hypervisor's structures of a partition; nobody can touch it */
    PAGE_PRIVATE,   /* mapped into a child; its parent cannot touch it any more */
    PAGE_STATE_COUNT
};

#define PFN_NONE 0xffffffffu

struct page {
    u8 state;
    u8 reserved;
    u16 owner; /* partition's index */
    u32 gfn;   /* PAGE_PRIVATE: where the owner sees it */
    u32 next;  /* free list of a pool; PAGE_PRIVATE: lendings, see lend.c, 0 none */
    u32 used;  /* PAGE_DEPOSITED, PAGE_HV: allocated */
};

/* Pages for the hypervisor's structures of a partition. */
struct page_pool {
    u32 free; /* first of the list, PFN_NONE empty */
    u32 available, in_use;
};

extern const char *const page_state_names[PAGE_STATE_COUNT];

/* Takes hv's area out of RAM, right below `top`; everything else in RAM becomes the root's. */
void page_init(u64 top);
/* NULL when there is no such page of RAM. */
struct page *page_of(u64 pfn);
/* hv's area and image: [start, end) pairs that the root's memory map says are reserved. */
extern u64 hv_area_start, hv_area_end;
/* Pages that the root's partition is fed from. */
extern struct page_pool hv_pool;

/* A zeroed page, NULL when the pool is empty. */
void *pool_alloc(struct page_pool *p);
void pool_free(struct page_pool *p, void *page);

/* Transitions. False: the page is not in the state from which this may happen. */
bool page_deposit(u64 pfn, struct partition *to);
/* Takes any free page of the pool back to the root, zeroed; PFN_NONE when all are in use. */
u32 page_withdraw(struct partition *from);
bool page_give(u64 pfn, struct partition *to, u64 gfn);
/* The page was unmapped from `from`: zeroed, the root's again. */
bool page_return(u64 pfn, struct partition *from);
/* Tells the trace port of the transitions since the last time. */
void page_tell(void);

#endif
