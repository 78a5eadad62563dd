/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Emitters of moves, arithmetic, shifts and bit instructions.
 *
 * Order in each: the memory operand with its check first (it may leave, and costs the host's flags), then
 * whatever flags are needed, then the operation, then registers. What the manuals leave undefined is named in
 * flags_set(); where a host might give OF of a shift otherwise than as the last of single steps, the last step
 * is done by itself. */
#include "jit/translate.h"

#include "cpu/decode/decode.h"

static const struct op_facts *facts_of(const struct translation *t)
{
    return &t->facts[t->i];
}

static bool in_memory(const struct translation *t, unsigned i)
{
    return t->in->r[i] == OPR_MEM;
}

static bool is_imm(const struct translation *t, unsigned i)
{
    return t->in->r[i] == OPR_IMM;
}

/* A register operand that an operation of the instruction's size reads and writes: 32-bit results clear the
 * upper half, so what lives in memory is loaded for them. */
static struct host_rm modify(struct translation *t, unsigned g)
{
    return t->in->osz == 4 ? rm_reg(reg_in(t, g, H_TMP)) : reg_rm(g);
}

static void modified(struct translation *t, unsigned g, struct host_rm rm)
{
    if (rm.reg != H_NONE) {
        reg_out(t, g, rm.reg);
    }
}

/* ---- Moves ---- */

static void mov_imm(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, g = t->in->r[0];
    u64 v = t->in->imm;
    if (size >= 4) {
        v = size == 4 ? (u32)v : v;
        unsigned d = reg_for(g, H_TMP);
        emit_mov_const(e, d, v);
        reg_out(t, g, d);
    } else {
        emit_op_imm(e, OP(size == 1 ? 0xc6 : 0xc7), size, 0, reg_rm(g), (i32)v);
    }
}

static void emit_mov(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz;
    if (in_memory(t, 0)) {
        struct host_rm m = memory_operand(t, size, true);
        if (is_imm(t, 1)) {
            emit_op_imm(e, OP(size == 1 ? 0xc6 : 0xc7), size, 0, m, (i32)t->in->imm);
        } else {
            emit_mov_store(e, size, reg_in(t, t->in->r[1], H_TMP), m);
        }
        return;
    }
    if (is_imm(t, 1)) {
        mov_imm(t);
        return;
    }
    unsigned g = t->in->r[0];
    struct host_rm from = in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[1]);
    unsigned d = size >= 4 ? reg_for(g, H_TMP) : reg_in(t, g, H_TMP);
    emit_mov_load(e, size, d, from);
    reg_out(t, g, d);
}

static void emit_movx(struct translation *t)
{
    unsigned size = t->in->osz, from = insn_mem_size(t->in), g = t->in->r[0];
    bool sign = facts_of(t)->number != 0;
    struct host_rm rm = in_memory(t, 1) ? memory_operand(t, from, false) : reg_rm(t->in->r[1]);
    unsigned d = reg_for(g, H_TMP);
    u32 op = from == 4 ? OP(0x63) : OP_0F((from == 1 ? 0xb6u : 0xb7u) | (sign ? 8u : 0u));
    emit_op(&t->e, op | (from == 1 ? OP_RM8 : 0), size, d, rm);
    reg_out(t, g, d);
}

static void emit_lea_op(struct translation *t)
{
    unsigned d = reg_for(t->in->r[0], H_TMP);
    address_to(t, d, false);
    if (t->in->osz == 4) {
        emit_mov_load(&t->e, 4, d, rm_reg(d));
    }
    reg_out(t, t->in->r[0], d);
}

static void emit_xchg(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz;
    if (in_memory(t, 0) || in_memory(t, 1)) {
        unsigned g = t->in->r[in_memory(t, 0) ? 1 : 0];
        struct host_rm m = memory_operand(t, size, true);
        unsigned d = reg_in(t, g, H_TMP);
        emit_op(e, OP(size == 1 ? 0x86 : 0x87), size, d, m);
        reg_out(t, g, d);
        return;
    }
    unsigned a = t->in->r[0], b = t->in->r[1];
    emit_mov_load(e, size, H_TMP, reg_rm(a));
    emit_mov_load(e, size, H_ADDR, reg_rm(b));
    emit_mov_store(e, 8, H_ADDR, reg_rm(a));
    emit_mov_store(e, 8, H_TMP, reg_rm(b));
}

