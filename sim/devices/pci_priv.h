/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What pci.c, pci_msi.c and pci_assign.c share. */
#ifndef VITRINE_DEVICES_PCI_PRIV_H
#define VITRINE_DEVICES_PCI_PRIV_H

#include "devices/pci.h"

#define PCI_ECAM_SIZES 3 /* 64, 128, 256 MiB */

struct pci_bus {
    struct device_env env;
    struct pci_intx_sink intx; /* wiring */
    struct pci_function *functions[256];
    u32 config_address; /* 0xcf8 */
    u8 wire[32];        /* per slot: bit per pin that is asserted towards the sink */
    unsigned ecam_regions[PCI_ECAM_SIZES]; /* phys regions; phys saves base and enable */
};

/* Drive the slot's pin anew from its functions. */
void pci_update_intx(struct pci_function *fn);

/* MSI and MSI-X: called after configuration writes; reset; BAR overlays. */
void pci_msi_config_written(struct pci_function *fn, unsigned offset, unsigned size);
void pci_msi_reset(struct pci_function *fn);
bool pci_msix_table_read(struct pci_function *fn, unsigned bar, u64 offset, unsigned size,
                         u64 *value);
bool pci_msix_table_write(struct pci_function *fn, unsigned bar, u64 offset, u64 value,
                          unsigned size);

/* Do [offset, offset + size) and [at, at + length) meet? */
static inline bool pci_touches(unsigned offset, unsigned size, unsigned at, unsigned length)
{
    return offset < at + length && at < offset + size;
}

#endif
