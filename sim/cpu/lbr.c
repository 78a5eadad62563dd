/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recording and counting of branches. [SDM3 "Last Branch, Interrupt, and Exception Recording"], [APM2
 * "Control-Transfer Recording MSRs"]
 *
 * While DEBUGCTL.LBR is set or a performance counter counts branches the processor goes step by step
 * (cpu_update_mode), so that nothing is paid otherwise. Intel: a stack of 32 records as of Ice Lake,
 * filtered by MSR_LBR_SELECT, with a mode that follows calls and returns; addresses are linear. The cycle
 * counts are those of the performance counters. A conditional branch is mispredicted when static
 * prediction fails: backward is taken, forward is not; nothing else ever is. AMD: one pair of registers
 * for branches; an exception or interrupt moves it to another.
 *
 * Left out: branch trace stores and messages, transactional memory's flags. */
#include "base/bits.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/pmu.h"

#define LBR_DEPTH 32u
#define LBR_INFO_MISPRED BIT(63)

/* MSR_LBR_SELECT: what is left out. */
#define SELECT_CPL_EQ_0 BIT(0)
#define SELECT_CPL_NEQ_0 BIT(1)
#define SELECT_CALLSTACK BIT(9)

enum branch_kind {
    BRANCH_NONE = 0,
    BRANCH_JCC = 2, /* bits of MSR_LBR_SELECT */
    BRANCH_REL_CALL,
    BRANCH_IND_CALL,
    BRANCH_RET,
    BRANCH_IND_JMP,
    BRANCH_REL_JMP,
    BRANCH_FAR,
};

static bool is_far(const struct insn *in)
{
    return in->r[0] == OPR_FAR || (in->r[0] == OPR_MEM && (in->imm & INSN_IMM_FAR) != 0);
}

/* Software interrupts are recorded as they are delivered. */
static enum branch_kind kind_of(const struct insn *in)
{
    bool relative = in->r[0] == OPR_REL;
    switch (insn_id(in)) {
    case INSN_JMP:
        return is_far(in) ? BRANCH_FAR : relative ? BRANCH_REL_JMP : BRANCH_IND_JMP;
    case INSN_CALL:
        return is_far(in) ? BRANCH_FAR : relative ? BRANCH_REL_CALL : BRANCH_IND_CALL;
    case INSN_RET:
        return (in->imm & INSN_IMM_FAR) != 0 ? BRANCH_FAR : BRANCH_RET;
    case INSN_JO: case INSN_JNO: case INSN_JB: case INSN_JNB: case INSN_JZ: case INSN_JNZ:
    case INSN_JBE: case INSN_JNBE: case INSN_JS: case INSN_JNS: case INSN_JP: case INSN_JNP:
    case INSN_JL: case INSN_JNL: case INSN_JLE: case INSN_JNLE: case INSN_JCXZ: case INSN_JECXZ:
    case INSN_JRCXZ: case INSN_LOOP: case INSN_LOOPE: case INSN_LOOPNE:
        return BRANCH_JCC;
    case INSN_IRET: case INSN_IRETD: case INSN_IRETQ: case INSN_SYSCALL: case INSN_SYSRET:
    case INSN_SYSENTER: case INSN_SYSEXIT:
        return BRANCH_FAR;
    default:
        return BRANCH_NONE;
    }
}

static u64 linear_ip(const struct cpu *cpu)
{
    return (cpu->d.seg_base[SEG_CS] + cpu->arch.rip) & cpu->d.lin_mask;
}

struct branch_from debug_branch_from(const struct cpu *cpu)
{
    return (struct branch_from){.rip = cpu->arch.rip, .lin = linear_ip(cpu)};
}

/* ---- Intel's stack ---- */

static bool is_filtered(const struct cpu *cpu, enum branch_kind kind)
{
    u64 select = cpu->arch.store.lbr_select[0];
    u64 level = cpu_cpl(cpu) == 0 ? SELECT_CPL_EQ_0 : SELECT_CPL_NEQ_0;
    return (select & (level | BIT(kind))) != 0;
}

