/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *err, enum exit_status status, const char *fmt, ...)
{
    if (err->status != EXIT_STATUS_OK) {
        return false;
    }
    err->status = status;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return false;
}
