/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hv's own exceptions and interrupts. */
#ifndef HV_CORE_TRAP_H
#define HV_CORE_TRAP_H

#include "hv/core/types.h"

struct trap_frame {
    u64 gpr[16]; /* in the encoding's order; RSP is not here but below */
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

#define VECTOR_TIMER 0xf8
#define VECTOR_KICK 0xf9
#define VECTOR_SPURIOUS 0xff

void trap_init(void);
void trap_load_idt(void);
/* From trap.S. */
void trap_entry(struct trap_frame *f);

#endif
