/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input as a stream of numbers, for the targets that are made of guests' sources. After a header of theirs with the types. */
#ifndef VITRINE_TESTS_FUZZ_FUZZ_STREAM_H
#define VITRINE_TESTS_FUZZ_FUZZ_STREAM_H

static struct input {
    const u8 *p;
    size_t n;
} in;

/* The next bytes, low byte first; zeroes behind the end. */
static u64 take(unsigned bytes)
{
    u64 v = 0;
    for (unsigned i = 0; i < bytes && in.n > 0; i++, in.p++, in.n--) {
        v |= (u64)*in.p << (8 * i);
    }
    return v;
}

#endif
