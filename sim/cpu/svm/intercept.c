/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instruction intercepts. [APM2 "Instruction Intercepts"], whose table says what is checked before an
 * intercept: here, exceptions that come first make the hook pass, and the handler raises them. */
#include "cpu/apic.h"
#include "cpu/control.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/svm/svm_priv.h"

/* ---- By the row's column ---- */

static u64 code_of_table_insn(unsigned id)
{
    switch (id) {
    case INSN_SIDT: return SVM_EXIT_IDTR_READ;
    case INSN_SGDT: return SVM_EXIT_GDTR_READ;
    case INSN_SLDT: return SVM_EXIT_LDTR_READ;
    case INSN_STR: return SVM_EXIT_TR_READ;
    case INSN_LIDT: return SVM_EXIT_IDTR_WRITE;
    case INSN_LGDT: return SVM_EXIT_GDTR_WRITE;
    case INSN_LLDT: return SVM_EXIT_LDTR_WRITE;
    default: return SVM_EXIT_TR_WRITE;
    }
}

#define NO_CODE SVM_EXITCODE_INVALID

static u64 code_of(const struct insn *in)
{
    switch ((enum intercept)insn_rows[insn_id(in)].icpt) {
    case ICPT_CPUID: return SVM_EXIT_CPUID;
    case ICPT_HLT: return SVM_EXIT_HLT;
    case ICPT_INVD: return SVM_EXIT_INVD;
    case ICPT_INVLPG: return SVM_EXIT_INVLPG;
    case ICPT_RDPMC: return SVM_EXIT_RDPMC;
    case ICPT_RDTSC: return SVM_EXIT_RDTSC;
    case ICPT_RDTSCP: return insn_id(in) == INSN_RDTSCP ? SVM_EXIT_RDTSCP : NO_CODE;
    case ICPT_RSM: return SVM_EXIT_RSM;
    case ICPT_MWAIT: return SVM_EXIT_MWAIT;
    case ICPT_MONITOR: return SVM_EXIT_MONITOR;
    case ICPT_PAUSE: return SVM_EXIT_PAUSE;
    case ICPT_GDTR_IDTR:
    case ICPT_LDTR_TR: return code_of_table_insn(insn_id(in));
    case ICPT_WBINVD: return SVM_EXIT_WBINVD;
    case ICPT_XSETBV: return SVM_EXIT_XSETBV;
    case ICPT_INVPCID: return SVM_EXIT_INVPCID;
    case ICPT_IRET: return SVM_EXIT_IRET;
    case ICPT_PUSHF: return SVM_EXIT_PUSHF;
    case ICPT_POPF: return SVM_EXIT_POPF;
    case ICPT_SOFT_INT: return insn_id(in) == INSN_INT ? SVM_EXIT_SWINT : NO_CODE;
    case ICPT_INT1: return SVM_EXIT_ICEBP;
    case ICPT_RDPRU: return SVM_EXIT_RDPRU;
    case ICPT_CR: return insn_id(in) == INSN_SMSW ? SVM_EXIT_CR0_READ : NO_CODE;
    case ICPT_SVM: return insn_id(in) == INSN_VMMCALL ? SVM_EXIT_VMMCALL : NO_CODE;
    case ICPT_NONE:
    case ICPT_DR:
    case ICPT_IO:
    case ICPT_MSR:
    case ICPT_RDRAND:
    case ICPT_RDSEED:
    case ICPT_XSAVES:
    case ICPT_GETSEC:
    case ICPT_VMX:
    case ICPT_VMCALL:
    case ICPT_TASK:
    case ICPT_UMWAIT:
    case ICPT_ENCLS:
    case ICPT_PCONFIG:
    case ICPT_COUNT: break;
    }
    return NO_CODE;
}

