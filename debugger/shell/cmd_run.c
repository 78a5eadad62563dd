/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that move the machine, forward and back. */
#include "debugger/shell/frames.h"
#include "debugger/shell/shell_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- Stops ---- */

/* A place of our own to stop at, for one command. */
struct own_stop {
    u64 at, sp;
    unsigned cpu;
    bool above; /* only with a stack pointer above sp */
    bool equal; /* ... or equal to it */
};

static bool is_own(const struct shell *s, const struct own_stop *own, const struct stop_hit *hit)
{
    if (own == NULL || hit->point.kind != POINT_CODE || hit->point.at != own->at || hit->cpu != own->cpu) {
        return false;
    }
    u64 sp = s->m->set.cpu[hit->cpu]->arch.gpr[RSP];
    return (!own->above || sp > own->sp) && (!own->equal || sp == own->sp);
}

static void run_commands(struct shell *s, const struct shell_point *p)
{
    char lines[1024], *save = NULL;
    if (p == NULL || p->commands == NULL || s->depth > 4) {
        return;
    }
    (void)snprintf(lines, sizeof lines, "%s", p->commands);
    s->depth++;
    for (char *line = strtok_r(lines, ";", &save); line != NULL && !s->failed && !s->quit;
         line = strtok_r(NULL, ";", &save)) {
        shell_line(s, line);
    }
    s->depth--;
}

static void came_to_end(struct shell *s, struct run_result r)
{
    s->ended = s->has_end = true;
    s->end_position = shell_position(s);
    s->result = r;
    s->cpu = stops_next_cpu(s->m);
    if (s->m->error.status != EXIT_STATUS_OK) {
        say(s, "%s\n", s->m->error.text);
    }
    say(s, "The machine has come to its end: %s, at %" PRIu64 ".\n", stop_reason_name(r.reason), shell_position(s));
}

/* Things that the machine has passed before are no end. */
static bool is_passed(const struct shell *s, struct run_result r)
{
    bool own = r.reason == STOP_QUIT || r.reason == STOP_ERROR || r.reason == STOP_DIFFERS || r.reason == STOP_NONE;
    return !own && travel_is_in_past(s->m) && shell_position(s) < travel_figures(s->m).front;
}

static void report_point(struct shell *s, const struct stop_hit *hit)
{
    struct shell_point *p = point_of_hit(s, hit);
    s->cpu = hit->cpu;
    s->next_dis = 0;
    describe_hit(s, p, hit);
    show_place(s);
    if (p != NULL && p->temporary) {
        point_delete(s, p);
        return;
    }
    run_commands(s, p);
}

/* Is this hit to be told? Counts it. */
static bool counts(struct shell *s, const struct stop_hit *hit)
{
    struct shell_point *p = point_of_hit(s, hit);
    if (p == NULL) {
        return true;
    }
    if (p->follows) {
        point_follow_tables(s, p);
    }
    if (p->event == TRACE_EVENT_share) {
        struct stop_hit *kept = &s->shares[s->share_count++ % ARRAY_LEN(s->shares)];
        *kept = *hit; /* found by a scan of tables inside an instruction, which may count ahead */
        kept->position = hit->position < shell_position(s) ? hit->position : shell_position(s) - 1;
    }
    unsigned was = s->cpu;
    s->cpu = hit->cpu;
    bool range = hit->point.kind == POINT_WRITE || hit->point.kind == POINT_READ || hit->point.kind == POINT_ACCESS;
    bool ok = !range || point_condition_holds(s, p);
    s->cpu = was;
    if (!ok) {
        return false;
    }
    p->hits++;
    if (p->ignore > 0) {
        p->ignore--;
        return false;
    }
    return true;
}

enum ran { RAN_OWN, RAN_STEPPED, RAN_POINT, RAN_INTERRUPTED, RAN_ENDED };

