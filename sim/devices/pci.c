/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The PCI root bus: configuration accesses (mechanism #1 and ECAM), write masks, BAR decoding,
 * INTx, bus mastering. MSI and MSI-X are in pci_msi.c, resource assignment in pci_assign.c.
 *
 * A configuration write changes the bytes under the masks, then everything that derives from
 * them is brought up to date: BAR mappings, the INTx wire, pending messages, a function-level
 * reset; the device hears of it last. */
#include "devices/pci_priv.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "trace/events.h"

#include <stdlib.h>
#include <string.h>

/* No BAR decodes above what any model's processor can address. */
#define ADDRESS_LIMIT BIT(52)

static u32 fetch(const u8 *bytes, unsigned offset, unsigned size)
{
    return (u32)load_le(bytes + offset, size);
}

/* ---- interrupts by wire ---- */

static bool intx_on_wire(const struct pci_function *fn)
{
    /* [PCI3 "MSI Enable"] a function that may send messages must not use its pin. */
    return fn->intx_wanted &&
           (load_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) == 0 &&
           !pci_msi_is_enabled(fn) && !pci_msix_is_enabled(fn);
}

void pci_update_intx(struct pci_function *fn)
{
    struct pci_bus *bus = fn->bus;
    unsigned pin = fn->initial[PCI_INTERRUPT_PIN];
    if (pin == 0) {
        return;
    }
    unsigned slot = PCI_SLOT(fn->devfn);
    bool level = false;
    for (unsigned i = 0; i < 8; i++) {
        const struct pci_function *other = bus->functions[PCI_DEVFN(slot, i)];
        if (other != NULL && other->initial[PCI_INTERRUPT_PIN] == pin) {
            level = level || intx_on_wire(other);
        }
    }
    u8 bit = (u8)BIT(pin - 1);
    if (((bus->wire[slot] & bit) != 0) != level) {
        bus->wire[slot] ^= bit;
        if (bus->intx.changed != NULL) {
            bus->intx.changed(bus->intx.self, slot, pin - 1, level);
        }
    }
}

void pci_set_intx(struct pci_function *fn, bool level)
{
    if (fn->intx_wanted != level) {
        fn->intx_wanted = level;
        u16 status = load_le16(fn->config + PCI_STATUS) & (u16)~PCI_STATUS_INTERRUPT;
        store_le16(fn->config + PCI_STATUS, level ? status | PCI_STATUS_INTERRUPT : status);
        pci_update_intx(fn);
    }
}

/* ---- BARs ---- */

static u64 bar_read(void *self, u64 offset, unsigned size)
{
    struct pci_bar *bar = self;
    u64 value;
    if (pci_msix_table_read(bar->fn, (unsigned)(bar - bar->fn->bars), offset, size, &value)) {
        return value;
    }
    if (bar->mmio == NULL) {
        return 0;
    }
    unsigned max = bar->mmio->max_size != 0 ? bar->mmio->max_size : 8;
    value = 0;
    for (unsigned done = 0; done < size; done += max) {
        unsigned n = size - done < max ? size - done : max;
        value |= (bar->mmio->read(bar->self, offset + done, n) & size_mask(n)) << (8 * done);
    }
    return value;
}

static void bar_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct pci_bar *bar = self;
    if (pci_msix_table_write(bar->fn, (unsigned)(bar - bar->fn->bars), offset, value, size) ||
        bar->mmio == NULL) {
        return;
    }
    unsigned max = bar->mmio->max_size != 0 ? bar->mmio->max_size : 8;
    for (unsigned done = 0; done < size; done += max) {
        unsigned n = size - done < max ? size - done : max;
        bar->mmio->write(bar->self, offset + done, (value >> (8 * done)) & size_mask(n), n);
    }
}

static const struct mmio_ops bar_ops = {.read = bar_read, .write = bar_write};

