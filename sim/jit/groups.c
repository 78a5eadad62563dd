/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which memory accesses of a block can share a check.
 *
 * Registers are followed as value and offset: a value is what a register held at the start of a stretch, or what some
 * instruction put there; adding a constant, pushing and popping change the offset only. Accesses whose base and index
 * are the same values differ by constants. A stretch lies between two instructions that may change what a check has
 * found: handlers. */
#include "jit/translate.h"

#include "cpu/decode/decode.h"

/* A group's bytes at most: the longer, the more often they are on two pages. */
#define RANGE_MAX 1024
/* Fits a displacement, with room for a group around it. */
#define NEAR(v) ((v) >= -(i64)0x7ffff000 && (v) <= (i64)0x7ffff000)

enum { NO_VALUE = 0xff };

struct value {
    u8 id; /* below 16: the register's at the stretch's start */
    i64 offset;
};

struct values {
    struct value reg[16];
    u8 next;
};

static void start_stretch(struct values *v)
{
    for (unsigned g = 0; g < 16; g++) {
        v->reg[g] = (struct value){.id = (u8)g};
    }
    v->next = 16;
}

static void forget(struct values *v, unsigned g)
{
    if (g < 16) {
        v->reg[g] = (struct value){.id = v->next++};
    }
}

static bool ends_stretch(const struct op_facts *f)
{
    return f->kind == OP_HANDLER || f->kind == OP_SWAPGS || f->ends_run;
}

static unsigned gpr_of(unsigned r)
{
    return r < OPR_HIGH ? r : r < OPR_HIGH + 4 ? r - OPR_HIGH : 16;
}

/* A full-width register plus a constant. */
static bool follow_sum(const struct translation *t, struct values *v, const struct insn *in, const struct op_facts *f)
{
    if (in->osz != t->word || in->r[0] >= OPR_HIGH) {
        return false;
    }
    struct value *d = &v->reg[in->r[0]];
    switch ((enum op_kind)f->kind) {
    case OP_ALU:
        if (in->r[1] == OPR_IMM && (f->number == HA_ADD || f->number == HA_SUB)) {
            i64 by = (i32)in->imm;
            d->offset += f->number == HA_ADD ? by : -by;
            return true;
        }
        return false;
    case OP_STEP: d->offset += f->number == 0 ? 1 : -1; return true;
    case OP_MOV:
        if (in->r[1] < OPR_HIGH) {
            *d = v->reg[in->r[1]];
            return true;
        }
        return false;
    case OP_LEA:
        if (in->base < 16 && in->index >= 16 && insn_asize(in) == t->word) {
            *d = (struct value){.id = v->reg[in->base].id, .offset = v->reg[in->base].offset + in->disp};
            return true;
        }
        return false;
    default: return false;
    }
}

/* What the instruction does to the registers. */
static void follow(const struct translation *t, struct values *v, const struct insn *in, const struct op_facts *f)
{
    struct value sp = v->reg[RSP];
    if (follow_sum(t, v, in, f)) {
        return;
    }
    switch ((enum op_kind)f->kind) {
    case OP_NOTHING:
    case OP_TEST:
    case OP_SIDE:
    case OP_CLI:
    case OP_CLD: break;
    case OP_ALU:
        if (f->number != HA_CMP) {
            forget(v, gpr_of(in->r[0]));
        }
        break;
    case OP_PUSH:
    case OP_CALLED: v->reg[RSP].offset -= (i64)t->word; break;
    case OP_RETURNED: v->reg[RSP].offset += (i64)t->word; break;
    case OP_POP:
        v->reg[RSP].offset += (i64)t->word;
        forget(v, in->r[0]);
        break;
    case OP_LEAVE:
        sp = v->reg[RBP];
        v->reg[RSP] = (struct value){.id = sp.id, .offset = sp.offset + (i64)t->word};
        forget(v, RBP);
        break;
    case OP_MUL:
    case OP_DIV:
    case OP_WIDEN:
    case OP_X87:
        forget(v, RAX);
        forget(v, RDX);
        break;
    case OP_CMPXCHG:
        forget(v, RAX);
        forget(v, gpr_of(in->r[0]));
        break;
    default:
        forget(v, gpr_of(in->r[0]));
        forget(v, gpr_of(in->r[1]));
        break;
    }
}

