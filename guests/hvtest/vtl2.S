/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A paravisor of a few instructions in VTL 2, and the guest in VTL 0 whose CPUID, MSR and hypercall it answers. */
#include "abi/hyperv/vsm.h"
#include "guests/hvtest/child.h"

#define SELF_VP 0xfffffffe
#define SET_ONE 0x100000051 /* SetVpRegisters, one */
#define RIP 0x20010
#define BUFFER VTL2_BUFFER

    .section .rodata
    .globl vtl2_program, vtl2_program_end, vtl0_program, vtl0_program_end
vtl2_program:
    mov $0x40000000, %ecx
    mov $1, %eax
    mov $0x83000000, %edx
    wrmsr
    mov $0x40000001, %ecx
    mov $(VTL2_HYPERCALL_PAGE + 1), %eax
    xor %edx, %edx
    wrmsr
    mov $0x40000073, %ecx
    mov $(VTL2_ASSIST + 1), %eax
    wrmsr
    movl $4, VTL2_LOG
    /* Own VP: D0007 */
    mov $(0x10 | 2), %bl
    mov $HV_REG_VSM_PARTITION_CONFIG, %r12d
    mov $(HV_VSM_CONFIG_PROTECTION | 0x1e | HV_VSM_CONFIG_CPUID | HV_VSM_CONFIG_INTERCEPT_PAGE), %r13d
    call set_register
    /* The same with bits that do not exist */
    mov $(0x10 | 2), %bl
    mov $HV_REG_VSM_PARTITION_CONFIG, %r12d
    mov $-1, %r13
    call set_register
    mov %rax, VTL2_SECRET + 16
    /* EnableVpVtl on VP 0, which has VTL 2 */
    movq $-1, BUFFER
    movl $0, BUFFER + 8
    movl $2, BUFFER + 12
    movq $2, BUFFER + 16 + 16 /* RFLAGS */
    movq $0, BUFFER + 16 + 184 /* EFER, CR0, CR3, CR4 */
    movq $0, BUFFER + 16 + 192
    movq $0, BUFFER + 16 + 200
    movq $0, BUFFER + 16 + 208
    mov $0x0f, %ecx
    call hypercall
    mov %rax, VTL2_SECRET + 24
    /* Intercepts: MSR (R|W), hypercall (X) */
    mov $1, %r12d
    mov $3, %r13d
    call intercept
    mov $8, %r12d
    mov $4, %r13d
    call intercept
    /* VTL 0 has no right to the secret */
    movq $-1, BUFFER
    movl $0, BUFFER + 8
    movl $0, BUFFER + 12
    movq $(VTL2_SECRET >> 12), BUFFER + 16
    movabs $0x10000000c, %rcx
    call hypercall
    mov %rax, VTL2_SECRET + 8

again: /* VTL 0 runs */
    xor %ecx, %ecx
    mov $(VTL2_HYPERCALL_PAGE + 32), %eax
    call *%rax
    /* It came back: RAX and RCX are in the assist page, the other registers are VTL 0's. */
    mov %rdi, save_rdi(%rip)
    mov %rsi, save_rsi(%rip)
    mov %rbx, save_rbx(%rip)
    mov %rdx, save_rdx(%rip)
    mov VTL2_LOG, %eax
    mov VTL2_ASSIST + HV_ASSIST_MESSAGE, %ecx
    mov %ecx, VTL2_LOG(%rax)
    addl $4, VTL2_LOG
    movq $0x5eed, VTL2_ASSIST + HV_ASSIST_RETURN_RAX /* every answer is this in RAX */
    cmp $0x80000001, %ecx
    jne 1f
    movq $0xdead, VTL2_ASSIST + HV_ASSIST_RETURN_RAX
    mov $8, %r13d /* the instruction's length, which the message does not have */
    jmp 2f
1:  movzbl VTL2_ASSIST + HV_ASSIST_MESSAGE + 16 + 4, %r13d
    and $15, %r13d
2:  add VTL2_ASSIST + HV_ASSIST_MESSAGE + 16 + 24, %r13
    mov $0x10, %bl
    mov $RIP, %r12d
    call set_register
    mov save_rdi(%rip), %rdi
    mov save_rsi(%rip), %rsi
    mov save_rbx(%rip), %rbx
    mov save_rdx(%rip), %rdx
    jmp again

/* BL: INPUT_VTL; R12D: name; R13: value */
set_register:
    movq $-1, BUFFER
    movl $SELF_VP, BUFFER + 8
    movl $0, BUFFER + 12
    mov %bl, BUFFER + 12
    mov %r12, BUFFER + 16
    movq $0, BUFFER + 24
    mov %r13, BUFFER + 32
    movq $0, BUFFER + 40
    movabs $SET_ONE, %rcx
hypercall:
    mov $BUFFER, %edx
    xor %r8d, %r8d
    mov $VTL2_HYPERCALL_PAGE, %eax
    jmp *%rax

intercept:
    movq $-1, BUFFER
    mov %r13d, BUFFER + 8
    mov %r12d, BUFFER + 12
    movq $0, BUFFER + 16
    mov $0x4d, %ecx
    jmp hypercall
    .align 8
save_rdi:
    .quad 0
save_rsi:
    .quad 0
save_rbx:
    .quad 0
save_rdx:
    .quad 0
vtl2_program_end:

vtl0_program:
    mov $0x40000000, %eax
    cpuid
    mov %rax, VTL0_RESULTS
    mov $0x40000001, %ecx
    rdmsr
    mov %rax, VTL0_RESULTS + 8
    mov $77, %eax
    mov $0x1111, %ebx
    call *VTL0_RESULTS + 0x100
    mov %rax, VTL0_RESULTS + 16
    mov %rbx, VTL0_RESULTS + 24
    mov VTL2_SECRET, %rax
    mov %rax, VTL0_RESULTS + 32
    mov $1, %eax
    cpuid
    mov %rcx, VTL0_RESULTS + 40
    out %al, $CHILD_PORT
1:  hlt
    jmp 1b
vtl0_program_end:
    .section .note.GNU-stack, "", @progbits
