/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One visitor for save, restore, hash and print. Every stateful thing has a single function
 *
 *     void thing_state(void *self, struct state_io *io)
 *
 * that names each of its fields once; so what is saved is what is restored and what is hashed,
 * and a difference between two machines can be reported by field name. What is derived (caches,
 * host pointers) is not visited; a loader rebuilds it (`if (state_is_load(io)) ...`).
 *
 * Format of a saved stream: fields in visiting order, little-endian, each section led by its name
 * and version. A truncated or foreign stream sets `failed` and loads zeroes; it never crashes. */
#ifndef VITRINE_BASE_STATE_H
#define VITRINE_BASE_STATE_H

#include "base/types.h"

#include <stdio.h>

enum state_mode { STATE_SAVE, STATE_LOAD, STATE_HASH, STATE_PRINT };

/* Hashes of the sections of a state, one by one: which part of two machines differs. */
struct state_part {
    u64 hash;
    char name[32]; /* section; "name#2" for its second appearance */
};

#define STATE_PARTS_MAX 256
struct state_parts {
    struct state_part part[STATE_PARTS_MAX]; /* sections beyond these count into the last */
    unsigned count;
};

struct state_io {
    enum state_mode mode;
    bool without_ram;  /* STATE_SAVE, STATE_LOAD: contents of memory are kept otherwise */
    bool failed;       /* STATE_LOAD: the stream does not fit */
    char where[80];    /* STATE_LOAD: section in which it failed */
    u64 hash;          /* STATE_HASH */
    struct state_parts *parts; /* STATE_HASH: filled when not NULL */
    FILE *out;         /* STATE_PRINT: "section.field = value" lines */
    u8 *data;          /* STATE_SAVE: grown with malloc; STATE_LOAD: the caller's, not owned */
    size_t len, pos, cap;
    char section[64];
};

void state_init_save(struct state_io *io);
void state_init_load(struct state_io *io, const void *data, size_t len);
void state_init_hash(struct state_io *io);
void state_init_print(struct state_io *io, FILE *out);
/* Free what STATE_SAVE grew. */
void state_free(struct state_io *io);

static inline bool state_is_load(const struct state_io *io)
{
    return io->mode == STATE_LOAD;
}

/* Start the fields of `name`; returns the version found in the stream (LOAD) or `version`. A
 * stream with another name or a newer version fails. */
u32 state_section(struct state_io *io, const char *name, u32 version);

void state_u8(struct state_io *io, const char *field, u8 *v);
void state_u16(struct state_io *io, const char *field, u16 *v);
void state_u32(struct state_io *io, const char *field, u32 *v);
void state_u64(struct state_io *io, const char *field, u64 *v);
void state_bool(struct state_io *io, const char *field, bool *v);
/* Raw bytes of fixed length: only for arrays of u8. */
void state_bytes(struct state_io *io, const char *field, void *data, size_t len);
void state_u64_array(struct state_io *io, const char *field, u64 *v, size_t n);
void state_u32_array(struct state_io *io, const char *field, u32 *v, size_t n);

/* An enum or a narrower integer: visited as u32. */
#define state_enum(io, field, ptr)                                                                 \
    do {                                                                                           \
        u32 state_tmp_ = (u32) * (ptr);                                                            \
        state_u32((io), (field), &state_tmp_);                                                     \
        *(ptr) = (__typeof__(*(ptr)))state_tmp_;                                                   \
    } while (0)

#endif
