/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "jit/emit.h"

#include "base/bytes.h"

void emit_u8(struct emit *e, unsigned v)
{
    if (e->at >= e->end) {
        e->full = true;
        return;
    }
    *e->at++ = (u8)v;
}

void emit_u32(struct emit *e, u32 v)
{
    for (unsigned i = 0; i < 4; i++) {
        emit_u8(e, v >> (8 * i) & 0xff);
    }
}

void emit_u64(struct emit *e, u64 v)
{
    emit_u32(e, (u32)v);
    emit_u32(e, (u32)(v >> 32));
}

/* SPL, BPL, SIL and DIL exist only with a REX prefix. */
static bool needs_rex(unsigned reg)
{
    return reg >= 4 && reg < 16;
}

static void emit_modrm(struct emit *e, unsigned reg, struct host_rm rm)
{
    unsigned r = (reg & 7) << 3;
    if (rm.reg != H_NONE) {
        emit_u8(e, 0xc0 | r | (rm.reg & 7));
        return;
    }
    bool sib = rm.index != H_NONE || rm.base == H_NONE || (rm.base & 7) == H_RSP;
    if (rm.base == H_NONE) { /* disp32, with an index or alone */
        emit_u8(e, r | 4);
        emit_u8(e, (unsigned)rm.scale << 6 | (rm.index == H_NONE ? 4u : rm.index & 7u) << 3 | 5);
        emit_u32(e, (u32)rm.disp);
        return;
    }
    unsigned mod = rm.disp == 0 && (rm.base & 7) != H_RBP ? 0u : rm.disp == (i8)rm.disp ? 1u : 2u;
    emit_u8(e, mod << 6 | r | (sib ? 4u : rm.base & 7u));
    if (sib) {
        emit_u8(e, (unsigned)rm.scale << 6 | (rm.index == H_NONE ? 4u : rm.index & 7u) << 3 | (rm.base & 7u));
    }
    if (mod == 1) {
        emit_u8(e, (u8)rm.disp);
    } else if (mod == 2) {
        emit_u32(e, (u32)rm.disp);
    }
}

void emit_op(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm)
{
    unsigned map = (op >> 8) & 0xff;
    unsigned prefix = (op >> 16) & 0xff;
    bool rm8 = size == 1 || (op & OP_RM8) != 0;
    unsigned rex = (size == 8 ? 8u : 0u) | (reg >= 8 ? 4u : 0u);
    if (rm.reg != H_NONE) {
        rex |= rm.reg >= 8 ? 1u : 0u;
        rex |= rm8 && needs_rex(rm.reg) ? 0x40u : 0u;
    } else {
        rex |= rm.base != H_NONE && rm.base >= 8 ? 1u : 0u;
        rex |= rm.index != H_NONE && rm.index >= 8 ? 2u : 0u;
    }
    rex |= size == 1 && needs_rex(reg) ? 0x40u : 0u;
    if (size == 2) {
        emit_u8(e, 0x66);
    }
    if (prefix != 0) {
        emit_u8(e, prefix);
    }
    if (rex != 0) {
        emit_u8(e, 0x40 | rex);
    }
    if (map != 0) {
        emit_u8(e, 0x0f);
        if (map > 1) {
            emit_u8(e, map == 2 ? 0x38 : 0x3a);
        }
    }
    emit_u8(e, op & 0xff);
    emit_modrm(e, reg, rm);
}

void emit_vex(struct emit *e, u32 op, bool w, bool l, unsigned second, unsigned reg, struct host_rm rm)
{
    unsigned map = (op >> 8) & 0xff, prefix = (op >> 16) & 0xff;
    unsigned pp = prefix == 0x66 ? 1u : prefix == 0xf3 ? 2u : prefix == 0xf2 ? 3u : 0u;
    unsigned b = rm.reg != H_NONE ? rm.reg : rm.base;
    bool ext_b = b != H_NONE && b >= 8, ext_x = rm.index != H_NONE && rm.index >= 8;
    emit_u8(e, 0xc4);
    emit_u8(e, (reg >= 8 ? 0u : 0x80u) | (ext_x ? 0u : 0x40u) | (ext_b ? 0u : 0x20u) | map);
    emit_u8(e, (w ? 0x80u : 0u) | (~second & 15u) << 3 | (l ? 4u : 0u) | pp);
    emit_u8(e, op & 0xff);
    emit_modrm(e, reg, rm);
}

