/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of svm/ share. */
#ifndef VITRINE_CPU_SVM_PRIV_H
#define VITRINE_CPU_SVM_PRIV_H

#include "abi/x86/svm.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/model.h"
#include "cpu/svm/svm.h"

/* ---- vmcb.c: the block in memory, and the processor's registers in its layout ---- */

struct vmcb {
    u8 b[VMCB_BYTES];
};

static inline u64 vmcb_get(const struct vmcb *v, unsigned offset, unsigned bytes)
{
    return load_le(v->b + offset, bytes);
}

static inline void vmcb_set(struct vmcb *v, unsigned offset, unsigned bytes, u64 value)
{
    store_le(v->b + offset, value, bytes);
}

void vmcb_read(struct cpu *cpu, u64 spa, struct vmcb *v);
/* Write bytes [first, last) back. */
void vmcb_write(struct cpu *cpu, u64 spa, const struct vmcb *v, unsigned first, unsigned last);
void vmcb_get_control(const struct vmcb *v, struct vmcb_control *c);
void vmcb_put_segment(struct vmcb *v, unsigned offset, const struct segment *s);
void vmcb_get_segment(const struct cpu *cpu, const struct vmcb *v, unsigned offset, struct segment *s);
void vmcb_put_table(struct vmcb *v, unsigned offset, const struct table_reg *t);
void vmcb_get_table(const struct cpu *cpu, const struct vmcb *v, unsigned offset, struct table_reg *t);
/* What VMRUN and #VMEXIT exchange: ES CS SS DS, tables, control registers, flags, RIP, RSP, RAX. */
void vmcb_put_core(const struct cpu *cpu, struct vmcb *v);
/* What VMLOAD and VMSAVE exchange. */
void vmcb_put_extra(const struct cpu *cpu, struct vmcb *v);
void vmcb_get_extra(struct cpu *cpu, const struct vmcb *v);
/* Sign-extended from the highest bit of a linear address. */
u64 svm_canonical(const struct cpu *cpu, u64 v);

/* ---- exit.c ---- */

/* An exit on its way: fills cpu->exit and cpu->event. `len`: of the instruction, when RIP of the next one is
 * to be saved; 0: not. */
cpu_rc svm_raise_exit(struct cpu *cpu, u64 code, u64 info1, u64 info2, unsigned len, const char *why);
/* The same at an instruction boundary: taken at once. */
void svm_exit_now(struct cpu *cpu, u64 code, const char *why);
/* VMRUN did not get into the guest: GIF = 0 and EXITCODE = INVALID. */
void svm_exit_invalid(struct cpu *cpu, u64 vmcb);
/* Load what VMRUN saved in the host save area. False: what stands there cannot be loaded (shutdown). */
void svm_load_host(struct cpu *cpu);
u64 svm_next_rip(const struct cpu *cpu, unsigned len);

/* ---- reason.c ---- */

const char *svm_exit_name(u64 code);
/* What cpu->exit says, before anything of the guest has changed. */
void svm_say_exit(struct cpu *cpu, u64 intinfo);
void svm_say_invalid(struct cpu *cpu, const char *id, const char *field, u64 value, const char *title,
                     const char *why);

/* ---- intercept.c ---- */

/* Exit codes below C0h are intercept bits. */
static inline bool svm_intercepts(const struct cpu *cpu, u64 code)
{
    const struct vmcb_control *c = &cpu->arch.svm.ctl;
    const u64 words[6] = {c->intercept_cr, c->intercept_dr, c->intercept_exceptions,
                          c->intercept_1,  c->intercept_2,  c->intercept_3};
    return code < 0xc0 && ((words[code / 32] >> (code % 32)) & 1) != 0;
}

static inline bool svm_nested_paging(const struct cpu *cpu)
{
    return cpu->arch.guest == GUEST_SVM && (cpu->arch.svm.ctl.nested_ctl & NESTED_CTL_NP) != 0;
}

bool svm_pat_is_valid(u64 pat);

/* ---- avic.c ---- */

bool svm_avic_on(const struct cpu *cpu);
/* The vector that beats the guest's priority, or -1; moving it into service. */
int svm_avic_pending(const struct cpu *cpu);
void svm_avic_ack(struct cpu *cpu, u8 vector);
u64 svm_avic_get_tpr(const struct cpu *cpu);
void svm_avic_set_tpr(struct cpu *cpu, u64 tpr);
cpu_rc svm_avic_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done) MUST_USE;

/* ---- vmrun.c ---- */

/* Guest-physical to system-physical for VMLOAD and VMSAVE. */
cpu_rc svm_translate_gpa(struct cpu *cpu, u64 gpa, bool write, u64 *spa) MUST_USE;

#endif
