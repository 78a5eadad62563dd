/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/snapshot.h"

#include "base/state.h"
#include "trace/format.h"
#include "traces/reader.h"

#include <stdlib.h>
#include <string.h>

bool snapshot_write(struct machine *m, int fd, const char *config, struct error *err)
{
    struct trace file;
    struct state_io io;
    trace_init(&file, &m->clock);
    state_init_save(&io);
    machine_state(m, &io);
    bool ok = trace_start(&file, fd, 0, config, err);
    for (size_t at = 0; ok && at < io.len; at += TRACE_STATE_BYTES) {
        size_t n = io.len - at < TRACE_STATE_BYTES ? io.len - at : TRACE_STATE_BYTES;
        trace_put_state(&file, io.data + at, n);
    }
    state_free(&io);
    return trace_finish(&file, err) && ok;
}

static bool read_pieces(struct snapshot *s, struct trace_reader *r, struct error *err)
{
    const u8 *piece;
    size_t n, room = 0;
    while (trace_reader_next_state(r, &piece, &n)) {
        if (n > room - s->size || s->state == NULL) { /* an empty piece too */
            room = 2 * room + n + 1;
            u8 *grown = realloc(s->state, room);
            if (grown == NULL) {
                return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
            }
            s->state = grown;
        }
        memcpy(s->state + s->size, piece, n);
        s->size += n;
    }
    if (r->end.status != EXIT_STATUS_OK) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "the snapshot is damaged: %s", r->end.text);
    }
    if (s->size == 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "a recording, not a snapshot; `vitrine replay` runs it");
    }
    s->config = r->config;
    r->config = NULL;
    return true;
}

static bool read_all(struct snapshot *s, struct trace_reader *r, struct error *err)
{
    *s = (struct snapshot){0};
    bool ok = read_pieces(s, r, err);
    trace_reader_close(r);
    if (!ok) {
        snapshot_free(s);
    }
    return ok;
}

bool snapshot_read(struct snapshot *s, const char *path, struct error *err)
{
    struct trace_reader r;
    struct error inner = {0};
    if (!trace_reader_open(&r, path, err)) {
        trace_reader_close(&r);
        return false;
    }
    return read_all(s, &r, &inner) || error_set(err, inner.status, "%s: %s", path, inner.text);
}

bool snapshot_read_memory(struct snapshot *s, const u8 *data, size_t size, struct error *err)
{
    struct trace_reader r;
    if (!trace_reader_memory(&r, data, size, err)) {
        trace_reader_close(&r);
        return false;
    }
    return read_all(s, &r, err);
}

bool snapshot_apply(const struct snapshot *s, struct machine *m, struct error *err)
{
    struct state_io io;
    state_init_load(&io, s->state, s->size);
    machine_state(m, &io);
    if (io.failed || io.pos != s->size) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "the snapshot does not fit this machine: at %s",
                         io.failed ? io.where : "its end");
    }
    return true;
}

void snapshot_free(struct snapshot *s)
{
    free(s->config);
    free(s->state);
    *s = (struct snapshot){0};
}
