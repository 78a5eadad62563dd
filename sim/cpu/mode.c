/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What follows from the mode registers: cpu->d, recomputed whole after any change of them. */
#include "base/bits.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/model.h"
#include "cpu/pmu.h"
#include "cpu/tlb.h"
#include "cpu/virt.h"

#include <string.h>

void walk_root_of(const struct cpu *cpu, struct walk_root *root)
{
    const struct cpu_arch *a = &cpu->arch;
    u64 cr4 = a->cr4;
    memset(root, 0, sizeof *root);
    root->reserved = cpu_phys_reserved(cpu);
    if ((a->cr0 & CR0_PG) == 0) {
        root->mode = PAGING_NONE;
        if (in_guest(cpu)) {
            virt_walk_root(cpu, root);
        }
        return;
    }
    bool lma = (a->efer & EFER_LMA) != 0;
    if (lma) {
        root->mode = (cr4 & CR4_LA57) != 0 ? PAGING_5LEVEL : PAGING_4LEVEL;
        root->table = a->cr3 & 0x000ffffffffff000u & ~root->reserved;
    } else if ((cr4 & CR4_PAE) != 0) {
        root->mode = PAGING_PAE;
        memcpy(root->pdpte, a->pdpte, sizeof root->pdpte);
    } else {
        root->mode = PAGING_32;
        root->table = a->cr3 & 0xfffff000u;
    }
    u32 f = 0;
    f |= (a->cr0 & CR0_WP) != 0 ? WALK_WP : 0u;
    f |= (a->efer & EFER_NXE) != 0 && root->mode != PAGING_32 ? WALK_NXE : 0u;
    f |= (cr4 & CR4_SMEP) != 0 ? WALK_SMEP : 0u;
    f |= (cr4 & CR4_SMAP) != 0 ? WALK_SMAP : 0u;
    f |= (cr4 & CR4_PKE) != 0 && lma ? WALK_PKE : 0u;
    f |= (cr4 & CR4_PKS) != 0 && lma ? WALK_PKS : 0u;
    f |= (cr4 & CR4_PSE) != 0 ? WALK_PSE : 0u;
    f |= cpu_has(cpu, CPU_FEATURE_PSE36) ? WALK_PSE36 : 0u;
    f |= cpu_has(cpu, CPU_FEATURE_PDPE1GB) ? WALK_1GB : 0u;
    f |= (cr4 & CR4_CET) != 0 ? WALK_CET : 0u;
    f |= cpu_is_intel(cpu) ? 0u : WALK_AMD_BIT8;
    root->flags = f;
    root->pkru = a->pkru;
    root->pkrs = (u32)a->pkrs;
    if (in_guest(cpu)) {
        virt_walk_root(cpu, root);
    }
}

/* Where fast accesses end; 0 sends everything to the slow path, which decides. */
static void segment_limits(struct cpu *cpu, unsigned s)
{
    const struct segment *g = &cpu->arch.seg[s];
    struct cpu_derived *d = &cpu->d;
    if (d->code64) {
        d->seg_base[s] = s == SEG_FS || s == SEG_GS ? g->base : 0;
        d->seg_rend[s] = ~(u64)0;
        d->seg_wend[s] = ~(u64)0;
        return;
    }
    d->seg_base[s] = g->base;
    d->seg_rend[s] = 0;
    d->seg_wend[s] = 0;
    if ((g->attr & (SEG_UNUSABLE | SEG_P)) != SEG_P) {
        return;
    }
    bool code = (g->attr & SEG_TYPE_CODE) != 0;
    bool rw = (g->attr & SEG_TYPE_WRITE) != 0;
    bool down = !code && (g->attr & SEG_TYPE_EXPAND) != 0;
    if (down) {
        return;
    }
    bool writable = !code && rw;
    if (!d->prot || d->v86) {
        writable = true;
        rw = true;
    }
    d->seg_rend[s] = !code || rw ? (u64)g->limit + 1 : 0;
    d->seg_wend[s] = writable ? (u64)g->limit + 1 : 0;
}

static bool is_flat(const struct cpu *cpu)
{
    if (cpu->d.code64) {
        return true;
    }
    for (unsigned s = SEG_ES; s <= SEG_DS; s++) {
        if (cpu->d.seg_base[s] != 0 || (s != SEG_CS && cpu->d.seg_wend[s] <= 0xffffffffu) ||
            cpu->d.seg_rend[s] <= 0xffffffffu) {
            return false;
        }
    }
    return true;
}

