/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD IOMMU: registers, PCI function and construction.
 *
 * Modelled: device table, host tables and guest tables for requests without PASID (amdvi_dma.c,
 * amdvi_guest.c), exclusion range, interrupt remapping with both formats, x2APIC destinations and
 * guest virtual APIC (amdvi_intr.c), command buffer (amdvi_cmd.c), event, PPR and guest APIC logs
 * (amdvi_log.c), the IVRS table (amdvi_ivrs.c).
 *
 * Nothing is cached: every request reads the tables as they are. Commands take effect before the write
 * of the tail that gives them returns. Software may write 32 or 64 bits at a time.
 *
 * Left out: PASIDs and device TLBs (no device here has any), host accessed and dirty bits, device table
 * segments, SMI filter, hardware error and performance registers, dual logs, RMP checks. */
#include "devices/iommu/amdvi_priv.h"

#include "base/assert.h"
#include "devices/bus.h"

#include <stdlib.h>

#define RING_BASE (AMDVI_BASE_ADDRESS | (u64)15 << AMDVI_BASE_LENGTH_SHIFT)
#define POINTER_16 0x7fff0u
#define POINTER_8 0x7fff8u
#define XT_BITS 0xff0000ffffffff04u
#define STATUS_W1C                                                                                 \
    (AMDVI_STS_EVT_OVERFLOW | AMDVI_STS_EVT_INT | AMDVI_STS_COMWAIT_INT | AMDVI_STS_PPR_OVERFLOW | \
     AMDVI_STS_PPR_INT | AMDVI_STS_GA_OVERFLOW | AMDVI_STS_GA_INT)

/* ---- control ---- */

/* Bits without meaning here (coherence, isochrony, time-outs ...) hold what is written. */
static u64 control_bits(const struct amdvi *a)
{
    u64 bits = BIT(48) - 1;
    bits &= ~((u64)7 << AMDVI_CTL_GAM_SHIFT | (u64)7 << 34); /* GAM, device table segments */
    bits &= ~(AMDVI_CTL_GT_EN | AMDVI_CTL_GA_EN | AMDVI_CTL_GA_LOG_EN | AMDVI_CTL_GA_INT_EN);
    bits &= ~(AMDVI_CTL_PPR_EN | AMDVI_CTL_PPR_LOG_EN | AMDVI_CTL_PPR_INT_EN);
    bits |= (a->efr & AMDVI_EFR_GT) != 0 ? AMDVI_CTL_GT_EN : 0;
    bits |= (a->efr & AMDVI_EFR_GA) != 0 ? AMDVI_CTL_GA_EN : 0;
    if ((a->efr & AMDVI_EFR_PPR) != 0) {
        bits |= AMDVI_CTL_PPR_EN | AMDVI_CTL_PPR_LOG_EN | AMDVI_CTL_PPR_INT_EN;
    }
    if (bits_get(a->efr, AMDVI_EFR_GAM_SHIFT, 3) != 0) {
        bits |= (u64)7 << AMDVI_CTL_GAM_SHIFT | AMDVI_CTL_GA_LOG_EN | AMDVI_CTL_GA_INT_EN;
    }
    return bits | ((a->efr & AMDVI_EFR_XT) != 0 ? AMDVI_CTL_XT_EN | AMDVI_CTL_INTCAPXT_EN : 0);
}

/* A log or buffer runs from the moment it is switched on. */
static void start_and_stop(struct amdvi *a, u64 before, u64 enable, u64 run)
{
    if ((a->control & enable) == 0) {
        a->status &= ~run;
    } else if ((before & enable) == 0) {
        a->status |= run;
    }
}

static void write_control(struct amdvi *a, u64 value)
{
    u64 before = a->control;
    a->control = value & control_bits(a);
    start_and_stop(a, before, AMDVI_CTL_EVT_LOG_EN, AMDVI_STS_EVT_RUN);
    start_and_stop(a, before, AMDVI_CTL_CMD_BUF_EN, AMDVI_STS_CMD_RUN);
    start_and_stop(a, before, AMDVI_CTL_PPR_LOG_EN, AMDVI_STS_PPR_RUN);
    start_and_stop(a, before, AMDVI_CTL_GA_LOG_EN, AMDVI_STS_GA_RUN);
    if (((before ^ a->control) & AMDVI_CTL_EN) != 0) {
        log_line(a->base.env.log, LOG_IOMMU, "%s: %s", a->base.id,
                 (a->control & AMDVI_CTL_EN) != 0 ? "on" : "off");
    }
    iommu_changed(&a->base);
    amdvi_run_commands(a);
}

/* ---- registers ---- */

