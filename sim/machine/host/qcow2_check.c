/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2: is an image what it says? Done once, when it is opened.
 *
 * For reading: everything the tables name lies in the file. For writing also: every cluster has at
 * least as many references counted as it has users, headers and tables included. Then an allocated
 * cluster is really free, and a cluster with count 1 is really ours alone. Counts that are too high
 * are leaks and harmless. */
#include "base/bits.h"
#include "base/bytes.h"
#include "machine/host/qcow2_priv.h"

#include <stdlib.h>

#define MAX_CLUSTERS ((u64)1 << 27)

struct check {
    struct qcow2 *q;
    u64 clusters; /* of the file */
    u16 *users;   /* NULL: for reading only */
    struct error *err;
};

/* Count a user of every cluster of [offset, offset + len). */
static bool use(struct check *c, u64 offset, u64 len, const char *what)
{
    u64 first = offset >> c->q->cluster_bits;
    u64 last = (offset + len - 1) >> c->q->cluster_bits;
    if (len == 0) {
        return true;
    }
    if (offset + len < offset || first >= c->clusters) {
        return error_set(c->err, EXIT_STATUS_BAD_FILE,
                         "%s: truncated or bad qcow2 image: %s at 0x%llx lies behind the file's "
                         "end",
                         c->q->file.path, what, (unsigned long long)offset);
    }
    for (u64 i = first; c->users != NULL && i <= last && i < c->clusters; i++) {
        c->users[i] = (u16)(c->users[i] + (c->users[i] < UINT16_MAX ? 1 : 0));
    }
    return true;
}

/* Tables must lie in the file whole and aligned. */
static bool use_table(struct check *c, u64 offset, const char *what)
{
    const struct qcow2 *q = c->q;
    if (offset % q->cluster_size != 0) {
        return qcow2_corrupt(q, c->err, what, offset);
    }
    if (offset > q->file.size || q->cluster_size > q->file.size - offset) {
        return error_set(c->err, EXIT_STATUS_BAD_FILE,
                         "%s: truncated qcow2 image: %s at 0x%llx ends behind the file's end",
                         q->file.path, what, (unsigned long long)offset);
    }
    return use(c, offset, q->cluster_size, what);
}

static bool check_l2_entry(struct check *c, u64 entry)
{
    const struct qcow2 *q = c->q;
    if (entry & QCOW2_COMPRESSED) {
        u64 offset, len;
        qcow2_compressed_extent(q, entry, &offset, &len);
        if (offset >= q->file.size) {
            return use(c, q->file.size + q->cluster_size, 1, "compressed data");
        }
        return use(c, offset, len, "compressed data");
    }
    u64 offset = entry & QCOW2_OFFSET_MASK;
    if (offset % q->cluster_size != 0) {
        return qcow2_corrupt(q, c->err, "data cluster is not aligned", entry);
    }
    return offset == 0 || use(c, offset, q->cluster_size, "data");
}

static bool check_l2(struct check *c, u64 offset)
{
    if (!use_table(c, offset, "L2 table")) {
        return false;
    }
    for (u64 i = 0; i < c->q->l2_entries; i++) {
        const u8 *table = qcow2_table(c->q, offset, c->err);
        if (table == NULL) {
            return false;
        }
        u64 entry = load_be64(table + i * 8);
        if (entry != 0 && !check_l2_entry(c, entry)) {
            return false;
        }
    }
    return true;
}

static bool check_l1_entry(struct check *c, u64 entry, u64 *tables)
{
    u64 offset = entry & QCOW2_OFFSET_MASK;
    if (offset == 0) {
        return true;
    }
    /* More tables than clusters: entries repeat, and a walk could take forever. */
    if (++*tables > c->clusters) {
        return qcow2_corrupt(c->q, c->err, "L1 table names an L2 table twice", offset);
    }
    return check_l2(c, offset);
}

static bool check_snapshot(struct check *c, u64 l1_offset, u32 l1_size)
{
    struct qcow2 *q = c->q;
    u64 tables = 0;
    if (l1_size > QCOW2_MAX_L1 || l1_offset % q->cluster_size != 0) {
        return qcow2_corrupt(q, c->err, "L1 table of a snapshot", l1_offset);
    }
    if (!use(c, l1_offset, (u64)l1_size * 8, "L1 table of a snapshot")) {
        return false;
    }
    for (u32 i = 0; i < l1_size; i++) {
        u8 raw[8];
        if (!host_file_read(&q->file, l1_offset + (u64)i * 8, raw, sizeof raw, c->err) ||
            !check_l1_entry(c, load_be64(raw), &tables)) {
            return false;
        }
    }
    return true;
}

static bool check_snapshots(struct check *c)
{
    struct qcow2 *q = c->q;
    u64 at = q->snapshots_offset;
    u64 end = at; /* the last entry need not be padded */
    for (u32 i = 0; i < q->snapshots; i++) {
        u8 h[40];
        if (!host_file_read(&q->file, at, h, sizeof h, c->err) ||
            !check_snapshot(c, load_be64(h), load_be32(h + 8))) {
            return false;
        }
        u64 len = sizeof h + (u64)load_be32(h + 36) + load_be16(h + 12) + load_be16(h + 14);
        if (len > q->file.size - at) {
            return qcow2_corrupt(q, c->err, "snapshot table", at);
        }
        end = at + len;
        at = align_up(end, 8);
    }
    return use(c, q->snapshots_offset, end - q->snapshots_offset, "snapshot table");
}

static bool check_counts(struct check *c)
{
    struct qcow2 *q = c->q;
    for (u64 i = 0; i < q->rt_entries; i++) {
        if (q->rt[i] != 0 && !use_table(c, q->rt[i], "refcount block")) {
            return false;
        }
    }
    for (u64 i = 0; i < c->clusters; i++) {
        u64 count = 0;
        if (c->users[i] != 0 && !qcow2_refcount(q, i, &count, c->err)) {
            return false;
        }
        if (count < c->users[i]) {
            return error_set(c->err, EXIT_STATUS_BAD_FILE,
                             "%s: qcow2 image counts too few references to the cluster at 0x%llx; "
                             "repair it with qemu-img check -r all, or use readonly=on",
                             q->file.path, (unsigned long long)(i << q->cluster_bits));
        }
    }
    return true;
}

bool qcow2_check(struct qcow2 *q, bool for_writing, struct error *err)
{
    struct check c = {.q = q, .err = err};
    c.clusters = (q->file.size + q->cluster_size - 1) >> q->cluster_bits;
    if (for_writing) {
        c.users = c.clusters <= MAX_CLUSTERS ? calloc((size_t)c.clusters, sizeof *c.users) : NULL;
        if (c.users == NULL) {
            return error_set(err, EXIT_STATUS_BAD_FILE,
                             "%s: qcow2 image has too many clusters to write to; use snapshot=on",
                             q->file.path);
        }
    }
    u64 tables = 0;
    bool ok = use(&c, 0, q->cluster_size, "header") &&
              use(&c, q->l1_offset, (u64)q->l1_size * 8, "L1 table") &&
              use(&c, q->rt_offset, (u64)q->rt_clusters * q->cluster_size, "refcount table");
    for (u32 i = 0; ok && i < q->l1_size; i++) {
        ok = check_l1_entry(&c, q->l1[i], &tables);
    }
    ok = ok && (!for_writing || (check_snapshots(&c) && check_counts(&c)));
    free(c.users);
    return ok;
}
