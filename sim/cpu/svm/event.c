/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exceptions and interrupts of a guest. [APM2 "Exception Intercepts"], [APM2 "Interrupt Intercepts"],
 * [APM2 "Virtual Interrupts"] */
#include "cpu/exec/exec_system.h"
#include "cpu/svm/svm_priv.h"

/* Type field of EVENTINJ and EXITINTINFO. */
static u32 type_of(const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_EXT_INT: return SVM_EVENT_INTR;
    case EVENT_NMI: return SVM_EVENT_NMI;
    case EVENT_SOFT_INT: return SVM_EVENT_SOFT_INT;
    case EVENT_EXCEPTION:
    case EVENT_INT3:
    case EVENT_ICEBP:
    case EVENT_NONE:
    case EVENT_SHUTDOWN:
    case EVENT_VMEXIT: break;
    }
    return SVM_EVENT_EXCEPTION;
}

/* Intercepts of exceptions are tested when they are raised, before they become a double fault and before
 * CR2 is written; a #DB has changed DR6 and DR7 by then. */
cpu_rc svm_event(struct cpu *cpu, const struct event *ev)
{
    struct cpu_arch *a = &cpu->arch;
    if (a->svm.injecting) {
        a->svm.injecting = false;
        return CPU_OK;
    }
    if (ev->kind == EVENT_SHUTDOWN) {
        if (svm_intercepts(cpu, SVM_EXIT_SHUTDOWN)) {
            a->svm.delivering = false;
            return svm_raise_exit(cpu, SVM_EXIT_SHUTDOWN, 0, 0, 0, "shutdown intercept");
        }
        return CPU_OK;
    }
    if (type_of(ev) != SVM_EVENT_EXCEPTION || !svm_intercepts(cpu, SVM_EXIT_EXCP0 + (u64)ev->vector)) {
        return CPU_OK;
    }
    bool debug = ev->vector == VEC_DB && ev->kind == EVENT_EXCEPTION;
    if (debug) {
        a->dr6 = (a->dr6 & ~(u64)0xf) | ev->dr6;
        a->dr7 &= ~(u64)DR7_GD;
    }
    u64 info2 = ev->vector == VEC_PF && ev->kind == EVENT_EXCEPTION ? ev->cr2 : 0;
    return svm_raise_exit(cpu, SVM_EXIT_EXCP0 + (u64)ev->vector, ev->has_error ? ev->error : 0, info2,
                          ev->insn_len, ev->why != NULL ? ev->why : "exception intercept");
}

cpu_rc svm_second_event(struct cpu *cpu, const struct event *ev)
{
    return svm_event(cpu, ev);
}

void svm_delivery_begins(struct cpu *cpu, const struct event *ev)
{
    struct svm_arch *s = &cpu->arch.svm;
    s->delivering = true;
    s->int_info = SVM_EVENT_V | type_of(ev) << SVM_EVENT_TYPE_SHIFT | ev->vector |
                  (ev->has_error ? SVM_EVENT_EV : 0u);
    s->int_error = ev->has_error ? ev->error : 0;
}

void svm_delivery_done(struct cpu *cpu)
{
    cpu->arch.svm.delivering = false;
}

/* ---- At an instruction boundary ---- */

static void take(struct cpu *cpu, enum event_kind kind, u8 vector)
{
    cpu->arch.activity = ACTIVITY_RUNNING;
    cpu->event = (struct event){.kind = kind, .vector = vector};
    cpu_deliver_event(cpu);
}

/* With a virtual GIF of 0 no virtual interrupt is taken. */
static bool virtual_gif(const struct cpu *cpu)
{
    u64 int_ctl = cpu->arch.svm.ctl.int_ctl;
    return (int_ctl & V_GIF_ENABLE) == 0 || (int_ctl & V_GIF) != 0;
}

/* Virtual NMIs; the rest waits until after physical interrupts. */
bool svm_pending(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    struct svm_arch *s = &a->svm;
    if ((s->ctl.int_ctl & V_NMI_ENABLE) == 0 || (s->ctl.int_ctl & V_NMI) == 0 || a->nmi_blocked ||
        !virtual_gif(cpu) || shadow_is_on(cpu)) {
        return false;
    }
    s->ctl.int_ctl &= ~(u64)V_NMI;
    a->nmi_blocked = true;
    take(cpu, EVENT_NMI, VEC_NMI);
    return true;
}

