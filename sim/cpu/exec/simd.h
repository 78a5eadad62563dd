/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers without a row of their own: their mnemonics are shared with string instructions, the
 * decoder picks them when an operand is a vector register. */
#ifndef VITRINE_CPU_EXEC_SIMD_H
#define VITRINE_CPU_EXEC_SIMD_H

#include "cpu/event.h"
#include "cpu/insn.h"

/* CMPSD xmm, xmm/m64, imm8 */
cpu_rc exec_cmpsd_sse(struct cpu *cpu, const struct insn *in) MUST_USE;

#endif
