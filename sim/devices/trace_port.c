/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port (abi/trace_port.h): two ports that a hypervisor that knows of them finds by their magic number.
 *
 * Words are collected per writer, which is a processor with what it runs, up to SLOTS a processor: a REP OUTSD of one guest
 * may be interrupted by another that writes, too. The slot of what runs outside guest mode is its own; of the others the one that was
 * used longest ago makes room. A record that is whole goes to the sink: what it is worth is not decided here. */
#include "devices/trace_port.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSORS 16u
#define SLOTS 8u /* number 0 is for what runs outside guest mode */

struct slot {
    u64 control;
    u64 used; /* serial number of the last write; 0: free */
    u32 have; /* words so far */
    u32 word[TRACE_PORT_WORDS];
};

struct trace_port {
    char id[32];                 /* configuration */
    struct log *log;             /* configuration */
    struct trace_port_sink sink; /* configuration */
    u64 serial;
    struct slot slots[PROCESSORS][SLOTS];
};

#define H TRACE_PORT_HYPERVISOR
#define R TRACE_PORT_ROOT
#define V TRACE_PORT_PARAVISOR
#define RV (R | V)
#define PAYLOAD_NONE false
#define PAYLOAD_TEXT true
#define PAYLOAD_BYTES true

const struct trace_port_row *trace_port_row(u32 number)
{
    static const struct trace_port_row rows[] = {
#define CLAIM(number, name, writers, fields, payload, meaning) {number, #name, writers, fields, PAYLOAD_##payload},
#include "abi/trace_port.def"
#undef CLAIM
    };
    return number >= 1 && number <= ARRAY_LEN(rows) ? &rows[number - 1] : NULL;
}

static u32 count_fields(const struct trace_port_row *row)
{
    u32 n = 0;
    for (const char *p = row->fields; *p != '\0'; p++) {
        n += *p == ':' ? 1 : 0;
    }
    return n;
}

/* ---- assembly ---- */

static struct slot *slot_of(struct trace_port *t, const struct trace_port_writer *w)
{
    struct slot *of = t->slots[w->cpu];
    struct slot *oldest = &of[1];
    if (w->control == 0) {
        return &of[0];
    }
    for (unsigned i = 1; i < SLOTS; i++) {
        if (of[i].used != 0 && of[i].control == w->control) {
            return &of[i];
        }
        oldest = of[i].used < oldest->used ? &of[i] : oldest;
    }
    *oldest = (struct slot){.control = w->control};
    return oldest;
}

static u32 words_of(u32 header) { return header >> 8 & 0xff; }

static bool is_header(u32 word)
{
    return word >> 16 == TRACE_PORT_MARK && words_of(word) >= 2 && words_of(word) <= TRACE_PORT_WORDS;
}

static void finish(struct trace_port *t, const struct slot *s, const struct trace_port_writer *w)
{
    const struct trace_port_row *row = trace_port_row(s->word[0] & 0xff);
    u32 size = s->word[1];
    u32 fields = row != NULL ? count_fields(row) : 0;
    bool fits = row != NULL && size <= TRACE_PORT_PAYLOAD && (size == 0 || row->has_payload) &&
                2 + 2 * fields + (size + 3) / 4 == s->have;
    if (!fits) {
        log_guest_error(t->log, "trace port: a record of type %u, %u words, payload of %u bytes is none", s->word[0] & 0xff,
                        s->have, size);
        return;
    }
    struct trace_port_record r = {
        .writer = *w, .type = (enum trace_port_type)row->number, .field_count = fields, .payload_size = size};
    for (u32 i = 0; i < fields; i++) {
        r.field[i] = s->word[2 + 2 * i] | (u64)s->word[3 + 2 * i] << 32;
    }
    for (u32 i = 0; i < (size + 3) / 4; i++) {
        store_le32(r.payload + 4 * (size_t)i, s->word[2 + 2 * fields + i]);
    }
    t->sink.record(t->sink.self, &r);
}

static void take_word(struct trace_port *t, const struct trace_port_writer *w, u32 word)
{
    struct slot *s = slot_of(t, w);
    s->used = ++t->serial;
    if (s->have == 0 && !is_header(word)) {
        log_guest_error(t->log, "trace port: %08x begins no record", word);
        return;
    }
    s->word[s->have++] = word;
    if (s->have == words_of(s->word[0])) {
        finish(t, s, w);
        s->have = 0;
    }
}

/* ---- the device ---- */

static u32 read_port(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    if (size != 4 || (offset & 3) != 0) {
        return (u32)size_mask(size);
    }
    return offset == TRACE_PORT_ID - TRACE_PORT_ID ? TRACE_PORT_MAGIC : TRACE_PORT_VERSION;
}

static void write_port(void *self, u16 offset, u32 value, unsigned size)
{
    struct trace_port *t = self;
    struct trace_port_writer w = {0};
    if (!t->sink.writer(t->sink.self, &w) || w.cpu >= PROCESSORS) {
        return;
    }
    if (size != 4 || (offset & 3) != 0) {
        log_guest_error(t->log, "trace port: write of %u bytes at %x", size, offset);
        return;
    }
    if (offset == 0) {
        slot_of(t, &w)->have = 0;
    } else {
        take_word(t, &w, value);
    }
}

static const struct port_ops ports = {.read = read_port, .write = write_port};

static void reset(void *self, enum reset_kind kind)
{
    struct trace_port *t = self;
    UNUSED(kind);
    t->serial = 0;
    memset(t->slots, 0, sizeof t->slots);
}

static void slot_state(struct slot *s, struct state_io *io)
{
    state_u64(io, "used", &s->used);
    if (s->used == 0) {
        return;
    }
    state_u64(io, "control", &s->control);
    state_u32(io, "have", &s->have);
    if (s->have >= TRACE_PORT_WORDS || (s->have != 0 && state_is_load(io) && io->failed)) {
        io->failed = true; /* a whole one is not kept */
        s->have = 0;
    }
    if (s->have != 0) {
        state_u32_array(io, "words", s->word, s->have);
    }
    if (s->have != 0 && (!is_header(s->word[0]) || s->have >= words_of(s->word[0]))) {
        io->failed = true;
        s->have = 0;
    }
}

static void state(void *self, struct state_io *io)
{
    struct trace_port *t = self;
    state_section(io, t->id, 1);
    state_u64(io, "serial", &t->serial);
    for (unsigned i = 0; i < PROCESSORS; i++) {
        for (unsigned k = 0; k < SLOTS; k++) {
            if (state_is_load(io)) {
                t->slots[i][k] = (struct slot){0};
            }
            slot_state(&t->slots[i][k], io);
        }
    }
}

static const struct device_ops ops = {.type = "trace-port", .reset = reset, .state = state, .destroy = free};

void trace_port_new(const struct device_env *env, const char *id, const struct trace_port_sink *sink)
{
    struct trace_port *t = calloc(1, sizeof *t);
    sim_assert(t != NULL);
    (void)snprintf(t->id, sizeof t->id, "%s", id);
    t->log = env->log;
    t->sink = *sink;
    bus_add_ports(env->bus, TRACE_PORT_ID, TRACE_PORT_PORTS, &ports, t, "trace port");
    bus_add_device(env->bus, &ops, t, id);
}
