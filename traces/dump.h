/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitrine trace dump` and `stat`. */
#ifndef VITRINE_TRACES_DUMP_H
#define VITRINE_TRACES_DUMP_H

#include "traces/reader.h"

#include <stdio.h>

struct trace_filter {
    u32 classes;          /* bit per trace_class */
    u64 events;           /* bit per trace_event */
    u64 first, last;      /* positions, inclusive */
    u32 cpu;              /* one processor only; TRACE_ANY_CPU: all */
    u32 guest;            /* of one guest only, by the report's numbers; 0: all */
    struct report *guests; /* then: who runs where, while records go by (report_priv.h) */
};
#define TRACE_ANY_CPU 0x100u

void trace_filter_init(struct trace_filter *f);
/* From here on only one guest's: what comes while a processor runs it, its exits and what its hypervisor does about
 * them on that processor until the next entry. Free f->guests. False: no memory. */
bool trace_filter_guest(struct trace_filter *f, u32 guest);
/* To be asked for each record in turn. */
bool trace_filter_matches(const struct trace_filter *f, const struct trace_record *r);
/* "cr_write,deliver": adds to f->events (which init leaves meaning: all). False: unknown name, of
 * which *near is the nearest known one or NULL. */
bool trace_filter_events(struct trace_filter *f, const char *list, const char **near);

void trace_dump(struct trace_reader *r, const struct trace_filter *f, bool json, FILE *out);
/* `count` events of the filter before and after a position. */
bool trace_dump_around(const char *path, const struct trace_filter *f, u64 position, unsigned count, bool json,
                       FILE *out, struct error *err);
/* The commands that show a position and that go there, for people to type. */
void trace_print_debug(FILE *out, const char *path, u64 position);
void trace_print_goto(FILE *out, const char *path, u64 position);
void trace_stat(struct trace_reader *r, FILE *out);

#endif
