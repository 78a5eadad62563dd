/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System-level semantics that other parts call: segment loads, far transfers, I/O permission,
 * debug facilities, control-flow enforcement, SMM. Handlers named in insn_system.def are declared by
 * exec/exec.h; those here are called from handlers of other tables (MOV, PUSH, JMP, CALL, RET). */
#ifndef VITRINE_CPU_EXEC_EXEC_SYSTEM_H
#define VITRINE_CPU_EXEC_EXEC_SYSTEM_H

#include "abi/x86/msr.h"
#include "cpu/exec/exec.h"

/* #CP error codes. */
#define CP_NEAR_RET 1
#define CP_FAR_RET_IRET 2
#define CP_ENDBRANCH 3
#define CP_RSTORSSP 4
#define CP_SETSSBSY 5

/* ---- Segments (cpu/segment.c) ---- */

/* Load ES, SS, DS, FS or GS (never CS) by a selector in the current mode, as MOV and POP do:
 * fetches and checks the descriptor, sets its accessed bit, updates the derived state. The
 * MOV SS / POP SS shadow is the caller's: seg_begin_ss_shadow(). [SDM2 "MOV-Move"] */
cpu_rc seg_load(struct cpu *cpu, unsigned seg, u16 selector) MUST_USE;
/* After a successful MOV SS or POP SS: hold interrupts, NMI and debug traps for one instruction. */
void seg_begin_ss_shadow(struct cpu *cpu);

/* ---- Handlers reached through MOV, JMP, CALL, RET ---- */

/* MOV with a segment, control or debug register operand: exec_mov calls these when in->r[0] or
 * in->r[1] is OPR_SEG + n, OPR_CR + n, OPR_DR + n. They need block class SERIAL behaviour: they end
 * the block themselves (cpu_update_mode, cpu_leave_block); RIP is advanced by the run loop. */
