/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Task switches by hardware, where the processor leaves them to the hypervisor. */
#ifndef HV_VCPU_TASK_H
#define HV_VCPU_TASK_H

#include "hv/vcpu/vp.h"

void task_switch(struct vp *vp, const struct hv_exit *exit);

#endif
