/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An AMD IOMMU on a bare board of 256 KiB, with a scripted driver: tables at fixed places, requests by
 * any requester, recorded messages. For tests and fuzzing; uses no test library. */
#ifndef VITRINE_TESTS_HARNESS_AMDVI_RIG_H
#define VITRINE_TESTS_HARNESS_AMDVI_RIG_H

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/bus.h"
#include "devices/iommu/amdvi.h"
#include "devices/pci.h"

#include "abi/x86/amdvi.h"

#include <stdlib.h>

#define AR_BASE 0xfed80000u
#define AR_RAM KIB(256)
#define AR_DEVTAB 0x1000u /* 4 KiB: devices 0 to 127 */
#define AR_COMMANDS 0x2000u
#define AR_EVENTS 0x3000u
#define AR_PPR 0x4000u
#define AR_GA 0x5000u
#define AR_INTTAB 0x6000u
#define AR_VAPIC 0x7000u
#define AR_GCR3 0x8000u
#define AR_GUEST 0x9000u  /* L4, L3, L2, L1 */
#define AR_HOST 0x10000u  /* level n at + n * 4 KiB, 1 to 6 */
#define AR_STATUS 0x18000u
#define AR_DATA 0x20000u /* to the end of RAM */
#define AR_DEVICE 0x0010u
#define AR_FUNCTION 0x0008u /* the unit's own */
#define AR_RW (AMDVI_PTE_IR | AMDVI_PTE_IW)

struct amdvi_rig {
    struct clock clock;
    struct log log;
    struct bus bus;
    struct phys phys;
    struct device_env env;
    struct pci_bus *pci;
    struct iommu *iommu;
    struct dma dma;
    struct msi_sink msi;
    unsigned messages, doorbells;
    u64 address;
    u32 data, doorbell;
    u64 control;
};

static inline bool ar_mem_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct amdvi_rig *r = self;
    UNUSED(requester);
    phys_read(&r->phys, SPA(iova.v), data, size);
    return true;
}

static inline bool ar_mem_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct amdvi_rig *r = self;
    UNUSED(requester);
    phys_write(&r->phys, SPA(iova.v), data, size);
    return true;
}

static inline void ar_message(void *self, u16 requester, u64 address, u32 data)
{
    struct amdvi_rig *r = self;
    UNUSED(requester);
    r->messages++;
    r->address = address;
    r->data = data;
}

static inline void ar_ring(void *self, u32 apic_id)
{
    struct amdvi_rig *r = self;
    r->doorbells++;
    r->doorbell = apic_id;
}

static inline struct amdvi_rig *ar_new(const struct amdvi_options *options)
{
    struct amdvi_rig *r = calloc(1, sizeof *r);
    sim_assert(r != NULL);
    clock_init(&r->clock, NS_PER_SEC, NS_PER_SEC);
    log_init(&r->log);
    bus_init(&r->bus, &r->log);
    bool ok = phys_init(&r->phys, &r->log, AR_RAM);
    sim_assert(ok);
    phys_add_ram(&r->phys, REGION_RAM, SPA(0), AR_RAM, 0, 0, "ram");
    r->env = (struct device_env){
        .clock = &r->clock,
        .log = &r->log,
        .bus = &r->bus,
        .phys = &r->phys,
        .dma = {.read = ar_mem_read, .write = ar_mem_write, .self = r},
        .msi = {.send = ar_message, .self = r},
    };
    struct amdvi_config config = {.options = *options,
                                  .base = SPA(AR_BASE),
                                  .phys_bits = 40,
                                  .ioapic_requester = 0xa0,
                                  .hpet_requester = 0xa0,
                                  .doorbell = {.ring = ar_ring, .self = r}};
    r->iommu = amdvi_new(&r->env, "amd-iommu", &config);
    r->dma = iommu_dma(r->iommu);
    r->msi = iommu_msi(r->iommu);
    r->pci = pci_bus_new(&r->env);
    pci_bus_set_upstream(r->pci, r->dma, r->msi);
    amdvi_add_function(r->iommu, r->pci, AR_FUNCTION);
    return r;
}

static inline void ar_free(struct amdvi_rig *r)
{
    bus_free(&r->bus);
    phys_free(&r->phys);
    free(r);
}

static inline u32 ar_r32(struct amdvi_rig *r, u64 at)
{
    return (u32)phys_read_scalar(&r->phys, SPA(at), 4);
}

