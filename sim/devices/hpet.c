/* SPDX-License-Identifier: GPL-3.0-or-later */
/* High precision event timers [IA-PC HPET specification 1.0a].
 *
 * Modelled: 64-bit main counter at 100 MHz, three comparators (64 bits with 32-bit mode, periodic,
 * level and edge, I/O APIC routing, FSB messages), legacy replacement routing, interrupt status.
 *
 * The main counter is virtual time plus an offset. Matches are found by arithmetic, not by
 * counting: each comparator remembers up to which counter value its matches are done (`seen`).
 * Several matches within one step of the clock are one interrupt.
 *
 * Edge interrupts: the specification does not say how long the line stays up. To an I/O APIC pin it
 * is a pulse; to the legacy lines it falls just before the next match, since an 8259 forgets an
 * edge whose line falls before the acknowledge.
 *
 * Left out: 1- and 2-byte writes. */
#include "devices/hpet.h"

#include "base/assert.h"
#include "base/bits.h"
#include "devices/bus.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    REG_CAP = 0x000,
    REG_CONFIG = 0x010,
    REG_STATUS = 0x020,
    REG_COUNTER = 0x0f0,
    REG_TIMERS = 0x100,
    TIMER_STRIDE = 0x20,
    T_CONFIG = 0x00,
    T_COMPARATOR = 0x08,
    T_FSB = 0x10,
};

#define CONFIG_ENABLE BIT(0)
#define CONFIG_LEGACY BIT(1)

#define TC_LEVEL BIT(1)
#define TC_ENABLE BIT(2)
#define TC_PERIODIC BIT(3)
#define TC_PERIODIC_CAP BIT(4)
#define TC_SIZE_CAP BIT(5)
#define TC_SET_VALUE BIT(6)
#define TC_32BIT BIT(8)
#define TC_ROUTE(c) ((unsigned)bits_get(c, 9, 5))
#define TC_FSB_ENABLE BIT(14)
#define TC_FSB_CAP BIT(15)
#define TC_WRITABLE \
    (TC_LEVEL | TC_ENABLE | TC_PERIODIC | TC_SET_VALUE | TC_32BIT | 0x3e00 | TC_FSB_ENABLE)
/* Capabilities: routes to pins 2, 8 and 16 to 23. */
#define TC_FIXED (TC_PERIODIC_CAP | TC_SIZE_CAP | TC_FSB_CAP | (u64)0xff0104 << 32)
#define ROUTE_MASK 0xff0104u

struct comparator {
    u64 config;
    u64 value;  /* the next match; accumulates in periodic mode */
    u64 period; /* periodic mode: what is added at each match */
    u64 fsb;
    u64 seen;   /* main counter up to which matches are done */
    bool level; /* what it drives on its line */
};

struct hpet {
    char id[32];             /* configuration */
    struct clock *clock;     /* configuration */
    struct log *log;         /* configuration */
    struct msi_sink msi;     /* configuration */
    u16 requester;           /* configuration */
    struct hpet_outputs out; /* configuration */
    struct timer timer;
    u64 config, status;
    u64 offset; /* enabled: counter - ticks; halted: the counter */
    struct comparator timers[HPET_TIMERS];
    bool pit_in, rtc_in;     /* the replaced devices' lines */
    bool irq0_out, irq8_out; /* the lines as driven */
};

static u64 ticks_now(const struct hpet *h)
{
    return clock_ticks(h->clock, HPET_HZ);
}

static u64 counter_now(const struct hpet *h)
{
    return (h->config & CONFIG_ENABLE) != 0 ? h->offset + ticks_now(h) : h->offset;
}

static bool legacy(const struct hpet *h)
{
    return (h->config & CONFIG_LEGACY) != 0;
}

/* The comparators 0 and 1 have the timer's and the clock's lines in legacy replacement mode. */
static void update_legacy_lines(struct hpet *h)
{
    bool irq0 = legacy(h) ? h->timers[0].level : h->pit_in;
    bool irq8 = legacy(h) ? h->timers[1].level : h->rtc_in;
    if (irq0 != h->irq0_out) {
        h->irq0_out = irq0;
        irq_set(&h->out.irq0, irq0);
    }
    if (irq8 != h->irq8_out) {
        h->irq8_out = irq8;
        irq_set(&h->out.irq8, irq8);
    }
}

