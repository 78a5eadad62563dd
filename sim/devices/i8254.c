/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8254 programmable interval timer [8254 data sheet] and the PC's system control port 0x61.
 *
 * Modelled: three counters, six modes, binary and BCD, read/write formats, counter latch,
 * read-back, null count, gates (counter 2 by port 0x61 bit 0; the others are tied high), output
 * pins to the clock.
 *
 * Nothing counts: each counter keeps the tick at which its element was loaded, and its value and
 * output are functions of that and of the present tick (1193182 Hz since power-on). A count written
 * during tick t is in the element at t+1, as the CLK pulse after the write loads it. Only counter 0
 * has a timer, for the edges of its output. When the clock jumps over several edges at once (one
 * instruction may last longer than a tick) they are delivered one by one.
 *
 * Left out: sound; what happens between two writes of the halves of a count, beyond mode 0's stop.
 */
#include "devices/i8254.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

enum { RW_LATCH = 0, RW_LSB = 1, RW_MSB = 2, RW_BOTH = 3 };
enum { PORT_CONTROL = 3 };
enum {
    PORT61_GATE2 = 1 << 0,
    PORT61_SPEAKER = 1 << 1,
    PORT61_WRITABLE = 0x0f,
    PORT61_REFRESH = 1 << 4,
    PORT61_OUT2 = 1 << 5,
};

/* Counter 1 of a PC paces memory refresh with 18 ticks; bit 4 of port 0x61 toggles with each. */
#define REFRESH_TICKS 18

#define TICK_NEVER (~(u64)0)

struct counter {
    u8 mode, rw;
    bool bcd;
    bool gate;
    bool running;   /* an element was loaded (or will be, at `start`) */
    bool paused;    /* modes 0, 2, 3, 4: gate low */
    bool has_count; /* modes 1, 5: a trigger has something to load */
    bool prev_out;  /* output until `start` */
    u16 prev_count; /* element until `start`, and while nothing runs */
    u32 n;          /* clocks of the running element, 1..65536 */
    u32 next_n;     /* what the next load takes */
    u64 start;      /* tick at which the element held n */
    u64 held;       /* paused: clocks that had passed since start */
    u64 reload_at;  /* modes 2, 3: tick at which next_n replaces n; TICK_NEVER */
    u64 null_until; /* the last count written is in the element from here on */

    u8 write_lsb;
    bool write_msb, read_msb; /* RW_BOTH: the second byte is next */
    u8 latched_bytes;         /* of latch, still to be read */
    u16 latch;
    bool status_latched;
    u8 status;
};

struct i8254 {
    char id[32];          /* configuration */
    struct clock *clock;  /* configuration */
    struct irq_line irq0; /* configuration */
    struct timer timer;
    struct counter counters[3];
    u64 edge_tick; /* edges of counter 0 are delivered up to here */
    bool irq_level;
    u8 port61;
};

static u64 elapsed(const struct counter *c, u64 t)
{
    if (c->paused) {
        return c->held;
    }
    return t > c->start ? t - c->start : 0;
}

/* Mode 3: clocks for which the output is high; one more than low when n is odd. */
static u32 high_half(u32 n)
{
    return (n + 1) / 2;
}

/* [8254 "Mode Definitions"] the output pin at tick t; reloads up to t must have been done. */
static bool counter_out(const struct counter *c, u64 t)
{
    if (!c->running) {
        return c->mode != 0;
    }
    if (t < c->start && !c->paused) {
        return c->prev_out;
    }
    u64 d = elapsed(c, t);
    switch (c->mode) {
    case 0:
    case 1:
        return d >= c->n;
    case 2:
        return c->paused || d % c->n != c->n - 1;
    case 3:
        return c->paused || d % c->n < high_half(c->n);
    default: /* 4, 5: one clock low when the count reaches zero */
        return d != c->n;
    }
}

static u16 to_bcd(u32 v)
{
    return (u16)(v % 10 | (v / 10 % 10) << 4 | (v / 100 % 10) << 8 | (v / 1000 % 10) << 12);
}

/* What the output latch would take at tick t. */
static u16 counter_value(const struct counter *c, u64 t)
{
    if (!c->running || (t < c->start && !c->paused)) {
        return c->prev_count;
    }
    u64 d = elapsed(c, t);
    u32 span = c->bcd ? 10000 : 65536;
    u64 v;
    if (c->mode == 2) {
        v = c->n - d % c->n;
    } else if (c->mode == 3) {
        /* [8254 "Mode 3: Square Wave Mode"] counts down by two, twice a period; an odd count
         * starts one lower. */
        u64 r = d % c->n;
        v = (c->n & ~1u) - 2 * (r < high_half(c->n) ? r : r - high_half(c->n));
    } else {
        v = (u64)span + c->n - d % span; /* one-shots count on below zero */
    }
    v %= span;
    return c->bcd ? to_bcd((u32)v) : (u16)v;
}

/* The first tick after t at which the output may differ from what it is at t. */
static u64 next_change(const struct counter *c, u64 t)
{
    if (!c->running || c->paused) {
        return TICK_NEVER;
    }
    if (t < c->start) {
        return c->start;
    }
    u64 d = t - c->start;
    u64 r = d % c->n;
    switch (c->mode) {
    case 2:
        return r < c->n - 1 ? t + (c->n - 1 - r) : t + 1;
    case 3:
        return r < high_half(c->n) ? t + (high_half(c->n) - r) : t + (c->n - r);
    case 4:
    case 5:
        return d < c->n ? c->start + c->n : d == c->n ? t + 1 : TICK_NEVER;
    default:
        return d < c->n ? c->start + c->n : TICK_NEVER;
    }
}

/* Take a new period whose time has come. A mode 3 switch in the middle of a period goes on with the
 * low half of the new one. */
static void take_reload(struct counter *c, u64 t)
{
    if (c->reload_at == TICK_NEVER || t < c->reload_at || c->paused) {
        return;
    }
    bool middle = c->mode == 3 && (c->reload_at - c->start) % c->n != 0;
    u64 skip = middle ? high_half(c->next_n) : 0;
    c->start = c->reload_at > skip ? c->reload_at - skip : 0;
    c->n = c->next_n;
    c->reload_at = TICK_NEVER;
}

/* Load next_n at the CLK after t. */
static void load_element(struct counter *c, u64 t)
{
    c->prev_out = counter_out(c, t);
    c->prev_count = counter_value(c, t);
    c->n = c->next_n;
    c->start = t + 1;
    c->null_until = t + 1;
    c->reload_at = TICK_NEVER;
    c->running = true;
    c->held = 0;
}

static void set_gate(struct counter *c, bool level, u64 t)
{
    if (c->gate == level) {
        return;
    }
    c->gate = level;
    switch (c->mode) {
    case 1:
    case 5:
        if (level && c->has_count) {
            load_element(c, t);
        }
        break;
    case 2:
    case 3:
        if (!c->running) {
            break;
        }
        if (level) {
            load_element(c, t);
            c->paused = false;
            c->prev_out = true;
        } else {
            c->held = elapsed(c, t);
            c->paused = true;
        }
        break;
    default:
        if (!c->running) {
            break;
        }
        if (level) {
            c->start = t - c->held;
            c->paused = false;
        } else {
            c->held = elapsed(c, t);
            c->paused = true;
        }
        break;
    }
}

/* [8254 "Write Operations"] a complete count was written during tick t. */
static void write_count(struct counter *c, u16 value, u64 t)
{
    u32 n = value;
    if (c->bcd) {
        n = (value & 15u) + (value >> 4 & 15u) * 10 + (value >> 8 & 15u) * 100 +
            (value >> 12 & 15u) * 1000;
    }
    if (n == 0) {
        n = c->bcd ? 10000 : 65536;
    }
    bool periodic = c->mode == 2 || c->mode == 3;
    c->next_n = periodic && n < 2 ? 2 : n; /* one is not allowed there */
    c->has_count = true;

    if (c->mode == 1 || c->mode == 5) {
        c->null_until = TICK_NEVER; /* until the trigger */
    } else if (periodic && c->running && !c->paused) {
        u64 d = elapsed(c, t);
        u64 r = d % c->n;
        u64 half = c->mode == 3 && r < high_half(c->n) ? high_half(c->n) : c->n;
        c->reload_at = t < c->start ? c->start : t + (half - r);
        c->null_until = c->reload_at;
    } else if (periodic && c->running) {
        c->null_until = TICK_NEVER; /* until the gate rises */
    } else {
        load_element(c, t);
        c->prev_out = c->mode != 0;
        /* DEVIATION: the chip shows the old count until the CLK pulse. On a PC the I/O cycles that
         * write and read last longer than a clock, so nobody sees it; here they do not, and
         * calibration loops (Linux quick_pit_calibrate) rely on it. */
        c->prev_count = c->bcd ? to_bcd(c->n) : (u16)c->n;
        c->paused = !c->gate;
    }
}

static void write_control(struct counter *c, u8 value, u64 t)
{
    c->prev_count = counter_value(c, t);
    c->rw = value >> 4 & 3;
    c->mode = value >> 1 & 7;
    if (c->mode > 5) {
        c->mode -= 4; /* x10 and x11 */
    }
    c->bcd = (value & 1) != 0;
    c->running = false;
    c->paused = false;
    c->has_count = false;
    c->reload_at = TICK_NEVER;
    c->null_until = TICK_NEVER;
    c->write_msb = c->read_msb = false;
    c->latched_bytes = 0;
    c->status_latched = false;
}

