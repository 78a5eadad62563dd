/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Emitters of stack instructions and near branches. Targets and accesses are checked before
 * anything is committed; what does not pass is left to the handler as a whole. */
#include "jit/translate.h"

static const unsigned stack_reg = H_R13; /* jit_home[RSP] */

/* [r14] is the slot below the stack pointer, writable. */
static struct host_rm open_push(struct translation *t)
{
    flags_spill(t);
    emit_lea(&t->e, t->word, H_ADDR, rm_mem(stack_reg, -(i32)t->word));
    check_access(t, t->word, true);
    return rm_mem(H_ADDR, 0);
}

static void move_stack(struct translation *t, i32 by)
{
    emit_lea(&t->e, t->word, stack_reg, rm_mem(stack_reg, by));
}

static void emit_push(struct translation *t)
{
    if (t->in->r[0] == OPR_MEM) {
        emit_mov_load(&t->e, t->word, H_TMP, memory_operand(t, t->word, false));
        emit_mov_store(&t->e, 8, H_TMP, CPU_AT(d.jit.tmp));
        struct host_rm top = open_push(t);
        emit_mov_load(&t->e, 8, H_TMP, CPU_AT(d.jit.tmp));
        emit_mov_store(&t->e, t->word, H_TMP, top);
        move_stack(t, -(i32)t->word);
        return;
    }
    struct host_rm slot = open_push(t);
    if (t->in->r[0] == OPR_IMM) {
        emit_op_imm(&t->e, OP(0xc7), t->word, 0, slot, (i32)t->in->imm);
    } else {
        emit_mov_store(&t->e, t->word, reg_in(t, t->in->r[0], H_TMP), slot);
    }
    move_stack(t, -(i32)t->word);
}

static void open_pop(struct translation *t)
{
    flags_spill(t);
    emit_mov_load(&t->e, t->word, H_ADDR, rm_reg(stack_reg));
    check_access(t, t->word, false);
}

static void emit_pop(struct translation *t)
{
    open_pop(t);
    unsigned d = reg_for(t->in->r[0], H_TMP);
    emit_mov_load(&t->e, t->word, d, rm_mem(H_ADDR, 0));
    reg_out(t, t->in->r[0], d);
    if (t->in->r[0] != RSP) {
        move_stack(t, (i32)t->word);
    }
}

static void emit_leave(struct translation *t)
{
    struct emit *e = &t->e;
    flags_spill(t);
    emit_mov_load(e, t->word, H_ADDR, reg_rm(RBP));
    check_access(t, t->word, false);
    emit_mov_load(e, t->word, H_TMP, rm_mem(H_ADDR, 0));
    emit_mov_load(e, t->word, stack_reg, reg_rm(RBP));
    move_stack(t, (i32)t->word);
    emit_mov_store(e, 8, H_TMP, reg_rm(RBP));
}

/* ---- Branches ---- */

static u64 target_of(const struct translation *t)
{
    return branch_target(t, t->rip, t->in);
}

static u64 rip_behind(const struct translation *t)
{
    return (t->rip + t->in->len) & size_mask(t->word);
}

static void emit_branch_if(struct translation *t)
{
    const struct op_facts *f = &t->facts[t->i];
    u64 target = target_of(t), next = rip_behind(t);
    bool near = ((target ^ t->b->lin) & ~PAGE_MASK) == 0 && t->j->lockstep == NULL;
    flags_need(t, f->reads);
    if (t->zero == 0) {
        flags_settle(t); /* costs nothing that the branch needs */
    }
    u8 *taken = emit_jcc(&t->e, f->number);
    if ((t->flags & IN_RAX) != 0 && near) {
        t->exit[t->exit_count].site = taken;
        t->exit[t->exit_count++].target = target;
        leave_to(t, next);
    } else {
        unsigned flags = t->flags;
        leave_to(t, next);
        if (!t->e.full) {
            emit_patch(taken, t->e.at);
        }
        t->flags = flags;
        leave_to(t, target);
    }
    t->ended = true;
}

static void emit_jump(struct translation *t)
{
    struct emit *e = &t->e;
    t->ended = true;
    if (t->in->r[0] == OPR_REL) {
        leave_to(t, target_of(t));
        return;
    }
    if (t->in->r[0] == OPR_MEM) {
        emit_mov_load(e, t->word, H_ADDR, memory_operand(t, t->word, false));
    } else {
        flags_spill(t);
        emit_mov_load(e, t->word, H_ADDR, reg_rm(t->in->r[0]));
    }
    leave_by_cache(t, 0);
}

static void push_return(struct translation *t)
{
    struct emit *e = &t->e;
    u64 ret = rip_behind(t);
    struct host_rm slot = open_push(t);
    if (t->word == 4 || ret == (u64)(i64)(i32)ret) {
        emit_op_imm(e, OP(0xc7), t->word, 0, slot, (i32)ret);
    } else {
        emit_mov_const(e, H_TMP, ret);
        emit_mov_store(e, 8, H_TMP, slot);
    }
    move_stack(t, -(i32)t->word);
}

