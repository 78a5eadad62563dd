/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop around translated code: which block next, translated or interpreted; and what translated code
 * calls.
 *
 * Counts. A translation takes the counts of all its parts at its entry; so while it runs, `left` is what will be left
 * behind it. A handler called from it sees what the interpreter would show: block_start, block_rip, `left`
 * and ist_count as of the block's start, RIP at the instruction. */
#include "jit/jit_priv.h"
#include "jit/vec.h"

#include "base/assert.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/exec/x87.h"
#include "cpu/flags.h"
#include "cpu/model.h"

#include <stdlib.h>
#include <string.h>

u64 jit_pack_flags(const struct cpu *cpu)
{
    u64 f = flags_get_arith(cpu);
    return (f & 0xff) << 8 | 0x200 | ((f & RFLAGS_OF) != 0 ? 1u : 0u);
}

void jit_unpack_flags(struct cpu *cpu, u64 packed)
{
    flags_set_arith(cpu, ((packed >> 8) & 0xd5) | ((packed & 1) != 0 ? RFLAGS_OF : 0u));
}

static void begin_handler(struct cpu *cpu, const struct jit_block *jb, const struct jit_part *p, unsigned i)
{
    struct cpu_derived *d = &cpu->d;
    const struct block *b = p->b;
    d->left += jb->count - p->first;
    cpu->arch.ist_count += (u64)(d->jit.mark - d->left);
    d->jit.mark = d->left;
    d->block_start = b->ops;
    d->block_count = b->count;
    d->block_rip = b->lin;
    d->block_end = &b->ops[b->count];
    cpu->arch.rip = jit_rip_of(jb, i);
    jit_unpack_flags(cpu, d->jit.flags);
}

/* The block ends with `done` of its ops retired. */
static enum jit_reason end_block(struct cpu *cpu, unsigned done, enum jit_reason reason)
{
    struct cpu_derived *d = &cpu->d;
    d->left -= done;
    d->jit.mark = d->left;
    cpu->arch.ist_count += done;
    d->block_start = NULL;
    return reason;
}

/* What FNSAVE writes. [SDM1 "Protected Mode x87 FPU State Image in Memory, 32-Bit Format"] */
struct x87_image {
    u32 fcw, fsw, ftw, pointers[4];
    u8 st[8][10];
};

static void save_x87(struct cpu *cpu)
{
#if defined(__x86_64__)
    struct fpu_state *f = &cpu->arch.fpu;
    struct x87_image image;
    __asm__ volatile("fnsave %0" : "=m"(image)); /* and FNINIT, which is what C wants */
    f->fsw = (u16)image.fsw;
    f->tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct f80 *r = x87_st(f, i);
        memcpy(&r->mant, image.st[i], sizeof r->mant);
        memcpy(&r->se, image.st[i] + 8, sizeof r->se);
        f->tags |= (u8)((image.ftw >> (2 * i) & 3) != 3 ? 1u << i : 0u);
    }
#endif
    cpu->d.jit.x87_on = 0;
}

/* Only with everything masked, so that no exception is ever pending. FCS is what the handlers would make it. */
static void load_x87(struct cpu *cpu)
{
#if defined(__x86_64__)
    const struct fpu_state *f = &cpu->arch.fpu;
    if ((~f->fcw & FP_ALL) != 0 || (f->fsw & FSW_ES) != 0 || (cpu_is_intel(cpu) && f->fcs != 0)) {
        return;
    }
    struct x87_image image = {.fcw = f->fcw, .fsw = f->fsw};
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *r = x87_st_const(f, i);
        memcpy(image.st[i], &r->mant, sizeof r->mant);
        memcpy(image.st[i] + 8, &r->se, sizeof r->se);
        image.ftw |= (f->tags >> i & 1) != 0 ? 0 : 3u << (2 * i); /* the host looks at what is not empty itself */
    }
    __asm__ volatile("frstor %0" : : "m"(image));
    cpu->d.jit.x87_on = 1;
#else
    UNUSED(cpu);
#endif
}

unsigned jit_fp_suspend(struct cpu *cpu)
{
    unsigned on = cpu->d.jit.fp_on != 0 ? FP_MXCSR : 0;
#if defined(__x86_64__)
    if (on != 0) {
        u32 csr, host = MXCSR_MASKS;
        __asm__ volatile("stmxcsr %0" : "=m"(csr));
        cpu->arch.mxcsr |= csr & FP_ALL;
        cpu->d.jit.fp_on = 0;
        if ((csr & ~(u32)FP_ALL) != host) { /* C code does not look at the flags */
            __asm__ volatile("ldmxcsr %0" : : "m"(host));
        }
    }
    if (UNLIKELY(cpu->d.jit.x87_on != 0)) {
        save_x87(cpu);
        on |= FP_X87;
    }
#endif
    return on;
}

