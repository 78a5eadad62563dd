/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A block of ops to host code: one pass backward for the flags, one forward for the code.
 *
 * Every instruction either has an emitter or becomes a call of its handler. Inside a block the guest's flags
 * stay in the host's while they can; between blocks, and wherever an instruction may leave, they are in rax. */
#include "jit/translate.h"

#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"

#include <string.h>

/* Host code per instruction at most, ways out included; a translation has this much room per op. */
#define ROOM_PER_OP 320
#define ROOM_PER_BLOCK 512

/* ---- Flags ---- */

u32 flags_of_condition(unsigned cc)
{
    static const u32 reads[8] = {F_OF, F_CF, F_ZF, F_CF | F_ZF, F_SF, F_PF, F_SF | F_OF, F_ZF | F_SF | F_OF};
    return reads[cc >> 1];
}

bool flags_matter(const struct translation *t)
{
    return t->live[t->i + 1] != 0;
}

/* The host's flags into rax. What counts as 0 is masked out, which costs the host's. */
static void save(struct translation *t)
{
    struct emit *e = &t->e;
    if ((t->zero & F_OF) == 0) {
        emit_op(e, OP_0F(0x90), 1, 0, rm_reg(H_RAX)); /* seto al */
    }
    emit_u8(e, 0x9f); /* lahf */
    t->flags |= IN_RAX;
    if (t->zero != 0) {
        u32 keep = (0xffu & ~t->zero) << 8 | ((t->zero & F_OF) == 0 ? 0xffu : 0u);
        emit_u8(e, 0x25); /* and eax, keep */
        emit_u32(e, keep);
        t->flags = IN_RAX;
    }
}

void flags_settle(struct translation *t)
{
    if ((t->flags & IN_RAX) == 0 && t->flags != 0) {
        save(t);
    }
}

void flags_spill(struct translation *t)
{
    if (t->live[t->i] != 0) {
        flags_settle(t);
    }
    t->flags &= ~(unsigned)IN_HOST;
}

void flags_need(struct translation *t, u32 needed)
{
    if ((t->flags & IN_HOST) != 0 && (t->flags & IN_RAX) == 0 && (t->wrong & needed) != 0) {
        save(t);
    }
    if ((t->flags & IN_HOST) == 0) {
        emit_u8(&t->e, 0x3c); /* cmp al, 81h: OF = al */
        emit_u8(&t->e, 0x81);
        emit_u8(&t->e, 0x9e); /* sahf */
        t->flags |= IN_HOST;
        t->zero = t->wrong = 0;
    }
}

void flags_set(struct translation *t, u32 zero, u32 wrong)
{
    t->flags = flags_matter(t) ? IN_HOST : 0;
    t->zero = zero;
    t->wrong = wrong;
}

/* ---- Registers ---- */

unsigned reg_for(unsigned g, unsigned scratch)
{
    return jit_home[g] != H_NONE ? jit_home[g] : scratch;
}

unsigned reg_in(struct translation *t, unsigned g, unsigned scratch)
{
    if (jit_home[g] != H_NONE) {
        return jit_home[g];
    }
    emit_mov_load(&t->e, 8, scratch, GPR_AT(g));
    return scratch;
}

void reg_out(struct translation *t, unsigned g, unsigned reg)
{
    if (jit_home[g] == H_NONE) {
        emit_mov_store(&t->e, 8, reg, GPR_AT(g));
    }
}

struct host_rm reg_rm(unsigned g)
{
    return jit_home[g] != H_NONE ? rm_reg(jit_home[g]) : GPR_AT(g);
}

static struct slow_path *slow_path(struct translation *t)
{
    struct slow_path *s = t->slow_count > 0 ? &t->slow[t->slow_count - 1] : NULL;
    if (s == NULL || s->op != t->i) {
        s = &t->slow[t->slow_count++];
        *s = (struct slow_path){.op = t->i, .x87 = t->x87};
    }
    return s;
}

