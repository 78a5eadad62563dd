/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What VMX adds to a processor's state. */
#ifndef VITRINE_CPU_VMX_STATE_H
#define VITRINE_CPU_VMX_STATE_H

#include "base/types.h"

struct vmx_arch {
    bool on; /* VMX operation */
};

#endif
