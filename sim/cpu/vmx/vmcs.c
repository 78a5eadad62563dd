/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields of the VMCS: existence and access. [SDM3 "Virtual-Machine Control Structures"] */
#include "cpu/vmx/vmcs.h"

#include "cpu/model.h"

struct field {
    u32 encoding;
    const char *title;
};

static const struct field fields[] = {
#define VMCS(name, encoding, width, type, title) {encoding, title},
#include "abi/x86/vmcs_fields.def"
#undef VMCS
};

/* Fields that exist only with a capability; the others always do. */
static const struct {
    u32 encoding;
    enum cpu_feature feature;
} gates[] = {
    {VMCS_VPID, CPU_FEATURE_VMX_VPID},
    {VMCS_POSTED_INTR_VECTOR, CPU_FEATURE_VMX_POSTED_INTR},
    {VMCS_POSTED_INTR_DESC_ADDRESS, CPU_FEATURE_VMX_POSTED_INTR},
    {VMCS_EPTP_INDEX, CPU_FEATURE_VMX_EPT_VE},
    {VMCS_VE_INFO_ADDRESS, CPU_FEATURE_VMX_EPT_VE},
    {VMCS_LAST_PID_INDEX, CPU_FEATURE_VMX_IPI_VIRT},
    {VMCS_PID_POINTER_TABLE, CPU_FEATURE_VMX_IPI_VIRT},
    {VMCS_GUEST_INTERRUPT_STATUS, CPU_FEATURE_VMX_APICV_VID},
    {VMCS_EOI_EXIT_BITMAP_0, CPU_FEATURE_VMX_APICV_VID},
    {VMCS_EOI_EXIT_BITMAP_1, CPU_FEATURE_VMX_APICV_VID},
    {VMCS_EOI_EXIT_BITMAP_2, CPU_FEATURE_VMX_APICV_VID},
    {VMCS_EOI_EXIT_BITMAP_3, CPU_FEATURE_VMX_APICV_VID},
    {VMCS_PML_INDEX, CPU_FEATURE_VMX_PML},
    {VMCS_PML_ADDRESS, CPU_FEATURE_VMX_PML},
    {VMCS_IO_BITMAP_A, CPU_FEATURE_VMX_IO_BITMAP},
    {VMCS_IO_BITMAP_B, CPU_FEATURE_VMX_IO_BITMAP},
    {VMCS_MSR_BITMAPS, CPU_FEATURE_VMX_MSR_BITMAP},
    {VMCS_VIRTUAL_APIC_ADDRESS, CPU_FEATURE_VMX_FLEXPRIORITY},
    {VMCS_TPR_THRESHOLD, CPU_FEATURE_VMX_FLEXPRIORITY},
    {VMCS_APIC_ACCESS_ADDRESS, CPU_FEATURE_VMX_APICV_XAPIC},
    {VMCS_VM_FUNCTION_CONTROLS, CPU_FEATURE_VMX_VMFUNC},
    {VMCS_EPTP_LIST_ADDRESS, CPU_FEATURE_VMX_EPTP_SWITCHING},
    {VMCS_EPT_POINTER, CPU_FEATURE_VMX_EPT},
    {VMCS_GUEST_PHYSICAL_ADDRESS, CPU_FEATURE_VMX_EPT},
    {VMCS_GUEST_PDPTE0, CPU_FEATURE_VMX_EPT},
    {VMCS_GUEST_PDPTE1, CPU_FEATURE_VMX_EPT},
    {VMCS_GUEST_PDPTE2, CPU_FEATURE_VMX_EPT},
    {VMCS_GUEST_PDPTE3, CPU_FEATURE_VMX_EPT},
    {VMCS_VMREAD_BITMAP, CPU_FEATURE_VMX_SHADOW_VMCS},
    {VMCS_VMWRITE_BITMAP, CPU_FEATURE_VMX_SHADOW_VMCS},
    {VMCS_XSS_EXITING_BITMAP, CPU_FEATURE_VMX_XSAVES},
    {VMCS_ENCLS_EXITING_BITMAP, CPU_FEATURE_VMX_ENCLS_EXIT},
    {VMCS_PCONFIG_EXITING_BITMAP, CPU_FEATURE_VMX_PCONFIG_EXIT},
    {VMCS_SPP_TABLE_POINTER, CPU_FEATURE_VMX_SPP},
    {VMCS_TSC_MULTIPLIER, CPU_FEATURE_VMX_TSC_SCALING},
    {VMCS_TERTIARY_CONTROLS, CPU_FEATURE_VMX_TERTIARY_CTLS},
    {VMCS_SPEC_CTRL_MASK, CPU_FEATURE_VMX_SPEC_CTRL},
    {VMCS_SPEC_CTRL_SHADOW, CPU_FEATURE_VMX_SPEC_CTRL},
    {VMCS_GUEST_PAT, CPU_FEATURE_VMX_ENTRY_LOAD_PAT},
    {VMCS_HOST_PAT, CPU_FEATURE_VMX_EXIT_LOAD_PAT},
    {VMCS_GUEST_EFER, CPU_FEATURE_VMX_ENTRY_LOAD_EFER},
    {VMCS_HOST_EFER, CPU_FEATURE_VMX_EXIT_LOAD_EFER},
    {VMCS_GUEST_PERF_GLOBAL_CTRL, CPU_FEATURE_VMX_ENTRY_LOAD_PERF},
    {VMCS_HOST_PERF_GLOBAL_CTRL, CPU_FEATURE_VMX_EXIT_LOAD_PERF},
    {VMCS_GUEST_PKRS, CPU_FEATURE_VMX_ENTRY_LOAD_PKRS},
    {VMCS_HOST_PKRS, CPU_FEATURE_VMX_EXIT_LOAD_PKRS},
    {VMCS_GUEST_S_CET, CPU_FEATURE_VMX_ENTRY_LOAD_CET},
    {VMCS_GUEST_SSP, CPU_FEATURE_VMX_ENTRY_LOAD_CET},
    {VMCS_GUEST_INTR_SSP_TABLE, CPU_FEATURE_VMX_ENTRY_LOAD_CET},
    {VMCS_HOST_S_CET, CPU_FEATURE_VMX_EXIT_LOAD_CET},
    {VMCS_HOST_SSP, CPU_FEATURE_VMX_EXIT_LOAD_CET},
    {VMCS_HOST_INTR_SSP_TABLE, CPU_FEATURE_VMX_EXIT_LOAD_CET},
    {VMCS_PREEMPTION_TIMER, CPU_FEATURE_VMX_PREEMPTION_TIMER},
    {VMCS_PLE_GAP, CPU_FEATURE_VMX_PLE},
    {VMCS_PLE_WINDOW, CPU_FEATURE_VMX_PLE},
    {VMCS_SECONDARY_CONTROLS, CPU_FEATURE_VMX_SECONDARY_CTLS},
};

