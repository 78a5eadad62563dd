/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mmu/page_log.h"

#include "base/assert.h"
#include "mmu/phys.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PACK_LEVEL 1
#define CODE_PIECE 64u /* of a page: what code_map tells apart */

static struct page_image *new_image(struct page_log *log)
{
    if (log->count == log->cap) {
        u32 cap = log->cap * 2 + 64;
        struct page_image *grown = realloc(log->images, cap * sizeof *grown);
        sim_assert(grown != NULL);
        log->bytes += (cap - log->cap) * sizeof *grown;
        log->images = grown;
        log->cap = cap;
    }
    return &log->images[log->count++];
}

void page_log_add(struct page_log *log, const struct phys *phys, u32 frame)
{
    struct page_image *image = new_image(log);
    *image = (struct page_image){.frame = frame};
    const u8 *host = phys_frame_host(phys, frame);
    if (!page_is_zero(host)) {
        image->data = malloc(PAGE_SIZE);
        sim_assert(image->data != NULL);
        memcpy(image->data, host, PAGE_SIZE);
        image->size = PAGE_SIZE;
        log->bytes += PAGE_SIZE;
    }
}

static void put_back(const struct page_image *image, u8 *host)
{
    if (image->size == 0) {
        memset(host, 0, PAGE_SIZE);
    } else if (image->size == PAGE_SIZE) {
        memcpy(host, image->data, PAGE_SIZE);
    } else {
        size_t n = ZSTD_decompress(host, PAGE_SIZE, image->data, image->size);
        sim_assert(n == PAGE_SIZE);
    }
}

/* Tell of what is about to change in a page that holds decoded code. */
static void tell_changes(const u8 *now, const u8 *then, u32 frame, const struct page_log_hook *hook)
{
    for (u64 at = 0; at < PAGE_SIZE; at += CODE_PIECE) {
        if (memcmp(now + at, then + at, CODE_PIECE) != 0) {
            hook->code_changes(hook->self, frame, at, CODE_PIECE);
        }
    }
}

static void put_code_back(const struct page_image *image, u8 *host, const struct page_log_hook *hook)
{
    u8 then[PAGE_SIZE];
    put_back(image, then);
    tell_changes(host, then, image->frame, hook);
    memcpy(host, then, PAGE_SIZE);
}

void page_log_undo(const struct page_log *log, struct phys *phys, const struct page_log_hook *hook)
{
    struct page_log *active = phys->page_log;
    phys->page_log = NULL; /* going back is no write of the guest's */
    for (u32 i = log->count; i-- > 0;) {
        const struct page_image *image = &log->images[i];
        u8 *host = phys_frame_host(phys, image->frame);
        phys_note_write(phys, image->frame);
        if ((phys->pages[image->frame].flags & PAGE_HAS_CODE) != 0) {
            put_code_back(image, host, hook);
        } else {
            put_back(image, host);
        }
    }
    phys->page_log = active;
}

bool page_log_has(const struct page_log *log, u32 frame)
{
    for (u32 i = 0; i < log->count; i++) {
        if (log->images[i].frame == frame) {
            return true;
        }
    }
    return false;
}

static int by_frame(const void *a, const void *b)
{
    u32 x = *(const u32 *)a;
    u32 y = *(const u32 *)b;
    return x < y ? -1 : x > y;
}

void page_log_append(struct page_log *log, struct page_log *later)
{
    u32 had = log->count;
    u32 *frames = malloc((had + 1) * sizeof *frames);
    sim_assert(frames != NULL);
    for (u32 i = 0; i < had; i++) {
        frames[i] = log->images[i].frame;
    }
    qsort(frames, had, sizeof *frames, by_frame);
    for (u32 i = 0; i < later->count; i++) {
        struct page_image *from = &later->images[i];
        if (bsearch(&from->frame, frames, had, sizeof *frames, by_frame) != NULL) {
            continue;
        }
        *new_image(log) = *from;
        log->bytes += from->size;
        later->bytes -= from->size;
        from->data = NULL;
        from->size = 0;
    }
    free(frames);
    page_log_clear(later);
}

void page_log_pack(struct page_log *log)
{
    u8 packed[PAGE_SIZE];
    for (u32 i = 0; i < log->count; i++) {
        struct page_image *image = &log->images[i];
        if (image->size != PAGE_SIZE) {
            continue;
        }
        size_t n = ZSTD_compress(packed, sizeof packed, image->data, PAGE_SIZE, PACK_LEVEL);
        if (ZSTD_isError(n) || n > PAGE_SIZE / 4 * 3) {
            continue; /* not worth it */
        }
        u8 *data = malloc(n);
        sim_assert(data != NULL);
        memcpy(data, packed, n);
        free(image->data);
        image->data = data;
        image->size = (u32)n;
        log->bytes -= PAGE_SIZE - n;
    }
}

void page_log_clear(struct page_log *log)
{
    for (u32 i = 0; i < log->count; i++) {
        free(log->images[i].data);
    }
    free(log->images);
    *log = (struct page_log){0};
}
