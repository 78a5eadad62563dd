/* SPDX-License-Identifier: GPL-3.0-or-later */
/* virtio-net [VIRTIO "Network Device"]: one pair of queues, a control queue with receive modes and
 * the address, link status, mergeable buffers. No offloads are offered: a frame is what is sent.
 * The card is always promiscuous, which the driver cannot tell from a card whose filter is
 * imprecise; the modes are accepted. Left out: multiqueue, VLAN filter, announcements.
 *
 * Frames that arrive before the driver has given a buffer wait in a short queue, which is state. */
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdlib.h>
#include <string.h>

#define NET_DELAY_NS 10000u
#define WAITING_FRAMES 64u
#define MAX_MERGED 32u /* buffers one frame may be spread over */

enum { QUEUE_RX, QUEUE_TX, QUEUE_CTRL, QUEUES };

struct waiting_frame {
    u32 len;
    u8 data[NET_FRAME_MAX];
};

struct virtio_net {
    struct virtio dev; /* visits its own */
    struct net_backend backend;
    u8 permanent_mac[6]; /* fixed */
    bool link;
    u64 dropped;      /* frames for which there was no room */
    u32 first, count; /* of waiting frames */
    struct waiting_frame waiting[WAITING_FRAMES];
};

static u32 header_size(const struct virtio_net *net)
{
    return virtio_has(&net->dev, VIRTIO_F_VERSION_1) ||
                   virtio_has(&net->dev, VIRTIO_NET_F_MRG_RXBUF)
               ? VIRTIO_NET_HDR_SIZE
               : VIRTIO_NET_HDR_SIZE_LEGACY;
}

/* ---- guest to outside ---- */

static void process_tx(struct virtio_net *net)
{
    struct virtio *dev = &net->dev;
    u32 header = header_size(net);
    while (virtqueue_pop(dev, QUEUE_TX, &dev->chain)) {
        u8 frame[NET_FRAME_MAX];
        u64 len = dev->chain.out_len;
        if (len < header) {
            virtio_break(dev, "frame without header");
            break;
        }
        len -= header;
        if (len < NET_FRAME_MIN || len > sizeof frame) {
            log_guest_error(dev->log, "%s: frame of %llu bytes dropped", dev->id,
                            (unsigned long long)len);
        } else if (virtio_chain_read(dev, &dev->chain, header, frame, len) == len && net->link) {
            netdev_send(&net->backend, frame, (u32)len);
        }
        virtqueue_push(dev, QUEUE_TX, dev->chain.head, 0);
    }
    virtqueue_notify(dev, QUEUE_TX);
}

/* ---- outside to guest ---- */

enum rx_result { RX_DONE, RX_NO_BUFFER, RX_BROKEN };

/* One frame into as many buffers as it needs. Nothing shows before all have been found: the index
 * of the used ring moves last. [VIRTIO "Processing of Incoming Packets"] */
static enum rx_result receive_frame(struct virtio_net *net, const struct waiting_frame *frame)
{
    struct virtio *dev = &net->dev;
    bool merge = virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF);
    u32 header = header_size(net);
    u8 packet[VIRTIO_NET_HDR_SIZE + NET_FRAME_MAX] = {0};
    u32 len = header + frame->len;
    u32 done = 0;
    unsigned used = 0;
    struct {
        u16 head;
        u32 written;
    } taken[MAX_MERGED];
    memcpy(packet + header, frame->data, frame->len);

    /* How many buffers? Look first, write after: num_buffers stands in the first. */
    u64 room = 0;
    while (room < len) {
        if (used == MAX_MERGED || (used == 1 && !merge)) {
            virtio_break(dev, "receive buffers too small for a frame");
            return RX_BROKEN;
        }
        if (!virtqueue_pop(dev, QUEUE_RX, &dev->chain)) {
            virtqueue_unpop(dev, QUEUE_RX, used);
            return dev->broken ? RX_BROKEN : RX_NO_BUFFER;
        }
        if (dev->chain.in_len == 0) {
            virtio_break(dev, "receive buffer of no bytes");
            return RX_BROKEN;
        }
        room += dev->chain.in_len;
        used++;
    }
    if (header == VIRTIO_NET_HDR_SIZE) {
        store_le16(packet + VIRTIO_NET_HDR_NUM_BUFFERS, (u16)used);
    }
    virtqueue_unpop(dev, QUEUE_RX, used);
    for (unsigned i = 0; i < used; i++) {
        if (!virtqueue_pop(dev, QUEUE_RX, &dev->chain)) {
            return RX_BROKEN;
        }
        u64 n = virtio_chain_write(dev, &dev->chain, 0, packet + done, len - done);
        taken[i].head = dev->chain.head;
        taken[i].written = (u32)n;
        done += (u32)n;
    }
    for (unsigned i = 0; i < used; i++) {
        virtqueue_fill(dev, QUEUE_RX, taken[i].head, taken[i].written, i);
    }
    virtqueue_publish(dev, QUEUE_RX, used);
    return RX_DONE;
}

static void flush_waiting(struct virtio_net *net)
{
    struct virtio *dev = &net->dev;
    bool any = false;
    while (net->count > 0 && virtio_is_running(dev) && virtqueue_is_ready(dev, QUEUE_RX)) {
        enum rx_result r = receive_frame(net, &net->waiting[net->first]);
        if (r != RX_DONE || net->count == 0) {
            break; /* count 0: the guest had us reset ourselves by DMA */
        }
        net->first = (net->first + 1) % WAITING_FRAMES;
        net->count--;
        any = true;
    }
    if (any) {
        virtqueue_notify(dev, QUEUE_RX);
    }
}

