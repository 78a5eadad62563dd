/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers that have no row of their own because a string instruction has their mnemonic: the
 * decoder picks them when an operand is a vector register. */
#ifndef VITRINE_CPU_EXEC_SIMD_H
#define VITRINE_CPU_EXEC_SIMD_H

#include "cpu/insn.h"

/* MOVSD xmm: unit SSE, any mode, block NORMAL (exec/simd_move.c). */
cpu_rc exec_movsd_sse(struct cpu *cpu, const struct insn *in) MUST_USE;
/* CMPSD xmm: unit SSE, any mode, block NORMAL (floating point). */
cpu_rc exec_cmpsd_sse(struct cpu *cpu, const struct insn *in) MUST_USE;

#endif
