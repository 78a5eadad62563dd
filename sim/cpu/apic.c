/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local APIC: registers, acceptance, priorities, local sources. [SDM3 "Advanced Programmable
 * Interrupt Controller (APIC)"], [APM2 "Advanced Programmable Interrupt Controller (APIC)"]
 *
 * The timer is in apic_timer.c, messages between processors in apic_ipi.c. Left out: AMD's extended
 * register space, remote read, focus processor checking, thermal events (nothing raises them).
 *
 * Choices: an interrupt that was accepted before software switched the APIC off is still delivered;
 * APR reads as PPR; accesses that are not aligned 32-bit ones read 0 and write nothing. */
#include "cpu/apic_priv.h"

#include "base/assert.h"
#include "cpu/mem.h"
#include "trace/events.h"

#include <stdlib.h>
#include <string.h>

static const u8 lvt_regs[APIC_LVT_COUNT] = {
    [APIC_LVT_TIMER] = REG_LVT_TIMER, [APIC_LVT_THERMAL] = REG_LVT_THERMAL,
    [APIC_LVT_PERF] = REG_LVT_PERF,   [APIC_LVT_LINT0] = REG_LVT_LINT0,
    [APIC_LVT_LINT1] = REG_LVT_LINT1, [APIC_LVT_ERROR] = REG_LVT_ERROR,
    [APIC_LVT_CMCI] = REG_LVT_CMCI,
};

/* What software can set in each entry, without the timer's mode. */
static const u32 lvt_writable[APIC_LVT_COUNT] = {
    [APIC_LVT_TIMER] = LVT_MASKED | LVT_VECTOR,
    [APIC_LVT_THERMAL] = LVT_MASKED | LVT_MODE | LVT_VECTOR,
    [APIC_LVT_PERF] = LVT_MASKED | LVT_MODE | LVT_VECTOR,
    [APIC_LVT_LINT0] = LVT_MASKED | LVT_LEVEL | 0x2000 | LVT_MODE | LVT_VECTOR,
    [APIC_LVT_LINT1] = LVT_MASKED | LVT_LEVEL | 0x2000 | LVT_MODE | LVT_VECTOR,
    [APIC_LVT_ERROR] = LVT_MASKED | LVT_VECTOR,
    [APIC_LVT_CMCI] = LVT_MASKED | LVT_MODE | LVT_VECTOR,
};

static u32 lvt_mask(const struct apic *apic, enum apic_lvt lvt)
{
    u32 mask = lvt_writable[lvt];
    if (lvt == APIC_LVT_TIMER) {
        bool deadline = cpu_has(apic->cpu, CPU_FEATURE_TSC_DEADLINE);
        mask |= deadline ? LVT_TIMER_MODE : LVT_TIMER_PERIODIC;
    }
    return mask;
}

static bool has_cmci(const struct apic *apic)
{
    return cpu_is_intel(apic->cpu);
}

/* ---- Vectors -------------------------------------------------------------------------------- */

static void bit_set(u32 *map, unsigned v)
{
    map[v / 32] |= BIT32(v % 32);
}

static void bit_clear(u32 *map, unsigned v)
{
    map[v / 32] &= ~BIT32(v % 32);
}

static bool bit_test(const u32 *map, unsigned v)
{
    return (map[v / 32] >> (v % 32) & 1) != 0;
}

static int highest(const u32 *map)
{
    for (int i = 7; i >= 0; i--) {
        if (map[i] != 0) {
            return i * 32 + 31 - __builtin_clz(map[i]);
        }
    }
    return -1;
}

/* [SDM3 "Task and Processor Priorities"] */
u32 apic_ppr(const struct apic *apic)
{
    int isrv = highest(apic->isr);
    u32 in_service = isrv < 0 ? 0 : (u32)isrv & 0xf0;
    return (apic->tpr & 0xf0) >= in_service ? apic->tpr : in_service;
}

void apic_error(struct apic *apic, u32 bit)
{
    u32 old = apic->esr_found;
    apic->esr_found |= bit;
    if ((old & bit) == 0) {
        apic_local_event(apic, APIC_LVT_ERROR);
    }
}

bool apic_accept(struct apic *apic, u8 vector, bool level)
{
    if (!apic_is_on(apic) || (apic->svr & SVR_ENABLE) == 0) {
        return false;
    }
    if (vector < 16) {
        apic_error(apic, ESR_RECEIVE_ILLEGAL_VECTOR);
        return false;
    }
    bit_set(apic->irr, vector);
    trace_irq_raise(apic->cpu->trace, apic->cpu->index, vector, level);
    if (level) {
        bit_set(apic->tmr, vector);
    } else {
        bit_clear(apic->tmr, vector);
    }
    cpu_kick(apic->cpu);
    return true;
}

int apic_pending(struct apic *apic)
{
    if (!apic_is_on(apic)) {
        return -1;
    }
    int vector = highest(apic->irr);
    return vector >= 0 && ((u32)vector & 0xf0) > (apic_ppr(apic) & 0xf0) ? vector : -1;
}

void apic_ack(struct apic *apic, u8 vector)
{
    sim_assert(bit_test(apic->irr, vector));
    bit_clear(apic->irr, vector);
    bit_set(apic->isr, vector);
}

/* ---- Local sources -------------------------------------------------------------------------- */

/* An entry's interrupt goes out: unmasked, with the entry's delivery mode. */
static void lvt_deliver(struct apic *apic, enum apic_lvt lvt, bool level)
{
    u32 entry = apic->lvt[lvt];
    struct cpu *cpu = apic->cpu;
    bool has_mode = (lvt_writable[lvt] & LVT_MODE) != 0;
    switch (has_mode ? (enum delivery)(entry >> LVT_MODE_SHIFT & 7) : DELIVERY_FIXED) {
    case DELIVERY_FIXED:
        if (apic_accept(apic, (u8)(entry & LVT_VECTOR), level) && level) {
            apic->lvt[lvt] |= LVT_REMOTE_IRR;
        }
        return;
    case DELIVERY_SMI:
        cpu->arch.smi_pending = true;
        break;
    case DELIVERY_NMI:
        cpu->arch.nmi_pending = true;
        break;
    case DELIVERY_INIT:
        cpu->arch.init_pending = true;
        break;
    case DELIVERY_EXTINT:
        break; /* LINT0's level is looked at when the processor asks */
    case DELIVERY_LOWEST:
    case DELIVERY_STARTUP:
    case DELIVERY_RESERVED:
        log_guest_error(cpu->log, "local APIC: reserved delivery mode in an LVT entry");
        return;
    }
    cpu_kick(cpu);
}

void apic_local_event(struct apic *apic, enum apic_lvt lvt)
{
    if (!apic_is_on(apic) || (apic->lvt[lvt] & LVT_MASKED) != 0) {
        return;
    }
    lvt_deliver(apic, lvt, false);
    if (lvt == APIC_LVT_PERF && cpu_is_intel(apic->cpu)) {
        apic->lvt[lvt] |= LVT_MASKED; /* [SDM3 "Local Vector Table"]: until software looked */
    }
}

static bool lint_asserted(const struct apic *apic, unsigned pin)
{
    bool active_low = (apic->lvt[APIC_LVT_LINT0 + pin] & 0x2000) != 0;
    return apic->lint_level[pin] != active_low;
}

/* LINT1 is always edge-triggered; so is every mode but fixed. */
static bool lint_is_level(const struct apic *apic, unsigned pin)
{
    u32 entry = apic->lvt[APIC_LVT_LINT0 + pin];
    return pin == 0 && (entry & LVT_MODE) == 0 && (entry & LVT_LEVEL) != 0;
}

/* A level-triggered fixed entry asserts again as long as its pin does and the last one was
 * answered. */
static void lint_check_level(struct apic *apic, unsigned pin)
{
    u32 entry = apic->lvt[APIC_LVT_LINT0 + pin];
    if (apic_is_on(apic) && lint_is_level(apic, pin) && lint_asserted(apic, pin) &&
        (entry & (LVT_MASKED | LVT_REMOTE_IRR)) == 0) {
        lvt_deliver(apic, APIC_LVT_LINT0 + pin, true);
    }
}

void apic_set_lint(struct apic *apic, unsigned pin, bool level)
{
    struct cpu *cpu = apic->cpu;
    bool was = lint_asserted(apic, pin);
    apic->lint_level[pin] = level;
    if (!apic_is_on(apic)) {
        /* The pins are the processor's INTR and NMI. */
        cpu->arch.nmi_pending |= pin == 1 && level && !was;
        cpu_kick(cpu);
        return;
    }
    if (lint_is_level(apic, pin)) {
        lint_check_level(apic, pin);
    } else if (!was && lint_asserted(apic, pin)) {
        apic_local_event(apic, APIC_LVT_LINT0 + pin);
    }
}

bool apic_extint_pending(struct apic *apic)
{
    if (!apic_is_on(apic)) {
        return apic->lint_level[0];
    }
    for (unsigned pin = 0; pin < 2; pin++) {
        u32 entry = apic->lvt[APIC_LVT_LINT0 + pin];
        if ((entry & LVT_MASKED) == 0 && (entry & LVT_MODE) >> LVT_MODE_SHIFT == DELIVERY_EXTINT &&
            lint_asserted(apic, pin)) {
            return true;
        }
    }
    return apic->extint_message;
}

void apic_ack_extint(struct apic *apic)
{
    apic->extint_message = false;
}

/* ---- Registers ------------------------------------------------------------------------------ */

static void write_eoi(struct apic *apic)
{
    int vector = highest(apic->isr);
    struct cpu *cpu = apic->cpu;
    if (vector < 0) {
        return;
    }
    bit_clear(apic->isr, (unsigned)vector);
    if (bit_test(apic->tmr, (unsigned)vector)) {
        for (unsigned pin = 0; pin < 2; pin++) {
            u32 *entry = &apic->lvt[APIC_LVT_LINT0 + pin];
            if ((*entry & LVT_REMOTE_IRR) != 0 && (*entry & LVT_VECTOR) == (u32)vector) {
                *entry &= ~LVT_REMOTE_IRR;
                lint_check_level(apic, pin);
            }
        }
        if ((apic->svr & SVR_NO_EOI_BROADCAST) == 0 && cpu->ports.eoi_broadcast != NULL) {
            cpu->ports.eoi_broadcast(cpu->ports.self, (u8)vector);
        }
    }
    cpu_kick(cpu);
}

static u32 version(const struct apic *apic)
{
    /* Intel: seven LVT entries, EOI broadcast can be suppressed. */
    return cpu_is_intel(apic->cpu) ? 0x15u | (APIC_LVT_COUNT - 1) << 16 | BIT32(24)
                                   : 0x10u | (APIC_LVT_COUNT - 2) << 16;
}

static void write_lvt(struct apic *apic, enum apic_lvt lvt, u32 value)
{
    u32 old = apic->lvt[lvt];
    value &= lvt_mask(apic, lvt);
    if ((apic->svr & SVR_ENABLE) == 0) {
        value |= LVT_MASKED;
    }
    bool level = lvt == APIC_LVT_LINT0 && (value & (LVT_MODE | LVT_LEVEL)) == LVT_LEVEL;
    apic->lvt[lvt] = value | (level ? old & LVT_REMOTE_IRR : 0);
    if (lvt == APIC_LVT_TIMER) {
        apic_timer_mode_changed(apic, old);
    }
    if (lvt == APIC_LVT_LINT0 || lvt == APIC_LVT_LINT1) {
        lint_check_level(apic, lvt - APIC_LVT_LINT0);
        cpu_kick(apic->cpu); /* an ExtINT may wait at the pin */
    }
}

static void write_svr(struct apic *apic, u32 value)
{
    u32 mask = 0x3ff | (cpu_is_intel(apic->cpu) ? SVR_NO_EOI_BROADCAST : 0);
    apic->svr = value & mask;
    if ((apic->svr & SVR_ENABLE) == 0) {
        for (unsigned i = 0; i < APIC_LVT_COUNT; i++) {
            apic->lvt[i] |= LVT_MASKED;
        }
    }
}

static bool lvt_of(const struct apic *apic, u32 reg, enum apic_lvt *lvt)
{
    for (unsigned i = 0; i < APIC_LVT_COUNT; i++) {
        if (lvt_regs[i] == reg && (i != APIC_LVT_CMCI || has_cmci(apic))) {
            *lvt = (enum apic_lvt)i;
            return true;
        }
    }
    return false;
}

/* False: no such register in the present mode, or it cannot be read. */
static bool read_register(struct apic *apic, u32 reg, u64 *value)
{
    bool x2 = apic_is_x2(apic);
    enum apic_lvt lvt = APIC_LVT_TIMER;
    *value = 0;
    if (lvt_of(apic, reg, &lvt)) {
        *value = apic->lvt[lvt];
        return true;
    }
    if (reg >= REG_ISR && reg < REG_ESR) {
        const u32 *maps[] = {apic->isr, apic->tmr, apic->irr};
        *value = maps[(reg - REG_ISR) / 8][reg & 7];
        return true;
    }
    switch (reg) {
    case REG_ID:
        *value = x2 ? apic->cpu->index : apic->id << 24;
        return true;
    case REG_VERSION:
        *value = version(apic);
        return true;
    case REG_TPR:
        *value = apic->tpr;
        return true;
    case REG_PPR:
        *value = apic_ppr(apic);
        return true;
    case REG_LDR:
        *value = x2 ? apic_x2_ldr(apic) : apic->ldr;
        return true;
    case REG_SVR:
        *value = apic->svr;
        return true;
    case REG_ESR:
        *value = apic->esr;
        return true;
    case REG_ICR:
        *value = x2 ? apic->icr : (u32)apic->icr;
        return true;
    case REG_TIMER_INITIAL:
        *value = apic->timer_initial;
        return true;
    case REG_TIMER_CURRENT:
        *value = apic_timer_current(apic);
        return true;
    case REG_TIMER_DIVIDE:
        *value = apic->timer_divide;
        return true;
    default:
        break;
    }
    if (x2) {
        return false;
    }
    switch (reg) {
    case REG_APR:
        *value = apic_ppr(apic);
        return true;
    case REG_DFR:
        *value = apic->dfr;
        return true;
    case REG_ICR2:
        *value = apic->icr >> 32;
        return true;
    case REG_EOI: /* write-only, reads as 0 */
    case REG_RRD:
        return true;
    default:
        return false;
    }
}

/* False: no such register in the present mode, or it cannot be written. Values are checked already.
 */
static bool write_register(struct apic *apic, u32 reg, u64 value)
{
    bool x2 = apic_is_x2(apic);
    u32 v = (u32)value;
    enum apic_lvt lvt = APIC_LVT_TIMER;
    if (lvt_of(apic, reg, &lvt)) {
        write_lvt(apic, lvt, v);
        return true;
    }
    switch (reg) {
    case REG_TPR:
        apic->tpr = v & 0xff;
        cpu_kick(apic->cpu);
        return true;
    case REG_EOI:
        write_eoi(apic);
        return true;
    case REG_SVR:
        write_svr(apic, v);
        return true;
    case REG_ESR:
        apic->esr = apic->esr_found;
        apic->esr_found = 0;
        return true;
    case REG_ICR:
        apic_write_icr(apic, x2 ? value : (apic->icr & ~(u64)0xffffffff) | (v & 0xccfff));
        return true;
    case REG_TIMER_INITIAL:
        apic_timer_write_initial(apic, v);
        return true;
    case REG_TIMER_DIVIDE:
        apic_timer_write_divide(apic, v);
        return true;
    default:
        break;
    }
    if (x2) {
        if (reg == REG_SELF_IPI) {
            apic_self_ipi(apic, (u8)v);
        }
        return reg == REG_SELF_IPI;
    }
    switch (reg) {
    case REG_ID:
        apic->id = v >> 24;
        return true;
    case REG_LDR:
        apic->ldr = v & 0xff000000;
        return true;
    case REG_DFR:
        apic->dfr = v | 0x0fffffff;
        return true;
    case REG_ICR2:
        apic->icr = (u32)apic->icr | (u64)(v & 0xff000000) << 32;
        return true;
    default:
        return false;
    }
}

/* ---- MMIO ----------------------------------------------------------------------------------- */

u64 apic_mmio_base(const struct apic *apic)
{
    if (!apic_is_on(apic) || apic_is_x2(apic)) {
        return ~(u64)0;
    }
    return apic->cpu->arch.apic_base & ~PAGE_MASK;
}

static bool access_is_regular(const struct apic *apic, u64 offset, unsigned size)
{
    if ((offset & 15) == 0 && size == 4) {
        return true;
    }
    log_guest_error(apic->cpu->log,
                    "local APIC: %u-byte access at offset %llx; only aligned 32-bit ones "
                    "are defined",
                    size, (unsigned long long)offset);
    return false;
}

/* Reads narrower than 32 bits are undefined; they get the bytes of the register. */
u64 apic_mmio_read(struct apic *apic, u64 offset, unsigned size)
{
    u64 value = 0;
    if (!access_is_regular(apic, offset, size) && (offset & 15) + size > 4) {
        return 0;
    }
    if (!read_register(apic, (u32)(offset >> 4), &value)) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
    }
    return (value & 0xffffffff) >> (8 * (offset & 3)) & size_mask(size);
}

