/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XSAVE state components: where each lies and how large an area is. Shared by the XSAVE
 * instructions and CPUID leaf 0DH. */
#ifndef VITRINE_CPU_XSAVE_H
#define VITRINE_CPU_XSAVE_H

#include "base/types.h"

struct cpu;

struct xsave_component {
    u16 offset;      /* in the standard format; 0 for supervisor components, which have none */
    u16 size;
    bool supervisor; /* enabled in IA32_XSS */
    bool align64;    /* in the compacted format */
};

/* The component, or NULL when this processor has none of that number. */
const struct xsave_component *xsave_component(const struct cpu *cpu, unsigned bit);

/* Every component this processor has: user ones (bits XCR0 may set) and supervisor ones (IA32_XSS). */
u64 xsave_supported_xcr0(const struct cpu *cpu);
u64 xsave_supported_xss(const struct cpu *cpu);

/* Bytes of an area holding the components in `mask`; never below 576. */
unsigned xsave_size(const struct cpu *cpu, u64 mask, bool compacted);

/* Bits of MXCSR that software may set. */
u32 mxcsr_mask(const struct cpu *cpu);

#endif