void jit_fp_resume(struct cpu *cpu, unsigned were_on)
{
#if defined(__x86_64__)
    if ((were_on & FP_MXCSR) != 0 && (~cpu->arch.mxcsr & MXCSR_MASKS) == 0) {
        u32 csr, want = cpu->arch.mxcsr & 0xffff; /* not AMD's MM: the host may lack it, and we check alignment */
        __asm__ volatile("stmxcsr %0" : "=m"(csr));
        if (csr != want) {
            __asm__ volatile("ldmxcsr %0" : : "m"(want));
        }
        cpu->d.jit.fp_on = 1;
    }
    if (UNLIKELY((were_on & FP_X87) != 0)) {
        load_x87(cpu);
    }
#else
    UNUSED(cpu);
    UNUSED(were_on);
#endif
}

/* With what the registers are loaded: upper halves of zeros, as most code has them, are cleared, so that legacy SSE
 * runs at its best. */
void jit_want_vec(struct cpu *cpu)
{
    u64 upper = 0;
    for (unsigned g = 0; g < 16; g++) {
        upper |= load_le64(cpu->arch.vec[g] + 16) | load_le64(cpu->arch.vec[g] + 24);
    }
    cpu->d.jit.vec_on = upper == 0 || cpu->engine.jit->config.hide_avx ? VEC_ON_LOW : VEC_ON_FULL;
}

unsigned jit_vec_on(struct cpu *cpu, u64 unused, u32 unused2)
{
    UNUSED(unused);
    UNUSED(unused2);
    jit_want_vec(cpu);
    return JIT_GO_ON;
}

/* The host cannot be made what op `where` & (BLOCK_MAX - 1) needs: the interpreter goes on there. */
static unsigned leave_before(struct cpu *cpu, u64 where)
{
    unsigned i = where & (BLOCK_MAX - 1);
    const struct jit_block *jb = &cpu->engine.jit->blocks[where >> BLOCK_BITS];
    const struct jit_part *p = jit_part_of(jb, i);
    begin_handler(cpu, jb, p, i);
    return end_block(cpu, i - p->first, JIT_OUT);
}

unsigned jit_fp_on(struct cpu *cpu, u64 where, u32 unused)
{
    UNUSED(unused);
    jit_want_vec(cpu);
    jit_fp_resume(cpu, FP_MXCSR);
    return LIKELY(cpu->d.jit.fp_on != 0) ? JIT_GO_ON : leave_before(cpu, where);
}

unsigned jit_x87_on(struct cpu *cpu, u64 where, u32 unused)
{
    UNUSED(unused);
    load_x87(cpu);
    return LIKELY(cpu->d.jit.x87_on != 0) ? JIT_GO_ON : leave_before(cpu, where);
}

/* A block was left with the processor's state whole. What cpu_run() would do before the next block, as long as that
 * is little: no way back through two run loops for each system call, fault and store to a table. */
static unsigned go_on(struct cpu *cpu, enum jit_reason reason)
{
    struct cpu_derived *d = &cpu->d;
    if (UNLIKELY(cpu->engine.jit->lockstep != NULL || cpu->engine.jit->config.by_block)) {
        return reason;
    }
    if (reason == JIT_FAULT) {
        cpu_deliver_event(cpu);
        reason = JIT_LEAVE;
    }
    for (bool looked = false; !looked;) {
        if (UNLIKELY(d->left <= 0 || d->stop || cpu->arch.activity != ACTIVITY_RUNNING)) {
            return JIT_LEAVE;
        }
        looked = !d->pending;
        if (!looked) {
            d->pending = false;
            looked = !cpu_check_pending(cpu);
        }
    }
    if (UNLIKELY(d->slow_step || cpu->arch.int_shadow_sti || cpu->arch.int_shadow_movss)) {
        return JIT_LEAVE;
    }
    d->jit.mark = d->left; /* deliveries are no instructions */
    d->jit.flags = jit_pack_flags(cpu);
    d->jit.rd = d->ctx->rd;
    return JIT_JUMP;
}

