/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ICH9 LPC bridge 8086:2918 at 1f.0 [ICH9 "LPC Interface Bridge Registers"] and the chipset
 * configuration block behind RCBA [ICH9 "Chipset Configuration Registers"].
 *
 * Modelled: PMBASE and ACPI_CNTL (told to the PM block), PIRQ routing to ISA interrupts and to the
 * I/O APIC, the device interrupt route registers, SMI_LOCK. Other registers hold what is written.
 * Left out: LPC decode ranges have no effect (the board's ISA devices are always decoded), GPIO,
 * TCO, function disable. Elsewhere: reset control 0xcf9, APM 0xb2.
 *
 * A PIRQ is shared: its level is the OR of all slots' pins routed to it, and an ISA line is the OR
 * of the PIRQs that select it. */
#include "devices/q35.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

/* Strapped: the TCO watchdog cannot reset the board, so drivers leave it alone. */
#define CC_GCS_NO_REBOOT 0x20

struct ich9_lpc {
    struct pci_function fn;
    struct ich9_lpc_wiring wiring; /* fixed */
    struct phys *phys;
    unsigned cc_region;
    u8 cc[ICH9_CC_SIZE]; /* chipset configuration registers */
    u8 pirq_levels;      /* what the wires carry: bit per PIRQ, */
    u16 isa_levels;      /* and per ISA line that PIRQs drive */
    /* Derived: what the callbacks last heard. */
    struct {
        u16 base;
        bool enabled, smi_lock;
        unsigned sci;
    } told;
};

/* ---- interrupt routing ---- */

static unsigned route_register(unsigned slot)
{
    static const u16 registers[32] = {
        [25] = ICH9_CC_D25IR, [26] = ICH9_CC_D26IR, [27] = ICH9_CC_D27IR,
        [28] = ICH9_CC_D28IR, [29] = ICH9_CC_D29IR, [31] = ICH9_CC_D31IR,
    };
    return registers[slot];
}

unsigned ich9_lpc_pirq(const struct ich9_lpc *lpc, unsigned slot, unsigned pin)
{
    unsigned reg = route_register(slot & 31);
    if (reg != 0) {
        return (load_le16(lpc->cc + reg) >> (4 * pin)) & 7;
    }
    return 4 + (slot == 30 ? pin & 3 : (slot + pin) & 3);
}

static u8 pirq_rout(const struct ich9_lpc *lpc, unsigned pirq)
{
    return lpc->fn.config[pirq < 4 ? ICH9_PIRQA_ROUT + pirq : ICH9_PIRQE_ROUT + pirq - 4];
}

/* IRQ 0, 1, 2, 8 and 13 cannot be selected [ICH9 "PIRQ[n]_ROUT"]. */
static bool isa_is_routable(unsigned irq)
{
    return ((0xdef8u >> irq) & 1) != 0;
}

static void drive(struct ich9_lpc *lpc, u8 pirqs)
{
    u16 isa = 0;
    for (unsigned p = 0; p < 8; p++) {
        u8 rout = pirq_rout(lpc, p);
        if (((pirqs >> p) & 1) != 0 && (rout & ICH9_PIRQ_ROUT_DISABLE) == 0 &&
            isa_is_routable(rout & 15)) {
            isa |= (u16)(1u << (rout & 15));
        }
    }
    u8 pirq_changes = lpc->pirq_levels ^ pirqs;
    u16 isa_changes = lpc->isa_levels ^ isa;
    lpc->pirq_levels = pirqs;
    lpc->isa_levels = isa;
    for (unsigned p = 0; p < 8; p++) {
        if (((pirq_changes >> p) & 1) != 0) {
            irq_set(&lpc->wiring.pirq[p], ((pirqs >> p) & 1) != 0);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        if (((isa_changes >> i) & 1) != 0) {
            irq_set(&lpc->wiring.isa[i], ((isa >> i) & 1) != 0);
        }
    }
}

static void update_interrupts(struct ich9_lpc *lpc)
{
    u8 pirqs = 0;
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            if (pci_bus_intx_level(lpc->fn.bus, slot, pin)) {
                pirqs |= (u8)(1u << ich9_lpc_pirq(lpc, slot, pin));
            }
        }
    }
    drive(lpc, pirqs);
}

