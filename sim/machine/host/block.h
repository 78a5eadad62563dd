/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disk images of the host: raw and qcow2, as block backends of the devices.
 *
 * A guest's writes never reach the file while it runs. They go to an overlay in memory, and only
 * block_commit writes them out; it keeps the pre-image of everything it overwrites. So the disk a
 * guest sees is a function of the file as it was when it was opened and of the overlay, and the
 * overlay is what `block_state` saves, restores and hashes. Going back behind a commit finds the
 * disk as it was; a commit after going back puts the file right again.
 *
 * Left out: encrypted images, external data files, extended L2 entries (refused with a clear line),
 * persistent bitmaps (their autoclear bit is cleared by the first commit, as the format asks). */
#ifndef VITRINE_MACHINE_HOST_BLOCK_H
#define VITRINE_MACHINE_HOST_BLOCK_H

#include "base/state.h"
#include "base/status.h"
#include "base/types.h"
#include "devices/blockdev.h"

enum block_format {
    BLOCK_FORMAT_PROBE, /* qcow2 when it has the magic, else raw */
    BLOCK_FORMAT_RAW,
    BLOCK_FORMAT_QCOW2,
};

struct block_options {
    const char *path;
    enum block_format format;
    bool read_only;     /* readonly=on: the guest cannot write */
    bool snapshot;      /* snapshot=on: the guest can write, the file stays as it is */
    u64 overlay_memory; /* bytes of overlay kept in memory, the rest in an unnamed file; 0: all */
    const char *id;     /* names the disk in states; unique in the machine */
};

struct block_disk;

/* "raw", "qcow2". False when the name is unknown. */
bool block_format_parse(const char *name, enum block_format *format);

/* NULL with a line in err: file missing 66, bad image or no right to write 65. */
struct block_disk *block_open(const struct block_options *options, struct error *err);
/* Does not commit. */
void block_close(struct block_disk *disk);
/* What a device gets; lives as long as the disk. */
struct block_backend *block_disk_backend(struct block_disk *disk);
/* Bring the file up to the overlay; nothing to do for read-only and snapshot=on disks. */
bool block_commit(struct block_disk *disk, struct error *err);
/* What the file held, or holds, where commits have written or would write: visit() gets each block; false
 * ends it. Put back before a run, on a disk that is not committed, it makes the disk what it was. */
typedef bool block_visit_fn(void *self, u64 offset, const u8 *bytes, u32 len);
bool block_each_before(struct block_disk *disk, block_visit_fn *visit, void *self, struct error *err);
bool block_put_before(struct block_disk *disk, u64 offset, const u8 *bytes, u32 len, struct error *err);
/* Bytes that a commit would still write. */
u64 block_uncommitted(const struct block_disk *disk);
/* The first host or image error that a guest's request ran into; status 0: none. */
const struct error *block_trouble(const struct block_disk *disk);
/* State visitor of one disk. */
void block_state(void *disk, struct state_io *io);

#endif
