/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shuffles, packs, unpacks, blends, permutes, inserts and extracts. MMX, SSE and AVX forms share a
 * handler: simd_opr.h. [SDM2], each under its own name. */
#include "cpu/exec/simd_opr.h"

/* Unpack: interleave the low (half 0) or high (half 1) halves of each 128-bit lane; what follows
 * are the elements of the pair first:second in the order of the result. The MMX forms are the low
 * or high half of the low interleave. */
typedef u8 lane_b __attribute__((vector_size(16)));
typedef u16 lane_w __attribute__((vector_size(16)));
typedef u32 lane_d __attribute__((vector_size(16)));
typedef u64 lane_q __attribute__((vector_size(16)));

#define UNPACK(name, low_name, type, half, ...)                                        \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a,       \
                             const union vec *restrict b)                              \
    {                                                                                  \
        for (unsigned at = 0; at < 32; at += 16) {                                     \
            type x, y, r;                                                              \
            memcpy(&x, a->b + at, 16);                                                 \
            memcpy(&y, b->b + at, 16);                                                 \
            r = __builtin_shufflevector(x, y, __VA_ARGS__);                            \
            memcpy(d->b + at, &r, 16);                                                 \
        }                                                                              \
    }                                                                                  \
    static void lanes_##name##_mmx(union vec *restrict d, const union vec *restrict a, \
                                   const union vec *restrict b)                        \
    {                                                                                  \
        union vec t;                                                                   \
        lanes_##low_name(&t, a, b);                                                    \
        memset(d, 0, sizeof *d);                                                       \
        d->q[0] = t.q[half];                                                           \
    }                                                                                  \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                         \
    {                                                                                  \
        return simd_binary(cpu, in, lanes_##name, lanes_##name##_mmx);                 \
    }

UNPACK(punpcklbw, punpcklbw, lane_b, 0, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
UNPACK(punpcklwd, punpcklwd, lane_w, 0, 0, 8, 1, 9, 2, 10, 3, 11)
UNPACK(punpckldq, punpckldq, lane_d, 0, 0, 4, 1, 5)
UNPACK(punpcklqdq, punpcklqdq, lane_q, 0, 0, 2)
UNPACK(punpckhbw, punpcklbw, lane_b, 1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
       31)
UNPACK(punpckhwd, punpcklwd, lane_w, 1, 4, 12, 5, 13, 6, 14, 7, 15)
UNPACK(punpckhdq, punpckldq, lane_d, 1, 2, 6, 3, 7)
UNPACK(punpckhqdq, punpcklqdq, lane_q, 1, 1, 3)

/* Pack with saturation: the first source gives the low half of each lane, the second the high one.
 * An MMX form is the low half of that with the sources joined. */
#define PACK(name, wide, from, narrow, to, low, high)                                  \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a,       \
                             const union vec *restrict b)                              \
    {                                                                                  \
        union vec x, y; /* saturated and narrowed, still in one piece each */          \
        for (unsigned i = 0; i < ARRAY_LEN(d->from); i++) {                            \
            wide v = a->from[i] < (low) ? (low) : a->from[i];                          \
            wide w = b->from[i] < (low) ? (low) : b->from[i];                          \
            x.to[i] = (narrow)(v > (high) ? (high) : v);                               \
            y.to[i] = (narrow)(w > (high) ? (high) : w);                               \
        }                                                                              \
        *d = (union vec){.q = {x.q[0], y.q[0], x.q[1], y.q[1]}};                       \
    }                                                                                  \
    static void lanes_##name##_mmx(union vec *restrict d, const union vec *restrict a, \
                                   const union vec *restrict b)                        \
    {                                                                                  \
        union vec joined = {.q = {a->q[0], b->q[0]}};                                  \
        lanes_##name(d, &joined, &joined);                                             \
    }                                                                                  \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                         \
    {                                                                                  \
        return simd_binary(cpu, in, lanes_##name, lanes_##name##_mmx);                 \
    }

PACK(packsswb, i16, sw, i8, sb, -128, 127)
PACK(packuswb, i16, sw, u8, b, 0, 255)
PACK(packssdw, i32, sd, i16, sw, -32768, 32767)
PACK(packusdw, i32, sd, u16, w, 0, 65535)

static void lane_pshufb(u8 *restrict d, const u8 *restrict a, const u8 *restrict b, unsigned imm)
{
    UNUSED(imm);
    for (unsigned i = 0; i < 16; i++) {
        u8 keep = (u8)((b[i] >> 7) - 1); /* all ones unless the sign is set */
        d[i] = a[b[i] & 15] & keep;
    }
}

static void lanes_pshufb_mmx(union vec *restrict d, const union vec *restrict a,
                             const union vec *restrict b)
{
    memset(d, 0, sizeof *d);
    for (unsigned i = 0; i < 8; i++) {
        u8 sel = b->b[i];
        d->b[i] = (sel & 0x80) != 0 ? 0 : a->b[sel & 7];
    }
}

cpu_rc exec_pshufb(struct cpu *cpu, const struct insn *in)
{
    if (opr_is_mmx(in->r[0])) {
        return mmx_binary(cpu, in, lanes_pshufb_mmx);
    }
    return simd_by_lane(cpu, in, lane_pshufb);
}

/* Bytes imm.. of the pair first:second (second low) of each lane. */
static void align_bytes(u8 *d, const u8 *a, const u8 *b, unsigned n, unsigned imm)
{
    u8 pair[64] = {0};
    memcpy(pair, b, n);
    memcpy(pair + n, a, n);
    memcpy(d, pair + (imm > 2 * n ? 2 * n : imm), n);
}

static void lanes_palignr(union vec *restrict d, const union vec *restrict a,
                          const union vec *restrict b, unsigned imm)
{
    align_bytes(&d->b[0], &a->b[0], &b->b[0], 16, imm);
    align_bytes(&d->b[16], &a->b[16], &b->b[16], 16, imm);
}

static void lanes_palignr_mmx(union vec *restrict d, const union vec *restrict a,
                              const union vec *restrict b, unsigned imm)
{
    memset(d, 0, sizeof *d);
    align_bytes(&d->b[0], &a->b[0], &b->b[0], 8, imm);
}

cpu_rc exec_palignr(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_palignr, lanes_palignr_mmx);
}

