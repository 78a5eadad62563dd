/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The processor of sys_rig.h, put back to where it was before each entry: memory by the pages that were written. */
#ifndef VITRINE_TESTS_ENTRIES_MACHINE_H
#define VITRINE_TESTS_ENTRIES_MACHINE_H

#include "entries.h"

/* The rigs are written for Check, which is not there. */
#include <check.h>
#undef ck_assert
#undef ck_assert_msg
#undef ck_assert_ptr_nonnull
#undef ck_assert_int_eq
#define ck_assert(condition) ((condition) ? (void)0 : entries_fail("%s", #condition))
#define ck_assert_msg(condition, ...) ck_assert(condition)
#define ck_assert_ptr_nonnull(pointer) ck_assert((pointer) != NULL)
#define ck_assert_int_eq(a, b) ck_assert((a) == (b))

#include "tests/unit/sys_rig.h"

#include "base/state.h"
#include "cpu/mem.h"

static struct {
    struct cpu_arch arch;
    struct cpu_model model;
    u8 *ram;
    u64 digest;
} saved;

static void ram_changes(void *self, u64 frame, u64 offset, u64 size)
{
    UNUSED(self);
    mem_before_ram_write(&R.set, &R.phys, frame, offset, size);
}

static inline void machine_watch(void)
{
    R.phys.watch.before_write = ram_changes;
    R.log.classes = 0;
}

static inline void forget_written(void)
{
    tlb_drop_all(CPU);
    for (u64 i = 0; i < R.phys.dirty_count; i++) {
        R.phys.pages[R.phys.dirty[i]].flags &= ~(u32)PAGE_DIRTY;
    }
    R.phys.dirty_count = 0;
}

/* This is the good state. */
static inline void machine_save(void)
{
    forget_written();
    saved.arch = R.cpu.arch;
    saved.model = R.model;
    saved.ram = malloc(R.phys.ram_bytes);
    if (saved.ram == NULL) {
        abort();
    }
    memcpy(saved.ram, R.phys.ram, R.phys.ram_bytes);
}

static inline void machine_drop(void)
{
    free(saved.ram);
    saved.ram = NULL;
}

static inline void machine_restore(void)
{
    for (u64 i = 0; i < R.phys.dirty_count; i++) {
        u64 frame = R.phys.dirty[i];
        mem_before_ram_write(&R.set, &R.phys, frame, 0, PAGE_SIZE);
        memcpy(R.phys.ram + frame * PAGE_SIZE, saved.ram + frame * PAGE_SIZE, PAGE_SIZE);
    }
    forget_written();
    R.cpu.arch = saved.arch;
    R.model = saved.model;
    R.cpu.event = (struct event){.kind = EVENT_NONE};
    R.cpu.exit = (struct vm_exit){0};
    R.cpu.vmx_reason = (struct vmx_reason){0};
    R.cpu.svm_reason = (struct svm_reason){0};
    R.shutdowns = 0;
    if (R.cpu.vmx_timer.clock != NULL) {
        timer_cancel(&R.cpu.vmx_timer);
    }
    apic_reset(R.cpu.apic, false);
    R.cpu.arch.apic_base = saved.arch.apic_base;
    apic_mmio_write(R.cpu.apic, 0xf0, 0x1ff, 4);
    cpu_update_mode(CPU);
}

/* Memory as a device changes it. */
static inline void ram_put(u64 at, const void *bytes, u64 n)
{
    phys_write(&R.phys, SPA(at), bytes, n);
}

static inline void ram_put64(u64 at, u64 value)
{
    phys_write_scalar(&R.phys, SPA(at), value, 8);
}

/* Run for some counts, and let their time pass. */
static inline void machine_run(u64 counts)
{
    u64 used = cpu_run(CPU, counts);
    R.clock.position += used != 0 ? used : 1;
    clock_fire_due(&R.clock);
}

static inline void note(u64 value)
{
    saved.digest = (saved.digest ^ value) * 0x100000001b3u;
}

static inline u64 machine_hash(void)
{
    struct state_io io;
    state_init_hash(&io);
    cpu_state(CPU, &io);
    return io.hash;
}

/* The state as it is now survives being saved and loaded. */
static inline void machine_check_state(void)
{
    struct state_io save, load;
    u64 hash = machine_hash();
    state_init_save(&save);
    cpu_state(CPU, &save);
    state_init_load(&load, save.data, save.len);
    cpu_state(CPU, &load);
    if (load.failed || machine_hash() != hash) {
        entries_fail("the state does not survive saving");
    }
    state_free(&save);
}

/* A model with up to three of its features off; true: with none. */
static inline bool pick_model(const char *base, unsigned first, unsigned last)
{
    char text[200];
    struct error err = {0};
    unsigned off = one_in(2) ? 0 : below(4);
    do {
        int n = snprintf(text, sizeof text, "%s", base);
        for (unsigned k = 0; k < off; k++) {
            unsigned f = first + below(last - first);
            n += snprintf(text + n, sizeof text - (size_t)n, ",-%s", feature_table[f].name);
        }
    } while (!cpu_model_parse(&R.model, text, &err));
    return off == 0;
}

#endif
