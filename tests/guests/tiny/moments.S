/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest of many moments, for tests that save, restore and slice a machine anywhere: flat protected
 * mode, 32-bit paging with changing tables and page faults, real mode with a system management
 * interrupt, long mode with SSE and a second processor. The PIT ticks through the 8259 all the time
 * (every 10 us) and lets the serial port send a byte by interrupt; the APIC timer joins in long mode.
 *
 * What all modes share lies at fixed places in low memory. */
#include "tiny.h"

#define TICKS 0x500
#define ROUNDS 0x504
#define ACC 0x508
#define SMM_COUNT 0x50c
#define AP_COUNT 0x510
#define AP_STOP 0x514
#define SENT 0x518
#define FLOAT 0x520
#define SCRATCH 0x600 /* 128 bytes */

#define REAL_AT 0x8000
#define AP_AT 0x9000
#define SMI_AT 0x38000
#define APIC 0xfee00000

#define CODE32 0x08
#define DATA 0x10
#define CODE16 0x18
#define DATA16 0x20
#define CODE64 0x28

    .macro out_byte port, value
    movw $\port, %dx
    movb $\value, %al
    outb %al, %dx
    .endm

    .macro apic_write reg, value
    movl $\value, APIC + \reg
    .endm

start:
    cli
    cld
    lgdt gdt_pointer
    ljmp $CODE32, $1f
1:  movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $stack_top, %esp
    fninit
    call copy_low_code
    call build_idt32
    call start_devices
    sti

    /* Protected mode without paging. */
1:  call work
    cmpl $40, TICKS
    jb 1b

    call paging_on
2:  call work
    call page_work
    cmpl $80, TICKS
    jb 2b
    cli
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    ljmp $CODE16, $REAL_AT

back_from_real: /* in CODE32 again, interrupts off */
    movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $stack_top, %esp
    lidt idt32_pointer
    jmp enter_long

/* ---- Devices ---- */

start_devices:
    apic_write 0xf0, 0x1ff
    apic_write 0x350, 0x700 /* LINT0: the 8259 */
    out_byte 0x20, 0x11
    out_byte 0xa0, 0x11
    out_byte 0x21, 0x20
    out_byte 0xa1, 0x28
    out_byte 0x21, 4
    out_byte 0xa1, 2
    out_byte 0x21, 1
    out_byte 0xa1, 1
    out_byte 0x21, 0xee /* IRQ 0 and 4 */
    out_byte 0xa1, 0xff
    out_byte 0x43, 0x34
    out_byte 0x40, 12
    out_byte 0x40, 0
    out_byte (COM1 + 3), 0x83
    out_byte COM1, 1
    out_byte (COM1 + 1), 0
    out_byte (COM1 + 3), 0x03
    out_byte (COM1 + 4), 0x0b
    /* System management interrupts by port 0xb2. */
    movw $0x630, %dx
    movl $0x21, %eax
    outl %eax, %dx
    ret

copy_low_code:
    movl $real_start, %esi
    movl $REAL_AT, %edi
    movl $(real_end - real_start), %ecx
    rep movsb
    movl $ap_start, %esi
    movl $AP_AT, %edi
    movl $(ap_end - ap_start), %ecx
    rep movsb
    movl $smi_start, %esi
    movl $SMI_AT, %edi
    movl $(smi_end - smi_start), %ecx
    rep movsb
    ret

/* ---- 32-bit: interrupts ---- */

    /* set_gate vector, handler (in CODE32) */
    .macro set_gate vector, handler
    movl $\handler, %eax
    movw %ax, idt32 + 8 * \vector
    movw $CODE32, idt32 + 8 * \vector + 2
    movw $0x8e00, idt32 + 8 * \vector + 4
    shrl $16, %eax
    movw %ax, idt32 + 8 * \vector + 6
    .endm

build_idt32:
    set_gate 14, page_fault32
    set_gate 0x20, irq0_32
    set_gate 0x24, irq4_32
    lidt idt32_pointer
    ret

