/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arithmetic flags, kept as the last result and its carries; a flag is computed when it is read.
 *
 * cc_res: the result, sign-extended to 64 bits from its operand size. ZF = (cc_res == 0).
 * cc_aux: bit 63 = CF; bit 62 = carry into the sign bit, so OF = bit 63 ^ bit 62; bit 3 = AF;
 *         bit 0 = correction of SF; bits 8-15 = correction of the parity byte (so that any
 *         combination of flags can be represented, e.g. after POPF).
 * SF = bit 63 of cc_res ^ bit 0 of cc_aux; PF = even parity of (cc_res ^ cc_aux >> 8) & 0xff. */
#ifndef VITRINE_CPU_FLAGS_H
#define VITRINE_CPU_FLAGS_H

#include "base/bits.h"
#include "cpu/cpu.h"

#define CC_CF ((u64)1 << 63)
#define CC_PO ((u64)1 << 62)
#define CC_AF ((u64)1 << 3)
#define CC_SD ((u64)1 << 0)
#define CC_PD_SHIFT 8

static inline bool flag_cf(const struct cpu *cpu)
{
    return (cpu->arch.cc_aux >> 63) != 0;
}

static inline bool flag_of(const struct cpu *cpu)
{
    return ((cpu->arch.cc_aux ^ (cpu->arch.cc_aux << 1)) >> 63) != 0;
}

static inline bool flag_af(const struct cpu *cpu)
{
    return (cpu->arch.cc_aux & CC_AF) != 0;
}

static inline bool flag_zf(const struct cpu *cpu)
{
    return cpu->arch.cc_res == 0;
}

static inline bool flag_sf(const struct cpu *cpu)
{
    return ((cpu->arch.cc_res >> 63) ^ (cpu->arch.cc_aux & CC_SD)) != 0;
}

static inline bool flag_pf(const struct cpu *cpu)
{
    u64 byte = (cpu->arch.cc_res ^ (cpu->arch.cc_aux >> CC_PD_SHIFT)) & 0xff;
    return (__builtin_popcountll(byte) & 1) == 0;
}

/* Flags of an addition a + b (+ carry) = res, or with the borrow vector of a subtraction, at
 * `size` bytes. `carries` has in bit i the carry (borrow) out of bit i. */
static inline void flags_set_carries(struct cpu *cpu, unsigned size, u64 res, u64 carries)
{
    cpu->arch.cc_res = sign_extend(res, size);
    cpu->arch.cc_aux = ((carries << (64 - 8 * size)) & (CC_CF | CC_PO)) | (carries & CC_AF);
}

static inline void flags_add(struct cpu *cpu, unsigned size, u64 a, u64 b, u64 res)
{
    flags_set_carries(cpu, size, res, (a & b) | ((a | b) & ~res));
}

static inline void flags_sub(struct cpu *cpu, unsigned size, u64 a, u64 b, u64 res)
{
    flags_set_carries(cpu, size, res, (~a & b) | ((~a | b) & res));
}

/* AND, OR, XOR, TEST: CF = OF = 0; AF undefined, defined here as 0. */
static inline void flags_logic(struct cpu *cpu, unsigned size, u64 res)
{
    cpu->arch.cc_res = sign_extend(res, size);
    cpu->arch.cc_aux = 0;
}

/* All six at once from RFLAGS bits. */
static inline void flags_set_arith(struct cpu *cpu, u64 rflags)
{
    bool zf = (rflags & RFLAGS_ZF) != 0;
    bool sf = (rflags & RFLAGS_SF) != 0;
    bool pf = (rflags & RFLAGS_PF) != 0;
    bool cf = (rflags & RFLAGS_CF) != 0;
    bool of = (rflags & RFLAGS_OF) != 0;
    /* 0 has even parity; 0x100 is non-zero with an even low byte. */
    cpu->arch.cc_res = zf ? 0 : 0x100;
    cpu->arch.cc_aux = (cf ? CC_CF : 0) | (cf != of ? CC_PO : 0) |
                       ((rflags & RFLAGS_AF) != 0 ? CC_AF : 0) | (sf ? CC_SD : 0) |
                       (pf ? 0 : (u64)1 << CC_PD_SHIFT);
}

static inline u64 flags_get_arith(const struct cpu *cpu)
{
    return (flag_cf(cpu) ? RFLAGS_CF : 0u) | (flag_pf(cpu) ? RFLAGS_PF : 0u) |
           (flag_af(cpu) ? RFLAGS_AF : 0u) | (flag_zf(cpu) ? RFLAGS_ZF : 0u) |
           (flag_sf(cpu) ? RFLAGS_SF : 0u) | (flag_of(cpu) ? RFLAGS_OF : 0u);
}

static inline void flag_set_cf(struct cpu *cpu, bool cf)
{
    /* Keep OF = bit 63 ^ bit 62. */
    if (flag_cf(cpu) != cf) {
        cpu->arch.cc_aux ^= CC_CF | CC_PO;
    }
}

static inline void flag_set_of(struct cpu *cpu, bool of)
{
    if (flag_of(cpu) != of) {
        cpu->arch.cc_aux ^= CC_PO;
    }
}

static inline void flag_set_zf(struct cpu *cpu, bool zf)
{
    if (flag_zf(cpu) != zf) {
        flags_set_arith(cpu, flags_get_arith(cpu) ^ RFLAGS_ZF);
    }
}

/* The whole RFLAGS image. */
static inline u64 cpu_rflags(const struct cpu *cpu)
{
    return (cpu->arch.rflags & ~(u64)RFLAGS_ARITH) | flags_get_arith(cpu);
}

/* Write all of RFLAGS (bit 1 forced). The caller calls cpu_update_mode() when TF, VM, AC, IF or RF
 * may have changed, and cpu_kick() when IF was set. */
static inline void cpu_set_rflags(struct cpu *cpu, u64 rflags)
{
    cpu->arch.rflags = (rflags & 0x3f7fd7) | RFLAGS_ONE;
    flags_set_arith(cpu, rflags);
}

/* Bring arch.rflags, cc_res and cc_aux to their canonical form, e.g. before hashing. */
static inline void flags_sync(struct cpu *cpu)
{
    cpu_set_rflags(cpu, cpu_rflags(cpu));
}

/* Condition code of Jcc, SETcc, CMOVcc: the opcode's low four bits. */
static inline bool flags_condition(const struct cpu *cpu, unsigned cc)
{
    bool v = false;
    switch (cc >> 1) {
    case 0: v = flag_of(cpu); break;
    case 1: v = flag_cf(cpu); break;
    case 2: v = flag_zf(cpu); break;
    case 3: v = flag_cf(cpu) || flag_zf(cpu); break;
    case 4: v = flag_sf(cpu); break;
    case 5: v = flag_pf(cpu); break;
    case 6: v = flag_sf(cpu) != flag_of(cpu); break;
    default: v = flag_zf(cpu) || flag_sf(cpu) != flag_of(cpu); break;
    }
    return v != ((cc & 1) != 0);
}

#endif
