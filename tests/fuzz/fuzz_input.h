/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the targets that play a driver share: the input as a stream of numbers, an address that is likely to mean
 * something, and the check that a board survives saving. */
#ifndef VITRINE_TESTS_FUZZ_FUZZ_INPUT_H
#define VITRINE_TESTS_FUZZ_FUZZ_INPUT_H

#include "base/state.h"
#include "devices/bus.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct input {
    const u8 *p;
    size_t n;
};

/* The next bytes, low byte first; zeroes behind the end. */
static inline u64 take(struct input *in, unsigned bytes)
{
    u64 v = 0;
    for (unsigned i = 0; i < bytes && in->n > 0; i++, in->p++, in->n--) {
        v |= (u64)*in->p << (8 * i);
    }
    return v;
}

/* Near one of eight places (tables, boundaries, the device itself, a hole), or anywhere. */
static inline u64 take_near(struct input *in, const u64 places[8])
{
    u64 pick = take(in, 1);
    return (pick & 0x80) != 0 ? take(in, 8) : places[pick & 7] + (take(in, 1) << 4 & 0xff0);
}

static inline u64 fuzz_hash(struct bus *bus)
{
    struct state_io io;
    state_init_hash(&io);
    bus_state(bus, &io);
    return io.hash;
}

static inline void save_and_restore(struct bus *bus)
{
    struct state_io save, load;
    u64 hash = fuzz_hash(bus);
    state_init_save(&save);
    bus_state(bus, &save);
    state_init_load(&load, save.data, save.len);
    bus_state(bus, &load);
    if (load.failed || fuzz_hash(bus) != hash) {
        abort();
    }
    state_free(&save);
}

#endif
