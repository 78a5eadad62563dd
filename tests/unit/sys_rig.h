/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One whole processor over 4 MiB of RAM (RIG_RAM), with descriptor tables at fixed places: system-level rules
 * under test. Linear addresses are physical ones; long mode uses identity page tables. */
#ifndef VITRINE_TESTS_UNIT_SYS_RIG_H
#define VITRINE_TESTS_UNIT_SYS_RIG_H

#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/decode/block.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/pmu.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#ifndef RIG_RAM
#define RIG_RAM MIB(4)
#endif

enum {
    AT_GDT = 0x1000,
    AT_IDT = 0x2000,
    AT_TSS = 0x3000,
    AT_CODE = 0x8000,
    AT_HANDLER = 0x9000,
    AT_STACK = 0x20000,
    AT_STACK0 = 0x30000,
    AT_IST1 = 0x40000,
    AT_TABLES = 0x100000,
};

/* Selectors of the rig's GDT. */
enum {
    KCODE = 0x08,
    KDATA = 0x10,
    UCODE = 0x1b,
    UDATA = 0x23,
    KCODE64 = 0x28,
    UCODE64 = 0x33,
    TSS_SEL = 0x38, /* 16 bytes in long mode */
    ABSENT = 0x48,
    READONLY = 0x50,
    FRESH = 0x58, /* writable data with a clear accessed bit */
    GDT_END = 0x60,
};

struct rig {
    struct phys phys;
    struct log log;
    struct clock clock;
    struct cpu_model model;
    struct cpu_set set;
    struct use_pool uses;
    struct code_cache code;
    struct cpu cpu;
    unsigned shutdowns;
};

static struct rig R;
#define CPU (&R.cpu)

static void rig_shutdown(void *self, unsigned cpu)
{
    struct rig *r = self;
    UNUSED(cpu);
    r->shutdowns++;
}

static inline u8 *ram(u64 at)
{
    return R.phys.ram + at;
}

static inline void put_desc(u16 sel, u64 desc)
{
    store_le64(ram(AT_GDT + (sel & 0xfff8u)), desc);
}

static inline void rig_tables(void)
{
    put_desc(KCODE, 0x00cf9b000000ffff);
    put_desc(KDATA, 0x00cf93000000ffff);
    put_desc(UCODE, 0x00cffb000000ffff);
    put_desc(UDATA, 0x00cff3000000ffff);
    put_desc(KCODE64, 0x00af9b000000ffff);
    put_desc(UCODE64, 0x00affb000000ffff);
    put_desc(TSS_SEL, 0x0000890000000067 | (u64)AT_TSS << 16);
    put_desc(TSS_SEL + 8, 0);
    put_desc(ABSENT, 0x00cf13000000ffff);
    put_desc(READONLY, 0x00cf91000000ffff);
    put_desc(FRESH, 0x00cf92000000ffff);
}

static inline void rig_start_model(const char *model)
{
    struct error err = {0};
    memset(&R, 0, sizeof R);
    log_init(&R.log);
    clock_init(&R.clock, 1000000000u, 2000000000u);
    ck_assert(cpu_model_parse(&R.model, model, &err));
    ck_assert(phys_init(&R.phys, &R.log, RIG_RAM));
    phys_add_ram(&R.phys, REGION_RAM, SPA(0), RIG_RAM, 0, 0, "ram");
    ck_assert(use_pool_init(&R.uses));
    ck_assert(code_cache_init(&R.code, &R.model, MIB(1)));
    R.set.uses = &R.uses;
    R.set.cpu[0] = CPU;
    R.set.count = 1;
    R.cpu.set = &R.set;
    R.cpu.model = &R.model;
    R.cpu.phys = &R.phys;
    R.cpu.clock = &R.clock;
    R.cpu.log = &R.log;
    R.cpu.code = &R.code;
    R.cpu.ports = (struct cpu_ports){.cpu_reset = rig_shutdown, .self = &R};
    ck_assert(tlb_init(CPU, 64));
    R.cpu.apic = apic_new(CPU);
    ck_assert_ptr_nonnull(R.cpu.apic);
    apic_reset(R.cpu.apic, false);
    cpu_reset(CPU, CPU_RESET_POWER);
    rig_tables();
}

