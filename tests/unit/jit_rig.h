/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Translated code against the interpreter: random programs, with equal registers, flags, memory and counts behind them
 * and budgets that end anywhere. What a program draws is a test's own; the emitter serves as assembler. */
#ifndef VITRINE_TESTS_UNIT_JIT_RIG_H
#define VITRINE_TESTS_UNIT_JIT_RIG_H

#include "tests/harness/compare_arch.h"
#include "tests/harness/draw.h"
#include "sys_rig.h"
#include "unit.h"

#include "abi/x86/fpu.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/fault.h"
#include "jit/emit.h"
#include "jit/jit.h"

#define DATA 0x200000u /* reached by RBX, with R14 as a small index */
#define DATA_BYTES 8192u
#define CODE_AT 0x180000u
#define STACK_BYTES 2048u /* around AT_STACK */

struct program {
    u8 code[512];
    u64 gpr[16], rflags, budget;
    u64 vec[16][4];
    struct fpu_state fpu;
    u32 mxcsr;
    u64 data[DATA_BYTES / 8];
    bool cold; /* no fast entries to begin with */
};

/* What a test's programs are made of. */
struct jit_trial {
    const char *model;                 /* NULL: all that there is */
    struct jit_config config;          /* .bytes 0: 1 MiB */
    void (*enter)(void);               /* the processor's mode */
    void (*insn)(struct emit *e);      /* one instruction, or a few */
    void (*end)(struct emit *e, const u8 *start); /* of a loop; NULL: any jump, or none */
    u64 (*value)(void);                /* for registers and memory */
    void (*state)(struct program *p);  /* the rest of a program's state; NULL: nothing else */
    unsigned most_insns, most_budget;
    unsigned again; /* each program runs so many times more, with other budgets: paths need blocks that are known */
};

struct outcome {
    struct cpu_arch arch;
    u8 data[DATA_BYTES];
    u8 stack[STACK_BYTES];
    u64 used;
};

/* Doubles that meet rules: infinities, NaNs of both kinds, denormals, limits of integers. */
static inline u64 draw_double(void)
{
    static const u64 doubles[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0xbff8000000000000, 0x7ff0000000000000,
                                  0xfff8000000000000, 0x7ff4000000000001, 1, 0x7fefffffffffffff, 0x0010000000000000,
                                  0x41e0000000000000, 0x43e0000000000000, 0x4059000000000000};
    return doubles[below(ARRAY_LEN(doubles))];
}

/* Are the bytes one instruction that a program should hold: known, and none that moves the pointers? */
static inline bool is_welcome(const u8 *bytes, size_t size)
{
    struct insn in;
    if (decode_insn(R.code.decoder, R.cpu.d.mode_word, bytes, size, &in) != DECODE_OK || in.len != size) {
        return false;
    }
    bool pointer = in.r[0] == RBX || in.r[0] == RSP || in.r[0] == 14;
    return in.exec != exec_unit_fault && !pointer && insn_rows[insn_id(&in)].block == BLOCK_NORMAL;
}

/* Until `one` draws a welcome instruction. */
static inline void draw_welcome(struct emit *e, void (*one)(struct emit *e))
{
    u8 bytes[16];
    size_t size;
    do {
        struct emit draft = {.at = bytes, .end = bytes + sizeof bytes};
        one(&draft);
        size = (size_t)(draft.at - bytes);
    } while (!is_welcome(bytes, size));
    for (size_t i = 0; i < size; i++) {
        emit_u8(e, bytes[i]);
    }
}

static inline void draw_program(const struct jit_trial *t, struct program *p)
{
    struct emit e = {.at = p->code, .end = p->code + 400};
    unsigned n = 1 + below(t->most_insns);
    for (unsigned i = 0; i < n; i++) {
        t->insn(&e);
    }
    if (t->end != NULL) {
        t->end(&e, p->code);
    } else if (below(2) == 0) { /* a loop, or the next block */
        emit_u8(&e, 0x0f);
        emit_u8(&e, 0x80 | below(16));
        emit_u32(&e, below(2) == 0 ? 0u : (u32)(p->code - (e.at + 4)));
    }
    e.end = p->code + sizeof p->code;
    t->insn(&e);
    emit_u8(&e, 0xeb); /* jmp . */
    emit_u8(&e, 0xfe);
    for (unsigned i = 0; i < 16; i++) {
        p->gpr[i] = t->value();
    }
    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        p->data[i] = t->value();
    }
    p->gpr[RBX] = DATA;
    p->gpr[14] = 16 * below(4);
    p->gpr[RSP] = AT_STACK;
    p->rflags = draw() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF);
    p->fpu = (struct fpu_state){.fcw = 0x37f};
    p->mxcsr = MXCSR_INIT;
    p->budget = 1 + below(t->most_budget);
    p->cold = below(4) == 0;
    if (t->state != NULL) {
        t->state(p);
    }
}

static inline void place_code(const struct jit_trial *t, const struct program *p)
{
    if (t->again == 0) {
        mem_before_ram_write(&R.set, &R.phys, CODE_AT >> PAGE_SHIFT, 0, sizeof p->code);
        phys_write(&R.phys, SPA(CODE_AT), p->code, sizeof p->code);
        return;
    }
    for (unsigned i = 0; i < sizeof p->code; i++) { /* blocks that need not die live on */
        if (ram(CODE_AT)[i] != p->code[i]) {
            mem_before_ram_write(&R.set, &R.phys, CODE_AT >> PAGE_SHIFT, i, 1);
            ram(CODE_AT)[i] = p->code[i];
        }
    }
}

