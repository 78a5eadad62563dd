/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bit fields of integers. Widths are in bits, sizes in bytes. */
#ifndef VITRINE_BASE_BITS_H
#define VITRINE_BASE_BITS_H

#include "base/types.h"

#define BIT(n) ((u64)1 << (n))
#define BIT32(n) ((u32)1 << (n))

/* Bits lo..lo+width-1 of v, moved to bit 0; width 1..63. */
static inline u64 bits_get(u64 v, unsigned lo, unsigned width)
{
    return (v >> lo) & (((u64)1 << width) - 1);
}

/* v with bits lo..lo+width-1 replaced by the low bits of field. */
static inline u64 bits_set(u64 v, unsigned lo, unsigned width, u64 field)
{
    u64 mask = (((u64)1 << width) - 1) << lo;
    return (v & ~mask) | ((field << lo) & mask);
}

/* All ones in the low 8*size bits; size 1..8. */
static inline u64 size_mask(unsigned size)
{
    return ~(u64)0 >> (64 - 8 * size);
}

/* The low 8*size bits of v, sign-extended to 64; size 1..8. */
static inline u64 sign_extend(u64 v, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    return (u64)((i64)(v << shift) >> shift);
}

static inline u64 align_down(u64 v, u64 align)
{
    return v & ~(align - 1);
}

static inline u64 align_up(u64 v, u64 align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool is_power_of_2(u64 v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* a * b / c with a 128-bit intermediate; the quotient must fit 64 bits; c != 0. */
static inline u64 mul_div(u64 a, u64 b, u64 c)
{
    return (u64)((u128)a * b / c);
}

#endif
