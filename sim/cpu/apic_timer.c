/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The APIC timer. [SDM3 "APIC Timer"]
 *
 * The count is not stepped: timer_expire is the tick of the input clock at which it reaches zero,
 * and the current count follows from the clock. The divider's phase starts with the count. Changing
 * the divider keeps the count; changing between one-shot and periodic keeps it as well; to and from
 * TSC-deadline mode disarms. */
#include "cpu/apic_priv.h"

#define INTEL_CRYSTAL_HZ 25000000u
#define AMD_REFERENCE_HZ 100000000u

u64 apic_timer_hz(const struct cpu *cpu)
{
    return cpu_is_intel(cpu) ? INTEL_CRYSTAL_HZ : AMD_REFERENCE_HZ;
}

static u64 now_ticks(const struct apic *apic)
{
    return clock_ticks(apic->cpu->clock, apic_timer_hz(apic->cpu));
}

/* Bits 3, 1, 0: 000 divides by 2, ... 110 by 128, 111 by 1. */
static u64 divisor(const struct apic *apic)
{
    unsigned code = (apic->timer_divide & 3) | (apic->timer_divide >> 1 & 4);
    return code == 7 ? 1 : (u64)2 << code;
}

static u32 mode(const struct apic *apic)
{
    return apic->lvt[APIC_LVT_TIMER] & LVT_TIMER_MODE;
}

static void arm(struct apic *apic)
{
    struct cpu *cpu = apic->cpu;
    if (mode(apic) == LVT_TIMER_DEADLINE) {
        u64 deadline = cpu->arch.tsc_deadline;
        if (deadline == 0) {
            timer_cancel(&apic->timer);
        } else {
            timer_arm(&apic->timer, clock_time_of_tsc(cpu->clock, deadline - cpu->arch.tsc_offset));
        }
    } else if (apic->timer_counts) {
        timer_arm(&apic->timer, clock_time_of_tick(apic->timer_expire, apic_timer_hz(cpu)));
    } else {
        timer_cancel(&apic->timer);
    }
}

/* The deadline as the shared clock sees it, when an offset makes it lie before power-on: it is
 * past. A hypervisor's offset and scaling are for its guest's eyes: they do not move the deadline. */
static bool deadline_reached(const struct apic *apic)
{
    const struct cpu *cpu = apic->cpu;
    return clock_tsc(cpu->clock) + cpu->arch.tsc_offset >= cpu->arch.tsc_deadline;
}

static void check_deadline(struct apic *apic)
{
    struct cpu *cpu = apic->cpu;
    if (cpu->arch.tsc_deadline == 0) {
        timer_cancel(&apic->timer);
    } else if (deadline_reached(apic)) {
        cpu->arch.tsc_deadline = 0;
        timer_cancel(&apic->timer);
        apic_local_event(apic, APIC_LVT_TIMER);
    } else {
        arm(apic);
    }
}

/* In periodic mode every period that has passed counts; one interrupt stands for all of them. */
static void fire(void *self)
{
    struct apic *apic = self;
    if (mode(apic) == LVT_TIMER_DEADLINE) {
        check_deadline(apic);
        return;
    }
    u64 now = now_ticks(apic);
    if (!apic->timer_counts) {
        return;
    }
    if (now < apic->timer_expire) {
        arm(apic);
        return;
    }
    if (mode(apic) == LVT_TIMER_PERIODIC && apic->timer_initial != 0) {
        u64 period = apic->timer_initial * divisor(apic);
        apic->timer_expire += period * ((now - apic->timer_expire) / period + 1);
    } else {
        apic->timer_counts = false;
    }
    arm(apic);
    apic_local_event(apic, APIC_LVT_TIMER);
}

u32 apic_timer_current(struct apic *apic)
{
    if (mode(apic) == LVT_TIMER_DEADLINE || !apic->timer_counts) {
        return 0;
    }
    u64 now = now_ticks(apic);
    u64 div = divisor(apic);
    u64 expire = apic->timer_expire;
    if (now >= expire) { /* due, to be fired at the next boundary */
        u64 period = apic->timer_initial * div;
        if (mode(apic) != LVT_TIMER_PERIODIC || period == 0) {
            return 0;
        }
        expire += period * ((now - expire) / period + 1);
    }
    return (u32)((expire - now + div - 1) / div);
}

void apic_timer_write_initial(struct apic *apic, u32 count)
{
    if (mode(apic) == LVT_TIMER_DEADLINE) {
        return; /* ignored in this mode */
    }
    apic->timer_initial = count;
    apic->timer_counts = count != 0;
    apic->timer_expire = now_ticks(apic) + count * divisor(apic);
    arm(apic);
}

void apic_timer_write_divide(struct apic *apic, u32 value)
{
    u32 left = apic_timer_current(apic);
    apic->timer_divide = value & 0xb;
    if (left != 0) {
        apic->timer_expire = now_ticks(apic) + left * divisor(apic);
        arm(apic);
    }
}

void apic_timer_mode_changed(struct apic *apic, u32 old_lvt)
{
    u32 old = old_lvt & LVT_TIMER_MODE;
    if (old == mode(apic)) {
        return;
    }
    if (old == LVT_TIMER_DEADLINE || mode(apic) == LVT_TIMER_DEADLINE) {
        apic->timer_counts = false;
        apic->timer_initial = 0;
        apic->cpu->arch.tsc_deadline = 0;
        timer_cancel(&apic->timer);
    }
}

/* [SDM3 "TSC-Deadline Mode"]: outside of the mode writes are ignored; zero disarms. */
void apic_timer_write_deadline(struct apic *apic, u64 tsc)
{
    if (mode(apic) == LVT_TIMER_DEADLINE) {
        apic->cpu->arch.tsc_deadline = tsc;
        check_deadline(apic);
    }
}

void apic_tsc_moved(struct apic *apic)
{
    if (mode(apic) == LVT_TIMER_DEADLINE) {
        check_deadline(apic);
    }
}

void apic_timer_reset(struct apic *apic)
{
    apic->timer_initial = 0;
    apic->timer_divide = 0;
    apic->timer_expire = 0;
    apic->timer_counts = false;
    apic->cpu->arch.tsc_deadline = 0;
    timer_cancel(&apic->timer);
}

void apic_timer_init(struct apic *apic)
{
    timer_init(&apic->timer, apic->cpu->clock, "apic", fire, apic);
}
