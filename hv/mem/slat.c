/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of second-level translation. */
#include "hv/mem/slat.h"

#include "hv/arch/arch.h"
#include "hv/core/apic.h"
#include "hv/core/cpu.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/mem/overlay.h"
#include "hv/mem/page.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

#define LEVELS 4

static unsigned index_at(u64 gfn, unsigned level) { return (unsigned)(gfn >> (9 * level)) & 511; }
static u64 *table_at(u64 entry) { return spa_to_ptr(entry & SLAT_ADDRESS); }

/* Replaces a large page by a table of small ones. */
static bool split(struct partition *p, u64 *entry)
{
    u64 *table = pool_alloc(&p->pool);
    if (table == NULL) {
        return false;
    }
    enum slat_rights rights;
    enum slat_type type;
    arch->slat_decode(*entry, &rights, &type);
    for (u64 i = 0; i < 512; i++) {
        table[i] = arch->slat_leaf((*entry & SLAT_ADDRESS) + i * PAGE_SIZE, rights, type, false);
    }
    *entry = arch->slat_table(ptr_to_spa(table));
    return true;
}

/* The entry of a page in the table of `level` (0: 4 KiB); the tables on the way are made. */
static u64 *entry_in(struct partition *p, u64 **root, u64 gfn, unsigned level)
{
    if (*root == NULL && (*root = pool_alloc(&p->pool)) == NULL) {
        return NULL;
    }
    u64 *table = *root;
    for (unsigned at = LEVELS - 1; at > level; at--) {
        u64 *entry = &table[index_at(gfn, at)];
        if (*entry == 0) {
            u64 *next = pool_alloc(&p->pool);
            if (next == NULL) {
                return NULL;
            }
            *entry = arch->slat_table(ptr_to_spa(next));
        } else if (arch->slat_is_large(*entry) && !split(p, entry)) {
            return NULL;
        }
        table = table_at(*entry);
    }
    return &table[index_at(gfn, level)];
}

static u64 *entry_of(struct partition *p, u64 gfn, unsigned level) { return entry_in(p, &p->slat, gfn, level); }

bool slat_map(struct partition *p, u64 gfn, u64 pfn, enum slat_rights rights, enum slat_type type)
{
    u64 *entry = entry_of(p, gfn, 0);
    u64 *low = p->has_vtl2 ? entry_in(p, &p->slat_low, gfn, 0) : NULL;
    if (entry == NULL || (p->has_vtl2 && low == NULL)) {
        return false;
    }
    if (low != NULL) {
        *low = arch->slat_leaf(pfn << PAGE_SHIFT, rights, type, false);
    }
    if (*entry != 0) {
        p->slat_stale = true;
    }
    *entry = arch->slat_leaf(pfn << PAGE_SHIFT, rights, type, false);
    return true;
}

bool slat_map_large(struct partition *p, u64 gfn, u64 pfn, enum slat_rights rights, enum slat_type type)
{
    u64 *entry = entry_of(p, gfn, 1);
    if (entry == NULL) {
        return false;
    }
    *entry = arch->slat_leaf(pfn << PAGE_SHIFT, rights, type, true);
    return true;
}

bool slat_unmap(struct partition *p, u64 gfn)
{
    u64 old;
    enum slat_rights rights;
    if (!slat_find(p, gfn, &old, &rights)) {
        return true;
    }
    u64 *entry = entry_of(p, gfn, 0);
    if (entry == NULL) {
        return false;
    }
    *entry = 0;
    if (p->slat_low != NULL) {
        *entry_in(p, &p->slat_low, gfn, 0) = 0; /* its tables are there: slat_map made them */
    }
    p->slat_stale = true;
    return true;
}

bool slat_exchange(struct partition *p, u64 gfn, u64 entry, u64 *old)
{
    u64 *at = entry_of(p, gfn, 0);
    if (at == NULL) {
        return false;
    }
    *old = *at;
    *at = entry;
    p->slat_stale = true;
    return true;
}

bool slat_protect_low(struct partition *p, u64 gfn, enum slat_rights rights)
{
    u64 pfn;
    enum slat_rights all;
    if (!overlay_find_under(p, gfn, &pfn, &all) || p->slat_low == NULL) {
        return false;
    }
    u64 *entry = entry_in(p, &p->slat_low, gfn, 0);
    rights = (enum slat_rights)(rights & all);
    *entry = rights != 0 ? arch->slat_leaf(pfn << PAGE_SHIFT, rights, SLAT_WB, false) : 0;
    p->slat_stale = true;
    return true;
}

