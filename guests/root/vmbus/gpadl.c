/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GPADLs: lists of a child's pages, in pages of ours. The child may only name its own: hv is asked when the list is complete, and again at
 * each use, by lending. Left out: lists of several ranges. */
#include "guests/root/vmbus/vmbus.h"

#define BATCH 256u

struct gpadl *gpadl_find(struct bus *b, u32 id)
{
    for (u32 i = 0; i < BUS_GPADLS; i++) {
        if (b->gpadls[i].used && b->gpadls[i].id == id) {
            return &b->gpadls[i];
        }
    }
    return NULL;
}

static bool take_chunks(struct gpadl *g)
{
    for (u32 i = 0; i * GPADL_CHUNK < g->pages; i++) {
        u64 page = page_take();
        if (page == 0) {
            return false;
        }
        g->chunk[i] = at_address(page << PAGE_SHIFT);
    }
    return true;
}

static void put_chunks(struct gpadl *g)
{
    for (u32 i = 0; i < GPADL_CHUNKS && g->chunk[i] != NULL; i++) {
        page_put(address_of(g->chunk[i]) >> PAGE_SHIFT);
        g->chunk[i] = NULL;
    }
}

struct gpadl *gpadl_new(struct bus *b, u32 id, u32 relid, u32 pages, u32 bytes, u32 offset)
{
    u32 i = 0;
    while (i < BUS_GPADLS && b->gpadls[i].used) {
        i++;
    }
    if (i == BUS_GPADLS || pages == 0 || pages > GPADL_PAGES || pages > BUS_GPADL_PAGES - b->gpadl_pages || gpadl_find(b, id) != NULL) {
        return NULL;
    }
    struct gpadl *g = &b->gpadls[i];
    *g = (struct gpadl){.used = true, .id = id, .relid = relid, .pages = pages, .bytes = bytes, .offset = offset};
    if (!take_chunks(g)) {
        put_chunks(g);
        g->used = false;
        return NULL;
    }
    b->gpadl_pages += pages;
    return g;
}

bool gpadl_name(struct bus *b, struct gpadl *g, const u8 *pfns, u32 count)
{
    for (u32 i = 0; i < count && g->named < g->pages; i++) {
        u64 gfn;
        memcpy(&gfn, pfns + 8ull * i, sizeof gfn);
        if (gfn >= b->vm->memory >> PAGE_SHIFT && b->vtl == 0) {
            return false;
        }
        *gpadl_page(g, g->named++) = (struct gpadl_page){.gfn = (u32)gfn};
        if (gfn >> 32 != 0) {
            return false;
        }
    }
    return true;
}

/* In batches: what was done is undone when one of them fails. */
static bool lend(struct bus *b, struct gpadl *g, u32 first, u32 count, u8 rights)
{
    static u64 gfn[BATCH];
    static u32 pfn[BATCH];
    for (u32 at = 0; at < count; at += BATCH) {
        u32 n = (u32)min_u64(count - at, BATCH);
        for (u32 i = 0; i < n; i++) {
            gfn[i] = gpadl_page(g, first + at + i)->gfn;
        }
        if (!host_lend(b, g->relid, rights, gfn, pfn, n)) {
            if (rights != 0 && at != 0) {
                g->lendings++;
                gpadl_return(b, g, first, at, rights);
            }
            return false;
        }
        for (u32 i = 0; rights != 0 && i < n; i++) {
            gpadl_page(g, first + at + i)->pfn = pfn[i];
        }
    }
    g->lendings += rights != 0 ? 1 : 0;
    return true;
}

bool gpadl_check(struct bus *b, const struct gpadl *g) { return lend(b, (struct gpadl *)(uintptr_t)g, 0, g->pages, 0); }

bool gpadl_lend(struct bus *b, struct gpadl *g, u32 first, u32 count, u8 rights) { return lend(b, g, first, count, rights); }

void gpadl_return(struct bus *b, struct gpadl *g, u32 first, u32 count, u8 rights)
{
    static u64 gfn[BATCH];
    for (u32 at = 0; at < count; at += BATCH) {
        u32 n = (u32)min_u64(count - at, BATCH);
        for (u32 i = 0; i < n; i++) {
            gfn[i] = gpadl_page(g, first + at + i)->gfn;
        }
        host_return(b, g->relid, rights, gfn, n);
    }
    g->lendings--;
}

void gpadl_free(struct bus *b, struct gpadl *g)
{
    b->gpadl_pages -= g->pages;
    put_chunks(g);
    g->used = false;
}

static u32 in_page(const void *list, u32 at, u32 bytes, u8 **here)
{
    const struct gpadl *g = list;
    u32 page = at / (u32)PAGE_SIZE;
    u32 offset = at % (u32)PAGE_SIZE;
    if (page >= g->pages) {
        return 0;
    }
    *here = (u8 *)at_address((u64)gpadl_page(g, page)->pfn << PAGE_SHIFT) + offset;
    return (u32)min_u64(bytes, PAGE_SIZE - offset);
}

void gpadl_read(const struct gpadl *g, u32 at, void *to, u32 bytes) { pages_read(in_page, g, at, to, bytes); }
void gpadl_write(const struct gpadl *g, u32 at, const void *from, u32 bytes) { pages_write(in_page, g, at, from, bytes); }
