/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prints many lines, more than a pipe holds, then powers off. */
#include "tiny.h"
start:
    movl $20000, %ebx
1:  print text
    decl %ebx
    jnz 1b
    power_off
text:
    .asciz "flood flood\n"
