/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CVT*: between singles, doubles, integers, half precision and MMX registers. */
#include "cpu/exec/simd_fp.h"
#include "cpu/exec/x87.h"

/* Packed, operands r[0] and r[1]. `src_bytes` and `dst_bytes` per 128 bits of vector length. */
static cpu_rc convert_packed(struct cpu *cpu, const struct insn *in, const struct fp_call *call,
                             unsigned chunks, unsigned src_bytes, unsigned dst_bytes)
{
    struct vec b;
    TRY(vec_read(cpu, in, 1, src_bytes, &b));
    TRY(fp_execute(cpu, call, chunks, &b, NULL, &b, NULL));
    vec_write(cpu, in, &b, dst_bytes);
    return CPU_OK;
}

/* The same number of bytes on both sides. */
static cpu_rc convert_same(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    return convert_packed(cpu, in, call, in->osz / 16, in->osz, in->osz);
}

/* Half the bytes become all: in->osz is the destination's. */
static cpu_rc convert_widen(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    return convert_packed(cpu, in, call, in->osz / 16, in->osz / 2, in->osz);
}

/* in->osz is the source's; the destination is one XMM register, cleared above the result. */
static cpu_rc convert_narrow(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    return convert_packed(cpu, in, call, in->osz / 16, in->osz, 16);
}

static cpu_rc convert_scalar(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec a, b;
    TRY(vec_read(cpu, in, insn_src2(in), call->src, &b));
    TRY(vec_read(cpu, in, insn_src1(in), 16, &a));
    TRY(fp_execute(cpu, call, 1, &a, &a, &b, NULL));
    vec_write(cpu, in, &a, 16);
    return CPU_OK;
}

#define HANDLER(name, shape, from, to, count, rounding)                                            \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        static const struct fp_call call = {                                                       \
            .fn = fp_##name, .src = (from), .dst = (to), .lanes = (count), .rounds = (rounding)}; \
        return shape(cpu, in, &call);                                                              \
    }

HANDLER(cvtps2pd, convert_widen, 4, 8, 2, FP_ROUNDS_NOT)
HANDLER(cvtpd2ps, convert_narrow, 8, 4, 2, FP_ROUNDS_TO_SINGLE)
HANDLER(cvtss2sd, convert_scalar, 4, 8, 1, FP_ROUNDS_NOT)
HANDLER(cvtsd2ss, convert_scalar, 8, 4, 1, FP_ROUNDS_TO_SINGLE)
HANDLER(cvtdq2ps, convert_same, 4, 4, 4, FP_ROUNDS_NOT)
HANDLER(cvtdq2pd, convert_widen, 4, 8, 2, FP_ROUNDS_NOT)
HANDLER(cvtps2dq, convert_same, 4, 4, 4, FP_ROUNDS_NOT)
HANDLER(cvttps2dq, convert_same, 4, 4, 4, FP_ROUNDS_NOT)
HANDLER(cvtpd2dq, convert_narrow, 8, 4, 2, FP_ROUNDS_NOT)
HANDLER(cvttpd2dq, convert_narrow, 8, 4, 2, FP_ROUNDS_NOT)

/* ---- general registers -------------------------------------------------------------------- */

static unsigned int_bits(const struct cpu *cpu, const struct insn *in)
{
    return (in->pfx & PFX_REXW) != 0 && cpu->d.code64 ? 64 : 32;
}

static cpu_rc convert_from_int(struct cpu *cpu, const struct insn *in,
                               u32 (*fn)(u32 mxcsr, void *d, u64 v, unsigned bits))
{
    struct vec a;
    u64 v = 0;
    unsigned bits = int_bits(cpu, in);
    TRY(opr_read(cpu, in, insn_src2(in), bits / 8, &v));
    TRY(vec_read(cpu, in, insn_src1(in), 16, &a));
    TRY(fp_finish_one(cpu, fn(cpu->arch.mxcsr, a.b, v, bits)));
    vec_write(cpu, in, &a, 16);
    return CPU_OK;
}

