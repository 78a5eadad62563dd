/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MC146818-compatible real-time clock with 256 bytes of CMOS memory [MC146818A data sheet; ICH9
 * "Real Time Clock Registers"].
 *
 * Modelled: time and calendar with century byte, binary and BCD, 12 and 24 hours, SET, divider
 * reset, UIP, alarm with "don't care", periodic rates, the three interrupts, NMI mask bit, extended
 * bank, what firmware expects to find in the bytes (SeaBIOS and QEMU convention).
 *
 * The divider chain is a nanosecond count D = virtual time + phase: seconds end at multiples of
 * 10^9, periodic ticks at multiples of the 32768 Hz period. While the clock runs the time registers
 * are computed from D; while it is held (SET, divider reset) they are the bytes. Flags of register
 * C are brought up to date when somebody looks; a timer runs only for an enabled source whose flag
 * is clear.
 *
 * Left out: daylight saving (DSE is stored), square wave output, other oscillators than 32768 Hz,
 * loss of battery. */
#include "devices/rtc.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    R_SECONDS = 0,
    R_SECONDS_ALARM = 1,
    R_MINUTES = 2,
    R_MINUTES_ALARM = 3,
    R_HOURS = 4,
    R_HOURS_ALARM = 5,
    R_DAY_OF_WEEK = 6,
    R_DATE = 7,
    R_MONTH = 8,
    R_YEAR = 9,
    R_A = 10,
    R_B = 11,
    R_C = 12,
    R_D = 13,
    R_CENTURY = 0x32,
};

enum {
    A_UIP = 1 << 7,
    A_DIVIDER = 0x70,
    A_DIVIDER_RESET = 0x60, /* 11x */
    A_RATE = 0x0f,
    B_SET = 1 << 7,
    B_PIE = 1 << 6,
    B_AIE = 1 << 5,
    B_UIE = 1 << 4,
    B_SQWE = 1 << 3,
    B_DM = 1 << 2,
    B_24H = 1 << 1,
    C_IRQF = 1 << 7,
    C_PF = 1 << 6,
    C_AF = 1 << 5,
    C_UF = 1 << 4,
    D_VRT = 1 << 7,
    HOUR_PM = 0x80,
    ALARM_ANY = 0xc0,
};

#define DIVIDER_HZ 32768u
#define SECONDS_PER_DAY 86400
/* [MC146818A "Update Cycle"] 244 us of warning, then 1984 us in which the registers move. */
#define UIP_NS 2228000u

struct rtc {
    char id[32];            /* configuration */
    struct clock *clock;    /* configuration */
    struct rtc_outputs out; /* configuration */
    struct timer timer;

    u8 cmos[256]; /* time registers: valid while held; R_C: the flags */
    u8 index, ext_index;
    bool nmi_masked;
    u64 phase;        /* D = now + phase, below 10^9 */
    i64 second_base;  /* seconds since 1970 = D / 10^9 + second_base */
    u8 weekday_shift; /* what the guest set, against the calendar's */
    u64 second_seen;  /* UF and AF are up to date to this second of D */
    u64 tick_seen;    /* PF likewise, in ticks of 32768 Hz */
};

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. Months count from
 * March within, so that the leap day ends the year. */
