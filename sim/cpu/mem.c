/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The slow side of memory accesses: segment checks, translation with its fills, devices, pages that
 * somebody watches. */
#include "cpu/mem.h"

#include "cpu/apic.h"
#include "cpu/decode/block.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/tlb.h"
#include "cpu/virt.h"

#include <string.h>

/* ---- Linear addresses ---- */

static unsigned linear_bits(const struct cpu *cpu)
{
    return (cpu->arch.cr4 & CR4_LA57) != 0 ? 57 : 48;
}

bool lin_is_canonical(const struct cpu *cpu, u64 lin)
{
    unsigned shift = 64 - linear_bits(cpu);
    return !cpu->d.long_mode || (u64)((i64)(lin << shift) >> shift) == lin;
}

/* LAM: the metadata bits of a data address are replaced by the sign. [SDM1 "Linear Address
 * Masking"] Bit 63 is kept and must agree with the sign bit. */
static u64 untag(const struct cpu *cpu, u64 lin)
{
    if (!cpu->d.code64) {
        return lin;
    }
    unsigned top = 0;
    if ((lin >> 63) == 0) {
        top = (cpu->arch.cr3 & CR3_LAM_U57) != 0   ? 57
              : (cpu->arch.cr3 & CR3_LAM_U48) != 0 ? 48
                                                   : 0;
    } else if ((cpu->arch.cr4 & CR4_LAM_SUP) != 0) {
        top = linear_bits(cpu);
    }
    if (top == 0) {
        return lin;
    }
    unsigned shift = 64 - top;
    u64 extended = (u64)((i64)(lin << shift) >> shift);
    return (extended & ~BIT(63)) | (lin & BIT(63));
}

static cpu_rc segment_fault(struct cpu *cpu, unsigned seg, const char *why)
{
    return seg == SEG_SS ? raise_ss(cpu, 0, why) : raise_gp(cpu, 0, why);
}

/* [SDM3 "Limit Checking"], [SDM3 "Type Checking"] */
static cpu_rc check_segment(struct cpu *cpu, unsigned seg, u64 offset, u64 size, unsigned access)
{
    const struct segment *g = &cpu->arch.seg[seg];
    bool protected_mode = cpu->d.prot && !cpu->d.v86;
    bool code = (g->attr & SEG_TYPE_CODE) != 0;
    bool rw = (g->attr & SEG_TYPE_WRITE) != 0;
    if (protected_mode) {
        if ((g->attr & (SEG_UNUSABLE | SEG_P)) != SEG_P) {
            return segment_fault(cpu, seg, "segment register holds a null selector");
        }
        if ((access & ACCESS_WRITE) != 0 ? code || !rw : code && !rw) {
            return segment_fault(cpu, seg, "segment type forbids the access");
        }
    }
    u64 last = offset + (size - 1);
    bool down = !code && (g->attr & SEG_TYPE_EXPAND) != 0 && protected_mode;
    if (down) {
        u64 top = (g->attr & SEG_DB) != 0 ? 0xffffffffu : 0xffffu;
        if (offset <= g->limit || last > top) {
            return segment_fault(cpu, seg, "outside an expand-down segment");
        }
    } else if (last > g->limit) {
        return segment_fault(cpu, seg, "offset beyond the segment limit");
    }
    return CPU_OK;
}

cpu_rc mem_linear(struct cpu *cpu, unsigned seg, u64 offset, u64 size, unsigned access, u64 *lin)
{
    u64 l = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
    if (cpu->d.code64) {
        l = untag(cpu, l);
        if (!lin_is_canonical(cpu, l) || !lin_is_canonical(cpu, l + (size - 1))) {
            return segment_fault(cpu, seg, "address not canonical");
        }
    } else if (check_segment(cpu, seg, offset, size, access) != CPU_OK) {
        return CPU_EXIT;
    }
    *lin = l;
    return CPU_OK;
}

/* ---- Translation ---- */

