/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A golden is
 *
 *     # what it is about
 *     run --kernel hello.elf --memory 16M       options of `vitrine run`; "..." keeps blanks
 *     trace int,io                              classes beside those of every recording
 *     only vm_exit,hypercall                    just these events
 *     ignore address,count                      what may change
 *     ---
 *     cpu0 port_write port=0x3f8 size=1 value=0x68
 *     3 x cpu0 port_read port=0x3fd size=1 value=0x60
 *
 * one event a line, repetitions counted. What follows two blanks and a # is for readers: a hypercall's name. */
#include "traces/golden.h"

#include "machine/boot/boot.h"
#include "traces/dump.h"
#include "traces/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT "  # "

/* A line's length without its comment. A text in quotes at its end has none. */
static size_t length_of(const char *line)
{
    size_t len = strlen(line);
    const char *comment = strstr(line, COMMENT);
    return comment != NULL && line[len - 1] != '"' ? (size_t)(comment - line) : len;
}

static bool same_line(const char *a, const char *b)
{
    size_t n = length_of(a);
    return n == length_of(b) && strncmp(a, b, n) == 0;
}

static void *more(void *array, size_t count, size_t element)
{
    bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
    return full ? realloc(array, (count < 16 ? 16 : 2 * count) * element) : array;
}

/* Split in place at blanks outside of quotes. */
static bool split(struct golden *g, char *p)
{
    for (;;) {
        p += strspn(p, " ");
        if (*p == '\0') {
            return true;
        }
        char **argv = more(g->argv, (size_t)g->argc, sizeof *argv);
        if (argv == NULL) {
            return false;
        }
        g->argv = argv;
        g->argv[g->argc++] = p;
        char *out = p;
        bool quoted = false;
        for (; *p != '\0' && (quoted || *p != ' '); p++) {
            if (*p == '"') {
                quoted = !quoted;
            } else {
                *out++ = *p;
            }
        }
        bool end = *p == '\0';
        *out = '\0';
        p += end ? 0 : 1;
    }
}

bool golden_parse_ignore(const char *list, u32 *ignore)
{
    static const struct {
        const char *name;
        u32 bit;
    } names[] = {{"address", TRACE_IGNORE_ADDRESS}, {"count", TRACE_IGNORE_COUNT}};
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        u32 bit = 0;
        for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
            bit |= strlen(names[i].name) == len && strncmp(names[i].name, list, len) == 0 ? names[i].bit : 0;
        }
        if (bit == 0) {
            return false;
        }
        *ignore |= bit;
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return true;
}

