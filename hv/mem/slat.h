/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Second-level address translation of a partition, EPT or NPT: four levels either way; the vendor's file says how an entry
 * looks. Tables come from the partition's pool. */
#ifndef HV_MEM_SLAT_H
#define HV_MEM_SLAT_H

#include "hv/core/types.h"

struct partition;

enum slat_rights { SLAT_R = 1, SLAT_W = 2, SLAT_RW = 3, SLAT_X = 4, SLAT_RWX = 7 };
enum slat_type { SLAT_WB, SLAT_UC };

/* One 4-KiB page. False: the pool is empty. */
bool slat_map(struct partition *p, u64 gfn, u64 pfn, enum slat_rights rights, enum slat_type type);
/* 2 MiB, both aligned. */
bool slat_map_large(struct partition *p, u64 gfn, u64 pfn, enum slat_rights rights, enum slat_type type);
/* False: a large page had to be split and the pool is empty. Unmapping what is not mapped is no error. */
bool slat_unmap(struct partition *p, u64 gfn);
/* Puts this entry in the place of the page's and says what was there, 0 nothing. VTL 0's view of a partition with VTL 2 stays as it
 * is. False: the pool is empty. */
bool slat_exchange(struct partition *p, u64 gfn, u64 entry, u64 *old);
#define SLAT_ADDRESS 0x000ffffffffff000ull /* of an entry */
/* What VTL 0 may do with a page of a partition that has VTL 2; no rights: it is as if unmapped. False: not mapped. */
bool slat_protect_low(struct partition *p, u64 gfn, enum slat_rights rights);
/* Has VTL 0 of a partition with VTL 2 any right to the page? */
bool slat_low_sees(const struct partition *p, u64 gfn);
/* Where a page is, and with which rights. False: not mapped. */
bool slat_find(const struct partition *p, u64 gfn, u64 *pfn, enum slat_rights *rights);
/* What was unmapped or weakened is gone from every processor when this returns. */
void slat_flush(struct partition *p);
/* Frees the tables. */
void slat_free(struct partition *p);

/* Guest memory, page by page through the table. False: a page is not mapped with these rights. */
bool guest_read(struct partition *p, u64 gpa, void *to, u64 size);
bool guest_write(struct partition *p, u64 gpa, const void *from, u64 size);
/* The page is the partition's memory and mapped with these rights: not an overlay, not a device. */
bool guest_owns(struct partition *p, u64 gpa, enum slat_rights rights);
/* A pointer to a page of the partition, NULL when it is not mapped writable. */
void *guest_page(struct partition *p, u64 gfn);

#endif
