/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks that jump to their own start, translated, against the interpreter: accesses that move by a constant, by a
 * register, backwards, not at all or anyhow; in 64-bit and 32-bit arithmetic; across the ends of pages; onto pages that
 * hold the code, or tables that the loop itself changes; with counts that end anywhere in any turn, and pages that are
 * not there, so that faults come in the midst of a strip. */
#include "jit_rig.h"

#define TABLE 0x1f0000u /* maps what follows, page by page: DATA's two again and again */
#define FIELD (DATA + 0x100000u)

/* RBX: the first page. RSI: somewhere in it, which moves; RDI: in the second, backwards; R8: the step; RBP, R13 (in
 * memory): like RSI. RCX: the number of turns; RAX: an index in 32 bits, R9 one in 64. */
static const u8 data_regs[] = {RDX, 10, 11, 12};

static bool branches; /* do programs have some in the midst? */

static unsigned draw_reg(void)
{
    return data_regs[below(ARRAY_LEN(data_regs))];
}

static struct host_rm draw_place(void)
{
    i32 near = (i32)below(64) - 16;
    switch (below(11)) {
    case 0: return rm_mem(H_RBX, 8 * (i32)below(64));
    case 1: return rm_index(H_RBX, H_RAX, below(4), near + 16);
    case 2: return rm_index(H_RBX, H_R9, below(4), near + 16);
    case 3: return rm_mem(H_RSI, near);
    case 4: return rm_mem(H_RDI, near);
    case 5: return rm_mem(H_RBP, near);
    case 6: return rm_mem(H_R13, near);
    case 7: return rm_index(H_RSI, H_R9, 0, near);
    case 8: return rm_index(H_R13, H_RAX, below(2), near);
    case 9: return rm_mem(H_NONE, (i32)FIELD + 8 * (i32)below(1000));
    default: return rm_index(H_RBX, H_RDX, 0, near + 16); /* RDX: anything, but kept small by draw_insn */
    }
}

static void draw_access(struct emit *e)
{
    static const u8 sizes[] = {1, 2, 4, 8, 8};
    unsigned size = sizes[below(ARRAY_LEN(sizes))];
    struct host_rm rm = draw_place();
    switch (below(8)) {
    case 0:
    case 1: emit_mov_load(e, size, draw_reg(), rm); break;
    case 2: emit_mov_store(e, size, draw_reg(), rm); break;
    case 3: emit_alu(e, below(8), size, draw_reg(), rm); break;
    case 4: emit_op(e, OP((below(8)) << 3 | (size == 1 ? 0u : 1u)), size, draw_reg(), rm); break;
    case 5: emit_op(e, OP_0F(0x28u + below(2)), 4, below(4), rm_mem(below(2) == 0 ? H_RBX : H_RSI, 16 * (i32)below(8))); break;
    case 6: emit_op(e, OP_0F(0x58) | OP_PREFIX(below(2) == 0 ? 0xf2 : 0xf3), 4, below(4), rm); break;
    default: emit_op(e, OP(0xdd), 4, below(2) == 0 ? 0 : 3, rm); break; /* FLD, FSTP */
    }
}

static void draw_move(struct emit *e)
{
    i32 by = below(3) == 0 ? (i32)below(300) : 1 << below(5);
    switch (below(12)) {
    case 0:
    case 1: emit_alu_imm(e, HA_ADD, 8, rm_reg(H_RSI), below(3) == 0 ? by : 16 << below(3)); break;
    case 2: emit_alu_imm(e, below(2) == 0 ? HA_ADD : HA_SUB, 8, rm_reg(below(2) == 0 ? H_RBP : H_R13), by); break;
    case 3: emit_alu_imm(e, HA_SUB, 8, rm_reg(H_RDI), by); break;
    case 4: emit_alu_imm(e, HA_ADD, below(2) == 0 ? 4 : 8, rm_reg(H_RAX), by); break;
    case 5: emit_op(e, OP(0x01), below(2) == 0 ? 4 : 8, H_R8, rm_reg(below(2) == 0 ? H_RAX : H_RSI)); break;
    case 6: emit_op(e, OP(0x03), 8, H_R9, rm_reg(H_R8)); break;
    case 7: emit_op(e, OP(0xff), below(2) == 0 ? 4 : 8, below(2), rm_reg(below(2) == 0 ? H_R9 : H_RAX)); break;
    case 8: emit_lea(e, 8, H_RSI, rm_mem(H_RSI, by)); break;
    case 9: emit_mov_load(e, below(2) == 0 ? 4 : 8, H_R9, rm_reg(H_RAX)); break;
    case 10: emit_alu_imm(e, HA_SUB, 4, rm_reg(H_RAX), by); break;
    default: emit_op(e, OP(0x87), 8, H_RBP, rm_reg(H_R13)); break; /* XCHG */
    }
}

static void draw_insn(struct emit *e);

