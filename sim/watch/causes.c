/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Causes: hypercall instructions, with their interface by evidence, arguments, results, duration and what
 * they led to. The evidence is what the hypervisor tells the guest by CPUID 40000000h and up: a guest may
 * be told several. Of several the caller's registers decide, as far as they can.
 *
 * A hypercall is over when the same virtual processor is entered again. One made by another guest on the
 * same processor in between is its child: a call that a guest hypervisor passes on. A synthetic MSR that such a
 * guest writes counts like a call. Left out: calls by
 * other means than VMCALL and VMMCALL, and which guests stay away for good. */
#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/vsm.h"
#include "base/bits.h"
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <stdio.h>
#include <string.h>

/* General registers by number. */
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI, GPR_8, GPR_9, GPR_10 };

#define HYPERVISOR_LEAVES 0x40000000u
/* [Xen public/arch-x86/cpuid.h] leaf 4 of Xen's: bit 4 of EAX says that ECX is the domain's number. */
#define XEN_LEAF_DOMAIN 4u
#define XEN_DOMAIN_PRESENT 0x10u

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

/* Does a call of this processor's running guest belong to an open one? Another level of the same guest: if it is the same
 * virtual processor. Another guest: if one runs the other. */
bool watch_call_belongs(const struct watch *w, const struct open_call *call, const struct cpu_watch *c)
{
    const struct control *of = &w->controls[call->control];
    if (call->is_cpuid || call->answered) {
        return false;
    }
    if (watch_partition(w, of->guest) == watch_partition(w, c->guest)) {
        return of->peer != 0 && of->peer == c->control;
    }
    return watch_is_related(w, of->guest, c->guest);
}

static void add_child(struct watch *w, unsigned cpu, u32 key)
{
    struct cpu_watch *c = &w->cpu[cpu];
    watch_claims_child(w, cpu, key);
    for (unsigned i = 0; i < c->depth; i++) {
        struct open_call *call = &c->calls[i];
        if (!watch_call_belongs(w, call, c)) {
            continue;
        }
        call->children += key < CALL_MSR ? 1 : 0;
        if (key != 0 && call->made_count < CALL_MADE) {
            call->made[call->made_count++] = key;
        }
    }
}

/* Reads and writes of VTL 0's registers: the pointer's page tables, the way back. */
static bool is_plumbing(u32 key) { return key == HV_CALL_GetVpRegisters || key == HV_CALL_SetVpRegisters; }

static void count_kind(struct watch *w, const struct open_call *call, u64 counts)
{
    struct call_kind *k = NULL;
    u32 command = call->abi == WATCH_ABI_XEN ? call->command & (call->number == 12 ? 0x3f : ~0u) : 0;
    command = watch_call_has_command(call->abi, call->number) ? command : 0;
    for (u32 i = 0; i < w->kind_count && k == NULL; i++) {
        struct call_kind *at = &w->kinds[i];
        k = at->abi == call->abi && at->number == call->number && at->command == command ? at : NULL;
    }
    if (k == NULL) {
        if (w->kind_count == WATCH_KINDS) {
            return;
        }
        k = &w->kinds[w->kind_count++];
        *k = (struct call_kind){.abi = (u8)call->abi, .number = (u32)call->number, .command = command};
    }
    bool alone = true;
    k->count++;
    k->counts += counts;
    for (u32 i = 0; i < call->made_count; i++) {
        u32 n = 0;
        alone = alone && is_plumbing(call->made[i]);
        while (n < k->made_count && k->made[n].key != call->made[i]) {
            n++;
        }
        if (n < CALL_MADE) {
            k->made_count = n == k->made_count ? n + 1 : k->made_count;
            k->made[n].key = call->made[i];
            k->made[n].count++;
        }
    }
    k->alone += alone ? 1 : 0;
}

