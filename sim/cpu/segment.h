/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors, segment loads and stacks of other privilege levels: what far transfers, interrupt
 * delivery and task switches share. [SDM3 "Protected-Mode Memory Management"], [SDM3 "Protection"] */
#ifndef VITRINE_CPU_SEGMENT_H
#define VITRINE_CPU_SEGMENT_H

#include "cpu/cpu.h"
#include "cpu/exec/exec_system.h"
#include "cpu/mem.h"

/* A descriptor as read from the GDT or LDT. */
struct descriptor {
    u64 lo, hi; /* hi: second half of a 16-byte descriptor, else 0 */
    u64 lin;    /* linear address of its first byte */
    u16 sel;
    u32 attr;   /* SEG_* layout */
};

static inline bool sel_is_null(u16 sel)
{
    return (sel & 0xfffc) == 0;
}

/* Selector as an error code: RPL bits cleared. */
static inline u32 sel_error(u16 sel)
{
    return sel & 0xfffcu;
}

static inline unsigned desc_type(const struct descriptor *d)
{
    return d->attr & SEG_TYPE;
}

static inline unsigned desc_dpl(const struct descriptor *d)
{
    return (d->attr & SEG_DPL) >> SEG_DPL_SHIFT;
}

static inline bool desc_is_present(const struct descriptor *d)
{
    return (d->attr & SEG_P) != 0;
}

static inline bool desc_is_system(const struct descriptor *d)
{
    return (d->attr & SEG_S) == 0;
}

static inline bool desc_is_code(const struct descriptor *d)
{
    return (d->attr & (SEG_S | SEG_TYPE_CODE)) == (SEG_S | SEG_TYPE_CODE);
}

static inline bool desc_is_conforming(const struct descriptor *d)
{
    return desc_is_code(d) && (d->attr & SEG_TYPE_EXPAND) != 0;
}

static inline bool desc_is_writable_data(const struct descriptor *d)
{
    return (d->attr & (SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITE)) == (SEG_S | SEG_TYPE_WRITE);
}

/* Fields of a gate. */
static inline u16 gate_selector(const struct descriptor *d)
{
    return (u16)(d->lo >> 16);
}

static inline u64 gate_offset(const struct descriptor *d, bool wide)
{
    u64 off = (d->lo & 0xffff) | ((d->lo >> 32) & 0xffff0000u);
    return wide ? off | (d->hi << 32) : off;
}

/* Limit and base of a segment, LDT or TSS descriptor as a segment register holds them. */
void desc_to_segment(const struct descriptor *d, u16 sel, struct segment *seg);
/* An unusable segment: null selector; the DPL is kept where it holds CPL (SS). */
void seg_make_null(struct segment *seg, u16 sel, unsigned dpl);

/* Is the selector within its table? *lin is the descriptor's linear address. `size` 8 or 16. */
bool desc_locate(const struct cpu *cpu, u16 sel, unsigned size, u64 *lin);
/* Fetch; vector(sel) when outside the table limit. The selector must not be null. */
cpu_rc desc_fetch(struct cpu *cpu, u16 sel, unsigned vector, struct descriptor *d) MUST_USE;
/* The upper half of a 16-byte descriptor: call in long mode for system descriptors. */
cpu_rc desc_fetch_upper(struct cpu *cpu, unsigned vector, struct descriptor *d) MUST_USE;
/* Set the accessed bit in memory if clear. The last step that can fault. */
cpu_rc desc_set_accessed(struct cpu *cpu, struct descriptor *d) MUST_USE;
/* Set or clear the busy bit of a TSS descriptor. */
cpu_rc desc_set_busy(struct cpu *cpu, struct descriptor *d, bool busy) MUST_USE;

/* Linear address base + offset, wrapped as the mode wraps it. */
static inline u64 seg_sum(const struct cpu *cpu, u64 base, u64 offset)
{
    return cpu->d.long_mode ? base + offset : (u32)(base + offset);
}

