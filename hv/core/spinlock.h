/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ticket lock: processors get it in the order in which they asked. */
#ifndef HV_CORE_SPINLOCK_H
#define HV_CORE_SPINLOCK_H

#include "hv/core/insn.h"

struct spinlock {
    u32 next, serving;
};

static inline void spin_lock(struct spinlock *l)
{
    u32 mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine) {
        insn_pause();
    }
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

#endif
