/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where things are in the child: addresses below 2 MiB, mapped one to one. Also for the assembler. */
#ifndef GUESTS_HVTEST_CHILD_H
#define GUESTS_HVTEST_CHILD_H

#define CHILD_TABLES 0x1000
#define CHILD_STACK 0x9000
#define CHILD_CODE 0x10000
#define CHILD_MAILBOX 0x20000 /* RCX, RDX, R8, result */
#define CHILD_HYPERCALL_PAGE 0x30000
#define CHILD_BUFFER 0x40000
#define CHILD_PORT 0x99

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
