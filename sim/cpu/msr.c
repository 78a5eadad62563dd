/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RDMSR and WRMSR: the table and the registers of mode, entry points, speculation, CET and AMD's
 * configuration. What does not exist, and reserved bits, are #GP(0). Left out: last-branch
 * recording (the registers hold what is written), SMM address ranges, everything VMX and SVM. */
#include "cpu/apic.h"
#include "cpu/mem.h"
#include "abi/x86/vmx.h"
#include "cpu/msr_priv.h"
#include "cpu/pmu.h"

#include <string.h>

#define TRY(expr)               \
    do {                        \
        if ((expr) != CPU_OK) { \
            return CPU_EXIT;    \
        }                       \
    } while (0)

static cpu_rc reserved(struct cpu *cpu)
{
    return raise_gp(cpu, 0, "WRMSR: reserved bits or a value the register cannot hold");
}

/* ---- Common handlers ------------------------------------------------------------------------ */

static cpu_rc rd_FIELD(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    *value = *msr_field(cpu, row, index);
    return CPU_OK;
}

static cpu_rc wr_FIELD(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    if ((value & ~row->writable) != 0) {
        return reserved(cpu);
    }
    *msr_field(cpu, row, index) = value;
    return CPU_OK;
}

static cpu_rc rd_CONST(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    UNUSED(cpu);
    UNUSED(index);
    *value = row->reset;
    return CPU_OK;
}

static cpu_rc rd_NONE(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    UNUSED(row);
    UNUSED(index);
    *value = 0;
    return raise_gp(cpu, 0, "RDMSR of a write-only register");
}

static cpu_rc wr_NONE(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    UNUSED(value);
    return raise_gp(cpu, 0, "WRMSR to a read-only register");
}

static cpu_rc wr_IGNORE(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(cpu);
    UNUSED(row);
    UNUSED(index);
    UNUSED(value);
    return CPU_OK;
}

static cpu_rc rd_UNMODELLED(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    log_unimp(cpu->log, "RDMSR %x (%s) reads 0", index, row->name);
    *value = row->reset;
    return CPU_OK;
}

static cpu_rc wr_UNMODELLED(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(value);
    log_unimp(cpu->log, "WRMSR %x (%s) has no effect", index, row->name);
    return CPU_OK;
}

static cpu_rc wr_zero(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    return value != 0 ? reserved(cpu) : CPU_OK;
}

bool msr_is_canonical(const struct cpu *cpu, u64 v)
{
    unsigned shift = 64 - model_linear_bits(cpu->model);
    return (u64)((i64)(v << shift) >> shift) == v;
}

static cpu_rc wr_canonical(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    if (!msr_is_canonical(cpu, value)) {
        return raise_gp(cpu, 0, "WRMSR: address not canonical");
    }
    *msr_field(cpu, row, index) = value;
    return CPU_OK;
}

static cpu_rc rd_apic(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    UNUSED(row);
    *value = 0;
    return apic_msr_read(cpu->apic, index, value);
}

static cpu_rc wr_apic(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    return apic_msr_write(cpu->apic, index, value);
}

/* ---- Mode and entry points ------------------------------------------------------------------ */

u64 msr_efer_mask(const struct cpu *cpu)
{
    static const struct {
        enum cpu_feature feature;
        u64 bits;
    } rows[] = {
        {CPU_FEATURE_SYSCALL, EFER_SCE},     {CPU_FEATURE_LM, EFER_LME | EFER_LMA},
        {CPU_FEATURE_NX, EFER_NXE},          {CPU_FEATURE_SVM, EFER_SVME},
        {CPU_FEATURE_FFXSR, EFER_FFXSR},     {CPU_FEATURE_TCE, EFER_TCE},
        {CPU_FEATURE_AUTOIBRS, EFER_AIBRSE},
    };
    u64 mask = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mask |= cpu_has(cpu, rows[i].feature) ? rows[i].bits : 0;
    }
    if (cpu_is_intel(cpu) && (cpu->arch.misc_enable & MISC_ENABLE_XD_DISABLE) != 0) {
        mask &= ~(u64)EFER_NXE;
    }
    return mask;
}

