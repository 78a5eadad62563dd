/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The qcow2 image between its parts: block_qcow2.c (opening), qcow2_read.c (mapping and reading),
 * qcow2_check.c (is it what it says), qcow2_alloc.c (reference counts), qcow2_write.c.
 *
 * The format in short: a disk is cut into clusters. A table of two levels (L1, L2) maps guest
 * clusters to host clusters; each host cluster has a reference count, found through a table of
 * blocks of counts. All numbers in the file are big-endian. */
#ifndef VITRINE_MACHINE_HOST_QCOW2_PRIV_H
#define VITRINE_MACHINE_HOST_QCOW2_PRIV_H

#include "machine/host/block_priv.h"

/* Offsets of header fields. */
#define QCOW2_H_VERSION 4
#define QCOW2_H_BACKING_OFFSET 8
#define QCOW2_H_BACKING_SIZE 16
#define QCOW2_H_CLUSTER_BITS 20
#define QCOW2_H_SIZE 24
#define QCOW2_H_CRYPT 32
#define QCOW2_H_L1_SIZE 36
#define QCOW2_H_L1_OFFSET 40
#define QCOW2_H_RT_OFFSET 48
#define QCOW2_H_RT_CLUSTERS 56
#define QCOW2_H_SNAPSHOTS 60
#define QCOW2_H_SNAPSHOTS_OFFSET 64
#define QCOW2_H_V2_LENGTH 72
#define QCOW2_H_INCOMPATIBLE 72
#define QCOW2_H_AUTOCLEAR 88
#define QCOW2_H_RC_ORDER 96
#define QCOW2_H_LENGTH 100
#define QCOW2_H_COMPRESSION 104
#define QCOW2_H_V3_LENGTH 104

#define QCOW2_INCOMPAT_DIRTY ((u64)1 << 0)
#define QCOW2_INCOMPAT_CORRUPT ((u64)1 << 1)
#define QCOW2_INCOMPAT_DATA_FILE ((u64)1 << 2)
#define QCOW2_INCOMPAT_COMPRESSION ((u64)1 << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 ((u64)1 << 4)

#define QCOW2_EXT_END 0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES 0x6803f857u

#define QCOW2_COPIED ((u64)1 << 63)
#define QCOW2_COMPRESSED ((u64)1 << 62)
#define QCOW2_ZERO ((u64)1)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00u

#define QCOW2_MAX_L1 (MIB(32) / 8)
#define QCOW2_MAX_RT_BYTES MIB(8)
#define QCOW2_MAX_SNAPSHOTS 65536u

enum qcow2_compression { QCOW2_ZLIB = 0, QCOW2_ZSTD = 1 };

#define QCOW2_CACHE 16 /* tables kept in memory */

struct qcow2 {
    struct block_image image; /* first */
    struct host_file file;
    unsigned version, cluster_bits;
    u64 cluster_size;
    u64 l2_entries; /* per table */
    u64 l1_offset;
    u64 *l1; /* host order, l1_size entries */
    u32 l1_size;
    u64 rt_offset;
    u64 *rt; /* refcount table, host order */
    u64 rt_entries;
    u32 rt_clusters;
    unsigned rc_order;
    u64 rc_per_block;
    u32 snapshots;
    u64 snapshots_offset;
    u64 autoclear;
    enum qcow2_compression compression;
    struct block_image *backing; /* NULL: zeroes */
    u64 free_hint;               /* no free cluster below it */

    /* Copies of L2 tables and refcount blocks as in the file; writes go through. */
    struct qcow2_cached {
        u64 offset; /* 0: empty */
        u64 used;
        u8 *data;
    } cache[QCOW2_CACHE];
    u64 cache_tick;
    u8 *unpacked;       /* one cluster */
    u64 unpacked_entry; /* the L2 entry it belongs to; 0: none */
    u8 *scratch;        /* one cluster, for writing */
};

bool qcow2_corrupt(const struct qcow2 *q, struct error *err, const char *what, u64 where);

/* One cluster of metadata at an aligned offset inside the file; valid until the next call. */
const u8 *qcow2_table(struct qcow2 *q, u64 offset, struct error *err);
/* Write part of a table, to the file and to the cached copy. */
bool qcow2_table_write(struct qcow2 *q, u64 offset, u64 at, const void *data, u64 len,
                       struct error *err);
void qcow2_table_forget(struct qcow2 *q, u64 offset);
/* The L2 entry of a guest cluster; 0 when there is no table. */
bool qcow2_lookup(struct qcow2 *q, u64 guest_cluster, u64 *entry, struct error *err);
/* Host bytes of a compressed cluster, sector-aligned at the end. */
void qcow2_compressed_extent(const struct qcow2 *q, u64 entry, u64 *offset, u64 *len);
bool qcow2_read(struct block_image *image, u64 offset, void *buf, u64 len, struct error *err);

/* Every table and cluster lies in the file; for writing also: no cluster has more users than its
 * count says, so that an allocation can hit nothing that is in use. */
bool qcow2_check(struct qcow2 *q, bool for_writing, struct error *err);

bool qcow2_refcount(struct qcow2 *q, u64 cluster, u64 *count, struct error *err);
bool qcow2_release(struct qcow2 *q, u64 offset, u64 len, struct error *err);
/* A free cluster, now counted once. */
bool qcow2_alloc(struct qcow2 *q, u64 *offset, struct error *err);

bool qcow2_write(struct block_image *image, u64 offset, const void *buf, u64 len,
                 struct error *err);

#endif
