/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FSIN FCOS FSINCOS FPTAN FPATAN F2XM1 FYL2X FYL2XP1: stack, special operands and ranges; the
 * functions themselves are in fpu_soft.c. [SDM2 "FSIN" and the others: tables of results] */
#include "cpu/exec/exec.h"
#include "cpu/exec/fpu.h"
#include "cpu/exec/x87.h"

static const struct f80 one = {.mant = 0x8000000000000000, .se = 0x3fff};

static bool is_negative(const struct f80 *v)
{
    return (v->se >> 15) != 0;
}

static struct f80 with_sign(struct f80 v, bool negative)
{
    v.se = (u16)((v.se & 0x7fff) | (negative ? 0x8000u : 0u));
    return v;
}

static const struct f80 zero = {0, 0};
static const struct f80 infinity = {.mant = 0x8000000000000000, .se = 0x7fff};

static u32 denormal_flag(const struct f80 *v)
{
    return x87_is_denormal(v) ? FP_DE : 0;
}

/* NaNs and unsupported encodings: what an addition makes of them. */
static u32 propagate(const struct fpu_state *f, struct f80 *d, const struct f80 *a, const struct f80 *b)
{
    return fpu_arith(f->fcw, FPU_ADD, FPU_REG, d, a, b);
}

static bool is_special(const struct f80 *v)
{
    return x87_is_nan(v) || x87_is_unsupported(v);
}

/* ---- one operand -------------------------------------------------------------------------- */

/* |v| >= 2^63 */
static bool out_of_range(const struct f80 *v)
{
    return (v->se & 0x7fff) >= 0x3fff + 63;
}

/* Result of SIN, COS or TAN of what is not out of range (unless special or infinite). */
static u32 trigonometric(const struct fpu_state *f, enum fpu_transcendental op, struct f80 *d)
{
    const struct f80 *v = x87_st_const(f, 0);
    if (is_special(v)) {
        return propagate(f, d, v, v);
    }
    if (x87_is_inf(v)) {
        *d = X87_INDEFINITE;
        return FP_IE;
    }
    if (x87_is_zero(v)) {
        *d = op == FPU_COS ? one : *v;
        return 0;
    }
    u32 denormal = denormal_flag(v);
    if ((denormal & ~(u32)f->fcw) != 0) {
        return denormal;
    }
    return denormal | fpu_transcendental(f->fcw, op, d, NULL, v);
}

/* C2: the argument was too large and stays. */
static void set_c2(struct fpu_state *f, bool set)
{
    f->fsw = (u16)((f->fsw & ~(u32)FSW_C2) | (set ? FSW_C2 : 0u));
}

static bool range_fails(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    const struct f80 *v = x87_st(f, 0);
    bool fails = out_of_range(v) && !is_special(v) && !x87_is_inf(v);
    if (fails) {
        (void)x87_raise(cpu, in, 0);
        set_c2(f, true);
    }
    return fails;
}

static cpu_rc one_result(struct cpu *cpu, const struct insn *in, enum fpu_transcendental op)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0)) {
        bool masked = x87_stack_underflow(cpu, in);
        set_c2(f, false);
        if (!masked) {
            return CPU_OK;
        }
    } else {
        if (range_fails(cpu, in)) {
            return CPU_OK;
        }
        if ((x87_raise(cpu, in, trigonometric(f, op, &d)) & FP_PRE) != 0) {
            set_c2(f, false);
            return CPU_OK;
        }
    }
    set_c2(f, false);
    x87_write(f, 0, &d);
    return CPU_OK;
}

cpu_rc exec_fsin(struct cpu *cpu, const struct insn *in)
{
    return one_result(cpu, in, FPU_SIN);
}

cpu_rc exec_fcos(struct cpu *cpu, const struct insn *in)
{
    return one_result(cpu, in, FPU_COS);
}

/* FSINCOS and FPTAN: ST(0) is replaced and a second result pushed. */
static cpu_rc two_results(struct cpu *cpu, const struct insn *in, bool tangent)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 first = X87_INDEFINITE;
    struct f80 second = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0) || !x87_is_empty(f, 7)) {
        bool masked =
            x87_is_empty(f, 0) ? x87_stack_underflow(cpu, in) : x87_stack_overflow(cpu, in);
        set_c2(f, false);
        if (!masked) {
            return CPU_OK;
        }
    } else {
        if (range_fails(cpu, in)) {
            return CPU_OK;
        }
        const struct f80 *v = x87_st(f, 0);
        bool special = is_special(v) || x87_is_inf(v);
        u32 status = trigonometric(f, tangent ? FPU_TAN : FPU_SIN, &first);
        if (special) {
            second = first;
        } else if (tangent) {
            second = one;
        } else if ((status & ~(u32)f->fcw & FP_PRE) == 0) {
            status = (status & ~(u32)FSW_C1) | trigonometric(f, FPU_COS, &second);
        }
        if ((x87_raise(cpu, in, status) & FP_PRE) != 0) {
            set_c2(f, false);
            return CPU_OK;
        }
    }
    set_c2(f, false);
    x87_write(f, 0, &first);
    x87_push(f, &second);
    return CPU_OK;
}

cpu_rc exec_fsincos(struct cpu *cpu, const struct insn *in)
{
    return two_results(cpu, in, false);
}

cpu_rc exec_fptan(struct cpu *cpu, const struct insn *in)
{
    return two_results(cpu, in, true);
}

static u32 power_minus_one(const struct fpu_state *f, struct f80 *d)
{
    const struct f80 *v = x87_st_const(f, 0);
    if (is_special(v)) {
        return propagate(f, d, v, v);
    }
    if (x87_is_zero(v)) {
        *d = *v;
        return 0;
    }
    if (x87_is_inf(v)) {
        *d = is_negative(v) ? with_sign(one, true) : *v;
        return 0;
    }
    if ((v->se & 0x7fff) == 0x3fff && v->mant == one.mant) {
        *d = is_negative(v) ? (struct f80){one.mant, 0xbffe} : one;
        return 0;
    }
    if ((v->se & 0x7fff) >= 0x3fff) { /* undefined: as the host has it */
        *d = *v;
        return FP_PE;
    }
    u32 denormal = denormal_flag(v);
    if ((denormal & ~(u32)f->fcw) != 0) {
        return denormal;
    }
    return denormal | fpu_transcendental(f->fcw, FPU_2XM1, d, NULL, v);
}

cpu_rc exec_f2xm1(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
    } else if ((x87_raise(cpu, in, power_minus_one(f, &d)) & FP_PRE) != 0) {
        return CPU_OK;
    }
    x87_write(f, 0, &d);
    return CPU_OK;
}

/* ---- two operands: result to ST(1), pop --------------------------------------------------- */

typedef u32 two_operand_fn(const struct fpu_state *f, struct f80 *d, const struct f80 *y,
                           const struct f80 *x);

static cpu_rc two_operands(struct cpu *cpu, const struct insn *in, two_operand_fn *fn)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 d = X87_INDEFINITE;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0) || x87_is_empty(f, 1)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
    } else {
        const struct f80 *x = x87_st(f, 0);
        const struct f80 *y = x87_st(f, 1);
        bool special = is_special(x) || is_special(y);
        u32 status = special ? propagate(f, &d, y, x) : fn(f, &d, y, x);
        if ((x87_raise(cpu, in, status) & FP_PRE) != 0) {
            return CPU_OK;
        }
    }
    x87_write(f, 1, &d);
    x87_pop(f);
    return CPU_OK;
}

static u32 arctangent(const struct fpu_state *f, struct f80 *d, const struct f80 *y, const struct f80 *x)
{
    u32 denormal = denormal_flag(x) | denormal_flag(y);
    if ((denormal & ~(u32)f->fcw) != 0) {
        return denormal;
    }
    return denormal | fpu_transcendental(f->fcw, FPU_ATAN2, d, y, x);
}

cpu_rc exec_fpatan(struct cpu *cpu, const struct insn *in)
{
    return two_operands(cpu, in, arctangent);
}

static u32 invalid(struct f80 *d)
{
    *d = X87_INDEFINITE;
    return FP_IE;
}

/* y * log2(x) */
static u32 log_product(const struct fpu_state *f, struct f80 *d, const struct f80 *y, const struct f80 *x)
{
    bool y_zero = x87_is_zero(y);
    u32 denormal = denormal_flag(x) | denormal_flag(y);
    if (x87_is_zero(x)) {
        if (y_zero) {
            return invalid(d);
        }
        *d = with_sign(infinity, !is_negative(y));
        return x87_is_inf(y) ? 0u : FP_ZE;
    }
    if (is_negative(x)) {
        return invalid(d);
    }
    /* The sign of log2(x); 0 for x = 1. */
    bool is_one = x->se == 0x3fff && x->mant == one.mant;
    bool below_one = x->se < 0x3fff;
    if ((is_one && x87_is_inf(y)) || (x87_is_inf(x) && y_zero)) {
        return invalid(d);
    }
    if ((denormal & ~(u32)f->fcw) != 0) {
        return denormal;
    }
    bool negative = is_negative(y) != below_one;
    if (x87_is_inf(x) || x87_is_inf(y)) {
        *d = with_sign(infinity, negative);
        return denormal;
    }
    if (is_one || y_zero) {
        *d = with_sign(zero, negative);
        return denormal;
    }
    return denormal | fpu_transcendental(f->fcw, FPU_YL2X, d, y, x);
}

cpu_rc exec_fyl2x(struct cpu *cpu, const struct insn *in)
{
    return two_operands(cpu, in, log_product);
}

/* y * log2(x + 1); defined for |x| <= 1 - sqrt(1/2), computed for x > -1 (elsewhere undefined). */
static u32 log_plus_one_product(const struct fpu_state *f, struct f80 *d, const struct f80 *y,
                                const struct f80 *x)
{
    u32 denormal = denormal_flag(x) | denormal_flag(y);
    bool x_zero = x87_is_zero(x);
    bool negative = is_negative(y) != is_negative(x);
    if ((is_negative(x) && x87_is_inf(x)) || (x_zero && x87_is_inf(y)) || (x87_is_inf(x) && x87_is_zero(y))) {
        return invalid(d);
    }
    if ((denormal & ~(u32)f->fcw) != 0) {
        return denormal;
    }
    if (x87_is_inf(x) || x87_is_inf(y)) {
        *d = with_sign(infinity, negative);
        return denormal;
    }
    if (x_zero || x87_is_zero(y)) {
        *d = with_sign(zero, negative);
        return denormal;
    }
    if (is_negative(x) && (x->se & 0x7fff) >= 0x3fff) { /* as the host has it */
        *d = *x;
        return denormal | FP_PE;
    }
    return denormal | fpu_transcendental(f->fcw, FPU_YL2XP1, d, y, x);
}

cpu_rc exec_fyl2xp1(struct cpu *cpu, const struct insn *in)
{
    return two_operands(cpu, in, log_plus_one_product);
}
