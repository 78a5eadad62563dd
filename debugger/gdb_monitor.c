/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GDB's `monitor`: any command of the shell (debugger/shell), which has QEMU's names for what QEMU has. What makes the
 * machine run is GDB's own. After a command that moves the machine GDB must be told to forget its registers:
 * `maintenance flush register-cache`. */
#include "debugger/gdb_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Console output in packets of their own, so that it may be long. */
#define CHUNK 4000

void gdb_monitor(struct gdb *g, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        gdb_put(g, "E0c");
        return;
    }
    (void)shell_execute(g->shell, line, f, g->cpu);
    (void)fclose(f);
    for (size_t at = 0; at < size; at += CHUNK) {
        gdb_put(g, "O");
        gdb_put_hex(g, (const u8 *)text + at, size - at < CHUNK ? size - at : CHUNK);
        gdb_send(g);
    }
    free(text);
    gdb_put(g, "OK");
}
