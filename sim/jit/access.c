/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory accesses of translated code: the address, the look into the table of fast entries, and in the unchecked copy of
 * a block the checks that several accesses share.
 *
 * A group's check takes the lowest address of any of its accesses and wants the whole range in one page with a fast entry.
 * It never fills an entry and never faults: what does not pass goes on in the checked copy, before the op where the check
 * stands. What passes stays good until C code runs, and the unchecked copy goes on in the checked one behind that. */
#include "jit/translate.h"

/* ---- Addresses ---- */

static bool has_base(const struct translation *t)
{
    unsigned seg = insn_seg(t->in);
    return seg == SEG_FS || seg == SEG_GS;
}

static void add_segment_base(struct translation *t, unsigned seg, unsigned reg)
{
    struct host_rm base = CPU_AT(d.seg_base);
    base.disp += (i32)(8 * seg);
    emit_alu(&t->e, HA_ADD, 8, reg, base);
}

/* The operand's address is a constant of the translation. */
static bool is_constant(const struct translation *t)
{
    return t->in->base >= 16 && t->in->index >= 16;
}

static u64 constant_address(const struct translation *t)
{
    u64 fixed = (u64)(i64)t->in->disp;
    return (t->in->base == REG_RIP ? fixed + t->rip + t->in->len : fixed) & size_mask(t->word);
}

static void offset_to(struct translation *t, unsigned reg, i32 beyond)
{
    const struct insn *in = t->in;
    if (is_constant(t)) {
        emit_mov_const(&t->e, reg, (constant_address(t) + (u64)(i64)beyond) & size_mask(t->word));
    } else if (in->base == REG_RIP) { /* with an index: no such form */
        t->refused = true;
    } else {
        unsigned base = in->base < 16 ? reg_in(t, in->base, H_ADDR) : H_NONE;
        unsigned index = in->index >= 16          ? H_NONE
                         : in->index == in->base ? base
                                                 : reg_in(t, in->index, H_TMP);
        emit_lea(&t->e, t->word, reg, rm_index(base, index, in->sib & 3u, in->disp + beyond));
    }
}

void address_to(struct translation *t, unsigned reg, bool linear)
{
    bool away = (t->in->base < 16 && jit_home[t->in->base] == H_NONE) || reg == H_ADDR;
    if (away) { /* r14 is in use */
        address_lost(t);
    }
    offset_to(t, reg, 0);
    if (linear && has_base(t)) {
        add_segment_base(t, insn_seg(t->in), reg);
    }
}

/* r14 = linear address of an access, and `beyond`. */
static void linear_address(struct translation *t, enum access_form form, i32 beyond)
{
    i32 word = (i32)t->word;
    switch (form) {
    case AT_OPERAND:
        offset_to(t, H_ADDR, beyond);
        if (has_base(t)) {
            add_segment_base(t, insn_seg(t->in), H_ADDR);
        }
        break;
    case AT_PUSH:
    case AT_TOP:
        emit_lea(&t->e, t->word, H_ADDR, rm_mem(jit_home[RSP], beyond - (form == AT_PUSH ? word : 0)));
        break;
    case AT_FRAME:
        emit_mov_load(&t->e, t->word, H_ADDR, reg_rm(RBP));
        if (beyond != 0) {
            emit_lea(&t->e, t->word, H_ADDR, rm_mem(H_ADDR, beyond));
        }
        break;
    }
}

/* ---- Checks ---- */

/* The table for writing lies behind the one for reading. */
static i32 table_offset(const struct translation *t, bool write)
{
    return write ? (i32)(t->j->config.tlb_entries * sizeof(struct tlb_entry)) : 0;
}

