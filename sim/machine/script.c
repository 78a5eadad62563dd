/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parsed once into steps; one step is current. The next `expect` is matched even while steps before
 * it wait for their time, so that nothing printed in between is missed. */
#include "machine/script.h"

#include "base/bits.h"
#include "machine/machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Virtual time from what the guest printed to the first byte of the answer. */
#define SEND_DELAY_NS 10000000u

enum step_kind { STEP_EXPECT, STEP_SEND, STEP_WAIT, STEP_TIMEOUT, STEP_STOP };

struct step {
    enum step_kind kind;
    unsigned console, line;
    u64 number;
    size_t len;
    char *text;
};

struct script {
    struct machine *m;
    struct step *steps; /* fixed */
    u32 count;
    struct timer timer; /* of the current send or wait, or the current expect's timeout */
    /* Saved. */
    u32 at;      /* current step */
    u32 matched; /* bytes of the next expect */
    bool seen;   /* the next expect has been met already */
    u64 timeout_ns;
};

/* ---- Parsing ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *p = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return p != NULL ? (int)(p - digits) : -1;
}

/* Replace escapes in place; the length, or -1. */
static i64 unescape(char *text)
{
    static const char from[] = "nrte\\\"";
    static const char to[] = "\n\r\t\033\\\"";
    char *out = text;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '\\') {
            *out++ = *p;
            continue;
        }
        p++;
        const char *known = *p != '\0' ? strchr(from, *p) : NULL;
        if (known != NULL) {
            *out++ = to[known - from];
        } else if (*p == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
            *out++ = (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
            p += 2;
        } else {
            return -1;
        }
    }
    *out = '\0';
    return out - text;
}

/* Strip blanks at both ends, then quotes. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text[len - 1] = '\0';
        text++;
    }
    return text;
}

struct parser {
    struct script *s;
    const char *name;
    unsigned line, console;
    struct error *err;
};

static bool add(struct parser *p, enum step_kind kind, char *text, u64 number, bool enter)
{
    struct script *s = p->s;
    struct step *grown = realloc(s->steps, (s->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return error_set(p->err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    s->steps = grown;
    struct step *step = &s->steps[s->count];
    *step = (struct step){.kind = kind, .console = p->console, .line = p->line, .number = number};
    if (text == NULL) {
        s->count++;
        return true;
    }
    step->text = malloc(strlen(text) + 2);
    if (step->text == NULL) {
        return error_set(p->err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    s->count++;
    memcpy(step->text, text, strlen(text) + 1);
    i64 len = unescape(step->text);
    if (len < 0 || (len == 0 && kind == STEP_EXPECT)) {
        return error_set(p->err, EXIT_STATUS_BAD_FILE, "%s line %u: %s", p->name, p->line,
                         len < 0 ? "unknown escape; known are \\n \\r \\t \\e \\\\ \\\" \\xNN"
                                 : "expect wants a text");
    }
    step->len = (size_t)len;
    if (enter && (len == 0 || strchr("\r\n", step->text[len - 1]) == NULL)) {
        step->text[step->len++] = '\r';
    }
    return true;
}

static bool parse_number(struct parser *p, const char *text, u64 max, u64 *out)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    *out = v;
    return (end != text && *end == '\0' && v <= max) ||
           error_set(p->err, EXIT_STATUS_BAD_FILE, "%s line %u: %s: a number up to %llu is wanted",
                     p->name, p->line, text, (unsigned long long)max);
}

/* `rest` if the line begins with the word, else NULL. */
static char *after_word(char *line, const char *word)
{
    size_t len = strlen(word);
    bool is = strncmp(line, word, len) == 0 && (line[len] == '\0' || strchr(" \t", line[len]) != NULL);
    return is ? trim(line + len) : NULL;
}

static bool parse_console(struct parser *p, const char *text)
{
    const struct machine_config *c = &p->s->m->config;
    u64 n;
    if (strcmp(text, "virtio") == 0) { /* the last console there is */
        p->console = c->serial_count + (c->debugcon.kind != CONSOLE_NONE ? 1u : 0u);
        return c->virtio_console || error_set(p->err, EXIT_STATUS_BAD_FILE,
                                              "%s line %u: this machine has no virtio console", p->name, p->line);
    }
    bool ok = parse_number(p, text, MACHINE_MAX_SERIAL - 1, &n);
    p->console = (unsigned)n;
    return ok;
}

