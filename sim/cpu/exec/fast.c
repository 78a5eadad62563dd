/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers specialised by operand shape: the most common integer instructions, with operation, operand
 * size and address form as constants. exec_specialise() chooses one when an instruction is decoded. Each
 * leaves the same state as the plain handler of its row.
 *
 * An address size of 8 bytes exists only in 64-bit mode, an operand size of 8 bytes too; so no limit
 * binds and segment bases are 0 but for FS and GS. A linear address that is not canonical never hits
 * a fast entry, and the slow path decides about it. Narrower addresses go through their segment. */
#include "cpu/exec/fast.h"

#include "cpu/exec/exec_int.h"

/* ---- Addresses and accesses ---- */

/* [base + disp], [base + index * scale + disp], [RIP + disp], everything else with 64-bit
 * addresses, FS and GS included; narrower addresses. */
enum form { FORM_BASE, FORM_INDEX, FORM_RIP, FORM_ANY, FORM_NARROW };
#define FORM_COUNT 5

static ALWAYS_INLINE u64 fast_offset(const struct cpu *cpu, const struct insn *in, enum form form)
{
    u64 ea = (u64)(i64)in->disp;
    switch (form) {
    case FORM_BASE:
        return ea + cpu->arch.gpr[in->base];
    case FORM_INDEX:
        return ea + cpu->arch.gpr[in->base] + (cpu->arch.gpr[in->index] << (in->sib & 3));
    case FORM_RIP:
        return ea + cpu->arch.rip + in->len;
    case FORM_ANY:
    case FORM_NARROW:
        break;
    }
    return insn_offset(cpu, in);
}

static ALWAYS_INLINE u64 fast_linear(const struct cpu *cpu, const struct insn *in, enum form form,
                                     u64 offset)
{
    return form == FORM_ANY ? offset + cpu->d.seg_base[insn_seg(in)] : offset;
}

/* With a 64-bit address: `seg` is for the slow path only. */
static ALWAYS_INLINE cpu_rc wide_load(struct cpu *cpu, unsigned seg, u64 offset, u64 lin, unsigned size, u64 *v)
{
    const struct tlb_entry *e = &cpu->d.ctx->rd[tlb_slot(cpu->d.ctx, lin)];
    if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
        *v = load_le(tlb_host(e, lin), size);
        return CPU_OK;
    }
    return mem_read_slow(cpu, seg, offset, size, v);
}

static ALWAYS_INLINE cpu_rc wide_store(struct cpu *cpu, unsigned seg, u64 offset, u64 lin, unsigned size, u64 v)
{
    const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
    if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
        store_le(tlb_host(e, lin), v, size);
        return CPU_OK;
    }
    return mem_write_slow(cpu, seg, offset, size, v);
}

/* The memory operand. */
static ALWAYS_INLINE cpu_rc fast_load(struct cpu *cpu, const struct insn *in, enum form form, unsigned size, u64 *v)
{
    u64 offset = fast_offset(cpu, in, form);
    return form == FORM_NARROW ? mem_read(cpu, insn_seg(in), offset, size, v)
                               : wide_load(cpu, insn_seg(in), offset, fast_linear(cpu, in, form, offset), size, v);
}

/* Registers of these shapes are never AH..BH. */
static ALWAYS_INLINE u64 reg_get(const struct cpu *cpu, unsigned r)
{
    return cpu->arch.gpr[r];
}

static ALWAYS_INLINE void reg_put(struct cpu *cpu, unsigned r, unsigned size, u64 v)
{
    u64 old = cpu->arch.gpr[r];
    cpu->arch.gpr[r] = size == 8 ? v : size == 4 ? (u32)v : (old & ~(u64)0xff) | (v & 0xff);
}

/* ---- Two operands ---- */

#define FAST_OPS(X) X(MOV) X(ADD) X(OR) X(ADC) X(SBB) X(AND) X(SUB) X(XOR) X(CMP) X(TEST)

enum fast_op {
#define OP(name) FAST_##name,
    FAST_OPS(OP)
#undef OP
    FAST_OP_COUNT
};

