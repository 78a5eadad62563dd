/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitrine trace tree`: each request of a Xen frontend with the VMBus packets and the Hyper-V calls that it became, from the records of the trace
 * port (class port) and the hypercalls (class hypercall); and each packet of a child that speaks VMBus itself, with what the root did for it. */
#ifndef VITRINE_TRACES_TREE_H
#define VITRINE_TRACES_TREE_H

#include "traces/reader.h"

#include <stdio.h>

struct trace_tree_counts {
    u64 requests, unended;   /* of Xen frontends; without an end */
    u64 bare;                /* done well, but without a packet */
    u64 packets, unanswered; /* that were put into a ring; that nobody had completed at the end, though it was asked for or may have been */
    u64 calls;               /* hypercalls made for any of them */
};

/* Shows those that began within the positions. False: no memory. */
bool trace_tree(struct trace_reader *r, u64 first, u64 last, bool json, FILE *out, struct trace_tree_counts *counts);

#endif
