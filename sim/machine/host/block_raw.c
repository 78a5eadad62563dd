/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw images: the file is the disk. A length that is no multiple of a sector is rounded up; the
 * missing bytes read as zeroes. */
#include "base/bits.h"
#include "machine/host/block_priv.h"

#include <stdlib.h>
#include <string.h>

struct raw_image {
    struct block_image image; /* first */
    struct host_file file;
};

static bool raw_read(struct block_image *image, u64 offset, void *buf, u64 len, struct error *err)
{
    struct raw_image *raw = (struct raw_image *)image;
    u64 have = offset >= raw->file.size ? 0 : raw->file.size - offset;
    have = have < len ? have : len;
    memset((u8 *)buf + have, 0, len - have);
    return have == 0 || host_file_read(&raw->file, offset, buf, have, err);
}

static bool raw_write(struct block_image *image, u64 offset, const void *buf, u64 len,
                      struct error *err)
{
    struct raw_image *raw = (struct raw_image *)image;
    return host_file_write(&raw->file, offset, buf, len, err);
}

static bool raw_flush(struct block_image *image, struct error *err)
{
    struct raw_image *raw = (struct raw_image *)image;
    return host_file_sync(&raw->file, err);
}

static void raw_close(struct block_image *image)
{
    struct raw_image *raw = (struct raw_image *)image;
    host_file_close(&raw->file);
    free(raw);
}

static const struct block_image_ops raw_ops = {
    .read = raw_read, .write = raw_write, .flush = raw_flush, .close = raw_close};

struct block_image *block_raw_open(struct host_file *file, struct error *err)
{
    struct raw_image *raw = file->size == 0 ? NULL : calloc(1, sizeof *raw);
    if (raw == NULL) {
        (void)error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", file->path,
                        file->size == 0 ? "the image is empty" : "out of memory");
        host_file_close(file);
        return NULL;
    }
    raw->image = (struct block_image){.ops = &raw_ops, .size = align_up(file->size, SECTOR_SIZE)};
    raw->file = *file;
    return &raw->image;
}
