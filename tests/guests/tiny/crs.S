/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads and writes control registers in all ways that 32-bit code has, often enough to be translated, and powers off. */
#include "tiny.h"

#define CR0_TS 8

start:
    movl $stack_top, %esp
    movl $100, %edi
1:  movl %cr0, %eax
    orl $CR0_TS, %eax
    movl %eax, %cr0
    clts
    smsw %eax
    smsw 4(%esp)
    lmsw %ax
    movl %edi, %cr2
    movl %cr2, %eax
    movl %cr3, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    movl %eax, %cr4
    decl %edi
    jnz 1b
    power_off
    .bss
    .balign 16
    .skip 64
stack_top:
    .skip 16
