/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checks of VM entry: from a good VMCS each row of entry_checks.def is broken alone, and the failure names
 * that row, its field and its value. [SDM3 "VM Entries"] Then VMfail, capabilities, the guest. */
#include "sys_rig.h"

#include "cpu/flags.h"
#include "cpu/msr.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

#include <stdio.h>

enum { AT_VMCS = 0x50000, AT_SHADOW = 0x51000, AT_MAPS = 0x54000, AT_LISTS = 0x58000, AT_EPT = 0x110000,
       AT_PDPT = 0x118000 };

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

static void put(u32 field, u64 value)
{
    vmcs_write_at(CPU, AT_VMCS, field, value);
}

static u64 get(u32 field)
{
    return vmcs_read_at(CPU, AT_VMCS, field);
}

static void put_segment(unsigned n, u16 sel, u64 base, u32 limit, u32 rights)
{
    put(VMCS_GUEST_ES_SELECTOR + 2 * n, sel);
    put(VMCS_GUEST_ES_BASE + 2 * n, base);
    put(VMCS_GUEST_ES_LIMIT + 2 * n, limit);
    put(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * n, rights);
}

static u32 must(u32 msr)
{
    return (u32)vmx_capability(CPU, msr);
}

static void put_controls(enum base base)
{
    u32 host64 = base == LEGACY_HOST ? 0 : EXITC_HOST_64, guest64 = base == LONG ? ENTRYC_GUEST_64 : 0;
    put(VMCS_PIN_CONTROLS, must(MSR_IA32_VMX_TRUE_PINBASED_CTLS) | PIN_EXT_INT | PIN_NMI | PIN_VIRTUAL_NMI);
    put(VMCS_PRIMARY_CONTROLS, must(MSR_IA32_VMX_TRUE_PROCBASED_CTLS) | PROC_SECONDARY | PROC_TERTIARY |
                                   PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
    put(VMCS_SECONDARY_CONTROLS, PROC2_EPT | PROC2_RDTSCP);
    put(VMCS_EXIT_CONTROLS, must(MSR_IA32_VMX_TRUE_EXIT_CTLS) | host64 | EXITC_LOAD_PAT | EXITC_LOAD_EFER |
                                EXITC_LOAD_PERF | EXITC_LOAD_CET | EXITC_LOAD_PKRS | EXITC_ACK_INT);
    put(VMCS_ENTRY_CONTROLS, must(MSR_IA32_VMX_TRUE_ENTRY_CTLS) | guest64 | ENTRYC_LOAD_PAT | ENTRYC_LOAD_EFER |
                                 ENTRYC_LOAD_PERF | ENTRYC_LOAD_CET | ENTRYC_LOAD_PKRS | ENTRYC_LOAD_DEBUG);
    put(VMCS_IO_BITMAP_A, AT_MAPS);
    put(VMCS_IO_BITMAP_B, AT_MAPS + 0x1000);
    put(VMCS_MSR_BITMAPS, AT_MAPS + 0x2000);
    put(VMCS_VIRTUAL_APIC_ADDRESS, AT_MAPS + 0x3000);
    put(VMCS_EPT_POINTER, AT_EPT | 3 << 3 | 6);
    store_le64(ram(AT_EPT), (AT_EPT + 0x1000) | 7);
    store_le64(ram(AT_EPT + 0x1000), 0 | EPT_LARGE | 6 << 3 | 7);
}

static void put_host(enum base base)
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

static void put_guest(enum base base)
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

static void start(enum base base)
{
    struct error err = {0};
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, "max", &err), "%s", err.text);
    cpu_reset(CPU, CPU_RESET_POWER);
    go_long(0);
    if (base == LEGACY_HOST) {
        go_protected(0);
        R.cpu.arch.cr0 &= ~(u64)CR0_PG;
        R.cpu.arch.efer = 0;
        cpu_update_mode(CPU);
    }
    R.cpu.arch.vmx = (struct vmx_arch){.on = true, .vmxon = AT_SHADOW + 0x1000, .current = AT_VMCS};
    vmcs_set_header(CPU, AT_VMCS, VMCS_AT_REVISION, VMCS_REVISION);
    vmcs_set_header(CPU, AT_SHADOW, VMCS_AT_REVISION, VMCS_REVISION ^ 4);
    put_controls(base);
    put_host(base);
    put_guest(base);
    R.log.classes = 1u << LOG_VMX;
    R.log.out = open_memstream(&log_text, &log_len);
}

static void stop(void)
{
    (void)fclose(R.log.out);
    free(log_text);
    rig_stop();
}

static cpu_rc launch(void)
{
    const struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5};
    cpu_rc rc = exec_vmlaunch(CPU, &in);
    (void)fflush(R.log.out);
    return rc;
}

/* ---- What breaks each rule ---- */

struct change {
    char op; /* '=': value, '|': bits set, '-': bits cleared; 0: end */
    u32 field;
    u64 value;
};

struct broken {
    const char *id;
    enum base base;
    struct change change[6];
};

