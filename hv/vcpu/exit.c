/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What hv does at each kind of exit. There is no default: a kind without a row stops the partition. */
#include "abi/x86/registers.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"
#include "hv/hypercall/hypercall.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/intercept.h"
#include "hv/vcpu/msr.h"
#include "hv/vcpu/run.h"
#include "hv/vcpu/task.h"

const char *const hv_exit_names[HV_EXIT_COUNT] = {
    [HV_EXIT_INTERRUPT] = "interrupt",
    [HV_EXIT_NMI] = "NMI",
    [HV_EXIT_WINDOW] = "interrupt window",
    [HV_EXIT_CPUID] = "CPUID",
    [HV_EXIT_HLT] = "HLT",
    [HV_EXIT_HYPERCALL] = "hypercall",
    [HV_EXIT_MSR_READ] = "RDMSR",
    [HV_EXIT_MSR_WRITE] = "WRMSR",
    [HV_EXIT_IO] = "port access",
    [HV_EXIT_SLAT] = "guest-physical address not mapped",
    [HV_EXIT_XSETBV] = "XSETBV",
    [HV_EXIT_CR_ACCESS] = "control register access",
    [HV_EXIT_EXCEPTION] = "exception",
    [HV_EXIT_TRIPLE_FAULT] = "triple fault",
    [HV_EXIT_TASK_SWITCH] = "task switch",
    [HV_EXIT_WBINVD] = "WBINVD",
    [HV_EXIT_FORBIDDEN] = "instruction that guests do not have",
    [HV_EXIT_INVALID] = "state that the processor refuses",
    [HV_EXIT_UNKNOWN] = "exit that hv does not know",
};

typedef void (*exit_handler)(struct vp *vp, struct hv_exit *exit);

static void stop(struct vp *vp, const struct hv_exit *exit)
{
    vp_fetch(vp);
    const struct vp_registers *r = &vp->r;
    log_line("partition %lu VP %u stops: %s (reason %lx, %lx, %lx)", vp->partition->id, vp->index,
             hv_exit_names[exit->kind], exit->raw_reason, exit->raw_info1, exit->raw_info2);
    log_line("rip %lx rflags %lx rsp %lx cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", r->rip, r->rflags,
             vp->gpr[X86_RSP], r->cr0, r->cr2, r->cr3, r->cr4, r->efer);
    log_line("rax %lx rcx %lx rdx %lx rbx %lx rsi %lx rdi %lx cs %x", vp->gpr[0], vp->gpr[1], vp->gpr[2],
             vp->gpr[3], vp->gpr[6], vp->gpr[7], (u32)r->segment[SEG_CS].selector);
    if (vp->partition == root_partition) {
        panic("the root partition cannot go on");
    }
    vp->partition->stopped = true;
    intercept_unrecoverable(vp);
}

static void exit_nothing(struct vp *vp, struct hv_exit *exit)
{
    (void)vp;
    (void)exit;
}

static void exit_cpuid(struct vp *vp, struct hv_exit *exit)
{
    if (!intercept_cpuid(vp, exit)) {
        struct cpuid r = vp_cpuid(vp, (u32)vp->gpr[X86_RAX], (u32)vp->gpr[X86_RCX]);
        vp->gpr[X86_RAX] = r.eax;
        vp->gpr[X86_RBX] = r.ebx;
        vp->gpr[X86_RCX] = r.ecx;
        vp->gpr[X86_RDX] = r.edx;
        vp_advance(vp, exit->length);
    }
}

static void exit_hlt(struct vp *vp, struct hv_exit *exit)
{
    vp_advance(vp, exit->length);
    if (!vp_has_event(vp)) {
        vp->suspend |= VP_SUSPEND_HALT;
    }
}

static void exit_msr_read(struct vp *vp, struct hv_exit *exit)
{
    u64 value = 0;
    if (vp_read_msr(vp, (u32)vp->gpr[X86_RCX], &value)) {
        vp->gpr[X86_RAX] = (u32)value;
        vp->gpr[X86_RDX] = value >> 32;
        vp_advance(vp, exit->length);
    } else if (!intercept_msr(vp, exit, false)) {
        vp_inject_exception(vp, 13, true, 0);
    }
}

static void exit_msr_write(struct vp *vp, struct hv_exit *exit)
{
    u64 value = vp->gpr[X86_RDX] << 32 | (u32)vp->gpr[X86_RAX];
    if (vp_write_msr(vp, (u32)vp->gpr[X86_RCX], value)) {
        vp_advance(vp, exit->length);
    } else if (!intercept_msr(vp, exit, true)) {
        vp_inject_exception(vp, 13, true, 0);
    }
}

/* Reached by children only: the root's ports are the machine's. */
static void exit_io(struct vp *vp, struct hv_exit *exit)
{
    if (intercept_io(vp, exit)) {
        return;
    }
    if (exit->io.in && !exit->io.string) { /* nothing there */
        u64 mask = exit->io.bytes == 4 ? 0xffffffff : (1ull << (8 * exit->io.bytes)) - 1;
        vp->gpr[X86_RAX] = exit->io.bytes == 4 ? mask : vp->gpr[X86_RAX] | mask;
    }
    vp_advance(vp, exit->length);
}

static void exit_slat(struct vp *vp, struct hv_exit *exit)
{
    if (vp->partition == root_partition) {
        log_line("the root touches %lx, which is not its own", exit->slat.gpa);
        stop(vp, exit);
        return;
    }
    if (!lapic_access(vp, exit)) {
        intercept_memory(vp, exit);
    }
}

