/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random values with a liking for edges. */
#include "abi/x86/fpu.h"
#include "tests/diff/diff.h"

#include <string.h>

static u64 splitmix(u64 *x)
{
    u64 z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, u64 seed, u64 stream)
{
    u64 x = seed * 0xd1342543de82ef95u + stream;
    r->s[0] = splitmix(&x);
    r->s[1] = splitmix(&x) | 1;
}

/* xoroshiro128+ */
u64 rng_next(struct rng *r)
{
    u64 a = r->s[0], b = r->s[1], v = a + b;
    b ^= a;
    r->s[0] = (a << 24 | a >> 40) ^ b ^ (b << 16);
    r->s[1] = b << 37 | b >> 27;
    return v;
}

u64 random_integer(struct rng *r)
{
    u64 v = rng_next(r);
    switch (rng_below(r, 12)) {
    case 0: return v & 0x1f;
    case 1: return 0 - (v & 0x1f);
    case 2: return (u64)1 << (v & 63);
    case 3: return ((u64)1 << (v & 63)) - 1;
    case 4: return ~((u64)1 << (v & 63));
    case 5: return (u32)v;
    case 6: return (u64)(i64)(i32)v;
    case 7: return 0x8080808080808080u ^ (v & 0xff);
    case 8: return (v & 1) != 0 ? 0x7fffffffffffffffu : 0x8000000000000000u;
    default: return v;
    }
}

u32 random_single(struct rng *r)
{
    static const u32 edges[] = {0,          0x00000001, 0x007fffff, 0x00800000, 0x00800001, 0x3f800000,
                                0x3f800001, 0x3f7fffff, 0x40000000, 0x3f000000, 0x7f7fffff, 0x7f800000,
                                0x7f800001, 0x7fc00000, 0x7fc12345, 0x7fbfffff, 0x4f000000, 0x4effffff,
                                0x4f800000, 0x5f000000, 0x5effffff, 0x3fc00000, 0x40200000, 0x33800000,
                                0x00400000, 0x38800000, 0x477fe000, 0x477ff000, 0x387fc000, 0x33000000};
    u64 v = rng_next(r);
    u32 sign = (u32)(v >> 63) << 31;
    switch ((v >> 32) & 7) {
    case 0:
    case 1:
    case 2: return edges[(u32)v % ARRAY_LEN(edges)] ^ sign;
    case 3: return (u32)v;
    case 4: return sign | (((u32)v & 0x007fffff)); /* denormal */
    case 5: return sign | (0x3f800000 + ((u32)v & 0x3ffffff) - 0x2000000);
    default: return sign | ((u32)v & 0xffffff) | 0x3f000000; /* near 1 */
    }
}

u64 random_double(struct rng *r)
{
    static const u64 edges[] = {
        0, 1, 0x000fffffffffffff, 0x0010000000000000, 0x0010000000000001, 0x3ff0000000000000,
        0x3ff0000000000001, 0x3fefffffffffffff, 0x4000000000000000, 0x3fe0000000000000,
        0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001, 0x7ff8000000000000,
        0x7ff8000012345678, 0x7ff7ffffffffffff, 0x41e0000000000000, 0x41dfffffffc00000,
        0x43e0000000000000, 0x43dfffffffffffff, 0x3ff8000000000000, 0x4004000000000000,
        0x3810000000000000, 0x380fffffe0000000, 0x47efffffe0000000, 0x47effffff0000000,
        0x36a0000000000000, 0x3690000000000000, 0x41dfffffffe00000, 0x3ca0000000000000};
    u64 v = rng_next(r);
    u64 sign = v & ((u64)1 << 63);
    switch ((v >> 56) & 7) {
    case 0:
    case 1:
    case 2: return edges[(u32)v % ARRAY_LEN(edges)] ^ sign;
    case 3: return rng_next(r);
    case 4: return sign | (v & 0x000fffffffffffff);
    case 5: return sign | (0x3ff0000000000000 + (v & 0x3ffffffffffffff) - 0x200000000000000);
    default: return sign | (v & 0x1fffffffffffff) | 0x3fe0000000000000;
    }
}

