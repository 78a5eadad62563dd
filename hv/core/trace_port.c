/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port's writer: of hv, and of guests that have the port. */
#include "hv/core/trace_port.h"

#include "hv/core/types.h"

bool trace_port_present;

#ifdef HV_HOST
void trace_port_probe(void) {}
static void write_words(const u32 *word, u64 count)
{
    (void)word;
    (void)count;
}
#else
void trace_port_probe(void)
{
    u32 id;
    __asm__ volatile("inl %w1, %0" : "=a"(id) : "d"(TRACE_PORT_ID));
    trace_port_present = id == TRACE_PORT_MAGIC;
}

static void write_words(const u32 *word, u64 count)
{
    __asm__ volatile("rep outsl" : "+S"(word), "+c"(count) : "d"(TRACE_PORT_DATA) : "memory");
}
#endif

void trace_port_write(enum trace_port_type type, const u64 *field, u32 count, const void *payload, u32 size)
{
    u32 word[TRACE_PORT_WORDS];
    const u8 *bytes = payload;
    u32 words = 2;
    if (!trace_port_present || count > TRACE_PORT_FIELDS || size > TRACE_PORT_PAYLOAD) {
        return;
    }
    word[1] = size;
    for (u32 i = 0; i < count; i++) {
        word[words++] = (u32)field[i];
        word[words++] = (u32)(field[i] >> 32);
    }
    for (u32 i = 0; i < size; i++) {
        word[words + i / 4] = (i % 4 == 0 ? 0 : word[words + i / 4]) | (u32)bytes[i] << (8 * (i % 4));
    }
    words += (size + 3) / 4;
    word[0] = (u32)type | words << 8 | TRACE_PORT_MARK << 16;
    write_words(word, words);
}
