/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths that jump to their own start: which of their accesses move by the same distance in each turn.
 *
 * Registers are followed from the turn's start as value and offset, as groups.c does it; what a register holds at the
 * turn's end says by how much it moves: by a constant, by a register that the block does not write, or not at all.
 * 32-bit arithmetic is followed as if it were 64-bit: the loop form begins with a look that its registers are far from
 * the ends of 32 bits (`narrow`, `down`).
 *
 * What is found serves strips.c. */
#include "jit/translate.h"

#include "cpu/decode/decode.h"

/* Offsets of followed registers, and displacements. */
#define OFFSET_MAX 0x4000
#define AT_MAX 0x40000000
#define RANGE_MAX 1024

/* A register: what `id` held at the turn's start, an offset, and perhaps register `by`, which is not written. */
struct track {
    u8 id, by;
    bool narrow;
    i32 offset;
};

enum motion { OTHERWISE, STAYS, BY_CONSTANT, BY_REGISTER };

struct moves {
    enum motion how;
    i32 step;
    u8 by;
    bool narrow;
};

struct walk {
    struct track v[16];
    struct track base[ACCESS_MAX], index[ACCESS_MAX]; /* of each access */
    struct moves moves[16];
};

static u16 bit_of(unsigned r)
{
    unsigned g = r < OPR_HIGH ? r : r < OPR_HIGH + 4 ? r - OPR_HIGH : 16;
    return g < 16 ? (u16)(1u << g) : 0;
}

#define BITS_OF_PAIR ((u16)(1u << RAX | 1u << RDX))

/* General registers that an instruction writes; ~0: one that has no place in a loop. */
static u32 written_by(const struct insn *in, const struct op_facts *f)
{
    if (f->ends_run) {
        return ~0u;
    }
    switch ((enum op_kind)f->kind) {
    case OP_NOTHING:
    case OP_TEST:
    case OP_SIDE:
    case OP_JCC:
    case OP_JMP: return 0; /* what leads anywhere else than to the start is refused elsewhere */
    case OP_ALU: return f->number == HA_CMP ? 0 : bit_of(in->r[0]);
    case OP_HIGH: return bit_of(in->r[0]);
    case OP_BT: return f->number == 4 ? 0 : bit_of(in->r[0]);
    case OP_MOV:
    case OP_MOVX:
    case OP_LEA:
    case OP_STEP:
    case OP_NOT:
    case OP_NEG:
    case OP_SHIFT:
    case OP_ROTATE:
    case OP_SHIFT_CL:
    case OP_IMUL:
    case OP_SETCC:
    case OP_CMOV:
    case OP_SCAN:
    case OP_COUNT:
    case OP_BSWAP:
    case OP_VEC: return bit_of(in->r[0]);
    case OP_XCHG:
    case OP_XADD: return bit_of(in->r[0]) | bit_of(in->r[1]);
    case OP_CMPXCHG: return BITS_OF_PAIR | bit_of(in->r[0]);
    case OP_MUL:
    case OP_DIV:
    case OP_WIDEN: return BITS_OF_PAIR;
    case OP_X87: return 1u << RAX;
    default: return ~0u;
    }
}

static u16 touched_by(const struct insn *in, const struct op_facts *f)
{
    u16 all = (u16)written_by(in, f);
    for (unsigned i = 0; i < ARRAY_LEN(in->r); i++) {
        all |= bit_of(in->r[i]);
    }
    all |= in->base < 16 ? bit_of(in->base) : 0;
    all |= in->index < 16 ? bit_of(in->index) : 0;
    return f->kind == OP_SHIFT_CL ? (u16)(all | 1u << RCX) : all;
}

/* Into *to what the instruction makes of its first operand; false: nothing that can be followed. */
static bool follow_sum(const struct walk *w, const struct insn *in, const struct op_facts *f, u16 written,
                       struct track *to)
{
    *to = w->v[in->r[0]];
    switch ((enum op_kind)f->kind) {
    case OP_ALU:
        if (in->r[1] == OPR_IMM && (f->number == HA_ADD || f->number == HA_SUB)) {
            i64 by = (i32)in->imm;
            i64 sum = to->offset + (f->number == HA_ADD ? by : -by);
            to->offset = (i32)sum;
            return sum >= -OFFSET_MAX && sum <= OFFSET_MAX;
        }
        if (in->r[1] < OPR_HIGH && f->number == HA_ADD && (written & bit_of(in->r[1])) == 0 && to->by == REG_NONE) {
            to->by = in->r[1];
            return true;
        }
        return false;
    case OP_STEP: to->offset += f->number == 0 ? 1 : -1; return true;
    case OP_MOV:
        if (in->r[1] < OPR_HIGH) {
            *to = w->v[in->r[1]];
            return true;
        }
        return false;
    case OP_LEA:
        if (in->base < 16 && in->index >= 16 && insn_asize(in) == 8 && in->disp >= -OFFSET_MAX &&
            in->disp <= OFFSET_MAX) {
            *to = w->v[in->base];
            to->offset += (i32)in->disp;
            return true;
        }
        return false;
    default: return false;
    }
}