/* CWDE, CDQE; CDQ, CQO by way of the host's accumulator. */
static void emit_widen(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, acc = jit_home[RAX];
    if (facts_of(t)->number == 0) {
        emit_op(e, size == 8 ? OP(0x63) : OP_0F(0xbf), size, acc, rm_reg(acc));
        return;
    }
    emit_mov_load(e, 8, H_TMP, rm_reg(H_RAX));
    emit_mov_load(e, 8, H_RAX, rm_reg(acc));
    if (size == 8) {
        emit_u8(e, 0x48);
    }
    emit_u8(e, 0x99);
    emit_mov_load(e, 8, H_RAX, rm_reg(H_TMP));
}

static void emit_bswap(struct translation *t)
{
    unsigned d = reg_in(t, t->in->r[0], H_TMP);
    emit_u8(&t->e, 0x40 | (t->in->osz == 8 ? 8u : 0u) | (d >= 8 ? 1u : 0u));
    emit_u8(&t->e, 0x0f);
    emit_u8(&t->e, 0xc8 | (d & 7));
    reg_out(t, t->in->r[0], d);
}

/* ---- Arithmetic and logic ---- */

static void alu_flags(struct translation *t, unsigned alu)
{
    bool logic = alu == HA_AND || alu == HA_OR || alu == HA_XOR;
    flags_set(t, logic ? F_AF | F_OF | F_CF : 0, logic ? F_AF : 0);
}

static void emit_alu_op(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned alu = facts_of(t)->number, size = t->in->osz;
    bool compare = alu == HA_CMP, store_form = in_memory(t, 0);
    struct host_rm m = {0};
    if (in_memory(t, 0) || in_memory(t, 1)) {
        m = memory_operand(t, size, in_memory(t, 0) && !compare);
    }
    if (alu == HA_ADC || alu == HA_SBB) {
        flags_need(t, F_CF);
    }
    if (in_memory(t, 1)) {
        unsigned d = reg_in(t, t->in->r[0], H_TMP);
        emit_alu(e, alu, size, d, m);
        if (!compare) {
            reg_out(t, t->in->r[0], d);
        }
    } else if (is_imm(t, 1)) {
        struct host_rm d = store_form ? m : compare ? reg_rm(t->in->r[0]) : modify(t, t->in->r[0]);
        emit_alu_imm(e, alu, size, d, (i32)t->in->imm);
        if (!store_form && !compare) {
            modified(t, t->in->r[0], d);
        }
    } else if (store_form) {
        emit_op(e, OP(alu << 3 | (size == 1 ? 0u : 1u)), size, reg_in(t, t->in->r[1], H_TMP), m);
    } else {
        unsigned d = reg_in(t, t->in->r[0], H_TMP);
        emit_alu(e, alu, size, d, reg_rm(t->in->r[1]));
        if (!compare) {
            reg_out(t, t->in->r[0], d);
        }
    }
    alu_flags(t, alu);
}

static void emit_test(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz;
    unsigned other = in_memory(t, 1) ? 0 : 1;
    struct host_rm rm = in_memory(t, 0) || in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[0]);
    if (is_imm(t, 1)) {
        emit_op_imm(e, OP(size == 1 ? 0xf6 : 0xf7), size, 0, rm, (i32)t->in->imm);
    } else {
        emit_op(e, OP(size == 1 ? 0x84 : 0x85), size, reg_in(t, t->in->r[other], H_TMP), rm);
    }
    alu_flags(t, HA_AND);
}

/* An operation with one r/m operand and an opcode extension: INC, DEC, NOT, NEG. */
static void emit_unary(struct translation *t, unsigned op, unsigned extension, u32 keeps)
{
    unsigned size = t->in->osz;
    bool memory = in_memory(t, 0);
    struct host_rm m = {0};
    if (memory) {
        m = memory_operand(t, size, true);
    }
    if ((t->live[t->i + 1] & keeps) != 0) {
        flags_need(t, keeps);
    }
    struct host_rm d = memory ? m : modify(t, t->in->r[0]);
    emit_op(&t->e, OP(op | (size == 1 ? 0u : 1u)), size, extension, d);
    if (!memory) {
        modified(t, t->in->r[0], d);
    }
}

