/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "abi/x86/gpr.h"

/* void svm_run(u64 vmcb_spa, u64 gpr[16], u64 host_vmcb_spa): RAX and RSP of the guest are in the VMCB. */
    .section .text
    .globl svm_run
svm_run:
    push_kept
    push %rsi
    push %rdx
    mov %rdi, %rax
    clgi
    sti /* RFLAGS.IF at VMRUN says whether physical interrupts reach hv; with GIF clear none comes here */
    vmload %rax
    load_gpr %rsi
    mov 8*7(%rsi), %rdi
    mov 8*6(%rsi), %rsi
    vmrun %rax
    vmsave %rax
    push %rsi
    mov 16(%rsp), %rsi
    save_gpr %rsi
    mov %rdi, 8*7(%rsi)
    pop 8*6(%rsi)
    pop %rax /* host_vmcb_spa: FS, GS, TR and what belongs to them */
    vmload %rax
    cli
    stgi
    pop %rsi
    pop_kept
    ret
    .section .note.GNU-stack, "", @progbits
