/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An interrupt without an IDT. */
#include "tiny.h"
start:
    lidt no_idt
    int3
no_idt:
    .word 0
    .long 0
