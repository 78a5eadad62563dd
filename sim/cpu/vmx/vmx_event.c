/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events of the guest that may exit: exceptions, hardware events, windows, the preemption timer, the monitor
 * trap flag. [SDM3 "Other Causes of VM Exits"], [SDM3 "Monitor Trap Flag"], [SDM3 "VMX-Preemption Timer"] */
#include "cpu/apic.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/model.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

#define TIMER_RATE 3u /* as IA32_VMX_MISC says */

/* ---- Exceptions ---- */

static u32 type_of(const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_EXCEPTION: return INTR_HARD_EXCEPTION;
    case EVENT_SOFT_INT: return INTR_SOFT_INT;
    case EVENT_INT3: return INTR_SOFT_EXCEPTION;
    case EVENT_ICEBP: return INTR_PRIV_SOFT_EXCEPTION;
    case EVENT_NMI: return INTR_NMI;
    case EVENT_EXT_INT:
    case EVENT_NONE:
    case EVENT_SHUTDOWN:
    case EVENT_VMEXIT: break;
    }
    return INTR_EXTERNAL;
}

static u32 info_of(const struct event *ev)
{
    return INTR_VALID | type_of(ev) << INTR_TYPE_SHIFT | ev->vector | (ev->has_error ? INTR_ERROR_CODE : 0u);
}

/* [SDM3 "Exception Bitmap"]: page faults also by their error code. */
static bool bitmap_takes(const struct vmx_controls *c, const struct event *ev)
{
    bool bit = ((c->exception_bitmap >> (ev->vector & 31)) & 1) != 0;
    if (ev->vector == VEC_PF && ev->kind == EVENT_EXCEPTION) {
        return bit == ((ev->error & c->pf_mask) == c->pf_match);
    }
    return bit;
}

bool vmx_nmi_unblocked(struct cpu *cpu)
{
    const struct vmx_arch *v = &cpu->arch.vmx;
    return cpu->d.iret_unblocked && cpu->d.iret_rip == cpu->arch.rip && !v->delivering;
}

cpu_rc vmx_event(struct cpu *cpu, const struct event *ev)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if (v->injecting) {
        return CPU_OK; /* the VM entry's own event is not intercepted */
    }
    if (ev->kind == EVENT_SHUTDOWN) {
        v->delivering = false;
        return vmx_exit_because(cpu, EXIT_TRIPLE_FAULT, 0, "exception while delivering a double fault");
    }
    bool exception = ev->kind == EVENT_EXCEPTION || ev->kind == EVENT_INT3 || ev->kind == EVENT_ICEBP;
    if (!exception || !bitmap_takes(&v->c, ev)) {
        return CPU_OK;
    }
    if (ev->kind == EVENT_EXCEPTION && ev->vector == VEC_DF) {
        v->delivering = false; /* the double fault is the event itself */
    }
    u64 q = 0;
    if (ev->vector == VEC_PF) {
        q = ev->cr2;
    } else if (ev->vector == VEC_DB && ev->kind == EVENT_EXCEPTION) {
        q = ev->dr6 & (0xf | DR6_BD | DR6_BS);
    }
    cpu_rc rc = vmx_exit_because(cpu, EXIT_EXCEPTION_NMI, q, "exception bitmap");
    cpu->exit.int_info = info_of(ev);
    if (ev->kind == EVENT_EXCEPTION && ev->vector != VEC_DF && vmx_nmi_unblocked(cpu)) {
        cpu->exit.int_info |= INTR_NMI_UNBLOCKED;
    }
    cpu->exit.int_error = ev->error;
    cpu->exit.insn_len = ev->insn_len;
    return rc;
}

void vmx_delivery_begins(struct cpu *cpu, const struct event *ev)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    v->injecting = false;
    v->delivering = true;
    v->vectoring_info = info_of(ev);
    v->vectoring_error = ev->error;
    v->vectoring_length = ev->insn_len;
}

void vmx_delivery_done(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    v->delivering = false;
    if ((v->c.proc & PROC_MTF) != 0) {
        v->mtf_pending = true;
        cpu_kick(cpu);
    }
}

void vmx_after_insn(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if ((v->c.proc & PROC_MTF) != 0) {
        v->mtf_pending = true;
        cpu_kick(cpu);
    }
}

bool vmx_steps(const struct cpu *cpu)
{
    return (cpu->arch.vmx.c.proc & PROC_MTF) != 0;
}

/* [SDM3 "Changes to Instruction Behavior in VMX Non-Root Operation"], IRET. */
bool vmx_iret_unblocks(const struct cpu *cpu)
{
    return (cpu->arch.vmx.c.pin & (PIN_NMI | PIN_VIRTUAL_NMI)) != PIN_NMI;
}

/* ---- Preemption timer ---- */

static u64 timer_now(const struct cpu *cpu)
{
    return (clock_tsc(cpu->clock) + cpu->arch.tsc_offset) >> TIMER_RATE;
}

static void timer_fired(void *self)
{
    struct cpu *cpu = self;
    cpu_kick(cpu);
}

void vmx_timer_start(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    v->timer_on = (v->c.pin & PIN_PREEMPTION_TIMER) != 0;
    if (!v->timer_on) {
        return;
    }
    v->timer_deadline = timer_now(cpu) + vmcs_read32(cpu, VMCS_PREEMPTION_TIMER);
    u64 tsc = (v->timer_deadline << TIMER_RATE) - cpu->arch.tsc_offset;
    timer_arm(&cpu->vmx_timer, clock_time_of_tsc(cpu->clock, tsc));
}

