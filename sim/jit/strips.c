/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop form of a path that jumps to its own start: a strip of turns whose accesses are sure to stay in pages that
 * have been looked up beforehand, with nothing of a turn's own but the count of turns.
 *
 * The path is entered as ever; only its jump to itself leads here. The way in looks up the page of each group of
 * accesses (loops.c), finds how many turns stay in all of them and within the counts that are left, takes the counts of
 * these turns and borrows the homes of guest registers that the path has nothing to do with, for what leads from guest
 * addresses to the host's and for the number of turns. If there is no more than the one turn, it runs as ever.
 *
 * Turns are counted before an instruction that makes all flags and has no way out, so that old flags need no saving; when
 * all are done, that turn goes on in the checked copy. So do instructions that need a look in each turn and fail. Ways out
 * give back the counts of turns that were not begun and bring borrowed registers home. What has been looked up holds,
 * since only native code runs in a strip. */
#include "jit/translate.h"

enum { SLOT_COUNT = GROUP_MAX, SLOT_ROOM, SLOT_RAX, SLOT_REFS };
_Static_assert(SLOT_REFS + LOOP_REFS <= FRAME_SLOTS, "a slot for each");

static bool lockstep(const struct translation *t)
{
    return t->j->lockstep != NULL;
}

static struct host_rm ref_slot(unsigned r)
{
    return SLOT_AT(SLOT_REFS + r);
}

static struct host_rm counter(const struct translation *t)
{
    return t->loop.counter != H_NONE ? rm_reg(t->loop.counter) : SLOT_AT(SLOT_COUNT);
}

/* ---- The way in ---- */

/* r14 = a group's lowest address in the first turn. */
static void group_address(struct translation *t, const struct loop_group *g)
{
    unsigned base = g->base < 16 ? reg_in(t, g->base, H_ADDR) : H_NONE;
    unsigned index = g->index >= 16 ? H_NONE : g->index == g->base ? base : reg_in(t, g->index, H_TMP);
    emit_lea(&t->e, 8, H_ADDR, rm_index(base, index, g->scale, (i32)g->low));
}

/* The refs of group k, into their slots; r14 = what leads from guest addresses to the host's. */
static void make_refs(struct translation *t, unsigned k)
{
    struct emit *e = &t->e;
    for (unsigned r = 0; r < t->loop.refs; r++) {
        const struct loop_ref *ref = &t->loop.ref[r];
        if (ref->group != k) {
            continue;
        }
        if (ref->reg == REG_NONE) {
            emit_mov_store(e, 8, H_ADDR, ref_slot(r));
            continue;
        }
        unsigned reg = reg_in(t, ref->reg, H_TMP);
        emit_lea(e, 8, H_TMP, rm_index(H_ADDR, reg, ref->scale, 0));
        emit_mov_store(e, 8, H_TMP, ref_slot(r));
    }
}

/* The count becomes at most r14. */
static void bound_count(struct translation *t)
{
    struct emit *e = &t->e;
    emit_alu(e, HA_CMP, 8, H_ADDR, SLOT_AT(SLOT_COUNT));
    emit_op(e, OP_0F(0x47), 8, H_ADDR, SLOT_AT(SLOT_COUNT)); /* cmova */
    emit_mov_store(e, 8, H_ADDR, SLOT_AT(SLOT_COUNT));
}

