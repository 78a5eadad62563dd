/* SPDX-License-Identifier: GPL-3.0-or-later */
/* I/O APIC [82093AA data sheet; ICH9 "Advanced Programmable Interrupt Controller (APIC)"], version
 * 0x20: with the EOI register.
 *
 * Modelled: all registers, edge and level pins, Remote IRR, masks. A masked edge is lost, a masked
 * level is not. A message is sent at once, so Delivery Status always reads idle. Setting an entry
 * to edge clears its Remote IRR: Linux and Xen end level interrupts that way on chips without EOI
 * register, and every known chip obeys.
 *
 * DEVIATION: the polarity bit is stored but does not invert the pin; the board's wires already say
 * "requesting" (guests disagree about the polarity of PCI pins, and all of them have to run).
 * Pinned by test_ioapic. */
#include "devices/ioapic.h"

#include "base/assert.h"
#include "base/bits.h"
#include "devices/bus.h"

#include <stdio.h>
#include <stdlib.h>

enum { MMIO_IOREGSEL = 0x00, MMIO_IOWIN = 0x10, MMIO_EOIR = 0x40 };
enum { IOAPICID = 0x00, IOAPICVER = 0x01, IOAPICARB = 0x02, IOREDTBL = 0x10 };

#define IOAPIC_VERSION 0x20u

#define RTE_VECTOR(e) ((u8)(e))
#define RTE_DELIVERY_MODE(e) ((unsigned)bits_get(e, 8, 3))
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL BIT(15)
#define RTE_MASKED BIT(16)
#define RTE_READ_ONLY (BIT(12) | RTE_REMOTE_IRR)
/* Delivery status, reserved bits 17 to 47; 48 to 55 are the extended destination or the index. */
#define RTE_WRITABLE (~(u64)0xfffffffe0000 & ~RTE_READ_ONLY)

enum { DELIVERY_FIXED = 0, DELIVERY_LOWEST = 1, DELIVERY_EXTINT = 7 };

struct ioapic {
    char id[32];         /* configuration */
    struct log *log;     /* configuration */
    struct msi_sink msi; /* configuration */
    u16 requester;       /* configuration */
    u8 regsel;
    u32 apic_id;
    u32 levels; /* bit per pin */
    u64 entries[IOAPIC_PINS];
};

static void send(struct ioapic *a, unsigned pin)
{
    u64 e = a->entries[pin];
    u64 address = 0xfee00000u | bits_get(e, 48, 16) << 4 | bits_get(e, 11, 1) << 2;
    u32 data = RTE_VECTOR(e) | RTE_DELIVERY_MODE(e) << 8;
    if ((e & RTE_LEVEL) != 0) {
        data |= 1u << 15 | 1u << 14;
    }
    a->msi.send(a->msi.self, a->requester, address, data);
}

/* A level pin sends whenever it requests, is not masked and its last message has been ended. Remote
 * IRR is only for what a processor will end with an EOI. */
static void service_level(struct ioapic *a, unsigned pin)
{
    u64 e = a->entries[pin];
    if ((e & RTE_LEVEL) == 0 || (e & (RTE_MASKED | RTE_REMOTE_IRR)) != 0 ||
        (a->levels & BIT32(pin)) == 0) {
        return;
    }
    if (RTE_DELIVERY_MODE(e) <= DELIVERY_LOWEST) {
        a->entries[pin] |= RTE_REMOTE_IRR;
    }
    send(a, pin);
}

static void set_pin(void *self, unsigned pin, bool level)
{
    struct ioapic *a = self;
    bool before = (a->levels & BIT32(pin)) != 0;
    a->levels = level ? a->levels | BIT32(pin) : a->levels & ~BIT32(pin);
    if (!level || before) {
        return;
    }
    u64 e = a->entries[pin];
    if ((e & RTE_LEVEL) != 0) {
        service_level(a, pin);
    } else if ((e & RTE_MASKED) == 0) {
        send(a, pin);
    }
}

void ioapic_eoi(struct ioapic *a, u8 vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 e = a->entries[pin];
        if (RTE_VECTOR(e) == vector && (e & RTE_LEVEL) != 0 && (e & RTE_REMOTE_IRR) != 0) {
            a->entries[pin] &= ~RTE_REMOTE_IRR;
            service_level(a, pin);
        }
    }
}

u64 ioapic_redirection(const struct ioapic *apic, unsigned pin)
{
    return apic->entries[pin];
}

