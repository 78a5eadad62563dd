/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differential fuzzer: what its parts share. README.md tells how a case goes through them. */
#ifndef VITRINE_TESTS_DIFF_DIFF_H
#define VITRINE_TESTS_DIFF_DIFF_H

#include "base/bits.h"
#include "base/bytes.h"
#include "base/types.h"
#include "cpu/decode/decode.h"
#include "tests/diff/host.h"

#include <stdio.h>

/* A way to encode something: what enumeration found, and what of it is free. */
struct form {
    u16 id;        /* enum insn_id */
    u8 prefix[2];  /* mandatory ones, 0: none */
    bool vex;
    bool has_modrm, mem, vsib, rex_w, vex_l;
    bool vvvv;     /* vvvv names a register; else it must be 1111 */
    u8 map, pp, opcode;
    u8 reg, rm;    /* 0xff: free */
    bool verified; /* the host was seen to agree on its length */
};

struct forms {
    struct form *form;
    u32 count;
    u32 first[INSN_COUNT + 1]; /* forms of row id: [first[id], first[id + 1]) */
};

struct diff_case {
    u64 seed, number;
    bool compat;  /* 32-bit code under a 64-bit kernel */
    bool exact;   /* at the end of CODE_EXACT: slow, but the length counts and RIP may go anywhere */
    bool mutated;
    bool patched; /* displacements were set after decoding */
    u8 bytes[15];
    u8 len;
    enum decode_status decoded;
    struct insn in;
    u64 target;    /* where its memory operand was aimed; 0: not */
    bool has_old;  /* `old` is the first operand before */
    u64 old;
    struct diff_state start;
};

/* ---- random.c ---- */
struct rng {
    u64 s[2];
};
void rng_seed(struct rng *r, u64 seed, u64 stream);
u64 rng_next(struct rng *r);
static inline u32 rng_below(struct rng *r, u32 n)
{
    return (u32)(((rng_next(r) >> 32) * n) >> 32);
}
static inline bool rng_one_in(struct rng *r, u32 n)
{
    return rng_below(r, n) == 0;
}
u64 random_integer(struct rng *r);
u32 random_single(struct rng *r);
u64 random_double(struct rng *r);
void random_extended(struct rng *r, u8 out[10]);
void random_vector(struct rng *r, u8 *out, unsigned size);
void random_fx(struct rng *r, struct native_fx *fx);
u32 random_mxcsr(struct rng *r);

/* ---- forms.c ---- */
bool forms_build(struct forms *f, const struct decoder *decoder, u32 mode, bool compat);
void forms_free(struct forms *f);
/* What a form leaves open. */
struct fill {
    u8 extra[3], extra_count; /* further prefixes, first */
    u8 rxb;                   /* REX or VEX bits */
    bool rex;                 /* a REX prefix even when it says nothing */
    bool two_byte_vex;        /* where it can be */
    u8 vvvv;
    u8 modrm;
};
/* Bytes up to ModRM; returns their number. */
unsigned form_put(const struct form *f, const struct fill *x, bool compat, u8 out[15]);
struct byte_facts {
    bool valid;
    bool not_modelled; /* an instruction set that no model has, EVEX */
    bool has_modrm;
    u16 id;            /* row, INSN_INVALID: none */
    u8 len;
    bool far;
};
struct byte_facts facts_of(const u8 *bytes, bool compat);
void disassemble(const u8 *bytes, u64 rip, bool compat, char *out, size_t size);

/* ---- guest.c ---- */
#define GUESTS 2u /* 0: translations dropped before each case; 1: kept */
/* translated: processor 1 runs what sim/jit makes of the instruction, where it takes it. */
bool guests_open(const char *model_text, bool translated);
/* Share of the instructions run so far that were host code, in per mille. */
unsigned guests_translated(void);
void guests_close(void);
const struct decoder *guest_decoder(void);
const struct cpu_model *guest_model(void);
u8 *guest_window(unsigned g);
u8 *guest_code(unsigned g, u64 lin);
u32 guest_mode(bool compat, const struct native_fx *fx);
void guest_run(unsigned g, const struct diff_case *c, exec_fn *exec, struct diff_result *r);
/* The handler of the row where the decoder chose a specialised one. */
exec_fn *guest_plain_exec(const struct insn *in);

/* ---- generate.c ---- */
struct generator {
    struct rng rng;
    struct diff_state last;
    const struct forms *forms[2]; /* 64-bit, compatibility */
    u16 *menu[2];                 /* row ids, by weight */
    u32 menu_count[2];
    u16 only;                     /* row, or INSN_INVALID: all */
    bool mutate;
    bool survey; /* make a case of form survey_form, at the end of CODE_EXACT */
    u32 survey_form;
};
bool generator_open(struct generator *g, const struct forms *f64, const struct forms *f32);
void generator_close(struct generator *g);
void generator_start_batch(struct generator *g, u64 seed, u64 batch);
/* Make the next case and put its memory operand and code in place on all sides. False: the draw gave
 * nothing that may run. */
bool generate_case(struct generator *g, bool compat, struct diff_case *c);
/* Why a row is never run, NULL: it is. */
const char *row_exclusion(unsigned id);

/* ---- aim.c ---- */
/* Whether a memory operand is named. */
bool uses_memory(const struct insn *in);
/* modrm_at: where ModRM stands in the bytes, 0: unknown; f: the form, NULL: mutated. */
void aim_memory(struct generator *g, struct diff_case *c, const struct form *f, unsigned modrm_at);
/* Registers that the row uses without naming them. */
void aim_implicit(struct generator *g, struct diff_case *c);
void fill_window(struct rng *r);
/* Bytes at a window address, on all sides. */
void poke_window(u64 lin, const void *data, unsigned size);

/* ---- check.c ---- */
enum diff_field {
    DIFF_OUTCOME = 1,
    DIFF_RIP = 2,
    DIFF_GPR = 4,
    DIFF_FLAGS = 8,
    DIFF_VECTOR = 16,
    DIFF_MXCSR = 32,
    DIFF_X87 = 64,
    DIFF_MEMORY = 128,
    DIFF_BASE = 256,
    DIFF_UNDEFINED = 512, /* our undefined flags are not what we define */
};
enum explanation {
    EXPLAIN_NONE,
#define EXPLAINED(id, reason) EXPLAIN_##id,
#include "tests/diff/explained.def"
#undef EXPLAINED
    EXPLAIN_COUNT
};
extern const char *const explanation_text[EXPLAIN_COUNT];

/* Defined fields of a against b (the host). */
u32 compare_results(const struct diff_case *c, const struct diff_result *a, const struct diff_result *b);
/* Every bit of two results of ours. */
u32 compare_exactly(const struct diff_result *a, const struct diff_result *b);
u32 check_undefined(const struct diff_case *c, const struct diff_result *ours);
enum explanation explain(const struct diff_case *c, const struct diff_result *ours,
                         const struct diff_result *host, u32 fields);
/* RFLAGS bits in which the processor is free here. */
u64 undefined_flags(const struct diff_case *c);

/* ---- report.c ---- */
void report_difference(FILE *out, const struct diff_case *c, const struct diff_result *ours,
                       const struct diff_result *other, const char *other_name, u32 fields,
                       const u8 *ours_window, const u8 *other_window);

#endif