/* r14 = bytes that a group may still move by: how many turns is that? */
static void bound_by_room(struct translation *t, const struct loop_group *g)
{
    struct emit *e = &t->e;
    if (g->by != REG_NONE) {
        if (g->by_scale != 0) {
            emit_shift_imm(e, HS_SHR, 4, rm_reg(H_ADDR), g->by_scale);
        }
        emit_mov_load(e, 8, H_TMP, rm_reg(H_RDX));
        emit_mov_store(e, 8, H_RAX, SLOT_AT(SLOT_RAX));
        emit_mov_load(e, 4, H_RAX, rm_reg(H_ADDR));
        emit_op(e, OP(0x31), 4, H_RDX, rm_reg(H_RDX));
        emit_op(e, OP(0xf7), 4, 6, g->by == RDX ? rm_reg(H_TMP) : reg_rm(g->by)); /* div */
        emit_mov_load(e, 4, H_ADDR, rm_reg(H_RAX));
        emit_mov_load(e, 8, H_RAX, SLOT_AT(SLOT_RAX));
        emit_mov_load(e, 8, H_RDX, rm_reg(H_TMP));
    } else {
        unsigned step = (unsigned)(g->step < 0 ? -g->step : g->step);
        if ((step & (step - 1)) == 0) {
            if (step > 1) {
                emit_shift_imm(e, HS_SHR, 4, rm_reg(H_ADDR), (unsigned)__builtin_ctz(step));
            }
        } else { /* rather too few */
            emit_op_imm(e, OP(0x69), 4, H_ADDR, rm_reg(H_ADDR), (i32)(65536 / step));
            emit_shift_imm(e, HS_SHR, 4, rm_reg(H_ADDR), 16);
        }
    }
    bound_count(t);
}

struct failures {
    u8 *from[8 * LOOP_GROUPS + 32];
    unsigned count;
};

static void or_fail(struct failures *f, u8 *jump)
{
    f->from[f->count++] = jump;
}

static void look_up(struct translation *t, unsigned k, struct failures *f)
{
    const struct loop_group *g = &t->loop.group[k];
    struct emit *e = &t->e;
    if (g->fixed) {
        or_fail(f, check_page(t, (u64)g->low, g->write));
        make_refs(t, k);
        return;
    }
    struct host_rm page, host;
    bool moves = g->step != 0 || g->by != REG_NONE;
    i32 range = (i32)(g->high - g->low);
    group_address(t, g);
    if (g->align != 0) {
        bool first = ((g->aligned - g->low) & (g->align - 1)) == 0;
        if (!first) {
            emit_lea(e, 8, H_TMP, rm_mem(H_ADDR, (i32)(g->aligned - g->low)));
        }
        emit_op_imm8(e, OP(0xf6), 1, 0, rm_reg(first ? H_ADDR : H_TMP), g->align - 1u); /* test */
        or_fail(f, emit_jcc(e, 5));
    }
    find_slot(t, g->write, &page, &host);
    emit_alu(e, HA_SUB, 8, H_ADDR, page);
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), (i32)PAGE_SIZE - range);
    or_fail(f, emit_jcc(e, 7));
    if (moves) {
        emit_mov_store(e, 8, H_ADDR, SLOT_AT(SLOT_ROOM));
    }
    emit_mov_load(e, 8, H_ADDR, host);
    emit_alu(e, HA_SUB, 8, H_ADDR, page);
    make_refs(t, k);
    if (moves) {
        if (g->step < 0) {
            emit_mov_load(e, 8, H_ADDR, SLOT_AT(SLOT_ROOM));
        } else {
            emit_mov_const(e, H_ADDR, (u64)((i32)PAGE_SIZE - range));
            emit_alu(e, HA_SUB, 8, H_ADDR, SLOT_AT(SLOT_ROOM));
        }
        bound_by_room(t, g);
    }
}

