/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instructions on segment and table registers. [SDM2 "Instruction Set Reference"], [SDM3 "System
 * Instruction Summary"], [SDM3 "User-Mode Instruction Prevention"] */
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "cpu/virt.h"
#include "trace/events.h"

/* ---- Segment registers ---- */

cpu_rc exec_mov_seg(struct cpu *cpu, const struct insn *in)
{
    if ((in->r[1] & 0xf0u) == OPR_SEG) {
        /* To memory 16 bits; to a register the operand size, zero-extended. */
        u16 sel = cpu->arch.seg[in->r[1] & 7u].sel;
        return opr_write(cpu, in, 0, in->r[0] == OPR_MEM ? 2 : in->osz, sel);
    }
    unsigned seg = in->r[0] & 7u;
    u64 sel;
    if (seg == SEG_CS || seg >= SEG_COUNT) {
        return raise_ud(cpu, "MOV to CS");
    }
    TRY(opr_read(cpu, in, 1, 2, &sel));
    TRY(seg_load(cpu, seg, (u16)sel));
    if (seg == SEG_SS) {
        seg_begin_ss_shadow(cpu);
    }
    return CPU_OK;
}

static cpu_rc load_far_pointer(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    unsigned size = in->osz == 8 && !cpu_is_intel(cpu) ? 4 : in->osz;
    u64 ea = insn_offset(cpu, in);
    u64 off, sel;
    TRY(mem_read(cpu, insn_seg(in), ea, size, &off));
    TRY(mem_read(cpu, insn_seg(in), (ea + size) & size_mask(insn_asize(in)), 2, &sel));
    TRY(seg_load(cpu, seg, (u16)sel));
    gpr_write(cpu, in->r[0], size, off);
    return CPU_OK;
}

cpu_rc exec_les(struct cpu *cpu, const struct insn *in)
{
    return load_far_pointer(cpu, in, SEG_ES);
}

cpu_rc exec_lds(struct cpu *cpu, const struct insn *in)
{
    return load_far_pointer(cpu, in, SEG_DS);
}

cpu_rc exec_lss(struct cpu *cpu, const struct insn *in)
{
    return load_far_pointer(cpu, in, SEG_SS);
}

cpu_rc exec_lfs(struct cpu *cpu, const struct insn *in)
{
    return load_far_pointer(cpu, in, SEG_FS);
}

cpu_rc exec_lgs(struct cpu *cpu, const struct insn *in)
{
    return load_far_pointer(cpu, in, SEG_GS);
}

/* In 64-bit code nothing else follows from the bases of FS and GS. */
static void set_base(struct cpu *cpu, unsigned seg, u64 base)
{
    cpu->arch.seg[seg].base = base;
    if (LIKELY(cpu->d.code64)) {
        cpu->d.seg_base[seg] = base;
    } else {
        cpu_update_mode(cpu);
    }
}

cpu_rc exec_swapgs(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    u64 base = cpu->arch.seg[SEG_GS].base;
    set_base(cpu, SEG_GS, cpu->arch.kernel_gs_base);
    cpu->arch.kernel_gs_base = base;
    return CPU_OK;
}

static cpu_rc need_fsgsbase(struct cpu *cpu)
{
    return (cpu->arch.cr4 & CR4_FSGSBASE) != 0 ? CPU_OK : raise_ud(cpu, "CR4.FSGSBASE clear");
}

static cpu_rc read_base(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    TRY(need_fsgsbase(cpu));
    gpr_write(cpu, in->r[0], in->osz == 8 ? 8 : 4, cpu->arch.seg[seg].base);
    return CPU_OK;
}

static cpu_rc write_base(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    TRY(need_fsgsbase(cpu));
    u64 base = gpr_read(cpu, in->r[0], in->osz == 8 ? 8 : 4);
    if (!lin_is_canonical(cpu, base)) {
        return raise_gp(cpu, 0, "segment base not canonical");
    }
    set_base(cpu, seg, base);
    return CPU_OK;
}

cpu_rc exec_rdfsbase(struct cpu *cpu, const struct insn *in)
{
    return read_base(cpu, in, SEG_FS);
}

cpu_rc exec_rdgsbase(struct cpu *cpu, const struct insn *in)
{
    return read_base(cpu, in, SEG_GS);
}

cpu_rc exec_wrfsbase(struct cpu *cpu, const struct insn *in)
{
    return write_base(cpu, in, SEG_FS);
}

cpu_rc exec_wrgsbase(struct cpu *cpu, const struct insn *in)
{
    return write_base(cpu, in, SEG_GS);
}

/* ---- Descriptor questions: LAR, LSL, VERR, VERW, ARPL ---- */

/* Fetch a descriptor for a question: *found is false for null selectors and beyond the limit. */
static cpu_rc look_up(struct cpu *cpu, u16 sel, struct descriptor *d, bool *found)
{
    *found = false;
    if (sel_is_null(sel) || !desc_locate(cpu, sel, 8, &d->lin)) {
        return CPU_OK;
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, d));
    *found = true;
    return CPU_OK;
}

