/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The run loop: blocks of ops, exact counts, boundaries.
 *
 * Counting. Every retired instruction counts one, a REP chunk what it charges, a delivery one. A block
 * runs whole only if more counts remain than it has ops; otherwise just as many ops as remain. What
 * can change pending events inside a block (MMIO, a store that ends it) sets block_end to NULL, so the
 * loop leaves after that instruction; so the shape of blocks cannot be seen. */
#include "cpu/cpu.h"
#include "cpu/decode/block.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/virt.h"

#include <stdio.h>

/* Index of the running block's op that RIP is at, or of the end behind the last one; false: RIP is elsewhere. */
static bool op_at_rip(const struct cpu *cpu, u32 *n)
{
    const struct insn *in = cpu->d.block_start;
    u64 rip = cpu->d.block_rip;
    for (*n = 0; *n < cpu->d.block_count && rip != cpu->arch.rip; ++*n) {
        rip += in[*n].len;
    }
    return rip == cpu->arch.rip;
}

/* Ops of the running block that have completed: those before the one at arch.rip. Only the last op of a block sends RIP
 * elsewhere; while it does more after that, it is not completed. */
static u64 ops_done(const struct cpu *cpu)
{
    u32 n;
    if (cpu->d.block_start == NULL) {
        return 0;
    }
    return op_at_rip(cpu, &n) ? n : cpu->d.block_count - 1;
}

const struct insn *cpu_running_insn(const struct cpu *cpu)
{
    u32 n;
    bool there = cpu->d.block_start != NULL && op_at_rip(cpu, &n) && n < cpu->d.block_count;
    return there ? &cpu->d.block_start[n] : NULL;
}

u64 cpu_slice_counts(void *self)
{
    struct cpu *cpu = self;
    i64 used = (i64)cpu->d.slice_budget - cpu->d.left;
    return (u64)used + ops_done(cpu);
}

u64 cpu_rdtsc(struct cpu *cpu)
{
    u64 tsc = clock_tsc(cpu->clock) + cpu->arch.tsc_offset;
    return in_guest(cpu) ? virt_tsc(cpu, tsc) : tsc;
}

/* Run ops [first, first + limit) of a block, or fewer. Returns whether the last one came back with
 * CPU_EXIT; counts and RIP are exact either way. */
static inline __attribute__((always_inline)) cpu_rc run_ops(struct cpu *cpu, const struct block *b,
                                                           unsigned limit)
{
    const struct insn *in = b->ops;
    const struct insn *stop = b->ops + limit;
    bool jumps = limit == b->count && (b->flags & BLOCK_LAST_JUMPS) != 0;
    cpu_rc rc;
    u64 rip = cpu->arch.rip;
    cpu->d.block_start = in;
    cpu->d.block_count = limit;
    cpu->d.block_rip = rip;
    cpu->d.block_end = jumps ? stop - 1 : stop;
    while (in < cpu->d.block_end) {
        rc = in->exec(cpu, in);
        if (UNLIKELY(rc != CPU_OK)) {
            goto out;
        }
        rip += in->len;
        cpu->arch.rip = rip;
        in++;
    }
    rc = CPU_OK;
    if (jumps && in == stop - 1 && cpu->d.block_end == in) {
        rc = in->exec(cpu, in);
        in += rc == CPU_OK ? 1 : 0;
    } else if (UNLIKELY((rip >> 16) != (cpu->d.block_rip >> 16)) && cpu->d.code_size != 8) {
        cpu->arch.rip = (u32)rip; /* EIP wraps; past 0xffff in 16-bit code the limit check decides */
    }
out:
    cpu->d.block_start = NULL;
    cpu->d.left -= in - b->ops;
    cpu->arch.ist_count += (u64)(in - b->ops);
    return rc;
}

/* `--log exec`: the instruction that is about to run. */
static void log_insn(const struct cpu *cpu, const struct block *b)
{
    u8 bytes[16] = {0};
    char text[96];
    unsigned len = b->ops[0].len;
    u64 at = b->spa & PAGE_MASK;
    if (b->frame[0] != b->spa >> PAGE_SHIFT) {
        (void)snprintf(text, sizeof text, "(in device memory)");
    } else {
        for (unsigned i = 0; i < len && i < 15; i++) {
            u64 frame = b->frame[at + i >= PAGE_SIZE];
            bytes[i] = phys_frame_host(cpu->phys, frame)[(at + i) & PAGE_MASK];
        }
        (void)format_insn(b->mode, bytes, len, cpu->arch.rip, text, sizeof text);
    }
    log_line(cpu->log, LOG_EXEC, "cpu%u %04x:%016llx %s", cpu->index, cpu->arch.seg[SEG_CS].sel,
             (unsigned long long)cpu->arch.rip, text);
}

/* One instruction with everything that is looked at around it: shadows, TF, RF, code breakpoints,
 * indirect-branch tracking. False: an event waits in cpu->event. */
