/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For programs that take the options of `vitrine run` and look at the machine themselves: linked with debugger/options*.c.
 * Serial ports say nothing. */
#ifndef VITRINE_TESTS_HARNESS_OPTION_MACHINE_H
#define VITRINE_TESTS_HARNESS_OPTION_MACHINE_H

#include "debugger/cli.h"
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>

/* The options' own need. */
void cli_print_version(bool as_qemu)
{
    UNUSED(as_qemu);
}

static inline void give_up(const struct error *err)
{
    (void)fprintf(stderr, "%s\n", err->text);
    exit((int)err->status);
}

/* argv[0] and the options. */
static inline void take_options(struct run_options *o, int argc, char **argv)
{
    struct error err = {0};
    options_init(o, false);
    if (!options_parse(o, argc, argv, &err)) {
        give_up(&err);
    }
    for (unsigned i = 0; i < o->machine.serial_count; i++) {
        o->machine.serial[i].kind = CONSOLE_NONE;
    }
}

static inline struct machine *machine_of_options(const struct run_options *o)
{
    struct error err = {0};
    struct machine *m = machine_new(&o->machine, &err);
    if (m == NULL) {
        give_up(&err);
    }
    return m;
}

static inline u64 position_of(const struct machine *m)
{
    return clock_position(&m->clock).n;
}

/* Run to a position; anything else ends the program. */
static inline void run_machine_to(struct machine *m, u64 position)
{
    m->stop_at = position;
    struct run_result r = position_of(m) < position ? machine_run(m) : (struct run_result){.reason = STOP_POSITION};
    m->stop_at = ~(u64)0;
    if (r.reason != STOP_POSITION) {
        (void)fprintf(stderr, "the run ended with %s at %llu\n", stop_reason_name(r.reason), (unsigned long long)position_of(m));
        exit(1);
    }
}

#endif
