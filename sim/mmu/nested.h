/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Second-level translation: EPT (ept.c) and nested paging (npt.c). */
#ifndef VITRINE_MMU_NESTED_H
#define VITRINE_MMU_NESTED_H

#include "mmu/walk.h"

/* Translate one guest-physical address. access: WALK_READ, WALK_WRITE or WALK_EXEC, with WALK_USER for the guest's
 * privilege, WALK_PROBE to set nothing. Adds the entries read to res->nested_table. False: res->error,
 * misconfigured, nested_rights and why are set; res->gpa and nested_on_table are the caller's. */
bool nested_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                      struct walk_result *res, u64 *spa, u64 *bytes);

#endif
