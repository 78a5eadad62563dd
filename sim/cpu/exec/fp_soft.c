/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Floating point that is defined in software on every host: estimates, half precision, and fused
 * multiply-add for hosts without it. */
#include "cpu/exec/fp.h"

#include "base/bits.h"

static unsigned top_bit(u128 v)
{
    u64 high = (u64)(v >> 64);
    return high != 0 ? 127u - (unsigned)__builtin_clzll(high) : 63u - (unsigned)__builtin_clzll((u64)v);
}

/* More than `bits` significant bits. */
static bool needs_more(u128 v, unsigned bits)
{
    unsigned low = (u64)v != 0 ? (unsigned)__builtin_ctzll((u64)v)
                               : 64u + (unsigned)__builtin_ctzll((u64)(v >> 64));
    return top_bit(v) - low >= bits;
}

/* Does the magnitude grow when `rest` (above, at, below half) was cut off an integer? */
static bool rounds_up(unsigned rc, bool negative, bool odd, bool half, bool sticky)
{
    switch (rc) {
    case 0: return half && (sticky || odd);
    case 1: return negative && (half || sticky);
    case 2: return !negative && (half || sticky);
    default: return false;
    }
}

/* ---- estimates ---------------------------------------------------------------------------- */

/* q (and something below its last bit) * 2^exp as a single with 12 significant bits; tiny: zero. */
static u32 pack12(u32 sign, u64 q, bool sticky, int exp)
{
    unsigned top = top_bit(q);
    unsigned cut = top - 11;
    u64 r = q >> cut;
    bool half = ((q >> (cut - 1)) & 1) != 0;
    sticky = sticky || (q & (BIT(cut - 1) - 1)) != 0;
    r += rounds_up(0, false, (r & 1) != 0, half, sticky) ? 1 : 0;
    int biased = exp + (int)cut + 11 + 127;
    if (r == 0x1000) {
        r = 0x800;
        biased++;
    }
    return biased <= 0 ? sign : sign | (u32)biased << 23 | ((u32)r & 0x7ff) << 12;
}

u32 fp_soft_rcp(u32 a)
{
    u32 sign = a & 0x80000000u;
    unsigned e = (a >> 23) & 0xff;
    u32 fraction = a & 0x7fffff;
    if (e == 0xff) {
        return fraction != 0 ? a | 0x400000 : sign;
    }
    if (e == 0) {
        return sign | 0x7f800000;
    }
    u64 m = fraction | 0x800000;
    return pack12(sign, BIT(52) / m, BIT(52) % m != 0, -52 - ((int)e - 150));
}

u32 fp_soft_rsqrt(u32 a)
{
    unsigned e = (a >> 23) & 0xff;
    u32 fraction = a & 0x7fffff;
    if (e == 0xff && fraction != 0) {
        return a | 0x400000;
    }
    if (e == 0) {
        return (a & 0x80000000u) | 0x7f800000;
    }
    if ((a >> 31) != 0) {
        return 0xffc00000;
    }
    if (e == 0xff) {
        return 0;
    }
    u64 m = fraction | 0x800000;
    int exp = (int)e - 150;
    if ((exp & 1) != 0) {
        m <<= 1;
        exp--;
    }
    /* q = floor(2^40 / sqrt(m)), bit by bit */
    u64 q = 0;
    for (unsigned bit = 30; bit-- > 0;) {
        u64 t = q | BIT(bit);
        if ((u128)t * t * m <= (u128)1 << 80) {
            q = t;
        }
    }
    return pack12(0, q, (u128)q * q * m != (u128)1 << 80, -40 - exp / 2);
}

/* ---- half precision ----------------------------------------------------------------------- */

u32 fp_soft_ph2ps(u32 *d, u16 a)
{
    u32 sign = (u32)(a & 0x8000u) << 16;
    unsigned e = (a >> 10) & 0x1fu;
    u32 fraction = a & 0x3ffu;
    if (e == 0x1f) {
        *d = sign | 0x7f800000 | fraction << 13 | (fraction != 0 ? 0x400000u : 0u);
        return fraction != 0 && (fraction & 0x200) == 0 ? FP_IE : 0;
    }
    if (e == 0 && fraction == 0) {
        *d = sign;
        return 0;
    }
    if (e == 0) {
        unsigned shift = (unsigned)__builtin_clz(fraction) - 21;
        fraction = (fraction << shift) & 0x3ff;
        e = 1 - shift;
    }
    *d = sign | (e + 112) << 23 | fraction << 13;
    return 0;
}