void emit_op_imm8(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm, unsigned imm)
{
    emit_op(e, op, size, reg, rm);
    emit_u8(e, imm & 0xff);
}

void emit_op_imm(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm, i32 imm)
{
    emit_op(e, op, size, reg, rm);
    if (size == 1) {
        emit_u8(e, (u8)imm);
    } else if (size == 2) {
        emit_u8(e, (u8)imm);
        emit_u8(e, (u8)((u32)imm >> 8));
    } else {
        emit_u32(e, (u32)imm);
    }
}

void emit_alu_imm(struct emit *e, enum host_alu alu, unsigned size, struct host_rm rm, i32 imm)
{
    if (size == 1) {
        emit_op_imm8(e, OP(0x80), 1, alu, rm, (u8)imm);
    } else if (imm == (i8)imm) {
        emit_op_imm8(e, OP(0x83), size, alu, rm, (u8)imm);
    } else {
        emit_op_imm(e, OP(0x81), size, alu, rm, imm);
    }
}

void emit_alu(struct emit *e, enum host_alu alu, unsigned size, unsigned reg, struct host_rm rm)
{
    emit_op(e, OP((unsigned)alu << 3 | (size == 1 ? 2u : 3u)), size, reg, rm);
}

void emit_mov_load(struct emit *e, unsigned size, unsigned reg, struct host_rm rm)
{
    emit_op(e, OP(size == 1 ? 0x8a : 0x8b), size, reg, rm);
}

void emit_mov_store(struct emit *e, unsigned size, unsigned reg, struct host_rm rm)
{
    emit_op(e, OP(size == 1 ? 0x88 : 0x89), size, reg, rm);
}

void emit_mov_const(struct emit *e, unsigned reg, u64 v)
{
    if (v <= 0xffffffffu) {
        if (reg >= 8) {
            emit_u8(e, 0x41);
        }
        emit_u8(e, 0xb8 | (reg & 7));
        emit_u32(e, (u32)v);
    } else if (v == (u64)(i64)(i32)v) {
        emit_op_imm(e, OP(0xc7), 8, 0, rm_reg(reg), (i32)v);
    } else {
        emit_u8(e, 0x48 | (reg >= 8 ? 1u : 0u));
        emit_u8(e, 0xb8 | (reg & 7));
        emit_u64(e, v);
    }
}

void emit_lea(struct emit *e, unsigned size, unsigned reg, struct host_rm rm)
{
    emit_op(e, OP(0x8d), size, reg, rm);
}

void emit_shift_imm(struct emit *e, enum host_shift shift, unsigned size, struct host_rm rm, unsigned n)
{
    if (n == 1) {
        emit_op(e, OP(size == 1 ? 0xd0 : 0xd1), size, shift, rm);
    } else {
        emit_op_imm8(e, OP(size == 1 ? 0xc0 : 0xc1), size, shift, rm, n);
    }
}

void emit_shift_cl(struct emit *e, enum host_shift shift, unsigned size, struct host_rm rm)
{
    emit_op(e, OP(size == 1 ? 0xd2 : 0xd3), size, shift, rm);
}

static u8 *distance(struct emit *e)
{
    u8 *where = e->at;
    emit_u32(e, 0);
    return where;
}

u8 *emit_jmp(struct emit *e)
{
    emit_u8(e, 0xe9);
    return distance(e);
}

u8 *emit_jcc(struct emit *e, unsigned cc)
{
    emit_u8(e, 0x0f);
    emit_u8(e, 0x80 | cc);
    return distance(e);
}

u8 *emit_call(struct emit *e)
{
    emit_u8(e, 0xe8);
    return distance(e);
}

void emit_patch(u8 *where, const u8 *target)
{
    store_le(where, (u64)(target - (where + 4)), 4);
}

void emit_jmp_to(struct emit *e, const u8 *target)
{
    u8 *where = emit_jmp(e);
    if (!e->full) {
        emit_patch(where, target);
    }
}

void emit_call_to(struct emit *e, const u8 *target)
{
    u8 *where = emit_call(e);
    if (!e->full) {
        emit_patch(where, target);
    }
}
