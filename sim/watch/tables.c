/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Roots and their tables: read once when a root is first used, kept up with every store to one of
 * their pages after that. Each table page keeps a copy of the entries as they are accounted for, so that
 * a store costs what it changes.
 *
 * A mapping that vanishes counts at once. One that appears counts when the root is used next: at once
 * while a processor is in it or a device attached, else at the next entry. So the pages of tables that
 * nobody uses any more may become ordinary memory without being taken for tables.
 *
 * Left out: memory types, sub-page permissions, protection keys; accessed and dirty bits do not matter. */
#include "base/assert.h"
#include "base/bytes.h"
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS 0x000ffffffffff000u

/* ---- pools ---- */

void pool_init(struct pool *p, size_t size)
{
    *p = (struct pool){.size = size, .count = 1};
}

void pool_release(struct pool *p)
{
    free(p->data);
    *p = (struct pool){.size = p->size, .count = 1};
}

u32 pool_take(struct pool *p)
{
    u32 n = p->free;
    if (n != 0) {
        memcpy(&p->free, pool_at(p, n), sizeof p->free);
    } else {
        if (p->count >= p->cap) {
            p->cap = p->cap == 0 ? 64 : 2 * p->cap;
            p->data = realloc(p->data, (size_t)p->cap * p->size);
            sim_assert(p->data != NULL);
        }
        n = p->count++;
    }
    memset(pool_at(p, n), 0, p->size);
    return n;
}

void pool_give(struct pool *p, u32 n)
{
    memcpy(pool_at(p, n), &p->free, sizeof p->free);
    p->free = n;
}

/* ---- entries ---- */

static struct decoded leaf(u64 address, unsigned shift, u8 rights)
{
    return (struct decoded){.kind = DECODED_LEAF,
                            .rights = rights,
                            .shift = (u8)shift,
                            .address = address & ~(BIT(shift) - 1)};
}

static struct decoded table(u64 address, unsigned next_level, u8 rights)
{
    return (struct decoded){.kind = DECODED_TABLE,
                            .rights = rights,
                            .next_level = (u8)next_level,
                            .address = address & ADDRESS};
}

unsigned watch_entry_shift(enum watch_format format, unsigned level)
{
    return format == WATCH_X86_32 ? 12 + 10 * (level - 1) : 12 + 9 * (level - 1);
}

/* [AMDVI "Page Size Encodings"] */
static struct decoded decode_amd(unsigned level, u64 entry)
{
    unsigned shift = 12 + 9 * (level - 1);
    unsigned next = (unsigned)bits_get(entry, 9, 3);
    u8 rights = (u8)((entry >> 61 & 1) != 0 ? WATCH_R : 0) | (u8)((entry >> 62 & 1) != 0 ? WATCH_W : 0);
    if ((entry & 1) == 0 || rights == 0 || (next != 7 && next >= level)) {
        return (struct decoded){0};
    }
    if (next == 7) {
        u64 zeros = ~(entry | PAGE_MASK | ~ADDRESS);
        unsigned size = zeros != 0 ? 1 + (unsigned)__builtin_ctzll(zeros) : 0;
        return size > shift && size < shift + 9 ? leaf(entry & ADDRESS, size, rights)
                                                : (struct decoded){0};
    }
    return next == 0 ? leaf(entry & ADDRESS, shift, rights) : table(entry, next, rights);
}

static struct decoded decode_x86(enum watch_format format, unsigned level, u64 entry)
{
    unsigned shift = watch_entry_shift(format, level);
    u8 rights = WATCH_R | WATCH_W | WATCH_X;
    if (format == WATCH_PAE && level == 3) {
        return (entry & 1) != 0 ? table(entry, 2, rights) : (struct decoded){0};
    }
    if ((entry & 5) != 5) { /* present, user: accesses of guests and devices are users' */
        return (struct decoded){0};
    }
    rights = WATCH_R | (u8)((entry & 2) != 0 ? WATCH_W : 0) |
             (u8)(format != WATCH_X86_32 && entry >> 63 != 0 ? 0 : WATCH_X);
    bool large = level > 1 && (entry & BIT(7)) != 0 && level <= (format == WATCH_X86 ? 3u : 2u);
    if (format == WATCH_X86_32) {
        u64 high = large ? bits_get(entry, 13, 8) << 32 : 0;
        return large || level == 1 ? leaf((entry & (large ? 0xffc00000u : 0xfffff000u)) | high, shift, rights)
                                   : table(entry & 0xfffff000u, 1, rights);
    }
    return large || level == 1 ? leaf(entry & ADDRESS, shift, rights) : table(entry, level - 1, rights);
}

