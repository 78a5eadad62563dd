/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instructions of the guest that may exit. [SDM3 "Instructions That Cause VM Exits"], [SDM3 "Changes to
 * Instruction Behavior in VMX Non-Root Operation"] */
#include "cpu/apic.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

static u64 edx_eax(const struct cpu *cpu)
{
    return (u32)cpu->arch.gpr[RAX] | cpu->arch.gpr[RDX] << 32;
}

static cpu_rc exit_if(struct cpu *cpu, bool condition, u32 reason, const char *why)
{
    return condition ? vmx_exit_because(cpu, reason, 0, why) : CPU_OK;
}

static cpu_rc need(struct cpu *cpu, u32 control2, const char *why)
{
    return (vmx_proc2(cpu) & control2) != 0 ? CPU_OK : raise_ud(cpu, why);
}

/* An exit with displacement and memory-operand information. */
static cpu_rc exit_with_memory(struct cpu *cpu, const struct insn *in, u32 reason, u32 info, const char *why)
{
    u64 q = vmx_info_displacement(cpu, in);
    cpu_rc rc = vmx_exit_because(cpu, reason, q, why);
    cpu->exit.insn_info = info;
    return rc;
}

static cpu_rc check_umip(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_UMIP) != 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "CR4.UMIP");
    }
    return CPU_OK;
}

static cpu_rc on_gdtr_idtr(struct cpu *cpu, const struct insn *in)
{
    if ((vmx_proc2(cpu) & PROC2_DESC_TABLE) == 0) {
        return CPU_OK;
    }
    u32 which = 0;
    switch (insn_id(in)) {
    case INSN_SGDT: which = 0; break;
    case INSN_SIDT: which = 1; break;
    case INSN_LGDT: which = 2; break;
    default: which = 3; break;
    }
    if (which < 2) {
        TRY(check_umip(cpu));
    }
    u32 info = vmx_info_memory(cpu, in) | which << 28 | (in->osz != 2 ? BIT32(11) : 0u);
    return exit_with_memory(cpu, in, EXIT_GDTR_IDTR, info, "descriptor-table exiting");
}

static cpu_rc on_ldtr_tr(struct cpu *cpu, const struct insn *in)
{
    if ((vmx_proc2(cpu) & PROC2_DESC_TABLE) == 0) {
        return CPU_OK;
    }
    u32 which = 0;
    switch (insn_id(in)) {
    case INSN_SLDT: which = 0; break;
    case INSN_STR: which = 1; break;
    case INSN_LLDT: which = 2; break;
    default: which = 3; break;
    }
    if (which < 2) {
        TRY(check_umip(cpu));
    }
    return exit_with_memory(cpu, in, EXIT_LDTR_TR, vmx_info_memory(cpu, in) | which << 28,
                            "descriptor-table exiting");
}

static cpu_rc check_tsd(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_TSD) != 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "CR4.TSD");
    }
    return CPU_OK;
}

/* [SDM3 "Changes to Instruction Behavior in VMX Non-Root Operation"], PAUSE: gaps and windows in TSC ticks. */
static cpu_rc on_pause(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if (cpu_cpl(cpu) != 0) {
        return exit_if(cpu, (v->c.proc & PROC_PAUSE) != 0, EXIT_PAUSE, "PAUSE exiting");
    }
    if ((v->c.proc & PROC_PAUSE) != 0) {
        return vmx_exit_because(cpu, EXIT_PAUSE, 0, "PAUSE exiting");
    }
    if ((v->c.proc2 & PROC2_PAUSE_LOOP) == 0) {
        return CPU_OK;
    }
    u64 now = clock_tsc(cpu->clock);
    bool first = v->ple_last == 0 || now - v->ple_last > v->c.ple_gap;
    v->ple_last = now;
    if (first) {
        v->ple_first = now;
        return CPU_OK;
    }
    if (now - v->ple_first > v->c.ple_window) {
        v->ple_last = 0;
        return vmx_exit_because(cpu, EXIT_PAUSE, 0, "PAUSE-loop exiting");
    }
    return CPU_OK;
}