static u64 msi_register(const struct amdvi *a, u64 offset)
{
    const struct pci_function *fn = &a->fn;
    if (fn->bus == NULL) {
        return 0;
    }
    if (offset == AMDVI_MSI_HEADER) {
        return pci_get_config(fn, fn->msi_cap, 4) |
               (u64)pci_get_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_LO, 4) << 32;
    }
    return pci_get_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_HI, 4) |
           (u64)pci_get_config(fn, fn->msi_cap + PCI_MSI_DATA_64, 2) << 32;
}

static u64 read_register(const struct amdvi *a, u64 offset)
{
    switch (offset) {
    case AMDVI_DEVTAB:
        return a->devtab;
    case AMDVI_CMD_BASE:
        return a->commands.base;
    case AMDVI_EVT_BASE:
        return a->events.base;
    case AMDVI_CONTROL:
        return a->control;
    case AMDVI_EXCL_BASE:
        return a->exclusion_base;
    case AMDVI_EXCL_LIMIT:
        return a->exclusion_limit;
    case AMDVI_EFR:
        return a->efr;
    case AMDVI_PPR_BASE:
        return a->ppr.base;
    case AMDVI_GA_BASE:
        return a->ga.base;
    case AMDVI_GA_TAIL_ADDRESS:
        return a->ga_tail_address;
    case AMDVI_MSI_HEADER:
    case AMDVI_MSI_ADDRESS_HI:
        return msi_register(a, offset);
    case AMDVI_XT_GENERAL:
        return a->xt_general;
    case AMDVI_XT_PPR:
        return a->xt_ppr;
    case AMDVI_XT_GA:
        return a->xt_ga;
    case AMDVI_CMD_HEAD:
        return a->commands.head;
    case AMDVI_CMD_TAIL:
        return a->commands.tail;
    case AMDVI_EVT_HEAD:
        return a->events.head;
    case AMDVI_EVT_TAIL:
        return a->events.tail;
    case AMDVI_STATUS:
        return a->status;
    case AMDVI_PPR_HEAD:
        return a->ppr.head;
    case AMDVI_PPR_TAIL:
        return a->ppr.tail;
    case AMDVI_GA_HEAD:
        return a->ga.head;
    case AMDVI_GA_TAIL:
        return a->ga.tail;
    default:
        return 0;
    }
}

/* [AMDVI "Command Buffer Base Address Register"]: a new base starts at its beginning. */
static void write_ring_base(struct amdvi_ring *ring, u64 value)
{
    *ring = (struct amdvi_ring){.base = value & RING_BASE};
}

static void write_msi_register(struct amdvi *a, u64 offset, u64 value)
{
    struct pci_function *fn = &a->fn;
    if (fn->bus == NULL) {
        return;
    }
    if (offset == AMDVI_MSI_HEADER) {
        u32 flags = pci_get_config(fn, fn->msi_cap + PCI_MSI_FLAGS, 2);
        flags = (flags & ~(u32)PCI_MSI_FLAGS_ENABLE) | ((u32)(value >> 16) & PCI_MSI_FLAGS_ENABLE);
        pci_put_config(fn, fn->msi_cap + PCI_MSI_FLAGS, flags, 2);
        pci_put_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_LO, (u32)(value >> 32) & ~3u, 4);
    } else {
        pci_put_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_HI, (u32)value, 4);
        pci_put_config(fn, fn->msi_cap + PCI_MSI_DATA_64, (u32)(value >> 32) & 0xffff, 2);
    }
}

static void write_pointer(struct amdvi *a, u64 offset, u32 value)
{
    switch (offset) {
    case AMDVI_CMD_HEAD:
        a->commands.head = value & POINTER_16;
        break;
    case AMDVI_CMD_TAIL:
        a->commands.tail = value & POINTER_16;
        amdvi_run_commands(a);
        break;
    case AMDVI_EVT_HEAD:
        a->events.head = value & POINTER_16;
        break;
    case AMDVI_EVT_TAIL:
        a->events.tail = value & POINTER_16;
        break;
    case AMDVI_PPR_HEAD:
        a->ppr.head = value & POINTER_16;
        break;
    case AMDVI_PPR_TAIL:
        a->ppr.tail = value & POINTER_16;
        break;
    case AMDVI_GA_HEAD:
        a->ga.head = value & POINTER_8;
        break;
    case AMDVI_GA_TAIL:
        a->ga.tail = value & POINTER_8;
        break;
    default:
        break;
    }
}