/* A jump over one instruction, or out of the loop: the program's end stands still. */
static void draw_branch(struct emit *e)
{
    u8 over[64];
    struct emit draft = {.at = over, .end = over + sizeof over};
    draw_insn(&draft);
    size_t size = (size_t)(draft.at - over);
    if (below(5) == 0) {
        emit_op(e, OP(0x85), 4, H_RDX, rm_reg(H_RDX)); /* test */
    }
    emit_u8(e, 0x70 | below(16));
    emit_u8(e, (u8)size);
    for (size_t i = 0; i < size; i++) {
        emit_u8(e, over[i]);
    }
}

static void draw_insn(struct emit *e)
{
    if (branches && below(8) == 0) {
        branches = false; /* not within */
        draw_branch(e);
        branches = true;
        return;
    }
    switch (below(17)) {
    case 0:
    case 1:
    case 2:
    case 3: draw_move(e); break;
    case 16: /* FXCH, FLD1, FADD */
        emit_u8(e, below(3) == 0 ? 0xd8 : 0xd9);
        emit_u8(e, e->at[-1] == 0xd8 ? 0xc1 : below(2) == 0 ? 0xc9 : 0xe8);
        break;
    case 4: emit_alu_imm(e, HA_AND, 4, rm_reg(H_RDX), 0x1ff); break;
    case 5: emit_alu(e, below(8), 8, draw_reg(), rm_reg(draw_reg())); break;
    case 6: emit_op(e, OP_0F(0x90 | below(16)), 1, 0, rm_reg(draw_reg())); break;
    case 7: emit_op(e, OP_0F(0x40 | below(16)), 8, draw_reg(), rm_reg(draw_reg())); break;
    case 8: emit_shift_imm(e, below(2) == 0 ? HS_SHL : HS_SHR, 8, rm_reg(draw_reg()), 1 + below(9)); break;
    case 9:
        if (below(8) == 0) { /* the table: R14 and R15 are what may stand in it */
            emit_mov_store(e, 8, below(2) == 0 ? H_R14 : H_R15, rm_mem(H_NONE, (i32)(TABLE + 8 * (256 + below(2)))));
        } else if (below(8) == 0) { /* the code's page */
            emit_mov_store(e, 1, H_RAX, rm_mem(H_NONE, CODE_AT + 0x700));
        }
        break;
    default: draw_access(e); break;
    }
}

/* Counting down, up to a limit, or as any flag says. */
static void draw_end(struct emit *e, const u8 *start)
{
    unsigned cc = 5;
    switch (below(6)) {
    case 0: emit_op(e, OP(0xff), 8, 1, rm_reg(H_RCX)); break; /* DEC */
    case 1:
        emit_alu(e, HA_CMP, 8, H_RSI, rm_reg(H_RDI));
        cc = 2;
        break;
    case 2:
        emit_alu_imm(e, HA_CMP, 4, rm_reg(H_RAX), 1000);
        cc = 6;
        break;
    case 3: emit_op(e, OP(0x85), 4, H_RAX, rm_reg(H_RAX)), cc = below(16); break; /* TEST */
    default: emit_alu_imm(e, HA_SUB, 8, rm_reg(H_RCX), 1); break;
    }
    if (below(8) == 0) {
        draw_insn(e);
        cc = below(16);
    }
    emit_u8(e, 0x0f);
    emit_u8(e, 0x80 | cc);
    emit_u32(e, (u32)(start - (e->at + 4)));
}

/* One page of the program's is perhaps not there, or cannot be written. */
static unsigned odd_page = 256;
static u64 odd_entry = DATA | 7;

static void enter(void)
{
    go_long(0);
    mem_before_ram_write(&R.set, &R.phys, TABLE >> PAGE_SHIFT, 0, PAGE_SIZE);
    mem_before_ram_write(&R.set, &R.phys, (AT_TABLES + 0x2000) >> PAGE_SHIFT, 8, 8);
    for (unsigned i = 0; i < 512; i++) {
        store_le64(ram(TABLE + 8 * i), (DATA + PAGE_SIZE * (i & 1)) | 7);
    }
    store_le64(ram(TABLE + 8 * odd_page), odd_entry);
    store_le64(ram(AT_TABLES + 0x2008), TABLE | 7);
    R.cpu.arch.cr4 |= CR4_OSFXSR;
    cpu_update_mode(CPU);
}

static u64 draw_entry(void)
{
    u64 page = DATA + PAGE_SIZE * below(2);
    return below(5) == 0 ? page | 5 : below(6) == 0 ? page : page | 7 | (below(2) == 0 ? 0x60u : 0u);
}

