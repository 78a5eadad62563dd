/* SPDX-License-Identifier: GPL-3.0-or-later */
/* virtio-blk [VIRTIO "Block Device"]: read, write, flush, identification, and discard and write
 * zeroes where the backend can. One queue. Any framing of a request is taken. Left out: SCSI
 * commands, switching the write cache (it is on), topology, secure erase, zones. */
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/virtio/virtio_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLK_DELAY_NS 50000u
#define BOUNCE_SECTORS 128u
#define MAX_RANGES 32u /* of a discard */
#define MAX_RANGE_SECTORS (1u << 22)

struct virtio_blk {
    struct virtio dev; /* visits its own */
    const struct block_backend *backend;
    u8 bounce[BOUNCE_SECTORS * BLOCK_SECTOR]; /* scratch */
};

/* One request while it is worked on. */
struct request {
    struct virtio_chain *chain;
    u32 type;
    u64 sector;
    u64 data_len;
    u32 written; /* bytes of the in part, without the status byte */
};

static bool data_fits(const struct virtio_blk *blk, const struct request *r)
{
    u64 sectors = r->data_len / BLOCK_SECTOR;
    return r->data_len % BLOCK_SECTOR == 0 && r->sector <= blk->backend->sectors &&
           sectors <= blk->backend->sectors - r->sector;
}

static u8 do_read(struct virtio_blk *blk, struct request *r)
{
    const struct block_backend *b = blk->backend;
    if (!data_fits(blk, r)) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (u64 done = 0; done < r->data_len;) {
        u64 left = r->data_len - done;
        u64 n = left < sizeof blk->bounce ? left : sizeof blk->bounce;
        u64 lba = r->sector + done / BLOCK_SECTOR;
        if (!b->read(b->self, lba, (u32)(n / BLOCK_SECTOR), blk->bounce) ||
            virtio_chain_write(&blk->dev, r->chain, done, blk->bounce, n) != n) {
            return VIRTIO_BLK_S_IOERR;
        }
        done += n;
        r->written = (u32)done;
    }
    return VIRTIO_BLK_S_OK;
}

static u8 do_write(struct virtio_blk *blk, struct request *r)
{
    const struct block_backend *b = blk->backend;
    if (b->read_only || b->write == NULL || !data_fits(blk, r)) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (u64 done = 0; done < r->data_len;) {
        u64 left = r->data_len - done;
        u64 n = left < sizeof blk->bounce ? left : sizeof blk->bounce;
        u64 lba = r->sector + done / BLOCK_SECTOR;
        if (virtio_chain_read(&blk->dev, r->chain, VIRTIO_BLK_REQ_SIZE + done, blk->bounce, n) !=
                n ||
            !b->write(b->self, lba, (u32)(n / BLOCK_SECTOR), blk->bounce)) {
            return VIRTIO_BLK_S_IOERR;
        }
        done += n;
    }
    return VIRTIO_BLK_S_OK;
}

