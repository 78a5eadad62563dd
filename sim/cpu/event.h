/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an instruction says that it could not complete.
 *
 * Anything that can fault returns cpu_rc. CPU_EXIT means: what happens instead stands in
 * cpu->event, and this instruction committed nothing (named exceptions: REP, gathers, late faults of
 * a task switch, VM-entry failure after state load). No longjmp. */
#ifndef VITRINE_CPU_EVENT_H
#define VITRINE_CPU_EVENT_H

#include "abi/x86/registers.h"
#include "base/state.h"
#include "base/types.h"

typedef enum { CPU_OK = 0, CPU_EXIT = 1 } cpu_rc_enum;
typedef cpu_rc_enum cpu_rc;

enum event_kind {
    EVENT_NONE,
    EVENT_EXCEPTION, /* fault, trap or abort by vector; error code if has_error */
    EVENT_SOFT_INT,  /* INT n */
    EVENT_INT3,      /* INT3, INTO: software exceptions */
    EVENT_ICEBP,     /* INT1: privileged software exception */
    EVENT_EXT_INT,   /* external interrupt, vector already acknowledged */
    EVENT_NMI,
    EVENT_SHUTDOWN,  /* triple fault */
    EVENT_VMEXIT,    /* to the hypervisor: cpu->exit says why */
};

struct event {
    enum event_kind kind;
    u8 vector;
    bool has_error;
    u32 error;
    u64 cr2;      /* #PF: the faulting linear address */
    u64 dr6;      /* #DB: bits to set in DR6 (uninverted: BS, B0-3, BD, BT) */
    bool is_trap; /* RIP already points past the instruction (#DB traps) */
    u8 insn_len;  /* software interrupts: length, so that RIP pushed = rip + insn_len */
    bool next_rip_given; /* software interrupts injected by SVM: the pushed RIP is next_rip */
    u64 next_rip;
    const char *why; /* static text: the rule that decided it, for traces and logs; derived */
};

/* A VM exit or #VMEXIT on its way. */
struct vm_exit {
    u64 reason;        /* basic exit reason (VMX) or EXITCODE (SVM) */
    u64 qualification; /* exit qualification, or EXITINFO1 */
    u64 info2;         /* EXITINFO2 */
    u64 linear, gpa;   /* guest-linear and guest-physical address where the reason defines them */
    u32 insn_len, insn_info;
    u32 int_info, int_error; /* VM-exit interruption information */
    bool advances;     /* the instruction completed: RIP moves past it before the exit (trap-like) */
    const char *why;   /* the rule that decided it, static text */
};

struct cpu;

/* Each sets cpu->event and returns CPU_EXIT, so that `return raise_gp(cpu, 0)` reads well. */
cpu_rc raise_exception(struct cpu *cpu, unsigned vector, const char *why);
cpu_rc raise_error(struct cpu *cpu, unsigned vector, u32 error, const char *why);
cpu_rc raise_pf(struct cpu *cpu, u64 gva, u32 error, const char *why);
cpu_rc raise_db(struct cpu *cpu, u64 dr6_bits, bool is_trap, const char *why);

static inline cpu_rc raise_ud(struct cpu *cpu, const char *why)
{
    return raise_exception(cpu, VEC_UD, why);
}

static inline cpu_rc raise_nm(struct cpu *cpu)
{
    return raise_exception(cpu, VEC_NM, "CR0.TS or CR0.EM");
}

static inline cpu_rc raise_gp(struct cpu *cpu, u32 error, const char *why)
{
    return raise_error(cpu, VEC_GP, error, why);
}

static inline cpu_rc raise_ss(struct cpu *cpu, u32 error, const char *why)
{
    return raise_error(cpu, VEC_SS, error, why);
}

/* Deliver cpu->event (exception or software interrupt) through the IVT or IDT of the current mode,
 * with double and triple fault rules. Advances position by one. On return the event is consumed and
 * arch.rip is at the handler, or the processor is in shutdown. [SDM3 "Interrupt and Exception
 * Handling"] */
void cpu_deliver_event(struct cpu *cpu);

/* Look for what is pending at an instruction boundary (SMI, INIT, NMI, external interrupts, debug
 * traps), in the manual's priority [SDM3 "Priority Among Concurrent Events"]; deliver at most one.
 * True when something was delivered or the activity state changed. */
bool cpu_check_pending(struct cpu *cpu);

/* Acknowledge the external interrupt that is let through now: its vector, or -1. */
int cpu_ack_interrupt(struct cpu *cpu);

#endif
