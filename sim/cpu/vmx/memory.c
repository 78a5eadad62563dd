/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EPT as the processor sees it: walks, violations, #VE, the page-modification log, VM functions.
 * [SDM3 "The Extended Page Table Mechanism (EPT)"] The tables themselves: mmu/ept.c. */
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#undef TRY
#include "cpu/tlb.h"
#include "cpu/vmx/vmx_insn.h"
#include "cpu/vmx/vmx_priv.h"
#include "mmu/ept.h"
#include "mmu/nested.h"

void vmx_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->proc2 & PROC2_EPT) == 0) {
        return;
    }
    struct walk_nested *n = &root->nested;
    n->kind = NESTED_EPT;
    n->mode = ((c->eptp >> 3) & 7) == 4 ? PAGING_5LEVEL : PAGING_4LEVEL;
    n->table = c->eptp & 0x000ffffffffff000u;
    n->reserved = cpu_phys_reserved(cpu);
    n->flags = (c->eptp & EPTP_AD) != 0 ? EPT_FLAG_AD : 0u;
    n->flags |= (c->proc2 & PROC2_MODE_BASED_EXEC) != 0 ? EPT_FLAG_MBEC : 0u;
    n->flags |= cpu_has(cpu, CPU_FEATURE_VMX_EPT_EXECONLY) ? EPT_FLAG_EXEC_ONLY : 0u;
    n->flags |= cpu_has(cpu, CPU_FEATURE_VMX_EPT_2MB) ? EPT_FLAG_2MB : 0u;
    n->flags |= cpu_has(cpu, CPU_FEATURE_VMX_EPT_1GB) ? EPT_FLAG_1GB : 0u;
    if ((c->proc2 & PROC2_SPP) != 0) {
        n->flags |= EPT_FLAG_SPP;
        n->spp_table = c->spp_table;
    }
    n->log_room = WALK_LOG_UNLIMITED;
}

void vmx_walk_log(struct cpu *cpu, struct walk_root *root)
{
    if ((cpu->arch.vmx.c.proc2 & PROC2_PML) != 0 && root->nested.kind == NESTED_EPT) {
        u64 index = vmcs_read(cpu, VMCS_PML_INDEX);
        root->nested.log_room = index < 512 ? (u32)index + 1 : 0;
    }
}

/* [SDM3 "Page-Modification Logging"] */
void vmx_log_dirty(struct cpu *cpu, const struct walk_result *res)
{
    if ((cpu->arch.vmx.c.proc2 & PROC2_PML) == 0) {
        return;
    }
    u64 log = vmcs_read(cpu, VMCS_PML_ADDRESS);
    for (unsigned i = 0; i < res->dirty_count; i++) {
        u64 index = vmcs_read(cpu, VMCS_PML_INDEX);
        phys_write_scalar(cpu->phys, SPA(log + 8 * (index & 511)), res->dirty_gpa[i] & ~PAGE_MASK, 8);
        vmcs_write(cpu, VMCS_PML_INDEX, (index - 1) & 0xffff);
    }
}

static u64 violation_qualification(const struct cpu *cpu, unsigned access, const struct walk_result *res,
                                   bool linear_valid)
{
    u64 q = 0;
    if (res->nested_on_table) {
        q |= EPTQ_READ;
        q |= (cpu->arch.vmx.c.eptp & EPTP_AD) != 0 || res->nested_write ? EPTQ_WRITE : 0u;
    } else {
        q |= (access & ACCESS_WRITE) != 0 ? EPTQ_WRITE : (access & ACCESS_EXEC) != 0 ? EPTQ_EXEC : EPTQ_READ;
        q |= (access & ACCESS_SHADOW) != 0 ? EPTQ_SHADOW_STACK : 0u;
    }
    q |= (res->nested_rights & 7) << EPTQ_RIGHTS_SHIFT;
    if ((cpu->arch.vmx.c.proc2 & PROC2_MODE_BASED_EXEC) != 0 && (res->nested_rights & 8) != 0) {
        q |= EPTQ_XU;
    }
    if (linear_valid) {
        q |= EPTQ_LINEAR_VALID;
        q |= res->nested_on_table ? 0u : EPTQ_FINAL;
        if (!res->nested_on_table && cpu_has(cpu, CPU_FEATURE_VMX_EPT_ADVANCED_INFO)) {
            q |= (res->user ? EPTQ_USER : 0u) | (res->writable ? EPTQ_WRITABLE : 0u) |
                 (res->no_execute ? EPTQ_NX : 0u);
        }
    }
    return q;
}

/* [SDM3 "Virtualization Exceptions"]: may this violation be the guest's own affair? */
static bool becomes_ve(struct cpu *cpu, const struct walk_result *res)
{
    const struct vmx_arch *v = &cpu->arch.vmx;
    if ((v->c.proc2 & PROC2_EPT_VE) == 0 || (res->nested_entry & EPT_SUPPRESS_VE) != 0 ||
        (cpu->arch.cr0 & CR0_PE) == 0 || v->delivering) {
        return false;
    }
    u64 area = vmcs_read(cpu, VMCS_VE_INFO_ADDRESS);
    return phys_read_scalar(cpu->phys, SPA(area + 4), 4) == 0;
}