void to_slow_path(struct translation *t, u8 *jump)
{
    if (t->strip) { /* it leaves the loop form first */
        to_checked_copy(t, jump, t->i);
        return;
    }
    struct slow_path *s = slow_path(t);
    s->from[s->count++] = jump;
}

void to_checked_copy(struct translation *t, u8 *jump, unsigned op)
{
    if (t->strip && !t->x87.waiting) { /* FIP is the one of the turn before */
        t->loop.x87_at_end = true;
    }
    t->miss[t->miss_count].from = jump;
    t->miss[t->miss_count].counted = false;
    t->miss[t->miss_count].op = op;
    t->miss[t->miss_count++].x87 = t->x87;
}

static void jump_thunk(struct translation *t, const u8 *thunk)
{
    emit_jmp_to(&t->e, t->j->memory.rw + (thunk - t->j->memory.rx));
}

void call_thunk(struct translation *t, const u8 *thunk)
{
    emit_call_to(&t->e, t->j->memory.rw + (thunk - t->j->memory.rx));
}

/* ---- Ways out ---- */

bool leave_checked(struct translation *t)
{
    if (t->j->lockstep == NULL) {
        return true;
    }
    emit_mov_store(&t->e, 8, H_ADDR, CPU_AT(arch.rip));
    if (t->prefix) {
        jump_thunk(t, t->j->thunk.stop);
        return false;
    }
    emit_mov_const(&t->e, H_ADDR, t->end);
    call_thunk(t, t->j->thunk.end);
    emit_mov_load(&t->e, 8, H_ADDR, CPU_AT(arch.rip));
    return true;
}

void leave_indirect(struct translation *t)
{
    if (leave_checked(t)) {
        jump_thunk(t, t->j->thunk.indirect);
    }
}

void leave_by_target(struct translation *t, i32 pop)
{
    struct emit *e = &t->e;
    if (t->j->lockstep == NULL) {
        struct host_rm lin, code;
        emit_target_line(t->j, e, &lin, &code);
        emit_alu(e, HA_CMP, 8, H_ADDR, lin);
        u8 *miss = emit_jcc(e, 5);
        if (pop != 0) {
            emit_lea(e, t->word, jit_home[RSP], rm_mem(jit_home[RSP], pop));
        }
        emit_op(e, OP(0xff), 4, 4, code); /* jmp */
        if (!e->full) {
            emit_patch(miss, e->at);
        }
    }
    check_canonical(t, H_ADDR, H_TMP);
    if (pop != 0) {
        emit_lea(e, t->word, jit_home[RSP], rm_mem(jit_home[RSP], pop));
    }
    leave_indirect(t);
}

void leave_by_target_only(struct translation *t)
{
    struct emit *e = &t->e;
    struct host_rm lin, code;
    emit_target_line(t->j, e, &lin, &code);
    emit_alu(e, HA_CMP, 8, H_ADDR, lin);
    u8 *miss = emit_jcc(e, 5);
    emit_op(e, OP(0xff), 4, 4, code);
    if (!e->full) {
        emit_patch(miss, e->at);
    }
    leave_indirect(t);
}

/* To another page: the line is known. */
static void leave_page(struct translation *t, u64 target)
{
    struct emit *e = &t->e;
    emit_mov_const(e, H_ADDR, target);
    if (t->j->lockstep == NULL) {
        struct host_rm lin, code;
        target_line_of(t->j, target, &lin, &code);
        emit_alu(e, HA_CMP, 8, H_ADDR, lin);
        u8 *miss = emit_jcc(e, 5);
        emit_op(e, OP(0xff), 4, 4, code);
        if (!e->full) {
            emit_patch(miss, e->at);
        }
    }
    leave_indirect(t);
}

/* In this page, and surely not an instruction that ends in the next one, whose translation may change. */
bool is_linkable(const struct translation *t, u64 target)
{
    return ((target ^ t->b->lin) & ~PAGE_MASK) == 0 && (target & PAGE_MASK) <= PAGE_SIZE - 15;
}

