/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control-flow enforcement: shadow stacks and indirect-branch tracking.
 * [SDM1 "Control-flow Enforcement Technology"], [SDM2 "Instruction Set Reference"]
 *
 * A supervisor shadow stack has a token at its base: its own address, with bit 0 set while it is in
 * use. Far calls and interrupts to an inner level take it, returns give it back.
 */
#include "cpu/segment.h"

#define TOKEN_BUSY 1u
#define TOKEN_MODE64 1u
#define TOKEN_PREV 2u

static u64 *control_of(struct cpu *cpu, unsigned cpl)
{
    return cpl == 3 ? &cpu->arch.u_cet : &cpu->arch.s_cet;
}

static unsigned shadow_access(unsigned cpl)
{
    return ACCESS_SHADOW | (cpl == 3 ? ACCESS_USER : ACCESS_IMPLICIT);
}

static cpu_rc shadow_read(struct cpu *cpu, u64 lin, unsigned size, unsigned access, u64 *v)
{
    *v = 0;
    return lin_access_read(cpu, lin, v, size, ACCESS_READ | access);
}

static cpu_rc shadow_write(struct cpu *cpu, u64 lin, unsigned size, unsigned access, u64 v)
{
    return lin_access_write(cpu, lin, &v, size, ACCESS_WRITE | access);
}

static cpu_rc raise_cp(struct cpu *cpu, u32 error, const char *why)
{
    return raise_error(cpu, VEC_CP, error, why);
}

/* ---- Near transfers ---- */

cpu_rc cet_call_push(struct cpu *cpu, u64 return_rip, unsigned size)
{
    unsigned bytes = size == 8 ? 8 : 4;
    TRY(shadow_write(cpu, cpu->arch.ssp - bytes, bytes, ACCESS_SHADOW, return_rip));
    cpu->arch.ssp -= bytes;
    return CPU_OK;
}

cpu_rc cet_ret_check(struct cpu *cpu, u64 return_rip, unsigned size)
{
    unsigned bytes = size == 8 ? 8 : 4;
    u64 v;
    TRY(shadow_read(cpu, cpu->arch.ssp, bytes, ACCESS_SHADOW, &v));
    if (v != return_rip) {
        return raise_cp(cpu, CP_NEAR_RET, "near RET: shadow stack differs");
    }
    cpu->arch.ssp += bytes;
    return CPU_OK;
}

static void set_waiting(struct cpu *cpu, u64 *control)
{
    *control = (*control | CET_TRACKER) & ~(u64)CET_SUPPRESS;
    cpu_update_mode(cpu);
}

void cet_track_indirect(struct cpu *cpu, const struct insn *in)
{
    u64 *control = control_of(cpu, cpu_cpl(cpu));
    if ((*control & CET_SUPPRESS) != 0) {
        return;
    }
    if ((*control & CET_NO_TRACK_EN) != 0 && (in->pfx & PFX_SEG) != 0 && insn_seg(in) == SEG_DS) {
        return;
    }
    set_waiting(cpu, control);
}

void cet_far_track(struct cpu *cpu)
{
    if (cet_ibt_on(cpu)) {
        set_waiting(cpu, control_of(cpu, cpu_cpl(cpu)));
    }
}

/* [SDM1 "Legacy Compatibility Treatment"]: a bit per page says that it holds code without ENDBRANCH. */
static cpu_rc check_legacy_bitmap(struct cpu *cpu, u64 *control, bool *legacy)
{
    u64 lin = (cpu->d.seg_base[SEG_CS] + cpu->arch.rip) & cpu->d.lin_mask;
    u64 v = 0;
    *legacy = false;
    if ((*control & CET_LEG_IW_EN) == 0) {
        return CPU_OK;
    }
    u64 at = (*control & ~(u64)0xfff) + ((lin & 0xffffffffffff) >> 15);
    TRY(lin_access_read(cpu, at, &v, 1, ACCESS_READ));
    *legacy = ((v >> ((lin >> 12) & 7)) & 1) != 0;
    return CPU_OK;
}

