/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VMRUN on its way: the VMCB as read, and its checks. */
#ifndef VITRINE_CPU_SVM_VMRUN_H
#define VITRINE_CPU_SVM_VMRUN_H

#include "cpu/svm/svm_priv.h"

struct vmcb_save {
#define VMCB_SAVE(offset, bytes, name, clean) u64 name;
#include "abi/x86/vmcb_fields.def"
};

struct vmrun {
    struct cpu *cpu;
    struct vmcb v;
    struct vmcb_control c; /* without what the processor does not have */
    struct vmcb_save s;
    u64 cs_attr;
    u64 pdpte[4];       /* read by the checks */
    struct event event; /* EVENTINJ */
};

static inline bool vmrun_is_long(const struct vmrun *r)
{
    return (r->s.efer & EFER_LME) != 0 && (r->s.cr0 & CR0_PG) != 0;
}

/* The rows of vmrun_checks.def. False: a rule is broken, and has been named. */
bool vmrun_check(struct vmrun *r);

#endif
