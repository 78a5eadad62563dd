/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control and debug registers. [SDM2 "MOV-Move to/from Control Registers"], [SDM3 "Control Registers"],
 * [SDM3 "Debug Registers"], [APM2 "System Resources"]
 *
 * Translations are coherent with the page tables at all times, so nothing here flushes anything:
 * INVLPG and INVPCID only check. */
#include "cpu/control.h"

#include "cpu/apic.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/virt.h"
#include "trace/events.h"

/* ---- CR0, CR3, CR4 ---- */

cpu_rc cr3_read_pdptes(struct cpu *cpu, u64 cr3, u64 pdpte[4])
{
    u64 reserved = cpu_phys_reserved(cpu) | 0x1e6;
    for (unsigned i = 0; i < 4; i++) {
        u64 at = (cr3 & 0xffffffe0) + 8u * i;
        if (in_guest(cpu)) {
            TRY(virt_read_physical(cpu, at, 8, &pdpte[i]));
        } else {
            pdpte[i] = phys_read_scalar(cpu->phys, SPA(at), 8);
        }
        if ((pdpte[i] & 1) != 0 && (pdpte[i] & reserved) != 0) {
            return raise_gp(cpu, 0, "reserved bits in a page-directory-pointer entry");
        }
    }
    return CPU_OK;
}

/* PAE paging without long mode, as these values would have it, with page-directory pointers in registers? (Under
 * nested paging they are read in the walk.) */
