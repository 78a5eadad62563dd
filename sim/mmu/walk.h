/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Page walks: what the tables say now. A walk has no memory; caching it is the caller's affair and
 * must never be visible (the coherent translation rule, README). */
#ifndef VITRINE_MMU_WALK_H
#define VITRINE_MMU_WALK_H

#include "mmu/phys.h"

enum paging_mode { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4LEVEL, PAGING_5LEVEL };

enum walk_flag {
    WALK_WP = 1 << 0,
    WALK_NXE = 1 << 1,
    WALK_SMEP = 1 << 2,
    WALK_SMAP = 1 << 3,
    WALK_PKE = 1 << 4,      /* user pages: pkru */
    WALK_PKS = 1 << 5,      /* supervisor pages: pkrs */
    WALK_PSE = 1 << 6,      /* 32-bit paging: 4 MiB pages */
    WALK_PSE36 = 1 << 7,
    WALK_1GB = 1 << 8,      /* 1 GiB pages exist */
    WALK_CET = 1 << 9,      /* CR4.CET: shadow-stack pages are special */
    WALK_AMD_BIT8 = 1 << 10, /* bit 8 of upper entries is reserved (AMD) */
    WALK_NPT_GMET = 1 << 11, /* nested paging: guest mode execute trap */
    WALK_PDPT_IN_MEMORY = 1 << 12, /* PAE: page-directory pointers are read at `table`, not in registers */
};

enum walk_access {
    WALK_READ = 1,
    WALK_WRITE = 2,
    WALK_EXEC = 4,
    WALK_USER = 8,    /* user-mode access (CPL 3, or WRUSS) */
    WALK_SHADOW = 16, /* shadow-stack access */
    WALK_AC = 32,     /* explicit supervisor access with EFLAGS.AC: SMAP lets it pass */
    WALK_PROBE = 64,  /* look only: set neither A nor D */
};

/* Second-level translation of guest-physical addresses. */
enum nested_kind { NESTED_NONE, NESTED_EPT, NESTED_NPT };

struct walk_nested {
    enum nested_kind kind;
    enum paging_mode mode; /* NPT: the host's paging mode; EPT: 4LEVEL or 5LEVEL */
    u32 flags;             /* NPT: walk_flag; EPT: enum ept_flag of mmu/ept.h */
    u64 table;             /* physical address of the top table */
    u64 pdpte[4];          /* NPT with a PAE host reads them during the walk; kept for completeness */
    u64 reserved;          /* address bits at and above MAXPHYADDR */
    u64 spp_table;         /* EPT: sub-page-permission-table pointer */
    u32 log_room;          /* EPT: entries left in the page-modification log; WALK_LOG_UNLIMITED: none kept */
};

#define WALK_LOG_UNLIMITED 0xffffffffu
#define WALK_LOG_MAX 8

/* Where and how to walk. */
struct walk_root {
    enum paging_mode mode;
    u32 flags;
    u64 table;    /* physical address of the top table */
    u64 pdpte[4]; /* PAGING_PAE */
    u32 pkru, pkrs;
    u64 reserved; /* address bits at and above MAXPHYADDR */
    struct walk_nested nested;
};

#define WALK_NESTED_MAX 32

struct walk_step {
    spa_t entry_at;
    u64 entry_gpa; /* guest-physical */
    u64 entry;
    u8 level; /* 1: page table ... 5: PML5 */
};

struct walk_result {
    spa_t spa;
    u64 page_bytes;  /* 4 KiB, 2 MiB, 4 MiB or 1 GiB */
    u32 error;       /* page-fault error code when the walk failed */
    const char *why; /* which rule failed it; static text */
    u32 pkey;
    bool user, writable, no_execute, dirty;
    u8 cache_bits;   /* PAT, PCD, PWT of the leaf */
    unsigned steps;
    struct walk_step step[5]; /* entry_at is system-physical */
    /* Second level: */
    gpa_t gpa;             /* what the guest's own tables say; where the second level failed */
    bool nested_failed;    /* it was the second level that failed; error and why are about it */
    bool nested_on_table;  /* while a guest table entry was accessed, not the final address */
    bool misconfigured;    /* EPT misconfiguration */
    bool nested_write;     /* EPT: the failing access was a write (of an A or D bit on a table) */
    bool spp_used;         /* EPT: a sub-page permission let the write through: not to be cached */
    bool spp_missing, spp_misconfigured; /* EPT: SPP-related events */
    bool log_full;         /* EPT: the page-modification log had no room */
    u64 nested_entry;      /* EPT: the last entry read */
    unsigned dirty_count;  /* EPT: pages that became dirty, for the log */
    u64 dirty_gpa[WALK_LOG_MAX];
    u64 nested_rights;     /* EPT: read, write, execute (bits 0-2), user execute (bit 3) of the path */
    unsigned nested_steps;
    spa_t nested_table[WALK_NESTED_MAX]; /* second-level table entries read, for coherence */
};

/* Translate one linear address. True: res->spa is set and, unless WALK_PROBE, A (and D for writes)
 * were set in the tables. False: res->error and why. [SDM3 "Paging"] */
bool walk_linear(struct phys *phys, const struct walk_root *root, u64 lin, unsigned access,
                 struct walk_result *res);

#endif