/* The group of one access, alone so far. False: it has no form that could have company. */
static bool group_of(const struct translation *t, const struct values *v, const struct insn *in, u64 rip,
                     const struct mem_access *a, struct group *g)
{
    unsigned base = a->form == AT_OPERAND ? in->base : a->form == AT_FRAME ? (unsigned)RBP : (unsigned)RSP;
    unsigned index = a->form == AT_OPERAND ? in->index : (unsigned)REG_NONE;
    i64 at = a->form == AT_OPERAND ? in->disp : a->form == AT_PUSH ? -(i64)t->word : 0;
    unsigned seg = a->form == AT_OPERAND ? insn_seg(in) : (unsigned)SEG_SS;
    *g = (struct group){.base = NO_VALUE, .index = NO_VALUE, .write = a->write, .align = a->align, .count = 1};
    g->seg = seg == SEG_FS || seg == SEG_GS ? (u8)seg : 0;
    if (base == REG_RIP) {
        at += (i64)(rip + in->len);
    }
    if (base >= 16 && index >= 16 && g->seg == 0) {
        u64 lin = (u64)at & size_mask(t->word);
        if ((lin & PAGE_MASK) + a->size > PAGE_SIZE || a->align != 0) {
            return false;
        }
        g->fixed = true;
        g->low = (i64)lin;
        g->high = (i64)(lin + a->size);
        return true;
    }
    if (base < 16) {
        g->base = v->reg[base].id;
        at += v->reg[base].offset;
    }
    if (index < 16) {
        g->index = v->reg[index].id;
        g->scale = in->sib & 3u;
        at += (i64)((u64)v->reg[index].offset << g->scale);
    }
    g->low = at;
    g->high = at + a->size;
    return NEAR(at) && NEAR((i64)in->disp);
}

static bool join(struct group *g, const struct group *one)
{
    if (g->base != one->base || g->index != one->index || g->scale != one->scale || g->seg != one->seg ||
        g->fixed != one->fixed) {
        return false;
    }
    struct group both = *g;
    both.low = one->low < g->low ? one->low : g->low;
    both.high = one->high > g->high ? one->high : g->high;
    both.write = g->write || one->write;
    if (g->fixed) {
        if (((u64)g->low & ~PAGE_MASK) != ((u64)one->low & ~PAGE_MASK)) {
            return false;
        }
    } else if (both.high - both.low > RANGE_MAX) {
        return false;
    }
    both.count++;
    *g = both;
    return true;
}

/* Members that want to be aligned must be so together, whatever the base is: displacements apart by multiples. */
static bool agrees(struct group *g, struct group *one)
{
    if (one->align == 0 || g->align == 0) {
        /* The one that has the wish tells where the first byte may be: see settle_start(). */
        return true;
    }
    unsigned both = one->align > g->align ? one->align : g->align;
    return one->align == g->align && ((g->low ^ one->low) & (both - 1)) == 0;
}

/* An early check of one access pays if the flags would be saved for it. */
static bool pays(const struct group *g, bool saved)
{
    return g->count > 1 || (g->early && saved);
}

struct search {
    struct values v;
    unsigned first; /* group of this stretch */
    unsigned start; /* op at which it begins, or the part that the search is in */
    u16 kept;       /* registers that have at `start` the values with their numbers */
    u8 aligned[GROUP_MAX + 1]; /* residue that aligned members want */
    bool saved[GROUP_MAX + 1];
};

/* Another part of the path begins: checks of accesses that are only in it do not stand before it, as what leads past it
 * may be what keeps them from failing. */
static void enter_part(struct search *s, unsigned op)
{
    s->start = op;
    s->kept = 0;
    for (unsigned g = 0; g < 16; g++) {
        s->kept |= (u16)(s->v.reg[g].id == g && s->v.reg[g].offset == 0 ? 1u << g : 0u);
    }
}

static bool is_kept(const struct search *s, unsigned value)
{
    return value == NO_VALUE || (value < 16 && (s->kept >> value & 1) != 0);
}

