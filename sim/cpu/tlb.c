/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/tlb.h"

#include "base/assert.h"
#include "base/hash.h"
#include "cpu/decode/block.h"
#include "cpu/virt.h"

#include <stdlib.h>
#include <string.h>

bool use_pool_init(struct use_pool *pool)
{
    *pool = (struct use_pool){.count = 1, .cap = 1024};
    pool->use = calloc(pool->cap, sizeof *pool->use);
    return pool->use != NULL;
}

void use_pool_free(struct use_pool *pool)
{
    free(pool->use);
    memset(pool, 0, sizeof *pool);
}

static u32 use_take(struct use_pool *pool)
{
    if (pool->free != 0) {
        u32 n = pool->free;
        pool->free = pool->use[n].next;
        return n;
    }
    if (pool->count == pool->cap) {
        struct table_use *grown = realloc(pool->use, 2 * (size_t)pool->cap * sizeof *grown);
        sim_assert(grown != NULL);
        pool->use = grown;
        pool->cap *= 2;
    }
    return pool->count++;
}

/* The tag that cannot hit in slot `slot`: a page whose own slot is the neighbour's. */
static u64 empty_tag(const struct tlb_ctx *ctx, u64 slot)
{
    return ((slot ^ 1) & ctx->mask) << PAGE_SHIFT;
}

enum { TABLE_RD, TABLE_WR, TABLE_EX, TABLES };

static struct tlb_entry *table_of(const struct tlb_ctx *ctx, unsigned table)
{
    return ctx->rd + table * (ctx->mask + 1);
}

static void empty_slot(struct tlb_ctx *ctx, unsigned table, u64 slot)
{
    table_of(ctx, table)[slot] = (struct tlb_entry){.page = empty_tag(ctx, slot)};
    u64 *word = &ctx->used[table][slot / 64];
    *word &= ~BIT(slot % 64);
    if (*word == 0) {
        ctx->used_words[table] &= ~BIT(slot / 64);
    }
}

/* Slots of a table that hold something, word by word: many operations meet an almost empty table. */
static void clear_table(struct tlb_ctx *ctx, unsigned table)
{
    _Static_assert(TLB_ENTRIES_MAX / 64 <= 64, "bits of used_words");
    for (u64 words = ctx->used_words[table]; words != 0; words &= words - 1) {
        u64 word = (u64)__builtin_ctzll(words);
        for (u64 left = ctx->used[table][word]; left != 0; left &= left - 1) {
            empty_slot(ctx, table, 64 * word + (unsigned)__builtin_ctzll(left));
        }
    }
}

static void clear_targets(struct tlb_ctx *ctx)
{
    struct jump_targets *t = ctx->target;
    if (t->used == 0) {
        return;
    }
    for (u64 left = t->used; left != 0; left &= left - 1) {
        memset(&t->line[64 * (size_t)__builtin_ctzll(left)], 0, 64 * sizeof t->line[0]);
    }
    t->line[0].lin = 1;
    t->used = 0;
    memset(t->pages, 0, sizeof t->pages);
}

static void clear_jumps(struct tlb_ctx *ctx)
{
    clear_targets(ctx);
    for (unsigned group = 0; group < ARRAY_LEN(ctx->jump_used); group++) {
        if (ctx->jump_used[group] != 0) {
            memset(&ctx->jump[(size_t)64 * group], 0, 64 * sizeof *ctx->jump);
            ctx->jump_used[group] = 0;
        }
    }
}

static void clear_context(struct tlb_ctx *ctx)
{
    for (unsigned table = 0; table < TABLES; table++) {
        clear_table(ctx, table);
    }
    clear_jumps(ctx);
    ctx->generation++;
}

