/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flags with privilege, waiting, identification, counters, model-specific registers.
 * [SDM2 "Instruction Set Reference"], [APM3 "System Instruction Reference"]
 *
 * UMWAIT and TPAUSE end at once, as the manual allows for any reason of the implementation's. */
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/pmu.h"
#include "cpu/tlb.h"
#include "cpu/virt.h"
#include "trace/events.h"

static unsigned iopl_of(const struct cpu *cpu)
{
    return (unsigned)(cpu->arch.rflags & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT;
}

/* ---- IF and its virtual copy ---- */

enum if_target { IF_REAL, IF_VIRTUAL, IF_DENIED };

/* What CLI and STI change here. [SDM3 "Virtual-8086 Mode"], [SDM3 "Protected-Mode Virtual
 * Interrupts"] */
static enum if_target if_target(const struct cpu *cpu)
{
    if (cpu_cpl(cpu) <= iopl_of(cpu)) {
        return IF_REAL;
    }
    u64 wanted = cpu->d.v86 ? CR4_VME : CR4_PVI;
    return cpu_cpl(cpu) == 3 && (cpu->arch.cr4 & wanted) != 0 ? IF_VIRTUAL : IF_DENIED;
}

cpu_rc exec_cli(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    switch (if_target(cpu)) {
    case IF_REAL:
        cpu->arch.rflags &= ~(u64)RFLAGS_IF;
        return CPU_OK;
    case IF_VIRTUAL:
        cpu->arch.rflags &= ~(u64)RFLAGS_VIF;
        return CPU_OK;
    case IF_DENIED:
        break;
    }
    return raise_gp(cpu, 0, "CLI with CPL > IOPL");
}

cpu_rc exec_sti(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    switch (if_target(cpu)) {
    case IF_REAL:
        if ((cpu->arch.rflags & RFLAGS_IF) == 0 && !shadow_is_on(cpu)) {
            cpu->arch.int_shadow_sti = true; /* its end kicks: nothing that IF masks comes before that */
            cpu->arch.rflags |= RFLAGS_IF;
            cpu_leave_block(cpu);
            return CPU_OK;
        }
        cpu->arch.rflags |= RFLAGS_IF;
        cpu_lift_mask(cpu);
        return CPU_OK;
    case IF_VIRTUAL:
        if ((cpu->arch.rflags & RFLAGS_VIP) != 0) {
            return raise_gp(cpu, 0, "STI with VIP set");
        }
        cpu->arch.rflags |= RFLAGS_VIF;
        return CPU_OK;
    case IF_DENIED:
        break;
    }
    return raise_gp(cpu, 0, "STI with CPL > IOPL");
}

/* In virtual-8086 mode with IOPL < 3 only the 16-bit forms with CR4.VME work. */
static cpu_rc check_v86_flags(struct cpu *cpu, const struct insn *in, bool *virtual_if)
{
    *virtual_if = cpu->d.v86 && iopl_of(cpu) < 3;
    if (*virtual_if && ((cpu->arch.cr4 & CR4_VME) == 0 || in->osz != 2)) {
        return raise_gp(cpu, 0, "PUSHF or POPF in virtual-8086 mode with IOPL < 3");
    }
    return CPU_OK;
}

cpu_rc exec_pushf(struct cpu *cpu, const struct insn *in)
{
    bool virtual_if;
    TRY(check_v86_flags(cpu, in, &virtual_if));
    u64 v = cpu_rflags(cpu) & ~(u64)(RFLAGS_VM | RFLAGS_RF);
    if (virtual_if) {
        v = (v & ~(u64)RFLAGS_IF) | RFLAGS_IOPL | ((v & RFLAGS_VIF) != 0 ? RFLAGS_IF : 0u);
    }
    return stack_push(cpu, in->osz, v);
}

/* [SDM2 "POPF/POPFD/POPFQ"]: VM, VIF, VIP stay, RF becomes 0; IOPL needs CPL 0, IF CPL <= IOPL. */
static u64 popf_mask(const struct cpu *cpu, unsigned size)
{
    u64 mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
    if (cpu_cpl(cpu) == 0) {
        mask |= RFLAGS_IOPL;
    }
    if (cpu_cpl(cpu) <= iopl_of(cpu)) {
        mask |= RFLAGS_IF;
    }
    return size == 2 ? mask : mask | RFLAGS_AC | RFLAGS_ID | RFLAGS_RF;
}

cpu_rc exec_popf(struct cpu *cpu, const struct insn *in)
{
    bool virtual_if;
    u64 v;
    TRY(check_v86_flags(cpu, in, &virtual_if));
    TRY(stack_read(cpu, 0, in->osz, &v));
    u64 old = cpu_rflags(cpu);
    u64 mask = popf_mask(cpu, in->osz);
    v &= ~(u64)RFLAGS_RF;
    if (virtual_if) {
        if ((v & RFLAGS_TF) != 0 || ((v & RFLAGS_IF) != 0 && (old & RFLAGS_VIP) != 0)) {
            return raise_gp(cpu, 0, "POPF with TF, or IF while VIP is set");
        }
        v = (v & ~(u64)RFLAGS_VIF) | ((v & RFLAGS_IF) != 0 ? RFLAGS_VIF : 0u);
        mask |= RFLAGS_VIF;
    }
    stack_move(cpu, in->osz);
    u64 now = (old & ~mask) | (v & mask);
    cpu_set_rflags(cpu, now);
    u64 changed = old ^ now;
    if ((changed & (RFLAGS_TF | RFLAGS_AC | RFLAGS_RF)) != 0) {
        cpu_update_level(cpu);
    }
    if ((changed & now & RFLAGS_IF) != 0) {
        cpu_lift_mask(cpu);
    }
    return CPU_OK;
}

static cpu_rc set_ac(struct cpu *cpu, bool ac)
{
    if (cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "CLAC or STAC outside level 0");
    }
    if (((cpu->arch.rflags & RFLAGS_AC) != 0) != ac) {
        cpu->arch.rflags ^= RFLAGS_AC;
        cpu_update_level(cpu);
    }
    return CPU_OK;
}

