/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Q35 board's own PCI functions: memory controller hub (00.0), ICH9 LPC bridge (1f.0) and
 * SMBus controller (1f.3). See mch.c, ich9_lpc.c and ich9_smbus.c for what is modelled. */
#ifndef VITRINE_DEVICES_Q35_H
#define VITRINE_DEVICES_Q35_H

#include "abi/x86/q35.h"
#include "devices/pci.h"

struct mch;
struct ich9_lpc;

/* What the hub decides about system management memory; told whenever it changes. */
struct mch_smram {
    bool window;      /* 0xa0000-0xbffff is SMRAM to a processor in SMM (G_SMRAME) */
    bool window_open; /* ... and to everybody (D_OPEN) */
    bool tseg;
    u64 tseg_base, tseg_size;
};

/* The machine maps RAM at 0-0x9ffff and from 1 MiB up (priority 0); the hub maps all of
 * 0xc0000-0xfffff (RAM and BIOS by the PAM registers) and the SMRAM windows. */
struct mch_config {
    u64 ram_offset;  /* in phys->ram, of the RAM that has address 0 */
    u64 tolud;       /* end of RAM below 4 GiB; a multiple of 1 MiB */
    u64 touud;       /* end of RAM above 4 GiB, or 4 GiB */
    u64 bios_offset; /* in phys->ram, of the BIOS image */
    u64 bios_size;   /* its last 128 KiB show at 0xe0000; 0: none */
    void (*smram_changed)(void *self, const struct mch_smram *smram); /* may be NULL */
    void *self;
};

/* Owned by env->bus. */
struct mch *mch_new(const struct device_env *env, struct pci_bus *bus,
                    const struct mch_config *config);
/* Which view of memory the map gives: the machine calls this when the processor about to run is
 * in SMM and the one before was not, or the reverse. Costs a rebuild of the map; no-op otherwise.
 */
void mch_set_smm_view(struct mch *mch, bool in_smm);

/* Where the bridge's wires and decodes lead. All callbacks may be NULL. */
struct ich9_lpc_wiring {
    struct irq_line pirq[8]; /* PIRQA-H, active high here: I/O APIC inputs 16-23 */
    struct irq_line isa[16]; /* what PIRQx_ROUT selects: 8259 (and I/O APIC, as the board likes);
                                OR them with other sources of the same line */
    /* PMBASE and ACPI_CNTL: the 128-byte block at `base`, and the GSI of the SCI. */
    void (*pm_changed)(void *self, u16 base, bool enabled, unsigned sci);
    /* GEN_PMCON_1.SMI_LOCK: freezes GBL_SMI_EN; set until a reset. */
    void (*smi_lock_changed)(void *self, bool locked);
    void *self;
};

struct ich9_lpc *ich9_lpc_new(const struct device_env *env, struct pci_bus *bus,
                              const struct ich9_lpc_wiring *wiring);
/* PIRQ number 0-7 of a slot's pin 0-3. With the default routes (which _PRT describes), slots 0-24
 * give PIRQE + (slot + pin) % 4, slots 25-29 and 31 PIRQA + pin, slot 30 PIRQE + pin. */
unsigned ich9_lpc_pirq(const struct ich9_lpc *lpc, unsigned slot, unsigned pin);

void ich9_smbus_new(const struct device_env *env, struct pci_bus *bus);

/* Leave the board as SeaBIOS does, for kernels booted without a firmware: shadow RAM open, ECAM on,
 * PM block at Q35_PMBASE, PIRQs routed to ISA 10 and 11, then pci_assign_resources. Call after
 * reset, when all functions exist. mem64_first: a multiple of 1 GiB above RAM, say. */
void q35_setup_without_firmware(struct pci_bus *bus, struct ich9_lpc *lpc, u64 mem64_first,
                                u64 mem64_last);

#endif
