/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DMA remapping [VTD "DMA Remapping"]: requests of bus masters, legacy mode with root and context
 * tables, second-level tables.
 *
 * A write of 4 aligned bytes to 0xfeexxxxx is an interrupt whatever the tables say (iommu.c). */
#include "base/bytes.h"
#include "devices/iommu/vtd_priv.h"

#define SL_READ BIT(0)
#define SL_WRITE BIT(1)
#define SL_PS BIT(7)
#define SL_SNP BIT(11)
#define SL_TM BIT(62)
#define ADDRESS_BITS 0x000ffffffffff000u

bool vtd_supports_aw(const struct vtd *v, u64 aw)
{
    return aw < 5 && (v->cap >> (VTD_CAP_SAGAW_SHIFT + aw) & 1) != 0;
}

static u64 sl_reserved(const struct vtd *v, u64 entry, unsigned level, bool leaf)
{
    u64 reserved = vtd_beyond_haw(v);
    if (level == 4) {
        reserved |= SL_PS;
    } else if (leaf) {
        reserved |= (BIT(12 + 9 * (level - 1)) - 1) & ADDRESS_BITS;
    }
    if (leaf) {
        reserved |= SL_TM | ((v->ecap & VTD_ECAP_SC) == 0 ? SL_SNP : 0);
    }
    return entry & reserved;
}

/* [VTD "Second-Level Paging Entries"] an entry without any right is not present, and its reserved
 * bits do not count. */
enum vtd_fault_code vtd_walk_second_level(struct vtd *v, const struct vtd_request *r, u64 table,
                                          unsigned aw, const struct vtd_sl_codes *codes, u64 *spa)
{
    unsigned levels = aw + 2;
    unsigned width = 12 + 9 * levels;
    if (width > v->config.options.aw_bits) {
        width = v->config.options.aw_bits;
    }
    if (r->address >> width != 0) {
        return codes->beyond;
    }
    for (unsigned level = levels;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        u8 raw[8];
        if (!iommu_table_read(&v->base, table + 8 * bits_get(r->address, shift, 9), raw, sizeof raw)) {
            return codes->access;
        }
        u64 entry = load_le64(raw);
        bool leaf = level == 1 || (level < 4 && (entry & SL_PS) != 0);
        if ((entry & (SL_READ | SL_WRITE)) != 0 && sl_reserved(v, entry, level, leaf) != 0) {
            return codes->reserved;
        }
        if ((entry & (r->write ? SL_WRITE : SL_READ)) == 0) {
            return r->write ? codes->no_write : codes->no_read;
        }
        table = entry & ADDRESS_BITS;
        if (leaf) {
            *spa = (table & ~(BIT(shift) - 1)) | (r->address & (BIT(shift) - 1));
            return VTD_FAULT_NONE;
        }
    }
}

/* [VTD "Root Entry", "Context Entry"] */
static enum vtd_fault_code translate_legacy(struct vtd *v, struct vtd_request *r, u64 *spa)
{
    static const struct vtd_sl_codes codes = {.beyond = VTD_FAULT_BEYOND_MGAW,
                                              .access = VTD_FAULT_SL_ACCESS,
                                              .reserved = VTD_FAULT_SL_RESERVED,
                                              .no_read = VTD_FAULT_NO_READ,
                                              .no_write = VTD_FAULT_NO_WRITE};
    u8 raw[16];
    if (!iommu_table_read(&v->base, (v->root & ADDRESS_BITS) + 16u * (r->requester >> 8), raw, sizeof raw)) {
        return VTD_FAULT_ROOT_ACCESS;
    }
    u64 low = load_le64(raw), high = load_le64(raw + 8);
    if ((low & 1) == 0) {
        return VTD_FAULT_ROOT_NOT_PRESENT;
    }
    if ((low & (0xffe | vtd_beyond_haw(v))) != 0 || high != 0) {
        return VTD_FAULT_ROOT_RESERVED;
    }
    if (!iommu_table_read(&v->base, (low & ADDRESS_BITS) + 16u * (r->requester & 0xff), raw, sizeof raw)) {
        return VTD_FAULT_CONTEXT_ACCESS;
    }
    low = load_le64(raw);
    high = load_le64(raw + 8);
    r->fpd = (low & 2) != 0; /* counts whether or not the entry is present */
    if ((low & 1) == 0) {
        return VTD_FAULT_CONTEXT_NOT_PRESENT;
    }
    if ((low & (0xff0 | vtd_beyond_haw(v))) != 0 || (high & 0xffffffffff000080) != 0) {
        return VTD_FAULT_CONTEXT_RESERVED;
    }
    unsigned aw = (unsigned)(high & 7);
    u64 type = bits_get(low, 2, 2);
    bool pass = type == VTD_TT_PASS_THROUGH && (v->ecap & VTD_ECAP_PT) != 0;
    if (!vtd_supports_aw(v, aw) || !(type == VTD_TT_UNTRANSLATED || pass)) {
        return VTD_FAULT_CONTEXT_INVALID;
    }
    u64 entry[2] = {low, high};
    r->context = iommu_context_digest(IOMMU_CONTEXT_SEED, entry, 2);
    r->domain = (u32)bits_get(high, 8, 16);
    if (pass) {
        *spa = r->address;
        return r->address >> v->config.phys_bits != 0 ? VTD_FAULT_BEYOND_MGAW : VTD_FAULT_NONE;
    }
    return vtd_walk_second_level(v, r, low & ADDRESS_BITS, aw, &codes, spa);
}

enum vtd_fault_code vtd_translate(struct vtd *v, struct vtd_request *r, u64 *spa)
{
    if ((v->gsts & VTD_GCMD_TE) == 0) {
        *spa = r->address;
        return VTD_FAULT_NONE;
    }
    u64 ttm = bits_get(v->root, VTD_RTADDR_TTM_SHIFT, 2);
    if (iommu_in_interrupt_range(r->address)) {
        return ttm == VTD_TTM_SCALABLE ? VTD_FAULT_SM_INTERRUPT_ADDRESS : VTD_FAULT_SILENT;
    }
    switch (ttm) {
    case VTD_TTM_LEGACY:
        return translate_legacy(v, r, spa);
    case VTD_TTM_SCALABLE:
        return vtd_translate_scalable(v, r, spa);
    case VTD_TTM_ABORT:
        return VTD_FAULT_SILENT;
    default:
        return VTD_FAULT_SM_TTM;
    }
}

bool vtd_ops_translate(struct iommu *iommu, u16 requester, u64 iova, bool write, u64 *spa)
{
    struct vtd_request r = {.requester = requester, .address = iova, .write = write, .pasid = IOMMU_NO_PASID};
    enum vtd_fault_code code = vtd_translate(vtd_of(iommu), &r, spa);
    if (iommu->stale != NULL && (vtd_of(iommu)->gsts & VTD_GCMD_TE) != 0 && !iommu_in_interrupt_range(iova)) {
        struct iommu_lookup l = {.requester = requester,
                                 .write = write,
                                 .allowed = code == VTD_FAULT_NONE,
                                 .iova = iova,
                                 .spa = code == VTD_FAULT_NONE ? *spa : 0,
                                 .context = r.context,
                                 .domain = r.domain,
                                 .pasid = r.pasid};
        iommu_stale_lookup(iommu, &l);
    }
    if (code != VTD_FAULT_NONE) {
        vtd_report_fault(vtd_of(iommu), &r, code);
        return false;
    }
    return true;
}
