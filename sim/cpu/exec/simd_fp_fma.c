/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FMA: VF[N]M{ADD,SUB}{132,213,231}{PS,PD,SS,SD}, VFMADDSUB*, VFMSUBADD*. */
#include "cpu/exec/simd_fp.h"

/* Which operands multiply: [SDM2 "VFMADD132PD"]: 132: r0 * r2 + r1; 213: r1 * r0 + r2;
 * 231: r1 * r2 + r0. The order of the factors decides which NaN wins. */
enum fma_order { FMA_132, FMA_213, FMA_231 };

#define NEGATE_PRODUCT 1
#define NEGATE_ADDEND 2
/* The addend's sign alternates: lanes of this parity have it negated. */
enum fma_alternate { FMA_PLAIN, FMA_ADDSUB, FMA_SUBADD };

/* Negate every second addend from lane `first`; a NaN keeps its sign. */
static void negate_lanes(struct vec *v, unsigned first, unsigned size)
{
    u64 sign = size == 8 ? BIT(63) : BIT(31);
    u64 inf = size == 8 ? 0x7ff0000000000000u : 0x7f800000u;
    for (unsigned at = first * size; at < 32; at += 2 * size) {
        u64 e = load_le(v->b + at, size);
        if ((e & ~sign) <= inf) {
            store_le(v->b + at, e ^ sign, size);
        }
    }
}

static cpu_rc fused(struct cpu *cpu, const struct insn *in, enum fma_order order, unsigned size, bool scalar,
                  unsigned signs, enum fma_alternate alternate)
{
    struct vec r0, r1, r2, d;
    unsigned bytes = scalar ? size : in->osz;
    TRY(vec_read(cpu, in, 2, bytes, &r2));
    TRY(vec_read(cpu, in, 1, 32, &r1));
    TRY(vec_read(cpu, in, 0, 32, &r0));
    struct vec *x = order == FMA_132 ? &r0 : &r1;
    struct vec *y = order == FMA_213 ? &r0 : &r2;
    struct vec *z = order == FMA_132 ? &r1 : order == FMA_213 ? &r2 : &r0;
    struct vec addend = *z;
    if (alternate != FMA_PLAIN) {
        negate_lanes(&addend, alternate == FMA_ADDSUB ? 0 : 1, size);
    }
    struct fp_call call = {.kind = FP_FMA,
                           .src = (u8)size,
                           .dst = (u8)size,
                           .lanes = (u8)(scalar ? 1 : 16 / size),
                           .param = (u8)signs,
                           .rounds = FP_ROUNDS_FMA};
    TRY(fp_execute(cpu, &call, scalar ? 1 : in->osz / 16, &d, x, y, &addend));
    if (scalar) {
        memcpy(r0.b, d.b, size);
        vec_write(cpu, in, &r0, 16);
    } else {
        vec_write(cpu, in, &d, in->osz);
    }
    return CPU_OK;
}

#define FORM(name, order, size, scalar, signs, alternate)                                          \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return fused(cpu, in, order, size, scalar, signs, alternate);                                \
    }

#define PACKED(op, n, signs, alternate)                                                            \
    FORM(op##n##ps, FMA_##n, 4, false, signs, alternate)                                           \
    FORM(op##n##pd, FMA_##n, 8, false, signs, alternate)

#define ALL(op, n, signs)                                                                          \
    PACKED(op, n, signs, FMA_PLAIN)                                                                \
    FORM(op##n##ss, FMA_##n, 4, true, signs, FMA_PLAIN)                                            \
    FORM(op##n##sd, FMA_##n, 8, true, signs, FMA_PLAIN)

ALL(vfmadd, 132, 0)
ALL(vfmadd, 213, 0)
ALL(vfmadd, 231, 0)
ALL(vfmsub, 132, NEGATE_ADDEND)
ALL(vfmsub, 213, NEGATE_ADDEND)
ALL(vfmsub, 231, NEGATE_ADDEND)
ALL(vfnmadd, 132, NEGATE_PRODUCT)
ALL(vfnmadd, 213, NEGATE_PRODUCT)
ALL(vfnmadd, 231, NEGATE_PRODUCT)
ALL(vfnmsub, 132, NEGATE_PRODUCT | NEGATE_ADDEND)
ALL(vfnmsub, 213, NEGATE_PRODUCT | NEGATE_ADDEND)
ALL(vfnmsub, 231, NEGATE_PRODUCT | NEGATE_ADDEND)
PACKED(vfmaddsub, 132, 0, FMA_ADDSUB)
PACKED(vfmaddsub, 213, 0, FMA_ADDSUB)
PACKED(vfmaddsub, 231, 0, FMA_ADDSUB)
PACKED(vfmsubadd, 132, 0, FMA_SUBADD)
PACKED(vfmsubadd, 213, 0, FMA_SUBADD)
PACKED(vfmsubadd, 231, 0, FMA_SUBADD)
