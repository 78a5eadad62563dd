/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the shell share. */
#ifndef VITRINE_DEBUGGER_SHELL_SHELL_PRIV_H
#define VITRINE_DEBUGGER_SHELL_SHELL_PRIV_H

#include "base/bits.h"
#include "debugger/shell/history.h"
#include "debugger/shell/shell.h"
#include "debugger/shell/symbols.h"
#include "machine/stops.h"
#include "machine/travel.h"
#include "mmu/walk.h"
#include "trace/events.h"

#include <inttypes.h>

/* ---- Commands ---- */

/* What completion offers for a command's arguments. */
enum complete {
    COMPLETE_NONE,
    COMPLETE_COMMAND,
    COMPLETE_SYMBOL, /* and registers */
    COMPLETE_VMCS,   /* fields of the VMCS */
    COMPLETE_VMCB,
    COMPLETE_BREAK,  /* what `break` takes, then reasons, fields, symbols */
    COMPLETE_INFO,
    COMPLETE_FILE,
    COMPLETE_MSR,
    COMPLETE_DEVICE,
    COMPLETE_WORDS,  /* those between bars in the row's arguments */
};

enum command_flag {
    COMMAND_NONE = 0,
    COMMAND_WRITES = 1, /* changes the guest: not in a recording */
    COMMAND_RUNS = 2,   /* the machine moves on: not after its end */
    COMMAND_REPEATS = 4, /* an empty line does it again */
};

typedef void command_fn(struct shell *s, const char *args);

struct command {
    const char *name;
    const char *aliases; /* separated by spaces; the shortest way to say it comes first */
    const char *group;
    const char *args;
    command_fn *run;
    enum complete complete;
    unsigned flags;
    const char *help; /* one line */
    const char *more; /* for `help NAME`; may be empty */
};

extern const struct command shell_commands[];
extern const unsigned shell_command_count;

#define COMMAND(name, aliases, group, args, run, complete, flags, help, more) command_fn run;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "debugger/shell/command.def"
#pragma GCC diagnostic pop
#undef COMMAND

/* The command of a word: its name, an alias, or the beginning of one name alone. NULL with a line in *err. */
const struct command *shell_find(const char *word, size_t len, struct error *err);

/* Another debugger's word for a line of ours. */
struct shell_alias {
    const char *word, *line, *whose;
};
extern const struct shell_alias shell_aliases[];
extern const unsigned shell_alias_count;

/* ---- Points ---- */

#define SHELL_POINTS 64

struct shell_point {
    unsigned number; /* 0: free */
    bool enabled, temporary;
    enum trace_event event; /* POINT_EVENT: which */
    struct stop_point *stop; /* malloc'd: one, or one for each way to meet it */
    unsigned stop_count;
    bool set;         /* the stops are in the machine */
    char what[160];   /* as it was asked for */
    char *condition;  /* malloc'd; NULL: none */
    char *commands;   /* malloc'd lines; NULL: none */
    u64 hits, ignore;
    u64 match[5];     /* event: values of its arguments wanted; match_mask says which */
    u32 match_mask;
    bool follows;     /* the tables that it watches grow: */
    struct {
        u64 table, present;
        unsigned levels;
    } tables;
    u64 last[2];      /* watched value before, as far as it fits */
};

/* ---- The shell ---- */

#define SHELL_VARIABLES 64

struct shell_variable {
    char name[32];
    u64 value;
};

/* Why the machine stands where it stands. */
enum shell_stop { SHELL_STOP_NONE, SHELL_STOP_STEP, SHELL_STOP_POINT, SHELL_STOP_PAUSE, SHELL_STOP_END, SHELL_STOP_BEGIN };