static void draw_pointers(struct program *p)
{
    p->gpr[RBX] = FIELD;
    p->gpr[RSI] = FIELD + 16 * below(300) + (below(8) == 0 ? 8 : 0);
    p->gpr[RDI] = FIELD + 8 * below(1000);
    p->gpr[RBP] = FIELD + 64 + 8 * below(900);
    p->gpr[13] = FIELD + 64 + below(4096);
    p->gpr[8] = below(8) == 0 ? draw() : 1 + below(below(4) == 0 ? 1500 : 40);
    p->gpr[9] = below(8) == 0 ? draw() : below(500);
    p->gpr[RAX] = below(8) == 0 ? draw() : below(16) == 0 ? 0xffffff00u + below(256) : below(500);
    p->gpr[RCX] = 1 + below(below(3) == 0 ? 600 : 20);
    p->gpr[RDX] = below(512);
    if (below(10) == 0) { /* an index that 32-bit arithmetic soon wraps */
        p->gpr[RAX] = 0xffffff00u + below(256);
        p->gpr[RBX] -= 0xffffff00u;
        p->gpr[13] -= 0xffffff00u;
    }
    p->gpr[14] = draw_entry();
    p->gpr[15] = draw_entry();
    odd_page = 256 + below(3);
    odd_entry = (DATA + PAGE_SIZE * (odd_page & 1)) | (below(6) != 0 ? 7u : below(2) == 0 ? 5u : 0u);
}


static void compare_loops(unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.config = *config, .enter = enter, .insn = draw_insn, .end = draw_end, .value = draw,
                                .state = draw_pointers, .most_insns = 12, .most_budget = 3000};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, 20 * programs);
    if ((config->without & JIT_LOOPS) != 0) {
        ck_assert_uint_eq(s.loops, 0);
    } else {
        ck_assert_uint_gt(s.loops, programs / 4);
        ck_assert(!branches || s.paths > programs / 10);
    }
}

START_TEST(test_jit_loops__random_programs)
{
    compare_loops(20000, &(struct jit_config){0});
}
END_TEST

START_TEST(test_jit_loops__narrow_host)
{
    compare_loops(5000, &(struct jit_config){.hide_avx = true, .without = JIT_GROUPS});
}
END_TEST

/* Through several blocks. */
START_TEST(test_jit_loops__paths)
{
    branches = true;
    compare_loops(20000, &(struct jit_config){.threshold = 1});
    branches = false;
}
END_TEST

START_TEST(test_jit_loops__paths_lockstep)
{
    branches = true;
    compare_loops(3000, &(struct jit_config){.threshold = 1, .lockstep = true});
    branches = false;
}
END_TEST

START_TEST(test_jit_loops__none)
{
    compare_loops(3000, &(struct jit_config){.without = JIT_LOOPS});
}
END_TEST

START_TEST(test_jit_loops__lockstep)
{
    compare_loops(3000, &(struct jit_config){.lockstep = true});
}
END_TEST

/* A loop may be left after any number of counts. */
START_TEST(test_jit_loops__every_count)
{
    static struct program p;
    static struct outcome want, got;
    const char *why = NULL;
    const struct jit_trial t = {.enter = enter};
    rig_start();
    enter();
    struct jit_config config = {.bytes = MIB(1), .tlb_entries = 64};
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    struct cpu_engine engine = R.cpu.engine;
    struct emit e = {.at = p.code, .end = p.code + 64};
    emit_alu(&e, HA_ADD, 8, H_RDX, rm_mem(H_RSI, 0));
    emit_mov_store(&e, 8, H_RDX, rm_index(H_RBX, H_RAX, 3, 0));
    emit_alu_imm(&e, HA_ADD, 8, rm_reg(H_RSI), 24);
    emit_op(&e, OP_0F(0x92), 1, 0, rm_reg(10)); /* setb */
    emit_alu_imm(&e, HA_ADD, 4, rm_reg(H_RAX), 1);
    emit_alu_imm(&e, HA_CMP, 4, rm_reg(H_RAX), 600);
    emit_u8(&e, 0x75);
    emit_u8(&e, (u8)(p.code - (e.at + 1)));
    emit_u8(&e, 0xeb);
    emit_u8(&e, 0xfe);
    p.gpr[RBX] = DATA;
    p.gpr[RSI] = DATA + 8;
    p.fpu.fcw = 0x37f;
    p.mxcsr = MXCSR_INIT;
    for (p.budget = 1; p.budget < 2500; p.budget += p.budget < 200 ? 1 : 37) {
        R.cpu.engine = (struct cpu_engine){0};
        run_program(&t, &p, &want);
        R.cpu.engine = engine;
        run_program(&t, &p, &got);
        const char *what = difference(&want, &got);
        ck_assert_msg(what == NULL, "%llu counts: %s", (unsigned long long)p.budget, what);
    }
    ck_assert_uint_gt(jit_stats(j)->loops, 0);
    jit_free(j);
    rig_stop();
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_loops");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_jit_loops__random_programs);
    tcase_add_test(tc, test_jit_loops__narrow_host);
    tcase_add_test(tc, test_jit_loops__paths);
    tcase_add_test(tc, test_jit_loops__paths_lockstep);
    tcase_add_test(tc, test_jit_loops__none);
    tcase_add_test(tc, test_jit_loops__lockstep);
    tcase_add_test(tc, test_jit_loops__every_count);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