u32 fp_soft_ps2ph(u32 mxcsr, u16 *d, u32 a, unsigned rc)
{
    u32 sign = (a >> 16) & 0x8000;
    unsigned e = (a >> 23) & 0xff;
    u32 fraction = a & 0x7fffff;
    u32 flags = 0;
    if (e == 0xff) {
        *d = (u16)(sign | 0x7c00 | fraction >> 13 | (fraction != 0 ? 0x200u : 0u));
        return fraction != 0 && (fraction & 0x400000) == 0 ? FP_IE : 0;
    }
    if (e == 0) {
        if (fraction == 0 || (mxcsr & MXCSR_DAZ) != 0) {
            *d = (u16)sign;
            return 0;
        }
        flags |= FP_DE;
    }
    /* value = m * 2^(exp - 23); target exponent exp + 15 */
    u32 m = e == 0 ? fraction : fraction | 0x800000;
    int exp = e == 0 ? -126 : (int)e - 127;
    int biased = exp + 15;
    unsigned cut = 13;
    bool tiny = false;
    if (biased < 1 || e == 0) {
        /* Tiny unless rounding with unbounded exponent reaches 2^-14. */
        bool carry = rounds_up(rc, sign != 0, true, (m & 0x1000) != 0, (m & 0xfff) != 0) &&
                     m >> 13 == 0x7ff;
        tiny = !(biased == 0 && carry);
        cut = biased < -12 ? 30 : (unsigned)(14 - biased);
        biased = 0;
    }
    u32 r = cut >= 30 ? 0 : m >> cut;
    bool half = cut < 30 && ((m >> (cut - 1)) & 1) != 0;
    bool sticky = cut >= 30 || (m & ((1u << (cut - 1)) - 1)) != 0;
    if (half || sticky) {
        flags |= FP_PE;
    }
    if (tiny && ((flags & FP_PE) != 0 || (mxcsr & MXCSR_UM) == 0)) {
        flags |= FP_UE;
    }
    /* The hidden bit adds one to the exponent; carries go where they should. */
    u32 out = biased == 0 ? r : ((u32)biased << 10) + (r & 0x3ff);
    out += rounds_up(rc, sign != 0, (r & 1) != 0, half, sticky) ? 1 : 0;
    if (out >= 0x7c00) {
        flags |= FP_OE | FP_PE;
        bool to_max = rc == 3 || (rc == 1 && sign == 0) || (rc == 2 && sign != 0);
        out = to_max ? 0x7bff : 0x7c00;
    }
    /* As elsewhere, an unmasked overflow or underflow is inexact only by the exact value; but not
     * from denormal sources (found on the host). */
    u32 unmasked = ~(mxcsr >> MXCSR_MASK_SHIFT) & flags & (FP_OE | FP_UE);
    if (unmasked != 0 && e != 0 && !needs_more(m, 11)) {
        flags &= ~(u32)FP_PE;
    }
    *d = (u16)(sign | out);
    return flags;
}

/* ---- fused multiply-add ------------------------------------------------------------------- */

/* A binary format: fraction bits and exponent bits. */
struct format {
    unsigned fraction, exponent;
};

struct unpacked {
    bool negative, nan, snan, inf, zero, denormal;
    u64 sig; /* value = sig * 2^exp */
    int exp;
};

static struct unpacked unpack(const struct format *f, u64 v, bool daz)
{
    struct unpacked u = {.negative = ((v >> (f->fraction + f->exponent)) & 1) != 0};
    u64 fraction = v & (BIT(f->fraction) - 1);
    u64 max = BIT(f->exponent) - 1;
    u64 e = (v >> f->fraction) & max;
    int bias = (int)(max >> 1);
    if (e == max) {
        u.nan = fraction != 0;
        u.inf = fraction == 0;
        u.snan = u.nan && (fraction >> (f->fraction - 1)) == 0;
        return u;
    }
    u.denormal = e == 0 && fraction != 0 && !daz;
    u.zero = e == 0 && !u.denormal;
    u.sig = e == 0 ? fraction : fraction | BIT(f->fraction);
    u.exp = (e == 0 ? 1 : (int)e) - bias - (int)f->fraction;
    return u;
}

