/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the state visitor visits is the machine: a machine saved anywhere, loaded into another one of the
 * same configuration in the same process, runs on to the same hash; and what is derived (translations,
 * decoded code) may be dropped at any boundary. The guest (tests/guests/tiny/moments.S) goes through real,
 * protected, paged and long mode with timers, serial output, system management and two processors. */
#include "machine_rig.h"
#include "tests/harness/draw.h"
#include "unit.h"

#include <stdlib.h>

#define CPUS 2
#define STEPS 12        /* places where the machine is saved */
#define FAR 1000000000u /* far behind the guest's end */

static struct machine *make_machine(const char *model)
{
    struct machine_config c = small_config(model);
    c.cpus = CPUS;
    c.kernel = TINY_DIR "/moments.elf";
    struct machine *m = machine_of(&c);
    /* The guest brings a handler for the SMBASE of reset; a direct boot leaves one that only returns. */
    for (unsigned i = 0; i < m->set.count; i++) {
        m->set.cpu[i]->arch.smbase = 0x30000;
    }
    return m;
}

/* Run to a position; what the run came to. */
static struct run_result run_to(struct machine *m, u64 position)
{
    m->config.max_instructions = position;
    return machine_run(m);
}

static u64 run_to_end(struct machine *m)
{
    struct run_result r = run_to(m, FAR);
    ck_assert_int_eq(r.reason, STOP_POWER_OFF);
    return clock_position(&m->clock).n;
}

static void drop_derived(struct machine *m)
{
    code_flush(&m->set, &m->phys);
    for (unsigned i = 0; i < m->set.count; i++) {
        tlb_drop_all(m->set.cpu[i]);
    }
}

/* Modes of the first processor, to see that a test went through all. */
enum { SAW_REAL = 1, SAW_PROTECTED = 2, SAW_PAGED = 4, SAW_LONG = 8, SAW_SMM = 16, SAW_ALL = 31 };

static unsigned mode_seen(const struct machine *m)
{
    const struct cpu_arch *a = &m->set.cpu[0]->arch;
    return (a->in_smm                        ? SAW_SMM
            : (a->efer & EFER_LMA) != 0      ? SAW_LONG
            : (a->cr0 & CR0_PG) != 0         ? SAW_PAGED
            : (a->cr0 & CR0_PE) != 0         ? SAW_PROTECTED
                                             : SAW_REAL);
}

static void copy_state(struct machine *from, struct machine *to)
{
    struct state_io save, load;
    state_init_save(&save);
    machine_state(from, &save);
    state_init_load(&load, save.data, save.len);
    machine_state(to, &load);
    ck_assert_msg(!load.failed, "the state does not load: %s", load.where);
    ck_assert_uint_eq(load.pos, save.len);
    ck_assert_uint_eq(machine_hash(to), machine_hash(from));
    state_free(&save);
}

/* The first parts of two states that differ, for the message. */
static void show_difference(struct machine *a, struct machine *b)
{
    char *text[2] = {NULL, NULL};
    size_t size[2];
    struct machine *m[2] = {a, b};
    for (unsigned i = 0; i < 2; i++) {
        FILE *f = open_memstream(&text[i], &size[i]);
        struct state_io io;
        state_init_print(&io, f);
        machine_state(m[i], &io);
        (void)fclose(f);
    }
    char *save[2];
    char *l0 = strtok_r(text[0], "\n", &save[0]);
    char *l1 = strtok_r(text[1], "\n", &save[1]);
    for (unsigned shown = 0; l0 != NULL && l1 != NULL && shown < 10;) {
        if (strcmp(l0, l1) != 0) {
            (void)printf("%.150s\n  against %.150s\n", l0, l1);
            shown++;
        }
        l0 = strtok_r(NULL, "\n", &save[0]);
        l1 = strtok_r(NULL, "\n", &save[1]);
    }
    free(text[0]);
    free(text[1]);
}

static void check_equal(struct machine *a, struct machine *b, const char *what, u64 position)
{
    ck_assert_uint_eq(clock_position(&a->clock).n, clock_position(&b->clock).n);
    if (machine_hash(a) != machine_hash(b)) {
        show_difference(a, b);
        ck_abort_msg("%s: states differ; saved at position %llu", what, (unsigned long long)position);
    }
}

