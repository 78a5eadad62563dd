/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The physical local APIC, in xAPIC or x2APIC mode as the firmware left it, and time from the TSC. The rates are measured
 * against the PIT's channel 2, which all of the machines that hv boots on have. Left out: TSC-deadline mode,
 * machines whose TSCs differ. */
#include "hv/core/apic.h"

#include "abi/x86/msr.h"
#include "hv/core/console.h"
#include "hv/core/cpu.h"
#include "hv/core/insn.h"
#include "hv/core/trap.h"

enum apic_register {
    APIC_ID = 0x20,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_MASKED 0x10000u
#define APIC_SOFTWARE_ENABLE 0x100u
#define APIC_DIVIDE_BY_1 0xbu
#define ICR_BUSY 0x1000u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_FIXED 0x4000u

#define REFERENCE_HZ 10000000u
#define PIT_HZ 1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PORT_B 0x61

u64 tsc_hz;
u64 apic_timer_hz;
u64 time_scale;
static bool x2apic;

static volatile u32 *reg(u32 offset) { return spa_to_ptr(APIC_BASE_DEFAULT + offset); }

static u32 apic_read(u32 offset)
{
    return x2apic ? (u32)insn_rdmsr(MSR_X2APIC_FIRST + offset / 16) : *reg(offset);
}

static void apic_write(u32 offset, u32 value)
{
    if (x2apic) {
        insn_wrmsr(MSR_X2APIC_FIRST + offset / 16, value);
    } else {
        *reg(offset) = value;
    }
}

u32 apic_id(void) { return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24; }
void apic_eoi(void) { apic_write(APIC_EOI, 0); }

/* What the firmware left pending at the 8259s must be gone before LINT0 is closed: QEMU keeps the request and then has no
 * vector for it. */
static void mask_8259s(void)
{
    insn_out8(0x21, 0xff);
    insn_out8(0xa1, 0xff);
}

void apic_init(void)
{
    if (this_cpu()->index == 0) {
        mask_8259s();
    }
    x2apic = (insn_rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2APIC) != 0;
    insn_wrmsr(MSR_IA32_APIC_BASE, insn_rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE);
    apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, APIC_MASKED);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
}

static void send(u32 id, u32 command)
{
    if (x2apic) {
        insn_wrmsr(MSR_X2APIC_FIRST + APIC_ICR / 16, (u64)id << 32 | command);
        return;
    }
    *reg(APIC_ICR_HIGH) = id << 24;
    *reg(APIC_ICR) = command;
    while ((*reg(APIC_ICR) & ICR_BUSY) != 0) {
        insn_pause();
    }
}

void apic_send_init(u32 id) { send(id, ICR_INIT); }
void apic_send_sipi(u32 id, u8 page) { send(id, ICR_STARTUP | page); }

void cpu_kick(struct cpu *c)
{
    __atomic_store_n(&c->work, 1, __ATOMIC_SEQ_CST);
    if (c != this_cpu()) {
        send(c->apic_id, ICR_FIXED | VECTOR_KICK);
    }
}

void timer_set(u64 tsc)
{
    struct cpu *c = this_cpu();
    if (tsc == c->timer_armed) {
        return;
    }
    c->timer_armed = tsc;
    if (tsc == 0) {
        apic_write(APIC_TIMER_INITIAL, 0);
        return;
    }
    u64 now = insn_rdtsc();
    u64 wait = tsc > now ? tsc - now : 0;
    u64 counts = wait > tsc_hz ? apic_timer_hz : mul_div_u64(wait, apic_timer_hz, tsc_hz);
    counts = counts > 0xffffffff ? 0xffffffff : counts;
    apic_write(APIC_TIMER_INITIAL, (u32)counts + 1);
}

/* A hundredth of a second, by the PIT. */
static void pit_start(u32 count)
{
    insn_out8(PORT_B, (u8)((insn_in8(PORT_B) & ~2u) | 1u)); /* gate on, speaker off */
    insn_out8(PIT_COMMAND, 0xb0);                           /* channel 2, both bytes, mode 0 */
    insn_out8(PIT_CHANNEL2, (u8)count);
    insn_out8(PIT_CHANNEL2, (u8)(count >> 8));
}

void time_calibrate(void)
{
    apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
    u32 count = PIT_HZ / 100;
    pit_start(count);
    u64 before = insn_rdtsc();
    apic_write(APIC_TIMER_INITIAL, 0xffffffff);
    while ((insn_in8(PORT_B) & 0x20) == 0) {
        insn_pause();
    }
    u64 after = insn_rdtsc();
    u32 left = apic_read(APIC_TIMER_CURRENT);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    tsc_hz = mul_div_u64(after - before, PIT_HZ, count) + 50000;
    tsc_hz -= tsc_hz % 100000;
    apic_timer_hz = mul_div_u64(0xffffffffu - left, PIT_HZ, count);
    if (tsc_hz <= REFERENCE_HZ || apic_timer_hz == 0) {
        panic("the TSC or the APIC timer stands still");
    }
    time_scale = div_high_u64(REFERENCE_HZ, tsc_hz);
}

u64 time_reference(void)
{
    return mul_high_u64(insn_rdtsc(), time_scale);
}

u64 time_tsc_of(u64 reference)
{
    return mul_div_u64(reference, tsc_hz, REFERENCE_HZ);
}

void time_delay_us(u64 us)
{
    u64 end = insn_rdtsc() + us * tsc_hz / 1000000;
    while (insn_rdtsc() < end) {
        insn_pause();
    }
}
