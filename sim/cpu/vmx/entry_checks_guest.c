/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checks on the guest-state area. [SDM3 "Checks on the Guest State Area"]: the predicates of
 * entry_checks.def but those about segment registers (entry_checks_segment.c). */
#include "cpu/control.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/vmx/entry_checks.h"
#include "cpu/vmx/vmx_insn.h"

/* RIP and SSP: bits above the linear-address width are equal; not necessarily to the highest bit below. */
static bool wide_ok(const struct vmx_check *c, u64 address)
{
    unsigned bits = model_linear_bits(c->cpu->model);
    i64 high = (i64)address >> bits;
    return high == 0 || high == -1;
}

static bool activity_exists(const struct vmx_check *c)
{
    u64 misc = vmx_capability(c->cpu, MSR_IA32_VMX_MISC);
    return c->activity == VMCS_ACTIVE ||
           (c->activity <= VMCS_WAIT_SIPI && ((misc >> (5 + c->activity)) & 1) != 0);
}

/* [SDM3 "Checks on Guest Non-Register State"]: what may wake from which state. */
static bool inject_into_activity_ok(const struct vmx_check *c)
{
    unsigned type = inject_type(c), vector = c->inject & INTR_VECTOR;
    switch (c->activity) {
    case VMCS_ACTIVE:
        return true;
    case VMCS_HLT:
        return type == INTR_EXTERNAL || type == INTR_NMI ||
               (type == INTR_HARD_EXCEPTION && (vector == VEC_DB || vector == VEC_MC)) ||
               type == INTR_OTHER;
    case VMCS_SHUTDOWN:
        return type == INTR_NMI || (type == INTR_HARD_EXCEPTION && vector == VEC_MC);
    default:
        return false;
    }
}

/* Only with PAE paging of the guest: from the VMCS with EPT, else from memory. */
static bool pdpte_ok(const struct vmx_check *c, unsigned i)
{
    if ((c->cr0 & CR0_PG) == 0 || (c->cr4 & CR4_PAE) == 0 || c->wide) {
        return true;
    }
    u64 pdpte = (c->proc2 & PROC2_EPT) != 0
                    ? check_field(c, VMCS_GUEST_PDPTE0 + 2 * i)
                    : phys_read_scalar(c->cpu->phys,
                                       SPA((check_field(c, VMCS_GUEST_CR3) & 0xffffffe0) + 8 * i), 8);
    return (pdpte & 1) == 0 || (pdpte & (cpu_phys_reserved(c->cpu) | 0x1e6)) == 0;
}

CHECK_FN(GUEST_CR0)
{
    u64 need = c->unrestricted ? CR0_NE : CR0_PG | CR0_NE | CR0_PE;
    return fixed_ok(c->cr0, need, vmx_cr0_fixed1(c->cpu));
}

CHECK_FN(GUEST_CR0_PG_PE)
{
    return (c->cr0 & CR0_PG) == 0 || (c->cr0 & CR0_PE) != 0;
}

CHECK_FN(GUEST_CR4)
{
    return fixed_ok(c->cr4, CR4_VMXE, vmx_cr4_fixed1(c->cpu));
}

CHECK_FN(GUEST_CET_WP)
{
    return (c->cr4 & CR4_CET) == 0 || (c->cr0 & CR0_WP) != 0;
}

CHECK_FN(GUEST_DEBUGCTL)
{
    return (c->entry & ENTRYC_LOAD_DEBUG) == 0 || (check_field(c, VMCS_GUEST_DEBUGCTL) & ~(u64)0x5803) == 0;
}

CHECK_FN(GUEST_64_CR)
{
    return !c->wide || ((c->cr0 & CR0_PG) != 0 && (c->cr4 & CR4_PAE) != 0);
}

CHECK_FN(GUEST_32_PCIDE)
{
    return c->wide || (c->cr4 & CR4_PCIDE) == 0;
}

CHECK_FN(GUEST_CR3)
{
    /* UNCLEAR: the bits of linear-address masking are taken as reserved outside IA-32e mode. */
    u64 reserved = c->wide ? cr3_reserved(c->cpu) : cpu_phys_reserved(c->cpu);
    return (check_field(c, VMCS_GUEST_CR3) & reserved) == 0;
}

CHECK_FN(GUEST_DR7)
{
    return (c->entry & ENTRYC_LOAD_DEBUG) == 0 || check_field(c, VMCS_GUEST_DR7) >> 32 == 0;
}

CHECK_FN(GUEST_SYSENTER_ESP)
{
    return canonical(c, check_field(c, VMCS_GUEST_SYSENTER_ESP));
}

