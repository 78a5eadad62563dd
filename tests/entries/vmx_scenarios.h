/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries aimed at one exit, one error, one abort each: changes to the good VMCS, the guest's code, and what else has
 * to be prepared before VMLAUNCH or happens after it. */
#ifndef VITRINE_TESTS_ENTRIES_VMX_SCENARIOS_H
#define VITRINE_TESTS_ENTRIES_VMX_SCENARIOS_H

#include "machine.h"

#include "tests/unit/vmx_broken.h"

enum { AT_GUEST = 0x6000, AT_GUEST_HANDLER = 0x7000, AT_RESUME = 0x7800, AT_GUEST_IDT = 0xa000, AT_PML = 0x5a000,
       AT_APIC = 0x5b000, AT_VE = 0x5d000, AT_DATA = 0x60000, AT_SMM = 0x38000, AT_PD32 = 0x119000, AT_SPP = 0x120000, AT_EPT_PT = 0x124000 };

struct scenario {
    u32 reason;  /* basic exit reason; of a host's program: VM-instruction error; of an abort: its indicator */
    enum base base;
    struct change change[8];
    const char *code;
    u8 len;
    enum { IN_GUEST, IN_HOST, ABORTS } where;
    void (*before)(void), (*after)(void);
};

#define VECTOR(n) SET(EXCEPTION_BITMAP, BIT(n))
#define USER_MODE SET(GUEST_CS_SELECTOR, UCODE64), SET(GUEST_CS_ACCESS_RIGHTS, 0xa0fb), SET(GUEST_SS_SELECTOR, UDATA), \
                  SET(GUEST_SS_ACCESS_RIGHTS, 0xc0f3)

/* ---- Preparations ---- */

static inline void point(u64 pointer)
{
    R.cpu.arch.gpr[RAX] = AT_LISTS;
    ram_put64(AT_LISTS, pointer);
}

static void pointer_bad(void) { point(1); }
static void pointer_vmxon(void) { point(R.cpu.arch.vmx.vmxon); }
static void pointer_other(void) { point(AT_SHADOW); }
static void launched(void) { vmcs_set_header(CPU, AT_VMCS, VMCS_AT_LAUNCHED, 1); }
static void mov_ss_blocks(void) { R.cpu.arch.int_shadow_movss = true; }
static void ask_field(void) { R.cpu.arch.gpr[RAX] = R.cpu.arch.gpr[RCX] = 0x7ffe; }
static void ask_read_only(void) { R.cpu.arch.gpr[RAX] = VMCS_EXIT_REASON; }
static void type_bad(void) { point(0); R.cpu.arch.gpr[RCX] = 9; }
static void vtpr_high(void) { ram_put64(AT_MAPS + 0x3080, 0x50); }
static void bad_msr_list(void) { ram_put64(AT_LISTS, 0x81b); ram_put64(AT_LISTS + 8, 0); }
static void bad_pdptes(void) { ram_put64(AT_PDPT, 0x1e7); }
static void x87_pending(void) { R.cpu.arch.fpu.fcw = 0x37e; R.cpu.arch.fpu.fsw = 0x8081; cpu_update_mode(CPU); }
static void sse_unmasked(void) { R.cpu.arch.mxcsr = 0; memset(R.cpu.arch.vec, 0, sizeof R.cpu.arch.vec); }
static void supervisor_xsave(void) { R.cpu.arch.xss = 0x1800; R.cpu.arch.gpr[RDX] = ~(u64)0; R.cpu.arch.gpr[RDI] = AT_DATA; }
static void no_inner_stack(void) { ram_put64(AT_TSS + 4, AT_STACK0); }
static void task_gate(void) { ram_put64(AT_GUEST_IDT + 8 * 0x40, (u64)TSS_SEL << 16 | (u64)0xe5 << 40); }
static void nested_task(void) { ram_put64(AT_TSS, TSS_SEL); ram_put64(AT_GDT + TSS_SEL, 0x00008b0000000067 | (u64)AT_TSS << 16); }
static void ept_read_only(void) { ram_put64(AT_EPT + 0x1000, EPT_LARGE | 6 << 3 | 5); R.cpu.arch.gpr[RAX] = AT_DATA; }
static void ept_wrong(void) { ram_put64(AT_EPT + 0x1000, EPT_LARGE | 6 << 3 | 2); }
static void ept_no_exec(void) { ram_put64(AT_EPT + 0x1000, EPT_LARGE | 6 << 3 | 3); }
static void ept_nothing(void) { ram_put64(AT_EPT + 0x1000, 0); }
static void data_pointer(void) { R.cpu.arch.gpr[RAX] = AT_DATA; }
static void apic_pointer(void) { R.cpu.arch.gpr[RAX] = AT_APIC + 0xf0; }
static void apic_id_pointer(void) { R.cpu.arch.gpr[RAX] = AT_APIC + 0x20; }
static void beyond_maps(void) { R.cpu.arch.gpr[RCX] = 0x40000000; }
static void msr_trapped(void) { static const u8 ones = 0xff; for (u64 i = 0; i < 4; i++) ram_put(AT_MAPS + 0x2000 + 1024 * i + 2, &ones, 1); R.cpu.arch.gpr[RCX] = 0x10; }
static void msr_high_trapped(void) { msr_trapped(); R.cpu.arch.gpr[RCX] = 0xc0000010; }
static void port_trapped(void) { static const u8 ones = 0xff; ram_put(AT_MAPS + 0x80 / 8, &ones, 1); ram_put(AT_MAPS + 0x1000, &ones, 1); R.cpu.arch.gpr[RDX] = 0x8000; R.cpu.arch.gpr[RDI] = R.cpu.arch.gpr[RSI] = AT_DATA; R.cpu.arch.gpr[RCX] = 1; }

