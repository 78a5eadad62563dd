/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prints a line and powers off. */
#include "tiny.h"
start:
    print text
    power_off
text:
    .asciz "hello, case\r\n"
