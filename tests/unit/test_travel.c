/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Going back: at any position the machine is the one that was there the first time, with input from
 * outside too, however few checkpoints memory allows; and the last write of an address is the last. The
 * guest (tests/guests/tiny/moments.S) goes through all modes with timers, interrupts and two processors. */
#include "cpu/tlb.h"
#include "machine/travel.h"
#include "machine_rig.h"
#include "tests/harness/draw.h"
#include "unit.h"

#include <stdlib.h>

#define PLACES 40u
#define ROUNDS 0x504u /* the guest's counter of its loops */

static struct machine *make_machine(void)
{
    struct machine_config c = small_config("intel");
    c.cpus = 2;
    c.kernel = TINY_DIR "/moments.elf";
    c.serial[0].input = CONSOLE_INPUT_LIVE;
    return machine_of(&c);
}

struct place {
    u64 position, hash;
};

/* Type something at some positions; a host would do it at moments of its own. */
static void run_to(struct machine *m, u64 position)
{
    m->stop_at = position;
    while (position_of(m) < position) {
        struct run_result r = machine_run(m);
        if (r.reason != STOP_POSITION) {
            break;
        }
        static const u8 key[] = "k";
        gate_offer(&m->gate, GATE_CONSOLE0, key, 1);
    }
    m->stop_at = ~(u64)0;
}

/* The first time: hashes at places all over the run, then its end. */
static u64 run_once(struct machine *m, struct place *places, u64 step)
{
    for (unsigned i = 0; i < PLACES; i++) {
        run_to(m, (i + 1) * step + draw() % 700);
        places[i].position = position_of(m);
    }
    ck_assert_int_eq(machine_run(m).reason, STOP_POWER_OFF);
    return position_of(m);
}

static u64 length_of_run(void)
{
    struct machine *m = make_machine();
    ck_assert_int_eq(machine_run(m).reason, STOP_POWER_OFF);
    u64 end = position_of(m);
    machine_free(m);
    return end;
}

static void check_places(u64 spacing, u64 memory)
{
    struct error err = {0};
    struct place places[PLACES];
    struct travel_options options = {.spacing = spacing, .memory = memory};
    draw_state = DRAW_SEED;
    u64 step = length_of_run() / (PLACES + 8);
    struct machine *m = make_machine();
    ck_assert(travel_start(m, &options, &err));
    u64 end = run_once(m, places, step);
    u64 end_hash = machine_hash(m);
    /* The same input once more, without ever going back. */
    struct machine *plain = make_machine();
    draw_state = DRAW_SEED;
    for (unsigned i = 0; i < PLACES; i++) {
        run_to(plain, (i + 1) * step + draw() % 700);
        ck_assert_uint_eq(position_of(plain), places[i].position);
        places[i].hash = machine_hash(plain);
    }
    ck_assert_int_eq(machine_run(plain).reason, STOP_POWER_OFF);
    ck_assert_uint_eq(machine_hash(plain), end_hash);
    machine_free(plain);
    for (unsigned i = 0; i < 3 * PLACES; i++) {
        const struct place *p = &places[draw() % PLACES];
        ck_assert_int_eq(travel_to(m, p->position).reason, STOP_POSITION);
        ck_assert_uint_eq(position_of(m), p->position);
        ck_assert_msg(machine_hash(m) == p->hash, "the state at %llu differs",
                      (unsigned long long)p->position);
        ck_assert(memory == 0 || travel_figures(m).bytes <= memory + MIB(1));
    }
    ck_assert(travel_is_in_past(m));
    while (position_of(m) < end) {
        ck_assert_int_eq(machine_run(m).reason, STOP_POWER_OFF);
    }
    ck_assert_uint_eq(position_of(m), end);
    ck_assert_uint_eq(machine_hash(m), end_hash);
    machine_free(m);
}

START_TEST(test_travel__places)
{
    check_places(20000, 0);
}
END_TEST

START_TEST(test_travel__little_memory)
{
    check_places(5000, MIB(2));
}
END_TEST

/* ---- How far apart the checkpoints are ---- */

struct host {
    struct machine *m;
    u64 ns_per_count, slow_from, slow_ns_per_count;
};

/* What a host would have spent that needs so long for a count, and longer from some position on. */
static u64 spent(void *self)
{
    const struct host *h = self;
    u64 p = position_of(h->m);
    u64 slow = p > h->slow_from ? p - h->slow_from : 0;
    return (p - slow) * h->ns_per_count + slow * h->slow_ns_per_count;
}

static u64 spacing_at(struct machine *m, u64 position)
{
    ck_assert_int_eq(travel_to(m, position).reason, STOP_POSITION);
    return travel_figures(m).spacing;
}

static struct machine *spinning_machine(void)
{
    struct machine_config c = small_config("intel");
    c.kernel = TINY_DIR "/spin.elf";
    return machine_of(&c);
}

/* Checkpoints come as close as it takes to run from one to the next in TRAVEL_REPLAY_NS, whatever that is in counts; a
 * spacing that was asked for stays; and none of it changes the machine. */
