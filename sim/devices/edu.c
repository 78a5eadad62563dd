/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The educational PCI device 1234:11e8 that driver courses and kvm-unit-tests use, as QEMU's
 * docs/specs/edu.rst describes it: liveness check, factorial, interrupts raised by register, DMA
 * between RAM and a buffer of 4 KiB.
 *
 * A factorial takes 10 us of virtual time, a transfer 10 us and 1 ns a byte, so that software must
 * look at the status bits. A transfer that leaves the buffer does nothing. */
#include "devices/testdevs.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EDU_SIZE MIB(1)
#define EDU_ID 0x010000edu

#define EDU_REG_ID 0x00
#define EDU_REG_LIVE 0x04
#define EDU_REG_FACTORIAL 0x08
#define EDU_REG_STATUS 0x20
#define EDU_REG_IRQ_STATUS 0x24
#define EDU_REG_IRQ_RAISE 0x60
#define EDU_REG_IRQ_ACK 0x64
#define EDU_REG_DMA_SOURCE 0x80
#define EDU_REG_DMA_TARGET 0x88
#define EDU_REG_DMA_COUNT 0x90
#define EDU_REG_DMA_COMMAND 0x98

#define STATUS_COMPUTING 0x01u
#define STATUS_IRQ 0x80u
#define DMA_RUN 0x1u
#define DMA_TO_RAM 0x2u
#define DMA_IRQ 0x4u
#define IRQ_FACTORIAL 0x001u
#define IRQ_DMA 0x100u

#define BUFFER_BASE 0x40000u
#define BUFFER_SIZE 4096u
#define WORK_NS 10000u

struct edu {
    struct pci_function fn;
    struct clock *clock;
    struct log *log;
    char id[32];
    u64 dma_mask; /* configuration */
    struct timer factorial_timer, dma_timer;
    u32 live, factorial, status, irq_status;
    u64 dma_source, dma_target, dma_count, dma_command;
    u8 buffer[BUFFER_SIZE];
};

static void raise_irq(struct edu *e, u32 bits)
{
    e->irq_status |= bits;
    if (e->irq_status != 0) {
        pci_set_intx(&e->fn, true);
        pci_msi_notify(&e->fn, 0);
    }
}

static void acknowledge(struct edu *e, u32 bits)
{
    e->irq_status &= ~bits;
    if (e->irq_status == 0) {
        pci_set_intx(&e->fn, false);
    }
}

static void factorial_done(void *self)
{
    struct edu *e = self;
    u32 product = 1;
    /* From 34 on the product is 0 in 32 bits. */
    for (u32 n = e->factorial < 34 ? e->factorial : 34; n > 0; n--) {
        product *= n;
    }
    e->factorial = product;
    e->status &= ~STATUS_COMPUTING;
    if ((e->status & STATUS_IRQ) != 0) {
        raise_irq(e, IRQ_FACTORIAL);
    }
}

/* The part of the buffer a transfer uses, or NULL. */
static u8 *buffer_at(struct edu *e, u64 address)
{
    u64 offset = address - BUFFER_BASE;
    if (address < BUFFER_BASE || offset > BUFFER_SIZE || e->dma_count > BUFFER_SIZE - offset) {
        log_guest_error(e->log, "%s: DMA outside the buffer", e->id);
        return NULL;
    }
    return e->buffer + offset;
}

static void dma_done(void *self)
{
    struct edu *e = self;
    bool to_ram = (e->dma_command & DMA_TO_RAM) != 0;
    u8 *data = buffer_at(e, to_ram ? e->dma_source : e->dma_target);
    u64 address = (to_ram ? e->dma_target : e->dma_source) & e->dma_mask;
    bool done = data != NULL && (to_ram ? pci_dma_write(&e->fn, IOVA(address), data, e->dma_count)
                                        : pci_dma_read(&e->fn, IOVA(address), data, e->dma_count));
    if (!done) {
        log_line(e->log, LOG_DEVICE, "%s: transfer of %llu bytes at 0x%llx failed", e->id,
                 (unsigned long long)e->dma_count, (unsigned long long)address);
    }
    e->dma_command &= ~(u64)DMA_RUN;
    if ((e->dma_command & DMA_IRQ) != 0) {
        raise_irq(e, IRQ_DMA);
    }
}

/* 32-bit accesses everywhere, 64-bit ones in the DMA registers. */
static bool is_allowed(u64 offset, unsigned size)
{
    return size == 4 || (size == 8 && offset >= EDU_REG_DMA_SOURCE);
}

static u64 edu_read(void *self, u64 offset, unsigned size)
{
    const struct edu *e = self;
    if (!is_allowed(offset, size)) {
        return ~(u64)0;
    }
    switch (offset) {
    case EDU_REG_ID:
        return EDU_ID;
    case EDU_REG_LIVE:
        return e->live;
    case EDU_REG_FACTORIAL:
        return e->factorial;
    case EDU_REG_STATUS:
        return e->status;
    case EDU_REG_IRQ_STATUS:
        return e->irq_status;
    case EDU_REG_DMA_SOURCE:
        return e->dma_source;
    case EDU_REG_DMA_TARGET:
        return e->dma_target;
    case EDU_REG_DMA_COUNT:
        return e->dma_count;
    case EDU_REG_DMA_COMMAND:
        return e->dma_command;
    default:
        return ~(u64)0;
    }
}

