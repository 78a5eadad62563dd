/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real-time clock: time at arbitrary moments, formats, setting, interrupts, memory sizes. */
#include "device_rig.h"
#include "unit.h"

#include "devices/rtc.h"

#define SEC ((u64)NS_PER_SEC)

static struct rtc *rtc;

/* 2024-02-28 23:59:58, a Wednesday. */
static struct rig *build(void)
{
    struct rig *r = rig_new();
    struct rtc_config config = {.base_seconds = 1709164798,
                                .ram_below_4g = MIB(2048),
                                .ram_above_4g = GIB(6),
                                .cpu_count = 4,
                                .boot_order = {2, 3, 0}};
    struct rtc_outputs out = {.irq = rig_line(r, 8), .alarm = rig_line(r, 9)};
    rtc = rtc_new(&r->env, "rtc", &config, &out);
    return r;
}

static u8 get(struct rig *r, u8 index)
{
    rig_out(r, 0x70, index);
    return rig_in(r, 0x71);
}

static void put(struct rig *r, u8 index, u8 value)
{
    rig_out(r, 0x70, index);
    rig_out(r, 0x71, value);
}

static void expect_time(struct rig *r, u32 date, u32 time, u8 weekday)
{
    u32 d = (u32)get(r, 0x32) << 24 | (u32)get(r, 9) << 16 | (u32)get(r, 8) << 8 | get(r, 7);
    u32 t = (u32)get(r, 4) << 16 | (u32)get(r, 2) << 8 | get(r, 0);
    ck_assert_uint_eq(d, date);
    ck_assert_uint_eq(t, time);
    ck_assert_uint_eq(get(r, 6), weekday);
}

