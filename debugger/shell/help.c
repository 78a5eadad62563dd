/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help, the small commands of the shell itself, and documents: all from the table of commands. */
#include "debugger/shell/shell_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *title;
} groups[] = {{"run", "Running"},
              {"back", "Back in time"},
              {"stop", "Points to stop at"},
              {"look", "Looking"},
              {"virt", "Guests and hypervisors"},
              {"board", "Board and processors"},
              {"shell", "The shell"}};

static void help_one(struct shell *s, const struct command *c)
{
    say(s, "%s%s%s%s%s\n  %s.\n", shade(s, SHADE_HEAD), c->name, shade(s, SHADE_NONE), c->args[0] != '\0' ? " " : "",
        c->args, c->help);
    if (c->more[0] != '\0') {
        char line[1024];
        for (const char *p = c->more; *p != '\0';) {
            size_t n = strcspn(p, "\n");
            (void)snprintf(line, sizeof line, "%.*s", (int)n, p);
            say(s, "  %s\n", line);
            p += n + (p[n] == '\n' ? 1 : 0);
        }
    }
    if (c->aliases[0] != '\0') {
        say(s, "  Also: %s\n", c->aliases);
    }
}

void cmd_help(struct shell *s, const char *args)
{
    if (args[0] != '\0') {
        struct error err = {0};
        const struct command *c = shell_find(args, strlen(args), &err);
        if (c == NULL) {
            refuse_error(s, &err);
        } else {
            help_one(s, c);
        }
        return;
    }
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        say(s, "%s%s%s\n", shade(s, SHADE_HEAD), groups[g].title, shade(s, SHADE_NONE));
        for (unsigned i = 0; i < shell_command_count; i++) {
            if (strcmp(shell_commands[i].group, groups[g].name) == 0) {
                say(s, "  %-17s %s\n", shell_commands[i].name, shell_commands[i].help);
            }
        }
    }
    say(s, "%sOther debuggers' words%s\n", shade(s, SHADE_HEAD), shade(s, SHADE_NONE));
    for (unsigned i = 0; i < shell_alias_count; i++) {
        say(s, "  %-17s %s\n", shell_aliases[i].word, shell_aliases[i].line);
    }
    say(s, "`help COMMAND` tells more; commands may be cut short as long as they are clear.\n");
}

void cmd_quit(struct shell *s, const char *args)
{
    UNUSED(args);
    if (s->nested) {
        refuse(s, "GDB's `kill` ends the machine, `detach` lets it go");
        return;
    }
    s->quit = true;
}

void cmd_echo(struct shell *s, const char *args)
{
    say(s, "%s\n", args);
}

void cmd_source(struct shell *s, const char *args)
{
    if (args[0] == '\0') {
        refuse(s, "which file?");
        return;
    }
    (void)shell_file(s, args, true);
}

void cmd_hash(struct shell *s, const char *args)
{
    UNUSED(args);
    say(s, "position %" PRIu64 " time %" PRIu64 " ns hash %016" PRIx64 "\n", shell_position(s),
        clock_now(&s->m->clock).ns, machine_hash(s->m));
}

/* C's escapes, in place; returns the length. */
static size_t unescape(char *text)
{
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '\\' || p[1] == '\0') {
            text[n++] = *p;
            continue;
        }
        p++;
        text[n++] = *p == 'n' ? '\r' : *p == 't' ? '\t' : *p == 'e' ? '\033' : *p;
    }
    text[n] = '\0';
    return n;
}

void cmd_type(struct shell *s, const char *args)
{
    char text[512], word[32];
    u64 number = 0;
    const char *rest = args;
    if (next_word(&rest, word, sizeof word) && strcmp(word, "console") == 0 && next_word(&rest, word, sizeof word)) {
        if (!expr_all(s, word, &number)) {
            return;
        }
        args = rest;
    }
    if (number >= s->m->console_count) {
        refuse(s, "there is no console %" PRIu64, number);
        return;
    }
    if (travel_is_in_past(s->m)) {
        refuse(s, "type: this is the past; `goto end` first");
        return;
    }
    (void)snprintf(text, sizeof text, "%s", args);
    size_t n = unescape(text);
    gate_offer(&s->m->gate, (enum gate_source)(GATE_CONSOLE0 + number), text, (u32)n);
}

static void list_checkpoints(struct shell *s)
{
    for (unsigned i = 0; i < s->checkpoint_count; i++) {
        say(s, "#%u position %" PRIu64 "\n", i + 1, s->checkpoints[i]);
    }
    if (s->checkpoint_count == 0) {
        say(s, "None yet; `checkpoint` makes one.\n");
    }
}

void cmd_info(struct shell *s, const char *args)
{
    static const struct {
        const char *word, *line;
    } rows[] = {{"registers", "regs"},   {"all-registers", "regs all"}, {"cpus", "cpu"},   {"threads", "cpu"},
                {"mem", "pages"},        {"tlb", "pages"},              {"tab", "pages"},  {"mtree", "memory"},
                {"lapic", "apic"},       {"irq", "ioapic"},             {"pic", "pic"},    {"pci", "pci"},
                {"qtree", "devices"},    {"replay", "when"},            {"status", "stop"}, {"symbols", "symbols"},
                {"locals", "locals"},    {"args", "locals"},
                {"frame", "frame"},      {"creg", "regs system"}, {"sreg", "regs system"},       {"fpu", "regs vector"},
                {"vector", "regs vector"}};
    char word[32];
    const char *rest = args;
    if (!next_word(&rest, word, sizeof word)) {
        refuse(s, "info about what? `help info` tells");
        return;
    }
    if (strcmp(word, "checkpoints") == 0) {
        list_checkpoints(s);
        return;
    }
    if (strncmp(word, "break", strlen(word) < 5 ? strlen(word) : 5) == 0 || strncmp(word, "watch", 5) == 0 ||
        strcmp(word, "points") == 0) {
        show_points(s);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].word, word) == 0) {
            char line[512];
            (void)snprintf(line, sizeof line, "%s %.400s", rows[i].line, rest);
            shell_line(s, line);
            return;
        }
    }
    shell_line(s, args);
}

