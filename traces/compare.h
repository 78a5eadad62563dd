/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitrine trace diff`: the first difference between two recordings. */
#ifndef VITRINE_TRACES_COMPARE_H
#define VITRINE_TRACES_COMPARE_H

#include "traces/dump.h"

struct compare_options {
    struct trace_filter filter;
    bool exact;       /* every bit of every record: positions, times, hashes */
    u32 ignore;       /* TRACE_IGNORE_...; else by meaning */
    unsigned context; /* events shown before and after the difference */
};

/* True: the same. Prints what it found to `out`. *err is set (65, 66) when a file could not be read, and with
 * status 73 when they differ. */
bool trace_compare(const char *a, const char *b, const struct compare_options *o, FILE *out, struct error *err);

#endif
