/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Breakpoints of all kinds: each request brings the whole list of its kind, which replaces the one before. */
#include "debugger/dap/dap_priv.h"

#include <stdlib.h>
#include <string.h>

/* Take away what came from an origin. */
static void forget(struct dap *d, const char *origin)
{
    for (unsigned i = d->point_count; i-- > 0;) {
        if (strcmp(d->points[i].origin, origin) != 0) {
            continue;
        }
        for (unsigned k = 0; k < SHELL_POINTS; k++) {
            if (d->shell->points[k].number == d->points[i].number && d->points[i].number != 0) {
                point_delete(d->shell, &d->shell->points[k]);
            }
        }
        d->points[i] = d->points[--d->point_count];
    }
}

/* A line of the shell's that makes a point. Puts the answer's element. */
static void set_one(struct dap *d, FILE *f, const char *line, const char *origin, const struct json *asked)
{
    bool ok;
    struct shell *s = d->shell;
    const char *condition = json_text(asked, "condition", NULL);
    char full[1600];
    (void)snprintf(full, sizeof full, "%s%s%s", line, condition != NULL ? " if " : "", condition != NULL ? condition : "");
    unsigned first = s->next_point;
    char *text = dap_shell(d, full, &ok);
    ok = ok && s->next_point > first;
    for (unsigned n = first; n < s->next_point && d->point_count < DAP_POINTS; n++) {
        d->points[d->point_count].number = n;
        (void)snprintf(d->points[d->point_count++].origin, sizeof d->points[0].origin, "%s", origin);
    }
    i64 hits = strtoll(json_text(asked, "hitCondition", "0"), NULL, 0);
    const struct shell_point *made = NULL;
    for (unsigned k = 0; ok && k < SHELL_POINTS; k++) {
        if (s->points[k].number == first) {
            s->points[k].ignore = hits > 1 ? (u64)hits - 1 : 0;
            made = &s->points[k];
        }
    }
    (void)fprintf(f, "{\"id\":%u,\"verified\":%s", ok ? first : 0, ok ? "true" : "false");
    const char *file;
    int actual;
    if (made != NULL && made->stop_count > 0 && made->stop[0].kind == POINT_CODE) {
        (void)fprintf(f, ",\"instructionReference\":\"0x%" PRIx64 "\"", made->stop[0].at);
        if (symbols_line(s->symbols, made->stop[0].at, shell_level(s), &file, &actual)) {
            (void)fprintf(f, ",\"line\":%d", actual);
        }
    }
    if (!ok) {
        text[strcspn(text, "\n")] = '\0';
        (void)fputs(",\"message\":", f);
        json_put_text(f, text);
    }
    (void)fputs("}", f);
    free(text);
}

static const struct json *elements(const struct json *args, const char *name)
{
    const struct json *list = json_get(args, name);
    return list != NULL && list->kind == JSON_ARRAY ? list->first : NULL;
}

static void source(struct dap *d, const struct json *args, FILE *f)
{
    const char *path = json_text(json_get(args, "source"), "path", json_text(json_get(args, "source"), "name", "?"));
    char origin[512], line[700];
    (void)snprintf(origin, sizeof origin, "source:%.500s", path);
    forget(d, origin);
    for (const struct json *p = elements(args, "breakpoints"); p != NULL; p = p->next) {
        const char *slash = strrchr(path, '/');
        (void)snprintf(line, sizeof line, "break %.500s:%" PRId64, slash != NULL ? slash + 1 : path,
                       json_number(p, "line", 0));
        set_one(d, f, line, origin, p);
        (void)fputs(p->next != NULL ? "," : "", f);
    }
}

static void functions(struct dap *d, const struct json *args, FILE *f)
{
    char line[600];
    forget(d, "function");
    for (const struct json *p = elements(args, "breakpoints"); p != NULL; p = p->next) {
        (void)snprintf(line, sizeof line, "break %.500s", json_text(p, "name", "?"));
        set_one(d, f, line, "function", p);
        (void)fputs(p->next != NULL ? "," : "", f);
    }
}