static void place_access(struct translation *t, struct search *s, const struct insn *in, u64 rip, struct mem_access *a)
{
    struct group one;
    if (!group_of(t, &s->v, in, rip, a, &one)) {
        return;
    }
    for (unsigned k = s->first; k <= t->group_count; k++) {
        struct group *g = &t->group[k];
        struct group like = *g;
        like.low = s->aligned[k];
        if (one.write && !g->write && g->place < s->start) {
            continue; /* may be what reads only, and the store not be on the way */
        }
        if (agrees(&like, &one) && join(g, &one)) {
            if (one.align != 0) {
                g->align = one.align;
                s->aligned[k] = (u8)(one.low & (one.align - 1));
            }
            a->group = (u8)k;
            a->at = (i32)one.low; /* for now */
            s->saved[k] = s->saved[k] || a->saved;
            return;
        }
    }
    if (t->group_count == GROUP_MAX) {
        return;
    }
    unsigned k = ++t->group_count;
    one.early = one.fixed || (is_kept(s, one.base) && is_kept(s, one.index));
    one.place = (u8)(one.early ? s->start : a->op);
    t->group[k] = one;
    s->aligned[k] = one.align != 0 ? (u8)(one.low & (one.align - 1)) : 0;
    s->saved[k] = a->saved;
    a->group = (u8)k;
    a->at = (i32)one.low;
}

/* The range of an aligned group begins where its aligned members would. */
static void settle_start(struct group *g, unsigned residue)
{
    if (g->align != 0) {
        g->low -= (g->low - (i64)residue) & (g->align - 1);
    }
    if (g->fixed) {
        g->low = (i64)((u64)g->low & ~PAGE_MASK);
    }
}

/* Groups that stay get their accesses' places; false: none does. */
static bool settle(struct translation *t, const struct search *s)
{
    bool any = false, begun[GROUP_MAX + 1] = {false};
    for (unsigned k = 1; k <= t->group_count; k++) {
        struct group *g = &t->group[k];
        if (pays(g, s->saved[k])) {
            settle_start(g, s->aligned[k]);
            any = true;
        } else {
            g->count = 0;
        }
    }
    for (unsigned n = 0; n < t->access_count; n++) {
        struct mem_access *a = &t->access[n];
        const struct group *g = &t->group[a->group];
        if (a->group != 0 && g->count == 0) {
            a->group = 0;
        } else if (a->group != 0) {
            a->at = (i32)((u32)a->at - (u32)(u64)g->low);
            a->checks = !g->early && !begun[a->group];
            begun[a->group] = true;
        }
    }
    return any;
}

bool find_groups(struct translation *t, unsigned from, unsigned to)
{
    struct search s = {.first = 1, .start = from, .kept = 0xffff};
    unsigned n = 0;
    start_stretch(&s.v);
    t->group_count = 0;
    for (unsigned i = from; i < to; i++) {
        const struct insn *in = t->op[i];
        const struct op_facts *f = &t->facts[i];
        bool ends = ends_stretch(f);
        for (; n < t->access_count && t->access[n].op == i; n++) {
            if (!ends) {
                place_access(t, &s, in, t->at[i], &t->access[n]);
            }
        }
        if (ends) {
            start_stretch(&s.v);
            s.first = t->group_count + 1;
            s.start = i + 1;
            s.kept = 0xffff;
        } else {
            follow(t, &s.v, in, f);
        }
        if (ends_part(t, i)) {
            enter_part(&s, i + 1);
        }
    }
    return settle(t, &s);
}

bool is_covered(const struct translation *t, unsigned i)
{
    const struct op_facts *f = &t->facts[i];
    if (f->kind == OP_DIV || f->kind == OP_SIDE || f->kind == OP_RETURNED || f->kind >= OP_JCC || f->kind == OP_HANDLER || f->ends_run) {
        return false;
    }
    for (unsigned n = 0; n < t->access_count; n++) {
        const struct mem_access *a = &t->access[n];
        if (a->op == i && (a->group == 0 || a->checks)) {
            return false;
        }
    }
    return true;
}
