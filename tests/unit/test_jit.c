/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integer instructions and strings in translated code against the interpreter, in 64-bit and in 32-bit code; and a guest
 * that rewrites its code forever. */
#include "jit_rig.h"

#include "jit/jit_priv.h"

static bool narrow; /* programs for 32-bit code */

static u64 draw_value(void)
{
    u64 v = draw();
    switch (below(6)) {
    case 0: return v & 15;
    case 1: return 0 - (v & 15);
    case 2: return (u64)1 << (v & 63);
    case 3: return ((u64)1 << (v & 63)) - 1;
    case 4: return (u32)v;
    default: return v;
    }
}

/* A register that programs may change: not the pointers RBX, RBP, R14, nor RSP. */
static unsigned draw_reg(void)
{
    static const u8 regs[] = {0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 15};
    return regs[below(narrow ? 3 : ARRAY_LEN(regs))]; /* no BH among bytes */
}

static struct host_rm draw_mem(void)
{
    i32 disp = (i32)(below(4000)) + (below(8) == 0 ? 64 : 0); /* across pages too */
    unsigned base = below(2) == 0 ? H_RBX : H_RBP;
    return narrow || below(2) == 0 ? rm_mem(base, disp) : rm_index(base, H_R14, below(4), disp);
}

static struct host_rm draw_rm(void)
{
    return below(2) == 0 ? rm_reg(draw_reg()) : draw_mem();
}

static unsigned draw_size(void)
{
    static const u8 sizes[] = {1, 2, 4, 4, 8, 8};
    return sizes[below(narrow ? 4 : ARRAY_LEN(sizes))];
}

static enum host_shift draw_shift(void)
{
    static const u8 shifts[] = {HS_ROL, HS_ROR, HS_RCL, HS_RCR, HS_SHL, HS_SHR, HS_SAR};
    return shifts[below(sizeof shifts)];
}

/* AH, CH, DH (BH is part of a pointer) with an immediate or read by MOVZX, MOVSX; PUSH and POP of all kinds. */
static void draw_high(struct emit *e)
{
    unsigned high = 4 + below(3);
    switch (below(4)) {
    case 0: /* group 1 */
        emit_u8(e, 0x80);
        emit_u8(e, 0xc0 | (below(8)) << 3 | high);
        emit_u8(e, (unsigned)draw() & 0xff);
        break;
    case 1: /* TEST */
        emit_u8(e, 0xf6);
        emit_u8(e, 0xc0 | high);
        emit_u8(e, (unsigned)draw() & 0xff);
        break;
    case 2: /* MOVZX, MOVSX */
        emit_u8(e, 0x0f);
        emit_u8(e, below(2) == 0 ? 0xb6 : 0xbe);
        emit_u8(e, 0xc0 | below(3) << 3 | high);
        break;
    default: emit_op(e, OP(0xff), 4, 6, draw_mem()); break; /* PUSH */
    }
}

/* REP MOVS or STOS with pointers and a count that it should have; overlapping, across pages, downwards too. */
static void draw_string(struct emit *e)
{
    unsigned size = draw_size(), word = narrow ? 4 : 8;
    emit_lea(e, word, H_RSI, rm_mem(H_RBX, 600 + (i32)below(3400)));
    emit_lea(e, word, H_RDI, rm_mem(H_RBX, 600 + (i32)below(3400)));
    emit_mov_const(e, H_RCX, below(4) == 0 ? below(300) : below(70));
    emit_u8(e, below(8) == 0 ? 0xfd : 0xfc);
    if (size == 2) {
        emit_u8(e, 0x66);
    }
    emit_u8(e, below(8) == 0 ? 0xf2 : 0xf3);
    if (size == 8) {
        emit_u8(e, 0x48);
    }
    emit_u8(e, (below(2) == 0 ? 0xa4u : 0xaau) | (size == 1 ? 0u : 1u));
}

