/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How commands make points. */
#ifndef VITRINE_DEBUGGER_SHELL_POINTS_H
#define VITRINE_DEBUGGER_SHELL_POINTS_H

#include "debugger/shell/shell_priv.h"

/* "... [level L1|guest 2] [if CONDITION]": cut off, and made one condition; NULL: there is none. */
#define CONDITION_ROOM 640
const char *point_cut_condition(char *text, char room[CONDITION_ROOM]);
void point_add_stop(struct shell_point *p, enum stop_point_kind kind, u64 at, u64 size);
/* A condition of the user's (NULL: none) beside one that follows from what was asked for ("": none). */
void point_set_condition(struct shell_point *p, const char *own, const char *given);
void point_arm_and_say(struct shell *s, struct shell_point *p);

#endif