static void sub_pages(void)
{
    ram_put64(AT_EPT + 0x1000, (AT_EPT + 0x2000) | 7);
    ram_put64(AT_EPT + 0x2000, AT_EPT_PT | 7);
    ram_put64(AT_EPT + 0x2008, 0x200000 | EPT_LARGE | 6 << 3 | 7);
    u8 page[PAGE_SIZE];
    for (u64 i = 0; i < 512; i++) {
        store_le64(page + 8 * i, i << 12 | 6 << 3 | 7);
    }
    store_le64(page + 8 * (AT_DATA >> 12), AT_DATA | 6 << 3 | EPT_R | EPT_SPP);
    ram_put(AT_EPT_PT, page, sizeof page);
    R.cpu.arch.gpr[RAX] = AT_DATA;
}

/* ---- What happens to the running guest ---- */

static void interrupt(void) { apic_bus_msi(&R.set, 0xfee00000u, 0x61); }
static void nmi(void) { R.cpu.arch.nmi_pending = true; cpu_kick(CPU); }
static void smi(void) { R.cpu.arch.smi_pending = true; cpu_kick(CPU); }
static void init(void) { R.cpu.arch.init_pending = true; cpu_kick(CPU); }
static void sipi(void) { R.cpu.arch.sipi_pending = true; R.cpu.arch.sipi_vector = 8; cpu_kick(CPU); }

