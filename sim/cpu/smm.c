/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System-management mode: entry and RSM. [APM2 "System-Management Mode"], [SDM3 "System Management
 * Mode"]
 *
 * DEVIATION: the state-save area has the AMD64 layout for Intel models too: it is what the firmware of
 * virtual boards (SeaBIOS, OVMF) reads and writes, whatever the processor's vendor. VMX operation, and which
 * guest was interrupted, stay inside the processor on both vendors, where no handler can change them; AMD's
 * area tells of the guest.
 *
 * Left out: I/O instruction restart, the CET fields of Intel's area, SMM-transfer monitors. */
#include "cpu/control.h"
#include "cpu/exec/exec_system.h"
#include "cpu/segment.h"

#include "base/bytes.h"

#include <inttypes.h>

#define SAVE_AREA 0xfe00 /* from SMBASE */
#define SAVE_SIZE 0x200
#define SMM_ENTRY 0x8000
#define SMM_REVISION 0x00020064 /* AMD64 layout, SMBASE relocation */

/* Offsets in the save area. [APM2 "SMM State-Save Area"] */
enum {
    AT_SEG = 0x000, /* ES CS SS DS FS GS, GDTR, LDTR, IDTR, TR: 16 bytes each */
    AT_GDTR = 0x060,
    AT_LDTR = 0x070,
    AT_IDTR = 0x080,
    AT_TR = 0x090,
    AT_HALT = 0x0c9,
    AT_NMI_MASK = 0x0ca,
    AT_CPL = 0x0cb,
    AT_EFER = 0x0d0,
    AT_GUEST = 0x0d8, /* bit 0: a guest was running; never read back */
    AT_REVISION = 0x0fc,
    AT_SMBASE = 0x100,
    AT_SSP = 0x118,
    AT_CR4 = 0x148,
    AT_CR3 = 0x150,
    AT_CR0 = 0x158,
    AT_DR7 = 0x160,
    AT_DR6 = 0x168,
    AT_RFLAGS = 0x170,
    AT_RIP = 0x178,
    AT_R15 = 0x180, /* R15 down to R8, then RDI RSI RBP RSP RBX RDX RCX RAX */
};

/* ---- The save area ---- */

static void save_segment(u8 *at, const struct segment *s)
{
    store_le16(at, s->sel);
    store_le16(at + 2, (u16)((s->attr & SEG_UNUSABLE) != 0 ? s->attr & ~(u32)SEG_P : s->attr));
    store_le32(at + 4, s->limit);
    store_le64(at + 8, s->base);
}

static void load_segment(const u8 *at, struct segment *s)
{
    s->sel = load_le16(at);
    s->attr = load_le16(at + 2) & 0xf0ffu;
    s->limit = load_le32(at + 4);
    s->base = load_le64(at + 8);
    if ((s->attr & SEG_P) == 0) {
        s->attr |= SEG_UNUSABLE;
    }
}

static u8 *gpr_place(u8 *area, unsigned r)
{
    return area + AT_R15 + (15 - r) * 8;
}

static void save_state(const struct cpu *cpu, u8 *area)
{
    const struct cpu_arch *a = &cpu->arch;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        save_segment(area + AT_SEG + 16 * i, &a->seg[i]);
    }
    save_segment(area + AT_LDTR, &a->ldtr);
    save_segment(area + AT_TR, &a->tr);
    store_le16(area + AT_GDTR + 4, a->gdtr.limit);
    store_le64(area + AT_GDTR + 8, a->gdtr.base);
    store_le16(area + AT_IDTR + 4, a->idtr.limit);
    store_le64(area + AT_IDTR + 8, a->idtr.base);
    area[AT_HALT] = a->activity == ACTIVITY_HLT;
    area[AT_NMI_MASK] = a->nmi_blocked;
    area[AT_CPL] = cpu->d.cpl;
    store_le64(area + AT_EFER, a->efer);
    store_le32(area + AT_GUEST, a->guest == GUEST_SVM ? 1u : 0u);
    store_le32(area + AT_REVISION, SMM_REVISION);
    store_le32(area + AT_SMBASE, (u32)a->smbase);
    store_le64(area + AT_SSP, a->ssp);
    store_le64(area + AT_CR4, a->cr4);
    store_le64(area + AT_CR3, a->cr3);
    store_le64(area + AT_CR0, a->cr0);
    store_le64(area + AT_DR7, a->dr7);
    store_le64(area + AT_DR6, a->dr6);
    store_le64(area + AT_RFLAGS, cpu_rflags(cpu) | (cpu->arch.rep_partial ? RFLAGS_RF : 0u));
    store_le64(area + AT_RIP, a->rip);
    for (unsigned r = 0; r < 16; r++) {
        store_le64(gpr_place(area, r), a->gpr[r]);
    }
}

