/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port on a machine. */
#ifndef VITRINE_MACHINE_CLAIMS_H
#define VITRINE_MACHINE_CLAIMS_H

#include "machine/machine.h"

/* Add the device to the board (--device trace-port). */
void claims_add_port(struct machine *m);
/* How many records of it are not what the watch derived. */
u64 claims_differ(const struct machine *m);

#endif
