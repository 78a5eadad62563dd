/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arbitrary bytes as code, in 64-bit and flat 32-bit mode, at levels 0 and 3, beginning in a page or across its end, with
 * neighbours that lie elsewhere in memory, are read-only, or absent. The translator takes every block, and the processor
 * must end as the interpreter's does, all of memory included. Which input asks for what of the translator: code memory of
 * a few pages, tables of two entries, a host without AVX, no groups of accesses, a threshold, lockstep. With the sanitizers
 * this looks at the translator itself; the bounds of code memory, which they do not know, are checked here. */
#include <check.h>
#include <stdlib.h>

/* The rig of the unit tests, without their runner. */
static inline void insist(int holds)
{
    if (!holds) {
        abort();
    }
}
#undef ck_assert
#undef ck_assert_ptr_nonnull
#undef ck_assert_int_eq
#undef ck_assert_uint_eq
#define ck_assert(x) insist(x)
#define ck_assert_ptr_nonnull(x) insist((x) != NULL)
#define ck_assert_int_eq(a, b) insist((a) == (b))
#define ck_assert_uint_eq(a, b) insist((a) == (b))
#define RIG_RAM 0x140000u
#include "../unit/sys_rig.h"

#include "jit/jit_priv.h"
#include "tests/harness/compare_arch.h"
#include "tests/harness/draw.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CODE_AT 0x110000u /* linear; 16 pages, see make_pages() */
#define CODE_PAGES 16u
#define AT_PAGES 0x104000u /* the table of the first 2 MiB, 4 KiB each */
#define BUDGET 300

/* Byte 0 of an input: the guest's side; its high half: counts of a second run. */
enum { IN_32 = 1, IN_USER = 2, IN_STRADDLES = 4, SYSTEM_BY_HANDLERS = 8 };
/* Byte 1: the translator's. */
enum { HIDE_AVX = 1, SMALL_MEMORY = 2, SMALL_TABLES = 4, LOCKSTEP = 8, THRESHOLD = 16, NO_GROUPS = 32, NO_LOOPS = 64,
       NO_PATHS = 128,
       NO_SYSTEM = 256, /* a bit of byte 0 */
       CONFIGS = 512 };

static u32 io_read(void *self, u16 port, unsigned size)
{
    UNUSED(self);
    UNUSED(size);
    return port;
}

static void io_write(void *self, u16 port, u32 value, unsigned size)
{
    UNUSED(self);
    UNUSED(port);
    UNUSED(value);
    UNUSED(size);
}

static int int_ack(void *self)
{
    UNUSED(self);
    return -1;
}

static void nothing(void *self)
{
    UNUSED(self);
}

static void no_eoi(void *self, u8 vector)
{
    UNUSED(self);
    UNUSED(vector);
}

static void no_smi(void *self, bool in_smm)
{
    UNUSED(self);
    UNUSED(in_smm);
}

struct outcome {
    struct cpu_arch arch;
    u64 used;
    u8 ram[RIG_RAM];
};

static struct cpu fresh[2]; /* with tables of 64 and of 2 entries */
static u8 fresh_ram[RIG_RAM];
static struct jit *jits[CONFIGS];
static struct cpu_engine engine;

static void check(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "fuzz_jit: %s\n", what);
        abort();
    }
}

/* The code's pages lie in the other order; one is read-only, the last absent. */
static void make_pages(void)
{
    store_le64(ram(AT_TABLES + 0x2000), AT_PAGES | 7);
    for (u64 page = 0; page < 512; page++) {
        u64 frame = page, first = CODE_AT >> PAGE_SHIFT;
        if (page >= first && page < first + CODE_PAGES) {
            frame = 2 * first + CODE_PAGES - 1 - page;
        }
        u64 rights = page == first + 2 ? 5 : page == first + CODE_PAGES - 1 ? 0 : 7;
        store_le64(ram(AT_PAGES + 8 * page), frame << PAGE_SHIFT | rights);
    }
}

static void start(void)
{
    rig_start();
    R.cpu.ports = (struct cpu_ports){.io_read = io_read, .io_write = io_write, .int_ack = int_ack, .eoi_broadcast = no_eoi,
                                     .smi_ack = no_smi, .cpu_reset = rig_shutdown, .ferr = nothing, .self = &R};
    fresh[0] = R.cpu;
    check(tlb_init(CPU, 2), "no memory");
    cpu_reset(CPU, CPU_RESET_POWER);
    fresh[1] = R.cpu;
    memcpy(fresh_ram, R.phys.ram, RIG_RAM);
    R.code.size = 8192;
}

/* A translator with nothing translated. */
static struct jit *use_jit(unsigned config)
{
    static struct code_cache hooks;
    const char *why = NULL;
    if (jits[config] == NULL) {
        struct jit_config c = {.bytes = (config & SMALL_MEMORY) != 0 ? KIB(128) : MIB(1),
                               .threshold = (config & THRESHOLD) != 0 ? 2 : 0,
                               .tlb_entries = (config & SMALL_TABLES) != 0 ? 2 : 64,
                               .hide_avx = (config & HIDE_AVX) != 0,
                               .without = ((config & NO_GROUPS) != 0 ? JIT_GROUPS : 0u) | ((config & NO_PATHS) != 0 ? JIT_PATHS : 0u) |
                                          ((config & NO_LOOPS) != 0 ? JIT_LOOPS : 0u) | ((config & NO_SYSTEM) != 0 ? JIT_SYSTEM : 0u),
                               .lockstep = (config & LOCKSTEP) != 0};
        jits[config] = jit_new(&R.set, &R.code, &R.log, &c, &why);
        check(jits[config] != NULL, why);
        hooks = R.code;
        engine = R.cpu.engine;
    }
    R.code.killed = hooks.killed;
    R.code.flushed = hooks.flushed;
    R.code.self = jits[config];
    R.cpu.engine = (struct cpu_engine){.run_blocks = engine.run_blocks, .jit = jits[config]};
    jits[config]->memory.current = 0;
    return jits[config];
}

/* Nothing translated, and the machine as it was at the start. */
static void reset(unsigned config)
{
    code_flush(&R.set, &R.phys);
    R.code.killed = NULL;
    R.code.flushed = NULL;
    tlb_drop_all(CPU);
    R.cpu = fresh[(config & SMALL_TABLES) != 0];
    tlb_drop_all(CPU);
    apic_reset(R.cpu.apic, false);
    R.clock.position = R.clock.idle_ns = 0;
    memcpy(R.phys.ram, fresh_ram, RIG_RAM);
    R.shutdowns = 0;
}

/* Registers point at code, data and the stack, so that accesses hit. */
static void set_registers(const u8 *data, size_t size)
{
    u64 x = DRAW_SEED + size;
    for (size_t i = 0; i < size && i < 10; i++) {
        x = x * 31 + data[i];
    }
    for (unsigned g = 0; g < 16; g++) {
        (void)draw_from(&x);
        u64 near = CODE_AT + 0x1000 * (x >> 4 & (CODE_PAGES - 1)) + (x >> 40 & 0xfff);
        R.cpu.arch.gpr[g] = (x & 3) == 0 ? x >> 8 : (x & 3) == 1 ? x >> 60 : near;
    }
    R.cpu.arch.gpr[RSP] = AT_STACK;
}

/* Input from byte 2 on, again and again, to the end of the code's pages but one. */
static void place_code(const u8 *data, size_t size, u64 at)
{
    u64 end = CODE_AT + (CODE_PAGES - 1) * PAGE_SIZE;
    bool paged = (R.cpu.arch.cr0 & CR0_PG) != 0;
    for (u64 i = 0; i < 4096 && at + i < end; i++) {
        u64 lin = at + i;
        u64 mirrored = 2 * CODE_AT + (CODE_PAGES - 1) * PAGE_SIZE - (lin & ~PAGE_MASK) + (lin & PAGE_MASK);
        *ram(paged ? mirrored : lin) = data[2 + i % (size - 2)];
    }
}

static void run(const u8 *data, size_t size, struct outcome *out)
{
    unsigned cpl = (data[0] & IN_USER) != 0 ? 3 : 0;
    if ((data[0] & IN_32) != 0) {
        go_protected(cpl);
    } else {
        go_long(cpl);
        make_pages();
    }
    R.cpu.arch.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    R.cpu.arch.xcr0 = 7;
    R.cpu.arch.fpu = (struct fpu_state){.fcw = 0x37f};
    u64 at = CODE_AT + ((data[0] & IN_STRADDLES) != 0 ? PAGE_SIZE - 1 - size % 16 : 0);
    place_code(data, size, at);
    set_registers(data, size);
    R.cpu.arch.rip = at;
    cpu_update_mode(CPU);
    out->used = cpu_run(CPU, BUDGET);
    out->used = out->used * 1000 + cpu_run(CPU, (data[0] >> 4) + 1u);
    flags_sync(CPU);
    out->arch = R.cpu.arch;
    memcpy(out->ram, R.phys.ram, RIG_RAM);
}

static bool is_in_region(const struct code_memory *m, unsigned region, u64 offset, u64 size)
{
    u64 from = region == 0 ? (u64)(m->start - m->rw) : region * m->region_size;
    return offset >= from && offset + size <= (u64)(m->at[region] - m->rw);
}

/* Every translation and every jump that is patched lies in what its region is filled with. */
static void check_code_memory(const struct jit *j)
{
    const struct code_memory *m = &j->memory;
    for (unsigned region = 0; region < JIT_REGIONS; region++) {
        const u8 *first = m->rw + region * m->region_size;
        check(m->at[region] >= first && m->at[region] <= first + m->region_size, "a region's end lies outside it");
        for (u32 n = m->blocks[region]; n != 0; n = j->blocks[n].next) {
            const struct jit_block *jb = &j->blocks[n];
            check(jb->b == NULL || is_in_region(m, region, (u64)(jb->b->code - m->rx), 1), "a translation lies outside its region");
            for (unsigned k = 0; k < JIT_EXITS; k++) {
                const struct jit_exit *x = &jb->exit[k];
                check(x->site == 0 || (is_in_region(m, region, x->site, 4) && is_in_region(m, region, x->stub, 1)),
                      "a jump lies outside its region");
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct outcome want, got;
    static bool started;
    if (size < 3) {
        return 0;
    }
    if (!started) {
        start();
        started = true;
    }
    unsigned config = data[1] | ((data[0] & SYSTEM_BY_HANDLERS) != 0 ? NO_SYSTEM : 0u);
    reset(config);
    run(data, size, &want);
    reset(config);
    struct jit *j = use_jit(config);
    run(data, size, &got);
    check(jit_difference(j) == NULL, jit_difference(j));
    check_code_memory(j);
    const char *what = arch_difference(&want.arch, &got.arch);
    what = what != NULL ? what : want.used != got.used ? "counts" : memcmp(want.ram, got.ram, RIG_RAM) != 0 ? "memory" : NULL;
    if (what != NULL) {
        (void)fprintf(stderr, "the interpreter's and the translator's differ: ");
    }
    check(what == NULL, what);
    return 0;
}
