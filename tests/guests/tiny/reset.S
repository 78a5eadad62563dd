/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders a reset through port 0xcf9. */
#include "tiny.h"
start:
    movw $0xcf9, %dx
    movb $0x02, %al
    outb %al, %dx
    movb $0x06, %al
    outb %al, %dx
1:  hlt
    jmp 1b