static bool is_in_d0(const struct pci_function *fn)
{
    return fn->pm_cap == 0 || (fn->config[fn->pm_cap + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK) == 0;
}

/* The address in the register; ~0 when the BAR does not decode there. Address 0 and the very top of
 * the 32-bit space (what sizing leaves) never decode, so that software may size with decoding on.
 */
static u64 bar_address(const struct pci_function *fn, const struct pci_bar *bar)
{
    const u8 *reg = fn->config + PCI_BASE_ADDRESS_0 + 4 * (bar - fn->bars);
    u64 address = load_le32(reg) & ~(bar->size - 1) & ~(u64)15;
    u64 limit = BIT(32) - 1;
    if (bar->kind == PCI_BAR_IO) {
        address = load_le32(reg) & ~(u32)(bar->size - 1) & ~(u32)3;
        limit = 0x10000;
    } else if (bar->kind == PCI_BAR_MEM64) {
        address |= (u64)load_le32(reg + 4) << 32;
        limit = ADDRESS_LIMIT;
    }
    return address == 0 || address > limit - bar->size ? ~(u64)0 : address;
}

static void update_bars(struct pci_function *fn)
{
    const struct device_env *env = &fn->bus->env;
    u16 command = load_le16(fn->config + PCI_COMMAND);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &fn->bars[i];
        if (bar->kind == PCI_BAR_NONE) {
            continue;
        }
        u16 enable = bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
        u64 address = bar_address(fn, bar);
        bar->mapped = (command & enable) != 0 && is_in_d0(fn) && address != ~(u64)0;
        bar->base = bar->mapped ? address : 0;
        if (bar->kind == PCI_BAR_IO) {
            bus_set_ports(env->bus, bar->number, (u16)bar->base, bar->mapped);
        } else {
            phys_set_region(env->phys, bar->number, SPA(bar->base), bar->mapped);
        }
    }
}

/* ---- configuration space ---- */

static void function_level_reset(struct pci_function *fn)
{
    pci_function_reset(fn);
    fn->ops->function_reset(fn->self);
}

static void config_written(struct pci_function *fn, unsigned offset, unsigned size, u32 value)
{
    if (pci_touches(offset, size, PCI_COMMAND, 2) ||
        pci_touches(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS) ||
        (fn->pm_cap != 0 && pci_touches(offset, size, fn->pm_cap + PCI_PM_CTRL, 2))) {
        update_bars(fn);
    }
    pci_msi_config_written(fn, offset, size);
    pci_update_intx(fn);
    unsigned flr = fn->express_cap + PCI_EXP_DEVCTL + 1u;
    if (fn->express_cap != 0 && fn->ops->function_reset != NULL && offset <= flr &&
        flr < offset + size && ((value >> (8 * (flr - offset))) & 0x80) != 0) {
        function_level_reset(fn);
    }
    if (fn->ops->config_written != NULL) {
        fn->ops->config_written(fn->self, offset, size);
    }
}

u32 pci_config_read(struct pci_bus *bus, u8 bus_number, u8 devfn, unsigned offset, unsigned size)
{
    const struct pci_function *fn = bus_number == 0 ? bus->functions[devfn] : NULL;
    if (fn == NULL || offset + size > fn->config_size) {
        return (u32)size_mask(size);
    }
    if (fn->ops->config_reading != NULL) {
        fn->ops->config_reading(fn->self, offset, size);
    }
    return fetch(fn->config, offset, size);
}

void pci_config_write(struct pci_bus *bus, u8 bus_number, u8 devfn, unsigned offset, u32 value,
                      unsigned size)
{
    struct pci_function *fn = bus_number == 0 ? bus->functions[devfn] : NULL;
    if (fn == NULL || offset + size > fn->config_size) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        u8 byte = (u8)(value >> (8 * i));
        u8 mask = fn->write_mask[offset + i];
        u8 kept = (u8)((fn->config[offset + i] & ~mask) | (byte & mask));
        fn->config[offset + i] = (u8)(kept & ~(byte & fn->w1c_mask[offset + i]));
    }
    config_written(fn, offset, size, value);
}

u32 pci_get_config(const struct pci_function *fn, unsigned offset, unsigned size)
{
    return fetch(fn->config, offset, size);
}

void pci_put_config(struct pci_function *fn, unsigned offset, u32 value, unsigned size)
{
    store_le(fn->config + offset, value, size);
}

/* ---- host bridge: mechanism #1 and ECAM ---- */

/* DEVIATION: bits 1:0 of CONFIG_ADDRESS read as 0, as they must, but what is written there counts
 * into the offset within the dword. kvm-unit-tests' PCI library relies on that, and software that
 * follows the rules writes 0. Pinned by test_vtd and kvm-unit-tests' intel_iommu. */
static unsigned config_offset(u32 address, u16 port, unsigned size)
{
    unsigned within = (address | port) & 3u;
    return (address & 0xfc) + (within + size <= 4 ? within : port & 3u);
}

