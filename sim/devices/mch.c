/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Q35 memory controller hub, host bridge 8086:29c0 [Q35 "DRAM Controller Registers"].
 *
 * Modelled: PCIEXBAR (ECAM), PAM0-6 with all four combinations of read and write enable, SMRAM
 * and ESMRAMC with their lock, TSEG, top-of-memory registers (read-only here: the amount of RAM
 * is configuration). Left out: MCHBAR, EPBAR, DMIBAR (read as zero), graphics, memory remapping.
 *
 * PAM. Each segment has a RAM region above the BIOS's alias: reads and writes enabled = RAM, reads
 * only = the same region as ROM, nothing = off. Writes only (reads from the BIOS, writes to RAM
 * under it) needs a device region, which lies between the two; it is on while any segment is in
 * that state.
 *
 * SMRAM. The map has one view at a time, the running processor's; mch_set_smm_view switches it. */
#include "devices/q35.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define PAM_SEGMENTS 13
#define PAM_BASE 0xc0000u
#define PAM_END 0x100000u
#define BIOS_ALIAS 0xe0000u
#define SMRAM_BASE 0xa0000u
#define SMRAM_SIZE 0x20000u
#define HIGH_SMRAM_BASE 0xfeda0000u

enum { PRIORITY_BIOS = 0, PRIORITY_PAM_SPLIT, PRIORITY_PAM_RAM, PRIORITY_TSEG, PRIORITY_SMRAM };

struct mch {
    struct pci_function fn;
    struct mch_config config; /* fixed */
    struct phys *phys;
    unsigned pam_ram[PAM_SEGMENTS], pam_split; /* region numbers */
    unsigned smram, high_smram;
    unsigned tseg_hole[3]; /* 1, 2, 8 MiB: what others see in SMM's place */
    bool smm_view;
    struct mch_smram told; /* derived: what smram_changed last heard */
};

/* ---- PAM ---- */

/* Segment 0 is 0xf0000-0xfffff (PAM0 high nibble), then 16 KiB each from 0xc0000 (PAM1 low). */
static u32 segment_base(unsigned segment)
{
    return segment == 0 ? 0xf0000u : PAM_BASE + 0x4000u * (segment - 1);
}

static u32 segment_size(unsigned segment)
{
    return segment == 0 ? 0x10000u : 0x4000u;
}

static unsigned segment_of(u32 address)
{
    return address >= 0xf0000u ? 0 : 1 + (address - PAM_BASE) / 0x4000u;
}

static unsigned segment_access(const struct mch *mch, unsigned segment)
{
    unsigned nibble = segment + 1; /* nibble 0 of PAM0 is reserved */
    return (mch->fn.config[MCH_PAM0 + nibble / 2] >> (4 * (nibble & 1))) & 3;
}

static void update_pam(struct mch *mch)
{
    bool split = false;
    for (unsigned s = 0; s < PAM_SEGMENTS; s++) {
        unsigned access = segment_access(mch, s);
        bool reads = (access & MCH_PAM_READ) != 0;
        bool writes = (access & MCH_PAM_WRITE) != 0;
        split = split || (writes && !reads);
        phys_set_region_kind(mch->phys, mch->pam_ram[s], writes ? REGION_RAM : REGION_ROM);
        phys_set_region(mch->phys, mch->pam_ram[s], SPA(segment_base(s)), reads);
    }
    phys_set_region(mch->phys, mch->pam_split, SPA(PAM_BASE), split);
}

static u8 bios_byte(const struct mch *mch, u32 address)
{
    u64 shown =
        mch->config.bios_size < PAM_END - BIOS_ALIAS ? mch->config.bios_size : PAM_END - BIOS_ALIAS;
    if (address < PAM_END - shown) {
        return 0xff;
    }
    u64 from_end = PAM_END - address;
    return mch->phys->ram[mch->config.bios_offset + mch->config.bios_size - from_end];
}

static u64 split_read(void *self, u64 offset, unsigned size)
{
    const struct mch *mch = self;
    u64 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (u64)bios_byte(mch, PAM_BASE + (u32)offset + i) << (8 * i);
    }
    return value;
}

