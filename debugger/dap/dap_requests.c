/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session: what an editor asks for, in which order, and the machine's running and standing. */
#include "debugger/dap/dap_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define CONSOLE_INTERVAL_US 100000

void dap_reply(struct dap *d, const struct json *request, const char *body)
{
    char *text;
    size_t size;
    FILE *f = dap_begin(&text, &size);
    (void)fprintf(f, "{\"seq\":%" PRIu64 ",\"type\":\"response\",\"request_seq\":%" PRId64 ",\"success\":true,\"command\":",
                  ++d->seq, json_number(request, "seq", 0));
    json_put_text(f, json_text(request, "command", ""));
    (void)fprintf(f, "%s%s}", body != NULL ? ",\"body\":" : "", body != NULL ? body : "");
    dap_send(d, f, &text, &size);
}

void dap_refuse(struct dap *d, const struct json *request, const char *why)
{
    char *text;
    size_t size;
    FILE *f = dap_begin(&text, &size);
    (void)fprintf(f, "{\"seq\":%" PRIu64 ",\"type\":\"response\",\"request_seq\":%" PRId64 ",\"success\":false,\"command\":",
                  ++d->seq, json_number(request, "seq", 0));
    json_put_text(f, json_text(request, "command", ""));
    (void)fputs(",\"message\":", f);
    json_put_text(f, why);
    (void)fputs("}", f);
    dap_send(d, f, &text, &size);
}

char *dap_shell(struct dap *d, const char *line, bool *ok)
{
    char *text = NULL;
    size_t size = 0;
    struct shell *s = d->shell;
    FILE *was = s->out;
    s->out = open_memstream(&text, &size);
    if (s->out == NULL) {
        abort();
    }
    shell_line(s, line);
    *ok = !s->failed;
    (void)fclose(s->out);
    s->out = was;
    return text;
}

/* ---- Running ---- */

/* What came while the machine runs; true: it goes on. */
static bool while_running(void *self)
{
    struct dap *d = self;
    struct json *request;
    dap_pass_console(d);
    while ((request = dap_receive(d, false)) != NULL) {
        const char *command = json_text(request, "command", "");
        if (strcmp(command, "pause") == 0) {
            dap_reply(d, request, NULL);
            d->pausing = true;
        } else {
            dap_answer(d, request);
        }
        json_free(request);
    }
    return !d->pausing && !d->leaving && !d->closed;
}

static void set_clock(bool on)
{
    const struct itimerval every = {.it_interval = {.tv_usec = on ? CONSOLE_INTERVAL_US : 0},
                                    .it_value = {.tv_usec = on ? CONSOLE_INTERVAL_US : 0}};
    (void)setitimer(ITIMER_REAL, &every, NULL);
}

void dap_tell_stop(struct dap *d)
{
    static const char *const reasons[] = {"entry", "step", "breakpoint", "pause", "exited", "entry"};
    struct shell *s = d->shell;
    char body[256];
    if (s->last_stop == SHELL_STOP_END) {
        (void)snprintf(body, sizeof body, "{\"reason\":\"pause\",\"description\":\"The machine has come to its end: %s\","
                                          "\"threadId\":%u,\"allThreadsStopped\":true}",
                       stop_reason_name(s->result.reason), s->cpu + 1);
    } else if (s->last_stop == SHELL_STOP_POINT && s->last_point != 0) {
        const struct shell_point *p = NULL;
        for (unsigned i = 0; i < SHELL_POINTS; i++) {
            p = s->points[i].number == s->last_point ? &s->points[i] : p;
        }
        bool data = p != NULL && p->stop_count > 0 && p->stop[0].size > 0;
        (void)snprintf(body, sizeof body, "{\"reason\":\"%s\",\"threadId\":%u,\"allThreadsStopped\":true,"
                                          "\"hitBreakpointIds\":[%u]}",
                       data ? "data breakpoint" : "breakpoint", s->cpu + 1, s->last_point);
    } else {
        (void)snprintf(body, sizeof body, "{\"reason\":\"%s\",\"threadId\":%u,\"allThreadsStopped\":true%s}",
                       reasons[s->last_stop], s->cpu + 1,
                       s->last_stop == SHELL_STOP_BEGIN ? ",\"description\":\"This is where history begins\"" : "");
    }
    dap_event(d, "stopped", body);
}

