/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors and segment registers in all modes, and stacks of other privilege levels.
 *
 * Vendor difference: a null selector in FS or GS clears the hidden base on Intel and keeps it on AMD
 * [APM2 "Segment Registers in 64-Bit Mode"].
 *
 * Real mode changes selector and base only: limit and size stay what protected mode left ("big real
 * mode"), and CS stays code if it was code; a segment that was null becomes an ordinary 64 KiB one. */
#include "cpu/segment.h"

#include "base/assert.h"
#include "cpu/model.h"

#define REAL_ATTR (SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED)
#define V86_ATTR (REAL_ATTR | SEG_DPL)

void desc_to_segment(const struct descriptor *d, u16 sel, struct segment *seg)
{
    u32 limit = (u32)((d->lo & 0xffff) | ((d->lo >> 32) & 0xf0000));
    if ((d->attr & SEG_G) != 0) {
        limit = (limit << 12) | 0xfff;
    }
    seg->sel = sel;
    seg->attr = d->attr;
    seg->limit = limit;
    seg->base = ((d->lo >> 16) & 0xffffff) | ((d->lo >> 32) & 0xff000000u);
    if (desc_is_system(d)) {
        seg->base |= d->hi << 32;
    }
}

void seg_make_null(struct segment *seg, u16 sel, unsigned dpl)
{
    seg->sel = sel;
    seg->base = 0;
    seg->limit = 0;
    seg->attr = SEG_UNUSABLE | (dpl << SEG_DPL_SHIFT);
}

/* ---- Descriptor tables ---- */

bool desc_locate(const struct cpu *cpu, u16 sel, unsigned size, u64 *lin)
{
    u32 last = (sel & 0xfff8u) + size - 1;
    if ((sel & 4) != 0) {
        const struct segment *ldt = &cpu->arch.ldtr;
        *lin = seg_sum(cpu, ldt->base, sel & 0xfff8u);
        return (ldt->attr & SEG_UNUSABLE) == 0 && last <= ldt->limit;
    }
    *lin = seg_sum(cpu, cpu->arch.gdtr.base, sel & 0xfff8u);
    return last <= cpu->arch.gdtr.limit;
}

cpu_rc desc_fetch(struct cpu *cpu, u16 sel, unsigned vector, struct descriptor *d)
{
    if (!desc_locate(cpu, sel, 8, &d->lin)) {
        return raise_error(cpu, vector, sel_error(sel), "selector outside its descriptor table");
    }
    TRY(sys_read(cpu, d->lin, 8, &d->lo));
    d->hi = 0;
    d->sel = sel;
    d->attr = (u32)(d->lo >> 40) & 0xf0ff;
    return CPU_OK;
}

cpu_rc desc_fetch_upper(struct cpu *cpu, unsigned vector, struct descriptor *d)
{
    u64 lin;
    if (!desc_locate(cpu, d->sel, 16, &lin)) {
        return raise_error(cpu, vector, sel_error(d->sel), "16-byte descriptor outside its table");
    }
    TRY(sys_read(cpu, seg_sum(cpu, lin, 8), 8, &d->hi));
    if ((d->hi & 0x1f0000000000) != 0) {
        return raise_error(cpu, vector, sel_error(d->sel), "type bits in the upper half of a descriptor");
    }
    d->hi &= 0xffffffff;
    return CPU_OK;
}

/* Replace the access byte: what the processor does with a locked read-modify-write. */
static cpu_rc desc_write_access(struct cpu *cpu, struct descriptor *d, u32 low)
{
    TRY(sys_write(cpu, seg_sum(cpu, d->lin, 5), 1, low & 0xff));
    d->attr = (d->attr & ~0xffu) | (low & 0xff);
    return CPU_OK;
}

cpu_rc desc_set_accessed(struct cpu *cpu, struct descriptor *d)
{
    if ((d->attr & SEG_TYPE_ACCESSED) != 0) {
        return CPU_OK;
    }
    return desc_write_access(cpu, d, d->attr | SEG_TYPE_ACCESSED);
}

cpu_rc desc_set_busy(struct cpu *cpu, struct descriptor *d, bool busy)
{
    return desc_write_access(cpu, d, busy ? d->attr | 2u : d->attr & ~2u);
}

/* ---- Code segments ---- */

cpu_rc seg_check_code(struct cpu *cpu, const struct descriptor *d, u16 sel, unsigned cpl)
{
    if (!desc_is_code(d)) {
        return raise_gp(cpu, sel_error(sel), "not a code segment");
    }
    if (cpu->d.long_mode && (d->attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB)) {
        return raise_gp(cpu, sel_error(sel), "code segment with both L and D");
    }
    if (desc_is_conforming(d)) {
        if (desc_dpl(d) > cpl) {
            return raise_gp(cpu, sel_error(sel), "conforming code segment of an outer level");
        }
    } else if ((sel & 3u) > cpl || desc_dpl(d) != cpl) {
        return raise_gp(cpu, sel_error(sel), "code segment of another level");
    }
    if (!desc_is_present(d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "code segment not present");
    }
    return CPU_OK;
}

cpu_rc seg_check_rip(struct cpu *cpu, const struct descriptor *d, u64 rip)
{
    if (desc_is_code64(cpu, d)) {
        return lin_is_canonical(cpu, rip) ? CPU_OK : raise_gp(cpu, 0, "target RIP not canonical");
    }
    struct segment seg;
    desc_to_segment(d, 0, &seg);
    return rip <= seg.limit ? CPU_OK : raise_gp(cpu, 0, "target EIP outside the code segment");
}

void seg_store_cs(struct cpu *cpu, const struct descriptor *d, u16 sel, unsigned cpl)
{
    desc_to_segment(d, (u16)((sel & 0xfffcu) | cpl), &cpu->arch.seg[SEG_CS]);
}

void seg_store_real(struct cpu *cpu, unsigned seg, u16 sel)
{
    struct segment *s = &cpu->arch.seg[seg];
    if ((s->attr & SEG_UNUSABLE) != 0) {
        s->limit = 0xffff;
        s->attr = 0;
    }
    s->sel = sel;
    s->base = (u64)sel << 4;
    u32 kept = s->attr & (SEG_G | SEG_DB | SEG_AVL);
    if (seg == SEG_CS && (s->attr & SEG_TYPE_CODE) != 0) {
        /* A program that goes back to protected mode without a far jump runs on: Xen's emulator of a
         * guest's INS then fetches it by a CS that has to be code. */
        kept |= s->attr & SEG_TYPE;
    }
    s->attr = kept | REAL_ATTR;
}

void seg_store_v86(struct cpu *cpu, unsigned seg, u16 sel)
{
    cpu->arch.seg[seg] = (struct segment){
        .sel = sel, .base = (u64)sel << 4, .limit = 0xffff, .attr = V86_ATTR};
}

void seg_store_cs_real(struct cpu *cpu, u16 sel)
{
    if (cpu->d.v86) {
        seg_store_v86(cpu, SEG_CS, sel);
    } else {
        seg_store_real(cpu, SEG_CS, sel);
    }
}

/* ---- Data and stack segments ---- */

static cpu_rc load_null(struct cpu *cpu, unsigned seg, u16 sel)
{
    struct segment *s = &cpu->arch.seg[seg];
    if (seg == SEG_SS) {
        if (!cpu->d.code64 || cpu_cpl(cpu) == 3 || (sel & 3u) != cpu_cpl(cpu)) {
            return raise_gp(cpu, 0, "null selector in SS");
        }
        seg_make_null(s, sel, cpu_cpl(cpu));
    } else {
        u64 base = s->base;
        seg_make_null(s, sel, 0);
        if (!cpu_is_intel(cpu)) {
            s->base = base;
        }
    }
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* [SDM3 "Privilege Level Checking When Loading the SS Register"] */
static cpu_rc check_ss(struct cpu *cpu, const struct descriptor *d, u16 sel)
{
    if ((sel & 3u) != cpu_cpl(cpu) || !desc_is_writable_data(d) || desc_dpl(d) != cpu_cpl(cpu)) {
        return raise_gp(cpu, sel_error(sel), "SS: privilege or type");
    }
    if (!desc_is_present(d)) {
        return raise_ss(cpu, sel_error(sel), "SS not present");
    }
    return CPU_OK;
}

/* [SDM3 "Privilege Level Checking When Accessing Data Segments"] */
static cpu_rc check_data(struct cpu *cpu, const struct descriptor *d, u16 sel)
{
    if (desc_is_system(d) || (desc_is_code(d) && (d->attr & SEG_TYPE_WRITE) == 0)) {
        return raise_gp(cpu, sel_error(sel), "not a readable segment");
    }
    if (!desc_is_conforming(d) && ((sel & 3u) > desc_dpl(d) || cpu_cpl(cpu) > desc_dpl(d))) {
        return raise_gp(cpu, sel_error(sel), "data segment of an inner level");
    }
    if (!desc_is_present(d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "data segment not present");
    }
    return CPU_OK;
}

cpu_rc seg_load(struct cpu *cpu, unsigned seg, u16 sel)
{
    if (!cpu->d.prot || cpu->d.v86) {
        if (cpu->d.v86) {
            seg_store_v86(cpu, seg, sel);
        } else {
            seg_store_real(cpu, seg, sel);
        }
        cpu_update_mode(cpu);
        return CPU_OK;
    }
    if (sel_is_null(sel)) {
        return load_null(cpu, seg, sel);
    }
    struct descriptor d;
    TRY(desc_fetch(cpu, sel, VEC_GP, &d));
    if (seg == SEG_SS) {
        TRY(check_ss(cpu, &d, sel));
    } else {
        TRY(check_data(cpu, &d, sel));
    }
    TRY(desc_set_accessed(cpu, &d));
    desc_to_segment(&d, sel, &cpu->arch.seg[seg]);
    cpu_update_mode(cpu);
    return CPU_OK;
}

void seg_begin_ss_shadow(struct cpu *cpu)
{
    /* Only the first of a sequence is sure to hold events off [SDM2 "MOV-Move"]. */
    if (!shadow_is_on(cpu)) {
        cpu->arch.int_shadow_movss = true;
    }
    cpu_kick(cpu);
}

/* [SDM3 "Returning from a Called Procedure"]: on a return outwards, data segments that the new level
 * may not use become null. */
void seg_drop_inner(struct cpu *cpu, unsigned new_cpl)
{
    static const u8 data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        struct segment *s = &cpu->arch.seg[data[i]];
        bool conforming = (s->attr & (SEG_S | SEG_TYPE_CODE | SEG_TYPE_EXPAND)) ==
                          (SEG_S | SEG_TYPE_CODE | SEG_TYPE_EXPAND);
        if (sel_is_null(s->sel) || (s->attr & SEG_UNUSABLE) != 0) {
            continue;
        }
        if (!conforming && ((s->attr & SEG_DPL) >> SEG_DPL_SHIFT) < new_cpl) {
            /* The hidden base stays (FS and GS use it in 64-bit mode), as processors do. */
            s->sel = 0;
            s->attr = SEG_UNUSABLE;
        }
    }
}

/* ---- Stacks ---- */

unsigned access_as_cpl(const struct cpu *cpu, unsigned cpl)
{
    if ((cpl == 3) == (cpu_cpl(cpu) == 3)) {
        return 0;
    }
    if (cpl == 3) {
        return ACCESS_USER;
    }
    /* The two kinds of supervisor access differ only where EFLAGS.AC lifts SMAP. */
    bool lifted = (cpu->arch.cr4 & CR4_SMAP) != 0 && (cpu->arch.rflags & RFLAGS_AC) != 0;
    return lifted ? ACCESS_SUPER : ACCESS_IMPLICIT;
}

void new_stack_current(struct cpu *cpu, struct new_stack *st)
{
    st->ss = cpu->arch.seg[SEG_SS];
    st->sp = cpu->arch.gpr[RSP];
    st->mask = cpu->d.sp_mask;
    st->cpl = cpu_cpl(cpu);
    st->flat = cpu->d.code64;
    st->error = 0;
}

cpu_rc new_stack_from_tss(struct cpu *cpu, unsigned dpl, struct new_stack *st, struct descriptor *sd)
{
    const struct segment *tr = &cpu->arch.tr;
    bool wide = (tr->attr & SEG_TYPE) == SYS_TSS_BUSY || (tr->attr & SEG_TYPE) == SYS_TSS_AVAIL;
    u32 at = wide ? 4 + 8 * dpl : 2 + 4 * dpl;
    if (at + (wide ? 5 : 3) > tr->limit) {
        return raise_error(cpu, VEC_TS, sel_error(tr->sel), "stack pointer beyond the TSS limit");
    }
    u64 sel;
    TRY(sys_read(cpu, seg_sum(cpu, tr->base, at), wide ? 4 : 2, &st->sp));
    TRY(sys_read(cpu, seg_sum(cpu, tr->base, at + (wide ? 4 : 2)), 2, &sel));
    u16 ss = (u16)sel;
    if (sel_is_null(ss)) {
        return raise_error(cpu, VEC_TS, 0, "null SS in the TSS");
    }
    TRY(desc_fetch(cpu, ss, VEC_TS, sd));
    if ((ss & 3u) != dpl || desc_dpl(sd) != dpl || !desc_is_writable_data(sd)) {
        return raise_error(cpu, VEC_TS, sel_error(ss), "SS in the TSS: privilege or type");
    }
    if (!desc_is_present(sd)) {
        return raise_ss(cpu, sel_error(ss), "SS in the TSS not present");
    }
    desc_to_segment(sd, ss, &st->ss);
    st->mask = (sd->attr & SEG_DB) != 0 ? 0xffffffff : 0xffff;
    st->cpl = dpl;
    st->flat = false;
    st->error = sel_error(ss);
    return CPU_OK;
}

cpu_rc new_stack_from_tss64(struct cpu *cpu, unsigned dpl, unsigned ist, struct new_stack *st)
{
    const struct segment *tr = &cpu->arch.tr;
    u32 at = ist != 0 ? 28 + 8 * ist : 4 + 8 * dpl;
    if (at + 7 > tr->limit) {
        return raise_error(cpu, VEC_TS, sel_error(tr->sel), "stack pointer beyond the TSS limit");
    }
    TRY(sys_read(cpu, seg_sum(cpu, tr->base, at), 8, &st->sp));
    if (!lin_is_canonical(cpu, st->sp)) {
        return raise_ss(cpu, 0, "RSP in the TSS not canonical");
    }
    st->ss = cpu->arch.seg[SEG_SS];
    if (dpl != cpu_cpl(cpu)) {
        seg_make_null(&st->ss, (u16)dpl, dpl);
    }
    st->mask = ~(u64)0;
    st->cpl = dpl;
    st->flat = true;
    st->error = 0;
    return CPU_OK;
}

/* May `size` bytes at `off` be written through this stack segment? */
static bool stack_in_limit(const struct cpu *cpu, const struct new_stack *st, u64 off, unsigned size)
{
    if (st->flat) {
        return lin_is_canonical(cpu, off) && lin_is_canonical(cpu, off + size - 1);
    }
    u64 last = off + size - 1;
    if ((st->ss.attr & SEG_UNUSABLE) != 0) {
        return false;
    }
    if ((st->ss.attr & (SEG_TYPE_CODE | SEG_TYPE_EXPAND)) == SEG_TYPE_EXPAND) {
        u64 top = (st->ss.attr & SEG_DB) != 0 ? 0xffffffff : 0xffff;
        return off > st->ss.limit && last <= top;
    }
    return last <= st->ss.limit;
}

static u64 stack_lin(const struct new_stack *st, u64 off)
{
    return st->flat ? off : (u32)(st->ss.base + off);
}

/* Does the frame lie at consecutive linear addresses? *low is its lowest offset. */
static bool frame_is_whole(const struct new_stack *st, const struct push_frame *f, u64 *low)
{
    u64 bytes = (u64)f->count * f->size;
    *low = (st->sp - bytes) & st->mask;
    u64 last = *low + bytes - 1;
    return last >= *low && last <= st->mask &&
           stack_lin(st, last) - stack_lin(st, *low) == bytes - 1;
}

cpu_rc new_stack_check(struct cpu *cpu, const struct new_stack *st, const struct push_frame *f)
{
    unsigned access = ACCESS_WRITE | access_as_cpl(cpu, st->cpl);
    for (unsigned i = 0; i < f->count; i++) {
        u64 off = (st->sp - (u64)(i + 1) * f->size) & st->mask;
        if (!stack_in_limit(cpu, st, off, f->size)) {
            return raise_ss(cpu, st->error, "frame outside the stack segment");
        }
    }
    u64 low;
    if (f->count != 0 && frame_is_whole(st, f, &low)) {
        return lin_probe(cpu, stack_lin(st, low), f->count * f->size, access);
    }
    for (unsigned i = 0; i < f->count; i++) {
        u64 off = (st->sp - (u64)(i + 1) * f->size) & st->mask;
        TRY(lin_probe(cpu, stack_lin(st, off), f->size, access));
    }
    return CPU_OK;
}

void new_stack_store(struct cpu *cpu, const struct new_stack *st, const struct push_frame *f)
{
    unsigned access = ACCESS_WRITE | access_as_cpl(cpu, st->cpl);
    u8 bytes[sizeof f->v];
    u64 low;
    cpu_rc rc = CPU_OK;
    if (frame_is_whole(st, f, &low)) {
        /* In one piece: no store of the frame can take away the translation of the next. */
        for (unsigned i = 0; i < f->count; i++) {
            store_le(bytes + (f->count - 1 - i) * f->size, f->v[i], f->size);
        }
        rc = lin_access_write(cpu, stack_lin(st, low), bytes, f->count * f->size, access);
    } else {
        for (unsigned i = 0; i < f->count; i++) {
            u64 off = (st->sp - (u64)(i + 1) * f->size) & st->mask;
            if (lin_access_write(cpu, stack_lin(st, off), &f->v[i], f->size, access) != CPU_OK) {
                rc = CPU_EXIT;
            }
        }
    }
    if (rc != CPU_OK) {
        log_guest_error(cpu->log, "a stack frame was stored over its own page tables");
    }
}

u64 new_stack_rsp(const struct new_stack *st, u64 old_rsp, const struct push_frame *f)
{
    u64 sp = (st->sp - (u64)f->count * f->size) & st->mask;
    return st->mask == 0xffff ? (old_rsp & ~st->mask) | sp : sp;
}