struct decoded watch_decode(enum watch_format format, unsigned level, u64 entry)
{
    unsigned shift = watch_entry_shift(format, level);
    bool large = level > 1 && level <= 3 && (entry & BIT(7)) != 0;
    u8 rights = (u8)(entry & 7);
    switch (format) {
    case WATCH_EPT:
        rights |= (entry & BIT(10)) != 0 ? WATCH_X : 0; /* user execute, with mode-based control */
        if ((entry & 7) == 0) {
            return (struct decoded){0};
        }
        return large || level == 1 ? leaf(entry & ADDRESS, shift, rights)
                                   : table(entry, level - 1, rights);
    case WATCH_VTD:
        rights &= WATCH_R | WATCH_W;
        if (rights == 0) {
            return (struct decoded){0};
        }
        return large || level == 1 ? leaf(entry & ADDRESS, shift, rights)
                                   : table(entry, level - 1, rights);
    case WATCH_AMD:
        return decode_amd(level, entry);
    case WATCH_X86:
    case WATCH_PAE:
    case WATCH_X86_32:
        break;
    }
    return decode_x86(format, level, entry);
}

static bool same(const struct decoded *a, const struct decoded *b)
{
    return a->kind == b->kind && a->rights == b->rights && a->shift == b->shift &&
           a->next_level == b->next_level && a->address == b->address;
}

/* ---- nodes ---- */

static struct node *node_at(const struct watch *w, u32 n)
{
    return pool_at(&w->nodes, n);
}

static struct page *page_at(const struct watch *w, u32 n)
{
    return pool_at(&w->pages, n);
}

static unsigned entry_size(enum watch_format format)
{
    return format == WATCH_X86_32 ? 4 : 8;
}

/* Entries of a node: all of a page but for the four of PAE's top table. */
static unsigned entry_count(const struct watch *w, const struct node *n)
{
    enum watch_format format = w->roots[n->root].tables.format;
    return format == WATCH_PAE && n->level == 3 ? 4 : (unsigned)PAGE_SIZE / entry_size(format);
}

static u64 load_entry(const struct watch *w, const struct node *n, const u8 *bytes, unsigned index)
{
    unsigned size = entry_size(w->roots[n->root].tables.format);
    return load_le(bytes + n->first + (size_t)index * size, size);
}

void watch_mark_page(struct watch *w, u64 frame)
{
    struct page_desc *desc = &w->phys->pages[frame];
    if ((desc->flags & PAGE_TRACKED) == 0) {
        desc->flags |= PAGE_TRACKED;
        w->host.withdraw(w->host.self, frame);
    }
}

static void unmark_page(struct watch *w, u64 frame)
{
    if (w->frames[frame].page == 0 && !w->frames[frame].routes) {
        w->phys->pages[frame].flags &= ~(u32)PAGE_TRACKED;
    }
}

static void add_entry(struct watch *w, u32 node, unsigned index, u64 entry, const struct watch_moment *m);
static void remove_entry(struct watch *w, u32 node, unsigned index, u64 entry);

/* A table at one place; its entries are accounted for. 0: it is not in RAM, or there are too many. */
static u32 build_node(struct watch *w, u32 root, u64 spa, unsigned level, u64 base, u8 rights,
                      const struct watch_moment *m)
{
    u64 frame;
    u8 *host;
    bool writable;
    if (level == 0 || !phys_page(w->phys, SPA(spa), &frame, &host, &writable)) {
        return 0;
    }
    if (!watch_spend(w, root, 512)) {
        return 0;
    }
    u32 page = w->frames[frame].page;
    if (page == 0) {
        page = pool_take(&w->pages);
        w->frames[frame].page = page;
        page_at(w, page)->frame = frame;
        memcpy(page_at(w, page)->shadow, host, PAGE_SIZE);
        watch_mark_page(w, frame);
    }
    u32 n = pool_take(&w->nodes);
    *node_at(w, n) = (struct node){.root = root,
                                   .page = page,
                                   .next_on_page = page_at(w, page)->nodes,
                                   .serial = ++w->serial,
                                   .level = (u8)level,
                                   .rights = rights,
                                   .first = (u16)(level == 3 && w->roots[root].tables.format == WATCH_PAE
                                                      ? spa & 0xfe0
                                                      : 0),
                                   .base = base};
    page_at(w, page)->nodes = n;
    unsigned count = entry_count(w, node_at(w, n));
    for (unsigned i = 0; i < count; i++) {
        u64 entry = load_entry(w, node_at(w, n), page_at(w, page)->shadow, i);
        if (entry != 0) {
            add_entry(w, n, i, entry, m);
        }
    }
    return n;
}

