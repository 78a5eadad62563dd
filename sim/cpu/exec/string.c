/* SPDX-License-Identifier: GPL-3.0-or-later */
/* String instructions with and without repeat prefixes. [SDM1 "String Instructions"]
 *
 * With a prefix one call of a handler is one chunk: the iterations up to the next page boundary of
 * either pointer, at most 4096, charged one count per 64 bytes. Chunks follow from guest state alone
 * (addresses, counts, TF, data breakpoints, whether memory is a device), never from what a cache
 * holds: within a chunk, elements go one by one through mem_* where no fast entry exists, and in one
 * sweep where both do. Pages with decoded code or live tables have no fast write entry, so there each
 * store acts before the next iteration, as it must.
 *
 * A chunk is one iteration with TF, armed data breakpoints, devices, and for INS and OUTS. A fault
 * leaves the registers as the completed iterations left them, but the flags of CMPS and SCAS change only
 * with the last iteration [SDM2 "REP/REPE/REPZ/REPNE/REPNZ"]. */
#include "cpu/exec/exec_int.h"
#include "cpu/virt.h"

#include <string.h>

#define CHUNK_MAX 4096

enum string_op { STRING_MOVS, STRING_STOS, STRING_LODS, STRING_CMPS, STRING_SCAS };

struct string {
    enum string_op op;
    unsigned size, asize, seg; /* element, address size, segment of the source */
    bool down, has_src, has_dst;
    bool until_zf, until_value; /* CMPS, SCAS: stop when ZF equals until_value */
    u64 mask;                   /* of the address size */
    u64 src, dst;               /* offsets of the next element */
    u64 step;                   /* +-size */
    u64 done;                   /* elements */
    bool stopped;               /* the condition ended the repetition */
    u64 left, right;            /* CMPS, SCAS: the operands compared last */
};

static ALWAYS_INLINE struct string string_begin(const struct cpu *cpu, const struct insn *in,
                                                enum string_op op)
{
    struct string s = {.op = op, .size = in->osz, .asize = insn_asize(in)};
    s.mask = size_mask(s.asize);
    s.seg = implicit_seg(in);
    s.has_src = op == STRING_MOVS || op == STRING_LODS || op == STRING_CMPS;
    s.has_dst = op != STRING_LODS;
    s.down = (cpu->arch.rflags & RFLAGS_DF) != 0;
    s.step = s.down ? 0 - (u64)s.size : s.size;
    s.src = cpu->arch.gpr[RSI] & s.mask;
    s.dst = cpu->arch.gpr[RDI] & s.mask;
    s.until_zf = op == STRING_CMPS || op == STRING_SCAS;
    s.until_value = (in->pfx & PFX_REPNE) != 0;
    return s;
}

static ALWAYS_INLINE void string_advance(struct string *s, u64 n)
{
    s->src = (s->src + n * s->step) & s->mask;
    s->dst = (s->dst + n * s->step) & s->mask;
    s->done += n;
}

static ALWAYS_INLINE void string_store_pointers(struct cpu *cpu, const struct string *s)
{
    if (s->has_src) {
        gpr_write(cpu, RSI, s->asize, s->src);
    }
    if (s->has_dst) {
        gpr_write(cpu, RDI, s->asize, s->dst);
    }
}

/* One iteration but for the pointers. */
static ALWAYS_INLINE cpu_rc string_element(struct cpu *cpu, struct string *s)
{
    unsigned size = s->size;
    u64 a = 0, b = 0;
    if (s->op == STRING_CMPS) { /* the order in which Intel's chips find faults */
        TRY(mem_read(cpu, SEG_ES, s->dst, size, &b));
    }
    if (s->has_src) {
        TRY(mem_read(cpu, s->seg, s->src, size, &a));
    } else {
        a = gpr_read(cpu, RAX, size);
    }
    switch (s->op) {
    case STRING_MOVS:
    case STRING_STOS:
        return mem_write(cpu, SEG_ES, s->dst, size, a);
    case STRING_LODS:
        gpr_write(cpu, RAX, size, a);
        return CPU_OK;
    case STRING_SCAS:
        TRY(mem_read(cpu, SEG_ES, s->dst, size, &b));
        s->left = a;
        s->right = b;
        s->stopped = (a == b) == s->until_value;
        return CPU_OK;
    case STRING_CMPS:
        s->left = a;
        s->right = b;
        s->stopped = (a == b) == s->until_value;
        return CPU_OK;
    }
    return CPU_OK;
}