cpu_rc cet_check_target(struct cpu *cpu, const struct insn *in)
{
    exec_fn *wanted = cpu->d.code64 ? exec_endbr64 : exec_endbr32;
    if (in->exec == wanted || in->exec == exec_int3 || in->exec == exec_int1) {
        return CPU_OK;
    }
    u64 *control = control_of(cpu, cpu_cpl(cpu));
    bool legacy;
    TRY(check_legacy_bitmap(cpu, control, &legacy));
    if (!legacy) {
        return raise_cp(cpu, CP_ENDBRANCH, "indirect branch to what is no ENDBRANCH");
    }
    *control &= ~(u64)CET_TRACKER;
    if ((*control & CET_SUPPRESS_DIS) == 0) {
        *control |= CET_SUPPRESS;
    }
    cpu_update_mode(cpu);
    return CPU_OK;
}

static void end_branch(struct cpu *cpu)
{
    if (cet_ibt_on(cpu)) {
        u64 *control = control_of(cpu, cpu_cpl(cpu));
        if ((*control & (CET_TRACKER | CET_SUPPRESS)) != 0) {
            *control &= ~(u64)(CET_TRACKER | CET_SUPPRESS);
            cpu_update_mode(cpu);
        }
    }
}

cpu_rc exec_endbr64(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (cpu->d.code64) {
        end_branch(cpu);
    }
    return CPU_OK;
}

cpu_rc exec_endbr32(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (!cpu->d.code64) {
        end_branch(cpu);
    }
    return CPU_OK;
}

/* ---- Far transfers and interrupts ---- */

/* Take the shadow stack of an inner level, or one of the interrupt SSP table. */
static cpu_rc take_stack(struct cpu *cpu, struct cet_far *c, unsigned cpl, unsigned ist, bool code64)
{
    u64 ssp = cpu->arch.pl_ssp[cpl];
    u64 token;
    if (ist != 0) {
        TRY(sys_read(cpu, cpu->arch.int_ssp_table + 8 * ist, 8, &ssp));
    }
    if ((ssp & 7) != 0 || (!code64 && (ssp >> 32) != 0)) {
        return raise_gp(cpu, 0, "new SSP not aligned or too wide");
    }
    TRY(lin_probe(cpu, ssp, 8, ACCESS_WRITE | c->access));
    TRY(shadow_read(cpu, ssp, 8, c->access, &token));
    if (token != ssp) {
        return raise_gp(cpu, 0, "supervisor shadow-stack token busy or wrong");
    }
    c->token = true;
    c->token_lin = ssp;
    c->token_value = ssp | TOKEN_BUSY;
    c->top = ssp;
    return CPU_OK;
}

cpu_rc cet_far_call_check(struct cpu *cpu, struct cet_far *c, unsigned new_cpl, unsigned ist,
                          bool code64, u64 return_rip)
{
    *c = (struct cet_far){0};
    if (LIKELY((cpu->arch.cr4 & CR4_CET) == 0) || !cpu->d.prot) {
        return CPU_OK;
    }
    unsigned old_cpl = cpu_cpl(cpu);
    u64 control = *control_of(cpu, new_cpl);
    c->access = shadow_access(new_cpl);
    c->cpl = new_cpl;
    c->save_pl3 = old_cpl == 3 && new_cpl != 3 && cet_shadow_on(cpu);
    c->track = (control & CET_ENDBR_EN) != 0;
    if ((control & CET_SH_STK_EN) == 0) {
        return CPU_OK;
    }
    c->active = true;
    if (new_cpl != old_cpl || ist != 0) {
        TRY(take_stack(cpu, c, new_cpl, ist, code64));
        c->push = old_cpl != 3;
    } else {
        if (!code64 && (cpu->arch.ssp >> 32) != 0) {
            return raise_gp(cpu, 0, "SSP above 4 GiB outside 64-bit mode");
        }
        c->align = (cpu->arch.ssp & 7) != 0;
        c->top = align_down(cpu->arch.ssp, 8);
        c->push = true;
    }
    c->cs = cpu->arch.seg[SEG_CS].sel;
    c->lip = (cpu->d.seg_base[SEG_CS] + return_rip) & cpu->d.lin_mask;
    c->ssp = c->push ? c->top - 24 : c->top;
    return c->push ? lin_probe(cpu, c->ssp, c->align ? 28 : 24, ACCESS_WRITE | c->access) : CPU_OK;
}

