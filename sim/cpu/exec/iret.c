/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IRET in all modes, and the software interrupts INT n, INT3, INT1, INTO.
 * [SDM2 "IRET/IRETD/IRETQ"], [SDM2 "INT n/INTO/INT3/INT1"], [SDM3 "Virtual-8086 Mode"]
 *
 * Chosen: a return to virtual-8086 mode ignores EIP bits 31:16 (as 80386 and later do, whatever the
 * manual's limit check says). Intel unblocks NMIs even when IRET then faults; AMD when it completes. */
#include "cpu/model.h"
#include "cpu/segment.h"
#include "cpu/virt.h"

/* What was popped. */
struct iret_frame {
    u64 rip, flags;
    u16 cs;
};

static cpu_rc read_frame(struct cpu *cpu, unsigned size, struct iret_frame *f)
{
    u64 v;
    TRY(stack_read(cpu, 0, size, &f->rip));
    TRY(stack_read(cpu, size, size, &v));
    f->cs = (u16)v;
    return stack_read(cpu, (i64)(2 * size), size, &f->flags);
}

/* Replace the bits of `mask`; the rest of RFLAGS stays. */
static void load_flags(struct cpu *cpu, u64 flags, u64 mask)
{
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (flags & mask));
    cpu->d.rf_loaded = (mask & RFLAGS_RF) != 0;
}

static void finish(struct cpu *cpu)
{
    cpu->arch.nmi_blocked = cpu->arch.nmi_blocked && !virt_iret_unblocks(cpu);
    cpu->d.iret_unblocked = false;
    cpu_update_level(cpu);
    cpu_lift_mask(cpu);
}

#define FLAGS_ALWAYS (RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)

/* Which bits IRET loads at this privilege. [SDM2 "IRET/IRETD/IRETQ"] */
static u64 flags_mask(const struct cpu *cpu, unsigned size)
{
    u64 mask = FLAGS_ALWAYS;
    unsigned iopl = (unsigned)(cpu->arch.rflags & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT;
    if (size > 2) {
        mask |= RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
    }
    if (cpu_cpl(cpu) <= iopl) {
        mask |= RFLAGS_IF;
    }
    if (cpu_cpl(cpu) == 0) {
        mask |= RFLAGS_IOPL;
        if (size > 2) {
            mask |= RFLAGS_VIF | RFLAGS_VIP;
        }
    }
    return mask;
}

static cpu_rc iret_real(struct cpu *cpu, unsigned size)
{
    struct iret_frame f;
    TRY(read_frame(cpu, size, &f));
    if (f.rip > cpu->arch.seg[SEG_CS].limit) {
        return raise_gp(cpu, 0, "IRET target outside the code segment");
    }
    seg_store_real(cpu, SEG_CS, f.cs);
    cpu->arch.rip = f.rip;
    stack_move(cpu, (i64)(3 * size));
    u64 mask = FLAGS_ALWAYS | RFLAGS_IF | RFLAGS_IOPL;
    load_flags(cpu, f.flags, size > 2 ? mask | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID : mask);
    finish(cpu);
    return CPU_OK;
}

/* IRET inside virtual-8086 mode: IOPL 3, or 16-bit with virtual interrupts. */
static cpu_rc iret_v86(struct cpu *cpu, unsigned size)
{
    bool trusted = (cpu->arch.rflags & RFLAGS_IOPL) == RFLAGS_IOPL;
    if (!trusted && ((cpu->arch.cr4 & CR4_VME) == 0 || size != 2)) {
        return raise_gp(cpu, 0, "IRET in virtual-8086 mode with IOPL < 3");
    }
    struct iret_frame f;
    TRY(read_frame(cpu, size, &f));
    if (!trusted && ((f.flags & RFLAGS_TF) != 0 ||
                     ((f.flags & RFLAGS_IF) != 0 && (cpu->arch.rflags & RFLAGS_VIP) != 0))) {
        return raise_gp(cpu, 0, "IRET with TF, or IF while VIP is set");
    }
    if (f.rip > cpu->arch.seg[SEG_CS].limit) {
        return raise_gp(cpu, 0, "IRET target outside the code segment");
    }
    seg_store_v86(cpu, SEG_CS, f.cs);
    cpu->arch.rip = f.rip;
    stack_move(cpu, (i64)(3 * size));
    if (trusted) {
        u64 mask = FLAGS_ALWAYS | RFLAGS_IF;
        load_flags(cpu, f.flags, size > 2 ? mask | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID : mask);
    } else {
        u64 vif = (f.flags & RFLAGS_IF) != 0 ? RFLAGS_VIF : 0;
        load_flags(cpu, (f.flags & FLAGS_ALWAYS) | vif, FLAGS_ALWAYS | RFLAGS_VIF);
    }
    finish(cpu);
    return CPU_OK;
}

/* [SDM2 "IRET/IRETD/IRETQ"] TASK-RETURN */
static cpu_rc iret_task(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(sys_read(cpu, seg_sum(cpu, cpu->arch.tr.base, 0), 2, &v));
    u16 sel = (u16)v;
    struct descriptor d;
    if ((sel & 4) != 0) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "task link to a local selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_TS, &d));
    if (!desc_is_system(&d) || (desc_type(&d) != SYS_TSS_BUSY && desc_type(&d) != SYS_TSS16_BUSY)) {
        return raise_error(cpu, VEC_TS, sel_error(sel), "task link to what is no busy TSS");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "task link to a TSS not present");
    }
    struct task_args args = {
        .source = TASK_IRET, .rip = next_rip(cpu, in), .flags = cpu_rflags(cpu)};
    TRY(task_switch(cpu, &d, &args));
    finish(cpu);
    return CPU_OK;
}