#define SET(field, value) {'=', VMCS_##field, value}
#define ADD(field, value) {'|', VMCS_##field, value}
#define CUT(field, value) {'-', VMCS_##field, value}
#define INJECT(type, more) {'=', VMCS_ENTRY_INTERRUPTION_INFO, INTR_VALID | (u32)(type) << INTR_TYPE_SHIFT | (more)}
#define BAD_LINEAR 0x8000000000000000u
#define SEGMENT_ROWS(seg)                                                                      \
    {"GUEST_" #seg "_V86_BASE", V86, {SET(GUEST_##seg##_BASE, 0x2000)}},                       \
    {"GUEST_" #seg "_V86_LIMIT", V86, {SET(GUEST_##seg##_LIMIT, 0xfffff)}},                    \
    {"GUEST_" #seg "_V86_RIGHTS", V86, {SET(GUEST_##seg##_ACCESS_RIGHTS, 0x93)}},              \
    {"GUEST_" #seg "_S", LONG, {CUT(GUEST_##seg##_ACCESS_RIGHTS, SEG_S)}},                     \
    {"GUEST_" #seg "_P", LONG, {CUT(GUEST_##seg##_ACCESS_RIGHTS, SEG_P)}},                     \
    {"GUEST_" #seg "_RESERVED", LONG, {ADD(GUEST_##seg##_ACCESS_RIGHTS, 0x100)}},              \
    {"GUEST_" #seg "_RESERVED", LONG, {ADD(GUEST_##seg##_ACCESS_RIGHTS, 0x80000000u)}},        \
    {"GUEST_" #seg "_G", LONG, {SET(GUEST_##seg##_LIMIT, 0xfffff000)}},                        \
    {"GUEST_" #seg "_G", LONG, {CUT(GUEST_##seg##_ACCESS_RIGHTS, SEG_G)}}
#define DATA_ROWS(seg)                                                                         \
    SEGMENT_ROWS(seg), {"GUEST_" #seg "_TYPE", LONG, {CUT(GUEST_##seg##_ACCESS_RIGHTS, 1)}},   \
    {"GUEST_" #seg "_TYPE", LONG, {SET(GUEST_##seg##_ACCESS_RIGHTS, 0xc099)}},                 \
    {"GUEST_" #seg "_DPL", LONG, {SET(GUEST_##seg##_SELECTOR, KDATA | 3)}}
#define HIGH_BASE(seg) {"GUEST_" #seg "_BASE", LONG, {SET(GUEST_##seg##_BASE, BIT(32))}}
#define BAD_BASE(id, field) {id, LONG, {SET(field, BAD_LINEAR)}}

static const struct broken rows[] = {
    {"PIN_RESERVED", LONG, {CUT(PIN_CONTROLS, 0x2)}},
    {"PIN_RESERVED", LONG, {ADD(PIN_CONTROLS, BIT(31))}},
    {"PROC_RESERVED", LONG, {CUT(PRIMARY_CONTROLS, 0x2)}},
    {"PROC2_RESERVED", LONG, {ADD(SECONDARY_CONTROLS, BIT(30))}},
    {"PROC3_RESERVED", LONG, {ADD(TERTIARY_CONTROLS, BIT(63))}},
    {"CR3_TARGET_COUNT", LONG, {SET(CR3_TARGET_COUNT, 5)}},
    {"IO_BITMAP_A", LONG, {SET(IO_BITMAP_A, 1)}},
    {"IO_BITMAP_B", LONG, {SET(IO_BITMAP_B, BIT(63))}},
    {"MSR_BITMAPS", LONG, {SET(MSR_BITMAPS, 0x800)}},
    {"VIRTUAL_APIC", LONG, {SET(VIRTUAL_APIC_ADDRESS, 8)}},
    {"TPR_THRESHOLD_RESERVED", LONG, {SET(TPR_THRESHOLD, 0x10)}},
    {"TPR_THRESHOLD_VTPR", LONG, {SET(TPR_THRESHOLD, 1)}},
    {"NO_TPR_SHADOW", LONG, {CUT(PRIMARY_CONTROLS, PROC_TPR_SHADOW), ADD(SECONDARY_CONTROLS, PROC2_X2APIC)}},
    {"NO_TPR_SHADOW", LONG, {CUT(PRIMARY_CONTROLS, PROC_TPR_SHADOW), ADD(TERTIARY_CONTROLS, PROC3_IPI_VIRT)}},
    {"VIRTUAL_NMI", LONG, {CUT(PIN_CONTROLS, PIN_NMI)}},
    {"NMI_WINDOW", LONG, {CUT(PIN_CONTROLS, PIN_VIRTUAL_NMI), ADD(PRIMARY_CONTROLS, PROC_NMI_WINDOW)}},
    {"APIC_ACCESS", LONG, {ADD(SECONDARY_CONTROLS, PROC2_APIC_ACCESSES), SET(APIC_ACCESS_ADDRESS, 1)}},
    {"X2APIC_AND_ACCESSES", LONG, {ADD(SECONDARY_CONTROLS, PROC2_APIC_ACCESSES | PROC2_X2APIC)}},
    {"INT_DELIVERY_EXT_INT", LONG,
     {CUT(PIN_CONTROLS, PIN_EXT_INT), ADD(SECONDARY_CONTROLS, PROC2_VIRT_INT_DELIVERY)}},
    {"POSTED_CONTROLS", LONG, {ADD(PIN_CONTROLS, PIN_POSTED_INT)}},
    {"POSTED_CONTROLS", LONG,
     {ADD(PIN_CONTROLS, PIN_POSTED_INT), ADD(SECONDARY_CONTROLS, PROC2_VIRT_INT_DELIVERY),
      CUT(EXIT_CONTROLS, EXITC_ACK_INT)}},
    {"POSTED_VECTOR", LONG,
     {ADD(PIN_CONTROLS, PIN_POSTED_INT), ADD(SECONDARY_CONTROLS, PROC2_VIRT_INT_DELIVERY),
      SET(POSTED_INTR_VECTOR, 0x100)}},
    {"POSTED_DESCRIPTOR", LONG,
     {ADD(PIN_CONTROLS, PIN_POSTED_INT), ADD(SECONDARY_CONTROLS, PROC2_VIRT_INT_DELIVERY),
      SET(POSTED_INTR_DESC_ADDRESS, 32)}},
    {"VPID", LONG, {ADD(SECONDARY_CONTROLS, PROC2_VPID)}},
    {"EPT_POINTER", LONG, {SET(EPT_POINTER, AT_EPT | 3 << 3 | 1)}},
    {"EPT_POINTER", LONG, {SET(EPT_POINTER, AT_EPT | 2 << 3 | 6)}},
    {"EPT_POINTER", LONG, {ADD(EPT_POINTER, 0x100)}},
    {"EPT_POINTER", LONG, {ADD(EPT_POINTER, BIT(63))}},
    {"PML_EPT", LONG, {CUT(SECONDARY_CONTROLS, PROC2_EPT), ADD(SECONDARY_CONTROLS, PROC2_PML)}},
    {"PML_ADDRESS", LONG, {ADD(SECONDARY_CONTROLS, PROC2_PML), SET(PML_ADDRESS, 1)}},
    {"UNRESTRICTED_EPT", LONG, {CUT(SECONDARY_CONTROLS, PROC2_EPT), ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED)}},
    {"MBEC_EPT", LONG, {CUT(SECONDARY_CONTROLS, PROC2_EPT), ADD(SECONDARY_CONTROLS, PROC2_MODE_BASED_EXEC)}},
    {"SPP_EPT", LONG, {CUT(SECONDARY_CONTROLS, PROC2_EPT), ADD(SECONDARY_CONTROLS, PROC2_SPP)}},
    {"SPP_TABLE", LONG, {ADD(SECONDARY_CONTROLS, PROC2_SPP), SET(SPP_TABLE_POINTER, 0x10)}},
    {"VM_FUNCTIONS", LONG, {ADD(SECONDARY_CONTROLS, PROC2_VMFUNC), SET(VM_FUNCTION_CONTROLS, 2)}},
    {"EPTP_LIST", LONG,
     {ADD(SECONDARY_CONTROLS, PROC2_VMFUNC), SET(VM_FUNCTION_CONTROLS, 1), SET(EPTP_LIST_ADDRESS, 1)}},
    {"EPTP_LIST", LONG,
     {CUT(SECONDARY_CONTROLS, PROC2_EPT), ADD(SECONDARY_CONTROLS, PROC2_VMFUNC), SET(VM_FUNCTION_CONTROLS, 1)}},
    {"VMREAD_BITMAP", LONG, {ADD(SECONDARY_CONTROLS, PROC2_VMCS_SHADOWING), SET(VMREAD_BITMAP, 1)}},
    {"VMWRITE_BITMAP", LONG, {ADD(SECONDARY_CONTROLS, PROC2_VMCS_SHADOWING), SET(VMWRITE_BITMAP, BIT(62))}},
    {"VE_INFO", LONG, {ADD(SECONDARY_CONTROLS, PROC2_EPT_VE), SET(VE_INFO_ADDRESS, 1)}},
    {"PID_TABLE", LONG, {ADD(TERTIARY_CONTROLS, PROC3_IPI_VIRT), SET(PID_POINTER_TABLE, 1)}},
    {"EXIT_RESERVED", LONG, {CUT(EXIT_CONTROLS, 1)}},
    {"SAVE_TIMER", LONG, {ADD(EXIT_CONTROLS, EXITC_SAVE_TIMER)}},
    {"EXIT_MSR_STORE", LONG, {SET(EXIT_MSR_STORE_COUNT, 1), SET(EXIT_MSR_STORE_ADDRESS, 8)}},
    {"EXIT_MSR_LOAD", LONG, {SET(EXIT_MSR_LOAD_COUNT, 1), SET(EXIT_MSR_LOAD_ADDRESS, BIT(63))}},
    {"ENTRY_RESERVED", LONG, {CUT(ENTRY_CONTROLS, 1)}},
    {"INJECT_TYPE", LONG, {INJECT(1, 0)}},
    {"INJECT_VECTOR", LONG, {INJECT(INTR_NMI, 3)}},
    {"INJECT_VECTOR", LONG, {INJECT(INTR_HARD_EXCEPTION, 32)}},
    {"INJECT_VECTOR", LONG, {INJECT(INTR_OTHER, 1)}},
    {"INJECT_ERROR_CODE", LONG, {INJECT(INTR_EXTERNAL, 0x40 | INTR_ERROR_CODE)}},
    {"INJECT_RESERVED", LONG, {INJECT(INTR_EXTERNAL, 0x40 | 0x1000)}},
    {"INJECT_ERROR_RESERVED", LONG,
     {INJECT(INTR_HARD_EXCEPTION, VEC_GP | INTR_ERROR_CODE), SET(ENTRY_EXCEPTION_ERROR, 0x10000)}},
    {"INJECT_LENGTH", LONG, {INJECT(INTR_SOFT_INT, 0x40), SET(ENTRY_INSTRUCTION_LENGTH, 16)}},
    {"ENTRY_MSR_LOAD", LONG, {SET(ENTRY_MSR_LOAD_COUNT, 1), SET(ENTRY_MSR_LOAD_ADDRESS, 4)}},

    {"HOST_CR0", LONG, {CUT(HOST_CR0, CR0_NE)}},
    {"HOST_CR0", LONG, {ADD(HOST_CR0, BIT(32))}},
    {"HOST_CR4", LONG, {CUT(HOST_CR4, CR4_VMXE)}},
    {"HOST_CR4", LONG, {ADD(HOST_CR4, BIT(40))}},
    {"HOST_CET_WP", LONG, {ADD(HOST_CR4, CR4_CET), CUT(HOST_CR0, CR0_WP)}},
    {"HOST_CR3", LONG, {ADD(HOST_CR3, BIT(60))}},
    BAD_BASE("HOST_SYSENTER_ESP", HOST_SYSENTER_ESP),
    BAD_BASE("HOST_SYSENTER_EIP", HOST_SYSENTER_EIP),
    {"HOST_PERF", LONG, {SET(HOST_PERF_GLOBAL_CTRL, BIT(63))}},
    {"HOST_PAT", LONG, {SET(HOST_PAT, 2)}},
    {"HOST_EFER_RESERVED", LONG, {ADD(HOST_EFER, BIT(1))}},
    {"HOST_EFER_LMA", LONG, {CUT(HOST_EFER, EFER_LMA)}},
    {"HOST_EFER_LMA", LONG, {CUT(HOST_EFER, EFER_LME)}},
    {"HOST_S_CET", LONG, {SET(HOST_S_CET, 0x40)}},
    BAD_BASE("HOST_S_CET", HOST_S_CET),
    {"HOST_SSP", LONG, {SET(HOST_SSP, 1)}},
    BAD_BASE("HOST_SSP", HOST_SSP),
    BAD_BASE("HOST_INTR_SSP_TABLE", HOST_INTR_SSP_TABLE),
    {"HOST_PKRS", LONG, {SET(HOST_PKRS, BIT(32))}},
    {"HOST_CS_SELECTOR", LONG, {ADD(HOST_CS_SELECTOR, 4)}},
    {"HOST_SS_SELECTOR", LONG, {ADD(HOST_SS_SELECTOR, 1)}},
    {"HOST_DS_SELECTOR", LONG, {ADD(HOST_DS_SELECTOR, 2)}},
    {"HOST_ES_SELECTOR", LONG, {ADD(HOST_ES_SELECTOR, 4)}},
    {"HOST_FS_SELECTOR", LONG, {ADD(HOST_FS_SELECTOR, 4)}},
    {"HOST_GS_SELECTOR", LONG, {ADD(HOST_GS_SELECTOR, 4)}},
    {"HOST_TR_SELECTOR", LONG, {ADD(HOST_TR_SELECTOR, 4)}},
    {"HOST_CS_NULL", LONG, {SET(HOST_CS_SELECTOR, 0)}},
    {"HOST_TR_NULL", LONG, {SET(HOST_TR_SELECTOR, 0)}},
    {"HOST_SS_NULL", LEGACY_HOST, {SET(HOST_SS_SELECTOR, 0)}},
    BAD_BASE("HOST_FS_BASE", HOST_FS_BASE),
    BAD_BASE("HOST_GS_BASE", HOST_GS_BASE),
    BAD_BASE("HOST_GDTR_BASE", HOST_GDTR_BASE),
    BAD_BASE("HOST_IDTR_BASE", HOST_IDTR_BASE),
    BAD_BASE("HOST_TR_BASE", HOST_TR_BASE),
    {"ADDRESS_SPACE_LEGACY", LEGACY_HOST, {ADD(EXIT_CONTROLS, EXITC_HOST_64), SET(HOST_EFER, EFER_LMA | EFER_LME)}},
    {"ADDRESS_SPACE_LEGACY", LEGACY_HOST, {ADD(ENTRY_CONTROLS, ENTRYC_GUEST_64)}},
    {"ADDRESS_SPACE_LONG", LONG, {CUT(EXIT_CONTROLS, EXITC_HOST_64), SET(HOST_EFER, 0)}},
    {"HOST_32_PCIDE", LEGACY_HOST, {ADD(HOST_CR4, CR4_PCIDE)}},
    {"HOST_32_RIP", LEGACY_HOST, {SET(HOST_RIP, BIT(32))}},
    {"HOST_32_S_CET", LEGACY_HOST, {SET(HOST_S_CET, BIT(32))}},
    {"HOST_32_SSP", LEGACY_HOST, {SET(HOST_SSP, BIT(32))}},
    {"HOST_64_PAE", LONG, {CUT(HOST_CR4, CR4_PAE)}},
    BAD_BASE("HOST_64_RIP", HOST_RIP),

    {"GUEST_CR0", LONG, {CUT(GUEST_CR0, CR0_NE)}},
    {"GUEST_CR0", LONG, {CUT(GUEST_CR0, CR0_PG)}},
    {"GUEST_CR0_PG_PE", LONG, {ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED), CUT(GUEST_CR0, CR0_PE)}},
    {"GUEST_CR4", LONG, {ADD(GUEST_CR4, BIT(33))}},
    {"GUEST_CR4", LONG, {CUT(GUEST_CR4, CR4_VMXE)}},
    {"GUEST_CET_WP", LONG, {ADD(GUEST_CR4, CR4_CET), CUT(GUEST_CR0, CR0_WP)}},
    {"GUEST_DEBUGCTL", LONG, {SET(GUEST_DEBUGCTL, BIT(40))}},
    {"GUEST_64_CR", LONG, {CUT(GUEST_CR4, CR4_PAE)}},
    {"GUEST_32_PCIDE", PAE, {ADD(GUEST_CR4, CR4_PCIDE)}},
    {"GUEST_CR3", LONG, {ADD(GUEST_CR3, BIT(60))}},
    {"GUEST_DR7", LONG, {SET(GUEST_DR7, BIT(32))}},
    BAD_BASE("GUEST_SYSENTER_ESP", GUEST_SYSENTER_ESP),
    BAD_BASE("GUEST_SYSENTER_EIP", GUEST_SYSENTER_EIP),
    {"GUEST_S_CET", LONG, {SET(GUEST_S_CET, 0xc00)}},
    {"GUEST_32_S_CET", PAE, {SET(GUEST_S_CET, BIT(32))}},
    BAD_BASE("GUEST_INTR_SSP_TABLE", GUEST_INTR_SSP_TABLE),
    {"GUEST_PERF", LONG, {SET(GUEST_PERF_GLOBAL_CTRL, BIT(63))}},
    {"GUEST_PAT", LONG, {SET(GUEST_PAT, 0x0300)}},
    {"GUEST_EFER_RESERVED", LONG, {ADD(GUEST_EFER, BIT(1))}},
    {"GUEST_EFER_LMA", LONG, {CUT(GUEST_EFER, EFER_LMA)}},
    {"GUEST_EFER_LMA", LONG, {CUT(GUEST_EFER, EFER_LME)}},
    {"GUEST_PKRS", LONG, {SET(GUEST_PKRS, BIT(40))}},
    {"GUEST_TR_TI", LONG, {ADD(GUEST_TR_SELECTOR, 4)}},
    {"GUEST_LDTR_TI", LONG, {ADD(GUEST_LDTR_SELECTOR, 4)}},
    {"GUEST_SS_RPL", LONG, {ADD(GUEST_SS_SELECTOR, 3)}},
    BAD_BASE("GUEST_TR_BASE", GUEST_TR_BASE),
    BAD_BASE("GUEST_FS_BASE", GUEST_FS_BASE),
    BAD_BASE("GUEST_GS_BASE", GUEST_GS_BASE),
    BAD_BASE("GUEST_LDTR_BASE", GUEST_LDTR_BASE),
    HIGH_BASE(CS),
    HIGH_BASE(SS),
    HIGH_BASE(DS),
    HIGH_BASE(ES),
    SEGMENT_ROWS(CS),
    SEGMENT_ROWS(SS),
    DATA_ROWS(DS),
    DATA_ROWS(ES),
    DATA_ROWS(FS),
    DATA_ROWS(GS),
    {"GUEST_CS_TYPE", LONG, {CUT(GUEST_CS_ACCESS_RIGHTS, 1)}},
    {"GUEST_CS_TYPE", LONG, {SET(GUEST_CS_ACCESS_RIGHTS, 0xa093)}},
    {"GUEST_SS_TYPE", LONG, {CUT(GUEST_SS_ACCESS_RIGHTS, 2)}},
    {"GUEST_CS_DPL", LONG, {ADD(GUEST_CS_ACCESS_RIGHTS, 3 << SEG_DPL_SHIFT)}},
    {"GUEST_SS_DPL_RPL", LONG, {SET(GUEST_CS_ACCESS_RIGHTS, 0xa09f), ADD(GUEST_SS_ACCESS_RIGHTS, 3 << SEG_DPL_SHIFT)}},
    {"GUEST_SS_DPL_ZERO", PAE,
     {ADD(SECONDARY_CONTROLS, PROC2_UNRESTRICTED), SET(GUEST_CS_ACCESS_RIGHTS, 0xc093),
      ADD(GUEST_SS_ACCESS_RIGHTS, 3 << SEG_DPL_SHIFT)}},
    {"GUEST_CS_DB", LONG, {ADD(GUEST_CS_ACCESS_RIGHTS, SEG_DB)}},
    {"GUEST_TR_TYPE", LONG, {CUT(GUEST_TR_ACCESS_RIGHTS, 2)}},
    {"GUEST_TR_S", LONG, {ADD(GUEST_TR_ACCESS_RIGHTS, SEG_S)}},
    {"GUEST_TR_P", LONG, {CUT(GUEST_TR_ACCESS_RIGHTS, SEG_P)}},
    {"GUEST_TR_RESERVED", LONG, {ADD(GUEST_TR_ACCESS_RIGHTS, 0x400)}},
    {"GUEST_TR_G", LONG, {ADD(GUEST_TR_ACCESS_RIGHTS, SEG_G)}},
    {"GUEST_TR_USABLE", LONG, {ADD(GUEST_TR_ACCESS_RIGHTS, SEG_UNUSABLE)}},
    {"GUEST_LDTR_TYPE", LONG, {SET(GUEST_LDTR_ACCESS_RIGHTS, 0x83)}},
    {"GUEST_LDTR_S", LONG, {ADD(GUEST_LDTR_ACCESS_RIGHTS, SEG_S)}},
    {"GUEST_LDTR_P", LONG, {CUT(GUEST_LDTR_ACCESS_RIGHTS, SEG_P)}},
    {"GUEST_LDTR_RESERVED", LONG, {ADD(GUEST_LDTR_ACCESS_RIGHTS, 0x200)}},
    {"GUEST_LDTR_G", LONG, {SET(GUEST_LDTR_LIMIT, 0x100000)}},
    BAD_BASE("GUEST_GDTR_BASE", GUEST_GDTR_BASE),
    BAD_BASE("GUEST_IDTR_BASE", GUEST_IDTR_BASE),
    {"GUEST_GDTR_LIMIT", LONG, {SET(GUEST_GDTR_LIMIT, 0x10000)}},
    {"GUEST_IDTR_LIMIT", LONG, {SET(GUEST_IDTR_LIMIT, 0x10000)}},
    {"GUEST_RIP_32", PAE, {SET(GUEST_RIP, BIT(32))}},
    {"GUEST_RIP_32", LONG, {CUT(GUEST_CS_ACCESS_RIGHTS, SEG_L), SET(GUEST_RIP, BIT(32))}},
    BAD_BASE("GUEST_RIP_64", GUEST_RIP),
    {"GUEST_RFLAGS_RESERVED", LONG, {ADD(GUEST_RFLAGS, BIT(3))}},
    {"GUEST_RFLAGS_RESERVED", LONG, {CUT(GUEST_RFLAGS, RFLAGS_ONE)}},
    {"GUEST_RFLAGS_IF", LONG, {INJECT(INTR_EXTERNAL, 0x40), CUT(GUEST_RFLAGS, RFLAGS_IF)}},
    {"GUEST_SSP", LONG, {SET(GUEST_SSP, 2)}},
    {"GUEST_32_SSP", PAE, {SET(GUEST_SSP, BIT(32))}},
    {"ACTIVITY_RESERVED", LONG, {SET(GUEST_ACTIVITY, 4)}},
    {"ACTIVITY_BLOCKED", LONG, {SET(GUEST_ACTIVITY, VMCS_HLT), SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI)}},
    {"ACTIVITY_INJECT", LONG, {SET(GUEST_ACTIVITY, VMCS_HLT), INJECT(INTR_HARD_EXCEPTION, VEC_UD)}},
    {"ACTIVITY_INJECT", LONG, {SET(GUEST_ACTIVITY, VMCS_SHUTDOWN), INJECT(INTR_EXTERNAL, 0x40)}},
    {"ACTIVITY_INJECT", LONG, {SET(GUEST_ACTIVITY, VMCS_WAIT_SIPI), INJECT(INTR_NMI, VEC_NMI)}},
    {"BLOCKING_RESERVED", LONG, {SET(GUEST_INTERRUPTIBILITY, 0x20)}},
    {"BLOCKING_BOTH", LONG, {SET(GUEST_INTERRUPTIBILITY, 3)}},
    {"BLOCKING_STI_IF", LONG, {SET(GUEST_INTERRUPTIBILITY, 1), CUT(GUEST_RFLAGS, RFLAGS_IF)}},
    {"BLOCKING_EXT_INT", LONG, {SET(GUEST_INTERRUPTIBILITY, 1), INJECT(INTR_EXTERNAL, 0x40)}},
    {"BLOCKING_NMI_MOV_SS", LONG, {SET(GUEST_INTERRUPTIBILITY, 2), INJECT(INTR_NMI, VEC_NMI)}},
    {"BLOCKING_SMI", LONG, {SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_SMI)}},
    {"BLOCKING_NMI_STI", LONG, {SET(GUEST_INTERRUPTIBILITY, 1), INJECT(INTR_NMI, VEC_NMI)}},
    {"BLOCKING_NMI", LONG, {SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI), INJECT(INTR_NMI, VEC_NMI)}},
    {"BLOCKING_ENCLAVE", LONG, {SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_ENCLAVE)}},
    {"PENDING_DEBUG_RESERVED", LONG, {SET(GUEST_PENDING_DEBUG, 0x10)}},
    {"PENDING_DEBUG_BS", LONG, {SET(GUEST_INTERRUPTIBILITY, 1), SET(GUEST_PENDING_DEBUG, PENDING_DB_BS)}},
    {"PENDING_DEBUG_BS", LONG, {SET(GUEST_INTERRUPTIBILITY, 2), ADD(GUEST_RFLAGS, RFLAGS_TF)}},
    {"LINK_POINTER", LONG, {SET(GUEST_LINK_POINTER, 0x10)}},
    {"LINK_REVISION", LONG, {SET(GUEST_LINK_POINTER, AT_SHADOW)}},
    {"LINK_REVISION", LONG, {ADD(SECONDARY_CONTROLS, PROC2_VMCS_SHADOWING), SET(GUEST_LINK_POINTER, AT_VMCS)}},
    {"LINK_CURRENT", LONG, {SET(GUEST_LINK_POINTER, AT_VMCS)}},
    {"GUEST_PDPTE0", PAE, {SET(GUEST_PDPTE0, 3)}},
    {"GUEST_PDPTE1", PAE, {SET(GUEST_PDPTE1, 3)}},
    {"GUEST_PDPTE2", PAE, {SET(GUEST_PDPTE2, 0x101)}},
    {"GUEST_PDPTE3", PAE, {SET(GUEST_PDPTE3, BIT(62) | 1)}},
    {"GUEST_RFLAGS_VM", V86,
     {ADD(ENTRY_CONTROLS, ENTRYC_GUEST_64), ADD(GUEST_CR4, CR4_PAE), SET(GUEST_EFER, EFER_LME | EFER_LMA)}},
    {"ACTIVITY_HLT_DPL", LONG,
     {SET(GUEST_ACTIVITY, VMCS_HLT), SET(GUEST_CS_SELECTOR, UCODE64), SET(GUEST_CS_ACCESS_RIGHTS, 0xa0fb),
      SET(GUEST_SS_SELECTOR, UDATA), SET(GUEST_SS_ACCESS_RIGHTS, 0xc0f3)}},
};

/* Rules that an earlier one implies. */
static const struct {
    const char *id, *because;
} never[] = {
    {"HOST_32_GUEST", "ADDRESS_SPACE_LEGACY and ADDRESS_SPACE_LONG leave no such case"},
    {"ENTRY_SMM", "without the dual-monitor treatment ENTRY_RESERVED refuses the control"},
    {"ACTIVITY_SMM", "ENTRY_SMM refuses every entry to SMM, outside of which this processor always is"},
};

static const struct {
    const char *id, *title, *field;
    bool guest;
    unsigned qualification;
    u32 encoding, error;
} table[] = {
#define FAILS_CONTROLS false, 0
#define FAILS_HOST false, 0
#define FAILS_GUEST true, ENTRY_FAIL_DEFAULT
#define FAILS_GUEST_PDPTE true, ENTRY_FAIL_PDPTE
#define FAILS_GUEST_NMI true, ENTRY_FAIL_NMI
#define FAILS_GUEST_LINK true, ENTRY_FAIL_LINK
#define ERROR_CONTROL VM_ERROR_ENTRY_CONTROLS
#define ERROR_HOST VM_ERROR_ENTRY_HOST_STATE
#define ERROR_GUEST 0
#define CHECK(id, group, title, failure, field) \
    {#id, title, #field, FAILS_##failure, VMCS_##field, ERROR_##group},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
};

static unsigned find_row(const char *id)
{
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(table[i].id, id) == 0) {
            return i;
        }
    }
    ck_abort_msg("no row %s", id);
    return 0;
}

static void apply(const struct change *change)
{
    switch (change->op) {
    case '=': put(change->field, change->value); break;
    case '|': put(change->field, get(change->field) | change->value); break;
    default: put(change->field, get(change->field) & ~change->value); break;
    }
}

START_TEST(test_vmx__good_vmcs_enters)
{
    start((enum base)_i);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE);
    stop();
}
END_TEST

START_TEST(test_vmx__each_check_names_itself)
{
    const struct broken *b = &rows[_i];
    unsigned row = find_row(b->id);
    start(b->base);
    for (unsigned i = 0; i < ARRAY_LEN(b->change) && b->change[i].op != 0; i++) {
        apply(&b->change[i]);
    }
    u64 value = get(table[row].encoding);
    (void)launch();
    const struct vmx_reason *why = &R.cpu.vmx_reason;
    ck_assert_msg(why->what != NULL && strcmp(why->what, "entry failure") == 0, "%s: entered", b->id);
    ck_assert_str_eq(why->id, b->id);
    ck_assert_str_eq(why->field, table[row].field);
    ck_assert_str_eq(why->title, table[row].title);
    ck_assert_uint_eq(why->value, value);
    ck_assert_msg(strstr(log_text, b->id) != NULL && strstr(log_text, table[row].title) != NULL, "%s", log_text);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(vmcs_header(CPU, AT_VMCS, VMCS_AT_LAUNCHED), 0);
    if (table[row].guest) {
        ck_assert_uint_eq(get(VMCS_EXIT_REASON), EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE);
        ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), table[row].qualification);
        ck_assert_uint_eq(R.cpu.arch.rip, AT_HANDLER);
    } else {
        ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), table[row].error);
        ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_ZF);
        ck_assert_uint_ne(R.cpu.arch.rip, AT_HANDLER);
    }
    stop();
}
END_TEST

