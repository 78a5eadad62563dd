/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bounds: BND0-BND3, the checks, the tables in memory, branches that forget bounds.
 * [SDM1 "Intel Memory Protection Extensions"]
 *
 * Where MPX is not enabled (XCR0, BNDCFGU or BNDCFGS) the same bytes are NOPs: the mode word says it to the decoder, so
 * the handlers here run only while it is. A #BR of theirs leaves its reason in BNDSTATUS, also when a VM exit takes it.
 *
 * DEVIATION: BNDCFGU is taken as XRSTOR brings it; a directory that is not canonical faults when it is used.
 * UNCLEAR: a Jcc that is not taken: it sets the bounds to INIT as one that is: test_mpx__branches. A 67H prefix in
 * 64-bit mode is ignored. */
#include "cpu/exec/exec_system.h"
#include "cpu/exec/exec_int.h"
#include "cpu/decode/decode.h"

enum { STATUS_OUT_OF_BOUNDS = 1, STATUS_NO_TABLE = 2 };

static void init_bounds(struct cpu *cpu)
{
    memset(cpu->arch.mpx.bnd, 0, sizeof cpu->arch.mpx.bnd);
}

cpu_rc exec_branch_init(struct cpu *cpu, const struct insn *in)
{
    TRY(insn_rows[insn_id(in)].exec(cpu, in));
    init_bounds(cpu);
    return CPU_OK;
}

/* Operands have 64 bits in 64-bit mode and 32 elsewhere, whatever prefixes say. */
static unsigned width(const struct cpu *cpu)
{
    return cpu->d.code64 ? 8 : 4;
}

static u64 narrow(const struct cpu *cpu, u64 v)
{
    return cpu->d.code64 ? v : (u32)v;
}

static bool in_memory(const struct insn *in)
{
    return in->r[0] == OPR_MEM || in->r[1] == OPR_MEM;
}

/* Effective address without `index`, when that names a pointer. */
static u64 address(const struct cpu *cpu, const struct insn *in, bool index)
{
    u64 ea = (u64)(i64)in->disp;
    ea += in->base < 16 ? cpu->arch.gpr[in->base] : in->base == REG_RIP ? cpu->arch.rip + in->len : 0;
    ea += index && in->index < 16 ? cpu->arch.gpr[in->index] << (in->sib & 3) : 0;
    return narrow(cpu, ea);
}

/* 16-bit addresses do not exist for these, and some forms take no RIP-relative ones. */
static MUST_USE cpu_rc check_form(struct cpu *cpu, const struct insn *in, bool rip_allowed)
{
    if (in_memory(in) && ((!cpu->d.code64 && insn_asize(in) == 2) || (in->base == REG_RIP && !rip_allowed))) {
        return raise_ud(cpu, "MPX: 16-bit or RIP-relative address");
    }
    return CPU_OK;
}

static cpu_rc raise_br(struct cpu *cpu, u64 status, const char *why)
{
    cpu->arch.mpx.status = status;
    return raise_exception(cpu, VEC_BR, why);
}

cpu_rc exec_bndmk(struct cpu *cpu, const struct insn *in)
{
    if (!in_memory(in)) {
        return CPU_OK; /* stays a NOP */
    }
    TRY(check_form(cpu, in, false));
    u64 *bnd = cpu->arch.mpx.bnd[in->r[0] & 3];
    u64 lower = in->base < 16 ? cpu->arch.gpr[in->base] : 0;
    bnd[1] = narrow(cpu, ~address(cpu, in, true));
    bnd[0] = narrow(cpu, lower);
    return CPU_OK;
}

/* What is checked: a register, or the address of a memory operand, which is not accessed. */
static u64 pointer(const struct cpu *cpu, const struct insn *in)
{
    return in->r[1] == OPR_MEM ? address(cpu, in, true) : gpr_read(cpu, in->r[1], width(cpu));
}

cpu_rc exec_bndcl(struct cpu *cpu, const struct insn *in)
{
    TRY(check_form(cpu, in, true));
    bool out = pointer(cpu, in) < narrow(cpu, cpu->arch.mpx.bnd[in->r[0] & 3][0]);
    return out ? raise_br(cpu, STATUS_OUT_OF_BOUNDS, "BNDCL: below the lower bound") : CPU_OK;
}

cpu_rc exec_bndcu(struct cpu *cpu, const struct insn *in)
{
    TRY(check_form(cpu, in, true));
    bool out = pointer(cpu, in) > narrow(cpu, ~cpu->arch.mpx.bnd[in->r[0] & 3][1]);
    return out ? raise_br(cpu, STATUS_OUT_OF_BOUNDS, "BNDCU: above the upper bound") : CPU_OK;
}

