/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checks on the host-state area. [SDM3 "Checks on Host Control Registers, MSRs, and SSP"] and after: the predicates of entry_checks.def. */
#include "cpu/control.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/vmx/entry_checks.h"
#include "cpu/vmx/vmx_insn.h"

CHECK_FN(HOST_CR0)
{
    return fixed_ok(check_field(c, VMCS_HOST_CR0), CR0_PG | CR0_NE | CR0_PE, vmx_cr0_fixed1(c->cpu));
}

CHECK_FN(HOST_CR4)
{
    return fixed_ok(check_field(c, VMCS_HOST_CR4), CR4_VMXE, vmx_cr4_fixed1(c->cpu));
}

CHECK_FN(HOST_CET_WP)
{
    return (check_field(c, VMCS_HOST_CR4) & CR4_CET) == 0 || (check_field(c, VMCS_HOST_CR0) & CR0_WP) != 0;
}

CHECK_FN(HOST_CR3)
{
    return (check_field(c, VMCS_HOST_CR3) & cr3_reserved(c->cpu)) == 0;
}

CHECK_FN(HOST_SYSENTER_ESP)
{
    return canonical(c, check_field(c, VMCS_HOST_SYSENTER_ESP));
}

CHECK_FN(HOST_SYSENTER_EIP)
{
    return canonical(c, check_field(c, VMCS_HOST_SYSENTER_EIP));
}

CHECK_FN(HOST_PERF)
{
    return (c->exit & EXITC_LOAD_PERF) == 0 || (check_field(c, VMCS_HOST_PERF_GLOBAL_CTRL) & ~perf_mask(c)) == 0;
}

CHECK_FN(HOST_PAT)
{
    return (c->exit & EXITC_LOAD_PAT) == 0 || pat_ok(check_field(c, VMCS_HOST_PAT));
}

CHECK_FN(HOST_EFER_RESERVED)
{
    return (c->exit & EXITC_LOAD_EFER) == 0 || (check_field(c, VMCS_HOST_EFER) & ~(msr_efer_mask(c->cpu) | EFER_LMA)) == 0;
}

CHECK_FN(HOST_EFER_LMA)
{
    u64 efer = check_field(c, VMCS_HOST_EFER);
    bool wide = (c->exit & EXITC_HOST_64) != 0;
    return (c->exit & EXITC_LOAD_EFER) == 0 || (((efer & EFER_LMA) != 0) == wide && ((efer & EFER_LME) != 0) == wide);
}

CHECK_FN(HOST_S_CET)
{
    return (c->exit & EXITC_LOAD_CET) == 0 || cet_ok(c, check_field(c, VMCS_HOST_S_CET));
}

CHECK_FN(HOST_SSP)
{
    return (c->exit & EXITC_LOAD_CET) == 0 || ((check_field(c, VMCS_HOST_SSP) & 3) == 0 && canonical(c, check_field(c, VMCS_HOST_SSP)));
}

CHECK_FN(HOST_INTR_SSP_TABLE)
{
    return (c->exit & EXITC_LOAD_CET) == 0 || canonical(c, check_field(c, VMCS_HOST_INTR_SSP_TABLE));
}

CHECK_FN(HOST_PKRS)
{
    return (c->exit & EXITC_LOAD_PKRS) == 0 || check_field(c, VMCS_HOST_PKRS) >> 32 == 0;
}

CHECK_FN(HOST_CS_SELECTOR)
{
    return (check_field(c, VMCS_HOST_CS_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_SS_SELECTOR)
{
    return (check_field(c, VMCS_HOST_SS_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_DS_SELECTOR)
{
    return (check_field(c, VMCS_HOST_DS_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_ES_SELECTOR)
{
    return (check_field(c, VMCS_HOST_ES_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_FS_SELECTOR)
{
    return (check_field(c, VMCS_HOST_FS_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_GS_SELECTOR)
{
    return (check_field(c, VMCS_HOST_GS_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_TR_SELECTOR)
{
    return (check_field(c, VMCS_HOST_TR_SELECTOR) & 7) == 0;
}

CHECK_FN(HOST_CS_NULL)
{
    return check_field(c, VMCS_HOST_CS_SELECTOR) != 0;
}

CHECK_FN(HOST_TR_NULL)
{
    return check_field(c, VMCS_HOST_TR_SELECTOR) != 0;
}

CHECK_FN(HOST_SS_NULL)
{
    return (c->exit & EXITC_HOST_64) != 0 || check_field(c, VMCS_HOST_SS_SELECTOR) != 0;
}

CHECK_FN(HOST_FS_BASE)
{
    return canonical(c, check_field(c, VMCS_HOST_FS_BASE));
}

CHECK_FN(HOST_GS_BASE)
{
    return canonical(c, check_field(c, VMCS_HOST_GS_BASE));
}

CHECK_FN(HOST_GDTR_BASE)
{
    return canonical(c, check_field(c, VMCS_HOST_GDTR_BASE));
}

CHECK_FN(HOST_IDTR_BASE)
{
    return canonical(c, check_field(c, VMCS_HOST_IDTR_BASE));
}

CHECK_FN(HOST_TR_BASE)
{
    return canonical(c, check_field(c, VMCS_HOST_TR_BASE));
}

CHECK_FN(ADDRESS_SPACE_LEGACY)
{
    return c->cpu->d.long_mode || ((c->entry & ENTRYC_GUEST_64) == 0 && (c->exit & EXITC_HOST_64) == 0);
}

CHECK_FN(ADDRESS_SPACE_LONG)
{
    return !c->cpu->d.long_mode || (c->exit & EXITC_HOST_64) != 0;
}

CHECK_FN(HOST_32_GUEST)
{
    return (c->exit & EXITC_HOST_64) != 0 || (c->entry & ENTRYC_GUEST_64) == 0;
}

CHECK_FN(HOST_32_PCIDE)
{
    return (c->exit & EXITC_HOST_64) != 0 || (check_field(c, VMCS_HOST_CR4) & CR4_PCIDE) == 0;
}

CHECK_FN(HOST_32_RIP)
{
    return (c->exit & EXITC_HOST_64) != 0 || check_field(c, VMCS_HOST_RIP) >> 32 == 0;
}

static bool fits_32(const struct vmx_check *c, u32 field)
{
    bool loads = (c->exit & (EXITC_LOAD_CET | EXITC_HOST_64)) == EXITC_LOAD_CET;
    return !loads || check_field(c, field) >> 32 == 0;
}

CHECK_FN(HOST_32_S_CET)
{
    return fits_32(c, VMCS_HOST_S_CET);
}

CHECK_FN(HOST_32_SSP)
{
    return fits_32(c, VMCS_HOST_SSP);
}

CHECK_FN(HOST_64_PAE)
{
    return (c->exit & EXITC_HOST_64) == 0 || (check_field(c, VMCS_HOST_CR4) & CR4_PAE) != 0;
}

CHECK_FN(HOST_64_RIP)
{
    return (c->exit & EXITC_HOST_64) == 0 || canonical(c, check_field(c, VMCS_HOST_RIP));
}