static u32 config_port_read(void *self, u16 offset, unsigned size)
{
    struct pci_bus *bus = self;
    u32 address = bus->config_address;
    if (offset < 4) {
        /* [PCI3 "Software Generation of Configuration Transactions"] only a dword access
         * reaches CONFIG_ADDRESS; narrower ones are I/O cycles nobody answers here. */
        return offset == 0 && size == 4 ? address & ~(u32)3 : ~(u32)0;
    }
    if ((address & PCI_CONFIG_ADDRESS_ENABLE) == 0) {
        return ~(u32)0;
    }
    return pci_config_read(bus, (u8)(address >> 16), (u8)(address >> 8),
                           config_offset(address, offset, size), size);
}

static void config_port_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct pci_bus *bus = self;
    u32 address = bus->config_address;
    if (offset < 4) {
        if (offset == 0 && size == 4) {
            bus->config_address = value & 0x80ffffff;
        }
        return;
    }
    if ((address & PCI_CONFIG_ADDRESS_ENABLE) != 0) {
        pci_config_write(bus, (u8)(address >> 16), (u8)(address >> 8),
                         config_offset(address, offset, size), value, size);
    }
}

static const struct port_ops config_ports = {.read = config_port_read, .write = config_port_write};

/* Configuration requests never cross a dword; an unaligned access is made of bytes. */
static u64 ecam_read(void *self, u64 offset, unsigned size)
{
    struct pci_bus *bus = self;
    unsigned step = (offset & (size - 1)) == 0 ? size : 1;
    u64 value = 0;
    for (unsigned done = 0; done < size; done += step) {
        u64 at = offset + done;
        u32 part = pci_config_read(bus, (u8)(at >> 20), (u8)(at >> 12), at & 0xfff, step);
        value |= (u64)part << (8 * done);
    }
    return value;
}

static void ecam_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct pci_bus *bus = self;
    unsigned step = (offset & (size - 1)) == 0 ? size : 1;
    for (unsigned done = 0; done < size; done += step) {
        u64 at = offset + done;
        pci_config_write(bus, (u8)(at >> 20), (u8)(at >> 12), at & 0xfff,
                         (u32)((value >> (8 * done)) & size_mask(step)), step);
    }
}

static const struct mmio_ops ecam_ops = {.read = ecam_read, .write = ecam_write, .max_size = 4};

void pci_bus_set_ecam(struct pci_bus *bus, u64 base, u64 size, bool enabled)
{
    for (unsigned i = 0; i < PCI_ECAM_SIZES; i++) {
        bool this_one = size == MIB(64) << i;
        phys_set_region(bus->env.phys, bus->ecam_regions[i], SPA(this_one ? base : 0),
                        this_one && enabled);
    }
}

/* ---- the bus as a device ---- */

static void bus_device_reset(void *self, enum reset_kind kind)
{
    struct pci_bus *bus = self;
    UNUSED(kind);
    bus->config_address = 0;
}

static void bus_device_state(void *self, struct state_io *io)
{
    struct pci_bus *bus = self;
    state_section(io, "pci", 1);
    state_u32(io, "config_address", &bus->config_address);
    state_bytes(io, "wire", bus->wire, sizeof bus->wire);
}

/* Functions of devices that were built before the bus (an IOMMU) outlive it. */
static void bus_device_destroy(void *self)
{
    struct pci_bus *bus = self;
    for (unsigned i = 0; i < ARRAY_LEN(bus->functions); i++) {
        if (bus->functions[i] != NULL) {
            bus->functions[i]->bus = NULL;
        }
    }
    free(bus);
}

static const struct device_ops bus_device_ops = {.type = "pci-bus",
                                                 .reset = bus_device_reset,
                                                 .state = bus_device_state,
                                                 .destroy = bus_device_destroy};

struct pci_bus *pci_bus_new(const struct device_env *env)
{
    struct pci_bus *bus = calloc(1, sizeof *bus);
    sim_assert(bus != NULL);
    bus->env = *env;
    bus_add_device(env->bus, &bus_device_ops, bus, "pci");
    (void)bus_add_ports(env->bus, PCI_CONFIG_ADDRESS_PORT, 8, &config_ports, bus, "pci-config");
    for (unsigned i = 0; i < PCI_ECAM_SIZES; i++) {
        bus->ecam_regions[i] =
            phys_add_mmio(env->phys, SPA(0), MIB(64) << i, 2, &ecam_ops, bus, "pci-ecam");
        phys_set_region(env->phys, bus->ecam_regions[i], SPA(0), false);
    }
    return bus;
}