void apic_mmio_write(struct apic *apic, u64 offset, u64 value, unsigned size)
{
    if (!access_is_regular(apic, offset, size)) {
        return;
    }
    u64 old;
    u32 reg = (u32)(offset >> 4);
    if (!write_register(apic, reg, value) && !read_register(apic, reg, &old)) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
    }
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

/* Bits that must be zero in a WRMSR. [SDM3 "x2APIC Register Address Space"] */
static u64 x2_reserved(const struct apic *apic, u32 reg)
{
    enum apic_lvt lvt = APIC_LVT_TIMER;
    if (lvt_of(apic, reg, &lvt)) {
        return ~(u64)(lvt_mask(apic, lvt) | LVT_REMOTE_IRR | 0x1000);
    }
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return ~(u64)0xff;
    case REG_EOI:
    case REG_ESR:
        return ~(u64)0;
    case REG_SVR:
        return ~(u64)(0x3ff | (cpu_is_intel(apic->cpu) ? SVR_NO_EOI_BROADCAST : 0));
    case REG_ICR:
        return 0xfff32000u;
    case REG_TIMER_DIVIDE:
        return ~(u64)0xb;
    default:
        return ~(u64)0 << 32;
    }
}

cpu_rc apic_msr_read(struct apic *apic, u32 index, u64 *value)
{
    struct cpu *cpu = apic->cpu;
    if (index == MSR_IA32_APIC_BASE) {
        *value = cpu->arch.apic_base;
        return CPU_OK;
    }
    if (index == MSR_IA32_TSC_DEADLINE) {
        *value = cpu->arch.tsc_deadline;
        return CPU_OK;
    }
    if (!apic_is_x2(apic)) {
        return raise_gp(cpu, 0, "RDMSR of an x2APIC register outside of x2APIC mode");
    }
    if (!read_register(apic, index - MSR_X2APIC_FIRST, value)) {
        return raise_gp(cpu, 0, "RDMSR: no such x2APIC register");
    }
    return CPU_OK;
}

