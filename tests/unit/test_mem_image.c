/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images of processor state: where offsets wrap. */
#include "cpu/mem.h"
#include "unit.h"

#include <string.h>

static u64 at[8];
static unsigned length[8], calls;
static u8 memory[2][64]; /* the first bytes of the segment, and those below FFFFFFFFh */

static cpu_rc note(u64 offset, unsigned size)
{
    ck_assert_uint_lt(calls, ARRAY_LEN(at));
    at[calls] = offset;
    length[calls++] = size;
    return CPU_OK;
}

static u8 *place(u64 offset)
{
    return offset < 64 ? memory[0] + offset : memory[1] + (offset - 0xffffffc0u);
}

cpu_rc mem_probe(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, unsigned access)
{
    UNUSED(cpu);
    UNUSED(seg);
    UNUSED(access);
    return note(offset, size);
}

cpu_rc mem_read_bytes(struct cpu *cpu, unsigned seg, u64 offset, void *data, unsigned size)
{
    UNUSED(cpu);
    UNUSED(seg);
    memcpy(data, place(offset), size);
    return note(offset, size);
}

cpu_rc mem_write_bytes(struct cpu *cpu, unsigned seg, u64 offset, const void *data, unsigned size)
{
    UNUSED(cpu);
    UNUSED(seg);
    memcpy(place(offset), data, size);
    return note(offset, size);
}

START_TEST(mem_image__probe)
{
    calls = 0;
    ck_assert(mem_probe_image(NULL, SEG_DS, 0x1000, ~(u64)0, 512, ACCESS_WRITE) == CPU_OK);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(at[0], 0x1000);
    ck_assert_uint_eq(length[0], 512);
    calls = 0;
    ck_assert(mem_probe_image(NULL, SEG_DS, 0xfffffff0u, 0xffffffffu, 32, ACCESS_WRITE) == CPU_OK);
    ck_assert_uint_eq(calls, 2);
    ck_assert_uint_eq(at[0], 0xfffffff0u);
    ck_assert_uint_eq(length[0], 16);
    ck_assert_uint_eq(at[1], 0);
    ck_assert_uint_eq(length[1], 16);
}
END_TEST

START_TEST(mem_image__wrap)
{
    u8 out[32], in[32];
    for (unsigned i = 0; i < 32; i++) {
        out[i] = (u8)(i + 1);
    }
    calls = 0;
    ck_assert(mem_write_image(NULL, SEG_DS, 0xfffffff8u, 0xffffffffu, out, 32) == CPU_OK);
    ck_assert_uint_eq(calls, 2);
    ck_assert_uint_eq(memory[1][63], 8);
    ck_assert_uint_eq(memory[0][0], 9);
    ck_assert(mem_read_image(NULL, SEG_DS, 0x1fffffff8u, 0xffffffffu, in, 32) == CPU_OK);
    ck_assert(memcmp(in, out, 32) == 0);
    calls = 0;
    ck_assert(mem_write_image(NULL, SEG_DS, 0xffffffe0u, 0xffffffffu, out, 32) == CPU_OK); /* just fits */
    ck_assert_uint_eq(calls, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem_image");
    TCase *tc = tcase_create("core");
    tcase_add_test(tc, mem_image__probe);
    tcase_add_test(tc, mem_image__wrap);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
