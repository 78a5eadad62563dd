/* SPDX-License-Identifier: GPL-3.0-or-later */
/* void svm_run(u64 vmcb_spa, u64 gpr[16], u64 host_vmcb_spa): RAX and RSP of the guest are in the VMCB. */
    .section .text
    .globl svm_run
svm_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    push %rdx
    mov %rdi, %rax
    clgi
    sti /* RFLAGS.IF at VMRUN says whether physical interrupts reach hv; with GIF clear none comes here */
    vmload %rax
    mov 8*1(%rsi), %rcx
    mov 8*2(%rsi), %rdx
    mov 8*3(%rsi), %rbx
    mov 8*5(%rsi), %rbp
    mov 8*7(%rsi), %rdi
    mov 8*8(%rsi), %r8
    mov 8*9(%rsi), %r9
    mov 8*10(%rsi), %r10
    mov 8*11(%rsi), %r11
    mov 8*12(%rsi), %r12
    mov 8*13(%rsi), %r13
    mov 8*14(%rsi), %r14
    mov 8*15(%rsi), %r15
    mov 8*6(%rsi), %rsi
    vmrun %rax
    vmsave %rax
    push %rsi
    mov 16(%rsp), %rsi
    mov %rcx, 8*1(%rsi)
    mov %rdx, 8*2(%rsi)
    mov %rbx, 8*3(%rsi)
    mov %rbp, 8*5(%rsi)
    mov %rdi, 8*7(%rsi)
    mov %r8, 8*8(%rsi)
    mov %r9, 8*9(%rsi)
    mov %r10, 8*10(%rsi)
    mov %r11, 8*11(%rsi)
    mov %r12, 8*12(%rsi)
    mov %r13, 8*13(%rsi)
    mov %r14, 8*14(%rsi)
    mov %r15, 8*15(%rsi)
    pop 8*6(%rsi)
    pop %rax /* host_vmcb_spa: FS, GS, TR and what belongs to them */
    vmload %rax
    cli
    stgi
    pop %rsi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .section .note.GNU-stack, "", @progbits
