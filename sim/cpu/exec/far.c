/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Far JMP, CALL and RET in all modes: direct, through call gates, task gates and TSS descriptors.
 * [SDM2 "JMP-Jump"], [SDM2 "CALL-Call Procedure"], [SDM2 "RET-Return From Procedure"],
 * [SDM3 "Using Call Gates"]
 *
 * Everything is read, checked and probed before the first register changes. Vendor difference: AMD
 * has no 64-bit far pointers in memory; REX.W is without effect there. */
#include "cpu/cpu.h"
#include "cpu/model.h"
#include "cpu/segment.h"

/* The far pointer operand. */
struct far_ptr {
    u16 sel;
    u64 off;
    unsigned size; /* operand size: 2, 4, 8 */
};

static cpu_rc read_far_operand(struct cpu *cpu, const struct insn *in, struct far_ptr *p)
{
    p->size = in->osz == 8 && !cpu_is_intel(cpu) ? 4 : in->osz;
    if (in->r[0] == OPR_FAR) {
        p->sel = (u16)(in->imm >> 32);
        p->off = in->imm & size_mask(p->size == 2 ? 2 : 4);
        return CPU_OK;
    }
    u64 ea = insn_offset(cpu, in);
    u64 wrap = size_mask(insn_asize(in));
    u64 sel;
    TRY(mem_read(cpu, insn_seg(in), ea, p->size, &p->off));
    TRY(mem_read(cpu, insn_seg(in), (ea + p->size) & wrap, 2, &sel));
    p->sel = (u16)sel;
    return CPU_OK;
}

static bool is_plain_mode(const struct cpu *cpu)
{
    return !cpu->d.prot || cpu->d.v86;
}

