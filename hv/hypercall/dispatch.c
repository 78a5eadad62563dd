/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One hypercall: control word, privilege, input copied from the guest, handler, output copied back, result. In the order of
 * checks that the interface prescribes: code, control word, alignment, privilege, content. Left out: the calling convention of
 * 32-bit code, XMM input and output, variable headers (no call here has one), continuation (a list is at most one page and is done
 * in one go). [TLFS "Hypercall Interface"] */
#include "abi/x86/registers.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/hypercall/hypercall.h"
#include "hv/vcpu/vtl.h"

#define FAST true
#define SLOW false
#define SIMPLE false
#define REP true
#define ANY 0

struct call {
    u16 code;
    bool rep, fast;
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

/* Input or output lies in one page and is aligned. */
static bool is_placed(u64 gpa, u64 size) { return (gpa & 7) == 0 && (gpa & PAGE_MASK) + size <= PAGE_SIZE; }

/* Checks that need nothing but the control word. */
static u16 check_control(const struct call *call, u64 control, u32 reps, u32 start)
{
    bool fast = (control & HV_CONTROL_FAST) != 0;
    if ((control & (HV_CONTROL_RESERVED | HV_CONTROL_VARHEAD)) != 0 || (fast && !call->fast)) {
        return HV_INVALID_HYPERCALL_INPUT;
    }
    if (call->rep ? reps == 0 || start >= reps : reps != 0 || start != 0) {
        return HV_INVALID_HYPERCALL_INPUT;
    }
    return HV_SUCCESS;
}

static u16 get_input(struct vp *vp, const struct call *call, u64 control, u32 reps, u8 *input)
{
    u64 size = call->header + (u64)reps * call->element;
    if ((control & HV_CONTROL_FAST) != 0) {
        memcpy(input, &vp->gpr[X86_RDX], 8);
        memcpy(input + 8, &vp->gpr[8], 8);
        return HV_SUCCESS;
    }
    u64 out = call->output * (u64)(call->rep ? reps : 1);
    if ((size > 0 && !is_placed(vp->gpr[X86_RDX], size)) || (out > 0 && !is_placed(vp->gpr[8], out))) {
        return HV_INVALID_ALIGNMENT;
    }
    return size == 0 || guest_read(vp->partition, vp->gpr[X86_RDX], input, size) ? HV_SUCCESS
                                                                                 : HV_INVALID_PARAMETER;
}

static u64 perform(struct vp *vp, u64 control)
{
    u32 reps = (u32)(control >> HV_CONTROL_REPS_SHIFT & HV_CONTROL_REPS);
    u32 start = (u32)(control >> HV_CONTROL_START_SHIFT & HV_CONTROL_REPS);
    const struct call *call = find(control & HV_CONTROL_CODE);
    if (call == NULL) {
        return HV_INVALID_HYPERCALL_CODE;
    }
    u16 status = check_control(call, control, reps, start);
    u8 *input = inputs[this_cpu()->index];
    u8 *output = outputs[this_cpu()->index];
    if (status == HV_SUCCESS && (vp_privileges(vp) & call->privilege) != call->privilege) {
        status = HV_ACCESS_DENIED;
    }
    if (status == HV_SUCCESS) {
        status = get_input(vp, call, control, reps, input);
    }
    if (status != HV_SUCCESS) {
        return status;
    }
    memset(output, 0, PAGE_SIZE);
    struct hypercall c = {.vp = vp, .caller = vp->partition, .input = input, .output = output};
    if (!call->rep) {
        status = call->handler(&c);
    }
    for (c.rep = start; call->rep && c.rep < reps && status == HV_SUCCESS;) {
        c.element = input + call->header + (u64)c.rep * call->element;
        c.output = output + (u64)c.rep * call->output;
        status = call->handler(&c);
        c.rep += status == HV_SUCCESS ? 1 : 0;
    }
    slat_flush(vp->partition);
    u64 size = call->output * (u64)(call->rep ? c.rep : 1);
    if (size > 0 && (status == HV_SUCCESS || call->rep) &&
        !guest_write(vp->partition, vp->gpr[8], output, size)) {
        return HV_INVALID_PARAMETER;
    }
    return status | (u64)(call->rep ? c.rep : 0) << HV_CONTROL_REPS_SHIFT;
}

void hypercall_exit(struct vp *vp, struct hv_exit *exit)
{
    vp_fetch(vp);
    if (vtl_intercept_hypercall(vp, exit) || vtl_return(vp, exit)) {
        return;
    }
    const struct vp_registers *r = &vp->r;
    bool user = (r->segment[SEG_SS].attributes & SEG_DPL) != 0;
    if ((r->cr0 & CR0_PE) == 0 || user || (vp->partition->hypercall_msr & 1) == 0) {
        vp_inject_exception(vp, 6, false, 0);
        return;
    }
    if ((r->efer & EFER_LMA) == 0 || (r->segment[SEG_CS].attributes & SEG_L) == 0) {
        vp->gpr[X86_RAX] = HV_INVALID_HYPERCALL_INPUT;
        vp->gpr[X86_RDX] = 0;
    } else {
        vp->gpr[X86_RAX] = perform(vp, vp->gpr[X86_RCX]);
    }
    vp_advance(vp, exit->length);
}
