/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decimal adjustments and SALC. [SDM1 "Decimal Arithmetic Instructions"] Undefined flags are 0. */
#include "cpu/exec/exec_int.h"

static u8 reg_al(const struct cpu *cpu)
{
    return (u8)cpu->arch.gpr[RAX];
}

/* SF, ZF, PF of AL with these AF and CF; OF = 0. */
static void flags_al(struct cpu *cpu, bool af, bool cf)
{
    flags_result(cpu, 1, reg_al(cpu), cf, false);
    cpu->arch.cc_aux |= af ? CC_AF : 0;
}

/* AAA, AAS: an adjusted AL carries into AH. AX changes as one number. */
static cpu_rc ascii_adjust(struct cpu *cpu, u64 delta)
{
    u64 ax = gpr_read(cpu, RAX, 2);
    bool adjust = (ax & 0xf) > 9 || flag_af(cpu);
    if (adjust) {
        ax += delta;
    }
    gpr_write(cpu, RAX, 2, ax & 0xff0f);
    flags_set_arith(cpu, adjust ? RFLAGS_AF | RFLAGS_CF : 0);
    return CPU_OK;
}

cpu_rc exec_aaa(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return ascii_adjust(cpu, 0x106);
}

cpu_rc exec_aas(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return ascii_adjust(cpu, 0u - (u64)0x106);
}

/* [SDM2 "AAM"] The base may be any byte; #DE for 0. */
cpu_rc exec_aam(struct cpu *cpu, const struct insn *in)
{
    u64 base = in->imm & 0xff, al = reg_al(cpu);
    if (base == 0) {
        return raise_exception(cpu, VEC_DE, "AAM with base 0");
    }
    gpr_write(cpu, RAX, 2, (al / base) << 8 | al % base);
    flags_al(cpu, false, false);
    return CPU_OK;
}

cpu_rc exec_aad(struct cpu *cpu, const struct insn *in)
{
    u64 ax = gpr_read(cpu, RAX, 2);
    gpr_write(cpu, RAX, 2, ((ax & 0xff) + (ax >> 8) * (in->imm & 0xff)) & 0xff);
    flags_al(cpu, false, false);
    return CPU_OK;
}

cpu_rc exec_daa(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    unsigned al = reg_al(cpu), res = al;
    bool af = (al & 0xf) > 9 || flag_af(cpu), cf = al > 0x99 || flag_cf(cpu);
    res += (af ? 6u : 0u) + (cf ? 0x60u : 0u);
    gpr_write(cpu, RAX, 1, res);
    flags_al(cpu, af, cf);
    return CPU_OK;
}

/* [SDM2 "DAS"] The borrow of the low adjustment sets CF as well. */
cpu_rc exec_das(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    unsigned al = reg_al(cpu), res = al;
    bool af = (al & 0xf) > 9 || flag_af(cpu), cf = al > 0x99 || flag_cf(cpu);
    res -= (af ? 6u : 0u) + (cf ? 0x60u : 0u);
    gpr_write(cpu, RAX, 1, res);
    flags_al(cpu, af, cf || (af && al < 6));
    return CPU_OK;
}

/* AL = CF ? FFh : 0. */
cpu_rc exec_salc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    gpr_write(cpu, RAX, 1, flag_cf(cpu) ? 0xff : 0);
    return CPU_OK;
}
