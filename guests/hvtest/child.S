/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child's program, copied to CHILD_CODE: makes the hypercalls that its parent puts into the mailbox. At each OUT the parent has the
 * turn. */
#include "guests/hvtest/child.h"

    .section .rodata
    .globl child_program, child_program_end
child_program:
    mov $0x40000000, %ecx
    mov $1, %eax
    mov $0x81000000, %edx
    wrmsr
    mov $0x40000001, %ecx
    mov $(CHILD_HYPERCALL_PAGE + 1), %eax
    xor %edx, %edx
    wrmsr
1:  out %al, $CHILD_PORT
    mov CHILD_MAILBOX, %rcx
    mov CHILD_MAILBOX + 8, %rdx
    mov CHILD_MAILBOX + 16, %r8
    mov $CHILD_HYPERCALL_PAGE, %eax
    call *%rax
    mov %rax, CHILD_MAILBOX + 24
    jmp 1b
child_program_end:
    .section .note.GNU-stack, "", @progbits
