/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector instructions in translated code against the interpreter: random programs of legacy SSE and VEX forms
 * with some integer instructions between them, random MXCSR (unmasked exceptions too), memory aligned or not, with
 * and without fast entries; with the host's AVX and as if it had none. */
#include "jit_rig.h"

/* Floats that meet rules: small integers, denormals, infinities, NaNs of both kinds. */
static u64 draw_lanes(void)
{
    static const u32 floats[] = {0, 0x80000000, 0x3f800000, 0xbfc00000, 0x7f800000, 0xffc00000, 0x7fa00001, 1,
                                 0x7f7fffff, 0x00800000, 0x4f000000, 0x42c80000};
    switch (below(5)) {
    case 0: return draw_double();
    case 1: return floats[below(ARRAY_LEN(floats))] | (u64)floats[below(ARRAY_LEN(floats))] << 32;
    case 2: return draw() & 0x0101ff7f80ff0001;
    case 3: return draw() & 0x3f;
    default: return draw();
    }
}

static struct host_rm draw_rm(void)
{
    i32 disp = (i32)below(4060);
    switch (below(5)) {
    case 0: return rm_mem(H_RBX, disp);
    case 1: return rm_mem(H_RBX, disp & ~31);
    case 2: return rm_index(H_RBX, H_R14, below(4), disp & ~31);
    default: return rm_reg(below(16));
    }
}

/* One vector instruction; many draws are none, or one of another kind. */
static void draw_vec(struct emit *e)
{
    static const u32 prefixes[] = {0, 0x66, 0xf3, 0xf2};
    static const u8 compact[] = {0x10, 0x11, 0x28, 0x29, 0x54, 0x57, 0x58, 0x59, 0x5c, 0x5e, 0x6f, 0x7f,
                                 0x6e, 0x7e, 0xd6, 0x51, 0x5a, 0x5b, 0x2a, 0x2c, 0x2d, 0x2e, 0x2f, 0xc2};
    u32 op;
    bool imm;
    switch (below(6)) {
    case 0: /* floating point and moves, most often met */
    case 1: op = OP_0F(compact[below(sizeof compact)]); break;
    case 2: op = OP_0F(0x50 + below(48)); break;
    case 3: op = OP_0F(below(2) == 0 ? 0xd0 + below(48) : below(2) == 0 ? 0x10 + below(32) : 0xc2 + below(5)); break;
    case 4: op = OP_0F38(below(4) == 0 ? 0x90 + below(64) : below(0x60)); break;
    default: op = OP_0F3A(below(0x24)); break;
    }
    u32 byte = op & 0xff, map = op >> 8;
    bool group = map == 1 && byte >= 0x71 && byte <= 0x73;
    imm = map == 3 || (map == 1 && (group || byte == 0x70 || byte == 0xc2 || (byte >= 0xc4 && byte <= 0xc6)));
    op |= OP_PREFIX(map >= 2 ? 0x66u : prefixes[below(4)]);
    bool vex = below(2) == 0, wide = below(3) == 0;
    unsigned second = below(3) == 0 ? 0 : below(16), reg = group ? below(8) : below(16);
    struct host_rm rm = draw_rm();
    if (vex && below(200) == 0) {
        emit_u8(e, 0xc5); /* VZEROUPPER */
        emit_u8(e, 0xf8);
        emit_u8(e, 0x77);
    } else if (vex) {
        emit_vex(e, op, wide, below(2) == 0, second, reg, rm);
    } else {
        emit_op(e, op, wide ? 8 : 4, reg, rm);
    }
    if (imm) {
        emit_u8(e, (unsigned)draw() & 0xff);
    }
}

static void draw_one(struct emit *e)
{
    switch (below(20)) {
    case 0: emit_alu(e, below(8), 8, below(2), rm_reg(below(3))); break;
    case 1: emit_mov_store(e, 8, below(3), rm_mem(H_RBX, (i32)below(4088))); break;
    case 2: emit_op(e, OP_0F(0x40 | below(16)), 8, 1, rm_reg(2)); break;
    case 3: /* LDMXCSR, STMXCSR */
        emit_op(e, OP_0F(0xae), 4, 2 + below(2), rm_mem(H_RBX, (i32)(8 * below(8))));
        break;
    default: draw_vec(e); break;
    }
}

static void draw_insn(struct emit *e)
{
    draw_welcome(e, draw_one);
}

static void draw_state_of(struct program *p)
{
    for (unsigned i = 0; i < 64; i++) {
        p->vec[i / 4][i % 4] = draw_lanes();
    }
    for (unsigned i = 0; i < 8; i++) {
        p->data[i] = (draw() & 0xffff) | (below(4) != 0 ? MXCSR_MASKS : 0);
    }
    p->mxcsr = below(3) == 0 ? MXCSR_INIT : (u32)draw() & 0xffff;
    if (below(8) != 0) {
        p->mxcsr |= MXCSR_MASKS;
    }
}

static void enter_mode(void)
{
    go_long(0);
    R.cpu.arch.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    R.cpu.arch.xcr0 = 7;
    cpu_update_mode(CPU);
}

static void compare_vectors(unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.config = *config, .enter = enter_mode, .insn = draw_insn, .value = draw_lanes,
                                .state = draw_state_of, .most_insns = 20, .most_budget = 60};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, 6ull * programs / 5);
    ck_assert_uint_gt(s.translated, config->hide_avx ? 1 : 2 * s.helped);
}

START_TEST(test_jit_vec__random_programs)
{
    compare_vectors(6000, &(struct jit_config){0});
}
END_TEST

START_TEST(test_jit_vec__without_avx)
{
    compare_vectors(3000, &(struct jit_config){.hide_avx = true});
}
END_TEST

START_TEST(test_jit_vec__small_cache)
{
    compare_vectors(2000, &(struct jit_config){.bytes = KIB(256)});
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_vec");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_vec__random_programs);
    tcase_add_test(tc, test_jit_vec__without_avx);
    tcase_add_test(tc, test_jit_vec__small_cache);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
