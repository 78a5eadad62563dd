/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operands of vector instructions: memory, and the MMX forms of the common shapes. */
#include "cpu/exec/simd_opr.h"

/* MXCSR.MM (AMD): packed load-and-operate instructions accept any alignment. */
#define MXCSR_MISALIGNED_MASK BIT32(17)

/* The usual sizes as constants: two host instructions instead of a call. */
static inline void copy_vector(void *dst, const void *src, unsigned size)
{
    if (size == 16) {
        memcpy(dst, src, 16);
    } else if (size == 32) {
        memcpy(dst, src, 32);
    } else if (size == 8) {
        memcpy(dst, src, 8);
    } else {
        memcpy(dst, src, size);
    }
}

cpu_rc simd_mem_read(struct cpu *cpu, const struct insn *in, void *data, unsigned size,
                     unsigned align)
{
    unsigned seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in);
    u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
    if (UNLIKELY((lin & (align - 1)) != 0)) {
        TRY(mem_check_aligned(cpu, seg, offset, align));
    }
    if (LIKELY(offset + (size - 1) < cpu->d.seg_rend[seg])) {
        const struct tlb_entry *e = &cpu->d.ctx->rd[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            copy_vector(data, tlb_host(e, lin), size);
            return CPU_OK;
        }
    }
    return mem_read_bytes(cpu, seg, offset, data, size);
}

cpu_rc simd_mem_write(struct cpu *cpu, const struct insn *in, const void *data, unsigned size,
                      unsigned align)
{
    unsigned seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in);
    u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
    if (UNLIKELY((lin & (align - 1)) != 0)) {
        TRY(mem_check_aligned(cpu, seg, offset, align));
    }
    if (LIKELY(offset + (size - 1) < cpu->d.seg_wend[seg])) {
        const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            copy_vector(tlb_host(e, lin), data, size);
            return CPU_OK;
        }
    }
    return mem_write_bytes(cpu, seg, offset, data, size);
}

cpu_rc simd_load_other(struct cpu *cpu, const struct insn *in, unsigned i, union vec *v)
{
    memset(v, 0, sizeof *v);
    if (opr_is_mmx(in->r[i])) {
        v->q[0] = mmx_read(cpu, in->r[i]);
        return CPU_OK;
    }
    unsigned size = insn_mem_size(in);
    unsigned align = 1;
    if (size > sizeof *v) {
        size = sizeof *v;
    }
    if (size == 16 && !simd_is_vex(in) && (cpu->arch.mxcsr & MXCSR_MISALIGNED_MASK) == 0) {
        align = 16;
    }
    return simd_mem_read(cpu, in, v, size, align);
}

/* A first source in an MMX register, zero-extended so that lane functions see defined bytes. */
static void mmx_source(const struct cpu *cpu, unsigned r, union vec *v)
{
    memset(v, 0, sizeof *v);
    v->q[0] = mmx_read(cpu, r);
}

cpu_rc mmx_unary(struct cpu *cpu, const struct insn *in, simd_fn1 *fn)
{
    union vec a, d;
    TRY(simd_load_other(cpu, in, 1, &a));
    fn(&d, &a);
    mmx_write(cpu, in->r[0], d.q[0]);
    return CPU_OK;
}

cpu_rc mmx_binary(struct cpu *cpu, const struct insn *in, simd_fn2 *fn)
{
    union vec a, b, d;
    TRY(simd_load_other(cpu, in, 1, &b));
    mmx_source(cpu, in->r[0], &a);
    fn(&d, &a, &b);
    mmx_write(cpu, in->r[0], d.q[0]);
    return CPU_OK;
}

cpu_rc mmx_binary_imm(struct cpu *cpu, const struct insn *in, simd_fn2i *fn)
{
    union vec a, b, d;
    TRY(simd_load_other(cpu, in, 1, &b));
    mmx_source(cpu, in->r[0], &a);
    fn(&d, &a, &b, simd_imm8(in));
    mmx_write(cpu, in->r[0], d.q[0]);
    return CPU_OK;
}

cpu_rc mmx_shift(struct cpu *cpu, const struct insn *in, simd_shift_fn *fn)
{
    union vec a, b, d;
    u64 count = simd_imm8(in);
    if (in->r[1] != OPR_IMM) {
        TRY(simd_load_other(cpu, in, 1, &b));
        count = b.q[0];
    }
    mmx_source(cpu, in->r[0], &a);
    fn(&d, &a, count);
    mmx_write(cpu, in->r[0], d.q[0]);
    return CPU_OK;
}
