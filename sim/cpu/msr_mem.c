/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MTRRs, PAT and the machine-check banks. Memory types are kept and checked; no cache follows them.
 * No machine check is ever found: the banks hold what software writes.
 * [SDM3 "Memory Type Range Registers (MTRRs)"], [SDM3 "Machine-Check Architecture"], [APM2 "MTRRs"]
 */
#include "cpu/msr_priv.h"

#define MTRR_TYPE_UC 0u
#define MTRR_TYPE_WT 4u
#define MTRR_TYPE_WB 6u
#define MTRR_DEF_FE BIT(10)
#define MTRR_DEF_E BIT(11)
#define MTRR_MASK_V BIT(11)
#define SYSCFG_FIXED_MOD_EN BIT(19)
/* AMD: RdMem and WrMem beside each fixed range's type. */
#define FIXED_DRAM_BITS 0x1818181818181818u

static cpu_rc bad(struct cpu *cpu, const char *why)
{
    return raise_gp(cpu, 0, why);
}

static bool mtrr_type_valid(u64 type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

MSR_READER(mtrrcap)
{
    UNUSED(row);
    UNUSED(index);
    UNUSED(cpu);
    *value = MTRR_VAR_COUNT | BIT(8) | BIT(10); /* fixed ranges, WC */
    return CPU_OK;
}

MSR_READER(mtrr_var)
{
    unsigned i = (index - row->first) / 2;
    *value = (index & 1) != 0 ? cpu->arch.mtrr_mask[i] : cpu->arch.mtrr_base[i];
    return CPU_OK;
}

MSR_WRITER(mtrr_var)
{
    unsigned i = (index - row->first) / 2;
    bool mask = (index & 1) != 0;
    u64 wrong = cpu_phys_reserved(cpu) | (mask ? 0x7ff : 0xf00);
    if ((value & wrong) != 0 || (!mask && !mtrr_type_valid(value & 0xff))) {
        return bad(cpu, "WRMSR: memory type or reserved bits of an MTRR");
    }
    *(mask ? &cpu->arch.mtrr_mask[i] : &cpu->arch.mtrr_base[i]) = value;
    return CPU_OK;
}

static unsigned fixed_number(u32 index)
{
    return index == 0x250 ? 0 : index <= 0x259 ? index - 0x258 + 1 : index - 0x268 + 3;
}

static u64 fixed_hidden(const struct cpu *cpu)
{
    return cpu_is_intel(cpu) || (cpu->arch.syscfg & SYSCFG_FIXED_MOD_EN) != 0 ? 0 : FIXED_DRAM_BITS;
}

MSR_READER(mtrr_fixed)
{
    UNUSED(row);
    *value = cpu->arch.mtrr_fixed[fixed_number(index)] & ~fixed_hidden(cpu);
    return CPU_OK;
}

MSR_WRITER(mtrr_fixed)
{
    UNUSED(row);
    u64 types = cpu_is_intel(cpu) ? value : value & ~FIXED_DRAM_BITS;
    for (unsigned i = 0; i < 64; i += 8) {
        if (!mtrr_type_valid(types >> i & 0xff)) {
            return bad(cpu, "WRMSR: memory type of a fixed-range MTRR");
        }
    }
    u64 *field = &cpu->arch.mtrr_fixed[fixed_number(index)];
    u64 hidden = fixed_hidden(cpu);
    *field = (value & ~hidden) | (*field & hidden);
    return CPU_OK;
}

MSR_WRITER(mtrr_def)
{
    UNUSED(row);
    UNUSED(index);
    if ((value & ~(MTRR_DEF_E | MTRR_DEF_FE | 0xff)) != 0 || !mtrr_type_valid(value & 0xff)) {
        return bad(cpu, "WRMSR: IA32_MTRR_DEF_TYPE");
    }
    cpu->arch.mtrr_def = value;
    return CPU_OK;
}

MSR_WRITER(pat)
{
    UNUSED(row);
    UNUSED(index);
    for (unsigned i = 0; i < 64; i += 8) {
        u64 type = value >> i & 0xff;
        if (!mtrr_type_valid(type) && type != 7) {
            return bad(cpu, "WRMSR: memory type in IA32_PAT");
        }
    }
    cpu->arch.pat = value;
    return CPU_OK;
}

static unsigned fixed_type(const struct cpu *cpu, u64 spa)
{
    u64 reg, piece;
    if (spa < 0x80000) {
        reg = cpu->arch.mtrr_fixed[0];
        piece = spa >> 16;
    } else if (spa < 0xc0000) {
        reg = cpu->arch.mtrr_fixed[1 + ((spa - 0x80000) >> 17)];
        piece = spa >> 14 & 7;
    } else {
        reg = cpu->arch.mtrr_fixed[3 + ((spa - 0xc0000) >> 15)];
        piece = spa >> 12 & 7;
    }
    return (unsigned)(reg >> (8 * piece)) & 7;
}

unsigned mtrr_type(const struct cpu *cpu, u64 spa)
{
    const struct cpu_arch *a = &cpu->arch;
    if (!cpu_has(cpu, CPU_FEATURE_MTRR) || (a->mtrr_def & MTRR_DEF_E) == 0) {
        return MTRR_TYPE_UC;
    }
    if (spa < 0x100000 && (a->mtrr_def & MTRR_DEF_FE) != 0) {
        return fixed_type(cpu, spa);
    }
    bool hit = false;
    unsigned type = 0;
    for (unsigned i = 0; i < MTRR_VAR_COUNT; i++) {
        u64 mask = a->mtrr_mask[i] & ~PAGE_MASK;
        if ((a->mtrr_mask[i] & MTRR_MASK_V) == 0 || ((spa ^ a->mtrr_base[i]) & mask) != 0) {
            continue;
        }
        unsigned t = (unsigned)a->mtrr_base[i] & 0xff;
        if (t == MTRR_TYPE_UC) {
            return MTRR_TYPE_UC;
        }
        /* [SDM3 "MTRR Precedences"]: WT wins over WB; other overlaps are undefined: the first
         * stays. */
        if (!hit || (type == MTRR_TYPE_WB && t == MTRR_TYPE_WT)) {
            type = t;
        }
        hit = true;
    }
    return hit ? type : (unsigned)a->mtrr_def & 0xff;
}

/* ---- Machine checks ------------------------------------------------------------------------- */

MSR_READER(mcg_cap)
{
    UNUSED(row);
    UNUSED(index);
    /* Intel: corrected-error interrupts (CMCI). AMD: IA32_MCG_CTL is present. */
    *value = MC_BANK_COUNT | (cpu_is_intel(cpu) ? BIT(10) : BIT(8));
    return CPU_OK;
}

MSR_WRITER(mcg_ctl)
{
    UNUSED(row);
    UNUSED(index);
    if (value != 0 && value != ~(u64)0) {
        return bad(cpu, "WRMSR: IA32_MCG_CTL takes all zeros or all ones");
    }
    cpu->arch.mcg_ctl = value;
    return CPU_OK;
}

MSR_READER(mc_bank)
{
    unsigned bank = (index - row->first) / 4;
    const struct cpu_arch *a = &cpu->arch;
    const u64 regs[] = {a->mc_ctl[bank], a->mc_status[bank], a->mc_addr[bank], a->mc_misc[bank]};
    *value = regs[index & 3];
    return CPU_OK;
}

/* CTL takes all zeros or all ones (AMD's bank 4 may leave GART errors out), STATUS zero unless
 * AMD's HWCR.McStatusWrEn is on. */
MSR_WRITER(mc_bank)
{
    unsigned bank = (index - row->first) / 4;
    struct cpu_arch *a = &cpu->arch;
    switch (index & 3) {
    case 0:
        if (value != 0 && (value | (bank == 4 ? BIT(10) : 0)) != ~(u64)0) {
            return bad(cpu, "WRMSR: IA32_MCi_CTL takes all zeros or all ones");
        }
        a->mc_ctl[bank] = value;
        return CPU_OK;
    case 1:
        if (value != 0 && (cpu_is_intel(cpu) || (a->hwcr & HWCR_MC_STATUS_WRITE) == 0)) {
            return bad(cpu, "WRMSR: IA32_MCi_STATUS can only be cleared");
        }
        a->mc_status[bank] = value;
        return CPU_OK;
    case 2:
        a->mc_addr[bank] = value;
        return CPU_OK;
    default:
        a->mc_misc[bank] = value;
        return CPU_OK;
    }
}
