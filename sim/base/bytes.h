/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Little- and big-endian loads and stores at any alignment; the host's order does not matter. */
#ifndef VITRINE_BASE_BYTES_H
#define VITRINE_BASE_BYTES_H

#include "base/types.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Vitrine's memory fast paths assume a little-endian host"
#endif

static inline u16 load_le16(const void *p)
{
    u16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline u32 load_le32(const void *p)
{
    u32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline u64 load_le64(const void *p)
{
    u64 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_le16(void *p, u16 v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le32(void *p, u32 v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le64(void *p, u64 v)
{
    memcpy(p, &v, sizeof v);
}

/* size 1..8 bytes, zero-extended. */
static inline u64 load_le(const void *p, unsigned size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

static inline void store_le(void *p, u64 v, unsigned size)
{
    memcpy(p, &v, size);
}

static inline u16 load_be16(const void *p)
{
    return __builtin_bswap16(load_le16(p));
}

static inline u32 load_be32(const void *p)
{
    return __builtin_bswap32(load_le32(p));
}

static inline u64 load_be64(const void *p)
{
    return __builtin_bswap64(load_le64(p));
}

static inline void store_be16(void *p, u16 v)
{
    store_le16(p, __builtin_bswap16(v));
}

static inline void store_be32(void *p, u32 v)
{
    store_le32(p, __builtin_bswap32(v));
}

static inline void store_be64(void *p, u64 v)
{
    store_le64(p, __builtin_bswap64(v));
}

#endif
