/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMX: capability MSRs, VMCS fields, controls, exit information. [SDM3 "Introduction to Virtual Machine
 * Extensions"] and the chapters after it. Constants only. */
#ifndef ABI_X86_VMX_H
#define ABI_X86_VMX_H

#define MSR_IA32_VMX_BASIC 0x480
#define MSR_IA32_VMX_PINBASED_CTLS 0x481
#define MSR_IA32_VMX_PROCBASED_CTLS 0x482
#define MSR_IA32_VMX_EXIT_CTLS 0x483
#define MSR_IA32_VMX_ENTRY_CTLS 0x484
#define MSR_IA32_VMX_MISC 0x485
#define MSR_IA32_VMX_CR0_FIXED0 0x486
#define MSR_IA32_VMX_CR0_FIXED1 0x487
#define MSR_IA32_VMX_CR4_FIXED0 0x488
#define MSR_IA32_VMX_CR4_FIXED1 0x489
#define MSR_IA32_VMX_VMCS_ENUM 0x48a
#define MSR_IA32_VMX_PROCBASED_CTLS2 0x48b
#define MSR_IA32_VMX_EPT_VPID_CAP 0x48c
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS 0x48d
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48e
#define MSR_IA32_VMX_TRUE_EXIT_CTLS 0x48f
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS 0x490
#define MSR_IA32_VMX_VMFUNC 0x491
#define MSR_IA32_VMX_PROCBASED_CTLS3 0x492

#define FEATURE_CONTROL_VMX_IN_SMX 0x2
#define FEATURE_CONTROL_VMX 0x4

enum vmcs_field {
#define VMCS(name, encoding, width, type, title) VMCS_##name = encoding,
#include "abi/x86/vmcs_fields.def"
#undef VMCS
};

enum vmx_exit_reason {
#define EXIT_REASON(name, number, words) EXIT_##name = number,
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
    EXIT_REASON_COUNT = 70
};
#define EXIT_REASON_ENTRY_FAILURE 0x80000000u

enum vm_error {
#define VM_ERROR(name, number, words) VM_ERROR_##name = number,
#include "abi/x86/vm_errors.def"
#undef VM_ERROR
};

/* Pin-based VM-execution controls */
#define PIN_EXT_INT 0x01u
#define PIN_NMI 0x08u
#define PIN_VIRTUAL_NMI 0x20u
#define PIN_PREEMPTION_TIMER 0x40u
#define PIN_POSTED_INT 0x80u

/* Primary processor-based VM-execution controls */
#define PROC_INT_WINDOW 0x00000004u
#define PROC_TSC_OFFSET 0x00000008u
#define PROC_HLT 0x00000080u
#define PROC_INVLPG 0x00000200u
#define PROC_MWAIT 0x00000400u
#define PROC_RDPMC 0x00000800u
#define PROC_RDTSC 0x00001000u
#define PROC_CR3_LOAD 0x00008000u
#define PROC_CR3_STORE 0x00010000u
#define PROC_TERTIARY 0x00020000u
#define PROC_CR8_LOAD 0x00080000u
#define PROC_CR8_STORE 0x00100000u
#define PROC_TPR_SHADOW 0x00200000u
#define PROC_NMI_WINDOW 0x00400000u
#define PROC_MOV_DR 0x00800000u
#define PROC_UNCOND_IO 0x01000000u
#define PROC_IO_BITMAPS 0x02000000u
#define PROC_MTF 0x08000000u
#define PROC_MSR_BITMAPS 0x10000000u
#define PROC_MONITOR 0x20000000u
#define PROC_PAUSE 0x40000000u
#define PROC_SECONDARY 0x80000000u

/* Secondary processor-based VM-execution controls */
#define PROC2_APIC_ACCESSES 0x00000001u
#define PROC2_EPT 0x00000002u
#define PROC2_DESC_TABLE 0x00000004u
#define PROC2_RDTSCP 0x00000008u
#define PROC2_X2APIC 0x00000010u
#define PROC2_VPID 0x00000020u
#define PROC2_WBINVD 0x00000040u
#define PROC2_UNRESTRICTED 0x00000080u
#define PROC2_APIC_REGISTER 0x00000100u
#define PROC2_VIRT_INT_DELIVERY 0x00000200u
#define PROC2_PAUSE_LOOP 0x00000400u
#define PROC2_RDRAND 0x00000800u
#define PROC2_INVPCID 0x00001000u
#define PROC2_VMFUNC 0x00002000u
#define PROC2_VMCS_SHADOWING 0x00004000u
#define PROC2_ENCLS 0x00008000u
#define PROC2_RDSEED 0x00010000u
#define PROC2_PML 0x00020000u
#define PROC2_EPT_VE 0x00040000u
#define PROC2_CONCEAL_PT 0x00080000u
#define PROC2_XSAVES 0x00100000u
#define PROC2_MODE_BASED_EXEC 0x00400000u
#define PROC2_SPP 0x00800000u
#define PROC2_PT_GPA 0x01000000u
#define PROC2_TSC_SCALING 0x02000000u
#define PROC2_USER_WAIT 0x04000000u
#define PROC2_PCONFIG 0x08000000u

/* Tertiary processor-based VM-execution controls */
#define PROC3_IPI_VIRT 0x10u
#define PROC3_SPEC_CTRL 0x80u

/* VM-exit controls */
#define EXITC_SAVE_DEBUG 0x00000004u
#define EXITC_HOST_64 0x00000200u
#define EXITC_LOAD_PERF 0x00001000u
#define EXITC_ACK_INT 0x00008000u
#define EXITC_SAVE_PAT 0x00040000u
#define EXITC_LOAD_PAT 0x00080000u
#define EXITC_SAVE_EFER 0x00100000u
#define EXITC_LOAD_EFER 0x00200000u
#define EXITC_SAVE_TIMER 0x00400000u
#define EXITC_CLEAR_BNDCFGS 0x00800000u
#define EXITC_LOAD_CET 0x10000000u
#define EXITC_LOAD_PKRS 0x20000000u
#define EXITC_SAVE_PERF 0x40000000u

/* VM-entry controls */
#define ENTRYC_LOAD_DEBUG 0x00000004u
#define ENTRYC_GUEST_64 0x00000200u
#define ENTRYC_SMM 0x00000400u
#define ENTRYC_DEACTIVATE_DUAL 0x00000800u
#define ENTRYC_LOAD_PERF 0x00002000u
#define ENTRYC_LOAD_PAT 0x00004000u
#define ENTRYC_LOAD_EFER 0x00008000u
#define ENTRYC_LOAD_BNDCFGS 0x00010000u
#define ENTRYC_LOAD_CET 0x00100000u
#define ENTRYC_LOAD_PKRS 0x00400000u

/* Interruption information: VM-entry, VM-exit, IDT-vectoring. */
#define INTR_VECTOR 0x000000ffu
#define INTR_TYPE 0x00000700u
#define INTR_TYPE_SHIFT 8
#define INTR_ERROR_CODE 0x00000800u
#define INTR_NMI_UNBLOCKED 0x00001000u
#define INTR_VALID 0x80000000u
enum intr_type {
    INTR_EXTERNAL = 0,
    INTR_NMI = 2,
    INTR_HARD_EXCEPTION = 3,
    INTR_SOFT_INT = 4,
    INTR_PRIV_SOFT_EXCEPTION = 5,
    INTR_SOFT_EXCEPTION = 6,
    INTR_OTHER = 7,
};

/* Guest interruptibility state */
#define INTERRUPTIBILITY_STI 0x1u
#define INTERRUPTIBILITY_MOV_SS 0x2u
#define INTERRUPTIBILITY_SMI 0x4u
#define INTERRUPTIBILITY_NMI 0x8u
#define INTERRUPTIBILITY_ENCLAVE 0x10u

enum vmcs_activity { VMCS_ACTIVE, VMCS_HLT, VMCS_SHUTDOWN, VMCS_WAIT_SIPI };

/* Pending debug exceptions */
#define PENDING_DB_ENABLED 0x1000u
#define PENDING_DB_BS 0x4000u

/* EPT pointer and entries */
#define EPTP_AD 0x40u
#define EPTP_SSS 0x80u
#define EPT_R 0x1u
#define EPT_W 0x2u
#define EPT_X 0x4u
#define EPT_LARGE 0x80u
#define EPT_A 0x100u
#define EPT_D 0x200u
#define EPT_XU 0x400u
#define EPT_SPP 0x2000000000000000u /* sub-page write permissions decide */
#define EPT_SUPPRESS_VE 0x8000000000000000u

/* Exit qualification of EPT violations */
#define EPTQ_READ 0x1u
#define EPTQ_WRITE 0x2u
#define EPTQ_EXEC 0x4u
#define EPTQ_RIGHTS_SHIFT 3
#define EPTQ_XU 0x40u
#define EPTQ_LINEAR_VALID 0x80u
#define EPTQ_FINAL 0x100u
#define EPTQ_USER 0x200u
#define EPTQ_WRITABLE 0x400u
#define EPTQ_NX 0x800u
#define EPTQ_NMI_UNBLOCKED 0x1000u
#define EPTQ_SHADOW_STACK 0x2000u

/* Exit qualification of SPP-related events */
#define SPPQ_MISS 0x800u /* else a misconfiguration */

/* Qualification of VM-entry failures due to guest state */
enum entry_failure { ENTRY_FAIL_DEFAULT = 0, ENTRY_FAIL_PDPTE = 2, ENTRY_FAIL_NMI = 3, ENTRY_FAIL_LINK = 4 };

/* VMX-abort indicators */
enum vmx_abort {
    VMX_ABORT_SAVE_GUEST_MSR = 1,
    VMX_ABORT_HOST_PDPTE = 2,
    VMX_ABORT_VMCS_CORRUPTED = 3,
    VMX_ABORT_LOAD_HOST_MSR = 4,
    VMX_ABORT_MACHINE_CHECK = 5,
    VMX_ABORT_HOST_64 = 6,
};

#endif
