/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guest mode of SVM cannot be entered yet: no model offers it, and these hooks are never reached. */
#include "cpu/svm/svm.h"

#include "base/assert.h"

cpu_rc svm_insn(struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    UNUSED(in);
    sim_unreachable();
}

cpu_rc svm_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value, bool *done)
{
    UNUSED(cpu);
    UNUSED(in);
    UNUSED(kind);
    UNUSED(cr);
    UNUSED(value);
    UNUSED(done);
    sim_unreachable();
}

cpu_rc svm_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write)
{
    UNUSED(cpu);
    UNUSED(in);
    UNUSED(dr);
    UNUSED(write);
    sim_unreachable();
}

cpu_rc svm_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    UNUSED(cpu);
    UNUSED(index);
    UNUSED(write);
    UNUSED(value);
    UNUSED(done);
    sim_unreachable();
}

cpu_rc svm_io(struct cpu *cpu, const struct io_access *io)
{
    UNUSED(cpu);
    UNUSED(io);
    sim_unreachable();
}

cpu_rc svm_task_switch(struct cpu *cpu, u16 selector, enum task_source source, bool has_error, u32 error)
{
    UNUSED(cpu);
    UNUSED(selector);
    UNUSED(source);
    UNUSED(has_error);
    UNUSED(error);
    sim_unreachable();
}

cpu_rc svm_event(struct cpu *cpu, const struct event *ev)
{
    UNUSED(cpu);
    UNUSED(ev);
    sim_unreachable();
}

void svm_delivery_begins(struct cpu *cpu, const struct event *ev)
{
    UNUSED(cpu);
    UNUSED(ev);
    sim_unreachable();
}

void svm_delivery_done(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

bool svm_pending(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

bool svm_hw_event(struct cpu *cpu, enum hw_event what)
{
    UNUSED(cpu);
    UNUSED(what);
    sim_unreachable();
}

void svm_exit(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

void svm_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    UNUSED(cpu);
    UNUSED(root);
    sim_unreachable();
}

cpu_rc svm_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res)
{
    UNUSED(cpu);
    UNUSED(lin);
    UNUSED(access);
    UNUSED(res);
    sim_unreachable();
}

bool svm_is_apic_page(const struct cpu *cpu, spa_t spa)
{
    UNUSED(cpu);
    UNUSED(spa);
    sim_unreachable();
}

cpu_rc svm_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size, bool *done)
{
    UNUSED(cpu);
    UNUSED(spa);
    UNUSED(lin);
    UNUSED(access);
    UNUSED(value);
    UNUSED(size);
    UNUSED(done);
    sim_unreachable();
}

u64 svm_tsc(const struct cpu *cpu, u64 tsc)
{
    UNUSED(cpu);
    return tsc;
}

void svm_reset(struct cpu *cpu)
{
    cpu->arch.svm = (struct svm_arch){.gif = true};
}

void svm_state(struct cpu *cpu, struct state_io *io)
{
    state_bool(io, "svm.gif", &cpu->arch.svm.gif);
}