cpu_rc exec_mov_seg(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc exec_mov_cr(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc exec_mov_dr(struct cpu *cpu, const struct insn *in) MUST_USE;

/* A far JMP/CALL has OPR_FAR (ptr16:16, ptr16:32 in imm), or OPR_MEM with imm bit 32 set by the
 * decoder (Zydis branch type FAR); a far RET has imm bit 32 set and its immediate in bits 0-15. All
 * three store arch.rip. */
#define INSN_IMM_FAR BIT(32)
cpu_rc exec_jmp_far(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc exec_call_far(struct cpu *cpu, const struct insn *in) MUST_USE;
cpu_rc exec_ret_far(struct cpu *cpu, const struct insn *in) MUST_USE;

/* ---- I/O (exec/io.c) ---- */

/* May the current task access ports port..port+size-1? #GP(0) if not. Needs no call when CPL <= IOPL
 * in protected mode or in real mode, but then costs little. [SDM1 "I/O Permission Bit Map"] */
cpu_rc io_check(struct cpu *cpu, u16 port, unsigned size) MUST_USE;
/* After an access that was allowed: I/O breakpoints (CR4.DE). */
void debug_check_io(struct cpu *cpu, u16 port, unsigned size);
/* Board access with the breakpoint check: what IN, OUT, INS, OUTS use after io_check. */
u32 io_read_port(struct cpu *cpu, u16 port, unsigned size);
void io_write_port(struct cpu *cpu, u16 port, u32 value, unsigned size);

/* ---- Bounds (exec/mpx.c) ---- */

/* The configuration that counts at this level; 0 when the operating system has not enabled MPX. */
static inline u64 mpx_config(const struct cpu *cpu)
{
    if (LIKELY((cpu->arch.xcr0 & XCR0_MPX) == 0) || (cpu->arch.cr4 & CR4_OSXSAVE) == 0) {
        return 0;
    }
    return cpu->d.cpl == 3 ? cpu->arch.mpx.cfgu : cpu->arch.mpx.cfgs;
}
/* A near branch without BND prefix that sets the bounds to INIT: in place of its own handler. */
cpu_rc exec_branch_init(struct cpu *cpu, const struct insn *in) MUST_USE;

/* ---- Control-flow enforcement (exec/cet.c) ---- */

static inline bool cet_is_active(const struct cpu *cpu)
{
    return UNLIKELY((cpu->arch.cr4 & CR4_CET) != 0) && cpu->d.prot && !cpu->d.v86;
}

static inline u64 cet_control(const struct cpu *cpu)
{
    return cpu->d.cpl == 3 ? cpu->arch.u_cet : cpu->arch.s_cet;
}

static inline bool cet_shadow_on(const struct cpu *cpu)
{
    return cet_is_active(cpu) && (cet_control(cpu) & CET_SH_STK_EN) != 0;
}

static inline bool cet_ibt_on(const struct cpu *cpu)
{
    return cet_is_active(cpu) && (cet_control(cpu) & CET_ENDBR_EN) != 0;
}

/* Near CALL: push the return address on the shadow stack. Call only when cet_shadow_on() and not for
 * CALL with displacement 0; after mem_probe() of the data-stack slot and before the data-stack push,
 * which then cannot fault. `size`: operand size (2 pushes 4 bytes). */
cpu_rc cet_call_push(struct cpu *cpu, u64 return_rip, unsigned size) MUST_USE;
/* Near RET: compare and pop. Call only when cet_shadow_on(), as the last check before RIP and RSP
 * are stored. */
cpu_rc cet_ret_check(struct cpu *cpu, u64 return_rip, unsigned size) MUST_USE;
/* Near indirect JMP/CALL (register or memory), once it can no longer fault: start the tracker unless
 * suppressed or NOTRACK. Costs one test when IBT is off. */
void cet_track_indirect(struct cpu *cpu, const struct insn *in);
static inline void cet_indirect(struct cpu *cpu, const struct insn *in)
{
    if (cet_ibt_on(cpu)) {
        cet_track_indirect(cpu, in);
    }
}
/* Is the tracker waiting for an ENDBRANCH? The run loop then (cpu_update_mode sets d.slow_step)
 * calls cet_check_target() with the decoded instruction before it executes it. */
static inline bool cet_is_waiting(const struct cpu *cpu)
{
    return cet_ibt_on(cpu) && (cet_control(cpu) & CET_TRACKER) != 0;
}
cpu_rc cet_check_target(struct cpu *cpu, const struct insn *in) MUST_USE;

/* ---- Debug (cpu/debug.c) ---- */

/* Data breakpoints: record matches in arch.pending_db. Called by slow-path accesses when
 * d.data_breaks. Never faults: data breakpoints are traps. */
void debug_check_data(struct cpu *cpu, u64 lin, u64 size, bool write);
/* Before an instruction is fetched, when d.slow_step: instruction breakpoints, unless RF. CPU_EXIT:
 * a #DB fault stands in cpu->event. */
cpu_rc debug_check_fetch(struct cpu *cpu) MUST_USE;
/* After an instruction completed (CPU_OK), when d.slow_step was set before it (TF, RF, an armed code
 * breakpoint, cet_is_waiting()): clears RF as the manual says, records
 * the single-step trap if TF was set when the instruction began (with DEBUGCTL.BTF: and it was a branch
 * that was taken). */
void debug_after_insn(struct cpu *cpu, bool tf_before, bool branch);
/* Does DR7 arm an instruction / data or I/O breakpoint? For cpu_update_mode(). */
bool debug_code_armed(const struct cpu *cpu);
bool debug_data_armed(const struct cpu *cpu);

/* ---- Branch records (cpu/lbr.c) ---- */

static inline bool debug_lbr_on(const struct cpu *cpu)
{
    return UNLIKELY((cpu->arch.debugctl & DEBUGCTL_LBR) != 0);
}

/* Does a performance counter count branches? */
static inline bool debug_counts_branches(const struct cpu *cpu)
{
    return UNLIKELY(cpu->arch.store.pmu_branching[0] != 0);
}

/* Where a transfer of control began: taken before it. */
struct branch_from {
    u64 rip, lin;
};
struct branch_from debug_branch_from(const struct cpu *cpu);
/* An instruction completed while DEBUGCTL.LBR or BTF was set or branches are counted: count and record it
 * if it is a branch; whether it was taken. */
bool debug_note_branch(struct cpu *cpu, const struct insn *in, const struct branch_from *from);
/* An event was delivered: a branch to the counters of AMD; of Intel a software interrupt only. */
void debug_count_delivery(struct cpu *cpu, enum event_kind kind);
/* An exception or interrupt was delivered, with LBR set. */
void debug_record_interrupt(struct cpu *cpu, const struct branch_from *from);
/* A performance counter that overflowed asks for an interrupt. */
void debug_freeze_on_pmi(struct cpu *cpu);

/* Interrupt shadows last one instruction. The run loop: `bool shadow = shadow_is_on(cpu)` before an
 * instruction, `if (shadow) shadow_end(cpu)` after it completed and before debug_after_insn(). A
 * boundary with a shadow on is followed by a block of one instruction (d.pending stays set). */
static inline bool shadow_is_on(const struct cpu *cpu)
{
    return cpu->arch.int_shadow_sti || cpu->arch.int_shadow_movss;
}
void shadow_end(struct cpu *cpu);

/* Components of the extended state that are not in their initial state: XINUSE (exec/xsave.c). */
u64 xsave_in_use(const struct cpu *cpu);

/* Mark the page of an armed MONITOR line, e.g. after a load of saved state (exec/system.c). */
void monitor_watch(struct cpu *cpu);

/* ---- SMM (cpu/smm.c) ---- */
void smm_enter(struct cpu *cpu);

#endif