START_TEST(test_vmx__no_check_is_untested)
{
    const char *id = table[_i].id;
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        n += strcmp(rows[i].id, id) == 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(never); i++) {
        n += strcmp(never[i].id, id) == 0;
    }
    ck_assert_msg(n > 0, "nothing breaks %s", id);
}
END_TEST

/* ---- VMfail ---- */

/* [SDM3 "VM-Instruction Error Numbers"]: the error is in the current VMCS, the operand in what is kept. */
START_TEST(test_vmx__vmfail_says_why)
{
    struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5, .osz = 8,
                      .r = {RAX, RCX, OPR_NONE, OPR_NONE}};
    start(LONG);
    R.cpu.arch.gpr[RCX] = 0x7ffe;
    ck_assert_int_eq(exec_vmread(CPU, &in), CPU_OK);
    ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), VM_ERROR_UNSUPPORTED_FIELD);
    ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_ZF);
    ck_assert_str_eq(R.cpu.vmx_reason.what, "VMfail");
    ck_assert_str_eq(R.cpu.vmx_reason.id, "UNSUPPORTED_FIELD");
    ck_assert_uint_eq(R.cpu.vmx_reason.qualification, 0x7ffe);
    ck_assert_int_eq(exec_vmcall(CPU, &in), CPU_OK);
    ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), VM_ERROR_VMCALL_IN_ROOT);
    ck_assert_str_eq(R.cpu.vmx_reason.why, "no dual-monitor treatment of SMM");
    R.cpu.arch.vmx.current = VMX_NO_VMCS;
    ck_assert_int_eq(exec_vmread(CPU, &in), CPU_OK);
    ck_assert_uint_eq(cpu_rflags(CPU) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_CF);
    ck_assert_str_eq(R.cpu.vmx_reason.id, "INVALID");
    stop();
}
END_TEST

