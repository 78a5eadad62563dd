/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between the vendors, behind one table of functions; what an exit was, in one record. Everything above is common. */
#ifndef HV_ARCH_ARCH_H
#define HV_ARCH_ARCH_H

#include "hv/core/cpu.h"
#include "hv/mem/slat.h"

struct vp;

enum hv_exit_kind {
    HV_EXIT_UNKNOWN,
    HV_EXIT_INTERRUPT, /* a physical interrupt is pending */
    HV_EXIT_NMI,
    HV_EXIT_WINDOW, /* the guest can take an interrupt now */
    HV_EXIT_CPUID,
    HV_EXIT_HLT,
    HV_EXIT_HYPERCALL,
    HV_EXIT_MSR_READ,
    HV_EXIT_MSR_WRITE,
    HV_EXIT_IO,
    HV_EXIT_SLAT,      /* address not mapped, or not with these rights */
    HV_EXIT_XSETBV,
    HV_EXIT_CR_ACCESS, /* MOV to or from a control register */
    HV_EXIT_EXCEPTION,
    HV_EXIT_TRIPLE_FAULT,
    HV_EXIT_TASK_SWITCH,
    HV_EXIT_WBINVD,
    HV_EXIT_FORBIDDEN, /* an instruction that guests do not have: #UD */
    HV_EXIT_INVALID,   /* the processor refuses the state */
    HV_EXIT_COUNT
};

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

struct hv_exit {
    enum hv_exit_kind kind;
    u8 length; /* of the instruction */
    union {
        struct {
            u16 port;
            u8 bytes;
            bool in, string, rep;
        } io;
        struct {
            u64 gpa, gva;
            u8 access; /* enum slat_rights */
            bool gva_valid;
        } slat;
        struct {
            u8 number, gpr;
            bool write;
            bool clts, lmsw;
            u16 source;
        } cr;
        struct {
            u8 vector;
            bool has_error;
            u32 error;
            u64 parameter; /* page fault's address, debug conditions */
        } exception;
        struct {
            u16 selector;
            enum task_source source;
        } task;
    };
    u64 raw_reason, raw_info1, raw_info2;
};

struct arch {
    const char *name;
    u8 hypercall_code[4]; /* VMCALL or VMMCALL, RET */
    void (*cpu_init)(struct cpu *c);
    /* Control block from the partition's pool; false: it is empty. */
    bool (*vp_init)(struct vp *vp);
    void (*vp_free)(struct vp *vp);
    /* The VP becomes, or stops being, the one whose state this processor holds. */
    void (*vp_enter_cpu)(struct vp *vp);
    void (*vp_leave_cpu)(struct vp *vp);
    /* Registers between vp->r and the control block. RIP, RSP, RFLAGS and CR2 are moved at each entry and exit. */
    void (*vp_load)(struct vp *vp);
    void (*vp_save)(struct vp *vp);
    /* Runs the guest until it exits. vp->event is injected; vp->want_window asks for HV_EXIT_WINDOW. */
    void (*run)(struct vp *vp, struct hv_exit *exit);
    u64 (*slat_leaf)(u64 spa, enum slat_rights rights, enum slat_type type, bool large);
    u64 (*slat_table)(u64 spa);
    bool (*slat_is_large)(u64 entry);
    void (*slat_decode)(u64 entry, enum slat_rights *rights, enum slat_type *type);
};

extern const struct arch *arch;
extern const struct arch arch_vmx, arch_svm;
extern const char *const hv_exit_names[HV_EXIT_COUNT];

/* Chooses by what the processor has; panics in words when it has neither. */
void arch_select(void);

#endif
