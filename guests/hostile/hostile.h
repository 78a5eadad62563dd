/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GUESTS_HOSTILE_HOSTILE_H
#define GUESTS_HOSTILE_HOSTILE_H

#include "guests/lib/lib.h"

/* attack.c */
extern bool attack_from_vtl2; /* then it leaves its own level's registers alone: it would only end itself */
void attack_init(void);
/* One hostile thing of some kind. */
void attack_once(void);
/* What was answered, how often. */
void attack_table(void);
u64 any(u64 below);
extern u64 faults;
/* A call; its result, ~0 when it faults. */
u64 attack_raw(u64 control, u64 rdx, u64 r8);

/* bus.c */
void bus_attack(u64 count);

#endif
