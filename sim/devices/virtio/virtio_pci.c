/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtio over PCI [VIRTIO "Virtio Over PCI Bus"].
 *
 * Laid out as QEMU's transitional devices are, which is what drivers are tested with: BAR 0 the
 * legacy registers (I/O), BAR 1 the MSI-X tables, BAR 4 the modern structures (64-bit), each in a
 * page of its own; notifications 4 bytes apart. A driver that touches the legacy registers before
 * it accepts VERSION_1 is a legacy driver until the next reset.
 *
 * Left out: the extended configuration of version 1.2 (queue reset, notification data), MSI without
 * X, native PCI Express. */
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdio.h>
#include <string.h>

#define MODERN_COMMON 0x0000u
#define MODERN_ISR 0x1000u
#define MODERN_CONFIG 0x2000u
#define MODERN_NOTIFY 0x3000u
#define MODERN_PART 0x1000u
#define MODERN_SIZE 0x4000u
#define NOTIFY_MULTIPLIER 4u
#define BAR_LEGACY 0
#define BAR_MSIX 1
#define BAR_MODERN 4

/* ---- common configuration ---- */

static struct virtqueue *selected(struct virtio *dev)
{
    return dev->queue_select < dev->model.queues ? &dev->queues[dev->queue_select] : NULL;
}

static u32 offered(const struct virtio *dev)
{
    return dev->device_feature_select < 2
               ? (u32)(dev->host_features >> (32 * dev->device_feature_select))
               : 0;
}

static u32 accepted(const struct virtio *dev)
{
    return dev->driver_feature_select < 2
               ? (u32)(dev->guest_features >> (32 * dev->driver_feature_select))
               : 0;
}

static u64 common_read(struct virtio *dev, u64 offset, unsigned size)
{
    u8 image[VIRTIO_COMMON_SIZE + 8] = {0};
    const struct virtqueue *q = selected(dev);
    store_le32(image + VIRTIO_COMMON_DEVICE_FEATURE_SELECT, dev->device_feature_select);
    store_le32(image + VIRTIO_COMMON_DEVICE_FEATURE, offered(dev));
    store_le32(image + VIRTIO_COMMON_DRIVER_FEATURE_SELECT, dev->driver_feature_select);
    store_le32(image + VIRTIO_COMMON_DRIVER_FEATURE, accepted(dev));
    store_le16(image + VIRTIO_COMMON_CONFIG_MSIX_VECTOR, dev->config_vector);
    store_le16(image + VIRTIO_COMMON_NUM_QUEUES, (u16)dev->model.queues);
    image[VIRTIO_COMMON_DEVICE_STATUS] = dev->status;
    image[VIRTIO_COMMON_CONFIG_GENERATION] = dev->generation;
    store_le16(image + VIRTIO_COMMON_QUEUE_SELECT, dev->queue_select);
    /* A queue that is not there has size 0. */
    store_le16(image + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, VIRTIO_MSI_NO_VECTOR);
    if (q != NULL) {
        store_le16(image + VIRTIO_COMMON_QUEUE_SIZE, q->size);
        store_le16(image + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, q->vector);
        store_le16(image + VIRTIO_COMMON_QUEUE_ENABLE, q->enabled ? 1 : 0);
        store_le16(image + VIRTIO_COMMON_QUEUE_NOTIFY_OFF, dev->queue_select);
        store_le64(image + VIRTIO_COMMON_QUEUE_DESC, q->desc);
        store_le64(image + VIRTIO_COMMON_QUEUE_DRIVER, q->driver);
        store_le64(image + VIRTIO_COMMON_QUEUE_DEVICE, q->device);
    }
    return offset < VIRTIO_COMMON_SIZE ? load_le(image + offset, size) : 0;
}