/* From level 0 to virtual-8086 mode: all data segments come from the stack. */
static cpu_rc iret_to_v86(struct cpu *cpu, const struct iret_frame *f)
{
    static const u8 order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    u64 esp, sel[ARRAY_LEN(order)];
    TRY(stack_read(cpu, 12, 4, &esp));
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        TRY(stack_read(cpu, 16 + 4 * (i64)i, 4, &sel[i]));
    }
    if ((cpu->arch.cr4 & CR4_CET) != 0 && (cpu->arch.u_cet & (CET_SH_STK_EN | CET_ENDBR_EN)) != 0) {
        return raise_gp(cpu, 0, "CET at level 3 on a return to virtual-8086 mode");
    }
    load_flags(cpu, f->flags, ~(u64)0);
    seg_store_v86(cpu, SEG_CS, f->cs);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        seg_store_v86(cpu, order[i], (u16)sel[i]);
    }
    cpu->arch.gpr[RSP] = esp;
    cpu->arch.rip = f->rip & 0xffff;
    finish(cpu);
    return CPU_OK;
}

/* To another level, or any IRET of 64-bit mode: SS:RSP is popped too. */
static cpu_rc iret_with_stack(struct cpu *cpu, unsigned size, const struct iret_frame *f,
                              struct descriptor *cs)
{
    unsigned cpl = f->cs & 3u, old_cpl = cpu_cpl(cpu);
    bool code64 = desc_is_code64(cpu, cs);
    u64 rsp, v;
    struct descriptor ss;
    struct cet_far cet;
    TRY(stack_read(cpu, (i64)(3 * size), size, &rsp));
    TRY(stack_read(cpu, (i64)(4 * size), size, &v));
    TRY(far_return_stack(cpu, (u16)v, cpl, code64, &ss));
    TRY(seg_check_rip(cpu, cs, f->rip));
    TRY(cet_far_ret_check(cpu, &cet, cpl, cs, f->rip, true));
    TRY(desc_set_accessed(cpu, cs));
    TRY(desc_set_accessed(cpu, &ss));
    u64 mask = flags_mask(cpu, size);
    seg_store_cs(cpu, cs, f->cs, cpl);
    far_store_stack(cpu, &ss, cpl, code64, rsp);
    if (cpl != old_cpl) {
        seg_drop_inner(cpu, cpl);
    }
    cpu->arch.rip = f->rip;
    load_flags(cpu, f->flags, mask);
    finish(cpu);
    cet_far_ret_commit(cpu, &cet);
    return CPU_OK;
}

static cpu_rc iret_same_level(struct cpu *cpu, unsigned size, const struct iret_frame *f,
                              struct descriptor *cs)
{
    struct cet_far cet;
    TRY(seg_check_rip(cpu, cs, f->rip));
    TRY(cet_far_ret_check(cpu, &cet, cpu_cpl(cpu), cs, f->rip, true));
    TRY(desc_set_accessed(cpu, cs));
    u64 mask = flags_mask(cpu, size);
    stack_move(cpu, (i64)(3 * size));
    seg_store_cs(cpu, cs, f->cs, cpu_cpl(cpu));
    cpu->arch.rip = f->rip;
    load_flags(cpu, f->flags, mask);
    finish(cpu);
    cet_far_ret_commit(cpu, &cet);
    return CPU_OK;
}

