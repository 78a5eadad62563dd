/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shifts, rotates, double shifts and their flagless BMI2 forms. [SDM1 "Shift and Rotate
 * Instructions"]
 *
 * Counts are taken modulo 32 (64 with 64-bit operands). A count of 0 leaves value and flags, but a
 * 32-bit register still loses its upper half. */
#include "cpu/exec/exec_int.h"

static ALWAYS_INLINE unsigned mask_count(u64 count, unsigned size)
{
    return (unsigned)count & (size == 8 ? 63u : 31u);
}

static ALWAYS_INLINE u64 rotate_right(u64 v, unsigned size, unsigned n)
{
    unsigned bits = 8 * size;
    n &= bits - 1;
    return n == 0 ? v : (v >> n | v << (bits - n)) & size_mask(size);
}

/* Rotate a and CF as one value of bits + 1 bits to the left. n <= bits. */
static ALWAYS_INLINE u64 rotate_carry(u64 a, unsigned size, unsigned n, bool *cf)
{
    unsigned bits = 8 * size, width = bits + 1;
    u128 v = (u128)(*cf ? 1u : 0u) << bits | a;
    if (n != 0) {
        v = v << n | v >> (width - n);
    }
    *cf = (u64)(v >> bits & 1) != 0;
    return (u64)v & size_mask(size);
}

/* Does a single-bit step change the sign? */
static ALWAYS_INLINE bool step_changes_sign(enum shift_op op, unsigned size, u64 a, bool cf)
{
    if (op == SHIFT_ROR) {
        return msb(a, size) != ((a & 1) != 0);
    }
    return op == SHIFT_RCR ? msb(a, size) != cf : msb(a ^ a << 1, size);
}

/* ROL, ROR, RCL, RCR by n = 1..63: only CF and OF change. OF tells whether the first (Intel) or last
 * (AMD) single-bit step changed the sign: after a step to the left that is MSB ^ CF, after one to the right
 * the two highest bits differ. Intel's chips leave OF where RCL, RCR go round whole, and after ROL, ROR of
 * a register by an immediate other than 1. */
static ALWAYS_INLINE u64 rotate(struct cpu *cpu, enum shift_op op, unsigned size, u64 a, unsigned n, bool reg_imm)
{
    unsigned bits = 8 * size, steps = n % (bits + 1);
    bool cf = flag_cf(cpu), first = step_changes_sign(op, size, a, cf);
    u64 res;
    if (op == SHIFT_ROL) {
        res = rotate_right(a, size, 0u - n);
        cf = (res & 1) != 0;
    } else if (op == SHIFT_ROR) {
        res = rotate_right(a, size, n);
        cf = msb(res, size);
    } else if (op == SHIFT_RCL) {
        res = rotate_carry(a, size, steps, &cf);
    } else {
        res = rotate_carry(a, size, steps == 0 ? 0 : bits + 1 - steps, &cf);
    }
    bool left = op == SHIFT_ROL || op == SHIFT_RCL;
    bool keeps = op == SHIFT_RCL || op == SHIFT_RCR ? steps == 0 : reg_imm && n != 1;
    first = keeps ? flag_of(cpu) : first;
    bool last = msb(res, size) != (left ? cf : ((res >> (bits - 2)) & 1) != 0);
    flags_set_cf_of(cpu, cf, cpu_is_intel(cpu) ? first : last);
    return res;
}

static ALWAYS_INLINE cpu_rc shift(struct cpu *cpu, const struct insn *in, enum shift_op op)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 count, a;
    TRY(opr_read(cpu, in, 1, 1, &count));
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    unsigned n = mask_count(count, size);
    if (n != 0) {
        bool reg_imm = in->r[1] == OPR_IMM && in->r[0] != OPR_MEM;
        a = op >= SHIFT_SHL ? shift_compute(cpu, op, size, a, n) : rotate(cpu, op, size, a, n, reg_imm);
    }
    opr_rmw_end(cpu, in, 0, size, &rmw, a);
    return CPU_OK;
}

