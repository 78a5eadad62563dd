/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power-up and INIT. [SDM3 "Processor State After Reset"]
 *
 * Not touched by either: rng_state (the machine seeds it). INIT keeps MSRs, SMBASE, the FPU and vector
 * registers, XCR0, PKRU and CR0.CD and NW. */
#include "cpu/apic.h"
#include "cpu/virt.h"
#include "cpu/cpu.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/model.h"
#include "cpu/msr.h"

#include <string.h>

#define DATA_ATTR (SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED)

static void reset_segments(struct cpu_arch *a)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        a->seg[i] = (struct segment){.limit = 0xffff, .attr = DATA_ATTR};
    }
    a->seg[SEG_CS].sel = 0xf000;
    a->seg[SEG_CS].base = 0xffff0000;
    a->ldtr = (struct segment){.limit = 0xffff, .attr = SEG_P | SYS_LDT};
    a->tr = (struct segment){.limit = 0xffff, .attr = SEG_P | SYS_TSS_BUSY};
    a->gdtr = (struct table_reg){.limit = 0xffff};
    a->idtr = (struct table_reg){.limit = 0xffff};
}

/* What both kinds of reset set. */
static void reset_common(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    memset(a->gpr, 0, sizeof a->gpr);
    a->gpr[RDX] = cpuid_lookup(cpu, 1, 0).eax;
    a->rip = 0xfff0;
    cpu_set_rflags(cpu, 0);
    reset_segments(a);
    a->cr2 = a->cr3 = a->cr4 = 0;
    memset(a->pdpte, 0, sizeof a->pdpte);
    memset(a->dr, 0, sizeof a->dr);
    a->dr6 = DR6_FIXED;
    a->dr7 = DR7_FIXED;
    a->efer = 0;
    a->ssp = 0;
    a->nmi_blocked = false;
    a->int_shadow_sti = false;
    a->int_shadow_movss = false;
    a->pending_db = 0;
    a->rep_partial = false;
    a->monitor_armed = false;
    a->monitor_hit = false;
    a->mwait_irq_wakes = false;
    a->in_smm = a->smm_vmx_on = false;
    a->smm_guest = GUEST_NONE;
    a->activity = cpu->index == 0 ? ACTIVITY_RUNNING : ACTIVITY_WAIT_SIPI;
}

static void reset_power(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    a->cr0 = CR0_CD | CR0_NW | CR0_ET;
    memset(&a->mpx, 0, sizeof a->mpx);
    memset(&a->fpu, 0, sizeof a->fpu);
    a->fpu.fcw = 0x40;
    a->fpu.tags = 0xff; /* eight zeros, all valid */
    memset(a->vec, 0, sizeof a->vec);
    a->mxcsr = 0x1f80;
    a->xcr0 = XCR0_X87;
    a->pkru = 0;
    a->smbase = 0x30000;
    a->nmi_pending = false;
    a->smi_pending = false;
    a->init_pending = false;
    a->sipi_pending = false;
    a->sipi_vector = 0;
    a->monitor_spa = 0;
    a->ist_count = 0;
    a->pauses = 0;
    msr_reset(cpu, false);
    if (cpu->clock != NULL) {
        a->tsc_offset = (u64)0 - clock_tsc(cpu->clock);
    }
}

void cpu_reset(struct cpu *cpu, enum cpu_reset_kind kind)
{
    virt_reset(cpu);
    reset_common(cpu);
    if (kind == CPU_RESET_POWER) {
        reset_power(cpu);
    } else {
        cpu->arch.cr0 = (cpu->arch.cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
        msr_reset(cpu, true);
    }
    if (cpu->apic != NULL) {
        apic_reset(cpu->apic, kind == CPU_RESET_INIT);
    }
    cpu->event.kind = EVENT_NONE;
    cpu_update_mode(cpu);
    cpu_kick(cpu);
    log_line(cpu->log, LOG_CPU, "cpu%u reset (%s)", cpu->index,
             kind == CPU_RESET_POWER ? "power" : "INIT");
}
