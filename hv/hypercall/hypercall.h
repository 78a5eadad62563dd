/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hypercalls: the dispatcher checks and copies, handlers get copies and return a status. */
#ifndef HV_HYPERCALL_HYPERCALL_H
#define HV_HYPERCALL_HYPERCALL_H

#include "abi/hyperv/hypercall.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

struct hypercall {
    struct vp *vp; /* the caller */
    struct partition *caller;
    const void *input;   /* header */
    const void *element; /* REP: of this repetition */
    void *output;        /* SIMPLE: the answer; REP: this repetition's */
    u32 rep;
    const u64 *bank; /* variable header: of a set of VPs */
    u32 banks;
};

void hypercall_exit(struct vp *vp, struct hv_exit *exit);

/* Partition ids in inputs. SELF is the caller. Status and *out; the target is the caller or its child. */
u16 hc_find_partition(const struct hypercall *c, u64 id, struct partition **out);
/* The same, and it is a child, and Active. */
u16 hc_find_active_child(const struct hypercall *c, u64 id, struct partition **out);
/* And one of its VPs, suspended; or VTL 2 and its own VP. `vtl` is the INPUT_VTL byte. */
u16 hc_find_vp(const struct hypercall *c, u64 id, u32 index, u8 vtl, struct vp **out);

/* May a guest have this value in the register? */
bool hc_is_register_valid(u32 name, u64 value);

#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler)                       \
    u16 hc_##handler(const struct hypercall *c);
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL

#endif
