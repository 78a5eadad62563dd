/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A processor: `arch` is what the manuals define (saved, hashed, printable), `derived` is what can
 * be rebuilt from it at any instruction boundary (never saved). Dropping `derived` must change
 * nothing that a guest sees. */
#ifndef VITRINE_CPU_CPU_H
#define VITRINE_CPU_CPU_H

#include "abi/x86/registers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/types.h"
#include "cpu/event.h"
#include "cpu/insn.h"
#include "cpu/svm/state.h"
#include "cpu/vmx/state.h"
#include "cpu/msr_store.h"
#include "mmu/phys.h"

#define RAX X86_RAX
#define RCX X86_RCX
#define RDX X86_RDX
#define RBX X86_RBX
#define RSP X86_RSP
#define RBP X86_RBP
#define RSI X86_RSI
#define RDI X86_RDI

#define SEG_ES X86_ES
#define SEG_CS X86_CS
#define SEG_SS X86_SS
#define SEG_DS X86_DS
#define SEG_FS X86_FS
#define SEG_GS X86_GS
#define SEG_COUNT 6

struct segment {
    u64 base;
    u32 limit; /* in bytes, scaled by G already */
    u32 attr;  /* abi/x86/registers.h SEG_*: access rights as in the VMCS */
    u16 sel;
};

struct table_reg {
    u64 base;
    u16 limit;
};

/* An x87 register: 80 bits. MMX registers alias `mant`. */
struct f80 {
    u64 mant;
    u16 se; /* sign and exponent */
};

struct fpu_state {
    struct f80 r[8]; /* physical registers R0..R7; ST(i) is r[(top + i) & 7] */
    u16 fcw;
    u16 fsw; /* TOP in bits 11-13 */
    u8 tags; /* abridged: bit per physical register, 1 = not empty; full tags are derived from contents */
    u16 fop;
    u16 fcs, fds;
    u64 fip, fdp;
};

/* Whose rules hold: the processor's own, or a hypervisor's. */
enum guest_mode { GUEST_NONE, GUEST_VMX, GUEST_SVM };

enum activity {
    ACTIVITY_RUNNING,
    ACTIVITY_HLT,
    ACTIVITY_SHUTDOWN,
    ACTIVITY_WAIT_SIPI,
    ACTIVITY_MWAIT,
};

#define MTRR_VAR_COUNT 8 /* SeaBIOS has room for no more when it copies them to the other processors */
#define MC_BANK_COUNT 10
#define PMC_GP_COUNT 8
#define PMC_FIXED_COUNT 4

struct cpu_arch {
    u64 gpr[16];
    u64 rip;
    u64 rflags; /* with stale arithmetic flags: read by cpu_rflags(), written by cpu_set_rflags() */
    /* The last result and carries, from which the arithmetic flags follow: cpu/flags.h. Visited in
     * canonical form (after flags_sync). */
    u64 cc_res, cc_aux;

    struct segment seg[SEG_COUNT];
    struct segment ldtr, tr;
    struct table_reg gdtr, idtr;

    u64 cr0, cr2, cr3, cr4;
    u64 dr[4], dr6, dr7;
    u64 efer;
    u64 xcr0, xss;
    u32 pkru;
    u64 pdpte[4]; /* PAE page-directory pointers, loaded with CR3 */

    struct fpu_state fpu;
    u8 vec[16][32] __attribute__((aligned(32))); /* YMM0-15, XMM in the low half */
    u32 mxcsr;

    /* MSRs that other parts read by name; msr.def lists all with their addresses. */
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 tsc_aux, tsc_offset, tsc_adjust, tsc_deadline;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 pat, apic_base, misc_enable, feature_control, debugctl, spec_ctrl, pkrs;
    u64 u_cet, s_cet, ssp, pl_ssp[4], int_ssp_table; /* CET */
    u64 mtrr_def, mtrr_fixed[11], mtrr_base[MTRR_VAR_COUNT], mtrr_mask[MTRR_VAR_COUNT];
    u64 mcg_status, mcg_ctl, mc_ctl[MC_BANK_COUNT], mc_status[MC_BANK_COUNT], mc_addr[MC_BANK_COUNT],
        mc_misc[MC_BANK_COUNT], mc_ctl2[MC_BANK_COUNT];
    u64 pmc_gp[PMC_GP_COUNT], pmc_evtsel[PMC_GP_COUNT], pmc_fixed[PMC_FIXED_COUNT], pmc_fixed_ctrl,
        pmc_global_ctrl, pmc_global_status;
    u64 smbase;
    u64 vm_hsave_pa, vm_cr; /* SVM */
    u64 last_branch_from, last_branch_to, last_int_from, last_int_to;
    u64 syscfg, hwcr;
    struct {
        u64 bnd[4][2]; /* lower bound; upper bound in one's complement */
        u64 cfgu, cfgs, status;
    } mpx;
    u64 cpuid_flips[4]; /* AMD: what C001_1002 to C001_1005 change of CPUID: cpuid_override.c */
    struct msr_store store; /* MSRs that only their handlers look at */

