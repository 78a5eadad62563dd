/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines become commands: words, abbreviations, command files, the session from start to end. */
#include "debugger/shell/shell_priv.h"

#include "base/assert.h"
#include "base/nearest.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_DEPTH 8

const struct command shell_commands[] = {
#define COMMAND(name, aliases, group, args, run, complete, flags, help, more)                      \
    {name, aliases, group, args, run, COMPLETE_##complete, flags, help, more},
#include "debugger/shell/command.def"
#undef COMMAND
};
const unsigned shell_command_count = ARRAY_LEN(shell_commands);

/* ---- What is said ---- */

void say(struct shell *s, const char *format, ...)
{
    va_list args;
    if (!shell_page(s)) {
        return;
    }
    va_start(args, format);
    (void)vfprintf(s->out, format, args);
    va_end(args);
}

void refuse(struct shell *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    s->failed = true;
    (void)vfprintf(s->out, format, args);
    va_end(args);
    (void)fputc('\n', s->out);
}

void refuse_error(struct shell *s, struct error *err)
{
    refuse(s, "%s", err->text);
    *err = (struct error){0};
}

const char *shade(const struct shell *s, enum shade which)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[36m", "\033[33m", "\033[2m"};
    return s->colour ? codes[which] : "";
}

/* ---- Words ---- */

bool next_word(const char **args, char *word, size_t room)
{
    const char *p = *args + strspn(*args, " \t");
    size_t n = 0;
    char quote = *p == '"' || *p == '\'' ? *p : '\0';
    if (*p == '\0') {
        *args = p;
        return false;
    }
    if (quote != '\0') {
        p++;
    }
    while (*p != '\0' && (quote != '\0' ? *p != quote : *p != ' ' && *p != '\t')) {
        if (n + 1 < room) {
            word[n++] = *p;
        }
        p++;
    }
    word[n] = '\0';
    if (quote != '\0' && *p == quote) {
        p++;
    }
    *args = p + strspn(p, " \t");
    return true;
}

static bool has_alias(const struct command *c, const char *word, size_t len)
{
    for (const char *p = c->aliases; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == len && strncmp(p, word, n) == 0) {
            return true;
        }
        p += n + (p[n] == ' ' ? 1 : 0);
    }
    return false;
}

static bool ambiguous(const char *word, size_t len, struct error *err)
{
    char list[256] = "";
    for (unsigned i = 0; i < shell_command_count; i++) {
        if (strncmp(shell_commands[i].name, word, len) == 0 && strlen(list) + 40 < sizeof list) {
            (void)snprintf(list + strlen(list), sizeof list - strlen(list), " %s", shell_commands[i].name);
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "%.*s may be:%s", (int)len, word, list);
}

const struct command *shell_find(const char *word, size_t len, struct error *err)
{
    const struct command *begun = NULL;
    unsigned many = 0;
    for (unsigned i = 0; i < shell_command_count; i++) {
        const struct command *c = &shell_commands[i];
        if ((strlen(c->name) == len && strncmp(c->name, word, len) == 0) || has_alias(c, word, len)) {
            return c;
        }
        if (strncmp(c->name, word, len) == 0) {
            begun = c;
            many++;
        }
    }
    if (many == 1) {
        return begun;
    }
    if (many > 1) {
        (void)ambiguous(word, len, err);
        return NULL;
    }
    struct nearest n;
    char typed[64];
    (void)snprintf(typed, sizeof typed, "%.*s", (int)len, word);
    nearest_init(&n, typed);
    for (unsigned i = 0; i < shell_command_count; i++) {
        nearest_offer(&n, shell_commands[i].name);
    }
    const char *near = nearest_result(&n);
    (void)error_set(err, EXIT_STATUS_USAGE, "unknown command %s%s%s%s", typed,
                    near != NULL ? "; did you mean " : "; `help` lists them", near != NULL ? near : "",
                    near != NULL ? "?" : "");
    return NULL;
}

/* ---- Lines ---- */

const struct shell_alias shell_aliases[] = {
#define ALIAS(word, line, whose) {word, line, whose},
#include "debugger/shell/alias.def"
#undef ALIAS
};
const unsigned shell_alias_count = ARRAY_LEN(shell_aliases);

static const struct shell_alias *find_alias(const char *word, size_t len)
{
    for (unsigned i = 0; i < shell_alias_count; i++) {
        if (strlen(shell_aliases[i].word) == len && strncmp(shell_aliases[i].word, word, len) == 0) {
            return &shell_aliases[i];
        }
    }
    return NULL;
}

static bool may_run(struct shell *s, const struct command *c)
{
    if ((c->flags & COMMAND_WRITES) != 0 && !s->may_write) {
        refuse(s, "%s: what is recorded cannot be changed", c->name);
        return false;
    }
    if ((c->flags & COMMAND_RUNS) != 0 && s->nested) {
        refuse(s, "%s: GDB makes the machine run here; use its own command", c->name);
        return false;
    }
    if ((c->flags & COMMAND_RUNS) != 0 && s->ended) {
        refuse(s, "the machine has come to its end (%s); reverse-continue and goto go back, quit leaves",
               stop_reason_name(s->result.reason));
        return false;
    }
    return true;
}

void shell_line(struct shell *s, const char *line)
{
    struct error err = {0};
    const char *p = line + strspn(line, " \t");
    s->failed = false;
    s->page_lines = 0;
    if (*p == '\0' || *p == '#') {
        return;
    }
    /* A command's name has letters, dashes and underscores; "x/8i" and "p/x" have their format behind it. */
    size_t len = strcspn(p, " \t/");
    if (*p == '?') {
        len = p[1] == '\0' || p[1] == ' ' ? 1 : len;
    }
    const struct shell_alias *alias = find_alias(p, len);
    char longer[1024];
    if (alias != NULL) {
        (void)snprintf(longer, sizeof longer, "%s%s%.900s", alias->line, p[len] != '\0' ? " " : "", p + len);
        p = longer;
        len = strcspn(p, " \t/");
    }
    const struct command *c = shell_find(p, len, &err);
    if (c == NULL) {
        refuse_error(s, &err);
        return;
    }
    p += len;
    p += strspn(p, " \t");
    char args[1024];
    (void)snprintf(args, sizeof args, "%s", p);
    for (size_t n = strlen(args); n > 0 && isspace((unsigned char)args[n - 1]); n--) {
        args[n - 1] = '\0';
    }
    if (may_run(s, c)) {
        c->run(s, args);
    }
}

bool shell_file(struct shell *s, const char *path, bool must_exist)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (f == NULL) {
        if (must_exist) {
            refuse(s, "%s: cannot be read", path);
        }
        return !must_exist;
    }
    if (s->depth >= FILE_DEPTH) {
        (void)fclose(f);
        refuse(s, "%s: command files call each other too deeply", path);
        return false;
    }
    s->depth++;
    unsigned number = 0;
    bool ok = true;
    while (ok && !s->quit && getline(&line, &room, f) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        number++;
        shell_line(s, line);
        if (s->failed) {
            refuse(s, "%s:%u: the file ends here", path, number);
            ok = false;
        }
    }
    s->depth--;
    free(line);
    (void)fclose(f);
    return ok;
}

/* ---- Beginning and end ---- */

struct shell *shell_new(struct machine *m, bool may_write)
{
    struct shell *s = calloc(1, sizeof *s);
    sim_assert(s != NULL);
    s->m = m;
    s->out = stdout;
    s->may_write = may_write;
    s->next_point = 1;
    s->symbols = symbols_new();
    points_init(s);
    return s;
}

void shell_free(struct shell *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < SHELL_POINTS; i++) {
        free(s->points[i].condition);
        free(s->points[i].commands);
        free(s->points[i].stop);
    }
    symbols_free(s->symbols);
    history_free(s->history);
    free(s);
}

u64 shell_position(const struct shell *s)
{
    return clock_position(&s->m->clock).n;
}

bool shell_execute(struct shell *s, const char *line, FILE *out, unsigned cpu)
{
    FILE *was = s->out;
    s->out = out;
    s->cpu = cpu;
    s->nested = true;
    shell_line(s, line);
    s->nested = false;
    s->out = was;
    return !s->failed;
}

static void run_given(struct shell *s, const struct shell_options *o)
{
    const char *home = getenv("HOME");
    char path[512];
    if (!o->no_rc && home != NULL && (size_t)snprintf(path, sizeof path, "%s/.vitrinerc", home) < sizeof path) {
        (void)shell_file(s, path, false);
    }
    for (unsigned i = 0; i < o->file_count && !s->quit; i++) {
        (void)shell_file(s, o->files[i], true);
    }
    for (unsigned i = 0; i < o->command_count && !s->quit; i++) {
        shell_line(s, o->commands[i]);
        if (s->failed && o->batch) {
            break;
        }
    }
}

static void prompt_loop(struct shell *s)
{
    char last[1024] = "";
    while (!s->quit) {
        char *line = shell_read_line(s, "(vitrine) ");
        if (line == NULL) {
            return;
        }
        if (line[strspn(line, " \t")] == '\0') {
            shell_line(s, last);
        } else {
            struct error err = {0};
            const char *p = line + strspn(line, " \t");
            const struct command *c = shell_find(p, strcspn(p, " \t/"), &err);
            bool again = c != NULL && (c->flags & COMMAND_REPEATS) != 0;
            (void)snprintf(last, sizeof last, "%s", again ? p : "");
            shell_line(s, line);
        }
        (void)fflush(s->out);
        free(line);
    }
}

struct run_result shell_run(struct shell *s, const struct shell_options *o)
{
    s->may_write = o->may_write;
    s->cpu = stops_next_cpu(s->m);
    shell_input_open(s);
    if (s->terminal && !o->batch) {
        say(s, "vitrine's debugger; `help` lists the commands. The machine stands before its first instruction.\n");
    }
    run_given(s, o);
    (void)fflush(s->out);
    if (!o->batch) {
        prompt_loop(s);
    }
    shell_input_close(s);
    struct run_result r = s->ended ? s->result : (struct run_result){.reason = STOP_QUIT};
    /* A recording ends where the machine has been. */
    if (s->m->trace.fd >= 0 && travel_is_in_past(s->m)) {
        (void)travel_to(s->m, travel_figures(s->m).front);
    }
    return r;
}
