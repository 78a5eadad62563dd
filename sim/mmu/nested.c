/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mmu/nested.h"

#include "base/assert.h"

bool nested_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                      struct walk_result *res, u64 *spa, u64 *bytes)
{
    UNUSED(phys);
    UNUSED(n);
    UNUSED(gpa);
    UNUSED(access);
    UNUSED(res);
    UNUSED(spa);
    UNUSED(bytes);
    sim_unreachable(); /* no processor mode asks for it yet */
}
