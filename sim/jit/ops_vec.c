/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Emitters of vector instructions: the guest's own opcode around host registers of the same numbers.
 *
 * The host's vector registers hold the guest's from the first use until C code runs (thunk.c, jit_vec_on()). A legacy
 * instruction stays one, as its VEX form would clear upper halves. MXCSR: run.c, jit_fp_on(). */
#include "jit/translate.h"
#include "jit/vec.h"

#include "cpu/decode/decode.h"

/* The host register that holds a guest's. */
static unsigned vec_home(unsigned r)
{
    return r - OPR_VEC;
}

static bool is_vex(const struct translation *t)
{
    return (t->in->pfx & PFX_VEX) != 0;
}

/* The memory operand of `size` bytes, which must be aligned if `aligned`: else the handler says what is. */
static struct host_rm vec_memory(struct translation *t, unsigned size, bool aligned, bool write)
{
    return access_memory(t, AT_OPERAND, size, aligned ? size : 0, write);
}

/* Operand i as the r/m operand; a load-and-operate form of legacy SSE wants 16 bytes aligned. */
static struct host_rm vec_rm(struct translation *t, unsigned i)
{
    const struct insn *in = t->in;
    if (in->r[i] == OPR_MEM) {
        unsigned size = insn_mem_size(in);
        return vec_memory(t, size, size == 16 && !is_vex(t), false);
    }
    return rm_reg(vec_home(in->r[i]));
}

/* The instruction's opcode with these operands; `second`: VEX.vvvv. */
static void vec_insn(struct translation *t, u32 op, bool wide, unsigned reg, unsigned second, struct host_rm rm)
{
    if (is_vex(t)) {
        emit_vex(&t->e, op, wide, (t->in->pfx & PFX_VEX_L) != 0, second, reg, rm);
    } else {
        emit_op(&t->e, op, wide ? 8 : 4, reg, rm);
    }
}

static bool rex_w(const struct translation *t)
{
    return (t->in->pfx & PFX_REXW) != 0;
}

static void immediate(struct translation *t, const struct vec_row *row)
{
    if ((row->flags & VEC_IMM) != 0) {
        emit_u8(&t->e, (unsigned)t->in->imm & 0xff);
    }
}

static void emit_binary(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    bool vex = is_vex(t);
    struct host_rm rm = vec_rm(t, vex ? 2 : 1);
    unsigned a = vec_home(in->r[vex ? 1 : 0]);
    vec_insn(t, row->op, vex && rex_w(t), in->r[0] - OPR_VEC, a, rm);
    immediate(t, row);
}

static void emit_unary(struct translation *t, const struct vec_row *row)
{
    struct host_rm rm = vec_rm(t, 1);
    vec_insn(t, row->op, is_vex(t) && rex_w(t), t->in->r[0] - OPR_VEC, 0, rm);
    immediate(t, row);
}

static void emit_compare(struct translation *t, const struct vec_row *row)
{
    struct host_rm rm = vec_rm(t, 1);
    unsigned a = vec_home(t->in->r[0]);
    vec_insn(t, row->op, false, a, 0, rm);
    flags_set(t, 0, 0);
}

/* From register to memory. */
static void emit_store(struct translation *t, u32 op, unsigned size, bool aligned)
{
    struct host_rm rm = vec_memory(t, size, aligned, true);
    unsigned a = vec_home(t->in->r[1]);
    vec_insn(t, op, false, a, 0, rm);
}

static void emit_move(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    unsigned size = (in->pfx & PFX_VEX_L) != 0 ? 32 : 16;
    bool aligned = (row->flags & VEC_ALIGNED) != 0;
    if (in->r[0] == OPR_MEM) {
        emit_store(t, row->other, size, aligned);
        return;
    }
    struct host_rm rm =
        in->r[1] == OPR_MEM ? vec_memory(t, size, aligned, false) : rm_reg(vec_home(in->r[1]));
    vec_insn(t, row->op, false, in->r[0] - OPR_VEC, 0, rm);
}

static void emit_scalar(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    unsigned size = (row->op >> 16 & 0xff) == 0xf3 ? 4 : 8;
    if (in->r[0] == OPR_MEM) {
        emit_store(t, row->other, size, false);
    } else if (in->r[1] == OPR_MEM) {
        struct host_rm rm = vec_memory(t, size, false, false);
        vec_insn(t, row->op, false, in->r[0] - OPR_VEC, 0, rm);
    } else {
        bool vex = is_vex(t);
        unsigned b = vec_home(in->r[vex ? 2 : 1]), a = vec_home(in->r[vex ? 1 : 0]);
        vec_insn(t, row->op, false, in->r[0] - OPR_VEC, a, rm_reg(b));
    }
}