static void drive(struct hpet *h, unsigned n, bool level)
{
    struct comparator *t = &h->timers[n];
    bool before = t->level;
    t->level = level;
    if (legacy(h) && n < 2) {
        update_legacy_lines(h);
    } else if (before != level && TC_ROUTE(t->config) < 24) {
        irq_set(&h->out.pins[TC_ROUTE(t->config)], level);
    }
}

static void fire(struct hpet *h, unsigned n)
{
    struct comparator *t = &h->timers[n];
    if ((t->config & TC_ENABLE) == 0) {
        return;
    }
    if ((t->config & TC_FSB_ENABLE) != 0) {
        h->msi.send(h->msi.self, h->requester, t->fsb >> 32, (u32)t->fsb);
    } else if ((t->config & TC_LEVEL) != 0) {
        h->status |= BIT(n);
        drive(h, n, true);
    } else {
        drive(h, n, false);
        drive(h, n, true);
        if (!legacy(h) || n >= 2) {
            drive(h, n, false);
        }
    }
}

static u64 width_mask(const struct comparator *t)
{
    return (t->config & TC_32BIT) != 0 ? 0xffffffff : ~(u64)0;
}

/* Ticks of the main counter from `seen` to the next match; 0: none before the counter has wrapped.
 */
static u64 distance(const struct comparator *t)
{
    u64 d = (t->value - t->seen) & width_mask(t);
    return d == 0 && (t->config & TC_32BIT) != 0 ? (u64)1 << 32 : d;
}

/* Matches up to the present count. */
static void sync_timers(struct hpet *h)
{
    u64 now = counter_now(h);
    for (unsigned n = 0; n < HPET_TIMERS && (h->config & CONFIG_ENABLE) != 0; n++) {
        struct comparator *t = &h->timers[n];
        u64 gap = now - t->seen;
        u64 d = distance(t);
        t->seen = now;
        if (d == 0 || gap < d) {
            continue;
        }
        if ((t->config & TC_PERIODIC) != 0 && t->period != 0) {
            u64 matches = 1 + (gap - d) / t->period;
            t->value = (t->value + matches * t->period) & width_mask(t);
        }
        fire(h, n);
    }
}

/* Wake up for the next match that interrupts. */
static void rearm(struct hpet *h)
{
    u64 best = ~(u64)0;
    for (unsigned n = 0; n < HPET_TIMERS && (h->config & CONFIG_ENABLE) != 0; n++) {
        const struct comparator *t = &h->timers[n];
        u64 d = distance(t);
        if ((t->config & TC_ENABLE) != 0 && d != 0 && d < best) {
            best = d;
        }
    }
    u64 now = ticks_now(h);
    if (best >= (u64)1 << 62) {
        timer_cancel(&h->timer);
    } else {
        timer_arm(&h->timer, clock_time_of_tick(now + best, HPET_HZ));
    }
}

static void timer_fired(void *self)
{
    struct hpet *h = self;
    sync_timers(h);
    rearm(h);
}

static u64 read_register(struct hpet *h, u64 reg)
{
    switch (reg) {
    case REG_CAP:
        return (u64)HPET_PERIOD_FS << 32 | HPET_BLOCK_ID;
    case REG_CONFIG:
        return h->config;
    case REG_STATUS:
        return h->status;
    case REG_COUNTER:
        return counter_now(h);
    default:
        break;
    }
    u64 n = (reg - REG_TIMERS) / TIMER_STRIDE;
    if (reg < REG_TIMERS || n >= HPET_TIMERS) {
        return 0;
    }
    const struct comparator *t = &h->timers[n];
    switch ((reg - REG_TIMERS) % TIMER_STRIDE) {
    case T_CONFIG:
        return t->config | TC_FIXED;
    case T_COMPARATOR:
        return t->value;
    case T_FSB:
        return t->fsb;
    default:
        return 0;
    }
}