static bool take_head(struct golden *g, char *line, const char *path, struct error *err)
{
    char *value = strchr(line, ' ');
    if (line[0] == '#' || line[0] == '\0') {
        return true;
    }
    value = value != NULL ? value + 1 : line + strlen(line);
    size_t word = (size_t)(value - line);
    if (strncmp(line, "run ", word) == 0 && word == 4) {
        return split(g, value) || error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    if (strncmp(line, "trace ", word) == 0 && word == 6) {
        g->classes = value;
        return true;
    }
    if (strncmp(line, "only ", word) == 0 && word == 5) {
        g->events = value;
        return true;
    }
    if (strncmp(line, "ignore ", word) == 0 && word == 7 && golden_parse_ignore(value, &g->ignore)) {
        return true;
    }
    return error_set(err, EXIT_STATUS_BAD_FILE, "%s: not a line of a golden's head: %.60s", path, line);
}

/* Cut the next line off; NULL at the end. */
static char *next_line(char **p)
{
    char *line = *p;
    if (*line == '\0') {
        return NULL;
    }
    size_t len = strcspn(line, "\n");
    *p = line + len + (line[len] == '\n' ? 1 : 0);
    line[len] = '\0';
    return line;
}

static bool parse(struct golden *g, const char *path, struct error *err)
{
    char *p = g->text, *line;
    bool body = false;
    const char *separator = strstr(g->text, "\n---\n");
    g->head = strndup(g->text, separator != NULL ? (size_t)(separator - g->text) + 1 : strlen(g->text));
    if (g->head == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    while ((line = next_line(&p)) != NULL) {
        if (body) {
            char **lines = more(g->lines, g->line_count, sizeof *lines);
            if (lines == NULL) {
                return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
            }
            g->lines = lines;
            g->lines[g->line_count++] = line;
        } else if (strcmp(line, "---") == 0) {
            body = true;
        } else if (!take_head(g, line, path, err)) {
            return false;
        }
    }
    return g->argc > 0 || error_set(err, EXIT_STATUS_BAD_FILE, "%s: no golden: a line `run OPTIONS` is wanted", path);
}

bool golden_load(struct golden *g, const char *path, struct error *err)
{
    struct boot_file f;
    *g = (struct golden){0};
    if (!boot_read_file("golden", path, &f, err)) {
        return false;
    }
    g->text = strndup((const char *)f.data, f.size);
    boot_free_file(&f);
    return g->text != NULL ? parse(g, path, err) : error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
}

void golden_free(struct golden *g)
{
    free(g->text);
    free(g->head);
    free(g->argv);
    free(g->lines);
    *g = (struct golden){0};
}

/* ---- A recording in a golden's language ---- */

struct collector {
    const struct golden *g;
    FILE *out;
    char *last; /* the line that is being repeated */
    u64 repeats, last_position;
    u64 *positions;
    size_t count;
};

static bool put_last(struct collector *c)
{
    if (c->last == NULL) {
        return true;
    }
    u64 *positions = more(c->positions, c->count, sizeof *positions);
    if (positions == NULL) {
        return false;
    }
    c->positions = positions;
    c->positions[c->count++] = c->last_position;
    if (c->repeats > 1 && (c->g->ignore & TRACE_IGNORE_COUNT) == 0) {
        (void)fprintf(c->out, "%" PRIu64 " x ", c->repeats);
    }
    (void)fprintf(c->out, "%s\n", c->last);
    free(c->last);
    c->last = NULL;
    return true;
}

static bool collect(struct collector *c, struct trace_reader *r, const struct trace_filter *f)
{
    struct trace_meaning meaning = {.ignore = c->g->ignore};
    struct trace_record record;
    while (trace_reader_next(r, &record)) {
        if (!trace_filter_matches(f, &record) || !trace_has_meaning(&record)) {
            continue;
        }
        char *line = NULL;
        size_t size = 0;
        FILE *text = open_memstream(&line, &size);
        if (text == NULL) {
            return false;
        }
        trace_render_meaning(text, &meaning, &record);
        if (record.event == TRACE_EVENT_hypercall || record.event == TRACE_EVENT_hypercall_done) {
            const char *name = trace_hypercall_name(record.args[0], record.args[1]);
            (void)fprintf(text, "%s%s", name != NULL ? COMMENT : "", name != NULL ? name : "");
        }
        if (fclose(text) != 0) {
            return false;
        }
        if (c->last != NULL && strcmp(c->last, line) == 0) {
            c->repeats++;
            free(line);
        } else {
            if (!put_last(c)) {
                free(line);
                return false;
            }
            c->last = line;
            c->repeats = 1;
            c->last_position = record.position.n;
        }
    }
    return put_last(c);
}

bool golden_lines_of(const struct golden *g, struct trace_reader *r, struct golden_lines *out, struct error *err)
{
    struct trace_filter f;
    struct collector c = {.g = g};
    const char *near;
    *out = (struct golden_lines){0};
    trace_filter_init(&f);
    if (g->events != NULL && !trace_filter_events(&f, g->events, &near)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "only %s: no such event", g->events);
    }
    c.out = open_memstream(&out->text, &out->size);
    bool ok = c.out != NULL && collect(&c, r, &f);
    ok = c.out != NULL && fclose(c.out) == 0 && ok;
    free(c.last);
    out->positions = c.positions;
    out->lines = ok ? calloc(c.count + 1, sizeof *out->lines) : NULL;
    if (out->lines == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    char *p = out->text, *line;
    while (out->count < c.count && (line = next_line(&p)) != NULL) {
        out->lines[out->count++] = line;
    }
    return true;
}

void golden_lines_free(struct golden_lines *l)
{
    free(l->text);
    free(l->lines);
    free(l->positions);
    *l = (struct golden_lines){0};
}

i64 golden_compare(const struct golden *g, const struct golden_lines *got)
{
    for (size_t i = 0; i < g->line_count || i < got->count; i++) {
        if (i >= g->line_count || i >= got->count || !same_line(g->lines[i], got->lines[i])) {
            return (i64)i;
        }
    }
    return -1;
}

#define CONTEXT 3

void golden_show(const struct golden *g, const struct golden_lines *got, i64 at, const char *prefix, FILE *out)
{
    size_t n = (size_t)at;
    for (size_t i = n > CONTEXT ? n - CONTEXT : 0; i < n; i++) {
        (void)fprintf(out, "%s  %s\n", prefix, g->lines[i]);
    }
    for (size_t i = n; i < n + CONTEXT && i < g->line_count; i++) {
        (void)fprintf(out, "%s- %s\n", prefix, g->lines[i]);
    }
    for (size_t i = n; i < n + CONTEXT && i < got->count; i++) {
        (void)fprintf(out, "%s+ %s\n", prefix, got->lines[i]);
    }
}

bool golden_write(const struct golden *g, const struct golden_lines *got, const char *path, struct error *err)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", path, strerror(errno));
    }
    (void)fprintf(out, "%s---\n", g->head);
    for (size_t i = 0; i < got->count; i++) {
        (void)fprintf(out, "%s\n", got->lines[i]);
    }
    return fclose(out) == 0 || error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", path);
}
