/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gives the edu device tables of VT-d, lets it read a page, maps another one in its place and lets it read again. Without
 * an argument it forgets to invalidate; with one it does. Wants --device intel-iommu --device edu. */
#include "abi/x86/vtd.h"
#include "tiny.h"

#define UNIT 0xfed90000
#define IOTLB (UNIT + VTD_IOTLB)
#define ROOT 0x200000
#define CONTEXT 0x201000
#define L3 0x202000
#define L2 0x203000
#define L1 0x204000
#define DATA 0x210000
#define DEVICE_BAR %ebp

start:
    movl $0x300000, %esp
    movl %ebx, %edi             /* Multiboot information: has it a command line? */
    xorl %ecx, %ecx
    testl $4, (%edi)
    jz 1f
    movl 16(%edi), %esi
6:  movb (%esi), %al
    incl %esi
    testb %al, %al
    jz 1f
    cmpb $' ', %al
    jne 6b
    cmpb $0, (%esi)
    setne %cl                   /* a word after the file's name */
1:  movl %ecx, tells
    /* Find edu on bus 0. */
    movl $0x80000000, %ebx
2:  movl %ebx, %eax
    movw $0xcf8, %dx
    outl %eax, %dx
    movw $0xcfc, %dx
    inl %dx, %eax
    cmpl $0x11e81234, %eax
    je 3f
    addl $0x800, %ebx
    cmpl $0x80010000, %ebx
    jb 2b
    print nothing
    power_off
3:  leal 4(%ebx), %eax          /* memory and bus mastering */
    movw $0xcf8, %dx
    outl %eax, %dx
    movw $0xcfc, %dx
    movl $6, %eax
    outl %eax, %dx
    leal 16(%ebx), %eax
    movw $0xcf8, %dx
    outl %eax, %dx
    movw $0xcfc, %dx
    inl %dx, %eax
    andl $0xfffffff0, %eax
    movl %eax, DEVICE_BAR
    /* One domain of three levels; page 1 is the first page of DATA. */
    movl $(CONTEXT | 1), ROOT
    shrl $8, %ebx
    andl $0xff, %ebx
    shll $4, %ebx
    movl $(L3 | 1), CONTEXT(%ebx)
    movl $(1 << 8 | 1), CONTEXT + 8(%ebx)
    movl $(L2 | 3), L3
    movl $(L1 | 3), L2
    movl $(DATA | 3), L1 + 8
    movl $ROOT, UNIT + VTD_RTADDR
    movl $0, UNIT + VTD_RTADDR + 4
    movl $VTD_GCMD_SRTP, UNIT + VTD_GCMD
    movl $0, UNIT + VTD_CCMD
    movl $0xa0000000, UNIT + VTD_CCMD + 4   /* all contexts */
    movl $0, IOTLB
    movl $0x90000000, IOTLB + 4             /* all pages */
    movl $VTD_GCMD_TE, UNIT + VTD_GCMD
    call read
    movl $(DATA + 0x1000 | 3), L1 + 8
    cmpl $0, tells
    je 4f
    movl $0, IOTLB
    movl $0x90000000, IOTLB + 4
4:  call read
    print done
    power_off

read:
    movl $0x1000, 0x80(DEVICE_BAR)
    movl $0, 0x84(DEVICE_BAR)
    movl $0x40000, 0x88(DEVICE_BAR)
    movl $0, 0x8c(DEVICE_BAR)
    movl $64, 0x90(DEVICE_BAR)
    movl $0, 0x94(DEVICE_BAR)
    movl $0, 0x9c(DEVICE_BAR)
    movl $1, 0x98(DEVICE_BAR)
5:  testl $1, 0x98(DEVICE_BAR)
    jnz 5b
    ret

nothing:
    .asciz "no edu\r\n"
done:
    .asciz "read twice\r\n"
    .balign 4
tells:
    .long 0