static cpu_rc raise_ve(struct cpu *cpu, u64 qualification, u64 lin, u64 gpa)
{
    u64 area = vmcs_read(cpu, VMCS_VE_INFO_ADDRESS);
    phys_write_scalar(cpu->phys, SPA(area), EXIT_EPT_VIOLATION, 4);
    phys_write_scalar(cpu->phys, SPA(area + 4), 0xffffffff, 4);
    phys_write_scalar(cpu->phys, SPA(area + 8), qualification, 8);
    phys_write_scalar(cpu->phys, SPA(area + 16), lin, 8);
    phys_write_scalar(cpu->phys, SPA(area + 24), gpa, 8);
    phys_write_scalar(cpu->phys, SPA(area + 32), vmcs_read(cpu, VMCS_EPTP_INDEX), 2);
    return raise_exception(cpu, VEC_VE, "EPT violation that is not suppressed for #VE");
}

static cpu_rc nested_fault(struct cpu *cpu, u64 lin, bool linear_valid, unsigned access,
                           const struct walk_result *res)
{
    cpu_rc rc;
    bool nmi = vmx_nmi_unblocked(cpu);
    if (res->log_full) {
        return vmx_exit_because(cpu, EXIT_PML_FULL, nmi ? EPTQ_NMI_UNBLOCKED : 0u,
                                "page-modification log full");
    }
    if (res->spp_missing || res->spp_misconfigured) {
        u64 q = (res->spp_missing ? SPPQ_MISS : 0u) | (nmi ? EPTQ_NMI_UNBLOCKED : 0u);
        rc = vmx_exit_because(cpu, EXIT_SPP, q, res->why);
        cpu->exit.linear = lin;
    } else if (res->misconfigured) {
        rc = vmx_exit_because(cpu, EXIT_EPT_MISCONFIG, 0, res->why);
    } else {
        u64 q = violation_qualification(cpu, access, res, linear_valid);
        if (becomes_ve(cpu, res)) {
            return raise_ve(cpu, q, linear_valid ? lin : 0, res->gpa.v);
        }
        rc = vmx_exit_because(cpu, EXIT_EPT_VIOLATION, q | (nmi ? EPTQ_NMI_UNBLOCKED : 0u), res->why);
        cpu->exit.linear = linear_valid ? lin : 0;
    }
    cpu->exit.gpa = res->gpa.v;
    return rc;
}

cpu_rc vmx_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res)
{
    return nested_fault(cpu, lin, true, access, res);
}

cpu_rc vmx_read_physical(struct cpu *cpu, u64 gpa, unsigned size, u64 *value)
{
    struct walk_root root;
    struct walk_result res = {.user = true, .writable = true};
    u64 spa = gpa, bytes;
    walk_root_of(cpu, &root);
    if (root.nested.kind != NESTED_NONE) {
        res.gpa = GPA(gpa);
        if (!nested_translate(cpu->phys, &root.nested, gpa, WALK_READ, &res, &spa, &bytes)) {
            return nested_fault(cpu, 0, false, ACCESS_READ, &res);
        }
    }
    *value = phys_read_scalar(cpu->phys, SPA(spa), size);
    return CPU_OK;
}

/* ---- VM functions ---- */

/* [SDM3 "EPTP Switching"] */
static cpu_rc switch_eptp(struct cpu *cpu)
{
    u32 index = (u32)cpu->arch.gpr[RCX];
    u64 eptp = 0;
    if (index < 512) {
        u64 list = vmcs_read(cpu, VMCS_EPTP_LIST_ADDRESS);
        eptp = phys_read_scalar(cpu->phys, SPA(list + 8u * index), 8);
    }
    if (index >= 512 || !vmx_eptp_ok(cpu, eptp)) {
        return vmx_exit_because(cpu, EXIT_VMFUNC, 0, "EPTP switching: index or EPT pointer");
    }
    vmcs_write(cpu, VMCS_EPT_POINTER, eptp);
    cpu->arch.vmx.c.eptp = eptp;
    if (cpu_has(cpu, CPU_FEATURE_VMX_EPT_VE)) {
        vmcs_write(cpu, VMCS_EPTP_INDEX, index);
    }
    cpu_update_mode(cpu);
    return CPU_OK;
}

cpu_rc exec_vmfunc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (!in_guest(cpu) || (vmx_proc2(cpu) & PROC2_VMFUNC) == 0) {
        return raise_ud(cpu, "VMFUNC outside non-root operation or not enabled");
    }
    u32 function = (u32)cpu->arch.gpr[RAX];
    u64 enabled = vmcs_read(cpu, VMCS_VM_FUNCTION_CONTROLS);
    if (function >= 64) {
        return raise_ud(cpu, "VMFUNC with EAX above 63");
    }
    if (((enabled >> function) & 1) == 0) {
        return vmx_exit_because(cpu, EXIT_VMFUNC, 0, "VM function not enabled");
    }
    return switch_eptp(cpu);
}