cpu_rc exec_rol(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_ROL);
}

cpu_rc exec_ror(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_ROR);
}

cpu_rc exec_rcl(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_RCL);
}

cpu_rc exec_rcr(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_RCR);
}

cpu_rc exec_shl(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_SHL);
}

cpu_rc exec_shr(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_SHR);
}

cpu_rc exec_sar(struct cpu *cpu, const struct insn *in)
{
    return shift(cpu, in, SHIFT_SAR);
}

/* [SDM2 "SHLD"] A 16-bit shift by more than 16 is undefined: as if the destination followed the
 * source again, which is what processors do. */
cpu_rc exec_shld(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz, bits = 8 * size;
    struct mem_rmw rmw = {0};
    u64 count, a, b = gpr_read(cpu, in->r[1], size);
    TRY(opr_read(cpu, in, 2, 1, &count));
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    unsigned n = mask_count(count, size);
    if (n != 0) {
        /* The destination in the top `bits` bits, then the source, then the destination again. */
        u128 v = (u128)a << (128 - bits) | (u128)b << (128 - 2 * bits);
        if (size == 2) {
            v |= (u128)a << (128 - 3 * bits);
        }
        v <<= n - 1;
        bool cf = (u64)(v >> 127) != 0, first = msb(a ^ a << 1, size);
        a = (u64)(v << 1 >> (128 - bits));
        flags_result(cpu, size, a, cf, cpu_is_intel(cpu) ? first : msb(a, size) != cf);
    }
    opr_rmw_end(cpu, in, 0, size, &rmw, a);
    return CPU_OK;
}

cpu_rc exec_shrd(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz, bits = 8 * size;
    struct mem_rmw rmw = {0};
    u64 count, a, b = gpr_read(cpu, in->r[1], size);
    TRY(opr_read(cpu, in, 2, 1, &count));
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    unsigned n = mask_count(count, size);
    if (n != 0) {
        u128 v = (u128)b << bits | a;
        if (size == 2) {
            v |= (u128)a << (2 * bits);
        }
        v >>= n - 1;
        bool cf = ((u64)v & 1) != 0, sign = msb((u64)v, size), first = msb(a, size) != ((b & 1) != 0);
        a = (u64)(v >> 1) & size_mask(size);
        flags_result(cpu, size, a, cf, cpu_is_intel(cpu) ? first : msb(a, size) != sign);
    }
    opr_rmw_end(cpu, in, 0, size, &rmw, a);
    return CPU_OK;
}

cpu_rc exec_rorx(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    gpr_write(cpu, in->r[0], in->osz, rotate_right(v, in->osz, mask_count(in->imm, in->osz)));
    return CPU_OK;
}

/* SARX, SHLX, SHRX: destination, source, count register. */
static ALWAYS_INLINE cpu_rc shift_bmi(struct cpu *cpu, const struct insn *in, enum shift_op op)
{
    unsigned size = in->osz;
    u64 v;
    TRY(opr_read(cpu, in, 1, size, &v));
    unsigned n = mask_count(gpr_read(cpu, in->r[2], size), size);
    if (op == SHIFT_SHL) {
        v <<= n;
    } else if (op == SHIFT_SHR) {
        v >>= n;
    } else {
        v = (u64)((i64)sign_extend(v, size) >> n);
    }
    gpr_write(cpu, in->r[0], size, v);
    return CPU_OK;
}

cpu_rc exec_sarx(struct cpu *cpu, const struct insn *in)
{
    return shift_bmi(cpu, in, SHIFT_SAR);
}

cpu_rc exec_shlx(struct cpu *cpu, const struct insn *in)
{
    return shift_bmi(cpu, in, SHIFT_SHL);
}

cpu_rc exec_shrx(struct cpu *cpu, const struct insn *in)
{
    return shift_bmi(cpu, in, SHIFT_SHR);
}
