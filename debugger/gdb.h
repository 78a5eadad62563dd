/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GDB's remote protocol: a machine that GDB, and what speaks like it, can look at, stop, and take back in time.
 * Processors are threads, numbered from 1. Nothing that GDB looks at or stops at changes the guest; writing
 * registers or memory does, and history begins anew there. */
#ifndef VITRINE_DEBUGGER_GDB_H
#define VITRINE_DEBUGGER_GDB_H

#include "machine/machine.h"

struct gdb;

/* Listen at "HOST:PORT", "tcp:HOST:PORT", ":PORT" or "PORT"; without a host at 127.0.0.1 alone. wait: the machine
 * stands still until GDB lets it go. may_write: GDB may change registers and memory. NULL with a line in *err. */
struct gdb *gdb_open(struct machine *m, const char *where, bool wait, bool may_write, struct error *err);
/* Run the machine to its end, under GDB whenever one is connected. */
struct run_result gdb_run(struct gdb *g);
void gdb_close(struct gdb *g);

#endif
