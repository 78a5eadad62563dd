/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bit tests, scans, counts and the BMI1 and BMI2 groups (shifts of theirs: shift.c). [SDM1 "Bit and
 * Byte Instructions"] */
#include "cpu/exec/exec_int.h"

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

/* CF = the bit; ZF stays; OF, SF, AF, PF are undefined: 0. */
static void flags_bit(struct cpu *cpu, bool bit)
{
    flags_set_arith(cpu, (flag_zf(cpu) ? RFLAGS_ZF : 0u) | (bit ? RFLAGS_CF : 0u));
}

/* Where a memory bit string's addressed element lies: a register offset is signed and counts bits
 * from the operand's address; an immediate stays within the operand. [SDM1 "Bit Strings"] */
static u64 bit_address(const struct cpu *cpu, const struct insn *in, u64 offset)
{
    u64 ea = insn_offset(cpu, in);
    if (in->r[1] != OPR_IMM) {
        i64 element = (i64)sign_extend(offset, in->osz) >> (in->osz == 2 ? 4 : in->osz == 4 ? 5 : 6);
        ea = wrap_address(in, ea + (u64)element * in->osz);
    }
    return ea;
}

static ALWAYS_INLINE cpu_rc bit_access(struct cpu *cpu, const struct insn *in, enum bit_op op)
{
    unsigned size = in->osz;
    bool memory = in->r[0] == OPR_MEM;
    struct mem_rmw rmw = {0};
    u64 offset, v;
    TRY(opr_read(cpu, in, 1, size, &offset));
    u64 bit = BIT(offset & (8 * size - 1));
    if (!memory) {
        v = gpr_read(cpu, in->r[0], size);
    } else if (op == BIT_TEST) {
        TRY(mem_read(cpu, insn_seg(in), bit_address(cpu, in, offset), size, &v));
    } else {
        TRY(mem_rmw(cpu, insn_seg(in), bit_address(cpu, in, offset), size, &rmw, &v));
    }
    bool old = (v & bit) != 0;
    if (op != BIT_TEST) {
        u64 res = op == BIT_SET ? v | bit : op == BIT_RESET ? v & ~bit : v ^ bit;
        if (memory) {
            mem_rmw_store(cpu, &rmw, size, res);
        } else {
            gpr_write(cpu, in->r[0], size, res);
        }
    }
    flags_bit(cpu, old);
    return CPU_OK;
}

cpu_rc exec_bt(struct cpu *cpu, const struct insn *in)
{
    return bit_access(cpu, in, BIT_TEST);
}

cpu_rc exec_bts(struct cpu *cpu, const struct insn *in)
{
    return bit_access(cpu, in, BIT_SET);
}

cpu_rc exec_btr(struct cpu *cpu, const struct insn *in)
{
    return bit_access(cpu, in, BIT_RESET);
}

cpu_rc exec_btc(struct cpu *cpu, const struct insn *in)
{
    return bit_access(cpu, in, BIT_COMPLEMENT);
}

static unsigned lowest_bit(u64 v)
{
    return (unsigned)__builtin_ctzll(v);
}

static unsigned highest_bit(u64 v)
{
    return 63u - (unsigned)__builtin_clzll(v);
}

/* BSF, BSR. A zero source leaves all 64 bits of the destination, as AMD documents and all
 * processors do. All flags but ZF are undefined: 0. */
static cpu_rc bit_scan(struct cpu *cpu, const struct insn *in, bool reverse)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    if (v != 0) {
        gpr_write(cpu, in->r[0], in->osz, reverse ? highest_bit(v) : lowest_bit(v));
    }
    flags_set_arith(cpu, v == 0 ? RFLAGS_ZF : 0);
    return CPU_OK;
}

cpu_rc exec_bsf(struct cpu *cpu, const struct insn *in)
{
    return bit_scan(cpu, in, false);
}

cpu_rc exec_bsr(struct cpu *cpu, const struct insn *in)
{
    return bit_scan(cpu, in, true);
}

static cpu_rc write_count(struct cpu *cpu, const struct insn *in, unsigned n, bool source_zero)
{
    gpr_write(cpu, in->r[0], in->osz, n);
    flags_set_arith(cpu, (source_zero ? RFLAGS_CF : 0u) | (n == 0 ? RFLAGS_ZF : 0u));
    return CPU_OK;
}

