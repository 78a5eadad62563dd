/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE. [SDM1 "Procedure Calls, Interrupts, and Exceptions"]
 *
 * The operand size is the size of the stack item; the address size of the stack is SS's
 * (d.sp_mask). RSP moves only when nothing can fail any more. */
#include "cpu/exec/exec_int.h"

/* [SDM2 "PUSH"] With a 32-bit operand Intel processors write the 16 bits of the selector and leave the
 * rest of the slot as it was; AMD's zero-extend. */
static cpu_rc push_seg(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 sel = cpu->arch.seg[in->r[0] - OPR_SEG].sel;
    TRY(stack_write(cpu, -(i64)size, size == 4 && cpu_is_intel(cpu) ? 2 : size, sel));
    stack_move(cpu, -(i64)size);
    return CPU_OK;
}

cpu_rc exec_push(struct cpu *cpu, const struct insn *in)
{
    if (UNLIKELY(opr_class(in->r[0]) == OPR_SEG)) {
        return push_seg(cpu, in);
    }
    u64 v;
    TRY(opr_read(cpu, in, 0, in->osz, &v));
    return stack_push(cpu, in->osz, v);
}

/* RSP moves by the width of the old SS; a new SS takes effect after it. */
static cpu_rc pop_seg(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz, seg = in->r[0] - OPR_SEG;
    u64 sel, rsp = cpu->arch.gpr[RSP];
    TRY(stack_read(cpu, 0, size == 4 && cpu_is_intel(cpu) ? 2 : size, &sel));
    stack_move(cpu, size);
    if (seg_load(cpu, seg, (u16)sel) != CPU_OK) {
        cpu->arch.gpr[RSP] = rsp;
        return CPU_EXIT;
    }
    if (seg == SEG_SS) {
        seg_begin_ss_shadow(cpu);
    }
    return CPU_OK;
}

/* [SDM2 "POP"] An address based on RSP uses its value after the increment. POP RSP leaves the popped
 * value. */
cpu_rc exec_pop(struct cpu *cpu, const struct insn *in)
{
    if (UNLIKELY(opr_class(in->r[0]) == OPR_SEG)) {
        return pop_seg(cpu, in);
    }
    u64 v, rsp = cpu->arch.gpr[RSP];
    TRY(stack_read(cpu, 0, in->osz, &v));
    stack_move(cpu, in->osz);
    if (opr_write(cpu, in, 0, in->osz, v) != CPU_OK) {
        cpu->arch.gpr[RSP] = rsp;
        return CPU_EXIT;
    }
    return CPU_OK;
}

/* PUSHA, PUSHAD: AX CX DX BX, the original SP, BP SI DI. */
cpu_rc exec_pusha(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    for (i64 i = 1; i <= 8; i++) {
        u64 offset = (cpu->arch.gpr[RSP] - (u64)i * size) & cpu->d.sp_mask;
        TRY(mem_probe(cpu, SEG_SS, offset, size, ACCESS_WRITE));
    }
    for (unsigned i = 0; i < 8; i++) {
        TRY(stack_write(cpu, -(i64)((i + 1) * size), size, gpr_read(cpu, i, size)));
    }
    stack_move(cpu, -(i64)(8 * size));
    return CPU_OK;
}

cpu_rc exec_popa(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 v[8];
    for (unsigned i = 0; i < 8; i++) {
        TRY(stack_read(cpu, (i64)(i * size), size, &v[7 - i]));
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i != RSP) {
            gpr_write(cpu, i, size, v[i]);
        }
    }
    stack_move(cpu, (i64)(8 * size));
    return CPU_OK;
}

static u64 stack_offset(const struct cpu *cpu, u64 from, u64 minus)
{
    return (from - minus) & cpu->d.sp_mask;
}

/* [SDM2 "ENTER"] imm: bytes to allocate in bits 0-15, nesting level from bit 32. Copies level - 1
 * frame pointers of the enclosing frames. Steps come in the order of the manual's operation: one that
 * faults leaves the items pushed before it, below a stack pointer that has not moved, as chips do. A
 * write at the final stack pointer must be possible too, alignment checks included. */
cpu_rc exec_enter(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 alloc = in->imm & 0xffff;
    unsigned level = (in->imm >> 32) & 0x1f;
    u64 rsp = cpu->arch.gpr[RSP], rbp = cpu->arch.gpr[RBP];
    unsigned pushes = level == 0 ? 1 : level + 1;

    TRY(stack_write(cpu, -(i64)size, size, rbp));
    stack_move(cpu, -(i64)size);
    u64 frame = cpu->arch.gpr[RSP];
    cpu->arch.gpr[RSP] = rsp;
    for (unsigned i = 1; i < level; i++) {
        u64 v;
        TRY(mem_read(cpu, SEG_SS, stack_offset(cpu, rbp, i * size), size, &v));
        TRY(stack_write(cpu, -(i64)((i + 1) * size), size, v));
    }
    if (level > 0) {
        TRY(stack_write(cpu, -(i64)(pushes * size), size, frame));
    }
    u64 end = stack_offset(cpu, rsp, pushes * size + alloc);
    TRY(mem_check_ac(cpu, SEG_SS, end, size));
    TRY(mem_probe(cpu, SEG_SS, end, size, ACCESS_WRITE));
    gpr_write(cpu, RBP, size, frame);
    stack_move(cpu, -(i64)(pushes * size + alloc));
    return CPU_OK;
}

/* [SDM2 "LEAVE"] RSP takes RBP in the stack's width, RBP the popped item in the operand size. */
cpu_rc exec_leave(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 mask = cpu->d.sp_mask, rbp = cpu->arch.gpr[RBP], v;
    TRY(mem_read(cpu, SEG_SS, rbp & mask, size, &v));
    u64 rsp = cpu->arch.gpr[RSP];
    cpu->arch.gpr[RSP] = mask == 0xffffffff ? (u32)rbp : (rsp & ~mask) | (rbp & mask);
    stack_move(cpu, size);
    gpr_write(cpu, RBP, size, v);
    return CPU_OK;
}
