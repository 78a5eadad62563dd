/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same on Intel: two guests without EPT in the host's own identity-mapped address space. */
#include "tiny.h"

#define FEATURE_CONTROL 0x3a
#define VMX_BASIC 0x480
#define CODE 0x08
#define DATA 0x10
#define TSS 0x18

#define EXIT_REASON 0x4402
#define EXIT_LENGTH 0x440c
#define GUEST_RIP 0x681e
#define HOST_RSP 0x6c14

#define EXIT_CPUID 10
#define EXIT_HLT 12
#define EXIT_VMCALL 18

/* A guest. */
#define G_VMCS 0x00 /* address, 64 bits */
#define G_LAUNCHED 0x08
#define G_EAX 0x0c
#define G_EBX 0x10
#define G_ECX 0x14
#define G_EDX 0x18
#define G_NAME 0x1c
#define G_BYTES 0x20

    /* Field 'control' gets the settings of `want` that the processor allows, and those it demands. */
    .macro control field, msr, want
    movl $\msr, %ecx
    rdmsr
    orl $\want, %eax
    andl %edx, %eax
    movl $\field, %edx
    vmwrite %eax, %edx
    .endm

    .macro make_guest guest, vmcs, entry, name
    movl $\vmcs, \guest + G_VMCS
    movl $\name, \guest + G_NAME
    movl revision, %eax
    movl %eax, \vmcs
    vmclear \guest + G_VMCS
    vmptrld \guest + G_VMCS
    call write_fields
    movl $\entry, %eax
    movl $GUEST_RIP, %edx
    vmwrite %eax, %edx
    .endm

start:
    cli
    movl $stack_top, %esp
    lgdt gdt_pointer
    ljmp $CODE, $1f
1:  movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $TSS, %ax
    ltr %ax
    call paging_on
    movl %cr4, %eax
    orl $0x2000, %eax /* VMXE */
    movl %eax, %cr4
    movl $FEATURE_CONTROL, %ecx
    rdmsr
    testb $1, %al
    jnz 1f
    orl $5, %eax /* locked, VMX outside SMX */
    wrmsr
1:  movl $VMX_BASIC, %ecx
    rdmsr
    andl $0x7fffffff, %eax
    movl %eax, revision
    movl %eax, vmxon_region
    vmxon vmxon_at
    make_guest child, child_vmcs, child_code, xen_name
    make_guest adapter, adapter_vmcs, adapter_code, hyperv_name
    movl $child, %esi
    call run
    print text
    power_off

/* Identity, the first 4 MiB, one large page. */
paging_on:
    movl $0x83, page_directory
    movl %cr4, %eax
    orl $0x10, %eax /* PSE */
    movl %eax, %cr4
    movl $page_directory, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000020, %eax /* PG, NE */
    movl %eax, %cr0
    ret

/* All fields of the current VMCS but RIP. */
write_fields:
    movl $fields, %ebx
1:  movl (%ebx), %edx
    movl 4(%ebx), %eax
    vmwrite %eax, %edx
    addl $8, %ebx
    cmpl $fields_end, %ebx
    jb 1b
    control 0x4000, 0x481, 0
    control 0x4002, 0x482, 0x80 /* HLT */
    control 0x400c, 0x483, 0
    control 0x4012, 0x484, 0
    movl %cr0, %eax
    movl $0x6800, %edx
    vmwrite %eax, %edx
    movl $0x6c00, %edx
    vmwrite %eax, %edx
    movl %cr4, %eax
    movl $0x6804, %edx
    vmwrite %eax, %edx
    movl $0x6c04, %edx
    vmwrite %eax, %edx
    ret

/* Run the guest at ESI until it halts. */
run:
    movl %esi, current
    vmptrld G_VMCS(%esi)
    movl $HOST_RSP, %edx
    vmwrite %esp, %edx
    movl G_EBX(%esi), %ebx
    movl G_ECX(%esi), %ecx
    movl G_EDX(%esi), %edx
    movl G_EAX(%esi), %eax
    cmpl $0, G_LAUNCHED(%esi)
    jne 1f
    incl G_LAUNCHED(%esi)
    vmlaunch
    jmp 2f
1:  vmresume
2:  print trouble
    power_off

