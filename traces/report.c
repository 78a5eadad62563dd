/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report is traces/report.html with the recording's figures, as JSON, in it. Two passes over the recording:
 * its length first, then what happened when. */
#define _GNU_SOURCE /* memmem */
#include "traces/report.h"

#include "devices/trace_port.h"
#include "machine/machine.h"
#include "traces/dump.h"
#include "traces/report_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char report_html[];
extern const size_t report_html_len;

#define PLACE "@DATA@"

/* ---- JSON in a <script>: no "</" may stand in it ---- */

static void put_text(FILE *out, const char *text, size_t n)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        u8 c = (u8)text[i];
        if (c == '"' || c == '\\' || c == '<' || c < 0x20 || c >= 0x7f) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

static void put_string(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, "\"%s\":", name);
    put_text(out, text, strlen(text));
}

static void put_config(FILE *out, const char *config)
{
    bool first = true;
    (void)fputs("\"config\":[", out);
    while (*config != '\0') {
        size_t len = strcspn(config, "\n");
        if (strncmp(config, "script-text ", 12) != 0) {
            (void)fputs(first ? "" : ",", out);
            put_text(out, config, len);
            first = false;
        }
        config += len + (config[len] == '\n' ? 1 : 0);
    }
    (void)fputs("],\n", out);
}

static void put_head(FILE *out, const struct report *p, const char *path)
{
    char command[4600];
    (void)fputs("{", out);
    put_string(out, "file", path);
    /* The position comes between. */
    (void)snprintf(command, sizeof command, "vitrine replay %s --debug -ex 'goto ", path);
    (void)fputs(",", out);
    put_string(out, "goto", command);
    (void)snprintf(command, sizeof command, "vitrine trace dump %s --around ", path);
    (void)fputs(",", out);
    put_string(out, "around", command);
    (void)fputs(",", out);
    put_config(out, p->reader->config);
    put_string(out, "cut", p->reader->end.status != EXIT_STATUS_OK ? p->reader->end.text : "");
    (void)fprintf(out, ",\"from_ns\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"positions\":%" PRIu64 ",\"records\":%" PRIu64 ",\"left_out\":%" PRIu64 ",",
                  p->first_ns, p->last_ns, p->last_position, p->records, p->left_out);
    put_string(out, "end", p->has_stop ? stop_reason_name((enum stop_reason)(p->stop.args[0] <= STOP_REASON_LAST ? p->stop.args[0] : 0)) : "");
    (void)fprintf(out, ",\"code\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\",\n\"counts\":{", p->stop.args[1], p->stop.args[2]);
    bool first = true;
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        if (p->counts[i] > 0) {
            (void)fprintf(out, "%s\"%s\":%" PRIu64, first ? "" : ",", trace_event_info[i].name, p->counts[i]);
            first = false;
        }
    }
    (void)fputs("},\n", out);
}

static void put_timeline(FILE *out, const struct report *p)
{
    (void)fprintf(out, "\"modes\":[{\"name\":\"L0 host\",\"level\":0,\"ns\":%" PRIu64 "}", p->host_ns);
    for (unsigned i = 0; i < p->guest_count; i++) {
        const struct report_guest *g = &p->guests[i];
        (void)fprintf(out, ",{\"name\":\"L%u guest %u\",\"called\":", g->level, i + 1);
        put_text(out, g->name, strlen(g->name));
        (void)fprintf(out, ",\"level\":%u,\"entries\":%" PRIu64 ",\"root\":\"0x%" PRIx64
                      "\",\"parent\":%u,\"first\":%" PRIu64 ",\"ns\":%" PRIu64 "}",
                      g->level, g->entries, g->root, g->parent, g->first_at, g->ns);
    }
    (void)fprintf(out, "],\n\"buckets\":%u,\"at\":[", REPORT_BUCKETS);
    u64 position = 0;
    for (unsigned b = 0; b < REPORT_BUCKETS; b++) {
        position = p->position_at[b] != 0 ? p->position_at[b] : position;
        (void)fprintf(out, "%s%" PRIu64, b == 0 ? "" : ",", position);
    }
    (void)fputs("],\n\"cpus\":[", out);
    bool first = true;
    for (unsigned c = 0; c < REPORT_CPUS; c++) {
        if (!p->cpus[c].seen) {
            continue;
        }
        (void)fprintf(out, "%s\n{\"cpu\":%u,\"shares\":[", first ? "" : ",", c);
        first = false;
        for (unsigned m = 0; m <= p->guest_count; m++) {
            (void)fputs(m == 0 ? "[" : ",[", out);
            for (unsigned b = 0; b < REPORT_BUCKETS; b++) {
                (void)fprintf(out, "%s%u", b == 0 ? "" : ",", *report_share(p, c, m, b));
            }
            (void)fputs("]", out);
        }
        (void)fputs("]}", out);
    }
    (void)fputs("],\n", out);
}