/* Does the instruction raise an exception that comes before its intercept? */
static bool faults_first(struct cpu *cpu, u64 code)
{
    u64 cr4 = cpu->arch.cr4;
    bool user = cpu_cpl(cpu) != 0;
    switch (code) {
    case SVM_EXIT_RDTSC:
    case SVM_EXIT_RDTSCP:
    case SVM_EXIT_RDPRU: return user && (cr4 & CR4_TSD) != 0;
    case SVM_EXIT_RDPMC: return user && (cr4 & CR4_PCE) == 0;
    case SVM_EXIT_MONITOR: return user || (u32)cpu->arch.gpr[RCX] != 0;
    case SVM_EXIT_MWAIT: return user || ((u32)cpu->arch.gpr[RCX] & ~1u) != 0;
    case SVM_EXIT_XSETBV: return user || (cr4 & CR4_OSXSAVE) == 0;
    case SVM_EXIT_IDTR_READ:
    case SVM_EXIT_GDTR_READ:
    case SVM_EXIT_LDTR_READ:
    case SVM_EXIT_TR_READ:
    case SVM_EXIT_CR0_READ: return user && (cr4 & CR4_UMIP) != 0;
    default: return false;
    }
}

/* [APM2 "Pause Intercept Filtering"] */
static bool pause_filtered(struct cpu *cpu)
{
    struct svm_arch *s = &cpu->arch.svm;
    if (s->ctl.pause_filter_count == 0) {
        return false;
    }
    u64 now = clock_tsc(cpu->clock);
    if (s->ctl.pause_filter_threshold != 0 && now - s->pause_tsc > s->ctl.pause_filter_threshold) {
        s->pause_count = (u32)s->ctl.pause_filter_count;
    }
    s->pause_tsc = now;
    if (s->pause_count == 0) {
        return false;
    }
    s->pause_count--;
    return true;
}

static u64 info_of(struct cpu *cpu, const struct insn *in, u64 code)
{
    if (!cpu_has(cpu, CPU_FEATURE_DECODEASSISTS)) {
        return 0;
    }
    if (code == SVM_EXIT_SWINT) {
        return in->imm & 0xff;
    }
    if (code == SVM_EXIT_INVLPG) {
        return (cpu->d.seg_base[insn_seg(in)] + insn_offset(cpu, in)) & cpu->d.lin_mask;
    }
    return 0;
}

cpu_rc svm_insn(struct cpu *cpu, const struct insn *in)
{
    u64 code = code_of(in);
    if (code == SVM_EXIT_MWAIT && !svm_intercepts(cpu, code) && cpu->arch.monitor_armed) {
        code = SVM_EXIT_MWAIT_CONDITIONAL;
    }
    if (code == NO_CODE || !svm_intercepts(cpu, code) || faults_first(cpu, code)) {
        return CPU_OK;
    }
    if (code == SVM_EXIT_PAUSE && pause_filtered(cpu)) {
        return CPU_OK;
    }
    return svm_raise_exit(cpu, code, info_of(cpu, in, code), 0, in->len, "instruction intercept");
}

/* ---- Control and debug registers ---- */

static MUST_USE cpu_rc write_cr(struct cpu *cpu, unsigned cr, u64 value)
{
    switch (cr) {
    case 0: return cr0_write(cpu, value);
    case 3: return cr3_write(cpu, value);
    case 4: return cr4_write(cpu, value);
    default: apic_set_cr8(cpu->apic, value); return CPU_OK;
    }
}

/* After the write: the instruction is done, RIP behind it. */
static cpu_rc write_trap(struct cpu *cpu, const struct insn *in, unsigned cr, u64 value, bool *done)
{
    if (!*done) {
        TRY(write_cr(cpu, cr, value));
    }
    *done = true;
    cpu->arch.rip = svm_next_rip(cpu, in->len);
    return svm_raise_exit(cpu, SVM_EXIT_CR0_WRITE_TRAP + cr, value, 0, 0, "control register write trap");
}

static bool selective_hits(struct cpu *cpu, enum cr_access kind, u64 value)
{
    if (!svm_intercepts(cpu, SVM_EXIT_CR0_SEL_WRITE)) {
        return false;
    }
    /* LMSW counts whatever it changes, CLTS never. */
    return kind == CR_LMSW || (kind == CR_MOV_WRITE && ((value ^ cpu->arch.cr0) & ~(u64)(CR0_TS | CR0_MP)) != 0);
}

static u64 cr_info(struct cpu *cpu, const struct insn *in, enum cr_access kind)
{
    if (!cpu_has(cpu, CPU_FEATURE_DECODEASSISTS)) {
        return 0;
    }
    if (kind == CR_MOV_WRITE) {
        return SVM_CR_MOV | (in->r[1] & 15u);
    }
    return kind == CR_MOV_READ ? SVM_CR_MOV | (in->r[0] & 15u) : 0;
}

cpu_rc svm_cr(struct cpu *cpu, const struct insn *in, enum cr_access kind, unsigned cr, u64 *value, bool *done)
{
    struct svm_arch *s = &cpu->arch.svm;
    u64 info = cr_info(cpu, in, kind);
    bool read = kind == CR_MOV_READ || kind == CR_SMSW;
    if (read) {
        if (svm_intercepts(cpu, SVM_EXIT_CR0_READ + cr)) {
            return svm_raise_exit(cpu, SVM_EXIT_CR0_READ + cr, info, 0, in->len, "read of a control register");
        }
        if (cr == 8 && (s->ctl.int_ctl & V_INTR_MASKING) != 0) {
            *value = s->ctl.int_ctl & 0xf;
        }
        if (cr == 8 && svm_avic_on(cpu)) {
            *value = svm_avic_get_tpr(cpu) >> 4;
        }
        return CPU_OK;
    }
    if (svm_intercepts(cpu, SVM_EXIT_CR0_WRITE + cr)) {
        return svm_raise_exit(cpu, SVM_EXIT_CR0_WRITE + cr, info, 0, in->len, "write of a control register");
    }
    if (cr == 0 && selective_hits(cpu, kind, *value)) {
        return svm_raise_exit(cpu, SVM_EXIT_CR0_SEL_WRITE, info, 0, in->len,
                              "write of CR0 bits other than TS and MP");
    }
    if (cr == 8) {
        if ((*value & ~(u64)0xf) != 0) {
            return CPU_OK; /* #GP */
        }
        s->ctl.int_ctl = (s->ctl.int_ctl & ~(u64)V_TPR) | *value;
        *done = (s->ctl.int_ctl & V_INTR_MASKING) != 0 || svm_avic_on(cpu);
        if (svm_avic_on(cpu)) {
            svm_avic_set_tpr(cpu, *value << 4);
        }
        cpu_kick(cpu);
    }
    if ((cr == 0 || cr == 3 || cr == 4 || cr == 8) && svm_intercepts(cpu, SVM_EXIT_CR0_WRITE_TRAP + cr)) {
        return write_trap(cpu, in, cr, *value, done);
    }
    return CPU_OK;
}

cpu_rc svm_dr(struct cpu *cpu, const struct insn *in, unsigned dr, bool write)
{
    u64 code = (write ? SVM_EXIT_DR0_WRITE : SVM_EXIT_DR0_READ) + (u64)dr;
    if (!svm_intercepts(cpu, code)) {
        return CPU_OK;
    }
    u64 gpr = in->r[write ? 1 : 0] & 15u;
    return svm_raise_exit(cpu, code, cpu_has(cpu, CPU_FEATURE_DECODEASSISTS) ? gpr : 0, 0, in->len,
                          "access to a debug register");
}

/* ---- MSRs ---- */

bool svm_pat_is_valid(u64 pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u64 type = (pat >> i) & 0xff;
        if (type > 7 || type == 2 || type == 3) {
            return false;
        }
    }
    return true;
}

/* [APM2 "MSR Intercepts"]: two bits a register in three ranges; all others are intercepted. */
static bool msr_intercepted(struct cpu *cpu, u32 index, bool write)
{
    static const u32 first[] = {0, 0xc0000000, 0xc0010000};
    for (unsigned i = 0; i < ARRAY_LEN(first); i++) {
        if (index - first[i] < 0x2000) {
            u64 bit = (index - first[i]) * 2 + (write ? 1 : 0);
            u64 at = (cpu->arch.svm.ctl.msrpm_base_pa & ~PAGE_MASK) + 0x800u * i + bit / 8;
            return ((phys_read_scalar(cpu->phys, SPA(at), 1) >> (bit & 7)) & 1) != 0;
        }
    }
    return true;
}

