/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector handlers without a machine: a processor whose memory is one page, everything else faults, and
 * random registers with a taste for limits. Included once per test: it defines the memory layer. */
#ifndef VITRINE_TESTS_SIMD_RIG_H
#define VITRINE_TESTS_SIMD_RIG_H

#include "cpu/exec/exec.h"
#include "cpu/exec/simd.h"
#include "tests/harness/native_run.h"

#include <check.h>

#define PAGE 4096u

/* The handlers' surroundings: one readable and writable page, everything else faults. */

static u8 *page;

static inline bool in_page(u64 lin, unsigned size)
{
    return lin - (u64)(uintptr_t)page <= PAGE - size;
}

cpu_rc raise_exception(struct cpu *cpu, unsigned vector, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION, .vector = (u8)vector, .why = why};
    return CPU_EXIT;
}

cpu_rc raise_error(struct cpu *cpu, unsigned vector, u32 error, const char *why)
{
    cpu->event = (struct event){
        .kind = EVENT_EXCEPTION, .vector = (u8)vector, .has_error = true, .error = error, .why = why};
    return CPU_EXIT;
}

cpu_rc mem_read_bytes(struct cpu *cpu, unsigned seg, u64 offset, void *data, unsigned size)
{
    u64 lin = cpu->d.seg_base[seg] + offset;
    if (!in_page(lin, size)) {
        return raise_error(cpu, VEC_PF, 0, "outside the test page");
    }
    memcpy(data, (const void *)(uintptr_t)lin, size);
    return CPU_OK;
}

cpu_rc mem_write_bytes(struct cpu *cpu, unsigned seg, u64 offset, const void *data, unsigned size)
{
    u64 lin = cpu->d.seg_base[seg] + offset;
    if (!in_page(lin, size)) {
        return raise_error(cpu, VEC_PF, 2, "outside the test page");
    }
    memcpy((void *)(uintptr_t)lin, data, size);
    return CPU_OK;
}

cpu_rc mem_read_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    *out = 0;
    return mem_read_bytes(cpu, seg, offset, out, size);
}

cpu_rc mem_write_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    return mem_write_bytes(cpu, seg, offset, &value, size);
}

cpu_rc mem_probe(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, unsigned access)
{
    UNUSED(access);
    return in_page(cpu->d.seg_base[seg] + offset, size) ? CPU_OK
                                                        : raise_error(cpu, VEC_PF, 2, "outside");
}

cpu_rc mem_read_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    return mem_read_slow(cpu, seg, offset, size, out);
}

cpu_rc mem_write_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    return mem_write_slow(cpu, seg, offset, size, value);
}

cpu_rc mem_linear(struct cpu *cpu, unsigned seg, u64 offset, u64 size, unsigned access, u64 *lin)
{
    UNUSED(size);
    UNUSED(access);
    *lin = cpu->d.seg_base[seg] + offset;
    return CPU_OK;
}

cpu_rc mem_check_aligned(struct cpu *cpu, unsigned seg, u64 offset, unsigned align)
{
    u64 lin = cpu->d.seg_base[seg] + offset;
    return (lin & (align - 1)) == 0 ? CPU_OK : raise_gp(cpu, 0, "vector operand not aligned");
}

static u64 rng_state = 0x9e3779b97f4a7c15u;

static inline u64 rng(void)
{
    u64 z = (rng_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned rng_below(unsigned n)
{
    return (unsigned)(rng() >> 33) % n;
}

/* Bytes with a taste for limits, equal elements and zeros. */
static inline void random_bytes(u8 *p, unsigned n)
{
    static const u8 special[] = {0, 0, 0, 0xff, 0x80, 0x7f, 1, 0x81};
    unsigned style = rng_below(4);
    for (unsigned i = 0; i < n; i++) {
        u64 r = rng();
        bool odd = style == 1 ? (r & 3) == 0 : style == 2 ? (r & 3) != 0 : style == 3;
        p[i] = odd ? special[(r >> 8) % sizeof special] : (u8)(r >> 16);
    }
    if (rng_below(8) == 0 && n >= 16) { /* text with a small alphabet */
        for (unsigned i = 0; i < n; i++) {
            p[i] = (u8)('a' + rng_below(3));
        }
        p[rng_below(n)] = 0;
    }
}

static inline u64 random_u64(void)
{
    u64 v;
    random_bytes((u8 *)&v, sizeof v);
    return v;
}

static struct cpu cpu;
static struct tlb_entry tlb_rd, tlb_wr;
static struct tlb_ctx tlb;

static inline void cpu_from_native(const struct native_state *s)
{
    memset(&cpu, 0, sizeof cpu);
    tlb_rd = tlb_wr = (struct tlb_entry){.page = (u64)(uintptr_t)page, .host = page};
    tlb = (struct tlb_ctx){.rd = &tlb_rd, .wr = &tlb_wr};
    cpu.d.ctx = &tlb;
    cpu.d.lin_mask = ~(u64)0;
    cpu.d.code64 = true;
    cpu.d.code_size = 8;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu.d.seg_rend[i] = cpu.d.seg_wend[i] = ~(u64)0;
    }
    memcpy(cpu.arch.gpr, s->gpr, sizeof s->gpr);
    memcpy(cpu.arch.vec, s->vec, sizeof s->vec);
    cpu.arch.cr4 = CR4_OSFXSR;
    cpu.arch.mxcsr = s->fx.mxcsr;
    cpu.arch.fpu.fsw = s->fx.fsw;
    cpu.arch.fpu.tags = s->fx.tags;
    unsigned top = (s->fx.fsw >> 11) & 7;
    for (unsigned i = 0; i < 8; i++) {
        cpu.arch.fpu.r[(top + i) & 7].mant = load_le64(s->fx.st[i]);
        cpu.arch.fpu.r[(top + i) & 7].se = load_le16(s->fx.st[i] + 8);
    }
    cpu_set_rflags(&cpu, s->rflags);
}

static inline void random_state(struct native_state *s)
{
    native_state_init(s);
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = rng_below(4) == 0 ? rng_below(20) : random_u64();
        random_bytes(s->vec[i], 32);
    }
    for (unsigned i = 1; i < 16; i++) {
        if (rng_below(4) == 0) {
            memcpy(s->vec[i], s->vec[i - 1], 32); /* equal sources, but for a few bytes */
            s->vec[i][rng_below(32)] ^= 1;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        random_bytes(s->fx.st[i], 10);
    }
    s->rflags = rng() & RFLAGS_ARITH;
    s->fx.fsw = (u16)(rng_below(8) << 11);
    s->fx.tags = (u8)rng();
    /* Counts of shifts: small more often than chance gives. */
    for (unsigned i = 0; i < 16; i += 3) {
        for (unsigned k = 0; k < 32; k += 4) {
            store_le32(s->vec[i] + k, k % 8 == 0 || rng_below(2) == 0 ? rng_below(70) : 0);
        }
    }
}

#endif
