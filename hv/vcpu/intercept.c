/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hv/vcpu/intercept.h"

#include "abi/hyperv/hypercall.h"
#include "abi/x86/registers.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/msr.h"
#include "hv/vcpu/vtl.h"
#include "hv/vcpu/walk.h"

static struct hv_segment segment_of(const struct segment *s)
{
    return (struct hv_segment){s->base, s->limit, s->selector, s->attributes};
}

static void fill_header(struct vp *vp, struct hv_intercept_header *h, u8 length, u8 access)
{
    vp_fetch(vp);
    const struct vp_registers *r = &vp->r;
    u16 state = (u16)(r->segment[SEG_SS].attributes >> SEG_DPL_SHIFT & 3);
    state = (u16)(state | ((r->cr0 & CR0_PE) != 0 ? 4 : 0) | ((r->cr0 & CR0_AM) != 0 ? 8 : 0) |
                  ((r->efer & EFER_LMA) != 0 ? 16 : 0) | (vp->event.kind != EVENT_NONE ? 64 : 0) |
                  (vp->shadow ? 0x1000 : 0) | vp->vtl << 7);
    h->vp = vp->index;
    h->length_cr8 = (u8)(length | (vp->lapic.tpr & 0xf0));
    h->access = access;
    h->state = state;
    h->cs = segment_of(&r->segment[SEG_CS]);
    h->rip = r->rip;
    h->rflags = r->rflags;
}

static void send(struct vp *vp, u32 type, const void *payload, u8 size)
{
    if (vtl_takes(vp, type)) {
        vtl_intercept(vp, type, payload, size);
        return;
    }
    struct partition *parent = vp->partition->parent;
    struct hv_message *m = &vp->intercept.message;
    memset(m, 0, sizeof *m);
    m->type = type;
    m->size = size;
    m->sender = vp->partition->id;
    memcpy(m->payload, payload, size);
    vp->suspend |= VP_SUSPEND_INTERCEPT;
    synic_post(parent->vp[0], 0, &vp->intercept);
}

/* The guest's own kernel wants to see its programs' CPUIDs. */
static bool faults(struct vp *vp)
{
    if (!vp->cpuid_faults) {
        return false;
    }
    vp_fetch(vp);
    return (vp->r.segment[SEG_SS].attributes & SEG_DPL) != 0;
}

bool intercept_cpuid(struct vp *vp, const struct hv_exit *exit)
{
    if (faults(vp)) {
        vp_inject_exception(vp, 13, true, 0);
        return true;
    }
    bool to_vtl2 = vtl_takes(vp, HV_MESSAGE_CPUID) && (u32)vp->gpr[X86_RAX] >> 28 == 4;
    if (vp->partition->intercept_cpuid == 0 && !to_vtl2) {
        return false;
    }
    struct hv_cpuid_message m = {0};
    fill_header(vp, &m.header, exit->length, HV_ACCESS_EXECUTE);
    struct cpuid d = vp_cpuid(vp, (u32)vp->gpr[X86_RAX], (u32)vp->gpr[X86_RCX]);
    m.rax = vp->gpr[X86_RAX];
    m.rcx = vp->gpr[X86_RCX];
    m.rdx = vp->gpr[X86_RDX];
    m.rbx = vp->gpr[X86_RBX];
    m.default_rax = d.eax;
    m.default_rcx = d.ecx;
    m.default_rdx = d.edx;
    m.default_rbx = d.ebx;
    send(vp, HV_MESSAGE_CPUID, &m, sizeof m);
    return true;
}

bool intercept_msr(struct vp *vp, const struct hv_exit *exit, bool write)
{
    if (vp->partition->intercept_msr == 0 && !vtl_takes(vp, HV_MESSAGE_MSR)) {
        return false;
    }
    struct hv_msr_message m = {0};
    fill_header(vp, &m.header, exit->length, write ? HV_ACCESS_WRITE : HV_ACCESS_READ);
    m.number = (u32)vp->gpr[X86_RCX];
    m.rdx = vp->gpr[X86_RDX];
    m.rax = vp->gpr[X86_RAX];
    send(vp, HV_MESSAGE_MSR, &m, sizeof m);
    return true;
}