cpu_rc exec_bndcn(struct cpu *cpu, const struct insn *in)
{
    TRY(check_form(cpu, in, true));
    bool out = pointer(cpu, in) > narrow(cpu, cpu->arch.mpx.bnd[in->r[0] & 3][1]);
    return out ? raise_br(cpu, STATUS_OUT_OF_BOUNDS, "BNDCN: above the upper bound") : CPU_OK;
}

cpu_rc exec_bndmov(struct cpu *cpu, const struct insn *in)
{
    unsigned size = width(cpu);
    u8 data[16] = {0};
    TRY(check_form(cpu, in, true));
    if (in->r[0] == OPR_MEM) {
        const u64 *from = cpu->arch.mpx.bnd[in->r[1] & 3];
        store_le(data, from[0], size);
        store_le(data + size, from[1], size);
        return mem_write_bytes(cpu, insn_seg(in), address(cpu, in, true), data, 2 * size);
    }
    u64 *to = cpu->arch.mpx.bnd[in->r[0] & 3];
    if (in->r[1] == OPR_MEM) {
        TRY(mem_read_bytes(cpu, insn_seg(in), address(cpu, in, true), data, 2 * size));
        to[0] = load_le(data, size);
        to[1] = load_le(data + size, size);
    } else {
        const u64 *from = cpu->arch.mpx.bnd[in->r[1] & 3];
        u64 lower = from[0], upper = from[1];
        to[0] = narrow(cpu, lower);
        to[1] = narrow(cpu, upper);
    }
    return CPU_OK;
}

/* The entry of the bound table for a pointer that is kept at the operand's address: lower bound, upper bound, the
 * pointer itself. [SDM1 "Bound Directory and Bound Tables"] */
static MUST_USE cpu_rc find_entry(struct cpu *cpu, const struct insn *in, u64 *entry)
{
    bool wide = cpu->d.code64;
    u64 lin = narrow(cpu, cpu->d.seg_base[insn_seg(in)] + address(cpu, in, false));
    u64 directory = narrow(cpu, mpx_config(cpu) & ~(u64)PAGE_MASK), table = 0;
    u64 at = narrow(cpu, directory + (wide ? (lin >> 20 & 0xfffffff) << 3 : (lin >> 12 & 0xfffff) << 2));
    TRY(lin_read(cpu, at, width(cpu), &table));
    if ((table & 1) == 0) {
        return raise_br(cpu, at | STATUS_NO_TABLE, "BNDLDX or BNDSTX: entry of the bound directory not valid");
    }
    *entry = wide ? (table & ~(u64)7) + ((lin >> 3 & 0x1ffff) << 5)
                  : narrow(cpu, (table & ~(u64)3) + ((lin >> 2 & 0x3ff) << 4));
    return CPU_OK;
}

static u64 index_pointer(const struct cpu *cpu, const struct insn *in)
{
    return in->index < 16 ? gpr_read(cpu, in->index, width(cpu)) : 0;
}

cpu_rc exec_bndldx(struct cpu *cpu, const struct insn *in)
{
    u64 at = 0, part[3] = {0};
    unsigned size = width(cpu);
    TRY(check_form(cpu, in, false));
    TRY(find_entry(cpu, in, &at));
    for (unsigned i = 0; i < 3; i++) {
        TRY(lin_read(cpu, narrow(cpu, at + i * size), size, &part[i]));
    }
    bool mine = part[2] == index_pointer(cpu, in);
    u64 *bnd = cpu->arch.mpx.bnd[in->r[0] & 3];
    bnd[0] = mine ? part[0] : 0;
    bnd[1] = mine ? part[1] : 0;
    return CPU_OK;
}

cpu_rc exec_bndstx(struct cpu *cpu, const struct insn *in)
{
    u64 at = 0;
    unsigned size = width(cpu);
    TRY(check_form(cpu, in, false));
    TRY(find_entry(cpu, in, &at));
    const u64 *bnd = cpu->arch.mpx.bnd[(in->r[0] == OPR_MEM ? in->r[1] : in->r[0]) & 3];
    u64 part[3] = {bnd[0], bnd[1], index_pointer(cpu, in)};
    for (unsigned i = 0; i < 3; i++) {
        TRY(lin_probe(cpu, narrow(cpu, at + i * size), size, ACCESS_WRITE));
    }
    for (unsigned i = 0; i < 3; i++) {
        TRY(lin_write(cpu, narrow(cpu, at + i * size), size, part[i]));
    }
    return CPU_OK;
}