static void put_call_name(FILE *out, const struct report_call *c)
{
    char text[128];
    const char *interface = trace_interface_name(c->interface);
    const char *name = trace_hypercall_name(c->interface, c->number);
    if (name != NULL) {
        (void)snprintf(text, sizeof text, "%s %s", interface, name);
    } else {
        (void)snprintf(text, sizeof text, "%s 0x%" PRIx64, interface != NULL ? interface : "?", c->number);
    }
    put_text(out, text, strlen(text));
}

static void put_owners(FILE *out, const struct report_owner *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct report_owner *o = &list[i];
        (void)fprintf(out, "%s[\"0x%" PRIx64 "\",\"0x%" PRIx64 "\",%" PRIu64 ",%" PRIu64 ",\"0x%" PRIx64 "\",", i == 0 ? "" : ",",
                      o->first, o->last, o->owner, o->level, o->rights);
        put_text(out, o->name, strlen(o->name));
        (void)fprintf(out, ",%" PRIu64 ",%" PRIu64 "]", o->at, o->last - o->first + 1);
    }
}

static void put_tables(FILE *out, const struct report *p)
{
    (void)fputs("\"exits\":[", out);
    for (unsigned i = 0; i < p->reason_count; i++) {
        const struct report_reason *r = &p->reasons[i];
        char number[32];
        const char *name = trace_exit_name(r->reason);
        (void)snprintf(number, sizeof number, "0x%" PRIx64, r->reason & 0xffffffff);
        (void)fputs(i == 0 ? "[" : ",[", out);
        put_text(out, name != NULL ? name : number, strlen(name != NULL ? name : number));
        (void)fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, r->count, r->positions, r->most, r->most_at);
        for (unsigned l = 0; l < REPORT_LEVELS; l++) {
            (void)fprintf(out, "%s%" PRIu64, l == 0 ? ",[" : ",", r->by_level[l]);
        }
        (void)fputs("]]", out);
    }
    (void)fputs("],\n\"calls\":[", out);
    for (unsigned i = 0; i < p->call_count; i++) {
        const struct report_call *c = &p->calls[i];
        (void)fputs(i == 0 ? "[" : ",[", out);
        put_call_name(out, c);
        (void)fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", c->count, c->done,
                      c->positions, c->most, c->most_at);
        bool is_error = (i64)c->result < 0 && (i64)c->result >= -4095;
        if (is_error) {
            (void)fprintf(out, "\"%" PRIi64 "\"]", (i64)c->result);
        } else {
            (void)fprintf(out, "\"0x%" PRIx64 "\"]", c->result);
        }
    }
    (void)fputs("],\n\"children\":[", out);
    for (unsigned i = 0; i < p->child_count; i++) {
        const struct report_child *c = &p->children[i];
        (void)fputs(i == 0 ? "[" : ",[", out);
        put_call_name(out, &p->calls[c->parent]);
        (void)fputs(",", out);
        put_call_name(out, &p->calls[c->child]);
        (void)fprintf(out, ",%" PRIu64 ",%" PRIu64 "]", c->count, c->first_at);
    }
    (void)fputs("],\n\"claims\":[", out);
    bool first = true;
    for (u32 type = 0; type < REPORT_CLAIMS; type++) {
        const struct trace_port_row *row = trace_port_row(type);
        const u64 *n = p->claims[type];
        if (row != NULL && (n[0] | n[1] | n[2] | n[3] | n[4]) != 0) {
            (void)fprintf(out, "%s[\"%s\",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", first ? "" : ",", row->name,
                          n[0], n[1], n[2], n[3], n[4]);
            first = false;
        }
    }
    (void)fputs("],\n\"latency\":[", out);
    first = true;
    for (unsigned v = 0; v < 256; v++) {
        const struct report_latency *l = &p->latency[v];
        if (l->count > 0) {
            (void)fprintf(out, "%s[%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", first ? "" : ",", v, l->count,
                          l->least, l->sum / l->count, l->most, l->most_at);
            first = false;
        }
    }
    (void)fputs("],\n\"memory\":[", out);
    put_owners(out, p->owners, p->owner_count);
    (void)fprintf(out, "],\n\"peak_at\":%" PRIu64 ",\"peak\":[", p->peak_at);
    put_owners(out, p->peak, p->peak_count);
    (void)fputs("],\n", out);
}

