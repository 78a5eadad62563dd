/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2: reference counts and the allocation of clusters.
 *
 * Order of writes: a cluster is counted before anything points to it and discounted after nothing
 * does. A process that is killed in between leaves a leak at worst. */
#include "base/bits.h"
#include "base/bytes.h"
#include "machine/host/qcow2_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- one count ---- */

static u64 count_in(const u8 *block, u64 index, unsigned order)
{
    if (order < 3) {
        unsigned width = 1u << order;
        unsigned per_byte = 8 / width;
        return bits_get(block[index / per_byte], (unsigned)(index % per_byte) * width, width);
    }
    u64 v = 0;
    unsigned bytes = 1u << (order - 3);
    for (unsigned i = 0; i < bytes; i++) {
        v = v << 8 | block[index * bytes + i];
    }
    return v;
}

/* The bytes that hold a count, with the count replaced; *at is where they lie in the block. */
static unsigned count_bytes(const u8 *block, u64 index, unsigned order, u64 v, u8 out[8], u64 *at)
{
    if (order < 3) {
        unsigned width = 1u << order;
        unsigned per_byte = 8 / width;
        *at = index / per_byte;
        out[0] = (u8)bits_set(block[*at], (unsigned)(index % per_byte) * width, width, v);
        return 1;
    }
    unsigned bytes = 1u << (order - 3);
    *at = index * bytes;
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (u8)(v >> (8 * (bytes - 1 - i)));
    }
    return bytes;
}

bool qcow2_refcount(struct qcow2 *q, u64 cluster, u64 *count, struct error *err)
{
    u64 b = cluster / q->rc_per_block;
    *count = 0;
    if (b >= q->rt_entries || q->rt[b] == 0) {
        return true;
    }
    const u8 *block = qcow2_table(q, q->rt[b], err);
    if (block == NULL) {
        return false;
    }
    *count = count_in(block, cluster % q->rc_per_block, q->rc_order);
    return true;
}

/* The block of the cluster exists. */
static bool set_refcount(struct qcow2 *q, u64 cluster, u64 count, struct error *err)
{
    u64 offset = q->rt[cluster / q->rc_per_block];
    const u8 *block = qcow2_table(q, offset, err);
    if (block == NULL) {
        return false;
    }
    u8 bytes[8];
    u64 at;
    unsigned n = count_bytes(block, cluster % q->rc_per_block, q->rc_order, count, bytes, &at);
    return qcow2_table_write(q, offset, at, bytes, n, err);
}

bool qcow2_release(struct qcow2 *q, u64 offset, u64 len, struct error *err)
{
    u64 first = offset >> q->cluster_bits;
    u64 last = (offset + len - 1) >> q->cluster_bits;
    for (u64 c = first; c <= last; c++) {
        u64 count;
        if (!qcow2_refcount(q, c, &count, err)) {
            return false;
        }
        /* Compressed data may be said to end behind the file's end, where nothing is counted. */
        if (count == 0) {
            continue;
        }
        if (!set_refcount(q, c, count - 1, err)) {
            return false;
        }
        if (count == 1) {
            qcow2_table_forget(q, c << q->cluster_bits);
            q->free_hint = c < q->free_hint ? c : q->free_hint;
        }
    }
    return true;
}

/* ---- allocation ---- */

static bool find_free(struct qcow2 *q, u64 *cluster, struct error *err)
{
    u64 c = q->free_hint;
    u64 count;
    for (;; c++) {
        if (!qcow2_refcount(q, c, &count, err)) {
            return false;
        }
        if (count == 0) {
            break;
        }
    }
    if (c >= QCOW2_OFFSET_MASK >> q->cluster_bits) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: qcow2 image is full", q->file.path);
    }
    q->free_hint = c;
    *cluster = c;
    return true;
}

