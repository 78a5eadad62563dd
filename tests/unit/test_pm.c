/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power management: timer and overflow, events and SCI, sleep and wake, APM, resets, A20. */
#include "device_rig.h"
#include "unit.h"

#include "devices/pm.h"

static struct pm *pm;
static int sleep_type, wakes, smis, reset_kind_seen, a20;

static void on_sleep(void *self, unsigned type)
{
    UNUSED(self);
    sleep_type = (int)type;
}

static void on_wake(void *self)
{
    UNUSED(self);
    wakes++;
}

static void on_reset(void *self, enum pm_reset kind)
{
    UNUSED(self);
    reset_kind_seen = (int)kind;
}

static void on_a20(void *self, bool enabled)
{
    UNUSED(self);
    a20 = enabled;
}

static void on_smi(void *self, u8 command)
{
    UNUSED(self);
    smis += command;
}

static struct rig *build(void)
{
    struct rig *r = rig_new();
    struct pm_config config = {
        .base = 0x600,
        .sci = rig_line(r, 9),
        .callbacks = {
            .sleep = on_sleep, .wake = on_wake, .reset = on_reset, .a20 = on_a20, .smi = on_smi}};
    pm = pm_new(&r->env, "pm", &config);
    sleep_type = reset_kind_seen = -1;
    wakes = smis = 0;
    return r;
}

static u32 in16(struct rig *r, u16 port)
{
    return bus_port_read(&r->bus, port, 2);
}

static void out16(struct rig *r, u16 port, u32 value)
{
    bus_port_write(&r->bus, port, value, 2);
}

START_TEST(test_pm__timer)
{
    struct rig *r = build();
    for (u64 t = 1; t < 1000000000000; t = t * 3 + 17) {
        rig_run_to(r, t);
        u64 ticks = (u64)((u128)t * PM_TIMER_HZ / NS_PER_SEC);
        ck_assert_uint_eq(bus_port_read(&r->bus, 0x608, 4), ticks & 0xffffff);
    }
    rig_free(r);
}
END_TEST

START_TEST(test_pm__overflow_raises_sci)
{
    struct rig *r = build();
    u64 half = clock_time_of_tick(BIT(23), PM_TIMER_HZ).ns;
    rig_out(r, 0xb2, PM_APM_ACPI_ENABLE);
    ck_assert_uint_eq(in16(r, 0x604), 1);
    out16(r, 0x602, 1);
    rig_run_to(r, half - 1);
    ck_assert(!r->level[9]);
    rig_run_to(r, half);
    ck_assert(r->level[9]);
    ck_assert_uint_eq(in16(r, 0x600), 1);
    out16(r, 0x600, 1);
    ck_assert(!r->level[9]);
    ck_assert_uint_eq(in16(r, 0x602), 1);
    rig_run_to(r, clock_time_of_tick(BIT(24), PM_TIMER_HZ).ns);
    ck_assert(r->level[9]);
    out16(r, 0x602, 0);
    out16(r, 0x600, 1);
    /* Not enabled: found when looked for. */
    rig_run(r, 10 * half);
    ck_assert_uint_eq(in16(r, 0x600), 1);
    rig_free(r);
}
END_TEST

START_TEST(test_pm__events)
{
    struct rig *r = build();
    pm_enable_acpi(pm);
    pm_power_button(pm);
    ck_assert(!r->level[9]);
    out16(r, 0x602, 0x100);
    ck_assert(r->level[9]);
    rig_out(r, 0x601, 0x01); /* a byte write clears too */
    ck_assert(!r->level[9]);
    rig_out(r, 0x628, 0x04);
    pm_gpe(pm, 2);
    ck_assert(r->level[9]);
    ck_assert_uint_eq(rig_in(r, 0x620), 0x04);
    rig_out(r, 0x620, 0x04);
    ck_assert(!r->level[9]);
    bus_port_write(&r->bus, 0x630, 0x21, 4);
    rig_out(r, 0xb2, 0x55);
    ck_assert_int_eq(smis, 0x55);
    ck_assert_uint_eq(bus_port_read(&r->bus, 0x634, 4), 0x20);
    rig_out(r, 0xb2, PM_APM_ACPI_DISABLE);
    ck_assert_uint_eq(in16(r, 0x604), 0);
    rig_free(r);
}
END_TEST

START_TEST(test_pm__sleep_and_wake)
{
    struct rig *r = build();
    struct irq_line alarm = pm_rtc_input(pm);
    out16(r, 0x602, 0x400);
    out16(r, 0x604, 0x2400);
    ck_assert_int_eq(sleep_type, PM_SLP_TYP_S3);
    irq_set(&alarm, true);
    ck_assert_int_eq(wakes, 1);
    bus_reset(&r->bus, RESET_HARD);
    ck_assert_uint_eq(in16(r, 0x600), 0x8400);
    ck_assert_uint_eq(in16(r, 0x602), 0x400);
    out16(r, 0x604, 0x2000);
    ck_assert_int_eq(sleep_type, PM_SLP_TYP_S5);
    rig_free(r);
}
END_TEST

START_TEST(test_pm__resets_and_a20)
{
    struct rig *r = build();
    struct irq_line kbd = pm_a20_input(pm);
    rig_out(r, 0xcf9, 0x02);
    ck_assert_int_eq(reset_kind_seen, -1);
    rig_out(r, 0xcf9, 0x06);
    ck_assert_int_eq(reset_kind_seen, PM_RESET_HARD);
    rig_out(r, 0xcf9, 0x00);
    rig_out(r, 0xcf9, 0x04);
    ck_assert_int_eq(reset_kind_seen, PM_RESET_INIT);
    rig_out(r, 0xcf9, 0x00);
    rig_out(r, 0xcf9, 0x0e);
    ck_assert_int_eq(reset_kind_seen, PM_RESET_POWER);
    irq_set(&kbd, false);
    ck_assert_int_eq(a20, 0);
    rig_out(r, 0x92, 0x02);
    ck_assert_int_eq(a20, 1);
    rig_out(r, 0x92, 0x01);
    ck_assert_int_eq(a20, 0);
    ck_assert_int_eq(reset_kind_seen, PM_RESET_INIT);
    rig_free(r);
}
END_TEST

START_TEST(test_pm__save_restore)
{
    struct rig *r = build();
    pm_enable_acpi(pm);
    out16(r, 0x602, 0x501);
    rig_run(r, 3000000000);
    out16(r, 0x600, 1);
    pm_gpe(pm, 33);
    pm_set_base(pm, 0x1000, true);
    rig_check_save_restore(r, build, 3000000000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pm");
    TCase *c = tcase_create("pm");
    tcase_add_test(c, test_pm__timer);
    tcase_add_test(c, test_pm__overflow_raises_sci);
    tcase_add_test(c, test_pm__events);
    tcase_add_test(c, test_pm__sleep_and_wake);
    tcase_add_test(c, test_pm__resets_and_a20);
    tcase_add_test(c, test_pm__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