static void latch_count(struct counter *c, u64 t)
{
    if (c->latched_bytes == 0) {
        c->latch = counter_value(c, t);
        c->latched_bytes = c->rw == RW_BOTH ? 2 : 1;
    }
}

static void latch_status(struct counter *c, u64 t)
{
    if (!c->status_latched) {
        c->status_latched = true;
        c->status = (u8)((counter_out(c, t) ? 0x80 : 0) | (t < c->null_until ? 0x40 : 0) |
                         c->rw << 4 | c->mode << 1 | (c->bcd ? 1 : 0));
    }
}

static void write_data(struct counter *c, u8 value, u64 t)
{
    switch (c->rw) {
    case RW_LSB:
        write_count(c, value, t);
        break;
    case RW_MSB:
        write_count(c, (u16)(value << 8), t);
        break;
    case RW_BOTH:
        if (!c->write_msb) {
            c->write_lsb = value;
            c->write_msb = true;
            if (c->mode == 0) {
                /* [8254 "Mode 0"] the first byte stops the count and lowers the output. */
                c->prev_count = counter_value(c, t);
                c->running = false;
            }
        } else {
            c->write_msb = false;
            write_count(c, (u16)(c->write_lsb | value << 8), t);
        }
        break;
    default: /* no control word yet */
        break;
    }
}

static u8 read_data(struct counter *c, u64 t)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    u16 v;
    bool msb = c->rw == RW_MSB;
    if (c->latched_bytes > 0) {
        v = c->latch;
        c->latched_bytes--;
    } else {
        v = counter_value(c, t);
    }
    if (c->rw == RW_BOTH) {
        msb = c->read_msb;
        c->read_msb = !c->read_msb;
    }
    return msb ? (u8)(v >> 8) : (u8)v;
}

/* Bring counters to now: deliver counter 0's edges in order, take reloads. */
static u64 sync_to_now(struct i8254 *pit)
{
    u64 now = clock_ticks(pit->clock, I8254_HZ);
    struct counter *c = &pit->counters[0];
    for (;;) {
        u64 next = next_change(c, pit->edge_tick);
        if (next > now) {
            break;
        }
        pit->edge_tick = next;
        take_reload(c, next);
        bool out = counter_out(c, next);
        if (out != pit->irq_level) {
            pit->irq_level = out;
            irq_set(&pit->irq0, out);
        }
    }
    pit->edge_tick = now;
    for (unsigned i = 0; i < 3; i++) {
        take_reload(&pit->counters[i], now);
    }
    return now;
}

/* After a change during this tick: the pin as it is now, and when it moves next. */
static void update_irq(struct i8254 *pit)
{
    const struct counter *c = &pit->counters[0];
    bool out = counter_out(c, pit->edge_tick);
    if (out != pit->irq_level) {
        pit->irq_level = out;
        irq_set(&pit->irq0, out);
    }
    u64 next = next_change(c, pit->edge_tick);
    if (next == TICK_NEVER) {
        timer_cancel(&pit->timer);
    } else {
        timer_arm(&pit->timer, clock_time_of_tick(next, I8254_HZ));
    }
}

static void timer_fired(void *self)
{
    struct i8254 *pit = self;
    (void)sync_to_now(pit);
    update_irq(pit);
}

static u32 pit_read(void *self, u16 offset, unsigned size)
{
    struct i8254 *pit = self;
    UNUSED(size);
    if (offset == PORT_CONTROL) {
        return 0xff;
    }
    u64 now = sync_to_now(pit);
    u8 value = read_data(&pit->counters[offset], now);
    update_irq(pit);
    return value;
}

static void pit_write(void *self, u16 offset, u32 value32, unsigned size)
{
    struct i8254 *pit = self;
    u8 value = (u8)value32;
    UNUSED(size);
    u64 now = sync_to_now(pit);
    if (offset != PORT_CONTROL) {
        write_data(&pit->counters[offset], value, now);
    } else if (value >> 6 == 3) {
        for (unsigned i = 0; i < 3; i++) {
            if ((value & 2u << i) != 0) {
                if ((value & 0x20) == 0) {
                    latch_count(&pit->counters[i], now);
                }
                if ((value & 0x10) == 0) {
                    latch_status(&pit->counters[i], now);
                }
            }
        }
    } else if ((value >> 4 & 3) == RW_LATCH) {
        latch_count(&pit->counters[value >> 6], now);
    } else {
        write_control(&pit->counters[value >> 6], value, now);
    }
    update_irq(pit);
}