cpu_rc exec_iret(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    cpu->d.iret_unblocked = cpu->arch.nmi_blocked && virt_iret_unblocks(cpu);
    cpu->d.iret_rip = cpu->arch.rip;
    if (cpu_is_intel(cpu) && !cpu->d.v86) {
        cpu->arch.nmi_blocked = cpu->arch.nmi_blocked && !virt_iret_unblocks(cpu);
        cpu_lift_mask(cpu);
    }
    if (!cpu->d.prot) {
        return iret_real(cpu, size);
    }
    if (cpu->d.v86) {
        return iret_v86(cpu, size);
    }
    if ((cpu->arch.rflags & RFLAGS_NT) != 0) {
        if (cpu->d.long_mode) {
            return raise_gp(cpu, 0, "IRET with NT in long mode");
        }
        return iret_task(cpu, in);
    }
    struct iret_frame f;
    struct descriptor cs;
    TRY(read_frame(cpu, size, &f));
    if (!cpu->d.long_mode && size == 4 && (f.flags & RFLAGS_VM) != 0 && cpu_cpl(cpu) == 0) {
        return iret_to_v86(cpu, &f);
    }
    TRY(far_return_code(cpu, f.cs, &cs));
    if ((f.cs & 3u) != cpu_cpl(cpu) || cpu->d.code64) {
        return iret_with_stack(cpu, size, &f, &cs);
    }
    return iret_same_level(cpu, size, &f, &cs);
}

/* ---- Software interrupts ---- */

static cpu_rc raise_software(struct cpu *cpu, const struct insn *in, enum event_kind kind, u8 vector)
{
    cpu->event = (struct event){.kind = kind, .vector = vector, .insn_len = in->len};
    return CPU_EXIT;
}

/* [SDM3 "Class 3-Software Interrupt Handling in Virtual-8086 Mode"]: with CR4.VME a clear bit in the
 * TSS's redirection map sends INT n through the guest's own vector table at address 0. */
static cpu_rc redirect_v86(struct cpu *cpu, const struct insn *in, u8 vector)
{
    u64 target;
    TRY(lin_read(cpu, vector * 4u, 4, &target));
    struct new_stack st;
    struct push_frame f = {.size = 2};
    u64 flags = cpu_rflags(cpu);
    bool trusted = (flags & RFLAGS_IOPL) == RFLAGS_IOPL;
    u64 image = flags;
    if (!trusted) {
        image = (flags & ~(u64)RFLAGS_IF) | RFLAGS_IOPL | ((flags & RFLAGS_VIF) != 0 ? RFLAGS_IF : 0u);
    }
    new_stack_current(cpu, &st);
    frame_push(&f, image);
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, next_rip(cpu, in));
    TRY(new_stack_check(cpu, &st, &f));
    new_stack_store(cpu, &st, &f);
    cpu->arch.gpr[RSP] = new_stack_rsp(&st, cpu->arch.gpr[RSP], &f);
    seg_store_v86(cpu, SEG_CS, (u16)(target >> 16));
    cpu->arch.rip = target & 0xffff;
    cpu_set_rflags(cpu, flags & ~(u64)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | (trusted ? RFLAGS_IF : RFLAGS_VIF)));
    cpu->d.step_decided = true;
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc int_v86(struct cpu *cpu, const struct insn *in, u8 vector)
{
    if ((cpu->arch.cr4 & CR4_VME) != 0) {
        const struct segment *tr = &cpu->arch.tr;
        u64 io_base, bits;
        if (tr->limit < 103) {
            return raise_gp(cpu, 0, "TSS without an I/O map base");
        }
        TRY(sys_read(cpu, seg_sum(cpu, tr->base, 102), 2, &io_base));
        u32 at = (u32)io_base - 32 + (vector >> 3);
        if (at > tr->limit) {
            return raise_gp(cpu, 0, "interrupt redirection map beyond the TSS limit");
        }
        TRY(sys_read(cpu, seg_sum(cpu, tr->base, at), 1, &bits));
        if (((bits >> (vector & 7)) & 1) == 0) {
            return redirect_v86(cpu, in, vector);
        }
    }
    if ((cpu->arch.rflags & RFLAGS_IOPL) != RFLAGS_IOPL) {
        return raise_gp(cpu, 0, "INT n in virtual-8086 mode with IOPL < 3");
    }
    return raise_software(cpu, in, EVENT_SOFT_INT, vector);
}

cpu_rc exec_int(struct cpu *cpu, const struct insn *in)
{
    u8 vector = (u8)in->imm;
    return cpu->d.v86 ? int_v86(cpu, in, vector) : raise_software(cpu, in, EVENT_SOFT_INT, vector);
}

cpu_rc exec_int3(struct cpu *cpu, const struct insn *in)
{
    return raise_software(cpu, in, EVENT_INT3, VEC_BP);
}

cpu_rc exec_into(struct cpu *cpu, const struct insn *in)
{
    if (!flag_of(cpu)) {
        cpu->arch.rip = next_rip(cpu, in);
        return CPU_OK;
    }
    return raise_software(cpu, in, EVENT_INT3, VEC_OF);
}

cpu_rc exec_int1(struct cpu *cpu, const struct insn *in)
{
    return raise_software(cpu, in, EVENT_ICEBP, VEC_DB);
}
