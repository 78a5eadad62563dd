/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine debug: `vitrine run` under the debugger's shell, or for an editor. The options that are the debugger's own
 * are taken out before the machine's are looked at; `replay --debug` takes them too. */
#include "debugger/debug.h"

#include <string.h>

void debug_help(FILE *out)
{
    (void)fprintf(out, "usage: vitrine debug [options of `run`] [debugger's options]\n"
                       "Boot a machine under the debugger; it stands before its first instruction.\n\n"
                       "  -x FILE        do the commands of a file first; repeatable\n"
                       "  -ex COMMAND    then this one; repeatable\n"
                       "  -batch         leave after that, at the first command that is refused\n"
                       "  -nx            without ~/.vitrinerc\n"
                       "  --dap          for an editor, by the Debug Adapter Protocol on standard input and output;\n"
                       "                 --dap=[HOST:]PORT: at a port, 127.0.0.1 unless a host is named\n"
                       "  --commands KIND  print the commands' reference and leave: markdown, man\n\n"
                       "The guest's consoles print here; `type` in the shell answers them. The options of the\n"
                       "machine are those of `vitrine run --help`.\n");
}

static bool takes_value(const char *name)
{
    return strcmp(name, "x") == 0 || strcmp(name, "ex") == 0 || strcmp(name, "commands") == 0;
}

/* One argument; *used: how many were the debugger's own. */
static bool take(struct debug_options *d, const char *typed, const char *next, unsigned *used, struct error *err)
{
    const char *name = typed + (typed[0] == '-' ? 1 : 0);
    name += name > typed && name[0] == '-' ? 1 : 0;
    char plain[16];
    const char *equals = strchr(name, '=');
    *used = 0;
    if (typed[0] != '-') {
        return true;
    }
    if (equals != NULL && (size_t)(equals - name) < sizeof plain) {
        (void)snprintf(plain, sizeof plain, "%.*s", (int)(equals - name), name);
        if (strcmp(plain, "commands") == 0) {
            d->document = equals + 1;
            *used = 1;
        } else if (strcmp(plain, "dap") == 0) {
            d->dap = equals + 1;
            *used = 1;
        }
        return true;
    }
    if (takes_value(name) && next == NULL) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument", name);
    }
    if (strcmp(name, "x") == 0 && d->file_count < DEBUG_MAX_GIVEN) {
        d->files[d->file_count++] = next;
        *used = 2;
    } else if (strcmp(name, "ex") == 0 && d->command_count < DEBUG_MAX_GIVEN) {
        d->commands[d->command_count++] = next;
        *used = 2;
    } else if (strcmp(name, "x") == 0 || strcmp(name, "ex") == 0) {
        return error_set(err, EXIT_STATUS_USAGE, "no more than %d of -%s", DEBUG_MAX_GIVEN, name);
    } else if (strcmp(name, "commands") == 0) {
        d->document = next;
        *used = 2;
    } else if (strcmp(name, "dap") == 0) {
        d->dap = "-";
        *used = 1;
    } else if (strcmp(name, "batch") == 0) {
        d->batch = true;
        *used = 1;
    } else if (strcmp(name, "nx") == 0) {
        d->no_rc = true;
        *used = 1;
    } else if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0) {
        d->help = true;
        *used = 1;
    }
    return true;
}

bool debug_options_take(struct debug_options *d, int *argc, char **argv, struct error *err)
{
    int kept = 0;
    for (int i = 0; i < *argc;) {
        unsigned used;
        if (!take(d, argv[i], i + 1 < *argc ? argv[i + 1] : NULL, &used, err)) {
            return false;
        }
        if (used == 0) {
            argv[kept++] = argv[i++];
        } else {
            i += (int)used;
        }
    }
    *argc = kept;
    return true;
}

int cli_debug(int argc, char **argv)
{
    struct error err = {0};
    struct debug_options d = {0};
    if (!debug_options_take(&d, &argc, argv, &err)) {
        return cli_fail(&err);
    }
    if (d.help) {
        debug_help(stdout);
        return EXIT_STATUS_OK;
    }
    if (d.document != NULL) {
        if (!shell_document(d.document, stdout)) {
            (void)error_set(&err, EXIT_STATUS_USAGE, "--commands %s: markdown or man", d.document);
            return cli_fail(&err);
        }
        return EXIT_STATUS_OK;
    }
    if (!debug_open(&d, &err)) {
        return cli_fail(&err);
    }
    int status = cli_run_debugged(argc, argv, &d);
    debug_close(&d);
    return status;
}