/* Probed before: a store can fail only when the frame lies over its own page tables. */
static void store(struct cpu *cpu, const struct cet_far *c, u64 lin, unsigned size, u64 v)
{
    if (shadow_write(cpu, lin, size, c->access, v) != CPU_OK) {
        log_guest_error(cpu->log, "a shadow stack lies over its own page tables");
    }
}

void cet_far_call_commit(struct cpu *cpu, const struct cet_far *c)
{
    if (c->save_pl3) {
        cpu->arch.pl_ssp[3] = cpu->arch.ssp;
    }
    if (c->token) {
        store(cpu, c, c->token_lin, 8, c->token_value);
    }
    if (c->align) {
        store(cpu, c, c->top, 4, 0);
    }
    if (c->push) {
        store(cpu, c, c->top - 8, 8, c->cs);
        store(cpu, c, c->top - 16, 8, c->lip);
        store(cpu, c, c->top - 24, 8, cpu->arch.ssp);
    }
    if (c->active) {
        cpu->arch.ssp = c->ssp;
    }
    if (c->track) {
        set_waiting(cpu, control_of(cpu, c->cpl));
    }
}

/* Give a stack's token back when it is busy and names itself. A wrong token is no fault. */
static cpu_rc release_token(struct cpu *cpu, struct cet_far *c, u64 lin)
{
    u64 token;
    TRY(shadow_read(cpu, lin, 8, c->access, &token));
    if (token == (lin | TOKEN_BUSY)) {
        TRY(lin_probe(cpu, lin, 8, ACCESS_WRITE | c->access));
        c->token = true;
        c->token_lin = lin;
        c->token_value = lin;
    }
    return CPU_OK;
}

/* Pop and compare the three words that a far CALL or interrupt pushed. */
static cpu_rc pop_frame(struct cpu *cpu, struct cet_far *c, const struct descriptor *cs, u64 rip,
                        bool code64)
{
    struct segment seg;
    u64 shadow_cs, shadow_lip;
    desc_to_segment(cs, cs->sel, &seg);
    u64 lip = code64 ? rip : (u32)(seg.base + rip);
    TRY(shadow_read(cpu, cpu->arch.ssp + 16, 8, c->access, &shadow_cs));
    TRY(shadow_read(cpu, cpu->arch.ssp + 8, 8, c->access, &shadow_lip));
    TRY(shadow_read(cpu, cpu->arch.ssp, 8, c->access, &c->ssp));
    if (shadow_cs != cs->sel || shadow_lip != lip || (c->ssp & 3) != 0) {
        return raise_cp(cpu, CP_FAR_RET_IRET, "far return: shadow stack differs");
    }
    return CPU_OK;
}

cpu_rc cet_far_ret_check(struct cpu *cpu, struct cet_far *c, unsigned new_cpl,
                         const struct descriptor *cs, u64 rip, bool iret)
{
    *c = (struct cet_far){0};
    if (LIKELY((cpu->arch.cr4 & CR4_CET) == 0) || !cpu->d.prot || cpu->d.v86) {
        return CPU_OK;
    }
    bool code64 = desc_is_code64(cpu, cs);
    unsigned old_cpl = cpu_cpl(cpu);
    c->access = shadow_access(old_cpl);
    bool to_user = new_cpl == 3 && old_cpl != 3;
    if (cet_shadow_on(cpu)) {
        if ((cpu->arch.ssp & 7) != 0) {
            return raise_cp(cpu, CP_FAR_RET_IRET, "far return: SSP not aligned");
        }
        if (to_user) {
            TRY(release_token(cpu, c, cpu->arch.ssp));
        } else {
            u64 base = cpu->arch.ssp + 24;
            TRY(pop_frame(cpu, c, cs, rip, code64));
            c->active = true;
            if (new_cpl != old_cpl || (iret && c->ssp != base)) {
                TRY(release_token(cpu, c, base));
            }
        }
    }
    if (to_user && (cpu->arch.u_cet & CET_SH_STK_EN) != 0) {
        c->active = true;
        c->ssp = cpu->arch.pl_ssp[3];
    }
    if (c->active && !code64 && (c->ssp >> 32) != 0) {
        return raise_gp(cpu, 0, "SSP above 4 GiB outside 64-bit mode");
    }
    return CPU_OK;
}