#define C(bytes) bytes, sizeof bytes - 1
#define GUEST(reason, base, bytes, before, after, ...) \
    {EXIT_##reason, base, {__VA_ARGS__}, C(bytes), IN_GUEST, before, after}
#define HOST(error, bytes, before) {VM_ERROR_##error, LONG, {{0}}, C(bytes), IN_HOST, before, NULL}

static const struct scenario scenarios[] = {
    /* Exceptions */
    GUEST(EXCEPTION_NMI, LONG, "\x31\xc9\xf7\xf1", NULL, NULL, VECTOR(VEC_DE)),
    GUEST(EXCEPTION_NMI, LONG, "\xf1", NULL, NULL, VECTOR(VEC_DB)),
    GUEST(EXCEPTION_NMI, LONG, "\x90\x90", NULL, NULL, VECTOR(VEC_DB), ADD(GUEST_RFLAGS, RFLAGS_TF)),
    GUEST(EXCEPTION_NMI, LONG, "\xcc", NULL, NULL, VECTOR(VEC_BP)),
    GUEST(EXCEPTION_NMI, PAE, "\xb0\x7f\x04\x01\xce", NULL, NULL, VECTOR(VEC_OF)),
    GUEST(EXCEPTION_NMI, PAE, "\xb8\x05\x00\x00\x00\x62\x05\x00\x00\x06\x00", NULL, NULL, VECTOR(VEC_BR)),
    GUEST(EXCEPTION_NMI, LONG, "\x0f\x0b", NULL, NULL, VECTOR(VEC_UD)),
    GUEST(EXCEPTION_NMI, LONG, "\xd9\xd0", NULL, NULL, VECTOR(VEC_NM), ADD(GUEST_CR0, CR0_TS)),
    GUEST(EXCEPTION_NMI, LONG, "\x0f\x0b", NULL, NULL, VECTOR(VEC_DF), SET(GUEST_IDTR_LIMIT, 0)),
    GUEST(EXCEPTION_NMI, PAE, "\xcd\x41", no_inner_stack, NULL, VECTOR(VEC_TS), SET(GUEST_CS_SELECTOR, UCODE),
          SET(GUEST_CS_ACCESS_RIGHTS, 0xc0fb), SET(GUEST_SS_SELECTOR, UDATA), SET(GUEST_SS_ACCESS_RIGHTS, 0xc0f3)),
    GUEST(EXCEPTION_NMI, LONG, "\xb8\x48\x00\x00\x00\x8e\xd8", NULL, NULL, VECTOR(VEC_NP)),
    GUEST(EXCEPTION_NMI, LONG, "\xb8\x48\x00\x00\x00\x8e\xd0", NULL, NULL, VECTOR(VEC_SS)),
    GUEST(EXCEPTION_NMI, LONG, "\xb8\xf8\xff\x00\x00\x8e\xd8", NULL, NULL, VECTOR(VEC_GP)),
    GUEST(EXCEPTION_NMI, LONG, "\xa1\x00\x00\x00\x40\x00\x00\x00\x00", NULL, NULL, VECTOR(VEC_PF)),
    GUEST(EXCEPTION_NMI, LONG, "\x9b", x87_pending, NULL, VECTOR(VEC_MF)),
    GUEST(EXCEPTION_NMI, LONG, "\xa1\x01\x00\x06\x00\x00\x00\x00\x00", NULL, NULL, VECTOR(VEC_AC), USER_MODE, ADD(GUEST_CR0, CR0_AM),
          ADD(GUEST_RFLAGS, RFLAGS_AC)),
    GUEST(EXCEPTION_NMI, LONG, "\x0f\x5e\xc0", sse_unmasked, NULL, VECTOR(VEC_XM),
          ADD(GUEST_CR4, CR4_OSFXSR | CR4_OSXMMEXCPT)),
    GUEST(EXCEPTION_NMI, LONG, "\x89\x00", ept_read_only, NULL, VECTOR(VEC_VE), ADD(SECONDARY_CONTROLS, PROC2_EPT_VE),
          SET(VE_INFO_ADDRESS, AT_VE)),
    GUEST(EXCEPTION_NMI, LONG, "\x48\x8d\x05\x02\x00\x00\x00\xff\xe0\x90\x90", NULL, NULL, VECTOR(VEC_CP),
          SET(GUEST_S_CET, 4), ADD(GUEST_CR4, CR4_CET)),
    GUEST(EXCEPTION_NMI, LONG, "\x90", NULL, nmi, ADD(PIN_CONTROLS, PIN_NMI)),
    GUEST(TRIPLE_FAULT, LONG, "\x0f\x0b", NULL, NULL, SET(GUEST_IDTR_LIMIT, 0)),
    /* Events */
    GUEST(EXTERNAL_INTERRUPT, LONG, "\x90", NULL, interrupt, {0}),
    GUEST(EXTERNAL_INTERRUPT, LONG, "\x90", NULL, interrupt, CUT(EXIT_CONTROLS, EXITC_ACK_INT)),
    GUEST(INIT, LONG, "\x90", NULL, init, {0}),
    GUEST(CPUID, LONG, "\x90\x90", NULL, smi, {0}), /* to SMM and back */
    GUEST(SIPI, LONG, "\x90", NULL, sipi, SET(GUEST_ACTIVITY, VMCS_WAIT_SIPI)),
    GUEST(INTERRUPT_WINDOW, LONG, "\x90", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_INT_WINDOW)),
    GUEST(NMI_WINDOW, LONG, "\x90", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_NMI_WINDOW)),
    GUEST(PREEMPTION_TIMER, LONG, "\xeb\xfe", NULL, NULL, ADD(PIN_CONTROLS, PIN_PREEMPTION_TIMER)),
    GUEST(PREEMPTION_TIMER, LONG, "\xeb\xfe", NULL, NULL, ADD(PIN_CONTROLS, PIN_PREEMPTION_TIMER),
          ADD(EXIT_CONTROLS, EXITC_SAVE_TIMER), SET(PREEMPTION_TIMER, 2)),
    GUEST(MTF, LONG, "\x90", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_MTF)),
    GUEST(MTF, LONG, "\x90", NULL, NULL, INJECT(INTR_OTHER, 0)),
    /* Task switches */
    GUEST(TASK_SWITCH, PAE, "\x9a\x00\x00\x00\x00\x38\x00", NULL, NULL, {0}),
    GUEST(TASK_SWITCH, PAE, "\xcf", nested_task, NULL, ADD(GUEST_RFLAGS, RFLAGS_NT)),
    GUEST(TASK_SWITCH, PAE, "\xea\x00\x00\x00\x00\x38\x00", NULL, NULL, {0}),
    GUEST(TASK_SWITCH, PAE, "\xcd\x40", task_gate, NULL, {0}),
    /* Instructions */
    GUEST(CPUID, LONG, "\x0f\xa2", NULL, NULL, {0}),
    GUEST(CPUID, V86, "\x0f\xa2", NULL, NULL, {0}),
    GUEST(CPUID, LEGACY_HOST, "\x0f\xa2", NULL, NULL, {0}),
    GUEST(HLT, LONG, "\xf4", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_HLT)),
    GUEST(INVD, LONG, "\x0f\x08", NULL, NULL, {0}),
    GUEST(INVLPG, LONG, "\x0f\x01\x38", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_INVLPG)),
    GUEST(RDPMC, LONG, "\x0f\x33", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_RDPMC)),
    GUEST(RDTSC, LONG, "\x0f\x31", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_RDTSC)),
    GUEST(RDTSCP, LONG, "\x0f\x01\xf9", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_RDTSC)),
    GUEST(VMCALL, LONG, "\x0f\x01\xc1", NULL, NULL, {0}),
    GUEST(VMCLEAR, LONG, "\x66\x0f\xc7\x30", NULL, NULL, {0}),
    GUEST(VMLAUNCH, LONG, "\x0f\x01\xc2", NULL, NULL, {0}),
    GUEST(VMPTRLD, LONG, "\x0f\xc7\x30", NULL, NULL, {0}),
    GUEST(VMPTRST, LONG, "\x0f\xc7\x38", NULL, NULL, {0}),
    GUEST(VMREAD, LONG, "\x0f\x78\xc0", NULL, NULL, {0}),
    GUEST(VMRESUME, LONG, "\x0f\x01\xc3", NULL, NULL, {0}),
    GUEST(VMWRITE, LONG, "\x0f\x79\xc0", NULL, NULL, {0}),
    GUEST(VMXOFF, LONG, "\x0f\x01\xc4", NULL, NULL, {0}),
    GUEST(VMXON, LONG, "\xf3\x0f\xc7\x30", NULL, NULL, {0}),
    GUEST(INVEPT, LONG, "\x66\x0f\x38\x80\x08", NULL, NULL, {0}),
    GUEST(INVVPID, LONG, "\x66\x0f\x38\x81\x08", NULL, NULL, {0}),
    GUEST(MWAIT, LONG, "\x0f\x01\xc9", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_MWAIT)),
    GUEST(MONITOR, LONG, "\x0f\x01\xc8", data_pointer, NULL, ADD(PRIMARY_CONTROLS, PROC_MONITOR)),
    GUEST(PAUSE, LONG, "\xf3\x90", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_PAUSE)),
    GUEST(PAUSE, LONG, "\xf3\x90\xf3\x90\xf3\x90\xf3\x90", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_PAUSE_LOOP),
          SET(PLE_GAP, 0x7fffffff), SET(PLE_WINDOW, 1)),
    GUEST(WBINVD, LONG, "\x0f\x09", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_WBINVD)),
    GUEST(XSETBV, LONG, "\x0f\x01\xd1", NULL, NULL, ADD(GUEST_CR4, CR4_OSXSAVE)),
    GUEST(RDRAND, LONG, "\x0f\xc7\xf0", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_RDRAND)),
    GUEST(RDSEED, LONG, "\x0f\xc7\xf8", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_RDSEED)),
    GUEST(INVPCID, LONG, "\x66\x0f\x38\x82\x08", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_INVPCID),
          ADD(PRIMARY_CONTROLS, PROC_INVLPG)),
    GUEST(VMFUNC, LONG, "\xb8\x05\x00\x00\x00\x0f\x01\xd4", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_VMFUNC)),
    GUEST(XSAVES, LONG, "\xb8\xff\xff\xff\xff\x0f\xc7\x2f", supervisor_xsave, NULL, ADD(SECONDARY_CONTROLS, PROC2_XSAVES),
          ADD(GUEST_CR4, CR4_OSXSAVE | CR4_OSFXSR), SET(XSS_EXITING_BITMAP, ~(u64)0)),
    GUEST(XRSTORS, LONG, "\xb8\xff\xff\xff\xff\x0f\xc7\x1f", supervisor_xsave, NULL, ADD(SECONDARY_CONTROLS, PROC2_XSAVES),
          ADD(GUEST_CR4, CR4_OSXSAVE | CR4_OSFXSR), SET(XSS_EXITING_BITMAP, ~(u64)0)),
    GUEST(UMWAIT, LONG, "\xf2\x0f\xae\xf0", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_USER_WAIT),
          ADD(PRIMARY_CONTROLS, PROC_RDTSC)),
    GUEST(TPAUSE, LONG, "\x66\x0f\xae\xf0", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_USER_WAIT),
          ADD(PRIMARY_CONTROLS, PROC_RDTSC)),
    GUEST(ENCLS, LONG, "\xb8\x02\x00\x00\x00\x0f\x01\xcf", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_ENCLS),
          SET(ENCLS_EXITING_BITMAP, BIT(2))),
    GUEST(PCONFIG, LONG, "\xb8\x40\x00\x00\x00\x0f\x01\xc5", NULL, NULL, ADD(SECONDARY_CONTROLS, PROC2_PCONFIG),
          SET(PCONFIG_EXITING_BITMAP, BIT(63))),
