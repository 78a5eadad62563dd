/* SPDX-License-Identifier: GPL-3.0-or-later */
/* General integer instructions beyond register arithmetic: decimal adjustments, memory operands, the
 * stack, branches, strings. */
#include "exec_rig.h"
#include "unit.h"

static u64 mem64(u64 lin)
{
    return load_le64(memory + (lin - GUEST));
}

static void put64(u64 lin, u64 v)
{
    store_le64(memory + (lin - GUEST), v);
}

/* A memory operand [base + disp]. */
static struct insn make_mem(unsigned size, unsigned r0, unsigned r1, unsigned base, i32 disp)
{
    struct insn in = make(size, r0, r1, OPR_NONE, 0);
    in.base = (u8)base;
    in.disp = disp;
    in.id = (u16)(__builtin_ctz(size) << 12);
    return in;
}

static void assert_fault(cpu_rc rc, unsigned vector)
{
    ck_assert_int_eq(rc, CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, vector);
}

START_TEST(exec_shapes__bcd)
{
    set_up();
    struct insn in = make(1, OPR_IMM, OPR_NONE, OPR_NONE, 10);
    /* 79 + 35 = 114 packed. */
    cpu.arch.gpr[RAX] = 0x79 + 0x35;
    flags_add(&cpu, 1, 0x79, 0x35, 0x79 + 0x35);
    ck_assert(exec_daa(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x14);
    ck_assert(flag_cf(&cpu) && flag_af(&cpu));
    /* 35 - 47 = -12: 88 and a borrow. */
    cpu.arch.gpr[RAX] = (u8)(0x35 - 0x47);
    flags_sub(&cpu, 1, 0x35, 0x47, (u64)0x35 - 0x47);
    ck_assert(exec_das(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x88);
    ck_assert(flag_cf(&cpu));
    cpu.arch.gpr[RAX] = 0x020f;
    flags_set_arith(&cpu, 0);
    ck_assert(exec_aaa(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0305);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_AF | RFLAGS_CF);
    cpu.arch.gpr[RAX] = 0x02f9;
    flags_set_arith(&cpu, RFLAGS_AF);
    ck_assert(exec_aas(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0103);
    cpu.arch.gpr[RAX] = 0x1234u + 99 - 0x34;
    ck_assert(exec_aam(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0909);
    ck_assert(exec_aad(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 99);
    in.imm = 0;
    assert_fault(exec_aam(&cpu, &in), VEC_DE);
}
END_TEST

/* A register bit offset reaches memory before and after the operand. */
START_TEST(exec_shapes__bit_strings)
{
    set_up();
    struct insn in = make_mem(8, OPR_MEM, RBX, RSI, 0);
    cpu.arch.gpr[RSI] = GUEST + 128;
    cpu.arch.gpr[RBX] = (u64)-130;
    ck_assert(exec_bts(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 128 - 24), (u64)1 << 62);
    in = make_mem(2, OPR_MEM, RBX, RSI, 4);
    cpu.arch.gpr[RBX] = 0xffff0021; /* 33 as a 16-bit offset */
    ck_assert(exec_bts(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(memory[128 + 4 + 4], 2);
    ck_assert(exec_btr(&cpu, &in) == CPU_OK);
    ck_assert(flag_cf(&cpu));
    ck_assert_uint_eq(memory[128 + 4 + 4], 0);
    in = make_mem(4, OPR_MEM, OPR_IMM, RSI, 8); /* an immediate stays in the operand */
    in.imm = 35;
    ck_assert(exec_btc(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(memory[128 + 8], 8);
}
END_TEST

START_TEST(exec_shapes__cmpxchg_wide)
{
    set_up();
    struct insn in = make_mem(8, OPR_MEM, OPR_NONE, RSI, 0);
    u64 *g = cpu.arch.gpr;
    g[RSI] = GUEST + 32;
    put64(GUEST + 32, 0x1111111122222222);
    g[RDX] = 0x11111111;
    g[RAX] = 0xdead000022222222;
    g[RCX] = 0x33333333;
    g[RBX] = 0x44444444;
    flags_set_arith(&cpu, RFLAGS_ARITH & ~RFLAGS_ZF);
    ck_assert(exec_cmpxchg8b(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 32), 0x3333333344444444);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_ARITH);
    ck_assert(exec_cmpxchg8b(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RAX], 0x44444444);
    ck_assert_uint_eq(g[RDX], 0x33333333);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_ARITH & ~RFLAGS_ZF);
    g[RSI] = GUEST + 8;
    assert_fault(exec_cmpxchg16b(&cpu, &in), VEC_GP);
}
END_TEST

START_TEST(exec_shapes__stack)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    g[RSP] = GUEST + 256;
    g[RAX] = 0x1234;
    struct insn in = make(8, RAX, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], GUEST + 248);
    in = make(8, RSP, OPR_NONE, OPR_NONE, 0); /* the old value goes onto the stack */
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 240), GUEST + 248);
    ck_assert(exec_pop(&cpu, &in) == CPU_OK); /* POP RSP */
    ck_assert_uint_eq(g[RSP], GUEST + 248);
    in = make_mem(8, OPR_MEM, OPR_NONE, RSP, 16); /* address after the increment */
    ck_assert(exec_pop(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 272), 0x1234);
    /* A fault of the destination leaves RSP. */
    in = make_mem(8, OPR_MEM, OPR_NONE, RBX, 0);
    g[RBX] = NOWHERE;
    assert_fault(exec_pop(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RSP], GUEST + 256);
    /* LEAVE */
    g[RBP] = GUEST + 512;
    put64(GUEST + 512, 77);
    in = make(8, OPR_NONE, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_leave(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], GUEST + 520);
    ck_assert_uint_eq(g[RBP], 77);
    g[RSP] = NOWHERE;
    assert_fault(exec_push(&cpu, &(struct insn){.osz = 8, .r = {RAX}}), VEC_SS);
}
END_TEST

/* The stack pointer of a 16-bit stack wraps and keeps its upper bits; 16-bit pushes. */
START_TEST(exec_shapes__stack16)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    g[RSP] = 0x70000100;
    g[RAX] = 0xa5a5;
    struct insn in = make(2, RAX, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], 0x700000fe);
    ck_assert_uint_eq(load_le16(memory + 0xfe), 0xa5a5);
}
END_TEST

static bool of_after(cpu_rc (*exec)(struct cpu *, const struct insn *), const struct insn *in, bool of)
{
    cpu.arch.gpr[RAX] = 0x41; /* the first step to the left changes the sign, the third does not */
    cpu.arch.gpr[RCX] = in->osz == 1 && exec == exec_rcl ? 9 : 3;
    cpu_set_rflags(&cpu, RFLAGS_ONE | (of ? RFLAGS_OF : 0u));
    ck_assert(exec(&cpu, in) == CPU_OK);
    return (cpu_rflags(&cpu) & RFLAGS_OF) != 0;
}

/* OF of rotates by more than one: by vendor; Intel's keep it in two cases. */
START_TEST(exec_shapes__rotate_overflow)
{
    set_up();
    struct insn by_cl = make(1, RAX, RCX, OPR_NONE, 0), by_imm = make(1, RAX, OPR_IMM, OPR_NONE, 3);
    for (unsigned of = 0; of < 2; of++) {
        model.vendor = CPU_VENDOR_INTEL;
        ck_assert(of_after(exec_rol, &by_cl, of != 0));
        ck_assert(of_after(exec_shl, &by_imm, of != 0));
        ck_assert(of_after(exec_rol, &by_imm, of != 0) == (of != 0));
        ck_assert(of_after(exec_rcl, &by_cl, of != 0) == (of != 0)); /* round whole */
        model.vendor = CPU_VENDOR_AMD;
        ck_assert(!of_after(exec_rol, &by_cl, of != 0));
        ck_assert(!of_after(exec_shl, &by_imm, of != 0));
        ck_assert(!of_after(exec_rol, &by_imm, of != 0));
    }
}
END_TEST

/* ENTER: level 2 copies one frame pointer and pushes its own; the final RSP is tried for writing. What
 * was pushed before a fault stays, RSP and RBP do not move. */
START_TEST(exec_shapes__enter)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    g[RSP] = GUEST + 256;
    g[RBP] = GUEST + 512;
    put64(GUEST + 504, 55);
    struct insn in = make(8, OPR_NONE, OPR_NONE, OPR_NONE, (u64)2 << 32 | 16);
    ck_assert(exec_enter(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 248), GUEST + 512);
    ck_assert_uint_eq(mem64(GUEST + 240), 55);
    ck_assert_uint_eq(mem64(GUEST + 232), GUEST + 248);
    ck_assert_uint_eq(g[RBP], GUEST + 248);
    ck_assert_uint_eq(g[RSP], GUEST + 232 - 16);

    set_up();
    set_real();
    cpu.d.seg_wend[SEG_SS] = cpu.d.seg_rend[SEG_SS] = 0x200;
    cpu.arch.seg[SEG_SS].limit = 0x1ff;
    g[RSP] = 0x100;
    g[RBP] = 0x5678;
    in = make(2, OPR_NONE, OPR_NONE, OPR_NONE, 0xf000); /* to 10feh, beyond the limit */
    assert_fault(exec_enter(&cpu, &in), VEC_SS);
    ck_assert_uint_eq(load_le16(memory + 0xfe), 0x5678);
    ck_assert_uint_eq(g[RSP], 0x100);
    ck_assert_uint_eq(g[RBP], 0x5678);
}
END_TEST

