/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers of the instructions: one per row of insn.def, in its order. */
#ifndef VITRINE_CPU_DECODE_INSN_ID_H
#define VITRINE_CPU_DECODE_INSN_ID_H

enum insn_id {
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block) INSN_##mnemonic,
#include "cpu/decode/insn.def"
#undef INSN
    INSN_COUNT
};

#endif
