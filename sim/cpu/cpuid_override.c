/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD's registers that change what CPUID says of features: a hypervisor shows its guests less, firmware hides what does
 * not work. What the processor can do stays. AMD's processor programming references: "CPUID_7_Features",
 * "CPUID_PWR_THERM", "CPUID_Features", "CPUID_ExtFeatures".
 *
 * Kept is the difference to the processor's own words, so 0 is "untouched". OSXSAVE, MONITOR and APIC follow other
 * registers as ever: their bits here only let them through.
 *
 * UNCLEAR: bits of features that the processor does not have; they can be set, as HYPERVISOR must be: test_model__override. */
#include "cpu/cpuid_priv.h"
#include "cpu/msr_priv.h"

#include "base/bits.h"

#include <string.h>

#define LEAF1_ECX_MONITOR BIT32(3)
#define LEAF1_ECX_OSXSAVE BIT32(27)
#define EDX_APIC BIT32(9)

struct pair {
    u32 *low, *high;
    u64 follows; /* bits that other registers switch too */
};

static struct pair pair_of(struct cpuid_regs *r, u32 msr)
{
    switch (msr) {
    case MSR_AMD_CPUID_7:
        return (struct pair){&r->ebx, &r->eax, 0};
    case MSR_AMD_CPUID_6:
        return (struct pair){&r->ecx, NULL, 0};
    case MSR_AMD_CPUID_1:
        return (struct pair){&r->edx, &r->ecx, EDX_APIC | (u64)(LEAF1_ECX_MONITOR | LEAF1_ECX_OSXSAVE) << 32};
    default:
        return (struct pair){&r->edx, &r->ecx, EDX_APIC};
    }
}

static u32 leaf_of(u32 msr)
{
    static const u32 leaves[] = {7, 6, 1, 0x80000001};
    return leaves[msr - MSR_AMD_CPUID_7];
}

void cpuid_override(const struct cpu *cpu, u32 leaf, struct cpuid_regs *r)
{
    for (u32 msr = MSR_AMD_CPUID_7; msr <= MSR_AMD_CPUID_EXT; msr++) {
        u64 flips = cpu->arch.cpuid_flips[msr - MSR_AMD_CPUID_7];
        if (flips == 0 || leaf != leaf_of(msr)) {
            continue;
        }
        struct pair p = pair_of(r, msr);
        u64 shown = *p.low | (p.high != NULL ? (u64)*p.high << 32 : 0);
        shown = ((shown ^ flips) & ~p.follows) | (shown & ~flips & p.follows);
        *p.low = (u32)shown;
        if (p.high != NULL) {
            *p.high = (u32)(shown >> 32);
        }
    }
}

/* What the register says while nobody wrote it: bits that follow others are 1 where there is the feature. */
static u64 untouched(const struct cpu *cpu, u32 msr)
{
    struct cpu plain = *cpu;
    memset(plain.arch.cpuid_flips, 0, sizeof plain.arch.cpuid_flips);
    plain.arch.apic_base |= APIC_BASE_ENABLE;
    plain.arch.hwcr &= ~(u64)HWCR_MONITOR_DISABLE;
    plain.arch.cr4 |= cpu_has(cpu, CPU_FEATURE_XSAVE) ? CR4_OSXSAVE : 0u;
    struct cpuid_regs r = cpuid_lookup(&plain, leaf_of(msr), 0);
    struct pair p = pair_of(&r, msr);
    return *p.low | (p.high != NULL ? (u64)*p.high << 32 : 0);
}

MSR_READER(cpuid_override)
{
    UNUSED(row);
    *value = untouched(cpu, index) ^ cpu->arch.cpuid_flips[index - MSR_AMD_CPUID_7];
    return CPU_OK;
}

MSR_WRITER(cpuid_override)
{
    UNUSED(row);
    if (index == MSR_AMD_CPUID_6 && value >> 32 != 0) {
        return raise_gp(cpu, 0, "WRMSR: reserved bits");
    }
    cpu->arch.cpuid_flips[index - MSR_AMD_CPUID_7] = value ^ untouched(cpu, index);
    return CPU_OK;
}
