/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Translations that run through several blocks, against the interpreter: programs of short blocks that run again and again
 * with other budgets and other registers' bits, so that paths are made, left on every side, faulted in, ended by the
 * count at every op, and written to. */
#include "jit_rig.h"

static unsigned draw_reg(void)
{
    static const u8 regs[] = {0, 1, 2, 6, 7, 8, 9, 10, 11};
    return regs[below(ARRAY_LEN(regs))];
}

/* RBP and R13: near a page's end, or where nothing is. */
static struct host_rm draw_place(void)
{
    switch (below(6)) {
    case 0: return rm_mem(H_RBP, (i32)below(64) - 32);
    case 1: return rm_mem(H_R13, (i32)below(64) - 32);
    case 2: return rm_index(H_RBX, H_R14, below(2), 8 * (i32)below(8));
    default: return rm_mem(H_RBX, 8 * (i32)below(24));
    }
}

static void draw_simple(struct emit *e)
{
    static const u8 sizes[] = {1, 2, 4, 8, 8};
    unsigned size = sizes[below(ARRAY_LEN(sizes))], r = draw_reg();
    switch (below(14)) {
    case 12: emit_op(e, OP_0F(0xaf), 8, r, rm_reg(draw_reg())); break; /* IMUL: flags that count as 0 */
    case 13: /* FLD1; FADD ST, ST(0): FIP */
        emit_u8(e, 0xd9 - below(2));
        emit_u8(e, e->full || e->at[-1] == 0xd9 ? 0xe8 : 0xc0);
        break;
    case 0:
    case 1: emit_mov_load(e, size, r, draw_place()); break;
    case 2: emit_mov_store(e, size, r, draw_place()); break;
    case 3: emit_alu(e, below(8), size, r, draw_place()); break;
    case 4: emit_lea(e, 8, r, rm_mem(r, (i32)below(64))); break;
    case 5: emit_op(e, OP_0F(0x90 | below(16)), 1, 0, rm_reg(r)); break; /* SETcc */
    case 6: emit_shift_imm(e, below(8) == 6 ? HS_SAR : HS_SHL, 8, rm_reg(r), 1 + below(9)); break;
    case 7: emit_op(e, OP(0xff), 8, below(2), rm_reg(r)); break; /* INC, DEC: CF stays */
    case 8: emit_alu_imm(e, below(8), size, rm_reg(r), (i32)below(100)); break;
    case 9: emit_op(e, OP_0F(0x28u + below(2)), 4, below(4), rm_mem(H_RBX, 16 * (i32)below(8))); break; /* MOVAPS */
    case 10: emit_op(e, OP_0F(0x58), 4, below(4), rm_reg(below(4))); break; /* ADDPS */
    default: emit_alu(e, below(8), size, r, rm_reg(draw_reg())); break;
    }
}

/* Whatever comes until a jump is let land: `where` is the byte that holds its distance. */
static void land(struct emit *e, u8 *where)
{
    if (!e->full) {
        *where = (u8)(e->at - (where + 1));
    }
}

static u8 *short_jump(struct emit *e, unsigned op)
{
    emit_u8(e, op);
    emit_u8(e, 0);
    return e->at - 1;
}

static void draw_some(struct emit *e, unsigned most)
{
    for (unsigned n = below(most + 1); n > 0; n--) {
        draw_simple(e);
    }
}

/* call f; jmp over; f: ...; ret; over: */
static void draw_call(struct emit *e)
{
    emit_u8(e, 0xe8);
    emit_u32(e, 2);
    u8 *over = short_jump(e, 0xeb);
    draw_some(e, 3);
    switch (below(8)) {
    case 0: emit_alu_imm(e, HA_ADD, 8, rm_mem(H_RSP, 0), 0); break;
    case 1: /* to behind the RET */
        emit_u8(e, 0xe8);
        emit_u32(e, 0);
        emit_alu_imm(e, HA_ADD, 8, rm_mem(H_RSP, 0), 6);
        break;
    case 2: emit_lea(e, 8, H_RSP, rm_mem(H_RSP, 0)); break;
    default: break;
    }
    emit_u8(e, 0xc3);
    land(e, over);
}

