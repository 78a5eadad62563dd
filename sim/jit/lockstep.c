/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lockstep: every stretch of translated code is done again by the interpreter, from the same state, and
 * compared.
 *
 * A stretch lies between two points where C code runs: entry of a block or end of a handler's call, and the
 * next handler's call or the way out of the block. Within it translated code only changes general registers,
 * flags and bytes of RAM with fast write entries; these stores are written down first, with what was there. At
 * the stretch's end the stores are taken back, the interpreter's handlers run the same instructions, and
 * registers, flags, RIP and the bytes stored must be what they were. Handlers called by translated code, and
 * so devices, run once.
 *
 * On a difference the block is translated again up to its first, second, ... instruction, each of these runs
 * from the same state, and the first that differs names the instruction. */
#include "jit/jit_priv.h"

#include "cpu/decode/decode.h"
#include "cpu/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES_MAX (4 * BLOCK_MAX)

struct store {
    u8 *host;
    u32 size;
    u8 before[32], after[32];
};

struct regs {
    u64 gpr[16], rip, flags;
    u8 vec[16][32];
    u32 mxcsr;
    struct fpu_state fpu;
    u64 control, gs_base, other_gs_base;
};

struct lockstep {
    struct regs start;
    unsigned from; /* op at which the stretch begins */
    u32 block;
    unsigned stores;
    struct store store[STORES_MAX];
    bool searching; /* running prefixes of the block that differs */
    char text[512];
};

struct lockstep *lockstep_new(void)
{
    return calloc(1, sizeof(struct lockstep));
}

void lockstep_free(struct lockstep *l)
{
    free(l);
}

const char *lockstep_text(const struct lockstep *l)
{
    return l == NULL || l->text[0] == '\0' ? NULL : l->text;
}

static void take_regs(const struct cpu *cpu, struct regs *r)
{
    memcpy(r->gpr, cpu->arch.gpr, sizeof r->gpr);
    r->rip = cpu->arch.rip;
    r->flags = jit_pack_flags(cpu);
    memcpy(r->vec, cpu->arch.vec, sizeof r->vec);
    r->mxcsr = cpu->arch.mxcsr;
    r->fpu = cpu->arch.fpu;
    r->control = cpu->arch.rflags & (RFLAGS_IF | RFLAGS_DF);
    r->gs_base = cpu->arch.seg[SEG_GS].base;
    r->other_gs_base = cpu->arch.kernel_gs_base;
}

static void put_regs(struct cpu *cpu, const struct regs *r)
{
    memcpy(cpu->arch.gpr, r->gpr, sizeof r->gpr);
    cpu->arch.rip = r->rip;
    jit_unpack_flags(cpu, r->flags);
    memcpy(cpu->arch.vec, r->vec, sizeof r->vec);
    cpu->arch.mxcsr = r->mxcsr;
    cpu->arch.fpu = r->fpu;
    cpu->arch.rflags = (cpu->arch.rflags & ~(u64)(RFLAGS_IF | RFLAGS_DF)) | r->control;
    cpu->arch.seg[SEG_GS].base = cpu->d.seg_base[SEG_GS] = r->gs_base;
    cpu->arch.kernel_gs_base = r->other_gs_base;
}

bool lockstep_is_searching(const struct lockstep *l)
{
    return l->searching;
}

void lockstep_begin(struct cpu *cpu, u32 block, unsigned from)
{
    struct lockstep *l = cpu->engine.jit->lockstep;
    const struct jit_block *jb = &cpu->engine.jit->blocks[block];
    l->block = block;
    l->from = from;
    l->stores = 0;
    take_regs(cpu, &l->start);
    l->start.rip = l->from < jb->count ? jit_rip_of(jb, l->from) : 0;
}

static void take_back(struct lockstep *l)
{
    for (unsigned i = l->stores; i-- > 0;) {
        struct store *s = &l->store[i];
        memcpy(s->after, s->host, s->size);
        memcpy(s->host, s->before, s->size);
    }
}

static void give_back(const struct lockstep *l)
{
    for (unsigned i = l->stores; i-- > 0;) {
        memcpy(l->store[i].host, l->store[i].before, l->store[i].size);
    }
}

/* The interpreter from the stretch's start to op `to`. */
static bool interpret_stretch(struct cpu *cpu, const struct jit_block *jb, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const struct insn *in = jit_insn_of(jb, i);
        if (in->exec(cpu, in) != CPU_OK) {
            return false;
        }
        if (!insn_moves_rip(in)) {
            cpu->arch.rip += in->len;
        }
    }
    return true;
}

