/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a disk is made of: the root's own devices, partitions of them, modules in memory, copy-on-write overlays. One interface, and
 * requests that end by a call. */
#ifndef GUESTS_ROOT_BLOCK_BLOCK_H
#define GUESTS_ROOT_BLOCK_BLOCK_H

#include "guests/root/root.h"

#define BLOCK_NAME 32

/* Of a request's end. */
enum block_status {
    BLOCK_OK = 0,
    BLOCK_ERROR = -1,       /* the device says so */
    BLOCK_RANGE = -2,       /* outside the disk */
    BLOCK_READ_ONLY = -3,   /* a write to what cannot be written */
    BLOCK_UNSUPPORTED = -4, /* a discard where there is none, ... */
    BLOCK_NO_MEMORY = -5    /* an overlay that is full */
};

/* A request is the disk's until `done` is called, which may be before submit returns; `next` and `sector` are others then (a partition adds its
 * start). `flush` alone has no sectors:
 * all that was written before it is on the medium when it is done. `discard` has no data. `fua`: this write too is on the medium. */
struct block_request {
    struct block_request *next;
    bool write, flush, discard, fua;
    u64 sector; /* in units of the disk's sector_size */
    u32 sectors;
    void *data; /* below 4 GiB, virtual = physical, contiguous, even */
    void (*done)(struct block_request *r, int status);
    void *owner;
};

struct block {
    const char *name;
    u64 sectors;
    u32 sector_size; /* 512; CD-ROMs: 2048 */
    bool read_only, removable;
    bool can_discard;
    void (*submit)(struct block *b, struct block_request *r);
    u32 users; /* who has it as a disk: kept by them */
    struct block *next;
};

/* "virtio0", "ahci0", "virtio0p1", file names of modules, names of overlays. NULL: none. */
struct block *block_find(const char *name);
/* All of them, NULL first: for lists. */
struct block *block_next(struct block *after);
/* Once, before the script. Modules need none: block_find makes a disk of one when it is asked for. */
void block_init(void);
/* Drivers' completions; false: nothing was done. */
bool block_poll(void);

/* A disk whose writes stay in memory, `bytes` of them at most (0: as many as there is memory for). NULL: said why. */
struct block *block_overlay(struct block *base, const char *name, u64 bytes);
/* Forgets what was written and gives the memory back. False: it has users, or is none. */
bool block_overlay_drop(struct block *overlay);

/* For backings. */
void block_add(struct block *b);
void block_remove(struct block *b);
/* False: the request was nonsense, or nothing is to be done, and has ended. */
bool block_accepts(struct block *b, struct block_request *r);
/* Finds MBR and GPT partitions of a device and adds them: now, by waiting, which only the start may do. */
void block_add_partitions(struct block *b);
const char *block_status_name(int status);
/* Waits for the end of a request, polling: at the start and for the console only. */
int block_wait(struct block *b, struct block_request *r);

/* command.c: for the console. */
void cmd_block_list(char **words, u32 count);
void cmd_block_read(char **words, u32 count);
void cmd_block_write(char **words, u32 count);
void cmd_block_load(char **words, u32 count);
void cmd_block_overlay(char **words, u32 count);

/* module.c */
struct block *block_of_module(const char *name);

#endif
