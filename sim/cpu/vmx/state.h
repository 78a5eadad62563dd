/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What VMX adds to a processor's state. */
#ifndef VITRINE_CPU_VMX_STATE_H
#define VITRINE_CPU_VMX_STATE_H

#include "base/types.h"

/* The controls of the current VMCS as the last VM entry found them. */
struct vmx_controls {
    u32 pin, proc, proc2, exit, entry;
    u32 exception_bitmap, pf_mask, pf_match;
    u64 proc3;
    u64 cr0_mask, cr4_mask, cr0_shadow, cr4_shadow;
    u64 eptp;        /* moves with VMFUNC 0 */
    u64 spp_table;
    u64 apic_access; /* address of the APIC-access page */
    u64 virtual_apic;
    u64 msr_bitmaps;
    u64 tsc_offset, tsc_multiplier;
    u32 tpr_threshold, ple_gap, ple_window;
};

#define VMX_NO_VMCS (~(u64)0)

struct vmx_arch {
    bool on;     /* VMX operation */
    u64 vmxon;   /* the VMXON pointer */
    u64 current; /* the current-VMCS pointer, VMX_NO_VMCS without one */
    struct vmx_controls c;
    /* Of the running guest: */
    bool mtf_pending;       /* a boundary to exit at was reached */
    bool tpr_below;         /* TPR virtualization found VTPR below the threshold */
    bool apic_write;        /* an APIC-write exit waits for the boundary */
    bool eoi_exit;          /* so does an EOI-induced one */
    u16 apic_offset;        /* offset written */
    u8 eoi_vector;
    u8 rvi, svi;            /* guest interrupt status */
    bool injecting;         /* the event on its way is the VM entry's own */
    bool delivering;        /* an event is being delivered: */
    u32 vectoring_info, vectoring_error, vectoring_length;
    bool timer_on;
    u64 timer_deadline; /* in units of the preemption timer */
    u64 ple_first, ple_last; /* TSC of the first and the last PAUSE of a loop */
};

/* The last decision of VMX about this processor, in words: for `why`. Derived. */
struct vmx_reason {
    const char *what;  /* "exit", "entry failure", "VMfail" */
    const char *id;    /* the rule: name of the check, exit reason or error */
    const char *title; /* the manual's section */
    const char *why;   /* words of the site that decided, or NULL */
    const char *field; /* VMCS field that decided, or NULL */
    u64 value, qualification; /* VMfail: error and operand */
    u64 rip;
};

#endif
