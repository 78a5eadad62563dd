/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hands each hook of guest mode to the vendor's half. */
#include "cpu/virt.h"

#include "base/assert.h"
#include "cpu/svm/svm.h"
#include "cpu/vmx/vmx.h"
#include "trace/events.h"

#include <string.h>

static bool is_vmx(const struct cpu *cpu)
{
    return cpu->arch.guest == GUEST_VMX;
}

cpu_rc virt_insn(struct cpu *cpu, const struct insn *in)
{
    return is_vmx(cpu) ? vmx_insn(cpu, in) : svm_insn(cpu, in);
}

cpu_rc virt_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value,
               bool *done)
{
    return is_vmx(cpu) ? vmx_cr(cpu, in, kind, cr, value, done) : svm_cr(cpu, in, kind, cr, value, done);
}

cpu_rc virt_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write)
{
    return is_vmx(cpu) ? vmx_dr(cpu, in, dr, write) : svm_dr(cpu, in, dr, write);
}

cpu_rc virt_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    return is_vmx(cpu) ? vmx_msr(cpu, index, write, value, done)
                       : svm_msr(cpu, index, write, value, done);
}

cpu_rc virt_io(struct cpu *cpu, const struct io_access *io)
{
    return is_vmx(cpu) ? vmx_io(cpu, io) : svm_io(cpu, io);
}

cpu_rc virt_task_switch(struct cpu *cpu, u16 selector, enum task_source source, bool has_error, u32 error)
{
    return is_vmx(cpu) ? vmx_task_switch(cpu, selector, source)
                       : svm_task_switch(cpu, selector, source, has_error, error);
}

cpu_rc virt_event(struct cpu *cpu, const struct event *ev)
{
    return is_vmx(cpu) ? vmx_event(cpu, ev) : svm_event(cpu, ev);
}

cpu_rc virt_second_event(struct cpu *cpu, const struct event *ev)
{
    return is_vmx(cpu) ? vmx_event(cpu, ev) : svm_second_event(cpu, ev);
}

bool virt_before_traps(struct cpu *cpu)
{
    return is_vmx(cpu) ? vmx_before_traps(cpu) : svm_before_traps(cpu);
}

void virt_after_insn(struct cpu *cpu)
{
    if (is_vmx(cpu)) {
        vmx_after_insn(cpu);
    }
}

bool virt_steps(const struct cpu *cpu)
{
    return is_vmx(cpu) && vmx_steps(cpu);
}

bool virt_blocks_init(const struct cpu *cpu)
{
    return cpu->arch.vmx.on && !is_vmx(cpu);
}

bool virt_redirects_init(const struct cpu *cpu)
{
    return svm_redirects_init(cpu);
}

cpu_rc virt_ferr(struct cpu *cpu)
{
    return is_vmx(cpu) ? CPU_OK : svm_ferr(cpu);
}

bool virt_iret_unblocks(const struct cpu *cpu)
{
    return !is_vmx(cpu) || vmx_iret_unblocks(cpu);
}

void virt_walk_log(struct cpu *cpu, struct walk_root *root)
{
    if (is_vmx(cpu)) {
        vmx_walk_log(cpu, root);
    }
}

void virt_log_dirty(struct cpu *cpu, const struct walk_result *res)
{
    if (is_vmx(cpu)) {
        vmx_log_dirty(cpu, res);
    }
}

cpu_rc virt_read_physical(struct cpu *cpu, u64 gpa, unsigned size, u64 *value)
{
    if (is_vmx(cpu)) {
        return vmx_read_physical(cpu, gpa, size, value);
    }
    *value = phys_read_scalar(cpu->phys, SPA(gpa), size);
    return CPU_OK;
}

bool virt_cr_allowed(const struct cpu *cpu, unsigned cr, u64 value)
{
    return !cpu->arch.vmx.on || vmx_cr_allowed(cpu, cr, value);
}

void virt_init(struct cpu *cpu)
{
    vmx_init(cpu);
}

bool virt_interrupt(struct cpu *cpu)
{
    return !is_vmx(cpu) && svm_interrupt(cpu);
}

bool virt_interrupts_open(const struct cpu *cpu)
{
    return cpu->arch.guest == GUEST_SVM ? svm_interrupts_open(cpu) : (cpu->arch.rflags & RFLAGS_IF) != 0;
}