CHECK_FN(GUEST_SYSENTER_EIP)
{
    return canonical(c, check_field(c, VMCS_GUEST_SYSENTER_EIP));
}

CHECK_FN(GUEST_S_CET)
{
    return (c->entry & ENTRYC_LOAD_CET) == 0 || cet_ok(c, check_field(c, VMCS_GUEST_S_CET));
}

CHECK_FN(GUEST_32_S_CET)
{
    return (c->entry & ENTRYC_LOAD_CET) == 0 || c->wide || check_field(c, VMCS_GUEST_S_CET) >> 32 == 0;
}

CHECK_FN(GUEST_INTR_SSP_TABLE)
{
    return (c->entry & ENTRYC_LOAD_CET) == 0 || canonical(c, check_field(c, VMCS_GUEST_INTR_SSP_TABLE));
}

CHECK_FN(GUEST_PERF)
{
    return (c->entry & ENTRYC_LOAD_PERF) == 0 || (check_field(c, VMCS_GUEST_PERF_GLOBAL_CTRL) & ~perf_mask(c)) == 0;
}

CHECK_FN(GUEST_PAT)
{
    return (c->entry & ENTRYC_LOAD_PAT) == 0 || pat_ok(check_field(c, VMCS_GUEST_PAT));
}

CHECK_FN(GUEST_EFER_RESERVED)
{
    return (c->entry & ENTRYC_LOAD_EFER) == 0 || (check_field(c, VMCS_GUEST_EFER) & ~(msr_efer_mask(c->cpu) | EFER_LMA)) == 0;
}

CHECK_FN(GUEST_EFER_LMA)
{
    u64 efer = check_field(c, VMCS_GUEST_EFER);
    bool lma = (efer & EFER_LMA) != 0;
    return (c->entry & ENTRYC_LOAD_EFER) == 0 || (lma == c->wide && ((c->cr0 & CR0_PG) == 0 || lma == ((efer & EFER_LME) != 0)));
}

CHECK_FN(GUEST_BNDCFGS_RESERVED)
{
    return (c->entry & ENTRYC_LOAD_BNDCFGS) == 0 || (check_field(c, VMCS_GUEST_BNDCFGS) & BNDCFG_RESERVED) == 0;
}

CHECK_FN(GUEST_BNDCFGS_ADDRESS)
{
    return (c->entry & ENTRYC_LOAD_BNDCFGS) == 0 || canonical(c, check_field(c, VMCS_GUEST_BNDCFGS));
}

CHECK_FN(GUEST_PKRS)
{
    return (c->entry & ENTRYC_LOAD_PKRS) == 0 || check_field(c, VMCS_GUEST_PKRS) >> 32 == 0;
}

CHECK_FN(GUEST_GDTR_BASE)
{
    return canonical(c, check_field(c, VMCS_GUEST_GDTR_BASE));
}

CHECK_FN(GUEST_IDTR_BASE)
{
    return canonical(c, check_field(c, VMCS_GUEST_IDTR_BASE));
}

CHECK_FN(GUEST_GDTR_LIMIT)
{
    return check_field(c, VMCS_GUEST_GDTR_LIMIT) >> 16 == 0;
}

CHECK_FN(GUEST_IDTR_LIMIT)
{
    return check_field(c, VMCS_GUEST_IDTR_LIMIT) >> 16 == 0;
}

CHECK_FN(GUEST_RIP_32)
{
    return (c->wide && (c->seg[SEG_CS].attr & SEG_L) != 0) || check_field(c, VMCS_GUEST_RIP) >> 32 == 0;
}

CHECK_FN(GUEST_RIP_64)
{
    return !(c->wide && (c->seg[SEG_CS].attr & SEG_L) != 0) || wide_ok(c, check_field(c, VMCS_GUEST_RIP));
}

CHECK_FN(GUEST_RFLAGS_RESERVED)
{
    return (c->rflags & ~(u64)0x3f7fd7) == 0 && (c->rflags & RFLAGS_ONE) != 0;
}

CHECK_FN(GUEST_RFLAGS_VM)
{
    return (c->rflags & RFLAGS_VM) == 0 || (!c->wide && (c->cr0 & CR0_PE) != 0);
}

CHECK_FN(GUEST_RFLAGS_IF)
{
    return !injects(c) || inject_type(c) != INTR_EXTERNAL || (c->rflags & RFLAGS_IF) != 0;
}

CHECK_FN(GUEST_SSP)
{
    return (c->entry & ENTRYC_LOAD_CET) == 0 || ((check_field(c, VMCS_GUEST_SSP) & 3) == 0 && wide_ok(c, check_field(c, VMCS_GUEST_SSP)));
}

