/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The floating-point operations of fp.h on an x86-64 host with SSE4.1 (FMA used when there).
 *
 * Inline assembly, so that the operand order, which selects among NaNs, is exactly that of the
 * guest's instruction, and so that the compiler cannot move work across the changes of MXCSR. C
 * code always sees its own MXCSR. */
#include "cpu/exec/fp.h"

#include "abi/x86/registers.h"
#include "cpu/exec/exec.h"

#include <string.h>

typedef float v4 __attribute__((vector_size(16)));

static inline v4 load16(const void *p)
{
    v4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store16(void *p, v4 v)
{
    memcpy(p, &v, sizeof v);
}

/* What the host runs with: everything masked. FTZ acts only on masked underflow. Flags that are set and
 * masked already stay set: raising one anew costs some hosts 80 ns. */
static inline u32 host_mxcsr(u32 mxcsr)
{
    u32 csr = mxcsr & (MXCSR_RC | MXCSR_DAZ | MXCSR_FTZ);
    csr |= mxcsr & (mxcsr >> MXCSR_MASK_SHIFT) & FP_ALL;
    if ((mxcsr & MXCSR_UM) == 0) {
        csr &= ~(u32)MXCSR_FTZ;
    }
    return csr | MXCSR_MASKS;
}

/* Around an operation. Loading MXCSR is slow where it changes something, so it is not loaded where it
 * would not; C code gets its controls back, but may find flags, which it does not look at. */
static inline u32 enter(u32 csr)
{
    u32 host;
    __asm__ volatile("stmxcsr %0" : "=m"(host));
    if (host != csr) {
        __asm__ volatile("ldmxcsr %0" : : "m"(csr));
    }
    return host;
}

/* Returns the flags. */
static inline u32 leave(u32 host)
{
    u32 csr;
    __asm__ volatile("stmxcsr %0" : "=m"(csr));
    if (((csr ^ host) & ~(u32)FP_ALL) != 0) {
        __asm__ volatile("ldmxcsr %0" : : "m"(host));
    }
    return csr & FP_ALL;
}

/* d = a OP b, a being the destination register. */
#define BINARY(name, op)                                                                           \
    u32 name(u32 mxcsr, void *d, const void *a, const void *b, const void *c)                      \
    {                                                                                              \
        UNUSED(c);                                                                                 \
        v4 va = load16(a);                                                                         \
        v4 vb = load16(b);                                                                         \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        __asm__ volatile(op " %1, %0" : "+x"(va) : "x"(vb));                                       \
        u32 flags = leave(host);                                                                   \
        store16(d, va);                                                                            \
        return flags;                                                                              \
    }

/* d = OP b. */
#define UNARY(name, op)                                                                            \
    u32 name(u32 mxcsr, void *d, const void *a, const void *b, const void *c)                      \
    {                                                                                              \
        UNUSED(a);                                                                                 \
        UNUSED(c);                                                                                 \
        v4 vb = load16(b);                                                                         \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        __asm__ volatile(op " %0, %0" : "+x"(vb));                                                 \
        u32 flags = leave(host);                                                                   \
        store16(d, vb);                                                                            \
        return flags;                                                                              \
    }

#define BINARY4(op)                                                                                \
    BINARY(fp_##op##ps, #op "ps")                                                                  \
    BINARY(fp_##op##pd, #op "pd")                                                                  \
    BINARY(fp_##op##ss, #op "ss")                                                                  \
    BINARY(fp_##op##sd, #op "sd")

BINARY4(add)
BINARY4(sub)
BINARY4(mul)
BINARY4(div)
BINARY4(min)
BINARY4(max)
BINARY(fp_sqrtss, "sqrtss")
BINARY(fp_sqrtsd, "sqrtsd")
BINARY(fp_cvtss2sd, "cvtss2sd")
BINARY(fp_cvtsd2ss, "cvtsd2ss")
UNARY(fp_sqrtps, "sqrtps")
UNARY(fp_sqrtpd, "sqrtpd")
UNARY(fp_cvtps2pd, "cvtps2pd")
UNARY(fp_cvtpd2ps, "cvtpd2ps")
UNARY(fp_cvtdq2ps, "cvtdq2ps")
UNARY(fp_cvtdq2pd, "cvtdq2pd")
UNARY(fp_cvtps2dq, "cvtps2dq")
UNARY(fp_cvttps2dq, "cvttps2dq")
UNARY(fp_cvtpd2dq, "cvtpd2dq")
UNARY(fp_cvttpd2dq, "cvttpd2dq")

/* ---- scalar integers ---------------------------------------------------------------------- */

#define FROM_INT(name, op)                                                                         \
    u32 name(u32 mxcsr, void *d, u64 v, unsigned bits)                                             \
    {                                                                                              \
        v4 vd = load16(d);                                                                         \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        if (bits == 64) {                                                                          \
            __asm__ volatile(op "q %1, %0" : "+x"(vd) : "r"(v));                                   \
        } else {                                                                                   \
            __asm__ volatile(op "l %k1, %0" : "+x"(vd) : "r"(v));                                  \
        }                                                                                          \
        u32 flags = leave(host);                                                                   \
        store16(d, vd);                                                                            \
        return flags;                                                                              \
    }

FROM_INT(fp_cvtsi2ss, "cvtsi2ss")
FROM_INT(fp_cvtsi2sd, "cvtsi2sd")

#define TO_INT(name, op)                                                                           \
    static u32 name(u32 mxcsr, u64 *v, const void *b, unsigned bits)                               \
    {                                                                                              \
        v4 vb = load16(b);                                                                         \
        u64 out;                                                                                   \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        if (bits == 64) {                                                                          \
            __asm__ volatile(op " %1, %0" : "=r"(out) : "x"(vb));                                  \
        } else {                                                                                   \
            __asm__ volatile(op " %1, %k0" : "=r"(out) : "x"(vb));                                 \
            out = (u32)out;                                                                        \
        }                                                                                          \
        *v = out;                                                                                  \
        return leave(host);                                                                        \
    }

TO_INT(cvtss2si, "cvtss2si")
TO_INT(cvttss2si, "cvttss2si")
TO_INT(cvtsd2si, "cvtsd2si")
TO_INT(cvttsd2si, "cvttsd2si")

u32 fp_cvtss2si(u32 mxcsr, u64 *v, const void *b, unsigned bits, bool truncate)
{
    return truncate ? cvttss2si(mxcsr, v, b, bits) : cvtss2si(mxcsr, v, b, bits);
}

u32 fp_cvtsd2si(u32 mxcsr, u64 *v, const void *b, unsigned bits, bool truncate)
{
    return truncate ? cvttsd2si(mxcsr, v, b, bits) : cvtsd2si(mxcsr, v, b, bits);
}

/* ---- comparisons -------------------------------------------------------------------------- */

#define CMP4(cond)                                                                                 \
    static BINARY(cmp##cond##ps, "cmp" #cond "ps") static BINARY(cmp##cond##pd, "cmp" #cond "pd")  \
        static BINARY(cmp##cond##ss, "cmp" #cond "ss") static BINARY(cmp##cond##sd, "cmp" #cond "sd")

CMP4(eq)
CMP4(lt)
CMP4(le)
CMP4(unord)

static fp_fn *const cmp_fn[4][2][2] = {
    {{cmpeqps, cmpeqss}, {cmpeqpd, cmpeqsd}},
    {{cmpltps, cmpltss}, {cmpltpd, cmpltsd}},
    {{cmpleps, cmpless}, {cmplepd, cmplesd}},
    {{cmpunordps, cmpunordss}, {cmpunordpd, cmpunordsd}},
};
enum { CMP_EQ, CMP_LT, CMP_LE, CMP_UNORD };

/* Which of the four outcomes make the predicate true, and whether a QNaN is invalid. */
#define LT 1u
#define EQ 2u
#define GT 4u
#define UN 8u
#define SIG 16u
static const u8 predicates[32] = {
    EQ,            LT | SIG,      LT | EQ | SIG,      UN,       LT | GT | UN,       EQ | GT | UN | SIG,
    GT | UN | SIG, LT | EQ | GT,  EQ | UN,            LT | UN | SIG, LT | EQ | UN | SIG, 0,
    LT | GT,       EQ | GT | SIG, GT | SIG,           LT | EQ | GT | UN, EQ | SIG, LT,
    LT | EQ,       UN | SIG,      LT | GT | UN | SIG, EQ | GT | UN, GT | UN, LT | EQ | GT | SIG,
    EQ | UN | SIG, LT | UN,       LT | EQ | UN,       SIG,      LT | GT | SIG,      EQ | GT,
    GT,            LT | EQ | GT | UN | SIG,
};

static void or_if(u64 out[2], const u64 mask[2], bool take)
{
    if (take) {
        out[0] |= mask[0];
        out[1] |= mask[1];
    }
}

/* The instruction's result from masks of all lanes: a scalar keeps the rest of a. */
static void cmp_result(void *d, const void *a, const u64 out[2], bool dbl, bool scalar)
{
    u8 whole[16];
    memcpy(whole, a, 16);
    memcpy(whole, out, scalar ? (dbl ? 8 : 4) : 16);
    memcpy(d, whole, 16);
}

u32 fp_cmp(u32 mxcsr, void *d, const void *a, const void *b, unsigned predicate, bool dbl, bool scalar)
{
    unsigned p = predicates[predicate & 31];
    u64 out[2] = {0, 0};
    if (predicate < 8) { /* EQ LT LE UNORD and their negations */
        u32 flags = cmp_fn[predicate & 3][dbl][scalar](mxcsr, out, a, b, NULL);
        if ((predicate & 4) != 0) {
            out[0] = ~out[0];
            out[1] = ~out[1];
        }
        cmp_result(d, a, out, dbl, scalar);
        return flags;
    }
    u64 eq[2], lt[2], un[2];
    u32 quiet = cmp_fn[CMP_EQ][dbl][scalar](mxcsr, eq, a, b, NULL);
    u32 signalling = cmp_fn[CMP_LT][dbl][scalar](mxcsr, lt, a, b, NULL);
    (void)cmp_fn[CMP_UNORD][dbl][scalar](mxcsr, un, a, b, NULL);
    u64 gt[2] = {~(eq[0] | lt[0] | un[0]), ~(eq[1] | lt[1] | un[1])};
    or_if(out, lt, (p & LT) != 0);
    or_if(out, eq, (p & EQ) != 0);
    or_if(out, gt, (p & GT) != 0);
    or_if(out, un, (p & UN) != 0);
    cmp_result(d, a, out, dbl, scalar);
    return (p & SIG) != 0 ? signalling : quiet;
}

#define COMI(name, op)                                                                             \
    static u32 name(u32 mxcsr, u32 *rflags, const void *a, const void *b)                          \
    {                                                                                              \
        v4 va = load16(a);                                                                         \
        v4 vb = load16(b);                                                                         \
        bool zf, pf, cf;                                                                           \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        __asm__ volatile(op " %4, %3"                                                              \
                         : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf)                                   \
                         : "x"(va), "x"(vb));                                                      \
        u32 flags = leave(host);                                                                   \
        *rflags = (zf ? RFLAGS_ZF : 0u) | (pf ? RFLAGS_PF : 0u) | (cf ? RFLAGS_CF : 0u);           \
        return flags;                                                                              \
    }

COMI(comiss, "comiss")
COMI(comisd, "comisd")
COMI(ucomiss, "ucomiss")
COMI(ucomisd, "ucomisd")

u32 fp_comi(u32 mxcsr, u32 *rflags, const void *a, const void *b, bool dbl, bool signalling)
{
    if (signalling) {
        return dbl ? comisd(mxcsr, rflags, a, b) : comiss(mxcsr, rflags, a, b);
    }
    return dbl ? ucomisd(mxcsr, rflags, a, b) : ucomiss(mxcsr, rflags, a, b);
}

/* ---- rounding ----------------------------------------------------------------------------- */

/* Always by MXCSR.RC (imm8[2]), which the caller's mode is put into. */
static BINARY(roundss, "roundss $4,")
static BINARY(roundsd, "roundsd $4,")
static UNARY(roundps, "roundps $4,")
static UNARY(roundpd, "roundpd $4,")

u32 fp_round(u32 mxcsr, void *d, const void *a, const void *b, unsigned imm, bool dbl, bool scalar)
{
    static fp_fn *const fn[2][2] = {{roundps, roundss}, {roundpd, roundsd}};
    u32 csr = mxcsr;
    if ((imm & 4) == 0) {
        csr = (csr & ~(u32)MXCSR_RC) | (imm & 3) << MXCSR_RC_SHIFT;
    }
    u32 flags = fn[dbl][scalar](csr, d, a, b, NULL);
    return (imm & 8) != 0 ? flags & ~(u32)FP_PE : flags;
}

/* ---- fused multiply-add ------------------------------------------------------------------- */

#define FUSED(name, op)                                                                            \
    static u32 name(u32 mxcsr, void *d, const void *a, const void *b, const void *c)               \
    {                                                                                              \
        v4 va = load16(a);                                                                         \
        v4 vb = load16(b);                                                                         \
        v4 vc = load16(c);                                                                         \
        u32 host = enter(host_mxcsr(mxcsr));                                                       \
        __asm__ volatile(op " %2, %1, %0" : "+x"(vb) : "x"(va), "x"(vc));                          \
        u32 flags = leave(host);                                                                   \
        store16(d, vb);                                                                            \
        return flags;                                                                              \
    }

/* 213: b = a * b + c; a is the first factor, whose NaN wins. */
#define FUSED4(op)                                                                                 \
    FUSED(op##ps, "v" #op "213ps") FUSED(op##pd, "v" #op "213pd") FUSED(op##ss, "v" #op "213ss")   \
        FUSED(op##sd, "v" #op "213sd")

FUSED4(fmadd)
FUSED4(fmsub)
FUSED4(fnmadd)
FUSED4(fnmsub)

static u32 soft_fma(u32 mxcsr, void *d, const void *a, const void *b, const void *c, unsigned signs,
                    bool dbl, bool scalar);

u32 fp_fma(u32 mxcsr, void *d, const void *a, const void *b, const void *c, unsigned signs, bool dbl,
           bool scalar)
{
    static fp_fn *const fn[4][2][2] = {
        {{fmaddps, fmaddss}, {fmaddpd, fmaddsd}},
        {{fnmaddps, fnmaddss}, {fnmaddpd, fnmaddsd}},
        {{fmsubps, fmsubss}, {fmsubpd, fmsubsd}},
        {{fnmsubps, fnmsubss}, {fnmsubpd, fnmsubsd}},
    };
    if (__builtin_cpu_supports("fma")) {
        return fn[signs & 3][dbl][scalar](mxcsr, d, a, b, c);
    }
    return soft_fma(mxcsr, d, a, b, c, signs, dbl, scalar);
}

/* Negation does not touch NaNs: the winner keeps its sign. */
static u64 negate(u64 v, bool dbl)
{
    u64 inf = dbl ? 0x7ff0000000000000u : 0x7f800000u;
    u64 sign = dbl ? BIT(63) : BIT(31);
    return (v & ~sign) > inf ? v : v ^ sign;
}

static u32 soft_fma(u32 mxcsr, void *d, const void *a, const void *b, const void *c, unsigned signs,
                    bool dbl, bool scalar)
{
    unsigned size = dbl ? 8 : 4;
    u8 out[16];
    u32 flags = 0;
    memcpy(out, a, 16);
    for (unsigned i = 0; i < (scalar ? size : 16u); i += size) {
        u64 x = load_le((const u8 *)a + i, size);
        u64 y = load_le((const u8 *)b + i, size);
        u64 z = load_le((const u8 *)c + i, size);
        x = (signs & 1) != 0 ? negate(x, dbl) : x;
        z = (signs & 2) != 0 ? negate(z, dbl) : z;
        u64 r64 = 0;
        u32 r32 = 0;
        if (dbl) {
            flags |= fp_soft_fma64(mxcsr, &r64, x, y, z);
        } else {
            flags |= fp_soft_fma32(mxcsr, &r32, (u32)x, (u32)y, (u32)z);
            r64 = r32;
        }
        store_le(out + i, r64, size);
    }
    memcpy(d, out, 16);
    return flags;
}
