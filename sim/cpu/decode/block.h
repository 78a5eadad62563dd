/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decoded blocks, shared by all processors of a machine.
 *
 * Key: system-physical address, linear address, mode word. A block has at most BLOCK_MAX ops and
 * ends at a control transfer, at an instruction that may change mode, translation or interrupt
 * state, and at the page's end. An instruction that straddles two pages is a block of its own. */
#ifndef VITRINE_CPU_DECODE_BLOCK_H
#define VITRINE_CPU_DECODE_BLOCK_H

#include "cpu/cpu.h"
#include "cpu/decode/decode.h"

#define BLOCK_BITS 6
#define BLOCK_MAX (1 << BLOCK_BITS)
#define BLOCK_DEAD_MODE 0xffffffffu

struct block {
    u64 spa;
    u64 lin;
    u32 mode;  /* mode_bits, or BLOCK_DEAD_MODE once invalidated */
    u16 count; /* ops */
    u16 bytes;
    u64 frame[2];     /* page frames of its first and last byte; equal but for straddlers */
    u32 page_next[2]; /* next block of each frame's list; 0 ends */
    u32 hash_next;
    u32 flags;
    /* Successors in the same page: [0] behind the last op, [1] elsewhere. They need no translation of their own;
     * a dead one no longer matches. Derived, host-side. */
    struct block *link[2];
    const u8 *code; /* the translator's: code for it, or NULL */
    u32 heat;       /* times it was interpreted */
    u32 jit;        /* the translation's number */
    u32 paths;      /* other translations that run through it: the translator's list */
    struct insn ops[];
};

enum block_flag { BLOCK_STRADDLES = 1, BLOCK_LAST_JUMPS = 2 };

struct code_cache {
    struct decoder *decoder;
    u8 *arena;
    u32 used, size;   /* in units of 32 bytes; unit 0 is never used */
    u32 *hash;        /* heads */
    u32 hash_mask;
    u64 flushes;
    u64 decoded, invalidated; /* figures */
    /* The translator wants to know when a block that it has a part in dies, and when all are forgotten; may be NULL. */
    void (*killed)(void *self, struct block *b);
    void (*flushed)(void *self);
    void *self;
};

bool code_cache_init(struct code_cache *cc, const struct cpu_model *model, u64 bytes);
void code_cache_free(struct code_cache *cc);

static inline struct block *block_at(const struct code_cache *cc, u32 unit)
{
    return (struct block *)(void *)(cc->arena + (u64)unit * 32);
}

/* For other engines (cpu/interp.c): the block at RIP by the jump cache or block_find(); run a block, or
 * as much of it as counts are left; run its first ops. */
struct block *interp_next_block(struct cpu *cpu);
cpu_rc interp_run_block(struct cpu *cpu, const struct block *b) MUST_USE;
cpu_rc interp_run_ops(struct cpu *cpu, const struct block *b, unsigned ops) MUST_USE;

/* The block at the processor's RIP, decoded if need be. NULL: fetching faulted, cpu->event says how; or a stop
 * point (d.at_stop). */
struct block *block_find(struct cpu *cpu);
/* The block with this key if it is there already, else NULL; nothing changes. */
struct block *code_peek(const struct code_cache *cc, u64 spa, u64 lin, u32 mode);

/* Bytes [offset, offset+size) of a frame are about to change: kill the blocks that hold them and leave
 * the running block of every processor in the set. */
void code_invalidate(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size);
/* Forget everything. */
void code_flush(struct cpu_set *set, struct phys *phys);

/* Jump cache lines of one linear page. */
#define JUMP_LINES 16384
#define JUMP_LINES_OF_PAGE 256
static inline unsigned jump_line(u64 lin)
{
    return (unsigned)((lin ^ (lin & 255) << 4) >> 4) & (JUMP_LINES - 1); /* jit: emit_jump_line() computes the same */
}

#endif