static unsigned walk_access_of(const struct cpu *cpu, unsigned access, bool sys)
{
    unsigned w = (access & ACCESS_WRITE) != 0 ? WALK_WRITE : (access & ACCESS_EXEC) != 0 ? WALK_EXEC
                                                                                         : WALK_READ;
    bool user = (cpu->d.cpl == 3 && !sys && (access & ACCESS_SUPER) == 0) || (access & ACCESS_USER) != 0;
    w |= user ? WALK_USER : 0u;
    w |= (access & ACCESS_SHADOW) != 0 ? WALK_SHADOW : 0u;
    w |= !user && !sys && (cpu->arch.rflags & RFLAGS_AC) != 0 ? WALK_AC : 0u;
    return w;
}

/* Tell the page descriptors of every table page which entries now derive from it. */
static void note_uses(struct cpu *cpu, struct tlb_ctx *ctx, const struct walk_root *root,
                      const struct walk_result *res, const u64 *frames, u64 lin)
{
    unsigned entry_bits = root->mode == PAGING_32 ? 10 : 9;
    for (unsigned i = 0; i < res->steps; i++) {
        unsigned shift = PAGE_SHIFT + (res->step[i].level - 1u) * entry_bits;
        /* What the first entry of the table's page would map: a table of page-directory pointers need not begin
         * there. */
        u64 index = (res->step[i].entry_at.v & PAGE_MASK) / (root->mode == PAGING_32 ? 4 : 8);
        u64 base = (lin & ~(((u64)1 << shift) - 1)) - (index << shift);
        tlb_note_use(cpu, ctx, frames[i], res->step[i].level, shift, base);
    }
    for (unsigned i = 0; i < res->nested_steps; i++) {
        u64 frame;
        u8 *host;
        bool writable;
        if (phys_page(cpu->phys, res->nested_table[i], &frame, &host, &writable)) {
            tlb_note_use(cpu, ctx, frame, TLB_LEVEL_NESTED, 0, 0);
        }
    }
}

/* Translations by tables in devices are not kept. */
static bool tables_in_ram(struct cpu *cpu, const struct walk_result *res, u64 *frames)
{
    for (unsigned i = 0; i < res->steps; i++) {
        u8 *host;
        bool writable;
        if (!phys_page(cpu->phys, res->step[i].entry_at, &frames[i], &host, &writable)) {
            return false;
        }
    }
    return true;
}

/* One page's part of an access. */
struct piece {
    spa_t spa;
    u8 *host; /* NULL: device or hole */
    u64 frame;
    bool writable; /* RAM, not ROM */
    unsigned size;
};

static bool in_apic_page(const struct cpu *cpu, u64 spa)
{
    return (spa & ~PAGE_MASK) == apic_mmio_base(cpu->apic);
}

static cpu_rc translate(struct cpu *cpu, u64 lin, unsigned access, struct piece *p)
{
    bool sys = (access & ACCESS_IMPLICIT) != 0;
    struct tlb_ctx *ctx = sys ? cpu->d.sys_ctx : cpu->d.ctx;
    bool plain = (access & (ACCESS_SHADOW | ACCESS_USER | ACCESS_SUPER)) == 0;
    /* Fast entries answer here too; the callers came because of size, flags or kind. */
    const struct tlb_entry *table = (access & ACCESS_EXEC) != 0    ? ctx->ex
                                    : (access & ACCESS_WRITE) != 0 ? ctx->wr
                                                                   : ctx->rd;
    const struct tlb_entry *e = &table[tlb_slot(ctx, lin)];
    if (plain && lin - e->page < PAGE_SIZE) {
        p->host = e->host;
        p->frame = (u64)(p->host - cpu->phys->ram) >> PAGE_SHIFT;
        p->writable = true;
        p->spa = SPA(~(u64)0); /* only host is used for fast pages */
        return CPU_OK;
    }
    struct walk_root root;
    struct walk_result res;
    tlb_walk_root(cpu, &root);
    if (in_guest(cpu)) {
        virt_walk_log(cpu, &root);
    }
    bool walked = walk_linear(cpu->phys, &root, lin, walk_access_of(cpu, access, sys), &res);
    if (UNLIKELY(res.dirty_count != 0)) {
        virt_log_dirty(cpu, &res);
    }
    if (!walked) {
        return res.nested_failed ? virt_nested_fault(cpu, lin, access, &res)
                                 : raise_pf(cpu, lin, res.error, res.why);
    }
    if (in_guest(cpu)) {
        virt_place_apic(cpu, &res);
    }
    p->spa = res.spa;
    if (in_apic_page(cpu, res.spa.v & cpu->phys->a20_mask) ||
        (in_guest(cpu) && virt_is_apic_page(cpu, res.spa)) ||
        !phys_page(cpu->phys, res.spa, &p->frame, &p->host, &p->writable)) {
        p->host = NULL;
        return CPU_OK;
    }
    u64 frames[ARRAY_LEN(res.step)];
    if (!plain || res.spp_used || !tables_in_ram(cpu, &res, frames)) {
        return CPU_OK;
    }
    note_uses(cpu, ctx, &root, &res, frames, lin);
    struct page_desc *page = &cpu->phys->pages[p->frame];
    if ((access & ACCESS_WRITE) == 0) {
        if ((page->flags & PAGE_READ_TRAPPED) == 0 || (access & ACCESS_EXEC) != 0) {
            tlb_fill(cpu, ctx, lin, p->host, access);
        }
        return CPU_OK;
    }
    u32 special = page->flags & ~(u32)PAGE_DIRTY;
    if (special == 0 && p->writable) {
        phys_note_write(cpu->phys, p->frame);
        tlb_fill(cpu, ctx, lin, p->host, access);
    }
    return CPU_OK;
}

/* An access that begins in a page by which a hypervisor virtualizes the APIC: virt_apic_access(). */
static MUST_USE cpu_rc access_apic_page(struct cpu *cpu, const struct piece *p, u64 lin, unsigned access, u64 *value,
                                        unsigned size, bool *done)
{
    *done = false;
    if (!in_guest(cpu) || p->host != NULL || !virt_is_apic_page(cpu, p->spa)) {
        return CPU_OK;
    }
    return virt_apic_access(cpu, p->spa, lin, access, value, size, done);
}

cpu_rc lin_translate_page(struct cpu *cpu, u64 lin, unsigned access, u64 *frame, u8 **host,
                          spa_t *spa)
{
    struct piece p;
    if (translate(cpu, lin, access, &p) != CPU_OK) {
        return CPU_EXIT;
    }
    u64 none = 0;
    bool done;
    if ((access & ACCESS_EXEC) != 0 && access_apic_page(cpu, &p, lin, access, &none, 1, &done) != CPU_OK) {
        return CPU_EXIT;
    }
    *frame = p.frame;
    *host = p.host;
    *spa = p.spa;
    return CPU_OK;
}

cpu_rc lin_translate(struct cpu *cpu, u64 lin, unsigned access, spa_t *spa)
{
    u64 frame = 0;
    u8 *host;
    if (lin_translate_page(cpu, lin, access, &frame, &host, spa) != CPU_OK) {
        return CPU_EXIT;
    }
    if (host != NULL) {
        *spa = SPA(phys_spa_of_frame(cpu->phys, frame) | (lin & PAGE_MASK));
    }
    return CPU_OK;
}

/* ---- Accesses ---- */

struct span {
    struct piece piece[2];
    unsigned pieces;
};

static cpu_rc open_span(struct cpu *cpu, u64 lin, unsigned size, unsigned access, struct span *s)
{
    unsigned room = (unsigned)(PAGE_SIZE - (lin & PAGE_MASK));
    s->pieces = size <= room ? 1 : 2;
    s->piece[0].size = size <= room ? size : room;
    if (translate(cpu, lin, access, &s->piece[0]) != CPU_OK) {
        return CPU_EXIT;
    }
    if (s->pieces == 2) {
        s->piece[1].size = size - room;
        u64 next = lin + room;
        if (!cpu->d.code64 && (lin >> 32) == 0) { /* system structures lie anywhere in long mode */
            next &= 0xffffffffu;
        }
        return translate(cpu, next, access, &s->piece[1]);
    }
    return CPU_OK;
}

