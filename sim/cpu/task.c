/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hardware task switches. [SDM3 "Task Switching"], [SDM3 "Task Management"]
 *
 * Up to the point where the new TSS is loaded into TR every exception belongs to the old task and
 * nothing has been committed: both TSSes and the descriptors are probed first. From there on the new
 * task's state is loaded; its selectors stand in the segment registers, unusable, until each
 * descriptor has been checked, and every exception is the new task's (the named exception to
 * "CPU_EXIT commits nothing"). */
#include "cpu/control.h"
#include "cpu/segment.h"
#include "cpu/virt.h"

#define TSS32_LAST 0x67
#define TSS16_LAST 0x2b
#define TSS32_CET_LAST 0x6b /* with the shadow-stack pointer */
#define TSS32_SSP 0x68

/* The dynamic part of a TSS. */
struct tss_image {
    u32 eip, eflags, cr3;
    u32 gpr[8];
    u16 seg[SEG_COUNT];
    u16 ldt;
    bool trap;
};

static bool tss_is_wide(u32 attr)
{
    return (attr & 8) != 0;
}

static u64 tss_lin(const struct cpu *cpu, const struct segment *tss, u32 off)
{
    return seg_sum(cpu, tss->base, off);
}

/* Offsets: EIP, EFLAGS, eight registers in encoding order, then the selectors ES CS SS DS (FS GS). */
static cpu_rc save_old(struct cpu *cpu, const struct segment *tss, u32 eip, u32 eflags)
{
    bool wide = tss_is_wide(tss->attr);
    unsigned size = wide ? 4 : 2;
    u32 at = wide ? 0x20 : 14;
    TRY(sys_write(cpu, tss_lin(cpu, tss, at), size, eip));
    TRY(sys_write(cpu, tss_lin(cpu, tss, at + size), size, eflags));
    for (unsigned i = 0; i < 8; i++) {
        TRY(sys_write(cpu, tss_lin(cpu, tss, at + (2 + i) * size), size, cpu->arch.gpr[i]));
    }
    for (unsigned i = 0; i < (wide ? 6u : 4u); i++) {
        TRY(sys_write(cpu, tss_lin(cpu, tss, at + (10 + i) * size), 2, cpu->arch.seg[i].sel));
    }
    return CPU_OK;
}

static cpu_rc load_image(struct cpu *cpu, const struct segment *tss, struct tss_image *t)
{
    bool wide = tss_is_wide(tss->attr);
    unsigned size = wide ? 4 : 2;
    u32 at = wide ? 0x20 : 14;
    u64 v;
    *t = (struct tss_image){0};
    TRY(sys_read(cpu, tss_lin(cpu, tss, at), size, &v));
    t->eip = (u32)v;
    TRY(sys_read(cpu, tss_lin(cpu, tss, at + size), size, &v));
    t->eflags = (u32)v;
    for (unsigned i = 0; i < 8; i++) {
        TRY(sys_read(cpu, tss_lin(cpu, tss, at + (2 + i) * size), size, &v));
        /* A 16-bit TSS leaves the upper halves all ones, as 80386 and later do. */
        t->gpr[i] = wide ? (u32)v : (u32)v | 0xffff0000u;
    }
    for (unsigned i = 0; i < (wide ? 6u : 4u); i++) {
        TRY(sys_read(cpu, tss_lin(cpu, tss, at + (10 + i) * size), 2, &v));
        t->seg[i] = (u16)v;
    }
    TRY(sys_read(cpu, tss_lin(cpu, tss, wide ? 0x60 : 42), 2, &v));
    t->ldt = (u16)v;
    if (wide) {
        TRY(sys_read(cpu, tss_lin(cpu, tss, 0x1c), 4, &v));
        t->cr3 = (u32)v;
        TRY(sys_read(cpu, tss_lin(cpu, tss, 0x64), 2, &v));
        t->trap = (v & 1) != 0;
    }
    return CPU_OK;
}