struct shell {
    struct machine *m;
    FILE *out;        /* where answers go */
    bool may_write;
    bool terminal;    /* a person sits there: colours, paging, history */
    bool colour;
    bool intel;       /* disassembly in Intel's syntax */
    bool quit, failed; /* failed: the last command was refused */
    enum shell_stop last_stop;
    unsigned last_point; /* SHELL_STOP_POINT */
    /* The machine came back from running; true: it goes on. NULL: nobody asks. */
    bool (*interrupted)(void *self);
    void *interrupted_self;
    bool ended;       /* the machine came to its end; result says why */
    bool behind;      /* the machine stands behind what it was stopped for, at the same position: */
    struct stop_hit behind_hit;
    bool going_back;  /* what is told lies ahead */
    bool nested;      /* answering GDB: it sets the pace */
    bool has_end;     /* it has been there: at end_position, because of result */
    u64 end_position;
    struct run_result result;
    unsigned cpu;     /* looked at */
    unsigned frame;   /* of its stack; 0 again whenever the machine has moved */
    struct symbols *symbols;
    struct history *history;
    struct shell_point points[SHELL_POINTS];
    unsigned next_point;
    struct shell_variable variables[SHELL_VARIABLES];
    unsigned variable_count, value_count;
    u64 next_x, next_dis;      /* where x, disassemble and list go on */
    char x_format[16];
    u64 met_args[5];           /* of the event that was met last, at: */
    u64 met_position;
    struct stop_hit shares[32]; /* the last pages shared: a run through the past does not tell of them again */
    unsigned share_count;
    const u64 *event_args;     /* while a condition about an event is looked at */
    const struct trace_event_info *event_info;
    u64 checkpoints[64];
    unsigned checkpoint_count;
    unsigned depth;            /* of command files in command files */
    unsigned page_lines;       /* lines shown since the last prompt */
};

