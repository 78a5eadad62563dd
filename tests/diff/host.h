/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers, the memory both sides share addresses of, and the host's side. Apart from diff.h because
 * the system's signal frame names clash with those of the op form. */
#ifndef VITRINE_TESTS_DIFF_HOST_H
#define VITRINE_TESTS_DIFF_HOST_H

#include "base/types.h"
#include "tests/harness/native_run.h"

/* Linear addresses, equal on both sides. Nothing else lies in the low 4 GByte, on either side. */
#define WINDOW 0x10000000u /* two writable pages, one read-only; unmapped before and after */
#define WINDOW_PAGES 3u
#define WINDOW_WRITABLE (2u * 4096u)
#define WINDOW_BYTES (WINDOW_PAGES * 4096u)
#define CODE_EXACT 0x10010000u /* one page of HLT; the instruction stands at its end, nothing follows */
#define CODE_QUICK 0x10014000u /* slots: the instruction and a jump out */
#define CODE_LEAVE 0x10018000u /* where that jump leads */
#define SLOT_BYTES 32u

/* Flags that are compared; not RF, VM, VIF, VIP, TF. */
#define FLAGS_SEEN 0x247ed7u

/* Registers before or after. Offsets are known to the assembler in host.c. */
struct diff_state {
    u64 gpr[16];
    u64 rflags;
    u64 rip;
    u64 fs_base, gs_base;
    u8 vec[16][32];
    u8 pad[32];
    struct native_fx fx; /* its XMM part is not used */
} __attribute__((aligned(64)));

struct diff_outcome {
    bool completed;
    u8 vector; /* when not */
    u32 error;
    u64 cr2; /* of a page fault */
};

/* One side's answer. */
struct diff_result {
    struct diff_outcome outcome;
    struct diff_state end;
};

bool host_open(void); /* false: this host cannot serve */
void host_close(void);
u8 *host_window(void); /* alias through which all of it can be written */
u8 *host_code(u64 lin); /* alias of the page at CODE_*; NULL for other addresses */
/* len: of the instruction, when it stands in a slot. */
void host_run(const struct diff_state *start, bool compat, unsigned len, struct diff_result *r);

#endif
