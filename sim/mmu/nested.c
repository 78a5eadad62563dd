/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which second level: EPT or nested paging. */
#include "mmu/nested_priv.h"

#include "base/assert.h"
#include "mmu/ept.h"

bool nested_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                      struct walk_result *res, u64 *spa, u64 *bytes)
{
    switch (n->kind) {
    case NESTED_EPT:
        return ept_translate(phys, n, gpa, access, res, spa, bytes);
    case NESTED_NPT:
        return npt_translate(phys, n, gpa, access, res, spa, bytes);
    case NESTED_NONE:
        break;
    }
    sim_unreachable();
}
