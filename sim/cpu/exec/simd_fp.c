/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SSE and AVX floating point: how every such instruction runs and what exceptions do. The
 * arithmetic itself: fp.h; the instructions: simd_fp_*.c.
 *
 * [SDM1 "SIMD Floating-Point Exceptions", "Handling SIMD Floating-Point Exceptions in Software"].
 * The operation runs with everything masked. When no flag is unmasked that is the result. Otherwise
 * lanes are looked at one at a time: invalid, divide-by-zero and denormal are known before a result
 * is computed; if one of them is unmasked in any lane, no lane reports overflow, underflow or
 * inexact. With underflow unmasked a tiny result counts even if it is exact. A lane with an unmasked
 * overflow or underflow reports inexact only if the result would be so with unbounded exponent. */
#include "cpu/exec/simd_fp.h"

cpu_rc vec_read_mem(struct cpu *cpu, const struct insn *in, unsigned size, struct vec *v)
{
    unsigned seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in);
    if (size <= 8) {
        u64 scalar = 0;
        TRY(mem_read(cpu, seg, offset, size, &scalar));
        memset(v->b, 0, sizeof v->b);
        store_le64(v->b, scalar);
        return CPU_OK;
    }
    if (!insn_is_vex(in) && (cpu->arch.mxcsr & MXCSR_MASK_MM) == 0) {
        TRY(mem_check_aligned(cpu, seg, offset, 16));
    }
    return mem_read_bytes(cpu, seg, offset, v->b, size);
}

u32 fp_call_run(const struct fp_call *call, u32 mxcsr, void *d, const void *a, const void *b,
                const void *c)
{
    bool dbl = call->src == 8;
    bool scalar = call->lanes == 1;
    switch (call->kind) {
    case FP_FN: return call->fn(mxcsr, d, a, b, c);
    case FP_CMP: return fp_cmp(mxcsr, d, a, b, call->param, dbl, scalar);
    case FP_ROUND: return fp_round(mxcsr, d, a, b, call->param, dbl, scalar);
    case FP_FMA: return fp_fma(mxcsr, d, a, b, c, call->param, dbl, scalar);
    }
    return 0;
}

static u32 unmasked(const struct cpu *cpu, u32 flags)
{
    return flags & ~(cpu->arch.mxcsr >> MXCSR_MASK_SHIFT) & FP_ALL;
}

static cpu_rc raise_xm(struct cpu *cpu, u32 flags)
{
    cpu->arch.mxcsr |= flags;
    if ((cpu->arch.cr4 & CR4_OSXMMEXCPT) == 0) {
        return raise_ud(cpu, "SIMD floating-point exception with CR4.OSXMMEXCPT = 0");
    }
    return raise_exception(cpu, VEC_XM, "unmasked SIMD floating-point exception");
}

cpu_rc fp_finish(struct cpu *cpu, const struct fp_lanes *lanes)
{
    u32 all = 0;
    for (unsigned i = 0; i < lanes->n; i++) {
        all |= lanes->flags[i];
    }
    if (unmasked(cpu, all & FP_PRE) != 0) {
        return raise_xm(cpu, all & FP_PRE);
    }
    if (unmasked(cpu, all) != 0) {
        return raise_xm(cpu, all);
    }
    cpu->arch.mxcsr |= all;
    return CPU_OK;
}

cpu_rc fp_finish_one(struct cpu *cpu, u32 flags)
{
    return fp_finish(cpu, &(struct fp_lanes){.flags = {flags}, .n = 1});
}

/* A denormal number of `size` bytes. */
static bool is_denormal(const u8 *p, unsigned size)
{
    u64 v = load_le(p, size);
    u64 fraction = size == 8 ? v & 0xfffffffffffffu : size == 4 ? v & 0x7fffff : v & 0x3ff;
    u64 exponent = size == 8 ? v & 0x7ff0000000000000u : size == 4 ? v & 0x7f800000 : v & 0x7c00;
    return exponent == 0 && fraction != 0;
}

/* Element i of v in every place. */
static struct vec broadcast(const struct vec *v, unsigned i, unsigned size)
{
    struct vec out;
    for (unsigned at = 0; at < sizeof out.b; at += size) {
        memcpy(out.b + at, v->b + i * size, size);
    }
    return out;
}

/* PE of a lane whose overflow or underflow is unmasked. */
static bool wrapped_inexact(const struct fp_call *call, u32 mxcsr, const struct vec *a,
                            const struct vec *b, const struct vec *c)
{
    u64 sign = call->src == 8 ? BIT(63) : BIT(31);
    u64 x = load_le(a->b, call->src);
    u64 z = load_le(c->b, call->src);
    if (call->rounds == FP_ROUNDS_FMA) {
        x ^= (call->param & 1) != 0 ? sign : 0;
        z ^= (call->param & 2) != 0 ? sign : 0;
    }
    return fp_soft_inexact(mxcsr, call->rounds, call->src == 8, x, load_le(b->b, call->src), z);
}

/* Each lane alone. */
static void run_lanes(const struct fp_call *call, u32 mxcsr, unsigned count, struct fp_lanes *lanes,
                      const struct vec *a, const struct vec *b, const struct vec *c)
{
    static const struct vec zero;
    u32 unmasked_ou = ~(mxcsr >> MXCSR_MASK_SHIFT) & (FP_OE | FP_UE);
    lanes->n = count;
    for (unsigned i = 0; i < count; i++) {
        struct vec va = broadcast(a != NULL ? a : &zero, i, call->src);
        struct vec vb = broadcast(b, i, call->src);
        struct vec vc = broadcast(c != NULL ? c : &zero, i, call->src);
        struct vec d;
        u32 flags = fp_call_run(call, mxcsr & ~(u32)FP_ALL, d.b, va.b, vb.b, vc.b);
        if (call->rounds != FP_ROUNDS_NOT) {
            if ((mxcsr & MXCSR_UM) == 0 && is_denormal(d.b, call->dst)) {
                flags |= FP_UE;
            }
            if ((flags & unmasked_ou) != 0 && !wrapped_inexact(call, mxcsr, &va, &vb, &vc)) {
                flags &= ~(u32)FP_PE;
            }
        }
        lanes->flags[i] = flags;
    }
}

cpu_rc fp_execute(struct cpu *cpu, const struct fp_call *call, unsigned chunks, struct vec *d,
                  const struct vec *a, const struct vec *b, const struct vec *c)
{
    u32 mxcsr = cpu->arch.mxcsr;
    unsigned src_step = call->lanes == 1 ? 16u : (unsigned)call->lanes * call->src;
    unsigned dst_step = call->lanes == 1 ? 16u : (unsigned)call->lanes * call->dst;
    u32 flags = 0;
    struct vec out;
    for (unsigned i = 0; i < chunks; i++) {
        unsigned at = i * src_step;
        u8 piece[16];
        flags |= fp_call_run(call, mxcsr, piece, a != NULL ? a->b + at : NULL, b->b + at,
                             c != NULL ? c->b + at : NULL);
        if (dst_step == 16 || i == 0) {
            memcpy(out.b + 16 * i, piece, 16);
        } else { /* the second half of a narrowing conversion */
            memcpy(out.b + 8, piece, 8);
        }
    }
    if (UNLIKELY(unmasked(cpu, flags) != 0 || (mxcsr & MXCSR_UM) == 0)) {
        struct fp_lanes lanes;
        run_lanes(call, mxcsr, chunks * call->lanes, &lanes, a, b, c);
        TRY(fp_finish(cpu, &lanes));
    } else {
        cpu->arch.mxcsr |= flags;
    }
    *d = out;
    return CPU_OK;
}