/* Run until the stop of our own, a point, Ctrl-C or the end. Tells of all but the first. */
static enum ran run(struct shell *s, const struct own_stop *own, unsigned step_cpu)
{
    struct error err = {0};
    const struct stop_point point = {.kind = POINT_CODE, .at = own != NULL ? own->at : 0};
    s->behind = false;
    s->frame = 0;
    bool added = own != NULL && stops_add(s->m, &point, &err);
    enum ran how = RAN_ENDED;
    (void)fflush(s->out);
    for (;;) {
        stops_step(s->m, step_cpu);
        struct run_result r = machine_run(s->m);
        stops_step(s->m, STOPS_NO_CPU);
        if (r.reason == STOP_BREAK) {
            struct stop_hit hit = *stops_hit(s->m);
            if (hit.point.kind == POINT_STEP) {
                how = RAN_STEPPED;
                break;
            }
            bool mine = own != NULL && hit.point.kind == POINT_CODE && hit.point.at == own->at;
            if (is_own(s, own, &hit)) {
                how = RAN_OWN;
                break;
            }
            if ((mine && point_of_hit(s, &hit) == NULL) || !counts(s, &hit)) {
                if (hit.point.kind != POINT_CODE && hit.point.kind != POINT_CODE_PHYSICAL) {
                    stops_go_on(s->m);
                }
                if (step_cpu != STOPS_NO_CPU && s->m->set.cpu[step_cpu]->arch.activity == ACTIVITY_RUNNING) {
                    how = RAN_STEPPED; /* the step's own instruction met what is passed over */
                    break;
                }
                continue;
            }
            /* A VM exit takes no position of its own. */
            s->behind = hit.position == shell_position(s) && hit.point.kind != POINT_CODE &&
                        hit.point.kind != POINT_CODE_PHYSICAL;
            s->behind_hit = hit;
            s->last_point = point_of_hit(s, &hit) != NULL ? point_of_hit(s, &hit)->number : 0;
            report_point(s, &hit);
            how = RAN_POINT;
            break;
        }
        if (r.reason == STOP_INTERRUPTED && s->interrupted != NULL && s->interrupted(s->interrupted_self)) {
            stops_go_on(s->m);
            continue;
        }
        if (r.reason == STOP_INTERRUPTED) {
            s->cpu = stops_next_cpu(s->m);
            say(s, "Stopped.\n");
            show_place(s);
            how = RAN_INTERRUPTED;
            break;
        }
        if (is_passed(s, r)) {
            stops_go_on(s->m);
            continue;
        }
        came_to_end(s, r);
        break;
    }
    s->last_stop = how == RAN_POINT ? SHELL_STOP_POINT : how == RAN_INTERRUPTED ? SHELL_STOP_PAUSE
                   : how == RAN_ENDED ? SHELL_STOP_END : SHELL_STOP_STEP;
    if (added) {
        (void)stops_remove(s->m, &point);
    }
    s->next_dis = 0;
    s->failed = false;
    return how;
}

static u64 count_of(struct shell *s, const char *args, bool *ok)
{
    u64 n = 1;
    *ok = args[0] == '\0' || expr_all(s, args, &n);
    return n;
}

void cmd_continue(struct shell *s, const char *args)
{
    bool ok;
    u64 n = count_of(s, args, &ok);
    for (u64 i = 0; ok && i < n && !s->ended; i++) {
        if (run(s, NULL, STOPS_NO_CPU) != RAN_POINT) {
            return;
        }
    }
}

/* ---- Steps ---- */

/* One instruction; over a call if asked for. True: nothing was told yet. */
static bool step_one(struct shell *s, bool over)
{
    const struct cpu *cpu = shell_cpu(s);
    char text[256];
    bool is_call = false;
    u64 pc = shell_pc(cpu);
    unsigned n = over ? disassemble(s, pc, shell_code_size(cpu), text, sizeof text, &is_call) : 0;
    bool repeats = over && strncmp(text, "rep", 3) == 0;
    if (n > 0 && (is_call || repeats || strncmp(text, "int", 3) == 0)) {
        struct own_stop own = {.at = pc + n, .cpu = s->cpu, .above = true, .sp = cpu->arch.gpr[RSP] - 1};
        return run(s, &own, STOPS_NO_CPU) == RAN_OWN;
    }
    return run(s, NULL, s->cpu) == RAN_STEPPED;
}