static void read_piece(struct cpu *cpu, const struct piece *p, u64 lin, u8 *out)
{
    if (p->host != NULL) {
        struct phys *phys = cpu->phys;
        memcpy(out, p->host + (lin & PAGE_MASK), p->size);
        if (UNLIKELY((phys->pages[p->frame].flags & PAGE_READ_TRAPPED) != 0) && phys->trapped_read != NULL) {
            phys->trapped_read(phys->read_self, p->frame, lin & PAGE_MASK, p->size);
        }
    } else if (in_apic_page(cpu, p->spa.v & cpu->phys->a20_mask)) {
        store_le(out, apic_mmio_read(cpu->apic, p->spa.v & PAGE_MASK, p->size > 8 ? 8 : p->size),
                 p->size > 8 ? 8 : p->size);
    } else if (p->size <= 8) {
        store_le(out, phys_read_scalar(cpu->phys, p->spa, p->size), p->size);
    } else {
        phys_read(cpu->phys, p->spa, out, p->size);
    }
}

/* RAM that somebody watches: tell before the bytes change. */
static void write_ram(struct cpu *cpu, const struct piece *p, u64 lin, const u8 *in)
{
    struct page_desc *page = &cpu->phys->pages[p->frame];
    u64 offset = lin & PAGE_MASK;
    if (!p->writable) {
        return; /* ROM */
    }
    if ((page->flags & ~(u32)PAGE_DIRTY) != 0) {
        mem_before_ram_write(cpu->set, cpu->phys, p->frame, offset, p->size);
    }
    phys_note_write(cpu->phys, p->frame);
    memcpy(p->host + offset, in, p->size);
}

static void write_piece(struct cpu *cpu, const struct piece *p, u64 lin, const u8 *in)
{
    if (p->host != NULL) {
        write_ram(cpu, p, lin, in);
    } else if (in_apic_page(cpu, p->spa.v & cpu->phys->a20_mask)) {
        apic_mmio_write(cpu->apic, p->spa.v & PAGE_MASK, load_le(in, p->size > 8 ? 8 : p->size),
                        p->size > 8 ? 8 : p->size);
    } else if (p->size <= 8) {
        phys_write_scalar(cpu->phys, p->spa, load_le(in, p->size), p->size);
    } else {
        phys_write(cpu->phys, p->spa, in, p->size);
    }
}

static void read_span(struct cpu *cpu, const struct span *s, u64 lin, void *data)
{
    read_piece(cpu, &s->piece[0], lin, data);
    if (s->pieces == 2) {
        read_piece(cpu, &s->piece[1], 0, (u8 *)data + s->piece[0].size);
    }
}

static void write_span(struct cpu *cpu, const struct span *s, u64 lin, const void *data)
{
    write_piece(cpu, &s->piece[0], lin, data);
    if (s->pieces == 2) {
        write_piece(cpu, &s->piece[1], 0, (const u8 *)data + s->piece[0].size);
    }
}

/* [SDM3 "Alignment Check Exception (#AC)"]: data accesses at CPL 3 with CR0.AM and EFLAGS.AC. */
static bool misaligned(const struct cpu *cpu, u64 lin, unsigned size)
{
    return cpu->d.cpl == 3 && (cpu->arch.cr0 & CR0_AM) != 0 &&
           (cpu->arch.rflags & RFLAGS_AC) != 0 && is_power_of_2(size) && size <= 8 &&
           (lin & (size - 1)) != 0;
}

cpu_rc lin_access_read(struct cpu *cpu, u64 lin, void *data, unsigned size, unsigned access)
{
    struct span s;
    if ((access & (ACCESS_IMPLICIT | ACCESS_ANY_ALIGNMENT)) == 0 && misaligned(cpu, lin, size)) {
        return raise_error(cpu, VEC_AC, 0, "misaligned access with alignment checks on");
    }
    if (open_span(cpu, lin, size, access, &s) != CPU_OK) {
        return CPU_EXIT;
    }
    u64 v = 0;
    bool done;
    if (access_apic_page(cpu, &s.piece[0], lin, access, &v, size, &done) != CPU_OK) {
        return CPU_EXIT;
    }
    if (done) {
        store_le(data, v, size < 8 ? size : 8);
        return CPU_OK;
    }
    read_span(cpu, &s, lin, data);
    if (UNLIKELY(cpu->d.data_breaks) && (access & ACCESS_IMPLICIT) == 0) {
        debug_check_data(cpu, lin, size, false);
    }
    return CPU_OK;
}

