/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/state.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void state_init_save(struct state_io *io)
{
    *io = (struct state_io){.mode = STATE_SAVE};
}

void state_init_load(struct state_io *io, const void *data, size_t len)
{
    *io = (struct state_io){.mode = STATE_LOAD, .data = (u8 *)(uintptr_t)data, .len = len};
}

void state_init_hash(struct state_io *io)
{
    *io = (struct state_io){.mode = STATE_HASH};
}

void state_init_print(struct state_io *io, FILE *out)
{
    *io = (struct state_io){.mode = STATE_PRINT, .out = out};
}

void state_free(struct state_io *io)
{
    if (io->mode == STATE_SAVE) {
        free(io->data);
        io->data = NULL;
    }
}

static void put(struct state_io *io, const void *data, size_t len)
{
    if (io->cap - io->len < len) {
        size_t cap = io->cap * 2 + len + 4096;
        u8 *grown = realloc(io->data, cap);
        sim_assert(grown != NULL);
        io->data = grown;
        io->cap = cap;
    }
    if (len > 0) {
        memcpy(io->data + io->len, data, len);
    }
    io->len += len;
}

static void get(struct state_io *io, void *data, size_t len)
{
    if (io->failed || io->len - io->pos < len) {
        if (!io->failed) {
            (void)snprintf(io->where, sizeof io->where, "%s", io->section);
        }
        io->failed = true;
        memset(data, 0, len);
        return;
    }
    memcpy(data, io->data + io->pos, len);
    io->pos += len;
}

static void visit(struct state_io *io, const char *field, void *data, size_t len, bool scalar)
{
    switch (io->mode) {
    case STATE_SAVE:
        put(io, data, len);
        break;
    case STATE_LOAD:
        get(io, data, len);
        break;
    case STATE_HASH:
        io->hash = hash_bytes(io->hash, data, len);
        if (io->parts != NULL && io->parts->count > 0) {
            u64 *part = &io->parts->part[io->parts->count - 1].hash;
            *part = hash_bytes(*part, data, len);
        }
        break;
    case STATE_PRINT:
        if (scalar) {
            (void)fprintf(io->out, "%s.%s = 0x%llx\n", io->section, field,
                          (unsigned long long)load_le(data, (unsigned)len));
        } else if (len <= 64) {
            (void)fprintf(io->out, "%s.%s = ", io->section, field);
            for (size_t i = 0; i < len; i++) {
                (void)fprintf(io->out, "%02x", ((const u8 *)data)[i]);
            }
            (void)fputc('\n', io->out);
        } else {
            (void)fprintf(io->out, "%s.%s = %zu bytes, hash %016llx\n", io->section, field, len,
                          (unsigned long long)hash_bytes(0, data, len));
        }
        break;
    }
}

static void start_part(struct state_parts *parts, const char *name)
{
    unsigned same = 1;
    if (parts->count == STATE_PARTS_MAX) {
        return;
    }
    struct state_part *p = &parts->part[parts->count];
    *p = (struct state_part){.hash = 0};
    (void)snprintf(p->name, sizeof p->name, "%.24s", name);
    size_t len = strlen(p->name);
    for (unsigned i = 0; i < parts->count; i++) {
        const char *other = parts->part[i].name;
        same += strncmp(other, p->name, len) == 0 && (other[len] == '\0' || other[len] == '#') ? 1 : 0;
    }
    if (same > 1) {
        (void)snprintf(p->name + len, sizeof p->name - len, "#%u", same);
    }
    parts->count++;
}

u32 state_section(struct state_io *io, const char *name, u32 version)
{
    (void)snprintf(io->section, sizeof io->section, "%s", name);
    u32 found = version;
    switch (io->mode) {
    case STATE_SAVE:
        put(io, name, strlen(name) + 1);
        put(io, &version, sizeof version);
        break;
    case STATE_LOAD: {
        char text[64] = {0};
        size_t len = strlen(name) + 1;
        get(io, text, len < sizeof text ? len : sizeof text);
        get(io, &found, sizeof found);
        if (!io->failed && (strcmp(text, name) != 0 || found > version)) {
            io->failed = true;
            (void)snprintf(io->where, sizeof io->where, "%s", name);
        }
        break;
    }
    case STATE_HASH:
        io->hash = hash_bytes(io->hash, name, strlen(name));
        if (io->parts != NULL) {
            start_part(io->parts, name);
        }
        break;
    case STATE_PRINT:
        break;
    }
    return found;
}

void state_u8(struct state_io *io, const char *field, u8 *v)
{
    visit(io, field, v, sizeof *v, true);
}

void state_u16(struct state_io *io, const char *field, u16 *v)
{
    visit(io, field, v, sizeof *v, true);
}

void state_u32(struct state_io *io, const char *field, u32 *v)
{
    visit(io, field, v, sizeof *v, true);
}

void state_u64(struct state_io *io, const char *field, u64 *v)
{
    visit(io, field, v, sizeof *v, true);
}

void state_bool(struct state_io *io, const char *field, bool *v)
{
    u8 b = *v ? 1 : 0;
    visit(io, field, &b, 1, true);
    *v = b != 0;
}

void state_bytes(struct state_io *io, const char *field, void *data, size_t len)
{
    visit(io, field, data, len, false);
}

void state_u64_array(struct state_io *io, const char *field, u64 *v, size_t n)
{
    visit(io, field, v, n * sizeof *v, false);
}

void state_u32_array(struct state_io *io, const char *field, u32 *v, size_t n)
{
    visit(io, field, v, n * sizeof *v, false);
}
