/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Break-, watch- and other points: the machine's stops (machine/stops.h) with numbers, conditions, counts and commands. */
#include "debugger/shell/shell_priv.h"
#include "traces/render.h"
#include "traces/words.h"

#include <stdlib.h>
#include <string.h>

/* ---- Conditions ---- */

static bool holds(struct shell *s, const struct shell_point *p, unsigned cpu)
{
    if (p->condition == NULL) {
        return true;
    }
    struct error err = {0};
    const char *text = p->condition;
    u64 value = 1;
    unsigned was = s->cpu;
    s->cpu = cpu;
    bool ok = expr_eval(s, &text, &value, &err);
    s->cpu = was;
    return !ok || value != 0; /* what cannot be told stops */
}

bool point_condition_holds(struct shell *s, struct shell_point *p)
{
    return holds(s, p, s->cpu);
}

static bool same_stop(const struct stop_point *a, const struct stop_point *b)
{
    return a->kind == b->kind && a->at == b->at && a->size == b->size;
}

static bool has_stop(const struct shell_point *p, const struct stop_point *stop)
{
    for (unsigned i = 0; p->set && i < p->stop_count; i++) {
        if (same_stop(&p->stop[i], stop)) {
            return true;
        }
    }
    return false;
}

/* Asked by the machine as a breakpoint or a moment is met. */
static bool wanted(void *self, const struct stop_hit *hit)
{
    struct shell *s = self;
    bool mine = false;
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number != 0 && has_stop(p, &hit->point)) {
            mine = true;
            if (p->event != TRACE_EVENT_NONE || holds(s, p, hit->cpu)) {
                return true;
            }
        }
    }
    return !mine; /* somebody else's: GDB's, or a step's */
}

/* ---- Events ---- */

void points_event(struct shell *s, enum trace_event event, u32 cpu, const u64 *args)
{
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number == 0 || !p->set || p->event != event) {
            continue;
        }
        bool matches = true;
        for (unsigned k = 0; k < 5; k++) {
            matches = matches && ((p->match_mask >> k & 1) == 0 || p->match[k] == args[k]);
        }
        if (!matches) {
            continue;
        }
        unsigned who = cpu < s->m->set.count ? cpu : s->m->turn;
        s->event_args = args;
        s->event_info = &trace_event_info[event];
        bool ok = holds(s, p, who);
        s->event_args = NULL;
        s->event_info = NULL;
        if (ok) {
            memcpy(s->met_args, args, sizeof s->met_args);
            s->met_position = shell_position(s);
            stops_meet(s->m, &(struct stop_hit){.point = p->stop[0],
                                                .cpu = who,
                                                .position = shell_position(s),
                                                .detail = args[0],
                                                .seen = history_notes(event, args) ? s->m->seen : 0});
        }
    }
}

static void on_event(void *self, enum trace_event event, u32 cpu, const u64 *args)
{
    points_event(self, event, cpu, args);
}

u32 points_classes(const struct shell *s)
{
    u32 classes = 0;
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        const struct shell_point *p = &s->points[i];
        if (p->number != 0 && p->set && p->event != TRACE_EVENT_NONE) {
            classes |= (u32)1 << trace_event_info[p->event].class;
        }
    }
    return classes;
}

void points_init(struct shell *s)
{
    s->history = history_new(s->m, on_event, s);
    stops_set_filter(s->m, &(struct stops_filter){.wanted = wanted, .self = s});
}

/* ---- The list ---- */

struct shell_point *point_new(struct shell *s, const char *what)
{
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number == 0) {
            *p = (struct shell_point){.number = s->next_point, .enabled = true};
            (void)snprintf(p->what, sizeof p->what, "%s", what);
            return p;
        }
    }
    refuse(s, "no more than %d points; delete some", SHELL_POINTS);
    return NULL;
}

struct shell_point *point_find(struct shell *s, unsigned number)
{
    for (unsigned i = 0; i < SHELL_POINTS && number != 0; i++) {
        if (s->points[i].number == number) {
            return &s->points[i];
        }
    }
    refuse(s, "there is no point %u; `info breakpoints` lists them", number);
    return NULL;
}

static void note_values(struct shell *s, struct shell_point *p)
{
    if (p->stop_count > 0 && p->stop[0].size > 0 && p->stop[0].kind <= POINT_ACCESS) {
        size_t n = p->stop[0].size < sizeof p->last ? p->stop[0].size : sizeof p->last;
        p->last[0] = p->last[1] = 0;
        (void)memory_read_physical(s, p->stop[0].at, p->last, n);
    }
}

void points_note(struct shell *s)
{
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        if (s->points[i].number != 0 && s->points[i].set) {
            note_values(s, &s->points[i]);
        }
    }
}

bool point_arm(struct shell *s, struct shell_point *p)
{
    struct error err = {0};
    for (unsigned i = 0; i < p->stop_count; i++) {
        if (p->stop[i].kind != POINT_EVENT && !stops_add(s->m, &p->stop[i], &err)) {
            while (i-- > 0) {
                (void)stops_remove(s->m, &p->stop[i]);
            }
            refuse_error(s, &err);
            p->stop_count = 0;
            point_delete(s, p);
            return false;
        }
    }
    p->set = true;
    note_values(s, p);
    history_tell(s->history, points_classes(s));
    return true;
}