/* A byte of an instruction that comes soon changes. */
static void draw_rewrite(struct emit *e)
{
    emit_op(e, OP(0x88), 1, H_RAX, rm_mem(H_NONE, 0)); /* mov [address], al: the address follows */
    u8 *address = e->at - 4;
    draw_some(e, 2);
    u8 *over = below(2) == 0 ? short_jump(e, 0x70 | below(16)) : NULL;
    emit_mov_const(e, H_RCX, 0x12345678);
    if (!e->full) {
        store_le32(address, CODE_AT + (u32)(e->at - 4 - (e->end - 400)));
    }
    if (over != NULL) {
        land(e, over);
    }
}

static void draw_insn(struct emit *e)
{
    u8 *jump;
    switch (below(10)) {
    case 0:
    case 1:
    case 2: /* over something */
        draw_some(e, 2);
        jump = short_jump(e, 0x70 | below(16));
        draw_some(e, 3);
        land(e, jump);
        break;
    case 3: /* to here and on, by way of there */
        jump = short_jump(e, 0xeb);
        draw_some(e, 2);
        land(e, jump);
        break;
    case 4: /* two ways */
        jump = short_jump(e, 0x70 | below(16));
        draw_some(e, 2);
        {
            u8 *other = short_jump(e, 0xeb);
            land(e, jump);
            draw_some(e, 2);
            land(e, other);
        }
        break;
    case 5:
    case 6: draw_call(e); break;
    case 7:
        if (below(6) == 0) {
            draw_rewrite(e);
        } else if (below(4) == 0) { /* a handler's: PUSHFQ, POPFQ; CMC */
            emit_u8(e, 0x9c);
            emit_u8(e, 0x9d);
        } else {
            emit_u8(e, 0xf5);
        }
        break;
    default: draw_simple(e); break;
    }
}

static void enter(void)
{
    go_long(0);
    R.cpu.arch.cr0 &= ~(u64)(CR0_EM | CR0_TS);
    R.cpu.arch.cr4 |= CR4_OSFXSR;
    cpu_update_mode(CPU);
}

static void draw_pointers(struct program *p)
{
    p->gpr[RBP] = below(12) == 0 ? (u64)0x7fff00000000 : DATA + 4096 - 64 + below(64);
    p->gpr[13] = below(12) == 0 ? (u64)0x8000000000000000 : DATA + 4096 - 100 + below(64);
}

static struct jit_stats compare_paths(unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.config = *config, .enter = enter, .insn = draw_insn, .value = draw,
                                .state = draw_pointers, .most_insns = 12, .most_budget = 90, .again = 7};
    return compare_programs(&t, programs);
}

START_TEST(test_jit_paths__random_programs)
{
    for (u32 threshold = 0; threshold < 4; threshold++) {
        struct jit_stats s = compare_paths(4000, &(struct jit_config){.threshold = threshold});
        ck_assert_uint_gt(s.paths, 4000);
    }
}
END_TEST

START_TEST(test_jit_paths__small_memory)
{
    struct jit_stats s = compare_paths(3000, &(struct jit_config){.threshold = 1, .bytes = KIB(512)});
    ck_assert_uint_gt(s.evictions, 0);
}
END_TEST

START_TEST(test_jit_paths__without_groups)
{
    (void)compare_paths(3000, &(struct jit_config){.threshold = 2, .without = JIT_GROUPS});
}
END_TEST

START_TEST(test_jit_paths__none)
{
    struct jit_stats s = compare_paths(2000, &(struct jit_config){.threshold = 2, .without = JIT_PATHS});
    ck_assert_uint_eq(s.paths, 0);
}
END_TEST

START_TEST(test_jit_paths__lockstep)
{
    struct jit_stats s = compare_paths(2000, &(struct jit_config){.threshold = 2, .lockstep = true});
    ck_assert_uint_gt(s.checked, 2000);
    ck_assert_uint_gt(s.paths, 2000);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_paths");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_jit_paths__random_programs);
    tcase_add_test(tc, test_jit_paths__small_memory);
    tcase_add_test(tc, test_jit_paths__without_groups);
    tcase_add_test(tc, test_jit_paths__none);
    tcase_add_test(tc, test_jit_paths__lockstep);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
