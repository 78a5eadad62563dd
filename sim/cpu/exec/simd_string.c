/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SSE4.2 string comparison: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM and their VEX forms.
 * [SDM2 "Operation and Definition of the PCMPxSTRx Instructions"] The memory operand needs no
 * alignment. */
#include "cpu/exec/simd_opr.h"

/* Control byte. */
#define STR_WORDS 0x01
#define STR_SIGNED 0x02
#define STR_AGGREGATION(imm) (((imm) >> 2) & 3)
#define STR_NEGATIVE 0x10
#define STR_MASKED 0x20
#define STR_MSB 0x40  /* index forms: the highest set bit */
#define STR_FULL 0x40 /* mask forms: an element mask instead of a bit mask */

enum aggregation { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

struct str_operands {
    i32 a[16], b[16]; /* elements of the first and the second operand */
    unsigned la, lb;  /* how many are valid */
    unsigned n;       /* elements of a vector: 8 or 16 */
};

static void str_elements(const union vec *v, unsigned imm, i32 *out)
{
    for (unsigned i = 0; i < 16; i++) {
        if ((imm & STR_WORDS) != 0) {
            out[i] = (imm & STR_SIGNED) != 0 ? v->sw[i & 7] : v->w[i & 7];
        } else {
            out[i] = (imm & STR_SIGNED) != 0 ? v->sb[i] : v->b[i];
        }
    }
}

/* Implicit length: up to the first zero element. */
static unsigned str_implicit_length(const i32 *e, unsigned n)
{
    unsigned len = 0;
    while (len < n && e[len] != 0) {
        len++;
    }
    return len;
}

/* Explicit length: the absolute value of EAX or EDX (RAX, RDX with W), saturated. */
static unsigned str_explicit_length(u64 v, bool wide, unsigned n)
{
    i64 len = wide ? (i64)v : (i64)(i32)(u32)v;
    u64 magnitude = len < 0 ? 0 - (u64)len : (u64)len;
    return magnitude > n ? n : (unsigned)magnitude;
}

/* Bit j of the result: does element j of the second operand match? */
static bool str_match(const struct str_operands *s, unsigned aggregation, unsigned j)
{
    switch ((enum aggregation)aggregation) {
    case EQUAL_ANY:
        for (unsigned i = 0; i < s->la && j < s->lb; i++) {
            if (s->a[i] == s->b[j]) {
                return true;
            }
        }
        return false;
    case RANGES:
        for (unsigned i = 0; i + 1 < s->la && j < s->lb; i += 2) {
            if (s->a[i] <= s->b[j] && s->b[j] <= s->a[i + 1]) {
                return true;
            }
        }
        return false;
    case EQUAL_EACH:
        return j < s->la && j < s->lb ? s->a[j] == s->b[j] : j >= s->la && j >= s->lb;
    case EQUAL_ORDERED:
        /* Is the first operand a prefix of what starts at j, as far as the vector goes? */
        for (unsigned i = 0; i < s->la && j + i < s->n; i++) {
            if (j + i >= s->lb || s->a[i] != s->b[j + i]) {
                return false;
            }
        }
        return true;
    }
    return false;
}

/* The common part: IntRes2, flags. */
static cpu_rc str_compare(struct cpu *cpu, const struct insn *in, bool explicit_length,
                          struct str_operands *s, u32 *result)
{
    union vec va, vb;
    unsigned imm = simd_imm8(in);
    TRY(simd_load_unaligned(cpu, in, 0, &va));
    TRY(simd_load_unaligned(cpu, in, 1, &vb));
    s->n = (imm & STR_WORDS) != 0 ? 8 : 16;
    str_elements(&va, imm, s->a);
    str_elements(&vb, imm, s->b);
    if (explicit_length) {
        bool wide = (in->pfx & PFX_REXW) != 0 && cpu->d.code64;
        s->la = str_explicit_length(cpu->arch.gpr[RAX], wide, s->n);
        s->lb = str_explicit_length(cpu->arch.gpr[RDX], wide, s->n);
    } else {
        s->la = str_implicit_length(s->a, s->n);
        s->lb = str_implicit_length(s->b, s->n);
    }
    u32 res = 0;
    for (unsigned j = 0; j < s->n; j++) {
        res |= (u32)str_match(s, STR_AGGREGATION(imm), j) << j;
    }
    if ((imm & STR_NEGATIVE) != 0) {
        unsigned inverted = (imm & STR_MASKED) != 0 ? s->lb : s->n;
        res ^= (1u << inverted) - 1;
    }
    flags_set_arith(cpu, (res != 0 ? RFLAGS_CF : 0u) | (s->lb < s->n ? RFLAGS_ZF : 0u) |
                             (s->la < s->n ? RFLAGS_SF : 0u) | ((res & 1) != 0 ? RFLAGS_OF : 0u));
    *result = res;
    return CPU_OK;
}

static cpu_rc str_index(struct cpu *cpu, const struct insn *in, bool explicit_length)
{
    struct str_operands s;
    u32 res = 0;
    TRY(str_compare(cpu, in, explicit_length, &s, &res));
    unsigned index = s.n;
    if (res != 0) {
        index = (simd_imm8(in) & STR_MSB) != 0 ? 31u - (unsigned)__builtin_clz(res)
                                               : (unsigned)__builtin_ctz(res);
    }
    gpr_write(cpu, RCX, 4, index);
    return CPU_OK;
}

static cpu_rc str_mask(struct cpu *cpu, const struct insn *in, bool explicit_length)
{
    struct str_operands s;
    union vec d = {.q = {0}};
    u32 res = 0;
    TRY(str_compare(cpu, in, explicit_length, &s, &res));
    if ((simd_imm8(in) & STR_FULL) == 0) {
        d.q[0] = res;
    } else {
        for (unsigned i = 0; i < 16; i++) {
            d.b[i] = ((res >> (s.n == 8 ? i / 2 : i)) & 1) != 0 ? 0xff : 0;
        }
    }
    simd_write_len(cpu, in, OPR_VEC, &d, 16);
    return CPU_OK;
}

cpu_rc exec_pcmpestri(struct cpu *cpu, const struct insn *in)
{
    return str_index(cpu, in, true);
}

cpu_rc exec_pcmpestrm(struct cpu *cpu, const struct insn *in)
{
    return str_mask(cpu, in, true);
}

cpu_rc exec_pcmpistri(struct cpu *cpu, const struct insn *in)
{
    return str_index(cpu, in, false);
}

cpu_rc exec_pcmpistrm(struct cpu *cpu, const struct insn *in)
{
    return str_mask(cpu, in, false);
}