u32 vmx_timer_left(const struct cpu *cpu)
{
    u64 now = timer_now(cpu);
    u64 deadline = cpu->arch.vmx.timer_deadline;
    return now >= deadline ? 0 : (u32)(deadline - now);
}

void vmx_timer_stop(struct cpu *cpu)
{
    cpu->arch.vmx.timer_on = false;
    timer_cancel(&cpu->vmx_timer);
}

void vmx_init(struct cpu *cpu)
{
    if (cpu_has(cpu, CPU_FEATURE_VMX)) {
        timer_init(&cpu->vmx_timer, cpu->clock, "vmx-preemption", timer_fired, cpu);
        vmcs_init(cpu);
    }
}

/* ---- Boundaries ---- */

bool vmx_before_traps(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if (v->apic_write) {
        vmx_exit_now(cpu, EXIT_APIC_WRITE, v->apic_offset, "write to the virtual-APIC page");
        return true;
    }
    if (v->eoi_exit) {
        vmx_exit_now(cpu, EXIT_VIRTUALIZED_EOI, v->eoi_vector, "EOI-exit bitmap");
        return true;
    }
    if (v->tpr_below) {
        vmx_exit_now(cpu, EXIT_TPR_BELOW_THRESHOLD, 0, "VTPR below the TPR threshold");
        return true;
    }
    if (v->mtf_pending && cpu->arch.activity != ACTIVITY_SHUTDOWN) {
        vmx_exit_now(cpu, EXIT_MTF, 0, "monitor trap flag");
        return true;
    }
    return false;
}

bool vmx_pending(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    const struct vmx_controls *c = &a->vmx.c;
    if (a->vmx.timer_on && vmx_timer_left(cpu) == 0) {
        vmx_exit_now(cpu, EXIT_PREEMPTION_TIMER, 0, "VMX-preemption timer reached 0");
        return true;
    }
    bool held = a->int_shadow_movss || a->int_shadow_sti;
    if ((c->proc & PROC_NMI_WINDOW) != 0 && !a->nmi_blocked && !held) {
        vmx_exit_now(cpu, EXIT_NMI_WINDOW, 0, "NMI-window exiting and no virtual-NMI blocking");
        return true;
    }
    bool open = (a->rflags & RFLAGS_IF) != 0 && !held && a->activity != ACTIVITY_SHUTDOWN;
    if ((c->proc & PROC_INT_WINDOW) != 0 && open && !a->nmi_pending) {
        vmx_exit_now(cpu, EXIT_INTERRUPT_WINDOW, 0, "interrupt-window exiting and IF = 1");
        return true;
    }
    if (open && (c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0 && (c->proc & PROC_INT_WINDOW) == 0 &&
        !(a->nmi_pending && !a->nmi_blocked)) {
        return vmx_virtual_interrupt(cpu);
    }
    return false;
}

static bool external_interrupt(struct cpu *cpu)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->pin & PIN_EXT_INT) == 0) {
        return false;
    }
    if ((c->exit & EXITC_ACK_INT) == 0) {
        vmx_exit_now(cpu, EXIT_EXTERNAL_INTERRUPT, 0, "external-interrupt exiting");
        return true;
    }
    int vector = cpu_ack_interrupt(cpu);
    if (vector < 0) {
        return false;
    }
    if (vmx_posted_notification(cpu, (u8)vector)) {
        return true;
    }
    vmx_exit_prepare(cpu, EXIT_EXTERNAL_INTERRUPT, 0, "external-interrupt exiting");
    cpu->exit.int_info = INTR_VALID | INTR_EXTERNAL << INTR_TYPE_SHIFT | (u32)vector;
    cpu->d.left -= 1;
    vmx_exit(cpu);
    return true;
}

static bool nmi(struct cpu *cpu)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    bool blocked = cpu->arch.nmi_blocked && (c->pin & PIN_VIRTUAL_NMI) == 0;
    if ((c->pin & PIN_NMI) == 0 || blocked || cpu->arch.int_shadow_movss) {
        return false;
    }
    cpu->arch.nmi_pending = false;
    vmx_exit_prepare(cpu, EXIT_EXCEPTION_NMI, 0, "NMI exiting");
    cpu->exit.int_info = INTR_VALID | INTR_NMI << INTR_TYPE_SHIFT | VEC_NMI;
    cpu->d.left -= 1;
    vmx_exit(cpu);
    return true;
}

bool vmx_hw_event(struct cpu *cpu, enum hw_event what)
{
    switch (what) {
    case HW_SMI:
        return false; /* default treatment: SMM is entered and left behind VMX's back */
    case HW_INIT:
        cpu->arch.init_pending = false;
        vmx_exit_now(cpu, EXIT_INIT, 0, "INIT in VMX non-root operation");
        return true;
    case HW_SIPI: {
        u8 vector = cpu->arch.sipi_vector;
        cpu->arch.sipi_pending = false;
        vmx_exit_now(cpu, EXIT_SIPI, vector, "SIPI in the wait-for-SIPI state");
        return true;
    }
    case HW_NMI:
        return nmi(cpu);
    case HW_EXT_INT:
        return external_interrupt(cpu);
    }
    return false;
}
