/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checks on VMX controls. [SDM3 "Checks on VMX Controls"]: the predicates of entry_checks.def. */
#include "cpu/control.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/vmx/entry_checks.h"
#include "cpu/vmx/vmx_insn.h"

/* Against allowed-0 and allowed-1. */
static bool control_allowed(const struct vmx_check *c, u32 msr, u32 value)
{
    u64 cap = vmx_capability(c->cpu, msr);
    return (value & (u32)cap) == (u32)cap && (value & ~(u32)(cap >> 32)) == 0;
}

static bool page_ok(const struct vmx_check *c, u32 field)
{
    u64 at = check_field(c, field);
    return (at & PAGE_MASK) == 0 && (at & cpu_phys_reserved(c->cpu)) == 0;
}

static bool list_ok(const struct vmx_check *c, u32 count_field, u32 address_field)
{
    u64 count = check_field(c, count_field), at = check_field(c, address_field);
    if (count == 0) {
        return true;
    }
    return (at & 15) == 0 && (at & cpu_phys_reserved(c->cpu)) == 0 &&
           ((at + count * 16 - 1) & cpu_phys_reserved(c->cpu)) == 0;
}

static bool vector_has_error(unsigned vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC ||
           vector == VEC_CP;
}

/* Deliver-error-code: protected mode, hardware exception, and unless the processor says it does not
 * matter, exactly the vectors that have one. */
static bool error_code_ok(const struct vmx_check *c)
{
    bool error = (c->inject & INTR_ERROR_CODE) != 0;
    bool hard = inject_type(c) == INTR_HARD_EXCEPTION;
    bool pe = !c->unrestricted || (c->cr0 & CR0_PE) != 0;
    if (!hard || !pe) {
        return !error;
    }
    if (cpu_has(c->cpu, CPU_FEATURE_VMX_ANY_ERRCODE)) {
        return true;
    }
    return error == vector_has_error(c->inject & INTR_VECTOR);
}

CHECK_FN(PIN_RESERVED)
{
    return control_allowed(c, MSR_IA32_VMX_TRUE_PINBASED_CTLS, c->pin);
}

CHECK_FN(PROC_RESERVED)
{
    return control_allowed(c, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, c->proc);
}

CHECK_FN(PROC2_RESERVED)
{
    return (c->proc & PROC_SECONDARY) == 0 || control_allowed(c, MSR_IA32_VMX_PROCBASED_CTLS2, c->proc2);
}

CHECK_FN(PROC3_RESERVED)
{
    return (c->proc & PROC_TERTIARY) == 0 || (c->proc3 & ~vmx_capability(c->cpu, MSR_IA32_VMX_PROCBASED_CTLS3)) == 0;
}

CHECK_FN(CR3_TARGET_COUNT)
{
    return check_field(c, VMCS_CR3_TARGET_COUNT) <= ((vmx_capability(c->cpu, MSR_IA32_VMX_MISC) >> 16) & 0x1ff);
}

CHECK_FN(IO_BITMAP_A)
{
    return (c->proc & PROC_IO_BITMAPS) == 0 || page_ok(c, VMCS_IO_BITMAP_A);
}

CHECK_FN(IO_BITMAP_B)
{
    return (c->proc & PROC_IO_BITMAPS) == 0 || page_ok(c, VMCS_IO_BITMAP_B);
}

CHECK_FN(MSR_BITMAPS)
{
    return (c->proc & PROC_MSR_BITMAPS) == 0 || page_ok(c, VMCS_MSR_BITMAPS);
}

CHECK_FN(VIRTUAL_APIC)
{
    return (c->proc & PROC_TPR_SHADOW) == 0 || page_ok(c, VMCS_VIRTUAL_APIC_ADDRESS);
}

