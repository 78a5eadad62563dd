/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A processor for tests of integer handlers: 64-bit (or real) mode by its derived state alone, and a
 * hand-made translation cache: three guest pages over a host buffer. Every other address is to be
 * one that faults before translation (not canonical, beyond a limit). */
#ifndef VITRINE_TESTS_UNIT_EXEC_RIG_H
#define VITRINE_TESTS_UNIT_EXEC_RIG_H

#include "cpu/exec/exec_int.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64
#define GUEST 0x10000u /* linear address of the buffer's first page */
#define PAGES 3u
#define NOWHERE 0x8000000000000000u /* not canonical */
#define EMPTY 0x4000000000000000u   /* page of an empty entry */

static struct cpu cpu;
static struct cpu_model model;
static struct tlb_ctx ctx;
static struct tlb_entry rd[SLOTS], wr[SLOTS];
static u8 memory[PAGES * 4096] __attribute__((aligned(4096)));
static struct page_desc pages[PAGES];
static u32 dirty[PAGES];
static struct phys phys; /* as much of it as the slow path wants for pages with fast entries */

static u64 random_state;

static inline u64 random64(void)
{
    random_state += 0x9e3779b97f4a7c15u;
    u64 z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Values near the interesting edges as often as any. */
static inline u64 random_operand(void)
{
    u64 v = random64(), kind = random64() % 8;
    switch (kind) {
    case 0: return v & 7;
    case 1: return 0 - (v & 7);
    case 2: return sign_extend((u64)1 << (v & 63), 8);
    case 3: return ((u64)1 << (v & 63)) - 1;
    case 4: return 0x8080808080808080u ^ (v & 0xff);
    case 5: return (u32)v;
    default: return v;
    }
}

static inline void set_code64(void)
{
    struct cpu_derived *d = &cpu.d;
    d->prot = d->long_mode = d->code64 = true;
    d->code_size = 8;
    d->lin_mask = d->sp_mask = ~(u64)0;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        d->seg_base[s] = 0;
        d->seg_rend[s] = d->seg_wend[s] = ~(u64)0;
    }
}

/* Real mode: 16-bit code and stack, segments at GUEST. */
static inline void set_real(void)
{
    struct cpu_derived *d = &cpu.d;
    d->prot = d->long_mode = d->code64 = false;
    d->code_size = 2;
    d->lin_mask = 0xffffffff;
    d->sp_mask = 0xffff;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        cpu.arch.seg[s].base = d->seg_base[s] = GUEST;
        cpu.arch.seg[s].limit = 0xffff;
        d->seg_rend[s] = d->seg_wend[s] = 0x10000;
    }
}

static inline void set_up(void)
{
    memset(&cpu, 0, sizeof cpu);
    memset(&model, 0xff, sizeof model);
    model.vendor = CPU_VENDOR_INTEL;
    model.phys_bits = 40;
    cpu.model = &model;
    phys = (struct phys){.ram = memory, .pages = pages, .dirty = dirty, .page_count = PAGES, .a20_mask = ~(u64)0};
    cpu.phys = &phys;
    cpu.arch.rflags = RFLAGS_ONE;
    cpu.arch.rip = 0x400000;
    ctx = (struct tlb_ctx){.rd = rd, .wr = wr, .mask = SLOTS - 1};
    cpu.d.ctx = cpu.d.sys_ctx = &ctx;
    for (unsigned i = 0; i < SLOTS; i++) {
        rd[i] = wr[i] = (struct tlb_entry){.page = EMPTY};
    }
    for (u64 p = 0; p < PAGES; p++) {
        u64 page = GUEST + p * 4096;
        struct tlb_entry e = {page, memory + (page - GUEST)};
        rd[tlb_slot(&ctx, page)] = wr[tlb_slot(&ctx, page)] = e;
    }
    memset(memory, 0, sizeof memory);
    random_state = 1;
    set_code64();
}

static inline struct insn make(unsigned size, unsigned r0, unsigned r1, unsigned r2, u64 imm)
{
    return (struct insn){.osz = (u8)size,
                         .len = 4,
                         .r = {(u8)r0, (u8)r1, (u8)r2, OPR_NONE},
                         .imm = imm,
                         .base = REG_NONE,
                         .index = REG_NONE,
                         .sib = SEG_DS << 2 | 2 << 5};
}

#endif