/* The slot is that of tlb_slot(). */
void find_slot(struct translation *t, bool write, struct host_rm *page, struct host_rm *host)
{
    struct emit *e = &t->e;
    u32 mask = (u32)(t->j->config.tlb_entries - 1) * (u32)sizeof(struct tlb_entry);
    _Static_assert(sizeof(struct tlb_entry) == 16, "shift below");
    address_lost(t);
    if (t->j->has_rorx) {
        emit_vex(e, OP_0F3A(0xf0) | OP_PREFIX(0xf2), true, false, 0, H_TMP, rm_reg(H_ADDR));
        emit_u8(e, PAGE_SHIFT - 4);
    } else {
        emit_mov_load(e, 8, H_TMP, rm_reg(H_ADDR));
        emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), PAGE_SHIFT - 4);
    }
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), (i32)mask);
    *page = rm_index(H_TABLE, H_TMP, 0, table_offset(t, write) + (i32)offsetof(struct tlb_entry, page));
    *host = rm_index(H_TABLE, H_TMP, 0, table_offset(t, write) + (i32)offsetof(struct tlb_entry, host));
}

/* r14, a linear address, becomes the host's; the jump returned is taken when the `size` bytes there have no fast entry. */
static u8 *check_range(struct translation *t, unsigned size, bool write)
{
    struct emit *e = &t->e;
    struct host_rm page, host;
    find_slot(t, write, &page, &host);
    emit_alu(e, HA_SUB, 8, H_ADDR, page);
    emit_alu_imm(e, HA_CMP, 8, rm_reg(H_ADDR), (i32)(PAGE_SIZE - size));
    u8 *miss = emit_jcc(e, 7); /* above */
    emit_alu(e, HA_ADD, 8, H_ADDR, host);
    return miss;
}

/* r14 = the host's address of a linear page known now. */
u8 *check_page(struct translation *t, u64 page, bool write)
{
    struct emit *e = &t->e;
    i32 slot = table_offset(t, write) +
               (i32)((page >> PAGE_SHIFT & (t->j->config.tlb_entries - 1)) * sizeof(struct tlb_entry));
    address_lost(t);
    struct host_rm tag = rm_mem(H_TABLE, slot + (i32)offsetof(struct tlb_entry, page));
    if (page == (u64)(i64)(i32)page) {
        emit_alu_imm(e, HA_CMP, 8, tag, (i32)page);
    } else {
        emit_mov_const(e, H_ADDR, page);
        emit_alu(e, HA_CMP, 8, H_ADDR, tag);
    }
    u8 *miss = emit_jcc(e, 5);
    emit_mov_load(e, 8, H_ADDR, rm_mem(H_TABLE, slot + (i32)offsetof(struct tlb_entry, host)));
    return miss;
}

/* Lockstep writes down what is about to be stored at rm. */
static struct host_rm told(struct translation *t, struct host_rm rm, unsigned size, bool write)
{
    struct emit *e = &t->e;
    if (!write || t->j->lockstep == NULL) {
        return rm;
    }
    flags_spill(t);
    if (rm.base != H_ADDR || rm.index != H_NONE || rm.disp != 0) {
        address_lost(t);
        emit_lea(e, 8, H_ADDR, rm);
    }
    emit_mov_const(e, H_TMP, size);
    call_thunk(t, t->j->thunk.store);
    return rm_mem(H_ADDR, 0);
}

/* What the checked copy does; `a`: what is noted about it. */
static struct host_rm check_alone(struct translation *t, const struct mem_access *a)
{
    flags_spill(t);
    if (a->form == AT_OPERAND && is_constant(t) && !has_base(t) && a->align == 0) {
        u64 lin = constant_address(t);
        if ((lin & PAGE_MASK) + a->size <= PAGE_SIZE) {
            to_slow_path(t, check_page(t, lin & ~PAGE_MASK, a->write));
            return told(t, rm_mem(H_ADDR, (i32)(lin & PAGE_MASK)), a->size, a->write);
        }
    }
    linear_address(t, a->form, 0);
    if (a->align != 0) {
        emit_op_imm8(&t->e, OP(0xf6), 1, 0, rm_reg(H_ADDR), a->align - 1u); /* test r14b */
        to_slow_path(t, emit_jcc(&t->e, 5));
    }
    to_slow_path(t, check_range(t, a->size, a->write));
    return told(t, rm_mem(H_ADDR, 0), a->size, a->write);
}

