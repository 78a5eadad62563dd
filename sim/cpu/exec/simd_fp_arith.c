/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ADD SUB MUL DIV MIN MAX SQRT CMP COMIS UCOMIS ROUND HADD HSUB ADDSUB DPP RCP RSQRT, legacy and
 * VEX: one handler for both, which looks at the prefix. */
#include "cpu/exec/simd.h"
#include "cpu/exec/simd_fp.h"

/* Two sources, `in->osz` bytes. */
static cpu_rc packed_binary(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec a, b;
    TRY(vec_read(cpu, in, insn_src2(in), in->osz, &b));
    TRY(vec_read(cpu, in, insn_src1(in), in->osz, &a));
    TRY(fp_execute(cpu, call, in->osz / 16, &a, &a, &b, NULL));
    vec_write(cpu, in, &a, in->osz);
    return CPU_OK;
}

/* One source. */
static cpu_rc packed_unary(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec b;
    TRY(vec_read(cpu, in, 1, in->osz, &b));
    TRY(fp_execute(cpu, call, in->osz / 16, &b, NULL, &b, NULL));
    vec_write(cpu, in, &b, in->osz);
    return CPU_OK;
}

/* Low lane; the rest comes from the first source. */
static cpu_rc scalar_binary(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec a, b;
    TRY(vec_read(cpu, in, insn_src2(in), call->src, &b));
    TRY(vec_read(cpu, in, insn_src1(in), 16, &a));
    TRY(fp_execute(cpu, call, 1, &a, &a, &b, NULL));
    vec_write(cpu, in, &a, 16);
    return CPU_OK;
}

/* Handler of one instruction: shape, backend function, lanes of 16 bytes, element size. */
#define HANDLER(name, shape, backend, count, size, rounding)                                       \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        static const struct fp_call call = {                                                       \
            .fn = (backend), .src = (size), .dst = (size), .lanes = (count), .rounds = (rounding)}; \
        return shape(cpu, in, &call);                                                              \
    }

HANDLER(addps, packed_binary, fp_addps, 4, 4, FP_ROUNDS_ADD)
HANDLER(addpd, packed_binary, fp_addpd, 2, 8, FP_ROUNDS_ADD)
HANDLER(addss, scalar_binary, fp_addss, 1, 4, FP_ROUNDS_ADD)
HANDLER(addsd, scalar_binary, fp_addsd, 1, 8, FP_ROUNDS_ADD)
HANDLER(subps, packed_binary, fp_subps, 4, 4, FP_ROUNDS_SUB)
HANDLER(subpd, packed_binary, fp_subpd, 2, 8, FP_ROUNDS_SUB)
HANDLER(subss, scalar_binary, fp_subss, 1, 4, FP_ROUNDS_SUB)
HANDLER(subsd, scalar_binary, fp_subsd, 1, 8, FP_ROUNDS_SUB)
HANDLER(mulps, packed_binary, fp_mulps, 4, 4, FP_ROUNDS_MUL)
HANDLER(mulpd, packed_binary, fp_mulpd, 2, 8, FP_ROUNDS_MUL)
HANDLER(mulss, scalar_binary, fp_mulss, 1, 4, FP_ROUNDS_MUL)
HANDLER(mulsd, scalar_binary, fp_mulsd, 1, 8, FP_ROUNDS_MUL)
HANDLER(divps, packed_binary, fp_divps, 4, 4, FP_ROUNDS_DIV)
HANDLER(divpd, packed_binary, fp_divpd, 2, 8, FP_ROUNDS_DIV)
HANDLER(divss, scalar_binary, fp_divss, 1, 4, FP_ROUNDS_DIV)
HANDLER(divsd, scalar_binary, fp_divsd, 1, 8, FP_ROUNDS_DIV)
HANDLER(minps, packed_binary, fp_minps, 4, 4, FP_ROUNDS_NOT)
HANDLER(minpd, packed_binary, fp_minpd, 2, 8, FP_ROUNDS_NOT)
HANDLER(minss, scalar_binary, fp_minss, 1, 4, FP_ROUNDS_NOT)
HANDLER(minsd, scalar_binary, fp_minsd, 1, 8, FP_ROUNDS_NOT)
HANDLER(maxps, packed_binary, fp_maxps, 4, 4, FP_ROUNDS_NOT)
HANDLER(maxpd, packed_binary, fp_maxpd, 2, 8, FP_ROUNDS_NOT)
HANDLER(maxss, scalar_binary, fp_maxss, 1, 4, FP_ROUNDS_NOT)
HANDLER(maxsd, scalar_binary, fp_maxsd, 1, 8, FP_ROUNDS_NOT)
HANDLER(sqrtps, packed_unary, fp_sqrtps, 4, 4, FP_ROUNDS_NOT)
HANDLER(sqrtpd, packed_unary, fp_sqrtpd, 2, 8, FP_ROUNDS_NOT)
HANDLER(sqrtss, scalar_binary, fp_sqrtss, 1, 4, FP_ROUNDS_NOT)
HANDLER(sqrtsd, scalar_binary, fp_sqrtsd, 1, 8, FP_ROUNDS_NOT)

