/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operands of vector instructions, and the shapes most of them share.
 *
 * A lane function computes all 32 bytes of a result from whole sources: fixed trip counts that the
 * compiler vectorises. How much of it counts (8 bytes for MMX, 16, 32) and what happens to the rest
 * of the destination is decided here when it is written:
 *   MMX      the 64-bit register; exponent all ones, TOP = 0, all tags valid
 *   legacy   the low 16 bytes, the upper half of the YMM register stays
 *   VEX      16 or 32 bytes, the rest is zero
 *
 * One handler serves all forms of an operation: legacy forms have the first source in r[0], VEX
 * forms in r[1] (`simd_first`). The vector length is PFX_VEX_L, whatever the other operands are.
 * How many bytes a memory operand has, the decoder knows (insn_mem_size). */
#ifndef VITRINE_CPU_EXEC_SIMD_OPR_H
#define VITRINE_CPU_EXEC_SIMD_OPR_H

#include "cpu/exec/exec.h"

#include <string.h>

union vec {
    u8 b[32];
    u16 w[16];
    u32 d[8];
    u64 q[4];
    i8 sb[32];
    i16 sw[16];
    i32 sd[8];
    i64 sq[4];
} __attribute__((aligned(32)));

static inline bool simd_is_vex(const struct insn *in)
{
    return (in->pfx & PFX_VEX) != 0;
}

static inline unsigned simd_len(const struct insn *in)
{
    return (in->pfx & PFX_VEX_L) != 0 ? 32 : 16;
}

/* Index in in->r[] of the first source of a two-source operation; the second follows it. */
static inline unsigned simd_first(const struct insn *in)
{
    return simd_is_vex(in) ? 1 : 0;
}

static inline unsigned simd_imm8(const struct insn *in)
{
    return (unsigned)(in->imm & 0xff);
}

static inline bool opr_is_mmx(unsigned r)
{
    return (r & 0xf8) == OPR_MMX;
}

static inline bool opr_is_vec(unsigned r)
{
    return (r & 0xf0) == OPR_VEC;
}

/* [SDM3 "Effect of MMX, x87 FPU, FXSAVE, and FXRSTOR Instructions on the x87 FPU Tag Word"]: every
 * MMX instruction but EMMS, also one that only reads. */
static inline void mmx_enter(struct cpu *cpu)
{
    cpu->arch.fpu.fsw = (u16)(cpu->arch.fpu.fsw & ~0x3800u);
    cpu->arch.fpu.tags = 0xff;
}

static inline u64 mmx_read(const struct cpu *cpu, unsigned r)
{
    return cpu->arch.fpu.r[r & 7].mant;
}

static inline void mmx_write(struct cpu *cpu, unsigned r, u64 v)
{
    mmx_enter(cpu);
    cpu->arch.fpu.r[r & 7].mant = v;
    cpu->arch.fpu.r[r & 7].se = 0xffff;
}

/* The memory operand, 1..32 bytes. `align`: 1, or the alignment whose lack is #GP(0). */
cpu_rc simd_mem_read(struct cpu *cpu, const struct insn *in, void *data, unsigned size,
                     unsigned align) MUST_USE;
cpu_rc simd_mem_write(struct cpu *cpu, const struct insn *in, const void *data, unsigned size,
                      unsigned align) MUST_USE;
/* Memory and MMX sources of simd_load: zero beyond their size. */
cpu_rc simd_load_other(struct cpu *cpu, const struct insn *in, unsigned i, union vec *v) MUST_USE;

/* Source operand i: a register whole (VEX.128 and legacy forms ignore the upper half), memory as
 * many bytes as the instruction reads, aligned where legacy SSE demands it. */
static inline MUST_USE cpu_rc simd_load(struct cpu *cpu, const struct insn *in, unsigned i,
                                        union vec *v)
{
    if (LIKELY(opr_is_vec(in->r[i]))) {
        memcpy(v, vec_reg(cpu, in->r[i]), sizeof *v);
        return CPU_OK;
    }
    return simd_load_other(cpu, in, i, v);
}

/* The same without the alignment demand: MOVU*, LDDQU, PCMPxSTRx. */
static inline MUST_USE cpu_rc simd_load_unaligned(struct cpu *cpu, const struct insn *in,
                                                  unsigned i, union vec *v)
{
    if (LIKELY(opr_is_vec(in->r[i]))) {
        memcpy(v, vec_reg(cpu, in->r[i]), sizeof *v);
        return CPU_OK;
    }
    memset(v, 0, sizeof *v);
    return simd_mem_read(cpu, in, v, simd_len(in), 1);
}

/* Destination register r: `len` bytes (16, or 32 with VEX). */
static inline void simd_write_len(struct cpu *cpu, const struct insn *in, unsigned r,
                                  const union vec *v, unsigned len)
{
    u8 *dst = vec_reg(cpu, r);
    if (len == 32) {
        memcpy(dst, v, 32);
    } else {
        memcpy(dst, v, 16);
        if (simd_is_vex(in)) {
            memset(dst + 16, 0, 16);
        }
    }
}

static inline void simd_write(struct cpu *cpu, const struct insn *in, const union vec *v)
{
    simd_write_len(cpu, in, in->r[0], v, simd_len(in));
}

