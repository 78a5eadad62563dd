/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* pseudo terminals */
#include "machine/host/term.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEY_PREFIX 1u /* Ctrl-A */

u64 host_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

void term_open(struct term *t, int fd)
{
    *t = (struct term){.fd = fd};
    if (tcgetattr(fd, &t->saved) != 0) {
        return;
    }
    struct termios raw = t->saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    t->raw = tcsetattr(fd, TCSANOW, &raw) == 0;
}

void term_close(struct term *t)
{
    if (t->raw) {
        (void)tcsetattr(t->fd, TCSANOW, &t->saved);
        t->raw = false;
    }
}

enum term_action term_filter(struct term *t, u8 *bytes, size_t *n)
{
    enum term_action action = TERM_NOTHING;
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        u8 key = bytes[i];
        if (!t->prefix) {
            t->prefix = key == KEY_PREFIX;
            if (!t->prefix) {
                bytes[kept++] = key;
            }
            continue;
        }
        t->prefix = false;
        switch (key) {
        case 'x':
        case 'X':
            action = TERM_QUIT;
            break;
        case 'c':
        case 'C':
            action = TERM_MONITOR;
            break;
        case 'h':
        case '?':
            action = TERM_HELP;
            break;
        case KEY_PREFIX:
            bytes[kept++] = KEY_PREFIX;
            break;
        default:
            break;
        }
    }
    *n = kept;
    return action;
}

void term_help(void)
{
    (void)fprintf(stderr, "\r\nCtrl-A h  this help\r\n"
                          "Ctrl-A x  quit\r\n"
                          "Ctrl-A c  debugger\r\n"
                          "Ctrl-A Ctrl-A  a Ctrl-A for the guest\r\n");
}

int term_open_pty(char *path, size_t size, struct error *err)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || ptsname_r(fd, path, size) != 0) {
        (void)error_set(err, EXIT_STATUS_BAD_FILE, "--serial pty: no pseudo terminal: %s",
                        strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    /* The other side stays open here too, so that the line does not hang up between users. */
    int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0) {
        struct term t;
        term_open(&t, slave);
    }
    return fd;
}