static bool is_pending(const struct node *n, unsigned index)
{
    return n->pending != NULL && (n->pending[index / 64] >> (index % 64) & 1) != 0;
}

static void set_pending(struct watch *w, u32 node, unsigned index, bool on)
{
    struct node *n = node_at(w, node);
    if (n->pending == NULL) {
        n->pending = calloc(16, sizeof *n->pending);
        sim_assert(n->pending != NULL);
    }
    n->pending[index / 64] = bits_set(n->pending[index / 64], index % 64, 1, on ? 1 : 0);
}

static void free_node(struct watch *w, u32 node);

static void drop_node(struct watch *w, u32 node)
{
    struct node *n = node_at(w, node);
    struct page *p = page_at(w, n->page);
    unsigned count = entry_count(w, n);
    for (unsigned i = 0; i < count; i++) {
        u64 entry = load_entry(w, n, p->shadow, i);
        if (entry != 0) {
            remove_entry(w, node, i, entry);
        }
    }
    free_node(w, node);
}

static void free_node(struct watch *w, u32 node)
{
    struct node *n = node_at(w, node);
    struct page *p = page_at(w, n->page);
    u32 *link = &p->nodes;
    while (*link != node) {
        link = &node_at(w, *link)->next_on_page;
    }
    *link = n->next_on_page;
    free(n->child);
    free(n->pending);
    if (p->nodes == 0) {
        u64 frame = p->frame;
        w->frames[frame].page = 0;
        unmark_page(w, frame);
        pool_give(&w->pages, n->page);
    }
    n->serial = 0;
    n->root = 0;
    pool_give(&w->nodes, node);
}

static void add_entry(struct watch *w, u32 node, unsigned index, u64 entry, const struct watch_moment *m)
{
    struct node n = *node_at(w, node);
    enum watch_format format = w->roots[n.root].tables.format;
    struct decoded d = watch_decode(format, n.level, entry);
    u8 rights = d.rights & n.rights;
    if (d.kind == DECODED_NONE || rights == 0 || w->roots[n.root].too_large) {
        return;
    }
    if (d.kind == DECODED_LEAF) {
        /* A page larger than its entry's share (AMD-Vi) is replicated: each entry has its own part. */
        unsigned shift = watch_entry_shift(format, n.level);
        u64 part = d.shift > shift ? ((u64)index << shift) & (BIT(d.shift) - 1) : 0;
        watch_add_pages(w, n.root, d.address + part, BIT(shift), rights, m);
        return;
    }
    u64 base = n.base + ((u64)index << watch_entry_shift(format, n.level));
    u32 child = build_node(w, n.root, d.address, d.next_level, base, rights, m);
    struct node *at = node_at(w, node); /* records may have moved */
    if (child != 0) {
        if (at->child == NULL) {
            at->child = calloc(1024, sizeof *at->child);
            sim_assert(at->child != NULL);
        }
        at->child[index] = child;
    }
}

static void remove_entry(struct watch *w, u32 node, unsigned index, u64 entry)
{
    struct node *n = node_at(w, node);
    if (is_pending(n, index)) {
        set_pending(w, node, index, false);
        return;
    }
    enum watch_format format = w->roots[n->root].tables.format;
    struct decoded d = watch_decode(format, n->level, entry);
    u8 rights = d.rights & n->rights;
    if (d.kind == DECODED_NONE || rights == 0 || w->roots[n->root].too_large) {
        return;
    }
    if (d.kind == DECODED_LEAF) {
        unsigned shift = watch_entry_shift(format, n->level);
        u64 part = d.shift > shift ? ((u64)index << shift) & (BIT(d.shift) - 1) : 0;
        watch_remove_pages(w, n->root, d.address + part, BIT(shift), rights);
    } else if (n->child != NULL && n->child[index] != 0) {
        u32 child = n->child[index];
        n->child[index] = 0;
        drop_node(w, child);
    }
}

/* ---- too much ----
 *
 * Tables are hostile input: entries that lead back to their own table, or all to one, are a tree of more
 * nodes than memory holds. An event may cause so much work; a root that wants more is given up: reported,
 * and not followed until its guest comes with other tables. */

void watch_begin_work(struct watch *w, const struct watch_moment *m)
{
    w->working = true;
    w->at = *m;
    w->work = WATCH_WORK(w->phys->page_count);
}