/* Fields of what no model has: ENCLV, PASID, HLAT, processor trace, LBR, timeouts. */
static const u32 absent[] = {
    VMCS_HLAT_PREFIX_SIZE, VMCS_ENCLV_EXITING_BITMAP, VMCS_LOW_PASID_DIRECTORY, VMCS_HIGH_PASID_DIRECTORY,
    VMCS_SHARED_EPT_POINTER, VMCS_HLAT_POINTER,
    VMCS_SECONDARY_EXIT_CONTROLS, VMCS_GUEST_RTIT_CTL, VMCS_GUEST_LBR_CTL,
    VMCS_INSTRUCTION_TIMEOUT,
};

const char *vmcs_field_title(u32 encoding)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].encoding == (encoding & ~1u)) {
            return fields[i].title;
        }
    }
    return NULL;
}

static bool model_has_field(const struct cpu *cpu, u32 encoding)
{
    if (encoding == VMCS_GUEST_BNDCFGS) { /* either control brings it */
        return cpu_has(cpu, CPU_FEATURE_VMX_ENTRY_LOAD_BNDCFGS) || cpu_has(cpu, CPU_FEATURE_VMX_EXIT_CLEAR_BNDCFGS);
    }
    for (size_t i = 0; i < ARRAY_LEN(gates); i++) {
        if (gates[i].encoding == encoding && !cpu_has(cpu, gates[i].feature)) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        if (absent[i] == encoding) {
            return false;
        }
    }
    return true;
}

void vmcs_init(struct cpu *cpu)
{
    memset(cpu->vmcs_fields, 0, sizeof cpu->vmcs_fields);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        unsigned slot = vmcs_slot(fields[i].encoding);
        if (model_has_field(cpu, fields[i].encoding)) {
            cpu->vmcs_fields[slot / 64] |= (u64)1 << (slot % 64);
        }
    }
}

u64 vmcs_highest_index(const struct cpu *cpu)
{
    u64 top = 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        u64 index = (fields[i].encoding >> 1) & 0x1ff;
        if (index > top && vmcs_field_exists(cpu, fields[i].encoding)) {
            top = index;
        }
    }
    return top;
}

/* Host bytes of the current VMCS's page, when they may be touched directly. */
static u8 *region_host(struct cpu *cpu, u64 region)
{
    if (region != cpu->arch.vmx.current || (region & PAGE_MASK) != 0) {
        return NULL;
    }
    if (cpu->d.vmcs_host == NULL || cpu->d.vmcs_region != region) {
        u64 frame;
        u8 *host;
        bool writable;
        if (!phys_page(cpu->phys, SPA(region), &frame, &host, &writable) || !writable) {
            return NULL;
        }
        cpu->d.vmcs_host = host;
        cpu->d.vmcs_region = region;
        cpu->d.vmcs_frame = frame;
    }
    return cpu->d.vmcs_host;
}

static u64 read_region(struct cpu *cpu, u64 region, unsigned at, unsigned size)
{
    const u8 *host = region_host(cpu, region);
    return host != NULL ? load_le(host + at, size)
                        : phys_read_scalar(cpu->phys, SPA(region + at), size);
}

static void write_region(struct cpu *cpu, u64 region, unsigned at, unsigned size, u64 value)
{
    u8 *host = region_host(cpu, region);
    if (host != NULL) {
        struct page_desc *page = &cpu->phys->pages[cpu->d.vmcs_frame];
        if ((page->flags & ~(u32)PAGE_DIRTY) == 0) {
            phys_note_write(cpu->phys, cpu->d.vmcs_frame);
            store_le(host + at, value, size);
            return;
        }
    }
    phys_write_scalar(cpu->phys, SPA(region + at), value, size);
}

u64 vmcs_read_slow(struct cpu *cpu, u64 region, u32 encoding)
{
    return read_region(cpu, region, vmcs_offset(encoding), vmcs_size(encoding));
}

void vmcs_write_slow(struct cpu *cpu, u64 region, u32 encoding, u64 value)
{
    write_region(cpu, region, vmcs_offset(encoding), vmcs_size(encoding), value);
}

u32 vmcs_header(struct cpu *cpu, u64 region, unsigned at)
{
    return (u32)read_region(cpu, region, at, 4);
}

void vmcs_set_header(struct cpu *cpu, u64 region, unsigned at, u32 value)
{
    write_region(cpu, region, at, 4, value);
}