/* Round sig * 2^exp (sticky in bit 0) to the format. */
static u32 round_pack(const struct format *f, u32 mxcsr, bool negative, u128 sig, int exp, u64 *d)
{
    unsigned rc = (mxcsr & MXCSR_RC) >> MXCSR_RC_SHIFT;
    u64 sign = negative ? BIT(f->fraction + f->exponent) : 0;
    u64 max = BIT(f->exponent) - 1;
    int bias = (int)(max >> 1);
    unsigned top = top_bit(sig);
    if (top < f->fraction + 8) { /* room for half and sticky */
        sig <<= 64;
        exp -= 64;
        top += 64;
    }
    int biased = exp + (int)top + bias;
    unsigned cut = top - f->fraction;
    u128 below = ((u128)1 << (cut - 1)) - 1;
    bool tiny = false;
    if (biased < 1) {
        bool carry = rounds_up(rc, negative, true, ((sig >> (cut - 1)) & 1) != 0, (sig & below) != 0) &&
                     (u64)(sig >> cut) == (BIT(f->fraction + 1) - 1);
        tiny = !(biased == 0 && carry);
        unsigned more = (unsigned)(1 - biased);
        cut += more;
        if (cut > 127) { /* all of it is below half of the last place */
            cut = 127;
            sig = 1;
        }
        below = ((u128)1 << (cut - 1)) - 1;
        biased = 0;
    }
    u64 r = (u64)(sig >> cut);
    bool half = ((sig >> (cut - 1)) & 1) != 0;
    bool sticky = (sig & below) != 0;
    u32 flags = half || sticky ? FP_PE : 0;
    if (tiny) {
        bool um = (mxcsr & MXCSR_UM) == 0;
        if (!um && (mxcsr & MXCSR_FTZ) != 0) {
            *d = sign;
            return FP_UE | FP_PE;
        }
        flags |= flags != 0 || um ? FP_UE : 0;
    }
    u64 out = biased == 0 ? r : ((u64)biased << f->fraction) + (r & (BIT(f->fraction) - 1));
    out += rounds_up(rc, negative, (r & 1) != 0, half, sticky) ? 1 : 0;
    if (out >= max << f->fraction || biased >= (int)max) {
        bool to_max = rc == 3 || (rc == 1 && !negative) || (rc == 2 && negative);
        out = (max << f->fraction) - (to_max ? 1 : 0);
        flags |= FP_OE | FP_PE;
    }
    *d = sign | out;
    return flags;
}

static u128 shift_right_sticky(u128 v, unsigned n)
{
    if (n == 0) {
        return v;
    }
    if (n > 127) {
        return v != 0;
    }
    return v >> n | ((v & (((u128)1 << n) - 1)) != 0);
}

/* A sum before rounding: sig * 2^exp, bit 0 standing for whatever is below. */
struct sum {
    bool negative;
    u128 sig;
    int exp;
};

/* x * y + z of finite numbers. Both terms get their top to bit 125; a bit lost by aligning is far
 * below the result's last place. */
static struct sum multiply_add(const struct unpacked *x, const struct unpacked *y,
                               const struct unpacked *z)
{
    bool negative = x->negative != y->negative;
    u128 p = x->zero || y->zero ? 0 : (u128)x->sig * y->sig;
    u128 q = z->zero ? 0 : z->sig;
    int pe = -100000;
    int qe = -100000;
    if (p != 0) {
        pe = x->exp + y->exp - (125 - (int)top_bit(p));
        p <<= 125 - top_bit(p);
    }
    if (q != 0) {
        qe = z->exp - (125 - (int)top_bit(q));
        q <<= 125 - top_bit(q);
    }
    int exp = pe > qe ? pe : qe;
    p = shift_right_sticky(p, (unsigned)(exp - pe));
    q = shift_right_sticky(q, (unsigned)(exp - qe));
    if (negative == z->negative) {
        return (struct sum){negative, p + q, exp};
    }
    if (p >= q) {
        return (struct sum){negative, p - q, exp};
    }
    return (struct sum){z->negative, q - p, exp};
}

