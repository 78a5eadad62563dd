/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtio devices on PCI [VIRTIO], transitional unless asked otherwise: an I/O BAR with the legacy
 * registers, and the modern structures in a memory BAR. What is common is in virtio.c (life cycle),
 * virtqueue.c (rings) and virtio_pci.c (transport). Each device is owned by the bus. */
#ifndef VITRINE_DEVICES_VIRTIO_VIRTIO_H
#define VITRINE_DEVICES_VIRTIO_VIRTIO_H

#include "devices/blockdev.h"
#include "devices/chardev.h"
#include "devices/device.h"
#include "devices/netdev.h"
#include "devices/pci.h"

struct virtio_options {
    const struct device_env *env; /* its dma reaches memory without any IOMMU */
    struct pci_bus *pci;
    u8 devfn;
    const char *id;       /* names the device in states */
    bool modern_only;     /* no I/O BAR, VERSION_1 must be accepted */
    bool access_platform; /* offer ACCESS_PLATFORM: DMA goes through the IOMMU once accepted */
};

/* The backend must outlive the device. */
void virtio_blk_new(const struct virtio_options *options, const struct block_backend *backend);

struct virtio_net;
struct virtio_net *virtio_net_new(const struct virtio_options *options, const u8 mac[6],
                                  struct net_backend backend);
struct net_port virtio_net_port(struct virtio_net *net);
/* Plug or unplug the cable; at a position, as any other outside input. */
void virtio_net_set_link(struct virtio_net *net, bool up);

/* seed: with the guest's reads it decides every byte. */
void virtio_rng_new(const struct virtio_options *options, u64 seed);

/* One port without MULTIPORT (hvc0). */
struct virtio_console;
struct virtio_console *virtio_console_new(const struct virtio_options *options, struct chardev chr);
struct chardev_end virtio_console_end(struct virtio_console *console);

#endif
