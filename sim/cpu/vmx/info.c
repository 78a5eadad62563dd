/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VM-exit instruction information. [SDM3 "VM-Exit Instruction-Information Field"] */
#include "cpu/exec/exec.h"
#include "cpu/vmx/vmx_priv.h"

/* Bits that memory operands have in all layouts: scaling, address size, segment, index, base. */
static u32 memory_bits(const struct insn *in)
{
    u32 v = in->sib & 3u;
    v |= (((u32)in->sib >> 5) & 3u) << 7;
    v |= (u32)insn_seg(in) << 15;
    v |= in->index < 16 ? (u32)in->index << 18 : BIT32(22);
    v |= in->base < 16 ? (u32)in->base << 23 : BIT32(27);
    return v;
}

static unsigned memory_operand(const struct insn *in)
{
    for (unsigned i = 0; i < 4; i++) {
        if (in->r[i] == OPR_MEM) {
            return i;
        }
    }
    return 4;
}

u32 vmx_info_memory(const struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    unsigned mem = memory_operand(in);
    if (mem < 4) {
        return memory_bits(in);
    }
    return BIT32(10) | (in->r[0] < 16 ? (u32)in->r[0] << 3 : 0u);
}

u64 vmx_info_displacement(const struct cpu *cpu, const struct insn *in)
{
    if (memory_operand(in) == 4) {
        return 0;
    }
    u64 disp = (u64)(i64)in->disp;
    if (in->base == REG_RIP) {
        disp += cpu->arch.rip + in->len;
    }
    return disp & size_mask(insn_asize(in));
}
