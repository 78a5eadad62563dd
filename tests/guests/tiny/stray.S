/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page-table entry lost to a stray write: a log of 16 words lies before the table, and the 17th entry goes into
 * it. A later read of the page that the entry mapped ends in `crash`. */
#include "tiny.h"

#define CODE 0x08
#define DATA 0x10
#define MAPPED 0x40000000

start:
    cli
    movl $stack_top, %esp
    lgdt gdt_pointer
    ljmp $CODE, $1f
1:  movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $crash, %eax
    movw %ax, idt + 8 * 14
    movw $CODE, idt + 8 * 14 + 2
    movw $0x8e00, idt + 8 * 14 + 4
    shrl $16, %eax
    movw %ax, idt + 8 * 14 + 6
    lidt idt_pointer
    movl $0x83, directory /* identity, 4 MiB */
    movl $(table + 3), directory + 4 * 256
    movl $(page + 3), table
    movl %cr4, %eax
    orl $0x10, %eax
    movl %eax, %cr4
    movl $directory, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    xorl %ebx, %ebx
2:  movl %ebx, %eax
    call note
    movl MAPPED, %ecx
    incl %ebx
    jmp 2b

/* Append EAX to the log, which never ends. */
note:
    movl used, %edx
stray_write:
    movl %eax, log(, %edx, 4)
    incl used
    invlpg MAPPED
    ret

crash:
    print text
    power_off

text:
    .asciz "page fault\r\n"
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
idt_pointer:
    .word 256 * 8 - 1
    .long idt

    .bss
    .balign 4096
directory:
    .skip 4096
    .skip 4096 - 64
log:
    .skip 64
table:
    .skip 4096
page:
    .skip 4096
idt:
    .skip 256 * 8
used:
    .skip 4
    .skip 1024
stack_top:
