/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages of a child that its parent may touch for an I/O: opened one by one, for a channel, with a right; closed again. */
#ifndef HV_MEM_LEND_H
#define HV_MEM_LEND_H

#include "hv/mem/slat.h"

/* Of a partition's pages; kept in pages of its own pool. */
struct lend_table {
    u64 *records;    /* a page of addresses of pages of records, NULL: none yet */
    u32 pages, free; /* pages of records; the first free record, 0 none */
    u64 open;        /* lendings that are not closed */
};

/* Statuses of the hypercall interface. Rights: SLAT_R, SLAT_RW; 0 only asks whether the page could be lent. *pfn: where it is, and where
 * the parent then sees it. */
u16 lend_open(struct partition *p, u64 gfn, u32 channel, enum slat_rights rights, u64 *pfn);
/* One lending of the same channel with the same rights ends. */
u16 lend_close(struct partition *p, u64 gfn, u32 channel, enum slat_rights rights);
/* Is this page of the partition's lent? */
bool lend_is_open(const struct partition *p, u64 gfn);
/* All of it goes: the pages were taken from the partition. */
void lend_forget(struct partition *p);

#endif
