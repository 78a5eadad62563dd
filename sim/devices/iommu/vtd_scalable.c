/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scalable mode [VTD "Scalable-mode Address Translation"]: context entries, PASID directory and
 * table, first-level tables. Devices here send no PASID, so RID_PASID of the context entry decides.
 *
 * First-level tables get their accessed and dirty bits set as they are used; extended access flags
 * are not offered. Left out: nested translation, 5 levels, accessed and dirty bits of second-level
 * tables; entries that ask for them are invalid. */
#include "base/bytes.h"
#include "devices/iommu/vtd_priv.h"

#define ADDRESS_BITS 0x000ffffffffff000u

#define FL_PRESENT BIT(0)
#define FL_WRITE BIT(1)
#define FL_USER BIT(2)
#define FL_ACCESSED BIT(5)
#define FL_DIRTY BIT(6)
#define FL_PS BIT(7)
#define FL_NX BIT(63)

/* What a PASID table entry says, and how the request comes. */
struct scalable {
    u64 pasid_entry[8];
    bool privileged; /* RID_PRIV */
    u64 context;     /* digest of the context entry */
    u32 pasid;
};

static u64 fl_reserved(const struct vtd *v, const struct scalable *s, u64 entry, unsigned level,
                       bool leaf)
{
    u64 reserved = vtd_beyond_haw(v);
    if (level == 4) {
        reserved |= FL_PS;
    } else if (leaf && level > 1) {
        reserved |= (BIT(12 + 9 * (level - 1)) - 1) & ADDRESS_BITS & ~BIT(12); /* bit 12 is PAT */
    }
    if ((s->pasid_entry[2] & BIT(5)) == 0) {
        reserved |= FL_NX; /* NXE is clear */
    }
    return entry & reserved;
}

static bool set_flags(struct vtd *v, u64 at, u64 entry, u64 flags)
{
    u8 raw[8];
    if ((entry & flags) == flags) {
        return true;
    }
    store_le64(raw, entry | flags);
    return iommu_table_write(&v->base, at, raw, sizeof raw);
}

static enum vtd_fault_code fl_check(const struct vtd *v, const struct scalable *s,
                                    const struct vtd_request *r, u64 entry, unsigned level,
                                    bool leaf)
{
    if ((entry & FL_PRESENT) == 0) {
        return VTD_FAULT_FL_NOT_PRESENT;
    }
    if (fl_reserved(v, s, entry, level, leaf) != 0) {
        return VTD_FAULT_FL_RESERVED;
    }
    if (!s->privileged && (entry & FL_USER) == 0) {
        return VTD_FAULT_FL_SUPERVISOR;
    }
    bool protects = !s->privileged || (s->pasid_entry[2] & BIT(4)) != 0; /* WPE */
    if (r->write && protects && (entry & FL_WRITE) == 0) {
        return VTD_FAULT_SM_NO_WRITE;
    }
    return VTD_FAULT_NONE;
}

/* [VTD "First-Level Translation"]. Flags are set once the whole walk is known to succeed. */
static enum vtd_fault_code walk_first_level(struct vtd *v, const struct scalable *s,
                                            const struct vtd_request *r, u64 *spa)
{
    u64 at[5], entries[5];
    u64 table = s->pasid_entry[2] & ADDRESS_BITS;
    u64 upper = r->address >> 47;
    if (upper != 0 && upper != 0x1ffff) {
        return VTD_FAULT_FL_NOT_CANONICAL;
    }
    for (unsigned level = 4;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        u8 raw[8];
        at[level] = table + 8 * bits_get(r->address, shift, 9);
        if (!iommu_table_read(&v->base, at[level], raw, sizeof raw)) {
            return level == 4 ? VTD_FAULT_FL_PML4_ACCESS : VTD_FAULT_FL_ACCESS;
        }
        u64 entry = load_le64(raw);
        bool leaf = level == 1 || (level < 4 && (entry & FL_PS) != 0);
        enum vtd_fault_code code = fl_check(v, s, r, entry, level, leaf);
        if (code != VTD_FAULT_NONE) {
            return code;
        }
        entries[level] = entry;
        table = entry & ADDRESS_BITS;
        if (!leaf) {
            continue;
        }
        for (unsigned i = 4; i >= level; i--) {
            u64 flags = FL_ACCESSED | (i == level && r->write ? FL_DIRTY : 0);
            if (!set_flags(v, at[i], entries[i], flags)) {
                return VTD_FAULT_FL_ACCESS;
            }
        }
        *spa = (table & ~(BIT(shift) - 1)) | (r->address & (BIT(shift) - 1));
        return VTD_FAULT_NONE;
    }
}

