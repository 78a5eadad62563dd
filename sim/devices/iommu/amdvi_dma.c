/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests of bus masters [AMDVI "Device Table", "I/O Page Tables for Host Translations"]: the device
 * table, the exclusion range, host tables of up to six levels with skipped levels and pages of every
 * power of two.
 *
 * Devices here send no PASID and no pretranslated requests. */
#include "base/bytes.h"
#include "devices/iommu/amdvi_priv.h"

#define DTE_RESERVED 0x80000000000001fcu /* with HAD, which is not offered */

static u64 dte_address(const struct amdvi *a, u16 requester)
{
    return (a->devtab & AMDVI_BASE_ADDRESS) + (u64)AMDVI_DTE_SIZE * requester;
}

enum amdvi_fault amdvi_find_dte(struct amdvi *a, struct amdvi_request *q)
{
    u8 raw[AMDVI_DTE_SIZE];
    u64 bytes = (bits_get(a->devtab, 0, 9) + 1) * PAGE_SIZE;
    /* UNCLEAR: which event a device beyond the table gets; pinned by test_amdvi. */
    if ((u64)AMDVI_DTE_SIZE * q->r.requester >= bytes) {
        return AMDVI_FAULT_DEVICE_BEYOND;
    }
    if (!iommu_table_read(&a->base, dte_address(a, q->r.requester), raw, sizeof raw)) {
        return AMDVI_FAULT_DEVTAB_ACCESS;
    }
    for (unsigned i = 0; i < 4; i++) {
        q->dte[i] = load_le64(raw + 8 * i);
    }
    q->found = true;
    return AMDVI_FAULT_NONE;
}

/* ---- host tables ---- */

/* [AMDVI "Page Size Encodings"]: NextLevel 7 has the size in the lowest clear address bit. 0: it does
 * not fit the level, whose own size is 1 << shift. */
static unsigned page_shift(u64 entry, unsigned shift)
{
    u64 next = bits_get(entry, AMDVI_PTE_NEXT_SHIFT, 3);
    u64 ones = entry | PAGE_MASK | ~AMDVI_BASE_ADDRESS;
    if (next == 0) {
        return shift;
    }
    if (~ones == 0) {
        return 0;
    }
    unsigned encoded = 1 + (unsigned)__builtin_ctzll(~ones);
    return encoded > shift && encoded < shift + 9 ? encoded : 0;
}

enum amdvi_fault amdvi_walk_host(struct amdvi *a, const u64 dte[4], u64 address, bool write,
                                 u64 *spa)
{
    u64 right = write ? AMDVI_PTE_IW : AMDVI_PTE_IR;
    unsigned level = (unsigned)bits_get(dte[0], AMDVI_DTE_MODE_SHIFT, 3);
    u64 table = dte[0] & AMDVI_BASE_ADDRESS;
    bool allowed = true;
    if ((dte[0] & right) == 0) {
        return write ? AMDVI_FAULT_DTE_NO_WRITE : AMDVI_FAULT_DTE_NO_READ;
    }
    if (level == 0) {
        *spa = address;
        return AMDVI_FAULT_NONE;
    }
    if (level < 6 && address >> (12 + 9 * level) != 0) {
        return AMDVI_FAULT_BEYOND;
    }
    for (;;) {
        unsigned shift = 12 + 9 * (level - 1);
        u8 raw[8];
        if (!iommu_table_read(&a->base, table + 8 * bits_get(address >> shift, 0, 9), raw,
                              sizeof raw)) {
            return AMDVI_FAULT_TABLE_ACCESS;
        }
        u64 entry = load_le64(raw);
        unsigned next = (unsigned)bits_get(entry, AMDVI_PTE_NEXT_SHIFT, 3);
        if ((entry & AMDVI_PTE_PR) == 0) {
            return AMDVI_FAULT_NOT_PRESENT;
        }
        allowed = allowed && (entry & right) != 0;
        if (next == 0 || next == 7) {
            unsigned size = page_shift(entry, shift);
            if (size == 0) {
                return AMDVI_FAULT_PAGE_SIZE;
            }
            if (!allowed) {
                return write ? AMDVI_FAULT_NO_WRITE : AMDVI_FAULT_NO_READ;
            }
            u64 offset = BIT(size) - 1;
            *spa = (entry & AMDVI_BASE_ADDRESS & ~offset) | (address & offset);
            return AMDVI_FAULT_NONE;
        }
        if (next >= level) {
            return AMDVI_FAULT_NEXT_LEVEL;
        }
        unsigned covered = 12 + 9 * next;
        if (bits_get(address, 0, shift < 63 ? shift : 63) >> covered != 0) {
            return AMDVI_FAULT_SKIPPED;
        }
        table = entry & AMDVI_BASE_ADDRESS;
        level = next;
    }
}

/* ---- the entry ---- */

static enum amdvi_fault check_dte(const struct amdvi *a, const u64 dte[4])
{
    const struct amdvi_options *o = &a->config.options;
    u64 reserved = DTE_RESERVED;
    reserved |= o->ppr ? 0 : AMDVI_DTE_PPR | AMDVI_DTE_GPRP;
    reserved |= o->guest_tables ? 0 : AMDVI_DTE_GV | (u64)3 << AMDVI_DTE_GLX_SHIFT;
    reserved |= o->gio ? 0 : AMDVI_DTE_GIOV;
    if ((dte[0] & reserved) != 0) {
        return AMDVI_FAULT_DTE_RESERVED;
    }
    if ((dte[0] & AMDVI_DTE_TV) == 0) {
        return AMDVI_FAULT_NONE;
    }
    if (bits_get(dte[0], AMDVI_DTE_MODE_SHIFT, 3) > o->host_levels) {
        return AMDVI_FAULT_DTE_MODE;
    }
    if ((dte[0] & AMDVI_DTE_GV) != 0 &&
        (bits_get(dte[0], AMDVI_DTE_GLX_SHIFT, 2) == 3 || bits_get(dte[2], 54, 2) != 0)) {
        return AMDVI_FAULT_DTE_GUEST;
    }
    return AMDVI_FAULT_NONE;
}

