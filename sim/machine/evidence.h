/* SPDX-License-Identifier: GPL-3.0-or-later */
/* State hashes on the way and at the end of a run: a recording holds them, a replay is checked by
 * them. Taking one changes nothing that the guest can see. */
#ifndef VITRINE_MACHINE_EVIDENCE_H
#define VITRINE_MACHINE_EVIDENCE_H

#include "machine/machine.h"
#include "trace/gate.h"

/* A mark as recorded. parts: part_count rows of a 64-bit hash and a name of 32 bytes, which say
 * which part of the machine differs. */
#define MARK_PART_SIZE 40u
struct machine_mark {
    position_t position;
    vtime_t time;
    u64 hash;
    const u8 *parts;
    u32 part_count;
};

/* What a replay is fed with and compared to. */
struct machine_recording {
    const struct gate_entry *inputs; /* the last one is GATE_END */
    size_t input_count;
    const struct machine_mark *marks; /* in order of position */
    size_t mark_count;
};

/* Take marks from here on, every config.epoch counts. The trace is already open. */
void evidence_start_recording(struct machine *m);
/* Write the end of the run down. */
void evidence_record_end(struct machine *m, const struct run_result *result);

/* Before the first machine_run: be the recorded run. */
void evidence_start_replay(struct machine *m, const struct machine_recording *recording);
/* Compare the machine with a recorded hash; false with a line in *err (status 73). */
bool evidence_compare(struct machine *m, const struct machine_mark *mark, struct error *err);

/* The machine is back at an earlier position: compare marks from here on again. */
void evidence_rewind(struct machine *m);

/* For the run loop: the position at which the next slice must end, ~0 for none. */
u64 evidence_next_position(const struct machine *m);
/* At a gate point. False: the replay differs, m->error says how. */
bool evidence_at_gate_point(struct machine *m);

#endif
