/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The blocks that a translation runs through: the one it stands for, and behind its branch the block that mostly
 * comes next, if it lies in the same page, has been decoded and fits. So counts are taken once for all of them,
 * flags between them are saved only on the ways out, and checks reach from one into the next.
 *
 * A part but the last ends with a branch whose way on is known: a jump becomes nothing, a conditional one a side exit, a
 * call pushes, a return to behind a call of the path compares; its handler does the rest. Ways out in the midst give back what is not done of the
 * counts. Which way a path takes cannot be seen by the guest.
 *
 * What a link between two blocks of a page may rely on, a path may: fetching from the page is checked where the page is
 * entered, and whatever changes that, or the mode, leaves translated code. A block that dies takes the paths
 * through it along (struct block's list). */
#include "jit/translate.h"

static void add_part(struct translation *t, struct block *b)
{
    u64 rip = b->lin;
    t->part[t->parts].b = b;
    t->part[t->parts++].first = (u8)t->count;
    for (unsigned i = 0; i < b->count; i++) {
        t->op[t->count] = &b->ops[i];
        t->at[t->count++] = rip;
        rip += b->ops[i].len;
    }
    t->at[t->count] = rip & size_mask(t->word);
}

/* These have a form of their own: loops.c. */
static bool jumps_to_itself(const struct translation *t, const struct block *b)
{
    const struct insn *last = &b->ops[b->count - 1];
    return (t->j->config.without & JIT_LOOPS) == 0 && last->r[0] == OPR_REL &&
           branch_target(t, b->lin + b->bytes - last->len, last) == b->lin;
}

/* The block at `lin` if the path can go on there. */
static struct block *part_at(const struct translation *t, u64 lin)
{
    const struct block *head = t->b;
    if (((lin ^ head->lin) & ~PAGE_MASK) != 0) {
        return NULL;
    }
    struct block *b = code_peek(t->j->code, (head->spa & ~PAGE_MASK) | (lin & PAGE_MASK), lin, head->mode);
    if (b == NULL || (b->flags & (BLOCK_STRADDLES | BLOCK_TWO_PAGES)) != 0 || jumps_to_itself(t, b) || t->count + b->count > BLOCK_MAX) {
        return NULL;
    }
    for (unsigned k = 0; k < t->parts; k++) {
        if (t->part[k].b == b) {
            return NULL; /* a loop */
        }
    }
    return b;
}

/* The last part stores where its RET may look: what a retpoline does. */
static bool makes_return(const struct translation *t)
{
    for (unsigned i = t->part[t->parts - 1].first; i < t->count; i++) {
        if (t->op[i]->r[0] == OPR_MEM && t->op[i]->base == RSP) {
            return true;
        }
    }
    return false;
}

/* Where the path goes on behind its last op so far. `back`: where calls of the path return to. */
static struct block *next_part(struct translation *t, u64 *back, unsigned *depth)
{
    unsigned i = t->count - 1;
    const struct insn *in = t->op[i];
    struct op_facts f = {.exits = true};
    u64 behind = t->at[i + 1];
    t->rip = t->at[i];
    find_facts(t, in, &f);
    switch ((enum op_kind)f.kind) {
    case OP_JMP: return in->r[0] == OPR_REL ? part_at(t, branch_target(t, t->rip, in)) : NULL;
    case OP_JCC: {
        u64 target = branch_target(t, t->rip, in);
        struct block *taken = part_at(t, target), *next = part_at(t, behind);
        struct block *other = target == t->b->lin ? next : taken;
        if ((target == t->b->lin || behind == t->b->lin) && (t->j->config.without & JIT_LOOPS) == 0 &&
            (other == NULL || other->heat <= t->b->heat)) {
            return NULL; /* back to the start: loops.c */
        }
        return taken == NULL || (next != NULL && next->heat >= taken->heat) ? next : taken;
    }
    case OP_CALL:
        if (in->r[0] != OPR_REL) {
            return NULL;
        }
        back[(*depth)++] = behind;
        return part_at(t, branch_target(t, t->rip, in));
    case OP_RET:
        return *depth > 0 && (in->imm & 0xffff) == 0 && !makes_return(t) ? part_at(t, back[--*depth]) : NULL;
    default: return NULL;
    }
}

void find_path(struct translation *t)
{
    u64 back[JIT_PARTS];
    unsigned depth = 0;
    t->parts = t->count = 0;
    add_part(t, t->b);
    bool alone = (t->j->config.without & JIT_PATHS) != 0 || (t->b->flags & BLOCK_TWO_PAGES) != 0 || jumps_to_itself(t, t->b);
    while (t->parts < JIT_PARTS && !alone) {
        struct block *b = next_part(t, back, &depth);
        if (b == NULL) {
            break;
        }
        add_part(t, b);
    }
}

void take_path(struct translation *t, const struct jit_block *jb)
{
    t->parts = t->count = 0;
    for (unsigned k = 0; k < jb->parts; k++) {
        add_part(t, jb->part[k].b);
    }
}

void note_path(const struct translation *t, struct jit_block *jb)
{
    jb->count = (u8)t->count;
    jb->parts = (u8)t->parts;
    for (unsigned k = 0; k < t->parts; k++) {
        jb->part[k] = (struct jit_part){.b = t->part[k].b, .first = t->part[k].first};
    }
}

bool is_last_of_part(const struct translation *t, const struct insn *in)
{
    for (unsigned k = 0; k < t->parts; k++) {
        if (in == &t->part[k].b->ops[t->part[k].b->count - 1]) {
            return true;
        }
    }
    return false;
}

bool ends_part(const struct translation *t, unsigned i)
{
    for (unsigned k = 1; k < t->parts; k++) {
        if (t->part[k].first == i + 1) {
            return true;
        }
    }
    return false;
}

void path_facts(const struct translation *t, unsigned i, struct op_facts *f)
{
    if (!ends_part(t, i)) {
        return;
    }
    switch ((enum op_kind)f->kind) {
    case OP_JMP: *f = (struct op_facts){.kind = OP_NOTHING}; break;
    case OP_JCC: f->kind = OP_SIDE; break;
    case OP_CALL: f->kind = OP_CALLED; break;
    case OP_RET: f->kind = OP_RETURNED; break;
    default: break;
    }
}

void give_back_counts(struct translation *t, unsigned done)
{
    if (!t->prefix && done < t->count) {
        emit_alu_imm(&t->e, HA_ADD, 8, CPU_AT(d.left), (i32)(t->count - done));
    }
}

/* The jump just emitted leads out of the path. */
static void to_side_exit(struct translation *t, u8 *jump, u64 target)
{
    if (t->strip && !t->x87.waiting) {
        t->loop.x87_at_end = true;
    }
    t->side[t->side_count++] = (struct side_exit){.from = jump,
                                                  .target = target,
                                                  .op = t->i,
                                                  .flags = t->flags,
                                                  .zero = t->zero,
                                                  .wrong = t->wrong,
                                                  .x87 = t->x87};
}

static void emit_side(struct translation *t)
{
    const struct op_facts *f = &t->facts[t->i];
    u64 on = t->at[t->i + 1], target = branch_target(t, t->rip, t->in);
    u64 behind = (t->rip + t->in->len) & size_mask(t->word);
    bool inverted = on == target;
    if (target == behind) {
        return;
    }
    flags_need(t, f->reads);
    to_side_exit(t, emit_jcc(&t->e, f->number ^ (inverted ? 1u : 0u)), inverted ? behind : target);
}

/* A RET to behind a call of the path, if that is where it leads. */
static void emit_returned(struct translation *t)
{
    struct emit *e = &t->e;
    u64 on = t->at[t->i + 1];
    struct host_rm top = access_memory(t, AT_TOP, t->word, 0, false);
    flags_spill(t);
    emit_mov_load(e, t->word, H_ADDR, top);
    address_lost(t);
    if (on == (u64)(i64)(i32)on) {
        emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), (i32)on);
    } else {
        emit_mov_const(e, H_TMP, on);
        emit_alu(e, HA_CMP, 8, H_ADDR, rm_reg(H_TMP));
    }
    to_slow_path(t, emit_jcc(e, 5));
    emit_lea(e, t->word, jit_home[RSP], rm_mem(jit_home[RSP], (i32)t->word));
}

void emit_path(struct translation *t)
{
    if (t->facts[t->i].kind == OP_SIDE) {
        emit_side(t);
    } else {
        emit_returned(t);
    }
}

void emit_side_exits(struct translation *t)
{
    for (unsigned k = 0; k < t->side_count && !t->e.full; k++) {
        const struct side_exit *s = &t->side[k];
        emit_patch(s->from, t->e.at);
        t->i = s->op;
        t->in = t->op[s->op];
        t->end = s->op + 1;
        t->flags = s->flags;
        t->zero = s->zero;
        t->wrong = s->wrong;
        t->x87 = s->x87;
        flags_settle(t);
        x87_flush(t);
        if (t->strip) {
            leave_strip(t, s->op, false);
        }
        give_back_counts(t, s->op + 1);
        leave_to(t, s->target);
    }
}
