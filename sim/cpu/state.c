/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The visitor of a processor: every field of struct cpu_arch, then the local APIC and the counters'
 * timer. MSRs with a name of their own are visited by msr_state(). */
#include "cpu/apic.h"
#include "cpu/virt.h"
#include "cpu/cpu.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/pmu.h"

#include <stdio.h>

/* "name.part" as a field name. */
struct field_name {
    char text[32];
};

static struct field_name name_of(const char *name, const char *part)
{
    struct field_name f;
    (void)snprintf(f.text, sizeof f.text, "%s.%s", name, part);
    return f;
}

static void visit_segment(struct state_io *io, const char *name, struct segment *s)
{
    state_u16(io, name_of(name, "sel").text, &s->sel);
    state_u64(io, name_of(name, "base").text, &s->base);
    state_u32(io, name_of(name, "limit").text, &s->limit);
    state_u32(io, name_of(name, "attr").text, &s->attr);
}

static void visit_table(struct state_io *io, const char *name, struct table_reg *t)
{
    state_u64(io, name_of(name, "base").text, &t->base);
    state_u16(io, name_of(name, "limit").text, &t->limit);
}

static void visit_integer(struct cpu_arch *a, struct state_io *io)
{
    static const char *const gpr[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < 16; i++) {
        state_u64(io, gpr[i], &a->gpr[i]);
    }
    state_u64(io, "rip", &a->rip);
    state_u64(io, "rflags", &a->rflags);
    state_u64(io, "cc_res", &a->cc_res);
    state_u64(io, "cc_aux", &a->cc_aux);
}

static void visit_system(struct cpu_arch *a, struct state_io *io)
{
    static const char *const seg[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        visit_segment(io, seg[i], &a->seg[i]);
    }
    visit_segment(io, "ldtr", &a->ldtr);
    visit_segment(io, "tr", &a->tr);
    visit_table(io, "gdtr", &a->gdtr);
    visit_table(io, "idtr", &a->idtr);
    state_u64(io, "cr0", &a->cr0);
    state_u64(io, "cr2", &a->cr2);
    state_u64(io, "cr3", &a->cr3);
    state_u64(io, "cr4", &a->cr4);
    state_u64_array(io, "dr", a->dr, 4);
    state_u64(io, "dr6", &a->dr6);
    state_u64(io, "dr7", &a->dr7);
    state_u64(io, "efer", &a->efer);
    state_u64(io, "xcr0", &a->xcr0);
    state_u32(io, "pkru", &a->pkru);
    state_u64_array(io, "pdpte", a->pdpte, 4);
    state_u64(io, "ssp", &a->ssp);
}

static void visit_fpu(struct cpu_arch *a, struct state_io *io)
{
    struct fpu_state *f = &a->fpu;
    for (unsigned i = 0; i < 8; i++) {
        state_u64(io, "st.mant", &f->r[i].mant);
        state_u16(io, "st.se", &f->r[i].se);
    }
    state_u16(io, "fcw", &f->fcw);
    state_u16(io, "fsw", &f->fsw);
    state_u8(io, "ftags", &f->tags);
    state_u16(io, "fop", &f->fop);
    state_u16(io, "fcs", &f->fcs);
    state_u16(io, "fds", &f->fds);
    state_u64(io, "fip", &f->fip);
    state_u64(io, "fdp", &f->fdp);
    state_bytes(io, "vec", a->vec, sizeof a->vec);
    state_u32(io, "mxcsr", &a->mxcsr);
}

/* Only where there is MPX. */
static void visit_mpx(struct cpu_arch *a, struct state_io *io)
{
    for (unsigned i = 0; i < 4; i++) {
        state_u64_array(io, "bnd", a->mpx.bnd[i], 2);
    }
    state_u64(io, "bndcfgu", &a->mpx.cfgu);
    state_u64(io, "bndcfgs", &a->mpx.cfgs);
    state_u64(io, "bndstatus", &a->mpx.status);
}

static void visit_activity(struct cpu_arch *a, struct state_io *io)
{
    state_enum(io, "activity", &a->activity);
    state_bool(io, "in_smm", &a->in_smm);
    state_bool(io, "smm_vmx_on", &a->smm_vmx_on);
    state_enum(io, "smm_guest", &a->smm_guest);
    state_bool(io, "nmi_blocked", &a->nmi_blocked);
    state_bool(io, "nmi_pending", &a->nmi_pending);
    state_bool(io, "smi_pending", &a->smi_pending);
    state_bool(io, "init_pending", &a->init_pending);
    state_bool(io, "sipi_pending", &a->sipi_pending);
    state_u8(io, "sipi_vector", &a->sipi_vector);
    state_bool(io, "int_shadow_sti", &a->int_shadow_sti);
    state_bool(io, "int_shadow_movss", &a->int_shadow_movss);
    state_bool(io, "rep_partial", &a->rep_partial);
    state_u64(io, "pending_db", &a->pending_db);
    state_bool(io, "monitor_armed", &a->monitor_armed);
    state_bool(io, "monitor_hit", &a->monitor_hit);
    state_bool(io, "mwait_irq_wakes", &a->mwait_irq_wakes);
    state_u64(io, "monitor_spa", &a->monitor_spa);
    state_u64_array(io, "rng_state", a->rng_state, 2);
    state_u32(io, "pauses", &a->pauses);
    state_u64(io, "ist_count", &a->ist_count);
}

void cpu_state(void *self, struct state_io *io)
{
    struct cpu *cpu = self;
    flags_sync(cpu);
    char name[16];
    (void)snprintf(name, sizeof name, "cpu%u", cpu->index);
    state_section(io, name, 1);
    visit_integer(&cpu->arch, io);
    visit_system(&cpu->arch, io);
    visit_fpu(&cpu->arch, io);
    if (cpu_has(cpu, CPU_FEATURE_MPX)) {
        visit_mpx(&cpu->arch, io);
    }
    visit_activity(&cpu->arch, io);
    virt_state(cpu, io);
    msr_state(cpu, io);
    if (cpu->apic != NULL) {
        apic_state(cpu->apic, io);
    }
    if (cpu->pmu != NULL) {
        pmu_state(cpu->pmu, io);
    }
    if (state_is_load(io)) {
        /* Derived: contexts, blocks and page flags of the processor as it was. */
        if (cpu->arch.activity > ACTIVITY_MWAIT) {
            cpu->arch.activity = ACTIVITY_SHUTDOWN;
        }
        cpu->event.kind = EVENT_NONE;
        tlb_drop_all(cpu);
        cpu_update_mode(cpu);
        monitor_watch(cpu);
        cpu_kick(cpu);
    }
}
