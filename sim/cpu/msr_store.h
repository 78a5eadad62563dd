/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MSRs without a name in struct cpu_arch: part of it, nothing but u64. */
#ifndef VITRINE_CPU_MSR_STORE_H
#define VITRINE_CPU_MSR_STORE_H

#include "base/types.h"

struct msr_store {
#define MSR_SLOT(field, count) u64 field[count];
#include "cpu/msr_store.def"
#undef MSR_SLOT
};

#endif