static u16 checked_vector(const struct virtio *dev, u64 vector)
{
    return vector < dev->model.vectors ? (u16)vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_driver_features(struct virtio *dev, u64 value)
{
    unsigned select = dev->driver_feature_select;
    if ((dev->status & VIRTIO_STATUS_FEATURES_OK) != 0) {
        log_guest_error(dev->log, "%s: features changed after FEATURES_OK", dev->id);
    } else if (select < 2) {
        dev->guest_features = bits_set(dev->guest_features, 32 * select, 32, value);
    }
}

/* [VIRTIO "Virtqueue Configuration"] alignments: 16 for descriptors, 2 and 4 for the rings. */
static void enable_queue(struct virtio *dev, struct virtqueue *q)
{
    if ((q->desc & 15) != 0 || (q->driver & 1) != 0 || (q->device & 3) != 0) {
        log_guest_error(dev->log, "%s: queue %u is not aligned", dev->id, dev->queue_select);
        return;
    }
    q->enabled = true;
}

static void set_half(u64 *address, bool high, u64 value)
{
    *address = bits_set(*address, high ? 32 : 0, 32, value);
}

static void queue_write(struct virtio *dev, struct virtqueue *q, u64 offset, u64 value)
{
    if (offset == VIRTIO_COMMON_QUEUE_MSIX_VECTOR) {
        q->vector = checked_vector(dev, value);
        return;
    }
    if (q->enabled) {
        /* Enabled queues keep their place until a reset; writing 0 to the enable is no reset. */
        log_guest_error(dev->log, "%s: write to queue %u, which is enabled", dev->id,
                        dev->queue_select);
        return;
    }
    switch (offset) {
    case VIRTIO_COMMON_QUEUE_SIZE:
        if (value == 0 || value > q->max_size || !is_power_of_2(value)) {
            log_guest_error(dev->log, "%s: queue size %llu", dev->id, (unsigned long long)value);
            return;
        }
        q->size = (u16)value;
        break;
    case VIRTIO_COMMON_QUEUE_ENABLE:
        if (value == 1) {
            enable_queue(dev, q);
        }
        break;
    case VIRTIO_COMMON_QUEUE_DESC:
    case VIRTIO_COMMON_QUEUE_DESC + 4:
        set_half(&q->desc, offset != VIRTIO_COMMON_QUEUE_DESC, value);
        break;
    case VIRTIO_COMMON_QUEUE_DRIVER:
    case VIRTIO_COMMON_QUEUE_DRIVER + 4:
        set_half(&q->driver, offset != VIRTIO_COMMON_QUEUE_DRIVER, value);
        break;
    case VIRTIO_COMMON_QUEUE_DEVICE:
    case VIRTIO_COMMON_QUEUE_DEVICE + 4:
        set_half(&q->device, offset != VIRTIO_COMMON_QUEUE_DEVICE, value);
        break;
    default: /* read-only or nothing */
        break;
    }
}

static void common_write(struct virtio *dev, u64 offset, u64 value)
{
    struct virtqueue *q = selected(dev);
    switch (offset) {
    case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
        dev->device_feature_select = (u32)value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
        dev->driver_feature_select = (u32)value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE:
        set_driver_features(dev, value);
        break;
    case VIRTIO_COMMON_CONFIG_MSIX_VECTOR:
        dev->config_vector = checked_vector(dev, value);
        break;
    case VIRTIO_COMMON_DEVICE_STATUS:
        virtio_set_status(dev, (u8)value, false);
        break;
    case VIRTIO_COMMON_QUEUE_SELECT:
        dev->queue_select = (u16)value;
        break;
    default:
        if (q != NULL) {
            queue_write(dev, q, offset, value);
        }
        break;
    }
}

/* ---- the modern BAR ---- */

static u64 modern_read(void *self, u64 offset, unsigned size)
{
    struct virtio *dev = self;
    u64 at = offset % MODERN_PART;
    switch (offset - at) {
    case MODERN_COMMON:
        return common_read(dev, at, size);
    case MODERN_ISR:
        return at == 0 ? virtio_read_isr(dev) : 0;
    case MODERN_CONFIG:
        return virtio_config_read(dev, (unsigned)at, size);
    default: /* notifications read as nothing */
        return 0;
    }
}

static void modern_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct virtio *dev = self;
    u64 at = offset % MODERN_PART;
    switch (offset - at) {
    case MODERN_COMMON:
        common_write(dev, at, value & size_mask(size));
        break;
    case MODERN_CONFIG:
        virtio_config_write(dev, (unsigned)at, (u32)value, size);
        break;
    case MODERN_NOTIFY:
        virtio_kick(dev, (unsigned)(at / NOTIFY_MULTIPLIER));
        break;
    default: /* ISR is read-only */
        break;
    }
}

static const struct mmio_ops modern_ops = {
    .read = modern_read, .write = modern_write, .max_size = 4};

/* ---- the legacy BAR ---- */

static unsigned legacy_config(const struct virtio *dev)
{
    return pci_msix_is_enabled(&dev->fn) ? VIRTIO_LEGACY_CONFIG_MSIX : VIRTIO_LEGACY_CONFIG;
}

static u32 legacy_features(const struct virtio *dev)
{
    return (u32)dev->host_features;
}

