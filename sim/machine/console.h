/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is behind a serial port: output to the host and to watchers of text, input from a terminal, a
 * pipe or a script.
 *
 * Output leaves at once. All input goes through the machine's gate or comes from its script. A
 * terminal's keys are taken whenever they come. A pipe is *asked*: when the guest listens and has
 * been silent for a while of virtual time, one line is read, however long its writer takes; so what
 * the guest sees depends on the pipe's bytes alone. */
#ifndef VITRINE_MACHINE_CONSOLE_H
#define VITRINE_MACHINE_CONSOLE_H

#include "base/clock.h"
#include "base/types.h"
#include "devices/chardev.h"

struct machine;
struct uart16550;

enum console_input {
    CONSOLE_INPUT_NONE,
    CONSOLE_INPUT_LIVE, /* a terminal: keys when they come */
    CONSOLE_INPUT_PIPE, /* asked for lines */
};

struct console {
    struct machine *m;
    unsigned number;
    enum console_input input;
    struct chardev_end end; /* the device */
    const struct uart16550 *uart; /* NULL: no such */
    struct timer pump;      /* next try to deliver */
    struct timer ask;       /* next look whether to ask the pipe */
    int fd_out;             /* host side; -1: none */
    /* Bytes on their way to the guest. Saved, as all that follows. */
    u8 queue[4096];
    u32 queue_head, queue_tail;
    bool wants, eof; /* CONSOLE_INPUT_PIPE: a line is wanted at the next gate point; none will come */
    u64 active_ns;   /* last output or input */
    /* --stop-on: how much of the text the last bytes match. */
    u32 matched;
    u64 bytes_out, hash_out; /* of all output so far */
    /* The line being printed, for the trace. Derived: nobody decides by it. */
    char line[240];
    u32 line_used;
};

void console_init(struct console *c, struct machine *m, unsigned number, const char *name,
                  enum console_input input);
/* The chardev to give to the device. */
struct chardev console_chardev(struct console *c);
/* Put bytes in the queue towards the guest; what does not fit is dropped. */
void console_type(struct console *c, const u8 *bytes, size_t n);
/* Bytes that the queue takes. */
size_t console_room(const struct console *c);
/* Would an armed timer of this console lead to anything while all processors wait? */
bool console_is_hopeful(const struct console *c);
/* Is it one of its timers? */
static inline bool console_owns_timer(const struct console *c, const struct timer *t)
{
    return t == &c->pump || t == &c->ask;
}
void console_state(struct console *c, struct state_io *io);

/* Is `byte` the next of `text`, of which *matched bytes stand before it? Updates *matched; true when
 * the whole text has been seen. */
bool console_match(const char *text, size_t len, u32 *matched, u8 byte);

#endif
