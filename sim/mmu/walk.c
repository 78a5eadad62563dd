/* SPDX-License-Identifier: GPL-3.0-or-later */
/* [SDM3 "Paging"]: 32-bit, PAE, 4-level and 5-level. Reads every entry from memory each time. The
 * order is the manual's: present, reserved bits, then rights over the whole path; accessed bits
 * are set only when the walk succeeds in rights, as late as the manual permits. */
#include "mmu/walk.h"

#include "abi/x86/registers.h"
#include "mmu/nested.h"
#include "mmu/table.h"

static bool fail(const struct walk_root *root, unsigned access, struct walk_result *res, u32 error,
                 const char *why)
{
    u32 e = error;
    e |= (access & WALK_WRITE) != 0 ? PF_W : 0u;
    e |= (access & WALK_USER) != 0 ? PF_U : 0u;
    e |= (access & WALK_SHADOW) != 0 ? PF_SS : 0u;
    if ((access & WALK_EXEC) != 0 && (root->flags & (WALK_NXE | WALK_SMEP)) != 0) {
        e |= PF_I;
    }
    res->error = e;
    res->why = why;
    return false;
}

/* Does the page's protection key forbid this data access? [SDM3 "Protection Keys"] */
static bool key_denies(const struct walk_root *root, unsigned access, const struct walk_result *res)
{
    if ((root->flags & (res->user ? WALK_PKE : WALK_PKS)) == 0 || root->mode < PAGING_4LEVEL ||
        (access & WALK_EXEC) != 0) {
        return false;
    }
    u32 bits = (res->user ? root->pkru : root->pkrs) >> (2 * res->pkey);
    bool write_denied = (bits & 2) != 0 &&
                        ((access & WALK_USER) != 0 || (root->flags & WALK_WP) != 0);
    return (bits & 1) != 0 || ((access & WALK_WRITE) != 0 && write_denied);
}

static bool check_rights(const struct walk_root *root, unsigned access, struct walk_result *res,
                         bool shadow_page)
{
    bool user_access = (access & WALK_USER) != 0;
    u32 f = root->flags;
    if (user_access && !res->user) {
        return fail(root, access, res, PF_P, "user access to a supervisor page");
    }
    /* A forbidding key shows in the error code whatever else is wrong with a data access. */
    u32 p = key_denies(root, access, res) ? PF_P | PF_PK : PF_P;
    if ((access & WALK_SHADOW) != 0) {
        if (!shadow_page) {
            return fail(root, access, res, PF_P, "shadow-stack access to an ordinary page");
        }
        if (user_access != res->user) {
            return fail(root, access, res, PF_P, "shadow-stack access with the other privilege");
        }
        return true;
    }
    if (!user_access && res->user) {
        if ((access & WALK_EXEC) != 0) {
            if ((f & WALK_SMEP) != 0) {
                return fail(root, access, res, PF_P, "SMEP: supervisor fetch from a user page");
            }
        } else if ((f & WALK_SMAP) != 0 && (access & WALK_AC) == 0) {
            return fail(root, access, res, p, "SMAP: supervisor access to a user page");
        }
    }
    if ((access & WALK_EXEC) != 0) {
        return res->no_execute ? fail(root, access, res, PF_P, "fetch from a no-execute page") : true;
    }
    if ((access & WALK_WRITE) != 0) {
        if (shadow_page && (f & WALK_CET) != 0 && (user_access || (f & WALK_WP) != 0)) {
            return fail(root, access, res, p, "write to a shadow-stack page");
        }
        if (!res->writable && (user_access || (f & WALK_WP) != 0)) {
            return fail(root, access, res, p, "write to a read-only page");
        }
    }
    return p == PF_P || fail(root, access, res, p, "protection key");
}

/* Guest-physical to system-physical. `access` is WALK_READ, WALK_WRITE or WALK_EXEC; *bytes: how much around the
 * address one page of the second level maps. */
static bool to_system(struct phys *phys, const struct walk_root *root, u64 gpa, unsigned access,
                      bool on_table, struct walk_result *res, u64 *spa, u64 *bytes)
{
    if (root->nested.kind == NESTED_NONE) {
        *spa = gpa;
        *bytes = ~(u64)0;
        return true;
    }
    res->gpa = GPA(gpa);
    res->nested_on_table = on_table;
    if (nested_translate(phys, &root->nested, gpa, access, res, spa, bytes)) {
        return true;
    }
    res->nested_failed = true;
    return false;
}

/* Set A and D bits of the steps taken. */
static bool mark(struct phys *phys, const struct walk_root *root, unsigned access,
                 struct walk_result *res)
{
    unsigned size = root->mode == PAGING_32 ? 4 : 8;
    for (unsigned i = 0; i < res->steps; i++) {
        struct walk_step *s = &res->step[i];
        u64 want = root->mode == PAGING_PAE && s->level == 3 ? s->entry : s->entry | PTE_A;
        if (i + 1 == res->steps && (access & WALK_WRITE) != 0) {
            want |= PTE_D;
        }
        if (want != s->entry) {
            u64 spa, bytes;
            if (root->nested.kind == NESTED_EPT &&
                !to_system(phys, root, s->entry_gpa, WALK_WRITE, true, res, &spa, &bytes)) {
                return false;
            }
            s->entry = want;
            phys_write_scalar(phys, s->entry_at, want, size);
        }
    }
    return true;
}