/* Continue at sel:off in real or virtual-8086 mode, with `f` pushed if it is not NULL. */
static cpu_rc go_real(struct cpu *cpu, u16 sel, u64 off, const struct push_frame *f)
{
    struct new_stack st;
    new_stack_current(cpu, &st);
    if (f != NULL) {
        TRY(new_stack_check(cpu, &st, f));
    }
    if (off > cpu->arch.seg[SEG_CS].limit) {
        return raise_gp(cpu, 0, "far target outside the code segment");
    }
    if (f != NULL) {
        new_stack_store(cpu, &st, f);
        cpu->arch.gpr[RSP] = new_stack_rsp(&st, cpu->arch.gpr[RSP], f);
    }
    seg_store_cs_real(cpu, sel);
    cpu->arch.rip = off;
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* A shadow stack above 4 GiB cannot follow into compatibility mode. */
static cpu_rc check_ssp_width(struct cpu *cpu, bool code64)
{
    if (cet_shadow_on(cpu) && !code64 && (cpu->arch.ssp >> 32) != 0) {
        return raise_gp(cpu, 0, "SSP above 4 GiB outside 64-bit mode");
    }
    return CPU_OK;
}

static void go_code(struct cpu *cpu, const struct descriptor *cs, u16 sel, unsigned cpl, u64 rip)
{
    seg_store_cs(cpu, cs, sel, cpl);
    cpu->arch.rip = rip;
    cpu_update_mode(cpu);
}

/* ---- Gates ---- */

/* Rules that all gates and TSS descriptors share: DPL against CPL and RPL, presence. */
static cpu_rc check_gate_access(struct cpu *cpu, const struct descriptor *d)
{
    unsigned dpl = desc_dpl(d);
    if (dpl < cpu_cpl(cpu) || dpl < (d->sel & 3u)) {
        return raise_gp(cpu, sel_error(d->sel), "gate or TSS of an inner level");
    }
    return CPU_OK;
}

static cpu_rc check_gate_present(struct cpu *cpu, const struct descriptor *d)
{
    return desc_is_present(d) ? CPU_OK
                              : raise_error(cpu, VEC_NP, sel_error(d->sel), "gate or TSS not present");
}

static cpu_rc far_to_task(struct cpu *cpu, const struct insn *in, struct descriptor *d, bool call)
{
    struct task_args args = {.source = call ? TASK_CALL : TASK_JMP,
                             .rip = next_rip(cpu, in),
                             .flags = cpu_rflags(cpu)};
    TRY(check_gate_access(cpu, d));
    if (desc_type(d) == SYS_TASK_GATE) {
        TRY(check_gate_present(cpu, d));
        return task_gate_switch(cpu, gate_selector(d), &args);
    }
    TRY(check_gate_present(cpu, d));
    return task_switch(cpu, d, &args);
}

/* The code segment that a call gate names; `jmp`: no change of level. [SDM3 "Accessing a Code Segment
 * Through a Call Gate"] */
static cpu_rc read_gate_target(struct cpu *cpu, const struct descriptor *gate, bool jmp,
                               struct descriptor *cs)
{
    u16 sel = gate_selector(gate);
    if (sel_is_null(sel)) {
        return raise_gp(cpu, 0, "call gate with a null code selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, cs));
    bool same_only = jmp && !desc_is_conforming(cs);
    if (!desc_is_code(cs) || desc_dpl(cs) > cpu_cpl(cpu) ||
        (same_only && desc_dpl(cs) != cpu_cpl(cpu))) {
        return raise_gp(cpu, sel_error(sel), "call gate to what is no code of a fitting level");
    }
    if (cpu->d.long_mode && (cs->attr & (SEG_L | SEG_DB)) != SEG_L) {
        return raise_gp(cpu, sel_error(sel), "call gate to what is no 64-bit code");
    }
    if (!desc_is_present(cs)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "call gate's code segment not present");
    }
    return CPU_OK;
}

/* Fetch what a far transfer names when it is no code segment: is it a gate or TSS of this mode? */
static cpu_rc check_system_type(struct cpu *cpu, struct descriptor *d, bool *task)
{
    unsigned type = desc_type(d);
    if (cpu->d.long_mode) {
        if (type != SYS_CALL) {
            return raise_gp(cpu, sel_error(d->sel), "far transfer to a system descriptor");
        }
        TRY(check_gate_access(cpu, d));
        TRY(check_gate_present(cpu, d));
        return desc_fetch_upper(cpu, VEC_GP, d);
    }
    *task = type == SYS_TASK_GATE || type == SYS_TSS_AVAIL || type == SYS_TSS16_AVAIL;
    if (*task) {
        return CPU_OK;
    }
    if (type != SYS_CALL && type != SYS_CALL16) {
        return raise_gp(cpu, sel_error(d->sel), "far transfer to a system descriptor");
    }
    TRY(check_gate_access(cpu, d));
    return check_gate_present(cpu, d);
}

static u64 gate_rip(const struct cpu *cpu, const struct descriptor *gate)
{
    u64 off = gate_offset(gate, cpu->d.long_mode);
    return desc_type(gate) == SYS_CALL16 ? off & 0xffff : off;
}

static unsigned gate_push_size(const struct cpu *cpu, const struct descriptor *gate)
{
    return cpu->d.long_mode ? 8 : desc_type(gate) == SYS_CALL16 ? 2 : 4;
}

/* ---- JMP ---- */

static cpu_rc jmp_gate(struct cpu *cpu, const struct descriptor *gate)
{
    struct descriptor cs;
    TRY(read_gate_target(cpu, gate, true, &cs));
    u64 rip = gate_rip(cpu, gate);
    TRY(seg_check_rip(cpu, &cs, rip));
    TRY(check_ssp_width(cpu, desc_is_code64(cpu, &cs)));
    TRY(desc_set_accessed(cpu, &cs));
    go_code(cpu, &cs, gate_selector(gate), cpu_cpl(cpu), rip);
    cet_far_track(cpu);
    return CPU_OK;
}

cpu_rc exec_jmp_far(struct cpu *cpu, const struct insn *in)
{
    struct far_ptr p;
    TRY(read_far_operand(cpu, in, &p));
    if (is_plain_mode(cpu)) {
        return go_real(cpu, p.sel, p.off, NULL);
    }
    if (sel_is_null(p.sel)) {
        return raise_gp(cpu, 0, "far JMP to a null selector");
    }
    struct descriptor d;
    TRY(desc_fetch(cpu, p.sel, VEC_GP, &d));
    if (desc_is_system(&d)) {
        bool task = false;
        TRY(check_system_type(cpu, &d, &task));
        return task ? far_to_task(cpu, in, &d, false) : jmp_gate(cpu, &d);
    }
    TRY(seg_check_code(cpu, &d, p.sel, cpu_cpl(cpu)));
    TRY(seg_check_rip(cpu, &d, p.off));
    TRY(check_ssp_width(cpu, desc_is_code64(cpu, &d)));
    TRY(desc_set_accessed(cpu, &d));
    go_code(cpu, &d, p.sel, cpu_cpl(cpu), p.off);
    cet_far_track(cpu);
    return CPU_OK;
}

/* ---- CALL ---- */

/* Push CS:RIP on the current stack and continue in `cs` at the same level. */
static cpu_rc call_same_level(struct cpu *cpu, const struct insn *in, struct descriptor *cs, u16 sel,
                              u64 rip, unsigned size)
{
    struct new_stack st;
    struct push_frame f = {.size = size};
    struct cet_far cet;
    new_stack_current(cpu, &st);
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, next_rip(cpu, in));
    TRY(new_stack_check(cpu, &st, &f));
    TRY(seg_check_rip(cpu, cs, rip));
    TRY(cet_far_call_check(cpu, &cet, cpu_cpl(cpu), 0, desc_is_code64(cpu, cs), next_rip(cpu, in)));
    TRY(desc_set_accessed(cpu, cs));
    new_stack_store(cpu, &st, &f);
    cpu->arch.gpr[RSP] = new_stack_rsp(&st, cpu->arch.gpr[RSP], &f);
    go_code(cpu, cs, sel, cpu_cpl(cpu), rip);
    cet_far_call_commit(cpu, &cet);
    return CPU_OK;
}

/* Parameters of a 16- or 32-bit gate are copied from the old stack, highest address first. */
static cpu_rc push_parameters(struct cpu *cpu, const struct descriptor *gate, struct push_frame *f)
{
    unsigned count = (unsigned)(gate->lo >> 32) & 31u;
    for (unsigned i = count; i > 0; i--) {
        u64 v;
        TRY(stack_read(cpu, (i64)(i - 1) * f->size, f->size, &v));
        frame_push(f, v);
    }
    return CPU_OK;
}

static cpu_rc call_inner_level(struct cpu *cpu, const struct insn *in, const struct descriptor *gate,
                               struct descriptor *cs)
{
    unsigned cpl = desc_dpl(cs);
    u64 rip = gate_rip(cpu, gate);
    bool wide = cpu->d.long_mode;
    struct new_stack st;
    struct push_frame f = {.size = gate_push_size(cpu, gate)};
    struct descriptor ss = {.attr = SEG_TYPE_ACCESSED};
    struct cet_far cet;
    if (wide) {
        TRY(new_stack_from_tss64(cpu, cpl, 0, &st));
    } else {
        TRY(new_stack_from_tss(cpu, cpl, &st, &ss));
    }
    frame_push(&f, cpu->arch.seg[SEG_SS].sel);
    frame_push(&f, cpu->arch.gpr[RSP] & (wide ? ~(u64)0 : cpu->d.sp_mask));
    if (!wide) {
        TRY(push_parameters(cpu, gate, &f));
    }
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, next_rip(cpu, in));
    TRY(new_stack_check(cpu, &st, &f));
    TRY(seg_check_rip(cpu, cs, rip));
    TRY(cet_far_call_check(cpu, &cet, cpl, 0, wide, next_rip(cpu, in)));
    TRY(desc_set_accessed(cpu, cs));
    TRY(desc_set_accessed(cpu, &ss));
    if (!wide) {
        st.ss.attr |= SEG_TYPE_ACCESSED;
    }
    new_stack_store(cpu, &st, &f);
    cpu->arch.gpr[RSP] = new_stack_rsp(&st, 0, &f);
    cpu->arch.seg[SEG_SS] = st.ss;
    go_code(cpu, cs, gate_selector(gate), cpl, rip);
    cet_far_call_commit(cpu, &cet);
    return CPU_OK;
}

