/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VMX instructions but VMLAUNCH, VMRESUME (entry.c) and VMFUNC (memory.c). [SDM3 "VMX Instruction Reference"]
 *
 * Order everywhere: #UD outside VMX operation or in a mode that has none of it, VM exit in non-root
 * operation, #GP(0) outside level 0, then operands and failures. SMM's dual-monitor treatment does not
 * exist: VMCALL in root operation fails with error 1. */
#include "cpu/control.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#undef TRY
#include "cpu/vmx/vmx_insn.h"
#include "cpu/vmx/vmx_priv.h"
#include "trace/events.h"

/* ---- Conventions ---- */

void vmx_succeed(struct cpu *cpu)
{
    flags_set_arith(cpu, 0);
}

void vmx_fail(struct cpu *cpu, u32 error, u64 operand, const char *why)
{
    if (cpu->arch.vmx.current == VMX_NO_VMCS) {
        flags_set_arith(cpu, RFLAGS_CF);
    } else {
        flags_set_arith(cpu, RFLAGS_ZF);
        vmcs_write(cpu, VMCS_INSTRUCTION_ERROR, error);
    }
    vmx_say_vmfail(cpu, error, operand, why);
}

static void fail_invalid(struct cpu *cpu, u64 operand, const char *why)
{
    flags_set_arith(cpu, RFLAGS_CF);
    vmx_say_vmfail(cpu, 0, operand, why);
}

static bool mode_has_vmx(const struct cpu *cpu)
{
    return cpu->d.prot && !cpu->d.v86 && (!cpu->d.long_mode || cpu->d.code64);
}

cpu_rc vmx_insn_exit(struct cpu *cpu, const struct insn *in, u32 reason)
{
    u64 qualification = vmx_info_displacement(cpu, in);
    cpu_rc rc = vmx_exit_because(cpu, reason, qualification, "VMX instruction in non-root operation");
    cpu->exit.insn_info = vmx_info_memory(cpu, in);
    return rc;
}

cpu_rc vmx_insn_begin(struct cpu *cpu, const struct insn *in, u32 reason)
{
    TRY(vmx_insn_allowed(cpu));
    if (in_guest(cpu)) {
        return vmx_insn_exit(cpu, in, reason);
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "VMX instruction outside level 0");
    }
    return CPU_OK;
}

cpu_rc vmx_insn_allowed(struct cpu *cpu)
{
    if (!cpu->arch.vmx.on || !mode_has_vmx(cpu)) {
        return raise_ud(cpu, "VMX instruction outside VMX operation");
    }
    return CPU_OK;
}

static bool physical_ok(const struct cpu *cpu, u64 address)
{
    return (address & PAGE_MASK) == 0 && (address & cpu_phys_reserved(cpu)) == 0;
}

static cpu_rc read_pointer(struct cpu *cpu, const struct insn *in, u64 *pointer)
{
    return mem_read(cpu, insn_seg(in), insn_offset(cpu, in), 8, pointer);
}

/* ---- VMXON, VMXOFF ---- */

bool vmx_cr_allowed(const struct cpu *cpu, unsigned cr, u64 value)
{
    if (cr == 4) {
        return (value & CR4_VMXE) != 0 && (value & ~vmx_cr4_fixed1(cpu)) == 0;
    }
    u64 need = CR0_PG | CR0_NE | CR0_PE;
    if (in_guest(cpu) && (cpu->arch.vmx.c.proc2 & PROC2_UNRESTRICTED) != 0) {
        need = CR0_NE;
    }
    return (value & need) == need;
}

