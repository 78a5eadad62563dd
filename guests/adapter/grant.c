/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The grant table, version 1. [Xen public/grant_table.h] An entry is read once and marked as used by one locked operation; only the copy
 * counts. What it names is looked up as any frame of VTL 0's is. Left out: version 2, transfers, grants to other domains than 0. */
#include "guests/adapter/grant.h"

#define PER_FRAME 512u
#define TYPE 3u
#define PERMIT_ACCESS 1u
#define READ_ONLY 4u
#define READING 8u
#define WRITING 16u
#define TRIES 8

static u8 *frames[GRANT_FRAMES];
static u8 readers[GRANT_FRAMES * PER_FRAME], writers[GRANT_FRAMES * PER_FRAME];

void grant_place(u32 index, u8 *frame)
{
    if (frames[index] != NULL) {
        memcpy(frame, frames[index], PAGE_SIZE);
    } else {
        memset(frame, 0, PAGE_SIZE);
    }
    frames[index] = frame;
}

/* Flags and domain, frame. */
static u32 *entry_of(u32 ref)
{
    u8 *frame = ref < GRANT_FRAMES * PER_FRAME ? frames[ref / PER_FRAME] : NULL;
    return frame != NULL ? (u32 *)(void *)(frame + 8ull * (ref % PER_FRAME)) : NULL;
}

bool grant_begin(struct grant *g, u32 ref, bool write)
{
    u32 *e = entry_of(ref);
    *g = (struct grant){.ref = ref, .write = write};
    if (e == NULL || readers[ref] == 0xff || writers[ref] == 0xff) {
        return false;
    }
    u32 seen = __atomic_load_n(&e[0], __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < TRIES; i++) {
        bool permits = (seen & TYPE) == PERMIT_ACCESS && seen >> 16 == 0 && (!write || (seen & READ_ONLY) == 0);
        if (!permits) {
            return false;
        }
        u32 wanted = seen | READING | (write ? WRITING : 0);
        if (__atomic_compare_exchange_n(&e[0], &seen, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            readers[ref]++;
            writers[ref] = (u8)(writers[ref] + (write ? 1 : 0));
            g->gfn = __atomic_load_n(&e[1], __ATOMIC_SEQ_CST);
            g->frame = guest_frame(g->gfn);
            if (g->frame == NULL) {
                g->frame = (u8 *)e; /* so that it is ended */
                grant_end(g);
                return false;
            }
            return true;
        }
    }
    return false;
}

void grant_end(struct grant *g)
{
    u32 *e = entry_of(g->ref);
    if (g->frame == NULL || e == NULL) {
        return;
    }
    readers[g->ref]--;
    writers[g->ref] = (u8)(writers[g->ref] - (g->write ? 1 : 0));
    u32 gone = (readers[g->ref] == 0 ? READING : 0) | (writers[g->ref] == 0 ? WRITING : 0);
    (void)__atomic_fetch_and(&e[0], ~gone, __ATOMIC_SEQ_CST);
    g->frame = NULL;
}

bool grant_any(void)
{
    bool any = false;
    for (u32 i = 0; i < ARRAY_LEN(readers); i++) {
        any = any || readers[i] != 0 || writers[i] != 0;
    }
    return any;
}

i64 xen_grant_query(u64 a, u64 b)
{
    u32 q[4];
    (void)b;
    if (!guest_get(a, q, sizeof q)) {
        return -XEN_EFAULT;
    }
    q[1] = GRANT_FRAMES;
    q[2] = GRANT_FRAMES;
    q[3] = 0;
    return guest_put(a, q, sizeof q) ? 0 : -XEN_EFAULT;
}

i64 xen_grant_version(u64 a, u64 b)
{
    u32 v[2] = {DOMID_SELF, 1};
    (void)b;
    return guest_put(a, v, sizeof v) ? 0 : -XEN_EFAULT;
}
