/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A board with nothing but memory, a PCI bus and one device of each kind of virtio, and a small
 * driver for split queues: for unit tests and fuzzing. */
#ifndef VITRINE_TESTS_VIRTIO_RIG_H
#define VITRINE_TESTS_VIRTIO_RIG_H

#include "abi/x86/virtio.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "devices/bus.h"
#include "devices/virtio/virtio.h"

#include <stdlib.h>
#include <string.h>

#define RIG_RAM MIB(2)
#define RIG_BLK PCI_DEVFN(1, 0)
#define RIG_NET PCI_DEVFN(2, 0)
#define RIG_RNG PCI_DEVFN(3, 0)
#define RIG_CONSOLE PCI_DEVFN(4, 0)
#define RIG_DISK_SECTORS 64
#define RIG_SEEN 4096

struct rig {
    struct log log;
    struct clock clock;
    struct phys phys;
    struct bus bus;
    struct device_env env;
    struct pci_bus *pci;
    struct virtio_net *net;
    struct virtio_console *console;
    struct block_backend backend;
    u8 disk[RIG_DISK_SECTORS * 512];
    unsigned flushes;
    u32 messages[64]; /* MSI data seen */
    unsigned message_count;
    bool intx[32];
    u8 seen[RIG_SEEN]; /* what left through the console or network card */
    u32 seen_len, frames;
    unsigned rooms;
};

static inline bool rig_dma_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct rig *rig = self;
    UNUSED(requester);
    phys_read(&rig->phys, SPA(iova.v), data, size);
    return true;
}

static inline bool rig_dma_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct rig *rig = self;
    UNUSED(requester);
    phys_write(&rig->phys, SPA(iova.v), data, size);
    return true;
}

static inline void rig_msi(void *self, u16 requester, u64 address, u32 data)
{
    struct rig *rig = self;
    UNUSED(requester);
    UNUSED(address);
    rig->messages[rig->message_count++ % ARRAY_LEN(rig->messages)] = data;
}

static inline void rig_intx(void *self, unsigned slot, unsigned pin, bool level)
{
    struct rig *rig = self;
    UNUSED(pin);
    rig->intx[slot] = level;
}

static inline bool rig_disk_read(void *self, u64 lba, u32 count, void *buf)
{
    struct rig *rig = self;
    memcpy(buf, rig->disk + lba * 512, (size_t)count * 512);
    return true;
}

static inline bool rig_disk_write(void *self, u64 lba, u32 count, const void *buf)
{
    struct rig *rig = self;
    memcpy(rig->disk + lba * 512, buf, (size_t)count * 512);
    return true;
}

static inline bool rig_disk_flush(void *self)
{
    struct rig *rig = self;
    rig->flushes++;
    return true;
}

static inline void rig_see(struct rig *rig, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n && rig->seen_len < RIG_SEEN; i++) {
        rig->seen[rig->seen_len++] = bytes[i];
    }
}

static inline void rig_frame(void *self, const u8 *frame, u32 len)
{
    struct rig *rig = self;
    rig_see(rig, frame, len);
    rig->frames++;
}

static inline void rig_output(void *self, const u8 *bytes, size_t n)
{
    rig_see(self, bytes, n);
}

static inline void rig_room(void *self)
{
    struct rig *rig = self;
    rig->rooms++;
}

