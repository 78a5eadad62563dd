/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guest mode as the trace sees it. Whose hypercalls a guest makes follows from the signature that its
 * hypervisor answered to CPUID leaf 40000000h (or 40000100h), or from Hyper-V's in the leaf after it: seen at the entry after the exit. Where a guest
 * saw several (Hyper-V's first, Xen's behind it), the registers' conventions decide.
 *
 * VMI has no signature: its calls come from its ROM, and are told by that where no signature was seen.
 *
 * Left out: what a ROM of VMI does without an exit; hypercalls with their input in XMM registers, and calls by ports (VMware's backdoor). */
#include "cpu/virt_trace.h"

#include "abi/vmi/rom.h"
#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/tlb.h"
#include "mmu/walk.h"

#include <string.h>

#define HYPERCALL_REGISTERS 8u
#define HYPERV_INTERFACE 0x31237648u /* "Hv#1" [TLFS "Feature and Interface Discovery"] */

/* The table's entry for a virtual processor; another's is replaced. */
static struct trace_guest *guest_of(struct trace *t, u64 vcpu, u64 root)
{
    struct trace_guest *g = &t->guests[(vcpu >> PAGE_SHIFT) % TRACE_GUESTS];
    if (g->vcpu != vcpu) {
        *g = (struct trace_guest){.vcpu = vcpu};
    }
    g->root = root;
    return g;
}

static u64 info2_of(const struct vm_exit *e, u64 reason)
{
    if ((reason & TRACE_EXIT_SVM) != 0) {
        return e->info2;
    }
    switch (reason & 0xffff) {
    case EXIT_EPT_VIOLATION:
    case EXIT_EPT_MISCONFIG:
        return e->gpa;
    case EXIT_EXCEPTION_NMI:
    case EXIT_EXTERNAL_INTERRUPT:
        return e->int_info;
    default:
        return e->insn_info;
    }
}

static bool is_hypercall(u64 reason)
{
    return reason == EXIT_VMCALL || reason == (TRACE_EXIT_SVM | SVM_EXIT_VMMCALL);
}

static bool is_cpuid(u64 reason)
{
    return reason == EXIT_CPUID || reason == (TRACE_EXIT_SVM | SVM_EXIT_CPUID);
}

static enum trace_interface signature(u64 ebx, u64 ecx, u64 edx)
{
    static const struct {
        char text[13];
        enum trace_interface interface;
    } known[] = {{"Microsoft Hv", TRACE_INTERFACE_HYPERV},
                 {"XenVMMXenVMM", TRACE_INTERFACE_XEN},
                 {"KVMKVMKVM\0\0\0", TRACE_INTERFACE_KVM},
                 {"VMwareVMware", TRACE_INTERFACE_VMWARE}};
    u8 text[12];
    store_le32(text, (u32)ebx);
    store_le32(text + 4, (u32)ecx);
    store_le32(text + 8, (u32)edx);
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (memcmp(text, known[i].text, sizeof text) == 0) {
            return known[i].interface;
        }
    }
    return TRACE_INTERFACE_UNKNOWN;
}

/* Host bytes of a linear address of the guest's, of memory alone; a look that changes nothing. */
static const u8 *peek(struct cpu *cpu, u64 lin)
{
    struct walk_root root;
    struct walk_result res;
    u64 frame;
    u8 *host;
    bool writable;
    walk_root_of(cpu, &root);
    if (!walk_linear(cpu->phys, &root, lin & cpu->d.lin_mask, WALK_READ | WALK_PROBE, &res) ||
        !phys_page(cpu->phys, SPA(res.spa.v & cpu->phys->a20_mask), &frame, &host, &writable)) {
        return NULL;
    }
    return host + (lin & PAGE_MASK);
}

/* Does the instruction lie in a ROM of VMI? One is 128 KiB at most. */
static bool is_in_vmi_rom(struct cpu *cpu)
{
    u64 lin = cpu->d.seg_base[SEG_CS] + cpu->arch.rip;
    u64 start = lin & ~(u64)(VMI_ROM_ALIGN - 1);
    for (unsigned i = 0; i < KIB(128) / VMI_ROM_ALIGN; i++, start -= VMI_ROM_ALIGN) {
        const u8 *p = peek(cpu, start);
        if (p == NULL) {
            return false;
        }
        if (load_le16(p) == VMI_ROM_MARK_IS && load_le32(p + VMI_ROM_SIGNATURE) == VMI_ROM_SIGNATURE_IS) {
            return ((lin - start) & 0xffffffff) < 512u * p[VMI_ROM_LENGTH];
        }
    }
    return false;
}

/* Xen's calls have numbers below 64 in EAX, Hyper-V's in the low 16 bits of a control word in RCX,
 * VMware's in the low 16 bits of RCX beside a magic number in EAX. */
