/* SPDX-License-Identifier: GPL-3.0-or-later */
/* virtio-rng [VIRTIO "Entropy Device"]: bytes of a generator with a seed (xoshiro256**), so that a
 * guest's "random" numbers are the same in every run. */
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdlib.h>

#define RNG_DELAY_NS 10000u
#define MAX_BYTES 65536u /* of one request; less than asked for is allowed */

struct virtio_rng {
    struct virtio dev; /* visits its own */
    u64 s[4];
};

static u64 rotate(u64 v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static u64 next(u64 s[4])
{
    u64 result = rotate(s[1] * 5, 7) * 9;
    u64 t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void process(void *self, unsigned n)
{
    struct virtio_rng *rng = self;
    struct virtio *dev = &rng->dev;
    while (virtqueue_pop(dev, n, &dev->chain)) {
        u64 len = dev->chain.in_len < MAX_BYTES ? dev->chain.in_len : MAX_BYTES;
        u64 done = 0;
        while (done < len) {
            u8 bytes[8];
            u64 part = len - done < sizeof bytes ? len - done : sizeof bytes;
            store_le64(bytes, next(rng->s));
            if (virtio_chain_write(dev, &dev->chain, done, bytes, part) != part) {
                break;
            }
            done += part;
        }
        virtqueue_push(dev, n, dev->chain.head, (u32)done);
    }
    virtqueue_notify(dev, n);
}

static void reset(void *self)
{
    UNUSED(self); /* the sequence goes on: a reset must not repeat numbers */
}

static void state(void *self, struct state_io *io)
{
    struct virtio_rng *rng = self;
    state_u64_array(io, "generator", rng->s, ARRAY_LEN(rng->s));
}

static void destroy(void *self)
{
    free(self);
}

static const struct virtio_ops rng_ops = {
    .type = "virtio-rng", .reset = reset, .process = process, .state = state, .destroy = destroy};

void virtio_rng_new(const struct virtio_options *options, u64 seed)
{
    struct virtio_rng *rng = calloc(1, sizeof *rng);
    sim_assert(rng != NULL);
    for (unsigned i = 0; i < ARRAY_LEN(rng->s); i++) {
        /* splitmix64 spreads the seed; the state is never all zeroes. */
        seed += 0x9e3779b97f4a7c15u;
        u64 z = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ (z >> 31);
    }
    const struct virtio_model model = {
        .ops = &rng_ops,
        .type = VIRTIO_ID_ENTROPY,
        .legacy_id = VIRTIO_PCI_DEVICE_ENTROPY,
        .class_code = 0x00ff00,
        .queues = 1,
        .vectors = 2,
        .delay_ns = RNG_DELAY_NS,
    };
    virtio_init(&rng->dev, options, &model, rng);
}
