/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Emitters of stack instructions and near branches. Targets and accesses are checked before
 * anything is committed; what does not pass is left to the handler as a whole. */
#include "jit/translate.h"

static const unsigned stack_reg = H_R13; /* jit_home[RSP] */

/* The slot below the stack pointer, writable. */
static struct host_rm open_push(struct translation *t)
{
    return access_memory(t, AT_PUSH, t->word, 0, true);
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

static struct host_rm open_pop(struct translation *t)
{
    return access_memory(t, AT_TOP, t->word, 0, false);
}

static void emit_pop(struct translation *t)
{
    struct host_rm top = open_pop(t);
    unsigned d = reg_for(t->in->r[0], H_TMP);
    emit_mov_load(&t->e, t->word, d, top);
    reg_out(t, t->in->r[0], d);
    if (t->in->r[0] != RSP) {
        move_stack(t, (i32)t->word);
    }
}

static void emit_leave(struct translation *t)
{
    struct emit *e = &t->e;
    struct host_rm frame = access_memory(t, AT_FRAME, t->word, 0, false);
    emit_mov_load(e, t->word, H_TMP, frame);
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
    if (t->strip) {
        emit_back_edge(t);
        return;
    }
    bool near = is_linkable(t, target) && t->j->lockstep == NULL;
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
    if (t->strip) {
        emit_back_edge(t);
        return;
    }
    if (t->in->r[0] == OPR_REL) {
        leave_to(t, target_of(t));
        return;
    }
    if (t->in->r[0] == OPR_MEM) {
        emit_mov_load(e, t->word, H_ADDR, memory_operand(t, t->word, false));
    } else {
        emit_mov_load(e, t->word, H_ADDR, reg_rm(t->in->r[0]));
    }
    flags_spill(t); /* an access of a group has not */
    leave_by_target(t, 0);
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
        emit_mov_load(e, t->word, H_ADDR, reg_rm(t->in->r[0]));
    }
    flags_spill(t); /* an access of a group has not */
    address_lost(t);
    check_canonical(t, H_ADDR, H_TMP);
    emit_mov_store(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
    push_return(t);
    emit_mov_load(e, 8, H_ADDR, CPU_AT(d.jit.tmp));
    leave_by_target(t, 0);
}

static void emit_return(struct translation *t)
{
    emit_mov_load(&t->e, t->word, H_ADDR, open_pop(t));
    flags_spill(t);
    leave_by_target(t, (i32)(t->word + (t->in->imm & 0xffff)));
    t->ended = true;
}

/* r14 = bytes from the linear address in `reg` to its page's end, [delta] = what leads from there to host bytes; the
 * page has a fast entry. */
static void open_string(struct translation *t, unsigned reg, bool write, struct host_rm delta)
{
    struct emit *e = &t->e;
    emit_mov_load(e, 8, H_ADDR, rm_reg(reg));
    struct host_rm page, host;
    find_slot(t, write, &page, &host);
    emit_alu(e, HA_SUB, 8, H_ADDR, page);
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), PAGE_SIZE - 1);
    to_slow_path(t, emit_jcc(e, 7));
    emit_op(e, OP(0xf7), 8, 3, rm_reg(H_ADDR)); /* neg */
    emit_alu_imm(e, HA_ADD, 8, rm_reg(H_ADDR), PAGE_SIZE);
    emit_op(e, OP(0xff), 4, 6, host); /* push; r15 is needed twice */
    emit_mov_load(e, 8, H_TMP, page);
    emit_op(e, OP(0x29), 8, H_TMP, rm_mem(H_RSP, 0));
    emit_op(e, OP(0x8f), 4, 0, delta); /* pop */
}

/* RCX = elements of this chunk, which is as long as the handler's: to the end of either page; [rest] = those behind it.
 * Charged as there. */