static void describe_vec(unsigned g, const u8 *got, const u8 *want, char *text, size_t size)
{
    unsigned i = 0;
    while (i < 24 && memcmp(got + i, want + i, 8) == 0) {
        i += 8;
    }
    (void)snprintf(text, size, "YMM%u[%u:%u] is %llx, should be %llx", g, 8 * i + 63, 8 * i,
                   (unsigned long long)load_le(got + i, 8), (unsigned long long)load_le(want + i, 8));
}

static bool describe_fpu(const struct fpu_state *got, const struct fpu_state *want, char *text, size_t size)
{
    for (unsigned i = 0; i < 8; i++) {
        if (got->r[i].mant != want->r[i].mant || got->r[i].se != want->r[i].se) {
            (void)snprintf(text, size, "x87 R%u is %04x:%016llx, should be %04x:%016llx", i, got->r[i].se,
                           (unsigned long long)got->r[i].mant, want->r[i].se, (unsigned long long)want->r[i].mant);
            return true;
        }
    }
    if (got->fcw != want->fcw || got->fsw != want->fsw || got->tags != want->tags || got->fop != want->fop) {
        (void)snprintf(text, size, "FCW FSW tags FOP are %04x %04x %02x %03x, should be %04x %04x %02x %03x", got->fcw,
                       got->fsw, got->tags, got->fop, want->fcw, want->fsw, want->tags, want->fop);
        return true;
    }
    if (got->fip != want->fip || got->fdp != want->fdp || got->fcs != want->fcs || got->fds != want->fds) {
        (void)snprintf(text, size, "FIP, FDP are %x:%llx %x:%llx, should be %x:%llx %x:%llx", got->fcs,
                       (unsigned long long)got->fip, got->fds, (unsigned long long)got->fdp, want->fcs,
                       (unsigned long long)want->fip, want->fds, (unsigned long long)want->fdp);
        return true;
    }
    return false;
}

/* What `got` (translated) and the processor's state (interpreted) differ in, as text; false: nothing. */
static bool describe(struct lockstep *l, const struct cpu *cpu, const struct regs *got, char *text, size_t size)
{
    static const char *const names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    struct regs want;
    take_regs(cpu, &want);
    for (unsigned g = 0; g < 16; g++) {
        if (want.gpr[g] != got->gpr[g]) {
            (void)snprintf(text, size, "%s is %llx, should be %llx", names[g], (unsigned long long)got->gpr[g],
                           (unsigned long long)want.gpr[g]);
            return true;
        }
    }
    if (((want.flags ^ got->flags) & 0xd501) != 0) {
        (void)snprintf(text, size, "flags (LAHF, OF) are %llx, should be %llx",
                       (unsigned long long)got->flags & 0xffff, (unsigned long long)want.flags);
        return true;
    }
    for (unsigned g = 0; g < 16; g++) {
        if (memcmp(want.vec[g], got->vec[g], sizeof want.vec[g]) != 0) {
            describe_vec(g, got->vec[g], want.vec[g], text, size);
            return true;
        }
    }
    if (want.mxcsr != got->mxcsr) {
        (void)snprintf(text, size, "MXCSR is %x, should be %x", got->mxcsr, want.mxcsr);
        return true;
    }
    if (want.control != got->control || want.gs_base != got->gs_base ||
        want.other_gs_base != got->other_gs_base) {
        (void)snprintf(text, size, "IF, DF and the GS bases are %llx %llx %llx, should be %llx %llx %llx",
                       (unsigned long long)got->control, (unsigned long long)got->gs_base,
                       (unsigned long long)got->other_gs_base, (unsigned long long)want.control,
                       (unsigned long long)want.gs_base, (unsigned long long)want.other_gs_base);
        return true;
    }
    if (describe_fpu(&got->fpu, &want.fpu, text, size)) {
        return true;
    }
    if (want.rip != got->rip) {
        (void)snprintf(text, size, "RIP is %llx, should be %llx", (unsigned long long)got->rip,
                       (unsigned long long)want.rip);
        return true;
    }
    for (unsigned i = 0; i < l->stores; i++) {
        const struct store *s = &l->store[i];
        bool last = true; /* only the last store to an address left its value */
        for (unsigned k = i + 1; k < l->stores; k++) {
            last = last && !(l->store[k].host < s->host + s->size && s->host < l->store[k].host + l->store[k].size);
        }
        if (last && memcmp(s->host, s->after, s->size) != 0) {
            (void)snprintf(text, size, "store %u of %u bytes is %llx, should be %llx", i, s->size,
                           (unsigned long long)load_le(s->after, s->size < 8 ? s->size : 8),
                           (unsigned long long)load_le(s->host, s->size < 8 ? s->size : 8));
            return true;
        }
    }
    return false;
}

