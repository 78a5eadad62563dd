/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tracker over a small memory, with tables made by hand and entries and exits made up. */
#ifndef TESTS_HARNESS_WATCH_RIG_H
#define TESTS_HARNESS_WATCH_RIG_H

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "watch/watch.h"

#include <stdlib.h>

#define RAM MIB(8)
#define A_TABLES 0x100000u /* level n of guest A at + n * 4 KiB */
#define B_TABLES 0x110000u
#define D_TABLES 0x120000u
#define ROUTES 0x130000u
#define MEMORY 0x200000u

struct rig {
    struct log log;
    struct phys phys;
    struct watch *w;
    u64 position, rip;
    unsigned violations, withdrawn, route_questions;
    struct watch_share last;
    struct watch_route route; /* of devices 0x10, 0x18, ... */
    unsigned devices;
};

static inline void before_write(void *self, u64 frame, u64 offset, u64 size)
{
    struct rig *r = self;
    if ((r->phys.pages[frame].flags & PAGE_TRACKED) != 0) {
        watch_before_write(r->w, frame, offset, size);
    }
}

static inline void withdraw(void *self, u64 frame)
{
    struct rig *r = self;
    UNUSED(frame);
    r->withdrawn++;
}

static inline void now(void *self, struct watch_moment *m)
{
    struct rig *r = self;
    *m = (struct watch_moment){.position = r->position, .rip = r->rip, .cpu = 0};
}

static inline void routes(void *self, struct watch *w)
{
    struct rig *r = self;
    r->route_questions++;
    for (unsigned i = 0; i < r->devices; i++) {
        watch_device(w, (u16)(0x10 + 8 * i), &r->route);
    }
}

static inline void violation(void *self, const struct watch_share *share)
{
    struct rig *r = self;
    r->violations++;
    r->last = *share;
}

static inline void rig_tracker(struct rig *r)
{
    const struct watch_host host = {
        .withdraw = withdraw, .now = now, .routes = routes, .violation = violation, .self = r};
    r->w = watch_new(&r->phys, &r->log, NULL, &host);
}

static inline struct rig *rig_with(u64 ram)
{
    struct rig *r = calloc(1, sizeof *r);
    sim_assert(r != NULL);
    log_init(&r->log);
    bool ok = phys_init(&r->phys, &r->log, ram);
    sim_assert(ok);
    phys_add_ram(&r->phys, REGION_RAM, SPA(0), ram, 0, 0, "ram");
    r->phys.watch = (struct phys_watch){.before_write = before_write, .self = r};
    rig_tracker(r);
    r->position = 1000;
    return r;
}

static inline struct rig *rig(void)
{
    return rig_with(RAM);
}

static inline void rig_free(struct rig *r)
{
    watch_free(r->w);
    phys_free(&r->phys);
    free(r);
}

/* A store by the instruction at `rip`. */
static inline void store(struct rig *r, u64 at, u64 value, u64 rip)
{
    r->position++;
    r->rip = rip;
    phys_write_scalar(&r->phys, SPA(at), value, 8);
}

/* An EPT root with tables down to level 1 for the first 2 MiB, which map nothing. */
static inline void make_ept(struct rig *r, u64 tables)
{
    for (u64 level = 4; level > 1; level--) {
        store(r, tables + level * PAGE_SIZE, (tables + (level - 1) * PAGE_SIZE) | 7, 0);
    }
}

static inline void map(struct rig *r, u64 tables, unsigned page, u64 spa, u64 rights, u64 rip)
{
    store(r, tables + PAGE_SIZE + 8 * page, spa | rights, rip);
}

static inline void enter(struct rig *r, unsigned cpu, u64 control, u64 tables)
{
    struct watch_entry e = {.kind = WATCH_VMX,
                            .control = control,
                            .nested = tables != 0,
                            .tables = {.format = WATCH_EPT, .levels = 4, .table = tables + 4 * PAGE_SIZE}};
    r->position++;
    watch_entered(r->w, cpu, &e);
}

static inline void leave(struct rig *r, unsigned cpu, enum watch_cause cause)
{
    u64 gpr[16] = {0};
    struct watch_exit x = {.cause = cause, .gpr = gpr};
    r->position++;
    watch_left(r->w, cpu, &x);
}

static inline u8 rights(struct rig *r, u64 spa, u32 guest)
{
    struct watch_owner o[8];
    size_t n = watch_owners(r->w, spa, o, 8);
    for (size_t i = 0; i < n && i < 8; i++) {
        if (!o[i].device && o[i].guest == guest) {
            return o[i].rights;
        }
    }
    return 0;
}

static inline void put_words(struct rig *r, char **text)
{
    size_t size;
    FILE *f = open_memstream(text, &size);
    sim_assert(f != NULL);
    watch_print(r->w, f);
    (void)fclose(f);
}

#endif
