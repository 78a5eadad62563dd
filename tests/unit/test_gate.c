/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input gate: stamps when live, stamps obeyed in a replay. A clock by hand is the machine. */
#include "trace/gate.h"
#include "unit.h"

#include <string.h>

struct seen {
    char text[64];
    u64 position, time;
    unsigned calls;
    const struct clock *clock;
};

static void deliver(void *self, const u8 *bytes, u32 size)
{
    struct seen *s = self;
    size_t used = strlen(s->text);
    memcpy(s->text + used, bytes, size);
    s->text[used + size] = '\0';
    s->position = clock_position(s->clock).n;
    s->time = clock_now(s->clock).ns;
    s->calls++;
}

struct rig {
    struct clock clock;
    struct gate gate;
    struct seen seen;
};

static void setup(struct rig *r)
{
    memset(r, 0, sizeof *r);
    clock_init(&r->clock, NS_PER_SEC, NS_PER_SEC);
    gate_init(&r->gate, &r->clock, NULL);
    r->seen.clock = &r->clock;
    gate_set_sink(&r->gate, GATE_CONSOLE1, (struct gate_sink){.deliver = deliver, .self = &r->seen});
}

/* What is offered waits for the gate point and comes in order. */
START_TEST(test_gate__live_order)
{
    struct rig r;
    setup(&r);
    gate_offer(&r.gate, GATE_CONSOLE1, "ab", 2);
    gate_offer(&r.gate, GATE_CONSOLE1, "c", 1);
    gate_offer(&r.gate, GATE_NET0, "nobody listens", 14);
    ck_assert_uint_eq(r.seen.calls, 0);
    ck_assert(gate_has_offers(&r.gate));
    r.clock.position = 17;
    ck_assert(gate_is_point(&r.gate));
    gate_pass(&r.gate);
    ck_assert_str_eq(r.seen.text, "abc");
    ck_assert_uint_eq(r.seen.position, 17);
    ck_assert(!gate_has_offers(&r.gate));
    gate_free(&r.gate);
}
END_TEST

/* One position and time are a gate point once; either of them moving makes a new one. */
START_TEST(test_gate__point_once)
{
    struct rig r;
    setup(&r);
    ck_assert(gate_is_point(&r.gate));
    gate_pass(&r.gate);
    ck_assert(!gate_is_point(&r.gate));
    r.clock.idle_ns = 1;
    ck_assert(gate_is_point(&r.gate));
    gate_pass(&r.gate);
    r.clock.position = 1;
    ck_assert(gate_is_point(&r.gate));
    gate_free(&r.gate);
}
END_TEST

/* An empty entry is the end of a source and reaches the sink. */
START_TEST(test_gate__empty_entry)
{
    struct rig r;
    setup(&r);
    gate_offer(&r.gate, GATE_CONSOLE1, NULL, 0);
    gate_pass(&r.gate);
    ck_assert_uint_eq(r.seen.calls, 1);
    gate_free(&r.gate);
}
END_TEST

static struct gate_entry entry(enum gate_source source, u64 position, u64 ns, const char *text)
{
    return (struct gate_entry){.source = source,
                               .position = {position},
                               .time = {ns},
                               .bytes = (const u8 *)text,
                               .size = (u32)strlen(text)};
}

/* Replay: nothing before its stamp, everything at it; offers are ignored. */
START_TEST(test_gate__replay)
{
    struct rig r;
    setup(&r);
    const struct gate_entry log[] = {entry(GATE_CONSOLE1, 10, 10, "x"), entry(GATE_CONSOLE1, 10, 50, "y"),
                                     entry(GATE_END, 20, 60, "")};
    gate_replay(&r.gate, log, 3);
    gate_offer(&r.gate, GATE_CONSOLE1, "live", 4);
    gate_pass(&r.gate);
    ck_assert_uint_eq(gate_next_position(&r.gate), 10);
    ck_assert_uint_eq(gate_next_time(&r.gate).ns, VTIME_NEVER.ns);
    r.clock.position = 10;
    gate_pass(&r.gate);
    ck_assert_str_eq(r.seen.text, "x");
    /* The next one is here, but later: the slice has no bound, idling has. */
    ck_assert_uint_eq(gate_next_position(&r.gate), ~(u64)0);
    ck_assert_uint_eq(gate_next_time(&r.gate).ns, 50);
    r.clock.idle_ns = 40;
    gate_pass(&r.gate);
    ck_assert_str_eq(r.seen.text, "xy");
    ck_assert_uint_eq(gate_next_position(&r.gate), 20);
    r.clock.position = 20;
    gate_pass(&r.gate);
    ck_assert(r.gate.ended && r.gate.missed == NULL);
    gate_free(&r.gate);
}
END_TEST

/* A run that comes past a stamp without meeting it is noticed. */
START_TEST(test_gate__replay_missed)
{
    struct rig r;
    const struct gate_entry log[] = {entry(GATE_CONSOLE1, 10, 50, "x"), entry(GATE_END, 20, 60, "")};
    setup(&r);
    gate_replay(&r.gate, log, 2);
    r.clock.position = 11; /* never idled at 10 */
    gate_pass(&r.gate);
    ck_assert_ptr_eq(r.gate.missed, &log[0]);
    gate_free(&r.gate);
    setup(&r);
    gate_replay(&r.gate, log, 2);
    r.clock.position = 10;
    r.clock.idle_ns = 41;
    gate_pass(&r.gate);
    ck_assert_ptr_eq(r.gate.missed, &log[0]);
    gate_free(&r.gate);
}
END_TEST

/* An end without a time of its own is reached only by running past it. */
START_TEST(test_gate__replay_natural_end)
{
    struct rig r;
    setup(&r);
    struct gate_entry log[] = {entry(GATE_END, 20, 0, "")};
    log[0].time = VTIME_NEVER;
    gate_replay(&r.gate, log, 1);
    ck_assert_uint_eq(gate_next_position(&r.gate), 20);
    r.clock.position = 20;
    gate_pass(&r.gate);
    ck_assert(!r.gate.ended);
    r.clock.position = 21;
    gate_pass(&r.gate);
    ck_assert(r.gate.ended);
    gate_free(&r.gate);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tc = tcase_create("gate");
    tcase_add_test(tc, test_gate__live_order);
    tcase_add_test(tc, test_gate__point_once);
    tcase_add_test(tc, test_gate__empty_entry);
    tcase_add_test(tc, test_gate__replay);
    tcase_add_test(tc, test_gate__replay_missed);
    tcase_add_test(tc, test_gate__replay_natural_end);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
