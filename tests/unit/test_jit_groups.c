/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory accesses that share checks in translated code, against the interpreter: many with the same base, bases that
 * change in between, ranges across the end of a page, accesses that a handler makes in their midst (code pages, live
 * tables whose change moves or takes the page away that the group is on), branches whose access is a group's. */
#include "jit_rig.h"

#define TABLE 0x1f0000u /* maps DATA's pages one by one */
#define EDGE 4096

static unsigned draw_reg(void)
{
    static const u8 regs[] = {0, 1, 2, 6, 7, 8, 9, 10, 11};
    return regs[below(ARRAY_LEN(regs))];
}

/* RBX: the page before the edge; RBP, R13: near the edge. */
static struct host_rm draw_place(void)
{
    i32 near_edge = EDGE - 48 + (i32)below(60), inside = 8 * (i32)below(40);
    switch (below(5)) {
    case 0: return rm_mem(H_RBX, inside);
    case 1: return rm_mem(H_RBX, below(4) == 0 ? near_edge : inside);
    case 2: return rm_mem(H_RBP, inside - 200);
    case 3: return rm_mem(H_R13, (i32)below(64) - (below(3) == 0 ? 0 : 80));
    default: return rm_index(H_RBX, H_R14, below(2), inside);
    }
}

static void draw_access(struct emit *e)
{
    static const u8 sizes[] = {1, 2, 4, 8, 8};
    unsigned size = sizes[below(ARRAY_LEN(sizes))];
    struct host_rm rm = draw_place();
    switch (below(6)) {
    case 0:
    case 1: emit_mov_load(e, size, draw_reg(), rm); break;
    case 2: emit_mov_store(e, size, draw_reg(), rm); break;
    case 3: emit_alu(e, below(8), size, draw_reg(), rm); break;
    case 4: emit_op(e, OP((below(8)) << 3 | (size == 1 ? 0u : 1u)), size, draw_reg(), rm); break;
    default: emit_op(e, OP_0F(0x28u + below(2)), 4, below(4), rm_mem(H_RBX, 16 * (i32)below(8) + (below(9) == 0 ? 8 : 0)));
    }
}

/* Bases become something else, mostly by a constant. */
static void move_base(struct emit *e)
{
    unsigned base = below(2) == 0 ? H_RBP : H_R13;
    i32 by = (i32)below(32) - 16;
    switch (below(7)) {
    case 0: emit_alu_imm(e, below(2) == 0 ? HA_ADD : HA_SUB, 8, rm_reg(base), by); break;
    case 1: emit_lea(e, 8, base, rm_mem(base, by)); break;
    case 2: emit_op(e, OP(0xff), 8, below(2), rm_reg(base)); break; /* INC, DEC */
    case 3: emit_lea(e, 8, base, rm_mem(H_RBX, EDGE - 100 + by)); break;
    case 4: emit_op(e, OP(0x87), 8, H_RBP, rm_reg(H_R13)); break; /* XCHG */
    case 5: emit_mov_store(e, 8, H_R13, rm_reg(H_RBP)); break;
    default: emit_alu_imm(e, HA_ADD, 8, rm_reg(H_R14), 8); break;
    }
}

static void draw_stack(struct emit *e)
{
    unsigned r = draw_reg();
    if (below(6) == 0) {
        emit_mov_load(e, 8, r, rm_mem(H_RSP, 8 * (i32)below(6) - 16));
        return;
    }
    if (r >= 8) {
        emit_u8(e, 0x41);
    }
    emit_u8(e, (below(2) == 0 ? 0x50u : 0x58u) | (r & 7));
}

/* A branch to behind itself, through memory or by the stack. */
static void draw_branch(struct emit *e)
{
    unsigned kind = below(4);
    if (kind == 0) { /* call, which only pushes */
        emit_u8(e, 0xe8);
        emit_u32(e, 0);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        emit_u8(e, (u8)"\x48\x8d\x05"[i]); /* lea rax, [rip + ...] */
    }
    emit_u32(e, kind == 1 ? 2 : 7);
    if (kind == 1) {
        emit_u8(e, 0x50); /* push rax; ret */
        emit_u8(e, 0xc3);
        return;
    }
    emit_mov_store(e, 8, H_RAX, rm_mem(H_RBX, 16));
    emit_op(e, OP(0xff), 4, kind == 2 ? 4 : 2, rm_mem(H_RBX, 16)); /* jmp, call */
}

