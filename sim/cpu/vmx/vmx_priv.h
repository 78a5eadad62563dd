/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of vmx/. Where to start: insn.c (the instructions), entry.c, exit.c, intercept.c (instructions of
 * the guest), event.c (events of the guest), apic.c (the virtual APIC), memory.c (EPT). */
#ifndef VITRINE_CPU_VMX_VMX_PRIV_H
#define VITRINE_CPU_VMX_VMX_PRIV_H

#include "base/bits.h"
#include "cpu/vmx/vmcs.h"
#include "cpu/vmx/vmx.h"

#define TRY(expr)                         \
    do {                                  \
        if (UNLIKELY((expr) != CPU_OK)) { \
            return CPU_EXIT;              \
        }                                 \
    } while (0)

/* ---- Capabilities: caps.c ---- */
u64 vmx_capability(const struct cpu *cpu, u32 msr);
u64 vmx_cr0_fixed1(const struct cpu *cpu);
u64 vmx_cr4_fixed1(const struct cpu *cpu);

/* ---- Reasons in words: reason.c ---- */
void vmx_say_exit(struct cpu *cpu, u32 reason, u64 qualification, const char *why);
void vmx_say_entry_failure(struct cpu *cpu, const char *id, const char *title, const char *field, u64 value,
                           u32 reason, u64 qualification);
/* `operand`: what was wrong: a pointer, an encoding, a type. */
void vmx_say_vmfail(struct cpu *cpu, u32 error, u64 operand, const char *why);

/* ---- Instructions: insn.c ---- */
void vmx_succeed(struct cpu *cpu);
/* VMfailValid with a current VMCS, else VMfailInvalid. */
void vmx_fail(struct cpu *cpu, u32 error, u64 operand, const char *why);

/* ---- Entry: entry.c ---- */
/* A list of MSRs to load: 0, or the 1-based number of the entry that failed. [SDM3 "Loading MSRs"] */
u32 vmx_load_msrs(struct cpu *cpu, u64 list, u32 count);

/* ---- Exit: exit.c ---- */
/* Fill cpu->exit. */
void vmx_exit_prepare(struct cpu *cpu, u32 reason, u64 qualification, const char *why);
/* Put an exit on its way: always CPU_EXIT. */
cpu_rc vmx_exit_because(struct cpu *cpu, u32 reason, u64 qualification, const char *why) MUST_USE;
/* The same at a boundary: makes the transition at once. */
void vmx_exit_now(struct cpu *cpu, u32 reason, u64 qualification, const char *why);
/* A VM entry failed after its checks of controls and host state: back to the host. */
void vmx_entry_failed(struct cpu *cpu, u32 reason, u64 qualification);

/* ---- Instruction information: info.c ---- */
u32 vmx_info_memory(const struct cpu *cpu, const struct insn *in);
u64 vmx_info_displacement(const struct cpu *cpu, const struct insn *in);

/* ---- Controls ---- */
static inline u32 vmx_proc2(const struct cpu *cpu)
{
    return cpu->arch.vmx.c.proc2;
}

/* ---- Preemption timer, windows: event.c ---- */
void vmx_timer_start(struct cpu *cpu);
u32 vmx_timer_left(const struct cpu *cpu);
void vmx_timer_stop(struct cpu *cpu);
bool vmx_nmi_unblocked(struct cpu *cpu);

/* ---- The virtual APIC: apic.c ---- */
u32 vmx_vapic_read(struct cpu *cpu, u32 offset);
void vmx_vapic_write(struct cpu *cpu, u32 offset, u32 value);
void vmx_tpr_changed(struct cpu *cpu);
void vmx_eoi(struct cpu *cpu);
void vmx_self_ipi(struct cpu *cpu, u8 vector);
void vmx_evaluate_interrupts(struct cpu *cpu);
void vmx_ppr_update(struct cpu *cpu);
bool vmx_virtual_interrupt(struct cpu *cpu);
bool vmx_posted_notification(struct cpu *cpu, u8 vector);
cpu_rc vmx_x2apic(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done) MUST_USE;

/* Does the processor use EPT for the running guest? */
static inline bool vmx_ept_on(const struct cpu *cpu)
{
    return (cpu->arch.vmx.c.proc2 & PROC2_EPT) != 0;
}

#endif