bool tlb_init(struct cpu *cpu, u64 entries)
{
    sim_assert(is_power_of_2(entries) && entries >= 2 && entries <= TLB_ENTRIES_MAX);
    cpu->tlb = calloc(1, sizeof *cpu->tlb);
    if (cpu->tlb == NULL) {
        return false;
    }
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *ctx = &cpu->tlb->ctx[i];
        ctx->id = i;
        ctx->mask = entries - 1;
        ctx->rd = calloc(1, TABLES * entries * sizeof *ctx->rd + JUMP_LINES * sizeof *ctx->jump + sizeof *ctx->target);
        if (ctx->rd == NULL) {
            return false;
        }
        ctx->jump = (struct block **)(void *)(ctx->rd + TABLES * entries);
        ctx->target = (struct jump_targets *)(void *)(ctx->jump + JUMP_LINES);
        ctx->target->line[0].lin = 1;
        ctx->wr = ctx->rd + entries;
        ctx->ex = ctx->wr + entries;
        for (u64 slot = 0; slot < TABLES * entries; slot++) {
            empty_slot(ctx, (unsigned)(slot / entries), slot % entries);
        }
        clear_context(ctx);
    }
    cpu->d.ctx = &cpu->tlb->ctx[0];
    cpu->d.sys_ctx = &cpu->tlb->ctx[0];
    return true;
}

void tlb_free(struct cpu *cpu)
{
    if (cpu->tlb != NULL) {
        for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
            free(cpu->tlb->ctx[i].rd);
        }
        free(cpu->tlb);
        cpu->tlb = NULL;
    }
}

void tlb_drop_all(struct cpu *cpu)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        if (cpu->tlb->ctx[i].live) {
            clear_context(&cpu->tlb->ctx[i]);
        }
    }
    cpu->d.vmcs_host = NULL;
    cpu_leave_block(cpu);
}

void tlb_clear_targets(struct cpu *cpu)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        clear_targets(&cpu->tlb->ctx[i]);
    }
}

void tlb_clear_jumps(struct cpu *cpu)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        clear_jumps(&cpu->tlb->ctx[i]);
    }
}

/* A context has become another's, or registers have changed. */
static void forget_found(struct tlb *tlb)
{
    tlb->epoch = ++tlb->epochs;
}

static struct tlb_ctx *find_context(struct cpu *cpu, const struct ctx_key *key, bool no_fast,
                                    const struct tlb_ctx *keep)
{
    struct tlb *tlb = cpu->tlb;
    struct tlb_ctx *oldest = NULL;
    tlb->clock++;
    /* The last one of this kind: levels alternate. */
    u8 *hint = &tlb->hint[(key->bits >> 3 & 3) | (no_fast ? 4u : 0u)];
    struct tlb_ctx *last = &tlb->ctx[*hint];
    if (LIKELY(last->live && last->no_fast == no_fast && memcmp(&last->key, key, sizeof *key) == 0)) {
        last->last_used = tlb->clock;
        return last;
    }
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *c = &tlb->ctx[i];
        if (c->live && c->no_fast == no_fast && c->key.bits == key->bits && c->key.root == key->root &&
            memcmp(&c->key, key, sizeof *key) == 0) {
            c->last_used = tlb->clock;
            *hint = (u8)i;
            return c;
        }
        if (c != keep && (oldest == NULL || c->last_used < oldest->last_used)) {
            oldest = c;
        }
    }
    if (oldest->live) {
        clear_context(oldest);
    }
    forget_found(tlb);
    oldest->live = true;
    oldest->key = *key;
    oldest->no_fast = no_fast;
    oldest->last_used = tlb->clock;
    *hint = (u8)oldest->id;
    return oldest;
}

static struct tlb_registers registers_of(const struct cpu *cpu)
{
    const struct cpu_arch *a = &cpu->arch;
    return (struct tlb_registers){a->cr0, a->cr3, a->cr4, a->efer, a->pkrs, a->pkru};
}

void tlb_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    const struct tlb *tlb = cpu->tlb;
    struct tlb_registers now = registers_of(cpu);
    if (in_guest(cpu) || tlb->root.mode == PAGING_PAE || tlb->root.nested.kind != NESTED_NONE ||
        memcmp(&now, &tlb->root_of, sizeof now) != 0) {
        walk_root_of(cpu, root);
    } else {
        *root = tlb->root;
    }
}

/* Bits of ctx_key.bits. */
enum {
    KEY_MODE = 7,
    KEY_USER = 1 << 3,
    KEY_AC = 1 << 4,
    KEY_WALK_SHIFT = 8, /* walk_flag bits */
};

