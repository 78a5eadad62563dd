/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input gate: the one way by which anything outside reaches the machine.
 *
 * The run loop comes to a *gate point* between slices, whenever position or virtual time has moved.
 * Live, what sources have offered since is stamped with that position and time, recorded, and handed
 * to the source's sink. In a replay the entries of the log are handed over at their stamps instead,
 * and what sources offer is ignored; the loop ends slices where gate_next_position() says.
 *
 * One position and time have one gate point, the first at which the loop passes there; so a stamp is
 * unambiguous. An entry that comes while the machine idles moves the time on by at least 1 ns. */
#ifndef VITRINE_TRACE_GATE_H
#define VITRINE_TRACE_GATE_H

#include "base/clock.h"
#include "base/types.h"
#include "trace/trace.h"

/* Sources: names in traces. */
#define GATE_SOURCES(X)                                                                            \
    X(CONSOLE0, "console0")                                                                        \
    X(CONSOLE1, "console1")                                                                        \
    X(CONSOLE2, "console2")                                                                        \
    X(CONSOLE3, "console3")                                                                        \
    X(CONSOLE4, "console4")                                                                        \
    X(CONSOLE5, "console5")                                                                        \
    X(NET0, "net0")                                                                                \
    X(END, "end") /* no input: where a recording ends */

enum gate_source {
#define X(id, name) GATE_##id,
    GATE_SOURCES(X)
#undef X
        GATE_SOURCE_COUNT
};

const char *gate_source_name(enum gate_source source);

struct gate_entry {
    enum gate_source source;
    position_t position;
    vtime_t time;
    const u8 *bytes;
    u32 size;
};

struct gate_sink {
    void (*deliver)(void *self, const u8 *bytes, u32 size);
    void *self;
};

struct gate {
    const struct clock *clock;
    struct trace *trace;
    struct gate_sink sinks[GATE_SOURCE_COUNT];
    bool passed; /* the fields below are valid */
    position_t last_position;
    vtime_t last_time;
    /* Live: {u32 source, u32 size, bytes} on their way to the next gate point. */
    u8 *queue;
    size_t queued, queue_cap;
    /* Replay. Not owned. */
    bool replaying, ended;
    const struct gate_entry *log;
    size_t log_count, log_next;
    const struct gate_entry *missed; /* the run came past this entry's stamp */
    /* Kept of a live run, so that one can go back in it: the entries with bytes of their own. While it is
     * replayed, a GATE_END entry at its end says where it goes on live. */
    bool keeping;
    struct gate_entry *kept;
    size_t kept_count, kept_cap;
};

void gate_init(struct gate *gate, const struct clock *clock, struct trace *trace);
void gate_free(struct gate *gate);
void gate_set_sink(struct gate *gate, enum gate_source source, struct gate_sink sink);

/* Something came in from outside. No bytes mean the source has ended. */
void gate_offer(struct gate *gate, enum gate_source source, const void *bytes, u32 size);
static inline bool gate_has_offers(const struct gate *gate)
{
    return gate->queued > 0;
}

/* Feed `log` instead, in order of its stamps; a GATE_END entry sets `ended`. */
void gate_replay(struct gate *gate, const struct gate_entry *log, size_t count);

/* Keep from here on what comes in live. */
void gate_keep(struct gate *gate);
/* From here on nothing is kept, and a kept run is live again wherever it is: what came in later never will. */
void gate_forget_kept(struct gate *gate);
/* Where the gate stands: which entry comes next, and which gate point was the last. */
struct gate_place {
    size_t next;
    bool passed;
    position_t position;
    vtime_t time;
};
struct gate_place gate_place(const struct gate *gate);
/* The machine is about to be put back to where the gate stood at `place`: what came in since is handed over
 * again. A live run that was kept becomes live again at the moment at which it is now. */
void gate_rewind(struct gate *gate, const struct gate_place *place);

/* Is this position and time a gate point? */
bool gate_is_point(const struct gate *gate);
/* The gate point: hand over what is due. */
void gate_pass(struct gate *gate);

/* Replay: the position at which the next slice must end, ~0 when none is ahead. */
u64 gate_next_position(const struct gate *gate);
/* Replay: when the next entry is due here while the machine idles; VTIME_NEVER when none is. */
vtime_t gate_next_time(const struct gate *gate);

#endif
