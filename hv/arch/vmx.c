/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intel: VMXON, VMCS, entries. Needs EPT and unrestricted guest. Exits become the neutral record in vmx_exit.c.
 * [SDM3 "Virtual Machine Extensions"] Left out: APIC virtualization, the preemption timer, virtual NMIs. */
#include "hv/arch/vmx_priv.h"

#include "abi/x86/msr.h"
#include "abi/x86/registers.h"
#include "hv/arch/vmx_insn.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/mem/page.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vtl.h"

#define BASIC_TRUE_CONTROLS BIT(55)
#define EPTP_WB_4_LEVELS 0x1eull
#define EPT_TYPE_WB (6ull << 3)
#define CR4_HIDDEN (CR4_VMXE | CR4_SMXE | CR4_LA57)
#define CR0_HIDDEN (CR0_NE | CR0_CD | CR0_NW)

u64 vmx_run(u64 *gpr, u64 launched);
extern const u8 vmx_exit[];

static u8 msr_bitmaps[4096] __attribute__((aligned(4096)));
static u8 io_bitmaps[2 * 4096] __attribute__((aligned(4096))); /* of who has the trace port: all others exit */
static bool has_rdtscp;

/* MSRs that guests use directly. They stay in the processor until another VP comes. */
struct direct {
    u32 msr;
    u16 offset;
};

#define DIRECT(msr, field) {msr, offsetof(struct vp_registers, field)}
static const struct direct direct_msrs[] = {
    DIRECT(MSR_IA32_STAR, star),
    DIRECT(MSR_IA32_LSTAR, lstar),
    DIRECT(MSR_IA32_CSTAR, cstar),
    DIRECT(MSR_IA32_FMASK, sfmask),
    DIRECT(MSR_IA32_KERNEL_GS_BASE, kernel_gs_base),
    DIRECT(MSR_IA32_TSC_AUX, tsc_aux), /* last: only with RDTSCP */
};

static u64 *direct_of(struct vp *vp, const struct direct *d) { return (u64 *)(void *)((u8 *)&vp->r + d->offset); }
static unsigned direct_count(void) { return has_rdtscp ? ARRAY_LEN(direct_msrs) : ARRAY_LEN(direct_msrs) - 1; }

/* [SDM3 "MSR-Bitmap Address"]: reads low, reads high, writes low, writes high; 1 exits. */
static void let_msr(u32 msr, bool read, bool write)
{
    u32 byte = (msr >= 0xc0000000 ? 1024 : 0) + (msr & 0x1fff) / 8;
    u8 keep = (u8)~(1u << (msr % 8));
    if (read) {
        msr_bitmaps[byte] &= keep;
    }
    if (write) {
        msr_bitmaps[byte + 2048] &= keep;
    }
}

static void init_msr_bitmaps(void)
{
    memset(msr_bitmaps, 0xff, sizeof msr_bitmaps);
    for (unsigned i = 0; i < direct_count(); i++) {
        let_msr(direct_msrs[i].msr, true, true);
    }
    let_msr(MSR_IA32_FS_BASE, true, true);
    let_msr(MSR_IA32_GS_BASE, true, true);
    let_msr(MSR_IA32_SYSENTER_CS, true, true);
    let_msr(MSR_IA32_SYSENTER_ESP, true, true);
    let_msr(MSR_IA32_SYSENTER_EIP, true, true);
    let_msr(MSR_IA32_TSC, true, false);
    memset(io_bitmaps, 0xff, sizeof io_bitmaps);
    for (u32 port = TRACE_PORT_ID; port < TRACE_PORT_ID + TRACE_PORT_PORTS; port++) {
        io_bitmaps[port / 8] &= (u8)~(1u << port % 8);
    }
}

static u32 revision(void) { return (u32)insn_rdmsr(MSR_IA32_VMX_BASIC) & 0x7fffffff; }

/* What hv cannot do without has to be allowed. [SDM3 "VMX Capability Reporting Facility"] */
static u32 controls(u32 msr, u32 true_msr, u32 needed, u32 wanted, const char *what)
{
    bool has_true = true_msr != 0 && (insn_rdmsr(MSR_IA32_VMX_BASIC) & BASIC_TRUE_CONTROLS) != 0;
    u64 allowed = insn_rdmsr(has_true ? true_msr : msr);
    u32 ones = (u32)allowed;
    u32 may = (u32)(allowed >> 32);
    if ((needed & ~may) != 0) {
        panic("this processor's VMX lacks %s %x", what, needed & ~may);
    }
    return ((needed | wanted) & may) | ones;
}