static cpu_rc on_invpcid(struct cpu *cpu, const struct insn *in)
{
    TRY(need(cpu, PROC2_INVPCID, "INVPCID not enabled"));
    if ((cpu->arch.vmx.c.proc & PROC_INVLPG) == 0) {
        return CPU_OK;
    }
    u32 info = (vmx_info_memory(cpu, in) & 0x0fffffff) | (u32)in->r[0] << 28;
    return exit_with_memory(cpu, in, EXIT_INVPCID, info, "INVLPG exiting");
}

static cpu_rc on_random(struct cpu *cpu, const struct insn *in, u32 control, u32 reason)
{
    if ((vmx_proc2(cpu) & control) == 0) {
        return CPU_OK;
    }
    cpu_rc rc = vmx_exit_because(cpu, reason, 0, "RDRAND or RDSEED exiting");
    cpu->exit.insn_info = (u32)in->r[0] << 3 | (in->osz == 8 ? 2u : in->osz == 4 ? 1u : 0u) << 11;
    return rc;
}

static cpu_rc on_xsaves(struct cpu *cpu, const struct insn *in)
{
    TRY(need(cpu, PROC2_XSAVES, "XSAVES or XRSTORS not enabled"));
    u64 bitmap = vmcs_read(cpu, VMCS_XSS_EXITING_BITMAP);
    if (cpu_cpl(cpu) != 0 || (edx_eax(cpu) & cpu->arch.xss & bitmap) == 0) {
        return CPU_OK;
    }
    bool save = insn_id(in) == INSN_XSAVES || insn_id(in) == INSN_XSAVES64;
    return exit_with_memory(cpu, in, save ? EXIT_XSAVES : EXIT_XRSTORS, vmx_info_memory(cpu, in),
                            "XSS-exiting bitmap");
}

static cpu_rc on_invlpg(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->arch.vmx.c.proc & PROC_INVLPG) == 0) {
        return CPU_OK;
    }
    u64 lin = (cpu->d.seg_base[insn_seg(in)] + insn_offset(cpu, in)) & cpu->d.lin_mask;
    cpu_rc rc = vmx_exit_because(cpu, EXIT_INVLPG, lin, "INVLPG exiting");
    cpu->exit.insn_info = 0;
    return rc;
}

static cpu_rc on_wait(struct cpu *cpu, const struct insn *in)
{
    TRY(need(cpu, PROC2_USER_WAIT, "user wait and pause not enabled"));
    if (insn_id(in) == INSN_UMONITOR) {
        return CPU_OK;
    }
    TRY(check_tsd(cpu));
    u32 reason = insn_id(in) == INSN_UMWAIT ? EXIT_UMWAIT : EXIT_TPAUSE;
    if ((cpu->arch.vmx.c.proc & PROC_RDTSC) == 0) {
        return CPU_OK;
    }
    cpu_rc rc = vmx_exit_because(cpu, reason, 0, "RDTSC exiting");
    cpu->exit.insn_info = (u32)(in->r[0] & 15u) << 3;
    return rc;
}

static cpu_rc on_xsetbv(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_OSXSAVE) == 0) {
        return raise_ud(cpu, "XSETBV without CR4.OSXSAVE");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "XSETBV outside level 0");
    }
    return vmx_exit_because(cpu, EXIT_XSETBV, 0, "XSETBV always exits");
}

/* ENCLS and PCONFIG: #UD outside level 0 comes first, then the bit of the leaf; leaves from 63 on share the last. */
static cpu_rc on_leaf(struct cpu *cpu, u32 control, u32 bitmap, u32 reason, const char *why)
{
    u32 leaf = (u32)cpu->arch.gpr[RAX];
    if (cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "ENCLS or PCONFIG outside level 0");
    }
    if ((vmx_proc2(cpu) & control) == 0) {
        return CPU_OK;
    }
    return exit_if(cpu, (vmcs_read(cpu, bitmap) & BIT(leaf < 63 ? leaf : 63)) != 0, reason, why);
}

