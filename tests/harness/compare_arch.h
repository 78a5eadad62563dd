/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What programs can tell apart of a processor's state. */
#ifndef TESTS_HARNESS_COMPARE_ARCH_H
#define TESTS_HARNESS_COMPARE_ARCH_H

#include "cpu/cpu.h"

#include <string.h>

static inline bool same_fpu(const struct fpu_state *a, const struct fpu_state *b)
{
    bool equal = a->fcw == b->fcw && a->fsw == b->fsw && a->tags == b->tags && a->fop == b->fop && a->fip == b->fip &&
                 a->fdp == b->fdp && a->fcs == b->fcs && a->fds == b->fds;
    for (unsigned i = 0; i < 8; i++) { /* the structs have padding */
        equal = equal && a->r[i].mant == b->r[i].mant && a->r[i].se == b->r[i].se;
    }
    return equal;
}

/* The first kind of registers that differ, in words; NULL: none. Flags are those of flags_sync(). */
static inline const char *arch_difference(const struct cpu_arch *a, const struct cpu_arch *b)
{
    if (memcmp(a->gpr, b->gpr, sizeof a->gpr) != 0 || a->rip != b->rip || a->rep_partial != b->rep_partial) {
        return "general registers";
    }
    if (a->rflags != b->rflags || a->cc_res != b->cc_res || a->cc_aux != b->cc_aux) {
        return "flags";
    }
    if (memcmp(a->vec, b->vec, sizeof a->vec) != 0 || a->mxcsr != b->mxcsr) {
        return "vector registers";
    }
    if (!same_fpu(&a->fpu, &b->fpu)) {
        return "x87 registers";
    }
    if (a->cr0 != b->cr0 || a->cr2 != b->cr2 || a->cr3 != b->cr3 || a->cr4 != b->cr4 || a->activity != b->activity ||
        a->kernel_gs_base != b->kernel_gs_base || a->seg[SEG_GS].base != b->seg[SEG_GS].base) {
        return "system registers";
    }
    return a->ist_count != b->ist_count ? "counts" : NULL;
}

#endif
