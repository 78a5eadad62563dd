/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drivers of disks: what starts them and what asks them. */
#ifndef GUESTS_ROOT_BLOCK_DRIVER_H
#define GUESTS_ROOT_BLOCK_DRIVER_H

#include "guests/root/pci/pci.h"

/* True: the function is this driver's, though it may not work. */
bool virtio_blk_start(const struct pci_function *f);
bool ahci_start(const struct pci_function *f);
/* What is over since the last interrupt; false: nothing. */
bool virtio_blk_poll(void);
bool ahci_poll(void);
/* One line each. */
void virtio_blk_print(void);
void ahci_print(void);

#endif