static void write_register(struct amdvi *a, u64 offset, u64 value)
{
    switch (offset) {
    case AMDVI_DEVTAB:
        a->devtab = value & (AMDVI_BASE_ADDRESS | 0x1ff);
        iommu_changed(&a->base);
        break;
    case AMDVI_CMD_BASE:
        write_ring_base(&a->commands, value);
        break;
    case AMDVI_EVT_BASE:
        write_ring_base(&a->events, value);
        break;
    case AMDVI_CONTROL:
        write_control(a, value);
        break;
    case AMDVI_EXCL_BASE:
        a->exclusion_base = value & (AMDVI_BASE_ADDRESS | 3);
        iommu_changed(&a->base);
        break;
    case AMDVI_EXCL_LIMIT:
        a->exclusion_limit = value & AMDVI_BASE_ADDRESS;
        iommu_changed(&a->base);
        break;
    case AMDVI_PPR_BASE:
        write_ring_base(&a->ppr, value);
        break;
    case AMDVI_GA_BASE:
        write_ring_base(&a->ga, value);
        break;
    case AMDVI_GA_TAIL_ADDRESS:
        a->ga_tail_address = value & 0x000ffffffffffff8;
        break;
    case AMDVI_MSI_HEADER:
    case AMDVI_MSI_ADDRESS_HI:
        write_msi_register(a, offset, value);
        break;
    case AMDVI_XT_GENERAL:
        a->xt_general = value & XT_BITS;
        break;
    case AMDVI_XT_PPR:
        a->xt_ppr = value & XT_BITS;
        break;
    case AMDVI_XT_GA:
        a->xt_ga = value & XT_BITS;
        break;
    case AMDVI_STATUS:
        a->status &= ~(value & STATUS_W1C);
        break;
    default:
        write_pointer(a, offset, (u32)value);
        break;
    }
}

static u64 amdvi_mmio_read(void *self, u64 offset, unsigned size)
{
    const struct amdvi *a = self;
    unsigned within = (unsigned)(offset & 7);
    u64 value = read_register(a, offset - within) >> (8 * within);
    if (size > 8 - within) {
        value |= read_register(a, offset - within + 8) << (8 * (8 - within));
    }
    return value & size_mask(size);
}

static void amdvi_mmio_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct amdvi *a = self;
    if (size < 4 || (offset & (size - 1)) != 0) {
        log_guest_error(a->base.env.log, "%s: %u-byte write at %#llx", a->base.id, size,
                        (unsigned long long)offset);
        return;
    }
    if (size == 4) {
        u64 at = offset & ~(u64)7;
        /* What a written 1 clears must not be written back. */
        u64 old = at == AMDVI_STATUS ? 0 : read_register(a, at);
        value = bits_set(old, 8 * (unsigned)(offset & 4), 32, value);
        offset = at;
    }
    write_register(a, offset, value);
}

static const struct mmio_ops amdvi_mmio = {.read = amdvi_mmio_read, .write = amdvi_mmio_write};

/* ---- the device ---- */

static void amdvi_reset(void *self, enum reset_kind kind)
{
    struct amdvi *a = self;
    UNUSED(kind);
    struct amdvi_ring empty = {.base = (u64)8 << AMDVI_BASE_LENGTH_SHIFT};
    a->devtab = a->control = a->status = 0;
    a->exclusion_base = a->exclusion_limit = 0;
    a->ga_tail_address = 0;
    a->xt_general = a->xt_ppr = a->xt_ga = 0;
    a->commands = a->events = a->ppr = a->ga = empty;
    if (a->fn.bus != NULL) {
        pci_function_reset(&a->fn);
    }
    iommu_reset(&a->base);
}

static void ring_state(struct state_io *io, struct amdvi_ring *ring, u32 pointer)
{
    state_u64(io, "base", &ring->base);
    state_u32(io, "head", &ring->head);
    state_u32(io, "tail", &ring->tail);
    if (state_is_load(io)) { /* a foreign stream must not point anywhere else */
        ring->base &= RING_BASE;
        ring->head &= pointer;
        ring->tail &= pointer;
    }
}

static void amdvi_state(void *self, struct state_io *io)
{
    struct amdvi *a = self;
    state_section(io, a->base.id, 1);
    state_u64(io, "devtab", &a->devtab);
    state_u64(io, "control", &a->control);
    state_u64(io, "exclusion_base", &a->exclusion_base);
    state_u64(io, "exclusion_limit", &a->exclusion_limit);
    state_u64(io, "status", &a->status);
    state_u64(io, "ga_tail_address", &a->ga_tail_address);
    state_u64(io, "xt_general", &a->xt_general);
    state_u64(io, "xt_ppr", &a->xt_ppr);
    state_u64(io, "xt_ga", &a->xt_ga);
    ring_state(io, &a->commands, POINTER_16);
    ring_state(io, &a->events, POINTER_16);
    ring_state(io, &a->ppr, POINTER_16);
    ring_state(io, &a->ga, POINTER_8);
    if (a->fn.bus != NULL) {
        pci_function_state(&a->fn, io);
    }
    iommu_state(&a->base, io);
}

