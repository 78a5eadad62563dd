/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks of children: SCSI controllers on their buses, any number of disks and CD-ROMs on each. */
#ifndef GUESTS_ROOT_STORAGE_STORAGE_H
#define GUESTS_ROOT_STORAGE_STORAGE_H

#include "abi/hyperv/storvsp.h"
#include "guests/root/block/block.h"
#include "guests/root/vmbus/vmbus.h"

#define CONTROLLERS 4u /* of a child */
#define DISKS 16u      /* of a controller: path 0, target 0, LUN 0 to 15 */
#define SCSI_ANSWER 512u
#define SECTOR 512u
#define CD_SECTOR 2048u
#define MAX_TRANSFER 0x40000u
#define SENSE_BYTES 18u

struct disk {
    struct block *block; /* NULL: none */
    bool cd, read_only;
    bool locked;    /* PREVENT ALLOW MEDIUM REMOVAL */
    bool attention; /* what is there has changed: the next command hears of it */
    bool gone;      /* removed, but requests are with the backing still */
    u32 busy;       /* so many */
    u32 serial;
    u64 reads, writes, read_bytes, written_bytes;
};

struct controller {
    bool used;
    struct vm *vm;
    u32 number;
    struct channel *channel; /* NULL: the child does not run */
    u32 version;             /* that was agreed on, 0 none */
    bool ready;              /* initialization has ended */
    bool changed;            /* the guest has not been told yet */
    u32 in_flight, subchannels;
    struct disk disks[DISKS];
};

/* storage.c. On every start of a child its controllers are offered. */
bool storage_start(struct vm *vm);
struct controller *storage_controller(const struct vm *vm, u32 number); /* NULL: none */
/* NULL, or why not. */
const char *storage_add(struct vm *vm, struct block *b, u32 controller, u32 lun, bool cd, bool read_only);
const char *storage_remove(struct vm *vm, u32 controller, u32 lun);
void storage_list(const struct vm *vm);
/* Until nothing of the child's is with a backing. */
void storage_wait(struct vm *vm);
void disk_end(struct disk *d);

/* storvsp.c */
extern const struct channel_ops storvsp_ops;
void storvsp_rescan(struct controller *k);

/* scsi.c: one command, as far as it needs no backing */
enum scsi_kind { SCSI_DONE, SCSI_READ, SCSI_WRITE, SCSI_FLUSH, SCSI_DISCARD };
struct scsi {
    const u8 *cdb;
    u32 room; /* bytes that the guest takes or gives */
    u8 status, srb_status;
    u8 sense[SENSE_BYTES];
    u8 *answer; /* SCSI_ANSWER bytes */
    u32 answer_bytes;
    u64 sector; /* in units of the block's sectors */
    u32 sectors;
    bool fua;
};
enum scsi_kind scsi_command(struct controller *k, u32 path, u32 target, u32 lun, struct scsi *s);
void scsi_sense(struct scsi *s, u8 key, u8 code, u8 qualifier);

#endif
