/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MSRs that exit: synthetic ones, the local APIC's, what every guest expects, and for the root the machine's own. */
#include "hv/vcpu/msr.h"

#include "abi/hyperv/msr.h"
#include "abi/x86/msr.h"
#include "abi/x86/registers.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define FEATURE_CONTROL_LOCKED 1
#define CRASH_TEXT 160u
#define PLATFORM_INFO_CPUID_FAULTING BIT(31)

/* The privilege that an MSR of a range needs. [TLFS "Partition Privilege Flags"] */
struct synthetic {
    u32 first, last;
    u64 privilege;
};

static const struct synthetic synthetics[] = {
    {HV_MSR_GUEST_OS_ID, HV_MSR_HYPERCALL, HV_PRIVILEGE_HYPERCALL},
    {HV_MSR_VP_INDEX, HV_MSR_VP_INDEX, HV_PRIVILEGE_VP_INDEX},
    {HV_MSR_VP_RUNTIME, HV_MSR_VP_RUNTIME, HV_PRIVILEGE_VP_RUNTIME},
    {HV_MSR_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT, HV_PRIVILEGE_TIME_REF_COUNT},
    {HV_MSR_REFERENCE_TSC, HV_MSR_REFERENCE_TSC, HV_PRIVILEGE_REFERENCE_TSC},
    {HV_MSR_TSC_FREQUENCY, HV_MSR_APIC_FREQUENCY, HV_PRIVILEGE_FREQUENCY},
    {HV_MSR_EOI, HV_MSR_VP_ASSIST_PAGE, HV_PRIVILEGE_APIC},
    {HV_MSR_SCONTROL, HV_MSR_EOM, HV_PRIVILEGE_SYNIC},
    {HV_MSR_SINT0, HV_MSR_SINT15, HV_PRIVILEGE_SYNIC},
    {HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER3_COUNT, HV_PRIVILEGE_STIMER},
    {HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL, 0},
};

static bool may_access(const struct vp *vp, u32 msr)
{
    for (unsigned i = 0; i < ARRAY_LEN(synthetics); i++) {
        const struct synthetic *s = &synthetics[i];
        if (msr >= s->first && msr <= s->last) {
            return (vp_privileges(vp) & s->privilege) == s->privilege && vp_privileges(vp) != 0;
        }
    }
    return false;
}

static bool read_synthetic(struct vp *vp, u32 msr, u64 *value)
{
    const struct partition *p = vp->partition;
    switch (msr) {
    case HV_MSR_GUEST_OS_ID:
        *value = p->guest_os_id;
        return true;
    case HV_MSR_HYPERCALL:
        *value = p->hypercall_msr;
        return true;
    case HV_MSR_VP_INDEX:
        *value = vp->index;
        return true;
    case HV_MSR_VP_RUNTIME:
        *value = mul_div_u64(vp->runtime, 10000000, tsc_hz);
        return true;
    case HV_MSR_TIME_REF_COUNT:
        *value = partition_time(p);
        return true;
    case HV_MSR_REFERENCE_TSC:
        *value = p->reference_tsc_msr;
        return true;
    case HV_MSR_TSC_FREQUENCY:
        *value = tsc_hz;
        return true;
    case HV_MSR_APIC_FREQUENCY:
        *value = apic_timer_hz;
        return true;
    case HV_MSR_ICR:
        return lapic_read(vp, 0x30, value);
    case HV_MSR_TPR:
        return lapic_read(vp, 0x08, value);
    case HV_MSR_VP_ASSIST_PAGE:
        *value = vp->assist_msr;
        return true;
    case HV_MSR_CRASH_CTL:
        *value = HV_CRASH_NOTIFY | HV_CRASH_MESSAGE;
        return true;
    default:
        if (msr >= HV_MSR_CRASH_P0 && msr < HV_MSR_CRASH_CTL) {
            *value = vp->crash[msr - HV_MSR_CRASH_P0];
            return true;
        }
        return synic_read(vp, msr, value);
    }
}

