/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the assembler: general registers of a guest between the processor and gpr[16], but RAX, RSP, RSI and RDI, which each vendor's entry
 * has a use for. `base` holds gpr's address and is none of them. */
    .macro load_gpr base
    mov 8*1(\base), %rcx
    mov 8*2(\base), %rdx
    mov 8*3(\base), %rbx
    mov 8*5(\base), %rbp
    mov 8*8(\base), %r8
    mov 8*9(\base), %r9
    mov 8*10(\base), %r10
    mov 8*11(\base), %r11
    mov 8*12(\base), %r12
    mov 8*13(\base), %r13
    mov 8*14(\base), %r14
    mov 8*15(\base), %r15
    .endm

    .macro save_gpr base
    mov %rcx, 8*1(\base)
    mov %rdx, 8*2(\base)
    mov %rbx, 8*3(\base)
    mov %rbp, 8*5(\base)
    mov %r8, 8*8(\base)
    mov %r9, 8*9(\base)
    mov %r10, 8*10(\base)
    mov %r11, 8*11(\base)
    mov %r12, 8*12(\base)
    mov %r13, 8*13(\base)
    mov %r14, 8*14(\base)
    mov %r15, 8*15(\base)
    .endm

    /* What C wants back. */
    .macro push_kept
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro pop_kept
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .endm