static void log_call(struct watch *w, unsigned cpu, const struct watch_exit *x, enum watch_abi abi, u64 number, u64 command)
{
    char name[80];
    watch_call_name(abi, number, command, name, sizeof name);
    log_line(w->log, LOG_WATCH, "cpu%u guest %u %s %s at %#llx cpl %u (%llx, %llx, %llx)", cpu, w->cpu[cpu].guest,
             watch_abi_name(abi), name, (unsigned long long)x->rip, x->cpl, (unsigned long long)x->gpr[GPR_CX],
             (unsigned long long)x->gpr[GPR_DX], (unsigned long long)x->gpr[GPR_8]);
}

#define XEN_GRANT_TABLE_OP 20u
#define XEN_MAP_GRANT_REF 0u

/* Xen looks at the grant itself before it maps anything: what it maps in answer to such a call was declared by its owner. Our own
 * hypervisor's LendGpaPages opens a page of a child's to its parent for an I/O, and ReturnGpaPages closes it. */
static bool is_grant(const struct open_call *call)
{
    return (call->abi == WATCH_ABI_XEN && call->number == XEN_GRANT_TABLE_OP && call->command == XEN_MAP_GRANT_REF) ||
           (call->abi == WATCH_ABI_HYPERV && (call->number == HV_CALL_LendGpaPages || call->number == HV_CALL_ReturnGpaPages));
}

bool watch_maps_grant(const struct watch *w, u32 cpu)
{
    const struct cpu_watch *c = cpu < WATCH_CPUS ? &w->cpu[cpu] : NULL;
    for (unsigned i = 0; c != NULL && c->guest == 0 && i < c->depth; i++) {
        const struct open_call *call = &c->calls[i];
        if (!call->is_cpuid && call->control == c->left_control && is_grant(call)) {
            return true;
        }
    }
    return false;
}

void watch_count_open(struct watch *w)
{
    for (unsigned cpu = 0; cpu < WATCH_CPUS; cpu++) {
        const struct cpu_watch *c = &w->cpu[cpu];
        for (unsigned i = 0; i < c->depth; i++) {
            if (!c->calls[i].is_cpuid) {
                count_kind(w, &c->calls[i], 0);
            }
        }
    }
}

void watch_call_made(struct watch *w, unsigned cpu, const struct watch_exit *x)
{
    struct cpu_watch *c = &w->cpu[cpu];
    struct watch_guest *g = &w->guests[c->guest];
    bool is_cpuid = x->cause == WATCH_CAUSE_CPUID;
    struct watch_moment m;
    if (is_cpuid && ((u32)x->gpr[GPR_AX] & 0xffff00ff & ~XEN_LEAF_DOMAIN) != HYPERVISOR_LEAVES) {
        return;
    }
    if (x->cause == WATCH_CAUSE_MSR_WRITE) {
        u32 msr = (u32)x->gpr[GPR_CX];
        if (msr >= HV_MSR_FIRST && msr <= HV_MSR_LAST && (g->abis & 1u << WATCH_ABI_HYPERV) != 0) {
            add_child(w, cpu, CALL_MSR + (msr & 0xffff));
        }
        return;
    }
    w->host.now(w->host.self, &m);
    if (!is_cpuid && abi_of_call(g, x) == WATCH_ABI_HYPERV &&
        (number_of(WATCH_ABI_HYPERV, x) == HV_CALL_VTL_RETURN || number_of(WATCH_ABI_HYPERV, x) == HV_CALL_VTL_CALL)) {
        g->hypercalls++; /* the other level runs: it is no call that comes back */
        watch_claims_back(w, cpu);
        for (unsigned i = 0; i < c->depth; i++) {
            c->calls[i].answered |= c->calls[i].control == w->controls[c->control].peer;
        }
        trace_guest_call(w->trace, cpu, c->guest | (u64)WATCH_ABI_HYPERV << 32 | (u64)x->cpl << 40,
                         number_of(WATCH_ABI_HYPERV, x), x->gpr[GPR_AX], 0, x->rip);
        log_call(w, cpu, x, WATCH_ABI_HYPERV, number_of(WATCH_ABI_HYPERV, x), 0);
        return;
    }
    if (c->depth == ARRAY_LEN(c->calls)) { /* the oldest never came back */
        memmove(c->calls, c->calls + 1, sizeof c->calls - sizeof c->calls[0]);
        c->depth--;
    }
    struct open_call *call = &c->calls[c->depth++];
    *call = (struct open_call){.is_open = true,
                               .is_cpuid = is_cpuid,
                               .control = c->control,
                               .position = m.position,
                               .leaf = (u32)x->gpr[GPR_AX],
                               .rip = x->rip,
                               .code64 = x->code64};
    if (is_cpuid) {
        return;
    }
    u64 arg[3];
    call->abi = abi_of_call(g, x);
    call->number = number_of(call->abi, x);
    arguments(call->abi, x, arg);
    g->hypercalls++;
    call->command = (u32)arg[0];
    if (call->abi == WATCH_ABI_HYPERV) {
        watch_gpadl_call(w, cpu, x, call);
    }
    c->depth--; /* not its own child */
    add_child(w, cpu, call->abi == WATCH_ABI_HYPERV ? (u32)call->number : 0);
    c->depth++;
    trace_guest_call(w->trace, cpu, c->guest | (u64)call->abi << 32 | (u64)x->cpl << 40, call->number,
                    arg[0], arg[1], x->rip);
    log_call(w, cpu, x, call->abi, call->number, arg[0]);
}

