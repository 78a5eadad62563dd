/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/console.h"

#include "base/hash.h"
#include "machine/machine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Virtual time between two looks at a guest that did not take what is queued. */
#define PUMP_INTERVAL_NS 1000000u

static void write_host(struct console *c, const u8 *bytes, size_t n)
{
    while (c->fd_out >= 0 && n > 0) {
        ssize_t done = write(c->fd_out, bytes, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return; /* nobody reads: the machine goes on */
        }
        bytes += done;
        n -= (size_t)done;
    }
}

static void watch_text(struct console *c, u8 byte)
{
    const char *text = c->m->config.stop_on;
    if (text == NULL || text[0] == '\0') {
        return;
    }
    /* Texts are short: on a mismatch fall back to the longest border by trying each. */
    size_t len = strlen(text);
    while (c->matched > 0 && (u8)text[c->matched] != byte) {
        u32 shorter = c->matched - 1;
        while (shorter > 0 && memcmp(text, text + c->matched - shorter, shorter) != 0) {
            shorter--;
        }
        c->matched = shorter;
    }
    c->matched += (u8)text[c->matched] == byte ? 1u : 0u;
    if (c->matched == len) {
        c->matched = 0;
        machine_request_stop(c->m, STOP_ON_TEXT, 0);
    }
}

static void from_guest(void *self, const u8 *bytes, size_t n)
{
    struct console *c = self;
    write_host(c, bytes, n);
    c->bytes_out += n;
    for (size_t i = 0; i < n; i++) {
        c->hash_out = hash_u64(c->hash_out, bytes[i]);
        watch_text(c, bytes[i]);
    }
}

static u32 queued(const struct console *c)
{
    return c->queue_head - c->queue_tail;
}

static void schedule(struct console *c)
{
    if (!timer_is_armed(&c->pump) && queued(c) > 0) {
        vtime_t now = clock_now(&c->m->clock);
        timer_arm(&c->pump, (vtime_t){now.ns + PUMP_INTERVAL_NS});
    }
}

static void pump(void *self)
{
    struct console *c = self;
    while (queued(c) > 0 && c->end.can_receive != NULL && c->end.can_receive(c->end.self) > 0) {
        u8 byte = c->queue[c->queue_tail % sizeof c->queue];
        c->queue_tail++;
        c->end.receive(c->end.self, &byte, 1);
    }
    schedule(c);
}

void console_init(struct console *c, struct machine *m, const char *name)
{
    memset(c, 0, sizeof *c);
    c->m = m;
    c->fd_out = -1;
    c->fd_in = -1;
    timer_init(&c->pump, &m->clock, name, pump, c);
}

struct chardev console_chardev(struct console *c)
{
    return (struct chardev){.write = from_guest, .self = c};
}

void console_type(struct console *c, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n && queued(c) < sizeof c->queue; i++) {
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
    state_u32(io, "matched", &c->matched);
    state_u64(io, "bytes_out", &c->bytes_out);
    state_u64(io, "hash_out", &c->hash_out);
    timer_state(&c->pump, io, "pump");
}
