/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What SVM adds to a processor's state. */
#ifndef VITRINE_CPU_SVM_STATE_H
#define VITRINE_CPU_SVM_STATE_H

#include "base/types.h"

/* The VMCB's control area as VMRUN read it. Clean bits are not used: every field is read at every
 * VMRUN, so a bit that lies changes nothing. */
struct vmcb_control {
#define VMCB_CONTROL(offset, bytes, name, clean) u64 name;
#include "abi/x86/vmcb_fields.def"
};

struct svm_arch {
    bool gif;      /* global interrupt flag; 1 after reset */
    u64 tsc_ratio; /* the MSR */
    /* In guest mode: */
    u64 vmcb;                /* its system-physical address */
    struct vmcb_control ctl; /* int_ctl follows V_IRQ, V_TPR, V_GIF, V_NMI as the guest changes them */
    u64 g_pat;               /* with nested paging: the guest's PAT */
    bool host_if;            /* RFLAGS.IF at VMRUN: masks physical interrupts with V_INTR_MASKING */
    bool host_nmi_blocked;   /* with virtual NMIs nmi_blocked is the guest's */
    u32 nested_mode, nested_flags; /* nested paging: the host's paging mode, and walk flags */
    bool delivering;         /* an event is being delivered: int_info and int_error describe it */
    bool injecting;          /* ... the first one is EVENTINJ's: not intercepted */
    u32 int_info, int_error;
    u32 pause_count;         /* PAUSEs left until the intercept */
    u64 pause_tsc;           /* when the last one ran */
    u64 trap_code;           /* AVIC: an exit that waits for the instruction's end; 0: none */
    u64 trap_info1, trap_info2;
};

/* The last decision of SVM about this processor, in words. Derived. */
struct svm_reason {
    const char *what;  /* "#VMEXIT", "VMEXIT_INVALID" */
    const char *id;    /* the rule: name of the exit code, or row of vmrun_checks.def */
    const char *title; /* the manual's section */
    const char *why;   /* words of the site that decided */
    const char *field; /* field of the VMCB that decided, or NULL */
    u64 value;         /* of the field, or EXITCODE */
    u64 info1, info2;
    u64 rip;
};

#endif