static cpu_rc step_slowly(struct cpu *cpu)
{
    bool shadow = shadow_is_on(cpu);
    if (debug_check_fetch(cpu) != CPU_OK) {
        return CPU_EXIT;
    }
    const struct block *b = block_find(cpu);
    if (b == NULL) {
        return CPU_EXIT;
    }
    if (log_on(cpu->log, LOG_EXEC)) {
        log_insn(cpu, b);
    }
    if (cet_is_waiting(cpu) && cet_check_target(cpu, &b->ops[0]) != CPU_OK) {
        return CPU_EXIT;
    }
    bool tf = (cpu->arch.rflags & RFLAGS_TF) != 0;
    bool branches = (cpu->arch.debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) != 0 || debug_counts_branches(cpu);
    struct branch_from from = debug_branch_from(cpu);
    const struct insn op = b->ops[0];
    if (run_ops(cpu, b, 1) != CPU_OK) {
        return CPU_EXIT;
    }
    if (cpu->d.switched) {
        return CPU_OK;
    }
    bool branch = branches && debug_note_branch(cpu, &op, &from);
    if (shadow) {
        shadow_end(cpu);
    }
    debug_after_insn(cpu, tf, branch);
    if (in_guest(cpu)) {
        virt_after_insn(cpu);
    }
    return CPU_OK;
}

/* RIP is a linear address and no limit binds: 64-bit code, or segments of 4 GiB from 0. */
static inline bool rip_is_linear(const struct cpu_derived *d)
{
    return d->code_size == 8 || (d->mode_word & MODE_FLAT) != 0;
}

/* The block at RIP when the jump cache knows it, else by the slow way. */
static inline struct block *next_block(struct cpu *cpu)
{
    const struct cpu_derived *d = &cpu->d;
    if (LIKELY(rip_is_linear(d))) {
        u64 lin = cpu->arch.rip;
        struct block *b = d->ctx->jump[jump_line(lin)];
        if (LIKELY(b != NULL && b->lin == lin && b->mode == d->mode_word)) {
            return b;
        }
    }
    return block_find(cpu);
}

/* The successor of a block that has just run, by its links where it lies in the same page. */
static inline struct block *follow(struct cpu *cpu, struct block *from)
{
    const struct cpu_derived *d = &cpu->d;
    if (UNLIKELY(!rip_is_linear(d))) {
        return block_find(cpu);
    }
    u64 lin = cpu->arch.rip;
    struct block **link = &from->link[lin != from->lin + from->bytes];
    struct block *b = *link;
    if (LIKELY(b != NULL && b->lin == lin && b->mode == d->mode_word)) {
        return b;
    }
    u64 flushes = cpu->code->flushes; /* a flush while decoding takes `from` away */
    b = next_block(cpu);
    if (b != NULL && cpu->code->flushes == flushes && ((b->lin ^ from->lin) & ~PAGE_MASK) == 0 &&
        ((from->flags | b->flags) & (BLOCK_STRADDLES | BLOCK_TWO_PAGES)) == 0) {
        *link = b;
    }
    return b;
}

/* Run block after block while nothing asks for attention: whatever does leaves the block with
 * block_end = NULL. CPU_EXIT: an event waits in cpu->event. */
static cpu_rc run_blocks(struct cpu *cpu)
{
    struct cpu_derived *d = &cpu->d;
    struct block *b = next_block(cpu);
    while (LIKELY(b != NULL)) {
        unsigned n = b->count;
        if (UNLIKELY(run_ops(cpu, b, (i64)n <= d->left ? n : (unsigned)d->left) != CPU_OK)) {
            return CPU_EXIT;
        }
        if (UNLIKELY(d->block_end == NULL || d->left <= 0)) {
            return CPU_OK;
        }
        b = follow(cpu, b);
    }
    return CPU_EXIT;
}

struct block *interp_next_block(struct cpu *cpu)
{
    return next_block(cpu);
}

cpu_rc interp_run_block(struct cpu *cpu, const struct block *b)
{
    unsigned n = b->count;
    return run_ops(cpu, b, (i64)n <= cpu->d.left ? n : (unsigned)cpu->d.left);
}

cpu_rc interp_run_ops(struct cpu *cpu, const struct block *b, unsigned ops)
{
    return run_ops(cpu, b, ops);
}

u64 cpu_run(struct cpu *cpu, u64 budget)
{
    struct cpu_derived *d = &cpu->d;
    d->slice_budget = budget;
    d->left = (i64)budget;
    d->tsc_per_count = cpu->clock->running_cpu == cpu ? clock_tsc_per_count(cpu->clock) : 0;
    d->tsc_at_end = d->tsc_per_count != 0 ? clock_tsc(cpu->clock) + budget * d->tsc_per_count : 0;
    d->stop = false;
    d->yield = false;
    bool logged = log_on(cpu->log, LOG_EXEC);
    if (cpu->arch.activity != ACTIVITY_RUNNING && d->pending) {
        d->pending = false;
        (void)cpu_check_pending(cpu); /* what may wake it */
    }
    /* A processor that begins to wait ends its slice before anything pending is looked at, whatever is
     * left: so its state there does not depend on how long the slice might have been. */
    while (d->left > 0 && !d->stop && cpu->arch.activity == ACTIVITY_RUNNING) {
        if (UNLIKELY(d->pending)) {
            d->pending = false;
            if (cpu_check_pending(cpu)) {
                continue;
            }
        }
        cpu_rc rc;
        if (UNLIKELY(d->slow_step || logged || shadow_is_on(cpu))) {
            rc = step_slowly(cpu);
        } else if (cpu->engine.run_blocks != NULL) {
            rc = cpu->engine.run_blocks(cpu, cpu->engine.jit);
        } else {
            rc = run_blocks(cpu);
        }
        if (UNLIKELY(rc != CPU_OK)) {
            if (UNLIKELY(d->at_stop)) {
                d->at_stop = false;
                break;
            }
            cpu_deliver_event(cpu);
        }
    }
    return (u64)((i64)budget - d->left);
}
