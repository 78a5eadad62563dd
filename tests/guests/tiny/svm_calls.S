/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hypervisor of a page with two guests, on AMD: a child that calls Xen, and an adapter that makes a Hyper-V
 * call of each. For tests of traces: every exit, call and answer is known. */
#include "tiny.h"

#define EFER 0xc0000080
#define EFER_SVME 0x1000
#define VM_HSAVE_PA 0xc0010117

/* A guest: its VMCB, then registers that #VMEXIT leaves in the processor, and what CPUID tells it. */
#define EXITCODE 0x070
#define RIP 0x578
#define RAX 0x5f8
#define G_EBX 0x1000
#define G_ECX 0x1004
#define G_EDX 0x1008
#define G_NAME 0x100c
#define G_BYTES 0x2000

#define EXIT_CPUID 0x72
#define EXIT_HLT 0x78
#define EXIT_VMMCALL 0x81

    .macro segment at, attributes
    movl $(\attributes << 16), \at(%edi)
    movl $-1, \at + 4(%edi)
    .endm

    /* A flat 32-bit guest without paging at `entry`. */
    .macro make_guest guest, entry, asid, name
    movl $\guest, %edi
    movl $0x81040000, 0x00c(%edi) /* CPUID, HLT, shutdown */
    movl $0x3, 0x010(%edi) /* VMRUN, VMMCALL */
    movl $\asid, 0x058(%edi)
    segment 0x400, 0xc93
    segment 0x410, 0xc9b
    segment 0x420, 0xc93
    segment 0x430, 0xc93
    movl $EFER_SVME, 0x4d0(%edi)
    movl $0x11, 0x558(%edi) /* CR0: PE, ET */
    movl $0x400, 0x560(%edi)
    movl $0xffff0ff0, 0x568(%edi)
    movl $2, 0x570(%edi)
    movl $\entry, RIP(%edi)
    movl $\name, G_NAME(%edi)
    .endm

start:
    movl $stack_top, %esp
    movl $EFER, %ecx
    rdmsr
    orl $EFER_SVME, %eax
    wrmsr
    movl $VM_HSAVE_PA, %ecx
    movl $host_save, %eax
    xorl %edx, %edx
    wrmsr
    make_guest child, child_code, 1, xen_name
    make_guest adapter, adapter_code, 2, hyperv_name
    movl $child, %esi
    call run
    print text
    power_off

/* Run the guest at ESI until it halts. */
run:
    movl %esi, current
    movl G_EBX(%esi), %ebx
    movl G_ECX(%esi), %ecx
    movl G_EDX(%esi), %edx
    movl %esi, %eax
    vmrun
    movl current, %esi
    movl %ebx, G_EBX(%esi)
    movl %ecx, G_ECX(%esi)
    movl %edx, G_EDX(%esi)
    movl EXITCODE(%esi), %eax
    cmpl $EXIT_CPUID, %eax
    je on_cpuid
    cmpl $EXIT_VMMCALL, %eax
    je on_call
    incl RIP(%esi) /* past HLT */
    ret

on_cpuid:
    movl G_NAME(%esi), %edi
    movl (%edi), %eax
    movl %eax, G_EBX(%esi)
    movl 4(%edi), %eax
    movl %eax, G_ECX(%esi)
    movl 8(%edi), %eax
    movl %eax, G_EDX(%esi)
    movl $0x40000001, RAX(%esi)
    addl $2, RIP(%esi)
    jmp run

/* The child's calls are the adapter's to answer. */
on_call:
    addl $3, RIP(%esi)
    movl $0, RAX(%esi)
    cmpl $child, %esi
    jne run
    movl $adapter, %esi
    call run
    movl $child, %esi
    jmp run

    .macro call_hypervisor
    vmmcall
    .endm
#include "calls.h"
text:
    .asciz "three calls\r\n"
    .bss
    .balign 4096
child:
    .skip G_BYTES
adapter:
    .skip G_BYTES
host_save:
    .skip 4096
current:
    .skip 4
    .balign 16
    .skip 1024
stack_top:
