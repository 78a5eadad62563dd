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
/* At the end of a saved state: what the watch knows, if it is on. Restored, it goes on from there; a watch that is
 * switched on later, too. */
void watching_state(struct machine *m, struct state_io *io);
struct watch *watching_tracker(const struct machine *m); /* NULL: off */
/* Write down, as it is now, which memory is within whose reach: events of the class owner. */
void watching_record_owners(struct machine *m);
/* From now on, report where an IOMMU's tables were changed, used and not invalidated (devices/iommu/iommu_stale.h). */
void watching_look_for_stale(struct machine *m, enum violation_policy policy);
/* How many interrupts of devices went straight to guests; nothing if there is no IOMMU. */
void watching_print_posted(const struct machine *m, FILE *out);
void watching_print_stale(const struct machine *m, FILE *out);
/* Pages shared by strangers, and stale uses. */
u64 watching_violations(const struct machine *m);

#endif