static void write_entry(struct ioapic *a, unsigned index, u32 value)
{
    unsigned pin = index / 2;
    unsigned lo = index % 2 * 32;
    u64 e = a->entries[pin];
    u64 wanted = bits_set(e, lo, 32, value);
    e = (e & ~RTE_WRITABLE) | (wanted & RTE_WRITABLE);
    if ((e & RTE_LEVEL) == 0) {
        e &= ~RTE_REMOTE_IRR;
    }
    a->entries[pin] = e;
    service_level(a, pin);
}

static u32 read_register(const struct ioapic *a)
{
    switch (a->regsel) {
    case IOAPICID:
    case IOAPICARB: /* loaded by writing the ID */
        return a->apic_id;
    case IOAPICVER:
        return IOAPIC_VERSION | (IOAPIC_PINS - 1) << 16;
    default:
        break;
    }
    if (a->regsel >= IOREDTBL && a->regsel < IOREDTBL + 2 * IOAPIC_PINS) {
        unsigned index = a->regsel - IOREDTBL;
        return (u32)(a->entries[index / 2] >> (index % 2 * 32));
    }
    return 0xffffffff;
}

static void write_register(struct ioapic *a, u32 value)
{
    if (a->regsel == IOAPICID) {
        a->apic_id = value & 0x0f000000;
    } else if (a->regsel >= IOREDTBL && a->regsel < IOREDTBL + 2 * IOAPIC_PINS) {
        write_entry(a, a->regsel - IOREDTBL, value);
    } else if (a->regsel != IOAPICVER && a->regsel != IOAPICARB) {
        log_guest_error(a->log, "I/O APIC: write to register %#x", (unsigned)a->regsel);
    }
}

static u64 ioapic_read(void *self, u64 offset, unsigned size)
{
    const struct ioapic *a = self;
    UNUSED(size);
    switch (offset) {
    case MMIO_IOREGSEL:
        return a->regsel;
    case MMIO_IOWIN:
        return read_register(a);
    default:
        return 0;
    }
}

static void ioapic_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct ioapic *a = self;
    switch (offset) {
    case MMIO_IOREGSEL:
        a->regsel = (u8)value;
        break;
    case MMIO_IOWIN:
        if (size != 4) {
            log_guest_error(a->log, "I/O APIC: %u-byte write to IOWIN", size);
        }
        write_register(a, (u32)value);
        break;
    case MMIO_EOIR:
        ioapic_eoi(a, (u8)value);
        break;
    default:
        log_guest_error(a->log, "I/O APIC: write at offset %#llx", (unsigned long long)offset);
        break;
    }
}

static const struct mmio_ops ioapic_mmio = {
    .read = ioapic_read, .write = ioapic_write, .max_size = 4};

static void ioapic_reset(void *self, enum reset_kind kind)
{
    struct ioapic *a = self;
    UNUSED(kind);
    a->regsel = 0;
    a->apic_id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        a->entries[pin] = RTE_MASKED;
    }
}

static void ioapic_state(void *self, struct state_io *io)
{
    struct ioapic *a = self;
    state_section(io, a->id, 1);
    state_u8(io, "regsel", &a->regsel);
    state_u32(io, "apic_id", &a->apic_id);
    state_u32(io, "levels", &a->levels);
    state_u64_array(io, "entries", a->entries, IOAPIC_PINS);
}

static const struct device_ops ioapic_ops = {
    .type = "ioapic", .reset = ioapic_reset, .state = ioapic_state, .destroy = free};

struct ioapic *ioapic_new(const struct device_env *env, const char *id, spa_t base, u16 requester)
{
    struct ioapic *a = calloc(1, sizeof *a);
    sim_assert(a != NULL);
    (void)snprintf(a->id, sizeof a->id, "%s", id);
    a->log = env->log;
    a->msi = env->msi;
    a->requester = requester;
    ioapic_reset(a, RESET_POWER);
    phys_add_mmio(env->phys, base, PAGE_SIZE, 0, &ioapic_mmio, a, "ioapic");
    bus_add_device(env->bus, &ioapic_ops, a, id);
    return a;
}

struct irq_line ioapic_input(struct ioapic *apic, unsigned pin)
{
    sim_assert(pin < IOAPIC_PINS);
    return (struct irq_line){.set = set_pin, .target = apic, .n = pin};
}