cpu_rc exec_vmxon(struct cpu *cpu, const struct insn *in)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if ((cpu->arch.cr4 & CR4_VMXE) == 0 || !mode_has_vmx(cpu)) {
        return raise_ud(cpu, "VMXON without CR4.VMXE or in a mode without VMX");
    }
    if (v->on) {
        if (in_guest(cpu)) {
            return vmx_insn_exit(cpu, in, EXIT_VMXON);
        }
        if (cpu_cpl(cpu) != 0) {
            return raise_gp(cpu, 0, "VMXON outside level 0");
        }
        vmx_fail(cpu, VM_ERROR_VMXON_IN_ROOT, v->vmxon, NULL);
        return CPU_OK;
    }
    const u64 enabled = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
    if (cpu_cpl(cpu) != 0 || cpu->arch.in_smm || !vmx_cr_allowed(cpu, 0, cpu->arch.cr0) ||
        !vmx_cr_allowed(cpu, 4, cpu->arch.cr4) || cpu->phys->a20_mask != ~(u64)0 ||
        (cpu->arch.feature_control & enabled) != enabled) {
        return raise_gp(cpu, 0, "VMXON: CPL, SMM, fixed bits of CR0 or CR4, A20 or IA32_FEATURE_CONTROL");
    }
    u64 pointer;
    TRY(read_pointer(cpu, in, &pointer));
    if (!physical_ok(cpu, pointer)) {
        fail_invalid(cpu, pointer, "VMXON pointer not aligned or beyond MAXPHYADDR");
        return CPU_OK;
    }
    if (vmcs_header(cpu, pointer, VMCS_AT_REVISION) != VMCS_REVISION) {
        fail_invalid(cpu, pointer, "VMXON region with another revision identifier");
        return CPU_OK;
    }
    *v = (struct vmx_arch){.on = true, .vmxon = pointer, .current = VMX_NO_VMCS};
    cpu->arch.monitor_armed = false;
    vmx_succeed(cpu);
    cpu_leave_block(cpu);
    return CPU_OK;
}

cpu_rc exec_vmxoff(struct cpu *cpu, const struct insn *in)
{
    TRY(vmx_insn_begin(cpu, in, EXIT_VMXOFF));
    cpu->arch.vmx = (struct vmx_arch){.current = VMX_NO_VMCS};
    cpu->arch.monitor_armed = false;
    vmx_succeed(cpu);
    cpu_kick(cpu); /* INIT is no longer blocked */
    return CPU_OK;
}

/* ---- VMCS pointers ---- */

cpu_rc exec_vmclear(struct cpu *cpu, const struct insn *in)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    u64 pointer;
    TRY(vmx_insn_begin(cpu, in, EXIT_VMCLEAR));
    TRY(read_pointer(cpu, in, &pointer));
    if (!physical_ok(cpu, pointer)) {
        vmx_fail(cpu, VM_ERROR_VMCLEAR_ADDRESS, pointer, NULL);
        return CPU_OK;
    }
    if (pointer == v->vmxon) {
        vmx_fail(cpu, VM_ERROR_VMCLEAR_VMXON_POINTER, pointer, NULL);
        return CPU_OK;
    }
    vmcs_set_header(cpu, pointer, VMCS_AT_LAUNCHED, 0);
    if (pointer == v->current) {
        v->current = VMX_NO_VMCS;
    }
    vmx_succeed(cpu);
    return CPU_OK;
}

cpu_rc exec_vmptrld(struct cpu *cpu, const struct insn *in)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    u64 pointer;
    TRY(vmx_insn_begin(cpu, in, EXIT_VMPTRLD));
    TRY(read_pointer(cpu, in, &pointer));
    if (!physical_ok(cpu, pointer)) {
        vmx_fail(cpu, VM_ERROR_VMPTRLD_ADDRESS, pointer, NULL);
        return CPU_OK;
    }
    if (pointer == v->vmxon) {
        vmx_fail(cpu, VM_ERROR_VMPTRLD_VMXON_POINTER, pointer, NULL);
        return CPU_OK;
    }
    u32 revision = vmcs_header(cpu, pointer, VMCS_AT_REVISION);
    bool shadow = (revision & VMCS_SHADOW) != 0;
    if ((revision & ~(u32)VMCS_SHADOW) != VMCS_REVISION ||
        (shadow && !cpu_has(cpu, CPU_FEATURE_VMX_SHADOW_VMCS))) {
        vmx_fail(cpu, VM_ERROR_VMPTRLD_REVISION, revision, NULL);
        return CPU_OK;
    }
    v->current = pointer;
    vmx_succeed(cpu);
    return CPU_OK;
}

cpu_rc exec_vmptrst(struct cpu *cpu, const struct insn *in)
{
    TRY(vmx_insn_begin(cpu, in, EXIT_VMPTRST));
    TRY(mem_write(cpu, insn_seg(in), insn_offset(cpu, in), 8, cpu->arch.vmx.current));
    vmx_succeed(cpu);
    return CPU_OK;
}

/* ---- VMREAD, VMWRITE ---- */

static u32 access_info(const struct cpu *cpu, const struct insn *in, bool write)
{
    unsigned rm = write ? 1 : 0;
    u32 info = in->r[rm] == OPR_MEM ? vmx_info_memory(cpu, in) : BIT32(10) | (u32)in->r[rm] << 3;
    return info | (u32)in->r[1 - rm] << 28;
}