void random_extended(struct rng *r, u8 out[10])
{
    static const struct {
        u16 se;
        u64 mant;
    } edges[] = {
        {0, 0},                              {0, 1},
        {0, 0x7fffffffffffffff},             {0, 0x8000000000000000}, /* pseudo-denormal */
        {0, 0xffffffffffffffff},             {1, 0x8000000000000000},
        {0x3fff, 0x8000000000000000},        {0x3fff, 0x8000000000000001},
        {0x3ffe, 0xffffffffffffffff},        {0x4000, 0x8000000000000000},
        {0x3ffe, 0x8000000000000000},        {0x7ffe, 0xffffffffffffffff},
        {0x7fff, 0x8000000000000000},        {0x7fff, 0x8000000000000001}, /* signalling */
        {0x7fff, 0xc000000000000000},        {0x7fff, 0xbfffffffffffffff},
        {0x7fff, 0xc000000012345678},        {0x7fff, 0}, /* pseudo-infinity */
        {0x7fff, 0x4000000000000000},        {0x3fff, 0x4000000000000000}, /* unnormal */
        {0x3fff, 0},                         {0x403e, 0x8000000000000000},
        {0x403d, 0xffffffffffffffff},        {0x401e, 0x8000000000000000},
        {0x400e, 0x8000000000000000},        {0x3fff, 0xc000000000000000},
        {0x4000, 0xa000000000000000},        {0x4000, 0xc90fdaa22168c235},
        {0x3c01, 0x8000000000000000},        {0x43fe, 0xfffffffffffff800},
        {0x3f81, 0x8000000000000000},        {0x407e, 0xffffff0000000000},
        {0x3bcd, 0x8000000000000000},        {0x403a, 0xde0b6b3a76400000}, /* 10^18 */
    };
    u64 v = rng_next(r);
    u16 se = 0;
    u64 mant = 0;
    switch (v & 7) {
    case 0:
    case 1:
    case 2: {
        size_t i = (v >> 8) % ARRAY_LEN(edges);
        se = edges[i].se;
        mant = edges[i].mant;
        break;
    }
    case 3:
        se = (u16)(v >> 8);
        mant = rng_next(r) | (rng_one_in(r, 4) ? 0 : (u64)1 << 63);
        break;
    case 4:
        se = (u16)(0x3fff + (v >> 8 & 0x7f) - 0x40);
        mant = rng_next(r) | (u64)1 << 63;
        break;
    case 5: /* an integer */
        se = (u16)(0x3fff + (v >> 8 & 0x3f));
        mant = (rng_next(r) | (u64)1 << 63) & ~(u64)0 << (63 - (v >> 8 & 0x3f));
        break;
    case 6: /* a widened double */
        se = (u16)(0x3fff + (v >> 8 & 0xff) - 0x80);
        mant = (rng_next(r) | (u64)1 << 63) & ~(u64)0x7ff;
        break;
    default:
        se = (u16)(0x3fff + (v >> 8 & 3) - 2);
        mant = rng_next(r) | (u64)1 << 63;
        break;
    }
    se = (u16)(se ^ (v >> 48 & 0x8000));
    store_le64(out, mant);
    store_le16(out + 8, se);
}

void random_vector(struct rng *r, u8 *out, unsigned size)
{
    unsigned kind = rng_below(r, 8);
    for (unsigned i = 0; i + 8 <= size; i += 8) {
        u64 v = 0;
        switch (kind) {
        case 0:
        case 1: v = random_single(r) | (u64)random_single(r) << 32; break;
        case 2:
        case 3: v = random_double(r); break;
        case 4: v = random_integer(r); break;
        case 5: v = rng_next(r) & 0x0f0f0f0f0f0f0f0fu; break;
        case 6: v = rng_next(r) & 0x8080808080808080u; v |= rng_next(r) & 0x0101010101010101u; break;
        default: v = rng_next(r); break;
        }
        store_le64(out + i, v);
    }
}

u32 random_mxcsr(struct rng *r)
{
    u32 v = (u32)rng_next(r);
    u32 mxcsr = MXCSR_MASKS | (v & MXCSR_RC);
    mxcsr |= (v & 3) == 0 ? MXCSR_DAZ : 0u;
    mxcsr |= (v & 12) == 0 ? MXCSR_FTZ : 0u;
    mxcsr |= (v & 0x30) == 0 ? (v >> 20) & FP_ALL : 0u;
    if ((v & 0x1c0) == 0) {
        mxcsr &= ~((v >> 24 << MXCSR_MASK_SHIFT) & MXCSR_MASKS);
    }
    return mxcsr;
}

/* Control and status words, tags, pointers and registers. */
void random_fx(struct rng *r, struct native_fx *fx)
{
    u64 v = rng_next(r);
    unsigned fcw = FCW_ONE | FP_ALL | ((unsigned)(v & 3) == 0 ? 0x300u : (unsigned)(v >> 2) & FCW_PC) |
                   ((unsigned)v & FCW_RC);
    if ((v & 0x70000) == 0) {
        fcw &= ~(unsigned)(v >> 20 & FP_ALL);
    }
    unsigned fsw = (unsigned)(v >> 32) & (FSW_CC | FSW_TOP);
    if ((v & 0x300000000) == 0) {
        fsw |= (unsigned)(v >> 26) & (FP_ALL | FSW_SF);
        if ((v & 0x4000000000) == 0) {
            fsw &= fcw | ~(unsigned)FP_ALL; /* nothing pending */
        }
    }
    if ((fsw & ~fcw & FP_ALL) != 0) {
        fsw |= FSW_ES | FSW_B;
    }
    fx->fcw = (u16)fcw;
    fx->fsw = (u16)fsw;
    fx->tags = (v >> 56 & 3) == 0 ? (u8)rng_next(r) : (v >> 56 & 12) == 0 ? 0 : 0xff;
    fx->fop = (u16)(v >> 40 & 0x7ff);
    fx->fip = (u32)rng_next(r);
    fx->fdp = (u32)rng_next(r);
    for (unsigned i = 0; i < 8; i++) {
        memset(fx->st[i], 0, 16);
        random_extended(r, fx->st[i]);
    }
}