static void push_record(struct cpu *cpu, enum branch_kind kind, bool missed, u64 from, u64 to)
{
    struct msr_store *s = &cpu->arch.store;
    bool follows = (s->lbr_select[0] & SELECT_CALLSTACK) != 0;
    if (is_filtered(cpu, kind)) {
        return;
    }
    if (follows && kind == BRANCH_RET) { /* takes the call's record away */
        u64 top = s->lbr_tos[0];
        s->lbr_from[top] = s->lbr_to[top] = s->lbr_info[top] = 0;
        s->lbr_tos[0] = (top - 1) % LBR_DEPTH;
        return;
    }
    u64 now = pmu_unhalted_cycles(cpu);
    u64 cycles = now - s->lbr_cycles[0];
    u64 top = (s->lbr_tos[0] + 1) % LBR_DEPTH;
    s->lbr_cycles[0] = now;
    s->lbr_tos[0] = top;
    s->lbr_from[top] = from;
    s->lbr_to[top] = to;
    s->lbr_info[top] = (cycles < 0xffff ? cycles : 0xffff) | (missed ? LBR_INFO_MISPRED : 0);
}

/* ---- Both ---- */

static void record(struct cpu *cpu, enum branch_kind kind, bool missed, const struct branch_from *from)
{
    bool intel = cpu_is_intel(cpu);
    u64 to = intel ? linear_ip(cpu) : cpu->arch.rip;
    cpu->arch.last_branch_from = intel ? from->lin : from->rip;
    cpu->arch.last_branch_to = to;
    if (intel) {
        push_record(cpu, kind, missed, from->lin, to);
    }
}

bool debug_note_branch(struct cpu *cpu, const struct insn *in, const struct branch_from *from)
{
    enum branch_kind kind = kind_of(in);
    if (kind == BRANCH_NONE) {
        return false;
    }
    bool taken = kind != BRANCH_JCC || cpu->arch.rip != from->rip + in->len;
    bool missed = kind == BRANCH_JCC && taken != ((i64)in->imm < 0);
    if (debug_counts_branches(cpu)) {
        cpu->arch.store.branches[0]++;
        cpu->arch.store.mispredicted[0] += missed;
    }
    if (!taken) {
        return false;
    }
    if (debug_lbr_on(cpu)) {
        /* A CALL to what follows it only asks where it is. */
        bool follows = (cpu->arch.store.lbr_select[0] & SELECT_CALLSTACK) != 0;
        if (!(follows && kind == BRANCH_REL_CALL && cpu->arch.rip == from->rip + in->len)) {
            record(cpu, kind, missed, from);
        }
    }
    return true;
}

void debug_count_delivery(struct cpu *cpu, enum event_kind kind)
{
    bool software = kind == EVENT_SOFT_INT || kind == EVENT_INT3 || kind == EVENT_ICEBP;
    if (debug_counts_branches(cpu) && (software || !cpu_is_intel(cpu))) {
        cpu->arch.store.branches[0]++;
    }
}

void debug_record_interrupt(struct cpu *cpu, const struct branch_from *from)
{
    cpu->arch.last_int_from = cpu->arch.last_branch_from;
    cpu->arch.last_int_to = cpu->arch.last_branch_to;
    record(cpu, BRANCH_FAR, false, from);
}

/* [SDM3 "Freezing LBR and Performance Counters on PMI"], as version 2 of the counters has it. The slow
 * steps end with the next change of mode. */
void debug_freeze_on_pmi(struct cpu *cpu)
{
    if ((cpu->arch.debugctl & DEBUGCTL_FREEZE_LBRS_ON_PMI) != 0) {
        cpu->arch.debugctl &= ~(u64)DEBUGCTL_LBR;
    }
    if ((cpu->arch.debugctl & DEBUGCTL_FREEZE_PERFMON_ON_PMI) != 0) {
        cpu->arch.pmc_global_ctrl = 0;
    }
}
