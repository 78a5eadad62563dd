/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES-NI, PCLMULQDQ, GFNI and SHA, with their VEX and 256-bit forms. Written for clarity: these are
 * the definitions of FIPS 197, FIPS 180-4 and [SDM2], 128-bit lane by lane. */
#include "cpu/exec/simd_opr.h"

/* SubBytes and its inverse [FIPS 197]. */
static const u8 aes_sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

static const u8 aes_inv_sbox[256] = {
    0x52, 0x09, 0x6a, 0xd5, 0x30, 0x36, 0xa5, 0x38, 0xbf, 0x40, 0xa3, 0x9e, 0x81, 0xf3, 0xd7, 0xfb,
    0x7c, 0xe3, 0x39, 0x82, 0x9b, 0x2f, 0xff, 0x87, 0x34, 0x8e, 0x43, 0x44, 0xc4, 0xde, 0xe9, 0xcb,
    0x54, 0x7b, 0x94, 0x32, 0xa6, 0xc2, 0x23, 0x3d, 0xee, 0x4c, 0x95, 0x0b, 0x42, 0xfa, 0xc3, 0x4e,
    0x08, 0x2e, 0xa1, 0x66, 0x28, 0xd9, 0x24, 0xb2, 0x76, 0x5b, 0xa2, 0x49, 0x6d, 0x8b, 0xd1, 0x25,
    0x72, 0xf8, 0xf6, 0x64, 0x86, 0x68, 0x98, 0x16, 0xd4, 0xa4, 0x5c, 0xcc, 0x5d, 0x65, 0xb6, 0x92,
    0x6c, 0x70, 0x48, 0x50, 0xfd, 0xed, 0xb9, 0xda, 0x5e, 0x15, 0x46, 0x57, 0xa7, 0x8d, 0x9d, 0x84,
    0x90, 0xd8, 0xab, 0x00, 0x8c, 0xbc, 0xd3, 0x0a, 0xf7, 0xe4, 0x58, 0x05, 0xb8, 0xb3, 0x45, 0x06,
    0xd0, 0x2c, 0x1e, 0x8f, 0xca, 0x3f, 0x0f, 0x02, 0xc1, 0xaf, 0xbd, 0x03, 0x01, 0x13, 0x8a, 0x6b,
    0x3a, 0x91, 0x11, 0x41, 0x4f, 0x67, 0xdc, 0xea, 0x97, 0xf2, 0xcf, 0xce, 0xf0, 0xb4, 0xe6, 0x73,
    0x96, 0xac, 0x74, 0x22, 0xe7, 0xad, 0x35, 0x85, 0xe2, 0xf9, 0x37, 0xe8, 0x1c, 0x75, 0xdf, 0x6e,
    0x47, 0xf1, 0x1a, 0x71, 0x1d, 0x29, 0xc5, 0x89, 0x6f, 0xb7, 0x62, 0x0e, 0xaa, 0x18, 0xbe, 0x1b,
    0xfc, 0x56, 0x3e, 0x4b, 0xc6, 0xd2, 0x79, 0x20, 0x9a, 0xdb, 0xc0, 0xfe, 0x78, 0xcd, 0x5a, 0xf4,
    0x1f, 0xdd, 0xa8, 0x33, 0x88, 0x07, 0xc7, 0x31, 0xb1, 0x12, 0x10, 0x59, 0x27, 0x80, 0xec, 0x5f,
    0x60, 0x51, 0x7f, 0xa9, 0x19, 0xb5, 0x4a, 0x0d, 0x2d, 0xe5, 0x7a, 0x9f, 0x93, 0xc9, 0x9c, 0xef,
    0xa0, 0xe0, 0x3b, 0x4d, 0xae, 0x2a, 0xf5, 0xb0, 0xc8, 0xeb, 0xbb, 0x3c, 0x83, 0x53, 0x99, 0x61,
    0x17, 0x2b, 0x04, 0x7e, 0xba, 0x77, 0xd6, 0x26, 0xe1, 0x69, 0x14, 0x63, 0x55, 0x21, 0x0c, 0x7d,
};

/* The product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
static u8 gf_mul(u8 x, u8 y)
{
    unsigned a = x, r = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (((y >> i) & 1) != 0) {
            r ^= a;
        }
        a = (a << 1) ^ ((a & 0x80) != 0 ? 0x11bu : 0);
    }
    return (u8)r;
}

/* The inverse is the 254th power; 0 stays 0. */
static u8 gf_inverse(u8 x)
{
    u8 r = 1, power = x;
    for (unsigned i = 1; i < 8; i++) {
        power = gf_mul(power, power);
        r = gf_mul(r, power);
    }
    return r;
}