/* [VTD "Scalable-Mode PASID Table Entry"] */
static enum vtd_fault_code translate_by_pasid_entry(struct vtd *v, const struct scalable *s,
                                                    struct vtd_request *r, u64 *spa)
{
    static const struct vtd_sl_codes codes = {.beyond = VTD_FAULT_SM_BEYOND_SL,
                                              .access = VTD_FAULT_SM_SL_ACCESS,
                                              .reserved = VTD_FAULT_SM_SL_RESERVED,
                                              .no_read = VTD_FAULT_SM_NO_READ,
                                              .no_write = VTD_FAULT_SM_NO_WRITE};
    const u64 *e = s->pasid_entry;
    const struct vtd_options *o = &v->config.options;
    unsigned aw = (unsigned)bits_get(e[0], 2, 3);
    u64 kind = bits_get(e[0], 6, 3);
    if (s->privileged && (e[2] & 1) == 0) {
        return VTD_FAULT_SM_SRE_CLEAR;
    }
    r->context = iommu_context_digest(s->context, e, 8);
    r->domain = (u32)bits_get(e[1], 0, 16);
    r->pasid = kind == VTD_PGTT_FIRST_LEVEL ? s->pasid : IOMMU_NO_PASID;
    if (kind == VTD_PGTT_FIRST_LEVEL && o->first_level) {
        /* FLPM: 4 levels; EAFE is not offered. */
        return bits_get(e[2], 2, 2) != 0 || (e[2] & BIT(7)) != 0 ? VTD_FAULT_SM_PASID_INVALID
                                                                 : walk_first_level(v, s, r, spa);
    }
    if (kind == VTD_PGTT_SECOND_LEVEL && o->second_level) {
        /* SLADE: accessed and dirty bits */
        return !vtd_supports_aw(v, aw) || (e[0] & BIT(9)) != 0
                   ? VTD_FAULT_SM_PASID_INVALID
                   : vtd_walk_second_level(v, r, e[0] & ADDRESS_BITS, aw, &codes, spa);
    }
    if (kind == VTD_PGTT_PASS_THROUGH && (v->ecap & VTD_ECAP_PT) != 0) {
        *spa = r->address;
        return r->address >> v->config.phys_bits != 0 ? VTD_FAULT_SM_BEYOND_HARDWARE
                                                      : VTD_FAULT_NONE;
    }
    return VTD_FAULT_SM_PASID_INVALID;
}

/* [VTD "Scalable-Mode PASID Directory Entry"] */
static enum vtd_fault_code find_pasid_entry(struct vtd *v, struct vtd_request *r,
                                            const u64 context[4], struct scalable *s)
{
    u64 pasid = bits_get(context[1], 0, 20);
    u64 entries = (u64)1 << (bits_get(context[0], 9, 3) + 7);
    u8 raw[64];
    if (pasid >> 6 >= entries) {
        return VTD_FAULT_SM_PASID_TOO_LARGE;
    }
    if (!iommu_table_read(&v->base, (context[0] & ADDRESS_BITS) + 8 * (pasid >> 6), raw, 8)) {
        return VTD_FAULT_SM_DIRECTORY_ACCESS;
    }
    u64 directory = load_le64(raw);
    r->fpd = r->fpd || (directory & 2) != 0;
    if ((directory & 1) == 0) {
        return VTD_FAULT_SM_DIRECTORY_NOT_PRESENT;
    }
    if ((directory & (0xffc | vtd_beyond_haw(v))) != 0) {
        return VTD_FAULT_SM_DIRECTORY_RESERVED;
    }
    if (!iommu_table_read(&v->base, (directory & ADDRESS_BITS) + 64 * (pasid & 63), raw, sizeof raw)) {
        return VTD_FAULT_SM_PASID_ACCESS;
    }
    u64 reserved = 0;
    for (unsigned i = 0; i < 8; i++) {
        s->pasid_entry[i] = load_le64(raw + 8 * i);
        reserved |= i > 2 ? s->pasid_entry[i] : 0;
    }
    const u64 *e = s->pasid_entry;
    r->fpd = r->fpd || (e[0] & 2) != 0;
    if ((e[0] & 1) == 0) {
        return VTD_FAULT_SM_PASID_NOT_PRESENT;
    }
    reserved |= (e[0] | e[2]) & vtd_beyond_haw(v);
    return reserved != 0 ? VTD_FAULT_SM_PASID_RESERVED : VTD_FAULT_NONE;
}

/* [VTD "Scalable-Mode Root Entry", "Scalable-Mode Context Entry"] */
enum vtd_fault_code vtd_translate_scalable(struct vtd *v, struct vtd_request *r, u64 *spa)
{
    u8 raw[32];
    unsigned upper = r->requester >> 7 & 1; /* functions 128 and up have a table of their own */
    u64 at = (v->root & ADDRESS_BITS) + 16u * (r->requester >> 8) + 8 * upper;
    if (!iommu_table_read(&v->base, at, raw, 8)) {
        return VTD_FAULT_SM_ROOT_ACCESS;
    }
    u64 root = load_le64(raw);
    if ((root & 1) == 0) {
        return VTD_FAULT_SM_ROOT_NOT_PRESENT;
    }
    if ((root & (0xffe | vtd_beyond_haw(v))) != 0) {
        return VTD_FAULT_SM_ROOT_RESERVED;
    }
    at = (root & ADDRESS_BITS) + 32u * (r->requester & 0x7f);
    if (!iommu_table_read(&v->base, at, raw, sizeof raw)) {
        return VTD_FAULT_SM_CONTEXT_ACCESS;
    }
    u64 context[4];
    for (unsigned i = 0; i < 4; i++) {
        context[i] = load_le64(raw + 8 * i);
    }
    r->fpd = (context[0] & 2) != 0;
    if ((context[0] & 1) == 0) {
        return VTD_FAULT_SM_CONTEXT_NOT_PRESENT;
    }
    /* DTE and PRE are reserved without device TLBs and page requests. */
    if ((context[0] & (0x1f4 | vtd_beyond_haw(v))) != 0 || context[1] >> 21 != 0 ||
        context[2] != 0 || context[3] != 0) {
        return VTD_FAULT_SM_CONTEXT_RESERVED;
    }
    struct scalable s = {.privileged = (context[1] & BIT(20)) != 0,
                         .context = iommu_context_digest(IOMMU_CONTEXT_SEED, context, 4),
                         .pasid = (u32)bits_get(context[1], 0, 20)};
    enum vtd_fault_code code = find_pasid_entry(v, r, context, &s);
    return code != VTD_FAULT_NONE ? code : translate_by_pasid_entry(v, &s, r, spa);
}