/* May control go to this code segment without a gate or through a call gate's JMP? Type, L and D,
 * privilege, presence; errors carry the selector. [SDM3 "Direct Calls or Jumps to Code Segments"] */
cpu_rc seg_check_code(struct cpu *cpu, const struct descriptor *d, u16 sel, unsigned cpl) MUST_USE;
/* Is RIP inside a code segment to be loaded: limit, or canonical for 64-bit. #GP(0) if not. */
cpu_rc seg_check_rip(struct cpu *cpu, const struct descriptor *d, u64 rip) MUST_USE;
/* Store CS from a checked descriptor; RPL becomes cpl. */
void seg_store_cs(struct cpu *cpu, const struct descriptor *d, u16 sel, unsigned cpl);
/* CS in real and virtual-8086 mode. */
void seg_store_cs_real(struct cpu *cpu, u16 sel);
/* Real-mode and virtual-8086 load of any segment register. */
void seg_store_real(struct cpu *cpu, unsigned seg, u16 sel);
/* All six as virtual-8086 mode has them: base = sel * 16, 64 KiB, DPL 3. */
void seg_store_v86(struct cpu *cpu, unsigned seg, u16 sel);

static inline bool desc_is_code64(const struct cpu *cpu, const struct descriptor *d)
{
    return cpu->d.long_mode && (d->attr & SEG_L) != 0;
}

/* A stack that is being built while the old one is still current. */
struct new_stack {
    struct segment ss;
    u64 sp;          /* before the pushes; after new_stack_push_frame: unchanged */
    u64 mask;        /* width of SP */
    unsigned cpl;    /* privilege of the accesses */
    bool flat;       /* 64-bit: no limit, canonical check */
    u32 error;       /* selector that #SS reports */
};

/* The current stack with the current privilege. */
void new_stack_current(struct cpu *cpu, struct new_stack *st);
/* Stack for privilege `dpl` from the current TSS, with all its checks, for a 32- or 16-bit gate.
 * [SDM3 "Stack Switching"] *ss_desc is valid for new_stack_commit. */
cpu_rc new_stack_from_tss(struct cpu *cpu, unsigned dpl, struct new_stack *st,
                          struct descriptor *ss_desc) MUST_USE;
/* 64-bit: RSP0-2 (ist = 0) or IST1-7 from the TSS. #TS, or #SS(0) when not canonical. */
cpu_rc new_stack_from_tss64(struct cpu *cpu, unsigned dpl, unsigned ist, struct new_stack *st) MUST_USE;

/* A frame of up to 48 pushes of `size` bytes each: collected, checked, then stored. */
struct push_frame {
    u64 v[48];
    unsigned count;
    unsigned size;
};

static inline void frame_push(struct push_frame *f, u64 v)
{
    f->v[f->count++] = v;
}

/* Limits and page rights for the whole frame; moves no data. */
cpu_rc new_stack_check(struct cpu *cpu, const struct new_stack *st, const struct push_frame *f) MUST_USE;
/* Store the frame. Cannot fault after new_stack_check. */
void new_stack_store(struct cpu *cpu, const struct new_stack *st, const struct push_frame *f);
/* RSP value after the frame, given the old RSP's upper bits where SP is narrower. */
u64 new_stack_rsp(const struct new_stack *st, u64 old_rsp, const struct push_frame *f);

/* Data segments that a return to an outer level must not keep: DPL < new CPL. */
void seg_drop_inner(struct cpu *cpu, unsigned new_cpl);

/* ACCESS_* kind for explicit stack accesses made with privilege `cpl` while d.cpl may differ. */
unsigned access_as_cpl(const struct cpu *cpu, unsigned cpl);

/* ---- Returns: what RETF and IRET share (exec/far.c) ---- */
/* Check the popped CS selector; fetches its descriptor. */
cpu_rc far_return_code(struct cpu *cpu, u16 sel, struct descriptor *cs) MUST_USE;
/* Check the popped SS selector for privilege `cpl`; a null one is allowed in 64-bit code below 3. */
cpu_rc far_return_stack(struct cpu *cpu, u16 sel, unsigned cpl, bool code64, struct descriptor *ss) MUST_USE;
/* Store SS and as much of RSP as the new mode holds. */
void far_store_stack(struct cpu *cpu, const struct descriptor *ss, unsigned cpl, bool code64, u64 rsp);