/* ShiftRows and SubBytes; row r of column c is byte 4c + r. */
static void aes_shift_sub(u8 *d, const u8 *a)
{
    for (unsigned i = 0; i < 16; i++) {
        d[i] = aes_sbox[a[(i + 4 * (i & 3)) & 15]];
    }
}

static void aes_inv_shift_sub(u8 *d, const u8 *a)
{
    for (unsigned i = 0; i < 16; i++) {
        d[i] = aes_inv_sbox[a[(i - 4 * (i & 3)) & 15]];
    }
}

/* Four bytes of a column, the first lowest. */
static u32 rotate_right(u32 x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* Each byte times 2. */
static u32 xtime4(u32 x)
{
    return ((x & 0x7f7f7f7f) << 1) ^ ((x >> 7 & 0x01010101) * 0x1b);
}

/* Row r of the result: 2 s[r] + 3 s[r + 1] + s[r + 2] + s[r + 3]. */
static void aes_mix_columns(u8 *s)
{
    for (unsigned c = 0; c < 16; c += 4) {
        u32 x = load_le32(s + c), next = rotate_right(x, 8);
        store_le32(s + c, xtime4(x ^ next) ^ next ^ rotate_right(x, 16) ^ rotate_right(x, 24));
    }
}

/* (14, 11, 13, 9) = (2, 3, 1, 1) after 4 times (1, 0, 1, 0) is added. */
static void aes_inv_mix_columns(u8 *s)
{
    for (unsigned c = 0; c < 16; c += 4) {
        u32 x = load_le32(s + c);
        store_le32(s + c, x ^ xtime4(xtime4(x ^ rotate_right(x, 16))));
    }
    aes_mix_columns(s);
}

static void add_round_key(u8 *restrict d, const u8 *restrict key)
{
    for (unsigned i = 0; i < 16; i++) {
        d[i] ^= key[i];
    }
}

static void lane_aesenclast(u8 *restrict d, const u8 *restrict a, const u8 *restrict b,
                            unsigned imm)
{
    UNUSED(imm);
    aes_shift_sub(d, a);
    add_round_key(d, b);
}

static void lane_aesenc(u8 *restrict d, const u8 *restrict a, const u8 *restrict b, unsigned imm)
{
    UNUSED(imm);
    aes_shift_sub(d, a);
    aes_mix_columns(d);
    add_round_key(d, b);
}

static void lane_aesdeclast(u8 *restrict d, const u8 *restrict a, const u8 *restrict b,
                            unsigned imm)
{
    UNUSED(imm);
    aes_inv_shift_sub(d, a);
    add_round_key(d, b);
}

static void lane_aesdec(u8 *restrict d, const u8 *restrict a, const u8 *restrict b, unsigned imm)
{
    UNUSED(imm);
    aes_inv_shift_sub(d, a);
    aes_inv_mix_columns(d);
    add_round_key(d, b);
}

static void lanes_aesimc(union vec *restrict d, const union vec *restrict a)
{
    *d = *a;
    aes_inv_mix_columns(d->b);
}

static u32 aes_sub_word(u32 x)
{
    u32 r = 0;
    for (unsigned i = 0; i < 32; i += 8) {
        r |= (u32)aes_sbox[(x >> i) & 0xff] << i;
    }
    return r;
}

static void lanes_aeskeygenassist(union vec *restrict d, const union vec *restrict a, unsigned imm)
{
    memset(d, 0, sizeof *d);
    for (unsigned i = 0; i < 4; i += 2) {
        u32 sub = aes_sub_word(a->d[i + 1]);
        d->d[i] = sub;
        d->d[i + 1] = rotate_right(sub, 8) ^ imm;
    }
}

cpu_rc exec_aesenc(struct cpu *cpu, const struct insn *in)
{
    return simd_by_lane(cpu, in, lane_aesenc);
}

cpu_rc exec_aesenclast(struct cpu *cpu, const struct insn *in)
{
    return simd_by_lane(cpu, in, lane_aesenclast);
}

cpu_rc exec_aesdec(struct cpu *cpu, const struct insn *in)
{
    return simd_by_lane(cpu, in, lane_aesdec);
}

cpu_rc exec_aesdeclast(struct cpu *cpu, const struct insn *in)
{
    return simd_by_lane(cpu, in, lane_aesdeclast);
}

cpu_rc exec_aesimc(struct cpu *cpu, const struct insn *in)
{
    return simd_unary(cpu, in, lanes_aesimc);
}

cpu_rc exec_aeskeygenassist(struct cpu *cpu, const struct insn *in)
{
    return simd_unary_imm(cpu, in, lanes_aeskeygenassist);
}

/* Carry-less product of one quadword of each source: imm bit 0 selects the first's, bit 4 the
 * second's. */
static void lane_pclmulqdq(u8 *restrict d, const u8 *restrict a, const u8 *restrict b, unsigned imm)
{
    u64 x = load_le64(a + 8 * (imm & 1)), y = load_le64(b + 8 * ((imm >> 4) & 1));
    u128 multiple[16] = {0, x}, r = 0; /* products with 0..15 */
    for (unsigned i = 2; i < 16; i++) {
        multiple[i] = (multiple[i / 2] << 1) ^ multiple[i & 1];
    }
    for (unsigned i = 0; i < 16; i++) {
        r = (r << 4) ^ multiple[y >> 60];
        y <<= 4;
    }
    store_le64(d, (u64)r);
    store_le64(d + 8, (u64)(r >> 64));
}

cpu_rc exec_pclmulqdq(struct cpu *cpu, const struct insn *in)
{
    return simd_by_lane(cpu, in, lane_pclmulqdq);
}

static void lanes_gf2p8mulb(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b)
{
    for (unsigned i = 0; i < 32; i++) {
        d->b[i] = gf_mul(a->b[i], b->b[i]);
    }
}

/* The 8x8 bit matrix m (row of result bit k in byte 7 - k) times x, plus imm. */
static u8 gf_affine(u64 m, u8 x, unsigned imm)
{
    unsigned r = imm;
    for (unsigned k = 0; k < 8; k++) {
        unsigned row = (unsigned)(m >> (8 * (7 - k))) & x;
        r ^= ((unsigned)__builtin_popcount(row) & 1) << k;
    }
    return (u8)r;
}

static void lanes_gf2p8affineqb(union vec *restrict d, const union vec *restrict a,
                                const union vec *restrict b, unsigned imm)
{
    for (unsigned i = 0; i < 32; i++) {
        d->b[i] = gf_affine(b->q[i / 8], a->b[i], imm);
    }
}

static void lanes_gf2p8affineinvqb(union vec *restrict d, const union vec *restrict a,
                                   const union vec *restrict b, unsigned imm)
{
    for (unsigned i = 0; i < 32; i++) {
        d->b[i] = gf_affine(b->q[i / 8], gf_inverse(a->b[i]), imm);
    }
}

cpu_rc exec_gf2p8mulb(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_gf2p8mulb, NULL);
}