static inline struct rig *rig_new(bool access_platform)
{
    struct rig *rig = calloc(1, sizeof *rig);
    static const u8 mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    log_init(&rig->log);
    clock_init(&rig->clock, 1000000000, 1000000000);
    if (!phys_init(&rig->phys, &rig->log, RIG_RAM)) {
        abort();
    }
    (void)phys_add_ram(&rig->phys, REGION_RAM, SPA(0), RIG_RAM, 0, 0, "ram");
    bus_init(&rig->bus, &rig->log);
    rig->env = (struct device_env){
        .clock = &rig->clock,
        .log = &rig->log,
        .bus = &rig->bus,
        .phys = &rig->phys,
        .dma = {.read = rig_dma_read, .write = rig_dma_write, .self = rig},
        .msi = {.send = rig_msi, .self = rig},
    };
    rig->pci = pci_bus_new(&rig->env);
    pci_bus_set_intx(rig->pci, (struct pci_intx_sink){.changed = rig_intx, .self = rig});
    rig->backend = (struct block_backend){.sectors = RIG_DISK_SECTORS,
                                          .read = rig_disk_read,
                                          .write = rig_disk_write,
                                          .flush = rig_disk_flush,
                                          .self = rig,
                                          .serial = "SERIAL-7"};
    struct virtio_options o = {
        .env = &rig->env, .pci = rig->pci, .access_platform = access_platform};
    o.devfn = RIG_BLK;
    o.id = "blk0";
    virtio_blk_new(&o, &rig->backend);
    o.devfn = RIG_NET;
    o.id = "net0";
    rig->net = virtio_net_new(&o, mac, (struct net_backend){.send = rig_frame, .self = rig});
    o.devfn = RIG_RNG;
    o.id = "rng0";
    virtio_rng_new(&o, 1);
    o.devfn = RIG_CONSOLE;
    o.id = "console0";
    rig->console = virtio_console_new(
        &o, (struct chardev){.write = rig_output, .room = rig_room, .self = rig});
    bus_reset(&rig->bus, RESET_POWER);
    pci_assign_resources(rig->pci, &(struct pci_windows){.io_first = 0xc000,
                                                         .io_last = 0xcfff,
                                                         .mem32_first = 0xe0000000,
                                                         .mem32_last = 0xefffffff,
                                                         .mem64_first = GIB(8),
                                                         .mem64_last = GIB(8) + MIB(16) - 1});
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    bus_free(&rig->bus);
    phys_free(&rig->phys);
    free(rig);
}

static inline u64 rig_hash(struct rig *rig)
{
    struct state_io io;
    state_init_hash(&io);
    clock_state(&rig->clock, &io);
    phys_state(&rig->phys, &io);
    bus_state(&rig->bus, &io);
    return io.hash;
}

/* Let virtual time pass. */
static inline void rig_run(struct rig *rig, u64 ns)
{
    u64 end = clock_now(&rig->clock).ns + ns;
    for (;;) {
        vtime_t next = clock_next_deadline(&rig->clock);
        if (next.ns > end) {
            break;
        }
        clock_skip_to(&rig->clock, next);
        clock_fire_due(&rig->clock);
    }
    clock_skip_to(&rig->clock, (vtime_t){end});
}

/* ---- a driver ---- */

#define RIG_QUEUE_PAGES 4
#define RIG_DATA 0x100000u /* buffers of the tests are from here on */

struct rig_queue {
    u64 desc, driver, device;
    u16 size, avail, seen; /* seen: used entries taken */
    u16 next;              /* descriptor to hand out */
    u16 n;                 /* queue number */
};

struct rig_driver {
    struct rig *rig;
    u8 devfn;
    bool legacy;
    u64 modern;
    u16 io;
    u64 features; /* negotiated */
    struct rig_queue q[4];
};

static inline void rig_w8(struct rig *rig, u64 at, u8 v)
{
    phys_write(&rig->phys, SPA(at), &v, 1);
}

static inline void rig_w16(struct rig *rig, u64 at, u16 v)
{
    phys_write_scalar(&rig->phys, SPA(at), v, 2);
}

static inline void rig_w32(struct rig *rig, u64 at, u32 v)
{
    phys_write_scalar(&rig->phys, SPA(at), v, 4);
}

static inline void rig_w64(struct rig *rig, u64 at, u64 v)
{
    phys_write_scalar(&rig->phys, SPA(at), v, 8);
}

static inline u64 rig_r(struct rig *rig, u64 at, unsigned size)
{
    return phys_read_scalar(&rig->phys, SPA(at), size);
}

static inline struct rig_driver rig_attach(struct rig *rig, u8 devfn, bool legacy)
{
    struct rig_driver d = {.rig = rig, .devfn = devfn, .legacy = legacy};
    for (u16 n = 0; n < ARRAY_LEN(d.q); n++) {
        d.q[n].size = 256;
    }
    u32 command = pci_config_read(rig->pci, 0, devfn, PCI_COMMAND, 2);
    pci_config_write(rig->pci, 0, devfn, PCI_COMMAND, command | PCI_COMMAND_MASTER, 2);
    d.io = (u16)(pci_config_read(rig->pci, 0, devfn, PCI_BASE_ADDRESS_0, 4) & 0xfffc);
    u64 lo = pci_config_read(rig->pci, 0, devfn, PCI_BASE_ADDRESS_0 + 16, 4) & ~15u;
    d.modern = lo | (u64)pci_config_read(rig->pci, 0, devfn, PCI_BASE_ADDRESS_0 + 20, 4) << 32;
    return d;
}

