/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/reader.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "trace/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static bool stop(struct trace_reader *r, const char *why)
{
    (void)error_set(&r->end, EXIT_STATUS_BAD_FILE, "%s at byte %zu of %zu", why, r->at, r->size);
    r->chunk_at = r->chunk_size;
    return false;
}

/* Unpack the chunk at r->at into r->chunk. False at the file's end and at what is damaged. */
static bool next_chunk(struct trace_reader *r, u32 *type)
{
    size_t left = r->size - r->at;
    const u8 *h = r->data + r->at;
    if (r->end.status != EXIT_STATUS_OK || left == 0) {
        return false;
    }
    if (left < TRACE_CHUNK_SIZE) {
        return stop(r, "the recording was cut");
    }
    if (load_le32(h) != TRACE_CHUNK_MAGIC ||
        load_le64(h + TRACE_CHUNK_HEADER_HASH) != hash_bytes(0, h, TRACE_CHUNK_HEADER_HASH)) {
        return stop(r, "the recording is damaged: no chunk");
    }
    u64 stored = load_le64(h + TRACE_CHUNK_STORED);
    u64 unpacked = load_le64(h + TRACE_CHUNK_UNPACKED);
    if (stored > left - TRACE_CHUNK_SIZE) {
        return stop(r, "the recording was cut");
    }
    if (unpacked > TRACE_CHUNK_MAX) {
        return stop(r, "the recording is damaged: a chunk is too large");
    }
    const u8 *packed = h + TRACE_CHUNK_SIZE;
    if (load_le64(h + TRACE_CHUNK_HASH) != hash_bytes(0, packed, stored)) {
        return stop(r, "the recording is damaged: checksum of a chunk");
    }
    u8 *chunk = realloc(r->chunk, unpacked + 1);
    if (chunk == NULL) {
        return stop(r, "out of memory");
    }
    r->chunk = chunk;
    size_t got = ZSTD_decompress(chunk, unpacked, packed, stored);
    if (ZSTD_isError(got) != 0 || got != unpacked) {
        return stop(r, "the recording is damaged: a chunk does not unpack");
    }
    chunk[unpacked] = 0;
    r->chunk_size = unpacked;
    r->chunk_at = 0;
    r->at += TRACE_CHUNK_SIZE + stored;
    r->chunks++;
    r->stored += TRACE_CHUNK_SIZE + stored;
    r->unpacked += unpacked;
    *type = load_le32(h + TRACE_CHUNK_TYPE);
    return true;
}

static u8 find_event(const char *name, u32 args, bool payload, const char *schema)
{
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        if (strcmp(e->name, name) == 0 && e->args == args && e->payload == payload &&
            strcmp(e->schema, schema) == 0) {
            return (u8)i;
        }
    }
    return TRACE_EVENT_NONE;
}

/* "event NUMBER NAME CLASS ARGUMENTS PAYLOAD SCHEMA" for each event; other lines are of later versions. */
static bool take_events(struct trace_reader *r)
{
    char *line = (char *)r->chunk;
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        bool last = line[len] == '\0';
        line[len] = '\0';
        char name[48], class[16], payload[8];
        unsigned number, args;
        int used = 0;
        if (strncmp(line, "event ", 6) == 0) {
            if (sscanf(line, "event %u %47s %15s %u %7s %n", &number, name, class, &args, payload, &used) != 5 ||
                used == 0 || number == 0 || number >= ARRAY_LEN(r->events)) {
                return stop(r, "the recording is damaged: its list of events");
            }
            r->named[number] = true;
            r->events[number] = find_event(name, args, strcmp(payload, "bytes") == 0, line + used);
        }
        line += len + (last ? 0 : 1);
    }
    r->chunk_at = r->chunk_size;
    return true;
}

bool trace_reader_memory(struct trace_reader *r, const u8 *data, size_t size, struct error *err)
{
    *r = (struct trace_reader){.data = data, .size = size};
    if (size < TRACE_HEADER_SIZE || memcmp(data, TRACE_MAGIC, 8) != 0 ||
        load_le64(data + TRACE_HEADER_HASH) != hash_bytes(0, data, TRACE_HEADER_HASH)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "not a recording of vitrine");
    }
    r->version = load_le32(data + TRACE_HEADER_VERSION);
    if (r->version != TRACE_VERSION) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "recorded in trace format %u; this vitrine reads %u", r->version,
                         TRACE_VERSION);
    }
    r->at = TRACE_HEADER_SIZE;
    u32 type;
    if (!next_chunk(r, &type) || type != TRACE_CHUNK_CONFIG) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s",
                         r->end.status != EXIT_STATUS_OK ? r->end.text : "the recording is empty");
    }
    r->config = malloc(r->chunk_size + 1);
    if (r->config == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    memcpy(r->config, r->chunk, r->chunk_size + 1);
    r->began = load_le64(data + TRACE_HEADER_SIZE + TRACE_CHUNK_LAST);
    r->chunk_at = r->chunk_size;
    return true;
}

