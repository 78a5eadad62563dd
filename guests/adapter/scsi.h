/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks behind storage channels: requests with SCSI commands over bounce pages. */
#ifndef GUESTS_ADAPTER_SCSI_H
#define GUESTS_ADAPTER_SCSI_H

#include "guests/adapter/vmbus.h"

#define SCSI_PAGES 12u /* of one request */

struct controller;
struct scsi_disk {
    bool used;
    struct controller *controller;
    u8 target, lun;
    u64 sectors;
    u32 sector_size;
    bool read_only, is_cdrom, can_discard;
    void *owner;
};

struct scsi_io {
    bool busy;
    struct scsi_disk *disk; /* NULL while the controller is looked through */
    u8 cdb[16], cdb_size;
    bool write;
    u32 bytes, page_count;
    u8 *pages[SCSI_PAGES]; /* in order; the last may be used in part */
    u32 got;               /* bytes that were transferred */
    void (*done)(struct scsi_io *io, bool ok);
    void *owner;
    u32 word[4]; /* of who asked */
    u8 target, lun;
};

/* With room for `bytes`; NULL: not now. Then scsi_start, or scsi_put if nothing becomes of it. */
struct scsi_io *scsi_take(struct scsi_disk *disk, u32 bytes);
void scsi_put(struct scsi_io *io);
/* The channel and transaction of one that was started: for the trace. */
u32 scsi_relid(const struct scsi_io *io);
u64 scsi_transaction(const struct scsi_io *io);
/* `done` comes later. False: the disk is gone. */
bool scsi_start(struct scsi_io *io);
void scsi_set_transfer(struct scsi_io *io, bool write, u64 block, u32 count); /* READ(16), WRITE(16) */
/* Bytes of its pages. */
void scsi_copy_in(struct scsi_io *io, u32 at, const void *from, u32 size);
void scsi_copy_out(const struct scsi_io *io, u32 at, void *to, u32 size);

/* vbd.c: disks come, go, and have room again */
void vbd_add(struct scsi_disk *disk);
void vbd_remove(struct scsi_disk *disk);
void vbd_resume(void);

#endif
