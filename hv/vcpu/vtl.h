/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtual trust levels: VTL 0, the guest, and VTL 2, which handles its intercepts, as two sets of private state of one VP, of
 * which one is active. [TLFS "Virtual Secure Mode"] Left out: VTL 1, secure interrupts (VINA),
 * register page, return actions. */
#ifndef HV_VCPU_VTL_H
#define HV_VCPU_VTL_H

#include "hv/vcpu/vp.h"

/* VTL calls and returns of the hypercall page. */
void vtl_fill_hypercall_page(u8 *page);
/* The table this level sees memory through. */
u64 *vtl_slat(const struct vp *vp);
/* Does VTL 2 handle such a message about this VP's VTL 0? */
bool vtl_takes(const struct vp *vp, u32 message_type);
/* It does: message into the assist page, VTL 2 becomes active. */
void vtl_intercept(struct vp *vp, u32 type, const void *payload, u8 size);
/* At a VMCALL or VMMCALL. False: it is an ordinary hypercall. */
bool vtl_intercept_hypercall(struct vp *vp, const struct hv_exit *exit);
bool vtl_return(struct vp *vp, const struct hv_exit *exit);
/* VTL 2 becomes active where it has an interrupt. */
void vtl_poll(struct cpu *c);
/* Registers of VTL 2 about itself; statuses of the hypercall interface. */
bool vtl_get_register(const struct vp *vp, u32 name, u64 *value);
u16 vtl_configure(struct partition *p, u64 value);
u16 vtl_install_intercept(struct partition *p, u32 type, u32 access);

#endif
