/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes trace files. When to flush is the run loop's business, except that a full buffer is. */
#include "trace/trace.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "trace/events.h"
#include "trace/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

const struct trace_event_info trace_event_info[TRACE_EVENT_COUNT] = {
#define TRACE_HAS_NONE false
#define TRACE_HAS_BYTES true
#define EV(id, argc, cls, pay, text, what)                                                         \
    [TRACE_EVENT_##id] = {.name = #id,                                                             \
                          .args = argc,                                                            \
                          .class = TRACE_CLASS_##cls,                                              \
                          .payload = TRACE_HAS_##pay,                                              \
                          .schema = text,                                                          \
                          .meaning = what},
#include "trace/events.def"
#undef EV
};

static const char *const class_names[TRACE_CLASS_COUNT] = {
#define X(id, name, meaning) [TRACE_CLASS_##id] = name,
    TRACE_CLASSES(X)
#undef X
};

const char *trace_class_name(enum trace_class c)
{
    return class_names[c];
}

bool trace_parse_classes(const char *list, u32 *classes)
{
    u32 found = 0;
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        u32 bits = len == 3 && strncmp(list, "all", 3) == 0 ? ((u32)1 << TRACE_CLASS_COUNT) - 1 : 0;
        for (unsigned i = 0; i < TRACE_CLASS_COUNT; i++) {
            /* The names of --log for what is one class here. */
            bool alias = i == TRACE_CLASS_VIRT && len == 3 &&
                         (strncmp(list, "svm", 3) == 0 || strncmp(list, "vmx", 3) == 0);
            if (alias || (strlen(class_names[i]) == len && strncmp(list, class_names[i], len) == 0)) {
                bits |= (u32)1 << i;
            }
        }
        if (bits == 0) {
            return false;
        }
        found |= bits;
        list += len + (list[len] == ',' ? 1 : 0);
    }
    *classes = found;
    return true;
}

void trace_init(struct trace *t, const struct clock *clock)
{
    *t = (struct trace){.clock = clock, .fd = -1, .running = TRACE_NO_CPU};
}

void trace_set_recorded(struct trace *t, u32 classes)
{
    t->recorded = classes;
    t->classes = classes | t->look.classes;
}

void trace_set_look(struct trace *t, const struct trace_look *look)
{
    t->look = *look;
    t->classes = t->recorded | t->look.classes;
}

static void give_up(struct trace *t, const char *why)
{
    (void)error_set(&t->error, EXIT_STATUS_BAD_FILE, "the recording ends early: %s", why);
    trace_set_recorded(t, 0);
}

static bool put(struct trace *t, const void *data, size_t n)
{
    const u8 *p = data;
    while (n > 0) {
        ssize_t done = write(t->fd, p, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            give_up(t, strerror(errno));
            return false;
        }
        p += done;
        n -= (size_t)done;
        t->bytes_out += (u64)done;
    }
    return true;
}

static void put_chunk(struct trace *t, u32 type, const void *data, size_t n, u64 count)
{
    size_t room = TRACE_CHUNK_SIZE + ZSTD_compressBound(n);
    u8 *out = malloc(room);
    if (out == NULL) {
        give_up(t, "out of memory");
        return;
    }
    size_t stored = ZSTD_compress(out + TRACE_CHUNK_SIZE, room - TRACE_CHUNK_SIZE, data, n, 1);
    if (ZSTD_isError(stored) != 0) {
        give_up(t, ZSTD_getErrorName(stored));
        free(out);
        return;
    }
    memset(out, 0, TRACE_CHUNK_SIZE);
    store_le32(out, TRACE_CHUNK_MAGIC);
    store_le32(out + TRACE_CHUNK_TYPE, type);
    store_le64(out + TRACE_CHUNK_UNPACKED, n);
    store_le64(out + TRACE_CHUNK_STORED, stored);
    store_le64(out + TRACE_CHUNK_HASH, hash_bytes(0, out + TRACE_CHUNK_SIZE, stored));
    store_le64(out + TRACE_CHUNK_FIRST, t->first_position);
    store_le64(out + TRACE_CHUNK_LAST, clock_position(t->clock).n);
    store_le64(out + TRACE_CHUNK_COUNT, count);
    store_le64(out + TRACE_CHUNK_HEADER_HASH, hash_bytes(0, out, TRACE_CHUNK_HEADER_HASH));
    /* One write, so that what a kill leaves is mostly whole chunks. */
    if (put(t, out, TRACE_CHUNK_SIZE + stored)) {
        t->chunks++;
    }
    free(out);
}

