/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Going back. Checkpoints are taken on the way: all state but memory, and the pre-images of the pages that
 * are written afterwards. Going back restores the nearest one before the wanted position and runs forward
 * again, which gives the same machine because only input comes from outside, and that is kept.
 *
 * Nothing of it can be seen by the guest: a run with checkpoints has the hashes of one without. What the
 * guest prints while it runs again what it has already run is not shown a second time, nor logged, traced
 * or sent to the network.
 *
 * A place is named by its position. Where the machine idles, several virtual times share a position; the
 * first is meant. */
#ifndef VITRINE_MACHINE_TRAVEL_H
#define VITRINE_MACHINE_TRAVEL_H

#include "machine/machine.h"

struct travel_options {
    u64 spacing; /* counts between checkpoints; 0: as many as run again in TRAVEL_REPLAY_NS */
    u64 memory;  /* bytes that all checkpoints may take; 0: TRAVEL_MEMORY. Older ones are thinned out */
    /* What the host spends, in ns: NULL is this thread's processor time. It moves checkpoints, nothing that can be
     * seen. */
    u64 (*spent)(void *self);
    void *spent_self;
};

/* To run again from one checkpoint to the next should take so long: a guest that makes the simulator slow has them
 * closer together. To take one may cost a tenth of that. */
#define TRAVEL_REPLAY_NS 40000000u
#define TRAVEL_SPACING 20000000u /* to begin with */
#define TRAVEL_SPACING_LEAST 500000u
#define TRAVEL_SPACING_MOST 400000000u
#define TRAVEL_MEMORY GIB(1)

/* From here on one can go back to here. options NULL: those of the machine's configuration. False with a line in
 * *err. */
bool travel_start(struct machine *m, const struct travel_options *options, struct error *err);
/* Forget all checkpoints; the machine stays where it is. */
void travel_stop(struct machine *m);

/* Go to the first moment at or after a position, back or forward. STOP_POSITION when it is there; anything
 * else is why it came no further (ahead of where it has been). STOP_ERROR with a line in m->error for a
 * position before the first checkpoint. */
struct run_result travel_to(struct machine *m, u64 position);
/* Go to the last moment whose position is less than now. */
struct run_result travel_step_back(struct machine *m);
/* Go to just before the last instruction of one processor. STOP_NONE when it executed none since the first
 * checkpoint; the machine is then where it was. */
struct run_result travel_step_back_cpu(struct machine *m, unsigned cpu);
/* Go to just before the last instruction (or device) that wrote a byte of memory at [spa, spa + size), in
 * one page. STOP_NONE when nobody did since the first checkpoint; the machine is then where it was. */
struct run_result travel_last_write(struct machine *m, spa_t spa, u64 size);

/* Tell of the last writes to a range of one page before now, the last one first: as many as `tell` wants. It is
 * called during runs through the past, before the bytes change, and must only look. Then the machine is where it
 * was. */
struct travel_write {
    u64 position, rip;
    unsigned cpu;
    bool device;
    u8 before[16]; /* the range's bytes, as far as they fit */
};
typedef bool travel_tell(void *self, const struct travel_write *w);
struct run_result travel_writes(struct machine *m, spa_t spa, u64 size, travel_tell *tell, void *self);

/* Go to just before what last met a stop point (machine/stops.h) before now: a breakpoint's instruction, the
 * instruction that touched a watched range, or before a moment. stops_hit() says what. STOP_NONE when nothing
 * did since the first checkpoint; the machine is then where it was. */
struct run_result travel_back_to_stop(struct machine *m);
/* Go to just before a hit that is known. */
struct stop_hit;
struct run_result travel_before_hit(struct machine *m, const struct stop_hit *hit);

/* Position of the first checkpoint, how many there are, the bytes they take, and how far apart new ones come. */
struct travel_figures {
    u64 first, count, bytes, spacing;
    u64 front; /* the furthest position reached */
};
struct travel_figures travel_figures(const struct machine *m);

/* For the run loop: the position at which the next slice must end, ~0 for none. */
u64 travel_next_position(const struct machine *m);
void travel_at_gate_point(struct machine *m);
/* Does the machine run again what it has already run? */
bool travel_is_in_past(const struct machine *m);

#endif