cpu_rc exec_gf2p8affineqb(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_gf2p8affineqb, NULL);
}

cpu_rc exec_gf2p8affineinvqb(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_gf2p8affineinvqb, NULL);
}

/* SHA [SDM2 "SHA1RNDS4" and following]. In a vector the first word of FIPS 180-4 is the highest. */
static u32 rotate_left(u32 x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static u32 sha_choose(u32 x, u32 y, u32 z)
{
    return (x & y) ^ (~x & z);
}

static u32 sha_majority(u32 x, u32 y, u32 z)
{
    return (x & y) ^ (x & z) ^ (y & z);
}

/* Four rounds: a = A B C D, b = W0..W3 with E added into W0; imm selects function and constant. */
static void lanes_sha1rnds4(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b, unsigned imm)
{
    static const u32 constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    u32 va = a->d[3], vb = a->d[2], vc = a->d[1], vd = a->d[0], ve = 0;
    for (unsigned i = 0; i < 4; i++) {
        u32 f = (imm & 3) == 0   ? sha_choose(vb, vc, vd)
                : (imm & 3) == 2 ? sha_majority(vb, vc, vd)
                                 : vb ^ vc ^ vd;
        u32 next = f + rotate_left(va, 5) + b->d[3 - i] + ve + constant[imm & 3];
        ve = vd;
        vd = vc;
        vc = rotate_left(vb, 30);
        vb = va;
        va = next;
    }
    *d = (union vec){.d = {vd, vc, vb, va}};
}

static void lanes_sha1nexte(union vec *restrict d, const union vec *restrict a,
                            const union vec *restrict b)
{
    *d = *b;
    d->d[3] = b->d[3] + rotate_left(a->d[3], 30);
}

static void lanes_sha1msg1(union vec *restrict d, const union vec *restrict a,
                           const union vec *restrict b)
{
    *d = (union vec){
        .d = {b->d[2] ^ a->d[0], b->d[3] ^ a->d[1], a->d[0] ^ a->d[2], a->d[1] ^ a->d[3]}};
}

static void lanes_sha1msg2(union vec *restrict d, const union vec *restrict a,
                           const union vec *restrict b)
{
    u32 w16 = rotate_left(a->d[3] ^ b->d[2], 1);
    u32 w17 = rotate_left(a->d[2] ^ b->d[1], 1);
    u32 w18 = rotate_left(a->d[1] ^ b->d[0], 1);
    u32 w19 = rotate_left(a->d[0] ^ w16, 1);
    *d = (union vec){.d = {w19, w18, w17, w16}};
}

static u32 sha256_sigma0(u32 x)
{
    return rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3;
}

static u32 sha256_sigma1(u32 x)
{
    return rotate_right(x, 17) ^ rotate_right(x, 19) ^ x >> 10;
}

static void lanes_sha256msg1(union vec *restrict d, const union vec *restrict a,
                             const union vec *restrict b)
{
    *d = (union vec){.d = {a->d[0] + sha256_sigma0(a->d[1]), a->d[1] + sha256_sigma0(a->d[2]),
                           a->d[2] + sha256_sigma0(a->d[3]), a->d[3] + sha256_sigma0(b->d[0])}};
}

static void lanes_sha256msg2(union vec *restrict d, const union vec *restrict a,
                             const union vec *restrict b)
{
    u32 w16 = a->d[0] + sha256_sigma1(b->d[2]);
    u32 w17 = a->d[1] + sha256_sigma1(b->d[3]);
    u32 w18 = a->d[2] + sha256_sigma1(w16);
    u32 w19 = a->d[3] + sha256_sigma1(w17);
    *d = (union vec){.d = {w16, w17, w18, w19}};
}

cpu_rc exec_sha1rnds4(struct cpu *cpu, const struct insn *in)
{
    return simd_binary_imm(cpu, in, lanes_sha1rnds4, NULL);
}

cpu_rc exec_sha1nexte(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_sha1nexte, NULL);
}