/* [SDM3 "x2APIC State Transitions"] */
static cpu_rc write_base(struct apic *apic, u64 value)
{
    struct cpu *cpu = apic->cpu;
    u64 old = cpu->arch.apic_base;
    bool x2apic = cpu_has(cpu, CPU_FEATURE_X2APIC);
    u64 known = APIC_BASE_BSP | APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0) |
                (~cpu_phys_reserved(cpu) & ~PAGE_MASK);
    bool was_on = (old & APIC_BASE_ENABLE) != 0, was_x2 = (old & APIC_BASE_X2APIC) != 0;
    bool on = (value & APIC_BASE_ENABLE) != 0, x2 = (value & APIC_BASE_X2APIC) != 0;
    if ((value & ~known) != 0) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits of IA32_APIC_BASE");
    }
    if ((x2 && !on) || (was_x2 && on && !x2) || (!was_on && x2)) {
        return raise_gp(cpu, 0, "WRMSR: IA32_APIC_BASE: no such transition of APIC modes");
    }
    cpu->arch.apic_base = value;
    if (was_on && !on) {
        u32 tpr = apic->tpr;
        apic_reset(apic, true);
        apic->tpr = tpr; /* CR8 keeps it */
        apic->id = cpu->index & 0xff;
    }
    if (((old ^ value) & ~(u64)APIC_BASE_BSP) != 0 && cpu->tlb != NULL) {
        tlb_drop_all(cpu); /* the page of registers may cover memory, or uncover it */
    }
    cpu_kick(cpu);
    return CPU_OK;
}