static void exit_xsetbv(struct vp *vp, struct hv_exit *exit)
{
    u64 value = vp->gpr[X86_RDX] << 32 | (u32)vp->gpr[X86_RAX];
    u64 allowed = fpu_xcr0_allowed();
    bool ok = (u32)vp->gpr[X86_RCX] == 0 && (value & ~allowed) == 0 && (value & XCR0_X87) != 0 &&
              ((value & XCR0_AVX) == 0 || (value & XCR0_SSE) != 0) &&
              ((value & 0xe0) == 0 || (value & 0xe4) == 0xe4);
    if (!ok) {
        vp_inject_exception(vp, 13, true, 0);
        return;
    }
    vp->r.xcr0 = value;
    insn_xsetbv(0, value);
    vp_advance(vp, exit->length);
}

/* MOV to CR0 and CR4 as far as the processor does not do it by itself. [SDM3 "MOV—Move to/from Control Registers"] */
static bool write_cr(struct vp *vp, u8 number, u64 value)
{
    struct vp_registers *r = &vp->r;
    if (number == 0) {
        if (value >> 32 != 0 || ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) ||
            ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)) {
            return false;
        }
        if ((value & CR0_PG) != 0 && (r->cr0 & CR0_PG) == 0 && (r->efer & EFER_LME) != 0) {
            if ((r->cr4 & CR4_PAE) == 0 || (r->segment[SEG_CS].attributes & SEG_L) != 0) {
                return false;
            }
            r->efer |= EFER_LMA;
        } else if ((value & CR0_PG) == 0 && (r->cr0 & CR0_PG) != 0) {
            if ((r->segment[SEG_CS].attributes & SEG_L) != 0 && (r->efer & EFER_LMA) != 0) {
                return false;
            }
            r->efer &= ~(u64)EFER_LMA;
        }
        r->cr0 = value | CR0_ET;
        return true;
    }
    if ((value & CR4_VMXE) != 0 || (value & (CR4_LA57 | CR4_SMXE)) != 0 ||
        ((value & CR4_PAE) == 0 && (r->efer & EFER_LMA) != 0)) {
        return false;
    }
    r->cr4 = value;
    return true;
}

static void exit_cr(struct vp *vp, struct hv_exit *exit)
{
    vp_modify(vp);
    u8 n = exit->cr.number;
    bool ok = true;
    if (exit->cr.clts) {
        vp->r.cr0 &= ~(u64)CR0_TS;
    } else if (exit->cr.lmsw) {
        u64 low = (exit->cr.source & 0xeu) | ((exit->cr.source | vp->r.cr0) & CR0_PE);
        ok = write_cr(vp, 0, (vp->r.cr0 & ~0xeull) | low);
    } else if (n == 8 && !exit->cr.write) {
        vp->gpr[exit->cr.gpr] = vp->lapic.tpr >> 4;
    } else if (n == 8) {
        ok = vp->gpr[exit->cr.gpr] < 16;
        vp->lapic.tpr = (u32)(vp->gpr[exit->cr.gpr] & 15) << 4;
    } else if (exit->cr.write && (n == 0 || n == 4)) {
        ok = write_cr(vp, n, vp->gpr[exit->cr.gpr]);
    } else {
        stop(vp, exit);
        return;
    }
    if (ok) {
        vp_advance(vp, exit->length);
    } else {
        vp_inject_exception(vp, 13, true, 0);
    }
}

static void exit_forbidden(struct vp *vp, struct hv_exit *exit)
{
    (void)exit;
    vp_inject_exception(vp, 6, false, 0);
}

static void exit_exception(struct vp *vp, struct hv_exit *exit) { intercept_exception(vp, exit); }
static void exit_task_switch(struct vp *vp, struct hv_exit *exit) { task_switch(vp, exit); }
static void exit_wbinvd(struct vp *vp, struct hv_exit *exit) { vp_advance(vp, exit->length); }

static const exit_handler exit_table[HV_EXIT_COUNT] = {
    [HV_EXIT_INTERRUPT] = exit_nothing,
    [HV_EXIT_NMI] = exit_nothing,
    [HV_EXIT_WINDOW] = exit_nothing,
    [HV_EXIT_CPUID] = exit_cpuid,
    [HV_EXIT_HLT] = exit_hlt,
    [HV_EXIT_HYPERCALL] = hypercall_exit,
    [HV_EXIT_MSR_READ] = exit_msr_read,
    [HV_EXIT_MSR_WRITE] = exit_msr_write,
    [HV_EXIT_IO] = exit_io,
    [HV_EXIT_SLAT] = exit_slat,
    [HV_EXIT_XSETBV] = exit_xsetbv,
    [HV_EXIT_CR_ACCESS] = exit_cr,
    [HV_EXIT_EXCEPTION] = exit_exception,
    [HV_EXIT_TASK_SWITCH] = exit_task_switch,
    [HV_EXIT_WBINVD] = exit_wbinvd,
    [HV_EXIT_FORBIDDEN] = exit_forbidden,
};

void exit_handle(struct vp *vp, struct hv_exit *exit)
{
    if (exit_table[exit->kind] == NULL) {
        stop(vp, (const struct hv_exit *)exit);
    } else {
        exit_table[exit->kind](vp, exit);
    }
}
