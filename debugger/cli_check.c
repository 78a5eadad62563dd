/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine trace check: goldens. Each machine runs in this process, quiet and without input from outside, is
 * recorded into a temporary file, and what that says is compared with the golden. TAP on standard output. */
#include "debugger/cli_trace.h"

#include "traces/golden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct outcome {
    char name[256];
    int status;    /* 0, 73: differs, others: could not be run */
    char *details; /* several lines; NULL: none */
};

static bool make_options(struct run_options *o, struct golden *g, const char *dir, const char *record,
                         struct error *err)
{
    u32 classes = 0;
    if (g->classes != NULL && !trace_parse_classes(g->classes, &classes)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "trace %s: no such class", g->classes);
    }
    if (!options_parse(o, g->argc, g->argv, err) || !record_files_from(o, dir, err) || !options_prepare(o, err)) {
        return false;
    }
    for (unsigned i = 0; i < o->machine.serial_count; i++) {
        o->machine.serial[i].input = CONSOLE_INPUT_NONE;
    }
    o->record = record;
    o->trace_classes = classes;
    o->machine.disks_stay = true;
    options_quiet(o);
    return true;
}

static bool run_machine(struct golden *g, const char *dir, const char *record, struct error *err)
{
    struct run_options o;
    struct run_result result;
    options_init(&o, false);
    bool ok = make_options(&o, g, dir, record, err);
    struct machine *m = ok ? machine_new(&o.machine, err) : NULL;
    ok = m != NULL && record_start(&o, m, err) && session_run(&o, m, false, &result, err) &&
         record_finish(m, &result, false, err);
    if (ok && result.reason == STOP_INTERRUPTED) {
        ok = error_set(err, EXIT_STATUS_INTERRUPTED, "interrupted");
    }
    if (ok && result.reason == STOP_ERROR) {
        ok = error_set(err, m->error.status, "%s", m->error.text);
    }
    machine_free(m);
    options_free(&o);
    return ok;
}

/* Why a machine differs, and what to do next. */
static char *describe(const struct golden *g, const struct golden_lines *got, i64 at, const char *kept)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    size_t n = (size_t)at;
    (void)fprintf(out, "line %zu of the golden's events differs (- golden, + this build)\n", n + 1);
    golden_show(g, got, at, "", out);
    u64 position = got->count == 0 ? 0 : got->positions[n < got->count ? n : got->count - 1];
    if (kept != NULL) {
        (void)fprintf(out, "to go there: ");
        trace_print_goto(out, kept, position);
        (void)fputs("\nor: ", out);
        trace_print_debug(out, kept, position);
        (void)fputc('\n', out);
    } else {
        (void)fprintf(out, "it is at position %llu; --keep DIR keeps the recording\n", (unsigned long long)position);
    }
    (void)fclose(out);
    return text;
}

static bool judge(const struct trace_arguments *a, struct golden *g, const char *path, const char *record,
                  struct outcome *o, struct error *err)
{
    struct trace_reader r;
    struct golden_lines got = {0};
    bool ok = trace_reader_open(&r, record, err) && golden_lines_of(g, &r, &got, err);
    trace_reader_close(&r);
    i64 at = ok ? golden_compare(g, &got) : -1;
    if (ok && a->update) {
        ok = at < 0 || golden_write(g, &got, path, err);
    } else if (ok && at >= 0) {
        o->details = describe(g, &got, at, a->keep != NULL ? record : NULL);
        ok = error_set(err, EXIT_STATUS_DIFFERS, "%s: it does something else", o->name);
    }
    golden_lines_free(&got);
    return ok;
}

static void name_of(const char *path, char *name, size_t size)
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(name, size, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) {
        *dot = '\0';
    }
}

/* The recording's file: kept under the golden's name, or one that goes away. */
static bool choose_record(const struct trace_arguments *a, const struct outcome *o, char *record, size_t size,
                          struct error *err)
{
    if (a->keep != NULL) {
        (void)snprintf(record, size, "%s/%s.vtr", a->keep, o->name);
        return true;
    }
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(record, size, "%s/vitrine-check-XXXXXX", tmp != NULL ? tmp : "/tmp");
    int fd = mkstemp(record);
    return fd >= 0 ? close(fd) == 0 : error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", record, strerror(errno));
}

