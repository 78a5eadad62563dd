/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who called whom: by call frame information, frame pointers, or what on the stack looks like a return address. */
#ifndef VITRINE_DEBUGGER_SHELL_FRAMES_H
#define VITRINE_DEBUGGER_SHELL_FRAMES_H

#include "debugger/shell/shell_priv.h"

struct frame {
    u64 pc, sp; /* sp: before the frame's instruction */
    u64 regs[17]; /* as DWARF numbers them */
    bool guessed; /* found by looking through the stack */
};

/* Frame 0 is where the selected processor is. Returns how many. */
unsigned frames_find(struct shell *s, struct frame *out, unsigned max);
/* Where the selected frame is: in an outer one, inside its call. */
u64 frames_pc(struct shell *s);
/* Addresses of calls that could end before this return address. */
unsigned frames_calls_before(struct shell *s, u64 address, u64 *out, unsigned max);

#endif
