/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two passes: the first finds the number of the first event that differs, the second prints what stands
 * around it in both files. */
#include "traces/compare.h"

#include "traces/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct side {
    const char *path;
    struct trace_reader reader;
    struct trace_meaning meaning;
    /* The event at hand as what is compared. */
    char *text;
    size_t size;
    bool there;       /* else the file is at its end */
    u64 number;       /* how many records of the filter came before it */
    position_t position;
    /* The one after it, where repetitions are folded. */
    char *ahead;
    size_t ahead_size;
    bool ahead_there;
    u64 ahead_number;
    position_t ahead_position;
    u64 read; /* records of the filter read so far */
};

static bool wanted(const struct compare_options *o, const struct trace_record *r)
{
    return trace_filter_matches(&o->filter, r) && (o->exact || trace_has_meaning(r));
}

/* All of a record as bytes; the payload's memory is the reader's until the next record. */
static void put_exact(FILE *out, const struct trace_record *r)
{
    const u64 head[] = {r->position.n, r->time.ns, r->event, r->cpu, r->argc};
    (void)fwrite(head, sizeof head, 1, out);
    (void)fwrite(r->args, sizeof r->args, 1, out);
    (void)fwrite(r->payload, 1, r->size, out);
}

static bool read_ahead(struct side *s, const struct compare_options *o)
{
    struct trace_record r;
    free(s->ahead);
    s->ahead = NULL;
    s->ahead_there = false;
    while (trace_reader_next(&s->reader, &r)) {
        if (!wanted(o, &r)) {
            continue;
        }
        FILE *out = open_memstream(&s->ahead, &s->ahead_size);
        if (out == NULL) {
            return false;
        }
        if (o->exact) {
            put_exact(out, &r);
        } else {
            trace_render_meaning(out, &s->meaning, &r);
        }
        s->ahead_there = fclose(out) == 0;
        s->ahead_position = r.position;
        s->ahead_number = s->read++;
        return s->ahead_there;
    }
    return false;
}

static bool same_text(const char *a, size_t an, const char *b, size_t bn)
{
    return an == bn && (an == 0 || memcmp(a, b, an) == 0);
}

/* Make the next event the one at hand. */
static void advance(struct side *s, const struct compare_options *o)
{
    free(s->text);
    s->text = s->ahead;
    s->size = s->ahead_size;
    s->there = s->ahead_there;
    s->number = s->ahead_number;
    s->position = s->ahead_position;
    s->ahead = NULL;
    bool fold = (o->ignore & TRACE_IGNORE_COUNT) != 0 && !o->exact;
    while (read_ahead(s, o) && fold && s->there && same_text(s->text, s->size, s->ahead, s->ahead_size)) {
    }
}

static bool open_side(struct side *s, const char *path, const struct compare_options *o, struct error *err)
{
    *s = (struct side){.path = path, .meaning = {.ignore = o->ignore}};
    if (!trace_reader_open(&s->reader, path, err)) {
        return false;
    }
    (void)read_ahead(s, o);
    advance(s, o);
    return true;
}

static void close_side(struct side *s)
{
    trace_reader_close(&s->reader);
    free(s->text);
    free(s->ahead);
}

static void show_side(const struct side *s, const struct compare_options *o, FILE *out)
{
    struct trace_reader r;
    struct trace_record record;
    struct error err = {0};
    u64 n = 0;
    u64 last = s->there ? s->number : s->read;
    (void)fprintf(out, "%s\n", s->path);
    if (!trace_reader_open(&r, s->path, &err)) {
        trace_reader_close(&r);
        return;
    }
    while (n <= last + o->context && trace_reader_next(&r, &record)) {
        if (wanted(o, &record)) {
            if (n + o->context >= last) {
                (void)fputs(n == last ? "> " : "  ", out);
                trace_render_text(out, &record);
            }
            n++;
        }
    }
    if (!s->there) {
        (void)fprintf(out, "> (no more events)\n");
    }
    trace_reader_close(&r);
}

static void show(const struct side *a, const struct side *b, const struct compare_options *o, u64 same, FILE *out)
{
    const struct side *sides[] = {a, b};
    (void)fprintf(out, "%" PRIu64 " events are the same; then\n", same);
    for (unsigned i = 0; i < 2; i++) {
        show_side(sides[i], o, out);
    }
    (void)fprintf(out, "to go there\n");
    for (unsigned i = 0; i < 2; i++) {
        if (sides[i]->there) {
            (void)fprintf(out, "  ");
            trace_print_goto(out, sides[i]->path, sides[i]->position.n);
            (void)fputs("\n    or: ", out);
            trace_print_debug(out, sides[i]->path, sides[i]->position.n);
            (void)fputc('\n', out);
        }
    }
}

/* A file that was cut can only be compared as far as it goes. */
static void note_cut(const struct side *s, FILE *out)
{
    if (s->reader.end.status != EXIT_STATUS_OK) {
        (void)fprintf(out, "%s: %s\n", s->path, s->reader.end.text);
    }
}

bool trace_compare(const char *path_a, const char *path_b, const struct compare_options *o, FILE *out,
                   struct error *err)
{
    struct side a, b = {0};
    u64 same = 0;
    bool ok = open_side(&a, path_a, o, err) && open_side(&b, path_b, o, err);
    if (ok) {
        while (a.there && b.there && same_text(a.text, a.size, b.text, b.size)) {
            advance(&a, o);
            advance(&b, o);
            same++;
        }
        note_cut(&a, out);
        note_cut(&b, out);
        ok = !a.there && !b.there;
        if (ok) {
            (void)fprintf(out, "the same: %" PRIu64 " events\n", same);
        } else {
            show(&a, &b, o, same, out);
            const struct side *s = a.there ? &a : &b;
            (void)error_set(err, EXIT_STATUS_DIFFERS, "the recordings differ at position %" PRIu64 " of %s",
                            s->position.n, s->path);
        }
    }
    close_side(&a);
    close_side(&b);
    return ok;
}