static void emit_imul(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, g = t->in->r[0];
    u32 undefined = F_SF | F_ZF | F_AF | F_PF;
    struct host_rm rm = in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[1]);
    if (t->in->r[2] == OPR_NONE) {
        unsigned d = reg_in(t, g, H_TMP);
        emit_op(e, OP_0F(0xaf), size, d, rm);
        reg_out(t, g, d);
    } else {
        unsigned d = reg_for(g, H_TMP);
        i32 imm = (i32)t->in->imm;
        if (imm == (i8)imm) {
            emit_op_imm8(e, OP(0x6b), size, d, rm, (u8)imm);
        } else {
            emit_op_imm(e, OP(0x69), size, d, rm, imm);
        }
        reg_out(t, g, d);
    }
    flags_set(t, undefined, undefined);
}

/* The host's accumulator is free: all flags are about to be written. */
static void emit_mul(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz;
    u32 undefined = F_SF | F_ZF | F_AF | F_PF;
    struct host_rm rm = in_memory(t, 0) ? memory_operand(t, size, false) : reg_rm(t->in->r[0]);
    emit_mov_load(e, 8, H_RAX, rm_reg(jit_home[RAX]));
    emit_op(e, OP(0xf7), size, insn_id(t->in) == INSN_MUL ? 4 : 5, rm);
    emit_mov_load(e, 8, jit_home[RAX], rm_reg(H_RAX));
    flags_set(t, undefined, undefined);
}

/* Only where the quotient is sure to fit: an upper half below the divisor; for IDIV a dividend that is a
 * sign-extended single word, and a divisor other than 0 and -1. The handler does the rest, or faults. */
static void emit_div(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, extension = facts_of(t)->number, acc = jit_home[RAX];
    struct host_rm rm = in_memory(t, 0) ? memory_operand(t, size, false) : reg_rm(t->in->r[0]);
    flags_spill(t);
    emit_mov_load(e, size, H_TMP, rm);
    if (extension == 6) {
        emit_alu(e, HA_CMP, size, H_RDX, rm_reg(H_TMP));
        to_slow_path(t, emit_jcc(e, 3)); /* not below */
    } else {
        emit_mov_load(e, size, H_ADDR, rm_reg(acc));
        emit_shift_imm(e, HS_SAR, size, rm_reg(H_ADDR), 8 * size - 1);
        emit_alu(e, HA_CMP, size, H_ADDR, rm_reg(H_RDX));
        to_slow_path(t, emit_jcc(e, 5));
        emit_lea(e, size, H_ADDR, rm_mem(H_TMP, 1));
        emit_alu_imm(e, HA_CMP, size, rm_reg(H_ADDR), 1);
        to_slow_path(t, emit_jcc(e, 6)); /* not above: 0 or -1 */
    }
    emit_mov_load(e, 8, H_RAX, rm_reg(acc));
    emit_op(e, OP(0xf7), size, extension, rm_reg(H_TMP));
    emit_mov_load(e, 8, acc, rm_reg(H_RAX));
    emit_op(e, OP(0x31), 4, H_RAX, rm_reg(H_RAX)); /* xor eax, eax: all undefined */
    t->flags = IN_RAX;
}

/* The register goes through memory, where its second byte has an address. */
static void emit_high(struct translation *t)
{
    struct emit *e = &t->e;
    const struct insn *in = t->in;
    bool movx = in->r[1] != OPR_IMM;
    unsigned g = in->r[movx ? 1 : 0] - OPR_HIGH, number = facts_of(t)->number;
    struct host_rm byte = GPR_AT(g);
    byte.disp += 1;
    emit_mov_store(e, 8, jit_home[g], GPR_AT(g));
    if (movx) {
        unsigned d = reg_for(in->r[0], H_TMP);
        emit_op(e, OP_0F(number != 0 ? 0xbe : 0xb6) | OP_RM8, in->osz, d, byte);
        reg_out(t, in->r[0], d);
        return;
    }
    if (insn_id(in) == INSN_TEST) {
        emit_op_imm(e, OP(0xf6), 1, 0, byte, (i32)in->imm);
        alu_flags(t, HA_AND);
        return;
    }
    if (number == HA_ADC || number == HA_SBB) {
        flags_need(t, F_CF);
    }
    emit_alu_imm(e, number, 1, byte, (i32)in->imm);
    if (number != HA_CMP) {
        emit_mov_load(e, 8, jit_home[g], GPR_AT(g));
    }
    alu_flags(t, number);
}