static ALWAYS_INLINE u64 fast_compute(struct cpu *cpu, enum fast_op op, unsigned size, u64 a, u64 b)
{
    switch (op) {
    case FAST_MOV: return b;
    case FAST_ADD: return alu_compute(cpu, ALU_ADD, size, a, b);
    case FAST_OR: return alu_compute(cpu, ALU_OR, size, a, b);
    case FAST_ADC: return alu_compute(cpu, ALU_ADC, size, a, b);
    case FAST_SBB: return alu_compute(cpu, ALU_SBB, size, a, b);
    case FAST_AND: return alu_compute(cpu, ALU_AND, size, a, b);
    case FAST_SUB: return alu_compute(cpu, ALU_SUB, size, a, b);
    case FAST_XOR: return alu_compute(cpu, ALU_XOR, size, a, b);
    case FAST_CMP: return alu_compute(cpu, ALU_CMP, size, a, b);
    case FAST_TEST: return alu_compute(cpu, ALU_TEST, size, a, b);
    case FAST_OP_COUNT: break;
    }
    return 0;
}

static ALWAYS_INLINE bool op_stores(enum fast_op op)
{
    return op != FAST_CMP && op != FAST_TEST;
}

/* Register destination, value b. */
static ALWAYS_INLINE cpu_rc fast_to_reg(struct cpu *cpu, const struct insn *in, enum fast_op op,
                                        unsigned size, u64 b)
{
    u64 res = fast_compute(cpu, op, size, reg_get(cpu, in->r[0]), b);
    if (op_stores(op)) {
        reg_put(cpu, in->r[0], size, res);
    }
    return CPU_OK;
}

static ALWAYS_INLINE cpu_rc fast_rm(struct cpu *cpu, const struct insn *in, enum fast_op op,
                                    unsigned size, enum form form)
{
    u64 b;
    TRY(fast_load(cpu, in, form, size, &b));
    return fast_to_reg(cpu, in, op, size, b);
}

/* Memory destination, value b. */
static ALWAYS_INLINE cpu_rc fast_to_mem(struct cpu *cpu, const struct insn *in, enum fast_op op,
                                        unsigned size, enum form form, u64 b)
{
    u64 offset = fast_offset(cpu, in, form), a;
    u64 lin = fast_linear(cpu, in, form, offset);
    unsigned seg = insn_seg(in);
    bool narrow = form == FORM_NARROW;
    if (op == FAST_MOV) {
        return narrow ? mem_write(cpu, seg, offset, size, b) : wide_store(cpu, seg, offset, lin, size, b);
    }
    if (!op_stores(op)) {
        TRY(fast_load(cpu, in, form, size, &a));
        fast_compute(cpu, op, size, a, b);
        return CPU_OK;
    }
    struct mem_rmw rmw = {0};
    if (narrow) {
        TRY(mem_rmw(cpu, seg, offset, size, &rmw, &a));
    } else {
        const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            u8 *host = tlb_host(e, lin);
            store_le(host, fast_compute(cpu, op, size, load_le(host, size), b), size);
            return CPU_OK;
        }
        TRY(mem_rmw_slow(cpu, seg, offset, size, &rmw, &a));
    }
    mem_rmw_store(cpu, &rmw, size, fast_compute(cpu, op, size, a, b));
    return CPU_OK;
}

/* A row of handlers: register-register, register-immediate, then by form register-memory,
 * memory-register, memory-immediate. */
struct shapes {
    exec_fn *rr, *ri, *rm[FORM_COUNT], *mr[FORM_COUNT], *mi[FORM_COUNT];
};