/* ---- Capabilities ---- */

/* A feature of the controls: both values are allowed. Of the other registers: a bit. */
static bool shows(const struct feature_info *f)
{
    if (f->leaf >= MSR_IA32_VMX_PINBASED_CTLS && f->leaf <= MSR_IA32_VMX_ENTRY_CTLS) {
        u64 v = vmx_capability(CPU, f->leaf - MSR_IA32_VMX_PINBASED_CTLS + MSR_IA32_VMX_TRUE_PINBASED_CTLS);
        return ((v >> (f->bit + 32)) & 1) != 0 && ((v >> f->bit) & 1) == 0;
    }
    unsigned at = f->bit + (f->leaf == MSR_IA32_VMX_PROCBASED_CTLS2 ? 32u : 0u);
    return ((vmx_capability(CPU, f->leaf) >> at) & 1) != 0;
}

/* Every capability that can be absent can be switched off: its control is fixed at its default then. */
START_TEST(test_vmx__capability_off)
{
    const struct feature_info *f = &feature_table[_i];
    struct error err = {0};
    char spec[80];
    if (f->leaf < MSR_IA32_VMX_BASIC || f->leaf > MSR_IA32_VMX_PROCBASED_CTLS3) {
        return;
    }
    rig_start();
    ck_assert_msg(shows(f), "%s is not in max", f->name);
    (void)snprintf(spec, sizeof spec, "max,-%s", f->name);
    ck_assert_msg(cpu_model_parse(&R.model, spec, &err), "%s: %s", spec, err.text);
    ck_assert_msg(!shows(f), "%s", spec);
    rig_stop();
}
END_TEST