/* LMA follows LME and CR0.PG; what is written to it does not matter. [SDM3 "IA-32e Mode"] */
static cpu_rc wr_efer(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 old = cpu->arch.efer;
    if ((value & ~msr_efer_mask(cpu)) != 0) {
        return reserved(cpu);
    }
    if (((value ^ old) & EFER_LME) != 0 && (cpu->arch.cr0 & CR0_PG) != 0) {
        return raise_gp(cpu, 0, "WRMSR: EFER.LME changed while paging is on");
    }
    if ((value & EFER_SVME) != 0 && (cpu->arch.vm_cr & BIT(4)) != 0) {
        return raise_gp(cpu, 0, "WRMSR: EFER.SVME while VM_CR.SVMDIS is set");
    }
    cpu->arch.efer = (value & ~(u64)EFER_LMA) | (old & EFER_LMA);
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* Intel checks that SYSENTER's targets are canonical; AMD has no SYSENTER in long mode and does
 * not. */
static cpu_rc wr_sysenter(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    if (cpu_is_intel(cpu)) {
        return wr_canonical(cpu, row, index, value);
    }
    *msr_field(cpu, row, index) = value;
    return CPU_OK;
}

static cpu_rc wr_fmask(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    if (value >> 32 != 0 && cpu_is_intel(cpu)) {
        return reserved(cpu);
    }
    cpu->arch.sfmask = (u32)value;
    return CPU_OK;
}

static cpu_rc wr_segment_base(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    TRY(wr_canonical(cpu, row, index, value));
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc wr_misc_enable(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    const u64 read_only =
        MISC_ENABLE_EMON | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
    const u64 writable = MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_TCC | MISC_ENABLE_EIST |
                         MISC_ENABLE_MONITOR | MISC_ENABLE_LIMIT_CPUID | MISC_ENABLE_XTPR_DISABLE |
                         MISC_ENABLE_XD_DISABLE | MISC_ENABLE_TURBO_DISABLE;
    if ((value & ~(writable | read_only)) != 0) {
        return reserved(cpu);
    }
    cpu->arch.misc_enable = (value & writable) | (cpu->arch.misc_enable & read_only);
    return CPU_OK;
}

static cpu_rc wr_feature_control(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    if ((cpu->arch.feature_control & FEATURE_CONTROL_LOCK) != 0) {
        return raise_gp(cpu, 0, "WRMSR: IA32_FEATURE_CONTROL is locked");
    }
    /* Bit 1, VMX inside SMX, is reserved without SMX. */
    u64 allowed = FEATURE_CONTROL_LOCK | (cpu_has(cpu, CPU_FEATURE_VMX) ? FEATURE_CONTROL_VMX : 0u) |
                  (cpu_has(cpu, CPU_FEATURE_SGX) ? FEATURE_CONTROL_SGX : 0u);
    if ((value & ~allowed) != 0) {
        return reserved(cpu);
    }
    cpu->arch.feature_control = value;
    return CPU_OK;
}

static cpu_rc wr_bndcfgs(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    if ((value & BNDCFG_RESERVED) != 0) {
        return reserved(cpu);
    }
    TRY(wr_canonical(cpu, row, index, value));
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc wr_xss(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    if ((value & ~xsave_xss_mask(cpu->model)) != 0) {
        return reserved(cpu);
    }
    cpu->arch.xss = value;
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc wr_pkrs(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    if (value >> 32 != 0) {
        return reserved(cpu);
    }
    cpu->arch.pkrs = value;
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* ---- Control-flow enforcement. [SDM1 "Control-flow Enforcement Technology"] ----------------- */

static cpu_rc wr_cet(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    u64 mask = 0;
    mask |= cpu_has(cpu, CPU_FEATURE_CET_SS) ? CET_SH_STK_EN | CET_WR_SHSTK_EN : 0;
    if (cpu_has(cpu, CPU_FEATURE_CET_IBT)) {
        /* Enable, legacy map, no-track, suppression disable, SUPPRESS, TRACKER, bitmap base. */
        mask |= 0x3c | CET_SUPPRESS | CET_TRACKER | ~(u64)0xfff;
    }
    bool both = (value & CET_SUPPRESS) != 0 && (value & CET_TRACKER) != 0;
    if ((value & ~mask) != 0 || both || !msr_is_canonical(cpu, value)) {
        return reserved(cpu);
    }
    *msr_field(cpu, row, index) = value;
    cpu_update_mode(cpu);
    return CPU_OK;
}

static cpu_rc wr_pl_ssp(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    bool too_wide = !cpu_has(cpu, CPU_FEATURE_LM) && value >> 32 != 0;
    if ((value & 3) != 0 || too_wide) {
        return reserved(cpu);
    }
    return wr_canonical(cpu, row, index, value);
}

/* ---- Speculation ---------------------------------------------------------------------------- */

static u64 spec_ctrl_mask(const struct cpu *cpu)
{
    static const struct {
        enum cpu_feature feature;
        u64 bits;
    } rows[] = {
        {CPU_FEATURE_SPEC_CTRL, SPEC_CTRL_IBRS},
        {CPU_FEATURE_STIBP, SPEC_CTRL_STIBP},
        {CPU_FEATURE_SSBD, SPEC_CTRL_SSBD},
        {CPU_FEATURE_IPRED_CTRL, SPEC_CTRL_IPRED_DIS},
        {CPU_FEATURE_RRSBA_CTRL, SPEC_CTRL_RRSBA_DIS},
        {CPU_FEATURE_PSFD, SPEC_CTRL_PSFD},
        {CPU_FEATURE_DDPD_U, SPEC_CTRL_DDPD_U},
        {CPU_FEATURE_BHI_CTRL, SPEC_CTRL_BHI_DIS_S},
        {CPU_FEATURE_AMD_IBRS, SPEC_CTRL_IBRS},
        {CPU_FEATURE_AMD_STIBP, SPEC_CTRL_STIBP},
        {CPU_FEATURE_AMD_SSBD, SPEC_CTRL_SSBD},
        {CPU_FEATURE_AMD_PSFD, SPEC_CTRL_PSFD},
    };
    u64 mask = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mask |= cpu_has(cpu, rows[i].feature) ? rows[i].bits : 0;
    }
    return mask;
}

static cpu_rc rd_spec_ctrl(struct cpu *cpu, const struct msr_row *row, u32 index, u64 *value)
{
    UNUSED(row);
    UNUSED(index);
    *value = cpu->arch.spec_ctrl;
    return spec_ctrl_mask(cpu) != 0 ? CPU_OK : raise_gp(cpu, 0, "RDMSR: no SPEC_CTRL");
}

static cpu_rc wr_spec_ctrl(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 mask = spec_ctrl_mask(cpu);
    /* STIBP is ignored, not reserved, where only IBRS is there. [SDM4 "IA32_SPEC_CTRL"] */
    u64 allowed = cpu_has(cpu, CPU_FEATURE_SPEC_CTRL) ? mask | SPEC_CTRL_STIBP : mask;
    if (mask == 0 || (value & ~allowed) != 0) {
        return reserved(cpu);
    }
    cpu->arch.spec_ctrl = value;
    return CPU_OK;
}

static cpu_rc wr_pred_cmd(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    bool ibpb = cpu_has(cpu, CPU_FEATURE_SPEC_CTRL) || cpu_has(cpu, CPU_FEATURE_AMD_IBPB);
    bool sbpb = cpu_has(cpu, CPU_FEATURE_SBPB);
    u64 mask = (ibpb ? PRED_CMD_IBPB : 0) | (sbpb ? PRED_CMD_SBPB : 0);
    return mask == 0 || (value & ~mask) != 0 ? reserved(cpu) : CPU_OK;
}

static cpu_rc wr_flush_cmd(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    return (value & ~(u64)1) != 0 ? reserved(cpu) : CPU_OK;
}

static cpu_rc rd_arch_capabilities(struct cpu *cpu, const struct msr_row *row, u32 index,
                                   u64 *value)
{
    UNUSED(row);
    UNUSED(index);
    *value = model_arch_capabilities(cpu->model);
    return CPU_OK;
}

/* ---- Debugging ------------------------------------------------------------------------------ */

/* LBR, BTF, and on Intel freezing on PMI and in SMM; on AMD the breakpoint pins. Branch trace
 * stores do not exist. */
static cpu_rc wr_debugctl(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 mask = cpu_is_intel(cpu) ? 0x5803 : 0x3f;
    if ((value & ~mask) != 0) {
        return reserved(cpu);
    }
    cpu->arch.debugctl = value;
    cpu_update_mode(cpu);
    return CPU_OK;
}

/* ---- AMD's configuration -------------------------------------------------------------------- */

static cpu_rc wr_hwcr(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 fixed = HWCR_TSC_FREQ_SEL;
    if ((cpu->arch.hwcr & HWCR_SMM_LOCK) != 0) {
        fixed |= HWCR_SMM_LOCK; /* until reset */
    }
    if (value >> 32 != 0) {
        return reserved(cpu);
    }
    cpu->arch.hwcr = (value & ~fixed) | (cpu->arch.hwcr & fixed);
    return CPU_OK;
}

static cpu_rc wr_smm_register(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    if ((cpu->arch.hwcr & HWCR_SMM_LOCK) != 0) {
        return raise_gp(cpu, 0, "WRMSR: SMM registers are locked by HWCR");
    }
    return wr_FIELD(cpu, row, index, value);
}

/* [APM2 "VM_CR MSR"]: LOCK holds itself and SVMDIS. */
static cpu_rc wr_vm_cr(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 old = cpu->arch.vm_cr;
    if ((value & ~(u64)0x1f) != 0) {
        return reserved(cpu);
    }
    if ((old & BIT(3)) != 0) {
        value = (value & ~(BIT(3) | BIT(4))) | (old & (BIT(3) | BIT(4)));
    }
    if ((value & BIT(4)) != 0 && (cpu->arch.efer & EFER_SVME) != 0) {
        return raise_gp(cpu, 0, "WRMSR: VM_CR.SVMDIS while EFER.SVME is set");
    }
    cpu->arch.vm_cr = value;
    return CPU_OK;
}

/* Unlocked: the key for later. Locked: the same key, if there is one, unlocks. [APM2 "SVM_KEY MSR"] */
static cpu_rc wr_svm_key(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    u64 *key = &cpu->arch.store.svm_key[0];
    if ((cpu->arch.vm_cr & BIT(3)) == 0) {
        *key = value;
    } else if (*key != 0 && *key == value) {
        cpu->arch.vm_cr &= ~BIT(3);
    }
    return CPU_OK;
}

static cpu_rc wr_vm_hsave(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    if ((value & (PAGE_MASK | cpu_phys_reserved(cpu))) != 0) {
        return reserved(cpu);
    }
    cpu->arch.vm_hsave_pa = value;
    return CPU_OK;
}

/* [APM2 "Doorbell Mechanism"] */
static cpu_rc wr_avic_doorbell(struct cpu *cpu, const struct msr_row *row, u32 index, u64 value)
{
    UNUSED(row);
    UNUSED(index);
    for (unsigned i = 0; i < cpu->set->count; i++) {
        if (i == (value & 0xfff)) {
            cpu_kick(cpu->set->cpu[i]);
        }
    }
    return CPU_OK;
}

/* ---- The table ------------------------------------------------------------------------------ */

#define F(field) offsetof(struct cpu_arch, field)
#define S(field) offsetof(struct cpu_arch, store.field)
#define NOWHERE MSR_NOWHERE
/* Gates that are not one feature shadow the features' names. */
#define GATE_(g) MSR_ROW_GATE_##g

enum msr_row_gate {
#define FEATURE(id, ...) MSR_ROW_GATE_##id = CPU_FEATURE_##id,
#include "cpu/feature.def"
#undef FEATURE
    MSR_ROW_GATE_ALWAYS = MSR_GATE_ALWAYS,
    MSR_ROW_GATE_PMU = MSR_GATE_PMU,
    MSR_ROW_GATE_PMU_FULL = MSR_GATE_PMU_FULL,
    MSR_ROW_GATE_CET = MSR_GATE_CET,
    MSR_ROW_GATE_EFER = MSR_GATE_EFER,
    MSR_ROW_GATE_CET_SS_LM = MSR_GATE_CET_SS_LM,
};

static const struct msr_row rows[] = {
#define MSR(first, last, name, read, write, where, reset, writable, vendor, gate) \
    {first, last,  name,     rd_##read,       wr_##write,                         \
     where, reset, writable, MSR_OF_##vendor, GATE_(gate)},
#include "cpu/msr.def"
#undef MSR
};

static bool gate_open(const struct cpu *cpu, int gate)
{
    bool ss = cpu_has(cpu, CPU_FEATURE_CET_SS);
    switch (gate) {
    case MSR_GATE_ALWAYS:
        return true;
    case MSR_GATE_PMU:
        return cpu->model->pmu;
    case MSR_GATE_PMU_FULL:
        return cpu->model->pmu && cpu_has(cpu, CPU_FEATURE_PDCM);
    case MSR_GATE_CET:
        return ss || cpu_has(cpu, CPU_FEATURE_CET_IBT);
    case MSR_GATE_EFER:
        return cpu_has(cpu, CPU_FEATURE_LM) || cpu_has(cpu, CPU_FEATURE_NX) ||
               cpu_has(cpu, CPU_FEATURE_SYSCALL);
    case MSR_GATE_CET_SS_LM:
        return ss && cpu_has(cpu, CPU_FEATURE_LM);
    default:
        return cpu_has(cpu, (enum cpu_feature)gate);
    }
}

static bool row_exists(const struct cpu *cpu, const struct msr_row *row)
{
    enum msr_vendor mine = cpu_is_intel(cpu) ? MSR_OF_INTEL : MSR_OF_AMD;
    return (row->vendor == MSR_OF_ANY || row->vendor == mine) && gate_open(cpu, row->gate);
}

/* Rows are sorted; at most two start at one number. */
static const struct msr_row *find_row(const struct cpu *cpu, u32 index)
{
    size_t lo = 0, hi = ARRAY_LEN(rows); /* the first row that starts above index */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (rows[mid].first <= index) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (size_t back = 1; back <= 2 && back <= lo; back++) {
        const struct msr_row *row = &rows[lo - back];
        if (row->last >= index && row_exists(cpu, row)) {
            return row;
        }
    }
    return NULL;
}

const char *msr_name(const struct cpu *cpu, u32 index)
{
    const struct msr_row *row = find_row(cpu, index);
    return row != NULL ? row->name : NULL;
}

cpu_rc msr_read(struct cpu *cpu, u32 index, u64 *value)
{
    const struct msr_row *row = find_row(cpu, index);
    if (row == NULL) {
        *value = 0;
        log_guest_error(cpu->log, "RDMSR %x: no such register", index);
        return raise_gp(cpu, 0, "RDMSR: no such register");
    }
    return row->read(cpu, row, index, value);
}

cpu_rc msr_write(struct cpu *cpu, u32 index, u64 value)
{
    const struct msr_row *row = find_row(cpu, index);
    if (row == NULL) {
        log_guest_error(cpu->log, "WRMSR %x: no such register", index);
        return raise_gp(cpu, 0, "WRMSR: no such register");
    }
    return row->write(cpu, row, index, value);
}

/* INIT leaves MSRs alone, but for the global counter enables. */
void msr_reset(struct cpu *cpu, bool init)
{
    if (init) {
        return;
    }
    memset(&cpu->arch.store, 0, sizeof cpu->arch.store);
    memset(cpu->arch.cpuid_flips, 0, sizeof cpu->arch.cpuid_flips);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct msr_row *row = &rows[i];
        bool other = row->offset == F(efer) || row->offset == F(seg[SEG_FS].base) ||
                     row->offset == F(seg[SEG_GS].base);
        if (row->offset == MSR_NOWHERE || other || !row_exists(cpu, row)) {
            continue;
        }
        for (u32 index = row->first; index <= row->last; index++) {
            *msr_field(cpu, row, index) = row->reset;
        }
    }
    msr_perf_reset(cpu);
}

void msr_state(struct cpu *cpu, struct state_io *io)
{
    struct cpu_arch *a = &cpu->arch;
    const struct {
        const char *name;
        u64 *field;
        size_t count;
    } fields[] = {
#define ONE(f) {#f, &a->f, 1}
#define ALL(f)                    \
    {                             \
#f, a->f, ARRAY_LEN(a->f) \
    }
        ONE(star),
        ONE(lstar),
        ONE(cstar),
        ONE(sfmask),
        ONE(kernel_gs_base),
        ONE(tsc_aux),
        ONE(tsc_offset),
        ONE(tsc_adjust),
        ONE(tsc_deadline),
        ONE(sysenter_cs),
        ONE(sysenter_esp),
        ONE(sysenter_eip),
        ONE(pat),
        ONE(apic_base),
        ONE(misc_enable),
        ONE(feature_control),
        ONE(debugctl),
        ONE(spec_ctrl),
        ONE(pkrs),
        ONE(xss),
        ONE(u_cet),
        ONE(s_cet),
        ALL(pl_ssp),
        ONE(int_ssp_table),
        ONE(mtrr_def),
        ALL(mtrr_fixed),
        ALL(mtrr_base),
        ALL(mtrr_mask),
        ONE(mcg_status),
        ONE(mcg_ctl),
        ALL(mc_ctl),
        ALL(mc_status),
        ALL(mc_addr),
        ALL(mc_misc),
        ALL(mc_ctl2),
        ALL(pmc_gp),
        ALL(pmc_evtsel),
        ALL(pmc_fixed),
        ONE(pmc_fixed_ctrl),
        ONE(pmc_global_ctrl),
        ONE(pmc_global_status),
        ONE(smbase),
        ONE(vm_hsave_pa),
        ONE(vm_cr),
        ONE(last_branch_from),
        ONE(last_branch_to),
        ONE(last_int_from),
        ONE(last_int_to),
        ONE(syscfg),
        ONE(hwcr),
#define MSR_SLOT(f, n) {#f, a->store.f, n},
#include "cpu/msr_store.def"
#undef MSR_SLOT
#undef ONE
#undef ALL
    };
    state_section(io, "msr", 1);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].count == 1) {
            state_u64(io, fields[i].name, fields[i].field);
        } else {
            state_u64_array(io, fields[i].name, fields[i].field, fields[i].count);
        }
    }
    if (!cpu_is_intel(cpu)) {
        state_u64_array(io, "cpuid_flips", a->cpuid_flips, ARRAY_LEN(a->cpuid_flips));
    }
}
