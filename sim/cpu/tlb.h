/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cached translations and the bookkeeping that keeps them coherent with the tables.
 *
 * Each processor has TLB_CONTEXTS contexts: tables of fast entries for one ctx_key. Each walk that
 * fills an entry records, for every table page it went through, a use {context, level, linear base
 * of that table} with the page's descriptor; a store to the page then drops just what derives from
 * the stored entries. Nothing here can be seen by a guest. */
#ifndef VITRINE_CPU_TLB_H
#define VITRINE_CPU_TLB_H

#include "cpu/mem.h"
#include "mmu/walk.h"

struct table_use {
    u64 base;       /* first linear address that the table maps */
    u32 next;       /* in the page's list; 0 ends */
    u32 generation; /* of the context when recorded */
    u8 cpu, ctx, level, shift; /* shift: log2 of the bytes one entry of this table maps */
};

/* table_use.level of a second-level table: a changed entry drops the whole context. */
#define TLB_LEVEL_NESTED 0xff

/* What a walk's root depends on without guests and PAE. */
struct tlb_registers {
    u64 cr0, cr3, cr4, efer, pkrs, pkru;
};

struct tlb {
    struct tlb_ctx ctx[TLB_CONTEXTS];
    u64 clock; /* for recycling the least recently used */
    u8 hint[8]; /* contexts found last, by the kind of key */
    struct walk_root root; /* when the context was selected, with these registers */
    struct tlb_registers root_of;
    /* What tlb_select_context() found with these registers, by what else it looks at; outside of guests. */
    struct {
        struct tlb_ctx *ctx, *sys_ctx;
        u64 epoch; /* good while it is `epoch` */
    } found[8];
    u64 epoch; /* 0: none is good */
    u64 epochs;
};

/* Shared by the processors of a set (cpu_set.uses). */
struct use_pool {
    struct table_use *use; /* entry 0 is not used */
    u32 count, cap, free;
};

bool use_pool_init(struct use_pool *pool);
void use_pool_free(struct use_pool *pool);

/* Fill the fast entry of lin's page. host: the page's bytes. */
void tlb_fill(struct cpu *cpu, struct tlb_ctx *ctx, u64 lin, u8 *host, unsigned access);
/* Record that translating lin in ctx went through the table page `frame` at `level`. */
void tlb_note_use(struct cpu *cpu, const struct tlb_ctx *ctx, u64 frame, unsigned level,
                  unsigned shift, u64 base);
/* Drop the write entries that reach a frame, on all processors: its page flags changed. */
void tlb_withdraw_write(struct cpu_set *set, u64 frame);
/* Between slices: no page counts as written any more. Drops every fast write entry, so that the next
 * write to each page is noticed. */
void tlb_start_epoch(struct cpu_set *set, struct phys *phys);
/* Entries of a live table page are about to change. entry_size: bytes of the store from offset on. */
void tlb_table_write(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size);
/* How the processor's registers say that linear addresses are translated now. */
void walk_root_of(const struct cpu *cpu, struct walk_root *root);
/* The same, from what tlb_select_context() found if that still holds. */
void tlb_walk_root(const struct cpu *cpu, struct walk_root *root);
/* Forget the jump caches (blocks were flushed). */
void tlb_clear_jumps(struct cpu *cpu);
/* Forget where translated code goes on (translations were). */
void tlb_clear_targets(struct cpu *cpu);

#endif