static void select_slowly(struct cpu *cpu)
{
    struct walk_root *kept = &cpu->tlb->root, root;
    walk_root_of(cpu, &root);
    *kept = root;
    cpu->tlb->root_of = registers_of(cpu);
    struct ctx_key key;
    memset(&key, 0, sizeof key);
    key.root = root.mode == PAGING_NONE || root.mode == PAGING_PAE ? 0 : root.table;
    if (root.mode == PAGING_PAE) {
        memcpy(key.pdpte, root.pdpte, sizeof key.pdpte);
    }
    bool user = cpu->d.cpl == 3;
    bool smap_open = !user && (root.flags & WALK_SMAP) != 0 && (cpu->arch.rflags & RFLAGS_AC) != 0;
    key.nested = root.nested.kind != NESTED_NONE ? root.nested.table | (u64)root.nested.kind : 0;
    key.nested_aux = (u64)root.nested.flags << 32 | root.nested.mode;
    key.apic_page = in_guest(cpu) ? virt_apic_page(cpu, &key.apic_bar) : 0;
    key.bits = (u32)root.mode | root.flags << KEY_WALK_SHIFT;
    u32 side = (user ? KEY_USER : 0u) | (smap_open ? KEY_AC : 0u);
    /* Which protection-key register matters depends on the page; both belong to the key. */
    key.pkr = (root.flags & WALK_PKE) != 0 ? root.pkru : 0;
    key.pad = (root.flags & WALK_PKS) != 0 ? root.pkrs : 0;
    struct ctx_key sys = key;
    key.bits |= side;
    bool align = user && (cpu->arch.cr0 & CR0_AM) != 0 && (cpu->arch.rflags & RFLAGS_AC) != 0;
    bool no_fast = align || cpu->d.data_breaks;
    cpu->d.ctx = find_context(cpu, &key, no_fast, NULL);
    cpu->d.sys_ctx = cpu->d.ctx;
    if (side != 0 || no_fast) {
        cpu->d.sys_ctx = find_context(cpu, &sys, false, cpu->d.ctx);
    }
}

/* Levels alternate with nothing else changed: a system call and its return, an interrupt. */
void tlb_select_context(struct cpu *cpu)
{
    struct tlb *tlb = cpu->tlb;
    struct tlb_registers now = registers_of(cpu);
    unsigned kind = (cpu->d.cpl == 3 ? 1u : 0u) | ((cpu->arch.rflags & RFLAGS_AC) != 0 ? 2u : 0u) |
                    (cpu->d.data_breaks ? 4u : 0u);
    bool plain = !in_guest(cpu) && tlb->epoch != 0 && memcmp(&now, &tlb->root_of, sizeof now) == 0;
    if (LIKELY(plain && tlb->found[kind].epoch == tlb->epoch)) {
        cpu->d.ctx = tlb->found[kind].ctx;
        cpu->d.sys_ctx = tlb->found[kind].sys_ctx;
        cpu->d.ctx->last_used = cpu->d.sys_ctx->last_used = ++tlb->clock;
        return;
    }
    if (!plain) {
        forget_found(tlb);
    }
    select_slowly(cpu);
    if (in_guest(cpu) || tlb->root.mode == PAGING_PAE) {
        tlb->epoch = 0;
    } else {
        tlb->found[kind].ctx = cpu->d.ctx;
        tlb->found[kind].sys_ctx = cpu->d.sys_ctx;
        tlb->found[kind].epoch = tlb->epoch;
    }
}

void tlb_fill(struct cpu *cpu, struct tlb_ctx *ctx, u64 lin, u8 *host, unsigned access)
{
    UNUSED(cpu);
    u64 page = lin & ~PAGE_MASK;
    struct tlb_entry e = {.page = page, .host = host};
    u64 slot = tlb_slot(ctx, lin);
    if ((access & ACCESS_EXEC) == 0 && ctx->no_fast) {
        return;
    }
    unsigned table = (access & ACCESS_EXEC) != 0 ? TABLE_EX : (access & ACCESS_WRITE) != 0 ? TABLE_WR : TABLE_RD;
    table_of(ctx, table)[slot] = e;
    ctx->used[table][slot / 64] |= BIT(slot % 64);
    ctx->used_words[table] |= BIT(slot / 64);
}

static bool use_is_stale(const struct cpu_set *set, const struct table_use *u)
{
    return set->cpu[u->cpu]->tlb->ctx[u->ctx].generation != u->generation;
}

static void free_use(struct use_pool *pool, u32 *link)
{
    u32 dead = *link;
    *link = pool->use[dead].next;
    pool->use[dead].next = pool->free;
    pool->free = dead;
}