cpu_rc lin_access_write(struct cpu *cpu, u64 lin, const void *data, unsigned size, unsigned access)
{
    struct span s;
    if ((access & (ACCESS_IMPLICIT | ACCESS_ANY_ALIGNMENT)) == 0 && misaligned(cpu, lin, size)) {
        return raise_error(cpu, VEC_AC, 0, "misaligned access with alignment checks on");
    }
    if (open_span(cpu, lin, size, access, &s) != CPU_OK) {
        return CPU_EXIT;
    }
    u64 v = load_le(data, size < 8 ? size : 8);
    bool done;
    if (access_apic_page(cpu, &s.piece[0], lin, access, &v, size, &done) != CPU_OK) {
        return CPU_EXIT;
    }
    if (done) {
        return CPU_OK;
    }
    write_span(cpu, &s, lin, data);
    if (UNLIKELY(cpu->d.data_breaks) && (access & ACCESS_IMPLICIT) == 0) {
        debug_check_data(cpu, lin, size, true);
    }
    return CPU_OK;
}

cpu_rc lin_probe(struct cpu *cpu, u64 lin, unsigned size, unsigned access)
{
    struct span s;
    if (open_span(cpu, lin, size, access, &s) != CPU_OK) {
        return CPU_EXIT;
    }
    u64 none = 0;
    bool done;
    unsigned both = (access & ACCESS_WRITE) != 0 ? access | ACCESS_READ : access; /* no effect yet */
    return access_apic_page(cpu, &s.piece[0], lin, both, &none, size, &done);
}

cpu_rc lin_read_slow(struct cpu *cpu, u64 lin, unsigned size, u64 *out)
{
    *out = 0;
    return lin_access_read(cpu, lin, out, size, ACCESS_READ);
}

cpu_rc lin_write_slow(struct cpu *cpu, u64 lin, unsigned size, u64 value)
{
    return lin_access_write(cpu, lin, &value, size, ACCESS_WRITE);
}

cpu_rc mem_read_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    *out = 0;
    return mem_read_bytes(cpu, seg, offset, out, size);
}

cpu_rc mem_write_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    return mem_write_bytes(cpu, seg, offset, &value, size);
}

