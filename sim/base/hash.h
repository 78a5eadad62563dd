/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hash behind state hashes: 64 bits, the same on every host, fast on whole pages. It finds
 * differences; it does not resist an adversary. */
#ifndef VITRINE_BASE_HASH_H
#define VITRINE_BASE_HASH_H

#include "base/types.h"

u64 hash_bytes(u64 seed, const void *data, size_t len);

/* Mix one word in; a bijection of seed for each v. */
static inline u64 hash_u64(u64 seed, u64 v)
{
    u64 h = (seed ^ v) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 29);
}

#endif
