/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector moves of all kinds: whole registers, scalars and halves, general registers, MMX,
 * broadcasts, widening moves, non-temporal stores, VZEROALL and VZEROUPPER, EMMS; AMD's bit-field
 * moves (SSE4A). Conditional moves are in simd_mask.c. Non-temporal hints have no effect here. */
#include "cpu/exec/simd.h"
#include "cpu/exec/simd_opr.h"

/* A whole register to or from r[0], r[1]; memory aligned to its size if `aligned`. */
SIMD_SHAPE move_whole(struct cpu *cpu, const struct insn *in, bool aligned)
{
    unsigned len = simd_len(in);
    union vec v;
    if (in->r[0] == OPR_MEM) {
        return simd_mem_write(cpu, in, vec_reg(cpu, in->r[1]), len, aligned ? len : 1);
    }
    if (in->r[1] == OPR_MEM) {
        TRY(simd_mem_read(cpu, in, &v, len, aligned ? len : 1));
    } else {
        memcpy(&v, vec_reg(cpu, in->r[1]), sizeof v);
    }
    simd_write(cpu, in, &v);
    return CPU_OK;
}

/* MOVAPS, MOVAPD, MOVDQA, MOVNTDQA, MOVNTDQ, MOVNTPS, MOVNTPD */
cpu_rc exec_mova(struct cpu *cpu, const struct insn *in)
{
    return move_whole(cpu, in, true);
}

/* MOVUPS, MOVUPD, MOVDQU, LDDQU */
cpu_rc exec_movu(struct cpu *cpu, const struct insn *in)
{
    return move_whole(cpu, in, false);
}

/* MOVD, MOVQ: `size` bytes between any two of vector, MMX and general register and memory. A
 * register that receives them is cleared above. */
SIMD_SHAPE move_low(struct cpu *cpu, const struct insn *in, unsigned size)
{
    unsigned dst = in->r[0], src = in->r[1];
    union vec v = {.q = {0}};
    if (opr_is_vec(src)) {
        v.q[0] = load_le(vec_reg(cpu, src), size);
    } else if (opr_is_mmx(src)) {
        v.q[0] = mmx_read(cpu, src) & size_mask(size);
    } else {
        TRY(opr_read(cpu, in, 1, size, &v.q[0]));
    }
    if (opr_is_vec(dst)) {
        simd_write_len(cpu, in, dst, &v, 16);
    } else if (opr_is_mmx(dst)) {
        mmx_write(cpu, dst, v.q[0]);
    } else {
        TRY(opr_write(cpu, in, 0, size, v.q[0]));
    }
    if (opr_is_mmx(src)) {
        mmx_enter(cpu);
    }
    return CPU_OK;
}

cpu_rc exec_movd(struct cpu *cpu, const struct insn *in)
{
    return move_low(cpu, in, 4);
}

cpu_rc exec_movq(struct cpu *cpu, const struct insn *in)
{
    return move_low(cpu, in, 8);
}

cpu_rc exec_movntq(struct cpu *cpu, const struct insn *in)
{
    return move_low(cpu, in, 8);
}

/* MOVQ2DQ and MOVDQ2Q need XMM state too, beside what UNIT_MMX asks for. */
cpu_rc exec_movq2dq(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->arch.cr4 & CR4_OSFXSR) == 0) {
        return raise_ud(cpu, "CR4.OSFXSR = 0");
    }
    return move_low(cpu, in, 8);
}

/* MOVSS, MOVSD: from memory the rest is cleared; between registers it is kept (legacy) or comes
 * from the first source (VEX). */
SIMD_SHAPE move_scalar(struct cpu *cpu, const struct insn *in, unsigned size)
{
    union vec d = {.q = {0}};
    if (in->r[0] == OPR_MEM) {
        return simd_mem_write(cpu, in, vec_reg(cpu, in->r[1]), size, 1);
    }
    if (in->r[1] == OPR_MEM) {
        TRY(simd_mem_read(cpu, in, &d, size, 1));
    } else {
        unsigned first = simd_first(in);
        memcpy(&d, vec_reg(cpu, in->r[first]), 16);
        memcpy(&d, vec_reg(cpu, in->r[first + 1]), size);
    }
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}

cpu_rc exec_movss(struct cpu *cpu, const struct insn *in)
{
    return move_scalar(cpu, in, 4);
}

cpu_rc exec_movsd_sse(struct cpu *cpu, const struct insn *in)
{
    return move_scalar(cpu, in, 8);
}

/* MOVLPS, MOVHPS and their PD twins: one quadword from or to memory, the other one from the first
 * source. `half` of the destination, or of the source of a store. */
SIMD_SHAPE move_half(struct cpu *cpu, const struct insn *in, unsigned half)
{
    union vec d;
    u64 q = 0;
    if (in->r[0] == OPR_MEM) {
        return simd_mem_write(cpu, in, vec_reg(cpu, in->r[1]) + 8 * half, 8, 1);
    }
    unsigned first = simd_first(in);
    TRY(simd_mem_read(cpu, in, &q, 8, 1));
    memcpy(&d, vec_reg(cpu, in->r[first]), sizeof d);
    d.q[half] = q;
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}

cpu_rc exec_movlps(struct cpu *cpu, const struct insn *in)
{
    return move_half(cpu, in, 0);
}

cpu_rc exec_movhps(struct cpu *cpu, const struct insn *in)
{
    return move_half(cpu, in, 1);
}