void tlb_note_use(struct cpu *cpu, const struct tlb_ctx *ctx, u64 frame, unsigned level,
                  unsigned shift, u64 base)
{
    struct use_pool *pool = cpu->set->uses;
    struct page_desc *page = &cpu->phys->pages[frame];
    u32 *link = &page->uses;
    while (*link != 0) {
        struct table_use *u = &pool->use[*link];
        if (u->cpu == cpu->index && u->ctx == ctx->id && u->generation == ctx->generation &&
            u->level == level && u->base == base) {
            return;
        }
        if (use_is_stale(cpu->set, u)) {
            free_use(pool, link);
        } else {
            link = &u->next;
        }
    }
    u32 n = use_take(pool);
    pool->use[n] = (struct table_use){.base = base,
                                      .next = page->uses,
                                      .generation = ctx->generation,
                                      .cpu = (u8)cpu->index,
                                      .ctx = (u8)ctx->id,
                                      .level = (u8)level,
                                      .shift = (u8)shift};
    page->uses = n;
    if ((page->flags & PAGE_IS_TABLE) == 0) {
        page->flags |= PAGE_IS_TABLE;
        tlb_withdraw_write(cpu->set, frame);
    }
}

void tlb_withdraw_write(struct cpu_set *set, u64 frame)
{
    const u8 *host = phys_frame_host(set->cpu[0]->phys, frame);
    for (unsigned c = 0; c < set->count; c++) {
        for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
            struct tlb_ctx *ctx = &set->cpu[c]->tlb->ctx[i];
            for (u64 words = ctx->live ? ctx->used_words[TABLE_WR] : 0; words != 0; words &= words - 1) {
                u64 word = (u64)__builtin_ctzll(words);
                for (u64 left = ctx->used[TABLE_WR][word]; left != 0; left &= left - 1) {
                    u64 s = 64 * word + (unsigned)__builtin_ctzll(left);
                    if (ctx->wr[s].host == host) {
                        empty_slot(ctx, TABLE_WR, s);
                    }
                }
            }
        }
    }
}

void tlb_start_epoch(struct cpu_set *set, struct phys *phys)
{
    for (unsigned c = 0; c < set->count; c++) {
        for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
            struct tlb_ctx *ctx = &set->cpu[c]->tlb->ctx[i];
            if (ctx->live) {
                clear_table(ctx, TABLE_WR);
            }
        }
    }
    phys_start_epoch(phys);
}

static void drop_entry(struct tlb_ctx *ctx, unsigned table, u64 slot, u64 first, u64 last)
{
    const struct tlb_entry *e = &table_of(ctx, table)[slot];
    if (e->host != NULL && e->page >= first && e->page <= last) {
        empty_slot(ctx, table, slot);
    }
}

static void drop_jumps(struct tlb_ctx *ctx, u64 page)
{
    u64 bit = page >> PAGE_SHIFT & (JUMP_TARGETS - 1);
    if ((ctx->target->pages[bit / 32] >> (bit % 32) & 1) != 0) {
        clear_targets(ctx);
    }
    unsigned first = jump_line(page) / JUMP_LINES_OF_PAGE * JUMP_LINES_OF_PAGE / 64;
    for (unsigned group = first; group < first + JUMP_LINES_OF_PAGE / 64; group++) {
        struct block **line = &ctx->jump[(size_t)64 * group];
        for (u64 left = ctx->jump_used[group]; left != 0; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);
            if (line[i] != NULL && (line[i]->lin & ~PAGE_MASK) == page) {
                line[i] = NULL;
                ctx->jump_used[group] &= ~BIT(i);
            }
        }
    }
}

/* Drop what maps linear first..last (inclusive, page aligned first). */
static void drop_range(struct cpu *cpu, struct tlb_ctx *ctx, u64 first, u64 last)
{
    u64 pages = ((last - first) >> PAGE_SHIFT) + 1;
    if (pages <= ctx->mask) {
        for (u64 lin = first; pages > 0; pages--, lin += PAGE_SIZE) {
            u64 slot = tlb_slot(ctx, lin);
            for (unsigned table = 0; table < TABLES; table++) {
                drop_entry(ctx, table, slot, lin, lin);
            }
            drop_jumps(ctx, lin);
        }
    } else {
        for (unsigned table = 0; table < TABLES; table++) {
            for (u64 words = ctx->used_words[table]; words != 0; words &= words - 1) {
                u64 word = (u64)__builtin_ctzll(words);
                for (u64 left = ctx->used[table][word]; left != 0; left &= left - 1) {
                    drop_entry(ctx, table, 64 * word + (unsigned)__builtin_ctzll(left), first, last);
                }
            }
        }
        clear_jumps(ctx);
    }
    cpu_leave_block(cpu);
}