static void follow(struct walk *w, const struct insn *in, const struct op_facts *f, u16 written)
{
    u32 here = written_by(in, f);
    struct track to;
    bool followed = in->r[0] < OPR_HIGH && (in->osz == 8 || in->osz == 4) && follow_sum(w, in, f, written, &to) &&
                    to.id != REG_NONE && to.offset >= -OFFSET_MAX && to.offset <= OFFSET_MAX;
    for (unsigned g = 0; g < 16; g++) {
        if ((here >> g & 1) != 0) {
            w->v[g] = (struct track){.id = REG_NONE, .by = REG_NONE};
        }
    }
    if (followed && here != 0) {
        to.narrow = to.narrow || in->osz == 4;
        w->v[in->r[0]] = to;
    }
}

static void find_moves(struct walk *w, u16 written)
{
    for (unsigned g = 0; g < 16; g++) {
        const struct track *v = &w->v[g];
        struct moves *m = &w->moves[g];
        *m = (struct moves){.by = REG_NONE, .narrow = v->narrow};
        if ((written >> g & 1) == 0) {
            m->how = STAYS;
        } else if (v->id == g && v->by == REG_NONE) {
            m->how = BY_CONSTANT;
            m->step = v->offset;
        } else if (v->id == g && v->offset == 0) {
            m->how = BY_REGISTER;
            m->by = v->by;
        }
    }
}

/* Adds what one of an access's registers means for its address; false: that is not known. */
static bool add_part(const struct walk *w, const struct track *v, unsigned scale, struct loop_group *g, i64 *at)
{
    if (v->id == REG_NONE || v->by != REG_NONE || w->moves[v->id].how == OTHERWISE) {
        return false;
    }
    const struct moves *m = &w->moves[v->id];
    g->moving = (u8)(g->moving + (m->how != STAYS));
    *at += (i64)v->offset * (1 << scale);
    g->step += m->step * (1 << scale);
    if (m->how == BY_REGISTER) {
        if (g->by != REG_NONE) {
            return false;
        }
        g->by = m->by;
        g->by_scale = (u8)scale;
        g->by_size = m->narrow ? 4 : 8;
    }
    if (v->narrow || m->narrow) {
        g->narrow |= bit_of(v->id);
        g->down |= v->offset < 0 || m->step < 0 ? bit_of(v->id) : 0;
    }
    return true;
}

static bool group_of(const struct translation *t, const struct walk *w, unsigned n, u64 rip, struct loop_group *g)
{
    const struct mem_access *a = &t->access[n];
    const struct insn *in = t->op[a->op];
    unsigned seg = insn_seg(in);
    i64 at = in->disp;
    *g = (struct loop_group){.base = REG_NONE, .index = REG_NONE, .by = REG_NONE, .write = a->write, .align = a->align};
    if (a->form != AT_OPERAND || seg == SEG_FS || seg == SEG_GS || insn_asize(in) != 8) {
        return false;
    }
    if (in->index >= 16 && in->base >= 16) {
        u64 lin = (u64)at + (in->base == REG_RIP ? rip + in->len : 0);
        g->fixed = true;
        g->low = (i64)(lin & ~PAGE_MASK);
        return (lin & PAGE_MASK) + a->size <= PAGE_SIZE && (a->align == 0 || (lin & (a->align - 1u)) == 0);
    }
    if (in->base < 16) {
        g->base = w->base[n].id;
        if (!add_part(w, &w->base[n], 0, g, &at)) {
            return false;
        }
    }
    if (in->index < 16) {
        g->index = w->index[n].id;
        g->scale = in->sib & 3u;
        if (!add_part(w, &w->index[n], g->scale, g, &at)) {
            return false;
        }
    }
    g->low = g->aligned = at;
    g->high = at + a->size;
    bool moves = g->step != 0 || g->by != REG_NONE;
    if (g->narrow != 0 && g->moving > 1) {
        return false; /* the page's end does not bound either */
    }
    return at > -AT_MAX && at < AT_MAX && in->disp > -AT_MAX && in->disp < AT_MAX && g->step >= -LOOP_STEP_MAX &&
           g->step <= LOOP_STEP_MAX && !(g->by != REG_NONE && g->step != 0) &&
           (a->align == 0 || !moves || (g->by == REG_NONE && (g->step & (a->align - 1)) == 0));
}