cpu_rc exec_cvtsi2ss(struct cpu *cpu, const struct insn *in)
{
    return convert_from_int(cpu, in, fp_cvtsi2ss);
}

cpu_rc exec_cvtsi2sd(struct cpu *cpu, const struct insn *in)
{
    return convert_from_int(cpu, in, fp_cvtsi2sd);
}

static cpu_rc convert_to_int(struct cpu *cpu, const struct insn *in, bool dbl, bool truncate)
{
    struct vec b;
    u64 v = 0;
    unsigned bits = int_bits(cpu, in);
    TRY(vec_read(cpu, in, 1, dbl ? 8 : 4, &b));
    u32 flags = dbl ? fp_cvtsd2si(cpu->arch.mxcsr, &v, b.b, bits, truncate)
                    : fp_cvtss2si(cpu->arch.mxcsr, &v, b.b, bits, truncate);
    TRY(fp_finish_one(cpu, flags));
    gpr_write(cpu, in->r[0], bits / 8, v);
    return CPU_OK;
}

cpu_rc exec_cvtss2si(struct cpu *cpu, const struct insn *in)
{
    return convert_to_int(cpu, in, false, false);
}

cpu_rc exec_cvttss2si(struct cpu *cpu, const struct insn *in)
{
    return convert_to_int(cpu, in, false, true);
}

cpu_rc exec_cvtsd2si(struct cpu *cpu, const struct insn *in)
{
    return convert_to_int(cpu, in, true, false);
}

cpu_rc exec_cvttsd2si(struct cpu *cpu, const struct insn *in)
{
    return convert_to_int(cpu, in, true, true);
}

/* ---- MMX registers ------------------------------------------------------------------------ */

static const struct fp_call call_dq2ps = {
    .fn = fp_cvtdq2ps, .src = 4, .dst = 4, .lanes = 4};
static const struct fp_call call_dq2pd = {
    .fn = fp_cvtdq2pd, .src = 4, .dst = 8, .lanes = 2};

/* Source r[1] is MMX or m64. Sources in memory leave the x87 state alone; all other forms
 * switch it to MMX, also when they end in #XM (both found on the host; the SDM has CVTPI2PS switch
 * always). [SDM2 "CVTPI2PD", "CVTPI2PS"] */
static MUST_USE cpu_rc read_mmx_or_mem(struct cpu *cpu, const struct insn *in, struct vec *v)
{
    memset(v->b, 0, sizeof v->b);
    if (in->r[1] == OPR_MEM) {
        return vec_read_mem(cpu, in, 8, v);
    }
    store_le64(v->b, cpu->arch.fpu.r[in->r[1] & 7].mant);
    return CPU_OK;
}

static MUST_USE cpu_rc convert_from_mmx(struct cpu *cpu, const struct insn *in,
                                        const struct fp_call *call, struct vec *d)
{
    struct vec b;
    bool mmx = in->r[1] != OPR_MEM;
    if ((cpu->arch.cr4 & CR4_OSFXSR) == 0) {
        return raise_ud(cpu, "CR4.OSFXSR = 0"); /* the MMX form's unit does not ask */
    }
    if (mmx) {
        TRY(fpu_pending(cpu));
    }
    TRY(read_mmx_or_mem(cpu, in, &b));
    if (mmx) {
        x87_enter_mmx(cpu);
    }
    return fp_execute(cpu, call, 1, d, NULL, &b, NULL);
}

cpu_rc exec_cvtpi2ps(struct cpu *cpu, const struct insn *in)
{
    struct vec a, d;
    TRY(convert_from_mmx(cpu, in, &call_dq2ps, &d));
    TRY(vec_read(cpu, in, 0, 16, &a));
    memcpy(a.b, d.b, 8);
    vec_write(cpu, in, &a, 16);
    return CPU_OK;
}

cpu_rc exec_cvtpi2pd(struct cpu *cpu, const struct insn *in)
{
    struct vec d;
    TRY(convert_from_mmx(cpu, in, &call_dq2pd, &d));
    vec_write(cpu, in, &d, 16);
    return CPU_OK;
}

