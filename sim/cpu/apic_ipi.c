/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interrupt messages: IPIs from the ICR, MSIs and I/O APIC messages, and who takes them.
 * [SDM3 "Issuing Interprocessor Interrupts"], [SDM3 "Message Signalled Interrupts"]
 *
 * Lowest priority goes to the processor with the lowest PPR, among equals to the lowest number.
 * There is no bus to wait for: messages arrive before the sender's next instruction. Left out:
 * focus processor, remote read, extended destination IDs of MSIs. */
#include "cpu/apic_priv.h"

#define ICR_VECTOR 0xffu
#define ICR_LOGICAL 0x800u
#define ICR_BUSY 0x1000u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_SHORTHAND_SHIFT 18

enum shorthand { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

u32 apic_x2_ldr(const struct apic *apic)
{
    u32 id = apic->cpu->index;
    return (id >> 4) << 16 | BIT32(id & 15);
}

static bool logical_match(const struct apic *apic, u32 dest)
{
    if (apic_is_x2(apic)) {
        u32 ldr = apic_x2_ldr(apic);
        return (dest >> 16) == (ldr >> 16) && (dest & ldr & 0xffff) != 0;
    }
    u32 ldr = apic->ldr >> 24;
    if (apic->dfr >> 28 == 0xf) {
        return (dest & ldr & 0xff) != 0;
    }
    if (apic->dfr >> 28 != 0) {
        return false; /* neither flat nor cluster */
    }
    bool cluster = (dest >> 4 & 0xf) == 0xf || (dest >> 4 & 0xf) == ldr >> 4;
    return cluster && (dest & ldr & 0xf) != 0;
}

static bool addressed(const struct apic *apic, const struct apic_message *msg)
{
    if (!apic_is_on(apic)) {
        return false;
    }
    if (msg->dest_all) {
        return true;
    }
    if (msg->logical) {
        return logical_match(apic, msg->dest);
    }
    return msg->dest == (apic_is_x2(apic) ? apic->cpu->index : apic->id);
}

static void start_up(struct cpu *cpu, u8 vector)
{
    /* Not remembered: only a processor that waits for it, or is about to, listens. */
    if (cpu->arch.activity == ACTIVITY_WAIT_SIPI || cpu->arch.init_pending) {
        cpu->arch.sipi_pending = true;
        cpu->arch.sipi_vector = vector;
    }
}

static void deliver(struct apic *apic, const struct apic_message *msg)
{
    struct cpu *cpu = apic->cpu;
    switch (msg->delivery) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
        (void)apic_accept(apic, msg->vector, msg->level);
        return;
    case DELIVERY_SMI:
        cpu->arch.smi_pending = true;
        break;
    case DELIVERY_NMI:
        cpu->arch.nmi_pending = true;
        break;
    case DELIVERY_INIT:
        cpu->arch.init_pending = true;
        cpu->arch.sipi_pending = false;
        break;
    case DELIVERY_STARTUP:
        start_up(cpu, msg->vector);
        break;
    case DELIVERY_EXTINT:
        apic->extint_message = true;
        break;
    case DELIVERY_RESERVED:
        log_guest_error(cpu->log, "interrupt message with the reserved delivery mode");
        return;
    }
    cpu_kick(cpu);
}

/* Of those addressed: lowest PPR, then lowest number; a processor whose APIC software has switched
 * off takes no part. */
static struct apic *arbitrate(const struct cpu_set *set, const struct apic_message *msg)
{
    struct apic *best = NULL;
    for (unsigned i = 0; i < set->count; i++) {
        struct apic *apic = set->cpu[i]->apic;
        if (apic == NULL || !addressed(apic, msg) || (apic->svr & SVR_ENABLE) == 0) {
            continue;
        }
        if (best == NULL || apic_ppr(apic) < apic_ppr(best)) {
            best = apic;
        }
    }
    return best;
}

static void send(const struct cpu_set *set, const struct apic_message *msg, const struct apic *skip)
{
    if (msg->one || msg->delivery == DELIVERY_LOWEST) {
        struct apic *target = arbitrate(set, msg);
        if (target != NULL) {
            deliver(target, msg);
        }
        return;
    }
    for (unsigned i = 0; i < set->count; i++) {
        struct apic *apic = set->cpu[i]->apic;
        if (apic != NULL && apic != skip && addressed(apic, msg)) {
            deliver(apic, msg);
        }
    }
}

/* [SDM3 "Valid Combinations for the Pentium 4 and Intel Xeon Processors Local xAPIC Interrupt
 * Command Register"]: with a shorthand for oneself only fixed, no lowest priority for all. NMI and SMI
 * to oneself are in no manual's table of valid combinations, but processors deliver them. */