/* MOVHLPS, MOVLHPS: quadword `from` of the second source replaces the other one of the first. */
static cpu_rc move_across(struct cpu *cpu, const struct insn *in, unsigned from)
{
    union vec a, b;
    unsigned first = simd_first(in);
    memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);
    memcpy(&b, vec_reg(cpu, in->r[first + 1]), sizeof b);
    a.q[1 - from] = b.q[from];
    simd_write_len(cpu, in, in->r[0], &a, 16);
    return CPU_OK;
}

cpu_rc exec_movhlps(struct cpu *cpu, const struct insn *in)
{
    return move_across(cpu, in, 1);
}

cpu_rc exec_movlhps(struct cpu *cpu, const struct insn *in)
{
    return move_across(cpu, in, 0);
}

static void lanes_movddup(union vec *restrict d, const union vec *restrict a)
{
    for (unsigned i = 0; i < 4; i++) {
        d->q[i] = a->q[i & 2];
    }
}

static void lanes_movshdup(union vec *restrict d, const union vec *restrict a)
{
    for (unsigned i = 0; i < 8; i++) {
        d->d[i] = a->d[i | 1];
    }
}

static void lanes_movsldup(union vec *restrict d, const union vec *restrict a)
{
    for (unsigned i = 0; i < 8; i++) {
        d->d[i] = a->d[i & 6];
    }
}

cpu_rc exec_movddup(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_movddup);
}

cpu_rc exec_movshdup(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_movshdup);
}

cpu_rc exec_movsldup(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_movsldup);
}

/* The lowest element of r[1] in every element. */
#define BROADCAST(name, field)                                                   \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a) \
    {                                                                            \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                     \
            d->field[i] = a->field[0];                                           \
        }                                                                        \
    }                                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                   \
    {                                                                            \
        return simd_unary(cpu, in, lanes_##name);                                \
    }

BROADCAST(vpbroadcastb, b)
BROADCAST(vpbroadcastw, w)
BROADCAST(vpbroadcastd, d)
BROADCAST(vpbroadcastq, q)

static void lanes_vbroadcast128(union vec *restrict d, const union vec *restrict a)
{
    for (unsigned i = 0; i < 4; i++) {
        d->q[i] = a->q[i & 1];
    }
}

cpu_rc exec_vbroadcast128(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_vbroadcast128);
}

/* PMOVSX, PMOVZX: the low elements of r[1], sign- or zero-extended. */
#define WIDEN(name, from, to)                                                    \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a) \
    {                                                                            \
        for (unsigned i = 0; i < ARRAY_LEN(d->to); i++) {                        \
            d->to[i] = a->from[i];                                               \
        }                                                                        \
    }                                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                   \
    {                                                                            \
        return simd_unary(cpu, in, lanes_##name);                                \
    }

WIDEN(pmovsxbw, sb, sw)
WIDEN(pmovsxbd, sb, sd)
WIDEN(pmovsxbq, sb, sq)
WIDEN(pmovsxwd, sw, sd)
WIDEN(pmovsxwq, sw, sq)
WIDEN(pmovsxdq, sd, sq)
WIDEN(pmovzxbw, b, w)
WIDEN(pmovzxbd, b, d)
WIDEN(pmovzxbq, b, q)
WIDEN(pmovzxwd, w, d)
WIDEN(pmovzxwq, w, q)
WIDEN(pmovzxdq, d, q)

/* VZEROALL and VZEROUPPER reach only the registers that the mode has. */
static unsigned vec_count(const struct cpu *cpu)
{
    return cpu->d.code64 ? 16 : 8;
}

cpu_rc exec_vzeroall(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    memset(cpu->arch.vec, 0, vec_count(cpu) * sizeof cpu->arch.vec[0]);
    return CPU_OK;
}

cpu_rc exec_vzeroupper(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    for (unsigned i = 0; i < vec_count(cpu); i++) {
        memset(cpu->arch.vec[i] + 16, 0, 16);
    }
    return CPU_OK;
}

cpu_rc exec_emms(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    mmx_enter(cpu);
    cpu->arch.fpu.tags = 0;
    return CPU_OK;
}

/* SSE4A [APM4 "EXTRQ", "INSERTQ"]. Field length 0 means 64. A field that leaves the quadword and
 * the upper quadword of the result are undefined: shifted out, and unchanged. With two immediates,
 * length is in the low byte of imm and index in bits 32-39. */
static u64 field_mask(unsigned length)
{
    return length == 0 ? ~(u64)0 : BIT(length) - 1;
}

cpu_rc exec_extrq(struct cpu *cpu, const struct insn *in)
{
    u8 *dst = vec_reg(cpu, in->r[0]);
    u64 control = bits_get(in->imm, 0, 8) | bits_get(in->imm, 32, 8) << 8;
    if (opr_is_vec(in->r[1])) {
        control = load_le64(vec_reg(cpu, in->r[1]));
    }
    unsigned length = control & 63, index = (control >> 8) & 63;
    store_le64(dst, (load_le64(dst) >> index) & field_mask(length));
    return CPU_OK;
}

cpu_rc exec_insertq(struct cpu *cpu, const struct insn *in)
{
    u8 *dst = vec_reg(cpu, in->r[0]);
    const u8 *src = vec_reg(cpu, in->r[1]);
    u64 control = bits_get(in->imm, 0, 8) | bits_get(in->imm, 32, 8) << 8;
    if (in->r[2] == OPR_NONE) {
        control = load_le64(src + 8);
    }
    unsigned length = control & 63, index = (control >> 8) & 63;
    u64 mask = field_mask(length) << index;
    store_le64(dst, (load_le64(dst) & ~mask) | ((load_le64(src) << index) & mask));
    return CPU_OK;
}
