/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory as instructions see it: segmentation, translation, access.
 *
 * Three families:
 *   mem_*  through a segment register: offset -> linear with limit, type and canonical checks
 *          (#GP, or #SS for SS), then as lin_*. For instruction operands.
 *   lin_*  linear addresses with the current privilege. For operands whose linear address is known.
 *   sys_*  linear addresses, implicit supervisor accesses: GDT, LDT, IDT, TSS, shadow-stack tokens.
 * All return cpu_rc; nothing is committed when they return CPU_EXIT. Multi-page accesses check every
 * page before they touch any. Instructions with several accesses check all of them (mem_probe)
 * before committing any. Read-modify-write uses mem_rmw: write rights first, a write fault. */
#ifndef VITRINE_CPU_MEM_H
#define VITRINE_CPU_MEM_H

#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/cpu.h"

enum access {
    ACCESS_READ = 1,
    ACCESS_WRITE = 2,
    ACCESS_EXEC = 4,
    ACCESS_SHADOW = 8,    /* shadow-stack access (CET) */
    ACCESS_IMPLICIT = 16, /* implicit supervisor access: CPL ignored, SMAP holds whatever AC */
    ACCESS_USER = 32,     /* as user whatever the CPL: WRUSS */
    ACCESS_ANY_ALIGNMENT = 128, /* never #AC */
    ACCESS_SUPER = 64,    /* explicit supervisor access whatever the CPL (SMAP follows AC): inner stacks */
};

/* One fast entry: hits when lin - page <= 4096 - size. `page` of an empty entry is a page that does
 * not map to its slot, so it never hits. */
struct tlb_entry {
    u64 page;
    u8 *host; /* of the page; NULL: empty */
};

/* Where the linear address is that the entry has just been found to hold. */
static inline u8 *tlb_host(const struct tlb_entry *e, u64 lin)
{
    return e->host + (lin - e->page);
}

/* Everything a translation depends on, beside the tables' contents. */
struct ctx_key {
    u64 root;      /* CR3's table address; 0 without paging */
    u64 pdpte[4];  /* PAE paging on Intel */
    u64 nested;    /* EPTP or nCR3 and its mode; 0: none */
    u64 nested_aux;
    u64 apic_page; /* a guest's page whose accesses are virtualized; 0: none */
    u64 apic_bar;  /* AVIC: where the guest sees it */
    u32 bits;      /* paging mode, WP, NXE, SMEP, SMAP, PKE, PKS, user, AC ... */
    u32 pkr;       /* PKRU or PKRS where enabled */
    u64 pad;
};

/* Where translated code goes on at linear addresses reached by returns and indirect branches: filled by translated code from
 * the jump cache, read without a look at anything else. Line n holds addresses that end with n; `lin` is 0 for none but
 * in line 0, where it is 1. */
#define JUMP_TARGETS 4096
struct jump_targets {
    struct {
        u64 lin;
        const u8 *code;
    } line[JUMP_TARGETS];
    u64 used;                      /* bit per 64 lines */
    u32 pages[JUMP_TARGETS / 32]; /* bit per page modulo JUMP_TARGETS */
};

#define TLB_CONTEXTS 16
#define TLB_ENTRIES_MAX 4096

struct tlb_ctx {
    struct tlb_entry *rd, *wr, *ex; /* one behind the other, then `jump` and `target`: translated code knows */
    u64 mask;         /* entries per table - 1 */
    u32 id;           /* 0..TLB_CONTEXTS-1 */
    u32 generation;   /* bumped when it is given to another key: older uses of tables are stale */
    bool live;
    bool no_fast;     /* alignment checks or data breakpoints: no fast entries at all */
    u64 last_used;
    struct block **jump; /* jump cache: 256 lines per page, see block.h */
    u64 jump_used[256];  /* bit per line that may hold something */
    struct jump_targets *target;
    u64 used[3][TLB_ENTRIES_MAX / 64];   /* the same of the tables' slots, in the order rd, wr, ex */
    u64 used_words[3];                   /* bit per word of that, not 0 */
    struct ctx_key key;
};

/* The slot of a linear page; translated code computes the same. */
static inline u64 tlb_slot(const struct tlb_ctx *ctx, u64 lin)
{
    return lin >> PAGE_SHIFT & ctx->mask;
}

/* Slow paths and everything that is not a hit. */
cpu_rc lin_read_slow(struct cpu *cpu, u64 lin, unsigned size, u64 *out) MUST_USE;
cpu_rc lin_write_slow(struct cpu *cpu, u64 lin, unsigned size, u64 value) MUST_USE;
cpu_rc mem_read_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out) MUST_USE;
cpu_rc mem_write_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value) MUST_USE;