static u8 do_flush(struct virtio_blk *blk)
{
    const struct block_backend *b = blk->backend;
    return b->flush == NULL || b->flush(b->self) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static u8 do_get_id(struct virtio_blk *blk, struct request *r)
{
    u8 id[VIRTIO_BLK_ID_SIZE] = {0};
    const char *serial = blk->backend->serial[0] != '\0' ? blk->backend->serial : blk->dev.id;
    memcpy(id, serial, strnlen(serial, sizeof id));
    u64 n = r->chain->in_len - 1 < sizeof id ? r->chain->in_len - 1 : sizeof id;
    r->written = (u32)virtio_chain_write(&blk->dev, r->chain, 0, id, n);
    return VIRTIO_BLK_S_OK;
}

/* Discard and write zeroes: both leave zeroes here. */
static u8 do_discard(struct virtio_blk *blk, struct request *r)
{
    const struct block_backend *b = blk->backend;
    if (b->discard == NULL) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (b->read_only || r->data_len == 0 || r->data_len % 16 != 0 ||
        r->data_len / 16 > MAX_RANGES) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (u64 at = 0; at < r->data_len; at += 16) {
        u8 range[16];
        if (virtio_chain_read(&blk->dev, r->chain, VIRTIO_BLK_REQ_SIZE + at, range, 16) != 16) {
            return VIRTIO_BLK_S_IOERR;
        }
        u64 sector = load_le64(range);
        u32 count = load_le32(range + 8);
        u32 flags = load_le32(range + 12);
        if (flags > (r->type == VIRTIO_BLK_T_WRITE_ZEROES ? 1u : 0u)) {
            return VIRTIO_BLK_S_UNSUPP;
        }
        if (count > MAX_RANGE_SECTORS || sector > b->sectors || count > b->sectors - sector ||
            (count != 0 && !b->discard(b->self, sector, count))) {
            return VIRTIO_BLK_S_IOERR;
        }
    }
    return VIRTIO_BLK_S_OK;
}

static u8 perform(struct virtio_blk *blk, struct request *r)
{
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
        r->data_len = r->chain->in_len - 1;
        return do_read(blk, r);
    case VIRTIO_BLK_T_OUT:
        return do_write(blk, r);
    case VIRTIO_BLK_T_FLUSH:
        return do_flush(blk);
    case VIRTIO_BLK_T_GET_ID:
        return do_get_id(blk, r);
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return do_discard(blk, r);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

static void process(void *self, unsigned n)
{
    struct virtio_blk *blk = self;
    struct virtio *dev = &blk->dev;
    struct virtio_chain *chain = &dev->chain;
    while (virtqueue_pop(dev, n, chain)) {
        u8 header[VIRTIO_BLK_REQ_SIZE];
        if (chain->out_len < sizeof header || chain->in_len < 1) {
            virtio_break(dev, "block request without header or status");
            break;
        }
        struct request r = {.chain = chain, .data_len = chain->out_len - sizeof header};
        if (virtio_chain_read(dev, chain, 0, header, sizeof header) != sizeof header) {
            break;
        }
        r.type = load_le32(header + VIRTIO_BLK_REQ_TYPE);
        r.sector = load_le64(header + VIRTIO_BLK_REQ_SECTOR);
        u8 status = perform(blk, &r);
        if (virtio_chain_write(dev, chain, chain->in_len - 1, &status, 1) != 1) {
            break;
        }
        virtqueue_push(dev, n, chain->head, r.written + 1);
    }
    virtqueue_notify(dev, n);
}

static void reset(void *self)
{
    UNUSED(self);
}

static void state(void *self, struct state_io *io)
{
    UNUSED(self); /* the medium's state is the backend's */
    UNUSED(io);
}

static void destroy(void *self)
{
    free(self);
}

static const struct virtio_ops blk_ops = {
    .type = "virtio-blk", .reset = reset, .process = process, .state = state, .destroy = destroy};

static void fill_config(struct virtio_blk *blk)
{
    const struct block_backend *b = blk->backend;
    u8 *config = blk->dev.config;
    u64 cylinders = b->sectors / (16u * 63u);
    store_le64(config + VIRTIO_BLK_CFG_CAPACITY, b->sectors);
    store_le32(config + VIRTIO_BLK_CFG_SEG_MAX, VIRTIO_QUEUE_SIZE - 2);
    store_le16(config + VIRTIO_BLK_CFG_CYLINDERS, (u16)(cylinders < 16383 ? cylinders : 16383));
    config[VIRTIO_BLK_CFG_HEADS] = 16;
    config[VIRTIO_BLK_CFG_SECTORS] = 63;
    store_le32(config + VIRTIO_BLK_CFG_BLK_SIZE, BLOCK_SECTOR);
    if (b->discard != NULL && !b->read_only) {
        store_le32(config + VIRTIO_BLK_CFG_MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS);
        store_le32(config + VIRTIO_BLK_CFG_MAX_DISCARD_SEG, MAX_RANGES);
        store_le32(config + VIRTIO_BLK_CFG_DISCARD_ALIGNMENT, 1);
        store_le32(config + VIRTIO_BLK_CFG_MAX_ZEROES_SECTORS, MAX_RANGE_SECTORS);
        store_le32(config + VIRTIO_BLK_CFG_MAX_ZEROES_SEG, MAX_RANGES);
        config[VIRTIO_BLK_CFG_ZEROES_MAY_UNMAP] = 1;
    }
}

void virtio_blk_new(const struct virtio_options *options, const struct block_backend *backend)
{
    struct virtio_blk *blk = calloc(1, sizeof *blk);
    sim_assert(blk != NULL);
    blk->backend = backend;
    u64 features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_GEOMETRY) |
                   BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH);
    if (backend->read_only) {
        features |= BIT(VIRTIO_BLK_F_RO);
    } else if (backend->discard != NULL) {
        features |= BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
    }
    const struct virtio_model model = {
        .ops = &blk_ops,
        .type = VIRTIO_ID_BLOCK,
        .legacy_id = VIRTIO_PCI_DEVICE_BLOCK,
        .class_code = 0x010000,
        .features = features,
        .queues = 1,
        .vectors = 2,
        .config_size = VIRTIO_BLK_CFG_SIZE,
        .delay_ns = BLK_DELAY_NS,
    };
    virtio_init(&blk->dev, options, &model, blk);
    fill_config(blk);
}