CHECK_FN(GUEST_32_SSP)
{
    return (c->entry & ENTRYC_LOAD_CET) == 0 || c->wide || check_field(c, VMCS_GUEST_SSP) >> 32 == 0;
}

CHECK_FN(ACTIVITY_RESERVED)
{
    return activity_exists(c);
}

CHECK_FN(ACTIVITY_HLT_DPL)
{
    return c->activity != VMCS_HLT || (c->seg[SEG_SS].attr & SEG_DPL) == 0;
}

CHECK_FN(ACTIVITY_BLOCKED)
{
    return c->activity == VMCS_ACTIVE || (c->block & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) == 0;
}

CHECK_FN(ACTIVITY_INJECT)
{
    return !injects(c) || inject_into_activity_ok(c);
}

CHECK_FN(ACTIVITY_SMM)
{
    return c->activity != VMCS_WAIT_SIPI || (c->entry & ENTRYC_SMM) == 0;
}

CHECK_FN(BLOCKING_RESERVED)
{
    return (c->block & ~0x1fu) == 0;
}

CHECK_FN(BLOCKING_BOTH)
{
    return (c->block & 3) != 3;
}

CHECK_FN(BLOCKING_STI_IF)
{
    return (c->block & INTERRUPTIBILITY_STI) == 0 || (c->rflags & RFLAGS_IF) != 0;
}

CHECK_FN(BLOCKING_EXT_INT)
{
    return !injects(c) || inject_type(c) != INTR_EXTERNAL || (c->block & 3) == 0;
}

CHECK_FN(BLOCKING_NMI_MOV_SS)
{
    return !injects(c) || inject_type(c) != INTR_NMI || (c->block & INTERRUPTIBILITY_MOV_SS) == 0;
}

CHECK_FN(BLOCKING_SMI)
{
    return (c->block & INTERRUPTIBILITY_SMI) == 0;
}

CHECK_FN(BLOCKING_NMI_STI)
{
    return !injects(c) || inject_type(c) != INTR_NMI || (c->block & INTERRUPTIBILITY_STI) == 0;
}

CHECK_FN(BLOCKING_NMI)
{
    return !injects(c) || inject_type(c) != INTR_NMI || (c->pin & PIN_VIRTUAL_NMI) == 0 || (c->block & INTERRUPTIBILITY_NMI) == 0;
}

CHECK_FN(BLOCKING_ENCLAVE)
{
    bool possible = cpu_has(c->cpu, CPU_FEATURE_SGX) && (c->block & INTERRUPTIBILITY_MOV_SS) == 0;
    return (c->block & INTERRUPTIBILITY_ENCLAVE) == 0 || possible;
}

CHECK_FN(PENDING_DEBUG_RESERVED)
{
    return (check_field(c, VMCS_GUEST_PENDING_DEBUG) & ~(u64)(0xf | PENDING_DB_ENABLED | PENDING_DB_BS)) == 0;
}

CHECK_FN(PENDING_DEBUG_BS)
{
    bool held = (c->block & 3) != 0 || c->activity == VMCS_HLT;
    bool step = (c->rflags & RFLAGS_TF) != 0 && (check_field(c, VMCS_GUEST_DEBUGCTL) & 2) == 0;
    return !held || step == ((check_field(c, VMCS_GUEST_PENDING_DEBUG) & PENDING_DB_BS) != 0);
}

CHECK_FN(LINK_POINTER)
{
    u64 link = check_field(c, VMCS_GUEST_LINK_POINTER);
    return link == VMX_NO_VMCS || ((link & PAGE_MASK) == 0 && (link & cpu_phys_reserved(c->cpu)) == 0);
}

CHECK_FN(LINK_REVISION)
{
    u64 link = check_field(c, VMCS_GUEST_LINK_POINTER);
    bool shadowing = (c->proc2 & PROC2_VMCS_SHADOWING) != 0;
    return link == VMX_NO_VMCS || vmcs_header(c->cpu, link, VMCS_AT_REVISION) == (VMCS_REVISION | (shadowing ? VMCS_SHADOW : 0u));
}

CHECK_FN(LINK_CURRENT)
{
    return check_field(c, VMCS_GUEST_LINK_POINTER) != c->cpu->arch.vmx.current;
}

CHECK_FN(GUEST_PDPTE0)
{
    return pdpte_ok(c, 0);
}

CHECK_FN(GUEST_PDPTE1)
{
    return pdpte_ok(c, 1);
}

CHECK_FN(GUEST_PDPTE2)
{
    return pdpte_ok(c, 2);
}

CHECK_FN(GUEST_PDPTE3)
{
    return pdpte_ok(c, 3);
}
