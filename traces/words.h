/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words for numbers: what the kinds of events.def's schemas mean. */
#ifndef VITRINE_TRACES_WORDS_H
#define VITRINE_TRACES_WORDS_H

#include "traces/reader.h"

/* One field of a schema: "name:kind". The pointers are not terminated. */
struct trace_field {
    const char *name, *kind;
    size_t name_len, kind_len;
};

/* Take the next field off *schema; false at its end. */
bool trace_field_next(const char **schema, struct trace_field *field);
bool trace_field_is(const struct trace_field *field, const char *kind);

/* The word for argument `index` of a record, or NULL: print the number. */
const char *trace_word(const struct trace_record *r, const struct trace_field *f, u64 value);
/* "EPT_VIOLATION", "VMMCALL"; NULL when there is none. reason as vm_exit has it. */
const char *trace_exit_name(u64 reason);
const char *trace_interface_name(u64 interface);
const char *trace_hypercall_name(u64 interface, u64 number);

/* Argument n of a hypercall record in its interface's own names; false past the last. name holds 24 bytes. */
bool trace_hypercall_argument(const struct trace_record *r, unsigned n, char *name, u64 *value);

#endif
