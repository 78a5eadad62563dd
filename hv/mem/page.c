/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ownership table, pools, and the transitions of a page. Each transition that takes the page from the root's address
 * space or gives it back changes the root's SLAT here, so that the two cannot disagree. Lending for an I/O is lend.c's. */
#include "hv/mem/page.h"

#include "hv/arch/arch.h"
#include "hv/boot/boot.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/mem/overlay.h"
#include "hv/mem/slat.h"
#include "hv/partition/partition.h"

const char *const page_state_names[PAGE_STATE_COUNT] = {
    [PAGE_NOT_RAM] = "not RAM",     [PAGE_HV] = "hypervisor", [PAGE_ROOT] = "root",
    [PAGE_DEPOSITED] = "deposited", [PAGE_PRIVATE] = "private",
};

extern u8 hv_image_start[], hv_image_end[];
extern u64 boot_pdpt[];

u64 hv_area_start, hv_area_end;
struct page_pool hv_pool = {.free = PFN_NONE};
static struct page *table;
static u64 table_pages;

struct page *page_of(u64 pfn)
{
    return pfn < table_pages && table[pfn].state != PAGE_NOT_RAM ? &table[pfn] : NULL;
}

static void pool_put(struct page_pool *p, u64 pfn)
{
    table[pfn].next = p->free;
    table[pfn].used = 0;
    p->free = (u32)pfn;
    p->available++;
}

void *pool_alloc(struct page_pool *p)
{
    if (p->free == PFN_NONE) {
        return NULL;
    }
    u32 pfn = p->free;
    p->free = table[pfn].next;
    table[pfn].used = 1;
    p->available--;
    p->in_use++;
    void *page = spa_to_ptr((u64)pfn << PAGE_SHIFT);
    memset(page, 0, PAGE_SIZE);
    return page;
}

void pool_free(struct page_pool *p, void *page)
{
    p->in_use--;
    pool_put(p, ptr_to_spa(page) >> PAGE_SHIFT);
}

static void set_state(u64 start, u64 end, enum page_state state)
{
    for (u64 pfn = start >> PAGE_SHIFT; pfn < end >> PAGE_SHIFT; pfn++) {
        table[pfn].state = (u8)state;
    }
}

/* hv's mapping reaches 4 GiB from the start; the rest of RAM, in pages of 2 MiB. */
static void map_high_memory(u64 end)
{
    for (u64 at = 4ull << 30; at < end; at += 1ull << 30) {
        u64 *pd = pool_alloc(&hv_pool);
        if (pd == NULL || at >= 512ull << 30) {
            panic("too much memory");
        }
        for (unsigned i = 0; i < 512; i++) {
            pd[i] = (at + i * LARGE_SIZE) | 0x83;
        }
        boot_pdpt[at >> 30] = ptr_to_spa(pd) | 3;
    }
}

void page_init(u64 top)
{
    u64 end = boot_ram_end();
    table_pages = align_up(end, PAGE_SIZE) >> PAGE_SHIFT;
    u64 table_bytes = align_up(table_pages * sizeof *table, PAGE_SIZE);
    u64 pool_bytes = align_up(end / 64, PAGE_SIZE) + (4ull << 20);
    hv_area_end = align_down(top, LARGE_SIZE);
    hv_area_start = align_down(hv_area_end - table_bytes - pool_bytes, LARGE_SIZE);
    if (hv_area_start > hv_area_end || hv_area_start <= ptr_to_spa(hv_image_end)) {
        panic("too little memory");
    }
    table = spa_to_ptr(hv_area_end - table_bytes);
    memset(table, 0, table_bytes);
    for (u32 i = 0; i < boot_info.range_count; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        if (r->type == MEMORY_RAM) {
            set_state(align_up(r->start, PAGE_SIZE), r->end, PAGE_ROOT);
        }
    }
    set_state(hv_area_start, hv_area_end, PAGE_HV);
    set_state(ptr_to_spa(hv_image_start), ptr_to_spa(hv_image_end), PAGE_HV);
    for (u64 at = hv_area_start; at < ptr_to_spa(table); at += PAGE_SIZE) {
        pool_put(&hv_pool, at >> PAGE_SHIFT);
    }
    map_high_memory(end);
}

