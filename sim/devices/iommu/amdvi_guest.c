/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guest tables [AMDVI "Guest CR3 Table", "I/O Page Tables for Guest Translations"]: requests without
 * PASID go through those of PASID 0 where the device table entry says so (GIoV). The tables have the
 * processors' format and lie in guest-physical memory, which the host tables translate; the guest CR3
 * table lies in system-physical memory.
 *
 * Accessed and dirty bits are set once the whole walk is known to succeed. Requests are users'. Left
 * out: PASIDs, since no device sends any; 5 levels. */
#include "base/bytes.h"
#include "devices/iommu/amdvi_priv.h"

#define G_PRESENT BIT(0)
#define G_WRITE BIT(1)
#define G_USER BIT(2)
#define G_ACCESSED BIT(5)
#define G_DIRTY BIT(6)
#define G_PS BIT(7)

bool amdvi_uses_guest_tables(const struct amdvi *a, const u64 dte[4])
{
    u64 both = AMDVI_DTE_GV | AMDVI_DTE_GIOV;
    return (a->control & AMDVI_CTL_GT_EN) != 0 && (dte[0] & both) == both;
}

u64 amdvi_gcr3_root(const u64 dte[4])
{
    return bits_get(dte[0], 58, 3) << 12 | bits_get(dte[1], 16, 16) << 15 |
           (dte[1] >> 43) << 31;
}

enum amdvi_fault amdvi_guest_cr3(struct amdvi *a, const u64 dte[4], struct iommu_route *route,
                                 u64 *cr3)
{
    unsigned levels = (unsigned)bits_get(dte[0], AMDVI_DTE_GLX_SHIFT, 2) + 1;
    u64 table = amdvi_gcr3_root(dte);
    for (unsigned i = 0; i < levels; i++) { /* PASID 0: the first entry of each */
        u8 raw[8];
        if (route != NULL) {
            iommu_route_used(route, table);
        }
        if (!iommu_table_read(&a->base, table, raw, sizeof raw)) {
            return AMDVI_FAULT_GCR3_ACCESS;
        }
        u64 entry = load_le64(raw);
        if ((entry & 1) == 0) {
            return AMDVI_FAULT_GCR3_INVALID;
        }
        table = entry & AMDVI_BASE_ADDRESS;
    }
    *cr3 = table;
    return AMDVI_FAULT_NONE;
}

static enum amdvi_fault check_entry(u64 entry, unsigned level, bool leaf, bool write)
{
    u64 size_bits = (BIT(12 + 9 * (level - 1)) - 1) & AMDVI_BASE_ADDRESS & ~BIT(12); /* 12: PAT */
    if ((entry & G_PRESENT) == 0) {
        return AMDVI_FAULT_GUEST_NOT_PRESENT;
    }
    if ((level == 4 && (entry & G_PS) != 0) || (leaf && level > 1 && (entry & size_bits) != 0)) {
        return AMDVI_FAULT_GUEST_RESERVED;
    }
    if ((entry & G_USER) == 0) {
        return AMDVI_FAULT_GUEST_SUPERVISOR;
    }
    return write && (entry & G_WRITE) == 0 ? AMDVI_FAULT_GUEST_NO_WRITE : AMDVI_FAULT_NONE;
}

static bool set_flags(struct amdvi *a, u64 spa, u64 entry, u64 flags)
{
    u8 raw[8];
    if ((entry & flags) == flags) {
        return true;
    }
    store_le64(raw, entry | flags);
    return iommu_table_write(&a->base, spa, raw, sizeof raw);
}

enum amdvi_fault amdvi_walk_guest(struct amdvi *a, const u64 dte[4], u64 address, bool write,
                                  u64 *spa)
{
    u64 at[5], entries[5], table;
    enum amdvi_fault fault = amdvi_guest_cr3(a, dte, NULL, &table);
    if (fault != AMDVI_FAULT_NONE) {
        return fault;
    }
    if (address >> 47 != 0 && address >> 47 != 0x1ffff) {
        return AMDVI_FAULT_GUEST_NOT_CANONICAL;
    }
    for (unsigned level = 4;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        u8 raw[8];
        fault = amdvi_walk_host(a, dte, table + 8 * bits_get(address, shift, 9), false, &at[level]);
        if (fault != AMDVI_FAULT_NONE) {
            return fault;
        }
        if (!iommu_table_read(&a->base, at[level], raw, sizeof raw)) {
            return AMDVI_FAULT_GUEST_ACCESS;
        }
        u64 entry = load_le64(raw);
        bool leaf = level == 1 || (level < 4 && (entry & G_PS) != 0);
        fault = check_entry(entry, level, leaf, write);
        if (fault != AMDVI_FAULT_NONE) {
            return fault;
        }
        entries[level] = entry;
        table = entry & AMDVI_BASE_ADDRESS;
        if (!leaf) {
            continue;
        }
        u64 offset = BIT(shift) - 1;
        fault = amdvi_walk_host(a, dte, (table & ~offset) | (address & offset), write, spa);
        if (fault != AMDVI_FAULT_NONE) {
            return fault;
        }
        for (unsigned i = 4; i >= level; i--) {
            u64 flags = G_ACCESSED | (i == level && write ? G_DIRTY : 0);
            if (!set_flags(a, at[i], entries[i], flags)) {
                return AMDVI_FAULT_GUEST_ACCESS;
            }
        }
        return AMDVI_FAULT_NONE;
    }
}
