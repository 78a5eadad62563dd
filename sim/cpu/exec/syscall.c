/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT. [SDM2 "SYSCALL-Fast System Call"], [APM3 "SYSCALL"]
 *
 * Vendor differences: Intel has SYSCALL and SYSRET in 64-bit mode only; AMD everywhere in protected
 * mode, but SYSENTER and SYSEXIT not in long mode. Intel's SYSRET checks RCX at level 0; AMD's loads
 * only the selector of SS. A single-step trap follows SYSCALL and SYSRET when TF is set afterwards. */
#include "cpu/model.h"
#include "cpu/segment.h"
#include "cpu/virt.h"

#define R11 11
#define FLAT_CODE (SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_G)
#define FLAT_DATA (SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_G | SEG_DB)

static void load_flat(struct cpu *cpu, unsigned seg, u64 sel, u32 attr, unsigned dpl)
{
    cpu->arch.seg[seg] = (struct segment){.sel = (u16)sel,
                                          .base = 0,
                                          .limit = 0xffffffff,
                                          .attr = attr | (dpl << SEG_DPL_SHIFT)};
}

/* Shadow stack and tracker on the way in: level 3 parks its SSP, level 0 starts with none. */
static void cet_enter(struct cpu *cpu, bool user_shadow)
{
    if (user_shadow) {
        cpu->arch.pl_ssp[3] = cpu->arch.ssp;
    }
    cpu_update_level(cpu);
    if (cet_shadow_on(cpu)) {
        cpu->arch.ssp = 0;
    }
    cet_far_track(cpu);
}

static void cet_leave(struct cpu *cpu)
{
    cpu_update_level(cpu);
    if (cet_shadow_on(cpu)) {
        cpu->arch.ssp = cpu->d.code64 ? cpu->arch.pl_ssp[3] : (u32)cpu->arch.pl_ssp[3];
    }
}

/* TF as it stands now decides about the trap. */
static void step_by_new_tf(struct cpu *cpu)
{
    cpu->d.step_decided = true;
    if ((cpu->arch.rflags & RFLAGS_TF) != 0) {
        cpu->arch.pending_db |= DR6_BS;
        cpu_kick(cpu);
    }
    cpu_lift_mask(cpu);
}

cpu_rc exec_syscall(struct cpu *cpu, const struct insn *in)
{
    struct cpu_arch *a = &cpu->arch;
    bool allowed = cpu_is_intel(cpu) ? cpu->d.code64 : cpu->d.prot && !cpu->d.v86;
    if (!allowed || (a->efer & EFER_SCE) == 0) {
        return raise_ud(cpu, "SYSCALL: mode or EFER.SCE");
    }
    bool user_shadow = cpu_cpl(cpu) == 3 && cet_shadow_on(cpu);
    u64 sel = (a->star >> 32) & 0xfffc;
    u64 flags = cpu_rflags(cpu) & ~(u64)RFLAGS_RF;
    u64 next = next_rip(cpu, in);
    if (cpu->d.long_mode) {
        a->gpr[RCX] = next;
        a->gpr[R11] = flags;
        a->rip = cpu->d.code64 ? a->lstar : a->cstar;
        load_flat(cpu, SEG_CS, sel, FLAT_CODE | SEG_L, 0);
        cpu_set_rflags(cpu, flags & ~a->sfmask);
    } else {
        a->gpr[RCX] = (u32)next;
        a->rip = (u32)a->star;
        load_flat(cpu, SEG_CS, sel, FLAT_CODE | SEG_DB, 0);
        cpu_set_rflags(cpu, flags & ~(u64)(RFLAGS_VM | RFLAGS_IF));
    }
    load_flat(cpu, SEG_SS, sel + 8, FLAT_DATA, 0);
    cet_enter(cpu, user_shadow);
    if (LIKELY((a->rflags & RFLAGS_TF) == 0 && !in_guest(cpu))) {
        cpu->d.step_decided = true; /* flags were only taken away: nothing that waited can come now */
    } else {
        step_by_new_tf(cpu);
    }
    return CPU_OK;
}