/* What a guest says before it ends: its console's last words may come with it. [TLFS "Guest Crash Enlightenment"] */
static void report_crash(struct vp *vp, u64 control)
{
    char text[CRASH_TEXT + 1];
    u64 n = min_u64(vp->crash[4], CRASH_TEXT);
    log_line("partition %lu reports a crash: %lx %lx %lx %lx %lx", vp->partition->id, vp->crash[0], vp->crash[1],
             vp->crash[2], vp->crash[3], vp->crash[4]);
    if ((control & HV_CRASH_MESSAGE) == 0 || !guest_read(vp->partition, vp->crash[3], text, n)) {
        return;
    }
    for (u64 i = 0; i < n; i++) {
        text[i] = (char)(text[i] >= ' ' && text[i] < 0x7f ? text[i] : ' ');
    }
    text[n] = 0;
    log_line("partition %lu: %s", vp->partition->id, text);
}

static bool write_synthetic(struct vp *vp, u32 msr, u64 value)
{
    struct partition *p = vp->partition;
    switch (msr) {
    case HV_MSR_GUEST_OS_ID:
        p->guest_os_id = value;
        return value != 0 || partition_write_hypercall_msr(p, p->hypercall_msr & ~(u64)HV_PAGE_MSR_ENABLE);
    case HV_MSR_HYPERCALL:
        return partition_write_hypercall_msr(p, value);
    case HV_MSR_REFERENCE_TSC:
        return partition_write_reference_tsc_msr(p, value);
    case HV_MSR_EOI:
        return lapic_write(vp, 0x0b, 0);
    case HV_MSR_ICR:
        return lapic_write(vp, 0x30, (value >> 56) << 32 | (u32)value);
    case HV_MSR_TPR:
        return lapic_write(vp, 0x08, value & 0xff);
    case HV_MSR_VP_ASSIST_PAGE: /* no EOI is ever spared */
        return overlay_write_msr(p, &vp->assist, &vp->assist_msr, value, SLAT_RW);
    case HV_MSR_CRASH_CTL:
        report_crash(vp, value);
        return true;
    case HV_MSR_VP_INDEX:
    case HV_MSR_VP_RUNTIME:
    case HV_MSR_TIME_REF_COUNT:
    case HV_MSR_TSC_FREQUENCY:
    case HV_MSR_APIC_FREQUENCY:
        return false;
    default:
        if (msr >= HV_MSR_CRASH_P0 && msr < HV_MSR_CRASH_CTL) {
            vp->crash[msr - HV_MSR_CRASH_P0] = value;
            return true;
        }
        return synic_write(vp, msr, value);
    }
}

static bool write_efer(struct vp *vp, u64 value)
{
    vp_modify(vp);
    u64 *efer = &vp->r.efer;
    if ((value & ~(u64)EFER_GUEST) != 0 || ((vp->r.cr0 & CR0_PG) != 0 && ((value ^ *efer) & EFER_LME) != 0)) {
        return false;
    }
    *efer = (value & ~(u64)EFER_LMA) | (*efer & EFER_LMA);
    return true;
}

/* Types 2 and 3 and those above 7 do not exist. [SDM3 "Programming the PAT"] */
static bool is_pat(u64 value)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 type = (u8)(value >> (8 * i));
        if (type > 7 || type == 2 || type == 3) {
            return false;
        }
    }
    return true;
}

/* What the machine has and hv does not care about is the root's. */
static bool is_roots(const struct vp *vp, u32 msr)
{
    return vp->partition == root_partition && msr != MSR_IA32_FEATURE_CONTROL && msr != MSR_AMD_VM_CR &&
           msr != MSR_AMD_VM_HSAVE_PA && msr != MSR_IA32_TSC_DEADLINE && msr != MSR_IA32_TSC && msr != MSR_IA32_XSS && !(msr >= 0x480 && msr <= 0x4ff);
}

