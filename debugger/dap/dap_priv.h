/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_DEBUGGER_DAP_DAP_PRIV_H
#define VITRINE_DEBUGGER_DAP_DAP_PRIV_H

#include "debugger/dap/dap.h"
#include "debugger/dap/json.h"
#include "debugger/shell/shell_priv.h"

#define DAP_MESSAGE_MAX (1u << 20)
#define DAP_POINTS 128

/* A point of the shell's that the editor asked for. */
struct dap_point {
    unsigned number;
    char origin[512]; /* "source:PATH", "function", "instruction", "data", "filter" */
};

#define DAP_FRAMES 64 /* of a processor: its frames are numbered from 64 times its number */

struct dap {
    int in, out, listener; /* -1: none */
    int console;  /* a file that the guest's consoles print into */
    off_t console_at;
    char *buffer; /* what came in and is not a whole message yet */
    size_t buffered, room;
    bool closed, leaving, begun, running, pausing;
    bool stop_on_entry;
    u64 seq;
    struct shell *shell;
    struct dap_point points[DAP_POINTS];
    unsigned point_count;
};

/* ---- dap_link.c ---- */
/* The next message, waited for or not; NULL: none, or closed. */
struct json *dap_receive(struct dap *d, bool wait);
/* A message put together by `body`: begun, then sent. */
FILE *dap_begin(char **text, size_t *size);
void dap_send(struct dap *d, FILE *f, char **text, size_t *size);
void dap_event(struct dap *d, const char *event, const char *body);
void dap_output(struct dap *d, const char *category, const char *text, size_t size);
/* What the guest has printed since. */
void dap_pass_console(struct dap *d);

/* Let what comes interrupt the machine. */
void dap_watch(struct dap *d, struct machine *m);

/* ---- dap_requests.c, dap_points.c, dap_look.c ---- */
/* Answer one. */
void dap_answer(struct dap *d, const struct json *request);
/* The answer of a request; `body` (may be NULL) is the JSON behind "body":. */
void dap_reply(struct dap *d, const struct json *request, const char *body);
void dap_refuse(struct dap *d, const struct json *request, const char *why);
/* A line of the shell's; what it says, malloc'd. */
char *dap_shell(struct dap *d, const char *line, bool *ok);
void dap_tell_stop(struct dap *d);

bool dap_answer_points(struct dap *d, const struct json *request, const char *command);
bool dap_answer_look(struct dap *d, const struct json *request, const char *command);

#endif
