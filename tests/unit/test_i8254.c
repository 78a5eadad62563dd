/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8254: values and outputs in all modes at arbitrary times, against a counter that counts clock by
 * clock. */
#include "device_rig.h"
#include "unit.h"

#include "devices/i8254.h"

static struct rig *build(void)
{
    struct rig *r = rig_new();
    i8254_new(&r->env, "pit", rig_line(r, 0));
    return r;
}

static u64 tick_ns(u64 tick)
{
    return clock_time_of_tick(tick, I8254_HZ).ns;
}

static void to_tick(struct rig *r, u64 tick)
{
    rig_run_to(r, tick_ns(tick));
}

static u64 tick_now(const struct rig *r)
{
    return clock_ticks(&r->clock, I8254_HZ);
}

static void program(struct rig *r, unsigned n, unsigned mode, u16 count)
{
    rig_out(r, 0x43, (u8)(n << 6 | 0x30 | mode << 1));
    rig_out(r, (u16)(0x40 + n), (u8)count);
    rig_out(r, (u16)(0x40 + n), (u8)(count >> 8));
}

static u16 latched(struct rig *r, unsigned n)
{
    rig_out(r, 0x43, (u8)(n << 6));
    u8 lo = rig_in(r, (u16)(0x40 + n));
    return (u16)(lo | rig_in(r, (u16)(0x40 + n)) << 8);
}

static u8 status(struct rig *r, unsigned n)
{
    rig_out(r, 0x43, (u8)(0xe0 | 2u << n));
    return rig_in(r, (u16)(0x40 + n));
}

/* The counting element of a real chip, one clock at a time; for modes that need no gate. */
struct model {
    unsigned mode, n, ce, half; /* half: mode 3's output is low */
    bool out, done;
};

static void model_clock(struct model *m)
{
    switch (m->mode) {
    case 2:
        m->ce = m->ce == 1 ? m->n : m->ce - 1;
        m->out = m->ce != 1;
        break;
    case 3:
        if (m->half == 0 ? m->ce == (m->n & 1 ? 0 : 2) : m->ce == 2) {
            m->half ^= 1;
            m->ce = m->n & ~1u;
            m->out = m->half == 0;
        } else {
            m->ce -= 2;
        }
        break;
    default: /* 0 and 4 */
        m->ce = (m->ce - 1) & 0xffff;
        if (m->mode == 0) {
            m->out = m->out || m->ce == 0;
        } else {
            m->out = m->done || m->ce != 0;
            m->done = m->done || m->ce == 0;
        }
        break;
    }
}

START_TEST(test_i8254__modes_match_a_counting_chip)
{
    static const unsigned modes[] = {0, 2, 3, 4};
    static const unsigned counts[] = {2, 3, 7, 8, 250, 1001};
    for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
        for (unsigned j = 0; j < ARRAY_LEN(counts); j++) {
            struct rig *r = build();
            to_tick(r, 100);
            program(r, 0, modes[i], (u16)counts[j]);
            struct model m = {
                .mode = modes[i], .n = counts[j], .ce = counts[j], .out = modes[i] != 0};
            if (modes[i] == 3) {
                m.ce &= ~1u;
            }
            ck_assert(status(r, 0) & 0x40); /* not loaded before the next clock */
            for (u64 t = 101; t < 101 + 3000; t++) {
                to_tick(r, t);
                ck_assert_msg(r->level[0] == m.out, "mode %u count %u tick %llu", m.mode, m.n,
                              (unsigned long long)t);
                ck_assert_uint_eq(status(r, 0), (m.out ? 0x80u : 0) | 0x30u | m.mode << 1);
                ck_assert_uint_eq(latched(r, 0), m.ce);
                model_clock(&m);
            }
            rig_free(r);
        }
    }
}
END_TEST

/* Edges come out one by one when an instruction lasts longer than a tick. */
START_TEST(test_i8254__no_edge_is_lost_in_a_jump)
{
    struct rig *r = build();
    to_tick(r, 10);
    program(r, 0, 2, 100);
    unsigned before = r->rises[0];
    for (int i = 0; i < 50; i++) {
        rig_jump(r, tick_ns(1000) + 7);
    }
    u64 periods = (tick_now(r) - 11) / 100;
    ck_assert_uint_eq(r->rises[0] - before, periods);
    rig_free(r);
}
END_TEST

