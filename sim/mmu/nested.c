/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mmu/nested.h"

#include "base/assert.h"
#include "mmu/ept.h"

bool nested_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                      struct walk_result *res, u64 *spa, u64 *bytes)
{
    switch (n->kind) {
    case NESTED_EPT:
        return ept_translate(phys, n, gpa, access, res, spa, bytes);
    case NESTED_NPT:
    case NESTED_NONE:
        break;
    }
    sim_unreachable(); /* no processor mode asks for it yet */
}
