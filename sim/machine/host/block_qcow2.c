/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2, versions 2 and 3: opening an image, and what is refused.
 *
 * Refused: encryption, external data files, extended L2 entries, any incompatible feature that is
 * not known; for writing also images marked dirty or corrupt. The whole mapping is checked when an
 * image is opened, so that a broken image is one line at the start and not an I/O error later. */
#include "base/bytes.h"
#include "machine/host/qcow2_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16

bool qcow2_corrupt(const struct qcow2 *q, struct error *err, const char *what, u64 where)
{
    return error_set(err, EXIT_STATUS_BAD_FILE,
                     "%s: bad qcow2 image: %s (0x%llx); try qemu-img check", q->file.path, what,
                     (unsigned long long)where);
}

static bool refuse(const struct qcow2 *q, struct error *err, const char *what)
{
    return error_set(err, EXIT_STATUS_BAD_FILE, "%s: qcow2 image uses %s, which is not supported",
                     q->file.path, what);
}

/* ---- header extensions ---- */

/* Call-back free walk: the data of the first extension of a type. False: none. */
static bool find_extension(const u8 *header, u64 from, u64 len, u32 type, const u8 **data,
                           u32 *data_len)
{
    u64 at = from;
    while (at + 8 <= len) {
        u32 t = load_be32(header + at);
        u64 n = load_be32(header + at + 4);
        if (t == QCOW2_EXT_END || n > len - at - 8) {
            return false;
        }
        if (t == type) {
            *data = header + at + 8;
            *data_len = (u32)n;
            return true;
        }
        at += 8 + ((n + 7) & ~(u64)7);
    }
    return false;
}

static bool refuse_feature(const struct qcow2 *q, const u8 *header, u64 from, u64 len, u64 unknown,
                           struct error *err)
{
    unsigned bit = (unsigned)__builtin_ctzll(unknown);
    char name[80];
    (void)snprintf(name, sizeof name, "incompatible feature bit %u", bit);
    const u8 *table;
    u32 n;
    if (find_extension(header, from, len, QCOW2_EXT_FEATURE_NAMES, &table, &n)) {
        for (u32 i = 0; i + 48 <= n; i += 48) {
            if (table[i] == 0 && table[i + 1] == bit) {
                int at = snprintf(name, sizeof name, "incompatible feature bit %u, ", bit);
                for (u32 c = 0; c < 46 && table[i + 2 + c] >= ' ' && table[i + 2 + c] < 127; c++) {
                    name[at++] = (char)table[i + 2 + c];
                }
                name[at] = '\0';
            }
        }
    }
    return refuse(q, err, name);
}

static bool check_features(struct qcow2 *q, const u8 *header, u64 ext, u64 len, struct error *err)
{
    u64 bits = load_be64(header + QCOW2_H_INCOMPATIBLE);
    u64 known = QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT | QCOW2_INCOMPAT_COMPRESSION;
    if (bits & QCOW2_INCOMPAT_DATA_FILE) {
        return refuse(q, err, "an external data file");
    }
    if (bits & QCOW2_INCOMPAT_EXTENDED_L2) {
        return refuse(q, err, "extended L2 entries");
    }
    if (bits & ~known) {
        return refuse_feature(q, header, ext, len, bits & ~known, err);
    }
    if (q->file.writable && (bits & (QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT)) != 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: qcow2 image is marked %s; repair it with qemu-img check -r all, or "
                         "use readonly=on or snapshot=on",
                         q->file.path, bits & QCOW2_INCOMPAT_CORRUPT ? "corrupt" : "dirty");
    }
    if (bits & QCOW2_INCOMPAT_COMPRESSION) {
        u8 type = ext > QCOW2_H_COMPRESSION ? header[QCOW2_H_COMPRESSION] : 0;
        if (type > QCOW2_ZSTD) {
            return refuse(q, err, "an unknown compression type");
        }
        q->compression = (enum qcow2_compression)type;
    }
    return true;
}

/* ---- header ---- */

