/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/assert.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>

void sim_bug(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "vitrine: internal error at %s:%d: %s; please report this\n", file, line,
                  what);
    (void)fflush(NULL);
    _Exit(EXIT_STATUS_INTERNAL);
}
