/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries of ordinary page tables, as linear addresses and AMD's nested paging use them. [SDM3 "Paging"], [APM2 "Page Translation"] */
#ifndef VITRINE_MMU_TABLE_H
#define VITRINE_MMU_TABLE_H

#include "base/bits.h"
#include "mmu/walk.h"

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000u

/* Bits that must be 0 in an entry at `level`; `large`: it maps a page. `flags`: walk_flag; `beyond`: address bits at and
 * above MAXPHYADDR. */
static inline u64 table_reserved_bits(enum paging_mode mode, u32 flags, u64 beyond, unsigned level, bool large)
{
    if (mode == PAGING_32) {
        if (!large) {
            return 0;
        }
        if ((flags & WALK_PSE36) == 0) {
            return 0x3fe000;
        }
        /* Bits 13-20 are address bits 32-39; those at or above MAXPHYADDR are reserved, as is 21. */
        return BIT(21) | (((beyond >> 32) & 0xff) << 13);
    }
    u64 r = beyond & PTE_ADDRESS;
    if (mode == PAGING_PAE) {
        if (level == 3) { /* a page-directory pointer */
            return r | 0xfff00000000001e6u;
        }
        r |= 0x7ff0000000000000u; /* bits 52-62 */
    }
    r |= (flags & WALK_NXE) == 0 ? PTE_NX : 0;
    if (level >= 4 || (level == 3 && (flags & WALK_1GB) == 0)) {
        r |= PTE_PS;
    }
    if (level >= 3 && !large && (flags & WALK_AMD_BIT8) != 0) {
        r |= BIT(8);
    }
    if (large) {
        r |= level == 2 ? 0x1fe000u : 0x3fffe000u;
    }
    return r;
}

#endif