    enum guest_mode guest;
    struct vmx_arch vmx;
    struct svm_arch svm;

    enum activity activity;
    bool in_smm, smm_vmx_on; /* smm_: what RSM returns to */
    enum guest_mode smm_guest;
    bool nmi_blocked, nmi_pending, smi_pending, init_pending, sipi_pending;
    u8 sipi_vector;
    bool int_shadow_sti;   /* interrupts blocked for one instruction */
    bool int_shadow_movss; /* also debug traps */
    bool rep_partial;      /* the instruction at RIP has done some of its repetitions */
    u64 pending_db;        /* DR6 bits of debug traps waiting for the next boundary */
    bool monitor_armed, monitor_hit;
    bool mwait_irq_wakes; /* MWAIT with ECX[0]: an interrupt wakes even when IF = 0 */
    u64 monitor_spa;
    u64 rng_state[2]; /* RDRAND, RDSEED: from the machine's seed */
    u32 pauses;       /* PAUSEs since the last one that gave up a turn */
    u64 ist_count;    /* instructions this processor retired: the PMU's, not position */
};

struct tlb_entry;
struct block;

/* What translated code looks at (sim/jit); derived. */
struct cpu_jit {
    u64 flags;                       /* arithmetic flags in the form they have between translated blocks */
    const struct tlb_entry *rd; /* the current context's tables: tlb_ctx.rd */
    u64 tmp, room, rest;
    const u8 *code; /* found by jit_find() */
    u32 exit;  /* the exit that was taken */
    u32 vec_on; /* the host's vector registers are the guest's: newer than arch.vec, but where C code runs. enum vec_on */
    u32 fp_on; /* so is the host's MXCSR: its flags are newer than arch.mxcsr */
    u32 x87_on; /* the host's x87 is the guest's: newer than arch.fpu but for FCW and the pointers */
    i64 mark;  /* `left` up to which ist_count has been brought */
};

/* What the interpreter and memory accesses look at; recomputed by cpu_update_mode(). */
struct cpu_derived {
    /* Effective segmentation: base 0 and limit ~0 in 64-bit mode except FS and GS bases. */
    u64 seg_base[SEG_COUNT];
    u64 seg_rend[SEG_COUNT]; /* fast reads stay below this offset; 0: nothing allowed, the slow path decides */
    u64 seg_wend[SEG_COUNT];
    u64 lin_mask; /* ~0 in 64-bit mode, else 0xffffffff */
    u64 sp_mask;  /* stack pointer width: 0xffff, 0xffffffff or ~0 */
    u8 code_size; /* 2, 4 or 8: default operand size class of CS (8: 64-bit mode) */
    u8 cpl;
    bool prot;    /* CR0.PE */
    bool v86;     /* EFLAGS.VM */
    bool long_mode; /* EFER.LMA */
    bool code64;    /* LMA and CS.L */
    u32 mode_word;  /* block key: cpu/decode/mode.h */
    struct tlb_ctx *ctx;     /* current data-access context */
    struct tlb_ctx *sys_ctx; /* supervisor accesses made on behalf of CPL 3 */
    u8 *vmcs_host;   /* bytes of the current VMCS's page: vmx/vmcs.c */
    u64 vmcs_region, vmcs_frame;
    const struct insn *block_end; /* the run loop stops before it; set to NULL to leave after this instruction */
    i64 left;         /* counts left in this slice */
    u64 slice_budget; /* counts at its start */
    /* For translated code: the TSC without the processor's offset when none are left, and its ticks for each count; 0: not a
     * whole number. */
    u64 tsc_at_end, tsc_per_count;
    const struct insn *block_start; /* running block's first op, NULL between blocks */
    u32 block_count;  /* its ops that may run now */
    u64 block_rip;
    bool slow_step;   /* TF, code breakpoints or debugger: one instruction at a time with checks */
    bool data_breaks; /* DR7 arms a data breakpoint */
    /* Notes of the running instruction for debug_after_insn(); debug_check_fetch() clears them. */
    bool rf_loaded;    /* it loaded RF (IRET, task switch) */
    bool iret_unblocked; /* the IRET at iret_rip ended the blocking of NMIs and has not completed */
    u64 iret_rip;
    bool switched;     /* it entered or left a guest: nothing of the old context applies */
    bool step_decided; /* it decided about its single-step trap itself (SYSCALL, SYSRET, task switch) */
    bool pending;     /* something for cpu_check_pending(); may be spuriously true, never wrongly false */
    bool masked;      /* cpu_check_pending() left something that a lifted mask may let through; never wrongly false */
    bool at_stop;     /* CPU_EXIT means a code breakpoint, no event */
    bool stop;        /* the machine wants the slice to end at the next boundary */
    struct cpu_jit jit;
    bool yield;       /* the processor gives up the rest of its turn (PAUSE); set false by cpu_run */
};

