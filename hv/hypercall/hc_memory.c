/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory: deposit and withdraw, map and unmap, the parent's look at a child's memory. A page mapped into a child leaves its
 * parent: see mem/page.c. */
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"
#include "hv/vcpu/walk.h"

#define GFN_LIMIT (1ull << 36) /* 48 bits of address */

u16 hc_deposit(const struct hypercall *c)
{
    const struct hv_partition_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_partition(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (p == c->caller) {
        return HV_ACCESS_DENIED;
    }
    if (p->state == HV_PARTITION_FINALIZED) {
        return HV_INVALID_PARTITION_STATE;
    }
    return page_deposit(*(const u64 *)c->element, p) ? HV_SUCCESS : HV_OPERATION_DENIED;
}

u16 hc_withdraw(const struct hypercall *c)
{
    const struct hv_balance_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_partition(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (p == c->caller) {
        return HV_ACCESS_DENIED;
    }
    u32 pfn = page_withdraw(p);
    if (pfn == PFN_NONE) {
        return HV_NO_DATA;
    }
    *(u64 *)c->output = pfn;
    return HV_SUCCESS;
}

u16 hc_get_balance(const struct hypercall *c)
{
    const struct hv_balance_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_partition(c, in->partition, &p);
    if (status == HV_SUCCESS) {
        u64 *out = c->output;
        out[0] = p->pool.available;
        out[1] = p->pool.in_use;
    }
    return status;
}

static enum slat_rights rights_of(u32 flags)
{
    return (enum slat_rights)(((flags & HV_MAP_READ) != 0 ? SLAT_R : 0) | ((flags & HV_MAP_WRITE) != 0 ? SLAT_W : 0) |
                              ((flags & HV_MAP_EXECUTE) != 0 ? SLAT_X : 0));
}

static u16 map_page(struct partition *p, u64 gfn, u64 pfn, u32 flags)
{
    u64 old;
    enum slat_rights rights = rights_of(flags);
    if (gfn >= GFN_LIMIT || (flags & ~HV_MAP_ALL) != 0 || (rights & SLAT_R) == 0) {
        return HV_INVALID_PARAMETER;
    }
    enum slat_rights old_rights;
    if (slat_find(p, gfn, &old, &old_rights)) {
        return HV_OBJECT_IN_USE; /* the TLFS lets the new mapping supersede; here it has to be unmapped first */
    }
    if (!page_give(pfn, p, gfn)) {
        return HV_OPERATION_DENIED;
    }
    if (!slat_map(p, gfn, pfn, rights, SLAT_WB)) {
        (void)page_return(pfn, p);
        return HV_INSUFFICIENT_MEMORY;
    }
    p->private_pages++;
    return HV_SUCCESS;
}

u16 hc_map_pages(const struct hypercall *c)
{
    const struct hv_map_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    return status == HV_SUCCESS ? map_page(p, in->base + c->rep, *(const u64 *)c->element, in->flags) : status;
}

u16 hc_map_sparse(const struct hypercall *c)
{
    const struct hv_sparse_input *in = c->input;
    const struct hv_sparse_page *page = c->element;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    return status == HV_SUCCESS ? map_page(p, page->target, page->source, in->flags) : status;
}

u16 hc_unmap_pages(const struct hypercall *c)
{
    const struct hv_map_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    u64 gfn = in->base + c->rep;
    u64 pfn;
    enum slat_rights rights;
    if (status != HV_SUCCESS) {
        return status;
    }
    if (gfn >= GFN_LIMIT) {
        return HV_INVALID_PARAMETER;
    }
    if (!slat_find(p, gfn, &pfn, &rights)) {
        return HV_SUCCESS;
    }
    const struct page *page = page_of(pfn);
    if (page == NULL || page->state != PAGE_PRIVATE || lend_is_open(p, gfn)) {
        return HV_OBJECT_IN_USE; /* an overlay, or it is lent */
    }
    if (!slat_unmap(p, gfn)) {
        return HV_INSUFFICIENT_MEMORY;
    }
    slat_flush(p);
    (void)page_return(pfn, p);
    p->private_pages--;
    return HV_SUCCESS;
}

/* Who asks is the parent; for whom, it says: hv counts by that. */
static u16 find_lender(const struct hypercall *c, struct partition **p, enum slat_rights *rights)
{
    const struct hv_lend_input *in = c->input;
    u16 status = hc_find_active_child(c, in->partition, p);
    bool known = in->rights == 0 || in->rights == HV_LEND_READ || in->rights == (HV_LEND_READ | HV_LEND_WRITE);
    *rights = (enum slat_rights)((in->rights & HV_LEND_READ) | ((in->rights & HV_LEND_WRITE) != 0 ? SLAT_W : 0));
    return status == HV_SUCCESS && (!known || *(const u64 *)c->element >= GFN_LIMIT) ? (u16)HV_INVALID_PARAMETER : status;
}

u16 hc_lend(const struct hypercall *c)
{
    struct partition *p;
    enum slat_rights rights;
    u16 status = find_lender(c, &p, &rights);
    return status == HV_SUCCESS ? lend_open(p, *(const u64 *)c->element, ((const struct hv_lend_input *)c->input)->channel, rights, c->output)
                                : status;
}

u16 hc_return(const struct hypercall *c)
{
    struct partition *p;
    enum slat_rights rights;
    u16 status = find_lender(c, &p, &rights);
    if (status == HV_SUCCESS && rights == 0) {
        status = HV_INVALID_PARAMETER;
    }
    return status == HV_SUCCESS ? lend_close(p, *(const u64 *)c->element, ((const struct hv_lend_input *)c->input)->channel, rights) : status;
}

u16 hc_read_gpa(const struct hypercall *c)
{
    const struct hv_gpa_input *in = c->input;
    struct hv_read_gpa_output *out = c->output;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status == HV_SUCCESS && (in->count == 0 || in->count > 16)) {
        status = HV_INVALID_PARAMETER;
    }
    if (status == HV_SUCCESS) {
        out->result = guest_read(p, in->gpa, out->data, in->count) ? HV_GPA_OK : HV_GPA_UNMAPPED;
    }
    return status;
}

u16 hc_write_gpa(const struct hypercall *c)
{
    const struct hv_gpa_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status == HV_SUCCESS && (in->count == 0 || in->count > 16)) {
        status = HV_INVALID_PARAMETER;
    }
    if (status == HV_SUCCESS) {
        *(u64 *)c->output = guest_write(p, in->gpa, in->data, in->count) ? HV_GPA_OK : HV_GPA_UNMAPPED;
    }
    return status;
}

u16 hc_translate(const struct hypercall *c)
{
    const struct hv_translate_input *in = c->input;
    struct hv_translate_output *out = c->output;
    struct vp *vp;
    u16 status = hc_find_vp(c, in->partition, in->vp, (u8)(in->flags >> 56), &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    u64 pfn;
    enum slat_rights rights;
    out->result = vp_translate(vp, in->gva_page << PAGE_SHIFT, in->flags, &out->gpa_page);
    if (out->result == HV_TRANSLATE_OK && !slat_find(vp->partition, out->gpa_page, &pfn, &rights)) {
        out->result = HV_TRANSLATE_UNMAPPED;
    }
    if (out->result == HV_TRANSLATE_OK && !guest_owns(vp->partition, out->gpa_page << PAGE_SHIFT, SLAT_R)) {
        out->cache_overlay = HV_TRANSLATE_OVERLAY;
    }
    return HV_SUCCESS;
}
