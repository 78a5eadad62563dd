/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all virtio devices share: status and feature negotiation, notifications, interrupts,
 * configuration, reset and state.
 *
 * A driver's notification does nothing at once. It arms one timer of the device; when that fires,
 * a fixed virtual time later, all requests in the notified queues are taken, done and returned. So
 * no request is ever under way between two instructions, and there is none to save. */
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- memory ---- */

static bool wraps(u64 addr, u64 n)
{
    return n != 0 && addr + (n - 1) < addr;
}

static bool dma_allowed(struct virtio *dev, bool ok)
{
    if (!ok) {
        virtio_break(dev, "memory access refused: bus mastering off, or by the IOMMU");
    }
    return ok;
}

/* [VIRTIO "Reserved Feature Bits"] without ACCESS_PLATFORM a device uses physical addresses, and
 * passes an IOMMU by. */
bool virtio_dma_read(struct virtio *dev, u64 addr, void *buf, u64 n)
{
    bool ok = !wraps(addr, n) &&
              (virtio_has(dev, VIRTIO_F_ACCESS_PLATFORM)
                   ? pci_dma_read(&dev->fn, IOVA(addr), buf, n)
                   : pci_is_bus_master(&dev->fn) &&
                         dma_read(&dev->direct, pci_requester(&dev->fn), IOVA(addr), buf, n));
    if (!ok) {
        memset(buf, 0, n);
    }
    return dma_allowed(dev, ok);
}

bool virtio_dma_write(struct virtio *dev, u64 addr, const void *buf, u64 n)
{
    bool ok = !wraps(addr, n) &&
              (virtio_has(dev, VIRTIO_F_ACCESS_PLATFORM)
                   ? pci_dma_write(&dev->fn, IOVA(addr), buf, n)
                   : pci_is_bus_master(&dev->fn) &&
                         dma_write(&dev->direct, pci_requester(&dev->fn), IOVA(addr), buf, n));
    return dma_allowed(dev, ok);
}

/* ---- interrupts ---- */

void virtio_signal(struct virtio *dev, u16 vector, u8 isr)
{
    /* [VIRTIO "Notifications from the device"] ISR is the wire's; messages do without. */
    if (pci_msix_is_enabled(&dev->fn)) {
        pci_msix_notify(&dev->fn, vector); /* NO_VECTOR is beyond the table: no message */
        return;
    }
    dev->isr |= isr;
    pci_set_intx(&dev->fn, true);
}

u8 virtio_read_isr(struct virtio *dev)
{
    u8 isr = dev->isr;
    dev->isr = 0;
    pci_set_intx(&dev->fn, false);
    return isr;
}

/* ---- life cycle ---- */

bool virtio_is_running(const struct virtio *dev)
{
    /* A legacy driver may use its queues before it says DRIVER_OK, and some do. */
    return !dev->broken && (dev->legacy || (dev->status & VIRTIO_STATUS_DRIVER_OK) != 0);
}

void virtio_break(struct virtio *dev, const char *why)
{
    if (dev->broken) {
        return;
    }
    log_guest_error(dev->log, "%s: %s; the device needs a reset", dev->id, why);
    dev->broken = true;
    dev->status |= VIRTIO_STATUS_NEEDS_RESET;
    if ((dev->status & VIRTIO_STATUS_DRIVER_OK) != 0 && !dev->legacy) {
        dev->generation++;
        virtio_signal(dev, dev->config_vector, VIRTIO_ISR_CONFIG);
    }
}

void virtio_config_changed(struct virtio *dev)
{
    dev->generation++;
    if ((dev->status & VIRTIO_STATUS_DRIVER_OK) != 0) {
        virtio_signal(dev, dev->config_vector, VIRTIO_ISR_CONFIG);
    }
}

void virtio_reset(struct virtio *dev)
{
    dev->status = 0;
    dev->isr = 0;
    dev->broken = false;
    dev->legacy = false;
    dev->guest_features = 0;
    dev->device_feature_select = dev->driver_feature_select = 0;
    dev->config_vector = VIRTIO_MSI_NO_VECTOR;
    dev->queue_select = 0;
    dev->kicked = 0;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        struct virtqueue *q = &dev->queues[i];
        *q = (struct virtqueue){
            .max_size = q->max_size, .size = q->max_size, .vector = VIRTIO_MSI_NO_VECTOR};
    }
    timer_cancel(&dev->work);
    pci_set_intx(&dev->fn, false);
    dev->model.ops->reset(dev->self);
}

static void arm(struct virtio *dev)
{
    if (dev->kicked != 0 && !timer_is_armed(&dev->work)) {
        timer_arm(&dev->work, (vtime_t){clock_now(dev->clock).ns + dev->model.delay_ns});
    }
}

/* [VIRTIO "Device Initialization"] a set of features that cannot work keeps FEATURES_OK clear. */
static bool features_fit(const struct virtio *dev)
{
    u64 access_platform = BIT(VIRTIO_F_ACCESS_PLATFORM);
    return (dev->guest_features & ~dev->host_features) == 0 &&
           virtio_has(dev, VIRTIO_F_VERSION_1) &&
           (dev->guest_features & access_platform) == (dev->host_features & access_platform);
}

