/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPUID of guests: the processor's, without what hv does not virtualize, with the hypervisor's leaves. */
#include "abi/hyperv/cpuid.h"
#include "abi/x86/registers.h"
#include "hv/core/apic.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/msr.h"
#include "hv/vcpu/vp.h"

/* Leaf 1 */
#define ECX1_HIDDEN (1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 15 | 1u << 18 | 1u << 24)
#define ECX1_X2APIC (1u << 21)
#define ECX1_OSXSAVE (1u << 27)
#define ECX1_HYPERVISOR (1u << 31)
#define EDX1_HIDDEN (1u << 7 | 1u << 12 | 1u << 14 | 1u << 18 | 1u << 21 | 1u << 22 | 1u << 28 | 1u << 29 | 1u << 31)
#define EDX1_APIC (1u << 9)
/* Leaf 7: SGX, HLE, PQM, MPX, RTM, PT; PKU, WAITPKG, CET, LA57, PKS, key locker, bus lock, SGX LC, UINTR, hybrid, LBR, ... */
#define EBX7_HIDDEN (1u << 1 | 1u << 2 | 1u << 4 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 25)
#define ECX7_HIDDEN (1u << 3 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 13 | 1u << 16 | 1u << 23 | 1u << 24 | 1u << 29 | \
                     1u << 30 | 1u << 31)
#define EDX7_HIDDEN (1u << 5 | 1u << 15 | 1u << 18 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 24 | 1u << 25 | 1u << 26 | \
                     1u << 27 | 1u << 28 | 1u << 29 | 1u << 30 | 1u << 31 | 1u << 11)
/* Leaf 80000001 ECX: SVM, extended APIC, OSVW, IBS, SKINIT, WDT, LWP, topology, performance counters, ... */
#define ECX81_HIDDEN (1u << 2 | 1u << 3 | 1u << 9 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 15 | 1u << 22 | 1u << 23 | \
                      1u << 24 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29)

static u32 vp_count(const struct partition *p)
{
    u32 n = 0;
    for (u32 i = 0; i < VP_MAX; i++) {
        n += p->vp[i] != NULL ? 1 : 0;
    }
    return n;
}

static struct cpuid hypervisor_leaf(const struct vp *vp, u32 leaf)
{
    switch (leaf) {
    case HV_CPUID_VENDOR:
        return (struct cpuid){HV_CPUID_LAST, HV_VENDOR_EBX, HV_VENDOR_ECX, HV_VENDOR_EDX};
    case HV_CPUID_INTERFACE:
        return (struct cpuid){HV_INTERFACE_HV1, 0, 0, 0};
    case HV_CPUID_VERSION:
        return (struct cpuid){1, 6 << 16, 0, 0};
    case HV_CPUID_FEATURES:
        return (struct cpuid){(u32)vp_privileges(vp), (u32)(vp_privileges(vp) >> 32), 0,
                              HV_FEATURE_XMM_INPUT | HV_FEATURE_FREQUENCY_MSRS | HV_FEATURE_CRASH_MSRS |
                                  HV_FEATURE_DIRECT_STIMER};
    case HV_CPUID_HINTS:
        return (struct cpuid){HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI | HV_HINT_CLUSTER_IPI |
                                  HV_HINT_REMOTE_FLUSH | HV_HINT_VP_SETS,
                              0xffffffff, 0, 0};
    case HV_CPUID_LIMITS:
        return (struct cpuid){VP_MAX, cpu_count, 0, 0};
    case HV_CPUID_HARDWARE:
        return (struct cpuid){1u << 1 | 1u << 3, 0, 0, 0};
    default:
        return (struct cpuid){0, 0, 0, 0};
    }
}

static struct cpuid topology_leaf(const struct vp *vp, u32 sub)
{
    struct cpuid r = {0, 0, sub, vp->index};
    if (sub == 0) {
        r = (struct cpuid){0, 1, 1 << 8, vp->index}; /* one thread a core */
    } else if (sub == 1) {
        r = (struct cpuid){4, vp_count(vp->partition), 2 << 8 | 1, vp->index}; /* all of the cores in one package */
    }
    return r;
}

/* Of everything that guests may enable. */
static u32 xsave_size(void)
{
    u32 size = 576; /* x87, SSE, header */
    for (u32 i = 2; i < 8; i++) {
        struct cpuid c = insn_cpuid(0xd, i);
        if ((fpu_xcr0_allowed() & BIT(i)) != 0 && c.ebx + c.eax > size) {
            size = c.ebx + c.eax;
        }
    }
    return size;
}

struct cpuid vp_cpuid(struct vp *vp, u32 leaf, u32 sub)
{
    if (leaf >= 0x40000000 && leaf < 0x50000000) {
        return vp_privileges(vp) != 0 ? hypervisor_leaf(vp, leaf) : (struct cpuid){0, 0, 0, 0};
    }
    struct cpuid r = insn_cpuid(leaf, sub);
    switch (leaf) {
    case 1:
        r.ebx = (r.ebx & 0xffff) | vp->index << 24 | vp_count(vp->partition) << 16;
        r.ecx = (r.ecx & ~(ECX1_HIDDEN | ECX1_OSXSAVE)) | ECX1_X2APIC | ECX1_HYPERVISOR;
        vp_fetch(vp);
        r.ecx |= (vp->r.cr4 & CR4_OSXSAVE) != 0 ? ECX1_OSXSAVE : 0;
        r.edx = (r.edx & ~(EDX1_HIDDEN | EDX1_APIC)) | (vp->apic_mode != 0 ? EDX1_APIC : 0) | (vp_count(vp->partition) > 1 ? 1u << 28 : 0);
        break;
    case 4:
        r.eax &= 0x3fff;
        break;
    case 6:
        r = (struct cpuid){1u << 2, 0, 0, 0}; /* ARAT: the timer never stops */
        break;
    case 7:
        r.ebx &= sub == 0 ? ~EBX7_HIDDEN : 0;
        r.ecx &= sub == 0 ? ~ECX7_HIDDEN : 0;
        r.edx &= sub == 0 ? ~EDX7_HIDDEN : 0;
        r.eax &= sub == 0 ? 0 : 0x30; /* AVX-VNNI and AVX512_BF16 */
        break;
    case 0xb:
    case 0x1f:
        r = topology_leaf(vp, sub);
        break;
    case 0xd:
        if (sub == 0) {
            r.eax &= (u32)fpu_xcr0_allowed();
            r.ecx = xsave_size();
            r.edx = 0;
        } else if (sub == 1) {
            r = (struct cpuid){r.eax & 0x7, r.ebx, 0, 0}; /* no XSAVES */
        } else if (sub > 7 || (fpu_xcr0_allowed() & BIT(sub)) == 0) {
            r = (struct cpuid){0, 0, 0, 0};
        }
        break;
    case 5:
    case 0xa:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x19:
    case 0x1c:
    case 0x8000000a:
    case 0x8000001b:
    case 0x8000001e:
    case 0x8000001f:
    case 0x80000022:
        r = (struct cpuid){0, 0, 0, 0};
        break;
    case 0x80000021:
        r = (struct cpuid){r.eax & 0x20000045, 0, 0, 0}; /* SRSO_NO and what else needs no MSR */
        break;
    case 0x80000001:
        r.ecx &= ~ECX81_HIDDEN;
        break;
    case 0x80000008:
        r.ebx &= 1u << 0 | 1u << 9; /* CLZERO, WBNOINVD */
        r.ecx = 0;
        break;
    default:
        break;
    }
    return r;
}
