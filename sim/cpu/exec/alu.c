/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Binary arithmetic and logic with one or two operands, and the exchanging forms of them: XADD,
 * CMPXCHG, CMPXCHG8B, CMPXCHG16B. [SDM1 "Binary Arithmetic Instructions", "Logical Instructions"]
 *
 * LOCK needs nothing here: one processor runs at a time, and the decoder refuses its misuse. */
#include "cpu/exec/exec_int.h"

/* dest op= source. */
static ALWAYS_INLINE cpu_rc alu_rmw(struct cpu *cpu, const struct insn *in, enum alu_op op)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 a, b;
    TRY(opr_read(cpu, in, 1, size, &b));
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    u64 res = alu_compute(cpu, op, size, a, b);
    opr_rmw_end(cpu, in, 0, size, &rmw, res);
    return CPU_OK;
}

/* Flags only: CMP, TEST. */
static ALWAYS_INLINE cpu_rc alu_flags(struct cpu *cpu, const struct insn *in, enum alu_op op)
{
    unsigned size = in->osz;
    u64 a, b;
    TRY(opr_read(cpu, in, 0, size, &a));
    TRY(opr_read(cpu, in, 1, size, &b));
    alu_compute(cpu, op, size, a, b);
    return CPU_OK;
}

/* One operand: INC, DEC. */
static ALWAYS_INLINE cpu_rc alu_unary(struct cpu *cpu, const struct insn *in, enum alu_op op)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 a;
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    u64 res = alu_compute(cpu, op, size, a, 0);
    opr_rmw_end(cpu, in, 0, size, &rmw, res);
    return CPU_OK;
}

cpu_rc exec_add(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_ADD);
}

cpu_rc exec_adc(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_ADC);
}

cpu_rc exec_sub(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_SUB);
}

cpu_rc exec_sbb(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_SBB);
}

cpu_rc exec_and(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_AND);
}

cpu_rc exec_or(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_OR);
}

cpu_rc exec_xor(struct cpu *cpu, const struct insn *in)
{
    return alu_rmw(cpu, in, ALU_XOR);
}

cpu_rc exec_cmp(struct cpu *cpu, const struct insn *in)
{
    return alu_flags(cpu, in, ALU_CMP);
}

cpu_rc exec_test(struct cpu *cpu, const struct insn *in)
{
    return alu_flags(cpu, in, ALU_TEST);
}

cpu_rc exec_inc(struct cpu *cpu, const struct insn *in)
{
    return alu_unary(cpu, in, ALU_INC);
}

cpu_rc exec_dec(struct cpu *cpu, const struct insn *in)
{
    return alu_unary(cpu, in, ALU_DEC);
}

cpu_rc exec_not(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 a;
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    opr_rmw_end(cpu, in, 0, size, &rmw, ~a);
    return CPU_OK;
}

cpu_rc exec_neg(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 a;
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    u64 res = alu_compute(cpu, ALU_SUB, size, 0, a);
    opr_rmw_end(cpu, in, 0, size, &rmw, res);
    return CPU_OK;
}

/* ADCX, ADOX: add with one flag as carry in and out, the others stay. */
static ALWAYS_INLINE u64 add_with(u64 a, u64 b, unsigned size, bool *carry)
{
    u128 sum = (u128)a + b + (*carry ? 1u : 0u);
    *carry = (sum >> (8 * size)) != 0;
    return (u64)sum;
}

cpu_rc exec_adcx(struct cpu *cpu, const struct insn *in)
{
    u64 a = gpr_read(cpu, in->r[0], in->osz), b;
    TRY(opr_read(cpu, in, 1, in->osz, &b));
    bool carry = flag_cf(cpu);
    gpr_write(cpu, in->r[0], in->osz, add_with(a, b, in->osz, &carry));
    flag_set_cf(cpu, carry);
    return CPU_OK;
}

cpu_rc exec_adox(struct cpu *cpu, const struct insn *in)
{
    u64 a = gpr_read(cpu, in->r[0], in->osz), b;
    TRY(opr_read(cpu, in, 1, in->osz, &b));
    bool carry = flag_of(cpu);
    gpr_write(cpu, in->r[0], in->osz, add_with(a, b, in->osz, &carry));
    flag_set_of(cpu, carry);
    return CPU_OK;
}

/* [SDM2 "XADD"] The source register gets the old destination first, so XADD of a register with
 * itself leaves the sum. */
cpu_rc exec_xadd(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 a, b = gpr_read(cpu, in->r[1], size);
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &a));
    u64 res = alu_compute(cpu, ALU_ADD, size, a, b);
    gpr_write(cpu, in->r[1], size, a);
    opr_rmw_end(cpu, in, 0, size, &rmw, res);
    return CPU_OK;
}

/* [SDM2 "CMPXCHG"] A memory destination is written in any case. A register destination that is not
 * replaced keeps its upper half even with a 32-bit operand; the accumulator too when the
 * comparison succeeds. */
cpu_rc exec_cmpxchg(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz;
    struct mem_rmw rmw = {0};
    u64 acc = gpr_read(cpu, RAX, size), dest;
    TRY(opr_rmw_begin(cpu, in, 0, size, &rmw, &dest));
    alu_compute(cpu, ALU_CMP, size, acc, dest);
    if (acc == dest) {
        opr_rmw_end(cpu, in, 0, size, &rmw, gpr_read(cpu, in->r[1], size));
        return CPU_OK;
    }
    if (in->r[0] == OPR_MEM) {
        mem_rmw_store(cpu, &rmw, size, dest);
    }
    gpr_write(cpu, RAX, size, dest);
    return CPU_OK;
}

cpu_rc exec_cmpxchg8b(struct cpu *cpu, const struct insn *in)
{
    struct mem_rmw rmw = {0};
    u64 old;
    TRY(mem_rmw(cpu, insn_seg(in), insn_offset(cpu, in), 8, &rmw, &old));
    u64 *gpr = cpu->arch.gpr;
    bool equal = old == (gpr[RDX] << 32 | (u32)gpr[RAX]);
    mem_rmw_store(cpu, &rmw, 8, equal ? gpr[RCX] << 32 | (u32)gpr[RBX] : old);
    if (!equal) {
        gpr[RAX] = (u32)old;
        gpr[RDX] = old >> 32;
    }
    flag_set_zf(cpu, equal);
    return CPU_OK;
}

/* [SDM2 "CMPXCHG8B/CMPXCHG16B"] #GP(0) unless aligned to 16 bytes; a write access whatever the
 * outcome. */
cpu_rc exec_cmpxchg16b(struct cpu *cpu, const struct insn *in)
{
    unsigned seg = insn_seg(in);
    u64 offset = insn_offset(cpu, in);
    u8 data[16];
    TRY(mem_check_aligned(cpu, seg, offset, 16));
    TRY(mem_probe(cpu, seg, offset, 16, ACCESS_WRITE));
    TRY(mem_read_bytes(cpu, seg, offset, data, 16));
    u64 lo = load_le64(data), hi = load_le64(data + 8);
    u64 *gpr = cpu->arch.gpr;
    bool equal = lo == gpr[RAX] && hi == gpr[RDX];
    if (equal) {
        store_le64(data, gpr[RBX]);
        store_le64(data + 8, gpr[RCX]);
    }
    TRY(mem_write_bytes(cpu, seg, offset, data, 16));
    if (!equal) {
        gpr[RAX] = lo;
        gpr[RDX] = hi;
    }
    flag_set_zf(cpu, equal);
    return CPU_OK;
}
