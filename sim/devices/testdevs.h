/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices that exist for testing and teaching: edu, pci-testdev (both PCI), hyperv-testdev (a port). */
#ifndef VITRINE_DEVICES_TESTDEVS_H
#define VITRINE_DEVICES_TESTDEVS_H

#include "devices/pci.h"

#define EDU_DEFAULT_DMA_MASK (((u64)1 << 28) - 1)

/* All are owned by env->bus. */
void hyperv_testdev_new(const struct device_env *env, const char *id);
void edu_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, u64 dma_mask,
             const char *id);
/* membar: size of the 64-bit BAR 2 without anything behind it, a power of 2; 0: none. */
void pci_testdev_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, u64 membar,
                     const char *id);

#endif