void virtio_set_status(struct virtio *dev, u8 status, bool legacy)
{
    if (status == 0) {
        virtio_reset(dev);
        return;
    }
    u8 changed = status & (u8)~dev->status;
    if (!legacy && (changed & VIRTIO_STATUS_FEATURES_OK) != 0 && !features_fit(dev)) {
        log_line(dev->log, LOG_DEVICE, "%s: driver's features 0x%llx refused", dev->id,
                 (unsigned long long)dev->guest_features);
        status &= (u8)~VIRTIO_STATUS_FEATURES_OK;
    }
    if (!legacy && (status & VIRTIO_STATUS_DRIVER_OK) != 0 &&
        (status & VIRTIO_STATUS_FEATURES_OK) == 0) {
        log_guest_error(dev->log, "%s: DRIVER_OK without FEATURES_OK", dev->id);
        status &= (u8)~VIRTIO_STATUS_DRIVER_OK;
    }
    dev->legacy = dev->legacy || legacy;
    dev->status = status | (dev->status & VIRTIO_STATUS_NEEDS_RESET);
    if (virtio_is_running(dev)) {
        arm(dev); /* what was notified too early */
    }
}

void virtio_kick(struct virtio *dev, unsigned n)
{
    if (n >= dev->model.queues) {
        log_guest_error(dev->log, "%s: notification of queue %u, which is not there", dev->id, n);
        return;
    }
    dev->kicked |= BIT32(n);
    if (virtio_is_running(dev)) {
        arm(dev);
    }
}

static void work(void *self)
{
    struct virtio *dev = self;
    u32 kicked = dev->kicked;
    dev->kicked = 0;
    for (unsigned n = 0; n < dev->model.queues; n++) {
        if (((kicked >> n) & 1) != 0 && virtio_is_running(dev)) {
            dev->model.ops->process(dev->self, n);
        }
    }
}

/* ---- configuration ---- */

u32 virtio_config_read(const struct virtio *dev, unsigned offset, unsigned size)
{
    u32 v = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = offset + i;
        v |= (u32)(at < dev->model.config_size ? dev->config[at] : 0) << (8 * i);
    }
    return v;
}

void virtio_config_write(struct virtio *dev, unsigned offset, u32 value, unsigned size)
{
    if (dev->model.ops->config_write != NULL && offset < dev->model.config_size &&
        size <= dev->model.config_size - offset) {
        dev->model.ops->config_write(dev->self, offset, value, size);
    }
}

/* ---- as a device ---- */

static void device_reset(void *self, enum reset_kind kind)
{
    struct virtio *dev = self;
    UNUSED(kind);
    pci_function_reset(&dev->fn);
    dev->generation = 0;
    virtio_reset(dev);
}

static void queue_state(struct virtqueue *q, struct state_io *io)
{
    state_u16(io, "size", &q->size);
    state_bool(io, "enabled", &q->enabled);
    state_u16(io, "vector", &q->vector);
    state_u64(io, "desc", &q->desc);
    state_u64(io, "driver", &q->driver);
    state_u64(io, "device", &q->device);
    state_u16(io, "last_avail", &q->last_avail);
    state_u16(io, "used_idx", &q->used_idx);
    state_u16(io, "signalled", &q->signalled);
    state_bool(io, "signalled_valid", &q->signalled_valid);
    if (state_is_load(io) && (q->size > q->max_size || (q->size & (q->size - 1u)) != 0)) {
        io->failed = true;
        q->size = q->max_size;
    }
}

static void device_state(void *self, struct state_io *io)
{
    struct virtio *dev = self;
    state_section(io, dev->id, 1);
    pci_function_state(&dev->fn, io);
    state_u8(io, "status", &dev->status);
    state_u8(io, "isr", &dev->isr);
    state_u8(io, "generation", &dev->generation);
    state_bool(io, "broken", &dev->broken);
    state_bool(io, "legacy", &dev->legacy);
    state_u64(io, "guest_features", &dev->guest_features);
    state_u32(io, "device_feature_select", &dev->device_feature_select);
    state_u32(io, "driver_feature_select", &dev->driver_feature_select);
    state_u16(io, "config_vector", &dev->config_vector);
    state_u16(io, "queue_select", &dev->queue_select);
    state_u32(io, "kicked", &dev->kicked);
    for (unsigned i = 0; i < dev->model.queues; i++) {
        queue_state(&dev->queues[i], io);
    }
    state_bytes(io, "config", dev->config, sizeof dev->config);
    timer_state(&dev->work, io, "work");
    dev->model.ops->state(dev->self, io);
}

static void device_destroy(void *self)
{
    struct virtio *dev = self;
    pci_function_free(&dev->fn);
    dev->model.ops->destroy(dev->self);
}

static const struct device_ops device_ops = {
    .type = "virtio", .reset = device_reset, .state = device_state, .destroy = device_destroy};

void virtio_init(struct virtio *dev, const struct virtio_options *options,
                 const struct virtio_model *model, void *self)
{
    sim_assert(model->queues <= VIRTIO_MAX_QUEUES && model->config_size <= VIRTIO_CONFIG_MAX);
    dev->model = *model;
    dev->self = self;
    (void)snprintf(dev->id, sizeof dev->id, "%s", options->id);
    dev->clock = options->env->clock;
    dev->log = options->env->log;
    dev->direct = options->env->dma;
    /* Legacy drivers do not know of ACCESS_PLATFORM and would pass the IOMMU by. */
    dev->modern_only = options->modern_only || options->access_platform;
    dev->host_features = model->features | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) |
                         BIT(VIRTIO_F_VERSION_1);
    if (!dev->modern_only) {
        dev->host_features |= BIT(VIRTIO_F_ANY_LAYOUT);
    }
    if (options->access_platform) {
        dev->host_features |= BIT(VIRTIO_F_ACCESS_PLATFORM);
    }
    for (unsigned i = 0; i < model->queues; i++) {
        dev->queues[i].max_size = VIRTIO_QUEUE_SIZE;
    }
    timer_init(&dev->work, dev->clock, dev->model.ops->type, work, dev);
    virtio_pci_init(dev, options);
    bus_add_device(options->env->bus, &device_ops, dev, dev->id);
    virtio_reset(dev);
}
