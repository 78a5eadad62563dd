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
    default: break;
    }
}
