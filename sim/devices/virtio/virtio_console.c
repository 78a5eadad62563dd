/* SPDX-License-Identifier: GPL-3.0-or-later */
/* virtio-console [VIRTIO "Console Device"]: one port, its size, the emergency write. Left out:
 * MULTIPORT. Input waits until the guest has given a buffer: can_receive says how much fits. */
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdlib.h>

#define CONSOLE_DELAY_NS 10000u

enum { QUEUE_RX, QUEUE_TX, QUEUES };

struct virtio_console {
    struct virtio dev; /* visits its own */
    struct chardev chr;
    u64 room; /* what the first waiting buffer takes, as of the last look at the queue */
};

static void process_tx(struct virtio_console *con)
{
    struct virtio *dev = &con->dev;
    while (virtqueue_pop(dev, QUEUE_TX, &dev->chain)) {
        u8 bytes[512];
        for (u64 at = 0; at < dev->chain.out_len;) {
            u64 n = virtio_chain_read(dev, &dev->chain, at, bytes, sizeof bytes);
            if (n == 0) {
                break;
            }
            chardev_write(&con->chr, bytes, n);
            at += n;
        }
        virtqueue_push(dev, QUEUE_TX, dev->chain.head, 0);
    }
    virtqueue_notify(dev, QUEUE_TX);
}

/* Look at the queue: only where the position is definite, since a look at an empty queue asks the
 * driver for a notification. */
static void update_room(struct virtio_console *con)
{
    struct virtio *dev = &con->dev;
    con->room = 0;
    if (virtio_is_running(dev) && virtqueue_pop(dev, QUEUE_RX, &dev->chain)) {
        virtqueue_unpop(dev, QUEUE_RX, 1);
        con->room = dev->chain.in_len;
    }
}

static void process(void *self, unsigned n)
{
    struct virtio_console *con = self;
    if (n == QUEUE_TX) {
        process_tx(con);
        return;
    }
    bool had_none = con->room == 0;
    update_room(con);
    if (had_none && con->room != 0) {
        chardev_room(&con->chr);
    }
}

static size_t can_receive(void *self)
{
    struct virtio_console *con = self;
    return virtio_is_running(&con->dev) ? con->room : 0;
}

static void receive(void *self, const u8 *bytes, size_t n)
{
    struct virtio_console *con = self;
    struct virtio *dev = &con->dev;
    while (n > 0 && virtio_is_running(dev) && virtqueue_pop(dev, QUEUE_RX, &dev->chain)) {
        u64 done = virtio_chain_write(dev, &dev->chain, 0, bytes, n);
        virtqueue_push(dev, QUEUE_RX, dev->chain.head, (u32)done);
        bytes += done;
        n -= done;
    }
    virtqueue_notify(dev, QUEUE_RX);
    update_room(con);
}

static void config_write(void *self, unsigned offset, u32 value, unsigned size)
{
    struct virtio_console *con = self;
    if (offset == VIRTIO_CONSOLE_CFG_EMERG_WRITE && size == 4) {
        u8 byte = (u8)value;
        chardev_write(&con->chr, &byte, 1);
    }
}

static void reset(void *self)
{
    struct virtio_console *con = self;
    con->room = 0;
}

static void state(void *self, struct state_io *io)
{
    struct virtio_console *con = self;
    state_u64(io, "room", &con->room);
}

static void destroy(void *self)
{
    free(self);
}

static const struct virtio_ops console_ops = {.type = "virtio-console",
                                              .reset = reset,
                                              .process = process,
                                              .config_write = config_write,
                                              .state = state,
                                              .destroy = destroy};

struct virtio_console *virtio_console_new(const struct virtio_options *options, struct chardev chr)
{
    struct virtio_console *con = calloc(1, sizeof *con);
    sim_assert(con != NULL);
    con->chr = chr;
    const struct virtio_model model = {
        .ops = &console_ops,
        .type = VIRTIO_ID_CONSOLE,
        .legacy_id = VIRTIO_PCI_DEVICE_CONSOLE,
        .class_code = 0x078000,
        .features = BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_EMERG_WRITE),
        .queues = QUEUES,
        .vectors = 3,
        .config_size = VIRTIO_CONSOLE_CFG_SIZE,
        .delay_ns = CONSOLE_DELAY_NS,
    };
    virtio_init(&con->dev, options, &model, con);
    store_le16(con->dev.config + VIRTIO_CONSOLE_CFG_COLS, 80);
    store_le16(con->dev.config + VIRTIO_CONSOLE_CFG_ROWS, 25);
    store_le32(con->dev.config + VIRTIO_CONSOLE_CFG_MAX_PORTS, 1);
    return con;
}

struct chardev_end virtio_console_end(struct virtio_console *console)
{
    return (struct chardev_end){.can_receive = can_receive, .receive = receive, .self = console};
}