bool virt_nmi_open(const struct cpu *cpu)
{
    return cpu->arch.guest != GUEST_SVM || svm_nmi_open(cpu);
}

void virt_delivery_begins(struct cpu *cpu, const struct event *ev)
{
    if (is_vmx(cpu)) {
        vmx_delivery_begins(cpu, ev);
    } else {
        svm_delivery_begins(cpu, ev);
    }
}

void virt_delivery_done(struct cpu *cpu)
{
    if (is_vmx(cpu)) {
        vmx_delivery_done(cpu);
    } else {
        svm_delivery_done(cpu);
    }
}

bool virt_pending(struct cpu *cpu)
{
    return is_vmx(cpu) ? vmx_pending(cpu) : svm_pending(cpu);
}

bool virt_hw_event(struct cpu *cpu, enum hw_event what)
{
    if (cpu->arch.guest == GUEST_SVM) {
        return svm_hw_event(cpu, what);
    }
    return is_vmx(cpu) && vmx_hw_event(cpu, what);
}

bool virt_gif(const struct cpu *cpu)
{
    return cpu->arch.svm.gif;
}

void virt_exit(struct cpu *cpu)
{
    if (UNLIKELY(cpu->set->observer.leaving != NULL)) {
        cpu->set->observer.leaving(cpu->set->observer.self, cpu);
    }
    cpu_tell_moment(cpu, CPU_MOMENT_VM_EXIT, cpu->exit.reason);
    if (is_vmx(cpu)) {
        vmx_exit(cpu);
    } else {
        svm_exit(cpu);
    }
}

bool virt_walks_pdptes(const struct cpu *cpu)
{
    return cpu->arch.guest == GUEST_SVM && svm_walks_pdptes(cpu);
}

void virt_walk_root(const struct cpu *cpu, struct walk_root *root)
{
    if (is_vmx(cpu)) {
        vmx_walk_root(cpu, root);
    } else {
        svm_walk_root(cpu, root);
    }
}

cpu_rc virt_nested_fault(struct cpu *cpu, u64 lin, unsigned access, const struct walk_result *res)
{
    const char *why = res->why != NULL ? res->why : "";
    bool vmx = is_vmx(cpu);
    cpu_rc rc = vmx ? vmx_nested_fault(cpu, lin, access, res) : svm_nested_fault(cpu, lin, access, res);
    enum trace_nested_fault kind = !vmx                              ? TRACE_NESTED_NPT
                                   : res->log_full                   ? TRACE_NESTED_LOG_FULL
                                   : res->misconfigured              ? TRACE_NESTED_EPT_MISCONFIG
                                   : cpu->event.kind != EVENT_VMEXIT ? TRACE_NESTED_VE
                                                                     : TRACE_NESTED_EPT_VIOLATION;
    trace_nested_fault(cpu->trace, cpu->index, kind, access, res->gpa.v, lin,
                       vmx ? cpu->arch.vmx.current : cpu->arch.svm.vmcb, why, (u32)strlen(why));
    return rc;
}

u64 virt_apic_page(const struct cpu *cpu, u64 *bar)
{
    *bar = 0;
    return is_vmx(cpu) ? vmx_apic_page(cpu) : svm_apic_page(cpu, bar);
}

void virt_place_apic(const struct cpu *cpu, struct walk_result *res)
{
    if (!is_vmx(cpu)) {
        svm_place_apic(cpu, res);
    }
}

bool virt_is_apic_page(const struct cpu *cpu, spa_t spa)
{
    return is_vmx(cpu) ? vmx_is_apic_page(cpu, spa) : svm_is_apic_page(cpu, spa);
}

cpu_rc virt_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size,
                        bool *done)
{
    return is_vmx(cpu) ? vmx_apic_access(cpu, spa, lin, access, value, size, done)
                       : svm_apic_access(cpu, spa, lin, access, value, size, done);
}

u64 virt_tsc(const struct cpu *cpu, u64 tsc)
{
    return is_vmx(cpu) ? vmx_tsc(cpu, tsc) : svm_tsc(cpu, tsc);
}

void virt_reset(struct cpu *cpu)
{
    cpu->arch.guest = GUEST_NONE;
    vmx_reset(cpu);
    svm_reset(cpu);
}

void virt_state(struct cpu *cpu, struct state_io *io)
{
    state_enum(io, "guest", &cpu->arch.guest);
    vmx_state(cpu, io);
    svm_state(cpu, io);
}
