/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 instructions: the guest's own, on the host's x87, which holds the guest's registers as long as nobody else
 * wants it (run.c). Only with every exception masked, so that none is ever pending.
 *
 * FIP and, on AMD's models, FOP and FDP are the guest's: kept in memory, the last instruction's only when somebody may
 * look. What the host's own are is never seen.
 *
 * Left to handlers: what the interpreter computes itself (transcendentals, FBLD), what it corrects (FPREM), whatever
 * changes FCW to unmask something, and what is rare. */
#include "jit/translate.h"

#include "abi/x86/fpu.h"
#include "cpu/exec/fault.h"
#include "cpu/model.h"

enum x87_shape {
    X87_NONE,
    X87_READ,    /* registers, or memory that is read */
    X87_WRITE,   /* the same, written */
    X87_COMPARE, /* to ZF, PF, CF */
    X87_FLDCW,
    X87_FNSTCW,
    X87_FNSTSW,
};

static const u8 shapes[INSN_COUNT] = {
    [INSN_FADD] = X87_READ,     [INSN_FMUL] = X87_READ,      [INSN_FSUB] = X87_READ,      [INSN_FSUBR] = X87_READ,
    [INSN_FDIV] = X87_READ,     [INSN_FDIVR] = X87_READ,     [INSN_FADDP] = X87_READ,     [INSN_FMULP] = X87_READ,
    [INSN_FSUBP] = X87_READ,    [INSN_FSUBRP] = X87_READ,    [INSN_FDIVP] = X87_READ,     [INSN_FDIVRP] = X87_READ,
    [INSN_FIADD] = X87_READ,    [INSN_FIMUL] = X87_READ,     [INSN_FISUB] = X87_READ,     [INSN_FISUBR] = X87_READ,
    [INSN_FIDIV] = X87_READ,    [INSN_FIDIVR] = X87_READ,    [INSN_FCOM] = X87_READ,      [INSN_FCOMP] = X87_READ,
    [INSN_FCOMPP] = X87_READ,   [INSN_FUCOM] = X87_READ,     [INSN_FUCOMP] = X87_READ,    [INSN_FUCOMPP] = X87_READ,
    [INSN_FICOM] = X87_READ,    [INSN_FICOMP] = X87_READ,    [INSN_FCOMI] = X87_COMPARE,  [INSN_FCOMIP] = X87_COMPARE,
    [INSN_FUCOMI] = X87_COMPARE, [INSN_FUCOMIP] = X87_COMPARE, [INSN_FTST] = X87_READ,    [INSN_FXAM] = X87_READ,
    [INSN_FSQRT] = X87_READ,    [INSN_FRNDINT] = X87_READ,   [INSN_FABS] = X87_READ,      [INSN_FCHS] = X87_READ,
    [INSN_FLD] = X87_READ,      [INSN_FILD] = X87_READ,      [INSN_FLD1] = X87_READ,      [INSN_FLDL2T] = X87_READ,
    [INSN_FLDL2E] = X87_READ,   [INSN_FLDPI] = X87_READ,     [INSN_FLDLG2] = X87_READ,    [INSN_FLDLN2] = X87_READ,
    [INSN_FLDZ] = X87_READ,     [INSN_FST] = X87_WRITE,      [INSN_FSTP] = X87_WRITE,     [INSN_FIST] = X87_WRITE,
    [INSN_FISTP] = X87_WRITE,   [INSN_FISTTP] = X87_WRITE,   [INSN_FXCH] = X87_READ,      [INSN_FINCSTP] = X87_READ,
    [INSN_FDECSTP] = X87_READ,  [INSN_FLDCW] = X87_FLDCW,    [INSN_FNSTCW] = X87_FNSTCW,  [INSN_FNSTSW] = X87_FNSTSW,
};

static bool in_memory(const struct insn *in)
{
    return in->r[0] == OPR_MEM;
}

bool find_x87_facts(const struct translation *t, const struct insn *in, struct op_facts *f)
{
    unsigned shape = shapes[insn_id(in)];
    if (shape == X87_NONE || in->exec == exec_hooked || in->exec == exec_unit_fault ||
        in->exec == exec_privilege_fault || (in_memory(in) && !memory_is_plain(t, in))) {
        return false;
    }
    f->kind = OP_X87;
    f->number = shape;
    f->exits = in_memory(in);
    f->x87 = shape != X87_FNSTCW;
    f->ends_run = shape == X87_FLDCW;
    f->writes = shape == X87_COMPARE ? F_ALL : 0;
    return true;
}

/* Bytes of the memory operand; the decoder does not tell the 80-bit form's. */
static unsigned memory_size(const struct insn *in)
{
    unsigned size = insn_mem_size(in);
    bool real = insn_id(in) == INSN_FLD || insn_id(in) == INSN_FST || insn_id(in) == INSN_FSTP;
    return real && size != 4 && size != 8 ? 10 : size;
}

