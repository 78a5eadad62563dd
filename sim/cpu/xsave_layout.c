/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the XSAVE components lie. Sizes are architectural; standard offsets are the vendor's choice
 * and CPUID leaf 0Dh tells them. */
#include "base/bits.h"
#include "cpu/model.h"

#define XSAVE_LEGACY_AND_HEADER 576u

#define XSTATE_AVX 2
#define XSTATE_BNDREGS 3
#define XSTATE_BNDCSR 4
#define XSTATE_PKRU 9
#define XSTATE_CET_U 11
#define XSTATE_CET_S 12

bool xsave_component(const struct cpu_model *m, unsigned i, struct xsave_component *c)
{
    *c = (struct xsave_component){0};
    bool cet = model_has(m, CPU_FEATURE_CET_SS) || model_has(m, CPU_FEATURE_CET_IBT);
    switch (i) {
    case 0:
    case 1:
        return true;
    case XSTATE_AVX:
        c->size = 256;
        c->offset = XSAVE_LEGACY_AND_HEADER;
        return model_has(m, CPU_FEATURE_AVX);
    case XSTATE_BNDREGS:
    case XSTATE_BNDCSR:
        c->size = 64;
        c->offset = i == XSTATE_BNDREGS ? 960 : 1024;
        return model_has(m, CPU_FEATURE_MPX);
    case XSTATE_PKRU:
        /* Both leave room for the AVX-512 components; Intel's also for those of MPX. */
        c->size = 8;
        c->offset = m->vendor == CPU_VENDOR_INTEL ? 2688 : 2432;
        return model_has(m, CPU_FEATURE_PKU);
    case XSTATE_CET_U:
        c->size = 16;
        c->supervisor = true;
        return cet && model_has(m, CPU_FEATURE_XSAVES);
    case XSTATE_CET_S:
        c->size = 24;
        c->supervisor = true;
        return cet && model_has(m, CPU_FEATURE_XSAVES);
    default:
        return false;
    }
}

static u64 components(const struct cpu_model *m, bool supervisor)
{
    u64 mask = 0;
    for (unsigned i = 0; i < 63 && model_has(m, CPU_FEATURE_XSAVE); i++) {
        struct xsave_component c;
        if (xsave_component(m, i, &c) && c.supervisor == supervisor) {
            mask |= BIT(i);
        }
    }
    return mask;
}

u64 xsave_xcr0_mask(const struct cpu_model *m)
{
    return components(m, false);
}

u64 xsave_xss_mask(const struct cpu_model *m)
{
    return components(m, true);
}

u32 xsave_size(const struct cpu_model *m, u64 mask, bool compacted)
{
    u32 size = XSAVE_LEGACY_AND_HEADER;
    for (unsigned i = 2; i < 63; i++) {
        struct xsave_component c;
        if ((mask & BIT(i)) == 0 || !xsave_component(m, i, &c)) {
            continue;
        }
        if (compacted) {
            size = c.align64 ? (u32)align_up(size, 64) : size;
            size += c.size;
        } else if (!c.supervisor && c.offset + c.size > size) {
            size = c.offset + c.size;
        }
    }
    return size;
}
