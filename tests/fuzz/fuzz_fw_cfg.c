/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A driver of fw_cfg that does anything: selections, reads, DMA descriptors anywhere. At the end the state
 * is saved, loaded and compared. */
#include "fuzz_input.h"

#include "devices/fw_cfg.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/state.h"
#include "mmu/phys.h"

#include <stdlib.h>
#include <string.h>

#define RAM KIB(64)
#define MAX_STEPS 200

struct board {
    struct log log;
    struct clock clock;
    struct phys phys;
    struct bus bus;
};

static bool board_read(void *self, u16 requester, iova_t iova, void *out, u64 size)
{
    struct board *b = self;
    UNUSED(requester);
    phys_read(&b->phys, SPA(iova.v), out, size);
    return iova.v < 2 * RAM; /* the rest is refused, which also ends what would take long */
}

static bool board_write(void *self, u16 requester, iova_t iova, const void *in, u64 size)
{
    struct board *b = self;
    UNUSED(requester);
    phys_write(&b->phys, SPA(iova.v), in, size);
    return iova.v < 2 * RAM;
}

static void descriptor(struct board *b, struct input *in)
{
    u8 d[16];
    u8 shape = (u8)take(in, 1);
    u64 at = take(in, 2) & 0xfff0;
    store_be32(d, (u32)(take(in, 1) << 16 | (shape & 0x1f)));
    store_be32(d + 4, (u32)take(in, (shape & 0x20) != 0 ? 2 : 1));
    store_be64(d + 8, take(in, (shape & 0x40) != 0 ? 8 : 2));
    phys_write(&b->phys, SPA(at), d, sizeof d);
    if ((shape & 0x80) != 0) {
        bus_port_write(&b->bus, 0x514, 0, 4);
        bus_port_write(&b->bus, 0x518, __builtin_bswap32((u32)at), 4);
    }
}

static void step(struct board *b, struct input *in)
{
    u8 what = (u8)take(in, 1);
    unsigned size = 1u << (what >> 6 & 1) << (what >> 7);
    switch (what & 7) {
    case 0: bus_port_write(&b->bus, 0x510, (u32)take(in, 1), 2); break;
    case 1: bus_port_write(&b->bus, 0x510, (u32)take(in, 2), 2); break;
    case 2: (void)bus_port_read(&b->bus, 0x511, 1); break;
    case 3: (void)bus_port_read(&b->bus, (u16)(0x50e + (what >> 3 & 7) * 2), size); break;
    case 4: bus_port_write(&b->bus, (u16)(0x50e + (what >> 3 & 7) * 2), (u32)take(in, 4), size); break;
    case 5: phys_write_scalar(&b->phys, SPA(take(in, 2) % RAM), take(in, 4), 4); break;
    default: descriptor(b, in); break;
    }
}

static u64 hash_of(struct board *b)
{
    struct state_io io;
    state_init_hash(&io);
    bus_state(&b->bus, &io);
    return io.hash;
}

static void save_and_load(struct board *b)
{
    struct state_io save, load;
    u64 hash = hash_of(b);
    state_init_save(&save);
    bus_state(&b->bus, &save);
    state_init_load(&load, save.data, save.len);
    bus_state(&b->bus, &load);
    sim_assert(!load.failed && hash_of(b) == hash);
    state_free(&save);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct board *b = calloc(1, sizeof *b);
    sim_assert(b != NULL);
    log_init(&b->log);
    clock_init(&b->clock, 1000000000, 1000000000);
    sim_assert(phys_init(&b->phys, &b->log, RAM));
    (void)phys_add_ram(&b->phys, REGION_RAM, SPA(0), RAM, 0, 0, "ram");
    bus_init(&b->bus, &b->log);
    const struct device_env env = {.clock = &b->clock,
                                   .log = &b->log,
                                   .bus = &b->bus,
                                   .phys = &b->phys,
                                   .dma = {.read = board_read, .write = board_write, .self = b}};
    struct fw_cfg *fw = fw_cfg_new(&env, "fw_cfg");
    static const u8 file[5000] = {1, 2, 3};
    fw_cfg_add_u32(fw, FW_CFG_RAM_SIZE, 0x12345678);
    fw_cfg_add_file(fw, "etc/long", file, sizeof file);
    fw_cfg_add_file(fw, "etc/short", file, 3);
    fw_cfg_add_file(fw, "etc/empty", file, 0);
    bus_reset(&b->bus, RESET_POWER);
    struct input in = {data, size};
    for (unsigned i = 0; i < MAX_STEPS && in.n > 0; i++) {
        step(b, &in);
    }
    save_and_load(b);
    bus_free(&b->bus);
    phys_free(&b->phys);
    free(b);
    return 0;
}