#define MEMORY_SHAPES(op, size, form)                                                              \
    static cpu_rc op##size##_rm_##form(struct cpu *cpu, const struct insn *in)                     \
    {                                                                                              \
        return fast_rm(cpu, in, FAST_##op, size, FORM_##form);                                     \
    }                                                                                              \
    static cpu_rc op##size##_mr_##form(struct cpu *cpu, const struct insn *in)                     \
    {                                                                                              \
        return fast_to_mem(cpu, in, FAST_##op, size, FORM_##form, reg_get(cpu, in->r[1]));         \
    }                                                                                              \
    static cpu_rc op##size##_mi_##form(struct cpu *cpu, const struct insn *in)                     \
    {                                                                                              \
        return fast_to_mem(cpu, in, FAST_##op, size, FORM_##form, in->imm);                        \
    }

#define FORMS(name) {name##_BASE, name##_INDEX, name##_RIP, name##_ANY, name##_NARROW}
#define ALL_SHAPES(op, size)                                                                       \
    static cpu_rc op##size##_rr(struct cpu *cpu, const struct insn *in)                            \
    {                                                                                              \
        return fast_to_reg(cpu, in, FAST_##op, size, reg_get(cpu, in->r[1]));                      \
    }                                                                                              \
    static cpu_rc op##size##_ri(struct cpu *cpu, const struct insn *in)                            \
    {                                                                                              \
        return fast_to_reg(cpu, in, FAST_##op, size, in->imm);                                     \
    }                                                                                              \
    MEMORY_SHAPES(op, size, BASE)                                                                  \
    MEMORY_SHAPES(op, size, INDEX)                                                                 \
    MEMORY_SHAPES(op, size, RIP)                                                                   \
    MEMORY_SHAPES(op, size, ANY)                                                                   \
    MEMORY_SHAPES(op, size, NARROW)                                                                \
    static const struct shapes op##size##_shapes = {                                               \
        .rr = op##size##_rr,                                                                       \
        .ri = op##size##_ri,                                                                       \
        .rm = FORMS(op##size##_rm),                                                                \
        .mr = FORMS(op##size##_mr),                                                                \
        .mi = FORMS(op##size##_mi),                                                                \
    };

#define SIZES_4_8(op) ALL_SHAPES(op, 4) ALL_SHAPES(op, 8)
FAST_OPS(SIZES_4_8)
ALL_SHAPES(MOV, 1)
ALL_SHAPES(CMP, 1)
ALL_SHAPES(TEST, 1)

static const struct shapes *const shapes_4[FAST_OP_COUNT] = {
#define OP(name) [FAST_##name] = &name##4_shapes,
    FAST_OPS(OP)
#undef OP
};
static const struct shapes *const shapes_8[FAST_OP_COUNT] = {
#define OP(name) [FAST_##name] = &name##8_shapes,
    FAST_OPS(OP)
#undef OP
};
static const struct shapes *const shapes_1[FAST_OP_COUNT] = {
    [FAST_MOV] = &MOV1_shapes,
    [FAST_CMP] = &CMP1_shapes,
    [FAST_TEST] = &TEST1_shapes,
};

/* ---- One operand and one result: LEA, MOVZX, MOVSX, INC, DEC, shifts by an immediate ---- */

static ALWAYS_INLINE cpu_rc fast_extend(struct cpu *cpu, const struct insn *in, unsigned from,
                                        unsigned to, bool is_signed, u64 v)
{
    reg_put(cpu, in->r[0], to, is_signed ? sign_extend(v, from) : v & size_mask(from));
    return CPU_OK;
}

static ALWAYS_INLINE cpu_rc fast_extend_mem(struct cpu *cpu, const struct insn *in, unsigned from,
                                            unsigned to, bool is_signed, enum form form)
{
    u64 v;
    TRY(fast_load(cpu, in, form, from, &v));
    return fast_extend(cpu, in, from, to, is_signed, v);
}

struct extend_shapes {
    exec_fn *reg, *mem[FORM_COUNT];
};

#define EXTEND_FORM(name, from, to, is_signed, form)                                               \
    static cpu_rc name##_##form(struct cpu *cpu, const struct insn *in)                            \
    {                                                                                              \
        return fast_extend_mem(cpu, in, from, to, is_signed, FORM_##form);                         \
    }
#define EXTEND(name, from, to, is_signed)                                                          \
    static cpu_rc name##_reg(struct cpu *cpu, const struct insn *in)                               \
    {                                                                                              \
        return fast_extend(cpu, in, from, to, is_signed, reg_get(cpu, in->r[1]));                  \
    }                                                                                              \
    EXTEND_FORM(name, from, to, is_signed, BASE)                                                   \
    EXTEND_FORM(name, from, to, is_signed, INDEX)                                                  \
    EXTEND_FORM(name, from, to, is_signed, RIP)                                                    \
    EXTEND_FORM(name, from, to, is_signed, ANY)                                                    \
    EXTEND_FORM(name, from, to, is_signed, NARROW)                                                 \
    static const struct extend_shapes name##_shapes = {name##_reg, FORMS(name)};

EXTEND(movzx_1, 1, 8, false)
EXTEND(movzx_2, 2, 8, false)
EXTEND(movsx_1_4, 1, 4, true)
EXTEND(movsx_1_8, 1, 8, true)
EXTEND(movsx_2_4, 2, 4, true)
EXTEND(movsx_2_8, 2, 8, true)
EXTEND(movsx_4_8, 4, 8, true)

#define LEA_FORM(size, form)                                                                       \
    static cpu_rc lea##size##_##form(struct cpu *cpu, const struct insn *in)                       \
    {                                                                                              \
        reg_put(cpu, in->r[0], size, fast_offset(cpu, in, FORM_##form));                           \
        return CPU_OK;                                                                             \
    }
LEA_FORM(4, BASE)
LEA_FORM(4, INDEX)
LEA_FORM(4, RIP)
LEA_FORM(4, ANY)
LEA_FORM(4, NARROW)
LEA_FORM(8, BASE)
LEA_FORM(8, INDEX)
LEA_FORM(8, RIP)
LEA_FORM(8, ANY)
LEA_FORM(8, NARROW)
static exec_fn *const lea4_shapes[FORM_COUNT] = FORMS(lea4);
static exec_fn *const lea8_shapes[FORM_COUNT] = FORMS(lea8);

#define STEP_REG(op, size)                                                                         \
    static cpu_rc op##size##_reg(struct cpu *cpu, const struct insn *in)                           \
    {                                                                                              \
        u64 a = reg_get(cpu, in->r[0]);                                                            \
        reg_put(cpu, in->r[0], size, alu_compute(cpu, ALU_##op, size, a, 0));                      \
        return CPU_OK;                                                                             \
    }
STEP_REG(INC, 4)
STEP_REG(INC, 8)
STEP_REG(DEC, 4)
STEP_REG(DEC, 8)

/* The masked count is not 0: exec_specialise() looks. */
#define SHIFT_REG(op, size)                                                                        \
    static cpu_rc op##size##_imm(struct cpu *cpu, const struct insn *in)                           \
    {                                                                                              \
        u64 a = reg_get(cpu, in->r[0]) & size_mask(size);                                          \
        unsigned n = (unsigned)in->imm & (8 * size - 1);                                           \
        reg_put(cpu, in->r[0], size, shift_compute(cpu, SHIFT_##op, size, a, n));                  \
        return CPU_OK;                                                                             \
    }
SHIFT_REG(SHL, 4)
SHIFT_REG(SHL, 8)
SHIFT_REG(SHR, 4)
SHIFT_REG(SHR, 8)
SHIFT_REG(SAR, 4)
SHIFT_REG(SAR, 8)

/* ---- Stack and branches, 64-bit mode ---- */

static ALWAYS_INLINE cpu_rc push8(struct cpu *cpu, u64 v)
{
    u64 rsp = cpu->arch.gpr[RSP] - 8;
    TRY(wide_store(cpu, SEG_SS, rsp, rsp, 8, v));
    cpu->arch.gpr[RSP] = rsp;
    return CPU_OK;
}

static cpu_rc push8_reg(struct cpu *cpu, const struct insn *in)
{
    return push8(cpu, reg_get(cpu, in->r[0]));
}

static cpu_rc push8_imm(struct cpu *cpu, const struct insn *in)
{
    return push8(cpu, in->imm);
}

static cpu_rc pop8_reg(struct cpu *cpu, const struct insn *in)
{
    u64 rsp = cpu->arch.gpr[RSP], v;
    TRY(wide_load(cpu, SEG_SS, rsp, rsp, 8, &v));
    cpu->arch.gpr[RSP] = rsp + 8;
    cpu->arch.gpr[in->r[0]] = v;
    return CPU_OK;
}

static ALWAYS_INLINE bool surely_canonical(u64 rip)
{
    return (u64)((i64)(rip << 16) >> 16) == rip;
}

static ALWAYS_INLINE cpu_rc go(struct cpu *cpu, u64 target)
{
    if (UNLIKELY(!surely_canonical(target))) {
        TRY(check_target(cpu, target));
    }
    cpu->arch.rip = target;
    return CPU_OK;
}

static cpu_rc jmp8_rel(struct cpu *cpu, const struct insn *in)
{
    return go(cpu, cpu->arch.rip + in->len + in->imm);
}

static cpu_rc call8_rel(struct cpu *cpu, const struct insn *in)
{
    u64 ret = cpu->arch.rip + in->len, target = ret + in->imm;
    if (UNLIKELY(!surely_canonical(target) || (cpu->arch.cr4 & CR4_CET) != 0)) {
        return exec_call(cpu, in);
    }
    TRY(push8(cpu, ret));
    cpu->arch.rip = target;
    return CPU_OK;
}

static cpu_rc ret8(struct cpu *cpu, const struct insn *in)
{
    u64 rsp = cpu->arch.gpr[RSP], target;
    if (UNLIKELY((cpu->arch.cr4 & CR4_CET) != 0)) {
        return exec_ret(cpu, in);
    }
    TRY(wide_load(cpu, SEG_SS, rsp, rsp, 8, &target));
    TRY(go(cpu, target));
    cpu->arch.gpr[RSP] = rsp + 8;
    return CPU_OK;
}

static ALWAYS_INLINE cpu_rc branch8(struct cpu *cpu, const struct insn *in, unsigned cc)
{
    u64 next = cpu->arch.rip + in->len;
    if (flags_condition(cpu, cc)) {
        return go(cpu, next + in->imm);
    }
    cpu->arch.rip = next;
    return CPU_OK;
}

#define BRANCH8(name, NAME, cc)                                                                    \
    static cpu_rc branch8_##name(struct cpu *cpu, const struct insn *in)                           \
    {                                                                                              \
        return branch8(cpu, in, cc);                                                               \
    }
CONDITIONS(BRANCH8)

/* IMUL r, r/m[, imm] with the size known. CF = OF = the result was truncated; the rest is undefined: 0. */
static ALWAYS_INLINE cpu_rc fast_imul(struct cpu *cpu, const struct insn *in, unsigned size)
{
    u64 b;
    TRY(opr_read(cpu, in, 1, size, &b));
    u64 a = in->r[2] == OPR_NONE ? reg_get(cpu, in->r[0]) : in->imm;
    i64 product;
    bool overflow = __builtin_mul_overflow((i64)sign_extend(a, size), (i64)sign_extend(b, size), &product);
    overflow = overflow || (size == 4 && product != (i32)product);
    reg_put(cpu, in->r[0], size, (u64)product);
    flags_set_arith(cpu, overflow ? RFLAGS_CF | RFLAGS_OF : 0);
    return CPU_OK;
}

static cpu_rc imul4(struct cpu *cpu, const struct insn *in)
{
    return fast_imul(cpu, in, 4);
}

static cpu_rc imul8(struct cpu *cpu, const struct insn *in)
{
    return fast_imul(cpu, in, 8);
}

/* The source is read, and may fault, whatever the condition says; a 32-bit destination is written in any case. */
static ALWAYS_INLINE cpu_rc fast_cmov(struct cpu *cpu, const struct insn *in, unsigned size, unsigned cc)
{
    u64 v;
    TRY(opr_read(cpu, in, 1, size, &v));
    reg_put(cpu, in->r[0], size, flags_condition(cpu, cc) ? v : reg_get(cpu, in->r[0]));
    return CPU_OK;
}

#define CMOV(name, NAME, cc)                                                                       \
    static cpu_rc cmov4_##name(struct cpu *cpu, const struct insn *in)                             \
    {                                                                                              \
        return fast_cmov(cpu, in, 4, cc);                                                          \
    }                                                                                              \
    static cpu_rc cmov8_##name(struct cpu *cpu, const struct insn *in)                             \
    {                                                                                              \
        return fast_cmov(cpu, in, 8, cc);                                                          \
    }
CONDITIONS(CMOV)

/* ---- Choice ---- */

static bool is_reg(unsigned r)
{
    return r < OPR_HIGH;
}

/* The form of a memory operand. */
static enum form form_of(const struct insn *in)
{
    unsigned seg = insn_seg(in);
    if (insn_asize(in) != 8) {
        return FORM_NARROW;
    }
    if (seg == SEG_FS || seg == SEG_GS) {
        return FORM_ANY;
    }
    if (in->base == REG_RIP && in->index == REG_NONE) {
        return FORM_RIP;
    }
    if (in->base < 16) {
        return in->index == REG_NONE ? FORM_BASE : in->index < 16 ? FORM_INDEX : FORM_ANY;
    }
    return FORM_ANY;
}

static exec_fn *choose_shape(const struct insn *in, enum fast_op op)
{
    const struct shapes *s = in->osz == 8   ? shapes_8[op]
                             : in->osz == 4 ? shapes_4[op]
                             : in->osz == 1 ? shapes_1[op]
                                            : NULL;
    enum form form = form_of(in);
    bool imm = in->r[1] == OPR_IMM;
    if (s == NULL) {
        return NULL;
    }
    if (is_reg(in->r[0])) {
        if (is_reg(in->r[1])) {
            return s->rr;
        }
        return imm ? s->ri : in->r[1] == OPR_MEM ? s->rm[form] : NULL;
    }
    if (in->r[0] != OPR_MEM) {
        return NULL;
    }
    return imm ? s->mi[form] : is_reg(in->r[1]) ? s->mr[form] : NULL;
}

static exec_fn *choose_extend(const struct insn *in, bool is_signed)
{
    unsigned from = insn_src_size(in);
    const struct extend_shapes *s = NULL;
    if (in->osz < 4) {
        return NULL;
    }
    if (!is_signed) {
        s = from == 1 ? &movzx_1_shapes : from == 2 ? &movzx_2_shapes : NULL;
    } else if (from == 1) {
        s = in->osz == 8 ? &movsx_1_8_shapes : &movsx_1_4_shapes;
    } else if (from == 2) {
        s = in->osz == 8 ? &movsx_2_8_shapes : &movsx_2_4_shapes;
    } else if (from == 4 && in->osz == 8) {
        s = &movsx_4_8_shapes;
    }
    if (s == NULL || is_reg(in->r[1])) {
        return s == NULL ? NULL : s->reg;
    }
    return in->r[1] == OPR_MEM ? s->mem[form_of(in)] : NULL;
}

static exec_fn *choose_lea(const struct insn *in)
{
    enum form form = form_of(in);
    return in->osz == 8 ? lea8_shapes[form] : in->osz == 4 ? lea4_shapes[form] : NULL;
}

/* A pair by operand size 4 and 8, with a register as first operand. */
static exec_fn *choose_reg(const struct insn *in, exec_fn *size4, exec_fn *size8)
{
    if (!is_reg(in->r[0])) {
        return NULL;
    }
    return in->osz == 8 ? size8 : in->osz == 4 ? size4 : NULL;
}

static exec_fn *choose_shift(const struct insn *in, exec_fn *size4, exec_fn *size8)
{
    if (in->r[1] != OPR_IMM || (in->imm & (8u * in->osz - 1)) == 0 || in->osz < 4) {
        return NULL;
    }
    /* The count is masked to 31 or 63, which is the operand's bits - 1 for these sizes. */
    return choose_reg(in, size4, size8);
}

exec_fn *exec_specialise(const struct insn *in, enum insn_id id)
{
    bool rel8 = in->osz == 8 && in->r[0] == OPR_REL;
    switch ((unsigned)id) {
#define OP(name)                                                                                   \
    case INSN_##name:                                                                              \
        return choose_shape(in, FAST_##name);
        FAST_OPS(OP)
#undef OP
    case INSN_MOVZX:
        return choose_extend(in, false);
    case INSN_MOVSX:
    case INSN_MOVSXD:
        return choose_extend(in, true);
    case INSN_LEA:
        return choose_lea(in);
    case INSN_IMUL:
        return in->r[1] == OPR_NONE ? NULL : choose_reg(in, imul4, imul8);
    case INSN_INC:
        return choose_reg(in, INC4_reg, INC8_reg);
    case INSN_DEC:
        return choose_reg(in, DEC4_reg, DEC8_reg);
    case INSN_SHL:
        return choose_shift(in, SHL4_imm, SHL8_imm);
    case INSN_SHR:
        return choose_shift(in, SHR4_imm, SHR8_imm);
    case INSN_SAR:
        return choose_shift(in, SAR4_imm, SAR8_imm);
    case INSN_PUSH:
        return in->osz != 8 ? NULL : in->r[0] == OPR_IMM ? push8_imm : is_reg(in->r[0]) ? push8_reg : NULL;
    case INSN_POP:
        return in->osz == 8 && is_reg(in->r[0]) ? pop8_reg : NULL;
    case INSN_JMP:
        return rel8 ? jmp8_rel : NULL;
    case INSN_CALL:
        return rel8 ? call8_rel : NULL;
    case INSN_RET:
        return in->osz == 8 && in->imm == 0 ? ret8 : NULL;
#define CASE_JCC(name, NAME, cc)                                                                   \
    case INSN_J##NAME:                                                                             \
        return rel8 ? branch8_##name : NULL;
        CONDITIONS(CASE_JCC)
#undef CASE_JCC
#define CASE_CMOV(name, NAME, cc)                                                                  \
    case INSN_CMOV##NAME:                                                                          \
        return choose_reg(in, cmov4_##name, cmov8_##name);
        CONDITIONS(CASE_CMOV)
#undef CASE_CMOV
    default:
        return NULL;
    }
}
