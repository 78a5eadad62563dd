/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our own bugs. Checked in release builds too; ends the process with status 70 after one line.
 * Never assert on what a guest or a file can contain. */
#ifndef VITRINE_BASE_ASSERT_H
#define VITRINE_BASE_ASSERT_H

#include "base/types.h"

__attribute__((noreturn, cold)) void sim_bug(const char *file, int line, const char *what);

#define sim_assert(cond) ((cond) ? (void)0 : sim_bug(__FILE__, __LINE__, #cond))
#define sim_unreachable() sim_bug(__FILE__, __LINE__, "reached what cannot be reached")

#endif
