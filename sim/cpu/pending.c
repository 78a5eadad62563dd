/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens at an instruction boundary, in the order of [SDM3 "Priority Among Concurrent Events"]:
 * SMI and INIT, debug traps of the instruction before, NMI, external interrupts. Waiting states (HLT,
 * MWAIT, wait-for-SIPI, shutdown) decide which of these count.
 *
 * Chosen where the manuals leave it open: an SMI waits for the end of an interrupt shadow (the save
 * map has no place for one); the STI shadow does not hold NMIs, the MOV SS shadow does. */
#include "cpu/apic.h"
#include "cpu/event.h"
#include "cpu/exec/exec_system.h"
#include "cpu/segment.h"
#include "cpu/virt.h"
#include "trace/events.h"

#include <inttypes.h>

static void wake(struct cpu *cpu)
{
    if (cpu->arch.activity == ACTIVITY_MWAIT) {
        cpu->arch.monitor_armed = false;
    }
    cpu->arch.activity = ACTIVITY_RUNNING;
}

/* Deliver one event. It charges its own count. */
static bool deliver(struct cpu *cpu, struct event ev)
{
    wake(cpu);
    cpu->event = ev;
    cpu_deliver_event(cpu);
    return true;
}

static bool take_init(struct cpu *cpu)
{
    cpu->arch.init_pending = false;
    if (virt_redirects_init(cpu)) {
        return deliver(cpu, (struct event){.kind = EVENT_EXCEPTION,
                                           .vector = VEC_SX,
                                           .has_error = true,
                                           .error = 1,
                                           .why = "INIT redirected by VM_CR.R_INIT"});
    }
    log_line(cpu->log, LOG_CPU, "cpu%u INIT", cpu->index);
    trace_cpu_change(cpu->trace, cpu->index, TRACE_CPU_INIT, cpu->arch.rip);
    cpu_reset(cpu, CPU_RESET_INIT);
    cpu->d.left -= 1;
    cpu_kick(cpu);
    return true;
}

/* [SDM3 "MP Initialization Protocol"]: start at vector * 4 KiB in real mode. */
static bool take_sipi(struct cpu *cpu)
{
    cpu->arch.sipi_pending = false;
    log_line(cpu->log, LOG_CPU, "cpu%u SIPI vector %02x", cpu->index, cpu->arch.sipi_vector);
    trace_cpu_change(cpu->trace, cpu->index, TRACE_CPU_SIPI, (u64)cpu->arch.sipi_vector << 12);
    struct segment *cs = &cpu->arch.seg[SEG_CS];
    cs->sel = (u16)(cpu->arch.sipi_vector << 8);
    cs->base = (u64)cpu->arch.sipi_vector << 12;
    cpu->arch.rip = 0;
    cpu->arch.activity = ACTIVITY_RUNNING;
    cpu->d.left -= 1;
    cpu_update_mode(cpu);
    cpu_kick(cpu);
    return true;
}

static bool take_smi(struct cpu *cpu)
{
    cpu->arch.smi_pending = false;
    trace_cpu_change(cpu->trace, cpu->index, TRACE_CPU_SMI, cpu->arch.rip);
    smm_enter(cpu);
    cpu->d.left -= 1;
    cpu_kick(cpu);
    return true;
}

int cpu_ack_interrupt(struct cpu *cpu)
{
    int vector;
    if (cpu->apic == NULL) {
        return -1;
    }
    if (apic_extint_pending(cpu->apic)) {
        vector = cpu->ports.int_ack != NULL ? cpu->ports.int_ack(cpu->ports.self) : -1;
        apic_ack_extint(cpu->apic);
    } else {
        vector = apic_pending(cpu->apic);
        if (vector >= 0) {
            apic_ack(cpu->apic, (u8)vector);
        }
    }
    return vector;
}

static bool take_interrupt(struct cpu *cpu)
{
    int vector = cpu_ack_interrupt(cpu);
    if (vector < 0) {
        return false;
    }
    return deliver(cpu, (struct event){.kind = EVENT_EXT_INT, .vector = (u8)vector});
}

static bool interrupt_waits(struct cpu *cpu)
{
    return cpu->apic != NULL && (apic_extint_pending(cpu->apic) || apic_pending(cpu->apic) >= 0);
}