static bool join(struct loop_group *g, const struct loop_group *one)
{
    if (g->base != one->base || g->index != one->index || g->scale != one->scale || g->fixed != one->fixed) {
        return false;
    }
    if (g->fixed) {
        if (g->low != one->low) {
            return false;
        }
    } else {
        i64 low = one->low < g->low ? one->low : g->low, high = one->high > g->high ? one->high : g->high;
        bool both = g->align != 0 && one->align != 0;
        if (high - low > RANGE_MAX || (both && (g->align != one->align || ((g->aligned - one->aligned) & (g->align - 1)) != 0))) {
            return false;
        }
        g->low = low;
        g->high = high;
        if (one->align != 0) {
            g->align = one->align;
            g->aligned = one->aligned;
        }
    }
    g->narrow |= one->narrow;
    g->down |= one->down;
    g->write = g->write || one->write;
    return true;
}

/* What the access adds to its register in the loop form: see struct loop_ref. */
static struct loop_ref ref_of(const struct loop *l, const struct insn *in, unsigned group)
{
    bool base = in->base < 16, index = in->index < 16;
    struct loop_ref r = {.group = (u8)group, .reg = REG_NONE, .host = H_NONE};
    if (base && (l->written & bit_of(in->base)) == 0) {
        r.reg = in->base;
    } else if (base && index && (l->written & bit_of(in->index)) == 0) {
        r.reg = in->index;
        r.scale = in->sib & 3u;
        r.is_index = true;
    }
    return r;
}

static void place_access(struct translation *t, const struct walk *w, unsigned n, u64 rip)
{
    struct loop *l = &t->loop;
    struct loop_group one;
    unsigned k = 0, r = 0;
    t->access[n].ref = 0;
    if (!group_of(t, w, n, rip, &one)) {
        return;
    }
    while (k < l->groups && !join(&l->group[k], &one)) {
        k++;
    }
    if (k == LOOP_GROUPS) {
        return;
    }
    struct loop_ref ref = ref_of(l, t->op[t->access[n].op], k);
    while (r < l->refs && !(l->ref[r].group == k && l->ref[r].reg == ref.reg && l->ref[r].is_index == ref.is_index &&
                            l->ref[r].scale == ref.scale)) {
        r++;
    }
    if (r == LOOP_REFS) {
        return; /* the group, if it is new, is not made */
    }
    if (r == l->refs) {
        l->ref[l->refs++] = ref;
    }
    if (k == l->groups) {
        l->group[l->groups++] = one;
    }
    l->ref[r].uses++;
    t->access[n].ref = (u8)(r + 1);
}

/* How many turns are to come is only guessed: the last comparison is mostly with what ends the loop. */
static void find_end(struct translation *t, const struct walk *w)
{
    struct loop *l = &t->loop;
    const struct insn *in = t->op[l->flags_at];
    const struct op_facts *f = &t->facts[l->flags_at];
    unsigned g = in->r[0];
    bool compare = f->kind == OP_ALU && f->number == HA_CMP && (in->r[1] == OPR_IMM || in->r[1] < OPR_HIGH);
    bool down = f->kind == OP_STEP || (f->kind == OP_ALU && f->number == HA_SUB && in->r[1] == OPR_IMM);
    l->ends_by = REG_NONE;
    if (in->osz < 4 || g >= OPR_HIGH || (!compare && !down)) {
        return;
    }
    const struct track *v = &w->v[g];
    if (v->id == REG_NONE || v->by != REG_NONE || w->moves[v->id].how != BY_CONSTANT || w->moves[v->id].step == 0 ||
        (compare && in->r[1] != OPR_IMM && (l->written & bit_of(in->r[1])) != 0)) {
        return;
    }
    l->ends_by = v->id;
    l->by = w->moves[v->id].step;
    l->from = v->offset;
    l->size = in->osz;
    l->bound = compare && in->r[1] != OPR_IMM ? in->r[1] : REG_NONE;
    l->until = compare && in->r[1] == OPR_IMM ? (i32)in->imm : 0;
}

