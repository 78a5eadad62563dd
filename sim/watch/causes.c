/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Causes: hypercall instructions, with their interface by evidence, arguments, results, duration and what
 * they led to. The evidence is what the hypervisor tells the guest by CPUID 40000000h and up: a guest may
 * be told several. Of several the caller's registers decide, as far as they can.
 *
 * A hypercall is over when the same virtual processor is entered again. One made by another guest on the
 * same processor in between is its child: a call that a guest hypervisor passes on. Left out: calls by
 * other means than VMCALL and VMMCALL, and which guests stay away for good. */
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <string.h>

/* General registers by number. */
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI, GPR_8, GPR_9, GPR_10 };

#define HYPERVISOR_LEAVES 0x40000000u

const char *watch_abi_name(enum watch_abi abi)
{
    static const char *const names[] = {"none", "KVM", "Hyper-V", "Xen", "other"};
    return names[abi];
}

/* The signature in EBX, ECX, EDX of the first leaf of a range. */
static enum watch_abi abi_of_signature(u32 ebx, u32 ecx, u32 edx)
{
    const u32 words[3] = {ebx, ecx, edx};
    char text[12];
    memcpy(text, words, sizeof text);
    if (memcmp(text, "KVMKVMKVM\0\0\0", 12) == 0) {
        return WATCH_ABI_KVM;
    }
    if (memcmp(text, "Microsoft Hv", 12) == 0) {
        return WATCH_ABI_HYPERV;
    }
    if (memcmp(text, "XenVMMXenVMM", 12) == 0) {
        return WATCH_ABI_XEN;
    }
    return (ebx | ecx | edx) != 0 ? WATCH_ABI_OTHER : WATCH_ABI_NONE;
}

/* Told several, the call's own shape: Hyper-V's control word with its input in RCX is neither small nor
 * in RAX; Xen's and KVM's number is small and in RAX. */
static enum watch_abi abi_of_call(const struct watch_guest *g, const struct watch_exit *x)
{
    u32 told = g->abis;
    u64 rax = x->gpr[GPR_AX], rcx = x->gpr[GPR_CX];
    if (told != 0 && (told & (told - 1)) == 0) {
        return (enum watch_abi)__builtin_ctz(told);
    }
    if ((told & 1u << WATCH_ABI_HYPERV) != 0 && rax > 0xffff && (rcx & 0xffff) != 0) {
        return WATCH_ABI_HYPERV;
    }
    if ((told & 1u << WATCH_ABI_XEN) != 0 && rax < 64) {
        return WATCH_ABI_XEN;
    }
    return (told & 1u << WATCH_ABI_KVM) != 0 ? WATCH_ABI_KVM : WATCH_ABI_NONE;
}

static u64 number_of(enum watch_abi abi, const struct watch_exit *x)
{
    bool wide = x->code64;
    if (abi == WATCH_ABI_HYPERV) {
        u64 control = wide ? x->gpr[GPR_CX] : x->gpr[GPR_AX];
        return control & 0xffff;
    }
    return wide ? x->gpr[GPR_AX] : (u32)x->gpr[GPR_AX];
}

static void arguments(enum watch_abi abi, const struct watch_exit *x, u64 arg[3])
{
    const u64 *r = x->gpr;
    if (abi == WATCH_ABI_HYPERV) {
        arg[0] = r[GPR_CX];
        arg[1] = r[GPR_DX];
        arg[2] = r[GPR_8];
    } else if (abi == WATCH_ABI_XEN && x->code64) {
        arg[0] = r[GPR_DI];
        arg[1] = r[GPR_SI];
        arg[2] = r[GPR_DX];
    } else { /* KVM, 32-bit Xen */
        arg[0] = r[GPR_BX];
        arg[1] = r[GPR_CX];
        arg[2] = r[GPR_DX];
    }
}

void watch_call_made(struct watch *w, unsigned cpu, const struct watch_exit *x)
{
    struct cpu_watch *c = &w->cpu[cpu];
    struct watch_guest *g = &w->guests[c->guest];
    bool is_cpuid = x->cause == WATCH_CAUSE_CPUID;
    struct watch_moment m;
    if (is_cpuid && ((u32)x->gpr[GPR_AX] & 0xffff00ff) != HYPERVISOR_LEAVES) {
        return;
    }
    w->host.now(w->host.self, &m);
    if (c->depth == ARRAY_LEN(c->calls)) { /* the oldest never came back */
        memmove(c->calls, c->calls + 1, sizeof c->calls - sizeof c->calls[0]);
        c->depth--;
    }
    struct open_call *call = &c->calls[c->depth++];
    *call = (struct open_call){.is_open = true,
                               .is_cpuid = is_cpuid,
                               .control = c->control,
                               .position = m.position,
                               .leaf = (u32)x->gpr[GPR_AX]};
    if (is_cpuid) {
        return;
    }
    u64 arg[3];
    call->abi = abi_of_call(g, x);
    call->number = number_of(call->abi, x);
    arguments(call->abi, x, arg);
    g->hypercalls++;
    for (unsigned i = 0; i + 1 < c->depth; i++) {
        c->calls[i].children++;
    }
    trace_hypercall(w->trace, cpu, c->guest | (u64)call->abi << 32 | (u64)x->cpl << 40, call->number,
                    arg[0], arg[1], x->rip);
    log_line(w->log, LOG_WATCH, "cpu%u guest %u %s hypercall %llu (%llx, %llx, %llx) at %#llx cpl %u", cpu,
             c->guest, watch_abi_name(call->abi), (unsigned long long)call->number,
             (unsigned long long)arg[0], (unsigned long long)arg[1], (unsigned long long)arg[2],
             (unsigned long long)x->rip, x->cpl);
}

void watch_call_returns(struct watch *w, unsigned cpu, const u64 *gpr)
{
    struct cpu_watch *c = &w->cpu[cpu];
    for (unsigned i = c->depth; i-- > 0;) {
        struct open_call call = c->calls[i];
        if (call.control != c->control) {
            continue;
        }
        c->depth = i;
        if (call.is_cpuid) {
            enum watch_abi abi =
                abi_of_signature((u32)gpr[GPR_BX], (u32)gpr[GPR_CX], (u32)gpr[GPR_DX]);
            w->guests[c->guest].abis |= abi != WATCH_ABI_NONE ? 1u << abi : 0;
            return;
        }
        struct watch_moment m;
        w->host.now(w->host.self, &m);
        trace_hypercall_done(w->trace, cpu, c->guest, call.number, gpr[GPR_AX], m.position - call.position,
                             call.children);
        return;
    }
}