/* Write to RAM that reads do not reach. A page about which somebody wants to hear (its state is not
 * just dirty) is shown for the moment of the write, so that the map's watchers see it. */
static void split_write_byte(struct mch *mch, u32 address, u8 value)
{
    struct phys *phys = mch->phys;
    u64 at = mch->config.ram_offset + address;
    unsigned segment = segment_of(address);
    if (phys->pages[at >> PAGE_SHIFT].flags == PAGE_DIRTY) {
        phys->ram[at] = value;
        return;
    }
    phys_set_region(phys, mch->pam_ram[segment], SPA(segment_base(segment)), true);
    phys_write(phys, SPA(address), &value, 1);
    phys_set_region(phys, mch->pam_ram[segment], SPA(segment_base(segment)), false);
}

static void split_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct mch *mch = self;
    for (unsigned i = 0; i < size; i++) {
        u32 address = PAM_BASE + (u32)offset + i;
        if (segment_access(mch, segment_of(address)) == MCH_PAM_WRITE) {
            split_write_byte(mch, address, (u8)(value >> (8 * i)));
        }
    }
}

static const struct mmio_ops split_ops = {.read = split_read, .write = split_write};

/* ---- SMRAM and TSEG ---- */

static u64 hole_read(void *self, u64 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    return ~(u64)0;
}

static void hole_write(void *self, u64 offset, u64 value, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(value);
    UNUSED(size);
}

static const struct mmio_ops hole_ops = {.read = hole_read, .write = hole_write};

static const u64 tseg_sizes[3] = {MIB(1), MIB(2), MIB(8)};

/* Where TSEG of size number i starts; a size that does not fit below the end of RAM is never enabled. */
static u64 tseg_base_of(const struct mch_config *c, unsigned i)
{
    return tseg_sizes[i] < c->tolud ? c->tolud - tseg_sizes[i] : 0;
}

static struct mch_smram smram_now(const struct mch *mch)
{
    u8 smram = mch->fn.config[MCH_SMRAM];
    u8 esmramc = mch->fn.config[MCH_ESMRAMC];
    unsigned size = (esmramc & MCH_ESMRAMC_TSEG_SZ) >> 1;
    struct mch_smram now = {0};
    now.window = (smram & MCH_SMRAM_G_SMRAME) != 0;
    now.window_open = now.window && (smram & MCH_SMRAM_D_OPEN) != 0;
    now.tseg = now.window && (esmramc & MCH_ESMRAMC_T_EN) != 0 && size < 3 &&
               tseg_sizes[size] < mch->config.tolud;
    now.tseg_size = now.tseg ? tseg_sizes[size] : 0;
    now.tseg_base = now.tseg ? mch->config.tolud - now.tseg_size : 0;
    return now;
}

static void update_smram(struct mch *mch)
{
    struct mch_smram now = smram_now(mch);
    bool high = (mch->fn.config[MCH_ESMRAMC] & MCH_ESMRAMC_H_SMRAME) != 0;
    /* D_CLS hides the window from data accesses in SMM; instruction fetches still see it. The map
     * does not tell the two apart: it stays visible. Nothing known uses D_CLS. */
    bool visible = now.window && (now.window_open || mch->smm_view);
    phys_set_region(mch->phys, mch->smram, SPA(SMRAM_BASE), visible && !high);
    phys_set_region(mch->phys, mch->high_smram, SPA(HIGH_SMRAM_BASE), visible && high);
    for (unsigned i = 0; i < 3; i++) {
        bool hidden = now.tseg && !mch->smm_view && now.tseg_size == tseg_sizes[i];
        phys_set_region(mch->phys, mch->tseg_hole[i], SPA(tseg_base_of(&mch->config, i)),
                        hidden);
    }
    const struct mch_smram *told = &mch->told;
    bool changed = told->window != now.window || told->window_open != now.window_open ||
                   told->tseg != now.tseg || told->tseg_base != now.tseg_base;
    mch->told = now;
    if (changed && mch->config.smram_changed != NULL) {
        mch->config.smram_changed(mch->config.self, &mch->told);
    }
}

