/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU models: what CPUID and the capability MSRs say. Features are data, never #if. */
#ifndef VITRINE_CPU_MODEL_H
#define VITRINE_CPU_MODEL_H

#include "base/status.h"
#include "base/types.h"
#include "cpu/cpu.h"

#include <stdio.h>

enum cpu_feature {
#define FEATURE(id, ...) CPU_FEATURE_##id,
#include "cpu/feature.def"
#undef FEATURE
    CPU_FEATURE_COUNT
};

enum cpu_vendor { CPU_VENDOR_INTEL, CPU_VENDOR_AMD };

enum feature_reg { FEATURE_EAX, FEATURE_EBX, FEATURE_ECX, FEATURE_EDX, FEATURE_CAPS };
enum feature_vendor { FEATURE_OF_INTEL, FEATURE_OF_AMD, FEATURE_OF_ANY };
enum feature_models {
    FEATURE_IN_INTEL,
    FEATURE_IN_AMD,
    FEATURE_IN_BOTH,
    FEATURE_IN_MAX,
    FEATURE_IN_ASK
};

/* A row of feature.def. */
struct feature_info {
    const char *name;
    u32 leaf;
    u8 subleaf;
    enum feature_reg reg;
    u8 bit;
    enum feature_vendor vendor;
    bool implemented;
    enum feature_models models;
    const char *meaning;
};
extern const struct feature_info feature_table[CPU_FEATURE_COUNT];

struct cpu_model {
    char name[32];
    char brand[49]; /* CPUID leaves 80000002h-80000004h */
    enum cpu_vendor vendor;
    u8 phys_bits;                /* MAXPHYADDR */
    bool pmu;                    /* performance counters */
    u32 family, model, stepping; /* as displayed: extended fields included */
    u32 max_basic, max_ext;      /* highest leaves; 0: the vendor's own */
    u64 features[(CPU_FEATURE_COUNT + 63) / 64];
    u64 vmx_bits[0x13]; /* what the features say for each VMX capability MSR from 480h on */
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

/* Parse a --cpu argument: "intel", "amd,-smap", "max,vendor=amd,+la57,phys-bits=46" and QEMU's
 * names. */
bool cpu_model_parse(struct cpu_model *m, const char *text, struct error *err);

/* `vitrine cpu list` and `vitrine cpu features`. */
void cpu_model_list(FILE *out);
void cpu_feature_list(FILE *out);

/* Width of linear addresses that the processor can have (whatever CR4.LA57 says now). */
static inline unsigned model_linear_bits(const struct cpu_model *m)
{
    return model_has(m, CPU_FEATURE_LA57) ? 57 : 48;
}

/* The switchable bits of a capability MSR. */
u64 model_capability_bits(const struct cpu_model *m, u32 msr);
/* The bits of IA32_ARCH_CAPABILITIES. */
u64 model_arch_capabilities(const struct cpu_model *m);

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};
/* CPUID as this processor answers it now (OSXSAVE, APIC and XSAVE sizes follow its state). */
struct cpuid_regs cpuid_lookup(const struct cpu *cpu, u32 leaf, u32 subleaf);

/* One component of the XSAVE area; false when this processor does not have it. Components 0 and 1
 * are the legacy region: size 0 here. [SDM1 "Managing State Using the XSAVE Feature Set"] */
struct xsave_component {
    u32 size;
    u32 offset;      /* standard form; 0 for supervisor components */
    bool supervisor; /* in IA32_XSS, not XCR0 */
    bool align64;    /* compacted form: on a 64-byte boundary */
};
bool xsave_component(const struct cpu_model *m, unsigned i, struct xsave_component *c);
/* The bits that XCR0 and IA32_XSS may have. */
u64 xsave_xcr0_mask(const struct cpu_model *m);
u64 xsave_xss_mask(const struct cpu_model *m);
/* Bytes of an XSAVE area for the components of `mask`, header included. */
u32 xsave_size(const struct cpu_model *m, u64 mask, bool compacted);

/* RDMSR and WRMSR: #GP(0) for what does not exist or holds reserved bits. msr.c */
cpu_rc msr_read(struct cpu *cpu, u32 index, u64 *value) MUST_USE;
cpu_rc msr_write(struct cpu *cpu, u32 index, u64 value) MUST_USE;

#endif
