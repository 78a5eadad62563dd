/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pieces of code that all translations share: the way in, the ways out, calls of handlers, and the look
 * into the jump cache. They stand at the start of the first region. */
#include "jit/jit_priv.h"

#include "base/assert.h"
#include "jit/vec.h"

const u8 jit_home[16] = {
    [RAX] = H_R12, [RCX] = H_RCX, [RDX] = H_RDX, [RBX] = H_RBX, [RSP] = H_R13, [RBP] = H_NONE,
    [RSI] = H_RSI, [RDI] = H_RDI, [8] = H_R8,    [9] = H_R9,    [10] = H_R10,  [11] = H_NONE,
    [12] = H_NONE, [13] = H_NONE, [14] = H_NONE, [15] = H_NONE,
};

#define FRAME_BYTES (8 * FRAME_SLOTS + 8) /* 16-byte aligned in translated code */

static const u8 callee_saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

static void emit_registers(struct emit *e, bool store)
{
    for (unsigned g = 0; g < 16; g++) {
        if (jit_home[g] != H_NONE) {
            if (store) {
                emit_mov_store(e, 8, jit_home[g], GPR_AT(g));
            } else {
                emit_mov_load(e, 8, jit_home[g], GPR_AT(g));
            }
        }
    }
    if (store) {
        emit_mov_store(e, 8, H_RAX, CPU_AT(d.jit.flags));
    } else {
        emit_mov_load(e, 8, H_RAX, CPU_AT(d.jit.flags));
        emit_mov_load(e, 8, H_TABLE, CPU_AT(d.jit.rd));
    }
}

static struct host_rm vec_at(unsigned g)
{
    struct host_rm rm = CPU_AT(arch.vec);
    rm.disp += (i32)(32 * g);
    return rm;
}

static void move_all_vec(struct emit *e, unsigned byte, bool avx, bool full)
{
    for (unsigned g = 0; g < 16; g++) {
        if (avx) {
            emit_vex(e, OP_0F(byte), false, full, 0, g, vec_at(g));
        } else {
            emit_op(e, OP_0F(byte), 4, g, vec_at(g));
        }
    }
}

static void emit_vzeroupper(struct emit *e)
{
    emit_u8(e, 0xc5);
    emit_u8(e, 0xf8);
    emit_u8(e, 0x77);
}

/* The guest's vector registers go to memory, if the host's hold them. */
static void emit_vec_save(const struct jit *j, struct emit *e)
{
    bool avx = (j->vec_features & BIT32(VEC_AVX2)) != 0;
    emit_alu_imm(e, HA_CMP, 4, CPU_AT(d.jit.vec_on), 0);
    u8 *off = emit_jcc(e, 4);
    move_all_vec(e, 0x11, avx, true);
    if (avx) {
        emit_vzeroupper(e);
    }
    emit_patch(off, e->at);
}

/* They come back, if C code wants that. */
static void emit_vec_load(const struct jit *j, struct emit *e)
{
    bool avx = (j->vec_features & BIT32(VEC_AVX2)) != 0;
    emit_alu_imm(e, HA_CMP, 4, CPU_AT(d.jit.vec_on), VEC_ON_LOW);
    u8 *off = emit_jcc(e, 2); /* below */
    u8 *full = emit_jcc(e, 5);
    if (avx) {
        emit_vzeroupper(e);
    }
    move_all_vec(e, 0x10, avx, false);
    u8 *done = emit_jmp(e);
    emit_patch(full, e->at);
    if (avx) {
        move_all_vec(e, 0x10, avx, true);
    }
    emit_patch(done, e->at);
    emit_patch(off, e->at);
}

static void push_pop(struct emit *e, unsigned op, unsigned reg)
{
    if (reg >= 8) {
        emit_u8(e, 0x41);
    }
    emit_u8(e, op | (reg & 7));
}

/* unsigned enter(struct cpu *cpu, const u8 *code): rdi, rsi -> eax. */
static void make_enter(struct emit *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(callee_saved); i++) {
        push_pop(e, 0x50, callee_saved[i]);
    }
    emit_alu_imm(e, HA_SUB, 8, rm_reg(H_RSP), FRAME_BYTES);
    emit_lea(e, 8, H_CPU, rm_mem(H_RDI, CPU_BIAS));
    emit_mov_load(e, 8, H_TMP, rm_reg(H_RSI));
    emit_registers(e, false);
    emit_op(e, OP(0xff), 4, 4, rm_reg(H_TMP)); /* jmp r15 */
}

/* Back to the caller of enter with the reason in r14d; registers are stored already. */
static void make_tail(struct emit *e)
{
    emit_mov_load(e, 4, H_RAX, rm_reg(H_ADDR));
    emit_alu_imm(e, HA_ADD, 8, rm_reg(H_RSP), FRAME_BYTES);
    for (unsigned i = ARRAY_LEN(callee_saved); i-- > 0;) {
        push_pop(e, 0x58, callee_saved[i]);
    }
    emit_u8(e, 0xc3);
}

