/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPUID: every leaf, from the model's features and the state of this processor.
 *
 * Feature words are collected from feature.def; this file adds what is not a switch: signatures,
 * counts, sizes and the bits that follow registers (OSXSAVE, OSPKE, APIC). No leaf says that there
 * is a hypervisor below: the machine is bare. [SDM2 "CPUID"], [APM3 "CPUID"] */
#include "cpu/apic.h"
#include "cpu/cpuid_priv.h"
#include "cpu/msr.h"
#include "cpu/pmu.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <string.h>

#define LEAF1_EDX_APIC BIT32(9)
#define LEAF1_EDX_HTT BIT32(28)
#define LEAF1_ECX_MONITOR BIT32(3)
#define LEAF1_ECX_OSXSAVE BIT32(27)
#define LEAF7_ECX_OSPKE BIT32(4)
#define EXT1_ECX_CMP_LEGACY BIT32(1)
#define EXT1_EDX_SYSCALL BIT32(11)
#define EXT1_EDX_NX BIT32(20)
/* Bits of leaf 1 EDX that AMD repeats in leaf 80000001h. */
#define AMD_EDX_COPY 0x0183f3ffu

#define INTEL_MAX_BASIC 0x1f
#define INTEL_MAX_EXT 0x80000008u
#define AMD_MAX_BASIC 0x10
#define AMD_MAX_EXT 0x80000021u

static void feature_words(const struct cpu_model *m, u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
    u32 *const regs[] = {&r->eax, &r->ebx, &r->ecx, &r->edx};
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        const struct feature_info *info = &feature_table[f];
        if (info->leaf == leaf && info->subleaf == subleaf && info->reg != FEATURE_CAPS &&
            model_has(m, f)) {
            *regs[info->reg] |= BIT32(info->bit);
        }
    }
}

static u32 signature(const struct cpu_model *m)
{
    u32 ext_family = m->family > 0xf ? m->family - 0xf : 0;
    u32 family = m->family > 0xf ? 0xf : m->family;
    return (m->stepping & 0xf) | (m->model & 0xf) << 4 | family << 8 | (m->model >> 4 & 0xf) << 16 |
           ext_family << 20;
}

static u32 max_basic(const struct cpu *cpu)
{
    if (cpu_is_intel(cpu) && (cpu->arch.misc_enable & MISC_ENABLE_LIMIT_CPUID) != 0) {
        return 2;
    }
    if (cpu->model->max_basic != 0) {
        return cpu->model->max_basic;
    }
    return cpu_is_intel(cpu) ? INTEL_MAX_BASIC : AMD_MAX_BASIC;
}

static u32 max_ext(const struct cpu *cpu)
{
    if (cpu->model->max_ext != 0) {
        return cpu->model->max_ext;
    }
    return cpu_is_intel(cpu) ? INTEL_MAX_EXT : AMD_MAX_EXT;
}

static bool monitor_enabled(const struct cpu *cpu)
{
    return cpu_is_intel(cpu) ? (cpu->arch.misc_enable & MISC_ENABLE_MONITOR) != 0
                             : (cpu->arch.hwcr & HWCR_MONITOR_DISABLE) == 0;
}

static struct cpuid_regs vendor_leaf(const struct cpu *cpu, u32 max)
{
    const char *text = cpu_is_intel(cpu) ? "GenuineIntel" : "AuthenticAMD";
    return (struct cpuid_regs){
        .eax = max, .ebx = load_le32(text), .edx = load_le32(text + 4), .ecx = load_le32(text + 8)};
}