/* ---- The new task's segments: every exception here is the new task's ---- */

static cpu_rc load_ldt(struct cpu *cpu, u16 sel)
{
    seg_make_null(&cpu->arch.ldtr, sel, 0);
    if (sel_is_null(sel)) {
        return CPU_OK;
    }
    struct descriptor d;
    if ((sel & 4) != 0) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "LDT selector of the new task is local");
    }
    TRY(desc_fetch(cpu, sel, VEC_TS, &d));
    if (!desc_is_system(&d) || desc_type(&d) != SYS_LDT || !desc_is_present(&d)) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "LDT of the new task");
    }
    desc_to_segment(&d, sel, &cpu->arch.ldtr);
    return CPU_OK;
}

static cpu_rc load_code(struct cpu *cpu, u16 sel)
{
    struct descriptor d;
    if (sel_is_null(sel)) {
        return raise_error(cpu, VEC_TS, 0, "null CS in the new task");
    }
    TRY(desc_fetch(cpu, sel, VEC_TS, &d));
    unsigned rpl = sel & 3u;
    if (!desc_is_code(&d) || (desc_is_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl)) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "CS of the new task: type or privilege");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "CS of the new task not present");
    }
    TRY(desc_set_accessed(cpu, &d));
    desc_to_segment(&d, sel, &cpu->arch.seg[SEG_CS]);
    return CPU_OK;
}

static cpu_rc load_stack(struct cpu *cpu, u16 sel, unsigned cpl)
{
    struct descriptor d;
    if (sel_is_null(sel)) {
        return raise_error(cpu, VEC_TS, 0, "null SS in the new task");
    }
    TRY(desc_fetch(cpu, sel, VEC_TS, &d));
    if (!desc_is_writable_data(&d) || (sel & 3u) != cpl || desc_dpl(&d) != cpl) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "SS of the new task: type or privilege");
    }
    if (!desc_is_present(&d)) {
        return raise_ss(cpu, sel_error(sel), "SS of the new task not present");
    }
    TRY(desc_set_accessed(cpu, &d));
    desc_to_segment(&d, sel, &cpu->arch.seg[SEG_SS]);
    return CPU_OK;
}

static cpu_rc load_data(struct cpu *cpu, unsigned seg, u16 sel, unsigned cpl)
{
    struct descriptor d;
    if (sel_is_null(sel)) {
        return CPU_OK;
    }
    TRY(desc_fetch(cpu, sel, VEC_TS, &d));
    bool readable = !desc_is_system(&d) && (!desc_is_code(&d) || (d.attr & SEG_TYPE_WRITE) != 0);
    bool allowed = desc_is_conforming(&d) || ((sel & 3u) <= desc_dpl(&d) && cpl <= desc_dpl(&d));
    if (!readable || !allowed) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "data segment of the new task");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "data segment of the new task not present");
    }
    TRY(desc_set_accessed(cpu, &d));
    desc_to_segment(&d, sel, &cpu->arch.seg[seg]);
    return CPU_OK;
}

static cpu_rc load_segments(struct cpu *cpu, const struct tss_image *t)
{
    static const u8 data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    if ((t->eflags & RFLAGS_VM) != 0) {
        for (unsigned i = 0; i < SEG_COUNT; i++) {
            seg_store_v86(cpu, i, t->seg[i]);
        }
        cpu_update_mode(cpu);
        return load_ldt(cpu, t->ldt);
    }
    unsigned cpl = t->seg[SEG_CS] & 3u;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        seg_make_null(&cpu->arch.seg[i], t->seg[i], i == SEG_SS ? cpl : 0);
    }
    cpu_update_mode(cpu);
    TRY(load_ldt(cpu, t->ldt));
    TRY(load_code(cpu, t->seg[SEG_CS]));
    TRY(load_stack(cpu, t->seg[SEG_SS], cpl));
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        TRY(load_data(cpu, data[i], t->seg[data[i]], cpl));
    }
    return CPU_OK;
}

