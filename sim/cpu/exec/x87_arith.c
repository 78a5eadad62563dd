/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 arithmetic and comparisons, and the exception rules they share. The arithmetic itself: fpu.h.
 *
 * [SDM1 "x87 FPU Floating-Point Exception Handling"]: an unmasked invalid, denormal or divide-by-zero
 * leaves operands, tags and TOP as they were; other unmasked exceptions store a result (wrapped for
 * overflow and underflow) and pop. Either way FSW.ES is set and the next waiting instruction
 * delivers #MF. */
#include "cpu/exec/exec.h"
#include "cpu/exec/fpu.h"
#include "cpu/exec/x87.h"
#include "cpu/model.h"

/* ---- exceptions --------------------------------------------------------------------------- */

static void track_data(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    /* The decoder leaves the 11-bit opcode in imm. */
    f->fop = (u16)(in->imm & 0x7ff);
    if (in->r[0] == OPR_MEM) {
        f->fdp = insn_offset(cpu, in);
        f->fds = cpu_is_intel(cpu) ? 0 : cpu->arch.seg[insn_seg(in)].sel;
    }
}

/* [SDM1 "x87 FPU Instruction and Data (Operand) Pointers", "Last Instruction Opcode"]: Intel's
 * profile has FDP_EXCPTN_ONLY, FOP likewise, and no selectors. */
void x87_track(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    f->fip = cpu->arch.rip;
    f->fcs = cpu_is_intel(cpu) ? 0 : cpu->arch.seg[SEG_CS].sel;
    if (!cpu_is_intel(cpu)) {
        track_data(cpu, in);
    }
}

u32 x87_raise(struct cpu *cpu, const struct insn *in, u32 status)
{
    struct fpu_state *f = &cpu->arch.fpu;
    u32 unmasked = status & ~(u32)f->fcw & FP_ALL;
    f->fsw = (u16)((f->fsw & ~(u32)FSW_C1) | (status & (FP_ALL | FSW_SF | FSW_C1)));
    if (UNLIKELY(unmasked != 0)) {
        f->fsw |= FSW_ES | FSW_B;
        track_data(cpu, in);
        cpu_update_mode(cpu); /* waiting instructions fault from now on */
    }
    return unmasked;
}

bool x87_stack_underflow(struct cpu *cpu, const struct insn *in)
{
    return x87_raise(cpu, in, FP_IE | FSW_SF) == 0;
}

bool x87_stack_overflow(struct cpu *cpu, const struct insn *in)
{
    return x87_raise(cpu, in, FP_IE | FSW_SF | FSW_C1) == 0;
}

static void set_conditions(struct fpu_state *f, u32 status)
{
    f->fsw = (u16)((f->fsw & ~(u32)FSW_CC) | (status & FSW_CC));
}

/* ---- two operands ------------------------------------------------------------------------- */

/* The second operand: a register or memory, integers already converted. */
struct source {
    enum fpu_format format;
    bool empty;
    struct f80 v; /* FPU_REG, else 4 or 8 bytes */
};

static MUST_USE cpu_rc read_source(struct cpu *cpu, const struct insn *in, bool integer, unsigned which,
                                   struct source *s)
{
    unsigned r = in->r[which];
    if (r != OPR_MEM) {
        *s = (struct source){FPU_REG, x87_is_empty(&cpu->arch.fpu, r & 7),
                             *x87_st(&cpu->arch.fpu, r & 7)};
        return CPU_OK;
    }
    u64 v = 0;
    unsigned size = insn_mem_size(in);
    TRY(opr_read(cpu, in, which, size, &v));
    *s = (struct source){.format = size == 4 ? FPU_M32 : FPU_M64};
    if (integer) {
        s->format = FPU_REG;
        fpu_from_int(&s->v, (i64)sign_extend(v, size));
    } else {
        memcpy(&s->v, &v, sizeof v);
    }
    return CPU_OK;
}

/* r[0] op= r[1], or ST(0) op= memory. */
static cpu_rc arith(struct cpu *cpu, const struct insn *in, enum fpu_op op, bool integer, bool pop)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct source s;
    bool mem = in->r[0] == OPR_MEM;
    unsigned dst = mem ? 0 : in->r[0] & 7u;
    TRY(read_source(cpu, in, integer, mem ? 0 : 1, &s));
    x87_track(cpu, in);
    struct f80 d;
    if (s.empty || x87_is_empty(f, dst)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
        d = X87_INDEFINITE;
    } else {
        u16 status = fpu_arith(f->fcw, op, s.format, &d, x87_st(f, dst), &s.v);
        if ((x87_raise(cpu, in, status) & FP_PRE) != 0) {
            return CPU_OK;
        }
    }
    x87_write(f, dst, &d);
    if (pop) {
        x87_pop(f);
    }
    return CPU_OK;
}

#define ARITH(name, op, integer, pop)                                                              \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return arith(cpu, in, op, integer, pop);                                                   \
    }

ARITH(fadd, FPU_ADD, false, false)
ARITH(fmul, FPU_MUL, false, false)
ARITH(fsub, FPU_SUB, false, false)
ARITH(fsubr, FPU_SUBR, false, false)
ARITH(fdiv, FPU_DIV, false, false)
ARITH(fdivr, FPU_DIVR, false, false)
ARITH(faddp, FPU_ADD, false, true)
ARITH(fmulp, FPU_MUL, false, true)
ARITH(fsubp, FPU_SUB, false, true)
ARITH(fsubrp, FPU_SUBR, false, true)
ARITH(fdivp, FPU_DIV, false, true)
ARITH(fdivrp, FPU_DIVR, false, true)
ARITH(fiadd, FPU_ADD, true, false)
ARITH(fimul, FPU_MUL, true, false)
ARITH(fisub, FPU_SUB, true, false)
ARITH(fisubr, FPU_SUBR, true, false)
ARITH(fidiv, FPU_DIV, true, false)
ARITH(fidivr, FPU_DIVR, true, false)

/* ---- comparisons -------------------------------------------------------------------------- */

/* ST(0) with the last operand, or with ST(1). Unordered when something is empty. */
static MUST_USE cpu_rc compare(struct cpu *cpu, const struct insn *in, bool quiet, bool integer,
                               u32 *status)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct source s = {FPU_REG, x87_is_empty(f, 1), *x87_st(f, 1)};
    if (in->r[0] != OPR_NONE) {
        TRY(read_source(cpu, in, integer, in->r[1] != OPR_NONE ? 1 : 0, &s));
    }
    x87_track(cpu, in);
    if (s.empty || x87_is_empty(f, 0)) {
        *status = FP_IE | FSW_SF | FSW_C0 | FSW_C2 | FSW_C3;
    } else {
        *status = fpu_compare(f->fcw, quiet, s.format, x87_st(f, 0), &s.v);
    }
    *status &= ~(u32)FSW_C1;
    return CPU_OK;
}

static cpu_rc compare_conditions(struct cpu *cpu, const struct insn *in, bool quiet, bool integer,
                                 unsigned pops)
{
    u32 status = 0;
    TRY(compare(cpu, in, quiet, integer, &status));
    u32 unmasked = x87_raise(cpu, in, status);
    set_conditions(&cpu->arch.fpu, status); /* also when invalid is unmasked */
    if ((unmasked & FP_PRE) != 0) {
        return CPU_OK;
    }
    for (unsigned i = 0; i < pops; i++) {
        x87_pop(&cpu->arch.fpu);
    }
    return CPU_OK;
}

/* To ZF, PF, CF, also when an exception is unmasked; OF, SF, AF become 0. C1 stays but for stack
 * faults. */
static cpu_rc compare_flags(struct cpu *cpu, const struct insn *in, bool quiet, bool pop)
{
    u32 status = 0;
    TRY(compare(cpu, in, quiet, false, &status));
    u32 c1 = (status & FSW_SF) != 0 ? 0 : cpu->arch.fpu.fsw & FSW_C1;
    u32 unmasked = x87_raise(cpu, in, status | c1);
    flags_set_arith(cpu, ((status & FSW_C3) != 0 ? RFLAGS_ZF : 0u) |
                             ((status & FSW_C2) != 0 ? RFLAGS_PF : 0u) |
                             ((status & FSW_C0) != 0 ? RFLAGS_CF : 0u));
    if (pop && (unmasked & FP_PRE) == 0) {
        x87_pop(&cpu->arch.fpu);
    }
    return CPU_OK;
}

#define COMPARE(name, quiet, integer, pops)                                                        \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return compare_conditions(cpu, in, quiet, integer, pops);                                  \
    }

COMPARE(fcom, false, false, 0)
COMPARE(fcomp, false, false, 1)
COMPARE(fcompp, false, false, 2)
COMPARE(fucom, true, false, 0)
COMPARE(fucomp, true, false, 1)
COMPARE(fucompp, true, false, 2)
COMPARE(ficom, false, true, 0)
COMPARE(ficomp, false, true, 1)

#define COMPARE_FLAGS(name, quiet, pop)                                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return compare_flags(cpu, in, quiet, pop);                                                 \
    }

COMPARE_FLAGS(fcomi, false, false)
COMPARE_FLAGS(fcomip, false, true)
COMPARE_FLAGS(fucomi, true, false)
COMPARE_FLAGS(fucomip, true, true)

cpu_rc exec_ftst(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 unused;
    x87_track(cpu, in);
    u32 status = FP_IE | FSW_SF | FSW_C0 | FSW_C2 | FSW_C3;
    if (!x87_is_empty(f, 0)) {
        status = fpu_function(f->fcw, FPU_TST, &unused, x87_st(f, 0), NULL);
    }
    status &= ~(u32)FSW_C1;
    (void)x87_raise(cpu, in, status);
    set_conditions(f, status);
    return CPU_OK;
}

/* [SDM2 "FXAM"]: class in C3 C2 C0, sign in C1; never an exception. */
cpu_rc exec_fxam(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    const struct f80 *v = x87_st(f, 0);
    u32 class = FSW_C2; /* normal */
    if (x87_is_empty(f, 0)) {
        class = FSW_C3 | FSW_C0;
    } else if (x87_is_unsupported(v)) {
        class = 0;
    } else if (x87_is_nan(v)) {
        class = FSW_C0;
    } else if (x87_is_inf(v)) {
        class = FSW_C2 | FSW_C0;
    } else if (x87_is_zero(v)) {
        class = FSW_C3;
    } else if (x87_is_denormal(v)) {
        class = FSW_C3 | FSW_C2;
    }
    x87_track(cpu, in);
    set_conditions(f, class | ((v->se >> 15) != 0 ? FSW_C1 : 0u));
    return CPU_OK;
}

/* ---- functions of ST(0), or ST(0) and ST(1) ----------------------------------------------- */

static cpu_rc function(struct cpu *cpu, const struct insn *in, enum fpu_function op, bool two)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0) || (two && x87_is_empty(f, 1))) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
    } else {
        u16 status = fpu_function(f->fcw, op, &d, x87_st(f, 0), x87_st(f, 1));
        if ((x87_raise(cpu, in, status) & FP_PRE) != 0) {
            return CPU_OK;
        }
    }
    x87_write(f, 0, &d);
    return CPU_OK;
}

/* The quotient's low bits go to C0, C3, C1; C2 = 1: not finished. Without a quotient C0 and C3 stay. */
static cpu_rc remainder_of(struct cpu *cpu, const struct insn *in, enum fpu_function op)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = X87_INDEFINITE;
    u32 keep = f->fsw & (FSW_C0 | FSW_C3);
    x87_track(cpu, in);
    if (x87_is_empty(f, 0) || x87_is_empty(f, 1)) {
        bool masked = x87_stack_underflow(cpu, in);
        set_conditions(f, keep);
        if (!masked) {
            return CPU_OK;
        }
    } else {
        const struct f80 *a = x87_st(f, 0);
        const struct f80 *b = x87_st(f, 1);
        bool none = x87_is_nan(a) || x87_is_nan(b) || x87_is_unsupported(a) ||
                    x87_is_unsupported(b) || x87_is_inf(a) || x87_is_zero(b);
        u16 status = fpu_function(f->fcw, op, &d, a, b);
        u32 unmasked = x87_raise(cpu, in, status);
        set_conditions(f, none || (unmasked & FP_PRE) != 0 ? keep : status);
        if ((unmasked & FP_PRE) != 0) {
            return CPU_OK;
        }
    }
    x87_write(f, 0, &d);
    return CPU_OK;
}

cpu_rc exec_fsqrt(struct cpu *cpu, const struct insn *in)
{
    return function(cpu, in, FPU_SQRT, false);
}

cpu_rc exec_frndint(struct cpu *cpu, const struct insn *in)
{
    return function(cpu, in, FPU_RNDINT, false);
}

cpu_rc exec_fscale(struct cpu *cpu, const struct insn *in)
{
    return function(cpu, in, FPU_SCALE, true);
}

cpu_rc exec_fprem(struct cpu *cpu, const struct insn *in)
{
    return remainder_of(cpu, in, FPU_PREM);
}

cpu_rc exec_fprem1(struct cpu *cpu, const struct insn *in)
{
    return remainder_of(cpu, in, FPU_PREM1);
}

/* ST(0) becomes the exponent, the significand is pushed. */
cpu_rc exec_fxtract(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 exponent = X87_INDEFINITE;
    struct f80 significand = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
    } else if (!x87_is_empty(f, 7)) {
        if (!x87_stack_overflow(cpu, in)) {
            return CPU_OK;
        }
    } else {
        u16 status = fpu_xtract(f->fcw, &exponent, &significand, x87_st(f, 0));
        if ((x87_raise(cpu, in, status) & FP_PRE) != 0) {
            return CPU_OK;
        }
    }
    x87_write(f, 0, &exponent);
    x87_push(f, &significand);
    return CPU_OK;
}

static cpu_rc change_sign(struct cpu *cpu, const struct insn *in, u16 keep, u16 flip)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = *x87_st(f, 0);
    x87_track(cpu, in);
    if (x87_is_empty(f, 0)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
        d = X87_INDEFINITE;
    } else {
        (void)x87_raise(cpu, in, 0);
        d.se = (u16)((d.se & keep) ^ flip);
    }
    x87_write(f, 0, &d);
    return CPU_OK;
}

cpu_rc exec_fabs(struct cpu *cpu, const struct insn *in)
{
    return change_sign(cpu, in, 0x7fff, 0);
}

cpu_rc exec_fchs(struct cpu *cpu, const struct insn *in)
{
    return change_sign(cpu, in, 0xffff, 0x8000);
}
