/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listening for those who debug. */
#ifndef VITRINE_DEBUGGER_SOCKET_H
#define VITRINE_DEBUGGER_SOCKET_H

#include "base/status.h"

/* "HOST:PORT", "tcp:HOST:PORT", ":PORT" or "PORT"; without a host at 127.0.0.1 alone. option names it in the line in
 * *err. Returns the socket, -1: not. */
int socket_listen(const char *option, const char *where, struct error *err);

#endif
