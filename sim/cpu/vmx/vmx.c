/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guest mode of VMX cannot be entered yet: no model offers it, and these hooks are never reached. */
#include "cpu/vmx/vmx.h"

#include "base/assert.h"

cpu_rc vmx_insn(struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    UNUSED(in);
    sim_unreachable();
}

cpu_rc vmx_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value, bool *done)
{
    UNUSED(cpu);
    UNUSED(in);
    UNUSED(kind);
    UNUSED(cr);
    UNUSED(value);
    UNUSED(done);
    sim_unreachable();
}

cpu_rc vmx_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write)
{
    UNUSED(cpu);
    UNUSED(in);
    UNUSED(dr);
    UNUSED(write);
    sim_unreachable();
}

cpu_rc vmx_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    UNUSED(cpu);
    UNUSED(index);
    UNUSED(write);
    UNUSED(value);
    UNUSED(done);
    sim_unreachable();
}

cpu_rc vmx_io(struct cpu *cpu, const struct io_access *io)
{
    UNUSED(cpu);
    UNUSED(io);
    sim_unreachable();
}

cpu_rc vmx_task_switch(struct cpu *cpu, u16 selector, enum task_source source)
{
    UNUSED(cpu);
    UNUSED(selector);
    UNUSED(source);
    sim_unreachable();
}

cpu_rc vmx_event(struct cpu *cpu, const struct event *ev)
{
    UNUSED(cpu);
    UNUSED(ev);
    sim_unreachable();
}

void vmx_delivery_begins(struct cpu *cpu, const struct event *ev)
{
    UNUSED(cpu);
    UNUSED(ev);
    sim_unreachable();
}

void vmx_delivery_done(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

bool vmx_pending(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

bool vmx_hw_event(struct cpu *cpu, enum hw_event what)
{
    UNUSED(cpu);
    UNUSED(what);
    return false;
}

void vmx_exit(struct cpu *cpu)
{
    UNUSED(cpu);
    sim_unreachable();
}

void vmx_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    UNUSED(cpu);
    UNUSED(root);
    sim_unreachable();
}

cpu_rc vmx_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res)
{
    UNUSED(cpu);
    UNUSED(lin);
    UNUSED(access);
    UNUSED(res);
    sim_unreachable();
}

bool vmx_is_apic_page(const struct cpu *cpu, spa_t spa)
{
    UNUSED(cpu);
    UNUSED(spa);
    sim_unreachable();
}

cpu_rc vmx_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size, bool *done)
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

u64 vmx_tsc(const struct cpu *cpu, u64 tsc)
{
    UNUSED(cpu);
    return tsc;
}

void vmx_reset(struct cpu *cpu)
{
    cpu->arch.vmx = (struct vmx_arch){0};
}

void vmx_state(struct cpu *cpu, struct state_io *io)
{
    state_bool(io, "vmx.on", &cpu->arch.vmx.on);
}
