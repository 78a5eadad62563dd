/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of disks, what they all check, and waiting. */
#include "guests/root/block/block.h"

#include "guests/root/block/driver.h"

static struct block *first;

struct block *block_next(struct block *after) { return after == NULL ? first : after->next; }

struct block *block_find(const char *name)
{
    for (struct block *b = first; b != NULL; b = b->next) {
        if (text_equal(b->name, name)) {
            return b;
        }
    }
    return block_of_module(name);
}

void block_add(struct block *b)
{
    struct block **at = &first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    b->next = NULL;
    *at = b;
}

void block_remove(struct block *b)
{
    for (struct block **at = &first; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            return;
        }
    }
}

static bool ends(struct block_request *r, int status)
{
    r->done(r, status);
    return false;
}

bool block_accepts(struct block *b, struct block_request *r)
{
    if (r->flush && r->sectors == 0) {
        return b->read_only ? ends(r, BLOCK_OK) : true;
    }
    if (r->sectors == 0 || r->sector > b->sectors || r->sectors > b->sectors - r->sector) {
        return ends(r, r->sectors == 0 ? BLOCK_OK : BLOCK_RANGE);
    }
    if (b->read_only && (r->write || r->discard)) {
        return ends(r, BLOCK_READ_ONLY);
    }
    if (r->discard && !b->can_discard) {
        return ends(r, BLOCK_UNSUPPORTED);
    }
    return true;
}

struct waiting {
    bool over;
    int status;
};

static void waited(struct block_request *r, int status)
{
    struct waiting *w = r->owner;
    w->over = true;
    w->status = status;
}

int block_wait(struct block *b, struct block_request *r)
{
    struct waiting w = {false, BLOCK_ERROR};
    r->done = waited;
    r->owner = &w;
    b->submit(b, r);
    while (!w.over) {
        __asm__ volatile("cli");
        if (!block_poll() && !w.over) {
            __asm__ volatile("sti; hlt");
        } else {
            __asm__ volatile("sti; nop");
        }
    }
    __asm__ volatile("cli");
    return w.status;
}

void block_init(void)
{
    for (struct block *b = first; b != NULL; b = b->next) {
        block_add_partitions(b);
    }
}

bool block_poll(void)
{
    bool any = virtio_blk_poll();
    return ahci_poll() || any;
}
