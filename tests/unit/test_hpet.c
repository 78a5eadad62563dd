/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HPET: counter at arbitrary times, one-shot, periodic, level, legacy replacement, messages, jumps.
 */
#include "device_rig.h"
#include "unit.h"

#include "devices/hpet.h"

#define BASE 0xfed00000u

static struct hpet *hpet;

static struct rig *build(void)
{
    struct rig *r = rig_new();
    struct hpet_outputs out = {.irq0 = rig_line(r, 0), .irq8 = rig_line(r, 8)};
    for (unsigned i = 0; i < 24; i++) {
        out.pins[i] = rig_line(r, 32 + i);
    }
    hpet = hpet_new(&r->env, "hpet", SPA(BASE), 0x00f8, &out);
    return r;
}

static u64 get(struct rig *r, u64 reg)
{
    return phys_read_scalar(&r->phys, SPA(BASE + reg), 8);
}

static void put(struct rig *r, u64 reg, u64 value)
{
    phys_write_scalar(&r->phys, SPA(BASE + reg), value, 8);
}

static void put32(struct rig *r, u64 reg, u32 value)
{
    phys_write_scalar(&r->phys, SPA(BASE + reg), value, 4);
}

START_TEST(test_hpet__counter)
{
    struct rig *r = build();
    ck_assert_uint_eq(get(r, 0), (u64)10000000 << 32 | 0x8086a201);
    rig_run_to(r, 1000);
    ck_assert_uint_eq(get(r, 0xf0), 0);
    put(r, 0xf0, 0xffffffff00000000);
    put(r, 0x10, 1);
    rig_run_to(r, 123456789);
    ck_assert_uint_eq(get(r, 0xf0), 0xffffffff00000000 + 12345678 - 100);
    ck_assert_uint_eq(phys_read_scalar(&r->phys, SPA(BASE + 0xf4), 4), 0xffffffff);
    put(r, 0x10, 0);
    rig_run(r, 5000);
    ck_assert_uint_eq(get(r, 0xf0), 0xffffffff00000000 + 12345678 - 100);
    rig_free(r);
}
END_TEST

START_TEST(test_hpet__one_shot_edge)
{
    struct rig *r = build();
    put(r, 0x10, 1);
    put(r, 0x140, 20 << 9 | 4);
    put(r, 0x148, 500);
    rig_run_to(r, 4999);
    ck_assert_uint_eq(r->rises[52], 0);
    rig_run_to(r, 5000);
    ck_assert_uint_eq(r->rises[52], 1);
    ck_assert(!r->level[52]);
    rig_run_to(r, 1000000);
    ck_assert_uint_eq(r->rises[52], 1);
    /* In the past: never, with 64 bits; after a wrap with 32. */
    put(r, 0x148, 10);
    ck_assert_uint_eq(clock_next_deadline(&r->clock).ns, VTIME_NEVER.ns);
    put(r, 0x140, 20 << 9 | 4 | 0x100);
    rig_run_to(r, (BIT(32) + 10) * 10 - 1);
    ck_assert_uint_eq(r->rises[52], 1);
    rig_run_to(r, (BIT(32) + 10) * 10);
    ck_assert_uint_eq(r->rises[52], 2);
    rig_free(r);
}
END_TEST

/* The way Linux sets the periodic mode: accumulator, then period, by 32-bit writes. */
START_TEST(test_hpet__periodic_legacy)
{
    struct rig *r = build();
    struct irq_line pit = hpet_pit_input(hpet);
    irq_set(&pit, true);
    ck_assert(r->level[0]);
    put32(r, 0x10, 3);
    ck_assert(!r->level[0]);
    irq_set(&pit, false);
    irq_set(&pit, true);
    ck_assert(!r->level[0]);
    put32(r, 0x100, 0x14c);
    put32(r, 0x108, 1000);
    put32(r, 0x108, 250);
    unsigned before = r->rises[0];
    rig_run_to(r, 9999);
    ck_assert_uint_eq(r->rises[0], before);
    rig_run_to(r, 10000);
    ck_assert_uint_eq(r->rises[0], before + 1);
    rig_run_to(r, 10000 + 2500 * 7);
    ck_assert_uint_eq(r->rises[0], before + 8);
    ck_assert_uint_eq(get(r, 0x108), 1000 + 250 * 8);
    rig_jump(r, 2500 * 10); /* one instruction over ten periods: one interrupt */
    ck_assert_uint_eq(r->rises[0], before + 9);
    ck_assert_uint_eq(get(r, 0x108), 1000 + 250 * 18);
    put32(r, 0x10, 1); /* the 8254 has its line back */
    ck_assert(r->level[0]);
    rig_free(r);
}
END_TEST

START_TEST(test_hpet__level_and_status)
{
    struct rig *r = build();
    put(r, 0x10, 1);
    put(r, 0x120, 21 << 9 | 0x4e); /* level, periodic, set value */
    put(r, 0x128, 100);
    rig_run_to(r, 1000);
    ck_assert(r->level[53]);
    ck_assert_uint_eq(get(r, 0x20), 2);
    put(r, 0x20, 2);
    ck_assert(!r->level[53]);
    rig_run_to(r, 2000);
    ck_assert(r->level[53]);
    put(r, 0x10, 0);
    ck_assert(!r->level[53]);
    put(r, 0x10, 1);
    ck_assert(r->level[53]);
    rig_free(r);
}
END_TEST

START_TEST(test_hpet__message)
{
    struct rig *r = build();
    put(r, 0x10, 1);
    put(r, 0x130, (u64)0xfee01000 << 32 | 0x41);
    put(r, 0x120, 0x4004);
    put(r, 0x128, 77);
    rig_run_to(r, 770);
    ck_assert_uint_eq(r->msi_count, 1);
    ck_assert_uint_eq(r->msi_address, 0xfee01000);
    ck_assert_uint_eq(r->msi_data, 0x41);
    ck_assert_uint_eq(r->msi_requester, 0xf8);
    rig_free(r);
}
END_TEST

START_TEST(test_hpet__save_restore)
{
    struct rig *r = build();
    rig_run_to(r, 333);
    put(r, 0x10, 3);
    put(r, 0x100, 0x4c);
    put(r, 0x108, 1234);
    put(r, 0x120, 0x4e);
    put(r, 0x128, 777);
    put(r, 0x140, 23 << 9 | 0x104);
    put(r, 0x148, 99999);
    rig_run(r, 100000);
    rig_check_save_restore(r, build, 3000000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hpet");
    TCase *c = tcase_create("hpet");
    tcase_add_test(c, test_hpet__counter);
    tcase_add_test(c, test_hpet__one_shot_edge);
    tcase_add_test(c, test_hpet__periodic_legacy);
    tcase_add_test(c, test_hpet__level_and_status);
    tcase_add_test(c, test_hpet__message);
    tcase_add_test(c, test_hpet__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