static void intx_changed(void *self, unsigned slot, unsigned pin, bool level)
{
    UNUSED(slot);
    UNUSED(pin);
    UNUSED(level);
    update_interrupts(self);
}

/* ---- chipset configuration registers ---- */

static u64 cc_read(void *self, u64 offset, unsigned size)
{
    const struct ich9_lpc *lpc = self;
    u64 room = ICH9_CC_SIZE - offset;
    return load_le(lpc->cc + offset, size < room ? size : (unsigned)room);
}

static void cc_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct ich9_lpc *lpc = self;
    u64 room = ICH9_CC_SIZE - offset;
    store_le(lpc->cc + offset, value, size < room ? size : (unsigned)room);
    lpc->cc[ICH9_CC_GCS] |= CC_GCS_NO_REBOOT;
    update_interrupts(lpc);
}

static const struct mmio_ops cc_ops = {.read = cc_read, .write = cc_write, .max_size = 4};

/* ---- decodes ---- */

static unsigned sci_number(u8 acpi_cntl)
{
    static const u8 numbers[8] = {9, 10, 11, Q35_SCI, 20, 21, 22, 23};
    return numbers[acpi_cntl & 7];
}

static void update_decodes(struct ich9_lpc *lpc)
{
    const u8 *config = lpc->fn.config;
    u32 rcba = load_le32(config + ICH9_RCBA);
    bool rcba_on = (rcba & 1) != 0;
    phys_set_region(lpc->phys, lpc->cc_region, SPA(rcba_on ? rcba & 0xffffc000 : 0), rcba_on);

    u8 cntl = config[ICH9_ACPI_CNTL];
    u16 base = load_le16(config + ICH9_PMBASE) & 0xff80;
    bool enabled = (cntl & ICH9_ACPI_CNTL_EN) != 0 && base != 0;
    unsigned sci = sci_number(cntl);
    if (lpc->told.base != base || lpc->told.enabled != enabled || lpc->told.sci != sci) {
        lpc->told.base = base;
        lpc->told.enabled = enabled;
        lpc->told.sci = sci;
        if (lpc->wiring.pm_changed != NULL) {
            lpc->wiring.pm_changed(lpc->wiring.self, base, enabled, sci);
        }
    }
    bool lock = (load_le16(config + ICH9_GEN_PMCON_1) & ICH9_GEN_PMCON_1_SMI_LOCK) != 0;
    if (lpc->told.smi_lock != lock) {
        lpc->told.smi_lock = lock;
        if (lpc->wiring.smi_lock_changed != NULL) {
            lpc->wiring.smi_lock_changed(lpc->wiring.self, lock);
        }
    }
}

/* SMI_LOCK can be set, not cleared. */
static void update_lock_mask(struct ich9_lpc *lpc)
{
    bool lock = (lpc->fn.config[ICH9_GEN_PMCON_1] & ICH9_GEN_PMCON_1_SMI_LOCK) != 0;
    lpc->fn.write_mask[ICH9_GEN_PMCON_1] = lock ? 0xaf : 0xbf; /* bit 6 is read-only */
}

static void config_written(void *self, unsigned offset, unsigned size)
{
    struct ich9_lpc *lpc = self;
    UNUSED(offset);
    UNUSED(size);
    update_lock_mask(lpc);
    update_decodes(lpc);
    update_interrupts(lpc);
}

static const struct pci_function_ops function_ops = {.config_written = config_written};

/* ---- the device ---- */