void pci_bus_set_intx(struct pci_bus *bus, struct pci_intx_sink sink)
{
    bus->intx = sink;
}

void pci_bus_set_upstream(struct pci_bus *bus, struct dma dma, struct msi_sink msi)
{
    bus->env.dma = dma;
    bus->env.msi = msi;
}

const struct device_env *pci_bus_env(const struct pci_bus *bus)
{
    return &bus->env;
}

struct pci_function *pci_bus_function(const struct pci_bus *bus, u8 devfn)
{
    return bus->functions[devfn];
}

bool pci_bus_intx_level(const struct pci_bus *bus, unsigned slot, unsigned pin)
{
    return ((bus->wire[slot] >> pin) & 1) != 0;
}

unsigned pci_bus_free_slot(const struct pci_bus *bus, unsigned first)
{
    for (unsigned slot = first; slot < 32; slot++) {
        bool taken = false;
        for (unsigned i = 0; i < 8; i++) {
            taken = taken || bus->functions[PCI_DEVFN(slot, i)] != NULL;
        }
        if (!taken) {
            return slot;
        }
    }
    return 32;
}

/* ---- construction of a function ---- */

void pci_init_config(struct pci_function *fn, unsigned offset, u32 value, unsigned size)
{
    store_le(fn->config + offset, value, size);
    store_le(fn->initial + offset, value, size);
}

void pci_set_writable(struct pci_function *fn, unsigned offset, u32 mask, unsigned size)
{
    store_le(fn->write_mask + offset, mask, size);
}

void pci_set_w1c(struct pci_function *fn, unsigned offset, u32 mask, unsigned size)
{
    store_le(fn->w1c_mask + offset, mask, size);
}

/* [PCI3 "Device Identification"] function 0 tells whether the others may be looked for. */
static void mark_multi_function(struct pci_bus *bus, unsigned slot)
{
    struct pci_function *first = bus->functions[PCI_DEVFN(slot, 0)];
    for (unsigned i = 1; i < 8 && first != NULL; i++) {
        if (bus->functions[PCI_DEVFN(slot, i)] != NULL) {
            pci_init_config(first, PCI_HEADER_TYPE, PCI_HEADER_TYPE_MULTI, 1);
        }
    }
}

void pci_add_function(struct pci_bus *bus, struct pci_function *fn, u8 devfn,
                      const struct pci_ids *ids, const struct pci_function_ops *ops, void *self)
{
    sim_assert(bus->functions[devfn] == NULL && ids->pin <= 4);
    memset(fn, 0, sizeof *fn);
    fn->bus = bus;
    fn->ops = ops;
    fn->self = self;
    fn->devfn = devfn;
    fn->config_size = PCI_CFG_SIZE;
    fn->next_free = 0x40;
    fn->next_ext = 0x100;
    pci_init_config(fn, PCI_VENDOR_ID, ids->vendor, 2);
    pci_init_config(fn, PCI_DEVICE_ID, ids->device, 2);
    pci_init_config(fn, PCI_REVISION_ID, ids->revision, 1);
    pci_init_config(fn, PCI_CLASS_PROG, ids->class_code & 0xff, 1);
    pci_init_config(fn, PCI_CLASS_DEVICE, ids->class_code >> 8, 2);
    bool named = ids->subsystem_vendor != 0;
    pci_init_config(fn, PCI_SUBSYSTEM_VENDOR_ID,
                    named ? ids->subsystem_vendor : PCI_BOARD_SUBSYSTEM_VENDOR, 2);
    pci_init_config(fn, PCI_SUBSYSTEM_ID, named ? ids->subsystem : PCI_BOARD_SUBSYSTEM, 2);
    pci_init_config(fn, PCI_INTERRUPT_PIN, ids->pin, 1);
    pci_set_writable(fn, PCI_COMMAND,
                     PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                         (ids->pin != 0 ? PCI_COMMAND_INTX_DISABLE : 0),
                     2);
    pci_set_w1c(fn, PCI_STATUS, PCI_STATUS_W1C, 2);
    pci_set_writable(fn, PCI_CACHE_LINE_SIZE, 0xff, 1);
    pci_set_writable(fn, PCI_INTERRUPT_LINE, 0xff, 1);
    bus->functions[devfn] = fn;
    mark_multi_function(bus, PCI_SLOT(devfn));
}