/* What a processor needs of the board; filled by the machine. devices are not visible here. */
struct cpu_ports {
    u32 (*io_read)(void *self, u16 port, unsigned size);
    void (*io_write)(void *self, u16 port, u32 value, unsigned size);
    int (*int_ack)(void *self);                /* ExtINT: vector from the 8259 pair */
    void (*eoi_broadcast)(void *self, u8 vector); /* level-triggered EOI to the I/O APICs */
    void (*smi_ack)(void *self, bool in_smm);     /* processor entered or left SMM */
    void (*cpu_reset)(void *self, unsigned cpu);  /* shutdown (triple fault) of this processor */
    void (*ferr)(void *self); /* FERR#: x87 exception with CR0.NE = 0 (IRQ 13); may be NULL */
    void *self;
};

struct cpu_model; /* cpu/model.h: features, CPUID leaves, capability limits */
struct apic;      /* cpu/apic.h */
struct pmu;       /* cpu/pmu.h */
struct code_cache; /* cpu/decode/block.h: shared by all processors of a machine */
struct cpu_set;
struct use_pool;  /* cpu/tlb.h: which walks used which table pages */
struct jit;       /* sim/jit: the translator */

/* Another way to run blocks than the interpreter's. */
struct cpu_engine {
    /* Run until something asks for attention (CPU_OK) or an event waits in cpu->event. */
    cpu_rc (*run_blocks)(struct cpu *cpu, struct jit *jit);
    struct jit *jit;
};

struct cpu {
    struct cpu_arch arch;
    struct cpu_derived d;
    struct event event; /* meaningful only after CPU_EXIT */
    struct vm_exit exit; /* meaningful while event.kind is EVENT_VMEXIT */
    struct vmx_reason vmx_reason; /* derived */
    struct svm_reason svm_reason; /* derived */
    u64 vmcs_fields[16]; /* bitmap of the VMCS fields that the model has, by vmcs_slot(); made once */
    struct timer vmx_timer;       /* the VMX-preemption timer; registered when VMX exists */
    unsigned index;     /* 0..n-1, also the initial APIC ID unless the model says otherwise */
    struct cpu_set *set; /* the machine's processors: IPIs, shared code cache */
    const struct cpu_model *model;
    struct apic *apic;
    struct pmu *pmu; /* cpu/pmu.h: the overflow timer; NULL: overflows are seen when a counter is read */
    struct phys *phys;
    struct clock *clock;
    struct log *log;
    struct trace *trace; /* may be NULL */
    struct code_cache *code;
    struct cpu_ports ports;
    struct tlb *tlb; /* derived: contexts, see cpu/mem.h */
    struct cpu_engine engine; /* run_blocks NULL: the interpreter */
};

/* Somebody who looks on and changes nothing; all NULL: nobody. */
struct cpu_observer {
    /* The mode changed: perhaps a guest was entered or left, or runs on other second-level tables. */
    void (*mode)(void *self, const struct cpu *cpu);
    /* An exit for cpu->exit.reason is about to happen; the registers are the guest's. */
    void (*leaving)(void *self, const struct cpu *cpu);
    /* Bytes of a PAGE_TRACKED frame are about to change. */
    void (*before_write)(void *self, u64 frame, u64 offset, u64 size);
    void *self;
};

