/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A Multiboot module as a disk: in memory, lost at the end. An image that ends within a sector is read with zeros behind it. */
#include "guests/root/block/block.h"

#define SECTOR 512u

struct module_block {
    struct block block;
    char name[BLOCK_NAME];
    u8 *at;
    u64 bytes;
};

static struct module_block blocks[MODULES_MAX];

static void submit(struct block *b, struct block_request *r)
{
    struct module_block *m = (struct module_block *)(void *)b;
    if (!block_accepts(b, r)) {
        return;
    }
    u64 at = r->sector * SECTOR;
    u64 size = (u64)r->sectors * SECTOR;
    u64 there = at < m->bytes ? min_u64(size, m->bytes - at) : 0;
    if (r->discard) {
        memset(m->at + at, 0, there);
    } else if (r->write) {
        memcpy(m->at + at, r->data, there);
    } else if (!r->flush) {
        memcpy(r->data, m->at + at, there);
        memset((u8 *)r->data + there, 0, size - there);
    }
    r->done(r, BLOCK_OK);
}

struct block *block_of_module(const char *name)
{
    const struct module *m = module_find(name);
    if (m == NULL) {
        return NULL;
    }
    u32 index = (u32)(m - modules);
    struct module_block *b = &blocks[index];
    u32 n = 0;
    while (name[n] != 0 && n + 1 < BLOCK_NAME) {
        b->name[n] = name[n];
        n++;
    }
    if (b->at != NULL) {
        return &b->block; /* by another of its names */
    }
    b->at = at_address(m->start);
    b->bytes = m->end - m->start;
    b->block = (struct block){
        .name = b->name,
        .sectors = (b->bytes + SECTOR - 1) / SECTOR,
        .sector_size = SECTOR,
        .can_discard = true,
        .submit = submit,
    };
    block_add(&b->block);
    return &b->block;
}
