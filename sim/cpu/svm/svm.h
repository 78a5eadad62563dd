/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SVM's half of the hooks of cpu/virt.h; the comments there hold. */
#ifndef VITRINE_CPU_SVM_SVM_H
#define VITRINE_CPU_SVM_SVM_H

#include "cpu/virt.h"

cpu_rc svm_insn(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc svm_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value,
              bool *done) MUST_USE;
cpu_rc svm_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write) MUST_USE;
cpu_rc svm_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done) MUST_USE;
cpu_rc svm_io(struct cpu *cpu, const struct io_access *io) MUST_USE;
cpu_rc svm_event(struct cpu *cpu, const struct event *ev) MUST_USE;
void svm_delivery_begins(struct cpu *cpu, const struct event *ev);
void svm_delivery_done(struct cpu *cpu);
bool svm_pending(struct cpu *cpu);
bool svm_hw_event(struct cpu *cpu, enum hw_event what);
void svm_exit(struct cpu *cpu);
cpu_rc svm_second_event(struct cpu *cpu, const struct event *ev) MUST_USE;
bool svm_interrupt(struct cpu *cpu);
bool svm_interrupts_open(const struct cpu *cpu);
bool svm_nmi_open(const struct cpu *cpu);
bool svm_walks_pdptes(const struct cpu *cpu);
void svm_walk_root(const struct cpu *cpu, struct walk_root *root);
cpu_rc svm_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res) MUST_USE;
bool svm_redirects_init(const struct cpu *cpu);
cpu_rc svm_ferr(struct cpu *cpu) MUST_USE;
bool svm_before_traps(struct cpu *cpu);
void svm_place_apic(const struct cpu *cpu, struct walk_result *res);
u64 svm_apic_page(const struct cpu *cpu, u64 *bar);
bool svm_is_apic_page(const struct cpu *cpu, spa_t spa);
cpu_rc svm_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size,
                       bool *done) MUST_USE;
u64 svm_tsc(const struct cpu *cpu, u64 tsc);
void svm_reset(struct cpu *cpu);
void svm_state(struct cpu *cpu, struct state_io *io);

cpu_rc svm_task_switch(struct cpu *cpu, u16 selector, enum task_source source, bool has_error, u32 error)
    MUST_USE;

#endif
