/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a disk controller knows of the medium behind it: sectors of 512 bytes, read and written at
 * once (the controller adds its own virtual delays). Files, overlays and formats are behind it.
 * A false result is a medium error the controller reports to the guest in its own language. The
 * controller checks ranges and read_only before it calls; count is not 0. */
#ifndef VITRINE_DEVICES_BLOCKDEV_H
#define VITRINE_DEVICES_BLOCKDEV_H

#include "base/types.h"

#define BLOCK_SECTOR 512

struct block_backend {
    u64 sectors; /* of 512 bytes; 0: no medium */
    bool read_only;
    bool (*read)(void *self, u64 lba, u32 count, void *buf);
    bool (*write)(void *self, u64 lba, u32 count, const void *buf); /* NULL when read_only */
    bool (*flush)(void *self);                                      /* NULL: nothing to do */
    bool (*discard)(void *self, u64 lba, u64 count); /* NULL: unsupported; else it zeroes */
    void *self;
    char serial[21]; /* shown to the guest; empty: the controller makes one up */
};

#endif
