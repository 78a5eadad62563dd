/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine trace: look into recordings. check has its own file, cli_check.c, and export too. */
#include "debugger/cli_trace.h"

#include "base/nearest.h"
#include "traces/compare.h"
#include "traces/golden.h"
#include "traces/report.h"
#include "traces/tree.h"

#include <stdlib.h>
#include <string.h>

#define AROUND_EVENTS 10

struct trace_command {
    const char *name;
    char letter;
    const char *takes;
    trace_command_fn *run;
    const char *help;
};

static const struct trace_command commands[] = {
#define TRACE_COMMAND(name, letter, takes, run, help) {name, letter[0], takes, run, help},
#include "debugger/trace_command.def"
#undef TRACE_COMMAND
};

static const struct {
    const char *name, *arg, *letters, *help;
} options[] = {
#define TRACE_OPTION(name, arg, letters, help) {name, arg, letters, help},
#include "debugger/trace_command.def"
#undef TRACE_OPTION
};

static void help_of(const struct trace_command *c, FILE *out)
{
    (void)fprintf(out, "usage: vitrine trace %s %s%s\n%s\n", c->name, c->takes,
                  c->letter != 's' ? " [options]" : "", c->help);
    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        if (strchr(options[i].letters, c->letter) != NULL) {
            char text[64];
            (void)snprintf(text, sizeof text, "--%.*s%s%s", (int)strcspn(options[i].name, "|"), options[i].name,
                           options[i].arg != NULL ? " " : "", options[i].arg != NULL ? options[i].arg : "");
            (void)fprintf(out, "  %-28s %s\n", text, options[i].help);
        }
    }
}

static void help(FILE *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        help_of(&commands[i], out);
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "events:\n");
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        (void)fprintf(out, "  %-14s %-9s %s\n", e->name, trace_class_name((enum trace_class)e->class),
                      e->meaning);
    }
}

/* ---- Options ---- */

static bool take_number(const char *name, const char *text, u64 *out, struct error *err)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 0);
    *out = v;
    return (end != text && *end == '\0' && text[0] != '-') ||
           error_set(err, EXIT_STATUS_USAGE, "--%s %s: a number is wanted", name, text);
}

static bool take_map(struct trace_arguments *a, char *text, struct error *err)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || a->map_count == TRACE_MAX_MAPS) {
        return error_set(err, EXIT_STATUS_USAGE, "--file %s: OLD=NEW is wanted", text);
    }
    *equals = '\0';
    a->map[a->map_count++] = (struct file_map){.from = text, .to = equals + 1};
    return true;
}

static bool take_filter(struct trace_arguments *a, const char *name, const char *value, struct error *err)
{
    const char *near;
    u64 n;
    if (strcmp(name, "event") == 0) {
        return trace_filter_events(&a->filter, value, &near) ||
               error_set(err, EXIT_STATUS_USAGE, "--event %s: no such event%s%s", value,
                         near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    }
    if (strcmp(name, "class") == 0) {
        return trace_parse_classes(value, &a->filter.classes) ||
               error_set(err, EXIT_STATUS_USAGE, "--class %s: unknown class", value);
    }
    if (!take_number(name, value, &n, err)) {
        return false;
    }
    if (strcmp(name, "from") == 0) {
        a->filter.first = n;
    } else if (strcmp(name, "to") == 0) {
        a->filter.last = n;
    } else if (strcmp(name, "cpu") == 0) {
        a->filter.cpu = n < CPU_MAX ? (u32)n : TRACE_ANY_CPU - 1;
    } else if (strcmp(name, "guest") == 0) {
        return (a->filter.guests == NULL && n > 0 && n < 1000 && trace_filter_guest(&a->filter, (u32)n)) ||
               error_set(err, EXIT_STATUS_USAGE, "--guest %s: one guest's number, from 1 on, as the report has it", value);
    } else if (strcmp(name, "context") == 0) {
        a->context = n < 1000 ? n : 1000;
    } else {
        a->has_around = true;
        a->around = n;
    }
    return true;
}

static bool take_option(struct trace_arguments *a, const char *name, char *value, struct error *err)
{
    const struct {
        const char *name;
        bool *flag;
        const char **text;
    } rows[] = {{"json", &a->json, NULL},       {"exact", &a->exact, NULL},    {"update", &a->update, NULL},
                {"dir", NULL, &a->dir},         {"junit", NULL, &a->junit},    {"keep", NULL, &a->keep},
                {"format", NULL, &a->format},   {"output", NULL, &a->output}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            if (rows[i].flag != NULL) {
                *rows[i].flag = true;
            } else {
                *rows[i].text = value;
            }
            return true;
        }
    }
    if (strcmp(name, "ignore") == 0) {
        return golden_parse_ignore(value, &a->ignore) ||
               error_set(err, EXIT_STATUS_USAGE, "--ignore %s: address or count is wanted", value);
    }
    return strcmp(name, "file") == 0 ? take_map(a, value, err) : take_filter(a, name, value, err);
}

