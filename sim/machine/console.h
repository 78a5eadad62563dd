/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is behind a serial port: output to the host and to watchers of text, input from a terminal, a
 * pipe or a script.
 *
 * Output leaves at once. Input is of two kinds. Script lines and piped input are known beforehand:
 * they are delivered at virtual times that follow from what the guest does. A person's keys are
 * outside input: taken from the host between slices, stamped, and logged. */
#ifndef VITRINE_MACHINE_CONSOLE_H
#define VITRINE_MACHINE_CONSOLE_H

#include "base/clock.h"
#include "base/types.h"
#include "devices/chardev.h"

struct machine;

struct console {
    struct machine *m;
    int fd_out; /* -1: none */
    int fd_in;  /* -1: none; a pipe or file read as the guest asks for it */
    bool interactive; /* fd_in is a terminal */
    bool eof;
    struct chardev_end end; /* the device */
    struct timer pump;      /* next try to deliver */
    /* Bytes on their way to the guest. Saved. */
    u8 queue[4096];
    u32 queue_head, queue_tail;
    /* --stop-on: how much of the text the last bytes match. Saved. */
    u32 matched;
    u64 bytes_out, hash_out; /* of all output so far. Saved. */
};

void console_init(struct console *c, struct machine *m, const char *name);
/* The chardev to give to the device. */
struct chardev console_chardev(struct console *c);
/* Put bytes in the queue towards the guest; what does not fit is dropped and counted. */
void console_type(struct console *c, const u8 *bytes, size_t n);
void console_state(struct console *c, struct state_io *io);

#endif
