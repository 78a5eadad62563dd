/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logic, comparison, test and shifts of packed integers (the logic of packed floating-point values
 * is the same operation). MMX, SSE and AVX forms share a handler: simd_opr.h. */
#include "cpu/exec/simd_opr.h"

/* LANES2(name, type, field, expr): exec_<name> computes expr of x and y in every lane. */
#define LANES2(name, type, field, expr)                                          \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a, \
                             const union vec *restrict b)                        \
    {                                                                            \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                     \
            type x = a->field[i], y = b->field[i];                               \
            d->field[i] = (type)(expr);                                          \
        }                                                                        \
    }                                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                   \
    {                                                                            \
        return simd_binary(cpu, in, lanes_##name, lanes_##name);                 \
    }

LANES2(pand, u64, q, x &y)
LANES2(pandn, u64, q, ~x &y)
LANES2(por, u64, q, x | y)
LANES2(pxor, u64, q, x ^ y)

LANES2(pcmpeqb, u8, b, x == y ? 0xff : 0)
LANES2(pcmpeqw, u16, w, x == y ? 0xffff : 0)
LANES2(pcmpeqd, u32, d, x == y ? ~0u : 0u)
LANES2(pcmpeqq, u64, q, x == y ? ~(u64)0 : 0)
LANES2(pcmpgtb, i8, sb, x > y ? -1 : 0)
LANES2(pcmpgtw, i16, sw, x > y ? -1 : 0)
LANES2(pcmpgtd, i32, sd, x > y ? -1 : 0)
LANES2(pcmpgtq, i64, sq, x > y ? -1 : 0)

/* Shifts by a count per lane. Logical shifts by the width and more give 0, arithmetic ones the
 * sign. */
LANES2(vpsllvd, u32, d, y < 32 ? x << (y & 31) : 0)
LANES2(vpsllvq, u64, q, y < 64 ? x << (y & 63) : 0)
LANES2(vpsrlvd, u32, d, y < 32 ? x >> (y & 31) : 0)
LANES2(vpsrlvq, u64, q, y < 64 ? x >> (y & 63) : 0)
LANES2(vpsravd, i32, sd, x >> ((u32)y < 32 ? y & 31 : 31))

/* Shifts of all lanes by one 64-bit count n. */
#define SHIFT_LOGICAL(name, type, field, width, expr)                                       \
    static void shift_##name(union vec *restrict d, const union vec *restrict a, u64 count) \
    {                                                                                       \
        if (count >= (width)) {                                                             \
            memset(d, 0, sizeof *d);                                                        \
            return;                                                                         \
        }                                                                                   \
        unsigned n = (unsigned)count;                                                       \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                                \
            type x = a->field[i];                                                           \
            d->field[i] = (type)(expr);                                                     \
        }                                                                                   \
    }                                                                                       \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                              \
    {                                                                                       \
        return simd_shift(cpu, in, shift_##name);                                           \
    }

#define SHIFT_ARITHMETIC(name, type, field, width)                                          \
    static void shift_##name(union vec *restrict d, const union vec *restrict a, u64 count) \
    {                                                                                       \
        unsigned n = count >= (width) ? (width)-1 : (unsigned)count;                        \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                                \
            d->field[i] = (type)(a->field[i] >> n);                                         \
        }                                                                                   \
    }                                                                                       \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                              \
    {                                                                                       \
        return simd_shift(cpu, in, shift_##name);                                           \
    }

SHIFT_LOGICAL(psllw, u16, w, 16, (u32)x << n)
SHIFT_LOGICAL(pslld, u32, d, 32, x << n)
SHIFT_LOGICAL(psllq, u64, q, 64, x << n)
SHIFT_LOGICAL(psrlw, u16, w, 16, x >> n)
SHIFT_LOGICAL(psrld, u32, d, 32, x >> n)
SHIFT_LOGICAL(psrlq, u64, q, 64, x >> n)
SHIFT_ARITHMETIC(psraw, i16, sw, 16)
SHIFT_ARITHMETIC(psrad, i32, sd, 32)

/* Byte shifts within each 128-bit lane. */
static void shift_pslldq(union vec *restrict d, const union vec *restrict a, u64 count)
{
    for (unsigned i = 0; i < 4; i += 2) {
        u128 v = (u128)a->q[i + 1] << 64 | a->q[i];
        v = count > 15 ? 0 : v << (8 * count);
        d->q[i] = (u64)v;
        d->q[i + 1] = (u64)(v >> 64);
    }
}

static void shift_psrldq(union vec *restrict d, const union vec *restrict a, u64 count)
{
    for (unsigned i = 0; i < 4; i += 2) {
        u128 v = (u128)a->q[i + 1] << 64 | a->q[i];
        v = count > 15 ? 0 : v >> (8 * count);
        d->q[i] = (u64)v;
        d->q[i + 1] = (u64)(v >> 64);
    }
}

cpu_rc exec_pslldq(struct cpu *cpu, const struct insn *in)
{
    return simd_shift(cpu, in, shift_pslldq);
}

cpu_rc exec_psrldq(struct cpu *cpu, const struct insn *in)
{
    return simd_shift(cpu, in, shift_psrldq);
}

/* PTEST, VPTEST, VTESTPS, VTESTPD: ZF when r[0] AND r[1] has no bit of `mask`, CF when (NOT r[0])
 * AND r[1] has none; the other flags are 0. */
static cpu_rc test_vectors(struct cpu *cpu, const struct insn *in, u64 mask)
{
    union vec a, b;
    TRY(simd_load(cpu, in, 0, &a));
    TRY(simd_load(cpu, in, 1, &b));
    u64 and = 0, andn = 0;
    for (unsigned i = 0; i < simd_len(in) / 8; i++) {
        and |= a.q[i] & b.q[i];
        andn |= ~a.q[i] & b.q[i];
    }
    flags_set_arith(cpu,
                    ((and&mask) == 0 ? RFLAGS_ZF : 0u) | ((andn & mask) == 0 ? RFLAGS_CF : 0u));
    return CPU_OK;
}

cpu_rc exec_ptest(struct cpu *cpu, const struct insn *in)
{
    return test_vectors(cpu, in, ~(u64)0);
}

cpu_rc exec_vtestps(struct cpu *cpu, const struct insn *in)
{
    return test_vectors(cpu, in, 0x8000000080000000u);
}

cpu_rc exec_vtestpd(struct cpu *cpu, const struct insn *in)
{
    return test_vectors(cpu, in, 0x8000000000000000u);
}

/* PMOVMSKB: the sign bits of eight bytes move into one by a multiplication that has each at its
 * place in the product's highest byte. */
cpu_rc exec_pmovmskb(struct cpu *cpu, const struct insn *in)
{
    union vec a;
    TRY(simd_load(cpu, in, 1, &a));
    bool mmx = opr_is_mmx(in->r[1]);
    unsigned count = mmx ? 1 : simd_len(in) / 8;
    u64 mask = 0;
    for (unsigned i = 0; i < count; i++) {
        mask |= ((a.q[i] >> 7 & 0x0101010101010101u) * 0x0102040810204080u) >> 56 << (8 * i);
    }
    if (mmx) {
        mmx_enter(cpu);
    }
    gpr_write(cpu, in->r[0], 8, mask);
    return CPU_OK;
}

/* Sign bits of all elements of `size` bytes. */
SIMD_SHAPE move_mask(struct cpu *cpu, const struct insn *in, unsigned size)
{
    const u8 *a = vec_reg(cpu, in->r[1]);
    u64 mask = 0;
    for (unsigned i = 0; i < simd_len(in) / size; i++) {
        mask |= (u64)(a[(i + 1) * size - 1] >> 7) << i;
    }
    gpr_write(cpu, in->r[0], 8, mask);
    return CPU_OK;
}

cpu_rc exec_movmskps(struct cpu *cpu, const struct insn *in)
{
    return move_mask(cpu, in, 4);
}

cpu_rc exec_movmskpd(struct cpu *cpu, const struct insn *in)
{
    return move_mask(cpu, in, 8);
}
