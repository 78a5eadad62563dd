/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every file of semantics uses: operands, effective addresses, stack.
 *
 * Order in a handler: read, check, compute, store, then registers and flags. A 32-bit GPR write
 * clears the upper half; 8- and 16-bit writes keep the rest. */
#ifndef VITRINE_CPU_EXEC_EXEC_H
#define VITRINE_CPU_EXEC_EXEC_H

#include "base/bits.h"
#include "cpu/cpu.h"
#include "cpu/flags.h"
#include "cpu/insn.h"
#include "cpu/mem.h"

/* Return from the handler when an access or check did not succeed. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        if (UNLIKELY((expr) != CPU_OK)) {                                                          \
            return CPU_EXIT;                                                                       \
        }                                                                                          \
    } while (0)

/* General registers; r: 0..15, or OPR_HIGH + 0..3 for AH..BH with size 1. */
static inline u64 gpr_read(const struct cpu *cpu, unsigned r, unsigned size)
{
    if (UNLIKELY(r >= OPR_HIGH)) {
        return (cpu->arch.gpr[r & 3] >> 8) & 0xff;
    }
    return cpu->arch.gpr[r] & size_mask(size);
}

static inline void gpr_write(struct cpu *cpu, unsigned r, unsigned size, u64 v)
{
    if (UNLIKELY(r >= OPR_HIGH)) {
        cpu->arch.gpr[r & 3] = bits_set(cpu->arch.gpr[r & 3], 8, 8, v & 0xff);
    } else if (size == 8) {
        cpu->arch.gpr[r] = v;
    } else if (size == 4) {
        cpu->arch.gpr[r] = (u32)v;
    } else {
        u64 mask = size_mask(size);
        cpu->arch.gpr[r] = (cpu->arch.gpr[r] & ~mask) | (v & mask);
    }
}

/* Offset of the memory operand within its segment, wrapped to the address size. */
static inline u64 insn_offset(const struct cpu *cpu, const struct insn *in)
{
    u64 ea = (u64)(i64)in->disp;
    if (in->base < 16) {
        ea += cpu->arch.gpr[in->base];
    } else if (in->base == REG_RIP) {
        ea += cpu->arch.rip + in->len;
    }
    if (in->index < 16) {
        ea += cpu->arch.gpr[in->index] << (in->sib & 3);
    }
    unsigned asize = (in->sib >> 5) & 3u;
    return asize == 2 ? ea : asize == 1 ? (u32)ea : (u16)ea;
}

/* Scalar operand i of `size` bytes: register, memory or immediate. */
static inline MUST_USE cpu_rc opr_read(struct cpu *cpu, const struct insn *in, unsigned i, unsigned size, u64 *v)
{
    unsigned r = in->r[i];
    if (r < OPR_VEC) {
        *v = gpr_read(cpu, r, size);
        return CPU_OK;
    }
    if (r == OPR_MEM) {
        return mem_read(cpu, insn_seg(in), insn_offset(cpu, in), size, v);
    }
    *v = in->imm & size_mask(size);
    return CPU_OK;
}

/* Write operand i, register or memory. Memory writes may fault: write memory before registers. */
static inline MUST_USE cpu_rc opr_write(struct cpu *cpu, const struct insn *in, unsigned i, unsigned size, u64 v)
{
    unsigned r = in->r[i];
    if (r < OPR_VEC) {
        gpr_write(cpu, r, size, v);
        return CPU_OK;
    }
    return mem_write(cpu, insn_seg(in), insn_offset(cpu, in), size, v);
}

/* Read-modify-write of operand i: rmw_begin gives the old value, rmw_end stores the new one. */
static inline MUST_USE cpu_rc opr_rmw_begin(struct cpu *cpu, const struct insn *in, unsigned i, unsigned size,
                                   struct mem_rmw *rmw, u64 *old)
{
    unsigned r = in->r[i];
    if (r < OPR_VEC) {
        *old = gpr_read(cpu, r, size);
        return CPU_OK;
    }
    return mem_rmw(cpu, insn_seg(in), insn_offset(cpu, in), size, rmw, old);
}

static inline void opr_rmw_end(struct cpu *cpu, const struct insn *in, unsigned i, unsigned size,
                               const struct mem_rmw *rmw, u64 v)
{
    unsigned r = in->r[i];
    if (r < OPR_VEC) {
        gpr_write(cpu, r, size, v);
    } else {
        mem_rmw_store(cpu, rmw, size, v);
    }
}

/* Address of the next instruction, wrapped to the code size. */
static inline u64 next_rip(const struct cpu *cpu, const struct insn *in)
{
    u64 rip = cpu->arch.rip + in->len;
    return cpu->d.code_size == 8 ? rip : cpu->d.code_size == 4 ? (u32)rip : rip & 0xffffffffu;
}

/* Stack accesses at RSP + delta without moving RSP; RSP moves by stack_move() once all is checked. */
static inline MUST_USE cpu_rc stack_read(struct cpu *cpu, i64 delta, unsigned size, u64 *v)
{
    return mem_read(cpu, SEG_SS, (cpu->arch.gpr[RSP] + (u64)delta) & cpu->d.sp_mask, size, v);
}

static inline MUST_USE cpu_rc stack_write(struct cpu *cpu, i64 delta, unsigned size, u64 v)
{
    return mem_write(cpu, SEG_SS, (cpu->arch.gpr[RSP] + (u64)delta) & cpu->d.sp_mask, size, v);
}

static inline void stack_move(struct cpu *cpu, i64 delta)
{
    u64 mask = cpu->d.sp_mask;
    u64 rsp = cpu->arch.gpr[RSP] + (u64)delta;
    cpu->arch.gpr[RSP] = mask == 0xffffffff ? (u32)rsp : (cpu->arch.gpr[RSP] & ~mask) | (rsp & mask);
}

static inline MUST_USE cpu_rc stack_push(struct cpu *cpu, unsigned size, u64 v)
{
    TRY(stack_write(cpu, -(i64)size, size, v));
    stack_move(cpu, -(i64)size);
    return CPU_OK;
}

/* Vector registers: in->r codes OPR_VEC + n; `len` 16 or 32. */
static inline u8 *vec_reg(struct cpu *cpu, unsigned r)
{
    return cpu->arch.vec[r & 15];
}

/* Handlers, one per row of the tables. */
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block)                                     \
    cpu_rc handler(struct cpu *cpu, const struct insn *in) MUST_USE;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "cpu/decode/insn.def"
#pragma GCC diagnostic pop
#undef INSN

#endif