#define LONGEST_INSTRUCTION 15u

void watch_call_returns(struct watch *w, unsigned cpu, const u64 *gpr, u64 rip)
{
    struct cpu_watch *c = &w->cpu[cpu];
    for (unsigned i = c->depth; i-- > 0;) {
        struct open_call call = c->calls[i];
        if (call.control != c->control) {
            continue;
        }
        memmove(&c->calls[i], &c->calls[i + 1], (c->depth - i - 1) * sizeof c->calls[0]);
        c->depth--;
        if (call.is_cpuid && (call.leaf & 0xff) == XEN_LEAF_DOMAIN) {
            struct watch_guest *g = &w->guests[c->guest];
            if ((g->abis & 1u << WATCH_ABI_XEN) != 0 && (gpr[GPR_AX] & XEN_DOMAIN_PRESENT) != 0) {
                (void)snprintf(g->name, sizeof g->name, "domain %u", (u32)gpr[GPR_CX]);
            }
            return;
        }
        if (call.is_cpuid) {
            enum watch_abi abi =
                abi_of_signature((u32)gpr[GPR_BX], (u32)gpr[GPR_CX], (u32)gpr[GPR_DX]);
            w->guests[c->guest].abis |= abi != WATCH_ABI_NONE ? 1u << abi : 0;
            return;
        }
        if ((gpr[GPR_AX] & 0xffff) != HV_SUCCESS) {
            watch_gpadl_refused(w, &call);
        }
        struct watch_moment m;
        w->host.now(w->host.self, &m);
        count_kind(w, &call, m.position - call.position);
        if (call.has_result && rip - call.rip <= LONGEST_INSTRUCTION) { /* and was not sent elsewhere by whoever may */
            bool pair = !call.code64 && call.abi == WATCH_ABI_HYPERV; /* EDX:EAX */
            u64 result = pair ? gpr[GPR_DX] << 32 | (u32)gpr[GPR_AX] : gpr[GPR_AX];
            watch_claims_result(w, cpu, &call, call.code64 || pair ? result : (u32)result);
        }
        log_line(w->log, LOG_WATCH, "cpu%u guest %u returns %llx after %llu counts, %u calls made for it", cpu, c->guest,
                 (unsigned long long)gpr[GPR_AX], (unsigned long long)(m.position - call.position), call.children);
        trace_guest_call_done(w->trace, cpu, c->guest, call.number, gpr[GPR_AX], m.position - call.position,
                             call.children);
        return;
    }
}
