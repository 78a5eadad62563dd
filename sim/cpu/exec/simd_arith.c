/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packed integer arithmetic: add, subtract, multiply, minimum, maximum, average, absolute value,
 * sign, horizontal sums, sums of absolute differences. MMX, SSE and AVX forms share a handler;
 * simd_opr.h explains how. [SDM2], each under its own name. */
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

/* The same with one source x. */
#define LANES1(name, type, field, expr)                                          \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a) \
    {                                                                            \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                     \
            type x = a->field[i];                                                \
            d->field[i] = (type)(expr);                                          \
        }                                                                        \
    }                                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                   \
    {                                                                            \
        return simd_unary(cpu, in, lanes_##name);                                \
    }

LANES2(paddb, u8, b, x + y)
LANES2(paddw, u16, w, x + y)
LANES2(paddd, u32, d, x + y)
LANES2(paddq, u64, q, x + y)
LANES2(psubb, u8, b, x - y)
LANES2(psubw, u16, w, x - y)
LANES2(psubd, u32, d, x - y)
LANES2(psubq, u64, q, x - y)
LANES2(paddsb, i8, sb, sat_i8(x + y))
LANES2(paddsw, i16, sw, sat_i16(x + y))
LANES2(paddusb, u8, b, sat_u8(x + y))
LANES2(paddusw, u16, w, sat_u16(x + y))
LANES2(psubsb, i8, sb, sat_i8(x - y))
LANES2(psubsw, i16, sw, sat_i16(x - y))
LANES2(psubusb, u8, b, sat_u8(x - y))
LANES2(psubusw, u16, w, sat_u16(x - y))
LANES2(pavgb, u8, b, (x + y + 1) >> 1)
LANES2(pavgw, u16, w, (x + y + 1) >> 1)

LANES2(pminub, u8, b, x < y ? x : y)
LANES2(pminuw, u16, w, x < y ? x : y)
LANES2(pminud, u32, d, x < y ? x : y)
LANES2(pminsb, i8, sb, x < y ? x : y)
LANES2(pminsw, i16, sw, x < y ? x : y)
LANES2(pminsd, i32, sd, x < y ? x : y)
LANES2(pmaxub, u8, b, x > y ? x : y)
LANES2(pmaxuw, u16, w, x > y ? x : y)
LANES2(pmaxud, u32, d, x > y ? x : y)
LANES2(pmaxsb, i8, sb, x > y ? x : y)
LANES2(pmaxsw, i16, sw, x > y ? x : y)
LANES2(pmaxsd, i32, sd, x > y ? x : y)

LANES2(pmullw, i16, sw, x *y)
LANES2(pmulhw, i16, sw, (x * y) >> 16)
LANES2(pmulhuw, u16, w, ((u32)x * y) >> 16)
LANES2(pmulhrsw, i16, sw, (((x * y) >> 14) + 1) >> 1)
LANES2(pmulld, u32, d, x *y)
LANES2(pmuludq, u64, q, (x & 0xffffffff) * (y & 0xffffffff))
LANES2(pmuldq, i64, sq, (i64)(i32)x *(i32)y)

LANES2(psignb, i8, sb, y < 0 ? -x : y == 0 ? 0 : x)
LANES2(psignw, i16, sw, y < 0 ? -x : y == 0 ? 0 : x)
LANES2(psignd, i32, sd, y < 0 ? (i32)(0 - (u32)x) : y == 0 ? 0 : x)

LANES1(pabsb, i8, sb, x < 0 ? -x : x)
LANES1(pabsw, i16, sw, x < 0 ? -x : x)
LANES1(pabsd, i32, sd, x < 0 ? (i32)(0 - (u32)x) : x)

/* Only 8000h * 8000h twice leaves 32 bits, and wraps. */
static void lanes_pmaddwd(union vec *restrict d, const union vec *restrict a,
                          const union vec *restrict b)
{
    for (unsigned i = 0; i < 8; i++) {
        i32 low = a->sw[2 * i] * b->sw[2 * i];
        i32 high = a->sw[2 * i + 1] * b->sw[2 * i + 1];
        d->d[i] = (u32)low + (u32)high;
    }
}

cpu_rc exec_pmaddwd(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_pmaddwd, lanes_pmaddwd);
}