static bool deliver(void *self, const u8 *frame, u32 len)
{
    struct virtio_net *net = self;
    if (!net->link || len < NET_FRAME_MIN || len > NET_FRAME_MAX || !virtio_is_running(&net->dev)) {
        return false;
    }
    if (net->count == WAITING_FRAMES) {
        net->dropped++;
        return false;
    }
    struct waiting_frame *w = &net->waiting[(net->first + net->count++) % WAITING_FRAMES];
    w->len = len;
    memcpy(w->data, frame, len);
    flush_waiting(net);
    return true;
}

/* ---- control ---- */

static u8 control(struct virtio_net *net, const u8 *command, u64 len)
{
    u8 class = command[0], what = command[1];
    if (class == VIRTIO_NET_CTRL_RX && what <= VIRTIO_NET_CTRL_RX_ALLMULTI && len >= 3) {
        return VIRTIO_NET_OK;
    }
    if (class == VIRTIO_NET_CTRL_MAC && what == VIRTIO_NET_CTRL_MAC_ADDR_SET && len >= 8) {
        memcpy(net->dev.config + VIRTIO_NET_CFG_MAC, command + 2, 6);
        return VIRTIO_NET_OK;
    }
    if (class == VIRTIO_NET_CTRL_MAC && what == VIRTIO_NET_CTRL_MAC_TABLE_SET && len >= 10) {
        return VIRTIO_NET_OK;
    }
    return VIRTIO_NET_ERR;
}

static void process_ctrl(struct virtio_net *net)
{
    struct virtio *dev = &net->dev;
    while (virtqueue_pop(dev, QUEUE_CTRL, &dev->chain)) {
        u8 command[64];
        u64 len = virtio_chain_read(dev, &dev->chain, 0, command, sizeof command);
        if (len < 2 || dev->chain.in_len < 1) {
            virtio_break(dev, "control command without header or answer");
            break;
        }
        u8 ack = control(net, command, len);
        (void)virtio_chain_write(dev, &dev->chain, 0, &ack, 1);
        virtqueue_push(dev, QUEUE_CTRL, dev->chain.head, 1);
    }
    virtqueue_notify(dev, QUEUE_CTRL);
}

/* ---- the device ---- */

static void process(void *self, unsigned n)
{
    struct virtio_net *net = self;
    switch (n) {
    case QUEUE_RX:
        flush_waiting(net);
        break;
    case QUEUE_TX:
        process_tx(net);
        break;
    default:
        process_ctrl(net);
        break;
    }
}

static void config_write(void *self, unsigned offset, u32 value, unsigned size)
{
    struct virtio_net *net = self;
    /* Legacy drivers set the address here [VIRTIO "Legacy Interface: Device configuration
     * layout"]; for others it is read-only. */
    if (net->dev.legacy && offset + size <= 6) {
        store_le(net->dev.config + VIRTIO_NET_CFG_MAC + offset, value, size);
    }
}

static void put_link(struct virtio_net *net)
{
    store_le16(net->dev.config + VIRTIO_NET_CFG_STATUS, net->link ? VIRTIO_NET_S_LINK_UP : 0);
}

static void reset(void *self)
{
    struct virtio_net *net = self;
    memcpy(net->dev.config + VIRTIO_NET_CFG_MAC, net->permanent_mac, 6);
    put_link(net);
    net->first = net->count = 0;
    memset(net->waiting, 0, sizeof net->waiting);
}

static void state(void *self, struct state_io *io)
{
    struct virtio_net *net = self;
    state_bool(io, "link", &net->link);
    state_u64(io, "dropped", &net->dropped);
    state_u32(io, "first", &net->first);
    state_u32(io, "count", &net->count);
    if (net->first >= WAITING_FRAMES || net->count > WAITING_FRAMES) {
        io->failed = true;
        net->first = net->count = 0;
    }
    for (u32 i = 0; i < net->count; i++) {
        struct waiting_frame *w = &net->waiting[(net->first + i) % WAITING_FRAMES];
        state_u32(io, "frame_len", &w->len);
        if (w->len > NET_FRAME_MAX) {
            io->failed = true;
            w->len = NET_FRAME_MIN;
        }
        state_bytes(io, "frame", w->data, w->len);
    }
}

static void destroy(void *self)
{
    free(self);
}

static const struct virtio_ops net_ops = {.type = "virtio-net",
                                          .reset = reset,
                                          .process = process,
                                          .config_write = config_write,
                                          .state = state,
                                          .destroy = destroy};

struct virtio_net *virtio_net_new(const struct virtio_options *options, const u8 mac[6],
                                  struct net_backend backend)
{
    struct virtio_net *net = calloc(1, sizeof *net);
    sim_assert(net != NULL);
    net->backend = backend;
    net->link = true;
    memcpy(net->permanent_mac, mac, 6);
    const struct virtio_model model = {
        .ops = &net_ops,
        .type = VIRTIO_ID_NET,
        .legacy_id = VIRTIO_PCI_DEVICE_NET,
        .class_code = 0x020000,
        .features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
                    BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
                    BIT(VIRTIO_NET_F_CTRL_MAC_ADDR),
        .queues = QUEUES,
        .vectors = 4,
        .config_size = VIRTIO_NET_CFG_SIZE,
        .delay_ns = NET_DELAY_NS,
    };
    virtio_init(&net->dev, options, &model, net);
    return net;
}

struct net_port virtio_net_port(struct virtio_net *net)
{
    return (struct net_port){.deliver = deliver, .self = net};
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    if (net->link != up) {
        net->link = up;
        put_link(net);
        virtio_config_changed(&net->dev);
    }
}