void mch_set_smm_view(struct mch *mch, bool in_smm)
{
    if (mch->smm_view != in_smm) {
        mch->smm_view = in_smm;
        update_smram(mch);
    }
}

/* D_LCK makes SMRAM and ESMRAMC read-only until reset and closes the window. */
static void update_lock(struct mch *mch)
{
    u8 *smram = &mch->fn.config[MCH_SMRAM];
    if ((*smram & MCH_SMRAM_D_LCK) != 0) {
        *smram &= (u8)~MCH_SMRAM_D_OPEN;
    }
    bool locked = (*smram & MCH_SMRAM_D_LCK) != 0;
    mch->fn.write_mask[MCH_SMRAM] =
        locked ? MCH_SMRAM_D_CLS
               : MCH_SMRAM_D_OPEN | MCH_SMRAM_D_CLS | MCH_SMRAM_D_LCK | MCH_SMRAM_G_SMRAME;
    mch->fn.write_mask[MCH_ESMRAMC] =
        locked ? 0 : MCH_ESMRAMC_H_SMRAME | MCH_ESMRAMC_TSEG_SZ | MCH_ESMRAMC_T_EN;
}

/* ---- PCIEXBAR ---- */

static void update_ecam(struct mch *mch)
{
    u64 reg = load_le64(mch->fn.config + MCH_PCIEXBAR);
    unsigned length = (unsigned)bits_get(reg, 1, 2);
    u64 size = length < 3 ? MIB(256) >> length : 0;
    u64 base = reg & (BIT(36) - 1) & ~(size - 1);
    bool enabled = (reg & 1) != 0 && size != 0;
    pci_bus_set_ecam(mch->fn.bus, enabled ? base : 0, size, enabled);
}

/* ---- the function ---- */

static void update_all(struct mch *mch)
{
    update_pam(mch);
    update_lock(mch);
    update_smram(mch);
    update_ecam(mch);
}

static void config_written(void *self, unsigned offset, unsigned size)
{
    struct mch *mch = self;
    if (offset < MCH_PCIEXBAR + 8 && MCH_PCIEXBAR < offset + size) {
        update_ecam(mch);
    }
    if (offset < MCH_PAM0 + 7 && MCH_PAM0 < offset + size) {
        update_pam(mch);
    }
    if (offset <= MCH_ESMRAMC && MCH_SMRAM < offset + size) {
        update_lock(mch);
        update_smram(mch);
    }
}

static const struct pci_function_ops function_ops = {.config_written = config_written};

static void reset(void *self, enum reset_kind kind)
{
    struct mch *mch = self;
    UNUSED(kind);
    pci_function_reset(&mch->fn);
    mch->smm_view = false;
    update_all(mch);
}

static void state(void *self, struct state_io *io)
{
    struct mch *mch = self;
    state_section(io, "mch", 1);
    pci_function_state(&mch->fn, io);
    state_bool(io, "smm_view", &mch->smm_view);
    if (state_is_load(io)) {
        update_all(mch); /* regions, write masks of the lock, `told` */
    }
}

static void destroy(void *self)
{
    struct mch *mch = self;
    pci_function_free(&mch->fn);
    free(mch);
}

static const struct device_ops ops = {
    .type = "q35-mch", .reset = reset, .state = state, .destroy = destroy};

