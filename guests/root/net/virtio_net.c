/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network card of type virtio [VIRTIO "Network Device"]: the uplink. Frames are copied, each into a buffer of its own; a receive and a
 * transmit queue. Left out: offloads, the control queue (filters, several queues), status of the link. */
#include "guests/root/net/driver.h"
#include "guests/root/net/link.h"
#include "guests/root/virtio/virtio.h"

#define CARDS 2
#define BUFFERS 64u
#define BUFFER_BYTES 2048u

struct card {
    struct link link; /* first */
    struct virtio virtio;
    struct virtqueue receive, transmit;
    u8 *in[BUFFERS], *out[BUFFERS]; /* header, frame */
    u8 *free[BUFFERS];              /* of `out` */
    u32 free_count;
    u64 lost;
    char name[8];
};

static struct card cards[CARDS];
static u32 card_count;
static struct device_interrupt interrupt;

static void collect(struct card *c)
{
    u32 bytes;
    for (u8 *b = virtqueue_take(&c->transmit, &bytes); b != NULL; b = virtqueue_take(&c->transmit, &bytes)) {
        c->free[c->free_count++] = b;
    }
}

static void send(struct link *l, const void *frame, u32 size)
{
    struct card *c = (struct card *)(void *)l;
    collect(c);
    if (c->free_count == 0 || size < 14 || size > BUFFER_BYTES - VIRTIO_NET_HDR_SIZE) {
        l->dropped++;
        return;
    }
    u8 *b = c->free[c->free_count - 1];
    memset(b, 0, VIRTIO_NET_HDR_SIZE);
    memcpy(b + VIRTIO_NET_HDR_SIZE, frame, size);
    const struct virtio_part part = {b, VIRTIO_NET_HDR_SIZE + size, false};
    if (!virtqueue_put(&c->transmit, &part, 1, b)) {
        l->dropped++;
        return;
    }
    c->free_count--;
    virtqueue_kick(&c->transmit);
    l->sent++;
}

static void offer(struct card *c, u8 *b)
{
    const struct virtio_part part = {b, BUFFER_BYTES, true};
    (void)virtqueue_put(&c->receive, &part, 1, b);
}

static bool receive(struct card *c, enum interrupt_news news)
{
    bool any = false;
    u32 bytes;
    for (u8 *b = virtqueue_take(&c->receive, &bytes); b != NULL; b = virtqueue_take(&c->receive, &bytes)) {
        any = true;
        c->lost += news == INTERRUPT_LOST ? 1 : 0;
        if (bytes >= VIRTIO_NET_HDR_SIZE + 14 && bytes <= BUFFER_BYTES && c->link.receive != NULL) {
            c->link.received++;
            c->link.receive(&c->link, b + VIRTIO_NET_HDR_SIZE, bytes - VIRTIO_NET_HDR_SIZE);
        } else {
            c->link.dropped++;
        }
        offer(c, b);
    }
    if (any) {
        virtqueue_kick(&c->receive);
    }
    return any;
}

static bool ready(void)
{
    for (u32 i = 0; i < card_count; i++) {
        if (virtqueue_ready(&cards[i].receive)) {
            return true;
        }
    }
    return false;
}

bool virtio_net_poll(void)
{
    bool any = false;
    enum interrupt_news news = pci_interrupt_news(&interrupt, ready);
    if (news == INTERRUPT_NONE) {
        return false;
    }
    for (u32 i = 0; i < card_count; i++) {
        collect(&cards[i]);
        any = receive(&cards[i], news) || any;
    }
    return any;
}

void virtio_net_print(void)
{
    for (u32 i = 0; i < card_count; i++) {
        const struct card *c = &cards[i];
        const u8 *m = c->link.mac;
        print("  %s: %02x:%02x:%02x:%02x:%02x:%02x, %lu frames sent, %lu received, %lu without an interrupt, %lu dropped; %lu interrupts\n",
              c->name, (u32)m[0], (u32)m[1], (u32)m[2], (u32)m[3], (u32)m[4], (u32)m[5], c->link.sent, c->link.received, c->lost,
              c->link.dropped, interrupt.count);
    }
}

static bool begin(struct card *c, const struct pci_function *f)
{
    u8 *buffers = memory_take(2ull * BUFFERS * BUFFER_BYTES);
    if (buffers == NULL || (interrupt.vector == 0 && !pci_vector(&interrupt)) ||
        !virtio_begin(&c->virtio, f, 1ull << VIRTIO_NET_F_MAC) || !virtio_has(&c->virtio, VIRTIO_NET_F_MAC) ||
        !virtio_make_queue(&c->virtio, &c->receive, 0, BUFFERS, interrupt.vector) ||
        !virtio_make_queue(&c->virtio, &c->transmit, 1, BUFFERS, interrupt.vector)) {
        return false;
    }
    for (u32 i = 0; i < BUFFERS; i++) {
        c->in[i] = buffers + (u64)i * BUFFER_BYTES;
        c->out[i] = buffers + (u64)(BUFFERS + i) * BUFFER_BYTES;
    }
    for (u32 i = 0; i < c->receive.size; i++) {
        offer(c, c->in[i]);
    }
    for (u32 i = 0; i < c->transmit.size; i++) {
        c->free[c->free_count++] = c->out[i];
    }
    store16(c->transmit.driver + VIRTQ_AVAIL_FLAGS, VIRTQ_AVAIL_F_NO_INTERRUPT); /* what was sent is collected by the next */
    virtio_run(&c->virtio);
    virtqueue_kick(&c->receive);
    return true;
}

bool virtio_net_start(const struct pci_function *f)
{
    if (!virtio_is(f, VIRTIO_ID_NET)) {
        return false;
    }
    if (card_count == CARDS) {
        print("root: more network cards than %u are left alone\n", CARDS);
        return true;
    }
    struct card *c = &cards[card_count];
    if (!begin(c, f)) {
        print("root: a network card that does not start\n");
        virtio_fail(&c->virtio);
        memset(c, 0, sizeof *c);
        return true;
    }
    memcpy(c->name, "net0", 5);
    c->name[3] = (char)('0' + card_count++);
    c->link.name = c->name;
    c->link.mtu = 1500;
    c->link.send = send;
    for (u32 i = 0; i < 6; i++) {
        c->link.mac[i] = c->virtio.device[VIRTIO_NET_CFG_MAC + i];
    }
    link_add(&c->link);
    return true;
}
