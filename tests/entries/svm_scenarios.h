/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMRUNs aimed at one exit code each: changes to the good VMCB, the guest's code, and what else has to be prepared
 * before VMRUN or happens after it. Codes below C0h set their own intercept. */
#ifndef VITRINE_TESTS_ENTRIES_SVM_SCENARIOS_H
#define VITRINE_TESTS_ENTRIES_SVM_SCENARIOS_H

#include "machine.h"

#include "tests/unit/svm_broken.h"

enum { AT_GUEST = AT_HANDLER, AT_GUEST_HANDLER = 0x7000, AT_GUEST_IDT = 0xa000, AT_DATA = 0x60000, AT_SMM = 0x38000, AT_BACKING = 0x62000,
       AT_LOGICAL = 0x63000, AT_PHYSICAL = 0x64000, AT_BAR = 0x65000, AT_NOTHING = 0x3fe000 };

enum kind {
    NESTED,  /* 64-bit guest, nested paging */
    SHADOW,  /* 32-bit guest with PAE paging, no nested paging */
    REAL,    /* real mode, nested paging */
    AVIC,    /* as NESTED, with AVIC */
    KIND_COUNT
};

struct scenario {
    u64 exitcode;
    enum kind kind;
    const char *code;
    u8 len;
    void (*before)(void), (*after)(void);
    struct {
        unsigned offset, bytes;
        u64 set; /* bits */
    } more[3];
};

/* ---- Preparations ---- */

static void vmcb_pointer(void) { put(VMCB_rax, 8, AT_VMCB + 0x2000); }
static void data_pointer(void) { put(VMCB_rax, 8, AT_DATA); R.cpu.arch.gpr[RCX] = R.cpu.arch.gpr[RDX] = 0; }
static void mwait_hints(void) { put(VMCB_rax, 8, 0); R.cpu.arch.gpr[RCX] = 1; }
static void no_idt(void) { put(VMCB_idtr + 4, 4, 0); }
static void task_switched(void) { put(VMCB_cr0, 8, get(VMCB_cr0, 8) | CR0_TS); }
static void x87_pending(void) { R.cpu.arch.fpu.fcw = 0x37e; R.cpu.arch.fpu.fsw = 0x8081; }
static void x87_frozen(void) { x87_pending(); put(VMCB_cr0, 8, get(VMCB_cr0, 8) & ~(u64)CR0_NE); }
static void sse_unmasked(void) { R.cpu.arch.mxcsr = 0; memset(R.cpu.arch.vec, 0, sizeof R.cpu.arch.vec); }
static void no_inner_stack(void) { ram_put64(AT_TSS + 4, AT_STACK0); }
static void all_ports(void) { static const u8 ones = 0xff; ram_put(AT_IOPM + 0x80 / 8, &ones, 1); R.cpu.arch.gpr[RDX] = 0x80; R.cpu.arch.gpr[RDI] = AT_DATA; }
static void all_msrs(void) { static const u8 ones[32] = {0xff, 0xff, 0xff, 0xff, 0xff}; ram_put(AT_MSRPM, ones, 32); R.cpu.arch.gpr[RCX] = 0x10; }
static void nothing_nested(void) { put(VMCB_n_cr3, 8, AT_NOTHING); }
static void redirected(void) { R.cpu.arch.vm_cr |= VM_CR_R_INIT; }
static void shadow_stack(void)
{
    put(VMCB_cr0, 8, get(VMCB_cr0, 8) | CR0_WP);
    put(VMCB_cr4, 8, get(VMCB_cr4, 8) | CR4_CET);
    put(VMCB_s_cet, 8, 1);
    put(VMCB_ssp, 8, 4);
}
static void user_mode(void)
{
    put(VMCB_cpl, 1, 3);
    put(VMCB_cs, 2, UCODE64);
    put(VMCB_cs + 2, 2, 0xafb);
    put(VMCB_ss, 2, UDATA);
    put(VMCB_ss + 2, 2, 0xcf3);
}
static void user_mode_32(void)
{
    user_mode();
    put(VMCB_cs, 2, UCODE);
    put(VMCB_cs + 2, 2, 0xcfb);
    no_inner_stack();
}
static void strict_alignment(void)
{
    user_mode();
    put(VMCB_cr0, 8, get(VMCB_cr0, 8) | CR0_AM);
    put(VMCB_rflags, 8, get(VMCB_rflags, 8) | RFLAGS_AC);
}