/* [SDM3 "VMREAD-Read Field from Virtual-Machine Control Structure"]: does the guest's access go to the shadow? */
static bool is_shadowed(struct cpu *cpu, u64 encoding, bool write)
{
    if ((vmx_proc2(cpu) & PROC2_VMCS_SHADOWING) == 0 || cpu_cpl(cpu) != 0 || encoding > 0x7fff) {
        return false;
    }
    u64 bitmap = vmcs_read(cpu, write ? VMCS_VMWRITE_BITMAP : VMCS_VMREAD_BITMAP);
    u64 byte = phys_read_scalar(cpu->phys, SPA(bitmap + encoding / 8), 1);
    return ((byte >> (encoding & 7)) & 1) == 0;
}

/* Which VMCS, and may the field be accessed? *done: it failed and the flags say so. */
static cpu_rc begin_access(struct cpu *cpu, const struct insn *in, bool write, u64 encoding, u64 *region,
                           bool *done)
{
    *done = false;
    TRY(vmx_insn_allowed(cpu));
    *region = cpu->arch.vmx.current;
    if (in_guest(cpu)) {
        if (!is_shadowed(cpu, encoding, write)) {
            u64 q = vmx_info_displacement(cpu, in);
            cpu_rc rc = vmx_exit_because(cpu, write ? EXIT_VMWRITE : EXIT_VMREAD, q,
                                         "VMX instruction in non-root operation");
            cpu->exit.insn_info = access_info(cpu, in, write);
            return rc;
        }
        *region = vmcs_read(cpu, VMCS_GUEST_LINK_POINTER);
    } else if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "VMREAD or VMWRITE outside level 0");
    }
    if (*region == VMX_NO_VMCS) {
        fail_invalid(cpu, encoding, "VMREAD or VMWRITE without a current VMCS");
        *done = true;
    }
    return CPU_OK;
}

/* VMfailValid of an access; the error goes to the current VMCS, not to the shadow. */
static void access_fails(struct cpu *cpu, u32 error, u64 encoding)
{
    flags_set_arith(cpu, RFLAGS_ZF);
    vmcs_write(cpu, VMCS_INSTRUCTION_ERROR, error);
    vmx_say_vmfail(cpu, error, encoding, encoding <= 0x7fff ? vmcs_field_title((u32)encoding) : NULL);
}

cpu_rc exec_vmread(struct cpu *cpu, const struct insn *in)
{
    unsigned size = cpu->d.code64 ? 8 : 4;
    u64 encoding = gpr_read(cpu, in->r[1], size);
    u64 region;
    bool done;
    TRY(begin_access(cpu, in, false, encoding, &region, &done));
    if (done) {
        return CPU_OK;
    }
    if (!vmcs_field_exists(cpu, encoding)) {
        access_fails(cpu, VM_ERROR_UNSUPPORTED_FIELD, encoding);
        return CPU_OK;
    }
    TRY(opr_write(cpu, in, 0, size, vmcs_read_at(cpu, region, (u32)encoding)));
    vmx_succeed(cpu);
    return CPU_OK;
}

cpu_rc exec_vmwrite(struct cpu *cpu, const struct insn *in)
{
    unsigned size = cpu->d.code64 ? 8 : 4;
    u64 encoding = gpr_read(cpu, in->r[0], size);
    u64 region, value;
    bool done;
    TRY(begin_access(cpu, in, true, encoding, &region, &done));
    if (done) {
        return CPU_OK;
    }
    TRY(opr_read(cpu, in, 1, size, &value));
    if (!vmcs_field_exists(cpu, encoding)) {
        access_fails(cpu, VM_ERROR_UNSUPPORTED_FIELD, encoding);
    } else if (vmcs_field_is_read_only((u32)encoding) && !cpu_has(cpu, CPU_FEATURE_VMX_VMWRITE_ANY)) {
        access_fails(cpu, VM_ERROR_READ_ONLY_FIELD, encoding);
    } else {
        vmcs_write_at(cpu, region, (u32)encoding, value);
        vmx_succeed(cpu);
    }
    return CPU_OK;
}

/* ---- VMCALL ---- */

cpu_rc exec_vmcall(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (!cpu->arch.vmx.on) {
        return raise_ud(cpu, "VMCALL outside VMX operation");
    }
    if (in_guest(cpu)) {
        return vmx_exit_because(cpu, EXIT_VMCALL, 0, "VMCALL always exits");
    }
    if (!mode_has_vmx(cpu)) {
        return raise_ud(cpu, "VMCALL in a mode without VMX");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "VMCALL outside level 0");
    }
    vmx_fail(cpu, VM_ERROR_VMCALL_IN_ROOT, 0, "no dual-monitor treatment of SMM");
    return CPU_OK;
}

