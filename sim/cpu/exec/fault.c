/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/exec/fault.h"

#include "cpu/decode/decode.h"
#include "cpu/exec/exec.h"
#include "cpu/virt.h"
#include "cpu/exec/x87.h"

cpu_rc exec_invalid(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_ud(cpu, "invalid or unsupported opcode");
}

cpu_rc exec_too_long(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_gp(cpu, 0, "instruction longer than 15 bytes");
}

cpu_rc exec_privilege_fault(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_gp(cpu, 0, "privileged instruction at CPL > 0");
}

/* [SDM3 "Device Not Available Exception (#NM)"], [SDM3 "Invalid Opcode Exception (#UD)"] and the
 * exception tables of each instruction class. */
cpu_rc exec_unit_fault(struct cpu *cpu, const struct insn *in)
{
    u64 cr0 = cpu->arch.cr0;
    bool ts = (cr0 & CR0_TS) != 0;
    bool em = (cr0 & CR0_EM) != 0;
    switch ((enum unit_class)in->osz) {
    case UNIT_X87:
    case UNIT_X87_NOWAIT:
        if (em || ts) {
            return raise_nm(cpu);
        }
        return fpu_pending(cpu);
    case UNIT_WAIT:
        if (ts && (cr0 & CR0_MP) != 0) {
            return raise_nm(cpu);
        }
        return fpu_pending(cpu);
    case UNIT_MMX:
        if (em) {
            return raise_ud(cpu, "CR0.EM with MMX");
        }
        if (ts) {
            return raise_nm(cpu);
        }
        return fpu_pending(cpu);
    case UNIT_SSE:
        if (em || (cpu->arch.cr4 & CR4_OSFXSR) == 0) {
            return raise_ud(cpu, "CR0.EM or not CR4.OSFXSR with SSE");
        }
        return raise_nm(cpu);
    case UNIT_AVX:
        if (!cpu->d.prot || cpu->d.v86 || (cpu->arch.cr4 & CR4_OSXSAVE) == 0 ||
            (cpu->arch.xcr0 & (XCR0_SSE | XCR0_AVX)) != (XCR0_SSE | XCR0_AVX)) {
            return raise_ud(cpu, "AVX state not enabled");
        }
        return raise_nm(cpu);
    case UNIT_NONE:
    case UNIT_COUNT:
        break;
    }
    return raise_ud(cpu, "unit not usable");
}

cpu_rc exec_hooked(struct cpu *cpu, const struct insn *in)
{
    TRY(virt_insn(cpu, in));
    return insn_rows[insn_id(in)].exec(cpu, in);
}

cpu_rc exec_mov_moffs(struct cpu *cpu, const struct insn *in)
{
    u64 v = 0;
    if (in->r[0] == OPR_MEM) {
        return mem_write(cpu, insn_seg(in), in->imm, in->osz, gpr_read(cpu, RAX, in->osz));
    }
    TRY(mem_read(cpu, insn_seg(in), in->imm, in->osz, &v));
    gpr_write(cpu, RAX, in->osz, v);
    return CPU_OK;
}
