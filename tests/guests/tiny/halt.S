/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Halts for good: interrupts off. */
#include "tiny.h"
start:
    cli
1:  hlt
    jmp 1b