#define TABLE_INSN(reason, bytes) GUEST(reason, LONG, bytes, data_pointer, NULL, ADD(SECONDARY_CONTROLS, PROC2_DESC_TABLE))
    TABLE_INSN(GDTR_IDTR, "\x0f\x01\x00"),
    TABLE_INSN(GDTR_IDTR, "\x0f\x01\x08"),
    TABLE_INSN(GDTR_IDTR, "\x0f\x01\x10"),
    TABLE_INSN(GDTR_IDTR, "\x0f\x01\x18"),
    TABLE_INSN(LDTR_TR, "\x0f\x00\x00"),
    TABLE_INSN(LDTR_TR, "\x0f\x00\x08"),
    TABLE_INSN(LDTR_TR, "\x0f\x00\x10"),
    TABLE_INSN(LDTR_TR, "\x0f\x00\x18"),
    /* Registers */
    GUEST(CR_ACCESS, LONG, "\x31\xc0\x0f\x22\xc0", NULL, NULL, SET(CR0_MASK, ~(u64)0), SET(CR0_READ_SHADOW, 1)),
    GUEST(CR_ACCESS, LONG, "\x0f\x22\xd8", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_CR3_LOAD)),
    GUEST(CR_ACCESS, LONG, "\x31\xc0\x0f\x22\xe0", NULL, NULL, SET(CR4_MASK, ~(u64)0), SET(CR4_READ_SHADOW, 1)),
    GUEST(CR_ACCESS, LONG, "\x44\x0f\x22\xc0", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_CR8_LOAD)),
    GUEST(CR_ACCESS, LONG, "\x0f\x20\xd8", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_CR3_STORE)),
    GUEST(CR_ACCESS, LONG, "\x44\x0f\x20\xc0", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_CR8_STORE)),
    GUEST(CR_ACCESS, LONG, "\x0f\x06", NULL, NULL, SET(CR0_MASK, CR0_TS), SET(CR0_READ_SHADOW, CR0_TS)),
    GUEST(CR_ACCESS, LONG, "\x31\xc0\x0f\x01\xf0", NULL, NULL, SET(CR0_MASK, ~(u64)0), SET(CR0_READ_SHADOW, CR0_TS)),
    GUEST(DR_ACCESS, LONG, "\x0f\x21\xf8", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_MOV_DR)),
    GUEST(DR_ACCESS, LONG, "\x0f\x23\xf8", NULL, NULL, ADD(PRIMARY_CONTROLS, PROC_MOV_DR)),
    GUEST(RDMSR, LONG, "\x0f\x32", beyond_maps, NULL, {0}),
    GUEST(RDMSR, LONG, "\x0f\x32", msr_trapped, NULL, {0}),
    GUEST(RDMSR, LONG, "\x0f\x32", msr_high_trapped, NULL, {0}),
    GUEST(WRMSR, LONG, "\x0f\x30", beyond_maps, NULL, {0}),
    GUEST(WRMSR, LONG, "\x0f\x30", msr_trapped, NULL, {0}),
    GUEST(WRMSR, LONG, "\x0f\x30", msr_high_trapped, NULL, {0}),
    GUEST(RDMSR, LONG, "\x0f\x32", NULL, NULL, CUT(PRIMARY_CONTROLS, PROC_MSR_BITMAPS)),
    /* Ports */
    GUEST(IO, LONG, "\xe4\x80", port_trapped, NULL, {0}),
    GUEST(IO, LONG, "\xe6\x80", port_trapped, NULL, {0}),
    GUEST(IO, LONG, "\xec", port_trapped, NULL, {0}),
    GUEST(IO, LONG, "\x6c", port_trapped, NULL, {0}),
    GUEST(IO, LONG, "\xf3\x6e", port_trapped, NULL, {0}),
    GUEST(IO, LONG, "\xec", NULL, NULL, CUT(PRIMARY_CONTROLS, PROC_IO_BITMAPS), ADD(PRIMARY_CONTROLS, PROC_UNCOND_IO)),
    /* Memory */
    GUEST(EPT_VIOLATION, LONG, "\x89\x00", ept_read_only, NULL, {0}),
    GUEST(EPT_VIOLATION, LONG, "\x90", ept_no_exec, NULL, CUT(GUEST_CR0, CR0_PG), CUT(ENTRY_CONTROLS, ENTRYC_GUEST_64),
          SET(GUEST_EFER, 0), ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED), SET(GUEST_CS_ACCESS_RIGHTS, 0xc09b),
          SET(GUEST_CR4, CR4_VMXE)),
    GUEST(EPT_VIOLATION, LONG, "\x90", ept_nothing, NULL, {0}),
    GUEST(EPT_VIOLATION, LONG, "\x90", ept_nothing, NULL, CUT(GUEST_CR0, CR0_PG), CUT(ENTRY_CONTROLS, ENTRYC_GUEST_64),
          SET(GUEST_EFER, 0), ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED), SET(GUEST_CS_ACCESS_RIGHTS, 0xc09b),
          SET(GUEST_CR4, CR4_VMXE)),
    GUEST(EPT_MISCONFIG, LONG, "\x90", ept_wrong, NULL, {0}),
    GUEST(PML_FULL, LONG, "\x89\x00", data_pointer, NULL, ADD(SECONDARY_CONTROLS, PROC2_PML), ADD(EPT_POINTER, EPTP_AD),
          SET(PML_INDEX, 0xffff), SET(PML_ADDRESS, AT_PML)),
    GUEST(SPP, LONG, "\x89\x00", sub_pages, NULL, ADD(SECONDARY_CONTROLS, PROC2_SPP), SET(SPP_TABLE_POINTER, AT_SPP)),
    /* The virtual APIC */
