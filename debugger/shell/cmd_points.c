/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Watchpoints, and the commands that look after points of all kinds. */
#include "debugger/shell/points.h"

#include <stdlib.h>
#include <string.h>

static void trim(char *text)
{
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) {
        text[n - 1] = '\0';
    }
}

/* "level L1" or "guest 2" at the end: cut off. */
static bool cut_whose(char *text, const char *word, const char *what, char *room, size_t size)
{
    char *last = strrchr(text, ' ');
    size_t n = strlen(word);
    if (last == NULL || (size_t)(last - text) < n || strncmp(last - n, word, n) != 0 ||
        ((size_t)(last - text) > n && last[-(ptrdiff_t)n - 1] != ' ')) {
        return false;
    }
    const char *number = last + 1 + ((last[1] | 0x20) == 'l' ? 1 : 0);
    char *end;
    unsigned long value = strtoul(number, &end, 10);
    if (end == number || *end != '\0') {
        return false;
    }
    (void)snprintf(room, size, "$%s == %lu", what, value);
    last[-(ptrdiff_t)n] = '\0';
    trim(text);
    return true;
}

const char *point_cut_condition(char *text, char room[CONDITION_ROOM])
{
    char *p = text;
    char whose[48] = "";
    const char *given = NULL;
    while ((p = strstr(p, "if")) != NULL) {
        bool begins = p == text || p[-1] == ' ';
        if (begins && (p[2] == ' ' || p[2] == '(')) {
            given = p + 2 + strspn(p + 2, " ");
            *p = '\0';
            break;
        }
        p += 2;
    }
    trim(text);
    if (!cut_whose(text, "level", "level", whose, sizeof whose)) {
        (void)cut_whose(text, "guest", "partition", whose, sizeof whose);
    }
    if (whose[0] == '\0' && given == NULL) {
        return NULL;
    }
    (void)snprintf(room, CONDITION_ROOM, given == NULL ? "%s" : whose[0] != '\0' ? "%s && (%s)" : "%s%s", whose, given);
    return room;
}

void point_add_stop(struct shell_point *p, enum stop_point_kind kind, u64 at, u64 size)
{
    struct stop_point *grown = realloc(p->stop, (p->stop_count + 1) * sizeof *grown);
    if (grown == NULL) {
        abort();
    }
    p->stop = grown;
    p->stop[p->stop_count++] = (struct stop_point){.kind = kind, .at = at, .size = size};
}

/* A condition of the user's beside one that follows from what was asked for. */
void point_set_condition(struct shell_point *p, const char *own, const char *given)
{
    free(p->condition);
    p->condition = NULL;
    size_t n = strlen(own) + (given != NULL ? strlen(given) : 0) + 16;
    if (own[0] == '\0' && (given == NULL || given[0] == '\0')) {
        return;
    }
    p->condition = malloc(n);
    if (p->condition == NULL) {
        abort();
    }
    (void)snprintf(p->condition, n, "%s%s%s%s", own, own[0] != '\0' && given != NULL ? " && (" : "",
                   given != NULL ? given : "", own[0] != '\0' && given != NULL ? ")" : "");
}

void point_arm_and_say(struct shell *s, struct shell_point *p)
{
    unsigned number = p->number;
    if (point_arm(s, p)) {
        s->next_point++;
        say(s, "Point %u: %s\n", number, p->what);
    }
}

/* ---- watch ---- */

static void do_watch(struct shell *s, const char *args, enum stop_point_kind kind)
{
    char text[512], what[160], word[16], room[CONDITION_ROOM];
    const char *rest;
    struct error err = {0};
    u64 at, size = 0;
    char space = 'v';
    (void)snprintf(text, sizeof text, "%s", args);
    (void)snprintf(what, sizeof what, "%s %.140s", kind == POINT_READ ? "rwatch" : kind == POINT_ACCESS ? "awatch" : "watch",
                   args);
    const char *condition = point_cut_condition(text, room);
    rest = text;
    for (;;) { /* options, and Bochs's r and w */
        const char *p = rest;
        if (!next_word(&p, word, sizeof word)) {
            break;
        }
        if (strcmp(word, "-p") == 0 || strcmp(word, "-g") == 0 || strcmp(word, "-v") == 0) {
            space = word[1];
        } else if (strcmp(word, "r") == 0 || strcmp(word, "w") == 0 || strcmp(word, "rw") == 0 || strcmp(word, "x") == 0) {
            kind = strcmp(word, "r") == 0    ? POINT_READ
                   : strcmp(word, "rw") == 0 ? POINT_ACCESS
                   : word[0] == 'x'          ? (space == 'p' ? POINT_CODE_PHYSICAL : POINT_CODE)
                                             : POINT_WRITE;
        } else {
            break;
        }
        rest = p;
    }
    /* "*(u32 *)a" watches 4 bytes at a, as GDB does. */
    if (rest[0] == '*') {
        const char *types[] = {"u8", "u16", "u32", "u64", "char", "short", "int", "long"};
        rest += 1 + strspn(rest + 1, " ");
        for (unsigned i = 0; rest[0] == '(' && i < ARRAY_LEN(types); i++) {
            size_t n = strlen(types[i]);
            if (strncmp(rest + 1, types[i], n) == 0 && (rest[n + 1] == '*' || rest[n + 1] == ' ')) {
                size = (u64)1 << (i % 4);
            }
        }
        size = size == 0 ? 8 : size;
    }
    if (rest[0] == '\0') {
        refuse(s, "watch what? an address, and how many bytes: watch [-p|-g] [r|w|rw|x] ADDRESS [BYTES]");
        return;
    }
    u64 typed = 0;
    if (size != 0 ? !expr_eval(s, &rest, &at, &err) : !expr_address(s, &rest, &at, &typed, &err)) {
        refuse_error(s, &err);
        return;
    }
    size = typed != 0 ? typed : size;
    if (*rest != '\0' && !expr_all(s, rest, &size)) {
        return;
    }
    size = size == 0 ? 8 : size;
    spa_t spa = SPA(at);
    bool code = kind == POINT_CODE || kind == POINT_CODE_PHYSICAL;
    if ((space == 'v' && !code && !stops_translate(s->m, s->cpu, at, &spa)) ||
        (space == 'g' && !memory_guest_to_machine(s, at, &spa.v))) {
        refuse(s, "%#" PRIx64 " is not mapped now; watch -p takes a physical address", at);
        return;
    }
    struct shell_point *p = point_new(s, what);
    if (p == NULL) {
        return;
    }
    u64 left = PAGE_SIZE - (spa.v & PAGE_MASK);
    point_add_stop(p, kind, code ? at : spa.v, code ? 0 : size < left ? size : left);
    point_set_condition(p, "", condition);
    point_arm_and_say(s, p);
}