static void vmx_cpu_init(struct cpu *c)
{
    u64 feature = insn_rdmsr(MSR_IA32_FEATURE_CONTROL);
    if ((feature & FEATURE_CONTROL_LOCK) == 0) {
        insn_wrmsr(MSR_IA32_FEATURE_CONTROL, feature | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
    } else if ((feature & FEATURE_CONTROL_VMX) == 0) {
        panic("the firmware has disabled VMX");
    }
    if (c->index == 0) {
        has_rdtscp = (insn_cpuid(0x80000001, 0).edx & 1u << 27) != 0;
        init_msr_bitmaps();
    }
    insn_write_cr0(insn_read_cr0() | insn_rdmsr(MSR_IA32_VMX_CR0_FIXED0));
    insn_write_cr4(insn_read_cr4() | CR4_VMXE | insn_rdmsr(MSR_IA32_VMX_CR4_FIXED0));
    c->arch_host = pool_alloc(&hv_pool);
    if (c->arch_host == NULL) {
        panic("hv's pool is empty");
    }
    *(u32 *)c->arch_host = revision();
    insn_vmxon(ptr_to_spa(c->arch_host));
}

static void write_controls(const struct vp *vp)
{
    bool root = vp->partition == root_partition;
    vmwrite(VMCS_PIN_CONTROLS, controls(MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS,
                                        PIN_EXT_INT | PIN_NMI, 0, "pin-based controls"));
    u32 ports = root ? 0 : vp_has_trace_port(vp) ? PROC_IO_BITMAPS : PROC_UNCOND_IO;
    u32 needed = PROC_HLT | PROC_RDPMC | PROC_MWAIT | PROC_MONITOR | PROC_CR8_LOAD | PROC_CR8_STORE |
                 PROC_MSR_BITMAPS | PROC_SECONDARY | ports;
    vmwrite(VMCS_PRIMARY_CONTROLS, controls(MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, needed,
                                            0, "processor-based controls"));
    vmwrite(VMCS_SECONDARY_CONTROLS,
            controls(MSR_IA32_VMX_PROCBASED_CTLS2, 0, PROC2_EPT | PROC2_UNRESTRICTED,
                     PROC2_RDTSCP | PROC2_INVPCID | PROC2_VPID, "secondary controls"));
    vmwrite(VMCS_EXIT_CONTROLS,
            controls(MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS,
                     EXITC_HOST_64 | EXITC_SAVE_EFER | EXITC_LOAD_EFER | EXITC_SAVE_PAT | EXITC_LOAD_PAT,
                     EXITC_SAVE_DEBUG, "exit controls"));
    vmwrite(VMCS_ENTRY_CONTROLS, controls(MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS,
                                          ENTRYC_LOAD_EFER | ENTRYC_LOAD_PAT, ENTRYC_LOAD_DEBUG, "entry controls"));
    vmwrite(VMCS_EXCEPTION_BITMAP, 0);
    vmwrite(VMCS_PF_ERROR_MASK, 0);
    vmwrite(VMCS_PF_ERROR_MATCH, 0);
    vmwrite(VMCS_CR3_TARGET_COUNT, 0);
    vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, 0);
    vmwrite(VMCS_MSR_BITMAPS, ptr_to_spa(msr_bitmaps));
    vmwrite(VMCS_IO_BITMAP_A, ptr_to_spa(io_bitmaps));
    vmwrite(VMCS_IO_BITMAP_B, ptr_to_spa(io_bitmaps + 4096));
    vmwrite(VMCS_CR0_MASK, CR0_HIDDEN);
    vmwrite(VMCS_CR4_MASK, CR4_HIDDEN);
    if ((vmread(VMCS_SECONDARY_CONTROLS) & PROC2_VPID) != 0) { /* ids of partitions do not come back */
        vmwrite(VMCS_VPID, ((vp->partition->id * VP_MAX + vp->index) * 2 + (vp->vtl != 0)) % 0xffff + 1);
    }
}