/* A new block of counts in a free cluster of the range it describes: it counts itself. */
static bool add_block(struct qcow2 *q, u64 b, u64 cluster, struct error *err)
{
    u64 offset = cluster << q->cluster_bits;
    u8 *block = calloc(1, (size_t)q->cluster_size);
    if (block == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    u8 bytes[8];
    u64 at;
    unsigned n = count_bytes(block, cluster % q->rc_per_block, q->rc_order, 1, bytes, &at);
    memcpy(block + at, bytes, n);
    qcow2_table_forget(q, offset);
    bool ok = host_file_write(&q->file, offset, block, q->cluster_size, err);
    free(block);
    store_be64(bytes, offset);
    ok = ok && host_file_write(&q->file, q->rt_offset + b * 8, bytes, 8, err);
    if (ok) {
        q->rt[b] = offset;
    }
    return ok;
}

/* The blocks of counts for clusters [first, first + total), all counted once, starting at `first`.
 * The first block's earlier clusters are free. */
static bool write_new_blocks(struct qcow2 *q, u64 first, u64 total, u64 blocks, struct error *err)
{
    u8 *block = malloc((size_t)q->cluster_size);
    if (block == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    bool ok = true;
    for (u64 i = 0; i < blocks && ok; i++) {
        u64 base = (first / q->rc_per_block + i) * q->rc_per_block;
        memset(block, 0, (size_t)q->cluster_size);
        for (u64 c = base; c < base + q->rc_per_block; c++) {
            if (c >= first && c < first + total) {
                u8 bytes[8];
                u64 at;
                unsigned n = count_bytes(block, c - base, q->rc_order, 1, bytes, &at);
                memcpy(block + at, bytes, n);
            }
        }
        u64 offset = (first + i) << q->cluster_bits;
        qcow2_table_forget(q, offset);
        ok = host_file_write(&q->file, offset, block, q->cluster_size, err);
    }
    free(block);
    return ok;
}

/* The refcount table does not reach `cluster`: write a larger one, with the blocks that count it,
 * from there on. Nothing behind the table's reach is in use, because nothing could count it. */
static bool grow_table(struct qcow2 *q, u64 cluster, struct error *err)
{
    u64 b = cluster / q->rc_per_block;
    u64 entries = b + 1 + b / 2;
    u64 table_clusters, blocks, total;
    blocks = 1;
    for (;;) {
        table_clusters = align_up((entries + blocks) * 8, q->cluster_size) >> q->cluster_bits;
        total = table_clusters + blocks;
        u64 needed = (cluster + total - 1) / q->rc_per_block - b + 1;
        if (needed <= blocks) {
            break;
        }
        blocks = needed;
    }
    if (table_clusters * q->cluster_size > QCOW2_MAX_RT_BYTES) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: qcow2 image is full", q->file.path);
    }
    u64 table_offset = (cluster + blocks) << q->cluster_bits;
    u64 n = table_clusters * q->cluster_size / 8;
    u64 *table = calloc((size_t)n, 8);
    u64 *raw = calloc((size_t)n, 8);
    bool ok =
        (table != NULL && raw != NULL) || error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    ok = ok && write_new_blocks(q, cluster, total, blocks, err);
    for (u64 i = 0; i < n && ok; i++) {
        table[i] = i < q->rt_entries          ? q->rt[i]
                   : i >= b && i < b + blocks ? (cluster + (i - b)) << q->cluster_bits
                                              : 0;
        store_be64(&raw[i], table[i]);
    }
    u8 header[12];
    store_be64(header, table_offset);
    store_be32(header + 8, (u32)table_clusters);
    ok = ok && host_file_write(&q->file, table_offset, raw, n * 8, err) &&
         host_file_write(&q->file, QCOW2_H_RT_OFFSET, header, sizeof header, err);
    free(raw);
    if (!ok) {
        free(table);
        return false;
    }
    u64 old_offset = q->rt_offset, old_clusters = q->rt_clusters;
    free(q->rt);
    q->rt = table;
    q->rt_entries = n;
    q->rt_offset = table_offset;
    q->rt_clusters = (u32)table_clusters;
    return qcow2_release(q, old_offset, old_clusters * q->cluster_size, err);
}

bool qcow2_alloc(struct qcow2 *q, u64 *offset, struct error *err)
{
    for (;;) {
        u64 cluster = 0;
        if (!find_free(q, &cluster, err)) {
            return false;
        }
        u64 b = cluster / q->rc_per_block;
        if (b >= q->rt_entries) {
            if (!grow_table(q, cluster, err)) {
                return false;
            }
        } else if (q->rt[b] == 0) {
            if (!add_block(q, b, cluster, err)) {
                return false;
            }
        } else {
            *offset = cluster << q->cluster_bits;
            qcow2_table_forget(q, *offset);
            return set_refcount(q, cluster, 1, err);
        }
    }
}
