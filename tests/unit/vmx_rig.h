/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A processor in VMX operation with a good VMCS at hand, in four kinds. */
#ifndef VITRINE_TESTS_UNIT_VMX_RIG_H
#define VITRINE_TESTS_UNIT_VMX_RIG_H

#include "sys_rig.h"

#include "cpu/flags.h"
#include "cpu/msr.h"
#include "cpu/virt.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

#include <stdio.h>

enum { AT_VMCS = 0x50000, AT_SHADOW = 0x51000, AT_MAPS = 0x54000, AT_LISTS = 0x58000, AT_EPT = 0x110000,
       AT_PDPT = 0x118000 };

/* Everything that VMX can have. */
#define VMX_WHOLE "max,+sgx,+pconfig,+mpx"

static char *log_text;
static size_t log_len;

/* ---- Good VMCSs ---- */

enum base {
    LONG,        /* 64-bit guest of a 64-bit host */
    V86,         /* virtual-8086 guest */
    PAE,         /* 32-bit guest with PAE paging */
    LEGACY_HOST, /* 32-bit host and guest */
    BASE_COUNT
};

static inline void put(u32 field, u64 value)
{
    vmcs_write_at(CPU, AT_VMCS, field, value);
}

static inline u64 get(u32 field)
{
    return vmcs_read_at(CPU, AT_VMCS, field);
}

static inline void put_segment(unsigned n, u16 sel, u64 base, u32 limit, u32 rights)
{
    put(VMCS_GUEST_ES_SELECTOR + 2 * n, sel);
    put(VMCS_GUEST_ES_BASE + 2 * n, base);
    put(VMCS_GUEST_ES_LIMIT + 2 * n, limit);
    put(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * n, rights);
}

static inline u32 must(u32 msr)
{
    return (u32)vmx_capability(CPU, msr);
}

static inline void put_controls(enum base base)
{
    u32 host64 = base == LEGACY_HOST ? 0 : EXITC_HOST_64, guest64 = base == LONG ? ENTRYC_GUEST_64 : 0;
    put(VMCS_PIN_CONTROLS, must(MSR_IA32_VMX_TRUE_PINBASED_CTLS) | PIN_EXT_INT | PIN_NMI | PIN_VIRTUAL_NMI);
    put(VMCS_PRIMARY_CONTROLS, must(MSR_IA32_VMX_TRUE_PROCBASED_CTLS) | PROC_SECONDARY | PROC_TERTIARY |
                                   PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
    put(VMCS_SECONDARY_CONTROLS, PROC2_EPT | PROC2_RDTSCP);
    put(VMCS_EXIT_CONTROLS, must(MSR_IA32_VMX_TRUE_EXIT_CTLS) | host64 | EXITC_LOAD_PAT | EXITC_LOAD_EFER |
                                EXITC_LOAD_PERF | EXITC_LOAD_CET | EXITC_LOAD_PKRS | EXITC_ACK_INT);
    put(VMCS_ENTRY_CONTROLS, must(MSR_IA32_VMX_TRUE_ENTRY_CTLS) | guest64 | ENTRYC_LOAD_PAT | ENTRYC_LOAD_EFER |
                                 ENTRYC_LOAD_PERF | ENTRYC_LOAD_CET | ENTRYC_LOAD_PKRS | ENTRYC_LOAD_DEBUG |
                                 (cpu_has(CPU, CPU_FEATURE_VMX_ENTRY_LOAD_BNDCFGS) ? ENTRYC_LOAD_BNDCFGS : 0u));
    put(VMCS_IO_BITMAP_A, AT_MAPS);
    put(VMCS_IO_BITMAP_B, AT_MAPS + 0x1000);
    put(VMCS_MSR_BITMAPS, AT_MAPS + 0x2000);
    put(VMCS_VIRTUAL_APIC_ADDRESS, AT_MAPS + 0x3000);
    put(VMCS_EPT_POINTER, AT_EPT | 3 << 3 | 6);
    store_le64(ram(AT_EPT), (AT_EPT + 0x1000) | 7);
    store_le64(ram(AT_EPT + 0x1000), 0 | EPT_LARGE | 6 << 3 | 7);
}

static const struct {
    u32 field, msr; /* capability: allowed settings of the first 32 or of 64 bits */
} vmx_controls_of[] = {
    {VMCS_PIN_CONTROLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS},     {VMCS_PRIMARY_CONTROLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS},
    {VMCS_SECONDARY_CONTROLS, MSR_IA32_VMX_PROCBASED_CTLS2}, {VMCS_EXIT_CONTROLS, MSR_IA32_VMX_TRUE_EXIT_CTLS},
    {VMCS_ENTRY_CONTROLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS},     {VMCS_TERTIARY_CONTROLS, MSR_IA32_VMX_PROCBASED_CTLS3},
};

/* Bits that may be 1. */
static inline u64 vmx_allowed(unsigned i)
{
    u64 cap = vmx_capability(CPU, vmx_controls_of[i].msr);
    return vmx_controls_of[i].msr == MSR_IA32_VMX_PROCBASED_CTLS3 ? cap : cap >> 32;
}

/* Without what this model does not have. */
static inline void fit_controls(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(vmx_controls_of); i++) {
        put(vmx_controls_of[i].field, get(vmx_controls_of[i].field) & vmx_allowed(i));
    }
}

