/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One hypercall: control word, privilege, input copied from the guest, handler, output copied back, result. In the order of
 * checks that the interface prescribes: code, control word, alignment, privilege, content. Callers in 64-bit and 32-bit mode; input in
 * memory, in two registers, or in these and XMM0 to XMM5. Left out: output in registers, continuation (a list is at most one page and is
 * done in one go). [TLFS "Hypercall Interface"] */
#include "abi/x86/registers.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/hypercall/hypercall.h"
#include "hv/vcpu/intercept.h"
#include "hv/vcpu/vtl.h"

#define FAST true
#define SLOW false
#define KIND_REP 1u
#define KIND_SET 2u
#define SIMPLE 0u
#define REP KIND_REP
#define SIMPLE_SET KIND_SET
#define REP_SET (KIND_REP | KIND_SET)
#define ANY 0

#define FAST_BYTES 112u /* two registers and six XMM ones */

struct call {
    u16 code;
    u8 kind;
    bool fast;
    u16 header, element, output;
    u64 privilege;
    u16 (*handler)(const struct hypercall *c);
    const char *name;
};

static const struct call calls[] = {
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler)                       \
    {code, kind, fast, header, element, output, privilege, hc_##handler, #name},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
};

static u8 inputs[CPU_MAX][PAGE_SIZE] __attribute__((aligned(16)));
static u8 outputs[CPU_MAX][PAGE_SIZE] __attribute__((aligned(16)));

static const struct call *find(u64 code)
{
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        if (calls[i].code == code) {
            return &calls[i];
        }
    }
    return NULL;
}

/* What the caller's registers say. */
struct request {
    const struct call *call;
    u64 control, input, output;
    u32 reps, start, banks;
    u64 input_bytes, output_bytes;
};

static bool is_wide(const struct vp *vp)
{
    return (vp->r.efer & EFER_LMA) != 0 && (vp->r.segment[SEG_CS].attributes & SEG_L) != 0;
}

static u64 pair(const struct vp *vp, unsigned high, unsigned low) { return vp->gpr[high] << 32 | (u32)vp->gpr[low]; }

/* RCX, RDX, R8; in 32-bit mode EDX:EAX, EBX:ECX, EDI:ESI. */
static struct request request_of(const struct vp *vp)
{
    struct request r = {.control = vp->gpr[X86_RCX], .input = vp->gpr[X86_RDX], .output = vp->gpr[8]};
    if (!is_wide(vp)) {
        r.control = pair(vp, X86_RDX, X86_RAX);
        r.input = pair(vp, X86_RBX, X86_RCX);
        r.output = pair(vp, X86_RDI, X86_RSI);
    }
    r.call = find(r.control & HV_CONTROL_CODE);
    r.reps = (u32)(r.control >> HV_CONTROL_REPS_SHIFT & HV_CONTROL_REPS);
    r.start = (u32)(r.control >> HV_CONTROL_START_SHIFT & HV_CONTROL_REPS);
    r.banks = (u32)((r.control & HV_CONTROL_VARHEAD) >> HV_CONTROL_VARHEAD_SHIFT);
    if (r.call != NULL) {
        r.input_bytes = r.call->header + 8ull * r.banks + (u64)r.reps * r.call->element;
        r.output_bytes = r.call->output * (u64)((r.call->kind & KIND_REP) != 0 ? r.reps : 1);
    }
    return r;
}

/* Checks that need nothing but the control word. */
static u16 check_control(const struct request *r)
{
    bool fast = (r->control & HV_CONTROL_FAST) != 0;
    bool rep = (r->call->kind & KIND_REP) != 0;
    if ((r->control & HV_CONTROL_RESERVED) != 0 || (r->banks != 0 && (r->call->kind & KIND_SET) == 0)) {
        return HV_INVALID_HYPERCALL_INPUT;
    }
    if (fast && (!r->call->fast || r->input_bytes > FAST_BYTES)) {
        return HV_INVALID_HYPERCALL_INPUT;
    }
    if (rep ? r->reps == 0 || r->start >= r->reps : r->reps != 0 || r->start != 0) {
        return HV_INVALID_HYPERCALL_INPUT;
    }
    return HV_SUCCESS;
}

/* Input or output lies in one page and is aligned. */
static bool is_placed(u64 gpa, u64 size) { return (gpa & 7) == 0 && (gpa & PAGE_MASK) + size <= PAGE_SIZE; }

