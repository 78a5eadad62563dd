/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Says so and runs forever. */
#include "tiny.h"
start:
    print text
1:  incl %eax
    jmp 1b
text:
    .asciz "spinning\r\n"
