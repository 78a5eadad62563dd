/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host instructions as bytes: about what the translator needs and no more. An instruction is an opcode, a
 * register and a register-or-memory operand; REX, ModRM and SIB are made around it. The unit test decodes
 * everything back.
 *
 * Bytes are written at `at`, which is the writable view of the code cache; what they say about addresses is
 * relative, so the executable view, elsewhere, reads the same. */
#ifndef VITRINE_JIT_EMIT_H
#define VITRINE_JIT_EMIT_H

#include "base/types.h"

enum host_reg {
    H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI,
    H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15,
    H_NONE = 0xff,
};

/* An opcode: byte, map (0 one-byte, 1 0F, 2 0F38, 3 0F3A) and mandatory prefix. */
#define OP(byte) ((u32)(byte))
#define OP_0F(byte) ((u32)0x100 | (byte))
#define OP_0F38(byte) ((u32)0x200 | (byte))
#define OP_0F3A(byte) ((u32)0x300 | (byte))
#define OP_PREFIX(prefix) ((u32)(prefix) << 16)
#define OP_RM8 ((u32)1 << 24) /* the r/m operand is a byte whatever the size: MOVZX, MOVSX, SETcc */

/* Register, or [base + index << scale + disp]. */
struct host_rm {
    u8 reg; /* H_NONE: memory */
    u8 base, index, scale;
    i32 disp;
};

struct emit {
    u8 *at, *end;
    bool full; /* ran out of room: what was written is not to be used */
};

static inline struct host_rm rm_reg(unsigned reg)
{
    return (struct host_rm){.reg = (u8)reg, .base = H_NONE, .index = H_NONE};
}

static inline struct host_rm rm_mem(unsigned base, i32 disp)
{
    return (struct host_rm){.reg = H_NONE, .base = (u8)base, .index = H_NONE, .disp = disp};
}

static inline struct host_rm rm_index(unsigned base, unsigned index, unsigned scale, i32 disp)
{
    return (struct host_rm){
        .reg = H_NONE, .base = (u8)base, .index = (u8)index, .scale = (u8)scale, .disp = disp};
}

void emit_u8(struct emit *e, unsigned v);
void emit_u32(struct emit *e, u32 v);
void emit_u64(struct emit *e, u64 v);

/* op of `size` bytes (1, 2, 4, 8) with ModRM: `reg` (register or opcode extension) and rm. */
void emit_op(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm);
/* The same with an immediate of 1 byte, or of the operand size (4 at most). */
void emit_op_imm8(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm, unsigned imm);
void emit_op_imm(struct emit *e, u32 op, unsigned size, unsigned reg, struct host_rm rm, i32 imm);

/* The VEX form of op, whose prefix and map become fields; `second` is VEX.vvvv, 0 where there is none. */
void emit_vex(struct emit *e, u32 op, bool w, bool l, unsigned second, unsigned reg, struct host_rm rm);

/* The eight operations of opcodes 00-3f, by their number. */
enum host_alu { HA_ADD, HA_OR, HA_ADC, HA_SBB, HA_AND, HA_SUB, HA_XOR, HA_CMP };
void emit_alu_imm(struct emit *e, enum host_alu alu, unsigned size, struct host_rm rm, i32 imm);
void emit_alu(struct emit *e, enum host_alu alu, unsigned size, unsigned reg, struct host_rm rm); /* reg op= rm */

void emit_mov_load(struct emit *e, unsigned size, unsigned reg, struct host_rm rm);  /* reg = rm */
void emit_mov_store(struct emit *e, unsigned size, unsigned reg, struct host_rm rm); /* rm = reg */
void emit_mov_const(struct emit *e, unsigned reg, u64 v); /* shortest form; flags stay */
void emit_lea(struct emit *e, unsigned size, unsigned reg, struct host_rm rm);
enum host_shift { HS_ROL, HS_ROR, HS_RCL, HS_RCR, HS_SHL, HS_SHR, HS_SAR = 7 };
void emit_shift_imm(struct emit *e, enum host_shift shift, unsigned size, struct host_rm rm, unsigned n);
void emit_shift_cl(struct emit *e, enum host_shift shift, unsigned size, struct host_rm rm);

/* Jumps with a 32-bit distance, to be filled in: each returns where the distance stands. */
u8 *emit_jmp(struct emit *e);
u8 *emit_jcc(struct emit *e, unsigned cc);
u8 *emit_call(struct emit *e);
/* Let the distance at `where` lead to `target`, both in the same view. */
void emit_patch(u8 *where, const u8 *target);
void emit_jmp_to(struct emit *e, const u8 *target);
void emit_call_to(struct emit *e, const u8 *target);

#endif
