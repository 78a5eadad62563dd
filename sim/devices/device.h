/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every device is to the board: one ops table and an opaque self.
 *
 * A device is a private struct with a constructor that takes everything it needs as parameters:
 * no host time, no randomness, no host I/O, no globals. Time comes from struct clock, outside data
 * from a backend behind the input gate, memory through struct dma. Every field is visited by
 * `state` or is marked derived in the struct. */
#ifndef VITRINE_DEVICES_DEVICE_H
#define VITRINE_DEVICES_DEVICE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/state.h"
#include "base/types.h"
#include "mmu/phys.h"

enum reset_kind {
    RESET_POWER, /* power-on */
    RESET_HARD,  /* PLTRST: reset ports, triple fault */
};

struct device_ops {
    const char *type; /* "uart16550" */
    void (*reset)(void *self, enum reset_kind kind);
    void (*state)(void *self, struct state_io *io); /* begins with state_section(io, id, n) */
    void (*destroy)(void *self);                    /* frees self; may be NULL: nothing to free */
};

struct device {
    const struct device_ops *ops;
    void *self;
    char id[32]; /* unique in the machine: "serial0", "pci.3.virtio-blk" */
};

/* An interrupt wire. Level, active high unless the receiver says otherwise. Copy it freely. */
struct irq_line {
    void (*set)(void *target, unsigned n, bool level);
    void *target;
    unsigned n;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set != NULL) {
        line->set(line->target, line->n, level);
    }
}

/* Memory as a bus master sees it. `requester` is the PCI requester ID (bus << 8 | devfn). Every
 * DMA passes here, so that an IOMMU can stand in between. False: the access was refused. */
struct dma {
    bool (*read)(void *self, u16 requester, iova_t iova, void *data, u64 size);
    bool (*write)(void *self, u16 requester, iova_t iova, const void *data, u64 size);
    void *self;
};

static inline MUST_USE bool dma_read(const struct dma *dma, u16 requester, iova_t iova, void *data,
                                     u64 size)
{
    return dma->read(dma->self, requester, iova, data, size);
}

static inline MUST_USE bool dma_write(const struct dma *dma, u16 requester, iova_t iova,
                                      const void *data, u64 size)
{
    return dma->write(dma->self, requester, iova, data, size);
}

/* Message-signalled interrupts on their way to the processors (through interrupt remapping). */
struct msi_sink {
    void (*send)(void *self, u16 requester, u64 address, u32 data);
    void *self;
};

/* What every constructor gets: the machine's services, and where the device attaches. */
struct device_env {
    struct clock *clock;
    struct log *log;
    struct bus *bus;     /* I/O ports, device list: devices/bus.h */
    struct phys *phys;   /* memory map */
    struct dma dma;
    struct msi_sink msi;
};

#endif