static void lanes_pshufd(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    for (unsigned i = 0; i < 8; i++) {
        d->d[i] = a->d[(i & 4) + ((imm >> (2 * (i & 3))) & 3)];
    }
}

static void lanes_pshuflw(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    *d = *a;
    for (unsigned i = 0; i < 4; i++) {
        unsigned sel = (imm >> (2 * i)) & 3;
        d->w[i] = a->w[sel];
        d->w[8 + i] = a->w[8 + sel];
    }
}

static void lanes_pshufhw(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    *d = *a;
    for (unsigned i = 0; i < 4; i++) {
        unsigned sel = (imm >> (2 * i)) & 3;
        d->w[4 + i] = a->w[4 + sel];
        d->w[12 + i] = a->w[12 + sel];
    }
}

cpu_rc exec_pshufd(struct cpu *cpu, const struct insn *in)
{
    return simd_unary_imm(cpu, in, lanes_pshufd);
}

cpu_rc exec_pshuflw(struct cpu *cpu, const struct insn *in)
{
    return simd_unary_imm(cpu, in, lanes_pshuflw);
}

cpu_rc exec_pshufhw(struct cpu *cpu, const struct insn *in)
{
    return simd_unary_imm(cpu, in, lanes_pshufhw);
}

/* Only on MMX registers. */
cpu_rc exec_pshufw(struct cpu *cpu, const struct insn *in)
{
    union vec a, d;
    TRY(simd_load(cpu, in, 1, &a));
    lanes_pshuflw(&d, &a, simd_imm8(in));
    mmx_write(cpu, in->r[0], d.q[0]);
    return CPU_OK;
}

static void lanes_shufps(union vec *restrict d, const union vec *restrict a,
                         const union vec *restrict b, unsigned imm)
{
    for (unsigned i = 0; i < 8; i++) {
        const union vec *s = (i & 2) != 0 ? b : a;
        d->d[i] = s->d[(i & 4) + ((imm >> (2 * (i & 3))) & 3)];
    }
}

static void lanes_shufpd(union vec *restrict d, const union vec *restrict a,
                         const union vec *restrict b, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++) {
        const union vec *s = (i & 1) != 0 ? b : a;
        d->q[i] = s->q[(i & 2) + ((imm >> i) & 1)];
    }
}

