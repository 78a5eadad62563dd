/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Debug registers and single-stepping. [SDM3 "Debug, Branch Profile, TSC, and Intel Resource Director
 * Technology (Intel RDT) Features"]
 *
 * Instruction breakpoints are faults, found before the instruction; everything else is a trap,
 * collected in arch.pending_db and delivered at the next boundary (cpu/pending.c).
 *
 * Left out: restricted transactional memory and bus-lock traps, which no model has. */
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"

enum { BREAK_EXEC = 0, BREAK_WRITE = 1, BREAK_IO = 2, BREAK_ACCESS = 3 };

static unsigned break_kind(const struct cpu *cpu, unsigned i)
{
    return (unsigned)(cpu->arch.dr7 >> (16 + 4 * i)) & 3u;
}

static bool break_is_enabled(const struct cpu *cpu, unsigned i)
{
    return ((cpu->arch.dr7 >> (2 * i)) & 3u) != 0;
}

static u64 break_length(const struct cpu *cpu, unsigned i)
{
    static const u8 bytes[] = {1, 2, 8, 4};
    return bytes[(cpu->arch.dr7 >> (18 + 4 * i)) & 3u];
}

/* Does breakpoint i cover any of [at, at + size)? Its address is used as aligned to its length. */
static bool break_covers(const struct cpu *cpu, unsigned i, u64 at, u64 size)
{
    u64 len = break_length(cpu, i);
    u64 first = align_down(cpu->arch.dr[i], len);
    return at <= first + (len - 1) && first <= at + (size - 1);
}

bool debug_code_armed(const struct cpu *cpu)
{
    if (LIKELY((cpu->arch.dr7 & 0xff) == 0)) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (break_is_enabled(cpu, i) && break_kind(cpu, i) == BREAK_EXEC) {
            return true;
        }
    }
    return false;
}

bool debug_data_armed(const struct cpu *cpu)
{
    if (LIKELY((cpu->arch.dr7 & 0xff) == 0)) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (break_is_enabled(cpu, i) && (break_kind(cpu, i) & 1) != 0) {
            return true;
        }
    }
    return false;
}

void debug_check_data(struct cpu *cpu, u64 lin, u64 size, bool write)
{
    u64 hits = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind = break_kind(cpu, i);
        if (break_is_enabled(cpu, i) && (kind == BREAK_ACCESS || (kind == BREAK_WRITE && write)) &&
            break_covers(cpu, i, lin, size)) {
            hits |= BIT(i);
        }
    }
    if (hits != 0) {
        cpu->arch.pending_db |= hits;
        cpu_kick(cpu);
    }
}

void debug_check_io(struct cpu *cpu, u16 port, unsigned size)
{
    if (LIKELY((cpu->arch.cr4 & CR4_DE) == 0) || (cpu->arch.dr7 & 0xff) == 0) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (break_is_enabled(cpu, i) && break_kind(cpu, i) == BREAK_IO &&
            break_covers(cpu, i, port, size)) {
            cpu->arch.pending_db |= BIT(i);
            cpu_kick(cpu);
        }
    }
}

cpu_rc debug_check_fetch(struct cpu *cpu)
{
    cpu->d.rf_loaded = false;
    cpu->d.step_decided = false;
    cpu->d.switched = false;
    /* Intel holds instruction breakpoints off after MOV SS; AMD does not. A repetition that goes on is no new
     * instruction. */
    if ((cpu->arch.rflags & RFLAGS_RF) != 0 || cpu->arch.rep_partial ||
        (cpu->arch.int_shadow_movss && cpu_is_intel(cpu))) {
        return CPU_OK;
    }
    u64 lin = (cpu->d.seg_base[SEG_CS] + cpu->arch.rip) & cpu->d.lin_mask;
    u64 hits = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (break_is_enabled(cpu, i) && break_kind(cpu, i) == BREAK_EXEC && cpu->arch.dr[i] == lin) {
            hits |= BIT(i);
        }
    }
    return hits == 0 ? CPU_OK : raise_db(cpu, hits, false, "instruction breakpoint");
}

void debug_after_insn(struct cpu *cpu, bool tf_before, bool branch)
{
    bool steps = branch || (cpu->arch.debugctl & DEBUGCTL_BTF) == 0;
    /* RF holds for one instruction with all its repetitions, unless that instruction loaded it. */
    if ((cpu->arch.rflags & RFLAGS_RF) != 0 && !cpu->d.rf_loaded && !cpu->arch.rep_partial) {
        cpu->arch.rflags &= ~(u64)RFLAGS_RF;
        cpu_update_mode(cpu);
    }
    /* The instruction after which MOV SS or POP SS holds traps off loses its own single-step trap
     * [SDM3 "Masking Exceptions and Interrupts When Switching Stacks"]. */
    if (tf_before && steps && !cpu->d.step_decided && !cpu->arch.int_shadow_movss) {
        cpu->arch.pending_db |= DR6_BS;
        cpu_kick(cpu);
    }
}

void shadow_end(struct cpu *cpu)
{
    cpu->arch.int_shadow_sti = false;
    cpu->arch.int_shadow_movss = false;
    cpu_lift_mask(cpu);
}