void cet_far_ret_commit(struct cpu *cpu, const struct cet_far *c)
{
    if (c->token) {
        store(cpu, c, c->token_lin, 8, c->token_value);
    }
    if (c->active) {
        cpu->arch.ssp = c->ssp;
    }
}

/* ---- Task switches ---- */

cpu_rc cet_task_leave(struct cpu *cpu, struct cet_task *t, enum task_source source, unsigned new_cpl,
                      u64 new_ssp, u64 return_rip)
{
    unsigned cpl = cpu_cpl(cpu);
    *t = (struct cet_task){.new_ssp = new_ssp, .left = cet_shadow_on(cpu)};
    if (!t->left || source == TASK_JMP) {
        return CPU_OK;
    }
    t->back.access = shadow_access(cpl);
    t->ssp = cpu->arch.ssp;
    if (source != TASK_IRET) {
        t->save_pl3 = cpl == 3 && new_cpl < 3;
        t->push = !t->save_pl3;
        t->cs = cpu->arch.seg[SEG_CS].sel;
        t->lip = (cpu->d.seg_base[SEG_CS] + return_rip) & cpu->d.lin_mask;
        return CPU_OK;
    }
    u64 base = cpu->arch.ssp;
    t->verify = new_cpl == cpl || new_cpl < 3;
    if (t->verify) {
        TRY(shadow_read(cpu, base, 8, t->back.access, &t->ssp));
        TRY(shadow_read(cpu, base + 8, 8, t->back.access, &t->lip));
        TRY(shadow_read(cpu, base + 16, 8, t->back.access, &t->cs));
        base += 24;
    } else {
        t->ssp = cpu->arch.pl_ssp[3];
    }
    return release_token(cpu, &t->back, base);
}

void cet_task_commit(struct cpu *cpu, const struct cet_task *t)
{
    if (t->save_pl3) {
        cpu->arch.pl_ssp[3] = t->ssp;
    }
    if (t->back.token) {
        store(cpu, &t->back, t->back.token_lin, 8, t->back.token_value);
    }
    if (t->left) {
        cpu->arch.ssp = 0;
    }
}

/* CALL, JMP, interrupt: the stack that the new TSS names. */
static cpu_rc enter_stack(struct cpu *cpu, const struct cet_task *t)
{
    struct cet_far c = {.access = shadow_access(cpu_cpl(cpu)), .active = true, .push = t->push};
    u64 token;
    if ((t->new_ssp & 7) != 0) {
        return raise_error(cpu, VEC_TS, sel_error(cpu->arch.tr.sel), "SSP of the new task not aligned");
    }
    TRY(lin_probe(cpu, t->new_ssp, 8, ACCESS_WRITE | c.access));
    TRY(shadow_read(cpu, t->new_ssp, 8, c.access, &token));
    if (token != t->new_ssp) {
        return raise_gp(cpu, 0, "shadow-stack token of the new task busy or wrong");
    }
    c.token = true;
    c.token_lin = t->new_ssp;
    c.token_value = token | TOKEN_BUSY;
    c.top = t->new_ssp;
    c.ssp = c.push ? c.top - 24 : c.top;
    if (c.push) {
        TRY(lin_probe(cpu, c.ssp, 24, ACCESS_WRITE | c.access));
        cpu->arch.ssp = t->ssp; /* what is pushed below the others */
    }
    c.cs = t->cs;
    c.lip = t->lip;
    cet_far_call_commit(cpu, &c);
    return CPU_OK;
}

