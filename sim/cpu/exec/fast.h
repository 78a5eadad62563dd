/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers specialised by operand shape, for what occurs most. */
#ifndef VITRINE_CPU_EXEC_FAST_H
#define VITRINE_CPU_EXEC_FAST_H

#include "cpu/decode/decode.h"

/* A handler that does for `in` what the row's handler does, sooner; NULL: there is none. The plain
 * handlers are the reference: both leave the same state. */
exec_fn *exec_specialise(const struct insn *in, enum insn_id id);

#endif
