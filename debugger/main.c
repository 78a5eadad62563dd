/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/cli.h"
#include "debugger/stack.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#ifndef VITRINE_VERSION
#define VITRINE_VERSION "unknown"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static int run(int argc, char **argv)
{
    return cli_run(argc, argv, false);
}

static const struct command commands[] = {
    {"run", run, "boot a machine            (vitrine run --help)"},
    {"debug", cli_debug, "the same under a debugger (vitrine debug --help)"},
    {"replay", cli_replay, "run a recorded machine    (vitrine replay --help)"},
    {"trace", cli_trace, "look into a recording     (vitrine trace --help)"},
    {"stack", cli_stack, "machines that ship with it (vitrine stack --help)"},
    {"cpu", cli_cpu, "list CPU models, features (vitrine cpu --help)"},
    {"completion", cli_completion, "what bash, zsh or fish need to complete all this; man pages"},
};

void cli_print_version(bool as_qemu)
{
    (void)printf("%svitrine %s\n", as_qemu ? "QEMU's options, taken by " : "", VITRINE_VERSION);
}

bool cli_command(unsigned n, const char **name, const char **help)
{
    if (n >= ARRAY_LEN(commands)) {
        return false;
    }
    *name = commands[n].name;
    *help = commands[n].help;
    return true;
}

bool cli_command_run(const char *name, int argc, char **argv)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            (void)commands[i].run(argc, argv);
            return true;
        }
    }
    return false;
}

static int help(void)
{
    (void)printf("usage: vitrine COMMAND [arguments]\n\n");
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        (void)printf("  %-11s%s\n", commands[i].name, commands[i].help);
    }
    (void)printf("\nvitrine --version says which one this is.\n");
    return EXIT_STATUS_OK;
}

static int unknown_command(const char *typed)
{
    struct error err = {0};
    struct nearest n;
    nearest_init(&n, typed);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        nearest_offer(&n, commands[i].name);
    }
    const char *near = nearest_result(&n);
    (void)error_set(&err, EXIT_STATUS_USAGE, "unknown command %s%s%s%s", typed,
                    near != NULL ? "; did you mean " : "; vitrine --help lists them", near != NULL ? near : "",
                    near != NULL ? "?" : "");
    return cli_fail(&err);
}

static int run_command(int argc, char **argv)
{
    static const char *const helps[] = {"--help", "-h", "-help", "help"};
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    if (strncmp(name, "qemu-system-", 12) == 0) {
        return cli_run(argc - 1, argv + 1, true);
    }
    if (argc < 2) {
        struct error err = {0};
        (void)error_set(&err, EXIT_STATUS_USAGE, "which command? vitrine --help lists them");
        return cli_fail(&err);
    }
    for (unsigned i = 0; i < ARRAY_LEN(helps); i++) {
        if (strcmp(argv[1], helps[i]) == 0) {
            return help();
        }
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-version") == 0) {
        cli_print_version(false);
        return EXIT_STATUS_OK;
    }
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    return unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc < 1) {
        return EXIT_STATUS_USAGE;
    }
    if (!options_environment(&err)) {
        return cli_fail(&err);
    }
    return run_command(argc, argv);
}