cpu_rc apic_msr_write(struct apic *apic, u32 index, u64 value)
{
    struct cpu *cpu = apic->cpu;
    if (index == MSR_IA32_APIC_BASE) {
        return write_base(apic, value);
    }
    if (index == MSR_IA32_TSC_DEADLINE) {
        apic_timer_write_deadline(apic, value);
        return CPU_OK;
    }
    u32 reg = index - MSR_X2APIC_FIRST;
    if (!apic_is_x2(apic)) {
        return raise_gp(cpu, 0, "WRMSR to an x2APIC register outside of x2APIC mode");
    }
    if ((value & x2_reserved(apic, reg)) != 0) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits of an x2APIC register");
    }
    if (!write_register(apic, reg, value)) {
        return raise_gp(cpu, 0, "WRMSR: no such x2APIC register, or a read-only one");
    }
    return CPU_OK;
}

u64 apic_get_cr8(const struct apic *apic)
{
    return apic->tpr >> 4;
}

void apic_set_cr8(struct apic *apic, u64 tpr)
{
    apic->tpr = (u32)(tpr & 0xf) << 4;
    cpu_kick(apic->cpu);
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct apic *apic_new(struct cpu *cpu)
{
    struct apic *apic = calloc(1, sizeof *apic);
    if (apic != NULL) {
        apic->cpu = cpu;
        apic_timer_init(apic);
        apic_reset(apic, false);
    }
    return apic;
}

void apic_free(struct apic *apic)
{
    free(apic);
}

/* [SDM3 "Local APIC State After Power-Up or Reset"], [SDM3 "Local APIC State After an INIT Reset"].
 * The pins keep their level: it is the board's. */
void apic_reset(struct apic *apic, bool init)
{
    struct cpu *cpu = apic->cpu;
    if (!init) {
        apic->id = cpu->index & 0xff;
        cpu->arch.apic_base = 0;
        if (cpu_has(cpu, CPU_FEATURE_APIC)) {
            cpu->arch.apic_base =
                APIC_BASE_DEFAULT | APIC_BASE_ENABLE | (cpu->index == 0 ? APIC_BASE_BSP : 0u);
        }
    }
    apic->tpr = 0;
    apic->ldr = 0;
    apic->dfr = 0xffffffff;
    apic->svr = 0xff;
    apic->esr = 0;
    apic->esr_found = 0;
    apic->icr = 0;
    memset(apic->irr, 0, sizeof apic->irr);
    memset(apic->isr, 0, sizeof apic->isr);
    memset(apic->tmr, 0, sizeof apic->tmr);
    for (unsigned i = 0; i < APIC_LVT_COUNT; i++) {
        apic->lvt[i] = LVT_MASKED;
    }
    apic->extint_message = false;
    apic_timer_reset(apic);
}

/* IA32_APIC_BASE and IA32_TSC_DEADLINE are visited with the MSRs. */
void apic_state(struct apic *apic, struct state_io *io)
{
    state_section(io, "apic", 1);
    state_u32(io, "id", &apic->id);
    state_u32(io, "tpr", &apic->tpr);
    state_u32(io, "ldr", &apic->ldr);
    state_u32(io, "dfr", &apic->dfr);
    state_u32(io, "svr", &apic->svr);
    state_u32(io, "esr", &apic->esr);
    state_u32(io, "esr_found", &apic->esr_found);
    state_u64(io, "icr", &apic->icr);
    state_u32_array(io, "lvt", apic->lvt, APIC_LVT_COUNT);
    state_u32_array(io, "irr", apic->irr, 8);
    state_u32_array(io, "isr", apic->isr, 8);
    state_u32_array(io, "tmr", apic->tmr, 8);
    state_u32(io, "timer_initial", &apic->timer_initial);
    state_u32(io, "timer_divide", &apic->timer_divide);
    state_u64(io, "timer_expire", &apic->timer_expire);
    state_bool(io, "timer_counts", &apic->timer_counts);
    timer_state(&apic->timer, io, "timer");
    state_bool(io, "lint0", &apic->lint_level[0]);
    state_bool(io, "lint1", &apic->lint_level[1]);
    state_bool(io, "extint_message", &apic->extint_message);
    if (state_is_load(io)) {
        cpu_kick(apic->cpu);
    }
}
