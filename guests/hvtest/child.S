/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child's program, copied to CHILD_CODE: makes the hypercalls that its parent puts into the mailbox. At each OUT the parent has the
 * turn. */
#include "guests/hvtest/child.h"

#define AT(label) (label - child_program + CHILD_CODE)

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
    lgdt AT(gdt_pointer)
next:
    out %al, $CHILD_PORT
    mov CHILD_MAILBOX, %rcx
    mov CHILD_MAILBOX + 8, %rdx
    mov CHILD_MAILBOX + 16, %r8
    movups CHILD_XMM, %xmm0
    movups CHILD_XMM + 16, %xmm1
    movups CHILD_XMM + 32, %xmm2
    movups CHILD_XMM + 48, %xmm3
    movups CHILD_XMM + 64, %xmm4
    movups CHILD_XMM + 80, %xmm5
    mov CHILD_MAILBOX + 32, %rax
    cmp $DO_CALL_32, %rax
    je call_32
    cmp $DO_UD, %rax
    je undefined
    cmp $DO_RDMSR, %rax
    je read_msr
    cmp $DO_WRMSR, %rax
    je write_msr
    cmp $DO_LOAD, %rax
    je load
    cmp $DO_STORE, %rax
    je store
    cmp $DO_INTERRUPTS, %rax
    je interrupts
    mov $CHILD_HYPERCALL_PAGE, %eax
    call *%rax
answer:
    mov %rax, CHILD_MAILBOX + 24
    jmp next
undefined:
    ud2
    jmp answer
read_msr:
    rdmsr
    shl $32, %rdx
    or %rdx, %rax
    jmp answer
write_msr:
    mov %rdx, %rax
    shr $32, %rdx
    wrmsr
    jmp answer
load:
    mov (%rdx), %eax
    jmp answer
store:
    mov %r8d, (%rdx)
    jmp answer
interrupts:
    xor %eax, %eax
    lidt AT(idt_pointer)
    sti
    nop
    nop
    cli
    jmp answer
interrupt:
    mov $CHILD_VECTOR, %eax
    iretq
call_32:
    ljmp *AT(to_32)
    .code32
in_32:
    mov CHILD_MAILBOX, %eax
    mov CHILD_MAILBOX + 4, %edx
    mov CHILD_MAILBOX + 12, %ebx
    mov CHILD_MAILBOX + 8, %ecx
    mov CHILD_MAILBOX + 20, %edi
    mov CHILD_MAILBOX + 16, %esi
    mov $CHILD_HYPERCALL_PAGE, %ebp
    call *%ebp
    ljmp *AT(to_64)
    .code64
in_64:
    shl $32, %rdx
    mov %eax, %eax
    or %rdx, %rax
    jmp answer
    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdt_pointer:
    .word . - gdt - 1
    .quad AT(gdt)
idt_pointer:
    .word 0xfff
    .quad AT(gate) - 16 * CHILD_VECTOR
gate: /* of an interrupt, in the second 64 KiB */
    .word interrupt - child_program, 8
    .byte 0, 0x8e
    .word CHILD_CODE >> 16
    .long 0, 0
to_32:
    .long AT(in_32)
    .word 0x18
to_64:
    .long AT(in_64)
    .word 0x08
child_program_end:
    .section .note.GNU-stack, "", @progbits
