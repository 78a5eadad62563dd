/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine cpu list | features */
#include "debugger/cli.h"

#include "base/nearest.h"

#include <string.h>

int cli_cpu(int argc, char **argv)
{
    struct error err = {0};
    struct nearest n;
    const char *word = argc > 0 ? argv[0] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        (void)printf("usage: vitrine cpu list      CPU models and the names they answer to\n"
                     "       vitrine cpu features  every feature that can be switched\n");
        return EXIT_STATUS_OK;
    }
    if (argc == 1 && strcmp(word, "list") == 0) {
        cpu_model_list(stdout);
        return EXIT_STATUS_OK;
    }
    if (argc == 1 && strcmp(word, "features") == 0) {
        cpu_feature_list(stdout);
        return EXIT_STATUS_OK;
    }
    nearest_init(&n, word);
    nearest_offer(&n, "list");
    nearest_offer(&n, "features");
    const char *near = argc == 1 ? nearest_result(&n) : NULL;
    (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine cpu %s: %s%s%s", word,
                    near != NULL ? "did you mean " : "list or features is wanted", near != NULL ? near : "",
                    near != NULL ? "?" : "");
    return cli_fail(&err);
}
