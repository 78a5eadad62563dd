/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where things are in the child: addresses below 2 MiB, mapped one to one. Also for the assembler. */
#ifndef GUESTS_HVTEST_CHILD_H
#define GUESTS_HVTEST_CHILD_H

#define CHILD_TABLES 0x1000
#define CHILD_STACK 0x9000
#define CHILD_CODE 0x10000
#define CHILD_MAILBOX 0x20000 /* RCX, RDX, R8, result, what to do */
#define CHILD_XMM (CHILD_MAILBOX + 0x100) /* XMM0 to XMM5 of its calls */
#define CHILD_SPARE 0x80000 /* pages without a purpose */
#define CHILD_HYPERCALL_PAGE 0x30000
#define CHILD_BUFFER 0x40000
#define CHILD_PORT 0x99
#define CHILD_LOCAL_APIC 0xfee00000

/* What to do: a hypercall, the same from 32-bit code, an undefined instruction, RDMSR or WRMSR of RCX, memory at RDX read or set to R8,
 * interrupts let in for an instruction (the answer is CHILD_VECTOR if it came, else 0). */
#define DO_CALL 0
#define DO_CALL_32 1
#define DO_UD 2
#define DO_RDMSR 3
#define DO_WRMSR 4
#define DO_LOAD 5
#define DO_STORE 6
#define DO_INTERRUPTS 7
#define CHILD_VECTOR 0x21 /* that its interrupt table has a gate for */

/* The child with two trust levels. */
#define VTL2_CODE 0x50000
#define VTL2_STACK 0x62000
#define VTL2_ASSIST 0x63000
#define VTL2_HYPERCALL_PAGE 0x64000
#define VTL2_BUFFER 0x65000
#define VTL2_SECRET 0x66000 /* VTL 0 has no right to it */
#define VTL2_LOG 0x67000    /* message types that came, u32 each; the first word is the offset of the next */
#define VTL0_CODE 0x70000
#define VTL0_RESULTS 0x71000

#endif