static void write_dma(struct edu *e, u64 offset, u64 value)
{
    if ((e->dma_command & DMA_RUN) != 0) {
        return; /* busy */
    }
    switch (offset) {
    case EDU_REG_DMA_SOURCE:
        e->dma_source = value;
        break;
    case EDU_REG_DMA_TARGET:
        e->dma_target = value;
        break;
    case EDU_REG_DMA_COUNT:
        e->dma_count = value;
        break;
    case EDU_REG_DMA_COMMAND:
        if ((value & DMA_RUN) != 0) {
            u64 bytes = e->dma_count < BUFFER_SIZE ? e->dma_count : BUFFER_SIZE;
            e->dma_command = value;
            timer_arm(&e->dma_timer, (vtime_t){clock_now(e->clock).ns + WORK_NS + bytes});
        }
        break;
    default:
        break;
    }
}

static void edu_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct edu *e = self;
    if (!is_allowed(offset, size)) {
        return;
    }
    switch (offset) {
    case EDU_REG_LIVE:
        e->live = ~(u32)value;
        break;
    case EDU_REG_FACTORIAL:
        if ((e->status & STATUS_COMPUTING) == 0) {
            e->factorial = (u32)value;
            e->status |= STATUS_COMPUTING;
            timer_arm(&e->factorial_timer, (vtime_t){clock_now(e->clock).ns + WORK_NS});
        }
        break;
    case EDU_REG_STATUS:
        e->status = (e->status & ~STATUS_IRQ) | ((u32)value & STATUS_IRQ);
        break;
    case EDU_REG_IRQ_RAISE:
        raise_irq(e, (u32)value);
        break;
    case EDU_REG_IRQ_ACK:
        acknowledge(e, (u32)value);
        break;
    default:
        write_dma(e, offset, value);
        break;
    }
}

static const struct mmio_ops mmio_ops = {.read = edu_read, .write = edu_write};
static const struct pci_function_ops function_ops = {.config_written = NULL};

static void reset(void *self, enum reset_kind kind)
{
    struct edu *e = self;
    UNUSED(kind);
    pci_function_reset(&e->fn);
    timer_cancel(&e->factorial_timer);
    timer_cancel(&e->dma_timer);
    e->live = 0;
    e->factorial = 0;
    e->status = 0;
    e->irq_status = 0;
    e->dma_source = 0;
    e->dma_target = 0;
    e->dma_count = 0;
    e->dma_command = 0;
    memset(e->buffer, 0, sizeof e->buffer);
}

static void state(void *self, struct state_io *io)
{
    struct edu *e = self;
    state_section(io, e->id, 1);
    pci_function_state(&e->fn, io);
    state_u32(io, "live", &e->live);
    state_u32(io, "factorial", &e->factorial);
    state_u32(io, "status", &e->status);
    state_u32(io, "irq_status", &e->irq_status);
    state_u64(io, "dma_source", &e->dma_source);
    state_u64(io, "dma_target", &e->dma_target);
    state_u64(io, "dma_count", &e->dma_count);
    state_u64(io, "dma_command", &e->dma_command);
    state_bytes(io, "buffer", e->buffer, sizeof e->buffer);
    timer_state(&e->factorial_timer, io, "factorial_timer");
    timer_state(&e->dma_timer, io, "dma_timer");
}

static void destroy(void *self)
{
    struct edu *e = self;
    pci_function_free(&e->fn);
    free(e);
}

static const struct device_ops ops = {
    .type = "edu", .reset = reset, .state = state, .destroy = destroy};

void edu_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, u64 dma_mask,
             const char *id)
{
    struct edu *e = calloc(1, sizeof *e);
    sim_assert(e != NULL);
    e->clock = env->clock;
    e->log = env->log;
    e->dma_mask = dma_mask;
    (void)snprintf(e->id, sizeof e->id, "%s", id);
    const struct pci_ids ids = {.vendor = 0x1234,
                                .device = 0x11e8,
                                .subsystem_vendor = 0x1af4,
                                .subsystem = 0x1100,
                                .class_code = 0x00ff00,
                                .revision = 0x10,
                                .pin = 1};
    pci_add_function(bus, &e->fn, devfn, &ids, &function_ops, e);
    pci_add_mem_bar(&e->fn, 0, PCI_BAR_MEM32, false, EDU_SIZE, &mmio_ops, e, "edu");
    (void)pci_add_msi(&e->fn, 0, 1, false);
    timer_init(&e->factorial_timer, env->clock, "edu factorial", factorial_done, e);
    timer_init(&e->dma_timer, env->clock, "edu dma", dma_done, e);
    bus_add_device(env->bus, &ops, e, id);
}