/* ---- The switch ---- */

/* Everything that may fault in the old task's name. */
static cpu_rc probe_all(struct cpu *cpu, const struct segment *old, const struct segment *new_tss,
                        const struct descriptor *d, u64 old_desc, enum task_source source)
{
    bool old_wide = tss_is_wide(old->attr);
    bool wide = tss_is_wide(new_tss->attr);
    unsigned rd = ACCESS_READ | ACCESS_IMPLICIT;
    unsigned wr = ACCESS_WRITE | ACCESS_IMPLICIT;
    TRY(lin_probe(cpu, tss_lin(cpu, new_tss, 0), (wide ? TSS32_LAST : TSS16_LAST) + 1, rd));
    if (source == TASK_CALL || source == TASK_INT) {
        TRY(lin_probe(cpu, tss_lin(cpu, new_tss, 0), 2, wr));
    }
    if (source != TASK_IRET) {
        TRY(lin_probe(cpu, seg_sum(cpu, d->lin, 5), 1, wr));
    }
    if (source == TASK_JMP || source == TASK_IRET) {
        TRY(lin_probe(cpu, seg_sum(cpu, old_desc, 5), 1, wr));
    }
    return lin_probe(cpu, tss_lin(cpu, old, old_wide ? 0x20 : 14), old_wide ? 0x5e - 0x20 : 42 - 14, wr);
}

static void load_registers(struct cpu *cpu, const struct tss_image *t, const struct task_args *args)
{
    u64 flags = t->eflags;
    if (args->source == TASK_CALL || args->source == TASK_INT) {
        flags |= RFLAGS_NT;
    }
    cpu_set_rflags(cpu, flags);
    cpu->d.rf_loaded = true;
    cpu->d.step_decided = true; /* the old task's TF went with it */
    cpu->arch.rip = t->eip;
    for (unsigned i = 0; i < 8; i++) {
        cpu->arch.gpr[i] = t->gpr[i];
    }
    cpu->arch.cr0 |= CR0_TS;
    /* L0-L3 and LE are the task's own [SDM3 "Debug Control Register (DR7)"]. */
    cpu->arch.dr7 &= ~(u64)0x155;
}

/* What follows in the new task's context: error code, EIP check, debug trap. */
static cpu_rc finish(struct cpu *cpu, const struct tss_image *t, bool wide, const struct task_args *args)
{
    cpu_update_mode(cpu);
    cpu_kick(cpu);
    if (t->trap) {
        cpu->arch.pending_db |= DR6_BT;
    }
    if (args->has_error) {
        struct new_stack st;
        struct push_frame f = {.size = wide ? 4 : 2};
        new_stack_current(cpu, &st);
        frame_push(&f, args->error);
        TRY(new_stack_check(cpu, &st, &f));
        new_stack_store(cpu, &st, &f);
        cpu->arch.gpr[RSP] = new_stack_rsp(&st, cpu->arch.gpr[RSP], &f);
    }
    if (cpu->arch.rip > cpu->arch.seg[SEG_CS].limit) {
        return raise_gp(cpu, 0, "EIP of the new task outside its code segment");
    }
    return CPU_OK;
}

/* The old task's shadow stack, and where the new one's is. */
static cpu_rc leave_shadow(struct cpu *cpu, const struct segment *new_tss, const struct task_args *args,
                           struct cet_task *shadow)
{
    struct tss_image t;
    u64 ssp;
    TRY(load_image(cpu, new_tss, &t));
    TRY(sys_read(cpu, tss_lin(cpu, new_tss, TSS32_SSP), 4, &ssp));
    unsigned new_cpl = (t.eflags & RFLAGS_VM) != 0 ? 3 : t.seg[SEG_CS] & 3u;
    return cet_task_leave(cpu, shadow, args->source, new_cpl, ssp, args->rip);
}

