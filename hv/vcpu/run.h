/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HV_VCPU_RUN_H
#define HV_VCPU_RUN_H

#include "hv/vcpu/vp.h"

/* The life of a processor: choose a VP, run it, handle its exit. */
_Noreturn void cpu_loop(void);
/* The exit table. */
void exit_handle(struct vp *vp, struct hv_exit *exit);

#endif
