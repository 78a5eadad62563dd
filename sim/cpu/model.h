/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU models: what CPUID and the capability MSRs say. Features are data, never #if. */
#ifndef VITRINE_CPU_MODEL_H
#define VITRINE_CPU_MODEL_H

#include "base/status.h"
#include "base/types.h"
#include "cpu/cpu.h"

enum cpu_feature {
#define FEATURE(id, name, leaf, sub, reg, bit) CPU_FEATURE_##id,
#include "cpu/feature.def"
#undef FEATURE
    CPU_FEATURE_COUNT
};

enum cpu_vendor { CPU_VENDOR_INTEL, CPU_VENDOR_AMD };

struct cpu_model {
    char name[32];
    enum cpu_vendor vendor;
    u8 phys_bits; /* MAXPHYADDR */
    u32 family, model, stepping;
    u64 features[(CPU_FEATURE_COUNT + 63) / 64];
};

static inline bool model_has(const struct cpu_model *m, enum cpu_feature f)
{
    return ((m->features[f / 64] >> (f % 64)) & 1) != 0;
}

static inline bool cpu_has(const struct cpu *cpu, enum cpu_feature f)
{
    return model_has(cpu->model, f);
}

static inline bool cpu_is_intel(const struct cpu *cpu)
{
    return cpu->model->vendor == CPU_VENDOR_INTEL;
}

/* Physical-address bits above MAXPHYADDR, which are reserved in page tables and MSRs. */
static inline u64 cpu_phys_reserved(const struct cpu *cpu)
{
    return ~(u64)0 << cpu->model->phys_bits;
}

/* Parse a --cpu argument: "intel", "amd,-smap", "max,vendor=amd,+la57,phys-bits=46" and QEMU's names. */
bool cpu_model_parse(struct cpu_model *m, const char *text, struct error *err);

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};
/* CPUID as this processor answers it now (OSXSAVE, APIC and XSAVE sizes follow its state). */
struct cpuid_regs cpuid_lookup(const struct cpu *cpu, u32 leaf, u32 subleaf);

/* RDMSR and WRMSR: #GP(0) for what does not exist or holds reserved bits. msr.c */
cpu_rc msr_read(struct cpu *cpu, u32 index, u64 *value) MUST_USE;
cpu_rc msr_write(struct cpu *cpu, u32 index, u64 value) MUST_USE;

#endif
