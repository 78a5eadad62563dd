/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMX's half of the hooks of cpu/virt.h; the comments there hold. */
#ifndef VITRINE_CPU_VMX_VMX_H
#define VITRINE_CPU_VMX_VMX_H

#include "cpu/virt.h"

cpu_rc vmx_insn(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc vmx_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value,
              bool *done) MUST_USE;
cpu_rc vmx_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write) MUST_USE;
cpu_rc vmx_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done) MUST_USE;
cpu_rc vmx_io(struct cpu *cpu, const struct io_access *io) MUST_USE;
cpu_rc vmx_event(struct cpu *cpu, const struct event *ev) MUST_USE;
void vmx_delivery_begins(struct cpu *cpu, const struct event *ev);
void vmx_delivery_done(struct cpu *cpu);
bool vmx_pending(struct cpu *cpu);
bool vmx_hw_event(struct cpu *cpu, enum hw_event what);
void vmx_exit(struct cpu *cpu);
void vmx_walk_root(const struct cpu *cpu, struct walk_root *root);
cpu_rc vmx_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res) MUST_USE;
u64 vmx_apic_page(const struct cpu *cpu);
bool vmx_is_apic_page(const struct cpu *cpu, spa_t spa);
cpu_rc vmx_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size,
                       bool *done) MUST_USE;
u64 vmx_tsc(const struct cpu *cpu, u64 tsc);
bool vmx_before_traps(struct cpu *cpu);
void vmx_after_insn(struct cpu *cpu);
bool vmx_steps(const struct cpu *cpu);
bool vmx_iret_unblocks(const struct cpu *cpu);
void vmx_walk_log(struct cpu *cpu, struct walk_root *root);
void vmx_log_dirty(struct cpu *cpu, const struct walk_result *res);
cpu_rc vmx_read_physical(struct cpu *cpu, u64 gpa, unsigned size, u64 *value) MUST_USE;
bool vmx_cr_allowed(const struct cpu *cpu, unsigned cr, u64 value);
void vmx_init(struct cpu *cpu);
void vmx_reset(struct cpu *cpu);
void vmx_state(struct cpu *cpu, struct state_io *io);

cpu_rc vmx_task_switch(struct cpu *cpu, u16 selector, enum task_source source) MUST_USE;

#endif