/* ---- Documents ---- */

static void put_markdown(FILE *out)
{
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        (void)fprintf(out, "\n### %s\n\n| command | also | what |\n| --- | --- | --- |\n", groups[g].title);
        for (unsigned i = 0; i < shell_command_count; i++) {
            const struct command *c = &shell_commands[i];
            if (strcmp(c->group, groups[g].name) != 0) {
                continue;
            }
            (void)fprintf(out, "| `%s%s", c->name, c->args[0] != '\0' ? " " : "");
            for (const char *p = c->args; *p != '\0'; p++) {
                (void)fprintf(out, *p == '|' ? "\\|" : "%c", *p);
            }
            (void)fprintf(out, "` | %s | %s |\n", c->aliases, c->help);
        }
    }
    (void)fprintf(out, "\n### Other debuggers' words\n\n| word | stands for |\n| --- | --- |\n");
    for (unsigned i = 0; i < shell_alias_count; i++) {
        (void)fprintf(out, "| `%s` | `%s` |\n", shell_aliases[i].word, shell_aliases[i].line);
    }
}

static void put_roff(FILE *out, const char *text)
{
    bool begin = true;
    for (const char *p = text; *p != '\0'; p++) {
        if (begin && (*p == '.' || *p == '\'')) {
            (void)fputs("\\&", out);
        }
        if (*p == '\\' || *p == '-') {
            (void)fputs(*p == '\\' ? "\\e" : "\\-", out);
        } else if (*p == '|' && p > text && p[-1] != ' ') {
            (void)fputs(" | ", out); /* where a line may break */
        } else {
            (void)fputc(*p, out);
        }
        begin = *p == '\n';
    }
}

static void put_mdoc(FILE *out)
{
    (void)fprintf(out, ".\\\" SPDX-License-Identifier: GPL-3.0-or-later\n.\\\" Made by `vitrine debug --commands=man` from "
                       "debugger/shell/command.def.\n.Dd November 21, 2026\n.Dt VITRINE-DEBUG 1\n.Os\n.Sh NAME\n"
                       ".Nm vitrine-debug\n.Nd commands of the debugger of\n.Xr vitrine 1\n.Sh SYNOPSIS\n"
                       ".Nm vitrine\n.Cm debug\n.Op Ar option ...\n.Nm vitrine\n.Cm replay\n.Ar recording\n"
                       ".Fl -debug\n.Sh DESCRIPTION\nThe machine stands before its first instruction.\n"
                       "Commands may be cut short as long as they are clear; an empty line repeats the last step.\n"
                       "Looking and stopping never change what the guest sees.\n");
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        (void)fprintf(out, ".Ss %s\n.Bl -tag -width indent\n", groups[g].title);
        for (unsigned i = 0; i < shell_command_count; i++) {
            const struct command *c = &shell_commands[i];
            if (strcmp(c->group, groups[g].name) != 0) {
                continue;
            }
            (void)fprintf(out, ".It Sy \"%s\"%s", c->name, c->args[0] != '\0' ? " Ar \"" : "");
            put_roff(out, c->args);
            (void)fprintf(out, "%s\n", c->args[0] != '\0' ? "\"" : "");
            put_roff(out, c->help);
            (void)fprintf(out, ".\n");
            if (c->more[0] != '\0') {
                bool lines = strchr(c->more, '\n') != NULL;
                (void)fprintf(out, "%s", lines ? ".Bd -literal\n" : "");
                put_roff(out, c->more);
                (void)fprintf(out, "\n%s", lines ? ".Ed\n" : "");
            }
            if (c->aliases[0] != '\0') {
                (void)fprintf(out, "Also:\n");
                put_roff(out, c->aliases);
                (void)fprintf(out, ".\n");
            }
        }
        (void)fprintf(out, ".El\n");
    }
    (void)fprintf(out, ".Ss Other debuggers' words\n.Bl -tag -width indent\n");
    for (unsigned i = 0; i < shell_alias_count; i++) {
        (void)fprintf(out, ".It Sy \"");
        put_roff(out, shell_aliases[i].word);
        (void)fprintf(out, "\"\n");
        put_roff(out, shell_aliases[i].line);
        (void)fprintf(out, "\n");
    }
    (void)fprintf(out, ".El\n.Sh FILES\n.Bl -tag -width indent\n.It Pa ~/.vitrinerc\nCommands done first.\n"
                       ".It Pa ~/.vitrine_history\nWhat was typed.\n.El\n.Sh SEE ALSO\n.Xr vitrine 1\n");
}

bool shell_document(const char *kind, FILE *out)
{
    if (strcmp(kind, "markdown") == 0) {
        put_markdown(out);
    } else if (strcmp(kind, "man") == 0) {
        put_mdoc(out);
    } else {
        return false;
    }
    return true;
}