cpu_rc exec_clac(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return set_ac(cpu, false);
}

cpu_rc exec_stac(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return set_ac(cpu, true);
}

/* ---- Waiting ---- */

cpu_rc exec_hlt(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    cpu->arch.activity = ACTIVITY_HLT;
    cpu_kick(cpu);
    return CPU_OK;
}

/* PAUSE takes a while on every chip, 40 to 140 cycles; here as long as 32 instructions (64 ticks of the TSC at the
 * usual rates: short of the gap of 128 that KVM tells PAUSE-loop exiting). So guests that wait by it cost the host
 * less. It ends its block: what it charged may end the slice. */
#define PAUSE_COUNTS 32u

/* Who waits for another processor makes many: the fourth gives the rest of the turn away. */
cpu_rc exec_pause(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    cpu_charge(cpu, PAUSE_COUNTS - 1);
    if (cpu->set->count > 1 && ++cpu->arch.pauses == 4) {
        cpu->arch.pauses = 0;
        cpu->d.yield = true;
        cpu->d.stop = true;
        cpu_leave_block(cpu);
    }
    return CPU_OK;
}

void monitor_watch(struct cpu *cpu)
{
    u64 frame;
    u8 *host;
    bool writable;
    if (cpu->arch.monitor_armed &&
        phys_page(cpu->phys, SPA(cpu->arch.monitor_spa), &frame, &host, &writable)) {
        cpu->phys->pages[frame].flags |= PAGE_MONITORED;
        tlb_withdraw_write(cpu->set, frame);
    }
}

/* The line is watched by its system-physical address; the page has no fast write entry from now on. */
static cpu_rc arm_monitor(struct cpu *cpu, unsigned seg, u64 offset)
{
    u64 lin;
    spa_t spa;
    TRY(mem_linear(cpu, seg, offset, 1, ACCESS_READ, &lin));
    TRY(lin_translate(cpu, lin, ACCESS_READ, &spa));
    cpu->arch.monitor_armed = true;
    cpu->arch.monitor_hit = false;
    cpu->arch.monitor_spa = spa.v;
    monitor_watch(cpu);
    return CPU_OK;
}

