/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xen's note 18, PHYS32_ENTRY: lib/start.S. And where the second vCPU begins. */
    .section .xen_note, "a", @note
    .align 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad start

    .text
    .globl second_entry
second_entry:
    call second_main
1:  jmp 1b
    .section .note.GNU-stack, "", @progbits