/* Lines to the user; paged at a terminal. */
void say(struct shell *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The command is refused, in one line. */
void refuse(struct shell *s, const char *format, ...) PRINTF_LIKE(2, 3);
void refuse_error(struct shell *s, struct error *err);
/* Colours, empty where there are none. */
enum shade { SHADE_NONE, SHADE_HEAD, SHADE_ADDRESS, SHADE_CHANGED, SHADE_DIM };
const char *shade(const struct shell *s, enum shade which);

void shell_line(struct shell *s, const char *line);
bool shell_file(struct shell *s, const char *path, bool must_exist);
/* The next word of *args, which moves behind it; false at the end. */
bool next_word(const char **args, char *word, size_t room);
static inline struct cpu *shell_cpu(const struct shell *s)
{
    return s->m->set.cpu[s->cpu];
}
/* How deep the selected processor runs: 0 the machine's owner. */
unsigned shell_level(const struct shell *s);
/* Which guest it is in, by the number that `levels` gives it; 0: in none. */
unsigned shell_partition(const struct shell *s);
/* Linear address of the next instruction. */
u64 shell_pc(const struct cpu *cpu);
u64 shell_position(const struct shell *s);

/* ---- input.c ---- */
char *shell_read_line(struct shell *s, const char *prompt);
void shell_input_open(struct shell *s);
void shell_input_close(struct shell *s);
/* --More--: false when the user has had enough. */
bool shell_page(struct shell *s);

/* ---- complete.c ---- */
/* The n-th word that fits at `at` of `line`; malloc'd, NULL after the last. */
char *shell_complete(struct shell *s, const char *line, size_t at, const char *word, unsigned n);

/* ---- expr.c ---- */
/* *text moves behind the expression. */
bool expr_eval(struct shell *s, const char **text, u64 *value, struct error *err);
/* The same for a command that wants an address: a variable's own, not its value. *size: what lies there; 0: not known. */
bool expr_address(struct shell *s, const char **text, u64 *value, u64 *size, struct error *err);
/* As expr_all; *typed: a value of C's, with its type, *is_typed. */
struct c_value;
bool expr_typed(struct shell *s, const char *text, u64 *value, struct c_value *typed, bool *is_typed);
/* The same, and nothing may follow; says what is wrong. */
bool expr_all(struct shell *s, const char *text, u64 *value);
/* "*(u8 *)ADDR = V", "$rax = V". */
bool expr_assign(struct shell *s, const char *text, struct error *err);
void shell_set_variable(struct shell *s, const char *name, u64 value);

/* ---- registers.c ---- */
struct shell_register {
    const char *name;
    u8 kind, index, bits;
};
bool register_find(const char *name, size_t len, const struct shell_register **reg);
u64 register_get(const struct cpu *cpu, const struct shell_register *r);
bool register_set(struct cpu *cpu, const struct shell_register *r, u64 value);
const char *register_name(unsigned n); /* NULL after the last */

/* ---- memory.c ---- */
/* Copy what is mapped; returns how many bytes. Devices are not read. */
size_t memory_read(const struct shell *s, u64 linear, void *data, size_t size);
size_t memory_read_physical(const struct shell *s, u64 spa, void *data, size_t size);
/* By a guest's second-level tables, where the selected processor is in a guest. */
bool memory_guest_to_machine(const struct shell *s, u64 gpa, u64 *spa);
bool memory_write(struct shell *s, u64 linear, const void *data, size_t size, struct error *err);
bool memory_write_physical(struct shell *s, u64 spa, const void *data, size_t size, struct error *err);
/* What was changed by hand did not follow from what was before: history begins anew. */
void history_anew(struct shell *s);

/* ---- cmd_device.c ---- */
/* The n-th number an MSR may have, and the number of a name, with or without its IA32_; false: none. */
u32 msr_number(unsigned n);
#define MSR_NUMBERS 0x6000u
bool msr_find(const struct shell *s, const char *name, u32 *index);

/* ---- disasm.c ---- */
/* One instruction; returns its length (0: not mapped), and its text. */
unsigned disassemble(struct shell *s, u64 linear, unsigned code_size, char *text, size_t room, bool *is_call);
unsigned shell_code_size(const struct cpu *cpu);
/* "function+0x12 (file.c:34)" for an address, empty without symbols. */
void describe_address(struct shell *s, u64 linear, char *text, size_t room);
/* The same of code that the selected processor executes: names of other levels are not meant. */
void describe_code(struct shell *s, u64 linear, char *text, size_t room);
/* The source line of an address, where it is known. */
void show_line_of(struct shell *s, u64 linear);
/* Where the selected processor is, with the instruction. */
void show_place(struct shell *s);

/* ---- points.c ---- */
void points_init(struct shell *s);
struct shell_point *point_new(struct shell *s, const char *what);
struct shell_point *point_find(struct shell *s, unsigned number);
/* Set it in the machine and say so; frees it when that is not possible. */
/* What the watched ranges hold now: the machine has moved. */
void points_note(struct shell *s);
bool point_arm(struct shell *s, struct shell_point *p);
void point_disarm(struct shell *s, struct shell_point *p);
void point_delete(struct shell *s, struct shell_point *p);
bool point_condition_holds(struct shell *s, struct shell_point *p);
/* The point that the last stop was about; NULL: none of ours. */
struct shell_point *point_of_hit(struct shell *s, const struct stop_hit *hit);
/* Words for a hit. */
void describe_hit(struct shell *s, const struct shell_point *p, const struct stop_hit *hit);
/* An event happens: is a point interested? */
void points_event(struct shell *s, enum trace_event event, u32 cpu, const u64 *args);
u32 points_classes(const struct shell *s);

void show_points(struct shell *s); /* cmd_points.c */
void point_follow_tables(struct shell *s, struct shell_point *p); /* cmd_break.c */

/* ---- cmd_run.c ---- */
/* Run until something is to be told; false: the machine came to its end. */
bool shell_continue(struct shell *s);
void report_stop(struct shell *s, struct run_result r);

/* ---- vmcs.c; more of it in vmcs.h ---- */
/* The control structure that matters for the selected processor: current or last entered; ~0: none. */
u64 shell_vmcs(const struct shell *s);
u64 shell_vmcb(const struct shell *s);
bool shell_is_amd(const struct shell *s);

/* Second-level tables of the selected processor's guest; or of the guest that it ran last. False: none. */
bool shell_nested(const struct shell *s, struct walk_root *root);

#endif
