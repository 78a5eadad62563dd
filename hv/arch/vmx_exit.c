/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exits of VMX into the neutral record. [SDM3 "VM Exits", "Exit Qualification for ..."] */
#include "abi/x86/registers.h"
#include "hv/arch/vmx_insn.h"
#include "hv/arch/vmx_priv.h"

/* [SDM3 "Exit Qualification for Control-Register Accesses"] */
#define CRQ_NUMBER 0xfu
#define CRQ_TYPE_SHIFT 4
#define CRQ_GPR_SHIFT 8
#define CRQ_LMSW_SHIFT 16
enum crq_type { CRQ_MOV_TO, CRQ_MOV_FROM, CRQ_CLTS, CRQ_LMSW };

/* [SDM3 "Exit Qualification for I/O Instructions"] */
#define IOQ_SIZE 0x7u
#define IOQ_IN 0x8u
#define IOQ_STRING 0x10u
#define IOQ_REP 0x20u
#define IOQ_PORT_SHIFT 16

/* What has no row is HV_EXIT_UNKNOWN. */
static const u8 kinds[EXIT_REASON_COUNT] = {
    [EXIT_EXTERNAL_INTERRUPT] = HV_EXIT_INTERRUPT,
    [EXIT_TRIPLE_FAULT] = HV_EXIT_TRIPLE_FAULT,
    [EXIT_TASK_SWITCH] = HV_EXIT_TASK_SWITCH,
    [EXIT_INTERRUPT_WINDOW] = HV_EXIT_WINDOW,
    [EXIT_CPUID] = HV_EXIT_CPUID,
    [EXIT_HLT] = HV_EXIT_HLT,
    [EXIT_INVD] = HV_EXIT_WBINVD,
    [EXIT_WBINVD] = HV_EXIT_WBINVD,
    [EXIT_VMCALL] = HV_EXIT_HYPERCALL,
    [EXIT_CR_ACCESS] = HV_EXIT_CR_ACCESS,
    [EXIT_IO] = HV_EXIT_IO,
    [EXIT_RDMSR] = HV_EXIT_MSR_READ,
    [EXIT_WRMSR] = HV_EXIT_MSR_WRITE,
    [EXIT_EPT_VIOLATION] = HV_EXIT_SLAT,
    [EXIT_XSETBV] = HV_EXIT_XSETBV,
    [EXIT_ENTRY_FAIL_GUEST] = HV_EXIT_INVALID,
    [EXIT_ENTRY_FAIL_MSR] = HV_EXIT_INVALID,
    [EXIT_VMCLEAR] = HV_EXIT_FORBIDDEN,
    [EXIT_VMLAUNCH] = HV_EXIT_FORBIDDEN,
    [EXIT_VMPTRLD] = HV_EXIT_FORBIDDEN,
    [EXIT_VMPTRST] = HV_EXIT_FORBIDDEN,
    [EXIT_VMREAD] = HV_EXIT_FORBIDDEN,
    [EXIT_VMRESUME] = HV_EXIT_FORBIDDEN,
    [EXIT_VMWRITE] = HV_EXIT_FORBIDDEN,
    [EXIT_VMXOFF] = HV_EXIT_FORBIDDEN,
    [EXIT_VMXON] = HV_EXIT_FORBIDDEN,
    [EXIT_INVEPT] = HV_EXIT_FORBIDDEN,
    [EXIT_INVVPID] = HV_EXIT_FORBIDDEN,
    [EXIT_VMFUNC] = HV_EXIT_FORBIDDEN,
    [EXIT_GETSEC] = HV_EXIT_FORBIDDEN,
    [EXIT_MWAIT] = HV_EXIT_FORBIDDEN,
    [EXIT_MONITOR] = HV_EXIT_FORBIDDEN,
    [EXIT_RDPMC] = HV_EXIT_FORBIDDEN,
};

static void decode_io(struct hv_exit *e)
{
    u64 q = e->raw_info1;
    e->io.port = (u16)(q >> IOQ_PORT_SHIFT);
    e->io.bytes = (u8)((q & IOQ_SIZE) + 1);
    e->io.in = (q & IOQ_IN) != 0;
    e->io.string = (q & IOQ_STRING) != 0;
    e->io.rep = (q & IOQ_REP) != 0;
}