static bool jumps_to_start(const struct translation *t)
{
    unsigned i = t->count - 1;
    u64 start = t->b->lin;
    if (t->op[i]->r[0] != OPR_REL) {
        return false;
    }
    bool taken = branch_target(t, t->at[i], t->op[i]) == start, next = t->at[i + 1] == start;
    return t->facts[i].kind == OP_JMP ? taken : t->facts[i].kind == OP_JCC && taken != next;
}

/* Where the count can stand: before an instruction that makes all flags and cannot leave. */
static bool find_place(struct translation *t)
{
    for (unsigned i = t->count; i-- > 0;) {
        const struct op_facts *f = &t->facts[i];
        if (f->writes != 0 && t->loop.flags_at == 0) {
            t->loop.flags_at = i;
        }
        if (f->writes == F_ALL && f->reads == 0 && !f->exits) {
            t->loop.place = i;
            return true;
        }
    }
    return false;
}

/* Homes of registers that the block has nothing to do with; the tables' is one if all is checked beforehand. */
static void share_registers(struct translation *t, u16 touched, bool all)
{
    struct loop *l = &t->loop;
    u8 pool[16];
    unsigned n = 0;
    l->counter = H_NONE;
    if (t->j->lockstep != NULL) {
        return; /* C code wants them all at home */
    }
    if (all) {
        pool[n++] = H_TABLE;
        l->borrows_table = true;
    }
    for (unsigned g = 0; g < 16; g++) {
        if (jit_home[g] != H_NONE && (touched >> g & 1) == 0) {
            pool[n++] = jit_home[g];
        }
    }
    unsigned next = 0;
    for (unsigned k = 0; k <= l->refs && next < n; k++) {
        if (k == 0) {
            l->counter = pool[next++];
            continue;
        }
        struct loop_ref *best = NULL;
        for (unsigned r = 0; r < l->refs; r++) {
            if (l->ref[r].host == H_NONE && (best == NULL || l->ref[r].uses > best->uses)) {
                best = &l->ref[r];
            }
        }
        best->host = pool[next++];
    }
    for (unsigned i = 0; i < next; i++) {
        for (unsigned g = 0; g < 16; g++) {
            l->borrowed |= jit_home[g] == pool[i] ? (u16)(1u << g) : 0;
        }
    }
}

bool find_loop(struct translation *t)
{
    struct loop *l = &t->loop;
    static const struct walk none;
    struct walk w = none;
    u16 touched = 0;
    unsigned n = 0, alone = 0;
    *l = (struct loop){0};
    if ((t->j->config.without & JIT_LOOPS) != 0 || t->word != 8 || t->count < 2) {
        return false;
    }
    for (unsigned i = 0; i < t->count; i++) {
        const struct insn *in = t->op[i];
        u32 here = written_by(in, &t->facts[i]);
        if (here == ~0u) {
            return false;
        }
        l->written |= (u16)here;
        touched |= touched_by(in, &t->facts[i]);
        alone += t->facts[i].kind == OP_DIV;
    }
    if (!jumps_to_start(t) || !find_place(t)) {
        return false;
    }
    for (unsigned g = 0; g < 16; g++) {
        w.v[g] = (struct track){.id = (u8)g, .by = REG_NONE};
    }
    for (unsigned i = 0; i < t->count; i++) {
        const struct insn *in = t->op[i];
        for (; n < t->access_count && t->access[n].op == i; n++) {
            w.base[n] = in->base < 16 ? w.v[in->base] : w.base[n];
            w.index[n] = in->index < 16 ? w.v[in->index] : w.index[n];
        }
        follow(&w, in, &t->facts[i], l->written);
    }
    find_moves(&w, l->written);
    find_end(t, &w);
    n = 0;
    for (unsigned i = 0; i < t->count; i++) {
        for (; n < t->access_count && t->access[n].op == i; n++) {
            place_access(t, &w, n, t->at[i]);
            alone += t->access[n].ref == 0;
        }
    }
    if (alone > LOOP_ALONE || (alone != 0 && l->refs == 0)) {
        return false;
    }
    share_registers(t, touched, alone == 0);
    return true;
}
