/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Through which tables the accesses of a requester go, for reports and the isolation watch: the same
 * entries that vtd_dma.c and vtd_scalable.c read for a request, without its address. Entries that
 * make any request fault count as blocked. */
#include "base/bytes.h"
#include "devices/iommu/vtd_priv.h"

#define ADDRESS_BITS 0x000ffffffffff000u

static bool read_entry(struct vtd *v, struct iommu_route *route, u64 at, u64 *words, unsigned count)
{
    u8 raw[64];
    iommu_route_used(route, at);
    if (!iommu_table_read(&v->base, at, raw, 8 * (u64)count)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        words[i] = load_le64(raw + 8 * i);
    }
    return (words[0] & 1) != 0;
}

static void tables(struct vtd *v, struct iommu_route *route, u64 root, u64 aw)
{
    if (vtd_supports_aw(v, aw)) {
        route->path = IOMMU_PATH_VTD_SL;
        route->root = root & ADDRESS_BITS;
        route->levels = (u8)(aw + 2);
    }
}

static void legacy(struct vtd *v, u16 requester, struct iommu_route *route)
{
    u64 root[2], context[2];
    if (!read_entry(v, route, (v->root & ADDRESS_BITS) + 16u * (requester >> 8), root, 2) ||
        !read_entry(v, route, (root[0] & ADDRESS_BITS) + 16u * (requester & 0xff), context, 2)) {
        return;
    }
    route->domain = (u32)bits_get(context[1], 8, 16);
    u64 type = bits_get(context[0], 2, 2);
    if (type == VTD_TT_UNTRANSLATED) {
        tables(v, route, context[0], context[1] & 7);
    } else if (type == VTD_TT_PASS_THROUGH && (v->ecap & VTD_ECAP_PT) != 0) {
        route->path = IOMMU_PATH_DIRECT;
    }
}

static void scalable(struct vtd *v, u16 requester, struct iommu_route *route)
{
    u64 root[1], context[4], directory[1], entry[8];
    u64 at = (v->root & ADDRESS_BITS) + 16u * (requester >> 8) + 8 * (requester >> 7 & 1u);
    if (!read_entry(v, route, at, root, 1) ||
        !read_entry(v, route, (root[0] & ADDRESS_BITS) + 32u * (requester & 0x7f), context, 4)) {
        return;
    }
    u64 pasid = bits_get(context[1], 0, 20);
    if (!read_entry(v, route, (context[0] & ADDRESS_BITS) + 8 * (pasid >> 6), directory, 1) ||
        !read_entry(v, route, (directory[0] & ADDRESS_BITS) + 64 * (pasid & 63), entry, 8)) {
        return;
    }
    route->domain = (u32)bits_get(entry[1], 0, 16);
    switch (bits_get(entry[0], 6, 3)) {
    case VTD_PGTT_FIRST_LEVEL:
        route->path = IOMMU_PATH_X86;
        route->root = entry[2] & ADDRESS_BITS;
        route->levels = 4;
        break;
    case VTD_PGTT_SECOND_LEVEL:
        tables(v, route, entry[0], bits_get(entry[0], 2, 3));
        break;
    case VTD_PGTT_PASS_THROUGH:
        route->path = IOMMU_PATH_DIRECT;
        break;
    default:
        break;
    }
}

void vtd_route(struct iommu *iommu, u16 requester, struct iommu_route *route)
{
    struct vtd *v = vtd_of(iommu);
    route->read = route->write = true;
    if ((v->gsts & VTD_GCMD_TE) == 0) {
        route->path = IOMMU_PATH_DIRECT;
        return;
    }
    switch (bits_get(v->root, VTD_RTADDR_TTM_SHIFT, 2)) {
    case VTD_TTM_LEGACY:
        legacy(v, requester, route);
        break;
    case VTD_TTM_SCALABLE:
        scalable(v, requester, route);
        break;
    default:
        break;
    }
}