/* [APM2 "Invalid State in the SMM State-Save Area"]: what ends in a shutdown. */
static bool saved_state_is_valid(const struct cpu *cpu, const u8 *area)
{
    u64 cr0 = load_le64(area + AT_CR0), cr4 = load_le64(area + AT_CR4);
    u64 efer = load_le64(area + AT_EFER);
    bool lma = (efer & EFER_LMA) != 0;
    if ((cr0 >> 32) != 0 || (cr0 & (CR0_PG | CR0_PE)) == CR0_PG ||
        (cr0 & (CR0_NW | CR0_CD)) == CR0_NW || (cr4 & ~cr4_supported(cpu)) != 0) {
        return false;
    }
    if (lma && ((cr0 & CR0_PG) == 0 || (cr4 & CR4_PAE) == 0 || (efer & EFER_LME) == 0)) {
        return false;
    }
    return (load_le64(area + AT_CR3) & cr3_reserved(cpu)) == 0;
}

static void load_state(struct cpu *cpu, u8 *area)
{
    struct cpu_arch *a = &cpu->arch;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        load_segment(area + AT_SEG + 16 * i, &a->seg[i]);
    }
    load_segment(area + AT_LDTR, &a->ldtr);
    load_segment(area + AT_TR, &a->tr);
    a->gdtr.limit = load_le16(area + AT_GDTR + 4);
    a->gdtr.base = load_le64(area + AT_GDTR + 8);
    a->idtr.limit = load_le16(area + AT_IDTR + 4);
    a->idtr.base = load_le64(area + AT_IDTR + 8);
    a->nmi_blocked = (area[AT_NMI_MASK] & 1) != 0;
    a->efer = load_le64(area + AT_EFER);
    a->smbase = load_le32(area + AT_SMBASE);
    a->ssp = load_le64(area + AT_SSP);
    a->cr4 = load_le64(area + AT_CR4);
    a->cr3 = load_le64(area + AT_CR3);
    a->cr0 = load_le64(area + AT_CR0) | CR0_ET;
    a->dr7 = (load_le64(area + AT_DR7) & 0xffff23ff) | DR7_FIXED;
    a->dr6 = (load_le64(area + AT_DR6) & 0xe00f) | DR6_FIXED;
    a->rip = load_le64(area + AT_RIP);
    for (unsigned r = 0; r < 16; r++) {
        a->gpr[r] = load_le64(gpr_place(area, r));
    }
    cpu_set_rflags(cpu, load_le64(area + AT_RFLAGS));
    a->activity = (area[AT_HALT] & 1) != 0 ? ACTIVITY_HLT : ACTIVITY_RUNNING;
}

/* Which guest to return to. [SDM3 "Default Treatment of RSM"], [APM2 "SMM in Guests"] A handler that took
 * EFER.SVME away from the saved state returns to none. */
static enum guest_mode guest_before(const struct cpu *cpu, const u8 *area)
{
    bool svme = (load_le64(area + AT_EFER) & EFER_SVME) != 0;
    return cpu->arch.smm_guest == GUEST_SVM && !svme ? GUEST_NONE : cpu->arch.smm_guest;
}