/* [SDM2 "TZCNT"] Without BMI1 the prefix is ignored: BSF. */
cpu_rc exec_tzcnt(struct cpu *cpu, const struct insn *in)
{
    if (!cpu_has(cpu, CPU_FEATURE_BMI1)) {
        return bit_scan(cpu, in, false);
    }
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return write_count(cpu, in, v == 0 ? 8u * in->osz : lowest_bit(v), v == 0);
}

/* [SDM2 "LZCNT"] Without LZCNT: BSR. */
cpu_rc exec_lzcnt(struct cpu *cpu, const struct insn *in)
{
    if (!cpu_has(cpu, CPU_FEATURE_LZCNT)) {
        return bit_scan(cpu, in, true);
    }
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    unsigned bits = 8u * in->osz;
    return write_count(cpu, in, v == 0 ? bits : bits - 1 - highest_bit(v), v == 0);
}

cpu_rc exec_popcnt(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    gpr_write(cpu, in->r[0], in->osz, (u64)__builtin_popcountll(v));
    flags_set_arith(cpu, v == 0 ? RFLAGS_ZF : 0);
    return CPU_OK;
}

cpu_rc exec_andn(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 2, in->osz, &v));
    u64 res = ~gpr_read(cpu, in->r[1], in->osz) & v;
    gpr_write(cpu, in->r[0], in->osz, res);
    flags_zs(cpu, in->osz, res, false);
    return CPU_OK;
}

/* [SDM2 "BEXTR"] Start in bits 0-7 of the control register, length in bits 8-15. */
cpu_rc exec_bextr(struct cpu *cpu, const struct insn *in)
{
    u64 v, control = gpr_read(cpu, in->r[2], in->osz);
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    u64 start = control & 0xff, len = (control >> 8) & 0xff;
    u64 res = start < 64 ? v >> start : 0;
    if (len < 64) {
        res &= BIT(len) - 1;
    }
    gpr_write(cpu, in->r[0], in->osz, res);
    flags_set_arith(cpu, res == 0 ? RFLAGS_ZF : 0);
    return CPU_OK;
}

/* BLSI, BLSMSK, BLSR: destination, source. */
static cpu_rc write_lowest_bit(struct cpu *cpu, const struct insn *in, u64 res, bool cf)
{
    gpr_write(cpu, in->r[0], in->osz, res);
    flags_zs(cpu, in->osz, res, cf);
    return CPU_OK;
}

cpu_rc exec_blsi(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return write_lowest_bit(cpu, in, v & (0 - v), v != 0);
}

cpu_rc exec_blsmsk(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return write_lowest_bit(cpu, in, v ^ (v - 1), v == 0);
}

cpu_rc exec_blsr(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return write_lowest_bit(cpu, in, v & (v - 1), v == 0);
}

/* [SDM2 "BZHI"] CF: the index lies beyond the operand, which is then copied. */
cpu_rc exec_bzhi(struct cpu *cpu, const struct insn *in)
{
    u64 v, n = gpr_read(cpu, in->r[2], in->osz) & 0xff;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    bool beyond = n >= 8u * in->osz;
    u64 res = beyond ? v : v & (BIT(n) - 1);
    gpr_write(cpu, in->r[0], in->osz, res);
    flags_zs(cpu, in->osz, res, beyond);
    return CPU_OK;
}

cpu_rc exec_pdep(struct cpu *cpu, const struct insn *in)
{
    u64 mask, v = gpr_read(cpu, in->r[1], in->osz), res = 0;
    TRY(opr_read(cpu, in, 2, in->osz, &mask));
    for (; mask != 0; mask &= mask - 1, v >>= 1) {
        if ((v & 1) != 0) {
            res |= mask & (0 - mask);
        }
    }
    gpr_write(cpu, in->r[0], in->osz, res);
    return CPU_OK;
}

cpu_rc exec_pext(struct cpu *cpu, const struct insn *in)
{
    u64 mask, v = gpr_read(cpu, in->r[1], in->osz), res = 0;
    TRY(opr_read(cpu, in, 2, in->osz, &mask));
    for (unsigned i = 0; mask != 0; mask &= mask - 1, i++) {
        if ((v & mask & (0 - mask)) != 0) {
            res |= BIT(i);
        }
    }
    gpr_write(cpu, in->r[0], in->osz, res);
    return CPU_OK;
}
