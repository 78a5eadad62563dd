/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What connects a live machine with the host: terminals, pipes, sockets, and the host's clock.
 *
 * Everything read here is offered to the input gate; nothing here is state. A replay attaches only
 * outputs. A machine without any of this runs just as well: nothing comes in, output is dropped. */
#ifndef VITRINE_MACHINE_OUTSIDE_H
#define VITRINE_MACHINE_OUTSIDE_H

#include "base/clock.h"
#include "base/status.h"
#include "base/types.h"

#include <stddef.h>

struct machine;
struct console;
struct outside;

enum pace { PACE_AUTO, PACE_HOST, PACE_NONE };

struct outside_options {
    bool live;    /* read from the host; else only show output on stdout */
    bool quiet;   /* nothing on stderr but errors */
    enum pace pace;
};

/* What console input would be: from a terminal, a pipe, or nothing. For --serial stdio. */
unsigned outside_stdin_kind(bool as_qemu);

/* Open what the configuration names. The terminal is raw from here to outside_detach. */
bool outside_attach(struct machine *m, const struct outside_options *options, struct error *err);
void outside_detach(struct machine *m);

/* A guest's output on its way to the host. */
void outside_write(struct machine *m, struct console *c, const u8 *bytes, size_t n);

/* At a gate point: look at the host now and then, answer consoles that want a line. */
void outside_poll(struct machine *m);

/* All processors wait until `deadline` (VTIME_NEVER: for good). Should the host's clock, or input,
 * be waited for? */
bool outside_must_wait(const struct machine *m, vtime_t deadline);
/* Wait until the host's clock reaches the deadline or something comes. Returns host nanoseconds. */
u64 outside_wait(struct machine *m, vtime_t deadline);

#endif