/* ---- Groups ---- */

/* r14, the lowest linear address of group k, becomes the host's. */
static void check_group(struct translation *t, unsigned k, unsigned op)
{
    const struct group *g = &t->group[k];
    if (g->fixed) {
        to_checked_copy(t, check_page(t, (u64)g->low & ~PAGE_MASK, g->write), op);
    } else {
        if (g->align != 0) {
            emit_op_imm8(&t->e, OP(0xf6), 1, 0, rm_reg(H_ADDR), g->align - 1u);
            to_checked_copy(t, emit_jcc(&t->e, 5), op);
        }
        to_checked_copy(t, check_range(t, (unsigned)(g->high - g->low), g->write), op);
    }
    emit_mov_store(&t->e, 8, H_ADDR, SLOT_AT(k - 1));
    t->held = k;
}

void check_groups_here(struct translation *t)
{
    for (unsigned k = 1; k <= t->group_count; k++) {
        const struct group *g = &t->group[k];
        if (g->count == 0 || !g->early || g->place != t->i) {
            continue;
        }
        flags_spill(t);
        if (!g->fixed) {
            unsigned base = g->base < 16 ? reg_in(t, g->base, H_ADDR) : H_NONE;
            unsigned index = g->index >= 16        ? H_NONE
                             : g->index == g->base ? base
                                                   : reg_in(t, g->index, H_TMP);
            emit_lea(&t->e, t->word, H_ADDR, rm_index(base, index, g->scale, (i32)g->low));
            if (g->seg == SEG_FS || g->seg == SEG_GS) {
                add_segment_base(t, g->seg, H_ADDR);
            }
        }
        check_group(t, k, t->i);
    }
}

static struct host_rm access_grouped(struct translation *t, const struct mem_access *a)
{
    if (a->checks) {
        flags_spill(t);
        linear_address(t, a->form, -a->at);
        check_group(t, a->group, t->i);
    }
    if (t->held != a->group) {
        emit_mov_load(&t->e, 8, H_ADDR, SLOT_AT(a->group - 1u));
        t->held = a->group;
    }
    return told(t, rm_mem(H_ADDR, a->at), a->size, a->write);
}

struct host_rm access_memory(struct translation *t, enum access_form form, unsigned size, unsigned align, bool write)
{
    struct mem_access *a = &t->access[t->next++];
    if (t->strip && a->ref != 0) {
        return told(t, access_in_strip(t, a), a->size, a->write);
    }
    if (t->unchecked && !t->strip) {
        return a->group != 0 ? access_grouped(t, a) : check_alone(t, a);
    }
    if (t->strip) {
        return check_alone(t, a);
    }
    bool saves = t->live[t->i] != 0 && (t->flags & IN_RAX) == 0 && t->flags != 0;
    *a = (struct mem_access){.op = (u8)t->i,
                         .form = (u8)form,
                         .size = (u8)size,
                         .align = (u8)align,
                         .write = write,
                         .saved = saves};
    t->access_count = t->next;
    return check_alone(t, a);
}

struct host_rm memory_operand(struct translation *t, unsigned size, bool write)
{
    return access_memory(t, AT_OPERAND, size, 0, write);
}

void check_canonical(struct translation *t, unsigned reg, unsigned scratch)
{
    struct emit *e = &t->e;
    if (t->word == 4) {
        return; /* below the limit of flat code */
    }
    emit_mov_load(e, 8, scratch, rm_reg(reg));
    emit_shift_imm(e, HS_SHL, 8, rm_reg(scratch), 16);
    emit_shift_imm(e, HS_SAR, 8, rm_reg(scratch), 16);
    emit_alu(e, HA_CMP, 8, scratch, rm_reg(reg));
    to_slow_path(t, emit_jcc(e, 5));
}
