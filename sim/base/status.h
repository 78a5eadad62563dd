/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trouble that is the user's or the host's: one clear line and the exit status of the product.
 * Guest-visible events are cpu_rc (cpu/event.h), guest nonsense is log_guest_error (base/log.h),
 * our own bugs are sim_assert (base/assert.h). */
#ifndef VITRINE_BASE_STATUS_H
#define VITRINE_BASE_STATUS_H

#include "base/types.h"

/* Exit statuses: a contract, see README "Exit status". */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_USAGE = 64,
    EXIT_STATUS_BAD_FILE = 65,
    EXIT_STATUS_NO_FILE = 66,
    EXIT_STATUS_INTERNAL = 70,
    EXIT_STATUS_RESET = 71,
    EXIT_STATUS_VIOLATION = 72,
    EXIT_STATUS_DIFFERS = 73,
    EXIT_STATUS_STOP_ON_UNMET = 74,
    EXIT_STATUS_ALL_HALTED = 75,
    EXIT_STATUS_LIMIT = 124,
    EXIT_STATUS_INTERRUPTED = 130,
};

struct error {
    enum exit_status status; /* EXIT_STATUS_OK while nothing is wrong */
    char text[512];          /* one line, no newline, says what to do */
};

/* Record trouble and return false, so that `return error_set(...)` reads well. The first error
 * stays; later ones are dropped. */
bool error_set(struct error *err, enum exit_status status, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