/* The first source is unsigned, the second signed. */
static void lanes_pmaddubsw(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b)
{
    for (unsigned i = 0; i < 16; i++) {
        d->sw[i] = sat_i16(a->b[2 * i] * b->sb[2 * i] + a->b[2 * i + 1] * b->sb[2 * i + 1]);
    }
}

cpu_rc exec_pmaddubsw(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_pmaddubsw, lanes_pmaddubsw);
}

static u32 abs_diff(u8 x, u8 y)
{
    return x > y ? (u32)(x - y) : (u32)(y - x);
}

static void lanes_psadbw(union vec *restrict d, const union vec *restrict a,
                         const union vec *restrict b)
{
    for (unsigned i = 0; i < 4; i++) {
        u32 sum = 0;
        for (unsigned k = 0; k < 8; k++) {
            sum += abs_diff(a->b[8 * i + k], b->b[8 * i + k]);
        }
        d->q[i] = sum;
    }
}

cpu_rc exec_psadbw(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_psadbw, lanes_psadbw);
}

/* Eight sums per 128-bit lane: four bytes of the second source, at an offset the immediate gives,
 * against a window sliding over the first. Bits 0-2 are the low lane's, 3-5 the high lane's. */
static void lanes_mpsadbw(union vec *restrict d, const union vec *restrict a,
                          const union vec *restrict b, unsigned imm)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        unsigned sel = imm >> (3 * lane);
        const u8 *x = &a->b[16 * lane + (sel & 4)];
        const u8 *y = &b->b[16 * lane + 4 * (sel & 3)];
        for (unsigned i = 0; i < 8; i++) {
            u32 sum = 0;
            for (unsigned k = 0; k < 4; k++) {
                sum += abs_diff(x[i + k], y[k]);
            }
            d->w[8 * lane + i] = (u16)sum;
        }
    }
}

cpu_rc exec_mpsadbw(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_mpsadbw, NULL);
}

static void lanes_phminposuw(union vec *restrict d, const union vec *restrict a)
{
    unsigned pos = 0;
    for (unsigned i = 1; i < 8; i++) {
        if (a->w[i] < a->w[pos]) {
            pos = i;
        }
    }
    memset(d, 0, sizeof *d);
    d->w[0] = a->w[pos];
    d->w[1] = (u16)pos;
}

cpu_rc exec_phminposuw(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_phminposuw);
}

/* Horizontal operations: in each 128-bit lane neighbours of the first source give the low half, of
 * the second the high half. An MMX form is the low half of that with the two sources joined. */
#define HORIZONTAL(name, type, field, expr)                                            \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a,       \
                             const union vec *restrict b)                              \
    {                                                                                  \
        unsigned n = ARRAY_LEN(d->field) / 4;                                          \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                           \
            unsigned lane = i / (2 * n), k = i % (2 * n);                              \
            const type *s = &(k < n ? a : b)->field[2 * n * lane + 2 * (k % n)];       \
            type x = s[0], y = s[1];                                                   \
            d->field[i] = (type)(expr);                                                \
        }                                                                              \
    }                                                                                  \
    static void lanes_##name##_mmx(union vec *restrict d, const union vec *restrict a, \
                                   const union vec *restrict b)                        \
    {                                                                                  \
        union vec joined = {.q = {a->q[0], b->q[0]}};                                  \
        lanes_##name(d, &joined, &joined);                                             \
    }                                                                                  \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                         \
    {                                                                                  \
        return simd_binary(cpu, in, lanes_##name, lanes_##name##_mmx);                 \
    }

HORIZONTAL(phaddw, i16, sw, x + y)
HORIZONTAL(phaddd, u32, d, x + y)
HORIZONTAL(phaddsw, i16, sw, sat_i16(x + y))
HORIZONTAL(phsubw, i16, sw, x - y)
HORIZONTAL(phsubd, u32, d, x - y)
HORIZONTAL(phsubsw, i16, sw, sat_i16(x - y))
