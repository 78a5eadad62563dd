/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bare board for tests of single devices: clock, bus, memory map, recorded lines and messages,
 * and the check that every device must pass: save, restore into a fresh one, equal hash, equal
 * future. */
#ifndef VITRINE_TESTS_DEVICE_RIG_H
#define VITRINE_TESTS_DEVICE_RIG_H

#include "base/bits.h"
#include "devices/bus.h"
#include "devices/device.h"

#include <check.h>
#include <stdlib.h>

#define RIG_LINES 64

struct rig {
    struct clock clock;
    struct log log;
    struct bus bus;
    struct phys phys;
    struct device_env env;
    bool level[RIG_LINES];
    unsigned rises[RIG_LINES];
    u64 rise_ns[RIG_LINES]; /* virtual time of the last rise */
    unsigned msi_count;
    u64 msi_address;
    u32 msi_data;
    u16 msi_requester;
};

static inline void rig_set_line(void *self, unsigned n, bool level)
{
    struct rig *r = self;
    if (level && !r->level[n]) {
        r->rises[n]++;
        r->rise_ns[n] = clock_now(&r->clock).ns;
    }
    r->level[n] = level;
}

static inline struct irq_line rig_line(struct rig *r, unsigned n)
{
    return (struct irq_line){.set = rig_set_line, .target = r, .n = n};
}

static inline void rig_msi(void *self, u16 requester, u64 address, u32 data)
{
    struct rig *r = self;
    r->msi_count++;
    r->msi_requester = requester;
    r->msi_address = address;
    r->msi_data = data;
}

static inline bool rig_dma_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct rig *r = self;
    UNUSED(requester);
    phys_read(&r->phys, SPA(iova.v), data, size);
    return true;
}

static inline bool rig_dma_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct rig *r = self;
    UNUSED(requester);
    phys_write(&r->phys, SPA(iova.v), data, size);
    return true;
}

/* 64 KiB of RAM at 0; a nanosecond per instruction. */
static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    ck_assert_ptr_nonnull(r);
    clock_init(&r->clock, NS_PER_SEC, NS_PER_SEC);
    log_init(&r->log);
    bus_init(&r->bus, &r->log);
    ck_assert(phys_init(&r->phys, &r->log, KIB(64)));
    phys_add_ram(&r->phys, REGION_RAM, SPA(0), KIB(64), 0, 0, "ram");
    r->env = (struct device_env){
        .clock = &r->clock,
        .log = &r->log,
        .bus = &r->bus,
        .phys = &r->phys,
        .dma = {.read = rig_dma_read, .write = rig_dma_write, .self = r},
        .msi = {.send = rig_msi, .self = r},
    };
    return r;
}

static inline void rig_free(struct rig *r)
{
    bus_free(&r->bus);
    phys_free(&r->phys);
    free(r);
}

static inline u64 rig_now(const struct rig *r)
{
    return clock_now(&r->clock).ns;
}

/* Let virtual time pass, firing timers on the way, each at its own time. */
static inline void rig_run_to(struct rig *r, u64 ns)
{
    for (;;) {
        vtime_t next = clock_next_deadline(&r->clock);
        if (next.ns > ns) {
            break;
        }
        clock_skip_to(&r->clock, next);
        clock_fire_due(&r->clock);
    }
    clock_skip_to(&r->clock, (vtime_t){ns});
}

static inline void rig_run(struct rig *r, u64 ns)
{
    rig_run_to(r, rig_now(r) + ns);
}

/* Jump over deadlines, as an instruction longer than they are apart does; then fire. */
static inline void rig_jump(struct rig *r, u64 ns)
{
    clock_skip_to(&r->clock, (vtime_t){rig_now(r) + ns});
    clock_fire_due(&r->clock);
}

static inline u8 rig_in(struct rig *r, u16 port)
{
    return (u8)bus_port_read(&r->bus, port, 1);
}

static inline void rig_out(struct rig *r, u16 port, u8 value)
{
    bus_port_write(&r->bus, port, value, 1);
}

static inline u64 rig_hash(struct rig *r)
{
    struct state_io io;
    state_init_hash(&io);
    clock_state(&r->clock, &io);
    bus_state(&r->bus, &io);
    return io.hash;
}

/* `build` makes the same board again. The copy gets the original's state, then both run on for a
 * while and must stay equal; lines of the copy are seeded, since restoring sends no edges. */
static inline void rig_check_save_restore(struct rig *r, struct rig *(*build)(void), u64 run_ns)
{
    struct state_io save;
    state_init_save(&save);
    clock_state(&r->clock, &save);
    bus_state(&r->bus, &save);

    struct rig *copy = build();
    struct state_io load;
    state_init_load(&load, save.data, save.len);
    clock_state(&copy->clock, &load);
    bus_state(&copy->bus, &load);
    ck_assert_msg(!load.failed, "restore failed in %s", load.where);
    ck_assert_uint_eq(load.pos, load.len);
    state_free(&save);
    ck_assert_uint_eq(rig_hash(r), rig_hash(copy));
    for (unsigned i = 0; i < RIG_LINES; i++) {
        copy->level[i] = r->level[i];
        copy->rises[i] = r->rises[i];
    }
    copy->msi_count = r->msi_count;

    rig_run(r, run_ns);
    rig_run(copy, run_ns);
    ck_assert_uint_eq(rig_hash(r), rig_hash(copy));
    for (unsigned i = 0; i < RIG_LINES; i++) {
        ck_assert_uint_eq(r->level[i], copy->level[i]);
        ck_assert_uint_eq(r->rises[i], copy->rises[i]);
    }
    ck_assert_uint_eq(r->msi_count, copy->msi_count);
    rig_free(copy);
}

#endif
