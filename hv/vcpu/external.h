/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Physical interrupts: what is not hv's own is the root's. */
#ifndef HV_VCPU_EXTERNAL_H
#define HV_VCPU_EXTERNAL_H

#include "hv/core/types.h"

/* From the interrupt handler: remembered for this processor. */
void external_interrupt(u8 vector);
/* Takes what is pending. Interrupts are off before and after. */
void external_take(void);
/* Gives what was remembered to the root's VP. Under hv_lock. */
void external_deliver(void);

#endif
