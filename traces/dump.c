/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/dump.h"

#include "base/nearest.h"
#include "machine/machine.h"
#include "traces/render.h"
#include "traces/report_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(TRACE_EVENT_COUNT <= 64, "trace_filter.events has a bit for each event");

void trace_filter_init(struct trace_filter *f)
{
    *f = (struct trace_filter){
        .classes = ~(u32)0, .events = 0, .first = 0, .last = ~(u64)0, .cpu = TRACE_ANY_CPU};
}

bool trace_filter_guest(struct trace_filter *f, u32 guest)
{
    f->guest = guest;
    f->guests = calloc(1, sizeof *f->guests);
    return f->guests != NULL;
}

static bool is_guests(const struct trace_filter *f, const struct trace_record *r)
{
    unsigned before = report_guest_of(f->guests, r->cpu);
    report_follow(f->guests, r);
    return before == f->guest || report_guest_of(f->guests, r->cpu) == f->guest;
}

bool trace_filter_matches(const struct trace_filter *f, const struct trace_record *r)
{
    if (f->guest != 0 && !is_guests(f, r)) {
        return false;
    }
    return (f->classes >> trace_event_info[r->event].class & 1) != 0 &&
           (f->events == 0 || (f->events >> r->event & 1) != 0) && r->position.n >= f->first &&
           r->position.n <= f->last && (f->cpu == TRACE_ANY_CPU || f->cpu == r->cpu);
}

bool trace_filter_events(struct trace_filter *f, const char *list, const char **near)
{
    while (*list != '\0') {
        char name[48];
        size_t len = strcspn(list, ",");
        u64 bit = 0;
        struct nearest n;
        (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), list);
        nearest_init(&n, name);
        for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
            bit |= strcmp(trace_event_info[i].name, name) == 0 ? (u64)1 << i : 0;
            nearest_offer(&n, trace_event_info[i].name);
        }
        if (bit == 0) {
            *near = nearest_result(&n);
            return false;
        }
        f->events |= bit;
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return true;
}

static void print(FILE *out, const struct trace_record *r, bool json)
{
    if (json) {
        trace_render_json(out, r);
    } else {
        trace_render_text(out, r);
    }
}

void trace_dump(struct trace_reader *r, const struct trace_filter *f, bool json, FILE *out)
{
    struct trace_record record;
    while (trace_reader_next(r, &record)) {
        if (!trace_filter_matches(f, &record)) {
            continue;
        }
        print(out, &record, json);
    }
}

bool trace_dump_around(const char *path, const struct trace_filter *f, u64 position, unsigned count, bool json,
                       FILE *out, struct error *err)
{
    u64 before = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        struct trace_reader r;
        struct trace_record record;
        u64 n = 0;
        if (f->guests != NULL) {
            memset(f->guests, 0, sizeof *f->guests);
        }
        if (!trace_reader_open(&r, path, err)) {
            trace_reader_close(&r);
            return false;
        }
        while ((pass == 0 || n < before + count) && trace_reader_next(&r, &record)) {
            if (!trace_filter_matches(f, &record)) {
                continue;
            }
            if (pass == 0 && record.position.n < position) {
                before++;
            } else if (pass == 1 && n + count >= before) {
                print(out, &record, json);
            }
            n++;
        }
        trace_reader_close(&r);
    }
    return true;
}

void trace_print_goto(FILE *out, const char *path, u64 position)
{
    (void)fprintf(out, "vitrine trace dump %s --around %" PRIu64, path, position);
}

void trace_print_debug(FILE *out, const char *path, u64 position)
{
    (void)fprintf(out, "vitrine replay %s --debug -ex 'goto %" PRIu64 "'", path, position);
}

/* The configuration without the script's text. */
static void print_config(const char *config, FILE *out)
{
    while (*config != '\0') {
        size_t len = strcspn(config, "\n");
        if (strncmp(config, "script-text ", 12) != 0) {
            (void)fprintf(out, "  %.*s\n", (int)len, config);
        }
        config += len + (config[len] == '\n' ? 1 : 0);
    }
}

void trace_stat(struct trace_reader *r, FILE *out)
{
    u64 counts[TRACE_EVENT_COUNT] = {0};
    u64 records = 0, last_hash = 0, marks = 0;
    struct trace_record record, first = {0}, last = {0}, stop = {0};
    while (trace_reader_next(r, &record)) {
        counts[record.event]++;
        first = records == 0 ? record : first;
        last = record;
        records++;
        if (record.event == TRACE_EVENT_mark) {
            last_hash = record.args[0];
            marks++;
        } else if (record.event == TRACE_EVENT_stop) {
            stop = record;
        }
    }
    (void)fprintf(out, "configuration\n");
    print_config(r->config, out);
    (void)fprintf(out, "file\n  %" PRIu64 " chunks, %" PRIu64 " records, %zu bytes (%" PRIu64
                  " unpacked)%s%s\n",
                  r->chunks, records, r->size, r->unpacked,
                  r->end.status != EXIT_STATUS_OK ? "; " : "", r->end.text);
    (void)fprintf(out, "run\n  positions %" PRIu64 " to %" PRIu64 ", %" PRIu64 ".%09" PRIu64 " s\n",
                  first.position.n, last.position.n, last.time.ns / NS_PER_SEC,
                  last.time.ns % NS_PER_SEC);
    if (marks > 0) {
        (void)fprintf(out, "  %" PRIu64 " state hashes, the last %016" PRIx64 "\n", marks, last_hash);
    }
    if (stop.event == TRACE_EVENT_stop) {
        (void)fprintf(out, "  end %s %" PRIu64 ", hash %016" PRIx64 "\n",
                      stop_reason_name((enum stop_reason)(stop.args[0] <= STOP_REASON_LAST ? stop.args[0] : 0)),
                      stop.args[1], stop.args[2]);
    } else {
        (void)fprintf(out, "  no end: the recording was cut\n");
    }
    (void)fprintf(out, "events\n");
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        if (counts[i] > 0) {
            (void)fprintf(out, "  %-14s %10" PRIu64 "  %s\n", trace_event_info[i].name, counts[i],
                          trace_event_info[i].meaning);
        }
    }
}
