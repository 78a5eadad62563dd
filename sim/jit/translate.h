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

/* How the address of a memory access comes about. */
enum access_form {
    AT_OPERAND, /* the instruction's memory operand */
    AT_PUSH,    /* below the stack pointer */
    AT_TOP,     /* at the stack pointer */
    AT_FRAME,   /* at RBP */
};

/* A memory access of an op, noted while the checked copy is made. */
struct mem_access {
    u8 op, form, size;
    u8 align;    /* wanted, or 0 */
    u8 group;    /* its number, or 0 */
    u8 ref;      /* in a loop form: its struct loop_ref's number, or 0 */
    bool write;
    bool saved;  /* flags had to be saved for its sake alone */
    bool checks; /* the group's check stands before it */
    i32 at;      /* from the group's first byte */
};
#define ACCESS_MAX (2 * BLOCK_MAX)

/* Accesses of an unchecked copy that share a check: same base and index, or same page of constant addresses. */
struct group {
    u8 base, index; /* values: groups.c */
    u8 scale, seg, align, count;
    u8 place;       /* op before which the check stands */
    bool early;     /* at that op without being its own: base and index are registers as they are there */
    bool write, fixed;
    i64 low, high;  /* displacements, from the values; fixed: linear addresses */
};
#define GROUP_MAX 8
#define MISS_MAX 64

/* Accesses of a block that jumps to its own start whose address moves by the same distance in each turn. */
struct loop_group {
    u8 base, index, scale;         /* registers, as at a turn's start */
    u8 by, by_scale, by_size;      /* a register that the address moves by, or REG_NONE */
    u8 align, moving;
    bool write, fixed;             /* fixed: the page at `low` */
    u16 narrow, down;              /* registers that must be far from 2^32; and from 0 */
    i32 step;                      /* bytes that it moves by */
    i64 low, high, aligned;        /* displacements; of one that is to be aligned */
};

/* What stands for an access's base, its index or nothing in the loop form: that register (as it is for all turns) plus
 * what leads from the guest's addresses of the page to the host's. */
struct loop_ref {
    u8 group, reg, scale; /* of reg */
    u8 host;              /* the host register that holds it; H_NONE: its slot does */
    u8 uses;
    bool is_index;
};
#define LOOP_GROUPS 10
#define LOOP_REFS 14
#define LOOP_ALONE 8         /* accesses and divisions that may leave */
#define LOOP_STEP_MAX 1024
#define LOOP_TURNS_MIN 6     /* fewer turns to come are not worth a strip */

struct loop {
    struct loop_group group[LOOP_GROUPS];
    struct loop_ref ref[LOOP_REFS];
    unsigned groups, refs;
    unsigned place;     /* op before which turns are counted */
    unsigned flags_at;  /* the last op that makes flags */
    u16 written;        /* guest registers */
    u16 borrowed;       /* whose homes hold something else */
    bool borrows_table;
    u8 counter;         /* host register, or H_NONE: a slot */
    u8 *head;
    bool x87_at_end;    /* FIP is stored at each turn's end */
    /* The end looks like: until this register, which moves by `by` from `from`, has passed `until` or register `bound`. */
    u8 ends_by, bound, size;
    i32 by, from, until;
};

/* A branch out of the midst of a path: where the jump stands, and the state there. */
struct side_exit {
    u8 *from;
    u64 target;
    unsigned op, flags;
    u32 zero, wrong;
    struct x87_pointers x87;
};

/* A place in the checked copy where an unchecked one can go on. */
struct place {
    u8 *at;
    unsigned flags;
};

