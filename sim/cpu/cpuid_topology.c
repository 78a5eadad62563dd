/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPUID: caches, TLBs and the place of a processor in its package. One package, one thread per
 * core, one last-level cache for all. The caches are described as the real parts have them; nothing
 * models them. [SDM2 "CPUID"], [APM3 "Obtaining Processor Information Via the CPUID Instruction"]
 */
#include "cpu/cpuid_priv.h"

#include "base/bits.h"

struct cache {
    u32 type; /* 1 data, 2 instruction, 3 unified */
    u32 level;
    u32 ways, sets;
    bool shared; /* by all processors of the package */
    bool inclusive;
    bool hashed; /* Intel: complex indexing */
};

#define LINE_BYTES 64

static const struct cache intel_caches[] = {
    {1, 1, 12, 64, false, false, false},   /* 48 KBytes */
    {2, 1, 8, 64, false, false, false},    /* 32 KBytes */
    {3, 2, 20, 1024, false, false, false}, /* 1.25 MBytes */
    {3, 3, 12, 32768, true, false, true},  /* 24 MBytes */
};

static const struct cache amd_caches[] = {
    {1, 1, 8, 64, false, false, false},
    {2, 1, 8, 64, false, false, false},
    {3, 2, 8, 1024, false, true, false},   /* 512 KBytes */
    {3, 3, 16, 32768, true, false, false}, /* 32 MBytes */
};

unsigned cpuid_processors(const struct cpu *cpu)
{
    return cpu->set != NULL && cpu->set->count > 0 ? cpu->set->count : 1;
}

unsigned cpuid_core_bits(const struct cpu *cpu)
{
    unsigned bits = 0;
    while ((1u << bits) < cpuid_processors(cpu)) {
        bits++;
    }
    return bits;
}

/* EBX and ECX have one layout in Intel's leaf 4 and AMD's leaf 8000001Dh. */
static struct cpuid_regs cache_regs(const struct cache *c)
{
    return (struct cpuid_regs){
        .eax = c->type | c->level << 5 | BIT32(8), /* self initializing */
        .ebx = (LINE_BYTES - 1) | (c->ways - 1) << 22,
        .ecx = c->sets - 1,
        .edx = (c->inclusive ? 2u : 0) | (c->hashed ? 4u : 0),
    };
}

struct cpuid_regs cpuid_intel_caches(const struct cpu *cpu, u32 subleaf)
{
    if (subleaf >= ARRAY_LEN(intel_caches)) {
        return (struct cpuid_regs){0};
    }
    const struct cache *c = &intel_caches[subleaf];
    struct cpuid_regs r = cache_regs(c);
    u32 ids = (1u << cpuid_core_bits(cpu)) - 1;
    r.eax |= ids << 26 | (c->shared ? ids << 14 : 0);
    return r;
}

struct cpuid_regs cpuid_amd_caches(const struct cpu *cpu, u32 subleaf)
{
    if (subleaf >= ARRAY_LEN(amd_caches)) {
        return (struct cpuid_regs){0};
    }
    const struct cache *c = &amd_caches[subleaf];
    struct cpuid_regs r = cache_regs(c);
    r.eax |= c->shared ? (cpuid_processors(cpu) - 1) << 14 : 0;
    return r;
}

struct cpuid_regs cpuid_topology(const struct cpu *cpu, u32 subleaf)
{
    struct cpuid_regs r = {.ecx = subleaf & 0xff, .edx = cpu->index};
    if (subleaf == 0) { /* threads of a core */
        r.ebx = 1;
        r.ecx |= 1u << 8;
    } else if (subleaf == 1) { /* cores of the package */
        r.eax = cpuid_core_bits(cpu);
        r.ebx = cpuid_processors(cpu);
        r.ecx |= 2u << 8;
    }
    return r;
}

struct cpuid_regs cpuid_amd_l1(void)
{
    return (struct cpuid_regs){
        .eax = 0xff40ff40, /* 2- and 4-MByte pages: 64 entries, fully associative, data and code */
        .ebx = 0xff40ff40, /* 4-KByte pages */
        .ecx = 32u << 24 | 8u << 16 | 1u << 8 | LINE_BYTES,
        .edx = 32u << 24 | 8u << 16 | 1u << 8 | LINE_BYTES,
    };
}

struct cpuid_regs cpuid_l2(const struct cpu *cpu)
{
    if (cpu_is_intel(cpu)) {
        return (struct cpuid_regs){.ecx = 1280u << 16 | 7u << 12 | LINE_BYTES};
    }
    return (struct cpuid_regs){
        .eax = 0x48002200, /* 2-MByte pages: 2048 data entries, 512 code entries */
        .ebx = 0x68004200,
        .ecx = 512u << 16 | 6u << 12 | 1u << 8 | LINE_BYTES,
        .edx = 64u << 18 | 9u << 12 | 1u << 8 | LINE_BYTES, /* 9: see leaf 8000001Dh */
    };
}

struct cpuid_regs cpuid_amd_topology(const struct cpu *cpu)
{
    return (struct cpuid_regs){.eax = cpu->index, .ebx = cpu->index & 0xff};
}