cpu_rc cet_task_enter(struct cpu *cpu, const struct cet_task *t, enum task_source source)
{
    if (LIKELY((cpu->arch.cr4 & CR4_CET) == 0)) {
        return CPU_OK;
    }
    if (cpu->d.v86) {
        return (cpu->arch.u_cet & (CET_SH_STK_EN | CET_ENDBR_EN)) == 0
                   ? CPU_OK
                   : raise_error(cpu, VEC_TS, sel_error(cpu->arch.tr.sel), "new task in virtual-8086 mode with CET");
    }
    if (source != TASK_IRET) {
        TRY(cet_shadow_on(cpu) ? enter_stack(cpu, t) : CPU_OK);
        cet_far_track(cpu);
        return CPU_OK;
    }
    u64 lip = (cpu->d.seg_base[SEG_CS] + cpu->arch.rip) & cpu->d.lin_mask;
    if (t->verify && (t->cs != cpu->arch.seg[SEG_CS].sel || t->lip != lip)) {
        return raise_cp(cpu, CP_FAR_RET_IRET, "IRET to a task: shadow stack differs");
    }
    if (cet_shadow_on(cpu)) {
        if ((t->ssp & 3) != 0 || (t->ssp >> 32) != 0) {
            return raise_cp(cpu, CP_FAR_RET_IRET, "IRET to a task: SSP not aligned or too wide");
        }
        cpu->arch.ssp = t->ssp;
    }
    return CPU_OK;
}

/* ---- Instructions ---- */

static cpu_rc need_shadow(struct cpu *cpu)
{
    return cet_shadow_on(cpu) ? CPU_OK : raise_ud(cpu, "shadow stack not enabled");
}

/* Linear address of the memory operand, aligned to its size. */
static cpu_rc token_operand(struct cpu *cpu, const struct insn *in, unsigned size, unsigned access, u64 *lin)
{
    TRY(mem_linear(cpu, insn_seg(in), insn_offset(cpu, in), size, access, lin));
    return (*lin & (size - 1)) == 0 ? CPU_OK : raise_gp(cpu, 0, "shadow-stack operand not aligned");
}

cpu_rc exec_incssp(struct cpu *cpu, const struct insn *in)
{
    TRY(need_shadow(cpu));
    unsigned size = in->osz == 8 ? 8 : 4;
    u64 count = cpu->arch.gpr[in->r[0] & 15u] & 0xff;
    u64 last = (count == 0 ? 1 : count) - 1;
    u64 v;
    TRY(shadow_read(cpu, cpu->arch.ssp, size, ACCESS_SHADOW, &v));
    TRY(shadow_read(cpu, cpu->arch.ssp + last * size, size, ACCESS_SHADOW, &v));
    cpu->arch.ssp += count * size;
    return CPU_OK;
}

/* A NOP when shadow stacks are off. */
cpu_rc exec_rdssp(struct cpu *cpu, const struct insn *in)
{
    if (cet_shadow_on(cpu)) {
        gpr_write(cpu, in->r[0], in->osz == 8 ? 8 : 4, cpu->arch.ssp);
    }
    return CPU_OK;
}

/* [SDM2 "SAVEPREVSSP"]: CF says that an alignment hole lies above the token. */
cpu_rc exec_saveprevssp(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    TRY(need_shadow(cpu));
    u64 ssp = cpu->arch.ssp;
    u64 token, hole;
    if ((ssp & 7) != 0) {
        return raise_gp(cpu, 0, "SAVEPREVSSP: SSP not aligned");
    }
    TRY(shadow_read(cpu, ssp, 8, ACCESS_SHADOW, &token));
    u64 next = ssp + 8;
    if (flag_cf(cpu)) {
        if (cpu->d.code64) {
            return raise_gp(cpu, 0, "SAVEPREVSSP: alignment hole in 64-bit mode");
        }
        TRY(shadow_read(cpu, next, 4, ACCESS_SHADOW, &hole));
        if (hole != 0) {
            return raise_gp(cpu, 0, "SAVEPREVSSP: alignment hole not zero");
        }
        next += 4;
    }
    if ((token & TOKEN_PREV) == 0 || (!cpu->d.code64 && (token >> 32) != 0)) {
        return raise_gp(cpu, 0, "SAVEPREVSSP: not a previous-SSP token");
    }
    u64 old = token & ~(u64)3;
    u64 at = align_down(old, 8) - 8;
    bool align = (old & 7) != 0;
    if (align) {
        TRY(lin_probe(cpu, old - 4, 4, ACCESS_WRITE | ACCESS_SHADOW));
    }
    TRY(shadow_write(cpu, at, 8, ACCESS_SHADOW, old | (cpu->d.code64 ? TOKEN_MODE64 : 0u)));
    if (align) {
        TRY(shadow_write(cpu, old - 4, 4, ACCESS_SHADOW, 0));
    }
    cpu->arch.ssp = next;
    return CPU_OK;
}