START_TEST(test_i8254__new_count_waits_for_the_period)
{
    struct rig *r = build();
    to_tick(r, 10);
    program(r, 0, 2, 1000); /* in the element at 11 */
    to_tick(r, 500);
    rig_out(r, 0x40, 50);
    rig_out(r, 0x40, 0);
    ck_assert(status(r, 0) & 0x40);
    ck_assert_uint_eq(latched(r, 0), 1000 - (500 - 11));
    to_tick(r, 1010);
    ck_assert(!r->level[0]);
    to_tick(r, 1011);
    ck_assert(r->level[0]);
    ck_assert_uint_eq(latched(r, 0), 50);
    ck_assert(!(status(r, 0) & 0x40));
    to_tick(r, 1061);
    ck_assert_uint_eq(latched(r, 0), 50);
    rig_free(r);
}
END_TEST

START_TEST(test_i8254__channel2_gate_and_port61)
{
    struct rig *r = build();
    to_tick(r, 5);
    rig_out(r, 0x61, 0x00);
    program(r, 2, 0, 1000);
    to_tick(r, 100);
    ck_assert_uint_eq(latched(r, 2), 1000);
    rig_out(r, 0x61, 0x01); /* counts from here */
    to_tick(r, 400);
    ck_assert_uint_eq(latched(r, 2), 700);
    rig_out(r, 0x61, 0x00);
    to_tick(r, 900);
    ck_assert_uint_eq(latched(r, 2), 700);
    rig_out(r, 0x61, 0x01);
    to_tick(r, 1599);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0);
    to_tick(r, 1600);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x21, 0x21);
    /* Mode 1: a rising gate starts the shot, again restarts it. */
    rig_out(r, 0x61, 0x00);
    program(r, 2, 1, 100);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0x20);
    ck_assert(status(r, 2) & 0x40);
    to_tick(r, 2000);
    rig_out(r, 0x61, 0x01);
    to_tick(r, 2001);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0);
    rig_out(r, 0x61, 0x00);
    to_tick(r, 2090);
    rig_out(r, 0x61, 0x01);
    to_tick(r, 2190);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0);
    to_tick(r, 2191);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0x20);
    /* Mode 5: one clock low. */
    rig_out(r, 0x61, 0x00);
    program(r, 2, 5, 10);
    to_tick(r, 3000);
    rig_out(r, 0x61, 0x01);
    to_tick(r, 3011);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0);
    to_tick(r, 3012);
    ck_assert_uint_eq(rig_in(r, 0x61) & 0x20, 0x20);
    /* The refresh bit moves by itself. */
    unsigned toggles = 0;
    u8 last = rig_in(r, 0x61) & 0x10;
    for (u64 t = 3013; t < 3013 + 180; t++) {
        to_tick(r, t);
        u8 now = rig_in(r, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    ck_assert_uint_eq(toggles, 10);
    rig_free(r);
}
END_TEST

START_TEST(test_i8254__formats_bcd_and_readback)
{
    struct rig *r = build();
    to_tick(r, 5);
    rig_out(r, 0x43, 0x35); /* counter 0, both bytes, mode 2, BCD */
    rig_out(r, 0x40, 0x00);
    rig_out(r, 0x40, 0x10); /* 1000 */
    to_tick(r, 6 + 1);
    ck_assert_uint_eq(latched(r, 0), 0x0999);
    rig_out(r, 0x43, 0x56); /* counter 1, low byte, mode 3 */
    rig_out(r, 0x41, 200);
    to_tick(r, 8);
    rig_out(r, 0x43, 0xc0 | 0x04); /* latch status and count of 1 */
    to_tick(r, 30);
    rig_out(r, 0x43, 0xc0 | 0x04); /* no effect before both are read */
    ck_assert_uint_eq(rig_in(r, 0x41), 0x80 | 0x16);
    ck_assert_uint_eq(rig_in(r, 0x41), 200);
    ck_assert_uint_eq(rig_in(r, 0x41), 200 - 2 * 22);
    rig_free(r);
}
END_TEST

START_TEST(test_i8254__save_restore)
{
    struct rig *r = build();
    to_tick(r, 1234);
    program(r, 0, 3, 11931);
    to_tick(r, 40000);
    rig_out(r, 0x40, 0x10); /* half a count */
    rig_out(r, 0x43, 0xc2);
    program(r, 2, 0, 999);
    rig_check_save_restore(r, build, 50000000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i8254");
    TCase *c = tcase_create("i8254");
    tcase_add_test(c, test_i8254__modes_match_a_counting_chip);
    tcase_add_test(c, test_i8254__no_edge_is_lost_in_a_jump);
    tcase_add_test(c, test_i8254__new_count_waits_for_the_period);
    tcase_add_test(c, test_i8254__channel2_gate_and_port61);
    tcase_add_test(c, test_i8254__formats_bcd_and_readback);
    tcase_add_test(c, test_i8254__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
