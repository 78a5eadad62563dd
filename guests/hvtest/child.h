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

#endif
