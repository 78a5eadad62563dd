/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzed entries: what the two vendors' halves and the program share. */
#ifndef VITRINE_TESTS_ENTRIES_ENTRIES_H
#define VITRINE_TESTS_ENTRIES_ENTRIES_H

#include "base/bits.h"
#include "base/types.h"

/* One thing that must be reached: a check, an exit reason, an error, an intercept. */
struct hit {
    const char *group, *name;
    const char *because; /* no processor of ours can reach it: why; NULL: it must be reached */
    u64 code;
    u64 count, unguided; /* unguided: by mutation alone */
};

/* How an entry comes about. */
enum guide {
    GUIDE_NONE,     /* fields mutated, any code, any event */
    GUIDE_BREAK,    /* one rule broken on purpose, more fields mutated */
    GUIDE_SCENARIO, /* one exit aimed at, more fields mutated */
    GUIDE_EXACT,    /* one exit aimed at, nothing else */
};

struct vendor {
    const char *name;
    /* A processor over memory, its model and its good state drawn from the random numbers. Ends with close. */
    void (*open)(void);
    void (*close)(void);
    /* One entry, as far as it goes. */
    void (*enter)(enum guide how);
    struct hit *hits;
    unsigned (*hit_count)(void);
    /* Entered, refused and exited until now; everything that was seen, in one number. */
    u64 *entered, *refused, *exited, *digest;
};

extern const struct vendor vmx_entries, svm_entries;

/* ---- Random numbers: one sequence for all ---- */

extern u64 entries_random;

/* At most one of these in an expression: the order counts. */
static inline u64 rnd(void)
{
    entries_random += 0x9e3779b97f4a7c15u;
    u64 z = entries_random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned below(unsigned n)
{
    return (unsigned)((rnd() >> 32) % n);
}

static inline bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* A value near what means something, as often as any. */
static inline u64 odd_value(u64 old)
{
    static const u64 known[] = {0, 1, 0x1000, 0x100000, 0x50000, 0x3ff000, 0x7fffffffffff, 0x800000000000,
                                0xffff800000000000, ~(u64)0, 0xffffffff, 0x100000000, 0x8000000000000000};
    unsigned shift = below(64);
    switch (below(6)) {
    case 0: return rnd();
    case 1: return rnd() >> shift;
    case 2: return known[below(ARRAY_LEN(known))];
    case 3: return old + (u64)below(17) - 8;
    default: return old ^ BIT(shift);
    }
}

static inline void count_hit(struct hit *h, enum guide how)
{
    h->count++;
    h->unguided += how == GUIDE_NONE;
}

/* Something that must never happen. */
_Noreturn void entries_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
