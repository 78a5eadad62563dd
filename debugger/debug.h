/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The debugger's own options. */
#ifndef VITRINE_DEBUGGER_DEBUG_H
#define VITRINE_DEBUGGER_DEBUG_H

#include "debugger/cli.h"
#include "debugger/shell/shell.h"

#define DEBUG_MAX_GIVEN 128

struct debug_options {
    const char *files[DEBUG_MAX_GIVEN], *commands[DEBUG_MAX_GIVEN];
    unsigned file_count, command_count;
    bool batch, no_rc, help;
    const char *dap;      /* for an editor: "-" or where it connects; NULL: not */
    struct dap *editor;
    const char *document; /* --commands: what to print */
};

void debug_help(FILE *out);
/* Take the debugger's own options out of the arguments. */
bool debug_options_take(struct debug_options *d, int *argc, char **argv, struct error *err);
/* Before consoles are attached: --dap takes standard output for itself. False with a line in *err. */
bool debug_open(struct debug_options *d, struct error *err);
void debug_close(struct debug_options *d);
/* Run the machine under the shell. False with a line in *err. */
bool debug_run(const struct debug_options *d, struct machine *m, bool may_write, struct run_result *result,
               struct error *err);

#endif