/* The table that an entry at `level` led to no longer serves the range from `base` on in this context: its page
 * may become ordinary memory, whose stores should be fast again. */
static void forget_child(struct cpu_set *set, struct phys *phys, const struct table_use *parent, u64 entry,
                         u64 base)
{
    u64 frame;
    u8 *host;
    bool writable;
    const struct tlb_ctx *ctx = &set->cpu[parent->cpu]->tlb->ctx[parent->ctx];
    bool leaf = ctx->key.nested != 0 || /* its address is not system-physical: leave it */
                parent->level == 1 || (parent->level <= 3 && (entry & 0x80) != 0);
    if (leaf || !phys_page(phys, SPA(entry & 0x000ffffffffff000u), &frame, &host, &writable)) {
        return;
    }
    struct page_desc *page = &phys->pages[frame];
    u32 *link = &page->uses;
    while (*link != 0) {
        struct table_use *u = &set->uses->use[*link];
        if (use_is_stale(set, u) || (u->cpu == parent->cpu && u->ctx == parent->ctx && u->base == base &&
                                     u->level < parent->level)) {
            free_use(set->uses, link);
        } else {
            link = &u->next;
        }
    }
    if (page->uses == 0) {
        page->flags &= ~(u32)PAGE_IS_TABLE;
    }
}

/* A store to the top table of a context that no processor is in: most likely the table has been freed, and its page is
 * on its way to becoming something else. Then nothing of the context is worth keeping, least of all the slow stores. */
static bool is_abandoned(const struct cpu *cpu, const struct tlb_ctx *ctx, const struct table_use *u)
{
    unsigned mode = ctx->key.bits & KEY_MODE;
    unsigned top = mode == PAGING_4LEVEL ? 4 : mode == PAGING_5LEVEL ? 5 : 0;
    return u->level == top && top != 0 && cpu->d.ctx != ctx && cpu->d.sys_ctx != ctx;
}

void tlb_table_write(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size)
{
    struct use_pool *pool = set->uses;
    struct page_desc *page = &phys->pages[frame];
    const u8 *host = phys_frame_host(phys, frame);
    u32 *link = &page->uses;
    while (*link != 0) {
        struct table_use *u = &pool->use[*link];
        if (use_is_stale(set, u)) {
            free_use(pool, link);
            continue;
        }
        struct cpu *cpu = set->cpu[u->cpu];
        struct tlb_ctx *ctx = &cpu->tlb->ctx[u->ctx];
        if (u->level == TLB_LEVEL_NESTED) {
            bool live = false;
            for (u64 at = align_down(offset, 8); at < offset + size; at += 8) {
                live = live || (host[at] & 7) != 0; /* present (NPT), or any right (EPT) */
            }
            if (live) {
                clear_context(ctx); /* this use is stale now: dropped in the next round */
                cpu_leave_block(cpu);
                continue;
            }
            link = &u->next;
            continue;
        }
        if (is_abandoned(cpu, ctx, u)) {
            clear_context(ctx);
            ctx->live = false;
            forget_found(cpu->tlb);
            continue; /* stale now */
        }
        unsigned entry_size = (ctx->key.bits & KEY_MODE) == PAGING_32 ? 4 : 8;
        for (u64 at = align_down(offset, entry_size); at < offset + size; at += entry_size) {
            if ((host[at] & 1) == 0) {
                continue; /* not present before: nothing derives from it */
            }
            u64 first = u->base + ((at / entry_size) << u->shift);
            drop_range(cpu, ctx, first, first + (((u64)1 << u->shift) - 1));
            u64 entry = load_le(host + at, entry_size);
            if (ctx->key.nested == 0) { /* a guest's entries hold guest-physical addresses */
                forget_child(set, phys, u, entry, first);
            }
        }
        link = &u->next;
    }
    if (page->uses == 0) {
        page->flags &= ~(u32)PAGE_IS_TABLE;
    }
}