static cpu_rc monitor_allowed(struct cpu *cpu)
{
    if (cpu_cpl(cpu) != 0 || (cpu->arch.misc_enable & MISC_ENABLE_MONITOR) == 0) {
        return raise_ud(cpu, "MONITOR or MWAIT not enabled or outside level 0");
    }
    return CPU_OK;
}

static cpu_rc on_mwait(struct cpu *cpu, bool monitor)
{
    u32 proc = cpu->arch.vmx.c.proc;
    TRY(monitor_allowed(cpu));
    if (monitor) {
        return exit_if(cpu, (proc & PROC_MONITOR) != 0, EXIT_MONITOR, "MONITOR exiting");
    }
    return (proc & PROC_MWAIT) != 0
               ? vmx_exit_because(cpu, EXIT_MWAIT, cpu->arch.monitor_armed, "MWAIT exiting")
               : CPU_OK;
}

static cpu_rc on_rdpmc(struct cpu *cpu)
{
    if ((cpu->arch.cr4 & CR4_PCE) == 0 && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "RDPMC without CR4.PCE");
    }
    return exit_if(cpu, (cpu->arch.vmx.c.proc & PROC_RDPMC) != 0, EXIT_RDPMC, "RDPMC exiting");
}

static cpu_rc on_rdtscp(struct cpu *cpu, const struct insn *in)
{
    TRY(need(cpu, PROC2_RDTSCP, "RDTSCP or RDPID not enabled"));
    if (insn_id(in) == INSN_RDPID) {
        return CPU_OK;
    }
    TRY(check_tsd(cpu));
    return exit_if(cpu, (cpu->arch.vmx.c.proc & PROC_RDTSC) != 0, EXIT_RDTSCP, "RDTSC exiting");
}

cpu_rc vmx_insn(struct cpu *cpu, const struct insn *in)
{
    u32 proc = cpu->arch.vmx.c.proc;
    switch ((enum intercept)insn_rows[insn_id(in)].icpt) {
    case ICPT_CPUID:
        return vmx_exit_because(cpu, EXIT_CPUID, 0, "CPUID always exits");
    case ICPT_HLT:
        return exit_if(cpu, (proc & PROC_HLT) != 0, EXIT_HLT, "HLT exiting");
    case ICPT_INVD:
        return vmx_exit_because(cpu, EXIT_INVD, 0, "INVD always exits");
    case ICPT_INVLPG:
        return on_invlpg(cpu, in);
    case ICPT_RDPMC:
        return on_rdpmc(cpu);
    case ICPT_RDTSC:
        TRY(check_tsd(cpu));
        return exit_if(cpu, (proc & PROC_RDTSC) != 0, EXIT_RDTSC, "RDTSC exiting");
    case ICPT_RDTSCP:
        return on_rdtscp(cpu, in);
    case ICPT_MWAIT:
        return on_mwait(cpu, false);
    case ICPT_MONITOR:
        return on_mwait(cpu, true);
    case ICPT_PAUSE:
        return on_pause(cpu);
    case ICPT_GDTR_IDTR:
        return on_gdtr_idtr(cpu, in);
    case ICPT_LDTR_TR:
        return on_ldtr_tr(cpu, in);
    case ICPT_WBINVD:
        return exit_if(cpu, (vmx_proc2(cpu) & PROC2_WBINVD) != 0, EXIT_WBINVD, "WBINVD exiting");
    case ICPT_XSETBV:
        return on_xsetbv(cpu);
    case ICPT_INVPCID:
        return on_invpcid(cpu, in);
    case ICPT_RDRAND:
        return on_random(cpu, in, PROC2_RDRAND, EXIT_RDRAND);
    case ICPT_RDSEED:
        return on_random(cpu, in, PROC2_RDSEED, EXIT_RDSEED);
    case ICPT_XSAVES:
        return on_xsaves(cpu, in);
    case ICPT_UMWAIT:
        return on_wait(cpu, in);
    case ICPT_ENCLS:
        return on_leaf(cpu, PROC2_ENCLS, VMCS_ENCLS_EXITING_BITMAP, EXIT_ENCLS, "ENCLS-exiting bitmap");
    case ICPT_PCONFIG:
        return on_leaf(cpu, PROC2_PCONFIG, VMCS_PCONFIG_EXITING_BITMAP, EXIT_PCONFIG, "PCONFIG-exiting bitmap");
    case ICPT_NONE:
    case ICPT_RSM: /* #UD outside SMM */
    case ICPT_CR:
    case ICPT_DR:
    case ICPT_IO:
    case ICPT_MSR:
    case ICPT_GETSEC:
    case ICPT_VMX:
    case ICPT_SVM:
    case ICPT_VMCALL:
    case ICPT_IRET:
    case ICPT_PUSHF:
    case ICPT_POPF:
    case ICPT_SOFT_INT:
    case ICPT_INT1:
    case ICPT_TASK:
    case ICPT_RDPRU:
    case ICPT_COUNT:
        break;
    }
    return CPU_OK;
}