START_TEST(exec_shapes__branches)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make(8, OPR_REL, OPR_NONE, OPR_NONE, (u64)-0x10);
    cpu.arch.cc_res = 0;
    ck_assert(exec_jz(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x400000 + 4 - 0x10);
    ck_assert(exec_jnz(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x400000 + 8 - 0x10);
    /* Not canonical: #GP(0), nothing pushed, nothing counted. */
    cpu.arch.rip = 0x7ffffffffff0;
    in.imm = 0x40;
    g[RSP] = GUEST + 64;
    assert_fault(exec_call(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RSP], GUEST + 64);
    g[RCX] = 5;
    assert_fault(exec_loop(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RCX], 5);
    /* CALL and RET imm16. */
    cpu.arch.rip = 0x1000;
    ck_assert(exec_call(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x1044);
    ck_assert_uint_eq(mem64(GUEST + 56), 0x1004);
    in = make(8, OPR_IMM, OPR_NONE, OPR_NONE, 16);
    ck_assert(exec_ret(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x1004);
    ck_assert_uint_eq(g[RSP], GUEST + 80);
    /* 16-bit code truncates; the CS limit binds. */
    set_real();
    in = make(2, OPR_REL, OPR_NONE, OPR_NONE, 0x20);
    cpu.arch.rip = 0xfff0;
    ck_assert(exec_jmp(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x14);
    in.osz = 4;
    cpu.arch.rip = 0xfff0;
    assert_fault(exec_jmp(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(cpu.arch.rip, 0xfff0);
}
END_TEST

/* ---- Strings ---- */

static struct insn make_string(unsigned size, unsigned asize_log, unsigned prefixes)
{
    struct insn in = make(size, OPR_NONE, OPR_NONE, OPR_NONE, 0);
    in.len = 2;
    in.sib = (u8)(SEG_DS << 2 | (asize_log - 1) << 5);
    in.pfx = (u8)prefixes;
    return in;
}

/* Run to completion; returns the number of chunks. */
static unsigned finish(exec_fn *exec, const struct insn *in)
{
    unsigned chunks = 0;
    u64 rip = cpu.arch.rip;
    while (cpu.arch.rip == rip) {
        ck_assert(exec(&cpu, in) == CPU_OK);
        chunks++;
        ck_assert_uint_lt(chunks, 20000);
    }
    return chunks;
}

/* Random REP MOVS and STOS, both directions, overlapping: as a loop over bytes of the definition. */
START_TEST(exec_shapes__string_random)
{
    set_up();
    static u8 expect[sizeof memory];
    for (unsigned round = 0; round < 4000; round++) {
        unsigned size = 1u << (random64() & 3);
        u64 count = random64() % (round % 8 == 0 ? 600 : 20), span = count * size;
        bool down = (random64() & 1) != 0, stos = (random64() & 1) != 0;
        u64 room = sizeof memory - span - 8, src = random64() % room;
        u64 dst = (random64() & 1) != 0 ? random64() % room : (src + random64() % 16) % room;
        for (size_t i = 0; i < sizeof memory; i += 8) {
            put64(GUEST + i, random64());
        }
        memcpy(expect, memory, sizeof memory);
        u64 *g = cpu.arch.gpr;
        g[RAX] = random64();
        u64 first = down && count > 0 ? (count - 1) * size : 0;
        g[RSI] = GUEST + src + first;
        g[RDI] = GUEST + dst + first;
        g[RCX] = count;
        cpu.arch.rflags = RFLAGS_ONE | (down ? RFLAGS_DF : 0u);
        cpu.arch.rip = 0x1000;
        u64 s = src + first, d = dst + first, step = down ? 0 - (u64)size : size;
        for (u64 i = 0; i < count; i++, s += step, d += step) {
            u64 v = stos ? g[RAX] : load_le(expect + s, size);
            store_le(expect + d, v, size);
        }
        struct insn in = make_string(size, 3, PFX_REP);
        finish(stos ? exec_stos : exec_movs, &in);
        ck_assert(memcmp(expect, memory, sizeof memory) == 0);
        ck_assert_uint_eq(g[RCX], 0);
        ck_assert_uint_eq(g[RDI], GUEST + d);
        ck_assert_uint_eq(g[RSI], stos ? GUEST + src + first : GUEST + s);
        ck_assert_uint_eq(cpu.arch.rip, 0x1002);
    }
}
END_TEST

/* Chunks end at page boundaries; one count per 64 bytes; one iteration with TF. */
START_TEST(exec_shapes__string_chunks)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make_string(8, 3, PFX_REP);
    g[RDI] = GUEST + 4096 - 100;
    g[RCX] = 512;
    cpu.d.left = 1000;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RCX], 512 - 12);
    ck_assert_int_eq(cpu.d.left, 1000 - 1);
    ck_assert_uint_eq(finish(exec_stos, &in), 2); /* the element across the boundary; the rest */
    ck_assert_int_eq(cpu.d.left, 1000 - 1 - 62);
    cpu.arch.rip = 0x1000;
    cpu.arch.rflags |= RFLAGS_TF;
    g[RDI] = GUEST;
    g[RCX] = 5;
    ck_assert_uint_eq(finish(exec_stos, &in), 5);
}
END_TEST

START_TEST(exec_shapes__string_compare)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make_string(1, 3, PFX_REPNE);
    memory[300] = 7;
    g[RAX] = 7;
    g[RDI] = GUEST;
    g[RCX] = 1000;
    finish(exec_scas, &in);
    ck_assert_uint_eq(g[RDI], GUEST + 301);
    ck_assert_uint_eq(g[RCX], 1000 - 301);
    ck_assert(flag_zf(&cpu));
    in = make_string(4, 3, PFX_REP);
    cpu.arch.rip = 0x1000;
    g[RSI] = GUEST;
    g[RDI] = GUEST + 4096;
    g[RCX] = 2000;
    finish(exec_cmps, &in);
    ck_assert_uint_eq(g[RSI], GUEST + 304);
    ck_assert(!flag_zf(&cpu) && !flag_cf(&cpu));
    ck_assert_uint_eq(g[RCX], 2000 - 76);
    g[RCX] = 0; /* a count of 0 leaves the flags */
    cpu.arch.rip = 0x1000;
    finish(exec_cmps, &in);
    ck_assert(!flag_zf(&cpu));
}
END_TEST

/* A fault in the middle leaves exact registers. */
START_TEST(exec_shapes__string_fault)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    cpu.d.seg_wend[SEG_ES] = 0x200;
    cpu.arch.seg[SEG_ES].limit = 0x1ff;
    struct insn in = make_string(2, 1, PFX_REP);
    g[RDI] = 0xffff0000 + 0x1f0;
    g[RCX] = 0x70000000 + 100;
    g[RAX] = 0xbeef;
    ck_assert(exec_stos(&cpu, &in) == CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, VEC_GP);
    ck_assert_uint_eq(g[RDI], 0xffff0000 + 0x200);
    ck_assert_uint_eq(g[RCX], 0x70000000 + 92);
    ck_assert_uint_eq(load_le16(memory + 0x1fe), 0xbeef);
    ck_assert_uint_eq(load_le16(memory + 0x200), 0);
}
END_TEST

/* A 16-bit pointer wraps. */
START_TEST(exec_shapes__string_wrap)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    cpu.d.seg_base[SEG_ES] = GUEST - 0xf000; /* offsets 0xf000.. are the first page */
    struct insn in = make_string(1, 1, 0);
    g[RDI] = 0xffff;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RDI], 0);
    cpu.arch.rflags |= RFLAGS_DF;
    g[RDI] = 0x12340000u;
    cpu.d.seg_base[SEG_ES] = GUEST;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RDI], 0x1234ffff);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_shapes");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, exec_shapes__bcd);
    tcase_add_test(tc, exec_shapes__bit_strings);
    tcase_add_test(tc, exec_shapes__cmpxchg_wide);
    tcase_add_test(tc, exec_shapes__stack);
    tcase_add_test(tc, exec_shapes__stack16);
    tcase_add_test(tc, exec_shapes__enter);
    tcase_add_test(tc, exec_shapes__rotate_overflow);

    tcase_add_test(tc, exec_shapes__branches);
    tcase_add_test(tc, exec_shapes__string_random);
    tcase_add_test(tc, exec_shapes__string_chunks);
    tcase_add_test(tc, exec_shapes__string_compare);
    tcase_add_test(tc, exec_shapes__string_fault);
    tcase_add_test(tc, exec_shapes__string_wrap);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