static cpu_rc convert_to_mmx(struct cpu *cpu, const struct insn *in, const struct fp_call *call)
{
    struct vec b;
    unsigned size = call->src == 8 ? 16 : 8;
    if ((cpu->arch.cr4 & CR4_OSFXSR) == 0) {
        return raise_ud(cpu, "CR4.OSFXSR = 0");
    }
    TRY(fpu_pending(cpu));
    TRY(vec_read(cpu, in, 1, size, &b));
    memset(b.b + size, 0, sizeof b.b - size); /* unused singles raise nothing */
    x87_enter_mmx(cpu);
    TRY(fp_execute(cpu, call, 1, &b, NULL, &b, NULL));
    x87_write_mmx(cpu, in->r[0], load_le64(b.b));
    return CPU_OK;
}

#define TO_MMX(name, backend, size, count)                                                         \
    cpu_rc exec_##name(struct cpu *cpu, const struct insn *in)                                     \
    {                                                                                              \
        static const struct fp_call call = {                                                       \
            .fn = (backend), .src = (size), .dst = 4, .lanes = (count)};          \
        return convert_to_mmx(cpu, in, &call);                                                     \
    }

TO_MMX(cvtps2pi, fp_cvtps2dq, 4, 4)
TO_MMX(cvttps2pi, fp_cvttps2dq, 4, 4)
TO_MMX(cvtpd2pi, fp_cvtpd2dq, 8, 2)
TO_MMX(cvttpd2pi, fp_cvttpd2dq, 8, 2)

/* ---- half precision ----------------------------------------------------------------------- */

cpu_rc exec_vcvtph2ps(struct cpu *cpu, const struct insn *in)
{
    struct vec b, d;
    struct fp_lanes lanes = {.n = in->osz / 4};
    if (in->r[1] == OPR_MEM && in->osz == 16) { /* never #AC */
        u64 v = 0;
        TRY(mem_read_element(cpu, insn_seg(in), insn_offset(cpu, in), 8, &v));
        store_le64(b.b, v);
    } else {
        TRY(vec_read(cpu, in, 1, in->osz / 2, &b));
    }
    for (unsigned i = 0; i < lanes.n; i++) {
        u32 v = 0;
        lanes.flags[i] = fp_soft_ph2ps(&v, load_le16(b.b + 2 * i));
        store_le32(d.b + 4 * i, v);
    }
    TRY(fp_finish(cpu, &lanes));
    vec_write(cpu, in, &d, in->osz);
    return CPU_OK;
}

/* Destination r[0] is XMM or m64/m128, source r[1]; in->osz is the source's length. */
cpu_rc exec_vcvtps2ph(struct cpu *cpu, const struct insn *in)
{
    struct vec b;
    struct vec d = {{0}};
    struct fp_lanes lanes = {.n = in->osz / 4};
    u32 before = cpu->arch.mxcsr;
    unsigned rc = (in->imm & 4) != 0 ? (before & MXCSR_RC) >> MXCSR_RC_SHIFT : (unsigned)in->imm & 3;
    TRY(vec_read(cpu, in, 1, in->osz, &b));
    for (unsigned i = 0; i < lanes.n; i++) {
        u16 v = 0;
        lanes.flags[i] = fp_soft_ps2ph(before, &v, load_le32(b.b + 4 * i), rc);
        store_le16(d.b + 2 * i, v);
    }
    TRY(fp_finish(cpu, &lanes));
    if (in->r[0] == OPR_MEM) {
        unsigned seg = insn_seg(in);
        u64 offset = insn_offset(cpu, in);
        cpu_rc rc_store = in->osz == 16 ? mem_write_element(cpu, seg, offset, 8, load_le64(d.b))
                                        : mem_write_bytes(cpu, seg, offset, d.b, 16);
        if (rc_store != CPU_OK) {
            cpu->arch.mxcsr = before;
        }
        return rc_store;
    }
    vec_write(cpu, in, &d, 16);
    return CPU_OK;
}
