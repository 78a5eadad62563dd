/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hv's log on the first serial port, and the end of the world. */
#ifndef HV_CORE_CONSOLE_H
#define HV_CORE_CONSOLE_H

#include "hv/core/types.h"

/* COM1: 115200 baud, eight bits. */
void console_init(void);
/* %d %u %x %c %s %p %%, lengths l and z; width and 0-fill for numbers. One call, one line, prefixed "hv: ". */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says why, and stops every processor. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
