/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hv/vcpu/walk.h"

#include "abi/hyperv/hypercall.h"
#include "abi/x86/registers.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"

#define ENTRY_P 0x1u
#define ENTRY_W 0x2u
#define ENTRY_U 0x4u
#define ENTRY_LARGE 0x80u
#define ENTRY_ADDRESS 0x000ffffffffff000ull

/* How the address is cut. */
struct mode {
    u8 levels, bits;
    bool wide; /* entries of 64 bits */
    u64 root;
};

static struct mode mode_of(const struct vp_registers *r)
{
    if ((r->efer & EFER_LMA) != 0) {
        return (struct mode){4, 9, true, r->cr3 & ENTRY_ADDRESS};
    }
    if ((r->cr4 & CR4_PAE) != 0) {
        return (struct mode){3, 9, true, r->cr3 & 0xffffffe0};
    }
    return (struct mode){2, 10, false, r->cr3 & 0xfffff000};
}

static bool may_be_large(const struct mode *m, const struct vp_registers *r, unsigned level)
{
    return m->wide ? level == 1 || (level == 2 && m->levels == 4) : level == 1 && (r->cr4 & CR4_PSE) != 0;
}

/* The page behind a leaf at this level. */
static u64 page_behind(const struct mode *m, u64 entry, u64 gva, unsigned level)
{
    u64 mask = BIT(m->bits * level) - 1;
    u64 page = (entry & ENTRY_ADDRESS) >> PAGE_SHIFT;
    if (!m->wide && level == 1) { /* PSE-36 [SDM3 "32-Bit Paging"] */
        page = (entry >> 22 & 0x3ff) << 10 | (entry >> 13 & 0xff) << 20;
    }
    return (page & ~mask) | (gva >> PAGE_SHIFT & mask);
}

u32 vp_translate(struct vp *vp, u64 gva, u64 flags, u64 *gfn)
{
    const struct vp_registers *r = &vp->r;
    if ((r->cr0 & CR0_PG) == 0) {
        *gfn = gva >> PAGE_SHIFT;
        return HV_TRANSLATE_OK;
    }
    bool user = (r->segment[SEG_SS].attributes & SEG_DPL) != 0 && (flags & HV_TRANSLATE_PRIVILEGE_EXEMPT) == 0;
    struct mode m = mode_of(r);
    u64 table = m.root;
    for (unsigned level = m.levels; level-- > 0;) {
        u64 entry = 0;
        u64 size = m.wide ? 8 : 4;
        u64 index = gva >> (PAGE_SHIFT + m.bits * level) & (BIT(m.bits) - 1);
        if (!guest_read(vp->partition, table + index * size, &entry, size)) {
            return HV_TRANSLATE_UNMAPPED;
        }
        if ((entry & ENTRY_P) == 0) {
            return HV_TRANSLATE_NOT_PRESENT;
        }
        bool pointer = m.levels == 3 && level == 2; /* PAE's four have no rights */
        if (!pointer && ((user && (entry & ENTRY_U) == 0) ||
                         ((flags & HV_TRANSLATE_EXECUTE) != 0 && (entry & BIT(63)) != 0) ||
                         ((flags & HV_TRANSLATE_WRITE) != 0 && (entry & ENTRY_W) == 0 &&
                          (user || (r->cr0 & CR0_WP) != 0)))) {
            return HV_TRANSLATE_PRIVILEGE;
        }
        if (level == 0 || ((entry & ENTRY_LARGE) != 0 && may_be_large(&m, r, level))) {
            *gfn = page_behind(&m, entry, gva, level);
            return HV_TRANSLATE_OK;
        }
        table = entry & ENTRY_ADDRESS;
    }
    return HV_TRANSLATE_RESERVED_BITS;
}

u32 vp_fetch_code(struct vp *vp, u8 *to, u32 size)
{
    const struct vp_registers *r = &vp->r;
    bool wide = (r->efer & EFER_LMA) != 0 && (r->segment[SEG_CS].attributes & SEG_L) != 0;
    u64 at = wide ? r->rip : (u32)(r->segment[SEG_CS].base + r->rip);
    u32 done = 0;
    while (done < size) {
        u64 gfn;
        u64 n = min_u64(size - done, PAGE_SIZE - (at & PAGE_MASK));
        if (vp_translate(vp, at, HV_TRANSLATE_EXECUTE, &gfn) != HV_TRANSLATE_OK ||
            !guest_read(vp->partition, gfn << PAGE_SHIFT | (at & PAGE_MASK), to + done, n)) {
            break;
        }
        done += (u32)n;
        at += n;
    }
    return done;
}