static inline void run_program(const struct jit_trial *t, const struct program *p, struct outcome *out)
{
    memset(ram(AT_STACK - STACK_BYTES / 2), 0, STACK_BYTES);
    place_code(t, p);
    phys_write(&R.phys, SPA(DATA), p->data, sizeof p->data);
    R.cpu.arch.ist_count = 0;
    R.cpu.arch.activity = ACTIVITY_RUNNING;
    t->enter();
    memcpy(R.cpu.arch.gpr, p->gpr, sizeof p->gpr);
    memcpy(R.cpu.arch.vec, p->vec, sizeof p->vec);
    R.cpu.arch.fpu = p->fpu;
    R.cpu.arch.mxcsr = p->mxcsr;
    cpu_update_mode(CPU);
    cpu_set_rflags(CPU, p->rflags);
    R.cpu.arch.rip = CODE_AT;
    if (p->cold) {
        tlb_drop_all(CPU);
    }
    R.shutdowns = 0;
    out->used = cpu_run(CPU, p->budget);
    flags_sync(CPU);
    out->arch = R.cpu.arch;
    memcpy(out->data, ram(DATA), DATA_BYTES);
    memcpy(out->stack, ram(AT_STACK - STACK_BYTES / 2), STACK_BYTES);
}

static inline const char *difference(const struct outcome *a, const struct outcome *b)
{
    const char *what = arch_difference(&a->arch, &b->arch);
    return what != NULL                                    ? what
           : a->used != b->used                            ? "instructions used"
           : memcmp(a->data, b->data, DATA_BYTES) != 0     ? "data"
           : memcmp(a->stack, b->stack, STACK_BYTES) != 0  ? "the stack"
                                                           : NULL;
}

static inline void show_pair(const char *name, unsigned n, u64 want, u64 got)
{
    if (want != got) {
        printf("%s%u %llx %llx\n", name, n, (unsigned long long)want, (unsigned long long)got);
    }
}

static inline void show_fpu(const struct fpu_state *f)
{
    printf("fcw %04x fsw %04x tags %02x fop %03x fip %x:%llx fdp %x:%llx\n", f->fcw, f->fsw, f->tags, f->fop, f->fcs,
           (unsigned long long)f->fip, f->fds, (unsigned long long)f->fdp);
    for (unsigned i = 0; i < 8; i++) {
        printf("  %04x:%016llx", f->r[i].se, (unsigned long long)f->r[i].mant);
    }
    printf("\n");
}

/* The program, and what differs: the interpreter's value first. */
static inline void show(const struct program *p, const struct outcome *want, const struct outcome *got)
{
    const struct cpu_arch *a = &want->arch, *b = &got->arch;
    printf("budget %llu: rip %llx %llx flags %llx %llx mxcsr %x: %x %x used %llu %llu ist %llu %llu, %u shutdowns\n",
           (unsigned long long)p->budget, (unsigned long long)a->rip, (unsigned long long)b->rip,
           (unsigned long long)a->rflags, (unsigned long long)b->rflags, p->mxcsr, a->mxcsr, b->mxcsr,
           (unsigned long long)want->used, (unsigned long long)got->used, (unsigned long long)a->ist_count,
           (unsigned long long)b->ist_count, R.shutdowns);
    for (unsigned i = 0; i < 16; i++) {
        show_pair("r", i, a->gpr[i], b->gpr[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        show_pair("vec quarter ", i, load_le64(a->vec[i / 4] + i % 4 * 8), load_le64(b->vec[i / 4] + i % 4 * 8));
    }
    if (!same_fpu(&a->fpu, &b->fpu)) {
        show_fpu(&p->fpu);
        show_fpu(&a->fpu);
        show_fpu(&b->fpu);
    }
    for (unsigned at = 0; at < sizeof p->code - 16;) {
        char text[96];
        unsigned len = format_insn(R.cpu.d.mode_word, p->code + at, 16, CODE_AT + at, text, sizeof text);
        printf("%x %s\n", CODE_AT + at, text);
        at += len;
        if (p->code[at - len] == 0xeb && p->code[at - len + 1] == 0xfe) {
            break;
        }
    }
    (void)fflush(stdout);
}

/* Returns what the translator counted. */
static inline struct jit_stats compare_programs(const struct jit_trial *t, unsigned programs)
{
    static struct outcome want, got;
    static struct program p;
    const char *why = NULL;
    struct jit_config config = t->config;
    rig_start_model(t->model != NULL ? t->model : "max");
    R.code.size = 2048; /* blocks of 32 bytes: code_flush() and dead blocks are met often */
    config.bytes = config.bytes != 0 ? config.bytes : MIB(1);
    config.tlb_entries = 64;
    t->enter();
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    struct cpu_engine engine = R.cpu.engine;
    for (unsigned n = 0; n < programs * (1 + t->again); n++) {
        if (n % (1 + t->again) == 0) {
            draw_program(t, &p);
        } else {
            p.budget = 1 + below(t->most_budget);
        }
        R.cpu.engine = (struct cpu_engine){0};
        run_program(t, &p, &want);
        R.cpu.engine = engine;
        run_program(t, &p, &got);
        const char *what = difference(&want, &got);
        if (what != NULL) {
            printf("program %u: %s differ, ", n, what);
            show(&p, &want, &got);
        }
        ck_assert(what == NULL);
        ck_assert_msg(jit_difference(j) == NULL, "%s", jit_difference(j));
    }
    struct jit_stats stats = *jit_stats(j);
    jit_free(j);
    rig_stop();
    return stats;
}

#endif