static inline void put_host(enum base base)
{
    put(VMCS_HOST_CR0, CR0_PG | CR0_WP | CR0_NE | CR0_PE);
    put(VMCS_HOST_CR3, base == LEGACY_HOST ? AT_PDPT : AT_TABLES);
    put(VMCS_HOST_CR4, CR4_VMXE | CR4_PAE);
    put(VMCS_HOST_PAT, 0x0007040600070406);
    put(VMCS_HOST_EFER, base == LEGACY_HOST ? 0 : EFER_LME | EFER_LMA);
    put(VMCS_HOST_CS_SELECTOR, KCODE64);
    static const u32 data[] = {VMCS_HOST_SS_SELECTOR, VMCS_HOST_DS_SELECTOR, VMCS_HOST_ES_SELECTOR,
                               VMCS_HOST_FS_SELECTOR, VMCS_HOST_GS_SELECTOR};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        put(data[i], KDATA);
    }
    put(VMCS_HOST_TR_SELECTOR, TSS_SEL);
    put(VMCS_HOST_TR_BASE, AT_TSS);
    put(VMCS_HOST_GDTR_BASE, AT_GDT);
    put(VMCS_HOST_IDTR_BASE, AT_IDT);
    put(VMCS_HOST_RSP, AT_STACK);
    put(VMCS_HOST_RIP, AT_HANDLER);
}

static inline void put_guest(enum base base)
{
    bool wide = base == LONG;
    put(VMCS_GUEST_CR0, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE);
    put(VMCS_GUEST_CR3, AT_TABLES);
    put(VMCS_GUEST_CR4, CR4_VMXE | (wide || base == PAE ? CR4_PAE : 0u));
    put(VMCS_GUEST_EFER, wide ? EFER_LME | EFER_LMA : 0);
    put(VMCS_GUEST_PAT, 0x0007040600070406);
    put(VMCS_GUEST_DR7, DR7_FIXED);
    put(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_IF | (base == V86 ? RFLAGS_VM : 0u));
    put(VMCS_GUEST_RIP, AT_CODE);
    put(VMCS_GUEST_RSP, AT_STACK);
    put(VMCS_GUEST_LINK_POINTER, VMX_NO_VMCS);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (base == V86) {
            put_segment(i, 0x100, 0x1000, 0xffff, 0xf3);
        } else if (i == SEG_CS) {
            put_segment(i, KCODE, 0, 0xffffffff, wide ? 0xa09b : 0xc09b);
        } else {
            put_segment(i, KDATA, 0, 0xffffffff, 0xc093);
        }
    }
    put_segment(6, 0, 0, 0xffff, 0x82);
    put_segment(7, TSS_SEL, AT_TSS, 0x67, 0x8b);
    put(VMCS_GUEST_GDTR_BASE, AT_GDT);
    put(VMCS_GUEST_IDTR_BASE, AT_IDT);
}

/* In VMX operation with a good VMCS of this kind; the processor and its model stand. */
static inline void start_vmx(enum base base)
{
    cpu_reset(CPU, CPU_RESET_POWER);
    go_long(0);
    if (base == LEGACY_HOST) {
        go_protected(0);
        R.cpu.arch.cr0 &= ~(u64)CR0_PG;
        R.cpu.arch.efer = 0;
        cpu_update_mode(CPU);
    }
    virt_init(CPU);
    R.cpu.arch.cr4 |= CR4_VMXE;
    R.cpu.arch.vmx = (struct vmx_arch){.on = true, .vmxon = AT_SHADOW + 0x1000, .current = AT_VMCS};
    vmcs_set_header(CPU, AT_VMCS, VMCS_AT_REVISION, VMCS_REVISION);
    vmcs_set_header(CPU, AT_VMCS, VMCS_AT_LAUNCHED, 0);
    vmcs_set_header(CPU, AT_SHADOW, VMCS_AT_REVISION, VMCS_REVISION ^ 4);
    put_controls(base);
    put_host(base);
    put_guest(base);
}

static inline void start(enum base base)
{
    struct error err = {0};
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, VMX_WHOLE, &err), "%s", err.text);
    start_vmx(base);
    R.log.classes = 1u << LOG_VMX;
    R.log.out = open_memstream(&log_text, &log_len);
}

static inline void stop(void)
{
    (void)fclose(R.log.out);
    free(log_text);
    rig_stop();
}

static inline cpu_rc launch(void)
{
    const struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5};
    cpu_rc rc = exec_vmlaunch(CPU, &in);
    (void)fflush(R.log.out);
    return rc;
}

#endif
