/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Register numbers and bits. [SDM1 "Basic Execution Environment"], [SDM3 "Control Registers"],
 * [SDM3 "Debug Registers"], [APM2 "System Resources"]. Usable from assembler. */
#ifndef ABI_X86_REGISTERS_H
#define ABI_X86_REGISTERS_H

#define X86_RAX 0
#define X86_RCX 1
#define X86_RDX 2
#define X86_RBX 3
#define X86_RSP 4
#define X86_RBP 5
#define X86_RSI 6
#define X86_RDI 7

#define X86_ES 0
#define X86_CS 1
#define X86_SS 2
#define X86_DS 3
#define X86_FS 4
#define X86_GS 5

#define RFLAGS_CF 0x00000001
#define RFLAGS_ONE 0x00000002
#define RFLAGS_PF 0x00000004
#define RFLAGS_AF 0x00000010
#define RFLAGS_ZF 0x00000040
#define RFLAGS_SF 0x00000080
#define RFLAGS_TF 0x00000100
#define RFLAGS_IF 0x00000200
#define RFLAGS_DF 0x00000400
#define RFLAGS_OF 0x00000800
#define RFLAGS_IOPL 0x00003000
#define RFLAGS_IOPL_SHIFT 12
#define RFLAGS_NT 0x00004000
#define RFLAGS_RF 0x00010000
#define RFLAGS_VM 0x00020000
#define RFLAGS_AC 0x00040000
#define RFLAGS_VIF 0x00080000
#define RFLAGS_VIP 0x00100000
#define RFLAGS_ID 0x00200000
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_AM 0x00040000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000

#define CR3_PWT 0x8
#define CR3_PCD 0x10
#define CR3_PCID_MASK 0xfff
#define CR3_LAM_U57 0x2000000000000000
#define CR3_LAM_U48 0x4000000000000000
#define CR3_NOFLUSH 0x8000000000000000

#define CR4_VME 0x00000001
#define CR4_PVI 0x00000002
#define CR4_TSD 0x00000004
#define CR4_DE 0x00000008
#define CR4_PSE 0x00000010
#define CR4_PAE 0x00000020
#define CR4_MCE 0x00000040
#define CR4_PGE 0x00000080
#define CR4_PCE 0x00000100
#define CR4_OSFXSR 0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define CR4_UMIP 0x00000800
#define CR4_LA57 0x00001000
#define CR4_VMXE 0x00002000
#define CR4_SMXE 0x00004000
#define CR4_FSGSBASE 0x00010000
#define CR4_PCIDE 0x00020000
#define CR4_OSXSAVE 0x00040000
#define CR4_SMEP 0x00100000
#define CR4_SMAP 0x00200000
#define CR4_PKE 0x00400000
#define CR4_CET 0x00800000
#define CR4_PKS 0x01000000
#define CR4_UINTR 0x02000000
#define CR4_LAM_SUP 0x10000000

#define EFER_SCE 0x00000001
#define EFER_LME 0x00000100
#define EFER_LMA 0x00000400
#define EFER_NXE 0x00000800
#define EFER_SVME 0x00001000
#define EFER_LMSLE 0x00002000
#define EFER_FFXSR 0x00004000
#define EFER_TCE 0x00008000

#define XCR0_X87 0x1
#define XCR0_SSE 0x2
#define XCR0_AVX 0x4
#define XCR0_MPX 0x18 /* BNDREGS and BNDCSR */
#define XCR0_PKRU 0x200

#define DR6_B0 0x1
#define DR6_BD 0x2000
#define DR6_BS 0x4000
#define DR6_BT 0x8000
#define DR6_RTM 0x10000
#define DR6_FIXED 0xffff0ff0
#define DR7_GD 0x2000
#define DR7_FIXED 0x400

/* Segment attributes in the layout of the VMCS access-rights field. */
#define SEG_TYPE 0x0000f
#define SEG_TYPE_ACCESSED 0x1
#define SEG_TYPE_WRITE 0x2   /* data: writable; code: readable */
#define SEG_TYPE_EXPAND 0x4  /* data: expand-down; code: conforming */
#define SEG_TYPE_CODE 0x8
#define SEG_S 0x00010
#define SEG_DPL 0x00060
#define SEG_DPL_SHIFT 5
#define SEG_P 0x00080
#define SEG_AVL 0x01000
#define SEG_L 0x02000
#define SEG_DB 0x04000
#define SEG_G 0x08000
#define SEG_UNUSABLE 0x10000

/* System descriptor types (S = 0). */
#define SYS_TSS16_AVAIL 1
#define SYS_LDT 2
#define SYS_TSS16_BUSY 3
#define SYS_CALL16 4
#define SYS_TASK_GATE 5
#define SYS_INT16 6
#define SYS_TRAP16 7
#define SYS_TSS_AVAIL 9
#define SYS_TSS_BUSY 11
#define SYS_CALL 12
#define SYS_INT 14
#define SYS_TRAP 15

/* Exceptions. [SDM3 "Protected-Mode Exceptions and Interrupts"] */
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19
#define VEC_VE 20
#define VEC_CP 21
#define VEC_HV 28
#define VEC_VC 29
#define VEC_SX 30

/* Page-fault error code. */
#define PF_P 0x1
#define PF_W 0x2
#define PF_U 0x4
#define PF_RSVD 0x8
#define PF_I 0x10
#define PF_PK 0x20
#define PF_SS 0x40
#define PF_SGX 0x8000

#endif