static void write_host(const struct vp *vp)
{
    const struct cpu *c = vp->cpu;
    vmwrite(VMCS_HOST_CR0, insn_read_cr0());
    vmwrite(VMCS_HOST_CR3, insn_read_cr3());
    vmwrite(VMCS_HOST_CR4, insn_read_cr4());
    vmwrite(VMCS_HOST_CS_SELECTOR, SEL_CODE);
    vmwrite(VMCS_HOST_DS_SELECTOR, SEL_DATA);
    vmwrite(VMCS_HOST_ES_SELECTOR, SEL_DATA);
    vmwrite(VMCS_HOST_SS_SELECTOR, SEL_DATA);
    vmwrite(VMCS_HOST_FS_SELECTOR, 0);
    vmwrite(VMCS_HOST_GS_SELECTOR, 0);
    vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
    vmwrite(VMCS_HOST_FS_BASE, 0);
    vmwrite(VMCS_HOST_GS_BASE, ptr_to_spa(c));
    vmwrite(VMCS_HOST_TR_BASE, ptr_to_spa(&c->tss));
    vmwrite(VMCS_HOST_GDTR_BASE, ptr_to_spa(c->gdt));
    struct table_register idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
    vmwrite(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite(VMCS_HOST_EFER, insn_rdmsr(MSR_IA32_EFER));
    vmwrite(VMCS_HOST_PAT, insn_rdmsr(MSR_IA32_PAT));
    vmwrite(VMCS_HOST_RIP, ptr_to_spa(vmx_exit));
}

static bool vmx_vp_init(struct vp *vp)
{
    vp->control = pool_alloc(&vp->partition->pool);
    if (vp->control == NULL) {
        return false;
    }
    *(u32 *)vp->control = revision();
    insn_vmclear(ptr_to_spa(vp->control));
    insn_vmptrld(ptr_to_spa(vp->control));
    write_controls(vp);
    write_host(vp);
    vmwrite(VMCS_GUEST_LINK_POINTER, ~0ull);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    vmwrite(VMCS_GUEST_ACTIVITY, VMCS_ACTIVE);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    insn_vmclear(ptr_to_spa(vp->control));
    const struct vp *current = this_cpu()->last_vp;
    if (current != NULL) {
        insn_vmptrld(ptr_to_spa(current->control));
    }
    return true;
}

static void vmx_vp_free(struct vp *vp) { pool_free(&vp->partition->pool, vp->control); }

static void vmx_vp_enter_cpu(struct vp *vp)
{
    insn_vmptrld(ptr_to_spa(vp->control));
    vp->launched = false;
    vp->slat_seen = vp->partition->slat_generation - 1;
}

static void vmx_vp_leave_cpu(struct vp *vp) { insn_vmclear(ptr_to_spa(vp->control)); }

/* The fields of a segment register follow each other, two apart, in the order of enum segment_index. */
static void load_segment(unsigned i, const struct segment *s)
{
    u32 rights = (s->attributes & SEG_P) != 0 ? s->attributes : SEG_UNUSABLE;
    if (i == SEG_TR) {
        rights = s->attributes | SEG_P;
    }
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_SELECTOR + 2 * i), s->selector);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_LIMIT + 2 * i), s->limit);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i), rights);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_BASE + 2 * i), s->base);
}

static void save_segment(unsigned i, struct segment *s)
{
    u32 rights = (u32)vmread((enum vmcs_field)(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i));
    s->selector = (u16)vmread((enum vmcs_field)(VMCS_GUEST_ES_SELECTOR + 2 * i));
    s->limit = (u32)vmread((enum vmcs_field)(VMCS_GUEST_ES_LIMIT + 2 * i));
    s->base = vmread((enum vmcs_field)(VMCS_GUEST_ES_BASE + 2 * i));
    s->attributes = (u16)((rights & SEG_UNUSABLE) != 0 ? rights & ~(u32)SEG_P : rights);
}

/* With PAE paging the processor takes these from here at an entry. [SDM3 "Loading Page-Directory-Pointer-Table Entries"] */
static void load_pdptes(const struct vp *vp)
{
    const struct vp_registers *r = &vp->r;
    u64 entries[4];
    bool pae = (r->cr0 & CR0_PG) != 0 && (r->cr4 & CR4_PAE) != 0 && (r->efer & EFER_LMA) == 0;
    bool changed = vmread(VMCS_GUEST_CR3) != r->cr3 || ((vmread(VMCS_GUEST_CR0) ^ r->cr0) & CR0_PG) != 0 ||
                   ((vmread(VMCS_GUEST_CR4) ^ r->cr4) & CR4_PAE) != 0;
    if (pae && changed && guest_read(vp->partition, r->cr3 & 0xffffffe0, entries, sizeof entries)) {
        vmwrite(VMCS_GUEST_PDPTE0, entries[0]);
        vmwrite(VMCS_GUEST_PDPTE1, entries[1]);
        vmwrite(VMCS_GUEST_PDPTE2, entries[2]);
        vmwrite(VMCS_GUEST_PDPTE3, entries[3]);
    }
}