static enum trace_interface interface_of(struct cpu *cpu, const struct trace_guest *g, u64 rax)
{
    const struct trace *t = cpu->trace;
    u32 seen = g->interfaces;
    for (unsigned i = 0; i < TRACE_GUESTS && seen == 0; i++) { /* another processor of the same guest */
        seen = g->root != 0 && t->guests[i].root == g->root ? t->guests[i].interfaces : 0;
    }
    seen = seen != 0 ? seen : t->interfaces;
    if ((seen & BIT32(TRACE_INTERFACE_XEN)) != 0 && (u32)rax < 64) {
        return TRACE_INTERFACE_XEN;
    }
    for (u32 i = TRACE_INTERFACE_HYPERV; i <= TRACE_INTERFACE_VMWARE; i++) {
        if ((seen & BIT32(i)) != 0) {
            return (enum trace_interface)i;
        }
    }
    return !cpu->d.code64 && is_in_vmi_rom(cpu) ? TRACE_INTERFACE_VMI : TRACE_INTERFACE_UNKNOWN;
}

static void begin_hypercall(struct cpu *cpu, struct trace_guest *g)
{
    static const u8 order[HYPERCALL_REGISTERS] = {RAX, RBX, RCX, RDX, RSI, RDI, 8 /* R8 */, 10 /* R10 */};
    const u64 *gpr = cpu->arch.gpr;
    u8 regs[8 * HYPERCALL_REGISTERS];
    for (unsigned i = 0; i < HYPERCALL_REGISTERS; i++) {
        store_le64(regs + 8 * (size_t)i, gpr[order[i]]);
    }
    bool wide = cpu->d.code64;
    g->interface = interface_of(cpu, g, gpr[RAX]);
    /* A 32-bit caller of Hyper-V has the control word in EDX:EAX. */
    u64 control = wide ? gpr[RCX] : gpr[RAX];
    g->number = g->interface == TRACE_INTERFACE_HYPERV   ? control & 0xffff
                : g->interface == TRACE_INTERFACE_VMWARE ? gpr[RCX] & 0xffff
                                                         : gpr[RAX] & 0xffffffff;
    g->open = TRACE_OPEN_HYPERCALL;
    trace_hypercall(cpu->trace, cpu->index, g->interface, g->number, g->vcpu, cpu->arch.rip,
                    wide ? 64u : 32u, regs, sizeof regs);
}

void virt_trace_exit(struct cpu *cpu, u64 vcpu, u64 root, u64 reason, const char *rule, u32 size)
{
    const struct vm_exit *e = &cpu->exit;
    struct trace_guest *g = guest_of(cpu->trace, vcpu, root);
    trace_vm_exit(cpu->trace, cpu->index, reason, e->qualification, info2_of(e, reason), cpu->arch.rip, vcpu,
                  rule, size);
    g->open = TRACE_OPEN_NOTHING;
    if (is_hypercall(reason)) {
        begin_hypercall(cpu, g);
    } else if (is_cpuid(reason)) {
        g->open = TRACE_OPEN_CPUID;
        g->number = cpu->arch.gpr[RAX] & 0xffffffff;
    }
}

static void end_cpuid(struct cpu *cpu, struct trace_guest *g, u64 rax)
{
    const u64 *gpr = cpu->arch.gpr;
    trace_guest_cpuid(cpu->trace, cpu->index, g->number, (u32)rax, (u32)gpr[RBX], (u32)gpr[RCX], (u32)gpr[RDX]);
    enum trace_interface i = TRACE_INTERFACE_UNKNOWN;
    if ((g->number & 0xffff00ff) == 0x40000000) {
        i = signature(gpr[RBX], gpr[RCX], gpr[RDX]);
    } else if ((g->number & 0xffff00ff) == 0x40000001 && (u32)rax == HYPERV_INTERFACE) {
        i = TRACE_INTERFACE_HYPERV;
    }
    if (i != TRACE_INTERFACE_UNKNOWN) {
        g->interfaces |= BIT32(i);
        cpu->trace->interfaces |= BIT32(i);
    }
}

void virt_trace_entry_slow(struct cpu *cpu, const struct virt_entry *e)
{
    struct trace_guest *g = guest_of(cpu->trace, e->vcpu, e->root);
    trace_vm_entry(cpu->trace, cpu->index, e->vcpu, e->rip, e->root, e->inject, e->rax);
    if (g->open == TRACE_OPEN_HYPERCALL) {
        trace_hypercall_done(cpu->trace, cpu->index, g->interface, g->number, e->vcpu, e->rax);
    } else if (g->open == TRACE_OPEN_CPUID) {
        end_cpuid(cpu, g, e->rax);
    }
    g->open = TRACE_OPEN_NOTHING;
    if (e->inject != 0) {
        trace_inject(cpu->trace, cpu->index, e->inject, e->inject_error, e->vcpu);
    }
}
