/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 operations defined in software on every host: integers, BCD, transcendentals.
 *
 * Transcendentals are computed with 113 bits by libquadmath, whose arithmetic is software too, and
 * rounded once. Chips disagree with each other in the last place, and reduce arguments by a shorter
 * pi; these results are the better ones and the same everywhere. What lies below 113 bits is only
 * kept as "not exact". */
#include "cpu/exec/fpu.h"

#include "base/bits.h"

#include <string.h>

#define BIAS 16383
#define WRAP 24576 /* [SDM1 "Numeric Overflow Exception"]: bias adjustment of unmasked results */

__extension__ typedef __float128 quad;

/* Of libquadmath; its header is only known to gcc. */
quad sinq(quad v);
quad cosq(quad v);
quad tanq(quad v);
quad atan2q(quad y, quad x);
quad expm1q(quad v);
quad log1pq(quad v);
quad frexpq(quad v, int *exp);
quad scalbnq(quad v, int exp);

/* (high * 2^64 + low) * 2^-128, rounded once. */
#define FRACTION(high, low) ((quad)(high) / TWO_64 + (quad)(low) / TWO_64 / TWO_64)
#define TWO_64 ((quad)18446744073709551616.0)
static const quad ln_2 = FRACTION(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af);
static const quad log2_e = 1 + FRACTION(0x71547652b82fe177, 0x7d0ffda0d23a7d12);
static const quad huge = (quad)__builtin_inf();

void fpu_from_int(struct f80 *d, i64 v)
{
    u64 m = v < 0 ? 0 - (u64)v : (u64)v;
    u32 sign = v < 0 ? 0x8000 : 0;
    *d = (struct f80){0, 0};
    if (m != 0) {
        unsigned shift = (unsigned)__builtin_clzll(m);
        d->mant = m << shift;
        d->se = (u16)(sign | (BIAS + 63 - shift));
    }
}

void fpu_from_bcd(struct f80 *d, const u8 bcd[10])
{
    u64 v = 0;
    for (unsigned i = 9; i-- > 0;) {
        v = v * 100 + (bcd[i] >> 4) * 10u + (bcd[i] & 15u);
    }
    fpu_from_int(d, (i64)v);
    d->se = (u16)(d->se | ((bcd[9] & 0x80) != 0 ? 0x8000u : 0u));
}

/* ---- between f80 and quad ----------------------------------------------------------------- */

/* |v| = mantissa * 2^exp, mantissa in [1, 2). v is finite and not zero. */
static quad split(const struct f80 *v, int *exp)
{
    int e = (v->se & 0x7fff) == 0 ? 1 : v->se & 0x7fff;
    int shift = __builtin_clzll(v->mant);
    *exp = e - BIAS - shift;
    return scalbnq((quad)(v->mant << shift), -63);
}

static bool is_negative(const struct f80 *v)
{
    return (v->se >> 15) != 0;
}

static quad signed_value(const struct f80 *v)
{
    if (v->mant == 0) {
        return is_negative(v) ? -(quad)0 : (quad)0;
    }
    if ((v->se & 0x7fff) == 0x7fff) {
        return is_negative(v) ? -huge : huge;
    }
    int exp = 0;
    quad m = split(v, &exp);
    m = scalbnq(m, exp);
    return is_negative(v) ? -m : m;
}

/* What is known of the value below the quad: nothing, or that it is exact, more or less in
 * magnitude. "Nothing" counts as more. */
enum residue { EXACT = 0, LESS = -1, MORE = 1 };

static bool rounds_up(unsigned rc, bool negative, bool odd, bool half, bool sticky)
{
    switch (rc) {
    case 0: return half && (sticky || odd);
    case 1: return negative && (half || sticky);
    case 2: return !negative && (half || sticky);
    default: return false;
    }
}

/* The top 64 of 121 bits; `shift` more are cut off. */
static u64 cut(u128 sig, unsigned shift, unsigned rc, bool negative, bool *inexact, bool *up, bool *carry)
{
    unsigned n = 57 + shift;
    if (n > 126) {
        sig = sig != 0;
        n = 126;
    }
    u64 m = (u64)(sig >> n);
    bool half = ((sig >> (n - 1)) & 1) != 0;
    bool sticky = (sig & (((u128)1 << (n - 1)) - 1)) != 0;
    *inexact = half || sticky;
    *up = rounds_up(rc, negative, (m & 1) != 0, half, sticky);
    m += *up ? 1 : 0;
    *carry = *up && m == 0;
    return m;
}