/* ---- Control and debug registers ---- */

static cpu_rc cr_exit(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 extra,
                      const char *why)
{
    static const u8 types[] = {[CR_MOV_WRITE] = 0, [CR_MOV_READ] = 1, [CR_CLTS] = 2, [CR_LMSW] = 3};
    u64 q = cr | (u64)types[kind] << 4 | extra;
    if (kind == CR_MOV_WRITE || kind == CR_MOV_READ) {
        q |= (u64)(in->r[kind == CR_MOV_WRITE ? 1 : 0] & 15u) << 8;
    }
    return vmx_exit_because(cpu, EXIT_CR_ACCESS, q, why);
}

static cpu_rc fixed_bits(struct cpu *cpu, unsigned cr, u64 value)
{
    return vmx_cr_allowed(cpu, cr, value) ? CPU_OK
                                          : raise_gp(cpu, 0, "bit of CR0 or CR4 that VMX operation fixes");
}

/* MOV to CR0 or CR4 under mask and shadow. */
static cpu_rc write_masked(struct cpu *cpu, const struct insn *in, unsigned cr, u64 *value)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    u64 mask = cr == 0 ? c->cr0_mask : c->cr4_mask;
    u64 shadow = cr == 0 ? c->cr0_shadow : c->cr4_shadow;
    u64 real = cr == 0 ? cpu->arch.cr0 : cpu->arch.cr4;
    if (((*value ^ shadow) & mask) != 0) {
        return cr_exit(cpu, in, CR_MOV_WRITE, cr, 0, "CR guest/host mask and read shadow");
    }
    *value = (*value & ~mask) | (real & mask);
    return fixed_bits(cpu, cr, *value | (cr == 0 ? CR0_ET : 0u));
}

static cpu_rc write_cr3(struct cpu *cpu, const struct insn *in, u64 value)
{
    if ((cpu->arch.vmx.c.proc & PROC_CR3_LOAD) == 0) {
        return CPU_OK;
    }
    u32 count = vmcs_read32(cpu, VMCS_CR3_TARGET_COUNT);
    for (u32 i = 0; i < count; i++) {
        if (vmcs_read(cpu, VMCS_CR3_TARGET_0 + 2 * i) == value) {
            return CPU_OK;
        }
    }
    return cr_exit(cpu, in, CR_MOV_WRITE, 3, 0, "CR3-load exiting, no CR3 target");
}

static cpu_rc on_cr8(struct cpu *cpu, const struct insn *in, enum cr_access kind, u64 *value, bool *done)
{
    u32 proc = cpu->arch.vmx.c.proc;
    bool write = kind == CR_MOV_WRITE;
    if ((proc & (write ? PROC_CR8_LOAD : PROC_CR8_STORE)) != 0) {
        return cr_exit(cpu, in, kind, 8, 0, "CR8-load or CR8-store exiting");
    }
    if ((proc & PROC_TPR_SHADOW) == 0) {
        return CPU_OK;
    }
    *done = true;
    if (!write) {
        *value = (vmx_vapic_read(cpu, 0x80) & 0xff) >> 4;
        return CPU_OK;
    }
    if ((*value & ~(u64)0xf) != 0) {
        return raise_gp(cpu, 0, "reserved bits of CR8");
    }
    vmx_vapic_write(cpu, 0x80, (u32)*value << 4);
    vmx_tpr_changed(cpu);
    return CPU_OK;
}