struct translation {
    struct jit *j;
    struct cpu *cpu;
    struct block *b; /* the path's first */
    struct emit e;
    u32 number;
    const struct insn *in;
    unsigned i;
    u64 rip;          /* of the instruction */
    unsigned word;    /* bytes of an address, a stack item and a branch target: 8, or 4 in flat 32-bit code */
    unsigned flags;   /* IN_HOST, IN_RAX */
    struct x87_pointers x87;
    u32 zero;         /* IN_HOST without IN_RAX: flags that count as 0 */
    u32 wrong;        /* of these, the ones that the host may show otherwise */
    /* The path (path.c): its blocks, their ops one behind the other and where these are; at[count] is behind the last. */
    unsigned parts, count;
    struct {
        struct block *b;
        u8 first;
    } part[JIT_PARTS];
    unsigned side_count;
    struct side_exit side[JIT_PARTS];
    u32 live[BLOCK_MAX + 1]; /* flags somebody needs before op i */
    struct op_facts facts[BLOCK_MAX];
    const struct insn *op[BLOCK_MAX];
    u64 at[BLOCK_MAX + 1];
    struct slow_path slow[2 * BLOCK_MAX];
    unsigned slow_count;
    struct {
        u8 *site;
        u64 target;
    } exit[JIT_EXITS];
    unsigned exit_count;
    bool ended; /* the last instruction has left the block */
    bool refused; /* an emitter found that it cannot */
    bool vec_used; /* one of its ops is a vector instruction */
    bool prefix;  /* made for one run by jit_run_prefix() */
    unsigned end; /* lockstep: ops done when the block is left here */
    u8 *out[3];   /* jumps taken when too few counts are left */
    unsigned out_count;
    /* Grouped checks: first a checked copy of the block, then, if groups were found, an unchecked one. */
    bool unchecked;   /* being made */
    bool strip;       /* the loop form is (strips.c); `unchecked` too */
    unsigned next;    /* access[] that comes next */
    unsigned held;    /* r14 holds this group's address; 0: none */
    unsigned access_count, group_count, miss_count;
    struct mem_access access[ACCESS_MAX];
    struct group group[GROUP_MAX + 1]; /* 0 is none */
    struct place before[BLOCK_MAX], behind[BLOCK_MAX];
    struct {
        u8 *from;
        unsigned op; /* where the checked copy goes on */
        struct x87_pointers x87;
        bool counted; /* loop form: because all turns are done */
    } miss[MISS_MAX];
    struct loop loop;
    u8 *body;  /* of the copy that is entered, behind the count */
    u8 *again; /* where a jump to the block's own start leads; NULL: out, to be linked */
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

/* ---- Memory (access.c) ---- */

/* Offset of the memory operand into host register `reg`, segment base included for FS and GS if `linear`.
 * Flags stay unless `linear` with such a segment. */
void address_to(struct translation *t, unsigned reg, bool linear);
/* The memory an instruction accesses, checked here or as part of a group; else the slow path is taken. Before any
 * other of the instruction's work: flags are spilled if it costs the host's, and r14 and r15 are lost. */
struct host_rm access_memory(struct translation *t, enum access_form form, unsigned size, unsigned align, bool write);
/* The same for the instruction's memory operand. */
struct host_rm memory_operand(struct translation *t, unsigned size, bool write);
/* Where the fast entry for the linear address in r14 is; r15 belongs to it. */
void find_slot(struct translation *t, bool write, struct host_rm *page, struct host_rm *host);
/* Groups (groups.c): which accesses of ops `from` to `to` - 1 share a check. False: none. */
bool find_groups(struct translation *t, unsigned from, unsigned to);
/* Op i makes no access of its own that may fail. */
bool is_covered(const struct translation *t, unsigned i);
/* Checks of groups whose place is the current op. */
void check_groups_here(struct translation *t);
/* The jump returned is taken when the linear page has no fast entry; else r14 = the host's address of it. */
u8 *check_page(struct translation *t, u64 page, bool write);
/* Loops (loops.c, strips.c): does the block get a loop form? Asked behind the checked copy. */
bool find_loop(struct translation *t);
/* The loop form, which is entered at t->again. */
void emit_strip(struct translation *t);
/* The memory of an access that has a ref. */
struct host_rm access_in_strip(struct translation *t, const struct mem_access *a);
/* The count, before op t->loop.place; the branch at the end. */
void count_turn(struct translation *t);
void emit_back_edge(struct translation *t);
/* The address in r14 has left the loop form in turn: see emit_misses(). */
void leave_strip(struct translation *t, unsigned op, bool counted);
/* r14 has been used for something else. */
static inline void address_lost(struct translation *t)
{
    t->held = 0;
}
/* The jump just emitted leads to the current instruction's slow path. */
void to_slow_path(struct translation *t, u8 *jump);
/* It leads to before op `op` in the checked copy. */
void to_checked_copy(struct translation *t, u8 *jump, unsigned op);
/* jne-style check: the address in `reg` has 48-bit canonical form, else the slow path. Clobbers `scratch`. */
void check_canonical(struct translation *t, unsigned reg, unsigned scratch);
void call_thunk(struct translation *t, const u8 *thunk);

/* ---- Ways out ---- */

/* Flags, in rax, to where code that goes on wants them. */
void flags_back(struct translation *t, unsigned flags);
/* Lockstep: compare before leaving to the address in r14. False: there is no leaving from a prefix. */
bool leave_checked(struct translation *t);
void emit_ops(struct translation *t, unsigned from, unsigned to);
void emit_misses(struct translation *t);
/* The host's MXCSR and so on for a run of ops that begins at `from`. */
void emit_fp_check(struct translation *t, unsigned from, unsigned to);
/* Flags into rax, whatever state they are in. */
void flags_settle(struct translation *t);
bool is_linkable(const struct translation *t, u64 target);
void leave_to(struct translation *t, u64 target);
void leave_indirect(struct translation *t); /* target in r14 */
/* The same with a look into struct jump_targets in line, after which RSP moves by `pop`. A target that is not there must
 * be canonical, else the slow path. */
void leave_by_target(struct translation *t, i32 pop);
/* The same for any target, in the mode and the context of r11 as they are now. */
void leave_by_target_only(struct translation *t);

/* ---- Paths (path.c) ---- */

/* Which blocks the translation runs through; the same as before. */
void find_path(struct translation *t);
void take_path(struct translation *t, const struct jit_block *jb);
void note_path(const struct translation *t, struct jit_block *jb);
/* Op i is a part's last, and another part follows. */
bool ends_part(const struct translation *t, unsigned i);
/* The instruction is the last of the part that it belongs to. */
bool is_last_of_part(const struct translation *t, const struct insn *in);
/* What that makes of the op. */
void path_facts(const struct translation *t, unsigned i, struct op_facts *f);
/* OP_SIDE, OP_RETURNED. */
void emit_path(struct translation *t);
void emit_side_exits(struct translation *t);
/* Before a way out with `done` ops retired; clobbers the host's flags. */
void give_back_counts(struct translation *t, unsigned done);

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
    OP_STI,    /* from here on there are other exits than accesses */
    OP_SET_AC, /* STAC, CLAC */
    OP_TSC,    /* RDTSC, RDTSCP */
    OP_RDPKRU,
    OP_BASE,   /* RDFSBASE .. WRGSBASE */
    OP_CMPXCHG16B,
    OP_PUSH,
    OP_POP,
    OP_PUSHF,
    OP_POPF,
    OP_LEAVE,
    OP_CALLED,   /* in a path: a CALL, */
    OP_SIDE,     /* a condition to leave it, */
    OP_RETURNED, /* a RET to behind its call */
    OP_SYSCALL, /* from here on an instruction may leave the block */
    OP_SYSRET,
    OP_JCC,
    OP_JMP,
    OP_CALL,
    OP_RET,
    OP_STRING, /* REP MOVS, REP STOS */
};
#define OP_BASE_WRITE 8 /* op_facts.number, beside the segment */
/* The memory operand is one that emitters know. */
bool memory_is_plain(const struct translation *t, const struct insn *in);
void find_facts(const struct translation *t, const struct insn *in, struct op_facts *f);
void emit_native(struct translation *t);
void emit_flow(struct translation *t); /* OP_PUSH and what follows it in the list */
void emit_system(struct translation *t); /* ops_system.c */
unsigned system_kind(const struct translation *t, const struct insn *in, unsigned kind);


/* x87 (ops_x87.c). */
bool find_x87_facts(const struct translation *t, const struct insn *in, struct op_facts *f);
void emit_x87(struct translation *t);
/* FIP, and what else follows the last x87 instruction, into memory; r15 is lost. */
void x87_store_pointers(struct translation *t, const struct x87_pointers *p);
void x87_flush(struct translation *t);

#endif