static void make_exit(const struct jit *j, struct emit *e, enum jit_reason reason)
{
    emit_vec_save(j, e);
    emit_registers(e, true);
    emit_mov_const(e, H_ADDR, reason);
    make_tail(e);
}

/* Called with arguments in r14 and r15d and the flags in rax: rsp is 8 below a multiple of 16. r14 and r15 are
 * kept. */
static void make_call(const struct jit *j, struct emit *e, unsigned (*fn)(struct cpu *, u64, u32))
{
    emit_vec_save(j, e);
    emit_registers(e, true);
    emit_alu_imm(e, HA_SUB, 8, rm_reg(H_RSP), 8);
    emit_lea(e, 8, H_RDI, rm_mem(H_CPU, -CPU_BIAS));
    emit_mov_load(e, 8, H_RSI, rm_reg(H_ADDR));
    emit_mov_load(e, 4, H_RDX, rm_reg(H_TMP));
    emit_mov_const(e, H_RAX, (u64)(uintptr_t)fn);
    emit_op(e, OP(0xff), 4, 2, rm_reg(H_RAX)); /* call rax */
    emit_alu_imm(e, HA_ADD, 8, rm_reg(H_RSP), 8);
    emit_op(e, OP(0x85), 4, H_RAX, rm_reg(H_RAX)); /* test eax, eax */
    u8 *leave = emit_jcc(e, 5);
    emit_vec_load(j, e);
    emit_registers(e, false);
    emit_u8(e, 0xc3);
    emit_patch(leave, e->at);
    emit_mov_load(e, 4, H_ADDR, rm_reg(H_RAX));
    emit_alu_imm(e, HA_ADD, 8, rm_reg(H_RSP), 8); /* the return address */
    make_tail(e);
}

void emit_jump_line(const struct jit *j, struct emit *e)
{
    _Static_assert(JUMP_LINES == 16384 && sizeof(struct block *) == 8, "mask below");
    emit_op(e, OP_0F(0xb6) | OP_RM8, 4, H_TMP, rm_reg(H_ADDR)); /* movzx r15d, r14b */
    emit_shift_imm(e, HS_SHL, 4, rm_reg(H_TMP), 4);
    emit_alu(e, HA_XOR, 4, H_TMP, rm_reg(H_ADDR));
    emit_shift_imm(e, HS_SHR, 4, rm_reg(H_TMP), 1);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), 8 * (JUMP_LINES - 1));
    emit_mov_load(e, 8, H_TMP, rm_index(H_TABLE, H_TMP, 0, jump_offset(j, 0)));
}

static i32 targets_offset(const struct jit *j)
{
    return jump_offset(j, JUMP_LINES);
}

static struct host_rm target_lin(const struct jit *j, unsigned index, i32 line)
{
    return rm_index(H_TABLE, index, 0, targets_offset(j) + 16 * line + (i32)offsetof(struct jump_targets, line[0].lin));
}

static struct host_rm behind(struct host_rm rm, i32 by)
{
    rm.disp += by;
    return rm;
}

#define CODE_BEHIND_LIN ((i32)(offsetof(struct jump_targets, line[0].code) - offsetof(struct jump_targets, line[0].lin)))

void emit_target_line(const struct jit *j, struct emit *e, struct host_rm *lin, struct host_rm *code)
{
    _Static_assert(sizeof(((struct jump_targets *)0)->line[0]) == 16, "shift below");
    if (j->has_rorx) {
        emit_vex(e, OP_0F3A(0xf0) | OP_PREFIX(0xf2), true, false, 0, H_TMP, rm_reg(H_ADDR)); /* rorx r15, r14, 60 */
        emit_u8(e, 60);
    } else {
        emit_mov_load(e, 4, H_TMP, rm_reg(H_ADDR));
        emit_shift_imm(e, HS_SHL, 4, rm_reg(H_TMP), 4);
    }
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), 16 * (JUMP_TARGETS - 1));
    *lin = target_lin(j, H_TMP, 0);
    *code = behind(*lin, CODE_BEHIND_LIN);
}

void target_line_of(const struct jit *j, u64 target, struct host_rm *lin, struct host_rm *code)
{
    *lin = target_lin(j, H_NONE, (i32)(target & (JUMP_TARGETS - 1)));
    *code = behind(*lin, CODE_BEHIND_LIN);
}

void emit_door(const struct jit *j, struct emit *e, u32 mode)
{
    const u8 *from = e->at;
    emit_op_imm(e, OP(0x81), 4, 7, CPU_AT(d.mode_word), (i32)mode);
    u8 *other = emit_jcc(e, 5);
    if (!e->full) {
        emit_patch(other, j->memory.rw + (j->thunk.indirect - j->memory.rx));
        sim_assert(e->at - from == JIT_DOOR_BYTES);
    }
}

