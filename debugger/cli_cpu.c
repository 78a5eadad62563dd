/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine cpu list | features */
#include "debugger/cli.h"

#include <string.h>

int cli_cpu(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "list") == 0) {
        cpu_model_list(stdout);
        return EXIT_STATUS_OK;
    }
    if (argc == 1 && strcmp(argv[0], "features") == 0) {
        cpu_feature_list(stdout);
        return EXIT_STATUS_OK;
    }
    bool help = argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    (void)fprintf(help ? stdout : stderr, "usage: vitrine cpu list      CPU models and the names they answer to\n"
                                          "       vitrine cpu features  every feature that can be switched\n");
    return help ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
}