static cpu_rc need_monitor(struct cpu *cpu)
{
    const u64 misc_enable_monitor = BIT(18);
    bool off = cpu_is_intel(cpu) && (cpu->arch.misc_enable & misc_enable_monitor) == 0;
    if (off || cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "MONITOR or MWAIT not enabled or outside level 0");
    }
    return CPU_OK;
}

cpu_rc exec_monitor(struct cpu *cpu, const struct insn *in)
{
    TRY(need_monitor(cpu));
    if ((u32)cpu->arch.gpr[RCX] != 0) {
        return raise_gp(cpu, 0, "MONITOR extensions");
    }
    unsigned seg = (in->pfx & PFX_SEG) != 0 ? insn_seg(in) : SEG_DS;
    return arm_monitor(cpu, seg, cpu->arch.gpr[RAX] & size_mask(insn_asize(in)));
}

/* Without an armed monitor, or when the line was stored to already, MWAIT does nothing. */
cpu_rc exec_mwait(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    TRY(need_monitor(cpu));
    u32 extensions = (u32)cpu->arch.gpr[RCX];
    if ((extensions & ~1u) != 0) {
        return raise_gp(cpu, 0, "MWAIT extensions");
    }
    if (cpu->arch.monitor_armed && !cpu->arch.monitor_hit) {
        cpu->arch.activity = ACTIVITY_MWAIT;
        cpu->arch.mwait_irq_wakes = (extensions & 1) != 0;
        cpu_kick(cpu);
    }
    return CPU_OK;
}

cpu_rc exec_umonitor(struct cpu *cpu, const struct insn *in)
{
    unsigned seg = (in->pfx & PFX_SEG) != 0 ? insn_seg(in) : SEG_DS;
    return arm_monitor(cpu, seg, cpu->arch.gpr[in->r[0] & 15u] & size_mask(insn_asize(in)));
}

/* UMWAIT, TPAUSE: CF would say that the operating system's time limit ended the wait. */
cpu_rc exec_umwait(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->arch.cr4 & CR4_TSD) != 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "CR4.TSD");
    }
    if (((u32)cpu->arch.gpr[in->r[0] & 15u] & ~1u) != 0) {
        return raise_gp(cpu, 0, "reserved bits of the wait control");
    }
    flags_set_arith(cpu, 0);
    return CPU_OK;
}

/* ---- Identification, time, counters ---- */

cpu_rc exec_cpuid(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (cpu_is_intel(cpu) && (cpu->arch.store.misc_feature_control[0] & 1) != 0 &&
        cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "CPUID faulting");
    }
    struct cpuid_regs r = cpuid_lookup(cpu, (u32)cpu->arch.gpr[RAX], (u32)cpu->arch.gpr[RCX]);
    cpu->arch.gpr[RAX] = r.eax;
    cpu->arch.gpr[RBX] = r.ebx;
    cpu->arch.gpr[RCX] = r.ecx;
    cpu->arch.gpr[RDX] = r.edx;
    return CPU_OK;
}

static void put_edx_eax(struct cpu *cpu, u64 v)
{
    cpu->arch.gpr[RAX] = (u32)v;
    cpu->arch.gpr[RDX] = v >> 32;
}

static u64 get_edx_eax(const struct cpu *cpu)
{
    return (u32)cpu->arch.gpr[RAX] | cpu->arch.gpr[RDX] << 32;
}

static cpu_rc check_tsd(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_TSD) != 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "CR4.TSD");
    }
    return CPU_OK;
}

cpu_rc exec_rdtsc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    TRY(check_tsd(cpu));
    put_edx_eax(cpu, cpu_rdtsc(cpu));
    return CPU_OK;
}

