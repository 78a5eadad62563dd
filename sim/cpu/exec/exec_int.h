/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of general integer instructions share: flag writers beyond cpu/flags.h, the
 * arithmetic that plain and specialised handlers have in common, checks of branch targets.
 *
 * Undefined flags are 0 throughout. Exceptions, what the vendor's chips do: OF of shifts and rotates by
 * more than one is that of the first of as many single-bit steps on Intel (rotates: shift.c has two cases
 * more), of the last on AMD; CF is that of the last on both. */
#ifndef VITRINE_CPU_EXEC_EXEC_INT_H
#define VITRINE_CPU_EXEC_EXEC_INT_H

#include "cpu/decode/decode.h"
#include "cpu/exec/exec.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* The condition codes with their mnemonics' suffix, in the order of the opcodes' low four bits. */
#define CONDITIONS(X)                                                                              \
    X(o, O, 0)                                                                                     \
    X(no, NO, 1)                                                                                   \
    X(b, B, 2)                                                                                     \
    X(nb, NB, 3)                                                                                   \
    X(z, Z, 4)                                                                                     \
    X(nz, NZ, 5)                                                                                   \
    X(be, BE, 6)                                                                                   \
    X(nbe, NBE, 7)                                                                                 \
    X(s, S, 8)                                                                                     \
    X(ns, NS, 9)                                                                                   \
    X(p, P, 10)                                                                                    \
    X(np, NP, 11)                                                                                  \
    X(l, L, 12)                                                                                    \
    X(nl, NL, 13)                                                                                  \
    X(le, LE, 14)                                                                                  \
    X(nle, NLE, 15)

/* ---- Operands ---- */

static inline unsigned opr_class(unsigned r)
{
    return r & 0xf0u;
}

/* Size of a source operand that may be narrower than the operand size: MOVZX, MOVSX, MOVSXD, CRC32.
 * The decoder keeps it in the place of the memory operand's size, for registers too. */
static inline unsigned insn_src_size(const struct insn *in)
{
    return insn_mem_size(in);
}

/* An offset wrapped to the address size. */
static inline u64 wrap_address(const struct insn *in, u64 offset)
{
    return offset & size_mask(insn_asize(in));
}

/* Segment of an implicit source (string instructions, XLAT): DS unless overridden. */
static inline unsigned implicit_seg(const struct insn *in)
{
    return (in->pfx & PFX_SEG) != 0 ? insn_seg(in) : SEG_DS;
}

static inline bool msb(u64 v, unsigned size)
{
    return ((v >> (8 * size - 1)) & 1) != 0;
}

/* ---- Flags ---- */

/* SF, ZF, PF of a result, CF and OF as given, AF = 0: shifts. */
static inline void flags_result(struct cpu *cpu, unsigned size, u64 res, bool cf, bool of)
{
    cpu->arch.cc_res = sign_extend(res, size);
    cpu->arch.cc_aux = ((u64)cf << 63) | ((u64)(cf != of) << 62);
}

/* SF, ZF of a result, CF as given, OF = AF = PF = 0: BMI instructions. */
static inline void flags_zs(struct cpu *cpu, unsigned size, u64 res, bool cf)
{
    u64 even = (u64)!__builtin_parityll(res & 0xff);
    cpu->arch.cc_res = sign_extend(res, size);
    cpu->arch.cc_aux = (cf ? CC_CF | CC_PO : 0) | (even << CC_PD_SHIFT);
}

/* CF and OF; the others stay: rotates. */
static inline void flags_set_cf_of(struct cpu *cpu, bool cf, bool of)
{
    cpu->arch.cc_aux =
        (cpu->arch.cc_aux & ~(CC_CF | CC_PO)) | ((u64)cf << 63) | ((u64)(cf != of) << 62);
}

/* The flags just set, but with this CF: INC and DEC keep it. */
static ALWAYS_INLINE void flags_keep_cf(struct cpu *cpu, u64 old_aux)
{
    u64 diff = (cpu->arch.cc_aux ^ old_aux) & CC_CF;
    cpu->arch.cc_aux ^= diff | (diff >> 1);
}