static void steps(struct shell *s, const char *args, bool over)
{
    bool ok;
    u64 n = count_of(s, args, &ok);
    while (ok && n > 0 && step_one(s, over)) {
        n--;
        if (s->m->interrupted != 0) {
            s->m->interrupted = 0;
            break;
        }
    }
    if (ok && n == 0) {
        show_place(s);
    }
}

void cmd_stepi(struct shell *s, const char *args)
{
    steps(s, args, false);
}

void cmd_nexti(struct shell *s, const char *args)
{
    steps(s, args, true);
}

/* To the next source line, or by instructions where there are none. */
static void step_line(struct shell *s, const char *args, bool over)
{
    const char *file, *now;
    int line, there;
    bool ok;
    if (!symbols_line(s->symbols, shell_pc(shell_cpu(s)), shell_level(s), &file, &line)) {
        steps(s, args, over);
        return;
    }
    u64 n = count_of(s, args, &ok);
    for (u64 i = 0; ok && i < n; i++) {
        bool known = true;
        unsigned limit = 100000;
        do {
            if (!step_one(s, over)) {
                return;
            }
            known = symbols_line(s->symbols, shell_pc(shell_cpu(s)), shell_level(s), &now, &there);
        } while ((!known || (there == line && strcmp(now, file) == 0)) && --limit > 0 && s->m->interrupted == 0);
        s->m->interrupted = 0;
        if (known) {
            file = now;
            line = there;
        }
    }
    if (ok) {
        show_place(s);
    }
}

void cmd_step(struct shell *s, const char *args)
{
    step_line(s, args, false);
}

void cmd_next(struct shell *s, const char *args)
{
    step_line(s, args, true);
}

void cmd_finish(struct shell *s, const char *args)
{
    struct frame frames[2];
    UNUSED(args);
    if (frames_find(s, frames, 2) < 2) {
        refuse(s, "who called here is not known; `until ADDRESS` runs to a place");
        return;
    }
    struct own_stop own = {.at = frames[1].pc, .cpu = s->cpu, .above = true, .sp = shell_cpu(s)->arch.gpr[RSP]};
    if (run(s, &own, STOPS_NO_CPU) == RAN_OWN) {
        show_place(s);
    }
}

void cmd_until(struct shell *s, const char *args)
{
    u64 at;
    if (args[0] == '\0') {
        refuse(s, "until which address?");
        return;
    }
    if (!expr_all(s, args, &at)) {
        return;
    }
    struct own_stop own = {.at = at, .cpu = s->cpu};
    if (run(s, &own, STOPS_NO_CPU) == RAN_OWN) {
        show_place(s);
    }
}

void cmd_stop(struct shell *s, const char *args)
{
    UNUSED(args);
    say(s, "The machine stands still; Ctrl-C stops it while it runs.\n");
    show_place(s);
}

/* ---- Back ---- */

/* After going through time: where are we? False: it could not be. */
static bool moved(struct shell *s, struct run_result r, unsigned cpu)
{
    s->behind = false;
    s->frame = 0;
    s->ended = s->has_end && shell_position(s) >= s->end_position;
    s->next_dis = 0;
    s->last_stop = SHELL_STOP_STEP;
    if (r.reason == STOP_POSITION || r.reason == STOP_BREAK) {
        s->cpu = cpu;
        return true;
    }
    if (r.reason == STOP_NONE) {
        refuse(s, "nothing was found since history begins, at %" PRIu64, travel_figures(s->m).first);
    } else if (r.reason == STOP_ERROR) {
        refuse(s, "%s", s->m->error.text);
        s->m->error = (struct error){0};
    } else if (r.reason == STOP_INTERRUPTED) {
        refuse(s, "interrupted on the way, at %" PRIu64, shell_position(s));
    } else {
        came_to_end(s, r);
    }
    s->cpu = stops_next_cpu(s->m);
    return false;
}

