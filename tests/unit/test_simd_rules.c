/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules of vector instructions that no host has to confirm: what happens on the way to a fault, what
 * depends on the mode, what only AMD's processors have. */
#include "tests/unit/simd_rig.h"
#include "unit.h"

static void setup_cpu(void)
{
    static u8 memory[2 * PAGE] __attribute__((aligned(4096)));
    struct native_state s;
    page = memory;
    random_state(&s);
    cpu_from_native(&s);
}

#define NO_MEMORY .base = REG_NONE, .index = REG_NONE, .sib = SEG_DS << 2 | 2 << 5
#define XMM_OPERAND(n) (u8)(OPR_VEC + (n))

static u64 xmm_low(unsigned n)
{
    return load_le64(cpu.arch.vec[n]);
}

/* SSE4A: length and index from immediates and from a register; length 0 is 64. */
START_TEST(test_simd_rules__sse4a_fields)
{
    setup_cpu();
    u8 old[32];
    store_le64(cpu.arch.vec[1], 0x123456789abcdef0);
    memcpy(old, cpu.arch.vec[1], sizeof old);
    struct insn in = {.r = {XMM_OPERAND(1), OPR_IMM, OPR_NONE, OPR_NONE}, NO_MEMORY};
    in.imm = 12 | BIT(32) * 20;
    ck_assert_int_eq(exec_extrq(&cpu, &in), CPU_OK);
    ck_assert_uint_eq(xmm_low(1), 0x9ab);
    ck_assert_mem_eq(cpu.arch.vec[1] + 8, old + 8, 24);
    in.imm = 0;
    ck_assert_int_eq(exec_extrq(&cpu, &in), CPU_OK);
    ck_assert_uint_eq(xmm_low(1), 0x9ab);
    in.r[1] = XMM_OPERAND(2);
    store_le64(cpu.arch.vec[2], 0xffff0000u | 4 << 8 | 4);
    ck_assert_int_eq(exec_extrq(&cpu, &in), CPU_OK);
    ck_assert_uint_eq(xmm_low(1), 0xa);

    store_le64(cpu.arch.vec[3], 0x1111111111111111);
    store_le64(cpu.arch.vec[4], 0xabcdef);
    struct insn insert = {.r = {XMM_OPERAND(3), XMM_OPERAND(4), OPR_IMM, OPR_NONE}, NO_MEMORY};
    insert.imm = 16 | BIT(32) * 8;
    ck_assert_int_eq(exec_insertq(&cpu, &insert), CPU_OK);
    ck_assert_uint_eq(xmm_low(3), 0x1111111111cdef11);
    insert.r[2] = OPR_NONE;
    store_le64(cpu.arch.vec[4] + 8, 60u << 8 | 4);
    ck_assert_int_eq(exec_insertq(&cpu, &insert), CPU_OK);
    ck_assert_uint_eq(xmm_low(3), 0xf111111111cdef11);
}
END_TEST

/* Outside 64-bit mode VZEROALL and VZEROUPPER reach registers 0-7 only. */
START_TEST(test_simd_rules__vzero_reaches_the_modes_registers)
{
    static const u8 zero[32];
    setup_cpu();
    memset(cpu.arch.vec, 0x55, sizeof cpu.arch.vec);
    struct insn in = {.pfx = PFX_VEX, NO_MEMORY};
    cpu.d.code64 = false;
    ck_assert_int_eq(exec_vzeroupper(&cpu, &in), CPU_OK);
    ck_assert_mem_eq(cpu.arch.vec[7] + 16, zero, 16);
    ck_assert_uint_eq(cpu.arch.vec[7][15], 0x55);
    ck_assert_uint_eq(cpu.arch.vec[8][16], 0x55);
    ck_assert_int_eq(exec_vzeroall(&cpu, &in), CPU_OK);
    ck_assert_mem_eq(cpu.arch.vec[7], zero, 32);
    ck_assert_uint_eq(cpu.arch.vec[8][0], 0x55);
    cpu.d.code64 = true;
    ck_assert_int_eq(exec_vzeroall(&cpu, &in), CPU_OK);
    ck_assert_mem_eq(cpu.arch.vec[15], zero, 32);
}
END_TEST

/* MOVQ2DQ needs CR4.OSFXSR although its unit is MMX. */
START_TEST(test_simd_rules__movq2dq_needs_osfxsr)
{
    setup_cpu();
    struct insn in = {.r = {XMM_OPERAND(1), OPR_MMX + 2, OPR_NONE, OPR_NONE}, NO_MEMORY};
    ck_assert_int_eq(exec_movq2dq(&cpu, &in), CPU_OK);
    cpu.arch.cr4 = 0;
    ck_assert_int_eq(exec_movq2dq(&cpu, &in), CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, VEC_UD);
}
END_TEST