static void draw_insn(struct emit *e)
{
    if (below(30) == 0) {
        draw_string(e);
        return;
    }
    unsigned size = draw_size(), wide = size < 4 ? 4 : size, cc = below(16);
    struct host_rm rm = draw_rm();
    switch (below(26)) {
    case 0: emit_alu(e, below(8), size, draw_reg(), rm); break;
    case 1: emit_alu_imm(e, below(8), size, rm, size == 1 ? (i8)draw() : size == 2 ? (i16)draw() : (i32)draw()); break;
    case 2: emit_op(e, OP((below(8)) << 3 | (size == 1 ? 0u : 1u)), size, draw_reg(), rm); break;
    case 3: emit_mov_load(e, size, draw_reg(), rm); break;
    case 4: emit_mov_store(e, size, draw_reg(), rm); break;
    case 5: emit_op_imm(e, OP(size == 1 ? 0xc6 : 0xc7), size, 0, rm, (i32)draw()); break;
    case 6: emit_mov_const(e, draw_reg(), narrow ? (u32)draw_value() : draw_value()); break;
    case 7: emit_lea(e, wide, draw_reg(), draw_mem()); break;
    case 8: emit_op(e, OP_0F(below(2) == 0 ? 0xb6u : 0xbeu) | OP_RM8, wide, draw_reg(), rm); break;
    case 9: emit_op(e, OP_0F(below(2) == 0 ? 0xb7u : 0xbfu), wide, draw_reg(), rm); break;
    case 10: emit_op(e, OP(0x63), narrow ? 4 : 8, draw_reg(), rm); break; /* 32-bit code: ARPL */
    case 11: emit_op(e, OP(size == 1 ? 0x84 : 0x85), size, draw_reg(), rm); break;
    case 12: emit_op(e, OP(size == 1 ? 0xfe : 0xff), size, below(2), rm); break;
    case 13: emit_op(e, OP(size == 1 ? 0xf6 : 0xf7), size, 2 + below(2), rm); break;
    case 14: emit_shift_imm(e, draw_shift(), size, rm, below(70)); break;
    case 15: emit_shift_cl(e, draw_shift(), size, rm); break;
    case 16: emit_op(e, OP_0F(0xaf), size == 1 ? 2 : size, draw_reg(), rm); break;
    case 17: emit_op_imm(e, OP(0x69), size == 1 ? 2 : size, draw_reg(), rm, (i32)draw()); break;
    case 18: emit_op(e, OP(size == 1 ? 0xf6 : 0xf7), size, 4 + below(2), rm); break;
    case 19: emit_op(e, OP_0F(0x90 | cc), 1, 0, rm); break;
    case 20: emit_op(e, OP_0F(0x40 | cc), size == 1 ? 2 : size, draw_reg(), rm); break;
    case 21: emit_op(e, OP(size == 1 ? 0x86 : 0x87), size, draw_reg(), rm); break;
    case 22: emit_op(e, OP_0F((below(2) == 0 ? 0xc0u : 0xb0u) | (size == 1 ? 0u : 1u)), size, draw_reg(), rm); break;
    case 23:
        if (below(2) == 0) {
            emit_op_imm8(e, OP_0F(0xba), wide, 4 + below(4), rm, (unsigned)draw() & 0xff);
        } else {
            emit_op(e, OP_0F(0x83 | (4 + below(4)) << 3), wide, draw_reg(), rm_reg(draw_reg()));
        }
        break;
    case 24: emit_op(e, OP_0F(0xbcu + below(2)) | (below(2) == 0 ? OP_PREFIX(0xf3) : 0), wide, draw_reg(), rm); break;
    default:
        switch (below(6)) {
        case 0: emit_op(e, OP_0F(0xb8) | OP_PREFIX(0xf3), wide, draw_reg(), rm); break;
        case 1: /* CWDE, CDQE, CDQ, CQO */
            if (!narrow && below(2) == 0) {
                emit_u8(e, 0x48);
            }
            emit_u8(e, 0x98 + below(2));
            break;
        case 2: { /* PUSH, POP */
            unsigned r = draw_reg();
            if (r >= 8) {
                emit_u8(e, 0x41);
            }
            emit_u8(e, (below(2) == 0 ? 0x50u : 0x58u) | (r & 7));
            break;
        }
        case 3: emit_u8(e, (unsigned)(u8)"\xf5\xf8\xf9\xfc"[below(4)]); break; /* CMC, CLC, STC, CLD */
        case 4:                                                          /* BSWAP */
            emit_u8(e, 0x41 | (below(2) == 0 ? 8u : 0u));
            emit_u8(e, 0x0f);
            emit_u8(e, 0xc8 | (draw() & 7 & ~6u));
            break;
        default:
            switch (below(4)) {
            case 0: emit_op(e, OP(0xf7), wide, 6 + below(2), rm); break; /* DIV, IDIV: #DE mostly */
            case 1: /* after XOR EDX, EDX, or CDQ and CQO */
            case 2: {
                bool sign = below(2) == 0;
                if (!sign) {
                    emit_alu(e, HA_XOR, 4, H_RDX, rm_reg(H_RDX));
                } else {
                    if (wide == 8) {
                        emit_u8(e, 0x48);
                    }
                    emit_u8(e, 0x99);
                }
                emit_op(e, OP(0xf7), wide, sign ? 7 : 6, rm);
                break;
            }
            default: draw_high(e); break;
            }
            break;
        }
    }
}

