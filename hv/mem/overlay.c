/* SPDX-License-Identifier: GPL-3.0-or-later */
/* [TLFS "Overlay Pages"]. Of several at one place the newest is seen. */
#include "hv/mem/overlay.h"

#include "abi/hyperv/msr.h"
#include "hv/arch/arch.h"
#include "hv/partition/partition.h"

#define PAGE_NUMBER_LIMIT (1ull << 36)

static struct overlay *newest_at(const struct partition *p, u64 gfn)
{
    struct overlay *o = p->overlays;
    while (o != NULL && o->gfn != gfn) {
        o = o->next;
    }
    return o;
}

static u64 entry_for(const struct overlay *o)
{
    return arch->slat_leaf(ptr_to_spa(o->page), o->rights, SLAT_WB, false);
}

void overlay_remove(struct partition *p, struct overlay *o)
{
    if (!o->on) {
        return;
    }
    struct overlay **link = &p->overlays;
    while (*link != o) {
        link = &(*link)->next;
    }
    *link = o->next;
    o->on = false;
    const struct overlay *other = newest_at(p, o->gfn);
    u64 old;
    (void)slat_exchange(p, o->gfn, other != NULL ? entry_for(other) : o->covered, &old);
    slat_flush(p);
}

bool overlay_put(struct partition *p, struct overlay *o, u64 gfn, enum slat_rights rights)
{
    overlay_remove(p, o);
    const struct overlay *other = newest_at(p, gfn);
    o->gfn = gfn;
    o->rights = rights;
    if (o->page == NULL || !slat_exchange(p, gfn, entry_for(o), &o->covered)) {
        return false;
    }
    if (other != NULL) {
        o->covered = other->covered;
    }
    o->next = p->overlays;
    p->overlays = o;
    o->on = true;
    slat_flush(p);
    return true;
}

bool overlay_write_msr(struct partition *p, struct overlay *o, u64 *msr, u64 value, enum slat_rights rights)
{
    bool ok = value >> PAGE_SHIFT < PAGE_NUMBER_LIMIT;
    if (ok && (value & HV_PAGE_MSR_ENABLE) != 0) {
        ok = (o->on && o->gfn == value >> PAGE_SHIFT) || overlay_put(p, o, value >> PAGE_SHIFT, rights);
    } else if (ok) {
        overlay_remove(p, o);
    }
    *msr = ok ? value : *msr & ~(o->on ? 0ull : (u64)HV_PAGE_MSR_ENABLE);
    return ok;
}

bool overlay_set_under(struct partition *p, u64 gfn, u64 entry)
{
    u64 old;
    bool covered = false;
    for (struct overlay *o = p->overlays; o != NULL; o = o->next) {
        if (o->gfn == gfn) {
            o->covered = entry;
            covered = true;
        }
    }
    return covered || slat_exchange(p, gfn, entry, &old);
}

bool overlay_find_under(const struct partition *p, u64 gfn, u64 *pfn, enum slat_rights *rights)
{
    const struct overlay *o = newest_at(p, gfn);
    if (o == NULL) {
        return slat_find(p, gfn, pfn, rights);
    }
    enum slat_type type;
    *pfn = (o->covered & SLAT_ADDRESS) >> PAGE_SHIFT;
    arch->slat_decode(o->covered, rights, &type);
    return o->covered != 0;
}
