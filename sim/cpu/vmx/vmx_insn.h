/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the handlers of VMX instructions share. */
#ifndef VITRINE_CPU_VMX_VMX_INSN_H
#define VITRINE_CPU_VMX_VMX_INSN_H

#include "cpu/cpu.h"

/* #UD outside VMX operation. */
cpu_rc vmx_insn_allowed(struct cpu *cpu) MUST_USE;
/* That, then the exit in non-root operation, then #GP(0) outside level 0. */
cpu_rc vmx_insn_begin(struct cpu *cpu, const struct insn *in, u32 reason) MUST_USE;
/* The exit of a VMX instruction with one memory operand. */
cpu_rc vmx_insn_exit(struct cpu *cpu, const struct insn *in, u32 reason) MUST_USE;
bool vmx_eptp_ok(const struct cpu *cpu, u64 eptp);

#endif