/* Find the first instruction that differs: run longer and longer prefixes from the stretch's start. */
static void search(struct jit *j, struct cpu *cpu, const struct jit_block *jb, unsigned to, const char *what)
{
    struct lockstep *l = j->lockstep;
    const struct regs start = l->start;
    unsigned from = l->from;
    char detail[160], insn[96];
    struct block *b = jb->b;
    l->searching = true;
    for (unsigned n = from + 1; n <= to; n++) {
        struct regs got;
        put_regs(cpu, &start);
        l->stores = 0;
        unsigned reason = jit_run_prefix(j, cpu, l->block, from, n);
        jit_unpack_flags(cpu, cpu->d.jit.flags);
        take_regs(cpu, &got);
        take_back(l);
        put_regs(cpu, &start);
        bool ran = interpret_stretch(cpu, jb, from, n);
        bool differs = reason == JIT_DIFFERS && ran && describe(l, cpu, &got, detail, sizeof detail);
        give_back(l); /* to the start */
        if (differs) {
            u64 rip = jit_rip_of(jb, n - 1);
            const u8 *bytes = phys_frame_host(cpu->phys, b->frame[0]) + (rip & PAGE_MASK);
            (void)format_insn(b->mode, bytes, jit_insn_of(jb, n - 1)->len, rip, insn, sizeof insn);
            (void)snprintf(l->text, sizeof l->text, "the translation of `%s` at %llx differs: %s", insn,
                           (unsigned long long)rip, detail);
            return;
        }
    }
    (void)snprintf(l->text, sizeof l->text,
                   "a translation differs: block at %llx, instructions %u to %u together: %s",
                   (unsigned long long)b->lin, from, to, what);
}

bool lockstep_end(struct cpu *cpu, unsigned to)
{
    struct jit *j = cpu->engine.jit;
    struct lockstep *l = j->lockstep;
    const struct jit_block *jb = &j->blocks[l->block];
    struct regs got;
    char what[160];
    if (to <= l->from || jb->b == NULL) {
        return true;
    }
    jit_unpack_flags(cpu, cpu->d.jit.flags);
    take_regs(cpu, &got);
    take_back(l);
    put_regs(cpu, &l->start);
    bool ran = interpret_stretch(cpu, jb, l->from, to);
    j->stats.checked += to - l->from;
    if (ran && !describe(l, cpu, &got, what, sizeof what)) {
        return true;
    }
    if (!ran) {
        (void)snprintf(what, sizeof what, "the interpreter faults");
    }
    give_back(l);
    search(j, cpu, jb, to, what);
    return false;
}

static void resume(struct cpu *cpu, unsigned fp_on)
{
    if (cpu->d.jit.vec_on != 0) {
        jit_want_vec(cpu);
    }
    jit_fp_resume(cpu, fp_on);
}

unsigned lockstep_enter_block(struct cpu *cpu, u64 block, u32 unused)
{
    UNUSED(unused);
    unsigned fp_on = jit_fp_suspend(cpu);
    jit_unpack_flags(cpu, cpu->d.jit.flags);
    lockstep_begin(cpu, (u32)block, 0);
    resume(cpu, fp_on);
    return JIT_GO_ON;
}

unsigned lockstep_leave_block(struct cpu *cpu, u64 to, u32 unused)
{
    UNUSED(unused);
    unsigned fp_on = jit_fp_suspend(cpu);
    if (!lockstep_end(cpu, (unsigned)to)) {
        return JIT_DIFFERS;
    }
    resume(cpu, fp_on);
    return JIT_GO_ON;
}

unsigned lockstep_store(struct cpu *cpu, u64 host, u32 size)
{
    struct lockstep *l = cpu->engine.jit->lockstep;
    u8 *at = (u8 *)(uintptr_t)host;
    if (l->stores < STORES_MAX) {
        struct store *s = &l->store[l->stores++];
        s->host = at;
        s->size = size;
        memcpy(s->before, at, size);
    }
    if (cpu->d.jit.vec_on != 0) {
        jit_want_vec(cpu);
    }
    return JIT_GO_ON;
}