/* [AMDVI "IOMMU Exclusion Base Register"] */
static bool is_excluded(const struct amdvi *a, const u64 dte[4], u64 iova)
{
    bool applies = (a->exclusion_base & 1) != 0 &&
                   ((a->exclusion_base & 2) != 0 || (dte[1] & AMDVI_DTE1_EX) != 0);
    return applies && iova >= (a->exclusion_base & AMDVI_BASE_ADDRESS) &&
           iova <= ((a->exclusion_limit & AMDVI_BASE_ADDRESS) | PAGE_MASK);
}

static enum amdvi_fault translate(struct amdvi *a, struct amdvi_request *q, u64 *spa)
{
    u64 iova = q->r.address;
    *spa = iova;
    if ((a->control & AMDVI_CTL_EN) == 0) {
        return AMDVI_FAULT_NONE;
    }
    if (iommu_in_interrupt_range(iova)) {
        return AMDVI_FAULT_INTERRUPT_ADDRESS;
    }
    enum amdvi_fault fault = amdvi_find_dte(a, q);
    if (fault != AMDVI_FAULT_NONE || (q->dte[0] & AMDVI_DTE_V) == 0) {
        return fault; /* not valid: untranslated */
    }
    fault = check_dte(a, q->dte);
    if (fault != AMDVI_FAULT_NONE || is_excluded(a, q->dte, iova)) {
        return fault;
    }
    if ((q->dte[0] & AMDVI_DTE_TV) == 0) {
        return AMDVI_FAULT_NO_TRANSLATION;
    }
    return amdvi_uses_guest_tables(a, q->dte) ? amdvi_walk_guest(a, q->dte, iova, q->r.write, spa)
                                              : amdvi_walk_host(a, q->dte, iova, q->r.write, spa);
}

/* What a unit caches: the entry with its translation on, pages under its domain. */
static void look_for_stale(struct amdvi *a, const struct amdvi_request *q, enum amdvi_fault fault, u64 spa)
{
    if (a->base.stale == NULL || !amdvi_on(a, AMDVI_CTL_EN) || iommu_in_interrupt_range(q->r.address)) {
        return;
    }
    u64 translated = AMDVI_DTE_V | AMDVI_DTE_TV;
    bool used = q->found && (q->dte[0] & translated) == translated && !is_excluded(a, q->dte, q->r.address);
    struct iommu_lookup l = {.requester = q->r.requester,
                             .write = q->r.write,
                             .allowed = fault == AMDVI_FAULT_NONE,
                             .iova = q->r.address,
                             .spa = spa,
                             .context = used ? iommu_context_digest(IOMMU_CONTEXT_SEED, q->dte, 2) : 0,
                             .domain = (u32)bits_get(q->dte[1], 0, 16),
                             .pasid = amdvi_uses_guest_tables(a, q->dte) ? 0 : IOMMU_NO_PASID};
    iommu_stale_lookup(&a->base, &l);
}

bool amdvi_translate(struct iommu *iommu, u16 requester, u64 iova, bool write, u64 *spa)
{
    struct amdvi_request q = {.r = {.requester = requester, .address = iova, .write = write}};
    enum amdvi_fault fault = translate(amdvi_of(iommu), &q, spa);
    look_for_stale(amdvi_of(iommu), &q, fault, *spa);
    if (fault != AMDVI_FAULT_NONE) {
        amdvi_report(amdvi_of(iommu), &q, fault);
        return false;
    }
    return true;
}

/* ---- for reports ---- */

void amdvi_route(struct iommu *iommu, u16 requester, struct iommu_route *route)
{
    struct amdvi *a = amdvi_of(iommu);
    struct amdvi_request q = {.r = {.requester = requester}};
    route->read = route->write = true;
    if ((a->control & AMDVI_CTL_EN) == 0) {
        route->path = IOMMU_PATH_DIRECT;
        return;
    }
    iommu_route_used(route, dte_address(a, requester));
    if (amdvi_find_dte(a, &q) != AMDVI_FAULT_NONE) {
        return;
    }
    if ((q.dte[0] & AMDVI_DTE_V) == 0) {
        route->path = IOMMU_PATH_DIRECT;
        return;
    }
    if (check_dte(a, q.dte) != AMDVI_FAULT_NONE || (q.dte[0] & AMDVI_DTE_TV) == 0) {
        return;
    }
    unsigned mode = (unsigned)bits_get(q.dte[0], AMDVI_DTE_MODE_SHIFT, 3);
    u64 root = q.dte[0] & AMDVI_BASE_ADDRESS;
    u64 cr3;
    route->domain = (u32)bits_get(q.dte[1], 0, 16);
    route->read = (q.dte[0] & AMDVI_DTE_IR) != 0;
    route->write = (q.dte[0] & AMDVI_DTE_IW) != 0;
    if (!amdvi_uses_guest_tables(a, q.dte)) {
        route->path = mode != 0 ? IOMMU_PATH_AMD_HOST : IOMMU_PATH_DIRECT;
        route->root = mode != 0 ? root : 0;
        route->levels = (u8)mode;
    } else if (amdvi_guest_cr3(a, q.dte, route, &cr3) == AMDVI_FAULT_NONE) {
        route->path = IOMMU_PATH_AMD_GUEST;
        route->root = cr3;
        route->levels = 4;
        route->host_root = mode != 0 ? root : 0;
        route->host_levels = (u8)mode;
    }
}
