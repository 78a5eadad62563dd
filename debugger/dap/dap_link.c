/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages with their length in front, over standard input and output or a socket. While the machine runs, what comes
 * makes the run loop come back (SIGIO). */
#include "debugger/dap/dap_priv.h"
#include "debugger/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A signal handler has nowhere else to look; there is one editor in a process. */
static volatile int *interrupt_flag;

static void on_input(int signal)
{
    UNUSED(signal);
    if (interrupt_flag != NULL) {
        *interrupt_flag = 1;
    }
}

void dap_watch(struct dap *d, struct machine *m)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_input;
    interrupt_flag = &m->interrupted;
    (void)sigaction(SIGIO, &sa, NULL);
    (void)sigaction(SIGALRM, &sa, NULL); /* now and then, for what the guest prints */
    (void)fcntl(d->in, F_SETOWN, getpid());
    (void)fcntl(d->in, F_SETFL, fcntl(d->in, F_GETFL) | O_ASYNC);
}

static int open_console(void)
{
    FILE *f = tmpfile();
    int fd = f != NULL ? dup(fileno(f)) : -1;
    if (f != NULL) {
        (void)fclose(f);
    }
    return fd;
}

struct dap *dap_open(const char *where, struct error *err)
{
    struct dap *d = calloc(1, sizeof *d);
    if (d == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    *d = (struct dap){.in = -1, .out = -1, .listener = -1, .console = open_console()};
    if (d->console < 0) {
        (void)error_set(err, EXIT_STATUS_BAD_FILE, "--dap: no temporary file for the guest's consoles");
        dap_close(d);
        return NULL;
    }
    if (strcmp(where, "-") == 0) {
        d->in = dup(STDIN_FILENO);
        d->out = dup(STDOUT_FILENO);
    } else {
        d->listener = socket_listen("dap", where, err);
        if (d->listener < 0) {
            dap_close(d);
            return NULL;
        }
        d->in = accept(d->listener, NULL, NULL);
        d->out = d->in >= 0 ? dup(d->in) : -1;
    }
    if (d->in < 0 || d->out < 0) {
        (void)error_set(err, EXIT_STATUS_USAGE, "--dap %s: %s", where, strerror(errno));
        dap_close(d);
        return NULL;
    }
    (void)fflush(stdout);
    (void)dup2(d->console, STDOUT_FILENO);
    return d;
}

void dap_close(struct dap *d)
{
    const int fds[] = {d->in, d->out, d->listener, d->console};
    interrupt_flag = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    free(d->buffer);
    free(d);
}

/* ---- In ---- */

static bool fill(struct dap *d, bool wait)
{
    for (;;) {
        struct pollfd p = {.fd = d->in, .events = POLLIN};
        int n = poll(&p, 1, wait ? 100 : 0);
        if (n > 0) {
            break;
        }
        dap_pass_console(d);
        if (!wait) {
            return false;
        }
    }
    if (d->room - d->buffered < 65536) {
        char *grown = realloc(d->buffer, d->room + 131072);
        if (grown == NULL) {
            d->closed = true;
            return false;
        }
        d->buffer = grown;
        d->room += 131072;
    }
    ssize_t n = read(d->in, d->buffer + d->buffered, 65535);
    if (n <= 0) {
        d->closed = n == 0 || (errno != EINTR && errno != EAGAIN);
        return false;
    }
    d->buffered += (size_t)n;
    return true;
}

static void drop(struct dap *d, size_t n)
{
    memmove(d->buffer, d->buffer + n, d->buffered - n);
    d->buffered -= n;
}

/* The body's length; *head: where it begins. 0: the head is not whole yet; -1: this is no head. */
static long find_head(const struct dap *d, size_t *head)
{
    for (size_t i = 0; i + 4 <= d->buffered; i++) {
        if (memcmp(d->buffer + i, "\r\n\r\n", 4) == 0) {
            char text[256];
            if (i >= sizeof text) {
                return -1;
            }
            memcpy(text, d->buffer, i);
            text[i] = '\0';
            const char *at = strstr(text, "Content-Length:");
            long n = at != NULL ? strtol(at + 15, NULL, 10) : -1;
            *head = i + 4;
            return n > 0 && n <= (long)DAP_MESSAGE_MAX ? n : -1;
        }
    }
    return d->buffered > 256 ? -1 : 0;
}

struct json *dap_receive(struct dap *d, bool wait)
{
    while (!d->closed) {
        size_t head;
        long n = d->buffered > 0 ? find_head(d, &head) : 0;
        if (n < 0) { /* what speaks so will not be understood again */
            d->closed = true;
            return NULL;
        }
        if (n > 0 && d->buffered >= head + (size_t)n) {
            struct json *j = json_parse(d->buffer + head, (size_t)n);
            drop(d, head + (size_t)n);
            if (j != NULL && j->kind == JSON_OBJECT) {
                return j;
            }
            json_free(j);
            continue;
        }
        if (!fill(d, wait) && !wait) {
            return NULL;
        }
    }
    return NULL;
}

/* ---- Out ---- */

static void put(struct dap *d, const char *bytes, size_t size)
{
    while (size > 0 && !d->closed) {
        ssize_t n = write(d->out, bytes, size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            if (errno == EAGAIN) {
                struct pollfd p = {.fd = d->out, .events = POLLOUT};
                (void)poll(&p, 1, 1000);
            }
            continue;
        }
        if (n <= 0) {
            d->closed = true;
            return;
        }
        bytes += n;
        size -= (size_t)n;
    }
}

FILE *dap_begin(char **text, size_t *size)
{
    *text = NULL;
    *size = 0;
    FILE *f = open_memstream(text, size);
    if (f == NULL) {
        abort();
    }
    return f;
}

void dap_send(struct dap *d, FILE *f, char **text, size_t *size)
{
    char head[64];
    (void)fclose(f);
    int n = snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", *size);
    put(d, head, (size_t)n);
    put(d, *text, *size);
    free(*text);
}

void dap_event(struct dap *d, const char *event, const char *body)
{
    char *text;
    size_t size;
    FILE *f = dap_begin(&text, &size);
    (void)fprintf(f, "{\"seq\":%" PRIu64 ",\"type\":\"event\",\"event\":\"%s\"%s%s}", ++d->seq, event,
                  body != NULL ? ",\"body\":" : "", body != NULL ? body : "");
    dap_send(d, f, &text, &size);
}

void dap_output(struct dap *d, const char *category, const char *bytes, size_t length)
{
    char *text;
    size_t size;
    if (length == 0) {
        return;
    }
    FILE *f = dap_begin(&text, &size);
    (void)fprintf(f, "{\"seq\":%" PRIu64 ",\"type\":\"event\",\"event\":\"output\",\"body\":{\"category\":\"%s\","
                     "\"output\":", ++d->seq, category);
    json_put_bytes(f, bytes, length);
    (void)fputs("}}", f);
    dap_send(d, f, &text, &size);
}

void dap_pass_console(struct dap *d)
{
    char bytes[4096];
    ssize_t n;
    (void)fflush(stdout);
    while (d->begun && (n = pread(d->console, bytes, sizeof bytes, d->console_at)) > 0) {
        d->console_at += n;
        dap_output(d, "stdout", bytes, (size_t)n);
    }
}