static void decode_slat(struct hv_exit *e)
{
    u64 q = e->raw_info1;
    e->slat.gpa = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
    e->raw_info2 = e->slat.gpa;
    e->slat.gva_valid = (q & EPTQ_LINEAR_VALID) != 0;
    e->slat.gva = e->slat.gva_valid ? vmread(VMCS_GUEST_LINEAR_ADDRESS) : 0;
    e->slat.access = (u8)((q & EPTQ_WRITE) != 0 ? SLAT_W : ((q & EPTQ_EXEC) != 0 ? SLAT_X : SLAT_R));
}

static void decode_cr(struct hv_exit *e)
{
    u64 q = e->raw_info1;
    enum crq_type type = (enum crq_type)(q >> CRQ_TYPE_SHIFT & 3);
    e->cr.number = (u8)(q & CRQ_NUMBER);
    e->cr.gpr = (u8)(q >> CRQ_GPR_SHIFT & 15);
    e->cr.write = type == CRQ_MOV_TO;
    e->cr.clts = type == CRQ_CLTS;
    e->cr.lmsw = type == CRQ_LMSW;
    e->cr.source = (u16)(q >> CRQ_LMSW_SHIFT);
}

/* Software interrupts and exceptions are not kept: RIP is on the instruction, it is executed again. */
static void note_undelivered(struct vp *vp)
{
    u64 info = vmread(VMCS_IDT_VECTORING_INFO);
    vp->event = (struct event){0};
    if ((info & INTR_VALID) == 0) {
        return;
    }
    u8 kind = EVENT_NONE;
    switch ((enum intr_type)((info & INTR_TYPE) >> INTR_TYPE_SHIFT)) {
    case INTR_EXTERNAL:
        kind = EVENT_INTERRUPT;
        break;
    case INTR_NMI:
        kind = EVENT_NMI;
        break;
    case INTR_HARD_EXCEPTION:
        kind = EVENT_EXCEPTION;
        break;
    case INTR_SOFT_INT:
    case INTR_PRIV_SOFT_EXCEPTION:
    case INTR_SOFT_EXCEPTION:
    case INTR_OTHER:
        return;
    }
    vp->event = (struct event){.kind = kind, .vector = (u8)(info & INTR_VECTOR)};
    if ((info & INTR_ERROR_CODE) != 0) {
        vp->event.has_error = true;
        vp->event.error = (u32)vmread(VMCS_IDT_VECTORING_ERROR);
    }
}

void vmx_decode_exit(struct vp *vp, struct hv_exit *e)
{
    u32 reason = (u32)vmread(VMCS_EXIT_REASON);
    u32 basic = reason & 0xffff;
    e->raw_reason = reason;
    e->raw_info1 = vmread(VMCS_EXIT_QUALIFICATION);
    e->raw_info2 = 0;
    e->kind = basic < EXIT_REASON_COUNT ? (enum hv_exit_kind)kinds[basic] : HV_EXIT_UNKNOWN;
    e->length = 0;
    if ((reason & EXIT_REASON_ENTRY_FAILURE) != 0) {
        e->kind = HV_EXIT_INVALID;
        return;
    }
    note_undelivered(vp);
    if (basic == EXIT_EXCEPTION_NMI) {
        u64 info = vmread(VMCS_EXIT_INTERRUPTION_INFO);
        bool nmi = (info & INTR_TYPE) >> INTR_TYPE_SHIFT == INTR_NMI;
        e->kind = nmi ? HV_EXIT_NMI : HV_EXIT_EXCEPTION;
        e->exception.vector = (u8)(info & INTR_VECTOR);
        e->exception.has_error = (info & INTR_ERROR_CODE) != 0;
        e->exception.error = e->exception.has_error ? (u32)vmread(VMCS_EXIT_INTERRUPTION_ERROR) : 0;
        e->exception.parameter = e->raw_info1;
        return;
    }
    if (e->kind != HV_EXIT_INTERRUPT && e->kind != HV_EXIT_WINDOW && e->kind != HV_EXIT_TRIPLE_FAULT &&
        e->kind != HV_EXIT_SLAT) {
        e->length = (u8)vmread(VMCS_EXIT_INSTRUCTION_LENGTH);
    }
    if (e->kind == HV_EXIT_IO) {
        decode_io(e);
    } else if (e->kind == HV_EXIT_SLAT) {
        decode_slat(e);
    } else if (e->kind == HV_EXIT_CR_ACCESS) {
        decode_cr(e);
    } else if (e->kind == HV_EXIT_TASK_SWITCH) { /* [SDM3 "Exit Qualification for Task Switches"] */
        e->task.selector = (u16)e->raw_info1;
        e->task.source = (enum task_source)(e->raw_info1 >> 30 & 3);
    }
}
