/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/travel.h"

#include "base/assert.h"
#include "cpu/decode/block.h"
#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "machine/evidence.h"
#include "machine/stops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* On the way to a wanted position, checkpoints this far before it make the next steps back cheap. */
static const u64 finer[] = {1000000, 50000, 2000};

struct checkpoint {
    u64 position;
    struct gate_place gate;
    u64 seen; /* machine->seen */
    u8 *state; /* of all but memory */
    size_t size;
    struct page_log pages; /* as they were here, of those written before the next checkpoint */
};

struct travel {
    struct travel_options options;
    struct checkpoint **points; /* in order of position; at least one */
    unsigned count, cap;
    u64 next;                    /* where the next one is due */
    u64 spacing;                 /* ... after the last one */
    u64 spent;                   /* by the host, when the run from the last one began */
    u64 target;                  /* finer checkpoints before it; 0: none wanted */
    u64 front_position, front_time; /* how far the machine has been */
    bool in_past;
    u32 trace_classes, log_classes; /* in_past: what is switched off meanwhile */
};

/* ---- Checkpoints ---- */

static void free_checkpoint(struct checkpoint *c)
{
    page_log_clear(&c->pages);
    free(c->state);
    free(c);
}

static u64 checkpoint_bytes(const struct checkpoint *c)
{
    return sizeof *c + c->size + c->pages.bytes;
}

/* Take the i-th away; what it held goes to the one before it. */
static void remove_checkpoint(struct travel *t, unsigned i)
{
    page_log_append(&t->points[i - 1]->pages, &t->points[i]->pages);
    free_checkpoint(t->points[i]);
    memmove(&t->points[i], &t->points[i + 1], (t->count - i - 1) * sizeof *t->points);
    t->count--;
}