static bool find_in(const u64 *table, u64 gfn, u64 *pfn, enum slat_rights *rights)
{
    if (table == NULL || gfn >> (9 * LEVELS) != 0) {
        return false;
    }
    for (unsigned level = LEVELS; level-- > 0;) {
        u64 entry = table[index_at(gfn, level)];
        if (entry == 0) {
            return false;
        }
        enum slat_type type;
        if (level == 0 || arch->slat_is_large(entry)) {
            *pfn = ((entry & SLAT_ADDRESS) >> PAGE_SHIFT) + (gfn & (BIT(9 * level) - 1));
            arch->slat_decode(entry, rights, &type);
            return true;
        }
        table = table_at(entry);
    }
    return false;
}

bool slat_find(const struct partition *p, u64 gfn, u64 *pfn, enum slat_rights *rights)
{
    return find_in(p->slat, gfn, pfn, rights);
}

bool slat_low_sees(const struct partition *p, u64 gfn)
{
    u64 pfn;
    enum slat_rights rights;
    return find_in(p->slat_low, gfn, &pfn, &rights);
}

void slat_flush(struct partition *p)
{
    if (!p->slat_stale) {
        return;
    }
    p->slat_stale = false;
    p->slat_generation++;
    for (u32 i = 0; i < cpu_count; i++) {
        struct cpu *c = &cpus[i];
        struct vp *vp = __atomic_load_n(&c->running, __ATOMIC_SEQ_CST);
        if (c == this_cpu() || vp == NULL || vp->partition != p) {
            continue;
        }
        cpu_kick(c);
        while (__atomic_load_n(&c->running, __ATOMIC_SEQ_CST) == vp) {
            insn_pause(); /* it leaves the guest, and then waits for the lock that we hold */
        }
    }
}

static void free_table(struct partition *p, u64 *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < 512; i++) {
        if (table[i] != 0 && !arch->slat_is_large(table[i])) {
            free_table(p, table_at(table[i]), level - 1);
        }
    }
    pool_free(&p->pool, table);
}

void slat_free(struct partition *p)
{
    if (p->slat != NULL) {
        free_table(p, p->slat, LEVELS - 1);
        p->slat = NULL;
    }
    if (p->slat_low != NULL) {
        free_table(p, p->slat_low, LEVELS - 1);
        p->slat_low = NULL;
    }
}

static bool copy(struct partition *p, u64 gpa, u8 *data, u64 size, bool write)
{
    while (size > 0) {
        u64 n = min_u64(size, PAGE_SIZE - (gpa & PAGE_MASK));
        u64 pfn;
        enum slat_rights rights;
        if (!slat_find(p, gpa >> PAGE_SHIFT, &pfn, &rights) || (rights & (write ? SLAT_W : SLAT_R)) == 0 ||
            page_of(pfn) == NULL) {
            return false;
        }
        u8 *at = spa_to_ptr((pfn << PAGE_SHIFT) + (gpa & PAGE_MASK));
        if (write) {
            memcpy(at, data, n);
        } else {
            memcpy(data, at, n);
        }
        data += n;
        gpa += n;
        size -= n;
    }
    return true;
}

bool guest_read(struct partition *p, u64 gpa, void *to, u64 size) { return copy(p, gpa, to, size, false); }

bool guest_write(struct partition *p, u64 gpa, const void *from, u64 size)
{
    return copy(p, gpa, (u8 *)(uintptr_t)from, size, true);
}

bool guest_owns(struct partition *p, u64 gpa, enum slat_rights rights)
{
    u64 pfn;
    enum slat_rights has;
    if (!slat_find(p, gpa >> PAGE_SHIFT, &pfn, &has) || (has & rights) != rights) {
        return false;
    }
    const struct page *page = page_of(pfn);
    return page != NULL && (page->state == PAGE_PRIVATE || page->state == PAGE_ROOT) && page->owner == p->index;
}

void *guest_page(struct partition *p, u64 gfn)
{
    u64 pfn;
    enum slat_rights rights;
    if (!slat_find(p, gfn, &pfn, &rights) || (rights & SLAT_W) == 0 || page_of(pfn) == NULL) {
        return NULL;
    }
    return spa_to_ptr(pfn << PAGE_SHIFT);
}