static void enter_mode(void)
{
    if (narrow) {
        go_protected(0);
    } else {
        go_long(0);
    }
}

static void draw_state_of(struct program *p)
{
    p->gpr[RBP] = DATA + 4096 - 2048;
    p->gpr[14] = below(64);
}

static void compare_integers(unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.config = *config, .enter = enter_mode, .insn = draw_insn, .value = draw_value,
                                .state = draw_state_of, .most_insns = 14, .most_budget = 40};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, 4 * programs); /* it was about translated code */
    ck_assert_uint_gt(s.translated, 2 * s.helped);
}

START_TEST(test_jit__random_programs)
{
    narrow = false;
    compare_integers(20000, &(struct jit_config){0});
}
END_TEST

START_TEST(test_jit__random_programs_32)
{
    narrow = true;
    compare_integers(10000, &(struct jit_config){0});
}
END_TEST

/* A guest that rewrites the code it runs, forever: every turn is decoded and translated anew, memory for it is emptied
 * and reused, bookkeeping does not grow. */
START_TEST(test_jit__rewrites_forever)
{
    const char *why = NULL;
    rig_start();
    R.code.size = 2048;
    go_long(0);
    struct jit_config config = {.bytes = 256 * 1024, .threshold = 0, .tlb_entries = 64};
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    struct emit e = {.at = ram(CODE_AT), .end = ram(CODE_AT) + 64};
    emit_op(&e, OP(0xff), 4, 0, rm_reg(H_RCX)); /* inc ecx */
    emit_mov_store(&e, 4, H_RCX, rm_mem(H_RBX, 0));
    i32 imm = (i32)(e.at - ram(CODE_AT)) + 1;
    emit_u8(&e, 0xb8); /* mov eax, imm32 */
    emit_u32(&e, 0);
    emit_op(&e, OP(0x39), 4, H_RCX, rm_reg(H_RAX)); /* cmp eax, ecx */
    emit_u8(&e, 0x0f);
    emit_u8(&e, 0x84); /* je: again */
    emit_u32(&e, (u32)(ram(CODE_AT) - (e.at + 4)));
    emit_u8(&e, 0xeb);
    emit_u8(&e, 0xfe);
    R.cpu.arch.gpr[RBX] = CODE_AT + (u64)imm;
    R.cpu.arch.gpr[RCX] = 0;
    R.cpu.arch.rip = CODE_AT;
    u32 room = 0;
    for (unsigned n = 0; n < 20; n++) {
        (void)cpu_run(CPU, 20000);
        room = n == 4 ? j->block_cap : room;
    }
    ck_assert_uint_gt(R.cpu.arch.gpr[RCX], 79990);
    ck_assert_uint_lt(R.cpu.arch.rip - CODE_AT, (u64)(e.at - ram(CODE_AT) - 2));
    ck_assert_uint_gt(jit_stats(j)->blocks, 70000);
    ck_assert_uint_gt(jit_stats(j)->evictions, 100);
    ck_assert_uint_eq(room, j->block_cap);
    jit_free(j);
    rig_stop();
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit__random_programs);
    tcase_add_test(tc, test_jit__rewrites_forever);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_jit__random_programs_32);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
