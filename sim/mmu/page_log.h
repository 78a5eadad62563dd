/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pre-images of pages: what memory held before the first write to each page of an epoch. Undoing the logs
 * from the newest to the oldest brings memory back.
 *
 * While phys->page_log points to one, phys_note_write puts every page into it that turns dirty. An epoch that
 * starts in the middle (a recording's mark) makes a page appear again; its older image wins on undoing. */
#ifndef VITRINE_MMU_PAGE_LOG_H
#define VITRINE_MMU_PAGE_LOG_H

#include "base/types.h"

struct phys;

struct page_image {
    u32 frame;
    u32 size;  /* of data: 0 for a page of zeroes, PAGE_SIZE as it is, less when packed */
    u8 *data;  /* owned */
};

struct page_log {
    struct page_image *images;
    u32 count, cap;
    u64 bytes; /* memory that it takes */
};

/* For phys_note_write: keep what `frame` holds now. */
void page_log_add(struct page_log *log, const struct phys *phys, u32 frame);
/* Who keeps decoded code is told what will change of pages that have some, in pieces. */
struct page_log_hook {
    void (*code_changes)(void *self, u32 frame, u64 offset, u64 size);
    void *self;
};

/* Put every image back, the newest first. The pages count as dirty afterwards. Whoever derived anything else
 * from memory (translations) must drop it. */
void page_log_undo(const struct page_log *log, struct phys *phys, const struct page_log_hook *hook);
/* Is the frame in it? */
bool page_log_has(const struct page_log *log, u32 frame);
/* Move everything from `later` to the end of `log`, except what `log` has already. */
void page_log_append(struct page_log *log, struct page_log *later);
/* Pack images with zstd; they unpack by themselves when they are put back. */
void page_log_pack(struct page_log *log);
void page_log_clear(struct page_log *log);

#endif
