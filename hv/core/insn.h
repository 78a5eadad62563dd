/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processor instructions that C has no words for. */
#ifndef HV_CORE_INSN_H
#define HV_CORE_INSN_H

#include "hv/core/types.h"

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

static inline struct cpuid insn_cpuid(u32 leaf, u32 sub)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
    return r;
}

static inline u64 insn_rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static inline void insn_wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 insn_rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

static inline void insn_out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 insn_in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

#define INSN_CR(n)                                                                                           \
    static inline u64 insn_read_cr##n(void)                                                                  \
    {                                                                                                        \
        u64 v;                                                                                               \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    static inline void insn_write_cr##n(u64 v) { __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory"); }
INSN_CR(0)
INSN_CR(2)
INSN_CR(3)
INSN_CR(4)
#undef INSN_CR

static inline void insn_xsetbv(u32 index, u64 value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 insn_xgetbv(u32 index)
{
    u32 lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
    return (u64)hi << 32 | lo;
}

static inline void insn_pause(void) { __asm__ volatile("pause" : : : "memory"); }
static inline void insn_cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void insn_barrier(void) { __asm__ volatile("" : : : "memory"); }

struct table_register {
    u16 limit;
    u64 base;
} __attribute__((packed));

static inline struct table_register insn_sgdt(void)
{
    struct table_register t;
    __asm__ volatile("sgdt %0" : "=m"(t));
    return t;
}

#endif