static u64 hpet_read(void *self, u64 offset, unsigned size)
{
    struct hpet *h = self;
    UNUSED(size);
    sync_timers(h);
    rearm(h);
    return read_register(h, offset & ~(u64)7) >> (8 * (offset & 7));
}

static void write_config(struct hpet *h, u64 value)
{
    value &= CONFIG_ENABLE | CONFIG_LEGACY;
    u64 changed = h->config ^ value;
    u64 count = counter_now(h);
    bool enable = (value & CONFIG_ENABLE) != 0;
    if ((changed & CONFIG_LEGACY) != 0) {
        for (unsigned n = 0; n < 2; n++) {
            drive(h, n, false);
        }
    }
    h->config = value;
    if ((changed & CONFIG_ENABLE) != 0) {
        h->offset = enable ? count - ticks_now(h) : count;
    }
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct comparator *t = &h->timers[n];
        if (!enable) {
            /* [HPET "Overall Enable"] no interrupts while halted; status bits stay. */
            drive(h, n, false);
        } else if ((t->config & TC_LEVEL) != 0 && (h->status & BIT(n)) != 0) {
            drive(h, n, (t->config & TC_ENABLE) != 0);
        }
    }
    update_legacy_lines(h);
}

static void write_status(struct hpet *h, u64 value)
{
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if ((value & h->status & BIT(n)) != 0) {
            h->status &= ~BIT(n);
            drive(h, n, false);
        }
    }
}

static void write_timer_config(struct hpet *h, unsigned n, u64 value)
{
    struct comparator *t = &h->timers[n];
    drive(h, n, false);
    unsigned route = TC_ROUTE(value);
    t->config = value & TC_WRITABLE;
    if (route != 0 && (ROUTE_MASK >> route & 1) == 0) {
        log_guest_error(h->log, "HPET: timer %u routed to pin %u", n, route);
        t->config &= ~(u64)0x3e00;
    }
    if ((t->config & TC_PERIODIC) == 0) {
        t->config &= ~TC_SET_VALUE;
    }
    if ((t->config & TC_32BIT) != 0) {
        t->value &= 0xffffffff;
        t->period &= 0xffffffff;
    }
    if ((t->config & TC_LEVEL) == 0) {
        h->status &= ~BIT(n);
    }
    bool pending = (h->status & BIT(n)) != 0 && (h->config & CONFIG_ENABLE) != 0;
    if (pending && (t->config & TC_ENABLE) != 0) {
        drive(h, n, true);
    }
}

/* [HPET "Timer N Comparator Value Register"] in periodic mode a write sets the period, and the next
 * match too when software has asked for that with Tn_VAL_SET_CNF, which then clears. */
static void write_comparator(struct hpet *h, struct comparator *t, u64 value, u64 mask)
{
    bool periodic = (t->config & TC_PERIODIC) != 0;
    if (periodic) {
        t->period = ((t->period & ~mask) | (value & mask)) & width_mask(t);
    }
    if (!periodic || (t->config & TC_SET_VALUE) != 0) {
        t->value = ((t->value & ~mask) | (value & mask)) & width_mask(t);
        t->config &= ~TC_SET_VALUE;
        t->seen = counter_now(h) - 1; /* a match at this very count counts */
    }
}

static void write_register(struct hpet *h, u64 reg, u64 value, u64 mask)
{
    u64 merged = (read_register(h, reg) & ~mask) | (value & mask);
    switch (reg) {
    case REG_CONFIG:
        write_config(h, merged);
        return;
    case REG_STATUS:
        write_status(h, value & mask);
        return;
    case REG_COUNTER:
        if ((h->config & CONFIG_ENABLE) != 0) {
            log_guest_error(h->log, "HPET: main counter written while it runs");
            h->offset = merged - ticks_now(h);
        } else {
            h->offset = merged;
        }
        for (unsigned n = 0; n < HPET_TIMERS; n++) {
            h->timers[n].seen = merged - 1;
        }
        return;
    default:
        break;
    }
    u64 n = (reg - REG_TIMERS) / TIMER_STRIDE;
    if (reg < REG_TIMERS || n >= HPET_TIMERS) {
        return;
    }
    struct comparator *t = &h->timers[n];
    switch ((reg - REG_TIMERS) % TIMER_STRIDE) {
    case T_CONFIG:
        write_timer_config(h, (unsigned)n, merged);
        break;
    case T_COMPARATOR:
        write_comparator(h, t, value, mask);
        break;
    case T_FSB:
        t->fsb = merged;
        break;
    default:
        break;
    }
}

