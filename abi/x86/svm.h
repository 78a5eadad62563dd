/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SVM: offsets in the VMCB, exit codes, control bits. [APM2 "Secure Virtual Machine"], [APM2 "VMCB
 * Layout"]. The lists are vmcb_fields.def and exit_codes.def. */
#ifndef ABI_X86_SVM_H
#define ABI_X86_SVM_H

#define VMCB_BYTES 0x1000
#define VMCB_INSN_BYTES 0x0d1 /* fifteen of them */

enum vmcb_offset {
#define VMCB_CONTROL(offset, bytes, name, clean) VMCB_##name = (offset),
#define VMCB_SAVE(offset, bytes, name, clean) VMCB_##name = (offset),
#define VMCB_SEGMENT(offset, name, clean) VMCB_##name = (offset),
#include "abi/x86/vmcb_fields.def"
};

/* Negative codes have no enumerator: SVM_EXITCODE_INVALID. */
#define SVM_EXITCODE_INVALID (~0ull)
#define SVM_EXITCODE_BUSY (~1ull)
#define SVM_EXIT_(code, name) SVM_EXIT_##name = (int)(code),
enum svm_exit_code {
#define SVM_EXIT(code, name, meaning) SVM_EXIT_(code, name)
#include "abi/x86/exit_codes.def"
};
#undef SVM_EXIT_

/* int_ctl */
#define V_TPR 0x000000ffu
#define V_IRQ 0x00000100u
#define V_GIF 0x00000200u
#define V_NMI 0x00000800u
#define V_NMI_MASK 0x00001000u
#define V_INTR_PRIO 0x000f0000u
#define V_INTR_PRIO_SHIFT 16
#define V_IGN_TPR 0x00100000u
#define V_INTR_MASKING 0x01000000u
#define V_GIF_ENABLE 0x02000000u
#define V_NMI_ENABLE 0x04000000u
#define V_X2AVIC_ENABLE 0x40000000u
#define V_AVIC_ENABLE 0x80000000u

#define INT_STATE_SHADOW 0x1u

#define NESTED_CTL_NP 0x1u
#define NESTED_CTL_SEV 0x2u
#define NESTED_CTL_SEV_ES 0x4u
#define NESTED_CTL_GMET 0x8u
#define NESTED_CTL_SSS 0x10u

#define VIRT_EXT_LBR 0x1u
#define VIRT_EXT_VMSAVE_VMLOAD 0x2u

#define TLB_CONTROL_NOTHING 0
#define TLB_CONTROL_ALL 1
#define TLB_CONTROL_ASID 3
#define TLB_CONTROL_ASID_NON_GLOBAL 7

/* EVENTINJ and EXITINTINFO */
#define SVM_EVENT_VECTOR 0xffu
#define SVM_EVENT_TYPE 0x700u
#define SVM_EVENT_TYPE_SHIFT 8
#define SVM_EVENT_INTR 0
#define SVM_EVENT_NMI 2
#define SVM_EVENT_EXCEPTION 3
#define SVM_EVENT_SOFT_INT 4
#define SVM_EVENT_EV 0x800u
#define SVM_EVENT_V 0x80000000u

/* EXITINFO1 of IOIO */
#define SVM_IO_IN 0x1u
#define SVM_IO_STR 0x4u
#define SVM_IO_REP 0x8u
#define SVM_IO_SIZE_SHIFT 4  /* SZ8, SZ16, SZ32: bytes << 4 */
#define SVM_IO_ASIZE_SHIFT 7 /* A16, A32, A64 */
#define SVM_IO_SEG_SHIFT 10
#define SVM_IO_PORT_SHIFT 16

/* EXITINFO2 of task switches */
#define SVM_TASK_IRET 0x1000000000ull
#define SVM_TASK_JMP 0x4000000000ull
#define SVM_TASK_ERROR 0x100000000000ull
#define SVM_TASK_RF 0x1000000000000ull

/* EXITINFO1 */
#define SVM_CR_MOV 0x8000000000000000ull /* MOV CR: the register's number is in bits 3:0 */
#define SVM_NPF_FINAL 0x100000000ull     /* the guest's final address */
#define SVM_NPF_TABLE 0x200000000ull     /* while the guest's tables were walked */

#define VM_CR_DPD 0x1u
#define VM_CR_R_INIT 0x2u
#define VM_CR_DIS_A20M 0x4u
#define VM_CR_LOCK 0x8u
#define VM_CR_SVMDIS 0x10u

#define MSR_AMD_TSC_RATIO 0xc0000104
#define TSC_RATIO_ONE 0x100000000ull
#define TSC_RATIO_RESERVED 0xffffff0000000000ull

#endif
