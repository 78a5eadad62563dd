/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stop points: where a debugger wants the machine to stop. machine_run() then returns STOP_BREAK and stops_hit()
 * says what was met. No guest can tell: a run with them has the hashes of one without.
 *
 * A code breakpoint stops before its instruction, everything else behind what it looks for, at the next boundary.
 * machine_run() steps over breakpoints at the position where it starts.
 *
 * Watched ranges are physical, and RAM or ROM. Reads are those that processors' instructions make; devices' reads
 * and page walks are not seen. An interrupt that is taken counts as a step. */
#ifndef VITRINE_MACHINE_STOPS_H
#define VITRINE_MACHINE_STOPS_H

#include "machine/machine.h"

enum stop_point_kind {
    POINT_CODE,          /* at: linear address, at any level of guests */
    POINT_CODE_PHYSICAL, /* at: physical address, RAM or ROM */
    POINT_WRITE,         /* a byte of [at, at + size) is written, by whomever */
    POINT_READ,          /* ... is read by a processor */
    POINT_ACCESS,        /* either */
    /* Something happens; at: vector or exit reason, POINT_ANY: whichever. */
    POINT_EXCEPTION,
    POINT_INTERRUPT,
    POINT_VM_EXIT,
    POINT_VM_ENTRY,
    POINT_ENTRY_FAILURE,
    POINT_EVENT, /* whoever looks at events (trace_look) says that one is met: stops_meet() */
    POINT_STEP,  /* only in hits */
};

#define POINT_ANY (~(u64)0)
#define STOPS_MAX 256

struct stop_point {
    enum stop_point_kind kind;
    u64 at, size;
};

struct stop_hit {
    struct stop_point point;
    unsigned cpu;
    u64 position; /* of the instruction that met it */
    u64 detail;   /* watched ranges: the physical address accessed; moments: vector or reason */
    bool write;
    u64 seen; /* an event that was noted: machine->seen behind it; 0: none */
};

/* False with a line in *err: not RAM, or too many. Points are counted: added twice, removed twice. */
bool stops_add(struct machine *m, const struct stop_point *point, struct error *err);
bool stops_remove(struct machine *m, const struct stop_point *point);
void stops_clear(struct machine *m);
void stops_free(struct machine *m);
/* The next machine_run() ends when this processor has executed one instruction; the others have their turns.
 * STOPS_NO_CPU: it does not, after all. */
#define STOPS_NO_CPU (~0u)
void stops_step(struct machine *m, unsigned cpu);
/* What the last STOP_BREAK was about. */
const struct stop_hit *stops_hit(const struct machine *m);

/* Is a breakpoint or a moment that was met really wanted? Asked as it happens, so that going back needs no second
 * look. Watched ranges are not asked for: their new value is not there yet. */
struct stops_filter {
    bool (*wanted)(void *self, const struct stop_hit *hit);
    void *self;
};
void stops_set_filter(struct machine *m, const struct stops_filter *filter);
/* From a look at events: this one is what the debugger waits for. */
void stops_meet(struct machine *m, const struct stop_hit *hit);

/* A linear address as a processor's tables have it now, without setting anything. False: not mapped. */
bool stops_translate(const struct machine *m, unsigned cpu, u64 lin, spa_t *spa);

/* Whose turn comes at this position. */
unsigned stops_next_cpu(const struct machine *m);

/* For the run loop and travel. */
enum stops_mode { STOPS_ARMED, STOPS_QUIET };
/* Returns the mode before. While a scan is on, nothing stops either. */
enum stops_mode stops_set_mode(struct machine *m, enum stops_mode mode);
/* From here on remember the last hit before position `end`. */
void stops_start_scan(struct machine *m, u64 end);
bool stops_end_scan(struct machine *m, struct stop_hit *hit);
/* The same for where a processor has executed anything: the position behind it, 0: it has not. */
void stops_start_cpu_scan(struct machine *m, unsigned cpu);
u64 stops_end_cpu_scan(struct machine *m);
void stops_set_hit(struct machine *m, const struct stop_hit *hit);
/* A state was loaded: mark the watched pages again. */
void stops_rearm(struct machine *m);
void stops_resume(struct machine *m);
/* The next machine_run() goes on with the last one, which ended for nothing that was to be told: breakpoints where
 * it stands have not been met yet. */
void stops_go_on(struct machine *m);
u64 stops_budget(const struct machine *m, unsigned cpu, u64 budget);
void stops_after_slice(struct machine *m, unsigned cpu, u64 used);

#endif