/* ---- In the guest ---- */

/* [SDM3 "TSC-Deadline Mode"]: the deadline is compared with the processor's TSC, not with the guest's. */
START_TEST(test_vmx__tsc_deadline_ignores_the_offset)
{
    u64 value = 0;
    start(LONG);
    apic_mmio_write(R.cpu.apic, 0xf0, 0x1ff, 4);
    apic_mmio_write(R.cpu.apic, 0x320, 2u << 17 | 0x40, 4);
    u64 deadline = clock_tsc(&R.clock) + 1000000;
    ck_assert_int_eq(msr_write(CPU, MSR_IA32_TSC_DEADLINE, deadline), CPU_OK);
    put(VMCS_PRIMARY_CONTROLS, get(VMCS_PRIMARY_CONTROLS) | PROC_TSC_OFFSET);
    put(VMCS_TSC_OFFSET, 0 - (u64)500000);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_VMX);
    clock_skip_to(&R.clock, clock_time_of_tsc(&R.clock, deadline - 10));
    clock_fire_due(&R.clock);
    ck_assert_int_eq(apic_pending(R.cpu.apic), -1);
    clock_skip_to(&R.clock, clock_time_of_tsc(&R.clock, deadline));
    clock_fire_due(&R.clock);
    ck_assert_int_eq(apic_pending(R.cpu.apic), 0x40);
    ck_assert_int_eq(msr_read(CPU, MSR_IA32_TSC, &value), CPU_OK);
    ck_assert_uint_eq(value, clock_tsc(&R.clock) - 500000);
    stop();
}
END_TEST