static void emit_call_op(struct translation *t)
{
    struct emit *e = &t->e;
    t->ended = true;
    if (t->in->r[0] == OPR_REL) {
        push_return(t);
        leave_to(t, target_of(t));
        return;
    }
    if (t->in->r[0] == OPR_MEM) {
        emit_mov_load(e, t->word, H_ADDR, memory_operand(t, t->word, false));
    } else {
        flags_spill(t);
        emit_mov_load(e, t->word, H_ADDR, reg_rm(t->in->r[0]));
    }
    check_canonical(t, H_ADDR, H_TMP);
    emit_mov_store(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
    push_return(t);
    emit_mov_load(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
    leave_by_cache(t, 0);
}

static void emit_return(struct translation *t)
{
    open_pop(t);
    emit_mov_load(&t->e, t->word, H_ADDR, rm_mem(H_ADDR, 0));
    leave_by_cache(t, (i32)(t->word + (t->in->imm & 0xffff)));
    t->ended = true;
}

/* r14 = what leads from the linear address in `reg` to host bytes, if `size` * RCX bytes from there on lie in one page
 * with a fast entry. */
static void string_delta(struct translation *t, unsigned reg, unsigned log2_size, bool write)
{
    struct emit *e = &t->e;
    emit_mov_load(e, 8, H_ADDR, rm_reg(reg));
    find_slot(t, write);
    emit_alu(e, HA_SUB, 8, H_ADDR, rm_mem(H_TMP, offsetof(struct tlb_entry, page)));
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), PAGE_SIZE - 1);
    to_slow_path(t, emit_jcc(e, 7));
    emit_lea(e, 8, H_ADDR, rm_index(H_ADDR, H_RCX, log2_size, 0));
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), PAGE_SIZE);
    to_slow_path(t, emit_jcc(e, 7));
    emit_mov_load(e, 8, H_ADDR, rm_mem(H_TMP, offsetof(struct tlb_entry, host)));
    emit_alu(e, HA_SUB, 8, H_ADDR, rm_mem(H_TMP, offsetof(struct tlb_entry, page)));
}

/* A REP MOVS or STOS upwards that ends within the page of each pointer is one chunk, and the host's own instruction;
 * charged as the handler does. RCX, RSI and RDI are at home. */
static void emit_string(struct translation *t)
{
    struct emit *e = &t->e;
    bool copies = t->in->exec == exec_movs;
    unsigned size = t->in->osz, log2_size = size == 8 ? 3 : size / 2;
    flags_spill(t);
    emit_op_imm(e, OP(0xf7), 4, 0, CPU_AT(arch.rflags), RFLAGS_DF); /* test */
    to_slow_path(t, emit_jcc(e, 5));
    emit_lea(e, 8, H_TMP, rm_mem(H_RCX, -1));
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_TMP), (i32)(PAGE_SIZE / size - 1));
    to_slow_path(t, emit_jcc(e, 7)); /* none, too */
    string_delta(t, H_RDI, log2_size, true);
    if (copies) {
        emit_mov_store(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
        string_delta(t, H_RSI, log2_size, false);
    }
    emit_mov_load(e, 8, H_TMP, rm_reg(H_RCX));
    if (log2_size != 0) {
        emit_shift_imm(e, HS_SHL, 8, rm_reg(H_TMP), log2_size);
    }
    emit_alu_imm(e, HA_SUB, 8, rm_reg(H_TMP), 1); /* (bytes + 63) / 64 - 1 */
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 6);
    emit_op(e, OP(0x29), 8, H_TMP, CPU_AT(d.left));
    emit_op(e, OP(0x29), 8, H_TMP, CPU_AT(d.jit.mark)); /* no instructions */
    emit_op_imm(e, OP(0xc6), 1, 0, CPU_AT(arch.rep_partial), 0);
    if (copies) {
        emit_mov_load(e, 8, H_TMP, CPU_AT(d.jit.tmp));
        emit_alu(e, HA_ADD, 8, H_RSI, rm_reg(H_ADDR));
        emit_alu(e, HA_ADD, 8, H_RDI, rm_reg(H_TMP));
    } else {
        emit_alu(e, HA_ADD, 8, H_RDI, rm_reg(H_ADDR));
        emit_op(e, OP(0x87), 8, H_RAX, rm_reg(jit_home[RAX])); /* xchg */
    }
    if (size == 2) {
        emit_u8(e, 0x66);
    }
    emit_u8(e, 0xf3);
    if (size == 8) {
        emit_u8(e, 0x48);
    }
    emit_u8(e, (copies ? 0xa4u : 0xaau) | (size == 1 ? 0u : 1u));
    if (copies) {
        emit_alu(e, HA_SUB, 8, H_RSI, rm_reg(H_ADDR));
        emit_alu(e, HA_SUB, 8, H_RDI, rm_reg(H_TMP));
    } else {
        emit_op(e, OP(0x87), 8, H_RAX, rm_reg(jit_home[RAX]));
        emit_alu(e, HA_SUB, 8, H_RDI, rm_reg(H_ADDR));
    }
    leave_to(t, rip_behind(t));
    t->ended = true;
}

void emit_flow(struct translation *t)
{
    switch (t->facts[t->i].kind) {
    case OP_PUSH: emit_push(t); break;
    case OP_POP: emit_pop(t); break;
    case OP_LEAVE: emit_leave(t); break;
    case OP_JCC: emit_branch_if(t); break;
    case OP_JMP: emit_jump(t); break;
    case OP_CALL: emit_call_op(t); break;
    case OP_RET: emit_return(t); break;
    case OP_STRING: emit_string(t); break;
    default: break;
    }
}
