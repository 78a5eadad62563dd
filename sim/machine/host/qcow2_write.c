/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2: writing. A cluster that is ours alone is written in place; anything else (not there,
 * zeroes, compressed, shared with a snapshot) becomes a new cluster, as do L2 tables that are
 * shared. New clusters are never compressed. */
#include "base/bytes.h"
#include "machine/host/qcow2_priv.h"

#include <string.h>

/* The feature bits that say "still in step with the data" must go before the data changes. */
static bool clear_autoclear(struct qcow2 *q, struct error *err)
{
    static const u8 none[8] = {0};
    if (q->autoclear == 0) {
        return true;
    }
    q->autoclear = 0;
    return host_file_write(&q->file, QCOW2_H_AUTOCLEAR, none, sizeof none, err);
}

static bool set_l1(struct qcow2 *q, u64 index, u64 entry, struct error *err)
{
    u8 raw[8];
    store_be64(raw, entry);
    q->l1[index] = entry;
    return host_file_write(&q->file, q->l1_offset + index * 8, raw, sizeof raw, err);
}

/* The L2 table of an L1 entry, made our own. */
static bool own_l2(struct qcow2 *q, u64 index, u64 *table, struct error *err)
{
    u64 old = q->l1[index] & QCOW2_OFFSET_MASK;
    u64 count = 0;
    if (old != 0 && !qcow2_refcount(q, old >> q->cluster_bits, &count, err)) {
        return false;
    }
    *table = old;
    if (count == 1) {
        return (q->l1[index] & QCOW2_COPIED) != 0 || set_l1(q, index, old | QCOW2_COPIED, err);
    }
    if (!qcow2_alloc(q, table, err)) {
        return false;
    }
    memset(q->scratch, 0, (size_t)q->cluster_size);
    if (old != 0) {
        const u8 *from = qcow2_table(q, old, err);
        if (from == NULL) {
            return false;
        }
        memcpy(q->scratch, from, (size_t)q->cluster_size);
    }
    return host_file_write(&q->file, *table, q->scratch, q->cluster_size, err) &&
           set_l1(q, index, *table | QCOW2_COPIED, err) &&
           (old == 0 || qcow2_release(q, old, q->cluster_size, err));
}

static bool set_l2(struct qcow2 *q, u64 table, u64 guest_cluster, u64 entry, struct error *err)
{
    u8 raw[8];
    store_be64(raw, entry);
    return qcow2_table_write(q, table, guest_cluster % q->l2_entries * 8, raw, sizeof raw, err);
}

/* q->scratch = the guest's cluster with the new bytes in it. */
static bool merge(struct qcow2 *q, u64 guest_cluster, u64 at, const u8 *buf, u64 len,
                  struct error *err)
{
    u64 start = guest_cluster << q->cluster_bits;
    if (len < q->cluster_size) {
        u64 have = q->image.size - start;
        have = have < q->cluster_size ? have : q->cluster_size;
        memset(q->scratch, 0, (size_t)q->cluster_size);
        if (!qcow2_read(&q->image, start, q->scratch, have, err)) {
            return false;
        }
    }
    memcpy(q->scratch + at, buf, (size_t)len);
    return true;
}

static bool write_part(struct qcow2 *q, u64 offset, const u8 *buf, u64 len, struct error *err)
{
    u64 cluster = offset >> q->cluster_bits;
    u64 at = offset & (q->cluster_size - 1);
    u64 table, entry, count = 0;
    if (!own_l2(q, cluster / q->l2_entries, &table, err) ||
        !qcow2_lookup(q, cluster, &entry, err)) {
        return false;
    }
    bool packed = (entry & QCOW2_COMPRESSED) != 0;
    u64 host = packed ? 0 : entry & QCOW2_OFFSET_MASK;
    if (host != 0 && !qcow2_refcount(q, host >> q->cluster_bits, &count, err)) {
        return false;
    }
    u64 ours = host | QCOW2_COPIED;
    if (count == 1 && (entry & QCOW2_ZERO) == 0) {
        return host_file_write(&q->file, host + at, buf, len, err) &&
               (entry == ours || set_l2(q, table, cluster, ours, err));
    }
    u64 target = host;
    if (!merge(q, cluster, at, buf, len, err) || (count != 1 && !qcow2_alloc(q, &target, err)) ||
        !host_file_write(&q->file, target, q->scratch, q->cluster_size, err) ||
        !set_l2(q, table, cluster, target | QCOW2_COPIED, err)) {
        return false;
    }
    if (packed) {
        u64 from, n;
        qcow2_compressed_extent(q, entry, &from, &n);
        q->unpacked_entry = 0;
        return qcow2_release(q, from, n, err);
    }
    return host == 0 || count == 1 || qcow2_release(q, host, q->cluster_size, err);
}

bool qcow2_write(struct block_image *image, u64 offset, const void *buf, u64 len, struct error *err)
{
    struct qcow2 *q = (struct qcow2 *)image;
    const u8 *from = buf;
    if (!clear_autoclear(q, err)) {
        return false;
    }
    while (len > 0) {
        u64 n = q->cluster_size - (offset & (q->cluster_size - 1));
        n = n < len ? n : len;
        if (!write_part(q, offset, from, n, err)) {
            return false;
        }
        offset += n;
        from += n;
        len -= n;
    }
    return true;
}
