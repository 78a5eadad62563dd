/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which vector instructions have an emitter: opcode and shape of each. The legacy and the VEX form of a mnemonic
 * have the same opcode byte, prefix and map, so one line serves both. [SDM2] each under its own name.
 *
 * Left to their handlers: MMX registers, gathers and masked moves, moves between lanes, RCP and RSQRT (never the
 * host's), string comparisons, half precision. */
#include "jit/translate.h"
#include "jit/vec.h"

#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/exec/fault.h"
#include "cpu/exec/simd.h"

#define NP(byte) OP_0F(byte)
#define P66(byte) (OP_0F(byte) | OP_PREFIX(0x66))
#define PF3(byte) (OP_0F(byte) | OP_PREFIX(0xf3))
#define PF2(byte) (OP_0F(byte) | OP_PREFIX(0xf2))
#define P66_38(byte) (OP_0F38(byte) | OP_PREFIX(0x66))
#define P66_3A(byte) (OP_0F3A(byte) | OP_PREFIX(0x66))
#define NP_38(byte) OP_0F38(byte)

/* Legacy and VEX; VEX alone; legacy alone. */
#define BOTH(id, ...) [INSN_##id] = {__VA_ARGS__}, [INSN_V##id] = {__VA_ARGS__},
#define ONE(id, ...) [INSN_##id] = {__VA_ARGS__},

#define FLOATS(id, byte)                                                                           \
    BOTH(id##PS, NP(byte), VEC_BINARY, VEC_FP, VEC_SSE2)                                           \
    BOTH(id##PD, P66(byte), VEC_BINARY, VEC_FP, VEC_SSE2)                                          \
    BOTH(id##SS, PF3(byte), VEC_BINARY, VEC_FP, VEC_SSE2)                                          \
    BOTH(id##SD, PF2(byte), VEC_BINARY, VEC_FP, VEC_SSE2)
#define FP_PAIR(id, byte)                                                                          \
    BOTH(id##PD, P66(byte), VEC_BINARY, VEC_FP, VEC_SSE4)                                          \
    BOTH(id##PS, PF2(byte), VEC_BINARY, VEC_FP, VEC_SSE4)
#define BITS(id, byte)                                                                             \
    BOTH(id##PS, NP(byte), VEC_BINARY, 0, VEC_SSE2) BOTH(id##PD, P66(byte), VEC_BINARY, 0, VEC_SSE2)
#define INT(id, byte) BOTH(id, P66(byte), VEC_BINARY, 0, VEC_SSE2)
#define INT38(id, byte) BOTH(id, P66_38(byte), VEC_BINARY, 0, VEC_SSE4)
#define INT38_1(id, byte) BOTH(id, P66_38(byte), VEC_UNARY, 0, VEC_SSE4)
#define INT3A(id, byte) BOTH(id, P66_3A(byte), VEC_BINARY, VEC_IMM, VEC_SSE4)
#define SHIFT(id, byte, group, ext)                                                                \
    BOTH(id, P66(byte), VEC_SHIFT, 0, VEC_SSE2, P66(group), ext)
#define FMA(id, byte)                                                                              \
    ONE(id##PS, P66_38(byte), VEC_BINARY, VEC_FP, VEC_FMA)                                         \
    ONE(id##PD, P66_38(byte), VEC_BINARY, VEC_FP, VEC_FMA)
#define FMA_SCALAR(id, byte)                                                                       \
    ONE(id##SS, P66_38(byte), VEC_BINARY, VEC_FP, VEC_FMA)                                         \
    ONE(id##SD, P66_38(byte), VEC_BINARY, VEC_FP, VEC_FMA)
#define FMA_ALL(id, at)                                                                            \
    FMA(VF##id##132, 0x90 + (at)) FMA(VF##id##213, 0xa0 + (at)) FMA(VF##id##231, 0xb0 + (at))
#define FMA_BOTH(id, at)                                                                           \
    FMA_ALL(id, at)                                                                                \
    FMA_SCALAR(VF##id##132, 0x91 + (at))                                                           \
    FMA_SCALAR(VF##id##213, 0xa1 + (at))                                                           \
    FMA_SCALAR(VF##id##231, 0xb1 + (at))

static const struct vec_row rows[INSN_COUNT] = {
    /* Moves: load opcode, store opcode */
    BOTH(MOVUPS, NP(0x10), VEC_MOVE, 0, VEC_SSE2, NP(0x11))
    BOTH(MOVUPD, NP(0x10), VEC_MOVE, 0, VEC_SSE2, NP(0x11))
    BOTH(MOVDQU, PF3(0x6f), VEC_MOVE, 0, VEC_SSE2, PF3(0x7f))
    BOTH(LDDQU, PF3(0x6f), VEC_MOVE, 0, VEC_SSE2, PF3(0x7f))
    BOTH(MOVAPS, NP(0x28), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, NP(0x29))
    BOTH(MOVAPD, NP(0x28), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, NP(0x29))
    BOTH(MOVDQA, P66(0x6f), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, P66(0x7f))
    BOTH(MOVNTDQA, P66(0x6f), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, P66(0x7f))
    BOTH(MOVNTDQ, P66(0x6f), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, P66(0x7f))
    BOTH(MOVNTPS, NP(0x28), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, NP(0x29))
    BOTH(MOVNTPD, NP(0x28), VEC_MOVE, VEC_ALIGNED, VEC_SSE2, NP(0x29))
    BOTH(MOVSS, PF3(0x10), VEC_SCALAR, 0, VEC_SSE2, PF3(0x11))
    BOTH(MOVSD, PF2(0x10), VEC_SCALAR, 0, VEC_SSE2, PF2(0x11))
    BOTH(MOVD, P66(0x6e), VEC_WORD, 0, VEC_SSE2, P66(0x7e))
    BOTH(MOVQ, P66(0x6e), VEC_WORD, 0, VEC_SSE2, P66(0x7e))
    BOTH(MOVLPS, NP(0x12), VEC_HALF, 0, VEC_SSE2, NP(0x13))
    BOTH(MOVLPD, NP(0x12), VEC_HALF, 0, VEC_SSE2, NP(0x13))
    BOTH(MOVHPS, NP(0x16), VEC_HALF, 0, VEC_SSE2, NP(0x17))
    BOTH(MOVHPD, NP(0x16), VEC_HALF, 0, VEC_SSE2, NP(0x17))
    BOTH(MOVHLPS, NP(0x12), VEC_BINARY, 0, VEC_SSE2)
    BOTH(MOVLHPS, NP(0x16), VEC_BINARY, 0, VEC_SSE2)
    BOTH(MOVDDUP, PF2(0x12), VEC_UNARY, 0, VEC_SSE4)
    BOTH(MOVSLDUP, PF3(0x12), VEC_UNARY, 0, VEC_SSE4)
    BOTH(MOVSHDUP, PF3(0x16), VEC_UNARY, 0, VEC_SSE4)
    BOTH(MOVMSKPS, NP(0x50), VEC_TO_GPR, 0, VEC_SSE2)
    BOTH(MOVMSKPD, P66(0x50), VEC_TO_GPR, 0, VEC_SSE2)
    BOTH(PMOVMSKB, P66(0xd7), VEC_TO_GPR, 0, VEC_SSE2)
    ONE(VZEROUPPER, 0, VEC_ZERO_UPPER, 0, VEC_AVX2)
    ONE(VPBROADCASTB, P66_38(0x78), VEC_UNARY, 0, VEC_AVX2)
    ONE(VPBROADCASTW, P66_38(0x79), VEC_UNARY, 0, VEC_AVX2)
    ONE(VPBROADCASTD, P66_38(0x58), VEC_UNARY, 0, VEC_AVX2)
    ONE(VPBROADCASTQ, P66_38(0x59), VEC_UNARY, 0, VEC_AVX2)
    ONE(VBROADCASTSS, P66_38(0x18), VEC_UNARY, 0, VEC_AVX2)
    ONE(VBROADCASTSD, P66_38(0x19), VEC_UNARY, 0, VEC_AVX2)
    /* Floating point */
    FLOATS(ADD, 0x58) FLOATS(MUL, 0x59) FLOATS(SUB, 0x5c) FLOATS(MIN, 0x5d) FLOATS(DIV, 0x5e) FLOATS(MAX, 0x5f)
    BOTH(SQRTPS, NP(0x51), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(SQRTPD, P66(0x51), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(SQRTSS, PF3(0x51), VEC_BINARY, VEC_FP, VEC_SSE2)
    BOTH(SQRTSD, PF2(0x51), VEC_BINARY, VEC_FP, VEC_SSE2)
    BOTH(CMPPS, NP(0xc2), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE2)
    BOTH(CMPPD, P66(0xc2), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE2)
    BOTH(CMPSS, PF3(0xc2), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE2)
    BOTH(CMPSD, PF2(0xc2), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE2)
    BOTH(UCOMISS, NP(0x2e), VEC_COMPARE, VEC_FP, VEC_SSE2)
    BOTH(UCOMISD, P66(0x2e), VEC_COMPARE, VEC_FP, VEC_SSE2)
    BOTH(COMISS, NP(0x2f), VEC_COMPARE, VEC_FP, VEC_SSE2)
    BOTH(COMISD, P66(0x2f), VEC_COMPARE, VEC_FP, VEC_SSE2)
    BOTH(ROUNDPS, P66_3A(0x08), VEC_UNARY, VEC_FP | VEC_IMM, VEC_SSE4)
    BOTH(ROUNDPD, P66_3A(0x09), VEC_UNARY, VEC_FP | VEC_IMM, VEC_SSE4)
    BOTH(ROUNDSS, P66_3A(0x0a), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE4)
    BOTH(ROUNDSD, P66_3A(0x0b), VEC_BINARY, VEC_FP | VEC_IMM, VEC_SSE4)
    FP_PAIR(HADD, 0x7c) FP_PAIR(HSUB, 0x7d) FP_PAIR(ADDSUB, 0xd0)
    BOTH(CVTPS2PD, NP(0x5a), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTPD2PS, P66(0x5a), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTSS2SD, PF3(0x5a), VEC_BINARY, VEC_FP, VEC_SSE2)
    BOTH(CVTSD2SS, PF2(0x5a), VEC_BINARY, VEC_FP, VEC_SSE2)
    BOTH(CVTDQ2PS, NP(0x5b), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTPS2DQ, P66(0x5b), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTTPS2DQ, PF3(0x5b), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTDQ2PD, PF3(0xe6), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTPD2DQ, PF2(0xe6), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTTPD2DQ, P66(0xe6), VEC_UNARY, VEC_FP, VEC_SSE2)
    BOTH(CVTSI2SS, PF3(0x2a), VEC_FROM_INT, VEC_FP, VEC_SSE2)
    BOTH(CVTSI2SD, PF2(0x2a), VEC_FROM_INT, VEC_FP, VEC_SSE2)
    BOTH(CVTSS2SI, PF3(0x2d), VEC_TO_INT, VEC_FP, VEC_SSE2)
    BOTH(CVTSD2SI, PF2(0x2d), VEC_TO_INT, VEC_FP, VEC_SSE2)
    BOTH(CVTTSS2SI, PF3(0x2c), VEC_TO_INT, VEC_FP, VEC_SSE2)
    BOTH(CVTTSD2SI, PF2(0x2c), VEC_TO_INT, VEC_FP, VEC_SSE2)
    FMA_BOTH(MADD, 8) FMA_BOTH(MSUB, 10) FMA_BOTH(NMADD, 12) FMA_BOTH(NMSUB, 14)
    FMA_ALL(MADDSUB, 6) FMA_ALL(MSUBADD, 7)
    BITS(AND, 0x54) BITS(ANDN, 0x55) BITS(OR, 0x56) BITS(XOR, 0x57)
    BITS(UNPCKL, 0x14) BITS(UNPCKH, 0x15)
    BOTH(SHUFPS, NP(0xc6), VEC_BINARY, VEC_IMM, VEC_SSE2)
    BOTH(SHUFPD, P66(0xc6), VEC_BINARY, VEC_IMM, VEC_SSE2)
    /* Integers */
    INT(PUNPCKLBW, 0x60) INT(PUNPCKLWD, 0x61) INT(PUNPCKLDQ, 0x62) INT(PACKSSWB, 0x63) INT(PCMPGTB, 0x64)
    INT(PCMPGTW, 0x65) INT(PCMPGTD, 0x66) INT(PACKUSWB, 0x67) INT(PUNPCKHBW, 0x68) INT(PUNPCKHWD, 0x69)
    INT(PUNPCKHDQ, 0x6a) INT(PACKSSDW, 0x6b) INT(PUNPCKLQDQ, 0x6c) INT(PUNPCKHQDQ, 0x6d)
    INT(PCMPEQB, 0x74) INT(PCMPEQW, 0x75) INT(PCMPEQD, 0x76)
    INT(PADDQ, 0xd4) INT(PMULLW, 0xd5) INT(PSUBUSB, 0xd8) INT(PSUBUSW, 0xd9) INT(PMINUB, 0xda) INT(PAND, 0xdb)
    INT(PADDUSB, 0xdc) INT(PADDUSW, 0xdd) INT(PMAXUB, 0xde) INT(PANDN, 0xdf) INT(PAVGB, 0xe0) INT(PAVGW, 0xe3)
    INT(PMULHUW, 0xe4) INT(PMULHW, 0xe5) INT(PSUBSB, 0xe8) INT(PSUBSW, 0xe9) INT(PMINSW, 0xea) INT(POR, 0xeb)
    INT(PADDSB, 0xec) INT(PADDSW, 0xed) INT(PMAXSW, 0xee) INT(PXOR, 0xef) INT(PMULUDQ, 0xf4) INT(PMADDWD, 0xf5)
    INT(PSADBW, 0xf6) INT(PSUBB, 0xf8) INT(PSUBW, 0xf9) INT(PSUBD, 0xfa) INT(PSUBQ, 0xfb) INT(PADDB, 0xfc)
    INT(PADDW, 0xfd) INT(PADDD, 0xfe)
    BOTH(PSHUFD, P66(0x70), VEC_UNARY, VEC_IMM, VEC_SSE2)
    BOTH(PSHUFHW, PF3(0x70), VEC_UNARY, VEC_IMM, VEC_SSE2)
    BOTH(PSHUFLW, PF2(0x70), VEC_UNARY, VEC_IMM, VEC_SSE2)
    SHIFT(PSRLW, 0xd1, 0x71, 2) SHIFT(PSRLD, 0xd2, 0x72, 2) SHIFT(PSRLQ, 0xd3, 0x73, 2) SHIFT(PSRAW, 0xe1, 0x71, 4)
    SHIFT(PSRAD, 0xe2, 0x72, 4) SHIFT(PSLLW, 0xf1, 0x71, 6) SHIFT(PSLLD, 0xf2, 0x72, 6) SHIFT(PSLLQ, 0xf3, 0x73, 6)
    SHIFT(PSRLDQ, 0, 0x73, 3) SHIFT(PSLLDQ, 0, 0x73, 7)
    INT38(PSHUFB, 0x00) INT38(PHADDW, 0x01) INT38(PHADDD, 0x02) INT38(PHADDSW, 0x03) INT38(PMADDUBSW, 0x04)
    INT38(PHSUBW, 0x05) INT38(PHSUBD, 0x06) INT38(PHSUBSW, 0x07) INT38(PSIGNB, 0x08) INT38(PSIGNW, 0x09)
    INT38(PSIGND, 0x0a) INT38(PMULHRSW, 0x0b) INT38_1(PABSB, 0x1c) INT38_1(PABSW, 0x1d) INT38_1(PABSD, 0x1e)
    INT38_1(PMOVSXBW, 0x20) INT38_1(PMOVSXBD, 0x21) INT38_1(PMOVSXBQ, 0x22) INT38_1(PMOVSXWD, 0x23)
    INT38_1(PMOVSXWQ, 0x24) INT38_1(PMOVSXDQ, 0x25) INT38(PMULDQ, 0x28) INT38(PCMPEQQ, 0x29) INT38(PACKUSDW, 0x2b)
    INT38_1(PMOVZXBW, 0x30) INT38_1(PMOVZXBD, 0x31) INT38_1(PMOVZXBQ, 0x32) INT38_1(PMOVZXWD, 0x33)
    INT38_1(PMOVZXWQ, 0x34) INT38_1(PMOVZXDQ, 0x35) INT38(PCMPGTQ, 0x37) INT38(PMINSB, 0x38) INT38(PMINSD, 0x39)
    INT38(PMINUW, 0x3a) INT38(PMINUD, 0x3b) INT38(PMAXSB, 0x3c) INT38(PMAXSD, 0x3d) INT38(PMAXUW, 0x3e)
    INT38(PMAXUD, 0x3f) INT38(PMULLD, 0x40) INT38_1(PHMINPOSUW, 0x41)
    BOTH(PTEST, P66_38(0x17), VEC_COMPARE, 0, VEC_SSE4)
    INT3A(BLENDPS, 0x0c) INT3A(BLENDPD, 0x0d) INT3A(PBLENDW, 0x0e) INT3A(PALIGNR, 0x0f) INT3A(MPSADBW, 0x42)
    INT3A(INSERTPS, 0x21)
    ONE(VPSRLVD, P66_38(0x45), VEC_BINARY, 0, VEC_AVX2) ONE(VPSRLVQ, P66_38(0x45), VEC_BINARY, 0, VEC_AVX2)
    ONE(VPSRAVD, P66_38(0x46), VEC_BINARY, 0, VEC_AVX2) ONE(VPSLLVD, P66_38(0x47), VEC_BINARY, 0, VEC_AVX2)
    ONE(VPSLLVQ, P66_38(0x47), VEC_BINARY, 0, VEC_AVX2) ONE(VPBLENDD, P66_3A(0x02), VEC_BINARY, VEC_IMM, VEC_AVX2)
    ONE(SHA256RNDS2, NP_38(0xcb), VEC_SHA, 0, VEC_SHA_NI) ONE(SHA256MSG1, NP_38(0xcc), VEC_BINARY, 0, VEC_SHA_NI)
    ONE(SHA256MSG2, NP_38(0xcd), VEC_BINARY, 0, VEC_SHA_NI)
    BOTH(AESENC, P66_38(0xdc), VEC_BINARY, 0, VEC_AES) BOTH(AESENCLAST, P66_38(0xdd), VEC_BINARY, 0, VEC_AES)
    BOTH(AESDEC, P66_38(0xde), VEC_BINARY, 0, VEC_AES) BOTH(AESDECLAST, P66_38(0xdf), VEC_BINARY, 0, VEC_AES)
    BOTH(PCLMULQDQ, P66_3A(0x44), VEC_BINARY, VEC_IMM, VEC_AES)
};

const struct vec_row *vec_row_of(const struct insn *in)
{
    return &rows[insn_id(in)];
}

static bool is_vec(unsigned r)
{
    return r >= OPR_VEC && r < OPR_VEC + 16;
}

static bool is_gpr(unsigned r)
{
    return r < OPR_HIGH;
}

u32 vec_host_features(void)
{
    u32 f = BIT32(VEC_SSE2);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("ssse3") != 0) {
        f |= BIT32(VEC_SSE4);
    }
    f |= __builtin_cpu_supports("avx2") != 0 ? BIT32(VEC_AVX2) : 0;
    f |= __builtin_cpu_supports("fma") != 0 ? BIT32(VEC_FMA) : 0;
    f |= __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0 ? BIT32(VEC_AES) : 0;
    f |= host_has_sha() ? BIT32(VEC_SHA_NI) : 0;
#endif
    return f;
}

static bool host_has(const struct translation *t, const struct insn *in, unsigned feature)
{
    u32 need = BIT32(feature) | ((in->pfx & PFX_VEX) != 0 ? BIT32(VEC_AVX2) : 0);
    return (t->j->vec_features & need) == need;
}

/* Does the shape of the operands allow what the row says? */
static bool fits(const struct insn *in, const struct vec_row *row)
{
    bool vex = (in->pfx & PFX_VEX) != 0;
    unsigned last = vex ? 2 : 1; /* the r/m operand of a binary form */
    const u8 *r = in->r;
    switch ((enum vec_shape)row->shape) {
    case VEC_NONE: return false;
    case VEC_BINARY: return is_vec(r[0]) && (!vex || is_vec(r[1])) && (is_vec(r[last]) || r[last] == OPR_MEM);
    case VEC_SHA: return is_vec(r[0]) && (is_vec(r[1]) || r[1] == OPR_MEM);
    case VEC_COMPARE:
    case VEC_UNARY: return is_vec(r[0]) && (is_vec(r[1]) || r[1] == OPR_MEM);
    case VEC_MOVE: return (is_vec(r[0]) && (is_vec(r[1]) || r[1] == OPR_MEM)) || (r[0] == OPR_MEM && is_vec(r[1]));
    case VEC_SCALAR:
        return (r[0] == OPR_MEM && is_vec(r[1])) || (is_vec(r[0]) && r[1] == OPR_MEM) ||
               (is_vec(r[0]) && is_vec(r[1]) && (!vex || is_vec(r[2])));
    case VEC_WORD:
        return (is_vec(r[0]) && (is_vec(r[1]) || is_gpr(r[1]) || r[1] == OPR_MEM)) ||
               (is_vec(r[1]) && (is_gpr(r[0]) || r[0] == OPR_MEM));
    case VEC_HALF:
        return (r[0] == OPR_MEM && is_vec(r[1])) || (is_vec(r[0]) && (!vex || is_vec(r[1])) && r[last] == OPR_MEM);
    case VEC_SHIFT:
        if (r[last] == OPR_IMM) {
            return is_vec(r[0]) && (!vex || is_vec(r[1]));
        }
        return row->op != P66(0) && is_vec(r[0]) && (!vex || is_vec(r[1])) && (is_vec(r[last]) || r[last] == OPR_MEM);
    case VEC_TO_GPR: return is_gpr(r[0]) && is_vec(r[1]);
    case VEC_FROM_INT: return is_vec(r[0]) && (!vex || is_vec(r[1])) && (is_gpr(r[last]) || r[last] == OPR_MEM);
    case VEC_TO_INT: return is_gpr(r[0]) && (is_vec(r[1]) || r[1] == OPR_MEM);
    case VEC_ZERO_UPPER: return true;
    }
    return false;
}

bool find_vec_facts(const struct translation *t, const struct insn *in, struct op_facts *f)
{
    unsigned id = insn_id(in);
    const struct vec_row *row = &rows[id];
    if (row->shape == VEC_NONE || in->exec == exec_hooked || in->exec == exec_unit_fault ||
        in->exec == exec_privilege_fault) {
        return false;
    }
    bool memory = in->r[0] == OPR_MEM || in->r[1] == OPR_MEM || in->r[2] == OPR_MEM;
    if (!host_has(t, in, row->feature) || !fits(in, row) || (memory && !memory_is_plain(t, in)) ||
        (row->shape == VEC_ZERO_UPPER && t->word != 8)) {
        return false;
    }
    f->kind = OP_VEC;
    f->exits = memory;
    f->fp = (row->flags & VEC_FP) != 0;
    f->writes = row->shape == VEC_COMPARE ? F_ALL : 0;
    return true;
}