/* ---- Rows ---- */

struct rows {
    FILE *console, *events;
    char *console_text, *events_text;
    size_t console_size, events_size;
    u64 lines, shown, left;
    u64 seen[TRACE_EVENT_COUNT], total[TRACE_EVENT_COUNT];
    u64 quota[TRACE_EVENT_COUNT]; /* how many of each are shown: the first half and the last */
};

/* What is rare is shown whole; what is frequent shares the room that is left. Ports and MMIO, where there are many, are
 * left to `dump`. */
static void share_room(const struct report *p, struct rows *w)
{
    u64 io = p->counts[TRACE_EVENT_port_read] + p->counts[TRACE_EVENT_port_write] +
             p->counts[TRACE_EVENT_mmio_read] + p->counts[TRACE_EVENT_mmio_write];
    u64 room = REPORT_EVENTS;
    bool wants[TRACE_EVENT_COUNT];
    unsigned waiting = 0;
    for (u32 e = 1; e < TRACE_EVENT_COUNT; e++) {
        const struct trace_record any = {.event = e};
        w->total[e] = p->counts[e];
        wants[e] = p->counts[e] > 0 && e != TRACE_EVENT_console_line && trace_has_meaning(&any) &&
                   (trace_event_info[e].class != TRACE_CLASS_IO || io < REPORT_EVENTS / 2);
        waiting += wants[e] ? 1 : 0;
    }
    for (bool more = true; more && waiting > 0;) {
        more = false;
        for (u32 e = 1; e < TRACE_EVENT_COUNT; e++) {
            if (wants[e] && p->counts[e] <= room / waiting) {
                w->quota[e] = p->counts[e] + 1; /* its half may be rounded down */
                room -= p->counts[e];
                wants[e] = false;
                more = true;
                if (--waiting == 0) {
                    break;
                }
            }
        }
    }
    for (u32 e = 1; e < TRACE_EVENT_COUNT; e++) {
        w->quota[e] = wants[e] ? room / waiting : w->quota[e];
    }
}