/* The option's row, by its name or its short one; -1: none of this command. */
static int find_option(const struct trace_command *c, const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        size_t first = strcspn(options[i].name, "|");
        const char *second = options[i].name + first + (options[i].name[first] != '\0' ? 1 : 0);
        bool same = (strlen(name) == first && strncmp(options[i].name, name, first) == 0) ||
                    (*second != '\0' && strcmp(second, name) == 0);
        if (same && strchr(options[i].letters, c->letter) != NULL) {
            return (int)i;
        }
    }
    return -1;
}

static bool unknown_option(const struct trace_command *c, const char *name, struct error *err)
{
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        if (strchr(options[i].letters, c->letter) != NULL && strchr(options[i].name, '|') == NULL) {
            nearest_offer(&n, options[i].name);
        }
    }
    const char *near = nearest_result(&n);
    return error_set(err, EXIT_STATUS_USAGE, "unknown option --%s; %s%s%s", name,
                     near != NULL ? "did you mean --" : "vitrine trace ", near != NULL ? near : c->name,
                     near != NULL ? "?" : " --help lists them");
}

static bool parse(struct trace_arguments *a, const struct trace_command *c, int argc, char **argv,
                  struct error *err)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-' || name[1] == '\0') {
            if (a->file_count == TRACE_MAX_FILES) {
                return error_set(err, EXIT_STATUS_USAGE, "%s: too many files", name);
            }
            a->files[a->file_count++] = name;
            continue;
        }
        name += name[1] == '-' ? 2 : 1;
        int row = find_option(c, name);
        if (row < 0) {
            return unknown_option(c, name, err);
        }
        char whole[32];
        (void)snprintf(whole, sizeof whole, "%.*s", (int)strcspn(options[row].name, "|"), options[row].name);
        if (options[row].arg != NULL && i + 1 == argc) {
            return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument", whole);
        }
        if (!take_option(a, whole, options[row].arg != NULL ? argv[++i] : NULL, err)) {
            return false;
        }
    }
    unsigned most = c->letter == 'c' ? TRACE_MAX_FILES : c->letter == 'f' ? 2 : 1;
    unsigned least = c->letter == 'f' ? 2 : 1;
    if (a->file_count < least) {
        return error_set(err, EXIT_STATUS_USAGE, "which %s? usage: vitrine trace %s %s",
                         c->letter == 'c' ? "golden" : "recording", c->name, c->takes);
    }
    return a->file_count <= most ||
           error_set(err, EXIT_STATUS_USAGE, "%s: one recording too many", a->files[most]);
}

/* ---- Commands ---- */

static int finish_reading(struct trace_reader *r, const char *path)
{
    (void)fflush(stdout);
    if (r->skipped > 0) {
        (void)fprintf(stderr, "vitrine: %s: %llu events that this build does not know were left out\n", path,
                      (unsigned long long)r->skipped);
    }
    if (r->end.status != EXIT_STATUS_OK) {
        /* What is there has been shown; a cut recording is no fault. */
        (void)fprintf(stderr, "vitrine: %s: %s\n", path, r->end.text);
    }
    trace_reader_close(r);
    return EXIT_STATUS_OK;
}