cpu_rc exec_rstorssp(struct cpu *cpu, const struct insn *in)
{
    TRY(need_shadow(cpu));
    u64 lin, token;
    u64 mode = cpu->d.code64 ? TOKEN_MODE64 : 0u;
    TRY(token_operand(cpu, in, 8, ACCESS_READ, &lin));
    TRY(lin_probe(cpu, lin, 8, ACCESS_WRITE | ACCESS_SHADOW));
    TRY(shadow_read(cpu, lin, 8, ACCESS_SHADOW, &token));
    u64 top = token & ~(u64)TOKEN_MODE64;
    if ((token & 3) != mode || (!cpu->d.code64 && (token >> 32) != 0) ||
        align_down(top - 8, 8) != lin) {
        return raise_cp(cpu, CP_RSTORSSP, "RSTORSSP: not a restore token");
    }
    TRY(shadow_write(cpu, lin, 8, ACCESS_SHADOW, cpu->arch.ssp | mode | TOKEN_PREV));
    cpu->arch.ssp = lin;
    flags_set_arith(cpu, (token & 4) != 0 ? RFLAGS_CF : 0u);
    return CPU_OK;
}

static cpu_rc write_shadow(struct cpu *cpu, const struct insn *in, unsigned access)
{
    unsigned size = in->osz == 8 ? 8 : 4;
    u64 lin;
    TRY(token_operand(cpu, in, size, ACCESS_WRITE, &lin));
    return shadow_write(cpu, lin, size, access, gpr_read(cpu, in->r[1], size));
}

cpu_rc exec_wrss(struct cpu *cpu, const struct insn *in)
{
    TRY(need_shadow(cpu));
    if ((cet_control(cpu) & CET_WR_SHSTK_EN) == 0) {
        return raise_ud(cpu, "WRSS not enabled");
    }
    return write_shadow(cpu, in, ACCESS_SHADOW);
}

cpu_rc exec_wruss(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->arch.cr4 & CR4_CET) == 0) {
        return raise_ud(cpu, "WRUSS without CR4.CET");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "WRUSS outside level 0");
    }
    return write_shadow(cpu, in, ACCESS_SHADOW | ACCESS_USER);
}

static cpu_rc need_supervisor_shadow(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_CET) == 0 || (cpu->arch.s_cet & CET_SH_STK_EN) == 0) {
        return raise_ud(cpu, "supervisor shadow stack not enabled");
    }
    return cpu_cpl(cpu) == 0 ? CPU_OK : raise_gp(cpu, 0, "shadow-stack switch outside level 0");
}

cpu_rc exec_setssbsy(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    TRY(need_supervisor_shadow(cpu));
    u64 ssp = cpu->arch.pl_ssp[0];
    u64 token;
    if ((ssp & 7) != 0) {
        return raise_gp(cpu, 0, "IA32_PL0_SSP not aligned");
    }
    TRY(lin_probe(cpu, ssp, 8, ACCESS_WRITE | ACCESS_SHADOW));
    TRY(shadow_read(cpu, ssp, 8, ACCESS_SHADOW, &token));
    if (token != ssp) {
        return raise_cp(cpu, CP_SETSSBSY, "SETSSBSY: token busy or wrong");
    }
    TRY(shadow_write(cpu, ssp, 8, ACCESS_SHADOW, ssp | TOKEN_BUSY));
    cpu->arch.ssp = ssp;
    return CPU_OK;
}

cpu_rc exec_clrssbsy(struct cpu *cpu, const struct insn *in)
{
    TRY(need_supervisor_shadow(cpu));
    u64 lin, token;
    TRY(token_operand(cpu, in, 8, ACCESS_READ, &lin));
    TRY(lin_probe(cpu, lin, 8, ACCESS_WRITE | ACCESS_SHADOW));
    TRY(shadow_read(cpu, lin, 8, ACCESS_SHADOW, &token));
    bool valid = token == (lin | TOKEN_BUSY);
    if (valid) {
        TRY(shadow_write(cpu, lin, 8, ACCESS_SHADOW, lin));
    }
    flags_set_arith(cpu, valid ? 0u : RFLAGS_CF);
    cpu->arch.ssp = 0;
    return CPU_OK;
}
