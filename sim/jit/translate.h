/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A translation in the making: what translate.c offers to the emitters of ops_*.c. */
#ifndef VITRINE_JIT_TRANSLATE_H
#define VITRINE_JIT_TRANSLATE_H

#include "cpu/exec/exec.h"
#include "jit/jit_priv.h"
#include "jit/vec.h"

/* Where the guest's flags are. Neither: nobody will look at them. */
enum { IN_HOST = 1, /* in the host's flags */ IN_RAX = 2 /* saved in rax */ };

/* The last x87 instruction so far, whose address FIP will show: stored when somebody may look. */
struct x87_pointers {
    u64 rip;
    u16 fop;
    bool waiting;
};

/* Out-of-line call of a handler: a memory access that no fast entry serves, a branch target that needs a
 * look. The handler executes the whole instruction, which has committed nothing. */
struct slow_path {
    u8 *from[8]; /* jumps to it */
    unsigned count;
    u8 *back;    /* where the next instruction begins; NULL: it goes on at arch.rip */
    unsigned op;
    unsigned flags; /* where they are at `back` */
    struct vec_state before, behind;
    struct x87_pointers x87; /* to be stored before the handler runs */
};

/* What an instruction means for the flags and for exits, decided before anything is emitted. */
struct op_facts {
    unsigned kind;   /* enum op_kind: which emitter; 0: its handler is called */
    unsigned number; /* condition code, enum host_alu, enum host_shift, opcode byte or extension */
    bool fp;         /* needs MXCSR in the host's */
    bool x87;        /* needs the guest's x87 in the host's */
    bool ends_run;   /* behind it the above is to be checked again */
    bool exits;      /* a fault or another way out is possible: all flags must be right before it */
    u32 reads;       /* flags it needs */
    u32 writes;      /* flags it defines (undefined ones included: they become 0) */
};

struct translation {
    struct jit *j;
    struct cpu *cpu;
    struct block *b;
    struct emit e;
    u32 number;
    const struct insn *in;
    unsigned i;
    u64 rip;          /* of the instruction */
    unsigned word;    /* bytes of an address, a stack item and a branch target: 8, or 4 in flat 32-bit code */
    unsigned flags;   /* IN_HOST, IN_RAX */
    struct vec_state vec;
    struct x87_pointers x87;
    u32 zero;         /* IN_HOST without IN_RAX: flags that count as 0 */
    u32 wrong;        /* of these, the ones that the host may show otherwise */
    u32 live[BLOCK_MAX + 1]; /* flags somebody needs before op i */
    struct op_facts facts[BLOCK_MAX];
    struct slow_path slow[2 * BLOCK_MAX];
    unsigned slow_count;
    struct {
        u8 *site;
        u64 target;
    } exit[2];
    unsigned exit_count;
    bool ended; /* the last instruction has left the block */
    bool refused; /* an emitter found that it cannot */
    bool prefix;  /* made for one run by jit_run_prefix() */
    unsigned end; /* lockstep: ops done when the block is left here */
};

/* ---- Flags ---- */

/* Make the host's flags hold at least `needed`. */
void flags_need(struct translation *t, u32 needed);
/* Before host code that clobbers the host's flags: saves them if somebody needs them. */
void flags_spill(struct translation *t);
/* The instruction has set the host's flags: `zero` count as 0, of which `wrong` may be otherwise. */
void flags_set(struct translation *t, u32 zero, u32 wrong);
/* Does anybody look at the flags behind the current instruction? */
bool flags_matter(const struct translation *t);
u32 flags_of_condition(unsigned cc);
/* Where a relative branch leads. */
u64 branch_target(const struct translation *t, u64 rip, const struct insn *in);

/* ---- Registers ---- */

