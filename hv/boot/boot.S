/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entry by Multiboot 1 or PVH in flat 32-bit protected mode, to 64-bit mode with the first 4 GiB mapped one to one;
 * and the other processors' way there from real mode. [Multiboot Specification 0.6.96], [PVH] */
#include "abi/x86/registers.h"

#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x3 /* modules on page boundaries, memory map */
#define BOOT_PVH 0
#define TRAMPOLINE 0x8000
#define MSR_EFER 0xc0000080
#define EFER_BITS (EFER_LME | EFER_NXE)
#define CR4_BITS (CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define CR0_BITS (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)

    .section .multiboot, "a"
    .align 4
    .long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18 /* name size, descriptor size, type: 32-bit physical entry */
    .byte 0x58, 0x65, 0x6e, 0
    .long start_pvh

    .section .text
    .code32
    .globl start_multiboot
start_multiboot:
    cli
    jmp 1f
start_pvh:
    cli
    mov $BOOT_PVH, %eax
1:  cld
    mov $boot_stack_end, %esp
    mov %eax, %esi
    mov %ebx, %ebp
    /* Page tables: one of level 4, one of level 3, four of level 2 with 2-MiB pages. */
    mov $boot_pml4, %edi
    mov $boot_pdpt + 3, %eax
    mov %eax, (%edi)
    mov $boot_pdpt, %edi
    mov $boot_pd + 3, %eax
    mov $4, %ecx
2:  mov %eax, (%edi)
    add $0x1000, %eax
    add $8, %edi
    loop 2b
    mov $boot_pd, %edi
    mov $0x83, %eax
    mov $2048, %ecx
3:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 3b
    /* The APICs' 2 MiB at FEC00000 and FEE00000 are devices: uncached. */
    orl $0x18, boot_pd + 8 * 0x7f6
    orl $0x18, boot_pd + 8 * 0x7f7
    mov $boot_pml4, %eax
    call to_long_mode
    ljmp $0x08, $4f

/* EAX: page tables. Leaves the caller in compatibility mode with the boot GDT. */
to_long_mode:
    mov %eax, %cr3
    mov $CR4_BITS, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    mov $CR0_BITS, %eax
    mov %eax, %cr0
    lgdt boot_gdtr
    ret

    .code64
4:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_stack_end, %rsp
    xor %ebx, %ebx
    mov %esi, %edi
    mov %ebp, %esi
    xor %ebp, %ebp
    call hv_main
5:  cli
    hlt
    jmp 5b

    /* Copied to TRAMPOLINE: real mode, CS:IP = 0800:0000. */
    .section .rodata
    .code16
    .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE + (6f - ap_trampoline)
    mov %cr0, %eax
    or $CR0_PE, %al
    mov %eax, %cr0
    ljmpl $0x18, $ap_start32
    .align 4
6:  .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
ap_trampoline_end:

    .section .text
    .code32
ap_start32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov ap_stack, %esp
    mov $boot_pml4, %eax
    call to_long_mode
    ljmp $0x08, $7f
    .code64
7:  mov ap_stack, %rsp
    xor %ebp, %ebp
    call smp_ap_main
8:  cli
    hlt
    jmp 8b

    .section .data
    .align 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
boot_gdt_end:
boot_gdtr:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt
    .align 8
    .globl ap_stack
ap_stack:
    .quad 0

    .section .bss
    .align 4096
    .globl boot_pml4, boot_pdpt
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .skip 0x4000
boot_stack_end:
    .section .note.GNU-stack, "", @progbits