static u32 port61_read(void *self, u16 offset, unsigned size)
{
    struct i8254 *pit = self;
    UNUSED(offset);
    UNUSED(size);
    u64 now = sync_to_now(pit);
    u32 value = pit->port61;
    value |= (now / REFRESH_TICKS & 1) != 0 ? PORT61_REFRESH : 0;
    value |= counter_out(&pit->counters[2], now) ? PORT61_OUT2 : 0;
    update_irq(pit);
    return value;
}

static void port61_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct i8254 *pit = self;
    UNUSED(offset);
    UNUSED(size);
    u64 now = sync_to_now(pit);
    pit->port61 = (u8)value & PORT61_WRITABLE;
    set_gate(&pit->counters[2], (value & PORT61_GATE2) != 0, now);
    update_irq(pit);
}

static const struct port_ops pit_ports = {.read = pit_read, .write = pit_write, .max_size = 1};
static const struct port_ops port61_ports = {
    .read = port61_read, .write = port61_write, .max_size = 1};

/* The chip has no reset pin and starts undefined. Ours starts without counts, and counter 0 low so
 * that nobody sees an edge before the guest asks for one. */
static void pit_reset(void *self, enum reset_kind kind)
{
    struct i8254 *pit = self;
    UNUSED(kind);
    u64 now = sync_to_now(pit);
    for (unsigned i = 0; i < 3; i++) {
        pit->counters[i] = (struct counter){.mode = i == 0 ? 0 : 3,
                                            .rw = RW_BOTH,
                                            .gate = i != 2,
                                            .n = 65536,
                                            .next_n = 65536,
                                            .start = now,
                                            .reload_at = TICK_NEVER,
                                            .null_until = TICK_NEVER};
    }
    pit->port61 = 0;
    update_irq(pit);
}

static void counter_state(struct counter *c, struct state_io *io, const char *section)
{
    state_section(io, section, 1);
    state_u8(io, "mode", &c->mode);
    state_u8(io, "rw", &c->rw);
    state_bool(io, "bcd", &c->bcd);
    state_bool(io, "gate", &c->gate);
    state_bool(io, "running", &c->running);
    state_bool(io, "paused", &c->paused);
    state_bool(io, "has_count", &c->has_count);
    state_bool(io, "prev_out", &c->prev_out);
    state_u16(io, "prev_count", &c->prev_count);
    state_u32(io, "n", &c->n);
    state_u32(io, "next_n", &c->next_n);
    state_u64(io, "start", &c->start);
    state_u64(io, "held", &c->held);
    state_u64(io, "reload_at", &c->reload_at);
    state_u64(io, "null_until", &c->null_until);
    state_u8(io, "write_lsb", &c->write_lsb);
    state_bool(io, "write_msb", &c->write_msb);
    state_bool(io, "read_msb", &c->read_msb);
    state_u8(io, "latched_bytes", &c->latched_bytes);
    state_u16(io, "latch", &c->latch);
    state_bool(io, "status_latched", &c->status_latched);
    state_u8(io, "status", &c->status);
    if (state_is_load(io) && (c->n == 0 || c->next_n == 0)) {
        c->n = c->next_n = 65536; /* a foreign stream must not divide by zero */
    }
}

static void pit_state(void *self, struct state_io *io)
{
    struct i8254 *pit = self;
    state_section(io, pit->id, 1);
    state_u64(io, "edge_tick", &pit->edge_tick);
    state_bool(io, "irq_level", &pit->irq_level);
    state_u8(io, "port61", &pit->port61);
    timer_state(&pit->timer, io, "timer");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const sections[3] = {"i8254.0", "i8254.1", "i8254.2"};
        counter_state(&pit->counters[i], io, sections[i]);
    }
}

static const struct device_ops pit_ops = {
    .type = "i8254", .reset = pit_reset, .state = pit_state, .destroy = free};

struct i8254 *i8254_new(const struct device_env *env, const char *id, struct irq_line irq0)
{
    struct i8254 *pit = calloc(1, sizeof *pit);
    sim_assert(pit != NULL);
    (void)snprintf(pit->id, sizeof pit->id, "%s", id);
    pit->clock = env->clock;
    pit->irq0 = irq0;
    timer_init(&pit->timer, env->clock, "i8254 counter 0", timer_fired, pit);
    for (unsigned i = 0; i < 3; i++) {
        pit->counters[i].n = pit->counters[i].next_n = 65536;
        pit->counters[i].reload_at = TICK_NEVER;
    }
    pit_reset(pit, RESET_POWER);
    bus_add_ports(env->bus, 0x40, 4, &pit_ports, pit, "i8254");
    bus_add_ports(env->bus, 0x61, 1, &port61_ports, pit, "port 61");
    bus_add_device(env->bus, &pit_ops, pit, id);
    return pit;
}
