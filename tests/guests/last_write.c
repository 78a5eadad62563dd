/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `last-write` of a linear address of a guest that runs under a hypervisor, against a full trace: another machine with
 * the same past, which never goes back, notes every store of a stretch. The guest's addresses are those that its tables
 * map to pages written in the stretch; at each store the trace asks whether the guest, if it made it, had its page at
 * that address then.
 *
 * usage: last_write FROM SPAN COUNT OPTIONS OF vitrine run ...
 * The stretch begins at FROM or later and ends where a guest runs in long mode with paging. */
#include "harness/draw.h"
#include "harness/option_machine.h"

#include "base/state.h"
#include "cpu/tlb.h"
#include "machine/stops.h"
#include "machine/travel.h"

#include <string.h>

#define TRIES 2000u
#define MOST_PAGES 65536u
#define SEARCH_PAGES 32768u /* above and below what registers point to */

static bool is_in_guest(const struct machine *m)
{
    const struct cpu *c = &m->cpus[0];
    return c->arch.guest != GUEST_NONE && c->d.code64 && c->arch.rip >> 63 != 0;
}

/* ---- The full trace ---- */

struct full_trace {
    const struct machine *m;
    u64 *last;  /* by byte of memory: 1 + the position of its last store */
    u8 *by;     /* ... who made it */
    u64 stores, by_guest;
};

enum { BY_NOBODY, BY_GUEST, BY_ANOTHER };

static void note_store(void *self, u64 frame, u64 offset, u64 size)
{
    struct full_trace *t = self;
    const struct clock *clock = &t->m->clock;
    const struct cpu *cpu = clock->running != NULL ? clock->running_cpu : NULL;
    bool guest = cpu != NULL && is_in_guest(t->m);
    t->stores++;
    t->by_guest += guest ? 1 : 0;
    for (u64 i = 0; i < size; i++) {
        t->last[(frame << PAGE_SHIFT) + offset + i] = 1 + position_of(t->m);
        t->by[(frame << PAGE_SHIFT) + offset + i] = guest ? BY_GUEST : BY_ANOTHER;
    }
}

static void trap_all(struct machine *m, struct full_trace *t)
{
    m->phys.trapped_write = note_store;
    m->phys.trapped_self = t;
    for (u64 frame = 0; frame < m->phys.page_count; frame++) {
        m->phys.pages[frame].flags |= PAGE_TRAPPED;
        tlb_withdraw_write(&m->set, frame);
    }
}

/* ---- The guest's addresses ---- */

struct place {
    u64 lin;
    u64 at; /* in the machine's memory */
};

static bool stored_in(const struct full_trace *t, u64 frame)
{
    for (u64 i = 0; i < PAGE_SIZE; i++) {
        if (t->by[(frame << PAGE_SHIFT) + i] == BY_GUEST) {
            return true;
        }
    }
    return false;
}

static size_t find_pages(const struct full_trace *t, u64 around, struct place *pages, size_t count)
{
    u64 first = (around & ~PAGE_MASK) - (u64)SEARCH_PAGES * PAGE_SIZE;
    for (u64 i = 0; i < 2 * (u64)SEARCH_PAGES && count < MOST_PAGES; i++) {
        u64 lin = first + i * PAGE_SIZE, frame;
        spa_t spa;
        u8 *host;
        bool writable;
        if (stops_translate(t->m, 0, lin, &spa) && phys_page(&t->m->phys, spa, &frame, &host, &writable) &&
            stored_in(t, frame)) {
            pages[count++] = (struct place){lin, frame << PAGE_SHIFT};
        }
    }
    return count;
}

/* ---- One question ---- */

struct score {
    unsigned right, moved, nobody;
};

