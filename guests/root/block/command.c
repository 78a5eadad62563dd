/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks on the console: a list, single sectors, and a load. They wait, and the rest of the root with them. */
#include "guests/root/block/block.h"
#include "guests/root/block/driver.h"

#define SECTOR_MAX 2048u
#define LOAD_BYTES (64u << 10)
#define LOAD_DEPTH 8u

static u8 buffer[SECTOR_MAX] __attribute__((aligned(4096)));

const char *block_status_name(int status)
{
    static const char *const names[] = {"done", "the device failed", "outside the disk", "read-only", "it cannot do that", "out of memory"};
    return status <= 0 && -status < (int)ARRAY_LEN(names) ? names[-status] : "failed";
}

void cmd_block_list(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (const struct block *b = block_next(NULL); b != NULL; b = block_next((struct block *)(uintptr_t)b)) {
        print("  %-14s %lu sectors of %u bytes%s%s%s\n", b->name, b->sectors, b->sector_size, b->read_only ? ", read-only" : "",
              b->removable ? ", removable" : "", b->can_discard ? ", discards" : "");
    }
    virtio_blk_print();
    ahci_print();
}

/* Of "block VERB NAME SECTOR". NULL: said why. */
static struct block *named(char **words, u32 count, u32 wanted, u64 *sector)
{
    struct block *b = count > 2 ? block_find(words[2]) : NULL;
    if (b == NULL || count < wanted || (count > 3 && !text_number(words[3], sector))) {
        print("root: block %s: no such disk, or a number is missing\n", words[1]);
        return NULL;
    }
    return b;
}

static u64 sum_of(u64 sum, const u8 *p, u64 n) /* FNV-1a */
{
    for (u64 i = 0; i < n; i++) {
        sum = (sum ^ p[i]) * 0x100000001b3ull;
    }
    return sum;
}

void cmd_block_read(char **words, u32 count)
{
    u64 sector = 0;
    u64 n = 1;
    struct block *b = named(words, count, 4, &sector);
    if (b == NULL || (count > 4 && !text_number(words[4], &n))) {
        return;
    }
    u64 sum = 0xcbf29ce484222325ull;
    char text[33] = {0};
    for (u64 i = 0; i < n; i++) {
        struct block_request r = {.sector = sector + i, .sectors = 1, .data = buffer};
        int status = block_wait(b, &r);
        if (status != BLOCK_OK) {
            print("root: %s: sector %lu: %s\n", b->name, sector + i, block_status_name(status));
            return;
        }
        sum = sum_of(sum, buffer, b->sector_size);
        for (u32 at = 0; i == 0 && at < sizeof text - 1; at++) {
            text[at] = (char)(buffer[at] >= ' ' && buffer[at] < 0x7f ? buffer[at] : '.');
        }
    }
    print("  %s: sum %lx, \"%s\"\n", b->name, sum, text);
}

void cmd_block_write(char **words, u32 count)
{
    u64 sector = 0;
    u32 n = 0;
    struct block *b = named(words, count, 5, &sector);
    memset(buffer, 0, sizeof buffer);
    for (u32 i = 4; b != NULL && i < count; i++) {
        for (const char *s = words[i]; *s != 0 && n < b->sector_size; s++) {
            buffer[n++] = (u8)*s;
        }
        if (i + 1 < count && n < b->sector_size) {
            buffer[n++] = ' ';
        }
    }
    if (b != NULL) {
        struct block_request r = {.write = true, .fua = true, .sector = sector, .sectors = 1, .data = buffer};
        int status = b->users != 0 ? BLOCK_READ_ONLY : block_wait(b, &r);
        print("  %s: %s\n", b->name, b->users != 0 ? "in use" : block_status_name(status));
    }
}

/* Several requests at a time, all over the front of the disk. */
struct load {
    struct block *block;
    struct block_request requests[LOAD_DEPTH];
    u64 next, end; /* sectors */
    u32 running;
    u64 failed;
    bool write;
};

static void load_next(struct load *l, struct block_request *r);

static void load_done(struct block_request *r, int status)
{
    struct load *l = r->owner;
    l->running--;
    l->failed += status != BLOCK_OK ? 1 : 0;
    load_next(l, r);
}

static void load_next(struct load *l, struct block_request *r)
{
    u32 n = LOAD_BYTES / l->block->sector_size;
    if (l->next + n > l->end) {
        return;
    }
    *r = (struct block_request){.write = l->write, .sector = l->next, .sectors = n, .data = r->data, .done = load_done, .owner = l};
    l->next += n;
    l->running++;
    l->block->submit(l->block, r);
}

void cmd_block_load(char **words, u32 count)
{
    static struct load l;
    static u8 *data;
    u64 mib = 0;
    l = (struct load){.block = named(words, count, 4, &mib), .write = count > 4 && text_equal(words[4], "write")};
    data = data == NULL ? memory_take(LOAD_DEPTH * LOAD_BYTES) : data;
    if (l.block == NULL || data == NULL || (l.write && l.block->users != 0)) {
        return;
    }
    l.end = min_u64((mib << 20) / l.block->sector_size, l.block->sectors);
    u64 begin = reference_time();
    for (u32 i = 0; i < LOAD_DEPTH; i++) {
        l.requests[i].data = data + (u64)i * LOAD_BYTES;
        load_next(&l, &l.requests[i]);
    }
    while (l.running > 0) {
        __asm__ volatile("cli");
        if (!block_poll()) {
            __asm__ volatile("sti; hlt");
        } else {
            __asm__ volatile("sti; nop");
        }
    }
    __asm__ volatile("cli");
    u64 took = reference_time() - begin;
    print("  %s: %lu KiB in %lu us, %lu requests failed\n", l.block->name, l.next * l.block->sector_size >> 10, took / 10, l.failed);
}

void cmd_block_overlay(char **words, u32 count)
{
    u64 bytes = 0;
    struct block *base = count > 3 ? block_find(words[3]) : NULL;
    if (count == 3) {
        struct block *b = block_find(words[2]);
        print("  %s: %s\n", words[2], b != NULL && block_overlay_drop(b) ? "gone" : "no overlay, or in use");
    } else if (base == NULL || (count > 4 && !text_number(words[4], &bytes))) {
        print("root: block overlay NAME BASE [BYTES]: no such base\n");
    } else if (block_overlay(base, words[2], bytes) != NULL) {
        print("  %s: over %s\n", words[2], base->name);
    }
}