unsigned jit_find(struct cpu *cpu)
{
    struct cpu_derived *d = &cpu->d;
    const struct jit *j = cpu->engine.jit;
    if (UNLIKELY(d->left <= 0 || cpu->set->stops.before != NULL || j->lockstep != NULL || j->config.by_block)) {
        return JIT_LOOKUP;
    }
    unsigned were_on = jit_fp_suspend(cpu);
    d->jit.vec_on = 0; /* until they are used again */
    const struct block *b = interp_next_block(cpu);
    if (UNLIKELY(b == NULL)) {
        jit_unpack_flags(cpu, d->jit.flags);
        cpu->arch.ist_count += (u64)(d->jit.mark - d->left);
        return go_on(cpu, JIT_FAULT);
    }
    jit_fp_resume(cpu, were_on & FP_X87);
    d->jit.code = b->code;
    return b->code != NULL ? JIT_GO_ON : JIT_LOOKUP;
}

/* Translated code has executed an STI just before op i, and let nobody see its shadow. */
static bool is_behind_sti(const struct jit *j, const struct block *b, unsigned i)
{
    return i > 0 && b->ops[i - 1].exec == exec_sti && (b->mode & MODE_CPL) == 0 && j->lockstep == NULL;
}

unsigned jit_op(struct cpu *cpu, u64 where, u32 between)
{
    struct jit *j = cpu->engine.jit;
    struct cpu_derived *d = &cpu->d;
    const struct jit_block *jb = &j->blocks[where >> BLOCK_BITS];
    unsigned op = where & (BLOCK_MAX - 1);
    const struct jit_part *p = jit_part_of(jb, op);
    const struct block *b = p->b;
    unsigned i = op - p->first, rest = jb->count - p->first;
    const struct insn *in = &b->ops[i];
    bool jumps = i + 1 == b->count && (b->flags & BLOCK_LAST_JUMPS) != 0;
    j->stats.helped++;
    j->helped_by[insn_id(in)]++;
    unsigned fp_on = jit_fp_suspend(cpu) & (between != 0 ? (unsigned)FP_MXCSR : ~0u);
    bool vec_on = d->jit.vec_on != 0 && jb->vec; /* else when they are used again */
    d->jit.vec_on = 0;
    if (UNLIKELY(j->lockstep != NULL)) {
        cpu->arch.rip = jit_rip_of(jb, op);
        if (lockstep_is_searching(j->lockstep) || !lockstep_end(cpu, op)) {
            return JIT_LEAVE;
        }
    }
    begin_handler(cpu, jb, p, op);
    bool shadow = is_behind_sti(j, b, i);
    if (UNLIKELY(shadow)) {
        cpu->arch.int_shadow_sti = true;
        d->switched = false;
    }
    i64 before = d->left;
    cpu_rc rc = in->exec(cpu, in);
    d->jit.mark -= before - d->left; /* what it charged is no instruction */
    if (UNLIKELY(rc != CPU_OK)) {
        return go_on(cpu, end_block(cpu, i, JIT_FAULT));
    }
    if (!jumps) {
        cpu->arch.rip = (cpu->arch.rip + in->len) & d->lin_mask; /* as wide as RIP in the code we take */
    }
    if (UNLIKELY(shadow) && !d->switched) {
        shadow_end(cpu);
    }
    if (UNLIKELY(d->block_end == NULL)) {
        return go_on(cpu, end_block(cpu, i + 1, JIT_LEAVE));
    }
    d->left -= rest;
    d->block_start = NULL;
    d->jit.flags = jit_pack_flags(cpu);
    if (UNLIKELY(j->lockstep != NULL)) {
        lockstep_begin(cpu, (u32)(where >> BLOCK_BITS), op + 1);
    }
    if (vec_on) {
        jit_want_vec(cpu);
    } else {
        fp_on &= ~(unsigned)FP_MXCSR;
    }
    jit_fp_resume(cpu, fp_on);
    return JIT_GO_ON;
}

jit_enter_fn *jit_enter_of(const struct jit *j)
{
    jit_enter_fn *fn;
    memcpy(&fn, &j->thunk.enter, sizeof fn); /* data to function pointer */
    return fn;
}

enum jit_reason jit_run_code(struct jit *j, struct cpu *cpu, const u8 *code)
{
    struct cpu_derived *d = &cpu->d;
    i64 left = d->left;
    d->jit.flags = jit_pack_flags(cpu);
    d->jit.rd = d->ctx->rd;
    d->jit.mark = left;
    j->stats.enters++;
    u64 ist = cpu->arch.ist_count;
    enum jit_reason reason = jit_enter_of(j)(cpu, code);
    (void)jit_fp_suspend(cpu);
    d->jit.vec_on = 0;
    if (reason != JIT_FAULT && reason != JIT_LEAVE) {
        jit_unpack_flags(cpu, d->jit.flags);
        cpu->arch.ist_count += (u64)(d->jit.mark - d->left);
    }
    j->stats.translated += cpu->arch.ist_count - ist;
    return reason;
}

