/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which bits of CR3 and CR4 the model has. */
#include "cpu/control.h"
#include "cpu/model.h"

u64 cr4_supported(const struct cpu *cpu)
{
    static const struct {
        u32 feature;
        u32 bits;
    } rows[] = {
        {CPU_FEATURE_VME, CR4_VME | CR4_PVI},
        {CPU_FEATURE_TSC, CR4_TSD},
        {CPU_FEATURE_DE, CR4_DE},
        {CPU_FEATURE_PSE, CR4_PSE},
        {CPU_FEATURE_PAE, CR4_PAE},
        {CPU_FEATURE_MCE, CR4_MCE},
        {CPU_FEATURE_PGE, CR4_PGE},
        {CPU_FEATURE_FXSR, CR4_OSFXSR},
        {CPU_FEATURE_SSE, CR4_OSXMMEXCPT},
        {CPU_FEATURE_UMIP, CR4_UMIP},
        {CPU_FEATURE_LA57, CR4_LA57},
        {CPU_FEATURE_VMX, CR4_VMXE},
        {CPU_FEATURE_FSGSBASE, CR4_FSGSBASE},
        {CPU_FEATURE_PCID, CR4_PCIDE},
        {CPU_FEATURE_XSAVE, CR4_OSXSAVE},
        {CPU_FEATURE_SMEP, CR4_SMEP},
        {CPU_FEATURE_SMAP, CR4_SMAP},
        {CPU_FEATURE_PKU, CR4_PKE},
        {CPU_FEATURE_CET_SS, CR4_CET},
        {CPU_FEATURE_CET_IBT, CR4_CET},
        {CPU_FEATURE_PKS, CR4_PKS},
        {CPU_FEATURE_LAM, CR4_LAM_SUP},
    };
    u64 bits = CR4_PCE;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (cpu_has(cpu, (enum cpu_feature)rows[i].feature)) {
            bits |= rows[i].bits;
        }
    }
    return bits;
}

u64 cr3_reserved(const struct cpu *cpu)
{
    u64 reserved = cpu_phys_reserved(cpu);
    return cpu_has(cpu, CPU_FEATURE_LAM) ? reserved & ~((u64)CR3_LAM_U48 | CR3_LAM_U57) : reserved;
}