void point_disarm(struct shell *s, struct shell_point *p)
{
    for (unsigned i = 0; p->set && i < p->stop_count; i++) {
        if (p->stop[i].kind != POINT_EVENT) {
            (void)stops_remove(s->m, &p->stop[i]);
        }
    }
    p->set = false;
    history_tell(s->history, points_classes(s));
}

void point_delete(struct shell *s, struct shell_point *p)
{
    point_disarm(s, p);
    free(p->condition);
    free(p->commands);
    free(p->stop);
    *p = (struct shell_point){0};
}

struct shell_point *point_of_hit(struct shell *s, const struct stop_hit *hit)
{
    struct shell_point *any = NULL;
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number == 0 || !has_stop(p, &hit->point)) {
            continue;
        }
        if (p->event != TRACE_EVENT_NONE || holds(s, p, hit->cpu)) {
            return p;
        }
        any = p;
    }
    return any;
}

/* ---- Words ---- */

static u64 old_value(const struct shell_point *p)
{
    u64 size = p->stop[0].size;
    return size >= 8 ? p->last[0] : p->last[0] & (((u64)1 << 8 * size) - 1);
}

static void describe_access(struct shell *s, struct shell_point *p, const struct stop_hit *hit)
{
    u64 was = old_value(p);
    note_values(s, p);
    u64 now = old_value(p);
    bool back = s->going_back;
    say(s, "%s at %" PRIx64 " by cpu%u", hit->write ? (back ? "to be written" : "written") : back ? "to be read" : "read",
        hit->detail, hit->cpu);
    if (hit->write && p->stop[0].size <= 8 && p->stop_count == 1) {
        say(s, ": %s%#" PRIx64 " -> %#" PRIx64 "%s", shade(s, SHADE_CHANGED), back ? now : was,
            back ? was : now, shade(s, SHADE_NONE));
    }
    if (hit->write && p->stop_count > 1 && hit->point.size >= 8) { /* one entry of many tables */
        u64 now_there = 0;
        (void)memory_read_physical(s, hit->detail & ~(u64)7, &now_there, 8);
        say(s, ": %s%#" PRIx64 "%s%s", back ? "" : "now ", now_there, shade(s, SHADE_NONE), back ? " before" : "");
    }
    say(s, "\n");
}

/* The arguments of the event that was met, by their names. */
static void put_event(struct shell *s, enum trace_event event)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    struct trace_record r = {.event = event, .argc = trace_event_info[event].args};
    if (f == NULL) {
        return;
    }
    memcpy(r.args, s->met_args, sizeof s->met_args);
    trace_render_fields(f, &r);
    (void)fclose(f);
    say(s, "%s%s\n", text[0] == ' ' ? "" : " ", text);
    free(text);
}

void describe_hit(struct shell *s, const struct shell_point *const_point, const struct stop_hit *hit)
{
    struct shell_point *p = NULL;
    for (unsigned i = 0; i < SHELL_POINTS && const_point != NULL; i++) {
        p = &s->points[i] == const_point ? &s->points[i] : p;
    }
    if (p != NULL) {
        say(s, "%sPoint %u%s (%s), ", shade(s, SHADE_HEAD), p->number, shade(s, SHADE_NONE), p->what);
    }
    switch (hit->point.kind) {
    case POINT_CODE:
    case POINT_CODE_PHYSICAL: say(s, "cpu%u\n", hit->cpu); break;
    case POINT_WRITE:
    case POINT_READ:
    case POINT_ACCESS:
        if (p != NULL) {
            describe_access(s, p, hit);
        }
        break;
    case POINT_EXCEPTION:
    case POINT_INTERRUPT: say(s, "vector %" PRIu64 " at cpu%u\n", hit->detail, hit->cpu); break;
    case POINT_VM_EXIT:
    case POINT_VM_ENTRY:
    case POINT_ENTRY_FAILURE:
    case POINT_EVENT: {
        struct note n;
        u64 number;
        enum trace_event event = p != NULL ? p->event : TRACE_EVENT_NONE;
        if (event != TRACE_EVENT_NONE && history_last(s->history, ~(u64)0, event, ~0u, &n, &number) &&
            n.position == hit->position && n.text != NULL) {
            say(s, "cpu%u: %s\n", hit->cpu, n.text);
        } else if (event != TRACE_EVENT_NONE && s->met_position == hit->position) {
            say(s, "cpu%u:", hit->cpu);
            put_event(s, event);
        } else {
            say(s, "cpu%u\n", hit->cpu);
        }
        break;
    }
    case POINT_STEP: break;
    }
}

void shell_forget_points(struct shell *s)
{
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        if (s->points[i].number != 0) {
            point_delete(s, &s->points[i]);
        }
    }
}