static void reset_cc(struct ich9_lpc *lpc)
{
    memset(lpc->cc, 0, sizeof lpc->cc);
    static const u16 routes[] = {ICH9_CC_D31IR, ICH9_CC_D29IR, ICH9_CC_D28IR,
                                 ICH9_CC_D27IR, ICH9_CC_D26IR, ICH9_CC_D25IR};
    for (unsigned i = 0; i < ARRAY_LEN(routes); i++) {
        store_le16(lpc->cc + routes[i], 0x3210);
    }
    store_le32(lpc->cc + ICH9_CC_D31IP, 0x00001100); /* SATA and SMBus: INTA# */
    store_le32(lpc->cc + ICH9_CC_D28IP, 0x00214321);
    lpc->cc[ICH9_CC_OIC] = 1;                 /* the board's I/O APIC is always there */
    store_le32(lpc->cc + ICH9_CC_HPTC, 0x80); /* and so is the HPET, at 0xfed00000 */
    lpc->cc[ICH9_CC_GCS] = CC_GCS_NO_REBOOT;
}

static void reset(void *self, enum reset_kind kind)
{
    struct ich9_lpc *lpc = self;
    UNUSED(kind);
    pci_function_reset(&lpc->fn);
    reset_cc(lpc);
    update_lock_mask(lpc);
    lpc->told.base = 0xffff; /* no base: the PM block hears of every reset */
    update_decodes(lpc);
    update_interrupts(lpc);
}

static void state(void *self, struct state_io *io)
{
    struct ich9_lpc *lpc = self;
    state_section(io, "ich9-lpc", 1);
    pci_function_state(&lpc->fn, io);
    state_bytes(io, "cc", lpc->cc, sizeof lpc->cc);
    state_u8(io, "pirq_levels", &lpc->pirq_levels);
    state_u16(io, "isa_levels", &lpc->isa_levels);
    if (state_is_load(io)) {
        update_lock_mask(lpc);
        update_decodes(lpc);
    }
}

static void destroy(void *self)
{
    struct ich9_lpc *lpc = self;
    pci_function_free(&lpc->fn);
    free(lpc);
}

static const struct device_ops ops = {
    .type = "ich9-lpc", .reset = reset, .state = state, .destroy = destroy};