static inline u8 rig_status(struct rig_driver *d)
{
    return d->legacy ? (u8)bus_port_read(&d->rig->bus, (u16)(d->io + VIRTIO_LEGACY_STATUS), 1)
                     : (u8)rig_r(d->rig, d->modern + VIRTIO_COMMON_DEVICE_STATUS, 1);
}

static inline void rig_set_status(struct rig_driver *d, u8 v)
{
    if (d->legacy) {
        bus_port_write(&d->rig->bus, (u16)(d->io + VIRTIO_LEGACY_STATUS), v, 1);
    } else {
        rig_w8(d->rig, d->modern + VIRTIO_COMMON_DEVICE_STATUS, v);
    }
}

static inline u64 rig_offered(struct rig_driver *d)
{
    if (d->legacy) {
        return bus_port_read(&d->rig->bus, (u16)(d->io + VIRTIO_LEGACY_DEVICE_FEATURES), 4);
    }
    rig_w32(d->rig, d->modern + VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 1);
    u64 high = rig_r(d->rig, d->modern + VIRTIO_COMMON_DEVICE_FEATURE, 4);
    rig_w32(d->rig, d->modern + VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 0);
    return high << 32 | rig_r(d->rig, d->modern + VIRTIO_COMMON_DEVICE_FEATURE, 4);
}

/* Reset, negotiate; true when the device took the features. */
static inline bool rig_negotiate(struct rig_driver *d, u64 features)
{
    rig_set_status(d, 0);
    rig_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
    rig_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    d->features = features;
    if (d->legacy) {
        bus_port_write(&d->rig->bus, (u16)(d->io + VIRTIO_LEGACY_DRIVER_FEATURES), (u32)features,
                       4);
        return true;
    }
    for (u32 half = 0; half < 2; half++) {
        rig_w32(d->rig, d->modern + VIRTIO_COMMON_DRIVER_FEATURE_SELECT, half);
        rig_w32(d->rig, d->modern + VIRTIO_COMMON_DRIVER_FEATURE, (u32)(features >> (32 * half)));
    }
    rig_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    return (rig_status(d) & VIRTIO_STATUS_FEATURES_OK) != 0;
}

/* Place queue n in memory, empty. */
static inline void rig_setup_queue(struct rig_driver *d, u16 n, u16 vector)
{
    struct rig *rig = d->rig;
    struct rig_queue *q = &d->q[n];
    u64 base = 0x10000 + n * RIG_QUEUE_PAGES * PAGE_SIZE;
    u8 zero[PAGE_SIZE] = {0};
    for (unsigned i = 0; i < RIG_QUEUE_PAGES; i++) {
        phys_write(&rig->phys, SPA(base + i * PAGE_SIZE), zero, PAGE_SIZE);
    }
    *q = (struct rig_queue){.desc = base, .size = 256, .n = n};
    q->driver = base + 16u * q->size;
    q->device = base + 2 * PAGE_SIZE;
    if (d->legacy) {
        bus_port_write(&rig->bus, (u16)(d->io + VIRTIO_LEGACY_QUEUE_SELECT), n, 2);
        bus_port_write(&rig->bus, (u16)(d->io + VIRTIO_LEGACY_QUEUE_PFN), (u32)(base >> 12), 4);
        return;
    }
    u64 c = d->modern;
    rig_w16(rig, c + VIRTIO_COMMON_QUEUE_SELECT, n);
    rig_w16(rig, c + VIRTIO_COMMON_QUEUE_SIZE, q->size);
    rig_w16(rig, c + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, vector);
    rig_w64(rig, c + VIRTIO_COMMON_QUEUE_DESC, q->desc);
    rig_w64(rig, c + VIRTIO_COMMON_QUEUE_DRIVER, q->driver);
    rig_w64(rig, c + VIRTIO_COMMON_QUEUE_DEVICE, q->device);
    rig_w16(rig, c + VIRTIO_COMMON_QUEUE_ENABLE, 1);
}

