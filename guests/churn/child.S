/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small child's program: posts messages with numbers from 0 on, as many as it is told, then says with an OUT that it has. A message that finds
 * no buffer is posted again. */
#define HYPERCALL_PAGE 0x5000
#define BUFFER 0x6000
#define HOW_MANY 0x7000

    .section .rodata
    .globl churn_program, churn_program_end
churn_program:
    mov $0x40000000, %ecx
    mov $1, %eax
    mov $0x81000000, %edx
    wrmsr
    mov $0x40000001, %ecx
    mov $(HYPERCALL_PAGE + 1), %eax
    xor %edx, %edx
    wrmsr
    movl $1, BUFFER /* connection */
    movl $0, BUFFER + 4
    movl $77, BUFFER + 8 /* type */
    movl $8, BUFFER + 12 /* bytes */
    xor %ebx, %ebx
1:  cmp HOW_MANY, %rbx
    je 3f
    mov %rbx, BUFFER + 16
2:  mov $0x5c, %ecx
    mov $BUFFER, %edx
    xor %r8d, %r8d
    mov $HYPERCALL_PAGE, %eax
    call *%rax
    test %ax, %ax
    jnz 2b
    inc %rbx
    jmp 1b
3:  out %al, $0x99
    jmp 3b
churn_program_end:
    .section .note.GNU-stack, "", @progbits