static bool parse_geometry(struct qcow2 *q, const u8 *h, struct error *err)
{
    q->cluster_bits = load_be32(h + QCOW2_H_CLUSTER_BITS);
    if (q->cluster_bits < 9 || q->cluster_bits > 21) {
        return qcow2_corrupt(q, err, "cluster size", q->cluster_bits);
    }
    q->cluster_size = (u64)1 << q->cluster_bits;
    q->l2_entries = q->cluster_size / 8;
    q->image.size = load_be64(h + QCOW2_H_SIZE);
    q->l1_size = load_be32(h + QCOW2_H_L1_SIZE);
    q->l1_offset = load_be64(h + QCOW2_H_L1_OFFSET);
    q->rt_offset = load_be64(h + QCOW2_H_RT_OFFSET);
    q->rt_clusters = load_be32(h + QCOW2_H_RT_CLUSTERS);
    q->snapshots = load_be32(h + QCOW2_H_SNAPSHOTS);
    q->snapshots_offset = load_be64(h + QCOW2_H_SNAPSHOTS_OFFSET);
    u64 per_table = q->cluster_size * q->l2_entries;
    u64 needed = q->image.size / per_table + (q->image.size % per_table != 0 ? 1 : 0);
    if (q->image.size < SECTOR_SIZE) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: the image is empty", q->file.path);
    }
    if (q->l1_size > QCOW2_MAX_L1 || q->l1_size < needed) {
        return qcow2_corrupt(q, err, "L1 table size does not fit the disk", q->l1_size);
    }
    if (q->l1_offset == 0 || q->l1_offset % q->cluster_size != 0) {
        return qcow2_corrupt(q, err, "L1 table offset", q->l1_offset);
    }
    if (q->rt_offset == 0 || q->rt_offset % q->cluster_size != 0 || q->rt_clusters == 0 ||
        q->rt_clusters > QCOW2_MAX_RT_BYTES / q->cluster_size) {
        return qcow2_corrupt(q, err, "refcount table", q->rt_offset);
    }
    if (q->snapshots > QCOW2_MAX_SNAPSHOTS || q->snapshots_offset % q->cluster_size != 0) {
        return qcow2_corrupt(q, err, "snapshot table", q->snapshots_offset);
    }
    return true;
}

/* Load a table of n 64-bit entries that must lie in the file. */
static u64 *load_table(struct qcow2 *q, u64 offset, u64 n, struct error *err)
{
    if (offset > q->file.size || n * 8 > q->file.size - offset) {
        (void)error_set(err, EXIT_STATUS_BAD_FILE,
                        "%s: truncated qcow2 image: table at 0x%llx of %llu bytes ends behind the "
                        "file's end",
                        q->file.path, (unsigned long long)offset, (unsigned long long)(n * 8));
        return NULL;
    }
    u64 *table = malloc((size_t)n * 8 + 8);
    if (table == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    if (!host_file_read(&q->file, offset, table, n * 8, err)) {
        free(table);
        return NULL;
    }
    for (u64 i = 0; i < n; i++) {
        table[i] = load_be64(&table[i]);
    }
    return table;
}

/* ---- backing file ---- */

/* "dir/of/image/name" unless the name is absolute; the caller frees. */
static char *backing_path(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    size_t dir = name[0] == '/' || slash == NULL ? 0 : (size_t)(slash - image) + 1;
    char *path = malloc(dir + strlen(name) + 1);
    if (path != NULL) {
        memcpy(path, image, dir);
        memcpy(path + dir, name, strlen(name) + 1);
    }
    return path;
}

static bool open_backing(struct qcow2 *q, const u8 *header, u64 ext, u64 len, unsigned depth,
                         struct error *err)
{
    u64 at = load_be64(header + QCOW2_H_BACKING_OFFSET);
    u32 n = load_be32(header + QCOW2_H_BACKING_SIZE);
    char name[1024];
    if (n >= sizeof name || at > len || n > len - at) {
        return qcow2_corrupt(q, err, "backing file name", at);
    }
    memcpy(name, header + at, n);
    name[n] = '\0';
    const char *plain = strncmp(name, "file:", 5) == 0 ? name + 5 : name;
    if (n == 0 || strlen(name) != n) {
        return qcow2_corrupt(q, err, "backing file name", at);
    }
    const char *colon = strchr(plain, ':');
    const char *slash = strchr(plain, '/');
    if (colon != NULL && (slash == NULL || colon < slash)) {
        return refuse(q, err, "a backing file that is not a plain file");
    }
    enum block_format format = BLOCK_FORMAT_PROBE;
    const u8 *data;
    u32 data_len;
    if (find_extension(header, ext, len, QCOW2_EXT_BACKING_FORMAT, &data, &data_len)) {
        char text[16] = {0};
        memcpy(text, data, data_len < sizeof text ? data_len : sizeof text - 1);
        if (!block_format_parse(text, &format)) {
            return refuse(q, err, "a backing file that is neither raw nor qcow2");
        }
    }
    if (depth >= MAX_DEPTH) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: more than %d backing files, or one that is its own", q->file.path,
                         MAX_DEPTH);
    }
    char *path = backing_path(q->file.path, plain);
    if (path == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    q->backing = block_image_open(path, &format, false, depth + 1, err);
    free(path);
    return q->backing != NULL;
}