static void init_registers(struct pci_function *fn)
{
    /* I/O, memory and bus mastering cannot be switched off. */
    pci_init_config(fn, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    pci_set_writable(fn, PCI_COMMAND, PCI_COMMAND_PARITY | PCI_COMMAND_SERR, 2);
    pci_init_config(fn, PCI_HEADER_TYPE, PCI_HEADER_TYPE_MULTI, 1);
    pci_init_config(fn, ICH9_PMBASE, 1, 4);
    pci_set_writable(fn, ICH9_PMBASE, 0xff80, 4);
    pci_set_writable(fn, ICH9_ACPI_CNTL, 0x87, 1);
    pci_init_config(fn, ICH9_GPIOBASE, 1, 4);
    pci_set_writable(fn, ICH9_GPIOBASE, 0xff80, 4);
    pci_set_writable(fn, ICH9_GC, 0x11, 1);
    pci_init_config(fn, ICH9_PIRQA_ROUT, 0x80808080, 4);
    pci_set_writable(fn, ICH9_PIRQA_ROUT, 0x8f8f8f8f, 4);
    pci_init_config(fn, ICH9_SIRQ_CNTL, 0x10, 1);
    pci_set_writable(fn, ICH9_SIRQ_CNTL, 0xff, 1);
    pci_init_config(fn, ICH9_PIRQE_ROUT, 0x80808080, 4);
    pci_set_writable(fn, ICH9_PIRQE_ROUT, 0x8f8f8f8f, 4);
    for (unsigned offset = ICH9_LPC_IO_DEC; offset < 0x94; offset += 4) {
        pci_set_writable(fn, offset, 0xffffffff, 4); /* I/O decode: no effect here */
    }
    pci_set_writable(fn, ICH9_GEN_PMCON_1 + 1, 0x07, 1);
    pci_set_writable(fn, ICH9_GEN_PMCON_1 + 2, 0xff, 1);
    pci_set_writable(fn, ICH9_GEN_PMCON_1 + 4, 0xff, 1);
    pci_set_writable(fn, 0xd0, 0xffffffff, 4); /* FWH select and decode: no effect */
    pci_set_writable(fn, 0xd4, 0xffff, 2);
    pci_init_config(fn, 0xd8, 0xffcf, 2);
    pci_set_writable(fn, 0xd8, 0xffff, 2);
    pci_set_writable(fn, 0xdc, 0x1f, 1); /* BIOS_CNTL */
    pci_set_writable(fn, ICH9_RCBA, 0xffffc001, 4);
}

struct ich9_lpc *ich9_lpc_new(const struct device_env *env, struct pci_bus *bus,
                              const struct ich9_lpc_wiring *wiring)
{
    struct ich9_lpc *lpc = calloc(1, sizeof *lpc);
    sim_assert(lpc != NULL);
    lpc->wiring = *wiring;
    lpc->phys = env->phys;
    lpc->told.sci = Q35_SCI;
    const struct pci_ids ids = {
        .vendor = 0x8086, .device = 0x2918, .class_code = 0x060100, .revision = 2};
    pci_add_function(bus, &lpc->fn, ICH9_LPC_DEVFN, &ids, &function_ops, lpc);
    init_registers(&lpc->fn);
    lpc->cc_region =
        phys_add_mmio(env->phys, SPA(0), ICH9_CC_SIZE, 2, &cc_ops, lpc, "ich9-chipset");
    reset_cc(lpc);
    update_lock_mask(lpc);
    phys_set_region(env->phys, lpc->cc_region, SPA(0), false);
    pci_bus_set_intx(bus, (struct pci_intx_sink){.changed = intx_changed, .self = lpc});
    bus_add_device(env->bus, &ops, lpc, "ich9-lpc");
    return lpc;
}

/* ---- boot without firmware ---- */

/* PIRQA, B, E, F to IRQ 10; C, D, G, H to IRQ 11. */
static u8 firmware_irq(unsigned pirq)
{
    return (pirq & 2) == 0 ? 10 : 11;
}

static u8 line_of(void *self, unsigned slot, unsigned pin)
{
    return firmware_irq(ich9_lpc_pirq(self, slot, pin));
}

void q35_setup_without_firmware(struct pci_bus *bus, struct ich9_lpc *lpc, u64 mem64_first,
                                u64 mem64_last)
{
    pci_config_write(bus, 0, Q35_MCH_DEVFN, MCH_PCIEXBAR + 4, 0, 4);
    pci_config_write(bus, 0, Q35_MCH_DEVFN, MCH_PCIEXBAR, Q35_ECAM_BASE | 1, 4);
    for (unsigned i = 0; i < 7; i++) {
        pci_config_write(bus, 0, Q35_MCH_DEVFN, MCH_PAM0 + i, 0x33, 1);
    }
    for (unsigned p = 0; p < 8; p++) {
        unsigned reg = p < 4 ? ICH9_PIRQA_ROUT + p : ICH9_PIRQE_ROUT + p - 4;
        pci_config_write(bus, 0, ICH9_LPC_DEVFN, reg, firmware_irq(p), 1);
    }
    pci_config_write(bus, 0, ICH9_LPC_DEVFN, ICH9_PMBASE, Q35_PMBASE, 4);
    pci_config_write(bus, 0, ICH9_LPC_DEVFN, ICH9_ACPI_CNTL, ICH9_ACPI_CNTL_EN, 1);
    pci_config_write(bus, 0, ICH9_LPC_DEVFN, ICH9_RCBA, Q35_RCBA | 1, 4);
    const struct pci_windows windows = {.io_first = Q35_PCI_IO_FIRST,
                                        .io_last = Q35_PCI_IO_LAST,
                                        .mem32_first = Q35_PCI32_FIRST,
                                        .mem32_last = Q35_PCI32_LAST,
                                        .mem64_first = mem64_first,
                                        .mem64_last = mem64_last,
                                        .line = line_of,
                                        .self = lpc};
    pci_assign_resources(bus, &windows);
}