bool watch_spend(struct watch *w, u32 root, u64 work)
{
    struct root *r = &w->roots[root];
    if (w->work < work || r->too_large) {
        r->too_large = true;
        w->exhausted = true;
        return false;
    }
    w->work -= work;
    return true;
}

static void give_up(struct watch *w, u32 root)
{
    for (u32 i = 1; i < w->nodes.count; i++) {
        struct node *n = node_at(w, i);
        if (n->serial != 0 && n->root == root) {
            free_node(w, i);
        }
    }
    watch_disown(w, root);
    w->roots[root].node = 0;
    w->roots[root].given_up = true;
    log_line(w->log, LOG_WATCH, "tables at %#llx are a tree too large to follow",
             (unsigned long long)w->roots[root].tables.table);
}

void watch_end_work(struct watch *w)
{
    w->working = false;
    watch_tell_reach(w);
    if (!w->exhausted) {
        return;
    }
    w->exhausted = false;
    for (u32 i = 1; i <= w->root_count; i++) {
        if (w->roots[i].too_large && !w->roots[i].given_up) {
            give_up(w, i);
        }
    }
}

/* ---- roots ---- */

bool watch_translate(const struct watch *w, u32 root, u64 address, u64 *spa)
{
    struct watch_tables t = w->roots[root].tables;
    unsigned size = entry_size(t.format), level = t.levels;
    u64 at = t.table;
    while (level > 0) {
        unsigned shift = watch_entry_shift(t.format, level);
        u64 frame, index = (address >> shift) & (t.format == WATCH_X86_32 ? 0x3ff : t.format == WATCH_PAE && level == 3 ? 3 : 0x1ff);
        u8 *host;
        bool writable;
        if (!phys_page(w->phys, SPA(at + index * size), &frame, &host, &writable)) {
            return false;
        }
        struct decoded d = watch_decode(t.format, level, load_le(host + ((at + index * size) & PAGE_MASK), size));
        if (d.kind == DECODED_LEAF) {
            *spa = d.address + (address & (BIT(d.shift) - 1));
            return true;
        }
        if (d.kind == DECODED_NONE || d.next_level >= level) {
            return false;
        }
        at = d.address;
        level = d.next_level;
    }
    return false;
}

void watch_root_build(struct watch *w, u32 root, const struct watch_moment *m)
{
    struct watch_tables t = w->roots[root].tables;
    w->roots[root].live = true;
    u32 node = build_node(w, root, t.table, t.levels, 0, w->roots[root].rights, m);
    w->roots[root].node = node;
}

void watch_root_drop(struct watch *w, u32 root)
{
    struct root *r = &w->roots[root];
    if (r->node != 0) {
        u32 node = r->node;
        r->node = 0;
        drop_node(w, node);
    }
    r = &w->roots[root];
    free(r->pending);
    free(r->open);
    r->pending = NULL;
    r->open = NULL;
    r->pending_count = r->pending_cap = r->open_count = r->open_cap = 0;
    r->live = false;
}

/* For the trace, when a change begins to count. */
static void tell_change(const struct watch *w, u32 node, unsigned index, u64 before, u64 now, const struct watch_moment *m)
{
    static const char *const formats[] = {[WATCH_EPT] = "EPT",        [WATCH_X86] = "nested tables", [WATCH_PAE] = "PAE tables",
                                          [WATCH_X86_32] = "32-bit tables", [WATCH_VTD] = "VT-d tables",
                                          [WATCH_AMD] = "AMD-Vi tables"};
    char who[32], text[80];
    if (!trace_on(w->trace, TRACE_CLASS_TABLE)) {
        return;
    }
    const struct node *n = node_at(w, node);
    enum watch_format format = w->roots[n->root].tables.format;
    u64 entry = phys_spa_of_frame(w->phys, page_at(w, n->page)->frame) + n->first + (u64)index * entry_size(format);
    watch_name_root(w, n->root, who, sizeof who);
    int size = snprintf(text, sizeof text, "%s of %s, level %u", formats[format], who, n->level);
    trace_table_change(w->trace, m->cpu, entry, before, now, m->position, m->rip, text, (u32)size);
}

void watch_root_used(struct watch *w, u32 root)
{
    struct root *r = &w->roots[root];
    for (u32 i = 0; i < r->pending_count; i++) {
        struct pending p = r->pending[i];
        struct node *n = p.node < w->nodes.count ? node_at(w, p.node) : NULL;
        if (n == NULL || n->serial != p.serial || !is_pending(n, p.index)) {
            continue;
        }
        set_pending(w, p.node, p.index, false);
        u64 entry = load_entry(w, n, page_at(w, n->page)->shadow, p.index);
        tell_change(w, p.node, p.index, 0, entry, &p.moment);
        add_entry(w, p.node, p.index, entry, &p.moment);
        r = &w->roots[root];
    }
    r->pending_count = 0;
    watch_open_shares_used(w, root);
}

