/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as text, from the schemas of sim/trace/events.def alone. */
#ifndef VITRINE_TRACES_RENDER_H
#define VITRINE_TRACES_RENDER_H

#include "traces/reader.h"
#include "traces/words.h"

#include <stdio.h>

/* "position time cpu event field=value ..." with a newline. */
void trace_render_text(FILE *out, const struct trace_record *record);
/* " field=value ..." alone. */
void trace_render_fields(FILE *out, const struct trace_record *record);
/* One JSON object with a newline. */
void trace_render_json(FILE *out, const struct trace_record *record);

/* What two runs are compared by when they are compared by meaning: no positions, no times; virtual
 * processors are numbered as they appear. */
#define TRACE_IGNORE_ADDRESS 1u /* fields of kind addr, hypercalls' registers */
#define TRACE_IGNORE_COUNT 2u   /* how often the same event follows itself */
struct trace_meaning {
    u32 ignore;
    u64 vcpu[64];
    unsigned vcpus;
};

/* State hashes and the contents of disks have none. */
bool trace_has_meaning(const struct trace_record *record);
/* "cpu0 event field=value ..." without a newline. */
void trace_render_meaning(FILE *out, struct trace_meaning *m, const struct trace_record *record);
/* Quoted, with escapes that C and JSON share. */
void trace_put_quoted(FILE *out, const u8 *bytes, size_t n);

#endif
