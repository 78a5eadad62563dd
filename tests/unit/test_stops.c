/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stop points: they stop where they should, the guest cannot tell (equal hashes), and going back finds the last.
 * The guest is tests/guests/tiny/moments.S. */
#include "machine/stops.h"
#include "machine/travel.h"
#include "machine_rig.h"
#include "unit.h"

#define TICKS 0x500u  /* the guest's counters at fixed places */
#define ROUNDS 0x504u
#define AP_COUNT 0x510u

static struct machine *make_machine(enum engine engine)
{
    struct machine_config c = small_config("intel");
    c.cpus = 2;
    c.engine = engine;
    c.jit_threshold = 2;
    c.kernel = TINY_DIR "/moments.elf";
    return machine_of(&c);
}

static void add(struct machine *m, enum stop_point_kind kind, u64 at, u64 size)
{
    struct error err = {0};
    ck_assert_msg(stops_add(m, &(struct stop_point){.kind = kind, .at = at, .size = size}, &err), "%s", err.text);
}

/* The address of an instruction that writes ROUNDS, by a watch. */
static u64 writer_of_rounds(void)
{
    struct machine *m = make_machine(ENGINE_INTERP);
    struct error err = {0};
    ck_assert(travel_start(m, &(struct travel_options){0}, &err));
    add(m, POINT_WRITE, ROUNDS, 4);
    ck_assert_int_eq(machine_run(m).reason, STOP_BREAK);
    ck_assert_int_eq(machine_run(m).reason, STOP_BREAK); /* first round again */
    u64 behind = position_of(m);
    ck_assert_int_eq(travel_back_to_stop(m).reason, STOP_BREAK);
    ck_assert_uint_lt(position_of(m), behind);
    u64 rip = m->cpus[0].arch.rip;
    machine_free(m);
    return rip;
}

static void check_hashes(enum engine engine)
{
    u64 code = writer_of_rounds();
    struct machine *plain = make_machine(engine);
    struct machine *m = make_machine(engine);
    add(m, POINT_CODE, code, 0);
    add(m, POINT_CODE_PHYSICAL, code + 6, 0);
    add(m, POINT_ACCESS, TICKS, 4);
    add(m, POINT_EXCEPTION, POINT_ANY, 0);
    add(m, POINT_INTERRUPT, POINT_ANY, 0);
    unsigned seen[POINT_STEP + 1] = {0};
    struct run_result r;
    unsigned n = 0;
    while ((r = machine_run(m)).reason == STOP_BREAK) {
        const struct stop_hit *h = stops_hit(m);
        seen[h->point.kind]++;
        if (h->point.kind == POINT_CODE) {
            ck_assert_uint_eq(m->cpus[h->cpu].arch.rip, code);
            ck_assert_uint_eq(position_of(m), h->position);
        }
        if (n++ % 97 == 0) { /* the same machine as one that only went there */
            plain->stop_at = position_of(m);
            ck_assert_int_eq(machine_run(plain).reason, STOP_POSITION);
            ck_assert_uint_eq(position_of(plain), position_of(m));
            ck_assert_uint_eq(machine_hash(plain), machine_hash(m));
        }
        if (n % 31 == 0) {
            stops_step(m, n & 1);
        }
    }
    ck_assert_int_eq(r.reason, STOP_POWER_OFF);
    plain->stop_at = ~(u64)0;
    ck_assert_int_eq(machine_run(plain).reason, STOP_POWER_OFF);
    ck_assert_uint_eq(machine_hash(plain), machine_hash(m));
    ck_assert_uint_gt(seen[POINT_CODE], 50);
    ck_assert_uint_gt(seen[POINT_CODE_PHYSICAL], 50);
    ck_assert_uint_gt(seen[POINT_ACCESS], 50);
    ck_assert_uint_gt(seen[POINT_EXCEPTION], 0);
    ck_assert_uint_gt(seen[POINT_INTERRUPT], 50);
    ck_assert_uint_gt(seen[POINT_STEP], 10);
    machine_free(plain);
    machine_free(m);
}

START_TEST(test_stops__hashes_interp)
{
    check_hashes(ENGINE_INTERP);
}
END_TEST

START_TEST(test_stops__hashes_jit)
{
#if defined(__x86_64__)
    check_hashes(ENGINE_JIT);
#endif
}
END_TEST

START_TEST(test_stops__back_through_breakpoints)
{
    u64 code = writer_of_rounds();
    struct error err = {0};
    struct machine *m = make_machine(ENGINE_INTERP);
    ck_assert(travel_start(m, &(struct travel_options){.spacing = 30000}, &err));
    add(m, POINT_CODE, code, 0);
    u64 at[60], hash[60];
    for (unsigned i = 0; i < 60; i++) {
        ck_assert_int_eq(machine_run(m).reason, STOP_BREAK);
        at[i] = position_of(m);
        hash[i] = machine_hash(m);
        ck_assert(i == 0 || at[i] > at[i - 1]);
    }
    for (unsigned i = 59; i-- > 0;) {
        ck_assert_int_eq(travel_back_to_stop(m).reason, STOP_BREAK);
        ck_assert_uint_eq(position_of(m), at[i]);
        ck_assert_uint_eq(machine_hash(m), hash[i]);
        ck_assert_int_eq(stops_hit(m)->point.kind, POINT_CODE);
    }
    ck_assert_int_eq(travel_back_to_stop(m).reason, STOP_NONE);
    ck_assert_uint_eq(position_of(m), at[0]);
    for (unsigned i = 1; i < 60; i++) { /* and forward once more */
        ck_assert_int_eq(machine_run(m).reason, STOP_BREAK);
        ck_assert_uint_eq(position_of(m), at[i]);
    }
    machine_free(m);
}
END_TEST

START_TEST(test_stops__second_processor)
{
    struct machine *m = make_machine(ENGINE_INTERP);
    add(m, POINT_WRITE, AP_COUNT, 4);
    for (u32 i = 0; i < 20; i++) {
        struct run_result r = machine_run(m);
        ck_assert_int_eq(r.reason, STOP_BREAK);
        if (phys_read_scalar(&m->phys, SPA(AP_COUNT), 4) != 0) {
            ck_assert_uint_eq(stops_hit(m)->cpu, 1);
        }
    }
    u64 rip = m->cpus[1].arch.rip;
    stops_clear(m);
    stops_step(m, 1);
    ck_assert_int_eq(machine_run(m).reason, STOP_BREAK);
    ck_assert_int_eq(stops_hit(m)->point.kind, POINT_STEP);
    ck_assert_uint_ne(m->cpus[1].arch.rip, rip);
    ck_assert_int_eq(machine_run(m).reason, STOP_POWER_OFF);
    machine_free(m);
}
END_TEST

START_TEST(test_stops__refused)
{
    struct machine *m = make_machine(ENGINE_INTERP);
    struct error err = {0};
    ck_assert(!stops_add(m, &(struct stop_point){.kind = POINT_WRITE, .at = 0xfed00000, .size = 4}, &err));
    ck_assert(!stops_add(m, &(struct stop_point){.kind = POINT_WRITE, .at = 0x1000}, &err));
    ck_assert(!stops_remove(m, &(struct stop_point){.kind = POINT_CODE, .at = 0x1000}));
    machine_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stops");
    TCase *tc = tcase_create("stops");
    tcase_add_test(tc, test_stops__hashes_interp);
    tcase_add_test(tc, test_stops__hashes_jit);
    tcase_add_test(tc, test_stops__back_through_breakpoints);
    tcase_add_test(tc, test_stops__second_processor);
    tcase_add_test(tc, test_stops__refused);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
