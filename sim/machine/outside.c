/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* ppoll */
#include "machine/outside.h"

#include "machine/host/net.h"
#include "machine/host/term.h"
#include "machine/machine.h"
#include "machine/network.h"
#include "machine/travel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_INTERVAL_NS 4000000u
#define FLUSH_INTERVAL_NS 300000000u
/* An idle guest that is this far behind the host's clock no longer tries to catch up. */
#define MAX_LAG_NS 500000000u
#define PROGRESS_AFTER_NS 2000000000u
#define PROGRESS_INTERVAL_NS 1000000000u
#define PIPE_HINT_NS 3000000000u

#define MAX_LIVE (MACHINE_MAX_SERIAL + 2)

/* A host file whose bytes are offered as they come. */
struct live {
    int fd;
    unsigned console;
    bool is_term;
    bool ended;
};

struct outside {
    struct outside_options options;
    struct term term;
    struct live live[MAX_LIVE];
    unsigned live_count;
    struct net_user *net;
    bool pace;
    bool forwards; /* the host's sockets listen for the guest */
    u64 anchor_host, anchor_virtual;
    u64 polled, flushed;
    /* The pipe of stdin: bytes read and not asked for yet. */
    u8 pipe[4096];
    size_t pipe_used;
    bool pipe_ended, hinted;
    /* The progress line. */
    bool progress, progress_shown, line_open;
    u64 last_output, last_progress;
};

unsigned outside_stdin_kind(bool as_qemu)
{
    if (isatty(STDIN_FILENO) == 1 || as_qemu) {
        return CONSOLE_INPUT_LIVE;
    }
    return fcntl(STDIN_FILENO, F_GETFD) >= 0 ? CONSOLE_INPUT_PIPE : CONSOLE_INPUT_NONE;
}

/* ---- Attaching ---- */

static void add_live(struct outside *o, int fd, unsigned console, bool is_term)
{
    o->live[o->live_count++] = (struct live){.fd = fd, .console = console, .is_term = is_term};
}

static bool attach_console(struct machine *m, struct outside *o, struct console *c,
                           const struct console_config *config, struct error *err)
{
    char path[128];
    switch (config->kind) {
    case CONSOLE_STDIO:
        c->fd_out = STDOUT_FILENO;
        if (o->options.live && config->input == CONSOLE_INPUT_LIVE) {
            term_open(&o->term, STDIN_FILENO);
            add_live(o, STDIN_FILENO, c->number, true);
        }
        break;
    case CONSOLE_FILE:
        if (!o->options.live) {
            break; /* a replay leaves the recorded run's files alone */
        }
        c->fd_out = open(config->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (c->fd_out < 0) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", config->path,
                             strerror(errno));
        }
        break;
    case CONSOLE_PTY:
        if (!o->options.live) {
            break;
        }
        c->fd_out = term_open_pty(path, sizeof path, err);
        if (c->fd_out < 0) {
            return false;
        }
        add_live(o, c->fd_out, c->number, false);
        (void)fprintf(stderr, "vitrine: %s is %s\n",
                      c->number < m->config.serial_count    ? "serial port"
                      : config == &m->config.debugcon       ? "debug console"
                                                            : "virtio console",
                      path);
        break;
    case CONSOLE_NONE:
        break;
    }
    return true;
}

bool outside_attach(struct machine *m, const struct outside_options *options, struct error *err)
{
    struct outside *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    m->outside = o;
    o->options = *options;
    for (unsigned i = 0; i < m->console_count; i++) {
        if (!attach_console(m, o, &m->consoles[i], machine_console_config(m, i), err)) {
            return false;
        }
    }
    if (options->live && m->config.nic && !network_attach(m, &o->net, &o->forwards, err)) {
        return false;
    }
    bool person = o->term.raw; /* at this terminal, or at the other end of a pseudo terminal */
    for (unsigned i = 0; i < m->console_count; i++) {
        person |= machine_console_config(m, i)->kind == CONSOLE_PTY;
    }
    o->pace = options->live && (options->pace == PACE_HOST || (options->pace == PACE_AUTO && person));
    o->progress = !options->quiet && isatty(STDERR_FILENO) == 1;
    o->anchor_host = o->last_output = o->last_progress = o->flushed = host_now_ns();
    o->anchor_virtual = clock_now(&m->clock).ns;
    return true;
}

static void clear_progress(struct outside *o)
{
    if (o->progress_shown) {
        (void)fputs("\r\033[K", stderr);
        o->progress_shown = false;
    }
}