/* The block in r15 is at the address in r14 and has code: its line of struct jump_targets learns of it. */
static void make_note(const struct jit *j, struct emit *e)
{
    const i32 at = targets_offset(j);
    struct host_rm lin, code;
    emit_mov_load(e, 8, H_TMP, rm_mem(H_TMP, offsetof(struct block, code)));
    emit_op(e, OP(0xff), 4, 6, rm_reg(H_TMP)); /* push */
    emit_mov_load(e, 8, H_TMP, rm_reg(H_ADDR));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), PAGE_SHIFT);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), JUMP_TARGETS - 1);
    emit_op(e, OP_0F(0xab), 4, H_TMP, rm_mem(H_TABLE, at + (i32)offsetof(struct jump_targets, pages))); /* bts */
    emit_mov_load(e, 4, H_TMP, rm_reg(H_ADDR));
    emit_shift_imm(e, HS_SHR, 4, rm_reg(H_TMP), 6);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), JUMP_TARGETS / 64 - 1);
    emit_op(e, OP_0F(0xab), 8, H_TMP, rm_mem(H_TABLE, at + (i32)offsetof(struct jump_targets, used)));
    emit_target_line(j, e, &lin, &code);
    emit_mov_store(e, 8, H_ADDR, lin);
    emit_lea(e, 8, H_TMP, code);
    emit_op(e, OP(0xff), 4, 6, rm_mem(H_RSP, 0));
    emit_op(e, OP(0x8f), 4, 0, rm_mem(H_TMP, 0));
    emit_alu_imm(e, HA_SUB, 8, rm_mem(H_TMP, 0), JIT_DOOR_BYTES);
    emit_op(e, OP(0x8f), 4, 0, rm_reg(H_ADDR)); /* pop */
}

/* Jump to the translation of the block at the linear address in r14, if the jump cache of the context has it. */
static void make_indirect(const struct jit *j, struct emit *e)
{
    _Static_assert(JUMP_TARGETS == 4096, "masks");
    emit_mov_store(e, 8, H_ADDR, CPU_AT(arch.rip));
    emit_jump_line(j, e);
    emit_op(e, OP(0x85), 8, H_TMP, rm_reg(H_TMP)); /* test r15, r15 */
    u8 *empty = emit_jcc(e, 4);
    emit_alu(e, HA_CMP, 8, H_ADDR, rm_mem(H_TMP, offsetof(struct block, lin)));
    u8 *other = emit_jcc(e, 5);
    emit_op(e, OP(0xff), 4, 6, rm_reg(H_ADDR)); /* push */
    emit_mov_load(e, 4, H_ADDR, CPU_AT(d.mode_word));
    emit_alu(e, HA_CMP, 4, H_ADDR, rm_mem(H_TMP, offsetof(struct block, mode)));
    emit_op(e, OP(0x8f), 4, 0, rm_reg(H_ADDR)); /* pop */
    u8 *mode = emit_jcc(e, 5);
    emit_alu_imm(e, HA_CMP, 8, rm_mem(H_TMP, offsetof(struct block, code)), 0);
    u8 *cold = emit_jcc(e, 4);
    make_note(j, e);
    emit_op(e, OP(0xff), 4, 4, rm_reg(H_ADDR)); /* jmp r14 */
    emit_patch(mode, e->at);
    emit_patch(cold, e->at);
    emit_patch(empty, e->at);
    emit_patch(other, e->at);
    make_exit(j, e, JIT_LOOKUP);
}

static const u8 *begin(struct jit *j, struct emit *e)
{
    while (((uintptr_t)e->at & 63) != 0) {
        emit_u8(e, 0xcc);
    }
    return j->memory.rx + (e->at - j->memory.rw);
}

void jit_make_thunks(struct jit *j)
{
    struct code_memory *m = &j->memory;
    struct emit e = {.at = m->at[0], .end = m->rw + m->region_size};
    j->thunk.enter = begin(j, &e);
    make_enter(&e);
    j->thunk.op = begin(j, &e);
    make_call(j, &e, jit_op);
    j->thunk.vec_on = begin(j, &e);
    make_call(j, &e, jit_vec_on);
    j->thunk.fp_on = begin(j, &e);
    make_call(j, &e, jit_fp_on);
    j->thunk.x87_on = begin(j, &e);
    make_call(j, &e, jit_x87_on);
    j->thunk.out = begin(j, &e); /* r14: the block's address */
    emit_mov_store(&e, 8, H_ADDR, CPU_AT(arch.rip));
    make_exit(j, &e, JIT_OUT);
    j->thunk.link = begin(j, &e); /* r14: target, r15: the exit's number */
    emit_mov_store(&e, 8, H_ADDR, CPU_AT(arch.rip));
    emit_mov_store(&e, 4, H_TMP, CPU_AT(d.jit.exit));
    make_exit(j, &e, JIT_LINK);
    j->thunk.indirect = begin(j, &e);
    make_indirect(j, &e);
    j->thunk.begin = begin(j, &e);
    make_call(j, &e, lockstep_enter_block);
    j->thunk.end = begin(j, &e);
    make_call(j, &e, lockstep_leave_block);
    j->thunk.store = begin(j, &e);
    make_call(j, &e, lockstep_store);
    j->thunk.stop = begin(j, &e);
    make_exit(j, &e, JIT_DIFFERS);
    (void)begin(j, &e);
    sim_assert(!e.full);
    m->at[0] = m->start = e.at;
}
