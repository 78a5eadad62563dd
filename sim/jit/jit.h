/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The translator for x86-64 hosts, as a machine sees it. README.md says how it works. */
#ifndef VITRINE_JIT_JIT_H
#define VITRINE_JIT_JIT_H

#include "cpu/cpu.h"

struct jit;

enum {
#define JIT_FEATURE(id, name, what) JIT_BIT_##id,
#include "jit/features.def"
#undef JIT_FEATURE
};

/* Bits of jit_config.without. */
enum jit_feature {
#define JIT_FEATURE(id, name, what) JIT_##id = 1 << JIT_BIT_##id,
#include "jit/features.def"
#undef JIT_FEATURE
};

struct jit_config {
    u64 bytes;      /* of the code cache */
    u32 threshold;  /* interpreted executions after which a block is translated */
    u64 tlb_entries;
    bool hide_avx;  /* do as if the host had no more than SSE2 */
    bool by_block;  /* for tests: jit_run_code() returns wherever a handler leaves its block or faults */
    u32 without;    /* enum jit_feature */
    bool lockstep;  /* check what translated code does against the interpreter */
};

/* NULL with *why (static text) on hosts that cannot: another architecture, no executable memory. */
struct jit *jit_new(struct cpu_set *set, struct code_cache *code, struct log *log, const struct jit_config *config,
                    const char **why);
void jit_free(struct jit *j);

struct jit_stats {
    u64 translated;         /* instructions retired in translated code, their helpers included */
    u64 helped;             /* of these, by the interpreter's handlers */
    u64 slow;               /* of those, for the sake of a memory access */
    u64 interpreted;        /* instructions of blocks that were interpreted */
    u64 blocks, ops, bytes; /* translations made */
    u64 paths;  /* of these, through several blocks */
    u64 loops;  /* of them with a loop form */
    u64 groups; /* checks that several accesses share, in translations made */
    u64 enters, evictions, killed, links;
    u64 checked; /* lockstep: instructions compared */
};
const struct jit_stats *jit_stats(const struct jit *j);
/* `--log jit`: the figures as lines. */
void jit_log_stats(struct jit *j);
/* Lockstep has found a difference; text in words, or NULL. */
const char *jit_difference(const struct jit *j);

#endif
