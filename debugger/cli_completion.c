/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine completion bash|zsh|fish: what a shell needs to complete our command line, from the tables of commands and
 * options. vitrine completion man COMMAND: its man page, from the same. */
#include "debugger/cli.h"

#include <stdio.h>
#include <string.h>

static const char *const own[] = {"-x", "-ex", "-batch", "-nx", "--dap", "--commands"};

/* What may stand behind a command. */
static const struct {
    const char *command, *words;
} second[] = {{"stack", "list show run"},
              {"cpu", "list features"},
              {"completion", "bash zsh fish man"},
              {"trace", ""
#define TRACE_COMMAND(name, ...) name " "
#define TRACE_OPTION(...)
#include "debugger/trace_command.def"
#undef TRACE_COMMAND
#undef TRACE_OPTION
              }};

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
                       "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n        case $command in\n");
    for (unsigned i = 0; i < ARRAY_LEN(second); i++) {
        (void)fprintf(out, "        %s) mapfile -t COMPREPLY < <(compgen -W \"%s\" -- \"$cur\"); return ;;\n",
                      second[i].command, second[i].words);
    }
    (void)fprintf(out, "        esac\n    fi\n    local options=\"");
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
    (void)fprintf(out, "        )\n        _describe command commands\n        return\n    fi\n"
                       "    if (( CURRENT == 3 )); then\n        case $words[2] in\n");
    for (unsigned i = 0; i < ARRAY_LEN(second); i++) {
        (void)fprintf(out, "        %s) compadd %s; return ;;\n", second[i].command, second[i].words);
    }
    (void)fprintf(out, "        esac\n    fi\n    shift words\n"
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
    for (unsigned i = 0; i < ARRAY_LEN(second); i++) {
        (void)fprintf(out, "complete -c vitrine -n '__fish_seen_subcommand_from %s' -f -a '%s'\n", second[i].command,
                      second[i].words);
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

/* A page for one command. [mdoc(7)] */
static bool put_man(FILE *out, const char *command)
{
    const char *name, *help, *arg;
    char asked[] = "--help", *argv[] = {asked, NULL};
    unsigned n = 0;
    while (cli_command(n, &name, &help) && strcmp(name, command) != 0) {
        n++;
    }
    if (!cli_command(n, &name, &help)) {
        return false;
    }
    (void)fprintf(out, ".\\\" SPDX-License-Identifier: GPL-3.0-or-later\n.\\\" Made by `vitrine completion man %s`.\n"
                       ".Dd November 21, 2026\n.Dt VITRINE-%s 1\n.Os\n.Sh NAME\n.Nm vitrine-%s\n.Nd %.*s\n", name, name, name,
                  (int)strcspn(help, "("), help);
    (void)fprintf(out, ".Sh SYNOPSIS\n.Nm vitrine\n.Cm %s\n.Op Ar arguments\n.Sh DESCRIPTION\n", name);
    if (strcmp(name, "run") == 0) {
        (void)fprintf(out, "Boot a machine. Options are spelled as QEMU spells them, with one dash or two.\n.Bl -tag -width indent\n");
        for (unsigned i = 0; options_row(i, &name, &arg, &help); i++) {
            if (help != NULL) {
                (void)fprintf(out, ".It Fl -%.*s%s", (int)strcspn(name, "|"), name, arg != NULL ? " Ar \"" : "");
                for (const char *p = arg != NULL ? arg : ""; *p != '\0'; p++) { /* a line may break before these */
                    (void)fprintf(out, strchr("[,|", *p) != NULL ? "\\:%c" : "%c", *p);
                }
                (void)fprintf(out, "%s\n\\&%s.\n", arg != NULL ? "\"" : "", help);
            }
        }
        (void)fprintf(out, ".El\n");
    } else {
        (void)fprintf(out, ".Bd -literal\n");
        (void)fflush(out);
        (void)cli_command_run(name, 1, argv); /* its help, word for word */
        (void)fprintf(out, ".Ed\n");
    }
    (void)fprintf(out, ".Sh SEE ALSO\n.Xr vitrine 1 ,\n.Xr vitrine-debug 1\n");
    return true;
}

int cli_completion(int argc, char **argv)
{
    struct error err = {0};
    const char *shell = argc == 1 ? argv[0] : "";
    if (argc == 2 && strcmp(argv[0], "man") == 0) {
        if (!put_man(stdout, argv[1])) {
            (void)error_set(&err, EXIT_STATUS_USAGE, "%s: no such command; vitrine --help lists them", argv[1]);
            return cli_fail(&err);
        }
    } else if (argc == 1 && (strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0)) {
        (void)printf("usage: vitrine completion bash|zsh|fish   what this shell needs to complete the command line\n"
                     "       vitrine completion man COMMAND    a command's man page\n");
    } else if (strcmp(shell, "bash") == 0) {
        put_bash(stdout);
    } else if (strcmp(shell, "zsh") == 0) {
        put_zsh(stdout);
    } else if (strcmp(shell, "fish") == 0) {
        put_fish(stdout);
    } else {
        (void)error_set(&err, EXIT_STATUS_USAGE, "completion for which shell? vitrine completion bash, zsh or fish; or man COMMAND");
        return cli_fail(&err);
    }
    return EXIT_STATUS_OK;
}