void x87_store_pointers(struct translation *t, const struct x87_pointers *p)
{
    struct emit *e = &t->e;
    if (!p->waiting) {
        return;
    }
    emit_mov_const(e, H_TMP, p->rip);
    emit_mov_store(e, 8, H_TMP, CPU_AT(arch.fpu.fip));
    if (!cpu_is_intel(t->cpu)) { /* there jit_x87_on() has seen that FCS is 0 */
        emit_mov_load(e, 2, H_TMP, CPU_AT(arch.seg[SEG_CS].sel));
        emit_mov_store(e, 2, H_TMP, CPU_AT(arch.fpu.fcs));
        emit_mov_const(e, H_TMP, p->fop);
        emit_mov_store(e, 2, H_TMP, CPU_AT(arch.fpu.fop));
    }
}

void x87_flush(struct translation *t)
{
    x87_store_pointers(t, &t->x87);
    t->x87.waiting = false;
}

/* [r14] is the operand; on AMD's models FDP and FDS say where that was. */
static struct host_rm operand(struct translation *t, bool write)
{
    struct emit *e = &t->e;
    if (cpu_is_intel(t->cpu)) {
        return memory_operand(t, memory_size(t->in), write);
    }
    address_to(t, H_ADDR, false);
    emit_mov_store(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
    struct host_rm rm = memory_operand(t, memory_size(t->in), write);
    struct host_rm sel = CPU_AT(arch.seg[0].sel);
    sel.disp += (i32)(insn_seg(t->in) * sizeof(struct segment));
    emit_mov_load(e, 8, H_TMP, CPU_AT(d.jit.tmp));
    emit_mov_store(e, 8, H_TMP, CPU_AT(arch.fpu.fdp));
    emit_mov_load(e, 2, H_TMP, sel);
    emit_mov_store(e, 2, H_TMP, CPU_AT(arch.fpu.fds));
    return rm;
}

/* A control word that unmasks nothing; others are the handler's. */
static void emit_fldcw(struct translation *t)
{
    struct emit *e = &t->e;
    struct host_rm rm = memory_operand(t, 2, false);
    flags_spill(t);
    emit_op(e, OP_0F(0xb7), 4, H_TMP, rm); /* movzx */
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), FCW_VALID);
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_TMP), FCW_ONE);
    emit_mov_load(e, 4, H_ADDR, rm_reg(H_TMP));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_ADDR), FP_ALL);
    emit_alu_imm(e, HA_CMP, 4, rm_reg(H_ADDR), FP_ALL);
    to_slow_path(t, emit_jcc(e, 5));
    emit_mov_store(e, 2, H_TMP, CPU_AT(arch.fpu.fcw));
    emit_op(e, OP(0xd9), 4, 5, CPU_AT(arch.fpu.fcw));
}

static void emit_fnstsw(struct translation *t)
{
    struct emit *e = &t->e;
    if (in_memory(t->in)) {
        emit_op(e, OP(0xdd), 4, 7, memory_operand(t, 2, true));
        return;
    }
    emit_mov_load(e, 8, H_TMP, rm_reg(H_RAX));
    emit_u8(e, 0xdf); /* fnstsw ax */
    emit_u8(e, 0xe0);
    emit_mov_load(e, 2, jit_home[RAX], rm_reg(H_RAX));
    emit_mov_load(e, 8, H_RAX, rm_reg(H_TMP));
}

void emit_x87(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned shape = t->facts[t->i].number, fop = (unsigned)t->in->imm & 0x7ff, op = 0xd8 | fop >> 8;
    switch ((enum x87_shape)shape) {
    case X87_FLDCW: emit_fldcw(t); return;
    case X87_FNSTSW: emit_fnstsw(t); return;
    case X87_FNSTCW: {
        struct host_rm rm = memory_operand(t, 2, true);
        emit_mov_load(e, 2, H_TMP, CPU_AT(arch.fpu.fcw));
        emit_mov_store(e, 2, H_TMP, rm);
        return;
    }
    case X87_NONE:
    case X87_READ:
    case X87_WRITE:
    case X87_COMPARE: break;
    }
    if (in_memory(t->in)) {
        emit_op(e, OP(op), 4, fop >> 3 & 7, operand(t, shape == X87_WRITE));
    } else {
        emit_u8(e, op);
        emit_u8(e, fop & 0xff);
    }
    if (shape == X87_COMPARE) {
        flags_set(t, F_OF | F_SF | F_AF, F_OF | F_SF | F_AF);
    }
    t->x87 = (struct x87_pointers){.rip = t->rip, .fop = (u16)fop, .waiting = true};
}