static inline void rig_driver_ok(struct rig_driver *d)
{
    rig_set_status(d, rig_status(d) | VIRTIO_STATUS_DRIVER_OK);
}

static inline void rig_start(struct rig_driver *d, u64 features, u16 queues)
{
    if (!rig_negotiate(d, features)) {
        abort();
    }
    for (u16 n = 0; n < queues; n++) {
        rig_setup_queue(d, n, (u16)(n + 1));
    }
    rig_driver_ok(d);
}

struct rig_buf {
    u64 addr;
    u32 len;
    bool in;
};

static inline void rig_desc(struct rig *rig, u64 at, u64 addr, u32 len, u16 flags, u16 next)
{
    rig_w64(rig, at, addr);
    rig_w32(rig, at + 8, len);
    rig_w16(rig, at + 12, flags);
    rig_w16(rig, at + 14, next);
}

/* Make an available entry for descriptor `head`. */
static inline void rig_avail(struct rig_driver *d, unsigned n, u16 head)
{
    struct rig_queue *q = &d->q[n];
    rig_w16(d->rig, q->driver + 4 + 2u * (q->avail % q->size), head);
    q->avail++;
    rig_w16(d->rig, q->driver + 2, q->avail);
}

/* Offer a chain; `indirect`: table at that address, 0: direct. Returns its head. */
static inline u16 rig_add(struct rig_driver *d, unsigned n, const struct rig_buf *b, u16 count,
                          u64 indirect)
{
    struct rig_queue *q = &d->q[n];
    u16 head = q->next;
    for (u16 i = 0; i < count; i++) {
        u16 at = indirect != 0 ? i : (u16)((head + i) % q->size);
        u16 next = indirect != 0 ? (u16)(i + 1) : (u16)((head + i + 1) % q->size);
        u16 flags =
            (u16)((b[i].in ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0));
        rig_desc(d->rig, (indirect != 0 ? indirect : q->desc) + 16u * at, b[i].addr, b[i].len,
                 flags, next);
    }
    if (indirect != 0) {
        rig_desc(d->rig, q->desc + 16u * head, indirect, 16u * count, VIRTQ_DESC_F_INDIRECT, 0);
    }
    q->next = (u16)((head + (indirect != 0 ? 1 : count)) % q->size);
    rig_avail(d, n, head);
    return head;
}

static inline void rig_kick(struct rig_driver *d, u16 n)
{
    if (d->legacy) {
        bus_port_write(&d->rig->bus, (u16)(d->io + VIRTIO_LEGACY_QUEUE_NOTIFY), n, 2);
    } else {
        rig_w16(d->rig, d->modern + 0x3000 + 4u * n, n);
    }
}

/* Take the next used entry. */
static inline bool rig_used(struct rig_driver *d, unsigned n, u32 *head, u32 *len)
{
    struct rig_queue *q = &d->q[n];
    if ((u16)rig_r(d->rig, q->device + 2, 2) == q->seen) {
        return false;
    }
    u64 at = q->device + 4 + 8u * (q->seen % q->size);
    *head = (u32)rig_r(d->rig, at, 4);
    *len = (u32)rig_r(d->rig, at + 4, 4);
    q->seen++;
    return true;
}

/* Switch MSI-X on, vector v sending data 0x40 + v. */
static inline void rig_msix(struct rig_driver *d, unsigned vectors)
{
    struct rig *rig = d->rig;
    u64 table = pci_config_read(rig->pci, 0, d->devfn, PCI_BASE_ADDRESS_0 + 4, 4) & ~15u;
    for (unsigned v = 0; v < vectors; v++) {
        rig_w64(rig, table + 16u * v, 0xfee00000);
        rig_w32(rig, table + 16u * v + 8, 0x40 + v);
        rig_w32(rig, table + 16u * v + 12, 0);
    }
    u8 cap = pci_bus_function(rig->pci, d->devfn)->msix_cap;
    pci_config_write(rig->pci, 0, d->devfn, cap + 2u, 0x8000, 2);
}

#endif