static void instructions(struct dap *d, const struct json *args, FILE *f)
{
    char line[200];
    forget(d, "instruction");
    for (const struct json *p = elements(args, "breakpoints"); p != NULL; p = p->next) {
        (void)snprintf(line, sizeof line, "break %.100s + (%" PRId64 ")", json_text(p, "instructionReference", "?"),
                       json_number(p, "offset", 0));
        set_one(d, f, line, "instruction", p);
        (void)fputs(p->next != NULL ? "," : "", f);
    }
}

static void data(struct dap *d, const struct json *args, FILE *f)
{
    char line[300];
    forget(d, "data");
    for (const struct json *p = elements(args, "breakpoints"); p != NULL; p = p->next) {
        const char *access = json_text(p, "accessType", "write");
        (void)snprintf(line, sizeof line, "%s %.200s",
                       strcmp(access, "read") == 0 ? "rwatch" : strcmp(access, "readWrite") == 0 ? "awatch" : "watch",
                       json_text(p, "dataId", "?"));
        set_one(d, f, line, "data", p);
        (void)fputs(p->next != NULL ? "," : "", f);
    }
}

static void filters(struct dap *d, const struct json *args, FILE *f)
{
    static const char *const known[] = {"exception", "exit", "entry", "entry-failure", "hypercall", "nested-fault",
                                        "violation"};
    char line[100];
    bool first = true;
    forget(d, "filter");
    for (const struct json *p = elements(args, "filters"); p != NULL; p = p->next) {
        for (unsigned i = 0; p->kind == JSON_STRING && i < ARRAY_LEN(known); i++) {
            if (strcmp(known[i], p->text) == 0) {
                (void)fputs(first ? "" : ",", f);
                (void)snprintf(line, sizeof line, "break %s", known[i]);
                set_one(d, f, line, "filter", NULL);
                first = false;
            }
        }
    }
}

/* "name" of a variable, or an expression: may it be watched? */
static void data_info(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    const char *name = json_text(args, "name", "");
    char line[256], body[600], *text;
    bool ok;
    u64 at, of_type;
    struct error err = {0};
    const char *p = name;
    i64 frame = json_number(args, "frameId", -1);
    if (frame >= 0 && frame / DAP_FRAMES < (i64)d->shell->m->set.count) {
        d->shell->cpu = (unsigned)(frame / DAP_FRAMES);
        d->shell->frame = (unsigned)(frame % DAP_FRAMES);
    }
    ok = expr_address(d->shell, &p, &at, &of_type, &err) && *p == '\0';
    const struct shell_register *reg;
    if (!ok || register_find(name, strlen(name), &reg)) {
        dap_reply(d, request, "{\"dataId\":null,\"description\":\"no memory\"}");
        return;
    }
    (void)snprintf(line, sizeof line, "0x%" PRIx64 " %" PRId64, at, json_number(args, "bytes", of_type != 0 ? (i64)of_type : 8));
    text = strdup(line);
    (void)snprintf(body, sizeof body, "{\"dataId\":\"%s\",\"description\":\"%s\",\"accessTypes\":[\"read\",\"write\","
                                      "\"readWrite\"]}", text, text);
    free(text);
    dap_reply(d, request, body);
}

bool dap_answer_points(struct dap *d, const struct json *request, const char *command)
{
    static const struct {
        const char *command;
        void (*set)(struct dap *d, const struct json *args, FILE *f);
    } rows[] = {{"setBreakpoints", source},
                {"setFunctionBreakpoints", functions},
                {"setInstructionBreakpoints", instructions},
                {"setDataBreakpoints", data},
                {"setExceptionBreakpoints", filters}};
    if (strcmp(command, "dataBreakpointInfo") == 0) {
        data_info(d, request);
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].command, command) == 0) {
            char *text;
            size_t size;
            FILE *f = dap_begin(&text, &size);
            (void)fputs("{\"breakpoints\":[", f);
            rows[i].set(d, json_get(request, "arguments"), f);
            (void)fputs("]}", f);
            (void)fclose(f);
            dap_reply(d, request, text);
            free(text);
            return true;
        }
    }
    return false;
}
