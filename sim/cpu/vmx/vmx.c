/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMX: state. Where what is: vmx_priv.h. SMM's dual-monitor treatment is absent (IA32_VMX_BASIC bit 49 is
 * 0). */
#include "cpu/vmx/vmx_priv.h"

void vmx_reset(struct cpu *cpu)
{
    cpu->arch.vmx = (struct vmx_arch){.current = VMX_NO_VMCS};
    cpu->d.vmcs_host = NULL;
    if (cpu->vmx_timer.clock != NULL) {
        timer_cancel(&cpu->vmx_timer);
    }
}

static void state_controls(struct vmx_controls *c, struct state_io *io)
{
    state_u32(io, "vmx.pin", &c->pin);
    state_u32(io, "vmx.proc", &c->proc);
    state_u32(io, "vmx.proc2", &c->proc2);
    state_u32(io, "vmx.exit", &c->exit);
    state_u32(io, "vmx.entry", &c->entry);
    state_u32(io, "vmx.exception_bitmap", &c->exception_bitmap);
    state_u32(io, "vmx.pf_mask", &c->pf_mask);
    state_u32(io, "vmx.pf_match", &c->pf_match);
    state_u64(io, "vmx.proc3", &c->proc3);
    state_u64(io, "vmx.cr0_mask", &c->cr0_mask);
    state_u64(io, "vmx.cr4_mask", &c->cr4_mask);
    state_u64(io, "vmx.cr0_shadow", &c->cr0_shadow);
    state_u64(io, "vmx.cr4_shadow", &c->cr4_shadow);
    state_u64(io, "vmx.eptp", &c->eptp);
    state_u64(io, "vmx.spp_table", &c->spp_table);
    state_u64(io, "vmx.apic_access", &c->apic_access);
    state_u64(io, "vmx.virtual_apic", &c->virtual_apic);
    state_u64(io, "vmx.msr_bitmaps", &c->msr_bitmaps);
    state_u64(io, "vmx.tsc_offset", &c->tsc_offset);
    state_u64(io, "vmx.tsc_multiplier", &c->tsc_multiplier);
    state_u32(io, "vmx.tpr_threshold", &c->tpr_threshold);
    state_u32(io, "vmx.ple_gap", &c->ple_gap);
    state_u32(io, "vmx.ple_window", &c->ple_window);
}

void vmx_state(struct cpu *cpu, struct state_io *io)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    state_bool(io, "vmx.on", &v->on);
    state_u64(io, "vmx.vmxon", &v->vmxon);
    state_u64(io, "vmx.current", &v->current);
    state_controls(&v->c, io);
    state_bool(io, "vmx.mtf_pending", &v->mtf_pending);
    state_bool(io, "vmx.tpr_below", &v->tpr_below);
    state_bool(io, "vmx.apic_write", &v->apic_write);
    state_bool(io, "vmx.eoi_exit", &v->eoi_exit);
    state_u16(io, "vmx.apic_offset", &v->apic_offset);
    state_u8(io, "vmx.eoi_vector", &v->eoi_vector);
    state_u8(io, "vmx.rvi", &v->rvi);
    state_u8(io, "vmx.svi", &v->svi);
    state_bool(io, "vmx.injecting", &v->injecting);
    state_bool(io, "vmx.delivering", &v->delivering);
    state_u32(io, "vmx.vectoring_info", &v->vectoring_info);
    state_u32(io, "vmx.vectoring_error", &v->vectoring_error);
    state_u32(io, "vmx.vectoring_length", &v->vectoring_length);
    state_bool(io, "vmx.timer_on", &v->timer_on);
    state_u64(io, "vmx.timer_deadline", &v->timer_deadline);
    state_u64(io, "vmx.ple_first", &v->ple_first);
    state_u64(io, "vmx.ple_last", &v->ple_last);
    if (cpu->vmx_timer.clock != NULL) {
        timer_state(&cpu->vmx_timer, io, "vmx.timer");
    }
    if (state_is_load(io)) {
        cpu->d.vmcs_host = NULL;
    }
}