#define ACCESSES ADD(SECONDARY_CONTROLS, PROC2_APIC_ACCESSES), SET(APIC_ACCESS_ADDRESS, AT_APIC)
    GUEST(APIC_ACCESS, LONG, "\x8b\x00", apic_pointer, NULL, ACCESSES),
    GUEST(APIC_ACCESS, LONG, "\x89\x00", apic_id_pointer, NULL, ACCESSES),
    GUEST(APIC_ACCESS, LONG, "\xff\xe0", apic_pointer, NULL, ACCESSES),
    GUEST(APIC_ACCESS, LONG, "\xcd\x41", NULL, NULL, ACCESSES, SET(GUEST_RSP, AT_APIC + 0x800)),
    GUEST(APIC_WRITE, LONG, "\x89\x00", apic_pointer, NULL, ACCESSES, ADD(SECONDARY_CONTROLS, PROC2_APIC_REGISTER)),
    GUEST(TPR_BELOW_THRESHOLD, LONG, "\x31\xc0\x44\x0f\x22\xc0", vtpr_high, NULL, SET(TPR_THRESHOLD, 2)),
    GUEST(VIRTUALIZED_EOI, LONG, "\xb9\x0b\x08\x00\x00\x31\xc0\x31\xd2\x0f\x30", NULL, NULL,
          ADD(SECONDARY_CONTROLS, PROC2_X2APIC | PROC2_VIRT_INT_DELIVERY), SET(EOI_EXIT_BITMAP_1, BIT(0x50 - 64)),
          SET(GUEST_INTERRUPT_STATUS, 0x5000)),
    /* Events that enter with the guest, caught by what they do there */