/* Lane functions by number of sources and immediate. d never aliases a source. */
typedef void simd_fn1(union vec *restrict d, const union vec *restrict a);
typedef void simd_fn1i(union vec *restrict d, const union vec *restrict a, unsigned imm);
typedef void simd_fn2(union vec *restrict d, const union vec *restrict a,
                      const union vec *restrict b);
typedef void simd_fn2i(union vec *restrict d, const union vec *restrict a,
                       const union vec *restrict b, unsigned imm);
/* One 128-bit lane, for what the compiler does not vectorise. */
typedef void simd_lane_fn(u8 *restrict d, const u8 *restrict a, const u8 *restrict b, unsigned imm);
typedef void simd_shift_fn(union vec *restrict d, const union vec *restrict a, u64 count);

/* Shapes. The lane function is a constant at every call and is inlined. MMX forms go through the
 * out-of-line ones. */
cpu_rc mmx_unary(struct cpu *cpu, const struct insn *in, simd_fn1 *fn) MUST_USE;
cpu_rc mmx_binary(struct cpu *cpu, const struct insn *in, simd_fn2 *fn) MUST_USE;
cpu_rc mmx_binary_imm(struct cpu *cpu, const struct insn *in, simd_fn2i *fn) MUST_USE;
cpu_rc mmx_shift(struct cpu *cpu, const struct insn *in, simd_shift_fn *fn) MUST_USE;

#define SIMD_SHAPE static inline __attribute__((always_inline)) MUST_USE cpu_rc

/* r[0] = fn(r[1]) */
SIMD_SHAPE simd_unary(struct cpu *cpu, const struct insn *in, simd_fn1 *fn)
{
    union vec a, d;
    if (UNLIKELY(opr_is_mmx(in->r[0]))) {
        return mmx_unary(cpu, in, fn);
    }
    TRY(simd_load(cpu, in, 1, &a));
    fn(&d, &a);
    simd_write(cpu, in, &d);
    return CPU_OK;
}

SIMD_SHAPE simd_unary_imm(struct cpu *cpu, const struct insn *in, simd_fn1i *fn)
{
    union vec a, d;
    TRY(simd_load(cpu, in, 1, &a));
    fn(&d, &a, simd_imm8(in));
    simd_write(cpu, in, &d);
    return CPU_OK;
}

/* r[0] = fn(first, second); `mmx` is the lane function of the MMX form, NULL where there is none.
 */
SIMD_SHAPE simd_binary(struct cpu *cpu, const struct insn *in, simd_fn2 *fn, simd_fn2 *mmx)
{
    union vec a, b, d;
    unsigned first = simd_first(in);
    if (mmx != NULL && UNLIKELY(opr_is_mmx(in->r[0]))) {
        return mmx_binary(cpu, in, mmx);
    }
    TRY(simd_load(cpu, in, first + 1, &b));
    memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);
    fn(&d, &a, &b);
    simd_write(cpu, in, &d);
    return CPU_OK;
}

SIMD_SHAPE simd_binary_imm(struct cpu *cpu, const struct insn *in, simd_fn2i *fn, simd_fn2i *mmx)
{
    union vec a, b, d;
    unsigned first = simd_first(in);
    if (mmx != NULL && UNLIKELY(opr_is_mmx(in->r[0]))) {
        return mmx_binary_imm(cpu, in, mmx);
    }
    TRY(simd_load(cpu, in, first + 1, &b));
    memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);
    fn(&d, &a, &b, simd_imm8(in));
    simd_write(cpu, in, &d);
    return CPU_OK;
}

/* As simd_binary_imm, but only the 128-bit lanes that count are computed. */
SIMD_SHAPE simd_by_lane(struct cpu *cpu, const struct insn *in, simd_lane_fn *fn)
{
    union vec a, b, d;
    unsigned first = simd_first(in);
    TRY(simd_load(cpu, in, first + 1, &b));
    memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);
    for (unsigned at = 0; at < simd_len(in); at += 16) {
        fn(d.b + at, a.b + at, b.b + at, simd_imm8(in));
    }
    simd_write(cpu, in, &d);
    return CPU_OK;
}

/* All lanes of the first source by one count: immediate, or the low quadword of the second. */
SIMD_SHAPE simd_shift(struct cpu *cpu, const struct insn *in, simd_shift_fn *fn)
{
    union vec a, b, d;
    unsigned first = simd_first(in);
    u64 count = simd_imm8(in);
    if (UNLIKELY(opr_is_mmx(in->r[0]))) {
        return mmx_shift(cpu, in, fn);
    }
    if (in->r[first + 1] != OPR_IMM) {
        TRY(simd_load(cpu, in, first + 1, &b));
        count = b.q[0];
    }
    memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);
    fn(&d, &a, count);
    simd_write(cpu, in, &d);
    return CPU_OK;
}

/* Saturation to the named type. */
static inline i8 sat_i8(i32 v)
{
    return (i8)(v < -128 ? -128 : v > 127 ? 127 : v);
}

static inline u8 sat_u8(i32 v)
{
    return (u8)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline i16 sat_i16(i32 v)
{
    return (i16)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static inline u16 sat_u16(i32 v)
{
    return (u16)(v < 0 ? 0 : v > 65535 ? 65535 : v);
}

#endif