/* A command of the shell's that moves the machine. */
static void move(struct dap *d, const char *line)
{
    bool ok;
    d->running = true;
    d->pausing = false;
    set_clock(true);
    char *text = dap_shell(d, line, &ok);
    set_clock(false);
    d->shell->m->interrupted = 0;
    d->running = false;
    dap_pass_console(d);
    dap_output(d, ok ? "console" : "important", text, strlen(text));
    free(text);
    if (!d->leaving) {
        dap_tell_stop(d);
    }
}

static void go(struct dap *d, const struct json *request, const char *line, const char *body)
{
    struct shell *s = d->shell;
    const struct json *args = json_get(request, "arguments");
    i64 thread = json_number(args, "threadId", s->cpu + 1);
    if (d->running) {
        dap_refuse(d, request, "the machine runs");
        return;
    }
    if (thread >= 1 && thread <= (i64)s->m->set.count) {
        s->cpu = (unsigned)thread - 1;
    }
    dap_reply(d, request, body);
    move(d, line);
}

static bool instruction_wise(const struct json *request)
{
    return strcmp(json_text(json_get(request, "arguments"), "granularity", ""), "instruction") == 0;
}

/* ---- The session ---- */

static const char capabilities[] =
    "{\"supportsConfigurationDoneRequest\":true,\"supportsFunctionBreakpoints\":true,"
    "\"supportsConditionalBreakpoints\":true,\"supportsHitConditionalBreakpoints\":true,"
    "\"supportsEvaluateForHovers\":true,\"supportsStepBack\":true,\"supportsSetVariable\":true,"
    "\"supportsTerminateRequest\":true,\"supportsDataBreakpoints\":true,\"supportsReadMemoryRequest\":true,"
    "\"supportsWriteMemoryRequest\":true,\"supportsDisassembleRequest\":true,"
    "\"supportsInstructionBreakpoints\":true,\"supportsSteppingGranularity\":true,"
    "\"supportsCompletionsRequest\":true,\"supportsDataBreakpointBytes\":true,"
    "\"exceptionBreakpointFilters\":["
    "{\"filter\":\"exception\",\"label\":\"Exceptions\",\"default\":false},"
    "{\"filter\":\"exit\",\"label\":\"VM exits\",\"default\":false},"
    "{\"filter\":\"entry\",\"label\":\"VM entries\",\"default\":false},"
    "{\"filter\":\"entry-failure\",\"label\":\"Refused VM entries\",\"default\":true},"
    "{\"filter\":\"hypercall\",\"label\":\"Hypercalls\",\"default\":false},"
    "{\"filter\":\"nested-fault\",\"label\":\"EPT and nested page faults\",\"default\":false},"
    "{\"filter\":\"violation\",\"label\":\"Isolation violations\",\"default\":false}]}";

/* "symbols": a file or a list of them, "symbolsOffset" for all; "commands": lines for the shell. */
static void launch(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    const struct json *files = json_get(args, "symbols"), *lines = json_get(args, "commands");
    bool ok;
    d->stop_on_entry = json_get(args, "stopOnEntry") == NULL || json_true(args, "stopOnEntry");
    if (files != NULL && files->kind == JSON_ARRAY) {
        files = files->first;
    }
    for (; files != NULL && files->kind == JSON_STRING; files = files->next) {
        char line[1100];
        (void)snprintf(line, sizeof line, "symbols load \"%.1000s\" %.60s", files->text,
                       json_text(args, "symbolsOffset", ""));
        char *text = dap_shell(d, line, &ok);
        dap_output(d, ok ? "console" : "important", text, strlen(text));
        free(text);
        if (files->name != NULL) {
            break; /* a member, not an element */
        }
    }
    for (lines = lines != NULL && lines->kind == JSON_ARRAY ? lines->first : NULL; lines != NULL; lines = lines->next) {
        char *text = dap_shell(d, lines->kind == JSON_STRING ? lines->text : "", &ok);
        dap_output(d, ok ? "console" : "important", text, strlen(text));
        free(text);
    }
    dap_reply(d, request, NULL);
    dap_event(d, "initialized", NULL);
}

