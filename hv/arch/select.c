/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hv/arch/arch.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"

#define CPUID1_VMX 0x20u
#define CPUID81_SVM 0x4u

const struct arch *arch;

void arch_select(void)
{
    if ((insn_cpuid(1, 0).ecx & CPUID1_VMX) != 0) {
        arch = &arch_vmx;
    } else if (insn_cpuid(0x80000000, 0).eax >= 0x8000000a && (insn_cpuid(0x80000001, 0).ecx & CPUID81_SVM) != 0) {
        arch = &arch_svm;
    } else {
        panic("this processor has neither VMX nor SVM (a machine with --cpu intel or --cpu amd has one)");
    }
}
