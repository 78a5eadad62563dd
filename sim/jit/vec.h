/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector instructions in translations: the table of facts_vec.c, emitters of ops_vec.c. */
#ifndef VITRINE_JIT_VEC_H
#define VITRINE_JIT_VEC_H

#include "base/types.h"

struct insn;
struct translation;
struct op_facts;

enum vec_shape {
    VEC_NONE,
    VEC_BINARY,   /* d op= r/m; VEX: d = s op r/m */
    VEC_UNARY,    /* d = op r/m */
    VEC_SHA,      /* VEC_BINARY that reads XMM0 too */
    VEC_COMPARE,  /* flags = d op r/m */
    VEC_MOVE,     /* whole registers */
    VEC_SCALAR,   /* MOVSS, MOVSD */
    VEC_WORD,     /* MOVD, MOVQ */
    VEC_HALF,     /* MOVLPS, MOVHPS */
    VEC_SHIFT,    /* by r/m, or by an immediate */
    VEC_TO_GPR,   /* masks */
    VEC_FROM_INT, /* CVTSI2SS, CVTSI2SD */
    VEC_TO_INT,
    VEC_ZERO_UPPER,
};

enum { VEC_FP = 1 /* reads and writes MXCSR */, VEC_IMM = 2, VEC_ALIGNED = 4 /* the VEX form too */ };
enum vec_feature { VEC_SSE2, VEC_SSE4 /* and all before it */, VEC_AVX2, VEC_FMA, VEC_AES, VEC_SHA_NI };

struct vec_row {
    u32 op; /* emit.h */
    u8 shape, flags, feature;
    u32 other;    /* store opcode; opcode with an immediate */
    u8 extension; /* of that */
};

const struct vec_row *vec_row_of(const struct insn *in);
bool find_vec_facts(const struct translation *t, const struct insn *in, struct op_facts *f);
u32 vec_host_features(void);
bool host_has_sha(void);

void emit_vec(struct translation *t);

#endif