cpu_rc exec_sha1msg1(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_sha1msg1, NULL);
}

cpu_rc exec_sha1msg2(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_sha1msg2, NULL);
}

cpu_rc exec_sha256msg1(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_sha256msg1, NULL);
}

cpu_rc exec_sha256msg2(struct cpu *cpu, const struct insn *in)
{
    return simd_binary(cpu, in, lanes_sha256msg2, NULL);
}

/* Two rounds: r[0] = C D G H, r[1] = A B E F, the two words plus constants in XMM0. */
cpu_rc exec_sha256rnds2(struct cpu *cpu, const struct insn *in)
{
    union vec c, a, wk;
    TRY(simd_load(cpu, in, 1, &a));
    memcpy(&c, vec_reg(cpu, in->r[0]), sizeof c);
    memcpy(&wk, vec_reg(cpu, OPR_VEC), sizeof wk);
    u32 va = a.d[3], vb = a.d[2], vc = c.d[3], vd = c.d[2];
    u32 ve = a.d[1], vf = a.d[0], vg = c.d[1], vh = c.d[0];
    for (unsigned i = 0; i < 2; i++) {
        u32 s1 = rotate_right(ve, 6) ^ rotate_right(ve, 11) ^ rotate_right(ve, 25);
        u32 s0 = rotate_right(va, 2) ^ rotate_right(va, 13) ^ rotate_right(va, 22);
        u32 t = sha_choose(ve, vf, vg) + s1 + wk.d[i] + vh;
        vh = vg;
        vg = vf;
        vf = ve;
        ve = t + vd;
        vd = vc;
        vc = vb;
        vb = va;
        va = t + s0 + sha_majority(vb, vc, vd);
    }
    union vec d = {.d = {vf, ve, vb, va}};
    simd_write_len(cpu, in, in->r[0], &d, 16);
    return CPU_OK;
}
