/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One difference, readable. */
#include "tests/diff/diff.h"

#include <string.h>

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static void line64(FILE *out, const char *name, u64 before, u64 ours, u64 other, bool always)
{
    if (always || ours != other) {
        fprintf(out, "  %-8s %016llx -> %016llx | %016llx%s\n", name, (unsigned long long)before,
                (unsigned long long)ours, (unsigned long long)other, ours != other ? "  <--" : "");
    }
}

static void hex(FILE *out, const u8 *data, unsigned size)
{
    for (unsigned i = size; i > 0; i--) {
        fprintf(out, "%02x%s", data[i - 1], i > 1 && (i - 1) % 8 == 0 ? "_" : "");
    }
}

static void line_bytes(FILE *out, const char *name, unsigned n, const u8 *before, const u8 *ours,
                       const u8 *other, unsigned size, bool always)
{
    if (!always && memcmp(ours, other, size) == 0) {
        return;
    }
    fprintf(out, "  %s%u before ", name, n);
    hex(out, before, size);
    fprintf(out, "\n       ours   ");
    hex(out, ours, size);
    fprintf(out, "\n       other  ");
    hex(out, other, size);
    fprintf(out, "%s\n", memcmp(ours, other, size) != 0 ? "  <--" : "");
}

static void print_outcome(FILE *out, const char *name, const struct diff_outcome *o)
{
    if (o->completed) {
        fprintf(out, "  %-6s completed\n", name);
    } else {
        fprintf(out, "  %-6s vector %u error %x cr2 %llx\n", name, o->vector, o->error, (unsigned long long)o->cr2);
    }
}

void report_difference(FILE *out, const struct diff_case *c, const struct diff_result *ours,
                       const struct diff_result *other, const char *other_name, u32 fields,
                       const u8 *ours_window, const u8 *other_window)
{
    static const char *const names[] = {"outcome", "rip", "gpr", "flags", "vector", "mxcsr", "x87", "memory", "base", "undefined"};
    char text[128];
    disassemble(c->bytes, c->start.rip, c->compat, text, sizeof text);
    fprintf(out, "--- --replay %llu:%llu %s%s%s against %s:", (unsigned long long)c->seed,
            (unsigned long long)c->number, c->compat ? "32-bit " : "", c->exact ? "exact " : "",
            c->mutated ? "mutated" : "", other_name);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if ((fields >> i & 1) != 0) {
            fprintf(out, " %s", names[i]);
        }
    }
    fprintf(out, "\n  ");
    for (unsigned i = 0; i < 15; i++) {
        fprintf(out, "%s%02x", i == c->len ? " | " : " ", c->bytes[i]);
    }
    fprintf(out, "\n  %s   (row %s, osz %u, decode %d)\n", text, insn_rows[insn_id(&c->in)].name, c->in.osz, (int)c->decoded);
    print_outcome(out, "ours", &ours->outcome);
    print_outcome(out, other_name, &other->outcome);
    for (unsigned i = 0; i < 16; i++) {
        line64(out, gpr_names[i], c->start.gpr[i], ours->end.gpr[i], other->end.gpr[i],
               (fields & (DIFF_GPR | DIFF_OUTCOME | DIFF_FLAGS | DIFF_MEMORY | DIFF_UNDEFINED)) != 0);
    }
    line64(out, "rip", c->start.rip, ours->end.rip, other->end.rip, true);
    line64(out, "rflags", c->start.rflags, ours->end.rflags, other->end.rflags, true);
    if (undefined_flags(c) != 0) {
        fprintf(out, "  undefined flags %llx\n", (unsigned long long)undefined_flags(c));
    }
    line64(out, "fsbase", c->start.fs_base, ours->end.fs_base, other->end.fs_base, false);
    line64(out, "gsbase", c->start.gs_base, ours->end.gs_base, other->end.gs_base, false);
    const struct native_fx *a = &c->start.fx, *b = &ours->end.fx, *d = &other->end.fx;
    line64(out, "mxcsr", a->mxcsr, b->mxcsr, d->mxcsr, (fields & (DIFF_VECTOR | DIFF_MXCSR | DIFF_OUTCOME)) != 0);
    bool x87 = (fields & DIFF_X87) != 0;
    line64(out, "fcw", a->fcw, b->fcw, d->fcw, x87);
    line64(out, "fsw", a->fsw, b->fsw, d->fsw, x87);
    line64(out, "tags", a->tags, b->tags, d->tags, x87);
    line64(out, "fop", a->fop, b->fop, d->fop, false);
    line64(out, "fip", a->fip, b->fip, d->fip, false);
    line64(out, "fdp", a->fdp, b->fdp, d->fdp, false);
    for (unsigned i = 0; i < 8; i++) {
        line_bytes(out, "st", i, a->st[i], b->st[i], d->st[i], 10, x87 && i < 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        bool operand = false;
        for (unsigned k = 0; k < 4; k++) {
            operand = operand || c->in.r[k] == OPR_VEC + i;
        }
        line_bytes(out, "ymm", i, c->start.vec[i], ours->end.vec[i], other->end.vec[i], 32,
                   operand && (fields & (DIFF_VECTOR | DIFF_MXCSR | DIFF_OUTCOME)) != 0);
    }
    unsigned shown = 0;
    for (unsigned i = 0; i < WINDOW_WRITABLE && shown < 8; i += 8) {
        if (memcmp(ours_window + i, other_window + i, 8) != 0) {
            fprintf(out, "  [%x] ours %016llx other %016llx\n", WINDOW + i,
                    (unsigned long long)load_le64(ours_window + i), (unsigned long long)load_le64(other_window + i));
            shown++;
        }
    }
    if (c->target - WINDOW < WINDOW_BYTES - 32) {
        fprintf(out, "  target %llx now ", (unsigned long long)c->target);
        hex(out, ours_window + (c->target - WINDOW), 32);
        fprintf(out, "\n");
    }
}
