/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VP's local APIC. Guests find it in x2APIC mode; they may go to xAPIC mode by way of switching it off. [SDM3 "Advanced Programmable
 * Interrupt Controller"] Left out: moving its window, the cluster model of xAPIC's logical destinations, errors other than illegal vectors. */
#ifndef HV_VCPU_LAPIC_H
#define HV_VCPU_LAPIC_H

#include "hv/core/types.h"

struct vp;

struct lapic {
    u32 irr[8], isr[8], auto_eoi[8];
    u32 tpr, spurious, icr_low, icr_high;
    u32 lvt_timer, lvt_lint0, lvt_lint1, lvt_error, lvt_perf, lvt_thermal;
    u32 divide, timer_initial;
    u64 timer_at;     /* TSC of the next expiry, 0 none */
    u64 timer_period; /* TSC, 0 one-shot */
    u32 esr, errors;  /* as software has latched it, and since then */
    u32 ldr, dfr;     /* xAPIC mode */
    u32 extint;       /* vector + 1 that the parent asserted as ExtInt, 0 none */
    bool extint_taken; /* the VP has acknowledged it, the parent has not cleared it yet */
};

void lapic_reset(struct vp *vp);
/* IA32_APIC_BASE. False: #GP. */
u64 lapic_base(const struct vp *vp);
bool lapic_write_base(struct vp *vp, u64 value);
/* An access to the window, where there is nothing except in xAPIC mode. False: it is none, or by an instruction that hv does not know. */
struct hv_exit;
bool lapic_access(struct vp *vp, const struct hv_exit *exit);
/* x2APIC registers, MSR 800 + index. False: #GP. */
bool lapic_read(struct vp *vp, u32 index, u64 *value);
bool lapic_write(struct vp *vp, u32 index, u64 value);
void lapic_assert(struct vp *vp, u8 vector, bool auto_eoi);
/* Highest interrupt above the priority, -1 none. */
int lapic_pending(const struct vp *vp);
/* It is delivered. */
void lapic_accept(struct vp *vp, u8 vector);
/* By software: else it takes no fixed interrupts. */
bool lapic_is_enabled(const struct vp *vp);
void lapic_eoi(struct vp *vp);
/* Delivers what is due; returns the TSC of the next, 0 none. */
u64 lapic_timer_poll(struct vp *vp, u64 now);
enum lapic_delivery { LAPIC_FIXED, LAPIC_LOWEST, LAPIC_SMI, LAPIC_REMOTE_READ, LAPIC_NMI, LAPIC_INIT, LAPIC_SIPI,
                      LAPIC_EXTINT };
void lapic_deliver(struct vp *to, enum lapic_delivery mode, u8 vector);

#endif