cpu_rc exec_rdtscp(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    TRY(check_tsd(cpu));
    put_edx_eax(cpu, cpu_rdtsc(cpu));
    cpu->arch.gpr[RCX] = (u32)cpu->arch.tsc_aux;
    return CPU_OK;
}

cpu_rc exec_rdpid(struct cpu *cpu, const struct insn *in)
{
    gpr_write(cpu, in->r[0], cpu->d.code64 ? 8 : 4, cpu->arch.tsc_aux);
    return CPU_OK;
}

cpu_rc exec_rdpmc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    u64 v;
    if ((cpu->arch.cr4 & CR4_PCE) == 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "RDPMC without CR4.PCE");
    }
    TRY(pmu_rdpmc(cpu, (u32)cpu->arch.gpr[RCX], &v));
    put_edx_eax(cpu, v);
    return CPU_OK;
}

/* [APM3 "RDPRU"]: MPERF and APERF; 0 beyond. */
cpu_rc exec_rdpru(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    const u32 mperf = 0xe7;
    u32 index = (u32)cpu->arch.gpr[RCX];
    u64 v = 0;
    if ((cpu->arch.cr4 & CR4_TSD) != 0 && cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "RDPRU with CR4.TSD");
    }
    if (index <= 1) {
        TRY(msr_read(cpu, mperf + index, &v));
    }
    put_edx_eax(cpu, v);
    flags_set_arith(cpu, index <= 1 ? RFLAGS_CF : 0u);
    return CPU_OK;
}

cpu_rc exec_rdmsr(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    u64 v = 0;
    u32 index = (u32)cpu->arch.gpr[RCX];
    bool done = false;
    if (in_guest(cpu)) {
        TRY(virt_msr(cpu, index, false, &v, &done));
    }
    if (!done) {
        TRY(msr_read(cpu, index, &v));
    }
    trace_msr_read(cpu->trace, cpu->index, index, v, cpu->arch.rip);
    put_edx_eax(cpu, v);
    return CPU_OK;
}

cpu_rc exec_wrmsr(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    u64 v = get_edx_eax(cpu);
    u32 index = (u32)cpu->arch.gpr[RCX];
    bool done = false;
    if (in_guest(cpu)) {
        TRY(virt_msr(cpu, index, true, &v, &done));
    }
    if (!done) {
        TRY(msr_write(cpu, index, v));
    }
    trace_msr_write(cpu->trace, cpu->index, index, v, cpu->arch.rip);
    cpu_leave_block(cpu);
    return CPU_OK;
}

/* ---- Protection keys, CLZERO ---- */

cpu_rc exec_rdpkru(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if ((cpu->arch.cr4 & CR4_PKE) == 0) {
        return raise_ud(cpu, "RDPKRU without CR4.PKE");
    }
    if ((u32)cpu->arch.gpr[RCX] != 0) {
        return raise_gp(cpu, 0, "RDPKRU with ECX not 0");
    }
    put_edx_eax(cpu, cpu->arch.pkru);
    return CPU_OK;
}

cpu_rc exec_wrpkru(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if ((cpu->arch.cr4 & CR4_PKE) == 0) {
        return raise_ud(cpu, "WRPKRU without CR4.PKE");
    }
    if ((u32)cpu->arch.gpr[RCX] != 0 || (u32)cpu->arch.gpr[RDX] != 0) {
        return raise_gp(cpu, 0, "WRPKRU with ECX or EDX not 0");
    }
    cpu->arch.pkru = (u32)cpu->arch.gpr[RAX];
    cpu_update_mode(cpu);
    return CPU_OK;
}

cpu_rc exec_clzero(struct cpu *cpu, const struct insn *in)
{
    static const u8 zero[64];
    unsigned seg = (in->pfx & PFX_SEG) != 0 ? insn_seg(in) : SEG_DS;
    u64 offset = cpu->arch.gpr[RAX] & size_mask(insn_asize(in)) & ~(u64)63;
    return mem_write_bytes(cpu, seg, offset, zero, sizeof zero);
}
