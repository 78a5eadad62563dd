/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Near transfers of control: JMP, CALL, RET, Jcc, JCXZ, LOOP. Far forms share the mnemonics and go to
 * exec_system.h. [SDM1 "Control Transfer Instructions"]
 *
 * Handlers of block class JUMP: each stores arch.rip, taken or not. The target is checked before
 * anything is pushed, popped or counted. */
#include "cpu/exec/exec_int.h"

static u64 relative_target(const struct cpu *cpu, const struct insn *in)
{
    return (cpu->arch.rip + in->len + in->imm) & size_mask(in->osz);
}

static bool is_far(const struct insn *in)
{
    return in->r[0] == OPR_FAR || (in->r[0] == OPR_MEM && (in->imm & INSN_IMM_FAR) != 0);
}

cpu_rc exec_jmp(struct cpu *cpu, const struct insn *in)
{
    u64 target;
    if (in->r[0] == OPR_REL) {
        target = relative_target(cpu, in);
        TRY(check_target(cpu, target));
        cpu->arch.rip = target;
        return CPU_OK;
    }
    if (is_far(in)) {
        return exec_jmp_far(cpu, in);
    }
    TRY(opr_read(cpu, in, 0, in->osz, &target));
    TRY(check_target(cpu, target));
    cpu->arch.rip = target;
    cet_indirect(cpu, in);
    return CPU_OK;
}

/* Push the return address and go. CALL to the next instruction leaves no shadow-stack entry: it is
 * how code finds its own address. [SDM1 "Shadow Stacks"] */
static cpu_rc call(struct cpu *cpu, const struct insn *in, u64 target)
{
    unsigned size = in->osz;
    u64 ret = next_rip(cpu, in);
    TRY(check_target(cpu, target));
    if (UNLIKELY(cet_shadow_on(cpu)) && !(in->r[0] == OPR_REL && in->imm == 0)) {
        u64 slot = (cpu->arch.gpr[RSP] - size) & cpu->d.sp_mask;
        TRY(mem_probe(cpu, SEG_SS, slot, size, ACCESS_WRITE));
        TRY(cet_call_push(cpu, ret, size));
    }
    TRY(stack_push(cpu, size, ret));
    cpu->arch.rip = target;
    return CPU_OK;
}

cpu_rc exec_call(struct cpu *cpu, const struct insn *in)
{
    if (in->r[0] == OPR_REL) {
        return call(cpu, in, relative_target(cpu, in));
    }
    if (is_far(in)) {
        return exec_call_far(cpu, in);
    }
    u64 target;
    TRY(opr_read(cpu, in, 0, in->osz, &target));
    TRY(call(cpu, in, target));
    cet_indirect(cpu, in);
    return CPU_OK;
}

cpu_rc exec_ret(struct cpu *cpu, const struct insn *in)
{
    if (UNLIKELY((in->imm & INSN_IMM_FAR) != 0)) {
        return exec_ret_far(cpu, in);
    }
    unsigned size = in->osz;
    u64 target;
    TRY(stack_read(cpu, 0, size, &target));
    TRY(check_target(cpu, target));
    if (UNLIKELY(cet_shadow_on(cpu))) {
        TRY(cet_ret_check(cpu, target, size));
    }
    stack_move(cpu, (i64)(size + (in->imm & 0xffff)));
    cpu->arch.rip = target;
    return CPU_OK;
}

static ALWAYS_INLINE cpu_rc branch(struct cpu *cpu, const struct insn *in, bool taken)
{
    if (!taken) {
        cpu->arch.rip = next_rip(cpu, in);
        return CPU_OK;
    }
    u64 target = relative_target(cpu, in);
    TRY(check_target(cpu, target));
    cpu->arch.rip = target;
    return CPU_OK;
}

#define CONDITIONAL_JUMP(name, NAME, cc)                                                           \
    cpu_rc exec_j##name(struct cpu *cpu, const struct insn *in)                                    \
    {                                                                                              \
        return branch(cpu, in, flags_condition(cpu, cc));                                          \
    }
CONDITIONS(CONDITIONAL_JUMP)
#undef CONDITIONAL_JUMP

/* JCXZ, JECXZ, JRCXZ: the counter has the address size. */
cpu_rc exec_jcxz(struct cpu *cpu, const struct insn *in)
{
    return branch(cpu, in, gpr_read(cpu, RCX, insn_asize(in)) == 0);
}

/* The counter is stored only when the branch cannot fault any more. */
static ALWAYS_INLINE cpu_rc loop(struct cpu *cpu, const struct insn *in, bool condition)
{
    unsigned asize = insn_asize(in);
    u64 count = wrap_address(in, cpu->arch.gpr[RCX] - 1);
    TRY(branch(cpu, in, count != 0 && condition));
    gpr_write(cpu, RCX, asize, count);
    return CPU_OK;
}

cpu_rc exec_loop(struct cpu *cpu, const struct insn *in)
{
    return loop(cpu, in, true);
}

cpu_rc exec_loope(struct cpu *cpu, const struct insn *in)
{
    return loop(cpu, in, flag_zf(cpu));
}

cpu_rc exec_loopne(struct cpu *cpu, const struct insn *in)
{
    return loop(cpu, in, !flag_zf(cpu));
}