/* What a processor can be stopped at beside instructions and accesses; told as it happens. */
enum cpu_moment {
    CPU_MOMENT_EXCEPTION,     /* detail: vector */
    CPU_MOMENT_INTERRUPT,     /* detail: vector */
    CPU_MOMENT_VM_EXIT,       /* detail: reason */
    CPU_MOMENT_VM_ENTRY,      /* detail: the VMCS or VMCB */
    CPU_MOMENT_ENTRY_FAILURE, /* detail: reason */
};

/* Somebody who wants the machine to stop (machine/stops.h); all NULL: nobody. None changes the guest. */
struct cpu_stops {
    /* Is there a code breakpoint at this linear address, or in this frame-physical place? Blocks end before it,
     * and those that begin there are found by block_find() each time. */
    bool (*is_code)(void *self, u64 lin, u64 at);
    /* The instruction at `lin` is about to run. True: the slice ends before it. */
    bool (*before)(void *self, struct cpu *cpu, u64 lin);
    void (*moment)(void *self, struct cpu *cpu, enum cpu_moment moment, u64 detail);
    void *self;
};

#define CPU_MAX 16
struct cpu_set {
    struct cpu *cpu[CPU_MAX];
    struct use_pool *uses;
    struct cpu_observer observer;
    struct cpu_stops stops;
    unsigned count;
};

static inline void cpu_tell_moment(struct cpu *cpu, enum cpu_moment moment, u64 detail)
{
    if (UNLIKELY(cpu->set->stops.moment != NULL)) {
        cpu->set->stops.moment(cpu->set->stops.self, cpu, moment, detail);
    }
}

/* Recompute derived.* after anything in CR0, CR3, CR4, EFER, RFLAGS.VM/AC/TF, segments, DR7, PKRU, CPL,
 * XCR0 or CET state changed. Cheap enough for every such change; ends the running block. */
void cpu_update_mode(struct cpu *cpu);
/* The same where nothing else has changed than CS, SS, the bases of FS and GS, CPL and RFLAGS. */
void cpu_update_level(struct cpu *cpu);
/* CPL lives in SS.DPL (and is 3 in v86, 0 in real mode). */
static inline unsigned cpu_cpl(const struct cpu *cpu)
{
    return cpu->d.cpl;
}

/* Leave the running block after the current instruction. */
static inline void cpu_leave_block(struct cpu *cpu)
{
    cpu->d.block_end = NULL;
}

/* Something may be pending: look at the next boundary, which comes after this instruction. */
static inline void cpu_kick(struct cpu *cpu)
{
    cpu->d.pending = true;
    cpu->d.block_end = NULL;
}

/* IF has been set, or NMIs are open again. */
static inline void cpu_lift_mask(struct cpu *cpu)
{
    cpu->d.pending = cpu->d.pending || cpu->d.masked;
    cpu->d.block_end = NULL;
}

/* Charge counts beyond the one an instruction costs (REP chunks: one per 64 bytes). */
static inline void cpu_charge(struct cpu *cpu, u64 counts)
{
    cpu->d.left -= (i64)counts;
}

/* The instruction of the running block that RIP is at; NULL between blocks, and when it has moved RIP already. */
const struct insn *cpu_running_insn(const struct cpu *cpu);

/* Counts executed in the running slice, up to but not including the current instruction. */
u64 cpu_slice_counts(void *cpu);

/* Run until about `budget` counts are used, the processor waits, or d.stop. Returns counts used; may
 * exceed the budget by one instruction's charge. Deterministic for equal state and budget. */
u64 cpu_run(struct cpu *cpu, u64 budget);

/* TSC as the guest reads it at this instruction, offsets included. */
u64 cpu_rdtsc(struct cpu *cpu);

enum cpu_reset_kind { CPU_RESET_POWER, CPU_RESET_INIT };
/* [SDM3 "Processor State After Reset"] (cpu/reset.c) */
void cpu_reset(struct cpu *cpu, enum cpu_reset_kind kind);
/* Visits arch, apic. */
void cpu_state(void *cpu, struct state_io *io);


#endif