static void ask(struct machine *m, const struct full_trace *t, u64 lin, u64 at, u64 size, struct score *score)
{
    u64 start = position_of(m), wanted = 0;
    spa_t spa, then;
    for (u64 i = 0; i < size; i++) {
        wanted = t->last[at + i] > wanted ? t->last[at + i] : wanted;
    }
    if (wanted == 0 || !stops_translate(m, 0, lin, &spa)) {
        return;
    }
    struct run_result r = travel_last_write(m, spa, size);
    if (r.reason != STOP_POSITION || position_of(m) != wanted - 1) {
        (void)fprintf(stderr, "FAIL: %llx, %llu bytes: %s at %llu, the full trace has %llu\n", (unsigned long long)lin,
                      (unsigned long long)size, stop_reason_name(r.reason), (unsigned long long)position_of(m),
                      (unsigned long long)wanted - 1);
        exit(1);
    }
    /* The address meant the same page at that moment, if the guest made the store itself. */
    bool guest = is_in_guest(m);
    bool same = guest && stops_translate(m, 0, lin, &then) && then.v == spa.v;
    score->right++;
    score->moved += guest && !same ? 1 : 0;
    score->nobody += guest ? 0 : 1;
    if (travel_to(m, start).reason != STOP_POSITION) {
        (void)fprintf(stderr, "FAIL: no way back to %llu\n", (unsigned long long)start);
        exit(1);
    }
}

/* ---- The two machines ---- */

static struct machine *twin(struct machine *m, const struct run_options *o)
{
    struct machine *other = machine_of_options(o);
    struct state_io save, load;
    state_init_save(&save);
    machine_state(m, &save);
    state_init_load(&load, save.data, save.len);
    machine_state(other, &load);
    state_free(&save);
    if (load.failed || machine_hash(m) != machine_hash(other)) {
        (void)fprintf(stderr, "FAIL: the machine could not be copied\n");
        exit(1);
    }
    return other;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct run_options o;
    struct score score = {0};
    if (argc < 5) {
        (void)fprintf(stderr, "usage: last_write FROM SPAN COUNT OPTIONS\n");
        return EXIT_STATUS_USAGE;
    }
    u64 span = strtoull(argv[2], NULL, 0);
    unsigned count = (unsigned)atoi(argv[3]);
    take_options(&o, argc - 4, argv + 4);
    struct machine *m = machine_of_options(&o);
    run_machine_to(m, strtoull(argv[1], NULL, 0));
    for (unsigned i = 0; i < TRIES && !is_in_guest(m); i++) {
        run_machine_to(m, position_of(m) + 1000003);
    }
    struct machine *plain = twin(m, &o);
    struct full_trace t = {.m = plain, .last = calloc(m->phys.ram_bytes, sizeof(u64)), .by = calloc(m->phys.ram_bytes, 1)};
    struct place *pages = calloc(MOST_PAGES, sizeof *pages);
    if (!is_in_guest(m) || t.last == NULL || t.by == NULL || pages == NULL || !travel_start(m, NULL, &err)) {
        (void)fprintf(stderr, "FAIL: no guest runs %s\n", err.text);
        return 1;
    }
    u64 end = position_of(m) + span;
    run_machine_to(m, end);
    for (unsigned i = 0; i < TRIES && !is_in_guest(m); i++) {
        run_machine_to(m, position_of(m) + 997);
    }
    trap_all(plain, &t);
    run_machine_to(plain, position_of(m));
    if (!is_in_guest(plain) || machine_hash(plain) != machine_hash(m)) {
        (void)fprintf(stderr, "FAIL: the full trace is of another run\n");
        return 1;
    }
    const struct cpu *c = &plain->cpus[0];
    const u64 around[] = {c->arch.gpr[RSP], c->arch.rip, c->d.seg_base[SEG_GS]};
    size_t found = 0;
    for (unsigned i = 0; i < ARRAY_LEN(around); i++) {
        found = find_pages(&t, around[i], pages, found);
    }
    for (u64 tries = 0; found > 0 && score.right < count && tries < 1000000; tries++) {
        const struct place *p = &pages[draw() % found];
        u64 offset = draw() % PAGE_SIZE, size = 1 + draw() % 8;
        if (offset + size <= PAGE_SIZE && t.last[p->at + offset] != 0) {
            ask(m, &t, p->lin + offset, p->at + offset, size, &score);
        }
    }
    (void)printf("%llu stores up to %llu, %llu of the guest; %zu of its pages; %u last writes right, %u by its hypervisor, %u where "
                 "the address meant another page then\n",
                 (unsigned long long)t.stores, (unsigned long long)position_of(m), (unsigned long long)t.by_guest, found, score.right,
                 score.nobody, score.moved);
    free(pages);
    free(t.last);
    free(t.by);
    machine_free(plain);
    machine_free(m);
    options_free(&o);
    return score.right == count ? 0 : 1;
}