static bool avic_interrupt(struct cpu *cpu)
{
    int vector = (cpu->arch.rflags & RFLAGS_IF) != 0 && virtual_gif(cpu) ? svm_avic_pending(cpu) : -1;
    if (vector < 0) {
        return false;
    }
    if (svm_intercepts(cpu, SVM_EXIT_VINTR)) {
        svm_exit_now(cpu, SVM_EXIT_VINTR, "AVIC: virtual interrupt about to be taken");
        return true;
    }
    svm_avic_ack(cpu, (u8)vector);
    take(cpu, EVENT_EXT_INT, (u8)vector);
    return true;
}

/* [APM2 "Virtual Interrupts"]: V_IRQ against IF, V_TPR, the shadow and the virtual GIF. */
bool svm_interrupt(struct cpu *cpu)
{
    struct svm_arch *s = &cpu->arch.svm;
    u64 c = s->ctl.int_ctl;
    if (svm_avic_on(cpu)) {
        return avic_interrupt(cpu);
    }
    if ((c & V_IRQ) == 0 || (cpu->arch.rflags & RFLAGS_IF) == 0 || !virtual_gif(cpu)) {
        return false;
    }
    u64 priority = (c & V_INTR_PRIO) >> V_INTR_PRIO_SHIFT;
    if ((c & V_IGN_TPR) == 0 && priority <= (c & 0xf)) {
        return false;
    }
    if (svm_intercepts(cpu, SVM_EXIT_VINTR)) {
        svm_exit_now(cpu, SVM_EXIT_VINTR, "virtual interrupt about to be taken");
        return true;
    }
    s->ctl.int_ctl &= ~(u64)V_IRQ;
    take(cpu, EVENT_EXT_INT, (u8)s->ctl.int_vector);
    return true;
}

bool svm_interrupts_open(const struct cpu *cpu)
{
    const struct svm_arch *s = &cpu->arch.svm;
    return (s->ctl.int_ctl & V_INTR_MASKING) != 0 ? s->host_if : (cpu->arch.rflags & RFLAGS_IF) != 0;
}

/* [APM2 "INIT Support"] */
bool svm_redirects_init(const struct cpu *cpu)
{
    return cpu_has(cpu, CPU_FEATURE_SVM) && (cpu->arch.vm_cr & VM_CR_R_INIT) != 0;
}

/* [APM2 "FERR_FREEZE Intercept"] */
cpu_rc svm_ferr(struct cpu *cpu)
{
    if (!svm_intercepts(cpu, SVM_EXIT_FERR_FREEZE)) {
        return CPU_OK;
    }
    return svm_raise_exit(cpu, SVM_EXIT_FERR_FREEZE, 0, 0, 0, "x87 exception pending with CR0.NE = 0");
}

bool svm_nmi_open(const struct cpu *cpu)
{
    /* With virtual NMIs a physical one is always intercepted; nmi_blocked is the guest's. */
    return (cpu->arch.svm.ctl.int_ctl & V_NMI_ENABLE) == 0;
}

bool svm_hw_event(struct cpu *cpu, enum hw_event what)
{
    const struct svm_arch *s = &cpu->arch.svm;
    bool vnmi = (s->ctl.int_ctl & V_NMI_ENABLE) != 0;
    switch (what) {
    case HW_SMI:
        if (svm_intercepts(cpu, SVM_EXIT_SMI)) {
            svm_exit_now(cpu, SVM_EXIT_SMI, "SMI intercept");
            return true;
        }
        return false;
    case HW_INIT:
        if (svm_intercepts(cpu, SVM_EXIT_INIT)) {
            svm_exit_now(cpu, SVM_EXIT_INIT, "INIT intercept");
            return true;
        }
        return false;
    case HW_NMI:
        if (svm_intercepts(cpu, SVM_EXIT_NMI) && !(vnmi ? s->host_nmi_blocked : cpu->arch.nmi_blocked)) {
            svm_exit_now(cpu, SVM_EXIT_NMI, "NMI intercept");
            return true;
        }
        return false;
    case HW_EXT_INT:
        if (svm_intercepts(cpu, SVM_EXIT_INTR) && svm_interrupts_open(cpu)) {
            svm_exit_now(cpu, SVM_EXIT_INTR, "physical interrupt intercept");
            return true;
        }
        return false;
    case HW_SIPI:
        return false;
    }
    return false;
}