cpu_rc exec_shufps(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_shufps, NULL);
}

cpu_rc exec_shufpd(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_shufpd, NULL);
}

/* In-lane permutes of one source: by an immediate, or (three operands) by a vector of controls. */
static void lanes_vpermilps(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b)
{
    for (unsigned i = 0; i < 8; i++) {
        d->d[i] = a->d[(i & 4) + (b->d[i] & 3)];
    }
}

static void lanes_vpermilpd(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b)
{
    for (unsigned i = 0; i < 4; i++) {
        d->q[i] = a->q[(i & 2) + ((b->q[i] >> 1) & 1)];
    }
}

static void lanes_vpermilpd_imm(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++) {
        d->q[i] = a->q[(i & 2) + ((imm >> i) & 1)];
    }
}

cpu_rc exec_vpermilps(struct cpu *cpu, const struct insn *in)
{
    if (in->r[2] == OPR_IMM) {
        return simd_unary_imm(cpu, in, lanes_pshufd);
    }
    return simd_binary(cpu, in, lanes_vpermilps, NULL);
}

cpu_rc exec_vpermilpd(struct cpu *cpu, const struct insn *in)
{
    if (in->r[2] == OPR_IMM) {
        return simd_unary_imm(cpu, in, lanes_vpermilpd_imm);
    }
    return simd_binary(cpu, in, lanes_vpermilpd, NULL);
}

/* Permutes across lanes. VPERMD and VPERMPS have the indices in the first source. */
static void lanes_vpermd(union vec *restrict d, const union vec *restrict a,
                         const union vec *restrict b)
{
    for (unsigned i = 0; i < 8; i++) {
        d->d[i] = b->d[a->d[i] & 7];
    }
}

static void lanes_vpermq(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++) {
        d->q[i] = a->q[(imm >> (2 * i)) & 3];
    }
}

static void lanes_vperm2x128(union vec *restrict d, const union vec *restrict a,
                             const union vec *restrict b, unsigned imm)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        unsigned sel = imm >> (4 * lane);
        const union vec *s = (sel & 2) != 0 ? b : a;
        for (unsigned i = 0; i < 2; i++) {
            d->q[2 * lane + i] = (sel & 8) != 0 ? 0 : s->q[2 * (sel & 1) + i];
        }
    }
}

cpu_rc exec_vpermd(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_vpermd, NULL);
}

cpu_rc exec_vpermq(struct cpu *cpu, const struct insn *in)
{
    return simd_unary_imm(cpu, in, lanes_vpermq);
}

cpu_rc exec_vperm2x128(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_vperm2x128, NULL);
}

