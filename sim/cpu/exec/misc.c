/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flag instructions, NOPs and hints, fences, cache-line operations, CRC32, random numbers, BOUND and
 * the undefined instructions. */
#include "cpu/exec/exec_int.h"

/* ---- Flags ---- */

/* [SDM2 "LAHF"] In 64-bit mode only where CPUID says so. */
static bool lahf_exists(const struct cpu *cpu)
{
    return !cpu->d.code64 || cpu_has(cpu, CPU_FEATURE_LAHF_LM);
}

cpu_rc exec_lahf(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (!lahf_exists(cpu)) {
        return raise_ud(cpu, "LAHF in 64-bit mode without LAHF_LM");
    }
    gpr_write(cpu, OPR_HIGH + RAX, 1, (flags_get_arith(cpu) & 0xff) | RFLAGS_ONE);
    return CPU_OK;
}

cpu_rc exec_sahf(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (!lahf_exists(cpu)) {
        return raise_ud(cpu, "SAHF in 64-bit mode without LAHF_LM");
    }
    u64 ah = gpr_read(cpu, OPR_HIGH + RAX, 1);
    flags_set_arith(cpu, (ah & ~(u64)RFLAGS_OF) | (flag_of(cpu) ? RFLAGS_OF : 0u));
    return CPU_OK;
}

cpu_rc exec_clc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    flag_set_cf(cpu, false);
    return CPU_OK;
}

cpu_rc exec_stc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    flag_set_cf(cpu, true);
    return CPU_OK;
}

cpu_rc exec_cmc(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    flag_set_cf(cpu, !flag_cf(cpu));
    return CPU_OK;
}

cpu_rc exec_cld(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    cpu->arch.rflags &= ~(u64)RFLAGS_DF;
    return CPU_OK;
}

cpu_rc exec_std(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    cpu->arch.rflags |= RFLAGS_DF;
    return CPU_OK;
}

/* ---- Nothing to do ---- */

/* NOP, wide NOPs (their memory operand is not accessed), prefetches, CLDEMOTE. */
cpu_rc exec_nop(struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    UNUSED(in);
    return CPU_OK;
}

/* Memory is sequentially consistent already. */
cpu_rc exec_fence(struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    UNUSED(in);
    return CPU_OK;
}

/* CLFLUSH, CLFLUSHOPT, CLWB: checked as the load of a byte. [SDM2 "CLFLUSH"] */
cpu_rc exec_cache_line(struct cpu *cpu, const struct insn *in)
{
    return mem_probe(cpu, insn_seg(in), insn_offset(cpu, in), 1, ACCESS_READ);
}

/* ---- #UD and #BR ---- */

cpu_rc exec_ud(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return raise_ud(cpu, "UD0, UD1 or UD2");
}

/* With MPX enabled BNDSTATUS tells that it was BOUND. */
static cpu_rc out_of_bounds(struct cpu *cpu, const char *why)
{
    if (UNLIKELY((mpx_config(cpu) & BNDCFG_EN) != 0)) {
        cpu->arch.mpx.status = 0;
    }
    return raise_exception(cpu, VEC_BR, why);
}

/* [SDM2 "BOUND"] Signed index against the pair of bounds in memory. */
cpu_rc exec_bound(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz, seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in), lower, upper;
    i64 index = (i64)sign_extend(cpu->arch.gpr[in->r[0]], size);
    TRY(mem_read(cpu, seg, offset, size, &lower));
    if (index < (i64)sign_extend(lower, size)) { /* before the upper bound is read, as Intel's chips do */
        return out_of_bounds(cpu, "BOUND: index below the lower bound");
    }
    TRY(mem_read(cpu, seg, wrap_address(in, offset + size), size, &upper));
    if (index > (i64)sign_extend(upper, size)) {
        return out_of_bounds(cpu, "BOUND: index above the upper bound");
    }
    return CPU_OK;
}

/* ---- CRC32 ---- */

/* [SDM2 "CRC32"] CRC-32C, bits reflected, no inversion. */
cpu_rc exec_crc32(struct cpu *cpu, const struct insn *in)
{
    unsigned from = insn_src_size(in);
    u64 v;
    TRY(opr_read(cpu, in, 1, from, &v));
    u32 crc = (u32)cpu->arch.gpr[in->r[0]];
    for (unsigned i = 0; i < from; i++, v >>= 8) {
        crc ^= (u8)v;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
        }
    }
    cpu->arch.gpr[in->r[0]] = crc;
    return CPU_OK;
}

/* ---- RDRAND, RDSEED ---- */

/* xorshift128+ (Vigna): the guest's random numbers follow from the machine's seed. */
static u64 next_random(u64 state[2])
{
    u64 s1 = state[0], s0 = state[1], sum = s0 + s1;
    state[0] = s0;
    s1 ^= s1 << 23;
    state[1] = s1 ^ s0 ^ (s1 >> 18) ^ (s0 >> 5);
    return sum;
}

/* A number is always ready: CF = 1, the other flags 0. */
cpu_rc exec_rdrand(struct cpu *cpu, const struct insn *in)
{
    gpr_write(cpu, in->r[0], in->osz, next_random(cpu->arch.rng_state));
    flags_set_arith(cpu, RFLAGS_CF);
    return CPU_OK;
}