static i64 days_of_date(i64 year, i64 month, i64 day)
{
    year += (month - 1) / 12;
    month = (month - 1) % 12 + 1;
    i64 y = month <= 2 ? year - 1 : year;
    i64 era = (y >= 0 ? y : y - 399) / 400;
    i64 yoe = y - era * 400;
    i64 doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_of_days(i64 days, i64 *year, i64 *month, i64 *day)
{
    i64 z = days + 719468;
    i64 era = (z >= 0 ? z : z - 146096) / 146097;
    i64 doe = z - era * 146097;
    i64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    i64 doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    i64 mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

static u8 encode(const struct rtc *r, i64 v)
{
    if ((r->cmos[R_B] & B_DM) != 0) {
        return (u8)v;
    }
    return (u8)(v / 10 % 10 * 16 + v % 10);
}

static i64 decode(const struct rtc *r, u8 v)
{
    return (r->cmos[R_B] & B_DM) != 0 ? v : (v >> 4) * 10 + (v & 15);
}

static u8 encode_hour(const struct rtc *r, i64 hour)
{
    if ((r->cmos[R_B] & B_24H) != 0) {
        return encode(r, hour);
    }
    i64 h = hour % 12;
    return encode(r, h == 0 ? 12 : h) | (hour >= 12 ? HOUR_PM : 0);
}

static i64 decode_hour(const struct rtc *r, u8 v)
{
    if ((r->cmos[R_B] & B_24H) != 0) {
        return decode(r, v);
    }
    return decode(r, v & 0x7f) % 12 + ((v & HOUR_PM) != 0 ? 12 : 0);
}

static bool divider_held(const struct rtc *r)
{
    return (r->cmos[R_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

/* The time registers are bytes and not a running clock. */
static bool time_held(const struct rtc *r)
{
    return (r->cmos[R_B] & B_SET) != 0 || divider_held(r);
}

static u64 divider_now(const struct rtc *r)
{
    return clock_now(r->clock).ns + r->phase;
}

static i64 floor_mod(i64 a, i64 b)
{
    i64 m = a % b;
    return m < 0 ? m + b : m;
}

/* Running clock -> bytes. */
static void time_to_bytes(struct rtc *r, u64 d)
{
    i64 seconds = (i64)(d / NS_PER_SEC) + r->second_base;
    i64 of_day = floor_mod(seconds, SECONDS_PER_DAY);
    i64 days = (seconds - of_day) / SECONDS_PER_DAY;
    i64 year, month, day;
    date_of_days(days, &year, &month, &day);
    r->cmos[R_SECONDS] = encode(r, of_day % 60);
    r->cmos[R_MINUTES] = encode(r, of_day / 60 % 60);
    r->cmos[R_HOURS] = encode_hour(r, of_day / 3600);
    /* 1970-01-01 was a Thursday; Sunday is 1. */
    r->cmos[R_DAY_OF_WEEK] = encode(r, floor_mod(days + 4 + r->weekday_shift, 7) + 1);
    r->cmos[R_DATE] = encode(r, day);
    r->cmos[R_MONTH] = encode(r, month);
    r->cmos[R_YEAR] = encode(r, floor_mod(year, 100));
    r->cmos[R_CENTURY] = encode(r, floor_mod(year / 100, 100));
}

/* Bytes -> running clock, keeping the divider's phase. Impossible dates count on from where they
 * lie. */
static void time_from_bytes(struct rtc *r, u64 d)
{
    i64 year = decode(r, r->cmos[R_CENTURY]) * 100 + decode(r, r->cmos[R_YEAR]);
    i64 month = decode(r, r->cmos[R_MONTH]);
    i64 days = days_of_date(year, month < 1 ? 1 : month, decode(r, r->cmos[R_DATE]));
    i64 of_day = decode_hour(r, r->cmos[R_HOURS]) * 3600 + decode(r, r->cmos[R_MINUTES]) * 60 +
                 decode(r, r->cmos[R_SECONDS]);
    r->second_base = days * SECONDS_PER_DAY + of_day - (i64)(d / NS_PER_SEC);
    i64 real_days = days + (of_day - floor_mod(of_day, SECONDS_PER_DAY)) / SECONDS_PER_DAY;
    i64 weekday = decode(r, r->cmos[R_DAY_OF_WEEK]) - 1;
    r->weekday_shift = (u8)floor_mod(weekday - (real_days + 4), 7);
}

static bool alarm_field(u8 alarm, u8 value)
{
    return (alarm & ALARM_ANY) == ALARM_ANY || alarm == value;
}

static bool alarm_matches(const struct rtc *r, i64 seconds)
{
    i64 of_day = floor_mod(seconds, SECONDS_PER_DAY);
    return alarm_field(r->cmos[R_SECONDS_ALARM], encode(r, of_day % 60)) &&
           alarm_field(r->cmos[R_MINUTES_ALARM], encode(r, of_day / 60 % 60)) &&
           alarm_field(r->cmos[R_HOURS_ALARM], encode_hour(r, of_day / 3600));
}

/* [MC146818A "Periodic Interrupt Selection"] ticks of 32768 Hz; 0 when off. */
static u64 periodic_ticks(const struct rtc *r)
{
    unsigned rate = r->cmos[R_A] & A_RATE;
    if (rate == 0) {
        return 0;
    }
    return (u64)1 << (rate <= 2 ? rate + 6 : rate - 1);
}

/* Bring the flags up to now. */
static void update_flags(struct rtc *r, u64 d)
{
    u64 second = d / NS_PER_SEC;
    u64 tick = mul_div(d, DIVIDER_HZ, NS_PER_SEC);
    if (!divider_held(r)) {
        u64 period = periodic_ticks(r);
        if (period != 0 && tick / period != r->tick_seen / period) {
            r->cmos[R_C] |= C_PF;
        }
    }
    if (!time_held(r) && second > r->second_seen) {
        r->cmos[R_C] |= C_UF;
        u64 first = r->second_seen + 1;
        if (second - first >= SECONDS_PER_DAY) {
            first = second - SECONDS_PER_DAY + 1; /* a day has every time in it */
        }
        for (u64 s = first; s <= second && (r->cmos[R_C] & C_AF) == 0; s++) {
            if (alarm_matches(r, (i64)s + r->second_base)) {
                r->cmos[R_C] |= C_AF;
            }
        }
    }
    r->second_seen = second;
    r->tick_seen = tick;
}

/* Drive the lines, and have the timer wake us for the next enabled flag. */
static void update_lines(struct rtc *r, u64 d)
{
    u8 active = r->cmos[R_B] & r->cmos[R_C] & (C_PF | C_AF | C_UF);
    r->cmos[R_C] = active != 0 ? r->cmos[R_C] | C_IRQF : r->cmos[R_C] & (u8)~C_IRQF;
    irq_set(&r->out.irq, active != 0);
    irq_set(&r->out.alarm, (active & C_AF) != 0);

    u8 wanted = r->cmos[R_B] & (u8)~r->cmos[R_C];
    u64 next = ~(u64)0;
    if ((wanted & (B_UIE | B_AIE)) != 0 && !time_held(r)) {
        next = (d / NS_PER_SEC + 1) * NS_PER_SEC;
    }
    u64 period = periodic_ticks(r);
    if ((wanted & B_PIE) != 0 && period != 0 && !divider_held(r)) {
        u64 tick = (mul_div(d, DIVIDER_HZ, NS_PER_SEC) / period + 1) * period;
        u64 at = clock_time_of_tick(tick, DIVIDER_HZ).ns;
        next = at < next ? at : next;
    }
    if (next == ~(u64)0) {
        timer_cancel(&r->timer);
    } else {
        timer_arm(&r->timer, (vtime_t){next - r->phase});
    }
}

static void timer_fired(void *self)
{
    struct rtc *r = self;
    u64 d = divider_now(r);
    update_flags(r, d);
    update_lines(r, d);
}

static bool is_time_register(u8 index)
{
    switch (index) {
    case R_SECONDS:
    case R_MINUTES:
    case R_HOURS:
    case R_DAY_OF_WEEK:
    case R_DATE:
    case R_MONTH:
    case R_YEAR:
    case R_CENTURY:
        return true;
    default:
        return false;
    }
}

static u8 read_register(struct rtc *r, u8 index)
{
    u64 d = divider_now(r);
    if (is_time_register(index)) {
        if (!time_held(r)) {
            time_to_bytes(r, d);
        }
        return r->cmos[index];
    }
    switch (index) {
    case R_A: {
        bool uip = !time_held(r) && NS_PER_SEC - d % NS_PER_SEC <= UIP_NS;
        return r->cmos[R_A] | (uip ? A_UIP : 0);
    }
    case R_C: {
        update_flags(r, d);
        update_lines(r, d);
        u8 value = r->cmos[R_C];
        r->cmos[R_C] = 0;
        update_lines(r, d);
        return value;
    }
    case R_D:
        return D_VRT;
    default:
        return r->cmos[index];
    }
}

/* A write that concerns time: stop the clock as bytes, change them, start it again. Only time
 * written, a change of format, SET and the divider matter; the other bits leave the clock alone. */
static void write_register(struct rtc *r, u8 index, u8 value)
{
    u64 d = divider_now(r);
    update_flags(r, d);
    if (index == R_C || index == R_D) {
        return;
    }
    u8 before_a = r->cmos[R_A];
    u8 moved = (u8)(index == R_A   ? (before_a ^ value) & A_DIVIDER
                    : index == R_B ? (r->cmos[R_B] ^ value) & (B_SET | B_DM | B_24H)
                                   : 0);
    bool restart = is_time_register(index) || moved != 0;
    if (restart && !time_held(r)) {
        time_to_bytes(r, d);
    }
    if (index == R_A) {
        value &= (u8)~A_UIP;
    } else if (index == R_B && (value & B_SET) != 0) {
        value &= (u8)~B_UIE; /* [MC146818A "UIE"] cleared by SET going high */
    }
    r->cmos[index] = value;
    if ((before_a & A_DIVIDER_RESET) == A_DIVIDER_RESET && !divider_held(r)) {
        /* [MC146818A "Divider Control"] the first update comes half a second after the release. */
        u64 now = clock_now(r->clock).ns;
        r->phase = (NS_PER_SEC + NS_PER_SEC / 2 - now % NS_PER_SEC) % NS_PER_SEC;
        d = divider_now(r);
        r->second_seen = d / NS_PER_SEC;
        r->tick_seen = mul_div(d, DIVIDER_HZ, NS_PER_SEC);
    }
    if (restart && !time_held(r)) {
        time_from_bytes(r, d);
    }
    update_lines(r, d);
}

static u32 rtc_read(void *self, u16 offset, unsigned size)
{
    struct rtc *r = self;
    UNUSED(size);
    switch (offset) {
    case 1:
        return read_register(r, r->index);
    case 2:
        return r->ext_index;
    case 3:
        return r->cmos[0x80 | r->ext_index];
    default: /* 0x70 is write-only */
        return 0xff;
    }
}

static void rtc_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct rtc *r = self;
    UNUSED(size);
    switch (offset) {
    case 0: {
        bool masked = (value & 0x80) != 0;
        r->index = (u8)value & 0x7f;
        if (masked != r->nmi_masked) {
            r->nmi_masked = masked;
            if (r->out.nmi_mask != NULL) {
                r->out.nmi_mask(r->out.self, masked);
            }
        }
        break;
    }
    case 1:
        write_register(r, r->index, (u8)value);
        break;
    case 2:
        r->ext_index = (u8)value & 0x7f;
        break;
    default:
        r->cmos[0x80 | r->ext_index] = (u8)value;
        break;
    }
}

static const struct port_ops rtc_ports = {.read = rtc_read, .write = rtc_write, .max_size = 1};

/* [MC146818A "RESET"] the battery keeps time and memory; the interrupt enables and flags go. */
static void rtc_reset(void *self, enum reset_kind kind)
{
    struct rtc *r = self;
    UNUSED(kind);
    u64 d = divider_now(r);
    update_flags(r, d);
    r->cmos[R_B] &= (u8) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->cmos[R_C] = 0;
    r->index = r->ext_index = 0;
    r->nmi_masked = false;
    update_lines(r, d);
}

static void rtc_state(void *self, struct state_io *io)
{
    struct rtc *r = self;
    state_section(io, r->id, 1);
    state_bytes(io, "cmos", r->cmos, sizeof r->cmos);
    state_u8(io, "index", &r->index);
    state_u8(io, "ext_index", &r->ext_index);
    state_bool(io, "nmi_masked", &r->nmi_masked);
    state_u64(io, "phase", &r->phase);
    u64 base = (u64)r->second_base;
    state_u64(io, "second_base", &base);
    r->second_base = (i64)base;
    state_u8(io, "weekday_shift", &r->weekday_shift);
    state_u64(io, "second_seen", &r->second_seen);
    state_u64(io, "tick_seen", &r->tick_seen);
    timer_state(&r->timer, io, "timer");
}

static const struct device_ops rtc_ops = {
    .type = "rtc", .reset = rtc_reset, .state = rtc_state, .destroy = free};

static void put_le16(struct rtc *r, u8 index, u64 value, u64 limit)
{
    u64 v = value < limit ? value : limit;
    r->cmos[index] = (u8)v;
    r->cmos[index + 1] = (u8)(v >> 8);
}

/* Sizes as SeaBIOS reads them: KiB of base memory, KiB from 1 MiB (twice), 64 KiB units from 16 MiB
 * to 4 GiB and from 4 GiB. */
static void fill_memory_sizes(struct rtc *r, const struct rtc_config *config)
{
    u64 low = config->ram_below_4g;
    u64 above_1m = low > MIB(1) ? (low - MIB(1)) / KIB(1) : 0;
    u64 above_16m = low > MIB(16) ? (low - MIB(16)) / KIB(64) : 0;
    u64 high = config->ram_above_4g / KIB(64);
    put_le16(r, 0x15, 640, 640);
    put_le16(r, 0x17, above_1m, 65535);
    put_le16(r, 0x30, above_1m, 65535);
    put_le16(r, 0x34, above_16m, 65535);
    put_le16(r, 0x5b, high & 0xffff, 65535);
    r->cmos[0x5d] = (u8)(high >> 16);
}

static void fill_cmos(struct rtc *r, const struct rtc_config *config)
{
    r->cmos[R_A] = 0x26; /* 32768 Hz, 1024 Hz periodic */
    r->cmos[R_B] = B_24H;
    r->cmos[0x14] = 0x06; /* equipment: coprocessor, PS/2 mouse, no floppy */
    fill_memory_sizes(r, config);
    r->cmos[CMOS_BOOT_FLAG2] = (u8)(config->boot_order[0] | config->boot_order[1] << 4);
    r->cmos[CMOS_BOOT_FLAG1] = (u8)(config->boot_order[2] << 4 | 1);
    r->cmos[0x5f] = (u8)(config->cpu_count - 1);
    /* The AT's check sum over 0x10 to 0x2d. */
    u32 sum = 0;
    for (unsigned i = 0x10; i <= 0x2d; i++) {
        sum += r->cmos[i];
    }
    r->cmos[0x2e] = (u8)(sum >> 8);
    r->cmos[0x2f] = (u8)sum;
}

struct rtc *rtc_new(const struct device_env *env, const char *id, const struct rtc_config *config,
                    const struct rtc_outputs *out)
{
    struct rtc *r = calloc(1, sizeof *r);
    sim_assert(r != NULL);
    (void)snprintf(r->id, sizeof r->id, "%s", id);
    r->clock = env->clock;
    r->out = *out;
    r->second_base = config->base_seconds;
    timer_init(&r->timer, env->clock, "rtc", timer_fired, r);
    fill_cmos(r, config);
    time_to_bytes(r, divider_now(r));
    bus_add_ports(env->bus, 0x70, 4, &rtc_ports, r, "rtc");
    bus_add_device(env->bus, &rtc_ops, r, id);
    return r;
}

u8 rtc_cmos_get(const struct rtc *rtc, u8 index)
{
    return rtc->cmos[index];
}

void rtc_cmos_set(struct rtc *rtc, u8 index, u8 value)
{
    rtc->cmos[index] = value;
}

bool rtc_nmi_masked(const struct rtc *rtc)
{
    return rtc->nmi_masked;
}
