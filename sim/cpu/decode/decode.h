/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes to the op form, by Zydis. Zydis enters the simulator here only. */
#ifndef VITRINE_CPU_DECODE_DECODE_H
#define VITRINE_CPU_DECODE_DECODE_H

#include "cpu/insn.h"
#include "cpu/model.h"

enum insn_id {
    INSN_INVALID,
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block) INSN_##mnemonic,
#include "cpu/decode/insn.def"
#undef INSN
    INSN_COUNT
};

extern const struct insn_row insn_rows[INSN_COUNT];

/* Everything but the bytes that decoding depends on: part of a block's key. */
enum mode_bits {
    MODE_SIZE = 3u,       /* bits 0-1: 0 16-bit, 1 32-bit, 2 64-bit code */
    MODE_CPL = 3u << 2,   /* bits 2-3 */
    MODE_PE = 1u << 4,
    MODE_VM = 1u << 5,
    MODE_LMA = 1u << 6,
    MODE_X87_OK = 1u << 7,  /* CR0.EM = TS = 0 */
    MODE_WAIT_OK = 1u << 8, /* not (MP and TS) */
    MODE_SSE_OK = 1u << 9,
    MODE_AVX_OK = 1u << 10,
    MODE_FPU_ERROR = 1u << 11, /* FSW.ES: waiting instructions fault */
    MODE_FLAT = 1u << 12,   /* CS, DS, ES, SS have base 0 and no limit that binds */
    MODE_SP_SHIFT = 13,     /* 2 bits: stack size 0 16, 1 32, 2 64 */
    MODE_NONROOT = 1u << 15, /* VMX non-root or SVM guest: intercepts are looked at */
    MODE_IBT = 1u << 16,     /* waiting for ENDBR */
    MODE_MPX = 1u << 18,     /* MPX is enabled at this level: its instructions are no NOPs */
    MODE_BND_INIT = 1u << 19, /* branches without BND prefix set the bounds to INIT */
    MODE_CET = 1u << 17,     /* CR4.CET: the translator leaves calls and returns to their handlers */
};

enum decode_status {
    DECODE_OK,
    DECODE_INVALID,   /* #UD */
    DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) */
    DECODE_TRUNCATED, /* the bytes end before the instruction does */
};

struct decoder;
struct decoder *decoder_new(const struct cpu_model *model);
void decoder_free(struct decoder *d);

/* Decode one instruction at `bytes`, of which `avail` can be read, under `mode` (mode_bits). On
 * DECODE_INVALID and DECODE_TOO_LONG *out is an op that raises the fault. */
enum decode_status decode_insn(const struct decoder *d, u32 mode, const u8 *bytes, size_t avail,
                               struct insn *out);

/* The instruction at `bytes` as text; returns its length, 1 for what no processor knows. */
unsigned format_insn(u32 mode, const u8 *bytes, size_t avail, u64 rip, char *text, size_t size);

/* Does the op end a block? */
bool insn_ends_block(const struct insn *in);
/* Does its handler move RIP itself? */
static inline bool insn_moves_rip(const struct insn *in)
{
    unsigned c = insn_rows[insn_id(in)].block;
    return c == BLOCK_JUMP || (c == BLOCK_STRING && (in->pfx & (PFX_REP | PFX_REPNE)) != 0);
}

#endif