void leave_to(struct translation *t, u64 target)
{
    flags_settle(t);
    if (!is_linkable(t, target)) {
        leave_page(t, target);
        return;
    }
    if (t->j->lockstep != NULL) {
        emit_mov_const(&t->e, H_ADDR, target);
        if (!leave_checked(t)) {
            return;
        }
    }
    t->exit[t->exit_count].site = emit_jmp(&t->e);
    t->exit[t->exit_count++].target = target;
}

/* ---- Handlers ---- */

static void call_handler(struct translation *t, unsigned op)
{
    emit_mov_const(&t->e, H_ADDR, (u64)t->number << BLOCK_BITS | op);
    call_thunk(t, t->j->thunk.op);
}

static void emit_handler(struct translation *t)
{
    flags_settle(t);
    x87_flush(t);
    emit_mov_const(&t->e, H_TMP, 1);
    call_handler(t, t->i);
    t->flags = IN_RAX;
    if (insn_moves_rip(t->in)) {
        emit_mov_load(&t->e, 8, H_ADDR, CPU_AT(arch.rip));
        leave_indirect(t);
        t->ended = true;
    }
}

void flags_back(struct translation *t, unsigned flags)
{
    if ((flags & IN_HOST) != 0) {
        emit_u8(&t->e, 0x3c);
        emit_u8(&t->e, 0x81);
        emit_u8(&t->e, 0x9e);
    }
}

static void emit_slow_paths(struct translation *t)
{
    for (unsigned i = 0; i < t->slow_count; i++) {
        struct slow_path *s = &t->slow[i];
        for (unsigned n = 0; n < s->count; n++) {
            emit_patch(s->from[n], t->e.at);
        }
        x87_store_pointers(t, &s->x87);
        emit_mov_const(&t->e, H_TMP, 0);
        call_handler(t, s->op);
        if (s->back == NULL) {
            emit_mov_load(&t->e, 8, H_ADDR, CPU_AT(arch.rip));
            t->end = s->op + 1;
            give_back_counts(t, s->op + 1);
            leave_indirect(t);
            continue;
        }
        /* What checks have found may no longer hold: on in the checked copy. */
        const struct place *on = &t->behind[s->op];
        flags_back(t, t->unchecked ? on->flags : s->flags);
        emit_jmp_to(&t->e, t->unchecked ? on->at : s->back);
    }
}

/* Where a group's check has failed nothing has been done yet that the checked copy would do again. */
void emit_misses(struct translation *t)
{
    for (unsigned i = 0; i < t->miss_count; i++) {
        const struct place *on = &t->before[t->miss[i].op];
        emit_patch(t->miss[i].from, t->e.at);
        x87_store_pointers(t, &t->miss[i].x87);
        if (t->strip) {
            leave_strip(t, t->miss[i].op, t->miss[i].counted);
        }
        flags_back(t, on->flags);
        emit_jmp_to(&t->e, on->at);
    }
}

/* ---- A block ---- */

static void find_liveness(struct translation *t, unsigned from, unsigned to)
{
    t->live[to] = F_ALL;
    for (unsigned i = to; i-- > from;) {
        struct op_facts *f = &t->facts[i];
        *f = (struct op_facts){.exits = true};
        t->rip = t->at[i];
        find_facts(t, t->op[i], f);
        path_facts(t, i, f);
        t->live[i] = f->exits ? F_ALL : (t->live[i + 1] & ~f->writes) | f->reads;
    }
}

static void emit_host_check(struct translation *t, struct host_rm on, const u8 *thunk, unsigned op)
{
    struct emit *e = &t->e;
    emit_alu_imm(e, HA_CMP, 4, on, 0);
    u8 *is_on = emit_jcc(e, 5);
    emit_mov_const(e, H_ADDR, (u64)t->number << BLOCK_BITS | op);
    call_thunk(t, thunk);
    if (!e->full) {
        emit_patch(is_on, e->at);
    }
}

