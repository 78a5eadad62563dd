/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks of the extended page tables. [SDM3 "The Extended Page Table Mechanism (EPT)"]
 *
 * Memory types of the entries are checked but have no effect. Left out: supervisor shadow-stack
 * control, paging-write control; a write over several 128-byte sub-pages is judged by the first one. */
#include "mmu/ept.h"

#include "abi/x86/vmx.h"
#include "base/bits.h"
#include "base/bytes.h"

#define EPT_ADDRESS 0x000ffffffffff000u
#define EPT_TYPE_SHIFT 3

static bool refuse(struct walk_result *res, bool misconfigured, const char *why)
{
    res->misconfigured = misconfigured;
    res->why = why;
    return false;
}

static u64 rights_mask(const struct walk_nested *n)
{
    return EPT_R | EPT_W | EPT_X | ((n->flags & EPT_FLAG_MBEC) != 0 ? EPT_XU : 0u);
}

/* [SDM3 "EPT Misconfigurations"]: NULL, or the rule that a present entry breaks. */
static const char *misconfigured(const struct walk_nested *n, u64 entry, unsigned level, bool leaf)
{
    if ((entry & (EPT_R | EPT_W)) == EPT_W) {
        return "EPT entry writable but not readable";
    }
    bool executes = (entry & EPT_X) != 0 || ((n->flags & EPT_FLAG_MBEC) != 0 && (entry & EPT_XU) != 0);
    if ((entry & EPT_R) == 0 && executes && (n->flags & EPT_FLAG_EXEC_ONLY) == 0) {
        return "EPT entry execute-only";
    }
    u64 reserved = n->reserved & EPT_ADDRESS;
    if (!leaf) {
        reserved |= level >= 4 ? 0xf8u : 0x78u;
        if (level == 3 && (n->flags & EPT_FLAG_1GB) == 0) {
            reserved |= EPT_LARGE;
        }
        if (level == 2 && (n->flags & EPT_FLAG_2MB) == 0) {
            reserved |= EPT_LARGE;
        }
    } else if (level > 1) {
        reserved |= level == 2 ? 0x1ff000u : 0x3ffff000u;
    }
    if ((entry & reserved) != 0) {
        return "reserved bit set in an EPT entry";
    }
    unsigned type = (unsigned)(entry >> EPT_TYPE_SHIFT) & 7;
    if (leaf && (type == 2 || type == 3 || type == 7)) {
        return "EPT memory type reserved";
    }
    return NULL;
}

/* Flags are set behind the backs of those who watch the table: what derives from it stays right. */
static void set_flags(struct phys *phys, spa_t at, u64 entry)
{
    u64 frame;
    u8 *host;
    bool writable;
    if (phys_page(phys, at, &frame, &host, &writable) && writable &&
        (phys->pages[frame].flags & (PAGE_HAS_CODE | PAGE_TRAPPED)) == 0) {
        phys_note_write(phys, frame);
        store_le(host + (at.v & PAGE_MASK), entry, 8);
    } else {
        phys_write_scalar(phys, at, entry, 8);
    }
}

/* [SDM3 "Sub-Page Write Permissions"]: a write that only the last entry forbids, an entry which leaves it to the
 * sub-page permission table. */
static bool subpage_allows(struct phys *phys, const struct walk_nested *n, u64 gpa, struct walk_result *res)
{
    u64 table = n->spp_table;
    for (unsigned level = 4; level > 1; level--) {
        u64 index = (gpa >> (PAGE_SHIFT + (level - 1) * 9)) & 511;
        u64 entry = phys_read_scalar(phys, SPA(table + index * 8), 8);
        if ((entry & 1) == 0) {
            res->spp_missing = true;
            return refuse(res, false, "SPP entry not valid");
        }
        if ((entry & ~(EPT_ADDRESS | 1)) != 0 || (entry & n->reserved & EPT_ADDRESS) != 0) {
            res->spp_misconfigured = true;
            return refuse(res, false, "reserved bit set in an SPP entry");
        }
        table = entry & EPT_ADDRESS;
    }
    u64 permissions = phys_read_scalar(phys, SPA(table + ((gpa >> PAGE_SHIFT) & 511) * 8), 8);
    if ((permissions & 0xaaaaaaaaaaaaaaaau) != 0) {
        res->spp_misconfigured = true;
        return refuse(res, false, "reserved bit set in an SPP entry");
    }
    res->spp_used = ((permissions >> (2 * ((gpa >> 7) & 31))) & 1) != 0;
    return res->spp_used || refuse(res, false, "sub-page permission forbids the write");
}

