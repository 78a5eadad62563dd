/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Goldens: what a machine has to do, as a text that people read and git compares. See traces/README.md. */
#ifndef VITRINE_TRACES_GOLDEN_H
#define VITRINE_TRACES_GOLDEN_H

#include "traces/reader.h"

#include <stdio.h>

struct golden {
    char *text;   /* of the file; what follows points into it */
    char *head;   /* the lines before "---", as they are (for --update) */
    char **argv;  /* of the line "run" */
    int argc;
    const char *classes; /* "trace"; NULL: those of every recording */
    const char *events;  /* "only"; NULL: all */
    u32 ignore;          /* "ignore": TRACE_IGNORE_... */
    char **lines;
    size_t line_count;
};

/* "address,count" into bits of TRACE_IGNORE_...; false when a word is unknown. */
bool golden_parse_ignore(const char *list, u32 *ignore);
bool golden_load(struct golden *g, const char *path, struct error *err);
void golden_free(struct golden *g);

/* What a recording says in a golden's language: lines, and where each came from. */
struct golden_lines {
    char *text; /* all lines */
    size_t size;
    char **lines;
    u64 *positions;
    size_t count;
};

bool golden_lines_of(const struct golden *g, struct trace_reader *r, struct golden_lines *out, struct error *err);
void golden_lines_free(struct golden_lines *l);
/* Number of the first line that differs, or -1. */
i64 golden_compare(const struct golden *g, const struct golden_lines *got);
/* Show it, each line after `prefix`. */
void golden_show(const struct golden *g, const struct golden_lines *got, i64 at, const char *prefix, FILE *out);
bool golden_write(const struct golden *g, const struct golden_lines *got, const char *path, struct error *err);

#endif