static cpu_rc on_clts(struct cpu *cpu, const struct insn *in, u64 *value)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->cr0_mask & CR0_TS) == 0) {
        return CPU_OK;
    }
    if ((c->cr0_shadow & CR0_TS) != 0) {
        return cr_exit(cpu, in, CR_CLTS, 0, 0, "CR0.TS owned by the host and set in the shadow");
    }
    *value = cpu->arch.cr0;
    return CPU_OK;
}

/* [SDM3 "Instructions That Cause VM Exits Conditionally"], LMSW. */
static cpu_rc on_lmsw(struct cpu *cpu, const struct insn *in, u64 *value)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    u64 source = 0;
    TRY(opr_read(cpu, in, 0, 2, &source));
    u64 low = CR0_MP | CR0_EM | CR0_TS;
    bool sets_pe = (source & c->cr0_mask & ~c->cr0_shadow & CR0_PE) != 0;
    if (sets_pe || ((source ^ c->cr0_shadow) & c->cr0_mask & low) != 0) {
        bool memory = in->r[0] == OPR_MEM;
        cpu_rc rc = cr_exit(cpu, in, CR_LMSW, 0, source << 16 | (memory ? BIT(6) : 0),
                            "CR0 guest/host mask and read shadow");
        if (memory) {
            cpu->exit.linear = (cpu->d.seg_base[insn_seg(in)] + insn_offset(cpu, in)) & cpu->d.lin_mask;
        }
        return rc;
    }
    u64 keep = c->cr0_mask & (low | CR0_PE);
    *value = (*value & ~keep) | (cpu->arch.cr0 & keep);
    return fixed_bits(cpu, 0, *value);
}

cpu_rc vmx_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value, bool *done)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    switch (kind) {
    case CR_CLTS:
        return on_clts(cpu, in, value);
    case CR_LMSW:
        return on_lmsw(cpu, in, value);
    case CR_SMSW:
        *value = (cpu->arch.cr0 & ~c->cr0_mask) | (c->cr0_shadow & c->cr0_mask);
        return CPU_OK;
    case CR_MOV_WRITE:
    case CR_MOV_READ:
        break;
    }
    bool write = kind == CR_MOV_WRITE;
    switch (cr) {
    case 0:
        if (write) {
            return write_masked(cpu, in, 0, value);
        }
        *value = (*value & ~c->cr0_mask) | (c->cr0_shadow & c->cr0_mask);
        return CPU_OK;
    case 3:
        if (write) {
            return write_cr3(cpu, in, *value);
        }
        return (c->proc & PROC_CR3_STORE) != 0 ? cr_exit(cpu, in, kind, 3, 0, "CR3-store exiting") : CPU_OK;
    case 4:
        if (write) {
            return write_masked(cpu, in, 4, value);
        }
        *value = (*value & ~c->cr4_mask) | (c->cr4_shadow & c->cr4_mask);
        return CPU_OK;
    case 8:
        return on_cr8(cpu, in, kind, value, done);
    default:
        return CPU_OK;
    }
}

cpu_rc vmx_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write)
{
    if ((cpu->arch.vmx.c.proc & PROC_MOV_DR) == 0) {
        return CPU_OK;
    }
    u64 q = dr | (write ? 0 : BIT(4)) | (u64)(in->r[write ? 1 : 0] & 15u) << 8;
    return vmx_exit_because(cpu, EXIT_DR_ACCESS, q, "MOV-DR exiting");
}

/* ---- MSRs and ports ---- */

