/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace/gate.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "trace/events.h"

#include <stdlib.h>
#include <string.h>

const char *gate_source_name(enum gate_source source)
{
    static const char *const names[GATE_SOURCE_COUNT] = {
#define X(id, name) [GATE_##id] = name,
        GATE_SOURCES(X)
#undef X
    };
    return (unsigned)source < GATE_SOURCE_COUNT ? names[source] : "unknown";
}

void gate_init(struct gate *gate, const struct clock *clock, struct trace *trace)
{
    *gate = (struct gate){.clock = clock, .trace = trace};
}

void gate_free(struct gate *gate)
{
    free(gate->queue);
    gate->queue = NULL;
    for (size_t i = 0; i < gate->kept_count; i++) {
        free((void *)(uintptr_t)gate->kept[i].bytes);
    }
    free(gate->kept);
    gate->kept = NULL;
    gate->kept_count = gate->kept_cap = 0;
}

void gate_set_sink(struct gate *gate, enum gate_source source, struct gate_sink sink)
{
    gate->sinks[source] = sink;
}

void gate_offer(struct gate *gate, enum gate_source source, const void *bytes, u32 size)
{
    if (gate->replaying) {
        return;
    }
    size_t need = gate->queued + 8 + size;
    if (need > gate->queue_cap) {
        size_t cap = 2 * need + 4096;
        u8 *grown = realloc(gate->queue, cap);
        sim_assert(grown != NULL);
        gate->queue = grown;
        gate->queue_cap = cap;
    }
    u8 *p = gate->queue + gate->queued;
    store_le32(p, (u32)source);
    store_le32(p + 4, size);
    if (size > 0) {
        memcpy(p + 8, bytes, size);
    }
    gate->queued = need;
}

void gate_replay(struct gate *gate, const struct gate_entry *log, size_t count)
{
    gate->replaying = true;
    gate->log = log;
    gate->log_count = count;
    gate->log_next = 0;
    gate->queued = 0;
}

void gate_keep(struct gate *gate)
{
    gate->keeping = !gate->replaying; /* a recording is a log already */
}

void gate_forget_kept(struct gate *gate)
{
    if (!gate->keeping) {
        return;
    }
    for (size_t i = 0; i < gate->kept_count; i++) {
        free((void *)(uintptr_t)gate->kept[i].bytes);
    }
    gate->kept_count = 0;
    gate->keeping = gate->replaying = gate->ended = false;
    gate->log = NULL;
    gate->log_count = gate->log_next = 0;
    gate->missed = NULL;
}

/* Add an entry with the stamp of this moment. */
static void keep(struct gate *gate, enum gate_source source, position_t position, vtime_t time,
                 const u8 *bytes, u32 size)
{
    if (gate->kept_count == gate->kept_cap) {
        size_t cap = 2 * gate->kept_cap + 64;
        struct gate_entry *grown = realloc(gate->kept, cap * sizeof *grown);
        sim_assert(grown != NULL);
        gate->kept = grown;
        gate->kept_cap = cap;
    }
    u8 *copy = malloc(size + 1u);
    sim_assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    gate->kept[gate->kept_count++] =
        (struct gate_entry){.source = source, .position = position, .time = time, .bytes = copy, .size = size};
}

struct gate_place gate_place(const struct gate *gate)
{
    return (struct gate_place){.next = gate->replaying ? gate->log_next : gate->kept_count,
                               .passed = gate->passed,
                               .position = gate->last_position,
                               .time = gate->last_time};
}

void gate_rewind(struct gate *gate, const struct gate_place *place)
{
    if (gate->keeping && !gate->replaying) {
        keep(gate, GATE_END, clock_position(gate->clock), clock_now(gate->clock), NULL, 0);
        gate->replaying = true;
    }
    if (gate->keeping) {
        gate->log = gate->kept;
        gate->log_count = gate->kept_count;
    }
    gate->log_next = place->next;
    gate->passed = place->passed;
    gate->last_position = place->position;
    gate->last_time = place->time;
    gate->queued = 0;
    gate->ended = false;
    gate->missed = NULL;
}

/* The end of a log: of a recording, or of what was kept. */
static void end_of_log(struct gate *gate)
{
    if (!gate->keeping) {
        gate->ended = true;
        return;
    }
    gate->kept_count--;
    free((void *)(uintptr_t)gate->kept[gate->kept_count].bytes);
    gate->replaying = false;
}

bool gate_is_point(const struct gate *gate)
{
    return !gate->passed || gate->last_position.n != clock_position(gate->clock).n ||
           gate->last_time.ns != clock_now(gate->clock).ns;
}

static void hand_over(struct gate *gate, enum gate_source source, const u8 *bytes, u32 size)
{
    trace_input(gate->trace, TRACE_NO_CPU, source, size, bytes, size);
    const struct gate_sink *sink = &gate->sinks[source];
    if (sink->deliver != NULL) {
        sink->deliver(sink->self, bytes, size);
    }
}

static void pass_live(struct gate *gate)
{
    /* A sink may lead to further offers (a frame that slirp answers at once): those wait. */
    u8 *queue = gate->queue;
    size_t end = gate->queued;
    gate->queue = NULL;
    gate->queued = gate->queue_cap = 0;
    for (size_t at = 0; at < end;) {
        u32 size = load_le32(queue + at + 4);
        enum gate_source source = (enum gate_source)load_le32(queue + at);
        if (gate->keeping) {
            keep(gate, source, gate->last_position, gate->last_time, queue + at + 8, size);
        }
        hand_over(gate, source, queue + at + 8, size);
        at += 8 + size;
    }
    free(queue);
}

static const struct gate_entry *next_entry(const struct gate *gate)
{
    return gate->log_next < gate->log_count ? &gate->log[gate->log_next] : NULL;
}

static void pass_replay(struct gate *gate)
{
    u64 position = clock_position(gate->clock).n;
    u64 now = clock_now(gate->clock).ns;
    const struct gate_entry *e;
    while ((e = next_entry(gate)) != NULL && e->position.n <= position && e->time.ns <= now) {
        gate->log_next++;
        if (e->source == GATE_END) {
            end_of_log(gate);
            return;
        }
        if (e->position.n != position || e->time.ns != now) {
            gate->missed = e;
            return;
        }
        hand_over(gate, e->source, e->bytes, e->size);
    }
    if (e != NULL && e->position.n < position) {
        gate->ended = e->source == GATE_END;
        gate->missed = gate->ended ? NULL : e;
    }
}

void gate_pass(struct gate *gate)
{
    gate->passed = true;
    gate->last_position = clock_position(gate->clock);
    gate->last_time = clock_now(gate->clock);
    if (gate->replaying) {
        pass_replay(gate);
    } else if (gate->queued > 0) {
        pass_live(gate);
    }
}

u64 gate_next_position(const struct gate *gate)
{
    const struct gate_entry *e = gate->replaying ? next_entry(gate) : NULL;
    return e != NULL && e->position.n > clock_position(gate->clock).n ? e->position.n : ~(u64)0;
}

vtime_t gate_next_time(const struct gate *gate)
{
    const struct gate_entry *e = gate->replaying ? next_entry(gate) : NULL;
    return e != NULL && e->position.n <= clock_position(gate->clock).n ? e->time : VTIME_NEVER;
}