START_TEST(test_rtc__runs_over_a_leap_day)
{
    struct rig *r = build();
    expect_time(r, 0x20240228, 0x235958, 4);
    rig_run_to(r, 2 * SEC - 1);
    expect_time(r, 0x20240228, 0x235959, 4);
    rig_run_to(r, 2 * SEC);
    expect_time(r, 0x20240229, 0x000000, 5);
    rig_run_to(r, (2 + 86400) * SEC);
    expect_time(r, 0x20240301, 0x000000, 6);
    rig_run_to(r, (2 + 86400 * 307ul) * SEC);
    expect_time(r, 0x20250101, 0x000000, 4);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__update_in_progress_precedes_the_second)
{
    struct rig *r = build();
    rig_run_to(r, SEC - 2228001);
    ck_assert_uint_eq(get(r, 10), 0x26);
    rig_run_to(r, SEC - 2228000);
    ck_assert_uint_eq(get(r, 10), 0xa6);
    rig_run_to(r, SEC - 1);
    ck_assert_uint_eq(get(r, 10), 0xa6);
    rig_run_to(r, SEC);
    ck_assert_uint_eq(get(r, 10), 0x26);
    ck_assert_uint_eq(get(r, 12), 0x10 | 0x40); /* UF, and PF of the default rate */
    ck_assert_uint_eq(get(r, 12), 0);
    ck_assert_uint_eq(get(r, 13), 0x80);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__set_and_formats)
{
    struct rig *r = build();
    rig_run_to(r, 300000000);
    put(r, 11, 0x80 | 0x04); /* SET, binary, 12 hours */
    put(r, 0, 7);
    put(r, 2, 30);
    put(r, 4, 0x80 | 12); /* noon */
    put(r, 6, 1);
    put(r, 7, 31);
    put(r, 8, 12);
    put(r, 9, 99);
    put(r, 0x32, 19);
    rig_run_to(r, 5 * SEC);
    ck_assert_uint_eq(get(r, 0), 7); /* held */
    put(r, 11, 0x04);
    /* The divider kept its phase: the next second ends at a whole second of virtual time. */
    rig_run_to(r, 6 * SEC - 1);
    ck_assert_uint_eq(get(r, 0), 7);
    rig_run_to(r, 6 * SEC);
    ck_assert_uint_eq(get(r, 0), 8);
    ck_assert_uint_eq(get(r, 4), 0x8c);
    put(r, 11,
        0x02); /* BCD, 24 hours: the registers are not converted, so 12 | PM means 92 hours */
    put(r, 4, 0x23);
    put(r, 2, 0x59);
    put(r, 0, 0x59);
    put(r, 7, 0x31);
    put(r, 8, 0x12);
    put(r, 9, 0x99);
    put(r, 0x32, 0x19);
    put(r, 6, 6);
    rig_run_to(r, 7 * SEC);
    expect_time(r, 0x20000101, 0x000000, 7);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__divider_release_takes_half_a_second)
{
    struct rig *r = build();
    put(r, 10, 0x76);
    rig_run_to(r, 3 * SEC + 123456789);
    expect_time(r, 0x20240228, 0x235958, 4);
    put(r, 10, 0x26);
    rig_run(r, SEC / 2 - 1);
    expect_time(r, 0x20240228, 0x235958, 4);
    rig_run(r, 1);
    expect_time(r, 0x20240228, 0x235959, 4);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__periodic_interrupt)
{
    struct rig *r = build();
    rig_run_to(r, 12345);
    put(r, 11, 0x42);
    (void)get(r, 12);
    unsigned taken = 0;
    while (rig_now(r) < SEC) {
        u64 next = clock_next_deadline(&r->clock).ns;
        rig_run_to(r, next);
        ck_assert(r->level[8]);
        ck_assert_uint_eq(get(r, 12) & 0xc0, 0xc0);
        ck_assert(!r->level[8]);
        taken++;
    }
    ck_assert_uint_eq(taken, 1024);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__alarm_and_update_interrupts)
{
    struct rig *r = build();
    put(r, 1, 0x05);
    put(r, 3, 0x00);
    put(r, 5, 0xc0); /* any hour */
    put(r, 11, 0x22);
    rig_run_to(r, 7 * SEC - 1);
    ck_assert(!r->level[8] && !r->level[9]);
    rig_run_to(r, 7 * SEC);
    ck_assert(r->level[8] && r->level[9]);
    ck_assert_uint_eq(get(r, 12) & 0xb0, 0xb0);
    ck_assert(!r->level[8] && !r->level[9]);
    rig_run_to(r, (7 + 3600) * SEC);
    ck_assert(r->level[9]);
    (void)get(r, 12);
    put(r, 11, 0x12);
    rig_run_to(r, (8 + 3600) * SEC);
    ck_assert(r->level[8]);
    ck_assert_uint_eq(get(r, 12) & 0xb0, 0x90);
    put(r, 11, 0x92); /* SET clears UIE */
    ck_assert_uint_eq(get(r, 11), 0x82);
    /* Without enables the flags are found when looked for, even a day later. */
    put(r, 11, 0x02);
    rig_run(r, 90000 * SEC);
    ck_assert_uint_eq(get(r, 12), 0x70);
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__firmware_bytes)
{
    struct rig *r = build();
    ck_assert_uint_eq(get(r, 0x34) | (unsigned)get(r, 0x35) << 8, (2048 - 16) * 16);
    ck_assert_uint_eq(get(r, 0x5b) | (unsigned)get(r, 0x5c) << 8 | (unsigned)get(r, 0x5d) << 16,
                      6 * 16384);
    ck_assert_uint_eq(get(r, 0x30) | (unsigned)get(r, 0x31) << 8, 65535);
    ck_assert_uint_eq(get(r, 0x15) | (unsigned)get(r, 0x16) << 8, 640);
    ck_assert_uint_eq(get(r, 0x3d), 0x32);
    ck_assert_uint_eq(get(r, 0x5f), 3);
    put(r, CMOS_SHUTDOWN, 0x0a);
    ck_assert_uint_eq(rtc_cmos_get(rtc, CMOS_SHUTDOWN), 0x0a);
    rig_out(r, 0x72, 0x10);
    rig_out(r, 0x73, 0x77);
    ck_assert_uint_eq(rig_in(r, 0x73), 0x77);
    ck_assert(!rtc_nmi_masked(rtc));
    rig_out(r, 0x70, 0x80 | 0x0f);
    ck_assert(rtc_nmi_masked(rtc));
    rig_free(r);
}
END_TEST

START_TEST(test_rtc__save_restore)
{
    struct rig *r = build();
    rig_run_to(r, 777777777);
    put(r, 1, 0xff);
    put(r, 3, 0xff);
    put(r, 5, 0xff);
    put(r, 11, 0x62);
    rig_run(r, 3 * SEC);
    rig_check_save_restore(r, build, 10 * SEC);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rtc");
    TCase *c = tcase_create("rtc");
    tcase_add_test(c, test_rtc__runs_over_a_leap_day);
    tcase_add_test(c, test_rtc__update_in_progress_precedes_the_second);
    tcase_add_test(c, test_rtc__set_and_formats);
    tcase_add_test(c, test_rtc__divider_release_takes_half_a_second);
    tcase_add_test(c, test_rtc__periodic_interrupt);
    tcase_add_test(c, test_rtc__alarm_and_update_interrupts);
    tcase_add_test(c, test_rtc__firmware_bytes);
    tcase_add_test(c, test_rtc__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