static bool begins_run(const struct translation *t, unsigned i, unsigned from)
{
    return t->facts[i].kind != OP_HANDLER &&
           (i == from || t->facts[i - 1].kind == OP_HANDLER || t->facts[i - 1].ends_run);
}

/* Where a run of ops without a handler between them begins, flags in rax: if one of them needs it, the host's
 * vector registers and MXCSR are made the guest's, and the host's x87. Nothing within a run changes what forbids that. */
void emit_fp_check(struct translation *t, unsigned from, unsigned to)
{
    bool fp = false, vec = false, x87 = false;
    for (unsigned i = from; i < to && t->facts[i].kind != OP_HANDLER; i++) {
        fp = fp || t->facts[i].fp;
        vec = vec || t->facts[i].kind == OP_VEC;
        x87 = x87 || t->facts[i].x87;
        if (t->facts[i].ends_run) {
            break;
        }
    }
    if (fp) { /* which implies the registers */
        emit_host_check(t, CPU_AT(d.jit.fp_on), t->j->thunk.fp_on, from);
    } else if (vec) {
        emit_host_check(t, CPU_AT(d.jit.vec_on), t->j->thunk.vec_on, from);
    }
    t->vec_used = t->vec_used || vec;
    if (x87) {
        x87_flush(t); /* leaving for the interpreter */
        emit_host_check(t, CPU_AT(d.jit.x87_on), t->j->thunk.x87_on, from);
    }
}

/* The unchecked copy's: accesses that others have checked for are no exits, checks of groups are. */
static void find_liveness_unchecked(struct translation *t, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        t->facts[i].exits = t->facts[i].exits && !is_covered(t, i);
    }
    for (unsigned k = 1; k <= t->group_count; k++) {
        if (t->group[k].count != 0) {
            t->facts[t->group[k].place].exits = true;
        }
    }
    for (unsigned i = to; i-- > from;) {
        struct op_facts *f = &t->facts[i];
        t->live[i] = f->exits ? F_ALL : (t->live[i + 1] & ~f->writes) | f->reads;
    }
}

static void note_place(const struct translation *t, struct place *p)
{
    if (!t->unchecked) {
        *p = (struct place){.at = t->e.at, .flags = t->flags};
    }
}

/* Its emitter uses r14 for nothing but addresses. */
static bool keeps_address(unsigned kind)
{
    switch ((enum op_kind)kind) {
    case OP_NOTHING:
    case OP_MOV:
    case OP_MOVX:
    case OP_LEA:
    case OP_ALU:
    case OP_TEST:
    case OP_STEP:
    case OP_NOT:
    case OP_NEG:
    case OP_SHIFT:
    case OP_ROTATE:
    case OP_IMUL:
    case OP_MUL:
    case OP_SETCC:
    case OP_CMOV:
    case OP_CMPXCHG:
    case OP_XADD:
    case OP_SCAN:
    case OP_COUNT:
    case OP_BSWAP:
    case OP_WIDEN:
    case OP_VEC:
    case OP_PUSH:
    case OP_POP:
    case OP_CALLED:
    case OP_SIDE: return true;
    default: return false;
    }
}