static bool allowed(const struct walk_nested *n, const struct walk_result *res, unsigned access, bool write,
                    u64 rights)
{
    if (write && (rights & EPT_W) == 0) {
        return false;
    }
    if ((access & WALK_EXEC) != 0) {
        bool user = (n->flags & EPT_FLAG_MBEC) != 0 && res->user && !res->nested_on_table;
        return (rights & (user ? EPT_XU : EPT_X)) != 0;
    }
    return write || (rights & EPT_R) != 0;
}

struct ept_step {
    spa_t at;
    u64 entry;
};

/* Accessed flags on the path, the dirty flag of the leaf, and its page-modification log entry. */
static bool mark(struct phys *phys, const struct walk_nested *n, u64 gpa, bool write, struct ept_step *step,
                 unsigned steps, struct walk_result *res)
{
    struct ept_step *leaf = &step[steps - 1];
    bool sets_dirty = write && (leaf->entry & EPT_D) == 0;
    if (sets_dirty && n->log_room != WALK_LOG_UNLIMITED) {
        if (res->dirty_count >= n->log_room || res->dirty_count >= WALK_LOG_MAX) {
            res->log_full = true;
            return refuse(res, false, "page-modification log full");
        }
        res->dirty_gpa[res->dirty_count++] = gpa;
    }
    for (unsigned i = 0; i < steps; i++) {
        u64 want = step[i].entry | EPT_A;
        if (i + 1 == steps && write) {
            want |= EPT_D;
        }
        if (want != step[i].entry) {
            set_flags(phys, step[i].at, want);
        }
    }
    return true;
}

bool ept_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                   struct walk_result *res, u64 *spa, u64 *bytes)
{
    unsigned level = n->mode == PAGING_5LEVEL ? 5 : 4;
    bool ad = (n->flags & EPT_FLAG_AD) != 0;
    bool write = (access & WALK_WRITE) != 0 || (res->nested_on_table && ad && (access & WALK_PROBE) == 0);
    u64 rights = EPT_R | EPT_W | EPT_X | EPT_XU;
    u64 table = n->table;
    struct ept_step step[5];
    unsigned steps = 0;
    res->misconfigured = false;
    res->nested_write = (access & WALK_WRITE) != 0;
    if (level == 4 && (gpa >> 48) != 0) {
        res->nested_rights = 0;
        res->nested_entry = 0;
        return refuse(res, false, "guest-physical address beyond the 4-level walk");
    }
    for (;; level--) {
        unsigned shift = PAGE_SHIFT + (level - 1) * 9;
        spa_t at = SPA(table + ((gpa >> shift) & 511) * 8);
        u64 entry = phys_read_scalar(phys, at, 8);
        step[steps++] = (struct ept_step){.at = at, .entry = entry};
        if (res->nested_steps < WALK_NESTED_MAX) {
            res->nested_table[res->nested_steps++] = at;
        }
        res->nested_entry = entry;
        if ((entry & rights_mask(n)) == 0) {
            res->nested_rights = 0;
            return refuse(res, false, "EPT entry not present");
        }
        bool large = level > 1 && level <= 3 && (entry & EPT_LARGE) != 0 &&
                     (n->flags & (level == 3 ? EPT_FLAG_1GB : EPT_FLAG_2MB)) != 0;
        bool leaf = large || level == 1;
        const char *why = misconfigured(n, entry, level, leaf);
        if (why != NULL) {
            res->nested_rights = 0;
            return refuse(res, true, why);
        }
        rights &= entry;
        if (leaf) {
            res->nested_rights = (rights & 7) | ((rights & EPT_XU) != 0 ? 8u : 0u);
            /* UNCLEAR: any entry of the walk may be the one that forbids writes, as in Bochs. */
            bool subpages = (n->flags & EPT_FLAG_SPP) != 0 && level == 1 && (entry & EPT_SPP) != 0 &&
                            (rights & (EPT_R | EPT_W)) == EPT_R && !res->nested_on_table &&
                            (access & (WALK_WRITE | WALK_SHADOW)) == WALK_WRITE;
            if (subpages) {
                if (!subpage_allows(phys, n, gpa, res)) {
                    return false;
                }
            } else if (!allowed(n, res, access, write, rights)) {
                return refuse(res, false, "EPT rights forbid the access");
            }
            *bytes = BIT(shift);
            *spa = (entry & EPT_ADDRESS & ~(*bytes - 1)) | (gpa & (*bytes - 1));
            break;
        }
        table = entry & EPT_ADDRESS;
    }
    return !ad || (access & WALK_PROBE) != 0 || mark(phys, n, gpa, write, step, steps, res);
}
