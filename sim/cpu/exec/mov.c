/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Data movement between registers and memory: MOV and its extending, conditional, byte-swapping and
 * exchanging relatives, LEA, SETcc, XLAT, sign conversions of the accumulator. MOV with segment,
 * control or debug registers: exec_system.h. [SDM1 "Data Transfer Instructions"] */
#include "cpu/exec/exec_int.h"

cpu_rc exec_mov(struct cpu *cpu, const struct insn *in)
{
    for (unsigned i = 0; i < 2; i++) {
        switch (opr_class(in->r[i])) {
        case OPR_SEG:
            return exec_mov_seg(cpu, in);
        case OPR_CR:
            return exec_mov_cr(cpu, in);
        case OPR_DR:
            return exec_mov_dr(cpu, in);
        default:
            break;
        }
    }
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return opr_write(cpu, in, 0, in->osz, v);
}

cpu_rc exec_movzx(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, insn_src_size(in), &v));
    gpr_write(cpu, in->r[0], in->osz, v);
    return CPU_OK;
}

/* Also MOVSXD, whose source is no wider than its destination [SDM2 "MOVSX/MOVSXD"]: 16 bits with a
 * 66 prefix. */
cpu_rc exec_movsx(struct cpu *cpu, const struct insn *in)
{
    unsigned from = insn_src_size(in) < in->osz ? insn_src_size(in) : in->osz;
    u64 v;
    TRY(opr_read(cpu, in, 1, from, &v));
    gpr_write(cpu, in->r[0], in->osz, sign_extend(v, from));
    return CPU_OK;
}

/* A plain store: the non-temporal hint means nothing without caches. */
cpu_rc exec_movnti(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return opr_write(cpu, in, 0, in->osz, v);
}

static u64 byte_swap(u64 v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

cpu_rc exec_movbe(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    return opr_write(cpu, in, 0, in->osz, byte_swap(v, in->osz));
}

/* [SDM2 "BSWAP"] 16-bit operands are undefined: 0, as processors do. */
cpu_rc exec_bswap(struct cpu *cpu, const struct insn *in)
{
    u64 v = gpr_read(cpu, in->r[0], in->osz);
    gpr_write(cpu, in->r[0], in->osz, in->osz == 2 ? 0 : byte_swap(v, in->osz));
    return CPU_OK;
}

cpu_rc exec_xchg(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    /* Zydis may name the memory operand first or second. */
    unsigned m = in->r[1] == OPR_MEM ? 1 : 0;
    struct mem_rmw rmw = {0};
    u64 a, b = gpr_read(cpu, in->r[1 - m], size);
    TRY(opr_rmw_begin(cpu, in, m, size, &rmw, &a));
    opr_rmw_end(cpu, in, m, size, &rmw, b);
    gpr_write(cpu, in->r[1 - m], size, a);
    return CPU_OK;
}

cpu_rc exec_lea(struct cpu *cpu, const struct insn *in)
{
    gpr_write(cpu, in->r[0], in->osz, insn_offset(cpu, in));
    return CPU_OK;
}

/* CBW, CWDE, CDQE: the accumulator's lower half, sign-extended. */
cpu_rc exec_cbw(struct cpu *cpu, const struct insn *in)
{
    gpr_write(cpu, RAX, in->osz, sign_extend(cpu->arch.gpr[RAX], in->osz / 2));
    return CPU_OK;
}

/* CWD, CDQ, CQO: the accumulator's sign in all of DX. */
cpu_rc exec_cwd(struct cpu *cpu, const struct insn *in)
{
    gpr_write(cpu, RDX, in->osz, msb(cpu->arch.gpr[RAX], in->osz) ? ~(u64)0 : 0);
    return CPU_OK;
}

cpu_rc exec_xlat(struct cpu *cpu, const struct insn *in)
{
    u64 offset = wrap_address(in, cpu->arch.gpr[RBX] + (cpu->arch.gpr[RAX] & 0xff));
    u64 v;
    TRY(mem_read(cpu, implicit_seg(in), offset, 1, &v));
    gpr_write(cpu, RAX, 1, v);
    return CPU_OK;
}

static ALWAYS_INLINE cpu_rc setcc(struct cpu *cpu, const struct insn *in, unsigned cc)
{
    return opr_write(cpu, in, 0, 1, flags_condition(cpu, cc) ? 1 : 0);
}

/* [SDM2 "CMOVcc"] The source is read in any case, and a 32-bit destination that keeps its value loses
 * its upper half. */
static ALWAYS_INLINE cpu_rc cmovcc(struct cpu *cpu, const struct insn *in, unsigned cc)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, in->osz, &v));
    if (!flags_condition(cpu, cc)) {
        v = cpu->arch.gpr[in->r[0]];
    }
    gpr_write(cpu, in->r[0], in->osz, v);
    return CPU_OK;
}

#define CONDITIONAL_MOVES(name, NAME, cc)                                                          \
    cpu_rc exec_set##name(struct cpu *cpu, const struct insn *in)                                  \
    {                                                                                              \
        return setcc(cpu, in, cc);                                                                 \
    }                                                                                              \
    cpu_rc exec_cmov##name(struct cpu *cpu, const struct insn *in)                                 \
    {                                                                                              \
        return cmovcc(cpu, in, cc);                                                                \
    }
CONDITIONS(CONDITIONAL_MOVES)
#undef CONDITIONAL_MOVES