static bool shorthand_valid(enum shorthand s, enum delivery d)
{
    switch (s) {
    case SHORTHAND_NONE:
        return true;
    case SHORTHAND_SELF:
        return d == DELIVERY_FIXED || d == DELIVERY_NMI || d == DELIVERY_SMI;
    case SHORTHAND_ALL:
        return d == DELIVERY_FIXED;
    case SHORTHAND_OTHERS:
        return true;
    }
    return false;
}

static void issue(struct apic *apic, struct apic_message msg, enum shorthand s)
{
    static const struct cpu_set no_set;
    const struct cpu_set *set = apic->cpu->set != NULL ? apic->cpu->set : &no_set;
    if (!shorthand_valid(s, msg.delivery)) {
        log_guest_error(apic->cpu->log, "IPI: delivery mode %u does not go with shorthand %u",
                        (unsigned)msg.delivery, (unsigned)s);
        return;
    }
    if ((msg.delivery == DELIVERY_FIXED || msg.delivery == DELIVERY_LOWEST) && msg.vector < 16) {
        apic_error(apic, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    switch (s) {
    case SHORTHAND_NONE:
        send(set, &msg, NULL);
        break;
    case SHORTHAND_SELF:
        deliver(apic, &msg);
        break;
    case SHORTHAND_ALL:
    case SHORTHAND_OTHERS:
        msg.dest_all = true;
        send(set, &msg, s == SHORTHAND_OTHERS ? apic : NULL);
        break;
    }
}

/* The trigger mode of an IPI means something for INIT alone: level de-assert only synchronizes the
 * arbitration IDs of old processors. */
void apic_write_icr(struct apic *apic, u64 icr)
{
    u32 low = (u32)icr;
    bool x2 = apic_is_x2(apic);
    u32 dest = x2 ? (u32)(icr >> 32) : (u32)(icr >> 56);
    apic->icr = icr & ~(u64)ICR_BUSY;
    struct apic_message msg = {
        .delivery = (enum delivery)(low >> 8 & 7),
        .vector = (u8)(low & ICR_VECTOR),
        .dest = dest,
        .dest_all = dest == (x2 ? 0xffffffffu : 0xffu),
        .logical = (low & ICR_LOGICAL) != 0,
    };
    if (msg.dest_all && msg.logical && !x2) {
        msg.dest_all = false; /* in xAPIC mode that is every bit of a logical mask */
    }
    if (msg.delivery == DELIVERY_INIT && (low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL) {
        return;
    }
    if (msg.delivery == DELIVERY_EXTINT || msg.delivery == DELIVERY_RESERVED) {
        log_guest_error(apic->cpu->log, "IPI with reserved delivery mode %u",
                        (unsigned)msg.delivery);
        return;
    }
    issue(apic, msg, (enum shorthand)(low >> ICR_SHORTHAND_SHIFT & 3));
}

void apic_self_ipi(struct apic *apic, u8 vector)
{
    issue(apic, (struct apic_message){.delivery = DELIVERY_FIXED, .vector = vector},
          SHORTHAND_SELF);
}

/* [SDM3 "Message Address Register Format"]. The destination mode counts whatever the redirection
 * hint says, as chip sets do it. Bits 63:40 of the address are what an IOMMU in extended interrupt mode
 * adds: bits 31:8 of the destination; on the bus itself addresses of interrupts have 32 bits. */
void apic_bus_msi(struct cpu_set *set, u64 address, u32 data)
{
    u32 dest = ((u32)(address >> 12) & 0xff) | (u32)(address >> 40) << 8;
    struct apic_message msg = {
        .delivery = (enum delivery)(data >> 8 & 7),
        .vector = (u8)data,
        .dest = dest,
        .logical = (address & 4) != 0,
        .level = (data & 0x8000) != 0,
    };
    msg.dest_all = (dest == 0xff && !msg.logical) || dest == 0xffffffff;
    msg.one = (address & 8) != 0 && msg.logical && msg.delivery == DELIVERY_FIXED;
    if (msg.level && (data & 0x4000) == 0) {
        return; /* de-assert */
    }
    if (msg.delivery == DELIVERY_STARTUP || msg.delivery == DELIVERY_RESERVED) {
        if (set->count > 0) {
            log_guest_error(set->cpu[0]->log, "interrupt message with reserved delivery mode %u",
                            (unsigned)msg.delivery);
        }
        return;
    }
    send(set, &msg, NULL);
}