START_TEST(test_travel__spacing_adapts)
{
    struct error err = {0};
    struct host h = {.ns_per_count = 4, .slow_from = 60000000, .slow_ns_per_count = 40};
    struct machine *m = h.m = spinning_machine();
    ck_assert(travel_start(m, &(struct travel_options){.spent = spent, .spent_self = &h}, &err));
    ck_assert_uint_eq(travel_figures(m).spacing, TRAVEL_SPACING);
    u64 fast = spacing_at(m, h.slow_from);
    ck_assert_uint_eq(fast, TRAVEL_REPLAY_NS / h.ns_per_count);
    u64 before = travel_figures(m).count;
    u64 slow = spacing_at(m, h.slow_from + 22000000);
    ck_assert_uint_eq(slow, TRAVEL_REPLAY_NS / h.slow_ns_per_count);
    ck_assert_uint_ge(travel_figures(m).count - before, 6);
    u64 hash = machine_hash(m), end = position_of(m);
    ck_assert_int_eq(travel_step_back(m).reason, STOP_POSITION);
    ck_assert_int_eq(travel_to(m, end).reason, STOP_POSITION);
    ck_assert_uint_eq(machine_hash(m), hash);
    machine_free(m);

    m = h.m = spinning_machine();
    ck_assert(travel_start(m, &(struct travel_options){.spacing = 7000000, .spent = spent, .spent_self = &h}, &err));
    ck_assert_uint_eq(spacing_at(m, end), 7000000);
    ck_assert_uint_eq(position_of(m), end);
    ck_assert_uint_eq(machine_hash(m), hash);
    machine_free(m);
}
END_TEST

START_TEST(test_travel__step_back)
{
    struct error err = {0};
    struct travel_options options = {.spacing = 50000};
    struct machine *m = make_machine();
    ck_assert(travel_start(m, &options, &err));
    struct place seen[200];
    unsigned count = 0;
    ck_assert_int_eq(travel_to(m, 300000).reason, STOP_POSITION);
    while (count < ARRAY_LEN(seen)) { /* forward, one moment after the other */
        seen[count++] = (struct place){position_of(m), machine_hash(m)};
        ck_assert_int_eq(travel_to(m, position_of(m) + 1).reason, STOP_POSITION);
    }
    while (count-- > 0) {
        ck_assert_int_eq(travel_step_back(m).reason, STOP_POSITION);
        ck_assert_uint_eq(position_of(m), seen[count].position);
        ck_assert_uint_eq(machine_hash(m), seen[count].hash);
    }
    machine_free(m);
}
END_TEST

static u32 rounds(struct machine *m)
{
    return (u32)phys_read_scalar(&m->phys, SPA(ROUNDS), 4);
}

/* Code that the guest rewrites all the time is, after going back, the code that was there: decoded and translated. */
static void check_rewritten_code(enum engine engine)
{
    struct error err = {0};
    struct place seen[60];
    struct machine_config c = small_config("intel");
    c.engine = engine;
    c.jit_threshold = 2;
    c.kernel = TINY_DIR "/rewrite.elf";
    struct machine *m = machine_of(&c);
    ck_assert(travel_start(m, &(struct travel_options){.spacing = 3000}, &err));
    draw_state = DRAW_SEED;
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
        ck_assert_int_eq(travel_to(m, position_of(m) + 1 + draw() % 2000).reason, STOP_POSITION);
        seen[i] = (struct place){position_of(m), machine_hash(m)};
    }
    for (unsigned i = 0; i < 3 * ARRAY_LEN(seen); i++) {
        const struct place *p = &seen[draw() % ARRAY_LEN(seen)];
        ck_assert_int_eq(travel_to(m, p->position).reason, STOP_POSITION);
        ck_assert_msg(machine_hash(m) == p->hash, "the state at %llu differs", (unsigned long long)p->position);
    }
    machine_free(m);
}

START_TEST(test_travel__rewritten_code)
{
    check_rewritten_code(ENGINE_INTERP);
    check_rewritten_code(ENGINE_JIT);
}
END_TEST

START_TEST(test_travel__last_write)
{
    struct error err = {0};
    struct travel_options options = {.spacing = 30000};
    struct machine *m = make_machine();
    ck_assert(travel_start(m, &options, &err));
    run_to(m, 900000);
    u64 start = position_of(m);
    for (unsigned i = 0; i < 20; i++) {
        u32 before = rounds(m);
        ck_assert_int_eq(travel_last_write(m, SPA(ROUNDS), 4).reason, STOP_POSITION);
        u64 at = position_of(m);
        ck_assert_uint_lt(at, start);
        ck_assert_uint_eq(rounds(m), before - 1); /* not yet written */
        ck_assert_int_eq(travel_to(m, at + 1).reason, STOP_POSITION);
        ck_assert_uint_eq(rounds(m), before);
        ck_assert_int_eq(travel_to(m, at).reason, STOP_POSITION);
        start = at;
    }
    machine_free(m);
}
END_TEST

/* ---- Against a full trace ----
 *
 * Another machine, which has no checkpoints and never goes back, notes every store to every page. */
