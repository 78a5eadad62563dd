/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intercepts that the parent handles: a message to SINT0 of its VP 0, and the VP waits. */
#ifndef HV_VCPU_INTERCEPT_H
#define HV_VCPU_INTERCEPT_H

#include "hv/vcpu/vp.h"

/* False: nobody asked for it. (CPUID: nor does it fault.) */
bool intercept_cpuid(struct vp *vp, const struct hv_exit *exit);
bool intercept_msr(struct vp *vp, const struct hv_exit *exit, bool write);
bool intercept_io(struct vp *vp, const struct hv_exit *exit);
/* Only where somebody asked for it. */
void intercept_hypercall(struct vp *vp, const struct hv_exit *exit);
/* Always. */
void intercept_exception(struct vp *vp, const struct hv_exit *exit);
void intercept_memory(struct vp *vp, const struct hv_exit *exit);
void intercept_unrecoverable(struct vp *vp);

#endif
