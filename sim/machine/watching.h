/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The isolation watch on a machine: feeds sim/watch from processors and the IOMMU. */
#ifndef VITRINE_MACHINE_WATCHING_H
#define VITRINE_MACHINE_WATCHING_H

#include "machine/machine.h"
#include "watch/watch.h"

/* From now on; not before machine_new() is done. The guest sees no difference. */
void watching_start(struct machine *m, enum violation_policy policy);
void watching_stop(struct machine *m);
/* Memory was replaced: start anew. */
void watching_forget(struct machine *m);
struct watch *watching_tracker(const struct machine *m); /* NULL: off */
u64 watching_violations(const struct machine *m);

#endif
