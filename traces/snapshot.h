/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Snapshots: a whole machine in a file, at an instruction boundary. The file has the form of a recording
 * (sim/trace/format.h): the configuration, then the state in packed and checked pieces. Loaded into a
 * machine of the same configuration, on any host, it has the same future. */
#ifndef VITRINE_TRACES_SNAPSHOT_H
#define VITRINE_TRACES_SNAPSHOT_H

#include "base/status.h"
#include "machine/machine.h"

struct snapshot {
    char *config;
    u8 *state;
    size_t size;
};

/* Write m to a file, which is taken. config: the text from which the same machine can be built. */
bool snapshot_write(struct machine *m, int fd, const char *config, struct error *err);
/* Read a file. False with a line in *err (65, 66) when it is missing, no snapshot, or damaged. */
bool snapshot_read(struct snapshot *s, const char *path, struct error *err);
bool snapshot_read_memory(struct snapshot *s, const u8 *data, size_t size, struct error *err);
/* Make m what was saved. After a failure (a machine of another shape) m must not be run. */
bool snapshot_apply(const struct snapshot *s, struct machine *m, struct error *err);
void snapshot_free(struct snapshot *s);

#endif