cpu_rc svm_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    struct svm_arch *s = &cpu->arch.svm;
    const struct insn *in = cpu_running_insn(cpu);
    unsigned len = in != NULL ? in->len : 2;
    if (svm_intercepts(cpu, SVM_EXIT_MSR) && msr_intercepted(cpu, index, write)) {
        return svm_raise_exit(cpu, SVM_EXIT_MSR, write, 0, len, "the MSR permission map");
    }
    TRY(svm_avic_msr(cpu, index, write, value, done));
    if (*done) {
        return CPU_OK;
    }
    if (index == MSR_IA32_PAT && svm_nested_paging(cpu)) {
        if (write && !svm_pat_is_valid(*value)) {
            return CPU_OK; /* #GP */
        }
        *done = true;
        if (write) {
            s->g_pat = *value;
        } else {
            *value = s->g_pat;
        }
        return CPU_OK;
    }
    if (index == MSR_IA32_EFER && write && svm_intercepts(cpu, SVM_EXIT_EFER_WRITE_TRAP)) {
        cpu_rc rc = msr_write(cpu, index, *value);
        if (rc != CPU_OK) {
            return rc;
        }
        cpu->arch.rip = svm_next_rip(cpu, len);
        return svm_raise_exit(cpu, SVM_EXIT_EFER_WRITE_TRAP, *value, 0, 0, "EFER write trap");
    }
    return CPU_OK;
}

/* ---- Ports ---- */

static bool io_intercepted(struct cpu *cpu, unsigned port, unsigned size)
{
    u64 base = cpu->arch.svm.ctl.iopm_base_pa & ~PAGE_MASK;
    for (unsigned p = port; p < port + size; p++) {
        if (((phys_read_scalar(cpu->phys, SPA(base + p / 8), 1) >> (p & 7)) & 1) != 0) {
            return true;
        }
    }
    return false;
}

cpu_rc svm_io(struct cpu *cpu, const struct io_access *io)
{
    if (!svm_intercepts(cpu, SVM_EXIT_IOIO) || !io_intercepted(cpu, io->port, io->size)) {
        return CPU_OK;
    }
    const struct insn *in = cpu_running_insn(cpu);
    unsigned len = in != NULL ? in->len : 1;
    u64 info = (u64)io->port << SVM_IO_PORT_SHIFT | (u64)io->size << SVM_IO_SIZE_SHIFT;
    unsigned asize = io->string ? io->asize : in != NULL ? insn_asize(in) : 4;
    info |= (u64)(asize / 2) << SVM_IO_ASIZE_SHIFT; /* 2, 4, 8 bytes: bits 7, 8, 9 */
    info |= io->in ? SVM_IO_IN : 0u;
    info |= io->string ? SVM_IO_STR : 0u;
    info |= io->rep ? SVM_IO_REP : 0u;
    if (io->string && cpu_has(cpu, CPU_FEATURE_DECODEASSISTS)) {
        info |= (u64)io->segment << SVM_IO_SEG_SHIFT;
    }
    return svm_raise_exit(cpu, SVM_EXIT_IOIO, info, svm_next_rip(cpu, len), len, "the I/O permission map");
}

/* ---- Task switches ---- */

cpu_rc svm_task_switch(struct cpu *cpu, u16 selector, enum task_source source, bool has_error, u32 error)
{
    if (!svm_intercepts(cpu, SVM_EXIT_TASK_SWITCH)) {
        return CPU_OK;
    }
    u64 info2 = error;
    info2 |= source == TASK_IRET ? SVM_TASK_IRET : 0u;
    info2 |= source == TASK_JMP ? SVM_TASK_JMP : 0u;
    info2 |= has_error ? SVM_TASK_ERROR : 0u;
    info2 |= (cpu->arch.rflags & RFLAGS_RF) != 0 ? SVM_TASK_RF : 0u;
    const struct insn *in = cpu_running_insn(cpu);
    return svm_raise_exit(cpu, SVM_EXIT_TASK_SWITCH, selector, info2, in != NULL ? in->len : 0,
                          "task switch intercept");
}
