/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recording in memory, as a replay needs it. */
#ifndef VITRINE_TRACES_LOAD_H
#define VITRINE_TRACES_LOAD_H

#include "machine/evidence.h"
#include "traces/reader.h"

struct disk_block {
    u64 drive, offset;
    const u8 *bytes;
    u32 size;
};

struct disk_after {
    u64 size, hash;
    const char *path;
};

struct loaded_recording {
    struct machine_recording recording;
    char *config;
    struct gate_entry *inputs;
    struct machine_mark *marks;
    u8 **blocks; /* what the pointers above point into */
    size_t block_count;
    size_t input_count, mark_count; /* inputs without the final GATE_END */
    /* How the recorded run ended. */
    bool has_stop; /* else it was killed, and this is the last thing it wrote */
    enum stop_reason reason;
    u32 code;
    struct machine_mark stop;
    /* What its drives held before it wrote to their files, and the files as it left them. */
    struct disk_block *disk_blocks;
    size_t disk_block_count;
    struct disk_after *disk_afters;
    size_t disk_after_count;
    struct error cut; /* why the file ended early; status 0: it did not */
};

bool recording_load(struct loaded_recording *l, const char *path, struct error *err);
bool recording_load_memory(struct loaded_recording *l, const u8 *data, size_t size, struct error *err);
void recording_free(struct loaded_recording *l);

#endif
