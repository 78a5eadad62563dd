/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entry of our own guests: Multiboot 1, flat 32-bit protected mode, to 64-bit mode with the first 4 GiB mapped one to one; then
 * guest_main(magic, info). And a stub per interrupt vector, for lib/interrupt.c. */
#include "abi/x86/registers.h"

#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x3
#define MSR_EFER 0xc0000080

    .section .multiboot, "a"
    .align 4
    .long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

    .section .text
    .code32
    .globl start
start:
    cli
    cld
    mov $stack_end, %esp
    mov %eax, %esi
    mov %ebx, %ebp
    movl $(boot_pdpt + 3), pml4
    mov $boot_pdpt, %edi
    mov $(pd + 3), %eax
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $0x1000, %eax
    add $8, %edi
    loop 1b
    mov $pd, %edi
    mov $0x83, %eax
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b
    mov $pml4, %eax
    mov %eax, %cr3
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $(CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG), %eax
    mov %eax, %cr0
    lgdt gdtr
    ljmp $0x08, $3f
    .code64
3:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_end, %rsp
    mov %esi, %edi
    mov %ebp, %esi
    xor %ebp, %ebp
    call guest_main
4:  cli
    hlt
    jmp 4b

    .align 16
    .globl interrupt_stubs
interrupt_stubs:
    .set vector, 0
    .rept 256
    .align 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    .byte 0x68 /* push */
    .long vector
    jmp common
    .set vector, vector + 1
    .endr

common:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    lea 72(%rsp), %rdi /* vector, error code, RIP, CS, RFLAGS, RSP, SS */
    call interrupt_entry
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    .section .data
    .align 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word gdtr - gdt - 1
    .quad gdt

    .globl boot_pdpt
    .section .bss
    .align 4096
pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
pd:
    .skip 4 * 4096
    .skip 0x10000
stack_end:
    .section .note.GNU-stack, "", @progbits