/* [SDM3 "MSR-Bitmap Address"]: four kilobytes: read low, read high, write low, write high. */
static bool msr_exits(struct cpu *cpu, u32 index, bool write)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->proc & PROC_MSR_BITMAPS) == 0) {
        return true;
    }
    u64 at = c->msr_bitmaps + (write ? 2048u : 0u);
    u32 bit = index & 0x1fff;
    if (index >= 0xc0000000u && index <= 0xc0001fffu) {
        at += 1024;
    } else if (index > 0x1fff) {
        return true;
    }
    return ((phys_read_scalar(cpu->phys, SPA(at + bit / 8), 1) >> (bit & 7)) & 1) != 0;
}

cpu_rc vmx_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if (msr_exits(cpu, index, write)) {
        return vmx_exit_because(cpu, write ? EXIT_WRMSR : EXIT_RDMSR, 0, "MSR bitmaps");
    }
    if (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST && (c->proc2 & PROC2_X2APIC) != 0) {
        return vmx_x2apic(cpu, index, write, value, done);
    }
    if (index == MSR_IA32_SPEC_CTRL && (c->proc3 & PROC3_SPEC_CTRL) != 0) {
        *done = true;
        u64 mask = vmcs_read(cpu, VMCS_SPEC_CTRL_MASK);
        if (!write) {
            *value = vmcs_read(cpu, VMCS_SPEC_CTRL_SHADOW);
            return CPU_OK;
        }
        u64 real = (*value & ~mask) | (cpu->arch.spec_ctrl & mask);
        TRY(msr_write(cpu, index, real));
        vmcs_write(cpu, VMCS_SPEC_CTRL_SHADOW, *value);
    }
    return CPU_OK;
}

static bool port_exits(struct cpu *cpu, u16 port, unsigned size)
{
    u32 proc = cpu->arch.vmx.c.proc;
    if ((proc & PROC_IO_BITMAPS) == 0) {
        return (proc & PROC_UNCOND_IO) != 0;
    }
    if (port + size > 0x10000) {
        return true; /* wraps around */
    }
    for (unsigned i = 0; i < size; i++) {
        u32 p = port + i;
        u64 map = vmcs_read(cpu, p < 0x8000 ? VMCS_IO_BITMAP_A : VMCS_IO_BITMAP_B);
        u64 byte = phys_read_scalar(cpu->phys, SPA(map + (p & 0x7fff) / 8), 1);
        if (((byte >> (p & 7)) & 1) != 0) {
            return true;
        }
    }
    return false;
}

cpu_rc vmx_io(struct cpu *cpu, const struct io_access *io)
{
    if (!port_exits(cpu, io->port, io->size)) {
        return CPU_OK;
    }
    u64 q = (io->size - 1u) | (io->in ? BIT(3) : 0) | (io->string ? BIT(4) : 0) | (io->rep ? BIT(5) : 0) |
            (io->imm ? BIT(6) : 0) | (u64)io->port << 16;
    cpu_rc rc = vmx_exit_because(cpu, EXIT_IO, q, "I/O bitmaps or unconditional I/O exiting");
    if (io->string) {
        cpu->exit.linear = io->linear;
        u32 asize = io->asize == 8 ? 2 : io->asize == 4 ? 1 : 0;
        cpu->exit.insn_info = asize << 7 | (io->in ? 0u : (u32)io->segment << 15);
    }
    return rc;
}

cpu_rc vmx_task_switch(struct cpu *cpu, u16 selector, enum task_source source)
{
    static const u8 codes[] = {[TASK_CALL] = 0, [TASK_IRET] = 1, [TASK_JMP] = 2, [TASK_INT] = 3};
    return vmx_exit_because(cpu, EXIT_TASK_SWITCH, selector | (u64)codes[source] << 30,
                            "task switches always exit");
}

u64 vmx_tsc(const struct cpu *cpu, u64 tsc)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->proc & PROC_TSC_OFFSET) == 0) {
        return tsc;
    }
    if ((c->proc2 & PROC2_TSC_SCALING) != 0) {
        tsc = (u64)((u128)tsc * c->tsc_multiplier >> 48);
    }
    return tsc + c->tsc_offset;
}
