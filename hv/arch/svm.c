/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD: VMCB, VMRUN, exits into the neutral record, NPT entries. [APM2 "Secure Virtual Machine"] Of optional features only
 * nested paging is needed; next RIP is used where it is saved. Left out: AVIC, clean bits, virtual NMI. */
#include "abi/x86/msr.h"
#include "abi/x86/registers.h"
#include "abi/x86/svm.h"
#include "hv/arch/arch.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/mem/page.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"
#include "hv/vcpu/vtl.h"

#define CPUID_SVM_NP 0x1u
#define CPUID_SVM_NRIP 0x8u

#define NPT_P 0x1ull
#define NPT_W 0x2ull
#define NPT_U 0x4ull
#define NPT_PWT 0x8ull
#define NPT_PCD 0x10ull
#define NPT_LARGE 0x80ull
#define NPT_NX 0x8000000000000000ull

#define INTERCEPT_WORD(code) ((code) / 32 * 4u)
#define SVM_EXIT_EXCEPTION 0x40u /* and the vector */
#define VMCB_INTERCEPT_EXCEPTIONS INTERCEPT_WORD(SVM_EXIT_EXCEPTION)
#define CLEAR_ASID_FIRST 1u

void svm_run(u64 vmcb, u64 *gpr, u64 host_vmcb);

/* Permission maps: 1 intercepts. One for children (all ports), one for the root (none). */
static u8 io_all[3 * 4096] __attribute__((aligned(4096)));
static u8 io_none[3 * 4096] __attribute__((aligned(4096)));
static u8 io_trace[3 * 4096] __attribute__((aligned(4096))); /* all but the trace port */
static u8 msr_map[2 * 4096] __attribute__((aligned(4096)));
static bool has_nrip;
static bool has_rdtscp;

static void *at(const struct vp *vp, u32 offset) { return (u8 *)vp->control + offset; }
static u64 get64(const struct vp *vp, u32 offset) { return *(u64 *)at(vp, offset); }
static u32 get32(const struct vp *vp, u32 offset) { return *(u32 *)at(vp, offset); }
static void set64(struct vp *vp, u32 offset, u64 v) { *(u64 *)at(vp, offset) = v; }
static void set32(struct vp *vp, u32 offset, u32 v) { *(u32 *)at(vp, offset) = v; }

static void set_intercept(struct vp *vp, unsigned code, bool on)
{
    u32 *word = at(vp, INTERCEPT_WORD(code));
    u32 bit = 1u << (code % 32);
    *word = on ? *word | bit : *word & ~bit;
}

/* [APM2 "MSR Intercepts"]: two bits each, read then write, in blocks of 2000h MSRs. */
static void let_msr(u32 msr, bool read, bool write)
{
    u32 block = msr >= 0xc0010000 ? 2 : (msr >= 0xc0000000 ? 1 : 0);
    u32 bit = block * 0x4000 + (msr & 0x1fff) * 2;
    u8 *byte = &msr_map[bit / 8];
    *byte = (u8)(*byte & ~((read ? 1u : 0u) << (bit % 8)) & ~((write ? 2u : 0u) << (bit % 8)));
}

static void init_maps(void)
{
    static const u32 free_msrs[] = {MSR_IA32_STAR,        MSR_IA32_LSTAR,   MSR_IA32_CSTAR,
                                    MSR_IA32_FMASK,       MSR_IA32_FS_BASE, MSR_IA32_GS_BASE,
                                    MSR_IA32_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP,
                                    MSR_IA32_SYSENTER_EIP};
    memset(io_all, 0xff, sizeof io_all);
    memset(io_trace, 0xff, sizeof io_trace);
    for (u32 port = TRACE_PORT_ID; port < TRACE_PORT_ID + TRACE_PORT_PORTS; port++) {
        io_trace[port / 8] &= (u8)~(1u << port % 8);
    }
    memset(msr_map, 0xff, sizeof msr_map);
    for (unsigned i = 0; i < ARRAY_LEN(free_msrs); i++) {
        let_msr(free_msrs[i], true, true);
    }
    let_msr(MSR_IA32_TSC, true, false);
    if (has_rdtscp) {
        let_msr(MSR_IA32_TSC_AUX, true, true);
    }
}