static void vmx_vp_load(struct vp *vp)
{
    const struct vp_registers *r = &vp->r;
    load_pdptes(vp);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        load_segment(i, &r->segment[i]);
    }
    vmwrite(VMCS_GUEST_GDTR_BASE, r->gdtr.base);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, r->gdtr.limit);
    vmwrite(VMCS_GUEST_IDTR_BASE, r->idtr.base);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, r->idtr.limit);
    vmwrite(VMCS_GUEST_CR0, (r->cr0 & ~(u64)CR0_HIDDEN) | CR0_NE);
    vmwrite(VMCS_CR0_READ_SHADOW, r->cr0);
    vmwrite(VMCS_GUEST_CR3, r->cr3);
    vmwrite(VMCS_GUEST_CR4, (r->cr4 & ~(u64)CR4_HIDDEN) | CR4_VMXE);
    vmwrite(VMCS_CR4_READ_SHADOW, r->cr4);
    vmwrite(VMCS_GUEST_EFER, r->efer);
    vmwrite(VMCS_GUEST_PAT, r->pat);
    vmwrite(VMCS_GUEST_DR7, r->dr7);
    vmwrite(VMCS_GUEST_SYSENTER_CS, r->sysenter_cs);
    vmwrite(VMCS_GUEST_SYSENTER_ESP, r->sysenter_esp);
    vmwrite(VMCS_GUEST_SYSENTER_EIP, r->sysenter_eip);
    u64 entry = vmread(VMCS_ENTRY_CONTROLS) & ~(u64)ENTRYC_GUEST_64;
    vmwrite(VMCS_ENTRY_CONTROLS, entry | ((r->efer & EFER_LMA) != 0 ? ENTRYC_GUEST_64 : 0));
    for (unsigned i = 0; i < direct_count(); i++) {
        insn_wrmsr(direct_msrs[i].msr, *direct_of(vp, &direct_msrs[i]));
    }
}

static void vmx_vp_save(struct vp *vp)
{
    struct vp_registers *r = &vp->r;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        save_segment(i, &r->segment[i]);
    }
    r->gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
    r->gdtr.limit = (u32)vmread(VMCS_GUEST_GDTR_LIMIT);
    r->idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
    r->idtr.limit = (u32)vmread(VMCS_GUEST_IDTR_LIMIT);
    r->cr0 = (vmread(VMCS_GUEST_CR0) & ~(u64)CR0_HIDDEN) | (vmread(VMCS_CR0_READ_SHADOW) & CR0_HIDDEN);
    r->cr3 = vmread(VMCS_GUEST_CR3);
    r->cr4 = (vmread(VMCS_GUEST_CR4) & ~(u64)CR4_HIDDEN) | (vmread(VMCS_CR4_READ_SHADOW) & CR4_HIDDEN);
    r->efer = vmread(VMCS_GUEST_EFER);
    r->pat = vmread(VMCS_GUEST_PAT);
    r->dr7 = vmread(VMCS_GUEST_DR7);
    r->sysenter_cs = vmread(VMCS_GUEST_SYSENTER_CS);
    r->sysenter_esp = vmread(VMCS_GUEST_SYSENTER_ESP);
    r->sysenter_eip = vmread(VMCS_GUEST_SYSENTER_EIP);
    for (unsigned i = 0; i < direct_count(); i++) {
        *direct_of(vp, &direct_msrs[i]) = insn_rdmsr(direct_msrs[i].msr);
    }
}

static u32 interruptibility(const struct vp *vp)
{
    u32 shadow = (vp->r.rflags & RFLAGS_IF) != 0 ? INTERRUPTIBILITY_STI : INTERRUPTIBILITY_MOV_SS;
    bool nmi = vp->nmi_blocked && vp->event.kind != EVENT_NMI;
    return (vp->shadow ? shadow : 0) | (nmi ? INTERRUPTIBILITY_NMI : 0);
}