/* What loops.c has supposed. */
static void check_suppositions(struct translation *t, struct failures *f)
{
    struct emit *e = &t->e;
    u16 narrow = 0, down = 0, by = 0;
    for (unsigned k = 0; k < t->loop.groups; k++) {
        const struct loop_group *g = &t->loop.group[k];
        narrow |= g->narrow;
        down |= g->down;
        if (g->by != REG_NONE && (by >> g->by & 1) == 0) {
            by |= (u16)(1u << g->by);
            emit_mov_load(e, g->by_size, H_ADDR, reg_rm(g->by));
            emit_alu_imm(e, HA_SUB, 8, rm_reg(H_ADDR), 1);
            emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), LOOP_STEP_MAX - 1);
            or_fail(f, emit_jcc(e, 7));
        }
    }
    for (unsigned r = 0; r < 16; r++) {
        if ((narrow >> r & 1) != 0) {
            emit_mov_const(e, H_ADDR, 0xffff0000u);
            emit_alu(e, HA_CMP, 8, H_ADDR, reg_rm(r));
            or_fail(f, emit_jcc(e, 6)); /* not above */
        }
        if ((down >> r & 1) != 0) {
            emit_alu_imm(e, HA_CMP, 8, reg_rm(r), 0x10000);
            or_fail(f, emit_jcc(e, 2));
        }
    }
}

/* A guess: not for the last few turns of a loop. */
static void check_worth(struct translation *t, struct failures *f)
{
    struct emit *e = &t->e;
    const struct loop *l = &t->loop;
    i64 enough = (i64)LOOP_TURNS_MIN * l->by, gone = (i64)l->from - l->until;
    if (l->ends_by == REG_NONE || gone != (i32)gone || enough != (i32)enough) {
        return;
    }
    unsigned reg = reg_in(t, l->ends_by, H_ADDR);
    emit_lea(e, l->size, H_ADDR, rm_mem(reg, (i32)gone));
    if (l->bound != REG_NONE) {
        emit_alu(e, HA_SUB, l->size, H_ADDR, reg_rm(l->bound));
    }
    emit_alu_imm(e, HA_CMP, l->size, rm_reg(H_ADDR), (i32)-enough);
    or_fail(f, emit_jcc(e, l->by > 0 ? 15 : 12)); /* greater; less */
}

/* Turns that the counts left allow beyond the first, which is paid for. */
static void begin_count(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned count = t->count;
    emit_mov_load(e, 8, H_ADDR, CPU_AT(d.left));
    emit_mov_const(e, H_TMP, 0xffff);
    emit_alu(e, HA_CMP, 8, H_ADDR, rm_reg(H_TMP));
    emit_op(e, OP_0F(0x47), 8, H_ADDR, rm_reg(H_TMP)); /* cmova */
    emit_op_imm(e, OP(0x69), 8, H_ADDR, rm_reg(H_ADDR), (i32)(65536 / count));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_ADDR), 16);
    emit_mov_store(e, 8, H_ADDR, SLOT_AT(SLOT_COUNT));
}

static void take_counts(struct translation *t, struct failures *f)
{
    struct emit *e = &t->e;
    emit_mov_load(e, 8, H_ADDR, SLOT_AT(SLOT_COUNT));
    emit_op(e, OP(0x85), 8, H_ADDR, rm_reg(H_ADDR));
    or_fail(f, emit_jcc(e, 4));
    emit_op_imm(e, OP(0x69), 8, H_TMP, rm_reg(H_ADDR), (i32)t->count);
    emit_op(e, OP(0x29), 8, H_TMP, CPU_AT(d.left));
}

static void borrow(struct translation *t)
{
    struct emit *e = &t->e;
    const struct loop *l = &t->loop;
    for (unsigned g = 0; g < 16; g++) {
        if ((l->borrowed >> g & 1) != 0) {
            emit_mov_store(e, 8, jit_home[g], GPR_AT(g));
        }
    }
    if (l->counter != H_NONE) {
        emit_mov_load(e, 8, l->counter, rm_reg(H_ADDR));
    }
    for (unsigned r = 0; r < l->refs; r++) {
        if (l->ref[r].host != H_NONE) {
            emit_mov_load(e, 8, l->ref[r].host, ref_slot(r));
        }
    }
}

