/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "abi/x86/gpr.h"

/* u64 vmx_run(u64 gpr[16], u64 launched): 0 after an exit, 1 when VMLAUNCH or VMRESUME failed. The guest's RSP is in the VMCS. */
#define VMCS_HOST_RSP 0x6c14

    .section .text
    .globl vmx_run, vmx_exit
vmx_run:
    push_kept
    push %rdi
    mov $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    cmp $0, %rsi
    mov 8*0(%rdi), %rax
    load_gpr %rdi
    mov 8*6(%rdi), %rsi
    mov 8*7(%rdi), %rdi
    jne 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  pop %rdi
    mov $1, %eax
    jmp 3f
vmx_exit:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, 8*0(%rdi)
    save_gpr %rdi
    mov %rsi, 8*6(%rdi)
    pop 8*7(%rdi)
    pop %rdi
    xor %eax, %eax
3:  pop_kept
    ret
    .section .note.GNU-stack, "", @progbits