static bool arrived(struct shell *s, struct run_result r, unsigned cpu)
{
    bool ok = moved(s, r, cpu);
    points_note(s);
    return ok;
}

static bool step_back(struct shell *s)
{
    struct run_result r = travel_step_back_cpu(s->m, s->cpu);
    return arrived(s, r, r.reason == STOP_POSITION ? s->cpu : stops_next_cpu(s->m));
}

void cmd_reverse_stepi(struct shell *s, const char *args)
{
    bool ok;
    u64 n = count_of(s, args, &ok);
    while (ok && n > 0 && step_back(s)) {
        n--;
    }
    if (ok && n == 0) {
        show_place(s);
    }
}

/* Back to a call that ends before `after`, made with this stack pointer. */
static bool back_to_call(struct shell *s, u64 after, u64 sp)
{
    u64 calls[8];
    struct error err = {0};
    unsigned n = frames_calls_before(s, after, calls, ARRAY_LEN(calls));
    unsigned cpu = s->cpu;
    bool found = false;
    for (unsigned i = 0; i < n; i++) {
        (void)stops_add(s->m, &(struct stop_point){.kind = POINT_CODE, .at = calls[i]}, &err);
    }
    struct run_result r = {.reason = STOP_NONE};
    while (n > 0 && !found) {
        r = travel_back_to_stop(s->m);
        if (r.reason != STOP_BREAK) {
            break;
        }
        const struct stop_hit *hit = stops_hit(s->m);
        found = point_of_hit(s, hit) != NULL;
        for (unsigned i = 0; i < n; i++) {
            found |= hit->point.at == calls[i] && hit->cpu == cpu && s->m->set.cpu[cpu]->arch.gpr[RSP] == sp;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        (void)stops_remove(s->m, &(struct stop_point){.kind = POINT_CODE, .at = calls[i]});
    }
    bool ok = arrived(s, r, r.reason == STOP_BREAK ? stops_hit(s->m)->cpu : 0);
    struct shell_point *p = ok ? point_of_hit(s, stops_hit(s->m)) : NULL;
    if (p != NULL) { /* one of the user's lies on the way */
        s->going_back = true;
        describe_hit(s, p, stops_hit(s->m));
        s->going_back = false;
        show_place(s);
        return false;
    }
    return ok;
}

static bool next_back(struct shell *s)
{
    u64 pc = shell_pc(shell_cpu(s)), sp = shell_cpu(s)->arch.gpr[RSP];
    char text[256];
    bool is_call;
    if (!step_back(s)) {
        return false;
    }
    const struct cpu *cpu = shell_cpu(s);
    (void)disassemble(s, shell_pc(cpu), shell_code_size(cpu), text, sizeof text, &is_call);
    return strncmp(text, "ret", 3) != 0 || back_to_call(s, pc, sp);
}

void cmd_reverse_nexti(struct shell *s, const char *args)
{
    bool ok;
    u64 n = count_of(s, args, &ok);
    while (ok && n > 0 && next_back(s)) {
        n--;
    }
    if (ok && n == 0) {
        show_place(s);
    }
}

/* To the beginning of the line before. */
static void line_back(struct shell *s, const char *args, bool over)
{
    const char *file, *now;
    int line, there;
    if (!symbols_line(s->symbols, shell_pc(shell_cpu(s)), shell_level(s), &file, &line)) {
        if (over) {
            cmd_reverse_nexti(s, args);
        } else {
            cmd_reverse_stepi(s, args);
        }
        return;
    }
    bool ok = true, known = false;
    unsigned limit = 2000;
    do { /* into the line before */
        ok = over ? next_back(s) : step_back(s);
        known = ok && symbols_line(s->symbols, shell_pc(shell_cpu(s)), shell_level(s), &now, &there);
    } while (ok && (!known || (there == line && strcmp(now, file) == 0)) && --limit > 0);
    while (ok && limit-- > 0) { /* to where it begins */
        u64 position = shell_position(s);
        unsigned cpu = s->cpu;
        ok = over ? next_back(s) : step_back(s);
        const char *f;
        int l;
        if (ok && (!symbols_line(s->symbols, shell_pc(shell_cpu(s)), shell_level(s), &f, &l) || l != there ||
                   strcmp(f, now) != 0)) {
            ok = arrived(s, travel_to(s->m, position), cpu);
            break;
        }
    }
    if (ok) {
        show_place(s);
    }
}

void cmd_reverse_step(struct shell *s, const char *args)
{
    line_back(s, args, false);
}

void cmd_reverse_next(struct shell *s, const char *args)
{
    line_back(s, args, true);
}

/* The tracker does not go back with the machine: pages shared before now that it told of on the way here. */
static const struct stop_hit *share_before(const struct shell *s)
{
    const struct stop_hit *best = NULL;
    for (unsigned i = 0; i < s->share_count && i < ARRAY_LEN(s->shares); i++) {
        const struct stop_hit *h = &s->shares[i];
        bool later = best == NULL || h->position >= best->position;
        best = h->position < shell_position(s) && later ? h : best;
    }
    for (unsigned i = 0; i < SHELL_POINTS && best != NULL; i++) {
        if (s->points[i].number != 0 && s->points[i].set && s->points[i].event == TRACE_EVENT_share) {
            return best;
        }
    }
    return NULL;
}

static struct run_result back_to_hit(struct shell *s)
{
    const struct stop_hit *share = share_before(s);
    struct stop_hit known = share != NULL ? *share : (struct stop_hit){.position = 0};
    struct run_result r = travel_back_to_stop(s->m);
    if (share != NULL && (r.reason == STOP_NONE || (r.reason == STOP_BREAK && stops_hit(s->m)->position < known.position))) {
        r = travel_before_hit(s->m, &known);
        r.reason = r.reason == STOP_POSITION ? STOP_BREAK : r.reason;
        stops_set_hit(s->m, &known);
    }
    return r;
}

void cmd_reverse_continue(struct shell *s, const char *args)
{
    UNUSED(args);
    points_note(s);
    for (;;) {
        struct run_result r;
        if (s->behind) {
            r = travel_before_hit(s->m, &s->behind_hit);
            r.reason = r.reason == STOP_POSITION ? STOP_BREAK : r.reason;
        } else {
            r = back_to_hit(s);
        }
        if (r.reason == STOP_NONE) {
            r = travel_to(s->m, travel_figures(s->m).first);
            if (arrived(s, r, stops_next_cpu(s->m))) {
                s->last_stop = SHELL_STOP_BEGIN;
                say(s, "This is where history begins.\n");
                show_place(s);
            }
            return;
        }
        if (!moved(s, r, r.reason == STOP_BREAK ? stops_hit(s->m)->cpu : 0)) {
            return;
        }
        struct stop_hit hit = *stops_hit(s->m);
        struct shell_point *p = point_of_hit(s, &hit);
        if (p != NULL && p->condition != NULL && hit.point.size > 0) {
            /* A condition on a watched range is about its value after the access. */
            u64 position = shell_position(s);
            (void)travel_to(s->m, position + 1);
            bool holds = point_condition_holds(s, p);
            (void)travel_to(s->m, position);
            if (!holds) {
                continue;
            }
        }
        s->last_stop = SHELL_STOP_POINT;
        s->last_point = p != NULL ? p->number : 0;
        s->going_back = true;
        describe_hit(s, p, &hit);
        s->going_back = false;
        show_place(s);
        return;
    }
}

void cmd_reverse_finish(struct shell *s, const char *args)
{
    struct frame frames[2];
    UNUSED(args);
    if (frames_find(s, frames, 2) < 2) {
        refuse(s, "who called here is not known");
        return;
    }
    if (back_to_call(s, frames[1].pc, frames[1].sp)) {
        show_place(s);
    }
}

void cmd_goto(struct shell *s, const char *args)
{
    u64 position;
    struct travel_figures f = travel_figures(s->m);
    if (args[0] == '\0') {
        refuse(s, "where to? a position, #N for a checkpoint, `begin` or `end`");
        return;
    }
    if (strcmp(args, "begin") == 0 || strcmp(args, "end") == 0) {
        position = args[0] == 'b' ? f.first : f.front;
    } else if (args[0] == '#') {
        unsigned n = (unsigned)strtoul(args + 1, NULL, 10);
        if (n == 0 || n > s->checkpoint_count) {
            refuse(s, "there is no checkpoint %s; `info checkpoints` lists them", args);
            return;
        }
        position = s->checkpoints[n - 1];
    } else if (!expr_all(s, args, &position)) {
        return;
    }
    if (s->has_end && position > s->end_position) {
        refuse(s, "the machine ends at %" PRIu64, s->end_position);
        return;
    }
    if (s->nested && position > f.front) {
        refuse(s, "the machine has been to %" PRIu64 "; GDB makes it run on", f.front);
        return;
    }
    struct run_result r = travel_to(s->m, position);
    if (arrived(s, r, stops_next_cpu(s->m))) {
        show_place(s);
    }
}

void cmd_when(struct shell *s, const char *args)
{
    struct travel_figures f = travel_figures(s->m);
    UNUSED(args);
    say(s, "position %" PRIu64 ", time %" PRIu64 " ns; history from %" PRIu64 " to %" PRIu64 ", %" PRIu64
           " checkpoints of %" PRIu64 " KiB\n",
        shell_position(s), clock_now(&s->m->clock).ns, f.first, f.front, f.count, f.bytes >> 10);
}

void cmd_checkpoint(struct shell *s, const char *args)
{
    UNUSED(args);
    if (s->checkpoint_count == ARRAY_LEN(s->checkpoints)) {
        refuse(s, "no more than %u checkpoints", (unsigned)ARRAY_LEN(s->checkpoints));
        return;
    }
    s->checkpoints[s->checkpoint_count++] = shell_position(s);
    say(s, "Checkpoint %u: `goto #%u` comes back here.\n", s->checkpoint_count, s->checkpoint_count);
}

void cmd_last_write(struct shell *s, const char *args)
{
    struct error err = {0};
    u64 at, size = 1;
    char space = 'v';
    if (args[0] == '-' && (args[1] == 'p' || args[1] == 'g') && args[2] == ' ') {
        space = args[1];
        args += 3;
    } else if (s->nested) { /* GDB's users know it with physical addresses */
        space = 'p';
    }
    if (!expr_address(s, &args, &at, &size, &err)) {
        refuse_error(s, &err);
        return;
    }
    size = size == 0 ? 1 : size;
    if (*args != '\0' && !expr_all(s, args, &size)) {
        return;
    }
    spa_t spa = SPA(at);
    if ((space == 'v' && !stops_translate(s->m, s->cpu, at, &spa)) ||
        (space == 'g' && !memory_guest_to_machine(s, at, &spa.v))) {
        refuse(s, "%#" PRIx64 " is not mapped now; last-write -p takes a physical address", at);
        return;
    }
    struct run_result r = travel_last_write(s->m, spa, size);
    if (r.reason == STOP_NONE) {
        refuse(s, "nobody wrote there since history begins, at %" PRIu64, travel_figures(s->m).first);
        return;
    }
    if (arrived(s, r, stops_next_cpu(s->m))) {
        say(s, "Before the last write to %s%" PRIx64 "%s:\n", shade(s, SHADE_ADDRESS), spa.v, shade(s, SHADE_NONE));
        show_place(s);
    }
}