/* ---- Chunks ---- */

/* Elements from `offset` on whose first byte comes before the pointer wraps, and which lie in one page
 * of the linear address space; an element across a page boundary is alone. */
static u64 chunk_room(const struct cpu *cpu, const struct string *s, unsigned seg, u64 offset)
{
    u64 lin = cpu->d.seg_base[seg] + offset;
    u64 in_page = lin & PAGE_MASK;
    if (s->down) {
        u64 to_wrap = offset / s->size;
        u64 n = in_page + s->size > PAGE_SIZE ? 0 : in_page / s->size;
        return (n < to_wrap ? n : to_wrap) + 1;
    }
    u64 to_wrap = (s->mask - offset) / s->size;
    u64 n = (PAGE_SIZE - in_page) / s->size;
    n = n == 0 ? 1 : n;
    return to_wrap < n ? to_wrap + 1 : n;
}

static u64 chunk_length(const struct cpu *cpu, const struct string *s, u64 count)
{
    u64 n = count < CHUNK_MAX ? count : CHUNK_MAX;
    if ((cpu->arch.rflags & RFLAGS_TF) != 0 || cpu->d.data_breaks) {
        return 1;
    }
    if (s->has_src) {
        u64 room = chunk_room(cpu, s, s->seg, s->src);
        n = room < n ? room : n;
    }
    if (s->has_dst) {
        u64 room = chunk_room(cpu, s, SEG_ES, s->dst);
        n = room < n ? room : n;
    }
    return n;
}

/* Host bytes of n elements at `offset` (the first to be processed), if a fast entry covers them all:
 * the address of the first one. */
static u8 *fast_bytes(const struct cpu *cpu, const struct string *s, unsigned seg, u64 offset, u64 n,
                      bool write)
{
    const struct cpu_derived *d = &cpu->d;
    u64 bytes = n * s->size;
    u64 low = s->down ? offset - (n - 1) * s->size : offset;
    u64 high = low + (bytes - 1);
    if (high < low || high >= (write ? d->seg_wend : d->seg_rend)[seg]) {
        return NULL;
    }
    u64 lin = (d->seg_base[seg] + low) & d->lin_mask;
    const struct tlb_entry *e = &(write ? d->ctx->wr : d->ctx->rd)[tlb_slot(d->ctx, lin)];
    if (lin - e->page > PAGE_SIZE - bytes) {
        return NULL;
    }
    return tlb_host(e, lin) + (offset - low);
}

/* Elements from src to dst in the order the instruction has, each read before it is written. */
static void sweep_copy(u8 *dst, const u8 *src, u64 n, const struct string *s)
{
    u64 bytes = n * s->size;
    bool overlap = dst < src + bytes && src < dst + bytes;
    if (!s->down && (!overlap || dst <= src)) {
        memmove(dst, src, bytes);
        return;
    }
    for (; n > 0; n--) {
        store_le(dst, load_le(src, s->size), s->size);
        dst += (i64)s->step;
        src += (i64)s->step;
    }
}

static void sweep_fill(u8 *dst, u64 n, u64 value, const struct string *s)
{
    if (s->down) {
        dst -= (n - 1) * s->size;
    }
    if (s->size == 1) {
        memset(dst, (int)(value & 0xff), n);
        return;
    }
    for (; n > 0; n--, dst += s->size) {
        store_le(dst, value, s->size);
    }
}

/* Compare up to n elements until the condition holds; src NULL: the accumulator. */
static u64 sweep_compare(const struct cpu *cpu, const u8 *src, const u8 *dst, u64 n, struct string *s)
{
    u64 a = gpr_read(cpu, RAX, s->size), b = 0, i = 0;
    do {
        if (src != NULL) {
            a = load_le(src, s->size);
            src += (i64)s->step;
        }
        b = load_le(dst, s->size);
        dst += (i64)s->step;
        i++;
        s->stopped = (a == b) == s->until_value;
    } while (i < n && !s->stopped);
    s->left = a;
    s->right = b;
    return i;
}