/* ---- CMP, COMIS, UCOMIS ------------------------------------------------------------------- */

static struct fp_call cmp_call(const struct insn *in, u8 size, u8 lanes)
{
    u8 mask = insn_is_vex(in) ? 31 : 7;
    return (struct fp_call){.kind = FP_CMP,
                            .src = size,
                            .dst = size,
                            .lanes = lanes,
                            .param = (u8)(in->imm & mask)};
}

cpu_rc exec_cmpps(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = cmp_call(in, 4, 4);
    return packed_binary(cpu, in, &call);
}

cpu_rc exec_cmppd(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = cmp_call(in, 8, 2);
    return packed_binary(cpu, in, &call);
}

cpu_rc exec_cmpss(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = cmp_call(in, 4, 1);
    return scalar_binary(cpu, in, &call);
}

cpu_rc exec_cmpsd_sse(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = cmp_call(in, 8, 1);
    return scalar_binary(cpu, in, &call);
}

cpu_rc exec_vcmpsd(struct cpu *cpu, const struct insn *in)
{
    return exec_cmpsd_sse(cpu, in);
}

/* Both forms have two operands. OF, SF and AF become 0. */
static cpu_rc compare_to_flags(struct cpu *cpu, const struct insn *in, bool dbl, bool signalling)
{
    struct vec a, b;
    u32 rflags = 0;
    TRY(vec_read(cpu, in, 1, dbl ? 8 : 4, &b));
    TRY(vec_read(cpu, in, 0, 16, &a));
    TRY(fp_finish_one(cpu, fp_comi(cpu->arch.mxcsr, &rflags, a.b, b.b, dbl, signalling)));
    flags_set_arith(cpu, rflags);
    return CPU_OK;
}

cpu_rc exec_comiss(struct cpu *cpu, const struct insn *in)
{
    return compare_to_flags(cpu, in, false, true);
}

cpu_rc exec_comisd(struct cpu *cpu, const struct insn *in)
{
    return compare_to_flags(cpu, in, true, true);
}

cpu_rc exec_ucomiss(struct cpu *cpu, const struct insn *in)
{
    return compare_to_flags(cpu, in, false, false);
}

cpu_rc exec_ucomisd(struct cpu *cpu, const struct insn *in)
{
    return compare_to_flags(cpu, in, true, false);
}

/* ---- ROUND -------------------------------------------------------------------------------- */

static struct fp_call round_call(const struct insn *in, u8 size, u8 lanes)
{
    return (struct fp_call){.kind = FP_ROUND,
                            .src = size,
                            .dst = size,
                            .lanes = lanes,
                            .param = (u8)in->imm};
}

cpu_rc exec_roundps(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = round_call(in, 4, 4);
    return packed_unary(cpu, in, &call);
}

cpu_rc exec_roundpd(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = round_call(in, 8, 2);
    return packed_unary(cpu, in, &call);
}

cpu_rc exec_roundss(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = round_call(in, 4, 1);
    return scalar_binary(cpu, in, &call);
}

