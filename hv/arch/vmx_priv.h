/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HV_ARCH_VMX_PRIV_H
#define HV_ARCH_VMX_PRIV_H

#include "hv/vcpu/vp.h"

/* The exit of the current VMCS; and what was being delivered becomes vp->event again. */
void vmx_decode_exit(struct vp *vp, struct hv_exit *e);

#endif