/* n > 0 elements at once. False: some page has no fast entry, nothing was done. */
static bool string_sweep(struct cpu *cpu, struct string *s, u64 n)
{
    bool writes = s->op == STRING_MOVS || s->op == STRING_STOS;
    u8 *src = NULL, *dst = NULL;
    if (s->has_src && (src = fast_bytes(cpu, s, s->seg, s->src, n, false)) == NULL) {
        return false;
    }
    if (s->has_dst && (dst = fast_bytes(cpu, s, SEG_ES, s->dst, n, writes)) == NULL) {
        return false;
    }
    switch (s->op) {
    case STRING_MOVS:
        sweep_copy(dst, src, n, s);
        break;
    case STRING_STOS:
        sweep_fill(dst, n, cpu->arch.gpr[RAX], s);
        break;
    case STRING_LODS:
        gpr_write(cpu, RAX, s->size, load_le(src + (i64)((n - 1) * s->step), s->size));
        break;
    case STRING_CMPS:
    case STRING_SCAS:
        n = sweep_compare(cpu, src, dst, n, s);
        break;
    }
    string_advance(s, n);
    return true;
}

/* Is the element's page anything but RAM or ROM? Asked after it was accessed, so the answer cannot fault
 * unless a store just changed the translation. */
static bool is_device(struct cpu *cpu, unsigned seg, u64 offset, unsigned access)
{
    u64 lin = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask;
    u64 frame;
    u8 *host;
    spa_t spa;
    return lin_translate_page(cpu, lin, access, &frame, &host, &spa) != CPU_OK || host == NULL;
}

static bool touches_device(struct cpu *cpu, const struct string *s, u64 src, u64 dst)
{
    bool writes = s->op == STRING_MOVS || s->op == STRING_STOS;
    return (s->has_src && is_device(cpu, s->seg, src, ACCESS_READ)) ||
           (s->has_dst && is_device(cpu, SEG_ES, dst, writes ? ACCESS_WRITE : ACCESS_READ));
}

/* Up to n elements. The first one fills the fast entries of ordinary pages. */
static cpu_rc string_chunk(struct cpu *cpu, struct string *s, u64 n)
{
    if (string_sweep(cpu, s, n)) {
        return CPU_OK;
    }
    u64 src = s->src, dst = s->dst;
    TRY(string_element(cpu, s));
    string_advance(s, 1);
    if (n == 1 || s->stopped || string_sweep(cpu, s, n - 1) || touches_device(cpu, s, src, dst)) {
        return CPU_OK;
    }
    while (s->done < n && !s->stopped) {
        TRY(string_element(cpu, s));
        string_advance(s, 1);
    }
    return CPU_OK;
}

/* A 32-bit count of 0 in 64-bit mode: Intel processors clear upper halves although they do nothing,
 * those of the pointers too where the instruction has a fast implementation. */
static void zero_count(struct cpu *cpu, const struct string *s)
{
    if (s->asize != 4 || !cpu->d.code64 || !cpu_is_intel(cpu)) {
        return;
    }
    cpu->arch.gpr[RCX] = 0;
    if (s->op == STRING_MOVS || s->op == STRING_STOS) {
        string_store_pointers(cpu, s);
    }
}

static ALWAYS_INLINE void string_flags(struct cpu *cpu, const struct string *s)
{
    if (s->until_zf) {
        alu_compute(cpu, ALU_CMP, s->size, s->left, s->right);
    }
}