void pci_function_free(struct pci_function *fn)
{
    free(fn->msix.table);
    free(fn->msix.pba);
    fn->msix.table = NULL;
    fn->msix.pba = NULL;
    if (fn->bus != NULL) {
        fn->bus->functions[fn->devfn] = NULL;
    }
}

static void allow_decode(struct pci_function *fn, u16 command_bit)
{
    pci_set_writable(fn, PCI_COMMAND, load_le16(fn->write_mask + PCI_COMMAND) | command_bit, 2);
}

void pci_add_mem_bar(struct pci_function *fn, unsigned index, enum pci_bar_kind kind,
                     bool prefetchable, u64 size, const struct mmio_ops *ops, void *self,
                     const char *name)
{
    bool wide = kind == PCI_BAR_MEM64;
    sim_assert(kind == PCI_BAR_MEM32 || wide);
    sim_assert(index + (wide ? 1 : 0) < PCI_BARS && fn->bars[index].kind == PCI_BAR_NONE);
    sim_assert(is_power_of_2(size) && size >= 16 && size <= (wide ? BIT(48) : BIT(31)));
    struct pci_bar *bar = &fn->bars[index];
    struct phys *phys = fn->bus->env.phys;
    *bar = (struct pci_bar){.kind = kind,
                            .prefetchable = prefetchable,
                            .size = size,
                            .fn = fn,
                            .mmio = ops,
                            .self = self};
    bar->number = phys_add_mmio(phys, SPA(0), size, PCI_BAR_PRIORITY, &bar_ops, bar, name);
    phys_set_region(phys, bar->number, SPA(0), false);
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
    u64 mask = ~(size - 1);
    pci_init_config(fn, reg,
                    (wide ? PCI_BASE_ADDRESS_MEM_64 : 0u) |
                        (prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0u),
                    4);
    pci_set_writable(fn, reg, (u32)mask & ~(u32)15, 4);
    if (wide) {
        pci_set_writable(fn, reg + 4, (u32)(mask >> 32), 4);
    }
    allow_decode(fn, PCI_COMMAND_MEMORY);
}

void pci_add_io_bar(struct pci_function *fn, unsigned index, u32 size, const struct port_ops *ops,
                    void *self, const char *name)
{
    sim_assert(index < PCI_BARS && fn->bars[index].kind == PCI_BAR_NONE);
    sim_assert(is_power_of_2(size) && size >= 4 && size <= 0x8000);
    struct pci_bar *bar = &fn->bars[index];
    struct bus *ports = fn->bus->env.bus;
    *bar = (struct pci_bar){.kind = PCI_BAR_IO, .size = size, .fn = fn, .ports = ops, .self = self};
    bar->number = bus_add_ports(ports, 0, size, ops, self, name);
    bus_set_ports(ports, bar->number, 0, false);
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
    pci_init_config(fn, reg, PCI_BASE_ADDRESS_SPACE_IO, 4);
    pci_set_writable(fn, reg, ~(size - 1), 4);
    allow_decode(fn, PCI_COMMAND_IO);
}

u8 pci_add_capability(struct pci_function *fn, u8 id, u8 offset, unsigned size)
{
    if (offset == 0) {
        offset = fn->next_free;
    }
    sim_assert(offset >= 0x40 && (offset & 3) == 0 && offset + size <= PCI_CFG_SIZE);
    unsigned end = (unsigned)align_up(offset + size, 4);
    if (end > fn->next_free) {
        fn->next_free = (u8)(end < PCI_CFG_SIZE ? end : 0xfc);
    }
    unsigned link = fn->last_cap != 0 ? fn->last_cap + 1u : PCI_CAPABILITY_LIST;
    pci_init_config(fn, link, offset, 1);
    pci_init_config(fn, offset, id, 2); /* and no next */
    fn->last_cap = offset;
    pci_init_config(fn, PCI_STATUS, load_le16(fn->initial + PCI_STATUS) | PCI_STATUS_CAP_LIST, 2);
    return offset;
}