static bool is_pae(const struct cpu *cpu, u64 cr0, u64 cr4, u64 efer)
{
    return !virt_walks_pdptes(cpu) && (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (efer & EFER_LME) == 0;
}

/* [SDM3 "Initializing IA-32e Mode"], [APM2 "Long-Mode Consistency Checks"] */
static cpu_rc check_long_mode_switch(struct cpu *cpu, u64 cr0)
{
    bool cs_l = (cpu->arch.seg[SEG_CS].attr & SEG_L) != 0;
    if ((cr0 & CR0_PG) != 0 && (cpu->arch.cr0 & CR0_PG) == 0 && (cpu->arch.efer & EFER_LME) != 0) {
        if ((cpu->arch.cr4 & CR4_PAE) == 0) {
            return raise_gp(cpu, 0, "long mode without PAE");
        }
        if (cs_l) {
            return raise_gp(cpu, 0, "long mode activated with CS.L set");
        }
        if (cpu_is_intel(cpu) && (cpu->arch.tr.attr & SEG_TYPE) <= SYS_TSS16_BUSY) {
            return raise_gp(cpu, 0, "long mode activated with a 16-bit TSS");
        }
    }
    if ((cr0 & CR0_PG) == 0 && (cpu->arch.cr0 & CR0_PG) != 0) {
        if (cpu->d.code64) {
            return raise_gp(cpu, 0, "paging switched off in 64-bit mode");
        }
        if ((cpu->arch.cr4 & CR4_PCIDE) != 0) {
            return raise_gp(cpu, 0, "paging switched off with CR4.PCIDE set");
        }
    }
    return CPU_OK;
}

cpu_rc cr0_write(struct cpu *cpu, u64 value)
{
    struct cpu_arch *a = &cpu->arch;
    if ((value >> 32) != 0) {
        return raise_gp(cpu, 0, "CR0 bits 63:32");
    }
    if ((value & (CR0_PG | CR0_PE)) == CR0_PG) {
        return raise_gp(cpu, 0, "CR0.PG without PE");
    }
    if ((value & (CR0_NW | CR0_CD)) == CR0_NW) {
        return raise_gp(cpu, 0, "CR0.NW without CD");
    }
    if ((value & CR0_WP) == 0 && (a->cr4 & CR4_CET) != 0) {
        return raise_gp(cpu, 0, "CR0.WP cleared with CR4.CET set");
    }
    TRY(check_long_mode_switch(cpu, value));
    value &= CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
    value |= CR0_ET;
    if (!virt_cr_allowed(cpu, 0, value)) {
        return raise_gp(cpu, 0, "bits of CR0 that VMX operation fixes");
    }
    u64 changed = a->cr0 ^ value;
    if (is_pae(cpu, value, a->cr4, a->efer) && (changed & (CR0_PG | CR0_CD | CR0_NW)) != 0) {
        u64 pdpte[4];
        TRY(cr3_read_pdptes(cpu, a->cr3, pdpte));
        memcpy(a->pdpte, pdpte, sizeof pdpte);
    }
    trace_cr_write(cpu->trace, cpu->index, 0, value, a->rip);
    a->cr0 = value;
    if ((value & CR0_PG) != 0 && (a->efer & EFER_LME) != 0) {
        a->efer |= EFER_LMA;
    } else {
        a->efer &= ~(u64)EFER_LMA;
    }
    cpu_update_mode(cpu);
    return CPU_OK;
}

cpu_rc cr3_write(struct cpu *cpu, u64 value)
{
    struct cpu_arch *a = &cpu->arch;
    u64 reserved = cpu_phys_reserved(cpu);
    if ((a->cr4 & CR4_PCIDE) != 0) {
        reserved &= ~CR3_NOFLUSH;
    }
    if (cpu_has(cpu, CPU_FEATURE_LAM)) {
        reserved &= ~(u64)(CR3_LAM_U48 | CR3_LAM_U57);
    }
    if ((value & reserved) != 0) {
        return raise_gp(cpu, 0, "reserved bits of CR3");
    }
    if (is_pae(cpu, a->cr0, a->cr4, a->efer)) {
        u64 pdpte[4];
        TRY(cr3_read_pdptes(cpu, value, pdpte));
        memcpy(a->pdpte, pdpte, sizeof pdpte);
    }
    trace_cr_write(cpu->trace, cpu->index, 3, value, a->rip);
    a->cr3 = value & ~CR3_NOFLUSH;
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc check_cr4(struct cpu *cpu, u64 value)
{
    const struct cpu_arch *a = &cpu->arch;
    u64 changed = a->cr4 ^ value;
    if ((value & ~cr4_supported(cpu)) != 0) {
        return raise_gp(cpu, 0, "reserved bits of CR4");
    }
    if (!virt_cr_allowed(cpu, 4, value)) {
        return raise_gp(cpu, 0, "bits of CR4 that VMX operation fixes");
    }
    if (cpu->d.long_mode && (changed & (CR4_PAE | CR4_LA57)) != 0) {
        return raise_gp(cpu, 0, "CR4.PAE or CR4.LA57 changed in long mode");
    }
    if ((changed & value & CR4_PCIDE) != 0 && (!cpu->d.long_mode || (a->cr3 & CR3_PCID_MASK) != 0)) {
        return raise_gp(cpu, 0, "CR4.PCIDE set outside long mode or with CR3[11:0] not 0");
    }
    if ((value & CR4_CET) != 0 && (a->cr0 & CR0_WP) == 0) {
        return raise_gp(cpu, 0, "CR4.CET without CR0.WP");
    }
    return CPU_OK;
}

cpu_rc cr4_write(struct cpu *cpu, u64 value)
{
    struct cpu_arch *a = &cpu->arch;
    TRY(check_cr4(cpu, value));
    u64 changed = a->cr4 ^ value;
    if (is_pae(cpu, a->cr0, value, a->efer) && (changed & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)) != 0) {
        u64 pdpte[4];
        TRY(cr3_read_pdptes(cpu, a->cr3, pdpte));
        memcpy(a->pdpte, pdpte, sizeof pdpte);
    }
    trace_cr_write(cpu->trace, cpu->index, 4, value, a->rip);
    a->cr4 = value;
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc cr8_write(struct cpu *cpu, u64 value)
{
    if ((value & ~(u64)0xf) != 0) {
        return raise_gp(cpu, 0, "reserved bits of CR8");
    }
    apic_set_cr8(cpu->apic, value);
    cpu_kick(cpu);
    return CPU_OK;
}

static cpu_rc read_cr(struct cpu *cpu, unsigned cr, u64 *v)
{
    switch (cr) {
    case 0: *v = cpu->arch.cr0; return CPU_OK;
    case 2: *v = cpu->arch.cr2; return CPU_OK;
    case 3: *v = cpu->arch.cr3; return CPU_OK;
    case 4: *v = cpu->arch.cr4; return CPU_OK;
    case 8: *v = apic_get_cr8(cpu->apic); return CPU_OK;
    default: return raise_ud(cpu, "control register that does not exist");
    }
}

static cpu_rc write_cr(struct cpu *cpu, unsigned cr, u64 v)
{
    switch (cr) {
    case 0: return cr0_write(cpu, v);
    case 2: cpu->arch.cr2 = v; return CPU_OK;
    case 3: return cr3_write(cpu, v);
    case 4: return cr4_write(cpu, v);
    case 8: return cr8_write(cpu, v);
    default: return raise_ud(cpu, "control register that does not exist");
    }
}

static bool cr_exists(unsigned cr)
{
    return cr <= 4 ? cr != 1 : cr == 8;
}

cpu_rc exec_mov_cr(struct cpu *cpu, const struct insn *in)
{
    bool store = in->r[0] < OPR_HIGH;
    unsigned cr = in->r[store ? 1 : 0] & 15u;
    unsigned size = cpu->d.code64 ? 8 : 4;
    if ((in->pfx & PFX_LOCK) != 0) { /* [APM3 "MOV CRn"]: LOCK MOV CR0 is MOV CR8 */
        if ((cr & 7u) != 0 || !cpu_has(cpu, CPU_FEATURE_CR8_LEGACY)) {
            return raise_ud(cpu, "LOCK with MOV CR");
        }
        cr = 8;
    }
    if (!cr_exists(cr)) {
        return raise_ud(cpu, "control register that does not exist");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "MOV CR outside level 0");
    }
    u64 v = 0;
    bool done = false;
    if (store) {
        TRY(read_cr(cpu, cr, &v));
        if (in_guest(cpu)) {
            TRY(virt_cr(cpu, in, CR_MOV_READ, cr, &v, &done));
        }
        gpr_write(cpu, in->r[0], size, v);
        trace_cr_read(cpu->trace, cpu->index, cr, v, cpu->arch.rip);
        return CPU_OK;
    }
    v = gpr_read(cpu, in->r[1], size);
    if (in_guest(cpu)) {
        TRY(virt_cr(cpu, in, CR_MOV_WRITE, cr, &v, &done));
    }
    if (!done) {
        TRY(write_cr(cpu, cr, v));
    }
    if (cr == 2 || cr == 8) { /* the others are traced where all their writers come by */
        trace_cr_write(cpu->trace, cpu->index, cr, v, cpu->arch.rip);
    }
    cpu_leave_block(cpu);
    return CPU_OK;
}

cpu_rc exec_clts(struct cpu *cpu, const struct insn *in)
{
    u64 v = cpu->arch.cr0 & ~(u64)CR0_TS;
    bool done = false;
    if (in_guest(cpu)) {
        TRY(virt_cr(cpu, in, CR_CLTS, 0, &v, &done));
    }
    if (!done) {
        cpu->arch.cr0 = v;
    }
    trace_cr_write(cpu->trace, cpu->index, 0, v, cpu->arch.rip);
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* [SDM2 "LMSW"]: PE, MP, EM, TS; PE can be set but not cleared. */
cpu_rc exec_lmsw(struct cpu *cpu, const struct insn *in)
{
    u64 v;
    TRY(opr_read(cpu, in, 0, 2, &v));
    u64 low = CR0_MP | CR0_EM | CR0_TS;
    u64 value = (cpu->arch.cr0 & ~low) | (v & (low | CR0_PE));
    bool done = false;
    if (in_guest(cpu)) {
        TRY(virt_cr(cpu, in, CR_LMSW, 0, &value, &done));
    }
    return done ? CPU_OK : cr0_write(cpu, value);
}

/* ---- Debug registers ---- */

static u64 read_dr(const struct cpu *cpu, unsigned dr)
{
    return dr < 4 ? cpu->arch.dr[dr] : (dr & 1) == 0 ? cpu->arch.dr6 : cpu->arch.dr7;
}

static void write_dr(struct cpu *cpu, unsigned dr, u64 v)
{
    if (dr < 4) {
        cpu->arch.dr[dr] = v;
    } else if ((dr & 1) == 0) {
        cpu->arch.dr6 = (v & (0xf | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED;
    } else {
        cpu->arch.dr7 = (v & (0xffff03ff | DR7_GD)) | DR7_FIXED;
    }
    cpu_update_mode(cpu);
}

/* DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE. */
cpu_rc exec_mov_dr(struct cpu *cpu, const struct insn *in)
{
    bool store = in->r[0] < OPR_HIGH;
    unsigned dr = in->r[store ? 1 : 0] & 15u;
    unsigned size = cpu->d.code64 ? 8 : 4;
    if (dr > 7 || ((dr == 4 || dr == 5) && (cpu->arch.cr4 & CR4_DE) != 0)) {
        return raise_ud(cpu, "debug register that does not exist");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "MOV DR outside level 0");
    }
    if ((cpu->arch.dr7 & DR7_GD) != 0) {
        return raise_db(cpu, DR6_BD, false, "DR7.GD");
    }
    if (in_guest(cpu)) {
        TRY(virt_dr(cpu, in, dr, !store));
    }
    if (store) {
        gpr_write(cpu, in->r[0], size, read_dr(cpu, dr));
        return CPU_OK;
    }
    u64 v = gpr_read(cpu, in->r[1], size);
    if (dr >= 4 && (v >> 32) != 0) {
        return raise_gp(cpu, 0, "bits 63:32 of DR6 or DR7");
    }
    write_dr(cpu, dr, v);
    return CPU_OK;
}

/* ---- Extended control register ---- */

cpu_rc exec_xgetbv(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if ((cpu->arch.cr4 & CR4_OSXSAVE) == 0) {
        return raise_ud(cpu, "XGETBV without CR4.OSXSAVE");
    }
    u32 index = (u32)cpu->arch.gpr[RCX];
    if (index > 1 || (index == 1 && !cpu_has(cpu, CPU_FEATURE_XGETBV1))) {
        return raise_gp(cpu, 0, "no such XCR");
    }
    /* Index 1: the components in use [SDM1 "XSAVE-Managed State Tracking"]. */
    u64 v = index == 0 ? cpu->arch.xcr0 : cpu->arch.xcr0 & xsave_in_use(cpu);
    cpu->arch.gpr[RAX] = (u32)v;
    cpu->arch.gpr[RDX] = v >> 32;
    return CPU_OK;
}

cpu_rc exec_xsetbv(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if ((cpu->arch.cr4 & CR4_OSXSAVE) == 0) {
        return raise_ud(cpu, "XSETBV without CR4.OSXSAVE");
    }
    if (cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "XSETBV outside level 0");
    }
    u64 v = (u32)cpu->arch.gpr[RAX] | cpu->arch.gpr[RDX] << 32;
    if ((u32)cpu->arch.gpr[RCX] != 0 || (v & ~xsave_xcr0_mask(cpu->model)) != 0 || (v & XCR0_X87) == 0 ||
        (v & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX || ((v & XCR0_MPX) != 0 && (v & XCR0_MPX) != XCR0_MPX)) {
        return raise_gp(cpu, 0, "XSETBV: register or value");
    }
    cpu->arch.xcr0 = v;
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* ---- Translation and cache control ---- */

/* A non-canonical operand is no error. */
cpu_rc exec_invlpg(struct cpu *cpu, const struct insn *in)
{
    trace_invalidate(cpu->trace, cpu->index, TRACE_INVLPG, 0, cpu->arch.cr3,
                     cpu->d.seg_base[insn_seg(in)] + insn_offset(cpu, in));
    cpu_leave_block(cpu);
    return CPU_OK;
}

cpu_rc exec_invpcid(struct cpu *cpu, const struct insn *in)
{
    if (!cpu_has(cpu, CPU_FEATURE_INVPCID)) {
        return raise_ud(cpu, "INVPCID");
    }
    u64 type = gpr_read(cpu, in->r[0], cpu->d.code64 ? 8 : 4);
    u8 bytes[16];
    TRY(mem_read_bytes(cpu, insn_seg(in), insn_offset(cpu, in), bytes, sizeof bytes));
    u64 pcid = load_le64(bytes), lin = load_le64(bytes + 8);
    if (type > 3 || (pcid & ~(u64)CR3_PCID_MASK) != 0) {
        return raise_gp(cpu, 0, "INVPCID: type or descriptor");
    }
    if (type < 2 && pcid != 0 && (cpu->arch.cr4 & CR4_PCIDE) == 0) {
        return raise_gp(cpu, 0, "INVPCID: PCID without CR4.PCIDE");
    }
    if (type == 0 && !msr_is_canonical(cpu, lin)) {
        return raise_gp(cpu, 0, "INVPCID: address not canonical");
    }
    trace_invalidate(cpu->trace, cpu->index, TRACE_INVPCID, type, pcid, lin);
    return CPU_OK;
}

/* Caches are not modelled: INVD, WBINVD, WBNOINVD have nothing to write back. */
cpu_rc exec_cache_control(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    cpu_leave_block(cpu);
    return CPU_OK;
}