cpu_rc mem_read_bytes(struct cpu *cpu, unsigned seg, u64 offset, void *data, unsigned size)
{
    u64 lin = 0;
    if (mem_linear(cpu, seg, offset, size, ACCESS_READ, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    return lin_access_read(cpu, lin, data, size, ACCESS_READ);
}

cpu_rc mem_write_bytes(struct cpu *cpu, unsigned seg, u64 offset, const void *data, unsigned size)
{
    u64 lin = 0;
    if (mem_linear(cpu, seg, offset, size, ACCESS_WRITE, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    return lin_access_write(cpu, lin, data, size, ACCESS_WRITE);
}

cpu_rc mem_probe(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, unsigned access)
{
    u64 lin = 0;
    if (mem_linear(cpu, seg, offset, size, access, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    return lin_probe(cpu, lin, size, access);
}

cpu_rc mem_check_aligned(struct cpu *cpu, unsigned seg, u64 offset, unsigned align)
{
    u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
    if ((lin & (align - 1)) == 0) {
        return CPU_OK;
    }
    return raise_gp(cpu, 0, "vector operand not aligned");
}

cpu_rc mem_check_ac(struct cpu *cpu, unsigned seg, u64 offset, unsigned align)
{
    u64 lin = 0;
    if (LIKELY((cpu->arch.rflags & RFLAGS_AC) == 0)) {
        return CPU_OK;
    }
    if (mem_linear(cpu, seg, offset, 1, ACCESS_READ, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    if (misaligned(cpu, lin, align)) {
        return raise_error(cpu, VEC_AC, 0, "misaligned access with alignment checks on");
    }
    return CPU_OK;
}

cpu_rc mem_read_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    u64 lin = 0;
    if (LIKELY((cpu->arch.rflags & RFLAGS_AC) == 0)) {
        return mem_read(cpu, seg, offset, size, out);
    }
    if (mem_linear(cpu, seg, offset, size, ACCESS_READ, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    *out = 0;
    return lin_access_read(cpu, lin, out, size, ACCESS_READ | ACCESS_ANY_ALIGNMENT);
}

cpu_rc mem_write_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    u64 lin = 0;
    if (LIKELY((cpu->arch.rflags & RFLAGS_AC) == 0)) {
        return mem_write(cpu, seg, offset, size, value);
    }
    if (mem_linear(cpu, seg, offset, size, ACCESS_WRITE, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    return lin_access_write(cpu, lin, &value, size, ACCESS_WRITE | ACCESS_ANY_ALIGNMENT);
}

cpu_rc mem_rmw_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, struct mem_rmw *rmw,
                    u64 *old)
{
    u64 lin = 0;
    struct span s;
    if (mem_linear(cpu, seg, offset, size, ACCESS_WRITE, &lin) != CPU_OK) {
        return CPU_EXIT;
    }
    if (misaligned(cpu, lin, size)) {
        return raise_error(cpu, VEC_AC, 0, "misaligned access with alignment checks on");
    }
    if (open_span(cpu, lin, size, ACCESS_WRITE, &s) != CPU_OK) {
        return CPU_EXIT;
    }
    *old = 0;
    *rmw = (struct mem_rmw){.host = NULL, .lin = lin, .size = size};
    bool done;
    if (access_apic_page(cpu, &s.piece[0], lin, ACCESS_READ | ACCESS_WRITE, old, size, &done) != CPU_OK) {
        return CPU_EXIT;
    }
    if (!done) {
        read_span(cpu, &s, lin, old);
    }
    return CPU_OK;
}

void mem_rmw_store_slow(struct cpu *cpu, const struct mem_rmw *rmw, u64 value)
{
    struct span s;
    /* The rights were taken by mem_rmw_slow and nothing ran in between. */
    cpu_rc rc = open_span(cpu, rmw->lin, rmw->size, ACCESS_WRITE, &s);
    bool done = false;
    if (rc == CPU_OK) {
        rc = access_apic_page(cpu, &s.piece[0], rmw->lin, ACCESS_WRITE, &value, rmw->size, &done);
    }
    if (rc == CPU_OK && !done) {
        write_span(cpu, &s, rmw->lin, &value);
    }
    if (UNLIKELY(cpu->d.data_breaks)) {
        debug_check_data(cpu, rmw->lin, rmw->size, true);
    }
}

/* ---- Watched pages ---- */

static void monitored_write(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size)
{
    u64 page = phys_spa_of_frame(phys, frame);
    u64 spa = page | offset;
    bool wanted = false;
    for (unsigned i = 0; i < set->count; i++) {
        struct cpu *cpu = set->cpu[i];
        u64 line = cpu->arch.monitor_spa & ~(u64)63;
        if (cpu->arch.monitor_armed && spa < line + 64 && line < spa + size) {
            cpu->arch.monitor_armed = false;
            cpu->arch.monitor_hit = true;
            cpu->d.pending = true;
        }
        wanted = wanted || (cpu->arch.monitor_armed && (line & ~PAGE_MASK) == page);
    }
    if (!wanted) { /* monitors that ended by an interrupt leave their mark until now */
        phys->pages[frame].flags &= ~(u32)PAGE_MONITORED;
    }
}

void mem_before_ram_write(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size)
{
    u32 flags = phys->pages[frame].flags;
    if ((flags & PAGE_TRACKED) != 0 && set->observer.before_write != NULL) {
        set->observer.before_write(set->observer.self, frame, offset, size);
    }
    if ((flags & PAGE_IS_TABLE) != 0) {
        tlb_table_write(set, phys, frame, offset, size);
    }
    if ((flags & PAGE_HAS_CODE) != 0) {
        code_invalidate(set, phys, frame, offset, size);
    }
    if ((flags & PAGE_MONITORED) != 0) {
        monitored_write(set, phys, frame, offset, size);
    }
    if ((flags & PAGE_TRAPPED) != 0 && phys->trapped_write != NULL) {
        phys->trapped_write(phys->trapped_self, frame, offset, size);
    }
}
