/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the translator share. */
#ifndef VITRINE_JIT_PRIV_H
#define VITRINE_JIT_PRIV_H

#include "cpu/decode/block.h"
#include "cpu/mem.h"
#include "jit/emit.h"
#include "jit/jit.h"

#include <stddef.h>

/* ---- Host registers while translated code runs ----
 *
 * rbp points 128 bytes into struct cpu, so that the guest's registers are reached with one byte of
 * displacement; rsp is the host's stack. rax holds the guest's flags between blocks (struct flags below),
 * r14 and r15 are scratch: address of a memory operand, and anything. Guest RAX lives in r12, RSP in r13,
 * RBP and R11-R15 in memory, all others at home. */
#define CPU_BIAS 128
#define H_CPU H_RBP
#define H_ADDR H_R14
#define H_TMP H_R15
#define H_TABLE H_R11 /* the context's fast entries for reading, then those for writing */
extern const u8 jit_home[16]; /* host register of a guest register, H_NONE: in memory */

#define CPU_AT(field) rm_mem(H_CPU, (i32)offsetof(struct cpu, field) - CPU_BIAS)
/* Slots on the host's stack, in the frame that jit_thunks.enter makes: addresses of groups, then what loop forms need. */
#define FRAME_SLOTS 28
#define SLOT_AT(n) rm_mem(H_RSP, 8 * (i32)(n))
#define GPR_AT(g) rm_mem(H_CPU, (i32)(offsetof(struct cpu, arch.gpr) + 8 * (size_t)(g)) - CPU_BIAS)

/* The saved form of the flags: AH as LAHF stores it (SF ZF 0 AF 0 PF 1 CF), AL = OF. */
enum {
    F_CF = 0x0001,
    F_PF = 0x0004,
    F_AF = 0x0010,
    F_ZF = 0x0040,
    F_SF = 0x0080,
    F_OF = 0x0800,
    F_ALL = F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF,
};

/* ---- Code memory ---- */

#define JIT_REGIONS 16

struct code_memory {
    int fd;
    u8 *rw, *rx;
    u64 size, region_size;
    unsigned current;          /* region being filled */
    u8 *at[JIT_REGIONS];       /* where each is filled up to, in rw */
    u8 *start;                 /* of the first, behind the thunks */
    u32 blocks[JIT_REGIONS];   /* head of each region's blocks */
};

bool code_memory_init(struct code_memory *m, u64 bytes);
void code_memory_free(struct code_memory *m);

/* ---- Translations ---- */

/* A jump from a block to another one in the same page, and where it leads until it is linked. */
struct jit_exit {
    u32 site;       /* offset of the distance in code memory; 0: this exit does not exist */
    u32 stub;       /* offset of the way out */
    u32 target;     /* linked to this block; 0: not linked */
    u32 next, prev; /* in the target's list of incoming exits, as exit numbers; 0 ends */
};

/* Blocks that a translation runs through. */
#define JIT_PARTS 4

/* Ways out to other blocks, of three copies: one behind each part, two behind the last. */
#define JIT_EXITS (3 * (JIT_PARTS + 1))

/* A block that a translation runs through: path.c. The first is the one it stands for. */
struct jit_part {
    struct block *b;
    u32 next, prev; /* in b->paths: JIT_PARTS times the translation's number, plus the part's; 0 ends. Not of part 0 */
    u8 first;       /* op of the translation */
};

/* An exit's number: JIT_EXITS times the block's, plus its own; block 0 does not exist. */
struct jit_block {
    struct block *b;
    u32 incoming; /* head of the exits that lead here */
    u32 next;     /* in the region's list, or in the free list */
    u8 count;     /* ops of all parts */
    u8 parts;
    struct jit_part part[JIT_PARTS];
    bool vec;     /* uses vector registers */
    struct jit_exit exit[JIT_EXITS];
    u16 offset[BLOCK_MAX]; /* of each op in the page */
};

/* The part that op i belongs to. */
static inline const struct jit_part *jit_part_of(const struct jit_block *jb, unsigned i)
{
    const struct jit_part *p = &jb->part[jb->parts - 1];
    while (p->first > i) {
        p--;
    }
    return p;
}

static inline const struct insn *jit_insn_of(const struct jit_block *jb, unsigned i)
{
    const struct jit_part *p = jit_part_of(jb, i);
    return &p->b->ops[i - p->first];
}

static inline u64 jit_rip_of(const struct jit_block *jb, unsigned i)
{
    return (jb->b->lin & ~PAGE_MASK) | jb->offset[i];
}

struct jit_thunks {
    const u8 *enter, *op, *vec_on, *fp_on, *x87_on, *out, *link, *indirect;
    const u8 *begin, *end, *store, *stop; /* lockstep */
};

enum jit_reason {
    JIT_GO_ON,  /* only between jit_op() and the code that called it */
    JIT_FAULT,  /* an event waits in cpu->event */
    JIT_LEAVE,  /* something asks for attention */
    JIT_OUT,    /* fewer counts left than the next block has ops */
    JIT_LINK,   /* a jump to a block in the same page: cpu->d.jit.exit */
    JIT_LOOKUP, /* the jump cache does not know RIP, or has no translation */
    JIT_DIFFERS, /* lockstep */
    JIT_JUMP,   /* only from jit_op(): the processor's state is whole, and translated code goes on at RIP */
};

struct lockstep;

