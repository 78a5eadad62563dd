/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SATA controller in AHCI mode, as the ICH9's 8086:2922, with disks and CD drives. See ahci.c. */
#ifndef VITRINE_DEVICES_AHCI_H
#define VITRINE_DEVICES_AHCI_H

#include "devices/blockdev.h"
#include "devices/pci.h"

#define AHCI_PORTS 6

struct ahci;

/* Owned by env->bus; on the board: devfn ICH9_AHCI_DEVFN, id "ahci0". */
struct ahci *ahci_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, const char *id);

/* Plug a drive into a port before the first reset. The backend stays the caller's and must
 * outlive the controller. A CD drive may be empty (backend NULL). */
void ahci_attach_disk(struct ahci *ahci, unsigned port, const struct block_backend *backend);
void ahci_attach_cdrom(struct ahci *ahci, unsigned port, const struct block_backend *backend);
/* Change a CD drive's medium while the machine runs (an outside event); NULL takes it out. */
void ahci_change_medium(struct ahci *ahci, unsigned port, const struct block_backend *backend);

#endif