static u16 check_placement(const struct request *r)
{
    bool memory = (r->control & HV_CONTROL_FAST) == 0;
    if (memory && ((r->input_bytes > 0 && !is_placed(r->input, r->input_bytes)) ||
                   (r->output_bytes > 0 && !is_placed(r->output, r->output_bytes)))) {
        return HV_INVALID_ALIGNMENT;
    }
    return HV_SUCCESS;
}

/* Memory of the caller's own, not what hv lays over it; input and output apart from each other. */
static u16 get_input(struct vp *vp, const struct request *r, u8 *input)
{
    if ((r->control & HV_CONTROL_FAST) != 0) {
        memcpy(input, &r->input, 8);
        memcpy(input + 8, &r->output, 8);
        if (r->input_bytes > 16) {
            fpu_read_xmm(input + 16);
        }
        return HV_SUCCESS;
    }
    bool apart = r->input + r->input_bytes <= r->output || r->output + r->output_bytes <= r->input;
    if (r->output_bytes > 0 && ((r->input_bytes > 0 && !apart) || !guest_owns(vp->partition, r->output, SLAT_W))) {
        return HV_INVALID_PARAMETER;
    }
    if (r->input_bytes > 0 && (!guest_owns(vp->partition, r->input, SLAT_R) ||
                               !guest_read(vp->partition, r->input, input, r->input_bytes))) {
        return HV_INVALID_PARAMETER;
    }
    return HV_SUCCESS;
}

static u64 perform(struct vp *vp)
{
    struct request r = request_of(vp);
    u8 *input = inputs[this_cpu()->index];
    u8 *output = outputs[this_cpu()->index];
    if (r.call == NULL) {
        return HV_INVALID_HYPERCALL_CODE;
    }
    u16 status = check_control(&r);
    if (status == HV_SUCCESS) {
        status = check_placement(&r);
    }
    if (status == HV_SUCCESS && (vp_privileges(vp) & r.call->privilege) != r.call->privilege) {
        status = HV_ACCESS_DENIED;
    }
    if (status == HV_SUCCESS) {
        status = get_input(vp, &r, input);
    }
    if (status != HV_SUCCESS) {
        return status;
    }
    const struct call *call = r.call;
    bool rep = (call->kind & KIND_REP) != 0;
    memset(output, 0, PAGE_SIZE);
    struct hypercall c = {.vp = vp, .caller = vp->partition, .input = input, .output = output, .banks = r.banks};
    c.bank = (const u64 *)(const void *)(input + call->header);
    if (!rep) {
        status = call->handler(&c);
    }
    for (c.rep = r.start; rep && c.rep < r.reps && status == HV_SUCCESS;) {
        c.element = input + call->header + 8ull * r.banks + (u64)c.rep * call->element;
        c.output = output + (u64)c.rep * call->output;
        status = call->handler(&c);
        c.rep += status == HV_SUCCESS ? 1 : 0;
    }
    slat_flush(vp->partition);
    u64 size = call->output * (u64)(rep ? c.rep : 1);
    if (size > 0 && (status == HV_SUCCESS || rep) && !guest_write(vp->partition, r.output, output, size)) {
        return HV_INVALID_PARAMETER; /* a call on oneself took the page away */
    }
    return status | (u64)(rep ? c.rep : 0) << HV_CONTROL_REPS_SHIFT;
}

void hypercall_exit(struct vp *vp, struct hv_exit *exit)
{
    vp_fetch(vp);
    if (vtl_intercept_hypercall(vp, exit) || vtl_return(vp, exit)) {
        return;
    }
    if (vp->partition->intercept_hypercall != 0) {
        intercept_hypercall(vp, exit);
        return;
    }
    const struct vp_registers *r = &vp->r;
    bool user = (r->segment[SEG_SS].attributes & SEG_DPL) != 0;
    bool real = (r->cr0 & CR0_PE) == 0 || (r->rflags & RFLAGS_VM) != 0;
    if (real || user || (vp->partition->hypercall_msr & 1) == 0) {
        vp_inject_exception(vp, 6, false, 0);
        return;
    }
    struct partition *p = vp->partition;
    u64 code = (is_wide(vp) ? vp->gpr[X86_RCX] : vp->gpr[X86_RAX]) & HV_CONTROL_CODE;
    trace_claim(CLAIM_call_begun, p->id, vp->index, vp->vtl, code);
    u64 result = perform(vp);
    page_tell();
    trace_claim(CLAIM_call_ended, p->id, vp->index, vp->vtl, code, result);
    if (is_wide(vp)) {
        vp->gpr[X86_RAX] = result;
    } else {
        vp->gpr[X86_RAX] = (u32)result;
        vp->gpr[X86_RDX] = result >> 32;
    }
    vp_advance(vp, exit->length);
}
