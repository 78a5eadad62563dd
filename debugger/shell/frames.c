/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/shell/frames.h"

#include "base/bytes.h"

#include <string.h>

#define STACK_WORDS 256

static unsigned word_size(const struct shell *s)
{
    return shell_code_size(shell_cpu(s));
}

static bool read_word(const struct shell *s, u64 at, u64 *value)
{
    u8 bytes[8];
    unsigned size = word_size(s);
    if (memory_read(s, at, bytes, size) != size) {
        return false;
    }
    *value = load_le(bytes, size);
    return true;
}

static bool read_for_unwind(void *self, u64 at, u64 *value)
{
    return read_word(self, at, value);
}

unsigned frames_calls_before(struct shell *s, u64 address, u64 *out, unsigned max)
{
    unsigned n = 0;
    for (unsigned len = 2; len <= 8 && n < max; len++) {
        char text[128];
        bool is_call = false;
        if (disassemble(s, address - len, word_size(s), text, sizeof text, &is_call) == len && is_call) {
            out[n++] = address - len;
        }
    }
    return n;
}

static bool is_return_address(struct shell *s, u64 value)
{
    u64 calls[1];
    return value > 0x1000 && frames_calls_before(s, value, calls, 1) > 0;
}

static u64 linear(const struct shell *s, u64 rip)
{
    const struct cpu *cpu = shell_cpu(s);
    return ((cpu->d.code64 ? 0 : cpu->d.seg_base[SEG_CS]) + rip) & cpu->d.lin_mask;
}

static u64 stack(const struct shell *s, u64 sp)
{
    const struct cpu *cpu = shell_cpu(s);
    return cpu->d.seg_base[SEG_SS] + (sp & cpu->d.sp_mask);
}

/* The caller's frame by the saved frame pointer. */
static bool by_pointer(struct shell *s, struct symbols_frame *f)
{
    u64 bp, pc;
    unsigned size = word_size(s);
    if (f->bp < f->sp || f->bp - f->sp > 0x100000 || !read_word(s, stack(s, f->bp), &bp) ||
        !read_word(s, stack(s, f->bp + size), &pc) || !is_return_address(s, linear(s, pc))) {
        return false;
    }
    f->pc = linear(s, pc);
    f->sp = f->regs[7] = f->bp + 2 * size;
    f->bp = f->regs[6] = bp;
    return true;
}

static bool by_search(struct shell *s, struct symbols_frame *f)
{
    unsigned size = word_size(s);
    for (unsigned i = 0; i < STACK_WORDS; i++) {
        u64 value;
        if (!read_word(s, stack(s, f->sp + i * size), &value)) {
            return false;
        }
        if (is_return_address(s, linear(s, value))) {
            f->pc = linear(s, value);
            f->sp += (i + 1) * size;
            return true;
        }
    }
    return false;
}

unsigned frames_find(struct shell *s, struct frame *out, unsigned max)
{
    /* DWARF's numbers of the registers. */
    static const u8 order[16] = {RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct cpu *cpu = shell_cpu(s);
    struct symbols_frame f = {.pc = shell_pc(cpu), .sp = cpu->arch.gpr[RSP], .bp = cpu->arch.gpr[RBP]};
    unsigned level = shell_level(s);
    bool information = cpu->d.code64;
    bool guessed = false;
    unsigned n = 0;
    for (unsigned i = 0; i < 16; i++) {
        f.regs[i] = cpu->arch.gpr[order[i]];
    }
    while (n < max) {
        out[n] = (struct frame){.pc = f.pc, .sp = f.sp, .guessed = guessed};
        memcpy(out[n++].regs, f.regs, sizeof f.regs);
        u64 sp = f.sp;
        struct symbols_frame next = f;
        next.pc -= n > 1 ? 1 : 0; /* inside the call */
        if (information && symbols_unwind(s->symbols, level, &next, read_for_unwind, s)) {
            f = next;
            guessed = false;
        } else if (by_pointer(s, &f)) {
            information = guessed = false;
        } else if (n < 16 && by_search(s, &f)) {
            information = false;
            guessed = true;
        } else {
            break;
        }
        if (f.sp <= sp || f.pc == 0) {
            break;
        }
    }
    return n;
}

u64 frames_pc(struct shell *s)
{
    struct frame frames[64];
    unsigned n = s->frame > 0 ? frames_find(s, frames, s->frame + 1 < 64 ? s->frame + 1 : 64) : 0;
    return n > 1 ? frames[n - 1].pc - 1 : shell_pc(shell_cpu(s));
}
