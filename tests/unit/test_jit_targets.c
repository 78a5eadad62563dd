/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What returns and indirect branches remember of where they led: it must go when the page holds other code, when other code is written
 * there, and not serve another mode. */
#include "jit_rig.h"

#define TABLE 0x1f0000u /* maps the 2 MiB from FUNCTION on, 4 KiB each */
#define FUNCTION DATA
#define AT_FAULT 0x181000u
#define OTHER (DATA + PAGE_SIZE) /* frame of another one */

static struct jit *start(void)
{
    const char *why = NULL;
    static const struct jit_config config = {.bytes = MIB(1), .threshold = 1, .tlb_entries = 64};
    rig_start();
    go_long(0);
    R.cpu.arch.cr0 &= ~(u64)(CR0_EM | CR0_TS);
    cpu_update_mode(CPU);
    for (unsigned i = 0; i < 512; i++) {
        store_le64(ram(TABLE + 8 * i), (FUNCTION + PAGE_SIZE * i) | 0x67);
    }
    store_le64(ram(AT_TABLES + 0x2008), TABLE | 0x67);
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    return j;
}

static void stop(struct jit *j)
{
    jit_free(j);
    rig_stop();
}

/* mov ecx, value; ret */
static void place_function(u64 at, u32 value)
{
    struct emit e = {.at = ram(at), .end = ram(at) + 16};
    emit_mov_const(&e, H_RCX, value);
    emit_u8(&e, 0xc3);
}

/* call rax; add rbx, rcx; `behind`; jmp . */
static void place_caller(void (*behind)(struct emit *e))
{
    struct emit e = {.at = ram(CODE_AT), .end = ram(CODE_AT) + 128};
    emit_op(&e, OP(0xff), 4, 2, rm_reg(H_RAX));
    emit_alu(&e, HA_ADD, 8, H_RBX, rm_reg(H_RCX));
    if (behind != NULL) {
        behind(&e);
    }
    emit_u8(&e, 0xeb);
    emit_u8(&e, 0xfe);
}

static void call_function(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        R.cpu.arch.gpr[RAX] = FUNCTION;
        R.cpu.arch.gpr[RSP] = AT_STACK;
        R.cpu.arch.rip = CODE_AT;
        (void)cpu_run(CPU, 40);
    }
}

/* A live table's entry. */
static void change_entry(struct emit *e)
{
    emit_mov_store(e, 8, H_RDX, rm_mem(H_NONE, TABLE));
    emit_op(e, OP(0xff), 4, 2, rm_reg(H_RAX));
    emit_alu(e, HA_ADD, 8, H_RBX, rm_reg(H_RCX));
}

START_TEST(test_jit_targets__page_moves)
{
    struct jit *j = start();
    place_function(FUNCTION, 1);
    place_function(OTHER, 100);
    place_caller(change_entry);
    R.cpu.arch.gpr[RBX] = 0;
    R.cpu.arch.gpr[RDX] = FUNCTION | 0x67;
    call_function(8);
    ck_assert_uint_eq(R.cpu.arch.gpr[RBX], 16);
    R.cpu.arch.gpr[RDX] = OTHER | 0x67; /* from the second call on */
    call_function(8);
    ck_assert_uint_eq(R.cpu.arch.gpr[RBX], 16 + 1 + 15 * 100);
    ck_assert_uint_gt(jit_stats(j)->translated, 50);
    stop(j);
}
END_TEST

START_TEST(test_jit_targets__code_changes)
{
    struct jit *j = start();
    place_function(FUNCTION, 1);
    place_caller(NULL);
    R.cpu.arch.gpr[RBX] = 0;
    call_function(8);
    ck_assert_uint_eq(R.cpu.arch.gpr[RBX], 8);
    mem_before_ram_write(&R.set, &R.phys, FUNCTION >> PAGE_SHIFT, 1, 4);
    store_le32(ram(FUNCTION) + 1, 7);
    call_function(8);
    ck_assert_uint_eq(R.cpu.arch.gpr[RBX], 8 + 8 * 7);
    stop(j);
}
END_TEST

START_TEST(test_jit_targets__other_mode)
{
    struct jit *j = start();
    struct emit e = {.at = ram(FUNCTION), .end = ram(FUNCTION) + 16};
    emit_u8(&e, 0xd9); /* fld1 */
    emit_u8(&e, 0xe8);
    emit_u8(&e, 0xc3);
    place_caller(NULL);
    gate64(VEC_NM, KCODE64, AT_FAULT, SYS_INT, 0, 0);
    store_le32(ram(AT_FAULT), 0xfeeb); /* jmp . */
    R.cpu.arch.fpu = (struct fpu_state){.fcw = 0x37f};
    call_function(8);
    ck_assert_uint_gt(R.cpu.arch.rip, CODE_AT);
    R.cpu.arch.cr0 |= CR0_TS; /* not what translations of memory depend on */
    cpu_update_mode(CPU);
    for (unsigned i = 0; i < 8; i++) {
        call_function(1);
        ck_assert_uint_eq(R.cpu.arch.rip, AT_FAULT); /* #NM */
    }
    stop(j);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_targets");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_targets__page_moves);
    tcase_add_test(tc, test_jit_targets__code_changes);
    tcase_add_test(tc, test_jit_targets__other_mode);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