static void amdvi_destroy(void *self)
{
    struct amdvi *a = self;
    pci_function_free(&a->fn);
    free(a);
}

static const struct device_ops amdvi_ops = {
    .type = "amd-iommu", .reset = amdvi_reset, .state = amdvi_state, .destroy = amdvi_destroy};

static const struct iommu_ops amdvi_iommu_ops = {.type = "amd-iommu",
                                                 .translate = amdvi_translate,
                                                 .interrupt = amdvi_interrupt,
                                                 .route = amdvi_route,
                                                 .acpi = amdvi_build_ivrs,
                                                 .fault_words = amdvi_fault_words};

/* What one option needs of another is switched off with it. */
static void set_features(struct amdvi *a)
{
    struct amdvi_options *o = &a->config.options;
    o->ga = o->ga && o->intremap;
    o->xtsup = o->xtsup && o->ga;
    o->guest_apic = o->guest_apic && o->ga;
    o->gio = o->gio && o->guest_tables;
    a->efr = AMDVI_EFR_IA | AMDVI_EFR_MSI_CAP_MMIO |
             (u64)(o->host_levels - 4) << AMDVI_EFR_HATS_SHIFT;
    a->efr |= o->ga ? AMDVI_EFR_GA : 0;
    a->efr |= o->xtsup ? AMDVI_EFR_XT : 0;
    a->efr |= o->guest_apic ? BIT(AMDVI_EFR_GAM_SHIFT) : 0;
    a->efr |= o->ppr ? AMDVI_EFR_PPR : 0;
    a->efr |= o->gio ? AMDVI_EFR_GIO : 0;
    if (o->guest_tables) { /* 4 levels, GCR3 tables of up to 3, PASIDs of 16 bits */
        a->efr |= AMDVI_EFR_GT | (u64)2 << AMDVI_EFR_GLX_SHIFT | (u64)15 << AMDVI_EFR_PASMAX_SHIFT;
    }
}

struct iommu *amdvi_new(const struct device_env *env, const char *id,
                        const struct amdvi_config *config)
{
    struct amdvi *a = calloc(1, sizeof *a);
    sim_assert(a != NULL);
    sim_assert(config->options.host_levels >= 4 && config->options.host_levels <= 6);
    iommu_init(&a->base, &amdvi_iommu_ops, env, id);
    a->config = *config;
    set_features(a);
    amdvi_reset(a, RESET_POWER);
    phys_add_mmio(env->phys, config->base, AMDVI_MMIO_SIZE, 0, &amdvi_mmio, a, "amd-iommu");
    bus_add_device(env->bus, &amdvi_ops, a, id);
    return &a->base;
}

/* ---- PCI ---- */

/* [AMDVI "IOMMU PCI Resources"]. The registers' place is fixed: firmware has locked it. */
void amdvi_add_function(struct iommu *iommu, struct pci_bus *pci, u8 devfn)
{
    static const struct pci_function_ops ops = {NULL, NULL, NULL};
    static const struct pci_ids ids = {.vendor = 0x1022, .device = 0x1419, .class_code = 0x080600};
    struct amdvi *a = amdvi_of(iommu);
    struct pci_function *fn = &a->fn;
    pci_add_function(pci, fn, devfn, &ids, &ops, a);
    u8 cap = pci_add_capability(fn, AMDVI_CAP_ID, 0, AMDVI_CAP_SIZE);
    u32 header = AMDVI_CAP_TYPE << 16 | AMDVI_CAP_REV << 19 | AMDVI_CAP_EFR_SUP | AMDVI_CAP_EXT |
                 (a->config.options.np_cache ? AMDVI_CAP_NP_CACHE : 0u);
    u64 misc = (u64)2 << 5 /* 48-bit guest addresses */ | (u64)a->config.phys_bits << 8 |
               (u64)64 << 15;
    pci_init_config(fn, cap + 2u, header >> 16, 2);
    pci_init_config(fn, cap + 4u, (u32)a->config.base.v | 1, 4);
    pci_init_config(fn, cap + 8u, (u32)(a->config.base.v >> 32), 4);
    pci_init_config(fn, cap + 16u, (u32)misc, 4);
    a->capability = cap;
    pci_add_msi(fn, 0, 1, false);
    pci_function_reset(fn);
}
