/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guest mode: VMX non-root operation or an SVM guest. One neutral set of hooks, called where the manuals
 * let a hypervisor look; virt.c hands each to vmx/ or svm/. All cost one test of arch.guest outside guest
 * mode.
 *
 * A hook that returns CPU_EXIT has put an exit into cpu->exit and EVENT_VMEXIT into cpu->event; the
 * transition itself happens in cpu_deliver_event(), like any other event. Reasons in words: every exit,
 * failure and injected event carries a rule. */
#ifndef VITRINE_CPU_VIRT_H
#define VITRINE_CPU_VIRT_H

#include "cpu/cpu.h"
#include "cpu/segment.h"
#include "mmu/walk.h"

static inline bool in_guest(const struct cpu *cpu)
{
    return UNLIKELY(cpu->arch.guest != GUEST_NONE);
}

/* ---- Instructions ---- */

/* By the row's intercept column, after #UD and privilege checks, before the handler. For rows whose
 * condition depends on operands (CR, DR, MSR, IO, TASK) this passes and the hooks below decide. */
cpu_rc virt_insn(struct cpu *cpu, const struct insn *in) MUST_USE;
/* MOV to and from CR, CLTS, LMSW, SMSW. A write hook may change *value or say in *done that the
 * instruction is finished (masks and shadows, CR8 virtualization). For reads *value is what the guest sees. */
enum cr_access { CR_MOV_WRITE, CR_MOV_READ, CR_CLTS, CR_LMSW, CR_SMSW };
cpu_rc virt_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value,
               bool *done) MUST_USE;
cpu_rc virt_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write) MUST_USE;
/* RDMSR, WRMSR after the privilege check, before existence is looked at. *done: the access was virtualized
 * (x2APIC, SPEC_CTRL shadow ...), *value is the result. */
cpu_rc virt_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done) MUST_USE;
struct io_access {
    u16 port;
    u8 size;
    bool in, string, rep, imm;
    u8 segment;  /* string: effective segment */
    u8 asize;    /* string: address size in bytes */
    u64 linear;  /* string: linear address of the element */
};
cpu_rc virt_io(struct cpu *cpu, const struct io_access *io) MUST_USE;
cpu_rc virt_task_switch(struct cpu *cpu, u16 selector, enum task_source source, bool has_error, u32 error)
    MUST_USE;
/* VMCALL/VMMCALL, VMX and SVM instructions themselves have handlers in vmx/ and svm/. */

/* ---- Events ---- */

/* Before an exception, software interrupt or NMI is delivered in the guest: intercepted? Also called for
 * the double fault and for shutdown (EVENT_SHUTDOWN). */
cpu_rc virt_event(struct cpu *cpu, const struct event *ev) MUST_USE;
/* An exception came while another event was being delivered, and is not combined with it yet. */
cpu_rc virt_second_event(struct cpu *cpu, const struct event *ev) MUST_USE;
/* Delivery begins and ends: IDT-vectoring information, EXITINTINFO. */
void virt_delivery_begins(struct cpu *cpu, const struct event *ev);
void virt_delivery_done(struct cpu *cpu);
/* At an instruction boundary, in the manual's priority; each may exit. `virt_pending` is asked first for what
 * only exists in guest mode (MTF, preemption timer, interrupt and NMI windows, virtual interrupts, V_IRQ,
 * TPR threshold). True: something was delivered or an exit was taken. */
bool virt_pending(struct cpu *cpu);
/* Before that: what comes before debug traps (trap-like exits, VMX's monitor trap flag). */
bool virt_before_traps(struct cpu *cpu);
/* After an instruction of the guest completed, when virt_steps(). */
void virt_after_insn(struct cpu *cpu);
bool virt_steps(const struct cpu *cpu);
/* Does the processor hold INIT back (VMX root operation)? */
bool virt_blocks_init(const struct cpu *cpu);
/* Does INIT become #SX (SVM's VM_CR.R_INIT)? */
bool virt_redirects_init(const struct cpu *cpu);
/* The x87 unit waits with FERR# asserted: SVM's FERR_FREEZE. */
cpu_rc virt_ferr(struct cpu *cpu) MUST_USE;
/* Does IRET end the blocking of NMIs? */
bool virt_iret_unblocks(const struct cpu *cpu);
/* After physical interrupts: virtual ones that yield to them (SVM's V_IRQ). */
bool virt_interrupt(struct cpu *cpu);
/* Would a physical interrupt, an NMI, be let through (if the hypervisor does not take it)? */
bool virt_interrupts_open(const struct cpu *cpu);
bool virt_nmi_open(const struct cpu *cpu);
enum hw_event { HW_SMI, HW_INIT, HW_SIPI, HW_NMI, HW_EXT_INT };
/* Is a hardware event taken by the hypervisor instead? True: the exit was taken (or GIF holds the event). */
bool virt_hw_event(struct cpu *cpu, enum hw_event what);
/* May hardware events be taken at all (SVM's GIF)? Outside guest mode too. */
bool virt_gif(const struct cpu *cpu);

/* The transition for EVENT_VMEXIT: saves the guest, loads the host. */
void virt_exit(struct cpu *cpu);

/* ---- Memory ---- */

/* Are a guest's PAE page-directory pointers read in each walk (nested paging), not with CR3? */
bool virt_walks_pdptes(const struct cpu *cpu);
/* Fill root->nested when second-level translation is on. */
void virt_walk_root(const struct cpu *cpu, struct walk_root *root);
/* The page-modification log: its room before a walk, its entries after it. */
void virt_walk_log(struct cpu *cpu, struct walk_root *root);
void virt_log_dirty(struct cpu *cpu, const struct walk_result *res);
/* A guest's page-directory pointers lie at guest-physical addresses. */
cpu_rc virt_read_physical(struct cpu *cpu, u64 gpa, unsigned size, u64 *value) MUST_USE;
/* Fixed bits of CR0 and CR4 in VMX operation. */
bool virt_cr_allowed(const struct cpu *cpu, unsigned cr, u64 value);
/* A walk failed in the second level: make the exit (EPT violation or misconfiguration, #NPF), or #VE. */
cpu_rc virt_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res) MUST_USE;
/* Guest accesses to the APIC-access page and virtual-APIC page: sim/cpu/vmx decides; *done: the access was
 * virtualized. ACCESS_READ with ACCESS_WRITE: the read of a read-modify-write, whose write cannot fail after it. */
cpu_rc virt_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size,
                        bool *done) MUST_USE;
/* Which page (bit 0 set) needs it, 0: none; with AVIC, at which guest-physical address it appears. */
u64 virt_apic_page(const struct cpu *cpu, u64 *bar);
/* AVIC: the guest's APIC page is its backing page, whatever the nested tables say. */
void virt_place_apic(const struct cpu *cpu, struct walk_result *res);
/* Does this physical page need virt_apic_access? */
bool virt_is_apic_page(const struct cpu *cpu, spa_t spa);

/* TSC with the guest's offset and scaling applied. */
u64 virt_tsc(const struct cpu *cpu, u64 tsc);

/* At construction, when the clock is there. */
void virt_init(struct cpu *cpu);
/* Reset and state. */
void virt_reset(struct cpu *cpu);
void virt_state(struct cpu *cpu, struct state_io *io);

#endif