/* ---- Task switch (cpu/task.c) ---- */
enum task_source { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET };

struct task_args {
    enum task_source source;
    u64 rip;        /* what the old TSS gets as EIP */
    u64 flags;      /* and as EFLAGS */
    bool has_error; /* push `error` on the new task's stack */
    u32 error;
};

/* `d` is a TSS descriptor that passed the caller's checks (type, busy, present, privilege). CPU_EXIT:
 * an exception, of the old task (nothing committed) or, for late faults, of the new one. RIP is
 * stored. [SDM3 "Task Switching"] */
cpu_rc task_switch(struct cpu *cpu, struct descriptor *d, const struct task_args *args) MUST_USE;
/* Through the selector of a task gate found by JMP, CALL or an interrupt: checks it first. */
cpu_rc task_gate_switch(struct cpu *cpu, u16 tss_sel, const struct task_args *args) MUST_USE;

/* ---- Control-flow enforcement in far transfers (exec/cet.c) ---- */
struct cet_far {
    bool save_pl3;   /* IA32_PL3_SSP receives the old SSP */
    bool active;     /* SSP changes */
    bool token;      /* the token at token_lin gets token_value */
    bool align;      /* a zero dword goes below an SSP that is not 8-aligned */
    bool push;       /* CS, LIP, old SSP below `top` */
    bool track;      /* tracker of the new level waits for ENDBRANCH */
    u64 token_lin, token_value;
    u64 cs, lip, top;
    u64 ssp;         /* new SSP */
    unsigned cpl;    /* new privilege */
    unsigned access; /* kind of the shadow-stack accesses */
};
/* Prepare what a far CALL or an interrupt does to the shadow stack; checks and probes everything.
 * old_cpl -> new_cpl; `ist` non-zero selects from the interrupt SSP table; `code64` of the target. */
cpu_rc cet_far_call_check(struct cpu *cpu, struct cet_far *c, unsigned new_cpl, unsigned ist,
                          bool code64, u64 return_rip) MUST_USE;
void cet_far_call_commit(struct cpu *cpu, const struct cet_far *c);
/* The same for RETF and IRET to cs:rip. */
cpu_rc cet_far_ret_check(struct cpu *cpu, struct cet_far *c, unsigned new_cpl,
                         const struct descriptor *cs, u64 rip, bool iret) MUST_USE;
void cet_far_ret_commit(struct cpu *cpu, const struct cet_far *c);
/* What a task switch does to the shadow stack. [SDM3 "Task Switching"] */
struct cet_task {
    bool push;        /* CALL, interrupt: the old task's CS, LIP and SSP go on the new stack */
    bool verify;      /* IRET: the new CS and LIP must be these */
    bool save_pl3;    /* IA32_PL3_SSP receives the old SSP */
    bool left;        /* the old task had a shadow stack: IRET gives its token back */
    u64 cs, lip, ssp; /* pushed, or compared and loaded */
    u64 new_ssp;      /* of the new TSS */
    struct cet_far back; /* the token given back */
};
/* Before anything of the new task is loaded: everything that may fault in the old one's name. `new_cpl` of
 * the new task, `new_ssp` from its TSS. */
cpu_rc cet_task_leave(struct cpu *cpu, struct cet_task *t, enum task_source source, unsigned new_cpl,
                      u64 new_ssp, u64 return_rip) MUST_USE;
void cet_task_commit(struct cpu *cpu, const struct cet_task *t);
/* After the new task's segments are loaded. */
cpu_rc cet_task_enter(struct cpu *cpu, const struct cet_task *t, enum task_source source) MUST_USE;
/* Tracker of the current level waits for an ENDBRANCH: far JMP, SYSCALL, ... */
void cet_far_track(struct cpu *cpu);

#endif