static void configured(struct dap *d, const struct json *request)
{
    dap_reply(d, request, NULL);
    if (d->begun) {
        return;
    }
    d->begun = true;
    if (d->stop_on_entry) {
        d->shell->last_stop = SHELL_STOP_NONE;
        dap_tell_stop(d);
    } else {
        move(d, "continue");
    }
}

static void leave(struct dap *d, const struct json *request)
{
    dap_reply(d, request, NULL);
    d->leaving = true;
}

/* True: it was one of these. */
static bool answer_session(struct dap *d, const struct json *request, const char *command)
{
    if (strcmp(command, "initialize") == 0) {
        dap_reply(d, request, capabilities);
    } else if (strcmp(command, "launch") == 0 || strcmp(command, "attach") == 0) {
        launch(d, request);
    } else if (strcmp(command, "configurationDone") == 0) {
        configured(d, request);
    } else if (strcmp(command, "disconnect") == 0 || strcmp(command, "terminate") == 0) {
        leave(d, request);
    } else if (strcmp(command, "pause") == 0) {
        dap_reply(d, request, NULL); /* it stands still */
        dap_tell_stop(d);
    } else {
        return false;
    }
    return true;
}

static bool answer_running(struct dap *d, const struct json *request, const char *command)
{
    bool one = instruction_wise(request);
    if (strcmp(command, "continue") == 0) {
        go(d, request, "continue", "{\"allThreadsContinued\":true}");
    } else if (strcmp(command, "next") == 0) {
        go(d, request, one ? "nexti" : "next", NULL);
    } else if (strcmp(command, "stepIn") == 0) {
        go(d, request, one ? "stepi" : "step", NULL);
    } else if (strcmp(command, "stepOut") == 0) {
        go(d, request, "finish", NULL);
    } else if (strcmp(command, "stepBack") == 0) {
        go(d, request, one ? "reverse-stepi" : "reverse-next", NULL);
    } else if (strcmp(command, "reverseContinue") == 0) {
        go(d, request, "reverse-continue", NULL);
    } else {
        return false;
    }
    return true;
}

void dap_answer(struct dap *d, const struct json *request)
{
    const char *command = json_text(request, "command", "");
    if (strcmp(json_text(request, "type", ""), "request") != 0) {
        return;
    }
    if (!answer_session(d, request, command) && !answer_running(d, request, command) &&
        !dap_answer_points(d, request, command) && !dap_answer_look(d, request, command)) {
        dap_refuse(d, request, "not known here");
    }
}

struct run_result dap_run(struct dap *d, struct machine *m, bool may_write)
{
    struct json *request;
    d->shell = shell_new(m, may_write);
    d->shell->interrupted = while_running;
    d->shell->interrupted_self = d;
    d->shell->cpu = stops_next_cpu(m);
    dap_watch(d, m);
    while (!d->leaving && (request = dap_receive(d, true)) != NULL) {
        m->interrupted = 0;
        dap_answer(d, request);
        json_free(request);
    }
    dap_pass_console(d);
    if (!d->closed) {
        dap_event(d, "terminated", NULL);
    }
    m->interrupted = 0;
    struct run_result r = d->shell->ended ? d->shell->result : (struct run_result){.reason = STOP_QUIT};
    shell_free(d->shell);
    d->shell = NULL;
    return r;
}