static void svm_cpu_init(struct cpu *c)
{
    if (c->index == 0) {
        u32 features = insn_cpuid(0x8000000a, 0).edx;
        if ((features & CPUID_SVM_NP) == 0) {
            panic("this processor has SVM, but no nested paging");
        }
        has_nrip = (features & CPUID_SVM_NRIP) != 0;
        has_rdtscp = (insn_cpuid(0x80000001, 0).edx & 1u << 27) != 0;
        init_maps();
    }
    if ((insn_rdmsr(MSR_AMD_VM_CR) & VM_CR_SVMDIS) != 0) {
        panic("the firmware has disabled SVM");
    }
    insn_wrmsr(MSR_IA32_EFER, insn_rdmsr(MSR_IA32_EFER) | EFER_SVME);
    c->arch_host = pool_alloc(&hv_pool);
    c->arch_extra = pool_alloc(&hv_pool);
    if (c->arch_host == NULL || c->arch_extra == NULL) {
        panic("hv's pool is empty");
    }
    insn_wrmsr(MSR_AMD_VM_HSAVE_PA, ptr_to_spa(c->arch_host));
    __asm__ volatile("vmsave %0" : : "a"(ptr_to_spa(c->arch_extra)) : "memory");
}

static bool svm_vp_init(struct vp *vp)
{
    static const u8 intercepts[] = {
        SVM_EXIT_INTR,   SVM_EXIT_NMI,    SVM_EXIT_CPUID, SVM_EXIT_HLT,    SVM_EXIT_IOIO,    SVM_EXIT_MSR,
        SVM_EXIT_VMRUN,  SVM_EXIT_VMMCALL, SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE, SVM_EXIT_STGI,   SVM_EXIT_CLGI,
        SVM_EXIT_SKINIT, SVM_EXIT_SHUTDOWN, SVM_EXIT_INVLPGA, SVM_EXIT_XSETBV, SVM_EXIT_MONITOR, SVM_EXIT_MWAIT,
        SVM_EXIT_RDPMC,  SVM_EXIT_INVD,   SVM_EXIT_WBINVD, SVM_EXIT_FERR_FREEZE,
        SVM_EXIT_INIT};
    bool root = vp->partition == root_partition;
    vp->control = pool_alloc(&vp->partition->pool);
    if (vp->control == NULL) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_LEN(intercepts); i++) {
        set_intercept(vp, intercepts[i], true);
    }
    set64(vp, VMCB_iopm_base_pa, ptr_to_spa(root ? io_none : vp_has_trace_port(vp) ? io_trace : io_all));
    set64(vp, VMCB_msrpm_base_pa, ptr_to_spa(msr_map));
    set32(vp, VMCB_guest_asid, CLEAR_ASID_FIRST);
    set64(vp, VMCB_nested_ctl, NESTED_CTL_NP);
    set32(vp, VMCB_int_ctl, V_INTR_MASKING);
    return true;
}

static void svm_vp_free(struct vp *vp) { pool_free(&vp->partition->pool, vp->control); }

/* One ASID serves all VPs of a processor: it is flushed when another VP comes. */
static void svm_vp_enter_cpu(struct vp *vp)
{
    vp->slat_seen = vp->partition->slat_generation - 1;
    if (has_rdtscp) {
        insn_wrmsr(MSR_IA32_TSC_AUX, vp->r.tsc_aux);
    }
}

static void svm_vp_leave_cpu(struct vp *vp) { (void)vp; }

static const u16 segment_offsets[SEG_COUNT] = {VMCB_es, VMCB_cs, VMCB_ss,   VMCB_ds,
                                               VMCB_fs, VMCB_gs, VMCB_ldtr, VMCB_tr};

static void load_segment(struct vp *vp, u32 offset, const struct segment *s)
{
    *(u16 *)at(vp, offset) = s->selector;
    *(u16 *)at(vp, offset + 2) = (u16)((s->attributes & 0xff) | (s->attributes >> 4 & 0xf00));
    *(u32 *)at(vp, offset + 4) = s->limit;
    *(u64 *)at(vp, offset + 8) = s->base;
}

static void save_segment(const struct vp *vp, u32 offset, struct segment *s)
{
    u16 attributes = *(u16 *)at(vp, offset + 2);
    s->selector = *(u16 *)at(vp, offset);
    s->attributes = (u16)((attributes & 0xff) | (attributes & 0xf00) << 4);
    s->limit = *(u32 *)at(vp, offset + 4);
    s->base = *(u64 *)at(vp, offset + 8);
}

/* Registers that are one field. */
struct field {
    u16 vmcb;
    u16 offset;
};