static void wait_for_use(struct watch *w, u32 node, unsigned index, const struct watch_moment *m)
{
    struct root *r = &w->roots[node_at(w, node)->root];
    if (r->pending_count == r->pending_cap) {
        r->pending_cap = r->pending_cap == 0 ? 64 : 2 * r->pending_cap;
        r->pending = realloc(r->pending, r->pending_cap * sizeof *r->pending);
        sim_assert(r->pending != NULL);
    }
    set_pending(w, node, index, true);
    r->pending[r->pending_count++] = (struct pending){
        .node = node, .serial = node_at(w, node)->serial, .index = index, .moment = *m};
}

/* One entry of one node changed. */
static void entry_changed(struct watch *w, u32 node, unsigned index, u64 before, u64 now,
                          const struct watch_moment *m)
{
    const struct node *n = node_at(w, node);
    u32 root = n->root;
    enum watch_format format = w->roots[root].tables.format;
    struct decoded old = watch_decode(format, n->level, before);
    struct decoded new = watch_decode(format, n->level, now);
    if (same(&old, &new)) {
        return;
    }
    bool in_use = w->roots[root].in_use != 0;
    if (in_use || (old.kind != DECODED_NONE && !is_pending(n, index))) {
        tell_change(w, node, index, before, in_use ? now : 0, m);
    }
    remove_entry(w, node, index, before);
    if (new.kind == DECODED_NONE) {
        return;
    }
    if (in_use) {
        add_entry(w, node, index, now, m);
    } else {
        wait_for_use(w, node, index, m);
    }
}

static void account(struct watch *w, u64 frame, u64 offset, u64 size, const struct watch_moment *m)
{
    u32 page = w->frames[frame].page;
    const u8 *host = phys_frame_host(w->phys, frame);
    u64 first = align_down(offset, 8), last = align_up(offset + size, 8);
    for (u64 at = first; at < last && page != 0; at += 8) {
        u8 before[8], now[8];
        memcpy(before, page_at(w, page)->shadow + at, 8);
        memcpy(now, host + at, 8);
        if (memcmp(before, now, 8) == 0) {
            continue;
        }
        /* A change may drop this page's other places, or add some; those it adds read the new entry. */
        u32 node = page_at(w, page)->nodes;
        while (node != 0) {
            u32 serial = node_at(w, node)->serial;
            unsigned es = entry_size(w->roots[node_at(w, node)->root].tables.format);
            u32 next = node_at(w, node)->next_on_page;
            u64 lo = node_at(w, node)->first, hi = lo + (u64)es * entry_count(w, node_at(w, node));
            for (unsigned k = 0; k < 8 && at + k >= lo && at + k < hi; k += es) {
                if (node_at(w, node)->serial == serial) {
                    entry_changed(w, node, (unsigned)((at + k - lo) / es), load_le(before + k, es),
                                  load_le(now + k, es), m);
                }
            }
            node = next != 0 && node_at(w, next)->serial != 0 && node_at(w, next)->page == page ? next : 0;
        }
        page = w->frames[frame].page;
        if (page != 0) {
            memcpy(page_at(w, page)->shadow + at, now, 8);
        }
    }
}

static void retire_idle_roots(struct watch *w)
{
    for (u32 i = 1; i <= w->root_count; i++) {
        struct root *r = &w->roots[i];
        if (r->live && r->in_use == 0 && r->pending_count > WATCH_PENDING_MAX) {
            watch_root_drop(w, i);
        }
    }
}

void watch_settle(struct watch *w)
{
    if (!w->written) {
        watch_tell_reach(w);
        return;
    }
    w->written = false;
    watch_begin_work(w, &w->written_at);
    account(w, w->written_frame, w->written_offset, w->written_size, &w->written_at);
    retire_idle_roots(w);
    watch_end_work(w);
}

void watch_before_write(struct watch *w, u64 frame, u64 offset, u64 size)
{
    watch_settle(w);
    if (w->frames[frame].routes) {
        w->routes_stale = true;
    }
    if (w->frames[frame].page != 0) {
        w->written = true;
        w->written_frame = frame;
        w->written_offset = offset;
        w->written_size = size;
        w->host.now(w->host.self, &w->written_at);
        w->written_at.granted = watch_maps_grant(w, w->written_at.cpu);
    }
}