/* What the numbers in this file's records mean: "event NUMBER NAME CLASS ARGUMENTS PAYLOAD SCHEMA". */
static void put_events(struct trace *t)
{
    char text[TRACE_EVENT_COUNT * 256];
    size_t used = 0;
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        int n = snprintf(text + used, sizeof text - used, "event %u %s %s %u %s %s\n", i, e->name,
                         class_names[e->class], e->args, e->payload ? "bytes" : "none", e->schema);
        used += (size_t)n;
        sim_assert(n > 0 && used < sizeof text);
    }
    put_chunk(t, TRACE_CHUNK_EVENTS, text, used, 0);
}

void trace_put_state(struct trace *t, const void *data, size_t n)
{
    if (t->error.status == EXIT_STATUS_OK) {
        put_chunk(t, TRACE_CHUNK_STATE, data, n, 0);
    }
}

bool trace_start(struct trace *t, int fd, u32 classes, const char *config, struct error *err)
{
    t->records = malloc(TRACE_CHUNK_BYTES);
    t->fd = fd;
    if (t->records == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    u8 header[TRACE_HEADER_SIZE] = {0};
    memcpy(header, TRACE_MAGIC, 8);
    store_le32(header + TRACE_HEADER_VERSION, TRACE_VERSION);
    store_le64(header + TRACE_HEADER_HASH, hash_bytes(0, header, TRACE_HEADER_HASH));
    trace_set_recorded(t, classes | TRACE_ALWAYS);
    if (put(t, header, sizeof header)) {
        put_chunk(t, TRACE_CHUNK_CONFIG, config, strlen(config), 0);
        put_events(t);
    }
    return t->error.status == EXIT_STATUS_OK || error_set(err, t->error.status, "%s", t->error.text);
}

void trace_flush(struct trace *t)
{
    if (t->used > 0 && t->fd >= 0 && t->error.status == EXIT_STATUS_OK) {
        put_chunk(t, TRACE_CHUNK_RECORDS, t->records, t->used, t->count);
    }
    t->used = 0;
    t->count = 0;
}

bool trace_finish(struct trace *t, struct error *err)
{
    bool recording = t->fd >= 0;
    trace_flush(t);
    if (recording && close(t->fd) != 0) {
        give_up(t, strerror(errno));
    }
    free(t->records);
    t->records = NULL;
    t->fd = -1;
    trace_set_recorded(t, 0);
    return t->error.status == EXIT_STATUS_OK || error_set(err, t->error.status, "%s", t->error.text);
}

void trace_emit(struct trace *t, enum trace_event event, u32 cpu, u32 argc, const u64 *args,
                const void *data, u32 size)
{
    u32 class = (u32)1 << trace_event_info[event].class;
    size = size < TRACE_MAX_PAYLOAD ? size : TRACE_MAX_PAYLOAD;
    if ((t->look.classes & class) != 0) {
        t->look.event(t->look.self, event, cpu, argc, args, data, size);
    }
    if ((t->recorded & class) == 0) {
        return;
    }
    size_t padded = (size + TRACE_RECORD_SIZE - 1) / TRACE_RECORD_SIZE * TRACE_RECORD_SIZE;
    if (t->used + TRACE_RECORD_SIZE + padded > TRACE_CHUNK_BYTES) {
        trace_flush(t);
    }
    u64 position = clock_position(t->clock).n;
    if (t->count == 0) {
        t->first_position = position;
    }
    u8 *r = t->records + t->used;
    memset(r, 0, TRACE_RECORD_SIZE);
    store_le64(r + TRACE_RECORD_POSITION, position);
    store_le64(r + TRACE_RECORD_TIME, clock_now(t->clock).ns);
    store_le16(r + TRACE_RECORD_EVENT, (u16)event);
    r[TRACE_RECORD_CPU] = (u8)cpu;
    r[TRACE_RECORD_ARGC] = (u8)argc;
    store_le32(r + TRACE_RECORD_SIZE_AT, size);
    for (u32 i = 0; i < argc; i++) {
        store_le64(r + TRACE_RECORD_ARGS + 8 * i, args[i]);
    }
    if (size > 0) {
        memcpy(r + TRACE_RECORD_SIZE, data, size);
        memset(r + TRACE_RECORD_SIZE + size, 0, padded - size);
    }
    t->used += TRACE_RECORD_SIZE + padded;
    t->count++;
}