u16 pci_add_ext_capability(struct pci_function *fn, u16 id, unsigned version, unsigned size)
{
    u16 offset = fn->next_ext;
    sim_assert(fn->express_cap != 0 && offset + size <= PCI_CFG_EXT_SIZE);
    fn->next_ext = (u16)align_up(offset + size, 4);
    if (fn->last_ext != 0) {
        u32 header = load_le32(fn->initial + fn->last_ext);
        pci_init_config(fn, fn->last_ext, header | (u32)offset << 20, 4);
    }
    pci_init_config(fn, offset, id | version << 16, 4);
    fn->last_ext = offset;
    return offset;
}

u8 pci_add_power_management(struct pci_function *fn, u8 offset)
{
    u8 cap = pci_add_capability(fn, PCI_CAP_ID_PM, offset, PCI_PM_SIZE);
    pci_init_config(fn, cap + PCI_PM_PMC, 0x0003, 2); /* version 1.2, no PME, no D1, D2 */
    pci_init_config(fn, cap + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET, 2);
    pci_set_writable(fn, cap + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, 2);
    fn->pm_cap = cap;
    return cap;
}

u8 pci_add_express(struct pci_function *fn, u8 offset, unsigned type)
{
    u8 cap = pci_add_capability(fn, PCI_CAP_ID_EXPRESS, offset, PCI_EXP_SIZE);
    pci_init_config(fn, cap + PCI_EXP_FLAGS, 2 | type << 4, 2); /* capability version 2 */
    pci_init_config(
        fn, cap + PCI_EXP_DEVCAP,
        PCI_EXP_DEVCAP_RBER | (fn->ops->function_reset != NULL ? PCI_EXP_DEVCAP_FLR : 0u), 4);
    pci_init_config(fn, cap + PCI_EXP_DEVCTL, 0x2810, 2); /* 512-byte reads, relaxed, no snoop */
    pci_set_writable(fn, cap + PCI_EXP_DEVCTL, 0x78ff, 2);
    pci_set_w1c(fn, cap + PCI_EXP_DEVSTA, 0x000f, 2);
    /* A root complex integrated endpoint has no link; its link and slot registers read 0
     * [PCIE "PCI Express Capability Structure"]. */
    fn->express_cap = cap;
    fn->config_size = PCI_CFG_EXT_SIZE;
    return cap;
}

/* ---- reset and state ---- */

void pci_function_reset(struct pci_function *fn)
{
    memcpy(fn->config, fn->initial, sizeof fn->config);
    fn->intx_wanted = false;
    pci_msi_reset(fn);
    update_bars(fn);
    pci_update_intx(fn);
}

void pci_function_state(struct pci_function *fn, struct state_io *io)
{
    state_bytes(io, "config", fn->config, fn->config_size);
    state_bool(io, "intx_wanted", &fn->intx_wanted);
    if (fn->msix_cap != 0) {
        state_bytes(io, "msix_table", fn->msix.table,
                    (size_t)fn->msix.vectors * PCI_MSIX_ENTRY_SIZE);
        state_bytes(io, "msix_pba", fn->msix.pba, (fn->msix.vectors + 63) / 64 * 8);
    }
    if (state_is_load(io)) {
        /* Mappings are derived. The wires are not driven: their receivers save what they saw. */
        update_bars(fn);
    }
}

/* ---- bus mastering ---- */

u16 pci_requester(const struct pci_function *fn)
{
    return fn->devfn;
}

bool pci_is_bus_master(const struct pci_function *fn)
{
    return (load_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_MASTER) != 0 && is_in_d0(fn);
}

static void note_dma(const struct pci_function *fn, bool write, iova_t iova, u64 size)
{
    const struct phys *phys = fn->bus->env.phys;
    if (phys != NULL) {
        trace_dma(phys->trace, TRACE_NO_CPU, pci_requester(fn), write, iova.v, size);
    }
}

bool pci_dma_read(struct pci_function *fn, iova_t iova, void *data, u64 size)
{
    note_dma(fn, false, iova, size);
    return pci_is_bus_master(fn) &&
           dma_read(&fn->bus->env.dma, pci_requester(fn), iova, data, size);
}

bool pci_dma_write(struct pci_function *fn, iova_t iova, const void *data, u64 size)
{
    note_dma(fn, true, iova, size);
    return pci_is_bus_master(fn) &&
           dma_write(&fn->bus->env.dma, pci_requester(fn), iova, data, size);
}
