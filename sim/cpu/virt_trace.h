/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the trace gets from guest mode: exits and entries, and the two halves of what guests ask their
 * hypervisors (hypercalls, CPUID). Called with the guest's state in the registers: before an exit saves it,
 * after an entry loaded it. Changes nothing but the trace. */
#ifndef VITRINE_CPU_VIRT_TRACE_H
#define VITRINE_CPU_VIRT_TRACE_H

#include "cpu/cpu.h"
#include "trace/events.h"

#define VIRT_TRACE_CLASSES                                                                         \
    ((u32)1 << TRACE_CLASS_VMX | (u32)1 << TRACE_CLASS_HYPERCALL | (u32)1 << TRACE_CLASS_INT)

/* vcpu: address of the VMCS or VMCB; root: EPT pointer or nCR3, 0 without; reason as vm_exit has it. */
void virt_trace_exit_slow(struct cpu *cpu, u64 vcpu, u64 root, u64 reason);
void virt_trace_entry_slow(struct cpu *cpu, u64 vcpu, u64 root, u64 inject, u32 inject_error);

/* The exit is described by cpu->exit. */
static inline void virt_trace_exit(struct cpu *cpu, u64 vcpu, u64 root, u64 reason)
{
    if (trace_on_any(cpu->trace, VIRT_TRACE_CLASSES)) {
        virt_trace_exit_slow(cpu, vcpu, root, reason);
    }
}

/* inject: VM-entry interruption information or EVENTINJ, 0: nothing. */
static inline void virt_trace_entry(struct cpu *cpu, u64 vcpu, u64 root, u64 inject, u32 inject_error)
{
    if (trace_on_any(cpu->trace, VIRT_TRACE_CLASSES)) {
        virt_trace_entry_slow(cpu, vcpu, root, inject, inject_error);
    }
}

#endif
