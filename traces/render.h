/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as text, from the schemas of sim/trace/events.def alone. */
#ifndef VITRINE_TRACES_RENDER_H
#define VITRINE_TRACES_RENDER_H

#include "traces/reader.h"

#include <stdio.h>

/* One field of a schema: "name:kind". The pointers are not terminated. */
struct trace_field {
    const char *name, *kind;
    size_t name_len, kind_len;
};

/* Take the next field off *schema; false at its end. */
bool trace_field_next(const char **schema, struct trace_field *field);

/* "position time cpu event field=value ..." with a newline. */
void trace_render_text(FILE *out, const struct trace_record *record);
/* One JSON object with a newline. */
void trace_render_json(FILE *out, const struct trace_record *record);

#endif
