/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The user's terminal as a console: raw mode, and the keys that are for the simulator and not for
 * the guest (after Ctrl-A, as under QEMU's -nographic). Also pseudo terminals and the host's clock. */
#ifndef VITRINE_MACHINE_HOST_TERM_H
#define VITRINE_MACHINE_HOST_TERM_H

#include "base/status.h"
#include "base/types.h"

#include <termios.h>

struct term {
    int fd;
    bool raw;    /* saved is to be put back */
    bool prefix; /* the last key was Ctrl-A */
    struct termios saved;
};

enum term_action { TERM_NOTHING, TERM_QUIT, TERM_HELP, TERM_MONITOR };

/* Switch `fd` to raw mode if it is a terminal: every key, Ctrl-C too, is a byte. */
void term_open(struct term *t, int fd);
/* As it was before. May be called twice. */
void term_close(struct term *t);
/* Take the simulator's keys out of bytes[0..*n); what remains is for the guest. */
enum term_action term_filter(struct term *t, u8 *bytes, size_t *n);
void term_help(void);

/* A new pseudo terminal in raw mode; its name in path. -1 with a line in *err. */
int term_open_pty(char *path, size_t size, struct error *err);

/* The host's monotonic clock. Only pacing and polling may look at it, never a device. */
u64 host_now_ns(void);

#endif
