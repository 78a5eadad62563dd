/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A loop of 16 integer instructions, BENCH_LOOPS times, then power off: for figures. The mix has loads,
 * stores, a call, a taken and a not taken branch. BENCH_BITS 64: in long mode. BENCH_HOST: as a program
 * of the host. */
#include "tiny.h"
#ifndef BENCH_LOOPS
#define BENCH_LOOPS 20000000
#endif
#ifndef BENCH_BITS
#define BENCH_BITS 32
#endif
#define CODE64 8
#define DATA 16
#define BELOW_2M 0x83       /* present, writable, a large page */
#define PRESENT_WRITABLE 3
#define EFER 0xc0000080
#define EFER_LME 0x100
#define CR4_PAE 0x20
#define CR0_PG_ET_PE 0x80000011

start:
#if BENCH_BITS == 64
#ifndef BENCH_HOST
    movl $pdpt + PRESENT_WRITABLE, pml4
    movl $directory + PRESENT_WRITABLE, pdpt
    movl $BELOW_2M, directory
    movl $pml4, %eax
    movl %eax, %cr3
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $EFER, %ecx
    movl $EFER_LME, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PG_ET_PE, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $CODE64, $1f
1:
#endif
    .code64
#define WIDE(register) %r##register
#else
#define WIDE(register) %e##register
#endif
    movl $(table + 1024), %esp
    movl $table, %edi
    movl $BENCH_LOOPS, %ecx
    xorl %eax, %eax
    movl $1, %ebx
    .balign 16
1:  movl %ecx, %edx
    andl $63, %edx
    addl (WIDE(di), WIDE(dx), 4), %eax
    imull $13, %ebx, %ebx
    xorl %eax, %ebx
    movl %ebx, (WIDE(di), WIDE(dx), 4)
    shrl $3, %eax
    testl $1, %ecx
    call 2f /* and the return: two of the sixteen */
    leal 7(WIDE(ax), WIDE(bx)), %eax
    cmpl $0, %ecx
    js 3f
    adcl $0, %ebx
    decl %ecx
    jnz 1b
3:
#ifdef BENCH_HOST
    movl $1, %eax /* exit, by its 32-bit number */
    xorl %ebx, %ebx
    int $0x80
#else
    power_off
#endif
2:  ret

    .balign 16
gdt:
    .quad 0, 0x00209a0000000000, 0x0000920000000000
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
    .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
directory:
    .skip 4096
table:
    .skip 1024