/* Interpret a block, or as much of it as counts are left. False: return *rc to the run loop. */
static bool interpret(struct jit *j, struct cpu *cpu, struct block *b, cpu_rc *rc)
{
    u64 ist = cpu->arch.ist_count;
    b->heat++;
    *rc = interp_run_block(cpu, b);
    j->stats.interpreted += cpu->arch.ist_count - ist;
    return *rc == CPU_OK && cpu->d.block_end != NULL && cpu->d.left > 0;
}

/* A block was left at an instruction's end: does cpu_run() have to look? */
static bool asks_for_attention(const struct cpu *cpu)
{
    const struct cpu_derived *d = &cpu->d;
    return d->pending || d->stop || d->left <= 0 || d->slow_step || cpu->arch.activity != ACTIVITY_RUNNING ||
           cpu->arch.int_shadow_sti || cpu->arch.int_shadow_movss;
}

static cpu_rc run_blocks(struct cpu *cpu, struct jit *j)
{
    struct cpu_derived *d = &cpu->d;
    u32 exit = 0; /* the jump that led here and may be linked, if nothing was evicted since */
    u64 evictions = 0;
    cpu_rc rc;
    for (;;) {
        struct block *b = interp_next_block(cpu);
        if (UNLIKELY(b == NULL)) {
            return CPU_EXIT;
        }
        if (b->code == NULL && b->heat >= j->config.threshold) {
            if (!jit_translate(j, cpu, b)) {
                b->heat = 0; /* not now */
            }
        }
        if (b->code == NULL) {
            exit = 0;
            if (!interpret(j, cpu, b, &rc)) {
                return rc;
            }
            continue;
        }
        if (exit != 0 && evictions == j->stats.evictions && (b->flags & BLOCK_TWO_PAGES) == 0) {
            jit_link(j, exit, b->jit);
        }
        exit = 0;
        switch (jit_run_code(j, cpu, b->code)) {
        case JIT_FAULT: return CPU_EXIT;
        case JIT_LEAVE:
            if (UNLIKELY(j->lockstep != NULL)) {
                d->stop = d->stop || lockstep_text(j->lockstep) != NULL;
                return CPU_OK;
            }
            if (asks_for_attention(cpu)) {
                return CPU_OK;
            }
            break;
        case JIT_OUT:
            if (d->left <= 0) {
                return CPU_OK;
            }
            b = interp_next_block(cpu);
            if (b == NULL) {
                return CPU_EXIT;
            }
            if (!interpret(j, cpu, b, &rc)) {
                return rc;
            }
            break;
        case JIT_LINK:
            exit = d->jit.exit;
            evictions = j->stats.evictions;
            if (d->left <= 0) {
                return CPU_OK;
            }
            break;
        case JIT_LOOKUP:
            if (d->left <= 0) {
                return CPU_OK;
            }
            break;
        case JIT_GO_ON:
        case JIT_JUMP:
        case JIT_DIFFERS: d->stop = true; return CPU_OK;
        }
    }
}

static void block_killed(void *self, struct block *b)
{
    struct jit *j = self;
    if (b->jit != 0) {
        jit_unlink_block(j, b->jit);
        j->stats.killed++;
    }
    while (b->paths != 0) {
        jit_unlink_block(j, b->paths / JIT_PARTS);
        j->stats.killed++;
    }
}

static void blocks_flushed(void *self)
{
    struct jit *j = self;
    for (unsigned i = 0; i < JIT_REGIONS; i++) {
        jit_evict_region(j, i);
    }
}

/* OF after EAX = `value` was shifted or rotated to the left by 2, by the interpreter. */
static bool of_after_two(const struct cpu *like, unsigned id, u64 value, bool of_before)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);
    struct insn in = {.id = (u16)id, .imm = 2, .len = 3, .osz = 4, .r = {RAX, OPR_IMM, OPR_NONE, OPR_NONE}};
    bool of = false;
    if (cpu != NULL) {
        cpu->model = like->model;
        cpu->arch.gpr[RAX] = value;
        flag_set_of(cpu, of_before);
        of = insn_rows[id].exec(cpu, &in) == CPU_OK && flag_of(cpu);
        free(cpu);
    }
    return of;
}

