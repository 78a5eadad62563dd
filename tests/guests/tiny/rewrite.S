/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs code forever that it rewrites at each turn, some pieces of it seldom: what it adds up tells what it ran. */
#include "tiny.h"

start:
    xorl %ebx, %ebx
    xorl %ecx, %ecx
1:  incl %ecx
    movl %ecx, often + 1
    testl $63, %ecx
    jnz often
    movl %ecx, seldom + 1
    jmp often
    .balign 64
often:
    movl $0, %eax
    addl %eax, %ebx
    jmp seldom
    .balign 64
seldom:
    movl $0, %eax
    leal (%ebx, %eax, 8), %ebx
    movl %ebx, sum
    jmp 1b
    .balign 64
sum:
    .long 0
