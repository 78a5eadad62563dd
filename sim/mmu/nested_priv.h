/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two kinds of second-level translation behind nested_translate(). */
#ifndef VITRINE_MMU_NESTED_PRIV_H
#define VITRINE_MMU_NESTED_PRIV_H

#include "mmu/nested.h"

/* npt.c */
bool npt_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                   struct walk_result *res, u64 *spa, u64 *bytes);

#endif