static void add_row(struct rows *w, const struct trace_record *r)
{
    if (r->event == TRACE_EVENT_console_line) {
        if (w->lines++ < REPORT_LINES) {
            (void)fprintf(w->console, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", w->lines == 1 ? "" : ",\n", r->position.n,
                          r->time.ns, r->args[0]);
            put_text(w->console, (const char *)r->payload, r->size);
            (void)fputs("]", w->console);
        }
        return;
    }
    u64 n = w->seen[r->event]++;
    if (n >= w->quota[r->event] / 2 && n < w->total[r->event] - w->quota[r->event] / 2) {
        w->left++;
        return;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return;
    }
    trace_render_fields(out, r);
    if (fclose(out) == 0) {
        (void)fprintf(w->events, "%s[%" PRIu64 ",%" PRIu64 ",%d,\"%s\",", w->shown == 0 ? "" : ",\n", r->position.n, r->time.ns,
                      r->cpu == TRACE_NO_CPU ? -1 : (int)r->cpu, trace_event_info[r->event].name);
        size_t skip = size > 0 && text[0] == ' ' ? 1 : 0;
        put_text(w->events, text + skip, size - skip < 400 ? size - skip : 400);
        (void)fputs("]", w->events);
        w->shown++;
    }
    free(text);
}

static bool second_pass(struct report *p, struct rows *w, const char *path, struct error *err)
{
    struct trace_reader r;
    struct trace_record record;
    bool ok = trace_reader_open(&r, path, err);
    share_room(p, w);
    while (ok && trace_reader_next(&r, &record)) {
        report_take(p, &record);
        add_row(w, &record);
    }
    report_end(p);
    trace_reader_close(&r);
    return ok;
}

static void put_data(FILE *out, const struct report *p, const struct rows *w, const char *path)
{
    put_head(out, p, path);
    put_timeline(out, p);
    put_tables(out, p);
    (void)fprintf(out, "\"lines\":%" PRIu64 ",\"console\":[%s],\n\"events_left\":%" PRIu64 ",\"events\":[%s]}", w->lines,
                  w->console_text, w->left, w->events_text);
}

static bool write_html(const struct report *p, const struct rows *w, const char *path, const char *html,
                       struct error *err)
{
    const char *page = (const char *)report_html;
    const char *place = memmem(page, report_html_len, PLACE, strlen(PLACE));
    FILE *out = fopen(html, "w");
    if (out == NULL || place == NULL) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", html, strerror(errno));
    }
    size_t before = (size_t)(place - page), after = before + strlen(PLACE);
    (void)fwrite(page, 1, before, out);
    put_data(out, p, w, path);
    (void)fwrite(page + after, 1, report_html_len - after, out);
    return fclose(out) == 0 || error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", html);
}

static bool make(struct report *p, const char *path, const char *html, struct error *err)
{
    struct rows w = {0};
    w.console = open_memstream(&w.console_text, &w.console_size);
    w.events = open_memstream(&w.events_text, &w.events_size);
    bool ok = w.console != NULL && w.events != NULL;
    ok = ok ? second_pass(p, &w, path, err) : error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    ok = (w.console == NULL || fclose(w.console) == 0) && (w.events == NULL || fclose(w.events) == 0) && ok;
    ok = ok && write_html(p, &w, path, html, err);
    free(w.console_text);
    free(w.events_text);
    return ok;
}

bool trace_report(const char *path, const char *html, struct error *err)
{
    struct trace_reader r;
    struct trace_record record;
    struct report *p = calloc(1, sizeof *p);
    u32 *shares = calloc((size_t)REPORT_CPUS * REPORT_MODES * REPORT_BUCKETS, sizeof *shares);
    if (p == NULL || shares == NULL) {
        free(p);
        free(shares);
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    p->shares = shares;
    bool ok = trace_reader_open(&r, path, err);
    p->reader = &r;
    p->goes_on = r.began > 0;
    while (ok && trace_reader_next(&r, &record)) {
        report_measure(p, &record);
    }
    p->pages = ok && p->page_count > 0 ? calloc(p->page_count, sizeof *p->pages) : NULL;
    ok = ok && make(p, path, html, err);
    trace_reader_close(&r);
    free(p->pages);
    free(shares);
    free(p);
    return ok;
}
