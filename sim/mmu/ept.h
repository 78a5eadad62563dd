/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EPT: flags of walk_nested for NESTED_EPT. */
#ifndef VITRINE_MMU_EPT_H
#define VITRINE_MMU_EPT_H

#include "mmu/walk.h"

enum ept_flag {
    EPT_FLAG_AD = 1,        /* accessed and dirty flags */
    EPT_FLAG_MBEC = 2,      /* mode-based execute control */
    EPT_FLAG_EXEC_ONLY = 4, /* execute-only translations exist */
    EPT_FLAG_2MB = 8,
    EPT_FLAG_1GB = 16,
    EPT_FLAG_SPP = 32, /* sub-page write permissions */
};

bool ept_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                   struct walk_result *res, u64 *spa, u64 *bytes);

#endif
