/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A loop of 16 integer instructions, BENCH_LOOPS times, then power off: for figures. The mix has loads,
 * stores, a call, a taken and a not taken branch. */
#include "tiny.h"
#ifndef BENCH_LOOPS
#define BENCH_LOOPS 20000000
#endif
start:
    movl $(table + 1024), %esp
    movl $BENCH_LOOPS, %ecx
    xorl %eax, %eax
    movl $1, %ebx
    .balign 16
1:  movl %ecx, %edx
    andl $63, %edx
    addl table(, %edx, 4), %eax
    imull $13, %ebx, %ebx
    xorl %eax, %ebx
    movl %ebx, table(, %edx, 4)
    shrl $3, %eax
    testl $1, %ecx
    call 2f /* and the return: two of the sixteen */
    leal 7(%eax, %ebx), %eax
    cmpl $0, %ecx
    js 3f
    adcl $0, %ebx
    decl %ecx
    jnz 1b
3:  power_off
2:  ret
    .bss
    .balign 64
table:
    .skip 1024
