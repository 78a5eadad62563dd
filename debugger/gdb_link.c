/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The line to GDB: a TCP socket, packets with checksums, bytes as hexadecimal text. While the machine runs, a byte
 * that comes makes the run loop come back (SIGIO). [GDB "Remote Protocol"] */
#include "debugger/gdb_priv.h"
#include "debugger/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A signal handler has nowhere else to look; there is one machine under GDB in this process. */
static volatile int *interrupt_flag;
static volatile sig_atomic_t stirred;

static void on_input(int signal)
{
    UNUSED(signal);
    stirred = 1;
    if (interrupt_flag != NULL) {
        *interrupt_flag = 1;
    }
}

static void watch_fd(struct gdb *g, int fd)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_input;
    interrupt_flag = &g->m->interrupted;
    (void)sigaction(SIGIO, &sa, NULL);
    (void)fcntl(fd, F_SETOWN, getpid());
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

bool gdb_line_stirred(struct gdb *g)
{
    bool was = stirred != 0;
    stirred = 0;
    if (was) {
        g->m->interrupted = 0;
    }
    return was;
}

bool gdb_listen(struct gdb *g, const char *where, struct error *err)
{
    int fd = socket_listen("gdb", where, err);
    if (fd < 0) {
        return false;
    }
    g->listener = fd;
    watch_fd(g, fd);
    return true;
}

/* Is there something to read? Waits if told to; false also when a signal came that is not the line's. */
static bool readable(struct gdb *g, int fd, bool wait)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, wait ? 1000 : 0);
        if (n > 0) {
            return true;
        }
        if (!wait || (!gdb_line_stirred(g) && g->m->interrupted != 0)) {
            return false;
        }
    }
}

bool gdb_accept(struct gdb *g, bool wait)
{
    if (!readable(g, g->listener, wait)) {
        return false;
    }
    g->fd = accept(g->listener, NULL, NULL);
    if (g->fd < 0) {
        return false;
    }
    int one = 1;
    (void)setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    g->input_at = g->input_size = 0;
    g->no_ack = g->physical = false;
    g->cpu = g->run_cpu = 0;
    watch_fd(g, g->fd);
    return true;
}

void gdb_hang_up(struct gdb *g)
{
    if (g->fd >= 0) {
        (void)close(g->fd);
        g->fd = -1;
    }
    while (g->point_count > 0) {
        (void)stops_remove(g->m, &g->points[--g->point_count].point);
    }
    if (g->shell != NULL) {
        shell_forget_points(g->shell);
    }
}

/* The next byte; -1: closed, -2: interrupted, -3: none, and not waited for. */
static int next_byte(struct gdb *g, bool wait)
{
    if (g->input_at == g->input_size) {
        if (!readable(g, g->fd, wait)) {
            return wait ? -2 : -3;
        }
        ssize_t n = recv(g->fd, g->input, sizeof g->input, 0);
        if (n <= 0) {
            return n < 0 && errno == EINTR ? -2 : -1;
        }
        g->input_at = 0;
        g->input_size = (size_t)n;
    }
    return g->input[g->input_at++];
}

static void send_bytes(struct gdb *g, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(g->fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* the next receive sees it */
        }
        bytes += n;
        size -= (size_t)n;
    }
}

static unsigned digit(int c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

enum gdb_wait gdb_receive(struct gdb *g)
{
    for (;;) {
        int c = next_byte(g, true);
        if (c < 0) {
            return c == -1 ? GDB_LINE_CLOSED : GDB_LINE_INTERRUPTED;
        }
        if (c == 3) {
            return GDB_LINE_BREAK;
        }
        if (c != '$') {
            continue;
        }
        unsigned sum = 0;
        g->packet_size = 0;
        while ((c = next_byte(g, true)) >= 0 && c != '#') {
            sum += (unsigned)c;
            if (c == '}') { /* the next byte is escaped */
                c = next_byte(g, true);
                sum += (unsigned)c;
                c ^= 0x20;
            }
            if (g->packet_size < GDB_PACKET) {
                g->packet[g->packet_size++] = (char)c;
            }
        }
        unsigned high = digit(next_byte(g, true)), low = digit(next_byte(g, true));
        g->packet[g->packet_size] = '\0';
        bool good = (sum & 0xff) == high * 16 + low;
        if (!g->no_ack) {
            send_bytes(g, good ? "+" : "-", 1);
        }
        if (good) {
            return GDB_LINE_PACKET;
        }
    }
}

enum gdb_wait gdb_poll(struct gdb *g)
{
    for (;;) {
        int c = next_byte(g, false);
        if (c == -1) {
            return GDB_LINE_CLOSED;
        }
        if (c == 3) {
            return GDB_LINE_BREAK;
        }
        if (c < 0) {
            return GDB_LINE_PACKET;
        }
    }
}

void gdb_send(struct gdb *g)
{
    static const char hex[] = "0123456789abcdef";
    unsigned sum = 0;
    for (size_t i = 0; i < g->reply_size; i++) {
        sum += (u8)g->reply[i];
    }
    char tail[3] = {'#', hex[(sum >> 4) & 15], hex[sum & 15]};
    send_bytes(g, "$", 1);
    send_bytes(g, g->reply, g->reply_size);
    send_bytes(g, tail, sizeof tail);
    g->reply_size = 0;
}

/* ---- Text ---- */

void gdb_put(struct gdb *g, const char *text)
{
    size_t n = strlen(text);
    if (n < sizeof g->reply - g->reply_size) {
        memcpy(g->reply + g->reply_size, text, n);
        g->reply_size += n;
    }
}

void gdb_putf(struct gdb *g, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gdb_put(g, text);
}

void gdb_put_hex(struct gdb *g, const u8 *bytes, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < size && g->reply_size + 2 < sizeof g->reply; i++) {
        g->reply[g->reply_size++] = hex[bytes[i] >> 4];
        g->reply[g->reply_size++] = hex[bytes[i] & 15];
    }
}

size_t gdb_get_hex(const char *text, u8 *bytes, size_t room)
{
    size_t n = 0;
    while (n < room && digit(text[0]) < 16 && digit(text[1]) < 16) {
        bytes[n++] = (u8)(digit(text[0]) * 16 + digit(text[1]));
        text += 2;
    }
    return n;
}

u64 gdb_get_number(const char **text)
{
    u64 v = 0;
    while (digit(**text) < 16) {
        v = v << 4 | digit(**text);
        (*text)++;
    }
    return v;
}
