/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 arithmetic, one operation at a time: the interface between the semantics of instructions
 * (x87_*.c) and whatever computes. fpu_x86.c runs operations on the host's x87 under the guest's
 * control word, unmasked exceptions included: they are collected before anything could deliver them,
 * so wrapped exponents and untouched destinations are the instruction's own.
 *
 * Every function returns the status word it ends with: exception flags, C0-C3. Operands are never
 * empty: stack faults are the callers'. */
#ifndef VITRINE_CPU_EXEC_FPU_H
#define VITRINE_CPU_EXEC_FPU_H

#include "abi/x86/fpu.h"
#include "cpu/cpu.h"

enum fpu_op { FPU_ADD, FPU_MUL, FPU_SUB, FPU_SUBR, FPU_DIV, FPU_DIVR };
/* Format of a source or destination outside the registers. */
enum fpu_format { FPU_REG, FPU_M32, FPU_M64 };

/* d = a op src; the R forms: src op a. src: struct f80, or 4 or 8 bytes. */
u16 fpu_arith(u16 fcw, enum fpu_op op, enum fpu_format format, struct f80 *d, const struct f80 *a,
              const void *src);
/* FCOM, FUCOM (quiet; registers only): C3 C2 C0. */
u16 fpu_compare(u16 fcw, bool quiet, enum fpu_format format, const struct f80 *a, const void *src);

/* d = op(st0), or op(st0, st1) */
enum fpu_function { FPU_SQRT, FPU_RNDINT, FPU_TST, FPU_SCALE, FPU_PREM, FPU_PREM1 };
u16 fpu_function(u16 fcw, enum fpu_function op, struct f80 *d, const struct f80 *st0,
                 const struct f80 *st1);
u16 fpu_xtract(u16 fcw, struct f80 *exponent, struct f80 *significand, const struct f80 *a);

/* FLD m32, m64. */
u16 fpu_load(u16 fcw, enum fpu_format format, struct f80 *d, const void *src);
enum fpu_constant { FPU_ONE, FPU_L2T, FPU_L2E, FPU_PI, FPU_LG2, FPU_LN2, FPU_ZERO };
void fpu_constant(u16 fcw, enum fpu_constant which, struct f80 *d);

/* FST, FIST, FISTTP, FBSTP: up to 10 bytes to dst, which stays as it was when an unmasked exception
 * forbids the store. */
enum fpu_store {
    FPU_STORE_M32, FPU_STORE_M64, FPU_STORE_I16, FPU_STORE_I32, FPU_STORE_I64,
    FPU_STORE_T16, FPU_STORE_T32, FPU_STORE_T64, FPU_STORE_BCD
};
u16 fpu_store(u16 fcw, enum fpu_store format, void *dst, const struct f80 *a);

/* ---- in software on every host (fpu_soft.c) ----------------------------------------------- */

void fpu_from_int(struct f80 *d, i64 v);
/* FBLD: 18 digits and sign; digits above 9 count as what they are. */
void fpu_from_bcd(struct f80 *d, const u8 bcd[10]);

/* Transcendentals. Arguments are finite, not zero and in the instruction's range unless said
 * otherwise; the result is correctly rounded from 113 bits; precision control has no effect. */
enum fpu_transcendental { FPU_SIN, FPU_COS, FPU_TAN, FPU_2XM1, FPU_ATAN2, FPU_YL2X, FPU_YL2XP1 };
/* ATAN2 (any but NaN), YL2X, YL2XP1: y and x. Others: x. */
u16 fpu_transcendental(u16 fcw, enum fpu_transcendental op, struct f80 *d, const struct f80 *y,
                       const struct f80 *x);

#endif
