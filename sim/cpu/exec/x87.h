/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The x87 register stack, tags and pending exceptions: shared by x87_*.c, xsave.c and MMX. */
#ifndef VITRINE_CPU_EXEC_X87_H
#define VITRINE_CPU_EXEC_X87_H

#include "abi/x86/fpu.h"
#include "cpu/cpu.h"
#include "cpu/event.h"
#include "cpu/insn.h"

static inline unsigned x87_top(const struct fpu_state *f)
{
    return (unsigned)(f->fsw & FSW_TOP) >> FSW_TOP_SHIFT;
}

static inline void x87_set_top(struct fpu_state *f, unsigned top)
{
    f->fsw = (u16)((f->fsw & ~(unsigned)FSW_TOP) | (top & 7) << FSW_TOP_SHIFT);
}

static inline struct f80 *x87_st(struct fpu_state *f, unsigned i)
{
    return &f->r[(x87_top(f) + i) & 7];
}

static inline const struct f80 *x87_st_const(const struct fpu_state *f, unsigned i)
{
    return &f->r[(x87_top(f) + i) & 7];
}

static inline bool x87_is_empty(const struct fpu_state *f, unsigned i)
{
    return ((f->tags >> ((x87_top(f) + i) & 7)) & 1) == 0;
}

static inline void x87_set_tag(struct fpu_state *f, unsigned i, bool full)
{
    unsigned bit = 1u << ((x87_top(f) + i) & 7);
    f->tags = (u8)(full ? f->tags | bit : f->tags & ~bit);
}

/* ES and B follow from the flags and masks. */
static inline void x87_update_es(struct fpu_state *f)
{
    bool es = (f->fsw & ~(unsigned)f->fcw & FP_ALL) != 0;
    f->fsw = (u16)((f->fsw & ~(unsigned)(FSW_ES | FSW_B)) | (es ? FSW_ES | FSW_B : 0u));
}

/* Replace FSW, with ES and B as the masks say (FCW first), whatever the value has there. */
void x87_set_status(struct cpu *cpu, u16 fsw);

/* Any MMX instruction but EMMS: TOP = 0, all registers valid. [SDM1 "MMX Instructions and the x87
 * FPU Tag Word"] */
static inline void x87_enter_mmx(struct cpu *cpu)
{
    cpu->arch.fpu.fsw = (u16)(cpu->arch.fpu.fsw & ~(unsigned)FSW_TOP);
    cpu->arch.fpu.tags = 0xff;
}

/* Write an MMX register: the exponent and sign become ones. */
static inline void x87_write_mmx(struct cpu *cpu, unsigned n, u64 v)
{
    cpu->arch.fpu.r[n & 7] = (struct f80){.mant = v, .se = 0xffff};
}

/* A waiting x87 or MMX instruction: deliver an unmasked exception left by an earlier one. CR0.NE = 1:
 * #MF; CR0.NE = 0: FERR# towards the board (IRQ 13) and the processor waits for an interrupt.
 * x87_control.c */
cpu_rc fpu_pending(struct cpu *cpu) MUST_USE;

/* ---- for x87_*.c -------------------------------------------------------------------------- */

/* The result of a masked invalid operation. */
#define X87_INDEFINITE ((struct f80){.mant = 0xc000000000000000, .se = 0xffff})

static inline bool x87_is_nan(const struct f80 *v)
{
    return (v->se & 0x7fff) == 0x7fff && (v->mant << 1) != 0;
}

static inline bool x87_is_zero(const struct f80 *v)
{
    return (v->se & 0x7fff) == 0 && v->mant == 0;
}

static inline bool x87_is_inf(const struct f80 *v)
{
    return (v->se & 0x7fff) == 0x7fff && v->mant == 0x8000000000000000;
}

/* Encodings that were numbers on the 8087 only: invalid operands. */
static inline bool x87_is_unsupported(const struct f80 *v)
{
    return (v->se & 0x7fff) != 0 && (v->mant >> 63) == 0;
}

static inline bool x87_is_denormal(const struct f80 *v)
{
    return (v->se & 0x7fff) == 0 && v->mant != 0;
}

/* FIP and, where the processor does so, FOP and FDP of a non-control instruction. To be called once
 * the instruction can no longer fault. */
void x87_track(struct cpu *cpu, const struct insn *in);

/* Exception flags, SF and C1 of `status` into FSW (C1 is replaced). ES, and FOP and FDP of the
 * instruction if something is unmasked. Returns the unmasked exceptions. */
u32 x87_raise(struct cpu *cpu, const struct insn *in, u32 status);

/* Invalid operation by an empty source or a full destination. True: masked, go on with
 * X87_INDEFINITE. */
bool x87_stack_underflow(struct cpu *cpu, const struct insn *in) MUST_USE;
bool x87_stack_overflow(struct cpu *cpu, const struct insn *in) MUST_USE;

static inline void x87_pop(struct fpu_state *f)
{
    x87_set_tag(f, 0, false);
    x87_set_top(f, x87_top(f) + 1);
}

static inline void x87_push(struct fpu_state *f, const struct f80 *v)
{
    x87_set_top(f, x87_top(f) - 1);
    x87_set_tag(f, 0, true);
    *x87_st(f, 0) = *v;
}

static inline void x87_write(struct fpu_state *f, unsigned i, const struct f80 *v)
{
    x87_set_tag(f, i, true);
    *x87_st(f, i) = *v;
}

#endif
