/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Position, virtual time and the event queue: one of each per machine.
 *
 * Virtual time = position / ips + idle time. There is one clock for all processors, so there are
 * no TSC warps and no effect before its cause. Idle (every processor waiting) jumps to the next
 * event. The rates are configuration and are stored in every recording.
 *
 * While a processor runs, the clock asks it how far it is (`running`), so a device that reads the
 * time in the middle of a block sees the exact position of the accessing instruction. */
#ifndef VITRINE_BASE_CLOCK_H
#define VITRINE_BASE_CLOCK_H

#include "base/state.h"
#include "base/types.h"

#define NS_PER_SEC 1000000000u
#define VTIME_NEVER ((vtime_t){~(u64)0})

struct clock;

/* A one-shot timer owned by a device or processor. Fires between instructions, at the first
 * boundary whose virtual time is >= deadline. Equal deadlines fire in order of registration. */
struct timer {
    struct clock *clock;
    void (*fire)(void *self);
    void *self;
    const char *name; /* static text, for logs */
    vtime_t deadline; /* VTIME_NEVER: not armed */
    u32 order;        /* registration order */
};

struct clock {
    u64 ips;    /* instructions per second of virtual time; not 0 */
    u64 tsc_hz; /* rate of every processor's TSC */
    u64 position;  /* completed before the running slice */
    u64 idle_ns;   /* time skipped while every processor waited */
    u64 (*running)(void *cpu); /* counts of the running slice so far; NULL outside a slice */
    void *running_cpu;
    void (*deadline_moved)(void *owner); /* an earlier deadline was armed inside a slice */
    void *owner;
    struct timer *timers[512]; /* in registration order */
    unsigned timer_count;
};

void clock_init(struct clock *clock, u64 ips, u64 tsc_hz);
void clock_state(void *clock, struct state_io *io);

position_t clock_position(const struct clock *clock);
vtime_t clock_now(const struct clock *clock);
/* The TSC before any per-processor offset. */
u64 clock_tsc(const struct clock *clock);

/* By how much it grows with each count, always; 0: not by a whole number. */
u64 clock_tsc_per_count(const struct clock *clock);

/* Ticks of a counter of `hz` since power-on: floor(now * hz). For PIT, HPET, PM timer, APIC. */
u64 clock_ticks(const struct clock *clock, u64 hz);
/* The earliest virtual time at which clock_ticks(hz) >= ticks. */
vtime_t clock_time_of_tick(u64 ticks, u64 hz);
/* The earliest virtual time at which clock_tsc() >= tsc, for the TSC deadline timer. May lie up to
 * one instruction late, never early. */
vtime_t clock_time_of_tsc(const struct clock *clock, u64 tsc);

/* Register a timer, not armed. Registration order must not depend on anything but configuration. */
void timer_init(struct timer *t, struct clock *clock, const char *name, void (*fire)(void *self),
                void *self);
void timer_arm(struct timer *t, vtime_t deadline);
void timer_cancel(struct timer *t);
static inline bool timer_is_armed(const struct timer *t)
{
    return t->deadline.ns != VTIME_NEVER.ns;
}
/* Visit a timer's deadline; every device calls this for each of its timers. */
void timer_state(struct timer *t, struct state_io *io, const char *field);

/* For the run loop. */
vtime_t clock_next_deadline(const struct clock *clock);
/* Instructions that can run before the given time is reached (0 when it is now or past). */
u64 clock_instructions_until(const struct clock *clock, vtime_t t);
/* Fire every timer that is due, in order of deadline, then registration. */
void clock_fire_due(struct clock *clock);
/* Skip idle time up to t; no effect when t is not in the future. */
void clock_skip_to(struct clock *clock, vtime_t t);

#endif
