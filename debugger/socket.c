/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int socket_listen(const char *option, const char *where, struct error *err)
{
    char host[256] = "127.0.0.1";
    const char *text = strncmp(where, "tcp:", 4) == 0 ? where + 4 : where;
    const char *colon = strrchr(text, ':');
    const char *port = colon != NULL ? colon + 1 : text;
    if (colon != NULL && colon != text) {
        (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (*port == '\0' || getaddrinfo(host, port, &hints, &found) != 0) {
        (void)error_set(err, EXIT_STATUS_USAGE, "--%s %s: want HOST:PORT, for example 127.0.0.1:1234", option, where);
        return -1;
    }
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool ok = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 1) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (!ok) {
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)error_set(err, EXIT_STATUS_USAGE, "--%s %s: %s; choose another port", option, where, strerror(why));
        return -1;
    }
    return fd;
}