irq0_32:
    pushl %eax
    pushl %edx
    incl TICKS
    out_byte (COM1 + 1), 0x02
    movb $0x20, %al
    outb %al, $0x20
    popl %edx
    popl %eax
    iret

irq4_32:
    pushl %eax
    pushl %edx
    movw $(COM1 + 2), %dx
    inb %dx, %al
    incl SENT
    movb SENT, %al
    andb $15, %al
    addb $0x61, %al
    movw $COM1, %dx
    outb %al, %dx
    out_byte (COM1 + 1), 0
    movb $0x20, %al
    outb %al, $0x20
    popl %edx
    popl %eax
    iret

page_fault32:
    movl $0x302003, table32 + 4
    addl $4, %esp
    iret

/* ---- 32-bit: something of everything ---- */

work:
    incl ROUNDS
    movl ROUNDS, %eax
    movb %al, changed + 1 /* code that is written to */
    rdtsc
    addl %eax, ACC
changed:
    movb $0, %al
    imull $0x10dcd, ACC, %ecx
    xorl %ecx, ACC
    fld1
    faddl FLOAT
    fsqrt
    fstpl FLOAT
    movl $SCRATCH, %esi
    movl $(SCRATCH + 64), %edi
    movl $64, %ecx
    rep movsb
    movl ACC, %eax
    movl %eax, SCRATCH
    testb $63, ROUNDS
    jnz 1f
    hlt
1:  ret

paging_on:
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $22, %eax
    orl $0x83, %eax
    movl %eax, directory32(, %ecx, 4)
    incl %ecx
    cmpl $1024, %ecx
    jb 1b
    movl $(table32 + 3), directory32 + 4 * 256
    movl %cr4, %eax
    orl $0x10, %eax
    movl %eax, %cr4
    movl $directory32, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ret

/* One page moves between two frames, the next is not there when it is first used. */
page_work:
    movl ROUNDS, %eax
    andl $1, %eax
    shll $12, %eax
    orl $0x300003, %eax
    movl %eax, table32
    invlpg 0x40000000
    movl ROUNDS, %eax
    addl %eax, 0x40000000
    testb $7, ROUNDS
    jnz 1f
    movl $0, table32 + 4
    invlpg 0x40001000
1:  addl %eax, 0x40001004
    ret

/* ---- Real mode: copied to REAL_AT ---- */
#define REAL(label) (label - real_start + REAL_AT)

real_start:
    .code16
    movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andb $0xfe, %al
    movl %eax, %cr0
    ljmp $0, $REAL(1f)
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    lidtl REAL(real_idt)
    movl $REAL(irq0_16), 4 * 0x20
    movl $REAL(irq4_16), 4 * 0x24
    movl $REAL(int60), 4 * 0x60
    sti
2:  int $0x60
    movw $0x6000, %di
    movw $100, %cx
    rep stosb
    testb $63, ROUNDS
    jnz 3f
    outb %al, $0xb2 /* into system management mode */
3:  cmpl $120, TICKS
    jb 2b
    cli
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $back_from_real
irq0_16:
    pushw %ax
    pushw %dx
    incl TICKS
    out_byte (COM1 + 1), 0x02
    movb $0x20, %al
    outb %al, $0x20
    popw %dx
    popw %ax
    iretw
irq4_16:
    pushw %ax
    pushw %dx
    movw $(COM1 + 2), %dx
    inb %dx, %al
    incl SENT
    movb SENT, %al
    andb $7, %al
    addb $0x30, %al
    movw $COM1, %dx
    outb %al, %dx
    out_byte (COM1 + 1), 0
    movb $0x20, %al
    outb %al, $0x20
    popw %dx
    popw %ax
    iretw
int60:
    incl ROUNDS
    addl %ecx, ACC
    incl ACC
    iretw
real_idt:
    .word 0x3ff
    .long 0
real_end:

/* The handler of the system management interrupt: 16-bit, segments without limits. */
smi_start:
    .code16
    pushw %cx
    movw $2000, %cx
1:  incl SMM_COUNT
    decw %cx
    jnz 1b
    popw %cx
    rsm
