/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A virtual processor. It lives on one physical processor for good. */
#ifndef HV_VCPU_VP_H
#define HV_VCPU_VP_H

#include "hv/arch/arch.h"
#include "hv/synic/synic.h"
#include "hv/vcpu/lapic.h"

struct segment {
    u64 base;
    u32 limit;
    u16 selector;
    u16 attributes; /* as in the second half of a descriptor: 7:0 type to P, 12 AVL, 13 L, 14 D, 15 G */
};

enum segment_index { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* Registers other than the general ones and the FPU's. */
struct vp_registers {
    u64 rip, rflags;
    u64 cr0, cr2, cr3, cr4, efer;
    u64 dr[4], dr6, dr7;
    struct segment segment[SEG_COUNT];
    struct segment gdtr, idtr;
    u64 pat;
    u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 xcr0;
};

enum vp_suspend {
    VP_SUSPEND_EXPLICIT = 1,  /* by the parent */
    VP_SUSPEND_INTERCEPT = 2, /* the parent handles an intercept */
    VP_SUSPEND_STARTUP = 4,   /* waits for SIPI */
    VP_SUSPEND_HALT = 8,      /* HLT, until an interrupt */
    VP_SUSPEND_VTL = 16,      /* the other trust level is active */
};

enum event_kind { EVENT_NONE, EVENT_INTERRUPT, EVENT_NMI, EVENT_EXCEPTION, EVENT_SOFT_INTERRUPT };

struct event {
    u8 kind, vector;
    bool has_error;
    u8 length; /* of the instruction, software interrupts and exceptions */
    u32 error;
};

struct vp {
    struct partition *partition;
    struct cpu *cpu;
    struct vp *next_here;
    u32 index;
    u8 vtl;
    bool vtl_enabled; /* this level exists for the guest */
    u16 sipi; /* 100h + vector of one that its processor has to carry out, 0 none */
    struct vp *other; /* the same VP's other trust level, NULL none */
    u32 suspend; /* enum vp_suspend */
    u64 gpr[16];
    struct vp_registers r;
    bool saved;       /* r has all of the registers */
    bool dirty;       /* r has newer ones than the control block */
    bool shadow;      /* interrupt shadow of STI or MOV SS */
    bool nmi_blocked;
    bool nmi_pending;
    bool want_window;
    struct event event; /* to be injected at the next entry */
    u32 slat_seen;
    void *control;       /* VMCS or VMCB */
    bool launched;
    void *fpu;           /* XSAVE area, one page */
    bool shares_fpu;     /* with the other level, whose it is */
    u64 runtime_start, runtime; /* TSC */
    u64 apic_mode; /* APIC_BASE_ENABLE and APIC_BASE_X2APIC; survives INIT */
    struct lapic lapic;
    struct synic synic;
    u64 assist_msr;
    struct overlay assist;
    u64 crash[6];
    bool cpuid_faults; /* above privilege level 0 (MSR_MISC_FEATURES_ENABLES) */
    struct message_node intercept; /* on its way to the parent */
    struct message_node direct;    /* PostMessageDirect's, to this VP */
};

/* In `p`, on that processor; NULL when it exists, or the pool is empty. Power-on state, explicitly suspended. */
struct vp *vp_create(struct partition *p, u32 index, struct cpu *cpu);
void vp_destroy(struct vp *vp);
void vp_reset(struct vp *vp);
/* SIPI's state: real mode at vector << 12. */
void vp_startup(struct vp *vp, u8 vector);
/* r is complete when this returns; vp_modify: and will be loaded. */
void vp_fetch(struct vp *vp);
void vp_modify(struct vp *vp);
void vp_advance(struct vp *vp, unsigned length);
void vp_inject_exception(struct vp *vp, u8 vector, bool has_error, u32 error);
/* Something happened that the VP may wait for. */
void vp_wake(struct vp *vp);
/* Exceptions that its parent wants to see, a bit each. */
u32 vp_exceptions(const struct vp *vp);
/* May it use the trace port without an exit? */
bool vp_has_trace_port(const struct vp *vp);
/* What this trust level may. */
u64 vp_privileges(const struct vp *vp);
/* Something for the guest waits, whether it may come now or not. */
bool vp_has_event(const struct vp *vp);
bool vp_is_runnable(const struct vp *vp);
/* Fills vp->event and vp->want_window before an entry. */
void vp_choose_event(struct vp *vp);
/* Each processor. */
void fpu_init(void);
u64 fpu_xcr0_allowed(void);
/* XSAVE area and XCR0 between VP and processor. */
void fpu_save(struct vp *vp);
void fpu_load(struct vp *vp);
/* XMM0 to XMM5 of the VP that this processor holds: 96 bytes. */
void fpu_read_xmm(u8 *to);
/* DR0 to DR3 and DR6, which stay in the processor while it runs one VP. DR7 is in the control block. */
void debug_save(struct vp *vp);
void debug_load(struct vp *vp);

#endif