cpu_rc task_switch(struct cpu *cpu, struct descriptor *d, const struct task_args *args)
{
    if (in_guest(cpu)) {
        TRY(virt_task_switch(cpu, d->sel, args->source, args->has_error, args->error));
    }
    struct segment old = cpu->arch.tr;
    struct segment new_tss;
    desc_to_segment(d, d->sel, &new_tss);
    bool wide = tss_is_wide(new_tss.attr);
    bool cet = (cpu->arch.cr4 & CR4_CET) != 0;
    if (new_tss.limit < (!wide ? TSS16_LAST : cet ? TSS32_CET_LAST : TSS32_LAST) || (cet && !wide)) {
        return raise_error(cpu, VEC_TS, sel_error(d->sel), "new TSS too small, or 16-bit with CR4.CET");
    }
    if (old.limit < (tss_is_wide(old.attr) ? 0x5fu : 0x29u)) {
        return raise_error(cpu, VEC_TS, sel_error(old.sel), "old TSS too small");
    }
    u64 old_desc = seg_sum(cpu, cpu->arch.gdtr.base, old.sel & 0xfff8u);
    TRY(probe_all(cpu, &old, &new_tss, d, old_desc, args->source));
    u64 pdpte[4];
    bool pae = (cpu->arch.cr0 & CR0_PG) != 0 && (cpu->arch.cr4 & CR4_PAE) != 0 && !virt_walks_pdptes(cpu);
    if (wide && pae) {
        u64 cr3;
        TRY(sys_read(cpu, tss_lin(cpu, &new_tss, 0x1c), 4, &cr3));
        TRY(cr3_read_pdptes(cpu, cr3, pdpte));
    }
    struct cet_task shadow = {0};
    if (UNLIKELY(cet)) {
        TRY(leave_shadow(cpu, &new_tss, args, &shadow));
    }

    if (args->source == TASK_JMP || args->source == TASK_IRET) {
        u64 access;
        TRY(sys_read(cpu, seg_sum(cpu, old_desc, 5), 1, &access));
        TRY(sys_write(cpu, seg_sum(cpu, old_desc, 5), 1, access & ~(u64)2));
    }
    u64 flags = args->source == TASK_IRET ? args->flags & ~(u64)RFLAGS_NT : args->flags;
    TRY(save_old(cpu, &old, (u32)args->rip, (u32)flags));
    if (args->source == TASK_CALL || args->source == TASK_INT) {
        TRY(sys_write(cpu, tss_lin(cpu, &new_tss, 0), 2, old.sel));
    }
    struct tss_image t;
    TRY(load_image(cpu, &new_tss, &t));
    if (args->source != TASK_IRET) {
        TRY(desc_set_busy(cpu, d, true));
    }

    cet_task_commit(cpu, &shadow);

    /* From here on exceptions are the new task's. */
    desc_to_segment(d, d->sel, &cpu->arch.tr);
    cpu->arch.tr.attr |= 2;
    if (wide && (cpu->arch.cr0 & CR0_PG) != 0) {
        cpu->arch.cr3 = t.cr3;
        if (pae) {
            memcpy(cpu->arch.pdpte, pdpte, sizeof pdpte);
        }
    }
    load_registers(cpu, &t, args);
    TRY(load_segments(cpu, &t));
    TRY(cet_task_enter(cpu, &shadow, args->source));
    return finish(cpu, &t, wide, args);
}

cpu_rc task_gate_switch(struct cpu *cpu, u16 sel, const struct task_args *args)
{
    if ((sel & 4) != 0) {
        return raise_gp(cpu, sel_error(sel), "task gate with a local TSS selector");
    }
    struct descriptor d;
    TRY(desc_fetch(cpu, sel, VEC_GP, &d));
    if (!desc_is_system(&d) || (desc_type(&d) != SYS_TSS_AVAIL && desc_type(&d) != SYS_TSS16_AVAIL)) {
        return raise_gp(cpu, sel_error(sel), "task gate to what is no available TSS");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "TSS not present");
    }
    return task_switch(cpu, &d, args);
}