/* ---- what the trace port is told: neighbours in one record ---- */

static struct {
    enum trace_port_pages state;
    u64 partition, first, count, gfn;
} run;

void page_tell(void)
{
    if (run.count != 0) {
        trace_claim(CLAIM_pages, run.state, run.partition, run.first << PAGE_SHIFT, run.count, run.gfn);
        run.count = 0;
    }
}

static void changed(u64 pfn, enum trace_port_pages state, const struct partition *p, u64 gfn)
{
    bool same = run.count != 0 && run.state == state && run.partition == p->id;
    bool placed = state == TRACE_PAGES_PRIVATE;
    if (!trace_port_present) {
        return;
    }
    if (same && pfn == run.first + run.count && (!placed || gfn == run.gfn + run.count)) {
        run.count++;
    } else if (same && pfn + 1 == run.first && (!placed || gfn + 1 == run.gfn)) {
        run.first--;
        run.gfn -= placed ? 1 : 0;
        run.count++;
    } else {
        page_tell();
        run.state = state;
        run.partition = p->id;
        run.first = pfn;
        run.count = 1;
        run.gfn = placed ? gfn : 0;
    }
}

/* The root sees this page of its own, in its place, and not an overlay there. */
static bool is_with_root(u64 pfn)
{
    const struct page *p = page_of(pfn);
    u64 seen;
    enum slat_rights rights;
    return p != NULL && p->state == PAGE_ROOT && slat_find(root_partition, pfn, &seen, &rights) && seen == pfn;
}

bool page_deposit(u64 pfn, struct partition *to)
{
    struct page *p = page_of(pfn);
    if (!is_with_root(pfn) || !slat_unmap(root_partition, pfn)) {
        return false;
    }
    p->state = PAGE_DEPOSITED;
    p->owner = to->index;
    changed(pfn, TRACE_PAGES_DEPOSITED, to, 0);
    pool_put(&to->pool, pfn);
    return true;
}

/* The page leaves another partition: nothing of it may be seen, and the root sees it again. */
static void to_root(u64 pfn)
{
    memset(spa_to_ptr(pfn << PAGE_SHIFT), 0, PAGE_SIZE);
    table[pfn].state = PAGE_ROOT;
    table[pfn].owner = root_partition->index;
    changed(pfn, TRACE_PAGES_ROOT, root_partition, 0);
    if (!overlay_set_under(root_partition, pfn, arch->slat_leaf(pfn << PAGE_SHIFT, SLAT_RWX, SLAT_WB, false))) {
        panic("the root's tables cannot be extended"); /* they were there when the page left */
    }
}

u32 page_withdraw(struct partition *from)
{
    u32 pfn = from->pool.free;
    if (pfn != PFN_NONE) {
        from->pool.free = table[pfn].next;
        from->pool.available--;
        to_root(pfn);
    }
    return pfn;
}

bool page_give(u64 pfn, struct partition *to, u64 gfn)
{
    struct page *p = page_of(pfn);
    if (!is_with_root(pfn) || !slat_unmap(root_partition, pfn)) {
        return false;
    }
#ifdef HV_INJECT_SHARING /* hv_sharing.elf, which shows that the tracker sees it: the giver keeps its access */
    (void)slat_map(root_partition, pfn, pfn, SLAT_RWX, SLAT_WB);
#endif
    p->state = PAGE_PRIVATE;
    p->owner = to->index;
    p->gfn = (u32)gfn;
    changed(pfn, TRACE_PAGES_PRIVATE, to, gfn);
    p->next = 0;
    return true;
}

bool page_return(u64 pfn, struct partition *from)
{
    struct page *p = page_of(pfn);
    if (p == NULL || p->state != PAGE_PRIVATE || p->owner != from->index) {
        return false;
    }
    to_root(pfn);
    return true;
}