void emit_ops(struct translation *t, unsigned from, unsigned to)
{
    struct jit_block *jb = &t->j->blocks[t->number];
    for (unsigned i = from; i < to; i++) {
        t->i = i;
        t->end = i + 1;
        t->in = t->op[i];
        t->rip = t->at[i];
        jb->offset[i] = (u16)(t->rip & PAGE_MASK);
        unsigned kind = t->facts[i].kind;
        if (begins_run(t, i, from) && !t->strip) {
            emit_fp_check(t, i, to);
            address_lost(t);
        }
        note_place(t, &t->before[i]);
        if (t->strip && i == t->loop.place) {
            count_turn(t);
        } else if (t->unchecked && !t->strip) {
            check_groups_here(t);
        }
        if (kind >= OP_SYSCALL && !t->strip) {
            x87_flush(t);
        }
        if (kind == OP_HANDLER) {
            emit_handler(t);
        } else if (kind >= OP_PUSH) {
            emit_flow(t);
        } else {
            emit_native(t);
        }
        struct slow_path *s = t->slow_count > 0 ? &t->slow[t->slow_count - 1] : NULL;
        if (s != NULL && s->op == i) {
            s->back = t->ended || kind == OP_RETURNED ? NULL : t->e.at;
            s->flags = t->flags;
        }
        note_place(t, &t->behind[i]);
        if (!keeps_address(kind)) {
            address_lost(t);
        }
    }
    if (!t->ended) {
        x87_flush(t);
        t->i = to;
        leave_to(t, t->at[to]);
    }
}

static u32 offset_of(const struct translation *t, const u8 *rw)
{
    return (u32)(rw - t->j->memory.rw);
}

/* Ways out of jumps that are not linked yet; then of the count check. */
static void emit_exits(struct translation *t)
{
    struct jit_block *jb = &t->j->blocks[t->number];
    struct jit *j = t->j;
    struct emit *e = &t->e;
    for (unsigned k = 0; k < t->exit_count; k++) {
        if (t->again != NULL && t->exit[k].target == t->b->lin) {
            emit_patch(t->exit[k].site, t->again);
            continue;
        }
        jb->exit[k].site = offset_of(t, t->exit[k].site);
        jb->exit[k].stub = offset_of(t, e->at);
        emit_patch(t->exit[k].site, e->at);
        emit_mov_const(e, H_ADDR, t->exit[k].target);
        emit_mov_const(e, H_TMP, (u64)JIT_EXITS * t->number + k);
        jump_thunk(t, j->thunk.link);
    }
    for (unsigned k = 0; k < t->out_count; k++) {
        emit_patch(t->out[k], e->at);
    }
    emit_alu_imm(e, HA_ADD, 8, CPU_AT(d.left), (i32)t->count);
    emit_mov_const(e, H_ADDR, t->b->lin);
    jump_thunk(t, j->thunk.out);
}

/* 64-bit code; 32-bit code and stack in flat segments of protected mode. */
static bool is_taken(const struct block *b)
{
    unsigned size = b->mode & MODE_SIZE;
    bool flat32 = size == 1 && (b->mode & (MODE_PE | MODE_VM | MODE_FLAT)) == (MODE_PE | MODE_FLAT) &&
                  ((b->mode >> MODE_SP_SHIFT) & 3) == 1;
    return (size == 2 || flat32) && (b->flags & BLOCK_STRADDLES) == 0;
}

/* Room for the path's ops, if need be in the next region, which is emptied first. */
static void make_room(struct translation *t)
{
    struct jit *j = t->j;
    struct code_memory *m = &j->memory;
    u64 room = 6 * ROOM_PER_BLOCK * t->parts;
    for (unsigned i = 0; i < t->count; i++) {
        room += 3 * ROOM_PER_OP;
    }
    u8 *end = m->rw + (m->current + 1) * m->region_size;
    if (m->at[m->current] + room > end) {
        m->current = (m->current + 1) % JIT_REGIONS;
        jit_evict_region(j, m->current);
        end = m->rw + (m->current + 1) * m->region_size;
    }
    t->e = (struct emit){.at = m->at[m->current], .end = end};
}

static void begin(struct translation *t, struct jit *j, struct cpu *cpu, struct block *b)
{
    memset(t, 0, offsetof(struct translation, live));
    t->exit_count = t->out_count = t->end = 0;
    t->refused = t->prefix = t->strip = t->unchecked = t->vec_used = false;
    t->again = NULL;
    t->j = j;
    t->cpu = cpu;
    t->b = b;
    t->word = (b->mode & MODE_SIZE) == 2 ? 8 : 4;
}