static u32 mode_word(const struct cpu *cpu)
{
    const struct cpu_arch *a = &cpu->arch;
    const struct cpu_derived *d = &cpu->d;
    bool em = (a->cr0 & CR0_EM) != 0;
    bool ts = (a->cr0 & CR0_TS) != 0;
    u32 w = d->code_size == 8 ? 2u : d->code_size == 4 ? 1u : 0u;
    w |= (u32)d->cpl << 2;
    w |= d->prot ? MODE_PE : 0u;
    w |= d->v86 ? MODE_VM : 0u;
    w |= d->long_mode ? MODE_LMA : 0u;
    w |= !em && !ts ? MODE_X87_OK : 0u;
    w |= !(ts && (a->cr0 & CR0_MP) != 0) ? MODE_WAIT_OK : 0u;
    w |= !em && !ts && (a->cr4 & CR4_OSFXSR) != 0 ? MODE_SSE_OK : 0u;
    bool avx = (a->cr4 & CR4_OSXSAVE) != 0 &&
               (a->xcr0 & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX) && d->prot && !d->v86;
    w |= avx && !ts ? MODE_AVX_OK : 0u;
    w |= (a->fpu.fsw & 0x80) != 0 ? MODE_FPU_ERROR : 0u;
    w |= is_flat(cpu) ? MODE_FLAT : 0u;
    w |= (a->cr4 & CR4_CET) != 0 ? MODE_CET : 0u;
    if (UNLIKELY((mpx_config(cpu) & BNDCFG_EN) != 0)) {
        w |= MODE_MPX | ((mpx_config(cpu) & BNDCFG_PRESERVE) == 0 ? MODE_BND_INIT : 0u);
    }
    w |= a->guest != GUEST_NONE ? MODE_NONROOT : 0u;
    w |= (d->sp_mask == 0xffff ? 0u : d->sp_mask == 0xffffffffu ? 1u : 2u) << MODE_SP_SHIFT;
    return w;
}

static bool steps_slowly(const struct cpu *cpu)
{
    return (cpu->arch.rflags & (RFLAGS_TF | RFLAGS_RF)) != 0 || debug_code_armed(cpu) || cet_is_waiting(cpu) ||
           debug_lbr_on(cpu) || debug_counts_branches(cpu) || (in_guest(cpu) && virt_steps(cpu));
}

void cpu_update_mode(struct cpu *cpu)
{
    struct cpu_arch *a = &cpu->arch;
    struct cpu_derived *d = &cpu->d;
    const struct segment *cs = &a->seg[SEG_CS];
    d->prot = (a->cr0 & CR0_PE) != 0;
    d->v86 = d->prot && (a->rflags & RFLAGS_VM) != 0;
    d->long_mode = (a->efer & EFER_LMA) != 0;
    bool was_code64 = d->code64;
    d->code64 = d->long_mode && (cs->attr & SEG_L) != 0;
    d->code_size = d->code64 ? 8 : d->prot && !d->v86 && (cs->attr & SEG_DB) != 0 ? 4 : 2;
    if (!d->prot) {
        d->code_size = (cs->attr & SEG_DB) != 0 ? 4 : 2; /* "unreal" code segments keep D */
    }
    d->cpl = !d->prot ? 0 : d->v86 ? 3 : (u8)((a->seg[SEG_SS].attr & SEG_DPL) >> SEG_DPL_SHIFT);
    d->lin_mask = d->code64 ? ~(u64)0 : 0xffffffffu;
    d->sp_mask = d->code64 ? ~(u64)0 : (a->seg[SEG_SS].attr & SEG_DB) != 0 ? 0xffffffffu : 0xffffu;
    if (was_code64 && d->code64) { /* the others have no base and no limit, as before */
        d->seg_base[SEG_FS] = a->seg[SEG_FS].base;
        d->seg_base[SEG_GS] = a->seg[SEG_GS].base;
    } else {
        for (unsigned s = 0; s < SEG_COUNT; s++) {
            segment_limits(cpu, s);
        }
    }
    d->data_breaks = debug_data_armed(cpu);
    d->slow_step = steps_slowly(cpu);
    d->mode_word = mode_word(cpu);
    if (UNLIKELY(a->store.pmu_filtered[0] != 0)) {
        pmu_cpl_changed(cpu);
    }
    tlb_select_context(cpu);
    cpu_leave_block(cpu);
    if (UNLIKELY(cpu->set->observer.mode != NULL)) {
        cpu->set->observer.mode(cpu->set->observer.self, cpu);
    }
}

/* System calls, events, their returns: mostly from 64-bit code to 64-bit code. */
void cpu_update_level(struct cpu *cpu)
{
    const struct cpu_arch *a = &cpu->arch;
    struct cpu_derived *d = &cpu->d;
    bool other = !d->code64 || (a->seg[SEG_CS].attr & SEG_L) == 0 || (a->rflags & RFLAGS_VM) != 0 ||
                 (a->xcr0 & XCR0_MPX) != 0 || a->store.pmu_filtered[0] != 0 || in_guest(cpu);
    if (UNLIKELY(other)) {
        cpu_update_mode(cpu);
        return;
    }
    d->cpl = (u8)((a->seg[SEG_SS].attr & SEG_DPL) >> SEG_DPL_SHIFT);
    d->seg_base[SEG_FS] = a->seg[SEG_FS].base;
    d->seg_base[SEG_GS] = a->seg[SEG_GS].base;
    d->slow_step = steps_slowly(cpu);
    d->mode_word = (d->mode_word & ~(u32)MODE_CPL) | (u32)d->cpl << 2;
    tlb_select_level(cpu);
    cpu_leave_block(cpu);
}
