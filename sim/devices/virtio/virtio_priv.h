/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the transport, the rings and the devices of virtio. */
#ifndef VITRINE_DEVICES_VIRTIO_PRIV_H
#define VITRINE_DEVICES_VIRTIO_PRIV_H

#include "abi/x86/virtio.h"
#include "base/bits.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_MAX_QUEUES 4
#define VIRTIO_QUEUE_SIZE 256
#define VIRTIO_MAX_SEGS 1024 /* descriptors in one request, indirect ones included */
#define VIRTIO_CONFIG_MAX 64

struct virtio;

struct virtqueue {
    u16 max_size; /* fixed */
    u16 size;
    bool enabled;
    u16 vector;
    u64 desc, driver, device; /* addresses of the three areas */
    u16 last_avail;           /* next entry of the available ring to take */
    u16 used_idx;             /* as last written */
    u16 signalled;            /* used_idx at the last time we looked whether to interrupt */
    bool signalled_valid;
};

/* A request: what the driver gives (out), then where it wants the answer (in). Scratch. */
struct virtio_chain {
    u16 head;
    u32 out_segs, in_segs;
    u64 out_len, in_len;
    struct {
        u64 addr;
        u32 len;
    } segs[VIRTIO_MAX_SEGS]; /* out first, then in */
};

struct virtio_ops {
    const char *type; /* "virtio-blk" */
    /* The driver has reset the device, or the board has. */
    void (*reset)(void *self);
    /* The driver has notified queue n, at least `delay_ns` ago. */
    void (*process)(void *self, unsigned n);
    /* The driver writes the device's configuration; NULL: read-only. */
    void (*config_write)(void *self, unsigned offset, u32 value, unsigned size);
    /* Fields of the device itself. */
    void (*state)(void *self, struct state_io *io);
    void (*destroy)(void *self);
};

struct virtio_model {
    const struct virtio_ops *ops;
    u16 type;      /* VIRTIO_ID_* */
    u16 legacy_id; /* PCI device of the transitional form */
    u32 class_code;
    u64 features; /* bits of the device; the rest is added */
    unsigned queues;
    unsigned vectors;
    unsigned config_size;
    u64 delay_ns; /* between a notification and its processing */
};

struct virtio {
    struct pci_function fn; /* visits itself */
    /* Fixed after construction: */
    struct virtio_model model;
    void *self;
    char id[32];
    struct clock *clock;
    struct log *log;
    struct dma direct; /* memory without IOMMU */
    u64 host_features;
    bool modern_only;
    u8 cfg_cap; /* offset of the PCI_CFG capability */
    /* State: */
    u8 status;
    u8 isr;
    u8 generation;
    bool broken;
    bool legacy; /* the driver uses the legacy registers */
    u64 guest_features;
    u32 device_feature_select, driver_feature_select;
    u16 config_vector;
    u16 queue_select;
    u32 kicked; /* bit per queue whose notification is not yet processed */
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
    u8 config[VIRTIO_CONFIG_MAX];
    struct timer work;
    /* Scratch, never saved: */
    struct virtio_chain chain;
};

/* ---- for devices ---- */

/* Sets up everything; the device fills dev->config afterwards. */
void virtio_init(struct virtio *dev, const struct virtio_options *options,
                 const struct virtio_model *model, void *self);

static inline bool virtio_has(const struct virtio *dev, unsigned feature)
{
    return ((dev->guest_features >> feature) & 1) != 0;
}

/* The driver has said that it is ready, and nothing is broken. */
bool virtio_is_running(const struct virtio *dev);
/* The driver broke a rule of [VIRTIO]: DEVICE_NEEDS_RESET. */
void virtio_break(struct virtio *dev, const char *why);
/* dev->config has changed on our side. */
void virtio_config_changed(struct virtio *dev);

/* Take the next request; false when there is none (or the device broke). */
bool virtqueue_pop(struct virtio *dev, unsigned n, struct virtio_chain *chain);
/* Give back the last `count` popped and not pushed. */
void virtqueue_unpop(struct virtio *dev, unsigned n, unsigned count);
/* Return a request; `written` bytes of its in part are filled. */
void virtqueue_push(struct virtio *dev, unsigned n, u16 head, u32 written);
/* The same for several, visible at once: fill slot `at` ahead of the index, then publish. */
void virtqueue_fill(struct virtio *dev, unsigned n, u16 head, u32 written, unsigned at);
void virtqueue_publish(struct virtio *dev, unsigned n, unsigned count);
/* Interrupt if the driver wants one. */
void virtqueue_notify(struct virtio *dev, unsigned n);
bool virtqueue_is_ready(const struct virtio *dev, unsigned n);

/* Copy between a request and memory of ours. Less than n: the request is shorter, or the device
 * broke. */
u64 virtio_chain_read(struct virtio *dev, const struct virtio_chain *chain, u64 offset, void *buf,
                      u64 n);
u64 virtio_chain_write(struct virtio *dev, const struct virtio_chain *chain, u64 offset,
                       const void *buf, u64 n);

/* ---- between virtio.c, virtqueue.c and virtio_pci.c ---- */

bool virtio_dma_read(struct virtio *dev, u64 addr, void *buf, u64 n);
bool virtio_dma_write(struct virtio *dev, u64 addr, const void *buf, u64 n);
void virtio_set_status(struct virtio *dev, u8 status, bool legacy);
void virtio_reset(struct virtio *dev);
void virtio_kick(struct virtio *dev, unsigned n);
/* Raise a queue's or the configuration's interrupt. */
void virtio_signal(struct virtio *dev, u16 vector, u8 isr);
u8 virtio_read_isr(struct virtio *dev);
u32 virtio_config_read(const struct virtio *dev, unsigned offset, unsigned size);
void virtio_config_write(struct virtio *dev, unsigned offset, u32 value, unsigned size);
void virtio_pci_init(struct virtio *dev, const struct virtio_options *options);

#endif