/* Events that no shadow and no flag masks. */
static bool check_hardware(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    if (!virt_gif(cpu)) {
        return false;
    }
    if (a->activity == ACTIVITY_WAIT_SIPI) {
        if (a->sipi_pending && in_guest(cpu) && virt_hw_event(cpu, HW_SIPI)) {
            return true;
        }
        if (a->init_pending) {
            if (in_guest(cpu)) {
                return false; /* blocked in this state of a guest */
            }
            return take_init(cpu);
        }
        return a->sipi_pending ? take_sipi(cpu) : false;
    }
    if (!a->init_pending) {
        /* A start-up IPI is not remembered [SDM3 "Interprocessor Interrupts"]. */
        a->sipi_pending = false;
    }
    if (a->smi_pending && !a->in_smm && !shadow_is_on(cpu)) {
        if (in_guest(cpu) && virt_hw_event(cpu, HW_SMI)) {
            return true;
        }
        return take_smi(cpu);
    }
    if (a->init_pending && !a->in_smm && !virt_blocks_init(cpu)) {
        if (virt_hw_event(cpu, HW_INIT)) {
            return true;
        }
        return take_init(cpu);
    }
    return false;
}

static bool check_debug_traps(struct cpu *cpu)
{
    u64 bits = cpu->arch.pending_db;
    if (bits == 0 || cpu->arch.int_shadow_movss || cpu->arch.activity == ACTIVITY_SHUTDOWN) {
        return false;
    }
    cpu->arch.pending_db = 0;
    return deliver(cpu, (struct event){.kind = EVENT_EXCEPTION,
                                       .vector = VEC_DB,
                                       .dr6 = bits,
                                       .is_trap = true,
                                       .why = "debug trap"});
}

static bool check_interrupts(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    if (in_guest(cpu) && virt_pending(cpu)) {
        return true;
    }
    if (!virt_gif(cpu)) {
        return false;
    }
    if (a->nmi_pending && in_guest(cpu) && virt_hw_event(cpu, HW_NMI)) {
        return true;
    }
    if (a->nmi_pending && !a->nmi_blocked && !a->int_shadow_movss && virt_nmi_open(cpu)) {
        a->nmi_pending = false;
        a->nmi_blocked = true;
        return deliver(cpu, (struct event){.kind = EVENT_NMI, .vector = VEC_NMI});
    }
    if (a->activity == ACTIVITY_SHUTDOWN || shadow_is_on(cpu)) {
        return false;
    }
    if (in_guest(cpu) && interrupt_waits(cpu) && virt_hw_event(cpu, HW_EXT_INT)) {
        return true;
    }
    if (virt_interrupts_open(cpu) && take_interrupt(cpu)) {
        return true;
    }
    if (in_guest(cpu) && virt_interrupt(cpu)) {
        return true;
    }
    if (a->activity == ACTIVITY_MWAIT && a->mwait_irq_wakes && interrupt_waits(cpu)) {
        wake(cpu);
        cpu->d.left -= 1;
        return true;
    }
    return false;
}

bool cpu_check_pending(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    cpu->d.pending = true;
    if (check_hardware(cpu)) {
        return true;
    }
    if (a->activity == ACTIVITY_WAIT_SIPI) {
        cpu->d.pending = false;
        cpu->d.masked = true;
        return false;
    }
    if (in_guest(cpu) && virt_before_traps(cpu)) {
        return true;
    }
    if (check_debug_traps(cpu) || check_interrupts(cpu)) {
        return true;
    }
    if (a->activity == ACTIVITY_MWAIT && a->monitor_hit) {
        wake(cpu);
        cpu->d.left -= 1;
        return true;
    }
    /* A shadow ends after one instruction: look again then. Whatever else lifts a mask (IF, NMI
     * unblocking, RSM, TPR) kicks. */
    cpu->d.pending = shadow_is_on(cpu);
    cpu->d.masked = in_guest(cpu) || !virt_gif(cpu) || a->nmi_pending || a->smi_pending || a->init_pending ||
                    a->pending_db != 0 || interrupt_waits(cpu);
    return false;
}