static struct cpuid_regs leaf_1(const struct cpu *cpu)
{
    struct cpuid_regs r = {.eax = signature(cpu->model)};
    u32 n = cpuid_processors(cpu);
    u32 ids = cpu_is_intel(cpu) ? 1u << cpuid_core_bits(cpu) : n;
    r.ebx = (cpu->index & 0xff) << 24 | (n > 1 ? (ids & 0xff) << 16 : 0);
    r.ebx |= cpu_has(cpu, CPU_FEATURE_CLFSH) ? 8u << 8 : 0;
    feature_words(cpu->model, 1, 0, &r);
    if ((cpu->arch.apic_base & APIC_BASE_ENABLE) == 0) {
        r.edx &= ~LEAF1_EDX_APIC;
    }
    if (n == 1) {
        r.edx &= ~LEAF1_EDX_HTT;
    }
    if (!monitor_enabled(cpu)) {
        r.ecx &= ~LEAF1_ECX_MONITOR;
    }
    if ((cpu->arch.cr4 & CR4_OSXSAVE) != 0) {
        r.ecx |= LEAF1_ECX_OSXSAVE;
    }
    return r;
}

/* MONITOR: one 64-byte line, extensions, interrupts wake with IF = 0; C1 and C1E on Intel, C1 on
 * AMD. */
static struct cpuid_regs leaf_5(const struct cpu *cpu)
{
    if (!cpu_has(cpu, CPU_FEATURE_MONITOR)) {
        return (struct cpuid_regs){0};
    }
    return (struct cpuid_regs){
        .eax = 64, .ebx = 64, .ecx = 3, .edx = cpu_is_intel(cpu) ? 0x20 : 0x11};
}

static struct cpuid_regs leaf_7(const struct cpu *cpu, u32 subleaf)
{
    struct cpuid_regs r = {0};
    feature_words(cpu->model, 7, subleaf, &r);
    if (subleaf == 0) {
        for (u32 sub = 1; sub <= 2; sub++) {
            struct cpuid_regs s = {0};
            feature_words(cpu->model, 7, sub, &s);
            r.eax = (s.eax | s.ebx | s.ecx | s.edx) != 0 ? sub : r.eax;
        }
        if ((cpu->arch.cr4 & CR4_PKE) != 0) {
            r.ecx |= LEAF7_ECX_OSPKE;
        }
    }
    return r;
}

/* [SDM2 "CPUID", "INPUT EAX = 0AH"]: cache and branch events are not counted. */
static struct cpuid_regs leaf_a(const struct cpu *cpu)
{
    if (!cpu_is_intel(cpu) || !cpu->model->pmu) {
        return (struct cpuid_regs){0};
    }
    return (struct cpuid_regs){
        .eax = PMU_INTEL_VERSION | PMU_INTEL_GP << 8 | PMU_WIDTH << 16 | 7u << 24,
        .ebx = 0x18, /* no events of the last-level cache */
        .edx = PMU_INTEL_FIXED | PMU_WIDTH << 5,
    };
}

static struct cpuid_regs leaf_d(const struct cpu *cpu, u32 subleaf)
{
    const struct cpu_model *m = cpu->model;
    struct cpuid_regs r = {0};
    if (!model_has(m, CPU_FEATURE_XSAVE)) {
        return r;
    }
    u64 user = xsave_xcr0_mask(m), super = xsave_xss_mask(m);
    if (subleaf == 0) {
        r.eax = (u32)user;
        r.edx = (u32)(user >> 32);
        r.ebx = xsave_size(m, cpu->arch.xcr0, false);
        r.ecx = xsave_size(m, user, false);
        return r;
    }
    if (subleaf == 1) {
        feature_words(m, 0xd, 1, &r);
        if (model_has(m, CPU_FEATURE_XSAVEC)) {
            r.ebx = xsave_size(m, cpu->arch.xcr0 | cpu->arch.xss, true);
        }
        r.ecx = (u32)super;
        r.edx = (u32)(super >> 32);
        return r;
    }
    struct xsave_component c;
    if (!xsave_component(m, subleaf, &c)) {
        return r;
    }
    r.eax = c.size;
    r.ebx = c.offset;
    r.ecx = (c.supervisor ? 1u : 0) | (c.align64 ? 2u : 0);
    return r;
}