/* ---- Arithmetic with two operands ---- */

enum alu_op {
    ALU_ADD,
    ALU_OR,
    ALU_ADC,
    ALU_SBB,
    ALU_AND,
    ALU_SUB,
    ALU_XOR,
    ALU_CMP,
    ALU_TEST,
    ALU_INC,
    ALU_DEC,
};

/* Result and flags. Only the low 8 * size bits of a, b and the result count. */
static ALWAYS_INLINE u64 alu_compute(struct cpu *cpu, enum alu_op op, unsigned size, u64 a, u64 b)
{
    u64 res = 0;
    u64 old_aux = cpu->arch.cc_aux;
    switch (op) {
    case ALU_ADD:
        res = a + b;
        flags_add(cpu, size, a, b, res);
        break;
    case ALU_ADC:
        res = a + b + (old_aux >> 63);
        flags_add(cpu, size, a, b, res);
        break;
    case ALU_SUB:
    case ALU_CMP:
        res = a - b;
        flags_sub(cpu, size, a, b, res);
        break;
    case ALU_SBB:
        res = a - b - (old_aux >> 63);
        flags_sub(cpu, size, a, b, res);
        break;
    case ALU_AND:
    case ALU_TEST:
        res = a & b;
        flags_logic(cpu, size, res);
        break;
    case ALU_OR:
        res = a | b;
        flags_logic(cpu, size, res);
        break;
    case ALU_XOR:
        res = a ^ b;
        flags_logic(cpu, size, res);
        break;
    case ALU_INC:
        res = a + 1;
        flags_add(cpu, size, a, 1, res);
        flags_keep_cf(cpu, old_aux);
        break;
    case ALU_DEC:
        res = a - 1;
        flags_sub(cpu, size, a, 1, res);
        flags_keep_cf(cpu, old_aux);
        break;
    }
    return res;
}

/* ---- Shifts ---- */

enum shift_op { SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR };

/* SHL, SHR, SAR by n = 1..63, which may exceed the width: result and CF are those of n - 1 steps and a
 * last one; OF is that of the first step (Intel) or the last one (AMD). */
static ALWAYS_INLINE u64 shift_compute(struct cpu *cpu, enum shift_op op, unsigned size, u64 a,
                                       unsigned n)
{
    u64 last, res;
    if (op == SHIFT_SHL) {
        last = a << (n - 1);
        res = last << 1;
        bool cf = msb(last, size);
        flags_result(cpu, size, res, cf, cpu_is_intel(cpu) ? msb(a ^ a << 1, size) : msb(res, size) != cf);
    } else if (op == SHIFT_SHR) {
        last = a >> (n - 1);
        res = last >> 1;
        flags_result(cpu, size, res, (last & 1) != 0, msb(cpu_is_intel(cpu) ? a : last, size));
    } else {
        last = (u64)((i64)sign_extend(a, size) >> (n - 1));
        res = (u64)((i64)last >> 1);
        flags_result(cpu, size, res, (last & 1) != 0, false);
    }
    return res;
}

/* ---- Near branches ---- */

/* A new RIP must lie in CS, or be canonical in 64-bit mode; checked before anything is committed. */
static inline MUST_USE cpu_rc check_target(struct cpu *cpu, u64 target)
{
    if (LIKELY(cpu->d.code_size == 8)) {
        /* Canonical with 48 bits is canonical with 57. */
        if (LIKELY(((u64)((i64)(target << 16) >> 16)) == target) || lin_is_canonical(cpu, target)) {
            return CPU_OK;
        }
        return raise_gp(cpu, 0, "branch target is not canonical");
    }
    if (LIKELY(target <= cpu->arch.seg[SEG_CS].limit)) {
        return CPU_OK;
    }
    return raise_gp(cpu, 0, "branch target beyond the CS limit");
}

#endif
