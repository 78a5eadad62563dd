/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2: from a guest's offset to bytes. */
#include "base/bits.h"
#include "base/bytes.h"
#include "machine/host/qcow2_priv.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* ---- metadata tables ---- */

const u8 *qcow2_table(struct qcow2 *q, u64 offset, struct error *err)
{
    struct qcow2_cached *slot = &q->cache[0];
    for (unsigned i = 0; i < QCOW2_CACHE; i++) {
        struct qcow2_cached *c = &q->cache[i];
        if (c->offset == offset && c->data != NULL) {
            c->used = ++q->cache_tick;
            return c->data;
        }
        slot = c->used < slot->used ? c : slot;
    }
    if (slot->data == NULL) {
        slot->data = malloc((size_t)q->cluster_size);
        if (slot->data == NULL) {
            (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
            return NULL;
        }
    }
    slot->offset = 0;
    if (!host_file_read(&q->file, offset, slot->data, q->cluster_size, err)) {
        return NULL;
    }
    slot->offset = offset;
    slot->used = ++q->cache_tick;
    return slot->data;
}

bool qcow2_table_write(struct qcow2 *q, u64 offset, u64 at, const void *data, u64 len,
                       struct error *err)
{
    if (!host_file_write(&q->file, offset + at, data, len, err)) {
        return false;
    }
    for (unsigned i = 0; i < QCOW2_CACHE; i++) {
        if (q->cache[i].offset == offset && q->cache[i].data != NULL) {
            memcpy(q->cache[i].data + at, data, len);
        }
    }
    return true;
}

void qcow2_table_forget(struct qcow2 *q, u64 offset)
{
    for (unsigned i = 0; i < QCOW2_CACHE; i++) {
        if (q->cache[i].offset == offset) {
            q->cache[i].offset = 0;
            q->cache[i].used = 0;
        }
    }
}

bool qcow2_lookup(struct qcow2 *q, u64 guest_cluster, u64 *entry, struct error *err)
{
    *entry = 0;
    u64 l1_index = guest_cluster / q->l2_entries;
    u64 table = l1_index < q->l1_size ? q->l1[l1_index] & QCOW2_OFFSET_MASK : 0;
    if (table == 0) {
        return true;
    }
    const u8 *l2 = qcow2_table(q, table, err);
    if (l2 == NULL) {
        return false;
    }
    *entry = load_be64(l2 + guest_cluster % q->l2_entries * 8);
    if (q->version == 2) {
        *entry &= ~QCOW2_ZERO; /* the bit came with version 3 */
    }
    return true;
}

/* ---- compressed clusters ---- */

void qcow2_compressed_extent(const struct qcow2 *q, u64 entry, u64 *offset, u64 *len)
{
    unsigned offset_bits = 62 - (q->cluster_bits - 8);
    *offset = bits_get(entry, 0, offset_bits);
    u64 sectors = bits_get(entry, offset_bits, 62 - offset_bits) + 1;
    *len = sectors * SECTOR_SIZE - (*offset & (SECTOR_SIZE - 1));
}

static bool unpack_zlib(u8 *to, u64 to_len, const u8 *from, u64 from_len)
{
    z_stream z = {0};
    if (inflateInit2(&z, -15) != Z_OK) {
        return false;
    }
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)from_len;
    z.next_out = to;
    z.avail_out = (uInt)to_len;
    int rc = inflate(&z, Z_FINISH);
    /* The sectors hold more than the stream; what counts is that the cluster is full. */
    bool ok = (rc == Z_STREAM_END || rc == Z_BUF_ERROR || rc == Z_OK) && z.avail_out == 0;
    (void)inflateEnd(&z);
    return ok;
}

static bool unpack_zstd(u8 *to, u64 to_len, const u8 *from, u64 from_len)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (ctx == NULL) {
        return false;
    }
    (void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, 27);
    ZSTD_inBuffer in = {.src = from, .size = (size_t)from_len};
    ZSTD_outBuffer out = {.dst = to, .size = (size_t)to_len};
    while (out.pos < out.size) {
        size_t in_was = in.pos, out_was = out.pos;
        size_t rc = ZSTD_decompressStream(ctx, &out, &in);
        if (ZSTD_isError(rc) || (in.pos == in_was && out.pos == out_was)) {
            break;
        }
    }
    (void)ZSTD_freeDCtx(ctx);
    return out.pos == out.size;
}

/* The cluster of a compressed entry, into q->unpacked. */
static bool unpack(struct qcow2 *q, u64 entry, struct error *err)
{
    if (q->unpacked_entry == entry) {
        return true;
    }
    u64 offset, len;
    qcow2_compressed_extent(q, entry, &offset, &len);
    if (offset >= q->file.size) {
        return qcow2_corrupt(q, err, "compressed cluster behind the file's end", offset);
    }
    len = len < q->file.size - offset ? len : q->file.size - offset;
    u8 *packed = malloc((size_t)len);
    if (packed == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    q->unpacked_entry = 0;
    bool ok = host_file_read(&q->file, offset, packed, len, err);
    if (ok &&
        !(q->compression == QCOW2_ZSTD ? unpack_zstd(q->unpacked, q->cluster_size, packed, len)
                                       : unpack_zlib(q->unpacked, q->cluster_size, packed, len))) {
        ok = qcow2_corrupt(q, err, "compressed cluster does not decompress", offset);
    }
    free(packed);
    if (ok) {
        q->unpacked_entry = entry;
    }
    return ok;
}

/* ---- reading ---- */

/* Part of one guest cluster. */
static bool read_part(struct qcow2 *q, u64 offset, u8 *buf, u64 len, struct error *err)
{
    u64 entry;
    u64 at = offset & (q->cluster_size - 1);
    if (!qcow2_lookup(q, offset >> q->cluster_bits, &entry, err)) {
        return false;
    }
    if (entry & QCOW2_COMPRESSED) {
        if (!unpack(q, entry, err)) {
            return false;
        }
        memcpy(buf, q->unpacked + at, len);
        return true;
    }
    if (entry & QCOW2_ZERO) {
        memset(buf, 0, len);
        return true;
    }
    u64 host = entry & QCOW2_OFFSET_MASK;
    if (host == 0) {
        if (q->backing != NULL) {
            return block_image_read_padded(q->backing, offset, buf, len, err);
        }
        memset(buf, 0, len);
        return true;
    }
    /* The last cluster of a file may be short: the rest is zeroes. */
    host += at;
    u64 have = host < q->file.size ? q->file.size - host : 0;
    have = have < len ? have : len;
    memset(buf + have, 0, len - have);
    return have == 0 || host_file_read(&q->file, host, buf, have, err);
}

bool qcow2_read(struct block_image *image, u64 offset, void *buf, u64 len, struct error *err)
{
    struct qcow2 *q = (struct qcow2 *)image;
    u8 *to = buf;
    while (len > 0) {
        u64 n = q->cluster_size - (offset & (q->cluster_size - 1));
        n = n < len ? n : len;
        if (!read_part(q, offset, to, n, err)) {
            return false;
        }
        offset += n;
        to += n;
        len -= n;
    }
    return true;
}
