/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operands, results and exceptions of SSE and AVX floating-point instructions. */
#ifndef VITRINE_CPU_EXEC_SIMD_FP_H
#define VITRINE_CPU_EXEC_SIMD_FP_H

#include "cpu/exec/exec.h"
#include "cpu/exec/fp.h"

#include <string.h>

/* One vector value. */
struct vec {
    u8 b[32];
} __attribute__((aligned(16)));

static inline bool insn_is_vex(const struct insn *in)
{
    return (in->pfx & PFX_VEX) != 0;
}

/* Index of the first source (the destination itself in legacy forms) and of the second. */
static inline unsigned insn_src1(const struct insn *in)
{
    return insn_is_vex(in) ? 1 : 0;
}

static inline unsigned insn_src2(const struct insn *in)
{
    return insn_is_vex(in) ? 2 : 1;
}

/* Vector operand i, `size` bytes of it. Legacy 16-byte memory operands must be aligned. */
cpu_rc vec_read_mem(struct cpu *cpu, const struct insn *in, unsigned size, struct vec *v) MUST_USE;

static inline MUST_USE cpu_rc vec_read(struct cpu *cpu, const struct insn *in, unsigned i, unsigned size,
                                       struct vec *v)
{
    if (in->r[i] == OPR_MEM) {
        return vec_read_mem(cpu, in, size, v);
    }
    memcpy(v->b, vec_reg(cpu, in->r[i]), sizeof v->b);
    return CPU_OK;
}

/* Destination r[0]: VEX forms clear what lies above `size`, legacy forms keep what lies above 16. */
static inline void vec_write(struct cpu *cpu, const struct insn *in, const struct vec *v, unsigned size)
{
    u8 *r = vec_reg(cpu, in->r[0]);
    if (insn_is_vex(in)) {
        memcpy(r, v->b, size);
        memset(r + size, 0, 32 - size);
    } else {
        memcpy(r, v->b, 16);
    }
}

/* One floating-point operation over 16 bytes, with the parameters its kind needs. */
enum fp_kind { FP_FN, FP_CMP, FP_ROUND, FP_FMA };
struct fp_call {
    fp_fn *fn; /* FP_FN */
    enum fp_kind kind;
    u8 src, dst;   /* bytes of a source and a result element */
    u8 lanes;      /* elements that the operation works on; 1: scalar */
    u8 param;      /* predicate, rounding imm8, signs */
    enum fp_rounding rounds;
};

/* Lane by lane flags, as the exception rules need them. */
struct fp_lanes {
    u32 flags[8];
    unsigned n;
};

u32 fp_call_run(const struct fp_call *call, u32 mxcsr, void *d, const void *a, const void *b,
                const void *c);

/* d = call(a, b, c) over `chunks` 16-byte pieces, then the exceptions: CPU_OK: flags are in MXCSR
 * and d may be committed; CPU_EXIT: #XM or #UD is raised and MXCSR shows why. */
cpu_rc fp_execute(struct cpu *cpu, const struct fp_call *call, unsigned chunks, struct vec *d,
                  const struct vec *a, const struct vec *b, const struct vec *c) MUST_USE;

/* Exceptions of an instruction whose lanes raised these flags. */
cpu_rc fp_finish(struct cpu *cpu, const struct fp_lanes *lanes) MUST_USE;
/* The same for one lane. */
cpu_rc fp_finish_one(struct cpu *cpu, u32 flags) MUST_USE;

#endif
