/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sub-commands of the command line: each gets its own arguments and returns the exit status. */
#ifndef VITRINE_DEBUGGER_CLI_H
#define VITRINE_DEBUGGER_CLI_H

#include "base/status.h"
#include "machine/machine.h"

#include <stdio.h>

int cli_run(int argc, char **argv, bool as_qemu);
int cli_cpu(int argc, char **argv);

/* Print an error's line on stderr and return its status. */
int cli_fail(const struct error *err);

/* What `run` takes beside the machine's configuration. */
struct run_options {
    struct machine_config machine;
    bool as_qemu; /* called as qemu-system-vitrine */
    bool hash;
    bool strict;
    bool help;
    u32 log_classes;
    const char *log_file, *script;
    bool default_devices; /* -nodefaults clears it */
    char *scratch;        /* storage for split arguments; freed with options_free */
};

void options_init(struct run_options *o, bool as_qemu);
/* Parse argv[0..argc); returns false with a line in *err. */
bool options_parse(struct run_options *o, int argc, char **argv, struct error *err);
void options_help(FILE *out);
void options_free(struct run_options *o);

#endif