cpu_rc exec_roundsd(struct cpu *cpu, const struct insn *in)
{
    struct fp_call call = round_call(in, 8, 1);
    return scalar_binary(cpu, in, &call);
}

/* ---- horizontal and alternating ----------------------------------------------------------- */

static const struct fp_call call_addps = {
    .fn = fp_addps, .src = 4, .dst = 4, .lanes = 4, .rounds = FP_ROUNDS_ADD};
static const struct fp_call call_addpd = {
    .fn = fp_addpd, .src = 8, .dst = 8, .lanes = 2, .rounds = FP_ROUNDS_ADD};
static const struct fp_call call_subps = {
    .fn = fp_subps, .src = 4, .dst = 4, .lanes = 4, .rounds = FP_ROUNDS_SUB};
static const struct fp_call call_subpd = {
    .fn = fp_subpd, .src = 8, .dst = 8, .lanes = 2, .rounds = FP_ROUNDS_SUB};

/* Within each 16 bytes, the elements of even (0) or odd (1) number of a, then of b. */
static struct vec gather_pairs(const struct vec *a, const struct vec *b, unsigned odd, unsigned size)
{
    struct vec out;
    unsigned half = 8 / size;
    for (unsigned at = 0; at < 32; at += 16) {
        for (unsigned i = 0; i < half; i++) {
            memcpy(out.b + at + i * size, a->b + at + (2 * i + odd) * size, size);
            memcpy(out.b + at + 8 + i * size, b->b + at + (2 * i + odd) * size, size);
        }
    }
    return out;
}

static cpu_rc horizontal(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec a, b;
    TRY(vec_read(cpu, in, insn_src2(in), in->osz, &b));
    TRY(vec_read(cpu, in, insn_src1(in), in->osz, &a));
    struct vec even = gather_pairs(&a, &b, 0, call->src);
    struct vec odd = gather_pairs(&a, &b, 1, call->src);
    TRY(fp_execute(cpu, call, in->osz / 16, &a, &even, &odd, NULL));
    vec_write(cpu, in, &a, in->osz);
    return CPU_OK;
}

cpu_rc exec_haddps(struct cpu *cpu, const struct insn *in)
{
    return horizontal(cpu, in, &call_addps);
}

cpu_rc exec_haddpd(struct cpu *cpu, const struct insn *in)
{
    return horizontal(cpu, in, &call_addpd);
}

cpu_rc exec_hsubps(struct cpu *cpu, const struct insn *in)
{
    return horizontal(cpu, in, &call_subps);
}

cpu_rc exec_hsubpd(struct cpu *cpu, const struct insn *in)
{
    return horizontal(cpu, in, &call_subpd);
}

/* a - b is a + (-b), a NaN keeping its sign. */
static void negate_element(u8 *p, unsigned size)
{
    u64 v = load_le(p, size);
    u64 sign = size == 8 ? BIT(63) : BIT(31);
    u64 inf = size == 8 ? 0x7ff0000000000000u : 0x7f800000u;
    if ((v & ~sign) <= inf) {
        store_le(p, v ^ sign, size);
    }
}

static cpu_rc alternating(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec a, b;
    TRY(vec_read(cpu, in, insn_src2(in), in->osz, &b));
    TRY(vec_read(cpu, in, insn_src1(in), in->osz, &a));
    for (unsigned at = 0; at < in->osz; at += 2u * call->src) {
        negate_element(b.b + at, call->src);
    }
    TRY(fp_execute(cpu, call, in->osz / 16, &a, &a, &b, NULL));
    vec_write(cpu, in, &a, in->osz);
    return CPU_OK;
}

cpu_rc exec_addsubps(struct cpu *cpu, const struct insn *in)
{
    return alternating(cpu, in, &call_addps);
}

cpu_rc exec_addsubpd(struct cpu *cpu, const struct insn *in)
{
    return alternating(cpu, in, &call_addpd);
}

/* ---- dot products ------------------------------------------------------------------------- */

