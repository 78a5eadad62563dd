/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine trace: look into recordings. */
#include "debugger/cli.h"

#include "base/nearest.h"
#include "traces/dump.h"

#include <stdlib.h>
#include <string.h>

static void help(FILE *out)
{
    (void)fprintf(out, "usage: vitrine trace stat FILE\n"
                       "       vitrine trace dump FILE [options]\n"
                       "stat: what a recording is of, and how much is in it. dump: its records.\n\n"
                       "  --event NAME,...    only these events\n"
                       "  --class CLASS,...   only these classes\n"
                       "  --cpu N             only this processor's\n"
                       "  --from N, --to N    only these positions\n"
                       "  --json              one JSON object for each line\n\n"
                       "events:\n");
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        (void)fprintf(out, "  %-14s %-8s %s\n", e->name, trace_class_name((enum trace_class)e->class),
                      e->meaning);
    }
}

static bool parse_position(const char *name, const char *text, u64 *out, struct error *err)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 0);
    *out = v;
    return (end != text && *end == '\0') ||
           error_set(err, EXIT_STATUS_USAGE, "--%s %s: a number is wanted", name, text);
}

static bool parse_option(struct trace_filter *f, const char *name, const char *value, struct error *err)
{
    if (strcmp(name, "event") == 0) {
        const char *near;
        return trace_filter_events(f, value, &near) ||
               error_set(err, EXIT_STATUS_USAGE, "--event %s: no such event%s%s", value,
                         near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    }
    if (strcmp(name, "class") == 0) {
        return trace_parse_classes(value, &f->classes) ||
               error_set(err, EXIT_STATUS_USAGE, "--class %s: unknown class", value);
    }
    if (strcmp(name, "from") == 0) {
        return parse_position(name, value, &f->first, err);
    }
    if (strcmp(name, "to") == 0) {
        return parse_position(name, value, &f->last, err);
    }
    if (strcmp(name, "cpu") == 0) {
        u64 n;
        if (!parse_position(name, value, &n, err)) {
            return false;
        }
        f->cpu = n < CPU_MAX ? (u32)n : TRACE_ANY_CPU - 1;
        return true;
    }
    return error_set(err, EXIT_STATUS_USAGE, "unknown option --%s; vitrine trace --help lists them", name);
}

static bool parse(struct trace_filter *f, bool *json, int argc, char **argv, struct error *err)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-') {
            return error_set(err, EXIT_STATUS_USAGE, "%s: one recording at a time", name);
        }
        name += name[1] == '-' ? 2 : 1;
        if (strcmp(name, "json") == 0) {
            *json = true;
        } else if (i + 1 == argc) {
            return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument", name);
        } else if (!parse_option(f, name, argv[++i], err)) {
            return false;
        }
    }
    return true;
}

static int read_trace(const char *command, const char *path, int argc, char **argv)
{
    struct error err = {0};
    struct trace_filter filter;
    struct trace_reader r;
    bool json = false;
    trace_filter_init(&filter);
    if (!parse(&filter, &json, argc, argv, &err)) {
        return cli_fail(&err);
    }
    if (!trace_reader_open(&r, path, &err)) {
        trace_reader_close(&r);
        return cli_fail(&err);
    }
    if (strcmp(command, "stat") == 0) {
        trace_stat(&r, stdout);
    } else {
        trace_dump(&r, &filter, json, stdout);
    }
    (void)fflush(stdout);
    if (r.end.status != EXIT_STATUS_OK) {
        /* What is there has been shown; a cut recording is no fault. */
        (void)fprintf(stderr, "vitrine: %s: %s\n", path, r.end.text);
    }
    trace_reader_close(&r);
    return EXIT_STATUS_OK;
}

int cli_trace(int argc, char **argv)
{
    struct error err = {0};
    static const char *const commands[] = {"stat", "dump"};
    if (argc == 0) {
        (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine trace: stat or dump is wanted");
        return cli_fail(&err);
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        help(stdout);
        return EXIT_STATUS_OK;
    }
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[0], commands[i]) == 0) {
            if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
                help(stdout);
                return EXIT_STATUS_OK;
            }
            if (argc < 2 || argv[1][0] == '-') {
                (void)error_set(&err, EXIT_STATUS_USAGE, "which recording? usage: vitrine trace %s FILE",
                                argv[0]);
                return cli_fail(&err);
            }
            return read_trace(argv[0], argv[1], argc - 2, argv + 2);
        }
    }
    (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine trace %s: stat or dump is wanted", argv[0]);
    return cli_fail(&err);
}