/* One more snapshot, at a position where the guest is in a mode that `seen` lacks, found by trying. */
static unsigned check_missing_mode(const char *model, u64 end, u64 end_hash, unsigned seen)
{
    struct machine *a = make_machine(model);
    for (u64 position = 0; (mode_seen(a) & ~seen) == 0;) {
        position += 1 + draw() % 97;
        ck_assert_msg(position < end, "the guest is never in the modes %x", SAW_ALL & ~seen);
        ck_assert_int_eq(run_to(a, position).reason, STOP_LIMIT);
    }
    struct machine *b = make_machine(model);
    copy_state(a, b);
    ck_assert_uint_eq(run_to_end(b), end);
    ck_assert_uint_eq(machine_hash(b), end_hash);
    seen |= mode_seen(a);
    machine_free(b);
    machine_free(a);
    return seen;
}

static void check_snapshots(const char *model, u64 seed)
{
    struct machine *m = make_machine(model);
    u64 end = run_to_end(m);
    u64 end_hash = machine_hash(m);
    machine_free(m);
    struct machine *a = make_machine(model);
    unsigned seen = 0;
    draw_state = seed;
    for (u64 i = 1; i <= STEPS; i++) {
        u64 position = end * i / (STEPS + 1) + draw() % 997;
        ck_assert_int_eq(run_to(a, position).reason, STOP_LIMIT);
        seen |= mode_seen(a);
        struct machine *b = make_machine(model);
        (void)run_to(b, draw() % end); /* whatever it was before */
        copy_state(a, b);
        ck_assert_int_eq(run_to(a, position + 1000).reason, STOP_LIMIT);
        ck_assert_int_eq(run_to(b, position + 1000).reason, STOP_LIMIT);
        check_equal(a, b, "1000 counts after loading", position);
        ck_assert_uint_eq(run_to_end(b), end);
        ck_assert_msg(machine_hash(b) == end_hash, "the end differs; saved at %llu", (unsigned long long)position);
        machine_free(b);
    }
    ck_assert_uint_eq(run_to_end(a), end);
    ck_assert_uint_eq(machine_hash(a), end_hash);
    machine_free(a);
    while (seen != SAW_ALL) {
        seen = check_missing_mode(model, end, end_hash, seen);
    }
}

START_TEST(test_snapshot__loads_into_another_machine_intel)
{
    check_snapshots("intel", 88172645463325252u);
}
END_TEST

START_TEST(test_snapshot__loads_into_another_machine_amd)
{
    check_snapshots("amd", 362436069u);
}
END_TEST

/* Each instruction around a system management interrupt, and each around every change of mode. */
START_TEST(test_snapshot__in_system_management_mode)
{
    struct machine *a = make_machine("intel");
    struct machine *b = make_machine("intel");
    unsigned found = 0;
    for (u64 position = 1; found < 3 && run_to(a, position).reason == STOP_LIMIT; position += 500) {
        if (!a->set.cpu[0]->arch.in_smm) {
            continue;
        }
        found++;
        copy_state(a, b);
        (void)run_to(a, position + 10000);
        (void)run_to(b, position + 10000);
        check_equal(a, b, "from SMM", position);
        position += 10000;
    }
    ck_assert_uint_eq(found, 3);
    machine_free(a);
    machine_free(b);
}
END_TEST

/* Slices of random length, everything derived dropped between them. */
START_TEST(test_snapshot__derived_state_may_go)
{
    struct machine *whole = make_machine("intel");
    u64 end = run_to_end(whole);
    draw_state = 0x2545f4914f6cdd1du;
    struct machine *m = make_machine("intel");
    struct machine *plain = make_machine("intel");
    u64 compared = 0;
    for (u64 position = 0; position < end;) {
        u64 step = draw() % 8 == 0 ? 1 + draw() % 4000 : 1 + draw() % 300;
        position += step;
        struct run_result r = run_to(m, position);
        if (r.reason == STOP_POWER_OFF) {
            break;
        }
        ck_assert_int_eq(r.reason, STOP_LIMIT);
        drop_derived(m);
        if (position > compared + end / 10) {
            compared = position;
            ck_assert_int_eq(run_to(plain, position).reason, STOP_LIMIT);
            check_equal(m, plain, "with derived state dropped", position);
        }
    }
    check_equal(m, whole, "at the end", end);
    machine_free(m);
    machine_free(plain);
    machine_free(whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tc = tcase_create("snapshot");
    tcase_add_test(tc, test_snapshot__loads_into_another_machine_intel);
    tcase_add_test(tc, test_snapshot__loads_into_another_machine_amd);
    tcase_add_test(tc, test_snapshot__in_system_management_mode);
    tcase_add_test(tc, test_snapshot__derived_state_may_go);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