/* What OF means after shifts by more than one is the interpreter's to say, and depends on the model: 60000000h
 * overflows in the first step and not in the last, 0 in none. */
static void ask_for_of(struct jit *j, const struct cpu *cpu)
{
    j->of_first_step = of_after_two(cpu, INSN_SHL, 0x60000000u, false);
    j->of_kept = of_after_two(cpu, INSN_ROL, 0, true);
}

struct jit *jit_new(struct cpu_set *set, struct code_cache *code, struct log *log, const struct jit_config *config,
                    const char **why)
{
#if !defined(__x86_64__)
    *why = "the translator needs an x86-64 host";
    return NULL;
#endif
    struct jit *j = calloc(1, sizeof *j);
    *why = "out of memory";
    if (j == NULL) {
        return NULL;
    }
    j->set = set;
    j->code = code;
    j->log = log;
    j->config = *config;
    j->vec_features = config->hide_avx ? BIT32(VEC_SSE2) : vec_host_features();
#if defined(__x86_64__)
    j->has_rorx = !config->hide_avx && __builtin_cpu_supports("bmi2") != 0;
#endif
    ask_for_of(j, set->cpu[0]);
    j->helped_by = calloc(INSN_COUNT, sizeof *j->helped_by);
    if (j->helped_by == NULL) {
        jit_free(j);
        return NULL;
    }
    if (!code_memory_init(&j->memory, config->bytes)) {
        *why = "the host gives no executable memory (memfd_create and a second mapping)";
        jit_free(j);
        return NULL;
    }
    if (config->lockstep) {
        j->lockstep = lockstep_new();
    }
    if (config->lockstep && j->lockstep == NULL) {
        jit_free(j);
        return NULL;
    }
    jit_make_thunks(j);
    code->killed = block_killed;
    code->flushed = blocks_flushed;
    code->self = j;
    for (unsigned i = 0; i < set->count; i++) {
        set->cpu[i]->engine = (struct cpu_engine){.run_blocks = run_blocks, .jit = j};
    }
    return j;
}

void jit_free(struct jit *j)
{
    if (j != NULL) {
        code_memory_free(&j->memory);
        free(j->blocks);
        free(j->helped_by);
        lockstep_free(j->lockstep);
        free(j);
    }
}

const struct jit_stats *jit_stats(const struct jit *j)
{
    return &j->stats;
}

const char *jit_difference(const struct jit *j)
{
    return lockstep_text(j->lockstep);
}

/* The mnemonics whose handlers were called most. */
static void log_handlers(const struct jit *j)
{
    u64 below = ~(u64)0;
    for (unsigned n = 0; n < 16; n++) {
        unsigned best = INSN_COUNT;
        for (unsigned id = 0; id < INSN_COUNT; id++) {
            if (j->helped_by[id] < below && (best == INSN_COUNT || j->helped_by[id] > j->helped_by[best])) {
                best = id;
            }
        }
        if (best == INSN_COUNT || j->helped_by[best] == 0) {
            return;
        }
        below = j->helped_by[best];
        log_line(j->log, LOG_JIT, "%12llu calls of the handler of %s", (unsigned long long)below, insn_rows[best].name);
    }
}

void jit_log_stats(struct jit *j)
{
    const struct jit_stats *s = &j->stats;
    u64 all = s->translated + s->interpreted;
    u64 tenths = all == 0 ? 0 : 1000 * s->translated / all;
    log_line(j->log, LOG_JIT, "%llu instructions retired in translated code (%llu.%llu %%), %llu in interpreted blocks",
             (unsigned long long)s->translated, (unsigned long long)tenths / 10, (unsigned long long)tenths % 10,
             (unsigned long long)s->interpreted);
    log_line(j->log, LOG_JIT, "%llu of them by handlers; %llu entries, %llu links", (unsigned long long)s->helped,
             (unsigned long long)s->enters, (unsigned long long)s->links);
    log_line(j->log, LOG_JIT, "%llu blocks translated, %llu with others behind them, %llu instructions, %llu bytes; %llu checks stand for several",
             (unsigned long long)s->blocks, (unsigned long long)s->paths, (unsigned long long)s->ops, (unsigned long long)s->bytes,
             (unsigned long long)s->groups);
    log_line(j->log, LOG_JIT, "%llu of them killed, %llu regions emptied", (unsigned long long)s->killed,
             (unsigned long long)s->evictions);
    log_handlers(j);
    if (j->lockstep != NULL) {
        log_line(j->log, LOG_JIT, "%llu instructions compared with the interpreter",
                 (unsigned long long)s->checked);
    }
}