static void add_regions(struct mch *mch)
{
    struct phys *phys = mch->phys;
    const struct mch_config *c = &mch->config;
    u64 shown = c->bios_size < PAM_END - BIOS_ALIAS ? c->bios_size : PAM_END - BIOS_ALIAS;
    if (shown != 0) {
        (void)phys_add_ram(phys, REGION_ROM, SPA(PAM_END - shown), shown,
                           c->bios_offset + c->bios_size - shown, PRIORITY_BIOS, "bios-alias");
    }
    mch->pam_split = phys_add_mmio(phys, SPA(PAM_BASE), PAM_END - PAM_BASE, PRIORITY_PAM_SPLIT,
                                   &split_ops, mch, "pam-split");
    for (unsigned s = 0; s < PAM_SEGMENTS; s++) {
        mch->pam_ram[s] = phys_add_ram(phys, REGION_RAM, SPA(segment_base(s)), segment_size(s),
                                       c->ram_offset + segment_base(s), PRIORITY_PAM_RAM, "pam");
    }
    mch->smram = phys_add_ram(phys, REGION_RAM, SPA(SMRAM_BASE), SMRAM_SIZE,
                              c->ram_offset + SMRAM_BASE, PRIORITY_SMRAM, "smram");
    mch->high_smram = phys_add_ram(phys, REGION_RAM, SPA(HIGH_SMRAM_BASE), SMRAM_SIZE,
                                   c->ram_offset + SMRAM_BASE, PRIORITY_SMRAM, "high-smram");
    for (unsigned i = 0; i < 3; i++) {
        mch->tseg_hole[i] = phys_add_mmio(phys, SPA(tseg_base_of(c, i)), tseg_sizes[i],
                                          PRIORITY_TSEG, &hole_ops, mch, "tseg-hole");
    }
}

static void init_registers(struct mch *mch)
{
    struct pci_function *fn = &mch->fn;
    /* The host bridge answers to no I/O or memory of its own and always masters the bus. */
    pci_init_config(fn, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
    pci_set_writable(fn, PCI_COMMAND, PCI_COMMAND_SERR, 2);
    pci_set_writable(fn, PCI_CACHE_LINE_SIZE, 0, 1);
    pci_set_writable(fn, PCI_INTERRUPT_LINE, 0, 1);
    pci_set_writable(fn, MCH_EXT_TSEG, 0xffff, 2); /* reads back the query: no extended TSEG */
    pci_init_config(fn, MCH_PCIEXBAR, Q35_ECAM_BASE, 4);
    pci_set_writable(fn, MCH_PCIEXBAR, 0xfc000007, 4);
    pci_set_writable(fn, MCH_PCIEXBAR + 4, 0xf, 4);
    pci_set_writable(fn, MCH_PAM0, 0x30, 1);
    for (unsigned i = 1; i < 7; i++) {
        pci_set_writable(fn, MCH_PAM0 + i, 0x33, 1);
    }
    pci_init_config(fn, MCH_SMRAM, MCH_SMRAM_C_BASE_SEG, 1);
    pci_init_config(fn, MCH_ESMRAMC, 0x38, 1);
    pci_set_w1c(fn, MCH_ESMRAMC, MCH_ESMRAMC_E_SMERR, 1);
    const struct mch_config *c = &mch->config;
    u64 above = c->touud > GIB(4) ? c->touud - GIB(4) : 0;
    pci_init_config(fn, MCH_TOM, (u32)((c->tolud + above) >> 26) & 0x3ff, 2); /* 64 MiB units */
    pci_init_config(fn, MCH_TOUUD, (u32)(c->touud >> 20) & 0xffff, 2);        /* MiB */
    pci_init_config(fn, MCH_TSEGMB, (u32)c->tolud, 4);
    pci_init_config(fn, MCH_TOLUD, (u32)(c->tolud >> 16) & 0xfff0, 2); /* MiB in bits 15:4 */
    update_lock(mch);
}

struct mch *mch_new(const struct device_env *env, struct pci_bus *bus,
                    const struct mch_config *config)
{
    sim_assert((config->tolud & (MIB(1) - 1)) == 0);
    sim_assert(config->tolud <= Q35_ECAM_BASE);
    struct mch *mch = calloc(1, sizeof *mch);
    sim_assert(mch != NULL);
    mch->config = *config;
    mch->phys = env->phys;
    const struct pci_ids ids = {
        .vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000, .revision = 2};
    pci_add_function(bus, &mch->fn, Q35_MCH_DEVFN, &ids, &function_ops, mch);
    add_regions(mch);
    init_registers(mch);
    update_all(mch);
    bus_add_device(env->bus, &ops, mch, "mch");
    return mch;
}
