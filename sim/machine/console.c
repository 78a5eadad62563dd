/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/console.h"

#include "base/hash.h"
#include "devices/uart16550.h"
#include "machine/machine.h"
#include "machine/outside.h"
#include "machine/script.h"
#include "trace/events.h"

#include <string.h>

/* Virtual time between two looks at a guest that did not take what is queued. */
#define PUMP_INTERVAL_NS 1000000u
/* Silence after which a listening guest is taken to wait for a line. */
#define ASK_QUIET_NS 300000000u

bool console_match(const char *text, size_t len, u32 *matched, u8 byte)
{
    /* Texts are short: on a mismatch fall back to the longest border by trying each. */
    u32 n = *matched;
    while (n > 0 && (u8)text[n] != byte) {
        u32 shorter = n - 1;
        while (shorter > 0 && memcmp(text, text + n - shorter, shorter) != 0) {
            shorter--;
        }
        n = shorter;
    }
    n += (u8)text[n] == byte ? 1u : 0u;
    *matched = n == len ? 0 : n;
    return n == len;
}

static void watch_text(struct console *c, u8 byte)
{
    const char *text = c->m->config.stop_on;
    if (text != NULL && text[0] != '\0' && console_match(text, strlen(text), &c->matched, byte)) {
        machine_request_stop(c->m, STOP_ON_TEXT, 0);
    }
}

static void trace_line(struct console *c, u8 byte)
{
    if (byte != '\n' && byte != '\r') {
        c->line[c->line_used++] = (char)byte;
    }
    if ((byte == '\n' && c->line_used > 0) || c->line_used == sizeof c->line) {
        trace_console_line(&c->m->trace, TRACE_NO_CPU, c->number, c->line_used, c->line,
                           c->line_used);
        c->line_used = 0;
    }
}

static void from_guest(void *self, const u8 *bytes, size_t n)
{
    struct console *c = self;
    outside_write(c->m, c, bytes, n);
    c->bytes_out += n;
    c->active_ns = clock_now(&c->m->clock).ns;
    for (size_t i = 0; i < n; i++) {
        c->hash_out = hash_u64(c->hash_out, bytes[i]);
        watch_text(c, bytes[i]);
        trace_line(c, bytes[i]);
        if (c->m->script != NULL) {
            script_see(c->m->script, c->number, bytes[i]);
        }
    }
}

static u32 queued(const struct console *c)
{
    return c->queue_head - c->queue_tail;
}

size_t console_room(const struct console *c)
{
    return sizeof c->queue - queued(c);
}

static size_t device_room(const struct console *c)
{
    return c->end.can_receive != NULL ? c->end.can_receive(c->end.self) : 0;
}

static void arm(struct console *c, struct timer *t, u64 delay_ns)
{
    timer_arm(t, (vtime_t){clock_now(&c->m->clock).ns + delay_ns});
}

static void schedule(struct console *c)
{
    if (!timer_is_armed(&c->pump) && queued(c) > 0) {
        arm(c, &c->pump, PUMP_INTERVAL_NS);
    }
}

static void pump(void *self)
{
    struct console *c = self;
    while (queued(c) > 0 && device_room(c) > 0) {
        u8 byte = c->queue[c->queue_tail % sizeof c->queue];
        c->queue_tail++;
        c->active_ns = clock_now(&c->m->clock).ns;
        c->end.receive(c->end.self, &byte, 1);
    }
    schedule(c);
}

static bool is_listening(const struct console *c)
{
    return device_room(c) > 0 && (c->uart == NULL || uart16550_is_listening(c->uart));
}

static void ask(void *self)
{
    struct console *c = self;
    u64 quiet = clock_now(&c->m->clock).ns - c->active_ns;
    if (quiet < ASK_QUIET_NS) {
        arm(c, &c->ask, ASK_QUIET_NS - quiet);
    } else if (queued(c) > 0 || !is_listening(c)) {
        arm(c, &c->ask, ASK_QUIET_NS);
    } else {
        c->wants = true; /* the gate point after this answers it */
    }
}

bool console_is_hopeful(const struct console *c)
{
    return (timer_is_armed(&c->pump) && device_room(c) > 0) ||
           (timer_is_armed(&c->ask) && is_listening(c));
}

/* The gate hands over what came from outside. */
static void from_outside(void *self, const u8 *bytes, u32 size)
{
    struct console *c = self;
    if (c->input == CONSOLE_INPUT_PIPE && c->wants) {
        c->wants = false;
        c->eof = size == 0;
        if (!c->eof) {
            arm(c, &c->ask, ASK_QUIET_NS);
        }
    }
    console_type(c, bytes, size);
}

void console_init(struct console *c, struct machine *m, unsigned number, const char *name,
                  enum console_input input)
{
    memset(c, 0, sizeof *c);
    c->m = m;
    c->number = number;
    c->input = input;
    c->fd_out = -1;
    timer_init(&c->pump, &m->clock, name, pump, c);
    timer_init(&c->ask, &m->clock, name, ask, c);
    if (input == CONSOLE_INPUT_PIPE) {
        timer_arm(&c->ask, (vtime_t){ASK_QUIET_NS});
    }
    gate_set_sink(&m->gate, (enum gate_source)(GATE_CONSOLE0 + number),
                  (struct gate_sink){.deliver = from_outside, .self = c});
}

struct chardev console_chardev(struct console *c)
{
    return (struct chardev){.write = from_guest, .self = c};
}

void console_type(struct console *c, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n && console_room(c) > 0; i++) {
        c->queue[c->queue_head % sizeof c->queue] = bytes[i];
        c->queue_head++;
    }
    schedule(c);
}

void console_state(struct console *c, struct state_io *io)
{
    state_section(io, "console", 1);
    state_bytes(io, "queue", c->queue, sizeof c->queue);
    state_u32(io, "queue_head", &c->queue_head);
    state_u32(io, "queue_tail", &c->queue_tail);
    state_bool(io, "wants", &c->wants);
    state_bool(io, "eof", &c->eof);
    state_u64(io, "active_ns", &c->active_ns);
    state_u32(io, "matched", &c->matched);
    state_u64(io, "bytes_out", &c->bytes_out);
    state_u64(io, "hash_out", &c->hash_out);
    timer_state(&c->pump, io, "pump");
    timer_state(&c->ask, io, "ask");
}
