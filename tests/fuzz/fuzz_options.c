/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command lines: the input, cut at zero bytes, is the arguments. A first byte below 0x80 that is not
 * printable stands for the name of an option, so that random bytes reach the handlers. A refusal says a
 * line and a status; nothing is opened or run. */
#include "debugger/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MAX_ARGUMENTS 300

static const char *const names[] = {
#define OPTION(names, arg, handler, help) names,
#include "debugger/options.def"
#undef OPTION
};

void cli_print_version(bool as_qemu)
{
    UNUSED(as_qemu);
}

/* Text of the form "--name", by number: the first name of a row. */
static char *option_name(unsigned n)
{
    char *text = calloc(1, 80);
    if (text != NULL) {
        (void)snprintf(text, 80, "--%s", names[n % ARRAY_LEN(names)]);
        text[strcspn(text, "|")] = '\0';
    }
    return text;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static bool quiet;
    if (!quiet) { /* --help prints */
        quiet = freopen("/dev/null", "w", stdout) != NULL;
    }
    char *argv[MAX_ARGUMENTS];
    int argc = 0;
    bool as_qemu = size > 0 && (data[0] & 1) != 0;
    for (size_t at = 1; at < size && argc < MAX_ARGUMENTS;) {
        size_t len = strnlen((const char *)data + at, size - at);
        char *text = len == 1 && data[at] < 0x20 + ARRAY_LEN(names) ? option_name(data[at])
                                                                    : strndup((const char *)data + at, len);
        if (text == NULL) {
            break;
        }
        argv[argc++] = text;
        at += len + 1;
    }
    struct run_options o;
    struct error err = {0};
    options_init(&o, as_qemu);
    bool ok = options_parse(&o, argc, argv, &err);
    if (ok != (err.status == EXIT_STATUS_OK) || (!ok && err.text[0] == '\0')) {
        abort();
    }
    options_free(&o);
    while (argc > 0) {
        free(argv[--argc]);
    }
    return 0;
}