/* A copy of ops `from` to `to` - 1, and what it jumps to. Returns where it begins. */
static u8 *emit_copy(struct translation *t, unsigned from, unsigned to)
{
    struct emit *e = &t->e;
    if (!t->prefix) {
        emit_door(t->j, e, t->b->mode);
    }
    u8 *start = e->at;
    t->flags = IN_RAX;
    t->zero = t->wrong = 0;
    t->x87.waiting = t->ended = false;
    t->slow_count = t->side_count = t->miss_count = t->next = t->held = 0;
    if (!t->prefix) {
        emit_alu_imm(e, HA_SUB, 8, CPU_AT(d.left), (i32)t->count);
        t->out[t->out_count++] = emit_jcc(e, 8); /* sign */
        if (t->j->lockstep != NULL) {
            emit_mov_const(e, H_ADDR, t->number);
            call_thunk(t, t->j->thunk.begin);
        }
    }
    t->body = e->at;
    emit_ops(t, from, to);
    emit_side_exits(t);
    emit_slow_paths(t);
    return start;
}

/* Every access checked; and if some can share checks, a copy where they do, which is entered and goes on in the other. */
static u8 *emit_copies(struct translation *t, unsigned from, unsigned to)
{
    t->access_count = t->group_count = 0;
    find_liveness(t, from, to);
    u8 *start = emit_copy(t, from, to);
    bool loops = !t->prefix && !t->refused && !t->e.full && find_loop(t);
    if ((t->j->config.without & JIT_GROUPS) == 0 && !t->refused && !t->e.full && find_groups(t, from, to)) {
        t->unchecked = true;
        find_liveness_unchecked(t, from, to);
        start = emit_copy(t, from, to);
        emit_misses(t);
        for (unsigned k = 1; k <= t->group_count; k++) {
            t->j->stats.groups += t->group[k].count > 1;
        }
    }
    if (loops && !t->refused && !t->e.full) {
        emit_strip(t);
    }
    return start;
}

bool jit_translate(struct jit *j, struct cpu *cpu, struct block *b)
{
    struct translation t;
    if (!is_taken(b)) {
        return false;
    }
    begin(&t, j, cpu, b);
    find_path(&t);
    make_room(&t);
    t.number = jit_block_take(j);
    if (t.number == 0) {
        return false;
    }
    struct code_memory *m = &j->memory;
    struct jit_block *jb = &j->blocks[t.number];
    u8 *first = t.e.at, *start;
    note_path(&t, jb);
    start = emit_copies(&t, 0, t.count);
    emit_exits(&t);
    if (t.refused || t.e.full) {
        jb->next = j->block_free;
        j->block_free = t.number;
        return false;
    }
    jb->b = b;
    jit_note_parts(j, t.number);
    jb->vec = t.vec_used;
    jb->next = m->blocks[m->current];
    m->blocks[m->current] = t.number;
    m->at[m->current] = t.e.at;
    b->jit = t.number;
    b->code = m->rx + (start - m->rw);
    j->stats.blocks++;
    j->stats.loops += t.again != NULL;
    j->stats.paths += t.parts > 1;
    j->stats.ops += t.count;
    j->stats.bytes += (u64)(t.e.at - first);
    return true;
}

unsigned jit_run_prefix(struct jit *j, struct cpu *cpu, u32 n, unsigned from, unsigned to)
{
    struct translation t;
    begin(&t, j, cpu, j->blocks[n].b);
    t.number = n;
    t.prefix = true;
    take_path(&t, &j->blocks[n]);
    make_room(&t);
    u8 *start = emit_copies(&t, from, to);
    if (t.refused || t.e.full) {
        return JIT_LEAVE;
    }
    cpu->d.jit.flags = jit_pack_flags(cpu);
    unsigned reason = jit_enter_of(j)(cpu, j->memory.rx + (start - j->memory.rw));
    (void)jit_fp_suspend(cpu);
    cpu->d.jit.vec_on = 0;
    return reason;
}