struct full_trace {
    const struct machine *m;
    u64 *last; /* by byte of memory: 1 + the position of its last store; 0: none */
};

static void note_store(void *self, u64 frame, u64 offset, u64 size)
{
    struct full_trace *t = self;
    for (u64 i = 0; i < size; i++) {
        t->last[(frame << PAGE_SHIFT) + offset + i] = 1 + position_of(t->m);
    }
}

START_TEST(test_travel__last_write_against_full_trace)
{
    struct error err = {0};
    const u64 end = 400000;
    struct machine *plain = make_machine();
    struct full_trace t = {.m = plain, .last = calloc(MIB(16), sizeof(u64))};
    plain->phys.trapped_write = note_store;
    plain->phys.trapped_self = &t;
    for (u64 frame = 0; frame < MIB(16) >> PAGE_SHIFT; frame++) {
        plain->phys.pages[frame].flags |= PAGE_TRAPPED;
        tlb_withdraw_write(&plain->set, frame);
    }
    run_to(plain, end);
    struct travel_options options = {.spacing = 30000};
    struct machine *m = make_machine();
    ck_assert(travel_start(m, &options, &err));
    run_to(m, end);
    u64 start = position_of(m);
    ck_assert_uint_eq(position_of(plain), start);
    u64 *stores = calloc(MIB(16), sizeof *stores);
    u64 count = 0;
    for (u64 at = 0; at < MIB(16); at++) {
        if (t.last[at] != 0) {
            stores[count++] = at;
        }
    }
    ck_assert_uint_gt(count, 100);
    draw_state = DRAW_SEED;
    for (unsigned i = 0; i < 120; i++) {
        /* One in six anywhere; ranges up to eight bytes within a page. */
        u64 at = i % 6 == 5 ? draw() % MIB(16) : stores[draw() % count];
        u64 size = 1 + draw() % 8;
        u64 wanted = 0;
        size = (at & PAGE_MASK) + size > PAGE_SIZE ? 1 : size;
        if (phys_spa_of_frame(&m->phys, at >> PAGE_SHIFT) != (at & ~PAGE_MASK)) {
            continue; /* SMRAM: no memory outside SMM */
        }
        for (u64 k = 0; k < size; k++) {
            wanted = t.last[at + k] > wanted ? t.last[at + k] : wanted;
        }
        struct run_result r = travel_last_write(m, SPA(at), size);
        if (wanted == 0) {
            ck_assert_int_eq(r.reason, STOP_NONE);
            ck_assert_uint_eq(position_of(m), start);
        } else {
            ck_assert_msg(r.reason == STOP_POSITION, "%llx, %llu bytes: %s, the trace has %llu", (unsigned long long)at,
                          (unsigned long long)size, stop_reason_name(r.reason), (unsigned long long)wanted - 1);
            ck_assert_msg(position_of(m) == wanted - 1, "%llx, %llu bytes: at %llu, the trace has %llu",
                          (unsigned long long)at, (unsigned long long)size, (unsigned long long)position_of(m),
                          (unsigned long long)wanted - 1);
            ck_assert_int_eq(travel_to(m, start).reason, STOP_POSITION);
        }
    }
    free(stores);
    free(t.last);
    machine_free(m);
    machine_free(plain);
}
END_TEST

START_TEST(test_travel__nobody_wrote)
{
    struct error err = {0};
    struct travel_options options = {.spacing = 30000};
    struct machine *m = make_machine();
    ck_assert(travel_start(m, &options, &err));
    run_to(m, 200000);
    u64 hash = machine_hash(m);
    u64 position = position_of(m);
    ck_assert_int_eq(travel_last_write(m, SPA(0x700000), 8).reason, STOP_NONE);
    ck_assert_uint_eq(position_of(m), position);
    ck_assert_uint_eq(machine_hash(m), hash);
    ck_assert_int_eq(travel_last_write(m, SPA(0xfed00000), 8).reason, STOP_ERROR); /* no memory */
    machine_free(m);
}
END_TEST

START_TEST(test_travel__before_the_first)
{
    struct error err = {0};
    struct travel_options options = {0};
    struct machine *m = make_machine();
    run_to(m, 5000);
    ck_assert(travel_start(m, &options, &err));
    u64 first = position_of(m);
    u64 hash = machine_hash(m);
    run_to(m, 90000);
    ck_assert_int_eq(travel_to(m, first - 1).reason, STOP_ERROR);
    ck_assert_int_eq(travel_to(m, first).reason, STOP_POSITION);
    ck_assert_uint_eq(machine_hash(m), hash);
    machine_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("travel");
    TCase *tc = tcase_create("travel");
    tcase_add_test(tc, test_travel__places);
    tcase_add_test(tc, test_travel__little_memory);
    tcase_add_test(tc, test_travel__spacing_adapts);
    tcase_add_test(tc, test_travel__step_back);
    tcase_add_test(tc, test_travel__rewritten_code);
    tcase_add_test(tc, test_travel__last_write);
    tcase_add_test(tc, test_travel__last_write_against_full_trace);
    tcase_add_test(tc, test_travel__nobody_wrote);
    tcase_add_test(tc, test_travel__before_the_first);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
