/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtio over PCI as version 1 has it, and split virtqueues. */
#ifndef GUESTS_ROOT_VIRTIO_VIRTIO_H
#define GUESTS_ROOT_VIRTIO_VIRTIO_H

#include "abi/x86/virtio.h"
#include "guests/root/pci/pci.h"

struct virtio {
    const struct pci_function *pci;
    volatile u8 *common, *device, *notify;
    u32 notify_multiplier;
    u64 features; /* accepted */
};

#define VIRTQUEUE_MAX 128u
struct virtqueue {
    u16 size;
    u16 free, free_count; /* descriptors, linked by `next` */
    u16 available, used;  /* how many were put, how many taken */
    u8 *desc;
    volatile u8 *driver, *doorbell;
    const volatile u8 *done;
    u16 index;
    void *cookie[VIRTQUEUE_MAX]; /* of the chain that begins at this descriptor */
};

/* A part of a chain; those that the device writes come last. */
struct virtio_part {
    const volatile void *at;
    u32 bytes;
    bool device_writes;
};

/* Is it this type of device? */
bool virtio_is(const struct pci_function *f, u16 type);
/* Reset, and features that both have. False: it does not do version 1, or refuses. */
bool virtio_begin(struct virtio *v, const struct pci_function *f, u64 features);
/* A queue of at most `limit` descriptors, whose messages are MSI-X entry 0 with this vector. */
bool virtio_make_queue(struct virtio *v, struct virtqueue *q, u16 index, u16 limit, u8 vector);
void virtio_run(struct virtio *v);
void virtio_fail(struct virtio *v);
static inline bool virtio_has(const struct virtio *v, u32 bit) { return (v->features >> bit & 1) != 0; }

/* False: no room. */
bool virtqueue_put(struct virtqueue *q, const struct virtio_part *parts, u16 count, void *cookie);
void virtqueue_kick(struct virtqueue *q);
/* Whether the device has done with something. */
bool virtqueue_ready(const struct virtqueue *q);
/* What it has done with, and how much it wrote; NULL: nothing. */
void *virtqueue_take(struct virtqueue *q, u32 *bytes);

#endif
