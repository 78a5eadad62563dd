/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two guests of svm_calls.S and vmx_calls.S, which define the macro call_hypervisor: a child that makes three Xen
 * calls, and an adapter that makes a Hyper-V call each time it is run. */
#ifndef VITRINE_TESTS_CALLS_H
#define VITRINE_TESTS_CALLS_H

child_code:
    movl %cr0, %edx /* what is not intercepted is an event too */
    movl %edx, %cr2
    clts
    movl $0x40000000, %eax
    cpuid
    movl $17, %eax /* xen_version */
    movl $0, %ebx
    movl $0, %ecx
    call_hypervisor
    movl $32, %eax /* event_channel_op, send */
    movl $4, %ebx
    movl $0x5000, %ecx
    call_hypervisor
    movl $29, %eax /* sched_op, yield */
    movl $0, %ebx
    call_hypervisor
    hlt

adapter_code:
    movl $0x40000000, %eax
    cpuid
1:  movl $0x1005d, %eax /* SignalEvent, fast */
    xorl %edx, %edx
    movl $7, %ecx
    xorl %ebx, %ebx
    call_hypervisor
    hlt
    jmp 1b

xen_name:
    .ascii "XenVMMXenVMM"
hyperv_name:
    .ascii "Microsoft Hv"

#endif