static bool parse_line(struct parser *p, char *line)
{
    char *rest;
    u64 n;
    line += strspn(line, " \t");
    char *arrow = strstr(line, "=>");
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    if ((rest = after_word(line, "expect")) != NULL) {
        return add(p, STEP_EXPECT, rest, 0, false);
    }
    if ((rest = after_word(line, "send")) != NULL) {
        return add(p, STEP_SEND, rest, 0, false);
    }
    if ((rest = after_word(line, "wait")) != NULL) {
        return parse_number(p, rest, 1000000000u, &n) && add(p, STEP_WAIT, NULL, n * 1000000u, false);
    }
    if ((rest = after_word(line, "timeout")) != NULL) {
        return parse_number(p, rest, 1000000u, &n) &&
               add(p, STEP_TIMEOUT, NULL, n * NS_PER_SEC, false);
    }
    if ((rest = after_word(line, "console")) != NULL) {
        return parse_console(p, rest);
    }
    if ((rest = after_word(line, "stop")) != NULL && rest[0] == '\0') {
        return add(p, STEP_STOP, NULL, 0, false);
    }
    if (arrow != NULL) {
        *arrow = '\0';
        return add(p, STEP_EXPECT, trim(line), 0, false) &&
               add(p, STEP_SEND, trim(arrow + 2), 0, true);
    }
    return error_set(p->err, EXIT_STATUS_BAD_FILE,
                     "%s line %u: expect, send, wait, timeout, console, stop or TEXT => REPLY is wanted",
                     p->name, p->line);
}

static bool parse(struct parser *p, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char *line = strndup(text, len);
        p->line++;
        bool ok = line != NULL && parse_line(p, line);
        free(line);
        if (!ok) {
            return false;
        }
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    return true;
}

/* ---- Running ---- */

static void arm(struct script *s, u64 delay_ns)
{
    timer_arm(&s->timer, (vtime_t){clock_now(&s->m->clock).ns + delay_ns});
}

/* Start the current step; those that take no time are done at once. */
static void start(struct script *s)
{
    timer_cancel(&s->timer);
    for (; s->at < s->count; s->at++) {
        const struct step *step = &s->steps[s->at];
        switch (step->kind) {
        case STEP_EXPECT:
            if (!s->seen) {
                if (s->timeout_ns != 0) {
                    arm(s, s->timeout_ns);
                }
                return;
            }
            s->seen = false;
            break;
        case STEP_SEND:
            arm(s, SEND_DELAY_NS);
            return;
        case STEP_WAIT:
            arm(s, step->number);
            return;
        case STEP_TIMEOUT:
            s->timeout_ns = step->number;
            break;
        case STEP_STOP:
            machine_request_stop(s->m, STOP_ON_TEXT, 0);
            break;
        }
    }
}

static void fire(void *self)
{
    struct script *s = self;
    if (s->at >= s->count) {
        return;
    }
    const struct step *step = &s->steps[s->at];
    if (step->kind == STEP_EXPECT) {
        (void)error_set(&s->m->error, EXIT_STATUS_STOP_ON_UNMET,
                        "script line %u: \"%s\" was not seen within %llu s of virtual time",
                        step->line, step->text, (unsigned long long)(s->timeout_ns / NS_PER_SEC));
        return;
    }
    if (step->kind == STEP_SEND && step->console < s->m->console_count) {
        console_type(&s->m->consoles[step->console], (const u8 *)step->text, step->len);
    }
    s->at++;
    start(s);
}

static u32 next_expect(const struct script *s)
{
    u32 next = s->at;
    while (next < s->count && s->steps[next].kind != STEP_EXPECT) {
        next++;
    }
    return next;
}

void script_see(struct script *s, unsigned console, u8 byte)
{
    u32 next = next_expect(s);
    if (s->seen || next == s->count || s->steps[next].console != console) {
        return;
    }
    const struct step *step = &s->steps[next];
    if (console_match(step->text, step->len, &s->matched, byte)) {
        s->seen = true;
        if (next == s->at) {
            start(s);
        }
    }
}

struct script *script_new(struct machine *m, const char *text, const char *name,
                          struct error *err)
{
    struct script *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    s->m = m;
    struct parser p = {.s = s, .name = name, .err = err};
    if (!parse(&p, text)) {
        script_free(s);
        return NULL;
    }
    timer_init(&s->timer, &m->clock, "script", fire, s);
    start(s);
    return s;
}

void script_free(struct script *s)
{
    if (s != NULL) {
        for (u32 i = 0; i < s->count; i++) {
            free(s->steps[i].text);
        }
        free(s->steps);
        free(s);
    }
}

void script_state(struct script *s, struct state_io *io)
{
    state_section(io, "script", 1);
    state_u32(io, "at", &s->at);
    state_u32(io, "matched", &s->matched);
    state_bool(io, "seen", &s->seen);
    state_u64(io, "timeout_ns", &s->timeout_ns);
    timer_state(&s->timer, io, "timer");
    if (state_is_load(io)) {
        s->at = s->at <= s->count ? s->at : s->count;
        u32 next = next_expect(s);
        s->matched = next < s->count && s->matched < s->steps[next].len ? s->matched : 0;
    }
}