/* Segment checks alone: offset..offset+size-1 for `access` -> linear. [SDM3 "Limit Checking",
 * "Type Checking", "Canonical Addressing"] */
cpu_rc mem_linear(struct cpu *cpu, unsigned seg, u64 offset, u64 size, unsigned access, u64 *lin) MUST_USE;

/* Scalars of 1, 2, 4 or 8 bytes. */
static inline MUST_USE cpu_rc lin_read(struct cpu *cpu, u64 lin, unsigned size, u64 *out)
{
    const struct tlb_entry *e = &cpu->d.ctx->rd[tlb_slot(cpu->d.ctx, lin)];
    if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
        *out = load_le(tlb_host(e, lin), size);
        return CPU_OK;
    }
    return lin_read_slow(cpu, lin, size, out);
}

static inline MUST_USE cpu_rc lin_write(struct cpu *cpu, u64 lin, unsigned size, u64 value)
{
    const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
    if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
        store_le(tlb_host(e, lin), value, size);
        return CPU_OK;
    }
    return lin_write_slow(cpu, lin, size, value);
}

static inline MUST_USE cpu_rc mem_read(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    if (LIKELY(offset + (size - 1) < cpu->d.seg_rend[seg])) {
        u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
        const struct tlb_entry *e = &cpu->d.ctx->rd[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            *out = load_le(tlb_host(e, lin), size);
            return CPU_OK;
        }
    }
    return mem_read_slow(cpu, seg, offset, size, out);
}

static inline MUST_USE cpu_rc mem_write(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    if (LIKELY(offset + (size - 1) < cpu->d.seg_wend[seg])) {
        u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
        const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            store_le(tlb_host(e, lin), value, size);
            return CPU_OK;
        }
    }
    return mem_write_slow(cpu, seg, offset, size, value);
}

/* A read-modify-write in progress: between mem_rmw and mem_rmw_store nothing else may touch memory. */
struct mem_rmw {
    u8 *host;     /* NULL: not plain RAM in one page */
    u64 lin;
    unsigned size;
};
cpu_rc mem_rmw_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, struct mem_rmw *rmw,
                    u64 *old) MUST_USE;
void mem_rmw_store_slow(struct cpu *cpu, const struct mem_rmw *rmw, u64 value);

static inline MUST_USE cpu_rc mem_rmw(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, struct mem_rmw *rmw,
                             u64 *old)
{
    if (LIKELY(offset + (size - 1) < cpu->d.seg_wend[seg])) {
        u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
        const struct tlb_entry *e = &cpu->d.ctx->wr[tlb_slot(cpu->d.ctx, lin)];
        if (LIKELY(lin - e->page <= PAGE_SIZE - size)) {
            rmw->host = tlb_host(e, lin);
            *old = load_le(rmw->host, size);
            return CPU_OK;
        }
    }
    return mem_rmw_slow(cpu, seg, offset, size, rmw, old);
}

/* Cannot fail: rights were taken by mem_rmw. */
static inline void mem_rmw_store(struct cpu *cpu, const struct mem_rmw *rmw, unsigned size, u64 value)
{
    if (LIKELY(rmw->host != NULL)) {
        store_le(rmw->host, value, size);
    } else {
        mem_rmw_store_slow(cpu, rmw, value);
    }
}