static void emit_xadd(struct translation *t)
{
    unsigned size = t->in->osz, g = t->in->r[1];
    struct host_rm m = memory_operand(t, size, true);
    unsigned d = reg_in(t, g, H_TMP);
    emit_op(&t->e, OP_0F(size == 1 ? 0xc0 : 0xc1), size, d, m);
    reg_out(t, g, d);
    flags_set(t, 0, 0);
}

/* RAX keeps its upper half when the comparison succeeds: the host's word is taken only otherwise. */
static void emit_cmpxchg(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, acc = jit_home[RAX];
    struct host_rm m = memory_operand(t, size, true);
    unsigned s = reg_in(t, t->in->r[1], H_TMP);
    emit_mov_load(e, 8, H_RAX, rm_reg(acc));
    emit_op(e, OP_0F(size == 1 ? 0xb0 : 0xb1), size, s, m);
    emit_op(e, OP_0F(0x45), 8, acc, rm_reg(H_RAX)); /* cmovne */
    flags_set(t, 0, 0);
}

/* ---- Shifts ---- */

/* The host's flags into rax; OF stands in al already. */
static void save_shift_flags(struct translation *t, bool rotate)
{
    emit_u8(&t->e, 0x9f); /* lahf */
    if (!rotate) {
        emit_u8(&t->e, 0x25); /* and eax: AF = 0 */
        emit_u32(&t->e, (0xffu & ~(u32)F_AF) << 8 | 0xff);
    }
    t->flags = IN_RAX;
}

static void save_of(struct translation *t)
{
    emit_op(&t->e, OP_0F(0x90), 1, 0, rm_reg(H_RAX)); /* seto al */
}

/* By n > 1, with flags that matter: steps of one where the flags come from, so that none is undefined. */
static void shift_by_steps(struct translation *t, unsigned shift, unsigned d, unsigned n)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz;
    struct host_rm rm = rm_reg(d);
    bool rotate = shift <= HS_ROR;
    bool narrow = size < 4 && n > 2;
    if (t->j->of_first_step && shift != HS_SAR) {
        emit_shift_imm(e, shift, size, rm, 1);
        save_of(t);
        emit_shift_imm(e, shift, size, rm, narrow ? n - 2 : n - 1);
        if (narrow) { /* more than the width: only single steps define CF */
            emit_shift_imm(e, shift, size, rm, 1);
        }
        save_shift_flags(t, rotate);
        return;
    }
    bool split = size < 4 || rotate || shift == HS_SHL;
    if (split) {
        emit_shift_imm(e, shift, size, rm, n - 1);
    }
    emit_shift_imm(e, shift, size, rm, split ? 1 : n);
    if (rotate) {
        flags_set(t, 0, 0);
    } else {
        /* Shifted right by more than one, the last step finds the sign at rest: OF = 0. */
        u32 undefined = F_AF | (split ? 0 : F_OF);
        flags_set(t, undefined, undefined);
    }
}

static void emit_shift(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, shift = facts_of(t)->number;
    unsigned n = (unsigned)t->in->imm & (size == 8 ? 63u : 31u);
    bool rotate = facts_of(t)->kind == OP_ROTATE, memory = in_memory(t, 0);
    struct host_rm m = {0};
    if (memory) {
        m = memory_operand(t, size, true);
    }
    bool keep_of = rotate && !memory && n > 1 && t->j->of_kept;
    u32 keeps = rotate ? t->live[t->i + 1] & (F_SF | F_ZF | F_AF | F_PF | (keep_of ? F_OF : 0u)) : 0;
    if (keeps != 0) {
        flags_need(t, keeps);
    }
    unsigned d = memory ? H_TMP : reg_in(t, t->in->r[0], H_TMP);
    if (memory) {
        emit_mov_load(e, size, d, m);
    }
    if (keep_of && flags_matter(t)) {
        save_of(t);
        emit_shift_imm(e, shift, size, rm_reg(d), n);
        save_shift_flags(t, true);
    } else if (n > 1 && flags_matter(t)) {
        shift_by_steps(t, shift, d, n);
    } else {
        emit_shift_imm(e, shift, size, rm_reg(d), n);
        flags_set(t, rotate ? 0 : F_AF, rotate ? 0 : F_AF);
    }
    if (memory) {
        emit_mov_store(e, size, d, m);
    } else {
        reg_out(t, t->in->r[0], d);
    }
}

