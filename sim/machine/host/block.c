/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks: an image below, an overlay above, a block backend in front. */
#include "machine/host/block.h"

#include "machine/host/block_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block_disk {
    struct block_backend backend;
    struct block_image *image;
    struct overlay *overlay;
    bool commits;    /* a commit goes to the file */
    bool probed_raw; /* format not given: must not turn into another format */
    struct error trouble;
    char id[48];
    char path[256]; /* for messages */
};

bool block_format_parse(const char *name, enum block_format *format)
{
    if (strcmp(name, "raw") == 0) {
        *format = BLOCK_FORMAT_RAW;
    } else if (strcmp(name, "qcow2") == 0) {
        *format = BLOCK_FORMAT_QCOW2;
    } else {
        return false;
    }
    return true;
}

bool block_has_qcow2_magic(const u8 *bytes)
{
    return memcmp(bytes, "QFI\xfb", 4) == 0;
}

bool block_image_read_padded(struct block_image *image, u64 offset, void *buf, u64 len,
                             struct error *err)
{
    u64 have = offset >= image->size ? 0 : image->size - offset;
    have = have < len ? have : len;
    memset((u8 *)buf + have, 0, len - have);
    return have == 0 || image->ops->read(image, offset, buf, have, err);
}

struct block_image *block_image_open(const char *path, enum block_format *format, bool writable,
                                     unsigned depth, struct error *err)
{
    struct host_file file;
    if (!host_file_open(&file, path, writable, err)) {
        return NULL;
    }
    if (*format == BLOCK_FORMAT_PROBE) {
        u8 magic[4] = {0};
        if (file.size >= sizeof magic && !host_file_read(&file, 0, magic, sizeof magic, err)) {
            host_file_close(&file);
            return NULL;
        }
        *format = block_has_qcow2_magic(magic) ? BLOCK_FORMAT_QCOW2 : BLOCK_FORMAT_RAW;
    }
    return *format == BLOCK_FORMAT_QCOW2 ? block_qcow2_open(&file, true, depth, err)
                                         : block_raw_open(&file, err);
}

static bool in_range(const struct block_disk *disk, u64 lba, u32 count)
{
    return lba <= disk->backend.sectors && count <= disk->backend.sectors - lba;
}

static bool disk_read(void *self, u64 lba, u32 count, void *buf)
{
    struct block_disk *disk = self;
    return in_range(disk, lba, count) && overlay_read(disk->overlay, lba * SECTOR_SIZE, buf,
                                                      (u64)count * SECTOR_SIZE, &disk->trouble);
}

static bool disk_write(void *self, u64 lba, u32 count, const void *buf)
{
    struct block_disk *disk = self;
    if (!in_range(disk, lba, count) || disk->backend.read_only) {
        return false;
    }
    /* A guest that writes another format's header into a raw disk would choose, by its backing
     * file name, which host file the next run shows it. */
    if (disk->probed_raw && lba == 0 && count > 0 && block_has_qcow2_magic(buf)) {
        return error_set(&disk->trouble, EXIT_STATUS_BAD_FILE,
                         "%s: the guest writes a qcow2 header to a raw disk; give format=raw to "
                         "allow that",
                         disk->path);
    }
    return overlay_write(disk->overlay, lba * SECTOR_SIZE, buf, (u64)count * SECTOR_SIZE,
                         &disk->trouble);
}

/* The overlay is what the guest's flush reaches; the file follows at the commit. */
static bool disk_flush(void *self)
{
    (void)self;
    return true;
}

struct block_disk *block_open(const struct block_options *options, struct error *err)
{
    struct block_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    enum block_format format = options->format;
    disk->commits = !options->read_only && !options->snapshot;
    disk->image = block_image_open(options->path, &format, disk->commits, 0, err);
    if (disk->image == NULL) {
        free(disk);
        return NULL;
    }
    disk->overlay = overlay_new(disk->image, options->overlay_memory);
    if (disk->overlay == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        block_close(disk);
        return NULL;
    }
    disk->probed_raw = options->format == BLOCK_FORMAT_PROBE && format == BLOCK_FORMAT_RAW;
    (void)snprintf(disk->id, sizeof disk->id, "%s", options->id != NULL ? options->id : "disk");
    (void)snprintf(disk->path, sizeof disk->path, "%s", options->path);
    disk->backend = (struct block_backend){.sectors = disk->image->size / SECTOR_SIZE,
                                           .read_only = options->read_only,
                                           .read = disk_read,
                                           .write = disk_write,
                                           .flush = disk_flush,
                                           .self = disk};
    return disk;
}

void block_close(struct block_disk *disk)
{
    if (disk != NULL) {
        overlay_free(disk->overlay);
        disk->image->ops->close(disk->image);
        free(disk);
    }
}

struct block_backend *block_disk_backend(struct block_disk *disk)
{
    return &disk->backend;
}

bool block_commit(struct block_disk *disk, struct error *err)
{
    return !disk->commits || overlay_commit(disk->overlay, err);
}

bool block_each_before(struct block_disk *disk, block_visit_fn *visit, void *self, struct error *err)
{
    return overlay_each_before(disk->overlay, disk->commits, visit, self, err);
}

bool block_put_before(struct block_disk *disk, u64 offset, const u8 *bytes, u32 len, struct error *err)
{
    return overlay_put_before(disk->overlay, offset, bytes, len, err);
}

u64 block_uncommitted(const struct block_disk *disk)
{
    return disk->commits ? overlay_uncommitted(disk->overlay) : 0;
}

const struct error *block_trouble(const struct block_disk *disk)
{
    return &disk->trouble;
}

void block_state(void *self, struct state_io *io)
{
    struct block_disk *disk = self;
    u64 sectors = disk->backend.sectors;
    state_section(io, disk->id, 1);
    state_u64(io, "sectors", &sectors);
    if (sectors != disk->backend.sectors) {
        io->failed = true; /* another disk's state */
        return;
    }
    overlay_state(disk->overlay, io);
}
