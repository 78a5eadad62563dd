/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the trace gets from guest mode: exits and entries, and the two halves of what guests ask their
 * hypervisors (hypercalls, CPUID). Called before an exit or an entry moves RIP, on which the position hangs. Changes
 * nothing but the trace. */
#ifndef VITRINE_CPU_VIRT_TRACE_H
#define VITRINE_CPU_VIRT_TRACE_H

#include "cpu/cpu.h"
#include "trace/events.h"

#define VIRT_TRACE_CLASSES                                                                         \
    ((u32)1 << TRACE_CLASS_VIRT | (u32)1 << TRACE_CLASS_HYPERCALL | (u32)1 << TRACE_CLASS_INT)

struct virt_entry {
    u64 vcpu; /* address of the VMCS or VMCB */
    u64 root; /* EPT pointer or nCR3, 0 without */
    u64 rip, rax;      /* the guest's, as they will be */
    u64 inject;        /* VM-entry interruption information or EVENTINJ, 0: nothing */
    u32 inject_error;
};

/* The exit is described by cpu->exit, the guest's state is in the registers. reason: as vm_exit has it;
 * rule: what decided it, in words. For when VIRT_TRACE_CLASSES are on. */
void virt_trace_exit(struct cpu *cpu, u64 vcpu, u64 root, u64 reason, const char *rule, u32 size);
void virt_trace_entry_slow(struct cpu *cpu, const struct virt_entry *e);

/* RBX, RCX and RDX are the guest's. */
static inline void virt_trace_entry(struct cpu *cpu, const struct virt_entry *e)
{
    cpu_tell_moment(cpu, CPU_MOMENT_VM_ENTRY, e->vcpu);
    if (trace_on_any(cpu->trace, VIRT_TRACE_CLASSES)) {
        virt_trace_entry_slow(cpu, e);
    }
}

#endif