bool walk_linear(struct phys *phys, const struct walk_root *root, u64 lin, unsigned access,
                 struct walk_result *res)
{
    *res = (struct walk_result){.user = true, .writable = true};
    u64 spa;
    u64 nested_bytes;
    /* A guest's tables are read, and written when A or D bits are kept: the second level decides on rights. */
    unsigned table_access = WALK_READ | (access & WALK_PROBE);
    if (root->mode == PAGING_NONE) {
        if (!to_system(phys, root, lin, access, false, res, &spa, &nested_bytes)) {
            return false;
        }
        res->spa = SPA(spa);
        res->gpa = GPA(lin);
        res->page_bytes = PAGE_SIZE;
        return true;
    }
    bool narrow = root->mode == PAGING_32;
    unsigned entry_bits = narrow ? 10 : 9;
    unsigned level = narrow ? 2 : root->mode == PAGING_PAE ? 2 : root->mode == PAGING_4LEVEL ? 4 : 5;
    u64 table = root->table;
    if (root->mode == PAGING_PAE && (root->flags & WALK_PDPT_IN_MEMORY) != 0) {
        level = 3;
    } else if (root->mode == PAGING_PAE) {
        u64 pdpte = root->pdpte[(lin >> 30) & 3];
        if ((pdpte & PTE_P) == 0) {
            return fail(root, access, res, 0, "page-directory pointer not present");
        }
        table = pdpte & PTE_ADDRESS;
    }
    u64 entry;
    unsigned shift;
    for (;; level--) {
        shift = PAGE_SHIFT + (level - 1) * entry_bits;
        u64 index = (lin >> shift) & (root->mode == PAGING_PAE && level == 3 ? 3 : BIT(entry_bits) - 1);
        if (!to_system(phys, root, table + index * (narrow ? 4 : 8), table_access, true, res, &spa,
                       &nested_bytes)) {
            return false;
        }
        spa_t at = SPA(spa);
        entry = phys_read_scalar(phys, at, narrow ? 4 : 8);
        res->step[res->steps++] = (struct walk_step){
            .entry_at = at, .entry_gpa = table + index * (narrow ? 4 : 8), .entry = entry, .level = (u8)level};
        if ((entry & PTE_P) == 0) {
            return fail(root, access, res, 0, "entry not present");
        }
        bool pdpte = root->mode == PAGING_PAE && level == 3;
        bool large = level > 1 && level <= 3 && !pdpte && (entry & PTE_PS) != 0 &&
                     (!narrow || (root->flags & WALK_PSE) != 0) &&
                     (level < 3 || (root->flags & WALK_1GB) != 0);
        if ((entry & table_reserved_bits(root->mode, root->flags, root->reserved, level, large)) != 0) {
            return fail(root, access, res, PF_P | PF_RSVD, "reserved bit set in an entry");
        }
        if (pdpte) {
            table = entry & PTE_ADDRESS;
            continue;
        }
        bool leaf = large || level == 1;
        res->user = res->user && (entry & PTE_U) != 0;
        /* A shadow-stack page has W = 0 only in its last entry. */
        bool shadow_page = leaf && res->writable && (entry & (PTE_W | PTE_D)) == PTE_D;
        res->writable = res->writable && (entry & PTE_W) != 0;
        if (!narrow && (root->flags & WALK_NXE) != 0) {
            res->no_execute = res->no_execute || (entry & PTE_NX) != 0;
        }
        if (leaf) {
            res->page_bytes = BIT(shift);
            res->pkey = (u32)(entry >> 59) & 15;
            res->dirty = (entry & PTE_D) != 0;
            res->cache_bits = (u8)(((entry >> 3) & 3) | ((entry >> (large ? 10 : 5)) & 4));
            if (!check_rights(root, access, res, shadow_page)) {
                return false;
            }
            u64 base = entry & PTE_ADDRESS;
            if (narrow) {
                base &= 0xfffff000u;
                if (large) {
                    base = (entry & 0xffc00000u) |
                           ((root->flags & WALK_PSE36) != 0 ? bits_get(entry, 13, 8) << 32 : 0);
                }
            }
            base &= ~(res->page_bytes - 1);
            u64 gpa = base | (lin & (res->page_bytes - 1));
            if (!to_system(phys, root, gpa, access, false, res, &spa, &nested_bytes)) {
                return false;
            }
            res->gpa = GPA(gpa);
            res->spa = SPA(spa);
            break;
        }
        table = narrow ? entry & 0xfffff000u : entry & PTE_ADDRESS;
    }
    if ((access & WALK_PROBE) == 0) {
        gpa_t final = res->gpa;
        if (!mark(phys, root, access, res)) {
            return false;
        }
        res->gpa = final;
        res->dirty = res->dirty || (access & WALK_WRITE) != 0;
    }
    return true;
}