/* r * 2^k, not zero, to d. */
static u16 round_quad(u16 fcw, struct f80 *d, quad r, int k, enum residue residue)
{
    u128 bits;
    int e = 0;
    quad m = frexpq(r, &e); /* in [0.5, 1) */
    memcpy(&bits, &m, sizeof bits);
    bool negative = (bits >> 127) != 0;
    unsigned rc = (fcw & FCW_RC) >> FCW_RC_SHIFT;
    u128 sig = ((bits & (((u128)1 << 112) - 1)) | (u128)1 << 112) << 8; /* 121 bits */
    int exp = e - 1 + k;
    if (residue != EXACT) {
        sig = residue == MORE ? sig | 1 : sig - 1;
        if ((sig >> 120) == 0) {
            sig = sig << 1 | 1;
            exp--;
        }
    }
    bool inexact, up, carry;
    u64 mant = cut(sig, 0, rc, negative, &inexact, &up, &carry);
    int biased = exp + BIAS + (carry ? 1 : 0);
    mant = carry ? BIT(63) : mant;
    u32 status = 0;
    if (biased >= 0x7fff) {
        status |= FP_OE;
        if ((fcw & FP_OE) != 0) {
            bool to_max = rc == 3 || (rc == 1 && !negative) || (rc == 2 && negative);
            biased = to_max ? 0x7ffe : 0x7fff;
            mant = to_max ? ~(u64)0 : BIT(63);
            up = !to_max;
            inexact = true;
        } else {
            biased -= WRAP;
        }
    } else if (biased < 1) {
        if ((fcw & FP_UE) != 0) {
            mant = cut(sig, (unsigned)(1 - (exp + BIAS)), rc, negative, &inexact, &up, &carry);
            biased = (mant >> 63) != 0 ? 1 : 0;
            status |= inexact ? FP_UE : 0u;
        } else {
            status |= FP_UE;
            biased += WRAP;
        }
    }
    status |= inexact ? FP_PE : 0u;
    status |= up ? FSW_C1 : 0u;
    *d = (struct f80){mant, (u16)((negative ? 0x8000u : 0u) | (u32)biased)};
    return (u16)status;
}

/* ---- functions ---------------------------------------------------------------------------- */

#define TINY (-58) /* below 2^TINY the second term of the series is below the quad's last place */

/* log2(m * 2^exp), m in [1, 2). */
static quad log2_of(quad m, int exp, bool *exact)
{
    *exact = m == 1;
    if (m >= (quad)1.5) {
        m /= 2;
        exp++;
    }
    return (quad)exp + log1pq(m - 1) * log2_e;
}

/* log2(1 + v), v > -1. */
static quad log2_plus_one(quad v, bool *exact)
{
    quad tiny = scalbnq(1, -40);
    *exact = false;
    if ((v < tiny && v > -tiny) || v > 1 / tiny) {
        return log1pq(v) * log2_e;
    }
    int e = 0;
    quad m = frexpq(1 + v, &e); /* the sum is exact */
    return log2_of(2 * m, e - 1, exact);
}

static u16 arctangent(u16 fcw, struct f80 *d, const struct f80 *y, const struct f80 *x)
{
    quad qy = signed_value(y);
    quad qx = signed_value(x);
    bool x_inf = qx == huge || qx == -huge;
    bool y_inf = qy == huge || qy == -huge;
    if (!is_negative(x) && (y->mant == 0 || (x_inf && !y_inf))) {
        *d = (struct f80){0, y->se & 0x8000};
        return 0;
    }
    if (y->mant != 0 && x->mant != 0 && !x_inf && !y_inf && !is_negative(x)) {
        int ey = 0;
        int ex = 0;
        quad ratio = split(y, &ey) / split(x, &ex);
        if (ey - ex < TINY) {
            return round_quad(fcw, d, is_negative(y) ? -ratio : ratio, ey - ex, LESS);
        }
    }
    return round_quad(fcw, d, atan2q(qy, qx), 0, MORE);
}

u16 fpu_transcendental(u16 fcw, enum fpu_transcendental op, struct f80 *d, const struct f80 *y,
                       const struct f80 *x)
{
    int ex = 0;
    int ey = 0;
    if (op == FPU_ATAN2) {
        return arctangent(fcw, d, y, x);
    }
    quad m = split(x, &ex);
    quad v = signed_value(x);
    m = is_negative(x) ? -m : m;
    quad ym = y != NULL ? split(y, &ey) : 0;
    ym = y != NULL && is_negative(y) ? -ym : ym;
    switch (op) {
    case FPU_SIN:
        return ex < TINY ? round_quad(fcw, d, m, ex, LESS) : round_quad(fcw, d, sinq(v), 0, MORE);
    case FPU_COS:
        return ex < TINY ? round_quad(fcw, d, 1, 0, LESS) : round_quad(fcw, d, cosq(v), 0, MORE);
    case FPU_TAN:
        return ex < TINY ? round_quad(fcw, d, m, ex, MORE) : round_quad(fcw, d, tanq(v), 0, MORE);
    case FPU_2XM1:
        if (ex < 2 * TINY) {
            return round_quad(fcw, d, m * ln_2, ex, MORE);
        }
        return round_quad(fcw, d, expm1q(v * ln_2), 0, MORE);
    case FPU_YL2X: {
        bool exact = false;
        quad l = log2_of(m, ex, &exact);
        return round_quad(fcw, d, ym * l, ey, exact ? EXACT : MORE);
    }
    case FPU_YL2XP1: {
        bool exact = false;
        if (ex < 2 * TINY) {
            return round_quad(fcw, d, ym * (m * log2_e), ey + ex, MORE);
        }
        quad l = log2_plus_one(v, &exact);
        return round_quad(fcw, d, ym * l, ey, exact ? EXACT : MORE);
    }
    case FPU_ATAN2:
        break;
    }
    return 0;
}
