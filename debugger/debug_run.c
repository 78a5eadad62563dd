/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/debug.h"
#include "debugger/dap/dap.h"
#include "machine/travel.h"

#include <signal.h>

bool debug_run(const struct debug_options *d, struct machine *m, bool may_write, struct run_result *result,
               struct error *err)
{
    const struct shell_options options = {.files = d->files,
                                          .file_count = d->file_count,
                                          .commands = d->commands,
                                          .command_count = d->command_count,
                                          .batch = d->batch,
                                          .no_rc = d->no_rc,
                                          .may_write = may_write};
    if (d->editor != NULL) {
        if (!travel_start(m, NULL, err)) {
            return false;
        }
        (void)signal(SIGTERM, SIG_DFL);
        *result = dap_run(d->editor, m, may_write);
        return true;
    }
    struct shell *s = shell_new(m, may_write);
    if (!travel_start(m, NULL, err)) {
        shell_free(s);
        return false;
    }
    /* Only Ctrl-C is the guest's to feel; nobody is asked twice to end. */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    *result = shell_run(s, &options);
    shell_free(s);
    return true;
}

bool debug_open(struct debug_options *d, struct error *err)
{
    d->editor = d->dap != NULL ? dap_open(d->dap, err) : NULL;
    return d->dap == NULL || d->editor != NULL;
}

void debug_close(struct debug_options *d)
{
    if (d->editor != NULL) {
        dap_close(d->editor);
        d->editor = NULL;
    }
}