static void emit_word(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    bool quad = insn_id(in) == INSN_MOVQ || insn_id(in) == INSN_VMOVQ;
    u32 load = OP_0F(0x7e) | OP_PREFIX(0xf3), store = OP_0F(0xd6) | OP_PREFIX(0x66);
    unsigned size = quad ? 8 : 4, d = in->r[0] - OPR_VEC;
    if (in->r[0] == OPR_MEM) {
        emit_store(t, quad ? store : row->other, size, false);
    } else if (in->r[0] < OPR_HIGH) {
        unsigned a = vec_home(in->r[1]), g = reg_for(in->r[0], H_TMP);
        vec_insn(t, row->other, quad, a, 0, rm_reg(g));
        reg_out(t, in->r[0], g);
    } else {
        if (in->r[1] == OPR_MEM) {
            struct host_rm rm = vec_memory(t, size, false, false);
            vec_insn(t, quad ? load : row->op, false, d, 0, rm);
        } else if (in->r[1] < OPR_HIGH) {
            vec_insn(t, row->op, quad, d, 0, reg_rm(in->r[1]));
        } else {
            vec_insn(t, load, false, d, 0, rm_reg(vec_home(in->r[1])));
        }
    }
}

static void emit_half(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    bool vex = is_vex(t);
    if (in->r[0] == OPR_MEM) {
        emit_store(t, row->other, 8, false);
        return;
    }
    struct host_rm rm = vec_memory(t, 8, false, false);
    unsigned a = vec_home(in->r[vex ? 1 : 0]);
    vec_insn(t, row->op, false, in->r[0] - OPR_VEC, a, rm);
}

static void emit_shift(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    bool vex = is_vex(t);
    if (in->r[vex ? 2 : 1] != OPR_IMM) {
        emit_binary(t, row);
        return;
    }
    unsigned a = vec_home(in->r[vex ? 1 : 0]);
    vec_insn(t, row->other, false, row->extension, in->r[0] - OPR_VEC, rm_reg(a));
    emit_u8(&t->e, (unsigned)in->imm & 0xff);
}

static void emit_to_gpr(struct translation *t, const struct vec_row *row, bool wide)
{
    struct host_rm rm = vec_rm(t, 1);
    unsigned g = reg_for(t->in->r[0], H_TMP);
    vec_insn(t, row->op, wide, g, 0, rm);
    reg_out(t, t->in->r[0], g);
}

static void emit_from_int(struct translation *t, const struct vec_row *row)
{
    const struct insn *in = t->in;
    bool vex = is_vex(t), wide = rex_w(t) && t->word == 8;
    unsigned from = in->r[vex ? 2 : 1];
    struct host_rm rm = from == OPR_MEM ? vec_memory(t, wide ? 8 : 4, false, false) : reg_rm(from);
    unsigned a = vec_home(in->r[vex ? 1 : 0]);
    vec_insn(t, row->op, wide, in->r[0] - OPR_VEC, a, rm);
}

static void emit_zero_upper(struct translation *t)
{
    emit_u8(&t->e, 0xc5);
    emit_u8(&t->e, 0xf8);
    emit_u8(&t->e, 0x77);
}

void emit_vec(struct translation *t)
{
    const struct vec_row *row = vec_row_of(t->in);
    switch ((enum vec_shape)row->shape) {
    case VEC_SHA:
    case VEC_BINARY: emit_binary(t, row); break;
    case VEC_UNARY: emit_unary(t, row); break;
    case VEC_COMPARE: emit_compare(t, row); break;
    case VEC_MOVE: emit_move(t, row); break;
    case VEC_SCALAR: emit_scalar(t, row); break;
    case VEC_WORD: emit_word(t, row); break;
    case VEC_HALF: emit_half(t, row); break;
    case VEC_SHIFT: emit_shift(t, row); break;
    case VEC_TO_GPR: emit_to_gpr(t, row, false); break;
    case VEC_TO_INT: emit_to_gpr(t, row, rex_w(t) && t->word == 8); break;
    case VEC_FROM_INT: emit_from_int(t, row); break;
    case VEC_ZERO_UPPER: emit_zero_upper(t); break;
    case VEC_NONE: break;
    }
}