static bool is_x2apic(const struct vp *vp) { return (vp->apic_mode & APIC_BASE_X2APIC) != 0; }

/* Four performance counters that each of AMD's processors has, CPUID or not; these never count. [APM2 "Performance Counter MSRs"] */
static bool is_amd_counter(u32 msr) { return arch == &arch_svm && msr >= MSR_AMD_PERF_EVTSEL0 && msr < MSR_AMD_PERF_EVTSEL0 + 8; }

bool vp_read_msr(struct vp *vp, u32 msr, u64 *value)
{
    if (msr >= HV_MSR_FIRST && msr <= HV_MSR_LAST) {
        return may_access(vp, msr) && read_synthetic(vp, msr, value);
    }
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) {
        return is_x2apic(vp) && lapic_read(vp, msr - MSR_X2APIC_FIRST, value);
    }
    if (is_amd_counter(msr)) {
        *value = 0;
        return true;
    }
    switch (msr) {
    case MSR_IA32_APIC_BASE:
        *value = lapic_base(vp);
        return true;
    case MSR_IA32_EFER:
        vp_fetch(vp);
        *value = vp->r.efer;
        return true;
    case MSR_PLATFORM_INFO: /* hv answers every CPUID, so it can fault, whatever the processor has */
        *value = PLATFORM_INFO_CPUID_FAULTING;
        return true;
    case MSR_MISC_FEATURES_ENABLES:
        *value = vp->cpuid_faults ? 1 : 0;
        return true;
    case MSR_IA32_MISC_ENABLE:
        *value = MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
        return true;
    case MSR_IA32_FEATURE_CONTROL:
        *value = FEATURE_CONTROL_LOCKED;
        return true;
    case MSR_IA32_PAT:
        vp_fetch(vp);
        *value = vp->r.pat;
        return true;
    case MSR_IA32_BIOS_SIGN_ID:
    case MSR_IA32_TSC_ADJUST:
    case MSR_IA32_DEBUGCTL:
    case MSR_AMD_SYSCFG:
    case 0x17:       /* platform id */
    case 0xc001001f: /* NB_CFG */
    case 0xc0011029: /* DE_CFG */
    case 0xc0010055: /* interrupt pending message */
        *value = 0;
        return true;
    case MSR_AMD_HWCR:
        *value = HWCR_TSC_FREQ_SEL;
        return true;
    default:
        return is_roots(vp, msr) && msr_read_safe(msr, value);
    }
}

bool vp_write_msr(struct vp *vp, u32 msr, u64 value)
{
    if (msr >= HV_MSR_FIRST && msr <= HV_MSR_LAST) {
        return may_access(vp, msr) && write_synthetic(vp, msr, value);
    }
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) {
        return is_x2apic(vp) && lapic_write(vp, msr - MSR_X2APIC_FIRST, value);
    }
    if (is_amd_counter(msr)) {
        return true;
    }
    switch (msr) {
    case MSR_IA32_APIC_BASE:
        return lapic_write_base(vp, value);
    case MSR_IA32_EFER:
        return write_efer(vp, value);
    case MSR_IA32_PAT:
        vp_modify(vp);
        vp->r.pat = is_pat(value) ? value : vp->r.pat;
        return is_pat(value);
    case MSR_IA32_MISC_ENABLE:
    case MSR_IA32_BIOS_SIGN_ID:
    case MSR_IA32_DEBUGCTL:
    case MSR_AMD_SYSCFG:
    case MSR_AMD_HWCR:
    case 0xc001001f:
    case 0xc0011029:
        return true;
    case MSR_MISC_FEATURES_ENABLES:
        vp->cpuid_faults = (value & 1) != 0;
        return value <= 1;
    case MSR_IA32_TSC_ADJUST:
        return value == 0;
    default:
        return is_roots(vp, msr) && msr_write_safe(msr, value);
    }
}