/* A gather that faults keeps what it fetched before, and can be run again. */
START_TEST(test_simd_rules__gather_is_resumed_after_a_fault)
{
    setup_cpu();
    for (unsigned i = 0; i < PAGE / 4; i++) {
        store_le32(page + 4 * i, i);
    }
    memset(cpu.arch.vec[1], 0xee, 32);
    memset(cpu.arch.vec[3], 0xff, 32);
    memset(cpu.arch.vec[3] + 4, 0, 4); /* element 1 is not wanted */
    for (unsigned i = 0; i < 8; i++) {
        store_le32(cpu.arch.vec[2] + 4 * i, i == 4 ? 0x100000 : i);
    }
    cpu.arch.gpr[RAX] = (u64)(uintptr_t)page;
    struct insn in = {.r = {XMM_OPERAND(1), OPR_MEM, XMM_OPERAND(3), OPR_NONE}, .base = RAX,
                      .index = 2, .sib = 2 | SEG_DS << 2 | 2 << 5, .pfx = PFX_VEX | PFX_VEX_L};
    ck_assert_int_eq(exec_vgather_32_32(&cpu, &in), CPU_EXIT);
    static const u32 value[8] = {0, 0xeeeeeeee, 2, 3, 0xeeeeeeee, 0xeeeeeeee, 0xeeeeeeee, 0xeeeeeeee};
    static const u32 mask[8] = {0, 0, 0, 0, ~0u, ~0u, ~0u, ~0u};
    ck_assert_mem_eq(cpu.arch.vec[1], value, 32);
    ck_assert_mem_eq(cpu.arch.vec[3], mask, 32);
    store_le32(cpu.arch.vec[2] + 16, 100);
    ck_assert_int_eq(exec_vgather_32_32(&cpu, &in), CPU_OK);
    static const u32 done[8] = {0, 0xeeeeeeee, 2, 3, 100, 5, 6, 7};
    ck_assert_mem_eq(cpu.arch.vec[1], done, 32);

    in.r[2] = XMM_OPERAND(1);
    ck_assert_int_eq(exec_vgather_32_32(&cpu, &in), CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, VEC_UD);
}
END_TEST

/* A masked store that faults on a later element has stored nothing. */
START_TEST(test_simd_rules__masked_store_checks_before_it_writes)
{
    setup_cpu();
    memset(page, 0, PAGE);
    memset(cpu.arch.vec[1], 0xff, 32);
    cpu.arch.gpr[RAX] = (u64)(uintptr_t)page + PAGE - 16;
    struct insn in = {.r = {OPR_MEM, XMM_OPERAND(1), XMM_OPERAND(2), OPR_NONE}, .base = RAX,
                      .index = REG_NONE, .sib = SEG_DS << 2 | 2 << 5, .pfx = PFX_VEX | PFX_VEX_L};
    memset(cpu.arch.vec[2], 0x77, 32);
    ck_assert_int_eq(exec_vmaskmov32(&cpu, &in), CPU_EXIT);
    ck_assert_uint_eq(page[PAGE - 16], 0);
    memset(cpu.arch.vec[1] + 16, 0, 16);
    ck_assert_int_eq(exec_vmaskmov32(&cpu, &in), CPU_OK);
    ck_assert_uint_eq(page[PAGE - 16], 0x77);
    ck_assert_uint_eq(page[PAGE - 1], 0x77);
}
END_TEST

/* AMD's MXCSR.MM lets packed operations, but not MOVDQA, accept unaligned memory. */
START_TEST(test_simd_rules__misaligned_mode)
{
    setup_cpu();
    cpu.arch.gpr[RAX] = (u64)(uintptr_t)page + 8;
    struct insn in = {.r = {XMM_OPERAND(1), OPR_MEM, OPR_NONE, OPR_NONE}, .base = RAX,
                      .index = REG_NONE, .sib = SEG_DS << 2 | 2 << 5, .id = 4 << 12};
    ck_assert_int_eq(exec_paddb(&cpu, &in), CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, VEC_GP);
    cpu.arch.mxcsr |= BIT32(17);
    ck_assert_int_eq(exec_paddb(&cpu, &in), CPU_OK);
    ck_assert_int_eq(exec_mova(&cpu, &in), CPU_EXIT);
    ck_assert_int_eq(exec_movu(&cpu, &in), CPU_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("simd_rules");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, test_simd_rules__sse4a_fields);
    tcase_add_test(rules, test_simd_rules__vzero_reaches_the_modes_registers);
    tcase_add_test(rules, test_simd_rules__movq2dq_needs_osfxsr);
    tcase_add_test(rules, test_simd_rules__gather_is_resumed_after_a_fault);
    tcase_add_test(rules, test_simd_rules__masked_store_checks_before_it_writes);
    tcase_add_test(rules, test_simd_rules__misaligned_mode);
    suite_add_tcase(suite, rules);
    return unit_run(suite);
}
