/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page that is private to a child and lent to the parent stays the child's: the parent sees it in its identity place with the rights
 * that the open lendings have together, and loses it with the last of them. Lendings are counted by channel and right, so that one I/O
 * cannot close what another one needs. In a partition with VTL 2 only pages are lent that VTL 0 has no right to: what VTL 0 uses
 * is not the parent's business. Left out: lending between children. */
#include "hv/mem/lend.h"

#include "abi/hyperv/hypercall.h"
#include "hv/arch/arch.h"
#include "hv/core/trace_port.h"
#include "hv/mem/overlay.h"
#include "hv/mem/page.h"
#include "hv/partition/partition.h"

#define RECORDS (u32)(PAGE_SIZE / sizeof(struct record)) /* in a page */
#define PAGES (u32)(PAGE_SIZE / sizeof(u64))
#define COUNT_MAX 0xffffu

/* Lendings of one page for one channel. Number 0 is none. */
struct record {
    u32 next; /* of the page's, or of the free ones */
    u32 channel;
    u16 reads, writes; /* open with SLAT_R, with SLAT_RW */
    u32 reserved;
};

static struct record *record_at(const struct partition *p, u32 number)
{
    struct record *page = spa_to_ptr(p->lend.records[number / RECORDS]);
    return &page[number % RECORDS];
}

/* Another page of records; false: the pool is empty, or there are 131072 already. */
static bool grow(struct partition *p)
{
    struct lend_table *t = &p->lend;
    if (t->records == NULL && (t->records = pool_alloc(&p->pool)) == NULL) {
        return false;
    }
    void *page = t->pages < PAGES ? pool_alloc(&p->pool) : NULL;
    if (page == NULL) {
        return false;
    }
    u32 first = t->pages * RECORDS;
    t->records[t->pages++] = ptr_to_spa(page);
    for (u32 i = RECORDS; i-- > 0;) {
        if (first + i != 0) {
            record_at(p, first + i)->next = t->free;
            t->free = first + i;
        }
    }
    return true;
}

static u32 find(const struct partition *p, const struct page *page, u32 channel)
{
    u32 n = page->next;
    while (n != 0 && record_at(p, n)->channel != channel) {
        n = record_at(p, n)->next;
    }
    return n;
}

static u32 find_or_make(struct partition *p, struct page *page, u32 channel)
{
    u32 n = find(p, page, channel);
    if (n == 0 && (p->lend.free != 0 || grow(p))) {
        n = p->lend.free;
        struct record *r = record_at(p, n);
        p->lend.free = r->next;
        *r = (struct record){.next = page->next, .channel = channel};
        page->next = n;
    }
    return n;
}

static void drop_if_empty(struct partition *p, struct page *page, u32 number)
{
    struct record *r = record_at(p, number);
    if (r->reads != 0 || r->writes != 0) {
        return;
    }
    u32 *link = &page->next;
    while (*link != number) {
        link = &record_at(p, *link)->next;
    }
    *link = r->next;
    r->next = p->lend.free;
    p->lend.free = number;
}

/* What the parent sees follows from the records. False: its tables' pool is empty. */
static bool show(const struct partition *p, const struct page *page, u64 pfn)
{
    enum slat_rights rights = (enum slat_rights)0;
    for (u32 n = page->next; n != 0; n = record_at(p, n)->next) {
        const struct record *r = record_at(p, n);
        rights = (enum slat_rights)(rights | (r->writes != 0 ? SLAT_RW : (r->reads != 0 ? SLAT_R : 0)));
    }
    u64 entry = rights != 0 ? arch->slat_leaf(pfn << PAGE_SHIFT, rights, SLAT_WB, false) : 0;
    return overlay_set_under(p->parent, pfn, entry);
}

/* The page that the partition owns at this place, under its overlays; NULL: none, or not one to be lent. */
static struct page *page_at(const struct partition *p, u64 gfn, u64 *pfn, enum slat_rights *has)
{
    if (!overlay_find_under(p, gfn, pfn, has)) {
        return NULL;
    }
    struct page *page = page_of(*pfn);
    bool own = page != NULL && page->state == PAGE_PRIVATE && page->owner == p->index && page->gfn == gfn;
    return own && !(p->has_vtl2 && slat_low_sees(p, gfn)) ? page : NULL;
}

u16 lend_open(struct partition *p, u64 gfn, u32 channel, enum slat_rights rights, u64 *pfn)
{
    enum slat_rights has;
    struct page *page = page_at(p, gfn, pfn, &has);
    if (page == NULL || (rights & ~has) != 0) {
        return HV_OPERATION_DENIED;
    }
    if (rights == 0) {
        return HV_SUCCESS;
    }
    u32 n = find_or_make(p, page, channel);
    if (n == 0) {
        return HV_INSUFFICIENT_MEMORY;
    }
    struct record *r = record_at(p, n);
    u16 *count = rights == SLAT_R ? &r->reads : &r->writes;
    if (*count == COUNT_MAX) {
        return HV_INSUFFICIENT_MEMORY;
    }
    *count = (u16)(*count + 1);
    if (!show(p, page, *pfn)) {
        *count = (u16)(*count - 1);
        drop_if_empty(p, page, n);
        return HV_INSUFFICIENT_MEMORY;
    }
    p->lend.open++;
    trace_claim(CLAIM_pages_lent, p->id, p->parent->id, *pfn << PAGE_SHIFT, 1, rights == SLAT_R ? 1 : 3, channel);
    return HV_SUCCESS;
}

u16 lend_close(struct partition *p, u64 gfn, u32 channel, enum slat_rights rights)
{
    u64 pfn;
    enum slat_rights has;
    struct page *page = page_at(p, gfn, &pfn, &has);
    u32 n = page != NULL ? find(p, page, channel) : 0;
    struct record *r = n != 0 ? record_at(p, n) : NULL;
    u16 *count = r == NULL ? NULL : (rights == SLAT_R ? &r->reads : &r->writes);
    if (count == NULL || *count == 0) {
        return HV_OPERATION_DENIED; /* not lent so */
    }
    *count = (u16)(*count - 1);
    drop_if_empty(p, page, n);
    p->lend.open--;
    (void)show(p, page, pfn); /* the tables are there */
    if (page->next == 0) {
        trace_claim(CLAIM_pages_unlent, p->id, p->parent->id, pfn << PAGE_SHIFT, 1);
    }
    return HV_SUCCESS;
}

bool lend_is_open(const struct partition *p, u64 gfn)
{
    u64 pfn;
    enum slat_rights has;
    const struct page *page = overlay_find_under(p, gfn, &pfn, &has) ? page_of(pfn) : NULL;
    return page != NULL && page->state == PAGE_PRIVATE && page->owner == p->index && page->next != 0;
}

void lend_forget(struct partition *p)
{
    struct lend_table *t = &p->lend;
    for (u32 i = 0; i < t->pages; i++) {
        pool_free(&p->pool, spa_to_ptr(t->records[i]));
    }
    if (t->records != NULL) {
        pool_free(&p->pool, t->records);
    }
    *t = (struct lend_table){0};
}