/* ---- Entry and return ---- */

/* [APM2 "SMM Execution Environment"]: like real mode, with 4 GiB segments. */
static void set_smm_state(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    const u32 attr = SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_G;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        a->seg[i] = (struct segment){.limit = 0xffffffff, .attr = attr};
    }
    a->seg[SEG_CS].sel = (u16)(a->smbase >> 4);
    a->seg[SEG_CS].base = a->smbase;
    a->rip = SMM_ENTRY;
    a->cr0 &= ~(u64)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    a->cr4 = 0;
    a->efer = 0;
    a->dr7 = DR7_FIXED;
    a->activity = ACTIVITY_RUNNING;
    a->nmi_blocked = true;
    a->pending_db = 0;
    a->rep_partial = false;
    cpu_set_rflags(cpu, 0);
}

void smm_enter(struct cpu *cpu)
{
    u8 area[SAVE_SIZE] = {0};
    log_line(cpu->log, LOG_CPU, "cpu%u SMI at %04x:%016" PRIx64, cpu->index,
             cpu->arch.seg[SEG_CS].sel, cpu->arch.rip);
    cpu->arch.in_smm = true;
    if (cpu->ports.smi_ack != NULL) {
        cpu->ports.smi_ack(cpu->ports.self, true);
    }
    save_state(cpu, area);
    phys_write(cpu->phys, SPA(cpu->arch.smbase + SAVE_AREA), area, sizeof area);
    set_smm_state(cpu);
    cpu->arch.smm_guest = cpu->arch.guest;
    cpu->arch.smm_vmx_on = cpu->arch.vmx.on;
    cpu->arch.guest = GUEST_NONE; /* SMM is outside VMX operation and outside every guest */
    cpu->arch.vmx.on = false;
    cpu_update_mode(cpu);
}

static void shutdown_from_rsm(struct cpu *cpu)
{
    cpu->event = (struct event){.kind = EVENT_SHUTDOWN, .why = "invalid state in the SMM save area"};
}

cpu_rc exec_rsm(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    u8 area[SAVE_SIZE];
    u64 pdpte[4];
    if (!cpu->arch.in_smm) {
        return raise_ud(cpu, "RSM outside SMM");
    }
    phys_read(cpu->phys, SPA(cpu->arch.smbase + SAVE_AREA), area, sizeof area);
    if (!saved_state_is_valid(cpu, area)) {
        shutdown_from_rsm(cpu);
        return CPU_EXIT;
    }
    u64 cr0 = load_le64(area + AT_CR0), cr4 = load_le64(area + AT_CR4);
    enum guest_mode guest = guest_before(cpu, area);
    /* A guest's page-directory pointers are still the ones it was entered with. */
    bool pae = (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 &&
               (load_le64(area + AT_EFER) & EFER_LMA) == 0 && guest == GUEST_NONE;
    if (pae && cr3_read_pdptes(cpu, load_le64(area + AT_CR3), pdpte) != CPU_OK) {
        shutdown_from_rsm(cpu);
        return CPU_EXIT;
    }
    load_state(cpu, area);
    if (pae) {
        memcpy(cpu->arch.pdpte, pdpte, sizeof pdpte);
    }
    cpu->arch.guest = guest;
    cpu->arch.vmx.on = cpu->arch.smm_vmx_on;
    cpu->arch.smm_guest = GUEST_NONE;
    cpu->arch.smm_vmx_on = false;
    if (cpu->arch.vmx.on) {
        cpu->arch.cr4 |= CR4_VMXE;
    }
    cpu->arch.in_smm = false;
    if (cpu->ports.smi_ack != NULL) {
        cpu->ports.smi_ack(cpu->ports.self, false);
    }
    cpu->d.rf_loaded = true;
    cpu->d.step_decided = true;
    cpu_update_mode(cpu);
    cpu_kick(cpu);
    return CPU_OK;
}