static const struct fp_call call_mulps = {
    .fn = fp_mulps, .src = 4, .dst = 4, .lanes = 4, .rounds = FP_ROUNDS_MUL};
static const struct fp_call call_mulpd = {
    .fn = fp_mulpd, .src = 8, .dst = 8, .lanes = 2, .rounds = FP_ROUNDS_MUL};

/* Elements that imm8 does not select become +0. */
static void keep_selected(struct vec *v, unsigned select, unsigned size)
{
    for (unsigned at = 0; at < 32; at += size) {
        if ((select >> (at % 16 / size) & 1) == 0) {
            memset(v->b + at, 0, size);
        }
    }
}

/* Within each 16 bytes, every element moved to the place `distance` away (exclusive or). */
static struct vec exchange(const struct vec *v, unsigned distance, unsigned size)
{
    struct vec out;
    for (unsigned at = 0; at < 32; at += size) {
        memcpy(out.b + at, v->b + (at ^ (distance * size)), size);
    }
    return out;
}

/* Multiply, add neighbours, add pairs: each step rounds and raises by itself. [SDM2 "DPPS"] Every
 * place computes its own sum, so that where several terms are NaNs places differ. The first step of
 * DPPS has the neighbour as its first operand, all others the place itself (found on the host). */
static cpu_rc dot_product(struct cpu *cpu, const struct insn *in, const struct fp_call *mul,
                          const struct fp_call *add)
{
    struct vec a, b;
    unsigned size = mul->src;
    unsigned chunks = in->osz / 16;
    TRY(vec_read(cpu, in, insn_src2(in), in->osz, &b));
    TRY(vec_read(cpu, in, insn_src1(in), in->osz, &a));
    keep_selected(&a, (unsigned)(in->imm >> 4), size);
    keep_selected(&b, (unsigned)(in->imm >> 4), size);
    TRY(fp_execute(cpu, mul, chunks, &a, &a, &b, NULL));
    for (unsigned distance = 1; distance * size < 16; distance *= 2) {
        struct vec other = exchange(&a, distance, size);
        if (size == 4 && distance == 1) {
            TRY(fp_execute(cpu, add, chunks, &a, &other, &a, NULL));
        } else {
            TRY(fp_execute(cpu, add, chunks, &a, &a, &other, NULL));
        }
    }
    keep_selected(&a, (unsigned)in->imm, size);
    vec_write(cpu, in, &a, in->osz);
    return CPU_OK;
}

cpu_rc exec_dpps(struct cpu *cpu, const struct insn *in)
{
    return dot_product(cpu, in, &call_mulps, &call_addps);
}

cpu_rc exec_dppd(struct cpu *cpu, const struct insn *in)
{
    return dot_product(cpu, in, &call_mulpd, &call_addpd);
}

/* ---- estimates ---------------------------------------------------------------------------- */

static cpu_rc estimate(struct cpu *cpu, const struct insn *in, u32 (*fn)(u32), bool scalar)
{
    struct vec a, b;
    unsigned size = scalar ? 4 : in->osz;
    TRY(vec_read(cpu, in, scalar ? insn_src2(in) : 1, size, &b));
    TRY(vec_read(cpu, in, scalar ? insn_src1(in) : 0, 16, &a));
    for (unsigned at = 0; at < size; at += 4) {
        store_le32(a.b + at, fn(load_le32(b.b + at)));
    }
    vec_write(cpu, in, &a, scalar ? 16 : in->osz);
    return CPU_OK;
}

cpu_rc exec_rcpps(struct cpu *cpu, const struct insn *in)
{
    return estimate(cpu, in, fp_soft_rcp, false);
}

cpu_rc exec_rcpss(struct cpu *cpu, const struct insn *in)
{
    return estimate(cpu, in, fp_soft_rcp, true);
}

cpu_rc exec_rsqrtps(struct cpu *cpu, const struct insn *in)
{
    return estimate(cpu, in, fp_soft_rsqrt, false);
}

cpu_rc exec_rsqrtss(struct cpu *cpu, const struct insn *in)
{
    return estimate(cpu, in, fp_soft_rsqrt, true);
}