static ALWAYS_INLINE cpu_rc string_run(struct cpu *cpu, const struct insn *in, enum string_op op)
{
    struct string s = string_begin(cpu, in, op);
    if ((in->pfx & (PFX_REP | PFX_REPNE)) == 0) {
        TRY(string_element(cpu, &s));
        string_advance(&s, 1);
        string_store_pointers(cpu, &s);
        string_flags(cpu, &s);
        return CPU_OK;
    }
    u64 count = cpu->arch.gpr[RCX] & s.mask;
    if (count == 0) {
        zero_count(cpu, &s);
        cpu->arch.rep_partial = false;
        cpu->arch.rip = next_rip(cpu, in);
        return CPU_OK;
    }
    cpu_rc rc = string_chunk(cpu, &s, chunk_length(cpu, &s, count));
    if (s.done > 0) {
        string_store_pointers(cpu, &s);
        gpr_write(cpu, RCX, s.asize, count - s.done);
        cpu_charge(cpu, (s.done * s.size + 63) / 64 - 1);
    }
    if (rc != CPU_OK) {
        return CPU_EXIT;
    }
    bool over = s.done == count || (s.until_zf && s.stopped);
    cpu->arch.rep_partial = !over;
    if (over) {
        string_flags(cpu, &s);
        cpu->arch.rip = next_rip(cpu, in);
    }
    return CPU_OK;
}

cpu_rc exec_movs(struct cpu *cpu, const struct insn *in)
{
    return string_run(cpu, in, STRING_MOVS);
}

cpu_rc exec_stos(struct cpu *cpu, const struct insn *in)
{
    return string_run(cpu, in, STRING_STOS);
}

cpu_rc exec_lods(struct cpu *cpu, const struct insn *in)
{
    return string_run(cpu, in, STRING_LODS);
}

cpu_rc exec_cmps(struct cpu *cpu, const struct insn *in)
{
    return string_run(cpu, in, STRING_CMPS);
}

cpu_rc exec_scas(struct cpu *cpu, const struct insn *in)
{
    return string_run(cpu, in, STRING_SCAS);
}

/* ---- Ports ---- */

/* One iteration: permission, then the memory access checked, then the port. */
static cpu_rc port_element(struct cpu *cpu, const struct insn *in, bool input, u64 offset)
{
    unsigned size = in->osz == 8 ? 4 : in->osz;
    u16 port = (u16)cpu->arch.gpr[RDX];
    u64 v;
    TRY(io_check(cpu, port, size));
    if (in_guest(cpu)) {
        unsigned seg = input ? SEG_ES : implicit_seg(in);
        TRY(virt_io(cpu, &(struct io_access){
                             .port = port,
                             .size = (u8)size,
                             .in = input,
                             .string = true,
                             .rep = (in->pfx & (PFX_REP | PFX_REPNE)) != 0,
                             .segment = (u8)seg,
                             .asize = (u8)insn_asize(in),
                             .linear = (cpu->d.seg_base[seg] + offset) & cpu->d.lin_mask}));
    }
    if (input) {
        TRY(mem_probe(cpu, SEG_ES, offset, size, ACCESS_WRITE));
        return mem_write(cpu, SEG_ES, offset, size, io_read_port(cpu, port, size));
    }
    TRY(mem_read(cpu, implicit_seg(in), offset, size, &v));
    io_write_port(cpu, port, (u32)v, size);
    return CPU_OK;
}

static cpu_rc port_run(struct cpu *cpu, const struct insn *in, bool input)
{
    unsigned asize = insn_asize(in), reg = input ? RDI : RSI, size = in->osz == 8 ? 4 : in->osz;
    bool rep = (in->pfx & (PFX_REP | PFX_REPNE)) != 0;
    u64 count = gpr_read(cpu, RCX, asize), offset = gpr_read(cpu, reg, asize);
    if (rep && count == 0) {
        cpu->arch.rip = next_rip(cpu, in);
        return CPU_OK;
    }
    TRY(port_element(cpu, in, input, offset));
    bool down = (cpu->arch.rflags & RFLAGS_DF) != 0;
    gpr_write(cpu, reg, asize, down ? offset - size : offset + size);
    if (rep) {
        gpr_write(cpu, RCX, asize, count - 1);
        cpu->arch.rep_partial = count != 1;
        if (count == 1) {
            cpu->arch.rip = next_rip(cpu, in);
        }
    }
    cpu_leave_block(cpu); /* a device may have changed what is pending */
    return CPU_OK;
}

cpu_rc exec_ins(struct cpu *cpu, const struct insn *in)
{
    return port_run(cpu, in, true);
}

cpu_rc exec_outs(struct cpu *cpu, const struct insn *in)
{
    return port_run(cpu, in, false);
}
