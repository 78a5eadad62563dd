/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of the image layer: host files, images of a format, and the overlay. */
#ifndef VITRINE_MACHINE_HOST_BLOCK_PRIV_H
#define VITRINE_MACHINE_HOST_BLOCK_PRIV_H

#include "base/status.h"
#include "base/types.h"
#include "machine/host/block.h"

#define SECTOR_SIZE 512u

/* An open file, or bytes in memory (tests). Offsets and lengths are the caller's to check against
 * `size`; reading past the end is an error, writing past it grows the file. */
struct host_file {
    int fd;  /* -1: memory */
    u8 *mem; /* owned */
    u64 mem_cap;
    u64 size;
    bool writable;
    char *path; /* owned; for messages and for finding a backing file */
};

bool host_file_open(struct host_file *f, const char *path, bool writable, struct error *err);
bool host_file_memory(struct host_file *f, const void *data, size_t len, const char *name);
void host_file_close(struct host_file *f);
bool host_file_read(const struct host_file *f, u64 offset, void *buf, u64 len, struct error *err);
bool host_file_write(struct host_file *f, u64 offset, const void *buf, u64 len, struct error *err);
bool host_file_sync(struct host_file *f, struct error *err);

/* An image of some format. Ranges lie within [0, size). */
struct block_image {
    const struct block_image_ops *ops;
    u64 size;
};

struct block_image_ops {
    bool (*read)(struct block_image *image, u64 offset, void *buf, u64 len, struct error *err);
    bool (*write)(struct block_image *image, u64 offset, const void *buf, u64 len,
                  struct error *err);
    bool (*flush)(struct block_image *image, struct error *err);
    void (*close)(struct block_image *image);
};

/* Reads zeroes past the end: what lies over a shorter backing file sees. */
bool block_image_read_padded(struct block_image *image, u64 offset, void *buf, u64 len,
                             struct error *err);

/* Open by format; `depth` counts backing files. *format tells what a probe found. */
struct block_image *block_image_open(const char *path, enum block_format *format, bool writable,
                                     unsigned depth, struct error *err);
/* Both take over the file, also when they fail. */
struct block_image *block_raw_open(struct host_file *file, struct error *err);
/* follow_backing false: a named backing file reads as zeroes (fuzzing must not open host files). */
struct block_image *block_qcow2_open(struct host_file *file, bool follow_backing, unsigned depth,
                                     struct error *err);
bool block_has_qcow2_magic(const u8 *bytes);

/* Overlay: blocks the guest has written, and pre-images of what commits have overwritten. */
#define OVERLAY_BLOCK 4096u

struct overlay;

struct overlay *overlay_new(struct block_image *base, u64 memory);
void overlay_free(struct overlay *ov);
bool overlay_read(struct overlay *ov, u64 offset, u8 *buf, u64 len, struct error *err);
bool overlay_write(struct overlay *ov, u64 offset, const u8 *buf, u64 len, struct error *err);
bool overlay_commit(struct overlay *ov, struct error *err);
bool overlay_each_before(struct overlay *ov, bool commits, block_visit_fn *visit, void *self,
                         struct error *err);
bool overlay_put_before(struct overlay *ov, u64 offset, const u8 *bytes, u32 len, struct error *err);
u64 overlay_uncommitted(const struct overlay *ov);
void overlay_state(struct overlay *ov, struct state_io *io);

#endif
