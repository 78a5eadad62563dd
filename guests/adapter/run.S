/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VTL 0 runs: its registers from this VP's gpr[], RAX and RCX from the assist page; back when VTL 2 has something to do. And the
 * entry of the VPs that are started later. */
#define GPR(n) %gs:8 + 8 * n
#define RETURN_STUB %gs:136
    .text
    .globl vtl_run
vtl_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov GPR(2), %rdx
    mov GPR(3), %rbx
    mov GPR(5), %rbp
    mov GPR(6), %rsi
    mov GPR(7), %rdi
    mov GPR(8), %r8
    mov GPR(9), %r9
    mov GPR(10), %r10
    mov GPR(11), %r11
    mov GPR(12), %r12
    mov GPR(13), %r13
    mov GPR(14), %r14
    mov GPR(15), %r15
    xor %ecx, %ecx
    call *RETURN_STUB
    mov %rax, GPR(0)
    mov %rcx, GPR(1)
    mov %rdx, GPR(2)
    mov %rbx, GPR(3)
    mov %rbp, GPR(5)
    mov %rsi, GPR(6)
    mov %rdi, GPR(7)
    mov %r8, GPR(8)
    mov %r9, GPR(9)
    mov %r10, GPR(10)
    mov %r11, GPR(11)
    mov %r12, GPR(12)
    mov %r13, GPR(13)
    mov %r14, GPR(14)
    mov %r15, GPR(15)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    cld
    ret
    .section .note.GNU-stack, "", @progbits