#define INJECTED(type, more) GUEST(CPUID, LONG, "\x90", NULL, NULL, INJECT(type, more), SET(ENTRY_INSTRUCTION_LENGTH, 1))
    INJECTED(INTR_EXTERNAL, 0x40),
    INJECTED(INTR_NMI, VEC_NMI),
    INJECTED(INTR_HARD_EXCEPTION, VEC_GP | INTR_ERROR_CODE),
    INJECTED(INTR_SOFT_INT, 0x40),
    INJECTED(INTR_PRIV_SOFT_EXCEPTION, VEC_DB),
    INJECTED(INTR_SOFT_EXCEPTION, VEC_BP),
    /* Refused after the checks */
    GUEST(ENTRY_FAIL_MSR, LONG, "\x90", bad_msr_list, NULL, SET(ENTRY_MSR_LOAD_COUNT, 1), SET(ENTRY_MSR_LOAD_ADDRESS, AT_LISTS)),
    /* Aborts */
    {VMX_ABORT_SAVE_GUEST_MSR, LONG, {SET(EXIT_MSR_STORE_COUNT, 1), SET(EXIT_MSR_STORE_ADDRESS, AT_LISTS)},
     C("\x0f\xa2"), ABORTS, bad_msr_list, NULL},
    {VMX_ABORT_LOAD_HOST_MSR, LONG, {SET(EXIT_MSR_LOAD_COUNT, 1), SET(EXIT_MSR_LOAD_ADDRESS, AT_LISTS)},
     C("\x0f\xa2"), ABORTS, bad_msr_list, NULL},
    {VMX_ABORT_HOST_PDPTE, LEGACY_HOST, {{0}}, C("\x0f\xa2"), ABORTS, bad_pdptes, NULL},
    {VMX_ABORT_HOST_64, LEGACY_HOST,
     {ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED), CUT(GUEST_CR0, CR0_PG), ADD(GUEST_CR4, CR4_PAE)},
     C("\xb9\x80\x00\x00\xc0\xb8\x00\x01\x00\x00\x31\xd2\x0f\x30\x0f\x20\xc0\x0d\x00\x00\x00\x80\x0f\x22\xc0\x0f\xa2"),
     ABORTS, NULL, NULL},
    /* The host's own instructions */
    HOST(VMCALL_IN_ROOT, "\x0f\x01\xc1", NULL),
    HOST(VMCLEAR_ADDRESS, "\x66\x0f\xc7\x30", pointer_bad),
    HOST(VMCLEAR_VMXON_POINTER, "\x66\x0f\xc7\x30", pointer_vmxon),
    HOST(VMLAUNCH_NOT_CLEAR, "\x0f\x01\xc2", launched),
    HOST(VMRESUME_NOT_LAUNCHED, "\x0f\x01\xc3", NULL),
    HOST(VMPTRLD_ADDRESS, "\x0f\xc7\x30", pointer_bad),
    HOST(VMPTRLD_VMXON_POINTER, "\x0f\xc7\x30", pointer_vmxon),
    HOST(VMPTRLD_REVISION, "\x0f\xc7\x30", pointer_other),
    HOST(UNSUPPORTED_FIELD, "\x0f\x78\xc1", ask_field),
    HOST(READ_ONLY_FIELD, "\x0f\x79\xc0", ask_read_only),
    HOST(VMXON_IN_ROOT, "\xf3\x0f\xc7\x30", pointer_other),
    HOST(ENTRY_MOV_SS, "\x0f\x01\xc2", mov_ss_blocks),
    HOST(INVALID_OPERAND, "\x66\x0f\x38\x80\x08", type_bad),
    HOST(INVALID_OPERAND, "\x66\x0f\x38\x81\x08", type_bad),
};

#endif