#define FIELD(vmcb_name, name) {VMCB_##vmcb_name, offsetof(struct vp_registers, name)}
static const struct field fields[] = {
    FIELD(cr0, cr0),
    FIELD(cr3, cr3),
    FIELD(cr4, cr4),
    FIELD(dr6, dr6),
    FIELD(dr7, dr7),
    FIELD(g_pat, pat),
    FIELD(star, star),
    FIELD(lstar, lstar),
    FIELD(cstar, cstar),
    FIELD(sfmask, sfmask),
    FIELD(kernel_gs_base, kernel_gs_base),
    FIELD(sysenter_cs, sysenter_cs),
    FIELD(sysenter_esp, sysenter_esp),
    FIELD(sysenter_eip, sysenter_eip),
};

static u64 *field_of(struct vp *vp, const struct field *f) { return (u64 *)(void *)((u8 *)&vp->r + f->offset); }

static void svm_vp_load(struct vp *vp)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        load_segment(vp, segment_offsets[i], &vp->r.segment[i]);
    }
    load_segment(vp, VMCB_gdtr, &vp->r.gdtr);
    load_segment(vp, VMCB_idtr, &vp->r.idtr);
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        set64(vp, fields[i].vmcb, *field_of(vp, &fields[i]));
    }
    set64(vp, VMCB_efer, vp->r.efer | EFER_SVME);
    *(u8 *)at(vp, VMCB_cpl) = (u8)(vp->r.segment[SEG_SS].attributes >> SEG_DPL_SHIFT & 3);
}

static void svm_vp_save(struct vp *vp)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        save_segment(vp, segment_offsets[i], &vp->r.segment[i]);
    }
    save_segment(vp, VMCB_gdtr, &vp->r.gdtr);
    save_segment(vp, VMCB_idtr, &vp->r.idtr);
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        *field_of(vp, &fields[i]) = get64(vp, fields[i].vmcb);
    }
    vp->r.efer = get64(vp, VMCB_efer) & ~(u64)EFER_SVME;
    u16 *ss = &vp->r.segment[SEG_SS].attributes;
    *ss = (u16)((*ss & ~SEG_DPL) | *(u8 *)at(vp, VMCB_cpl) << SEG_DPL_SHIFT);
    if (has_rdtscp) {
        vp->r.tsc_aux = insn_rdmsr(MSR_IA32_TSC_AUX);
    }
}

