/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A 32-bit guest of Xen's: note 18, PHYS32_ENTRY, and where its vCPUs begin. Flat, without paging. */
    .section .xen_note, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    cli
    cld
    mov $stack_end, %esp
    lgdt gdtr
    ljmp $0x08, $1f
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    call narrow_main
2:  hlt
    jmp 2b

    .globl second_entry
second_entry:
    push %eax
    push %ebx
    call narrow_second
3:  jmp 3b

    .data
    .align 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word gdtr - gdt - 1
    .long gdt

    .bss
    .align 16
    .skip 0x4000
stack_end:
    .section .note.GNU-stack, "", @progbits