bool trace_reader_open(struct trace_reader *r, const char *path, struct error *err)
{
    struct error inner = {0};
    struct stat st;
    *r = (struct trace_reader){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return error_set(err, errno == ENOENT ? EXIT_STATUS_NO_FILE : EXIT_STATUS_BAD_FILE, "%s: %s",
                         path, strerror(errno));
    }
    void *map = S_ISREG(st.st_mode) && st.st_size > 0
                    ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                    : MAP_FAILED;
    (void)close(fd);
    if (map == MAP_FAILED) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: not a recording of vitrine", path);
    }
    bool ok = trace_reader_memory(r, map, (size_t)st.st_size, &inner);
    r->mapped = true;
    return ok || error_set(err, inner.status, "%s: %s", path, inner.text);
}

void trace_reader_close(struct trace_reader *r)
{
    if (r->mapped) {
        (void)munmap((void *)(uintptr_t)r->data, r->size);
    }
    free(r->config);
    free(r->chunk);
    *r = (struct trace_reader){0};
}

/* *known: *out is set, else the record was skipped. */
static bool take(struct trace_reader *r, struct trace_record *out, bool *known)
{
    const u8 *p = r->chunk + r->chunk_at;
    size_t left = r->chunk_size - r->chunk_at;
    if (left < TRACE_RECORD_SIZE) {
        return stop(r, "the recording is damaged: part of a record");
    }
    u64 size = load_le32(p + TRACE_RECORD_SIZE_AT);
    u64 padded = (size + TRACE_RECORD_SIZE - 1) / TRACE_RECORD_SIZE * TRACE_RECORD_SIZE;
    u32 event = load_le16(p + TRACE_RECORD_EVENT);
    u32 argc = p[TRACE_RECORD_ARGC];
    if (size > TRACE_MAX_PAYLOAD || padded > left - TRACE_RECORD_SIZE) {
        return stop(r, "the recording is damaged: a record's payload");
    }
    if (event >= ARRAY_LEN(r->events) || !r->named[event]) {
        return stop(r, "the recording is damaged: an unknown event");
    }
    r->chunk_at += TRACE_RECORD_SIZE + padded;
    event = r->events[event];
    *known = event != TRACE_EVENT_NONE;
    if (!*known) {
        r->skipped++;
        return true;
    }
    if (argc != trace_event_info[event].args) {
        return stop(r, "the recording is damaged: arguments of an event");
    }
    *out = (struct trace_record){.position = {load_le64(p + TRACE_RECORD_POSITION)},
                                 .time = {load_le64(p + TRACE_RECORD_TIME)},
                                 .event = event,
                                 .cpu = p[TRACE_RECORD_CPU],
                                 .argc = argc,
                                 .payload = p + TRACE_RECORD_SIZE,
                                 .size = (u32)size};
    for (u32 i = 0; i < argc; i++) {
        out->args[i] = load_le64(p + TRACE_RECORD_ARGS + 8 * i);
    }
    return true;
}

bool trace_reader_next(struct trace_reader *r, struct trace_record *record)
{
    for (;;) {
        bool known = false;
        if (r->chunk_at < r->chunk_size) {
            if (!take(r, record, &known)) {
                return false;
            }
            if (known) {
                return true;
            }
            continue;
        }
        u32 type;
        if (!next_chunk(r, &type)) {
            return false;
        }
        if (type == TRACE_CHUNK_STATE) {
            r->is_snapshot = true;
            return stop(r, "a snapshot, not a recording (`vitrine run --load` goes on from it)");
        }
        if (type == TRACE_CHUNK_EVENTS) {
            if (!take_events(r)) {
                return false;
            }
        } else if (type != TRACE_CHUNK_RECORDS) {
            r->chunk_at = r->chunk_size; /* of a later version */
        }
    }
}

bool trace_reader_next_state(struct trace_reader *r, const u8 **data, size_t *n)
{
    u32 type = TRACE_CHUNK_EVENTS;
    while (type == TRACE_CHUNK_EVENTS) {
        if (!next_chunk(r, &type)) {
            return false;
        }
    }
    if (type != TRACE_CHUNK_STATE) {
        return false;
    }
    *data = r->chunk;
    *n = r->chunk_size;
    r->chunk_at = r->chunk_size;
    return true;
}
