/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/cli.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

static int help(FILE *out)
{
    (void)fprintf(out, "usage: vitrine COMMAND [arguments]\n\n"
                       "  run    boot a machine            (vitrine run --help)\n"
                       "  replay run a recorded machine    (vitrine replay --help)\n"
                       "  trace  look into a recording     (vitrine trace --help)\n"
                       "  cpu    list CPU models, features (vitrine cpu list|features)\n");
    return EXIT_STATUS_OK;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    if (strncmp(name, "qemu-system-", 12) == 0) {
        return cli_run(argc - 1, argv + 1, true);
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return argc < 2 ? (void)help(stderr), EXIT_STATUS_USAGE : help(stdout);
    }
    if (strcmp(argv[1], "run") == 0) {
        return cli_run(argc - 2, argv + 2, false);
    }
    if (strcmp(argv[1], "cpu") == 0) {
        return cli_cpu(argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "replay") == 0) {
        return cli_replay(argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "trace") == 0) {
        return cli_trace(argc - 2, argv + 2);
    }
    static const char *const commands[] = {"run", "cpu", "replay", "trace"};
    struct nearest n;
    nearest_init(&n, argv[1]);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        nearest_offer(&n, commands[i]);
    }
    const char *near = nearest_result(&n);
    (void)fprintf(stderr, "vitrine: unknown command %s%s%s\n", argv[1],
                  near != NULL ? "; did you mean " : "; --help lists them", near != NULL ? near : "");
    return EXIT_STATUS_USAGE;
}