smi_end:

/* The second processor: counts until told to stop. */
ap_start:
    .code16
    cli
    xorw %ax, %ax
    movw %ax, %ds
1:  lock incl AP_COUNT
    cmpl $0, AP_STOP
    jz 1b
2:  hlt
    jmp 2b
ap_end:

/* ---- Long mode ---- */
    .code32
    .macro set_gate64 vector, handler
    movl $\handler, %eax
    movw %ax, idt64 + 16 * \vector
    movw $CODE64, idt64 + 16 * \vector + 2
    movw $0x8e00, idt64 + 16 * \vector + 4
    shrl $16, %eax
    movw %ax, idt64 + 16 * \vector + 6
    .endm

enter_long:
    set_gate64 0x20, irq0_64
    set_gate64 0x24, irq4_64
    set_gate64 0x30, apic_timer64
    movl $(pdpt + 7), pml4
    movl $(pd + 7), pdpt
    movl $(pd3 + 7), pdpt + 8 * 3
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, pd(, %ecx, 8)
    orl $0xc0000000, %eax
    movl %eax, pd3(, %ecx, 8)
    incl %ecx
    cmpl $512, %ecx
    jb 1b
    movl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    andl $0xfffffffb, %eax
    movl %eax, %cr0
    ljmp $CODE64, $in_long

    .code64
in_long:
    lidt idt64_pointer(%rip)
    movl $APIC, %ebx
    movl $0x20030, 0x320(%rbx) /* periodic */
    movl $0xb, 0x3e0(%rbx)
    movl $3000, 0x380(%rbx)
    movl $0x01000000, 0x310(%rbx)
    movl $0x4500, 0x300(%rbx)
    movl $0x01000000, 0x310(%rbx)
    movl $(0x4600 + AP_AT / 0x1000), 0x300(%rbx)
    sti
1:  incl ROUNDS
    movsd FLOAT, %xmm0
    addsd %xmm0, %xmm0
    sqrtsd %xmm0, %xmm0
    movsd %xmm0, FLOAT
    movdqu SCRATCH, %xmm1
    paddd %xmm1, %xmm2
    pshufd $0x39, %xmm2, %xmm2
    movdqu %xmm2, SCRATCH
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    xorq %rax, %r9
    lock xaddq %r9, SCRATCH + 16
    movl ROUNDS, %eax
    testb $127, %al
    jnz 2f
    hlt
2:  cmpl $160, TICKS
    jb 1b
    cli
    movl $1, AP_STOP
    movw $PM1A_CNT, %dx
    movw $SLP_EN_S5, %ax
    outw %ax, %dx
3:  hlt
    jmp 3b

irq0_64:
    pushq %rax
    pushq %rdx
    incl TICKS
    out_byte (COM1 + 1), 0x02
    movb $0x20, %al
    outb %al, $0x20
    popq %rdx
    popq %rax
    iretq

irq4_64:
    pushq %rax
    pushq %rdx
    movw $(COM1 + 2), %dx
    inb %dx, %al
    incl SENT
    movb SENT, %al
    andb $15, %al
    addb $0x41, %al
    movw $COM1, %dx
    outb %al, %dx
    out_byte (COM1 + 1), 0
    movb $0x20, %al
    outb %al, $0x20
    popq %rdx
    popq %rax
    iretq

apic_timer64:
    pushq %rax
    movl $APIC, %eax
    addl $7, ACC
    movl $0, 0xb0(%rax)
    popq %rax
    iretq

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00009b000000ffff
    .quad 0x000093000000ffff
    .quad 0x00af9b000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
idt32_pointer:
    .word 256 * 8 - 1
    .long idt32
idt64_pointer:
    .word 256 * 16 - 1
    .long idt64, 0

    .bss
    .balign 4096
directory32:
    .skip 4096
table32:
    .skip 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4096
pd3:
    .skip 4096
idt32:
    .skip 256 * 8
idt64:
    .skip 256 * 16
    .skip 4096
stack_top:
