/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads trace files (sim/trace/format.h). Any bytes are accepted: what cannot be read is one clear
 * line, and everything before it is still given out. */
#ifndef VITRINE_TRACES_READER_H
#define VITRINE_TRACES_READER_H

#include "base/status.h"
#include "base/types.h"
#include "trace/events.h"

struct trace_record {
    position_t position;
    vtime_t time;
    u32 event; /* enum trace_event, known to this program */
    u32 cpu;   /* TRACE_NO_CPU: the machine */
    u32 argc;
    u64 args[5];
    const u8 *payload; /* until the next call */
    u32 size;
};

struct trace_reader {
    const u8 *data; /* the whole file */
    size_t size, at;
    bool mapped;
    bool is_snapshot; /* a piece of state was met */
    u32 version;
    char *config; /* text, NUL-terminated */
    u8 *chunk;    /* records of the current chunk */
    size_t chunk_size, chunk_at;
    u64 chunks, stored, unpacked;
    u64 began;       /* position where the recording began; not 0: of a saved machine that goes on */
    u64 skipped;     /* records of events that this program does not know */
    u8 events[256];  /* by number in this file: enum trace_event, 0 unknown to this program */
    bool named[256]; /* the file says what this number is */
    struct error end; /* why reading ended before the file did; status 0: it did not */
};

/* A file. False with a line in *err (65, 66) when it is no trace, or its configuration is not whole. */
bool trace_reader_open(struct trace_reader *r, const char *path, struct error *err);
/* The same from memory, which must outlive the reader. */
bool trace_reader_memory(struct trace_reader *r, const u8 *data, size_t size, struct error *err);
void trace_reader_close(struct trace_reader *r);
/* The next record; false at the end (see r->end). */
bool trace_reader_next(struct trace_reader *r, struct trace_record *record);

/* The next piece of a snapshot's state, until the next call; false at the end (see r->end) and in a
 * recording. */
bool trace_reader_next_state(struct trace_reader *r, const u8 **data, size_t *n);

#endif