/* [SDM3 "Sub-Page Write Permissions"]: 128 bytes each; what leads there may be missing or wrong. */
START_TEST(test_vmx__sub_pages)
{
    enum { SPP = 0x120000, PT = 0x124000, LIN = 0x60000 };
    u64 value = 1;
    start(LONG);
    /* The first 2 MiB by 4-KiB entries; the page at LIN leaves writes to its sub-pages. */
    store_le64(ram(AT_EPT + 0x1000), (AT_EPT + 0x2000) | 7);
    store_le64(ram(AT_EPT + 0x2000), PT | 7);
    store_le64(ram(AT_EPT + 0x2008), 0x200000 | EPT_LARGE | 6 << 3 | 7);
    for (u64 i = 0; i < 512; i++) {
        store_le64(ram(PT + 8 * i), i << 12 | 6 << 3 | 7);
    }
    store_le64(ram(PT + 8 * (LIN >> 12)), LIN | 6 << 3 | EPT_R | EPT_SPP);
    for (u64 level = 0; level < 3; level++) {
        store_le64(ram(SPP + 0x1000 * level), (SPP + 0x1000 * (level + 1)) | 1);
    }
    store_le64(ram(SPP + 0x3000 + 8 * (LIN >> 12)), BIT(2 * 3)); /* only the fourth */
    put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) | PROC2_SPP);
    put(VMCS_SPP_TABLE_POINTER, SPP);
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + 3 * 128 + 8, 8, 77), CPU_OK);
    ck_assert_int_eq(mem_read(CPU, SEG_DS, LIN + 3 * 128 + 8, 8, &value), CPU_OK);
    ck_assert_uint_eq(value, 77);
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + 4 * 128, 8, 77), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.exit.reason, EXIT_EPT_VIOLATION);
    store_le64(ram(SPP + 0x3000 + 8 * (LIN >> 12)), BIT(1));
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + 3 * 128, 8, 77), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.exit.reason, EXIT_SPP);
    ck_assert_uint_eq(R.cpu.exit.qualification, 0);
    store_le64(ram(SPP + 0x2000), 0);
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + 3 * 128, 8, 77), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.exit.reason, EXIT_SPP);
    ck_assert_uint_eq(R.cpu.exit.qualification, SPPQ_MISS);
    ck_assert_uint_eq(R.cpu.exit.linear, LIN + 3 * 128);
    R.cpu.event.kind = EVENT_NONE;
    stop();
}
END_TEST