static u32 legacy_register_read(struct virtio *dev, u16 offset)
{
    const struct virtqueue *q = selected(dev);
    switch (offset) {
    case VIRTIO_LEGACY_DEVICE_FEATURES:
        return legacy_features(dev);
    case VIRTIO_LEGACY_DRIVER_FEATURES:
        return (u32)dev->guest_features;
    case VIRTIO_LEGACY_QUEUE_PFN:
        return q != NULL && q->enabled ? (u32)(q->desc >> VIRTIO_LEGACY_PAGE_SHIFT) : 0;
    case VIRTIO_LEGACY_QUEUE_SIZE:
        return q != NULL ? q->max_size : 0;
    case VIRTIO_LEGACY_QUEUE_SELECT:
        return dev->queue_select;
    case VIRTIO_LEGACY_STATUS:
        return dev->status;
    case VIRTIO_LEGACY_ISR:
        return virtio_read_isr(dev);
    case VIRTIO_LEGACY_CONFIG_VECTOR: /* with MSI-X; else this is configuration */
        return dev->config_vector;
    case VIRTIO_LEGACY_QUEUE_VECTOR:
        return q != NULL ? q->vector : VIRTIO_MSI_NO_VECTOR;
    default:
        return 0;
    }
}

static u32 legacy_read(void *self, u16 offset, unsigned size)
{
    struct virtio *dev = self;
    unsigned config = legacy_config(dev);
    if (offset >= config) {
        return virtio_config_read(dev, offset - config, size);
    }
    return legacy_register_read(dev, offset) & (u32)size_mask(size);
}

/* [VIRTIO "Legacy Interfaces: A Note on Virtqueue Layout"] */
static void legacy_place_queue(struct virtio *dev, struct virtqueue *q, u32 pfn)
{
    if (pfn == 0) {
        virtio_reset(dev); /* how legacy drivers take a queue away */
        return;
    }
    q->size = q->max_size;
    q->desc = (u64)pfn << VIRTIO_LEGACY_PAGE_SHIFT;
    q->driver = q->desc + (u64)VIRTQ_DESC_SIZE * q->size;
    q->device = align_up(q->driver + VIRTQ_AVAIL_RING + 2u * q->size + 2, VIRTIO_LEGACY_ALIGN);
    q->last_avail = q->used_idx = 0;
    q->signalled_valid = false;
    q->enabled = true;
}

static void legacy_register_write(struct virtio *dev, u16 offset, u32 value)
{
    struct virtqueue *q = selected(dev);
    switch (offset) {
    case VIRTIO_LEGACY_DRIVER_FEATURES:
        dev->guest_features = value & legacy_features(dev);
        dev->legacy = true;
        break;
    case VIRTIO_LEGACY_QUEUE_PFN:
        dev->legacy = true;
        if (q != NULL) {
            legacy_place_queue(dev, q, value);
        }
        break;
    case VIRTIO_LEGACY_QUEUE_SELECT:
        dev->queue_select = (u16)value;
        break;
    case VIRTIO_LEGACY_QUEUE_NOTIFY:
        virtio_kick(dev, value & 0xffff);
        break;
    case VIRTIO_LEGACY_STATUS:
        virtio_set_status(dev, (u8)value, true);
        break;
    case VIRTIO_LEGACY_CONFIG_VECTOR:
        dev->config_vector = checked_vector(dev, value & 0xffff);
        break;
    case VIRTIO_LEGACY_QUEUE_VECTOR:
        if (q != NULL) {
            q->vector = checked_vector(dev, value & 0xffff);
        }
        break;
    default: /* read-only */
        break;
    }
}

static void legacy_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct virtio *dev = self;
    unsigned config = legacy_config(dev);
    if (offset >= config) {
        virtio_config_write(dev, offset - config, value, size);
    } else {
        legacy_register_write(dev, offset, value & (u32)size_mask(size));
    }
}

static const struct port_ops legacy_ops = {.read = legacy_read, .write = legacy_write};

/* ---- access through configuration space [VIRTIO "PCI configuration access capability"] ---- */

