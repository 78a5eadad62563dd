/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VTL 0 runs: its registers from this VP's gpr[], RAX and RCX from the assist page; back when VTL 2 has something to do. And the
 * entry of the VPs that are started later. */
#include "abi/x86/gpr.h"

#define SELF %gs:0
#define GPR 8
#define RETURN_STUB %gs:136
    .text
    .globl vtl_run
vtl_run:
    push_kept
    mov SELF, %rax
    add $GPR, %rax
    load_gpr %rax
    mov 8*6(%rax), %rsi
    mov 8*7(%rax), %rdi
    xor %ecx, %ecx
    call *RETURN_STUB
    push %rax
    mov SELF, %rax
    add $GPR, %rax
    pop 8*0(%rax)
    save_gpr %rax
    mov %rsi, 8*6(%rax)
    mov %rdi, 8*7(%rax)
    pop_kept
    cld
    ret
    .section .note.GNU-stack, "", @progbits
