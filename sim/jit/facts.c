/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which instructions have an emitter, and what each means for the flags. */
#include "jit/translate.h"

#include "base/bits.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/exec/fault.h"
#include "cpu/model.h"

#include <cpuid.h>

#define CONDITIONS_OF(X, prefix)                                                                   \
    X(prefix##O, 0) X(prefix##NO, 1) X(prefix##B, 2) X(prefix##NB, 3) X(prefix##Z, 4)              \
    X(prefix##NZ, 5) X(prefix##BE, 6) X(prefix##NBE, 7) X(prefix##S, 8) X(prefix##NS, 9)           \
    X(prefix##P, 10) X(prefix##NP, 11) X(prefix##L, 12) X(prefix##NL, 13) X(prefix##LE, 14)        \
    X(prefix##NLE, 15)

struct class_row {
    u8 kind;      /* enum op_kind; 0: none */
    u8 number;    /* condition, ALU operation, host shift */
    u16 writes;
};

#define ROW_CC(k, id, cc) [INSN_##id] = {k, cc, 0},
#define ROW_JCC(id, cc) ROW_CC(OP_JCC, id, cc)
#define ROW_SETCC(id, cc) ROW_CC(OP_SETCC, id, cc)
#define ROW_CMOV(id, cc) ROW_CC(OP_CMOV, id, cc)

static const struct class_row rows[INSN_COUNT] = {
    [INSN_MOV] = {OP_MOV, 0, 0},
    [INSN_MOVZX] = {OP_MOVX, 0, 0},
    [INSN_MOVSX] = {OP_MOVX, 1, 0},
    [INSN_MOVSXD] = {OP_MOVX, 1, 0},
    [INSN_MOVNTI] = {OP_MOV, 0, 0},
    [INSN_LEA] = {OP_LEA, 0, 0},
    [INSN_ADD] = {OP_ALU, HA_ADD, F_ALL},
    [INSN_OR] = {OP_ALU, HA_OR, F_ALL},
    [INSN_ADC] = {OP_ALU, HA_ADC, F_ALL},
    [INSN_SBB] = {OP_ALU, HA_SBB, F_ALL},
    [INSN_AND] = {OP_ALU, HA_AND, F_ALL},
    [INSN_SUB] = {OP_ALU, HA_SUB, F_ALL},
    [INSN_XOR] = {OP_ALU, HA_XOR, F_ALL},
    [INSN_CMP] = {OP_ALU, HA_CMP, F_ALL},
    [INSN_TEST] = {OP_TEST, 0, F_ALL},
    [INSN_INC] = {OP_STEP, 0, F_ALL & ~F_CF},
    [INSN_DEC] = {OP_STEP, 1, F_ALL & ~F_CF},
    [INSN_NOT] = {OP_NOT, 2, 0},
    [INSN_NEG] = {OP_NEG, 3, F_ALL},
    [INSN_SHL] = {OP_SHIFT, HS_SHL, F_ALL},
    [INSN_SHR] = {OP_SHIFT, HS_SHR, F_ALL},
    [INSN_SAR] = {OP_SHIFT, HS_SAR, F_ALL},
    [INSN_ROL] = {OP_ROTATE, HS_ROL, F_CF},
    [INSN_ROR] = {OP_ROTATE, HS_ROR, F_CF},
    [INSN_IMUL] = {OP_IMUL, 0, F_ALL},
    [INSN_MUL] = {OP_MUL, 4, F_ALL},
    [INSN_DIV] = {OP_DIV, 6, F_ALL},
    [INSN_IDIV] = {OP_DIV, 7, F_ALL},
    [INSN_XCHG] = {OP_XCHG, 0, 0},
    [INSN_XADD] = {OP_XADD, 0, F_ALL},
    [INSN_CMPXCHG] = {OP_CMPXCHG, 0, F_ALL},
    [INSN_BT] = {OP_BT, 4, F_ALL & ~F_ZF},
    [INSN_BTS] = {OP_BT, 5, F_ALL & ~F_ZF},
    [INSN_BTR] = {OP_BT, 6, F_ALL & ~F_ZF},
    [INSN_BTC] = {OP_BT, 7, F_ALL & ~F_ZF},
    [INSN_BSF] = {OP_SCAN, 0xbc, F_ALL},
    [INSN_BSR] = {OP_SCAN, 0xbd, F_ALL},
    [INSN_TZCNT] = {OP_COUNT, 0xbc, F_ALL},
    [INSN_LZCNT] = {OP_COUNT, 0xbd, F_ALL},
    [INSN_POPCNT] = {OP_COUNT, 0xb8, F_ALL},
    [INSN_BSWAP] = {OP_BSWAP, 0, 0},
    [INSN_CWDE] = {OP_WIDEN, 0, 0},
    [INSN_CDQE] = {OP_WIDEN, 0, 0},
    [INSN_CDQ] = {OP_WIDEN, 1, 0},
    [INSN_CQO] = {OP_WIDEN, 1, 0},
    [INSN_SWAPGS] = {OP_SWAPGS, 0, 0},
    [INSN_CLI] = {OP_CLI, 0, 0},
    [INSN_CLD] = {OP_CLD, 0, 0},
    [INSN_PUSH] = {OP_PUSH, 0, 0},
    [INSN_POP] = {OP_POP, 0, 0},
    [INSN_LEAVE] = {OP_LEAVE, 0, 0},
    [INSN_JMP] = {OP_JMP, 0, 0},
    [INSN_CALL] = {OP_CALL, 0, 0},
    [INSN_RET] = {OP_RET, 0, 0},
    CONDITIONS_OF(ROW_JCC, J) CONDITIONS_OF(ROW_SETCC, SET) CONDITIONS_OF(ROW_CMOV, CMOV)
};

static bool is_reg(unsigned r)
{
    return r < OPR_HIGH;
}

static bool has_memory(const struct insn *in)
{
    return in->r[0] == OPR_MEM || in->r[1] == OPR_MEM || in->r[2] == OPR_MEM;
}

bool memory_is_plain(const struct translation *t, const struct insn *in)
{
    unsigned seg = insn_seg(in);
    bool flat = t->word == 8 || seg == SEG_DS || seg == SEG_SS || seg == SEG_ES;
    return flat && insn_asize(in) == t->word && !(in->base == REG_RIP && in->index != REG_NONE);
}

/* An operand that emitters know: a register other than AH..BH, an immediate, memory with addresses of the usual
 * size; in 32-bit code in a segment that MODE_FLAT speaks of, and that can be written. */
static bool is_plain(const struct translation *t, const struct insn *in, unsigned i)
{
    unsigned r = in->r[i];
    if (r == OPR_MEM) {
        return memory_is_plain(t, in);
    }
    return is_reg(r) || r == OPR_IMM || r == OPR_NONE;
}

static unsigned masked_count(const struct insn *in)
{
    return (unsigned)in->imm & (in->osz == 8 ? 63u : 31u);
}

/* __builtin_cpu_supports() does not know LZCNT in every compiler. [APM3 "CPUID Fn8000_0001_ECX"] */
static bool host_has_lzcnt(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & BIT(5)) != 0;
}

/* [SDM2 "CPUID": EBX of leaf 7] */
bool host_has_sha(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & BIT(29)) != 0;
}

static bool count_is_native(const struct translation *t, unsigned id)
{
    return id == INSN_TZCNT   ? cpu_has(t->cpu, CPU_FEATURE_BMI1) && __builtin_cpu_supports("bmi") != 0
           : id == INSN_LZCNT ? cpu_has(t->cpu, CPU_FEATURE_LZCNT) && host_has_lzcnt()
                              : __builtin_cpu_supports("popcnt") != 0;
}

/* Kinds that the shape of the operands rules out, or changes. */
static unsigned kind_of(const struct translation *t, const struct insn *in, const struct class_row *row)
{
    unsigned id = insn_id(in), size = in->osz;
    bool reg0 = is_reg(in->r[0]), mem0 = in->r[0] == OPR_MEM;
    if ((t->b->mode & MODE_BND_INIT) != 0 && row->kind >= OP_JCC) {
        return OP_HANDLER; /* the bounds are its handler's */
    }
    switch ((enum op_kind)row->kind) {
    case OP_MOV: return (reg0 || mem0) && in->exec != exec_mov_moffs ? OP_MOV : OP_HANDLER;
    case OP_MOVX: return reg0 && size >= 4 && insn_mem_size(in) < size ? OP_MOVX : OP_HANDLER;
    case OP_LEA: return reg0 && size >= 4 ? OP_LEA : OP_HANDLER;
    case OP_SHIFT:
    case OP_ROTATE:
        if (in->r[1] == OPR_IMM) {
            return masked_count(in) != 0 ? row->kind : (unsigned)OP_HANDLER;
        }
        return row->kind == OP_SHIFT && reg0 && in->r[0] != RCX && size >= 4 ? OP_SHIFT_CL : OP_HANDLER;
    case OP_IMUL:
        if (in->r[1] == OPR_NONE) {
            return size >= 4 ? OP_MUL : OP_HANDLER;
        }
        return size >= 4 ? OP_IMUL : OP_HANDLER;
    case OP_MUL: return size >= 4 ? OP_MUL : OP_HANDLER;
    case OP_DIV: return size >= 4 ? OP_DIV : OP_HANDLER;
    case OP_SETCC: return reg0 || mem0 ? OP_SETCC : OP_HANDLER;
    case OP_XCHG: return size >= 4 || has_memory(in) ? OP_XCHG : OP_HANDLER;
    case OP_XADD: return mem0 ? OP_XADD : OP_HANDLER;
    case OP_CMPXCHG: return mem0 && in->r[1] != RAX ? row->kind : (unsigned)OP_HANDLER;
    case OP_BT:
        return size >= 4 && (reg0 || in->r[1] == OPR_IMM) ? OP_BT : OP_HANDLER;
    case OP_SCAN: return size >= 4 ? OP_SCAN : OP_HANDLER;
    case OP_COUNT: return size >= 4 && count_is_native(t, id) ? OP_COUNT : OP_HANDLER;
    case OP_BSWAP: return size >= 4 ? OP_BSWAP : OP_HANDLER;
    case OP_CLI: return (t->b->mode >> 2 & 3) == 0 ? OP_CLI : OP_HANDLER; /* whatever IOPL is */
    case OP_PUSH: return size == t->word && (reg0 || mem0 || in->r[0] == OPR_IMM) ? OP_PUSH : OP_HANDLER;
    case OP_POP: return size == t->word && reg0 ? OP_POP : OP_HANDLER;
    case OP_LEAVE: return size == t->word ? OP_LEAVE : OP_HANDLER;
    case OP_JCC: return size == t->word && in->r[0] == OPR_REL ? OP_JCC : OP_HANDLER;
    case OP_JMP:
    case OP_CALL:
        if (size != t->word || (t->b->mode & MODE_CET) != 0) {
            return in->r[0] == OPR_REL && size == t->word && row->kind == OP_JMP ? OP_JMP : OP_HANDLER;
        }
        if (in->r[0] == OPR_REL) {
            return row->kind;
        }
        return (reg0 && in->r[0] != RSP) || (mem0 && (in->imm & INSN_IMM_FAR) == 0) ? row->kind
                                                                                     : (unsigned)OP_HANDLER;
    case OP_RET:
        return size == t->word && (in->imm & INSN_IMM_FAR) == 0 && (t->b->mode & MODE_CET) == 0 ? OP_RET : OP_HANDLER;
    default: return row->kind;
    }
}

/* A near branch to a target that is canonical whatever the paging mode. */
static bool target_is_sure(u64 target)
{
    return (u64)((i64)(target << 16) >> 16) == target;
}

u64 branch_target(const struct translation *t, u64 rip, const struct insn *in)
{
    return (rip + in->len + in->imm) & size_mask(t->word);
}

static bool is_nothing(const struct translation *t, const struct insn *in)
{
    bool endbr = in->exec == exec_endbr64 && (t->b->mode & MODE_CET) == 0;
    return in->exec == exec_nop || in->exec == exec_fence || in->exec == exec_fwait || endbr;
}

static u32 reads_of(const struct class_row *row, unsigned kind)
{
    switch (kind) {
    case OP_JCC:
    case OP_SETCC:
    case OP_CMOV: return flags_of_condition(row->number);
    case OP_ALU: return row->number == HA_ADC || row->number == HA_SBB ? F_CF : 0;
    default: return 0;
    }
}

/* AH, CH, DH or BH with an immediate, or as what MOVZX reads. */
static bool is_high_form(const struct insn *in, const struct class_row *row)
{
    unsigned high = row->kind == OP_MOVX ? in->r[1] : in->r[0];
    if (high < OPR_HIGH || high >= OPR_HIGH + 4) {
        return false;
    }
    return row->kind == OP_MOVX ? is_reg(in->r[0]) && in->osz >= 4
                                : (row->kind == OP_ALU || row->kind == OP_TEST) && in->r[1] == OPR_IMM;
}

/* REP MOVS and STOS of 64-bit code. Lockstep cannot write down what they store. */
static bool is_fast_string(const struct translation *t, const struct insn *in)
{
    bool known = in->exec == exec_movs || in->exec == exec_stos;
    return known && (in->pfx & (PFX_REP | PFX_REPNE)) != 0 && (in->pfx & PFX_SEG) == 0 && t->word == 8 &&
           insn_asize(in) == 8 && t->j->lockstep == NULL;
}

void find_facts(const struct translation *t, const struct insn *in, struct op_facts *f)
{
    unsigned id = insn_id(in);
    const struct class_row *row = &rows[id];
    if (is_nothing(t, in)) {
        *f = (struct op_facts){.kind = OP_NOTHING};
        return;
    }
    if (find_vec_facts(t, in, f) || find_x87_facts(t, in, f)) {
        return;
    }
    if (is_fast_string(t, in)) {
        f->kind = OP_STRING;
        return;
    }
    if (is_high_form(in, row)) {
        f->kind = OP_HIGH;
        f->number = row->number;
        f->exits = false;
        f->reads = reads_of(row, row->kind);
        f->writes = row->writes;
        return;
    }
    if (row->kind == 0 || !is_plain(t, in, 0) || !is_plain(t, in, 1)) {
        if (row->kind == 0 || in->r[0] != OPR_REL) {
            return;
        }
    }
    if (in->exec == exec_hooked || in->exec == exec_unit_fault || in->exec == exec_privilege_fault) {
        return;
    }
    unsigned kind = kind_of(t, in, row);
    if (kind == OP_HANDLER ||
        (in->r[0] == OPR_REL && !target_is_sure(branch_target(t, t->rip, in)))) {
        return;
    }
    f->kind = kind;
    f->number = row->number;
    f->exits = (has_memory(in) && kind != OP_LEA) || kind >= OP_PUSH || kind == OP_DIV;
    f->reads = reads_of(row, kind);
    f->writes = kind == OP_SHIFT_CL ? 0 : row->writes; /* a count of 0 leaves them */
}