/* [SDM3 "IPI Virtualization"]: a fixed IPI to one physical destination is posted; others exit after the write. */
START_TEST(test_vmx__virtual_ipi)
{
    enum { TABLE = 0x60000, DESC = 0x61000 };
    bool done = false;
    start(LONG);
    put(VMCS_SECONDARY_CONTROLS,
        get(VMCS_SECONDARY_CONTROLS) | PROC2_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRT_INT_DELIVERY);
    put(VMCS_TERTIARY_CONTROLS, PROC3_IPI_VIRT);
    put(VMCS_PID_POINTER_TABLE, TABLE);
    put(VMCS_LAST_PID_INDEX, 3);
    store_le64(ram(TABLE + 8 * 3), DESC | 1);
    store_le64(ram(DESC + 32), BIT(1)); /* suppressed: no notification */
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
    u64 icr = (u64)3 << 32 | 0x4000 | 0x51;
    ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_OK);
    ck_assert(done && !R.cpu.arch.vmx.apic_write);
    ck_assert_uint_eq(load_le64(ram(DESC + 8)), BIT(0x51 - 64));
    ck_assert_uint_eq(load_le64(ram(DESC + 32)), BIT(1));
    static const u64 others[] = {(u64)3 << 32 | 0x851, (u64)3 << 32 | 0x451, 0x40051, (u64)3 << 32 | 0x1,
                                 (u64)2 << 32 | 0x51, (u64)9 << 32 | 0x51};
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        R.cpu.arch.vmx.apic_write = false;
        icr = others[i];
        ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_OK);
        ck_assert_msg(R.cpu.arch.vmx.apic_write && R.cpu.arch.vmx.apic_offset == 0x300, "%u", i);
    }
    ck_assert_uint_eq(load_le64(ram(DESC + 8)), BIT(0x51 - 64));
    icr = BIT(20) | 0x51;
    ck_assert_int_eq(virt_msr(CPU, 0x830, true, &icr, &done), CPU_EXIT);
    ck_assert_uint_eq(R.cpu.event.vector, VEC_GP);
    R.cpu.event.kind = EVENT_NONE;
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx");
    TCase *tc = tcase_create("entry");
    tcase_add_loop_test(tc, test_vmx__good_vmcs_enters, 0, BASE_COUNT);
    tcase_add_loop_test(tc, test_vmx__each_check_names_itself, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tc, test_vmx__no_check_is_untested, 0, ARRAY_LEN(table));
    tcase_add_test(tc, test_vmx__vmfail_says_why);
    tcase_add_loop_test(tc, test_vmx__capability_off, 0, CPU_FEATURE_COUNT);
    tcase_add_test(tc, test_vmx__tsc_deadline_ignores_the_offset);
    tcase_add_test(tc, test_vmx__sub_pages);
    tcase_add_test(tc, test_vmx__virtual_ipi);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
