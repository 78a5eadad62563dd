/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SSE and AVX floating point, one operation at a time: the interface between the semantics of
 * instructions (simd_fp*.c) and whatever computes. fp_x86.c runs the operations on the host's FPU,
 * so rounding, NaN selection and flags are the instruction's own; a portable backend may take its
 * place. fp_soft.c holds what is defined in software on every host.
 *
 * Every exception is masked while an operation runs: the functions return the flags (FP_*) of all
 * lanes together, and possibly those of the mxcsr given to them that are set and masked there. What
 * unmasked exceptions do is decided above, in simd_fp.c. */
#ifndef VITRINE_CPU_EXEC_FP_H
#define VITRINE_CPU_EXEC_FP_H

#include "abi/x86/fpu.h"
#include "base/types.h"

/* d = op(a, b, c) over 16 bytes of lanes, or the low lane only for scalar operations (the rest of d
 * is then that of a). mxcsr gives rounding, DAZ and FTZ. Unused operands may be NULL; d may be one
 * of them. Two-operand order is the legacy form's: a is the destination. */
typedef u32 fp_fn(u32 mxcsr, void *d, const void *a, const void *b, const void *c);

#define FP_BINARY(X)                                                                               \
    X(add) X(sub) X(mul) X(div) X(min) X(max)
#define FP_DECLARE_BINARY(op) extern fp_fn fp_##op##ps, fp_##op##pd, fp_##op##ss, fp_##op##sd;
FP_BINARY(FP_DECLARE_BINARY)
#undef FP_DECLARE_BINARY

/* b only; the scalars keep a's upper lanes. */
extern fp_fn fp_sqrtps, fp_sqrtpd, fp_sqrtss, fp_sqrtsd;

/* Conversions of b. ps2pd and dq2pd read the low 8 bytes; pd2ps, pd2dq, tpd2dq write the low 8 and
 * clear the high ones; pi2ps, ps2pi work on the low 8 bytes. */
extern fp_fn fp_cvtps2pd, fp_cvtpd2ps, fp_cvtss2sd, fp_cvtsd2ss;
extern fp_fn fp_cvtdq2ps, fp_cvtdq2pd, fp_cvtps2dq, fp_cvttps2dq, fp_cvtpd2dq, fp_cvttpd2dq;

/* Scalar integers. `bits` 32 or 64. */
u32 fp_cvtsi2ss(u32 mxcsr, void *d, u64 v, unsigned bits);
u32 fp_cvtsi2sd(u32 mxcsr, void *d, u64 v, unsigned bits);
u32 fp_cvtss2si(u32 mxcsr, u64 *v, const void *b, unsigned bits, bool truncate);
u32 fp_cvtsd2si(u32 mxcsr, u64 *v, const void *b, unsigned bits, bool truncate);

/* Comparison to all-ones or zero by predicate 0..31. [SDM2 "CMPPD": comparison predicates] */
u32 fp_cmp(u32 mxcsr, void *d, const void *a, const void *b, unsigned predicate, bool dbl, bool scalar);

/* COMIS (signalling) and UCOMIS: RFLAGS bits ZF PF CF. */
u32 fp_comi(u32 mxcsr, u32 *rflags, const void *a, const void *b, bool dbl, bool signalling);

/* ROUND*: imm8 as in the instruction. Inexact is suppressed by imm8[3]. */
u32 fp_round(u32 mxcsr, void *d, const void *a, const void *b, unsigned imm, bool dbl, bool scalar);

/* Fused a * b + c with signs: bit 0 negates the product, bit 1 negates the addend. The NaN that
 * wins is the first of a, b, c; callers order operands as their form says. Of a scalar's result only
 * the low lane is defined. */
u32 fp_fma(u32 mxcsr, void *d, const void *a, const void *b, const void *c, unsigned signs, bool dbl,
           bool scalar);
/* The same in software, for hosts without FMA; one lane. */
u32 fp_soft_fma32(u32 mxcsr, u32 *d, u32 a, u32 b, u32 c);
u32 fp_soft_fma64(u32 mxcsr, u64 *d, u64 a, u64 b, u64 c);

/* How an operation rounds to its result's format; NOT: it cannot overflow or underflow. */
enum fp_rounding {
    FP_ROUNDS_NOT,
    FP_ROUNDS_ADD,
    FP_ROUNDS_SUB,
    FP_ROUNDS_MUL,
    FP_ROUNDS_DIV,
    FP_ROUNDS_FMA,       /* signs put into a and c */
    FP_ROUNDS_TO_SINGLE, /* a double b */
};
/* Would a result that over- or underflowed be inexact if exponents had no bounds? (An unmasked
 * overflow or underflow reports PE only then.) Finite operands. */
bool fp_soft_inexact(u32 mxcsr, enum fp_rounding op, bool dbl, u64 a, u64 b, u64 c);

/* RCP and RSQRT of one single: the exact value rounded to nearest even at 12 significant bits;
 * denormal sources count as zero, tiny results become zero, no flags. Not what any chip returns,
 * but within the manual's 1.5 * 2^-12, and the same on every host. */
u32 fp_soft_rcp(u32 a);
u32 fp_soft_rsqrt(u32 a);

/* Half precision, one lane. [SDM2 "VCVTPH2PS", "VCVTPS2PH"] DAZ does not touch half-precision
 * sources, FTZ does not touch half-precision results. */
u32 fp_soft_ph2ps(u32 *d, u16 a);
u32 fp_soft_ps2ph(u32 mxcsr, u16 *d, u32 a, unsigned rc);

#endif