static void open_chunk(struct translation *t, bool copies, unsigned log2_size)
{
    struct emit *e = &t->e;
    open_string(t, H_RDI, true, CPU_AT(d.jit.tmp));
    if (copies) {
        emit_mov_store(e, 8, H_ADDR, CPU_AT(d.jit.room));
        open_string(t, H_RSI, false, CPU_AT(d.jit.rest));
        emit_alu(e, HA_CMP, 8, H_ADDR, CPU_AT(d.jit.room));
        emit_op(e, OP_0F(0x47), 8, H_ADDR, CPU_AT(d.jit.room)); /* cmova */
    }
    if (log2_size != 0) {
        emit_shift_imm(e, HS_SHR, 8, rm_reg(H_ADDR), log2_size);
        to_slow_path(t, emit_jcc(e, 4)); /* an element on two pages */
    }
    emit_alu(e, HA_CMP, 8, H_ADDR, rm_reg(H_RCX));
    emit_op(e, OP_0F(0x47), 8, H_ADDR, rm_reg(H_RCX));
    emit_mov_load(e, 8, H_TMP, rm_reg(H_ADDR));
    if (log2_size != 0) {
        emit_shift_imm(e, HS_SHL, 8, rm_reg(H_TMP), log2_size);
    }
    emit_alu_imm(e, HA_SUB, 8, rm_reg(H_TMP), 1); /* (bytes + 63) / 64 - 1 */
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 6);
    emit_op(e, OP(0x29), 8, H_TMP, CPU_AT(d.left));
    emit_op(e, OP(0x29), 8, H_TMP, CPU_AT(d.jit.mark)); /* no instructions */
    emit_mov_load(e, 8, H_TMP, rm_reg(H_RCX));
    emit_mov_load(e, 8, H_RCX, rm_reg(H_ADDR));
    if (copies) {
        emit_mov_load(e, 8, H_ADDR, CPU_AT(d.jit.rest)); /* what leads to the source's bytes */
    }
    emit_alu(e, HA_SUB, 8, H_TMP, rm_reg(H_RCX));
    emit_mov_store(e, 8, H_TMP, CPU_AT(d.jit.rest));
}

/* REP MOVS or STOS upwards by the host's own instruction, chunk by chunk. RCX, RSI and RDI are at home. */
static void emit_string(struct translation *t)
{
    struct emit *e = &t->e;
    bool copies = t->in->exec == exec_movs;
    unsigned size = t->in->osz;
    flags_spill(t);
    emit_op_imm(e, OP(0xf7), 4, 0, CPU_AT(arch.rflags), RFLAGS_DF); /* test */
    to_slow_path(t, emit_jcc(e, 5));
    emit_op(e, OP(0x85), 8, H_RCX, rm_reg(H_RCX));
    to_slow_path(t, emit_jcc(e, 4));
    open_chunk(t, copies, size == 8 ? 3 : size / 2);
    emit_mov_load(e, 8, H_TMP, CPU_AT(d.jit.tmp));
    emit_alu(e, HA_ADD, 8, H_RDI, rm_reg(H_TMP));
    if (copies) {
        emit_alu(e, HA_ADD, 8, H_RSI, rm_reg(H_ADDR));
    } else {
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
    emit_alu(e, HA_SUB, 8, H_RDI, rm_reg(H_TMP));
    if (copies) {
        emit_alu(e, HA_SUB, 8, H_RSI, rm_reg(H_ADDR));
    } else {
        emit_op(e, OP(0x87), 8, H_RAX, rm_reg(jit_home[RAX]));
    }
    emit_mov_load(e, 8, H_RCX, CPU_AT(d.jit.rest));
    emit_op(e, OP(0x85), 8, H_RCX, rm_reg(H_RCX));
    emit_op(e, OP_0F(0x95), 1, 0, CPU_AT(arch.rep_partial)); /* setne */
    u8 *over = emit_jcc(e, 4);
    leave_to(t, t->rip);
    if (!e->full) {
        emit_patch(over, e->at);
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
    case OP_CALLED: push_return(t); break;
    case OP_SIDE:
    case OP_RETURNED: emit_path(t); break;
    case OP_JCC: emit_branch_if(t); break;
    case OP_JMP: emit_jump(t); break;
    case OP_CALL: emit_call_op(t); break;
    case OP_RET: emit_return(t); break;
    case OP_STRING: emit_string(t); break;
    default: emit_system(t); break;
    }
}
