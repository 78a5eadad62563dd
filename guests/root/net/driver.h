/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drivers of network cards. */
#ifndef GUESTS_ROOT_NET_DRIVER_H
#define GUESTS_ROOT_NET_DRIVER_H

#include "guests/root/pci/pci.h"

bool virtio_net_start(const struct pci_function *f);
bool virtio_net_poll(void);
void virtio_net_print(void);

#endif