/* ---- Invalidation: translations are always coherent, so only operands matter ---- */

static cpu_rc read_descriptor(struct cpu *cpu, const struct insn *in, u64 *type, u64 desc[2])
{
    *type = gpr_read(cpu, in->r[0], cpu->d.code64 ? 8 : 4);
    u8 bytes[16];
    TRY(mem_read_bytes(cpu, insn_seg(in), insn_offset(cpu, in), bytes, sizeof bytes));
    desc[0] = load_le64(bytes);
    desc[1] = load_le64(bytes + 8);
    return CPU_OK;
}

static cpu_rc begin_invalidate(struct cpu *cpu, const struct insn *in, u32 reason, bool exists)
{
    if (!exists) {
        return raise_ud(cpu, "INVEPT or INVVPID that this processor does not have");
    }
    TRY(vmx_insn_allowed(cpu));
    if (in_guest(cpu)) {
        cpu_rc rc = vmx_insn_exit(cpu, in, reason);
        cpu->exit.insn_info = (vmx_info_memory(cpu, in) & 0x0fffffff) | (u32)in->r[0] << 28;
        return rc;
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "INVEPT or INVVPID outside level 0");
    }
    return CPU_OK;
}

/* Is the EPT pointer one that a VM entry would take? [SDM3 "Extended-Page-Table Pointer (EPTP)"] */
bool vmx_eptp_ok(const struct cpu *cpu, u64 eptp)
{
    u64 type = eptp & 7, levels = ((eptp >> 3) & 7) + 1;
    bool depth = (levels == 4 && cpu_has(cpu, CPU_FEATURE_VMX_PAGE_WALK_4)) ||
                 (levels == 5 && cpu_has(cpu, CPU_FEATURE_VMX_PAGE_WALK_5));
    bool ad = (eptp & EPTP_AD) == 0 || cpu_has(cpu, CPU_FEATURE_VMX_EPT_AD);
    return (type == 0 || type == 6) && depth && ad && (eptp & 0xf80) == 0 &&
           (eptp & cpu_phys_reserved(cpu)) == 0;
}

cpu_rc exec_invept(struct cpu *cpu, const struct insn *in)
{
    u64 type, desc[2];
    TRY(begin_invalidate(cpu, in, EXIT_INVEPT, cpu_has(cpu, CPU_FEATURE_VMX_INVEPT)));
    TRY(read_descriptor(cpu, in, &type, desc));
    bool ok = (type == 1 && cpu_has(cpu, CPU_FEATURE_VMX_INVEPT_SINGLE)) ||
              (type == 2 && cpu_has(cpu, CPU_FEATURE_VMX_INVEPT_ALL));
    if (!ok || (type == 1 && !vmx_eptp_ok(cpu, desc[0]))) {
        vmx_fail(cpu, VM_ERROR_INVALID_OPERAND, type, "INVEPT type or EPT pointer");
        return CPU_OK;
    }
    trace_invalidate(cpu->trace, cpu->index, TRACE_INVEPT, type, desc[0], 0);
    vmx_succeed(cpu);
    return CPU_OK;
}

cpu_rc exec_invvpid(struct cpu *cpu, const struct insn *in)
{
    u64 type, desc[2];
    TRY(begin_invalidate(cpu, in, EXIT_INVVPID, cpu_has(cpu, CPU_FEATURE_VMX_INVVPID)));
    TRY(read_descriptor(cpu, in, &type, desc));
    static const enum cpu_feature types[] = {CPU_FEATURE_VMX_INVVPID_ADDRESS, CPU_FEATURE_VMX_INVVPID_SINGLE,
                                             CPU_FEATURE_VMX_INVVPID_ALL, CPU_FEATURE_VMX_INVVPID_GLOBALS};
    bool ok = type < ARRAY_LEN(types) && cpu_has(cpu, types[type]) && (desc[0] >> 16) == 0 &&
              (type == 2 || desc[0] != 0) && (type != 0 || msr_is_canonical(cpu, desc[1]));
    if (!ok) {
        vmx_fail(cpu, VM_ERROR_INVALID_OPERAND, type, "INVVPID type, VPID or address");
        return CPU_OK;
    }
    trace_invalidate(cpu->trace, cpu->index, TRACE_INVVPID, type, desc[0], desc[1]);
    vmx_succeed(cpu);
    return CPU_OK;
}
