/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a VP sees of CPUID and MSRs. */
#ifndef HV_VCPU_MSR_H
#define HV_VCPU_MSR_H

#include "hv/core/insn.h"

struct vp;

struct cpuid vp_cpuid(struct vp *vp, u32 leaf, u32 sub);
/* False: hv has no such MSR for this VP, or not this value: the parent's, or #GP. */
bool vp_read_msr(struct vp *vp, u32 msr, u64 *value);
bool vp_write_msr(struct vp *vp, u32 msr, u64 value);

#endif