static u32 soft_fma(const struct format *f, u32 mxcsr, u64 *d, u64 a, u64 b, u64 c)
{
    bool daz = (mxcsr & MXCSR_DAZ) != 0;
    struct unpacked x = unpack(f, a, daz);
    struct unpacked y = unpack(f, b, daz);
    struct unpacked z = unpack(f, c, daz);
    u64 inf = (BIT(f->exponent) - 1) << f->fraction;
    u64 sign = BIT(f->fraction + f->exponent);
    u64 quiet = BIT(f->fraction - 1);
    if (x.nan || y.nan || z.nan) {
        *d = (x.nan ? a : y.nan ? b : c) | quiet;
        return x.snan || y.snan || z.snan ? FP_IE : 0;
    }
    bool negative = x.negative != y.negative;
    if ((x.inf && y.zero) || (x.zero && y.inf) ||
        ((x.inf || y.inf) && z.inf && negative != z.negative)) {
        *d = sign | inf | quiet;
        return FP_IE;
    }
    u32 flags = x.denormal || y.denormal || z.denormal ? FP_DE : 0;
    if (x.inf || y.inf || z.inf) {
        *d = inf | (((x.inf || y.inf) ? negative : z.negative) ? sign : 0);
        return flags;
    }
    bool down = (mxcsr & MXCSR_RC) >> MXCSR_RC_SHIFT == 1;
    struct sum sum = multiply_add(&x, &y, &z);
    if (sum.sig == 0) {
        bool zeros_agree = (x.zero || y.zero) && z.zero && negative == z.negative;
        *d = (zeros_agree ? negative : down) ? sign : 0;
        return flags;
    }
    return flags | round_pack(f, mxcsr, sum.negative, sum.sig, sum.exp, d);
}

u32 fp_soft_fma32(u32 mxcsr, u32 *d, u32 a, u32 b, u32 c)
{
    u64 out = 0;
    u32 flags = soft_fma(&(struct format){23, 8}, mxcsr, &out, a, b, c);
    *d = (u32)out;
    return flags;
}

u32 fp_soft_fma64(u32 mxcsr, u64 *d, u64 a, u64 b, u64 c)
{
    return soft_fma(&(struct format){52, 11}, mxcsr, d, a, b, c);
}

bool fp_soft_inexact(u32 mxcsr, enum fp_rounding op, bool dbl, u64 a, u64 b, u64 c)
{
    static const struct format single = {23, 8};
    static const struct format dbl_format = {52, 11};
    const struct format *f = dbl ? &dbl_format : &single;
    bool daz = (mxcsr & MXCSR_DAZ) != 0;
    struct unpacked one = {.sig = 1};
    struct unpacked none = {.zero = true};
    struct unpacked x = unpack(f, a, daz);
    struct unpacked y = unpack(f, b, daz);
    struct unpacked z = unpack(f, c, daz);
    struct sum sum = {0};
    switch (op) {
    case FP_ROUNDS_ADD: sum = multiply_add(&x, &one, &y); break;
    case FP_ROUNDS_SUB:
        y.negative = !y.negative;
        sum = multiply_add(&x, &one, &y);
        break;
    case FP_ROUNDS_MUL: sum = multiply_add(&x, &y, &none); break;
    case FP_ROUNDS_FMA: sum = multiply_add(&x, &y, &z); break;
    case FP_ROUNDS_DIV:
        if (y.sig != 0) {
            u128 n = (u128)x.sig << 64;
            if (n % y.sig != 0) {
                return true;
            }
            sum.sig = n / y.sig;
        }
        break;
    case FP_ROUNDS_TO_SINGLE: return y.sig != 0 && needs_more(y.sig, 24);
    case FP_ROUNDS_NOT: return false;
    }
    return sum.sig != 0 && needs_more(sum.sig, f->fraction + 1);
}