static void draw_insn(struct emit *e)
{
    switch (below(16)) {
    case 0:
    case 1: move_base(e); break;
    case 2:
    case 3:
    case 4: draw_stack(e); break;
    case 5: draw_branch(e); break;
    case 6: /* the table: R12 and R15 are what may stand in it */
        emit_mov_store(e, 8, below(2) == 0 ? H_R12 : H_R15, rm_mem(H_NONE, (i32)(TABLE + 8 * below(2))));
        break;
    case 7: emit_mov_store(e, 1, H_RAX, rm_mem(H_NONE, CODE_AT + 0x700)); break;
    case 8: emit_alu(e, below(8), 8, draw_reg(), rm_reg(draw_reg())); break;
    case 9: emit_op(e, OP_0F(0x90 | below(16)), 1, 0, rm_reg(draw_reg())); break;
    case 10: emit_op(e, OP_0F(0x40 | below(16)), 8, draw_reg(), rm_reg(draw_reg())); break;
    default: draw_access(e); break;
    }
}

static void enter(void)
{
    go_long(0);
    mem_before_ram_write(&R.set, &R.phys, TABLE >> PAGE_SHIFT, 0, PAGE_SIZE);
    mem_before_ram_write(&R.set, &R.phys, (AT_TABLES + 0x2000) >> PAGE_SHIFT, 8, 8);
    for (unsigned i = 0; i < 512; i++) {
        store_le64(ram(TABLE + 8 * i), (DATA + PAGE_SIZE * i) | 7);
    }
    store_le64(ram(AT_TABLES + 0x2008), TABLE | 7);
    R.cpu.arch.cr4 |= CR4_OSFXSR;
    cpu_update_mode(CPU);
}

/* The same page, the other one, not to be written, not there. */
static u64 draw_entry(void)
{
    u64 page = DATA + PAGE_SIZE * below(2);
    return below(5) == 0 ? page | 5 : below(6) == 0 ? page : page | 7 | (below(2) == 0 ? 0x60u : 0u);
}

static void draw_pointers(struct program *p)
{
    p->gpr[RBP] = DATA + EDGE - 8 * below(60);
    p->gpr[13] = DATA + EDGE - 32 + below(64);
    p->gpr[14] = 8 * below(8);
    p->gpr[12] = draw_entry();
    p->gpr[15] = draw_entry();
    p->gpr[RSP] = AT_STACK - 8 * below(5);
}

static void compare_groups(unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.config = *config, .enter = enter, .insn = draw_insn, .value = draw,
                                .state = draw_pointers, .most_insns = 24, .most_budget = 60};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, 3 * programs);
    if ((config->without & JIT_GROUPS) != 0) {
        ck_assert_uint_eq(s.groups, 0);
    } else {
        ck_assert_uint_gt(s.groups, programs);
    }
}

START_TEST(test_jit_groups__random_programs)
{
    compare_groups(30000, &(struct jit_config){0});
}
END_TEST

START_TEST(test_jit_groups__narrow_host)
{
    compare_groups(6000, &(struct jit_config){.hide_avx = true});
}
END_TEST

START_TEST(test_jit_groups__none)
{
    compare_groups(6000, &(struct jit_config){.without = JIT_GROUPS});
}
END_TEST

/* A group's page becomes a live table by an access in the group's midst: the next store must be noticed. */
START_TEST(test_jit_groups__page_becomes_table)
{
    const char *why = NULL;
    rig_start();
    enter();
    struct jit_config config = {.bytes = MIB(1), .threshold = 0, .tlb_entries = 64};
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    struct emit e = {.at = ram(CODE_AT), .end = ram(CODE_AT) + 64};
    emit_mov_store(&e, 8, H_RDX, rm_mem(H_RDI, 64));
    emit_mov_load(&e, 8, H_RCX, rm_mem(H_RSI, 0));
    emit_mov_store(&e, 8, H_RDX, rm_mem(H_RDI, 0));
    emit_u8(&e, 0xeb); /* jmp: the next instruction */
    emit_u8(&e, 0);
    emit_mov_load(&e, 8, H_RAX, rm_mem(H_RSI, 0));
    emit_u8(&e, 0xeb); /* jmp . */
    emit_u8(&e, 0xfe);
    store_le64(ram(DATA), 1111);
    store_le64(ram(DATA + PAGE_SIZE), 2222);
    for (unsigned turn = 0; turn < 2; turn++) {
        R.cpu.arch.gpr[RDI] = TABLE;
        R.cpu.arch.gpr[RDX] = turn == 0 ? DATA | 7 : (DATA + PAGE_SIZE) | 7;
        R.cpu.arch.gpr[RSI] = turn == 0 ? AT_STACK : DATA; /* the first turn walks through no entry of TABLE */
        R.cpu.arch.rip = CODE_AT;
        (void)cpu_run(CPU, 8);
    }
    ck_assert_uint_gt(jit_stats(j)->groups, 0);
    ck_assert_uint_eq(R.cpu.arch.gpr[RCX], 1111);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 2222);
    jit_free(j);
    rig_stop();
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_groups");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_jit_groups__random_programs);
    tcase_add_test(tc, test_jit_groups__narrow_host);
    tcase_add_test(tc, test_jit_groups__none);
    tcase_add_test(tc, test_jit_groups__page_becomes_table);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
