/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory: deposit and withdraw, map and unmap, the parent's look at a child's memory. A page mapped into a child leaves its
 * parent: see mem/page.c. */
#include "abi/x86/registers.h"
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"

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

u16 hc_map_pages(const struct hypercall *c)
{
    const struct hv_map_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_active_child(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    u64 gfn = in->base + c->rep;
    u64 pfn = *(const u64 *)c->element;
    u64 old;
    enum slat_rights rights = rights_of(in->flags);
    if (gfn >= GFN_LIMIT || (in->flags & ~HV_MAP_ALL) != 0 || (rights & SLAT_R) == 0) {
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
    if (page == NULL || page->state != PAGE_PRIVATE) {
        return HV_OBJECT_IN_USE; /* an overlay */
    }
    if (!slat_unmap(p, gfn)) {
        return HV_INSUFFICIENT_MEMORY;
    }
    slat_flush(p);
    (void)page_return(pfn, p);
    p->private_pages--;
    return HV_SUCCESS;
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

/* Four-level paging only; other modes: the address is physical without paging, refused with 32-bit and PAE paging. */
static u32 walk(struct vp *vp, u64 gva, u64 flags, u64 *gfn)
{
    const struct vp_registers *r = &vp->r;
    if ((r->cr0 & CR0_PG) == 0) {
        *gfn = gva >> PAGE_SHIFT;
        return HV_TRANSLATE_OK;
    }
    if ((r->efer & EFER_LMA) == 0) {
        return HV_TRANSLATE_RESERVED_BITS;
    }
    bool user = (r->segment[SEG_SS].attributes & SEG_DPL) != 0 && (flags & HV_TRANSLATE_PRIVILEGE_EXEMPT) == 0;
    u64 table = r->cr3 & 0x000ffffffffff000ull;
    for (unsigned level = 4; level-- > 0;) {
        u64 entry;
        u64 at = table + (gva >> (PAGE_SHIFT + 9 * level) & 511) * 8;
        if (!guest_read(vp->partition, at, &entry, sizeof entry)) {
            return HV_TRANSLATE_UNMAPPED;
        }
        if ((entry & 1) == 0) {
            return HV_TRANSLATE_NOT_PRESENT;
        }
        if ((user && (entry & 4) == 0) || ((flags & HV_TRANSLATE_EXECUTE) != 0 && (entry & BIT(63)) != 0) ||
            ((flags & HV_TRANSLATE_WRITE) != 0 && (entry & 2) == 0 && (user || (r->cr0 & CR0_WP) != 0))) {
            return HV_TRANSLATE_PRIVILEGE;
        }
        table = entry & 0x000ffffffffff000ull;
        if (level == 0 || ((entry & 0x80) != 0 && level < 3)) {
            *gfn = (table >> PAGE_SHIFT & ~(BIT(9 * level) - 1)) + (gva >> PAGE_SHIFT & (BIT(9 * level) - 1));
            return HV_TRANSLATE_OK;
        }
    }
    return HV_TRANSLATE_RESERVED_BITS;
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
    out->result = walk(vp, in->gva_page << PAGE_SHIFT, in->flags, &out->gpa_page);
    if (out->result == HV_TRANSLATE_OK && !slat_find(vp->partition, out->gpa_page, &pfn, &rights)) {
        out->result = HV_TRANSLATE_UNMAPPED;
    }
    return HV_SUCCESS;
}