void outside_detach(struct machine *m)
{
    struct outside *o = m->outside;
    if (o == NULL) {
        return;
    }
    clear_progress(o);
    term_close(&o->term);
    network_detach(m);
    for (unsigned i = 0; i < m->console_count; i++) {
        struct console *c = &m->consoles[i];
        if (c->fd_out > STDERR_FILENO) {
            (void)close(c->fd_out);
        }
        c->fd_out = -1;
    }
    free(o);
    m->outside = NULL;
}

/* ---- Output ---- */

void outside_write(struct machine *m, struct console *c, const u8 *bytes, size_t n)
{
    struct outside *o = m->outside;
    if (o == NULL || c->fd_out < 0 || n == 0 || travel_is_in_past(m)) {
        return;
    }
    if (c->fd_out == STDOUT_FILENO && o->progress) {
        clear_progress(o);
        o->last_output = 0; /* stamped by the next poll: asking the clock for each byte is dear */
        o->line_open = bytes[n - 1] != '\n';
    }
    while (n > 0) {
        ssize_t done = write(c->fd_out, bytes, n);
        if (done < 0 && errno == EINTR && m->interrupted == 0) {
            continue;
        }
        if (done <= 0) {
            return; /* nobody reads: the machine goes on */
        }
        bytes += done;
        n -= (size_t)done;
    }
}

static void show_progress(struct machine *m, struct outside *o, u64 now)
{
    if (o->last_output == 0) {
        o->last_output = now;
    }
    if (!o->progress || o->line_open || now - o->last_output < PROGRESS_AFTER_NS ||
        now - o->last_progress < PROGRESS_INTERVAL_NS) {
        return;
    }
    o->last_progress = now;
    o->progress_shown = true;
    (void)fprintf(stderr, "\r\033[K[%llu M instructions, %.1f s of the guest's time]\r",
                  (unsigned long long)(clock_position(&m->clock).n / 1000000u),
                  (double)clock_now(&m->clock).ns / 1e9);
}

/* ---- Input ---- */

static void act(struct machine *m, enum term_action action)
{
    switch (action) {
    case TERM_NOTHING:
        break;
    case TERM_QUIT:
        m->quit = true;
        break;
    case TERM_HELP:
        term_help();
        break;
    case TERM_MONITOR:
        (void)fprintf(stderr, "\r\nvitrine: there is no debugger yet; Ctrl-A x quits\r\n");
        break;
    }
}

static void read_live(struct machine *m, struct outside *o, struct live *l)
{
    u8 bytes[256];
    size_t room = console_room(&m->consoles[l->console]);
    room = room < sizeof bytes ? room : sizeof bytes;
    ssize_t got = room > 0 ? read(l->fd, bytes, room) : -1;
    if (got == 0) {
        l->ended = true;
        return;
    }
    if (got < 0) {
        l->ended = room > 0 && errno != EINTR && errno != EAGAIN && errno != EIO;
        return;
    }
    size_t n = (size_t)got;
    if (l->is_term && o->term.raw) {
        act(m, term_filter(&o->term, bytes, &n));
    }
    if (n > 0) {
        gate_offer(&m->gate, (enum gate_source)(GATE_CONSOLE0 + l->console), bytes, (u32)n);
    }
}

/* Wait up to timeout_ns for live files, and read what there is. */
static void poll_live(struct machine *m, struct outside *o, u64 timeout_ns)
{
    struct pollfd fds[MAX_LIVE];
    struct live *who[MAX_LIVE];
    nfds_t n = 0;
    for (unsigned i = 0; i < o->live_count; i++) {
        struct live *l = &o->live[i];
        if (!l->ended && console_room(&m->consoles[l->console]) > 0) {
            fds[n] = (struct pollfd){.fd = l->fd, .events = POLLIN};
            who[n++] = l;
        }
    }
    if (n == 0 && timeout_ns == 0) {
        return;
    }
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                          .tv_nsec = (long)(timeout_ns % 1000000000u)};
    if (ppoll(fds, n, &ts, NULL) <= 0) {
        return;
    }
    for (nfds_t i = 0; i < n; i++) {
        if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_live(m, o, who[i]);
        }
    }
}

