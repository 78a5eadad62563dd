/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arbitrary bytes as code, in 64-bit and flat 32-bit mode, at levels 0 and 3: the translator takes every block at once,
 * and the processor must end as the interpreter's does, memory included. With the sanitizers this looks at the
 * translator itself. A seed for random bytes makes up for what they lack: instructions that are worth translating. */
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
#include "../unit/sys_rig.h"

#include "jit/jit.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CODE_AT 0x180000u
#define BUDGET 300

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
    u8 low[0x60000], tables[0x4000], code[0x40000]; /* RAM that registers and descriptors point at */
};

/* Registers point at code, data and the stack, so that accesses hit. */
static void set_registers(const u8 *data, size_t size)
{
    u64 x = 88172645463325252u + size;
    for (size_t i = 0; i < size && i < 8; i++) {
        x = x * 31 + data[i];
    }
    for (unsigned g = 0; g < 16; g++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        R.cpu.arch.gpr[g] = (x & 3) == 0 ? x >> 8 : (x & 3) == 1 ? x >> 60 : CODE_AT + 0x1000 * (x >> 4 & 15) + (x >> 40 & 0xfff);
    }
    R.cpu.arch.gpr[RSP] = AT_STACK;
}

static void run(const u8 *data, size_t size, bool translate, struct outcome *out)
{
    const char *why = NULL;
    struct jit *j = NULL;
    rig_start();
    R.cpu.ports = (struct cpu_ports){.io_read = io_read, .io_write = io_write, .int_ack = int_ack, .eoi_broadcast = no_eoi,
                                     .smi_ack = no_smi, .cpu_reset = rig_shutdown, .ferr = nothing, .self = &R};
    if (translate) {
        struct jit_config config = {.bytes = MIB(1), .threshold = 0, .tlb_entries = 64, .hide_avx = (data[0] & 8) != 0,
                                    .no_groups = (data[0] & 4) != 0};
        j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    }
    unsigned cpl = (data[0] & 2) != 0 ? 3 : 0;
    if ((data[0] & 1) != 0) {
        go_protected(cpl);
    } else {
        go_long(cpl);
    }
    R.cpu.arch.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    R.cpu.arch.xcr0 = 7;
    R.cpu.arch.fpu = (struct fpu_state){.fcw = 0x37f};
    size_t n = size - 1 < 4096 ? size - 1 : 4096;
    memcpy(ram(CODE_AT), data + 1, n);
    set_registers(data, size);
    R.cpu.arch.rip = CODE_AT;
    cpu_update_mode(CPU);
    out->used = cpu_run(CPU, BUDGET);
    out->used = out->used * 1000 + cpu_run(CPU, (data[0] >> 4) + 1u);
    flags_sync(CPU);
    out->arch = R.cpu.arch;
    memcpy(out->low, ram(0), sizeof out->low);
    memcpy(out->tables, ram(AT_TABLES), sizeof out->tables);
    memcpy(out->code, ram(CODE_AT), sizeof out->code);
    jit_free(j);
    rig_stop();
}

static void check(bool same, const char *what)
{
    if (!same) {
        (void)fprintf(stderr, "fuzz_jit: %s of the interpreter and the translator differ\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct outcome want, got;
    if (size < 2) {
        return 0;
    }
    run(data, size, false, &want);
    run(data, size, true, &got);
    const struct cpu_arch *a = &want.arch, *b = &got.arch;
    check(want.used == got.used && a->ist_count == b->ist_count, "counts");
    check(memcmp(a->gpr, b->gpr, sizeof a->gpr) == 0 && a->rip == b->rip, "general registers");
    check(a->rflags == b->rflags && a->cc_res == b->cc_res && a->cc_aux == b->cc_aux, "flags");
    check(memcmp(a->vec, b->vec, sizeof a->vec) == 0 && a->mxcsr == b->mxcsr, "vector registers");
    check(a->fpu.fcw == b->fpu.fcw && a->fpu.fsw == b->fpu.fsw && a->fpu.tags == b->fpu.tags && a->fpu.fip == b->fpu.fip &&
              a->fpu.fdp == b->fpu.fdp,
          "the x87's words");
    for (unsigned i = 0; i < 8; i++) {
        check(a->fpu.r[i].mant == b->fpu.r[i].mant && a->fpu.r[i].se == b->fpu.r[i].se, "x87 registers");
    }
    check(a->cr0 == b->cr0 && a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->cr4 == b->cr4 && a->rep_partial == b->rep_partial &&
              a->activity == b->activity && a->kernel_gs_base == b->kernel_gs_base &&
              a->seg[SEG_GS].base == b->seg[SEG_GS].base,
          "system registers");
    check(memcmp(want.low, got.low, sizeof want.low) == 0 && memcmp(want.tables, got.tables, sizeof want.tables) == 0 &&
              memcmp(want.code, got.code, sizeof want.code) == 0,
          "memory");
    return 0;
}