int trace_cmd_stat(const struct trace_arguments *a)
{
    struct error err = {0};
    struct trace_reader r;
    if (!trace_reader_open(&r, a->files[0], &err)) {
        trace_reader_close(&r);
        return cli_fail(&err);
    }
    trace_stat(&r, stdout);
    return finish_reading(&r, a->files[0]);
}

int trace_cmd_dump(const struct trace_arguments *a)
{
    struct error err = {0};
    struct trace_reader r;
    if (a->has_around) {
        return trace_dump_around(a->files[0], &a->filter, a->around, AROUND_EVENTS, a->json, stdout, &err)
                   ? EXIT_STATUS_OK
                   : cli_fail(&err);
    }
    if (!trace_reader_open(&r, a->files[0], &err)) {
        trace_reader_close(&r);
        return cli_fail(&err);
    }
    trace_dump(&r, &a->filter, a->json, stdout);
    return finish_reading(&r, a->files[0]);
}

int trace_cmd_tree(const struct trace_arguments *a)
{
    struct error err = {0};
    struct trace_reader r;
    struct trace_tree_counts n;
    if (!trace_reader_open(&r, a->files[0], &err) ||
        (!trace_tree(&r, a->filter.first, a->filter.last, a->json, stdout, &n) && !error_set(&err, EXIT_STATUS_INTERNAL, "out of memory"))) {
        trace_reader_close(&r);
        return cli_fail(&err);
    }
    if (!a->json) {
        (void)printf("%llu requests, %llu without an end, %llu done without a packet; %llu packets, %llu not completed; %llu calls\n",
                     (unsigned long long)n.requests, (unsigned long long)n.unended, (unsigned long long)n.bare,
                     (unsigned long long)n.packets, (unsigned long long)n.unanswered, (unsigned long long)n.calls);
    }
    return finish_reading(&r, a->files[0]);
}

int trace_cmd_diff(const struct trace_arguments *a)
{
    struct error err = {0};
    struct compare_options o = {
        .filter = a->filter, .exact = a->exact, .ignore = a->ignore, .context = (unsigned)a->context};
    bool same = trace_compare(a->files[0], a->files[1], &o, stdout, &err);
    (void)fflush(stdout);
    return same ? EXIT_STATUS_OK : cli_fail(&err);
}

int trace_cmd_report(const struct trace_arguments *a)
{
    struct error err = {0};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s%s", a->output != NULL ? a->output : a->files[0],
                   a->output != NULL ? "" : ".html");
    if (!trace_report(a->files[0], path, &err)) {
        return cli_fail(&err);
    }
    (void)printf("%s\n", path);
    return EXIT_STATUS_OK;
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 || strcmp(text, "-help") == 0;
}

static int unknown_command(const char *typed)
{
    struct error err = {0};
    struct nearest n;
    nearest_init(&n, typed != NULL ? typed : "");
    char list[128] = "";
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s",
                       i == 0 ? "" : i + 1 == ARRAY_LEN(commands) ? " or " : ", ", commands[i].name);
        nearest_offer(&n, commands[i].name);
    }
    const char *near = typed != NULL ? nearest_result(&n) : NULL;
    if (near != NULL) {
        (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine trace %s: no such command; did you mean %s?", typed,
                        near);
    } else {
        (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine trace%s%s: %s is wanted", typed != NULL ? " " : "",
                        typed != NULL ? typed : "", list);
    }
    return cli_fail(&err);
}

int cli_trace(int argc, char **argv)
{
    struct error err = {0};
    if (argc > 0 && is_help(argv[0])) {
        help(stdout);
        return EXIT_STATUS_OK;
    }
    for (unsigned i = 0; argc > 0 && i < ARRAY_LEN(commands); i++) {
        const struct trace_command *c = &commands[i];
        if (strcmp(argv[0], c->name) != 0) {
            continue;
        }
        if (argc >= 2 && is_help(argv[1])) {
            help_of(c, stdout);
            return EXIT_STATUS_OK;
        }
        struct trace_arguments a = {.context = 5};
        trace_filter_init(&a.filter);
        int status = parse(&a, c, argc - 1, argv + 1, &err) ? c->run(&a) : cli_fail(&err);
        free(a.filter.guests);
        return status;
    }
    return unknown_command(argc > 0 ? argv[0] : NULL);
}