/* May CPL and RPL see it? Conforming code is visible to all. */
static bool is_visible(const struct cpu *cpu, const struct descriptor *d)
{
    return desc_is_conforming(d) || (cpu_cpl(cpu) <= desc_dpl(d) && (d->sel & 3u) <= desc_dpl(d));
}

/* System types that LAR (gates too) and LSL accept; long mode knows fewer. */
static bool type_is_accepted(const struct cpu *cpu, const struct descriptor *d, bool gates)
{
    switch (desc_type(d)) {
    case SYS_LDT:
    case SYS_TSS_AVAIL:
    case SYS_TSS_BUSY:
        return true;
    case SYS_TSS16_AVAIL:
    case SYS_TSS16_BUSY:
        return !cpu->d.long_mode;
    case SYS_CALL:
        return gates;
    case SYS_CALL16:
    case SYS_TASK_GATE:
        return gates && !cpu->d.long_mode;
    default:
        return false;
    }
}

static cpu_rc query(struct cpu *cpu, u16 sel, bool gates, struct descriptor *d, bool *ok)
{
    TRY(look_up(cpu, sel, d, ok));
    if (*ok) {
        *ok = is_visible(cpu, d) && (!desc_is_system(d) || type_is_accepted(cpu, d, gates));
    }
    if (*ok && desc_is_system(d) && cpu->d.long_mode) {
        u64 lin;
        *ok = desc_locate(cpu, sel, 16, &lin);
        if (*ok) {
            TRY(sys_read(cpu, seg_sum(cpu, lin, 8), 8, &d->hi));
            *ok = (d->hi & 0x1f0000000000) == 0;
        }
    }
    return CPU_OK;
}

cpu_rc exec_lar(struct cpu *cpu, const struct insn *in)
{
    u64 sel;
    struct descriptor d;
    bool ok;
    TRY(opr_read(cpu, in, 1, 2, &sel));
    TRY(query(cpu, (u16)sel, true, &d, &ok));
    if (ok) {
        gpr_write(cpu, in->r[0], in->osz, (d.lo >> 32) & (in->osz == 2 ? 0xff00u : 0xf0ff00u));
    }
    flag_set_zf(cpu, ok);
    return CPU_OK;
}

cpu_rc exec_lsl(struct cpu *cpu, const struct insn *in)
{
    u64 sel;
    struct descriptor d;
    bool ok;
    TRY(opr_read(cpu, in, 1, 2, &sel));
    TRY(query(cpu, (u16)sel, false, &d, &ok));
    if (ok) {
        struct segment s;
        desc_to_segment(&d, (u16)sel, &s);
        gpr_write(cpu, in->r[0], in->osz, s.limit);
    }
    flag_set_zf(cpu, ok);
    return CPU_OK;
}

cpu_rc exec_verr(struct cpu *cpu, const struct insn *in)
{
    u64 sel;
    struct descriptor d;
    bool ok;
    TRY(opr_read(cpu, in, 0, 2, &sel));
    TRY(look_up(cpu, (u16)sel, &d, &ok));
    ok = ok && !desc_is_system(&d) && is_visible(cpu, &d) &&
         (!desc_is_code(&d) || (d.attr & SEG_TYPE_WRITE) != 0);
    flag_set_zf(cpu, ok);
    return CPU_OK;
}

cpu_rc exec_verw(struct cpu *cpu, const struct insn *in)
{
    u64 sel;
    struct descriptor d;
    bool ok;
    TRY(opr_read(cpu, in, 0, 2, &sel));
    TRY(look_up(cpu, (u16)sel, &d, &ok));
    flag_set_zf(cpu, ok && desc_is_writable_data(&d) && is_visible(cpu, &d));
    return CPU_OK;
}

cpu_rc exec_arpl(struct cpu *cpu, const struct insn *in)
{
    u64 dst;
    TRY(opr_read(cpu, in, 0, 2, &dst));
    u64 rpl = gpr_read(cpu, in->r[1], 2) & 3;
    bool raised = (dst & 3) < rpl;
    if (raised) { /* else there is no store */
        TRY(opr_write(cpu, in, 0, 2, (dst & ~(u64)3) | rpl));
    }
    flag_set_zf(cpu, raised);
    return CPU_OK;
}

/* ---- Table registers ---- */

/* [SDM3 "User-Mode Instruction Prevention"] */
static cpu_rc check_umip(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_UMIP) != 0 && cpu_cpl(cpu) > 0) {
        return raise_gp(cpu, 0, "CR4.UMIP");
    }
    return CPU_OK;
}

/* Limit and base as one store of 6 or 10 bytes. */
static cpu_rc store_table(struct cpu *cpu, const struct insn *in, const struct table_reg *t)
{
    u8 bytes[10];
    TRY(check_umip(cpu));
    store_le16(bytes, t->limit);
    store_le64(bytes + 2, t->base);
    return mem_write_bytes(cpu, insn_seg(in), insn_offset(cpu, in), bytes, cpu->d.code64 ? 10 : 6);
}