static inline u64 ar_r64(struct amdvi_rig *r, u64 at)
{
    return phys_read_scalar(&r->phys, SPA(at), 8);
}

static inline void ar_w32(struct amdvi_rig *r, u64 at, u32 value)
{
    phys_write_scalar(&r->phys, SPA(at), value, 4);
}

static inline void ar_w64(struct amdvi_rig *r, u64 at, u64 value)
{
    phys_write_scalar(&r->phys, SPA(at), value, 8);
}

static inline u64 ar_reg(struct amdvi_rig *r, u64 offset)
{
    return ar_r64(r, AR_BASE + offset);
}

static inline void ar_set(struct amdvi_rig *r, u64 offset, u64 value)
{
    ar_w64(r, AR_BASE + offset, value);
}

static inline void ar_control(struct amdvi_rig *r, u64 on, u64 off)
{
    ar_set(r, AMDVI_CONTROL, (ar_reg(r, AMDVI_CONTROL) | on) & ~off);
}

static inline void ar_dte(struct amdvi_rig *r, u16 requester, unsigned word, u64 value)
{
    ar_w64(r, AR_DEVTAB + (u64)AMDVI_DTE_SIZE * requester + 8 * word, value);
}

/* Everything on; AR_DEVICE has host tables of `mode` levels, which map nothing yet, and remapped
 * interrupts with 512 entries. Domain 7. */
static inline void ar_start(struct amdvi_rig *r, unsigned mode)
{
    for (unsigned level = 6; level > 1; level--) {
        u64 next = AR_HOST + (level - 1) * PAGE_SIZE;
        ar_w64(r, AR_HOST + level * PAGE_SIZE,
               next | AMDVI_PTE_PR | AR_RW | (u64)(level - 1) << AMDVI_PTE_NEXT_SHIFT);
    }
    ar_dte(r, AR_DEVICE, 0,
           AMDVI_DTE_V | AMDVI_DTE_TV | AR_RW | (u64)mode << AMDVI_DTE_MODE_SHIFT |
               (AR_HOST + mode * PAGE_SIZE));
    ar_dte(r, AR_DEVICE, 1, 7);
    ar_dte(r, AR_DEVICE, 2,
           AMDVI_DTE2_IV | 9u << AMDVI_DTE2_INTTABLEN_SHIFT | AR_INTTAB |
               (u64)2 << AMDVI_DTE2_INTCTL_SHIFT);
    ar_set(r, AMDVI_DEVTAB, AR_DEVTAB);
    ar_set(r, AMDVI_CMD_BASE, AR_COMMANDS | (u64)8 << AMDVI_BASE_LENGTH_SHIFT);
    ar_set(r, AMDVI_EVT_BASE, AR_EVENTS | (u64)8 << AMDVI_BASE_LENGTH_SHIFT);
    ar_control(r, AMDVI_CTL_CMD_BUF_EN | AMDVI_CTL_EVT_LOG_EN, 0);
    ar_control(r, AMDVI_CTL_EN, 0);
}

/* Page n of the first 512. */
static inline void ar_map(struct amdvi_rig *r, u64 iova, u64 spa, u64 rights)
{
    ar_w64(r, AR_HOST + PAGE_SIZE + 8 * bits_get(iova, 12, 9), spa | rights | AMDVI_PTE_PR);
}

static inline void ar_submit(struct amdvi_rig *r, u64 low, u64 high)
{
    u64 tail = ar_reg(r, AMDVI_CMD_TAIL);
    ar_w64(r, AR_COMMANDS + tail, low);
    ar_w64(r, AR_COMMANDS + tail + 8, high);
    ar_set(r, AMDVI_CMD_TAIL, (tail + 16) & 0xfff);
}

static inline bool ar_read(struct amdvi_rig *r, u64 iova, void *data, u64 size)
{
    return dma_read(&r->dma, AR_DEVICE, IOVA(iova), data, size);
}

static inline bool ar_write(struct amdvi_rig *r, u64 iova, const void *data, u64 size)
{
    return dma_write(&r->dma, AR_DEVICE, IOVA(iova), data, size);
}

static inline u64 ar_hash(struct amdvi_rig *r)
{
    struct state_io io;
    state_init_hash(&io);
    bus_state(&r->bus, &io);
    return io.hash;
}

#endif
