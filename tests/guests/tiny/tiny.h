/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the smallest guests share: a Multiboot 1 header and a few macros. They run in the flat 32-bit
 * protected mode that the loader leaves, without stack, IDT or GDT unless they set them up. */
#ifndef VITRINE_TESTS_TINY_H
#define VITRINE_TESTS_TINY_H

#define MB1_MAGIC 0x1badb002
#define COM1 0x3f8
#define PM1A_CNT 0x604  /* PMBASE 0x600 + 4 */
#define SLP_EN_S5 0x2000 /* SLP_EN with the sleep type of S5, 0 */

    .text
    .globl start
    .balign 8
    .long MB1_MAGIC, 0, -MB1_MAGIC
    .code32

    /* Print the zero-terminated text at `label` on the first serial port. Changes EAX, EDX, ESI. */
    .macro print label
    movw $(COM1 + 3), %dx /* 8 data bits: the port comes out of reset with 5 */
    movb $3, %al
    outb %al, %dx
    movl $\label, %esi
    cld
91: movw $(COM1 + 5), %dx
92: inb %dx, %al
    testb $0x20, %al
    jz 92b
    lodsb
    testb %al, %al
    jz 93f
    movw $COM1, %dx
    outb %al, %dx
    jmp 91b
93:
    .endm

    .macro power_off
    movw $PM1A_CNT, %dx
    movw $SLP_EN_S5, %ax
    outw %ax, %dx
94: hlt
    jmp 94b
    .endm

#endif