static cpu_rc call_gate(struct cpu *cpu, const struct insn *in, const struct descriptor *gate)
{
    struct descriptor cs;
    TRY(read_gate_target(cpu, gate, false, &cs));
    if (!desc_is_conforming(&cs) && desc_dpl(&cs) < cpu_cpl(cpu)) {
        return call_inner_level(cpu, in, gate, &cs);
    }
    return call_same_level(cpu, in, &cs, gate_selector(gate), gate_rip(cpu, gate),
                           gate_push_size(cpu, gate));
}

cpu_rc exec_call_far(struct cpu *cpu, const struct insn *in)
{
    struct far_ptr p;
    TRY(read_far_operand(cpu, in, &p));
    if (is_plain_mode(cpu)) {
        struct push_frame f = {.size = p.size};
        frame_push(&f, cpu->arch.seg[SEG_CS].sel);
        frame_push(&f, next_rip(cpu, in));
        return go_real(cpu, p.sel, p.off, &f);
    }
    if (sel_is_null(p.sel)) {
        return raise_gp(cpu, 0, "far CALL to a null selector");
    }
    struct descriptor d;
    TRY(desc_fetch(cpu, p.sel, VEC_GP, &d));
    if (desc_is_system(&d)) {
        bool task = false;
        TRY(check_system_type(cpu, &d, &task));
        return task ? far_to_task(cpu, in, &d, true) : call_gate(cpu, in, &d);
    }
    TRY(seg_check_code(cpu, &d, p.sel, cpu_cpl(cpu)));
    return call_same_level(cpu, in, &d, p.sel, p.off, p.size);
}

/* ---- RET and what IRET shares with it ---- */

cpu_rc far_return_code(struct cpu *cpu, u16 sel, struct descriptor *cs)
{
    unsigned rpl = sel & 3u;
    if (sel_is_null(sel)) {
        return raise_gp(cpu, 0, "return to a null code selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, cs));
    if (!desc_is_code(cs) || rpl < cpu_cpl(cpu)) {
        return raise_gp(cpu, sel_error(sel), "return to what is no code or to an inner level");
    }
    if (cpu->d.long_mode && (cs->attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB)) {
        return raise_gp(cpu, sel_error(sel), "code segment with both L and D");
    }
    if (desc_is_conforming(cs) ? desc_dpl(cs) > rpl : desc_dpl(cs) != rpl) {
        return raise_gp(cpu, sel_error(sel), "return: DPL of the code segment");
    }
    if (!desc_is_present(cs)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "return: code segment not present");
    }
    return CPU_OK;
}

cpu_rc far_return_stack(struct cpu *cpu, u16 sel, unsigned cpl, bool code64, struct descriptor *ss)
{
    if (sel_is_null(sel)) {
        if (!code64 || cpl == 3) {
            return raise_gp(cpu, 0, "return with a null stack selector");
        }
        *ss = (struct descriptor){.sel = sel, .attr = SEG_UNUSABLE | SEG_TYPE_ACCESSED};
        return CPU_OK;
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, ss));
    if ((sel & 3u) != cpl || desc_dpl(ss) != cpl || !desc_is_writable_data(ss)) {
        return raise_gp(cpu, sel_error(sel), "return: stack segment's privilege or type");
    }
    if (!desc_is_present(ss)) {
        return raise_ss(cpu, sel_error(sel), "return: stack segment not present");
    }
    return CPU_OK;
}

void far_store_stack(struct cpu *cpu, const struct descriptor *ss, unsigned cpl, bool code64, u64 rsp)
{
    struct segment *s = &cpu->arch.seg[SEG_SS];
    if ((ss->attr & SEG_UNUSABLE) != 0) {
        seg_make_null(s, ss->sel, cpl);
    } else {
        desc_to_segment(ss, ss->sel, s);
    }
    if (code64) {
        cpu->arch.gpr[RSP] = rsp;
    } else if ((s->attr & SEG_DB) != 0) {
        cpu->arch.gpr[RSP] = (u32)rsp;
    } else {
        cpu->arch.gpr[RSP] = bits_set(cpu->arch.gpr[RSP], 0, 16, rsp);
    }
}

static cpu_rc ret_outer_level(struct cpu *cpu, struct descriptor *cs, u16 sel, u64 rip, unsigned size,
                              u64 release)
{
    unsigned cpl = sel & 3u;
    bool code64 = desc_is_code64(cpu, cs);
    u64 rsp, v;
    struct descriptor ss;
    struct cet_far cet;
    TRY(stack_read(cpu, (i64)(2 * size + release), size, &rsp));
    TRY(stack_read(cpu, (i64)(3 * size + release), size, &v));
    TRY(far_return_stack(cpu, (u16)v, cpl, code64, &ss));
    TRY(seg_check_rip(cpu, cs, rip));
    TRY(cet_far_ret_check(cpu, &cet, cpl, cs, rip, false));
    TRY(desc_set_accessed(cpu, cs));
    TRY(desc_set_accessed(cpu, &ss));
    seg_store_cs(cpu, cs, sel, cpl);
    far_store_stack(cpu, &ss, cpl, code64, rsp + release);
    seg_drop_inner(cpu, cpl);
    cpu->arch.rip = rip;
    cpu_update_mode(cpu);
    cet_far_ret_commit(cpu, &cet);
    return CPU_OK;
}

cpu_rc exec_ret_far(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    u64 release = in->imm & 0xffff;
    u64 rip, v;
    TRY(stack_read(cpu, 0, size, &rip));
    TRY(stack_read(cpu, size, size, &v));
    u16 sel = (u16)v;
    if (is_plain_mode(cpu)) {
        TRY(go_real(cpu, sel, rip, NULL));
        stack_move(cpu, (i64)(2 * size + release));
        return CPU_OK;
    }
    struct descriptor cs;
    TRY(far_return_code(cpu, sel, &cs));
    if ((sel & 3u) != cpu_cpl(cpu)) {
        return ret_outer_level(cpu, &cs, sel, rip, size, release);
    }
    struct cet_far cet;
    TRY(seg_check_rip(cpu, &cs, rip));
    TRY(cet_far_ret_check(cpu, &cet, cpu_cpl(cpu), &cs, rip, false));
    TRY(desc_set_accessed(cpu, &cs));
    stack_move(cpu, (i64)(2 * size + release));
    go_code(cpu, &cs, sel, cpu_cpl(cpu), rip);
    cet_far_ret_commit(cpu, &cet);
    return CPU_OK;
}