bool intercept_io(struct vp *vp, const struct hv_exit *exit)
{
    if (vp->partition->intercept_io == 0 && !vtl_takes(vp, HV_MESSAGE_IO_PORT)) {
        return false;
    }
    struct hv_io_message m = {0};
    fill_header(vp, &m.header, exit->length, exit->io.in ? HV_ACCESS_READ : HV_ACCESS_WRITE);
    m.port = exit->io.port;
    m.info = (u8)(exit->io.bytes | (exit->io.string ? HV_IO_STRING : 0) | (exit->io.rep ? HV_IO_REP : 0));
    m.rax = vp->gpr[X86_RAX];
    m.ds = segment_of(&vp->r.segment[SEG_DS]);
    m.es = segment_of(&vp->r.segment[SEG_ES]);
    m.rcx = vp->gpr[X86_RCX];
    m.rsi = vp->gpr[X86_RSI];
    m.rdi = vp->gpr[X86_RDI];
    send(vp, HV_MESSAGE_IO_PORT, &m, sizeof m);
    return true;
}

void intercept_hypercall(struct vp *vp, const struct hv_exit *exit)
{
    struct hv_hypercall_message m = {0};
    fill_header(vp, &m.header, exit->length, HV_ACCESS_EXECUTE);
    m.rax = vp->gpr[X86_RAX];
    m.rbx = vp->gpr[X86_RBX];
    m.rcx = vp->gpr[X86_RCX];
    m.rdx = vp->gpr[X86_RDX];
    m.r8 = vp->gpr[8];
    m.rsi = vp->gpr[X86_RSI];
    m.rdi = vp->gpr[X86_RDI];
    send(vp, HV_MESSAGE_HYPERCALL, &m, sizeof m);
}

void intercept_exception(struct vp *vp, const struct hv_exit *exit)
{
    struct hv_exception_message m = {0};
    fill_header(vp, &m.header, 0, HV_ACCESS_EXECUTE);
    m.vector = exit->exception.vector;
    m.info = exit->exception.has_error ? HV_EXCEPTION_ERROR_VALID : 0;
    m.error = exit->exception.error;
    m.parameter = exit->exception.parameter;
    m.count = (u8)vp_fetch_code(vp, m.bytes, sizeof m.bytes);
    m.ds = segment_of(&vp->r.segment[SEG_DS]);
    m.ss = segment_of(&vp->r.segment[SEG_SS]);
    memcpy(m.gpr, vp->gpr, sizeof m.gpr);
    send(vp, HV_MESSAGE_EXCEPTION, &m, sizeof m);
}

void intercept_memory(struct vp *vp, const struct hv_exit *exit)
{
    struct hv_memory_message m = {0};
    u8 access = (exit->slat.access & SLAT_W) != 0 ? HV_ACCESS_WRITE
                                                  : ((exit->slat.access & SLAT_X) != 0 ? HV_ACCESS_EXECUTE : HV_ACCESS_READ);
    fill_header(vp, &m.header, exit->length, access);
    m.info = exit->slat.gva_valid ? HV_MEMORY_GVA_VALID : 0;
    m.gva = exit->slat.gva;
    m.gpa = exit->slat.gpa;
    m.count = (u8)vp_fetch_code(vp, m.bytes, sizeof m.bytes);
    u64 pfn;
    enum slat_rights rights;
    bool mapped = slat_find(vp->partition, m.gpa >> PAGE_SHIFT, &pfn, &rights);
    send(vp, mapped ? HV_MESSAGE_GPA_INTERCEPT : HV_MESSAGE_UNMAPPED_GPA, &m, sizeof m);
}

void intercept_unrecoverable(struct vp *vp)
{
    struct hv_intercept_header h = {0};
    fill_header(vp, &h, 0, HV_ACCESS_EXECUTE);
    send(vp, HV_MESSAGE_UNRECOVERABLE, &h, sizeof h);
}
