/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A board just large enough for PCI devices: clock, log, 32 MiB of RAM, ports, a DMA path straight
 * to memory, and a recorder of messages and PIRQs. Everything is checked through guest-visible
 * accesses. For tests only. */
#ifndef VITRINE_TESTS_UNIT_PCI_RIG_H
#define VITRINE_TESTS_UNIT_PCI_RIG_H

#include "base/bytes.h"
#include "devices/pci.h"
#include "devices/q35.h"

#include <check.h>
#include <stdlib.h>

#define RIG_RAM MIB(32)
#define RIG_BIOS KIB(256)

struct rig {
    struct log log;
    struct clock clock;
    struct phys phys;
    struct bus *bus;
    struct device_env env;
    struct pci_bus *pci;
    struct mch *mch;
    struct ich9_lpc *lpc;
    unsigned messages;
    u16 last_requester;
    u64 last_address;
    u32 last_data;
    bool pirq[8], isa[16];
    struct mch_smram smram;
    u16 pm_base;
    bool pm_enabled, smi_locked;
    bool refuse_dma;
    unsigned dma_count;
};

static inline bool rig_dma_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct rig *rig = self;
    rig->last_requester = requester;
    rig->dma_count++;
    if (rig->refuse_dma) {
        return false;
    }
    phys_read(&rig->phys, SPA(iova.v), data, size);
    return true;
}

static inline bool rig_dma_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct rig *rig = self;
    rig->last_requester = requester;
    rig->dma_count++;
    if (rig->refuse_dma) {
        return false;
    }
    phys_write(&rig->phys, SPA(iova.v), data, size);
    return true;
}

static inline void rig_message(void *self, u16 requester, u64 address, u32 data)
{
    struct rig *rig = self;
    rig->messages++;
    rig->last_requester = requester;
    rig->last_address = address;
    rig->last_data = data;
}

static inline void rig_pirq(void *self, unsigned n, bool level)
{
    ((struct rig *)self)->pirq[n] = level;
}

static inline void rig_isa(void *self, unsigned n, bool level)
{
    ((struct rig *)self)->isa[n] = level;
}

static inline void rig_smram(void *self, const struct mch_smram *smram)
{
    ((struct rig *)self)->smram = *smram;
}

static inline void rig_pm(void *self, u16 base, bool enabled, unsigned sci)
{
    ((struct rig *)self)->pm_base = base;
    ((struct rig *)self)->pm_enabled = enabled;
    UNUSED(sci);
}

static inline void rig_smi_lock(void *self, bool locked)
{
    ((struct rig *)self)->smi_locked = locked;
}

static inline struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    ck_assert_ptr_nonnull(rig);
    log_init(&rig->log);
    clock_init(&rig->clock, 1000000000, 1000000000);
    ck_assert(phys_init(&rig->phys, &rig->log, RIG_RAM + RIG_BIOS));
    (void)phys_add_ram(&rig->phys, REGION_RAM, SPA(0), 0xa0000, 0, 0, "low");
    (void)phys_add_ram(&rig->phys, REGION_RAM, SPA(MIB(1)), RIG_RAM - MIB(1), MIB(1), 0, "ram");
    (void)phys_add_ram(&rig->phys, REGION_ROM, SPA(GIB(4) - RIG_BIOS), RIG_BIOS, RIG_RAM, 0,
                       "bios");
    for (u64 i = 0; i < RIG_BIOS; i++) {
        rig->phys.ram[RIG_RAM + i] = (u8)(0x80 | (i >> 12)); /* page number in every byte */
        phys_note_write(&rig->phys, (RIG_RAM + i) >> PAGE_SHIFT);
    }
    rig->bus = calloc(1, sizeof *rig->bus);
    ck_assert_ptr_nonnull(rig->bus);
    bus_init(rig->bus, &rig->log);
    rig->env = (struct device_env){
        .clock = &rig->clock,
        .log = &rig->log,
        .bus = rig->bus,
        .phys = &rig->phys,
        .dma = {.read = rig_dma_read, .write = rig_dma_write, .self = rig},
        .msi = {.send = rig_message, .self = rig},
    };
    rig->pci = pci_bus_new(&rig->env);
    const struct mch_config config = {.ram_offset = 0,
                                      .tolud = RIG_RAM,
                                      .touud = GIB(4),
                                      .bios_offset = RIG_RAM,
                                      .bios_size = RIG_BIOS,
                                      .smram_changed = rig_smram,
                                      .self = rig};
    rig->mch = mch_new(&rig->env, rig->pci, &config);
    struct ich9_lpc_wiring wiring = {
        .pm_changed = rig_pm, .smi_lock_changed = rig_smi_lock, .self = rig};
    for (unsigned i = 0; i < 8; i++) {
        wiring.pirq[i] = (struct irq_line){.set = rig_pirq, .target = rig, .n = i};
    }
    for (unsigned i = 0; i < 16; i++) {
        wiring.isa[i] = (struct irq_line){.set = rig_isa, .target = rig, .n = i};
    }
    rig->lpc = ich9_lpc_new(&rig->env, rig->pci, &wiring);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    bus_free(rig->bus);
    phys_free(&rig->phys);
    free(rig->bus);
    free(rig);
}

/* Configuration by mechanism #1. */
static inline u32 rig_cfg_read(struct rig *rig, u8 devfn, unsigned offset, unsigned size)
{
    bus_port_write(rig->bus, 0xcf8, 0x80000000u | (u32)devfn << 8 | (offset & 0xfc), 4);
    return bus_port_read(rig->bus, (u16)(0xcfc + (offset & 3)), size);
}

static inline void rig_cfg_write(struct rig *rig, u8 devfn, unsigned offset, u32 value,
                                 unsigned size)
{
    bus_port_write(rig->bus, 0xcf8, 0x80000000u | (u32)devfn << 8 | (offset & 0xfc), 4);
    bus_port_write(rig->bus, (u16)(0xcfc + (offset & 3)), value, size);
}

static inline u32 rig_read32(struct rig *rig, u64 address)
{
    return (u32)phys_read_scalar(&rig->phys, SPA(address), 4);
}

static inline void rig_write32(struct rig *rig, u64 address, u32 value)
{
    phys_write_scalar(&rig->phys, SPA(address), value, 4);
}

/* Let virtual time pass, firing timers. */
static inline void rig_run(struct rig *rig, u64 ns)
{
    vtime_t end = {clock_now(&rig->clock).ns + ns};
    while (clock_next_deadline(&rig->clock).ns <= end.ns) {
        clock_skip_to(&rig->clock, clock_next_deadline(&rig->clock));
        clock_fire_due(&rig->clock);
    }
    clock_skip_to(&rig->clock, end);
}

static inline u64 rig_hash(struct rig *rig)
{
    struct state_io io;
    state_init_hash(&io);
    clock_state(&rig->clock, &io);
    phys_state(&rig->phys, &io);
    bus_state(rig->bus, &io);
    return io.hash;
}

/* Save `from`, load into `to` (built the same way), and compare hashes. */
static inline void rig_check_save_restore(struct rig *from, struct rig *to)
{
    struct state_io save;
    state_init_save(&save);
    clock_state(&from->clock, &save);
    phys_state(&from->phys, &save);
    bus_state(from->bus, &save);
    struct state_io load;
    state_init_load(&load, save.data, save.len);
    clock_state(&to->clock, &load);
    phys_state(&to->phys, &load);
    bus_state(to->bus, &load);
    ck_assert_msg(!load.failed, "load failed in %s", load.where);
    ck_assert_uint_eq(load.pos, load.len);
    ck_assert_uint_eq(rig_hash(from), rig_hash(to));
    state_free(&save);
}

#endif