/* ---- What happens to the running guest ---- */

static void interrupt(void) { apic_bus_msi(&R.set, 0xfee00000u, 0x61); }
static void nmi(void) { R.cpu.arch.nmi_pending = true; cpu_kick(CPU); }
static void smi(void) { R.cpu.arch.smi_pending = true; cpu_kick(CPU); }
static void init(void) { R.cpu.arch.init_pending = true; cpu_kick(CPU); }

#define ROW(code, kind, bytes, before, after, ...) \
    {SVM_EXIT_##code, kind, bytes, sizeof bytes - 1, before, after, {__VA_ARGS__}}
#define INSN(code, bytes) ROW(code, NESTED, bytes, data_pointer, NULL, {0, 0, 0})
#define SYSTEM(code, bytes) ROW(code, NESTED, bytes, vmcb_pointer, NULL, {0, 0, 0})
#define CR4_BITS(bits) {VMCB_cr4, 8, bits}

static const struct scenario scenarios[] = {
    INSN(CR0_READ, "\x0f\x20\xc0"),
    INSN(CR2_READ, "\x0f\x20\xd0"),
    INSN(CR3_READ, "\x0f\x20\xd8"),
    INSN(CR4_READ, "\x0f\x20\xe0"),
    INSN(CR8_READ, "\x44\x0f\x20\xc0"),
    INSN(CR0_READ, "\x0f\x01\xe0"),
    INSN(CR0_WRITE, "\x0f\x22\xc0"),
    INSN(CR2_WRITE, "\x0f\x22\xd0"),
    INSN(CR3_WRITE, "\x0f\x22\xd8"),
    INSN(CR4_WRITE, "\x0f\x22\xe0"),
    INSN(CR8_WRITE, "\x44\x0f\x22\xc0"),
    INSN(CR0_WRITE, "\x0f\x06"),
    INSN(CR0_WRITE, "\x0f\x01\xf0"),
    INSN(DR0_READ, "\x0f\x21\xc0"),
    INSN(DR1_READ, "\x0f\x21\xc8"),
    INSN(DR2_READ, "\x0f\x21\xd0"),
    INSN(DR3_READ, "\x0f\x21\xd8"),
    INSN(DR4_READ, "\x0f\x21\xe0"),
    INSN(DR5_READ, "\x0f\x21\xe8"),
    INSN(DR6_READ, "\x0f\x21\xf0"),
    INSN(DR7_READ, "\x0f\x21\xf8"),
    INSN(DR0_WRITE, "\x0f\x23\xc0"),
    INSN(DR1_WRITE, "\x0f\x23\xc8"),
    INSN(DR2_WRITE, "\x0f\x23\xd0"),
    INSN(DR3_WRITE, "\x0f\x23\xd8"),
    INSN(DR4_WRITE, "\x0f\x23\xe0"),
    INSN(DR5_WRITE, "\x0f\x23\xe8"),
    INSN(DR6_WRITE, "\x0f\x23\xf0"),
    INSN(DR7_WRITE, "\x0f\x23\xf8"),
    /* Exceptions */
    INSN(EXCP0, "\x31\xc9\xf7\xf1"),
    ROW(EXCP1, NESTED, "\x90\x90", NULL, NULL, {VMCB_rflags, 8, RFLAGS_TF}),
    INSN(EXCP3, "\xcc"),
    ROW(EXCP4, SHADOW, "\xb0\x7f\x04\x01\xce", NULL, NULL, {0, 0, 0}),
    ROW(EXCP5, SHADOW, "\xb8\x05\x00\x00\x00\x62\x05\x00\x00\x06\x00", NULL, NULL, {0, 0, 0}),
    INSN(EXCP6, "\x0f\x0b"),
    ROW(EXCP7, NESTED, "\xd9\xd0", task_switched, NULL, {0, 0, 0}),
    ROW(EXCP8, NESTED, "\x0f\x0b", no_idt, NULL, {0, 0, 0}),
    ROW(EXCP10, SHADOW, "\xcd\x41", user_mode_32, NULL, {0, 0, 0}),
    INSN(EXCP11, "\xb8\x48\x00\x00\x00\x8e\xd8"),
    INSN(EXCP12, "\xb8\x48\x00\x00\x00\x8e\xd0"),
    INSN(EXCP13, "\xb8\xf8\xff\x00\x00\x8e\xd8"),
    INSN(EXCP14, "\xa1\x00\x00\x00\x40\x00\x00\x00\x00"),
    ROW(EXCP16, NESTED, "\x9b", x87_pending, NULL, {0, 0, 0}),
    ROW(EXCP17, NESTED, "\xa1\x01\x00\x06\x00\x00\x00\x00\x00", strict_alignment, NULL, {0, 0, 0}),
    ROW(EXCP19, NESTED, "\x0f\x5e\xc0", sse_unmasked, NULL, CR4_BITS(CR4_OSFXSR | CR4_OSXMMEXCPT)),
    ROW(EXCP21, NESTED, "\x6a\x28\x68\x00\x90\x00\x00\x48\xcb", shadow_stack, NULL, {0, 0, 0}),
    ROW(EXCP30, NESTED, "\x90\x90", redirected, init, {0, 0, 0}),
    /* Events */
    ROW(INTR, NESTED, "\x90\x90", NULL, interrupt, {0, 0, 0}),
    ROW(NMI, NESTED, "\x90\x90", NULL, nmi, {0, 0, 0}),
    ROW(VMMCALL, NESTED, "\x90\x90", NULL, smi, {0, 0, 0}), /* to SMM and back */
    ROW(SMI, NESTED, "\x90\x90", NULL, smi, {0, 0, 0}),
    ROW(INIT, NESTED, "\x90\x90", NULL, init, {0, 0, 0}),
    ROW(VINTR, NESTED, "\x90\x90", NULL, NULL, {VMCB_int_ctl, 4, V_IRQ | V_IGN_TPR}),
    ROW(SHUTDOWN, NESTED, "\x0f\x0b", no_idt, NULL, {0, 0, 0}),
    ROW(FERR_FREEZE, NESTED, "\x9b", x87_frozen, NULL, {0, 0, 0}),
    ROW(TASK_SWITCH, SHADOW, "\xea\x00\x00\x00\x00\x38\x00", NULL, NULL, {0, 0, 0}),
    /* Instructions */
    INSN(CR0_SEL_WRITE, "\x0f\x20\xc0\x0f\xba\xe8\x12\x0f\x22\xc0"),
    INSN(IDTR_READ, "\x0f\x01\x08"),
    INSN(GDTR_READ, "\x0f\x01\x00"),
    INSN(LDTR_READ, "\x0f\x00\x00"),
    INSN(TR_READ, "\x0f\x00\x08"),
    INSN(IDTR_WRITE, "\x0f\x01\x18"),
    INSN(GDTR_WRITE, "\x0f\x01\x10"),
    INSN(LDTR_WRITE, "\x0f\x00\x10"),
    INSN(TR_WRITE, "\x0f\x00\x18"),
    INSN(RDTSC, "\x0f\x31"),
    INSN(RDPMC, "\x0f\x33"),
    INSN(PUSHF, "\x9c"),
    INSN(POPF, "\x9d"),
    INSN(CPUID, "\x0f\xa2"),
    ROW(CPUID, REAL, "\x0f\xa2", NULL, NULL, {0, 0, 0}),
    INSN(RSM, "\x0f\xaa"),
    INSN(IRET, "\x48\xcf"),
    INSN(SWINT, "\xcd\x21"),
    INSN(INVD, "\x0f\x08"),
    INSN(PAUSE, "\xf3\x90"),
    ROW(PAUSE, NESTED, "\xf3\x90\xf3\x90\xf3\x90\xf3\x90", NULL, NULL, {VMCB_pause_filter_count, 2, 2}),
    INSN(HLT, "\xf4"),
    INSN(INVLPG, "\x0f\x01\x38"),
    INSN(INVLPGA, "\x0f\x01\xdf"),
    ROW(IOIO, NESTED, "\xe4\x80", all_ports, NULL, {0, 0, 0}),
    ROW(IOIO, NESTED, "\x6c", all_ports, NULL, {0, 0, 0}),
    ROW(IOIO, REAL, "\xee", all_ports, NULL, {0, 0, 0}),
    ROW(MSR, NESTED, "\x0f\x32", all_msrs, NULL, {0, 0, 0}),
    ROW(MSR, NESTED, "\x0f\x30", all_msrs, NULL, {0, 0, 0}),
    SYSTEM(VMRUN, "\x0f\x01\xd8"),
    SYSTEM(VMMCALL, "\x0f\x01\xd9"),
    SYSTEM(VMLOAD, "\x0f\x01\xda"),
    SYSTEM(VMSAVE, "\x0f\x01\xdb"),
    INSN(STGI, "\x0f\x01\xdc"),
    INSN(CLGI, "\x0f\x01\xdd"),
    INSN(RDTSCP, "\x0f\x01\xf9"),
    INSN(ICEBP, "\xf1"),
    INSN(WBINVD, "\x0f\x09"),
    INSN(MONITOR, "\x0f\x01\xc8"),
    ROW(MWAIT, NESTED, "\x0f\x01\xc9", mwait_hints, NULL, {0, 0, 0}),
    INSN(MWAIT_CONDITIONAL, "\x0f\x01\xc8\x0f\x01\xc9"),
    ROW(XSETBV, NESTED, "\x0f\x01\xd1", NULL, NULL, CR4_BITS(CR4_OSXSAVE)),
    INSN(RDPRU, "\x0f\x01\xfd"),
    INSN(INVPCID, "\x66\x0f\x38\x82\x08"),
    /* After the write */
    INSN(EFER_WRITE_TRAP, "\xb9\x80\x00\x00\xc0\x0f\x32\x0f\x30"),
    INSN(CR0_WRITE_TRAP, "\x0f\x20\xc0\x0f\x22\xc0"),
    INSN(CR3_WRITE_TRAP, "\x0f\x20\xd8\x0f\x22\xd8"),
    INSN(CR4_WRITE_TRAP, "\x0f\x20\xe0\x0f\x22\xe0"),
    INSN(CR8_WRITE_TRAP, "\x44\x0f\x20\xc0\x44\x0f\x22\xc0"),
    /* Memory and AVIC */
    ROW(NPF, NESTED, "\x90", nothing_nested, NULL, {0, 0, 0}),
    ROW(NPF, REAL, "\x90", nothing_nested, NULL, {0, 0, 0}),
    ROW(AVIC_INCOMPLETE_IPI, AVIC, "\xc7\x04\x25\x00\x53\x06\x00\x61\x40\x00\x00", NULL, NULL, {0, 0, 0}),
    ROW(AVIC_NOACCEL, AVIC, "\xc7\x04\x25\xf0\x50\x06\x00\xff\x01\x00\x00", NULL, NULL, {0, 0, 0}),
    ROW(AVIC_NOACCEL, AVIC, "\xa1\x90\x53\x06\x00\x00\x00\x00\x00", NULL, NULL, {0, 0, 0}),
    ROW(AVIC_NOACCEL, AVIC, "\x83\x0c\x25\x90\x53\x06\x00\x01", NULL, NULL, {0, 0, 0}),
};

#endif
