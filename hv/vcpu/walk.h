/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest's own page tables, read as its processor would. [SDM3 "Paging"] */
#ifndef HV_VCPU_WALK_H
#define HV_VCPU_WALK_H

#include "hv/vcpu/vp.h"

/* A result of TranslateVirtualAddress and, when that is 0, the page. `flags` are HV_TRANSLATE_*. The VP's registers are saved. Left out:
 * SMAP, SMEP, protection keys, setting accessed and dirty bits. */
u32 vp_translate(struct vp *vp, u64 gva, u64 flags, u64 *gfn);
/* Up to `size` bytes of instructions at RIP; how many could be read. */
u32 vp_fetch_code(struct vp *vp, u8 *to, u32 size);

#endif
