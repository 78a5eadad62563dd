/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The debugger's shell: one machine, live or replayed, looked at, stopped and taken back in time by words. The same
 * commands serve the terminal (`vitrine debug`), command files, and GDB's `monitor`. */
#ifndef VITRINE_DEBUGGER_SHELL_SHELL_H
#define VITRINE_DEBUGGER_SHELL_SHELL_H

#include "machine/machine.h"

#include <stdio.h>

struct shell;

struct shell_options {
    const char *const *files; /* command files (-x), in order */
    unsigned file_count;
    const char *const *commands; /* -ex, after the files */
    unsigned command_count;
    bool batch;    /* end after them */
    bool no_rc;    /* without ~/.vitrinerc */
    bool may_write; /* the past may be changed: neither a recording nor being recorded */
};

struct shell *shell_new(struct machine *m, bool may_write);
void shell_free(struct shell *s);
/* Commands from the terminal or standard input until the machine or the user ends. The result is why the machine
 * stopped; STOP_QUIT when the user left. */
struct run_result shell_run(struct shell *s, const struct shell_options *options);
/* Take all its points away. */
void shell_forget_points(struct shell *s);
/* One line, by somebody else than the terminal: what it says goes to `out`. False when it was refused. */
bool shell_execute(struct shell *s, const char *line, FILE *out, unsigned cpu);

/* ---- Documents from the table of commands ---- */

/* "markdown", "man" (mdoc). False: no such kind. */
bool shell_document(const char *kind, FILE *out);

#endif