static u64 injection(const struct event *e)
{
    static const u8 types[] = {[EVENT_INTERRUPT] = SVM_EVENT_INTR,
                               [EVENT_NMI] = SVM_EVENT_NMI,
                               [EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
                               [EVENT_SOFT_INTERRUPT] = SVM_EVENT_SOFT_INT};
    if (e->kind == EVENT_NONE) {
        return 0;
    }
    return SVM_EVENT_V | e->vector | (u32)types[e->kind] << SVM_EVENT_TYPE_SHIFT |
           (e->has_error ? SVM_EVENT_EV | (u64)e->error << 32 : 0);
}

/* What was being delivered when the exit came has to be delivered again. */
static void note_undelivered(struct vp *vp)
{
    u64 info = get64(vp, VMCB_exitintinfo);
    vp->event = (struct event){0};
    if ((info & SVM_EVENT_V) == 0) {
        return;
    }
    static const u8 kinds[8] = {[SVM_EVENT_INTR] = EVENT_INTERRUPT,
                                [SVM_EVENT_NMI] = EVENT_NMI,
                                [SVM_EVENT_EXCEPTION] = EVENT_EXCEPTION,
                                [SVM_EVENT_SOFT_INT] = EVENT_NONE}; /* it is executed again */
    u8 kind = kinds[(info & SVM_EVENT_TYPE) >> SVM_EVENT_TYPE_SHIFT];
    bool breakpoint = kind == EVENT_EXCEPTION && ((info & SVM_EVENT_VECTOR) == 3 || (info & SVM_EVENT_VECTOR) == 4);
    if (kind != EVENT_NONE && !breakpoint) {
        vp->event = (struct event){.kind = kind,
                                   .vector = (u8)(info & SVM_EVENT_VECTOR),
                                   .has_error = (info & SVM_EVENT_EV) != 0,
                                   .error = (u32)(info >> 32)};
    }
}

static void decode_io(const struct vp *vp, struct hv_exit *e)
{
    u64 info = get64(vp, VMCB_exitinfo1);
    e->kind = HV_EXIT_IO;
    e->length = (u8)(get64(vp, VMCB_exitinfo2) - vp->r.rip);
    e->io.port = (u16)(info >> SVM_IO_PORT_SHIFT);
    e->io.bytes = (u8)(info >> SVM_IO_SIZE_SHIFT & 7);
    e->io.in = (info & SVM_IO_IN) != 0;
    e->io.string = (info & SVM_IO_STR) != 0;
    e->io.rep = (info & SVM_IO_REP) != 0;
}

static void decode_npf(const struct vp *vp, struct hv_exit *e)
{
    u64 info = get64(vp, VMCB_exitinfo1);
    e->kind = HV_EXIT_SLAT;
    e->length = 0;
    e->slat.gpa = get64(vp, VMCB_exitinfo2);
    e->slat.gva = 0;
    e->slat.gva_valid = false;
    e->slat.access = (u8)((info & 2) != 0 ? SLAT_W : ((info & 16) != 0 ? SLAT_X : SLAT_R));
}

static void decode_exception(struct hv_exit *e, u8 vector)
{
    const u32 with_error = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21;
    e->kind = HV_EXIT_EXCEPTION;
    e->exception.vector = vector;
    e->exception.has_error = (with_error >> vector & 1) != 0;
    e->exception.error = e->exception.has_error ? (u32)e->raw_info1 : 0;
    e->exception.parameter = e->raw_info2;
}

/* Exits whose record is their kind and the instruction's length without prefixes. */
struct simple {
    u16 code;
    u8 kind, length;
};

static const struct simple simple_exits[] = {
    {SVM_EXIT_INTR, HV_EXIT_INTERRUPT, 0},    {SVM_EXIT_NMI, HV_EXIT_NMI, 0},
    {SVM_EXIT_VINTR, HV_EXIT_WINDOW, 0},      {SVM_EXIT_CPUID, HV_EXIT_CPUID, 2},
    {SVM_EXIT_HLT, HV_EXIT_HLT, 1},           {SVM_EXIT_VMMCALL, HV_EXIT_HYPERCALL, 3},
    {SVM_EXIT_XSETBV, HV_EXIT_XSETBV, 3},     {SVM_EXIT_SHUTDOWN, HV_EXIT_TRIPLE_FAULT, 0},
    {SVM_EXIT_WBINVD, HV_EXIT_WBINVD, 2},     {SVM_EXIT_INVD, HV_EXIT_WBINVD, 2},
    {SVM_EXIT_VMRUN, HV_EXIT_FORBIDDEN, 0},   {SVM_EXIT_VMLOAD, HV_EXIT_FORBIDDEN, 0},
    {SVM_EXIT_VMSAVE, HV_EXIT_FORBIDDEN, 0},  {SVM_EXIT_STGI, HV_EXIT_FORBIDDEN, 0},
    {SVM_EXIT_CLGI, HV_EXIT_FORBIDDEN, 0},    {SVM_EXIT_SKINIT, HV_EXIT_FORBIDDEN, 0},
    {SVM_EXIT_INVLPGA, HV_EXIT_FORBIDDEN, 0}, {SVM_EXIT_MONITOR, HV_EXIT_FORBIDDEN, 0},
    {SVM_EXIT_MWAIT, HV_EXIT_FORBIDDEN, 0},   {SVM_EXIT_RDPMC, HV_EXIT_FORBIDDEN, 0},
};

static void decode(struct vp *vp, struct hv_exit *e)
{
    u64 code = get64(vp, VMCB_exitcode);
    e->raw_reason = code;
    e->raw_info1 = get64(vp, VMCB_exitinfo1);
    e->raw_info2 = get64(vp, VMCB_exitinfo2);
    e->kind = HV_EXIT_UNKNOWN;
    e->length = 0;
    if (code == SVM_EXITCODE_INVALID) {
        e->kind = HV_EXIT_INVALID;
    } else if (code == SVM_EXIT_IOIO) {
        decode_io(vp, e);
        return;
    } else if (code == SVM_EXIT_NPF) {
        decode_npf(vp, e);
        return;
    } else if (code == SVM_EXIT_MSR) {
        e->kind = (e->raw_info1 & 1) != 0 ? HV_EXIT_MSR_WRITE : HV_EXIT_MSR_READ;
        e->length = 2;
    }
    if (code >= SVM_EXIT_EXCEPTION && code < SVM_EXIT_EXCEPTION + 32) {
        decode_exception(e, (u8)(code - SVM_EXIT_EXCEPTION));
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(simple_exits); i++) {
        if (simple_exits[i].code == code) {
            e->kind = (enum hv_exit_kind)simple_exits[i].kind;
            e->length = simple_exits[i].length;
        }
    }
    if (has_nrip && e->length != 0 && get64(vp, VMCB_nrip) != 0) {
        e->length = (u8)(get64(vp, VMCB_nrip) - vp->r.rip);
    }
}

static void svm_enter(struct vp *vp, struct hv_exit *e)
{
    struct vp_registers *r = &vp->r;
    set64(vp, VMCB_rip, r->rip);
    set64(vp, VMCB_rflags, r->rflags);
    set64(vp, VMCB_cr2, r->cr2);
    set64(vp, VMCB_rsp, vp->gpr[X86_RSP]);
    set64(vp, VMCB_rax, vp->gpr[X86_RAX]);
    set64(vp, VMCB_n_cr3, ptr_to_spa(vtl_slat(vp)));
    set64(vp, VMCB_int_state, vp->shadow ? INT_STATE_SHADOW : 0);
    set32(vp, VMCB_INTERCEPT_EXCEPTIONS, vp_exceptions(vp));
    set64(vp, VMCB_eventinj, injection(&vp->event));
    u32 window = vp->want_window ? V_IRQ | V_INTR_PRIO | V_IGN_TPR : 0;
    set32(vp, VMCB_int_ctl, V_INTR_MASKING | (vp->lapic.tpr >> 4) | window);
    set_intercept(vp, SVM_EXIT_VINTR, vp->want_window);
    bool flush = vp->slat_seen != vp->partition->slat_generation;
    *(u8 *)at(vp, VMCB_tlb_control) = flush ? TLB_CONTROL_ALL : TLB_CONTROL_NOTHING;
    vp->slat_seen = vp->partition->slat_generation;
    set32(vp, VMCB_clean, 0);
    svm_run(ptr_to_spa(vp->control), vp->gpr, ptr_to_spa(this_cpu()->arch_extra));
    r->rip = get64(vp, VMCB_rip);
    r->rflags = get64(vp, VMCB_rflags);
    r->cr2 = get64(vp, VMCB_cr2);
    vp->gpr[X86_RSP] = get64(vp, VMCB_rsp);
    vp->gpr[X86_RAX] = get64(vp, VMCB_rax);
    vp->shadow = (get32(vp, VMCB_int_state) & INT_STATE_SHADOW) != 0;
    vp->lapic.tpr = (get32(vp, VMCB_int_ctl) & 0xf) << 4;
    vp->nmi_blocked = false; /* IRET is not watched: an NMI may come during another */
    note_undelivered(vp);
    decode(vp, e);
}

static u64 svm_slat_leaf(u64 spa, enum slat_rights rights, enum slat_type type, bool large)
{
    return spa | NPT_P | NPT_U | ((rights & SLAT_W) != 0 ? NPT_W : 0) | ((rights & SLAT_X) == 0 ? NPT_NX : 0) |
           (type == SLAT_UC ? NPT_PCD | NPT_PWT : 0) | (large ? NPT_LARGE : 0);
}

static u64 svm_slat_table(u64 spa) { return spa | NPT_P | NPT_W | NPT_U; }
static bool svm_slat_is_large(u64 entry) { return (entry & NPT_LARGE) != 0; }

static void svm_slat_decode(u64 entry, enum slat_rights *rights, enum slat_type *type)
{
    *rights = (enum slat_rights)(SLAT_R | ((entry & NPT_W) != 0 ? SLAT_W : 0) | ((entry & NPT_NX) == 0 ? SLAT_X : 0));
    *type = (entry & NPT_PCD) != 0 ? SLAT_UC : SLAT_WB;
}

const struct arch arch_svm = {
    .name = "SVM with nested paging",
    .hypercall_code = {0x0f, 0x01, 0xd9, 0xc3},
    .cpu_init = svm_cpu_init,
    .vp_init = svm_vp_init,
    .vp_free = svm_vp_free,
    .vp_enter_cpu = svm_vp_enter_cpu,
    .vp_leave_cpu = svm_vp_leave_cpu,
    .vp_load = svm_vp_load,
    .vp_save = svm_vp_save,
    .run = svm_enter,
    .slat_leaf = svm_slat_leaf,
    .slat_table = svm_slat_table,
    .slat_is_large = svm_slat_is_large,
    .slat_decode = svm_slat_decode,
};