void cmd_watch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_WRITE);
}

void cmd_rwatch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_READ);
}

void cmd_awatch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_ACCESS);
}

/* ---- Looking after them ---- */

static bool take_number(struct shell *s, const char **args, unsigned *number)
{
    char word[16], *end;
    if (!next_word(args, word, sizeof word)) {
        refuse(s, "which point? `info breakpoints` lists them");
        return false;
    }
    unsigned long v = strtoul(word, &end, 10);
    *number = (unsigned)v;
    if (*end != '\0' || v == 0) {
        refuse(s, "%s: a number of a point is wanted", word);
        return false;
    }
    return true;
}

void cmd_delete(struct shell *s, const char *args)
{
    if (args[0] == '\0' || strcmp(args, "all") == 0) {
        for (unsigned i = 0; i < SHELL_POINTS; i++) {
            if (s->points[i].number != 0) {
                point_delete(s, &s->points[i]);
            }
        }
        return;
    }
    while (*args != '\0') {
        unsigned number;
        struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
        if (p == NULL) {
            return;
        }
        point_delete(s, p);
    }
}

static void switch_points(struct shell *s, const char *args, bool on)
{
    for (unsigned i = 0; args[0] == '\0' && i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number != 0 && p->enabled != on) {
            p->enabled = on;
            if (on) {
                (void)point_arm(s, p);
            } else {
                point_disarm(s, p);
            }
        }
    }
    while (*args != '\0') {
        unsigned number;
        struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
        if (p == NULL) {
            return;
        }
        if (p->enabled != on) {
            p->enabled = on;
            if (on) {
                (void)point_arm(s, p);
            } else {
                point_disarm(s, p);
            }
        }
    }
}

void cmd_enable(struct shell *s, const char *args)
{
    switch_points(s, args, true);
}

void cmd_disable(struct shell *s, const char *args)
{
    switch_points(s, args, false);
}

void cmd_condition(struct shell *s, const char *args)
{
    unsigned number;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p != NULL) {
        point_set_condition(p, "", args[0] != '\0' ? args : NULL);
    }
}

void cmd_ignore(struct shell *s, const char *args)
{
    unsigned number;
    u64 count;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p != NULL && expr_all(s, args, &count)) {
        p->ignore = count;
        say(s, "The next %" PRIu64 " times point %u is passed over.\n", count, number);
    }
}

/* commands N CMD; CMD ...: on one line, so that files and GDB's monitor can say it. */
void cmd_commands(struct shell *s, const char *args)
{
    unsigned number;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p == NULL) {
        return;
    }
    free(p->commands);
    p->commands = args[0] != '\0' ? strdup(args) : NULL;
}

void show_points(struct shell *s)
{
    bool any = false;
    for (unsigned number = 1; number < s->next_point; number++) {
        for (unsigned i = 0; i < SHELL_POINTS; i++) {
            const struct shell_point *p = &s->points[i];
            if (p->number != number) {
                continue;
            }
            any = true;
            say(s, "%3u %s %s%s%s", p->number, p->enabled ? "on " : "off", p->what, p->temporary ? " (once)" : "",
                p->hits > 0 ? "" : "\n");
            if (p->hits > 0) {
                say(s, "  met %" PRIu64 " time%s\n", p->hits, p->hits == 1 ? "" : "s");
            }
            if (p->commands != NULL) {
                say(s, "      then: %s\n", p->commands);
            }
        }
    }
    if (!any) {
        say(s, "No points are set.\n");
    }
}