static void hpet_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct hpet *h = self;
    if (size < 4 || (offset & (size - 1)) != 0) {
        log_guest_error(h->log, "HPET: %u-byte write at %#llx", size, (unsigned long long)offset);
        return;
    }
    unsigned shift = 8 * (unsigned)(offset & 7);
    sync_timers(h);
    write_register(h, offset & ~(u64)7, value << shift, size_mask(size) << shift);
    sync_timers(h);
    rearm(h);
}

static const struct mmio_ops hpet_mmio = {.read = hpet_read, .write = hpet_write};

static void hpet_reset(void *self, enum reset_kind kind)
{
    struct hpet *h = self;
    UNUSED(kind);
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        drive(h, n, false);
        h->timers[n] = (struct comparator){.value = ~(u64)0, .seen = ~(u64)0};
    }
    h->config = 0;
    h->status = 0;
    h->offset = 0;
    update_legacy_lines(h);
    rearm(h);
}

static void hpet_state(void *self, struct state_io *io)
{
    struct hpet *h = self;
    state_section(io, h->id, 1);
    state_u64(io, "config", &h->config);
    state_u64(io, "status", &h->status);
    state_u64(io, "offset", &h->offset);
    state_bool(io, "pit_in", &h->pit_in);
    state_bool(io, "rtc_in", &h->rtc_in);
    state_bool(io, "irq0_out", &h->irq0_out);
    state_bool(io, "irq8_out", &h->irq8_out);
    timer_state(&h->timer, io, "timer");
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        static const char *const sections[HPET_TIMERS] = {"hpet.0", "hpet.1", "hpet.2"};
        struct comparator *t = &h->timers[n];
        state_section(io, sections[n], 1);
        state_u64(io, "config", &t->config);
        state_u64(io, "value", &t->value);
        state_u64(io, "period", &t->period);
        state_u64(io, "fsb", &t->fsb);
        state_u64(io, "seen", &t->seen);
        state_bool(io, "level", &t->level);
    }
}

static const struct device_ops hpet_ops = {
    .type = "hpet", .reset = hpet_reset, .state = hpet_state, .destroy = free};

struct hpet *hpet_new(const struct device_env *env, const char *id, spa_t base, u16 requester,
                      const struct hpet_outputs *out)
{
    struct hpet *h = calloc(1, sizeof *h);
    sim_assert(h != NULL);
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    h->clock = env->clock;
    h->log = env->log;
    h->msi = env->msi;
    h->requester = requester;
    h->out = *out;
    timer_init(&h->timer, env->clock, "hpet", timer_fired, h);
    hpet_reset(h, RESET_POWER);
    phys_add_mmio(env->phys, base, KIB(1), 0, &hpet_mmio, h, "hpet");
    bus_add_device(env->bus, &hpet_ops, h, id);
    return h;
}

static void set_legacy_input(void *self, unsigned n, bool level)
{
    struct hpet *h = self;
    if (n == 0) {
        h->pit_in = level;
    } else {
        h->rtc_in = level;
    }
    update_legacy_lines(h);
}

struct irq_line hpet_pit_input(struct hpet *hpet)
{
    return (struct irq_line){.set = set_legacy_input, .target = hpet, .n = 0};
}

struct irq_line hpet_rtc_input(struct hpet *hpet)
{
    return (struct irq_line){.set = set_legacy_input, .target = hpet, .n = 1};
}