static void charge(struct translation *t)
{
    struct emit *e = &t->e;
    emit_alu_imm(e, HA_SUB, 8, CPU_AT(d.left), (i32)t->count);
    t->out[t->out_count++] = emit_jcc(e, 8);
    if (lockstep(t)) {
        emit_mov_const(e, H_ADDR, t->number);
        call_thunk(t, t->j->thunk.begin);
    }
}

static void way_in(struct translation *t)
{
    struct emit *e = &t->e;
    struct failures f = {.count = 0};
    t->flags = IN_RAX;
    charge(t);
    emit_fp_check(t, 0, t->count);
    check_worth(t, &f);
    check_suppositions(t, &f);
    begin_count(t);
    for (unsigned k = 0; k < t->loop.groups; k++) {
        look_up(t, k, &f);
    }
    take_counts(t, &f);
    borrow(t);
    flags_back(t, t->live[0] != 0 ? IN_HOST : 0);
    u8 *on = emit_jmp(e);
    for (unsigned i = 0; i < f.count && !e->full; i++) {
        emit_patch(f.from[i], e->at);
    }
    emit_jmp_to(e, t->body);
    while (!e->full && ((uintptr_t)e->at & 15) != 0) {
        emit_u8(e, 0xcc);
    }
    if (!e->full) {
        emit_patch(on, e->at);
    }
}

/* ---- Turns ---- */

struct host_rm access_in_strip(struct translation *t, const struct mem_access *a)
{
    struct emit *e = &t->e;
    unsigned r = a->ref - 1u;
    const struct loop_ref *ref = &t->loop.ref[r];
    const struct insn *in = t->in;
    i32 disp = (i32)in->disp;
    unsigned other = REG_NONE, scale = 0; /* the register that moves */
    if (t->loop.group[ref->group].fixed) {
        u64 lin = (u64)(i64)disp + (in->base == REG_RIP ? t->rip + in->len : 0);
        disp = (i32)(lin & PAGE_MASK);
    } else if (ref->reg != REG_NONE && !ref->is_index) {
        other = in->index;
        scale = in->sib & 3u;
    } else if (ref->reg != REG_NONE || in->index >= 16) {
        other = in->base;
    } else if (in->base >= 16) {
        other = in->index;
        scale = in->sib & 3u;
    } else { /* both move */
        unsigned base = reg_in(t, in->base, H_ADDR), index = in->index == in->base ? base : reg_in(t, in->index, H_TMP);
        emit_lea(e, 8, H_ADDR, rm_index(base, index, in->sib & 3u, disp));
        if (ref->host != H_NONE) {
            return rm_index(H_ADDR, ref->host, 0, 0);
        }
        emit_mov_load(e, 8, H_TMP, ref_slot(r));
        emit_lea(e, 8, H_ADDR, rm_index(H_ADDR, H_TMP, 0, 0));
        return rm_mem(H_ADDR, 0);
    }
    unsigned from = ref->host, moving = other < 16 ? reg_in(t, other, H_ADDR) : H_NONE;
    if (from == H_NONE) {
        from = moving == H_ADDR ? H_TMP : H_ADDR;
        emit_mov_load(e, 8, from, ref_slot(r));
    }
    struct host_rm rm = rm_index(from, moving, scale, disp);
    if (from == H_TMP) { /* which the instruction may want */
        emit_lea(e, 8, H_ADDR, rm);
        return rm_mem(H_ADDR, 0);
    }
    return rm;
}

void count_turn(struct translation *t)
{
    emit_alu_imm(&t->e, HA_SUB, 8, counter(t), 1);
    t->flags = 0;
    to_checked_copy(t, emit_jcc(&t->e, 8), t->i);
    t->miss[t->miss_count - 1].counted = true;
}

/* ---- Ways out ---- */

