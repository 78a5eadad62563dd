/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs one instruction on the host processor with a given register state: the oracle of the
 * instruction tests and of the differential fuzzer.
 *
 * All general registers (RSP too), the arithmetic flags, x87/MMX, MXCSR and XMM or YMM registers are
 * loaded, the instruction is executed, and everything is stored again. A fault ends the run and is
 * reported with the registers as they are then. Instructions that transfer control are not for this;
 * those that write memory write the memory of this process. One at a time, one thread. */
#ifndef VITRINE_TESTS_HARNESS_NATIVE_RUN_H
#define VITRINE_TESTS_HARNESS_NATIVE_RUN_H

#include "base/types.h"

/* An FXSAVE image [SDM1 "FXSAVE Area"]; its XMM part is ignored, native_state.vec counts. */
struct native_fx {
    u16 fcw, fsw;
    u8 tags, reserved1; /* abridged: 1 = not empty, by physical register */
    u16 fop;
    u64 fip, fdp;
    u32 mxcsr, mxcsr_mask;
    u8 st[8][16]; /* ST(0) first; with TOP = 0 also MM0 first */
    u8 xmm[16][16];
    u8 reserved2[96];
};

struct native_state {
    u64 gpr[16]; /* in the order of their numbers: RAX RCX RDX RBX RSP ... */
    u64 rflags;  /* arithmetic flags and DF; others are the host's */
    u8 vec[16][32];
    struct native_fx fx;
};

struct native_outcome {
    int signal;     /* 0: completed; else SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP */
    int code;       /* si_code */
    u64 fault_gva;  /* si_addr */
};

struct native;

/* NULL when this host cannot do it (not x86-64, no writable and executable memory). */
struct native *native_open(void);
void native_close(struct native *n);
/* Without it the upper halves of native_state.vec are neither loaded nor stored. */
bool native_has_avx(const struct native *n);
/* Where the instruction will stand, for RIP-relative operands. */
u64 native_rip(const struct native *n);
struct native_outcome native_run(struct native *n, const u8 *bytes, unsigned len,
                                 struct native_state *state);
/* A state with x87 and MXCSR as after reset and everything else 0. */
void native_state_init(struct native_state *state);

#endif
