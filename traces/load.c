/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/load.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more element of an array that doubles. */
static void *grow(void *array, size_t count, size_t element)
{
    if ((count & (count - 1)) != 0 || (count > 0 && count < 16)) {
        return array;
    }
    return realloc(array, (count < 16 ? 16 : 2 * count) * element);
}

static const u8 *keep(struct loaded_recording *l, const u8 *bytes, u32 size)
{
    u8 **blocks = grow(l->blocks, l->block_count, sizeof *blocks);
    if (blocks == NULL) {
        return NULL;
    }
    l->blocks = blocks;
    u8 *copy = malloc((size_t)size + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, bytes, size);
    copy[size] = 0;
    blocks[l->block_count++] = copy;
    return copy;
}

static bool make_mark(struct loaded_recording *l, const struct trace_record *r, u64 hash, u64 parts,
                      struct machine_mark *mark)
{
    u64 fit = r->size / MARK_PART_SIZE;
    *mark = (struct machine_mark){.position = r->position,
                                  .time = r->time,
                                  .hash = hash,
                                  .parts = keep(l, r->payload, r->size),
                                  .part_count = (u32)(parts < fit ? parts : fit)};
    return mark->parts != NULL;
}

static bool add_input(struct loaded_recording *l, struct gate_entry entry)
{
    size_t n = l->recording.input_count;
    struct gate_entry *inputs = grow(l->inputs, n, sizeof *inputs);
    if (inputs == NULL) {
        return false;
    }
    l->inputs = inputs;
    inputs[n] = entry;
    l->recording.input_count = n + 1;
    return true;
}

static bool add_disk_block(struct loaded_recording *l, const struct trace_record *r)
{
    struct disk_block *list = grow(l->disk_blocks, l->disk_block_count, sizeof *list);
    const u8 *bytes = list != NULL ? keep(l, r->payload, r->size) : NULL;
    l->disk_blocks = list != NULL ? list : l->disk_blocks;
    if (bytes == NULL) {
        return false;
    }
    list[l->disk_block_count++] =
        (struct disk_block){.drive = r->args[0], .offset = r->args[1], .bytes = bytes, .size = r->size};
    return true;
}

static bool add_disk_after(struct loaded_recording *l, const struct trace_record *r)
{
    struct disk_after *list = grow(l->disk_afters, l->disk_after_count, sizeof *list);
    const u8 *path = list != NULL ? keep(l, r->payload, r->size) : NULL;
    l->disk_afters = list != NULL ? list : l->disk_afters;
    if (path == NULL) {
        return false;
    }
    list[l->disk_after_count++] =
        (struct disk_after){.size = r->args[1], .hash = r->args[2], .path = (const char *)path};
    return true;
}

static bool add(struct loaded_recording *l, const struct trace_record *r)
{
    if (r->event == TRACE_EVENT_disk_block) {
        return add_disk_block(l, r);
    }
    if (r->event == TRACE_EVENT_disk_after) {
        return add_disk_after(l, r);
    }
    if (r->event == TRACE_EVENT_input && r->args[0] < GATE_END) {
        const u8 *bytes = keep(l, r->payload, r->size);
        l->input_count++;
        return bytes != NULL && add_input(l, (struct gate_entry){.source = (enum gate_source)r->args[0],
                                                                 .position = r->position,
                                                                 .time = r->time,
                                                                 .bytes = bytes,
                                                                 .size = r->size});
    }
    if (r->event == TRACE_EVENT_mark) {
        struct machine_mark *marks = grow(l->marks, l->mark_count, sizeof *marks);
        if (marks == NULL) {
            return false;
        }
        l->marks = marks;
        return make_mark(l, r, r->args[0], r->args[1], &marks[l->mark_count++]);
    }
    if (r->event == TRACE_EVENT_stop && !l->has_stop) {
        l->has_stop = true;
        l->reason = r->args[0] <= STOP_REASON_LAST ? (enum stop_reason)r->args[0] : STOP_NONE;
        l->code = (u32)r->args[1];
        return make_mark(l, r, r->args[2], r->args[3], &l->stop);
    }
    return true;
}

/* Stops that the host ordered happen at their stamp; the others the machine must come to itself. */
static bool is_ordered(enum stop_reason reason)
{
    return reason == STOP_INTERRUPTED || reason == STOP_QUIT || reason == STOP_REPLAY_END ||
           reason == STOP_NONE;
}

static bool load(struct loaded_recording *l, struct trace_reader *r, struct error *err)
{
    struct trace_record record;
    position_t position = {0};
    vtime_t time = {0};
    bool ok = true;
    while (ok && trace_reader_next(r, &record)) {
        /* Stamps never go back; where a damaged file says so, the later ones count. */
        position.n = record.position.n > position.n ? record.position.n : position.n;
        time.ns = record.time.ns > time.ns ? record.time.ns : time.ns;
        record.position = position;
        record.time = time;
        ok = add(l, &record);
    }
    if (r->is_snapshot) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s", r->end.text);
    }
    bool by_itself = l->has_stop && !is_ordered(l->reason);
    ok = ok && add_input(l, (struct gate_entry){.source = GATE_END,
                                                .position = position,
                                                .time = by_itself ? VTIME_NEVER : time});
    l->cut = r->end;
    l->config = r->config;
    r->config = NULL;
    l->recording.inputs = l->inputs;
    l->recording.marks = l->marks;
    l->recording.mark_count = l->mark_count;
    return ok || error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
}

bool recording_load(struct loaded_recording *l, const char *path, struct error *err)
{
    struct trace_reader r;
    *l = (struct loaded_recording){0};
    bool ok = trace_reader_open(&r, path, err) && load(l, &r, err);
    trace_reader_close(&r);
    return ok;
}

bool recording_load_memory(struct loaded_recording *l, const u8 *data, size_t size, struct error *err)
{
    struct trace_reader r;
    *l = (struct loaded_recording){0};
    bool ok = trace_reader_memory(&r, data, size, err) && load(l, &r, err);
    trace_reader_close(&r);
    return ok;
}

void recording_free(struct loaded_recording *l)
{
    for (size_t i = 0; i < l->block_count; i++) {
        free(l->blocks[i]);
    }
    free(l->blocks);
    free(l->inputs);
    free(l->disk_blocks);
    free(l->disk_afters);
    free(l->marks);
    free(l->config);
    *l = (struct loaded_recording){0};
}
