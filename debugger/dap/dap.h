/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Debug Adapter Protocol: editors drive the debugger's shell. On standard input and output, or at a port. */
#ifndef VITRINE_DEBUGGER_DAP_DAP_H
#define VITRINE_DEBUGGER_DAP_DAP_H

#include "debugger/shell/shell.h"

struct dap;

/* where: "-" for standard input and output, or [HOST:]PORT; without a host at 127.0.0.1 alone. Before consoles are
 * attached: what they print goes to the editor. NULL with a line in *err. */
struct dap *dap_open(const char *where, struct error *err);
/* Serve one editor until it or the machine ends. */
struct run_result dap_run(struct dap *d, struct machine *m, bool may_write);
void dap_close(struct dap *d);

#endif