CHECK_FN(TPR_THRESHOLD_RESERVED)
{
    return (c->proc & PROC_TPR_SHADOW) == 0 || (c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0 || (check_field(c, VMCS_TPR_THRESHOLD) & ~(u64)0xf) == 0;
}

CHECK_FN(TPR_THRESHOLD_VTPR)
{
    if ((c->proc & PROC_TPR_SHADOW) == 0 || (c->proc2 & (PROC2_APIC_ACCESSES | PROC2_VIRT_INT_DELIVERY)) != 0) {
        return true;
    }
    u64 tpr = phys_read_scalar(c->cpu->phys, SPA(check_field(c, VMCS_VIRTUAL_APIC_ADDRESS) + 0x80), 1);
    return (check_field(c, VMCS_TPR_THRESHOLD) & 0xf) <= tpr >> 4;
}

CHECK_FN(NO_TPR_SHADOW)
{
    return (c->proc & PROC_TPR_SHADOW) != 0 || ((c->proc2 & (PROC2_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRT_INT_DELIVERY)) == 0 && (c->proc3 & PROC3_IPI_VIRT) == 0);
}

CHECK_FN(VIRTUAL_NMI)
{
    return (c->pin & PIN_NMI) != 0 || (c->pin & PIN_VIRTUAL_NMI) == 0;
}

CHECK_FN(NMI_WINDOW)
{
    return (c->pin & PIN_VIRTUAL_NMI) != 0 || (c->proc & PROC_NMI_WINDOW) == 0;
}

CHECK_FN(APIC_ACCESS)
{
    return (c->proc2 & PROC2_APIC_ACCESSES) == 0 || page_ok(c, VMCS_APIC_ACCESS_ADDRESS);
}

CHECK_FN(X2APIC_AND_ACCESSES)
{
    return (c->proc2 & PROC2_X2APIC) == 0 || (c->proc2 & PROC2_APIC_ACCESSES) == 0;
}

CHECK_FN(INT_DELIVERY_EXT_INT)
{
    return (c->proc2 & PROC2_VIRT_INT_DELIVERY) == 0 || (c->pin & PIN_EXT_INT) != 0;
}

CHECK_FN(POSTED_CONTROLS)
{
    return (c->pin & PIN_POSTED_INT) == 0 || ((c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0 && (c->exit & EXITC_ACK_INT) != 0);
}

CHECK_FN(POSTED_VECTOR)
{
    return (c->pin & PIN_POSTED_INT) == 0 || check_field(c, VMCS_POSTED_INTR_VECTOR) <= 0xff;
}

CHECK_FN(POSTED_DESCRIPTOR)
{
    u64 at = check_field(c, VMCS_POSTED_INTR_DESC_ADDRESS);
    return (c->pin & PIN_POSTED_INT) == 0 || ((at & 63) == 0 && (at & cpu_phys_reserved(c->cpu)) == 0);
}

CHECK_FN(VPID)
{
    return (c->proc2 & PROC2_VPID) == 0 || check_field(c, VMCS_VPID) != 0;
}

CHECK_FN(EPT_POINTER)
{
    return (c->proc2 & PROC2_EPT) == 0 || vmx_eptp_ok(c->cpu, check_field(c, VMCS_EPT_POINTER));
}

CHECK_FN(PML_EPT)
{
    return (c->proc2 & PROC2_PML) == 0 || (c->proc2 & PROC2_EPT) != 0;
}

CHECK_FN(PML_ADDRESS)
{
    return (c->proc2 & PROC2_PML) == 0 || page_ok(c, VMCS_PML_ADDRESS);
}

CHECK_FN(UNRESTRICTED_EPT)
{
    return (c->proc2 & PROC2_UNRESTRICTED) == 0 || (c->proc2 & PROC2_EPT) != 0;
}

CHECK_FN(MBEC_EPT)
{
    return (c->proc2 & PROC2_MODE_BASED_EXEC) == 0 || (c->proc2 & PROC2_EPT) != 0;
}

CHECK_FN(SPP_EPT)
{
    return (c->proc2 & PROC2_SPP) == 0 || (c->proc2 & PROC2_EPT) != 0;
}

CHECK_FN(SPP_TABLE)
{
    return (c->proc2 & PROC2_SPP) == 0 || page_ok(c, VMCS_SPP_TABLE_POINTER);
}

CHECK_FN(VM_FUNCTIONS)
{
    return (c->proc2 & PROC2_VMFUNC) == 0 || (check_field(c, VMCS_VM_FUNCTION_CONTROLS) & ~vmx_capability(c->cpu, MSR_IA32_VMX_VMFUNC)) == 0;
}

CHECK_FN(EPTP_LIST)
{
    return (c->proc2 & PROC2_VMFUNC) == 0 || (check_field(c, VMCS_VM_FUNCTION_CONTROLS) & 1) == 0 || ((c->proc2 & PROC2_EPT) != 0 && page_ok(c, VMCS_EPTP_LIST_ADDRESS));
}

CHECK_FN(VMREAD_BITMAP)
{
    return (c->proc2 & PROC2_VMCS_SHADOWING) == 0 || page_ok(c, VMCS_VMREAD_BITMAP);
}

CHECK_FN(VMWRITE_BITMAP)
{
    return (c->proc2 & PROC2_VMCS_SHADOWING) == 0 || page_ok(c, VMCS_VMWRITE_BITMAP);
}

CHECK_FN(VE_INFO)
{
    return (c->proc2 & PROC2_EPT_VE) == 0 || page_ok(c, VMCS_VE_INFO_ADDRESS);
}

CHECK_FN(PID_TABLE)
{
    u64 at = check_field(c, VMCS_PID_POINTER_TABLE);
    return (c->proc3 & PROC3_IPI_VIRT) == 0 || ((at & 7) == 0 && ((at + 8 * check_field(c, VMCS_LAST_PID_INDEX)) & cpu_phys_reserved(c->cpu)) == 0);
}

CHECK_FN(EXIT_RESERVED)
{
    return control_allowed(c, MSR_IA32_VMX_TRUE_EXIT_CTLS, c->exit);
}

CHECK_FN(SAVE_TIMER)
{
    return (c->pin & PIN_PREEMPTION_TIMER) != 0 || (c->exit & EXITC_SAVE_TIMER) == 0;
}

CHECK_FN(EXIT_MSR_STORE)
{
    return list_ok(c, VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_STORE_ADDRESS);
}

CHECK_FN(EXIT_MSR_LOAD)
{
    return list_ok(c, VMCS_EXIT_MSR_LOAD_COUNT, VMCS_EXIT_MSR_LOAD_ADDRESS);
}

CHECK_FN(ENTRY_RESERVED)
{
    return control_allowed(c, MSR_IA32_VMX_TRUE_ENTRY_CTLS, c->entry);
}

CHECK_FN(INJECT_TYPE)
{
    unsigned type = inject_type(c);
    return !injects(c) || (type != 1 && (type != INTR_OTHER || cpu_has(c->cpu, CPU_FEATURE_VMX_MTF)));
}

CHECK_FN(INJECT_VECTOR)
{
    unsigned type = inject_type(c), vector = c->inject & INTR_VECTOR;
    return !injects(c) || ((type != INTR_NMI || vector == VEC_NMI) && (type != INTR_HARD_EXCEPTION || vector < 32) && (type != INTR_OTHER || vector == 0));
}

CHECK_FN(INJECT_ERROR_CODE)
{
    return !injects(c) || error_code_ok(c);
}

CHECK_FN(INJECT_RESERVED)
{
    return !injects(c) || (c->inject & 0x7ffff000u) == 0;
}

CHECK_FN(INJECT_ERROR_RESERVED)
{
    return !injects(c) || (c->inject & INTR_ERROR_CODE) == 0 || (check_field(c, VMCS_ENTRY_EXCEPTION_ERROR) & ~(u64)0xffff) == 0;
}

CHECK_FN(INJECT_LENGTH)
{
    unsigned type = inject_type(c);
    u64 length = check_field(c, VMCS_ENTRY_INSTRUCTION_LENGTH);
    u64 least = cpu_has(c->cpu, CPU_FEATURE_VMX_ZERO_LEN_INJECT) ? 0 : 1;
    return !injects(c) || type < INTR_SOFT_INT || type > INTR_SOFT_EXCEPTION || (length >= least && length <= 15);
}

CHECK_FN(ENTRY_MSR_LOAD)
{
    return list_ok(c, VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_ADDRESS);
}

CHECK_FN(ENTRY_SMM)
{
    return (c->entry & (ENTRYC_SMM | ENTRYC_DEACTIVATE_DUAL)) == 0;
}