/* By CL: a count of 0 leaves the flags. */
static void emit_shift_cl_op(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, g = t->in->r[0], shift = facts_of(t)->number;
    unsigned d;
    if (!flags_matter(t)) {
        d = reg_in(t, g, H_TMP);
        emit_shift_cl(e, shift, size, rm_reg(d));
        reg_out(t, g, d);
        t->flags = 0;
        return;
    }
    flags_settle(t);
    d = reg_in(t, g, H_TMP);
    emit_mov_load(e, 8, H_ADDR, rm_reg(H_RCX));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_RCX), size == 8 ? 63 : 31);
    u8 *none = emit_jcc(e, 4);
    emit_lea(e, 4, H_RCX, rm_mem(H_RCX, -1));
    if (t->j->of_first_step) {
        emit_shift_imm(e, shift, size, rm_reg(d), 1);
        save_of(t);
        if (shift == HS_SAR) {
            emit_op_imm8(e, OP(0xc6), 1, 0, rm_reg(H_RAX), 0); /* mov al, 0 */
        }
        emit_shift_cl(e, shift, size, rm_reg(d)); /* by 0: the flags are those of the first step */
    } else {
        emit_shift_cl(e, shift, size, rm_reg(d));
        emit_shift_imm(e, shift, size, rm_reg(d), 1);
        save_of(t);
    }
    save_shift_flags(t, false);
    if (!e->full) {
        emit_patch(none, e->at);
    }
    emit_mov_load(e, 8, H_RCX, rm_reg(H_ADDR));
    if (size == 4) {
        emit_mov_load(e, 4, d, rm_reg(d));
    }
    reg_out(t, g, d);
}

/* ---- Conditions ---- */

static void emit_setcc(struct translation *t)
{
    const struct op_facts *f = facts_of(t);
    struct host_rm rm = in_memory(t, 0) ? memory_operand(t, 1, true) : reg_rm(t->in->r[0]);
    flags_need(t, f->reads);
    emit_op(&t->e, OP_0F(0x90 | f->number), 1, 0, rm);
}

static void emit_cmov(struct translation *t)
{
    const struct op_facts *f = facts_of(t);
    unsigned size = t->in->osz, g = t->in->r[0];
    struct host_rm rm = in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[1]);
    flags_need(t, f->reads);
    unsigned d = reg_in(t, g, H_TMP);
    emit_op(&t->e, OP_0F(0x40 | f->number), size, d, rm);
    reg_out(t, g, d);
}

/* ---- Bits ---- */

static void emit_bt(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, extension = facts_of(t)->number, g = t->in->r[0];
    bool memory = in_memory(t, 0), test = extension == 4;
    u32 undefined = F_OF | F_SF | F_AF | F_PF;
    struct host_rm m = {0};
    if (memory) {
        m = memory_operand(t, size, !test);
    }
    if ((t->live[t->i + 1] & F_ZF) != 0) {
        flags_need(t, F_ZF);
    }
    struct host_rm d = memory ? m : rm_reg(reg_in(t, g, H_TMP));
    if (is_imm(t, 1)) {
        emit_op_imm8(e, OP_0F(0xba), size, extension, d, (unsigned)t->in->imm & 0xff);
    } else {
        emit_op(e, OP_0F(0x83 | extension << 3), size, reg_in(t, t->in->r[1], H_ADDR), d);
    }
    if (!memory && !test) {
        reg_out(t, g, d.reg);
    }
    flags_set(t, undefined, undefined);
}