/* SGX1 without a page of enclave memory: sub-leaves from 2 on, its sections, are all invalid. XFRM can be what XCR0
 * can. [SDM2 "CPUID", "INPUT EAX = 12H"] */
static struct cpuid_regs leaf_12(const struct cpu *cpu, u32 subleaf)
{
    u64 xfrm = xsave_xcr0_mask(cpu->model);
    if (!cpu_has(cpu, CPU_FEATURE_SGX) || subleaf > 1) {
        return (struct cpuid_regs){0};
    }
    if (subleaf == 0) { /* enclaves of 2 GiB, in 64-bit mode of 64 GiB */
        return (struct cpuid_regs){.eax = 1, .edx = 31 | 36u << 8};
    }
    return (struct cpuid_regs){.eax = 0x36, .ecx = (u32)xfrm, .edx = (u32)(xfrm >> 32)};
}

static u64 gcd(u64 a, u64 b)
{
    while (b != 0) {
        u64 t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* TSC = crystal x EBX / EAX. The APIC timer counts the same crystal. */
static struct cpuid_regs leaf_15(const struct cpu *cpu)
{
    u64 crystal = apic_timer_hz(cpu);
    u64 num = cpu->clock->tsc_hz;
    u64 den = crystal;
    u64 g = gcd(num, den);
    if (g == 0 || num == 0) {
        return (struct cpuid_regs){0};
    }
    num /= g;
    den /= g;
    while (num > 0xffffffffu) { /* an absurd rate: the nearest ratio that fits */
        num >>= 1;
        den = den > 1 ? den >> 1 : 1;
    }
    return (struct cpuid_regs){.eax = (u32)den, .ebx = (u32)num, .ecx = (u32)crystal};
}

static struct cpuid_regs leaf_16(const struct cpu *cpu)
{
    u32 mhz = (u32)(cpu->clock->tsc_hz / 1000000 & 0xffff);
    return (struct cpuid_regs){.eax = mhz, .ebx = mhz, .ecx = 100};
}

static struct cpuid_regs basic_leaf(const struct cpu *cpu, u32 leaf, u32 subleaf)
{
    bool intel = cpu_is_intel(cpu);
    struct cpuid_regs r = {0};
    switch (leaf) {
    case 0:
        return vendor_leaf(cpu, max_basic(cpu));
    case 1:
        return leaf_1(cpu);
    case 2: /* Intel: everything stands in leaves 4 and 18h; 64-byte prefetch */
        return intel ? (struct cpuid_regs){.eax = 0x00feff01, .ebx = 0xf0} : r;
    case 4:
        return intel ? cpuid_intel_caches(cpu, subleaf) : r;
    case 5:
        return leaf_5(cpu);
    case 6:
        feature_words(cpu->model, 6, 0, &r);
        return r;
    case 7:
        return leaf_7(cpu, subleaf);
    case 0xa:
        return leaf_a(cpu);
    case 0xb:
        return cpuid_topology(cpu, subleaf);
    case 0xd:
        return leaf_d(cpu, subleaf);
    case 0x12:
        return leaf_12(cpu, subleaf);
    case 0x15:
        return intel ? leaf_15(cpu) : r;
    case 0x16:
        return intel ? leaf_16(cpu) : r;
    case 0x1f:
        return intel ? cpuid_topology(cpu, subleaf) : r;
    default: /* 1BH among them: PCONFIG has no targets */
        return r;
    }
}

static struct cpuid_regs ext_leaf_1(const struct cpu *cpu)
{
    struct cpuid_regs r = {0};
    feature_words(cpu->model, 0x80000001, 0, &r);
    if (cpu_is_intel(cpu)) {
        /* Intel has SYSCALL in 64-bit mode only, and says so only there. */
        if (!cpu->d.code64) {
            r.edx &= ~EXT1_EDX_SYSCALL;
        }
        if ((cpu->arch.misc_enable & MISC_ENABLE_XD_DISABLE) != 0) {
            r.edx &= ~EXT1_EDX_NX;
        }
        return r;
    }
    r.eax = signature(cpu->model);
    r.ebx = 4u << 28; /* package: SP3 */
    r.edx |= leaf_1(cpu).edx & AMD_EDX_COPY;
    if (cpuid_processors(cpu) == 1) {
        r.ecx &= ~EXT1_ECX_CMP_LEGACY;
    }
    return r;
}

static struct cpuid_regs brand_leaf(const struct cpu *cpu, u32 part)
{
    const char *text = cpu->model->brand + (size_t)16 * part;
    return (struct cpuid_regs){.eax = load_le32(text),
                               .ebx = load_le32(text + 4),
                               .ecx = load_le32(text + 8),
                               .edx = load_le32(text + 12)};
}

static struct cpuid_regs ext_leaf_8(const struct cpu *cpu)
{
    struct cpuid_regs r = {.eax = cpu->model->phys_bits | model_linear_bits(cpu->model) << 8};
    if (!cpu_has(cpu, CPU_FEATURE_LM)) {
        r.eax = cpu->model->phys_bits | 32u << 8;
    }
    feature_words(cpu->model, 0x80000008, 0, &r);
    if (!cpu_is_intel(cpu)) {
        r.ecx = (cpuid_processors(cpu) - 1) | cpuid_core_bits(cpu) << 12;
    }
    return r;
}

static struct cpuid_regs ext_leaf(const struct cpu *cpu, u32 leaf, u32 subleaf)
{
    bool amd = !cpu_is_intel(cpu);
    bool topoext = cpu_has(cpu, CPU_FEATURE_TOPOEXT);
    struct cpuid_regs r = {0};
    switch (leaf) {
    case 0x80000000:
        r = vendor_leaf(cpu, max_ext(cpu));
        return amd ? r : (struct cpuid_regs){.eax = r.eax};
    case 0x80000001:
        return ext_leaf_1(cpu);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return brand_leaf(cpu, leaf - 0x80000002);
    case 0x80000005:
        return amd ? cpuid_amd_l1() : r;
    case 0x80000006:
        return cpuid_l2(cpu);
    case 0x80000008:
        return ext_leaf_8(cpu);
    case 0x8000000a: /* SVM: revision 1, 32768 ASIDs */
        if (cpu_has(cpu, CPU_FEATURE_SVM)) {
            r.eax = 1;
            r.ebx = 0x8000;
            feature_words(cpu->model, leaf, 0, &r);
        }
        return r;
    case 0x80000019: /* TLB entries for 1-GByte pages */
        return amd ? (struct cpuid_regs){.eax = 0xf040f040} : r;
    case 0x8000001a: /* MOVU preferred, 256-bit paths */
        return amd ? (struct cpuid_regs){.eax = 6} : r;
    case 0x8000001d:
        return topoext ? cpuid_amd_caches(cpu, subleaf) : r;
    case 0x8000001e:
        return topoext ? cpuid_amd_topology(cpu) : r;
    default: /* 80000007h, 8000000Ah, 8000001Fh, 80000021h: feature words alone */
        feature_words(cpu->model, leaf, 0, &r);
        return r;
    }
}

struct cpuid_regs cpuid_lookup(const struct cpu *cpu, u32 leaf, u32 subleaf)
{
    struct cpuid_regs r;
    if (leaf >= 0x80000000 && leaf <= max_ext(cpu)) {
        r = ext_leaf(cpu, leaf, subleaf);
    } else if (leaf <= max_basic(cpu)) {
        r = basic_leaf(cpu, leaf, subleaf);
    } else {
        /* Out of range: Intel answers with the highest basic leaf, AMD with zeros. */
        return cpu_is_intel(cpu) ? basic_leaf(cpu, max_basic(cpu), subleaf) : (struct cpuid_regs){0};
    }
    if (subleaf == 0 || leaf != 7) {
        cpuid_override(cpu, leaf, &r);
    }
    return r;
}
