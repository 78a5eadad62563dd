/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moves under a mask: MASKMOVDQU, MASKMOVQ, VMASKMOV*, VPMASKMOV* and the gathers. An element that
 * its mask bit excludes is not accessed and cannot fault.
 *
 * Gathers are a named exception to "CPU_EXIT commits nothing": elements are fetched in ascending
 * order, each clears its mask element, and a fault leaves what was done, so that the instruction
 * can be run again for the rest. None of these but MASKMOVQ raises #AC [SDM2 "VMASKMOV", "VGATHERDPS"]. For them insn.index is the number of the index vector. */
#include "cpu/exec/simd_opr.h"

/* An offset in the segment, wrapped to the instruction's address size. */
static u64 wrap_offset(const struct insn *in, u64 offset)
{
    unsigned asize = insn_asize(in);
    return asize == 8 ? offset : asize == 4 ? (u32)offset : (u16)offset;
}

/* Store those elements of `size` bytes whose bit in `select` is set: all checked, then all written. The operand
 * is one piece: only where it begins is wrapped to the address size, as hosts do it. */
static cpu_rc store_selected(struct cpu *cpu, unsigned seg, u64 offset, const union vec *v, unsigned size, u32 select)
{
    for (u32 rest = select; rest != 0; rest &= rest - 1) {
        unsigned at = (unsigned)__builtin_ctz(rest) * size;
        TRY(mem_probe(cpu, seg, offset + at, size, ACCESS_WRITE));
    }
    for (u32 rest = select; rest != 0; rest &= rest - 1) {
        unsigned at = (unsigned)__builtin_ctz(rest) * size;
        u64 value = load_le(&v->b[at], size);
        TRY(mem_write_element(cpu, seg, offset + at, size, value));
    }
    return CPU_OK;
}

/* Bit i: the sign of element i. */
static u32 sign_bits(const union vec *v, unsigned size, unsigned len)
{
    u32 bits = 0;
    for (unsigned i = 0; i < len / size; i++) {
        bits |= (u32)(v->b[(i + 1) * size - 1] >> 7) << i;
    }
    return bits;
}

/* MASKMOVDQU, MASKMOVQ: r[0] is the data, r[1] the mask; memory at DS:[rDI], the segment may be
 * overridden. UNCLEAR: whether excluded bytes may fault is left to the implementation [SDM2
 * "MASKMOVDQU"]; here they do not (test_simd_int accepts both from the host). */
cpu_rc exec_maskmov_bytes(struct cpu *cpu, const struct insn *in)
{
    union vec data, mask;
    bool mmx = opr_is_mmx(in->r[0]);
    unsigned seg = (in->pfx & PFX_SEG) != 0 ? insn_seg(in) : SEG_DS;
    TRY(simd_load(cpu, in, 0, &data));
    TRY(simd_load(cpu, in, 1, &mask));
    TRY(store_selected(cpu, seg, wrap_offset(in, cpu->arch.gpr[RDI]), &data, 1,
                       sign_bits(&mask, 1, mmx ? 8 : 16)));
    if (mmx) {
        mmx_enter(cpu);
    }
    return CPU_OK;
}

/* Load: r[0] = data, r[1] = mask, r[2] = memory; excluded elements become 0. Store: memory, mask,
 * data. */
static cpu_rc masked_move(struct cpu *cpu, const struct insn *in, unsigned size)
{
    unsigned len = simd_len(in), seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in);
    union vec mask, v = {.q = {0}};
    TRY(simd_load(cpu, in, 1, &mask));
    u32 select = sign_bits(&mask, size, len);
    if (in->r[0] == OPR_MEM) {
        TRY(simd_load(cpu, in, 2, &v));
        return store_selected(cpu, seg, offset, &v, size, select);
    }
    for (u32 rest = select; rest != 0; rest &= rest - 1) {
        unsigned at = (unsigned)__builtin_ctz(rest) * size;
        u64 value = 0;
        TRY(mem_read_element(cpu, seg, offset + at, size, &value));
        store_le(&v.b[at], value, size);
    }
    simd_write(cpu, in, &v);
    return CPU_OK;
}

/* VMASKMOVPS, VPMASKMOVD */
cpu_rc exec_vmaskmov32(struct cpu *cpu, const struct insn *in)
{
    return masked_move(cpu, in, 4);
}

/* VMASKMOVPD, VPMASKMOVQ */
cpu_rc exec_vmaskmov64(struct cpu *cpu, const struct insn *in)
{
    return masked_move(cpu, in, 8);
}

/* r[0] = destination, r[1] = memory with a vector of indices of `isize` bytes, r[2] = mask;
 * elements of `size` bytes. [SDM2 "VPGATHERDD/VPGATHERDQ"] */
static cpu_rc gather(struct cpu *cpu, const struct insn *in, unsigned isize, unsigned size)
{
    unsigned dst = in->r[0] & 15, index = in->index & 15, mask = in->r[2] & 15;
    if (dst == index || dst == mask || index == mask) {
        return raise_ud(cpu, "gather needs three different registers");
    }
    unsigned count = simd_len(in) / (isize > size ? isize : size);
    u8 *d = cpu->arch.vec[dst], *m = cpu->arch.vec[mask];
    const u8 *idx = cpu->arch.vec[index];
    u64 base = (u64)(i64)in->disp + (in->base < 16 ? cpu->arch.gpr[in->base] : 0);

    /* [SDM2 "VGATHERQPS"]: the whole mask register is made of elements, also where fewer are fetched. */
    for (unsigned i = 0; i < simd_len(in) / size; i++) {
        bool on = (m[size * (i + 1) - 1] & 0x80) != 0;
        store_le(m + size * i, on ? ~(u64)0 : 0, size);
    }
    memset(m + simd_len(in), 0, 32 - simd_len(in)); /* before anything can fault */
    for (unsigned i = 0; i < count; i++) {
        if (m[size * i] == 0) {
            continue;
        }
        u64 offset = base + (sign_extend(load_le(idx + isize * i, isize), isize) << (in->sib & 3));
        u64 value = 0;
        TRY(mem_read_element(cpu, insn_seg(in), wrap_offset(in, offset), size, &value));
        store_le(d + size * i, value, size);
        memset(d + simd_len(in), 0, 32 - simd_len(in)); /* with the first element */
        store_le(m + size * i, 0, size);
    }
    memset(d + size * count, 0, 32 - size * count);
    memset(m, 0, 32);
    return CPU_OK;
}

/* Index and element size in bits. */
cpu_rc exec_vgather_32_32(struct cpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 4, 4);
}

cpu_rc exec_vgather_32_64(struct cpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 4, 8);
}

cpu_rc exec_vgather_64_32(struct cpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 8, 4);
}

cpu_rc exec_vgather_64_64(struct cpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 8, 8);
}