struct jit {
    struct cpu_set *set;
    struct code_cache *code;
    struct log *log;
    struct jit_config config;
    struct code_memory memory;
    struct jit_thunks thunk;
    struct jit_block *blocks;
    u32 block_count, block_cap, block_free;
    struct jit_stats stats;
    u64 *helped_by; /* calls of handlers by mnemonic */
    struct lockstep *lockstep;
    u32 vec_features;   /* the host's, a bit for each enum vec_feature */
    bool has_rorx;      /* the host has BMI2 */
    bool of_first_step; /* OF of a shift by more than one is that of the first single-bit step, not the last */
    bool of_kept;       /* ROL and ROR of a register by an immediate of more than one leave OF */
};

void jit_make_thunks(struct jit *j);
/* The entry of a translation for branches whose target was found by its address alone: before the other one, it asks whether
 * the mode is the block's. r14 holds the address. */
#define JIT_DOOR_BYTES 16
void emit_door(const struct jit *j, struct emit *e, u32 mode);
/* The line of struct jump_targets for the address in r14, r15 being lost. */
void emit_target_line(const struct jit *j, struct emit *e, struct host_rm *lin, struct host_rm *code);
/* The same for an address that is known. */
void target_line_of(const struct jit *j, u64 target, struct host_rm *lin, struct host_rm *code);
/* r15 = the jump cache's block for the linear address in r14, or NULL. */
void emit_jump_line(const struct jit *j, struct emit *e);
/* Offset of a line of the jump cache from H_TABLE. */
static inline i32 jump_offset(const struct jit *j, unsigned line)
{
    return (i32)(3 * j->config.tlb_entries * sizeof(struct tlb_entry) + line * sizeof(struct block *));
}

/* Translate b; false when it cannot be. May evict others. */
bool jit_translate(struct jit *j, struct cpu *cpu, struct block *b);
/* Translate ops `from` to `to` - 1 of translation n again and run that once, with the processor's state as it stands. JIT_DIFFERS:
 * it ran to the end. */
unsigned jit_run_prefix(struct jit *j, struct cpu *cpu, u32 n, unsigned from, unsigned to);

/* Run translated code from RIP on. On return all of cpu->arch is exact. */
enum jit_reason jit_run_code(struct jit *j, struct cpu *cpu, const u8 *code);

u32 jit_block_take(struct jit *j);
void jit_unlink_block(struct jit *j, u32 n);
/* Translation n's parts: into their blocks' lists. */
void jit_note_parts(struct jit *j, u32 n);
void jit_link(struct jit *j, u32 exit, u32 target);
void jit_evict_region(struct jit *j, unsigned region);

/* Called by translated code: op `where` & (BLOCK_MAX - 1) of translation `where` >> BLOCK_BITS by the interpreter's handler. */
/* `between`: the instruction has no other way, and what follows asks again for what it needs of the host. */
unsigned jit_op(struct cpu *cpu, u64 where, u32 between);
/* Called by translated code: the translation at RIP into d.jit.code (JIT_GO_ON); JIT_JUMP as above; else leave. */
unsigned jit_find(struct cpu *cpu);
enum vec_on { VEC_ON_LOW = 1 /* upper halves are 0, or in memory if the host has none */, VEC_ON_FULL };
/* Called by translated code: the host's vector registers are to become the guest's, which is done on the way back. */
void jit_want_vec(struct cpu *cpu); /* on the way back from C */
unsigned jit_vec_on(struct cpu *cpu, u64 unused, u32 unused2);
/* The same, and the host's MXCSR becomes the guest's, if that masks everything. Otherwise the interpreter goes on at
 * op `where` & (BLOCK_MAX - 1). */
unsigned jit_fp_on(struct cpu *cpu, u64 where, u32 unused);
/* The same for the host's x87. */
unsigned jit_x87_on(struct cpu *cpu, u64 where, u32 unused);
/* Around C code: the host gets its MXCSR and x87 back, the guest its flags and registers; which were the guest's? */
enum { FP_MXCSR = 1, FP_X87 = 2 };
unsigned jit_fp_suspend(struct cpu *cpu);
void jit_fp_resume(struct cpu *cpu, unsigned were_on);
typedef unsigned jit_enter_fn(struct cpu *cpu, const u8 *code);
jit_enter_fn *jit_enter_of(const struct jit *j);

u64 jit_pack_flags(const struct cpu *cpu);
void jit_unpack_flags(struct cpu *cpu, u64 packed);

/* ---- Lockstep (lockstep.c) ---- */

struct lockstep *lockstep_new(void);
void lockstep_free(struct lockstep *l);
const char *lockstep_text(const struct lockstep *l); /* NULL: no difference so far */
bool lockstep_is_searching(const struct lockstep *l);
/* A stretch of translated code begins at op `from` of a block; flags as in cpu->arch. */
void lockstep_begin(struct cpu *cpu, u32 block, unsigned from);
/* It ends before op `to`: registers and RIP of translated code stand in cpu->arch, flags in d.jit.flags. False:
 * it differs. */
bool lockstep_end(struct cpu *cpu, unsigned to);
/* Called by translated code: a block begins, ends before op `to`, is about to store. */
unsigned lockstep_enter_block(struct cpu *cpu, u64 block, u32 unused);
unsigned lockstep_leave_block(struct cpu *cpu, u64 to, u32 unused);
unsigned lockstep_store(struct cpu *cpu, u64 host, u32 size);

#endif