/* BSF, BSR: a zero source leaves all 64 bits of the destination. */
static void emit_scan(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned size = t->in->osz, g = t->in->r[0];
    u32 undefined = F_ALL & ~(u32)F_ZF;
    struct host_rm rm = in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[1]);
    emit_op(e, OP_0F(facts_of(t)->number), size, H_TMP, rm);
    emit_op(e, OP_0F(0x44), 8, H_TMP, reg_rm(g)); /* cmove */
    emit_mov_store(e, 8, H_TMP, reg_rm(g));
    flags_set(t, undefined, undefined);
}

static void emit_count(struct translation *t)
{
    unsigned size = t->in->osz, g = t->in->r[0];
    bool popcnt = facts_of(t)->number == 0xb8;
    struct host_rm rm = in_memory(t, 1) ? memory_operand(t, size, false) : reg_rm(t->in->r[1]);
    unsigned d = reg_for(g, H_TMP);
    emit_op(&t->e, OP_0F(facts_of(t)->number) | OP_PREFIX(0xf3), size, d, rm);
    reg_out(t, g, d);
    u32 zero = F_ALL & ~(u32)(popcnt ? F_ZF : F_ZF | F_CF);
    flags_set(t, zero, popcnt ? 0 : zero);
}

static void emit_clear(struct translation *t, u32 flag)
{
    flags_spill(t);
    emit_alu_imm(&t->e, HA_AND, 4, CPU_AT(arch.rflags), ~(i32)flag);
}

static void emit_swapgs(struct translation *t)
{
    struct emit *e = &t->e;
    emit_mov_load(e, 8, H_TMP, CPU_AT(arch.seg[SEG_GS].base));
    emit_mov_load(e, 8, H_ADDR, CPU_AT(arch.kernel_gs_base));
    emit_mov_store(e, 8, H_TMP, CPU_AT(arch.kernel_gs_base));
    emit_mov_store(e, 8, H_ADDR, CPU_AT(arch.seg[SEG_GS].base));
    emit_mov_store(e, 8, H_ADDR, CPU_AT(d.seg_base[SEG_GS]));
}

void emit_native(struct translation *t)
{
    switch ((enum op_kind)facts_of(t)->kind) {
    case OP_MOV: emit_mov(t); break;
    case OP_MOVX: emit_movx(t); break;
    case OP_LEA: emit_lea_op(t); break;
    case OP_ALU: emit_alu_op(t); break;
    case OP_TEST: emit_test(t); break;
    case OP_STEP:
        emit_unary(t, 0xfe, facts_of(t)->number, F_CF);
        flags_set(t, 0, 0);
        break;
    case OP_NOT: emit_unary(t, 0xf6, 2, 0); break;
    case OP_NEG:
        emit_unary(t, 0xf6, 3, 0);
        flags_set(t, 0, 0);
        break;
    case OP_SHIFT:
    case OP_ROTATE: emit_shift(t); break;
    case OP_SHIFT_CL: emit_shift_cl_op(t); break;
    case OP_IMUL: emit_imul(t); break;
    case OP_MUL: emit_mul(t); break;
    case OP_SETCC: emit_setcc(t); break;
    case OP_CMOV: emit_cmov(t); break;
    case OP_XCHG: emit_xchg(t); break;
    case OP_DIV: emit_div(t); break;
    case OP_HIGH: emit_high(t); break;
    case OP_XADD: emit_xadd(t); break;
    case OP_CMPXCHG: emit_cmpxchg(t); break;
    case OP_BT: emit_bt(t); break;
    case OP_SCAN: emit_scan(t); break;
    case OP_COUNT: emit_count(t); break;
    case OP_BSWAP: emit_bswap(t); break;
    case OP_WIDEN: emit_widen(t); break;
    case OP_VEC: emit_vec(t); break;
    case OP_X87: emit_x87(t); break;
    case OP_SWAPGS: emit_swapgs(t); break;
    case OP_CLI: emit_clear(t, RFLAGS_IF); break;
    case OP_CLD: emit_clear(t, RFLAGS_DF); break;
    case OP_HANDLER:
    case OP_NOTHING:
    case OP_PUSH:
    case OP_POP:
    case OP_LEAVE:
    case OP_CALLED:
    case OP_SIDE:
    case OP_RETURNED:
    case OP_JCC:
    case OP_JMP:
    case OP_CALL:
    case OP_RET:
    case OP_STRING: break;
    }
}