/* The checkpoint that is missed least: the gap that it would leave, against its distance from here. */
static unsigned least_missed(const struct travel *t, u64 position)
{
    unsigned best = 0;
    double best_score = 0;
    for (unsigned i = 1; i + 1 < t->count; i++) {
        double gap = (double)(t->points[i + 1]->position - t->points[i - 1]->position);
        double score = gap / (double)(position - t->points[i]->position + 1);
        if (best == 0 || score < best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static u64 total_bytes(const struct travel *t)
{
    u64 bytes = 0;
    for (unsigned i = 0; i < t->count; i++) {
        bytes += checkpoint_bytes(t->points[i]);
    }
    return bytes;
}

static void keep_within_memory(struct travel *t, u64 position)
{
    while (total_bytes(t) > t->options.memory) {
        unsigned i = least_missed(t, position);
        if (i == 0) {
            return; /* the first and the last one stay */
        }
        remove_checkpoint(t, i);
    }
}

/* ---- How far apart ---- */

static u64 host_spent(void *self)
{
    UNUSED(self);
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (u64)t.tv_sec * NS_PER_SEC + (u64)t.tv_nsec;
}

static u64 spent_now(const struct travel *t)
{
    return t->options.spent(t->options.spent_self);
}

/* From the last checkpoint to a new one it went `counts`, which cost `run` ns, and `taking` for the new one. */
static void adapt_spacing(struct travel *t, u64 counts, u64 run, u64 taking)
{
    if (t->options.spacing != 0 || counts < TRAVEL_SPACING_LEAST || run == 0) {
        return; /* the user's choice; or too few to say anything */
    }
    u64 aim = 10 * taking > TRAVEL_REPLAY_NS ? 10 * taking : TRAVEL_REPLAY_NS;
    double wanted = (double)counts * (double)aim / (double)run;
    double low = (double)t->spacing / 2, high = (double)t->spacing * 2; /* one odd stretch does not decide */
    wanted = wanted < low ? low : wanted > high ? high : wanted;
    t->spacing = wanted < TRAVEL_SPACING_LEAST  ? TRAVEL_SPACING_LEAST
                 : wanted > TRAVEL_SPACING_MOST ? TRAVEL_SPACING_MOST
                                                : (u64)wanted;
}

/* Where the next one is due; never at a position that is past: its gate point does not come again. */
static void find_next(struct travel *t, u64 now)
{
    u64 due = t->points[t->count - 1]->position + t->spacing;
    t->next = due > now ? due : now + 1;
    for (unsigned i = 0; i < ARRAY_LEN(finer); i++) {
        if (t->target > now + finer[i] && t->target - finer[i] < t->next) {
            t->next = t->target - finer[i];
        }
    }
}

static void take_checkpoint(struct machine *m)
{
    struct travel *t = m->travel;
    u64 began = spent_now(t);
    if (t->count > 0) {
        page_log_pack(&t->points[t->count - 1]->pages);
    }
    if (t->count == t->cap) {
        unsigned cap = 2 * t->cap + 16;
        struct checkpoint **grown = realloc(t->points, cap * sizeof(struct checkpoint *));
        sim_assert(grown != NULL);
        t->points = grown;
        t->cap = cap;
    }
    struct checkpoint *c = calloc(1, sizeof *c);
    sim_assert(c != NULL);
    tlb_start_epoch(&m->set, &m->phys);
    struct state_io io;
    state_init_save(&io);
    io.without_ram = true;
    machine_state(m, &io);
    c->position = clock_position(&m->clock).n;
    c->gate = gate_place(&m->gate);
    c->seen = m->seen;
    c->state = io.data;
    c->size = io.len;
    t->points[t->count++] = c;
    m->phys.page_log = &c->pages;
    u64 from = t->count > 1 ? t->points[t->count - 2]->position : c->position;
    keep_within_memory(t, c->position);
    u64 now = spent_now(t);
    adapt_spacing(t, c->position - from, began - t->spent, now - began);
    t->spent = now;
    find_next(t, c->position);
}

static void note_front(struct machine *m)
{
    struct travel *t = m->travel;
    u64 position = clock_position(&m->clock).n;
    u64 time = clock_now(&m->clock).ns;
    if (position > t->front_position || (position == t->front_position && time > t->front_time)) {
        t->front_position = position;
        t->front_time = time;
    }
}

static void forget_code(void *self, u32 frame, u64 offset, u64 size)
{
    struct machine *m = self;
    code_invalidate(&m->set, &m->phys, frame, offset, size);
}

/* Back to the i-th checkpoint. Later ones are forgotten: they come again. */
static void rewind_to(struct machine *m, unsigned i)
{
    struct travel *t = m->travel;
    struct checkpoint *c = t->points[i];
    const struct page_log_hook hook = {.code_changes = forget_code, .self = m};
    note_front(m);
    if (!t->in_past) {
        t->in_past = true;
        t->trace_classes = m->trace.recorded;
        t->log_classes = m->log.classes;
        trace_set_recorded(&m->trace, 0);
        m->log.classes = 0;
    }
    gate_rewind(&m->gate, &c->gate);
    m->seen = c->seen;
    m->phys.page_log = NULL;
    for (unsigned k = t->count; k-- > i;) {
        page_log_undo(&t->points[k]->pages, &m->phys, &hook);
        page_log_clear(&t->points[k]->pages);
        if (k > i) {
            free_checkpoint(t->points[k]);
        }
    }
    t->count = i + 1;
    struct state_io io;
    state_init_load(&io, c->state, c->size);
    io.without_ram = true;
    machine_state(m, &io);
    sim_assert(!io.failed && io.pos == c->size);
    tlb_start_epoch(&m->set, &m->phys);
    m->phys.page_log = &c->pages;
    m->requests = (struct machine_requests){0};
    m->error = (struct error){0};
    m->log.strict_hit = false;
    m->quit = false;
    evidence_rewind(m);
    t->spent = spent_now(t);
    find_next(t, c->position);
    stops_rearm(m);
}

/* The last checkpoint at or before a position; ~0: none. */
static unsigned checkpoint_before(const struct travel *t, u64 position)
{
    unsigned i = t->count;
    while (i > 0 && t->points[i - 1]->position > position) {
        i--;
    }
    return i - 1;
}

bool travel_start(struct machine *m, const struct travel_options *options, struct error *err)
{
    if (m->travel != NULL) {
        return true;
    }
    m->travel = calloc(1, sizeof *m->travel);
    if (m->travel == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    struct travel_options *o = &m->travel->options;
    *o = options != NULL ? *options
                         : (struct travel_options){.spacing = m->config.travel_spacing,
                                                   .memory = m->config.travel_memory};
    o->spent = o->spent != NULL ? o->spent : host_spent;
    m->travel->spacing = o->spacing != 0 ? o->spacing : TRAVEL_SPACING;
    o->memory = o->memory != 0 ? o->memory : TRAVEL_MEMORY;
    gate_keep(&m->gate);
    note_front(m);
    take_checkpoint(m);
    return true;
}

void travel_stop(struct machine *m)
{
    struct travel *t = m->travel;
    if (t == NULL) {
        return;
    }
    for (unsigned i = 0; i < t->count; i++) {
        free_checkpoint(t->points[i]);
    }
    if (t->in_past) { /* what lay ahead is given up */
        trace_set_recorded(&m->trace, t->trace_classes);
        m->log.classes = t->log_classes;
    }
    gate_forget_kept(&m->gate);
    free(t->points);
    free(t);
    m->travel = NULL;
    m->phys.page_log = NULL;
}

struct travel_figures travel_figures(const struct machine *m)
{
    const struct travel *t = m->travel;
    return (struct travel_figures){.first = t->points[0]->position,
                                   .count = t->count,
                                   .bytes = total_bytes(t),
                                   .spacing = t->spacing,
                                   .front = t->front_position};
}

/* ---- The run loop's side ---- */

u64 travel_next_position(const struct machine *m)
{
    return m->travel != NULL ? m->travel->next : ~(u64)0;
}

bool travel_is_in_past(const struct machine *m)
{
    return m->travel != NULL && m->travel->in_past;
}

void travel_at_gate_point(struct machine *m)
{
    struct travel *t = m->travel;
    if (t == NULL) {
        return;
    }
    u64 position = clock_position(&m->clock).n;
    if (t->in_past && (position > t->front_position || (position == t->front_position &&
                                                        clock_now(&m->clock).ns >= t->front_time))) {
        t->in_past = false;
        trace_set_recorded(&m->trace, t->trace_classes);
        m->log.classes = t->log_classes;
    }
    if (!t->in_past) {
        note_front(m);
    }
    if (position >= t->next) {
        take_checkpoint(m);
    }
}

/* ---- Going ---- */

/* Forward to a position. Stops that the machine has already gone past are no reason to stay. */
static struct run_result forward_to(struct machine *m, u64 position)
{
    struct travel *t = m->travel;
    struct run_result r = {.reason = STOP_POSITION};
    enum stops_mode mode = stops_set_mode(m, STOPS_QUIET);
    t->target = position;
    u64 now = clock_position(&m->clock).n;
    find_next(t, now);
    m->stop_at = position;
    while (now < position || gate_is_point(&m->gate)) {
        bool in_past = t->in_past;
        r = machine_run(m);
        now = clock_position(&m->clock).n;
        if (r.reason == STOP_POSITION || !in_past || r.reason == STOP_ERROR ||
            r.reason == STOP_INTERRUPTED) {
            break;
        }
    }
    m->stop_at = ~(u64)0;
    t->target = 0;
    (void)stops_set_mode(m, mode);
    return r;
}

struct run_result travel_to(struct machine *m, u64 position)
{
    struct travel *t = m->travel;
    u64 now = clock_position(&m->clock).n;
    if (position < t->points[0]->position) {
        (void)error_set(&m->error, EXIT_STATUS_USAGE, "position %llu lies before the first checkpoint, %llu",
                        (unsigned long long)position, (unsigned long long)t->points[0]->position);
        return (struct run_result){.reason = STOP_ERROR};
    }
    if (position <= now) {
        rewind_to(m, checkpoint_before(t, position));
    }
    return forward_to(m, position);
}

struct run_result travel_step_back(struct machine *m)
{
    u64 now = clock_position(&m->clock).n;
    struct run_result r;
    if (now <= m->travel->points[0]->position) {
        (void)error_set(&m->error, EXIT_STATUS_USAGE, "this is where history begins");
        return (struct run_result){.reason = STOP_ERROR};
    }
    /* The delivery of an interrupt can make the position move by more than one. */
    u64 back = 1;
    do {
        r = travel_to(m, now >= back ? now - back : 0);
        back++;
    } while (r.reason == STOP_POSITION && clock_position(&m->clock).n >= now);
    return r;
}

struct run_result travel_step_back_cpu(struct machine *m, unsigned cpu)
{
    struct travel *t = m->travel;
    u64 start = clock_position(&m->clock).n, end = start, found = 0;
    struct run_result r = travel_step_back(m);
    if (r.reason != STOP_POSITION || stops_next_cpu(m) == cpu) {
        return r;
    }
    for (unsigned i = t->count; i-- > 0 && found == 0;) { /* the others were on */
        u64 from = t->points[i]->position;
        if (from < end) {
            rewind_to(m, i);
            stops_start_cpu_scan(m, cpu);
            r = forward_to(m, end);
            found = stops_end_cpu_scan(m);
            if (r.reason != STOP_POSITION) {
                return r;
            }
        }
        end = from;
    }
    r = travel_to(m, found != 0 ? found : start);
    if (r.reason != STOP_POSITION || found == 0) {
        return r.reason == STOP_POSITION ? (struct run_result){.reason = STOP_NONE} : r;
    }
    return travel_step_back(m);
}

/* ---- Writes in the past ---- */

/* Looks for writes to a range between two checkpoints. */
struct watch {
    struct machine *m;
    u64 frame, offset, size;
    u64 end; /* writes from here on do not count */
    struct travel_write *list;
    size_t count, cap;
    /* Whose the trap was: stop points. */
    void (*before)(void *self, u64 frame, u64 offset, u64 size);
    void *before_self;
    bool was_trapped;
};

static void on_write(void *self, u64 frame, u64 offset, u64 size)
{
    struct watch *w = self;
    const struct clock *clock = &w->m->clock;
    u64 position = clock_position(clock).n;
    if (frame != w->frame || offset >= w->offset + w->size || w->offset >= offset + size || position >= w->end) {
        return;
    }
    if (w->count == w->cap) {
        w->cap = 2 * w->cap + 16;
        w->list = realloc(w->list, w->cap * sizeof *w->list);
        sim_assert(w->list != NULL);
    }
    const struct cpu *cpu = clock->running != NULL ? clock->running_cpu : NULL;
    struct travel_write *t = &w->list[w->count++];
    *t = (struct travel_write){.position = position,
                               .rip = cpu != NULL ? cpu->arch.rip : 0,
                               .cpu = cpu != NULL ? cpu->index : 0,
                               .device = cpu == NULL};
    memcpy(t->before, phys_frame_host(&w->m->phys, frame) + w->offset,
           w->size < sizeof t->before ? w->size : sizeof t->before);
}

static void set_watch(struct machine *m, struct watch *w, bool on)
{
    u32 *flags = &m->phys.pages[w->frame].flags;
    if (on) {
        w->before = m->phys.trapped_write;
        w->before_self = m->phys.trapped_self;
        w->was_trapped = (*flags & PAGE_TRAPPED) != 0;
    }
    m->phys.trapped_write = on ? on_write : w->before;
    m->phys.trapped_self = on ? w : w->before_self;
    *flags = on || w->was_trapped ? *flags | PAGE_TRAPPED : *flags & ~(u32)PAGE_TRAPPED;
    tlb_withdraw_write(&m->set, w->frame);
}

struct run_result travel_writes(struct machine *m, spa_t spa, u64 size, travel_tell *tell, void *self)
{
    struct travel *t = m->travel;
    u64 start = clock_position(&m->clock).n;
    struct watch w = {.m = m, .offset = spa.v & PAGE_MASK, .size = size, .end = start};
    u8 *host;
    bool writable;
    if (!phys_page(&m->phys, spa, &w.frame, &host, &writable) || w.offset + size > PAGE_SIZE) {
        (void)error_set(&m->error, EXIT_STATUS_USAGE, "%llx is not memory of one page",
                        (unsigned long long)spa.v);
        return (struct run_result){.reason = STOP_ERROR};
    }
    u64 end = start;
    bool more = true;
    for (unsigned i = t->count; i-- > 0 && more;) {
        u64 from = t->points[i]->position;
        if (page_log_has(&t->points[i]->pages, (u32)w.frame)) {
            rewind_to(m, i);
            w.count = 0;
            set_watch(m, &w, true);
            struct run_result r = forward_to(m, end);
            set_watch(m, &w, false);
            if (r.reason != STOP_POSITION) {
                free(w.list);
                return r;
            }
            for (size_t k = w.count; k-- > 0 && more;) {
                more = tell(self, &w.list[k]);
            }
        }
        w.end = end = from;
    }
    free(w.list);
    return travel_to(m, start);
}

static bool note_last(void *self, const struct travel_write *w)
{
    *(struct travel_write *)self = *w;
    return false;
}

struct run_result travel_last_write(struct machine *m, spa_t spa, u64 size)
{
    struct travel_write last = {.position = ~(u64)0};
    struct run_result r = travel_writes(m, spa, size, note_last, &last);
    if (r.reason != STOP_POSITION) {
        return r;
    }
    return last.position != ~(u64)0 ? travel_to(m, last.position) : (struct run_result){.reason = STOP_NONE};
}

/* ---- The last stop point ---- */

struct run_result travel_before_hit(struct machine *m, const struct stop_hit *hit)
{
    struct run_result r = travel_to(m, hit->position);
    if (r.reason == STOP_POSITION && hit->seen != 0 && m->seen >= hit->seen) {
        r = travel_step_back(m); /* a VM exit counts behind the instruction that made it */
    }
    stops_set_hit(m, hit);
    return r;
}

struct run_result travel_back_to_stop(struct machine *m)
{
    struct travel *t = m->travel;
    u64 start = clock_position(&m->clock).n;
    u64 end = start;
    struct stop_hit hit;
    bool found = false;
    for (unsigned i = t->count; i-- > 0 && !found;) {
        u64 from = t->points[i]->position;
        if (from < end) {
            rewind_to(m, i);
            stops_start_scan(m, end);
            struct run_result r = forward_to(m, end);
            found = stops_end_scan(m, &hit);
            if (r.reason != STOP_POSITION) {
                return r;
            }
        }
        end = from;
    }
    struct run_result there = found ? travel_before_hit(m, &hit) : travel_to(m, start);
    if (there.reason != STOP_POSITION) {
        return there;
    }
    return (struct run_result){.reason = found ? STOP_BREAK : STOP_NONE};
}
