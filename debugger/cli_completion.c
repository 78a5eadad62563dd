/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine completion bash|zsh|fish: what a shell needs to complete our command line, from the tables of commands and
 * options. */
#include "debugger/cli.h"

#include <stdio.h>
#include <string.h>

static const char *const own[] = {"-x", "-ex", "-batch", "-nx", "--dap", "--commands"};

static void put_options(FILE *out, const char *before, const char *after)
{
    const char *names, *arg, *help;
    for (unsigned i = 0; options_row(i, &names, &arg, &help); i++) {
        size_t n = strcspn(names, "|");
        if (help != NULL) {
            (void)fprintf(out, "%s--%.*s%s", before, (int)n, names, after);
        }
    }
}

static void put_commands(FILE *out)
{
    const char *name, *help;
    for (unsigned i = 0; cli_command(i, &name, &help); i++) {
        (void)fprintf(out, "%s ", name);
    }
}

static void put_bash(FILE *out)
{
    (void)fprintf(out, "# bash completion of vitrine; made by `vitrine completion bash`\n"
                       "_vitrine() {\n"
                       "    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
                       "    COMPREPLY=()\n"
                       "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                       "        mapfile -t COMPREPLY < <(compgen -W \"");
    put_commands(out);
    (void)fprintf(out, "--help --version\" -- \"$cur\")\n        return\n    fi\n"
                       "    local options=\"");
    put_options(out, "", " ");
    (void)fprintf(out, "\"\n    if [ \"$command\" = debug ] || [ \"$command\" = replay ]; then\n        options=\"$options");
    for (unsigned i = 0; i < ARRAY_LEN(own); i++) {
        (void)fprintf(out, " %s", own[i]);
    }
    (void)fprintf(out, "\"\n    fi\n    if [ \"$command\" = replay ]; then\n        options=\"--debug --file --quiet --record --hash --log $options\"\n    fi\n"
                       "    case $cur in\n"
                       "    -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\") ;;\n"
                       "    *) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
                       "    esac\n}\ncomplete -o filenames -F _vitrine vitrine\n");
}

/* Text between single quotes for zsh and fish. */
static void put_text(FILE *out, const char *text, bool zsh)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs(zsh ? "'\\''" : "\\'", out);
        } else if (zsh && strchr("[]:", *text) != NULL) {
            (void)fprintf(out, "\\%c", *text);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void put_zsh(FILE *out)
{
    const char *name, *help, *arg;
    (void)fprintf(out, "#compdef vitrine\n# made by `vitrine completion zsh`\n_vitrine() {\n"
                       "    if (( CURRENT == 2 )); then\n        local -a commands=(\n");
    for (unsigned i = 0; cli_command(i, &name, &help); i++) {
        (void)fprintf(out, "            '%s:", name);
        put_text(out, help, true);
        (void)fprintf(out, "'\n");
    }
    (void)fprintf(out, "        )\n        _describe command commands\n        return\n    fi\n    shift words\n"
                       "    (( CURRENT-- ))\n    _arguments \\\n");
    for (unsigned i = 0; options_row(i, &name, &arg, &help); i++) {
        if (help == NULL) {
            continue;
        }
        (void)fprintf(out, "        '*--%.*s[", (int)strcspn(name, "|"), name);
        put_text(out, help, true);
        (void)fprintf(out, arg != NULL ? "]: :_files' \\\n" : "]' \\\n");
    }
    (void)fprintf(out, "        '*-x[commands of the debugger]: :_files' '*-ex[a command of the debugger]: :' \\\n"
                       "        '-batch[leave after them]' '--debug[replay under the debugger]' '*:file:_files'\n}\n"
                       "_vitrine \"$@\"\n");
}

static void put_fish(FILE *out)
{
    const char *name, *help, *arg;
    (void)fprintf(out, "# fish completion of vitrine; made by `vitrine completion fish`\n");
    for (unsigned i = 0; cli_command(i, &name, &help); i++) {
        (void)fprintf(out, "complete -c vitrine -n __fish_use_subcommand -f -a %s -d '", name);
        put_text(out, help, false);
        (void)fprintf(out, "'\n");
    }
    for (unsigned i = 0; options_row(i, &name, &arg, &help); i++) {
        if (help == NULL) {
            continue;
        }
        (void)fprintf(out, "complete -c vitrine -n '__fish_seen_subcommand_from run debug replay' -l %.*s%s -d '",
                      (int)strcspn(name, "|"), name, arg != NULL ? " -r" : "");
        put_text(out, help, false);
        (void)fprintf(out, "'\n");
    }
    (void)fprintf(out, "complete -c vitrine -n '__fish_seen_subcommand_from replay' -l debug -d 'under the debugger'\n"
                       "complete -c vitrine -n '__fish_seen_subcommand_from debug replay' -o x -r -d 'commands of the "
                       "debugger'\n"
                       "complete -c vitrine -n '__fish_seen_subcommand_from debug replay' -o ex -x -d 'a command of the "
                       "debugger'\n"
                       "complete -c vitrine -n '__fish_seen_subcommand_from debug replay' -o batch -d 'leave after them'\n");
}

int cli_completion(int argc, char **argv)
{
    struct error err = {0};
    const char *shell = argc == 1 ? argv[0] : "";
    if (strcmp(shell, "bash") == 0) {
        put_bash(stdout);
    } else if (strcmp(shell, "zsh") == 0) {
        put_zsh(stdout);
    } else if (strcmp(shell, "fish") == 0) {
        put_fish(stdout);
    } else {
        (void)error_set(&err, EXIT_STATUS_USAGE, "completion for which shell? vitrine completion bash, zsh or fish");
        return cli_fail(&err);
    }
    return EXIT_STATUS_OK;
}