/* Blends by immediate: a set bit takes the second source. PBLENDW uses its 8 bits in both lanes. */
#define BLEND_IMM(name, field, bit)                                              \
    static void lanes_##name(union vec *restrict d, const union vec *restrict a, \
                             const union vec *restrict b, unsigned imm)          \
    {                                                                            \
        for (unsigned i = 0; i < ARRAY_LEN(d->field); i++) {                     \
            d->field[i] = ((imm >> (bit)) & 1) != 0 ? b->field[i] : a->field[i]; \
        }                                                                        \
    }                                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                   \
    {                                                                            \
        return simd_binary_imm(cpu, in, lanes_##name, NULL);                     \
    }

BLEND_IMM(blendps, d, i)
BLEND_IMM(blendpd, q, i)
BLEND_IMM(pblendw, w, i & 7)

/* Blends by the sign bits of a third vector: XMM0 in legacy forms, r[3] in VEX ones. */
#define BLEND_VAR(name, field)                                                          \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                          \
    {                                                                                   \
        union vec a, b, mask, d;                                                        \
        unsigned first = simd_first(in);                                                \
        TRY(simd_load(cpu, in, first + 1, &b));                                         \
        memcpy(&a, vec_reg(cpu, in->r[first]), sizeof a);                               \
        memcpy(&mask, vec_reg(cpu, simd_is_vex(in) ? in->r[3] : OPR_VEC), sizeof mask); \
        for (unsigned i = 0; i < ARRAY_LEN(d.field); i++) {                             \
            d.field[i] = mask.field[i] < 0 ? b.field[i] : a.field[i];                   \
        }                                                                               \
        simd_write(cpu, in, &d);                                                        \
        return CPU_OK;                                                                  \
    }

BLEND_VAR(pblendvb, sb)
BLEND_VAR(blendvps, sd)
BLEND_VAR(blendvpd, sq)

/* One element of r[first] replaced by r[first + 1], a general register or memory. */
static cpu_rc insert_element(struct cpu *cpu, const struct insn *in, unsigned size)
{
    unsigned first = simd_first(in);
    u64 v = 0;
    TRY(opr_read(cpu, in, first + 1, size, &v));
    if (opr_is_mmx(in->r[0])) {
        mmx_write(cpu, in->r[0],
                  bits_set(mmx_read(cpu, in->r[0]), 16 * (simd_imm8(in) & 3), 16, v));
        return CPU_OK;
    }
    union vec d;
    memcpy(&d, vec_reg(cpu, in->r[first]), sizeof d);
    store_le(&d.b[size * (simd_imm8(in) & (16 / size - 1))], v, size);
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}

cpu_rc exec_pinsrb(struct cpu *cpu, const struct insn *in)
{
    return insert_element(cpu, in, 1);
}

cpu_rc exec_pinsrw(struct cpu *cpu, const struct insn *in)
{
    return insert_element(cpu, in, 2);
}

cpu_rc exec_pinsrd(struct cpu *cpu, const struct insn *in)
{
    return insert_element(cpu, in, 4);
}

cpu_rc exec_pinsrq(struct cpu *cpu, const struct insn *in)
{
    return insert_element(cpu, in, 8);
}

/* One element of r[1] to memory, or zero-extended to a general register. */
static cpu_rc extract_element(struct cpu *cpu, const struct insn *in, unsigned size)
{
    if (opr_is_mmx(in->r[1])) {
        u64 word = bits_get(mmx_read(cpu, in->r[1]), 16 * (simd_imm8(in) & 3), 16);
        mmx_enter(cpu);
        gpr_write(cpu, in->r[0], 8, word);
        return CPU_OK;
    }
    u64 v = load_le(vec_reg(cpu, in->r[1]) + size * (simd_imm8(in) & (16 / size - 1)), size);
    return opr_write(cpu, in, 0, in->r[0] == OPR_MEM ? size : 8, v);
}

cpu_rc exec_pextrb(struct cpu *cpu, const struct insn *in)
{
    return extract_element(cpu, in, 1);
}

cpu_rc exec_pextrw(struct cpu *cpu, const struct insn *in)
{
    return extract_element(cpu, in, 2);
}

cpu_rc exec_pextrd(struct cpu *cpu, const struct insn *in)
{
    return extract_element(cpu, in, 4);
}

cpu_rc exec_pextrq(struct cpu *cpu, const struct insn *in)
{
    return extract_element(cpu, in, 8);
}

/* Bits 7:6 select the source element of a register, 5:4 the destination's, 3:0 zero elements. */
cpu_rc exec_insertps(struct cpu *cpu, const struct insn *in)
{
    union vec b, d;
    unsigned first = simd_first(in), imm = simd_imm8(in);
    TRY(simd_load(cpu, in, first + 1, &b));
    memcpy(&d, vec_reg(cpu, in->r[first]), sizeof d);
    d.d[(imm >> 4) & 3] = b.d[in->r[first + 1] == OPR_MEM ? 0 : imm >> 6];
    for (unsigned i = 0; i < 4; i++) {
        if (((imm >> i) & 1) != 0) {
            d.d[i] = 0;
        }
    }
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}

cpu_rc exec_vextract128(struct cpu *cpu, const struct insn *in)
{
    union vec d = {.q = {0}};
    memcpy(&d, vec_reg(cpu, in->r[1]) + 16 * (simd_imm8(in) & 1), 16);
    if (in->r[0] == OPR_MEM) {
        return simd_mem_write(cpu, in, &d, 16, 1);
    }
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}

cpu_rc exec_vinsert128(struct cpu *cpu, const struct insn *in)
{
    union vec b, d;
    TRY(simd_load(cpu, in, 2, &b));
    memcpy(&d, vec_reg(cpu, in->r[1]), sizeof d);
    memcpy(&d.b[16 * (simd_imm8(in) & 1)], &b, 16);
    simd_write_len(cpu, in, in->r[0], &d, 32);
    return CPU_OK;
}
