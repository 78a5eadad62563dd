/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 instructions in translated code against the interpreter: random programs of D8 to DF with some MMX and vector
 * instructions and integer instructions between them, random control words (unmasked exceptions too), stacks full and
 * empty, memory with and without fast entries; on Intel's and AMD's models, as their pointers differ. */
#include "jit_rig.h"

#include "cpu/exec/x87.h"

static u64 draw_number(void)
{
    switch (below(4)) {
    case 0: return draw_double();
    case 1: return draw() & 0x3f;
    case 2: return (draw() & 0x800fffffffffffff) | (u64)(1000 + below(50)) << 52;
    default: return draw();
    }
}

static struct f80 draw_f80(void)
{
    static const u16 exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff};
    struct f80 v = {.mant = draw_number() | (below(8) != 0 ? (u64)1 << 63 : 0)};
    v.se = (u16)(exponents[below(ARRAY_LEN(exponents))] | (draw() & 0x8000));
    if (below(2) == 0) {
        v.se = (u16)(0x3fff - 20 + below(40));
    }
    if (below(10) == 0) {
        v = (struct f80){.mant = below(2) == 0 ? 0 : 0x8000000000000000, .se = below(2) == 0 ? 0 : 0x7fff};
    }
    return v;
}

static struct host_rm draw_mem(void)
{
    i32 disp = (i32)below(4060);
    return below(3) == 0 ? rm_index(H_RBX, H_R14, below(4), disp) : rm_mem(H_RBX, disp & ~7);
}

static void draw_one(struct emit *e)
{
    switch (below(24)) {
    case 0: emit_alu(e, below(8), 8, below(2), rm_reg(below(3))); break;
    case 1: emit_mov_store(e, 8, below(3), draw_mem()); break;
    case 2: emit_op(e, OP_0F(0x40 | below(16)), 8, 1, rm_reg(2)); break;
    case 3: emit_op(e, OP_0F(0x58) | OP_PREFIX(0xf2), 4, below(16), rm_reg(below(16))); break; /* ADDSD */
    case 4: /* MMX */
        emit_op(e, OP_0F(below(4) == 0 ? 0x77 : 0xfd), 4, below(8), rm_reg(below(8)));
        break;
    case 5:
        if (below(3) == 0) {
            emit_u8(e, 0x9b); /* FWAIT */
        } else {
            emit_op(e, OP(0xd9), 4, 5, rm_mem(H_RBX, (i32)(8 * below(8)))); /* FLDCW */
        }
        break;
    case 6: emit_op(e, OP(0xd9), 4, 6 + below(2), draw_mem()); break; /* FNSTENV, FNSTCW */
    case 7: emit_op(e, OP(0xdd), 4, 4 + below(4), draw_mem()); break; /* FRSTOR, FNSAVE, FNSTSW */
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13: emit_op(e, OP(0xd8 + below(8)), 4, below(8), draw_mem()); break;
    case 14:
    case 15: /* loads */
        emit_op(e, OP(0xd9 + 2 * below(4)), 4, 0, draw_mem());
        break;
    default:
        emit_u8(e, 0xd8 + below(8));
        emit_u8(e, 0xc0 + below(64));
        break;
    }
}

static void draw_insn(struct emit *e)
{
    draw_welcome(e, draw_one);
}

static void draw_state_of(struct program *p)
{
    for (unsigned i = 0; i < 8; i++) {
        p->data[i] = (draw() & 0xffff) | (below(4) != 0 ? FP_ALL : 0);
        p->fpu.r[i] = draw_f80();
    }
    p->fpu.fcw = (u16)((draw() & (FCW_VALID & ~FP_ALL)) | FCW_ONE | (below(8) == 0 ? draw() & FP_ALL : FP_ALL));
    p->fpu.fsw = (u16)(draw() & (FP_ALL | FSW_SF | FSW_CC | FSW_TOP));
    p->fpu.tags = (u8)(below(2) == 0 ? draw() : below(2) == 0 ? 0 : 0xff);
    p->fpu.fcs = below(8) == 0 ? 8 : 0;
    x87_update_es(&p->fpu);
}

static void enter_mode(void)
{
    go_long(0);
    R.cpu.arch.cr0 |= CR0_NE | CR0_MP;
    R.cpu.arch.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    R.cpu.arch.xcr0 = 7;
    cpu_update_mode(CPU);
}

static void compare_x87(const char *model, unsigned programs)
{
    const struct jit_trial t = {.model = model, .enter = enter_mode, .insn = draw_insn, .value = draw_number,
                                .state = draw_state_of, .most_insns = 20, .most_budget = 60};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, 12ull * programs);
    ck_assert_uint_gt(s.translated, 5 * s.helped); /* it was about translated code */
}

START_TEST(test_jit_x87__intel)
{
    compare_x87("intel", 10000);
}
END_TEST

START_TEST(test_jit_x87__amd)
{
    compare_x87("amd", 10000);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_x87");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_x87__intel);
    tcase_add_test(tc, test_jit_x87__amd);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
