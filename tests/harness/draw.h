/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers that look random and are the same in every run: xorshift. */
#ifndef TESTS_HARNESS_DRAW_H
#define TESTS_HARNESS_DRAW_H

#include "base/types.h"

#define DRAW_SEED 88172645463325252u

static inline u64 draw_from(u64 *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static u64 draw_state = DRAW_SEED;

static inline u64 draw(void)
{
    return draw_from(&draw_state);
}

static inline unsigned below(u64 n)
{
    return (unsigned)(draw() % n);
}

#endif