/* The 16-bit form loads 24 bits of base. */
static cpu_rc load_table(struct cpu *cpu, const struct insn *in, struct table_reg *t)
{
    u64 ea = insn_offset(cpu, in);
    u64 limit, base;
    TRY(mem_read(cpu, insn_seg(in), ea, 2, &limit));
    ea = (ea + 2) & size_mask(insn_asize(in));
    TRY(mem_read(cpu, insn_seg(in), ea, cpu->d.code64 ? 8 : 4, &base));
    if (cpu->d.code64) {
        if (!msr_is_canonical(cpu, base)) {
            return raise_gp(cpu, 0, "table base not canonical");
        }
    } else if (in->osz == 2) {
        base &= 0xffffff;
    }
    t->limit = (u16)limit;
    t->base = base;
    return CPU_OK;
}

cpu_rc exec_sgdt(struct cpu *cpu, const struct insn *in)
{
    return store_table(cpu, in, &cpu->arch.gdtr);
}

cpu_rc exec_sidt(struct cpu *cpu, const struct insn *in)
{
    return store_table(cpu, in, &cpu->arch.idtr);
}

cpu_rc exec_lgdt(struct cpu *cpu, const struct insn *in)
{
    return load_table(cpu, in, &cpu->arch.gdtr);
}

cpu_rc exec_lidt(struct cpu *cpu, const struct insn *in)
{
    return load_table(cpu, in, &cpu->arch.idtr);
}

/* To memory always 16 bits. */
static cpu_rc store_selector(struct cpu *cpu, const struct insn *in, u64 v)
{
    TRY(check_umip(cpu));
    return opr_write(cpu, in, 0, in->r[0] == OPR_MEM ? 2 : in->osz, v);
}

cpu_rc exec_sldt(struct cpu *cpu, const struct insn *in)
{
    return store_selector(cpu, in, cpu->arch.ldtr.sel);
}

cpu_rc exec_str(struct cpu *cpu, const struct insn *in)
{
    return store_selector(cpu, in, cpu->arch.tr.sel);
}

/* A register gets CR0 as wide as the operand. */
cpu_rc exec_smsw(struct cpu *cpu, const struct insn *in)
{
    u64 value = cpu->arch.cr0;
    bool done = false;
    if (in_guest(cpu)) {
        TRY(virt_cr(cpu, in, CR_SMSW, 0, &value, &done));
    }
    TRY(store_selector(cpu, in, value));
    trace_cr_read(cpu->trace, cpu->index, 0, value, cpu->arch.rip);
    return CPU_OK;
}

cpu_rc exec_lldt(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 0, 2, &v));
    u16 sel = (u16)v;
    if (sel_is_null(sel)) {
        seg_make_null(&cpu->arch.ldtr, sel, 0);
        return CPU_OK;
    }
    struct descriptor d;
    if ((sel & 4) != 0) {
        return raise_gp(cpu, sel_error(sel), "LLDT with a local selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, &d));
    if (!desc_is_system(&d) || desc_type(&d) != SYS_LDT) {
        return raise_gp(cpu, sel_error(sel), "LLDT with what is no LDT");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "LDT not present");
    }
    if (cpu->d.long_mode) {
        TRY(desc_fetch_upper(cpu, VEC_GP, &d));
    }
    struct segment s;
    desc_to_segment(&d, sel, &s);
    if (cpu->d.long_mode && !msr_is_canonical(cpu, s.base)) {
        return raise_gp(cpu, sel_error(sel), "LDT base not canonical");
    }
    cpu->arch.ldtr = s;
    return CPU_OK;
}

cpu_rc exec_ltr(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 0, 2, &v));
    u16 sel = (u16)v;
    struct descriptor d;
    if (sel_is_null(sel)) {
        return raise_gp(cpu, 0, "LTR with a null selector");
    }
    if ((sel & 4) != 0) {
        return raise_gp(cpu, sel_error(sel), "LTR with a local selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, &d));
    bool avail = desc_type(&d) == SYS_TSS_AVAIL ||
                 (desc_type(&d) == SYS_TSS16_AVAIL && !cpu->d.long_mode);
    if (!desc_is_system(&d) || !avail) {
        return raise_gp(cpu, sel_error(sel), "LTR with what is no available TSS");
    }
    if (!desc_is_present(&d)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "TSS not present");
    }
    if (cpu->d.long_mode) {
        TRY(desc_fetch_upper(cpu, VEC_GP, &d));
    }
    struct segment s;
    desc_to_segment(&d, sel, &s);
    if (cpu->d.long_mode && !msr_is_canonical(cpu, s.base)) {
        return raise_gp(cpu, sel_error(sel), "TSS base not canonical");
    }
    TRY(desc_set_busy(cpu, &d, true));
    s.attr = d.attr;
    cpu->arch.tr = s;
    return CPU_OK;
}
