/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A 64 KiB firmware that lives on interrupts: the PIT ticks and dirties memory, the serial port's
 * bytes are echoed with the TSC mixed into a checksum, so that the moment of every input leaves its
 * mark in the state. 'q' leaves through the isa-debug-exit port, '!' halts for good. */
    .code16
    .text
    .globl _start
_start:
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    ljmp $0xf000, $1f
1:
    /* Vectors: PIC at 0x20 and 0x28. */
    movw $tick, 0x20*4
    movw $0xf000, 0x20*4+2
    movw $serial, 0x24*4
    movw $0xf000, 0x24*4+2
    movw $ignore, 0x27*4
    movw $0xf000, 0x27*4+2
    /* The local APIC off: the 8259's INT reaches the processor directly. */
    movl $0x1b, %ecx
    rdmsr
    andl $~0x800, %eax
    wrmsr
    /* 8259 pair: ICW1-4, only IRQ0 and IRQ4. */
    movb $0x11, %al
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $0x04, %al
    outb %al, $0x21
    movb $0x01, %al
    outb %al, $0x21
    movb $0xee, %al
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    /* PIT channel 0: mode 2, about 1 kHz. */
    movb $0x34, %al
    outb %al, $0x43
    movb $0xa9, %al
    outb %al, $0x40
    movb $0x04, %al
    outb %al, $0x40
    /* COM1: 8n1, FIFOs, OUT2, received-data interrupt. */
    movw $0x3fb, %dx
    movb $0x03, %al
    outb %al, %dx
    movw $0x3fa, %dx
    movb $0x01, %al
    outb %al, %dx
    movw $0x3fc, %dx
    movb $0x0b, %al
    outb %al, %dx
    movw $0x3f9, %dx
    movb $0x01, %al
    outb %al, %dx
    movw $ready, %si
    call print
    sti
idle:
    hlt
    jmp idle

print:
    movb %cs:(%si), %al
    testb %al, %al
    jz 1f
    movw $0x3f8, %dx
    outb %al, %dx
    incw %si
    jmp print
1:  ret

/* Some work, and one more byte in one more page. */
tick:
    pushw %ax
    pushw %bx
    pushw %cx
    incl 0x500
    movw 0x500, %bx
    movw $500, %cx
1:  addw %bx, 0x504
    rolw $3, 0x504
    loop 1b
    andw $0x0f00, %bx
    shlw $4, %bx
    movw 0x504, %ax
    pushw %ds
    pushw $0x2000
    popw %ds
    movw %ax, (%bx)
    popw %ds
    movb $0x20, %al
    outb %al, $0x20
    popw %cx
    popw %bx
    popw %ax
ignore:
    iretw

serial:
    pushal
1:  movw $0x3fd, %dx
    inb %dx, %al
    testb $1, %al
    jz 2f
    rdtsc
    addl %eax, 0x508
    roll $5, 0x508
    movw $0x3f8, %dx
    inb %dx, %al
    cmpb $'q', %al
    je quit
    cmpb $'!', %al
    je halt
    outb %al, %dx
    jmp 1b
2:  movb $0x20, %al
    outb %al, $0x20
    popal
    iretw
quit:
    movw $bye, %si
    call print
    movb $0x10, %al
    outb %al, $0xf4
halt:
    /* No tick either: nothing is left that could wake it. */
    movb $0x30, %al
    outb %al, $0x43
    cli
    hlt
    jmp halt

ready:
    .asciz "ready\r\n> "
bye:
    .asciz "bye\r\n"

    .org 0xfff0
    jmp start
    .org 0x10000