static inline void rig_start(void)
{
    rig_start_model("max");
}

static inline void rig_stop(void)
{
    apic_free(R.cpu.apic);
    tlb_free(CPU);
    code_cache_free(&R.code);
    use_pool_free(&R.uses);
    phys_free(&R.phys);
}

static inline void set_flat(unsigned seg, u16 sel)
{
    struct descriptor d = {.lo = load_le64(ram(AT_GDT + (sel & 0xfff8u))), .sel = sel};
    d.attr = (u32)(d.lo >> 40) & 0xf0ff;
    desc_to_segment(&d, sel, &R.cpu.arch.seg[seg]);
}

/* Flat protected mode at `cpl`, interrupts off, RIP at AT_CODE, stack below AT_STACK. */
static inline void go_protected(unsigned cpl)
{
    struct cpu_arch *a = &R.cpu.arch;
    a->cr0 = CR0_PE | CR0_ET | CR0_NE;
    a->gdtr = (struct table_reg){AT_GDT, GDT_END - 1};
    a->idtr = (struct table_reg){AT_IDT, 256 * 8 - 1};
    a->tr = (struct segment){AT_TSS, 0x67, SEG_P | SYS_TSS_BUSY, TSS_SEL};
    store_le32(ram(AT_TSS + 4), AT_STACK0);
    store_le16(ram(AT_TSS + 8), KDATA);
    set_flat(SEG_CS, cpl == 3 ? UCODE : KCODE);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (i != SEG_CS) {
            set_flat(i, cpl == 3 ? UDATA : KDATA);
        }
    }
    a->rip = AT_CODE;
    a->gpr[RSP] = AT_STACK;
    cpu_set_rflags(CPU, 0);
    cpu_update_mode(CPU);
}

/* 64-bit mode with the first 4 MiB mapped for everybody. */
static inline void go_long(unsigned cpl)
{
    struct cpu_arch *a = &R.cpu.arch;
    go_protected(cpl);
    store_le64(ram(AT_TABLES), (AT_TABLES + 0x1000) | 7);
    store_le64(ram(AT_TABLES + 0x1000), (AT_TABLES + 0x2000) | 7);
    store_le64(ram(AT_TABLES + 0x2000), 0x87);
    store_le64(ram(AT_TABLES + 0x2008), 0x200087);
    a->cr3 = AT_TABLES;
    a->cr4 = CR4_PAE;
    a->efer = EFER_LME | EFER_LMA | EFER_SCE;
    a->cr0 |= CR0_PG;
    a->idtr.limit = 256 * 16 - 1;
    store_le64(ram(AT_TSS + 4), AT_STACK0);
    store_le64(ram(AT_TSS + 36), AT_IST1 + 8);
    set_flat(SEG_CS, cpl == 3 ? UCODE64 : KCODE64);
    cpu_update_mode(CPU);
}

static inline void gate32(unsigned vector, u16 sel, u32 to, unsigned type, unsigned dpl)
{
    u64 access = 0x80u | dpl << 5 | type;
    store_le64(ram(AT_IDT + 8 * vector), (to & 0xffff) | (u64)sel << 16 | access << 40 |
                                             (u64)(to >> 16) << 48);
}

static inline void gate64(unsigned vector, u16 sel, u64 to, unsigned type, unsigned dpl, unsigned ist)
{
    u64 access = 0x80u | dpl << 5 | type;
    store_le64(ram(AT_IDT + 16 * vector), (to & 0xffff) | (u64)sel << 16 | (u64)ist << 32 |
                                              access << 40 | ((to >> 16) & 0xffff) << 48);
    store_le64(ram(AT_IDT + 16 * vector + 8), to >> 32);
}

static inline void deliver(struct event ev)
{
    R.cpu.event = ev;
    cpu_deliver_event(CPU);
}

static inline void code(const char *bytes, size_t n)
{
    memcpy(ram(AT_CODE), bytes, n);
    tlb_drop_all(CPU);
}

static inline void expect_fault(cpu_rc rc, unsigned vector, u32 error)
{
    ck_assert_int_eq(rc, CPU_EXIT);
    ck_assert_uint_eq(R.cpu.event.vector, vector);
    ck_assert_uint_eq(R.cpu.event.error, error);
}

#endif