/* The window's target; false when it is set to something that is not there. */
static bool window(const struct virtio *dev, u32 *offset, unsigned *size)
{
    u32 bar = pci_get_config(&dev->fn, dev->cfg_cap + VIRTIO_PCI_CAP_BAR, 1);
    *offset = pci_get_config(&dev->fn, dev->cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4);
    *size = pci_get_config(&dev->fn, dev->cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4);
    return bar == BAR_MODERN && (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0 &&
           *offset < MODERN_SIZE;
}

static bool in_window(const struct virtio *dev, unsigned offset, unsigned size)
{
    unsigned data = dev->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA;
    return offset < data + 4 && data < offset + size;
}

static void config_reading(void *self, unsigned offset, unsigned size)
{
    struct virtio *dev = self;
    u32 at;
    unsigned n;
    if (in_window(dev, offset, size) && window(dev, &at, &n)) {
        pci_put_config(&dev->fn, dev->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA,
                       (u32)modern_read(dev, at, n), n);
    }
}

static void config_written(void *self, unsigned offset, unsigned size)
{
    struct virtio *dev = self;
    u32 at;
    unsigned n;
    if (in_window(dev, offset, size) && window(dev, &at, &n)) {
        modern_write(dev, at, pci_get_config(&dev->fn, dev->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA, n),
                     n);
    }
}

static const struct pci_function_ops function_ops = {.config_written = config_written,
                                                     .config_reading = config_reading};

/* ---- construction ---- */

static u8 add_structure(struct virtio *dev, u8 type, u32 offset, u32 length, unsigned cap_size)
{
    u8 cap = pci_add_capability(&dev->fn, PCI_CAP_ID_VENDOR, 0, cap_size);
    pci_init_config(&dev->fn, cap + VIRTIO_PCI_CAP_LEN, cap_size, 1);
    pci_init_config(&dev->fn, cap + VIRTIO_PCI_CAP_CFG_TYPE, type, 1);
    pci_init_config(&dev->fn, cap + VIRTIO_PCI_CAP_BAR, BAR_MODERN, 1);
    pci_init_config(&dev->fn, cap + VIRTIO_PCI_CAP_OFFSET, offset, 4);
    pci_init_config(&dev->fn, cap + VIRTIO_PCI_CAP_LENGTH, length, 4);
    return cap;
}

static void add_structures(struct virtio *dev)
{
    struct pci_function *fn = &dev->fn;
    (void)add_structure(dev, VIRTIO_PCI_CAP_COMMON_CFG, MODERN_COMMON, MODERN_PART,
                        VIRTIO_PCI_CAP_SIZE);
    (void)add_structure(dev, VIRTIO_PCI_CAP_ISR_CFG, MODERN_ISR, MODERN_PART, VIRTIO_PCI_CAP_SIZE);
    (void)add_structure(dev, VIRTIO_PCI_CAP_DEVICE_CFG, MODERN_CONFIG, MODERN_PART,
                        VIRTIO_PCI_CAP_SIZE);
    u8 notify = add_structure(dev, VIRTIO_PCI_CAP_NOTIFY_CFG, MODERN_NOTIFY, MODERN_PART,
                              VIRTIO_PCI_NOTIFY_CAP_SIZE);
    pci_init_config(fn, notify + VIRTIO_PCI_NOTIFY_CAP_MULT, NOTIFY_MULTIPLIER, 4);
    dev->cfg_cap = add_structure(dev, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, VIRTIO_PCI_CFG_CAP_SIZE);
    pci_init_config(fn, dev->cfg_cap + VIRTIO_PCI_CAP_BAR, 0, 1);
    pci_set_writable(fn, dev->cfg_cap + VIRTIO_PCI_CAP_BAR, 0xff, 1);
    pci_set_writable(fn, dev->cfg_cap + VIRTIO_PCI_CAP_OFFSET, 0xffffffff, 4);
    pci_set_writable(fn, dev->cfg_cap + VIRTIO_PCI_CAP_LENGTH, 0xffffffff, 4);
    pci_set_writable(fn, dev->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA, 0xffffffff, 4);
}

void virtio_pci_init(struct virtio *dev, const struct virtio_options *options)
{
    const struct virtio_model *m = &dev->model;
    bool modern = dev->modern_only;
    struct pci_ids ids = {
        .vendor = VIRTIO_PCI_VENDOR,
        .device = modern ? (u16)(VIRTIO_PCI_DEVICE_MODERN + m->type) : m->legacy_id,
        .subsystem_vendor = VIRTIO_PCI_VENDOR,
        .subsystem = modern ? VIRTIO_PCI_SUBSYSTEM_MODERN : m->type,
        .class_code = m->class_code,
        .revision = modern ? 1 : 0,
        .pin = 1,
    };
    pci_add_function(options->pci, &dev->fn, options->devfn, &ids, &function_ops, dev);
    if (!modern) {
        pci_add_io_bar(&dev->fn, BAR_LEGACY, 128, &legacy_ops, dev, "virtio-legacy");
    }
    pci_add_mem_bar(&dev->fn, BAR_MSIX, PCI_BAR_MEM32, false, 0x1000, NULL, dev, "virtio-msix");
    pci_add_mem_bar(&dev->fn, BAR_MODERN, PCI_BAR_MEM64, true, MODERN_SIZE, &modern_ops, dev,
                    "virtio-modern");
    add_structures(dev);
    (void)pci_add_msix(&dev->fn, 0, m->vectors, BAR_MSIX, 0, 0x800);
}
