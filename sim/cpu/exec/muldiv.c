/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MUL, IMUL, MULX, DIV, IDIV. [SDM1 "Binary Arithmetic Instructions"]
 *
 * MUL and IMUL define CF = OF = "the upper half says more than the lower's extension"; the other
 * flags, and all of them after DIV and IDIV, are undefined: 0. */
#include "cpu/exec/exec_int.h"

static void flags_mul(struct cpu *cpu, bool overflow)
{
    flags_set_arith(cpu, overflow ? RFLAGS_CF | RFLAGS_OF : 0);
}

/* The double-width pair: AX, DX:AX, EDX:EAX, RDX:RAX. */
static void write_pair(struct cpu *cpu, unsigned size, u64 lo, u64 hi)
{
    if (size == 1) {
        gpr_write(cpu, RAX, 2, (hi & 0xff) << 8 | (lo & 0xff));
    } else {
        gpr_write(cpu, RAX, size, lo);
        gpr_write(cpu, RDX, size, hi);
    }
}

static u128 read_pair(const struct cpu *cpu, unsigned size)
{
    if (size == 1) {
        return cpu->arch.gpr[RAX] & 0xffff;
    }
    return (u128)gpr_read(cpu, RDX, size) << (8 * size) | gpr_read(cpu, RAX, size);
}

cpu_rc exec_mul(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 b;
    TRY(opr_read(cpu, in, 0, size, &b));
    u128 product = (u128)gpr_read(cpu, RAX, size) * b;
    u64 hi = (u64)(product >> (8 * size));
    write_pair(cpu, size, (u64)product, hi);
    flags_mul(cpu, hi != 0);
    return CPU_OK;
}

static bool product_overflows(i128 product, unsigned size)
{
    return product != (i64)sign_extend((u64)product, size);
}

/* IMUL r/m (double-width result), IMUL r, r/m and IMUL r, r/m, imm (truncated result). */
cpu_rc exec_imul(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    bool one = in->r[1] == OPR_NONE, three = !one && in->r[2] != OPR_NONE;
    u64 a, b;
    TRY(opr_read(cpu, in, one ? 0 : 1, size, &b));
    a = three ? in->imm : gpr_read(cpu, one ? RAX : in->r[0], size);
    i128 product = (i128)(i64)sign_extend(a, size) * (i64)sign_extend(b, size);
    if (one) {
        write_pair(cpu, size, (u64)product, (u64)(product >> (8 * size)));
    } else {
        gpr_write(cpu, in->r[0], size, (u64)product);
    }
    flags_mul(cpu, product_overflows(product, size));
    return CPU_OK;
}

/* [SDM2 "MULX"] Upper half to the first operand, lower to the second; the upper half wins. */
cpu_rc exec_mulx(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 b;
    TRY(opr_read(cpu, in, 2, size, &b));
    u128 product = (u128)gpr_read(cpu, RDX, size) * b;
    gpr_write(cpu, in->r[1], size, (u64)product);
    gpr_write(cpu, in->r[0], size, (u64)(product >> (8 * size)));
    return CPU_OK;
}

/* Quotient and remainder to AL:AH or the pair. */
static void write_quotient(struct cpu *cpu, unsigned size, u64 quot, u64 rem)
{
    write_pair(cpu, size, quot, rem);
    flags_set_arith(cpu, 0);
}

/* a / b; false if b is 0 or the quotient does not fit 64 bits. */
static bool divide(u128 a, u64 b, u64 *quot, u64 *rem)
{
    if (b == 0 || (u64)(a >> 64) >= b) {
        return false;
    }
    if ((u64)(a >> 64) == 0) {
        *quot = (u64)a / b;
        *rem = (u64)a % b;
    } else {
        *quot = (u64)(a / b);
        *rem = (u64)(a % b);
    }
    return true;
}

cpu_rc exec_div(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 b, quot, rem;
    TRY(opr_read(cpu, in, 0, size, &b));
    if (!divide(read_pair(cpu, size), b, &quot, &rem) || quot > size_mask(size)) {
        return raise_exception(cpu, VEC_DE, "DIV by zero or quotient too large");
    }
    write_quotient(cpu, size, quot, rem);
    return CPU_OK;
}

/* By magnitudes: truncates toward zero, the remainder has the dividend's sign. The most negative
 * quotient is allowed. */
cpu_rc exec_idiv(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 b, quot, rem;
    TRY(opr_read(cpu, in, 0, size, &b));
    unsigned pair_bits = 16 * size;
    u128 a = read_pair(cpu, size);
    bool a_neg = (u64)(a >> (pair_bits - 1) & 1) != 0, b_neg = msb(b, size);
    if (a_neg) {
        a = pair_bits == 128 ? (u128)0 - a : ((u128)1 << pair_bits) - a;
    }
    b = b_neg ? (u64)0 - sign_extend(b, size) : b;
    u64 limit = (size_mask(size) >> 1) + (a_neg != b_neg ? 1u : 0u);
    if (!divide(a, b, &quot, &rem) || quot > limit) {
        return raise_exception(cpu, VEC_DE, "IDIV by zero or quotient too large");
    }
    write_quotient(cpu, size, a_neg != b_neg ? (u64)0 - quot : quot, a_neg ? (u64)0 - rem : rem);
    return CPU_OK;
}