static cpu_rc check_sysret(struct cpu *cpu, bool wide)
{
    bool intel = cpu_is_intel(cpu);
    if ((intel && !cpu->d.code64) || (cpu->arch.efer & EFER_SCE) == 0) {
        return raise_ud(cpu, "SYSRET: mode or EFER.SCE");
    }
    if (!cpu->d.prot || cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "SYSRET outside level 0");
    }
    if (intel && wide && !lin_is_canonical(cpu, cpu->arch.gpr[RCX])) {
        return raise_gp(cpu, 0, "SYSRET: RCX not canonical");
    }
    return CPU_OK;
}

cpu_rc exec_sysret(struct cpu *cpu, const struct insn *in)
{
    struct cpu_arch *a = &cpu->arch;
    bool wide = in->osz == 8 && cpu->d.code64;
    TRY(check_sysret(cpu, wide));
    u64 sel = a->star >> 48;
    u64 flags = cpu_rflags(cpu);
    if (cpu->d.code64) {
        flags = a->gpr[R11] & 0x3c7fd7;
    } else {
        flags |= RFLAGS_IF;
    }
    a->rip = wide ? a->gpr[RCX] : (u32)a->gpr[RCX];
    load_flat(cpu, SEG_CS, (wide ? sel + 16 : sel) | 3, FLAT_CODE | (wide ? SEG_L : SEG_DB), 3);
    if (cpu_is_intel(cpu)) {
        load_flat(cpu, SEG_SS, (sel + 8) | 3, FLAT_DATA, 3);
    } else {
        a->seg[SEG_SS].sel = (u16)((sel + 8) | 3);
        a->seg[SEG_SS].attr |= SEG_DPL;
    }
    cpu_set_rflags(cpu, flags);
    cet_leave(cpu);
    step_by_new_tf(cpu);
    return CPU_OK;
}

cpu_rc exec_sysenter(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    struct cpu_arch *a = &cpu->arch;
    if (!cpu_is_intel(cpu) && cpu->d.long_mode) {
        return raise_ud(cpu, "SYSENTER in long mode");
    }
    u64 sel = a->sysenter_cs & 0xfffc;
    if (!cpu->d.prot || sel == 0) {
        return raise_gp(cpu, 0, "SYSENTER: real mode or IA32_SYSENTER_CS null");
    }
    bool user_shadow = cpu_cpl(cpu) == 3 && cet_shadow_on(cpu);
    bool wide = cpu->d.long_mode;
    a->gpr[RSP] = wide ? a->sysenter_esp : (u32)a->sysenter_esp;
    a->rip = wide ? a->sysenter_eip : (u32)a->sysenter_eip;
    load_flat(cpu, SEG_CS, sel, FLAT_CODE | (wide ? SEG_L : SEG_DB), 0);
    load_flat(cpu, SEG_SS, sel + 8, FLAT_DATA, 0);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(u64)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF));
    cet_enter(cpu, user_shadow);
    return CPU_OK;
}

cpu_rc exec_sysexit(struct cpu *cpu, const struct insn *in)
{
    struct cpu_arch *a = &cpu->arch;
    if (!cpu_is_intel(cpu) && cpu->d.long_mode) {
        return raise_ud(cpu, "SYSEXIT in long mode");
    }
    u64 sel = a->sysenter_cs & 0xfffc;
    if (!cpu->d.prot || sel == 0 || cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "SYSEXIT: privilege or IA32_SYSENTER_CS null");
    }
    bool wide = in->osz == 8 && cpu->d.code64;
    if (wide && (!lin_is_canonical(cpu, a->gpr[RCX]) || !lin_is_canonical(cpu, a->gpr[RDX]))) {
        return raise_gp(cpu, 0, "SYSEXIT: RCX or RDX not canonical");
    }
    a->gpr[RSP] = wide ? a->gpr[RCX] : (u32)a->gpr[RCX];
    a->rip = wide ? a->gpr[RDX] : (u32)a->gpr[RDX];
    u64 cs = sel + (wide ? 32 : 16);
    load_flat(cpu, SEG_CS, cs | 3, FLAT_CODE | (wide ? SEG_L : SEG_DB), 3);
    load_flat(cpu, SEG_SS, (cs + 8) | 3, FLAT_DATA, 3);
    cet_leave(cpu);
    return CPU_OK;
}