/* The host register that holds guest register g; loaded into `scratch` when it lives in memory. */
unsigned reg_in(struct translation *t, unsigned g, unsigned scratch);
/* The register to compute a new value of g in, not loaded. */
unsigned reg_for(unsigned g, unsigned scratch);
/* The value of g now in `reg` (from reg_in or reg_for): stored when g lives in memory. */
void reg_out(struct translation *t, unsigned g, unsigned reg);
/* g as an r/m operand. */
struct host_rm reg_rm(unsigned g);

/* ---- Memory ---- */

/* Offset of the memory operand into host register `reg`, segment base included for FS and GS if `linear`.
 * Flags stay unless `linear` with such a segment. */
void address_to(struct translation *t, unsigned reg, bool linear);
/* r14 = host address of the operand of `size` bytes, whose linear address r14 holds; else the slow path.
 * Host flags and r15 are lost: flags_spill() must have been. */
void check_access(struct translation *t, unsigned size, bool write);
/* flags_spill, address_to, check_access for the instruction's memory operand: then it is [r14]. */
struct host_rm memory_operand(struct translation *t, unsigned size, bool write);
/* r15 = the slot of the table of fast entries for the linear address in r14. */
void find_slot(struct translation *t, bool write);
/* The jump just emitted leads to the current instruction's slow path. */
void to_slow_path(struct translation *t, u8 *jump);
/* jne-style check: the address in `reg` has 48-bit canonical form, else the slow path. Clobbers `scratch`. */
void check_canonical(struct translation *t, unsigned reg, unsigned scratch);

/* ---- Ways out ---- */

/* Flags into rax, whatever state they are in. */
void flags_settle(struct translation *t);
void leave_to(struct translation *t, u64 target);
void leave_indirect(struct translation *t); /* target in r14 */
/* The same with the look into the jump cache in line, after which RSP moves by `pop`. A target that is not there must
 * be canonical, else the slow path. */
void leave_by_cache(struct translation *t, i32 pop);

/* ---- Emitters (facts.c says which; ops.c, ops_flow.c) ---- */
enum op_kind {
    OP_HANDLER,
    OP_NOTHING,
    OP_MOV,
    OP_MOVX,
    OP_LEA,
    OP_ALU,
    OP_TEST,
    OP_STEP,   /* INC, DEC */
    OP_NOT,
    OP_NEG,
    OP_SHIFT,  /* by an immediate */
    OP_ROTATE,
    OP_SHIFT_CL,
    OP_IMUL,
    OP_MUL,    /* MUL, IMUL with one operand */
    OP_DIV,    /* DIV, IDIV */
    OP_HIGH,   /* AH, CH, DH, BH */
    OP_SETCC,
    OP_CMOV,
    OP_XCHG,
    OP_XADD,
    OP_CMPXCHG,
    OP_BT,
    OP_SCAN,   /* BSF, BSR */
    OP_COUNT,  /* TZCNT, LZCNT, POPCNT */
    OP_BSWAP,
    OP_WIDEN,  /* CBW .. CQO */
    OP_VEC,
    OP_X87,
    OP_SWAPGS,
    OP_CLI,
    OP_CLD,
    OP_PUSH,
    OP_POP,
    OP_LEAVE,
    OP_JCC,
    OP_JMP,
    OP_CALL,
    OP_RET,
    OP_STRING, /* REP MOVS, REP STOS */
};
/* The memory operand is one that emitters know. */
bool memory_is_plain(const struct translation *t, const struct insn *in);
void find_facts(const struct translation *t, const struct insn *in, struct op_facts *f);
void emit_native(struct translation *t);
void emit_flow(struct translation *t); /* OP_PUSH and what follows it in the list */


/* x87 (ops_x87.c). */
bool find_x87_facts(const struct translation *t, const struct insn *in, struct op_facts *f);
void emit_x87(struct translation *t);
/* FIP, and what else follows the last x87 instruction, into memory; r15 is lost. */
void x87_store_pointers(struct translation *t, const struct x87_pointers *p);
void x87_flush(struct translation *t);

#endif
