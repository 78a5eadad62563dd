/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GDB's `monitor`: what its protocol has no words for. Names as in QEMU's monitor where it has the command. After
 * one that moves the machine GDB must be told to forget its registers: `maintenance flush register-cache`. */
#include "debugger/gdb_priv.h"
#include "machine/travel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(struct gdb *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct gdb *g, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gdb_put_hex(g, (const u8 *)text, strlen(text));
}

static void mon_when(struct gdb *g, const char *args)
{
    UNUSED(args);
    struct travel_figures f = travel_figures(g->m);
    say(g, "position %" PRIu64 ", time %" PRIu64 " ns; history from %" PRIu64 " to %" PRIu64 ", %" PRIu64
           " checkpoints of %" PRIu64 " KiB\n",
        clock_position(&g->m->clock).n, clock_now(&g->m->clock).ns, f.first, f.front, f.count, f.bytes >> 10);
}

static void mon_goto(struct gdb *g, const char *args)
{
    struct run_result r = travel_to(g->m, strtoull(args, NULL, 0));
    if (r.reason != STOP_POSITION) {
        say(g, "%s\n", g->m->error.status != EXIT_STATUS_OK ? g->m->error.text : stop_reason_name(r.reason));
        g->m->error = (struct error){0};
    }
    mon_when(g, "");
}

static void mon_gva2gpa(struct gdb *g, const char *args)
{
    spa_t spa;
    if (stops_translate(g->m, g->cpu, strtoull(args, NULL, 0), &spa)) {
        say(g, "gpa: %#" PRIx64 "\n", spa.v);
    } else {
        say(g, "Unmapped\n");
    }
}

static void mon_last_write(struct gdb *g, const char *args)
{
    char *end;
    u64 at = strtoull(args, &end, 0);
    u64 size = strtoull(end, NULL, 0);
    struct run_result r = travel_last_write(g->m, SPA(at), size == 0 ? 1 : size);
    if (r.reason == STOP_ERROR) {
        say(g, "%s\n", g->m->error.text);
        g->m->error = (struct error){0};
    } else if (r.reason == STOP_NONE) {
        say(g, "nobody wrote there since history begins\n");
    }
    mon_when(g, "");
}

static void mon_stop_at(struct gdb *g, const char *args)
{
    static const struct {
        const char *name;
        enum stop_point_kind kind;
    } names[] = {{"exception", POINT_EXCEPTION}, {"interrupt", POINT_INTERRUPT}, {"vmexit", POINT_VM_EXIT},
                 {"vmentry", POINT_VM_ENTRY},    {"vmfail", POINT_ENTRY_FAILURE}, {"physical", POINT_CODE_PHYSICAL}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i].name);
        if (strncmp(args, names[i].name, n) == 0 && (args[n] == ' ' || args[n] == '\0')) {
            struct error err = {0};
            u64 at = args[n] == '\0' ? POINT_ANY : strtoull(args + n, NULL, 0);
            if (!stops_add(g->m, &(struct stop_point){.kind = names[i].kind, .at = at}, &err)) {
                say(g, "%s\n", err.text);
            }
            return;
        }
    }
    say(g, "stop-at exception|interrupt|vmexit|vmentry|vmfail [NUMBER], or physical ADDRESS\n");
}

static void mon_stop_clear(struct gdb *g, const char *args)
{
    UNUSED(args);
    stops_clear(g->m);
    for (unsigned i = 0; i < g->point_count; i++) { /* GDB's own stay */
        struct error err = {0};
        (void)stops_add(g->m, &g->points[i].point, &err);
    }
}

static void mon_help(struct gdb *g, const char *args);

static const struct {
    const char *name, *help;
    void (*run)(struct gdb *g, const char *args);
} commands[] = {
    {"help", "this list", mon_help},
    {"info replay", "where the machine is and how far back one can go", mon_when},
    {"when", "the same", mon_when},
    {"replay_seek", "POSITION: go there", mon_goto},
    {"goto", "POSITION: the same", mon_goto},
    {"last-write", "PHYSICAL [SIZE]: go to just before the last write", mon_last_write},
    {"gva2gpa", "ADDRESS: its physical address, by all levels of tables", mon_gva2gpa},
    {"stop-at", "exception|interrupt|vmexit|vmentry|vmfail [NUMBER], physical ADDRESS", mon_stop_at},
    {"stop-clear", "take the points of stop-at away", mon_stop_clear},
};

static void mon_help(struct gdb *g, const char *args)
{
    UNUSED(args);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        say(g, "%s: %s\n", commands[i].name, commands[i].help);
    }
}

void gdb_monitor(struct gdb *g, const char *text)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        size_t n = strlen(commands[i].name);
        if (strncmp(text, commands[i].name, n) == 0 && (text[n] == ' ' || text[n] == '\0')) {
            commands[i].run(g, text + n + (text[n] == ' ' ? 1 : 0));
            if (g->reply_size == 0) {
                gdb_put(g, "OK");
            }
            return;
        }
    }
    say(g, "no such command; `monitor help` lists them\n");
}
