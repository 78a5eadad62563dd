/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Grants of the guest to its backends, which are the adapter: entries of its table, read once, marked while they are used. */
#ifndef GUESTS_ADAPTER_GRANT_H
#define GUESTS_ADAPTER_GRANT_H

#include "guests/adapter/adapter.h"

#define GRANT_FRAMES 16u

struct grant {
    u32 ref;
    bool write;
    u64 gfn;
    u8 *frame; /* NULL: none */
};
/* False: the entry permits it not, or what it names is no memory of the guest's. */
bool grant_begin(struct grant *g, u32 ref, bool write);
void grant_end(struct grant *g);
bool grant_any(void); /* one is in use */
/* Frame `index` of the table is at `frame` now. */
void grant_place(u32 index, u8 *frame);

#endif
