/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nested paging: guest-physical to system-physical by a host's ordinary page tables, in any of the host's
 * paging modes. [APM2 "Nested Paging"]
 *
 * Every access counts as a user access; accesses to the guest's own tables count as writes, since
 * A and D bits may be set there, and ignore NX. With guest mode execute trap (GMET) the U bit belongs to
 * fetches alone: a guest's supervisor code must not come from user pages, its user code not from
 * supervisor pages. Left out: supervisor shadow stack checks, encryption. */
#include "mmu/nested_priv.h"

#include "abi/x86/registers.h"
#include "mmu/table.h"

static bool fail(const struct walk_nested *n, unsigned access, struct walk_result *res, u32 error,
                 const char *why)
{
    u32 e = error | PF_U;
    e |= (access & WALK_WRITE) != 0 ? PF_W : 0u;
    if ((access & WALK_EXEC) != 0 && (n->flags & (WALK_NXE | WALK_SMEP)) != 0) {
        e |= PF_I;
    }
    res->error = e;
    res->why = why;
    return false;
}

static bool check_rights(const struct walk_nested *n, unsigned access, struct walk_result *res, bool user,
                         bool writable, bool no_execute)
{
    bool gmet = (n->flags & WALK_NPT_GMET) != 0;
    if (!gmet && !user) {
        return fail(n, access, res, PF_P, "NPT: supervisor page");
    }
    if ((access & WALK_WRITE) != 0 && !writable) {
        return fail(n, access, res, PF_P, "NPT: write to a read-only page");
    }
    if ((access & WALK_EXEC) == 0) {
        return true;
    }
    if (no_execute) {
        return fail(n, access, res, PF_P, "NPT: fetch from a no-execute page");
    }
    if (gmet && user != ((access & WALK_USER) != 0)) {
        return fail(n, access, res, PF_P, "NPT: GMET: fetch from a page of the other privilege");
    }
    return true;
}

bool npt_translate(struct phys *phys, const struct walk_nested *n, u64 gpa, unsigned access,
                   struct walk_result *res, u64 *spa, u64 *bytes)
{
    if (res->nested_on_table) {
        access = (access & ~(unsigned)(WALK_READ | WALK_EXEC)) | WALK_WRITE;
    }
    bool narrow = n->mode == PAGING_32;
    unsigned size = narrow ? 4 : 8;
    unsigned entry_bits = narrow ? 10 : 9;
    unsigned level = narrow ? 2 : n->mode == PAGING_PAE ? 3 : n->mode == PAGING_4LEVEL ? 4 : 5;
    unsigned address_bits = narrow || n->mode == PAGING_PAE ? 32 : n->mode == PAGING_4LEVEL ? 48 : 57;
    u64 table = n->table;
    bool user = true, writable = true, no_execute = false;
    struct {
        u64 at, entry;
    } path[5];
    unsigned steps = 0;
    if (n->mode == PAGING_NONE) {
        *spa = gpa;
        *bytes = ~(u64)0;
        return true;
    }
    if ((gpa >> address_bits) != 0) {
        return fail(n, access, res, 0, "NPT: guest-physical address beyond the host's paging mode");
    }
    for (;; level--) {
        unsigned shift = PAGE_SHIFT + (level - 1) * entry_bits;
        u64 at = table + ((gpa >> shift) & (BIT(entry_bits) - 1)) * size;
        u64 entry = phys_read_scalar(phys, SPA(at), size);
        if (res->nested_steps < WALK_NESTED_MAX) {
            res->nested_table[res->nested_steps++] = SPA(at);
        }
        path[steps].at = at;
        path[steps++].entry = entry;
        if ((entry & PTE_P) == 0) {
            return fail(n, access, res, 0, "NPT: entry not present");
        }
        bool pdpte = n->mode == PAGING_PAE && level == 3;
        bool large = level > 1 && level <= 3 && !pdpte && (entry & PTE_PS) != 0 &&
                     (!narrow || (n->flags & WALK_PSE) != 0) && (level < 3 || (n->flags & WALK_1GB) != 0);
        if ((entry & table_reserved_bits(n->mode, n->flags | WALK_AMD_BIT8, n->reserved, level, large)) != 0) {
            return fail(n, access, res, PF_P | PF_RSVD, "NPT: reserved bit set in an entry");
        }
        if (!pdpte) {
            user = user && (entry & PTE_U) != 0;
            writable = writable && (entry & PTE_W) != 0;
            no_execute = no_execute || (!narrow && (entry & PTE_NX) != 0);
        }
        if (level == 1 || large) {
            u64 page = BIT(shift);
            u64 base = narrow ? entry & 0xfffff000u : entry & PTE_ADDRESS;
            if (narrow && large) {
                base = (entry & 0xffc00000u) |
                       ((n->flags & WALK_PSE36) != 0 ? bits_get(entry, 13, 8) << 32 : 0);
            }
            if (!check_rights(n, access, res, user, writable, no_execute)) {
                return false;
            }
            *spa = (base & ~(page - 1)) | (gpa & (page - 1));
            *bytes = page;
            break;
        }
        table = narrow ? entry & 0xfffff000u : entry & PTE_ADDRESS;
    }
    for (unsigned i = 0; i < steps && (access & WALK_PROBE) == 0; i++) {
        u64 want = path[i].entry;
        if (!(n->mode == PAGING_PAE && i == 0)) {
            want |= PTE_A;
        }
        if (i + 1 == steps && (access & WALK_WRITE) != 0) {
            want |= PTE_D;
        }
        if (want != path[i].entry) {
            phys_write_scalar(phys, SPA(path[i].at), want, size);
        }
    }
    return true;
}