static void inject(const struct event *e)
{
    static const u8 types[] = {[EVENT_INTERRUPT] = INTR_EXTERNAL,
                               [EVENT_NMI] = INTR_NMI,
                               [EVENT_EXCEPTION] = INTR_HARD_EXCEPTION,
                               [EVENT_SOFT_INTERRUPT] = INTR_SOFT_INT};
    if (e->kind == EVENT_NONE) {
        vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, 0);
        return;
    }
    vmwrite(VMCS_ENTRY_EXCEPTION_ERROR, e->error);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, INTR_VALID | e->vector | (u32)types[e->kind] << INTR_TYPE_SHIFT |
                                              (e->has_error ? INTR_ERROR_CODE : 0));
}

static void want_window(bool on)
{
    u64 primary = vmread(VMCS_PRIMARY_CONTROLS);
    vmwrite(VMCS_PRIMARY_CONTROLS, on ? primary | PROC_INT_WINDOW : primary & ~(u64)PROC_INT_WINDOW);
}

static void vmx_enter(struct vp *vp, struct hv_exit *e)
{
    struct vp_registers *r = &vp->r;
    u64 eptp = ptr_to_spa(vtl_slat(vp)) | EPTP_WB_4_LEVELS;
    vmwrite(VMCS_EPT_POINTER, eptp);
    if (vp->slat_seen != vp->partition->slat_generation) {
        vp->slat_seen = vp->partition->slat_generation;
        insn_invept(eptp);
    }
    vmwrite(VMCS_GUEST_RIP, r->rip);
    vmwrite(VMCS_GUEST_RFLAGS, r->rflags);
    vmwrite(VMCS_GUEST_RSP, vp->gpr[X86_RSP]);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, interruptibility(vp));
    vmwrite(VMCS_EXCEPTION_BITMAP, vp_exceptions(vp));
    inject(&vp->event);
    want_window(vp->want_window);
    insn_write_cr2(r->cr2);
    bool failed = vmx_run(vp->gpr, vp->launched) != 0;
    r->cr2 = insn_read_cr2();
    if (failed) {
        panic("VM entry fails: error %lu", vmread(VMCS_INSTRUCTION_ERROR));
    }
    vp->launched = true;
    r->rip = vmread(VMCS_GUEST_RIP);
    r->rflags = vmread(VMCS_GUEST_RFLAGS);
    vp->gpr[X86_RSP] = vmread(VMCS_GUEST_RSP);
    u64 state = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    vp->shadow = (state & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) != 0;
    vp->nmi_blocked = (state & INTERRUPTIBILITY_NMI) != 0;
    vmx_decode_exit(vp, e);
}

static u64 vmx_slat_leaf(u64 spa, enum slat_rights rights, enum slat_type type, bool large)
{
    return spa | ((rights & SLAT_R) != 0 ? EPT_R : 0) | ((rights & SLAT_W) != 0 ? EPT_W : 0) |
           ((rights & SLAT_X) != 0 ? EPT_X : 0) | (type == SLAT_WB ? EPT_TYPE_WB : 0) | (large ? EPT_LARGE : 0);
}

static u64 vmx_slat_table(u64 spa) { return spa | EPT_R | EPT_W | EPT_X; }
static bool vmx_slat_is_large(u64 entry) { return (entry & EPT_LARGE) != 0; }

static void vmx_slat_decode(u64 entry, enum slat_rights *rights, enum slat_type *type)
{
    *rights = (enum slat_rights)(((entry & EPT_R) != 0 ? SLAT_R : 0) | ((entry & EPT_W) != 0 ? SLAT_W : 0) |
                                 ((entry & EPT_X) != 0 ? SLAT_X : 0));
    *type = (entry & EPT_TYPE_WB) != 0 ? SLAT_WB : SLAT_UC;
}

const struct arch arch_vmx = {
    .name = "VMX with EPT",
    .hypercall_code = {0x0f, 0x01, 0xc1, 0xc3},
    .cpu_init = vmx_cpu_init,
    .vp_init = vmx_vp_init,
    .vp_free = vmx_vp_free,
    .vp_enter_cpu = vmx_vp_enter_cpu,
    .vp_leave_cpu = vmx_vp_leave_cpu,
    .vp_load = vmx_vp_load,
    .vp_save = vmx_vp_save,
    .run = vmx_enter,
    .slat_leaf = vmx_slat_leaf,
    .slat_table = vmx_slat_table,
    .slat_is_large = vmx_slat_is_large,
    .slat_decode = vmx_slat_decode,
};