void leave_strip(struct translation *t, unsigned op, bool counted)
{
    struct emit *e = &t->e;
    const struct loop *l = &t->loop;
    if (!counted) { /* the counts of turns not begun; of this one too if it has been counted */
        emit_op_imm(e, OP(0x69), 8, H_TMP, counter(t), (i32)t->count);
        if (op > l->place) {
            emit_alu_imm(e, HA_ADD, 8, rm_reg(H_TMP), (i32)t->count);
        }
        emit_op(e, OP(0x01), 8, H_TMP, CPU_AT(d.left));
    }
    for (unsigned g = 0; g < 16; g++) {
        if ((l->borrowed >> g & 1) != 0) {
            emit_mov_load(e, 8, jit_home[g], GPR_AT(g));
        }
    }
    if (l->borrows_table) {
        emit_mov_load(e, 8, H_TABLE, CPU_AT(d.jit.rd));
    }
}

/* To the next turn; lockstep compares between two. */
static void next_turn_checked(struct translation *t)
{
    struct emit *e = &t->e;
    flags_settle(t);
    x87_flush(t);
    emit_mov_const(e, H_ADDR, t->b->lin);
    (void)leave_checked(t);
    emit_mov_const(e, H_ADDR, t->number);
    call_thunk(t, t->j->thunk.begin);
    flags_back(t, t->live[0] != 0 ? IN_HOST : 0);
    emit_jmp_to(e, t->loop.head);
}

void emit_back_edge(struct translation *t)
{
    struct emit *e = &t->e;
    u64 target = branch_target(t, t->rip, t->in), next = t->at[t->count];
    bool always = t->facts[t->i].kind == OP_JMP, inverted = target != t->b->lin;
    flags_need(t, t->facts[t->i].reads | t->live[0]);
    if (t->loop.x87_at_end) {
        x87_flush(t);
    }
    u8 *taken = always ? emit_jmp(e) : emit_jcc(e, t->facts[t->i].number ^ (inverted ? 1u : 0u));
    unsigned flags = t->flags;
    struct x87_pointers x87 = t->x87;
    if (!always) {
        flags_settle(t);
        x87_flush(t);
        leave_strip(t, t->i, false);
        leave_to(t, inverted ? target : next);
    }
    if (!e->full) {
        emit_patch(taken, lockstep(t) ? e->at : t->loop.head);
    }
    if (lockstep(t)) {
        t->flags = flags;
        t->x87 = x87;
        next_turn_checked(t);
    }
    t->ended = true;
}

/* What has been looked up beforehand is no exit. */
static void find_liveness_strip(struct translation *t)
{
    unsigned count = t->count;
    for (unsigned i = 0; i < count; i++) {
        struct op_facts f = {.exits = true};
        t->rip = t->at[i];
        find_facts(t, t->op[i], &f);
        path_facts(t, i, &f);
        t->facts[i] = f;
        t->facts[i].exits = f.exits && (f.kind == OP_DIV || f.kind == OP_SIDE);
    }
    for (unsigned n = 0; n < t->access_count; n++) {
        if (t->access[n].ref == 0) {
            t->facts[t->access[n].op].exits = true;
        }
    }
    t->live[count] = F_ALL;
    for (unsigned i = count; i-- > 0;) {
        const struct op_facts *f = &t->facts[i];
        t->live[i] = f->exits ? F_ALL : (t->live[i + 1] & ~f->writes) | f->reads;
    }
}

void emit_strip(struct translation *t)
{
    struct emit *e = &t->e;
    t->strip = t->unchecked = true;
    find_liveness_strip(t);
    t->zero = t->wrong = 0;
    t->x87.waiting = t->ended = false;
    t->slow_count = t->side_count = t->miss_count = t->next = t->held = 0;
    t->i = t->end = 0;
    u8 *entry = e->at;
    way_in(t);
    t->flags = t->live[0] != 0 ? IN_HOST : 0;
    t->loop.head = e->at;
    emit_ops(t, 0, t->count);
    emit_side_exits(t);
    emit_misses(t);
    t->again = e->at != NULL && !e->full ? entry : NULL;
    t->strip = false;
}