on_exit:
    movl current, %esi
    movl %eax, G_EAX(%esi)
    movl %ebx, G_EBX(%esi)
    movl %ecx, G_ECX(%esi)
    movl %edx, G_EDX(%esi)
    movl $EXIT_LENGTH, %edx
    vmread %edx, %ecx
    movl $GUEST_RIP, %edx
    vmread %edx, %eax
    addl %ecx, %eax
    vmwrite %eax, %edx
    movl $EXIT_REASON, %edx
    vmread %edx, %eax
    cmpl $EXIT_CPUID, %eax
    je on_cpuid
    cmpl $EXIT_VMCALL, %eax
    je on_call
    ret

on_cpuid:
    movl G_NAME(%esi), %edi
    movl (%edi), %eax
    movl %eax, G_EBX(%esi)
    movl 4(%edi), %eax
    movl %eax, G_ECX(%esi)
    movl 8(%edi), %eax
    movl %eax, G_EDX(%esi)
    movl $0x40000001, G_EAX(%esi)
    jmp run

/* The child's calls are the adapter's to answer. */
on_call:
    movl $0, G_EAX(%esi)
    cmpl $child, %esi
    jne run
#ifdef BAD_FIELD /* vmx_bad.S */
    cmpl $2, spoil_at
    je spoil
    incl spoil_at
spoiled:
#endif
    movl $adapter, %esi
    call run
    movl $child, %esi
    jmp run

#ifdef BAD_FIELD
/* RFLAGS without its bit that is always 1: the next entry of the child is refused. */
spoil:
    pushl %edx
    movl $0x6820, %edx
    xorl %eax, %eax
bad_write:
    vmwrite %eax, %edx
    popl %edx
    incl spoil_at
    jmp spoiled
#endif

    .macro call_hypervisor
    vmcall
    .endm
#include "calls.h"
text:
    .asciz "three calls\r\n"
trouble:
    .asciz "the entry failed\r\n"

    .balign 8
vmxon_at:
    .long vmxon_region, 0
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00008900000000ff /* TSS at 0: never used */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

    .balign 8
fields:
    .long 0x4004, 0 /* exceptions */
    .long 0x4006, 0, 0x4008, 0 /* page-fault error codes */
    .long 0x400a, 0, 0x400e, 0, 0x4010, 0, 0x4014, 0 /* CR3 targets, MSR areas */
    .long 0x4016, 0 /* nothing to inject */
    .long 0x6000, 0, 0x6002, 0 /* masks of CR0 and CR4 */
    .long 0x2800, -1, 0x2801, -1 /* no link */
    .long 0x2802, 0, 0x2803, 0 /* DEBUGCTL */
    .long 0x0800, DATA, 0x0802, CODE, 0x0804, DATA, 0x0806, DATA, 0x0808, 0, 0x080a, 0, 0x080c, 0, 0x080e, TSS
    .long 0x4800, -1, 0x4802, -1, 0x4804, -1, 0x4806, -1, 0x4808, 0, 0x480a, 0, 0x480c, 0, 0x480e, 0xff
    .long 0x4810, 31, 0x4812, 0 /* GDT, IDT */
    .long 0x4814, 0xc093, 0x4816, 0xc09b, 0x4818, 0xc093, 0x481a, 0xc093
    .long 0x481c, 0x10000, 0x481e, 0x10000, 0x4820, 0x10000, 0x4822, 0x8b
    .long 0x4824, 0, 0x4826, 0, 0x482a, 0 /* interruptibility, activity, SYSENTER_CS */
    .long 0x6802, page_directory
    .long 0x6806, 0, 0x6808, 0, 0x680a, 0, 0x680c, 0, 0x680e, 0, 0x6810, 0, 0x6812, 0, 0x6814, 0
    .long 0x6816, gdt, 0x6818, 0
    .long 0x681a, 0x400, 0x681c, 0, 0x6820, 2, 0x6822, 0, 0x6824, 0, 0x6826, 0
    .long 0x0c00, DATA, 0x0c02, CODE, 0x0c04, DATA, 0x0c06, DATA, 0x0c08, 0, 0x0c0a, 0, 0x0c0c, TSS
    .long 0x4c00, 0, 0x6c02, page_directory
    .long 0x6c06, 0, 0x6c08, 0, 0x6c0a, 0, 0x6c0c, gdt, 0x6c0e, 0, 0x6c10, 0, 0x6c12, 0
    .long 0x6c16, on_exit
fields_end:

    .bss
    .balign 4096
page_directory:
    .skip 4096
vmxon_region:
    .skip 4096
child_vmcs:
    .skip 4096
adapter_vmcs:
    .skip 4096
child:
    .skip G_BYTES
adapter:
    .skip G_BYTES
current:
    .skip 4
revision:
    .skip 4
spoil_at:
    .skip 4
    .balign 16
    .skip 1024
stack_top:
