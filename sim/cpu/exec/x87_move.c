/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 loads, stores, constants, FXCH, FCMOVcc, stack management. */
#include "cpu/exec/exec.h"
#include "cpu/exec/fpu.h"
#include "cpu/exec/x87.h"

/* ---- loads -------------------------------------------------------------------------------- */

/* Push v, or its substitute when ST(7) is in use. */
static cpu_rc push(struct cpu *cpu, const struct insn *in, const struct f80 *v)
{
    struct fpu_state *f = &cpu->arch.fpu;
    if (!x87_is_empty(f, 7)) {
        if (x87_stack_overflow(cpu, in)) {
            x87_push(f, &X87_INDEFINITE);
        }
        return CPU_OK;
    }
    (void)x87_raise(cpu, in, 0);
    x87_push(f, v);
    return CPU_OK;
}

static MUST_USE cpu_rc read_80(struct cpu *cpu, const struct insn *in, u8 data[10])
{
    TRY(mem_check_ac(cpu, insn_seg(in), insn_offset(cpu, in), 8));
    return mem_read_bytes(cpu, insn_seg(in), insn_offset(cpu, in), data, 10);
}

static cpu_rc load_real(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    u64 v = 0;
    unsigned size = insn_mem_size(in);
    TRY(opr_read(cpu, in, 0, size, &v));
    x87_track(cpu, in);
    if (!x87_is_empty(f, 7)) {
        return push(cpu, in, NULL);
    }
    struct f80 d;
    u16 status = fpu_load(f->fcw, size == 4 ? FPU_M32 : FPU_M64, &d, &v);
    /* Unlike elsewhere an unmasked denormal does not keep the value out. */
    if ((x87_raise(cpu, in, status & ~(u32)FSW_C1) & FP_IE) == 0) {
        x87_push(f, &d);
    }
    return CPU_OK;
}

/* ST(i), m32, m64 or m80 (whose size the decoder does not say). */
cpu_rc exec_fld(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    if (in->r[0] == OPR_MEM) {
        unsigned size = insn_mem_size(in);
        if (size == 4 || size == 8) {
            return load_real(cpu, in);
        }
        u8 data[10];
        TRY(read_80(cpu, in, data));
        x87_track(cpu, in);
        return push(cpu, in, &(struct f80){load_le64(data), load_le16(data + 8)});
    }
    unsigned i = in->r[0] & 7u;
    x87_track(cpu, in);
    struct f80 v = *x87_st(f, i);
    if (x87_is_empty(f, i)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
        v = X87_INDEFINITE;
        x87_push(f, &v);
        return CPU_OK;
    }
    return push(cpu, in, &v);
}

cpu_rc exec_fild(struct cpu *cpu, const struct insn *in)
{
    u64 v = 0;
    struct f80 d;
    unsigned size = insn_mem_size(in);
    TRY(opr_read(cpu, in, 0, size, &v));
    fpu_from_int(&d, (i64)sign_extend(v, size));
    x87_track(cpu, in);
    return push(cpu, in, &d);
}

cpu_rc exec_fbld(struct cpu *cpu, const struct insn *in)
{
    u8 data[10];
    struct f80 d;
    TRY(read_80(cpu, in, data));
    fpu_from_bcd(&d, data);
    x87_track(cpu, in);
    return push(cpu, in, &d);
}

static cpu_rc constant(struct cpu *cpu, const struct insn *in, enum fpu_constant which)
{
    struct f80 d;
    fpu_constant(cpu->arch.fpu.fcw, which, &d);
    x87_track(cpu, in);
    return push(cpu, in, &d);
}

#define CONSTANT(name, which)                                                                      \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return constant(cpu, in, which);                                                           \
    }

CONSTANT(fld1, FPU_ONE)
CONSTANT(fldl2t, FPU_L2T)
CONSTANT(fldl2e, FPU_L2E)
CONSTANT(fldpi, FPU_PI)
CONSTANT(fldlg2, FPU_LG2)
CONSTANT(fldln2, FPU_LN2)
CONSTANT(fldz, FPU_ZERO)

/* ---- stores ------------------------------------------------------------------------------- */

/* What an empty register is stored as when that is masked. */
static void indefinite_image(enum fpu_store format, u8 data[10])
{
    static const u8 bcd[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};
    switch (format) {
    case FPU_STORE_M32: store_le32(data, 0xffc00000); break;
    case FPU_STORE_M64: store_le64(data, 0xfff8000000000000); break;
    case FPU_STORE_I16:
    case FPU_STORE_T16: store_le16(data, 0x8000); break;
    case FPU_STORE_I32:
    case FPU_STORE_T32: store_le32(data, 0x80000000); break;
    case FPU_STORE_I64:
    case FPU_STORE_T64: store_le64(data, 0x8000000000000000); break;
    case FPU_STORE_BCD: memcpy(data, bcd, 10); break;
    }
}

/* Memory is written before any state changes: the store may fault. */
static cpu_rc store(struct cpu *cpu, const struct insn *in, enum fpu_store format, unsigned size, bool pop)
{
    struct fpu_state *f = &cpu->arch.fpu;
    u8 data[10] = {0};
    u32 status;
    if (x87_is_empty(f, 0)) {
        status = FP_IE | FSW_SF;
        indefinite_image(format, data);
    } else {
        status = fpu_store(f->fcw, format, data, x87_st(f, 0)) & (FP_ALL | FSW_C1);
    }
    /* Inexact alone does not keep the result from memory. */
    bool keep = (status & ~(u32)f->fcw & (FP_ALL & ~FP_PE)) != 0;
    if (size == 10) {
        TRY(mem_check_ac(cpu, insn_seg(in), insn_offset(cpu, in), 8));
    }
    if (!keep) {
        TRY(mem_write_bytes(cpu, insn_seg(in), insn_offset(cpu, in), data, size));
    } else if (format == FPU_STORE_M32 || format == FPU_STORE_M64) { /* integers are refused first */
        TRY(mem_probe(cpu, insn_seg(in), insn_offset(cpu, in), size, ACCESS_WRITE));
    }
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, status);
    if (!keep && pop) {
        x87_pop(f);
    }
    return CPU_OK;
}

static cpu_rc store_80(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    bool empty = x87_is_empty(f, 0);
    const struct f80 *v = empty ? &X87_INDEFINITE : x87_st(f, 0);
    bool keep = empty && (f->fcw & FCW_IM) == 0;
    u8 data[10];
    store_le64(data, v->mant);
    store_le16(data + 8, v->se);
    TRY(mem_check_ac(cpu, insn_seg(in), insn_offset(cpu, in), 8));
    if (!keep) {
        TRY(mem_write_bytes(cpu, insn_seg(in), insn_offset(cpu, in), data, 10));
    } else {
        TRY(mem_probe(cpu, insn_seg(in), insn_offset(cpu, in), 10, ACCESS_WRITE));
    }
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, empty ? FP_IE | FSW_SF : 0);
    if (!keep) {
        x87_pop(f);
    }
    return CPU_OK;
}

static cpu_rc store_register(struct cpu *cpu, const struct insn *in, bool pop)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 v = *x87_st(f, 0);
    x87_track(cpu, in);
    if (x87_is_empty(f, 0)) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
        v = X87_INDEFINITE;
    } else {
        (void)x87_raise(cpu, in, 0);
    }
    x87_write(f, in->r[0] & 7u, &v);
    if (pop) {
        x87_pop(f);
    }
    return CPU_OK;
}

static cpu_rc store_real(struct cpu *cpu, const struct insn *in, bool pop)
{
    if (in->r[0] != OPR_MEM) {
        return store_register(cpu, in, pop);
    }
    switch (insn_mem_size(in)) {
    case 4: return store(cpu, in, FPU_STORE_M32, 4, pop);
    case 8: return store(cpu, in, FPU_STORE_M64, 8, pop);
    default: return store_80(cpu, in);
    }
}

cpu_rc exec_fst(struct cpu *cpu, const struct insn *in)
{
    return store_real(cpu, in, false);
}

cpu_rc exec_fstp(struct cpu *cpu, const struct insn *in)
{
    return store_real(cpu, in, true);
}

/* D9 D8+i: FSTP that only pops when ST(0) is empty. */
cpu_rc exec_fstpnce(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    struct f80 v = *x87_st(f, 0);
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, 0);
    if (!x87_is_empty(f, 0)) {
        x87_write(f, in->r[0] & 7u, &v);
    }
    x87_pop(f);
    return CPU_OK;
}

static cpu_rc store_int(struct cpu *cpu, const struct insn *in, bool truncate, bool pop)
{
    unsigned size = insn_mem_size(in);
    enum fpu_store format = truncate ? (size == 2   ? FPU_STORE_T16
                                        : size == 4 ? FPU_STORE_T32
                                                    : FPU_STORE_T64)
                                     : (size == 2   ? FPU_STORE_I16
                                        : size == 4 ? FPU_STORE_I32
                                                    : FPU_STORE_I64);
    return store(cpu, in, format, size, pop);
}

cpu_rc exec_fist(struct cpu *cpu, const struct insn *in)
{
    return store_int(cpu, in, false, false);
}

cpu_rc exec_fistp(struct cpu *cpu, const struct insn *in)
{
    return store_int(cpu, in, false, true);
}

cpu_rc exec_fisttp(struct cpu *cpu, const struct insn *in)
{
    return store_int(cpu, in, true, true);
}

cpu_rc exec_fbstp(struct cpu *cpu, const struct insn *in)
{
    return store(cpu, in, FPU_STORE_BCD, 10, true);
}

/* ---- between registers -------------------------------------------------------------------- */

cpu_rc exec_fxch(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    unsigned i = in->r[0] & 7u;
    struct f80 a = *x87_st(f, 0);
    struct f80 b = *x87_st(f, i);
    bool a_empty = x87_is_empty(f, 0);
    bool b_empty = x87_is_empty(f, i);
    x87_track(cpu, in);
    if (a_empty || b_empty) {
        if (!x87_stack_underflow(cpu, in)) {
            return CPU_OK;
        }
        a = a_empty ? X87_INDEFINITE : a;
        b = b_empty ? X87_INDEFINITE : b;
    } else {
        (void)x87_raise(cpu, in, 0);
    }
    x87_write(f, 0, &b);
    x87_write(f, i, &a);
    return CPU_OK;
}

static cpu_rc conditional_move(struct cpu *cpu, const struct insn *in, bool taken)
{
    struct fpu_state *f = &cpu->arch.fpu;
    unsigned i = in->r[1] & 7u;
    x87_track(cpu, in);
    if (x87_is_empty(f, 0) || x87_is_empty(f, i)) {
        if (x87_stack_underflow(cpu, in)) {
            x87_write(f, 0, &X87_INDEFINITE);
        }
        return CPU_OK;
    }
    if (taken) {
        struct f80 v = *x87_st(f, i);
        x87_write(f, 0, &v);
    }
    return CPU_OK;
}

#define CMOV(name, condition)                                                                      \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        return conditional_move(cpu, in, condition);                                               \
    }

CMOV(fcmovb, flag_cf(cpu))
CMOV(fcmove, flag_zf(cpu))
CMOV(fcmovbe, flag_cf(cpu) || flag_zf(cpu))
CMOV(fcmovu, flag_pf(cpu))
CMOV(fcmovnb, !flag_cf(cpu))
CMOV(fcmovne, !flag_zf(cpu))
CMOV(fcmovnbe, !flag_cf(cpu) && !flag_zf(cpu))
CMOV(fcmovnu, !flag_pf(cpu))

cpu_rc exec_ffree(struct cpu *cpu, const struct insn *in)
{
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, 0);
    x87_set_tag(&cpu->arch.fpu, in->r[0] & 7u, false);
    return CPU_OK;
}

/* DF C0+i: FFREE, then pop. */
cpu_rc exec_ffreep(struct cpu *cpu, const struct insn *in)
{
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, 0);
    x87_set_tag(&cpu->arch.fpu, in->r[0] & 7u, false);
    x87_pop(&cpu->arch.fpu);
    return CPU_OK;
}

cpu_rc exec_fincstp(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, 0);
    x87_set_top(f, x87_top(f) + 1);
    return CPU_OK;
}

cpu_rc exec_fdecstp(struct cpu *cpu, const struct insn *in)
{
    struct fpu_state *f = &cpu->arch.fpu;
    x87_track(cpu, in);
    (void)x87_raise(cpu, in, 0);
    x87_set_top(f, x87_top(f) + 7);
    return CPU_OK;
}

cpu_rc exec_fnop(struct cpu *cpu, const struct insn *in)
{
    x87_track(cpu, in);
    return CPU_OK;
}
