/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local APIC's state, shared by apic*.c. */
#ifndef VITRINE_CPU_APIC_PRIV_H
#define VITRINE_CPU_APIC_PRIV_H

#include "base/bits.h"
#include "cpu/apic.h"
#include "cpu/model.h"
#include "cpu/msr.h"

struct apic {
    struct cpu *cpu;
    struct timer timer;
    u32 id; /* xAPIC mode: bits 31:24 of the ID register; x2APIC mode reads the processor's number
             */
    u32 tpr;
    u32 ldr, dfr; /* xAPIC mode; x2APIC derives its logical ID */
    u32 svr;
    u32 esr, esr_found; /* what ESR shows; errors since it was last written */
    u64 icr;
    u32 lvt[APIC_LVT_COUNT];
    u32 irr[8], isr[8], tmr[8];
    u32 timer_initial, timer_divide;
    u64 timer_expire; /* tick of apic_timer_hz at which the count reaches 0 */
    bool timer_counts;
    bool lint_level[2];
    bool extint_message; /* an ExtINT came as a message */
};

/* Registers by number: offset in the page / 16, MSR - 800h. */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_LVT_CMCI = 0x2f,
    REG_ICR = 0x30,
    REG_ICR2 = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_THERMAL = 0x33,
    REG_LVT_PERF = 0x34,
    REG_LVT_LINT0 = 0x35,
    REG_LVT_LINT1 = 0x36,
    REG_LVT_ERROR = 0x37,
    REG_TIMER_INITIAL = 0x38,
    REG_TIMER_CURRENT = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
};

#define SVR_ENABLE 0x100u
#define SVR_NO_EOI_BROADCAST 0x1000u

#define LVT_VECTOR 0xffu
#define LVT_MODE 0x700u
#define LVT_MODE_SHIFT 8
#define LVT_REMOTE_IRR 0x4000u
#define LVT_LEVEL 0x8000u
#define LVT_MASKED 0x10000u
#define LVT_TIMER_MODE 0x60000u
#define LVT_TIMER_ONE_SHOT 0x00000u
#define LVT_TIMER_PERIODIC 0x20000u
#define LVT_TIMER_DEADLINE 0x40000u

enum delivery {
    DELIVERY_FIXED,
    DELIVERY_LOWEST,
    DELIVERY_SMI,
    DELIVERY_RESERVED,
    DELIVERY_NMI,
    DELIVERY_INIT,
    DELIVERY_STARTUP,
    DELIVERY_EXTINT,
};

#define ESR_REDIRECTABLE_IPI 0x10u
#define ESR_SEND_ILLEGAL_VECTOR 0x20u
#define ESR_RECEIVE_ILLEGAL_VECTOR 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

/* An interrupt message on its way. */
struct apic_message {
    enum delivery delivery;
    u8 vector;
    u32 dest;
    bool dest_all; /* the sender's broadcast address */
    bool logical;
    bool level; /* trigger mode */
    bool one;   /* redirection: the lowest priority of those addressed takes it */
};

static inline bool apic_is_x2(const struct apic *apic)
{
    const u64 both = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    return (apic->cpu->arch.apic_base & both) == both;
}

static inline bool apic_is_on(const struct apic *apic)
{
    return (apic->cpu->arch.apic_base & APIC_BASE_ENABLE) != 0;
}

/* apic.c */
u32 apic_ppr(const struct apic *apic);
void apic_error(struct apic *apic, u32 bit);
/* A fixed interrupt arrives at this processor. False when it is not accepted. */
bool apic_accept(struct apic *apic, u8 vector, bool level);

/* apic_ipi.c */
void apic_write_icr(struct apic *apic, u64 icr);
void apic_self_ipi(struct apic *apic, u8 vector);
u32 apic_x2_ldr(const struct apic *apic);

/* apic_timer.c */
u32 apic_timer_current(struct apic *apic);
void apic_timer_write_initial(struct apic *apic, u32 count);
void apic_timer_write_divide(struct apic *apic, u32 value);
void apic_timer_mode_changed(struct apic *apic, u32 old_lvt);
void apic_timer_write_deadline(struct apic *apic, u64 tsc);
void apic_timer_reset(struct apic *apic);
void apic_timer_init(struct apic *apic);

#endif