/* ---- opening ---- */

static bool open_parts(struct qcow2 *q, bool follow_backing, unsigned depth, struct error *err)
{
    u8 fixed[QCOW2_H_V3_LENGTH] = {0};
    u64 have = q->file.size < sizeof fixed ? q->file.size : sizeof fixed;
    if (!host_file_read(&q->file, 0, fixed, have, err)) {
        return false;
    }
    if (have < QCOW2_H_V2_LENGTH || !block_has_qcow2_magic(fixed)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: not a qcow2 image", q->file.path);
    }
    q->version = load_be32(fixed + QCOW2_H_VERSION);
    if (q->version < 2 || q->version > 3) {
        return refuse(q, err, q->version == 1 ? "version 1" : "a version other than 2 and 3");
    }
    if (!parse_geometry(q, fixed, err)) {
        return false;
    }
    /* The header, its extensions and the backing file name lie in the first cluster. */
    u64 len = q->file.size < q->cluster_size ? q->file.size : q->cluster_size;
    u8 *header = q->scratch = calloc(1, (size_t)q->cluster_size);
    q->unpacked = malloc((size_t)q->cluster_size);
    if (header == NULL || q->unpacked == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    if (!host_file_read(&q->file, 0, header, len, err)) {
        return false;
    }
    u64 ext = QCOW2_H_V2_LENGTH;
    q->rc_order = 4;
    if (q->version == 3) {
        ext = load_be32(header + QCOW2_H_LENGTH);
        q->rc_order = load_be32(header + QCOW2_H_RC_ORDER);
        q->autoclear = load_be64(header + QCOW2_H_AUTOCLEAR);
        if (ext < QCOW2_H_V3_LENGTH || ext > len || q->rc_order > 6) {
            return qcow2_corrupt(q, err, "header length", ext);
        }
        if (!check_features(q, header, ext, len, err)) {
            return false;
        }
    }
    if (load_be32(header + QCOW2_H_CRYPT) != 0) {
        return refuse(q, err, "encryption");
    }
    q->rc_per_block = q->cluster_size * 8 >> q->rc_order;
    q->rt_entries = q->rt_clusters * q->cluster_size / 8;
    q->l1 = load_table(q, q->l1_offset, q->l1_size, err);
    q->rt = q->l1 != NULL ? load_table(q, q->rt_offset, q->rt_entries, err) : NULL;
    if (q->rt == NULL) {
        return false;
    }
    if (follow_backing && load_be64(header + QCOW2_H_BACKING_OFFSET) != 0 &&
        !open_backing(q, header, ext, len, depth, err)) {
        return false;
    }
    return qcow2_check(q, q->file.writable, err);
}

static bool qcow2_flush(struct block_image *image, struct error *err)
{
    struct qcow2 *q = (struct qcow2 *)image;
    return host_file_sync(&q->file, err);
}

static void qcow2_close(struct block_image *image)
{
    struct qcow2 *q = (struct qcow2 *)image;
    if (q->backing != NULL) {
        q->backing->ops->close(q->backing);
    }
    for (unsigned i = 0; i < QCOW2_CACHE; i++) {
        free(q->cache[i].data);
    }
    host_file_close(&q->file);
    free(q->l1);
    free(q->rt);
    free(q->unpacked);
    free(q->scratch);
    free(q);
}

static const struct block_image_ops qcow2_ops = {
    .read = qcow2_read, .write = qcow2_write, .flush = qcow2_flush, .close = qcow2_close};

struct block_image *block_qcow2_open(struct host_file *file, bool follow_backing, unsigned depth,
                                     struct error *err)
{
    struct qcow2 *q = calloc(1, sizeof *q);
    if (q == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        host_file_close(file);
        return NULL;
    }
    q->image.ops = &qcow2_ops;
    q->file = *file;
    if (!open_parts(q, follow_backing, depth, err)) {
        qcow2_close(&q->image);
        return NULL;
    }
    return &q->image;
}
