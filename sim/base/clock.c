/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include "base/assert.h"
#include "base/bits.h"

void clock_init(struct clock *clock, u64 ips, u64 tsc_hz)
{
    *clock = (struct clock){.ips = ips, .tsc_hz = tsc_hz};
    sim_assert(ips != 0);
}

void clock_state(void *self, struct state_io *io)
{
    struct clock *clock = self;
    state_section(io, "clock", 1);
    state_u64(io, "ips", &clock->ips);
    state_u64(io, "tsc_hz", &clock->tsc_hz);
    state_u64(io, "position", &clock->position);
    state_u64(io, "idle_ns", &clock->idle_ns);
}

position_t clock_position(const struct clock *clock)
{
    u64 n = clock->position;
    if (clock->running != NULL) {
        n += clock->running(clock->running_cpu);
    }
    return (position_t){n};
}

vtime_t clock_now(const struct clock *clock)
{
    u64 n = clock_position(clock).n;
    return (vtime_t){mul_div(n, NS_PER_SEC, clock->ips) + clock->idle_ns};
}

u64 clock_tsc(const struct clock *clock)
{
    u64 n = clock_position(clock).n;
    return mul_div(n, clock->tsc_hz, clock->ips) +
           mul_div(clock->idle_ns, clock->tsc_hz, NS_PER_SEC);
}

u64 clock_tsc_per_count(const struct clock *clock)
{
    return clock->tsc_hz % clock->ips == 0 ? clock->tsc_hz / clock->ips : 0;
}

u64 clock_ticks(const struct clock *clock, u64 hz)
{
    return mul_div(clock_now(clock).ns, hz, NS_PER_SEC);
}

vtime_t clock_time_of_tick(u64 ticks, u64 hz)
{
    u128 ns = ((u128)ticks * NS_PER_SEC + hz - 1) / hz;
    return ns >= VTIME_NEVER.ns ? (vtime_t){VTIME_NEVER.ns - 1} : (vtime_t){(u64)ns};
}

vtime_t clock_time_of_tsc(const struct clock *clock, u64 tsc)
{
    /* Both terms of clock_tsc round down, so aim one tick past and never fire early. */
    u64 now = clock_tsc(clock);
    if (tsc <= now) {
        return clock_now(clock);
    }
    vtime_t delta = clock_time_of_tick(tsc - now + 2, clock->tsc_hz);
    u64 base = clock_now(clock).ns;
    u64 sum = base + delta.ns;
    return (vtime_t){sum < base || sum == VTIME_NEVER.ns ? VTIME_NEVER.ns - 1 : sum};
}

void timer_init(struct timer *t, struct clock *clock, const char *name, void (*fire)(void *self),
                void *self)
{
    sim_assert(clock->timer_count < ARRAY_LEN(clock->timers));
    *t = (struct timer){.clock = clock,
                        .fire = fire,
                        .self = self,
                        .name = name,
                        .deadline = VTIME_NEVER,
                        .order = clock->timer_count};
    clock->timers[clock->timer_count++] = t;
}

void timer_arm(struct timer *t, vtime_t deadline)
{
    t->deadline = deadline;
    if (t->clock->running != NULL && t->clock->deadline_moved != NULL) {
        t->clock->deadline_moved(t->clock->owner);
    }
}

void timer_cancel(struct timer *t)
{
    t->deadline = VTIME_NEVER;
}

void timer_state(struct timer *t, struct state_io *io, const char *field)
{
    state_u64(io, field, &t->deadline.ns);
}

static struct timer *first_timer(const struct clock *clock)
{
    struct timer *best = NULL;
    for (unsigned i = 0; i < clock->timer_count; i++) {
        struct timer *t = clock->timers[i];
        if (timer_is_armed(t) && (best == NULL || t->deadline.ns < best->deadline.ns)) {
            best = t;
        }
    }
    return best;
}

vtime_t clock_next_deadline(const struct clock *clock)
{
    const struct timer *t = first_timer(clock);
    return t != NULL ? t->deadline : VTIME_NEVER;
}

u64 clock_instructions_until(const struct clock *clock, vtime_t t)
{
    u64 now = clock_now(clock).ns;
    if (t.ns <= now) {
        return 0;
    }
    /* The smallest n for which floor(n * 1e9 / ips) + idle reaches t. */
    u64 busy_target = t.ns - clock->idle_ns;
    u128 n =
        ((u128)busy_target * clock->ips + NS_PER_SEC - 1) / NS_PER_SEC;
    u64 position = clock_position(clock).n;
    if (n <= position) {
        return 1;
    }
    n -= position;
    return n > (u64)INT64_MAX ? (u64)INT64_MAX : (u64)n;
}

void clock_fire_due(struct clock *clock)
{
    for (;;) {
        struct timer *t = first_timer(clock);
        if (t == NULL || t->deadline.ns > clock_now(clock).ns) {
            return;
        }
        t->deadline = VTIME_NEVER;
        t->fire(t->self);
    }
}

void clock_skip_to(struct clock *clock, vtime_t t)
{
    u64 now = clock_now(clock).ns;
    if (t.ns > now && t.ns != VTIME_NEVER.ns) {
        clock->idle_ns += t.ns - now;
    }
}
