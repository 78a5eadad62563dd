/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The capability MSRs. [SDM3 "VMX Capability Reporting Facility"] Optional bits are the model's features
 * (feature_vmx.def); what is here is the frame around them. */
#include "cpu/control.h"
#include "cpu/model.h"
#include "cpu/msr_priv.h"
#include "cpu/vmx/vmx_priv.h"

/* Controls that are 1 by default (bits 0-31). */
#define PIN_DEFAULT1 0x00000016u
#define PROC_DEFAULT1 0x0401e172u
#define EXIT_DEFAULT1 0x00036dffu
#define ENTRY_DEFAULT1 0x000011ffu
#define MISC_TIMER_RATE 3u /* the preemption timer counts at an eighth of the TSC rate */
#define MISC_CR3_TARGETS 4u

static u64 bits(const struct cpu *cpu, u32 msr)
{
    return cpu->model->vmx_bits[msr - MSR_IA32_VMX_BASIC];
}

/* Allowed-0 in the low half, allowed-1 in the high half. */
static u64 controls(const struct cpu *cpu, u32 msr, u32 must_be_1, u32 default1)
{
    return (bits(cpu, msr) | must_be_1 | default1) << 32 | must_be_1;
}

static bool has_true(const struct cpu *cpu)
{
    return cpu_has(cpu, CPU_FEATURE_VMX_TRUE_CTLS);
}

/* What must be 1 says the TRUE register: of the default, all but the controls that are known by now and not switched
 * off: CR3-load and CR3-store exiting, the debug controls. */
static u32 default_left(const struct cpu *cpu, u32 default1, u32 known, u32 msr)
{
    return has_true(cpu) ? default1 & ~(known & (u32)bits(cpu, msr)) : default1;
}

u64 vmx_cr0_fixed1(const struct cpu *cpu)
{
    UNUSED(cpu);
    return 0xffffffff;
}

u64 vmx_cr4_fixed1(const struct cpu *cpu)
{
    return cr4_supported(cpu);
}

u64 vmx_capability(const struct cpu *cpu, u32 msr)
{
    switch (msr) {
    case MSR_IA32_VMX_BASIC:
        return VMCS_REVISION | (u64)VMCS_BYTES << 32 | (u64)6 << 50 | bits(cpu, msr);
    case MSR_IA32_VMX_PINBASED_CTLS:
    case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
        return controls(cpu, MSR_IA32_VMX_PINBASED_CTLS, PIN_DEFAULT1, PIN_DEFAULT1);
    case MSR_IA32_VMX_PROCBASED_CTLS:
        return controls(cpu, msr, PROC_DEFAULT1, PROC_DEFAULT1);
    case MSR_IA32_VMX_EXIT_CTLS:
        return controls(cpu, msr, EXIT_DEFAULT1, EXIT_DEFAULT1);
    case MSR_IA32_VMX_ENTRY_CTLS:
        return controls(cpu, msr, ENTRY_DEFAULT1, ENTRY_DEFAULT1);
    case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
        msr = MSR_IA32_VMX_PROCBASED_CTLS;
        return controls(cpu, msr, default_left(cpu, PROC_DEFAULT1, PROC_CR3_LOAD | PROC_CR3_STORE, msr),
                        PROC_DEFAULT1);
    case MSR_IA32_VMX_TRUE_EXIT_CTLS:
        msr = MSR_IA32_VMX_EXIT_CTLS;
        return controls(cpu, msr, default_left(cpu, EXIT_DEFAULT1, EXITC_SAVE_DEBUG, msr), EXIT_DEFAULT1);
    case MSR_IA32_VMX_TRUE_ENTRY_CTLS:
        msr = MSR_IA32_VMX_ENTRY_CTLS;
        return controls(cpu, msr, default_left(cpu, ENTRY_DEFAULT1, ENTRYC_LOAD_DEBUG, msr), ENTRY_DEFAULT1);
    case MSR_IA32_VMX_MISC:
        return MISC_TIMER_RATE | MISC_CR3_TARGETS << 16 | bits(cpu, msr);
    case MSR_IA32_VMX_CR0_FIXED0:
        return CR0_PG | CR0_NE | CR0_PE;
    case MSR_IA32_VMX_CR0_FIXED1:
        return vmx_cr0_fixed1(cpu);
    case MSR_IA32_VMX_CR4_FIXED0:
        return CR4_VMXE;
    case MSR_IA32_VMX_CR4_FIXED1:
        return vmx_cr4_fixed1(cpu);
    case MSR_IA32_VMX_VMCS_ENUM:
        return vmcs_highest_index(cpu) << 1;
    case MSR_IA32_VMX_PROCBASED_CTLS2:
        return bits(cpu, msr) << 32;
    case MSR_IA32_VMX_EPT_VPID_CAP:
        /* Structures may lie in uncached and in write-back memory. */
        return bits(cpu, msr) | (cpu_has(cpu, CPU_FEATURE_VMX_EPT) ? BIT(8) | BIT(14) : 0);
    default:
        return bits(cpu, msr);
    }
}

static bool register_exists(const struct cpu *cpu, u32 msr)
{
    switch (msr) {
    case MSR_IA32_VMX_PROCBASED_CTLS2:
        return cpu_has(cpu, CPU_FEATURE_VMX_SECONDARY_CTLS);
    case MSR_IA32_VMX_EPT_VPID_CAP:
        return cpu_has(cpu, CPU_FEATURE_VMX_EPT) || cpu_has(cpu, CPU_FEATURE_VMX_VPID);
    case MSR_IA32_VMX_VMFUNC:
        return cpu_has(cpu, CPU_FEATURE_VMX_VMFUNC);
    case MSR_IA32_VMX_PROCBASED_CTLS3:
        return cpu_has(cpu, CPU_FEATURE_VMX_TERTIARY_CTLS);
    default:
        return msr < MSR_IA32_VMX_TRUE_PINBASED_CTLS || msr > MSR_IA32_VMX_TRUE_ENTRY_CTLS || has_true(cpu);
    }
}

MSR_READER(vmx_capability)
{
    UNUSED(row);
    *value = 0;
    if (!register_exists(cpu, index)) {
        return raise_gp(cpu, 0, "RDMSR: VMX capability register that does not exist");
    }
    *value = vmx_capability(cpu, index);
    return CPU_OK;
}
