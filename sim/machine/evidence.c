/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/evidence.h"

#include "base/bytes.h"
#include "cpu/tlb.h"
#include "trace/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hashed {
    u64 hash;
    u32 count;
    u8 rows[STATE_PARTS_MAX * MARK_PART_SIZE];
};

static void take_hash(struct machine *m, struct hashed *out)
{
    struct state_parts parts;
    parts.count = 0;
    struct state_io io;
    state_init_hash(&io);
    io.parts = &parts;
    machine_state(m, &io);
    out->hash = io.hash;
    out->count = parts.count;
    for (unsigned i = 0; i < parts.count; i++) {
        u8 *row = out->rows + i * MARK_PART_SIZE;
        store_le64(row, parts.part[i].hash);
        memcpy(row + 8, parts.part[i].name, MARK_PART_SIZE - 8);
    }
}

static u64 mark_after(const struct machine *m, u64 position)
{
    u64 epoch = m->config.epoch;
    return epoch == 0 ? ~(u64)0 : (position / epoch + 1) * epoch;
}

void evidence_start_recording(struct machine *m)
{
    m->next_mark = mark_after(m, clock_position(&m->clock).n);
}

void evidence_record_end(struct machine *m, const struct run_result *result)
{
    if (!trace_on(&m->trace, TRACE_CLASS_MARK)) {
        return;
    }
    struct hashed now;
    take_hash(m, &now);
    trace_stop(&m->trace, TRACE_NO_CPU, result->reason, result->code, now.hash, now.count, now.rows,
               now.count * MARK_PART_SIZE);
    trace_flush(&m->trace);
}

void evidence_start_replay(struct machine *m, const struct machine_recording *recording)
{
    m->recording = recording;
    m->recording_next = 0;
    gate_replay(&m->gate, recording->inputs, recording->input_count);
}

static const u8 *find_part(const struct machine_mark *mark, const u8 *name)
{
    for (u32 i = 0; i < mark->part_count; i++) {
        const u8 *row = mark->parts + i * MARK_PART_SIZE;
        if (memcmp(row + 8, name, MARK_PART_SIZE - 8) == 0) {
            return row;
        }
    }
    return NULL;
}

/* Names of the parts that differ, the first few. */
static void list_differences(const struct hashed *now, const struct machine_mark *mark, char *text,
                             size_t size)
{
    unsigned found = 0;
    text[0] = '\0';
    for (u32 i = 0; i < now->count; i++) {
        const u8 *row = now->rows + i * MARK_PART_SIZE;
        const u8 *then = find_part(mark, row + 8);
        if (then != NULL && load_le64(then) == load_le64(row)) {
            continue;
        }
        size_t used = strlen(text);
        if (found == 6) {
            (void)snprintf(text + used, size - used, " ...");
            return;
        }
        (void)snprintf(text + used, size - used, "%s%.32s", found > 0 ? ", " : "", (const char *)row + 8);
        found++;
    }
}

bool evidence_compare(struct machine *m, const struct machine_mark *mark, struct error *err)
{
    struct hashed now;
    char parts[300];
    u64 position = clock_position(&m->clock).n;
    if (position != mark->position.n) {
        return error_set(err, EXIT_STATUS_DIFFERS,
                         "the replay differs: at position %llu, where the recorded run was at %llu",
                         (unsigned long long)position, (unsigned long long)mark->position.n);
    }
    take_hash(m, &now);
    if (now.hash == mark->hash) {
        return true;
    }
    list_differences(&now, mark, parts, sizeof parts);
    return error_set(err, EXIT_STATUS_DIFFERS,
                     "the replay differs at position %llu: hash %016llx, recorded %016llx; in: %s",
                     (unsigned long long)position, (unsigned long long)now.hash,
                     (unsigned long long)mark->hash, parts[0] != '\0' ? parts : "the order of parts");
}

static const struct machine_mark *next_recorded(const struct machine *m)
{
    const struct machine_recording *r = m->recording;
    return r != NULL && m->recording_next < r->mark_count ? &r->marks[m->recording_next] : NULL;
}

void evidence_rewind(struct machine *m)
{
    const struct machine_recording *r = m->recording;
    m->recording_next = 0;
    while (r != NULL && m->recording_next < r->mark_count &&
           r->marks[m->recording_next].position.n < clock_position(&m->clock).n) {
        m->recording_next++;
    }
}

u64 evidence_next_position(const struct machine *m)
{
    const struct machine_mark *mark = next_recorded(m);
    return mark != NULL && mark->position.n < m->next_mark ? mark->position.n : m->next_mark;
}

static void take_mark(struct machine *m)
{
    struct hashed now;
    tlb_start_epoch(&m->set, &m->phys);
    take_hash(m, &now);
    trace_mark(&m->trace, TRACE_NO_CPU, now.hash, now.count, now.rows, now.count * MARK_PART_SIZE);
    trace_flush(&m->trace);
}

bool evidence_at_gate_point(struct machine *m)
{
    u64 position = clock_position(&m->clock).n;
    const struct machine_mark *mark = next_recorded(m);
    if (mark != NULL && position >= mark->position.n) {
        m->recording_next++;
        tlb_start_epoch(&m->set, &m->phys);
        if (!evidence_compare(m, mark, &m->error)) {
            return false;
        }
    }
    if (position >= m->next_mark) {
        m->next_mark = mark_after(m, position);
        take_mark(m);
    }
    return true;
}
