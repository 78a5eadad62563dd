/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders a reset through the keyboard controller. */
#include "tiny.h"
start:
    movb $0xfe, %al
    outb %al, $0x64
1:  hlt
    jmp 1b
