/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages of hv's that lie over a guest's address space and cover what is there, which comes back when they go. */
#ifndef HV_MEM_OVERLAY_H
#define HV_MEM_OVERLAY_H

#include "hv/mem/slat.h"

struct overlay {
    struct overlay *next; /* of its partition's, the newest first */
    void *page;
    u64 gfn;
    u64 covered; /* the table's entry without any overlay */
    enum slat_rights rights;
    bool on;
};

/* Moves it there. False: the pool is empty, or there is no page, and it is off. In a partition with VTL 2 only that sees it. */
bool overlay_put(struct partition *p, struct overlay *o, u64 gfn, enum slat_rights rights);
void overlay_remove(struct partition *p, struct overlay *o);
/* As an MSR says it: page number, bit 0. False: #GP. */
bool overlay_write_msr(struct partition *p, struct overlay *o, u64 *msr, u64 value, enum slat_rights rights);
/* This entry is the page's, 0 none, whether it can be seen or lies under overlays. False: the pool is empty. */
bool overlay_set_under(struct partition *p, u64 gfn, u64 entry);
/* What lies under overlays of this page, as slat_find. */
bool overlay_find_under(const struct partition *p, u64 gfn, u64 *pfn, enum slat_rights *rights);

#endif