static void check_one(const struct trace_arguments *a, const char *path, struct outcome *o)
{
    struct error err = {0};
    struct golden g = {0};
    char record[4096], dir[4096];
    name_of(path, o->name, sizeof o->name);
    const char *slash = strrchr(path, '/');
    (void)snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    record[0] = '\0';
    bool ok = choose_record(a, o, record, sizeof record, &err) && golden_load(&g, path, &err) &&
              run_machine(&g, a->dir != NULL ? a->dir : dir, record, &err) &&
              judge(a, &g, path, record, o, &err);
    golden_free(&g);
    if (record[0] != '\0' && (ok || a->keep == NULL)) {
        (void)unlink(record);
    }
    o->status = ok ? EXIT_STATUS_OK : (int)err.status;
    if (!ok && o->details == NULL) {
        o->details = strdup(err.text);
    }
}

/* ---- What others read ---- */

static void put_tap(const struct outcome *o, unsigned number)
{
    (void)printf("%sok %u - %s\n", o->status == 0 ? "" : "not ", number, o->name);
    if (o->details != NULL) {
        (void)printf("  ---\n  message: |\n");
        for (const char *p = o->details; *p != '\0';) {
            size_t len = strcspn(p, "\n");
            (void)printf("    %.*s\n", (int)len, p);
            p += len + (p[len] == '\n' ? 1 : 0);
        }
        (void)printf("  ...\n");
    }
    (void)fflush(stdout);
}

static void put_xml(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        const char *entity = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
        if (entity != NULL) {
            (void)fputs(entity, out);
        } else {
            (void)fputc(c < 0x20 && c != '\n' ? '?' : c, out);
        }
    }
}

static bool put_junit(const char *path, const struct outcome *o, unsigned count, struct error *err)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", path, strerror(errno));
    }
    unsigned failures = 0, errors = 0;
    for (unsigned i = 0; i < count; i++) {
        failures += o[i].status == EXIT_STATUS_DIFFERS ? 1 : 0;
        errors += o[i].status != 0 && o[i].status != EXIT_STATUS_DIFFERS ? 1 : 0;
    }
    (void)fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<testsuite name=\"vitrine trace check\" tests=\"%u\" failures=\"%u\" errors=\"%u\">\n",
                  count, failures, errors);
    for (unsigned i = 0; i < count; i++) {
        (void)fputs("  <testcase classname=\"golden\" name=\"", out);
        put_xml(out, o[i].name);
        if (o[i].status == 0) {
            (void)fputs("\"/>\n", out);
            continue;
        }
        const char *kind = o[i].status == EXIT_STATUS_DIFFERS ? "failure" : "error";
        (void)fprintf(out, "\">\n    <%s message=\"status %d\">", kind, o[i].status);
        put_xml(out, o[i].details != NULL ? o[i].details : "");
        (void)fprintf(out, "</%s>\n  </testcase>\n", kind);
    }
    (void)fputs("</testsuite>\n", out);
    return fclose(out) == 0 || error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", path);
}

/* A machine that could not be run weighs more than one that differs. */
static int worse(int a, int b)
{
    return a == 0 || (a == EXIT_STATUS_DIFFERS && b != 0) ? b : a;
}

int trace_cmd_check(const struct trace_arguments *a)
{
    struct error err = {0};
    struct outcome *outcomes = calloc(a->file_count, sizeof *outcomes);
    int status = EXIT_STATUS_OK;
    if (outcomes == NULL) {
        (void)error_set(&err, EXIT_STATUS_INTERNAL, "out of memory");
        return cli_fail(&err);
    }
    (void)printf("TAP version 13\n1..%u\n", a->file_count);
    unsigned done = 0;
    for (; done < a->file_count && status != EXIT_STATUS_INTERRUPTED; done++) {
        check_one(a, a->files[done], &outcomes[done]);
        put_tap(&outcomes[done], done + 1);
        status = worse(status, outcomes[done].status);
    }
    if (a->junit != NULL && !put_junit(a->junit, outcomes, done, &err)) {
        status = cli_fail(&err);
    }
    for (unsigned i = 0; i < done; i++) {
        free(outcomes[i].details);
    }
    free(outcomes);
    return status;
}
