/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtio over PCI [VIRTIO "Virtio Over PCI Bus", "Split Virtqueues"], modern interface only. The root's addresses are physical ones, and
 * nobody translates its devices' addresses. Left out: legacy devices, packed and indirect rings, event indices, changes of configuration. */
#include "guests/root/virtio/virtio.h"

#define PATIENCE 1000000u
#define RING(q) ((u32)(q)->size)

bool virtio_is(const struct pci_function *f, u16 type)
{
    static const u16 transitional[] = {[VIRTIO_ID_NET] = VIRTIO_PCI_DEVICE_NET, [VIRTIO_ID_BLOCK] = VIRTIO_PCI_DEVICE_BLOCK};
    return f->vendor == VIRTIO_PCI_VENDOR &&
           (f->device == VIRTIO_PCI_DEVICE_MODERN + type || f->device == transitional[type]);
}

static void find_structures(struct virtio *v)
{
    const struct pci_function *f = v->pci;
    for (u32 cap = pci_capability(f, PCI_CAP_ID_VENDOR, 0); cap != 0; cap = pci_capability(f, PCI_CAP_ID_VENDOR, cap)) {
        u32 kind = pci_read(f, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1);
        volatile u8 *bar = pci_map(f, pci_read(f, cap + VIRTIO_PCI_CAP_BAR, 1));
        if (bar == NULL) {
            continue;
        }
        bar += pci_read(f, cap + VIRTIO_PCI_CAP_OFFSET, 4);
        if (kind == VIRTIO_PCI_CAP_COMMON_CFG && v->common == NULL) {
            v->common = bar;
        } else if (kind == VIRTIO_PCI_CAP_DEVICE_CFG && v->device == NULL) {
            v->device = bar;
        } else if (kind == VIRTIO_PCI_CAP_NOTIFY_CFG && v->notify == NULL) {
            v->notify = bar;
            v->notify_multiplier = pci_read(f, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        }
    }
}

static void set_status(struct virtio *v, u8 more)
{
    volatile u8 *status = v->common + VIRTIO_COMMON_DEVICE_STATUS;
    *status = (u8)(*status | more);
}

static bool reset(struct virtio *v)
{
    v->common[VIRTIO_COMMON_DEVICE_STATUS] = 0;
    for (u32 i = 0; i < PATIENCE; i++) {
        if (v->common[VIRTIO_COMMON_DEVICE_STATUS] == 0) {
            return true;
        }
    }
    return false;
}

bool virtio_begin(struct virtio *v, const struct pci_function *f, u64 features)
{
    *v = (struct virtio){.pci = f};
    pci_enable(f);
    find_structures(v);
    if (v->common == NULL || v->device == NULL || v->notify == NULL || !reset(v)) {
        return false;
    }
    set_status(v, VIRTIO_STATUS_ACKNOWLEDGE);
    set_status(v, VIRTIO_STATUS_DRIVER);
    for (u32 half = 0; half < 2; half++) {
        store32(v->common + VIRTIO_COMMON_DEVICE_FEATURE_SELECT, half);
        v->features |= (u64)load32(v->common + VIRTIO_COMMON_DEVICE_FEATURE) << (32 * half);
    }
    v->features &= features | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM;
    for (u32 half = 0; half < 2; half++) {
        store32(v->common + VIRTIO_COMMON_DRIVER_FEATURE_SELECT, half);
        store32(v->common + VIRTIO_COMMON_DRIVER_FEATURE, (u32)(v->features >> (32 * half)));
    }
    set_status(v, VIRTIO_STATUS_FEATURES_OK);
    return virtio_has(v, VIRTIO_F_VERSION_1) && (v->common[VIRTIO_COMMON_DEVICE_STATUS] & VIRTIO_STATUS_FEATURES_OK) != 0;
}

static void store_address(volatile u8 *at, const volatile void *p)
{
    store32(at, (u32)address_of(p));
    store32(at + 4, (u32)(address_of(p) >> 32));
}

static void place_rings(struct virtqueue *q, u8 *pages)
{
    q->desc = pages;
    q->driver = pages + VIRTQ_DESC_SIZE * RING(q);
    q->done = pages + PAGE_SIZE;
    for (u16 i = 0; i < q->size; i++) {
        u16 next = (u16)(i + 1);
        memcpy(q->desc + VIRTQ_DESC_SIZE * i + VIRTQ_DESC_NEXT, &next, 2);
    }
    q->free_count = q->size;
}

bool virtio_make_queue(struct virtio *v, struct virtqueue *q, u16 index, u16 limit, u8 vector)
{
    *q = (struct virtqueue){.index = index};
    store16(v->common + VIRTIO_COMMON_QUEUE_SELECT, index);
    u16 size = load16(v->common + VIRTIO_COMMON_QUEUE_SIZE);
    for (q->size = VIRTQUEUE_MAX; q->size > size || q->size > limit;) {
        q->size /= 2; /* a power of 2 */
    }
    u8 *pages = memory_take(2 * PAGE_SIZE); /* descriptors (at most 2 KiB) and what is available; what is used */
    if (q->size == 0 || pages == NULL || !pci_message(v->pci, 0, vector)) {
        return false;
    }
    memset(pages, 0, 2 * PAGE_SIZE);
    place_rings(q, pages);
    store16(v->common + VIRTIO_COMMON_QUEUE_SIZE, q->size);
    store16(v->common + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 0);
    if (load16(v->common + VIRTIO_COMMON_QUEUE_MSIX_VECTOR) != 0) {
        return false;
    }
    store_address(v->common + VIRTIO_COMMON_QUEUE_DESC, q->desc);
    store_address(v->common + VIRTIO_COMMON_QUEUE_DRIVER, q->driver);
    store_address(v->common + VIRTIO_COMMON_QUEUE_DEVICE, q->done);
    q->doorbell = v->notify + (u64)load16(v->common + VIRTIO_COMMON_QUEUE_NOTIFY_OFF) * v->notify_multiplier;
    store16(v->common + VIRTIO_COMMON_QUEUE_ENABLE, 1);
    return true;
}

void virtio_run(struct virtio *v) { set_status(v, VIRTIO_STATUS_DRIVER_OK); }

void virtio_fail(struct virtio *v)
{
    if (v->common != NULL) {
        set_status(v, VIRTIO_STATUS_FAILED);
    }
}

struct descriptor {
    u64 at;
    u32 bytes;
    u16 flags, next;
};

static struct descriptor *descriptor_of(struct virtqueue *q, u16 i) { return (struct descriptor *)(void *)q->desc + i; }

bool virtqueue_put(struct virtqueue *q, const struct virtio_part *parts, u16 count, void *cookie)
{
    if (count == 0 || count > q->free_count) {
        return false;
    }
    u16 head = q->free;
    u16 at = head;
    for (u16 i = 0; i < count; i++) {
        struct descriptor *d = descriptor_of(q, at);
        d->at = address_of(parts[i].at);
        d->bytes = parts[i].bytes;
        d->flags = (u16)((parts[i].device_writes ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0));
        at = d->next;
    }
    q->free = at;
    q->free_count = (u16)(q->free_count - count);
    q->cookie[head] = cookie;
    store16(q->driver + VIRTQ_AVAIL_RING + 2 * (q->available % RING(q)), head);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    q->available++;
    store16(q->driver + VIRTQ_AVAIL_IDX, q->available);
    return true;
}

void virtqueue_kick(struct virtqueue *q)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if ((load16(q->done + VIRTQ_USED_FLAGS) & VIRTQ_USED_F_NO_NOTIFY) == 0) {
        store16(q->doorbell, q->index);
    }
}

bool virtqueue_ready(const struct virtqueue *q) { return load16(q->done + VIRTQ_USED_IDX) != q->used; }

void *virtqueue_take(struct virtqueue *q, u32 *bytes)
{
    if (!virtqueue_ready(q)) {
        return NULL;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    const volatile u8 *e = q->done + VIRTQ_USED_RING + VIRTQ_USED_ELEM_SIZE * (q->used % RING(q));
    u32 head = load32(e);
    *bytes = load32(e + 4);
    q->used++;
    void *cookie = head < q->size ? q->cookie[head] : NULL;
    if (cookie == NULL) {
        return NULL; /* the device's nonsense */
    }
    q->cookie[head] = NULL;
    u16 last = (u16)head;
    u16 count = 1;
    while ((descriptor_of(q, last)->flags & VIRTQ_DESC_F_NEXT) != 0) {
        last = descriptor_of(q, last)->next;
        count++;
    }
    descriptor_of(q, last)->next = q->free;
    q->free = (u16)head;
    q->free_count = (u16)(q->free_count + count);
    return cookie;
}
