/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VTL 0 runs: its registers from guest_gpr, RAX and RCX from the assist page; back when VTL 2 has something to do. */
    .text
    .globl vtl_run
vtl_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov guest_gpr + 16, %rdx
    mov guest_gpr + 24, %rbx
    mov guest_gpr + 40, %rbp
    mov guest_gpr + 48, %rsi
    mov guest_gpr + 56, %rdi
    mov guest_gpr + 64, %r8
    mov guest_gpr + 72, %r9
    mov guest_gpr + 80, %r10
    mov guest_gpr + 88, %r11
    mov guest_gpr + 96, %r12
    mov guest_gpr + 104, %r13
    mov guest_gpr + 112, %r14
    mov guest_gpr + 120, %r15
    xor %ecx, %ecx
    call *vtl_return_stub
    mov %rax, guest_gpr
    mov %rcx, guest_gpr + 8
    mov %rdx, guest_gpr + 16
    mov %rbx, guest_gpr + 24
    mov %rbp, guest_gpr + 40
    mov %rsi, guest_gpr + 48
    mov %rdi, guest_gpr + 56
    mov %r8, guest_gpr + 64
    mov %r9, guest_gpr + 72
    mov %r10, guest_gpr + 80
    mov %r11, guest_gpr + 88
    mov %r12, guest_gpr + 96
    mov %r13, guest_gpr + 104
    mov %r14, guest_gpr + 112
    mov %r15, guest_gpr + 120
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    cld
    ret
    .section .note.GNU-stack, "", @progbits