/* A line of the pipe, however long it takes. False: Ctrl-C came first. */
static bool read_line(struct machine *m, struct outside *o, size_t *len)
{
    u64 began = host_now_ns();
    for (;;) {
        const u8 *end = memchr(o->pipe, '\n', o->pipe_used);
        if (end != NULL || o->pipe_ended || o->pipe_used == sizeof o->pipe) {
            *len = end != NULL ? (size_t)(end - o->pipe) + 1 : o->pipe_used;
            return true;
        }
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&fd, 1, 100);
        if (m->interrupted != 0) {
            return false;
        }
        if (ready == 0 && !o->hinted && !o->options.quiet &&
            host_now_ns() - began > PIPE_HINT_NS) {
            o->hinted = true;
            (void)fprintf(stderr, "vitrine: the guest waits for a line from standard input, which is "
                                  "a pipe; for none: < /dev/null\n");
        }
        if (ready > 0) {
            ssize_t got = read(STDIN_FILENO, o->pipe + o->pipe_used, sizeof o->pipe - o->pipe_used);
            o->pipe_ended = got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
            o->pipe_used += got > 0 ? (size_t)got : 0;
        }
    }
}

static void answer_console(struct machine *m, struct outside *o, const struct console *c)
{
    size_t len;
    if (!read_line(m, o, &len)) {
        return;
    }
    gate_offer(&m->gate, (enum gate_source)(GATE_CONSOLE0 + c->number), o->pipe, (u32)len);
    memmove(o->pipe, o->pipe + len, o->pipe_used - len);
    o->pipe_used -= len;
}

void outside_poll(struct machine *m)
{
    struct outside *o = m->outside;
    if (o == NULL) {
        return;
    }
    u64 now = host_now_ns();
    bool look = now - o->polled >= POLL_INTERVAL_NS;
    if (look) {
        o->polled = now;
        show_progress(m, o, now);
        if (now - o->flushed >= FLUSH_INTERVAL_NS) {
            o->flushed = now;
            trace_flush(&m->trace);
        }
    }
    if (!o->options.live || m->gate.replaying) {
        return;
    }
    if (look) {
        poll_live(m, o, 0);
        if (o->net != NULL) {
            net_user_poll(o->net, 0);
        }
    }
    for (unsigned i = 0; i < m->console_count; i++) {
        if (m->consoles[i].wants) {
            answer_console(m, o, &m->consoles[i]);
        }
    }
}

/* ---- Waiting ---- */

static bool has_source(const struct outside *o)
{
    for (unsigned i = 0; i < o->live_count; i++) {
        if (!o->live[i].ended) {
            return true;
        }
    }
    return o->net != NULL && (o->forwards || net_user_is_busy(o->net));
}

bool outside_must_wait(const struct machine *m, vtime_t deadline)
{
    const struct outside *o = m->outside;
    if (o == NULL || !o->options.live) {
        return false;
    }
    if (deadline.ns == VTIME_NEVER.ns) {
        return has_source(o);
    }
    bool net_waits = o->net != NULL && (net_user_is_busy(o->net) ||
                                        (o->forwards && o->options.pace == PACE_AUTO));
    return o->pace || net_waits;
}

/* Host nanoseconds until the host's clock stands where virtual time `deadline` is. */
static u64 ns_until(struct machine *m, struct outside *o, vtime_t deadline)
{
    u64 host = host_now_ns();
    u64 now = clock_now(&m->clock).ns;
    if (deadline.ns == VTIME_NEVER.ns) {
        return ~(u64)0;
    }
    u64 host_virtual = o->anchor_virtual + (host - o->anchor_host);
    if (host_virtual > now + MAX_LAG_NS) {
        o->anchor_host = host;
        o->anchor_virtual = now;
        host_virtual = now;
    }
    return deadline.ns > host_virtual ? deadline.ns - host_virtual : 0;
}

u64 outside_wait(struct machine *m, vtime_t deadline)
{
    struct outside *o = m->outside;
    u64 began = host_now_ns();
    u64 total = ns_until(m, o, deadline);
    trace_flush(&m->trace);
    clear_progress(o);
    for (;;) {
        u64 spent = host_now_ns() - began;
        if (gate_has_offers(&m->gate) || m->interrupted != 0 || m->quit || spent >= total ||
            (deadline.ns == VTIME_NEVER.ns && !has_source(o))) {
            return spent;
        }
        u64 step = total - spent < 100000000u ? total - spent : 100000000u;
        if (o->net != NULL) {
            net_user_poll(o->net, step > 5000000u ? 5 : (int)(step / 1000000u));
            step = step < 1000000u ? step : 0;
        }
        poll_live(m, o, step);
    }
}
