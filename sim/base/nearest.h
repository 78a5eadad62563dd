/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Did you mean ...": the known word nearest to what somebody typed. */
#ifndef VITRINE_BASE_NEAREST_H
#define VITRINE_BASE_NEAREST_H

#include "base/types.h"

struct nearest {
    const char *typed;
    const char *best;  /* NULL: nothing offered so far */
    unsigned distance; /* of best */
};

/* Edit distance (insert, delete, replace, swap of neighbours), ASCII case ignored. Words longer
 * than 63 characters count as their first 63. */
unsigned edit_distance(const char *a, const char *b);

void nearest_init(struct nearest *n, const char *typed);
/* Offer a word; the first of equally near ones stays. */
void nearest_offer(struct nearest *n, const char *word);
/* The nearest word when it is near enough to be a likely typing error, else NULL. It must still
 * exist. */
const char *nearest_result(const struct nearest *n);

#endif