/* Byte ranges (vectors, FXSAVE images): up to 4096 bytes, at most two pages. */
cpu_rc mem_read_bytes(struct cpu *cpu, unsigned seg, u64 offset, void *data, unsigned size) MUST_USE;
cpu_rc mem_write_bytes(struct cpu *cpu, unsigned seg, u64 offset, const void *data, unsigned size) MUST_USE;
/* Would an access succeed? Sets A (and D for writes) as the access would, moves no data. */
cpu_rc mem_probe(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, unsigned access) MUST_USE;
/* Images of processor state, at offsets that wrap at `wrap`, the address size's mask. */
cpu_rc mem_read_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, void *data, unsigned size) MUST_USE;
cpu_rc mem_write_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, const void *data,
                       unsigned size) MUST_USE;
cpu_rc mem_probe_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, unsigned size,
                       unsigned access) MUST_USE;
/* #GP(0) unless offset's linear address is aligned to `align` bytes: SSE operands. Comes before what is
 * wrong with the address itself, also in the stack segment. */
cpu_rc mem_check_aligned(struct cpu *cpu, unsigned seg, u64 offset, unsigned align) MUST_USE;

/* #AC(0) with alignment checks on, unless offset's linear address is aligned: operands that are no scalar. */
cpu_rc mem_check_ac(struct cpu *cpu, unsigned seg, u64 offset, unsigned align) MUST_USE;
/* Scalars of instructions that never raise #AC: elements of gathers and masked moves. */
cpu_rc mem_read_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out) MUST_USE;
cpu_rc mem_write_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value) MUST_USE;

/* Linear accesses with explicit kind: ACCESS_* flags. Scalars of 1..8 bytes; bytes up to a page. */
cpu_rc lin_access_read(struct cpu *cpu, u64 lin, void *data, unsigned size, unsigned access) MUST_USE;
cpu_rc lin_access_write(struct cpu *cpu, u64 lin, const void *data, unsigned size, unsigned access) MUST_USE;
cpu_rc lin_probe(struct cpu *cpu, u64 lin, unsigned size, unsigned access) MUST_USE;

static inline MUST_USE cpu_rc sys_read(struct cpu *cpu, u64 lin, unsigned size, u64 *out)
{
    *out = 0;
    return lin_access_read(cpu, lin, out, size, ACCESS_READ | ACCESS_IMPLICIT);
}

static inline MUST_USE cpu_rc sys_write(struct cpu *cpu, u64 lin, unsigned size, u64 value)
{
    return lin_access_write(cpu, lin, &value, size, ACCESS_WRITE | ACCESS_IMPLICIT);
}

/* Linear to system-physical for MONITOR, CLFLUSH and the like, with an access check. */
cpu_rc lin_translate(struct cpu *cpu, u64 lin, unsigned access, spa_t *spa) MUST_USE;

/* The same for a page of RAM or ROM: its frame and host bytes; *host = NULL for anything else, and then
 * *spa is set. */
cpu_rc lin_translate_page(struct cpu *cpu, u64 lin, unsigned access, u64 *frame, u8 **host,
                          spa_t *spa) MUST_USE;

/* Is a linear address canonical under the current paging mode? */
bool lin_is_canonical(const struct cpu *cpu, u64 lin);

/* Drop what depends on the current key (after CR0/CR3/CR4/EFER/... changed) and pick the contexts. */
void tlb_select_context(struct cpu *cpu);
/* Drop every translation and cached fetch of this processor: host-side, guest-invisible. */
void tlb_drop_all(struct cpu *cpu);
bool tlb_init(struct cpu *cpu, u64 entries);
void tlb_free(struct cpu *cpu);

/* Bytes [offset, offset+size) of a frame with special flags (PAGE_HAS_CODE, PAGE_IS_TABLE,
 * PAGE_MONITORED) are about to change: invalidate what derives from them, on every processor. */
void mem_before_ram_write(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size);

#endif
